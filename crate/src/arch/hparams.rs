//! The hyper-parameters of a model that is to be run: typed, checked, by layer where layers may differ.

use super::{
    Architecture, Form, Key, Numbers, Ssm,
    numbers::{item, say, wrong},
};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Gating, Pairing, Rotation, Routing, Unary},
    model::MetaValue,
};

/// Layers that are run at most: the largest models have about 130.
const MAX_LAYERS: u32 = 4096;
/// Values of a row that are run at most: the largest models have rows of about 200,000 between two maps.
const MAX_WIDTH: u64 = 1 << 24;

/// A number that may differ from layer to layer.
#[derive(Debug, Clone, PartialEq)]
pub enum PerLayer<T> {
    /// The same in all.
    Same(T),
    /// One a layer.
    Each(Vec<T>),
}

impl<T: Copy + PartialEq> PerLayer<T> {
    /// One value a layer; kept once where all are equal.
    pub(super) fn collect(layers: u32, of: impl FnMut(u32) -> Result<T>) -> Result<Self> {
        let all = (0..layers).map(of).collect::<Result<Vec<T>>>()?;
        Ok(match all.first() {
            Some(first) if all.iter().all(|v| v == first) => Self::Same(*first),
            _ => Self::Each(all),
        })
    }
    /// The value of a layer; of layers beyond the last, that of the last.
    ///
    /// # Panics
    /// There is no layer at all, which [`Hparams::read`] refuses.
    pub fn at(&self, layer: u32) -> T {
        match self {
            Self::Same(value) => *value,
            Self::Each(all) => all[(layer as usize).min(all.len() - 1)],
        }
    }
    /// The values of all layers, each once or more.
    fn values(&self) -> &[T] {
        match self {
            Self::Same(value) => std::slice::from_ref(value),
            Self::Each(all) => all,
        }
    }
}

/// The numbers of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Hparams {
    /// The architecture as the model names it: "llama", "qwen2".
    pub architecture: String,
    /// Blocks.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// The longest sequence the model was made for.
    pub context: u32,
    /// Query heads.
    pub heads: PerLayer<u32>,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: PerLayer<u32>,
    /// Width of a query or key head.
    pub head_dim: PerLayer<u32>,
    /// Width of a value head.
    pub value_dim: PerLayer<u32>,
    /// Width of the feed-forward layer.
    pub intermediate_size: PerLayer<u32>,
    /// Positions that a layer looks back at, the own one included; `None`: all.
    pub window: PerLayer<Option<u32>>,
    /// Layers that are of the kind with a window, also where it is too wide to hide anything.
    pub windowed: PerLayer<bool>,
    /// Layers that rotate queries and keys, where the architecture rotates.
    pub rotated: PerLayer<bool>,
    /// Added under the root in norms.
    pub norm_eps: f32,
    /// Between the two maps of the feed-forward layer.
    pub activation: Unary,
    /// Rotary angles, where the architecture rotates.
    pub rope: Option<Rotation>,
    /// Those of layers with a window, where they are others.
    pub local_rope: Option<Rotation>,
    /// Which values of a head rotate together.
    pub pairing: Pairing,
    /// Multiplies attention scores; `None`: one over the root of the head's width.
    pub score_scale: Option<f32>,
    /// Attention scores are kept below this by tanh.
    pub score_cap: Option<f32>,
    /// Logits are kept below this by tanh.
    pub logit_cap: Option<f32>,
    /// Multiplies embeddings.
    pub embedding_scale: Option<f32>,
    /// Multiplies what attention and feed-forward layer add.
    pub residual_scale: Option<f32>,
    /// Multiplies logits.
    pub logit_scale: Option<f32>,
    /// Attention and feed-forward layer read the same input.
    pub parallel_residual: bool,
    /// A row sees nothing that comes after it.
    pub causal: bool,
    /// Whether the head is the embedding, where the model says so.
    pub tied: Option<bool>,
    /// The row of the table of learned positions that position 0 has.
    pub first_position: u32,
    /// Experts of a layer; 0 where there are none.
    pub experts: u32,
    /// How experts are chosen, where there are any.
    pub routing: Option<Routing>,
    /// The largest exponent of the slopes by which scores fall with distance, where positions are told so.
    pub slopes: Option<f32>,
    /// Values between the maps of an expert are kept below this.
    pub swiglu_limit: Option<f32>,
    /// Queries, keys and values are kept within plus and minus this.
    pub qkv_clamp: Option<f32>,
    /// Widths of latent attention, where keys and values are made from a narrow row.
    pub latent: Option<Latent>,
    /// The layer whose keys and values each layer looks at: its own, or an earlier one's.
    pub keys_of: PerLayer<u32>,
    /// A layer that has no map for values takes what it has for keys.
    pub keys_are_values: bool,
    /// Width of the embedding that each layer has of its own; 0: none.
    pub per_layer_input: u32,
    /// Residual streams side by side (Gemma 3n); 1 elsewhere.
    pub streams: u32,
    /// The one that layers work on.
    pub active_stream: u32,
    /// What a layer adds to the other streams is scaled first.
    pub scaled_stream: bool,
    /// Gates below the mean of their row plus this times its standard deviation become zero; `None`: all stay.
    pub sparsity: PerLayer<Option<f32>>,
    /// Scores get a bias by distance.
    pub relative: Option<Relative>,
    /// Layers that carry a state, where there are such.
    pub ssm: Option<Ssm>,
    /// What a selective scan is steered by is normed without weights, with this under the root.
    pub scan_eps: Option<f32>,
    /// A recurrence's decay is stored as `log(-w)`.
    pub decay_log: bool,
    /// Rows that a short convolution looks at.
    pub conv_taps: u32,
}

