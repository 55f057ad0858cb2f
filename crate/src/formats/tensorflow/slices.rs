//! V1 checkpoints (`tensorflow/core/util/saved_tensor_slice.proto`): one table that says what tensors there are and
//! holds their values.
//!
//! ```text
//! ""      SavedTensorSlices { 1 meta { 1 tensor { 1 name, 2 shape, 3 type, 4 slice }... } }
//! others  SavedTensorSlices { 2 data { 1 name, 2 slice, 3 TensorProto } }
//! ```

use std::{collections::HashMap, ops::Range};

use super::{graph::Value, shape, table, text};
use crate::{
    formats::{
        codec::protobuf::{Wire, field},
        findings::{Findings, quoted},
        sections,
    },
    model::{
        Flavour, FormatId, MetaType, MetaValue, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry, Version,
    },
    source::{Limits, Stop, Window},
};

/// Bytes of a name that are kept.
const NAME_MOST: u64 = 4096;

/// A tensor as the first entry states it.
struct Stated {
    name: String,
    kind: u64,
    dims: Vec<i64>,
    slices: u64,
    /// Byte of the statement (of its block, where that is packed).
    at: u64,
}

#[derive(Default)]
pub(super) struct Slices {
    stated: Vec<Stated>,
    /// Values by name: how they are stored, and where; none where their block is packed.
    values: HashMap<String, Option<Value>>,
    findings: Findings,
    full: bool,
}

/// Is the value of the empty key that of a V1 checkpoint? There field 1 is a message, in a V2 index a number.
pub(super) fn here(window: &Window, value: &Range<u64>) -> Result<bool, Stop> {
    if value.is_empty() {
        return Ok(false);
    }
    let first = field(window, value.start, value.end)?;
    Ok(matches!((first.number, first.wire), (1, Wire::Bytes(_))))
}

impl Slices {
    /// Takes a block in; asks for nothing once it has begun to add.
    pub(super) fn take(&mut self, file: &Window, block: &table::Block, limits: &Limits) -> Result<(), Stop> {
        let window = block.window(file);
        let (mut stated, mut values) = (Vec::new(), Vec::new());
        for entry in &block.entries {
            let (mut at, end) = (entry.value.start, entry.value.end);
            while at < end {
                let found = field(window, at, end)?;
                at = found.end();
                match (found.number, found.wire) {
                    (1, Wire::Bytes(_)) => meta(window, found.payload, at.min(end), block, &mut stated)?,
                    (2, Wire::Bytes(_)) => values.extend(data(window, found.payload, at.min(end))?),
                    _ => {}
                }
            }
        }
        let room = usize::try_from(limits.tensors).unwrap_or(usize::MAX).saturating_sub(self.stated.len());
        if stated.len() > room && !self.full {
            self.full = true;
            let what = format!("more than {} tensors; the limit", limits.tensors);
            self.findings.error(NoteCode::Limits, block.at, what, "");
        }
        self.stated.extend(stated.into_iter().take(room));
        for (name, value) in values {
            // A second piece of one tensor: no single place holds it.
            let value = if block.unpacked.is_some() || self.values.contains_key(&name) { None } else { Some(value) };
            self.values.insert(name, value);
        }
        Ok(())
    }
    pub(super) fn model(mut self, file: &Window) -> ModelFile {
        let len = file.len();
        let mut tensors: Vec<TensorEntry> = Vec::with_capacity(self.stated.len());
        for stated in std::mem::take(&mut self.stated) {
            let Stated { name, kind, dims, slices, at } = stated;
            let told = quoted(&name);
            let held = self.values.remove(&name);
            let entry = |value: Value, findings: &mut Findings| {
                value.stated(kind, dims.clone()).entry(name.clone(), at.min(len), file, findings)
            };
            tensors.push(match held {
                Some(Some(value)) if slices <= 1 => entry(value, &mut self.findings),
                Some(_) => {
                    if slices > 1 {
                        let what = format!("{told} is stored in {slices} slices");
                        self.findings.info(NoteCode::Slices, at.min(len), what, "its values are listed, not shown");
                    }
                    TensorEntry { place: Place::Inline, ..entry(Value::default(), &mut self.findings) }
                }
                None => {
                    let what = format!("{told} is named, the table holds no values of it");
                    self.findings.error(NoteCode::Values, at.min(len), what, "TensorFlow cannot restore it");
                    TensorEntry { place: Place::Absent, ..entry(Value::default(), &mut self.findings) }
                }
            });
        }
        if !self.values.is_empty() {
            let what = format!("The table holds values of {} tensors that it does not name", self.values.len());
            self.findings.warn(NoteCode::Values, 0, what, "they are not listed");
        }
        let mut metadata = Metadata::default();
        metadata.push("checkpoint.tensors", MetaValue::Unsigned(tensors.len() as u64, MetaType::U64));
        let footer = len.saturating_sub(table::FOOTER);
        let mut parts = sections::around(0..footer, SectionKind::TensorList, &tensors);
        parts.push((footer..len, SectionKind::Header));
        ModelFile {
            format: FormatId::TensorFlow,
            version: Version::from("checkpoint (V1)").of(Flavour::Checkpoint),
            files: Vec::new(),
            metadata,
            sections: sections::map(0, len, &parts, &tensors, 0),
            tensors,
            graph: None,
            notes: self.findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

/// `SavedTensorSliceMeta { 1 tensor... }`.
fn meta(window: &Window, at: u64, end: u64, block: &table::Block, out: &mut Vec<Stated>) -> Result<(), Stop> {
    let mut at = at;
    while at < end {
        let found = field(window, at, end)?;
        at = found.end();
        if let (1, Wire::Bytes(_)) = (found.number, found.wire) {
            let told = if block.unpacked.is_some() { block.at } else { found.payload };
            let mut tensor = Stated { name: String::new(), kind: 0, dims: Vec::new(), slices: 0, at: told };
            let (mut inner, last) = (found.payload, at.min(end));
            while inner < last {
                let found = field(window, inner, last)?;
                inner = found.end();
                match (found.number, found.wire) {
                    (1, Wire::Bytes(_)) => tensor.name = text(window, &found, NAME_MOST)?,
                    (2, Wire::Bytes(_)) => {
                        tensor.dims = shape(window, found.payload, inner.min(last))?.unwrap_or_default();
                    }
                    (3, Wire::Varint(n)) => tensor.kind = n,
                    (4, Wire::Bytes(_)) => tensor.slices += 1,
                    _ => {}
                }
            }
            out.push(tensor);
        }
    }
    Ok(())
}

/// `SavedSlice { 1 name, 2 slice, 3 data }`.
fn data(window: &Window, at: u64, end: u64) -> Result<Option<(String, Value)>, Stop> {
    let (mut at, mut name, mut value) = (at, None, None);
    while at < end {
        let found = field(window, at, end)?;
        at = found.end();
        match (found.number, found.wire) {
            (1, Wire::Bytes(_)) => name = Some(text(window, &found, NAME_MOST)?),
            (3, Wire::Bytes(_)) => value = Some(Value::read(window, found.payload, at.min(end))?),
            _ => {}
        }
    }
    Ok(name.zip(value))
}
