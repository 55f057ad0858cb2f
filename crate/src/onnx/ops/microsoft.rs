//! The operators of com.microsoft, as ONNX Runtime's optimizers, quantizers and model builders write them.

mod fused;

use fused::{channels_last, channels_second};
pub(in crate::onnx) use fused::{
    fused_conv, fused_gemm, fused_mat_mul, fused_mat_mul_activation, gemm_fast_gelu, nhwc_conv, nhwc_fused_conv,
    nhwc_max_pool,
};

pub(in crate::onnx) mod attend;
pub(in crate::onnx) mod experts;
pub(in crate::onnx) mod integer;
pub(in crate::onnx) mod packed;

use super::{elementwise, norm, product, size};
use crate::fault::Result;
use crate::onnx::cast::{self, Rounding};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor, room};

/// An activation by the name that fused operators give it.
pub(super) fn activate(name: &str, params: &[f32], v: &mut [f32]) -> Result<()> {
    let p = |i: usize, default: f32| params.get(i).copied().unwrap_or(default);
    match name {
        "" | "Identity" | "identity" => {}
        "Relu" | "relu" => v.iter_mut().for_each(|x| *x = x.max(0.0)),
        "Sigmoid" => v.iter_mut().for_each(|x| *x = elementwise::sigmoid32(*x)),
        "Tanh" => v.iter_mut().for_each(|x| *x = x.tanh()),
        "LeakyRelu" => v.iter_mut().for_each(|x| *x = if *x < 0.0 { p(0, 0.01) * *x } else { *x }),
        "Clip" => v.iter_mut().for_each(|x| *x = x.max(p(0, f32::MIN)).min(p(1, f32::MAX))),
        "HardSigmoid" => v.iter_mut().for_each(|x| *x = (p(0, 0.2) * *x + p(1, 0.5)).clamp(0.0, 1.0)),
        "Gelu" | "gelu" => v.iter_mut().for_each(|x| *x = elementwise::gelu32(*x)),
        "Silu" | "silu" | "Swish" => v.iter_mut().for_each(|x| *x *= elementwise::sigmoid32(*x)),
        "Softplus" => v.iter_mut().for_each(|x| *x = x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "Elu" => v.iter_mut().for_each(|x| *x = if *x < 0.0 { p(0, 1.0) * x.exp_m1() } else { *x }),
        other => return Err(bad(format!("the activation {other:?} is not known"))),
    }
    Ok(())
}

/// A bias along the last dimension added to a tensor, in f32.
fn biased(x: &Tensor, bias: Option<&Tensor>) -> Result<Vec<f32>> {
    let mut v = x.to_f32s()?;
    if let Some(b) = bias {
        let n = x.dims().last().copied().unwrap_or(1);
        if b.len() != n {
            return Err(bad(format!("a bias of {n} numbers expected, {} found", b.told())));
        }
        let b = b.to_f32s()?;
        v.chunks_mut(n.max(1)).for_each(|row| row.iter_mut().zip(&b).for_each(|(x, b)| *x += b));
    }
    Ok(v)
}

fn gelu_with(call: &mut Call<'_, '_>, f: fn(f32) -> f32) -> Outputs {
    let (x, bias) = (call.tensor(0)?, call.optional(1)?);
    let mut v = biased(&x, bias.as_ref())?;
    v.iter_mut().for_each(|x| *x = f(*x));
    one(norm::like(&x, x.dims(), v)?)
}
pub(in crate::onnx) fn bias_gelu(call: &mut Call<'_, '_>) -> Outputs {
    gelu_with(call, elementwise::gelu32)
}
pub(in crate::onnx) fn fast_gelu(call: &mut Call<'_, '_>) -> Outputs {
    gelu_with(call, elementwise::gelu_tanh32)
}
pub(in crate::onnx) fn bias_add(call: &mut Call<'_, '_>) -> Outputs {
    let (x, bias, skip) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let sum = norm::like(&x, x.dims(), biased(&x, Some(&bias))?)?;
    one(elementwise::add_tensors(&sum, &skip)?)
}
pub(in crate::onnx) fn bias_split_gelu(call: &mut Call<'_, '_>) -> Outputs {
    let (x, bias) = (call.tensor(0)?, call.tensor(1)?);
    let v = biased(&x, Some(&bias))?;
    let n = x.dims().last().copied().unwrap_or(0);
    if n == 0 || n % 2 != 0 {
        return Err(bad(format!("an even last dimension expected, {} found", x.told())));
    }
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = n / 2;
    }
    let out = v.chunks(n).flat_map(|r| (0..n / 2).map(|i| r[i] * elementwise::gelu32(r[n / 2 + i]))).collect();
    one(norm::like(&x, &dims, out)?)
}
pub(in crate::onnx) fn bias_softmax(call: &mut Call<'_, '_>) -> Outputs {
    let (x, bias) = (call.tensor(0)?, call.tensor(1)?);
    let at = super::axis(call.int("axis", 1)?, x.rank())?;
    let n = product(&x.dims()[at..]);
    let sum = elementwise::add_tensors(&x, &bias)?;
    if sum.dims() != x.dims() {
        return Err(bad(format!("a bias {} that broadcasts to {}", bias.told(), x.told())));
    }
    let mut v = sum.to_f32s()?;
    super::reduce::softmax_rows(&mut v, n);
    one(norm::like(&x, x.dims(), v)?)
}

