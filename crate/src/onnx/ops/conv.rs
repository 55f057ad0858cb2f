//! Convolutions: patches laid out as columns, then a product of matrices.

mod other;

pub(in crate::onnx) use other::{causal_conv_with_state, deform_conv};

use super::{product, size, strides};
use crate::{
    engine::device::cpu::Matrix,
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room},
    },
};

/// Kernel, steps and pads of a window that moves over the last dimensions.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
}

/// Numbers whose products cannot leave 64 bits.
fn small(v: Vec<usize>) -> Result<Vec<usize>> {
    if v.iter().any(|n| *n > 1 << 30) {
        return Err(bad(format!("sizes, steps and pads of at most 2^30 expected, {v:?} found")));
    }
    Ok(v)
}

impl Window {
    /// From a node's attributes; `input` are the sizes that it moves over.
    pub(super) fn of(call: &Call<'_, '_>, kernel: Vec<usize>, input: &[usize]) -> Result<Self> {
        let rank = input.len();
        let list = |name: &str, default: i64| -> Result<Vec<usize>> {
            let given = call.ints(name)?.map_or_else(|| vec![default; rank], |v| v.to_vec());
            if given.len() != rank || given.iter().any(|n| *n < 1) {
                return Err(bad(format!("{name} of {rank} numbers of at least 1 expected, {given:?} found")));
            }
            small(super::sizes(&given)?)
        };
        let kernel = small(kernel)?;
        let (steps, dilations) = (list("strides", 1)?, list("dilations", 1)?);
        if kernel.len() != rank || kernel.contains(&0) {
            return Err(bad(format!("a kernel of {rank} sizes of at least 1 expected, {kernel:?} found")));
        }
        let mut window = Self { kernel, strides: steps, dilations, before: vec![0; rank], after: vec![0; rank] };
        match call.text("auto_pad", "NOTSET")?.as_str() {
            "NOTSET" | "" => {
                if let Some(pads) = call.ints("pads")? {
                    if pads.len() != 2 * rank {
                        return Err(bad(format!("{} pads expected, {} found", 2 * rank, pads.len())));
                    }
                    window.before = small(super::sizes(&pads[..rank])?)?;
                    window.after = small(super::sizes(&pads[rank..])?)?;
                }
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for d in 0..rank {
                    let out = input[d].div_ceil(window.strides[d]);
                    let need = (out.saturating_sub(1).saturating_mul(window.strides[d]))
                        .saturating_add(window.reach(d)?)
                        .saturating_sub(input[d]);
                    let less = need / 2;
                    (window.before[d], window.after[d]) =
                        if same == "SAME_UPPER" { (less, need - less) } else { (need - less, less) };
                }
            }
            other => return Err(bad(format!("an auto_pad of ONNX expected, {other:?} found"))),
        }
        Ok(window)
    }
    /// Inputs from the first to the last that one window meets.
    pub(super) fn reach(&self, d: usize) -> Result<usize> {
        (self.kernel[d] - 1)
            .checked_mul(self.dilations[d])
            .and_then(|n| n.checked_add(1))
            .ok_or_else(|| bad("a kernel beyond 64 bits"))
    }
    /// Sizes of the result.
    pub(super) fn output(&self, input: &[usize], ceil: bool) -> Result<Vec<usize>> {
        (0..input.len())
            .map(|d| {
                let wide = input[d]
                    .checked_add(self.before[d])
                    .and_then(|n| n.checked_add(self.after[d]))
                    .ok_or_else(|| bad("pads beyond 64 bits"))?;
                let Some(room) = wide.checked_sub(self.reach(d)?) else {
                    return Err(bad(format!("a kernel that reaches over {} of {wide} elements", self.reach(d)?)));
                };
                let steps = if ceil { room.div_ceil(self.strides[d]) } else { room / self.strides[d] };
                // The last window must begin within the input or the pad before it.
                let beyond = ceil && steps * self.strides[d] >= input[d] + self.before[d];
                Ok(steps + 1 - usize::from(beyond))
            })
            .collect()
    }
    /// Input index that tap `k` of output `o` meets.
    pub(super) fn tap(&self, d: usize, o: usize, k: usize, n: usize) -> Option<usize> {
        (o * self.strides[d] + k * self.dilations[d]).checked_sub(self.before[d]).filter(|i| *i < n)
    }
}

