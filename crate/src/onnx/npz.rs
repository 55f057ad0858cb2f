//! NumPy's `.npy` and `.npz` as inputs and outputs (`numpy/lib/format.py`).

use std::rc::Rc;

use super::value::{Data, Tensor, Type, room};
use crate::{
    fault::{Blame, Fault, Result},
    formats::inflated,
};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes that one member may unpack to.
const MEMBER_MOST: u64 = 4 << 30;

fn bad(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// Little-endian elements; small types are packed, low bits first.
pub(super) fn to_raw(data: &Data) -> Vec<u8> {
    macro_rules! le {
        ($v:expr) => {
            $v.iter().flat_map(|x| x.to_le_bytes()).collect()
        };
    }
    match data {
        Data::F32(v) => le!(v),
        Data::F64(v) => le!(v),
        Data::F16(v) => v.iter().flat_map(|x| x.0.to_le_bytes()).collect(),
        Data::BF16(v) => v.iter().flat_map(|x| x.0.to_le_bytes()).collect(),
        Data::I8(v) => v.iter().map(|x| *x as u8).collect(),
        Data::I16(v) => le!(v),
        Data::I32(v) => le!(v),
        Data::I64(v) => le!(v),
        Data::U8(v) => v.clone(),
        Data::U16(v) => le!(v),
        Data::U32(v) => le!(v),
        Data::U64(v) => le!(v),
        Data::Bool(v) => v.iter().map(|b| u8::from(*b)).collect(),
        Data::C64(v) => v.iter().flatten().flat_map(|x| x.to_le_bytes()).collect(),
        Data::C128(v) => v.iter().flatten().flat_map(|x| x.to_le_bytes()).collect(),
        Data::Str(_) => Vec::new(),
        Data::Small(kind, v) => {
            let bits = kind.bits().unwrap_or(8).min(8);
            let per = 8 / bits;
            v.chunks(per).map(|c| c.iter().enumerate().fold(0, |byte, (i, x)| byte | x << (bits * i))).collect()
        }
    }
}

/// The text after a key of the header's dictionary.
fn after<'t>(header: &'t str, key: &str) -> Option<&'t str> {
    let at = header.find(&format!("'{key}'"))? + key.len() + 2;
    Some(header[at..].trim_start().strip_prefix(':')?.trim_start())
}

/// Reads one array.
///
/// # Errors
/// The bytes are no array of numbers, truth values or strings, or too few.
pub fn read_npy(bytes: &[u8]) -> Result<Tensor> {
    let short = || bad("a NumPy array that is cut off");
    if !bytes.starts_with(MAGIC) {
        return Err(bad("a NumPy array expected; its first bytes are not there"));
    }
    let major = *bytes.get(6).ok_or_else(short)?;
    let (length, start): (usize, usize) = if major == 1 {
        (usize::from(u16::from_le_bytes([*bytes.get(8).ok_or_else(short)?, *bytes.get(9).ok_or_else(short)?])), 10)
    } else {
        let raw: [u8; 4] = bytes.get(8..12).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
        (u32::from_le_bytes(raw) as usize, 12)
    };
    let header = start.checked_add(length).and_then(|end| bytes.get(start..end)).ok_or_else(short)?;
    let header = String::from_utf8_lossy(header);
    let descr = after(&header, "descr").and_then(|t| t.strip_prefix('\'')).and_then(|t| t.split('\'').next());
    let descr = descr.ok_or_else(|| bad("a NumPy array of a plain type expected"))?;
    let fortran = after(&header, "fortran_order").is_some_and(|t| t.starts_with("True"));
    let shape = after(&header, "shape").and_then(|t| t.strip_prefix('(')).and_then(|t| t.split(')').next());
    let shape = shape.ok_or_else(|| bad("a NumPy array with a shape expected"))?;
    let dims: Result<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|t| t.trim_end_matches('L').parse().map_err(|_| bad(format!("the shape ({shape}) of a NumPy array"))))
        .collect();
    let dims = dims?;
    let values = &bytes[start + length..];
    let (order, code) = descr.split_at(descr.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0));
    let tensor = if let Some(width) = code.strip_prefix('U') {
        strings(values, &dims, width, order == ">", |c| c)?
    } else if let Some(width) = code.strip_prefix('S') {
        strings(values, &dims, width, false, |c| c)?
    } else {
        numbers(values, &dims, code, order == ">")?
    };
    if !fortran || tensor.rank() < 2 {
        return Ok(tensor);
    }
    let reversed: Vec<usize> = dims.iter().rev().copied().collect();
    let order: Vec<usize> = (0..dims.len()).rev().collect();
    tensor.reshaped(reversed)?.permuted(&order)
}

