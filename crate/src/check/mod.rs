//! The doctor: what is wrong with an opened model, why it matters, what to do; and what of it is missing.
//!
//! Readers note what is odd while they read one file. The checks here hold facts against each other that stand in
//! different places: configuration and tensors, tokenizer and embedding, one file and the next, and the file and
//! the rules of the programs that would load it. Each is a small pure function over a [`Subject`], one row of [`CHECKS`].
//! Those that need more bytes than the headers find them in [`Evidence`], gathered before, bounded and counted.

mod dtypes;
mod evidence;
mod fillers;
mod graph;
mod layers;
mod pre_tokenizer;
mod programs;
mod salvage;
mod side;
mod special;
mod tensors;
mod values;
mod vocabulary;

pub use evidence::Evidence;
pub use programs::{Refusal, refusals};
pub use salvage::{FileSalvage, Salvage, salvage};

use crate::{
    fault::Result,
    formats::{Findings, sort_notes},
    model::{FileRole, ModelFile, Note, Place},
    source::SourceSet,
};

/// One check: what it holds against what, by whose rules, and how.
pub struct Check {
    /// A short name: "layers".
    pub name: &'static str,
    /// What is compared, in one sentence.
    pub about: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    run: fn(&Subject<'_>, &mut Findings),
}

/// All checks, those that need nothing but the headers first.
pub static CHECKS: &[Check] = &[
    Check {
        name: "layers",
        about: "Every tensor that the configuration asks for is there, in its shape; others are named.",
        source: "llama.cpp src/llama-model.cpp (load_tensors, done_getting_tensors); transformers modeling_*.py; the tables of the room arch",
        run: layers::check,
    },
    Check {
        name: "vocabulary",
        about: "The tokenizer has as many tokens as the embedding has rows, and its lists are equally long.",
        source: "llama.cpp src/llama-vocab.cpp (load); transformers PreTrainedModel.resize_token_embeddings",
        run: vocabulary::check,
    },
    Check {
        name: "pre-tokenizer",
        about: "The rules by which a GGUF's text is split are stated, and not the ones for want of better.",
        source: "llama.cpp src/llama-vocab.cpp (load), convert_hf_to_gguf.py (get_vocab_base_pre); ollama convert/tokenizer.go",
        run: pre_tokenizer::check,
    },
    Check {
        name: "special tokens",
        about: "Ids of special tokens lie in the vocabulary, and all files name the same ones.",
        source: "llama.cpp src/llama-vocab.cpp (special_tokens); transformers GenerationConfig, PreTrainedTokenizerBase",
        run: special::check,
    },
    Check {
        name: "dtypes",
        about: "The weights are of the type that the configuration states.",
        source: "transformers PretrainedConfig.dtype (torch_dtype)",
        run: dtypes::check,
    },
    Check {
        name: "shared tensors",
        about: "Tensors that are the very same bytes, and output heads that are stored though they are tied.",
        source: "transformers PretrainedConfig.tie_word_embeddings; safetensors' torch.py (shared tensors)",
        run: tensors::check,
    },
    Check {
        name: "graph",
        about: "Every value that a node of the graph reads was made before; versions are those that programs know.",
        source: "onnxruntime core/graph/{model,graph}.cc; onnx docs/IR.md (topological order, single assignment)",
        run: graph::check,
    },
    Check {
        name: "programs",
        about: "The keys without which llama.cpp gives up, and the imports that PyTorch refuses.",
        source: "llama.cpp ggml/src/gguf.cpp, src/llama-model.cpp (load_hparams); torch/_weights_only_unpickler.py",
        run: programs::check,
    },
    Check {
        name: "side files",
        about: "The files beside the weights are whole JSON and agree with each other.",
        source: "transformers tokenization_utils_base.py, generation/configuration_utils.py",
        run: side::check,
    },
    Check {
        name: "fillers",
        about: "Padding is zero, and no other file hides in padding, gaps or after the end.",
        source: "ggml/src/gguf.cpp (gguf_write_out pads with zeros); Trail of Bits' audit of safetensors (polyglots)",
        run: fillers::check,
    },
    Check {
        name: "values",
        about: "Small tensors and the first blocks of others hold numbers, neither NaN nor infinity nor only zeros.",
        source: "llama.cpp ggml-quants.c (ggml_validate_row_data, --check-tensors)",
        run: values::check,
    },
];

/// A model and what was read of it.
pub struct Subject<'a> {
    model: &'a ModelFile,
    evidence: &'a Evidence,
}

impl<'a> Subject<'a> {
    /// The number of the first tensor of this name; few are asked for, so a table of all would cost more.
    fn find(&self, name: &str) -> Option<usize> {
        self.model.tensors.iter().position(|t| t.name == name)
    }
    /// Where a tensor's values start, as a note's place.
    fn place(&self, tensor: usize) -> Option<(usize, u64)> {
        match &self.model.tensors.get(tensor)?.place {
            Place::Here { file, at } | Place::Strided { file, at, .. } | Place::Chunked { file, at, .. } => {
                Some((*file, at.start))
            }
            _ => None,
        }
    }
    /// True where `config.json` is among the files; a checkpoint may keep a `config` of another kind in itself.
    fn configured(&self) -> bool {
        configured(self.model)
    }
    /// True where the list of tensors is not the whole one: nothing follows from what it lacks.
    fn incomplete(&self) -> bool {
        !self.model.cuts.is_empty()
            || self.model.tensors.iter().any(|t| t.encoding == crate::tensor::Encoding::Unknown)
            || self.model.metadata.unsigned("split.count") > Some(self.model.files.len() as u64)
    }
}

/// True where keys that start with `config.` are those of a `config.json`.
fn configured(model: &ModelFile) -> bool {
    model.files.iter().any(|f| f.role == FileRole::Configuration)
}

/// Tensors that the tables of architectures ask for and a model does not have.
pub fn lost_tensors(model: &ModelFile) -> Vec<String> {
    layers::lost(&Subject { model, evidence: &Evidence::default() })
}

/// What follows from the headers alone; no byte is read.
pub fn at_hand(model: &ModelFile) -> Vec<Note> {
    run(&Subject { model, evidence: &Evidence::default() })
}

/// All findings on a model: its readers' notes and those of every check, most severe first.
pub fn all(model: &ModelFile, evidence: &Evidence) -> Vec<Note> {
    let mut notes = model.notes.clone();
    notes.extend(run(&Subject { model, evidence }));
    sort_notes(&mut notes);
    notes
}

/// Reads what the checks need beyond the headers; `tokens` is the length of the tokenizer, where one could be loaded.
///
/// # Errors
/// The source fails.
pub async fn gather(files: &SourceSet, model: &ModelFile, tokens: Option<u64>) -> Result<Evidence> {
    Evidence::gather(files, model, tokens).await
}

fn run(subject: &Subject<'_>) -> Vec<Note> {
    let mut findings = Findings::default();
    for check in CHECKS {
        (check.run)(subject, &mut findings);
    }
    findings.finish()
}
