//! Operators that work element by element.

mod activations;
mod number;

pub(in crate::onnx) use activations::{
    celu, elu, gelu, hard_sigmoid, leaky_relu, quick_gelu, selu, shrink, swish, thresholded_relu,
};
use number::Number;

use super::{broadcast_shape, loops, rows, zip};
use crate::{
    fault::Result,
    ir::eval::erf as exact_erf,
    onnx::{
        cast::{self, Power, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, integers2, numbers, numbers2, room, same_type2, wrong_type},
    },
};

/// A function of floats: f32 for float, float16 and bfloat16, f64 for double.
fn floats(call: &mut Call<'_, '_>, f: impl Fn(f32) -> f32, g: impl Fn(f64) -> f64) -> Outputs {
    let input = call.take(0)?;
    one(map_floats(input, f, g)?)
}

/// As [`floats`], for a tensor.
pub(super) fn map_floats(input: Tensor, f: impl Fn(f32) -> f32, g: impl Fn(f64) -> f64) -> Result<Tensor> {
    let (dims, kind) = (input.dims().to_vec(), input.kind());
    let data = match input.into_data() {
        Data::F32(mut v) => {
            v.iter_mut().for_each(|x| *x = f(*x));
            Data::F32(v)
        }
        Data::F64(mut v) => {
            v.iter_mut().for_each(|x| *x = g(*x));
            Data::F64(v)
        }
        other if kind.is_float() => {
            let v: Vec<f32> = cast::f32s(&other)?.into_iter().map(f).collect();
            cast::from_f32s(kind, v)?
        }
        other => return Err(wrong_type("a float", other.kind())),
    };
    Tensor::of(dims, data)
}

macro_rules! float_functions {
    ($($name:ident: $f:expr, $g:expr;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            floats(call, $f, $g)
        })*
    };
}

float_functions! {
    acos: f32::acos, f64::acos;
    acosh: f32::acosh, f64::acosh;
    asin: f32::asin, f64::asin;
    asinh: f32::asinh, f64::asinh;
    atan: f32::atan, f64::atan;
    atanh: f32::atanh, f64::atanh;
    ceil: f32::ceil, f64::ceil;
    cos: f32::cos, f64::cos;
    cosh: f32::cosh, f64::cosh;
    exp: f32::exp, f64::exp;
    floor: f32::floor, f64::floor;
    log: f32::ln, f64::ln;
    reciprocal: |x| 1.0 / x, |x| 1.0 / x;
    round: f32::round_ties_even, f64::round_ties_even;
    sigmoid: sigmoid32, sigmoid64;
    sin: f32::sin, f64::sin;
    sinh: f32::sinh, f64::sinh;
    softplus: softplus32, |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    softsign: |x| x / (1.0 + x.abs()), |x| x / (1.0 + x.abs());
    sqrt: f32::sqrt, f64::sqrt;
    tan: f32::tan, f64::tan;
    tanh: f32::tanh, f64::tanh;
    erf: erf32, exact_erf;
    hard_swish: |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0), |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
    mish: |x| x * softplus32(x).tanh(), |x: f64| x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh();
}

