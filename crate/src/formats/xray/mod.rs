//! Pickle X-ray: what a pickle would import and call if Python loaded it, and how completely it was understood.
//!
//! No verdict says "safe": a list of what needs no code beyond tensors' own is kept here, everything else is named.

mod danger;
mod families;
mod values;

use std::ops::Range;

use danger::{Danger, Judge};

use super::{
    codec::pickle::{self, Machine, Node, Status},
    findings::{Findings, quoted},
};
use crate::{
    model::{MetaArray, MetaType, MetaValue, Metadata, Note, NoteCode, Severity},
    source::{Stop, Window},
};

/// Pickles one behind the other, at most.
const PICKLES_MOST: usize = 4096;
/// Values of all of them together, at most.
const VALUES_MOST: usize = 2_000_000;
/// Names of one kind of values in a sentence.
const NAMED: usize = 8;
/// Imports listed by name in the metadata, at most.
const LISTED: usize = 1000;

/// Pickles that lie one behind the other in a range of bytes: what a loader may read after the first is followed too.
pub(super) struct Stream {
    machine: Option<Machine>,
    at: u64,
    end: u64,
    /// How many pickles at most.
    most: usize,
    /// The pickles read.
    pub(super) read: Vec<Machine>,
    /// Bytes after the last pickle.
    pub(super) rest: Range<u64>,
    done: bool,
}

impl Stream {
    pub(super) fn new(at: Range<u64>) -> Self {
        Self::limited(at, PICKLES_MOST)
    }
    /// At most `most` pickles; what follows them is no pickle.
    pub(super) fn limited(at: Range<u64>, most: usize) -> Self {
        Self { machine: None, at: at.start, end: at.end, most, read: Vec::new(), rest: 0..0, done: false }
    }
    /// Reads on.
    pub(super) fn run(&mut self, file: &Window) -> Result<(), Stop> {
        while !self.done {
            let machine = match &mut self.machine {
                Some(machine) => machine,
                None => {
                    if !self.goes_on(file)? {
                        self.rest = self.at..self.end;
                        self.done = true;
                        break;
                    }
                    self.machine.insert(Machine::new(self.at, self.end))
                }
            };
            machine.run(file)?;
            machine.look_within(file)?;
            self.at = machine.at;
            if machine.status == Status::Broken {
                self.most = 0;
            }
            self.read.extend(self.machine.take());
        }
        Ok(())
    }
    /// Whether another pickle starts here.
    fn goes_on(&self, file: &Window) -> Result<bool, Stop> {
        let values: usize = self.read.iter().map(|m| m.nodes.len()).sum();
        if self.at >= self.end || self.read.len() >= self.most || values > VALUES_MOST {
            return Ok(false);
        }
        if self.read.is_empty() || self.most < PICKLES_MOST {
            return Ok(true);
        }
        let head = file.bytes(self.at..self.end.min(self.at + 4096))?;
        Ok(pickle::plausible(head, self.at + 4096 >= self.end))
    }
}

/// What names the pickle and its place in notes.
pub(super) struct Place<'a> {
    /// "data.pkl", or "the pickle".
    pub(super) name: &'a str,
    /// Added to the machine's offsets to give the file's: 0 where the pickle lies in the file as it is.
    /// For unpacked members, the member's start; offsets are then within the unpacked bytes.
    pub(super) unpacked: Option<u64>,
}

impl Place<'_> {
    /// A byte offset as a note's place.
    fn at(&self, offset: u64, file_len: u64) -> u64 {
        self.unpacked.unwrap_or(offset).min(file_len)
    }
    fn told(&self, offset: u64) -> String {
        match self.unpacked {
            Some(_) => format!("byte {offset} of it, unpacked"),
            None => format!("byte {offset}"),
        }
    }
}

/// What the X-ray of several pickles found, for one sentence at the end.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) pickles: u64,
    pub(super) opcodes: u64,
    pub(super) bytes: u64,
    /// Pickles that were not followed to `STOP` without trouble.
    pub(super) unclear: u64,
    /// Imports beyond what tensors need, and beyond known values.
    pub(super) beyond: u64,
    /// Imports of known value types.
    values: u64,
    /// "os.system by REDUCE at byte 12".
    pub(super) listed: Vec<String>,
}

