//! Rules of llama.cpp, and of programs that load GGUF files by its library or beside it.
//!
//! The order is llama.cpp's own: the container first, then what the file is for, then keys, vocabulary and tensors.

use super::{
    Kind, Rule, Verdict,
    facts::{Facts, shown},
    kind::IMAGE_ARCHITECTURES,
    known::{self, Loaded, MAX_LAYERS, Type},
};
use crate::{
    model::{FormatId, Loader, MetaType, MetaValue},
    tensor::Encoding,
};

/// Rules of llama.cpp.
pub(super) static LLAMA_CPP: &[Rule] = &[
    Rule {
        when: "The file is not GGUF",
        verdict: Verdict::No,
        source: "llama.cpp ggml/src/gguf.cpp (magic)",
        holds: other_format,
    },
    Rule {
        when: "Parts of it are missing, or a file is cut",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model-loader.cpp",
        holds: |f| f.missing(),
    },
    Rule {
        when: "The parts of a split do not fit together",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model-loader.cpp (split.no, split.count, split.tensors.count)",
        holds: split,
    },
    Rule {
        when: "The version of GGUF is 1, or newer than 3",
        verdict: Verdict::No,
        source: "llama.cpp ggml/src/gguf.cpp",
        holds: version,
    },
    Rule {
        when: "Numbers are stored most significant byte first",
        verdict: Verdict::No,
        source: "llama.cpp ggml/src/gguf.cpp",
        holds: big_endian,
    },
    Rule {
        when: "A tensor is of a type that ggml removed or never had",
        verdict: Verdict::No,
        source: "llama.cpp ggml/include/ggml.h, ggml/src/gguf.cpp; known.txt (type)",
        holds: |f| f.model.tensors.iter().find_map(|t| unknown_type(t.encoding, &t.name)),
    },
    Rule {
        when: "It is an importance matrix",
        verdict: Verdict::No,
        source: "llama.cpp tools/imatrix",
        holds: |f| {
            (f.kind == Kind::ImportanceMatrix).then(|| {
                "an importance matrix is no model: llama-quantize reads it (--imatrix) to decide what to keep".into()
            })
        },
    },
    Rule {
        when: "It is a vocabulary without layers",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model.cpp (vocab_only)",
        holds: |f| {
            (f.kind == Kind::Vocabulary).then(|| {
                "a vocabulary without the weights of a model: llama-tokenize reads it (vocab_only), nothing can be generated".into()
            })
        },
    },
    Rule {
        when: "It holds neither tensors nor a vocabulary",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model.cpp",
        holds: |f| (f.kind == Kind::Empty).then(|| "the file holds no tensors".into()),
    },
    Rule {
        when: "A finding says that llama.cpp refuses the container",
        verdict: Verdict::No,
        source: "the readers of this project; llama.cpp ggml/src/gguf.cpp",
        holds: |f| f.container_refused_by(Loader::LlamaCpp),
    },
    Rule {
        when: "It is a projector of a type that is not known",
        verdict: Verdict::No,
        source: "llama.cpp tools/mtmd/clip.cpp; known.txt (projectors)",
        holds: unknown_projector,
    },
    Rule {
        when: "It is a projector",
        verdict: Verdict::Partly,
        source: "llama.cpp src/llama.cpp (\"CLIP cannot be used as main model\"), tools/mtmd",
        holds: |f| {
            (f.kind == Kind::Projector).then(|| {
                "the language model that it belongs to, with this file as --mmproj: \"CLIP cannot be used as main model\"".into()
            })
        },
    },
    Rule {
        when: "It is an adapter that llama.cpp cannot apply",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-adapter.cpp",
        holds: unfit_adapter,
    },
    Rule {
        when: "It is an adapter",
        verdict: Verdict::Partly,
        source: "llama.cpp src/llama-adapter.cpp",
        holds: |f| {
            let base = f.text("general.base_model.0.name");
            let base = if base.is_empty() { String::new() } else { format!(" ({})", shown(base)) };
            let arch = shown(f.architecture().unwrap_or_default());
            (f.kind == Kind::Adapter)
                .then(|| format!("its base model{base}, of the architecture {arch}: this file goes to --lora"))
        },
    },
    Rule {
        when: "It is a control vector whose tensors are no directions",
        verdict: Verdict::No,
        source: "llama.cpp common/common.cpp (common_control_vector_load_one)",
        holds: unfit_directions,
    },
    Rule {
        when: "It is a control vector",
        verdict: Verdict::Partly,
        source: "llama.cpp common/common.cpp (common_control_vector_load_one)",
        holds: |f| {
            let hint = f.text("controlvector.model_hint");
            let of = if hint.is_empty() { String::new() } else { format!(" (of the architecture {})", shown(hint)) };
            (f.kind == Kind::ControlVector)
                .then(|| format!("the base model that it steers{of}: this file goes to --control-vector"))
        },
    },
    Rule {
        when: "It names no architecture",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model.cpp (llama_model_create)",
        holds: |f| {
            f.architecture()
                .is_none()
                .then(|| "general.architecture is missing: \"unknown model architecture: ''\"".into())
        },
    },
    Rule {
        when: "It is a model of images or video",
        verdict: Verdict::No,
        source: "ComfyUI-GGUF loader.py (IMG_ARCH_LIST)",
        holds: |f| {
            let arch = f.architecture().filter(|a| IMAGE_ARCHITECTURES.contains(a))?;
            Some(format!(
                "\"unknown model architecture: '{arch}'\": it makes images; ComfyUI-GGUF and stable-diffusion.cpp load it"
            ))
        },
    },
    Rule {
        when: "Its architecture is not on llama.cpp's list",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-arch.cpp (LLM_ARCH_NAMES); known.txt (arch)",
        holds: |f| {
            let arch = f.architecture().filter(|a| Loaded::of(a).is_none())?;
            Some(format!(
                "\"unknown model architecture: '{}'\" ({} does not list it)",
                shown(arch),
                known::source("arch")
            ))
        },
    },
    Rule {
        when: "Its architecture is on the list and cannot be loaded",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model.cpp (llama_model_mapping)",
        holds: |f| {
            let arch = f.architecture().and_then(Loaded::of).filter(|a| !a.loads())?;
            Some(format!("\"unsupported model architecture: '{}'\"", arch.name))
        },
    },
    Rule {
        when: "A key that its architecture needs is missing, or of another type",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-model.cpp (load_hparams), src/models/*.cpp (load_arch_hparams); known.txt (arch)",
        holds: keys,
    },
    Rule {
        when: "Its vocabulary is missing, or of a kind that is not known",
        verdict: Verdict::No,
        source: "llama.cpp src/llama-vocab.cpp; known.txt (tokenizers, pre-tokenizers)",
        holds: vocabulary,
    },
    Rule {
        when: "A tensor that its architecture needs is missing",
        verdict: Verdict::No,
        source: "llama.cpp src/models/*.cpp (load_arch_tensors); known.txt (arch)",
        holds: tensors,
    },
    Rule {
        when: "A finding says that llama.cpp refuses the model",
        verdict: Verdict::No,
        source: "the checks of this project, each with its source",
        holds: |f| f.refused_by(Loader::LlamaCpp),
    },
    Rule {
        when: "It drafts tokens for another model",
        verdict: Verdict::Partly,
        source: "llama.cpp src/models/eagle3.cpp, dflash.cpp, gemma4-assistant.cpp; common/speculative.cpp",
        holds: |f| {
            (f.kind == Kind::DraftHead).then(|| {
                "the target model whose tokens it drafts: this file goes to --model-draft (-md), the target to --model".into()
            })
        },
    },
    Rule {
        when: "It is an encoder",
        verdict: Verdict::Yes,
        source: "llama.cpp src/models/{bert,modern-bert,t5encoder,...}.cpp",
        holds: |f| {
            encoder(f).then(|| {
                format!("it gives embeddings (llama-embedding, llama-server --embedding), no text{}", since(f))
            })
        },
    },
    Rule {
        when: "Otherwise: architecture, keys, vocabulary and tensors are what llama.cpp asks for",
        verdict: Verdict::Yes,
        source: "all of these",
        holds: |f| {
            Some(format!(
                "architecture, keys, vocabulary and tensors are what it asks for{}; memory for weights and cache",
                since(f)
            ))
        },
    },
];

/// What llama.cpp refuses, the programs that are built on it refuse as well.
const REFUSED: Rule = Rule {
    when: "llama.cpp does not load it",
    verdict: Verdict::No,
    source: "the rules of llama.cpp",
    holds: |f| as_llama_cpp(f, Verdict::No),
};
/// A copy of llama.cpp may be older than the list.
const NEWEST: Rule = Rule {
    when: "Its architecture or a tensor type is newer than the last release of gguf-py",
    verdict: Verdict::Unknown,
    source: "known.txt (arch, type): the package gguf",
    holds: newest,
};
const NEEDED: Rule = Rule {
    when: "llama.cpp needs more than the file",
    verdict: Verdict::Partly,
    source: "the rules of llama.cpp",
    holds: |f| as_llama_cpp(f, Verdict::Partly),
};
const LOADED: Rule = Rule {
    when: "llama.cpp loads it",
    verdict: Verdict::Yes,
    source: "the rules of llama.cpp",
    holds: |f| as_llama_cpp(f, Verdict::Yes).map(|_| "built on llama.cpp: the same file".into()),
};

/// Rules of programs that are built on llama.cpp.
pub(super) static BUILT_ON: &[Rule] = &[REFUSED, NEWEST, NEEDED, LOADED];

/// Ollama: one file a model.
pub(super) static OLLAMA: &[Rule] = &[
    REFUSED,
    NEWEST,
    Rule {
        when: "The model lies in several files",
        verdict: Verdict::Partly,
        source: "github.com/ollama/ollama issue 5245",
        holds: |f| {
            let several = f.model.metadata.unsigned("split.count").is_some_and(|n| n > 1);
            several.then(|| {
                "one file: it imports no split models (ollama#5245); llama-gguf-split --merge joins them".into()
            })
        },
    },
    NEEDED,
    LOADED,
];

/// koboldcpp also keeps the loaders of llama.cpp's older files.
pub(super) static KOBOLDCPP: &[Rule] = &[
    Rule {
        when: "It is a language model of the time before GGUF, and whole",
        verdict: Verdict::Yes,
        source: "koboldcpp README (\"all versions of ggml\")",
        holds: |f| {
            let old = f.model.format == FormatId::Ggml && f.text("ggml.program") == "llama.cpp";
            (old && f.missing().is_none() && !f.model.tensors.is_empty())
                .then(|| "it keeps the loaders of ggml, ggmf and ggjt files".into())
        },
    },
    REFUSED,
    NEWEST,
    NEEDED,
    LOADED,
];

/// llama.cpp's reason, where its verdict is this one.
fn as_llama_cpp(f: &Facts<'_>, verdict: Verdict) -> Option<String> {
    let (found, why) = super::first(LLAMA_CPP, f)?;
    (found == verdict).then_some(why)
}

/// ComfyUI-GGUF and stable-diffusion.cpp.
pub(super) static IMAGES: &[Rule] = &[
    Rule {
        when: "Parts of it are missing, or a file is cut",
        verdict: Verdict::No,
        source: "gguf-py gguf_reader.py",
        holds: |f| f.missing(),
    },
    Rule {
        when: "A tensor is of a type that ggml removed or never had",
        verdict: Verdict::No,
        source: "gguf-py gguf/constants.py (GGMLQuantizationType)",
        holds: |f| f.model.tensors.iter().find_map(|t| unknown_type(t.encoding, &t.name)),
    },
    Rule {
        when: "It is a model of images or video",
        verdict: Verdict::Partly,
        source: "ComfyUI-GGUF loader.py (IMG_ARCH_LIST)",
        holds: |f| {
            let image = f.kind == Kind::ImageModel;
            image.then(|| "the text encoders and the VAE of the same model, which lie in files of their own".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::No,
        source: "ComfyUI-GGUF loader.py",
        holds: |_| Some("it is no model of images".into()),
    },
];

fn other_format(f: &Facts<'_>) -> Option<String> {
    if f.model.format == FormatId::Gguf {
        return None;
    }
    if f.kind == Kind::ImportanceMatrix {
        return None;
    }
    if f.model.format == FormatId::Ggml && f.kind != Kind::Adapter {
        let old = "it reads GGUF only since August 2023: convert_llama_ggml_to_gguf.py converts ggml, ggmf and ggjt";
        return Some(match f.text("ggml.program") {
            "llama.cpp" => old.into(),
            program => format!("the file is of another program's layout: {}", shown(program)),
        });
    }
    if f.kind == Kind::Adapter {
        return Some(
            "it reads adapters as GGUF: convert_lora_to_gguf.py makes one, with the base model's config.json".into(),
        );
    }
    let class = f.class();
    if f.folder() && !class.is_empty() {
        let known = known::lists("converter", class);
        let class = shown(class);
        return Some(match known {
            true => format!("it reads GGUF only: convert_hf_to_gguf.py converts {class}"),
            false => format!("it reads GGUF only, and convert_hf_to_gguf.py does not know {class}"),
        });
    }
    Some("it reads GGUF only: convert_hf_to_gguf.py converts Hugging Face folders of language models".into())
}

fn split(f: &Facts<'_>) -> Option<String> {
    let meta = &f.model.metadata;
    let count = meta.unsigned("split.count").filter(|n| *n > 1)?;
    let no = meta.unsigned("split.no");
    if no != Some(0) {
        let told = no.map_or("without split.no".to_owned(), |n| format!("part {} of {count}", n.saturating_add(1)));
        return Some(format!("\"model must be loaded with the first split\": the first file is {told}"));
    }
    let parts = f.model.files.iter().filter(|file| file.role.is_weights()).count() as u64;
    if parts != count {
        return Some(format!("{parts} of {count} parts are here: the others were not given"));
    }
    let (stated, there) = (meta.unsigned("split.tensors.count"), f.model.tensors.len() as u64);
    match stated {
        None => Some("\"key not found in model: split.tensors.count\"".into()),
        Some(n) if n != there => Some(format!("\"corrupted model: {n} tensors expected but {there} found\"")),
        _ => None,
    }
}

fn version(f: &Facts<'_>) -> Option<String> {
    match f.model.version.number? {
        1 => Some("\"GGUFv1 is no longer supported, please use a more up-to-date version\"".into()),
        2 | 3 => None,
        n => Some(format!("\"this GGUF file is version {n} but this software only supports up to version 3\"")),
    }
}

fn big_endian(f: &Facts<'_>) -> Option<String> {
    f.model.big_endian().then(|| {
        "\"is there a mismatch between the host and model endianness?\": a big-endian file loads on big-endian machines (s390x) alone; gguf_convert_endian.py turns it".into()
    })
}

/// Why llama.cpp does not take a tensor of this type.
fn unknown_type(encoding: Encoding, name: &str) -> Option<String> {
    let number = encoding.ggml().or_else(|| known::types().find(|t| *t.name == encoding.name()).map(|t| t.number));
    let Some(number) = number else {
        return Some(format!("{} is of {encoding}, which no GGUF file can hold", shown(name)));
    };
    match Type::of(number) {
        Some(known) if !known.removed => None,
        Some(removed) => {
            let until = removed.until.map(|v| format!(" after gguf {v}")).unwrap_or_default();
            let instead = match removed.name {
                n if n.starts_with("IQ4_NL") => "IQ4_NL",
                n if n.starts_with("Q4_0_") => "Q4_0",
                _ => "another type",
            };
            Some(format!(
                "{} is of {}, which ggml removed{until}: \"use {instead} with runtime repacking\"; quantize the original again",
                shown(name),
                removed.name
            ))
        }
        None => {
            let count = known::number("types");
            Some(format!("\"tensor '{}' has invalid ggml type {number}. should be in [0, {count})\"", shown(name)))
        }
    }
}

fn unknown_projector(f: &Facts<'_>) -> Option<String> {
    if f.kind != Kind::Projector {
        return None;
    }
    let keys = ["clip.projector_type", "clip.vision.projector_type", "clip.audio.projector_type"];
    let types: Vec<&str> = keys.iter().filter_map(|k| f.model.metadata.string(k)).filter(|t| !t.is_empty()).collect();
    if types.is_empty() {
        return Some("\"unknown projector type: \": the projector (mmproj) names none (clip.projector_type)".into());
    }
    let unknown = types.into_iter().find(|t| !known::lists("projectors", t))?;
    Some(format!("\"unknown projector type: {}\" of this mmproj file", shown(unknown)))
}

fn unfit_adapter(f: &Facts<'_>) -> Option<String> {
    if f.kind != Kind::Adapter {
        return None;
    }
    let kind = f.text("general.type");
    if kind != "adapter" {
        return Some(format!("\"expect general.type to be 'adapter', but got: {}\"", shown(kind)));
    }
    let Some(arch) = f.architecture() else {
        return Some("general.architecture is missing: \"model arch and LoRA arch mismatch\"".into());
    };
    if Loaded::of(arch).is_none() {
        return Some(format!("no base model fits: llama.cpp knows no architecture {}", shown(arch)));
    }
    let form = f.text("adapter.type");
    if form != "lora" {
        return Some(format!("\"expect adapter.type to be 'lora', but got: {}\"", shown(form)));
    }
    let names = f.names();
    let mut sorted: Vec<&str> = names.iter().copied().collect();
    crate::order::sort(&mut sorted);
    sorted.iter().find_map(|name| {
        let pair = |stem: &str, other: &str| {
            let lost = !names.contains(format!("{stem}.{other}").as_str());
            lost.then(|| format!("\"LoRA tensor pair for '{}' is missing one component\"", shown(stem)))
        };
        match (name.strip_suffix(".lora_a"), name.strip_suffix(".lora_b")) {
            (Some(stem), _) => pair(stem, "lora_b"),
            (_, Some(stem)) => pair(stem, "lora_a"),
            _ if name.ends_with("_norm.weight") => None,
            _ => Some(format!("\"LoRA tensor '{}' has unexpected suffix\"", shown(name))),
        }
    })
}

fn unfit_directions(f: &Facts<'_>) -> Option<String> {
    if f.kind != Kind::ControlVector {
        return None;
    }
    let first = f.model.tensors.first().and_then(|t| t.shape.elements());
    f.model.tensors.iter().find_map(|t| {
        let name = shown(&t.name);
        let layer = t.name.strip_prefix("direction.").and_then(|n| n.parse::<u32>().ok());
        if layer.is_none_or(|l| l == 0) {
            return Some(format!("\"invalid direction tensor layer index\": {name}"));
        }
        if t.encoding != Encoding::F32 || t.shape.0.len() != 1 {
            return Some(format!("{name} is {} of shape {}: directions are rows of F32", t.encoding, t.shape));
        }
        (t.shape.elements() != first)
            .then(|| format!("\"direction tensor does not match previous dimensions\": {name}"))
    })
}

/// The number of layers without those that predict further tokens.
fn layers(f: &Facts<'_>) -> u64 {
    f.stated("block_count").unwrap_or(0).saturating_sub(f.stated("nextn_predict_layers").unwrap_or(0))
}

fn experts(f: &Facts<'_>) -> bool {
    f.stated("expert_count").is_some_and(|n| n > 0)
}

fn keys(f: &Facts<'_>) -> Option<String> {
    let arch = f.architecture()?;
    let loaded = Loaded::of(arch)?;
    let meta = &f.model.metadata;
    let name = |key: &str| format!("{arch}.{key}");
    const ALL: [&str; 3] = ["context_length", "embedding_length", "block_count"];
    if let Some(lost) = ALL.into_iter().chain(loaded.keys()).map(name).find(|k| meta.get(k).is_none()) {
        return Some(format!("\"key not found in model: {lost}\""));
    }
    for key in ALL.map(name) {
        let kind = meta.get(&key).map(MetaValue::kind).filter(|kind| *kind != MetaType::U32);
        if let Some(kind) = kind {
            return Some(format!("\"key {key} has wrong type {} but expected type u32\"", kind.name()));
        }
    }
    let layers = f.stated("block_count").unwrap_or(0);
    if !(1..=MAX_LAYERS).contains(&layers) {
        return Some(format!("{} is {layers}; 1 to {MAX_LAYERS} layers can be loaded", name("block_count")));
    }
    // Read as 0 where it is missing, and then no tensor has the shape that is asked for.
    let needs = |start: &str| loaded.wants(experts(f), start);
    for (key, start) in [("attention.head_count", "attn_output"), ("feed_forward_length", "ffn_down.")] {
        let key = name(key);
        if meta.get(&key).is_none() && needs(start) {
            return Some(format!("{key} is missing: it counts as 0, and then the tensors have the wrong shape"));
        }
    }
    if experts(f) && f.stated("expert_used_count").is_none() && meta.get(&name("expert_used_count")).is_none() {
        return Some(format!(
            "{} is missing: \"model has expert layers but no expert layers are used\"",
            name("expert_used_count")
        ));
    }
    rotated(f, arch)
}

/// Llama and its nearest kin rotate whole heads.
fn rotated(f: &Facts<'_>, arch: &str) -> Option<String> {
    let whole = matches!(arch, "llama" | "deci" | "falcon" | "llama-embed");
    let rotated = f.stated("rope.dimension_count").filter(|_| whole)?;
    let derived = || f.stated("embedding_length")?.checked_div(f.stated("attention.head_count")?);
    let head = f.stated("attention.key_length").or_else(derived)?;
    (rotated != head).then(|| format!("\"invalid n_rot: {rotated}, expected {head}\""))
}

fn vocabulary(f: &Facts<'_>) -> Option<String> {
    let meta = &f.model.metadata;
    let Some(kind) = meta.string("tokenizer.ggml.model") else {
        return Some("\"key not found in model: tokenizer.ggml.model\"".into());
    };
    if !known::lists("tokenizers", kind) {
        return Some(format!("\"unknown tokenizer: '{}'\"", shown(kind)));
    }
    if matches!(kind, "none" | "no_vocab") {
        return None;
    }
    let pairs = matches!(kind, "gpt2" | "hybriddna" | "whitespace");
    let pre = meta.string("tokenizer.ggml.pre").unwrap_or_default();
    if pairs && !pre.is_empty() && !known::lists("pre-tokenizers", pre) {
        return Some(format!("\"unknown pre-tokenizer type: '{}'\"", shown(pre)));
    }
    let Some(tokens) = meta.array("tokenizer.ggml.tokens").filter(|t| t.item == MetaType::String) else {
        return Some("\"cannot find tokenizer vocab in model file\" (tokenizer.ggml.tokens)".into());
    };
    if matches!(kind, "gpt2" | "hybriddna") && pre != "kimi-k2" && meta.get("tokenizer.ggml.merges").is_none() {
        return Some("\"cannot find tokenizer merges in model file\" (tokenizer.ggml.merges)".into());
    }
    ["scores", "token_type"].iter().find_map(|list| {
        let found = meta.array(&format!("tokenizer.ggml.{list}"))?.len;
        let short = found < tokens.len;
        short.then(|| {
            format!("\"Index out of array bounds\": {found} of {} tokens have tokenizer.ggml.{list}", tokens.len)
        })
    })
}

fn tensors(f: &Facts<'_>) -> Option<String> {
    let loaded = Loaded::of(f.architecture()?)?;
    // The layers that predict further tokens may lie in a file of their own.
    if f.kind == Kind::DraftHead && f.stated("nextn_predict_layers").is_some_and(|n| n > 0) {
        return None;
    }
    let (first, count) = loaded.missing(&f.names(), layers(f), experts(f))?;
    let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    if experts(f) && f.has_tensor("blk.0.ffn_gate.0.") {
        return Some(format!(
            "\"missing tensor '{first}'\": it has one tensor for each expert, as files of before April 2024; convert the model again"
        ));
    }
    Some(format!("\"missing tensor '{first}'\"{more}"))
}

fn encoder(f: &Facts<'_>) -> bool {
    let arch = f.architecture().unwrap_or_default();
    arch.contains("bert") || matches!(arch, "t5encoder" | "gemma-embedding" | "llama-embed")
}

/// The release that a file needs, where the list tells.
fn since(f: &Facts<'_>) -> String {
    let arch = f.architecture().unwrap_or_default();
    match Loaded::of(arch).map(|a| a.since) {
        Some(Some(since)) => format!("; {arch} is known since gguf {since}"),
        _ => format!("; {arch} is newer than gguf {}: a build of late 2026", known::about("newest gguf")),
    }
}

fn newest(f: &Facts<'_>) -> Option<String> {
    let arch = f.architecture().and_then(Loaded::of).filter(|a| a.since.is_none()).map(|a| a.name);
    let kind = || {
        let numbers = f.model.tensors.iter().filter_map(|t| t.encoding.ggml());
        numbers.filter_map(Type::of).find(|t| t.since.is_none() && !t.removed).map(|t| t.name)
    };
    let what = arch.or_else(kind)?;
    let release = known::about("newest gguf");
    Some(format!("llama.cpp learned {what} after gguf {release}: whether the copy in this program has it is not known"))
}
