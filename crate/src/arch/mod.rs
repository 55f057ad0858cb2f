//! What an architecture is: its hyper-parameters, its tensors and its forward pass, each in one place.
//!
//! [`KEYS`] has a row for each hyper-parameter, [`ROLES`] one for each kind of tensor, [`ARCHITECTURES`] one for each
//! architecture: which tensors it has, and where its forward pass is. Engine, checks, reports and writers read these.

mod blocks;
mod families;
mod hparams;
mod keys;
mod lora;
mod names;
mod net;
mod numbers;
mod recurrent;
mod rope;
mod support;
mod tensors;
mod weights;

pub use families::ARCHITECTURES;
pub use hparams::{Hparams, Latent, PerLayer, Relative};
pub use keys::{Default, KEYS, Key, KeyRow, meaning};
pub use lora::adapt;
pub use names::{Names, Slot, Slots, canonical};
pub use net::{Layer, Net};
pub use numbers::Numbers;
pub use recurrent::Ssm;
pub use support::{Support, support};
pub use tensors::{Dim, Folder, Need, ROLES, Role, RoleRow, Row};

use numbers::{CONFIG, TEXT};
use weights::Weights;

use crate::{
    fault::{Fault, Result},
    ir::{Builder, Gating, Graph, Pairing, Source, Tensor, Unary},
    model::{FileRole, FormatId, MetaValue, ModelFile},
};

/// The two ways to spell an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A GGUF file.
    Gguf,
    /// Weights with a `config.json` beside them, as the transformers library saves them; files of rwkv.cpp, whose tensors have
    /// the names that training gave them.
    Folder,
}

impl Form {
    /// The form of a model; `None` for models of another kind, and for weights without their configuration.
    pub fn of(model: &ModelFile) -> Option<Self> {
        // A checkpoint may keep a `config` of another kind in itself.
        let configured = || model.files.iter().any(|f| f.role == FileRole::Configuration);
        match model.format {
            FormatId::Gguf => Some(Self::Gguf),
            FormatId::Safetensors | FormatId::PyTorch if configured() => Some(Self::Folder),
            FormatId::Ggml if model.metadata.string("ggml.program") == Some("rwkv.cpp") => Some(Self::Folder),
            _ => None,
        }
    }
}

/// A forward pass: from the step's inputs to logits (of the rows that want a result) or hidden states (of all rows).
pub type Forward = for<'g> fn(&Net<'g>) -> Tensor<'g>;

/// A number that an architecture fixes, or has where a model states none.
#[derive(Debug)]
pub struct Rule {
    /// Which.
    pub key: Key,
    /// In this form alone.
    pub form: Option<Form>,
    /// What it is.
    pub value: Dim,
    /// Also where the model states another.
    pub always: bool,
    /// In models of this kind alone.
    pub when: Option<fn(&ModelFile) -> bool>,
}

