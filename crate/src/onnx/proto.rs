//! The messages of `onnx.proto` that running needs.

use std::rc::Rc;

use super::{
    value::{Brain, Data, Half, Map, Tensor, Type, Value, room},
    wire::{Field, Wire},
};
use crate::fault::{Blame, Fault, Result};

/// Graphs within graphs, at most.
const NESTED_MOST: usize = 32;

/// A `NodeProto`.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeProto {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) domain: String,
    pub(super) overload: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<(String, AttrProto)>,
    /// Where it lies in the file.
    pub(super) at: u64,
}

/// An `AttributeProto`'s value.
#[derive(Debug, Clone)]
pub(super) enum AttrProto {
    Float(f32),
    Int(i64),
    Text(Rc<[u8]>),
    Tensor(Tensor),
    Graph(Rc<GraphProto>),
    Floats(Rc<[f32]>),
    Ints(Rc<[i64]>),
    Texts(Rc<[Rc<str>]>),
    Sparse(Rc<Sparse>),
    /// The value of the calling node's attribute of this name.
    Reference(String),
    /// A type, or a list of tensors, graphs or sparse tensors: no operator reads one.
    Unused,
}

/// Coordinates and values of the elements that are not zero.
#[derive(Debug, Clone)]
pub(super) struct Sparse {
    pub(super) values: Tensor,
    pub(super) indices: Tensor,
    pub(super) dims: Vec<usize>,
}

/// A `GraphProto`.
#[derive(Debug, Clone, Default)]
pub(super) struct GraphProto {
    pub(super) name: String,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) inputs: Vec<Info>,
    pub(super) outputs: Vec<Info>,
    pub(super) initializers: Vec<(String, Tensor)>,
}

/// A dimension as declared.
#[derive(Debug, Clone, PartialEq)]
pub enum Dim {
    /// A size.
    Fixed(i64),
    /// A name; empty where nothing is said.
    Named(String),
}

/// The declared type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Element type and shape, as far as they are declared.
    Tensor(Option<Type>, Option<Vec<Dim>>),
    /// A sequence of these.
    Sequence(Box<Kind>),
    /// One of these, or none.
    Optional(Box<Kind>),
    /// A map.
    Map,
    /// Not declared, or of a kind that is not read.
    Unknown,
}

impl Kind {
    /// "float[batch,3]".
    pub fn told(&self) -> String {
        match self {
            Self::Tensor(kind, dims) => {
                let kind = kind.map_or("a tensor of an unknown type", Type::name);
                let Some(dims) = dims else { return kind.to_owned() };
                let dims: Vec<String> = dims
                    .iter()
                    .map(|d| match d {
                        Dim::Fixed(n) => n.to_string(),
                        Dim::Named(name) if name.is_empty() => "?".into(),
                        Dim::Named(name) => name.clone(),
                    })
                    .collect();
                format!("{kind}[{}]", dims.join(","))
            }
            Self::Sequence(of) => format!("a sequence of {}", of.told()),
            Self::Optional(of) => format!("an optional {}", of.told()),
            Self::Map => "a map".into(),
            Self::Unknown => "a value of an undeclared type".into(),
        }
    }
}

/// An input or output as declared.
#[derive(Debug, Clone)]
pub struct Info {
    /// Name.
    pub name: String,
    /// Declared type.
    pub kind: Kind,
}

/// A `FunctionProto`.
#[derive(Debug, Clone, Default)]
pub(super) struct FunctionProto {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) overload: String,
    pub(super) graph: GraphProto,
    pub(super) defaults: Vec<(String, AttrProto)>,
    pub(super) opsets: Vec<(String, i64)>,
}

/// How a tensor's bytes in another file are named.
#[derive(Debug, Clone, Default)]
pub(super) struct External {
    pub(super) location: String,
    pub(super) offset: u64,
    pub(super) length: Option<u64>,
}

/// A `TensorProto` as far as it was read.
#[derive(Default)]
pub(super) struct TensorParts {
    pub(super) name: String,
    dims: Vec<i64>,
    data_type: i64,
    floats: Vec<f32>,
    ints: Vec<i64>,
    longs: Vec<i64>,
    doubles: Vec<f64>,
    words: Vec<i64>,
    strings: Vec<Rc<str>>,
    pub(super) raw: Option<Vec<u8>>,
    entries: Vec<(String, String)>,
    elsewhere: bool,
    pub(super) at: u64,
}