/// Lays the patches of one image out as columns: `[channels * kernel, outputs]`.
fn columns<E: Copy + Default>(x: &[E], input: &[usize], output: &[usize], w: &Window, channels: usize, out: &mut [E]) {
    let (image, outputs, taps) = (product(input), product(output), product(&w.kernel));
    let own = strides(input);
    let tap_strides = strides(&w.kernel);
    let last = output.len() - 1;
    for c in 0..channels {
        for t in 0..taps {
            let row = &mut out[(c * taps + t) * outputs..][..outputs];
            let tap: Vec<usize> = (0..input.len()).map(|d| t / tap_strides[d] % w.kernel[d]).collect();
            for (line, cells) in row.chunks_mut(output[last]).enumerate() {
                let mut rest = line;
                let mut base = Some(c * image);
                for d in (0..last).rev() {
                    let o = rest % output[d];
                    rest /= output[d];
                    base = base.and_then(|b| Some(b + w.tap(d, o, tap[d], input[d])? * own[d]));
                }
                match base {
                    None => cells.fill(E::default()),
                    Some(base) => {
                        let shift = tap[last] * w.dilations[last];
                        for (o, cell) in cells.iter_mut().enumerate() {
                            let at = (o * w.strides[last] + shift).wrapping_sub(w.before[last]);
                            *cell = if at < input[last] { x[base + at] } else { E::default() };
                        }
                    }
                }
            }
        }
    }
}

/// What a convolution works on.
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) maps: usize,
    pub(super) group: usize,
    pub(super) input: Vec<usize>,
    pub(super) output: Vec<usize>,
    pub(super) window: Window,
}

impl Sizes {
    pub(super) fn of(call: &Call<'_, '_>, x: &Tensor, w: &Tensor) -> Result<Self> {
        let (dims, kernel) = (x.dims(), w.dims());
        if dims.len() < 3 || kernel.len() != dims.len() {
            return Err(bad(format!("an image and a kernel expected, {} and {} found", x.told(), w.told())));
        }
        let group = size(call.int("group", 1)?)?;
        let (channels, maps) = (dims[1], kernel[0]);
        if group == 0 || channels % group != 0 || maps % group != 0 || kernel[1] != channels / group {
            return Err(bad(format!("a kernel {} of {group} groups for {}", w.told(), x.told())));
        }
        if let Some(stated) = call.ints("kernel_shape")?
            && super::sizes(&stated)? != kernel[2..]
        {
            return Err(bad(format!("a kernel {} where kernel_shape says {stated:?}", w.told())));
        }
        let input = dims[2..].to_vec();
        let window = Window::of(call, kernel[2..].to_vec(), &input)?;
        let output = window.output(&input, false)?;
        Ok(Self { batch: dims[0], channels, maps, group, input, output, window })
    }
    pub(super) fn dims(&self) -> Vec<usize> {
        [&[self.batch, self.maps], &self.output[..]].concat()
    }
    /// Terms of each output.
    fn depth(&self) -> usize {
        self.channels / self.group * product(&self.window.kernel)
    }
    /// Runs the convolution; `multiply` makes `[maps, outputs]` of the kernel's rows and the columns.
    pub(super) fn run<E: Copy + Default, T: Copy + Default>(
        &self,
        call: &mut Call<'_, '_>,
        x: &[E],
        w: &[E],
        mut multiply: impl FnMut(&mut Call<'_, '_>, &[E], usize, usize, &[E], usize, &mut [T]),
    ) -> Result<Vec<T>> {
        let total = room(&self.dims(), size_of::<T>())?;
        let (k, n, maps) = (self.depth(), product(&self.output), self.maps / self.group);
        call.spend(total.saturating_mul(k))?;
        let mut out = vec![T::default(); total];
        if total == 0 || k == 0 {
            return Ok(out);
        }
        let image = product(&self.input) * (self.channels / self.group);
        let plain = product(&self.window.kernel) == 1
            && self.window.strides.iter().all(|s| *s == 1)
            && self.window.before.iter().chain(&self.window.after).all(|p| *p == 0);
        let mut buffer = if plain { Vec::new() } else { vec![E::default(); room(&[k, n], size_of::<E>())?] };
        for (i, chunk) in out.chunks_mut(maps * n).enumerate() {
            let from = &x[i * image..(i + 1) * image];
            let kernel = &w[i % self.group * maps * k..][..maps * k];
            if plain {
                multiply(call, kernel, maps, k, from, n, chunk);
            } else {
                columns(from, &self.input, &self.output, &self.window, self.channels / self.group, &mut buffer);
                multiply(call, kernel, maps, k, &buffer, n, chunk);
            }
        }
        Ok(out)
    }
}

