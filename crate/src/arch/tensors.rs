//! What each tensor is for: one row for each role with its names in GGUF and in Hugging Face files and its shape.
//!
//! Sources: llama.cpp `gguf-py/gguf/{constants,tensor_mapping}.py`, transformers `modeling_*.py`.

mod roles;
mod sizes;

pub use roles::ROLES;
pub use sizes::Dim;
pub(super) use sizes::{
    CONVOLVED, INNER, KEYS, LATENT_MIXED, LATENT_QUERIES, QUERIES, SHARED_FFN, SSM_HEADS, SSM_SHARED, TAPS, WIDTH,
};

use super::Form;

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
