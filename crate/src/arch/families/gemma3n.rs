//! Gemma 3n and 4: an embedding for each layer, layers that share keys and values; Gemma 3n also keeps several residual
//! streams (AltUp), a learned map beside the residual (LAuReL) and sparse gates.

use super::{
    super::{Architecture, Form, Hparams, Key, Layer, Net, Numbers, PerLayer, Role, Row, tensors::needed},
    BASE, ENDS,
};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Binary, Tensor, Unary},
    model::MetaValue,
};

/// A layer with norms before and after; those without keys of their own have queries alone.
const LAYER: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::AttnQ),
    needed(Role::AttnK).with_own_keys(),
    needed(Role::AttnV).with_own_keys(),
    needed(Role::QNorm),
    needed(Role::KNorm).with_own_keys(),
    needed(Role::AttnOutput),
    needed(Role::PostAttnNorm),
    needed(Role::FfnNorm).in_folders(&["layers.{l}.pre_feedforward_layernorm"]),
    needed(Role::FfnGate),
    needed(Role::FfnUp),
    needed(Role::FfnDown),
    needed(Role::PostFfnNorm),
];

/// An embedding of its own for each layer.
const PER_LAYER: &[Row] = &[
    needed(Role::PerLayerEmbedding).with_layer_inputs(),
    needed(Role::PerLayerProjection).with_layer_inputs(),
    needed(Role::PerLayerProjectionNorm).with_layer_inputs(),
    needed(Role::PerLayerGate).with_layer_inputs(),
    needed(Role::PerLayerOut).with_layer_inputs(),
    needed(Role::PerLayerOutNorm).with_layer_inputs(),
];

const STREAMS: &[Row] = &[
    needed(Role::AltupProjection),
    needed(Role::AltupUnembedding),
    needed(Role::AltupScale),
    needed(Role::AltupCorrect),
    needed(Role::AltupPredict),
    needed(Role::AltupRouter),
    needed(Role::AltupRouterNorm),
    needed(Role::LaurelLeft),
    needed(Role::LaurelRight),
    needed(Role::LaurelNorm),
];

/// Gemma 3n's text model (transformers `modeling_gemma3n.py`; llama.cpp `src/models/gemma3n.cpp`).
pub(super) static GEMMA3N: Architecture = Architecture {
    name: "gemma3n",
    gguf: &["gemma3n"],
    model_types: &["gemma3n_text"],
    tensors: &[ENDS, LAYER, PER_LAYER, STREAMS],
    closed: false,
    activation: Unary::GeluTanh,
    window_pattern: Some(5),
    local_rope: true,
    adjust: Some(gemma3n_numbers),
    forward: Some(gemma3n),
    ..BASE
};

fn gemma3n<'g>(m: &Net<'g>) -> Tensor<'g> {
    let h = m.hparams();
    let (n, active) = (h.streams, h.active_stream);
    let x = m.embed();
    let inputs = m.layer_inputs(x);
    let mut kept = Kept::default();
    let mut streams = spread(m, x);
    for l in m.layers() {
        let predicted =
            streams + m.mix(l.linear(router(&l, stream(streams, active, n)), Role::AltupPredict), streams, n, n);
        let x = stream(predicted, active, n);
        let normed = l.rms_norm(x, Role::AttnNorm);
        let side = l.linear(l.linear(normed, Role::LaurelLeft), Role::LaurelRight);
        let side = normed + l.rms_norm(side, Role::LaurelNorm);
        let attended = x + l.rms_norm(kept.attention(m, &l, normed), Role::PostAttnNorm);
        let both = (attended + side).map(Unary::Scale(std::f32::consts::FRAC_1_SQRT_2));
        let mlp = sparse_mlp(&l, l.rms_norm(both, Role::FfnNorm));
        let y = both + l.rms_norm(mlp, Role::PostFfnNorm);
        // What the layer changed goes to every stream, by weights of its own.
        let weights = l.linear(router(&l, y), Role::AltupCorrect).map(Unary::Shift(1.0));
        let corrected = predicted + m.mix(weights, y.with(Binary::Sub, x), 1, n);
        let first = stream(corrected, active, n);
        let first = if h.scaled_stream { first * l.vector(Role::AltupScale) } else { first };
        let added = l.per_layer(first, inputs);
        let all_but_first: Vec<f32> = (0..n).map(|i| if i == 0 { 0.0 } else { 1.0 }).collect();
        streams = corrected + m.mix(m.values(&all_but_first), added, 1, n);
    }
    m.end();
    m.logits(m.rms_norm(merge(m, streams.wanted_rows()), Role::OutputNorm))
}