pub(super) fn multiply_f32(
    call: &mut Call<'_, '_>,
    w: &[f32],
    m: usize,
    k: usize,
    x: &[f32],
    n: usize,
    out: &mut [f32],
) {
    call.run.product().multiply(Matrix::rows(w, m, k), Matrix::rows(x, k, n), out);
}
pub(super) fn multiply_f64(_: &mut Call<'_, '_>, w: &[f64], m: usize, k: usize, x: &[f64], n: usize, out: &mut [f64]) {
    for r in 0..m {
        let row = &mut out[r * n..(r + 1) * n];
        for i in 0..k {
            let f = w[r * k + i];
            row.iter_mut().zip(&x[i * n..]).for_each(|(s, x)| *s += f * x);
        }
    }
}

/// Terms whose products of two numbers of 8 bits sum up exactly in f32.
const EXACT: usize = 256;

/// A product of whole numbers of up to 9 bits, exact: sums of f32 that stay below 2^24, added as integers.
pub(super) fn multiply_whole(
    call: &mut Call<'_, '_>,
    a: &[f32],
    m: usize,
    k: usize,
    b: &[f32],
    n: usize,
    out: &mut [i32],
) {
    let mut part = vec![0.0; m * n];
    for from in (0..k).step_by(EXACT) {
        let depth = (k - from).min(EXACT);
        let left = Matrix { data: &a[from..], rows: m, cols: depth, row_stride: k, col_stride: 1 };
        call.run.product().multiply(left, Matrix::rows(&b[from * n..], depth, n), &mut part);
        out.iter_mut().zip(&part).for_each(|(s, p)| *s = s.wrapping_add(*p as i32));
    }
}

/// Adds a value for each map.
pub(super) fn add_bias<T: Copy + std::ops::AddAssign>(out: &mut [T], bias: &[T], n: usize) {
    for (i, row) in out.chunks_mut(n.max(1)).enumerate() {
        let b = bias[i % bias.len()];
        row.iter_mut().for_each(|v| *v += b);
    }
}

/// The convolution of two tensors of floats.
pub(super) fn convolve(call: &mut Call<'_, '_>, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let sizes = Sizes::of(call, x, w)?;
    if let Some(b) = bias
        && b.len() != sizes.maps
    {
        return Err(bad(format!("{} biases expected, {} found", sizes.maps, b.told())));
    }
    let n = product(&sizes.output);
    let data = if x.kind() == Type::F64 {
        let mut out = sizes.run(call, &x.to_f64s()?, &w.to_f64s()?, multiply_f64)?;
        if let Some(b) = bias {
            add_bias(&mut out, &b.to_f64s()?, n);
        }
        Data::F64(out)
    } else {
        let (x32, w32) = (x.cast(Type::F32)?, w.cast(Type::F32)?);
        let mut out = sizes.run(call, x32.f32s()?, w32.f32s()?, multiply_f32)?;
        if let Some(b) = bias {
            add_bias(&mut out, &b.to_f32s()?, n);
        }
        cast::from_f32s(x.kind(), out)?
    };
    Tensor::of(sizes.dims(), data)
}

