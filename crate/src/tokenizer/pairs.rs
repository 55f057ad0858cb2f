//! Texts as models with a length of their own read them: cut to fit, and two texts as one sequence.

use serde_json::Value;

use super::{EncodeOptions, Method, Vocabulary};
use crate::fault::Result;

/// A text, or two, as a model reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fitted {
    /// Ids, with those that the tokenizer adds.
    pub ids: Vec<u32>,
    /// The kind of each id: 0, or 1 for what belongs to the second text where the tokenizer tells them apart.
    pub kinds: Vec<u32>,
    /// Ids of the texts that were left out because no more fit.
    pub cut: u32,
}

impl Fitted {
    fn push(&mut self, ids: &[u32], kind: u32) {
        self.ids.extend_from_slice(ids);
        self.kinds.resize(self.ids.len(), kind);
    }
}

/// A part of the sequence that two texts become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The first text or the second, and its kind.
    Text(bool, u32),
    /// Added ids, and their kind.
    Added(Vec<u32>, u32),
}

/// The parts that a `TemplateProcessing` has for two texts; `None` where it has none, or names them otherwise than once each.
pub(super) fn template(processor: &Value, ids_of: impl Fn(&Value) -> Option<Vec<u32>>) -> Option<Vec<Part>> {
    let kind =
        |item: &Value| item.get("type_id").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let mut parts = Vec::new();
    for item in processor.get("pair")?.as_array()? {
        match (item.get("Sequence"), item.get("SpecialToken")) {
            (Some(text), _) => parts.push(Part::Text(text.get("id")?.as_str()? == "B", kind(text))),
            (None, Some(token)) => parts.push(Part::Added(ids_of(item)?, kind(token))),
            _ => return None,
        }
    }
    let texts: Vec<bool> =
        parts.iter().filter_map(|p| if let Part::Text(b, _) = p { Some(*b) } else { None }).collect();
    (texts == [false, true]).then_some(parts)
}

impl Vocabulary {
    /// The parts of two texts: as the tokenizer's file says; else BERT's `[CLS] a [SEP] b [SEP]` for words in pieces, and
    /// RoBERTa's `<s> a </s></s> b </s>` for others.
    fn parts(&self) -> Vec<Part> {
        if let Some(parts) = &self.pair {
            return parts.clone();
        }
        let (before, after) = (Part::Added(self.before.clone(), 0), |kind| Part::Added(self.after.clone(), kind));
        match self.method {
            Method::WordPiece(_) => vec![before, Part::Text(false, 0), after(0), Part::Text(true, 1), after(1)],
            _ => vec![before, Part::Text(false, 0), after(0), after(0), Part::Text(true, 0), after(0)],
        }
    }
    fn bare(&self, text: &str) -> Result<Vec<u32>> {
        self.encode(text, EncodeOptions { add_special: false, parse_special: false })
    }
    /// A text in at most `most` ids, those included that the tokenizer adds; its end is cut off where it is longer.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`].
    pub fn fitted(&self, text: &str, most: usize) -> Result<Fitted> {
        let ids = self.bare(text)?;
        let kept = ids.len().min(most.saturating_sub(self.before.len() + self.after.len()));
        let mut fitted = Fitted { cut: (ids.len() - kept) as u32, ..Fitted::default() };
        fitted.push(&self.before, 0);
        fitted.push(&ids[..kept], 0);
        fitted.push(&self.after, 0);
        Ok(fitted)
    }
    /// How many ids the tokenizer puts behind a text.
    pub fn added_behind(&self) -> usize {
        self.after.len()
    }
    /// Two texts as one sequence of at most `most` ids; of what does not fit, the longer text loses its end first.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`].
    pub fn fitted_pair(&self, first: &str, second: &str, most: usize) -> Result<Fitted> {
        let (a, b, parts) = (self.bare(first)?, self.bare(second)?, self.parts());
        let added: usize = parts.iter().map(|p| if let Part::Added(ids, _) = p { ids.len() } else { 0 }).sum();
        let [keep_a, keep_b] = longest_first([a.len(), b.len()], most.saturating_sub(added));
        let mut fitted = Fitted { cut: (a.len() + b.len() - keep_a - keep_b) as u32, ..Fitted::default() };
        for part in &parts {
            match part {
                Part::Text(false, kind) => fitted.push(&a[..keep_a], *kind),
                Part::Text(true, kind) => fitted.push(&b[..keep_b], *kind),
                Part::Added(ids, kind) => fitted.push(ids, *kind),
            }
        }
        Ok(fitted)
    }
}

/// How much of two texts is kept in `most` ids: the crate's "longest first".
fn longest_first([a, b]: [usize; 2], most: usize) -> [usize; 2] {
    if a + b <= most {
        return [a, b];
    }
    let (short, swapped) = (a.min(b), a > b);
    let (short, long) = match most.checked_sub(short) {
        // The shorter one stays whole while the other, cut, is not shorter.
        Some(rest) if rest >= short => (short, rest),
        _ => (most / 2, most / 2 + most % 2),
    };
    if swapped { [long, short] } else { [short, long] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_text_loses_its_end_first() {
        assert_eq!(longest_first([3, 4], 9), [3, 4]);
        assert_eq!(longest_first([3, 10], 9), [3, 6]);
        assert_eq!(longest_first([10, 3], 9), [6, 3]);
        assert_eq!(longest_first([10, 20], 9), [4, 5]);
        assert_eq!(longest_first([20, 10], 9), [5, 4]);
        assert_eq!(longest_first([5, 5], 0), [0, 0]);
    }
}
