//! Command R: attention and feed-forward layer side by side, LayerNorm without bias.

use super::{
    super::{
        Architecture, Hparams, Numbers, Role,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, no_head_norms, parallel,
};
use crate::{fault::Result, ir::Pairing};

/// Command R (transformers `modeling_cohere.py`).
pub(super) static COMMAND_R: Architecture = Architecture {
    name: "command-r",
    gguf: &["command-r"],
    model_types: &["cohere"],
    tensors: &[
        ENDS,
        ATTENTION,
        &[
            optional(Role::QNorm).shape(&[]),
            optional(Role::KNorm).shape(&[]),
            needed(Role::FfnGate),
            needed(Role::FfnUp),
            needed(Role::FfnDown),
        ],
    ],
    layer_norm: true,
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    adjust: Some(no_head_norms),
    forward: Some(parallel),
    ..BASE
};

/// Command R7B and A (transformers `modeling_cohere2.py`): only layers with a window rotate.
pub(super) static COHERE2: Architecture = Architecture {
    name: "cohere2",
    gguf: &["cohere2"],
    model_types: &["cohere2"],
    tensors: &[ENDS, ATTENTION, &[needed(Role::FfnGate), needed(Role::FfnUp), needed(Role::FfnDown)]],
    layer_norm: true,
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    window_pattern: Some(4),
    adjust: Some(cohere2_numbers),
    forward: Some(parallel),
    ..BASE
};

fn cohere2_numbers(h: &mut Hparams, _: &Numbers<'_>) -> Result<()> {
    h.rotate_in_windows();
    Ok(())
}
