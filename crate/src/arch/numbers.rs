//! What a model states of its hyper-parameters, and what follows where it states nothing.

mod apart;

use super::{Architecture, Dim, Form, Key, Role, Rule, keys::Default};
use crate::{
    fault::{Blame, Fault, Result},
    model::{FormatId, MetaArray, MetaValue, ModelFile},
};

/// The largest whole number that is read: sizes and counts are held as 32 bits.
const MAX_COUNT: u64 = (1 << 31) - 1;

/// A model's metadata by hyper-parameter.
#[derive(Debug, Clone)]
pub struct Numbers<'a> {
    model: &'a ModelFile,
    form: Form,
    /// The architecture as the model names it: "qwen2", "LlamaForCausalLM".
    name: &'a str,
    architecture: Option<&'static Architecture>,
    /// What keys start with; the first that has a key counts.
    prefixes: Vec<String>,
}

impl<'a> Numbers<'a> {
    /// `None` for a model that has no configuration; where that names no architecture, the name is empty.
    pub fn of(model: &'a ModelFile) -> Option<Self> {
        let form = Form::of(model)?;
        let (name, architecture) = super::named(model, form).unwrap_or_default();
        let prefixes = match form {
            Form::Gguf => vec![format!("{name}.")],
            Form::Folder if model.format == FormatId::Ggml => vec!["ggml.".into()],
            // Models of text and images keep what is the text's apart.
            Form::Folder if model.metadata.iter().any(|(k, _)| k.starts_with(TEXT)) => vec![TEXT.into(), CONFIG.into()],
            Form::Folder => vec![CONFIG.into()],
        };
        Some(Self { model, form, name, architecture, prefixes })
    }
    /// The architecture as the model names it; empty where it names none.
    pub fn name(&self) -> &'a str {
        self.name
    }
    /// Which kind of file.
    pub fn form(&self) -> Form {
        self.form
    }
    /// The architecture, where the table has it.
    pub fn architecture(&self) -> Option<&'static Architecture> {
        self.architecture
    }
    /// The model.
    pub fn model(&self) -> &'a ModelFile {
        self.model
    }
    /// True for a folder whose configuration holds that of a text model as one part.
    pub fn nested(&self) -> bool {
        self.prefixes.len() > 1
    }
    fn spellings(&self, key: Key) -> &'static [&'static str] {
        match self.form {
            Form::Gguf => key.row().gguf,
            Form::Folder => key.row().config,
        }
    }
    /// The metadata key that states it, and its value.
    pub fn find(&self, key: Key) -> Option<(String, &'a MetaValue)> {
        let names = self.spellings(key);
        self.prefixes.iter().flat_map(|p| names.iter().map(move |n| format!("{p}{n}"))).find_map(|k| {
            let value = self.model.metadata.get(&k)?;
            Some((k, value))
        })
    }
    /// The metadata key that states it; where none does, the one that usually would.
    pub fn spelling(&self, key: Key) -> String {
        self.find(key).map(|(k, _)| k).unwrap_or_else(|| {
            let prefix = self.prefixes.first().map_or("", String::as_str);
            format!("{prefix}{}", self.spellings(key).first().copied().unwrap_or("(no such key)"))
        })
    }
    /// A whole number as stated once for all layers.
    pub fn stated(&self, key: Key) -> Option<u64> {
        self.find(key)?.1.unsigned()
    }
    /// True where layers may differ in it.
    pub fn varies(&self, key: Key) -> bool {
        self.find(key).is_some_and(|(_, v)| matches!(v, MetaValue::Array(_))) || self.special(key, None)
    }
    /// A whole number as stated, or as programs work it out; `None` where layers differ.
    pub fn get(&self, key: Key) -> Option<u64> {
        if self.varies(key) { None } else { self.at(key, 0) }
    }
    /// The same for one layer.
    pub fn at(&self, key: Key, layer: u32) -> Option<u64> {
        if let Some(n) = self.architecture.and_then(|a| (a.worked_out)(self, key, layer)) {
            return Some(n);
        }
        let rule = self.architecture.and_then(|a| a.rules.iter().find(|r| r.key == key && self.applies(r)));
        if let Some(rule) = rule.filter(|r| r.always) {
            return self.dim(&rule.value, layer);
        }
        self.stated_at(key, layer).or_else(|| match rule {
            Some(rule) => self.dim(&rule.value, layer),
            None => self.derived(key, layer),
        })
    }
    fn applies(&self, rule: &Rule) -> bool {
        rule.form.is_none_or(|f| f == self.form) && rule.when.is_none_or(|holds| holds(self.model))
    }
    /// The number of a dimension in one layer.
    pub fn dim(&self, dim: &Dim, layer: u32) -> Option<u64> {
        match *dim {
            Dim::Of(key) => self.at(key, layer),
            Dim::By(a, b) => self.at(a, layer)?.checked_mul(self.at(b, layer)?),
            Dim::Times(n, key) => self.at(key, layer)?.checked_mul(u64::from(n)),
            Dim::Less(key) => self.at(key, layer)?.checked_sub(1),
            Dim::Sum(dims) => dims.iter().try_fold(0u64, |sum, d| sum.checked_add(self.dim(d, layer)?)),
            Dim::Beyond(a, b) => self.at(a, layer)?.checked_sub(self.at(b, layer)?),
            Dim::Exactly(n) => Some(n),
        }
    }
    /// True where layers may differ in a dimension.
    pub fn dim_varies(&self, dim: &Dim) -> bool {
        match *dim {
            Dim::Of(key) | Dim::Times(_, key) | Dim::Less(key) => {
                self.varies(key) || self.leads(key).is_some_and(|k| self.varies(k))
            }
            Dim::By(a, b) | Dim::Beyond(a, b) => self.dim_varies(&Dim::Of(a)) || self.dim_varies(&Dim::Of(b)),
            Dim::Sum(dims) => dims.iter().any(|d| self.dim_varies(d)),
            Dim::Exactly(_) => false,
        }
    }
    /// What a missing number follows, where it follows one that may vary.
    fn leads(&self, key: Key) -> Option<Key> {
        if self.find(key).is_some() {
            return None;
        }
        match key {
            Key::KvHeads => Some(Key::Heads),
            Key::ValueDim => Some(Key::HeadDim),
            Key::ExpertSize => Some(Key::IntermediateSize),
            _ => None,
        }
    }
    fn derived(&self, key: Key, layer: u32) -> Option<u64> {
        let meta = &self.model.metadata;
        match key {
            Key::KvHeads => self.at(Key::Heads, layer),
            Key::HeadDim => self.at(Key::HiddenSize, layer)?.checked_div(self.at(Key::Heads, layer)?),
            Key::ValueDim if self.form == Form::Gguf => {
                self.at(Key::HiddenSize, layer)?.checked_div(self.at(Key::Heads, layer)?)
            }
            Key::ValueDim => self.at(Key::HeadDim, layer),
            Key::ExpertSize => self.at(Key::IntermediateSize, layer),
            Key::SsmGroups => Some(1),
            Key::SsmHeadDim => self.at(Key::SsmInner, layer)?.checked_div(self.at(Key::SsmHeads, layer)?),
            Key::SsmRank => Some(self.at(Key::HiddenSize, layer)?.div_ceil(16)),
            Key::SsmExpand => Some(2),
            Key::VocabSize => match meta.array("tokenizer.ggml.tokens") {
                Some(tokens) => Some(tokens.len),
                None => self.embedding_rows(),
            },
            Key::TokenTypes => meta.unsigned("tokenizer.ggml.token_type_count"),
            Key::PerLayerVocab => self.at(Key::VocabSize, layer),
            // transformers `configuration_gemma3n.py`, `configuration_t5.py`; llama.cpp knows no others.
            Key::AltupInputs => Some(4),
            Key::LaurelRank => Some(64),
            Key::RelativeBuckets => Some(32),
            Key::RelativeDistance => Some(128),
            _ => None,
        }
    }
    fn embedding_rows(&self) -> Option<u64> {
        let row = self.architecture?.rows().find(|r| r.role == Role::TokenEmbedding)?;
        let is = |name: &str| name.strip_suffix(".weight").is_some_and(|stem| row.names(self.form).contains(&stem));
        let table = self.model.tensors.iter().find(|t| is(super::canonical(self.form, &t.name)))?;
        table.shape.rows()
    }
    // What follows is for running: values that are not what they must be are faults.

    /// A whole number from 1 to 2^31 - 1 of one layer, stated or derived.
    ///
    /// # Errors
    /// It is stated as something else; it is required and missing.
    pub fn count(&self, key: Key, layer: u32) -> Result<u32> {
        match self.checked(key, layer)? {
            Some(n) if n > 0 => Ok(n),
            Some(_) => Err(wrong(&self.spelling(key), "a whole number above zero", "0")),
            None => Err(self.missing(key)),
        }
    }
    /// The same where zero and absence both mean "none".
    ///
    /// # Errors
    /// It is stated as something else.
    pub fn optional(&self, key: Key, layer: u32) -> Result<Option<u32>> {
        Ok(self.checked(key, layer)?.filter(|n| *n > 0))
    }
    fn checked(&self, key: Key, layer: u32) -> Result<Option<u32>> {
        let wanted = "a whole number from 0 to 2147483647";
        if let Some((name, value)) = self.find(key) {
            let value = match value {
                MetaValue::Array(array) => item(array, layer).ok_or_else(|| {
                    let found = format!("an array of {}, of which {} are at hand", array.len, array.head.len());
                    wrong(&name, &format!("a value for layer {layer}"), &found)
                })?,
                value => value,
            };
            if value.unsigned().is_none_or(|n| n > MAX_COUNT) {
                return Err(wrong(&name, wanted, &say(value)));
            }
        }
        match self.at(key, layer) {
            Some(n) if n > MAX_COUNT => Err(wrong(&self.spelling(key), wanted, &n.to_string())),
            n => Ok(n.map(|n| n as u32)),
        }
    }
    /// A finite number above zero, or the default.
    ///
    /// # Errors
    /// It is stated and not such a number.
    pub fn positive(&self, key: Key) -> Result<Option<f64>> {
        if let Some((name, value)) = self.find(key) {
            return match value.number() {
                Some(n) if n.is_finite() && n > 0.0 => Ok(Some(n)),
                _ => Err(wrong(&name, "a number above zero", &say(value))),
            };
        }
        Ok(match key.row().default {
            Default::Number(n) => Some(n),
            Default::InConfig(n) if self.form == Form::Folder => Some(n),
            _ => None,
        })
    }
    /// As [`Numbers::positive`], required.
    ///
    /// # Errors
    /// Also when it is missing.
    pub fn need(&self, key: Key) -> Result<f64> {
        self.positive(key)?.ok_or_else(|| self.missing(key))
    }
    /// True or false, where stated.
    ///
    /// # Errors
    /// It is stated as something else.
    pub fn flag(&self, key: Key) -> Result<Option<bool>> {
        match self.find(key) {
            None => Ok(None),
            Some((_, MetaValue::Bool(b))) => Ok(Some(*b)),
            Some((name, value)) => Err(wrong(&name, "true or false", &say(value))),
        }
    }
    /// A text, where stated.
    ///
    /// # Errors
    /// It is stated as something else.
    pub fn text(&self, key: Key) -> Result<Option<&'a str>> {
        match self.find(key) {
            None => Ok(None),
            Some((_, MetaValue::String(text))) => Ok(Some(text)),
            Some((name, value)) => Err(wrong(&name, "a text", &say(value))),
        }
    }
    /// A list of numbers above zero, where stated.
    ///
    /// # Errors
    /// It is stated as something else.
    pub fn list(&self, key: Key) -> Result<Option<Vec<f32>>> {
        let Some((name, value)) = self.find(key) else { return Ok(None) };
        let items = match value {
            MetaValue::Array(a) if a.head.len() as u64 == a.len => {
                a.head.iter().map(|v| v.number().map(|n| n as f32)).collect::<Option<Vec<f32>>>()
            }
            _ => None,
        };
        match items.filter(|items| items.iter().all(|n| n.is_finite() && *n > 0.0)) {
            Some(items) => Ok(Some(items)),
            None => Err(wrong(&name, "a list of numbers above zero", &say(value))),
        }
    }
    /// Two numbers between which something is kept, where stated and some are kept out; an infinite one is none.
    ///
    /// # Errors
    /// It is stated as something else.
    pub fn limits(&self, key: Key) -> Result<Option<(f32, f32)>> {
        let Some((name, value)) = self.find(key) else { return Ok(None) };
        let array = if let MetaValue::Array(array) = value { Some(array) } else { None };
        match array.map(|a| (a.len, a.head.as_slice())) {
            Some((2, [low, high])) => {
                let (low, high) = (low.number().unwrap_or(0.0), high.number().unwrap_or(f64::INFINITY));
                let none = low <= 0.0 && high == f64::INFINITY;
                Ok((!none).then_some((low as f32, high.min(f64::from(f32::MAX)) as f32)))
            }
            _ => Err(wrong(&name, "two numbers", &say(value))),
        }
    }
    /// The fault of a missing key.
    pub fn missing(&self, key: Key) -> Fault {
        Fault::unsupported(format!("the metadata has no {}", self.spelling(key)))
    }
}

/// What keys of a config.json start with.
pub(super) const CONFIG: &str = "config.";
/// What keys of the text model within start with.
pub(super) const TEXT: &str = "config.text_config.";

/// An array's item for a layer.
pub(super) fn item(array: &MetaArray, layer: u32) -> Option<&MetaValue> {
    array.head.get(layer as usize)
}

/// A value for a message, shortened.
pub(super) fn say(value: &MetaValue) -> String {
    match value {
        MetaValue::Unsigned(n, _) => n.to_string(),
        MetaValue::Signed(n, _) => n.to_string(),
        MetaValue::Float(n, _) => n.to_string(),
        MetaValue::Bool(b) => b.to_string(),
        MetaValue::String(s) => format!("{:?}", s.chars().take(40).collect::<String>()),
        MetaValue::Array(a) => format!("an array of {}", a.len),
    }
}

/// The fault of a value that is not what it must be.
pub(super) fn wrong(key: &str, wanted: &str, found: &str) -> Fault {
    Fault::new(Blame::File, format!("{key}: {wanted} expected, {found} found"))
}
