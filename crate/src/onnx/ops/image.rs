//! Images: resizing, sampling, regions.

mod boxes;

pub(in crate::onnx) use boxes::{max_roi_pool, non_max_suppression, roi_align};

use super::{axes, product, sizes, strides};
use crate::onnx::{
    cast::{self, Rounding},
    run::{Call, Outputs, bad, one},
    value::{Data, Tensor, room},
};

/// How a coordinate of the result becomes one of the input.
struct Axis {
    n: usize,
    out: usize,
    scale: f64,
    roi: (f64, f64),
}

/// Where each place along an axis takes its value from; `None` is outside.
type Taps = Vec<Option<Vec<(usize, f64)>>>;

struct Resize {
    mode: String,
    coordinates: String,
    nearest: String,
    a: f64,
    exclude: bool,
    antialias: bool,
}

impl Resize {
    fn source(&self, axis: &Axis, o: usize) -> f64 {
        let (x, n, out) = (o as f64, axis.n as f64, axis.out as f64);
        match self.coordinates.as_str() {
            "align_corners" => {
                // By the exact product of size and scale, which need not be whole.
                let wide = axis.scale * n;
                if axis.out == 1 { 0.0 } else { x * (n - 1.0) / (wide - 1.0) }
            }
            "asymmetric" => x / axis.scale,
            "tf_half_pixel_for_nn" => (x + 0.5) / axis.scale,
            "pytorch_half_pixel" => {
                if axis.out > 1 {
                    (x + 0.5) / axis.scale - 0.5
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => {
                let adjustment = out / (axis.scale * n);
                let offset = n / 2.0 * (1.0 - adjustment);
                offset + (x + 0.5) / axis.scale - 0.5
            }
            "tf_crop_and_resize" => {
                let (start, end) = axis.roi;
                if axis.out > 1 {
                    start * (n - 1.0) + x * (end - start) * (n - 1.0) / (out - 1.0)
                } else {
                    0.5 * (start + end) * (n - 1.0)
                }
            }
            _ => (x + 0.5) / axis.scale - 0.5,
        }
    }
    fn cubic(&self, x: f64) -> f64 {
        let (x, a) = (x.abs(), self.a);
        if x <= 1.0 {
            ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        } else {
            0.0
        }
    }
    fn nearest_of(&self, x: f64) -> f64 {
        match self.nearest.as_str() {
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            _ => (x - 0.5).ceil(),
        }
    }
    fn taps(&self, axis: &Axis) -> Taps {
        let last = axis.n as i64 - 1;
        (0..axis.out)
            .map(|o| {
                let x = self.source(axis, o);
                if self.coordinates == "tf_crop_and_resize" && (x < 0.0 || x > last as f64) {
                    return None;
                }
                if self.mode == "nearest" {
                    return Some(vec![((self.nearest_of(x) as i64).clamp(0, last) as usize, 1.0)]);
                }
                let linear = self.mode == "linear";
                // Shrinking with antialias widens the filter.
                let squeeze = if self.antialias { axis.scale.min(1.0) } else { 1.0 };
                let reach = if linear { 1.0 } else { 2.0 } / squeeze;
                let (from, to) = ((x - reach).floor() as i64 + 1, (x + reach).ceil() as i64 - 1);
                let (from, to) =
                    if linear && !self.antialias { (x.floor() as i64, x.floor() as i64 + 1) } else { (from, to) };
                let mut list: Vec<(usize, f64)> = Vec::new();
                let mut total = 0.0;
                for i in from..=to {
                    let d = (x - i as f64) * squeeze;
                    let mut w = if linear { (1.0 - d.abs()).max(0.0) } else { self.cubic(d) };
                    if self.exclude && (i < 0 || i > last) {
                        w = 0.0;
                    }
                    total += w;
                    let i = i.clamp(0, last) as usize;
                    match list.iter_mut().find(|(j, _)| *j == i) {
                        Some((_, sum)) => *sum += w,
                        None => list.push((i, w)),
                    }
                }
                if (self.exclude || self.antialias) && total != 0.0 {
                    list.iter_mut().for_each(|(_, w)| *w /= total);
                }
                Some(list)
            })
            .collect()
    }
}

/// Applies taps along one axis.
fn along(v: &[f64], dims: &mut [usize], d: usize, taps: &Taps, outside: f64) -> Vec<f64> {
    let (outer, n, inner) = (product(&dims[..d]), dims[d], product(&dims[d + 1..]));
    let mut out = Vec::with_capacity(outer * taps.len() * inner);
    for o in 0..outer {
        for tap in taps {
            match tap {
                None => out.extend(std::iter::repeat_n(outside, inner)),
                Some(list) => {
                    let start = out.len();
                    out.extend(std::iter::repeat_n(0.0, inner));
                    for (i, w) in list {
                        let from = &v[(o * n + i) * inner..][..inner];
                        out[start..].iter_mut().zip(from).for_each(|(s, x)| *s += w * x);
                    }
                }
            }
        }
    }
    dims[d] = taps.len();
    out
}

fn resized(call: &mut Call<'_, '_>, x: &Tensor, axes_of: &[Option<Axis>], how: &Resize, outside: f64) -> Outputs {
    let mut dims = x.dims().to_vec();
    let shape: Vec<usize> = axes_of.iter().zip(&dims).map(|(a, n)| a.as_ref().map_or(*n, |a| a.out)).collect();
    let total = room(&shape, 16)?;
    if x.is_empty() && total > 0 {
        return Err(bad(format!("{} cannot be resized to {shape:?}", x.told())));
    }
    call.spend(total.saturating_mul(8))?;
    if total == 0 {
        return one(Tensor::of(shape, Data::zeros(x.kind(), 0))?);
    }
    let mut v = x.to_f64s()?;
    let mut holes = false;
    for (d, axis) in axes_of.iter().enumerate() {
        if let Some(axis) = axis {
            room(&[axis.out, 4], 16)?;
            let grown = [&shape[..=d], &dims[d + 1..]].concat();
            room(&grown, 8)?;
            let taps = how.taps(axis);
            holes |= taps.iter().any(Option::is_none);
            v = along(&v, &mut dims, d, &taps, if holes { f64::NAN } else { outside });
        }
    }
    if holes {
        v.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = outside);
    }
    let integer = !x.kind().is_float();
    if integer && how.mode != "nearest" {
        v.iter_mut().for_each(|v| *v = v.round_ties_even());
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &v, Rounding::default())?)?)
}

