//! Numbers that some layers have apart from the others: Gemma 4's full layers have wider heads, its last layers look at
//! keys and values of earlier ones.
//!
//! Sources: transformers `configuration_gemma4.py`, `configuration_gemma3n.py`; llama.cpp `conversion/gemma.py`.

use super::{Form, Key, MetaValue, Numbers, item};

/// The width of heads of Gemma 4's full layers where its configuration states none.
const WIDE_HEAD: u64 = 512;

impl Numbers<'_> {
    /// Layers (or one layer) that state it apart.
    pub(super) fn special(&self, key: Key, layer: Option<u32>) -> bool {
        match (self.form, layer) {
            (Form::Folder, None) => {
                let ends: Vec<String> = self.spellings(key).iter().map(|n| format!(".{n}")).collect();
                let apart = |k: &str| k.contains(".per_layer_config.") && ends.iter().any(|e| k.ends_with(e.as_str()));
                let wide = key == Key::IntermediateSize && self.is_set(Key::DoubleWide);
                wide || self.in_full_layers(key).is_some() || self.model.metadata.iter().any(|(k, _)| apart(k))
            }
            (Form::Gguf, _) => {
                matches!(key, Key::HeadDim | Key::ValueDim | Key::RopeDims) && self.narrow(key).is_some()
            }
            _ => false,
        }
    }
    /// GGUF's number for layers with a window.
    fn narrow(&self, key: Key) -> Option<u64> {
        let name = format!("{}{}_swa", self.prefixes.first()?, self.spellings(key).first()?);
        self.model.metadata.unsigned(&name)
    }
    fn is_set(&self, key: Key) -> bool {
        matches!(self.find(key), Some((_, MetaValue::Bool(true))))
    }
    /// A number of a folder's configuration, directly or in the text model's part.
    fn in_config(&self, name: &str) -> Option<u64> {
        self.prefixes.iter().find_map(|p| self.model.metadata.unsigned(&format!("{p}{name}")))
    }
    /// What a folder states for full layers alone, where it does not state it layer by layer.
    fn in_full_layers(&self, key: Key) -> Option<u64> {
        let is = |name: &str| self.architecture.is_some_and(|a| a.name == name);
        let by_layer = || self.model.metadata.iter().any(|(k, _)| k.contains(".per_layer_config."));
        if self.form != Form::Folder || !is("gemma4") || by_layer() {
            return None;
        }
        match key {
            Key::HeadDim => Some(self.in_config("global_head_dim").unwrap_or(WIDE_HEAD)),
            Key::KvHeads if self.is_set(Key::KeysAreValues) => self.in_config("num_global_key_value_heads"),
            _ => None,
        }
    }
    /// The kind of a layer, where a folder states it: "sliding_attention".
    fn kind(&self, layer: u32) -> Option<&str> {
        match self.find(Key::LayerTypes)?.1 {
            MetaValue::Array(kinds) => match item(kinds, layer)? {
                MetaValue::String(kind) => Some(kind),
                _ => None,
            },
            _ => None,
        }
    }
    /// True where a layer looks at keys and values that it makes itself.
    pub fn has_own_keys(&self, layer: u32) -> bool {
        let shared = self.stated(Key::SharedKvLayers).unwrap_or(0);
        let layers = self.stated(Key::Layers).unwrap_or(u64::MAX);
        u64::from(layer) < layers.saturating_sub(shared)
    }
    /// True where such a layer has values that are not its keys. GGUF files do not say it: in layers without a window both may be.
    pub fn has_own_values(&self, layer: u32) -> bool {
        let full = match (self.form, self.find(Key::WindowPattern)) {
            (Form::Folder, _) => self.kind(layer) == Some("full_attention") && self.is_set(Key::KeysAreValues),
            (Form::Gguf, Some((_, MetaValue::Array(pattern)))) => item(pattern, layer) == Some(&MetaValue::Bool(false)),
            (Form::Gguf, _) => false,
        };
        self.has_own_keys(layer) && !full
    }
    /// What is stated for one layer.
    pub(in crate::arch) fn stated_at(&self, key: Key, layer: u32) -> Option<u64> {
        if self.form == Form::Folder {
            let apart = self
                .prefixes
                .iter()
                .flat_map(|p| self.spellings(key).iter().map(move |n| format!("{p}per_layer_config.{layer}.{n}")));
            if let Some(n) = apart.into_iter().find_map(|k| self.model.metadata.unsigned(&k)) {
                return Some(n);
            }
            if let Some(n) = self.in_full_layers(key).filter(|_| self.kind(layer) == Some("full_attention")) {
                return Some(n);
            }
        }
        if self.special(key, Some(layer))
            && let Some((_, MetaValue::Array(pattern))) = self.find(Key::WindowPattern)
            && item(pattern, layer) == Some(&MetaValue::Bool(true))
        {
            return self.narrow(key);
        }
        let stated = match self.find(key)?.1 {
            MetaValue::Array(array) => item(array, layer)?.unsigned(),
            value => value.unsigned(),
        }?;
        let double = key == Key::IntermediateSize && self.is_set(Key::DoubleWide) && !self.has_own_keys(layer);
        if double { stated.checked_mul(2) } else { Some(stated) }
    }
}
