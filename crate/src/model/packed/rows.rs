//! What the tensors of each packing say by their shapes and types.

use super::{Facts, Found, PackedPart, Scaling, Zeros};
use crate::{
    model::{MetaValue, TensorEntry},
    tensor::{
        Encoding,
        packed::{Codes, Layout, Meaning, Spread},
    },
};

/// The two dimensions of a matrix.
fn matrix(entry: &TensorEntry) -> Option<[u64; 2]> {
    match *entry.shape.0.as_slice() {
        [a, b] if a > 0 && b > 0 => Some([a, b]),
        _ => None,
    }
}

/// Rows and width of a matrix, or of several one behind the other, and what comes before the width.
fn rows_of(entry: &TensorEntry) -> Option<(u64, u64, &[u64])> {
    let [outer @ .., width] = entry.shape.0.as_slice() else { return None };
    let rows = outer.iter().try_fold(1u64, |n, d| n.checked_mul(*d))?;
    (!outer.is_empty() && rows > 0 && *width > 0).then_some((rows, *width, outer))
}

/// `bits` where codes of so many bits are known.
fn known(bits: u64, of: &[u64]) -> Option<u32> {
    of.contains(&bits).then_some(bits as u32)
}

fn words(entry: &TensorEntry) -> bool {
    matches!(entry.encoding, Encoding::I32 | Encoding::U32)
}

fn bytes(entry: &TensorEntry) -> bool {
    matches!(entry.encoding, Encoding::U8 | Encoding::I8)
}

fn turned(codes: Codes, bits: u32, [inputs, outputs]: [u64; 2], groups: u64) -> Layout {
    let spread = Spread::Turned { columns: inputs.div_ceil(groups), width: outputs };
    Layout { codes, bits, meaning: Meaning::Unsigned, spread, rows: outputs, row_len: inputs }
}

/// gptqmodel: `qweight [inputs * bits / 32, outputs]`, `scales [groups, outputs]`, `qzeros [groups, outputs * bits / 32]`.
pub(super) fn gptq(found: &Found<'_>) -> Option<Facts> {
    let ([packed, outputs], [groups, also]) = (matrix(found.main)?, matrix(found.scales()?)?);
    let [also_groups, zero_words] = matrix(found.part(PackedPart::Zeros)?)?;
    let stated = found.number("bits").or_else(|| zero_words.checked_mul(32)?.checked_div(outputs));
    let bits = known(stated?, &[2, 3, 4, 8])?;
    let inputs = found
        .part(PackedPart::Groups)
        .and_then(|g| g.shape.elements())
        .or_else(|| Some(packed.checked_mul(32)? / u64::from(bits)))?;
    let fits = words(found.main)
        && outputs == also
        && groups == also_groups
        && inputs.checked_mul(u64::from(bits))?.div_ceil(32) == packed
        && outputs.checked_mul(u64::from(bits))?.div_ceil(32) == zero_words;
    // Other kernels' orders have names of their own.
    let plain = matches!(found.text("checkpoint_format"), "" | "gptq" | "gptq_v2");
    if !fits || !plain {
        return None;
    }
    let layout = turned(Codes::Columns, bits, [inputs, outputs], groups);
    let group = found
        .number("group_size")
        .filter(|n| *n > 0 && inputs.div_ceil(*n) == groups)
        .unwrap_or(inputs.div_ceil(groups));
    let layout = Layout { spread: Spread::Turned { columns: group, width: outputs }, ..layout };
    let zeros = Zeros::Rows(found.text("checkpoint_format") != "gptq_v2");
    let blocks = match bits {
        4 => Some(Encoding::Q4_0),
        8 => Some(Encoding::Q8_0),
        _ => None,
    };
    Some(Facts { layout, shape: Some(vec![outputs, inputs]), blocks, zeros, scaling: Scaling::Times(1.0) })
}

/// autoawq: `qweight [inputs, outputs / 8]`, `scales [groups, outputs]`, `qzeros [groups, outputs / 8]`.
pub(super) fn awq(found: &Found<'_>) -> Option<Facts> {
    let ([inputs, eighths], [groups, outputs]) = (matrix(found.main)?, matrix(found.scales()?)?);
    let version = found.text("version").to_lowercase();
    let fits = words(found.main)
        && eighths.checked_mul(8) == Some(outputs)
        && matrix(found.part(PackedPart::Zeros)?)? == [groups, eighths];
    if !fits
        || !matches!(version.as_str(), "" | "gemm")
        || found.number("bits").is_some_and(|n| n != 4)
        || groups > inputs
    {
        return None;
    }
    let layout = turned(Codes::Woven, 4, [inputs, outputs], groups);
    let group = found
        .number("group_size")
        .filter(|n| *n > 0 && inputs.div_ceil(*n) == groups)
        .unwrap_or(inputs.div_ceil(groups));
    let layout = Layout { spread: Spread::Turned { columns: group, width: outputs }, ..layout };
    Some(Facts {
        layout,
        shape: Some(vec![outputs, inputs]),
        blocks: Some(Encoding::Q4_0),
        zeros: Zeros::Woven,
        scaling: Scaling::Times(1.0),
    })
}

