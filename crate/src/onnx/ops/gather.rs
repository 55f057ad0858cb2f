//! Operators that pick elements by index, write them by index, or find them.

use std::collections::HashMap;

use super::{axis, product, single_i64, strides};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, room, same_type, wrong_type},
    },
};

/// An index counted from either end.
pub(super) fn place(i: i64, n: usize) -> Result<usize> {
    let at = if i < 0 { i.saturating_add(n as i64) } else { i };
    usize::try_from(at).ok().filter(|a| *a < n).ok_or_else(|| bad(format!("index {i} of an axis of size {n}")))
}

pub(in crate::onnx) fn gather(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices) = (call.tensor(0)?, call.tensor(1)?);
    let at = axis(call.int("axis", 0)?, x.rank())?;
    one(gathered(&x, &indices, at)?)
}
/// Rows of an axis by index.
pub(super) fn gathered(x: &Tensor, indices: &Tensor, at: usize) -> Result<Tensor> {
    let n = x.dims()[at];
    let list: Result<Vec<usize>> = indices.to_i64s()?.into_iter().map(|i| place(i, n)).collect();
    let list = list?;
    let dims = [&x.dims()[..at], indices.dims(), &x.dims()[at + 1..]].concat();
    let total = room(&dims, x.kind().size())?;
    let (outer, inner) = (product(&x.dims()[..at]), product(&x.dims()[at + 1..]));
    let data = same_type!(x.data(), v => {
        let mut out = Vec::with_capacity(total);
        for o in 0..outer {
            for i in &list {
                let from = (o * n + i) * inner;
                out.extend_from_slice(&v[from..from + inner]);
            }
        }
        out
    });
    Tensor::of(dims, data)
}

pub(in crate::onnx) fn gather_elements(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices) = (call.tensor(0)?, call.tensor(1)?);
    let at = axis(call.int("axis", 0)?, x.rank())?;
    let places = element_places(&x, &indices, at)?;
    one(x.picked(&places, indices.dims().to_vec())?)
}

/// For each index its flat place: all coordinates are the index's own but that of the axis.
fn element_places(x: &Tensor, indices: &Tensor, at: usize) -> Result<Vec<usize>> {
    let fits = x.rank() == indices.rank() && (0..x.rank()).all(|d| d == at || indices.dims()[d] <= x.dims()[d]);
    if !fits {
        return Err(bad(format!("indices {} of {} along axis {at}", indices.told(), x.told())));
    }
    let (own, theirs) = (strides(x.dims()), strides(indices.dims()));
    indices
        .to_i64s()?
        .into_iter()
        .enumerate()
        .map(|(i, index)| {
            let mut flat = place(index, x.dims()[at])? * own[at];
            for d in (0..x.rank()).filter(|d| *d != at) {
                flat += i / theirs[d] % indices.dims()[d] * own[d];
            }
            Ok(flat)
        })
        .collect()
}

/// Places where slices that lists of coordinates name begin, and the length of a slice.
fn slice_places(x: &Tensor, indices: &Tensor, batch: usize) -> Result<(Vec<usize>, usize)> {
    let Some((k, _)) = indices.dims().split_last() else {
        return Err(bad("indices of at least one dimension expected"));
    };
    if batch + k > x.rank() || batch >= indices.rank() || x.dims()[..batch] != indices.dims()[..batch] {
        return Err(bad(format!("indices {} of {} with {batch} batch dimensions", indices.told(), x.told())));
    }
    let own = strides(x.dims());
    let inner = product(&x.dims()[batch + k..]);
    let list = indices.to_i64s()?;
    let count = product(&indices.dims()[..indices.rank() - 1]);
    let batches = product(&indices.dims()[..batch]).max(1);
    let each = (count / batches).max(1);
    let stride = if batch == 0 { 0 } else { own[batch - 1] };
    let mut places = Vec::with_capacity(count);
    for i in 0..count {
        let mut flat = i / each * stride;
        for d in 0..*k {
            flat += place(list[i * k + d], x.dims()[batch + d])? * own[batch + d];
        }
        places.push(flat);
    }
    Ok((places, inner))
}

