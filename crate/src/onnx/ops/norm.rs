//! Normalizations.

use super::{axes, axis, product, size};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type},
    },
};

/// Floats of the type of another tensor.
pub(super) fn like(x: &Tensor, dims: &[usize], v: Vec<f32>) -> Result<Tensor> {
    Tensor::of(dims, cast::from_f32s(x.kind(), v)?)
}
fn like64(x: &Tensor, dims: &[usize], v: &[f64]) -> Result<Tensor> {
    Tensor::of(dims, cast::from_f64s(x.kind(), v, Rounding::default())?)
}

/// Length of a list that belongs to the channels.
fn of_channels(t: &Tensor, channels: usize, what: &str) -> Result<Vec<f64>> {
    if t.len() != channels {
        return Err(bad(format!("{what} of {channels} channels expected, {} found", t.told())));
    }
    t.to_f64s()
}

pub(in crate::onnx) fn batch_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    if x.rank() < 1 {
        return Err(bad("at least one dimension expected"));
    }
    let channels = if x.rank() > 1 { x.dims()[1] } else { 1 };
    let inner = product(x.dims().get(2..).unwrap_or_default());
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let scale = of_channels(&call.tensor(1)?, channels, "a scale")?;
    let bias = of_channels(&call.tensor(2)?, channels, "a bias")?;
    let mut mean = of_channels(&call.tensor(3)?, channels, "a mean")?;
    let mut var = of_channels(&call.tensor(4)?, channels, "a variance")?;
    let v = x.to_f64s()?;
    let training = call.since(14) && call.flag("training_mode", false)?;
    let mut more = Vec::new();
    if training {
        let momentum = f64::from(call.float("momentum", 0.9)?);
        let (stated_mean, stated_var) = (mean.clone(), var.clone());
        let count = (v.len() / channels.max(1)) as f64;
        let of =
            |c: usize| v.iter().enumerate().filter(move |(i, _)| i / inner.max(1) % channels == c).map(|(_, x)| *x);
        for c in 0..channels {
            mean[c] = of(c).sum::<f64>() / count;
            var[c] = of(c).map(|x| (x - mean[c]).powi(2)).sum::<f64>() / count;
        }
        let blend = |old: &[f64], new: &[f64]| -> Vec<f64> {
            old.iter().zip(new).map(|(o, n)| o * momentum + n * (1.0 - momentum)).collect()
        };
        more.push(like64(&call.tensor(3)?, &[channels], &blend(&stated_mean, &mean))?);
        more.push(like64(&call.tensor(4)?, &[channels], &blend(&stated_var, &var))?);
    }
    let factor: Vec<f64> = (0..channels).map(|c| scale[c] / (var[c] + eps).sqrt()).collect();
    let out: Vec<f64> = v
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let c = i / inner.max(1) % channels.max(1);
            (x - mean[c]) * factor[c] + bias[c]
        })
        .collect();
    let mut outputs = vec![like64(&x, x.dims(), &out)?.into()];
    outputs.extend(more.into_iter().map(Into::into));
    Ok(outputs)
}

pub(in crate::onnx) fn instance_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [_, channels, ..] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let scale = of_channels(&call.tensor(1)?, channels, "a scale")?;
    let bias = of_channels(&call.tensor(2)?, channels, "a bias")?;
    let inner = product(&x.dims()[2..]).max(1);
    let mut v = x.to_f64s()?;
    for (i, row) in v.chunks_mut(inner).enumerate() {
        normalize(row, eps);
        let c = i % channels;
        row.iter_mut().for_each(|x| *x = *x * scale[c] + bias[c]);
    }
    one(like64(&x, x.dims(), &v)?)
}

/// Less the mean, over the standard deviation; both are given back.
fn normalize(row: &mut [f64], eps: f64) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (var + eps).sqrt();
    row.iter_mut().for_each(|x| *x = (*x - mean) * scale);
    (mean, scale)
}

pub(in crate::onnx) fn group_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [_, channels, ..] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let groups = size(call.int("num_groups", 0)?)?;
    if groups == 0 || channels % groups != 0 {
        return Err(bad(format!("{groups} groups of {channels} channels")));
    }
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let (scale, bias) = (call.tensor(1)?.to_f64s()?, call.tensor(2)?.to_f64s()?);
    // Up to opset 20 there was a scale for each group.
    let each = match scale.len() {
        n if n == channels => 1,
        n if n == groups => channels / groups,
        n => return Err(bad(format!("{n} scales for {channels} channels in {groups} groups"))),
    };
    if bias.len() != scale.len() {
        return Err(bad(format!("{} biases for {} scales", bias.len(), scale.len())));
    }
    let inner = product(&x.dims()[2..]).max(1);
    let mut v = x.to_f64s()?;
    for row in v.chunks_mut(inner * (channels / groups)) {
        normalize(row, eps);
    }
    for (i, x) in v.iter_mut().enumerate() {
        let c = i / inner % channels / each;
        *x = *x * scale[c] + bias[c];
    }
    one(like64(&x, x.dims(), &v)?)
}

/// Layer normalization of rows in f32 with sums in f64: values, means, inverse deviations.
pub(super) fn layer_rows(
    v: &mut [f32],
    n: usize,
    eps: f64,
    scale: &[f32],
    bias: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let (mut means, mut deviations) = (Vec::new(), Vec::new());
    for row in v.chunks_mut(n.max(1)) {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
        let var = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n as f64;
        let inverse = 1.0 / (var + eps).sqrt();
        let (m, s) = (mean as f32, inverse as f32);
        match bias {
            Some(bias) => {
                for ((x, w), b) in row.iter_mut().zip(scale).zip(bias) {
                    *x = (*x - m) * s * w + b;
                }
            }
            None => row.iter_mut().zip(scale).for_each(|(x, w)| *x = (*x - m) * s * w),
        }
        means.push(m);
        deviations.push(s);
    }
    (means, deviations)
}

