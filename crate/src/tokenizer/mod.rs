//! Text to ids and back, with a preview; built on the `tokenizers` crate.
//!
//! A `tokenizer.json` runs through the crate's own steps ([`Vocabulary::from_json`]); a GGUF's
//! metadata becomes what llama.cpp makes of it ([`Vocabulary::from_gguf`]): special tokens are cut
//! out first, then the rest is split and merged. A tokenizer that is not known is refused.

mod added;
mod alphabet;
mod base64;
mod bpe;
mod byte_bpe;
mod catalog;
mod chars;
mod charsmap;
mod classes;
mod compare;
mod explain;
mod families;
mod from_gguf;
mod from_json;
mod from_lists;
mod from_ranks;
mod from_sentence_piece;
mod gguf_tokens;
mod json_model;
mod json_steps;
mod limits;
mod longest;
mod mapped;
mod memo;
mod merges;
mod meta;
mod model;
mod pairs;
mod pipeline;
mod plamo2;
mod prefixes;
mod preview;
mod proto;
mod ranked;
mod routes;
mod sentence;
mod settings;
mod slots;
mod specials;
mod splits;
mod splitters;
mod spm;
mod streaming;
mod table;
mod tokenized;
mod unigram;
mod whole;
mod word_piece;
mod words;

use std::ops::Range;

pub use self::{
    base64::decode as from_base64,
    catalog::{Catalog, Found, Listed, Search, Sort, TokenQuery, TokenType},
    compare::{Comparison, Difference, Stretch},
    explain::{Aligned, Candidate, Choice, Explanation, Merge, Part, PartKind, Word, WordToken},
    families::{PROBES, are_same_rules, looks_like, rules_of},
    from_sentence_piece::{SentencePieces, sentence_pieces},
    pairs::Fitted,
    streaming::TextStream,
    tokenized::Tokenized,
};
use self::{
    byte_bpe::ByteBpe, longest::Longest, pipeline::Pipeline, plamo2::Plamo2, ranked::Ranked, settings::Settings,
    specials::Specials, spm::Spm, streaming::Joiner, table::Table, unigram::Unigram, whole::Whole,
    word_piece::WordPiece,
};
use crate::{fault::Result, model::Note};

/// The tokenizer keys of a GGUF file, as read from its metadata.
#[derive(Debug, Clone, Default)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`: "llama", "gpt2", "bert", ...
    pub model: String,
    /// `tokenizer.ggml.pre`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, raw bytes.
    pub tokens: Vec<Vec<u8>>,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. May be empty.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.scores`. May be empty.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.merges`, "a b". May be empty.
    pub merges: Vec<Vec<u8>>,
    /// `tokenizer.ggml.{bos,eos,unknown,separator,padding,eot,...}_token_id` by short name ("bos").
    pub special: Vec<(String, u32)>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.ggml.remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `tokenizer.ggml.precompiled_charsmap`. May be empty.
    pub precompiled_charsmap: Vec<u8>,
    /// `tokenizer.ggml.normalizer.lowercase`.
    pub lowercase: Option<bool>,
    /// `tokenizer.ggml.normalizer.strip_accents`.
    pub strip_accents: Option<bool>,
    /// `general.name`, by which llama.cpp knows some models' habits.
    pub name: String,
    /// `general.architecture`.
    pub architecture: String,
}

/// How text is to be encoded.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeOptions {
    /// Add BOS, EOS, CLS ... as the tokenizer's own rules say.
    pub add_special: bool,
    /// Recognise special tokens written out in the text ("<s>").
    pub parse_special: bool,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Ordinary text.
    Normal,
    /// A control token (BOS, EOS, ...).
    Control,
    /// An added, user-defined token.
    UserDefined,
    /// The unknown token.
    Unknown,
    /// A single byte of a character that has no token.
    Byte,
}

/// Whether a token begins and ends between characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wholeness {
    /// It does.
    #[default]
    Whole,
    /// It begins or ends inside what people see as one character (an extended grapheme cluster).
    OfGrapheme,
    /// Its bytes begin or end inside a character.
    OfCharacter,
}

/// One token of an encoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Token id.
    pub id: u32,
    /// The token as text; incomplete UTF-8 shown as `<0xE2>` by the face that needs it.
    pub text: String,
    /// Its raw bytes.
    pub bytes: Vec<u8>,
    /// Byte range of the input that it covers; empty for added specials.
    pub span: Range<usize>,
    /// What it is.
    pub kind: PieceKind,
    /// Whether it is only a part of a character.
    pub wholeness: Wholeness,
    /// Put around the text by the tokenizer's rules.
    pub added: bool,
}

