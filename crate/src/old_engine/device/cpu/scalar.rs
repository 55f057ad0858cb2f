//! The scalar twins: one plain function per kernel, the oracle for every other implementation.
//!
//! Written for reading, not for speed: weights are decoded by their encoding's own decoder, sums
//! are taken in f64 and rounded to f32 once, and nothing is reordered.

use bytemuck::pod_read_unaligned;

use super::buffer::{CpuBuffer, WeightRows};
use crate::{
    old_engine::kernel::{
        AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, PickParams, RopeParams, WidthParams, state,
    },
    fault::{Fault, Result},
};

/// Runs one kernel's scalar twin on buffers in the kernel's binding order.
///
/// `params` are the bytes of the kernel's `Params` struct. The last [`KernelId::outputs`]
/// buffers are written.
///
/// # Errors
/// A buffer of the wrong kind, number or length; a weight whose encoding has no decoder.
pub fn run_reference(kernel: KernelId, params: &[u8], bindings: &mut [CpuBuffer]) -> Result<()> {
    let split = bindings
        .len()
        .checked_sub(kernel.outputs())
        .ok_or_else(|| Fault::bug(format!("{} has {} bindings", kernel.name(), bindings.len())))?;
    let (inputs, outputs) = bindings.split_at_mut(split);
    let inputs: Vec<&CpuBuffer> = inputs.iter().collect();
    let mut outputs: Vec<&mut CpuBuffer> = outputs.iter_mut().collect();
    run(kernel, params, &inputs, &mut outputs)
}

/// As [`run_reference`], with inputs and outputs apart.
pub(super) fn run(
    kernel: KernelId,
    params: &[u8],
    inputs: &[&CpuBuffer],
    outputs: &mut [&mut CpuBuffer],
) -> Result<()> {
    let given = (inputs.len(), outputs.len());
    match (kernel, inputs, outputs) {
        (KernelId::Embed, [s, tokens, table], [x]) => {
            embed(block(params)?, Step::of(s)?, tokens.u32s()?, &table.weight()?, x.f32s_mut()?)
        }
        (KernelId::RmsNorm, [s, x, w], [y]) => {
            rms_norm(block(params)?, Step::of(s)?, x.f32s()?, &w.vector()?, y.f32s_mut()?)
        }
        (KernelId::MatVec, [_, w, x], [y]) => linear(block(params)?, 1, &w.weight()?, x.f32s()?, y.f32s_mut()?),
        (KernelId::MatMul, [s, w, x], [y]) => {
            linear(block(params)?, Step::of(s)?.count, &w.weight()?, x.f32s()?, y.f32s_mut()?)
        }
        (KernelId::AddBias, [s, b], [y]) => add_bias(block(params)?, Step::of(s)?, &b.vector()?, y.f32s_mut()?),
        (KernelId::Rope, [s, table], [x]) => rope(block(params)?, Step::of(s)?, table.f32s()?, x.f32s_mut()?),
        (KernelId::KvWrite, [s, x], [cache]) => kv_write(block(params)?, Step::of(s)?, x.f32s()?, cache.f32s_mut()?),
        (KernelId::Attention, [s, q, k, v], [y]) => {
            attention(block(params)?, Step::of(s)?, [q.f32s()?, k.f32s()?, v.f32s()?], y.f32s_mut()?)
        }
        (KernelId::SiluMul, [s, gate, up], [y]) => {
            silu_mul(block(params)?, Step::of(s)?, gate.f32s()?, up.f32s()?, y.f32s_mut()?)
        }
        (KernelId::Add, [s, x], [y]) => add(block(params)?, Step::of(s)?, x.f32s()?, y.f32s_mut()?),
        (KernelId::LastRow, [s, x], [y]) => last_row(block(params)?, Step::of(s)?, x.f32s()?, y.f32s_mut()?),
        (KernelId::Pick, [logits], [s, tokens, ring]) => {
            pick(block(params)?, logits.f32s()?, s.u32s_mut()?, tokens.u32s_mut()?, ring.u32s_mut()?)
        }
        (KernelId::Advance, [], [s]) => advance(s.u32s_mut()?),
        _ => Err(Fault::bug(format!("{} given {} inputs and {} outputs", kernel.name(), given.0, given.1))),
    }
}

