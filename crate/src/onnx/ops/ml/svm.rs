//! Support vector machines.

use std::rc::Rc;

use super::{Labels, Second, classified, features, largest, logistic, scores, transform};
use crate::fault::Result;
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor};

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
    let supports = crate::onnx::ops::size(call.int("n_supports", 0)?)?;
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
    let counts = call.ints("vectors_per_class")?.map(|v| crate::onnx::ops::sizes(&v)).transpose()?.unwrap_or_default();
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
