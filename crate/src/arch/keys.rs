//! Hyper-parameters: one row each with its keys in GGUF metadata and in config.json, its default, and words for people.
//!
//! Sources: llama.cpp `src/llama-arch.cpp` (LLM_KV_NAMES), transformers `configuration_*.py` (attribute_map holds the
//! old spellings) and `modeling_rope_utils.py`.

mod table;

pub use table::KEYS;

/// A hyper-parameter: what [`KEYS`] has a row for, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum Key {
    Layers,
    HiddenSize,
    IntermediateSize,
    Heads,
    KvHeads,
    HeadDim,
    ValueDim,
    Experts,
    ExpertsUsed,
    ExpertSize,
    SharedExpertSize,
    SharedExperts,
    Gating,
    ExpertGroups,
    ExpertGroupsUsed,
    NormalisedWeights,
    WeightScale,
    SwigluLimit,
    SwigluAlpha,
    KvRank,
    QRank,
    LatentKeyDim,
    LatentValueDim,
    UnrotatedDim,
    RotatedDim,
    RotatesPairs,
    YarnLogMultiplier,
    Expansion,
    SlopeExponent,
    PredictingLayers,
    ClampedQkv,
    Context,
    RopeDims,
    VocabSize,
    TokenTypes,
    RmsEps,
    LayerNormEps,
    Activation,
    RopeBase,
    RopeBaseLocal,
    RotaryPart,
    ScalingType,
    ScalingFactor,
    OriginalContext,
    LowFreqFactor,
    HighFreqFactor,
    BetaFast,
    BetaSlow,
    AttentionFactor,
    Mscale,
    MscaleAllDim,
    Truncate,
    ShortFactors,
    LongFactors,
    ShortMscale,
    LongMscale,
    Window,
    WindowPattern,
    UseWindow,
    FirstWindowLayer,
    LayerTypes,
    ScoreScale,
    QueryScalar,
    ScoreCap,
    LogitCap,
    ParallelResidual,
    Causal,
    Bidirectional,
    TiedHead,
    PadToken,
    PerLayerInput,
    PerLayerVocab,
    SharedKvLayers,
    KeysAreValues,
    DoubleWide,
    AltupInputs,
    AltupActive,
    AltupScaled,
    LaurelRank,
    Sparsity,
    RelativeBuckets,
    RelativeDistance,
    FeedForward,
    EmbeddingScale,
    ResidualScale,
    LogitScale,
    RotatedLayers,
    UnrotatedInterval,
    RopeAlpha,
    SsmInner,
    SsmSize,
    SsmHeads,
    SsmHeadDim,
    SsmGroups,
    SsmRank,
    SsmExpand,
    StepLimit,
    ScanNorms,
    ScanEps,
    AdjustFfn,
    FfnMultiple,
    FfnFactor,
    RopeFinetuned,
    PositionKind,
    ConvKernel,
}

/// What holds where a model states nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// The model cannot be run without it.
    Required,
    /// A GGUF file must state it; for config.json transformers has this number.
    InConfig(f64),
    /// This number.
    Number(f64),
    /// It follows from others, or its absence means "none".
    Derived,
}

/// All that is known of a hyper-parameter.
#[derive(Debug)]
pub struct KeyRow {
    /// Which.
    pub key: Key,
    /// Keys of GGUF files, below the architecture's name.
    pub gguf: &'static [&'static str],
    /// Keys of config.json, the usual one first; dots lead into objects.
    pub config: &'static [&'static str],
    /// What holds where neither is stated.
    pub default: Default,
    /// A few words for people; empty where reports do not list it.
    pub label: &'static str,
    /// One sentence for people; empty where the key says it all.
    pub about: &'static str,
}

impl Key {
    /// The row of the table.
    pub fn row(self) -> &'static KeyRow {
        &KEYS[self as usize]
    }
    /// The key of GGUF files, with the architecture's name before it: "llama.block_count".
    pub fn gguf(self, architecture: &str) -> Option<String> {
        self.row().gguf.first().map(|key| format!("{architecture}.{key}"))
    }
}

/// One sentence on a metadata key: "llama.block_count", "config.num_hidden_layers".
pub fn meaning(key: &str) -> Option<&'static str> {
    let told = |row: &&KeyRow| !row.about.is_empty();
    if let Some(name) = key.strip_prefix("config.") {
        let name = name.strip_prefix("text_config.").unwrap_or(name);
        return KEYS.iter().filter(told).find(|r| r.config.contains(&name)).map(|r| r.about);
    }
    let below = |k: &str| key.strip_suffix(k).is_some_and(|p| p.ends_with('.') && p.len() > 1);
    KEYS.iter().filter(told).find(|r| r.gguf.iter().any(|k| below(k))).map(|r| r.about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_row_at_its_place() {
        for (i, row) in KEYS.iter().enumerate() {
            assert_eq!(row.key as usize, i, "{:?}", row.key);
            assert!(row.label.is_empty() || !row.about.is_empty(), "{:?} has a label and no sentence", row.key);
            assert!(!row.gguf.is_empty() || !row.config.is_empty(), "{:?} has no key at all", row.key);
        }
        assert_eq!(KEYS.len(), Key::ConvKernel as usize + 1);
    }

    #[test]
    fn keys_are_explained_in_both_spellings() {
        for (key, words) in [
            ("llama.embedding_length", "residual stream"),
            ("config.n_embd", "residual stream"),
            ("config.text_config.hidden_size", "residual stream"),
            ("gemma3.attention.head_count_kv", "grouped-query"),
        ] {
            assert!(meaning(key).is_some_and(|m| m.contains(words)), "{key}: {:?}", meaning(key));
        }
        assert_eq!(meaning("config.architectures"), None);
        assert_eq!(meaning("embedding_length"), None);
    }
}
