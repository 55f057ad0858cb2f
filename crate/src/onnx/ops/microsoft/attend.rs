//! The attention operators.

use crate::{
    fault::Result,
    onnx::{
        ops::{
            attention::{Heads, Keep, Rotary, appended, join_heads, rotate, split_heads},
            norm::like,
            shape::{concatenated, part},
            single_i64, size,
        },
        run::{Call, Outputs, bad},
        value::{Tensor, Type, Value, room},
    },
};

/// What masks say of a key: added to its score.
struct Mask {
    batch: usize,
    queries: usize,
    keys: usize,
    /// `[batch][queries or 1][keys]`.
    values: Vec<f32>,
    per_query: bool,
}

impl Mask {
    /// From the forms that the operators take: lengths, lengths and starts, a mask of keys, of queries and keys.
    fn of(t: &Tensor, batch: usize, queries: usize, keys: usize, filter: f32) -> Result<Self> {
        let v = t.to_f64s()?;
        let hide = |keep: bool| if keep { 0.0 } else { filter };
        let wrong = || bad(format!("a mask {} for {batch} sequences of {keys} keys", t.told()));
        let mut mask = Self { batch, queries, keys, values: Vec::new(), per_query: false };
        match t.dims() {
            [n] if *n == batch || *n == 2 * batch || *n == 3 * batch + 2 => {
                for b in 0..batch {
                    let end = v[b];
                    let start = if *n == 2 * batch { v[batch + b] } else { 0.0 };
                    mask.values.extend((0..keys).map(|j| hide((j as f64) < end && j as f64 >= start)));
                }
            }
            [b, k] if *b == batch && *k == keys => mask.values = v.iter().map(|x| hide(*x > 0.0)).collect(),
            [b, q, k] if *b == batch && *q == queries && *k == keys => {
                mask.values = v.iter().map(|x| hide(*x > 0.0)).collect();
                mask.per_query = true;
            }
            // The whole table of a decoder: its last rows count.
            [b, 1, m, m2] if *b == batch && m == m2 && *m >= keys && keys >= queries => {
                for b in 0..batch {
                    for i in 0..queries {
                        let row = (b * m + keys - queries + i) * m;
                        mask.values.extend(v[row..row + keys].iter().map(|x| hide(*x > 0.0)));
                    }
                }
                mask.per_query = true;
            }
            _ => return Err(wrong()),
        }
        Ok(mask)
    }
    fn add(&self, b: usize, scores: &mut [f32]) {
        debug_assert!(b < self.batch);
        for (i, row) in scores.chunks_mut(self.keys.max(1)).enumerate() {
            let at = if self.per_query { (b * self.queries + i) * self.keys } else { b * self.keys };
            row.iter_mut().zip(&self.values[at..]).for_each(|(x, m)| *x += m);
        }
    }
}

/// A bias that broadcasts to the scores.
fn spread(bias: Option<Tensor>, s: &Heads) -> Result<Option<Vec<f32>>> {
    bias.map(|t| t.cast(Type::F32)?.expanded(&[s.batch, s.heads, s.queries, s.keys])?.to_f32s()).transpose()
}

/// What is added to the scores: mask, bias, and nothing after a query's own place.
fn added(
    s: &Heads,
    mask: Option<Mask>,
    bias: Option<Vec<f32>>,
    causal: Option<usize>,
) -> impl FnMut(usize, usize, &mut [f32]) {
    let (q, k, heads) = (s.queries, s.keys, s.heads);
    move |b, h, scores| {
        if let Some(bias) = &bias {
            let at = (b * heads + h) * q * k;
            scores.iter_mut().zip(&bias[at..]).for_each(|(x, m)| *x += m);
        }
        if let Some(mask) = &mask {
            mask.add(b, scores);
        }
        if let Some(past) = causal {
            for i in 0..q {
                scores[i * k..(i + 1) * k].iter_mut().skip(past + i + 1).for_each(|x| *x = f32::NEG_INFINITY);
            }
        }
    }
}

fn scale(call: &Call<'_, '_>, dim: usize) -> Result<f32> {
    Ok(match call.float("scale", 0.0)? {
        0.0 => 1.0 / (dim as f32).sqrt(),
        s => s,
    })
}