/// The logistic function.
pub(super) fn sigmoid32(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
fn sigmoid64(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
fn softplus32(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
/// The error function: its series near 0, Abramowitz and Stegun's 7.1.26 beyond (relative error below 2e-7 there).
pub(super) fn erf32(x: f32) -> f32 {
    let z = x.abs();
    if z < 0.9 {
        let s = z * z;
        let p = s.mul_add(-1.0 / 75_600.0, 1.0 / 9_360.0);
        let p = p.mul_add(s, -1.0 / 1_320.0);
        let p = p.mul_add(s, 1.0 / 216.0);
        let p = p.mul_add(s, -1.0 / 42.0);
        let p = p.mul_add(s, 1.0 / 10.0);
        let p = p.mul_add(s, -1.0 / 3.0);
        return std::f32::consts::FRAC_2_SQRT_PI * x * p.mul_add(s, 1.0);
    }
    if x.is_nan() {
        return x;
    }
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let p = t.mul_add(1.061_405_4, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7).mul_add(t, -0.284_496_74).mul_add(t, 0.254_829_6);
    (1.0 - p * t * (-z * z).exp()).copysign(x)
}
/// The Gaussian error linear unit.
pub(super) fn gelu32(x: f32) -> f32 {
    0.5 * x * (1.0 + erf32(x * std::f32::consts::FRAC_1_SQRT_2))
}
/// Its approximation by the hyperbolic tangent.
pub(super) fn gelu_tanh32(x: f32) -> f32 {
    0.5 * x * (1.0 + (0.797_884_6 * x * 0.044_715f32.mul_add(x * x, 1.0)).tanh())
}

fn greatest<T: Number>(a: T, b: T) -> T {
    if a > b || a.is_nan() { a } else { b }
}
fn least<T: Number>(a: T, b: T) -> T {
    if a < b || a.is_nan() { a } else { b }
}

macro_rules! number_functions {
    ($($name:ident: $f:expr;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            let (x, kind) = call.take(0)?.widened()?;
            let dims = x.dims().to_vec();
            let data = numbers!(x.into_data(), v => v.into_iter().map($f).collect(), else return Err(wrong_type("a number", kind)));
            one(Tensor::of(dims, data)?.cast(kind)?)
        })*
    };
}
number_functions! {
    abs: Number::abs;
    neg: Number::negative;
    sign: Number::sign;
    relu: |x| { let z = Number::zero(); greatest(x, z) };
}

/// Two tensors of one type of number; halves by way of f32.
fn pair(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor, Type)> {
    if a.kind() != b.kind() {
        return Err(bad(format!("operands of one type expected, {} and {} found", a.told(), b.told())));
    }
    let (wide, kind) = a.widened()?;
    Ok((wide, b.widened()?.0, kind))
}

macro_rules! binary_numbers {
    ($($name:ident, $on:ident: $f:expr;)*) => {
        $(
        pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            let (a, b) = legacy(call)?;
            one($on(&a, &b)?)
        }
        pub(super) fn $on(a: &Tensor, b: &Tensor) -> Result<Tensor> {
            let (a, b, kind) = pair(a, b)?;
            let dims;
            let data = numbers2!(a.data(), b.data(), v, w => {
                let (d, out) = zip((v, a.dims()), (w, b.dims()), |x, y| $f(*x, *y))?;
                dims = d;
                out
            }, else return Err(wrong_type("a number", kind)));
            Tensor::of(dims, data)?.cast(kind)
        })*
    };
}
binary_numbers! {
    add, add_tensors: Number::plus;
    sub, sub_tensors: Number::minus;
    mul, mul_tensors: Number::times;
    quotient, div_tensors: Number::over;
    modulo, mod_tensors: Number::modulo;
    remainder, rem_tensors: Number::remainder;
}

/// The two operands; before opset 7 the second was broadcast from an axis that an attribute named.
fn legacy(call: &mut Call<'_, '_>) -> Result<(Tensor, Tensor)> {
    let (a, mut b) = (call.tensor(0)?, call.tensor(1)?);
    if call.version < 7
        && call.node.op.bytes().all(|c| c != b'.')
        && let Some(axis) = call.int_opt("axis")?
    {
        let axis = super::axis(axis, a.rank().max(1))?;
        let mut dims = b.dims().to_vec();
        while dims.len() + axis < a.rank() {
            dims.push(1);
        }
        b = b.reshaped(dims)?;
    }
    Ok((a, b))
}

fn max_tensors(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    extreme(a, b, true)
}
fn min_tensors(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    extreme(a, b, false)
}
fn extreme(a: &Tensor, b: &Tensor, largest: bool) -> Result<Tensor> {
    let (a, b, kind) = pair(a, b)?;
    let dims;
    let data = numbers2!(a.data(), b.data(), v, w => {
        let (d, out) = zip((v, a.dims()), (w, b.dims()), |x, y| if largest { greatest(*x, *y) } else { least(*x, *y) })?;
        dims = d;
        out
    }, else return Err(wrong_type("a number", kind)));
    Tensor::of(dims, data)?.cast(kind)
}

pub(in crate::onnx) fn div(call: &mut Call<'_, '_>) -> Outputs {
    let b = call.tensor(1)?;
    if !b.kind().is_float() && b.to_i64s()?.contains(&0) {
        return Err(bad("an integer is divided by 0"));
    }
    quotient(call)
}
pub(in crate::onnx) fn modulus(call: &mut Call<'_, '_>) -> Outputs {
    let b = call.tensor(1)?;
    if !b.kind().is_float() && b.to_i64s()?.contains(&0) {
        return Err(bad("a remainder by 0"));
    }
    if call.flag("fmod", false)? { remainder(call) } else { modulo(call) }
}

fn fold(call: &mut Call<'_, '_>, f: fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let mut all = call.tensors()?.into_iter();
    let mut sum = all.next().ok_or_else(|| bad("at least one input expected"))?;
    for next in all {
        sum = f(&sum, &next)?;
    }
    Ok(sum)
}
pub(in crate::onnx) fn max(call: &mut Call<'_, '_>) -> Outputs {
    one(fold(call, max_tensors)?)
}
pub(in crate::onnx) fn min(call: &mut Call<'_, '_>) -> Outputs {
    one(fold(call, min_tensors)?)
}
pub(in crate::onnx) fn sum(call: &mut Call<'_, '_>) -> Outputs {
    one(fold(call, add_tensors)?)
}
pub(in crate::onnx) fn mean(call: &mut Call<'_, '_>) -> Outputs {
    let n = call.inputs.len() as f64;
    let sum = fold(call, add_tensors)?;
    one(map_floats(sum, |x| x / n as f32, |x| x / n)?)
}

pub(in crate::onnx) fn pow(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = legacy(call)?;
    one(power(&a, &b)?)
}
fn power(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let kind = a.kind();
    if kind.is_float() && kind != Type::F64 {
        let (x, y) = (a.to_f32s()?, b.to_f32s()?);
        let (dims, out) = match y[..] {
            [2.0] if b.rank() <= a.rank() => (a.dims().to_vec(), x.iter().map(|x| x * x).collect()),
            _ => zip((&x, a.dims()), (&y, b.dims()), |x, y| x.powf(*y))?,
        };
        return Tensor::of(dims, cast::from_f32s(kind, out)?);
    }
    if !kind.is_float() && !b.kind().is_float() {
        let (x, y) = (a.to_i64s()?, b.to_i64s()?);
        let whole = |x: &i64, y: &i64| match u32::try_from(*y) {
            Ok(y) => x.wrapping_pow(y),
            Err(_) => (*x as f64).powf(*y as f64) as i64,
        };
        let (dims, out) = zip((&x, a.dims()), (&y, b.dims()), whole)?;
        return Tensor::of(dims, cast::from_i64s(kind, &out)?);
    }
    let (x, y) = (a.to_f64s()?, b.to_f64s()?);
    let (dims, out) = zip((&x, a.dims()), (&y, b.dims()), |x, y| x.powf(*y))?;
    Tensor::of(dims, cast::from_f64s(kind, &out, Rounding::default())?)
}

macro_rules! comparisons {
    ($($name:ident: $f:expr;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            let (a, b) = legacy(call)?;
            let (a, b, kind) = pair(&a, &b)?;
            let (dims, out) = match (a.data(), b.data()) {
                (Data::F32(v), Data::F32(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::F64(v), Data::F64(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::I8(v), Data::I8(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::I16(v), Data::I16(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::I32(v), Data::I32(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::I64(v), Data::I64(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::U8(v), Data::U8(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::U16(v), Data::U16(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::U32(v), Data::U32(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::U64(v), Data::U64(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::Bool(v), Data::Bool(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                (Data::Str(v), Data::Str(w)) => zip((v, a.dims()), (w, b.dims()), $f)?,
                _ => return Err(wrong_type("a comparable type", kind)),
            };
            one(Tensor::of(dims, Data::Bool(out))?)
        })*
    };
}
comparisons! {
    equal: |a, b| a == b;
    greater: |a, b| a > b;
    greater_or_equal: |a, b| a >= b;
    less: |a, b| a < b;
    less_or_equal: |a, b| a <= b;
}

macro_rules! logic {
    ($($name:ident: $f:expr;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            let (a, b) = legacy(call)?;
            let (dims, out) = zip((a.bools()?, a.dims()), (b.bools()?, b.dims()), $f)?;
            one(Tensor::of(dims, Data::Bool(out))?)
        })*
    };
}
logic! {
    and: |a, b| *a && *b;
    or: |a, b| *a || *b;
    xor: |a, b| a != b;
}
pub(in crate::onnx) fn not(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    one(x.with(Data::Bool(x.bools()?.iter().map(|b| !b).collect()))?)
}

macro_rules! bitwise {
    ($($name:ident: $f:expr;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            let (a, b) = (call.tensor(0)?, call.tensor(1)?);
            let dims;
            let data = integers2!(a.data(), b.data(), v, w => {
                let (d, out) = zip((v, a.dims()), (w, b.dims()), $f)?;
                dims = d;
                out
            }, else return Err(wrong_type("two integers of one type", a.kind())));
            one(Tensor::of(dims, data)?)
        })*
    };
}
bitwise! {
    bitwise_and: |a, b| a & b;
    bitwise_or: |a, b| a | b;
    bitwise_xor: |a, b| a ^ b;
    shift_left: |a, b| a.checked_shl(u32::try_from(*b).unwrap_or(u32::MAX)).unwrap_or(0);
    shift_right: |a, b| {
        // Beyond the width only the sign is left.
        let bits = size_of_val(a) as u32 * 8;
        match u32::try_from(*b) {
            Ok(n) if n < bits => a >> n,
            _ => (a >> (bits - 1)) >> 1,
        }
    };
}
pub(in crate::onnx) fn bitwise_not(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let data = integers2!(x.data(), x.data(), v, _w => v.iter().map(|x| !x).collect(), else return Err(wrong_type("an integer", x.kind())));
    one(x.with(data)?)
}
pub(in crate::onnx) fn bit_shift(call: &mut Call<'_, '_>) -> Outputs {
    match call.text("direction", "")?.as_str() {
        "LEFT" => shift_left(call),
        "RIGHT" => shift_right(call),
        other => Err(bad(format!("the direction LEFT or RIGHT expected, {other:?} found"))),
    }
}

pub(in crate::onnx) fn is_nan(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    one(x.with(Data::Bool(x.to_f64s()?.into_iter().map(f64::is_nan).collect()))?)
}
pub(in crate::onnx) fn is_inf(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (up, down) = (call.flag("detect_positive", true)?, call.flag("detect_negative", true)?);
    let hit = |v: f64| v.is_infinite() && if v > 0.0 { up } else { down };
    one(x.with(Data::Bool(x.to_f64s()?.into_iter().map(hit).collect()))?)
}

pub(in crate::onnx) fn clip(call: &mut Call<'_, '_>) -> Outputs {
    let (x, kind) = call.tensor(0)?.widened()?;
    let (low, high) = if call.since(11) {
        (call.optional(1)?.filter(|t| !t.is_empty()), call.optional(2)?.filter(|t| !t.is_empty()))
    } else {
        let of = |v: Option<f32>| v.map(|v| Tensor::of([], Data::F32(vec![v]))).transpose();
        (of(call.float_opt("min")?)?, of(call.float_opt("max")?)?)
    };
    let as_x = |t: Option<Tensor>| t.map(|t| t.cast(x.kind())).transpose();
    let (low, high) = (as_x(low)?, as_x(high)?);
    let mut out = x;
    if let Some(low) = low {
        out = max_tensors(&out, &low.reshaped([])?)?;
    }
    if let Some(high) = high {
        out = min_tensors(&out, &high.reshaped([])?)?;
    }
    one(out.cast(kind)?)
}

pub(in crate::onnx) fn prelu(call: &mut Call<'_, '_>) -> Outputs {
    let (x, kind) = call.tensor(0)?.widened()?;
    let mut slope = call.tensor(1)?.widened()?.0;
    // Before opset 7 a list of slopes belonged to the channels.
    if call.version < 7 && slope.rank() == 1 && x.rank() > 2 {
        let n = slope.len();
        slope = slope.reshaped([vec![n], vec![1; x.rank() - 2]].concat())?;
    }
    let dims;
    let data = numbers2!(x.data(), slope.data(), v, w => {
        let (d, out) = zip((v, x.dims()), (w, slope.dims()), |x, s| if *x < Number::zero() { x.times(*s) } else { *x })?;
        dims = d;
        out
    }, else return Err(wrong_type("numbers of one type", kind)));
    one(Tensor::of(dims, data)?.cast(kind)?)
}

pub(in crate::onnx) fn select(call: &mut Call<'_, '_>) -> Outputs {
    let (c, a, b) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    one(where_tensors(&c, &a, &b)?)
}
pub(super) fn where_tensors(c: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let dims = broadcast_shape(&[c.dims(), a.dims(), b.dims()])?;
    let n = room(&dims, a.kind().size())?;
    let conditions = c.bools()?;
    let plan = loops([c.dims(), a.dims(), b.dims()], &dims);
    let data = same_type2!(a.data(), b.data(), v, w => {
        let mut out = Vec::with_capacity(n);
        if n > 0 {
            rows(&plan, |[i, j, k], n, [s, t, u]| {
                out.extend((0..n).map(|x| if conditions[i + x * s] { v[j + x * t].clone() } else { w[k + x * u].clone() }));
            });
        }
        out
    }, else return Err(bad(format!("values of one type expected, {} and {} found", a.told(), b.told()))));
    Tensor::of(dims, data)
}

fn rounding(call: &Call<'_, '_>) -> Result<Rounding> {
    let power = match call.text("round_mode", "up")?.as_str() {
        "up" => Power::Up,
        "down" => Power::Down,
        "nearest" => Power::Nearest,
        other => return Err(bad(format!("the round_mode up, down or nearest expected, {other:?} found"))),
    };
    Ok(Rounding { saturate: call.flag("saturate", true)?, power })
}
pub(in crate::onnx) fn cast_op(call: &mut Call<'_, '_>) -> Outputs {
    let to = match call.attr("to") {
        // Before opset 6 the type was a name.
        Some(crate::onnx::graph::Attr::Text(name)) => Type::named(&String::from_utf8_lossy(name).to_lowercase()),
        _ => call.attr_type("to")?,
    };
    let to = to.ok_or_else(|| bad("the attribute \"to\" expected"))?;
    let how = rounding(call)?;
    let x = call.take(0)?;
    if x.kind() == to {
        return one(x);
    }
    one(Tensor::of(x.dims(), cast::cast(x.data(), to, how)?)?)
}
pub(in crate::onnx) fn cast_like(call: &mut Call<'_, '_>) -> Outputs {
    let to = call.tensor(1)?.kind();
    let how = rounding(call)?;
    let x = call.take(0)?;
    one(Tensor::of(x.dims(), cast::cast(x.data(), to, how)?)?)
}
pub(in crate::onnx) fn bit_cast(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let to = call.attr_type("to")?.ok_or_else(|| bad("the attribute \"to\" expected"))?;
    if to.bits() != x.kind().bits() || to == Type::Str {
        return Err(bad(format!("{} cannot be {} bit by bit", x.told(), to.name())));
    }
    let raw = crate::onnx::npz::to_raw(x.data());
    one(Tensor::of(x.dims(), crate::onnx::proto::from_raw(to, &raw, x.len()))?)
}

/// The gate of a linear unit: `silu(first half) * second half` and its kin.
pub(in crate::onnx) fn swiglu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.0)?;
    let x = call.tensor(0)?;
    let y = call.tensor(1)?;
    let gate = map_floats(x, |x| x * sigmoid32(a * x), |x| x * sigmoid64(f64::from(a) * x))?;
    one(mul_tensors(&gate, &y)?)
}
