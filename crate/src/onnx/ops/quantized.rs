//! Numbers by scale and zero point.

use super::{
    axis,
    conv::{Sizes, add_bias, multiply_whole},
    matrix, product,
};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding, small_bits},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room},
    },
};

/// For each element of a tensor the place of its scale: one for all, one for each slice of an axis, or one for each
/// block along it.
pub(super) fn scale_places(x: &[usize], scale: &[usize], at: usize, block: usize) -> Result<Vec<usize>> {
    let n = product(x);
    let inner = product(&x[(at + 1).min(x.len())..]);
    let count = product(scale);
    if count == 1 && scale.len() <= 1 {
        return Ok(vec![0; n]);
    }
    if block == 0 {
        if scale.len() > 1 || x.get(at).is_none_or(|d| *d != count) {
            return Err(bad(format!("scales of shape {scale:?} along axis {at} of {x:?}")));
        }
        return Ok((0..n).map(|i| i / inner % count).collect());
    }
    let fits = scale.len() == x.len()
        && (0..x.len()).all(|d| if d == at { scale[d] == x[d].div_ceil(block) } else { scale[d] == x[d] });
    if !fits {
        return Err(bad(format!("scales of shape {scale:?} for blocks of {block} along axis {at} of {x:?}")));
    }
    let (len, blocks) = (x[at], scale[at]);
    Ok((0..n).map(|i| (i / inner / len * blocks + i / inner % len / block) * inner + i % inner).collect())
}

/// The range of a quantized type.
fn range(kind: Type) -> Option<(f64, f64)> {
    Some(match kind {
        Type::U8 => (0.0, 255.0),
        Type::I8 => (-128.0, 127.0),
        Type::U16 => (0.0, 65_535.0),
        Type::I16 => (-32_768.0, 32_767.0),
        Type::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        Type::U4 => (0.0, 15.0),
        Type::I4 => (-8.0, 7.0),
        Type::U2 => (0.0, 3.0),
        Type::I2 => (-2.0, 1.0),
        _ => return None,
    })
}

/// Values rounded and saturated to a quantized type.
pub(super) fn saturated(kind: Type, v: &[f64]) -> Result<Data> {
    let (low, high) = range(kind).ok_or_else(|| bad(format!("a quantized type expected, {} found", kind.name())))?;
    let whole: Vec<i64> = v.iter().map(|x| x.round_ties_even().clamp(low, high) as i64).collect();
    cast::from_i64s(kind, &whole)
}

/// Axis of the scales; it may be beyond a tensor whose scale is single.
fn scale_axis(call: &Call<'_, '_>, x: &Tensor, scale: &Tensor) -> Result<usize> {
    if scale.len() == 1 && scale.rank() <= 1 {
        return Ok(0);
    }
    axis(call.int("axis", 1)?, x.rank())
}

pub(in crate::onnx) fn quantize_linear(call: &mut Call<'_, '_>) -> Outputs {
    let (x, scale, zero) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let kind = match (&zero, call.attr_type("output_dtype")?) {
        (Some(z), _) => z.kind(),
        (None, Some(kind)) => kind,
        (None, None) => Type::U8,
    };
    let at = scale_axis(call, &x, &scale)?;
    let places = scale_places(x.dims(), scale.dims(), at, super::size(call.int("block_size", 0)?)?)?;
    let saturate = call.flag("saturate", true)?;
    let precision = call.attr_type("precision")?;
    let half = |v: f64| match (x.kind(), precision) {
        (Type::F16, Some(Type::F16) | None) if scale.kind() == Type::F16 => {
            f64::from(crate::onnx::value::Half::of(v as f32).wide())
        }
        _ => f64::from(v as f32),
    };
    let s = scale.to_f64s()?;
    let v: Vec<f64> = x.to_f64s()?.iter().zip(&places).map(|(v, p)| half(v / s[*p])).collect();
    if range(kind).is_some() {
        let z = zero.map(|z| z.to_f64s()).transpose()?;
        let of = |p: usize| z.as_ref().map_or(0.0, |z| z.get(p).copied().unwrap_or(0.0));
        let v: Vec<f64> = v.iter().zip(&places).map(|(v, p)| v.round_ties_even() + of(*p)).collect();
        return one(x.with(saturated(kind, &v)?)?);
    }
    let how = Rounding { saturate, ..Rounding::default() };
    if kind.is_small() {
        return one(x.with(Data::Small(kind, v.iter().map(|v| small_bits(kind, *v as f32, how)).collect()))?);
    }
    Err(bad(format!("a quantized type expected, {} found", kind.name())))
}

