//! Regions and boxes: pooling over regions, suppression of boxes that overlap.

use super::bilinear;
use crate::onnx::cast::{self, Rounding};
use crate::onnx::ops::{single_f64, single_i64, sizes};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor, room};

pub(in crate::onnx) fn roi_align(call: &mut Call<'_, '_>) -> Outputs {
    let (x, rois, of) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?.to_i64s()?);
    let [batch, channels, h, w] = x.dims()[..] else {
        return Err(bad(format!("4 dimensions expected, {} found", x.told())));
    };
    let n = of.len();
    if rois.dims() != [n, 4] {
        return Err(bad(format!("{n} regions of 4 numbers expected, {} found", rois.told())));
    }
    let (oh, ow) =
        (crate::onnx::ops::size(call.int("output_height", 1)?)?, crate::onnx::ops::size(call.int("output_width", 1)?)?);
    let ratio = call.int("sampling_ratio", 0)?;
    let scale = f64::from(call.float("spatial_scale", 1.0)?);
    let most = call.text("mode", "avg")? == "max";
    let default = if call.since(16) { "half_pixel" } else { "output_half_pixel" };
    let half = call.text("coordinate_transformation_mode", default)? == "half_pixel";
    let dims = [n, channels, oh, ow];
    let total = room(&dims, 8)?;
    let (v, r) = (x.to_f64s()?, rois.to_f64s()?);
    let mut out = Vec::with_capacity(total);
    for (i, b) in of.into_iter().enumerate() {
        let b = usize::try_from(b).ok().filter(|b| *b < batch).ok_or_else(|| bad(format!("image {b} of {batch}")))?;
        let shift = if half { 0.5 } else { 0.0 };
        let at = |k: usize| r[i * 4 + k] * scale - shift;
        let (x0, y0, x1, y1) = (at(0), at(1), at(2), at(3));
        let (mut rw, mut rh) = (x1 - x0, y1 - y0);
        if !half {
            (rw, rh) = (rw.max(1.0), rh.max(1.0));
        }
        let (bh, bw) = (rh / oh as f64, rw / ow as f64);
        let count = |b: f64| if ratio > 0 { ratio as f64 } else { b.ceil() };
        let (gh, gw) = (count(bh).max(0.0), count(bw).max(0.0));
        if !(gh * gw).is_finite() || gh * gw > 1e8 {
            return Err(bad("a region of too many samples"));
        }
        call.spend((gh * gw) as usize * channels * oh * ow)?;
        for c in 0..channels {
            let plane = &v[(b * channels + c) * h * w..][..h * w];
            for oy in 0..oh {
                for ox in 0..ow {
                    let (mut sum, mut best) = (0.0, f64::NEG_INFINITY);
                    for iy in 0..gh as usize {
                        for ix in 0..gw as usize {
                            let y = y0 + oy as f64 * bh + (iy as f64 + 0.5) * bh / gh;
                            let x = x0 + ox as f64 * bw + (ix as f64 + 0.5) * bw / gw;
                            let parts = bilinear(plane, h, w, y, x);
                            sum += parts.iter().sum::<f64>();
                            best = parts.iter().copied().fold(best, f64::max);
                        }
                    }
                    out.push(if most { best } else { sum / (gh * gw).max(1.0) });
                }
            }
        }
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

pub(in crate::onnx) fn max_roi_pool(call: &mut Call<'_, '_>) -> Outputs {
    let (x, rois) = (call.tensor(0)?, call.tensor(1)?);
    let [batch, channels, h, w] = x.dims()[..] else {
        return Err(bad(format!("4 dimensions expected, {} found", x.told())));
    };
    let [n, 5] = rois.dims()[..] else {
        return Err(bad(format!("regions of 5 numbers expected, {} found", rois.told())));
    };
    let pooled = call.ints("pooled_shape")?.ok_or_else(|| bad("the attribute \"pooled_shape\" expected"))?;
    let [ph, pw] = sizes(&pooled)?[..] else { return Err(bad("a pooled_shape of 2 sizes expected")) };
    let scale = f64::from(call.float("spatial_scale", 1.0)?);
    let dims = [n, channels, ph, pw];
    room(&dims, 8)?;
    call.spend(n.saturating_mul(channels).saturating_mul(h * w))?;
    let (v, r) = (x.to_f64s()?, rois.to_f64s()?);
    let mut out = Vec::new();
    for i in 0..n {
        let at = |k: usize| (r[i * 5 + k] * scale).round() as i64;
        let b = r[i * 5] as usize;
        if b >= batch {
            return Err(bad(format!("image {b} of {batch}")));
        }
        let (x0, y0) = (at(1), at(2));
        let wide = |end: i64, start: i64| end.saturating_sub(start).saturating_add(1).max(1) as f64;
        let (rw, rh) = (wide(at(3), x0), wide(at(4), y0));
        let edge = |i: usize, size: f64, parts: usize, from: i64, n: usize, up: bool| {
            let v = i as f64 * size / parts as f64;
            (if up { v.ceil() as i64 } else { v.floor() as i64 }).saturating_add(from).clamp(0, n as i64) as usize
        };
        for c in 0..channels {
            let plane = &v[(b * channels + c) * h * w..][..h * w];
            for py in 0..ph {
                for px in 0..pw {
                    let (ys, ye) = (edge(py, rh, ph, y0, h, false), edge(py + 1, rh, ph, y0, h, true));
                    let (xs, xe) = (edge(px, rw, pw, x0, w, false), edge(px + 1, rw, pw, x0, w, true));
                    let mut best = f64::NEG_INFINITY;
                    for y in ys..ye {
                        best = plane[y * w + xs.min(xe)..y * w + xe].iter().copied().fold(best, f64::max);
                    }
                    out.push(if best == f64::NEG_INFINITY { 0.0 } else { best });
                }
            }
        }
    }
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

pub(in crate::onnx) fn non_max_suppression(call: &mut Call<'_, '_>) -> Outputs {
    let (boxes, scores) = (call.tensor(0)?, call.tensor(1)?);
    let most = call.optional(2)?.map(|t| single_i64(&t)).transpose()?.unwrap_or(0);
    let overlap = call.optional(3)?.map(|t| single_f64(&t)).transpose()?.unwrap_or(0.0);
    let least = call.optional(4)?.map(|t| single_f64(&t)).transpose()?;
    let centred = call.flag("center_point_box", false)?;
    let ([batch, n, 4], [b2, classes, n2]) = (boxes.dims(), scores.dims()) else {
        return Err(bad(format!("boxes {} with scores {}", boxes.told(), scores.told())));
    };
    if batch != b2 || n != n2 {
        return Err(bad(format!("boxes {} with scores {}", boxes.told(), scores.told())));
    }
    let (n, classes) = (*n, *classes);
    let (bv, sv) = (boxes.to_f64s()?, scores.to_f64s()?);
    // Corners in order: y1, x1, y2, x2.
    let corners: Vec<[f64; 4]> = bv
        .chunks_exact(4)
        .map(|b| {
            if centred {
                [b[1] - b[3] / 2.0, b[0] - b[2] / 2.0, b[1] + b[3] / 2.0, b[0] + b[2] / 2.0]
            } else {
                [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
            }
        })
        .collect();
    let iou = |a: &[f64; 4], b: &[f64; 4]| {
        let h = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let w = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
        let union = area(a) + area(b) - h * w;
        if union <= 0.0 { 0.0 } else { h * w / union }
    };
    let mut out = Vec::new();
    for b in 0..*batch {
        for c in 0..classes {
            let scores = &sv[(b * classes + c) * n..][..n];
            let mut order: Vec<usize> = (0..n).filter(|i| least.is_none_or(|l| scores[*i] > l)).collect();
            order.sort_by(|i, j| scores[*j].total_cmp(&scores[*i]).then(i.cmp(j)));
            let mut kept: Vec<usize> = Vec::new();
            for i in order {
                if kept.len() as i64 >= most {
                    break;
                }
                call.spend(kept.len())?;
                if kept.iter().all(|k| iou(&corners[b * n + i], &corners[b * n + k]) <= overlap) {
                    kept.push(i);
                }
            }
            out.extend(kept.into_iter().flat_map(|i| [b as i64, c as i64, i as i64]));
        }
    }
    one(Tensor::of([out.len() / 3, 3], Data::I64(out))?)
}