/// Queries, keys and values as `[batch, heads, length, dim]`, from here on the same for all operators.
struct Projected {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

/// Attends and gives `[batch, length, heads * dim]`.
fn finish(
    call: &mut Call<'_, '_>,
    p: &Projected,
    mask: Option<&Tensor>,
    bias: Option<Tensor>,
    causal: Option<usize>,
) -> Result<(Tensor, Tensor)> {
    let ([b, h, s, d], [kb, kh, t, kd], [_, _, vt, dv]) = (p.q.dims(), p.k.dims(), p.v.dims()) else {
        return Err(bad("4 dimensions expected"));
    };
    if b != kb || d != kd || t != vt {
        return Err(bad(format!("queries {}, keys {} and values {}", p.q.told(), p.k.told(), p.v.told())));
    }
    let heads = Heads {
        batch: *b,
        heads: *h,
        kv_heads: *kh,
        queries: *s,
        keys: *t,
        dim: *d,
        v_dim: *dv,
        scale: scale(call, *d)?,
        softcap: 0.0,
        cap_last: false,
    };
    let filter = call.float("mask_filter_value", -10_000.0)?;
    let mask = mask.map(|m| Mask::of(m, *b, *s, *t, filter)).transpose()?;
    let bias = spread(bias, &heads)?;
    let mut add = added(&heads, mask, bias, causal);
    let keep = if call.wanted(3) { Keep::Biased } else { Keep::Nothing };
    let values = (p.q.to_f32s()?, p.k.to_f32s()?, p.v.to_f32s()?);
    let (out, kept) = heads.attend(call, (&values.0, &values.1, &values.2), &mut add, None, keep)?;
    let y = join_heads(&like(&p.q, &[*b, *h, *s, *dv], out)?)?;
    let scores = if keep == Keep::Nothing { y.clone() } else { like(&p.q, &[*b, *h, *s, *t], kept)? };
    Ok((y, scores))
}

/// Adds a bias along the last dimension.
fn with_bias(x: &Tensor, bias: &[f32]) -> Result<Tensor> {
    let n = x.dims().last().copied().unwrap_or(0);
    if bias.len() != n {
        return Err(bad(format!("a bias of {n} numbers expected, {} found", bias.len())));
    }
    let mut v = x.to_f32s()?;
    v.chunks_mut(n.max(1)).for_each(|r| r.iter_mut().zip(bias).for_each(|(x, b)| *x += b));
    like(x, x.dims(), v)
}

/// The fused projection of `Attention` and `QAttention`: `[batch, length, q + k + v]` split into heads.
fn self_attention(
    call: &mut Call<'_, '_>,
    projected: &Tensor,
    mask: Option<&Tensor>,
    past: Option<Tensor>,
    bias: Option<Tensor>,
) -> Outputs {
    let heads = size(call.int("num_heads", 0)?)?;
    let [_, _, wide] = projected.dims()[..] else { return Err(bad("3 dimensions expected")) };
    let sizes = match call.ints("qkv_hidden_sizes")? {
        Some(v) if v.len() == 3 => crate::onnx::ops::sizes(&v)?,
        _ => vec![wide / 3; 3],
    };
    if sizes.iter().try_fold(0usize, |n, s| n.checked_add(*s)) != Some(wide) {
        return Err(bad(format!("parts {sizes:?} of {}", projected.told())));
    }
    let cut = |from: usize, n: usize| split_heads(&part(projected, 2, from, n)?, heads);
    let (mut q, mut k, mut v) = (cut(0, sizes[0])?, cut(sizes[0], sizes[1])?, cut(sizes[0] + sizes[1], sizes[2])?);
    let mut earlier = 0;
    if let Some(past) = past.filter(|p| !p.is_empty()) {
        let [2, b, h, t, d] = past.dims()[..] else {
            return Err(bad(format!("a past of keys and values expected, {} found", past.told())));
        };
        earlier = t;
        let of = |i: usize| part(&past, 0, i, 1)?.reshaped([b, h, t, d]);
        k = appended(Some(of(0)?), k)?;
        v = appended(Some(of(1)?), v)?;
    }
    if call.flag("do_rotary", false)? {
        return Err(crate::fault::Fault::unsupported("Attention with do_rotary is not supported"));
    }
    let causal = call.flag("unidirectional", false)?.then_some(earlier);
    let p = Projected { q: std::mem::replace(&mut q, projected.clone()), k, v };
    let (y, _) = finish(call, &p, mask, bias, causal)?;
    let mut out = vec![Value::Tensor(y)];
    if call.wanted(1) {
        let first = |t: &Tensor| t.reshaped([&[1], t.dims()].concat());
        out.push(concatenated(&[first(&p.k)?, first(&p.v)?], 0)?.into());
    }
    Ok(out)
}

pub(in crate::onnx) fn attention(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, b) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let (mask, past, bias) = (call.optional(3)?, call.optional(4)?, call.optional(5)?);
    let mut y = crate::onnx::ops::matrix::product_of(call, &x, &w)?;
    if let Some(b) = b {
        y = with_bias(&y, &b.to_f32s()?)?;
    }
    self_attention(call, &y, mask.as_ref(), past, bias)
}

