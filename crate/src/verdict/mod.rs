//! Who can run a model, and why not: a table of programs, each with its rules in order; the first that holds decides.
//!
//! Rules look at [`Facts`], which are gathered from the headers alone. What programs know (architectures, tensor types,
//! classes, operators) is listed in `known.txt`, with its sources; `docs/verdicts.md` is made of these tables.

mod document;
mod facts;
mod folder;
mod gguf;
mod kind;
mod known;
mod onnx;
mod others;

pub use document::document;
pub use facts::{Facts, Ours, missing, takes_text};
pub use kind::Kind;
pub(crate) use kind::{adapter_alone, description};
pub(crate) use onnx::lacking;

use crate::model::FormatId;

/// Whether a program runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does, with nothing but the files that are here.
    Yes,
    /// It does with something beside them.
    Partly,
    /// It does not.
    No,
    /// Nothing that is known decides.
    Unknown,
}

/// One rule of a program: a condition, and what follows from it.
pub struct Rule {
    /// The condition, for people.
    pub when: &'static str,
    /// What follows.
    pub verdict: Verdict,
    /// Where the rule comes from.
    pub source: &'static str,
    /// The reason, where the condition holds: what is needed, or why not, in the program's own words where it has some.
    holds: fn(&Facts<'_>) -> Option<String>,
}

/// A program that runs models.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// For which models it is listed, in words.
    pub listed: &'static str,
    /// Its rules in order.
    pub rules: &'static [Rule],
    shows: fn(&Facts<'_>) -> bool,
}

/// What a program does with a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The program.
    pub program: &'static str,
    /// Whether it runs the model.
    pub verdict: Verdict,
    /// What it needs, or why it does not.
    pub why: String,
}

const fn program(
    name: &'static str,
    listed: &'static str,
    shows: fn(&Facts<'_>) -> bool,
    rules: &'static [Rule],
) -> Program {
    Program { name, listed, rules, shows }
}

fn is_gguf(f: &Facts<'_>) -> bool {
    matches!(f.model.format, FormatId::Gguf | FormatId::Imatrix)
}

/// Folders of language models and their parts; not pipelines.
fn is_folder(f: &Facts<'_>) -> bool {
    f.folder() && !matches!(f.kind, Kind::Pipeline | Kind::ImageModel)
}

/// All programs, in the order in which they are listed.
pub static PROGRAMS: &[Program] = &[
    program("Glassbox", "all models", |_| true, others::GLASSBOX),
    program(
        "llama.cpp",
        "GGUF, older ggml files, folders",
        |f| {
            is_gguf(f)
                || is_folder(f)
                || matches!(f.model.format, FormatId::Ggml | FormatId::PyTorch) && !others::torchscript(f)
        },
        gguf::LLAMA_CPP,
    ),
    program("LlamaSharp (.NET)", "GGUF", is_gguf, gguf::BUILT_ON),
    program("llama-cpp-python", "GGUF", is_gguf, gguf::BUILT_ON),
    program(
        "koboldcpp",
        "GGUF, older ggml files",
        |f| is_gguf(f) || f.text("ggml.program") == "llama.cpp",
        gguf::KOBOLDCPP,
    ),
    program("Ollama", "GGUF", is_gguf, gguf::OLLAMA),
    program("LM Studio", "GGUF", is_gguf, gguf::BUILT_ON),
    program("ComfyUI-GGUF", "GGUF of image models", |f| is_gguf(f) && f.kind == Kind::ImageModel, gguf::IMAGES),
    program("stable-diffusion.cpp", "GGUF of image models", |f| is_gguf(f) && f.kind == Kind::ImageModel, gguf::IMAGES),
    program("PyTorch with transformers", "folders", |f| f.folder(), folder::TRANSFORMERS),
    program(
        "sentence-transformers",
        "folders",
        |f| is_folder(f) && f.kind == Kind::Model || f.folder() && f.kind == Kind::Description,
        folder::SENTENCES,
    ),
    program("vLLM", "folders", |f| f.folder(), folder::VLLM),
    program("MLX", "folders", is_folder, folder::MLX),
    program("LM Studio", "folders", |f| is_folder(f) && f.configured(), folder::LM_STUDIO),
    program(
        "ExLlama",
        "folders quantized as EXL2, EXL3 or GPTQ",
        |f| f.folder() && f.quantized().is_some_and(|m| matches!(m, "exl2" | "exl3" | "gptq")),
        folder::EXLLAMA,
    ),
    program(
        "diffusers",
        "pipelines and image models",
        |f| f.folder() && matches!(f.kind, Kind::Pipeline | Kind::ImageModel),
        folder::DIFFUSERS,
    ),
    program(
        "PyTorch",
        "PyTorch files without config.json",
        |f| f.model.format == FormatId::PyTorch && !f.folder(),
        others::PYTORCH,
    ),
    program("ONNX Runtime", "ONNX; PyTorch files, TensorFlow", |f| f.model.format == FormatId::Onnx, onnx::RUNTIME),
    program("onnxruntime-web", "ONNX", |f| f.model.format == FormatId::Onnx, onnx::WEB),
    program("Python", "pickles", |f| f.model.format == FormatId::Pickle, others::PICKLE),
    program("NumPy", "NumPy arrays", |f| f.model.format == FormatId::Numpy, others::NUMPY),
    program("whisper.cpp", "older ggml files", |f| f.model.format == FormatId::Ggml, others::WHISPER),
    program("rwkv.cpp", "ggml files of RWKV", |f| f.text("ggml.program") == "rwkv.cpp", others::RWKV),
    program("llama2.c", "llama2.c", |f| f.model.format == FormatId::Llama2c, others::LLAMA2C),
    program("Keras", "Keras", |f| f.model.format == FormatId::Keras, others::KERAS),
    program("TensorFlow", "TensorFlow", |f| f.model.format == FormatId::TensorFlow, others::TENSORFLOW),
    program("TensorFlow Lite (LiteRT)", "TensorFlow Lite", |f| f.model.format == FormatId::TfLite, others::LITERT),
    program(
        "ONNX Runtime",
        "PyTorch files, TensorFlow",
        |f| {
            f.model.format == FormatId::PyTorch && !f.folder() && !others::torchscript(f)
                || f.model.format == FormatId::TensorFlow
        },
        others::CONVERTED,
    ),
    program("TensorFlow Lite (LiteRT)", "Keras", |f| f.model.format == FormatId::Keras, others::CONVERTED),
];

/// What each program does with a model.
pub fn rulings(facts: &Facts<'_>) -> Vec<Ruling> {
    let listed = PROGRAMS.iter().filter(|p| (p.shows)(facts));
    listed
        .map(|p| {
            let none = || (Verdict::Unknown, "nothing is known of this".to_owned());
            let (verdict, why) = first(p.rules, facts).unwrap_or_else(none);
            Ruling { program: p.name, verdict, why }
        })
        .collect()
}

/// The first rule that holds.
fn first(rules: &[Rule], facts: &Facts<'_>) -> Option<(Verdict, String)> {
    rules.iter().find_map(|rule| Some((rule.verdict, (rule.holds)(facts)?)))
}
