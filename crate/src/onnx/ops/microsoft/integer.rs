//! Operators on numbers by scale and zero point.

use crate::{
    fault::Result,
    onnx::{
        ops::{
            axis, product,
            quantized::{dynamic, saturated, whole_product},
            single_f64,
        },
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Value},
    },
};

/// An integer product by its scales, and a bias.
pub(super) fn scaled_sum(sum: &Tensor, xs: &Tensor, ws: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let n = sum.dims().last().copied().unwrap_or(1).max(1);
    let (x, w) = (single_f64(&xs.reshaped([xs.len()])?)? as f32, ws.to_f32s()?);
    if w.len() != 1 && w.len() != n {
        return Err(bad(format!("{} scales for {n} columns", w.len())));
    }
    let b = bias.map(|b| b.to_f32s()).transpose()?;
    if b.as_ref().is_some_and(|b| b.len() != n) {
        return Err(bad(format!("{n} biases expected")));
    }
    let v = sum.to_f32s()?;
    let out = v
        .iter()
        .enumerate()
        .map(|(i, v)| v * (x * w[i % n % w.len()]) + b.as_ref().map_or(0.0, |b| b[i % n]))
        .collect();
    sum.with(Data::F32(out))
}

pub(in crate::onnx) fn mat_mul_integer_to_float(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b, sa, sb) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.tensor(3)?);
    let (za, zb, bias) = (call.optional(4)?, call.optional(5)?, call.optional(6)?);
    let sum = whole_product(call, &a, za.as_ref(), &b, zb.as_ref())?;
    one(scaled_sum(&sum, &sa, &sb, bias.as_ref())?)
}

pub(in crate::onnx) fn dynamic_quantize_mat_mul(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b, sb) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (zb, bias) = (call.optional(3)?, call.optional(4)?);
    let (q, scale, zero) = dynamic(&a)?;
    let a = a.with(Data::U8(q.iter().map(|v| *v as u8).collect()))?;
    let za = Tensor::of([], Data::U8(vec![zero]))?;
    let sum = whole_product(call, &a, Some(&za), &b, zb.as_ref())?;
    one(scaled_sum(&sum, &Tensor::of([1], Data::F32(vec![scale]))?, &sb, bias.as_ref())?)
}

pub(in crate::onnx) fn mat_mul_integer16(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let kind = crate::onnx::value::Type::I32;
    let (a, b) = (a.cast(kind)?, b.cast(kind)?);
    one(crate::onnx::ops::matrix::product_of(call, &a, &b)?)
}

/// A tensor's values by its scale and zero point.
fn real(x: &Tensor, scale: &Tensor, zero: Option<&Tensor>) -> Result<Vec<f64>> {
    let s = single_f64(&scale.reshaped([scale.len()])?)?;
    let z = zero.map(|z| single_f64(&z.reshaped([z.len()])?)).transpose()?.unwrap_or(0.0);
    Ok(x.to_f64s()?.into_iter().map(|v| (v - z) * s).collect())
}

/// Values as a quantized tensor.
fn quantized(dims: &[usize], v: &[f64], scale: &Tensor, zero: Option<&Tensor>, like: &Tensor) -> Result<Tensor> {
    let s = single_f64(&scale.reshaped([scale.len()])?)?;
    let z = zero.map(|z| single_f64(&z.reshaped([z.len()])?)).transpose()?.unwrap_or(0.0);
    let kind = zero.map_or_else(|| like.kind(), Tensor::kind);
    let q: Vec<f64> = v.iter().map(|v| (v / s).round_ties_even() + z).collect();
    Tensor::of(dims, saturated(kind, &q)?)
}

fn combined(call: &mut Call<'_, '_>, f: fn(f64, f64) -> f64) -> Outputs {
    let (a, sa, za) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let (b, sb, zb) = (call.tensor(3)?, call.tensor(4)?, call.optional(5)?);
    let (sc, zc) = (call.tensor(6)?, call.optional(7)?);
    let (x, y) = (real(&a, &sa, za.as_ref())?, real(&b, &sb, zb.as_ref())?);
    let (dims, out) = crate::onnx::ops::zip((&x, a.dims()), (&y, b.dims()), |x, y| f(*x, *y))?;
    one(quantized(&dims, &out, &sc, zc.as_ref(), &a)?)
}
pub(in crate::onnx) fn qlinear_add(call: &mut Call<'_, '_>) -> Outputs {
    combined(call, |a, b| a + b)
}
pub(in crate::onnx) fn qlinear_mul(call: &mut Call<'_, '_>) -> Outputs {
    combined(call, |a, b| a * b)
}

fn mapped(call: &mut Call<'_, '_>, f: impl Fn(f64) -> f64) -> Outputs {
    let (x, sx, zx, sy, zy) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?, call.tensor(3)?, call.optional(4)?);
    let v: Vec<f64> = real(&x, &sx, zx.as_ref())?.into_iter().map(f).collect();
    one(quantized(x.dims(), &v, &sy, zy.as_ref(), &x)?)
}
pub(in crate::onnx) fn qlinear_sigmoid(call: &mut Call<'_, '_>) -> Outputs {
    mapped(call, |x| 1.0 / (1.0 + (-x).exp()))
}
pub(in crate::onnx) fn qlinear_leaky_relu(call: &mut Call<'_, '_>) -> Outputs {
    let a = f64::from(call.float("alpha", 0.01)?);
    mapped(call, |x| if x < 0.0 { a * x } else { x })
}

