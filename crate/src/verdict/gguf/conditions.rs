//! What the rules ask of a GGUF file.

use super::LLAMA_CPP;
use crate::model::{FormatId, MetaType, MetaValue};
use crate::tensor::Encoding;
use crate::verdict::facts::{Facts, shown};
use crate::verdict::known::{self, Loaded, MAX_LAYERS, Type};
use crate::verdict::{Kind, Verdict};

/// llama.cpp's reason, where its verdict is this one.
pub(super) fn as_llama_cpp(f: &Facts<'_>, verdict: Verdict) -> Option<String> {
    let (found, why) = crate::verdict::first(LLAMA_CPP, f)?;
    (found == verdict).then_some(why)
}

pub(super) fn other_format(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn split(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn version(f: &Facts<'_>) -> Option<String> {
    match f.model.version.number? {
        1 => Some("\"GGUFv1 is no longer supported, please use a more up-to-date version\"".into()),
        2 | 3 => None,
        n => Some(format!("\"this GGUF file is version {n} but this software only supports up to version 3\"")),
    }
}

pub(super) fn big_endian(f: &Facts<'_>) -> Option<String> {
    f.model.big_endian().then(|| {
        "\"is there a mismatch between the host and model endianness?\": a big-endian file loads on big-endian machines (s390x) alone; gguf_convert_endian.py turns it".into()
    })
}

/// Why llama.cpp does not take a tensor of this type.
pub(super) fn unknown_type(encoding: Encoding, name: &str) -> Option<String> {
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

pub(super) fn unknown_projector(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn unfit_adapter(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn unfit_directions(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn keys(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn vocabulary(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn tensors(f: &Facts<'_>) -> Option<String> {
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

pub(super) fn encoder(f: &Facts<'_>) -> bool {
    let arch = f.architecture().unwrap_or_default();
    arch.contains("bert") || matches!(arch, "t5encoder" | "gemma-embedding" | "llama-embed")
}

/// The release that a file needs, where the list tells.
pub(super) fn since(f: &Facts<'_>) -> String {
    let arch = f.architecture().unwrap_or_default();
    match Loaded::of(arch).map(|a| a.since) {
        Some(Some(since)) => format!("; {arch} is known since gguf {since}"),
        _ => format!("; {arch} is newer than gguf {}: a build of late 2026", known::about("newest gguf")),
    }
}

pub(super) fn newest(f: &Facts<'_>) -> Option<String> {
    let arch = f.architecture().and_then(Loaded::of).filter(|a| a.since.is_none()).map(|a| a.name);
    let kind = || {
        let numbers = f.model.tensors.iter().filter_map(|t| t.encoding.ggml());
        numbers.filter_map(Type::of).find(|t| t.since.is_none() && !t.removed).map(|t| t.name)
    };
    let what = arch.or_else(kind)?;
    let release = known::about("newest gguf");
    Some(format!("llama.cpp learned {what} after gguf {release}: whether the copy in this program has it is not known"))
}
