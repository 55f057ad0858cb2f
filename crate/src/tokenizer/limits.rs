//! Named limits of a vocabulary: every one has a diagnostic that says it was reached.

use crate::fault::{Fault, Result};

/// Tokens of one vocabulary; the largest known ones have about 262,000.
pub(super) const TOKENS: usize = 1 << 22;
/// Bytes of one token.
pub(super) const TOKEN_BYTES: usize = 1 << 16;
/// Merges of one vocabulary; the largest known ones have about 515,000.
pub(super) const MERGES: usize = 1 << 23;
/// Control and user-defined tokens, each of which is looked for in every text.
pub(super) const SPECIALS: usize = 1 << 16;
/// Bytes of one regular expression.
pub(super) const PATTERN_BYTES: usize = 1 << 14;
/// Bytes of one text to encode.
pub(super) const TEXT_BYTES: usize = 1 << 26;
/// Bytes of one text to explain step by step.
pub(super) const EXPLAINED_BYTES: usize = 1 << 16;
/// Steps of a search for tokens that a text may cost, besides those for each of its bytes.
pub(super) const STEPS: u64 = 1 << 20;
/// Steps for each byte; known vocabularies take about as many as their tokens are long.
pub(super) const STEPS_PER_BYTE: u64 = 512;
/// Steps to build a table of texts or merges, besides those for each of its entries.
pub(super) const PROBES: usize = 1 << 16;
/// Steps for each entry; a table that is half full needs one or two.
pub(super) const PROBES_PER_ITEM: usize = 64;
/// White space characters in one run: the regex engine keeps one stack entry for each.
pub(super) const WHITESPACE_RUN: usize = 500_000;

/// A fault if `found` of something exceeds its limit.
pub(super) fn check(what: &str, found: usize, limit: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Fault::limit(format!("{what}: {found} found, at most {limit} are accepted")))
}

/// Checks a text before it is encoded.
pub(super) fn check_text(text: &str) -> Result<()> {
    check("bytes of text to tokenize", text.len(), TEXT_BYTES)
}

/// Checks a text before a regular expression runs over it.
pub(super) fn check_spaces(text: &str) -> Result<()> {
    if text.len() <= WHITESPACE_RUN {
        return Ok(());
    }
    let mut run = 0;
    for c in text.chars() {
        run = if c.is_whitespace() { run + 1 } else { 0 };
        if run > WHITESPACE_RUN {
            return check("white space characters in a row", run, WHITESPACE_RUN);
        }
    }
    Ok(())
}
