//! Tensors that share bytes, and heads that are stored though tied, or tied though not stored.

use std::collections::HashMap;

use super::Subject;
use crate::{
    formats::{Findings, quoted},
    model::{FormatId, Note, NoteCode, Place, Severity},
};

/// Looks for shared bytes and contradictions about tied weights.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    // PyTorch's storages are shared by design, and its reader says so.
    if subject.model.format != FormatId::PyTorch {
        shared(subject, findings);
    }
    tied(subject, findings);
}

fn shared(subject: &Subject<'_>, findings: &mut Findings) {
    let runs = || {
        subject.model.tensors.iter().filter_map(|t| {
            if let Place::Here { file, at } = &t.place { Some((*file, at.start, at.end)) } else { None }
        })
    };
    // Most files list tensors in the order of their bytes: then none is where another is.
    if runs().is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)) {
        return;
    }
    let mut seen: HashMap<(usize, u64, u64), usize> = HashMap::new();
    let mut pairs = Vec::new();
    for (i, tensor) in subject.model.tensors.iter().enumerate() {
        let Place::Here { file, at } = &tensor.place else { continue };
        if at.start == at.end {
            continue;
        }
        let first = *seen.entry((*file, at.start, at.end)).or_insert(i);
        if first != i {
            pairs.push((first, i));
        }
    }
    let Some((a, b)) = pairs.first().copied() else { return };
    let name = |i: usize| quoted(&subject.model.tensors[i].name);
    let what = if pairs.len() == 1 {
        format!("{} and {} are the very same bytes", name(a), name(b))
    } else {
        format!("{} tensors are the very same bytes as another; the first are {} and {}", pairs.len(), name(a), name(b))
    };
    let note =
        Note::new(Severity::Info, what).place(subject.place(a)).why("shared (tied) weights: they are counted once");
    findings.note(NoteCode::SharedBytes, note.advice("nothing needs to be done"));
}

fn tied(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    let key = "config.tie_word_embeddings";
    let Some(stated) = meta.boolean(key).filter(|_| subject.configured()) else { return };
    let (head, embedding) = (subject.find("lm_head.weight"), subject.find("model.embed_tokens.weight"));
    let Some(embedding) = embedding else { return };
    match (stated, head) {
        (true, Some(head)) if subject.place(head) != subject.place(embedding) => {
            let what = "lm_head.weight is stored, though config.json ties it to the embedding (tie_word_embeddings)";
            let note = Note::new(Severity::Info, what).place(subject.place(head)).why("transformers takes the embedding instead: if the two differ, the model computes something else than it was saved with");
            findings.note(
                NoteCode::Tied,
                note.advice("compare both tensors (glassbox peek); set tie_word_embeddings to false if they differ"),
            );
        }
        (false, None) if causal(subject) && !subject.incomplete() => {
            let what = "lm_head.weight is missing, though config.json says that it is not tied to the embedding";
            let note = Note::new(Severity::Error, what)
                .place(meta.place(key))
                .why("transformers fills it with random values: the model would write nonsense");
            findings.note(
                NoteCode::Tied,
                note.advice("set tie_word_embeddings to true if the model was trained so, or get the missing tensor"),
            );
        }
        _ => {}
    }
}

/// True for models that write text by a head of their own.
fn causal(subject: &Subject<'_>) -> bool {
    let list = subject.model.metadata.array("config.architectures");
    list.is_some_and(|a| {
        a.head.iter().any(|v| matches!(v, crate::model::MetaValue::String(s) if s.ends_with("ForCausalLM")))
    })
}