/// Input, skip and bias added; the skip may be broadcast over the batch.
fn skipped(x: &Tensor, skip: &Tensor, bias: Option<&Tensor>) -> Result<Vec<f32>> {
    let mut v = biased(x, bias)?;
    if skip.is_empty() || v.len() % skip.len() != 0 || skip.dims().last() != x.dims().last() {
        return Err(bad(format!("a skip that fits {} expected, {} found", x.told(), skip.told())));
    }
    let s = skip.to_f32s()?;
    v.chunks_mut(s.len()).for_each(|part| part.iter_mut().zip(&s).for_each(|(x, s)| *x += s));
    Ok(v)
}
fn width(x: &Tensor, gamma: &Tensor) -> Result<usize> {
    let n = x.dims().last().copied().unwrap_or(0);
    if n == 0 || gamma.len() != n {
        return Err(bad(format!("a scale {} for {}", gamma.told(), x.told())));
    }
    Ok(n)
}

fn skip_norm(call: &mut Call<'_, '_>, simple: bool) -> Outputs {
    let (x, skip, gamma) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let beta = if simple { None } else { call.optional(3)? };
    let bias = call.optional(if simple { 3 } else { 4 })?;
    let n = width(&x, &gamma)?;
    let eps = f64::from(call.float("epsilon", 1e-12)?);
    let mut v = skipped(&x, &skip, bias.as_ref())?;
    let sum = norm::like(&x, x.dims(), v.clone())?;
    let scale = gamma.to_f32s()?;
    if beta.as_ref().is_some_and(|b| b.len() != n) {
        return Err(bad(format!("a shift of {n} numbers expected")));
    }
    let beta = beta.map(|b| b.to_f32s()).transpose()?;
    let (means, deviations) = if simple {
        let d = norm::rms_rows(&mut v, n, eps, &scale);
        (vec![0.0; d.len()], d)
    } else {
        norm::layer_rows(&mut v, n, eps, &scale, beta.as_deref())
    };
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = 1;
    }
    Ok(vec![
        norm::like(&x, x.dims(), v)?.into(),
        Tensor::of(dims.clone(), Data::F32(means))?.into(),
        Tensor::of(dims, Data::F32(deviations))?.into(),
        sum.into(),
    ])
}
pub(in crate::onnx) fn skip_layer_normalization(call: &mut Call<'_, '_>) -> Outputs {
    skip_norm(call, false)
}
pub(in crate::onnx) fn skip_simplified_layer_normalization(call: &mut Call<'_, '_>) -> Outputs {
    skip_norm(call, true)
}
pub(in crate::onnx) fn simplified_layer_normalization(call: &mut Call<'_, '_>) -> Outputs {
    norm::rms_normalization(call)
}

