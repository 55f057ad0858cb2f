//! What is known to go wrong with tokenizers in practice, looked for in an opened model.
//!
//! Ids out of range and the size of the embedding are the checks' (`check/special.rs`, `check/vocabulary.rs`).

use crate::{
    fault::Blame,
    model::{Note, Severity},
    tokenizer::{Catalog, GgufVocabulary, TokenType, Vocabulary, are_same_rules, looks_like},
};

use super::{Inspection, vocabulary};

impl Inspection {
    /// What is wrong or odd with the model's tokenizer, with what it would look like if it were right: what loading it
    /// found, empty tokens, a missing or wrong pre-tokenizer (by the vocabulary itself, and by a tokenizer file beside the
    /// model), and what does not fit the chat template. Nothing for a model without tokenizer.
    pub async fn tokenizer_warnings(&self) -> Vec<Note> {
        let is_gguf = self.model().metadata.string("tokenizer.ggml.model").is_some();
        if !is_gguf && self.tokenizer_file().is_none() {
            return Vec::new();
        }
        let vocabulary = match self.vocabulary().await {
            Ok(vocabulary) => vocabulary,
            Err(fault) => {
                let severity = if fault.blame == Blame::File { Severity::Error } else { Severity::Warning };
                let what = format!("The tokenizer cannot be used: {}.", fault.what);
                return vec![
                    Note::new(severity, what)
                        .why("Text cannot be turned into the ids that the model knows.")
                        .advice("Convert the model again, or put its tokenizer.json next to it."),
                ];
            }
        };
        let mut notes = vocabulary.notes().to_vec();
        notes.extend(holes(&vocabulary));
        if is_gguf && let Ok(keys) = vocabulary::gguf_keys(self.files(), self.model()).await {
            notes.extend(self.rules(keys, &vocabulary).await);
        }
        #[cfg(feature = "chat")]
        notes.extend(template::notes(self, &vocabulary).await);
        notes
    }

    /// Whether the splitting rules that a GGUF names are those of its vocabulary.
    async fn rules(&self, keys: GgufVocabulary, made: &Vocabulary) -> Vec<Note> {
        if keys.model != "gpt2" {
            return Vec::new();
        }
        let pre = keys.pre.clone().filter(|pre| !pre.is_empty()).unwrap_or_else(|| "default".to_owned());
        let mut notes = Vec::new();
        if let Some((name, expected)) = looks_like(&keys).filter(|(_, expected)| !are_same_rules(&pre, expected)) {
            notes.push(
                Note::new(
                    Severity::Warning,
                    format!("tokenizer.ggml.pre is {pre:?}, but the vocabulary looks like that of {name}, whose name is {expected:?}."),
                )
                .why("Other rules split the text, so the model is given ids that it was not trained with.")
                .advice(format!("Compare with the model's tokenizer.json; if it is right, set tokenizer.ggml.pre to {expected:?}.")),
            );
        }
        let beside = vocabulary::beside(self.files(), self.tokenizers()).await;
        let (Ok(Some(other)), Some(file)) = (beside, self.tokenizer_file()) else { return notes };
        if !made.is_same_vocabulary(&other) {
            notes.push(
                Note::new(Severity::Warning, format!("{file} holds another vocabulary than the model's own metadata."))
                    .why("Programs that take the one or the other give the model different ids.")
                    .advice("Get the tokenizer file that belongs to this model."),
            );
            return notes;
        }
        let differing = made.disagreements(&other);
        let Some(example) = differing.first() else { return notes };
        // The same keys once more: the rules are tried on a vocabulary of its own.
        let agree = Vocabulary::from_gguf(keys).map(|own| own.rules_that_agree_with(&other)).unwrap_or_default();
        let what = format!(
            "{file} splits {} of {} probing texts otherwise than the model's own rules (tokenizer.ggml.pre {pre:?}), such as {example:?}.",
            differing.len(),
            crate::tokenizer::PROBES.len()
        );
        let note = match agree.as_slice() {
            // llama.cpp has no rules that agree: it approximates some.
            [] => Note::new(Severity::Info, what)
                .why("No rules that llama.cpp knows agree on all of them, so it can only come near to the original."),
            names => Note::new(Severity::Warning, what)
                .why("The model is given ids that it was not trained with.")
                .advice(format!("Set tokenizer.ggml.pre to one whose rules agree: {}.", names.join(", "))),
        };
        notes.push(note);
        notes
    }
}

