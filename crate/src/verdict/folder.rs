//! Rules of programs that load folders of weights with their configuration: transformers and its kin, vLLM, MLX, ExLlama.

mod conditions;

use conditions::{
    adapter, base, lost_component, lost_tensors, missing_code, modules, needs, of_mlx, of_transformers, own_code,
    quantizer, recognised, refused, text_encoder,
};

use super::facts::shown;
use super::{Kind, Rule, Verdict, known};
use crate::model::FormatId;

const MISSING: Rule = Rule {
    when: "Weights are missing, or a file is cut",
    verdict: Verdict::No,
    source: "transformers modeling_utils.py (from_pretrained)",
    holds: |f| f.missing(),
};
const PIPELINE: Rule = Rule {
    when: "It is a pipeline of several models",
    verdict: Verdict::No,
    source: "diffusers pipelines/pipeline_utils.py (model_index.json)",
    holds: |f| {
        (f.kind == Kind::Pipeline).then(|| "it is a diffusers pipeline: its parts are loaded by diffusers".into())
    },
};
const IMAGE_FILE: Rule = Rule {
    when: "It is a model of images in one file",
    verdict: Verdict::No,
    source: "diffusers loaders/single_file.py",
    holds: |f| {
        (f.kind == Kind::ImageModel)
            .then(|| "a model of images in one file: diffusers' from_single_file or ComfyUI load it".into())
    },
};
const UNDESCRIBED: Rule = Rule {
    when: "There is no config.json",
    verdict: Verdict::Partly,
    source: "transformers models/auto/configuration_auto.py",
    holds: |f| (!f.configured()).then(|| "needs config.json and the tokenizer next to the weights".into()),
};
const WITHOUT_TOKENIZER: Rule = Rule {
    when: "It takes text, and no tokenizer is here",
    verdict: Verdict::Partly,
    source: "transformers models/auto/tokenization_auto.py",
    holds: |f| {
        (f.takes_text() && !f.tokenizer)
            .then(|| "the weights load; for text a tokenizer is needed, and none is here".into())
    },
};

/// Rules of transformers.
pub(super) static TRANSFORMERS: &[Rule] = &[
    MISSING,
    PIPELINE,
    IMAGE_FILE,
    Rule {
        when: "It is an adapter",
        verdict: Verdict::Partly,
        source: "transformers integrations/peft.py",
        holds: adapter,
    },
    Rule {
        when: "It drafts tokens for another model",
        verdict: Verdict::No,
        source: "transformers has no class for draft heads; vLLM config/speculative.py",
        holds: |f| {
            (f.kind == Kind::DraftHead)
                .then(|| "a draft head guesses tokens for a target model: vLLM and SGLang run both together".into())
        },
    },
    UNDESCRIBED,
    Rule {
        when: "It was quantized by MLX",
        verdict: Verdict::No,
        source: "transformers quantizers/auto.py; mlx-lm utils.py (quantization)",
        holds: |f| {
            f.mlx_quantized()
                .then(|| "it is quantized for MLX: \"quantization config ... has no `quant_method` attribute\"".into())
        },
    },
    Rule {
        when: "The method of quantization is not on its list",
        verdict: Verdict::No,
        source: "transformers quantizers/auto.py (AUTO_QUANTIZATION_CONFIG_MAPPING); known.txt (quantizers)",
        holds: |f| {
            let method = f.quantized().filter(|m| !quantizer(m))?;
            Some(match method {
                "" => "\"The model's quantization config from the arguments has no `quant_method` attribute\"".into(),
                _ => format!("\"Unknown quantization type, got {}\"", shown(method)),
            })
        },
    },
    Rule {
        when: "config.json names neither a model_type nor a class",
        verdict: Verdict::No,
        source: "transformers models/auto/configuration_auto.py",
        holds: |f| {
            let none = f.model_type().is_empty() && f.class().is_empty() && !own_code(f);
            none.then(|| "\"Unrecognized model ... Should have a `model_type` key in its config.json\"".into())
        },
    },
    Rule {
        when: "Its model_type is not on the list, and the folder brings its own code",
        verdict: Verdict::Partly,
        source: "transformers dynamic_module_utils.py (auto_map)",
        holds: |f| {
            (own_code(f) && !recognised(f)).then(|| {
                let lost = missing_code(f).map(|n| format!("; {n} is not here")).unwrap_or_default();
                format!(
                    "trust_remote_code=True, which runs the Python code that came with the model: read it first{lost}"
                )
            })
        },
    },
    Rule {
        when: "Its model_type is not on the list",
        verdict: Verdict::No,
        source: "transformers models/auto/configuration_auto.py (CONFIG_MAPPING_NAMES); known.txt (transformers)",
        holds: |f| {
            (!recognised(f)).then(|| {
                let kind = shown(f.model_type());
                format!(
                    "model type `{kind}`: \"Transformers does not recognize this architecture\" ({})",
                    known::source("transformers")
                )
            })
        },
    },
    Rule {
        when: "A finding says that transformers refuses it",
        verdict: Verdict::No,
        source: "the checks and readers of this project, each with its source",
        holds: |f| refused(f),
    },
    Rule {
        when: "Tensors that its configuration asks for are missing",
        verdict: Verdict::No,
        source: "transformers modeling_utils.py (\"newly initialized\"); the tables of the room arch",
        holds: lost_tensors,
    },
    Rule {
        when: "It is quantized by a method on its list",
        verdict: Verdict::Partly,
        source: "transformers quantizers/quantizer_*.py (validate_environment)",
        holds: |f| {
            let method = f.quantized()?;
            Some(format!("{}, since the weights are quantized ({})", needs(method), shown(method)))
        },
    },
    WITHOUT_TOKENIZER,
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "all of these",
        holds: |_| Some("Python with transformers; config.json is here".into()),
    },
];