impl TensorParts {
    /// Of a message that starts at a place.
    pub(super) fn at(at: u64) -> Self {
        Self { at, ..Self::default() }
    }
    /// Takes one field in.
    pub(super) fn take(&mut self, number: u32, field: Field<'_>) -> Result<()> {
        match number {
            1 => field.ints(&mut self.dims)?,
            2 => self.data_type = field.int(),
            4 => field.floats(&mut self.floats)?,
            5 => field.ints(&mut self.ints)?,
            6 => self.strings.push(Rc::from(field.text())),
            7 => field.ints(&mut self.longs)?,
            8 => self.name = field.text(),
            9 => self.raw = Some(field.bytes().to_vec()),
            10 => field.doubles(&mut self.doubles)?,
            11 => field.ints(&mut self.words)?,
            13 => {
                let (mut key, mut value) = (String::new(), String::new());
                let mut wire = field.message();
                while let Some((number, field)) = wire.next()? {
                    match number {
                        1 => key = field.text(),
                        2 => value = field.text(),
                        _ => {}
                    }
                }
                self.entries.push((key, value));
            }
            14 => self.elsewhere = field.int() == 1,
            _ => {}
        }
        Ok(())
    }
    fn bad(&self, what: impl std::fmt::Display) -> Fault {
        Fault::file(self.at, format!("the tensor \"{}\": {what}", self.name))
    }
    /// Where its bytes lie when they lie in another file.
    pub(super) fn external(&self) -> Result<Option<External>> {
        if !self.elsewhere {
            return Ok(None);
        }
        let mut found = External::default();
        for (key, value) in &self.entries {
            let number =
                || value.parse::<u64>().map_err(|_| self.bad(format!("{key} is {value:?}, a number expected")));
            match key.as_str() {
                "location" => found.location.clone_from(value),
                "offset" => found.offset = number()?,
                "length" => found.length = Some(number()?),
                _ => {}
            }
        }
        Ok(Some(found))
    }
    /// Element type and shape.
    fn stated(&self) -> Result<(Type, Vec<usize>)> {
        let kind = Type::from_code(self.data_type)
            .ok_or_else(|| self.bad(format!("data type {} is none that ONNX defines", self.data_type)))?;
        let dims: Result<Vec<usize>> = self
            .dims
            .iter()
            .map(|d| usize::try_from(*d).map_err(|_| self.bad(format!("a dimension of {d}, at least 0 expected"))))
            .collect();
        Ok((kind, dims?))
    }
    /// Bytes that the values take in `raw_data`.
    pub(super) fn raw_bytes(&self) -> Result<u64> {
        let (kind, dims) = self.stated()?;
        let n = room(&dims, kind.size())?;
        let bits = kind.bits().ok_or_else(|| self.bad("strings cannot lie in raw bytes"))?;
        Ok((n as u64).saturating_mul(bits as u64).div_ceil(8))
    }
    /// The tensor.
    pub(super) fn finish(self) -> Result<(String, Tensor)> {
        let (kind, dims) = self.stated()?;
        let n = room(&dims, kind.size())?;
        if self.elsewhere && self.raw.is_none() {
            return Err(self.bad("its values lie in another file, which is not read here"));
        }
        let data = match &self.raw {
            Some(raw) => {
                let bits = kind.bits().ok_or_else(|| self.bad("strings cannot lie in raw bytes"))?;
                let need = n.saturating_mul(bits).div_ceil(8);
                if raw.len() != need {
                    return Err(self.bad(format!("{} bytes found, its shape and type need {need}", raw.len())));
                }
                from_raw(kind, raw, n)
            }
            None => self.typed(kind, n)?,
        };
        if data.len() != n {
            return Err(self.bad(format!("{} values found, its shape {dims:?} needs {n}", data.len())));
        }
        let name = self.name.clone();
        Ok((name, Tensor::of(dims, data)?))
    }
    fn typed(&self, kind: Type, n: usize) -> Result<Data> {
        let ints = &self.ints;
        Ok(match kind {
            Type::F32 => Data::F32(self.floats.clone()),
            Type::C64 => Data::C64(self.floats.as_chunks::<2>().0.to_vec()),
            Type::F64 => Data::F64(self.doubles.clone()),
            Type::C128 => Data::C128(self.doubles.as_chunks::<2>().0.to_vec()),
            Type::I64 => Data::I64(self.longs.clone()),
            Type::U32 => Data::U32(self.words.iter().map(|x| *x as u32).collect()),
            Type::U64 => Data::U64(self.words.iter().map(|x| *x as u64).collect()),
            Type::Str => Data::Str(self.strings.clone()),
            Type::I32 => Data::I32(ints.iter().map(|x| *x as i32).collect()),
            Type::I16 => Data::I16(ints.iter().map(|x| *x as i16).collect()),
            Type::I8 => Data::I8(ints.iter().map(|x| *x as i8).collect()),
            Type::U16 => Data::U16(ints.iter().map(|x| *x as u16).collect()),
            Type::U8 => Data::U8(ints.iter().map(|x| *x as u8).collect()),
            Type::Bool => Data::Bool(ints.iter().map(|x| *x != 0).collect()),
            Type::F16 => Data::F16(ints.iter().map(|x| Half(*x as u16)).collect()),
            Type::BF16 => Data::BF16(ints.iter().map(|x| Brain(*x as u16)).collect()),
            small => {
                let bytes: Vec<u8> = ints.iter().map(|x| *x as u8).collect();
                let packed = small.bits().is_some_and(|bits| bits < 8);
                if packed && bytes.len() == n.div_ceil(8 / small.bits().unwrap_or(8)) {
                    from_raw(small, &bytes, n)
                } else {
                    Data::Small(small, bytes)
                }
            }
        })
    }
}

