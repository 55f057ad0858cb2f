//! Operators that look values up: encoders, categories, vectors of dictionaries.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Labels, features};
use crate::fault::Result;
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Map, Tensor, Type, Value, room};

pub(in crate::onnx) fn one_hot_encoder(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let zeros = call.flag("zeros", true)?;
    let places: Vec<Option<usize>> = if let Data::Str(v) = x.data() {
        let cats = call.texts("cats_strings")?.unwrap_or_else(|| Rc::from([]));
        v.iter().map(|s| cats.iter().position(|c| c == s)).collect()
    } else {
        let cats = call.ints("cats_int64s")?.unwrap_or_else(|| Rc::from([]));
        x.to_i64s()?.iter().map(|n| cats.iter().position(|c| c == n)).collect()
    };
    let n = call.texts("cats_strings")?.map_or(0, |c| c.len()).max(call.ints("cats_int64s")?.map_or(0, |c| c.len()));
    if !zeros && places.iter().any(Option::is_none) {
        return Err(bad("a category that is not listed"));
    }
    let dims = [x.dims(), &[n]].concat();
    let total = room(&dims, 4)?;
    let mut out = vec![0.0; total];
    for (i, place) in places.iter().enumerate() {
        if let Some(p) = place {
            out[i * n + p] = 1.0;
        }
    }
    one(Tensor::of(dims, Data::F32(out))?)
}

/// A list of an attribute as a tensor, in any of its forms.
fn listed(call: &Call<'_, '_>, what: &str) -> Result<Option<Tensor>> {
    if let Some(t) = call.attr_tensor(&format!("{what}_tensor"))? {
        return Ok(Some(t));
    }
    if let Some(v) = call.texts(&format!("{what}_strings"))? {
        return Tensor::of([v.len()], Data::Str(v.to_vec())).map(Some);
    }
    if let Some(v) = call.ints(&format!("{what}_int64s"))? {
        return Tensor::of([v.len()], Data::I64(v.to_vec())).map(Some);
    }
    match call.floats(&format!("{what}_floats"))? {
        Some(v) => Tensor::of([v.len()], Data::F32(v.to_vec())).map(Some),
        None => Ok(None),
    }
}

/// What makes two elements one key; every NaN is the same.
fn keys(t: &Tensor) -> Result<Vec<String>> {
    Ok(match t.data() {
        Data::Str(v) => v.iter().map(|s| s.to_string()).collect(),
        Data::F32(_) | Data::F64(_) => {
            t.to_f64s()?.iter().map(|x| if x.is_nan() { "NaN".into() } else { (*x + 0.0).to_string() }).collect()
        }
        _ => t.to_i64s()?.iter().map(i64::to_string).collect(),
    })
}

pub(in crate::onnx) fn label_encoder(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    // The first version had one list of strings and its numbers.
    if let Some(classes) = call.texts("classes_strings")? {
        if let Data::Str(v) = x.data() {
            let other = call.int("default_int64", -1)?;
            let of = |s: &Rc<str>| classes.iter().position(|c| c == s).map_or(other, |i| i as i64);
            return one(x.with(Data::I64(v.iter().map(of).collect()))?);
        }
        let other: Rc<str> = call.text("default_string", "_Unused")?.into();
        let of = |i: &i64| {
            usize::try_from(*i).ok().and_then(|i| classes.get(i)).cloned().unwrap_or_else(|| Rc::clone(&other))
        };
        return one(x.with(Data::Str(x.to_i64s()?.iter().map(of).collect()))?);
    }
    let (Some(from), Some(to)) = (listed(call, "keys")?, listed(call, "values")?) else {
        return Err(bad("keys and values expected"));
    };
    if from.len() != to.len() {
        return Err(bad(format!("{} keys and {} values", from.len(), to.len())));
    }
    let table: HashMap<String, usize> = keys(&from)?.into_iter().enumerate().map(|(i, k)| (k, i)).collect();
    let other = match (call.attr_tensor("default_tensor")?, to.kind()) {
        (Some(t), _) if t.len() == 1 => t,
        (_, Type::Str) => Tensor::of([1], Data::Str(vec![call.text("default_string", "_Unused")?.into()]))?,
        (_, Type::I64) => Tensor::of([1], Data::I64(vec![call.int("default_int64", -1)?]))?,
        (_, Type::F32) => Tensor::of([1], Data::F32(vec![call.float("default_float", -0.0)?]))?,
        (_, kind) => Tensor::of([1], Data::zeros(kind, 1))?,
    };
    let all =
        crate::onnx::ops::shape::concatenated(&[to.reshaped([to.len()])?, other.reshaped([1])?.cast(to.kind())?], 0)?;
    // Before version 4 NaN was equal to nothing.
    let known = |k: &&String| call.version >= 4 || x.kind() == Type::Str || *k != "NaN";
    let places: Vec<usize> = keys(&x)?
        .iter()
        .map(|k| Some(k).filter(known).and_then(|k| table.get(k)).copied().unwrap_or(to.len()))
        .collect();
    one(all.picked(&places, x.dims().to_vec())?)
}

pub(in crate::onnx) fn category_mapper(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (texts, ints) = (
        call.texts("cats_strings")?.unwrap_or_else(|| Rc::from([])),
        call.ints("cats_int64s")?.unwrap_or_else(|| Rc::from([])),
    );
    if texts.len() != ints.len() {
        return Err(bad(format!("{} strings and {} numbers", texts.len(), ints.len())));
    }
    if let Data::Str(v) = x.data() {
        let other = call.int("default_int64", -1)?;
        let of = |s: &Rc<str>| texts.iter().position(|c| c == s).map_or(other, |i| ints[i]);
        return one(x.with(Data::I64(v.iter().map(of).collect()))?);
    }
    let other: Rc<str> = call.text("default_string", "_Unused")?.into();
    let of = |n: &i64| ints.iter().position(|c| c == n).map_or_else(|| Rc::clone(&other), |i| Rc::clone(&texts[i]));
    one(x.with(Data::Str(x.to_i64s()?.iter().map(of).collect()))?)
}