impl Seen {
    /// Notes on one pickle.
    pub(super) fn add(&mut self, machine: &Machine, place: &Place<'_>, file_len: u64, findings: &mut Findings) {
        let judge = Judge::new(machine);
        // Values of arrays, read as opcodes: what is harmless there is chance, or an array of objects seen already.
        if machine.is_plain && !machine.imports.iter().any(|i| matches!(judge.import(i.node), Danger::Known(_))) {
            return;
        }
        self.pickles += 1;
        self.opcodes += machine.opcodes;
        self.bytes += machine.at.saturating_sub(machine.start);
        let mut values: Vec<(&'static values::Values, Vec<String>, u64)> = Vec::new();
        for import in &machine.imports {
            let danger = judge.import(import.node);
            let call = machine.calls.iter().find(|c| c.callable == import.node && !c.op.starts_with("BUILD"));
            let full = machine.describe(import.node);
            if self.listed.len() < LISTED {
                let called = call.map_or(String::new(), |c| format!(", called {} times by {}", c.count, c.op));
                let (at, level) = (place.told(import.at), level(danger));
                self.listed.push(format!("{full} ({level}; {} in {}, {at}{called})", import.op, place.name));
            }
            let at = place.at(import.at, file_len);
            let harm = match danger {
                Danger::Needed => continue,
                Danger::Value(row) => {
                    self.values += 1;
                    match values.iter_mut().find(|(other, ..)| other.kind == row.kind) {
                        Some((_, names, _)) => names.push(full),
                        None => values.push((row, vec![full], at)),
                    }
                    continue;
                }
                Danger::Foreign => None,
                Danger::Known(why) => Some(why),
            };
            self.beyond += 1;
            let by = format!("{} at {}", import.op, place.told(import.at));
            let then = match call {
                Some(c) => format!(" and call it with {} ({} at {})", machine.describe(c.args), c.op, place.told(c.at)),
                None => String::new(),
            };
            let what = format!("{} would import {full} ({by}){then}", place.name);
            let (code, note) = if let Some(why) = harm {
                let note =
                    Note::new(Severity::Error, what).why(format!("loading this file in Python would run it: {why}"));
                (NoteCode::DangerousImports, note.advice("do not load this file in Python"))
            } else {
                let note = Note::new(Severity::Warning, what)
                    .why("loading this file in Python would run code of that package, which is not a known one; Glassbox runs nothing");
                (NoteCode::ImportsBeyondTensors, note)
            };
            findings.add(code, at, note);
        }
        for (row, names, at) in values {
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let list = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            let what = format!("{} holds {}: {list}{more}", place.name, row.kind);
            findings.info(NoteCode::KnownValueTypes, at, what, row.why);
        }
        self.odd_calls(&judge, machine, place, file_len, findings);
        for inner in &machine.nested {
            let name = format!("a pickle within {}", place.name);
            self.add(inner, &Place { name: &name, unpacked: place.unpacked }, file_len, findings);
        }
        for (at, code) in &machine.extensions {
            self.beyond += 1;
            let what =
                format!("{} would import what number {code} of Python's extension registry stands for", place.name);
            findings.error(
                NoteCode::ExtensionCodes,
                place.at(*at, file_len),
                what,
                "what that is cannot be seen from the file",
            );
        }
        if let Some((at, what)) = &machine.trouble {
            self.unclear += 1;
            let what = format!("{} is not fully understood: at {}, {what}", place.name, place.told(*at));
            let at = place.at(*at, file_len);
            if machine.is_misframed {
                // No writer does this: it hides opcodes from one of the readers.
                let why = "another reader may take bytes of a text for opcodes and run them";
                findings.error(NoteCode::PicklesNotFullyUnderstood, at, what, why);
            } else {
                let why = "Python would stop here, or read it otherwise; what was followed is shown";
                findings.warn(NoteCode::PicklesNotFullyUnderstood, at, what, why);
            }
        }
        if machine.calls_untold > 0 {
            let what = format!("{} calls {} more callables than are told apart", place.name, machine.calls_untold);
            findings.warn(NoteCode::PicklesNotFullyUnderstood, place.at(machine.start, file_len), what, "");
        }
    }
    /// Calls of things that no import names, and attributes set on modules and classes.
    fn odd_calls(
        &mut self,
        judge: &Judge<'_>,
        machine: &Machine,
        place: &Place<'_>,
        file_len: u64,
        findings: &mut Findings,
    ) {
        for call in &machine.calls {
            let at = place.at(call.at, file_len);
            match machine.node(call.callable) {
                Node::Global(..) => {
                    let sets = call.op == "BUILD";
                    if sets {
                        self.beyond += 1;
                        let what = format!(
                            "{} would set attributes of {} itself ({} at {})",
                            place.name,
                            machine.describe(call.callable),
                            call.op,
                            place.told(call.at)
                        );
                        findings.error(
                            NoteCode::AttributesOfModules,
                            at,
                            what,
                            "other code would then behave differently",
                        );
                    }
                }
                _ if judge.is_value(call.callable) || judge.is_class_with_source(call.callable) => {}
                _ => {
                    let known = !matches!(judge.roots(call.callable, 0), Danger::Needed | Danger::Value(_));
                    self.beyond += 1;
                    let what = format!(
                        "{} would call {} with {} ({} at {})",
                        place.name,
                        machine.describe(call.callable),
                        machine.describe(call.args),
                        call.op,
                        place.told(call.at)
                    );
                    let why = "what is called is made while loading; it cannot be named from the file alone";
                    if known {
                        findings.error(NoteCode::CallsOfResults, at, what, why);
                    } else {
                        findings.warn(NoteCode::CallsOfResults, at, what, why);
                    }
                }
            }
        }
    }
    /// The closing sentence: what was found and how completely it was understood.
    pub(super) fn finish(&self, at: u64, findings: &mut Findings) {
        if self.pickles == 0 {
            return;
        }
        let pickles = if self.pickles == 1 { "1 pickle".into() } else { format!("{} pickles", self.pickles) };
        let followed = if self.unclear == 0 {
            "all followed to STOP".to_owned()
        } else {
            format!("{} not fully understood", self.unclear)
        };
        let found = match (self.beyond, self.values) {
            (0, 0) => "no import or call beyond what tensors need was found".to_owned(),
            (0, n) => format!("beyond what tensors need, only known value types ({n}) were found"),
            (n, 0) => format!("{n} imports or calls beyond what tensors need"),
            (n, v) => format!("{n} imports or calls beyond what tensors need, and {v} known value types"),
        };
        let what = format!("{pickles}: {} opcodes in {} bytes, {followed}; {found}", self.opcodes, self.bytes);
        findings.info(
            NoteCode::PickleXRay,
            at,
            what,
            "a pickle is a program for Python; Glassbox reads it as data and runs nothing",
        );
    }
    /// Puts the list of all imports, and how many of them `torch.load(weights_only=True)` does not know, into the metadata.
    pub(super) fn tell(&mut self, metadata: &mut Metadata) {
        let list = std::mem::take(&mut self.listed);
        if list.is_empty() {
            return;
        }
        let head: Vec<MetaValue> = list.into_iter().map(MetaValue::String).collect();
        let list = MetaArray { item: MetaType::String, len: head.len() as u64, head, place: None };
        metadata.push("pickle.imports", MetaValue::Array(list));
        metadata.push("pickle.unsupported_globals", MetaValue::Unsigned(self.beyond + self.values, MetaType::U64));
        if self.values > 0 {
            metadata.push("pickle.known_value_types", MetaValue::Unsigned(self.values, MetaType::U64));
        }
    }
}

/// A level in words, for the list of imports.
fn level(danger: Danger) -> &'static str {
    match danger {
        Danger::Needed => "needed by tensors",
        Danger::Value(_) => "known value type",
        Danger::Foreign => "code of another package",
        Danger::Known(_) => "dangerous",
    }
}

/// What a pickle that lies within these bytes as it is would import, beyond what tensors need.
pub(super) fn glimpse(head: &[u8]) -> Option<String> {
    let mut window = Window::new("head", head.len() as u64);
    window.insert(0, head.to_vec());
    let starts = head.windows(2).enumerate().filter(|(_, w)| matches!(w, [0x80, 2..=5])).map(|(i, _)| i as u64);
    starts.take(16).find_map(|start| {
        let mut machine = Machine::new(start, head.len() as u64);
        machine.run(&window).ok()?;
        let judge = Judge::new(&machine);
        let worst = machine.imports.iter().find(|i| judge.import(i.node).alarms())?;
        let (module, name) = machine.global(worst.node)?;
        Some(format!("a pickle at byte {start} of it would import {}", quoted(&format!("{module}.{name}"))))
    })
}

/// A pickle's name for sentences: its member's name, or "the pickle".
pub(super) fn named(member: &str) -> String {
    format!("the pickle {}", quoted(member))
}
