//! What a model is.

use std::borrow::Cow;

use serde::Serialize;

use super::SalvageReport;

/// Everything the overview, metadata, tensor and notes views show.
// Tensors are borrowed from the model: files of 30,000 exist, and copies of their names took longer than reading them.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ModelReport<'a> {
    /// "GGUF", "safetensors", "ONNX".
    pub format: String,
    /// Format version as people write it.
    pub version: String,
    /// Length of all files in bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_total: u64,
    /// Bytes read to make this report.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_read: u64,
    /// One sentence: what this is.
    pub summary: String,
    /// "llama", where the file says so.
    pub architecture: Option<String>,
    /// Sum of all tensors' elements.
    #[cfg_attr(test, ts(type = "number"))]
    pub parameters: u64,
    /// Tensor bytes times 8 divided by parameters.
    pub bits_per_weight: Option<f64>,
    /// Name, author, licence, base model, ...: label and value, in order of interest.
    pub identity: Vec<Fact>,
    /// Layers, heads, widths, vocabulary, context, ...: label and value.
    pub shape: Vec<Fact>,
    /// The files that belong to it.
    pub files: Vec<FileReport>,
    /// Files that the model names and that were not given, or could not be read: shards, external data.
    pub missing: Vec<String>,
    /// The chain original model -> GGUF | ONNX, and its parts.
    pub place: PlaceReport,
    /// What can run it.
    pub runners: Vec<RunnerReport>,
    /// Memory needed to run it here, where the engine knows the architecture.
    pub fit: Option<FitReport>,
    /// Totals by encoding, largest first.
    pub encodings: Vec<EncodingReport>,
    /// Metadata in file order.
    pub metadata: Vec<MetadataReport>,
    /// Tensors in file order.
    #[cfg_attr(test, ts(type = "TensorReport[]"))]
    pub tensors: Vec<TensorReport<'a>>,
    /// The operator graph, for formats that hold one.
    pub graph: Option<GraphReport>,
    /// The byte map.
    pub sections: Vec<SectionReport>,
    /// Findings, most severe first: the readers' own, and those of every check that needs no further byte.
    pub notes: Vec<NoteReport>,
    /// What is there and what is missing; absent for a whole model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub salvage: Option<SalvageReport>,
    /// Description of the tokenizer, where there is one that can be loaded.
    pub tokenizer: Option<String>,
    /// Whether `run` works; else why not.
    pub runnable: Option<String>,
}

/// A label and a value.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Fact {
    /// "Layers".
    pub label: String,
    /// "22".
    pub value: String,
    /// The metadata key it comes from, or how it was worked out.
    pub source: Option<String>,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FileReport {
    /// Name.
    pub name: String,
    /// Length in bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// What it is to the model.
    pub kind: FileKind,
    /// The same in words: "weights", "shard 1 of 2", "configuration", ...
    pub role: String,
}

/// What a file is to its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// All weights.
    Weights,
    /// A part of them.
    Shard,
    /// A graph, or the list of a checkpoint.
    Graph,
    /// Bytes that the graph or the list leads to.
    Data,
    /// It says which shard holds a tensor.
    Index,
    /// Another model, or what serves this one.
    Model,
    /// A file beside the weights.
    Side,
}

/// Where the file sits in the chain from the original model to its conversions.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PlaceReport {
    /// "original", "gguf" or "onnx": which stage this is.
    pub stage: String,
    /// One sentence.
    pub sentence: String,
    /// The parts of the chain in order.
    pub parts: Vec<PartReport>,
    /// What the model itself is made of: each part present, missing or contradicted.
    pub hierarchy: Vec<HierarchyReport>,
}

/// One part of the chain.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PartReport {
    /// "original" or "gguf" or "onnx".
    pub stage: String,
    /// "Weights", "config.json", "Tokenizer".
    pub name: String,
    /// "here", "inside" (part of the file), "missing", "not needed" or "elsewhere" (another stage of the chain).
    pub state: String,
    /// File name, or what is missing and why it matters.
    pub detail: String,
}

/// One part of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HierarchyReport {
    /// "weights", "configuration", "tokenizer", "chat template", "pipeline", "adapter", "preprocessing" or "conversions".
    pub group: &'static str,
    /// What it is to the model: "Shards", "config.json", "Pooling".
    pub role: String,
    /// The file it is in; null where it is missing, or in no file of its own.
    pub file: Option<String>,
    /// "present", "missing" or "contradicted".
    pub state: &'static str,
    /// What is in it, what it contradicts, or why it is needed.
    pub detail: String,
}

/// A program that runs this kind of file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RunnerReport {
    /// "Glassbox", "llama.cpp", ...
    #[cfg_attr(test, ts(type = "string"))]
    pub name: &'static str,
    /// Whether it runs the model.
    pub verdict: VerdictReport,
    /// Why not, or what it needs.
    pub detail: String,
}

/// Whether a program runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum VerdictReport {
    /// It does, with nothing but these files.
    Yes,
    /// It needs something beside them.
    Partly,
    /// It does not.
    No,
    /// Nothing that is known decides.
    Unknown,
}

