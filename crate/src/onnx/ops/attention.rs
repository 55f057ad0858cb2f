//! Attention, rotary embeddings, linear attention.

use super::{norm::like, product, size};
use crate::{
    engine::device::cpu::Matrix,
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, Value, room},
    },
};

/// Sizes and scores of an attention over heads.
pub(super) struct Heads {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) dim: usize,
    pub(super) v_dim: usize,
    pub(super) scale: f32,
    /// 0: none.
    pub(super) softcap: f32,
    /// Softcap after masks and biases instead of before; what is hidden stays hidden.
    pub(super) cap_last: bool,
}

/// At which stage the scores are kept.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    Nothing,
    Raw,
    Capped,
    Biased,
    Probabilities,
}

/// What is done to a head's scores between softcap and softmax: batch, head, `[queries][keys]`.
pub(super) type Bias<'b> = dyn FnMut(usize, usize, &mut [f32]) + 'b;

/// Softmax; a row of nothing but minus infinity becomes zero.
fn softmax(row: &mut [f32], sink: Option<f32>) {
    let most = row.iter().copied().fold(sink.unwrap_or(f32::NEG_INFINITY), f32::max);
    if most == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    let mut sum = sink.map_or(0.0, |s| (s - most).exp());
    for x in row.iter_mut() {
        *x = (*x - most).exp();
        sum += *x;
    }
    if sum > 0.0 {
        row.iter_mut().for_each(|x| *x /= sum);
    }
}

impl Heads {
    /// `[batch, heads, queries, v_dim]`, and the scores that are kept; `sinks` hold a logit for each head that takes
    /// part in the softmax and attends to nothing.
    pub(super) fn attend(
        &self,
        call: &mut Call<'_, '_>,
        (q, k, v): (&[f32], &[f32], &[f32]),
        bias: &mut Bias<'_>,
        sinks: Option<&[f32]>,
        keep: Keep,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (s, t) = (self.queries, self.keys);
        if self.kv_heads == 0 || self.heads % self.kv_heads != 0 {
            return Err(bad(format!("{} heads that share {} heads of keys", self.heads, self.kv_heads)));
        }
        let n = room(&[self.batch, self.heads, s, self.v_dim], 4)?;
        let all = room(&[self.batch, self.heads, s, t], 4)?;
        call.spend(all.saturating_mul(self.dim + self.v_dim))?;
        let mut out = vec![0.0; n];
        let mut kept = Vec::with_capacity(if keep == Keep::Nothing { 0 } else { all });
        let mut scores = vec![0.0; room(&[s, t], 4)?];
        let share = self.heads / self.kv_heads;
        for b in 0..self.batch {
            for h in 0..self.heads {
                let head = b * self.heads + h;
                let group = b * self.kv_heads + h / share;
                let q = &q[head * s * self.dim..][..s * self.dim];
                let k = &k[group * t * self.dim..][..t * self.dim];
                let v = &v[group * t * self.v_dim..][..t * self.v_dim];
                if s * t * self.dim > 0 {
                    call.run.product().multiply(
                        Matrix::rows(q, s, self.dim),
                        Matrix::columns(k, self.dim, t),
                        &mut scores,
                    );
                }
                scores.iter_mut().for_each(|x| *x *= self.scale);
                if keep == Keep::Raw {
                    kept.extend_from_slice(&scores);
                }
                for stage in if self.cap_last { [Keep::Biased, Keep::Capped] } else { [Keep::Capped, Keep::Biased] } {
                    if stage == Keep::Biased {
                        bias(b, h, &mut scores);
                    } else if self.softcap > 0.0 {
                        let cap = |x: &mut f32| *x = (*x / self.softcap).tanh() * self.softcap;
                        scores.iter_mut().filter(|x| **x != f32::NEG_INFINITY).for_each(cap);
                    }
                    if keep == stage {
                        kept.extend_from_slice(&scores);
                    }
                }
                scores.chunks_mut(t.max(1)).for_each(|row| softmax(row, sinks.map(|s| s[h])));
                if keep == Keep::Probabilities {
                    kept.extend_from_slice(&scores);
                }
                if s * t * self.v_dim > 0 {
                    let to = &mut out[head * s * self.v_dim..][..s * self.v_dim];
                    call.run.product().multiply(Matrix::rows(&scores, s, t), Matrix::rows(v, t, self.v_dim), to);
                }
            }
        }
        Ok((out, kept))
    }
}