pub(in crate::onnx) fn gather_nd(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices) = (call.tensor(0)?, call.tensor(1)?);
    let batch = super::size(call.int("batch_dims", 0)?)?;
    let (places, inner) = slice_places(&x, &indices, batch)?;
    let k = indices.dims()[indices.rank() - 1];
    let dims = [&indices.dims()[..indices.rank() - 1], &x.dims()[batch + k..]].concat();
    room(&dims, x.kind().size())?;
    let data = same_type!(x.data(), v => places.iter().flat_map(|p| v[*p..*p + inner].iter().cloned()).collect());
    one(Tensor::of(dims, data)?)
}

/// How a written element meets the one that is there.
fn reduction(call: &Call<'_, '_>) -> Result<fn(f64, f64) -> f64> {
    Ok(match call.text("reduction", "none")?.as_str() {
        "none" => |_, b| b,
        "add" => |a, b| a + b,
        "mul" => |a, b| a * b,
        "max" => f64::max,
        "min" => f64::min,
        other => return Err(bad(format!("the reduction none, add, mul, max or min expected, {other:?} found"))),
    })
}

/// Writes `updates` at places of `x`.
fn written(x: &Tensor, places: &[usize], updates: &Tensor, call: &Call<'_, '_>) -> Result<Tensor> {
    if updates.kind() != x.kind() {
        return Err(bad(format!("updates of the type of {} expected, {} found", x.told(), updates.told())));
    }
    if call.text("reduction", "none")? == "none" {
        macro_rules! put {
            ($($variant:ident),*) => {
                match (x.data(), updates.data()) {
                    $((Data::$variant(v), Data::$variant(w)) => {
                        let mut v = v.clone();
                        for (p, value) in places.iter().zip(w) { v[*p] = value.clone(); }
                        Data::$variant(v)
                    })*
                    (Data::Small(kind, v), Data::Small(_, w)) => {
                        let mut v = v.clone();
                        for (p, value) in places.iter().zip(w) { v[*p] = *value; }
                        Data::Small(*kind, v)
                    }
                    _ => return Err(wrong_type(x.kind().name(), updates.kind())),
                }
            };
        }
        return x.with(put!(F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Str, C64, C128));
    }
    let f = reduction(call)?;
    let integer = !x.kind().is_float();
    if integer && matches!(x.kind(), Type::I64 | Type::U64) {
        let (mut v, w) = (x.to_i64s()?, updates.to_i64s()?);
        let how = call.text("reduction", "none")?;
        for (p, b) in places.iter().zip(w) {
            let a = &mut v[*p];
            *a = match how.as_str() {
                "add" => a.wrapping_add(b),
                "mul" => a.wrapping_mul(b),
                "max" => (*a).max(b),
                _ => (*a).min(b),
            };
        }
        return x.with(cast::from_i64s(x.kind(), &v)?);
    }
    let (mut v, w) = (x.to_f64s()?, updates.to_f64s()?);
    for (p, b) in places.iter().zip(w) {
        v[*p] = f(v[*p], b);
    }
    x.with(cast::from_f64s(x.kind(), &v, Rounding::default())?)
}

pub(in crate::onnx) fn scatter_elements(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices, updates) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let at = axis(call.int("axis", 0)?, x.rank())?;
    if indices.dims() != updates.dims() {
        return Err(bad(format!("indices {} and updates {} of different shapes", indices.told(), updates.told())));
    }
    let places = element_places(&x, &indices, at)?;
    one(written(&x, &places, &updates, call)?)
}
pub(in crate::onnx) fn scatter_nd(call: &mut Call<'_, '_>) -> Outputs {
    let (x, indices, updates) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (places, inner) = slice_places(&x, &indices, 0)?;
    if updates.len() != places.len() * inner {
        return Err(bad(format!("updates {} for {} slices of {inner} elements", updates.told(), places.len())));
    }
    let all: Vec<usize> = places.iter().flat_map(|p| *p..*p + inner).collect();
    one(written(&x, &all, &updates, call)?)
}