/// An encoded text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preview {
    /// The tokens in order.
    pub pieces: Vec<Piece>,
    /// Findings.
    pub notes: Vec<Note>,
    /// Whether decoding the ids gives the text back.
    pub roundtrips: bool,
}

/// An id and the bytes of the text that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    id: u32,
    span: Range<usize>,
}

/// How text between special tokens becomes ids.
enum Method {
    Spm(Spm),
    ByteBpe(Box<ByteBpe>),
    WordPiece(WordPiece),
    Unigram(Box<Unigram>),
    Longest(Longest),
    Plamo2(Box<Plamo2>),
    Ranked(Box<Ranked>),
    Whole(Box<Whole>),
    Json(Box<Pipeline>),
}

/// A loaded tokenizer.
pub struct Vocabulary {
    title: String,
    table: Table,
    method: Method,
    specials: Specials,
    joiner: Joiner,
    before: Vec<u32>,
    after: Vec<u32>,
    /// How two texts become one sequence, where the file says so.
    pair: Option<Vec<pairs::Part>>,
    end_ids: Vec<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    notes: Vec<Note>,
}

impl Vocabulary {
    /// From a `tokenizer.json`. Truncation and padding are switched off, with a note.
    ///
    /// # Errors
    /// The JSON is no tokenizer that the crate knows, contradicts itself, or exceeds a limit.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        from_json::build(json)
    }
    /// From a GGUF's metadata: every kind of llama.cpp but `hybriddna`.
    ///
    /// # Errors
    /// The kind or its pre-tokenizer is unknown (no guess is made), keys contradict each other, or
    /// a limit is exceeded.
    pub fn from_gguf(keys: GgufVocabulary) -> Result<Self> {
        from_gguf::build(&keys)
    }
    /// From a SentencePiece `.model`: BPE, Unigram, whole words or single characters.
    ///
    /// # Errors
    /// The bytes are no such model, or of a kind that is not known, or exceed a limit.
    pub fn from_sentence_piece(bytes: &[u8]) -> Result<Self> {
        from_sentence_piece::build(bytes)
    }
    /// From a `vocab.txt` of BERT's kind, with its `tokenizer_config.json` where there is one.
    ///
    /// # Errors
    /// The lines are no WordPiece vocabulary, or the settings name a tokenizer of another kind.
    pub fn from_vocab_txt(vocab: &[u8], config: Option<&[u8]>) -> Result<Self> {
        from_lists::word_piece(vocab, config)
    }
    /// From a `vocab.json` and its `merges.txt`, with their `tokenizer_config.json` where there is one.
    ///
    /// # Errors
    /// The files are no byte-level BPE, contradict each other, or the settings name a tokenizer whose splitting rules are not known.
    pub fn from_vocab_and_merges(vocab: &[u8], merges: &[u8], config: Option<&[u8]>) -> Result<Self> {
        from_lists::byte_level(vocab, merges, config)
    }
    /// From tiktoken's rank file: a token in base64 and its rank a line.
    ///
    /// # Errors
    /// A line is none, or the file is none of those whose splitting rule is known (by its number of ranks).
    pub fn from_tiktoken(bytes: &[u8]) -> Result<Self> {
        from_ranks::tiktoken(bytes)
    }
    /// From Mistral's `tekken.json`.
    ///
    /// # Errors
    /// The JSON is no such file, contradicts itself, or exceeds a limit.
    pub fn from_tekken(json: &[u8]) -> Result<Self> {
        from_ranks::tekken(json)
    }
    /// Takes what `tokenizer_config.json` says about BOS and EOS, of vocabularies that do not say it themselves.
    ///
    /// # Errors
    /// The bytes are no JSON object.
    pub fn with_config(mut self, config: &[u8]) -> Result<Self> {
        let settings = Settings::parse(Some(config))?;
        self.name_ends(&settings);
        if matches!(self.method, Method::Spm(_) | Method::Unigram(_) | Method::Whole(_)) {
            let wanted = |flag: &str, id: Option<u32>| id.filter(|_| settings.flag(flag) == Some(true));
            self.before = wanted("add_bos_token", self.bos).into_iter().collect();
            self.after = wanted("add_eos_token", self.eos).into_iter().collect();
        }
        Ok(self)
    }
    /// Sets BOS and EOS to the tokens that the settings name.
    fn name_ends(&mut self, settings: &Settings) {
        let id = |name: &str| settings.token(name).and_then(|text| self.table.id_of(text));
        (self.bos, self.eos) = (id("bos_token").or(self.bos), id("eos_token").or(self.eos));
        if let Some(eos) = self.eos.filter(|id| !self.end_ids.contains(id)) {
            self.end_ids.push(eos);
            self.end_ids.sort_unstable();
        }
    }
    /// The text of BOS, which chat templates write out.
    #[must_use]
    pub fn bos_text(&self) -> Option<&str> {
        self.token_text(self.bos?)
    }
    /// The text of EOS.
    #[must_use]
    pub fn eos_text(&self) -> Option<&str> {
        self.token_text(self.eos?)
    }
    /// Whether encoding with special tokens begins with BOS.
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.bos.is_some() && self.before.first() == self.bos.as_ref()
    }
    /// "SentencePiece BPE (llama), 32000 tokens": for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}, {} tokens", self.title, self.len())
    }
    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }
    /// True without tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Findings about the tokenizer itself.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
    /// The id of a token as the vocabulary writes it ("▁the", "Ġthe", "<s>").
    #[must_use]
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.table.id_of(text)
    }
    /// A token as the vocabulary writes it.
    #[must_use]
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.table.get(id).map(|entry| &*entry.text)
    }
    /// What a token is; ids outside the vocabulary are unknown.
    #[must_use]
    pub fn kind(&self, id: u32) -> PieceKind {
        self.table.get(id).map_or(PieceKind::Unknown, |entry| entry.kind)
    }
    /// Ids only.
    ///
    /// # Errors
    /// The text cannot be encoded: it exceeds a limit, or holds what the tokenizer has no token for.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        Ok(self.tokens(text, options)?.into_iter().map(|token| token.id).collect())
    }
    /// Ids with pieces and spans.
    ///
    /// Spans are exact bytes where the tokens' bytes follow each other through the text (so one may
    /// begin inside a character); elsewhere they are whole characters.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`].
    pub fn preview(&self, text: &str, options: EncodeOptions) -> Result<Preview> {
        preview::preview(self, text, options)
    }
    /// How the text becomes ids, step by step.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`]; the text is too long to be explained.
    pub fn explain(&self, text: &str, options: EncodeOptions) -> Result<Explanation> {
        explain::explain(self, text, options)
    }
    /// The raw bytes that a token adds to the text (a leading space for "▁the", nothing for control tokens).
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.table.bytes(id)
    }
    /// Ids to text, as the tokenizer's decoder joins them; control tokens and unknown ids left out.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        streaming::decode(self, ids)
    }
    /// Ids that end a generation (EOS, EOT, EOM).
    #[must_use]
    pub fn end_ids(&self) -> &[u32] {
        &self.end_ids
    }

    /// Tokens of a text, with those added around it; of a tokenizer.json, spans are the crate's.
    fn tokens(&self, text: &str, options: EncodeOptions) -> Result<Vec<Token>> {
        limits::check_text(text)?;
        let added = |ids: &[u32], at: usize| -> Vec<Token> {
            let ids = if options.add_special { ids } else { &[] };
            ids.iter().map(|id| Token { id: *id, span: at..at }).collect()
        };
        let mut tokens = added(&self.before, 0);
        if let Method::Json(pipeline) = &self.method {
            let mut own = pipeline.encode(text, options.parse_special)?;
            if !own.is_exact {
                preview::tighten(self, text, &mut own.tokens);
            }
            tokens.append(&mut own.tokens);
        } else {
            for fragment in self.specials.cut(&self.table, text, options.parse_special) {
                let (part, start) = (&text[fragment.span.clone()], fragment.span.start);
                match (fragment.special, &self.method) {
                    (Some(id), _) => tokens.push(Token { id, span: fragment.span }),
                    (None, Method::Spm(spm)) => spm.encode(&self.table, part, start, &mut tokens)?,
                    (None, Method::ByteBpe(bpe)) => bpe.encode(part, start, &mut tokens)?,
                    (None, Method::WordPiece(words)) => words.encode(part, start, &mut tokens)?,
                    (None, Method::Unigram(unigram)) => unigram.encode(part, start, &mut tokens)?,
                    (None, Method::Longest(longest)) => longest.encode(part, start, &mut tokens)?,
                    (None, Method::Ranked(ranked)) => ranked.encode(part, start, &mut tokens)?,
                    (None, Method::Plamo2(plamo2)) => plamo2.encode(part, start, &mut tokens)?,
                    (None, Method::Whole(whole)) => whole.encode(&self.table, part, start, &mut tokens),
                    (None, Method::Json(_)) => {}
                }
            }
        }
        tokens.extend(added(&self.after, text.len()));
        Ok(tokens)
    }
}
