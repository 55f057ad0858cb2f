//! An AttributeProto as text: what a person reads beside the node.

use crate::{
    formats::codec::protobuf::{Field, Wire, varint},
    model::TensorEntry,
    source::{Stop, Window},
};

/// Items of a list that are kept; a tree ensemble has hundreds of thousands.
const ITEMS_MOST: usize = 16;
/// Bytes kept of a text.
const TEXT_MOST: u64 = 200;

/// An attribute being read.
pub(super) struct OpenAttribute {
    /// Number of the first tensor in it.
    pub(super) first: usize,
    pub(super) name: String,
    items: Vec<String>,
    more: bool,
}

impl OpenAttribute {
    pub(super) fn new(first: usize) -> Self {
        Self { first, name: String::new(), items: Vec::new(), more: false }
    }
    /// It holds something that is named rather than shown.
    pub(super) fn holds(&mut self, what: &str) {
        self.push(|| what.to_owned());
    }
    /// Takes a number or text, or the beginning of a list of them; other fields say nothing that is shown.
    pub(super) fn take(&mut self, field: &Field, file: &Window) -> Result<(), Stop> {
        let bytes =
            |most: u64| file.bytes(field.payload..field.end().min(field.payload.saturating_add(most)).min(file.len()));
        match (field.number, field.wire) {
            (2 | 7, Wire::Fixed32(bits)) => self.push(|| f32::from_bits(bits).to_string()),
            (3 | 8, Wire::Varint(n)) => self.push(|| (n as i64).to_string()),
            (4 | 9, Wire::Bytes(n)) => {
                let text = String::from_utf8_lossy(bytes(TEXT_MOST)?);
                let end = if n > TEXT_MOST { "…" } else { "" };
                self.push(|| format!("\"{text}{end}\""));
            }
            (7, Wire::Bytes(n)) => {
                for item in bytes(4 * ITEMS_MOST as u64)?.as_chunks().0 {
                    self.push(|| f32::from_le_bytes(*item).to_string());
                }
                self.more |= n > 4 * ITEMS_MOST as u64;
            }
            (8, Wire::Bytes(n)) => {
                // A varint takes ten bytes at most; more than the kept ones are not needed.
                let most = 10 * ITEMS_MOST as u64;
                let mut packed = bytes(most)?;
                while self.items.len() < ITEMS_MOST
                    && let Ok(Some((n, used))) = varint(packed)
                {
                    self.push(|| (n as i64).to_string());
                    packed = &packed[used..];
                }
                self.more |= !packed.is_empty() || n > most;
            }
            _ => {}
        }
        Ok(())
    }
    /// Name and value, with the tensors that were found in it.
    pub(super) fn finish(mut self, tensors: &[TensorEntry]) -> (String, String) {
        for tensor in tensors {
            self.push(|| format!("{} tensor of shape {}", tensor.encoding, tensor.shape));
        }
        let end = if self.more { ", …" } else { "" };
        (self.name, format!("{}{end}", self.items.join(", ")))
    }
    fn push(&mut self, item: impl FnOnce() -> String) {
        if self.items.len() < ITEMS_MOST {
            self.items.push(item());
        } else {
            self.more = true;
        }
    }
}