pub(in crate::onnx) fn tensor_scatter(call: &mut Call<'_, '_>) -> Outputs {
    let (x, update) = (call.tensor(0)?, call.tensor(1)?);
    let at = axis(call.int("axis", -2)?, x.rank())?;
    let circular = call.text("mode", "linear")? == "circular";
    let starts = call.optional(2)?.map(|t| t.to_i64s()).transpose()?.unwrap_or_else(|| vec![0; x.dims()[0]]);
    let fits = x.rank() == update.rank() && (0..x.rank()).all(|d| d == at || x.dims()[d] == update.dims()[d]);
    if !fits || at == 0 || starts.len() != x.dims()[0] {
        return Err(bad(format!("an update {} of {} along axis {at}", update.told(), x.told())));
    }
    let (own, theirs) = (strides(x.dims()), strides(update.dims()));
    let n = x.dims()[at];
    let mut places = Vec::with_capacity(update.len());
    for i in 0..update.len() {
        let mut flat = 0;
        for d in 0..x.rank() {
            let c = i / theirs[d] % update.dims()[d];
            let c = if d == at {
                let to = starts[i / theirs[0]].saturating_add(c as i64);
                place(if circular { to.rem_euclid(n.max(1) as i64) } else { to }, n)?
            } else {
                c
            };
            flat += c * own[d];
        }
        places.push(flat);
    }
    one(written(&x, &places, &update, call)?)
}

pub(in crate::onnx) fn compress(call: &mut Call<'_, '_>) -> Outputs {
    let (mut x, keep) = (call.tensor(0)?, call.tensor(1)?);
    let at = match call.int_opt("axis")? {
        Some(a) => axis(a, x.rank())?,
        None => {
            x = x.reshaped([x.len()])?;
            0
        }
    };
    let list: Vec<i64> =
        keep.bools()?.iter().enumerate().filter(|(i, k)| **k && *i < x.dims()[at]).map(|(i, _)| i as i64).collect();
    one(gathered(&x, &Tensor::list_i64(list)?, at)?)
}

pub(in crate::onnx) fn non_zero(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let x = if x.rank() == 0 { x.reshaped([1])? } else { x };
    let hit: Vec<usize> = match x.data() {
        Data::Bool(v) => v.iter().enumerate().filter(|(_, b)| **b).map(|(i, _)| i).collect(),
        Data::Str(v) => v.iter().enumerate().filter(|(_, s)| !s.is_empty()).map(|(i, _)| i).collect(),
        other => cast::f64s(other)?.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect(),
    };
    let own = strides(x.dims());
    let mut out = Vec::with_capacity(hit.len() * x.rank());
    for d in 0..x.rank() {
        out.extend(hit.iter().map(|i| (i / own[d] % x.dims()[d]) as i64));
    }
    one(Tensor::of([x.rank(), hit.len()], Data::I64(out))?)
}

pub(in crate::onnx) fn one_hot(call: &mut Call<'_, '_>) -> Outputs {
    let (indices, depth, values) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let depth = super::size(depth.to_i64s()?.first().copied().unwrap_or(0))?;
    let rank = indices.rank() + 1;
    let at = axis(call.int("axis", -1)?, rank)?;
    if values.len() != 2 {
        return Err(bad(format!("an off and an on value expected, {} found", values.told())));
    }
    let dims = [&indices.dims()[..at], &[depth], &indices.dims()[at..]].concat();
    let n = room(&dims, values.kind().size())?;
    let inner = product(&indices.dims()[at..]);
    let list = indices.to_i64s()?;
    let mut hot = vec![false; n];
    for (i, index) in list.iter().enumerate() {
        let index = if *index < 0 { index.saturating_add(depth as i64) } else { *index };
        if let Some(index) = usize::try_from(index).ok().filter(|x| *x < depth) {
            hot[(i / inner * depth + index) * inner + i % inner] = true;
        }
    }
    let data = same_type!(values.data(), v => hot.iter().map(|h| v[usize::from(*h)].clone()).collect());
    one(Tensor::of(dims, data)?)
}

