//! An answer's text, taken apart while it comes: thoughts, what is said, calls of tools.

use super::tools::{Call, Watch};
use crate::session::{Part, Thinking};

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Thought(String),
    Said(String),
}

/// The text of one answer under way.
pub(super) struct Answer {
    thinking: Option<Thinking>,
    watch: Option<Watch>,
}

impl Answer {
    /// Behind a prompt that a template wrote; with `tools` calls are looked for.
    pub(super) fn behind(prompt: &str, tools: bool) -> Self {
        Self { thinking: Some(Thinking::behind(prompt)), watch: tools.then(Watch::default) }
    }
    /// What is certain with the next piece of the text.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        let parts = self.thinking.as_mut().map(|thinking| thinking.push(text)).unwrap_or_default();
        parts.into_iter().filter_map(|part| self.piece(part)).collect()
    }
    /// What was held back, at the end of the text.
    pub(super) fn finish(mut self, text: &str) -> (Vec<Piece>, Vec<Call>) {
        let mut pieces = self.push(text);
        let last = self.thinking.take().and_then(Thinking::finish);
        pieces.extend(last.and_then(|part| self.piece(part)));
        let (rest, calls) = self.watch.map(Watch::finish).unwrap_or_default();
        if !rest.is_empty() {
            pieces.push(Piece::Said(rest));
        }
        (pieces, calls)
    }
    fn piece(&mut self, (part, text): (Part, String)) -> Option<Piece> {
        match part {
            Part::Thought => Some(Piece::Thought(text)),
            Part::Answer => {
                let said = self.watch.as_mut().map_or_else(|| text.clone(), |watch| watch.push(&text));
                (!said.is_empty()).then_some(Piece::Said(said))
            }
        }
    }
}
