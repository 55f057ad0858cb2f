//! One TensorProto: what it states, and what follows for its place.

use std::ops::Range;

use crate::{
    formats::findings::{Findings, quoted},
    model::{NoteCode, Place, TensorEntry},
    source::Window,
    tensor::{Encoding, Shape},
};

/// Dimensions above are taken for damage.
pub(super) const DIMS_MOST: usize = 64;

/// A TensorProto as far as it has been read.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) dims: Vec<u64>,
    pub(super) data_type: u64,
    /// Bytes of `raw_data`; the last one counts.
    pub(super) raw: Option<Range<u64>>,
    /// `float_data` or `double_data` in one packed piece: exactly the values' bytes.
    pub(super) packed: Option<Range<u64>>,
    /// Values in any typed field.
    pub(super) typed: bool,
    /// Typed values in more than one piece, or not fixed-width.
    pub(super) scattered: bool,
    pub(super) external: bool,
    pub(super) location: Option<String>,
    pub(super) offset: Option<String>,
    pub(super) length: Option<String>,
    /// Where the message starts.
    pub(super) at: u64,
}

impl Stated {
    /// Values in a typed field: `fixed` when its packed bytes are the values themselves.
    pub(super) fn values(&mut self, bytes: Option<Range<u64>>, fixed: bool) {
        match bytes {
            Some(range) if fixed && !self.typed => self.packed = Some(range),
            _ => self.scattered = true,
        }
        self.typed = true;
    }
    /// True when shape, type and `raw_data` fit each other and the values leave a file of `len` bytes.
    pub(super) fn begun(&self, len: u64) -> bool {
        let shape = Shape(self.dims.clone());
        let encoding = i32::try_from(self.data_type).ok().map(Encoding::from_onnx);
        let bytes = shape.elements().and_then(|n| encoding?.bytes(n, shape.row_len()));
        self.raw.as_ref().is_some_and(|raw| raw.end > len && bytes == raw.end.checked_sub(raw.start))
    }
    /// The entry, with notes on what contradicts.
    pub(super) fn entry(self, file: &Window, findings: &mut Findings) -> TensorEntry {
        let shape = Shape(self.dims.clone());
        let encoding = i32::try_from(self.data_type).map_or(Encoding::UnknownOnnx(u32::MAX), Encoding::from_onnx);
        let told = quoted(&self.name);
        if self.dims.iter().any(|d| i64::try_from(*d).is_err()) {
            findings.error(
                NoteCode::Sizes,
                self.at,
                format!("{told} has a negative dimension"),
                "ONNX tools refuse the file",
            );
        } else if shape.elements().is_none() {
            let what = format!("{told} of shape {shape} has more elements than 64 bits count");
            findings.error(NoteCode::Sizes, self.at, what, "such a tensor cannot exist");
        }
        if let Encoding::UnknownOnnx(_) = encoding {
            let what = format!("{told} is of data type {}, which ONNX does not define", self.data_type);
            findings.error(NoteCode::Types, self.at, what, "its size is unknown");
        }
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        let place = self.place(&told, encoding, &shape, bytes, file, findings);
        TensorEntry { name: self.name, shape, encoding, place, bytes }
    }
    fn place(
        &self,
        told: &str,
        encoding: Encoding,
        shape: &Shape,
        bytes: Option<u64>,
        file: &Window,
        findings: &mut Findings,
    ) -> Place {
        if [self.raw.is_some(), self.typed, self.external].iter().filter(|b| **b).count() > 1 {
            let what = format!("{told} holds its values in more than one way");
            findings.error(NoteCode::Values, self.at, what, "readers differ in which they take");
        }
        if self.external {
            return self.elsewhere(told, bytes, findings);
        }
        let here = match (&self.raw, &self.packed) {
            (Some(raw), _) => Some(raw.clone()),
            (None, Some(packed)) if !self.scattered => {
                let whole = matches!(encoding, Encoding::F32 | Encoding::F64 | Encoding::C64 | Encoding::C128);
                whole.then(|| packed.clone())
            }
            _ => None,
        };
        let Some(at) = here else {
            let empty = shape.elements() == Some(0);
            if !self.typed && !empty {
                let what = format!("{told} of shape {shape} holds no values");
                findings.error(NoteCode::Values, self.at, what, "the model cannot run");
            }
            return if self.typed { Place::Inline } else { Place::Absent };
        };
        if let Some(bytes) = bytes.filter(|n| *n != at.end - at.start) {
            let what =
                format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, it holds {}", at.end - at.start);
            findings.error(NoteCode::Sizes, at.start.min(file.len()), what, "the values cannot be told apart");
        }
        if at.end <= file.len() { Place::Here { file: 0, at } } else { Place::Missing { file: file.name().into(), at } }
    }
    /// The place in another file; whether that is among the files given is decided later.
    fn elsewhere(&self, told: &str, bytes: Option<u64>, findings: &mut Findings) -> Place {
        let Some(location) = &self.location else {
            findings.error(
                NoteCode::External,
                self.at,
                format!("{told} lies in another file that it does not name"),
                "",
            );
            return Place::Absent;
        };
        let mut number = |what: &str, text: &Option<String>| match text.as_deref().map(str::parse::<u64>) {
            None => None,
            Some(Ok(n)) => Some(n),
            Some(Err(_)) => {
                let found = quoted(text.as_deref().unwrap_or_default());
                findings.error(
                    NoteCode::External,
                    self.at,
                    format!("{told} states its {what} as {found}; a whole number expected"),
                    "",
                );
                None
            }
        };
        let (start, length) = (number("offset", &self.offset).unwrap_or(0), number("length", &self.length));
        let end = length.or(bytes).map_or(Some(u64::MAX), |n| start.checked_add(n));
        if let (Some(length), Some(bytes)) = (length, bytes)
            && length != bytes
        {
            let what = format!("{told} takes {bytes} bytes, its length in {} is {length}", quoted(location));
            findings.error(NoteCode::External, self.at, what, "the values cannot be told apart");
        }
        match end {
            Some(end) => Place::Missing { file: location.clone(), at: start..end },
            None => {
                let what = format!("{told} would end beyond 64 bits: offset {start}");
                findings.error(NoteCode::External, self.at, what, "");
                Place::Absent
            }
        }
    }
}