pub(in crate::onnx) fn q_attention(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, b) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (xs, ws, mask) = (call.tensor(3)?, call.tensor(4)?, call.optional(5)?);
    let (xz, wz, past) = (call.optional(6)?, call.optional(7)?, call.optional(8)?);
    let sum = crate::onnx::ops::quantized::whole_product(call, &x, xz.as_ref(), &w, wz.as_ref())?;
    let y = super::integer::scaled_sum(&sum, &xs, &ws, Some(&b))?;
    self_attention(call, &y, mask.as_ref(), past, None)
}

pub(in crate::onnx) fn multi_head_attention(call: &mut Call<'_, '_>) -> Outputs {
    let (query, key, value) = (call.tensor(0)?, call.optional(1)?, call.optional(2)?);
    let (bias, mask, attention_bias) = (call.optional(3)?, call.optional(4)?, call.optional(5)?);
    let (past_k, past_v) = (call.optional(6)?, call.optional(7)?);
    let heads = size(call.int("num_heads", 0)?)?;
    let bias = bias.map(|b| b.to_f32s()).transpose()?;
    let packed = |x: &Tensor, n: usize, i: usize| -> Result<Tensor> {
        let [b, s, h, m, d] = x.dims()[..] else {
            return Err(bad(format!("5 dimensions expected, {} found", x.told())));
        };
        if m != n {
            return Err(bad(format!("{n} packed parts expected, {} found", x.told())));
        }
        part(x, 3, i, 1)?.reshaped([b, s, h * d])
    };
    let (q, k, v) = match (&key, &value) {
        (None, _) if query.rank() == 5 => (packed(&query, 3, 0)?, packed(&query, 3, 1)?, packed(&query, 3, 2)?),
        (Some(k), None) if k.rank() == 5 => (query.clone(), packed(k, 2, 0)?, packed(k, 2, 1)?),
        (Some(k), Some(v)) => (query.clone(), k.clone(), v.clone()),
        _ => return Err(bad("queries with keys and values expected")),
    };
    let wide = q.dims().last().copied().unwrap_or(0);
    // Keys that are already heads come from an encoder and have had their bias.
    let projected = k.rank() == 4;
    let (q, k, v) = match &bias {
        None => (q, k, v),
        Some(b) => {
            let at = |from: usize, n: usize| {
                b.get(from..from + n).ok_or_else(|| bad(format!("{} biases for {wide} numbers", b.len())))
            };
            let q = with_bias(&q, at(0, wide)?)?;
            if projected {
                (q, k, v)
            } else {
                let (kn, vn) = (k.dims().last().copied().unwrap_or(0), v.dims().last().copied().unwrap_or(0));
                (q, with_bias(&k, at(wide, kn)?)?, with_bias(&v, at(wide + kn, vn)?)?)
            }
        }
    };
    let of = |x: &Tensor| if x.rank() == 4 { Ok(x.clone()) } else { split_heads(x, heads) };
    let earlier = past_k.as_ref().filter(|p| p.rank() == 4).map_or(0, |p| p.dims()[2]);
    let p = Projected { q: of(&q)?, k: appended(past_k, of(&k)?)?, v: appended(past_v, of(&v)?)? };
    let causal = call.flag("unidirectional", false)?.then_some(earlier);
    let (y, scores) = finish(call, &p, mask.as_ref(), attention_bias, causal)?;
    Ok(vec![y.into(), p.k.into(), p.v.into(), scores.into()])
}