/// Position and number of active rows of the running step.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) pos: usize,
    pub(super) count: usize,
}

impl Step {
    pub(super) fn of(state: &CpuBuffer) -> Result<Self> {
        let words = state.u32s()?;
        match words.get(..state::WORDS) {
            Some(w) => Ok(Self { pos: w[state::POS] as usize, count: w[state::COUNT] as usize }),
            None => Err(Fault::bug(format!("a state of {} words, {} expected", words.len(), state::WORDS))),
        }
    }
}

/// Reads a parameter block.
pub(super) fn block<P: bytemuck::AnyBitPattern>(params: &[u8]) -> Result<P> {
    if params.len() != size_of::<P>() {
        return Err(Fault::bug(format!("a parameter block of {} bytes, {} expected", params.len(), size_of::<P>())));
    }
    Ok(pod_read_unaligned(params))
}

/// `len` values from the start of `values`.
pub(super) fn first<'a, T>(values: &'a [T], len: usize, what: &str) -> Result<&'a [T]> {
    let have = values.len();
    values.get(..len).ok_or_else(|| Fault::bug(format!("{what} has {have} values, {len} expected")))
}

/// `len` values from the start of `values`, to be written.
pub(super) fn first_mut<'a, T>(values: &'a mut [T], len: usize, what: &str) -> Result<&'a mut [T]> {
    let have = values.len();
    values.get_mut(..len).ok_or_else(|| Fault::bug(format!("{what} has {have} values, {len} expected")))
}

fn embed(p: EmbedParams, s: Step, tokens: &[u32], table: &WeightRows, x: &mut [f32]) -> Result<()> {
    let width = p.width as usize;
    let tokens = first(tokens, s.count, "tokens")?;
    let x = first_mut(x, s.count * width, "x")?;
    for (id, row) in tokens.iter().zip(x.chunks_exact_mut(width)) {
        let Some(part_row) = id.checked_sub(p.first_row).filter(|r| *r < p.rows) else { continue };
        let values = table.decode_row(part_row as usize)?;
        for (to, from) in row.iter_mut().zip(values) {
            *to = from * p.scale;
        }
    }
    Ok(())
}

fn rms_norm(p: NormParams, s: Step, x: &[f32], weight: &[f32], y: &mut [f32]) -> Result<()> {
    let width = p.width as usize;
    let weight = first(weight, width, "norm weight")?;
    let x = first(x, s.count * width, "x")?;
    let y = first_mut(y, s.count * width, "y")?;
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let square: f64 = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        let scale = 1.0 / (square / width as f64 + f64::from(p.eps)).sqrt();
        for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
            *y = (f64::from(*x) * scale * f64::from(*w)) as f32;
        }
    }
    Ok(())
}

fn linear(p: LinearParams, count: usize, w: &WeightRows, x: &[f32], y: &mut [f32]) -> Result<()> {
    let (k, rows, stride) = (p.k as usize, p.rows as usize, p.y_stride as usize);
    let x = first(x, count * k, "x")?;
    let y = first_mut(y, count * stride, "y")?;
    for row in 0..rows {
        let weights = w.decode_row(row)?;
        let weights = first(&weights, k, "weight row")?;
        for (x, y) in x.chunks_exact(k).zip(y.chunks_exact_mut(stride)) {
            let sum: f64 = weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            let y = y
                .get_mut(p.first_row as usize + row)
                .ok_or_else(|| Fault::bug(format!("row {row} of an output of {stride}")))?;
            *y = if p.accumulate == 1 { (f64::from(*y) + sum) as f32 } else { sum as f32 };
        }
    }
    Ok(())
}

pub(super) fn add_bias(p: WidthParams, s: Step, bias: &[f32], y: &mut [f32]) -> Result<()> {
    let width = p.width as usize;
    let bias = first(bias, width, "bias")?;
    for row in first_mut(y, s.count * width, "y")?.chunks_exact_mut(width) {
        for (y, b) in row.iter_mut().zip(bias) {
            *y += b;
        }
    }
    Ok(())
}

