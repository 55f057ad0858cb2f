//! A vocabulary from a `tokenizer.json`.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{AddedToken, decoders::DecoderWrapper};

use super::{
    Method, PieceKind, Vocabulary,
    added::Added,
    alphabet,
    json_model::{Built, RawModel},
    json_steps::{self, Normals, Splits},
    limits,
    memo::Shared,
    pairs::{self, Part},
    pipeline::Pipeline,
    routes::Route,
    specials::Specials,
    streaming::{First, Joiner},
    table::{Entry, Spelling, Table},
};
use crate::{
    fault::{Blame, Fault, Result},
    model::{Note, Severity},
};

/// The whole file; unknown keys are passed over.
#[derive(Deserialize)]
struct File {
    version: Option<String>,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: RawModel,
}

#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// See [`Vocabulary::from_json`].
pub(super) fn build(json: &[u8]) -> Result<Vocabulary> {
    let file: File = serde_json::from_slice(json).map_err(|e| broken(format!("not a tokenizer.json: {e}")))?;
    if let Some(version) = file.version.as_deref().filter(|version| *version != "1.0") {
        return Err(Fault::unsupported(format!("tokenizer.json version {version:?}: only 1.0 is known")));
    }
    limits::check("added tokens", file.added_tokens.len(), limits::SPECIALS)?;
    let mut notes = Vec::new();
    note_switched_off(&file, &mut notes);
    let normal_steps = json_steps::steps(file.normalizer, "normalizers")?;
    let split_steps = json_steps::steps(file.pre_tokenizer, "pretokenizers")?;
    let (normals, splits) = (Normals::new(&normal_steps)?, Splits::new(&split_steps)?);
    let built = file.model.build()?;
    if built.had_dropout {
        notes.push(Note::new(
            Severity::Info,
            "The file asks for random merge dropout, a training aid; it is switched off here.",
        ));
    }
    let added = added(&file.added_tokens, &built, &normals, &mut notes)?;
    let (joiner, spelling) = joiner(file.decoder)?;
    let table = table(&built, &added, spelling)?;
    let (before, after) = template(&file.post_processor, &table)?;
    let pair = pair(&file.post_processor);
    let title = format!("{} (tokenizer.json)", built.name);
    let end_ids = end_ids(&table, &after);
    let (route, route_normalizes) = Route::of(&normal_steps, &split_steps, &built.model, added.has_normalized());
    let (model, memo) = (built.model, Shared::default());
    let method = Method::Json(Box::new(Pipeline { normals, splits, model, added, route, route_normalizes, memo }));
    Ok(Vocabulary {
        title,
        table,
        method,
        specials: Specials::default(),
        joiner,
        before,
        after,
        pair,
        end_ids,
        bos: None,
        eos: None,
        notes,
    })
}

fn note_switched_off(file: &File, notes: &mut Vec<Note>) {
    for (name, value) in [("truncation", &file.truncation), ("padding", &file.padding)] {
        if !value.is_null() {
            notes.push(
                Note::new(Severity::Info, format!("The file sets {name}; it is switched off here."))
                    .why("The whole text is shown, and nothing but the text."),
            );
        }
    }
}

fn added(entries: &[AddedEntry], built: &Built, normals: &Normals, notes: &mut Vec<Note>) -> Result<Added> {
    let list = entries.iter().map(|entry| &entry.token);
    let added = Added::new(list, built.model.tokens(), built.count, normals)?;
    let moved =
        entries.iter().filter(|entry| added.id_of(&entry.token.content).is_some_and(|id| id != entry.id)).count();
    if moved > 0 {
        notes.push(
            Note::new(Severity::Warning, format!("{moved} added tokens get other ids than the file gives them."))
                .why("The tokenizers library counts on from the vocabulary's size and ignores the ids in the list."),
        );
    }
    Ok(added)
}

