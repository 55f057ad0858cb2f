//! TensorFlow: graphs as protobuf (frozen `GraphDef`, `MetaGraphDef`, `SavedModel`) and checkpoints: sorted tables that
//! hold the values (V1) or name the shards where they lie (V2). Sources: `tensorflow/core/framework/*.proto`,
//! `tensorflow/core/protobuf/{saved_model,meta_graph,tensor_bundle}.proto`, `tensorflow/core/lib/io/format.cc`.

mod checkpoint;
mod graph;
mod slices;
mod table;

use super::{
    Format, Match, Reader,
    codec::{protobuf, snappy},
};
use crate::{
    fault::Fault,
    model::{FormatId, ModelFile},
    source::{Limits, Stop, Window},
    tensor::Encoding,
};

pub(super) struct TensorFlow;

impl Format for TensorFlow {
    fn id(&self) -> FormatId {
        FormatId::TensorFlow
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        // A Core ML model of version 1 begins as a SavedModel does.
        if table(head) || kind(head).is_some() && !super::lookalike::core_ml(head) {
            Match::ByContent
        } else if name.ends_with(".pb") || name.ends_with(".index") {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::new(TensorFlowReader(None))
    }
}

enum TensorFlowKind {
    Graph(Box<graph::Graph>),
    Checkpoint(Box<checkpoint::Checkpoint>),
}

struct TensorFlowReader(Option<TensorFlowKind>);

impl Reader for TensorFlowReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let reader = match &mut self.0 {
            Some(reader) => reader,
            None => {
                let head = file.bytes(0..file.len().min(512))?;
                self.0.insert(if table(head) || kind(head).is_none() && head.first() == Some(&0) {
                    TensorFlowKind::Checkpoint(Box::default())
                } else {
                    let kind = kind(head).unwrap_or(graph::Kind::Graph);
                    TensorFlowKind::Graph(Box::new(graph::Graph::new(kind, file.len())))
                })
            }
        };
        match reader {
            TensorFlowKind::Graph(graph) => graph.advance(file, limits),
            TensorFlowKind::Checkpoint(checkpoint) => checkpoint.advance(file, limits),
        }
    }
    fn position(&self) -> u64 {
        match &self.0 {
            Some(TensorFlowKind::Graph(graph)) => graph.position(),
            _ => 0,
        }
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        match self.0 {
            Some(TensorFlowKind::Checkpoint(checkpoint)) => checkpoint.model(file),
            Some(TensorFlowKind::Graph(graph)) => graph.model(file),
            None => graph::Graph::new(graph::Kind::Graph, file.len()).model(file),
        }
    }
}

/// The first entry of a checkpoint's table, also packed by Snappy: the empty key, and a header message.
fn table(head: &[u8]) -> bool {
    first_entry(head) || first_entry(&snappy::start(head.get(..256).unwrap_or(head)))
}

fn first_entry(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(&[0, 0]) else { return false };
    // A V1 checkpoint's header names all tensors, a V2 index's only counts its shards.
    let Ok(Some((length, n))) = protobuf::varint(rest) else { return false };
    match rest.get(n..n + 2) {
        Some([0x08, 1..=0xff]) => (1..=4096).contains(&length),
        Some([0x0a, 1..=0xff]) => (1..=1 << 30).contains(&length),
        _ => false,
    }
}

/// A length-delimited field's payload within what is there, and what follows it.
fn payload(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (_, n) = protobuf::varint(rest).ok()??;
    rest.get(n..)
}

/// A length-delimited field whose payload is a plain word; what follows it.
fn word(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (len, n) = protobuf::varint(rest).ok()??;
    let end = n.checked_add(usize::try_from(len).ok()?)?;
    let text = rest.get(n..end)?;
    let plain = |b: &u8| b.is_ascii_graphic();
    (!text.is_empty() && text.iter().all(plain)).then(|| rest.get(end..)).flatten()
}

