//! Weights of a few bits, packed in blocks.

use crate::{
    engine::device::cpu::Matrix,
    fault::{Fault, Result},
    onnx::{
        ops::{axis, gather::place, norm::like, product, size},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room},
    },
};

/// The number of `bits` bits at place `i` of packed bytes, low bits first.
pub(super) fn unpacked(bytes: &[u8], bits: usize, i: usize) -> u8 {
    let per = 8 / bits;
    bytes.get(i / per).map_or(0, |b| b >> (bits * (i % per))) & ((1u16 << bits) - 1) as u8
}

/// 2, 4 or 8.
pub(super) fn width(bits: i64) -> Result<usize> {
    match bits {
        2 | 4 | 8 => Ok(bits as usize),
        other => Err(Fault::unsupported(format!("weights of {other} bits; 2, 4 and 8 are supported"))),
    }
}

/// Rows of `k` weights by blocks.
pub(super) struct Blocks<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) bits: usize,
    pub(super) k: usize,
    pub(super) block: usize,
    /// A scale for each block of each row.
    pub(super) scales: &'a [f32],
    /// Packed zero points of each row, or one for each block.
    pub(super) packed_zeros: Option<&'a [u8]>,
    pub(super) zeros: Option<&'a [f32]>,
    /// The block that each column belongs to, where they were reordered.
    pub(super) groups: Option<&'a [usize]>,
}

impl Blocks<'_> {
    /// Decodes row `r`; `stride` bytes lie between rows.
    pub(super) fn row(&self, r: usize, stride: usize, out: &mut [f32]) {
        let count = self.k.div_ceil(self.block);
        let bytes = &self.bytes[r * stride..(r + 1) * stride];
        let zero_bytes = (count * self.bits).div_ceil(8);
        let default = f32::from(1u8 << (self.bits - 1));
        for (i, x) in out.iter_mut().enumerate().take(self.k) {
            let b = self.groups.map_or(i / self.block, |g| g[i]);
            let zero = match (self.packed_zeros, self.zeros) {
                (Some(z), _) => {
                    f32::from(unpacked(z.get(r * zero_bytes..(r + 1) * zero_bytes).unwrap_or_default(), self.bits, b))
                }
                (None, Some(z)) => z.get(r * count + b).copied().unwrap_or(default),
                (None, None) => default,
            };
            let scale = self.scales.get(r * count + b).copied().unwrap_or(0.0);
            *x = (f32::from(unpacked(bytes, self.bits, i)) - zero) * scale;
        }
    }
}

pub(in crate::onnx) fn mat_mul_n_bits(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b, scales) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (zeros, groups, bias) = (call.optional(3)?, call.optional(4)?, call.optional(5)?);
    let need = |name: &str| {
        call.int_opt(name).and_then(|v| v.ok_or_else(|| bad(format!("the attribute \"{name}\" expected"))))
    };
    let (k, n, block) = (size(need("K")?)?, size(need("N")?)?, size(need("block_size")?)?);
    let bits = width(call.int("bits", 4)?)?;
    if call.int("weight_prepacked", 0)? > 0 {
        return Err(Fault::unsupported("weights laid out for one device (weight_prepacked)"));
    }
    if a.dims().last() != Some(&k) || block == 0 || k == 0 {
        return Err(bad(format!("rows of {k} numbers expected, {} found", a.told())));
    }
    let count = k.div_ceil(block);
    let stride =
        count.checked_mul(block).and_then(|n| n.checked_mul(bits)).ok_or_else(|| bad("blocks beyond 64 bits"))? / 8;
    let Data::U8(bytes) = b.data() else { return Err(bad(format!("packed bytes expected, {} found", b.told()))) };
    let mut dims = a.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = n;
    }
    let total = room(&dims, 4)?;
    let mut out = vec![0.0; total];
    if !bytes.is_empty() {
        if Some(bytes.len()) != n.checked_mul(stride) || Some(scales.len()) != n.checked_mul(count) {
            return Err(bad(format!(
                "{n} rows of {stride} bytes and {count} scales expected, {} and {} found",
                b.told(),
                scales.told()
            )));
        }
        let s = scales.to_f32s()?;
        let (packed, plain) = match zeros.as_ref().map(Tensor::data) {
            None => (None, None),
            Some(Data::U8(z)) if z.len() == n * (count * bits).div_ceil(8) => (Some(z.clone()), None),
            Some(_) => (None, zeros.as_ref().map(Tensor::to_f32s).transpose()?.filter(|z| z.len() == n * count)),
        };
        if zeros.is_some() && packed.is_none() && plain.is_none() {
            return Err(bad("zero points, packed or one for each block, expected"));
        }
        let groups = groups.map(|g| crate::onnx::ops::sizes(&g.to_i64s()?)).transpose()?.filter(|g| !g.is_empty());
        if groups.as_ref().is_some_and(|g| g.len() < k || g.iter().any(|b| *b >= count)) {
            return Err(bad("a g_idx with a block for each column expected"));
        }
        let blocks = Blocks {
            bytes,
            bits,
            k,
            block,
            scales: &s,
            packed_zeros: packed.as_deref(),
            zeros: plain.as_deref(),
            groups: groups.as_deref(),
        };
        call.spend(total.saturating_mul(k))?;
        product_by_rows(call, &a.to_f32s()?, k, n, &mut out, |r, row| blocks.row(r, stride, row))?;
    }
    if let Some(bias) = bias {
        if bias.len() != n {
            return Err(bad(format!("{n} biases expected, {} found", bias.told())));
        }
        let b = bias.to_f32s()?;
        out.chunks_mut(n.max(1)).for_each(|row| row.iter_mut().zip(&b).for_each(|(x, b)| *x += b));
    }
    one(like(&a, &dims, out)?)
}

