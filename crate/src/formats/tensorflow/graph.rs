//! Graphs: a stack of containers is walked, each node read at once; weights of constants are placed, never read.

use std::{collections::HashSet, ops::Range};

use super::{encoding, shape, text};
use crate::{
    fault::Fault,
    formats::{
        codec::protobuf::{Field, Wire, field},
        findings::{Findings, quoted},
        sections,
    },
    model::{
        Flavour, FormatId, GraphNode, GraphValue, Loader, MetaType, MetaValue, Metadata, ModelFile, NoteCode, OpGraph,
        Place, SectionKind, TensorEntry, Version,
    },
    source::{Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Longest name that is kept.
const NAME_MOST: u64 = 4096;
/// Nodes of one file, at most.
const NODES_MOST: usize = 2_000_000;
/// Inputs of one node, at most.
const INPUTS_MOST: usize = 65_536;

/// Which message a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SavedModel,
    MetaGraph,
    MetaInfo,
    Graph,
    Library,
    Function,
}

/// A container that is being walked.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    at: u64,
    end: u64,
}

pub(super) struct Graph {
    kind: Kind,
    frames: Vec<Frame>,
    graph: OpGraph,
    tensors: Vec<TensorEntry>,
    metadata: Metadata,
    consumed: HashSet<String>,
    reaching: Vec<(String, u64)>,
    findings: Findings,
    fields: u64,
    /// The graph states versions, which writers put last.
    versions: bool,
    done: bool,
}