/// An architecture.
#[derive(Debug)]
pub struct Architecture {
    /// The name for people.
    pub name: &'static str,
    /// Names in `general.architecture` of GGUF files.
    pub gguf: &'static [&'static str],
    /// Names in `model_type` of config.json.
    pub model_types: &'static [&'static str],
    /// Tensors, in groups that architectures share; the first row of a role counts.
    pub tensors: &'static [&'static [Row]],
    /// Names of tensors beside those, which no forward pass reads.
    pub extras: &'static [&'static str],
    /// True where files have no tensors but these.
    pub closed: bool,
    /// Numbers that do not follow the table of hyper-parameters.
    pub rules: &'static [Rule],
    /// Numbers that must be worked out from others; `None` for all that need not.
    pub worked_out: fn(&Numbers<'_>, Key, u32) -> Option<u64>,
    /// LayerNorm instead of RMSNorm.
    pub layer_norm: bool,
    /// Rows see all rows of their sequence, and the results are hidden states.
    pub encoder: bool,
    /// Some layers have no attention, or none has.
    pub recurrent: bool,
    /// Positions rotate queries and keys; else they are added to the embedding, or left out.
    pub rotary: bool,
    /// Which values of a head rotate together in GGUF files.
    pub gguf_pairing: Pairing,
    /// The same in folders.
    pub folder_pairing: Pairing,
    /// Which part of a head is rotated where nothing says so.
    pub rotary_part: f64,
    /// How experts are weighed where the model does not say, and whether the weights of the chosen are divided by their sum.
    pub routing: (Gating, bool),
    /// The largest exponent of the slopes by which scores fall with distance, where positions are told so and the model says none.
    pub slopes: Option<f32>,
    /// Layers with a window have rotary angles of their own.
    pub local_rope: bool,
    /// The activation where the model names none.
    pub activation: Unary,
    /// Every how many layers one has no window, where the model does not say.
    pub window_pattern: Option<u32>,
    /// Of each such run of layers the first has no window, not the last.
    pub full_layer_first: bool,
    /// What it is where a folder asks for sight of what comes after a token.
    pub both_ways: Option<&'static Architecture>,
    /// A window in config.json counts only with `use_sliding_window`.
    pub asks_for_window: bool,
    /// What the numbers need beside: refuses what the forward pass cannot do.
    adjust: Option<fn(&mut Hparams, &Numbers<'_>) -> Result<()>>,
    /// The forward pass, where it is written.
    pub forward: Option<Forward>,
    /// What a forward pass would need that is not there yet.
    pub lacks: &'static str,
}

impl Architecture {
    /// True where values of a head that rotate together lie side by side in GGUF files, and half a head apart in folders.
    pub fn rearranges_heads(&self) -> bool {
        (self.folder_pairing, self.gguf_pairing) == (Pairing::Halves, Pairing::Interleaved)
    }
    /// The tensors; where groups have rows of one role, the first.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let groups = self.tensors;
        groups.iter().enumerate().flat_map(move |(g, group)| {
            group.iter().filter(move |row| !groups[..g].iter().any(|before| before.iter().any(|r| r.role == row.role)))
        })
    }
}

/// The architecture's name as a model states it, and its row.
fn named(model: &ModelFile, form: Form) -> Option<(&str, Option<&'static Architecture>)> {
    let meta = &model.metadata;
    if form == Form::Gguf {
        let name = meta.string("general.architecture")?;
        return Some((name, ARCHITECTURES.iter().copied().find(|a| a.gguf.contains(&name))));
    }
    if model.format == FormatId::Ggml {
        // Later versions have the norm of heads.
        let later = model.tensors.iter().any(|t| t.name.contains(".att.ln_x."));
        return Some(if later { ("rwkv5 or later", None) } else { ("rwkv", Some(&families::RWKV)) });
    }
    let by_type = |name: &str| ARCHITECTURES.iter().copied().find(|a| a.model_types.contains(&name));
    let stated = meta.string("config.model_type");
    let text = meta.string("config.text_config.model_type");
    if let Some((name, row)) = [stated, text].into_iter().flatten().find_map(|name| Some((name, by_type(name)?))) {
        let both_ways =
            [CONFIG, TEXT].iter().any(|p| meta.boolean(&format!("{p}use_bidirectional_attention")) == Some(true));
        return Some((name, row.both_ways.filter(|_| both_ways).or(Some(row))));
    }
    // Older folders name the class alone.
    let class = match meta.array("config.architectures").and_then(|a| a.head.first()) {
        Some(MetaValue::String(class)) => Some(class.as_str()),
        _ => None,
    };
    match stated {
        Some(name) => Some((name, None)),
        None => class.map(|class| (class, by_class(class))),
    }
}

/// "GPTNeoXForCausalLM" is of the type "gpt_neox".
fn by_class(class: &str) -> Option<&'static Architecture> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let stem = class.split("For").next().unwrap_or(class);
    let stem = ["LMHeadModel", "Model"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    ARCHITECTURES.iter().copied().find(|a| a.model_types.iter().any(|t| plain(t) == plain(stem)))
}

