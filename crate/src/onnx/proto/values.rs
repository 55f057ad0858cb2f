//! Sequences, optional values and maps, as node tests write them.

use std::rc::Rc;

use super::tensors::{Kind, NESTED_MOST, tensor};
use crate::fault::{Fault, Result};
use crate::onnx::value::{Data, Map, Tensor, Value};
use crate::onnx::wire::Wire;

/// A value of a test's `.pb` file, whose message depends on the declared type.
pub(in crate::onnx) fn value(wire: Wire<'_>, kind: &Kind, depth: usize) -> Result<Value> {
    if depth > NESTED_MOST {
        return Err(Fault::limit(format!("values nested more than {NESTED_MOST} deep")).at(wire.place()));
    }
    match kind {
        Kind::Sequence(_) => sequence(wire, depth),
        Kind::Optional(of) => optional(wire, of, depth),
        Kind::Map => map(wire, depth),
        Kind::Tensor(..) | Kind::Unknown => Ok(Value::Tensor(tensor(wire)?.1)),
    }
}

fn sequence(mut wire: Wire<'_>, depth: usize) -> Result<Value> {
    let mut list = Vec::new();
    let unknown = Kind::Unknown;
    while let Some((number, field)) = wire.next()? {
        match number {
            3 => list.push(Value::Tensor(tensor(field.message())?.1)),
            5 => list.push(value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?),
            6 => list.push(map(field.message(), depth + 1)?),
            7 => list.push(optional(field.message(), &unknown, depth + 1)?),
            _ => {}
        }
    }
    Ok(Value::Sequence(Rc::new(list)))
}

fn optional(mut wire: Wire<'_>, of: &Kind, depth: usize) -> Result<Value> {
    let mut found = None;
    while let Some((number, field)) = wire.next()? {
        found = match number {
            3 => Some(Value::Tensor(tensor(field.message())?.1)),
            5 => Some(value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?),
            6 => Some(map(field.message(), depth + 1)?),
            7 => Some(value(field.message(), of, depth + 1)?),
            _ => continue,
        };
    }
    Ok(Value::Optional(found.map(Rc::new)))
}

fn map(mut wire: Wire<'_>, depth: usize) -> Result<Value> {
    let (mut ints, mut texts, mut values) = (Vec::new(), Vec::<Rc<str>>::new(), Vec::new());
    while let Some((number, field)) = wire.next()? {
        match number {
            3 => field.ints(&mut ints)?,
            4 => texts.push(Rc::from(field.text())),
            5 => {
                if let Value::Sequence(list) =
                    value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?
                {
                    values.extend(list.iter().cloned());
                }
            }
            _ => {}
        }
    }
    let keys = if texts.is_empty() { Tensor::list_i64(ints)? } else { Tensor::of([texts.len()], Data::Str(texts))? };
    Ok(Value::Map(Rc::new(Map { keys, values })))
}
