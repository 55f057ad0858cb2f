//! What programs would refuse a model for: keys that llama.cpp needs, imports that PyTorch does not allow; and the list
//! of refusals by program.

use super::Subject;
use crate::{
    formats::Findings,
    model::{Flavour, FormatId, Loader, Note, NoteCode, Severity},
};

/// Keys below the architecture that llama.cpp cannot do without (`llama_model_base::load_hparams`).
const NEEDED: &[&str] = &["context_length", "embedding_length", "block_count"];

/// Why a program would not load a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub program: Loader,
    /// The first reason, as a note says it.
    pub because: String,
    /// How many more there are.
    pub more: usize,
}

/// The programs that some of these notes say would refuse the model, each with its first reason.
pub fn refusals(notes: &[Note]) -> Vec<Refusal> {
    let of = |program: Loader| {
        let mut found = notes.iter().filter(|n| n.refused_by == Some(program));
        let first = found.next()?;
        Some(Refusal { program, because: first.what.clone(), more: found.count() })
    };
    Loader::ALL.into_iter().filter_map(of).collect()
}

/// Checks keys and imports.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    match subject.model.format {
        FormatId::Gguf => keys(subject, findings),
        FormatId::PyTorch if subject.model.version.flavour != Flavour::TorchScript => imports(subject, findings),
        _ => {}
    }
}

fn keys(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    let other = meta.string("general.type").is_some_and(|t| t != "model")
        || matches!(meta.string("general.architecture"), Some("clip" | "controlvector" | "imatrix"));
    let later = meta.unsigned("split.no").is_some_and(|no| no > 0);
    if subject.model.tensors.is_empty() || !subject.model.cuts.is_empty() || other || later {
        return;
    }
    let Some(arch) = meta.string("general.architecture") else { return };
    let mut lost: Vec<String> =
        NEEDED.iter().map(|k| format!("{arch}.{k}")).filter(|k| meta.get(k).is_none()).collect();
    if meta.get("tokenizer.ggml.model").is_none() {
        lost.push("tokenizer.ggml.model".into());
    }
    if lost.is_empty() {
        return;
    }
    let what = format!("The metadata lacks {}", lost.join(", "));
    let note = Note::new(Severity::Warning, what).place(meta.place("general.architecture"));
    let note = note.why(Loader::LlamaCpp.refuses("llama.cpp refuses the file: key not found in model"));
    findings.note(
        NoteCode::Keys,
        note.advice("a program of its own may know these numbers; for llama.cpp convert the model again"),
    );
}

/// The readers' X-ray names each import; this says what follows for loading.
fn imports(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    let count = meta.unsigned("pickle.unsupported_globals").filter(|n| *n > 0);
    let (Some(count), Some(list)) = (count, meta.array("pickle.imports")) else { return };
    // Values that do nothing else are a matter of what PyTorch loads, not of what the file may do.
    let values = meta.unsigned("pickle.known_value_types").unwrap_or(0);
    let severity = if values < count { Severity::Warning } else { Severity::Info };
    let listed = list.len;
    let what = format!("{} of {listed} imports go beyond what tensors need", count.min(listed));
    let note = Note::new(severity, what);
    let note = note.why(Loader::PyTorch.refuses("torch.load(weights_only=True) refuses the file: unsupported global"));
    findings.note(NoteCode::Imports, note.advice("do not fall back to weights_only=False; ask for a safetensors file"));
}
