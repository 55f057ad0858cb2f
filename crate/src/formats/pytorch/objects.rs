//! From a pickle's values to tensors with names, and the rest as a tree of plain values.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use crate::{
    formats::{
        codec::pickle::{
            Call, Id, Machine, Node,
            torch_names::{dtype, storage_type},
        },
        findings::{Findings, quoted},
    },
    model::{Loader, MetaArray, MetaType, MetaValue, Metadata, NoteCode, Place, TensorEntry},
    tensor::{Encoding, Shape},
};

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

/// The tensor that a value is, if it is one; `Err` says what of it is odd.
fn tensor(m: &Machine, id: Id, depth: u32) -> Option<Told> {
    let Node::Call(call) = m.node(id) else { return None };
    if depth > 8 {
        return None;
    }
    let args = m.tuple(call.args)?;
    rebuilt(m, m.global(call.callable)?, args, call, depth)
}

fn rebuilt(m: &Machine, (module, name): (&str, &str), args: &[Id], call: &Call, depth: u32) -> Option<Told> {
    match (module, name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3" | "_rebuild_qtensor") => {
            let [storage, offset, size, stride, ..] = args else {
                return Some(Err(format!("is rebuilt from {} values; 4 expected", args.len())));
            };
            let stated = name == "_rebuild_tensor_v3";
            let kind = if stated { args.get(6).copied() } else { None };
            Some(from_storage(m, *storage, *offset, *size, *stride, kind))
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
        | ("torch._utils", "_rebuild_device_tensor_from_numpy" | "_rebuild_device_tensor_from_cpu_tensor") => {
            tensor(m, *args.first()?, depth + 1)
        }
        ("torch.nn.parameter" | "torch.nn", "Parameter") => tensor(m, *args.first()?, depth + 1),
        // A list may hold itself.
        ("torch._tensor", "_rebuild_from_type_v2") if depth <= 8 => {
            let [of, _class, inner, ..] = args else { return None };
            rebuilt(m, m.global(*of)?, m.tuple(*inner)?, call, depth + 1)
        }
        ("torch._utils", "_rebuild_meta_tensor_no_storage") => {
            let [kind, size, ..] = args else { return None };
            let encoding = m.global(*kind).and_then(|(_, n)| dtype(n)).unwrap_or(Encoding::Unknown);
            let shape = dims(m, *size)?;
            let (offset, elements) = (0, 0);
            Some(Ok(Stated {
                name: String::new(),
                shape,
                strides: None,
                encoding,
                source: Source::Nowhere,
                offset,
                elements,
            }))
        }
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => array(m, call),
        ("joblib.numpy_pickle", "NumpyArrayWrapper") => joblib_array(m, call),
        _ => None,
    }
}

fn from_storage(m: &Machine, storage: Id, offset: Id, size: Id, stride: Id, kind: Option<Id>) -> Told {
    let storage = self::storage(m, storage).ok_or("has a storage that is not understood")?;
    let shape = dims(m, size).ok_or("has a shape that is not understood")?;
    let strides = dims(m, stride).ok_or("has strides that are not understood (negative, or no numbers)")?;
    let offset = m.int(offset).and_then(|n| u64::try_from(n).ok()).ok_or("has a negative offset")?;
    if strides.len() != shape.len() {
        return Err(format!("has {} dimensions and {} strides", shape.len(), strides.len()));
    }
    let encoding = kind.map_or(storage.encoding, |k| m.global(k).and_then(|(_, n)| dtype(n)));
    let encoding = encoding.unwrap_or(if kind.is_some() { Encoding::Unknown } else { Encoding::U8 });
    let strides = (!row_major(&shape, &strides)).then_some(strides);
    // Of an untyped storage the elements are bytes.
    let width = encoding.spec().map_or(1, |s| u64::from(s.block_bytes));
    let elements = if storage.encoding.is_none() { storage.elements / width.max(1) } else { storage.elements };
    Ok(Stated {
        name: String::new(),
        shape,
        strides,
        encoding,
        source: Source::Storage(storage.key),
        offset: offset.checked_add(storage.offset).ok_or("has an offset beyond 64 bits")?,
        elements: elements.saturating_add(storage.offset),
    })
}

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

/// A tuple of sizes, also inside `torch.Size`.
fn dims(m: &Machine, id: Id) -> Option<Vec<u64>> {
    let items = match m.node(id) {
        Node::Call(call) => m.tuple(*m.tuple(call.args)?.first()?)?,
        _ => m.tuple(id)?,
    };
    if items.len() > DIMS_MOST {
        return None;
    }
    items.iter().map(|i| m.int(*i).and_then(|n| u64::try_from(n).ok())).collect()
}

