//! Products of matrices.

use super::{broadcast_shape, elementwise, product, strides};
use crate::{
    engine::device::cpu::Matrix,
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room, wrong_type},
    },
};

/// The shapes of a product by NumPy's rules: matrices as [..., m, k] and [..., k, n], and the shape of the result.
struct Plan {
    a: Vec<usize>,
    b: Vec<usize>,
    m: usize,
    k: usize,
    n: usize,
    batch: Vec<usize>,
    dims: Vec<usize>,
}

fn plan(a: &[usize], b: &[usize]) -> Result<Plan> {
    let wrong = || bad(format!("matrices of the shapes {a:?} and {b:?} cannot be multiplied"));
    if a.is_empty() || b.is_empty() {
        return Err(wrong());
    }
    let wide_a = if a.len() == 1 { vec![1, a[0]] } else { a.to_vec() };
    let wide_b = if b.len() == 1 { vec![b[0], 1] } else { b.to_vec() };
    let (ra, rb) = (wide_a.len(), wide_b.len());
    let (m, k, n) = (wide_a[ra - 2], wide_a[ra - 1], wide_b[rb - 1]);
    if wide_b[rb - 2] != k {
        return Err(wrong());
    }
    let batch = broadcast_shape(&[&wide_a[..ra - 2], &wide_b[..rb - 2]])?;
    let mut dims = batch.clone();
    if a.len() > 1 {
        dims.push(m);
    }
    if b.len() > 1 {
        dims.push(n);
    }
    Ok(Plan { a: wide_a, b: wide_b, m, k, n, batch, dims })
}

/// Where each matrix of a batch begins.
fn offsets(shape: &[usize], batch: &[usize]) -> Vec<usize> {
    let own = &shape[..shape.len() - 2];
    let each = shape[shape.len() - 2] * shape[shape.len() - 1];
    let mut out = Vec::with_capacity(product(batch));
    super::rows(&super::loops([own], batch), |[at], n, [step]| out.extend((0..n).map(|i| (at + i * step) * each)));
    if product(batch) == 0 {
        out.clear();
    }
    out
}

/// The product of two tensors of f32.
pub(super) fn product_f32(call: &mut Call<'_, '_>, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let p = plan(a.dims(), b.dims())?;
    let total = room(&p.dims, 4)?;
    call.spend(total.saturating_mul(p.k))?;
    let (x, y) = (a.f32s()?, b.f32s()?);
    let mut out = vec![0.0; total];
    let each = p.m * p.n;
    if each > 0 {
        // One matrix for all of a batch is one product with all rows.
        if product(&p.b[..p.b.len() - 2]) == 1 {
            let rows = x.len() / p.k.max(1);
            if p.k > 0 {
                call.run.product().multiply(Matrix::rows(x, rows, p.k), Matrix::rows(y, p.k, p.n), &mut out);
            }
            return Tensor::of(p.dims, Data::F32(out));
        }
        let (oa, ob) = (offsets(&p.a, &p.batch), offsets(&p.b, &p.batch));
        if p.k > 0 {
            let product = call.run.product();
            for (i, c) in out.chunks_mut(each).enumerate() {
                let left = Matrix::rows(&x[oa[i]..oa[i] + p.m * p.k], p.m, p.k);
                let right = Matrix::rows(&y[ob[i]..ob[i] + p.k * p.n], p.k, p.n);
                product.multiply(left, right, c);
            }
        }
    }
    Tensor::of(p.dims, Data::F32(out))
}

/// The product of tensors of any type of number.
pub(super) fn product_of(call: &mut Call<'_, '_>, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.kind() != b.kind() {
        return Err(bad(format!("matrices of one type expected, {} and {} found", a.told(), b.told())));
    }
    match a.kind() {
        Type::F32 => product_f32(call, a, b),
        Type::F16 | Type::BF16 => {
            let kind = a.kind();
            let (a, b) = (a.cast(Type::F32)?, b.cast(Type::F32)?);
            product_f32(call, &a, &b)?.cast(kind)
        }
        Type::F64 => {
            let p = plan(a.dims(), b.dims())?;
            let (x, y) = (a.to_f64s()?, b.to_f64s()?);
            let out = plain_product(call, &p, &x, &y, |s, x, y| s + x * y)?;
            Tensor::of(p.dims, Data::F64(out))
        }
        kind if kind.is_float() || kind == Type::Str => Err(wrong_type("a number", kind)),
        kind => {
            let p = plan(a.dims(), b.dims())?;
            let (x, y) = (a.to_i64s()?, b.to_i64s()?);
            let out = plain_product(call, &p, &x, &y, |s, x, y| s.wrapping_add(x.wrapping_mul(y)))?;
            Tensor::of(p.dims, cast::from_i64s(kind, &out)?)
        }
    }
}

