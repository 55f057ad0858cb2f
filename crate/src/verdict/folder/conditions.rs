//! What the rules ask of a folder.

use super::{MLX, TRANSFORMERS};
use crate::model::Loader;
use crate::verdict::facts::{Facts, shown};
use crate::verdict::{Kind, Verdict, known};

/// The verdict of transformers, where it is this one.
pub(super) fn of_transformers(f: &Facts<'_>, verdict: Verdict) -> Option<String> {
    let (found, why) = crate::verdict::first(TRANSFORMERS, f)?;
    (found == verdict).then_some(why)
}

pub(super) fn of_mlx(f: &Facts<'_>, verdict: Verdict) -> Option<String> {
    let (found, why) = crate::verdict::first(MLX, f)?;
    (found == verdict).then_some(why)
}

pub(super) fn adapter(f: &Facts<'_>) -> Option<String> {
    (f.kind == Kind::Adapter).then(|| match f.has_key("adapter_config.") {
        true => format!("its base model{}, and the package peft", base(f)),
        false => "its base model, which the file does not name (adapter_config.json is not here), and the package peft"
            .into(),
    })
}

/// The base model's name in brackets, where an adapter states it.
pub(super) fn base(f: &Facts<'_>) -> String {
    let name = f.text("adapter_config.base_model_name_or_path");
    if name.is_empty() { String::new() } else { format!(" ({})", shown(name)) }
}

/// config.json leads to Python code of the model's own.
pub(super) fn own_code(f: &Facts<'_>) -> bool {
    f.has_key("config.auto_map.")
}

/// The file of that code, where it is named and not here.
pub(super) fn missing_code(f: &Facts<'_>) -> Option<String> {
    let named = ["AutoConfig", "AutoModelForCausalLM", "AutoModel"].iter().find_map(|class| {
        let (module, _) = f.model.metadata.string(&format!("config.auto_map.{class}"))?.split_once('.')?;
        let name = format!("{module}.py");
        let here = f.model.files.iter().any(|file| file.name.rsplit('/').next() == Some(&name));
        (!here && !module.contains("--")).then_some(name)
    })?;
    Some(shown(&named))
}

pub(super) fn recognised(f: &Facts<'_>) -> bool {
    match f.model_type() {
        // Old folders name the class alone, and are loaded by it.
        "" => !f.class().is_empty() && crate::arch::Numbers::of(f.model).is_some_and(|n| n.architecture().is_some()),
        kind => known::lists("transformers", kind),
    }
}

pub(super) fn quantizer(method: &str) -> bool {
    // bitsandbytes has two rows by bits, told from load_in_8bit.
    method == "bitsandbytes" || known::lists("quantizers", method)
}

/// What transformers asks for beside a quantized model.
pub(super) fn needs(method: &str) -> &'static str {
    match method {
        "gptq" => "the packages optimum and gptqmodel",
        "awq" => "the package gptqmodel, and a GPU",
        "bitsandbytes" => "the package bitsandbytes",
        "fp8" | "mxfp8" => "a GPU with FP8 (else the weights are dequantized)",
        "fbgemm_fp8" => "the package fbgemm-gpu, and a GPU with FP8",
        "compressed-tensors" => "the package compressed-tensors",
        "mxfp4" => "the package kernels, and a GPU (else the weights are dequantized)",
        "nvfp4" => "a GPU with FP4",
        "hqq" => "the package hqq",
        "quanto" => "the package optimum-quanto",
        "torchao" => "the package torchao",
        "aqlm" => "the package aqlm",
        "auto-round" => "the package auto-round",
        "eetq" => "the package kernels, and a CUDA GPU",
        "bitnet" => "a CUDA GPU, for speed",
        "higgs" => "the packages flute-kernel and fast_hadamard_transform, and a CUDA GPU",
        "vptq" => "the package vptq",
        "spqr" => "the package spqr_quant, and a CUDA GPU",
        "quark" => "the package amd-quark",
        "metal" => "an Apple GPU, and the package kernels",
        _ => "the package of its quantization method",
    }
}

pub(super) fn modules(f: &Facts<'_>) -> bool {
    f.model.files.iter().any(|file| file.name.rsplit('/').next() == Some("modules.json"))
}

pub(super) fn text_encoder(f: &Facts<'_>) -> bool {
    let class = f.class();
    let encoder = crate::arch::Numbers::of(f.model).and_then(|n| n.architecture()).is_some_and(|a| a.encoder);
    encoder || f.model_type().contains("bert") && !class.contains("ForCausalLM") || f.model_type() == "mpnet"
}

/// Why transformers, or the library that reads safetensors for it, refuses the files.
pub(super) fn refused(f: &Facts<'_>) -> Option<String> {
    f.refused_by(Loader::Safetensors).or_else(|| f.refused_by(Loader::Transformers))
}

/// Tensors that the tables of architectures ask for.
pub(super) fn lost_tensors(f: &Facts<'_>) -> Option<String> {
    let lost = crate::check::lost_tensors(f.model);
    let first = lost.first()?;
    let more = if lost.len() > 1 { format!(" and {} more", lost.len() - 1) } else { String::new() };
    Some(format!("{}{more} is missing: it would be filled with random values (\"newly initialized\")", shown(first)))
}

/// A part of a pipeline without any file.
pub(super) fn lost_component(f: &Facts<'_>) -> Option<String> {
    let meta = &f.model.metadata;
    let home = f.model.files.iter().find(|file| file.name.rsplit('/').next() == Some("model_index.json"))?;
    let home = home.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    meta.iter().find_map(|(key, value)| {
        let part = key.strip_prefix("model_index.")?;
        let crate::model::MetaValue::Array(list) = value else { return None };
        // A component is a pair: library and class; lists of settings have other lengths.
        let pair = list.len == 2 && !part.starts_with('_');
        let here = f.model.files.iter().any(|file| file.name.starts_with(&format!("{home}{part}/")));
        (pair && !here).then(|| shown(part))
    })
}