/// One of the streams.
fn stream<'g>(streams: Tensor<'g>, at: u32, n: u32) -> Tensor<'g> {
    let width = streams.width() / n.max(1);
    streams.columns(at * width, width)
}

/// The root of the mean square of each row, `[rows, 1]`.
fn magnitude(x: Tensor<'_>) -> Tensor<'_> {
    x.map(Unary::Square).mean().map(Unary::Sqrt)
}

/// The embedding, and what a map makes of it for each further stream, as large as the embedding: `[rows, streams * width]`.
fn spread<'g>(m: &Net<'g>, x: Tensor<'g>) -> Tensor<'g> {
    let others = (1..m.hparams().streams).map(|i| as_large(m, m.linear_item(x, Role::AltupProjection, i - 1), x));
    let all: Vec<Tensor<'g>> = std::iter::once(x).chain(others).collect();
    m.beside(&all)
}

/// The mean of the first stream and what a map makes of each other, as large as the first.
fn merge<'g>(m: &Net<'g>, streams: Tensor<'g>) -> Tensor<'g> {
    let n = m.hparams().streams;
    let first = stream(streams, 0, n);
    let mut sum = first;
    for i in 1..n {
        sum += as_large(m, m.linear_item(stream(streams, i, n), Role::AltupUnembedding, i - 1), first);
    }
    sum.map(Unary::Scale(1.0 / n as f32))
}

/// The least mean square that is divided by.
const LEAST: f32 = 1e-5;

/// `x` scaled to the magnitude of another value.
fn as_large<'g>(m: &Net<'g>, x: Tensor<'g>, like: Tensor<'g>) -> Tensor<'g> {
    let own = x.map(Unary::Square).mean().with(Binary::Max, m.values(&[LEAST])).map(Unary::Sqrt);
    x * magnitude(like).with(Binary::Div, own)
}

/// How much each stream counts, -1 to 1, by one of them.
fn router<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
    let normed = l.rms_norm(x, Role::AltupRouterNorm).map(Unary::Scale(1.0 / x.width().max(1) as f32));
    l.linear(normed, Role::AltupRouter).map(Unary::Tanh)
}

/// A gated feed-forward layer in which only gates far above their row's mean open.
fn sparse_mlp<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
    let [mut gate, up] = l.gate_up(x);
    if let Some(deviations) = l.sparsity() {
        let centred = gate.with(Binary::Sub, gate.mean());
        let least = magnitude(centred).map(Unary::Scale(deviations));
        gate = centred.with(Binary::Sub, least).map(Unary::Relu);
    }
    l.linear(gate.map(l.activation()) * up, Role::FfnDown)
}

/// Keys and values of the layers so far.
#[derive(Default)]
struct Kept<'g>(Vec<(u32, [Tensor<'g>; 2])>);

impl<'g> Kept<'g> {
    /// Attention with norms of each head of queries, keys and values, to the layer's own keys or an earlier one's.
    fn attention(&mut self, m: &Net<'g>, l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
        let h = m.hparams();
        let q = l.rope(l.head_norm(l.linear(x, Role::AttnQ), Role::QNorm));
        let from = h.keys_of.at(l.index);
        let known = self.0.iter().find(|(layer, _)| *layer == from).map(|(_, kv)| *kv);
        let kv = known.unwrap_or_else(|| {
            let k = l.linear(x, Role::AttnK);
            let as_keys = h.keys_are_values && !h.windowed.at(l.index) && !l.has(Role::AttnV);
            let v = if as_keys { k } else { l.linear(x, Role::AttnV) };
            let k = l.rope(l.head_norm(k, Role::KNorm));
            let kv = l.remember(k, m.plain_norm(v, h.value_dim.at(l.index)));
            self.0.push((l.index, kv));
            kv
        });
        l.linear(l.attend(q, kv), Role::AttnOutput)
    }
}