/// The widths of latent attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latent {
    /// Of the row that is remembered, from which keys and values are made.
    pub rank: u32,
    /// Of the part of a query or key head that is made from it, and not rotated.
    pub plain: u32,
    /// Of the part of a head that is rotated; its key is one for all heads.
    pub rotated: u32,
    /// Of a value head.
    pub value: u32,
}

/// T5's relative positions: a bias for each bucket of distances and each head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relative {
    /// Buckets, half of them for keys before the query.
    pub buckets: u32,
    /// The distance from which on all are in one bucket.
    pub most: u32,
}

impl Relative {
    /// The bucket of a distance from query to key: each small distance has its own, larger ones share by their logarithm.
    pub(super) fn bucket(self, distance: i64) -> u32 {
        let half = self.buckets / 2;
        let (behind, exact) = (if distance > 0 { half } else { 0 }, half / 2);
        let n = distance.unsigned_abs() as f32;
        if n < exact as f32 {
            return behind + n as u32;
        }
        // In f32, as transformers has it.
        let (most, exact_f) = (f64::from(self.most), f64::from(exact));
        let share = (n / exact as f32).ln() / (most / exact_f).ln() as f32;
        let beyond = (share * (half - exact) as f32) as u32;
        behind + exact.saturating_add(beyond).min(half - 1)
    }
}

