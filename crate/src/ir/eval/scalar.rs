//! Functions of one or two values, and their application to arrays.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use super::{
    array::{Array, Data, Slice, View},
    layout,
};
use crate::{
    fault::{Fault, Result},
    ir::{
        fact::DType,
        op::{Binary, Link, Unary},
    },
    tensor::float,
};

/// `f(x)`.
pub fn unary(f: Unary, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match f {
        Unary::Scale(s) => x * f64::from(s),
        Unary::Shift(s) => x + f64::from(s),
        Unary::SoftCap(s) => f64::from(s) * (x / f64::from(s)).tanh(),
        Unary::AtLeast(s) => x.max(f64::from(s)),
        Unary::AtMost(s) => x.min(f64::from(s)),
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => 1.0 / x.sqrt(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Square => x * x,
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => sigmoid(x),
        Unary::Relu => positive(x),
        Unary::ReluSquared => positive(x) * positive(x),
        Unary::Silu => x / (1.0 + (-x).exp()),
        Unary::Gelu => x * 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)),
        Unary::GeluTanh => 0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        Unary::QuickGelu => x * sigmoid(1.702 * x),
        Unary::Erf => erf(x),
        Unary::Softplus => positive(x) + (-x.abs()).exp().ln_1p(),
    }
}

/// `max(x, 0)`; of no number, no number.
fn positive(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// `f(a, b)`.
pub fn binary(f: Binary, a: f64, b: f64) -> f64 {
    match f {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow => a.powf(b),
    }
}

/// The error function, to the last digits of f64.
///
/// By the series `2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 5 .. (2n+1))`, whose terms are all positive
/// (Abramowitz and Stegun 7.1.6); beyond 6 the result is one to the last digit.
pub fn erf(x: f64) -> f64 {
    if x.is_nan() || x == 0.0 {
        return x;
    }
    if x.abs() >= 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-18 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

pub(super) fn map(f: Unary, x: &View<'_>) -> Result<Array> {
    let values = x.floats()?.iter().map(|x| unary(f, f64::from(*x)) as f32).collect();
    Array::floats(x.shape(), values)
}

pub(super) fn combine(f: Binary, a: &View<'_>, b: &View<'_>) -> Result<Array> {
    let shape = layout::common_shape(a.shape(), b.shape())?;
    let (a, b) = (layout::expand(a, &shape)?, layout::expand(b, &shape)?);
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => {
            Data::F32(a.iter().zip(b).map(|(a, b)| binary(f, f64::from(*a), f64::from(*b)) as f32).collect())
        }
        (Data::I32(a), Data::I32(b)) => {
            let whole = |(a, b): (&i32, &i32)| whole(f, i64::from(*a), i64::from(*b)).map(|v| v as i32);
            Data::I32(a.iter().zip(b).map(whole).collect::<Result<_>>()?)
        }
        (Data::I64(a), Data::I64(b)) => {
            Data::I64(a.iter().zip(b).map(|(a, b)| whole(f, *a, *b)).collect::<Result<_>>()?)
        }
        _ => return Err(Fault::bug(format!("{f:?}: two lists of numbers of one type expected"))),
    };
    Array::new(shape, data)
}

/// `f(a, b)` of whole numbers, which wrap around; quotients are rounded towards zero.
fn whole(f: Binary, a: i64, b: i64) -> Result<i64> {
    Ok(match f {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => return Err(Fault::caller(format!("{a} divided by zero"))),
        Binary::Div => a.wrapping_div(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow => u32::try_from(b).map_or_else(|_| (a as f64).powf(b as f64) as i64, |b| a.wrapping_pow(b)),
    })
}

pub(super) fn chain(links: &[Link], inputs: &[View<'_>]) -> Result<Array> {
    let first = inputs.first().ok_or_else(|| Fault::bug("a chain of nothing"))?;
    let mut shape = first.shape().to_vec();
    for other in &inputs[1..] {
        shape = layout::common_shape(&shape, other.shape())?;
    }
    let inputs = inputs.iter().map(|x| layout::expand(x, &shape)).collect::<Result<Vec<_>>>()?;
    let inputs = inputs.iter().map(|a| a.view().floats()).collect::<Result<Vec<_>>>()?;
    let other = |i: u8, at: usize| {
        let input = inputs.get(usize::from(i)).ok_or_else(|| Fault::bug(format!("no input {i} of a chain")))?;
        Ok::<f64, Fault>(f64::from(input[at]))
    };
    let value = |at: usize| {
        let mut x = other(0, at)?;
        for link in links {
            x = match link {
                Link::Unary(f) => unary(*f, x),
                Link::Binary(f, i) => binary(*f, x, other(*i, at)?),
                Link::Reversed(f, i) => binary(*f, other(*i, at)?, x),
            };
        }
        Ok(x as f32)
    };
    let values = (0..inputs[0].len()).map(value).collect::<Result<_>>()?;
    Array::floats(shape, values)
}

/// Floats to whole numbers: towards zero, to the nearest that the type holds. Whole numbers to narrower ones: the low bits.
pub(super) fn cast(x: &View<'_>, dtype: DType) -> Result<Array> {
    let ints = |narrow: fn(i64) -> i32, nearest: fn(f32) -> i32| match x.data() {
        Slice::F32(v) => v.iter().map(|v| nearest(*v)).collect(),
        Slice::I32(v) => v.iter().map(|v| narrow(i64::from(*v))).collect(),
        Slice::I64(v) => v.iter().map(|v| narrow(*v)).collect(),
        Slice::Bool(v) => v.iter().map(|v| i32::from(*v)).collect(),
    };
    let floats = || -> Vec<f32> {
        match x.data() {
            Slice::F32(v) => v.to_vec(),
            Slice::I32(v) => v.iter().map(|v| *v as f32).collect(),
            Slice::I64(v) => v.iter().map(|v| *v as f32).collect(),
            Slice::Bool(v) => v.iter().map(|v| f32::from(*v)).collect(),
        }
    };
    let data = match dtype {
        DType::F32 => Data::F32(floats()),
        DType::F16 => Data::F32(floats().into_iter().map(|v| float::f16(float::to_f16(v))).collect()),
        DType::I32 => Data::I32(ints(|v| v as i32, |v| v as i32)),
        DType::I8 => Data::I32(ints(|v| i32::from(v as i8), |v| i32::from(v as i8))),
        DType::U8 => Data::I32(ints(|v| i32::from(v as u8), |v| i32::from(v as u8))),
        DType::I64 => Data::I64(match x.data() {
            Slice::F32(v) => v.iter().map(|v| *v as i64).collect(),
            Slice::I32(v) => v.iter().map(|v| i64::from(*v)).collect(),
            Slice::I64(v) => v.to_vec(),
            Slice::Bool(v) => v.iter().map(|v| i64::from(*v)).collect(),
        }),
        DType::Bool => Data::Bool(match x.data() {
            Slice::F32(v) => v.iter().map(|v| *v != 0.0).collect(),
            Slice::I32(v) => v.iter().map(|v| *v != 0).collect(),
            Slice::I64(v) => v.iter().map(|v| *v != 0).collect(),
            Slice::Bool(v) => v.to_vec(),
        }),
        DType::Block(encoding) => return Err(Fault::unsupported(format!("values are not encoded to {encoding}"))),
    };
    Array::new(x.shape().to_vec(), data)
}
