//! Weights that quantizers keep in several tensors: unpacked row by row, into blocks that hold them exactly or into F16.

use std::{collections::HashMap, ops::Range};

use super::{Files, PIECE, TRANSPOSED_MOST, Tensor, runs, turned::Target};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{DType, Dim, Fact, Graph, Source, Stored, Weight, retype},
    model::{Packed, PackedPart, Scaling, Zeros},
    session::Inspection,
    tensor::{
        Encoding,
        float::E8M0,
        packed::{Codes, Layout, Parts, Spread, Unpacker, zeros_of_columns, zeros_of_rows, zeros_woven},
    },
};

/// Values of scales, zeros and biases of one weight at most: they are in memory while it is unpacked.
const PARTS_MOST: u64 = 1 << 27;

/// The packed weights of a model, by the tensor of their codes.
pub(in crate::session::run) type PackedWeights = HashMap<usize, Packed>;

/// Rows of a weight that several tensors hold together, unpacked: `[rows, row_len]` values of one that [`Packed::main`] names.
///
/// # Errors
/// The tensor is of no packed weight; the shape is not its; its parts cannot be read, or are not as many as there must be.
pub async fn unpacked_rows(
    inspection: &Inspection,
    main: usize,
    [all, row_len]: [u32; 2],
    rows: Range<u32>,
) -> Result<Vec<f32>> {
    let packed: PackedWeights = inspection.model().packed().into_iter().map(|p| (p.main, p)).collect();
    let known = packed.get(&main).ok_or_else(|| Fault::caller(format!("tensor {main} is of no packed weight")))?;
    if known.elements() != Some(u64::from(all) * u64::from(row_len)) || rows.end > all {
        return Err(Fault::caller(format!("rows {rows:?} of {all} x {row_len} values of {}", known.stem)));
    }
    let source = Source { stored: Stored::Packed, ..Source::rows(main, 0, all) };
    let fact = Fact::new(DType::Block(Encoding::F16), [Dim::Fixed(all), Dim::Fixed(row_len)]);
    let weight = Weight { name: known.stem.as_str().into(), fact, sources: vec![source.clone()] };
    let files = Files { model: inspection, adapters: &[], packed: &packed };
    let (tensor, unpacker) = (Tensor::of(files, main)?, unpacker(files, &weight, &source).await?);
    let layout = layout(files, &weight, &source)?;
    let stride = stride(&tensor, &layout)?;
    let bytes = match stride {
        Some(stride) => tensor.read(u64::from(rows.start) * stride..u64::from(rows.end) * stride).await?,
        None => whole(&tensor).await?,
    };
    let mut out = Vec::new();
    for row in rows.clone() {
        let skip = stride.map_or(0, |stride| u64::from(row - rows.start) * stride) as usize;
        out.extend(unpacker.values(u64::from(row), &unpacker.codes(&bytes[skip..], u64::from(row))));
    }
    Ok(out)
}

/// Bytes from one row's codes to the next one's; `None` where all codes are needed for a row.
fn stride(tensor: &Tensor<'_>, layout: &Layout) -> Result<Option<u64>> {
    match layout.codes {
        // Rows of words may be longer than their codes.
        Codes::Rows => tensor.row_bytes().map(Some),
        _ => Ok(layout.row_bytes()),
    }
}

/// All codes of a weight that lie by inputs.
async fn whole(tensor: &Tensor<'_>) -> Result<Vec<u8>> {
    let all = tensor.at.end - tensor.at.start;
    if all > TRANSPOSED_MOST {
        let what =
            format!("the codes of {} lie by inputs, and have more than {TRANSPOSED_MOST} bytes", tensor.entry.name);
        return Err(Fault::limit(what));
    }
    tensor.read(0..all).await
}