fn plain_product<T: Copy + Default>(
    call: &mut Call<'_, '_>,
    p: &Plan,
    x: &[T],
    y: &[T],
    add: impl Fn(T, T, T) -> T,
) -> Result<Vec<T>> {
    let total = room(&p.dims, size_of::<T>())?;
    call.spend(total.saturating_mul(p.k))?;
    let mut out = vec![T::default(); total];
    let each = p.m * p.n;
    if each == 0 {
        return Ok(out);
    }
    let (oa, ob) = (offsets(&p.a, &p.batch), offsets(&p.b, &p.batch));
    for (i, c) in out.chunks_mut(each).enumerate() {
        for (r, row) in c.chunks_mut(p.n).enumerate() {
            for k in 0..p.k {
                let left = x[oa[i] + r * p.k + k];
                let right = &y[ob[i] + k * p.n..][..p.n];
                row.iter_mut().zip(right).for_each(|(s, y)| *s = add(*s, left, *y));
            }
        }
    }
    Ok(out)
}

pub(in crate::onnx) fn mat_mul(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    one(product_of(call, &a, &b)?)
}

pub(in crate::onnx) fn gemm(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let (ta, tb) = (call.flag("transA", false)?, call.flag("transB", false)?);
    let kind = a.kind();
    let ([am, ak], [bk, bn]) = (a.dims(), b.dims()) else {
        return Err(bad(format!("two matrices expected, {} and {} found", a.told(), b.told())));
    };
    let (m, k) = if ta { (*ak, *am) } else { (*am, *ak) };
    let (k2, n) = if tb { (*bn, *bk) } else { (*bk, *bn) };
    if k != k2 || a.kind() != b.kind() {
        return Err(bad(format!("{} and {} cannot be multiplied", a.told(), b.told())));
    }
    let narrow = matches!(kind, Type::F32 | Type::F16 | Type::BF16);
    let mut y = if narrow {
        let total = room(&[m, n], 4)?;
        call.spend(total.saturating_mul(k))?;
        let (x, w) = (a.cast(Type::F32)?, b.cast(Type::F32)?);
        let left = if ta { Matrix::columns(x.f32s()?, m, k) } else { Matrix::rows(x.f32s()?, m, k) };
        let right = if tb { Matrix::columns(w.f32s()?, k, n) } else { Matrix::rows(w.f32s()?, k, n) };
        let mut out = vec![0.0; total];
        if total > 0 && k > 0 {
            call.run.product().multiply(left, right, &mut out);
        }
        if alpha != 1.0 {
            out.iter_mut().for_each(|v| *v *= alpha);
        }
        Tensor::of([m, n], Data::F32(out))?
    } else {
        let x = if ta { a.permuted(&[1, 0])? } else { a.clone() };
        let w = if tb { b.permuted(&[1, 0])? } else { b.clone() };
        let y = product_of(call, &x, &w)?;
        if alpha == 1.0 { y } else { scaled(&y, f64::from(alpha))? }
    };
    if let Some(c) = call.optional(2)?.filter(|_| beta != 0.0) {
        let c = if narrow { c.cast(Type::F32)? } else { c };
        let c = if beta == 1.0 { c } else { scaled(&c, f64::from(beta))? };
        let sum = elementwise::add_tensors(&y, &c)?;
        if sum.dims() != y.dims() {
            return Err(bad(format!("{} does not broadcast to {}", c.told(), y.told())));
        }
        y = sum;
    }
    one(y.cast(kind)?)
}

/// A tensor times a number.
pub(super) fn scaled(x: &Tensor, by: f64) -> Result<Tensor> {
    let v: Vec<f64> = x.to_f64s()?.into_iter().map(|v| v * by).collect();
    x.with(cast::from_f64s(x.kind(), &v, Rounding::default())?)
}

