//! One model in several files, by the rules of llama.cpp's `gguf-split`.

use super::{
    copy::planned,
    gguf::{ALIGNMENT, Header},
};
use crate::{
    fault::{Fault, Result},
    model::{MetaType, MetaValue, ModelFile},
};

/// Parts that one model may have: `split.count` is a u16, names have five digits.
const MOST: usize = u16::MAX as usize;

/// Where one part ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many tensors in each part.
    Tensors(u64),
    /// So many bytes of tensors in each part, padding counted; a larger tensor has a part to itself.
    Bytes(u64),
}

/// One part: its header, and the tensors behind it by their numbers in the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it says.
    pub header: Header,
    /// Its tensors.
    pub tensors: Vec<usize>,
}

/// The parts of a model: all metadata in the first, `split.*` in each.
///
/// # Errors
/// The model is no GGUF file or not whole, has no tensors, or would have more parts than can be counted.
pub fn parts(model: &ModelFile, cut: Cut) -> Result<Vec<Part>> {
    self::cut(joined(model)?, cut)
}

/// The parts of a file that is planned; a part's tensors are numbers of the header's.
///
/// # Errors
/// There are no tensors, or there would be more parts than can be counted.
pub fn cut(mut first: Header, cut: Cut) -> Result<Vec<Part>> {
    let lines = std::mem::take(&mut first.tensors);
    if lines.is_empty() {
        return Err(Fault::unsupported("the file holds no tensors to split"));
    }
    let alignment = first.alignment;
    let mut groups: Vec<Vec<usize>> = vec![Vec::new()];
    let mut size = 0u64;
    for (i, line) in lines.iter().enumerate() {
        let bytes = line.bytes.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        size = size.saturating_add(bytes);
        let full = match cut {
            Cut::Tensors(most) => i > 0 && (i as u64).is_multiple_of(most.max(1)),
            Cut::Bytes(most) => size > most && groups.last().is_some_and(|group| !group.is_empty()),
        };
        if full {
            groups.push(Vec::new());
            size = bytes;
        }
        groups.last_mut().into_iter().for_each(|group| group.push(i));
    }
    if groups.len() > MOST {
        return Err(Fault::limit(format!("{} parts; a model has at most {MOST}", groups.len())));
    }
    let (count, all) = (groups.len() as u64, lines.len() as i64);
    let mut parts = Vec::with_capacity(groups.len());
    for (number, tensors) in groups.into_iter().enumerate() {
        let mut header = Header { alignment, ..Header::default() };
        if number == 0 {
            header.entries = std::mem::take(&mut first.entries);
        } else if alignment != ALIGNMENT {
            header.append("general.alignment", &MetaValue::Unsigned(alignment, MetaType::U32))?;
        }
        header.append("split.no", &MetaValue::Unsigned(number as u64, MetaType::U16))?;
        header.append("split.tensors.count", &MetaValue::Signed(all, MetaType::I32))?;
        header.append("split.count", &MetaValue::Unsigned(count, MetaType::U16))?;
        header.tensors = tensors.iter().filter_map(|i| lines.get(*i).cloned()).collect();
        parts.push(Part { header, tensors });
    }
    Ok(parts)
}

/// A model as one file, whatever it was read from: all metadata but `split.*`, all tensors in their order.
///
/// # Errors
/// The model is no GGUF file or not whole.
pub fn joined(model: &ModelFile) -> Result<Header> {
    let mut header = Header::of(model)?;
    header.remove(|key| matches!(key, "split.no" | "split.count" | "split.tensors.count"));
    header.tensors = model.tensors.iter().map(planned).collect::<Result<_>>()?;
    Ok(header)
}

/// "PREFIX-00001-of-00003.gguf".
pub fn part_name(prefix: &str, number: usize, count: usize) -> String {
    format!("{prefix}-{:05}-of-{count:05}.gguf", number + 1)
}