fn numbers(values: &[u8], dims: &[usize], code: &str, big: bool) -> Result<Tensor> {
    let kind = match code {
        "f4" => Type::F32,
        "f8" => Type::F64,
        "f2" => Type::F16,
        "i1" => Type::I8,
        "i2" => Type::I16,
        "i4" => Type::I32,
        "i8" => Type::I64,
        "u1" => Type::U8,
        "u2" => Type::U16,
        "u4" => Type::U32,
        "u8" => Type::U64,
        "b1" => Type::Bool,
        "c8" => Type::C64,
        "c16" => Type::C128,
        other => {
            return Err(bad(format!("a NumPy array of numbers, truth values or strings expected, {other:?} found")));
        }
    };
    let n = room(dims, kind.size())?;
    let need = n * kind.size();
    let raw =
        values.get(..need).ok_or_else(|| bad(format!("{need} bytes of values expected, {} found", values.len())))?;
    if !big {
        return Tensor::of(dims, super::proto::from_raw(kind, raw, n));
    }
    let part = if matches!(kind, Type::C64 | Type::C128) { kind.size() / 2 } else { kind.size() };
    let turned: Vec<u8> = raw.chunks(part).flat_map(|c| c.iter().rev().copied()).collect();
    Tensor::of(dims, super::proto::from_raw(kind, &turned, n))
}

fn strings(values: &[u8], dims: &[usize], width: &str, big: bool, keep: fn(u32) -> u32) -> Result<Tensor> {
    let width: usize = width.parse().map_err(|_| bad(format!("a NumPy string type of width {width:?}")))?;
    let wide = values.len() >= width.saturating_mul(4).saturating_mul(dims.iter().product());
    let n = room(dims, 16)?;
    let unit = if wide { 4 } else { 1 };
    let each = width.checked_mul(unit).ok_or_else(|| bad("strings of too many bytes"))?;
    let need = each.checked_mul(n).ok_or_else(|| bad("strings of too many bytes"))?;
    let raw =
        values.get(..need).ok_or_else(|| bad(format!("{need} bytes of values expected, {} found", values.len())))?;
    let text = |i: usize| -> Rc<str> {
        let cells = &raw[i * each..(i + 1) * each];
        let chars: String = if unit == 4 {
            let code = |c: &[u8; 4]| if big { u32::from_be_bytes(*c) } else { u32::from_le_bytes(*c) };
            cells.as_chunks::<4>().0.iter().filter_map(|c| char::from_u32(keep(code(c)))).collect()
        } else {
            String::from_utf8_lossy(cells).into_owned()
        };
        Rc::from(chars.trim_end_matches('\0'))
    };
    Tensor::of(dims, Data::Str((0..n).map(text).collect()))
}

fn le16(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}
fn le32(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}
fn le64(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)).ok()
}

/// The arrays of an archive by their names.
///
/// # Errors
/// The bytes are no such archive; what [`read_npy`] says of a member.
pub fn read_npz(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    members(bytes)?
        .into_iter()
        .filter_map(|(name, member)| name.strip_suffix(".npy").map(|n| (n.to_owned(), member)))
        .map(|(name, member)| {
            let tensor =
                read_npy(&member).map_err(|fault| Fault { what: format!("{name}: {}", fault.what), ..fault })?;
            Ok((name, tensor))
        })
        .collect()
}