/// Rows of weights decoded together.
const ROWS: usize = 64;

/// `a * w^T` with weights decoded a few rows at a time.
pub(super) fn product_by_rows(
    call: &mut Call<'_, '_>,
    a: &[f32],
    k: usize,
    n: usize,
    out: &mut [f32],
    decode: impl Fn(usize, &mut [f32]),
) -> Result<()> {
    let m = a.len() / k.max(1);
    if m == 0 || n == 0 {
        return Ok(());
    }
    let mut rows = vec![0.0; ROWS.min(n) * k];
    let mut part = vec![0.0; m * ROWS.min(n)];
    for from in (0..n).step_by(ROWS) {
        let count = ROWS.min(n - from);
        for (i, row) in rows.chunks_mut(k).take(count).enumerate() {
            decode(from + i, row);
        }
        let right = Matrix::columns(&rows[..count * k], k, count);
        call.run.product().multiply(Matrix::rows(a, m, k), right, &mut part);
        for (to, from_row) in out.chunks_mut(n).zip(part.chunks(count)) {
            to[from..from + count].copy_from_slice(from_row);
        }
    }
    Ok(())
}

pub(in crate::onnx) fn gather_block_quantized(call: &mut Call<'_, '_>) -> Outputs {
    let (data, indices, scales, zeros) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.optional(3)?);
    let rank = data.rank();
    let at = axis(call.int("gather_axis", 0)?, rank)?;
    let along = axis(call.int("quantize_axis", 1)?, rank)?;
    let bits = width(call.int("bits", 4)?)?;
    let packed = data.kind() == Type::U8 && bits < 8;
    let mut dims = data.dims().to_vec();
    if packed && let Some(last) = dims.last_mut() {
        *last *= 8 / bits;
    }
    let block = match size(call.int("block_size", 128)?)? {
        0 => dims[along].max(1),
        n => n,
    };
    let blocks = dims[along].div_ceil(block);
    let fits = scales.rank() == rank
        && (0..rank).all(|d| scales.dims()[d] == 1 || scales.dims()[d] == if d == along { blocks } else { dims[d] });
    if !fits {
        return Err(bad(format!("scales {} for {} by blocks of {block}", scales.told(), data.told())));
    }
    let (outer, inner) = (product(&dims[..at]), product(&dims[at + 1..]));
    let out_dims = [&dims[..at], indices.dims(), &dims[at + 1..]].concat();
    let total = room(&out_dims, 4)?;
    let s = scales.to_f32s()?;
    let z = zeros.as_ref().map(|z| (z.data(), z.kind()));
    let default = match data.kind() {
        Type::U8 => f32::from(1u8 << (bits - 1)),
        _ => 0.0,
    };
    let values = data.to_f32s()?;
    let raw = match data.data() {
        Data::U8(v) => v.clone(),
        _ => Vec::new(),
    };
    let zero_values = zeros.as_ref().map(Tensor::to_f32s).transpose()?;
    let own = crate::onnx::ops::strides(&dims);
    let of_scales = crate::onnx::ops::strides(scales.dims());
    let per = 8 / bits;
    let last_blocks = scales.dims()[rank - 1];
    let value = |flat: usize| -> f32 {
        let mut place = 0;
        for d in 0..rank {
            let c = flat / own[d] % dims[d];
            let c = if d == along { c / block } else { c };
            place += if scales.dims()[d] == 1 { 0 } else { c * of_scales[d] };
        }
        let x = if packed {
            let (row, column) = (flat / dims[rank - 1], flat % dims[rank - 1]);
            f32::from(unpacked(&raw[row * (dims[rank - 1] / per)..], bits, column))
        } else {
            values[flat]
        };
        let zero = match (&z, &zero_values) {
            // Packed as the data is, along the last axis of the scales.
            (Some((Data::U8(bytes), _)), _) if packed => {
                let wide = last_blocks.div_ceil(per);
                f32::from(unpacked(
                    bytes.get(place / last_blocks * wide..).unwrap_or_default(),
                    bits,
                    place % last_blocks,
                ))
            }
            (Some(_), Some(v)) => v.get(place).copied().unwrap_or(default),
            _ => default,
        };
        (x - zero) * s[place]
    };
    let mut out = Vec::with_capacity(total);
    let list = indices.to_i64s()?;
    for o in 0..outer {
        for i in &list {
            match place(*i, dims[at]) {
                Ok(i) => out.extend((0..inner).map(|j| value((o * dims[at] + i) * inner + j))),
                // Unlike Gather, an index beyond the table gives zeros.
                Err(_) => out.extend(std::iter::repeat_n(0.0, inner)),
            }
        }
    }
    one(like(&scales, &out_dims, out)?)
}
