//! Sequences and optionals.

use std::rc::Rc;

use super::{
    axis,
    gather::place,
    shape::{concatenated, part},
    single_i64,
};
use crate::{
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Value},
    },
};

pub(in crate::onnx) fn construct(call: &mut Call<'_, '_>) -> Outputs {
    let list: Result<Vec<Value>> =
        call.inputs.iter().map(|v| v.clone().ok_or_else(|| bad("an element expected, none found"))).collect();
    Ok(vec![Value::Sequence(Rc::new(list?))])
}
pub(in crate::onnx) fn empty(_: &mut Call<'_, '_>) -> Outputs {
    Ok(vec![Value::Sequence(Rc::new(Vec::new()))])
}
pub(in crate::onnx) fn length(call: &mut Call<'_, '_>) -> Outputs {
    one(Tensor::scalar_i64(call.sequence(0)?.len() as i64)?)
}
pub(in crate::onnx) fn at(call: &mut Call<'_, '_>) -> Outputs {
    let list = call.sequence(0)?;
    let i = place(single_i64(&call.tensor(1)?)?, list.len())?;
    Ok(vec![list[i].clone()])
}
pub(in crate::onnx) fn erase(call: &mut Call<'_, '_>) -> Outputs {
    let mut list = (*call.sequence(0)?).clone();
    let i = match call.optional(1)? {
        Some(t) => place(single_i64(&t)?, list.len())?,
        None => list.len().checked_sub(1).ok_or_else(|| bad("an element of an empty sequence"))?,
    };
    list.remove(i);
    Ok(vec![Value::Sequence(Rc::new(list))])
}
pub(in crate::onnx) fn insert(call: &mut Call<'_, '_>) -> Outputs {
    let mut list = (*call.sequence(0)?).clone();
    let value = call.value(1).cloned().ok_or_else(|| bad("an element expected, none found"))?;
    let i = match call.optional(2)? {
        Some(t) => {
            // Counted from the end, -1 is before the last element.
            let n = single_i64(&t)?;
            place(if n < 0 { n.saturating_sub(1) } else { n }, list.len() + 1)?
        }
        None => list.len(),
    };
    list.insert(i, value);
    call.spend(list.len())?;
    Ok(vec![Value::Sequence(Rc::new(list))])
}
pub(in crate::onnx) fn concat_from(call: &mut Call<'_, '_>) -> Outputs {
    let list = call.sequence(0)?;
    let new = call.flag("new_axis", false)?;
    let all: Result<Vec<Tensor>> = list
        .iter()
        .map(|v| match v {
            Value::Tensor(t) => Ok(t.clone()),
            other => Err(bad(format!("a sequence of tensors expected, {} found in it", other.told()))),
        })
        .collect();
    let mut all = all?;
    let rank = all.first().map_or(0, Tensor::rank) + usize::from(new);
    let at = axis(call.int("axis", 0)?, rank)?;
    if new {
        for t in &mut all {
            let mut dims = t.dims().to_vec();
            dims.insert(at.min(dims.len()), 1);
            *t = t.reshaped(dims)?;
        }
    }
    one(concatenated(&all, at)?)
}
pub(in crate::onnx) fn split_to(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0)?, x.rank())?;
    let n = x.dims()[at];
    let given = call.optional(1)?;
    let keep = given.is_some() || call.flag("keepdims", true)?;
    let parts = match given {
        None => vec![1; n],
        Some(t) if t.rank() == 0 => {
            let each = super::size(single_i64(&t)?)?;
            if each == 0 {
                return Err(bad("parts of size 0"));
            }
            (0..n.div_ceil(each)).map(|i| each.min(n - i * each)).collect()
        }
        Some(t) => super::sizes(&t.to_i64s()?)?,
    };
    if parts.iter().try_fold(0usize, |n, p| n.checked_add(*p)) != Some(n) {
        return Err(bad(format!("parts {parts:?} of axis {at} of {}", x.told())));
    }
    let mut from = 0;
    let mut list = Vec::with_capacity(parts.len());
    for p in parts {
        let mut t = part(&x, at, from, p)?;
        if !keep {
            let mut dims = t.dims().to_vec();
            dims.remove(at);
            t = t.reshaped(dims)?;
        }
        list.push(Value::Tensor(t));
        from += p;
    }
    Ok(vec![Value::Sequence(Rc::new(list))])
}

pub(in crate::onnx) fn optional(call: &mut Call<'_, '_>) -> Outputs {
    Ok(vec![Value::Optional(call.value(0).cloned().map(Rc::new))])
}
pub(in crate::onnx) fn get_element(call: &mut Call<'_, '_>) -> Outputs {
    match call.value(0) {
        Some(Value::Optional(Some(value))) => Ok(vec![(**value).clone()]),
        Some(Value::Optional(None)) | None => Err(bad("the element of an empty optional")),
        Some(value) => Ok(vec![value.clone()]),
    }
}
pub(in crate::onnx) fn has_element(call: &mut Call<'_, '_>) -> Outputs {
    let has = !matches!(call.value(0), None | Some(Value::Optional(None)));
    one(Tensor::of([], Data::Bool(vec![has]))?)
}