fn table(built: &Built, added: &Added, spelling: Spelling) -> Result<Table> {
    let mut texts: HashMap<u32, (&str, PieceKind, bool)> = HashMap::with_capacity(built.tokens.len());
    for (text, id) in &built.tokens {
        let is_byte = built.byte_fallback && alphabet::parse_byte_token(text).is_some();
        let kind = if built.unknown == Some(*id) {
            PieceKind::Unknown
        } else if is_byte {
            PieceKind::Byte
        } else {
            PieceKind::Normal
        };
        texts.insert(*id, (text, kind, false));
    }
    for (id, token) in added.iter() {
        let is_unknown = built.unknown == Some(id);
        let kind = match (is_unknown, token.special) {
            (true, _) => PieceKind::Unknown,
            (false, true) => PieceKind::Control,
            (false, false) => PieceKind::UserDefined,
        };
        texts.insert(id, (&token.content, kind, token.special));
    }
    let count = texts.keys().max().map_or(0, |last| *last as usize + 1);
    limits::check("tokens in the vocabulary, holes included", count, limits::TOKENS)?;
    let hole = Entry { text: Arc::from(""), kind: PieceKind::Normal, hidden: true };
    let mut entries = vec![hole; count];
    for (id, (text, kind, hidden)) in texts {
        entries[id as usize] = Entry { text: Arc::from(text), kind, hidden };
    }
    Table::new(entries, spelling)
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The steps of a decoder, nested sequences flattened.
fn steps(value: &Value) -> Vec<&Value> {
    match value.get("decoders").and_then(Value::as_array) {
        Some(inner) if kind(value) == "Sequence" => inner.iter().flat_map(steps).collect(),
        _ => vec![value],
    }
}

/// How tokens join to text. Decoders that work token by token are run here, so that a stream of
/// tokens costs no more than its text; the others are the crate's.
fn joiner(decoder: Value) -> Result<(Joiner, Spelling)> {
    if decoder.is_null() {
        return Ok((Joiner::Crate(None), Spelling::Plain));
    }
    let steps = steps(&decoder);
    let names: Vec<&str> = steps.iter().copied().map(kind).collect();
    let flag = |step: &Value, name: &str, default| step.get(name).and_then(Value::as_bool).unwrap_or(default);
    match names.as_slice() {
        ["ByteLevel"] => return Ok((Joiner::Bytes(First::Keep), Spelling::ByteLevel)),
        ["Metaspace"] => {
            let space = steps[0].get("replacement").and_then(Value::as_str).and_then(|s| s.chars().next());
            let is_never = steps[0].get("prepend_scheme").and_then(Value::as_str) == Some("never")
                || !flag(steps[0], "add_prefix_space", true);
            let first = if is_never { First::Keep } else { First::StripAll };
            return Ok((Joiner::Bytes(first), Spelling::Meta(space.unwrap_or('▁'))));
        }
        ["WordPiece"] => {
            let prefix = steps[0].get("prefix").and_then(Value::as_str).unwrap_or("##").to_owned();
            let cleanup = flag(steps[0], "cleanup", true);
            return Ok((Joiner::Words { cleanup }, Spelling::Continued(prefix)));
        }
        ["Replace", "ByteFallback", "Fuse", rest @ ..] if is_meta(steps[0]) => match rest {
            [] => return Ok((Joiner::Bytes(First::Keep), Spelling::Meta('▁'))),
            ["Strip"] if is_strip_of_one_space(steps[3]) => {
                return Ok((Joiner::Bytes(First::StripOne), Spelling::Meta('▁')));
            }
            _ => {}
        },
        _ => {}
    }
    if steps.iter().any(|step| kind(step) == "Strip" && step.get("stop").and_then(Value::as_u64) != Some(0)) {
        return Err(Fault::unsupported("decoders that strip the ends of tokens are not supported"));
    }
    for step in &steps {
        if let Some(source) = step.get("pattern").and_then(|p| p.get("Regex")).and_then(Value::as_str) {
            limits::check("bytes in a regular expression", source.len(), limits::PATTERN_BYTES)?;
        }
    }
    let known =
        ["BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"];
    if let Some(other) = names.iter().find(|name| !known.contains(name)) {
        return Err(Fault::unsupported(format!("decoders of type {other:?} are not known")));
    }
    let decoder: DecoderWrapper = serde_json::from_value(decoder).map_err(|e| broken(format!("the decoder: {e}")))?;
    Ok((Joiner::Crate(Some(Box::new(decoder))), Spelling::Plain))
}

fn is_meta(step: &Value) -> bool {
    step.pointer("/pattern/String").and_then(Value::as_str) == Some("▁")
        && step.get("content").and_then(Value::as_str) == Some(" ")
}

fn is_strip_of_one_space(step: &Value) -> bool {
    let number = |name| step.get(name).and_then(Value::as_u64);
    step.get("content").and_then(Value::as_str) == Some(" ") && number("start") == Some(1) && number("stop") == Some(0)
}

/// Ids that the post-processor puts before and after a text.
fn template(processor: &Value, table: &Table) -> Result<(Vec<u32>, Vec<u32>)> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    match kind(processor) {
        "" if processor.is_null() => {}
        "ByteLevel" => {}
        "BertProcessing" | "RobertaProcessing" => {
            before.push(pair_id(processor, "cls")?);
            after.push(pair_id(processor, "sep")?);
        }
        "Sequence" => {
            let inner = processor.get("processors").and_then(Value::as_array);
            for step in inner.ok_or_else(|| broken("a Sequence of post-processors without its list"))? {
                let (outer_before, outer_after) = template(step, table)?;
                before.splice(0..0, outer_before);
                after.extend(outer_after);
            }
        }
        "TemplateProcessing" => {
            let mut seen = 0;
            let single = processor.get("single").and_then(Value::as_array);
            for item in single.ok_or_else(|| broken("a template without its list \"single\""))? {
                if let Some(sequence) = item.pointer("/Sequence/id").and_then(Value::as_str) {
                    seen += 1;
                    if sequence != "A" {
                        return Err(broken(format!(
                            "the template for one text names text {sequence:?}, expected \"A\""
                        )));
                    }
                } else {
                    let ids = special_ids(processor, item)?;
                    if seen == 0 { before.extend(ids) } else { after.extend(ids) }
                }
            }
            if seen != 1 {
                return Err(Fault::unsupported(format!(
                    "the template for one text names it {seen} times, expected once"
                )));
            }
        }
        other => return Err(Fault::unsupported(format!("post-processors of type {other:?} are not known"))),
    }
    if let Some(id) = before.iter().chain(&after).find(|id| table.get(**id).is_none()) {
        return Err(broken(format!(
            "the post-processor adds id {id}, outside the vocabulary of {} tokens",
            table.len()
        )));
    }
    Ok((before, after))
}

