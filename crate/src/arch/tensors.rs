//! What each tensor is for: one row for each role with its names in GGUF and in Hugging Face files and its shape.
//!
//! Sources: llama.cpp `gguf-py/gguf/{constants,tensor_mapping}.py`, transformers `modeling_*.py`.

use super::{Form, Key};

/// A dimension of a tensor in terms of hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// One of them.
    Of(Key),
    /// The product of two.
    By(Key, Key),
    /// A multiple.
    Times(u32, Key),
    /// A sum.
    Sum(&'static [Dim]),
    /// What one is more than another.
    Beyond(Key, Key),
    /// One less.
    Less(Key),
    /// A number.
    Exactly(u64),
}
use Dim::{By, Exactly, Less, Of, Sum, Times};

/// Width of the residual stream.
pub(super) const WIDTH: Dim = Of(Key::HiddenSize);
/// Width of the feed-forward layer.
pub(super) const FFN: Dim = Of(Key::IntermediateSize);
/// Token ids.
pub(super) const VOCABULARY: Dim = Of(Key::VocabSize);
/// Width of a row of queries.
pub(super) const QUERIES: Dim = By(Key::Heads, Key::HeadDim);
/// Width of a row of keys.
pub(super) const KEYS: Dim = By(Key::KvHeads, Key::HeadDim);
/// Width of a row of values.
pub(super) const VALUES: Dim = By(Key::KvHeads, Key::ValueDim);
/// Width of what attention gives.
pub(super) const MIXED: Dim = By(Key::Heads, Key::ValueDim);
/// Width of a head of queries or keys.
pub(super) const HEAD: Dim = Of(Key::HeadDim);
/// Width of a row of queries whose keys come from a latent row.
pub(super) const LATENT_QUERIES: Dim = By(Key::Heads, Key::LatentKeyDim);
/// Width of what latent attention gives.
pub(super) const LATENT_MIXED: Dim = By(Key::Heads, Key::LatentValueDim);
/// Number of experts.
pub(super) const EXPERTS: Dim = Of(Key::Experts);
/// Width of an expert.
pub(super) const EXPERT_FFN: Dim = Of(Key::ExpertSize);
/// Width of the expert that all tokens share.
pub(super) const SHARED_FFN: Dim = Of(Key::SharedExpertSize);
/// Residual streams side by side.
const STREAMS: Dim = Of(Key::AltupInputs);
/// A map for each stream but the first.
const OTHER_STREAMS: &[Dim] = &[Less(Key::AltupInputs), WIDTH, WIDTH];

/// Channels of a recurrence.
pub(super) const INNER: Dim = Of(Key::SsmInner);
/// Heads of a recurrence.
pub(super) const SSM_HEADS: Dim = Of(Key::SsmHeads);
/// B or C of all groups, or queries or keys of a delta net.
pub(super) const SSM_SHARED: Dim = By(Key::SsmGroups, Key::SsmSize);
/// What goes through a convolution beside channels.
pub(super) const CONVOLVED: Dim = Sum(&[INNER, SSM_SHARED, SSM_SHARED]);
/// Rows that a convolution looks at.
pub(super) const TAPS: Dim = Of(Key::ConvKernel);

/// What a tensor is for: what [`ROLES`] has a row for, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum Role {
    TokenEmbedding,
    PositionEmbedding,
    TokenTypes,
    EmbeddingNorm,
    OutputNorm,
    Output,
    RopeFactors,
    RopeFactorsLong,
    RopeFactorsShort,
    AttnNorm,
    AttnOwnNorm,
    AttnQ,
    AttnK,
    AttnV,
    AttnQkv,
    AttnOutput,
    QNorm,
    KNorm,
    PostAttnNorm,
    AttnOutputNorm,
    FfnNorm,
    FfnGate,
    FfnUp,
    FfnGateUp,
    FfnDown,
    PostFfnNorm,
    LayerOutputNorm,
    Router,
    RouterBias,
    GateExperts,
    UpExperts,
    GateUpExperts,
    DownExperts,
    GateUpExpertsBias,
    DownExpertsBias,
    GateUpBlocks,
    GateUpScales,
    DownBlocks,
    DownScales,
    SharedGate,
    SharedUp,
    SharedGateUp,
    SharedDown,
    SharedRouter,
    AttnSinks,
    AttnGate,
    RelativeBias,
    QLow,
    QLowNorm,
    QHigh,
    KvLow,
    KvLowNorm,
    KvHigh,
    KHigh,
    VHigh,
    SsmIn,
    SsmConv,
    SsmX,
    SsmDt,
    SsmDtBias,
    SsmDtNorm,
    SsmBNorm,
    SsmCNorm,
    SsmA,
    SsmD,
    SsmNorm,
    SsmOut,
    SsmAlpha,
    SsmBeta,
    SsmBetaAlpha,
    TimeDecay,
    TimeFirst,
    TimeMixK,
    TimeMixV,
    TimeMixR,
    Receptance,
    ChannelMixK,
    ChannelMixR,
    ChannelReceptance,
    ShortConv,
    ShortConvIn,
    ShortConvOut,
    LayerScale,
    PerLayerEmbedding,
    PerLayerProjection,
    PerLayerProjectionNorm,
    PerLayerGate,
    PerLayerOut,
    PerLayerOutNorm,
    AltupProjection,
    AltupUnembedding,
    AltupScale,
    AltupCorrect,
    AltupPredict,
    AltupRouter,
    AltupRouterNorm,
    LaurelLeft,
    LaurelRight,
    LaurelNorm,
}