/// Which message starts so: the first node's name and operator, or the list of operators that the writer knew.
fn kind(head: &[u8]) -> Option<graph::Kind> {
    let node =
        |bytes: &[u8]| payload(bytes, 0x0a).and_then(|n| word(n, 0x0a)).is_some_and(|rest| word(rest, 0x12).is_some());
    let meta = |bytes: &[u8]| {
        // meta_info_def { stripped_op_list { op { name } } } or { meta_graph_version }, or a graph at once.
        let info = payload(bytes, 0x0a);
        let list = info.and_then(|i| payload(i, 0x12)).and_then(|l| payload(l, 0x0a)).and_then(|o| word(o, 0x0a));
        list.is_some() || payload(bytes, 0x12).is_some_and(node)
    };
    if let Some(rest) = head.strip_prefix(&[0x08, 0x01])
        && payload(rest, 0x12).is_some_and(|m| meta(m) || matches!(m, [0x0a, ..]))
    {
        return Some(graph::Kind::SavedModel);
    }
    if node(head) {
        return Some(graph::Kind::Graph);
    }
    meta(head).then_some(graph::Kind::MetaGraph)
}

/// `DataType` of `types.proto`; numbers above 100 are references to the same type.
fn encoding(kind: u64) -> Encoding {
    match if kind > 100 { kind - 100 } else { kind } {
        1 => Encoding::F32,
        2 => Encoding::F64,
        3 | 13 => Encoding::I32,
        4 | 12 => Encoding::U8,
        5 | 15 => Encoding::I16,
        6 | 11 => Encoding::I8,
        7 => Encoding::String,
        8 => Encoding::C64,
        9 => Encoding::I64,
        10 => Encoding::Bool,
        14 => Encoding::BF16,
        16 | 17 => Encoding::U16,
        18 => Encoding::C128,
        19 => Encoding::F16,
        22 => Encoding::U32,
        23 => Encoding::U64,
        24 => Encoding::F8_E5M2,
        25 => Encoding::F8_E4M3,
        26 => Encoding::F8_E4M3FNUZ,
        28 => Encoding::F8_E5M2FNUZ,
        29 => Encoding::I4,
        30 => Encoding::U4,
        31 => Encoding::I2,
        32 => Encoding::U2,
        33 => Encoding::F4,
        _ => Encoding::Unknown,
    }
}

/// Dimensions above are taken for damage.
const DIMS_MOST: usize = 64;

/// `TensorShapeProto { 2 dim { 1 size }, 3 unknown_rank }`: sizes, -1 where unknown; `None` for an unknown rank.
fn shape(file: &Window, at: u64, end: u64) -> Result<Option<Vec<i64>>, Stop> {
    let mut dims = Vec::new();
    let mut at = at;
    while at < end {
        let field = protobuf::field(file, at, end)?;
        match (field.number, field.wire) {
            (2, protobuf::Wire::Bytes(_)) if dims.len() >= DIMS_MOST => {
                return Err(Fault::limit(format!("more than {DIMS_MOST} dimensions; the limit")).at(at).into());
            }
            (2, protobuf::Wire::Bytes(_)) => {
                let (mut inner, last) = (field.payload, field.end().min(end));
                let mut size = 0i64;
                while inner < last {
                    let field = protobuf::field(file, inner, last)?;
                    if let (1, protobuf::Wire::Varint(n)) = (field.number, field.wire) {
                        size = n as i64;
                    }
                    inner = field.end();
                }
                dims.push(size);
            }
            (3, protobuf::Wire::Varint(1)) => return Ok(None),
            _ => {}
        }
        at = field.end();
    }
    Ok(Some(dims))
}

/// A short text in a field; longer ones are cut.
fn text(file: &Window, field: &protobuf::Field, most: u64) -> Result<String, Stop> {
    let end = field.end().min(field.payload.saturating_add(most));
    Ok(String::from_utf8_lossy(file.bytes(field.payload..end)?).into_owned())
}
