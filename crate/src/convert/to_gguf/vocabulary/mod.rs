//! `tokenizer.*`: the vocabulary, its kinds of tokens, special ids, the chat template.
//!
//! What is written follows `conversion/base.py` (`_set_vocab_*`) and gguf-py's `vocab.py` (SpecialVocab), November 2026.

mod bpe;
mod pieces;
mod special;
mod template;
mod words;

use serde_json::Value;

use super::{plan::Options, settings::Settings};
use crate::{
    arch::Role,
    fault::{Blame, Fault, Result},
    model::{MetaType, MetaValue},
    source::SourceSet,
};

/// The largest of a tokenizer's files that is read.
const FILE_MOST: u64 = 256 << 20;
/// More tokens than any vocabulary has.
const TOKENS_MOST: u64 = 1 << 22;

/// What a token is, by llama.cpp's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

impl Kind {
    fn of(number: u32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// One token as it is written.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    score: f32,
    kind: Kind,
}

/// The files of a tokenizer that lie beside a model.
struct Files<'a> {
    files: &'a SourceSet,
    home: String,
    /// tokenizer.json.
    json: Option<Value>,
    /// Its bytes.
    json_bytes: Vec<u8>,
    /// tokenizer_config.json; nothing where there is none.
    settings: Value,
}

impl<'a> Files<'a> {
    async fn of(files: &'a SourceSet, home: &str) -> Result<Self> {
        let mut found =
            Self { files, home: home.to_owned(), json: None, json_bytes: Vec::new(), settings: Value::Null };
        found.json_bytes = found.read("tokenizer.json").await?.unwrap_or_default();
        if !found.json_bytes.is_empty() {
            found.json = Some(parsed("tokenizer.json", &found.json_bytes)?);
        }
        if let Some(bytes) = found.read("tokenizer_config.json").await? {
            found.settings = parsed("tokenizer_config.json", &bytes)?;
        }
        Ok(found)
    }
    /// All bytes of a file of this name in the model's folder.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = if self.home.is_empty() { name.to_owned() } else { format!("{}/{name}", self.home) };
        let Some(file) = self.files.files().iter().find(|f| f.name() == path) else { return Ok(None) };
        if file.len() > FILE_MOST {
            let what = format!("{} bytes; tokenizers of at most {FILE_MOST} bytes are read", file.len());
            return Err(Fault::limit(what).in_file(file.name()));
        }
        file.read(0..file.len()).await.map(Some)
    }
    /// A text of tokenizer_config.json, or of the token that it describes.
    fn setting(&self, key: &str) -> Option<&str> {
        let value = self.settings.get(key)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }
    /// The kind of the model in tokenizer.json: "BPE", "WordPiece", "Unigram".
    fn model(&self) -> Option<&Value> {
        self.json.as_ref()?.get("model")
    }
    fn model_type(&self) -> Option<&str> {
        let model = self.model()?;
        // Old files do not say it.
        let of_shape = || match model.get("vocab") {
            Some(Value::Array(_)) => "Unigram",
            _ if model.get("merges").is_some() => "BPE",
            _ => "WordPiece",
        };
        Some(model.get("type").and_then(Value::as_str).unwrap_or_else(of_shape))
    }
}

fn parsed(name: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|e| Fault::new(Blame::File, format!("no JSON: {e}")).in_file(name))
}

/// The folder of the configuration.
fn home(s: &Settings<'_>) -> String {
    let files = &s.numbers.model().files;
    files.first().and_then(|f| f.name.rsplit_once('/')).map_or_else(String::new, |(home, _)| home.to_owned())
}

/// Architectures whose models have a SentencePiece model even where a tokenizer.json lies beside it.
const PIECES_FIRST: &[&str] = &[
    "llama",
    "smollm3",
    "granite",
    "granitemoe",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma-embedding",
    "phi3",
    "ernie4_5",
    "nemotron",
    "mamba",
    "mamba2",
    "t5encoder",
];

