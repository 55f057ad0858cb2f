//! ONNX (`onnx/onnx.proto`): metadata, the operator graph, and where the initializers lie.
//!
//! The protobuf tree is walked with an explicit stack, so neither depth nor the number of tensors costs a second
//! pass or the machine's stack; tensor payloads are passed over, never read.

mod attribute;
mod tensor;
mod walk;

use self::walk::Walk;
use super::{Format, Match, Reader, codec::protobuf};
use crate::{
    model::{FormatId, ModelFile},
    source::{Limits, Stop, Window},
};

pub(super) struct Onnx;

impl Format for Onnx {
    fn id(&self) -> FormatId {
        FormatId::Onnx
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        match evidence(head) {
            Some(2..) => Match::ByContent,
            Some(_) if name.ends_with(".onnx") => Match::ByName,
            _ => Match::No,
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<Walk>::default()
    }
}

impl Reader for Walk {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        self.walk(file, limits)
    }
    fn position(&self) -> u64 {
        self.at()
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

/// How many things in the first bytes speak for a ModelProto; `None` when one speaks against.
fn evidence(head: &[u8]) -> Option<u32> {
    let mut found = 0;
    let mut at = 0;
    while at < head.len() {
        let Ok(Some((tag, n))) = protobuf::varint(&head[at..]) else { break };
        let Ok(Some((value, m))) = protobuf::varint(head.get(at + n..)?) else { break };
        let payload = at + n + m;
        let inside = |n: usize| head.get(payload..payload + n);
        let length = usize::try_from(value).unwrap_or(usize::MAX);
        match (tag >> 3, tag & 7) {
            // ir_version
            (1, 0) if (1..1000).contains(&value) => found += 1,
            (5, 0) => {}
            // Producer and domain are short text; in a TensorFlow SavedModel field 2 is a message.
            (2..=4, 2) => {
                if let Some(text) = inside(length) {
                    let text = std::str::from_utf8(text).ok()?;
                    if text.chars().any(char::is_control) {
                        return None;
                    }
                    found += u32::from(tag >> 3 == 2);
                } else if length > 4096 {
                    return None;
                }
            }
            (6, 2) => {}
            // The graph starts with one of its own fields, all of them length-delimited.
            (7, 2) if length > 0 => match inside(1)?[0] {
                tag if tag & 7 == 2 && matches!(tag >> 3, 1 | 2 | 5 | 10..=15) => found += 2,
                _ => return None,
            },
            (7, 2) => {}
            (8, 2) if length == 0 || matches!(inside(1), Some([0x0a | 0x10])) => found += 1,
            (14 | 20 | 25 | 26, 2) => {}
            _ if found >= 2 => break,
            _ => return None,
        }
        at = if tag & 7 == 2 { payload.checked_add(length)? } else { payload };
    }
    Some(found)
}

/// The newest IR version with a release (onnx 1.23).
const NEWEST_IR: u64 = 13;
