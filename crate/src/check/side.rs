//! The files beside the weights.

use super::Subject;
use crate::{
    formats::Findings,
    model::{Note, NoteCode, Severity},
};

/// Names the ones that cannot be read, and says of an adapter what it belongs to.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for side in &subject.evidence.sides {
        if let Some((at, why_not)) = &side.broken {
            let note =
                Note::new(Severity::Error, format!("{} cannot be read: {why_not}", side.name)).at(side.file, *at);
            findings
                .note(NoteCode::SideFiles, note.why("programs that need it stop there").advice("get the file again"));
        }
    }
    if subject.evidence.sides.iter().all(|s| s.name != "tokenizer_config.json") {
        return;
    }
    // A chat template may stand in two places; programs take the one of its own file.
    let apart = subject.model.files.iter().position(|f| f.name.ends_with("chat_template.jinja"));
    if let Some(side) = subject.evidence.side("tokenizer_config.json")
        && side.json.get("chat_template").is_some()
        && let Some(number) = apart
    {
        let note =
            Note::new(Severity::Info, "Chat templates are both in tokenizer_config.json and in a file of their own");
        let note = note
            .place(side.place("chat_template"))
            .why("newer versions of transformers take the file, older ones the key");
        findings.note(
            NoteCode::Templates,
            note.advice(format!("keep them equal: compare with {}", subject.model.files[number].name)),
        );
    }
}
