//! Fourier transforms, windows, mel filters.

use super::{axis, product, single_f64, single_i64, size};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Tensor, Type, room},
    },
};

/// A complex number.
type Complex = [f64; 2];

/// The discrete Fourier transform: by halves where the length is a power of two, else by its definition.
fn transform(call: &mut Call<'_, '_>, x: &[Complex], inverse: bool) -> Result<Vec<Complex>> {
    let n = x.len();
    let sign = if inverse { 1.0 } else { -1.0 };
    let angle = |k: usize| {
        let a = sign * std::f64::consts::TAU * k as f64 / n as f64;
        [a.cos(), a.sin()]
    };
    let turn: Vec<Complex> = (0..n).map(angle).collect();
    let mut out = if n.is_power_of_two() {
        call.spend(n.saturating_mul(n.ilog2() as usize + 1))?;
        halves(x, 1, &turn)
    } else {
        call.spend(n.saturating_mul(n))?;
        (0..n)
            .map(|k| {
                x.iter().enumerate().fold([0.0; 2], |s, (j, v)| {
                    let w = turn[j * k % n];
                    [s[0] + v[0] * w[0] - v[1] * w[1], s[1] + v[0] * w[1] + v[1] * w[0]]
                })
            })
            .collect()
    };
    if inverse {
        out.iter_mut().for_each(|v| *v = [v[0] / n as f64, v[1] / n as f64]);
    }
    Ok(out)
}

/// Of every `step`-th element of `x`.
fn halves(x: &[Complex], step: usize, turn: &[Complex]) -> Vec<Complex> {
    let n = x.len().div_ceil(step);
    if n <= 1 {
        return x.first().copied().into_iter().collect();
    }
    let (even, odd) = (halves(x, step * 2, turn), halves(&x[step..], step * 2, turn));
    let mut out = vec![[0.0; 2]; n];
    for k in 0..n / 2 {
        let (w, o) = (turn[k * step], odd[k]);
        let t = [o[0] * w[0] - o[1] * w[1], o[0] * w[1] + o[1] * w[0]];
        out[k] = [even[k][0] + t[0], even[k][1] + t[1]];
        out[k + n / 2] = [even[k][0] - t[0], even[k][1] - t[1]];
    }
    out
}