/// Root-mean-square normalization of rows; the inverse deviations.
pub(super) fn rms_rows(v: &mut [f32], n: usize, eps: f64, scale: &[f32]) -> Vec<f32> {
    v.chunks_mut(n.max(1))
        .map(|row| {
            let square = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n as f64;
            let s = (1.0 / (square + eps).sqrt()) as f32;
            row.iter_mut().zip(scale).for_each(|(x, w)| *x = *x * s * w);
            s
        })
        .collect()
}

/// A scale or bias broadcast to the normalized dimensions.
fn weights(t: &Tensor, dims: &[usize]) -> Result<Vec<f32>> {
    let n = product(dims);
    if t.len() == n {
        return t.to_f32s();
    }
    t.cast(Type::F32)?.expanded(dims)?.to_f32s()
}

pub(in crate::onnx) fn layer_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let a = axis(call.int("axis", -1)?, x.rank())?;
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let inner = &x.dims()[a..];
    let scale = weights(&call.tensor(1)?, inner)?;
    let bias = call.optional(2)?.map(|b| weights(&b, inner)).transpose()?;
    let mut v = x.to_f32s()?;
    let (means, deviations) = layer_rows(&mut v, product(inner), eps, &scale, bias.as_deref());
    let mut dims = x.dims().to_vec();
    dims[a..].fill(1);
    let stash = |v: Vec<f32>| Tensor::of(dims.clone(), Data::F32(v));
    Ok(vec![like(&x, x.dims(), v)?.into(), stash(means)?.into(), stash(deviations)?.into()])
}

pub(in crate::onnx) fn rms_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let a = axis(call.int("axis", -1)?, x.rank())?;
    let eps = f64::from(call.float("epsilon", 1e-5)?);
    let inner = &x.dims()[a..];
    let scale = weights(&call.tensor(1)?, inner)?;
    let mut v = x.to_f32s()?;
    let deviations = rms_rows(&mut v, product(inner), eps, &scale);
    let mut dims = x.dims().to_vec();
    dims[a..].fill(1);
    Ok(vec![like(&x, x.dims(), v)?.into(), Tensor::of(dims, Data::F32(deviations))?.into()])
}

pub(in crate::onnx) fn lp_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let a = axis(call.int("axis", -1)?, x.rank())?;
    let p = call.int("p", 2)?;
    let (n, inner) = (x.dims()[a], product(&x.dims()[a + 1..]));
    // From opset 22 on, ONNX's node tests divide by a norm of zero too.
    let divide = call.since(22);
    let mut v = x.to_f64s()?;
    for block in v.chunks_mut((n * inner).max(1)) {
        for i in 0..inner {
            let of = |j: usize| block[j * inner + i];
            let norm = if p == 1 {
                (0..n).map(|j| of(j).abs()).sum::<f64>()
            } else {
                (0..n).map(|j| of(j).powi(2)).sum::<f64>().sqrt()
            };
            for j in 0..n {
                block[j * inner + i] = if norm == 0.0 && !divide { 0.0 } else { block[j * inner + i] / norm };
            }
        }
    }
    one(like64(&x, x.dims(), &v)?)
}

pub(in crate::onnx) fn mean_variance_normalization(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let list = call.ints("axes")?.map_or_else(|| vec![0, 2, 3], |v| v.to_vec());
    let gone = axes(&list, x.rank())?;
    let mut order: Vec<usize> = (0..x.rank()).filter(|d| !gone.contains(d)).collect();
    order.extend(&gone);
    let inner: usize = gone.iter().map(|d| x.dims()[*d]).product();
    let moved = x.permuted(&order)?;
    let mut v = moved.to_f64s()?;
    for row in v.chunks_mut(inner.max(1)) {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let deviation = (row.iter().map(|x| x * x).sum::<f64>() / n - mean * mean).max(0.0).sqrt() + 1e-9;
        row.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
    }
    let mut back = vec![0; order.len()];
    for (i, o) in order.iter().enumerate() {
        back[*o] = i;
    }
    one(like64(&x, moved.dims(), &v)?.permuted(&back)?)
}

pub(in crate::onnx) fn lrn(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [_, channels, ..] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let (alpha, beta, bias) = (call.float("alpha", 1e-4)?, call.float("beta", 0.75)?, call.float("bias", 1.0)?);
    let n = size(call.int("size", 1)?)?;
    if n == 0 {
        return Err(bad("a size of at least 1 expected"));
    }
    let inner = product(&x.dims()[2..]).max(1);
    let v = x.to_f32s()?;
    call.spend(v.len().saturating_mul(n.min(channels)))?;
    let (before, after) = ((n - 1) / 2, n / 2);
    let out = (0..v.len())
        .map(|i| {
            let (c, base) = (i / inner % channels, i - i / inner % channels * inner);
            let (from, to) = (c.saturating_sub(before), c.saturating_add(after).min(channels - 1));
            let square: f32 = (from..=to).map(|j| v[base + j * inner].powi(2)).sum();
            v[i] / (bias + alpha / n as f32 * square).powf(beta)
        })
        .collect();
    one(like(&x, x.dims(), out)?)
}
