//! The stream of PyTorch 0.1.10 to 1.5: five pickles one behind the other (a number, the protocol, facts of the
//! machine, the object, the keys of the storages), then per storage its count of elements and its bytes.

use std::{collections::HashMap, ops::Range};

use super::objects::{Tree, entries, storages};
use crate::{
    formats::{
        findings::{Findings, quoted},
        sections,
        xray::{Place, Seen, Stream},
    },
    model::{FormatId, Loader, ModelFile, NoteCode, SectionKind, Version},
    source::{Cursor, Stop, Window},
};

/// Pickles before the storages.
const PICKLES: usize = 5;

pub(super) struct Legacy {
    pickles: Stream,
    /// Keys in the order of the storages; their bytes as far as passed.
    keys: Option<Vec<String>>,
    places: Vec<(Range<u64>, u64)>,
    /// Elements and bytes of one, as the object's pickle states.
    stated: HashMap<String, (u64, u64)>,
    at: u64,
    after: Option<Stream>,
    findings: Findings,
    cut: bool,
}

impl Legacy {
    pub(super) fn new(len: u64) -> Self {
        Self {
            pickles: Stream::limited(0..len, PICKLES),
            keys: None,
            places: Vec::new(),
            stated: HashMap::new(),
            at: 0,
            after: None,
            findings: Findings::default(),
            cut: false,
        }
    }
    pub(super) fn advance(&mut self, file: &Window) -> Result<(), Stop> {
        self.pickles.run(file)?;
        if self.keys.is_none() {
            let list = self.pickles.read.get(PICKLES - 1);
            let keys = list.and_then(|m| {
                let items = m.tuple(m.result)?;
                items
                    .iter()
                    .map(|i| m.text(*i).map(str::to_owned).or_else(|| m.int(*i).map(|n| n.to_string())))
                    .collect()
            });
            if let Some(object) = self.pickles.read.get(PICKLES - 2) {
                self.stated = storages(object).into_iter().map(|(key, n, width)| (key, (n, width))).collect();
            }
            if keys.is_none() {
                let (at, found) = (self.pickles.rest.start.min(file.len()), self.pickles.read.len());
                let what = format!("{PICKLES} pickles expected, the last a list of storages; {found} found");
                self.findings.error(NoteCode::Cut, at, what, "the file was not copied whole, or is damaged");
            }
            self.keys = Some(keys.unwrap_or_default());
            self.at = self.pickles.rest.start;
        }
        let keys = self.keys.as_deref().unwrap_or(&[]);
        while let Some(key) = keys.get(self.places.len()) {
            let Some((elements, width)) = self.stated.get(key) else {
                let what =
                    format!("storage {} is listed, the object does not name it: its length is unknown", quoted(key));
                self.findings.error(NoteCode::Storages, self.at.min(file.len()), what, "what follows cannot be placed");
                self.cut = true;
                break;
            };
            let start = self.at.saturating_add(8);
            // Beyond the end of a file that was not copied whole, storages lie where the object says they would.
            let count = if start > file.len() { *elements } else { Cursor::new(file, self.at, false).u64()? };
            if count != *elements {
                let what = format!("storage {} has {count} elements, the object states {elements}", quoted(key));
                self.findings.error(
                    NoteCode::Storages,
                    self.at,
                    what,
                    Loader::PyTorch.refuses("PyTorch refuses the file"),
                );
            }
            let Some(end) = count.checked_mul(*width).and_then(|n| start.checked_add(n)) else {
                self.cut = true;
                break;
            };
            self.places.push((start..end, count));
            self.at = end;
            self.cut |= end > file.len();
        }
        if !self.cut && self.at < file.len() && !keys.is_empty() {
            let at = self.at;
            self.after.get_or_insert_with(|| Stream::new(at..file.len())).run(file)?;
        }
        Ok(())
    }
    pub(super) fn finish(mut self, file: &Window) -> ModelFile {
        let len = file.len();
        let mut findings = std::mem::take(&mut self.findings);
        let keys = self.keys.take().unwrap_or_default();
        if self.cut {
            let whole = self.places.iter().filter(|(at, _)| at.end <= len).count();
            let what = format!("The file ends at byte {len} with {whole} of {} storages whole", keys.len());
            findings.error(NoteCode::EndOfFile, len, what, "the file was not copied whole");
        }
        let mut seen = Seen::default();
        let names =
            ["the magic number", "the protocol number", "the facts of the machine", "the object", "the storage list"];
        for (machine, name) in self.pickles.read.iter().zip(names) {
            seen.add(machine, &Place { name, unpacked: None }, len, &mut findings);
        }
        let mut parts: Vec<(Range<u64>, SectionKind)> =
            self.pickles.read.iter().map(|m| (m.start..m.at.min(len), SectionKind::TensorList)).collect();
        parts.extend(self.places.iter().map(|(at, _)| (at.start - 8..at.start, SectionKind::Header)));
        if let Some(after) = &self.after {
            for machine in &after.read {
                seen.add(machine, &Place { name: "a pickle after the storages", unpacked: None }, len, &mut findings);
            }
            let what = format!("{} bytes follow the last storage", len - self.at);
            findings.warn(NoteCode::TrailingBytes, self.at, what, "PyTorch does not read them");
        }
        let mut tree = Tree::default();
        if let Some(object) = self.pickles.read.get(PICKLES - 2) {
            tree.add(object, "", u64::from(u32::MAX));
        }
        let start = self.pickles.read.get(PICKLES - 2).map_or(0, |m| m.start).min(len);
        tree.tell(start, &mut findings);
        let places: HashMap<String, Range<u64>> =
            keys.into_iter().zip(self.places.iter().map(|(at, _)| at.clone())).collect();
        let mut metadata = std::mem::take(&mut tree.metadata);
        seen.tell(&mut metadata);
        seen.finish(0, &mut findings);
        let cut = self.cut;
        let tensors =
            entries(tree.tensors, file.name(), len, start, cut, &mut findings, |key| places.get(key).cloned());
        let big = self.pickles.read.get(2).is_some_and(|m| {
            let pairs = if let crate::formats::codec::pickle::Node::Dict(pairs) = m.node(m.result) {
                pairs.as_slice()
            } else {
                &[]
            };
            pairs.iter().any(|(k, v)| m.text(*k) == Some("little_endian") && m.int(*v) == Some(0))
        });
        let sections = sections::map(0, len, &parts, &tensors, 0);
        ModelFile {
            format: FormatId::PyTorch,
            version: Version::from("legacy stream").big_endian(big),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}
