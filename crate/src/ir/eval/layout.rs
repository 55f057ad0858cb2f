//! Operations that move values without changing them.

use super::array::{Array, Data, Slice, View};
use crate::fault::{Fault, Result};

/// The values that the shape and strides walk over, in order.
fn walk<T: Copy>(data: &[T], shape: &[usize], strides: &[usize], at: usize, out: &mut Vec<T>) {
    match (shape.split_first(), strides.split_first()) {
        (Some((n, shape)), Some((stride, strides))) => {
            for i in 0..*n {
                walk(data, shape, strides, at + i * stride, out);
            }
        }
        _ => out.extend(data.get(at)),
    }
}

/// An array of the values at `offset + sum of index * stride`.
fn strided(x: &View<'_>, shape: Vec<usize>, strides: &[usize], offset: usize) -> Result<Array> {
    fn gather<T: Copy>(data: &[T], shape: &[usize], strides: &[usize], offset: usize) -> Vec<T> {
        let mut out = Vec::new();
        walk(data, shape, strides, offset, &mut out);
        out
    }
    let data = match x.data() {
        Slice::F32(v) => Data::F32(gather(v, &shape, strides, offset)),
        Slice::I32(v) => Data::I32(gather(v, &shape, strides, offset)),
        Slice::I64(v) => Data::I64(gather(v, &shape, strides, offset)),
        Slice::Bool(v) => Data::Bool(gather(v, &shape, strides, offset)),
    };
    Array::new(shape, data)
}

/// From an index of each dimension to the next one's, in values.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The shape to which both can be repeated.
pub(super) fn common_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(Fault::bug(format!("shapes that fit each other expected, {a:?} and {b:?} found"))),
        })
        .collect()
}

/// Dimensions of one, and missing outer ones, repeated to a shape.
pub(super) fn expand(x: &View<'_>, shape: &[usize]) -> Result<Array> {
    let missing = shape.len().checked_sub(x.shape().len());
    let missing = missing.ok_or_else(|| Fault::bug(format!("{:?} cannot be repeated to {shape:?}", x.shape())))?;
    let mut steps = vec![0; missing];
    steps.extend(strides(x.shape()).iter().zip(x.shape()).map(|(s, n)| if *n == 1 { 0 } else { *s }));
    strided(x, shape.to_vec(), &steps, 0)
}

pub(super) fn reshape(x: &View<'_>, shape: Vec<usize>) -> Result<Array> {
    Array::new(shape, x.data().to_data())
}

pub(super) fn transpose(x: &View<'_>, order: &[usize]) -> Result<Array> {
    let from = strides(x.shape());
    let pick = |values: &[usize]| order.iter().map(|i| values.get(*i).copied()).collect::<Option<Vec<_>>>();
    match (pick(x.shape()), pick(&from)) {
        (Some(shape), Some(strides)) if order.len() == from.len() => strided(x, shape, &strides, 0),
        _ => Err(Fault::bug(format!("{order:?} is no order of the dimensions of {:?}", x.shape()))),
    }
}

pub(super) fn slice(x: &View<'_>, axis: usize, start: usize, len: usize) -> Result<Array> {
    let mut shape = x.shape().to_vec();
    match shape.get_mut(axis) {
        Some(n) if start.checked_add(len).is_some_and(|end| end <= *n) => *n = len,
        _ => return Err(Fault::bug(format!("{len} indices from {start} of dimension {axis} of {:?}", x.shape()))),
    }
    let steps = strides(x.shape());
    let offset = start * steps[axis];
    strided(x, shape, &steps, offset)
}

pub(super) fn concat(parts: &[View<'_>], axis: usize) -> Result<Array> {
    let first = parts.first().ok_or_else(|| Fault::bug("nothing to be joined"))?;
    let mut shape = first.shape().to_vec();
    let sum = parts.iter().filter_map(|p| p.shape().get(axis)).sum();
    *shape.get_mut(axis).ok_or_else(|| Fault::bug(format!("no dimension {axis} in {:?}", first.shape())))? = sum;
    let runs = shape[..axis].iter().product::<usize>();
    let mut data = match first.data() {
        Slice::F32(_) => Data::F32(Vec::new()),
        Slice::I32(_) => Data::I32(Vec::new()),
        Slice::I64(_) => Data::I64(Vec::new()),
        Slice::Bool(_) => Data::Bool(Vec::new()),
    };
    for run in 0..runs {
        for part in parts {
            let len = part.data().len() / runs;
            let range = run * len..(run + 1) * len;
            match (&mut data, part.data()) {
                (Data::F32(out), Slice::F32(v)) => out.extend_from_slice(&v[range]),
                (Data::I32(out), Slice::I32(v)) => out.extend_from_slice(&v[range]),
                (Data::I64(out), Slice::I64(v)) => out.extend_from_slice(&v[range]),
                (Data::Bool(out), Slice::Bool(v)) => out.extend_from_slice(&v[range]),
                _ => return Err(Fault::bug("values of one type expected to be joined")),
            }
        }
    }
    Array::new(shape, data)
}

pub(super) fn select(condition: &View<'_>, a: &View<'_>, b: &View<'_>) -> Result<Array> {
    fn choose<T: Copy>(condition: &[bool], a: &[T], b: &[T]) -> Vec<T> {
        condition.iter().zip(a.iter().zip(b)).map(|(c, (a, b))| if *c { *a } else { *b }).collect()
    }
    let shape = common_shape(condition.shape(), &common_shape(a.shape(), b.shape())?)?;
    let [condition, a, b] = [expand(condition, &shape)?, expand(a, &shape)?, expand(b, &shape)?];
    let Data::Bool(condition) = &condition.data else { return Err(Fault::bug("a condition expected")) };
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => Data::F32(choose(condition, a, b)),
        (Data::I32(a), Data::I32(b)) => Data::I32(choose(condition, a, b)),
        (Data::I64(a), Data::I64(b)) => Data::I64(choose(condition, a, b)),
        (Data::Bool(a), Data::Bool(b)) => Data::Bool(choose(condition, a, b)),
        _ => return Err(Fault::bug("two lists of values of one type expected")),
    };
    Array::new(shape, data)
}
