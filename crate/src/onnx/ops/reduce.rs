//! Reductions, sums along an axis, softmax.

use super::{axes, axis, product, shape::axes_given, single_i64};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room, wrong_type},
    },
};

/// What becomes of the elements that are reduced.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reduce {
    Sum,
    Mean,
    Max,
    Min,
    Product,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
}

impl Reduce {
    fn floats(self, v: &[f64]) -> f64 {
        let sum = |f: fn(f64) -> f64| v.iter().map(|x| f(*x)).sum::<f64>();
        match self {
            Self::Sum => sum(|x| x),
            Self::Mean => sum(|x| x) / v.len() as f64,
            Self::Max => v.iter().fold(f64::NEG_INFINITY, |a, b| if *b > a || b.is_nan() { *b } else { a }),
            Self::Min => v.iter().fold(f64::INFINITY, |a, b| if *b < a || b.is_nan() { *b } else { a }),
            Self::Product => v.iter().product(),
            Self::L1 => sum(f64::abs),
            Self::L2 => sum(|x| x * x).sqrt(),
            Self::LogSum => sum(|x| x).ln(),
            Self::SumSquare => sum(|x| x * x),
            Self::LogSumExp => {
                let most = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if most.is_infinite() { most } else { v.iter().map(|x| (x - most).exp()).sum::<f64>().ln() + most }
            }
        }
    }
    fn integers(self, v: &[i64], kind: Type) -> Option<i64> {
        let least = match kind {
            Type::I8 => i64::from(i8::MIN),
            Type::I16 => i64::from(i16::MIN),
            Type::I32 => i64::from(i32::MIN),
            Type::I64 => i64::MIN,
            _ => 0,
        };
        let most = match kind {
            Type::I8 => i64::from(i8::MAX),
            Type::I16 => i64::from(i16::MAX),
            Type::I32 => i64::from(i32::MAX),
            Type::U8 => 255,
            Type::U16 => 65_535,
            Type::U32 => i64::from(u32::MAX),
            Type::Bool => 1,
            _ => i64::MAX,
        };
        let sum = |f: fn(i64) -> i64| v.iter().fold(0i64, |a, b| a.wrapping_add(f(*b)));
        Some(match self {
            Self::Sum => sum(|x| x),
            Self::Max => v.iter().copied().max().unwrap_or(least),
            Self::Min => v.iter().copied().min().unwrap_or(most),
            Self::Product => v.iter().fold(1i64, |a, b| a.wrapping_mul(*b)),
            Self::L1 => sum(i64::wrapping_abs),
            Self::SumSquare => sum(|x| x.wrapping_mul(x)),
            Self::Mean if !v.is_empty() => sum(|x| x) / v.len() as i64,
            _ => return None,
        })
    }
}

/// A tensor with the given axes last, and how many elements they hold.
fn reduced_last(x: &Tensor, gone: &[usize]) -> Result<(Tensor, usize)> {
    let mut order: Vec<usize> = (0..x.rank()).filter(|d| !gone.contains(d)).collect();
    let mut last = gone.to_vec();
    last.sort_unstable();
    let inner = last.iter().map(|d| x.dims()[*d]).product();
    order.extend(last);
    Ok((x.permuted(&order)?, inner))
}

