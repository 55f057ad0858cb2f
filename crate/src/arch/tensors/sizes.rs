//! Dimensions in terms of hyper-parameters, and those that many tensors have.

use Dim::{By, Less, Of, Sum};

use crate::arch::Key;

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

/// Width of the residual stream.
pub(in crate::arch) const WIDTH: Dim = Of(Key::HiddenSize);
/// Width of the feed-forward layer.
pub(in crate::arch) const FFN: Dim = Of(Key::IntermediateSize);
/// Token ids.
pub(in crate::arch) const VOCABULARY: Dim = Of(Key::VocabSize);
/// Width of a row of queries.
pub(in crate::arch) const QUERIES: Dim = By(Key::Heads, Key::HeadDim);
/// Width of a row of keys.
pub(in crate::arch) const KEYS: Dim = By(Key::KvHeads, Key::HeadDim);
/// Width of a row of values.
pub(in crate::arch) const VALUES: Dim = By(Key::KvHeads, Key::ValueDim);
/// Width of what attention gives.
pub(in crate::arch) const MIXED: Dim = By(Key::Heads, Key::ValueDim);
/// Width of a head of queries or keys.
pub(in crate::arch) const HEAD: Dim = Of(Key::HeadDim);
/// Width of a row of queries whose keys come from a latent row.
pub(in crate::arch) const LATENT_QUERIES: Dim = By(Key::Heads, Key::LatentKeyDim);
/// Width of what latent attention gives.
pub(in crate::arch) const LATENT_MIXED: Dim = By(Key::Heads, Key::LatentValueDim);
/// Number of experts.
pub(in crate::arch) const EXPERTS: Dim = Of(Key::Experts);
/// Width of an expert.
pub(in crate::arch) const EXPERT_FFN: Dim = Of(Key::ExpertSize);
/// Width of the expert that all tokens share.
pub(in crate::arch) const SHARED_FFN: Dim = Of(Key::SharedExpertSize);
/// Residual streams side by side.
pub(super) const STREAMS: Dim = Of(Key::AltupInputs);
/// A map for each stream but the first.
pub(super) const OTHER_STREAMS: &[Dim] = &[Less(Key::AltupInputs), WIDTH, WIDTH];

/// Channels of a recurrence.
pub(in crate::arch) const INNER: Dim = Of(Key::SsmInner);
/// Heads of a recurrence.
pub(in crate::arch) const SSM_HEADS: Dim = Of(Key::SsmHeads);
/// B or C of all groups, or queries or keys of a delta net.
pub(in crate::arch) const SSM_SHARED: Dim = By(Key::SsmGroups, Key::SsmSize);
/// What goes through a convolution beside channels.
pub(in crate::arch) const CONVOLVED: Dim = Sum(&[INNER, SSM_SHARED, SSM_SHARED]);
/// Rows that a convolution looks at.
pub(in crate::arch) const TAPS: Dim = Of(Key::ConvKernel);
