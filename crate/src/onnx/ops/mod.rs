//! The operators, a file for each family, and what they share: broadcasting, axes, transposition.

pub(super) mod attention;
pub(super) mod control;
pub(super) mod conv;
pub(super) mod elementwise;
pub(super) mod gather;
pub(super) mod image;
pub(super) mod loss;
pub(super) mod matrix;
pub(super) mod microsoft;
pub(super) mod ml;
pub(super) mod norm;
pub(super) mod pool;
pub(super) mod quantized;
pub(super) mod random;
pub(super) mod recurrent;
pub(super) mod reduce;
pub(super) mod sequence;
pub(super) mod shape;
pub(super) mod signal;
pub(super) mod text;
pub(super) mod training;
pub(super) mod trees;

use super::{
    run::bad,
    value::{Data, Tensor, room, same_type},
};
use crate::fault::Result;

/// The product of sizes.
pub(super) fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// An axis counted from either end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let found = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(found)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| bad(format!("axis {axis} of a tensor of {rank} dimensions")))
}

/// Axes counted from either end, each once.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let found: Result<Vec<usize>> = list.iter().map(|a| axis(*a, rank)).collect();
    let found = found?;
    for (i, a) in found.iter().enumerate() {
        if found[..i].contains(a) {
            return Err(bad(format!("axis {a} is named twice")));
        }
    }
    Ok(found)
}

/// A size from a file: at least 0.
pub(super) fn size(n: i64) -> Result<usize> {
    usize::try_from(n).map_err(|_| bad(format!("a size of at least 0 expected, {n} found")))
}

/// Sizes from a file.
pub(super) fn sizes(list: &[i64]) -> Result<Vec<usize>> {
    list.iter().map(|n| size(*n)).collect()
}

/// The shape that shapes broadcast to.
pub(super) fn broadcast_shape(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out = vec![1; rank];
    for shape in shapes {
        let from = rank - shape.len();
        for (o, d) in out[from..].iter_mut().zip(*shape) {
            if *o == 1 {
                *o = *d;
            } else if *d != 1 && *d != *o {
                return Err(bad(format!("the shapes {shapes:?} do not broadcast")));
            }
        }
    }
    Ok(out)
}

/// Row-major strides.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for i in (0..dims.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * dims[i + 1];
    }
    strides
}

/// Loops over a broadcast shape: size and each operand's stride, outermost first; neighbours that can be one are one.
pub(super) fn loops<const K: usize>(shapes: [&[usize]; K], out: &[usize]) -> Vec<(usize, [usize; K])> {
    let all = shapes.map(strides);
    let mut found: Vec<(usize, [usize; K])> = Vec::new();
    for (d, n) in out.iter().enumerate() {
        if *n == 1 {
            continue;
        }
        let mut step = [0; K];
        for k in 0..K {
            let shape = shapes[k];
            if let Some(i) = (d + shape.len()).checked_sub(out.len())
                && shape[i] != 1
            {
                step[k] = all[k][i];
            }
        }
        match found.last_mut() {
            Some((m, outer)) if (0..K).all(|k| outer[k] == step[k] * n) => {
                *m *= n;
                *outer = step;
            }
            _ => found.push((*n, step)),
        }
    }
    found
}

/// Calls `row` for each innermost row: offsets, length, strides.
pub(super) fn rows<const K: usize>(loops: &[(usize, [usize; K])], mut row: impl FnMut([usize; K], usize, [usize; K])) {
    let Some(((n, step), outer)) = loops.split_last() else {
        row([0; K], 1, [0; K]);
        return;
    };
    if loops.iter().any(|(n, _)| *n == 0) {
        return;
    }
    let mut at = vec![0usize; outer.len()];
    let mut offset = [0; K];
    loop {
        row(offset, *n, *step);
        let mut d = outer.len();
        loop {
            if d == 0 {
                return;
            }
            d -= 1;
            at[d] += 1;
            for k in 0..K {
                offset[k] += outer[d].1[k];
            }
            if at[d] < outer[d].0 {
                break;
            }
            for k in 0..K {
                offset[k] -= outer[d].1[k] * outer[d].0;
            }
            at[d] = 0;
        }
    }
}