pub(super) fn rope(p: RopeParams, s: Step, table: &[f32], x: &mut [f32]) -> Result<()> {
    let (half, head) = (p.half as usize, p.head_dim as usize);
    let width = p.heads as usize * head;
    let table = first(table, (s.pos + s.count) * half * 2, "rotation table")?;
    let rows = first_mut(x, s.count * width, "x")?.chunks_exact_mut(width);
    if head < 2 * half {
        return Err(Fault::bug(format!("{half} rotated pairs in a head of {head}")));
    }
    for (row, angles) in rows.zip(table[s.pos * half * 2..].chunks_exact(half * 2)) {
        for head in row.chunks_exact_mut(head) {
            for (i, angle) in angles.chunks_exact(2).enumerate() {
                let (a, b) = if p.neox == 1 { (i, i + half) } else { (2 * i, 2 * i + 1) };
                let (x, y, cos, sin) = (head[a], head[b], angle[0], angle[1]);
                head[a] = x * cos - y * sin;
                head[b] = x * sin + y * cos;
            }
        }
    }
    Ok(())
}

pub(super) fn kv_write(p: WidthParams, s: Step, x: &[f32], cache: &mut [f32]) -> Result<()> {
    let width = p.width as usize;
    let x = first(x, s.count * width, "x")?;
    let cache = first_mut(cache, (s.pos + s.count) * width, "cache")?;
    cache[s.pos * width..].copy_from_slice(x);
    Ok(())
}

fn attention(p: AttentionParams, s: Step, [q, k, v]: [&[f32]; 3], y: &mut [f32]) -> Result<()> {
    let (heads, kv_heads, dim) = (p.heads as usize, p.kv_heads as usize, p.head_dim as usize);
    let (width, kv_width) = (heads * dim, kv_heads * dim);
    let q = first(q, s.count * width, "q")?;
    let k = first(k, (s.pos + s.count) * kv_width, "key cache")?;
    let v = first(v, (s.pos + s.count) * kv_width, "value cache")?;
    let y = first_mut(y, s.count * width, "y")?;
    if kv_heads == 0 || heads % kv_heads != 0 {
        return Err(Fault::bug(format!("{heads} query heads over {kv_heads} key heads")));
    }
    for t in 0..s.count {
        let seen = s.pos + t + 1;
        for head in 0..heads {
            let at = head / (heads / kv_heads) * dim;
            let query = &q[t * width + head * dim..][..dim];
            let score = |row: &[f32]| -> f64 {
                let dot: f64 = query.iter().zip(&row[at..]).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                dot * f64::from(p.scale)
            };
            let scores: Vec<f64> = k.chunks_exact(kv_width).take(seen).map(score).collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let total: f64 = weights.iter().sum();
            for (i, y) in y[t * width + head * dim..][..dim].iter_mut().enumerate() {
                let sum: f64 =
                    weights.iter().zip(v.chunks_exact(kv_width)).map(|(w, v)| w * f64::from(v[at + i])).sum();
                *y = (sum / total) as f32;
            }
        }
    }
    Ok(())
}

fn silu_mul(p: WidthParams, s: Step, gate: &[f32], up: &[f32], y: &mut [f32]) -> Result<()> {
    let len = s.count * p.width as usize;
    let (gate, up) = (first(gate, len, "gate")?, first(up, len, "up")?);
    for ((y, gate), up) in first_mut(y, len, "y")?.iter_mut().zip(gate).zip(up) {
        let gate = f64::from(*gate);
        *y = (gate / (1.0 + (-gate).exp()) * f64::from(*up)) as f32;
    }
    Ok(())
}

pub(super) fn add(p: WidthParams, s: Step, x: &[f32], y: &mut [f32]) -> Result<()> {
    let len = s.count * p.width as usize;
    let x = first(x, len, "x")?;
    for (y, x) in first_mut(y, len, "y")?.iter_mut().zip(x) {
        *y += x;
    }
    Ok(())
}

pub(super) fn last_row(p: WidthParams, s: Step, x: &[f32], y: &mut [f32]) -> Result<()> {
    let width = p.width as usize;
    let row = s.count.checked_sub(1).ok_or_else(|| Fault::bug("the last row of no rows"))?;
    let x = first(x, s.count * width, "x")?;
    first_mut(y, width, "y")?.copy_from_slice(&x[row * width..]);
    Ok(())
}

