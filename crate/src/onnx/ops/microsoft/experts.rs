//! Mixtures of experts.

use super::packed::{Blocks, product_by_rows, width};
use crate::{
    fault::{Fault, Result},
    onnx::{
        ops::{elementwise, norm::like, size},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, room},
    },
};

/// Weights of one layer of all experts, plain or packed.
struct Layer {
    /// `[experts][rows][k]` where they are plain.
    plain: Vec<f32>,
    bytes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Option<Vec<u8>>,
    bias: Option<Vec<f32>>,
    rows: usize,
    k: usize,
    bits: usize,
    block: usize,
}

impl Layer {
    fn plain(w: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        let [_, rows, k] = w.dims()[..] else { return Err(bad(format!("3 dimensions expected, {} found", w.told()))) };
        let bias = bias.map(|b| b.to_f32s()).transpose()?;
        Ok(Self {
            plain: w.to_f32s()?,
            bytes: Vec::new(),
            scales: Vec::new(),
            zeros: None,
            bias,
            rows,
            k,
            bits: 8,
            block: k,
        })
    }
    fn packed(
        w: &Tensor,
        scales: &Tensor,
        zeros: Option<Tensor>,
        bias: Option<Tensor>,
        bits: usize,
        block: usize,
    ) -> Result<Self> {
        let [experts, rows, wide] = w.dims()[..] else {
            return Err(bad(format!("3 dimensions expected, {} found", w.told())));
        };
        let k = wide * 8 / bits;
        let block = if block == 0 { k } else { block };
        let Data::U8(bytes) = w.data() else { return Err(bad(format!("packed bytes expected, {} found", w.told()))) };
        if block == 0 || k % block != 0 || scales.len() != experts * rows * (k / block) {
            return Err(bad(format!("scales {} for {} by blocks of {block}", scales.told(), w.told())));
        }
        let zeros = match zeros.as_ref().map(Tensor::data) {
            None => None,
            Some(Data::U8(z)) => Some(z.clone()),
            Some(_) => return Err(bad("packed zero points expected")),
        };
        // Zero points of whole rows are packed across the rows of an expert.
        let zeros = zeros.map(|z| if block == k && bits < 8 { unfolded(&z, experts, rows, bits) } else { z });
        let bias = bias.map(|b| b.to_f32s()).transpose()?;
        Ok(Self {
            plain: Vec::new(),
            bytes: bytes.clone(),
            scales: scales.to_f32s()?,
            zeros,
            bias,
            rows,
            k,
            bits,
            block,
        })
    }
    /// `x * w^T + b` of an expert.
    fn run(&self, call: &mut Call<'_, '_>, e: usize, x: &[f32]) -> Result<Vec<f32>> {
        let m = x.len() / self.k.max(1);
        let mut out = vec![0.0; room(&[m, self.rows], 4)?];
        call.spend(out.len().saturating_mul(self.k))?;
        if self.bytes.is_empty() {
            let from = e * self.rows * self.k;
            let w = self
                .plain
                .get(from..from + self.rows * self.k)
                .ok_or_else(|| bad(format!("expert {e} has no weights")))?;
            product_by_rows(call, x, self.k, self.rows, &mut out, |r, row| {
                row.copy_from_slice(&w[r * self.k..(r + 1) * self.k]);
            })?;
        } else {
            let blocks = Blocks {
                bytes: &self.bytes,
                bits: self.bits,
                k: self.k,
                block: self.block,
                scales: &self.scales,
                packed_zeros: self.zeros.as_deref(),
                zeros: None,
                groups: None,
            };
            let stride = self.k * self.bits / 8;
            product_by_rows(call, x, self.k, self.rows, &mut out, |r, row| blocks.row(e * self.rows + r, stride, row))?;
        }
        if let Some(b) = &self.bias {
            let b = b.get(e * self.rows..(e + 1) * self.rows).ok_or_else(|| bad(format!("expert {e} has no bias")))?;
            out.chunks_mut(self.rows.max(1)).for_each(|row| row.iter_mut().zip(b).for_each(|(x, b)| *x += b));
        }
        Ok(out)
    }
}

/// Zero points packed across rows as a byte for each row.
fn unfolded(z: &[u8], experts: usize, rows: usize, bits: usize) -> Vec<u8> {
    let wide = (rows * bits).div_ceil(8);
    (0..experts * rows)
        .map(|i| super::packed::unpacked(z.get(i / rows * wide..).unwrap_or_default(), bits, i % rows))
        .collect()
}

struct Gate {
    kind: String,
    fusion: i64,
    alpha: f32,
    beta: f32,
    limit: f32,
}

