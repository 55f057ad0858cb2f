//! A SentencePiece `.model`, piece by piece: how many of which kind, and the settings behind them.
//!
//! Source: sentencepiece, `src/sentencepiece_model.proto`.

use super::Told;
use crate::{
    fault::Fault,
    formats::{
        codec::protobuf::{self, Wire},
        findings::Findings,
    },
    model::{MetaType, MetaValue, NoteCode},
    source::{Stop, Window},
};

/// Bytes of one piece, at most (as the tokenizer's own limit).
const PIECE_MOST: u64 = 1 << 17;
/// Bytes of one setting's text that are shown.
const TEXT_MOST: u64 = 256;
/// The names of `type` in `SentencePiece`, from 1.
const TYPES: &[&str] = &["normal", "unknown", "control", "user_defined", "unused", "byte"];

/// Settings of the trainer: field number, name, and what an absent one means.
const TRAINER: &[(u32, &str)] = &[
    (4, "vocab_size"),
    (21, "split_by_unicode_script"),
    (22, "split_by_whitespace"),
    (23, "split_by_number"),
    (24, "treat_whitespace_as_suffix"),
    (25, "split_digits"),
    (35, "byte_fallback"),
    (40, "unk_id"),
    (41, "bos_id"),
    (42, "eos_id"),
    (43, "pad_id"),
];
/// Settings of the normalizer that are numbers.
const NORMALIZER: &[(u32, &str)] =
    &[(3, "add_dummy_prefix"), (4, "remove_extra_whitespaces"), (5, "escape_whitespaces")];

/// Reads the file field by field; what is passed is not asked for again.
#[derive(Default)]
pub(super) struct Pieces {
    pub(super) at: u64,
    count: u64,
    types: [u64; 6],
    model_type: Option<u64>,
    /// The trainer's settings were there, and the normalizer's.
    specs: [bool; 2],
    settings: Vec<(String, MetaValue)>,
}

impl Pieces {
    /// Reads on to the end.
    pub(super) fn run(&mut self, file: &Window) -> Result<(), Stop> {
        while self.at < file.len() {
            let field = protobuf::field(file, self.at, file.len())?;
            let Wire::Bytes(n) = field.wire else {
                let what =
                    format!("a field of a SentencePiece model with a length expected, field {} found", field.number);
                return Err(Fault::file(self.at, what).into());
            };
            if field.end() > file.len() {
                let what =
                    format!("{n} bytes of field {} expected, the file ends at byte {}", field.number, file.len());
                return Err(Fault::file(self.at, what).short().into());
            }
            match field.number {
                1 => self.piece(file, field.payload, n)?,
                2 | 3 => self.spec(file, field.number == 2, field.payload, field.end())?,
                _ => {}
            }
            self.at = field.end();
        }
        Ok(())
    }
    fn piece(&mut self, file: &Window, start: u64, n: u64) -> Result<(), Stop> {
        if n > PIECE_MOST {
            let what = format!("a piece of at most {PIECE_MOST} bytes expected, {n} announced");
            return Err(Fault::file(start, what).into());
        }
        file.bytes(start..start + n)?;
        let (mut at, mut kind) = (start, 1);
        while at < start + n {
            let field = protobuf::field(file, at, start + n)?;
            if let (3, Wire::Varint(stated)) = (field.number, field.wire) {
                kind = stated;
            }
            at = field.end();
        }
        if let Some(count) = usize::try_from(kind).ok().and_then(|k| self.types.get_mut(k.checked_sub(1)?)) {
            *count += 1;
        }
        self.count += 1;
        Ok(())
    }
    /// The trainer's settings, or the normalizer's. Kept only when all of it has been read, so that it can be tried again.
    fn spec(&mut self, file: &Window, trainer: bool, start: u64, end: u64) -> Result<(), Stop> {
        let (mut at, mut found, mut model_type) = (start, Vec::new(), None);
        let (names, prefix) = if trainer { (TRAINER, "trainer") } else { (NORMALIZER, "normalizer") };
        while at < end {
            let field = protobuf::field(file, at, end)?;
            match (field.number, field.wire) {
                (3, Wire::Varint(kind)) if trainer => model_type = Some(kind),
                (1, Wire::Bytes(n)) if !trainer => {
                    let raw = file.bytes(field.payload..field.payload.saturating_add(n.min(TEXT_MOST)).min(end))?;
                    let name = String::from_utf8_lossy(raw).into_owned();
                    found.push(("sentencepiece.normalizer.name".to_owned(), MetaValue::String(name)));
                }
                (2, Wire::Bytes(n)) if !trainer => {
                    let key = "sentencepiece.normalizer.precompiled_charsmap.bytes".to_owned();
                    found.push((key, MetaValue::Unsigned(n, MetaType::U64)));
                }
                (number, Wire::Varint(n)) => {
                    if let Some((_, name)) = names.iter().find(|(known, _)| *known == number) {
                        found.push((format!("sentencepiece.{prefix}.{name}"), setting(name, n)));
                    }
                }
                _ => {}
            }
            at = field.end();
        }
        self.model_type = model_type.or(self.model_type);
        self.specs[usize::from(!trainer)] = true;
        self.settings.extend(found);
        Ok(())
    }
    /// What a whole file has and this one has not.
    pub(super) fn check(&self, findings: &mut Findings) {
        for (here, name) in self.specs.into_iter().zip(["trainer", "normalizer"]) {
            if !here {
                let what = format!("After {} pieces the file ends without the settings of the {name}", self.count);
                let why = "sentencepiece takes its defaults for them; the file may not have been copied whole";
                findings.warn(NoteCode::Header, self.at, what, why);
            }
        }
    }
    /// What was found.
    pub(super) fn told(self) -> Told {
        // An absent type is Unigram: the default of the trainer.
        let algorithm = match self.model_type.unwrap_or(1) {
            1 => "Unigram".to_owned(),
            2 => "BPE".to_owned(),
            3 => "whole words".to_owned(),
            4 => "single characters".to_owned(),
            other => format!("an unknown algorithm ({other})"),
        };
        let mut entries = Vec::new();
        for (name, count) in TYPES.iter().zip(self.types) {
            if count > 0 {
                entries.push((format!("sentencepiece.pieces.{name}"), MetaValue::Unsigned(count, MetaType::U64)));
            }
        }
        entries.extend(self.settings);
        Told { kind: "SentencePiece", algorithm, tokens: Some(self.count), entries }
    }
}

/// Flags as such, ids with their sign.
fn setting(name: &str, n: u64) -> MetaValue {
    if name.ends_with("_id") {
        MetaValue::Signed(n.cast_signed(), MetaType::I64)
    } else if name.ends_with("_size") {
        MetaValue::Unsigned(n, MetaType::U64)
    } else {
        MetaValue::Bool(n != 0)
    }
}
