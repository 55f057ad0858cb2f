//! Rotary positions and attention.

use super::{
    Context,
    array::{Array, Operand, View},
    dense::softmax_f64,
    run::Step,
};
use crate::{
    fault::{Fault, Result},
    ir::op::{Attention, Pairing, Rope},
};

pub(super) fn rotate(x: &View<'_>, positions: &[i32], rope: &Rope, context: &Context<'_>) -> Result<Array> {
    let [rows, width] = x.matrix()?;
    let (head, half) = (rope.head_dim as usize, rope.dims as usize / 2);
    let angles = context.angles.get(rope.rotation);
    let angles = angles.ok_or_else(|| Fault::bug(format!("the angles of rotation {} are missing", rope.rotation)))?;
    if head == 0 || width % head != 0 || 2 * half > head || angles.frequencies.len() != half || positions.len() != rows
    {
        let what = format!("heads of {head} with {half} pairs and {} positions", positions.len());
        return Err(Fault::bug(format!("{what}: {:?} and {} angles do not fit", x.shape(), angles.frequencies.len())));
    }
    let mut out = x.floats()?.to_vec();
    for (row, position) in out.chunks_exact_mut(width.max(1)).zip(positions) {
        for head in row.chunks_exact_mut(head) {
            for (i, frequency) in angles.frequencies.iter().enumerate() {
                let (a, b) = match rope.pairing {
                    Pairing::Interleaved => (2 * i, 2 * i + 1),
                    Pairing::Halves => (i, i + half),
                };
                let (sin, cos) = (f64::from(*position) * frequency).sin_cos();
                let (x, y) = (f64::from(head[a]), f64::from(head[b]));
                head[a] = ((x * cos - y * sin) * angles.magnitude) as f32;
                head[b] = ((x * sin + y * cos) * angles.magnitude) as f32;
            }
        }
    }
    Array::floats(x.shape(), out)
}

