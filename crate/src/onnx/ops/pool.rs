//! Pooling.

use super::{conv::Window, product, sizes, strides};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, room},
    },
};

struct Pool {
    window: Window,
    input: Vec<usize>,
    output: Vec<usize>,
    dims: Vec<usize>,
    planes: usize,
}

impl Pool {
    fn of(call: &Call<'_, '_>, x: &Tensor) -> Result<Self> {
        if x.rank() < 3 {
            return Err(bad(format!("at least 3 dimensions expected, {} found", x.told())));
        }
        let kernel = call.ints("kernel_shape")?.ok_or_else(|| bad("the attribute \"kernel_shape\" expected"))?;
        let input = x.dims()[2..].to_vec();
        let window = Window::of(call, sizes(&kernel)?, &input)?;
        let same = call.text("auto_pad", "NOTSET")?.starts_with("SAME");
        let output = if same {
            input.iter().zip(&window.strides).map(|(n, s)| n.div_ceil(*s)).collect()
        } else {
            window.output(&input, call.flag("ceil_mode", false)?)?
        };
        let dims = [&x.dims()[..2], &output[..]].concat();
        room(&dims, 8)?;
        let taps = room(&window.kernel, 0)?;
        // The places of every window are laid down once.
        room(&[product(&output), taps], 8)?;
        Ok(Self { window, input, output, dims, planes: product(&x.dims()[..2]) })
    }
    /// Calls `each` for every output with the flat places in its plane that its window meets, in order.
    fn visit(&self, mut each: impl FnMut(usize, usize, &[usize])) {
        let (own, steps) = (strides(&self.input), strides(&self.output));
        let n = product(&self.output);
        let mut places = Vec::new();
        let mut next = Vec::new();
        // The places are the same in every plane.
        let mut all: Vec<Vec<usize>> = Vec::with_capacity(n);
        for o in 0..n {
            places.clear();
            places.push(0);
            for d in 0..self.input.len() {
                let at = o / steps[d] % self.output[d];
                next.clear();
                for base in &places {
                    for k in 0..self.window.kernel[d] {
                        if let Some(i) = self.window.tap(d, at, k, self.input[d]) {
                            next.push(base + i * own[d]);
                        }
                    }
                }
                std::mem::swap(&mut places, &mut next);
            }
            all.push(places.clone());
        }
        for plane in 0..self.planes {
            for (o, places) in all.iter().enumerate() {
                each(plane, o, places);
            }
        }
    }
    /// Taps of an output that lie within the padded input.
    fn padded_taps(&self, o: usize) -> usize {
        let steps = strides(&self.output);
        (0..self.input.len())
            .map(|d| {
                let at = o / steps[d] % self.output[d] * self.window.strides[d];
                let end = self.input[d] + self.window.before[d] + self.window.after[d];
                (0..self.window.kernel[d]).filter(|k| at + k * self.window.dilations[d] < end).count()
            })
            .product()
    }
}

pub(in crate::onnx) fn max_pool(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let pool = Pool::of(call, &x)?;
    call.spend(product(&pool.dims).saturating_mul(product(&pool.window.kernel)))?;
    let plane = product(&pool.input);
    let v = x.to_f64s()?;
    let column_major = call.flag("storage_order", false)?;
    let (own, rank) = (strides(&pool.input), pool.input.len());
    let n = product(&pool.dims);
    let (mut places, mut indices) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let mut empty = false;
    pool.visit(|p, _, window| {
        let mut best: Option<usize> = None;
        for at in window {
            let at = p * plane + at;
            if best.is_none_or(|b| v[at] > v[b] || (v[at].is_nan() && !v[b].is_nan())) {
                best = Some(at);
            }
        }
        let Some(best) = best else {
            empty = true;
            return;
        };
        places.push(best);
        indices.push(if column_major {
            let (mut flat, mut step) = (0, 1);
            for d in 0..rank {
                flat += best % plane.max(1) / own[d] % pool.input[d] * step;
                step *= pool.input[d];
            }
            (p * plane + flat) as i64
        } else {
            best as i64
        });
    });
    if empty {
        return Err(bad("a window that meets nothing but padding"));
    }
    Ok(vec![x.picked(&places, pool.dims.clone())?.into(), Tensor::of(pool.dims, Data::I64(indices))?.into()])
}

