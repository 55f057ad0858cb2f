//! What a file is for: a model, or one of the things that lie beside models.

use crate::model::{FileRole, FormatId, MetaValue, ModelFile};

/// Architectures of image and video models that ComfyUI-GGUF and stable-diffusion.cpp write into GGUF files.
/// Source: ComfyUI-GGUF `loader.py` (IMG_ARCH_LIST, and "pig", which it takes as one).
pub(super) const IMAGE_ARCHITECTURES: &[&str] = &[
    "aura",
    "cosmos",
    "flux",
    "hidream",
    "hyvid",
    "ltxv",
    "lumina2",
    "pig",
    "qwen_image",
    "sd1",
    "sd3",
    "sdxl",
    "wan",
];
/// Architectures that draft tokens for another model (llama.cpp `src/models/{eagle3,dflash,gemma4-assistant}.cpp`).
const DRAFT_ARCHITECTURES: &[&str] = &["dflash", "eagle3", "gemma4-assistant"];
/// What names of classes of draft heads hold (vLLM `model_executor/models/registry.py`, _SPECULATIVE_DECODING_MODELS).
const DRAFT_CLASSES: &[&str] = &["Eagle", "EAGLE", "Medusa", "MLPSpeculator", "DFlash", "DraftModel"];

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model with its weights, or a part of one.
    Model,
    /// A vocabulary, perhaps with its embedding, without layers.
    Vocabulary,
    /// A change of another model: LoRA and its kin.
    Adapter,
    /// An encoder of images or sound that goes before a language model.
    Projector,
    /// Statistics that guide quantization.
    ImportanceMatrix,
    /// Directions that are added between layers.
    ControlVector,
    /// Layers that draft tokens for another model: EAGLE, MTP, Medusa.
    DraftHead,
    /// A model that makes images or video.
    ImageModel,
    /// Several models with a list of their parts (diffusers).
    Pipeline,
    /// A configuration without weights.
    Description,
    /// A tokenizer alone.
    Tokenizer,
    /// Nothing that is known: no tensor and no vocabulary.
    Empty,
}

impl Kind {
    /// The kind of an opened file or folder.
    pub fn of(model: &ModelFile) -> Self {
        match model.format {
            FormatId::Tokenizer => Self::Tokenizer,
            FormatId::Gguf => gguf(model),
            FormatId::Imatrix => Self::ImportanceMatrix,
            FormatId::Ggml if ggml_adapter(model) => Self::Adapter,
            FormatId::Safetensors | FormatId::PyTorch => folder(model),
            _ => Self::Model,
        }
    }
    /// A few words for people: "an importance matrix".
    pub fn words(self) -> &'static str {
        match self {
            Self::Model => "a model",
            Self::Vocabulary => "a vocabulary without a model's layers",
            Self::Adapter => "an adapter: a change of another model",
            Self::Projector => "a projector (mmproj): the part of a model that sees or hears",
            Self::ImportanceMatrix => "an importance matrix: statistics that guide quantization",
            Self::ControlVector => "a control vector: directions that are added between a model's layers",
            Self::DraftHead => "a draft head: it guesses tokens that another model then checks",
            Self::ImageModel => "a model of images or video",
            Self::Pipeline => "a pipeline of several models",
            Self::Description => "a description without weights",
            Self::Tokenizer => "a tokenizer",
            Self::Empty => "a file without tensors and without a vocabulary",
        }
    }
}

/// Adapters of before GGUF (ggla).
fn ggml_adapter(model: &ModelFile) -> bool {
    model.metadata.string("ggml.program").is_some_and(|program| program.contains("LoRA"))
}

/// True where there are tensors and all have such names.
fn all_named(model: &ModelFile, is: impl Fn(&str) -> bool) -> bool {
    !model.tensors.is_empty() && model.tensors.iter().all(|t| is(&t.name))
}

fn starts(model: &ModelFile, start: &str) -> bool {
    model.metadata.iter().any(|(key, _)| key.starts_with(start))
}

