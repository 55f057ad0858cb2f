//! The tar archive of PyTorch before 0.1.10 (`torch/serialization.py`, `legacy_load`).
//!
//! ```text
//! storages   N | N x ((key, location, class) | elements i64 | bytes) | [(view, root, offset, elements)]
//! tensors    N | N x ((key, storage, class) | dimensions i32 | 4 unused | sizes i64 | strides i64 | offset i64)
//! pickle     the object; tensors are persistent ids: their keys
//! ```
//! Counts, tuples and lists are pickles of their own.

use std::{collections::HashMap, ops::Range};

use super::objects::{Source, Stated, Tree, entries, row_major};
use crate::{
    fault::Fault,
    formats::{
        codec::{
            pickle::{Id, Machine, Status, torch_names::storage_type},
            tar::{self, Member},
        },
        findings::{Findings, quoted},
        sections,
        xray::{Place, Seen, Stream},
    },
    model::{FormatId, ModelFile, NoteCode, SectionKind},
    source::{Cursor, Limits, Stop, Window},
    tensor::Encoding,
};

/// Dimensions above are taken for damage.
const DIMS_MOST: u64 = 64;

/// Members of such an archive.
const NAMES: &[&str] = &["storages", "tensors", "pickle", "sys_info"];

/// Does a file start as such an archive?
pub(super) fn starts(head: &[u8]) -> bool {
    tar::first_name(head).is_some_and(|name| NAMES.contains(&name.as_str()))
}

/// Pickles and plain numbers in turn, within one member.
#[derive(Default)]
struct Items {
    at: u64,
    end: u64,
    /// The pickle at hand; kept until what follows it has been read too.
    now: Option<Machine>,
    /// How many items are announced, and how many were read.
    count: Option<u64>,
    done: u64,
}

impl Items {
    fn pickle(&mut self, file: &Window) -> Result<&Machine, Stop> {
        let machine = self.now.get_or_insert_with(|| Machine::new(self.at, self.end.min(file.len())));
        machine.run(file)?;
        machine.look_within(file)?;
        Ok(machine)
    }
    /// Goes on behind byte `at`.
    fn pass(&mut self, at: u64) -> Option<Machine> {
        self.at = at;
        self.now.take()
    }
    /// The announced count, read once.
    fn count(&mut self, file: &Window) -> Result<Option<(u64, Option<Machine>)>, Stop> {
        if let Some(count) = self.count {
            return Ok(Some((count, None)));
        }
        let machine = self.pickle(file)?;
        let (at, count) = (machine.at, machine.int(machine.result).and_then(|n| u64::try_from(n).ok()));
        let Some(count) = count.filter(|_| machine.status == Status::Stopped) else { return Ok(None) };
        self.count = Some(count);
        Ok(Some((count, self.pass(at))))
    }
}

/// A storage, or a view of another one.
#[derive(Clone)]
struct Storage {
    root: String,
    encoding: Encoding,
    elements: u64,
    offset: u64,
}

#[derive(Default)]
pub(super) struct Tar {
    members: Vec<Member>,
    walked: bool,
    end: u64,
    storages: Items,
    storages_done: bool,
    tensors: Items,
    tensors_done: bool,
    object: Option<Stream>,
    facts: Option<Stream>,
    known: HashMap<String, Storage>,
    places: HashMap<String, Range<u64>>,
    stated: HashMap<String, Stated>,
    seen: Seen,
    findings: Findings,
    cut: bool,
}

/// A key as text: a number, or what stands for one.
fn key(m: &Machine, id: Id) -> Option<String> {
    m.int(id).map(|n| n.to_string()).or_else(|| m.text(id).map(str::to_owned))
}

