//! What a folder's config.json says, in the spellings that llama.cpp's converter reads.

use crate::{
    arch::Numbers,
    fault::{Blame, Fault, Result},
    model::{MetaValue, Metadata},
};

/// The configuration, as the reader took it in: below "config.", the text model's part first.
pub(super) struct Config<'a> {
    meta: &'a Metadata,
    prefixes: Vec<String>,
}

impl<'a> Config<'a> {
    /// That of a folder.
    pub(super) fn of(numbers: &Numbers<'a>) -> Self {
        let meta = &numbers.model().metadata;
        let text = ["text_config", "llm_config", "lm_config", "language_config"];
        let nested =
            text.iter().map(|t| format!("config.{t}.")).find(|p| meta.iter().any(|(k, _)| k.starts_with(p.as_str())));
        Self { meta, prefixes: nested.into_iter().chain(["config.".to_owned()]).collect() }
    }
    /// The first of these keys that is stated.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&'a MetaValue> {
        keys.iter().find_map(|key| self.prefixes.iter().find_map(|p| self.meta.get(&format!("{p}{key}"))))
    }
    /// A whole number.
    pub(super) fn whole(&self, keys: &[&str]) -> Option<u64> {
        self.get(keys)?.unsigned()
    }
    /// A whole number that must be stated.
    pub(super) fn need(&self, keys: &[&str]) -> Result<u64> {
        self.whole(keys).ok_or_else(|| missing(keys))
    }
    /// A number.
    pub(super) fn real(&self, keys: &[&str]) -> Option<f64> {
        self.get(keys)?.number()
    }
    /// A text.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        match self.get(keys)? {
            MetaValue::String(text) => Some(text),
            _ => None,
        }
    }
    /// True or false.
    pub(super) fn flag(&self, keys: &[&str]) -> Option<bool> {
        match self.get(keys)? {
            MetaValue::Bool(b) => Some(*b),
            _ => None,
        }
    }
    /// All items of a list.
    pub(super) fn list(&self, keys: &[&str]) -> Option<&'a [MetaValue]> {
        match self.get(keys)? {
            MetaValue::Array(array) if array.head.len() as u64 == array.len => Some(&array.head),
            _ => None,
        }
    }
    /// For each layer whether it is of this kind.
    pub(super) fn layers_of_kind(&self, kind: &str) -> Option<Vec<bool>> {
        let is = |v: &MetaValue| matches!(v, MetaValue::String(text) if text == kind);
        Some(self.list(&["layer_types"])?.iter().map(is).collect())
    }
    /// A setting of the rotary embedding, of full layers where kinds differ.
    pub(super) fn rope(&self, key: &str) -> Option<&'a MetaValue> {
        let places =
            ["rope_parameters.full_attention", "rope_scaling.full_attention", "rope_parameters", "rope_scaling"];
        places.iter().find_map(|place| self.get(&[&format!("{place}.{key}")]))
    }
    /// The same as a number.
    pub(super) fn rope_real(&self, key: &str) -> Option<f64> {
        self.rope(key)?.number()
    }
    /// The kind of rotary scaling: "default", "linear", "llama3".
    pub(super) fn rope_kind(&self) -> Option<&'a str> {
        ["rope_type", "type"].iter().find_map(|key| match self.rope(key)? {
            MetaValue::String(text) => Some(text.as_str()),
            _ => None,
        })
    }
    /// A list of the rotary embedding's settings.
    pub(super) fn rope_list(&self, key: &str) -> Option<Vec<f64>> {
        match self.rope(key)? {
            MetaValue::Array(array) if array.head.len() as u64 == array.len => {
                array.head.iter().map(MetaValue::number).collect()
            }
            _ => None,
        }
    }
    /// The base of the frequencies.
    pub(super) fn rope_base(&self) -> Option<f64> {
        let spelt = ["global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base"];
        self.rope_real("rope_theta").or_else(|| self.real(&spelt))
    }
    /// The base in layers with a window, where it is another.
    pub(super) fn rope_base_local(&self) -> Option<f64> {
        let spelt = [
            "rope_parameters.sliding_attention.rope_theta",
            "local_rope_theta",
            "rope_local_theta",
            "rope_theta_local",
            "swa_rope_theta",
            "rope_local_base_freq",
        ];
        self.real(&spelt)
    }
    /// Which part of a head is rotated, where it is stated.
    pub(super) fn rotary_part(&self) -> Option<f64> {
        self.rope_real("partial_rotary_factor")
            .or_else(|| self.real(&["partial_rotary_factor", "rope_pct", "rope_percent", "rotary_pct"]))
    }
}

/// The fault of a configuration that leaves something out.
pub(super) fn missing(keys: &[&str]) -> Fault {
    Fault::new(Blame::File, format!("config.json has no {}", keys.first().copied().unwrap_or("such key")))
        .in_file("config.json")
}
