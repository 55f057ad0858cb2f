//! The operators of ai.onnx.ml but for trees.

use std::{collections::HashMap, rc::Rc};

use super::product;
use crate::{
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad, one},
        value::{Data, Map, Tensor, Type, Value, room},
    },
};

/// A batch of features: rows and columns; a single list is one row.
pub(super) fn features(x: &Tensor) -> Result<(Vec<f32>, usize, usize)> {
    let (rows, columns) = match x.dims() {
        [] => (1, 1),
        [n] => (1, *n),
        [n, rest @ ..] => (*n, product(rest)),
    };
    Ok((x.to_f32s()?, rows, columns))
}

/// What is done to scores.
pub(super) fn transform(name: &str, row: &mut [f32]) -> Result<()> {
    match name {
        "NONE" | "" => {}
        "LOGISTIC" => row.iter_mut().for_each(|x| *x = logistic(*x)),
        "PROBIT" => row.iter_mut().for_each(|x| *x = probit(*x)),
        "SOFTMAX" => {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = (*x - most).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= sum);
        }
        "SOFTMAX_ZERO" => {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let small = (-most).exp();
            row.iter_mut().for_each(|x| *x = if x.abs() > 1e-7 { (*x - most).exp() } else { *x * small });
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= sum);
        }
        other => {
            return Err(bad(format!(
                "the post_transform NONE, LOGISTIC, PROBIT, SOFTMAX or SOFTMAX_ZERO expected, {other:?} found"
            )));
        }
    }
    Ok(())
}
fn logistic(x: f32) -> f32 {
    let v = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - v } else { v }
}
/// The inverse of the normal distribution, by Winitzki's inverse of the error function as ONNX Runtime takes it.
fn probit(x: f32) -> f32 {
    let y = 2.0 * x - 1.0;
    let log = ((1.0 - y) * (1.0 + y)).ln();
    let a = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let root = (-a + (a * a - log / 0.147).max(0.0).sqrt()).max(0.0).sqrt();
    std::f32::consts::SQRT_2 * if y < 0.0 { -root } else { root }
}

/// How one score becomes two.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Second {
    /// There is no second class.
    None,
    /// Its complement.
    Complement,
    /// Its negative.
    Negative,
}

/// The scores of a row as they are put out.
pub(super) fn scores(mut row: Vec<f32>, post: &str, second: Second) -> Result<Vec<f32>> {
    if row.len() != 1 {
        transform(post, &mut row)?;
        return Ok(row);
    }
    let s = row[0];
    Ok(match second {
        _ if post == "PROBIT" => vec![probit(s)],
        Second::None => {
            transform(if post.starts_with("SOFTMAX") { "NONE" } else { post }, &mut row)?;
            row
        }
        Second::Complement => {
            let s = if post == "LOGISTIC" { logistic(s) } else { s };
            vec![1.0 - s, s]
        }
        Second::Negative if post == "LOGISTIC" => vec![logistic(-s), logistic(s)],
        Second::Negative => vec![-s, s],
    })
}

/// Labels of classes.
pub(super) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<Rc<str>>),
}

impl Labels {
    pub(super) fn of(call: &Call<'_, '_>, ints: &str, texts: &str) -> Result<Self> {
        if let Some(v) = call.texts(texts)?.filter(|v| !v.is_empty()) {
            return Ok(Self::Texts(v.to_vec()));
        }
        Ok(Self::Ints(call.ints(ints)?.map(|v| v.to_vec()).unwrap_or_default()))
    }
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Texts(v) => v.len(),
        }
    }
    /// The labels of classes by number.
    pub(super) fn tensor(&self, chosen: &[usize]) -> Result<Tensor> {
        let data = match self {
            Self::Ints(v) => Data::I64(chosen.iter().map(|c| v.get(*c).copied().unwrap_or(*c as i64)).collect()),
            Self::Texts(v) => {
                let of = |c: &usize| v.get(*c).cloned().ok_or_else(|| bad(format!("class {c} of {} labels", v.len())));
                Data::Str(chosen.iter().map(of).collect::<Result<_>>()?)
            }
        };
        Tensor::of([chosen.len()], data)
    }
}

/// The first of the largest.
pub(super) fn largest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (i, x)| if *x > row[best] { i } else { best })
}

pub(in crate::onnx) fn scaler(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (mut v, _, n) = features(&x)?;
    let (offset, scale) = (call.floats("offset")?, call.floats("scale")?);
    let of = |list: &Option<Rc<[f32]>>, i: usize, default: f32| -> Result<f32> {
        match list {
            None => Ok(default),
            Some(v) if v.len() == 1 => Ok(v[0]),
            Some(v) => v.get(i).copied().ok_or_else(|| bad(format!("{} numbers for {n} features", v.len()))),
        }
    };
    for (i, x) in v.iter_mut().enumerate() {
        let c = i % n.max(1);
        *x = (*x - of(&offset, c, 0.0)?) * of(&scale, c, 1.0)?;
    }
    one(x.with(Data::F32(v))?)
}

