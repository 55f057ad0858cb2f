//! Kinds that merge: by score (SentencePiece), by the ranks of merges, by the ranks of tokens.

use super::{
    super::{
        alphabet,
        byte_bpe::{self, ByteBpe},
        mapped::Mapped,
        merges::Merges,
        ranked::Ranked,
        splits,
        spm::{SPACE, Spm},
        table::Table,
    },
    Budget, Word, WordToken,
    merging::{self, Joined, Symbol},
};
use crate::fault::Result;

/// Words with the prepared texts that they are cut from.
pub(super) type Words = (Vec<Mapped>, Vec<Word>);

fn symbol(part: std::ops::Range<usize>, id: Option<u32>) -> Symbol {
    Symbol { part, id, frozen: false, how: "" }
}

/// A symbol as the vocabulary writes it.
fn named(table: &Table) -> impl Fn(&str, &Symbol) -> String + '_ {
    |text, symbol| match symbol.id.and_then(|id| table.get(id)) {
        Some(entry) => entry.text.to_string(),
        None => text.get(symbol.part.clone()).unwrap_or_default().to_owned(),
    }
}

/// SentencePiece BPE, in llama.cpp's way or its own.
pub(super) fn sentence_piece(table: &Table, spm: &Spm, text: &str, base: usize, budget: &mut Budget) -> Words {
    let prepared = match &spm.preparation {
        Some(preparation) => preparation.run(text, base),
        None => escaped(spm, text, base),
    };
    let units = match &spm.preparation {
        Some(preparation) => preparation.units(&prepared.text),
        None => prepared.text.char_indices().map(|(at, c)| (at..at + c.len_utf8(), false)).collect(),
    };
    let mut word = Word::of(&prepared, 0..prepared.text.len());
    let symbols = units.into_iter().map(|(part, frozen)| Symbol { frozen, ..symbol(part, None) }).collect();
    let join = |left: &Symbol, right: &Symbol| {
        let id = table.id_of(prepared.text.get(left.part.start..right.part.end)?)?;
        let score = spm.scores.get(id as usize).copied().unwrap_or(0.0);
        Some(Joined { id, rank: None, score: Some(score) })
    };
    let symbols = merging::merge(&mut word, symbols, join, named(table), budget);
    let is_native = spm.preparation.is_some();
    for Symbol { part, .. } in symbols {
        let piece = prepared.text.get(part.clone()).unwrap_or_default();
        let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| spm.bytes[usize::from(byte)]).collect();
        let token =
            |id, part: std::ops::Range<usize>, how| WordToken { id, span: prepared.source(part.clone()), part, how };
        match (table.id_of(piece), bytes, spm.unknown) {
            (Some(id), ..) => word.tokens.push(token(id, part, "")),
            (None, Some(ids), _) => {
                word.tokens.extend(ids.into_iter().zip(part).map(|(id, at)| token(id, at..at + 1, "byte")));
            }
            (None, None, Some(id)) => match word.tokens.last_mut() {
                // In SentencePiece's own way a run of unknown characters is one token.
                Some(last) if is_native && last.how == "unknown" && last.part.end == part.start => {
                    *last = token(id, last.part.start..part.end, "unknown");
                }
                _ => word.tokens.push(token(id, part, "unknown")),
            },
            (None, None, None) => {}
        }
    }
    let words = if word.text.is_empty() { Vec::new() } else { vec![word] };
    (vec![prepared], words)
}

/// A text as llama.cpp hands it to SentencePiece's merges.
fn escaped(spm: &Spm, text: &str, base: usize) -> Mapped {
    let mut prepared = Mapped::default();
    let mut buffer = [0; 4];
    if spm.add_space_prefix && !text.is_empty() {
        prepared.push(SPACE.encode_utf8(&mut buffer), base..base);
    }
    for (at, c) in text.char_indices() {
        let span = base + at..base + at + c.len_utf8();
        prepared.push(if c == ' ' { SPACE } else { c }.encode_utf8(&mut buffer), span);
    }
    prepared
}

/// What a BPE of merges has besides them.
pub(super) struct Rules<'a> {
    pub table: &'a Table,
    pub id_of: &'a dyn Fn(&str) -> Option<u32>,
    pub merges: &'a Merges,
    pub unknown: Option<u32>,
    pub fuse_unknown: bool,
    pub byte_fallback: bool,
    pub prefix: &'a str,
    pub suffix: &'a str,
    pub ignore_merges: bool,
}

impl Rules<'_> {
    /// The tokens of one word of a prepared text. Characters without a token are left out.
    pub(super) fn run(&self, prepared: &Mapped, part: std::ops::Range<usize>, budget: &mut Budget) -> Word {
        let start = part.start;
        let mut word = Word::of(prepared, part);
        let token = |part: std::ops::Range<usize>, id, how| WordToken {
            id,
            span: prepared.source(start + part.start..start + part.end),
            part,
            how,
        };
        if let Some(id) = self.ignore_merges.then(|| (self.id_of)(&word.text)).flatten() {
            word.tokens.push(token(0..word.text.len(), id, "whole word"));
            return word;
        }
        let symbols = self.symbols(&word.text);
        let join = |left: &Symbol, right: &Symbol| {
            let joined = self.merges.get(left.id?, right.id?)?;
            Some(Joined { id: joined.id, rank: Some(joined.rank), score: None })
        };
        let symbols = merging::merge(&mut word, symbols, join, named(self.table), budget);
        word.tokens =
            symbols.into_iter().filter_map(|symbol| Some(token(symbol.part, symbol.id?, symbol.how))).collect();
        word
    }

    fn symbols(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        for (at, c) in text.char_indices() {
            let part = at..at + c.len_utf8();
            let (prefix, suffix) =
                (if at == 0 { "" } else { self.prefix }, if part.end == text.len() { self.suffix } else { "" });
            let written = format!("{prefix}{c}{suffix}");
            if let Some(id) = (self.id_of)(&written) {
                symbols.push(symbol(part, Some(id)));
                continue;
            }
            let bytes: Option<Vec<u32>> =
                written.bytes().map(|byte| (self.id_of)(&format!("<0x{byte:02X}>"))).collect();
            if let Some(ids) = bytes.filter(|_| self.byte_fallback) {
                let count = part.len();
                let place = |nth: usize| if nth < count { at + nth..at + nth + 1 } else { part.end..part.end };
                symbols.extend(
                    ids.into_iter().enumerate().map(|(nth, id)| Symbol { how: "byte", ..symbol(place(nth), Some(id)) }),
                );
            } else if let Some(id) = self.unknown {
                match symbols.last_mut() {
                    Some(last) if self.fuse_unknown && last.how == "unknown" && last.part.end == at => {
                        last.part.end = part.end;
                    }
                    _ => symbols.push(Symbol { how: "unknown", ..symbol(part, Some(id)) }),
                }
            }
        }
        symbols
    }
}

