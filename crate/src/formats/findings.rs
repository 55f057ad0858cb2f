//! Collecting notes: bounded in number, most severe first.

use std::collections::HashMap;

use crate::model::{Note, NoteCode, Severity, Why, reason};

/// Notes of one kind that are told one by one; the rest is counted.
const TOLD: usize = 8;

/// The notes of one file while it is read, or of one model while it is checked.
#[derive(Default)]
pub(crate) struct Findings {
    notes: Vec<Note>,
    more: HashMap<NoteCode, (usize, Severity)>,
}

impl Findings {
    /// Adds a note at byte `at` of the file being read. The code groups like notes, so that a file with a
    /// fault in each of 30,000 tensors gives a readable list.
    pub(super) fn add(&mut self, code: NoteCode, at: u64, note: Note) {
        self.note(code, note.at(0, at));
    }
    /// Adds a note that has its place, or has none.
    pub(crate) fn note(&mut self, code: NoteCode, mut note: Note) {
        note.code = code;
        note.why.get_or_insert_with(|| reason(note.severity).into());
        note.advice.get_or_insert_with(|| code.advice(note.severity).into());
        let (told, _) = self.more.entry(code).or_insert((0, note.severity));
        *told += 1;
        if *told <= TOLD {
            self.notes.push(note);
        }
    }
    /// Errors, in short.
    pub(super) fn error<'a>(&mut self, code: NoteCode, at: u64, what: impl Into<String>, why: impl Into<Why<'a>>) {
        self.add(code, at, with_why(Severity::Error, what, why));
    }
    /// Warnings, in short.
    pub(super) fn warn<'a>(&mut self, code: NoteCode, at: u64, what: impl Into<String>, why: impl Into<Why<'a>>) {
        self.add(code, at, with_why(Severity::Warning, what, why));
    }
    /// Infos, in short.
    pub(super) fn info<'a>(&mut self, code: NoteCode, at: u64, what: impl Into<String>, why: impl Into<Why<'a>>) {
        self.add(code, at, with_why(Severity::Info, what, why));
    }
    /// All notes, most severe first, then by place.
    pub(crate) fn finish(self) -> Vec<Note> {
        let mut notes = self.notes;
        let mut more: Vec<_> = self.more.into_iter().filter(|(_, (n, _))| *n > TOLD).collect();
        crate::order::sort_by_key(&mut more, |(code, _)| code.name());
        for (code, (n, severity)) in more {
            let note = Note::new(severity, format!("{} more of this kind: {}", n - TOLD, code.name())).code(code);
            notes.push(note.why("as above").advice("as above"));
        }
        sort(&mut notes);
        notes
    }
}

fn with_why<'a>(severity: Severity, what: impl Into<String>, why: impl Into<Why<'a>>) -> Note {
    let (note, why) = (Note::new(severity, what), why.into());
    if why.text.is_empty() { note } else { note.why(why) }
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