fn reduce(call: &mut Call<'_, '_>, how: Reduce) -> Outputs {
    let x = call.tensor(0)?;
    let keep = call.flag("keepdims", true)?;
    let given = axes_given(call, 1)?.filter(|list| !list.is_empty());
    if given.is_none() && call.flag("noop_with_empty_axes", false)? {
        // Still an operation of each element by itself.
        return one(if matches!(how, Reduce::Sum | Reduce::Mean | Reduce::Max | Reduce::Min | Reduce::Product) {
            x
        } else {
            reduce_rows(&x, 1, how)?.reshaped(x.dims())?
        });
    }
    let gone = match given {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    one(reduced(&x, &gone, keep, how)?)
}

/// The reduction over some axes.
pub(super) fn reduced(x: &Tensor, gone: &[usize], keep: bool, how: Reduce) -> Result<Tensor> {
    let dims: Vec<usize> = x
        .dims()
        .iter()
        .enumerate()
        .filter_map(|(d, n)| if !gone.contains(&d) { Some(*n) } else { keep.then_some(1) })
        .collect();
    let (rows, inner) = reduced_last(x, gone)?;
    let outer: Vec<usize> = (0..x.rank()).filter(|d| !gone.contains(d)).map(|d| x.dims()[d]).collect();
    let n = room(&outer, 8)?;
    reduce_n(&rows, n, inner, how)?.reshaped(dims)
}

fn reduce_rows(x: &Tensor, inner: usize, how: Reduce) -> Result<Tensor> {
    reduce_n(x, x.len() / inner, inner, how)
}

fn reduce_n(x: &Tensor, n: usize, inner: usize, how: Reduce) -> Result<Tensor> {
    let kind = x.kind();
    if let (Data::F32(v), Reduce::Sum | Reduce::Mean | Reduce::SumSquare) = (x.data(), how) {
        let out = (0..n)
            .map(|i| {
                let row = &v[i * inner..(i + 1) * inner];
                let sum: f64 = match how {
                    Reduce::SumSquare => row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum(),
                    _ => row.iter().map(|x| f64::from(*x)).sum(),
                };
                (if how == Reduce::Mean { sum / inner as f64 } else { sum }) as f32
            })
            .collect();
        return Tensor::of([n], Data::F32(out));
    }
    if !kind.is_float() && kind != Type::Str {
        let v = x.to_i64s()?;
        let whole: Option<Vec<i64>> = (0..n).map(|i| how.integers(&v[i * inner..(i + 1) * inner], kind)).collect();
        if let Some(out) = whole {
            return Tensor::of([n], cast::from_i64s(kind, &out)?);
        }
    }
    let v = x.to_f64s()?;
    let out: Vec<f64> = (0..n).map(|i| how.floats(&v[i * inner..(i + 1) * inner])).collect();
    Tensor::of([n], cast::from_f64s(kind, &out, Rounding::default())?)
}

macro_rules! reductions {
    ($($name:ident: $how:ident;)*) => {
        $(pub(in crate::onnx) fn $name(call: &mut Call<'_, '_>) -> Outputs {
            reduce(call, Reduce::$how)
        })*
    };
}
reductions! {
    reduce_sum: Sum; reduce_mean: Mean; reduce_max: Max; reduce_min: Min; reduce_prod: Product; reduce_l1: L1;
    reduce_l2: L2; reduce_log_sum: LogSum; reduce_log_sum_exp: LogSumExp; reduce_sum_square: SumSquare;
}

fn arg(call: &mut Call<'_, '_>, largest: bool) -> Outputs {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0)?, x.rank())?;
    let last = call.flag("select_last_index", false)?;
    let (outer, n, inner) = (product(&x.dims()[..at]), x.dims()[at], product(&x.dims()[at + 1..]));
    if n == 0 {
        return Err(bad(format!("axis {at} of {} is empty", x.told())));
    }
    let v = x.to_f64s()?;
    let mut out = Vec::with_capacity(outer * inner);
    for o in 0..outer {
        for i in 0..inner {
            let mut best = 0;
            for j in 1..n {
                let (a, b) = (v[(o * n + best) * inner + i], v[(o * n + j) * inner + i]);
                if (if largest { b > a } else { b < a }) || (last && a == b) {
                    best = j;
                }
            }
            out.push(best as i64);
        }
    }
    let mut dims = x.dims().to_vec();
    if call.flag("keepdims", true)? {
        dims[at] = 1;
    } else {
        dims.remove(at);
    }
    one(Tensor::of(dims, Data::I64(out))?)
}
pub(in crate::onnx) fn arg_max(call: &mut Call<'_, '_>) -> Outputs {
    arg(call, true)
}
pub(in crate::onnx) fn arg_min(call: &mut Call<'_, '_>) -> Outputs {
    arg(call, false)
}

