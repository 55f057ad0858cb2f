//! The type of the weights against the one that config.json states.

use super::Subject;
use crate::{
    formats::Findings,
    model::{FormatId, Note, NoteCode, Severity},
    tensor::Encoding,
};

const TYPES: &[(&str, Encoding)] =
    &[("float32", Encoding::F32), ("float16", Encoding::F16), ("bfloat16", Encoding::BF16), ("float64", Encoding::F64)];

/// Compares the type of most bytes with the stated one.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    if !subject.configured() || !matches!(subject.model.format, FormatId::Safetensors | FormatId::PyTorch) {
        return;
    }
    let Some((key, stated)) =
        ["config.torch_dtype", "config.dtype"].into_iter().find_map(|k| Some((k, meta.string(k)?)))
    else {
        return;
    };
    let wanted = TYPES.iter().find(|(name, _)| *name == stated.trim_start_matches("torch."));
    let Some((_, wanted)) = wanted.filter(|_| !meta.iter().any(|(k, _)| k.starts_with("config.quantization"))) else {
        return;
    };
    let of = |encoding: Encoding| {
        subject
            .model
            .tensors
            .iter()
            .filter(|t| t.encoding == encoding)
            .filter_map(|t| t.bytes)
            .fold(0, u64::saturating_add)
    };
    let Some((_, main)) = TYPES.iter().max_by_key(|(_, e)| of(*e)).filter(|(_, e)| of(*e) > 0 && of(*wanted) < of(*e))
    else {
        return;
    };
    let what = format!("config.json says {stated}, most weights are {main}");
    let note = Note::new(Severity::Info, what).place(meta.place(key)).why(
        "programs that follow the configuration convert the weights when they load them: memory and rounding differ",
    );
    findings.note(NoteCode::Dtypes, note.advice("state the type of the weights, or save them in the type stated"));
}