/// Rows of codes in order, with scales `[rows, groups]`, `[rows]`, or one.
fn in_rows(
    found: &Found<'_>,
    bits: u32,
    meaning: Meaning,
    row_len: u64,
    block: Option<[u64; 2]>,
) -> Option<(Layout, Vec<u64>)> {
    let (rows, _, outer) = rows_of(found.main)?;
    let scales = found.scales()?;
    let count = scales.shape.elements()?;
    let (side, wide) = match *scales.shape.0.as_slice() {
        _ if count == 1 => (1, 1),
        [_] if count == rows => (rows, 1),
        // A scale for each of several matrices.
        [.., high, wide] if high.checked_mul(wide)? > 0 => (count / wide, wide),
        _ => return None,
    };
    let [high, columns] = match block {
        Some([high, columns]) if side == rows.div_ceil(high) && wide == row_len.div_ceil(columns) => [high, columns],
        _ => [rows.div_ceil(side), row_len.div_ceil(wide)],
    };
    // As many as there are, or the shapes are no grid.
    if high == 0 || columns == 0 || rows.div_ceil(high) != side || row_len.div_ceil(columns) != wide {
        return None;
    }
    let spread = Spread::Blocks { rows: high, columns, width: wide };
    let layout = Layout { codes: Codes::Rows, bits, meaning, spread, rows, row_len };
    Some((layout, [outer, &[row_len]].concat()))
}

/// compressed-tensors `pack-quantized`: `weight_packed [outputs, inputs * bits / 32]`.
pub(super) fn pack_quantized(found: &Found<'_>) -> Option<Facts> {
    let (_, packed, _) = rows_of(found.main)?;
    let group = |key: &str| {
        let stated = |group: &str| {
            found.model.metadata.unsigned(&format!("config.quantization_config.config_groups.{group}.weights.{key}"))
        };
        stated("group_0").or_else(|| stated("0"))
    };
    let bits = known(group("num_bits").unwrap_or(4), &[1, 2, 3, 4, 5, 6, 7, 8])?;
    let wide = *found.scales()?.shape.0.last()?;
    // The width is what the groups have; else what the words hold.
    let held = packed.checked_mul(32)? / u64::from(bits);
    let row_len =
        group("group_size").filter(|n| *n > 0).and_then(|n| n.checked_mul(wide)).filter(|n| *n <= held).unwrap_or(held);
    if !words(found.main)
        || row_len.checked_mul(u64::from(bits))?.div_ceil(32) != packed
        || found.part(PackedPart::Groups).is_some()
    {
        return None;
    }
    let (layout, shape) = in_rows(found, bits, Meaning::Unsigned, row_len, None)?;
    let zeros = if found.part(PackedPart::Zeros).is_some() { Zeros::Columns } else { Zeros::Centre };
    let blocks = match bits {
        4 => Some(Encoding::Q4_0),
        8 => Some(Encoding::Q8_0),
        _ => None,
    };
    Some(Facts { layout, shape: Some(shape), blocks, zeros, scaling: Scaling::Times(1.0) })
}

fn floats_of_4(found: &Found<'_>, group: u64, scaling: Scaling) -> Option<Facts> {
    let (_, pairs, _) = rows_of(found.main)?;
    let row_len = pairs.checked_mul(2)?;
    let (layout, shape) = in_rows(found, 4, Meaning::E2M1, row_len, None)?;
    if !bytes(found.main) || !matches!(layout.spread, Spread::Blocks { rows: 1, columns, .. } if columns == group) {
        return None;
    }
    let blocks = (scaling == Scaling::Exponents).then_some(Encoding::MXFP4);
    Some(Facts { layout, shape: Some(shape), blocks, zeros: Zeros::None, scaling })
}

pub(super) fn nvfp4(found: &Found<'_>) -> Option<Facts> {
    floats_of_4(found, 16, Scaling::OverSecond)
        .filter(|_| found.scales().is_some_and(|s| s.encoding == Encoding::F8_E4M3))
}

pub(super) fn nvfp4_of_modelopt(found: &Found<'_>) -> Option<Facts> {
    floats_of_4(found, 16, Scaling::BySecond)
        .filter(|_| found.scales().is_some_and(|s| s.encoding == Encoding::F8_E4M3))
}

fn exponents(entry: &TensorEntry) -> bool {
    matches!(entry.encoding, Encoding::U8 | Encoding::F8_E8M0)
}

pub(super) fn mxfp4(found: &Found<'_>) -> Option<Facts> {
    floats_of_4(found, 32, Scaling::Exponents).filter(|_| found.scales().is_some_and(exponents))
}

