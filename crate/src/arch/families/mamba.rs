//! State space models, and short convolutions between attention layers.

use super::{
    super::{
        Architecture, Role, Row,
        tensors::{needed, optional},
    },
    BASE, ENDS,
};

/// What both versions have.
const MIXER: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::SsmIn),
    needed(Role::SsmConv),
    needed(Role::SsmA),
    needed(Role::SsmD),
    needed(Role::SsmOut),
];

pub(super) static MAMBA: Architecture = Architecture {
    name: "mamba",
    gguf: &["mamba"],
    model_types: &["mamba", "falcon_mamba"],
    tensors: &[ENDS, MIXER, &[needed(Role::SsmX), needed(Role::SsmDt)]],
    closed: false,
    rotary: false,
    lacks: "selective scans",
    ..BASE
};

pub(super) static MAMBA2: Architecture = Architecture {
    name: "mamba2",
    gguf: &["mamba2"],
    model_types: &["mamba2"],
    tensors: &[ENDS, MIXER, &[optional(Role::SsmDt), optional(Role::SsmDtBias), needed(Role::SsmNorm)]],
    closed: false,
    rotary: false,
    lacks: "selective scans",
    ..BASE
};

pub(super) static LFM2: Architecture = Architecture {
    name: "lfm2",
    gguf: &["lfm2"],
    model_types: &["lfm2"],
    tensors: &[
        &[needed(Role::OutputNorm).in_gguf(&["token_embd_norm", "output_norm"])],
        ENDS,
        &[
            needed(Role::AttnNorm),
            needed(Role::AttnQ).unless(Role::ShortConvIn),
            needed(Role::AttnK).unless(Role::ShortConvIn),
            needed(Role::AttnV).unless(Role::ShortConvIn),
            needed(Role::AttnOutput).unless(Role::ShortConvIn),
            needed(Role::QNorm).unless(Role::ShortConvIn),
            needed(Role::KNorm).unless(Role::ShortConvIn),
            optional(Role::ShortConv),
            optional(Role::ShortConvIn),
            optional(Role::ShortConvOut),
            needed(Role::FfnNorm),
            // Configurations may state another width than the one that is worked out from it.
            needed(Role::FfnGate).shape(&[]),
            needed(Role::FfnUp).shape(&[]),
            needed(Role::FfnDown).shape(&[]),
        ],
    ],
    closed: false,
    lacks: "short convolutions",
    ..BASE
};