/// Looks up rows of embeddings: flat ids, `[rows, n]`.
fn looked_up(table: &Tensor, ids: &[i64], into: &mut [f32], n: usize) -> Result<()> {
    let rows = table.dims().first().copied().unwrap_or(0);
    if table.rank() != 2 || table.dims()[1] != n {
        return Err(bad(format!("embeddings of {n} numbers expected, {} found", table.told())));
    }
    let v = table.to_f32s()?;
    for (id, to) in ids.iter().zip(into.chunks_mut(n.max(1))) {
        let i = super::gather::place(*id, rows)?;
        to.iter_mut().zip(&v[i * n..]).for_each(|(x, e)| *x += e);
    }
    Ok(())
}

pub(in crate::onnx) fn embed_layer_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let (ids, segments) = (call.tensor(0)?, call.optional(1)?);
    let (words, positions, kinds) = (call.tensor(2)?, call.tensor(3)?, call.optional(4)?);
    let (gamma, beta, mask, places) = (call.tensor(5)?, call.tensor(6)?, call.optional(7)?, call.optional(8)?);
    let ([b, s], Some(n)) = (ids.dims(), words.dims().get(1)) else {
        return Err(bad(format!("ids {} and embeddings {}", ids.told(), words.told())));
    };
    let (b, s, n) = (*b, *s, *n);
    let total = room(&[b, s, n], 4)?;
    let mut v = vec![0.0; total];
    looked_up(&words, &ids.to_i64s()?, &mut v, n)?;
    let places = match places {
        Some(p) if p.len() == b * s => p.to_i64s()?,
        Some(p) => p.to_i64s()?.into_iter().cycle().take(b * s).collect(),
        None => (0..b * s).map(|i| (i % s.max(1)) as i64).collect(),
    };
    looked_up(&positions, &places, &mut v, n)?;
    if let (Some(segments), Some(kinds)) = (&segments, &kinds) {
        looked_up(kinds, &segments.to_i64s()?, &mut v, n)?;
    }
    let sum = Tensor::of([b, s, n], Data::F32(v.clone()))?;
    if gamma.len() != n || beta.len() != n {
        return Err(bad(format!("a scale and a shift of {n} numbers expected")));
    }
    let eps = f64::from(call.float("epsilon", 1e-12)?);
    norm::layer_rows(&mut v, n, eps, &gamma.to_f32s()?, Some(&beta.to_f32s()?));
    let counts = match mask {
        Some(m) => m.to_i64s()?.chunks(s.max(1)).map(|r| r.iter().filter(|x| **x == 1).count() as i32).collect(),
        None => vec![0i32; b],
    };
    Ok(vec![
        norm::like(&words, &[b, s, n], v)?.into(),
        Tensor::of([counts.len()], Data::I32(counts))?.into(),
        sum.cast(words.kind())?.into(),
    ])
}

