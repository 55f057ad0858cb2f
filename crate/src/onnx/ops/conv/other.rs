//! Convolutions of other kinds: by offsets that are inputs, and with a state.

use super::Sizes;
use crate::onnx::cast::{self, Rounding};
use crate::onnx::ops::size;
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Tensor, room};

pub(in crate::onnx) fn causal_conv_with_state(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    let (bias, past) = (call.optional(2)?, call.optional(3)?);
    let ([batch, channels, len], [wc, _, k]) = (x.dims(), w.dims()) else {
        return Err(bad(format!("3 dimensions expected, {} and {} found", x.told(), w.told())));
    };
    let (batch, channels, len, k) = (*batch, *channels, *len, *k);
    if *wc != channels || k == 0 || w.len() != channels * k {
        return Err(bad(format!("a kernel {} for {}", w.told(), x.told())));
    }
    let (xv, wv) = (x.to_f32s()?, w.to_f32s()?);
    let before = match &past {
        Some(p) if p.dims() == [batch, channels, k - 1] => p.to_f32s()?,
        Some(p) => {
            return Err(bad(format!("a state of shape [{batch}, {channels}, {}] expected, {} found", k - 1, p.told())));
        }
        None => vec![0.0; room(&[batch, channels, k - 1], 4)?],
    };
    let bias = bias.map(|b| b.to_f32s()).transpose()?.filter(|b| b.len() == channels);
    let silu = matches!(call.text("activation", "none")?.as_str(), "silu" | "swish");
    call.spend(xv.len().saturating_mul(k))?;
    let (mut out, mut state) = (Vec::with_capacity(xv.len()), Vec::with_capacity(before.len()));
    for row in 0..batch * channels {
        let c = row % channels;
        let all: Vec<f32> = [&before[row * (k - 1)..(row + 1) * (k - 1)], &xv[row * len..(row + 1) * len]].concat();
        for t in 0..len {
            let sum: f32 = (0..k).map(|i| all[t + i] * wv[c * k + i]).sum();
            let sum = sum + bias.as_ref().map_or(0.0, |b| b[c]);
            out.push(if silu { sum * crate::onnx::ops::elementwise::sigmoid32(sum) } else { sum });
        }
        state.extend_from_slice(&all[len..]);
    }
    Ok(vec![
        crate::onnx::ops::norm::like(&x, x.dims(), out)?.into(),
        crate::onnx::ops::norm::like(&x, &[batch, channels, k - 1], state)?.into(),
    ])
}

pub(in crate::onnx) fn deform_conv(call: &mut Call<'_, '_>) -> Outputs {
    let (x, w, offset) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (bias, mask) = (call.optional(3)?, call.optional(4)?);
    let s = Sizes::of(call, &x, &w)?;
    let ([ih, iw], [oh, ow], [kh, kw]) = (&s.input[..], &s.output[..], &s.window.kernel[..]) else {
        return Err(bad("images of two dimensions expected"));
    };
    let (ih, iw, oh, ow, kh, kw) = (*ih, *iw, *oh, *ow, *kh, *kw);
    let groups = size(call.int("offset_group", 1)?)?;
    if groups == 0 || s.channels % groups != 0 || offset.dims() != [s.batch, groups * kh * kw * 2, oh, ow] {
        return Err(bad(format!("offsets {} of {groups} groups", offset.told())));
    }
    if mask.as_ref().is_some_and(|m| m.dims() != [s.batch, groups * kh * kw, oh, ow]) {
        return Err(bad("a mask of the shape of half the offsets expected"));
    }
    let (xv, wv, ov) = (x.to_f64s()?, w.to_f64s()?, offset.to_f64s()?);
    let mv = mask.map(|m| m.to_f64s()).transpose()?;
    let bv = bias.map(|b| b.to_f64s()).transpose()?.filter(|b| b.len() == s.maps);
    let total = room(&s.dims(), 8)?;
    let (cg, mg) = (s.channels / s.group, s.maps / s.group);
    call.spend(total.saturating_mul(s.depth()).saturating_mul(4))?;
    let mut out = Vec::with_capacity(total);
    let sample = |plane: &[f64], y: f64, x: f64| {
        if y <= -1.0 || x <= -1.0 || y >= ih as f64 || x >= iw as f64 {
            return 0.0;
        }
        let (y0, x0) = (y.floor(), x.floor());
        let (fy, fx) = (y - y0, x - x0);
        let at = |y: f64, x: f64| {
            if y < 0.0 || x < 0.0 || y >= ih as f64 || x >= iw as f64 {
                0.0
            } else {
                plane[y as usize * iw + x as usize]
            }
        };
        at(y0, x0) * (1.0 - fy) * (1.0 - fx)
            + at(y0, x0 + 1.0) * (1.0 - fy) * fx
            + at(y0 + 1.0, x0) * fy * (1.0 - fx)
            + at(y0 + 1.0, x0 + 1.0) * fy * fx
    };
    for i in 0..total {
        let (ox, oy, m, b) = (i % ow, i / ow % oh, i / ow / oh % s.maps, i / ow / oh / s.maps);
        let mut sum = bv.as_ref().map_or(0.0, |b| b[m]);
        for c in 0..cg {
            let channel = m / mg * cg + c;
            let g = channel / (s.channels / groups);
            let plane = &xv[(b * s.channels + channel) * ih * iw..][..ih * iw];
            for k in 0..kh * kw {
                let at = |which: usize| (((b * groups + g) * kh * kw + k) * 2 + which) * oh * ow + oy * ow + ox;
                let (dy, dx) = (ov[at(0)], ov[at(1)]);
                let y =
                    (oy * s.window.strides[0] + k / kw * s.window.dilations[0]) as f64 - s.window.before[0] as f64 + dy;
                let xx =
                    (ox * s.window.strides[1] + k % kw * s.window.dilations[1]) as f64 - s.window.before[1] as f64 + dx;
                let gate = mv.as_ref().map_or(1.0, |m| m[((b * groups + g) * kh * kw + k) * oh * ow + oy * ow + ox]);
                sum += gate * sample(plane, y, xx) * wv[(m * cg + c) * kh * kw + k];
            }
        }
        out.push(sum);
    }
    one(Tensor::of(s.dims(), cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}