impl<'g> Net<'g> {
    /// What each layer gets of its own: an embedding of the token and a map of the model's, `[rows, layers * width]`.
    fn layer_inputs(&self, x: Tensor<'g>) -> Tensor<'g> {
        let h = self.hparams();
        let width = h.per_layer_input;
        let own = self.embed_by(Role::PerLayerEmbedding).map(Unary::Scale(f64::from(width).sqrt() as f32));
        let scale = f64::from(h.hidden_size).powf(-0.5) as f32;
        let mapped = self.project(x, Role::PerLayerProjection).map(Unary::Scale(scale));
        let mapped = self.group_norm(mapped, Role::PerLayerProjectionNorm, width);
        (mapped + own).map(Unary::Scale(std::f32::consts::FRAC_1_SQRT_2))
    }
}

impl<'g> Layer<'_, 'g> {
    /// What the layer's own input adds.
    fn per_layer(&self, x: Tensor<'g>, inputs: Tensor<'g>) -> Tensor<'g> {
        let gate = self.linear(x, Role::PerLayerGate).map(self.activation());
        let width = gate.width();
        let own = gate * inputs.columns(self.index * width, width);
        self.rms_norm(self.linear(own, Role::PerLayerOut), Role::PerLayerOutNorm)
    }
}

fn gemma3n_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    common_numbers(h, numbers)?;
    if h.per_layer_input == 0 {
        return Err(numbers.missing(Key::PerLayerInput));
    }
    h.streams = numbers.count(Key::AltupInputs, 0)?;
    h.active_stream = numbers.optional(Key::AltupActive, 0)?.unwrap_or(0);
    h.scaled_stream = numbers.flag(Key::AltupScaled)?.unwrap_or(true);
    let wide = u64::from(h.streams) * u64::from(h.streams).max(u64::from(h.hidden_size));
    if h.active_stream >= h.streams || wide >= 1 << 24 {
        let what = format!(
            "{} residual streams of {} values, of which {} is active",
            h.streams, h.hidden_size, h.active_stream
        );
        return Err(Fault::new(Blame::File, what));
    }
    h.sparsity =
        PerLayer::collect(h.layers, |layer| sparsity(numbers, h.layers, h.intermediate_size.at(layer), layer))?;
    Ok(())
}

/// Standard deviations above the mean from which a gate counts, in the layer.
fn sparsity(numbers: &Numbers<'_>, layers: u32, width: u32, layer: u32) -> Result<Option<f32>> {
    let stated = match numbers.find(Key::Sparsity) {
        Some((key, value)) => {
            let one = match value {
                MetaValue::Array(all) => all.head.get(layer as usize).and_then(MetaValue::number),
                value => value.number(),
            };
            let wrong = || Fault::new(Blame::File, format!("{key}: a number for each of {layers} layers expected"));
            Some(one.filter(|n| !n.is_nan()).ok_or_else(wrong)?)
        }
        None => None,
    };
    let gguf = numbers.form() == Form::Gguf;
    let deviations = match stated {
        // Minus infinity: none stays shut.
        Some(deviations) if gguf => Some(deviations).filter(|d| *d > f64::from(f32::MIN)),
        Some(part) if part >= 1.0 => {
            let key = numbers.spelling(Key::Sparsity);
            return Err(Fault::new(Blame::File, format!("{key}: a part below 1 expected, {part} found")));
        }
        Some(part) => (part > 0.0).then(|| normal_quantile(part)),
        // The first ten layers of models with more.
        None => (layers > 10 && layer < 10).then(|| normal_quantile(0.95)),
    };
    // The file's own runner divides squares by one less than the width.
    let n = f64::from(width);
    let larger = if gguf { (n / (n - 1.0).max(1.0)).sqrt() } else { 1.0 };
    Ok(deviations.map(|d| (d * larger) as f32))
}

