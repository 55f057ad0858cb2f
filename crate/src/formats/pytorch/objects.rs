//! From a pickle's values to tensors with names, and the rest as a tree of plain values.

mod listed;
mod rebuilt;

pub(super) use listed::entries;
pub(super) use rebuilt::storages;
use rebuilt::tensor;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use crate::formats::codec::pickle::{Call, Id, Machine, Node};
use crate::formats::findings::{Findings, quoted};
use crate::model::{MetaArray, MetaType, MetaValue, Metadata, NoteCode};
use crate::tensor::Encoding;

/// Values within values, at most.
const DEEPEST: u32 = 200;
/// Plain values shown, at most.
const VALUES_MOST: usize = 50_000;
/// Items of one list that are shown; a longer list is told by its length.
const LIST_MOST: usize = 4096;
/// Dimensions above are taken for damage.
const DIMS_MOST: usize = 64;

/// Where a tensor's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// In the storage of this key.
    Storage(String),
    /// In the pickle itself.
    Bytes(Range<u64>),
    /// In the pickle, but not as they are.
    Escaped,
    /// Nowhere (a tensor on PyTorch's "meta" device).
    Nowhere,
}

/// A tensor as the pickle describes it.
#[derive(Debug, Clone)]
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) shape: Vec<u64>,
    /// In elements; `None` for row-major order.
    pub(super) strides: Option<Vec<u64>>,
    pub(super) encoding: Encoding,
    pub(super) source: Source,
    /// First element within the storage.
    pub(super) offset: u64,
    /// Elements of the storage.
    pub(super) elements: u64,
}

/// A storage as a persistent id describes it.
#[derive(Debug, Clone)]
struct Storage {
    key: String,
    /// `None` for a storage of bytes.
    encoding: Option<Encoding>,
    elements: u64,
    /// A view's first element within its root.
    offset: u64,
}

/// What a pickle's result holds.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) tensors: Vec<Stated>,
    pub(super) metadata: Metadata,
    /// Things that look like tensors and could not be understood.
    pub(super) odd: Vec<String>,
    /// Plain values beyond the limit.
    pub(super) more: u64,
    /// Tensors that persistent ids stand for, by key (the tar archive).
    pub(super) persistent: HashMap<String, Stated>,
    seen: HashSet<Id>,
}

