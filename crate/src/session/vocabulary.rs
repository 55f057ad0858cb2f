//! Finding a tokenizer: in a model's metadata, or in the files beside it.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    formats::{self, ArrayItems, TokenizerKind},
    model::{MetaValue, ModelFile},
    source::{Limits, SourceFile, SourceSet},
    tokenizer::{GgufVocabulary, Vocabulary},
};

use super::Inspection;

/// The largest tokenizer.json that is read.
const MAX_JSON: u64 = 256 << 20;

/// The tokenizer of whatever the files are: a model, a folder, or tokenizer files alone.
///
/// # Errors
/// None of the files holds a tokenizer.
pub async fn open_vocabulary(files: SourceSet) -> Result<Vocabulary> {
    if files.files().len() == 1 {
        let found = formats::tokenizers(&files, &Limits::default()).await?;
        if let Some(vocabulary) = beside(&files, &found).await? {
            return Ok(vocabulary);
        }
    }
    match Inspection::open(files.clone()).await {
        Ok(inspection) => of_model(inspection.files(), inspection.model(), inspection.tokenizers()).await,
        Err(fault) => {
            let found = formats::tokenizers(&files, &Limits::default()).await?;
            beside(&files, &found).await?.ok_or(fault)
        }
    }
}

/// Files that hold a tokenizer, by their kinds and names.
pub(super) type Tokenizers = [(TokenizerKind, String)];