impl Graph {
    pub(super) fn new(kind: Kind, len: u64) -> Self {
        Self {
            kind,
            frames: vec![Frame { kind, at: 0, end: len }],
            graph: OpGraph::default(),
            tensors: Vec::new(),
            metadata: Metadata::default(),
            consumed: HashSet::new(),
            reaching: Vec::new(),
            findings: Findings::default(),
            fields: 0,
            versions: false,
            done: false,
        }
    }
    pub(super) fn position(&self) -> u64 {
        self.frames.last().map_or(u64::MAX, |f| f.at)
    }
    pub(super) fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        while !self.done {
            match self.step(file, limits) {
                Ok(()) => {}
                Err(Stop::Need(range)) => return Err(Stop::Need(range)),
                Err(Stop::Bad(fault)) => {
                    if self.fields == 0 {
                        return Err(Stop::Bad(fault.in_file(file.name())));
                    }
                    let at = fault.at.unwrap_or(file.len()).min(file.len());
                    let what = format!("The file could not be read to its end: {}", fault.what);
                    self.findings.error(NoteCode::Cut, at, what, "the file was not copied whole, or is damaged");
                    self.done = true;
                }
            }
        }
        Ok(())
    }
    /// One field of the innermost container.
    fn step(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let inner = self.frames.iter().any(|f| f.kind == Kind::Library);
        let Some(frame) = self.frames.last_mut() else {
            self.done = true;
            return Ok(());
        };
        if frame.at >= frame.end {
            self.frames.pop();
            return Ok(());
        }
        let found = field(file, frame.at, frame.end)?;
        let next = found.end();
        if next > frame.end {
            let what = format!("a field of {} bytes, {} are left", next - frame.at, frame.end - frame.at);
            return Err(Fault::file(frame.at, what).into());
        }
        let of = frame.kind;
        let message = |kind| Some(Frame { kind, at: found.payload, end: next });
        let into = match (of, found.number, found.wire) {
            (Kind::SavedModel, 2, Wire::Bytes(_)) => message(Kind::MetaGraph),
            (Kind::MetaGraph, 1, Wire::Bytes(_)) => message(Kind::MetaInfo),
            (Kind::MetaGraph, 2, Wire::Bytes(_)) => message(Kind::Graph),
            (Kind::Graph, 2, Wire::Bytes(_)) => message(Kind::Library),
            (Kind::Library, 1, Wire::Bytes(_)) => message(Kind::Function),
            _ => None,
        };
        if into.is_none() {
            match (of, found.number, found.wire) {
                (Kind::Graph, 1, Wire::Bytes(_)) | (Kind::Function, 3, Wire::Bytes(_)) => {
                    let node = Node::read(file, found.payload, next)?;
                    let most = self.graph.nodes.len() >= NODES_MOST || self.tensors.len() as u64 >= limits.tensors;
                    if most {
                        return Err(Fault::limit(format!(
                            "more than {NODES_MOST} nodes or {} tensors; the limit",
                            limits.tensors
                        ))
                        .at(found.payload)
                        .into());
                    }
                    self.node(node, inner, file);
                }
                (Kind::Graph, 4, Wire::Bytes(_)) => self.versions = true,
                (Kind::MetaInfo, 4, Wire::Bytes(_)) => self.fact("saved_model.tag", file, &found)?,
                (Kind::MetaInfo, 5, Wire::Bytes(_)) => self.fact("tensorflow_version", file, &found)?,
                (Kind::MetaGraph, 5, Wire::Bytes(_)) => {
                    let key = field(file, found.payload, next)?;
                    if let (1, Wire::Bytes(_)) = (key.number, key.wire) {
                        self.fact("saved_model.signature", file, &key)?;
                    }
                }
                _ => {}
            }
        }
        self.fields += 1;
        if let Some(frame) = self.frames.last_mut() {
            frame.at = next;
        }
        if of == Kind::Graph && found.number == 2 {
            self.graph.subgraphs += 1;
        }
        self.frames.extend(into);
        Ok(())
    }
    fn fact(&mut self, key: &str, file: &Window, found: &Field) -> Result<(), Stop> {
        let value = text(file, found, NAME_MOST)?;
        if self.metadata.len() < 1000 {
            self.metadata.push(key, MetaValue::String(value));
        }
        Ok(())
    }
    fn node(&mut self, node: Node, inner: bool, file: &Window) {
        for input in &node.inputs {
            self.consumed.insert(input.trim_start_matches('^').split(':').next().unwrap_or_default().to_owned());
        }
        let reaching = [
            "ReadFile",
            "WriteFile",
            "SaveV2",
            "RestoreV2",
            "PyFunc",
            "PyFuncStateless",
            "EagerPyFunc",
            "ImmutableConst",
        ];
        if reaching.contains(&node.op.as_str()) && !matches!(node.op.as_str(), "SaveV2" | "RestoreV2") {
            self.reaching.push((format!("{} ({})", quoted(&node.name), node.op), node.at));
        }
        if node.op == "Const" {
            let entry = node.value.entry(node.name, node.at, file, &mut self.findings);
            self.tensors.push(entry);
            return;
        }
        if inner {
            self.graph.inner_nodes += 1;
            return;
        }
        if node.op.starts_with("Placeholder") {
            let dims =
                node.dims.iter().flatten().map(|d| if *d < 0 { "?".to_owned() } else { d.to_string() }).collect();
            self.graph.inputs.push(GraphValue { name: node.name.clone(), encoding: node.kind.map(encoding), dims });
        }
        let outputs = vec![node.name.clone()];
        self.graph.nodes.push(GraphNode {
            name: node.name,
            op: node.op,
            domain: String::new(),
            inputs: node.inputs,
            outputs,
            subgraphs: 0,
            attributes: Vec::new(),
        });
    }
    pub(super) fn model(mut self, file: &Window) -> ModelFile {
        let mut findings = std::mem::take(&mut self.findings);
        for (what, at) in &self.reaching {
            let what = format!("the node {what} reaches outside the graph: it reads or writes files, or calls Python");
            findings.warn(NoteCode::ReachingOperators, *at, what, "TensorFlow would do so when the graph runs");
        }
        let ends = self.graph.nodes.iter().filter(|n| !self.consumed.contains(&n.name) && n.op != "NoOp");
        self.graph.outputs =
            ends.take(64).map(|n| GraphValue { name: n.name.clone(), encoding: None, dims: Vec::new() }).collect();
        let variables = self
            .graph
            .nodes
            .iter()
            .filter(|n| matches!(n.op.as_str(), "VarHandleOp" | "VariableV2" | "Variable"))
            .count();
        if variables > 0 {
            let what = format!("{variables} variables have their values in a checkpoint next to the graph");
            findings.info(
                NoteCode::Variables,
                0,
                what,
                "open variables/variables.index (or the .index file) to see them",
            );
            self.metadata.push("tensorflow.variables", MetaValue::Unsigned(variables as u64, MetaType::U64));
        }
        if !self.versions && self.kind == Kind::Graph {
            let what = "The graph states no versions, which writers put at its end";
            findings.warn(NoteCode::Versions, file.len(), what, "the file is old, or was cut at the end of a node");
        }
        let (version, flavour) = match self.kind {
            Kind::SavedModel => ("SavedModel", Flavour::SavedModel),
            Kind::MetaGraph => ("MetaGraph (graph of a checkpoint)", Flavour::MetaGraph),
            _ => ("graph (GraphDef)", Flavour::GraphDef),
        };
        let sections = around(file.len(), &self.tensors);
        ModelFile {
            format: FormatId::TensorFlow,
            version: Version::from(version).of(flavour),
            files: Vec::new(),
            metadata: self.metadata,
            tensors: self.tensors,
            graph: Some(self.graph),
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

/// The byte map of a file that is a graph but for its tensors.
fn around(len: u64, tensors: &[TensorEntry]) -> Vec<crate::model::Section> {
    let mut map = sections::map(0, len, &[], tensors, 0);
    for section in &mut map {
        if !matches!(section.kind, SectionKind::Tensor(_)) {
            section.kind = SectionKind::Graph;
        }
    }
    map
}

/// `NodeDef { 1 name, 2 op, 3 input, 5 attr { 1 key, 2 value } }`.
#[derive(Default)]
struct Node {
    at: u64,
    name: String,
    op: String,
    inputs: Vec<String>,
    value: Value,
    /// `dtype` of a placeholder, and its stated shape.
    kind: Option<u64>,
    dims: Option<Vec<i64>>,
}

/// `TensorProto { 1 dtype, 2 tensor_shape, 4 tensor_content, 5.. typed values }`.
#[derive(Default)]
pub(super) struct Value {
    kind: u64,
    dims: Vec<i64>,
    content: Option<Range<u64>>,
    /// A packed typed field whose bytes are the values.
    packed: Option<Range<u64>>,
    typed: bool,
}

impl Node {
    fn read(file: &Window, at: u64, end: u64) -> Result<Self, Stop> {
        let mut node = Self { at, ..Self::default() };
        let mut next = at;
        while next < end {
            let found = field(file, next, end)?;
            next = bounded(&found, end)?;
            match (found.number, found.wire) {
                (1, Wire::Bytes(_)) => node.name = text(file, &found, NAME_MOST)?,
                (2, Wire::Bytes(_)) => node.op = text(file, &found, NAME_MOST)?,
                (3, Wire::Bytes(_)) if node.inputs.len() < INPUTS_MOST => {
                    node.inputs.push(text(file, &found, NAME_MOST)?)
                }
                (5, Wire::Bytes(_)) => node.attribute(file, found.payload, next)?,
                _ => {}
            }
        }
        Ok(node)
    }
    fn attribute(&mut self, file: &Window, at: u64, end: u64) -> Result<(), Stop> {
        let (mut key, mut next) = (String::new(), at);
        while next < end {
            let found = field(file, next, end)?;
            next = bounded(&found, end)?;
            match (found.number, found.wire) {
                (1, Wire::Bytes(_)) => key = text(file, &found, 64)?,
                (2, Wire::Bytes(_)) if matches!(key.as_str(), "value" | "dtype" | "shape") => {
                    let mut inner = found.payload;
                    while inner < next {
                        let value = field(file, inner, next)?;
                        inner = bounded(&value, next)?;
                        match (value.number, value.wire) {
                            (6, Wire::Varint(kind)) if key == "dtype" => self.kind = Some(kind),
                            (7, Wire::Bytes(_)) if key == "shape" => self.dims = shape(file, value.payload, inner)?,
                            (8, Wire::Bytes(_)) if key == "value" => {
                                self.value = Value::read(file, value.payload, inner)?
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where a field ends; a fault where that is beyond its message.
fn bounded(found: &Field, end: u64) -> Result<u64, Stop> {
    let next = found.end();
    if next > end {
        return Err(
            Fault::file(found.payload, format!("a field that ends at byte {next}, its message at byte {end}")).into()
        );
    }
    Ok(next)
}

impl Value {
    pub(super) fn read(file: &Window, at: u64, end: u64) -> Result<Self, Stop> {
        let (mut value, mut next) = (Self::default(), at);
        while next < end {
            let found = field(file, next, end)?;
            next = bounded(&found, end)?;
            match (found.number, found.wire) {
                (1, Wire::Varint(kind)) => value.kind = kind,
                (2, Wire::Bytes(_)) => value.dims = shape(file, found.payload, next)?.unwrap_or_default(),
                (4, Wire::Bytes(n)) if n > 0 => value.content = Some(found.payload..next),
                (5 | 6 | 9 | 12, Wire::Bytes(_)) if !value.typed => {
                    value.packed = Some(found.payload..next);
                    value.typed = true;
                }
                (5..=18, _) => {
                    value.packed = None;
                    value.typed = true;
                }
                _ => {}
            }
        }
        Ok(value)
    }
    /// The same values with the type and shape that are stated elsewhere.
    pub(super) fn stated(self, kind: u64, dims: Vec<i64>) -> Self {
        Self { kind, dims, ..self }
    }
    pub(super) fn entry(self, name: String, at: u64, file: &Window, findings: &mut Findings) -> TensorEntry {
        let encoding = encoding(self.kind);
        let told = quoted(&name);
        if self.dims.iter().any(|d| *d < 0) {
            findings.error(
                NoteCode::Sizes,
                at,
                format!("{told} has a negative dimension"),
                Loader::TensorFlow.refuses("TensorFlow refuses the graph"),
            );
        }
        let shape = Shape(self.dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect());
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        if shape.elements().is_none() {
            findings.error(
                NoteCode::Sizes,
                at,
                format!("{told} of shape {shape} has more elements than 64 bits count"),
                "",
            );
        }
        let whole = matches!(encoding, Encoding::F32 | Encoding::F64 | Encoding::C64 | Encoding::C128);
        let place = match (self.content, self.packed) {
            (Some(content), _) => {
                if let Some(bytes) = bytes.filter(|n| *n != content.end - content.start) {
                    let found = content.end - content.start;
                    let what = format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, it holds {found}");
                    findings.error(
                        NoteCode::Sizes,
                        content.start.min(file.len()),
                        what,
                        "the values cannot be told apart",
                    );
                }
                if content.end <= file.len() {
                    Place::Here { file: 0, at: content }
                } else {
                    Place::Missing { file: file.name().to_owned(), at: content }
                }
            }
            (None, Some(packed)) if whole && bytes == Some(packed.end - packed.start) && packed.end <= file.len() => {
                Place::Here { file: 0, at: packed }
            }
            _ if self.typed => Place::Inline,
            _ if shape.elements() == Some(0) => Place::Absent,
            // No value at all means zeros.
            _ => Place::Inline,
        };
        TensorEntry { name, shape, encoding, place, bytes }
    }
}
