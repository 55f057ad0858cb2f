//! A conversation as a chat template writes it.

use serde::Serialize;

use super::NoteReport;

/// What `glassbox chat-template` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChatReport {
    /// The template's name.
    pub template: String,
    /// The metadata key or file that holds it.
    pub from: String,
    /// Names of all templates, the default first.
    pub templates: Vec<String>,
    /// The conversation as text.
    pub text: String,
    /// Its token ids, special ones parsed and none added; null without a tokenizer.
    pub ids: Option<Vec<u32>>,
    /// Findings.
    pub notes: Vec<NoteReport>,
}