impl Tree {
    /// Everything under the machine's result, names starting with `prefix`.
    pub(super) fn add(&mut self, machine: &Machine, prefix: &str, tensors_most: u64) {
        self.seen.clear();
        self.walk(machine, machine.result, prefix, 0, tensors_most);
    }
    fn walk(&mut self, m: &Machine, id: Id, path: &str, depth: u32, most: u64) {
        if let Some(tensor) = tensor(m, id, 0).or_else(|| self.stands_for(m, id).map(Ok)) {
            if (self.tensors.len() as u64) < most {
                let name = if path.is_empty() { "tensor".to_owned() } else { path.to_owned() };
                match tensor {
                    Ok(stated) => self.tensors.push(Stated { name, ..stated }),
                    Err(what) => self.odd.push(format!("{} {what}", quoted(&name))),
                }
            }
            return;
        }
        let container =
            matches!(m.node(id), Node::Dict(_) | Node::List(_) | Node::Tuple(_) | Node::Set(_) | Node::Call(_));
        let empty = matches!(m.node(id), Node::Tuple(items) if items.is_empty());
        if container && !empty && !self.seen.insert(id) {
            self.value(path, MetaValue::String("the same object as above".into()));
            return;
        }
        if depth > DEEPEST {
            self.more += 1;
            return;
        }
        match m.node(id) {
            Node::Dict(pairs) => self.pairs(m, pairs, path, depth, most),
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => self.items(m, items, path, depth, most),
            Node::Call(call) => self.object(m, call, path, depth, most),
            Node::None | Node::Unknown => {}
            Node::Bool(b) => self.value(path, MetaValue::Bool(*b)),
            Node::Int(n) => self.value(path, MetaValue::Signed(*n, MetaType::I64)),
            Node::Float(x) => self.value(path, MetaValue::Float(*x, MetaType::F64)),
            _ => {
                let text = m.text(id).map_or_else(|| m.describe(id), str::to_owned);
                self.value(path, MetaValue::String(text));
            }
        }
    }
    /// The tensor that a persistent id is the key of.
    fn stands_for(&self, m: &Machine, id: Id) -> Option<Stated> {
        let Node::Persistent(key) = m.node(id) else { return None };
        let key = m.int(*key).map(|n| n.to_string()).or_else(|| m.text(*key).map(str::to_owned))?;
        self.persistent.get(&key).cloned()
    }
    fn value(&mut self, path: &str, value: MetaValue) {
        if self.metadata.len() < VALUES_MOST {
            self.metadata.push(if path.is_empty() { "value" } else { path }, value);
        } else {
            self.more += 1;
        }
    }
    fn pairs(&mut self, m: &Machine, pairs: &[(Id, Id)], path: &str, depth: u32, most: u64) {
        let has = |name: &str| pairs.iter().any(|(k, _)| m.text(*k) == Some(name));
        // A torch.nn.Module keeps its own in three dicts that are no part of a parameter's name.
        let module = pairs.len() < 200 && has("_parameters") && has("_modules");
        for (key, value) in pairs {
            let name = match (m.text(*key), m.int(*key)) {
                (Some(text), _) => text.to_owned(),
                (_, Some(n)) => n.to_string(),
                _ => m.describe(*key),
            };
            if module && matches!(name.as_str(), "_parameters" | "_buffers" | "_modules") {
                self.walk(m, *value, path, depth + 1, most);
            } else if !(module && name.starts_with('_')) {
                self.walk(m, *value, &join(path, &name), depth + 1, most);
            }
        }
    }
    fn items(&mut self, m: &Machine, items: &[Id], path: &str, depth: u32, most: u64) {
        if let Some(list) = plain_list(m, items) {
            return self.value(path, list);
        }
        for (i, item) in items.iter().enumerate() {
            self.walk(m, *item, &join(path, &i.to_string()), depth + 1, most);
        }
    }
    fn object(&mut self, m: &Machine, call: &Call, path: &str, depth: u32, most: u64) {
        let class = m.global(call.callable);
        let quiet = matches!(
            class,
            Some(("collections", "OrderedDict" | "Counter") | ("torch", "Size") | ("builtins" | "__builtin__", _))
        ) || class.is_some_and(|(module, _)| module.starts_with("__torch__"));
        let args = m.tuple(call.args).unwrap_or(&[]);
        if !quiet {
            let simple = call.state.is_none() && call.items.is_empty() && call.pairs.is_empty();
            if simple {
                let held =
                    args.iter().any(|a| tensor(m, *a, 0).is_some() || m.tuple(*a).is_some_and(|t| !t.is_empty()));
                let callee = m.describe(call.callable);
                let whole = if held { callee } else { m.describe_call(call) };
                self.value(&join(path, if held { "class" } else { "" }), MetaValue::String(whole));
                if !held {
                    return;
                }
            } else {
                self.value(&join(path, "class"), MetaValue::String(m.describe(call.callable)));
            }
        }
        // OrderedDict([[key, value], ...]) of Python 2, and what other classes were called with.
        if let (Some(("collections", "OrderedDict")), [list]) = (class, args) {
            let pairs: Vec<(Id, Id)> = m
                .tuple(*list)
                .unwrap_or(&[])
                .iter()
                .filter_map(|pair| if let Some([k, v]) = m.tuple(*pair) { Some((*k, *v)) } else { None })
                .collect();
            self.pairs(m, &pairs, path, depth, most);
        } else {
            for (i, arg) in args.iter().enumerate() {
                let name = if args.len() == 1 { path.to_owned() } else { join(path, &i.to_string()) };
                if !matches!(m.node(*arg), Node::Global(..)) {
                    self.walk(m, *arg, &name, depth + 1, most);
                }
            }
        }
        if !call.items.is_empty() {
            self.items(m, &call.items, path, depth, most);
        }
        self.pairs(m, &call.pairs, path, depth, most);
        if let Some(state) = call.state {
            self.walk(m, state, path, depth + 1, most);
        }
    }
}

