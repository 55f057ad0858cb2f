//! Hyper-parameters: one row each with its keys in GGUF metadata and in config.json, its default, and words for people.
//!
//! Sources: llama.cpp `src/llama-arch.cpp` (LLM_KV_NAMES), transformers `configuration_*.py` (attribute_map holds the
//! old spellings) and `modeling_rope_utils.py`.

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

const fn row(
    key: Key,
    gguf: &'static [&'static str],
    config: &'static [&'static str],
    default: Default,
    label: &'static str,
    about: &'static str,
) -> KeyRow {
    KeyRow { key, gguf, config, default, label, about }
}

/// Where config.json keeps a setting of the rotary embedding: since 2025, before, and by kind of layer.
macro_rules! rope {
    ($name:literal) => {
        &[
            concat!("rope_scaling.", $name),
            concat!("rope_parameters.", $name),
            concat!("rope_parameters.full_attention.", $name),
        ]
    };
}

use self::Default::{Derived, InConfig, Number, Required};

/// All hyper-parameters; reports list those with a label, in this order.
pub static KEYS: &[KeyRow] = &[
    row(
        Key::Layers,
        &["block_count"],
        &["num_hidden_layers", "n_layer", "n_layers", "num_layers"],
        Required,
        "Layers",
        "Number of transformer blocks.",
    ),
    row(
        Key::HiddenSize,
        &["embedding_length"],
        &["hidden_size", "n_embd", "d_model", "dim", "n_embed"],
        Required,
        "Hidden size",
        "Width of the residual stream.",
    ),
    row(
        Key::IntermediateSize,
        &["feed_forward_length"],
        &["intermediate_size", "n_inner", "ffn_hidden_size", "d_ff", "ffn_dim", "hidden_dim", "block_ff_dim"],
        Required,
        "FFN size",
        "Width of the feed-forward layer.",
    ),
    row(
        Key::Heads,
        &["attention.head_count"],
        &["num_attention_heads", "n_head", "n_heads", "num_heads"],
        Required,
        "Attention heads",
        "Query heads per layer.",
    ),
    row(
        Key::KvHeads,
        &["attention.head_count_kv"],
        &["num_key_value_heads", "num_kv_heads", "n_head_kv", "attn_config.kv_n_heads"],
        Derived,
        "Key/value heads",
        "Key and value heads per layer; fewer than query heads means grouped-query attention.",
    ),
    row(
        Key::HeadDim,
        &["attention.key_length"],
        &["head_dim", "d_kv"],
        Derived,
        "Head dimension",
        "Width of a key head.",
    ),
    row(Key::ValueDim, &["attention.value_length"], &["v_head_dim"], Derived, "", "Width of a value head."),
    row(
        Key::Experts,
        &["expert_count"],
        &["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"],
        Derived,
        "Experts",
        "Experts per mixture layer.",
    ),
    row(
        Key::ExpertsUsed,
        &["expert_used_count"],
        &["num_experts_per_tok", "top_k_experts", "moe_k", "moe_topk"],
        Derived,
        "Experts used per token",
        "Experts used for each token.",
    ),
    row(
        Key::ExpertSize,
        &["expert_feed_forward_length"],
        &["moe_intermediate_size"],
        Derived,
        "",
        "Width of an expert's feed-forward layer.",
    ),
    row(
        Key::SharedExpertSize,
        &["expert_shared_feed_forward_length"],
        &["shared_expert_intermediate_size", "shared_intermediate_size"],
        Derived,
        "",
        "Width of the feed-forward layer that all tokens share beside the experts.",
    ),
    row(
        Key::SharedExperts,
        &["expert_shared_count"],
        &["n_shared_experts", "num_shared_experts", "moe_num_shared_experts"],
        Derived,
        "",
        "Experts that all tokens share: one feed-forward layer of so many experts' width.",
    ),
    row(
        Key::Gating,
        &["expert_gating_func"],
        &["scoring_func"],
        Derived,
        "",
        "How scores of experts become weights: in GGUF files 1 for softmax, 2 for sigmoid, 3 for softmax of the chosen.",
    ),
    row(
        Key::ExpertGroups,
        &["expert_group_count"],
        &["n_group"],
        Derived,
        "",
        "Groups of experts; the best groups are chosen before the best experts.",
    ),
    row(
        Key::ExpertGroupsUsed,
        &["expert_group_used_count"],
        &["topk_group"],
        Derived,
        "",
        "Groups of experts used for each token.",
    ),
    row(
        Key::NormalisedWeights,
        &["expert_weights_norm"],
        &["norm_topk_prob", "moe_norm_topk_prob"],
        Derived,
        "",
        "Whether the chosen experts' weights are divided by their sum.",
    ),
    row(
        Key::WeightScale,
        &["expert_weights_scale"],
        &["routed_scaling_factor"],
        Derived,
        "",
        "Multiplies the experts' weights.",
    ),
    row(
        Key::SwigluLimit,
        &[],
        &["swiglu_limit"],
        Derived,
        "",
        "Values between the maps of an expert are kept below this.",
    ),
    row(Key::SwigluAlpha, &[], &["swiglu_alpha"], Derived, "", ""),
    row(
        Key::KvRank,
        &["attention.kv_lora_rank"],
        &["kv_lora_rank"],
        Derived,
        "",
        "Width of the row from which keys and values are made (latent attention).",
    ),
    row(
        Key::QRank,
        &["attention.q_lora_rank"],
        &["q_lora_rank"],
        Derived,
        "",
        "Width of the row from which queries are made.",
    ),
    row(
        Key::LatentKeyDim,
        &["attention.key_length_mla"],
        &["qk_head_dim"],
        Derived,
        "",
        "Width of a key head that is made from a latent row.",
    ),
    row(
        Key::LatentValueDim,
        &["attention.value_length_mla"],
        &["v_head_dim"],
        Derived,
        "",
        "Width of a value head that is made from a latent row.",
    ),
    row(
        Key::UnrotatedDim,
        &[],
        &["qk_nope_head_dim"],
        Derived,
        "",
        "Dimensions of a key head that are not rotated by position.",
    ),
    row(Key::RotatedDim, &["rope.dimension_count"], &["qk_rope_head_dim"], Derived, "", ""),
    row(Key::RotatesPairs, &[], &["rope_interleave"], Derived, "", ""),
    row(Key::YarnLogMultiplier, &["rope.scaling.yarn_log_multiplier"], &[], Derived, "", ""),
    row(
        Key::Expansion,
        &[],
        &["expansion_ratio"],
        Derived,
        "",
        "The feed-forward layer's width in widths of the residual stream.",
    ),
    row(
        Key::SlopeExponent,
        &["attention.max_alibi_bias"],
        &["attn_config.alibi_bias_max"],
        Derived,
        "",
        "The largest exponent of the slopes by which scores fall with distance (ALiBi).",
    ),
    row(
        Key::PredictingLayers,
        &["nextn_predict_layers"],
        &["num_nextn_predict_layers"],
        Derived,
        "",
        "Layers behind the last that predict further tokens.",
    ),
    row(
        Key::ClampedQkv,
        &["attention.clamp_kqv"],
        &["attn_config.clip_qkv", "clip_qkv"],
        Derived,
        "",
        "Queries, keys and values are kept within plus and minus this.",
    ),
    row(
        Key::Context,
        &["context_length"],
        &["max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "seq_length"],
        Required,
        "Context",
        "The longest sequence the model was made for, in tokens.",
    ),
    row(
        Key::RopeDims,
        &["rope.dimension_count"],
        &["rotary_dim"],
        Derived,
        "RoPE dimensions",
        "How many dimensions of a head are rotated by position.",
    ),
    row(Key::VocabSize, &["vocab_size"], &["vocab_size", "n_vocab"], Derived, "Vocabulary", "Number of token ids."),
    row(Key::TokenTypes, &[], &["type_vocab_size"], Derived, "", "Kinds of tokens (BERT's segments)."),
    row(
        Key::RmsEps,
        &["attention.layer_norm_rms_epsilon"],
        &["rms_norm_eps", "norm_eps"],
        InConfig(1e-6),
        "",
        "Added under the root of RMSNorm to avoid division by zero.",
    ),
    row(
        Key::LayerNormEps,
        &["attention.layer_norm_epsilon"],
        &["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"],
        InConfig(1e-5),
        "",
        "Added under the root of LayerNorm to avoid division by zero.",
    ),
    row(
        Key::Activation,
        &["hidden_activation"],
        &["hidden_activation", "hidden_act", "activation_function", "activation", "mlp_hidden_act"],
        Derived,
        "",
        "The function between the two maps of the feed-forward layer.",
    ),
    row(
        Key::RopeBase,
        &["rope.freq_base"],
        &[
            "rope_theta",
            "rope_parameters.rope_theta",
            "rope_parameters.full_attention.rope_theta",
            "rotary_emb_base",
            "global_rope_theta",
        ],
        Number(10000.0),
        "RoPE base",
        "Base of the rotary position frequencies; larger reaches further.",
    ),
    row(
        Key::RopeBaseLocal,
        &["rope.freq_base_swa"],
        &["rope_local_base_freq", "rope_parameters.sliding_attention.rope_theta", "local_rope_theta"],
        Number(10000.0),
        "",
        "Base of the rotary position frequencies in layers with a window.",
    ),
    row(
        Key::RotaryPart,
        &[],
        &[
            "partial_rotary_factor",
            "rope_parameters.partial_rotary_factor",
            "rope_parameters.full_attention.partial_rotary_factor",
            "rotary_pct",
        ],
        Derived,
        "",
        "Which part of a head is rotated by position.",
    ),
    row(
        Key::ScalingType,
        &["rope.scaling.type"],
        &[
            "rope_scaling.rope_type",
            "rope_scaling.type",
            "rope_parameters.rope_type",
            "rope_parameters.full_attention.rope_type",
        ],
        Derived,
        "",
        "How positions are stretched beyond the trained context.",
    ),
    row(
        Key::ScalingFactor,
        &["rope.scaling.factor", "rope.scale_linear"],
        rope!("factor"),
        Derived,
        "",
        "By how much positions are stretched.",
    ),
    row(
        Key::OriginalContext,
        &["rope.scaling.original_context_length"],
        &[
            "rope_scaling.original_max_position_embeddings",
            "rope_parameters.original_max_position_embeddings",
            "rope_parameters.full_attention.original_max_position_embeddings",
            "original_max_position_embeddings",
        ],
        Derived,
        "",
        "The context the model was trained with before positions were stretched.",
    ),
    row(Key::LowFreqFactor, &[], rope!("low_freq_factor"), Derived, "", ""),
    row(Key::HighFreqFactor, &[], rope!("high_freq_factor"), Derived, "", ""),
    row(Key::BetaFast, &["rope.scaling.yarn_beta_fast"], rope!("beta_fast"), Number(32.0), "", ""),
    row(Key::BetaSlow, &["rope.scaling.yarn_beta_slow"], rope!("beta_slow"), Number(1.0), "", ""),
    row(Key::AttentionFactor, &["rope.scaling.attn_factor"], rope!("attention_factor"), Derived, "", ""),
    row(Key::Mscale, &[], rope!("mscale"), Derived, "", ""),
    row(Key::MscaleAllDim, &[], rope!("mscale_all_dim"), Derived, "", ""),
    row(Key::Truncate, &[], rope!("truncate"), Number(1.0), "", ""),
    row(Key::ShortFactors, &[], rope!("short_factor"), Derived, "", ""),
    row(Key::LongFactors, &[], rope!("long_factor"), Derived, "", ""),
    row(Key::ShortMscale, &[], rope!("short_mscale"), Derived, "", ""),
    row(Key::LongMscale, &[], rope!("long_mscale"), Derived, "", ""),
    row(
        Key::Window,
        &["attention.sliding_window"],
        &["sliding_window", "local_attention"],
        Derived,
        "",
        "How many past tokens a layer sees; full layers see all.",
    ),
    row(
        Key::WindowPattern,
        &["attention.sliding_window_pattern"],
        &["sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers"],
        Derived,
        "",
        "Which layers have a window: one value a layer, or every how many layers one has none.",
    ),
    row(Key::UseWindow, &[], &["use_sliding_window"], Derived, "", ""),
    row(Key::FirstWindowLayer, &[], &["max_window_layers"], Derived, "", ""),
    row(Key::LayerTypes, &[], &["layer_types"], Derived, "", "What each layer is."),
    row(
        Key::ScoreScale,
        &["attention.scale"],
        &["attention_multiplier"],
        Derived,
        "",
        "Multiplies attention scores, instead of one over the root of the head's width.",
    ),
    row(Key::QueryScalar, &[], &["query_pre_attn_scalar"], Derived, "", "Attention scores are divided by its root."),
    row(
        Key::ScoreCap,
        &["attn_logit_softcapping"],
        &["attn_logit_softcapping"],
        Derived,
        "",
        "Attention scores are kept below this by tanh.",
    ),
    row(
        Key::LogitCap,
        &["final_logit_softcapping"],
        &["final_logit_softcapping"],
        Derived,
        "",
        "Logits are kept below this by tanh.",
    ),
    row(
        Key::ParallelResidual,
        &["use_parallel_residual"],
        &["use_parallel_residual", "parallel_attn"],
        Number(1.0),
        "",
        "Attention and feed-forward layer read the same input and are added together.",
    ),
    row(Key::Causal, &["attention.causal"], &[], Derived, "", "Whether a token sees only what came before it."),
    row(
        Key::Bidirectional,
        &[],
        &["use_bidirectional_attention"],
        Derived,
        "",
        "Whether a token sees what comes after it.",
    ),
    row(
        Key::TiedHead,
        &[],
        &["tie_word_embeddings"],
        Derived,
        "",
        "Whether the output head shares the embedding's weights.",
    ),
    row(Key::PadToken, &[], &["pad_token_id"], Derived, "", ""),
    row(Key::PerLayerInput, &["embedding_length_per_layer_input"], &["hidden_size_per_layer_input"], Derived, "", ""),
    row(
        Key::PerLayerVocab,
        &[],
        &["vocab_size_per_layer_input"],
        Derived,
        "",
        "Number of token ids that have an embedding of their own for each layer.",
    ),
    row(
        Key::SharedKvLayers,
        &["attention.shared_kv_layers"],
        &["num_kv_shared_layers"],
        Derived,
        "",
        "How many of the last layers look at keys and values of an earlier one.",
    ),
    row(
        Key::KeysAreValues,
        &[],
        &["attention_k_eq_v"],
        Derived,
        "",
        "Whether full layers use what they project for keys as values too.",
    ),
    row(
        Key::DoubleWide,
        &[],
        &["use_double_wide_mlp"],
        Derived,
        "",
        "Whether layers without keys of their own have a feed-forward layer of twice the width.",
    ),
    row(
        Key::AltupInputs,
        &["altup.num_inputs"],
        &["altup_num_inputs"],
        Derived,
        "",
        "How many residual streams there are side by side.",
    ),
    row(
        Key::AltupActive,
        &["altup.active_idx"],
        &["altup_active_idx"],
        Derived,
        "",
        "Which of the residual streams side by side the layers work on.",
    ),
    row(Key::AltupScaled, &[], &["altup_correct_scale"], Derived, "", ""),
    row(Key::LaurelRank, &[], &["laurel_rank"], Derived, "", "Rank of the learned map beside each layer's residual."),
    row(
        Key::Sparsity,
        &["activation_sparsity_scale"],
        &["activation_sparsity_pattern"],
        Derived,
        "",
        "Which part of the feed-forward gate is set to zero, by layer; in GGUF files as standard deviations above the mean.",
    ),
    row(
        Key::RelativeBuckets,
        &["attention.relative_buckets_count"],
        &["relative_attention_num_buckets"],
        Derived,
        "",
        "How many biases for distances between two tokens there are.",
    ),
    row(
        Key::RelativeDistance,
        &[],
        &["relative_attention_max_distance"],
        Derived,
        "",
        "From which distance on all have one bias.",
    ),
    row(Key::FeedForward, &[], &["feed_forward_proj"], Derived, "", "The kind of feed-forward layer."),
    row(Key::EmbeddingScale, &["embedding_scale"], &["embedding_multiplier"], Derived, "", "Multiplies embeddings."),
    row(
        Key::ResidualScale,
        &["residual_scale"],
        &["residual_multiplier"],
        Derived,
        "",
        "Multiplies what attention and feed-forward layer add to the residual stream.",
    ),
    row(
        Key::LogitScale,
        &["logit_scale"],
        &["logit_scale", "logits_scaling"],
        Derived,
        "",
        "Multiplies logits; of Granite's it is the divisor.",
    ),
    row(
        Key::RotatedLayers,
        &[],
        &["no_rope_layers"],
        Derived,
        "",
        "Which layers rotate queries and keys: 1 for those that do, 0 for those that do not.",
    ),
    row(
        Key::UnrotatedInterval,
        &[],
        &["no_rope_layer_interval"],
        Derived,
        "",
        "Every how many layers one does not rotate queries and keys.",
    ),
    row(Key::RopeAlpha, &[], rope!("alpha"), Derived, "", "Enlarges the base of the rotary position frequencies."),
    row(
        Key::SsmInner,
        &["ssm.inner_size"],
        &["mamba_d_ssm"],
        Derived,
        "",
        "Channels of the layers that carry a state from token to token.",
    ),
    row(
        Key::SsmSize,
        &["ssm.state_size"],
        &["state_size", "mamba_d_state", "ssm_state_size", "linear_key_head_dim"],
        Derived,
        "",
        "How many numbers a channel of a recurrent layer remembers.",
    ),
    row(
        Key::SsmHeads,
        &["ssm.time_step_rank"],
        &["mamba_n_heads", "mamba_num_heads", "linear_num_value_heads", "num_heads"],
        Derived,
        "",
        "Heads of the recurrent layers.",
    ),
    row(
        Key::SsmHeadDim,
        &[],
        &["mamba_d_head", "mamba_head_dim", "linear_value_head_dim", "head_dim"],
        Derived,
        "",
        "Width of a head of the recurrent layers.",
    ),
    row(
        Key::SsmGroups,
        &["ssm.group_count"],
        &["mamba_n_groups", "linear_num_key_heads", "n_groups"],
        Derived,
        "",
        "Groups of heads of the recurrent layers that are steered together.",
    ),
    row(Key::SsmRank, &["ssm.time_step_rank"], &["time_step_rank", "mamba_dt_rank"], Derived, "", ""),
    row(Key::SsmExpand, &[], &["expand", "mamba_expand"], Derived, "", ""),
    row(Key::StepLimit, &[], &["time_step_limit"], Derived, "", ""),
    row(Key::ScanNorms, &["ssm.dt_b_c_rms"], &[], Derived, "", ""),
    row(Key::ScanEps, &[], &["mixer_rms_eps"], InConfig(1e-6), "", ""),
    row(Key::AdjustFfn, &[], &["block_auto_adjust_ff_dim"], Derived, "", ""),
    row(Key::FfnMultiple, &[], &["block_multiple_of"], Derived, "", ""),
    row(Key::FfnFactor, &[], &["block_ffn_dim_multiplier"], Derived, "", ""),
    row(Key::RopeFinetuned, &["rope.scaling.finetuned"], &[], Derived, "", ""),
    row(Key::PositionKind, &[], &["position_embedding_type"], Derived, "", ""),
    row(
        Key::ConvKernel,
        &["ssm.conv_kernel", "shortconv.l_cache"],
        &["conv_kernel", "conv_L_cache", "mamba_d_conv", "linear_conv_kernel_dim"],
        Derived,
        "",
        "",
    ),
];

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