/// A model's architecture and its numbers.
///
/// # Errors
/// The model names no architecture, or one that the table does not have.
pub fn of(model: &ModelFile) -> Result<(&'static Architecture, Numbers<'_>)> {
    let runnable = |n: &Numbers<'_>| !n.name().is_empty() && model.format != FormatId::PyTorch;
    let Some(numbers) = Numbers::of(model).filter(runnable) else {
        return Err(Fault::unsupported(match model.format {
            FormatId::Gguf => "the file has no general.architecture, which would state what it computes".to_owned(),
            FormatId::Safetensors => {
                "no config.json with a model_type came with the weights: open the whole folder to run it".to_owned()
            }
            FormatId::Onnx => "operator graphs cannot be run yet".to_owned(),
            other => {
                let name = other.name();
                format!(
                    "{name} files are inspected, not run: a GGUF file or a Hugging Face folder with safetensors can be run"
                )
            }
        }));
    };
    match numbers.architecture() {
        Some(architecture) => Ok((architecture, numbers)),
        None => {
            let known: Vec<&str> = ARCHITECTURES.iter().filter(|a| a.forward.is_some()).map(|a| a.name).collect();
            let name: String = numbers.name().chars().take(60).collect();
            let what = format!("architecture {name:?} cannot be run yet (known: {})", known.join(", "));
            Err(Fault::unsupported(what))
        }
    }
}

/// A model's computation, checked against its tensors.
#[derive(Debug)]
pub struct Built {
    /// The graph. Its result is "logits" `[outputs, vocab_size]`, of encoders "hidden" `[rows, hidden_size]`.
    pub graph: Graph,
    /// The numbers.
    pub hparams: Hparams,
    /// What a person may want to know: tensors that are not read.
    pub notes: Vec<String>,
}

/// Builds a model's graph; no byte of its weights is read.
///
/// # Errors
/// As [`of`]; the forward pass is not written; metadata is missing or contradictory, or asks for what cannot be done;
/// a tensor is missing, of another shape than the metadata says, or cannot be decoded.
pub fn build(model: &ModelFile) -> Result<Built> {
    let (architecture, numbers) = of(model)?;
    let Some(forward) = architecture.forward else {
        let what = format!("architecture {:?} cannot be run yet: it needs {}", architecture.name, architecture.lacks);
        return Err(Fault::unsupported(what));
    };
    let mut hparams = Hparams::read(&numbers, architecture)?;
    let weights = Weights::new(&numbers, architecture);
    if architecture.rotary {
        let (rope, local) =
            rope::read(&numbers, &weights, &hparams, architecture.rotary_part, architecture.local_rope)?;
        (hparams.rope, hparams.local_rope) = (Some(rope), local);
    }
    let builder = Builder::new();
    {
        let net = Net::new(&builder, &hparams, &weights);
        let result = forward(&net);
        builder.output(if architecture.encoder { "hidden" } else { "logits" }, result);
    }
    let graph = builder.finish()?;
    let notes = unread(model, architecture, numbers.form(), &graph);
    Ok(Built { graph, hparams, notes })
}

/// Tensors that the architecture has and the graph does not read.
fn unread(model: &ModelFile, architecture: &'static Architecture, form: Form, graph: &Graph) -> Vec<String> {
    let mut read = vec![false; model.tensors.len()];
    let sources = graph.weights.iter().flat_map(|w| w.sources.iter().flat_map(Source::tensors));
    for tensor in sources.chain(graph.rotations.iter().flat_map(|r| r.tensors())) {
        read[tensor] = true;
    }
    let slots = Slots::new(architecture, form);
    let known = |name: &str| slots.find(name).is_some_and(|s| s.row.is_some());
    let mut left = model.tensors.iter().zip(read).filter(|(t, read)| !read && known(&t.name)).map(|(t, _)| t);
    let Some(first) = left.next() else { return Vec::new() };
    let more = left.count();
    let and = if more > 0 { format!(" and {more} more like it") } else { String::new() };
    vec![format!("tensor {}{and} is not read by the forward pass", first.name)]
}
