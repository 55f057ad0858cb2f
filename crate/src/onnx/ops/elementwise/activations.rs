//! Activation functions that take attributes.

use super::{floats, gelu_tanh32, gelu32, sigmoid32, sigmoid64};
use crate::ir::eval::erf as exact_erf;
use crate::onnx::cast::{self, Rounding};
use crate::onnx::run::{Call, Outputs, one};

pub(in crate::onnx) fn gelu(call: &mut Call<'_, '_>) -> Outputs {
    if call.text("approximate", "none")? == "tanh" {
        return floats(call, gelu_tanh32, |x| {
            0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh())
        });
    }
    floats(call, gelu32, |x| 0.5 * x * (1.0 + exact_erf(x * std::f64::consts::FRAC_1_SQRT_2)))
}

pub(in crate::onnx) fn elu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.0)?;
    floats(call, |x| if x < 0.0 { a * x.exp_m1() } else { x }, |x| if x < 0.0 { f64::from(a) * x.exp_m1() } else { x })
}

pub(in crate::onnx) fn celu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.0)?;
    let b = f64::from(a);
    floats(call, |x| x.max(0.0) + (a * (x / a).exp_m1()).min(0.0), |x| x.max(0.0) + (b * (x / b).exp_m1()).min(0.0))
}

pub(in crate::onnx) fn selu(call: &mut Call<'_, '_>) -> Outputs {
    let a = f64::from(call.float("alpha", 1.673_263_2)?);
    let g = f64::from(call.float("gamma", 1.050_701)?);
    let f = move |x: f64| if x > 0.0 { g * x } else { g * a * x.exp_m1() };
    floats(call, |x| f(f64::from(x)) as f32, f)
}

pub(in crate::onnx) fn leaky_relu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 0.01)?;
    floats(call, |x| if x < 0.0 { a * x } else { x }, |x| if x < 0.0 { f64::from(a) * x } else { x })
}

pub(in crate::onnx) fn thresholded_relu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.0)?;
    floats(call, |x| if x > a { x } else { 0.0 }, |x| if x > f64::from(a) { x } else { 0.0 })
}

pub(in crate::onnx) fn hard_sigmoid(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.float("alpha", 0.2)?, call.float("beta", 0.5)?);
    floats(call, |x| (a * x + b).clamp(0.0, 1.0), |x| (f64::from(a) * x + f64::from(b)).clamp(0.0, 1.0))
}

pub(in crate::onnx) fn swish(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.0)?;
    floats(call, |x| x * sigmoid32(a * x), |x| x * sigmoid64(f64::from(a) * x))
}

pub(in crate::onnx) fn quick_gelu(call: &mut Call<'_, '_>) -> Outputs {
    let a = call.float("alpha", 1.702)?;
    floats(call, |x| x * sigmoid32(a * x), |x| x * sigmoid64(f64::from(a) * x))
}

pub(in crate::onnx) fn shrink(call: &mut Call<'_, '_>) -> Outputs {
    let (bias, lambd) = (f64::from(call.float("bias", 0.0)?), f64::from(call.float("lambd", 0.5)?));
    let x = call.tensor(0)?;
    let shrunk = |x: f64| {
        if x < -lambd {
            x + bias
        } else if x > lambd {
            x - bias
        } else {
            0.0
        }
    };
    let v: Vec<f64> = x.to_f64s()?.into_iter().map(shrunk).collect();
    one(x.with(cast::from_f64s(x.kind(), &v, Rounding::default())?)?)
}