impl Tar {
    pub(super) fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if !self.walked {
            tar::members(file, &mut self.end, &mut self.members)?;
            for (name, items) in [("storages", &mut self.storages), ("tensors", &mut self.tensors)] {
                if let Some(member) = self.members.iter().find(|m| m.name == name) {
                    (items.at, items.end) = (member.at.start, member.at.end);
                }
            }
            self.cut = self.end > file.len() || NAMES.iter().take(3).any(|n| self.member(n).is_none());
            self.walked = true;
        }
        if !self.storages_done {
            self.read_storages(file)?;
            self.storages_done = true;
        }
        if !self.tensors_done {
            self.read_tensors(file, limits)?;
            self.tensors_done = true;
        }
        for (name, stream) in [("pickle", &mut self.object), ("sys_info", &mut self.facts)] {
            if let Some(member) = self.members.iter().find(|m| m.name == name) {
                let at = member.at.start.min(file.len())..member.at.end.min(file.len());
                stream.get_or_insert_with(|| Stream::new(at)).run(file)?;
            }
        }
        if self.object.is_none() && self.known.is_empty() && self.stated.is_empty() {
            let what =
                "a tar archive of PyTorch expected, with the members storages, tensors and pickle; none of them found";
            return Err(Fault::file(0, what).in_file(file.name()).into());
        }
        Ok(())
    }
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }
    fn xray(&mut self, machine: Option<Machine>, name: &str, len: u64) {
        if let Some(machine) = machine {
            self.seen.add(&machine, &Place { name, unpacked: None }, len, &mut self.findings);
        }
    }
    /// What follows in a member is not what it should be.
    fn stop(&mut self, file: &Window, name: &str, what: &str) {
        let items = if name == "storages" { &mut self.storages } else { &mut self.tensors };
        let at = items.now.as_ref().map_or(items.at, |m| m.at).min(file.len());
        let told = items.count.map_or(String::new(), |n| format!("; {} of {n} were read", items.done));
        let machine = items.now.take();
        self.xray(machine, name, file.len());
        self.cut |= at >= file.len();
        self.findings.error(code_of(name), at, format!("{what}{told}"), "the file was not copied whole, or is damaged");
    }
    fn read_storages(&mut self, file: &Window) -> Result<(), Stop> {
        if self.storages.end == 0 {
            return Ok(());
        }
        let Some((count, machine)) = self.storages.count(file)? else {
            self.stop(file, "storages", "The number of storages expected as a pickle");
            return Ok(());
        };
        self.xray(machine, "storages", file.len());
        while self.storages.done < count {
            let m = self.storages.pickle(file)?;
            let named = m.tuple(m.result).and_then(|parts| {
                let [k, _location, class, ..] = parts else { return None };
                Some((key(m, *k)?, storage_type(m.global(*class)?.1)?))
            });
            let (behind, whole) = (m.at, m.status == Status::Stopped);
            let Some((key, encoding)) = named.filter(|_| whole && behind.saturating_add(8) <= file.len()) else {
                self.stop(file, "storages", "A storage's key, place and class expected, then its elements");
                return Ok(());
            };
            let elements = Cursor::new(file, behind, false).u64()?;
            let width = encoding.spec().map_or(1, |s| u64::from(s.block_bytes));
            let Some(end) = elements.checked_mul(width).and_then(|n| (behind + 8).checked_add(n)) else {
                self.stop(file, "storages", "A storage of a size that 64 bits count expected");
                return Ok(());
            };
            self.places.insert(key.clone(), behind + 8..end);
            self.known.insert(key.clone(), Storage { root: key, encoding, elements, offset: 0 });
            let machine = self.storages.pass(end);
            self.storages.done += 1;
            self.xray(machine, "storages", file.len());
            if end > file.len() {
                self.stop(file, "storages", "The file ends within a storage");
                return Ok(());
            }
        }
        // Storages that are parts of others.
        let m = self.storages.pickle(file)?;
        let views: Vec<(String, String, u64, u64)> = m
            .tuple(m.result)
            .unwrap_or(&[])
            .iter()
            .filter_map(|view| {
                let [of, root, offset, n] = m.tuple(*view)? else { return None };
                let number = |id: Id| m.int(id).and_then(|n| u64::try_from(n).ok());
                Some((key(m, *of)?, key(m, *root)?, number(*offset)?, number(*n)?))
            })
            .collect();
        if m.status != Status::Stopped {
            self.stop(file, "storages", "The list of storages that are parts of others expected");
            return Ok(());
        }
        let at = m.at;
        for (of, root, offset, elements) in views {
            if let Some(storage) = self.known.get(&root).cloned() {
                let offset = storage.offset.saturating_add(offset);
                self.known.insert(of, Storage { offset, elements, ..storage });
            }
        }
        let machine = self.storages.pass(at);
        self.xray(machine, "storages", file.len());
        Ok(())
    }
    fn read_tensors(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.tensors.end == 0 {
            return Ok(());
        }
        let Some((count, machine)) = self.tensors.count(file)? else {
            self.stop(file, "tensors", "The number of tensors expected as a pickle");
            return Ok(());
        };
        self.xray(machine, "tensors", file.len());
        while self.tensors.done < count.min(limits.tensors) {
            let end = self.tensors.end.min(file.len());
            let m = self.tensors.pickle(file)?;
            let named = m.tuple(m.result).and_then(|parts| {
                let [k, storage, class, ..] = parts else { return None };
                let class = m.global(*class).map_or("", |(_, name)| name);
                let kind = storage_type(&class.replace("Tensor", "Storage")).unwrap_or(Encoding::Unknown);
                Some((key(m, *k)?, key(m, *storage)?, kind))
            });
            let (behind, whole) = (m.at, m.status == Status::Stopped);
            let Some((key, storage, kind)) = named.filter(|_| whole && behind.saturating_add(8) <= end) else {
                self.stop(file, "tensors", "A tensor's key, storage and class expected, then its sizes");
                return Ok(());
            };
            let mut cursor = Cursor::new(file, behind, false);
            let (dims, _unused) = (u64::from(cursor.u32()?), cursor.u32()?);
            // Sizes and strides of each dimension, and the offset.
            let last = cursor.position().saturating_add(dims.saturating_mul(16)).saturating_add(8);
            if dims > DIMS_MOST || last > end {
                self.stop(file, "tensors", &format!("{dims} sizes and strides of a tensor expected"));
                return Ok(());
            }
            let mut numbers = || (0..dims).map(|_| cursor.i64()).collect::<Result<Vec<_>, _>>();
            let (shape, strides) = (numbers()?, numbers()?);
            let offset = cursor.i64()?;
            let machine = self.tensors.pass(last);
            self.tensors.done += 1;
            self.xray(machine, "tensors", file.len());
            self.tensor(key, &storage, kind, (&shape, &strides, offset), behind);
        }
        Ok(())
    }
    fn tensor(&mut self, key: String, storage: &str, kind: Encoding, view: (&[i64], &[i64], i64), at: u64) {
        let (shape, strides, offset) = view;
        let plain = |list: &[i64]| list.iter().map(|n| u64::try_from(*n).ok()).collect::<Option<Vec<_>>>();
        let (Some(shape), Some(strides), Ok(offset)) = (plain(shape), plain(strides), u64::try_from(offset)) else {
            let what = format!("tensor {} has a negative size, stride or offset", quoted(&key));
            self.findings.error(NoteCode::Tensors, at, what, "it is not listed");
            return;
        };
        let known = self.known.get(storage).cloned();
        let strides = (!row_major(&shape, &strides)).then_some(strides);
        let Some(Storage { root, encoding, elements, offset: first }) = known else {
            let what = format!("tensor {} lies in storage {}, which is not there", quoted(&key), quoted(storage));
            self.findings.error(NoteCode::Storages, at, what, "its values cannot be shown");
            let source = Source::Storage(storage.to_owned());
            // What its class says of a storage that was not reached.
            let (encoding, elements) = (kind, u64::MAX);
            let stated = Stated { name: String::new(), shape, strides, encoding, source, offset, elements };
            self.stated.insert(key, stated);
            return;
        };
        let (offset, elements) = (offset.saturating_add(first), elements.saturating_add(first));
        let source = Source::Storage(root);
        self.stated.insert(key, Stated { name: String::new(), shape, strides, encoding, source, offset, elements });
    }
    pub(super) fn finish(mut self, file: &Window) -> ModelFile {
        let len = file.len();
        let mut findings = std::mem::take(&mut self.findings);
        let missing: Vec<&str> = NAMES.iter().take(3).filter(|n| self.member(n).is_none()).copied().collect();
        if !missing.is_empty() || self.end > len {
            let lacks = if missing.is_empty() { String::new() } else { format!("; {} not found", missing.join(", ")) };
            let what = format!("The file ends at byte {len}, its archive at byte {} or later{lacks}", self.end);
            findings.error(NoteCode::EndOfFile, len, what, "the file was not copied whole");
        } else if len < self.end.saturating_add(2 * tar::BLOCK) {
            let what = "The archive ends without its two closing blocks of zeros";
            findings.info(
                NoteCode::EndMark,
                len,
                what,
                "nothing of the model lies there, but the file may not be whole",
            );
        }
        let mut tree = Tree::default();
        tree.persistent = std::mem::take(&mut self.stated);
        let start = self.member("pickle").map_or(0, |m| m.at.start.min(len));
        for (stream, name) in [(&self.object, "the pickle"), (&self.facts, "sys_info")] {
            for machine in stream.iter().flat_map(|s| &s.read) {
                self.seen.add(machine, &Place { name, unpacked: None }, len, &mut findings);
            }
        }
        if let Some(machine) = self.object.as_ref().and_then(|s| s.read.first()) {
            tree.add(machine, "", u64::from(u32::MAX));
        }
        tree.tell(start, &mut findings);
        let mut metadata = std::mem::take(&mut tree.metadata);
        self.seen.tell(&mut metadata);
        self.seen.finish(start, &mut findings);
        let places = std::mem::take(&mut self.places);
        let cut = self.cut;
        let tensors =
            entries(tree.tensors, file.name(), len, start, cut, &mut findings, |key| places.get(key).cloned());
        let mut parts = Vec::new();
        for member in &self.members {
            parts.push((member.header..member.header + tar::BLOCK, SectionKind::Header));
            if member.name == "storages" {
                parts.extend(sections::around(member.at.clone(), SectionKind::TensorList, &tensors));
            } else {
                let kind = if member.name == "tensors" { SectionKind::TensorList } else { SectionKind::Metadata };
                parts.push((member.at.clone(), kind));
            }
        }
        let sections = sections::map(0, len, &parts, &tensors, tar::BLOCK);
        ModelFile {
            format: FormatId::PyTorch,
            version: "legacy tar".into(),
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

/// The code of a note about a member.
fn code_of(member: &str) -> NoteCode {
    if member == "storages" { NoteCode::Storages } else { NoteCode::Tensors }
}