pub(in crate::onnx) fn det(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [.., n, m] = x.dims()[..] else { return Err(bad(format!("matrices expected, {} found", x.told()))) };
    if n != m {
        return Err(bad(format!("square matrices expected, {} found", x.told())));
    }
    call.spend(x.len().saturating_mul(n))?;
    let mut v = x.to_f64s()?;
    let dims = x.dims()[..x.rank() - 2].to_vec();
    let count = room(&dims, 8)?;
    let out: Vec<f64> = (0..count).map(|i| determinant(&mut v[i * n * n..(i + 1) * n * n], n)).collect();
    one(Tensor::of(dims, cast::from_f64s(x.kind(), &out, Rounding::default())?)?)
}

/// By elimination with pivots.
fn determinant(a: &mut [f64], n: usize) -> f64 {
    let mut det = 1.0;
    for i in 0..n {
        let pivot = (i..n).max_by(|p, q| a[p * n + i].abs().total_cmp(&a[q * n + i].abs())).unwrap_or(i);
        if a[pivot * n + i] == 0.0 {
            return 0.0;
        }
        if pivot != i {
            (0..n).for_each(|j| a.swap(i * n + j, pivot * n + j));
            det = -det;
        }
        det *= a[i * n + i];
        for r in i + 1..n {
            let f = a[r * n + i] / a[i * n + i];
            for j in i..n {
                a[r * n + j] -= f * a[i * n + j];
            }
        }
    }
    det
}

/// One operand of an Einstein sum: its letters and values.
struct Term {
    letters: Vec<u8>,
    dims: Vec<usize>,
    values: Vec<f64>,
}

/// Letters for the dimensions of an ellipsis.
const ELLIPSIS: u8 = 128;

fn letters(text: &str, rank: Option<usize>, ellipsis: &mut usize) -> Result<Vec<u8>> {
    let (before, after) = text.split_once("...").map_or((text, None), |(b, a)| (b, Some(a)));
    let named = before.len() + after.map_or(0, str::len);
    let mut out: Vec<u8> = before.bytes().collect();
    if let Some(after) = after {
        let n = match rank {
            Some(rank) => {
                rank.checked_sub(named).ok_or_else(|| bad(format!("{text:?} names more dimensions than {rank}")))?
            }
            None => *ellipsis,
        };
        *ellipsis = (*ellipsis).max(n);
        // Counted from the right: ellipses of fewer dimensions broadcast.
        out.extend((0..n).rev().map(|i| ELLIPSIS + i as u8 % 100));
        out.extend(after.bytes());
    }
    if rank.is_some_and(|rank| rank != out.len()) {
        return Err(bad(format!("{text:?} for a tensor of {rank:?} dimensions")));
    }
    Ok(out)
}

pub(in crate::onnx) fn einsum(call: &mut Call<'_, '_>) -> Outputs {
    let equation: String = call.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = equation.split_once("->").map_or((equation.as_str(), None), |(l, r)| (l, Some(r)));
    let inputs = call.tensors()?;
    let parts: Vec<&str> = left.split(',').collect();
    let Some(kind) = inputs.first().map(Tensor::kind).filter(|_| parts.len() == inputs.len()) else {
        return Err(bad(format!("the equation {equation:?} for {} inputs", inputs.len())));
    };
    let mut ellipsis = 0;
    let mut terms = Vec::new();
    for (text, x) in parts.iter().zip(&inputs) {
        let letters = letters(text, Some(x.rank()), &mut ellipsis)?;
        terms.push(diagonal(Term { letters, dims: x.dims().to_vec(), values: x.to_f64s()? })?);
    }
    let output = match right {
        Some(right) => letters(right, None, &mut ellipsis)?,
        None => {
            let mut count = [0usize; 256];
            terms.iter().flat_map(|t| &t.letters).for_each(|l| count[usize::from(*l)] += 1);
            let mut out: Vec<u8> = (0..ellipsis).rev().map(|i| ELLIPSIS + i as u8).collect();
            out.extend((0..ELLIPSIS).filter(|l| count[usize::from(*l)] == 1));
            out
        }
    };
    let mut terms = terms.into_iter();
    let mut sum = terms.next().ok_or_else(|| bad("at least one input expected"))?;
    let mut rest: Vec<Term> = terms.collect();
    rest.reverse();
    while let Some(next) = rest.pop() {
        let needed = |l: &u8| output.contains(l) || rest.iter().any(|t| t.letters.contains(l));
        sum = contract(call, &sum, &next, needed)?;
    }
    let last = Term { letters: Vec::new(), dims: Vec::new(), values: vec![1.0] };
    let sum = contract(call, &sum, &last, |l| output.contains(l))?;
    let order: Result<Vec<usize>> = output
        .iter()
        .map(|l| {
            sum.letters
                .iter()
                .position(|s| s == l)
                .ok_or_else(|| bad(format!("{equation:?} makes a dimension of nothing")))
        })
        .collect();
    let y = Tensor::of(sum.dims, cast::from_f64s(kind, &sum.values, Rounding::default())?)?;
    let order = order?;
    if order.len() != y.rank() {
        return Err(bad(format!("{equation:?} names an output dimension twice")));
    }
    one(y.permuted(&order)?)
}

