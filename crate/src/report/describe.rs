//! From an opened model to its report: what it is, where it sits, what can run it.

use crate::{
    fault::Fault,
    model::{
        FileRole, FileSummary, FormatId, MetaArray, MetaValue, ModelFile, Note, Place, SectionKind, Severity,
        TensorEntry,
    },
    session::{ArrayItems, Inspection},
    tensor::Encoding,
    verdict::{self, Ruling, Verdict},
};

use super::{
    EncodingReport, FileKind, FileReport, FitReport, GraphNodeReport, GraphReport, GraphValueReport, MetadataReport,
    ModelReport, NoteReport, RunnerReport, SalvageReport, SectionReport, TensorReport, VerdictReport, facts, keys,
};

/// Array items that a report shows inline.
const INLINE_ITEMS: usize = 8;

impl<'a> ModelReport<'a> {
    /// Everything a face shows of an opened model; asks for the tokenizer, which reads its arrays.
    pub async fn of(inspection: &'a Inspection) -> Self {
        let model = inspection.model();
        let bytes_read = inspection.files().bytes_read();
        let runnable = inspection.support();
        let tokenizer = tokenizer_kind(inspection);
        let parameters = model.parameters();
        let bytes = model.tensor_bytes();
        let notes = inspection.findings();
        Self {
            format: model.format.name().into(),
            version: model.version.text.clone(),
            bytes_total: inspection.files().bytes_total(),
            bytes_read,
            summary: facts::sentence(model),
            architecture: facts::architecture(model),
            parameters,
            bits_per_weight: (parameters > 0 && bytes > 0).then(|| bytes as f64 * 8.0 / parameters as f64),
            identity: facts::identity(model),
            shape: facts::shape(model),
            files: model.files.iter().map(FileReport::of).collect(),
            missing: inspection.missing_files(),
            place: facts::place(model, tokenizer.is_some(), inspection.tokenizer_file()),
            runners: inspection.rulings(tokenizer.is_some()).into_iter().map(RunnerReport::from).collect(),
            fit: runnable.as_ref().ok().map(|s| FitReport {
                weights: s.weights,
                cache_per_token: s.cache_per_token,
                states: s.carried,
                scratch: s.scratch,
                context: u64::from(s.context),
                vectors: !s.generates,
            }),
            encodings: encodings(model),
            metadata: model.metadata.iter().map(|(k, v)| metadata(k, v)).collect(),
            tensors: model.tensors.iter().map(|t| TensorReport::of(t, model)).collect(),
            graph: model.graph.as_ref().map(|g| graph(g, model.format)),
            sections: sections(model),
            notes: notes.iter().map(|n| NoteReport::of(n, model)).collect(),
            salvage: SalvageReport::of(inspection),
            tokenizer,
            runnable: runnable.err().map(|f: Fault| f.to_string()),
        }
    }
}

/// The kind of tokenizer that seems to be here; loading it is left until someone asks.
fn tokenizer_kind(inspection: &Inspection) -> Option<String> {
    let model = inspection.model();
    let meta = &model.metadata;
    if let Some(kind) = meta.string("tokenizer.ggml.model").filter(|k| !matches!(*k, "none" | "no_vocab")) {
        let tokens = meta.array("tokenizer.ggml.tokens").map_or(0, |a| a.len);
        let pre = meta.string("tokenizer.ggml.pre").map(|p| format!(", pre-tokenizer {p}")).unwrap_or_default();
        return Some(format!("{kind}{pre}, {tokens} tokens"));
    }
    inspection.tokenizer_file().map(str::to_owned)
}

impl From<Ruling> for RunnerReport {
    fn from(ruling: Ruling) -> Self {
        Self { name: ruling.program, verdict: ruling.verdict.into(), detail: ruling.why }
    }
}