impl Hparams {
    /// Reads and checks all but the rotary angles, which also need the tensors.
    ///
    /// # Errors
    /// A number is missing, is none, or contradicts another; the fault names the key.
    pub(super) fn read(numbers: &Numbers<'_>, architecture: &Architecture) -> Result<Self> {
        let hidden_size = numbers.count(Key::HiddenSize, 0)?;
        let layers = numbers.count(Key::Layers, 0)?;
        if layers > MAX_LAYERS {
            let found = layers.to_string();
            return Err(wrong(&numbers.spelling(Key::Layers), &format!("at most {MAX_LAYERS} layers"), &found));
        }
        // Layers without attention, or without a feed-forward layer, have none of its numbers.
        let each = |key: Key| {
            PerLayer::collect(layers, |l| match architecture.recurrent {
                true => Ok(numbers.optional(key, l)?.unwrap_or(0)),
                false => numbers.count(key, l),
            })
        };
        let context = numbers.count(Key::Context, 0)?;
        let eps = if architecture.layer_norm { Key::LayerNormEps } else { Key::RmsEps };
        let pairing = match numbers.form() {
            Form::Gguf => architecture.gguf_pairing,
            Form::Folder => architecture.folder_pairing,
        };
        let (window, windowed) = windows(numbers, architecture, layers, context)?;
        let multiplier = |key| Ok::<_, Fault>(numbers.positive(key)?.map(|n| n as f32));
        let scalar = numbers.find(Key::QueryScalar).map(|_| numbers.need(Key::QueryScalar)).transpose()?;
        let score_scale = match scalar {
            Some(scalar) => Some(scalar.powf(-0.5) as f32),
            None => numbers.positive(Key::ScoreScale)?.map(|n| n as f32),
        };
        let mut h = Self {
            architecture: numbers.name().to_owned(),
            layers,
            hidden_size,
            vocab_size: vocabulary(numbers)?,
            context,
            heads: each(Key::Heads)?,
            kv_heads: each(Key::KvHeads)?,
            head_dim: each(Key::HeadDim)?,
            value_dim: each(Key::ValueDim)?,
            intermediate_size: each(Key::IntermediateSize)?,
            window,
            windowed,
            rotated: PerLayer::Same(true),
            norm_eps: numbers.need(eps)? as f32,
            activation: activation(numbers)?.unwrap_or(architecture.activation),
            rope: None,
            local_rope: None,
            pairing,
            score_scale,
            score_cap: multiplier(Key::ScoreCap)?,
            logit_cap: multiplier(Key::LogitCap)?,
            embedding_scale: multiplier(Key::EmbeddingScale)?,
            residual_scale: multiplier(Key::ResidualScale)?,
            logit_scale: multiplier(Key::LogitScale)?,
            parallel_residual: numbers.flag(Key::ParallelResidual)?.unwrap_or(true),
            causal: !architecture.encoder,
            tied: numbers.flag(Key::TiedHead)?,
            first_position: 0,
            experts: numbers.optional(Key::Experts, 0)?.unwrap_or(0),
            routing: routing(numbers, architecture)?,
            slopes: match architecture.slopes {
                Some(usual) => Some(multiplier(Key::SlopeExponent)?.unwrap_or(usual)),
                None => None,
            },
            swiglu_limit: None,
            qkv_clamp: clamp(numbers)?,
            latent: None,
            keys_of: PerLayer::Same(0),
            keys_are_values: false,
            per_layer_input: 0,
            streams: 1,
            active_stream: 0,
            scaled_stream: false,
            sparsity: PerLayer::Same(None),
            relative: None,
            ssm: None,
            scan_eps: None,
            decay_log: false,
            conv_taps: 0,
        };
        h.keys_of = PerLayer::collect(layers, |layer| producer(numbers, &h.windowed, layer))?;
        if let Some(adjust) = architecture.adjust {
            adjust(&mut h, numbers)?;
        }
        h.check()?;
        Ok(h)
    }
    /// Width of a row of queries.
    pub fn q_width(&self, layer: u32) -> u32 {
        self.heads.at(layer) * self.head_dim.at(layer)
    }
    /// Width of a row of keys.
    pub fn k_width(&self, layer: u32) -> u32 {
        self.kv_heads.at(layer) * self.head_dim.at(layer)
    }
    /// Width of a row of values.
    pub fn v_width(&self, layer: u32) -> u32 {
        self.kv_heads.at(layer) * self.value_dim.at(layer)
    }
    /// Only layers with a window rotate, where there are such.
    pub(super) fn rotate_in_windows(&mut self) {
        if self.windowed.values().contains(&true) {
            self.rotated = self.windowed.clone();
        }
    }
    /// Relations between the numbers; the tensors' shapes are checked where the graph is built.
    fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Fault::new(Blame::File, what));
        for layer in 0..self.layers {
            let (heads, kv_heads) = (self.heads.at(layer), self.kv_heads.at(layer));
            if kv_heads > 0 && heads % kv_heads != 0 {
                return bad(format!("{heads} query heads cannot share {kv_heads} KV heads evenly"));
            }
            let wide = |n: u32| u64::from(heads) * u64::from(n);
            let widths = [wide(self.head_dim.at(layer)), wide(self.value_dim.at(layer))];
            if let Some(n) = widths.into_iter().find(|n| *n >= MAX_WIDTH) {
                return bad(format!("rows of {n} values are beyond what is run: up to {} are", MAX_WIDTH - 1));
            }
            let varying = [&self.heads, &self.kv_heads, &self.head_dim, &self.value_dim];
            if varying.iter().all(|n| n.values().len() == 1) {
                break;
            }
        }
        let sizes = self.intermediate_size.values().iter().chain([&self.hidden_size]);
        match sizes.max() {
            Some(n) if u64::from(*n) >= MAX_WIDTH => {
                bad(format!("rows of {n} values are beyond what is run: up to {} are", MAX_WIDTH - 1))
            }
            _ => Ok(()),
        }
    }
}