/// `[batch, length, heads * dim]` as `[batch, heads, length, dim]`.
pub(super) fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let [b, s, wide] = x.dims()[..] else { return Err(bad(format!("3 dimensions expected, {} found", x.told()))) };
    if heads == 0 || wide % heads != 0 {
        return Err(bad(format!("{heads} heads of {}", x.told())));
    }
    x.reshaped([b, s, heads, wide / heads])?.permuted(&[0, 2, 1, 3])
}
/// The way back.
pub(super) fn join_heads(x: &Tensor) -> Result<Tensor> {
    let [b, h, s, d] = x.dims()[..] else { return Err(bad(format!("4 dimensions expected, {} found", x.told()))) };
    x.permuted(&[0, 2, 1, 3])?.reshaped([b, s, h * d])
}

/// Keys or values behind those of earlier steps.
pub(super) fn appended(past: Option<Tensor>, new: Tensor) -> Result<Tensor> {
    match past {
        Some(past) if past.rank() == 4 => crate::onnx::ops::shape::concatenated(&[past, new], 2),
        Some(past) => Err(bad(format!("a past of 4 dimensions expected, {} found", past.told()))),
        None => Ok(new),
    }
}

pub(in crate::onnx) fn attention(call: &mut Call<'_, '_>) -> Outputs {
    let (q, k, v) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (mask, past_k, past_v, valid) = (call.optional(3)?, call.optional(4)?, call.optional(5)?, call.optional(6)?);
    let flat = q.rank() == 3;
    let kind = q.kind();
    let (qh, kh) = if flat {
        let (qh, kh) = (size(call.int("q_num_heads", 0)?)?, size(call.int("kv_num_heads", 0)?)?);
        (split_heads(&q, qh)?, (split_heads(&k, kh)?, split_heads(&v, kh)?))
    } else {
        (q.clone(), (k, v))
    };
    let past = past_k.as_ref().filter(|p| p.rank() == 4).map(|p| p.dims()[2]);
    let (k, v) = (appended(past_k, kh.0)?, appended(past_v, kh.1)?);
    let ([b, heads, s, d], [kb, kv_heads, t, kd], [vb, vh, vt, dv]) = (qh.dims(), k.dims(), v.dims()) else {
        return Err(bad(format!("4 dimensions expected, {}, {} and {} found", qh.told(), k.told(), v.told())));
    };
    if b != kb || b != vb || d != kd || t != vt || kv_heads != vh {
        return Err(bad(format!("queries {}, keys {} and values {}", qh.told(), k.told(), v.told())));
    }
    let shape = Heads {
        batch: *b,
        heads: *heads,
        kv_heads: *kv_heads,
        queries: *s,
        keys: *t,
        dim: *d,
        v_dim: *dv,
        scale: call.float_opt("scale")?.unwrap_or_else(|| 1.0 / (*d as f32).sqrt()),
        softcap: call.float("softcap", 0.0)?,
        // As ONNX's releases defined it before opset 25.
        cap_last: !call.since(25),
    };
    let valid = valid.map(|v| v.to_i64s()).transpose()?;
    if valid.as_ref().is_some_and(|v| v.len() != *b) {
        return Err(bad(format!("a length for each of {b} sequences expected")));
    }
    let mut bias = masking(call, &shape, mask.as_ref(), past, valid)?;
    let keep = match (call.wanted(3), call.int("qk_matmul_output_mode", 0)?) {
        (false, _) => Keep::Nothing,
        (true, 0) => Keep::Raw,
        // The numbers follow the order of the stages.
        (true, 1) => {
            if shape.cap_last {
                Keep::Biased
            } else {
                Keep::Capped
            }
        }
        (true, 2) => {
            if shape.cap_last {
                Keep::Capped
            } else {
                Keep::Biased
            }
        }
        (true, 3) => Keep::Probabilities,
        (_, other) => return Err(bad(format!("a qk_matmul_output_mode from 0 to 3 expected, {other} found"))),
    };
    let (out, kept) = shape.attend(call, (&qh.to_f32s()?, &k.to_f32s()?, &v.to_f32s()?), &mut *bias, None, keep)?;
    let y = like(&q, &[*b, *heads, *s, *dv], out)?;
    let y = if flat { join_heads(&y)? } else { y };
    let mut outputs: Vec<Value> = vec![y.cast(kind)?.into(), k.clone().into(), v.clone().into()];
    if keep != Keep::Nothing {
        outputs.push(like(&q, &[*b, *heads, *s, *t], kept)?.into());
    }
    Ok(outputs)
}

