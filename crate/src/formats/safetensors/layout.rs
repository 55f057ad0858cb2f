//! Placing the tensors, and what is wrong with their places.

use super::header::{Header, Stated};
use crate::{
    formats::findings::{Findings, quoted},
    model::{Place, TensorEntry},
    source::Window,
    tensor::{Encoding, Shape},
};

/// Every dtype with the bits of one value.
const DTYPES: &[(&str, Encoding, u64)] = &[
    ("BF16", Encoding::BF16, 16),
    ("BOOL", Encoding::Bool, 8),
    ("C64", Encoding::C64, 64),
    ("F16", Encoding::F16, 16),
    ("F32", Encoding::F32, 32),
    ("F4", Encoding::F4, 4),
    ("F64", Encoding::F64, 64),
    ("F6_E2M3", Encoding::F6_E2M3, 6),
    ("F6_E3M2", Encoding::F6_E3M2, 6),
    ("F8_E4M3", Encoding::F8_E4M3, 8),
    ("F8_E4M3FNUZ", Encoding::F8_E4M3FNUZ, 8),
    ("F8_E5M2", Encoding::F8_E5M2, 8),
    ("F8_E5M2FNUZ", Encoding::F8_E5M2FNUZ, 8),
    ("F8_E8M0", Encoding::F8_E8M0, 8),
    ("I16", Encoding::I16, 16),
    ("I32", Encoding::I32, 32),
    ("I64", Encoding::I64, 64),
    ("I8", Encoding::I8, 8),
    ("U16", Encoding::U16, 16),
    ("U32", Encoding::U32, 32),
    ("U64", Encoding::U64, 64),
    ("U8", Encoding::U8, 8),
];

const REFUSED: &str = "the safetensors library refuses the file";

/// The tensors with their places; `data` is where the data starts.
pub(super) fn place(header: Header, data: u64, file: &Window, findings: &mut Findings) -> Vec<TensorEntry> {
    check_cover(&header, data, file, findings);
    if data % 8 != 0 {
        let what = format!("The data starts at byte {data}, no multiple of 8");
        findings.info("alignment", data, what, "values cannot be mapped in place");
    }
    if header.complete && header.tensors.is_empty() {
        findings.info("empty", 8, "The file holds no tensors", "");
    }
    header.tensors.into_iter().map(|stated| entry(stated, data, file, findings)).collect()
}

fn entry(stated: Stated, data: u64, file: &Window, findings: &mut Findings) -> TensorEntry {
    let Stated { name, dtype, shape, offsets: (begin, end), at } = stated;
    let shape = Shape(shape);
    let row = DTYPES.binary_search_by_key(&dtype.as_str(), |row| row.0).ok().and_then(|i| DTYPES.get(i));
    let told = || quoted(&name);
    if name.is_empty() {
        findings.info("unnamed tensors", at, "A tensor has no name", "");
    }
    let bits = row.and_then(|row| shape.elements().map(|n| u128::from(n) * u128::from(row.2)));
    match (row, bits) {
        (None, _) => {
            let what = format!("{} is of dtype {}, which Glassbox does not know", told(), quoted(&dtype));
            findings.error("dtypes", at, what, REFUSED);
        }
        (Some(_), None) => {
            let what = format!("{} of shape {shape} has more elements than 64 bits count", told());
            findings.error("sizes", at, what, REFUSED);
        }
        (Some(_), Some(bits)) if bits % 8 != 0 => {
            let what = format!("{} of shape {shape} and {dtype} does not fill whole bytes", told());
            findings.error("sizes", at, what, REFUSED);
        }
        (Some(row), Some(bits)) => {
            let found = end.saturating_sub(begin);
            if begin <= end && bits / 8 != u128::from(found) {
                let what = format!(
                    "{} of shape {shape} and {dtype} takes {} bytes, its offsets span {found}",
                    told(),
                    bits / 8
                );
                findings.error("sizes", at, what, REFUSED);
            } else if row.2 >= 16 && found > 0 && (u128::from(data) + u128::from(begin)) % u128::from(row.2 / 8) != 0 {
                let what = format!(
                    "{} starts at byte {} of the file, no multiple of {}",
                    told(),
                    data.saturating_add(begin),
                    row.2 / 8
                );
                findings.info("alignment of tensors", at, what, "readers that map values in place must copy it");
            }
        }
    }
    let place = match (data.checked_add(begin), data.checked_add(end)) {
        (Some(start), Some(end)) if start <= end && end <= file.len() => Place::Here { file: 0, at: start..end },
        (Some(start), Some(end)) if start <= end => Place::Missing { file: file.name().to_owned(), at: start..end },
        _ => Place::Absent,
    };
    let bytes = bits.filter(|b| b % 8 == 0).and_then(|b| u64::try_from(b / 8).ok());
    let bytes = if row.is_none() { end.checked_sub(begin) } else { bytes };
    TensorEntry { name, shape, encoding: row.map_or(Encoding::Unknown, |row| row.1), place, bytes }
}

/// The format demands that tensors cover the data without holes, overlaps or trailing bytes.
fn check_cover(header: &Header, data: u64, file: &Window, findings: &mut Findings) {
    let mut order: Vec<&Stated> = header.tensors.iter().collect();
    order.sort_by_key(|t| t.offsets);
    let len = file.len().saturating_sub(data);
    let mut done = 0u64;
    let mut cut: Vec<&Stated> = Vec::new();
    for tensor in order {
        let (begin, end) = tensor.offsets;
        let name = quoted(&tensor.name);
        if begin > end {
            let what = format!("{name} ends at {end}, before it begins at {begin}");
            findings.error("offsets", tensor.at, what, REFUSED);
            continue;
        }
        if begin > done {
            let what = format!("Nothing names bytes {done}..{begin} of the data, before {name}");
            findings.error("holes", tensor.at, what, REFUSED);
        } else if begin < done {
            let what = format!("{name} (bytes {begin}..{end} of the data) overlaps what ends at {done}");
            findings.error("overlaps", tensor.at, what, REFUSED);
        }
        if end > len {
            cut.push(tensor);
        }
        done = done.max(end);
    }
    if let Some(first) = cut.first() {
        let (begin, end) = first.offsets;
        let what = format!(
            "The file ends at byte {}, its tensors at byte {}: {} of {} are missing or incomplete, the first is {} (bytes {begin}..{end} of the data)",
            file.len(),
            data.saturating_add(done),
            cut.len(),
            header.tensors.len(),
            quoted(&first.name)
        );
        findings.error("end of file", file.len(), what, "the file was not copied whole, or an offset is wrong");
    } else if header.complete && len > done {
        let what = format!("{} bytes follow the last tensor", len - done);
        findings.error("trailing", data.saturating_add(done), what, REFUSED);
    }
}