pub(in crate::onnx) fn rotary_embedding(call: &mut Call<'_, '_>) -> Outputs {
    let (x, ids, cos, sin) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.tensor(3)?);
    let mut out = rotate(call, &x, &cos, &sin, Some(ids))?;
    let by = call.float("scale", 1.0)?;
    if by != 1.0
        && let Some(Value::Tensor(t)) = out.first()
    {
        out[0] = crate::onnx::ops::matrix::scaled(t, f64::from(by))?.into();
    }
    Ok(out)
}

/// Sizes of a grouped attention.
struct Grouped {
    batch: usize,
    heads: usize,
    kv: usize,
    len: usize,
    dim: usize,
}

/// Rotates `[batch, heads, len, dim]` by positions of each sequence.
fn turned(x: &Tensor, turn: &Rotary<'_>, position: &dyn Fn(usize, usize) -> usize) -> Result<Tensor> {
    let [_, h, s, d] = x.dims()[..] else { return Err(bad("4 dimensions expected")) };
    let mut v = x.to_f32s()?;
    for (n, head) in v.chunks_mut(d.max(1)).enumerate() {
        turn.turn(head, position(n / s / h, n % s))?;
    }
    like(x, x.dims(), v)
}

pub(in crate::onnx) fn group_query_attention(call: &mut Call<'_, '_>) -> Outputs {
    let (query, key, value) = (call.tensor(0)?, call.optional(1)?, call.optional(2)?);
    let (past_k, past_v) = (call.optional(3)?, call.optional(4)?);
    let lens = call.tensor(5)?.to_i64s()?;
    let total = size(single_i64(&call.tensor(6)?)?)?;
    let (cos, sin, ids) = (call.optional(7)?, call.optional(8)?, call.optional(9)?);
    let (bias, sinks) = (call.optional(10)?, call.optional(11)?);
    let (heads, kv) = (size(call.int("num_heads", 0)?)?, size(call.int("kv_num_heads", 0)?)?);
    let (q, k, v) = match (key, value) {
        (Some(k), Some(v)) => (query.clone(), k, v),
        _ => {
            let wide = query.dims().last().copied().unwrap_or(0);
            let d = wide / (heads + 2 * kv).max(1);
            (
                part(&query, 2, 0, heads * d)?,
                part(&query, 2, heads * d, kv * d)?,
                part(&query, 2, (heads + kv) * d, kv * d)?,
            )
        }
    };
    let (q, k, v) = (split_heads(&q, heads)?, split_heads(&k, kv)?, split_heads(&v, kv)?);
    let [batch, _, len, dim] = q.dims()[..] else { return Err(bad("4 dimensions expected")) };
    let g = Grouped { batch, heads, kv, len, dim };
    if k.dims() != [batch, kv, len, dim] || v.dims() != k.dims() {
        return Err(bad(format!("queries {}, keys {} and values {}", q.told(), k.told(), v.told())));
    }
    if lens.len() != batch {
        return Err(bad(format!("a length for each of {batch} sequences expected, {} found", lens.len())));
    }
    // A first prompt is as long as the longest sequence: shorter ones are padded at their end.
    let first = len == total;
    let ends: Vec<usize> = lens.iter().map(|n| size(n.saturating_add(1))).collect::<Result<_>>()?;
    let past: Vec<usize> = ends.iter().map(|e| if first { 0 } else { e.saturating_sub(len) }).collect();
    let (mut q, mut k) = (q, k);
    if call.flag("do_rotary", false)? {
        let (Some(cos), Some(sin)) = (cos, sin) else { return Err(bad("rotary tables expected")) };
        let (c, s) = (cos.to_f32s()?, sin.to_f32s()?);
        let half = cos.dims().last().copied().unwrap_or(0);
        let turn = Rotary { cos: &c, sin: &s, half, interleaved: call.flag("rotary_interleaved", false)? };
        let ids = ids.map(|t| crate::onnx::ops::sizes(&t.to_i64s()?)).transpose()?;
        let position =
            |b: usize, i: usize| ids.as_ref().and_then(|v| v.get(b * len + i).copied()).unwrap_or(past[b] + i);
        q = turned(&q, &turn, &position)?;
        k = turned(&k, &turn, &position)?;
    }
    grouped(call, &query, &g, (q, k, v), (past_k, past_v), &ends, &past, total, bias, sinks)
}

