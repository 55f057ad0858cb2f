//! A model file, read in pieces: messages by themselves, the bytes of large initializers straight from their file.

use super::{
    proto::{self, External, FunctionProto, GraphProto, TensorParts},
    value::room,
    wire::{Field, Wire},
};
use crate::{
    fault::{Blame, Fault, Result},
    source::{SourceFile, SourceSet},
};

/// Bytes fetched at a time.
const PIECE: u64 = 256 << 10;
/// The longest message that is read whole: protobuf itself allows 2 GiB.
const MESSAGE_MOST: u64 = 2 << 30;

/// A `ModelProto`.
#[derive(Default)]
pub(super) struct ModelProto {
    pub(super) ir_version: i64,
    pub(super) producer: String,
    pub(super) opsets: Vec<(String, i64)>,
    pub(super) graph: Option<GraphProto>,
    pub(super) functions: Vec<FunctionProto>,
}

struct Feed<'a> {
    file: &'a SourceFile,
    buffer: Vec<u8>,
    from: u64,
}

/// A field's header: number, wire type, value or length, and where its payload starts.
struct Head {
    number: u32,
    wire: u8,
    value: u64,
    payload: u64,
}

impl Head {
    fn end(&self) -> u64 {
        if self.wire == 2 { self.payload + self.value } else { self.payload }
    }
}

impl<'a> Feed<'a> {
    async fn bytes(&mut self, at: u64, n: u64) -> Result<&[u8]> {
        let end = at.saturating_add(n).min(self.file.len());
        if at < self.from || end > self.from + self.buffer.len() as u64 {
            let to = at.saturating_add(n.max(PIECE)).min(self.file.len());
            self.buffer = self.file.read(at..to.max(at)).await?;
            self.from = at;
        }
        let start = (at - self.from) as usize;
        Ok(&self.buffer[start..(end - self.from) as usize])
    }
    async fn head(&mut self, at: u64, end: u64) -> Result<Head> {
        let room = (end - at).min(20);
        let bytes = self.bytes(at, room).await?;
        let mut wire = Wire::new(bytes, at);
        let tag = wire.varint()?;
        let number =
            u32::try_from(tag >> 3).map_err(|_| Fault::file(at, "a protobuf field number below 2^29 expected"))?;
        let kind = (tag & 7) as u8;
        let value = match kind {
            0 | 2 => wire.varint()?,
            1 => wire.fixed64()?,
            5 => u64::from(wire.fixed32()?),
            other => {
                return Err(Fault::file(at, format!("a protobuf wire type 0, 1, 2 or 5 expected, {other} found")));
            }
        };
        let payload = wire.place();
        if kind == 2 && payload.checked_add(value).is_none_or(|last| last > end) {
            let what = format!("field {number} of {value} bytes reaches beyond byte {end}, where it should end");
            return Err(Fault::file(at, what).short());
        }
        Ok(Head { number, wire: kind, value, payload })
    }
    /// The payload, read whole.
    async fn payload(&mut self, head: &Head) -> Result<Vec<u8>> {
        if head.wire != 2 {
            return Ok(Vec::new());
        }
        if head.value > MESSAGE_MOST {
            let what =
                format!("field {} of {} bytes; at most {MESSAGE_MOST} are read at once", head.number, head.value);
            return Err(Fault::limit(what).at(head.payload));
        }
        room(&[head.value as usize], 1)?;
        if head.value <= PIECE {
            return Ok(self.bytes(head.payload, head.value).await?.to_vec());
        }
        self.file.read(head.payload..head.end()).await
    }
}

fn as_field<'b>(head: &Head, bytes: &'b [u8]) -> Field<'b> {
    match head.wire {
        0 => Field::Int(head.value),
        1 => Field::Fixed64(head.value),
        5 => Field::Fixed32(head.value as u32),
        _ => Field::Bytes(bytes, head.payload),
    }
}

/// Reads a model; files that it names are looked for among `others`.
pub(super) async fn model(file: &SourceFile, others: &SourceSet) -> Result<ModelProto> {
    read_model(file, others).await.map_err(|fault| fault.in_file(file.name()))
}

async fn read_model(file: &SourceFile, others: &SourceSet) -> Result<ModelProto> {
    let mut feed = Feed { file, buffer: Vec::new(), from: 0 };
    let mut model = ModelProto::default();
    let mut at = 0;
    while at < file.len() {
        let head = feed.head(at, file.len()).await?;
        at = head.end();
        if head.number == 7 && head.wire == 2 {
            model.graph = Some(graph(&mut feed, &head, others).await?);
            continue;
        }
        let bytes = feed.payload(&head).await?;
        let field = as_field(&head, &bytes);
        match head.number {
            1 => model.ir_version = field.int(),
            2 => model.producer = field.text(),
            8 => model.opsets.push(proto::opset(field.message())?),
            25 => model.functions.push(proto::function(field.message())?),
            _ => {}
        }
    }
    Ok(model)
}

async fn graph(feed: &mut Feed<'_>, outer: &Head, others: &SourceSet) -> Result<GraphProto> {
    let mut graph = GraphProto::default();
    let mut at = outer.payload;
    while at < outer.end() {
        let head = feed.head(at, outer.end()).await?;
        at = head.end();
        if head.number == 5 && head.wire == 2 {
            graph.initializers.push(initializer(feed, &head, others).await?);
            continue;
        }
        let bytes = feed.payload(&head).await?;
        graph.take(head.number, as_field(&head, &bytes), 0)?;
    }
    Ok(graph)
}

async fn initializer(feed: &mut Feed<'_>, outer: &Head, others: &SourceSet) -> Result<(String, super::value::Tensor)> {
    let mut parts = TensorParts::at(outer.payload);
    let mut at = outer.payload;
    while at < outer.end() {
        let head = feed.head(at, outer.end()).await?;
        at = head.end();
        let bytes = feed.payload(&head).await?;
        if head.number == 9 && head.wire == 2 {
            parts.raw = Some(bytes);
        } else {
            parts.take(head.number, as_field(&head, &bytes))?;
        }
    }
    if let Some(external) = parts.external()? {
        parts.raw = Some(elsewhere(&parts, &external, others).await?);
    }
    parts.finish()
}

/// The bytes of a tensor in another file.
async fn elsewhere(parts: &TensorParts, external: &External, others: &SourceSet) -> Result<Vec<u8>> {
    let need = parts.raw_bytes()?;
    let told = format!("the tensor \"{}\"", parts.name);
    let Some(file) = others.find(&external.location) else {
        let what = format!("{told} lies in the file \"{}\", which was not given", external.location);
        return Err(Fault::new(Blame::Caller, what).at(parts.at));
    };
    if let Some(length) = external.length
        && length != need
    {
        return Err(Fault::file(
            parts.at,
            format!("{told} needs {need} bytes, its entry in {} says {length}", file.name()),
        ));
    }
    let end = external.offset.checked_add(need).filter(|end| *end <= file.len()).ok_or_else(|| {
        let what = format!(
            "{told} is said to lie at byte {} of {}, which has {} bytes",
            external.offset,
            file.name(),
            file.len()
        );
        Fault::file(parts.at, what)
    })?;
    room(&[need as usize], 1)?;
    file.read(external.offset..end).await
}
