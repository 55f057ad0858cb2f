//! NumPy arrays (`numpy/lib/format.py`): `.npy` is one array behind a line of Python; `.npz` is a zip of them.
//!
//! ```text
//! \x93NUMPY | major u8 | minor u8 | n u16 (u32 from 2.0) | n bytes {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } | values
//! ```

use std::ops::Range;

use super::{
    Format, Match, Reader,
    codec::{
        zip::{self, Directory, Member},
        zip_salvage::Walk,
    },
    findings::{Findings, quoted},
    sections,
    xray::{self, Seen, Stream},
    zipped,
};
use crate::{
    fault::Fault,
    model::{Cut, FormatId, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry, Version},
    source::{Cursor, Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header line that is read; numpy itself refuses more than 10,000 bytes unless asked.
const HEADER_MOST: u64 = 1 << 20;
/// Packed bytes of a member that are unpacked to find its header.
const PACKED_START: u64 = 16 << 10;
const DIMS_MOST: usize = 64;

pub(super) struct Numpy;

impl Format for Numpy {
    fn id(&self) -> FormatId {
        FormatId::Numpy
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        if head.starts_with(MAGIC) || zip::first_name(head).is_some_and(|first| first.ends_with(".npy")) {
            Match::ByContent
        } else if name.ends_with(".npy") || name.ends_with(".npz") {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<NumpyReader>::default()
    }
}

/// The encoding of a type as numpy spells it without its byte order: "f4".
pub(super) fn encoding(name: &str) -> Option<Encoding> {
    Some(match name {
        "f8" => Encoding::F64,
        "f4" => Encoding::F32,
        "f2" => Encoding::F16,
        "i8" => Encoding::I64,
        "i4" => Encoding::I32,
        "i2" => Encoding::I16,
        "i1" => Encoding::I8,
        "u8" => Encoding::U64,
        "u4" => Encoding::U32,
        "u2" => Encoding::U16,
        "u1" => Encoding::U8,
        "b1" => Encoding::Bool,
        "c8" => Encoding::C64,
        "c16" => Encoding::C128,
        _ => return None,
    })
}

/// One array's header.
#[derive(Debug, Clone, PartialEq)]
struct Header {
    /// Type with its byte order: "<f4"; a structured type as it is spelt.
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
    /// Bytes from the array's start to its values.
    length: u64,
    version: (u8, u8),
}

impl Header {
    /// Reads the header at `at` of a window whose array ends at `end`.
    fn read(file: &Window, at: u64, end: u64) -> Result<Result<Self, (u64, String)>, Stop> {
        if end - at < 10 {
            return Ok(Err((at, format!("a NumPy header of at least 10 bytes expected, {} left", end - at))));
        }
        let mut cursor = Cursor::new(file, at, false);
        if cursor.take(6)? != MAGIC {
            return Ok(Err((at, "\"\\x93NUMPY\" expected, something else found".into())));
        }
        let version = (cursor.u8()?, cursor.u8()?);
        let wide = version.0 >= 2;
        if !(1..=3).contains(&version.0) || wide && end - at < 12 {
            return Ok(Err((at + 6, format!("version {}.{} of the format; 1 to 3 are known", version.0, version.1))));
        }
        let n = if wide { u64::from(cursor.u32()?) } else { u64::from(cursor.u16()?) };
        let start = cursor.position();
        if n > HEADER_MOST {
            return Ok(Err((start, format!("a header of {n} bytes announced; the limit is {HEADER_MOST}"))));
        }
        if n > end - start {
            return Ok(Err((start, format!("a header of {n} bytes announced, {} left", end - start))));
        }
        let text = String::from_utf8_lossy(cursor.take(n)?).into_owned();
        let length = start + n - at;
        Ok(Self::parse(&text, length, version).map_err(|what| (start, what)))
    }
    fn parse(text: &str, length: u64, version: (u8, u8)) -> Result<Self, String> {
        let after = |key: &str| {
            let quoted = [format!("'{key}':"), format!("\"{key}\":")];
            quoted.iter().find_map(|q| text.split_once(q.as_str())).map(|(_, rest)| rest.trim_start())
        };
        let missing = |key: &str| format!("the header does not state '{key}'");
        let descr = after("descr").ok_or_else(|| missing("descr"))?;
        let descr = match descr.chars().next() {
            Some(quote @ ('\'' | '"')) => descr[1..].split(quote).next().unwrap_or_default().to_owned(),
            // A structured type: a list of fields, shown as it is spelt.
            _ => {
                descr.split("'fortran_order'").next().unwrap_or_default().trim_end_matches([',', ' ', '\'']).to_owned()
            }
        };
        let order = after("fortran_order").ok_or_else(|| missing("fortran_order"))?;
        let shape = after("shape").and_then(|s| s.strip_prefix('(')).and_then(|s| s.split_once(')'));
        let (shape, _) = shape.ok_or_else(|| missing("shape"))?;
        let sizes = shape.split(',').map(|d| d.trim().trim_end_matches('L')).filter(|d| !d.is_empty());
        let shape: Option<Vec<u64>> = sizes.take(DIMS_MOST + 1).map(|d| d.parse().ok()).collect();
        let shape = shape
            .filter(|s| s.len() <= DIMS_MOST)
            .ok_or_else(|| format!("the header's shape is no list of at most {DIMS_MOST} sizes"))?;
        Ok(Self { descr, fortran: order.starts_with("True"), shape, length, version })
    }
    fn big_endian(&self) -> bool {
        self.descr.starts_with('>')
    }
    fn kind(&self) -> &str {
        self.descr.trim_start_matches(['<', '>', '|', '='])
    }
    /// Bytes of one element.
    fn width(&self) -> Option<u64> {
        if let Some(spec) = encoding(self.kind()).and_then(Encoding::spec) {
            return Some(u64::from(spec.block_bytes));
        }
        let (letter, digits) = (self.kind().get(..1)?, self.kind().get(1..)?);
        let n: u64 = digits.parse().ok()?;
        match letter {
            "S" | "V" | "a" => Some(n),
            "U" => n.checked_mul(4),
            "M" | "m" => Some(8),
            "f" | "c" => Some(n),
            _ => None,
        }
    }
}

/// An array: its name, header, where its bytes lie (whole, in the file), and whether they are there as they are.
struct Array {
    name: String,
    header: Header,
    at: Range<u64>,
    plain: bool,
}

#[derive(Default)]
struct NumpyReader {
    zip: bool,
    directory: Option<Directory>,
    walk: Option<Walk>,
    located: usize,
    looked: usize,
    arrays: Vec<Array>,
    /// Pickles inside arrays of objects.
    /// Each with the place of the member that was unpacked for it, where one was.
    pickles: Vec<(String, Stream, Option<u64>)>,
    running: Option<Stream>,
    findings: Findings,
    /// The file ends within the header of its only array, which goes on to at least this byte.
    cut: Option<Option<u64>>,
    done: bool,
}

impl Reader for NumpyReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        let head = file.bytes(0..file.len().min(8))?;
        self.zip = zip::starts(head);
        if !self.zip {
            let header = match Header::read(file, 0, file.len())? {
                Ok(header) => header,
                Err(_) if self.cut_header(file)? => {
                    self.done = true;
                    return Ok(());
                }
                Err((at, what)) => return Err(Fault::file(at, what).in_file(file.name()).into()),
            };
            if self.arrays.is_empty() {
                let name = file.name().rsplit('/').next().unwrap_or_default().trim_end_matches(".npy").to_owned();
                self.arrays.push(Array { name, header, at: 0..file.len(), plain: true });
            }
            self.objects(file, 0, false)?;
            self.done = true;
            return Ok(());
        }
        let mut directory = match self.directory.take() {
            Some(directory) => directory,
            None => zipped::open(file, limits, &mut self.walk, &mut self.findings)?,
        };
        let result = self.members(file, &mut directory);
        self.directory = Some(directory);
        result?;
        self.done = true;
        Ok(())
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

impl NumpyReader {
    /// True where the file ends within its header: what it says up to there is shown.
    fn cut_header(&mut self, file: &Window) -> Result<bool, Stop> {
        let len = file.len();
        let head = file.bytes(0..len.min(12))?;
        if !head.starts_with(MAGIC) || head.get(6).is_some_and(|major| !(1..=3).contains(major)) {
            return Ok(false);
        }
        let wide = head.get(6).is_some_and(|major| *major >= 2);
        let mut cursor = Cursor::new(file, 8, false);
        let (start, n) = match (wide, len) {
            (true, 12..) => (12, Some(u64::from(cursor.u32()?))),
            (false, 10..) => (10, Some(u64::from(cursor.u16()?))),
            _ => (len, None),
        };
        let needs = n.map(|n| start + n);
        if n.is_some_and(|n| n > HEADER_MOST) || needs.is_some_and(|needs| needs <= len) {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(file.bytes(start..len)?).into_owned();
        let version = (head.get(6).copied().unwrap_or(1), head.get(7).copied().unwrap_or(0));
        let what = match needs {
            Some(needs) => format!("The file ends at byte {len}, within its header, which goes on to byte {needs}"),
            None => format!("The file ends at byte {len}, within its header"),
        };
        self.findings.error(
            NoteCode::EndOfFile,
            len,
            what,
            "the file was not copied whole: no value of the array is here",
        );
        // What ends within the text may still state type and shape.
        if let Ok(header) = Header::parse(&text, needs.unwrap_or(len), version) {
            let name = file.name().rsplit('/').next().unwrap_or_default().trim_end_matches(".npy").to_owned();
            self.arrays.push(Array { name, header, at: 0..len, plain: true });
        }
        self.cut = Some(needs);
        Ok(true)
    }
    fn members(&mut self, file: &Window, directory: &mut Directory) -> Result<(), Stop> {
        zipped::locate(file, directory, &mut self.located, &mut self.findings)?;
        while let Some(member) = directory.members.get(self.looked) {
            self.member(file, member)?;
            self.looked += 1;
        }
        Ok(())
    }
    fn member(&mut self, file: &Window, member: &Member) -> Result<(), Stop> {
        if member.at.end == 0 || member.size == 0 {
            return Ok(());
        }
        let header = if member.stored() {
            Header::read(file, member.at.start, member.at.end)?
        } else {
            match zip::start_of(file, member, PACKED_START)? {
                Ok(bytes) => {
                    let len = bytes.len() as u64;
                    let mut window = Window::new(member.name.clone(), len);
                    window.insert(0, bytes);
                    Header::read(&window, 0, len)?
                }
                Err(what) => Err((0, what)),
            }
        };
        let header = match header {
            Ok(header) => header,
            Err((at, what)) => {
                let at = if member.stored() { at } else { member.at.start };
                self.findings.error(
                    NoteCode::Members,
                    at,
                    format!("{} is not an array: {what}", quoted(&member.name)),
                    "numpy cannot read it",
                );
                return Ok(());
            }
        };
        let objects = header.kind() == "O";
        let name = member.name.strip_suffix(".npy").unwrap_or(&member.name).to_owned();
        if objects && !member.stored() {
            self.packed_objects(file, member, &name, header.length)?;
        }
        // Kept only when everything of the member has been read, so that it can be tried again.
        let array = Array { name, header, at: member.at.clone(), plain: member.stored() };
        self.arrays.push(array);
        let index = self.arrays.len() - 1;
        if let Err(stop) = self.objects(file, index, true) {
            self.arrays.pop();
            return Err(stop);
        }
        Ok(())
    }
    /// Unpacks a deflated array of objects, and reads its pickle.
    fn packed_objects(&mut self, file: &Window, member: &Member, name: &str, header: u64) -> Result<(), Stop> {
        match zip::unpacked(file, member)? {
            Ok(bytes) => {
                let len = bytes.len() as u64;
                let mut window = Window::new(member.name.clone(), len);
                window.insert(0, bytes);
                let mut stream = Stream::new(header.min(len)..len);
                stream.run(&window)?;
                self.pickles.push((xray::named(name), stream, Some(member.at.start)));
            }
            Err(why) => {
                let what = format!("{} holds compressed Python objects, which were not inspected: {why}", quoted(name));
                self.findings.warn(NoteCode::Objects, member.at.start, what, "a pickle hides in them");
            }
        }
        Ok(())
    }
    /// Reads the pickle of an array of objects.
    fn objects(&mut self, file: &Window, index: usize, many: bool) -> Result<(), Stop> {
        let Some(array) = self.arrays.get(index).filter(|a| a.header.kind() == "O" && a.plain) else { return Ok(()) };
        let start = array.at.start + array.header.length;
        let end = array.at.end;
        let stream = self.running.get_or_insert_with(|| Stream::new(start..end));
        stream.run(file)?;
        let name = if many { xray::named(&array.name) } else { "the pickle".into() };
        if let Some(stream) = self.running.take() {
            self.pickles.push((name, stream, None));
        }
        Ok(())
    }
    fn model(self, file: &Window) -> ModelFile {
        let Self { directory, arrays, pickles, mut findings, zip, cut, .. } = self;
        let len = file.len();
        let (mut parts, mut tensors) = (Vec::new(), Vec::new());
        let several = arrays.iter().any(|a| a.header.width() > Some(1) && a.header.big_endian())
            && arrays.iter().any(|a| a.header.width() > Some(1) && !a.header.big_endian());
        let big = !several && arrays.iter().any(|a| a.header.big_endian());
        let version = arrays.first().map_or((1, 0), |a| a.header.version);
        for array in arrays {
            if cut.is_some() {
                tensors.push(entry(array, several, file, &mut findings));
                continue;
            }
            let start = array.at.start;
            let data = start.saturating_add(array.header.length).min(len);
            if array.plain && start < data {
                parts.push((start..data, SectionKind::TensorList));
            } else if !array.at.is_empty() {
                parts.push((array.at.clone(), SectionKind::Metadata));
            }
            tensors.push(entry(array, several, file, &mut findings));
        }
        if let Some(directory) = &directory {
            for member in &directory.members {
                let end = member.at.start.max(member.header).min(len);
                if member.at.end > 0 && member.header < end {
                    parts.push((member.header..end, SectionKind::Header));
                }
            }
            parts.push((directory.at.start..directory.end.max(directory.at.end), SectionKind::Header));
        }
        if cut.is_some() {
            parts.push((0..len, SectionKind::Header));
        }
        let mut seen = Seen::default();
        for (name, stream, unpacked) in &pickles {
            for machine in &stream.read {
                seen.add(machine, &xray::Place { name, unpacked: *unpacked }, len, &mut findings);
                if unpacked.is_none() {
                    parts.push((machine.start..machine.at.min(len), SectionKind::Metadata));
                }
            }
        }
        let mut metadata = Metadata::default();
        seen.tell(&mut metadata);
        seen.finish(0, &mut findings);
        let sections = sections::map(0, len, &parts, &tensors, 64);
        let kind = if zip { "npz".to_owned() } else { format!("{}.{}", version.0, version.1) };
        ModelFile {
            format: FormatId::Numpy,
            version: Version::from(kind).big_endian(big),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: cut.map(|needs| Cut { file: 0, needs, announced: Some(1) }).into_iter().collect(),
            awaited: Vec::new(),
        }
    }
}

fn entry(array: Array, several: bool, file: &Window, findings: &mut Findings) -> TensorEntry {
    let Array { name, header, at, plain } = array;
    let shape = Shape(header.shape.clone());
    let told = quoted(&name);
    let text = matches!(header.kind().get(..1), Some("S" | "U"));
    let encoding = encoding(header.kind()).unwrap_or(if text { Encoding::String } else { Encoding::Unknown });
    let bytes = header.width().and_then(|w| shape.elements()?.checked_mul(w));
    let start = at.start.saturating_add(header.length);
    let found = at.end.saturating_sub(start);
    if encoding == Encoding::Unknown && header.kind() != "O" {
        let what = format!("{told} is of type {}, which is listed but not decoded", quoted(&header.descr));
        findings.info(NoteCode::Types, at.start, what, "");
    }
    if shape.elements().is_none() || header.width().is_some() && bytes.is_none() {
        let what = format!("{told} of shape {shape} has more elements than 64 bits count");
        findings.error(NoteCode::Sizes, at.start, what, "such an array cannot exist");
    }
    let place = match bytes {
        _ if !plain => {
            findings.info(
                NoteCode::PackedArrays,
                at.start,
                format!("{told} is deflated"),
                "its values are listed, not shown",
            );
            Place::Inline
        }
        None if header.kind() == "O" => Place::Inline,
        None => Place::Absent,
        Some(bytes) => {
            if bytes < found {
                let what = format!("{} bytes follow the values of {told}", found - bytes);
                findings.warn(NoteCode::TrailingBytes, start + bytes, what, "numpy does not read them");
            } else if bytes > found {
                let what = format!(
                    "{told} of shape {shape} and {} takes {bytes} bytes, {found} are there",
                    quoted(&header.descr)
                );
                findings.error(NoteCode::EndOfFile, at.end.min(file.len()), what, "the file was not copied whole");
            }
            let end = start.saturating_add(bytes);
            if bytes > found || start > file.len() {
                Place::Missing { file: file.name().to_owned(), at: start..end }
            } else if several && header.big_endian() && header.width() > Some(1) {
                let what = format!("{told} is big endian, other arrays of the file are not");
                findings.info(NoteCode::ByteOrder, at.start, what, "its values are listed, not shown");
                Place::Inline
            } else if header.fortran && shape.0.len() > 1 {
                let mut next = 1u64;
                let mut step = |d: &u64| {
                    let stride = next;
                    next = next.saturating_mul(*d);
                    stride
                };
                let strides = shape.0.iter().map(&mut step).collect();
                Place::Strided { file: 0, at: start..end, strides }
            } else {
                Place::Here { file: 0, at: start..end }
            }
        }
    };
    TensorEntry { name, shape, encoding, place, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_spellings_are_read() {
        let read = |text| Header::parse(text, 0, (1, 0));
        let plain = read("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n").unwrap();
        assert_eq!((plain.descr.as_str(), plain.fortran, plain.shape.as_slice()), ("<f4", false, &[3, 4][..]));
        let scalar = read("{\"descr\": \"|b1\", \"fortran_order\": True, \"shape\": ()}").unwrap();
        assert_eq!((scalar.kind(), scalar.fortran, scalar.shape.len()), ("b1", true, 0));
        let old = read("{'shape': (3L,), 'fortran_order': False, 'descr': '>i8'}").unwrap();
        assert_eq!((old.big_endian(), old.shape.as_slice()), (true, &[3][..]));
        let fields = read("{'descr': [('a', '<f4'), ('b', '<i2')], 'fortran_order': False, 'shape': (2,), }").unwrap();
        assert_eq!((fields.descr.as_str(), fields.width()), ("[('a', '<f4'), ('b', '<i2')]", None));
        assert!(read("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}").is_err());
        assert!(read("{'descr': '<f4', 'fortran_order': False}").is_err());
    }
}