pub(in crate::onnx) fn array_feature_extractor(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices) = (call.tensor(0)?, call.tensor(1)?);
    let Some(last) = x.rank().checked_sub(1) else { return Err(bad("at least one dimension expected")) };
    let y = crate::onnx::ops::gather::gathered(&x, &indices.reshaped([indices.len()])?, last)?;
    let n = indices.len();
    one(if x.rank() == 1 { y.reshaped([1, n])? } else { y })
}

pub(in crate::onnx) fn feature_vectorizer(call: &mut Call<'_, '_>) -> Outputs {
    let widths = call.ints("inputdimensions")?.map(|v| crate::onnx::ops::sizes(&v)).transpose()?;
    let mut parts = Vec::new();
    for i in 0..call.inputs.len() {
        let (v, rows, n) = features(&call.tensor(i)?)?;
        let wide = widths.as_ref().and_then(|w| w.get(i)).copied().unwrap_or(n);
        room(&[rows, wide], 4)?;
        let mut out = Vec::new();
        for row in v.chunks(n.max(1)) {
            out.extend((0..wide).map(|c| row.get(c).copied().unwrap_or(0.0)));
        }
        parts.push(Tensor::of([rows, wide], Data::F32(out))?);
    }
    one(crate::onnx::ops::shape::concatenated(&parts, 1)?)
}

pub(in crate::onnx) fn dict_vectorizer(call: &mut Call<'_, '_>) -> Outputs {
    let Some(Value::Map(map)) = call.value(0) else { return Err(bad("a map expected")) };
    let map = Rc::clone(map);
    let vocabulary = match (call.texts("string_vocabulary")?, call.ints("int64_vocabulary")?) {
        (Some(v), _) if !v.is_empty() => v.iter().map(|s| s.to_string()).collect::<Vec<_>>(),
        (_, Some(v)) => v.iter().map(i64::to_string).collect(),
        _ => return Err(bad("a vocabulary expected")),
    };
    let found = keys(&map.keys)?;
    let mut out: Option<Tensor> = None;
    let mut values = Vec::new();
    for word in &vocabulary {
        let value = found.iter().position(|k| k == word).and_then(|i| map.values.get(i));
        if let Some(Value::Tensor(t)) = value {
            out = Some(t.clone());
            values.push(Some(t.clone()));
        } else {
            values.push(None);
        }
    }
    let kind = out.map_or(Type::F32, |t| t.kind());
    let parts: Result<Vec<Tensor>> = values
        .into_iter()
        .map(|v| match v {
            Some(t) => t.reshaped([1]),
            None => Tensor::of([1], Data::zeros(kind, 1)),
        })
        .collect();
    let row = crate::onnx::ops::shape::concatenated(&parts?, 0)?;
    let n = row.len();
    one(row.reshaped([1, n])?)
}

pub(in crate::onnx) fn cast_map(call: &mut Call<'_, '_>) -> Outputs {
    let Some(Value::Map(map)) = call.value(0) else { return Err(bad("a map expected")) };
    let map = Rc::clone(map);
    let to = match call.text("cast_to", "TO_FLOAT")?.as_str() {
        "TO_FLOAT" => Type::F32,
        "TO_STRING" => Type::Str,
        _ => Type::I64,
    };
    let sparse = call.text("map_form", "DENSE")? == "SPARSE";
    let mut pairs: Vec<(i64, Tensor)> = Vec::new();
    for (key, value) in map.keys.to_i64s()?.into_iter().zip(&map.values) {
        let Value::Tensor(t) = value else { return Err(bad("a map of tensors expected")) };
        pairs.push((key, t.cast(to)?.reshaped([1])?));
    }
    pairs.sort_by_key(|(k, _)| *k);
    let n = if sparse { crate::onnx::ops::size(call.int("max_map", 1)?)? } else { pairs.len() };
    room(&[n], 16)?;
    let parts: Result<Vec<Tensor>> = (0..n)
        .map(|i| {
            let hit = if sparse { pairs.iter().find(|(k, _)| *k == i as i64) } else { pairs.get(i) };
            hit.map_or_else(|| Tensor::of([1], Data::zeros(to, 1)), |(_, t)| Ok(t.clone()))
        })
        .collect();
    one(crate::onnx::ops::shape::concatenated(&parts?, 0)?.reshaped([1, n])?)
}

pub(in crate::onnx) fn zip_map(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (v, rows, n) = features(&x)?;
    let labels = Labels::of(call, "classlabels_int64s", "classlabels_strings")?;
    if labels.len() != n {
        return Err(bad(format!("{} labels for {n} values", labels.len())));
    }
    let keys = labels.tensor(&(0..n).collect::<Vec<_>>())?;
    let mut list = Vec::with_capacity(rows);
    for row in v.chunks(n.max(1)).take(rows) {
        let values: Result<Vec<Value>> = row.iter().map(|x| Ok(Tensor::of([], Data::F32(vec![*x]))?.into())).collect();
        list.push(Value::Map(Rc::new(Map { keys: keys.clone(), values: values? })));
    }
    Ok(vec![Value::Sequence(Rc::new(list))])
}
