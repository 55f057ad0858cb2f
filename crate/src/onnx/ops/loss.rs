//! Losses.

use super::{norm, product};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad},
        value::{Tensor, Value},
    },
};

/// The negative log likelihood of the targets, reduced as the node says.
fn likelihood(call: &Call<'_, '_>, x: &Tensor, logs: &[f64]) -> Result<Tensor> {
    let target = call.tensor(1)?;
    let weight = call.optional(2)?.map(|w| w.to_f64s()).transpose()?;
    let ignored = call.int_opt("ignore_index")?;
    let [n, classes, ..] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let inner = product(&x.dims()[2..]);
    let dims = [&[n], &x.dims()[2..]].concat();
    if target.dims() != dims || weight.as_ref().is_some_and(|w| w.len() != classes) {
        return Err(bad(format!("targets {} and weights for {}", target.told(), x.told())));
    }
    let (mut losses, mut total) = (Vec::with_capacity(target.len()), 0.0);
    for (i, t) in target.to_i64s()?.into_iter().enumerate() {
        if Some(t) == ignored {
            losses.push(0.0);
            continue;
        }
        let t = super::gather::place(t, classes)?;
        let w = weight.as_ref().map_or(1.0, |w| w[t]);
        total += w;
        losses.push(-w * logs[(i / inner.max(1) * classes + t) * inner + i % inner.max(1)]);
    }
    let of = |dims: &[usize], v: &[f64]| Tensor::of(dims, cast::from_f64s(x.kind(), v, Rounding::default())?);
    match call.text("reduction", "mean")?.as_str() {
        "none" => of(&dims, &losses),
        "sum" => of(&[], &[losses.iter().sum()]),
        "mean" => of(&[], &[losses.iter().sum::<f64>() / total]),
        other => Err(bad(format!("the reduction none, sum or mean expected, {other:?} found"))),
    }
}

pub(in crate::onnx) fn negative_log_likelihood(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    Ok(vec![likelihood(call, &x, &x.to_f64s()?)?.into()])
}

pub(in crate::onnx) fn softmax_cross_entropy(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [_, classes, ..] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let inner = product(&x.dims()[2..]);
    let mut v = x.to_f64s()?;
    for block in v.chunks_mut((classes * inner).max(1)) {
        for i in 0..inner {
            let most = (0..classes).map(|c| block[c * inner + i]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..classes).map(|c| (block[c * inner + i] - most).exp()).sum();
            (0..classes).for_each(|c| block[c * inner + i] -= most + sum.ln());
        }
    }
    let loss = likelihood(call, &x, &v)?;
    let logs = norm::like(&x, x.dims(), v.into_iter().map(|v| v as f32).collect())?;
    Ok(vec![Value::Tensor(loss), Value::Tensor(logs)])
}
