//! Qwen: Llama with biases on queries, keys and values (2), or with norms of their heads (3); with experts; with
//! recurrent layers.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Row, Rule, Ssm,
        tensors::{CONVOLVED, INNER, QUERIES, SSM_HEADS, TAPS, WIDTH, needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP, HEAD_NORMS, SHARED_EXPERT, llama, usual,
};
use crate::{
    fault::Result,
    ir::{Gating, Tensor},
};

pub(super) static QWEN2: Architecture = Architecture {
    name: "qwen2",
    gguf: &["qwen2"],
    model_types: &["qwen2"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    asks_for_window: true,
    forward: Some(llama::forward),
    ..BASE
};

pub(super) static QWEN3: Architecture = Architecture {
    name: "qwen3",
    gguf: &["qwen3"],
    model_types: &["qwen3"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, GATED_MLP],
    asks_for_window: true,
    forward: Some(qwen3),
    ..BASE
};

fn qwen3<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.normed_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) static QWEN2_MOE: Architecture = Architecture {
    name: "qwen2moe",
    gguf: &["qwen2moe"],
    model_types: &["qwen2_moe"],
    tensors: &[ENDS, ATTENTION, EXPERTS, SHARED_EXPERT],
    asks_for_window: true,
    routing: (Gating::Softmax, false),
    forward: Some(llama::mixtral),
    ..BASE
};

pub(super) static QWEN3_MOE: Architecture = Architecture {
    name: "qwen3moe",
    gguf: &["qwen3moe"],
    model_types: &["qwen3_moe"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, EXPERTS],
    asks_for_window: true,
    adjust: Some(qwen3_moe_numbers),
    forward: Some(qwen3_moe),
    ..BASE
};

fn qwen3_moe<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.normed_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// A configuration that says nothing does not divide weights by their sum; the runner of GGUF files always does.
fn qwen3_moe_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let stated = numbers.find(Key::NormalisedWeights).is_some();
    if let Some(routing) = h.routing.as_mut().filter(|_| !stated) {
        routing.normalise = numbers.form() == Form::Gguf;
    }
    Ok(())
}

/// Layers of attention with an output gate (queries are twice as many rows), others with a gated delta net.
const HYBRID: &[Row] = &[
    needed(Role::OutputNorm).plus_one(),
    needed(Role::AttnNorm).plus_one(),
    needed(Role::FfnNorm).in_gguf(&["blk.{l}.post_attention_norm"]).plus_one(),
    needed(Role::AttnQ).shape(&[Dim::Sum(&[QUERIES, QUERIES]), WIDTH]).unless(Role::SsmOut),
    needed(Role::AttnK).unless(Role::SsmOut),
    needed(Role::AttnV).unless(Role::SsmOut),
    needed(Role::AttnOutput).unless(Role::SsmOut),
    needed(Role::QNorm).unless(Role::SsmOut).plus_one(),
    needed(Role::KNorm).unless(Role::SsmOut).plus_one(),
    // Queries, keys, values and gates in two tensors, or in one by key head; so, too, what gates and decays are made of.
    needed(Role::AttnQkv).shape(&[CONVOLVED, WIDTH]).unless_any(&[Role::AttnOutput, Role::SsmIn]),
    needed(Role::AttnGate).shape(&[INNER, WIDTH]).unless_any(&[Role::AttnOutput, Role::SsmIn]),
    needed(Role::SsmIn).shape(&[Dim::Sum(&[CONVOLVED, INNER]), WIDTH]).unless_any(&[Role::AttnOutput, Role::AttnQkv]),
    needed(Role::SsmAlpha).shape(&[SSM_HEADS, WIDTH]).unless_any(&[Role::AttnOutput, Role::SsmBetaAlpha]),
    needed(Role::SsmBeta).shape(&[SSM_HEADS, WIDTH]).unless_any(&[Role::AttnOutput, Role::SsmBetaAlpha]),
    needed(Role::SsmBetaAlpha)
        .shape(&[Dim::Times(2, Key::SsmHeads), WIDTH])
        .unless_any(&[Role::AttnOutput, Role::SsmBeta]),
    needed(Role::SsmA).shape(&[SSM_HEADS]).unless(Role::AttnOutput),
    optional(Role::SsmDt).shape(&[SSM_HEADS]),
    needed(Role::SsmDtBias).shape(&[SSM_HEADS]).unless(Role::AttnOutput),
    needed(Role::SsmConv).shape(&[CONVOLVED, TAPS]).flat().unless(Role::AttnOutput),
    needed(Role::SsmNorm).shape(&[Dim::Of(Key::SsmHeadDim)]).unless(Role::AttnOutput),
    needed(Role::SsmOut).shape(&[WIDTH, INNER]).unless(Role::AttnOutput),
];

/// Channels are those of all heads.
const BY_HEADS: Rule =
    Rule { form: Some(Form::Folder), value: Dim::By(Key::SsmHeads, Key::SsmHeadDim), ..usual(Key::SsmInner) };

pub(super) static QWEN3_NEXT: Architecture = Architecture {
    name: "qwen3next",
    gguf: &["qwen3next"],
    model_types: &["qwen3_next"],
    tensors: &[HYBRID, ENDS, EXPERTS, SHARED_EXPERT],
    closed: false,
    recurrent: true,
    rules: &[BY_HEADS],
    rotary_part: 0.25,
    adjust: Some(qwen3_next_numbers),
    forward: Some(qwen35),
    ..BASE
};

fn qwen3_next_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    hybrid_numbers(h, numbers, false)?;
    qwen3_moe_numbers(h, numbers)
}

pub(super) static QWEN35: Architecture = Architecture {
    name: "qwen35",
    gguf: &["qwen35"],
    model_types: &["qwen3_5_text", "qwen3_5"],
    tensors: &[HYBRID, ENDS, GATED_MLP],
    closed: false,
    recurrent: true,
    rules: &[BY_HEADS],
    rotary_part: 0.25,
    adjust: Some(qwen35_numbers),
    forward: Some(qwen35),
    ..BASE
};

fn qwen35_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    // llama.cpp's converter puts value heads in turn of their key heads, so that a repeated key meets them.
    hybrid_numbers(h, numbers, numbers.form() == Form::Gguf)
}

fn hybrid_numbers(h: &mut Hparams, numbers: &Numbers<'_>, tiled: bool) -> Result<()> {
    h.ssm = Some(Ssm { tiled, ..Ssm::second(numbers)? });
    // GGUF files count blocks that predict further tokens, which stand behind the model's own and are not run.
    if numbers.form() == Form::Gguf
        && let Some(more) = numbers.optional(Key::PredictingLayers, 0)?
    {
        h.layers = h.layers.saturating_sub(more).max(1);
    }
    Ok(())
}

fn qwen35<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        x += if l.has(Role::SsmOut) { l.delta_net(h) } else { l.output_gated_attention(h) };
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}