/// Tokens without text.
fn holes(vocabulary: &Vocabulary) -> Option<Note> {
    let catalog = Catalog::new(vocabulary);
    let (_, holes) = catalog.counts().into_iter().find(|(kind, _)| *kind == TokenType::Hole)?;
    let first = catalog.stretches(TokenType::Hole, 1).first().map(|ids| ids.start)?;
    let what = format!("{holes} ids have no token or an empty one, the first is {first}.");
    Some(Note::new(Severity::Info, what).why("Such an id has no text."))
}

/// What does not fit the chat template.
#[cfg(feature = "chat")]
mod template {
    use super::{Inspection, Note, Severity, Vocabulary};
    use crate::{
        chat::{Conversation, Data, Template},
        session::chat,
        tokenizer::{EncodeOptions, PieceKind},
    };

    /// What the assistant says in the conversation that is tried.
    const SAID: &str = "Glassbox";

    pub(super) async fn notes(inspection: &Inspection, vocabulary: &Vocabulary) -> Vec<Note> {
        let (templates, _) = chat::find(inspection.files(), Some(inspection.model())).await;
        let Some(text) = templates.first().and_then(|template| written(template, vocabulary)) else {
            return Vec::new();
        };
        let options = EncodeOptions { add_special: false, parse_special: true };
        let mut notes = Vec::new();
        let Ok(ids) = vocabulary.encode(&text, options) else { return notes };
        if vocabulary.adds_bos() && ids.first().is_some_and(|id| vocabulary.token_text(*id) == vocabulary.bos_text()) {
            notes.push(
                Note::new(Severity::Info, "The chat template writes BOS, and the tokenizer puts BOS before every text.")
                    .why("A program that does both gives the model two, which changes its output; Glassbox adds none to what a template wrote.")
                    .advice("Encode rendered conversations without adding special tokens."),
            );
        }
        notes.extend(end(vocabulary, &text, options));
        notes
    }

    /// A conversation of two turns.
    fn written(template: &Template, vocabulary: &Vocabulary) -> Option<String> {
        let messages = format!(r#"[{{"role":"user","content":"Hello"}},{{"role":"assistant","content":"{SAID}"}}]"#);
        let own = |text: Option<&str>| text.map(str::to_owned);
        let conversation = Conversation {
            messages: Data::parse(&messages).ok()?,
            bos: own(vocabulary.bos_text()),
            eos: own(vocabulary.eos_text()),
            ..Conversation::default()
        };
        template.render(&conversation).ok()
    }

    /// The token after what the assistant said must end a generation.
    fn end(vocabulary: &Vocabulary, text: &str, options: EncodeOptions) -> Option<Note> {
        let (_, after) = text.rsplit_once(SAID)?;
        let ids = vocabulary.encode(after, options).ok()?;
        let end = ids.into_iter().find(|id| vocabulary.kind(*id) == PieceKind::Control)?;
        let name = vocabulary.token_text(end).unwrap_or_default();
        let eos = vocabulary.eos_text().unwrap_or("none");
        if !vocabulary.end_ids().contains(&end) {
            return Some(
                Note::new(
                    Severity::Warning,
                    format!("The chat template ends what the assistant says with {name:?}, which does not end a generation (EOS is {eos:?})."),
                )
                .why("The model continues after its answer and writes both sides of the conversation.")
                .advice(format!("Set the end-of-turn token (tokenizer.ggml.eot_token_id, or eos_token_id in generation_config.json) to {end}.")),
            );
        }
        (vocabulary.eos_text().is_some() && vocabulary.eos_text() != Some(name)).then(|| {
            Note::new(
                Severity::Info,
                format!("The chat template ends what the assistant says with {name:?}; EOS is {eos:?}."),
            )
            .why("Programs that stop only at EOS continue after an answer.")
        })
    }
}