/// Names and shape of a role.
///
/// `{l}` is the layer, `{e}` an expert (or another list within a layer). `.weight` follows, or `.bias`, or nothing where
/// a tensor of the bare name is there. Names of Hugging Face files are without what [`super::canonical`] takes off.
#[derive(Debug)]
pub struct RoleRow {
    /// Which.
    pub role: Role,
    /// Names in GGUF files; the first that is there counts.
    pub gguf: &'static [&'static str],
    /// Names in Hugging Face files; the first that is there counts.
    pub folder: &'static [&'static str],
    /// Shape, slowest dimension first; empty where it is not checked by this table. Of stacked experts the first
    /// dimension counts the experts; single ones have the others.
    pub shape: &'static [Dim],
}

const fn role(
    role: Role,
    gguf: &'static [&'static str],
    folder: &'static [&'static str],
    shape: &'static [Dim],
) -> RoleRow {
    RoleRow { role, gguf, folder, shape }
}

/// All roles.
pub static ROLES: &[RoleRow] = &[
    role(
        Role::TokenEmbedding,
        &["token_embd"],
        &[
            "embed_tokens",
            "wte",
            "embed_in",
            "word_embeddings",
            "embeddings.word_embeddings",
            "embeddings.tok_embeddings",
            "tok_embeddings",
            "embeddings",
            "shared",
        ],
        &[VOCABULARY, WIDTH],
    ),
    role(
        Role::PositionEmbedding,
        &["position_embd"],
        &["embeddings.position_embeddings", "wpe"],
        &[Of(Key::Context), WIDTH],
    ),
    role(Role::TokenTypes, &["token_types"], &["embeddings.token_type_embeddings"], &[Of(Key::TokenTypes), WIDTH]),
    role(
        Role::EmbeddingNorm,
        &["token_embd_norm"],
        &["embeddings.LayerNorm", "embeddings.norm", "word_embeddings_layernorm", "emb_ln"],
        &[WIDTH],
    ),
    role(
        Role::OutputNorm,
        &["output_norm", "enc.output_norm"],
        &["norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "final_norm", "embedding_norm"],
        &[WIDTH],
    ),
    role(Role::Output, &["output"], &["lm_head", "embed_out"], &[VOCABULARY, WIDTH]),
    role(Role::RopeFactors, &["rope_freqs"], &[], &[]),
    role(Role::RopeFactorsLong, &["rope_factors_long"], &[], &[]),
    role(Role::RopeFactorsShort, &["rope_factors_short"], &[], &[]),
    role(
        Role::AttnNorm,
        &["blk.{l}.attn_norm", "enc.blk.{l}.attn_norm"],
        &[
            "layers.{l}.input_layernorm",
            "h.{l}.ln_1",
            "h.{l}.input_layernorm",
            "h.{l}.ln_mlp",
            "layers.{l}.attn_norm",
            "layers.{l}.operator_norm",
            "blocks.{l}.norm_1",
            "layers.{l}.norm",
            "block.{l}.layer.0.layer_norm",
        ],
        &[WIDTH],
    ),
    // Falcon: where it is there, the one before is the feed-forward layer's.
    role(Role::AttnOwnNorm, &["blk.{l}.attn_norm_2"], &["h.{l}.ln_attn"], &[WIDTH]),
    role(
        Role::AttnQ,
        &["blk.{l}.attn_q", "enc.blk.{l}.attn_q"],
        &[
            "layers.{l}.self_attn.q_proj",
            "layer.{l}.attention.self.query",
            "layer.{l}.attention.q_lin",
            "h.{l}.attn.q_proj",
            "block.{l}.layer.0.SelfAttention.q",
        ],
        &[QUERIES, WIDTH],
    ),
    role(
        Role::AttnK,
        &["blk.{l}.attn_k", "enc.blk.{l}.attn_k"],
        &[
            "layers.{l}.self_attn.k_proj",
            "layer.{l}.attention.self.key",
            "layer.{l}.attention.k_lin",
            "h.{l}.attn.k_proj",
            "block.{l}.layer.0.SelfAttention.k",
        ],
        &[KEYS, WIDTH],
    ),
    role(
        Role::AttnV,
        &["blk.{l}.attn_v", "enc.blk.{l}.attn_v"],
        &[
            "layers.{l}.self_attn.v_proj",
            "layer.{l}.attention.self.value",
            "layer.{l}.attention.v_lin",
            "h.{l}.attn.v_proj",
            "block.{l}.layer.0.SelfAttention.v",
        ],
        &[VALUES, WIDTH],
    ),
    role(
        Role::AttnQkv,
        &["blk.{l}.attn_qkv"],
        &[
            "layers.{l}.self_attn.qkv_proj",
            "h.{l}.attn.c_attn",
            "layers.{l}.attention.query_key_value",
            "h.{l}.self_attention.query_key_value",
            "layers.{l}.attn.Wqkv",
            "blocks.{l}.attn.Wqkv",
            "layers.{l}.linear_attn.in_proj_qkv",
        ],
        &[Sum(&[QUERIES, KEYS, VALUES]), WIDTH],
    ),
    role(
        Role::AttnOutput,
        &["blk.{l}.attn_output", "enc.blk.{l}.attn_o"],
        &[
            "layers.{l}.self_attn.o_proj",
            "layers.{l}.self_attn.dense",
            "layers.{l}.self_attn.out_proj",
            "layer.{l}.attention.output.dense",
            "layer.{l}.attention.out_lin",
            "h.{l}.attn.c_proj",
            "h.{l}.attn.out_proj",
            "layers.{l}.attention.dense",
            "h.{l}.self_attention.dense",
            "layers.{l}.attn.Wo",
            "layers.{l}.attn.out_proj",
            "blocks.{l}.attn.out_proj",
            "block.{l}.layer.0.SelfAttention.o",
        ],
        &[WIDTH, MIXED],
    ),
    role(
        Role::QNorm,
        &["blk.{l}.attn_q_norm"],
        &["layers.{l}.self_attn.q_norm", "layers.{l}.self_attn.query_layernorm", "layers.{l}.self_attn.q_layernorm"],
        &[HEAD],
    ),
    role(
        Role::KNorm,
        &["blk.{l}.attn_k_norm"],
        &["layers.{l}.self_attn.k_norm", "layers.{l}.self_attn.key_layernorm", "layers.{l}.self_attn.k_layernorm"],
        &[HEAD],
    ),
    role(
        Role::PostAttnNorm,
        &["blk.{l}.post_attention_norm"],
        &["layers.{l}.post_self_attn_layernorm", "layers.{l}.post_attention_layernorm"],
        &[WIDTH],
    ),
    role(
        Role::AttnOutputNorm,
        &["blk.{l}.attn_output_norm"],
        &["layer.{l}.attention.output.LayerNorm", "layer.{l}.sa_layer_norm", "layers.{l}.norm1"],
        &[WIDTH],
    ),
    role(
        Role::FfnNorm,
        &["blk.{l}.ffn_norm", "enc.blk.{l}.ffn_norm"],
        &[
            "layers.{l}.post_attention_layernorm",
            "h.{l}.ln_2",
            "h.{l}.post_attention_layernorm",
            "layers.{l}.mlp_norm",
            "layers.{l}.ffn_norm",
            "blocks.{l}.norm_2",
            "block.{l}.layer.1.layer_norm",
        ],
        &[WIDTH],
    ),
    role(
        Role::FfnGate,
        &["blk.{l}.ffn_gate", "enc.blk.{l}.ffn_gate"],
        &[
            "layers.{l}.mlp.gate_proj",
            "layers.{l}.feed_forward.w1",
            "layers.{l}.mlp.fc12",
            "block.{l}.layer.1.DenseReluDense.wi_0",
        ],
        &[FFN, WIDTH],
    ),
    role(
        Role::FfnUp,
        &["blk.{l}.ffn_up", "enc.blk.{l}.ffn_up"],
        &[
            "layers.{l}.mlp.up_proj",
            "layers.{l}.mlp.c_fc",
            "layers.{l}.mlp.fc1",
            "layers.{l}.mlp.dense_h_to_4h",
            "layers.{l}.mlp.fc11",
            "layers.{l}.feed_forward.w3",
            "layer.{l}.intermediate.dense",
            "layer.{l}.ffn.lin1",
            "h.{l}.mlp.c_fc",
            "h.{l}.mlp.fc_in",
            "h.{l}.mlp.dense_h_to_4h",
            "blocks.{l}.ffn.up_proj",
            "block.{l}.layer.1.DenseReluDense.wi",
            "block.{l}.layer.1.DenseReluDense.wi_1",
        ],
        &[FFN, WIDTH],
    ),
    role(
        Role::FfnGateUp,
        &["blk.{l}.ffn_up"],
        &["layers.{l}.mlp.gate_up_proj", "layers.{l}.mlp.Wi", "layers.{l}.shared_mlp.input_linear"],
        &[Times(2, Key::IntermediateSize), WIDTH],
    ),
    role(
        Role::FfnDown,
        &["blk.{l}.ffn_down", "enc.blk.{l}.ffn_down"],
        &[
            "layers.{l}.mlp.down_proj",
            "layers.{l}.mlp.c_proj",
            "layers.{l}.mlp.fc2",
            "layers.{l}.mlp.dense_4h_to_h",
            "layers.{l}.mlp.Wo",
            "layers.{l}.feed_forward.w2",
            "layers.{l}.shared_mlp.output_linear",
            "layer.{l}.output.dense",
            "layer.{l}.ffn.lin2",
            "h.{l}.mlp.c_proj",
            "h.{l}.mlp.fc_out",
            "h.{l}.mlp.dense_4h_to_h",
            "blocks.{l}.ffn.down_proj",
            "block.{l}.layer.1.DenseReluDense.wo",
        ],
        &[WIDTH, FFN],
    ),
    role(
        Role::PostFfnNorm,
        &["blk.{l}.post_ffw_norm"],
        &["layers.{l}.post_feedforward_layernorm", "layers.{l}.post_mlp_layernorm"],
        &[WIDTH],
    ),
    role(
        Role::LayerOutputNorm,
        &["blk.{l}.layer_output_norm"],
        &["layer.{l}.output.LayerNorm", "layer.{l}.output_layer_norm", "layers.{l}.norm2"],
        &[WIDTH],
    ),
    role(
        Role::Router,
        &["blk.{l}.ffn_gate_inp"],
        &[
            "layers.{l}.mlp.gate",
            "layers.{l}.block_sparse_moe.gate",
            "layers.{l}.block_sparse_moe.router.layer",
            "layers.{l}.mlp.router",
        ],
        &[EXPERTS, WIDTH],
    ),
    role(
        Role::RouterBias,
        &["blk.{l}.exp_probs_b"],
        &["layers.{l}.mlp.gate.e_score_correction_bias", "layers.{l}.mlp.gate.expert_bias"],
        &[EXPERTS],
    ),
    role(
        Role::GateExperts,
        &["blk.{l}.ffn_gate_exps", "blk.{l}.ffn_gate.{e}"],
        &["layers.{l}.mlp.experts.{e}.gate_proj", "layers.{l}.block_sparse_moe.experts.{e}.w1"],
        &[EXPERTS, EXPERT_FFN, WIDTH],
    ),
    role(
        Role::UpExperts,
        &["blk.{l}.ffn_up_exps", "blk.{l}.ffn_up.{e}"],
        &["layers.{l}.mlp.experts.{e}.up_proj", "layers.{l}.block_sparse_moe.experts.{e}.w3"],
        &[EXPERTS, EXPERT_FFN, WIDTH],
    ),
    role(
        Role::GateUpExperts,
        &["blk.{l}.ffn_gate_up_exps"],
        &["layers.{l}.mlp.experts.gate_up_proj", "layers.{l}.block_sparse_moe.input_linear"],
        &[EXPERTS, Times(2, Key::ExpertSize), WIDTH],
    ),
    role(
        Role::DownExperts,
        &["blk.{l}.ffn_down_exps", "blk.{l}.ffn_down.{e}"],
        &[
            "layers.{l}.mlp.experts.{e}.down_proj",
            "layers.{l}.block_sparse_moe.experts.{e}.w2",
            "layers.{l}.mlp.experts.down_proj",
            "layers.{l}.block_sparse_moe.output_linear",
        ],
        &[EXPERTS, WIDTH, EXPERT_FFN],
    ),
    role(
        Role::GateUpExpertsBias,
        &[],
        &["layers.{l}.mlp.experts.gate_up_proj_bias"],
        &[EXPERTS, Times(2, Key::ExpertSize)],
    ),
    role(Role::DownExpertsBias, &[], &["layers.{l}.mlp.experts.down_proj_bias"], &[EXPERTS, WIDTH]),
    // MXFP4 as folders have it: 16 bytes for 32 values, and their scales in a tensor beside.
    role(Role::GateUpBlocks, &[], &["layers.{l}.mlp.experts.gate_up_proj_blocks"], &[]),
    role(Role::GateUpScales, &[], &["layers.{l}.mlp.experts.gate_up_proj_scales"], &[]),
    role(Role::DownBlocks, &[], &["layers.{l}.mlp.experts.down_proj_blocks"], &[]),
    role(Role::DownScales, &[], &["layers.{l}.mlp.experts.down_proj_scales"], &[]),
    role(
        Role::SharedGate,
        &["blk.{l}.ffn_gate_shexp"],
        &["layers.{l}.mlp.shared_expert.gate_proj", "layers.{l}.mlp.shared_experts.gate_proj"],
        &[SHARED_FFN, WIDTH],
    ),
    role(
        Role::SharedUp,
        &["blk.{l}.ffn_up_shexp"],
        &["layers.{l}.mlp.shared_expert.up_proj", "layers.{l}.mlp.shared_experts.up_proj"],
        &[SHARED_FFN, WIDTH],
    ),
    role(Role::SharedGateUp, &[], &["layers.{l}.shared_mlp.input_linear"], &[]),
    role(
        Role::SharedDown,
        &["blk.{l}.ffn_down_shexp"],
        &[
            "layers.{l}.mlp.shared_expert.down_proj",
            "layers.{l}.mlp.shared_experts.down_proj",
            "layers.{l}.shared_mlp.output_linear",
        ],
        &[WIDTH, SHARED_FFN],
    ),
    role(
        Role::SharedRouter,
        &["blk.{l}.ffn_gate_inp_shexp"],
        &["layers.{l}.mlp.shared_expert_gate"],
        // Converters leave the dimension of one away, or not.
        &[Exactly(1), WIDTH],
    ),
    role(Role::AttnSinks, &["blk.{l}.attn_sinks"], &["layers.{l}.self_attn.sinks"], &[Of(Key::Heads)]),
    role(Role::AttnGate, &["blk.{l}.attn_gate"], &["layers.{l}.linear_attn.in_proj_z"], &[]),
    role(
        Role::RelativeBias,
        &["enc.blk.{l}.attn_rel_b"],
        &["block.{l}.layer.0.SelfAttention.relative_attention_bias"],
        &[Of(Key::RelativeBuckets), Of(Key::Heads)],
    ),
    role(Role::QLow, &["blk.{l}.attn_q_a"], &["layers.{l}.self_attn.q_a_proj"], &[Of(Key::QRank), WIDTH]),
    role(Role::QLowNorm, &["blk.{l}.attn_q_a_norm"], &["layers.{l}.self_attn.q_a_layernorm"], &[Of(Key::QRank)]),
    role(Role::QHigh, &["blk.{l}.attn_q_b"], &["layers.{l}.self_attn.q_b_proj"], &[LATENT_QUERIES, Of(Key::QRank)]),
    role(
        Role::KvLow,
        &["blk.{l}.attn_kv_a_mqa"],
        &["layers.{l}.self_attn.kv_a_proj_with_mqa"],
        &[Sum(&[Of(Key::KvRank), Of(Key::RotatedDim)]), WIDTH],
    ),
    role(Role::KvLowNorm, &["blk.{l}.attn_kv_a_norm"], &["layers.{l}.self_attn.kv_a_layernorm"], &[Of(Key::KvRank)]),
    role(
        Role::KvHigh,
        &["blk.{l}.attn_kv_b"],
        &["layers.{l}.self_attn.kv_b_proj"],
        &[Sum(&[By(Key::Heads, Key::UnrotatedDim), LATENT_MIXED]), Of(Key::KvRank)],
    ),
    role(Role::KHigh, &["blk.{l}.attn_k_b"], &[], &[Of(Key::Heads), Of(Key::KvRank), Of(Key::UnrotatedDim)]),
    role(Role::VHigh, &["blk.{l}.attn_v_b"], &[], &[Of(Key::Heads), Of(Key::LatentValueDim), Of(Key::KvRank)]),
    role(
        Role::SsmIn,
        &["blk.{l}.ssm_in"],
        &["layers.{l}.mixer.in_proj", "layers.{l}.mamba.in_proj", "layers.{l}.linear_attn.in_proj_qkvz"],
        &[],
    ),
    role(
        Role::SsmConv,
        &["blk.{l}.ssm_conv1d"],
        &["layers.{l}.mixer.conv1d", "layers.{l}.mamba.conv1d", "layers.{l}.linear_attn.conv1d"],
        &[],
    ),
    role(Role::SsmX, &["blk.{l}.ssm_x"], &["layers.{l}.mixer.x_proj", "layers.{l}.mamba.x_proj"], &[]),
    role(Role::SsmDt, &["blk.{l}.ssm_dt"], &["layers.{l}.mixer.dt_proj", "layers.{l}.mamba.dt_proj"], &[]),
    role(
        Role::SsmDtBias,
        &[],
        &["layers.{l}.mixer.dt_bias", "layers.{l}.mamba.dt_bias", "layers.{l}.linear_attn.dt_bias"],
        &[],
    ),
    role(Role::SsmDtNorm, &["blk.{l}.ssm_dt_norm"], &["layers.{l}.mamba.dt_layernorm"], &[]),
    role(Role::SsmBNorm, &["blk.{l}.ssm_b_norm"], &["layers.{l}.mamba.b_layernorm"], &[]),
    role(Role::SsmCNorm, &["blk.{l}.ssm_c_norm"], &["layers.{l}.mamba.c_layernorm"], &[]),
    role(
        Role::SsmA,
        &["blk.{l}.ssm_a"],
        &["layers.{l}.mixer.A_log", "layers.{l}.mamba.A_log", "layers.{l}.linear_attn.A_log"],
        &[],
    ),
    role(Role::SsmD, &["blk.{l}.ssm_d"], &["layers.{l}.mixer.D", "layers.{l}.mamba.D"], &[]),
    role(
        Role::SsmNorm,
        &["blk.{l}.ssm_norm"],
        &["layers.{l}.mixer.norm", "layers.{l}.mamba.norm", "layers.{l}.linear_attn.norm"],
        &[],
    ),
    role(
        Role::SsmOut,
        &["blk.{l}.ssm_out"],
        &["layers.{l}.mixer.out_proj", "layers.{l}.mamba.out_proj", "layers.{l}.linear_attn.out_proj"],
        &[],
    ),
    role(Role::SsmAlpha, &["blk.{l}.ssm_alpha"], &["layers.{l}.linear_attn.in_proj_a"], &[]),
    role(Role::SsmBeta, &["blk.{l}.ssm_beta"], &["layers.{l}.linear_attn.in_proj_b"], &[]),
    role(Role::SsmBetaAlpha, &["blk.{l}.ssm_ba"], &["layers.{l}.linear_attn.in_proj_ba"], &[]),
    role(Role::TimeDecay, &[], &["blocks.{l}.att.time_decay", "blocks.{l}.attention.time_decay"], &[]),
    role(Role::TimeFirst, &[], &["blocks.{l}.att.time_first", "blocks.{l}.attention.time_first"], &[]),
    role(Role::TimeMixK, &[], &["blocks.{l}.att.time_mix_k", "blocks.{l}.attention.time_mix_key"], &[]),
    role(Role::TimeMixV, &[], &["blocks.{l}.att.time_mix_v", "blocks.{l}.attention.time_mix_value"], &[]),
    role(Role::TimeMixR, &[], &["blocks.{l}.att.time_mix_r", "blocks.{l}.attention.time_mix_receptance"], &[]),
    role(Role::Receptance, &[], &["blocks.{l}.att.receptance", "blocks.{l}.attention.receptance"], &[]),
    role(Role::ChannelMixK, &[], &["blocks.{l}.ffn.time_mix_k", "blocks.{l}.feed_forward.time_mix_key"], &[]),
    role(Role::ChannelMixR, &[], &["blocks.{l}.ffn.time_mix_r", "blocks.{l}.feed_forward.time_mix_receptance"], &[]),
    role(Role::ChannelReceptance, &[], &["blocks.{l}.ffn.receptance", "blocks.{l}.feed_forward.receptance"], &[]),
    role(Role::ShortConv, &["blk.{l}.shortconv.conv"], &["layers.{l}.conv.conv"], &[]),
    role(
        Role::ShortConvIn,
        &["blk.{l}.shortconv.in_proj"],
        &["layers.{l}.conv.in_proj"],
        &[Times(3, Key::HiddenSize), WIDTH],
    ),
    role(Role::ShortConvOut, &["blk.{l}.shortconv.out_proj"], &["layers.{l}.conv.out_proj"], &[WIDTH, WIDTH]),
    role(Role::LayerScale, &["blk.{l}.layer_output_scale"], &["layers.{l}.layer_scalar"], &[Exactly(1)]),
    role(
        Role::PerLayerEmbedding,
        &["per_layer_token_embd"],
        &["embed_tokens_per_layer"],
        &[Of(Key::PerLayerVocab), By(Key::Layers, Key::PerLayerInput)],
    ),
    role(
        Role::PerLayerProjection,
        &["per_layer_model_proj"],
        &["per_layer_model_projection"],
        &[By(Key::Layers, Key::PerLayerInput), WIDTH],
    ),
    role(
        Role::PerLayerProjectionNorm,
        &["per_layer_proj_norm"],
        &["per_layer_projection_norm"],
        &[Of(Key::PerLayerInput)],
    ),
    role(
        Role::PerLayerGate,
        &["blk.{l}.inp_gate"],
        &["layers.{l}.per_layer_input_gate"],
        &[Of(Key::PerLayerInput), WIDTH],
    ),
    role(Role::PerLayerOut, &["blk.{l}.proj"], &["layers.{l}.per_layer_projection"], &[WIDTH, Of(Key::PerLayerInput)]),
    role(Role::PerLayerOutNorm, &["blk.{l}.post_norm"], &["layers.{l}.post_per_layer_input_norm"], &[WIDTH]),
    role(Role::AltupProjection, &["altup_proj"], &["altup_projections.{e}"], OTHER_STREAMS),
    role(Role::AltupUnembedding, &["altup_unembd_proj"], &["altup_unembed_projections.{e}"], OTHER_STREAMS),
    role(Role::AltupScale, &["blk.{l}.altup_correct_scale"], &["layers.{l}.altup.correct_output_scale"], &[WIDTH]),
    role(
        Role::AltupCorrect,
        &["blk.{l}.altup_correct_coef"],
        &["layers.{l}.altup.correction_coefs"],
        &[STREAMS, STREAMS],
    ),
    role(
        Role::AltupPredict,
        &["blk.{l}.altup_predict_coef"],
        &["layers.{l}.altup.prediction_coefs"],
        &[By(Key::AltupInputs, Key::AltupInputs), STREAMS],
    ),
    role(Role::AltupRouter, &["blk.{l}.altup_router"], &["layers.{l}.altup.modality_router"], &[STREAMS, WIDTH]),
    role(Role::AltupRouterNorm, &["blk.{l}.altup_router_norm"], &["layers.{l}.altup.router_norm"], &[WIDTH]),
    role(Role::LaurelLeft, &["blk.{l}.laurel_l"], &["layers.{l}.laurel.linear_left"], &[Of(Key::LaurelRank), WIDTH]),
    role(Role::LaurelRight, &["blk.{l}.laurel_r"], &["layers.{l}.laurel.linear_right"], &[WIDTH, Of(Key::LaurelRank)]),
    role(Role::LaurelNorm, &["blk.{l}.laurel_post_norm"], &["layers.{l}.laurel.post_laurel_norm"], &[WIDTH]),
];

/// Names of tensors that files of many architectures have beside those that compute: task heads, factors of a quantizer.
pub(super) static EXTRAS: &[&str] = &[
    "cls",
    "cls.output",
    "cls.norm",
    "blk.{l}.rope_freqs",
    "blk.{l}.attn_rot_embd",
    "score",
    "classifier",
    "classifier.dense",
    "classifier.out_proj",
    "pooler.dense",
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.decoder",
    "lm_head",
    "cls.predictions",
    "cls.predictions.decoder",
    "cls.predictions.transform.dense",
    "cls.predictions.transform.LayerNorm",
    "cls.seq_relationship",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "pre_classifier",
    "qa_outputs",
];

impl Role {
    /// The row of the table.
    pub fn row(self) -> &'static RoleRow {
        &ROLES[self as usize]
    }
    /// The name of its weight in GGUF files: "blk.3.attn_q.weight".
    pub fn gguf(self, layer: u32) -> Option<String> {
        self.row().gguf.first().map(|stem| format!("{}.weight", stem.replace("{l}", &layer.to_string())))
    }
}