pub(in crate::onnx) fn dft(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let len = call.optional(1)?.map(|t| single_i64(&t)).transpose()?;
    let at = if call.since(20) {
        call.optional(2)?.map(|t| single_i64(&t)).transpose()?.unwrap_or(-2)
    } else {
        call.int("axis", 1)?
    };
    let at = axis(at, x.rank())?;
    let (inverse, onesided) = (call.flag("inverse", false)?, call.flag("onesided", false)?);
    let parts = x.dims().last().copied().unwrap_or(0);
    if at + 1 >= x.rank() || !(1..=2).contains(&parts) {
        return Err(bad(format!(
            "a signal of real or complex numbers along the last axis expected, {} found",
            x.told()
        )));
    }
    let n = x.dims()[at];
    let full = match len {
        Some(l) => size(l)?,
        None if inverse && onesided => 2 * n.saturating_sub(1),
        None => n,
    };
    if full == 0 {
        return Err(bad("a transform of no elements"));
    }
    let kept = if onesided && !inverse { full / 2 + 1 } else { full };
    let out_parts = if onesided && inverse { 1 } else { 2 };
    let (outer, inner) = (product(&x.dims()[..at]), product(&x.dims()[at + 1..x.rank() - 1]));
    let mut dims = x.dims().to_vec();
    dims[at] = kept;
    dims[x.rank() - 1] = out_parts;
    let total = room(&dims, 8)?;
    room(&[full], 64)?;
    let v = x.to_f64s()?;
    let mut out = vec![0.0; total];
    for o in 0..outer {
        for i in 0..inner {
            let read = |j: usize| {
                let p = ((o * n + j) * inner + i) * parts;
                [v[p], if parts == 2 { v[p + 1] } else { 0.0 }]
            };
            let mut signal: Vec<Complex> = (0..full).map(|j| if j < n { read(j) } else { [0.0; 2] }).collect();
            if onesided && inverse {
                // The missing half is the conjugate of the given one.
                for j in full / 2 + 1..full {
                    let [re, im] = signal[full - j];
                    signal[j] = [re, -im];
                }
                signal[0][1] = 0.0;
                if full % 2 == 0 {
                    signal[full / 2][1] = 0.0;
                }
            }
            let y = transform(call, &signal, inverse)?;
            for (j, value) in y.iter().take(kept).enumerate() {
                let p = ((o * kept + j) * inner + i) * out_parts;
                out[p..p + out_parts].copy_from_slice(&value[..out_parts]);
            }
        }
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

pub(in crate::onnx) fn stft(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let step = size(single_i64(&call.tensor(1)?)?)?;
    let window = call.optional(2)?.map(|w| w.to_f64s()).transpose()?;
    let stated = call.optional(3)?.map(|t| single_i64(&t)).transpose()?;
    let (batch, len, parts) = match x.dims()[..] {
        [b, l] => (b, l, 1),
        [b, l, p @ 1..=2] => (b, l, p),
        _ => return Err(bad(format!("signals of real or complex numbers expected, {} found", x.told()))),
    };
    let n = match (stated, &window) {
        (Some(n), _) => size(n)?,
        (None, Some(w)) => w.len(),
        (None, None) => len,
    };
    if step == 0 || n == 0 || n > len || window.as_ref().is_some_and(|w| w.len() != n) {
        return Err(bad(format!("frames of {n} by steps of {step} in {len} samples")));
    }
    let frames = 1 + (len - n) / step;
    let kept = if call.flag("onesided", true)? { n / 2 + 1 } else { n };
    let total = room(&[batch, frames, kept, 2], 8)?;
    let v = x.to_f64s()?;
    let mut out = Vec::with_capacity(total);
    for b in 0..batch {
        for f in 0..frames {
            let signal: Vec<Complex> = (0..n)
                .map(|i| {
                    let at = (b * len + f * step + i) * parts;
                    let w = window.as_ref().map_or(1.0, |w| w[i]);
                    [v[at] * w, if parts == 2 { v[at + 1] * w } else { 0.0 }]
                })
                .collect();
            out.extend(transform(call, &signal, false)?.into_iter().take(kept).flatten());
        }
    }
    one(Tensor::of([batch, frames, kept, 2], cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

fn window(call: &mut Call<'_, '_>, f: impl Fn(f64) -> f64) -> Outputs {
    let n = size(single_i64(&call.tensor(0)?)?)?;
    let kind = call.attr_type("output_datatype")?.unwrap_or(Type::F32);
    room(&[n], 8)?;
    let period = if call.flag("periodic", true)? { n as f64 } else { n as f64 - 1.0 };
    let v: Vec<f64> = (0..n).map(|i| f(std::f64::consts::TAU * i as f64 / period)).collect();
    one(Tensor::of([n], cast::from_f64s(kind, &v, Rounding::default())?)?)
}
pub(in crate::onnx) fn hann(call: &mut Call<'_, '_>) -> Outputs {
    window(call, |a| 0.5 - 0.5 * a.cos())
}
pub(in crate::onnx) fn hamming(call: &mut Call<'_, '_>) -> Outputs {
    window(call, |a| 25.0 / 46.0 - 21.0 / 46.0 * a.cos())
}
pub(in crate::onnx) fn blackman(call: &mut Call<'_, '_>) -> Outputs {
    window(call, |a| 0.42 - 0.5 * a.cos() + 0.08 * (2.0 * a).cos())
}

pub(in crate::onnx) fn mel_weight_matrix(call: &mut Call<'_, '_>) -> Outputs {
    let (bins, len) = (size(single_i64(&call.tensor(0)?)?)?, size(single_i64(&call.tensor(1)?)?)?);
    let rate = single_f64(&call.tensor(2)?)?;
    let (low, high) = (single_f64(&call.tensor(3)?)?, single_f64(&call.tensor(4)?)?);
    let kind = call.attr_type("output_datatype")?.unwrap_or(Type::F32);
    let rows = len / 2 + 1;
    let total = room(&[rows, bins], 8)?;
    let mel = |hertz: f64| 2595.0 * (hertz / 700.0).ln_1p() / std::f64::consts::LN_10;
    let (low, high) = (mel(low), mel(high));
    let step = (high - low) / (bins + 2) as f64;
    let edge = |i: usize| {
        let hertz = 700.0 * ((i as f64 * step + low) / 2595.0 * std::f64::consts::LN_10).exp_m1();
        ((len + 1) as f64 * hertz / rate).floor()
    };
    let mut out = vec![0.0; total];
    for b in 0..bins {
        let [l, c, h] = [edge(b), edge(b + 1), edge(b + 2)];
        for j in 0..rows {
            let x = j as f64;
            let v = &mut out[j * bins + b];
            if c == l && x == c {
                *v = 1.0;
            } else if c > l && (l..=c).contains(&x) {
                *v = (x - l) / (c - l);
            }
            if h > c && (c..h).contains(&x) {
                *v = (h - x) / (h - c);
            }
        }
    }
    one(Tensor::of([rows, bins], cast::from_f64s(kind, &out, Rounding::default())?)?)
}