fn cumulative(call: &mut Call<'_, '_>, add: bool) -> Outputs {
    let x = call.tensor(0)?;
    let at = axis(single_i64(&call.tensor(1)?)?, x.rank())?;
    let (exclusive, reverse) = (call.flag("exclusive", false)?, call.flag("reverse", false)?);
    let (outer, n, inner) = (product(&x.dims()[..at]), x.dims()[at], product(&x.dims()[at + 1..]));
    macro_rules! scan {
        ($v:expr, $start:expr, $f:expr) => {{
            let v = $v;
            let mut out = v.clone();
            for o in 0..outer {
                for i in 0..inner {
                    let mut sum = $start;
                    for j in 0..n {
                        let j = if reverse { n - 1 - j } else { j };
                        let at = (o * n + j) * inner + i;
                        let next = $f(sum, v[at]);
                        out[at] = if exclusive { sum } else { next };
                        sum = next;
                    }
                }
            }
            out
        }};
    }
    if x.kind().is_float() {
        let f = |a: f64, b: f64| if add { a + b } else { a * b };
        let out = scan!(x.to_f64s()?, f64::from(u8::from(!add)), f);
        return one(x.with(cast::from_f64s(x.kind(), &out, Rounding::default())?)?);
    }
    let f = |a: i64, b: i64| if add { a.wrapping_add(b) } else { a.wrapping_mul(b) };
    let out = scan!(x.to_i64s()?, i64::from(!add), f);
    one(x.with(cast::from_i64s(x.kind(), &out)?)?)
}
pub(in crate::onnx) fn cum_sum(call: &mut Call<'_, '_>) -> Outputs {
    cumulative(call, true)
}
pub(in crate::onnx) fn cum_prod(call: &mut Call<'_, '_>) -> Outputs {
    cumulative(call, false)
}

/// Softmax of each row of `n` values in place.
pub(super) fn softmax_rows(v: &mut [f32], n: usize) {
    for row in v.chunks_mut(n.max(1)) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if most == f32::NEG_INFINITY {
            row.fill(f32::NAN);
            continue;
        }
        let mut sum = 0.0f32;
        for x in row.iter_mut() {
            *x = (*x - most).exp();
            sum += *x;
        }
        let scale = 1.0 / sum;
        row.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Runs over rows of the axis; before opset 13 all axes from it on were one.
fn over_axis(call: &mut Call<'_, '_>, row: fn(&mut [f64]), quick: Option<fn(&mut [f32], usize)>) -> Outputs {
    let new = call.since(13) || call.node.op.contains('.');
    let x = call.tensor(0)?;
    let kind = x.kind();
    if !kind.is_float() {
        return Err(wrong_type("a float", kind));
    }
    let a = call.int("axis", if new { -1 } else { 1 })?;
    let a = if x.rank() == 0 {
        0
    } else if !new && a == x.rank() as i64 {
        x.rank()
    } else {
        axis(a, x.rank())?
    };
    let (rows, inner, back) = if new && x.rank() > 0 {
        let mut order: Vec<usize> = (0..x.rank()).filter(|d| *d != a).collect();
        order.push(a);
        let mut back = vec![0; order.len()];
        for (i, o) in order.iter().enumerate() {
            back[*o] = i;
        }
        (x.permuted(&order)?, x.dims()[a], Some(back))
    } else {
        (x.clone(), product(&x.dims()[a..]), None)
    };
    let dims = rows.dims().to_vec();
    let out = match (rows.kind(), quick) {
        (Type::F32, Some(quick)) => {
            let Data::F32(mut v) = rows.into_data() else { return Err(bad("a float expected")) };
            quick(&mut v, inner);
            Data::F32(v)
        }
        _ => {
            let mut v = rows.to_f64s()?;
            v.chunks_mut(inner.max(1)).for_each(row);
            cast::from_f64s(kind, &v, Rounding::default())?
        }
    };
    let out = Tensor::of(dims, out)?;
    one(match back {
        Some(back) => out.permuted(&back)?,
        None => out,
    })
}

pub(in crate::onnx) fn softmax(call: &mut Call<'_, '_>) -> Outputs {
    over_axis(
        call,
        |row| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row
                .iter_mut()
                .map(|x| {
                    *x = (*x - most).exp();
                    *x
                })
                .sum();
            row.iter_mut().for_each(|x| *x /= sum);
        },
        Some(softmax_rows),
    )
}
pub(in crate::onnx) fn log_softmax(call: &mut Call<'_, '_>) -> Outputs {
    over_axis(
        call,
        |row| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum = row.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
            row.iter_mut().for_each(|x| *x -= most + sum);
        },
        None,
    )
}
pub(in crate::onnx) fn hardmax(call: &mut Call<'_, '_>) -> Outputs {
    over_axis(
        call,
        |row| {
            let mut best = 0;
            for (i, x) in row.iter().enumerate() {
                if *x > row[best] {
                    best = i;
                }
            }
            row.iter_mut().enumerate().for_each(|(i, x)| *x = f64::from(u8::from(i == best)));
        },
        None,
    )
}