/// How two texts become one sequence; `None` where the processor does not say.
fn pair(processor: &Value) -> Option<Vec<Part>> {
    let bert = |kind: u32, twice: bool| {
        let (cls, sep) = (pair_id(processor, "cls").ok()?, pair_id(processor, "sep").ok()?);
        let between = if twice { vec![sep, sep] } else { vec![sep] };
        let ends = |ids, kind| Part::Added(ids, kind);
        let texts = [Part::Text(false, 0), Part::Text(true, kind)];
        let [a, b] = texts;
        Some(vec![ends(vec![cls], 0), a, ends(between, 0), b, ends(vec![sep], kind)])
    };
    match kind(processor) {
        "BertProcessing" => bert(1, false),
        "RobertaProcessing" => bert(0, true),
        "Sequence" => processor.get("processors")?.as_array()?.iter().find_map(pair),
        "TemplateProcessing" => pairs::template(processor, |item| special_ids(processor, item).ok()),
        _ => None,
    }
}

/// The id in `["[CLS]", 101]`.
fn pair_id(processor: &Value, name: &str) -> Result<u32> {
    let id = processor.get(name).and_then(|pair| pair.get(1)).and_then(Value::as_u64);
    id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| broken(format!("the post-processor has no id for {name:?}")))
}

fn special_ids(processor: &Value, item: &Value) -> Result<Vec<u32>> {
    let name = item.pointer("/SpecialToken/id").and_then(Value::as_str);
    let name = name.ok_or_else(|| broken("an item of the template is neither a text nor a special token"))?;
    let ids = processor.get("special_tokens").and_then(|all| all.get(name)).and_then(|token| token.get("ids"));
    ids.and_then(|ids| Vec::deserialize(ids).ok())
        .ok_or_else(|| broken(format!("the template's special token {name:?} has no list of ids")))
}

/// Control tokens that end a text: what the template puts after it, and names known to mean it.
fn end_ids(table: &Table, after: &[u32]) -> Vec<u32> {
    let is_control = |id: &u32| table.get(*id).is_some_and(|entry| entry.kind == PieceKind::Control);
    let named = super::gguf_tokens::END_TEXTS.iter().filter_map(|text| table.id_of(text)).filter(is_control);
    let mut ids: Vec<u32> = after.iter().copied().chain(named).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