/// Where keys or values come from.
enum Source<'a> {
    State(&'a dyn super::Remembered),
    Step(&'a [f32]),
}

impl<'a> Source<'a> {
    fn of(operand: Operand<'a>, rows: usize, width: usize) -> Result<Self> {
        match operand {
            Operand::State(state) => Ok(Self::State(state)),
            Operand::Values(view) if view.shape() == [rows, width] => Ok(Self::Step(view.floats()?)),
            _ => Err(Fault::bug(format!("a state or [{rows}, {width}] expected for attention"))),
        }
    }
}

/// A key that a row sees: its position, and where it is in the step's rows when keys come from there.
#[derive(Clone, Copy)]
struct Seen {
    position: u32,
    row: usize,
}

/// Whether a query at position `p` may see a key at position `q`.
fn sees(spec: &Attention, p: u32, q: u32) -> bool {
    (!spec.causal || q <= p) && spec.window.is_none_or(|w| p.abs_diff(q) < w)
}

fn position_of(step: &Step<'_>, row: usize) -> Result<u32> {
    let position = step.positions[row];
    u32::try_from(position).map_err(|_| Fault::caller(format!("position {position}: a number from 0 on expected")))
}

/// Positions that a row of this step sees in its sequence.
fn seen_by(spec: &Attention, row: usize, in_state: bool, step: &Step<'_>) -> Result<Vec<Seen>> {
    let p = position_of(step, row)?;
    let own = (0..step.positions.len()).filter(|j| step.sequences[*j] == step.sequences[row]);
    let own = own.map(|j| Ok(Seen { position: position_of(step, j)?, row: j })).collect::<Result<Vec<_>>>()?;
    Ok(if in_state {
        let last = if spec.causal { p } else { own.iter().map(|s| s.position).max().unwrap_or(p) };
        let first = spec.window.map_or(0, |w| (p + 1).saturating_sub(w));
        (first..=last).filter(|q| sees(spec, p, *q)).map(|position| Seen { position, row: 0 }).collect()
    } else {
        own.into_iter().filter(|s| sees(spec, p, s.position)).collect()
    })
}

/// The rows that were seen, `[seen, width]`.
fn collect(source: &Source<'_>, sequence: i32, seen: &[Seen], width: usize) -> Result<Vec<f32>> {
    let mut out = vec![0.0; seen.len() * width];
    for (seen, out) in seen.iter().zip(out.chunks_exact_mut(width.max(1))) {
        match source {
            Source::State(state) => state.row(sequence, seen.position, out)?,
            Source::Step(rows) => out.copy_from_slice(&rows[seen.row * width..(seen.row + 1) * width]),
        }
    }
    Ok(out)
}

pub(super) fn attend(
    spec: &Attention,
    q: &View<'_>,
    k: Operand<'_>,
    v: Operand<'_>,
    [bias, sinks]: [Option<&[f32]>; 2],
    step: &Step<'_>,
) -> Result<Array> {
    if sinks.is_some_and(|s| s.len() != spec.heads as usize) {
        return Err(Fault::bug(format!("sinks for {} heads expected", spec.heads)));
    }
    let [rows, width] = q.matrix()?;
    let [heads, kv_heads] = [spec.heads as usize, spec.kv_heads as usize];
    let [head_dim, value_dim] = [spec.head_dim as usize, spec.value_dim as usize];
    let given = [step.positions.len(), step.sequences.len()];
    if width != heads * head_dim || kv_heads == 0 || heads % kv_heads != 0 || given != [rows, rows] {
        let what = format!("{heads} heads of {head_dim} that share {kv_heads}: {:?} and {given:?}", q.shape());
        return Err(Fault::bug(format!("{what} positions and sequences do not fit")));
    }
    let [k_width, v_width] = [kv_heads * head_dim, kv_heads * value_dim];
    let (k, v) = (Source::of(k, rows, k_width)?, Source::of(v, rows, v_width)?);
    let values = q.floats()?;
    let mut out = vec![0.0; rows * heads * value_dim];
    for row in 0..rows {
        let seen = seen_by(spec, row, matches!(k, Source::State(_)), step)?;
        let own = position_of(step, row)?;
        let keys = collect(&k, step.sequences[row], &seen, k_width)?;
        let remembered = collect(&v, step.sequences[row], &seen, v_width)?;
        for head in 0..heads {
            let kv_head = head * kv_heads / heads;
            let query = &values[row * width + head * head_dim..][..head_dim];
            let slope = spec.slope(head as u32);
            let mut weights = Vec::with_capacity(seen.len() + 1);
            for (i, seen) in seen.iter().enumerate() {
                let distance = i64::from(seen.position) - i64::from(own);
                let added = by_distance(spec, bias, distance, head)? - slope * distance.unsigned_abs() as f64;
                weights.push(score(spec, query, &keys[i * k_width + kv_head * head_dim..][..head_dim]) + added);
            }
            // A sink takes its part and gives no value.
            weights.extend(sinks.map(|s| f64::from(s[head])));
            softmax_f64(&mut weights);
            weights.truncate(seen.len());
            let out = &mut out[(row * heads + head) * value_dim..][..value_dim];
            for (d, out) in out.iter_mut().enumerate() {
                let value = |i: usize| f64::from(remembered[i * v_width + kv_head * value_dim + d]);
                *out = weights.iter().enumerate().map(|(i, w)| w * value(i)).sum::<f64>() as f32;
            }
        }
    }
    Array::floats([rows, heads * value_dim], out)
}

/// What is added to the score of a key at this distance.
fn by_distance(spec: &Attention, bias: Option<&[f32]>, distance: i64, head: usize) -> Result<f64> {
    let (Some(reach), Some(bias)) = (spec.reach, bias) else { return Ok(0.0) };
    let reach = i64::from(reach);
    let at = (distance.clamp(-reach, reach) + reach) as usize * spec.heads as usize + head;
    let value =
        bias.get(at).ok_or_else(|| Fault::bug(format!("a bias of {} values, value {at} asked for", bias.len())))?;
    Ok(f64::from(*value))
}

fn score(spec: &Attention, query: &[f32], key: &[f32]) -> f64 {
    let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
    let score = dot * f64::from(spec.scale);
    spec.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
}
