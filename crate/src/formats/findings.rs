//! Collecting notes: bounded in number, most severe first.

use std::collections::HashMap;

use crate::model::{Note, Severity};

/// Notes of one kind that are told one by one; the rest is counted.
const TOLD: usize = 8;

/// The notes of one file while it is read, or of one model while it is checked.
#[derive(Default)]
pub(crate) struct Findings {
    notes: Vec<Note>,
    more: HashMap<&'static str, (usize, Severity)>,
}

impl Findings {
    /// Adds a note at byte `at` of the file being read. `kind` groups like notes, so that a file with a
    /// fault in each of 30,000 tensors gives a readable list.
    pub(super) fn add(&mut self, kind: &'static str, at: u64, note: Note) {
        self.note(kind, note.at(0, at));
    }
    /// Adds a note that has its place, or has none.
    pub(crate) fn note(&mut self, kind: &'static str, mut note: Note) {
        note.why.get_or_insert_with(|| reason(note.severity).into());
        note.advice.get_or_insert_with(|| advice(kind, note.severity).into());
        let (told, _) = self.more.entry(kind).or_insert((0, note.severity));
        *told += 1;
        if *told <= TOLD {
            self.notes.push(note);
        }
    }
    /// Errors, in short.
    pub(super) fn error(&mut self, kind: &'static str, at: u64, what: impl Into<String>, why: &str) {
        self.add(kind, at, with_why(Severity::Error, what, why));
    }
    /// Warnings, in short.
    pub(super) fn warn(&mut self, kind: &'static str, at: u64, what: impl Into<String>, why: &str) {
        self.add(kind, at, with_why(Severity::Warning, what, why));
    }
    /// Infos, in short.
    pub(super) fn info(&mut self, kind: &'static str, at: u64, what: impl Into<String>, why: &str) {
        self.add(kind, at, with_why(Severity::Info, what, why));
    }
    /// All notes, most severe first, then by place.
    pub(crate) fn finish(self) -> Vec<Note> {
        let mut notes = self.notes;
        let mut more: Vec<_> = self.more.into_iter().filter(|(_, (n, _))| *n > TOLD).collect();
        crate::order::sort_by_key(&mut more, |(kind, _)| *kind);
        for (kind, (n, severity)) in more {
            let note = Note::new(severity, format!("{} more of this kind: {kind}", n - TOLD));
            notes.push(note.why("as above").advice("as above"));
        }
        sort(&mut notes);
        notes
    }
}

/// Why a finding matters whose reader says no more than what it is.
fn reason(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "what the file states cannot be relied on",
        Severity::Warning => "other programs may refuse the file, or read it otherwise",
        Severity::Info => "good to know; nothing depends on it",
    }
}

/// What a person can do about a kind of finding.
fn advice(kind: &str, severity: Severity) -> &'static str {
    match kind {
        "cut" | "end of file" | "counts" | "chunks" | "tokens" | "tensors" | "header" | "count" | "graph"
        | "opsets" | "shards" | "zip directory" => "finish the download, or copy the file again",
        "duplicate names" | "duplicate keys" | "overlaps" | "holes" | "trailing" | "trailing bytes"
        | "extra entries" | "zip overlaps" | "zip names" | "zip prefix" | "zip trailing bytes" | "zip members"
        | "reaching operators" => "compare its checksum with the file of the model's own repository before using it",
        "pickle X-ray"
        | "calls of results"
        | "code"
        | "code in layers"
        | "extension codes"
        | "foreign modules"
        | "objects"
        | "pickles"
        | "pickles not fully understood"
        | "attributes of modules"
        | "imports beyond tensors" => {
            "load it in Python only if you trust where it comes from; a safetensors file runs nothing"
        }
        "sizes"
        | "rows"
        | "offsets"
        | "alignment"
        | "alignment of tensors"
        | "types"
        | "dtypes"
        | "dimensions"
        | "long names"
        | "order of tensors"
        | "nested arrays"
        | "magic"
        | "version 1"
        | "empty keys"
        | "names"
            if severity > Severity::Info =>
        {
            "convert the model again with a current program"
        }
        _ if severity == Severity::Info => "nothing needs to be done",
        _ => "ask whoever wrote the file, or get it from the model's own repository",
    }
}

fn with_why(severity: Severity, what: impl Into<String>, why: &str) -> Note {
    let note = Note::new(severity, what);
    if why.is_empty() { note } else { note.why(why) }
}

/// Most severe first; equal ones by file and byte, those without a place last.
pub(crate) fn sort(notes: &mut Vec<Note>) {
    crate::order::sort_by_key(notes, |n| {
        (std::cmp::Reverse(n.severity), n.file.unwrap_or(usize::MAX), n.at.unwrap_or(u64::MAX))
    });
}

/// A name from a file as text that is safe and short enough for a sentence.
pub(crate) fn quoted(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut out = String::from("\"");
    for (i, c) in name.chars().enumerate() {
        if i == LONGEST {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('"');
    out
}