/// Finds the packed weights, and has those whose blocks would not hold them exactly widened to F16; what is to be told of them.
///
/// # Errors
/// Scales or zeros cannot be read, or are not as many as there must be.
pub(in crate::session::run) async fn survey(
    inspection: &Inspection,
    graph: &mut Graph,
) -> Result<(PackedWeights, Vec<String>)> {
    let is_packed = |w: &Weight| w.sources.iter().any(|s| s.stored == Stored::Packed);
    if !graph.weights.iter().any(is_packed) {
        return Ok((PackedWeights::new(), Vec::new()));
    }
    let packed: PackedWeights = inspection.model().packed().into_iter().map(|p| (p.main, p)).collect();
    let files = Files { model: inspection, adapters: &[], packed: &packed };
    let mut widened = vec![false; graph.weights.len()];
    for (weight, widened) in graph.weights.iter().zip(&mut widened) {
        let Some(encoding) = weight.encoding().filter(|e| *e != Encoding::F16 && is_packed(weight)) else { continue };
        for source in weight.sources.iter().filter(|s| s.stored == Stored::Packed) {
            *widened |= !unpacker(files, weight, source).await?.is_exact(encoding);
        }
    }
    let notes = told(graph, &packed, &widened);
    retype(graph, |i| widened[i].then_some(Encoding::F16))?;
    Ok((packed, notes))
}

/// Which packings there are, and what becomes of them.
fn told(graph: &Graph, packed: &PackedWeights, widened: &[bool]) -> Vec<String> {
    let mut kinds: Vec<(String, u64, u64, u64)> = Vec::new();
    for (weight, widened) in graph.weights.iter().zip(widened) {
        let first = weight.sources.first().filter(|s| s.stored == Stored::Packed);
        let Some(of) = first.and_then(|s| packed.get(&s.tensor)) else { continue };
        let bits = of.layout.bits;
        let encoding = weight.encoding().filter(|_| !widened).unwrap_or(Encoding::F16);
        let how = match encoding {
            Encoding::F16 => "widened to F16, nearly exactly".to_owned(),
            blocks => format!("kept as {blocks}, exactly"),
        };
        let kind = format!("{}, {bits} bits, {}: {how}", of.packing, of.grouping());
        let row_len = u64::from(weight.fact.width().unwrap_or(0));
        let rows: u64 = weight.sources.iter().map(|s| u64::from(s.count())).sum();
        let bytes = rows.saturating_mul(encoding.bytes(row_len, row_len).unwrap_or(0));
        let codes = rows.saturating_mul(row_len).saturating_mul(u64::from(bits)) / 8;
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, n, all, packed)) => (*n, *all, *packed) = (*n + 1, *all + bytes, *packed + codes),
            None => kinds.push((kind, 1, bytes, codes)),
        }
    }
    let tell = |(kind, n, bytes, codes): (String, u64, u64, u64)| {
        format!("{n} weights are packed as {kind}; they take {bytes} bytes, their codes {codes} in the file")
    };
    kinds.into_iter().map(tell).collect()
}

/// Unpacks rows of a source and sends them.
pub(super) async fn rows(
    files: Files<'_>,
    weight: &Weight,
    source: &Source,
    wanted: Range<u32>,
    mut to: Target<'_>,
) -> Result<()> {
    let tensor = Tensor::of(files, source.tensor)?;
    let (unpacker, layout) = (unpacker(files, weight, source).await?, layout(files, weight, source)?);
    let encoding = weight.encoding().unwrap_or(Encoding::F16);
    let bytes = encoding.bytes(layout.row_len, layout.row_len).unwrap_or(0);
    let size = usize::try_from(bytes).map_err(|_| Fault::limit(format!("rows of {}: {bytes} bytes", weight.name)))?;
    let per_piece = u32::try_from((PIECE / bytes.max(1)).max(1)).unwrap_or(u32::MAX);
    let stride = stride(&tensor, &layout)?;
    let all = match stride {
        Some(_) => Vec::new(),
        None => whole(&tensor).await?,
    };
    for run in runs(source, wanted) {
        for first in run.clone().step_by(per_piece as usize) {
            let end = run.end.min(first.saturating_add(per_piece));
            let mut piece = Vec::with_capacity(size * (end - first) as usize);
            match stride {
                Some(stride) => {
                    let bytes = tensor.read(u64::from(first) * stride..u64::from(end) * stride).await?;
                    for (row, bytes) in (first..end).zip(bytes.chunks((stride as usize).max(1))) {
                        let codes = unpacker.codes(bytes, u64::from(row));
                        piece.extend(unpacker.row(encoding, u64::from(row), &codes));
                    }
                }
                None => {
                    for row in first..end {
                        let codes = unpacker.codes(&all, u64::from(row));
                        piece.extend(unpacker.row(encoding, u64::from(row), &codes));
                    }
                }
            }
            to.send(&piece, size)?;
        }
    }
    Ok(())
}