pub(in crate::onnx) fn normalizer(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (mut v, _, n) = features(&x)?;
    let norm = call.text("norm", "MAX")?;
    for row in v.chunks_mut(n.max(1)) {
        let by = match norm.as_str() {
            "MAX" => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            "L1" => row.iter().map(|x| x.abs()).sum(),
            "L2" => row.iter().map(|x| x * x).sum::<f32>().sqrt(),
            other => return Err(bad(format!("the norm MAX, L1 or L2 expected, {other:?} found"))),
        };
        if by != 0.0 {
            row.iter_mut().for_each(|x| *x /= by);
        }
    }
    one(x.with(Data::F32(v))?)
}

pub(in crate::onnx) fn binarizer(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let t = f64::from(call.float("threshold", 0.0)?);
    let v: Vec<f64> = x.to_f64s()?.into_iter().map(|x| f64::from(u8::from(x > t))).collect();
    one(x.with(crate::onnx::cast::from_f64s(x.kind(), &v, crate::onnx::cast::Rounding::default())?)?)
}

pub(in crate::onnx) fn imputer(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let n = x.dims().last().copied().unwrap_or(1).max(1);
    if let Data::I64(v) = x.data() {
        let values = call.ints("imputed_value_int64s")?.unwrap_or_else(|| Rc::from([]));
        let replaced = call.int("replaced_value_int64", 0)?;
        if values.is_empty() || (values.len() != 1 && values.len() != n) {
            return Err(bad(format!("{} imputed values for {n} features", values.len())));
        }
        let out = v.iter().enumerate().map(|(i, x)| if *x == replaced { values[i % n % values.len()] } else { *x });
        return one(x.with(Data::I64(out.collect()))?);
    }
    let values = call.floats("imputed_value_floats")?.unwrap_or_else(|| Rc::from([]));
    let replaced = call.float("replaced_value_float", 0.0)?;
    if values.is_empty() || (values.len() != 1 && values.len() != n) {
        return Err(bad(format!("{} imputed values for {n} features", values.len())));
    }
    let hit = |x: f32| x == replaced || (x.is_nan() && replaced.is_nan());
    let v = x.to_f32s()?;
    let out = v.iter().enumerate().map(|(i, x)| if hit(*x) { values[i % n % values.len()] } else { *x }).collect();
    one(x.with(crate::onnx::cast::from_f32s(x.kind(), out)?)?)
}

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
    let y = super::gather::gathered(&x, &indices.reshaped([indices.len()])?, last)?;
    let n = indices.len();
    one(if x.rank() == 1 { y.reshaped([1, n])? } else { y })
}

pub(in crate::onnx) fn feature_vectorizer(call: &mut Call<'_, '_>) -> Outputs {
    let widths = call.ints("inputdimensions")?.map(|v| super::sizes(&v)).transpose()?;
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
    let n = if sparse { super::size(call.int("max_map", 1)?)? } else { pairs.len() };
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

/// `rows x classes` scores of linear functions.
fn linear(call: &mut Call<'_, '_>, x: &Tensor, classes: usize) -> Result<Vec<Vec<f32>>> {
    let (v, rows, n) = features(x)?;
    let weights = call.floats("coefficients")?.ok_or_else(|| bad("coefficients expected"))?;
    let bias = call.floats("intercepts")?;
    if Some(weights.len()) != classes.checked_mul(n)
        || bias.as_ref().is_some_and(|b| b.len() != classes && !b.is_empty())
    {
        return Err(bad(format!("{} coefficients for {classes} classes of {n} features", weights.len())));
    }
    call.spend(rows.saturating_mul(weights.len()))?;
    let row_of = |row: &[f32]| -> Vec<f32> {
        (0..classes)
            .map(|c| {
                let w = &weights[c * n..(c + 1) * n];
                let b = bias.as_ref().and_then(|b| b.get(c)).copied().unwrap_or(0.0);
                row.iter().zip(w).map(|(x, w)| x * w).sum::<f32>() + b
            })
            .collect()
    };
    Ok((0..rows).map(|r| row_of(&v[r * n..(r + 1) * n])).collect())
}

pub(in crate::onnx) fn linear_regressor(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let targets = super::size(call.int("targets", 1)?)?;
    let post = call.text("post_transform", "NONE")?;
    let mut rows = linear(call, &x, targets)?;
    for row in &mut rows {
        transform(&post, row)?;
    }
    one(Tensor::of([rows.len(), targets], Data::F32(rows.concat()))?)
}

pub(in crate::onnx) fn linear_classifier(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let labels = Labels::of(call, "classlabels_ints", "classlabels_strings")?;
    let classes = match call.floats("intercepts")?.map_or(0, |b| b.len()) {
        0 => {
            let n = features(&x)?.2.max(1);
            call.floats("coefficients")?.map_or(0, |c| c.len()) / n
        }
        n => n,
    };
    let post = call.text("post_transform", "NONE")?;
    let rows = linear(call, &x, classes)?;
    let two = classes == 1 && labels.len() == 2;
    let mut chosen = Vec::new();
    let mut out = Vec::new();
    for row in rows {
        chosen.push(if classes == 1 { usize::from(row[0] > 0.0) } else { largest(&row) });
        out.push(scores(row, &post, if two { Second::Complement } else { Second::None })?);
    }
    classified(&labels, &chosen, out)
}

/// Labels and scores of rows.
pub(super) fn classified(labels: &Labels, chosen: &[usize], rows: Vec<Vec<f32>>) -> Outputs {
    let n = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|r| r.len() != n) {
        return Err(bad("rows of different numbers of scores"));
    }
    Ok(vec![labels.tensor(chosen)?.into(), Tensor::of([rows.len(), n], Data::F32(rows.concat()))?.into()])
}