/// Mask, causality, window and lengths of the standard operator.
fn masking(
    call: &Call<'_, '_>,
    shape: &Heads,
    mask: Option<&Tensor>,
    past: Option<usize>,
    valid: Option<Vec<i64>>,
) -> Result<Box<Bias<'static>>> {
    let causal = call.flag("is_causal", false)?;
    let (left, right) = (call.int("left_window_size", -1)?, call.int("right_window_size", -1)?);
    let (s, t, heads) = (shape.queries, shape.keys, shape.heads);
    let table = match mask {
        None => None,
        Some(m) => {
            let width = m.dims().last().copied().unwrap_or(1);
            let wide = if m.kind() == Type::Bool {
                let v = m.bools()?.iter().map(|b| if *b { 0.0 } else { f32::NEG_INFINITY }).collect();
                Tensor::of(m.dims(), Data::F32(v))?
            } else {
                m.cast(Type::F32)?
            };
            // A mask that is too short hides the rest.
            let m = if width < t && m.rank() > 0 {
                let mut dims = wide.dims().to_vec();
                if let Some(last) = dims.last_mut() {
                    *last = t - width;
                }
                let n = room(&dims, 4)?;
                let rest = Tensor::of(dims, Data::F32(vec![f32::NEG_INFINITY; n]))?;
                let at = wide.rank() - 1;
                crate::onnx::ops::shape::concatenated(&[wide, rest], at)?
            } else {
                wide
            };
            let m = m.expanded(&[shape.batch, heads, s, t])?;
            Some(m.to_f32s()?)
        }
    };
    Ok(Box::new(move |b, h, scores| {
        if let Some(table) = &table {
            let rows = &table[(b * heads + h) * s * t..][..s * t];
            scores.iter_mut().zip(rows).for_each(|(x, m)| *x = if *m == f32::NEG_INFINITY { *m } else { *x + m });
        }
        let offset = match (past, &valid) {
            (Some(n), _) => n as i64,
            (None, Some(v)) => v[b].saturating_sub(s as i64),
            (None, None) => 0,
        };
        for i in 0..s {
            let p = offset.saturating_add(i as i64);
            for j in 0..t {
                let j64 = j as i64;
                let hidden = (causal && j64 > p)
                    || (left >= 0 && p.saturating_sub(j64) > left)
                    || (right >= 0 && j64.saturating_sub(p) > right)
                    || valid.as_ref().is_some_and(|v| j64 >= v[b]);
                if hidden {
                    scores[i * t + j] = f32::NEG_INFINITY;
                }
            }
        }
    }))
}

pub(in crate::onnx) fn flex_attention(call: &mut Call<'_, '_>) -> Outputs {
    let (q, k, v) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let ([b, h, s, d], [_, kh, t, kd], [_, vh, vt, dv]) = (q.dims(), k.dims(), v.dims()) else {
        return Err(bad("4 dimensions expected"));
    };
    let (b, h, s, d, kh, t, dv) = (*b, *h, *s, *d, *kh, *t, *dv);
    if *kd != d || *vh != kh || *vt != t || kh == 0 || h % kh != 0 {
        return Err(bad(format!("queries {}, keys {} and values {}", q.told(), k.told(), v.told())));
    }
    let scale = call.float_opt("scale")?.map_or_else(|| 1.0 / (d as f64).sqrt(), f64::from);
    let stage =
        call.attr_type("softmax_precision")?.unwrap_or(if q.kind() == Type::F64 { Type::F64 } else { Type::F32 });
    let spread = |x: &Tensor| -> Result<Tensor> {
        if kh == h {
            return Ok(x.clone());
        }
        let [b, _, t, d] = x.dims()[..] else { return Err(bad("4 dimensions expected")) };
        x.reshaped([b, kh, 1, t, d])?.expanded(&[b, kh, h / kh, t, d])?.reshaped([b, h, t, d])
    };
    let wide = |x: &Tensor| if q.kind() == Type::F64 { Ok(x.clone()) } else { x.cast(Type::F32) };
    let (k, v) = (wide(&spread(&k)?)?.permuted(&[0, 1, 3, 2])?, wide(&spread(&v)?)?);
    let scores = super::matrix::product_of(call, &wide(&q)?, &k)?;
    let mut scores = super::matrix::scaled(&scores, scale)?.cast(stage)?;
    let modify = |call: &mut Call<'_, '_>, name: &str, x: Tensor| -> Result<Tensor> {
        if call.attr(name).is_none() {
            return Ok(x);
        }
        let (graph, captured) = call.body(name)?;
        let dims = x.dims().to_vec();
        match call.run_body(&graph, vec![Value::Tensor(x)], &captured)?.into_iter().next() {
            Some(Value::Tensor(y)) if y.dims() == dims => Ok(y),
            _ => Err(bad(format!("{name} should give a tensor of the shape that it takes"))),
        }
    };
    scores = modify(call, "score_mod", scores)?;
    let mut p = scores.to_f64s()?;
    for row in p.chunks_mut(t.max(1)) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
        row.iter_mut().for_each(|x| *x = (*x - most).exp() / sum);
    }
    let probs = scores.with(crate::onnx::cast::from_f64s(stage, &p, crate::onnx::cast::Rounding::default())?)?;
    let probs = modify(call, "prob_mod", probs)?.cast(v.kind())?;
    let y = super::matrix::product_of(call, &probs, &v)?;
    one(y.reshaped([b, h, s, dv])?.cast(q.kind())?)
}

