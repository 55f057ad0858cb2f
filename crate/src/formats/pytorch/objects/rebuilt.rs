//! Calls of PyTorch, numpy and joblib that make tensors.

use std::collections::HashSet;

use super::{DIMS_MOST, Source, Stated, Storage, Told, row_major};
use crate::formats::codec::pickle::torch_names::{dtype, storage_type};
use crate::formats::codec::pickle::{Call, Id, Machine, Node};
use crate::tensor::{Encoding, Shape};

/// The tensor that a value is, if it is one; `Err` says what of it is odd.
pub(super) fn tensor(m: &Machine, id: Id, depth: u32) -> Option<Told> {
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
pub(in crate::formats::pytorch) fn storages(m: &Machine) -> Vec<(String, u64, u64)> {
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
