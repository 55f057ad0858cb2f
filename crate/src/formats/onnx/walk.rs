//! The walk over a ModelProto: a stack of open messages, one field at a time.

use super::{
    NEWEST_IR,
    attribute::OpenAttribute,
    tensor::{DIMS_MOST, Stated},
};
use crate::{
    fault::Fault,
    formats::{
        codec::protobuf::{self, Field, Wire, varint},
        findings::{Findings, quoted},
        sections,
    },
    model::{
        Cut, FormatId, GraphNode, GraphValue, MetaType, MetaValue, Metadata, ModelFile, NoteCode, OpGraph, SectionKind,
        TensorEntry, Version,
    },
    source::{Limits, Stop, Window},
    tensor::Encoding,
};

/// Messages within messages, at most (protobuf's own readers use 100).
const DEEPEST: usize = 100;
/// Bytes kept of a documentation string.
const DOC_MOST: u64 = 64 << 10;

/// Which message, and what it is to its parent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph { top: bool },
    Node { top: bool },
    Attribute,
    Tensor,
    External,
    Sparse,
    Value(Side),
    Type,
    TensorType,
    Shape,
    Dim,
    Opset,
    Property,
    Function,
    Group(u32),
}

/// Where a value is named: at an end of the graph, or between its nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
    Inner,
}

struct Frame {
    kind: Kind,
    end: u64,
}

/// A node being read, and the tensors found in it.
struct OpenNode {
    node: GraphNode,
    /// Tensor number and attribute name.
    tensors: Vec<(usize, String)>,
}

/// State of the walk; `at` is the first byte not yet understood.
#[derive(Default)]
pub(super) struct Walk {
    at: u64,
    started: bool,
    stack: Vec<Frame>,
    metadata: Metadata,
    graph: OpGraph,
    has_graph: bool,
    ir_version: Option<u64>,
    function: (String, String),
    /// Operators of inner nodes that were met.
    inner: std::collections::HashSet<(String, String)>,
    nodes: Vec<OpenNode>,
    attributes: Vec<OpenAttribute>,
    tensors: Vec<TensorEntry>,
    /// For each tensor: is it an initializer of the top graph?
    initializers: Vec<bool>,
    tensor: Stated,
    value: OpenValue,
    opset: (String, i64),
    pair: (String, String),
    cut: Option<Cut>,
    findings: Findings,
}

/// An input or output being read.
#[derive(Default)]
struct OpenValue {
    name: String,
    kind: u64,
    dims: Option<Vec<String>>,
    dim: String,
}