/// bitsandbytes of 4 bits: all values one behind the other, their shape in a description.
pub(super) fn bits_and_bytes(found: &Found<'_>) -> Option<Facts> {
    let (values, blocks) = (found.main.shape.elements()?.checked_mul(2)?, found.scales()?.shape.elements()?);
    if found.main.encoding != Encoding::U8
        || values == 0
        || blocks == 0
        || found.part(PackedPart::Table)?.shape.elements() != Some(16)
    {
        return None;
    }
    // Blocks have powers of two.
    let block = values.div_ceil(blocks).checked_next_power_of_two()?;
    let nested = found.part(PackedPart::Second).is_some();
    if values.div_ceil(block) != blocks || nested != found.part(PackedPart::SecondTable).is_some() {
        return None;
    }
    let layout = Layout {
        codes: Codes::UpperFirst,
        bits: 4,
        meaning: Meaning::Listed,
        spread: Spread::Flat { block },
        rows: 1,
        row_len: values,
    };
    let scaling = if nested { Scaling::Nested } else { Scaling::Times(1.0) };
    Some(Facts { layout, shape: None, blocks: None, zeros: Zeros::None, scaling })
}

/// bitsandbytes of 8 bits: `SCB [outputs]`, the largest magnitude of a row, which is the code 127.
pub(super) fn int8(found: &Found<'_>) -> Option<Facts> {
    let [rows, row_len] = matrix(found.main)?;
    if found.main.encoding != Encoding::I8 || found.scales()?.shape.elements() != Some(rows) {
        return None;
    }
    let spread = Spread::Blocks { rows: 1, columns: row_len, width: 1 };
    let layout = Layout { codes: Codes::Rows, bits: 8, meaning: Meaning::Signed, spread, rows, row_len };
    Some(Facts {
        layout,
        shape: Some(vec![rows, row_len]),
        blocks: Some(Encoding::Q8_0),
        zeros: Zeros::None,
        scaling: Scaling::Times(1.0 / 127.0),
    })
}

/// MLX: `weight [.., outputs, inputs * bits / 32]`, `scales` and `biases [.., outputs, groups]`.
pub(super) fn mlx(found: &Found<'_>) -> Option<Facts> {
    let ((_, packed, _), (_, groups, _)) = (rows_of(found.main)?, rows_of(found.scales()?)?);
    if found.main.encoding != Encoding::U32 || found.part(PackedPart::Biases)?.shape != found.scales()?.shape {
        return None;
    }
    let bits = |group: u64| packed.checked_mul(32)?.checked_div(group.checked_mul(groups)?);
    let fits = |group: &u64| bits(*group).is_some_and(|n| n * group * groups == packed * 32 && (2..=8).contains(&n));
    // A layer of its own settings may not say so by its name here.
    let group = [found.number("group_size").unwrap_or(64), 64, 32, 128].into_iter().find(fits)?;
    let bits = known(bits(group)?, &[2, 3, 4, 5, 6, 8])?;
    let (layout, shape) = in_rows(found, bits, Meaning::Unsigned, group.checked_mul(groups)?, None)?;
    let blocks = (bits == 4).then_some(Encoding::Q4_1);
    Some(Facts { layout, shape: Some(shape), blocks, zeros: Zeros::None, scaling: Scaling::Times(1.0) })
}

pub(super) fn mlx_mxfp4(found: &Found<'_>) -> Option<Facts> {
    let (_, packed, _) = rows_of(found.main)?;
    let (layout, shape) = in_rows(found, 4, Meaning::E2M1, packed.checked_mul(8)?, None)?;
    let fits = found.main.encoding == Encoding::U32 && exponents(found.scales()?);
    if !fits || !matches!(layout.spread, Spread::Blocks { rows: 1, columns: 32, .. }) {
        return None;
    }
    Some(Facts {
        layout,
        shape: Some(shape),
        blocks: Some(Encoding::MXFP4),
        zeros: Zeros::None,
        scaling: Scaling::Exponents,
    })
}

/// Floats or whole numbers of 8 bits with scales for all, for rows, for groups or for blocks.
pub(super) fn scaled(found: &Found<'_>) -> Option<Facts> {
    let meaning = match found.main.encoding {
        Encoding::F8_E4M3 => Meaning::E4M3,
        Encoding::F8_E5M2 => Meaning::E5M2,
        Encoding::I8 => Meaning::Signed,
        _ => return None,
    };
    let side = |i: usize| {
        let array = |key: &str| found.model.metadata.array(key).and_then(|a| a.head.get(i).cloned());
        let stated = array("config.quantization_config.weight_block_size")
            .or_else(|| array("config.quantization_config.config_groups.group_0.weights.block_structure"))?;
        match stated {
            MetaValue::Unsigned(n, _) => Some(n),
            MetaValue::Signed(n, _) => u64::try_from(n).ok(),
            _ => None,
        }
    };
    let block = side(0).zip(side(1)).filter(|(a, b)| *a > 0 && *b > 0).map(|(a, b)| [a, b]);
    let (_, row_len, _) = rows_of(found.main)?;
    let (layout, shape) = in_rows(found, 8, meaning, row_len, block)?;
    let zeros = if found.part(PackedPart::Zeros).is_some() { Zeros::Plain } else { Zeros::None };
    let blocks = (meaning == Meaning::Signed).then_some(Encoding::Q8_0);
    Some(Facts { layout, shape: Some(shape), blocks, zeros, scaling: Scaling::Times(1.0) })
}