impl From<Verdict> for VerdictReport {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes => Self::Yes,
            Verdict::Partly => Self::Partly,
            Verdict::No => Self::No,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl NoteReport {
    /// A note with its file's name.
    pub fn of(note: &Note, model: &ModelFile) -> Self {
        let file = note.file.and_then(|f| model.files.get(f)).map(|f| f.name.clone());
        Self { file, ..Self::from(note) }
    }
}

impl From<&Note> for NoteReport {
    fn from(note: &Note) -> Self {
        Self {
            code: note.code.name(),
            severity: match note.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            },
            what: note.what.clone(),
            file: None,
            at: note.at,
            why: note.why.clone(),
            advice: note.advice.clone(),
        }
    }
}

impl<'a> TensorReport<'a> {
    fn of(tensor: &'a TensorEntry, model: &'a ModelFile) -> Self {
        let mut span = None;
        let (file, offset, place) = match &tensor.place {
            Place::Here { file, at } => (model.files.get(*file).map(|f| f.name.as_str()), Some(at.start), "here"),
            Place::Strided { file, at, .. } | Place::Chunked { file, at, .. } => {
                span = Some(at.end.saturating_sub(at.start));
                (model.files.get(*file).map(|f| f.name.as_str()), Some(at.start), "here")
            }
            Place::Missing { file, at } => {
                let begun = model.files.iter().any(|f| f.name == *file && f.bytes > at.start && at.end > at.start);
                (Some(file.as_str()), Some(at.start), if begun { "partial" } else { "missing" })
            }
            Place::Inline => (None, None, "inline"),
            Place::Absent => (None, None, "absent"),
        };
        Self {
            name: &tensor.name,
            shape: &tensor.shape.0,
            encoding: tensor.encoding.name(),
            offset,
            bytes: tensor.bytes,
            span,
            file,
            place,
        }
    }
}

fn encodings(model: &ModelFile) -> Vec<EncodingReport> {
    let mut totals: Vec<(Encoding, u64, u64, u64)> = Vec::new();
    for tensor in &model.tensors {
        let bytes = tensor.bytes.unwrap_or(0);
        let elements = tensor.shape.elements().unwrap_or(0);
        match totals.iter_mut().find(|t| t.0 == tensor.encoding) {
            Some(total) => {
                total.1 += 1;
                total.2 = total.2.saturating_add(bytes);
                total.3 = total.3.saturating_add(elements);
            }
            None => totals.push((tensor.encoding, 1, bytes, elements)),
        }
    }
    crate::order::sort_by_key(&mut totals, |t| std::cmp::Reverse(t.2));
    totals
        .into_iter()
        .map(|(encoding, tensors, bytes, elements)| EncodingReport {
            encoding: encoding.name().into(),
            tensors,
            bytes,
            elements,
            bits: encoding.spec().map(|s| f64::from(s.block_bytes) * 8.0 / f64::from(s.block_len)),
            about: encoding.spec().map(|s| s.about.to_owned()).unwrap_or_default(),
        })
        .collect()
}

pub(super) fn metadata(key: &str, value: &MetaValue) -> MetadataReport {
    let (kind, length) = match value {
        MetaValue::Array(a) => (format!("array of {}", a.item.name()), Some(a.len)),
        other => (other.kind().name().to_owned(), None),
    };
    MetadataReport { key: key.to_owned(), kind, value: json(value), length, meaning: keys::meaning(key) }
}

fn json(value: &MetaValue) -> serde_json::Value {
    match value {
        MetaValue::Unsigned(n, _) => (*n).into(),
        MetaValue::Signed(n, _) => (*n).into(),
        // Through f32's shortest text, so that 1e-5 does not print as 0.000009999999747378752.
        MetaValue::Float(x, crate::model::MetaType::F32) => {
            (*x as f32).to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into)
        }
        MetaValue::Float(x, _) => (*x).into(),
        MetaValue::Bool(b) => (*b).into(),
        MetaValue::String(s) => s.as_str().into(),
        MetaValue::Array(MetaArray { head, .. }) => head.iter().take(INLINE_ITEMS).map(json).collect(),
    }
}