/// Rotates pairs of a `[batch, length, heads, dim]` view given by strides; `angle(b, s)` is the row of the tables.
pub(super) struct Rotary<'a> {
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    /// Half the rotated dimensions.
    pub(super) half: usize,
    pub(super) interleaved: bool,
}

impl Rotary<'_> {
    /// Rotates one head by row `row` of the tables.
    pub(super) fn turn(&self, x: &mut [f32], row: usize) -> Result<()> {
        let n = self.half;
        let from = row.saturating_mul(n);
        let to = from.saturating_add(n);
        let (Some(c), Some(s)) = (self.cos.get(from..to), self.sin.get(from..to)) else {
            return Err(bad(format!("position {row} is beyond the rotary tables")));
        };
        if x.len() < 2 * n {
            return Err(bad(format!("{} rotated dimensions of {}", 2 * n, x.len())));
        }
        for i in 0..n {
            let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + n) };
            let (u, v) = (x[a], x[b]);
            x[a] = c[i] * u - s[i] * v;
            x[b] = s[i] * u + c[i] * v;
        }
        Ok(())
    }
}

pub(in crate::onnx) fn rotary_embedding(call: &mut Call<'_, '_>) -> Outputs {
    let (x, cos, sin, ids) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.optional(3)?);
    rotate(call, &x, &cos, &sin, ids)
}
pub(super) fn rotate(call: &Call<'_, '_>, x: &Tensor, cos: &Tensor, sin: &Tensor, ids: Option<Tensor>) -> Outputs {
    let (flat, heads) = (x.rank() == 3, size(call.int("num_heads", 0)?)?);
    let (b, s, h, d) = match x.dims()[..] {
        [b, h, s, d] => (b, s, h, d),
        [b, s, wide] if heads > 0 && wide % heads == 0 => (b, s, heads, wide / heads),
        // com.microsoft infers the heads from the tables.
        [b, s, wide] if heads == 0 && cos.rank() == 2 && cos.dims()[1] > 0 && wide % (2 * cos.dims()[1]) == 0 => {
            (b, s, wide / (2 * cos.dims()[1]), 2 * cos.dims()[1])
        }
        _ => return Err(bad(format!("heads of {}", x.told()))),
    };
    let dim = match size(call.int("rotary_embedding_dim", 0)?)? {
        0 => d.min(2 * cos.dims().last().copied().unwrap_or(0)),
        n => n,
    };
    let half = dim / 2;
    if cos.dims() != sin.dims() || cos.dims().last() != Some(&half) || 2 * half > d {
        return Err(bad(format!("tables {} and {} for {dim} of {d} dimensions", cos.told(), sin.told())));
    }
    let (cv, sv) = (cos.to_f32s()?, sin.to_f32s()?);
    let turn = Rotary { cos: &cv, sin: &sv, half, interleaved: call.flag("interleaved", false)? };
    let ids = ids.map(|t| super::sizes(&t.to_i64s()?)).transpose()?;
    let row = |b: usize, i: usize| match &ids {
        Some(ids) if ids.len() == 1 => ids[0].saturating_add(i),
        Some(ids) => ids.get(b * s + i).copied().unwrap_or(usize::MAX),
        None => b * s + i,
    };
    let mut v = x.to_f32s()?;
    for (n, head) in v.chunks_mut(d.max(1)).enumerate() {
        let (b, i) = if flat { (n / h / s, n / h % s) } else { (n / s / h, n % s) };
        turn.turn(head, row(b, i))?;
    }
    let _ = b;
    one(like(x, x.dims(), v)?)
}