pub(in crate::onnx) fn qlinear_softmax(call: &mut Call<'_, '_>) -> Outputs {
    let (x, sx, sy, zy) = (call.tensor(0)?, call.tensor(1)?, call.tensor(3)?, call.optional(4)?);
    let new = call.int("opset", 13)? >= 13;
    let at = axis(call.int("axis", if new { -1 } else { 1 })?, x.rank())?;
    let (n, inner) = if new { (x.dims()[at], product(&x.dims()[at + 1..])) } else { (product(&x.dims()[at..]), 1) };
    let v = real(&x, &sx, None)?;
    let mut out = v.clone();
    for block in out.chunks_mut((n * inner).max(1)) {
        for i in 0..inner {
            let most = (0..n).map(|j| block[j * inner + i]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..n).map(|j| (block[j * inner + i] - most).exp()).sum();
            (0..n).for_each(|j| block[j * inner + i] = (block[j * inner + i] - most).exp() / sum);
        }
    }
    one(quantized(x.dims(), &out, &sy, zy.as_ref(), &x)?)
}

pub(in crate::onnx) fn qlinear_concat(call: &mut Call<'_, '_>) -> Outputs {
    let (sy, zy) = (call.tensor(0)?, call.tensor(1)?);
    let mut parts = Vec::new();
    for i in (2..call.inputs.len()).step_by(3) {
        let (x, s, z) = (call.tensor(i)?, call.tensor(i + 1)?, call.optional(i + 2)?);
        let v = real(&x, &s, z.as_ref())?;
        parts.push(quantized(x.dims(), &v, &sy, Some(&zy), &x)?);
    }
    let rank = parts.first().map_or(0, Tensor::rank);
    let at = axis(call.int("axis", 0)?, rank)?;
    one(crate::onnx::ops::shape::concatenated(&parts, at)?)
}

pub(in crate::onnx) fn qlinear_where(call: &mut Call<'_, '_>) -> Outputs {
    let (c, x, sx, zx) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.optional(3)?);
    let (y, sy, zy, sz, zz) = (call.tensor(4)?, call.tensor(5)?, call.optional(6)?, call.tensor(7)?, call.optional(8)?);
    let a = quantized(x.dims(), &real(&x, &sx, zx.as_ref())?, &sz, zz.as_ref(), &x)?;
    let b = quantized(y.dims(), &real(&y, &sy, zy.as_ref())?, &sz, zz.as_ref(), &y)?;
    one(crate::onnx::ops::elementwise::where_tensors(&c, &a, &b)?)
}

/// Runs an operator of floats on the real values of the first input, whose channels may be last.
fn by_floats(call: &mut Call<'_, '_>, f: impl Fn(&mut Call<'_, '_>) -> Outputs) -> Outputs {
    let (x, sx, zx, sy, zy) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?, call.tensor(3)?, call.optional(4)?);
    let v = real(&x, &sx, zx.as_ref())?;
    let mut wide = x.with(Data::F64(v))?;
    let last = call.flag("channels_last", false)?;
    if last {
        wide = super::channels_second(&wide)?;
    }
    call.inputs.truncate(1);
    call.inputs[0] = Some(wide.into());
    let Some(Value::Tensor(mut y)) = f(call)?.into_iter().next() else { return Err(bad("a tensor expected")) };
    if last {
        y = super::channels_last(&y)?;
    }
    one(quantized(y.dims(), &y.to_f64s()?, &sy, zy.as_ref(), &x)?)
}
pub(in crate::onnx) fn qlinear_average_pool(call: &mut Call<'_, '_>) -> Outputs {
    by_floats(call, crate::onnx::ops::pool::average_pool)
}
pub(in crate::onnx) fn qlinear_global_average_pool(call: &mut Call<'_, '_>) -> Outputs {
    by_floats(call, crate::onnx::ops::pool::global_average_pool)
}
pub(in crate::onnx) fn qlinear_reduce_mean(call: &mut Call<'_, '_>) -> Outputs {
    by_floats(call, crate::onnx::ops::reduce::reduce_mean)
}

pub(in crate::onnx) fn qlinear_conv(call: &mut Call<'_, '_>) -> Outputs {
    let last = call.flag("channels_last", false)?;
    if last {
        let x = super::channels_second(&call.tensor(0)?)?;
        call.inputs[0] = Some(x.into());
    }
    let mut out = crate::onnx::ops::quantized::qlinear_conv(call)?;
    if last && let Some(Value::Tensor(y)) = out.first() {
        out[0] = super::channels_last(y)?.into();
    }
    Ok(out)
}

pub(in crate::onnx) fn q_gemm(call: &mut Call<'_, '_>) -> Outputs {
    let (a, sa, za) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (b, sb, zb) = (call.tensor(3)?, call.tensor(4)?, call.tensor(5)?);
    let (c, sy, zy) = (call.optional(6)?, call.optional(7)?, call.optional(8)?);
    let a = if call.flag("transA", false)? { a.permuted(&[1, 0])? } else { a };
    let b = if call.flag("transB", false)? { b.permuted(&[1, 0])? } else { b };
    let mut sum = whole_product(call, &a, Some(&za), &b, Some(&zb))?;
    if let Some(c) = c {
        sum = crate::onnx::ops::elementwise::add_tensors(&sum, &c)?;
    }
    let alpha = f64::from(call.float("alpha", 1.0)?);
    let y = crate::onnx::ops::matrix::scaled(&scaled_sum(&sum, &sa, &sb, None)?, alpha)?;
    match sy {
        Some(sy) => one(quantized(y.dims(), &y.to_f64s()?, &sy, zy.as_ref(), &a)?),
        None => one(y),
    }
}