fn of<'a>(files: Files<'a>, source: &Source) -> Result<&'a Packed> {
    files.packed.get(&source.tensor).ok_or_else(|| Fault::bug("a packed weight that nobody knows"))
}

/// The layout, with the rows that the weight says where the file says none.
fn layout(files: Files<'_>, weight: &Weight, source: &Source) -> Result<Layout> {
    let packed = of(files, source)?;
    let Layout { rows, row_len, .. } = packed.layout;
    let width = u64::from(weight.fact.width().unwrap_or(0)).max(1);
    Ok(match packed.shape {
        Some(_) => packed.layout,
        None => Layout { rows: rows * row_len / width, row_len: width, ..packed.layout },
    })
}

/// All that unpacks a source's rows, but their codes.
async fn unpacker(files: Files<'_>, weight: &Weight, source: &Source) -> Result<Unpacker> {
    let (packed, layout) = (of(files, source)?, layout(files, weight, source)?);
    let scales = packed.part(PackedPart::Scales).ok_or_else(|| Fault::bug("no scales"))?;
    let table = match packed.part(PackedPart::Table) {
        Some(table) => floats(files, table).await?,
        None => Vec::new(),
    };
    let groups = match packed.part(PackedPart::Groups) {
        // A number of a group below zero is none, and refused as one beyond them.
        Some(groups) => {
            floats(files, groups).await?.iter().map(|g| if *g < 0.0 { u32::MAX } else { *g as u32 }).collect()
        }
        None => Vec::new(),
    };
    let biases = match packed.part(PackedPart::Biases) {
        Some(biases) => floats(files, biases).await?,
        None => Vec::new(),
    };
    let parts = Parts {
        scales: scaled(files, packed, scales).await?,
        zeros: zeros(files, packed, &layout).await?,
        biases,
        groups,
        table,
    };
    Unpacker::new(layout, parts).map_err(|what| Fault::new(Blame::File, format!("{}: {what}", packed.stem)))
}

async fn scaled(files: Files<'_>, packed: &Packed, scales: usize) -> Result<Vec<f32>> {
    let second = |part| packed.part(part).ok_or_else(|| Fault::bug("a scale of scales is missing"));
    Ok(match packed.scaling {
        Scaling::Times(1.0) => floats(files, scales).await?,
        Scaling::Times(by) => floats(files, scales).await?.iter().map(|s| s * by).collect(),
        Scaling::BySecond | Scaling::OverSecond => {
            let by = floats(files, second(PackedPart::Second)?).await?.first().copied().unwrap_or(1.0);
            let over = packed.scaling == Scaling::OverSecond;
            floats(files, scales).await?.iter().map(|s| if over { s / by } else { s * by }).collect()
        }
        Scaling::Exponents => raw(files, scales).await?.iter().map(|e| E8M0[usize::from(*e)]).collect(),
        Scaling::Nested => {
            let (codes, table) = (raw(files, scales).await?, floats(files, second(PackedPart::SecondTable)?).await?);
            let outer = floats(files, second(PackedPart::Second)?).await?;
            let block = codes.len().div_ceil(outer.len().max(1)).next_power_of_two().max(1);
            let offset = offset(files, packed).await?;
            let one = |(i, code): (usize, &u8)| {
                let of = table.get(usize::from(*code)).copied().unwrap_or(0.0);
                of * outer.get(i / block).copied().unwrap_or(0.0) + offset
            };
            codes.iter().enumerate().map(one).collect()
        }
    })
}