/// A kernel of a support vector machine.
struct Kernel {
    name: String,
    gamma: f32,
    shift: f32,
    degree: f32,
}

impl Kernel {
    fn of(call: &Call<'_, '_>) -> Result<Self> {
        let p = call.floats("kernel_params")?;
        let at = |i: usize| p.as_ref().and_then(|p| p.get(i)).copied().unwrap_or(0.0);
        Ok(Self { name: call.text("kernel_type", "LINEAR")?, gamma: at(0), shift: at(1), degree: at(2) })
    }
    fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        let dot = || a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        match self.name.as_str() {
            "POLY" => (self.gamma * dot() + self.shift).powf(self.degree),
            "SIGMOID" => (self.gamma * dot() + self.shift).tanh(),
            "RBF" => (-self.gamma * a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>()).exp(),
            _ => dot(),
        }
    }
}

pub(in crate::onnx) fn svm_regressor(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (v, rows, n) = features(&x)?;
    let kernel = Kernel::of(call)?;
    let supports = super::size(call.int("n_supports", 0)?)?;
    let weights = call.floats("coefficients")?.ok_or_else(|| bad("coefficients expected"))?;
    let vectors = call.floats("support_vectors")?.unwrap_or_else(|| Rc::from([]));
    let rho = call.floats("rho")?.and_then(|r| r.first().copied()).unwrap_or(0.0);
    if (supports > 0 && (Some(vectors.len()) != supports.checked_mul(n) || weights.len() < supports))
        || (supports == 0 && weights.len() < n)
    {
        return Err(bad(format!("{} vectors and {} coefficients of {n} features", vectors.len(), weights.len())));
    }
    call.spend(rows.saturating_mul(vectors.len().max(n)))?;
    let post = call.text("post_transform", "NONE")?;
    let one_class = call.flag("one_class", false)?;
    let mut out = Vec::with_capacity(rows);
    for r in 0..rows {
        let row = &v[r * n..(r + 1) * n];
        let sum = if supports > 0 {
            (0..supports).map(|j| weights[j] * kernel.dot(row, &vectors[j * n..(j + 1) * n])).sum::<f32>()
        } else {
            kernel.dot(row, &weights[..n])
        };
        let mut y = [sum + rho];
        if one_class {
            y[0] = if y[0] > 0.0 { 1.0 } else { -1.0 };
        } else {
            transform(&post, &mut y)?;
        }
        out.push(y[0]);
    }
    one(Tensor::of([rows, 1], Data::F32(out))?)
}