/// When an architecture's tensor must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// In every layer (once, where it is of no layer).
    Always,
    /// Not at all.
    Optional,
    /// In every layer but the first.
    BehindFirst,
    /// In the first layer.
    First,
    /// In every layer that has no tensor of the other role.
    Unless(Role),
    /// In every layer that has no tensor of any of the other roles.
    UnlessAny(&'static [Role]),
    /// In every layer that looks at keys and values of its own.
    OwnKeys,
    /// In every such layer that does not use its keys as values.
    OwnValues,
    /// Where each layer has an input of its own.
    LayerInputs,
}

/// What must be done to the tensor of a Hugging Face folder to have that of a GGUF file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Folder {
    /// It lies as `[inputs, outputs]`: GPT-2's Conv1D.
    pub by_input: bool,
    /// Rows of queries, keys and values follow each other head by head.
    pub by_head: bool,
    /// Added to every value: Gemma's norms are stored as `w - 1`.
    pub plus: f32,
}

/// A tensor of an architecture: its role, whether it must be there, and where it differs from the role's row.
#[derive(Debug)]
pub struct Row {
    /// What it is for.
    pub role: Role,
    /// When it must be there.
    pub need: Need,
    /// Names in GGUF files, where they are others.
    gguf: Option<&'static [&'static str]>,
    /// Names in Hugging Face files, where they are others.
    hf: Option<&'static [&'static str]>,
    /// Shape, where it is another.
    shape: Option<&'static [Dim]>,
    /// What a folder's tensor needs.
    pub folder: Folder,
    /// Files arrange its values in different shapes: their number counts.
    pub flat: bool,
}