/// Two operands broadcast against each other.
pub(super) fn zip<A, B, O>(
    (a, ad): (&[A], &[usize]),
    (b, bd): (&[B], &[usize]),
    f: impl Fn(&A, &B) -> O,
) -> Result<(Vec<usize>, Vec<O>)> {
    let dims = broadcast_shape(&[ad, bd])?;
    let n = room(&dims, size_of::<O>())?;
    let mut out = Vec::with_capacity(n);
    if n > 0 {
        rows(&loops([ad, bd], &dims), |[i, j], n, [s, t]| match (s, t) {
            (1, 1) => out.extend(a[i..i + n].iter().zip(&b[j..j + n]).map(|(x, y)| f(x, y))),
            (1, 0) => out.extend(a[i..i + n].iter().map(|x| f(x, &b[j]))),
            (0, 1) => out.extend(b[j..j + n].iter().map(|y| f(&a[i], y))),
            _ => out.extend((0..n).map(|k| f(&a[i + k * s], &b[j + k * t]))),
        });
    }
    Ok((dims, out))
}

/// Elements read with strides of their own for each dimension of the result.
pub(super) fn strided<T: Clone>(v: &[T], start: usize, dims: &[usize], steps: &[isize]) -> Vec<T> {
    let n = product(dims);
    let mut out = Vec::with_capacity(n);
    if n == 0 {
        return out;
    }
    let Some(((inner, step), (outer, outer_steps))) =
        dims.split_last().zip(steps.split_last()).map(|((n, d), (s, t))| ((*n, *s), (d, t)))
    else {
        out.push(v[start].clone());
        return out;
    };
    let mut at = vec![0usize; outer.len()];
    let mut offset = start as isize;
    loop {
        if step == 1 {
            let from = offset as usize;
            out.extend_from_slice(&v[from..from + inner]);
        } else {
            out.extend((0..inner).map(|k| v[(offset + k as isize * step) as usize].clone()));
        }
        let mut d = outer.len();
        loop {
            if d == 0 {
                return out;
            }
            d -= 1;
            at[d] += 1;
            offset += outer_steps[d];
            if at[d] < outer[d] {
                break;
            }
            offset -= outer_steps[d] * outer[d] as isize;
            at[d] = 0;
        }
    }
}

impl Tensor {
    /// Elements read with strides of their own for each dimension of the result.
    pub(super) fn strided(&self, start: usize, dims: Vec<usize>, steps: &[isize]) -> Result<Self> {
        room(&dims, self.kind().size())?;
        let data = same_type!(self.data(), v => strided(v, start, &dims, steps));
        Self::of(dims, data)
    }
    /// Dimensions in another order.
    pub(super) fn permuted(&self, order: &[usize]) -> Result<Self> {
        if order.iter().enumerate().all(|(i, o)| i == *o) {
            return Ok(self.clone());
        }
        let own = strides(self.dims());
        let dims: Vec<usize> = order.iter().map(|o| self.dims()[*o]).collect();
        // A dimension of one element may lie anywhere: then nothing moves.
        let moved: Vec<usize> = order.iter().copied().filter(|o| self.dims()[*o] != 1).collect();
        if moved.is_sorted() {
            return self.reshaped(dims);
        }
        let steps: Vec<isize> = order.iter().map(|o| own[*o] as isize).collect();
        self.strided(0, dims, &steps)
    }
    /// Broadcast to a shape.
    pub(super) fn expanded(&self, dims: &[usize]) -> Result<Self> {
        if self.dims() == dims {
            return Ok(self.clone());
        }
        if broadcast_shape(&[self.dims(), dims])? != dims {
            return Err(bad(format!("the shape {:?} does not broadcast to {dims:?}", self.dims())));
        }
        let own = strides(self.dims());
        let missing = dims.len() - self.rank();
        let steps: Vec<isize> = (0..dims.len())
            .map(|d| match d.checked_sub(missing) {
                Some(i) if self.dims()[i] != 1 => own[i] as isize,
                _ => 0,
            })
            .collect();
        self.strided(0, dims.to_vec(), &steps)
    }
    /// Elements at flat places.
    pub(super) fn picked(&self, places: &[usize], dims: Vec<usize>) -> Result<Self> {
        let data = same_type!(self.data(), v => places.iter().map(|p| v[*p].clone()).collect());
        Self::of(dims, data)
    }
    /// Data of the same type and length as a shape.
    pub(super) fn with(&self, data: Data) -> Result<Self> {
        Self::of(self.dims(), data)
    }
}

/// One integer of a tensor of one element.
pub(super) fn single_i64(tensor: &Tensor) -> Result<i64> {
    let values = tensor.to_i64s()?;
    match values[..] {
        [n] => Ok(n),
        _ => Err(bad(format!("one integer expected, {} found", tensor.told()))),
    }
}

/// One number of a tensor of one element.
pub(super) fn single_f64(tensor: &Tensor) -> Result<f64> {
    let values = tensor.to_f64s()?;
    match values[..] {
        [n] => Ok(n),
        _ => Err(bad(format!("one number expected, {} found", tensor.told()))),
    }
}