/// Class probabilities from those of pairs (Wu, Lin and Weng 2004, as libsvm iterates).
fn coupled(k: usize, r: &[f32]) -> Vec<f32> {
    let mut q = vec![0.0f32; k * k];
    for t in 0..k {
        for j in 0..k {
            if j != t {
                q[t * k + t] += r[j * k + t] * r[j * k + t];
                q[t * k + j] = -r[j * k + t] * r[t * k + j];
            }
        }
    }
    let mut p = vec![1.0 / k as f32; k];
    for _ in 0..100.max(k) {
        let mut qp: Vec<f32> = (0..k).map(|t| (0..k).map(|j| q[t * k + j] * p[j]).sum()).collect();
        let mut pqp: f32 = p.iter().zip(&qp).map(|(a, b)| a * b).sum();
        if qp.iter().map(|x| (x - pqp).abs()).fold(0.0, f32::max) < 0.005 / k as f32 {
            break;
        }
        for t in 0..k {
            let d = (pqp - qp[t]) / q[t * k + t];
            p[t] += d;
            pqp = (pqp + d * (d * q[t * k + t] + 2.0 * qp[t])) / (1.0 + d) / (1.0 + d);
            for j in 0..k {
                qp[j] = (qp[j] + d * q[t * k + j]) / (1.0 + d);
                p[j] /= 1.0 + d;
            }
        }
    }
    p
}

pub(in crate::onnx) fn svm_classifier(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (v, rows, n) = features(&x)?;
    let kernel = Kernel::of(call)?;
    let labels = Labels::of(call, "classlabels_ints", "classlabels_strings")?;
    let list = |name: &str| call.floats(name).map(|v| v.unwrap_or_else(|| Rc::from([])));
    let (weights, vectors, rho) = (list("coefficients")?, list("support_vectors")?, list("rho")?);
    let (pa, pb) = (list("prob_a")?, list("prob_b")?);
    let counts = call.ints("vectors_per_class")?.map(|v| super::sizes(&v)).transpose()?.unwrap_or_default();
    let post = call.text("post_transform", "NONE")?;
    let total = counts.iter().fold(0usize, |n, c| n.saturating_add(*c));
    let classes = labels.len().max(1);
    let positive = weights.iter().all(|w| *w >= 0.0);
    let pairs = classes * classes.saturating_sub(1) / 2;
    if total > 0 {
        let fits = counts.len() == classes
            && Some(vectors.len()) == total.checked_mul(n)
            && weights.len() >= total.saturating_mul(classes - 1)
            && rho.len() >= pairs;
        if !fits {
            return Err(bad(format!("{total} vectors of {n} features in {classes} classes")));
        }
    } else if weights.len() != classes * n || rho.is_empty() {
        return Err(bad(format!("{} coefficients for {classes} classes of {n} features", weights.len())));
    }
    call.spend(rows.saturating_mul(vectors.len().max(weights.len())))?;
    let starts: Vec<usize> = counts
        .iter()
        .scan(0, |at, c| {
            let s = *at;
            *at += c;
            Some(s)
        })
        .collect();
    let (mut chosen, mut out) = (Vec::new(), Vec::new());
    for r in 0..rows {
        let row = &v[r * n..(r + 1) * n];
        let mut votes = vec![0.0f32; classes];
        let mut found = Vec::new();
        if total == 0 {
            found.extend((0..classes).map(|c| rho[0] + kernel.dot(row, &weights[c * n..(c + 1) * n])));
        } else {
            let k: Vec<f32> = (0..total).map(|j| kernel.dot(row, &vectors[j * n..(j + 1) * n])).collect();
            for i in 0..classes {
                for j in i + 1..classes {
                    let part = |class: usize, w: usize| -> f32 {
                        (starts[class]..starts[class] + counts[class]).map(|s| weights[w * total + s] * k[s]).sum()
                    };
                    let s = rho[found.len()] + part(i, j - 1) + part(j, i);
                    votes[if s > 0.0 { i } else { j }] += 1.0;
                    found.push(s);
                }
            }
        }
        let with_probabilities = total > 0 && !pa.is_empty();
        let row_scores = if with_probabilities {
            let mut r = vec![0.0; classes * classes];
            let mut at = 0;
            for i in 0..classes {
                for j in i + 1..classes {
                    let (a, b) = (pa.get(at).copied().unwrap_or(0.0), pb.get(at).copied().unwrap_or(0.0));
                    let p = (1.0 - logistic(found[at] * a + b)).clamp(1e-7, 1.0 - 1e-7);
                    (r[i * classes + j], r[j * classes + i]) = (p, 1.0 - p);
                    at += 1;
                }
            }
            coupled(classes, &r)
        } else {
            found.clone()
        };
        let best = if total > 0 { largest(&votes) } else { largest(&row_scores) };
        let weight = if total > 0 { votes[best] } else { row_scores[best] };
        let mut label = best;
        let mut second = Second::None;
        if rho.len() == 1 {
            second = Second::Negative;
            label = match labels.len() {
                2 if !with_probabilities && positive && weight >= 0.5 => 1,
                2 => best,
                _ => usize::from(weight > 0.0),
            };
        }
        chosen.push(label);
        out.push(scores(row_scores, &post, second)?);
    }
    classified(&labels, &chosen, out)
}
