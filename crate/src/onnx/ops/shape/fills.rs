//! Tensors that are made: constants, ranges, identities.

use crate::onnx::cast::{self, Rounding};
use crate::onnx::graph::Attr;
use crate::onnx::ops::{single_i64, sizes};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor, Type, room, same_type};

pub(in crate::onnx) fn constant(call: &mut Call<'_, '_>) -> Outputs {
    let Some((name, _)) = call.node.attributes.first() else { return Err(bad("a constant without a value")) };
    let tensor = match call.attr(name) {
        Some(Attr::Tensor(t)) => t.clone(),
        Some(Attr::Sparse(s)) => s.dense()?,
        Some(Attr::Int(n)) => Tensor::of([], Data::I64(vec![*n]))?,
        Some(Attr::Ints(v)) => Tensor::of([v.len()], Data::I64(v.to_vec()))?,
        Some(Attr::Float(x)) => Tensor::of([], Data::F32(vec![*x]))?,
        Some(Attr::Floats(v)) => Tensor::of([v.len()], Data::F32(v.to_vec()))?,
        Some(Attr::Text(s)) => Tensor::of([], Data::Str(vec![String::from_utf8_lossy(s).into()]))?,
        Some(Attr::Texts(v)) => Tensor::of([v.len()], Data::Str(v.to_vec()))?,
        _ => return Err(bad("a constant without a value")),
    };
    one(tensor)
}

pub(in crate::onnx) fn constant_of_shape(call: &mut Call<'_, '_>) -> Outputs {
    let dims = sizes(&call.tensor(0)?.to_i64s()?)?;
    let value = match call.attr_tensor("value")? {
        Some(value) => value,
        None => Tensor::of([1], Data::F32(vec![0.0]))?,
    };
    if value.len() != 1 {
        return Err(bad(format!("a value of one element expected, {} found", value.told())));
    }
    let n = room(&dims, value.kind().size())?;
    one(Tensor::of(dims, same_type!(value.data(), v => vec![v[0].clone(); n]))?)
}

pub(in crate::onnx) fn eye_like(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [h, w] = x.dims()[..] else { return Err(bad(format!("2 dimensions expected, {} found", x.told()))) };
    let kind = call.attr_type("dtype")?.unwrap_or_else(|| x.kind());
    let k = call.int("k", 0)?;
    room(&[h, w], 8)?;
    let v: Vec<f64> = (0..h * w)
        .map(|i| f64::from(u8::from((i % w.max(1)) as i64 == ((i / w.max(1)) as i64).saturating_add(k))))
        .collect();
    one(Tensor::of([h, w], cast::from_f64s(kind, &v, Rounding::default())?)?)
}

pub(in crate::onnx) fn range(call: &mut Call<'_, '_>) -> Outputs {
    let (start, limit, delta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let kind = start.kind();
    if kind.is_float() {
        let of = crate::onnx::ops::single_f64;
        let (s, l, d) = (of(&start)?, of(&limit)?, of(&delta)?);
        let n = ((l - s) / d).ceil().max(0.0);
        if !n.is_finite() || n > 1e18 {
            return Err(bad(format!("a range from {s} to {l} by {d}")));
        }
        let n = room(&[n as usize], 8)?;
        let v: Vec<f64> = if kind == Type::F32 {
            (0..n).map(|i| f64::from(s as f32 + i as f32 * d as f32)).collect()
        } else {
            (0..n).map(|i| s + i as f64 * d).collect()
        };
        return one(Tensor::of([n], cast::from_f64s(kind, &v, Rounding::default())?)?);
    }
    let (s, l, d) = (single_i64(&start)?, single_i64(&limit)?, single_i64(&delta)?);
    if d == 0 {
        return Err(bad("a range by steps of 0"));
    }
    let span = i128::from(l) - i128::from(s);
    let n = if (span > 0) == (d > 0) { (span.abs() + i128::from(d).abs() - 1) / i128::from(d).abs() } else { 0 };
    let n = room(&[usize::try_from(n).map_err(|_| bad("a range of too many numbers"))?], 8)?;
    let v: Vec<i64> = (0..n as i64).map(|i| s.wrapping_add(i.wrapping_mul(d))).collect();
    one(Tensor::of([n], cast::from_i64s(kind, &v)?)?)
}