/// The value below which a standard normal variable lies with probability `p`.
///
/// By Newton's steps on the distribution function, which is summed as a series (Abramowitz and Stegun 26.2.10 and 26.2.11).
fn normal_quantile(p: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let below = |x: f64| {
        let (mut term, mut sum, mut k) = (x, x, 1.0);
        while f64::abs(term) > 1e-18 * f64::abs(sum) && k < 400.0 {
            term *= x * x / (2.0 * k + 1.0);
            sum += term;
            k += 1.0;
        }
        0.5 + density(x) * sum
    };
    let mut x = 0.0;
    for _ in 0..60 {
        // A step of at most one: the density vanishes far out.
        x += ((p - below(x)) / density(x)).clamp(-1.0, 1.0);
    }
    x
}

/// Gemma 4's text model (transformers `modeling_gemma4.py`; llama.cpp `src/models/gemma4.cpp`).
pub(super) static GEMMA4: Architecture = Architecture {
    name: "gemma4",
    gguf: &["gemma4"],
    model_types: &["gemma4_text"],
    tensors: &[&[needed(Role::LayerScale), needed(Role::AttnV).with_own_values()], ENDS, LAYER, PER_LAYER],
    closed: false,
    activation: Unary::GeluTanh,
    window_pattern: Some(6),
    local_rope: true,
    adjust: Some(gemma4_numbers),
    forward: Some(gemma4),
    ..BASE
};

fn gemma4<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    let inputs = (m.hparams().per_layer_input > 0).then(|| m.layer_inputs(x));
    let mut kept = Kept::default();
    for l in m.layers() {
        let h = kept.attention(m, &l, l.rms_norm(x, Role::AttnNorm));
        x += l.rms_norm(h, Role::PostAttnNorm);
        let h = l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
        x += l.rms_norm(h, Role::PostFfnNorm);
        if let Some(inputs) = inputs {
            x += l.per_layer(x, inputs);
        }
        if l.has(Role::LayerScale) {
            x = x * l.vector(Role::LayerScale);
        }
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

fn gemma4_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    common_numbers(h, numbers)?;
    // A file without a map for values means it; a folder says so.
    h.keys_are_values = numbers.form() == Form::Gguf || numbers.flag(Key::KeysAreValues)?.unwrap_or(false);
    if matches!(numbers.find(Key::Bidirectional), Some((_, MetaValue::String(kind))) if kind == "all") {
        return Err(Fault::unsupported("Gemma that looks at what comes after a token cannot be run yet"));
    }
    let routed = |name: &str| name.contains(".ffn_gate_inp.") || name.contains(".router.");
    match numbers.model().tensors.iter().any(|t| routed(&t.name)) {
        true => Err(Fault::unsupported("Gemma 4 with experts cannot be run yet")),
        false => Ok(()),
    }
}

/// What both have in common.
fn common_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.embedding_scale = Some(f64::from(h.hidden_size).sqrt() as f32);
    h.score_scale = Some(1.0);
    h.per_layer_input = numbers.optional(Key::PerLayerInput, 0)?.unwrap_or(0);
    let wide = u64::from(h.layers) * u64::from(h.per_layer_input);
    if wide >= 1 << 24 {
        let what =
            format!("{} layers with an input of {} values each are more than is run", h.layers, h.per_layer_input);
        return Err(Fault::limit(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (p, x) in [(0.5, 0.0), (0.95, 1.644_853_626_951), (0.975, 1.959_963_984_540), (0.01, -2.326_347_874_041)] {
            assert!((normal_quantile(p) - x).abs() < 1e-9, "{p}: {}", normal_quantile(p));
        }
    }
}