fn group_norm_of(call: &mut Call<'_, '_>, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
    let groups = size(call.int("groups", 32)?)?;
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let last = call.flag("channels_last", true)?;
    let plane = if last { channels_second(x)? } else { x.clone() };
    let channels = plane.dims().get(1).copied().unwrap_or(0);
    if groups == 0 || channels == 0 || channels % groups != 0 || gamma.len() != channels || beta.len() != channels {
        return Err(bad(format!("{groups} groups of {}", x.told())));
    }
    let inner = product(&plane.dims()[2..]).max(1);
    let ones = vec![1.0; inner * (channels / groups)];
    let mut v = plane.to_f32s()?;
    norm::layer_rows(&mut v, inner * (channels / groups), eps, &ones, None);
    let (g, b) = (gamma.to_f32s()?, beta.to_f32s()?);
    let silu = call.int("activation", 0)? == 1;
    for (i, x) in v.iter_mut().enumerate() {
        let c = i / inner % channels;
        *x = *x * g[c] + b[c];
        if silu {
            *x *= elementwise::sigmoid32(*x);
        }
    }
    let y = norm::like(x, plane.dims(), v)?;
    if last { channels_last(&y) } else { Ok(y) }
}
pub(in crate::onnx) fn group_norm(call: &mut Call<'_, '_>) -> Outputs {
    let (x, gamma, beta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    one(group_norm_of(call, &x, &gamma, &beta)?)
}
pub(in crate::onnx) fn skip_group_norm(call: &mut Call<'_, '_>) -> Outputs {
    let (x, gamma, beta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (skip, bias) = (call.tensor(3)?, call.optional(4)?);
    let skip =
        if skip.rank() == 2 && x.rank() == 4 { skip.reshaped([skip.dims()[0], 1, 1, skip.dims()[1]])? } else { skip };
    let mut sum = elementwise::add_tensors(&x, &skip)?;
    if let Some(b) = bias {
        sum = elementwise::add_tensors(&sum, &b)?;
    }
    let y = group_norm_of(call, &sum, &gamma, &beta)?;
    Ok(vec![y.into(), sum.into()])
}

pub(in crate::onnx) fn expand_dims(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let at = super::axis(super::single_i64(&call.tensor(1)?)?, x.rank() + 1)?;
    let mut dims = x.dims().to_vec();
    dims.insert(at, 1);
    one(x.reshaped(dims)?)
}
pub(in crate::onnx) fn bias_dropout(call: &mut Call<'_, '_>) -> Outputs {
    let (x, bias, skip) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let mut y = elementwise::add_tensors(&x, &bias)?;
    if let Some(s) = skip {
        y = elementwise::add_tensors(&y, &s)?;
    }
    let mask = Tensor::of(x.dims(), Data::Bool(vec![true; x.len()]))?;
    Ok(vec![y.into(), mask.into()])
}

fn complex_product(call: &mut Call<'_, '_>, sign: f64) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    if a.dims() != b.dims() || a.dims().last() != Some(&2) {
        return Err(bad(format!("complex numbers along the last axis expected, {} and {} found", a.told(), b.told())));
    }
    let (x, y) = (a.to_f64s()?, b.to_f64s()?);
    let out: Vec<f64> = x
        .as_chunks::<2>()
        .0
        .iter()
        .zip(y.as_chunks::<2>().0)
        .flat_map(|(a, b)| [a[0] * b[0] - sign * a[1] * b[1], sign * a[0] * b[1] + a[1] * b[0]])
        .collect();
    one(a.with(cast::from_f64s(a.kind(), &out, Rounding::default())?)?)
}
pub(in crate::onnx) fn complex_mul(call: &mut Call<'_, '_>) -> Outputs {
    complex_product(call, 1.0)
}
pub(in crate::onnx) fn complex_mul_conj(call: &mut Call<'_, '_>) -> Outputs {
    complex_product(call, -1.0)
}

pub(in crate::onnx) fn inverse(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [.., n, m] = x.dims()[..] else { return Err(bad(format!("matrices expected, {} found", x.told()))) };
    if n != m {
        return Err(bad(format!("square matrices expected, {} found", x.told())));
    }
    call.spend(x.len().saturating_mul(n))?;
    let mut v = x.to_f64s()?;
    for a in v.chunks_mut((n * n).max(1)) {
        let mut b: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
        for i in 0..n {
            let pivot = (i..n).max_by(|p, q| a[p * n + i].abs().total_cmp(&a[q * n + i].abs())).unwrap_or(i);
            if a[pivot * n + i] == 0.0 {
                return Err(bad("a matrix without an inverse"));
            }
            for j in 0..n {
                a.swap(i * n + j, pivot * n + j);
                b.swap(i * n + j, pivot * n + j);
            }
            let by = a[i * n + i];
            for j in 0..n {
                a[i * n + j] /= by;
                b[i * n + j] /= by;
            }
            for r in (0..n).filter(|r| *r != i) {
                let f = a[r * n + i];
                for j in 0..n {
                    a[r * n + j] -= f * a[i * n + j];
                    b[r * n + j] -= f * b[i * n + j];
                }
            }
        }
        a.copy_from_slice(&b);
    }
    one(x.with(cast::from_f64s(x.kind(), &v, Rounding::default())?)?)
}

pub(in crate::onnx) fn cdist(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let ([m, k], [n, k2]) = (a.dims(), b.dims()) else { return Err(bad("two matrices expected")) };
    if k != k2 {
        return Err(bad(format!("{} and {} of different widths", a.told(), b.told())));
    }
    let total = room(&[*m, *n], 8)?;
    call.spend(total.saturating_mul(*k))?;
    let root = call.text("metric", "sqeuclidean")? == "euclidean";
    let (x, y) = (a.to_f64s()?, b.to_f64s()?);
    let out: Vec<f64> = (0..total)
        .map(|i| {
            let (p, q) = (&x[i / n * k..][..*k], &y[i % n * k..][..*k]);
            let s: f64 = p.iter().zip(q).map(|(a, b)| (a - b).powi(2)).sum();
            if root { s.sqrt() } else { s }
        })
        .collect();
    one(Tensor::of([*m, *n], cast::from_f64s(a.kind(), &out, Rounding::default())?)?)
}

pub(in crate::onnx) fn n_gram_repeat_block(call: &mut Call<'_, '_>) -> Outputs {
    let (ids, scores) = (call.tensor(0)?, call.tensor(1)?);
    let n = size(call.int("ngram_size", 0)?)?;
    let ([b, len], [sb, words]) = (ids.dims(), scores.dims()) else {
        return Err(bad("ids and scores of rows expected"));
    };
    if b != sb || n == 0 {
        return Err(bad(format!("ids {} and scores {}, blocks of {n}", ids.told(), scores.told())));
    }
    let tokens = ids.to_i64s()?;
    let mut v = scores.to_f32s()?;
    for r in 0..*b {
        let row = &tokens[r * len..(r + 1) * len];
        let Some(start) = len.checked_sub(n - 1) else { continue };
        for i in 0..start.saturating_sub(usize::from(n > 1)) {
            if i + n <= *len && row[i..i + n - 1] == row[start..] {
                let w = super::gather::place(row[i + n - 1], *words)?;
                v[r * words + w] = f32::NEG_INFINITY;
            }
        }
    }
    one(norm::like(&scores, scores.dims(), v)?)
}

pub(in crate::onnx) fn relative_position_bias(call: &mut Call<'_, '_>) -> Outputs {
    let table = call.tensor(0)?;
    let (q, k) = (size(super::single_i64(&call.tensor(1)?)?)?, size(super::single_i64(&call.tensor(2)?)?)?);
    let far = call.int("max_distance", 0)?;
    let both = call.flag("is_bidirectional", false)?;
    let [buckets, heads] = table.dims()[..] else {
        return Err(bad(format!("a table of two dimensions expected, {} found", table.told())));
    };
    if far < 1 || buckets == 0 {
        return Err(bad("a max_distance of at least 1 expected"));
    }
    let total = room(&[1, heads, q, k], 4)?;
    let v = table.to_f32s()?;
    let of = |i: usize, j: usize| {
        let mut n = (i as i64) - (j as i64);
        let mut count = buckets as i64;
        let mut base = 0;
        if both {
            count /= 2;
            if n < 0 {
                base = count;
            }
            n = n.abs();
        } else {
            n = n.max(0);
        }
        let exact = (count / 2).max(1);
        let bucket = if n < exact {
            n
        } else {
            let far = (n as f32 / exact as f32).ln() / (far as f32 / exact as f32).ln() * (count - exact) as f32;
            (exact + far as i64).min(count - 1)
        };
        (base + bucket).clamp(0, buckets as i64 - 1) as usize
    };
    let mut out = Vec::with_capacity(total);
    for h in 0..heads {
        for i in 0..q {
            out.extend((0..k).map(|j| v[of(i, j) * heads + h]));
        }
    }
    one(norm::like(&table, &[1, heads, q, k], out)?)
}