fn gguf(model: &ModelFile) -> Kind {
    let meta = &model.metadata;
    let kind = meta.string("general.type").unwrap_or_default();
    let arch = meta.string("general.architecture").unwrap_or_default();
    let statistics = |n: &str| n.ends_with(".in_sum2") || n.ends_with(".counts");
    if kind == "imatrix" || arch == "imatrix" || starts(model, "imatrix.") || all_named(model, statistics) {
        return Kind::ImportanceMatrix;
    }
    let direction = |n: &str| n.strip_prefix("direction.").is_some_and(|l| l.parse::<u32>().is_ok());
    if kind == "control_vector" || arch == "controlvector" || all_named(model, direction) {
        return Kind::ControlVector;
    }
    let low_rank = |n: &str| n.ends_with(".lora_a") || n.ends_with(".lora_b");
    if kind == "adapter" || meta.get("adapter.type").is_some() || all_named(model, low_rank) {
        return Kind::Adapter;
    }
    let encoders = ["clip.has_vision_encoder", "clip.has_audio_encoder", "clip.has_llava_projector"];
    if kind == "mmproj" || arch == "clip" || encoders.iter().any(|key| meta.get(key).is_some()) {
        return Kind::Projector;
    }
    let diffusion = |n: &str| n.starts_with("model.diffusion_model.");
    if IMAGE_ARCHITECTURES.contains(&arch) || arch.is_empty() && model.tensors.iter().any(|t| diffusion(&t.name)) {
        return Kind::ImageModel;
    }
    if DRAFT_ARCHITECTURES.contains(&arch) || prediction_layers_alone(model, arch) {
        return Kind::DraftHead;
    }
    let listed = meta.array("tokenizer.ggml.tokens").is_some();
    let layered = super::known::Loaded::of(arch).is_none_or(|known| known.layered());
    let beside = |n: &str| n.starts_with("token_embd") || n.starts_with("output") || n.starts_with("rope_freqs");
    match (model.tensors.is_empty(), listed) {
        (true, true) => Kind::Vocabulary,
        // A half of a split, or a file that is cut, lacks layers for another reason.
        (false, true) if layered && whole(model) && all_named(model, beside) => Kind::Vocabulary,
        (true, false) if whole(model) => Kind::Empty,
        _ => Kind::Model,
    }
}

/// True where nothing is cut off and no other file is asked for.
fn whole(model: &ModelFile) -> bool {
    model.cuts.is_empty() && model.awaited.is_empty() && model.metadata.unsigned("split.count").is_none_or(|n| n < 2)
}

/// The layers that predict further tokens (nextn, MTP), without those that they lie behind.
fn prediction_layers_alone(model: &ModelFile, arch: &str) -> bool {
    let ahead = model.metadata.unsigned(&format!("{arch}.nextn_predict_layers")).unwrap_or(0);
    let has = |start: &str| model.tensors.iter().any(|t| t.name.starts_with(start));
    // The condition is llama.cpp's own (`mtp_only` in src/models).
    ahead > 0 && whole(model) && has("blk.") && !has("blk.0.attn_norm.weight")
}

fn folder(model: &ModelFile) -> Kind {
    let meta = &model.metadata;
    if starts(model, "model_index.") {
        return Kind::Pipeline;
    }
    if adapter_alone(model) || all_named(model, low_rank) {
        return Kind::Adapter;
    }
    if description(model) {
        return if starts(model, "adapter_config.") { Kind::Adapter } else { Kind::Description };
    }
    let class = match meta.array("config.architectures").and_then(|a| a.head.first()) {
        Some(MetaValue::String(class)) => class.as_str(),
        _ => "",
    };
    let kind = meta.string("config.model_type").unwrap_or_default();
    let has = |start: &str| model.tensors.iter().any(|t| t.name.starts_with(start));
    let named = DRAFT_CLASSES.iter().any(|part| class.contains(part)) || class.ends_with("MTP");
    let typed = matches!(kind, "eagle" | "eagle3" | "medusa" | "mlp_speculator") || kind.ends_with("_mtp");
    // EAGLE's heads join a hidden state and an embedding (fc), Medusa's stand beside the output head.
    let built = has("fc.weight") && (has("layers.0.") || has("midlayer.")) || has("medusa_head.");
    if named || typed || built || starts(model, "config.speculators_") || all_named(model, |n| n.contains("mtp.")) {
        return Kind::DraftHead;
    }
    let unconfigured = !super::facts::configured(model);
    if unconfigured && (has("model.diffusion_model.") || has("double_blocks.0.") || has("first_stage_model.")) {
        return Kind::ImageModel;
    }
    Kind::Model
}

/// A tensor's name in the ways in which PEFT, diffusers and kohya's scripts name low-rank pairs.
fn low_rank(name: &str) -> bool {
    ["lora_A", "lora_B", "lora_down", "lora_up", "lora_embedding_", ".lokr_", ".hada_", "lora_magnitude"]
        .iter()
        .any(|part| name.contains(part))
        || name.starts_with("lora_") && name.ends_with(".alpha")
}

/// True where the weights that were opened are an adapter's by their name.
pub(crate) fn adapter_alone(model: &ModelFile) -> bool {
    let first = model.files.first().map_or("", |f| f.name.as_str());
    first.rsplit('/').next().is_some_and(|base| base.starts_with("adapter_model."))
}

/// True for a folder that describes a model and holds none of its weights.
pub(crate) fn description(model: &ModelFile) -> bool {
    let describes =
        |role: &FileRole| matches!(role, FileRole::Configuration | FileRole::AdapterConfiguration | FileRole::Pipeline);
    model.tensors.is_empty()
        && model.format != FormatId::Tokenizer
        && model.files.iter().any(|f| describes(&f.role))
        && !model.files.iter().any(|f| f.role.is_weights())
}