/// Values in order: NaN last.
fn order(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

pub(in crate::onnx) fn top_k(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", -1)?, x.rank())?;
    let k = if call.since(10) { single_i64(&call.tensor(1)?)? } else { call.int("k", 0)? };
    let k = super::size(k)?;
    let largest = call.flag("largest", true)?;
    let n = x.dims()[at];
    if k > n {
        return Err(bad(format!("the {k} first of an axis of size {n}")));
    }
    let (outer, inner) = (product(&x.dims()[..at]), product(&x.dims()[at + 1..]));
    let mut dims = x.dims().to_vec();
    dims[at] = k;
    let wide = matches!(x.kind(), Type::I64 | Type::U64);
    let (floats, ints) = if wide { (Vec::new(), x.to_i64s()?) } else { (x.to_f64s()?, Vec::new()) };
    let total = room(&dims, 16)?;
    let (mut places, mut indices) = (vec![0; total], vec![0i64; total]);
    let mut rank: Vec<usize> = Vec::new();
    for o in 0..outer {
        for i in 0..inner {
            let flat = |j: usize| (o * n + j) * inner + i;
            rank.clear();
            rank.extend(0..n);
            let compare = |a: &usize, b: &usize| {
                let by =
                    if wide { ints[flat(*a)].cmp(&ints[flat(*b)]) } else { order(floats[flat(*a)], floats[flat(*b)]) };
                (if largest { by.reverse() } else { by }).then(a.cmp(b))
            };
            if k > 0 && k < n {
                rank.select_nth_unstable_by(k - 1, compare);
            }
            rank.truncate(k);
            rank.sort_unstable_by(compare);
            for (j, source) in rank.iter().enumerate() {
                let to = (o * k + j) * inner + i;
                places[to] = flat(*source);
                indices[to] = *source as i64;
            }
        }
    }
    Ok(vec![x.picked(&places, dims.clone())?.into(), Tensor::of(dims, Data::I64(indices))?.into()])
}

/// What makes two elements the same, as bytes that sort as the elements do.
fn keys(x: &Tensor) -> Result<Vec<Vec<u8>>> {
    Ok(match x.data() {
        Data::Str(v) => v.iter().map(|s| [s.as_bytes(), &[0]].concat()).collect(),
        Data::I64(v) => v.iter().map(|n| ((*n as u64) ^ (1 << 63)).to_be_bytes().to_vec()).collect(),
        Data::U64(v) => v.iter().map(|n| n.to_be_bytes().to_vec()).collect(),
        other => cast::f64s(other)?
            .iter()
            .map(|x| {
                let bits = (if *x == 0.0 { 0.0 } else { *x }).to_bits();
                let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                ordered.to_be_bytes().to_vec()
            })
            .collect(),
    })
}

pub(in crate::onnx) fn unique(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let sorted = call.flag("sorted", true)?;
    let by_axis = call.int_opt("axis")?.map(|a| axis(a, x.rank())).transpose()?;
    let (x, at) = match by_axis {
        Some(a) => (x, a),
        None => (x.reshaped([x.len()])?, 0),
    };
    let n = x.dims()[at];
    let inner = product(&x.dims()[at + 1..]);
    let outer = product(&x.dims()[..at]);
    let each = keys(&x)?;
    let slices: Vec<Vec<u8>> = (0..n)
        .map(|j| {
            (0..outer)
                .flat_map(|o| (0..inner).flat_map(move |i| [(o * n + j) * inner + i]))
                .flat_map(|p| each[p].iter().copied())
                .collect()
        })
        .collect();
    let mut first: HashMap<&[u8], usize> = HashMap::new();
    // First place and count of each, in the order of first places.
    let mut found: Vec<(usize, i64)> = Vec::new();
    let mut of = Vec::with_capacity(n);
    for (j, key) in slices.iter().enumerate() {
        let i = *first.entry(key).or_insert_with(|| {
            found.push((j, 0));
            found.len() - 1
        });
        found[i].1 += 1;
        of.push(i);
    }
    let mut rank: Vec<usize> = (0..found.len()).collect();
    if sorted {
        rank.sort_by(|a, b| slices[found[*a].0].cmp(&slices[found[*b].0]));
    }
    let mut position = vec![0i64; found.len()];
    for (to, i) in rank.iter().enumerate() {
        position[*i] = to as i64;
    }
    let firsts: Vec<i64> = rank.iter().map(|i| found[*i].0 as i64).collect();
    let counts = rank.iter().map(|i| found[*i].1).collect();
    let inverse = of.iter().map(|i| position[*i]).collect();
    let list = Tensor::list_i64(firsts)?;
    Ok(vec![
        gathered(&x, &list, at)?.into(),
        list.into(),
        Tensor::list_i64(inverse)?.into(),
        Tensor::list_i64(counts)?.into(),
    ])
}