/// The members of a zip archive, unpacked.
fn members(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let wrong = || bad("a zip archive whose directory is damaged");
    let from = bytes.len().saturating_sub(65_557);
    let end = (from..bytes.len().saturating_sub(21)).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"));
    let end = end.ok_or_else(|| bad("an .npz archive (zip) expected"))?;
    let mut count = le16(bytes, end + 10).ok_or_else(wrong)?;
    let mut at = le32(bytes, end + 16).ok_or_else(wrong)?;
    if at == 0xffff_ffff || count == 0xffff {
        let place = end.checked_sub(20).and_then(|p| le64(bytes, p + 8)).ok_or_else(wrong)?;
        count = place.checked_add(32).and_then(|p| le64(bytes, p)).ok_or_else(wrong)?;
        at = place.checked_add(48).and_then(|p| le64(bytes, p)).ok_or_else(wrong)?;
    }
    let mut out = Vec::new();
    for _ in 0..count.min(bytes.len() / 46 + 1) {
        let head = at
            .checked_add(46)
            .and_then(|end| bytes.get(at..end))
            .filter(|h| h.starts_with(b"PK\x01\x02"))
            .ok_or_else(wrong)?;
        let (method, name_len) = (le16(head, 10).ok_or_else(wrong)?, le16(head, 28).ok_or_else(wrong)?);
        let (extra_len, comment) = (le16(head, 30).ok_or_else(wrong)?, le16(head, 32).ok_or_else(wrong)?);
        let (mut packed, mut size) = (le32(head, 20).ok_or_else(wrong)?, le32(head, 24).ok_or_else(wrong)?);
        let mut local = le32(head, 42).ok_or_else(wrong)?;
        let name = bytes.get(at + 46..at + 46 + name_len).ok_or_else(wrong)?;
        let mut extra = bytes.get(at + 46 + name_len..at + 46 + name_len + extra_len).ok_or_else(wrong)?;
        while let (Some(id), Some(n)) = (le16(extra, 0), le16(extra, 2)) {
            let Some(body) = extra.get(4..4 + n) else { break };
            if id == 1 {
                let mut p = 0;
                for field in [&mut size, &mut packed, &mut local] {
                    if *field == 0xffff_ffff {
                        *field = le64(body, p).ok_or_else(wrong)?;
                        p += 8;
                    }
                }
            }
            extra = &extra[4 + n..];
        }
        at += 46 + name_len + extra_len + comment;
        let local_end = local.checked_add(30).filter(|e| *e <= bytes.len()).ok_or_else(wrong)?;
        let skip = le16(bytes, local + 26).zip(le16(bytes, local + 28)).map(|(a, b)| a + b).ok_or_else(wrong)?;
        let start = local_end + skip;
        let raw = start.checked_add(packed).and_then(|e| bytes.get(start..e)).ok_or_else(wrong)?;
        room(&[size], 1)?;
        let body = match method {
            0 => raw.to_vec(),
            8 if size as u64 <= MEMBER_MOST => {
                inflated(raw, size).ok_or_else(|| bad("a member of the archive cannot be unpacked"))?
            }
            other => return Err(bad(format!("a stored or deflated member expected, method {other} found"))),
        };
        out.push((String::from_utf8_lossy(name).into_owned(), body));
    }
    Ok(out)
}

fn npy(tensor: &Tensor) -> Vec<u8> {
    let mut values = to_raw(tensor.data());
    let descr = match tensor.data() {
        Data::F32(_) => "<f4".to_owned(),
        Data::F64(_) => "<f8".into(),
        Data::F16(_) => "<f2".into(),
        Data::I8(_) => "|i1".into(),
        Data::I16(_) => "<i2".into(),
        Data::I32(_) => "<i4".into(),
        Data::I64(_) => "<i8".into(),
        Data::U8(_) => "|u1".into(),
        Data::U16(_) => "<u2".into(),
        Data::U32(_) => "<u4".into(),
        Data::U64(_) => "<u8".into(),
        Data::Bool(_) => "|b1".into(),
        Data::C64(_) => "<c8".into(),
        Data::C128(_) => "<c16".into(),
        Data::Str(v) => {
            let wide = v.iter().map(|s| s.chars().count()).max().unwrap_or(0).max(1);
            values = v
                .iter()
                .flat_map(|s| s.chars().map(u32::from).chain(std::iter::repeat(0)).take(wide))
                .flat_map(u32::to_le_bytes)
                .collect();
            format!("<U{wide}")
        }
        // NumPy has none of these types: their values as f32.
        Data::BF16(_) | Data::Small(..) => {
            let v = super::cast::f32s(tensor.data()).unwrap_or_default();
            values = v.iter().flat_map(|x| x.to_le_bytes()).collect();
            "<f4".into()
        }
    };
    let dims: Vec<String> = tensor.dims().iter().map(usize::to_string).collect();
    let shape = if dims.len() == 1 { format!("({},)", dims[0]) } else { format!("({})", dims.join(", ")) };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values);
    out
}

/// CRC-32 of ISO 3309, as zip has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// An archive of arrays, stored.
///
/// # Errors
/// It would be of 4 GiB or more.
pub fn write_npz(arrays: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, tensor) in arrays {
        let (name, body) = (format!("{name}.npy"), npy(tensor));
        let at = u32::try_from(out.len()).ok().zip(u32::try_from(body.len()).ok());
        let (at, size) = at.ok_or_else(|| Fault::limit("an .npz archive of 4 GiB or more"))?;
        let mut common = Vec::new();
        common.extend(20u16.to_le_bytes());
        common.extend([0; 4]);
        common.extend([0, 0, 0x21, 0]);
        common.extend(crc32(&body).to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(body);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, arrays.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06");
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    Ok(out)
}