/// What bitsandbytes adds to scales that are codes: a number in the description that it writes as JSON.
async fn offset(files: Files<'_>, packed: &Packed) -> Result<f32> {
    let described = packed.parts.iter().find(|(part, _)| *part == PackedPart::Other).map(|(_, i)| *i);
    let missing = || Fault::new(Blame::File, format!("{}: no quant_state says the offset of its scales", packed.stem));
    let bytes = raw(files, described.ok_or_else(missing)?).await?;
    let state: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|e| Fault::new(Blame::File, format!("{}: quant_state is no JSON: {e}", packed.stem)))?;
    state.get("nested_offset").and_then(serde_json::Value::as_f64).map(|n| n as f32).ok_or_else(missing)
}

async fn zeros(files: Files<'_>, packed: &Packed, layout: &Layout) -> Result<Vec<f32>> {
    let tensor = || packed.part(PackedPart::Zeros).ok_or_else(|| Fault::bug("no zeros"));
    let small = |n: u64| usize::try_from(n).map_err(|_| Fault::limit(format!("{}: {n} rows", packed.stem)));
    let (rows, scales) = (small(layout.rows)?, small(layout.scales().unwrap_or(0))?);
    let groups = scales / rows.max(1);
    Ok(match packed.zeros {
        Zeros::None => Vec::new(),
        Zeros::Centre => vec![(1u32 << (layout.bits - 1)) as f32],
        Zeros::Rows(less) => {
            let plus = if less { 1.0 } else { 0.0 };
            zeros_of_rows(&raw(files, tensor()?).await?, layout.bits, [groups, rows], plus)
        }
        Zeros::Woven => zeros_woven(&raw(files, tensor()?).await?, [groups, rows]),
        Zeros::Columns => {
            let whole = matches!(layout.spread, Spread::Blocks { rows: 1, .. });
            let what = || Fault::unsupported(format!("{}: zeros of blocks of rows cannot be read yet", packed.stem));
            let words = raw(files, tensor()?).await?;
            if whole { zeros_of_columns(&words, layout.bits, [rows, groups]) } else { return Err(what()) }
        }
        Zeros::Plain => floats(files, tensor()?).await?,
    })
}

/// All values of a tensor.
async fn floats(files: Files<'_>, tensor: usize) -> Result<Vec<f32>> {
    let (bytes, entry) = (raw(files, tensor).await?, Tensor::of(files, tensor)?.entry);
    let decode = entry.encoding.spec().and_then(|s| s.decode);
    let decode = decode.ok_or_else(|| {
        Fault::unsupported(format!("{} is in {}, which cannot be decoded", entry.name, entry.encoding))
    })?;
    // Tensors without dimensions have one value.
    let count = entry.shape.elements().unwrap_or(0) as usize;
    let mut values = vec![0f32; count];
    decode(&bytes, &mut values);
    Ok(values)
}

/// All bytes of a tensor.
async fn raw(files: Files<'_>, tensor: usize) -> Result<Vec<u8>> {
    let tensor = Tensor::of(files, tensor)?;
    let size = tensor.at.end - tensor.at.start;
    if size > PARTS_MOST {
        let what =
            format!("{} has {size} bytes; up to {PARTS_MOST} are read of what unpacks a weight", tensor.entry.name);
        return Err(Fault::limit(what));
    }
    tensor.read(0..size).await
}