pub(in crate::onnx) fn resize(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let new = call.since(11);
    let how = Resize {
        mode: call.text("mode", "nearest")?,
        coordinates: if new { call.text("coordinate_transformation_mode", "half_pixel")? } else { "asymmetric".into() },
        nearest: if new { call.text("nearest_mode", "round_prefer_floor")? } else { "floor".into() },
        a: f64::from(call.float("cubic_coeff_a", -0.75)?),
        exclude: call.flag("exclude_outside", false)?,
        antialias: call.flag("antialias", false)?,
    };
    let list = match call.ints("axes")? {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    let given = |i: usize| call.optional(i).map(|t| t.filter(|t| !t.is_empty()));
    let (roi, scales, wanted) = if new { (given(1)?, given(2)?, given(3)?) } else { (None, given(1)?, None) };
    let roi = roi.map(|t| t.to_f64s()).transpose()?.filter(|r| r.len() == 2 * list.len());
    let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
    let mut out: Vec<Option<Axis>> = (0..x.rank()).map(|_| None).collect();
    let fail = || bad(format!("as many sizes or scales as axes ({}) expected", list.len()));
    let scales = match (&scales, &wanted) {
        (Some(s), _) => Some(s.to_f64s()?).filter(|s| s.len() == list.len()).ok_or_else(fail)?,
        (None, Some(w)) => {
            let w = sizes(&w.to_i64s()?)?;
            if w.len() != list.len() {
                return Err(fail());
            }
            let each: Vec<f64> = list.iter().zip(&w).map(|(d, w)| *w as f64 / x.dims()[*d] as f64).collect();
            let one_scale = match policy.as_str() {
                "not_larger" => Some(each.iter().copied().fold(f64::INFINITY, f64::min)),
                "not_smaller" => Some(each.iter().copied().fold(0.0, f64::max)),
                _ => None,
            };
            for (i, d) in list.iter().enumerate() {
                let n = x.dims()[*d];
                let scale = one_scale.unwrap_or(each[i]);
                let size = if one_scale.is_some() { (scale * n as f64 + 0.5).floor() as usize } else { w[i] };
                let roi = roi.as_ref().map_or((0.0, 1.0), |r| (r[i], r[i + list.len()]));
                out[*d] = Some(Axis { n, out: size, scale, roi });
            }
            Vec::new()
        }
        _ => return Err(fail()),
    };
    for (i, s) in scales.iter().enumerate() {
        let n = x.dims()[list[i]];
        if !(*s > 0.0 && *s < 1e9) {
            return Err(bad(format!("a scale above 0 expected, {s} found")));
        }
        let roi = roi.as_ref().map_or((0.0, 1.0), |r| (r[i], r[i + list.len()]));
        let wide = if how.coordinates == "tf_crop_and_resize" { n as f64 * (roi.1 - roi.0) } else { n as f64 };
        out[list[i]] = Some(Axis { n, out: (wide * s).floor().max(0.0) as usize, scale: *s, roi });
    }
    for axis in &mut out {
        // Nothing happens along an axis of its own size.
        let same = |a: &Axis| a.n == a.out && (a.scale - 1.0).abs() < 1e-9 && how.coordinates != "tf_crop_and_resize";
        if axis.as_ref().is_some_and(same) {
            *axis = None;
        }
    }
    let outside = f64::from(call.float("extrapolation_value", 0.0)?);
    resized(call, &x, &out, &how, outside)
}

pub(in crate::onnx) fn upsample(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let scales: Vec<f64> = if call.since(9) {
        call.tensor(1)?.to_f64s()?
    } else {
        call.floats("scales")?
            .ok_or_else(|| bad("the attribute \"scales\" expected"))?
            .iter()
            .map(|s| f64::from(*s))
            .collect()
    };
    if scales.len() != x.rank() || scales.iter().any(|s| !(*s > 0.0 && *s < 1e9)) {
        return Err(bad(format!("{} scales above 0 expected, {scales:?} found", x.rank())));
    }
    let mode = call.text("mode", "nearest")?;
    let how = Resize {
        mode: if mode == "bilinear" { "linear".into() } else { mode },
        coordinates: "asymmetric".into(),
        nearest: "floor".into(),
        a: -0.75,
        exclude: false,
        antialias: false,
    };
    let out: Vec<Option<Axis>> = x
        .dims()
        .iter()
        .zip(&scales)
        .map(|(n, s)| Some(Axis { n: *n, out: (*n as f64 * s).floor() as usize, scale: *s, roi: (0.0, 1.0) }))
        .collect();
    resized(call, &x, &out, &how, 0.0)
}

/// What lies outside of an image that is sampled.
#[derive(Clone, Copy, PartialEq)]
enum Border {
    Zeros,
    Edge,
    Reflection,
}

fn reflected(x: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 || !x.is_finite() {
        return low;
    }
    let m = (x - low).rem_euclid(2.0 * range);
    low + if m > range { 2.0 * range - m } else { m }
}

pub(in crate::onnx) fn grid_sample(call: &mut Call<'_, '_>) -> Outputs {
    let (x, grid) = (call.tensor(0)?, call.tensor(1)?);
    let rank = x.rank().saturating_sub(2);
    if !(1..=4).contains(&rank)
        || grid.rank() != x.rank()
        || grid.dims()[0] != x.dims()[0]
        || grid.dims()[rank + 1] != rank
    {
        return Err(bad(format!("a grid for {} expected, {} found", x.told(), grid.told())));
    }
    let mode = call.text("mode", "linear")?;
    let corners = call.flag("align_corners", false)?;
    let border = match call.text("padding_mode", "zeros")?.as_str() {
        "zeros" => Border::Zeros,
        "border" => Border::Edge,
        "reflection" => Border::Reflection,
        other => return Err(bad(format!("the padding_mode zeros, border or reflection expected, {other:?} found"))),
    };
    let (batch, channels) = (x.dims()[0], x.dims()[1]);
    let input = &x.dims()[2..];
    let output = &grid.dims()[1..=rank];
    let dims = [&[batch, channels], output].concat();
    let total = room(&dims, 8)?;
    if x.is_empty() && total > 0 {
        return Err(bad("an empty image cannot be sampled"));
    }
    if total == 0 {
        return one(Tensor::of(dims, Data::zeros(x.kind(), 0))?);
    }
    let (v, g) = (x.to_f64s()?, grid.to_f64s()?);
    let (points, image, own) = (product(output), product(input), strides(input));
    let width = if mode.ends_with("cubic") { 4usize } else { 2 };
    call.spend(total.saturating_mul(width.pow(rank as u32)))?;
    let mut out = vec![0.0; total];
    for b in 0..batch {
        for p in 0..points {
            // Taps along each axis: index (none: outside) and weight.
            let mut taps: Vec<Vec<(Option<usize>, f64)>> = Vec::with_capacity(rank);
            for d in 0..rank {
                let n = input[d] as f64;
                // The grid names the last axis first.
                let at = g[(b * points + p) * rank + (rank - 1 - d)];
                let mut at = if corners { (at + 1.0) / 2.0 * (n - 1.0) } else { ((at + 1.0) * n - 1.0) / 2.0 };
                let (low, high) = if corners { (0.0, n - 1.0) } else { (-0.5, n - 0.5) };
                let cubic = mode.ends_with("cubic");
                if !cubic || border != Border::Edge {
                    at = match border {
                        Border::Edge => at.clamp(0.0, n - 1.0),
                        Border::Reflection if at < low || at > high => reflected(at, low, high),
                        _ => at,
                    };
                }
                let find = |i: f64| -> Option<usize> {
                    let inside = |i: f64| (i >= 0.0 && i < n).then_some(i as usize);
                    match border {
                        Border::Zeros => inside(i),
                        Border::Edge => inside(i.clamp(0.0, n - 1.0)),
                        Border::Reflection => inside(reflected(i, low, high).clamp(0.0, n - 1.0)),
                    }
                };
                taps.push(match mode.as_str() {
                    "nearest" => vec![(find(at.round_ties_even()), 1.0)],
                    "cubic" | "bicubic" => {
                        let base = at.floor();
                        let t = at - base;
                        let a = -0.75;
                        let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
                        let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
                        let w = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                        (0..4).map(|i| (find(base - 1.0 + f64::from(i)), w[i as usize])).collect()
                    }
                    _ => {
                        let base = at.floor();
                        vec![(find(base), 1.0 - (at - base)), (find(base + 1.0), at - base)]
                    }
                });
            }
            let mut places = vec![(0usize, 1.0)];
            let own = &own;
            for (d, list) in taps.iter().enumerate() {
                places = places
                    .iter()
                    .flat_map(|(at, w)| list.iter().filter_map(move |(i, v)| i.map(|i| (at + i * own[d], w * v))))
                    .collect();
            }
            for c in 0..channels {
                let plane = &v[(b * channels + c) * image..][..image];
                out[(b * channels + c) * points + p] = places.iter().map(|(at, w)| plane[*at] * w).sum();
            }
        }
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

pub(in crate::onnx) fn affine_grid(call: &mut Call<'_, '_>) -> Outputs {
    let (theta, size) = (call.tensor(0)?, sizes(&call.tensor(1)?.to_i64s()?)?);
    let corners = call.flag("align_corners", false)?;
    let rank = size.len().saturating_sub(2);
    if !(2..=3).contains(&rank) || theta.dims() != [size[0], rank, rank + 1] {
        return Err(bad(format!("a matrix for {size:?} expected, {} found", theta.told())));
    }
    let output = &size[2..];
    let points = product(output);
    let dims = [&[size[0]], output, &[rank]].concat();
    let total = room(&dims, 8)?;
    let t = theta.to_f64s()?;
    let own = strides(output);
    let mut out = Vec::with_capacity(total);
    for b in 0..size[0] {
        for p in 0..points {
            let at: Vec<f64> = (0..rank)
                .rev()
                .map(|d| {
                    let (i, n) = ((p / own[d] % output[d]) as f64, output[d] as f64);
                    if corners {
                        if output[d] == 1 { 0.0 } else { -1.0 + 2.0 * i / (n - 1.0) }
                    } else {
                        (2.0 * i + 1.0) / n - 1.0
                    }
                })
                .collect();
            for r in 0..rank {
                let row = &t[(b * rank + r) * (rank + 1)..][..=rank];
                out.push(at.iter().zip(row).map(|(x, w)| x * w).sum::<f64>() + row[rank]);
            }
        }
    }
    one(Tensor::of(dims, cast::from_f64s(theta.kind(), &out, Rounding::default())?)?)
}

/// The four weighted neighbours of a place in an image.
fn bilinear(plane: &[f64], h: usize, w: usize, y: f64, x: f64) -> [f64; 4] {
    if y < -1.0 || x < -1.0 || y > h as f64 || x > w as f64 || h == 0 || w == 0 {
        return [0.0; 4];
    }
    let (y, x) = (y.max(0.0), x.max(0.0));
    let clip = |v: f64, n: usize| {
        let low = v as usize;
        if low + 1 >= n { (n - 1, n - 1, 0.0) } else { (low, low + 1, v - low as f64) }
    };
    let (yl, yh, fy) = clip(y, h);
    let (xl, xh, fx) = clip(x, w);
    [
        plane[yl * w + xl] * (1.0 - fy) * (1.0 - fx),
        plane[yl * w + xh] * (1.0 - fy) * fx,
        plane[yh * w + xl] * fy * (1.0 - fx),
        plane[yh * w + xh] * fy * fx,
    ]
}
