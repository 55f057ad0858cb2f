//! Padding and cropping.

use super::gathered_axes;
use crate::fault::Result;
use crate::onnx::ops::{axes, size};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor, room};

/// How the outside of a tensor is filled.
#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// The source of each place along an axis: `None` outside of a constant.
fn padded_axis(n: usize, before: i64, after: i64, how: Outside) -> Result<Vec<Option<usize>>> {
    let len =
        (n as i64).checked_add(before).and_then(|x| x.checked_add(after)).ok_or_else(|| bad("pads beyond 64 bits"))?;
    let len = size(len)?;
    room(&[len], 16)?;
    let n = n as i64;
    (0..len as i64)
        .map(|i| {
            let at = i - before;
            if (0..n).contains(&at) {
                return Ok(Some(at as usize));
            }
            if how != Outside::Constant && n == 0 {
                return Err(bad("an empty axis cannot be padded with its own elements"));
            }
            Ok(match how {
                Outside::Constant => None,
                Outside::Edge => Some(at.clamp(0, n - 1) as usize),
                Outside::Wrap => Some(at.rem_euclid(n) as usize),
                Outside::Reflect if n == 1 => Some(0),
                Outside::Reflect => {
                    let period = 2 * (n - 1);
                    let m = at.rem_euclid(period);
                    Some(if m < n { m } else { period - m } as usize)
                }
            })
        })
        .collect()
}

pub(in crate::onnx) fn pad(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let how = match call.text("mode", "constant")?.as_str() {
        "constant" => Outside::Constant,
        "reflect" => Outside::Reflect,
        "edge" => Outside::Edge,
        "wrap" => Outside::Wrap,
        other => return Err(bad(format!("the mode constant, reflect, edge or wrap expected, {other:?} found"))),
    };
    let (pads, value, list) = if call.since(11) || call.node.op.contains('.') {
        let list = call.optional(3)?.map(|t| t.to_i64s()).transpose()?;
        (call.tensor(1)?.to_i64s()?, call.optional(2)?.filter(|t| !t.is_empty()), list)
    } else {
        let pads = match call.ints("pads")? {
            Some(p) => p,
            None => call.ints("paddings")?.ok_or_else(|| bad("the attribute \"pads\" expected"))?,
        };
        let value = Tensor::of([1], Data::F32(vec![call.float("value", 0.0)?]))?;
        (pads.to_vec(), Some(value.cast(x.kind())?), None)
    };
    let list = match list {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * list.len() {
        return Err(bad(format!("{} pads for {} axes", pads.len(), list.len())));
    }
    let mut along: Vec<Vec<Option<usize>>> = Vec::new();
    for (d, n) in x.dims().iter().enumerate() {
        let (before, after) = list.iter().position(|a| *a == d).map_or((0, 0), |i| (pads[i], pads[i + list.len()]));
        along.push(padded_axis(*n, before, after, how)?);
    }
    let value = match value {
        Some(v) => v.reshaped([])?,
        None => Tensor::of([], Data::zeros(x.kind(), 1))?,
    };
    one(gathered_axes(&x, &along, &value)?)
}

pub(in crate::onnx) fn center_crop_pad(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let shape = call.tensor(1)?.to_i64s()?;
    let list = match call.ints("axes")? {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    if list.len() != shape.len() {
        return Err(bad(format!("{} sizes for {} axes", shape.len(), list.len())));
    }
    let mut along = Vec::new();
    for (d, n) in x.dims().iter().enumerate() {
        let (mut before, mut after) = (0, 0);
        if let Some(i) = list.iter().position(|a| *a == d) {
            let more = shape[i].saturating_sub(*n as i64);
            before = more / 2;
            after = more - before;
        }
        along.push(padded_axis(*n, before, after, Outside::Constant)?);
    }
    one(gathered_axes(&x, &along, &Tensor::of([], Data::zeros(x.kind(), 1))?)?)
}
