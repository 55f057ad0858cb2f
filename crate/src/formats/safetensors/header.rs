//! The JSON header: entries in file order, each with its place.

use std::{collections::HashSet, rc::Rc};

use crate::{
    fault::{Fault, Result},
    formats::{
        codec::json::{Json, Scanner},
        findings::{Findings, quoted},
    },
    model::{Loader, MetaValue, Metadata, NoteCode},
    source::Limits,
};

/// Dimensions above are taken for damage.
const DIMS_MOST: usize = 64;

/// One tensor as stated.
pub(super) struct Stated {
    pub(super) name: String,
    /// As spelt; neighbours share one.
    pub(super) dtype: Rc<str>,
    pub(super) shape: Vec<u64>,
    /// Relative to the end of the header.
    pub(super) offsets: (u64, u64),
    /// Where its key stands.
    pub(super) at: u64,
}

/// What the header says.
#[derive(Default)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<Stated>,
    /// The header was understood to its end.
    pub(super) complete: bool,
}

/// Reads the header's `text`, which starts at byte 8; what comes before a fault is kept.
pub(super) fn read(text: &[u8], header: &mut Header, findings: &mut Findings, limits: &Limits) {
    let mut scanner = Scanner::new(text, 8);
    if text.first().is_some_and(|b| *b != b'{') {
        findings.warn(NoteCode::Start, 8, "The header starts with white space", "the format demands '{' at byte 8");
    }
    let read = entries(&mut scanner, header, findings, limits);
    check_names(&header.tensors, findings);
    match read {
        Ok(()) => header.complete = true,
        Err(fault) => {
            let what = format!(
                "The header could not be read to its end: {}. Shown are the {} tensors before",
                fault.what,
                header.tensors.len()
            );
            findings.error(
                NoteCode::Header,
                fault.at.unwrap_or(8),
                what,
                Loader::Safetensors.refuses("the safetensors library refuses the file"),
            );
            return;
        }
    }
    let tail = scanner.rest();
    let (at, odd) = (scanner.position(), tail.iter().position(|b| *b != b' '));
    match odd.map(|i| (at + i as u64, tail.iter().all(u8::is_ascii_whitespace))) {
        None => {}
        Some((at, true)) => {
            findings.warn(
                NoteCode::Padding,
                at,
                "The header is padded with other white space than spaces",
                "the format pads with 0x20",
            );
        }
        Some((at, false)) => {
            findings.error(
                NoteCode::Padding,
                at,
                "The header's JSON is followed by other bytes",
                Loader::Safetensors.refuses("the safetensors library refuses the file"),
            );
        }
    }
}

fn entries(scanner: &mut Scanner<'_>, header: &mut Header, findings: &mut Findings, limits: &Limits) -> Result<()> {
    let mut metadata_seen = false;
    let mut dtype: Rc<str> = "".into();
    let mut first = true;
    scanner.expect(b'{')?;
    while scanner.member(b'}', std::mem::take(&mut first))? {
        scanner.peek();
        let at = scanner.position();
        let name = scanner.string()?;
        scanner.expect(b':')?;
        if name == "__metadata__" {
            metadata(scanner, header, findings)?;
            if std::mem::replace(&mut metadata_seen, true) {
                named_again(&name, at, findings);
            }
        } else {
            if header.tensors.len() as u64 == limits.tensors {
                return Err(Fault::limit(format!("more than {} tensors", limits.tensors)).at(at));
            }
            let stated = tensor(scanner, name.into_owned(), at, &mut dtype, findings)?;
            header.tensors.push(stated);
        }
    }
    Ok(())
}

fn check_names(tensors: &[Stated], findings: &mut Findings) {
    let mut seen = HashSet::with_capacity(tensors.len());
    for tensor in tensors {
        if !seen.insert(tensor.name.as_str()) {
            named_again(&tensor.name, tensor.at, findings);
        }
    }
}

fn named_again(name: &str, at: u64, findings: &mut Findings) {
    let what = format!("The header names {} more than once", quoted(name));
    findings.error(NoteCode::DuplicateNames, at, what, "two readers may see two models; the format forbids it");
}

fn metadata(scanner: &mut Scanner<'_>, header: &mut Header, findings: &mut Findings) -> Result<()> {
    scanner.peek();
    let at = scanner.position();
    match scanner.value()? {
        Json::Null => {
            findings.warn(NoteCode::Metadata, at, "__metadata__ is null", "an object of strings is expected");
        }
        Json::Object(members) => {
            let mut seen = HashSet::new();
            for (key, value) in members {
                if !seen.insert(key.clone()) {
                    let what = format!("__metadata__ names {} more than once", quoted(&key));
                    findings.warn(NoteCode::Metadata, at, what, "readers differ in which they take");
                }
                match value {
                    Json::String(text) => header.metadata.push(key, MetaValue::String(text)),
                    _ => {
                        let what = format!("{} of __metadata__ is no string", quoted(&key));
                        findings.error(
                            NoteCode::Metadata,
                            at,
                            what,
                            Loader::Safetensors.refuses("the safetensors library refuses the file"),
                        );
                    }
                }
            }
        }
        _ => findings.error(
            NoteCode::Metadata,
            at,
            "__metadata__ is no object",
            Loader::Safetensors.refuses("the safetensors library refuses the file"),
        ),
    }
    Ok(())
}

/// One tensor's entry; `last` is the dtype of the one before.
fn tensor(
    scanner: &mut Scanner<'_>,
    name: String,
    at: u64,
    last: &mut Rc<str>,
    findings: &mut Findings,
) -> Result<Stated> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    let mut first = true;
    scanner.expect(b'{')?;
    while scanner.member(b'}', std::mem::take(&mut first))? {
        let key = scanner.string()?;
        scanner.expect(b':')?;
        let again = match &*key {
            "dtype" => {
                let stated = scanner.string()?;
                if **last != *stated {
                    *last = (*stated).into();
                }
                dtype.replace(Rc::clone(last)).is_some()
            }
            "shape" => shape.replace(numbers(scanner, DIMS_MOST)?).is_some(),
            "data_offsets" => offsets.replace(numbers(scanner, 2)?).is_some(),
            _ => {
                let what = format!("{} has an entry {} that the format does not know", quoted(&name), quoted(&key));
                findings.warn(NoteCode::ExtraEntries, scanner.position(), what, "readers ignore it");
                scanner.value()?;
                false
            }
        };
        if again {
            return Err(Fault::file(scanner.position(), format!("{} states its {key} twice", quoted(&name))));
        }
    }
    let missing = |what: &str| Fault::file(at, format!("{} states no {what}", quoted(&name)));
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let dtype = dtype.ok_or_else(|| missing("dtype"))?;
    let offsets = match offsets.ok_or_else(|| missing("data_offsets"))?.as_slice() {
        &[begin, end] => (begin, end),
        _ => return Err(missing("begin and end in its data_offsets")),
    };
    Ok(Stated { name, dtype, shape, offsets, at })
}

fn numbers(scanner: &mut Scanner<'_>, most: usize) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    scanner.expect(b'[')?;
    while scanner.member(b']', numbers.is_empty())? {
        if numbers.len() == most {
            return Err(scanner.fault(&format!("at most {most} numbers")));
        }
        numbers.push(scanner.whole()?);
    }
    Ok(numbers)
}