#[allow(clippy::too_many_arguments, reason = "what the operator takes, after it was read")]
fn grouped(
    call: &mut Call<'_, '_>,
    query: &Tensor,
    g: &Grouped,
    (q, k, v): (Tensor, Tensor, Tensor),
    (past_k, past_v): (Option<Tensor>, Option<Tensor>),
    ends: &[usize],
    past: &[usize],
    total: usize,
    bias: Option<Tensor>,
    sinks: Option<Tensor>,
) -> Outputs {
    let (batch, kv, len, dim) = (g.batch, g.kv, g.len, g.dim);
    let before = past_k.as_ref().map_or(0, |p| p.dims().get(2).copied().unwrap_or(0));
    let present = before.max(total);
    let n = room(&[batch, kv, present, dim], 4)?;
    let joined = |past_of: Option<Tensor>, new: &Tensor| -> Result<Vec<f32>> {
        let mut out = vec![0.0; n];
        let new = new.to_f32s()?;
        let old = past_of.map(|p| p.to_f32s()).transpose()?.unwrap_or_default();
        if !old.is_empty() && old.len() != batch * kv * before * dim {
            return Err(bad(format!("a past of {kv} heads of {dim} numbers expected")));
        }
        for b in 0..batch {
            if past[b] > before || past[b] + len > present {
                return Err(bad(format!("{} earlier keys of {before}, {present} in all", past[b])));
            }
            for h in 0..kv {
                let head = b * kv + h;
                let to = &mut out[head * present * dim..][..present * dim];
                if before > 0 {
                    to[..before * dim].copy_from_slice(&old[head * before * dim..][..before * dim]);
                }
                to[past[b] * dim..(past[b] + len) * dim].copy_from_slice(&new[head * len * dim..][..len * dim]);
            }
        }
        Ok(out)
    };
    let (kv_all, v_all) = (joined(past_k, &k)?, joined(past_v, &v)?);
    let heads = Heads {
        batch,
        heads: g.heads,
        kv_heads: kv,
        queries: len,
        keys: present,
        dim,
        v_dim: dim,
        scale: scale(call, dim)?,
        softcap: call.float("softcap", 0.0)?,
        cap_last: false,
    };
    let window = call.int("local_window_size", -1)?;
    let bias = bias
        .map(|t| -> Result<(Vec<f32>, usize, usize, usize)> {
            let [b, h, _, w] = t.dims()[..] else {
                return Err(bad(format!("a bias of 4 dimensions expected, {} found", t.told())));
            };
            let (rows, cols) = (len, w);
            if ![1, batch].contains(&b) || ![1, g.heads].contains(&h) {
                return Err(bad(format!("a bias {} for {batch} sequences of {} heads", t.told(), g.heads)));
            }
            Ok((t.cast(Type::F32)?.expanded(&[b, h, rows, cols])?.to_f32s()?, b, h, w))
        })
        .transpose()?;
    let mut add = |b: usize, h: usize, scores: &mut [f32]| {
        for i in 0..len {
            let row = &mut scores[i * present..(i + 1) * present];
            let last = (past[b] + i).min(ends[b].max(past[b] + i));
            if let Some((v, bb, bh, w)) = &bias {
                let at = (((if *bb == 1 { 0 } else { b }) * bh + if *bh == 1 { 0 } else { h }) * len + i) * w;
                row.iter_mut().take(*w).zip(&v[at..]).for_each(|(x, m)| *x += m);
            }
            for (j, x) in row.iter_mut().enumerate() {
                let far = window > 0 && (j as i64) <= last as i64 - window;
                if j > last || far {
                    *x = f32::NEG_INFINITY;
                }
            }
        }
    };
    let sinks = match sinks {
        Some(t) if t.len() == g.heads => Some(t.to_f32s()?),
        Some(t) => return Err(bad(format!("a sink for each of {} heads expected, {} found", g.heads, t.told()))),
        None if call.flag("smooth_softmax", false)? => Some(vec![0.0; g.heads]),
        None => None,
    };
    let (out, _) = heads.attend(call, (&q.to_f32s()?, &kv_all, &v_all), &mut add, sinks.as_deref(), Keep::Nothing)?;
    let y = join_heads(&like(query, &[batch, g.heads, len, dim], out)?)?;
    let dims = [batch, kv, present, dim];
    Ok(vec![y.into(), like(query, &dims, kv_all)?.into(), like(query, &dims, v_all)?.into()])
}
