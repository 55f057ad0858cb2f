//! The operators of ai.onnx.ml but for trees.

mod svm;
mod tables;

pub(in crate::onnx) use svm::{svm_classifier, svm_regressor};
pub(in crate::onnx) use tables::{
    array_feature_extractor, cast_map, category_mapper, dict_vectorizer, feature_vectorizer, label_encoder,
    one_hot_encoder, zip_map,
};

use std::rc::Rc;

use super::product;
use crate::fault::Result;
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor};

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
