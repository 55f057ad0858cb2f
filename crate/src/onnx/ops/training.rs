//! The optimizers of ai.onnx.preview.training.

use super::single_f64;
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad},
        value::{Tensor, Value},
    },
};

fn of(like: &Tensor, v: &[f64]) -> Result<Value> {
    Ok(Value::Tensor(like.with(cast::from_f64s(like.kind(), v, Rounding::default())?)?))
}

/// Runs an optimizer over groups of tensors: those of the first group, gradients, then states, each of one shape.
fn groups(call: &mut Call<'_, '_>, kinds: usize, mut step: impl FnMut(&mut [Vec<f64>]) -> Result<()>) -> Outputs {
    let n = (call.inputs.len().saturating_sub(2)) / kinds;
    if n == 0 || call.inputs.len() != 2 + n * kinds {
        return Err(bad(format!("a rate, a count and {kinds} tensors for each weight expected")));
    }
    // The new weights and states, in the order of the inputs without the gradients.
    let mut outputs: Vec<Vec<Value>> = vec![Vec::new(); kinds - 1];
    for i in 0..n {
        let tensors: Result<Vec<Tensor>> = (0..kinds).map(|k| call.tensor(2 + k * n + i)).collect();
        let tensors = tensors?;
        let values: Result<Vec<Vec<f64>>> = tensors.iter().map(Tensor::to_f64s).collect();
        let mut values = values?;
        if values.iter().any(|v| v.len() != values[0].len()) {
            return Err(bad("a weight, its gradient and its states should have one shape"));
        }
        step(&mut values)?;
        let kept = values.iter().zip(&tensors).enumerate().filter(|(k, _)| *k != 1).map(|(_, pair)| pair);
        for (list, (v, like)) in outputs.iter_mut().zip(kept) {
            list.push(of(like, v)?);
        }
    }
    Ok(outputs.into_iter().flatten().collect())
}

fn rate_and_count(call: &Call<'_, '_>) -> Result<(f64, f64)> {
    Ok((single_f64(&call.tensor(0)?)?, single_f64(&call.tensor(1)?)?))
}

pub(in crate::onnx) fn adagrad(call: &mut Call<'_, '_>) -> Outputs {
    let (rate, count) = rate_and_count(call)?;
    let (decay, eps, norm) = (
        f64::from(call.float("decay_factor", 0.0)?),
        f64::from(call.float("epsilon", 1e-6)?),
        f64::from(call.float("norm_coefficient", 0.0)?),
    );
    let rate = rate / (1.0 + count * decay);
    groups(call, 3, |v| {
        for i in 0..v[0].len() {
            let g = norm * v[0][i] + v[1][i];
            v[2][i] += g * g;
            v[0][i] -= rate * g / (v[2][i].sqrt() + eps);
        }
        Ok(())
    })
}

pub(in crate::onnx) fn momentum(call: &mut Call<'_, '_>) -> Outputs {
    let (rate, count) = rate_and_count(call)?;
    let f = |name: &str, default: f32| call.float(name, default).map(f64::from);
    let (alpha, beta, norm) = (f("alpha", 0.9)?, f("beta", 1.0)?, f("norm_coefficient", 0.0)?);
    let nesterov = match call.text("mode", "standard")?.as_str() {
        "standard" => false,
        "nesterov" => true,
        other => return Err(bad(format!("the mode standard or nesterov expected, {other:?} found"))),
    };
    let beta = if count > 0.0 { beta } else { 1.0 };
    groups(call, 3, |v| {
        for i in 0..v[0].len() {
            let g = norm * v[0][i] + v[1][i];
            v[2][i] = alpha * v[2][i] + beta * g;
            v[0][i] -= rate * if nesterov { g + alpha * v[2][i] } else { v[2][i] };
        }
        Ok(())
    })
}