pub(super) fn pick(p: PickParams, logits: &[f32], s: &mut [u32], tokens: &mut [u32], ring: &mut [u32]) -> Result<()> {
    let logits = first(logits, p.vocab as usize, "logits")?;
    first(s, state::WORDS, "state")?;
    let mut best = (f32::NEG_INFINITY, 0u32);
    let mut bad = 0u32;
    for (id, logit) in (0u32..).zip(logits) {
        if !logit.is_finite() {
            bad += 1;
        } else if *logit > best.0 {
            best = (*logit, id);
        }
    }
    first_mut(tokens, 1, "tokens")?[0] = best.1;
    let at = (s[state::STEP] as usize).checked_rem(p.ring_len as usize);
    let at = at.ok_or_else(|| Fault::bug("a ring of no ids"))?;
    first_mut(ring, p.ring_len as usize, "ring")?[at] = best.1;
    s[state::NONFINITE] = s[state::NONFINITE].wrapping_add(bad);
    s[state::STEP] = s[state::STEP].wrapping_add(1);
    advance(s)
}

pub(super) fn advance(s: &mut [u32]) -> Result<()> {
    first(s, state::WORDS, "state")?;
    s[state::POS] = s[state::POS].wrapping_add(s[state::COUNT]);
    s[state::COUNT] = 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pos: u32, count: u32) -> CpuBuffer {
        CpuBuffer::U32(vec![pos, count, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_norm_scales_active_rows_only() {
        let p = NormParams { width: 2, eps: 0.0, pad: [0; 2] };
        let mut io = [
            state(0, 1),
            CpuBuffer::F32(vec![3.0, 4.0, 9.0, 9.0]),
            CpuBuffer::F32(vec![1.0, 2.0]),
            CpuBuffer::F32(vec![7.0; 4]),
        ];
        run_reference(KernelId::RmsNorm, bytemuck::bytes_of(&p), &mut io).unwrap();
        let rms = 12.5f32.sqrt();
        assert_eq!(io[3], CpuBuffer::F32(vec![3.0 / rms, 8.0 / rms, 7.0, 7.0]));
    }

    #[test]
    fn attention_of_equal_keys_is_the_mean_of_the_values_seen() {
        let p = AttentionParams { heads: 1, kv_heads: 1, head_dim: 1, context: 3, scale: 1.0, pad: [0; 3] };
        let mut io = [
            state(1, 1),
            CpuBuffer::F32(vec![1.0]),
            CpuBuffer::F32(vec![0.5; 3]),
            CpuBuffer::F32(vec![2.0, 4.0, 100.0]),
            CpuBuffer::F32(vec![0.0]),
        ];
        run_reference(KernelId::Attention, bytemuck::bytes_of(&p), &mut io).unwrap();
        assert_eq!(io[4], CpuBuffer::F32(vec![3.0]));
    }

    #[test]
    fn picking_takes_the_lowest_id_of_equals_counts_bad_logits_and_advances() {
        let p = PickParams { vocab: 4, ring_len: 2, pad: [0; 2] };
        let mut io = [
            CpuBuffer::F32(vec![f32::NAN, 1.0, 1.0, f32::INFINITY]),
            CpuBuffer::U32(vec![5, 3, 3, 0, 0, 0, 0, 0]),
            CpuBuffer::U32(vec![9]),
            CpuBuffer::U32(vec![0, 0]),
        ];
        run_reference(KernelId::Pick, bytemuck::bytes_of(&p), &mut io).unwrap();
        assert_eq!(io[1], CpuBuffer::U32(vec![8, 1, 4, 2, 0, 0, 0, 0]));
        assert_eq!(io[2], CpuBuffer::U32(vec![1]));
        assert_eq!(io[3], CpuBuffer::U32(vec![0, 1]));
    }

    #[test]
    fn a_buffer_that_is_too_short_is_a_fault() {
        let p = WidthParams { width: 4, pad: [0; 3] };
        let mut io = [state(0, 1), CpuBuffer::F32(vec![1.0; 3]), CpuBuffer::F32(vec![0.0; 4])];
        let fault = run_reference(KernelId::Add, bytemuck::bytes_of(&p), &mut io).unwrap_err();
        assert!(fault.what.contains("3 values, 4 expected"), "{fault}");
    }
}