impl Walk {
    pub(super) fn at(&self) -> u64 {
        self.at
    }
    /// Walks on; damage ends the walk with a note.
    pub(super) fn walk(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if !self.started {
            self.started = true;
            self.stack.push(Frame { kind: Kind::Model, end: file.len() });
        }
        while let Some(top) = self.stack.last() {
            let (kind, end) = (top.kind, top.end);
            let step = if self.at == end && !matches!(kind, Kind::Group(_)) {
                self.stack.pop();
                self.close(kind, file);
                Ok(())
            } else if self.at > end || self.at >= file.len() {
                let what = format!("{} expected to end at byte {end}", kind.name());
                Err(Fault::file(self.at.min(file.len()), what).into())
            } else {
                self.step(kind, end, file, limits)
            };
            match step {
                Ok(()) => {}
                Err(Stop::Bad(fault)) => self.give_up(&fault, file),
                Err(need) => return Err(need),
            }
        }
        Ok(())
    }
    fn step(&mut self, kind: Kind, end: u64, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let field = protobuf::field(file, self.at, end)?;
        // A length that leaves the file is shown as a cut; one that leaves only its message is damage.
        if field.end() > end && kind != Kind::Model {
            let what = format!(
                "field {} of {} reaches to byte {}, beyond its end at {end}",
                field.number,
                kind.name(),
                field.end()
            );
            return Err(Fault::file(self.at, what).into());
        }
        if let Some(child) = self.child(kind, &field) {
            if self.stack.len() >= DEEPEST {
                return Err(Fault::limit(format!("messages nested more than {DEEPEST} deep")).at(self.at).into());
            }
            if self.tensors.len() as u64 >= limits.tensors {
                return Err(Fault::limit(format!("more than {} tensors", limits.tensors)).at(self.at).into());
            }
            self.open(child, self.at);
            self.stack.push(Frame { kind: child, end: if field.wire == Wire::GroupStart { end } else { field.end() } });
            self.at = field.payload;
            return Ok(());
        }
        match field.wire {
            Wire::GroupEnd if kind == Kind::Group(field.number) => {
                self.stack.pop();
            }
            Wire::GroupEnd => {
                let what = format!("the end of group {} found, none is open", field.number);
                return Err(Fault::file(self.at, what).into());
            }
            _ => self.take(kind, &field, file, limits)?,
        }
        self.at = field.end();
        Ok(())
    }
    /// The message that a field opens, if it is one to look into.
    fn child(&self, parent: Kind, field: &Field) -> Option<Kind> {
        if field.wire == Wire::GroupStart {
            return Some(Kind::Group(field.number));
        }
        let Wire::Bytes(_) = field.wire else { return None };
        Some(match (parent, field.number) {
            (Kind::Model, 7) => Kind::Graph { top: true },
            (Kind::Model, 8) => Kind::Opset,
            (Kind::Model, 14) => Kind::Property,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph { top }, 1) => Kind::Node { top },
            (Kind::Graph { .. }, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            (Kind::Graph { top: true }, 11) => Kind::Value(Side::Input),
            (Kind::Graph { top: true }, 12) => Kind::Value(Side::Output),
            (Kind::Graph { top: true }, 13) => Kind::Value(Side::Inner),
            (Kind::Graph { .. }, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
            (Kind::Node { .. }, 5) => Kind::Attribute,
            (Kind::Attribute, 6 | 11) => Kind::Graph { top: false },
            (Kind::Function, 7) => Kind::Node { top: false },
            (Kind::Tensor, 13) => Kind::External,
            (Kind::Value(_), 2) => Kind::Type,
            (Kind::Type, 1) => Kind::TensorType,
            (Kind::TensorType, 2) => Kind::Shape,
            (Kind::Shape, 1) => Kind::Dim,
            _ => return None,
        })
    }
    fn open(&mut self, kind: Kind, at: u64) {
        match kind {
            Kind::Graph { top: true } => self.has_graph = true,
            Kind::Graph { top: false } => {
                self.graph.subgraphs += 1;
                if let Some(attribute) = self.attributes.last_mut() {
                    attribute.holds("graph");
                }
                if let Some(open) = self.nodes.last_mut() {
                    open.node.subgraphs += 1;
                }
            }
            Kind::Node { .. } => self.nodes.push(OpenNode { node: empty_node(), tensors: Vec::new() }),
            Kind::Attribute => self.attributes.push(OpenAttribute::new(self.tensors.len())),
            Kind::Tensor => self.tensor = Stated { at, ..Stated::default() },
            Kind::Value(_) => self.value = OpenValue::default(),
            Kind::Shape => self.value.dims = Some(Vec::new()),
            Kind::Dim => self.value.dim = "?".into(),
            Kind::Opset => self.opset = (String::new(), 0),
            Kind::Property | Kind::External => self.pair = (String::new(), String::new()),
            Kind::Function => self.function = Default::default(),
            _ => {}
        }
    }
    /// Takes a field that opens no message.
    fn take(&mut self, kind: Kind, field: &Field, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let text = |most: u64| text(field, file, most, limits);
        let string = limits.string_bytes;
        match (kind, field.number, field.wire) {
            (Kind::Model, 1, Wire::Varint(n)) => self.ir_version = Some(n),
            (Kind::Model, 5, Wire::Varint(n)) => {
                self.metadata.push("model_version", MetaValue::Signed(n as i64, MetaType::I64));
            }
            (Kind::Model, 2 | 3 | 4 | 6, Wire::Bytes(_)) => {
                let key = ["producer_name", "producer_version", "domain", "", "doc_string"][field.number as usize - 2];
                let most = if field.number == 6 { DOC_MOST } else { string };
                self.metadata.push(key, MetaValue::String(text(most)?));
            }
            (Kind::Model, 20, Wire::Bytes(_)) => {
                self.findings.info(
                    NoteCode::Training,
                    self.at,
                    "The model holds training information",
                    "it is not shown",
                );
            }
            (Kind::Graph { top: true }, 2, Wire::Bytes(_)) => self.graph.name = text(string)?,
            (Kind::Graph { top: true }, 10, Wire::Bytes(_)) => {
                self.metadata.push("graph.doc_string", MetaValue::String(text(DOC_MOST)?));
            }
            (Kind::Node { .. }, number, Wire::Bytes(_)) => self.take_node(number, || text(string))?,
            (Kind::Attribute, 1, Wire::Bytes(_)) => {
                let name = text(string)?;
                if let Some(open) = self.attributes.last_mut() {
                    open.name = name;
                }
            }
            (Kind::Attribute, ..) => {
                if let Some(open) = self.attributes.last_mut() {
                    open.take(field, file)?;
                }
            }
            (Kind::Tensor, ..) => self.take_tensor(field, file, limits)?,
            (Kind::Property | Kind::External, 1, Wire::Bytes(_)) => self.pair.0 = text(string)?,
            (Kind::Property | Kind::External, 2, Wire::Bytes(_)) => self.pair.1 = text(string)?,
            (Kind::Function, 1, Wire::Bytes(_)) => self.function.1 = text(string)?,
            (Kind::Function, 10, Wire::Bytes(_)) => self.function.0 = text(string)?,
            (Kind::Opset, 1, Wire::Bytes(_)) => self.opset.0 = text(string)?,
            (Kind::Opset, 2, Wire::Varint(n)) => self.opset.1 = n as i64,
            (Kind::Value(_), 1, Wire::Bytes(_)) => self.value.name = text(string)?,
            (Kind::TensorType, 1, Wire::Varint(n)) => self.value.kind = n,
            (Kind::Dim, 1, Wire::Varint(n)) => self.value.dim = (n as i64).to_string(),
            (Kind::Dim, 2, Wire::Bytes(_)) => self.value.dim = text(string)?,
            _ => {}
        }
        Ok(())
    }
    fn take_node(&mut self, number: u32, text: impl Fn() -> Result<String, Stop>) -> Result<(), Stop> {
        let Some(OpenNode { node, .. }) = self.nodes.last_mut() else { return Ok(()) };
        match number {
            1 => node.inputs.push(text()?),
            2 => node.outputs.push(text()?),
            3 => node.name = text()?,
            4 => node.op = text()?,
            7 => node.domain = text()?,
            _ => {}
        }
        Ok(())
    }
    fn take_tensor(&mut self, field: &Field, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let bytes = match field.wire {
            Wire::Bytes(_) => Some(field.payload..field.end()),
            _ => None,
        };
        let string = limits.string_bytes;
        match (field.number, field.wire) {
            (1, Wire::Varint(n)) => self.tensor.dims.push(n),
            (1, Wire::Bytes(n)) => {
                let most = (DIMS_MOST * 10) as u64;
                if n > most {
                    let what = format!("{n} bytes of dimensions; {DIMS_MOST} dimensions are the limit");
                    return Err(Fault::limit(what).at(self.at).into());
                }
                let mut packed = file.bytes(field.payload..field.end())?;
                let mut dims = Vec::new();
                while let Ok(Some((n, used))) = varint(packed) {
                    dims.push(n);
                    packed = &packed[used..];
                }
                if !packed.is_empty() {
                    return Err(Fault::file(self.at, "packed dimensions expected to be whole varints").into());
                }
                self.tensor.dims.append(&mut dims);
            }
            (2, Wire::Varint(n)) => self.tensor.data_type = n,
            (8, Wire::Bytes(_)) => self.tensor.name = text(field, file, string, limits)?,
            (4 | 10, _) => self.tensor.values(bytes, true),
            (5 | 6 | 7 | 11, _) => self.tensor.values(bytes, false),
            (9, Wire::Bytes(_)) => self.take_raw(field),
            (14, Wire::Varint(n)) => self.tensor.external = n == 1,
            _ => {}
        }
        if self.tensor.dims.len() > DIMS_MOST {
            return Err(Fault::limit(format!("more than {DIMS_MOST} dimensions")).at(self.at).into());
        }
        Ok(())
    }
    /// Raw values: their place, not their bytes.
    fn take_raw(&mut self, field: &Field) {
        if self.tensor.raw.replace(field.payload..field.end()).is_some() {
            let what = format!("{} holds raw_data twice; the last counts", quoted(&self.tensor.name));
            self.findings.warn(NoteCode::Values, self.at, what, "protobuf lets the last value win");
        }
    }
    /// A message has ended.
    fn close(&mut self, kind: Kind, file: &Window) {
        match kind {
            Kind::Node { top } => self.close_node(top),
            Kind::Attribute => {
                let Some(attribute) = self.attributes.pop() else { return };
                if let Some(open) = self.nodes.last_mut() {
                    let tensors = attribute.first..self.tensors.len();
                    open.tensors.extend(tensors.clone().map(|i| (i, attribute.name.clone())));
                    open.node.attributes.push(attribute.finish(&self.tensors[tensors]));
                }
            }
            Kind::Tensor => {
                let stated = std::mem::take(&mut self.tensor);
                self.tensors.push(stated.entry(file, &mut self.findings));
                let parent = self.stack.last().map(|f| f.kind);
                self.initializers.push(parent == Some(Kind::Graph { top: true }));
            }
            Kind::External => {
                let (key, value) = std::mem::take(&mut self.pair);
                match key.as_str() {
                    "location" => self.tensor.location = Some(value),
                    "offset" => self.tensor.offset = Some(value),
                    "length" => self.tensor.length = Some(value),
                    _ => {}
                }
            }
            Kind::Dim => {
                let dim = std::mem::take(&mut self.value.dim);
                self.value.dims.get_or_insert_default().push(dim);
            }
            Kind::Value(side) => {
                let OpenValue { name, kind, dims, .. } = std::mem::take(&mut self.value);
                // 0 is "undefined": the type is not stated.
                let encoding = i32::try_from(kind).ok().filter(|k| *k != 0).map(Encoding::from_onnx);
                let value = GraphValue { name, encoding, dims: dims.unwrap_or_else(|| vec!["...".into()]) };
                match side {
                    Side::Input => self.graph.inputs.push(value),
                    Side::Output => self.graph.outputs.push(value),
                    Side::Inner if value.name.is_empty() => {}
                    Side::Inner => self.graph.values.push(value),
                }
            }
            Kind::Opset => self.graph.opsets.push(std::mem::take(&mut self.opset)),
            Kind::Function => self.graph.functions.push(std::mem::take(&mut self.function)),
            Kind::Property => {
                let (key, value) = std::mem::take(&mut self.pair);
                self.metadata.push(format!("metadata_props.{key}"), MetaValue::String(value));
            }
            _ => {}
        }
    }
    /// Names the tensors of a node's attributes that have no name: a Constant's after its output.
    fn close_node(&mut self, top: bool) {
        let Some(OpenNode { node, tensors }) = self.nodes.pop() else { return };
        for (i, attribute) in tensors {
            let Some(tensor) = self.tensors.get_mut(i).filter(|t| t.name.is_empty()) else { continue };
            tensor.name = match (node.op.as_str(), node.outputs.first()) {
                ("Constant", Some(output)) => output.clone(),
                (op, _) => format!("{}.{attribute}", if node.name.is_empty() { op } else { &node.name }),
            };
        }
        if top {
            self.graph.nodes.push(node);
        } else {
            self.graph.inner_nodes += 1;
            let operator = (node.domain, node.op);
            if self.inner.insert(operator.clone()) {
                self.graph.inner_operators.push(operator);
            }
        }
    }
    /// Notes why the walk ends here; what was read stays.
    fn give_up(&mut self, fault: &Fault, file: &Window) {
        let what = format!(
            "The file could not be read to its end: {}. Shown are the {} nodes and {} tensors before",
            fault.what,
            self.graph.nodes.len(),
            self.tensors.len()
        );
        let at = fault.at.unwrap_or(self.at).min(file.len());
        self.findings.error(NoteCode::Cut, at, what, "the file is damaged or was not copied whole");
        let needs = self.stack.iter().map(|f| f.end).max().filter(|end| *end > file.len());
        self.cut = needs.map(|end| Cut { file: 0, needs: Some(end), announced: None });
        // A tensor whose values have begun is known but for its last bytes.
        if let Some(Frame { kind: Kind::Tensor, .. }) = self.stack.last()
            && self.tensor.begun(file.len())
        {
            self.stack.pop();
            self.close(Kind::Tensor, file);
        }
        self.stack.clear();
    }
    /// The finished description.
    pub(super) fn model(mut self, file: &Window) -> ModelFile {
        self.check(file);
        if !self.has_graph {
            self.cut.get_or_insert(Cut { file: 0, needs: None, announced: None });
        }
        let initializers: std::collections::HashSet<&str> = self
            .tensors
            .iter()
            .zip(&self.initializers)
            .filter_map(|(tensor, top)| top.then_some(tensor.name.as_str()))
            .collect();
        self.graph.inputs.retain(|input| !initializers.contains(input.name.as_str()));
        let functions = self.graph.functions.len() as u64;
        if functions > 0 {
            self.metadata.push("functions", MetaValue::Unsigned(functions, MetaType::U64));
        }
        // Whatever is no tensor's payload is the graph's own.
        let mut sections = sections::map(0, file.len(), &[], &self.tensors, 0);
        for section in &mut sections {
            if !matches!(section.kind, SectionKind::Tensor(_)) {
                section.kind = SectionKind::Graph;
            }
        }
        ModelFile {
            format: FormatId::Onnx,
            version: self.ir_version.map_or_else(Version::default, |v| Version {
                text: format!("IR {v}"),
                number: Some(v),
                ..Version::default()
            }),
            files: Vec::new(),
            metadata: self.metadata,
            tensors: self.tensors,
            graph: Some(self.graph),
            sections,
            notes: self.findings.finish(),
            cuts: self.cut.into_iter().collect(),
            awaited: Vec::new(),
        }
    }
    fn check(&mut self, file: &Window) {
        if !self.has_graph {
            self.findings.error(
                NoteCode::Graph,
                file.len(),
                "The file holds no graph",
                "it is cut short or no ONNX model",
            );
        }
        if self.graph.opsets.is_empty() && self.ir_version.is_none_or(|v| v >= 3) {
            self.findings.error(
                NoteCode::Opsets,
                file.len(),
                "The file names no operator set",
                "ONNX demands one; the file may be cut short",
            );
        }
        match self.ir_version {
            None => self.findings.warn(NoteCode::Version, 0, "The file states no IR version", "ONNX demands one"),
            Some(v) if v > NEWEST_IR => {
                let what = format!("IR version {v} is newer than {NEWEST_IR}, the newest Glassbox knows");
                self.findings.info(NoteCode::Version, 0, what, "fields it adds are not shown");
            }
            Some(_) => {}
        }
        let mut seen = std::collections::HashSet::new();
        for (tensor, top) in self.tensors.iter().zip(&self.initializers) {
            if *top && !seen.insert(&tensor.name) {
                let what = format!("More than one initializer is named {}", quoted(&tensor.name));
                self.findings.error(NoteCode::DuplicateNames, 0, what, "readers differ in which they take");
            }
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Model => "the model",
            Self::Graph { .. } => "a graph",
            Self::Node { .. } => "a node",
            Self::Attribute => "an attribute",
            Self::Tensor => "a tensor",
            Self::External => "an external data entry",
            Self::Sparse => "a sparse tensor",
            Self::Value(_) => "an input, output or value",
            Self::Type | Self::TensorType => "a type",
            Self::Shape | Self::Dim => "a shape",
            Self::Opset => "an operator set",
            Self::Property => "a metadata entry",
            Self::Function => "a function",
            Self::Group(_) => "a group",
        }
    }
}

fn empty_node() -> GraphNode {
    let (name, op, domain) = (String::new(), String::new(), String::new());
    GraphNode { name, op, domain, inputs: Vec::new(), outputs: Vec::new(), subgraphs: 0, attributes: Vec::new() }
}

/// A string field: at most `most` bytes of it, with the number of those left out.
fn text(field: &Field, file: &Window, most: u64, limits: &Limits) -> Result<String, Stop> {
    let n = field.end() - field.payload;
    if n > limits.string_bytes && most == limits.string_bytes {
        let what = format!("a string of {n} bytes; the limit is {}", limits.string_bytes);
        return Err(Fault::limit(what).at(field.payload).into());
    }
    let kept = n.min(most);
    if field.payload.saturating_add(n) > file.len() {
        let what =
            format!("a string of {n} bytes expected, {} left in the file", file.len().saturating_sub(field.payload));
        return Err(Fault::file(field.payload, what).into());
    }
    let mut text = String::from_utf8_lossy(file.bytes(field.payload..field.payload + kept)?).into_owned();
    if kept < n {
        text.push_str(&format!("… {} more bytes", n - kept));
    }
    Ok(text)
}