/// Memory to run it: the working is shown by the parts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FitReport {
    /// Weight bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub weights: u64,
    /// Key and value cache bytes per token of context (f32 here).
    #[cfg_attr(test, ts(type = "number"))]
    pub cache_per_token: u64,
    /// Bytes that a sequence takes whatever its length: states of recurrent layers.
    #[cfg_attr(test, ts(type = "number"))]
    pub states: u64,
    /// Activations and other scratch.
    #[cfg_attr(test, ts(type = "number"))]
    pub scratch: u64,
    /// The longest context the model was made for.
    #[cfg_attr(test, ts(type = "number"))]
    pub context: u64,
    /// It turns texts into vectors; absent where it writes text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub vectors: bool,
}

/// Totals of one encoding.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EncodingReport {
    /// Name.
    pub encoding: String,
    /// Number of tensors.
    #[cfg_attr(test, ts(type = "number"))]
    pub tensors: u64,
    /// Their bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// Their elements.
    #[cfg_attr(test, ts(type = "number"))]
    pub elements: u64,
    /// Bits per value.
    pub bits: Option<f64>,
    /// How a block is laid out.
    pub about: String,
}

/// One metadata entry.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MetadataReport {
    /// Key.
    pub key: String,
    /// "u32", "string", "array of string", ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The value: string, number or boolean; for an array its first items.
    #[cfg_attr(test, ts(type = "string | number | boolean | (string | number | boolean | null)[] | null"))]
    pub value: serde_json::Value,
    /// Number of items of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number", optional))]
    pub length: Option<u64>,
    /// What a standard key means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub meaning: Option<String>,
}

/// One tensor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TensorReport<'a> {
    /// Name.
    #[cfg_attr(test, ts(type = "string"))]
    pub name: &'a str,
    /// Slowest dimension first.
    #[cfg_attr(test, ts(type = "number[]"))]
    pub shape: &'a [u64],
    /// Encoding.
    #[cfg_attr(test, ts(type = "string"))]
    pub encoding: Cow<'static, str>,
    /// Absolute byte offset in its file; null where it has no bytes there.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub offset: Option<u64>,
    /// Bytes; null where unknown.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub bytes: Option<u64>,
    /// Bytes from its first to its last, where they do not lie one behind the other: a transposed or sliced view.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number", optional))]
    pub span: Option<u64>,
    /// Its file's name, also when that file is missing.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub file: Option<&'a str>,
    /// "here", "partial" (cut off), "missing", "inline" or "absent".
    pub place: &'static str,
}

/// An operator graph in numbers.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GraphReport {
    /// Name.
    pub name: String,
    /// "ai.onnx 17", ...
    pub opsets: Vec<String>,
    /// Inputs.
    pub inputs: Vec<GraphValueReport>,
    /// Outputs.
    pub outputs: Vec<GraphValueReport>,
    /// Nodes of the top graph in order.
    pub nodes: Vec<GraphNodeReport>,
    /// Values between the nodes whose type or shape the file states.
    pub values: Vec<GraphValueReport>,
    /// Operator types with their number, most frequent first.
    #[cfg_attr(test, ts(type = "[string, number][]"))]
    pub operators: Vec<(String, u64)>,
    /// Subgraphs.
    #[cfg_attr(test, ts(type = "number"))]
    pub subgraphs: u64,
    /// Operators that ONNX Runtime lacks in this file's operator sets, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<(String, String)>>"))]
    pub lacking: Vec<(String, String)>,
}

/// An input or output.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GraphValueReport {
    /// Name.
    pub name: String,
    /// Element type.
    pub encoding: Option<String>,
    /// Dimensions.
    pub dims: Vec<String>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GraphNodeReport {
    /// Name.
    pub name: String,
    /// Operator, with its domain unless that is ai.onnx.
    pub op: String,
    /// Values read.
    pub inputs: Vec<String>,
    /// Values written.
    pub outputs: Vec<String>,
    /// Attributes: name and value as text, long ones shortened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<(String, String)>>"))]
    pub attributes: Vec<(String, String)>,
    /// Graphs in its attributes: branches, bodies of loops.
    #[serde(skip_serializing_if = "is_zero")]
    #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
    pub subgraphs: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// One range of the byte map.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SectionReport {
    /// Index into `files`.
    pub file: usize,
    /// First byte.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last byte.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// "header", "metadata", "tensor list", "padding", "tensors", "graph", "gap" or "trailing".
    pub kind: &'static str,
    /// Tensors in a run of them (neighbours are joined in this report).
    #[cfg_attr(test, ts(type = "number"))]
    pub tensors: u64,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NoteReport {
    /// What kind of finding it is: "end of file".
    #[cfg_attr(test, ts(type = "string"))]
    pub code: &'static str,
    /// "error", "warning" or "info".
    pub severity: &'static str,
    /// What was found.
    pub what: String,
    /// File concerned.
    pub file: Option<String>,
    /// Byte offset.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub at: Option<u64>,
    /// Why it matters.
    pub why: Option<String>,
    /// What to do.
    pub advice: Option<String>,
}
