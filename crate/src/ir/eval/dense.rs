//! Matrices, norms and sums over rows.

use super::{
    array::{Array, Operand, Rows, View},
    layout, scalar,
};
use crate::{
    fault::{Fault, Result},
    ir::op::{Binary, Reduction, Unary},
    order,
};

/// Calls with the operand as rows of a matrix.
pub(super) fn with_rows<T>(operand: Operand<'_>, f: impl FnOnce(&dyn Rows) -> Result<T>) -> Result<T> {
    match operand {
        Operand::Rows(rows) => f(rows),
        Operand::Values(view) => {
            view.matrix()?;
            f(&view)
        }
        Operand::State(_) => Err(Fault::bug("a matrix expected, a state found")),
    }
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

pub(super) fn of_length<'a>(values: &'a [f32], len: usize, what: &str) -> Result<&'a [f32]> {
    if values.len() != len {
        return Err(Fault::bug(format!("{len} values of the {what} expected, {} found", values.len())));
    }
    Ok(values)
}

/// The row of this number, which must be below `rows`.
pub(super) fn index(id: i32, rows: usize, what: &str) -> Result<usize> {
    usize::try_from(id)
        .ok()
        .filter(|i| *i < rows)
        .ok_or_else(|| Fault::caller(format!("{what} {id}: a number from 0 to below {rows} expected")))
}

/// All values of a matrix in an encoding.
pub(super) fn decoded(matrix: &dyn Rows) -> Result<Array> {
    let [rows, width] = matrix.shape();
    let mut out = vec![0.0; rows * width];
    out.chunks_exact_mut(width.max(1)).enumerate().try_for_each(|(i, out)| matrix.row(i, out))?;
    Array::floats([rows, width], out)
}

pub(super) fn embed(table: Operand<'_>, ids: &View<'_>) -> Result<Array> {
    let ids = ids.ints()?;
    with_rows(table, |table| {
        let [rows, width] = table.shape();
        let mut out = vec![0.0; ids.len() * width];
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(width.max(1))) {
            table.row(index(*id, rows, "token")?, out)?;
        }
        Array::floats([ids.len(), width], out)
    })
}

/// `x W^T + bias + residual`.
pub(super) fn linear(
    x: &View<'_>,
    weight: Operand<'_>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
) -> Result<Array> {
    with_rows(weight, |weight| {
        let ([n, k], values) = (weight.shape(), x.floats()?);
        if x.width() != k || k == 0 {
            return Err(Fault::bug(format!("rows of {k} values expected, {:?} found", x.shape())));
        }
        let rows = values.len() / k;
        let bias = bias.map(|b| of_length(b, n, "bias")).transpose()?;
        let residual = residual.map(|r| of_length(r, rows * n, "residual")).transpose()?;
        let (mut out, mut row) = (vec![0.0; rows * n], vec![0.0; k]);
        for j in 0..n {
            weight.row(j, &mut row)?;
            for (i, x) in values.chunks_exact(k).enumerate() {
                let bias = bias.map_or(0.0, |b| f64::from(b[j]));
                let residual = residual.map_or(0.0, |r| f64::from(r[i * n + j]));
                out[i * n + j] = (dot(x, &row) + bias + residual) as f32;
            }
        }
        Array::floats(with_width(x.shape(), n), out)
    })
}

/// `f(first half) * second half` of `x W^T + bias`.
pub(super) fn gated(x: &View<'_>, weight: Operand<'_>, bias: Option<&[f32]>, f: Unary) -> Result<Array> {
    let both = linear(x, weight, bias, None)?;
    let (both, n) = (both.view(), both.view().width());
    if n % 2 != 0 || n == 0 {
        return Err(Fault::bug(format!("an even number of rows expected for a gate, {n} found")));
    }
    let gated = |row: &[f32]| -> Vec<f32> {
        let (gate, up) = row.split_at(n / 2);
        let one = |(gate, up): (&f32, &f32)| scalar::unary(f, f64::from(*gate)) * f64::from(*up);
        gate.iter().zip(up).map(|pair| one(pair) as f32).collect()
    };
    let values = both.floats()?.chunks_exact(n).flat_map(gated).collect();
    Array::floats(with_width(x.shape(), n / 2), values)
}

fn with_width(shape: &[usize], width: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    shape
}

pub(super) fn mat_mul(a: &View<'_>, b: &View<'_>, transposed: bool) -> Result<Array> {
    let differ = || Fault::bug(format!("{:?} cannot be multiplied by {:?}", a.shape(), b.shape()));
    let (&[ref outer_a @ .., m, k], &[ref outer_b @ .., b0, b1]) = (a.shape(), b.shape()) else { return Err(differ()) };
    let (n, k_b) = if transposed { (b0, b1) } else { (b1, b0) };
    if k != k_b {
        return Err(differ());
    }
    let outer = layout::common_shape(outer_a, outer_b).map_err(|_| differ())?;
    let full = |inner: [usize; 2]| [outer.as_slice(), &inner].concat();
    let (a, b) = (layout::expand(a, &full([m, k]))?, layout::expand(b, &full([b0, b1]))?);
    let (a, b) = (a.view().floats()?, b.view().floats()?);
    let shape = full([m, n]);
    let mut out = Vec::new();
    for batch in 0..outer.iter().product() {
        let (a, b) = (&a[batch * m * k..][..m * k], &b[batch * k * n..][..k * n]);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let b = |l: usize| if transposed { b[j * k + l] } else { b[l * n + j] };
            let sum: f64 = (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b(l))).sum();
            out.push(sum as f32);
        }
    }
    Array::floats(shape, out)
}

