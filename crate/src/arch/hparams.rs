//! The hyper-parameters of a model that is to be run: typed, checked, by layer where layers may differ.

use super::{
    Architecture, Form, Key, Numbers, Ssm,
    numbers::{item, say, wrong},
};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Pairing, Rotation, Unary},
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
    /// Layers that carry a state, where there are such.
    pub ssm: Option<Ssm>,
    /// What a selective scan is steered by is normed without weights, with this under the root.
    pub scan_eps: Option<f32>,
    /// A recurrence's decay is stored as `log(-w)`.
    pub decay_log: bool,
    /// Rows that a short convolution looks at.
    pub conv_taps: u32,
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
            ssm: None,
            scan_eps: None,
            decay_log: false,
            conv_taps: 0,
        };
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
                return bad(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
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