/// How experts are chosen, where the model has any.
fn routing(numbers: &Numbers<'_>, architecture: &Architecture) -> Result<Option<Routing>> {
    if numbers.optional(Key::Experts, 0)?.is_none() {
        return Ok(None);
    }
    let (gating, normalise) = architecture.routing;
    let gating = match numbers.find(Key::Gating) {
        None => gating,
        // llama.cpp `llama_expert_gating_func_type`; 0 is none stated.
        Some((key, MetaValue::Unsigned(n, _))) => match *n {
            0 => gating,
            1 => Gating::Softmax,
            2 => Gating::Sigmoid,
            3 => Gating::SoftmaxOfChosen,
            n => return Err(Fault::unsupported(format!("experts weighed by function {n} cannot be run yet ({key})"))),
        },
        Some((key, MetaValue::String(name))) => match name.as_str() {
            "softmax" => Gating::Softmax,
            "sigmoid" => Gating::Sigmoid,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Fault::unsupported(format!("experts weighed by {other:?} cannot be run yet ({key})")));
            }
        },
        Some((key, other)) => return Err(wrong(&key, "a function of scores", &say(other))),
    };
    // Experts of one width may be used all; a group is all there is where none are stated.
    let count = |key| Ok::<_, Fault>(numbers.optional(key, 0)?.unwrap_or(1));
    Ok(Some(Routing {
        used: numbers.count(Key::ExpertsUsed, 0)?,
        gating,
        groups: count(Key::ExpertGroups)?,
        groups_used: count(Key::ExpertGroupsUsed)?,
        two_of_group: true,
        normalise: numbers.flag(Key::NormalisedWeights)?.unwrap_or(normalise),
        scale: scale(numbers)?,
    }))
}

/// What multiplies experts' weights: of GGUF files 0 is none stated.
fn scale(numbers: &Numbers<'_>) -> Result<f32> {
    match numbers.find(Key::WeightScale) {
        Some((_, MetaValue::Float(n, _))) if *n == 0.0 => Ok(1.0),
        _ => Ok(numbers.positive(Key::WeightScale)?.map_or(1.0, |n| n as f32)),
    }
}

/// What queries, keys and values are kept within; 0 is none.
fn clamp(numbers: &Numbers<'_>) -> Result<Option<f32>> {
    match numbers.find(Key::ClampedQkv) {
        Some((_, MetaValue::Float(n, _))) if *n == 0.0 => Ok(None),
        _ => Ok(numbers.positive(Key::ClampedQkv)?.map(|n| n as f32)),
    }
}

/// The layer whose keys and values a layer looks at: the last of its kind that has some of its own.
fn producer(numbers: &Numbers<'_>, windowed: &PerLayer<bool>, layer: u32) -> Result<u32> {
    if numbers.has_own_keys(layer) {
        return Ok(layer);
    }
    let same = |l: &u32| numbers.has_own_keys(*l) && windowed.at(*l) == windowed.at(layer);
    (0..layer).rev().find(same).ok_or_else(|| {
        let key = numbers.spelling(Key::SharedKvLayers);
        Fault::new(
            Blame::File,
            format!("{key}: layer {layer} shares keys, and no layer of its kind has some of its own"),
        )
    })
}