/// Little-endian elements; small types are unpacked to a byte each, low bits first.
pub(super) fn from_raw(kind: Type, raw: &[u8], n: usize) -> Data {
    macro_rules! le {
        ($t:ty) => {
            raw.as_chunks::<{ size_of::<$t>() }>().0.iter().map(|b| <$t>::from_le_bytes(*b)).collect()
        };
    }
    match kind {
        Type::F32 => Data::F32(le!(f32)),
        Type::F64 => Data::F64(le!(f64)),
        Type::I8 => Data::I8(raw.iter().map(|b| *b as i8).collect()),
        Type::I16 => Data::I16(le!(i16)),
        Type::I32 => Data::I32(le!(i32)),
        Type::I64 => Data::I64(le!(i64)),
        Type::U8 => Data::U8(raw.to_vec()),
        Type::U16 => Data::U16(le!(u16)),
        Type::U32 => Data::U32(le!(u32)),
        Type::U64 => Data::U64(le!(u64)),
        Type::Bool => Data::Bool(raw.iter().map(|b| *b != 0).collect()),
        Type::F16 => Data::F16(raw.as_chunks::<2>().0.iter().map(|b| Half(u16::from_le_bytes(*b))).collect()),
        Type::BF16 => Data::BF16(raw.as_chunks::<2>().0.iter().map(|b| Brain(u16::from_le_bytes(*b))).collect()),
        Type::C64 => {
            let parts: Vec<f32> = le!(f32);
            Data::C64(parts.as_chunks::<2>().0.to_vec())
        }
        Type::C128 => {
            let parts: Vec<f64> = le!(f64);
            Data::C128(parts.as_chunks::<2>().0.to_vec())
        }
        Type::Str => Data::Str(Vec::new()),
        small => {
            let bits = small.bits().unwrap_or(8).min(8);
            let (per, mask) = (8 / bits, ((1u16 << bits) - 1) as u8);
            Data::Small(small, (0..n).map(|i| raw[i / per] >> (bits * (i % per)) & mask).collect())
        }
    }
}

/// A `TensorProto` in memory.
pub(super) fn tensor(mut wire: Wire<'_>) -> Result<(String, Tensor)> {
    let mut parts = TensorParts { at: wire.place(), ..TensorParts::default() };
    while let Some((number, field)) = wire.next()? {
        parts.take(number, field)?;
    }
    parts.finish()
}

