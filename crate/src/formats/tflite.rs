//! TensorFlow Lite (`tensorflow/compiler/mlir/lite/schema/schema.fbs`): a FlatBuffer of tables.
//!
//! Tensors with bytes are listed; those that only pass between operators are counted, and named as inputs and outputs.

use std::ops::Range;

use super::{
    Format, Match, Reader,
    codec::flatbuffer::Table,
    findings::{Findings, quoted},
    sections,
};
use crate::{
    fault::Fault,
    model::{
        FormatId, GraphNode, GraphValue, MetaArray, MetaType, MetaValue, Metadata, ModelFile, NoteCode, OpGraph, Place,
        SectionKind, TensorEntry, Version,
    },
    source::{Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Longest name kept.
const NAME_MOST: u64 = 512;
const DIMS_MOST: u64 = 64;
/// Tensors and operators of one file, at most: tables may name each other often, so few bytes could claim many.
const ITEMS_MOST: u64 = 200_000;
/// Bytes of all names and lists together, for the same reason.
const TEXT_MOST: u64 = 64 << 20;

pub(super) struct TfLite;

impl Format for TfLite {
    fn id(&self) -> FormatId {
        FormatId::TfLite
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        if head.get(4..8) == Some(b"TFL3") {
            Match::ByContent
        } else if name.ends_with(".tflite") {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<TfLiteReader>::default()
    }
}

#[derive(Default)]
struct TfLiteReader {
    version: u32,
    metadata: Metadata,
    /// Names of operators by their number in the file.
    codes: Option<Vec<String>>,
    /// Bytes of buffers by their number.
    buffers: Option<Vec<Range<u64>>>,
    subgraph: u64,
    /// Tensors of the current subgraph: name, dims as stated.
    names: Vec<(String, Vec<String>, Encoding)>,
    operator: u64,
    passing: u64,
    all: u64,
    text: u64,
    graph: OpGraph,
    tensors: Vec<TensorEntry>,
    findings: Findings,
    done: bool,
}

impl Reader for TfLiteReader {
    fn advance(&mut self, file: &Window, _limits: &Limits) -> Result<(), Stop> {
        match self.read(file) {
            Err(Stop::Bad(fault)) if self.codes.is_some() => {
                let at = fault.at.unwrap_or(file.len()).min(file.len());
                let what = format!("The file could not be read to its end: {}", fault.what);
                self.findings.error(NoteCode::Cut, at, what, "the file was not copied whole, or is damaged");
                self.done = true;
                Ok(())
            }
            other => other,
        }
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

impl TfLiteReader {
    fn read(&mut self, file: &Window) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        let model = Table::root(file)?;
        if self.codes.is_none() {
            self.version = model.u32(0)?;
            let list = model.vector(1, 4)?;
            let mut codes = Vec::new();
            for i in 0..list.len.min(ITEMS_MOST) {
                let code = model.item(list, i)?;
                let number = code.u32(3)?.max(u32::from(code.u8(0)?));
                codes.push(match number {
                    32 => code.text(1, NAME_MOST)?,
                    _ => operator(number),
                });
            }
            let description = model.text(3, NAME_MOST)?;
            if !description.is_empty() {
                self.metadata.push("description", MetaValue::String(description));
            }
            self.codes = Some(codes);
        }
        if self.buffers.is_none() {
            let list = model.vector(4, 4)?;
            let mut buffers = Vec::new();
            for i in 0..list.len.min(ITEMS_MOST) {
                let buffer = model.item(list, i)?;
                let data = buffer.vector(0, 1)?;
                let (offset, size) = (buffer.u64(1)?, buffer.u64(2)?);
                // Above 2 GiB the bytes lie behind the tables, at an offset from the start of the file.
                let far = offset > 1 && size > 0;
                buffers.push(if far { offset..offset.saturating_add(size) } else { data.at..data.at + data.len });
            }
            self.buffers = Some(buffers);
        }
        let subgraphs = model.vector(2, 4)?;
        while self.subgraph < subgraphs.len {
            let subgraph = model.item(subgraphs, self.subgraph)?;
            self.one(file, &subgraph)?;
            self.subgraph += 1;
            self.names.clear();
            self.operator = 0;
        }
        self.done = true;
        Ok(())
    }
    fn one(&mut self, file: &Window, subgraph: &Table<'_>) -> Result<(), Stop> {
        let list = subgraph.vector(0, 4)?;
        while (self.names.len() as u64) < list.len {
            if self.all >= ITEMS_MOST {
                return Err(Fault::limit(format!("more than {ITEMS_MOST} tensors; the limit")).at(list.at).into());
            }
            let tensor = subgraph.item(list, self.names.len() as u64)?;
            let (shape, signature) = (tensor.numbers(0, DIMS_MOST)?, tensor.numbers(7, DIMS_MOST)?);
            let (encoding, name) = (encoding(tensor.u8(1)?), tensor.text(3, NAME_MOST)?);
            let buffer = tensor.u32(2)? as usize;
            let dims = if signature.is_empty() { &shape } else { &signature };
            let dims: Vec<String> =
                dims.iter().map(|d| if *d as i32 == -1 { "?".into() } else { d.to_string() }).collect();
            self.all += 1;
            self.spend(3 * name.len() as u64 + 8 * shape.len() as u64, list.at)?;
            match self.buffers.as_ref().and_then(|b| b.get(buffer)).cloned() {
                Some(at) if at.start < at.end => {
                    let shape = Shape(shape.into_iter().map(u64::from).collect());
                    let entry = entry(name.clone(), shape, encoding, at, file, &mut self.findings);
                    self.tensors.push(entry);
                }
                _ => {
                    self.passing += 1;
                    if self.subgraph == 0 {
                        let (name, dims) = (name.clone(), Vec::clone(&dims));
                        self.graph.values.push(GraphValue { name, encoding: Some(encoding), dims });
                    }
                }
            }
            self.names.push((name, dims, encoding));
        }
        let operators = subgraph.vector(3, 4)?;
        let named = |i: &u32| self.names.get(*i as usize).map(|(name, ..)| name.clone());
        while self.operator < operators.len {
            if self.graph.nodes.len() as u64 + self.graph.inner_nodes >= ITEMS_MOST {
                return Err(Fault::limit(format!("more than {ITEMS_MOST} operators; the limit"))
                    .at(operators.at)
                    .into());
            }
            let node = subgraph.item(operators, self.operator)?;
            let code = node.u32(0)? as usize;
            let op = self
                .codes
                .as_ref()
                .and_then(|c| c.get(code))
                .cloned()
                .unwrap_or_else(|| format!("operator code {code}"));
            let (inputs, outputs) = (node.numbers(1, 4096)?, node.numbers(2, 4096)?);
            let named_bytes =
                |list: &[u32]| -> u64 { list.iter().filter_map(named).map(|n| n.len() as u64 + 24).sum() };
            let spent = named_bytes(&inputs) + named_bytes(&outputs);
            if self.text + spent > TEXT_MOST {
                return Err(Fault::limit(format!("names of more than {TEXT_MOST} bytes; the limit"))
                    .at(operators.at)
                    .into());
            }
            self.text += spent;
            if self.subgraph == 0 {
                let outputs: Vec<String> = outputs.iter().filter_map(named).collect();
                self.graph.nodes.push(GraphNode {
                    name: String::new(),
                    op,
                    domain: String::new(),
                    inputs: inputs.iter().filter_map(named).collect(),
                    outputs,
                    subgraphs: 0,
                    attributes: Vec::new(),
                });
            } else {
                self.graph.inner_nodes += 1;
            }
            self.operator += 1;
        }
        let value = |i: &u32| {
            let (name, dims, encoding) = self.names.get(*i as usize)?;
            Some(GraphValue { name: name.clone(), encoding: Some(*encoding), dims: dims.clone() })
        };
        if self.subgraph == 0 {
            let (inputs, outputs) = (subgraph.numbers(1, 4096)?, subgraph.numbers(2, 4096)?);
            let name = subgraph.text(4, NAME_MOST)?;
            (self.graph.inputs, self.graph.outputs) =
                (inputs.iter().filter_map(value).collect(), outputs.iter().filter_map(value).collect());
            self.graph.name = name;
        } else {
            self.graph.subgraphs += 1;
        }
        Ok(())
    }
    fn spend(&mut self, bytes: u64, at: u64) -> Result<(), Stop> {
        self.text += bytes;
        if self.text > TEXT_MOST {
            return Err(Fault::limit(format!("names of more than {TEXT_MOST} bytes; the limit")).at(at).into());
        }
        Ok(())
    }
    fn model(mut self, file: &Window) -> ModelFile {
        let number = |n: u64| MetaValue::Unsigned(n, MetaType::U64);
        self.metadata.push("tflite.tensors", number(self.all));
        self.metadata.push("tflite.tensors_without_values", number(self.passing));
        let codes = self.codes.unwrap_or_default();
        let head: Vec<MetaValue> = codes.into_iter().map(MetaValue::String).collect();
        let list = MetaArray { item: MetaType::String, len: head.len() as u64, head, place: None };
        self.metadata.push("tflite.operator_codes", MetaValue::Array(list));
        let mut sections = sections::map(0, file.len(), &[], &self.tensors, 0);
        for section in &mut sections {
            if !matches!(section.kind, SectionKind::Tensor(_)) {
                section.kind = SectionKind::Graph;
            }
        }
        ModelFile {
            format: FormatId::TfLite,
            version: Version::counted(u64::from(self.version)),
            files: Vec::new(),
            metadata: self.metadata,
            tensors: self.tensors,
            graph: Some(self.graph),
            sections,
            notes: self.findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

fn entry(
    name: String,
    shape: Shape,
    encoding: Encoding,
    at: Range<u64>,
    file: &Window,
    findings: &mut Findings,
) -> TensorEntry {
    let told = quoted(&name);
    let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
    let found = at.end - at.start;
    if let Some(bytes) = bytes.filter(|n| *n != found) {
        let what = format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, its buffer has {found}");
        findings.error(NoteCode::Sizes, at.start.min(file.len()), what, "the values cannot be told apart");
    }
    let place = if at.end <= file.len() {
        Place::Here { file: 0, at }
    } else {
        let what = format!("{told} lies at bytes {}..{}, the file ends at byte {}", at.start, at.end, file.len());
        findings.error(NoteCode::EndOfFile, file.len(), what, "the file was not copied whole");
        Place::Missing { file: file.name().to_owned(), at }
    };
    TensorEntry { name, shape, encoding, place, bytes: bytes.or(Some(found)) }
}

/// `TensorType` of the schema.
fn encoding(kind: u8) -> Encoding {
    match kind {
        0 => Encoding::F32,
        1 => Encoding::F16,
        2 => Encoding::I32,
        3 => Encoding::U8,
        4 => Encoding::I64,
        5 => Encoding::String,
        6 => Encoding::Bool,
        7 => Encoding::I16,
        8 => Encoding::C64,
        9 => Encoding::I8,
        10 => Encoding::F64,
        11 => Encoding::C128,
        12 => Encoding::U64,
        15 => Encoding::U32,
        16 => Encoding::U16,
        17 => Encoding::I4,
        18 => Encoding::BF16,
        _ => Encoding::Unknown,
    }
}

/// Names of the builtin operators, by number.
const BUILTIN: &str = "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR \
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL \
RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM \
EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE \
UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE \
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN \
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX \
PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE \
RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU \
REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 \
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL";

fn operator(number: u32) -> String {
    let known = usize::try_from(number).ok().and_then(|n| BUILTIN.split(' ').nth(n));
    known.map_or_else(|| format!("BUILTIN_{number}"), str::to_owned)
}
