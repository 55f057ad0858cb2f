//! Finding a tokenizer: in a model's metadata, or in the files beside it.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    formats::{self, ArrayItems},
    model::{MetaValue, ModelFile},
    source::{SourceFile, SourceSet},
    tokenizer::{GgufVocabulary, Vocabulary},
};

use super::Inspection;

/// The largest tokenizer.json that is read.
const MAX_JSON: u64 = 256 << 20;

/// The tokenizer of whatever the files are: a model, a folder, or a tokenizer file alone.
///
/// # Errors
/// None of the files holds a tokenizer.
pub async fn open_vocabulary(files: SourceSet) -> Result<Vocabulary> {
    if let [only] = files.files()
        && is_tokenizer_json(only)
    {
        return from_json(only).await;
    }
    let inspection = Inspection::open(files).await?;
    of_model(inspection.files(), inspection.model()).await
}

fn is_tokenizer_json(file: &SourceFile) -> bool {
    let base = file.name().rsplit('/').next().unwrap_or_default();
    base == "tokenizer.json" || base.ends_with(".tokenizer.json")
}

async fn from_json(file: &SourceFile) -> Result<Vocabulary> {
    if file.len() > MAX_JSON {
        return Err(Fault::limit(format!("{} bytes; tokenizers of at most {MAX_JSON} bytes are read", file.len()))
            .in_file(file.name()));
    }
    let json = file.read(0..file.len()).await?;
    Vocabulary::from_json(&json).map_err(|f| f.in_file(file.name()))
}

/// The tokenizer of an inspected model.
pub(super) async fn of_model(files: &SourceSet, model: &ModelFile) -> Result<Vocabulary> {
    if model.metadata.string("tokenizer.ggml.model").is_some() {
        let keys = gguf_keys(files, model).await?;
        return Vocabulary::from_gguf(keys);
    }
    if let Some(json) = files.files().iter().find(|f| is_tokenizer_json(f)) {
        return from_json(json).await;
    }
    let has_spm = files.files().iter().any(|f| f.name().ends_with(".model"));
    Err(Fault::unsupported(if has_spm {
        "the only tokenizer here is a SentencePiece .model file, which is not read yet: add tokenizer.json"
    } else {
        "no tokenizer here: drop tokenizer.json together with the model"
    }))
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

async fn gguf_keys(files: &SourceSet, model: &ModelFile) -> Result<GgufVocabulary> {
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