impl Machine {
    /// A call in few words.
    fn describe_call(&self, call: &Call) -> String {
        format!("{}{}", self.describe(call.callable), self.describe(call.args))
    }
}

fn join(path: &str, name: &str) -> String {
    match (path.is_empty(), name.is_empty()) {
        (_, true) => path.to_owned(),
        (true, _) => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// A list of plain values of one kind; a longer one is told by its length.
fn plain_list(m: &Machine, items: &[Id]) -> Option<MetaValue> {
    let kind = |id: &Id| match m.node(*id) {
        Node::Bool(_) => Some(MetaType::Bool),
        Node::Int(_) => Some(MetaType::I64),
        Node::Float(_) => Some(MetaType::F64),
        Node::Text(Some(_), _) | Node::Bytes(_, Some(_)) => Some(MetaType::String),
        _ => None,
    };
    let item = items.first().map_or(Some(MetaType::String), kind)?;
    if !items.iter().all(|id| kind(id) == Some(item)) {
        return None;
    }
    if items.len() > LIST_MOST {
        return Some(MetaValue::String(format!("a list of {} items ({} ...)", items.len(), m.describe(items[0]))));
    }
    let head = items
        .iter()
        .map(|id| match m.node(*id) {
            Node::Bool(b) => MetaValue::Bool(*b),
            Node::Int(n) => MetaValue::Signed(*n, MetaType::I64),
            Node::Float(x) => MetaValue::Float(*x, MetaType::F64),
            _ => MetaValue::String(m.text(*id).unwrap_or_default().to_owned()),
        })
        .collect();
    Some(MetaValue::Array(MetaArray { item, len: items.len() as u64, head, place: None }))
}

type Told = Result<Stated, String>;

/// Dimensions of size 1 may have any stride.
pub(super) fn row_major(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1u64;
    if shape.contains(&0) {
        return true;
    }
    for (size, stride) in shape.iter().zip(strides).rev() {
        if *size != 1 && *stride != expected {
            return false;
        }
        expected = expected.saturating_mul(*size);
    }
    true
}

impl Tree {
    /// Notes on what was not shown.
    pub(super) fn tell(&self, at: u64, findings: &mut Findings) {
        for what in &self.odd {
            findings.error(NoteCode::Tensors, at, what.clone(), "it is not listed");
        }
        if self.more > 0 {
            let what = format!("{} more plain values are not shown; the limit is {VALUES_MOST}", self.more);
            findings.info(NoteCode::Values, at, what, "");
        }
    }
}

impl Tree {
    /// The tensors lie in bytes that were unpacked: nothing of the file itself holds them as they are.
    pub(super) fn forget_places(&mut self) {
        for tensor in &mut self.tensors {
            if matches!(tensor.source, Source::Bytes(_)) {
                tensor.source = Source::Escaped;
            }
        }
    }
}

impl Stated {
    /// A tensor of the preview format's list.
    pub(super) fn of_json(
        name: String,
        shape: Vec<u64>,
        strides: Vec<u64>,
        encoding: Encoding,
        key: String,
        offset: Option<String>,
    ) -> Self {
        let strides = (strides.len() == shape.len() && !row_major(&shape, &strides)).then_some(strides);
        let offset = offset.and_then(|o| o.parse().ok()).unwrap_or(0);
        Self { name, shape, strides, encoding, source: Source::Storage(key), offset, elements: u64::MAX }
    }
}