/// Writes what the tokenizer's files say.
///
/// # Errors
/// A file is damaged, or of a kind that has no place in GGUF.
pub(super) async fn write(
    s: &mut Settings<'_>,
    files: &SourceSet,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<()> {
    let found = Files::of(files, &home(s)).await?;
    let mut pieces = None;
    for name in ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"] {
        if pieces.is_none() {
            pieces = found.read(name).await?.map(|bytes| (name, bytes));
        }
    }
    let first = PIECES_FIRST.contains(&s.architecture) || found.json.is_none();
    let plain = found.settings.get("tokenizer_class").and_then(Value::as_str) == Some("GPT2Tokenizer");
    if let Some((name, bytes)) = pieces.filter(|_| first && !(plain && s.architecture == "phi3")) {
        pieces::from_model(s, &found, name, &bytes).await?;
    } else {
        match found.model_type() {
            Some("BPE") if byte_fallback(&found) => pieces::from_json(s, &found)?,
            Some("BPE") => bpe::write(s, &found, options, notes)?,
            Some("WordPiece") => words::write(s, &found)?,
            Some("Unigram") => pieces::from_unigram(s, &found)?,
            Some(other) => {
                return Err(Fault::unsupported(format!("a tokenizer of kind {other:?} has no place in GGUF"))
                    .in_file("tokenizer.json"));
            }
            None => return other_files(s, &found, options, notes).await,
        }
    }
    special::write(s, &found)?;
    template::write(s, &found).await?;
    special::normalizer(s, &found)
}

/// Vocabularies without a tokenizer.json.
async fn other_files(
    s: &mut Settings<'_>,
    found: &Files<'_>,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<()> {
    if let Some(vocab) = found.read("vocab.txt").await? {
        words::from_list(s, found, &vocab)?;
    } else if let (Some(vocab), Some(merges)) = (found.read("vocab.json").await?, found.read("merges.txt").await?) {
        bpe::from_lists(s, found, &vocab, &merges, options, notes).await?;
    } else {
        notes.push("no tokenizer lies beside the model: the file has none, and takes ids alone".to_owned());
        s.text("tokenizer.ggml.model", "none")?;
        if s.numbers.architecture().is_some_and(|a| a.rows().any(|row| row.role == Role::TokenTypes)) {
            s.u32("tokenizer.ggml.token_type_count", s.config.whole(&["type_vocab_size"]).unwrap_or(1))?;
        }
        return s.whole("vocab_size", &["vocab_size"]);
    }
    special::write(s, found)?;
    template::write(s, found).await
}

/// BPE over characters, with bytes for the others: SentencePiece's kind.
fn byte_fallback(found: &Files<'_>) -> bool {
    found.model().and_then(|m| m.get("byte_fallback")).and_then(Value::as_bool) == Some(true)
}

/// Added tokens of tokenizer.json: id, text, special.
fn added<'f>(found: &'f Files<'_>) -> Vec<(u64, &'f str, bool)> {
    let list = found.json.as_ref().and_then(|json| json.get("added_tokens")).and_then(Value::as_array);
    let mut all = Vec::new();
    for token in list.into_iter().flatten() {
        let id = token.get("id").and_then(Value::as_u64);
        let special = token.get("special").and_then(Value::as_bool).unwrap_or(false);
        if let (Some(id), Some(text)) = (id, token.get("content").and_then(Value::as_str)) {
            all.push((id, text, special));
        }
    }
    all
}

/// How many tokens there must be: as many as the embedding has rows, where the configuration says.
fn count(s: &Settings<'_>, spelt: &[&str], have: u64) -> Result<u64> {
    let count = s.config.whole(spelt).unwrap_or(have);
    if count > TOKENS_MOST {
        return Err(Fault::limit(format!("a vocabulary of {count} tokens; up to {TOKENS_MOST} are written")));
    }
    Ok(count)
}

/// Writes tokens, with their scores where they have some.
fn tokens(s: &mut Settings<'_>, kind: &str, pre: &str, tokens: &[Token], scored: bool) -> Result<()> {
    s.text("tokenizer.ggml.model", kind)?;
    s.text("tokenizer.ggml.pre", pre)?;
    let texts = tokens.iter().map(|t| MetaValue::String(t.text.clone())).collect();
    s.list("tokenizer.ggml.tokens", MetaType::String, texts)?;
    if scored {
        s.f32s("tokenizer.ggml.scores", &tokens.iter().map(|t| f64::from(t.score)).collect::<Vec<_>>())?;
    }
    s.i32s("tokenizer.ggml.token_type", &tokens.iter().map(|t| t.kind as i64).collect::<Vec<_>>())
}

/// Texts that only control tokens have, whatever a file calls them.
fn looks_special(text: &str) -> bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || text.starts_with("<|") && text.ends_with("|>")
        || text.starts_with("<｜") && text.ends_with("｜>")
        || text.starts_with("<unused") && text.ends_with('>')
}