/// The vocabulary as stated; else the rows of the embedding, which the shape check holds against everything else.
fn vocabulary(numbers: &Numbers<'_>) -> Result<u32> {
    numbers.count(Key::VocabSize, 0)
}

/// The windows of the layers, and which layers are of the kind that has one.
fn windows(
    numbers: &Numbers<'_>,
    architecture: &Architecture,
    layers: u32,
    context: u32,
) -> Result<(PerLayer<Option<u32>>, PerLayer<bool>)> {
    let none = (PerLayer::Same(None), PerLayer::Same(false));
    let Some(window) = numbers.optional(Key::Window, 0)? else { return Ok(none) };
    let asked = numbers.form() == Form::Gguf || numbers.flag(Key::UseWindow)?.unwrap_or(!architecture.asks_for_window);
    if !asked {
        return Ok(none);
    }
    // Encoders state what a layer sees to both sides together.
    let window = if architecture.encoder { window / 2 + 1 } else { window };
    // A window over the whole context hides nothing.
    let window = Some(window).filter(|w| *w < context);
    let by_types = numbers.find(Key::LayerTypes);
    let pattern = numbers.find(Key::WindowPattern);
    let first = numbers.optional(Key::FirstWindowLayer, 0)?.filter(|_| architecture.asks_for_window);
    let nth = |layer: u32, every: u32| if architecture.full_layer_first { layer % every } else { (layer + 1) % every };
    let windowed = PerLayer::collect(layers, |layer| {
        Ok(match (&by_types, &pattern) {
            (Some((key, MetaValue::Array(types))), _) => match item(types, layer) {
                Some(MetaValue::String(kind)) if kind == "sliding_attention" => true,
                Some(MetaValue::String(kind)) if kind == "full_attention" => false,
                Some(MetaValue::String(kind)) => {
                    let kind: String = kind.chars().take(40).collect();
                    return Err(Fault::unsupported(format!("layers of kind {kind:?} cannot be run yet ({key})")));
                }
                _ => return Err(wrong(key, &format!("a kind for layer {layer}"), "none")),
            },
            (_, Some((key, MetaValue::Array(pattern)))) => match item(pattern, layer) {
                Some(MetaValue::Bool(windowed)) => *windowed,
                Some(value) => return Err(wrong(key, "true or false for each layer", &say(value))),
                None => return Err(wrong(key, &format!("a value for layer {layer}"), "none")),
            },
            (_, Some(_)) => {
                let every = numbers.optional(Key::WindowPattern, 0)?;
                every.is_none_or(|n| nth(layer, n) != 0)
            }
            _ => match architecture.window_pattern {
                Some(every) => nth(layer, every) != 0,
                None => first.is_none_or(|first| layer >= first),
            },
        })
    })?;
    let window = PerLayer::collect(layers, |layer| Ok(window.filter(|_| windowed.at(layer))))?;
    Ok((window, windowed))
}

/// The activation as the model names it.
fn activation(numbers: &Numbers<'_>) -> Result<Option<Unary>> {
    let Some(name) = numbers.text(Key::Activation)? else { return Ok(None) };
    // transformers `activations.py` (ACT2FN).
    Ok(Some(match name {
        "silu" | "swish" | "swiglu" => Unary::Silu,
        "gelu" | "gelu_python" => Unary::Gelu,
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" | "gelu_accurate" => Unary::GeluTanh,
        "quick_gelu" => Unary::QuickGelu,
        "relu" => Unary::Relu,
        "relu2" => Unary::ReluSquared,
        "sigmoid" => Unary::Sigmoid,
        "tanh" => Unary::Tanh,
        other => {
            let other: String = other.chars().take(40).collect();
            let known = "silu, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu, relu2, sigmoid, tanh";
            return Err(Fault::unsupported(format!("activation {other:?} cannot be run yet (known: {known})")));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_kept_once_and_others_by_layer() {
        let same = PerLayer::collect(4, |_| Ok(7u32)).unwrap();
        assert_eq!(same, PerLayer::Same(7));
        let each = PerLayer::collect(3, |l| Ok(l + 1)).unwrap();
        assert_eq!((each.at(0), each.at(2), each.at(9)), (1, 3, 3));
    }
}