/// Rules of sentence-transformers.
pub(super) static SENTENCES: &[Rule] = &[
    MISSING,
    Rule {
        when: "modules.json is here, and transformers loads the model",
        verdict: Verdict::Yes,
        source: "sentence_transformers SentenceTransformer.py (_load_sbert_model)",
        holds: |f| (modules(f) && of_transformers(f, Verdict::Yes).is_some()).then(|| "modules.json is here".into()),
    },
    Rule {
        when: "modules.json is here, and transformers needs more",
        verdict: Verdict::Partly,
        source: "sentence_transformers SentenceTransformer.py (_load_sbert_model)",
        holds: |f| of_transformers(f, Verdict::Partly).filter(|_| modules(f)),
    },
    Rule {
        when: "modules.json is here, and transformers does not load the model",
        verdict: Verdict::No,
        source: "the rules of transformers",
        holds: |f| of_transformers(f, Verdict::No).filter(|_| modules(f)),
    },
    Rule {
        when: "It is a text encoder without modules.json",
        verdict: Verdict::Partly,
        source: "sentence_transformers SentenceTransformer.py (_load_auto_model)",
        holds: |f| {
            let encoder = text_encoder(f) && of_transformers(f, Verdict::No).is_none();
            encoder.then(|| "modules.json is not here: it would take the mean of all tokens, which may not be what the model was trained for".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::No,
        source: "sentence_transformers",
        holds: |_| Some("modules.json is not here: for text encoders only".into()),
    },
];

/// Rules of vLLM.
pub(super) static VLLM: &[Rule] = &[
    MISSING,
    PIPELINE,
    IMAGE_FILE,
    Rule {
        when: "It is an adapter",
        verdict: Verdict::Partly,
        source: "vLLM docs/features/lora.md",
        holds: |f| (f.kind == Kind::Adapter).then(|| format!("its base model{}, with --enable-lora", base(f))),
    },
    Rule {
        when: "It drafts tokens for another model",
        verdict: Verdict::Partly,
        source: "vLLM config/speculative.py",
        holds: |f| {
            (f.kind == Kind::DraftHead)
                .then(|| "the target model whose tokens it drafts: this one goes to --speculative-config".into())
        },
    },
    UNDESCRIBED,
    Rule {
        when: "It was quantized for another program",
        verdict: Verdict::No,
        source: "vLLM model_executor/layers/quantization/__init__.py",
        holds: |f| {
            let method = if f.mlx_quantized() { "mlx" } else { f.quantized()? };
            let foreign =
                matches!(method, "" | "mlx" | "exl2" | "exl3" | "eetq" | "higgs" | "spqr" | "vptq" | "aqlm" | "hqq");
            foreign.then(|| {
                format!(
                    "it has no kernels for this quantization ({})",
                    if method.is_empty() { "no method is named" } else { method }
                )
            })
        },
    },
    Rule {
        when: "A finding says that transformers refuses it, or tensors are missing",
        verdict: Verdict::No,
        source: "the checks and readers of this project, each with its source",
        holds: |f| refused(f).or_else(|| lost_tensors(f)),
    },
    Rule {
        when: "Its class is on the list, and a tokenizer is here",
        verdict: Verdict::Yes,
        source: "vLLM model_executor/models/registry.py; known.txt (vllm)",
        holds: |f| {
            let listed = known::lists("vllm", f.class()) && (f.tokenizer || !f.takes_text());
            listed
                .then(|| format!("{} is on its list ({}); a CUDA or ROCm GPU", shown(f.class()), known::source("vllm")))
        },
    },
    Rule {
        when: "Its class is on the list",
        verdict: Verdict::Partly,
        source: "vLLM model_executor/models/registry.py; known.txt (vllm)",
        holds: |f| known::lists("vllm", f.class()).then(|| "a tokenizer, and a CUDA or ROCm GPU".into()),
    },
    Rule {
        when: "transformers does not load it",
        verdict: Verdict::No,
        source: "the rules of transformers",
        holds: |f| of_transformers(f, Verdict::No),
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Unknown,
        source: "vLLM model_executor/models/registry.py; docs/models/supported_models.md (Transformers backend)",
        holds: |f| {
            let class = if f.class().is_empty() { "its class" } else { f.class() };
            Some(format!(
                "{} is not on its list ({}); its backend for models of transformers may run it",
                shown(class),
                known::source("vllm")
            ))
        },
    },
];

/// Rules of MLX (mlx-lm).
pub(super) static MLX: &[Rule] = &[
    MISSING,
    Rule {
        when: "The weights are no safetensors",
        verdict: Verdict::No,
        source: "mlx-lm utils.py (load_model)",
        holds: |f| (f.model.format != FormatId::Safetensors).then(|| "\"No safetensors found\"".into()),
    },
    Rule {
        when: "It is an adapter",
        verdict: Verdict::Partly,
        source: "mlx-lm tuner/utils.py (load_adapters)",
        holds: |f| {
            (f.kind == Kind::Adapter).then(|| {
                format!("its base model{}; mlx-lm reads adapters that it wrote itself (adapters.safetensors)", base(f))
            })
        },
    },
    UNDESCRIBED,
    Rule {
        when: "Its model_type is not on the list",
        verdict: Verdict::No,
        source: "mlx-lm models/*.py, utils.py (MODEL_REMAPPING); known.txt (mlx-lm)",
        holds: |f| {
            let kind = f.model_type();
            (f.kind != Kind::Model || !known::lists("mlx-lm", kind))
                .then(|| format!("\"Model type {} not supported.\" ({})", shown(kind), known::source("mlx-lm")))
        },
    },
    Rule {
        when: "It was quantized by a method that MLX does not read",
        verdict: Verdict::No,
        source: "mlx-lm utils.py (load_model: quantization_config)",
        holds: |f| {
            let method = f.quantized().filter(|_| !f.mlx_quantized())?;
            let read =
                ["bitnet", "mxfp4", "mxfp8", "compressed-tensors", "awq", "gptq", "modelopt", "fp8"].contains(&method);
            (!read).then(|| {
                format!(
                    "it does not read weights quantized by {}",
                    if method.is_empty() { "a method without name" } else { method }
                )
            })
        },
    },
    Rule {
        when: "A finding says that transformers refuses it, or tensors are missing",
        verdict: Verdict::No,
        source: "the checks and readers of this project, each with its source",
        holds: |f| refused(f).or_else(|| lost_tensors(f)),
    },
    WITHOUT_TOKENIZER,
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "mlx-lm models/*.py; known.txt (mlx-lm)",
        holds: |_| Some("on Apple silicon, or with its CUDA extra (mlx-lm[cuda13])".into()),
    },
];

/// LM Studio: GGUF by llama.cpp, folders by MLX.
pub(super) static LM_STUDIO: &[Rule] = &[
    Rule {
        when: "MLX loads the folder",
        verdict: Verdict::Yes,
        source: "lmstudio.ai/docs (MLX engine)",
        holds: |f| of_mlx(f, Verdict::Yes).map(|_| "by its MLX engine, on Apple silicon".into()),
    },
    Rule {
        when: "MLX needs more",
        verdict: Verdict::Partly,
        source: "the rules of MLX",
        holds: |f| of_mlx(f, Verdict::Partly),
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::No,
        source: "the rules of MLX and llama.cpp",
        holds: |f| of_mlx(f, Verdict::No),
    },
];

/// ExLlama, which has formats of its own.
pub(super) static EXLLAMA: &[Rule] = &[
    MISSING,
    WITHOUT_TOKENIZER,
    Rule {
        when: "It is quantized as EXL2",
        verdict: Verdict::Yes,
        source: "exllamav2 config.py (quant_method)",
        holds: |f| (f.quantized() == Some("exl2")).then(|| "ExLlamaV2, on a CUDA or ROCm GPU".into()),
    },
    Rule {
        when: "It is quantized as EXL3",
        verdict: Verdict::Yes,
        source: "exllamav3 model/config.py (quant_method)",
        holds: |f| (f.quantized() == Some("exl3")).then(|| "ExLlamaV3, on a CUDA GPU".into()),
    },
    Rule {
        when: "It is quantized as GPTQ with 4 bits",
        verdict: Verdict::Yes,
        source: "exllamav2 README (GPTQ)",
        holds: |f| {
            let four = f.model.metadata.unsigned("config.quantization_config.bits") == Some(4);
            (f.quantized() == Some("gptq") && four).then(|| "ExLlamaV2, on a CUDA or ROCm GPU".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::No,
        source: "exllamav2 README",
        holds: |_| Some("it reads EXL2, EXL3 and 4-bit GPTQ".into()),
    },
];

/// Rules of diffusers.
pub(super) static DIFFUSERS: &[Rule] = &[
    MISSING,
    Rule {
        when: "A part that model_index.json names is not here",
        verdict: Verdict::Partly,
        source: "diffusers pipelines/pipeline_utils.py (from_pretrained)",
        holds: |f| lost_component(f).map(|part| format!("its part {part}, which is not among the files")),
    },
    Rule {
        when: "It is a model of images in one file",
        verdict: Verdict::Partly,
        source: "diffusers loaders/single_file.py",
        holds: |f| {
            (f.kind == Kind::ImageModel)
                .then(|| "from_single_file, and what the file does not hold (text encoders, VAE)".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "diffusers pipelines/pipeline_utils.py",
        holds: |f| Some(format!("Python with diffusers: {}", shown(f.text("model_index._class_name")))),
    },
];
