//! Metadata values as GGUF's bytes.

use crate::{
    fault::{Fault, Result},
    model::{MetaType, MetaValue},
};

/// Bytes of a number by its type's number; `None` for strings, arrays and numbers that name no type.
pub(super) fn width(number: u32) -> Option<u64> {
    match number {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A string with its length.
pub(super) fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

/// The type's number and the value's bytes.
///
/// # Errors
/// A number does not fit its type; an array is not held whole, or its items are not of its type.
pub fn encoded(value: &MetaValue) -> Result<Vec<u8>> {
    let mut out = value.kind().gguf_number().to_le_bytes().to_vec();
    put(&mut out, value)?;
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &MetaValue) -> Result<()> {
    match value {
        MetaValue::Unsigned(n, kind) => put_whole(out, i128::from(*n), *kind)?,
        MetaValue::Signed(n, kind) => put_whole(out, i128::from(*n), *kind)?,
        MetaValue::Float(n, MetaType::F32) => out.extend((*n as f32).to_le_bytes()),
        MetaValue::Float(n, _) => out.extend(n.to_le_bytes()),
        MetaValue::Bool(b) => out.push((*b).into()),
        MetaValue::String(text) => put_string(out, text.as_bytes()),
        MetaValue::Array(array) => {
            if array.place.is_some() || array.head.len() as u64 != array.len {
                return Err(Fault::bug("an array that is not held whole cannot be written from memory"));
            }
            if array.head.iter().any(|item| item.kind() != array.item) {
                return Err(Fault::caller("all items of an array must be of one type"));
            }
            out.extend(array.item.gguf_number().to_le_bytes());
            out.extend(array.len.to_le_bytes());
            for item in &array.head {
                put(out, item)?;
            }
        }
    }
    Ok(())
}

fn put_whole(out: &mut Vec<u8>, n: i128, kind: MetaType) -> Result<()> {
    let (low, high) = match kind {
        MetaType::U8 => (0, i128::from(u8::MAX)),
        MetaType::U16 => (0, i128::from(u16::MAX)),
        MetaType::U32 => (0, i128::from(u32::MAX)),
        MetaType::I8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        MetaType::I16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        MetaType::I32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        MetaType::I64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => (0, i128::from(u64::MAX)),
    };
    if !(low..=high).contains(&n) {
        return Err(Fault::caller(format!("{n} does not fit the type {}: it holds {low} to {high}", kind.name())));
    }
    let width = width(kind.gguf_number()).unwrap_or(8) as usize;
    out.extend(n.to_le_bytes().iter().take(width));
    Ok(())
}