/// "tokenizer.json" of "folder/tokenizer.json" and of "phi-3.tokenizer.json".
pub(super) fn is_named(file: &SourceFile, name: &str) -> bool {
    let base = file.name().rsplit('/').next().unwrap_or_default();
    base.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// All bytes of a tokenizer's file.
pub(super) async fn whole(file: &SourceFile) -> Result<Vec<u8>> {
    if file.len() > MAX_JSON {
        return Err(Fault::limit(format!("{} bytes; tokenizers of at most {MAX_JSON} bytes are read", file.len()))
            .in_file(file.name()));
    }
    file.read(0..file.len()).await
}

/// The file that says most about a tokenizer, and what it is.
fn best(found: &Tokenizers) -> Option<(TokenizerKind, &str)> {
    found.iter().min_by_key(|(kind, _)| *kind).map(|(kind, name)| (*kind, name.as_str()))
}

/// Its name.
pub(super) fn file_beside(found: &Tokenizers) -> Option<&str> {
    best(found).map(|(_, name)| name)
}

/// The tokenizer that the files hold besides a model's own metadata.
pub(super) async fn beside(files: &SourceSet, found: &Tokenizers) -> Result<Option<Vocabulary>> {
    let Some((kind, name)) = best(found) else { return Ok(None) };
    let file = files.find(name).ok_or_else(|| Fault::bug("a tokenizer's file is not open").in_file(name))?;
    let bytes = whole(file).await?;
    let config = match files.files().iter().find(|file| is_named(file, "tokenizer_config.json")) {
        Some(config) => Some(whole(config).await?),
        None => None,
    };
    let config = config.as_deref();
    let with = |vocabulary: Vocabulary| match config {
        Some(config) => vocabulary.with_config(config),
        None => Ok(vocabulary),
    };
    let made = match kind {
        TokenizerKind::Json => Vocabulary::from_json(&bytes).and_then(with),
        TokenizerKind::Tekken => Vocabulary::from_tekken(&bytes),
        TokenizerKind::SentencePiece => Vocabulary::from_sentence_piece(&bytes).and_then(with),
        TokenizerKind::Ranks => Vocabulary::from_tiktoken(&bytes),
        TokenizerKind::Lists => {
            let merges = files.files().iter().find(|file| is_named(file, "merges.txt")).ok_or_else(|| {
                Fault::unsupported("vocab.json needs its merges.txt: open both, or their folder").in_file(file.name())
            })?;
            Vocabulary::from_vocab_and_merges(&bytes, &whole(merges).await?, config)
        }
        TokenizerKind::Words => Vocabulary::from_vocab_txt(&bytes, config),
    };
    made.map(Some).map_err(|fault| fault.in_file(file.name()))
}

/// The tokenizer of an inspected model.
pub(super) async fn of_model(files: &SourceSet, model: &ModelFile, found: &Tokenizers) -> Result<Vocabulary> {
    if model.metadata.string("tokenizer.ggml.model").is_some() {
        let keys = gguf_keys(files, model).await?;
        return Vocabulary::from_gguf(keys);
    }
    let lacks = "no tokenizer here: drop tokenizer.json (or vocab.txt, vocab.json with merges.txt, tokenizer.model, tekken.json) together with the model";
    beside(files, found).await?.ok_or_else(|| Fault::unsupported(lacks))
}

/// Items of a metadata array, wherever they are.
pub(super) async fn array_items(
    files: &SourceSet,
    model: &ModelFile,
    key: &str,
    range: Range<u64>,
) -> Result<ArrayItems> {
    let array =
        model.metadata.array(key).ok_or_else(|| Fault::caller(format!("no metadata array is named \"{key}\"")))?;
    let range = range.start.min(array.len)..range.end.min(array.len);
    match &array.place {
        Some(place) => {
            let file = model.files.get(place.file).ok_or_else(|| Fault::bug("an array's place names no file"))?;
            formats::read_array(files, &file.name, place, array.item, range).await
        }
        None => {
            let items = array.head.get(range.start as usize..range.end as usize).unwrap_or(&[]);
            Ok(if items.iter().any(|v| matches!(v, MetaValue::String(_) | MetaValue::Array(_))) {
                ArrayItems::Strings(items.iter().map(text).collect())
            } else if items.iter().any(|v| matches!(v, MetaValue::Float(..))) {
                ArrayItems::Floats(
                    items.iter().map(|v| if let MetaValue::Float(x, _) = v { *x } else { f64::NAN }).collect(),
                )
            } else {
                ArrayItems::Integers(items.iter().map(integer).collect())
            })
        }
    }
}

fn text(value: &MetaValue) -> Vec<u8> {
    match value {
        MetaValue::String(s) => s.clone().into_bytes(),
        MetaValue::Unsigned(n, _) => n.to_string().into_bytes(),
        MetaValue::Signed(n, _) => n.to_string().into_bytes(),
        MetaValue::Float(n, _) => n.to_string().into_bytes(),
        MetaValue::Bool(b) => b.to_string().into_bytes(),
        MetaValue::Array(a) => format!("array of {} {}", a.len, a.item.name()).into_bytes(),
    }
}

fn integer(value: &MetaValue) -> i64 {
    match value {
        MetaValue::Unsigned(n, _) => i64::try_from(*n).unwrap_or(i64::MAX),
        MetaValue::Signed(n, _) => *n,
        MetaValue::Bool(b) => i64::from(*b),
        _ => 0,
    }
}

/// The tokenizer keys of a GGUF.
pub(super) async fn gguf_keys(files: &SourceSet, model: &ModelFile) -> Result<GgufVocabulary> {
    let meta = &model.metadata;
    let all = |key: &'static str| async move {
        match meta.array(key) {
            Some(array) => array_items(files, model, key, 0..array.len).await.map(Some),
            None => Ok(None),
        }
    };
    let wrong = |key: &str| Fault::file(0, format!("{key} has items of the wrong type")).in_file(&model.files[0].name);
    let strings = |key: &'static str, items: Option<ArrayItems>| match items {
        Some(ArrayItems::Strings(s)) => Ok(s),
        None => Ok(Vec::new()),
        _ => Err(wrong(key)),
    };
    let tokens = strings("tokenizer.ggml.tokens", all("tokenizer.ggml.tokens").await?)?;
    let merges = strings("tokenizer.ggml.merges", all("tokenizer.ggml.merges").await?)?;
    let token_types = match all("tokenizer.ggml.token_type").await? {
        Some(ArrayItems::Integers(n)) => n.into_iter().map(|n| n as i32).collect(),
        None => Vec::new(),
        _ => return Err(wrong("tokenizer.ggml.token_type")),
    };
    let scores = match all("tokenizer.ggml.scores").await? {
        Some(ArrayItems::Floats(n)) => n.into_iter().map(|n| n as f32).collect(),
        Some(ArrayItems::Integers(n)) => n.into_iter().map(|n| n as f32).collect(),
        None => Vec::new(),
        _ => return Err(wrong("tokenizer.ggml.scores")),
    };
    let precompiled_charsmap = match all("tokenizer.ggml.precompiled_charsmap").await? {
        Some(ArrayItems::Integers(n)) => n.into_iter().map(|n| n as u8).collect(),
        None => Vec::new(),
        _ => return Err(wrong("tokenizer.ggml.precompiled_charsmap")),
    };
    let text = |key: &str| meta.string(key).unwrap_or_default().to_owned();
    let special = meta
        .iter()
        .filter_map(|(key, _)| {
            let name = key.strip_prefix("tokenizer.ggml.")?.strip_suffix("_token_id")?;
            let name = if name == "seperator" { "sep" } else { name };
            Some((name.to_owned(), u32::try_from(meta.unsigned(key)?).ok()?))
        })
        .collect();
    Ok(GgufVocabulary {
        model: meta.string("tokenizer.ggml.model").unwrap_or_default().to_owned(),
        pre: meta.string("tokenizer.ggml.pre").map(str::to_owned),
        tokens,
        token_types,
        scores,
        merges,
        special,
        add_bos: meta.boolean("tokenizer.ggml.add_bos_token"),
        add_eos: meta.boolean("tokenizer.ggml.add_eos_token"),
        add_space_prefix: meta.boolean("tokenizer.ggml.add_space_prefix"),
        remove_extra_whitespaces: meta.boolean("tokenizer.ggml.remove_extra_whitespaces"),
        precompiled_charsmap,
        lowercase: meta.boolean("tokenizer.ggml.normalizer.lowercase"),
        strip_accents: meta.boolean("tokenizer.ggml.normalizer.strip_accents"),
        name: text("general.name"),
        architecture: text("general.architecture"),
    })
}