/// ("storage", class, key, location, elements[, view]).
fn storage(m: &Machine, id: Id) -> Option<Storage> {
    let mut id = id;
    if let Node::Call(call) = m.node(id) {
        // TypedStorage(wrap_storage=..., dtype=...) is not written by torch.save; a first argument is tried.
        id = *m.tuple(call.args)?.first()?;
    }
    let Node::Persistent(pid) = m.node(id) else { return None };
    let parts = m.tuple(*pid)?;
    let [kind, class, key, _location, elements, ..] = parts else { return None };
    if m.text(*kind)? != "storage" {
        return None;
    }
    let (_, class) = m.global(*class)?;
    let key = m.text(*key).map(str::to_owned).or_else(|| m.int(*key).map(|n| n.to_string()))?;
    let elements = u64::try_from(m.int(*elements)?).ok()?;
    let view = parts.get(5).and_then(|v| m.tuple(*v)).and_then(|v| m.int(*v.get(1)?));
    let offset = view.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let encoding = if class.contains("UntypedStorage") { None } else { Some(storage_type(class)?) };
    Some(Storage { key, encoding, elements, offset })
}

/// All storages that a pickle names: key, elements, bytes of one.
pub(super) fn storages(m: &Machine) -> Vec<(String, u64, u64)> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for (id, node) in m.nodes.iter().enumerate() {
        if let Node::Persistent(_) = node
            && let Some(storage) = storage(m, id as Id)
            && seen.insert(storage.key.clone())
        {
            let width = storage.encoding.map_or(1, |e| e.spec().map_or(1, |s| u64::from(s.block_bytes)));
            found.push((storage.key, storage.elements, width));
        }
    }
    found
}

/// A numpy array: `_reconstruct(...)` with the state (version, shape, dtype, Fortran order, bytes).
fn array(m: &Machine, call: &Call) -> Option<Told> {
    let [_version, shape, kind, fortran, data] = m.tuple(call.state?)? else { return None };
    let shape = dims(m, *shape)?;
    let Some((encoding, big)) = array_type(m, *kind) else {
        return None; // An array of objects: its items are walked as a list.
    };
    let count = Shape(shape.clone()).elements()?;
    let strides = (m.int(*fortran) == Some(1) && shape.len() > 1).then(|| column_major(&shape));
    let source = match m.node(*data) {
        Node::Bytes(Some(at), _) if !big => Source::Bytes(at.clone()),
        _ => Source::Escaped,
    };
    Some(Ok(Stated { name: String::new(), shape, strides, encoding, source, offset: 0, elements: count }))
}

/// An array of joblib: what its wrapper says, and where the machine found its values.
fn joblib_array(m: &Machine, call: &Call) -> Option<Told> {
    let Node::Dict(pairs) = m.node(call.state?) else { return None };
    let field = |name: &str| pairs.iter().find(|(k, _)| m.text(*k) == Some(name)).map(|(_, v)| *v);
    let shape = dims(m, field("shape")?)?;
    let (encoding, big) = array_type(m, field("dtype")?)?;
    let Node::Bytes(Some(at), _) = m.node(*call.items.first()?) else { return None };
    let count = Shape(shape.clone()).elements()?;
    let strides = (m.text(field("order")?) == Some("F") && shape.len() > 1).then(|| column_major(&shape));
    let source = if big { Source::Escaped } else { Source::Bytes(at.clone()) };
    Some(Ok(Stated { name: String::new(), shape, strides, encoding, source, offset: 0, elements: count }))
}

/// The strides of Fortran's order.
fn column_major(shape: &[u64]) -> Vec<u64> {
    let mut next = 1u64;
    let stride = |d: &u64| {
        let following = next.saturating_mul(*d);
        std::mem::replace(&mut next, following)
    };
    shape.iter().map(stride).collect()
}

/// The encoding of a `numpy.dtype(...)`, and whether it is big endian.
fn array_type(m: &Machine, id: Id) -> Option<(Encoding, bool)> {
    let Node::Call(call) = m.node(id) else { return None };
    let name = m.text(*m.tuple(call.args)?.first()?)?;
    let order = call.state.and_then(|s| m.text(*m.tuple(s)?.get(1)?)).unwrap_or("|");
    Some((crate::formats::numpy::encoding(name)?, order == ">"))
}