fn summed(
    call: &mut Call<'_, '_>,
    each: impl Fn(&Pool, usize, &mut dyn Iterator<Item = f64>, usize) -> f64,
) -> Outputs {
    let x = call.tensor(0)?;
    let pool = Pool::of(call, &x)?;
    call.spend(product(&pool.dims).saturating_mul(product(&pool.window.kernel)))?;
    let plane = product(&pool.input);
    let v = x.to_f64s()?;
    let mut out = Vec::with_capacity(product(&pool.dims));
    pool.visit(|p, o, window| {
        let mut values = window.iter().map(|at| v[p * plane + at]);
        out.push(each(&pool, o, &mut values, window.len()));
    });
    one(Tensor::of(pool.dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}
pub(in crate::onnx) fn average_pool(call: &mut Call<'_, '_>) -> Outputs {
    let with_pad = call.flag("count_include_pad", false)?;
    summed(call, |pool, o, values, n| {
        let sum: f64 = values.sum();
        sum / (if with_pad { pool.padded_taps(o) } else { n }) as f64
    })
}
pub(in crate::onnx) fn lp_pool(call: &mut Call<'_, '_>) -> Outputs {
    let p = call.float("p", 2.0)?;
    summed(call, |_, _, values, _| values.map(|x| x.abs().powf(f64::from(p))).sum::<f64>().powf(1.0 / f64::from(p)))
}

fn global(call: &mut Call<'_, '_>, f: impl Fn(&[f64]) -> f64) -> Outputs {
    let x = call.tensor(0)?;
    if x.rank() < 2 {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    }
    let n = product(&x.dims()[2..]);
    let mut dims = x.dims().to_vec();
    dims[2..].fill(1);
    let v = x.to_f64s()?;
    let planes = product(&dims);
    let out: Vec<f64> = (0..planes).map(|i| f(&v[i * n..(i + 1) * n])).collect();
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}
pub(in crate::onnx) fn global_average_pool(call: &mut Call<'_, '_>) -> Outputs {
    global(call, |v| v.iter().sum::<f64>() / v.len() as f64)
}
pub(in crate::onnx) fn global_max_pool(call: &mut Call<'_, '_>) -> Outputs {
    global(call, |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}
pub(in crate::onnx) fn global_lp_pool(call: &mut Call<'_, '_>) -> Outputs {
    let p = f64::from(call.float("p", 2.0)?);
    global(call, |v| v.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p))
}

pub(in crate::onnx) fn max_unpool(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices) = (call.tensor(0)?, call.tensor(1)?);
    let kernel = call.ints("kernel_shape")?.ok_or_else(|| bad("the attribute \"kernel_shape\" expected"))?;
    if x.rank() < 3 || indices.dims() != x.dims() || kernel.len() != x.rank() - 2 {
        return Err(bad(format!("{} with indices {} and a kernel {kernel:?}", x.told(), indices.told())));
    }
    let rank = kernel.len();
    let steps = call.ints("strides")?.map_or_else(|| vec![1; rank], |v| v.to_vec());
    let pads = call.ints("pads")?.map_or_else(|| vec![0; 2 * rank], |v| v.to_vec());
    if steps.len() != rank || pads.len() != 2 * rank {
        return Err(bad("strides and pads for each axis expected"));
    }
    let mut least = x.dims()[..2].to_vec();
    for d in 0..rank {
        let n = (x.dims()[d + 2] as i64 - 1).saturating_mul(steps[d]).saturating_add(kernel[d]);
        least.push(super::size(n.saturating_sub(pads[d]).saturating_sub(pads[d + rank]))?);
    }
    let dims = match call.optional(2)? {
        Some(shape) => sizes(&shape.to_i64s()?)?,
        None => least.clone(),
    };
    if dims.len() != least.len() {
        return Err(bad(format!("an output shape of {} dimensions expected, {dims:?} found", least.len())));
    }
    let total = room(&dims, 8)?;
    room(&least, 8)?;
    let small = product(&least[1..]).max(1);
    // Indices count within the smallest shape that the attributes give; a larger output only spreads it.
    let (own, wide) = (strides(&least), strides(&dims));
    let mut out = vec![0.0; total];
    for (at, v) in indices.to_i64s()?.into_iter().zip(x.to_f64s()?) {
        let at = usize::try_from(at).ok().filter(|a| *a < small * least[0]);
        let at = at.ok_or_else(|| bad("an index beyond the result"))?;
        let flat = if dims == least { at } else { (0..dims.len()).map(|d| at / own[d] % least[d] * wide[d]).sum() };
        *out.get_mut(flat).ok_or_else(|| bad("an index beyond the result"))? = v;
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}