/// A tensor that must be there.
pub(super) const fn needed(role: Role) -> Row {
    let folder = Folder { by_input: false, by_head: false, plus: 0.0 };
    Row { role, need: Need::Always, gguf: None, hf: None, shape: None, folder, flat: false }
}

/// A tensor that may be there.
pub(super) const fn optional(role: Role) -> Row {
    Row { need: Need::Optional, ..needed(role) }
}

impl Row {
    pub(super) const fn behind_first(self) -> Self {
        Self { need: Need::BehindFirst, ..self }
    }
    pub(super) const fn of_first_layer(self) -> Self {
        Self { need: Need::First, ..self }
    }
    pub(super) const fn unless(self, other: Role) -> Self {
        Self { need: Need::Unless(other), ..self }
    }
    pub(super) const fn unless_any(self, others: &'static [Role]) -> Self {
        Self { need: Need::UnlessAny(others), ..self }
    }
    pub(super) const fn with_own_keys(self) -> Self {
        Self { need: Need::OwnKeys, ..self }
    }
    pub(super) const fn flat(self) -> Self {
        Self { flat: true, ..self }
    }
    pub(super) const fn with_own_values(self) -> Self {
        Self { need: Need::OwnValues, ..self }
    }
    pub(super) const fn with_layer_inputs(self) -> Self {
        Self { need: Need::LayerInputs, ..self }
    }
    pub(super) const fn shape(self, shape: &'static [Dim]) -> Self {
        Self { shape: Some(shape), ..self }
    }
    pub(super) const fn in_gguf(self, names: &'static [&'static str]) -> Self {
        Self { gguf: Some(names), ..self }
    }
    pub(super) const fn in_folders(self, names: &'static [&'static str]) -> Self {
        Self { hf: Some(names), ..self }
    }
    pub(super) const fn by_input(self) -> Self {
        Self { folder: Folder { by_input: true, ..self.folder }, ..self }
    }
    pub(super) const fn by_head(self) -> Self {
        Self { folder: Folder { by_head: true, ..self.folder }, ..self }
    }
    pub(super) const fn plus_one(self) -> Self {
        Self { folder: Folder { plus: 1.0, ..self.folder }, ..self }
    }
    /// Its names in a kind of file.
    pub fn names(&self, form: Form) -> &'static [&'static str] {
        match form {
            Form::Gguf => self.gguf.unwrap_or(self.role.row().gguf),
            Form::Folder => self.hf.unwrap_or(self.role.row().folder),
        }
    }
    /// True for a tensor that each layer may have.
    pub fn layered(&self, form: Form) -> bool {
        self.names(form).first().is_some_and(|n| n.contains("{l}"))
    }
    /// Its shape in GGUF files, slowest dimension first; empty where it is not checked.
    pub fn dims(&self) -> &'static [Dim] {
        self.shape.unwrap_or(self.role.row().shape)
    }
    /// The shape of the bias beside it: without the dimension of inputs; that of a vector is the vector's.
    pub fn bias_dims(&self) -> &'static [Dim] {
        match self.dims() {
            [outer @ .., _] if !outer.is_empty() => outer,
            dims => dims,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_row_at_its_place() {
        for (i, row) in ROLES.iter().enumerate() {
            assert_eq!(row.role as usize, i, "{:?}", row.role);
        }
        assert_eq!(ROLES.len(), Role::LaurelNorm as usize + 1);
        assert_eq!(Role::AttnQ.gguf(3).as_deref(), Some("blk.3.attn_q.weight"));
    }
}
