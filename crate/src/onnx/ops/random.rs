//! Random numbers. ONNX fixes no generator: a seed gives the same numbers at each run of this program, not those of another.

use super::sizes;
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room},
    },
    random::Random,
};

/// The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), with 53-bit numbers as its authors make them.
pub(super) struct Twister {
    state: Vec<u32>,
    at: usize,
}

impl Twister {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = vec![seed; 624];
        for i in 1..624 {
            let before: u32 = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, at: 624 }
    }
    fn word(&mut self) -> u32 {
        if self.at == 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ if y & 1 == 1 { 0x9908_b0df } else { 0 };
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }
    /// From 0 up to 1.
    pub(super) fn real(&mut self) -> f64 {
        let (a, b) = (f64::from(self.word() >> 5), f64::from(self.word() >> 6));
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }
}

fn seed(call: &mut Call<'_, '_>) -> Result<()> {
    if let Some(seed) = call.float_opt("seed")? {
        call.run.random = Random(u64::from(seed.to_bits()));
    }
    Ok(())
}

/// A normally distributed number (Box and Muller).
fn normal(call: &mut Call<'_, '_>) -> f64 {
    let (u, v) = (1.0 - call.run.random(), call.run.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn shape_and_type(call: &Call<'_, '_>, like: bool) -> Result<(Vec<usize>, Type)> {
    if like {
        let x = call.tensor(0)?;
        return Ok((x.dims().to_vec(), call.attr_type("dtype")?.unwrap_or_else(|| x.kind())));
    }
    let shape = call.ints("shape")?.ok_or_else(|| bad("the attribute \"shape\" expected"))?;
    Ok((sizes(&shape)?, call.attr_type("dtype")?.unwrap_or(Type::F32)))
}

fn uniform(call: &mut Call<'_, '_>, like: bool) -> Outputs {
    seed(call)?;
    let (dims, kind) = shape_and_type(call, like)?;
    let (low, high) = (f64::from(call.float("low", 0.0)?), f64::from(call.float("high", 1.0)?));
    let n = room(&dims, 8)?;
    let v: Vec<f64> = (0..n).map(|_| low + (high - low) * call.run.random()).collect();
    one(Tensor::of(dims, cast::from_f64s(kind, &v, Rounding::default())?)?)
}
fn gaussian(call: &mut Call<'_, '_>, like: bool) -> Outputs {
    seed(call)?;
    let (dims, kind) = shape_and_type(call, like)?;
    let (mean, scale) = (f64::from(call.float("mean", 0.0)?), f64::from(call.float("scale", 1.0)?));
    let n = room(&dims, 8)?;
    let v: Vec<f64> = (0..n).map(|_| mean + scale * normal(call)).collect();
    one(Tensor::of(dims, cast::from_f64s(kind, &v, Rounding::default())?)?)
}
pub(in crate::onnx) fn random_uniform(call: &mut Call<'_, '_>) -> Outputs {
    uniform(call, false)
}
pub(in crate::onnx) fn random_uniform_like(call: &mut Call<'_, '_>) -> Outputs {
    uniform(call, true)
}
pub(in crate::onnx) fn random_normal(call: &mut Call<'_, '_>) -> Outputs {
    gaussian(call, false)
}
pub(in crate::onnx) fn random_normal_like(call: &mut Call<'_, '_>) -> Outputs {
    gaussian(call, true)
}
pub(in crate::onnx) fn bernoulli(call: &mut Call<'_, '_>) -> Outputs {
    seed(call)?;
    let x = call.tensor(0)?;
    let kind = call.attr_type("dtype")?.unwrap_or_else(|| x.kind());
    let v: Vec<f64> = x.to_f64s()?.into_iter().map(|p| f64::from(u8::from(call.run.random() < p))).collect();
    one(x.with(cast::from_f64s(kind, &v, Rounding::default())?)?)
}
pub(in crate::onnx) fn multinomial(call: &mut Call<'_, '_>) -> Outputs {
    seed(call)?;
    let x = call.tensor(0)?;
    let [rows, classes] = x.dims()[..] else { return Err(bad(format!("2 dimensions expected, {} found", x.told()))) };
    let n = super::size(call.int("sample_size", 1)?)?;
    let kind = call.attr_type("dtype")?.unwrap_or(Type::I32);
    room(&[rows, n], 8)?;
    if classes == 0 {
        return Err(bad("no class to choose from"));
    }
    let logits = x.to_f64s()?;
    let mut out = Vec::with_capacity(rows * n);
    for row in logits.chunks(classes) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|v| (v - most).exp()).sum();
        for _ in 0..n {
            let mut left = call.run.random() * total;
            let chosen = row.iter().position(|v| {
                left -= (v - most).exp();
                left < 0.0
            });
            out.push(chosen.unwrap_or(classes - 1) as i64);
        }
    }
    one(Tensor::of([rows, n], cast::from_i64s(kind, &out)?)?)
}

/// A tensor of random values of a type, for inputs that a caller leaves open.
///
/// # Errors
/// The limit of memory.
pub fn filler(kind: Type, dims: &[usize], numbers: &mut dyn FnMut() -> f64) -> Result<Tensor> {
    let n = room(dims, 16)?;
    if kind == Type::Str {
        return Tensor::of(dims, Data::zeros(kind, n));
    }
    let v: Vec<f64> = (0..n).map(|_| if kind.is_float() { numbers() * 2.0 - 1.0 } else { numbers() * 2.0 }).collect();
    Tensor::of(dims, cast::from_f64s(kind, &v, Rounding::default())?)
}
