//! Special tokens: which ids they have, and which are put around a text.

use serde_json::Value;

use super::{Files, added};
use crate::{convert::to_gguf::settings::Settings, fault::Result, model::MetaValue};

/// Roles of special tokens, with their names in GGUF; one without has no key there.
const ROLES: &[(&str, Option<&str>)] = &[
    ("bos", Some("bos")),
    ("eos", Some("eos")),
    ("unk", Some("unknown")),
    ("sep", Some("seperator")),
    ("pad", Some("padding")),
    ("cls", None),
    ("mask", Some("mask")),
    ("eot", Some("eot")),
    ("eom", Some("eom")),
];

/// What was found: texts of special tokens by role, and whether they are put around texts, in the order of finding.
#[derive(Default)]
struct Special {
    texts: Vec<(String, String)>,
    adds: Vec<(String, bool)>,
    /// End-of-turn and end-of-message tokens that the end of texts took the place of.
    more: Vec<&'static str>,
}

impl Special {
    fn text(&self, role: &str) -> Option<&str> {
        self.texts.iter().find(|(r, _)| r == role).map(|(_, text)| text.as_str())
    }
    fn set_text(&mut self, role: &str, text: &str) {
        self.texts.retain(|(r, _)| r != role);
        self.texts.push((role.to_owned(), text.to_owned()));
    }
    fn adds(&mut self, role: &str, wanted: bool) {
        match self.adds.iter_mut().find(|(r, _)| r == role) {
            Some((_, adds)) => *adds = wanted,
            None => self.adds.push((role.to_owned(), wanted)),
        }
    }
    /// What tokenizer.json puts around a text, as far as simple rules say it.
    fn read_processor(&mut self, processor: &Value) {
        let inner = processor.get("processors").and_then(Value::as_array);
        for step in inner.map_or(std::slice::from_ref(processor), Vec::as_slice) {
            match step.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    for role in ["bos", "eos"] {
                        if !self.adds.iter().any(|(r, _)| r == role) {
                            self.adds(role, false);
                        }
                    }
                }
                Some("RobertaProcessing") => {
                    ["bos", "eos", "sep"].iter().for_each(|role| self.adds(role, true));
                    for (role, key) in [("cls", "cls"), ("sep", "sep")] {
                        let text = step.get(key).and_then(|pair| pair.get(0)?.as_str().map(str::to_owned));
                        if let (None, Some(text)) = (self.text(role), text) {
                            self.set_text(role, &text);
                        }
                    }
                }
                Some("TemplateProcessing") => self.read_template(step),
                _ => {}
            }
        }
    }
    fn read_template(&mut self, step: &Value) {
        let items = |key: &str| step.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let token = |item: &Value| Some(item.get("SpecialToken")?.get("id")?.as_str()?.to_owned());
        let single = items("single");
        let (mut first, mut last) = (None, None);
        if single.len() > 1 {
            first = single.first().and_then(token);
            last = single.last().and_then(token);
        }
        if let Some(first) = &first {
            if self.text("bos").is_none() {
                self.set_text("bos", first);
            }
            if self.text("cls").is_none() {
                self.set_text("cls", first);
            }
            let known = [self.text("bos"), self.text("cls")].contains(&Some(first.as_str()));
            self.adds("bos", known);
        }
        if let Some(last) = &last {
            if self.text("eos").is_some_and(|eos| eos != last) {
                let old = self.text("eos").unwrap_or_default().to_owned();
                if let Some(role) = ["eot", "eom"].into_iter().find(|role| !self.more.contains(role)) {
                    self.more.push(role);
                    self.set_text(role, &old);
                }
            }
            self.set_text("eos", last);
            self.adds("eos", true);
        }
        self.read_pair(items("pair"), first.as_deref(), last.as_deref(), &token);
    }
    /// Whether a separator stands between two texts, beside what is put around them.
    fn read_pair(
        &mut self,
        pair: &[Value],
        first: Option<&str>,
        last: Option<&str>,
        token: &dyn Fn(&Value) -> Option<String>,
    ) {
        let starts = usize::from(first.is_some() && pair.first().and_then(token).as_deref() == first);
        let ends = usize::from(last.is_some() && pair.last().and_then(token).as_deref() == last);
        let Some(inner) = pair.get(starts..pair.len().saturating_sub(ends)) else { return };
        let is = |item: Option<&Value>, wanted: &str| {
            item.and_then(|i| i.get("Sequence")?.get("id")?.as_str()).is_some_and(|id| id == wanted)
        };
        if !is(inner.first(), "A") || !is(inner.last(), "B") || inner.len() < 3 {
            return;
        }
        let between: Vec<Option<String>> = inner[1..inner.len() - 1].iter().map(token).collect();
        let ending =
            |text: &Option<String>| text.is_some() && [self.text("sep"), self.text("eos")].contains(&text.as_deref());
        let adds =
            between.first().is_some_and(|t| ending(t) && last.is_none()) || between.len() == 2 && ending(&between[1]);
        self.adds("sep", adds);
    }
}