/// Applies a function to rows of `width` values.
fn by_rows(x: &View<'_>, width: usize, mut f: impl FnMut(&[f32], &mut Vec<f32>)) -> Result<Array> {
    let values = x.floats()?;
    if width == 0 || x.width() % width != 0 {
        return Err(Fault::bug(format!("rows of a multiple of {width} values expected, {:?} found", x.shape())));
    }
    let mut out = Vec::with_capacity(values.len());
    values.chunks_exact(width).for_each(|row| f(row, &mut out));
    Array::floats(x.shape(), out)
}

pub(super) fn rms_norm(x: &View<'_>, weight: &[f32], eps: f32, group: usize) -> Result<Array> {
    let weight = of_length(weight, group, "norm")?;
    by_rows(x, group, |row, out| {
        let scale = 1.0 / (dot(row, row) / group as f64 + f64::from(eps)).sqrt();
        out.extend(row.iter().zip(weight).map(|(x, w)| (f64::from(*x) * scale * f64::from(*w)) as f32));
    })
}

pub(super) fn layer_norm(x: &View<'_>, weight: &[f32], bias: Option<&[f32]>, eps: f32) -> Result<Array> {
    let n = x.width();
    let weight = of_length(weight, n, "norm")?;
    let bias = bias.map(|b| of_length(b, n, "norm's bias")).transpose()?;
    by_rows(x, n, |row, out| {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
        let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n as f64;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        out.extend(row.iter().enumerate().map(|(i, x)| {
            let bias = bias.map_or(0.0, |b| f64::from(b[i]));
            ((f64::from(*x) - mean) * scale * f64::from(weight[i]) + bias) as f32
        }));
    })
}

/// Softmax in place; of all values minus infinity, all zero.
pub(super) fn softmax_f64(values: &mut [f64]) {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        values.fill(0.0);
        return;
    }
    values.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

pub(super) fn softmax(x: &View<'_>) -> Result<Array> {
    by_rows(x, x.width(), |row, out| {
        let mut row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        softmax_f64(&mut row);
        out.extend(row.iter().map(|v| *v as f32));
    })
}

pub(super) fn reduce(x: &View<'_>, kind: Reduction) -> Result<Array> {
    let (n, values) = (x.width(), x.floats()?);
    if n == 0 {
        return Err(Fault::bug("rows of no values cannot be reduced"));
    }
    let one = |row: &[f32]| {
        let values = row.iter().map(|x| f64::from(*x));
        let reduced = match kind {
            Reduction::Sum => values.sum(),
            Reduction::Mean => values.sum::<f64>() / n as f64,
            Reduction::Max => values.fold(f64::NEG_INFINITY, |a, b| scalar::binary(Binary::Max, a, b)),
            Reduction::Min => values.fold(f64::INFINITY, |a, b| scalar::binary(Binary::Min, a, b)),
        };
        reduced as f32
    };
    Array::floats(with_width(x.shape(), 1), values.chunks_exact(n).map(one).collect())
}

pub(super) fn gather(x: &View<'_>, ids: &[i32]) -> Result<Array> {
    let ([rows, width], values) = (x.matrix()?, x.floats()?);
    let mut out = Vec::with_capacity(ids.len() * width);
    for id in ids {
        let row = index(*id, rows, "row")?;
        out.extend_from_slice(&values[row * width..(row + 1) * width]);
    }
    Array::floats([ids.len(), width], out)
}

/// The index of the greatest value of each row, of equal ones the first; the `alternatives` greatest; the probability of
/// the first and of those. What a row has not is 0.
pub(super) fn likeliest(logits: &View<'_>, alternatives: usize) -> Result<Vec<Array>> {
    let ([rows, width], values) = (logits.matrix()?, logits.floats()?);
    if width == 0 {
        return Err(Fault::bug("a choice among no tokens"));
    }
    let (mut ids, mut likely) = (Vec::with_capacity(rows), vec![0; rows * alternatives]);
    let mut probabilities = vec![0.0; rows * (1 + alternatives)];
    for (r, row) in values.chunks_exact(width).enumerate() {
        let value = |i: usize| if row[i].is_nan() { f32::NEG_INFINITY } else { row[i] };
        let order = order::indices(width, &mut |a, b| value(b).total_cmp(&value(a)));
        let weight = |i: usize| f64::from(value(i) - value(order[0])).exp();
        let total: f64 = (0..width).map(weight).sum();
        let told = &mut probabilities[r * (1 + alternatives)..][..1 + alternatives];
        told[0] = (1.0 / total) as f32;
        for (which, i) in order.iter().enumerate().take(alternatives) {
            likely[r * alternatives + which] = *i as i32;
            told[1 + which] = (weight(*i) / total) as f32;
        }
        ids.push(order[0] as i32);
    }
    Ok(vec![
        Array::ints(ids),
        Array::new(vec![rows, alternatives], super::array::Data::I32(likely))?,
        Array::floats([rows, 1 + alternatives], probabilities)?,
    ])
}