/// Takes the diagonal where a letter occurs twice.
fn diagonal(term: Term) -> Result<Term> {
    let mut unique: Vec<u8> = Vec::new();
    let mut dims = Vec::new();
    let own = strides(&term.dims);
    let mut steps: Vec<isize> = Vec::new();
    for (i, l) in term.letters.iter().enumerate() {
        match unique.iter().position(|u| u == l) {
            None => {
                unique.push(*l);
                dims.push(term.dims[i]);
                steps.push(own[i] as isize);
            }
            Some(at) if dims[at] == term.dims[i] => steps[at] += own[i] as isize,
            Some(at) => return Err(bad(format!("a dimension of {} and {} elements", dims[at], term.dims[i]))),
        }
    }
    let values = super::strided(&term.values, 0, &dims, &steps);
    Ok(Term { letters: unique, dims, values })
}

/// The product of two operands, summed over the letters that nothing needs any more.
fn contract(call: &mut Call<'_, '_>, a: &Term, b: &Term, needed: impl Fn(&u8) -> bool) -> Result<Term> {
    let mut all: Vec<(u8, usize)> = Vec::new();
    for (l, n) in a.letters.iter().zip(&a.dims).chain(b.letters.iter().zip(&b.dims)) {
        match all.iter_mut().find(|(m, _)| m == l) {
            Some((_, m)) if *m == 1 => *m = *n,
            Some((_, m)) if *n != 1 && m != n => return Err(bad(format!("a dimension of {m} and {n} elements"))),
            Some(_) => {}
            None => all.push((*l, *n)),
        }
    }
    all.sort_by_key(|(l, _)| !needed(l));
    let kept = all.iter().filter(|(l, _)| needed(l)).count();
    let dims: Vec<usize> = all.iter().map(|(_, n)| *n).collect();
    let work = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
    call.spend(work)?;
    let out_n = room(&dims[..kept], 8)?;
    let step = |t: &Term, l: u8| {
        t.letters.iter().position(|m| *m == l).map_or(0, |i| if t.dims[i] == 1 { 0 } else { strides(&t.dims)[i] })
    };
    let steps: Vec<[usize; 2]> = all.iter().map(|(l, _)| [step(a, *l), step(b, *l)]).collect();
    let inner: Vec<(usize, [usize; 2])> = dims[kept..].iter().copied().zip(steps[kept..].iter().copied()).collect();
    let outer: Vec<(usize, [usize; 2])> = dims[..kept].iter().copied().zip(steps[..kept].iter().copied()).collect();
    let mut values = Vec::with_capacity(out_n);
    if out_n > 0 {
        super::rows(&outer, |[i, j], n, [s, t]| {
            for k in 0..n {
                let (i, j) = (i + k * s, j + k * t);
                let mut sum = 0.0;
                super::rows(&inner, |[p, q], n, [s, t]| {
                    for k in 0..n {
                        sum += a.values[i + p + k * s] * b.values[j + q + k * t];
                    }
                });
                values.push(sum);
            }
        });
    }
    let letters = all[..kept].iter().map(|(l, _)| *l).collect();
    Ok(Term { letters, dims: dims[..kept].to_vec(), values })
}
