//! T5's encoder: relative positions, no scaling of scores.

use super::{
    super::{
        Architecture, Form, Hparams, Key, Net, Numbers, Relative, Role, Rule,
        tensors::{Dim, needed, optional},
    },
    BASE, usual,
};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Tensor, Unary},
};

/// T5's encoder, and those of its kin (transformers `modeling_t5.py`, `modeling_umt5.py`; llama.cpp `src/models/t5.cpp`).
pub(super) static T5_ENCODER: Architecture = Architecture {
    name: "t5encoder",
    gguf: &["t5encoder"],
    model_types: &["t5", "umt5", "mt5"],
    tensors: &[&[
        needed(Role::TokenEmbedding).in_folders(&["shared", "embed_tokens"]),
        needed(Role::OutputNorm).in_folders(&["final_layer_norm"]),
        optional(Role::Output),
        needed(Role::AttnNorm),
        needed(Role::AttnQ),
        needed(Role::AttnK),
        needed(Role::AttnV),
        needed(Role::AttnOutput),
        // Of the first layer; UMT5 has one in each.
        needed(Role::RelativeBias).of_first_layer(),
        needed(Role::FfnNorm),
        // Version 1.1 has two maps in place of one.
        optional(Role::FfnGate),
        needed(Role::FfnUp),
        needed(Role::FfnDown),
    ]],
    closed: false,
    rules: &[
        Rule { form: Some(Form::Folder), value: Dim::Exactly(512), ..usual(Key::Context) },
        Rule { form: Some(Form::Folder), value: Dim::Exactly(64), ..usual(Key::HeadDim) },
    ],
    encoder: true,
    rotary: false,
    activation: Unary::Relu,
    adjust: Some(numbers),
    forward: Some(t5),
    ..BASE
};

fn t5<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.plain_attention(l.rms_norm(x, Role::AttnNorm));
        let h = l.rms_norm(x, Role::FfnNorm);
        x += if l.has(Role::FfnGate) { l.gated_mlp(h) } else { l.mlp(h) };
    }
    m.end();
    m.rms_norm(x, Role::OutputNorm)
}

/// The farthest distance that has a bias of its own: T5's is 128.
const MAX_DISTANCE: u32 = 4096;

fn numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.score_scale = Some(1.0);
    let (buckets, most) = (numbers.count(Key::RelativeBuckets, 0)?, numbers.count(Key::RelativeDistance, 0)?);
    if buckets < 4 || buckets % 4 != 0 || most <= buckets / 4 || most > MAX_DISTANCE {
        let what = format!(
            "{buckets} buckets for distances up to {most}: a multiple of 4, and a distance above a quarter of it and up to \
             {MAX_DISTANCE}, expected"
        );
        return Err(Fault::new(Blame::File, what));
    }
    h.relative = Some(Relative { buckets, most });
    if numbers.form() == Form::Gguf {
        // No key says it; llama.cpp goes by the gate.
        let gated = numbers.model().tensors.iter().any(|t| t.name.contains(".ffn_gate."));
        h.activation = if gated { Unary::GeluTanh } else { Unary::Relu };
        return Ok(());
    }
    if numbers.find(Key::LayerNormEps).is_some() {
        h.norm_eps = numbers.need(Key::LayerNormEps)? as f32;
    }
    // "gated-gelu" means the one by tanh in T5's configurations.
    h.activation = match numbers.text(Key::FeedForward)?.unwrap_or("relu") {
        "relu" | "gated-relu" => Unary::Relu,
        "gelu" => Unary::Gelu,
        "gated-gelu" | "gelu_new" | "gated-gelu_new" => Unary::GeluTanh,
        "silu" | "gated-silu" => Unary::Silu,
        other => {
            let other: String = other.chars().take(40).collect();
            let known = "relu, gelu, gated-gelu, gelu_new, silu, gated-silu";
            return Err(Fault::unsupported(format!(
                "feed-forward layers of kind {other:?} cannot be run yet (known: {known})"
            )));
        }
    };
    Ok(())
}