/// Where each tensor's bytes are, by storage; `bytes_of` gives a storage's range in file 0. Of a file that was `cut`,
/// a storage that is not found lies somewhere beyond its end.
pub(super) fn entries(
    stated: Vec<Stated>,
    file: &str,
    file_len: u64,
    at: u64,
    cut: bool,
    findings: &mut Findings,
    bytes_of: impl Fn(&str) -> Option<Range<u64>>,
) -> Vec<TensorEntry> {
    let mut entries = Vec::with_capacity(stated.len());
    for tensor in stated {
        let Stated { name, shape, strides, encoding, source, offset, elements } = tensor;
        let shape = Shape(shape);
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        let width = encoding.spec().map_or(0, |s| u64::from(s.block_bytes));
        let told = quoted(&name);
        // One past the last element that the view reaches.
        let reach = match (&strides, shape.elements()) {
            (_, Some(0)) => Some(0),
            (None, Some(n)) => offset.checked_add(n),
            (Some(strides), Some(_)) => shape
                .0
                .iter()
                .zip(strides)
                .try_fold(offset, |last, (d, s)| last.checked_add((d - 1).checked_mul(*s)?))
                .and_then(|last| last.checked_add(1)),
            (_, None) => None,
        };
        let fits = reach.is_some_and(|reach| reach <= elements);
        if !fits && source != Source::Nowhere {
            let what =
                format!("{told} of shape {shape} from element {offset} leaves its storage of {elements} elements");
            findings.error(NoteCode::Views, at, what, Loader::PyTorch.refuses("PyTorch refuses the file"));
        }
        let range = match &source {
            Source::Storage(key) => bytes_of(key),
            Source::Bytes(range) => Some(range.clone()),
            _ => None,
        };
        let view = range.clone().and_then(|range| {
            let first = range.start.checked_add(offset.checked_mul(width)?)?;
            let last = range.start.checked_add(reach?.max(offset).checked_mul(width)?)?;
            Some((first..last, range.end))
        });
        let place = match (source, view) {
            (Source::Nowhere, _) => Place::Absent,
            (Source::Escaped, _) => Place::Inline,
            (Source::Storage(_), None) if cut => Place::Missing { file: file.to_owned(), at: 0..0 },
            (Source::Storage(key), None) => {
                let what =
                    format!("{told} names storage {}, which the file does not hold as plain bytes", quoted(&key));
                findings.error(NoteCode::Storages, at, what, "its values cannot be shown");
                Place::Absent
            }
            (_, Some((view, end))) if fits && width > 0 && view.end <= end && view.end <= file_len => match strides {
                None => Place::Here { file: 0, at: view },
                Some(strides) => Place::Strided { file: 0, at: view, strides },
            },
            (_, Some((view, end))) => {
                if fits && end < view.end && !cut {
                    let what = format!("{told} ends at byte {}, its storage at byte {end}", view.end);
                    findings.error(NoteCode::Storages, at, what, "the file was not copied whole, or a size is wrong");
                }
                Place::Missing { file: file.to_owned(), at: view }
            }
            _ => Place::Absent,
        };
        entries.push(TensorEntry { name, shape, encoding, place, bytes });
    }
    if cut {
        lost(&entries, file_len, findings);
    }
    shared(&entries, at, findings);
    entries
}

/// How many tensors a file that was not copied whole does not hold, and which is the first.
fn lost(entries: &[TensorEntry], len: u64, findings: &mut Findings) {
    let mut lost =
        entries.iter().filter_map(|t| if let Place::Missing { at, .. } = &t.place { Some((t, at)) } else { None });
    let Some((first, at)) = lost.next() else { return };
    let told =
        if at.is_empty() { "its place is not known".to_owned() } else { format!("bytes {}..{}", at.start, at.end) };
    let what = format!(
        "The file ends at byte {len}: {} of {} tensors are missing or incomplete, the first is {} ({told})",
        lost.count() + 1,
        entries.len(),
        quoted(&first.name)
    );
    findings.error(NoteCode::EndOfFile, len, what, "the file was not copied whole");
}

/// Tensors of the same bytes are counted once in a file, though each is listed.
fn shared(entries: &[TensorEntry], at: u64, findings: &mut Findings) {
    let mut places: Vec<(u64, u64, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(i, t)| match &t.place {
            Place::Here { at, .. } | Place::Strided { at, .. } if at.start < at.end => Some((at.start, at.end, i)),
            _ => None,
        })
        .collect();
    crate::order::sort(&mut places);
    for pair in places.windows(2) {
        if let [(start, end, a), (other, _, b)] = pair
            && other < end
        {
            let (a, b) = (quoted(&entries[*a].name), quoted(&entries[*b].name));
            let how = if start == other { "the same bytes" } else { "overlapping bytes" };
            findings.info(NoteCode::SharedStorages, at, format!("{a} and {b} are views of {how} of one storage"), "");
        }
    }
    let views = entries.iter().filter(|t| matches!(t.place, Place::Strided { .. })).count();
    if views > 0 {
        let what =
            format!("{views} tensors are views whose values do not lie one behind the other (transposed or sliced)");
        findings.info(NoteCode::Views, at, what, "they are put in order when shown");
    }
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
