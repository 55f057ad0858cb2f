//! Rules of llama.cpp, and of programs that load GGUF files by its library or beside it.
//!
//! The order is llama.cpp's own: the container first, then what the file is for, then keys, vocabulary and tensors.

mod conditions;

use conditions::{
    as_llama_cpp, big_endian, encoder, keys, newest, other_format, since, split, tensors, unfit_adapter,
    unfit_directions, unknown_projector, unknown_type, version, vocabulary,
};

use super::facts::shown;
use super::kind::IMAGE_ARCHITECTURES;
use super::known::{self, Loaded};
use super::{Kind, Rule, Verdict};
use crate::model::{FormatId, Loader};

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
                "an importance matrix is not a model: llama-quantize reads it (--imatrix) to decide what to keep".into()
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
