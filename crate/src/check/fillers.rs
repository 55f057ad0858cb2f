//! Bytes that nothing names: padding that is not zero, and other files that hide there.

use super::{Subject, evidence::Tail};
use crate::{
    formats::{Findings, quoted},
    model::{FormatId, Note, NoteCode, SectionKind, Severity},
};

/// Beginnings of files that are found anywhere within a filler; four bytes and more.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "the end of a zip archive"),
    (b"\x7fELF", "an ELF program"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"This program cannot be run in DOS mode", "a Windows program"),
    (b"%PDF-", "a PDF document"),
    (b"<html", "a web page"),
    (b"<script", "a web page's program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<?php", "a PHP program"),
    (b"GGUF\x02\0\0\0", "a GGUF file"),
    (b"GGUF\x03\0\0\0", "a GGUF file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"SQLite format 3\0", "an SQLite database"),
];
/// Beginnings that are too short to be looked for anywhere but at a filler's start.
const STARTS: &[(&[u8], &str)] = &[
    (b"#!/", "a script"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"\x80\x05\x95", "a Python pickle"),
];

/// Looks at what was read of fillers, and at the ends of the files.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for filler in &subject.evidence.fillers {
        if let Some((i, what)) = hidden(&filler.bytes) {
            let place = match filler.kind {
                SectionKind::Padding => "padding",
                SectionKind::Trailing => "the bytes after the last tensor",
                _ => "bytes that nothing names",
            };
            let what = format!("{what} starts in {place} ({} bytes from byte {})", filler.len, filler.at);
            let note = Note::new(Severity::Error, capital(&what)).at(filler.file, filler.at + i as u64);
            let note = note.why(
                "the file is two files at once (a polyglot): another program may open or run what is hidden in it",
            );
            findings
                .note(NoteCode::Polyglots, note.advice("do not use the file; get it from the model's own repository"));
        } else if let (SectionKind::Padding, Some(i)) = (filler.kind, filler.bytes.iter().position(|b| *b != 0))
            && matches!(subject.model.format, FormatId::Gguf | FormatId::Ggml)
        {
            let what = format!("Padding of {} bytes from byte {} is not zero", filler.len, filler.at);
            let note = Note::new(Severity::Warning, what).at(filler.file, filler.at + i as u64);
            let note =
                note.why("writers pad with zeros: something may be kept there, or a tensor is longer than stated");
            findings.note(NoteCode::Padding, note.advice("compare with the file of the model's own repository"));
        }
    }
    for tail in &subject.evidence.tails {
        if let Some(at) = archive_end(tail) {
            let name = subject.model.files.get(tail.file).map_or_else(String::new, |f| quoted(&f.name));
            let what = format!("{name} also ends as a zip archive does");
            let note = Note::new(Severity::Error, what).at(tail.file, at);
            let note = note
                .why("zip readers look at the end of a file first: Python, Java and unzip would open it as an archive");
            findings
                .note(NoteCode::Polyglots, note.advice("do not use the file; get it from the model's own repository"));
        }
    }
}

/// Another file's beginning, and where.
fn hidden(bytes: &[u8]) -> Option<(usize, &'static str)> {
    if let Some((_, what)) = STARTS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some((0, what));
    }
    let found = SIGNATURES.iter().filter_map(|(s, what)| Some((bytes.windows(s.len()).position(|w| w == *s)?, *what)));
    found.min_by_key(|(at, _)| *at)
}

/// The end record of a zip archive whose comment ends with the file (APPNOTE 4.3.16).
fn archive_end(tail: &Tail) -> Option<u64> {
    const RECORD: usize = 22;
    let mut starts = tail.bytes.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x05\x06").map(|(i, _)| i);
    let whole = |i: &usize| {
        let comment = tail.bytes.get(i + 20..i + RECORD).map(|c| usize::from(c[0]) | usize::from(c[1]) << 8);
        comment.is_some_and(|n| i + RECORD + n == tail.bytes.len())
    };
    starts.rfind(whole).map(|i| tail.at + i as u64)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hidden_file_is_named_with_its_place() {
        assert_eq!(hidden(b"\0\0\x7fELF\0PK\x03\x04"), Some((2, "an ELF program")));
        assert_eq!(hidden(b"#!/bin/sh"), Some((0, "a script")));
        assert_eq!(hidden(&[0; 64]), None);
    }

    #[test]
    fn an_archive_ends_only_where_its_comment_ends_with_the_file() {
        let mut bytes = b"x".repeat(10);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 16]);
        bytes.extend([3, 0]);
        let tail = |bytes: &[u8]| Tail { file: 0, at: 100, bytes: bytes.to_vec() };
        assert_eq!(archive_end(&tail(&bytes)), None);
        bytes.extend(b"abc");
        assert_eq!(archive_end(&tail(&bytes)), Some(110));
    }
}
