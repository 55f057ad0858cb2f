//! Vocabularies of lines: `vocab.txt`, and tiktoken's ranks.

use super::{Told, sniff};
use crate::{
    fault::Fault,
    formats::findings::{Findings, quoted},
    model::{Loader, MetaType, MetaValue, NoteCode},
    source::{Stop, Window},
};

/// Bytes of one line, at most.
const LINE_MOST: u64 = 1 << 17;
/// Special tokens that are listed.
const LISTED: usize = 64;

/// Reads the file line by line; what is passed is not asked for again.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) at: u64,
    ranks: bool,
    lines: u64,
    tokens: u64,
    parts: u64,
    most: u64,
    /// The last line had an end.
    ended: bool,
    special: Vec<MetaValue>,
}

impl Lines {
    pub(super) fn of_ranks() -> Self {
        Self { ranks: true, ..Self::default() }
    }
    /// Reads on to the end; what is no line of its kind is a finding.
    pub(super) fn run(&mut self, file: &Window, findings: &mut Findings) -> Result<(), Stop> {
        while self.at < file.len() {
            let rest = file.rest(self.at);
            let (line, end) = match rest.iter().position(|b| *b == b'\n') {
                Some(n) => (rest.get(..n).unwrap_or(rest), self.at + n as u64 + 1),
                None if self.at + rest.len() as u64 >= file.len() => (rest, file.len()),
                None if rest.len() as u64 >= LINE_MOST => {
                    let what = format!("a line of at most {LINE_MOST} bytes expected, more than {} found", rest.len());
                    return Err(Fault::file(self.at, what).into());
                }
                None => {
                    let more = (rest.len() as u64 * 2).clamp(4096, LINE_MOST);
                    return Err(Stop::Need(self.at..(self.at + more).min(file.len())));
                }
            };
            self.ended = line.len() as u64 + self.at < end;
            self.line(line, findings);
            self.lines += 1;
            self.at = end;
        }
        Ok(())
    }
    fn line(&mut self, line: &[u8], findings: &mut Findings) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            findings.error(
                NoteCode::Lines,
                self.at,
                format!("line {} is not UTF-8", self.lines + 1),
                "no token can be told from it",
            );
            return;
        };
        if text.is_empty() {
            return;
        }
        if self.ranks {
            if !sniff::is_rank(text) {
                let what = format!(
                    "line {}: a token in base64, a space and its rank expected, {} found",
                    self.lines + 1,
                    quoted(text)
                );
                findings.error(NoteCode::Lines, self.at, what, Loader::Tiktoken.refuses("tiktoken refuses the file"));
                return;
            }
            let rank = text.rsplit(' ').next().and_then(|r| r.trim_end().parse().ok()).unwrap_or(0);
            self.most = self.most.max(rank);
        } else {
            self.parts += u64::from(text.starts_with("##"));
            if text.starts_with('[') && text.ends_with(']') && text.len() > 2 && self.special.len() < LISTED {
                self.special.push(MetaValue::String(text.to_owned()));
            }
        }
        self.tokens += 1;
    }
    /// Nothing in such a file says where it should end.
    pub(super) fn check(&self, findings: &mut Findings) {
        let what = format!("The file has {} lines and does not say how many it should have", self.lines);
        findings.info(NoteCode::Lines, self.at, what, "compare with the size of the model's embedding");
        if !self.ended {
            let what = "The last line has no line feed at its end";
            findings.info(NoteCode::Lines, self.at, what, "the file may not have been copied whole");
        }
    }
    /// What was found.
    pub(super) fn told(self) -> Told {
        let number = |n| MetaValue::Unsigned(n, MetaType::U64);
        let mut entries = Vec::new();
        if self.ranks {
            entries.push(("ranks.highest".to_owned(), number(self.most)));
            let algorithm = "byte-level BPE by ranks".to_owned();
            return Told { kind: "tiktoken ranks", algorithm, tokens: Some(self.tokens), entries };
        }
        entries.push(("words.that_go_on".to_owned(), number(self.parts)));
        if !self.special.is_empty() {
            entries.push(("words.special".to_owned(), super::strings(self.special)));
        }
        // The id of a token is its line, also where a line is empty.
        Told { kind: "vocab.txt", algorithm: "WordPiece".to_owned(), tokens: Some(self.lines), entries }
    }
}