pub(in crate::onnx) fn conv(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, b) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    one(convolve(call, &x, &w, b.as_ref())?)
}

pub(in crate::onnx) fn conv_transpose(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    if x.rank() < 3 || w.rank() != x.rank() {
        return Err(bad(format!("an image and a kernel expected, {} and {} found", x.told(), w.told())));
    }
    let group = size(call.int("group", 1)?)?;
    let (batch, channels) = (x.dims()[0], x.dims()[1]);
    if group == 0 || channels % group != 0 || w.dims()[0] != channels {
        return Err(bad(format!("a kernel {} of {group} groups for {}", w.told(), x.told())));
    }
    let maps = w.dims()[1] * group;
    let input = x.dims()[2..].to_vec();
    let kernel = w.dims()[2..].to_vec();
    let rank = input.len();
    let (window, output) = transposed_window(call, &kernel, &input)?;
    let dims = [&[batch, maps], &output[..]].concat();
    let total = room(&dims, 8)?;
    let (taps, n_in, n_out) = (product(&kernel), product(&input), product(&output));
    let (cg, mg) = (channels / group, maps / group);
    call.spend(x.len().saturating_mul(mg).saturating_mul(taps))?;
    // Columns of each group: the kernel transposed times the image, then added where they belong.
    let (xv, wv) = (x.to_f32s()?, w.to_f32s()?);
    let mut out = vec![0f32; total];
    let mut cols = vec![0f32; room(&[mg, taps, n_in], 4)?];
    let (in_strides, out_strides, tap_strides) = (strides(&input), strides(&output), strides(&kernel));
    for b in 0..batch {
        for g in 0..group {
            let image = &xv[(b * channels + g * cg) * n_in..][..cg * n_in];
            let weights = &wv[g * cg * mg * taps..][..cg * mg * taps];
            if cg > 0 && !cols.is_empty() {
                let left = Matrix::columns(weights, mg * taps, cg);
                call.run.product().multiply(left, Matrix::rows(image, cg, n_in), &mut cols);
            }
            for m in 0..mg {
                let to = &mut out[(b * maps + g * mg + m) * n_out..][..n_out];
                for t in 0..taps {
                    let from = &cols[(m * taps + t) * n_in..][..n_in];
                    for (i, v) in from.iter().enumerate() {
                        let mut flat = Some(0);
                        for d in 0..rank {
                            let (at, k) = (i / in_strides[d] % input[d], t / tap_strides[d] % kernel[d]);
                            let o = (at * window.strides[d] + k * window.dilations[d]).checked_sub(window.before[d]);
                            flat = flat.zip(o.filter(|o| *o < output[d])).map(|(f, o)| f + o * out_strides[d]);
                        }
                        if let Some(flat) = flat {
                            to[flat] += v;
                        }
                    }
                }
            }
        }
    }
    if let Some(b) = bias {
        if b.len() != maps {
            return Err(bad(format!("{maps} biases expected, {} found", b.told())));
        }
        add_bias(&mut out, &b.to_f32s()?, n_out);
    }
    one(Tensor::of(dims, cast::from_f32s(x.kind(), out)?)?)
}