fn sparse(mut wire: Wire<'_>) -> Result<(String, Sparse)> {
    let at = wire.place();
    let (mut values, mut indices, mut dims) = (None, None, Vec::new());
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => values = Some(tensor(field.message())?),
            2 => indices = Some(tensor(field.message())?.1),
            3 => field.ints(&mut dims)?,
            _ => {}
        }
    }
    let (Some((name, values)), Some(indices)) = (values, indices) else {
        return Err(Fault::file(at, "a sparse tensor without values or indices"));
    };
    let dims: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let dims = dims.ok_or_else(|| Fault::file(at, "a sparse tensor with a negative dimension"))?;
    Ok((name, Sparse { values, indices, dims }))
}

impl Sparse {
    /// All elements.
    pub(super) fn dense(&self) -> Result<Tensor> {
        let n = room(&self.dims, self.values.kind().size())?;
        let indices = self.indices.i64s()?;
        let rank = self.dims.len();
        let mut places = Vec::with_capacity(self.values.len());
        let flat = self.indices.rank() == 1;
        for i in 0..self.values.len() {
            let place = if flat {
                indices.get(i).and_then(|x| usize::try_from(*x).ok())
            } else {
                (0..rank).try_fold(0usize, |at, d| {
                    let x = usize::try_from(*indices.get(i * rank + d)?).ok()?;
                    (x < self.dims[d]).then_some(at * self.dims[d] + x)
                })
            };
            let place = place.filter(|p| *p < n);
            places.push(place.ok_or_else(|| Fault::new(Blame::File, "an index of a sparse tensor beyond its shape"))?);
        }
        let mut data = Data::zeros(self.values.kind(), n);
        scatter(&mut data, self.values.data(), &places);
        Tensor::of(self.dims.clone(), data)
    }
}

fn scatter(into: &mut Data, from: &Data, places: &[usize]) {
    macro_rules! put {
        ($($variant:ident),*) => {
            match (into, from) {
                $((Data::$variant(into), Data::$variant(from)) => {
                    for (place, value) in places.iter().zip(from) {
                        into[*place] = value.clone();
                    }
                })*
                (Data::Small(_, into), Data::Small(_, from)) => {
                    for (place, value) in places.iter().zip(from) {
                        into[*place] = *value;
                    }
                }
                _ => {}
            }
        };
    }
    put!(F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Str, C64, C128);
}

fn attribute(mut wire: Wire<'_>, depth: usize) -> Result<(String, AttrProto)> {
    let at = wire.place();
    let (mut name, mut kind, mut reference) = (String::new(), 0, String::new());
    let (mut f, mut i, mut s) = (0.0, 0, None);
    let (mut floats, mut ints, mut texts) = (Vec::new(), Vec::new(), Vec::<Rc<str>>::new());
    let (mut t, mut g, mut sp) = (None, None, None);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => name = field.text(),
            2 => f = field.float(),
            3 => i = field.int(),
            4 => s = Some(Rc::from(field.bytes())),
            5 => t = Some(tensor(field.message())?.1),
            6 => g = Some(Rc::new(graph(field.message(), depth + 1)?)),
            7 => field.floats(&mut floats)?,
            8 => field.ints(&mut ints)?,
            9 => texts.push(Rc::from(field.text())),
            20 => kind = field.int(),
            21 => reference = field.text(),
            22 => sp = Some(Rc::new(sparse(field.message())?.1)),
            _ => {}
        }
    }
    if !reference.is_empty() {
        return Ok((name, AttrProto::Reference(reference)));
    }
    let missing = |what: &str| Fault::file(at, format!("the attribute \"{name}\" should hold {what}, it holds none"));
    let value = match kind {
        1 => AttrProto::Float(f),
        2 => AttrProto::Int(i),
        3 => AttrProto::Text(s.unwrap_or_default()),
        4 => AttrProto::Tensor(t.ok_or_else(|| missing("a tensor"))?),
        5 => AttrProto::Graph(g.ok_or_else(|| missing("a graph"))?),
        6 => AttrProto::Floats(floats.into()),
        7 => AttrProto::Ints(ints.into()),
        8 => AttrProto::Texts(texts.into()),
        11 => AttrProto::Sparse(sp.ok_or_else(|| missing("a sparse tensor"))?),
        // Files of IR version 1 state no kind.
        0 if t.is_some() => AttrProto::Tensor(t.ok_or_else(|| missing("a tensor"))?),
        0 if g.is_some() => AttrProto::Graph(g.ok_or_else(|| missing("a graph"))?),
        0 if !ints.is_empty() => AttrProto::Ints(ints.into()),
        0 if !floats.is_empty() => AttrProto::Floats(floats.into()),
        0 if !texts.is_empty() => AttrProto::Texts(texts.into()),
        0 if s.is_some() => AttrProto::Text(s.unwrap_or_default()),
        0 if f != 0.0 => AttrProto::Float(f),
        0 => AttrProto::Int(i),
        _ => AttrProto::Unused,
    };
    Ok((name, value))
}