pub(in crate::onnx) fn dequantize_linear(call: &mut Call<'_, '_>) -> Outputs {
    let (x, scale, zero) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let kind = call.attr_type("output_dtype")?.unwrap_or_else(|| scale.kind());
    let at = scale_axis(call, &x, &scale)?;
    let block = super::size(call.int("block_size", 0)?)?;
    let v = x.to_f32s()?;
    let s = scale.to_f32s()?;
    let z = zero.map(|z| z.to_f32s()).transpose()?;
    if z.as_ref().is_some_and(|z| z.len() != s.len()) {
        return Err(bad("as many zero points as scales expected"));
    }
    // i32 leaves f32's exact numbers.
    if x.kind() == Type::I32 {
        let places = scale_places(x.dims(), scale.dims(), at, block)?;
        let (v, s) = (x.to_f64s()?, scale.to_f64s()?);
        let out: Vec<f64> =
            v.iter().zip(&places).map(|(v, p)| (v - z.as_ref().map_or(0.0, |z| f64::from(z[*p]))) * s[*p]).collect();
        return one(x.with(cast::from_f64s(kind, &out, Rounding::default())?)?);
    }
    let out: Vec<f32> = if s.len() == 1 && scale.rank() <= 1 {
        let (s, z) = (s[0], z.map_or(0.0, |z| z[0]));
        v.into_iter().map(|v| (v - z) * s).collect()
    } else {
        let places = scale_places(x.dims(), scale.dims(), at, block)?;
        v.iter().zip(&places).map(|(v, p)| (v - z.as_ref().map_or(0.0, |z| z[*p])) * s[*p]).collect()
    };
    one(x.with(cast::from_f32s(kind, out)?)?)
}

/// A tensor as bytes with its scale and zero point.
pub(super) fn dynamic(x: &Tensor) -> Result<(Vec<f64>, f32, u8)> {
    let v = x.to_f32s()?;
    let low = v.iter().copied().fold(0.0f32, f32::min);
    let high = v.iter().copied().fold(0.0f32, f32::max);
    let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
    let zero = (-low / scale).round_ties_even().clamp(0.0, 255.0);
    let q = v.iter().map(|x| f64::from(((x / scale).round_ties_even() + zero).clamp(0.0, 255.0))).collect();
    Ok((q, scale, zero as u8))
}
pub(in crate::onnx) fn dynamic_quantize_linear(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (q, scale, zero) = dynamic(&x)?;
    Ok(vec![
        x.with(Data::U8(q.iter().map(|v| *v as u8).collect()))?.into(),
        Tensor::of([], Data::F32(vec![scale]))?.into(),
        Tensor::of([], Data::U8(vec![zero]))?.into(),
    ])
}

/// Values less their zero point: one, or one for each row (`by_row`) or column of matrices.
pub(super) fn centred(x: &Tensor, zero: Option<&Tensor>, by_row: bool) -> Result<Vec<f32>> {
    let mut v = x.to_f32s()?;
    let Some(zero) = zero else { return Ok(v) };
    let z = zero.to_f32s()?;
    match z.len() {
        1 => v.iter_mut().for_each(|v| *v -= z[0]),
        n => {
            let columns = x.dims().last().copied().unwrap_or(1);
            let rows = x.rank().checked_sub(2).map_or(1, |d| x.dims()[d]);
            if by_row && zero.rank() > 1 && n == x.len() / columns.max(1) {
                v.iter_mut().enumerate().for_each(|(i, v)| *v -= z[i / columns]);
            } else if by_row && n == rows {
                v.iter_mut().enumerate().for_each(|(i, v)| *v -= z[i / columns % rows]);
            } else if !by_row && n == columns {
                v.iter_mut().enumerate().for_each(|(i, v)| *v -= z[i % columns]);
            } else if !by_row && columns > 0 && n == x.len() / rows.max(1) {
                v.iter_mut().enumerate().for_each(|(i, v)| *v -= z[i / (rows * columns) * columns + i % columns]);
            } else {
                return Err(bad(format!("zero points {} of {}", zero.told(), x.told())));
            }
        }
    }
    Ok(v)
}

/// The exact product of whole numbers, as i32.
pub(super) fn whole_product(
    call: &mut Call<'_, '_>,
    a: &Tensor,
    az: Option<&Tensor>,
    b: &Tensor,
    bz: Option<&Tensor>,
) -> Result<Tensor> {
    let (x, y) = (centred(a, az, true)?, centred(b, bz, false)?);
    if let ([.., k], [k2, n]) = (a.dims(), b.dims()) {
        if k != k2 {
            return Err(bad(format!("{} and {} cannot be multiplied", a.told(), b.told())));
        }
        let m = x.len() / (*k).max(1);
        let mut dims = a.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = *n;
        }
        let total = room(&dims, 4)?;
        call.spend(total.saturating_mul(*k))?;
        let mut out = vec![0i32; total];
        if total > 0 && *k > 0 {
            multiply_whole(call, &x, m, *k, &y, *n, &mut out);
        }
        return Tensor::of(dims, Data::I32(out));
    }
    let (x, y): (Vec<f64>, Vec<f64>) = (x.into_iter().map(f64::from).collect(), y.into_iter().map(f64::from).collect());
    let (x, y) = (Tensor::of(a.dims(), Data::F64(x))?, Tensor::of(b.dims(), Data::F64(y))?);
    matrix::product_of(call, &x, &y)?.cast(Type::I32)
}

