//! Products and convolutions with an activation or a sum in one node.

use super::{activate, biased};
use crate::fault::Result;
use crate::onnx::ops::{elementwise, norm};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Tensor, Value};

/// The last two axes of a matrix exchanged, and the batch axes moved in, as fused products want it.
fn turned(x: &Tensor, last: bool, batch: bool) -> Result<Tensor> {
    let mut order: Vec<usize> = (0..x.rank()).collect();
    if batch && x.rank() > 2 {
        // The batch axes stand between the rows and the columns.
        let r = x.rank();
        order = (1..r - 1).chain([0, r - 1]).collect();
    }
    if last && x.rank() > 1 {
        let r = order.len();
        order.swap(r - 1, r - 2);
    }
    x.permuted(&order)
}

pub(in crate::onnx) fn fused_mat_mul(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let a = turned(&a, call.flag("transA", false)?, call.flag("transBatchA", false)?)?;
    let b = turned(&b, call.flag("transB", false)?, call.flag("transBatchB", false)?)?;
    let y = crate::onnx::ops::matrix::product_of(call, &a, &b)?;
    let alpha = call.float("alpha", 1.0)?;
    one(if alpha == 1.0 { y } else { crate::onnx::ops::matrix::scaled(&y, f64::from(alpha))? })
}

pub(in crate::onnx) fn fused_mat_mul_activation(call: &mut Call<'_, '_>) -> Outputs {
    let y = fused_mat_mul(call)?;
    activated(call, y)
}

fn activated(call: &Call<'_, '_>, mut outputs: Vec<Value>) -> Outputs {
    let name = call.text("activation", "")?;
    let mut params: Vec<f32> = call.floats("activation_params")?.map(|v| v.to_vec()).unwrap_or_default();
    for name in ["activation_alpha", "activation_beta"] {
        params.extend(call.float_opt(name)?);
    }
    let Some(Value::Tensor(t)) = outputs.first() else { return Ok(outputs) };
    let mut v = t.to_f32s()?;
    activate(&name, &params, &mut v)?;
    outputs[0] = norm::like(t, t.dims(), v)?.into();
    Ok(outputs)
}

pub(in crate::onnx) fn fused_gemm(call: &mut Call<'_, '_>) -> Outputs {
    let y = crate::onnx::ops::matrix::gemm(call)?;
    activated(call, y)
}

pub(in crate::onnx) fn gemm_fast_gelu(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let y = crate::onnx::ops::matrix::product_of(call, &a, &b)?;
    let mut v = biased(&y, bias.as_ref())?;
    v.iter_mut().for_each(|x| *x = elementwise::gelu_tanh32(*x));
    one(norm::like(&y, y.dims(), v)?)
}

pub(in crate::onnx) fn fused_conv(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, b, z) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?, call.optional(3)?);
    let mut y = crate::onnx::ops::conv::convolve(call, &x, &w, b.as_ref())?;
    if let Some(z) = z {
        y = elementwise::add_tensors(&y, &z)?;
    }
    activated(call, vec![y.into()])
}

/// Channels last to channels second, and back.
pub(super) fn channels_second(x: &Tensor) -> Result<Tensor> {
    let r = x.rank();
    if r < 3 {
        return Err(bad(format!("at least 3 dimensions expected, {} found", x.told())));
    }
    x.permuted(&[0, r - 1].into_iter().chain(1..r - 1).collect::<Vec<_>>())
}

pub(super) fn channels_last(x: &Tensor) -> Result<Tensor> {
    let r = x.rank();
    if r < 3 {
        return Err(bad(format!("at least 3 dimensions expected, {} found", x.told())));
    }
    x.permuted(&[0].into_iter().chain(2..r).chain([1]).collect::<Vec<_>>())
}

/// Runs an operator of images with its channels last: the inputs named are turned, the first output is turned back.
fn nhwc(call: &mut Call<'_, '_>, turn: &[usize], f: fn(&mut Call<'_, '_>) -> Outputs) -> Outputs {
    for i in turn {
        if let Some(x) = call.optional(*i)? {
            call.inputs[*i] = Some(channels_second(&x)?.into());
        }
    }
    let mut out = f(call)?;
    if let Some(Value::Tensor(y)) = out.first() {
        out[0] = channels_last(y)?.into();
    }
    out.truncate(1);
    Ok(out)
}

pub(in crate::onnx) fn nhwc_conv(call: &mut Call<'_, '_>) -> Outputs {
    nhwc(call, &[0, 1], crate::onnx::ops::conv::conv)
}

pub(in crate::onnx) fn nhwc_fused_conv(call: &mut Call<'_, '_>) -> Outputs {
    nhwc(call, &[0, 1, 3], fused_conv)
}

pub(in crate::onnx) fn nhwc_max_pool(call: &mut Call<'_, '_>) -> Outputs {
    nhwc(call, &[0], crate::onnx::ops::pool::max_pool)
}
