//! The hyper-parameters of a GGUF file, under the keys and in the order in which llama.cpp's converter writes them.

use super::config::Config;
use crate::{
    arch::{Key, Numbers},
    convert::gguf::Header,
    fault::{Fault, Result},
    model::{MetaArray, MetaType, MetaValue, Metadata},
};

/// What is written so far, and what it is written from.
pub(super) struct Settings<'a> {
    pub(super) config: Config<'a>,
    pub(super) numbers: &'a Numbers<'a>,
    /// `general.architecture`.
    pub(super) architecture: &'a str,
    /// llama.cpp's number of the file type.
    pub(super) file_type: u32,
    pub(super) header: Header,
    /// The same entries, to be held against the architecture.
    pub(super) meta: Vec<(String, MetaValue)>,
}

impl<'a> Settings<'a> {
    /// None yet but the architecture.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn new(numbers: &'a Numbers<'a>, architecture: &'a str, file_type: u32) -> Result<Self> {
        let header = Header { alignment: crate::convert::gguf::ALIGNMENT, ..Header::default() };
        let config = Config::of(numbers);
        let mut new = Self { config, numbers, architecture, file_type, header, meta: Vec::new() };
        new.text("general.architecture", architecture)?;
        Ok(new)
    }
    /// Sets a key: in its place where it is there, else at the end.
    pub(super) fn put(&mut self, key: &str, value: MetaValue) -> Result<()> {
        // "general.x" and "tokenizer.x" stand by themselves; all else is below the architecture.
        let general = ["general.", "tokenizer."].iter().any(|p| key.starts_with(p));
        let key = if general { key.to_owned() } else { format!("{}.{key}", self.architecture) };
        let named = |fault: Fault| Fault::unsupported(format!("{key}: {}", fault.what));
        self.header.set(&key, &value).map_err(named)?;
        match self.meta.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.meta.push((key, value)),
        }
        Ok(())
    }
    /// The entries as a model's metadata.
    pub(super) fn metadata(&self) -> Metadata {
        let mut all = Metadata::default();
        self.meta.iter().for_each(|(key, value)| all.push(key.clone(), value.clone()));
        all
    }
    pub(super) fn u32(&mut self, key: &str, n: u64) -> Result<()> {
        self.put(key, MetaValue::Unsigned(n, MetaType::U32))
    }
    pub(super) fn f32(&mut self, key: &str, x: f64) -> Result<()> {
        self.put(key, MetaValue::Float(x, MetaType::F32))
    }
    pub(super) fn flag(&mut self, key: &str, b: bool) -> Result<()> {
        self.put(key, MetaValue::Bool(b))
    }
    pub(super) fn text(&mut self, key: &str, text: &str) -> Result<()> {
        self.put(key, MetaValue::String(text.to_owned()))
    }
    pub(super) fn list(&mut self, key: &str, item: MetaType, head: Vec<MetaValue>) -> Result<()> {
        self.put(key, MetaValue::Array(MetaArray { item, len: head.len() as u64, head, place: None }))
    }
    pub(super) fn flags(&mut self, key: &str, all: &[bool]) -> Result<()> {
        self.list(key, MetaType::Bool, all.iter().map(|b| MetaValue::Bool(*b)).collect())
    }
    pub(super) fn i32s(&mut self, key: &str, all: &[i64]) -> Result<()> {
        self.list(key, MetaType::I32, all.iter().map(|n| MetaValue::Signed(*n, MetaType::I32)).collect())
    }
    pub(super) fn f32s(&mut self, key: &str, all: &[f64]) -> Result<()> {
        self.list(key, MetaType::F32, all.iter().map(|x| MetaValue::Float(*x, MetaType::F32)).collect())
    }
    /// A whole number by the spellings of config.json, where one is stated.
    pub(super) fn whole(&mut self, key: &str, spelt: &[&str]) -> Result<()> {
        self.config.whole(spelt).map_or(Ok(()), |n| self.u32(key, n))
    }
    /// A number, where one is stated.
    pub(super) fn real(&mut self, key: &str, spelt: &[&str]) -> Result<()> {
        self.config.real(spelt).map_or(Ok(()), |x| self.f32(key, x))
    }
    /// A number of the architecture's table, stated or following from others.
    pub(super) fn known(&self, key: Key) -> Result<u64> {
        self.numbers.at(key, 0).ok_or_else(|| self.numbers.missing(key))
    }
    /// The width of a head of keys.
    pub(super) fn head_dim(&self) -> Result<u64> {
        self.known(Key::HeadDim)
    }
    pub(super) fn file_type(&mut self) -> Result<()> {
        self.put("general.file_type", MetaValue::Unsigned(self.file_type.into(), MetaType::U32))
    }
    /// What most architectures have.
    ///
    /// # Errors
    /// Something that it cannot do without is missing.
    pub(super) fn base(&mut self) -> Result<()> {
        self.u32("block_count", self.known(Key::Layers)?)?;
        let context = [
            "max_position_embeddings",
            "n_ctx",
            "n_positions",
            "max_length",
            "max_sequence_length",
            "model_max_length",
        ];
        self.whole("context_length", &context)?;
        self.whole("embedding_length", &["hidden_size", "n_embd", "dim"])?;
        let ffn =
            ["prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner", "hidden_dim"];
        match self.config.list(&ffn) {
            Some(list) => {
                let list = list.iter().filter_map(|v| v.unsigned().map(|n| n as i64)).collect::<Vec<_>>();
                self.i32s("feed_forward_length", &list)?;
            }
            None => self.whole("feed_forward_length", &ffn)?,
        }
        self.whole("attention.head_count", &["num_attention_heads", "n_head", "n_heads"])?;
        self.whole("attention.head_count_kv", &["num_key_value_heads", "n_kv_heads"])?;
        if self.config.flag(&["is_causal"]) == Some(false) {
            self.flag("attention.causal", false)?;
        }
        self.rope()?;
        self.real("attention.layer_norm_rms_epsilon", &["rms_norm_eps", "norm_eps"])?;
        // ModernBERT's one key is both.
        let eps = ["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"];
        self.real("attention.layer_norm_epsilon", &eps[..if self.architecture == "modern-bert" { 4 } else { 3 }])?;
        self.whole("expert_count", &["num_local_experts", "num_experts", "n_routed_experts"])?;
        self.whole("expert_used_count", &["num_experts_per_tok", "num_experts_per_token", "top_k_experts"])?;
        self.whole("expert_group_count", &["n_group"])?;
        self.whole("expert_group_used_count", &["topk_group"])?;
        self.gating()?;
        if let Some(n) = self.stated_head_dim() {
            self.u32("attention.key_length", n)?;
            self.u32("attention.value_length", n)?;
        }
        self.file_type()
    }
    /// The width of a head, where the configuration or its class in transformers states one.
    fn stated_head_dim(&self) -> Option<u64> {
        let of_class = ["llama", "mistral", "cohere2", "nemotron"];
        let computed = || of_class.contains(&self.numbers.name()).then(|| self.numbers.get(Key::HeadDim)).flatten();
        // Granite's forward pass knows none.
        let ignored = self.architecture.starts_with("granite");
        self.config.whole(&["head_dim"]).or_else(computed).filter(|_| !ignored)
    }
    fn gating(&mut self) -> Result<()> {
        let spelt = [
            "score_function",
            "scoring_func",
            "score_func",
            "moe_router_activation",
            "moe_router_activation_func",
            "expert_selection_fn",
        ];
        let number = match self.config.text(&spelt) {
            None => return Ok(()),
            Some("softmax") => 1,
            Some("sigmoid") => 2,
            Some("sqrtsoftplus") => 4,
            Some(other) => {
                return Err(Fault::unsupported(format!("experts chosen by {other:?} have no number in GGUF")));
            }
        };
        self.u32("expert_gating_func", number)
    }
    /// Scaling and bases of the rotary embedding.
    fn rope(&mut self) -> Result<()> {
        let factor = self.config.rope_real("factor");
        match (self.config.rope_kind(), factor) {
            (Some("linear"), Some(factor)) => {
                self.text("rope.scaling.type", "linear")?;
                self.f32("rope.scaling.factor", factor)?;
            }
            (Some("yarn"), Some(factor)) => self.yarn(factor)?,
            (Some("su" | "longrope"), _) => self.text("rope.scaling.type", "longrope")?,
            _ => {}
        }
        if let Some(sections) = self.config.rope_list("mrope_section") {
            let sections = sections.iter().map(|n| *n as i64).chain([0; 4]).take(4).collect::<Vec<_>>();
            self.i32s("rope.dimension_sections", &sections)?;
        }
        let rotary = self.numbers.architecture().is_some_and(|a| a.rotary);
        if let Some(base) = self.config.rope_base().or(rotary.then(|| usual_base(self.numbers.name()))) {
            self.f32("rope.freq_base", base)?;
        }
        self.config.rope_base_local().map_or(Ok(()), |base| self.f32("rope.freq_base_swa", base))
    }
    fn yarn(&mut self, factor: f64) -> Result<()> {
        self.text("rope.scaling.type", "yarn")?;
        self.f32("rope.scaling.factor", factor)?;
        let original = self.config.rope("original_max_position_embeddings").and_then(MetaValue::unsigned);
        let original = original.or_else(|| self.config.whole(&["original_max_position_embeddings"]));
        let original =
            original.ok_or_else(|| super::config::missing(&["rope_parameters.original_max_position_embeddings"]))?;
        self.u32("rope.scaling.original_context_length", original)?;
        for (key, spelt) in [
            ("rope.scaling.yarn_ext_factor", &["extrapolation_factor"][..]),
            ("rope.scaling.yarn_attn_factor", &["attention_factor", "attn_factor"]),
            ("rope.scaling.yarn_beta_fast", &["beta_fast"]),
            ("rope.scaling.yarn_beta_slow", &["beta_slow"]),
        ] {
            if let Some(x) = spelt.iter().find_map(|s| self.config.rope_real(s)) {
                self.f32(key, x)?;
            }
        }
        Ok(())
    }
}

/// The base of rotary frequencies where a configuration states none: that of its class in transformers.
fn usual_base(model_type: &str) -> f64 {
    match model_type {
        "mixtral" | "gemma3_text" | "gemma3" | "lfm2" => 1e6,
        "smollm3" => 2e6,
        "cohere" | "ernie4_5" | "ernie4_5_moe" => 5e5,
        "gpt_oss" => 1.5e5,
        _ => 1e4,
    }
}
