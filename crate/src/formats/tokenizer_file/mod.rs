//! Tokenizers that lie in a file of their own: known by their content, and described without being built (the room
//! `tokenizer` builds them).

mod json;
mod lines;
mod pieces;
mod sniff;

pub use self::sniff::{TokenizerKind, tokenizer_kind};
use self::{lines::Lines, pieces::Pieces};
use super::{Format, Match, Reader, findings::Findings, sections};
use crate::{
    fault::Fault,
    model::{FormatId, MetaArray, MetaType, MetaValue, Metadata, ModelFile, Note, NoteCode, SectionKind, Severity},
    source::{Limits, Stop, Window},
};

/// The longest JSON file that is read; the largest known ones have about 35 MB.
const JSON_MOST: u64 = 256 << 20;
/// As many bytes as recognition sees.
const HEAD: u64 = 4 << 10;

pub(super) struct TokenizerFile;

impl Format for TokenizerFile {
    fn id(&self) -> FormatId {
        FormatId::Tokenizer
    }
    fn sniff(&self, head: &[u8], name: &str, len: u64) -> Match {
        if sniff::by_content(head, len).is_some() {
            Match::ByContent
        } else if tokenizer_kind(head, name, len).is_some() {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<TokenizerReader>::default()
    }
}

/// What a file says of its tokenizer.
struct Told {
    /// "SentencePiece".
    kind: &'static str,
    /// "Unigram".
    algorithm: String,
    tokens: Option<u64>,
    /// Settings, as metadata.
    entries: Vec<(String, MetaValue)>,
}

/// A list of texts as metadata.
fn strings(head: Vec<MetaValue>) -> MetaValue {
    MetaValue::Array(MetaArray { item: MetaType::String, len: head.len() as u64, head, place: None })
}

enum State {
    Pieces(Pieces),
    Lines(Lines),
    Told(Told),
}

#[derive(Default)]
struct TokenizerReader {
    state: Option<State>,
    findings: Findings,
}

impl Reader for TokenizerReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.state.is_none() {
            self.state = Some(self.begin(file, limits)?);
        }
        let (stop, at) = match &mut self.state {
            Some(State::Pieces(pieces)) => (pieces.run(file).err(), pieces.at),
            Some(State::Lines(lines)) => (lines.run(file, &mut self.findings).err(), lines.at),
            Some(State::Told(_)) | None => (None, 0),
        };
        match stop {
            None => Ok(()),
            Some(Stop::Bad(fault)) if at > 0 => {
                self.broken(&fault, file.len());
                Ok(())
            }
            Some(stop) => Err(stop),
        }
    }
    fn position(&self) -> u64 {
        match &self.state {
            Some(State::Pieces(pieces)) => pieces.at,
            Some(State::Lines(lines)) => lines.at,
            _ => 0,
        }
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        let Self { state, mut findings } = *self;
        let told = match state {
            Some(State::Pieces(pieces)) => {
                pieces.check(&mut findings);
                pieces.told()
            }
            Some(State::Lines(lines)) => {
                lines.check(&mut findings);
                lines.told()
            }
            Some(State::Told(told)) => told,
            None => Told { kind: "unknown", algorithm: "unknown".into(), tokens: None, entries: Vec::new() },
        };
        let mut metadata = Metadata::default();
        metadata.push("tokenizer.kind", MetaValue::String(told.kind.into()));
        metadata.push("tokenizer.algorithm", MetaValue::String(told.algorithm.clone()));
        if let Some(tokens) = told.tokens {
            metadata.push("tokenizer.tokens", MetaValue::Unsigned(tokens, MetaType::U64));
        }
        for (key, value) in told.entries {
            metadata.push(key, value);
        }
        let sections = sections::map(0, file.len(), &[(0..file.len(), SectionKind::Metadata)], &[], 0);
        ModelFile {
            format: FormatId::Tokenizer,
            version: format!("{}, {}", told.kind, told.algorithm).into(),
            files: Vec::new(),
            metadata,
            tensors: Vec::new(),
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

impl TokenizerReader {
    fn begin(&mut self, file: &Window, limits: &Limits) -> Result<State, Stop> {
        let head = file.bytes(0..file.len().min(HEAD))?;
        let Some(kind) = tokenizer_kind(head, file.name(), file.len()) else {
            let what = "a tokenizer.json, tekken.json, SentencePiece model, vocab.json, rank file or vocab.txt expected, something else found";
            return Err(Fault::file(0, what).in_file(file.name()).into());
        };
        Ok(match kind {
            TokenizerKind::SentencePiece => State::Pieces(Pieces::default()),
            TokenizerKind::Ranks => State::Lines(Lines::of_ranks()),
            TokenizerKind::Words => State::Lines(Lines::default()),
            TokenizerKind::Json | TokenizerKind::Tekken | TokenizerKind::Lists => {
                let most = JSON_MOST.min(limits.header_bytes);
                if file.len() > most {
                    let what = format!("a tokenizer of at most {most} bytes is read, the file has {}", file.len());
                    return Err(Fault::limit(what).at(0).in_file(file.name()).into());
                }
                let (told, fault) = json::read(kind, file.bytes(0..file.len())?);
                if let Some(fault) = fault {
                    self.broken(&fault, file.len());
                }
                State::Told(told)
            }
        })
    }
    /// What came before a fault is shown.
    fn broken(&mut self, fault: &Fault, len: u64) {
        let at = fault.at.unwrap_or(len).min(len);
        let note = Note::new(Severity::Error, format!("The tokenizer could not be read to its end: {}", fault.what));
        let note = note.why("text cannot be encoded by it; what is shown is what comes before").at(0, at);
        self.findings.note(NoteCode::Header, note);
    }
}