/// A `NodeProto`.
pub(super) fn node(mut wire: Wire<'_>, depth: usize) -> Result<NodeProto> {
    let mut found = NodeProto { at: wire.place(), ..NodeProto::default() };
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => found.inputs.push(field.text()),
            2 => found.outputs.push(field.text()),
            3 => found.name = field.text(),
            4 => found.op = field.text(),
            5 => found.attributes.push(attribute(field.message(), depth)?),
            7 => found.domain = field.text(),
            8 => found.overload = field.text(),
            _ => {}
        }
    }
    if found.domain == "ai.onnx" {
        found.domain.clear();
    }
    Ok(found)
}

fn info_kind(mut wire: Wire<'_>, depth: usize) -> Result<Kind> {
    let mut kind = Kind::Unknown;
    if depth > NESTED_MOST {
        return Err(Fault::limit(format!("types nested more than {NESTED_MOST} deep")).at(wire.place()));
    }
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => kind = tensor_kind(field.message())?,
            4 | 9 => {
                let mut inner = field.message();
                let mut of = Kind::Unknown;
                while let Some((n, field)) = inner.next()? {
                    if n == 1 {
                        of = info_kind(field.message(), depth + 1)?;
                    }
                }
                kind = if number == 4 { Kind::Sequence(Box::new(of)) } else { Kind::Optional(Box::new(of)) };
            }
            5 => kind = Kind::Map,
            _ => {}
        }
    }
    Ok(kind)
}

fn tensor_kind(mut wire: Wire<'_>) -> Result<Kind> {
    let (mut element, mut dims) = (None, None);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => element = Type::from_code(field.int()),
            2 => {
                let mut list = Vec::new();
                let mut shape = field.message();
                while let Some((n, field)) = shape.next()? {
                    if n != 1 {
                        continue;
                    }
                    let mut dim = Dim::Named(String::new());
                    let mut inner = field.message();
                    while let Some((n, field)) = inner.next()? {
                        match n {
                            1 => dim = Dim::Fixed(field.int()),
                            2 => dim = Dim::Named(field.text()),
                            _ => {}
                        }
                    }
                    list.push(dim);
                }
                dims = Some(list);
            }
            _ => {}
        }
    }
    Ok(Kind::Tensor(element, dims))
}

/// A `ValueInfoProto`.
pub(super) fn info(mut wire: Wire<'_>) -> Result<Info> {
    let mut found = Info { name: String::new(), kind: Kind::Unknown };
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => found.name = field.text(),
            2 => found.kind = info_kind(field.message(), 0)?,
            _ => {}
        }
    }
    Ok(found)
}

impl GraphProto {
    /// Takes one field in.
    pub(super) fn take(&mut self, number: u32, field: Field<'_>, depth: usize) -> Result<()> {
        match number {
            1 => self.nodes.push(node(field.message(), depth)?),
            2 => self.name = field.text(),
            5 => self.initializers.push(tensor(field.message())?),
            11 => self.inputs.push(info(field.message())?),
            12 => self.outputs.push(info(field.message())?),
            15 => {
                let (name, sparse) = sparse(field.message())?;
                self.initializers.push((name, sparse.dense()?));
            }
            _ => {}
        }
        Ok(())
    }
}