fn graph(graph: &crate::model::OpGraph, format: FormatId) -> GraphReport {
    let value = |v: &crate::model::GraphValue| GraphValueReport {
        name: v.name.clone(),
        encoding: v.encoding.map(|e| e.name().into()),
        dims: v.dims.clone(),
    };
    let op = |domain: &str, op: &str| {
        if domain.is_empty() || domain == "ai.onnx" { op.to_owned() } else { format!("{domain}.{op}") }
    };
    let mut operators: Vec<(String, u64)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for node in &graph.nodes {
        let name = op(&node.domain, &node.op);
        let at = *index.entry(name.clone()).or_insert_with(|| {
            operators.push((name, 0));
            operators.len() - 1
        });
        operators[at].1 += 1;
    }
    crate::order::sort_by(&mut operators, |a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    GraphReport {
        name: graph.name.clone(),
        opsets: graph
            .opsets
            .iter()
            .map(|(domain, version)| format!("{} {version}", if domain.is_empty() { "ai.onnx" } else { domain }))
            .collect(),
        inputs: graph.inputs.iter().map(value).collect(),
        outputs: graph.outputs.iter().map(value).collect(),
        nodes: graph
            .nodes
            .iter()
            .map(|n| GraphNodeReport {
                name: n.name.clone(),
                op: op(&n.domain, &n.op),
                inputs: n.inputs.clone(),
                outputs: n.outputs.clone(),
                attributes: n.attributes.clone(),
                subgraphs: n.subgraphs,
            })
            .collect(),
        values: graph.values.iter().map(value).collect(),
        operators,
        subgraphs: graph.subgraphs,
        lacking: if format == FormatId::Onnx {
            verdict::lacking(graph).into_iter().map(|(domain, name, why)| (op(domain, name), why)).collect()
        } else {
            Vec::new()
        },
    }
}

impl FileKind {
    fn of(role: &FileRole) -> Self {
        match role {
            FileRole::Weights => Self::Weights,
            FileRole::Shard { .. } => Self::Shard,
            FileRole::GraphOrCheckpoint => Self::Graph,
            FileRole::Variables | FileRole::ExternalData => Self::Data,
            FileRole::Index => Self::Index,
            FileRole::Another(_) | FileRole::Beside(_) => Self::Model,
            _ => Self::Side,
        }
    }
}

impl FileReport {
    /// One of a model's files.
    pub(super) fn of(file: &FileSummary) -> Self {
        Self { name: file.name.clone(), bytes: file.bytes, kind: FileKind::of(&file.role), role: file.role.to_string() }
    }
}

/// The word for what a range holds.
pub(super) fn section_kind(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Header => "header",
        SectionKind::Metadata => "metadata",
        SectionKind::TensorList => "tensor list",
        SectionKind::Padding => "padding",
        SectionKind::Tensor(_) => "tensors",
        SectionKind::Graph => "graph",
        SectionKind::Gap => "gap",
        SectionKind::Trailing => "trailing",
    }
}

/// The byte map with neighbouring tensors joined.
fn sections(model: &ModelFile) -> Vec<SectionReport> {
    let mut out: Vec<SectionReport> = Vec::new();
    for section in &model.sections {
        let kind = section_kind(section.kind);
        let tensors = u64::from(kind == "tensors");
        let small_padding = kind == "padding" && section.at.end - section.at.start < 4096;
        if let Some(last) = out.last_mut().filter(|l| l.file == section.file && l.end == section.at.start) {
            let joins = last.kind == kind || (last.kind == "tensors" && small_padding);
            if joins {
                last.end = section.at.end;
                last.tensors += tensors;
                continue;
            }
        }
        out.push(SectionReport { file: section.file, start: section.at.start, end: section.at.end, kind, tensors });
    }
    out
}

/// The name of a format as a stage of the chain.
pub(super) fn stage(format: FormatId) -> &'static str {
    match format {
        FormatId::Gguf | FormatId::Ggml | FormatId::Imatrix => "gguf",
        FormatId::Onnx => "onnx",
        _ => "original",
    }
}

/// Items of a metadata array as JSON; bytes that are not UTF-8 are replaced.
pub fn items(items: &ArrayItems) -> serde_json::Value {
    match items {
        ArrayItems::Strings(list) => list.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect(),
        ArrayItems::Integers(list) => list.iter().copied().collect(),
        ArrayItems::Floats(list) => list.iter().copied().collect(),
    }
}
