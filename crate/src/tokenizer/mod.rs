//! Text to ids and back, with a preview; built on the `tokenizers` crate.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    model::Note,
};

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

/// A loaded tokenizer.
pub struct Vocabulary {}

impl Vocabulary {
    /// From a `tokenizer.json`.
    ///
    /// # Errors
    /// The JSON is no tokenizer that the crate knows.
    pub fn from_json(_json: &[u8]) -> Result<Self> {
        Err(Fault::unsupported("tokenizer.json is not read yet"))
    }
    /// From a GGUF's metadata.
    ///
    /// # Errors
    /// The kind or its pre-tokenizer is unknown (no guess is made), or keys contradict each other.
    pub fn from_gguf(_keys: GgufVocabulary) -> Result<Self> {
        Err(Fault::unsupported("GGUF vocabularies are not read yet"))
    }
    /// "SentencePiece BPE (llama), 32000 tokens": for people.
    pub fn describe(&self) -> String {
        String::new()
    }
    /// Number of ids.
    pub fn len(&self) -> usize {
        0
    }
    /// True without tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Findings about the tokenizer itself.
    pub fn notes(&self) -> &[Note] {
        &[]
    }
    /// Ids only: the fast path.
    ///
    /// # Errors
    /// The text cannot be encoded.
    pub fn encode(&self, _text: &str, _options: EncodeOptions) -> Result<Vec<u32>> {
        Err(Fault::unsupported("not yet"))
    }
    /// Ids with pieces and spans.
    ///
    /// # Errors
    /// The text cannot be encoded.
    pub fn preview(&self, _text: &str, _options: EncodeOptions) -> Result<Preview> {
        Err(Fault::unsupported("not yet"))
    }
    /// The raw bytes that a token adds to the text (a leading space for "▁the", nothing for control tokens).
    pub fn token_bytes(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }
    /// Ids to text, as the tokenizer's decoder joins them; control tokens left out.
    pub fn decode(&self, _ids: &[u32]) -> String {
        String::new()
    }
    /// Ids that end a generation (EOS, EOT, EOM).
    pub fn end_ids(&self) -> &[u32] {
        &[]
    }
}

/// Turns a stream of ids into text, holding back bytes of a character that is not complete yet.
#[derive(Default)]
pub struct TextStream {
    held: Vec<u8>,
    started: bool,
}

impl TextStream {
    /// The text that is complete after this id.
    pub fn push(&mut self, vocabulary: &Vocabulary, id: u32) -> String {
        let _ = (&self.held, self.started, vocabulary, id);
        String::new()
    }
    /// What is still held back, with replacement characters.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}