/// Writes ids of special tokens, and which are put around a text.
pub(super) fn write(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let mut special = Special::default();
    for (role, _) in ROLES {
        if let Some(text) = found.setting(&format!("{role}_token")) {
            special.set_text(role, text);
        }
    }
    let stated = !found.settings.is_null();
    if let Some(json) = &found.json {
        for (role, other) in [("bos", "cls"), ("eos", "sep")] {
            if let (None, Some(text), true) = (special.text(role), special.text(other), stated) {
                let text = text.to_owned();
                special.set_text(role, &text);
            }
        }
        if let Some(processor) = json.get("post_processor").filter(|p| !p.is_null()) {
            special.read_processor(processor);
        }
    }
    let count = s.meta.iter().find_map(|(key, value)| match value {
        MetaValue::Array(tokens) if key == "tokenizer.ggml.tokens" => Some(tokens.len),
        _ => None,
    });
    let fits = |id: &u64| count.is_none_or(|count| *id < count);
    let mut ids: Vec<(&str, u64)> = Vec::new();
    let more = added(found);
    let asked: Vec<&str> = ROLES.iter().map(|(role, _)| *role).collect();
    for role in asked.into_iter().take(7).chain(special.more.clone()) {
        let flag = found.settings.get(format!("add_{role}_token")).and_then(Value::as_bool);
        let known = special.adds.iter().any(|(r, _)| r == role);
        if let Some(flag) = flag.filter(|_| !known) {
            special.adds(role, flag);
        }
        let id = special.text(role).and_then(|text| more.iter().find(|(_, t, _)| *t == text)).map(|(id, ..)| *id);
        if let Some(id) = id.filter(|_| stated).filter(fits) {
            ids.push((role, id));
        }
    }
    for (role, _) in &ROLES[..7] {
        let id = s.config.whole(&[&format!("{role}_token_id")]).filter(fits);
        if let Some(id) = id.filter(|_| !ids.iter().any(|(r, _)| r == role)) {
            ids.push((role, id));
        }
    }
    for (role, id) in own(s, &more, &ids) {
        ids.push((role, id));
    }
    for (role, id) in &ids {
        let name = ROLES.iter().find(|(r, _)| r == role).and_then(|(_, name)| *name);
        if let Some(name) = name {
            s.u32(&format!("tokenizer.ggml.{name}_token_id"), *id)?;
        }
    }
    for (role, wanted) in &special.adds {
        if ["bos", "eos", "sep"].contains(&role.as_str()) {
            s.flag(&format!("tokenizer.ggml.add_{role}_token"), *wanted)?;
        }
    }
    habits(s)
}

/// Special tokens that some architectures have by their text, where nothing states them.
fn own<'r>(s: &Settings<'_>, added: &[(u64, &str, bool)], have: &[(&str, u64)]) -> Vec<(&'r str, u64)> {
    let wanted: &[(&'r str, &str)] = match s.architecture {
        "glm4" => &[("eos", "<|endoftext|>"), ("eot", "<|user|>"), ("unk", "<|endoftext|>"), ("bos", "<|endoftext|>")],
        _ => &[],
    };
    let id = |text: &str| added.iter().find(|(_, t, _)| *t == text).map(|(id, ..)| *id);
    let new = wanted.iter().filter(|(role, _)| !have.iter().any(|(r, _)| r == role));
    new.filter_map(|(role, text)| Some((*role, id(text)?))).collect()
}

/// What the converter sets for some architectures whatever the files say.
fn habits(s: &mut Settings<'_>) -> Result<()> {
    let pieces = s.meta.iter().any(|(key, value)| {
        key == "tokenizer.ggml.model" && matches!(value, MetaValue::String(kind) if kind == "llama")
    });
    match s.architecture {
        "gemma" | "gemma2" | "gemma3" | "gemma-embedding" if pieces => s.flag("tokenizer.ggml.add_space_prefix", false),
        "nemotron" => {
            s.u32("tokenizer.ggml.padding_token_id", 0)?;
            s.u32("tokenizer.ggml.unknown_token_id", 1)
        }
        "modern-bert" => {
            ["bos", "eos", "sep"].iter().try_for_each(|role| s.flag(&format!("tokenizer.ggml.add_{role}_token"), true))
        }
        // Granite's small models.
        "llama" if s.config.whole(&["vocab_size"]) == Some(49_152) => s.flag("tokenizer.ggml.add_bos_token", false),
        "bert" => {
            let kinds = s.config.whole(&["type_vocab_size"]).unwrap_or(1);
            s.u32("tokenizer.ggml.token_type_count", kinds)
        }
        _ => Ok(()),
    }
}

/// Writes how texts are normalized, where tokenizer.json says it.
pub(super) fn normalizer(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let (mut lowercase, mut strip) = (None, None);
    let mut open: Vec<&Value> = found.json.as_ref().and_then(|json| json.get("normalizer")).into_iter().collect();
    // Normalizers within others are few; a file that nests them on and on ends with its text.
    while let Some(step) = open.pop() {
        match step.get("type").and_then(Value::as_str) {
            Some("Lowercase") => lowercase = Some(true),
            Some("StripAccents") => strip = Some(true),
            Some("BertNormalizer") => {
                lowercase = step.get("lowercase").and_then(Value::as_bool).or(lowercase);
                strip = step.get("strip_accents").and_then(Value::as_bool).or(strip);
            }
            Some("Sequence") => {
                let inner = step.get("normalizers").and_then(Value::as_array);
                open.extend(inner.into_iter().flatten().rev());
            }
            _ => {}
        }
    }
    if let Some(flag) = lowercase {
        s.flag("tokenizer.ggml.normalizer.lowercase", flag)?;
    }
    strip.map_or(Ok(()), |flag| s.flag("tokenizer.ggml.normalizer.strip_accents", flag))
}