fn transposed_window(call: &Call<'_, '_>, kernel: &[usize], input: &[usize]) -> Result<(Window, Vec<usize>)> {
    let rank = input.len();
    let list = |name: &str, default: i64, least: i64| -> Result<Vec<usize>> {
        let v = call.ints(name)?.map_or_else(|| vec![default; rank], |v| v.to_vec());
        if v.len() != rank || v.iter().any(|n| *n < least) {
            return Err(bad(format!("{name} of {rank} numbers of at least {least} expected, {v:?} found")));
        }
        small(super::sizes(&v)?)
    };
    let mut window = Window {
        kernel: kernel.to_vec(),
        strides: list("strides", 1, 1)?,
        dilations: list("dilations", 1, 1)?,
        before: vec![0; rank],
        after: vec![0; rank],
    };
    if kernel.contains(&0) {
        return Err(bad("a kernel without elements"));
    }
    let extra = list("output_padding", 0, 0)?;
    let mode = call.text("auto_pad", "NOTSET")?;
    let stated = call.ints("output_shape")?.map(|v| super::sizes(&v[v.len().saturating_sub(rank)..])).transpose()?;
    let full = |d: usize, w: &Window| -> Result<usize> {
        input[d]
            .saturating_sub(1)
            .checked_mul(w.strides[d])
            .and_then(|n| n.checked_add(w.reach(d).ok()?))
            .and_then(|n| n.checked_add(extra[d]))
            .ok_or_else(|| bad("an output beyond 64 bits"))
    };
    let mut output = Vec::new();
    if stated.is_some() || mode.starts_with("SAME") {
        for d in 0..rank {
            let out = match &stated {
                Some(s) => *s.get(d).ok_or_else(|| bad(format!("an output_shape of {rank} sizes expected")))?,
                None => input[d].checked_mul(window.strides[d]).ok_or_else(|| bad("an output beyond 64 bits"))?,
            };
            let total = full(d, &window)?.saturating_sub(out);
            let less = total / 2;
            (window.before[d], window.after[d]) =
                if mode == "SAME_UPPER" { (less, total - less) } else { (total - less, less) };
            output.push(out);
        }
        return Ok((window, output));
    }
    if let Some(pads) = call.ints("pads")?.filter(|_| mode == "NOTSET" || mode.is_empty()) {
        if pads.len() != 2 * rank {
            return Err(bad(format!("{} pads expected, {} found", 2 * rank, pads.len())));
        }
        window.before = small(super::sizes(&pads[..rank])?)?;
        window.after = small(super::sizes(&pads[rank..])?)?;
    }
    for d in 0..rank {
        let out = full(d, &window)?.checked_sub(window.before[d]).and_then(|n| n.checked_sub(window.after[d]));
        output.push(out.ok_or_else(|| bad("pads that are wider than the result"))?);
    }
    Ok((window, output))
}

pub(in crate::onnx) fn col2im(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let image = super::sizes(&call.tensor(1)?.to_i64s()?)?;
    let block = super::sizes(&call.tensor(2)?.to_i64s()?)?;
    let window = Window::of(call, block, &image)?;
    let output = window.output(&image, false)?;
    let (taps, steps) = (product(&window.kernel), product(&output));
    let [batch, rows, n] = x.dims()[..] else { return Err(bad(format!("3 dimensions expected, {} found", x.told()))) };
    if rows % taps != 0 || n != steps {
        return Err(bad(format!("{} for blocks of {taps} at {steps} places", x.told())));
    }
    let channels = rows / taps;
    let dims = [&[batch, channels], &image[..]].concat();
    let total = room(&dims, 8)?;
    let v = x.to_f64s()?;
    let mut out = vec![0.0; total];
    let (own, tap_strides, step_strides) = (strides(&image), strides(&window.kernel), strides(&output));
    for (i, value) in v.iter().enumerate() {
        let (step, row) = (i % n, i / n % rows);
        let (tap, plane) = (row % taps, i / n / rows * channels + row / taps);
        let flat = (0..image.len()).try_fold(plane * product(&image), |at, d| {
            let (o, k) = (step / step_strides[d] % output[d], tap / tap_strides[d] % window.kernel[d]);
            Some(at + window.tap(d, o, k, image[d])? * own[d])
        });
        if let Some(flat) = flat {
            out[flat] += value;
        }
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}