pub(in crate::onnx) fn linear_attention(call: &mut Call<'_, '_>) -> Outputs {
    let (q, k, v) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (past, decay, beta) = (call.optional(3)?, call.optional(4)?, call.optional(5)?);
    let (hq, hk) = (size(call.int("q_num_heads", 0)?)?, size(call.int("kv_num_heads", 0)?)?);
    let rule = call.text("update_rule", "gated_delta")?;
    let ([b, t, qw], [_, _, kw], [_, _, vw]) = (q.dims(), k.dims(), v.dims()) else {
        return Err(bad("queries, keys and values of 3 dimensions expected"));
    };
    if k.dims()[..2] != q.dims()[..2] || v.dims()[..2] != q.dims()[..2] {
        return Err(bad(format!("{}, {} and {} of different batches or lengths", q.told(), k.told(), v.told())));
    }
    if hq == 0 || hk == 0 || hq % hk != 0 || qw % hq != 0 || kw % hk != 0 || vw % hk != 0 || qw / hq != kw / hk {
        return Err(bad(format!("{hq} and {hk} heads of {}, {} and {}", q.told(), k.told(), v.told())));
    }
    let (b, t, dk, dv) = (*b, *t, kw / hk, vw / hk);
    let scale = match call.float("scale", 0.0)? {
        0.0 => 1.0 / (dk as f64).sqrt(),
        s => f64::from(s),
    };
    let (gated, delta) = (rule.contains("gated"), rule.contains("delta"));
    if !matches!(rule.as_str(), "linear" | "gated" | "delta" | "gated_delta") {
        return Err(bad(format!("the update_rule linear, gated, delta or gated_delta expected, {rule:?} found")));
    }
    let decay = decay.filter(|_| gated).map(|d| d.to_f64s()).transpose()?;
    let beta = beta.filter(|_| delta).map(|d| d.to_f64s()).transpose()?;
    if (gated && decay.is_none()) || (delta && beta.is_none()) {
        return Err(bad(format!("the update rule {rule} needs its decay and beta")));
    }
    let per = |v: &Option<Vec<f64>>, allowed: [usize; 2]| match v {
        None => Ok(0),
        Some(v) => allowed.into_iter().find(|n| v.len() == b * t * n).ok_or_else(|| bad("a gate of another shape")),
    };
    let (gn, bn) = (per(&decay, [hk * dk, hk])?, per(&beta, [hk, 1])?);
    let (qv, kv, vv) = (q.to_f64s()?, k.to_f64s()?, v.to_f64s()?);
    let states = room(&[b, hk, dk, dv], 8)?;
    let mut state = match past {
        Some(p) if p.len() == states => p.to_f64s()?,
        Some(p) => return Err(bad(format!("a state [{b},{hk},{dk},{dv}] expected, {} found", p.told()))),
        None => vec![0.0; states],
    };
    call.spend(product(&[b, t, hq, dk, dv]).saturating_mul(3))?;
    let mut out = vec![0.0; room(&[b, t, hq, dv], 8)?];
    for i in 0..b {
        for h in 0..hk {
            let st = &mut state[(i * hk + h) * dk * dv..][..dk * dv];
            for j in 0..t {
                let at = i * t + j;
                let (kr, vr) = (&kv[at * hk * dk + h * dk..][..dk], &vv[at * hk * dv + h * dv..][..dv]);
                if let Some(g) = &decay {
                    for x in 0..dk {
                        let g = if gn == hk && !(dk == 1 && hk * dk == gn) {
                            g[at * hk + h]
                        } else {
                            g[at * hk * dk + h * dk + x]
                        };
                        st[x * dv..(x + 1) * dv].iter_mut().for_each(|s| *s *= g.exp());
                    }
                }
                let mut add = vr.to_vec();
                if let Some(beta) = &beta {
                    let rate = if bn == 1 { beta[at] } else { beta[at * hk + h] };
                    for (y, a) in add.iter_mut().enumerate() {
                        let seen: f64 = (0..dk).map(|x| st[x * dv + y] * kr[x]).sum();
                        *a = rate * (*a - seen);
                    }
                }
                for x in 0..dk {
                    st[x * dv..(x + 1) * dv].iter_mut().zip(&add).for_each(|(s, a)| *s += kr[x] * a);
                }
                for g in 0..hq / hk {
                    let head = h * (hq / hk) + g;
                    let qr = &qv[at * hq * dk + head * dk..][..dk];
                    for y in 0..dv {
                        out[(at * hq + head) * dv + y] = scale * (0..dk).map(|x| st[x * dv + y] * qr[x]).sum::<f64>();
                    }
                }
            }
        }
    }
    let of = |dims: &[usize], v: &[f64]| {
        Tensor::of(dims, crate::onnx::cast::from_f64s(q.kind(), v, crate::onnx::cast::Rounding::default())?)
    };
    Ok(vec![of(&[b, t, hq * dv], &out)?.into(), of(&[b, hk, dk, dv], &state)?.into()])
}