/// BPE of a GGUF file.
pub(super) fn ranked_merges(
    table: &Table,
    bpe: &ByteBpe,
    text: &str,
    base: usize,
    budget: &mut Budget,
) -> Result<Words> {
    let id_of = |text: &str| table.id_of(text);
    let rules = Rules {
        table,
        id_of: &id_of,
        merges: bpe.model.merges(),
        unknown: None,
        fuse_unknown: false,
        byte_fallback: bpe.raw.is_some(),
        prefix: "",
        suffix: "",
        ignore_merges: bpe.model.options().ignore_merges,
    };
    let mut words = Vec::new();
    if let Some(raw) = bpe.raw {
        let parts = byte_bpe::spell(raw, text, base);
        for part in &parts {
            for piece in splits::pieces(&bpe.splits, &part.text)? {
                let spelt = part.text.get(piece.clone()).unwrap_or_default();
                let is_newlines = raw.whole_newlines && spelt.bytes().all(|byte| byte == b'\n');
                match table.id_of(spelt).filter(|_| is_newlines) {
                    Some(id) => {
                        let mut word = Word::of(part, piece.clone());
                        let span = part.source(piece.clone());
                        word.tokens.push(WordToken { id, part: 0..piece.len(), span, how: "whole word" });
                        words.push(word);
                    }
                    None => words.push(rules.run(part, piece, budget)),
                }
            }
        }
        return Ok((parts, words));
    }
    for piece in splits::pieces(&bpe.splits, text)? {
        let spelt = spelt(text, piece, base);
        words.push(rules.run(&spelt, 0..spelt.text.len(), budget));
    }
    // Bytes are only written as characters: the text is what it was.
    Ok((Vec::new(), words))
}

/// Bytes as the byte alphabet writes them.
fn spelt(text: &str, piece: std::ops::Range<usize>, base: usize) -> Mapped {
    let mut prepared = Mapped::default();
    for at in piece {
        let mut buffer = [0; 4];
        let byte = text.as_bytes().get(at).copied().unwrap_or_default();
        prepared.push(alphabet::to_char(byte).encode_utf8(&mut buffer), base + at..base + at + 1);
    }
    prepared
}

/// tiktoken and Tekken.
pub(super) fn ranks(table: &Table, ranked: &Ranked, text: &str, base: usize, budget: &mut Budget) -> Result<Words> {
    let mut words = Vec::new();
    for piece in splits::pieces(&ranked.splits, text)? {
        let bytes = text.as_bytes().get(piece.clone()).unwrap_or_default();
        let prepared = spelt(text, piece.clone(), base);
        let mut word = Word::of(&prepared, 0..prepared.text.len());
        // Where each byte's character lies in the word's text.
        let mut places: Vec<usize> = prepared.text.char_indices().map(|(at, _)| at).collect();
        places.push(prepared.text.len());
        let part =
            |from: usize, to: usize| places.get(from).copied().unwrap_or(0)..places.get(to).copied().unwrap_or(0);
        let rank = |from: usize, to: usize| ranked.ranks.get(bytes.get(from..to)?);
        let token = |from: usize, to: usize, rank: u32, how| WordToken {
            id: rank + ranked.shift,
            part: part(from, to),
            span: base + piece.start + from..base + piece.start + to,
            how,
        };
        if let Some(whole) = rank(0, bytes.len()) {
            word.tokens.push(token(0, bytes.len(), whole, "whole word"));
            words.push(word);
            continue;
        }
        // While they merge, symbols count bytes.
        let id = |from: usize, to: usize| rank(from, to).map(|rank| rank + ranked.shift);
        let symbols = (0..bytes.len()).map(|at| symbol(at..at + 1, id(at, at + 1))).collect();
        let join = |left: &Symbol, right: &Symbol| {
            let rank = rank(left.part.start, right.part.end)?;
            Some(Joined { id: rank + ranked.shift, rank: Some(rank), score: None })
        };
        let name = |text: &str, symbol: &Symbol| match symbol.id.and_then(|id| table.get(id)) {
            Some(entry) => entry.text.to_string(),
            None => text.get(part(symbol.part.start, symbol.part.end)).unwrap_or_default().to_owned(),
        };
        for Symbol { part, .. } in merging::merge(&mut word, symbols, join, name, budget) {
            if let Some(rank) = rank(part.start, part.end) {
                word.tokens.push(token(part.start, part.end, rank, ""));
            }
        }
        words.push(word);
    }
    Ok((Vec::new(), words))
}