fn graph(mut wire: Wire<'_>, depth: usize) -> Result<GraphProto> {
    if depth > NESTED_MOST {
        return Err(Fault::limit(format!("graphs nested more than {NESTED_MOST} deep")).at(wire.place()));
    }
    let mut found = GraphProto::default();
    while let Some((number, field)) = wire.next()? {
        found.take(number, field, depth)?;
    }
    Ok(found)
}

/// An `OperatorSetIdProto`.
pub(super) fn opset(mut wire: Wire<'_>) -> Result<(String, i64)> {
    let (mut domain, mut version) = (String::new(), 1);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => domain = field.text(),
            2 => version = field.int(),
            _ => {}
        }
    }
    if domain == "ai.onnx" {
        domain.clear();
    }
    Ok((domain, version))
}

/// A `FunctionProto`.
pub(super) fn function(mut wire: Wire<'_>) -> Result<FunctionProto> {
    let mut found = FunctionProto::default();
    let undeclared = |name: String| Info { name, kind: Kind::Unknown };
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => found.name = field.text(),
            4 => found.graph.inputs.push(undeclared(field.text())),
            5 => found.graph.outputs.push(undeclared(field.text())),
            7 => found.graph.nodes.push(node(field.message(), 0)?),
            9 => found.opsets.push(opset(field.message())?),
            10 => found.domain = field.text(),
            11 => found.defaults.push(attribute(field.message(), 0)?),
            13 => found.overload = field.text(),
            _ => {}
        }
    }
    if found.domain == "ai.onnx" {
        found.domain.clear();
    }
    found.graph.name.clone_from(&found.name);
    Ok(found)
}

/// A value of a test's `.pb` file, whose message depends on the declared type.
pub(super) fn value(wire: Wire<'_>, kind: &Kind, depth: usize) -> Result<Value> {
    if depth > NESTED_MOST {
        return Err(Fault::limit(format!("values nested more than {NESTED_MOST} deep")).at(wire.place()));
    }
    match kind {
        Kind::Sequence(_) => sequence(wire, depth),
        Kind::Optional(of) => optional(wire, of, depth),
        Kind::Map => map(wire, depth),
        Kind::Tensor(..) | Kind::Unknown => Ok(Value::Tensor(tensor(wire)?.1)),
    }
}

fn sequence(mut wire: Wire<'_>, depth: usize) -> Result<Value> {
    let mut list = Vec::new();
    let unknown = Kind::Unknown;
    while let Some((number, field)) = wire.next()? {
        match number {
            3 => list.push(Value::Tensor(tensor(field.message())?.1)),
            5 => list.push(value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?),
            6 => list.push(map(field.message(), depth + 1)?),
            7 => list.push(optional(field.message(), &unknown, depth + 1)?),
            _ => {}
        }
    }
    Ok(Value::Sequence(Rc::new(list)))
}

fn optional(mut wire: Wire<'_>, of: &Kind, depth: usize) -> Result<Value> {
    let mut found = None;
    while let Some((number, field)) = wire.next()? {
        found = match number {
            3 => Some(Value::Tensor(tensor(field.message())?.1)),
            5 => Some(value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?),
            6 => Some(map(field.message(), depth + 1)?),
            7 => Some(value(field.message(), of, depth + 1)?),
            _ => continue,
        };
    }
    Ok(Value::Optional(found.map(Rc::new)))
}

fn map(mut wire: Wire<'_>, depth: usize) -> Result<Value> {
    let (mut ints, mut texts, mut values) = (Vec::new(), Vec::<Rc<str>>::new(), Vec::new());
    while let Some((number, field)) = wire.next()? {
        match number {
            3 => field.ints(&mut ints)?,
            4 => texts.push(Rc::from(field.text())),
            5 => {
                if let Value::Sequence(list) =
                    value(field.message(), &Kind::Sequence(Box::new(Kind::Unknown)), depth + 1)?
                {
                    values.extend(list.iter().cloned());
                }
            }
            _ => {}
        }
    }
    let keys = if texts.is_empty() { Tensor::list_i64(ints)? } else { Tensor::of([texts.len()], Data::Str(texts))? };
    Ok(Value::Map(Rc::new(Map { keys, values })))
}