pub(in crate::onnx) fn mat_mul_integer(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b, az, bz) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?, call.optional(3)?);
    one(whole_product(call, &a, az.as_ref(), &b, bz.as_ref())?)
}

pub(in crate::onnx) fn qlinear_mat_mul(call: &mut Call<'_, '_>) -> Outputs {
    let t = call.tensors()?;
    let [a, sa, za, b, sb, zb, sy, zy] = &t[..] else { return Err(bad("8 inputs expected")) };
    let sum = whole_product(call, a, Some(za), b, Some(zb))?;
    if sy.is_empty() || zy.is_empty() {
        return Err(bad("a scale and a zero point of the result expected"));
    }
    let (sa, sb, sy) = (scales(sa, a, true)?, scales(sb, b, false)?, sy.to_f64s()?);
    let n = sum.dims().last().copied().unwrap_or(1).max(1);
    let rows = sum.rank().checked_sub(2).map_or(1, |d| sum.dims()[d]);
    let z = zy.to_f64s()?;
    let v: Vec<f64> = sum
        .to_f64s()?
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let s = sa[i / n % rows % sa.len()] * sb[i % n % sb.len()];
            let o = i / n % rows % sy.len();
            (v * s / sy[o]).round_ties_even() + z[o % z.len()]
        })
        .collect();
    one(sum.with(saturated(zy.kind(), &v)?)?)
}
fn scales(s: &Tensor, x: &Tensor, by_row: bool) -> Result<Vec<f64>> {
    let axis = if by_row { x.rank().checked_sub(2) } else { x.rank().checked_sub(1) };
    let n = axis.map_or(1, |d| x.dims()[d]);
    if s.len() != 1 && s.len() != n {
        return Err(bad(format!("scales {} of {}", s.told(), x.told())));
    }
    s.to_f64s()
}

/// The exact convolution of whole numbers.
fn whole_conv(
    call: &mut Call<'_, '_>,
    x: &Tensor,
    xz: Option<&Tensor>,
    w: &Tensor,
    wz: Option<&Tensor>,
) -> Result<(Sizes, Vec<i32>)> {
    let sizes = Sizes::of(call, x, w)?;
    let xs = centred(x, xz, true)?;
    let mut ws = w.to_f32s()?;
    if let Some(z) = wz {
        let z = z.to_f32s()?;
        let each = ws.len() / sizes.maps.max(1);
        if z.len() != 1 && z.len() != sizes.maps {
            return Err(bad(format!("{} zero points for {} maps", z.len(), sizes.maps)));
        }
        ws.iter_mut().enumerate().for_each(|(i, v)| *v -= z[i / each % z.len()]);
    }
    let out = sizes.run(call, &xs, &ws, multiply_whole)?;
    Ok((sizes, out))
}
pub(in crate::onnx) fn conv_integer(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, xz, wz) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?, call.optional(3)?);
    let (sizes, out) = whole_conv(call, &x, xz.as_ref(), &w, wz.as_ref())?;
    one(Tensor::of(sizes.dims(), Data::I32(out))?)
}
pub(in crate::onnx) fn qlinear_conv(call: &mut Call<'_, '_>) -> Outputs {
    let at = |i: usize| call.tensor(i);
    let (x, sx, zx, w, sw, zw, sy, zy) = (at(0)?, at(1)?, at(2)?, at(3)?, at(4)?, at(5)?, at(6)?, at(7)?);
    let bias = call.optional(8)?;
    let (sizes, mut out) = whole_conv(call, &x, Some(&zx), &w, Some(&zw))?;
    let n = product(&sizes.output);
    if let Some(b) = bias {
        let b: Vec<i32> = b.to_i64s()?.iter().map(|v| *v as i32).collect();
        if b.len() != sizes.maps {
            return Err(bad(format!("{} biases expected, {} found", sizes.maps, b.len())));
        }
        add_bias(&mut out, &b, n);
    }
    let (sx, sw, sy, zy64) = (super::single_f64(&sx)?, sw.to_f64s()?, super::single_f64(&sy)?, super::single_f64(&zy)?);
    if sw.len() != 1 && sw.len() != sizes.maps {
        return Err(bad(format!("{} scales for {} maps", sw.len(), sizes.maps)));
    }
    let v: Vec<f64> = out
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let s = (sx as f32 * sw[i / n.max(1) % sizes.maps % sw.len()] as f32) / sy as f32;
            f64::from(*v as f32 * s).round_ties_even() + zy64
        })
        .collect();
    one(Tensor::of(sizes.dims(), saturated(zy.kind(), &v)?)?)
}
