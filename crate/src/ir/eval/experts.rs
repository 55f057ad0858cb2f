//! The choice of experts, linear maps by their rows, and the sum of what they give.

use super::{
    array::{Array, Data, Operand, View},
    dense::{dot, index, of_length, softmax_f64, with_rows},
};
use crate::{
    fault::{Fault, Result},
    ir::op::{ExpertLinear, Gating, Routing},
    order,
};

/// Added to the sum that weights are divided by, which may be zero.
const LEAST_SUM: f64 = 1e-20;

/// Ids and weights of each row's experts.
pub(super) fn route(spec: &Routing, scores: &View<'_>, bias: Option<&[f32]>) -> Result<Vec<Array>> {
    let ([rows, experts], values) = (scores.matrix()?, scores.floats()?);
    let bias = bias.map(|b| of_length(b, experts, "choice")).transpose()?;
    let (used, groups) = (spec.used as usize, spec.groups as usize);
    if experts == 0 || groups == 0 || experts % groups != 0 || used > experts {
        return Err(Fault::bug(format!("{used} of {experts} experts in {groups} groups")));
    }
    let (mut ids, mut weights) = (Vec::with_capacity(rows * used), Vec::with_capacity(rows * used));
    for row in values.chunks_exact(experts) {
        let mut all: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        match spec.gating {
            Gating::Softmax => softmax_f64(&mut all),
            Gating::Sigmoid => all.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
            Gating::SoftmaxOfChosen => {}
        }
        let choice = all.iter().enumerate().map(|(i, v)| v + bias.map_or(0.0, |b| f64::from(b[i])));
        let chosen = best(spec, &choice.collect::<Vec<_>>());
        let mut own: Vec<f64> = chosen.iter().map(|i| all[*i]).collect();
        if spec.gating == Gating::SoftmaxOfChosen {
            softmax_f64(&mut own);
        }
        let sum = if spec.normalise { own.iter().sum::<f64>() + LEAST_SUM } else { 1.0 };
        ids.extend(chosen.iter().map(|i| *i as i32));
        weights.extend(own.iter().map(|w| (w / sum * f64::from(spec.scale)) as f32));
    }
    Ok(vec![Array::new(vec![rows, used], Data::I32(ids))?, Array::floats([rows, used], weights)?])
}

/// The indices of the greatest values of the best groups, greatest first; of equal ones the lower index.
fn best(spec: &Routing, choice: &[f64]) -> Vec<usize> {
    let size = choice.len() / spec.groups as usize;
    let of_group = |group: &usize| {
        let mut own = choice[group * size..(group + 1) * size].to_vec();
        order::sort_by(&mut own, |a, b| b.total_cmp(a));
        own.iter().take(if spec.two_of_group { 2 } else { 1 }).sum::<f64>()
    };
    let mut groups: Vec<(f64, usize)> = (0..spec.groups as usize).map(|g| (of_group(&g), g)).collect();
    order::sort_by(&mut groups, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    groups.truncate(spec.groups_used as usize);
    let mut all: Vec<usize> = groups.iter().flat_map(|(_, g)| g * size..(g + 1) * size).collect();
    order::sort_by(&mut all, |a, b| choice[*b].total_cmp(&choice[*a]).then(a.cmp(b)));
    all.truncate(spec.used as usize);
    all
}

/// `[rows, used, n]`: rows of each choice's expert times its x, and the expert's bias.
pub(super) fn linear(
    spec: &ExpertLinear,
    x: &View<'_>,
    weight: Operand<'_>,
    ids: Option<&View<'_>>,
    bias: Option<&[f32]>,
) -> Result<Array> {
    with_rows(weight, |weight| {
        let ([all, k], values, experts) = (weight.shape(), x.floats()?, spec.experts as usize);
        if experts == 0 || all % experts != 0 || x.width() != k || k == 0 {
            return Err(Fault::bug(format!("{experts} experts of {all} rows of {k} values, {:?} found", x.shape())));
        }
        let n = all / experts;
        let bias = bias.map(|b| of_length(b, all, "experts' bias")).transpose()?;
        let rows = x.shape()[0];
        let (used, chosen) = match ids {
            Some(ids) => {
                (ids.width(), ids.ints()?.iter().map(|id| index(*id, experts, "expert")).collect::<Result<Vec<_>>>()?)
            }
            None => (experts, (0..rows * experts).map(|i| i % experts).collect()),
        };
        let shared = x.shape().len() == 2;
        if chosen.len() != rows * used || values.len() != k * if shared { rows } else { rows * used } {
            return Err(Fault::bug(format!("{} choices of {used} for {:?}", chosen.len(), x.shape())));
        }
        let (mut out, mut row) = (vec![0.0; rows * used * n], vec![0.0; k]);
        // Each row of the weight is decoded once.
        for expert in 0..experts {
            let slots: Vec<usize> = (0..chosen.len()).filter(|s| chosen[*s] == expert).collect();
            for j in 0..if slots.is_empty() { 0 } else { n } {
                weight.row(expert * n + j, &mut row)?;
                let bias = bias.map_or(0.0, |b| f64::from(b[expert * n + j]));
                for slot in &slots {
                    let at = if shared { slot / used } else { *slot };
                    out[slot * n + j] = (dot(&values[at * k..][..k], &row) + bias) as f32;
                }
            }
        }
        Array::floats([rows, used, n], out)
    })
}

/// The sum of `[rows, used, n]` over `used`, weighted.
pub(super) fn sum(x: &View<'_>, weights: &View<'_>) -> Result<Array> {
    let (values, &[rows, used, n]) = (x.floats()?, x.shape()) else {
        return Err(Fault::bug(format!("rows of several choices expected, {:?} found", x.shape())));
    };
    let weights = of_length(weights.floats()?, rows * used, "choices")?;
    let mut out = Vec::with_capacity(rows * n);
    for row in 0..rows {
        for c in 0..n {
            let one = |s: usize| f64::from(weights[row * used + s]) * f64::from(values[(row * used + s) * n + c]);
            out.push((0..used).map(one).sum::<f64>() as f32);
        }
    }
    Array::floats([rows, n], out)
}
