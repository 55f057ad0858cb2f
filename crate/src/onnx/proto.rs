//! The messages of `onnx.proto` that running needs.

mod tensors;
mod values;

pub use tensors::Kind;
pub(super) use tensors::{External, Sparse, TensorParts, from_raw, tensor};
use tensors::{NESTED_MOST, sparse};
pub(super) use values::value;

use std::rc::Rc;

use super::value::{Tensor, Type};
use super::wire::{Field, Wire};
use crate::fault::{Fault, Result};

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