impl Gate {
    fn of(call: &Call<'_, '_>) -> Result<Self> {
        Ok(Self {
            kind: call.text("activation_type", "relu")?,
            fusion: call.int("swiglu_fusion", 0)?,
            alpha: call.float("activation_alpha", 1.0)?,
            beta: call.float("activation_beta", 0.0)?,
            limit: call.float_opt("swiglu_limit")?.filter(|l| *l > 0.0).unwrap_or(f32::INFINITY),
        })
    }
    fn unit(&self, g: f32, l: f32) -> f32 {
        let (g, l) = (g.min(self.limit), l.clamp(-self.limit, self.limit));
        g * elementwise::sigmoid32(self.alpha * g) * (l + self.beta)
    }
    /// The hidden values from the first layer's, and the third's where there is one.
    fn apply(&self, first: Vec<f32>, third: Option<Vec<f32>>, rows: usize) -> Result<Vec<f32>> {
        if self.kind == "swiglu" && self.fusion > 0 {
            let half = rows / 2;
            let row = |r: &[f32]| -> Vec<f32> {
                (0..half)
                    .map(|i| {
                        if self.fusion == 1 { self.unit(r[2 * i], r[2 * i + 1]) } else { self.unit(r[i], r[half + i]) }
                    })
                    .collect()
            };
            return Ok(first.chunks(rows.max(1)).flat_map(row).collect());
        }
        if self.kind == "swiglu" {
            let third = third.ok_or_else(|| bad("a third layer expected"))?;
            return Ok(first.iter().zip(&third).map(|(g, l)| self.unit(*g, *l)).collect());
        }
        let mut v = first;
        // ONNX Runtime's experts take the approximation.
        if self.kind == "gelu" {
            v.iter_mut().for_each(|x| *x = elementwise::gelu_tanh32(*x));
        } else {
            super::activate(&self.kind, &[], &mut v)?;
        }
        if let Some(third) = third {
            v.iter_mut().zip(&third).for_each(|(x, t)| *x *= t);
        }
        Ok(v)
    }
}

fn mix(
    call: &mut Call<'_, '_>,
    first: &Layer,
    second: &Layer,
    third: Option<&Layer>,
    weights: Option<Tensor>,
) -> Outputs {
    let (x, router) = (call.tensor(0)?, call.tensor(1)?);
    let hidden = first.k;
    let [tokens, experts] = router.dims()[..] else {
        return Err(bad(format!("scores of rows expected, {} found", router.told())));
    };
    let k = size(call.int("k", 1)?)?;
    if x.len() != tokens * hidden || k > experts || second.rows != hidden {
        return Err(bad(format!("{} for {tokens} rows of {experts} experts", x.told())));
    }
    if call.flag("use_sparse_mixer", false)? {
        return Err(Fault::unsupported("use_sparse_mixer is not supported"));
    }
    let normalize = call.flag("normalize_routing_weights", false)?;
    let gate = Gate::of(call)?;
    let (v, scores) = (x.to_f32s()?, router.to_f32s()?);
    let mixed = weights.map(|w| w.to_f32s()).transpose()?;
    if mixed.as_ref().is_some_and(|w| w.len() != scores.len()) {
        return Err(bad("a weight for each score of the router expected"));
    }
    let mut out = vec![0.0; v.len()];
    for t in 0..tokens {
        let row = &scores[t * experts..(t + 1) * experts];
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
        order.truncate(k);
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let all: f32 = row.iter().map(|s| (s - most).exp()).sum();
        let mut share: Vec<f32> = match &mixed {
            Some(w) => order.iter().map(|e| w[t * experts + e]).collect(),
            None => order.iter().map(|e| (row[*e] - most).exp() / all).collect(),
        };
        if normalize {
            let sum: f32 = share.iter().sum();
            share.iter_mut().for_each(|s| *s /= sum);
        }
        let token = &v[t * hidden..(t + 1) * hidden];
        for (e, s) in order.into_iter().zip(share) {
            let a = first.run(call, e, token)?;
            let c = third.map(|l| l.run(call, e, token)).transpose()?;
            let h = gate.apply(a, c, first.rows)?;
            if h.len() != second.k {
                return Err(bad(format!("{} hidden numbers where the second layer takes {}", h.len(), second.k)));
            }
            let y = second.run(call, e, &h)?;
            out[t * hidden..(t + 1) * hidden].iter_mut().zip(&y).for_each(|(o, y)| *o += s * y);
        }
    }
    one(like(&x, x.dims(), out)?)
}

pub(in crate::onnx) fn moe(call: &mut Call<'_, '_>) -> Outputs {
    let first = Layer::plain(&call.tensor(2)?, call.optional(3)?)?;
    let second = Layer::plain(&call.tensor(4)?, call.optional(5)?)?;
    let third = call.optional(6)?;
    let third_bias = call.optional(7)?;
    let third = third.map(|w| Layer::plain(&w, third_bias)).transpose()?;
    mix(call, &first, &second, third.as_ref(), None)
}

pub(in crate::onnx) fn q_moe(call: &mut Call<'_, '_>) -> Outputs {
    let kind = call.text("quant_type", "int")?;
    if kind != "int" {
        return Err(Fault::unsupported(format!("QMoE with quant_type {kind:?} is not supported")));
    }
    let bits = call.int("expert_weight_bits", 4)?;
    let of = |name: &str| call.int(name, bits).and_then(width);
    let (b1, b2, b3) = (of("fc1_expert_weight_bits")?, of("fc2_expert_weight_bits")?, of("fc3_expert_weight_bits")?);
    let block = size(call.int("block_size", 0)?.max(0))?;
    let layer = |w: usize, zeros: usize, bits: usize| -> Result<Option<Layer>> {
        let Some(weights) = call.optional(w)? else { return Ok(None) };
        Layer::packed(&weights, &call.tensor(w + 1)?, call.optional(zeros)?, call.optional(w + 2)?, bits, block)
            .map(Some)
    };
    let first = layer(2, 11, b1)?.ok_or_else(|| bad("the first layer's weights expected"))?;
    let second = layer(5, 12, b2)?.ok_or_else(|| bad("the second layer's weights expected"))?;
    let third = layer(8, 13, b3)?;
    let weights = call.optional(14)?;
    mix(call, &first, &second, third.as_ref(), weights)
}
