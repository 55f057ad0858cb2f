//! The head of a model card: the few forms of YAML that Hugging Face's model cards are written in.

use std::collections::BTreeMap;

/// Lines of a card's head that are read, at most.
const LINES_MOST: usize = 10_000;

/// What a card states: one text or several for each key. Whatever else YAML allows is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Card(BTreeMap<String, Vec<String>>);

fn plain(text: &str) -> String {
    let text = text.trim();
    let quoted = |q: char| text.strip_prefix(q).and_then(|t| t.strip_suffix(q));
    match quoted('"').or_else(|| quoted('\'')) {
        Some(inner) => inner.to_owned(),
        // A comment follows a space.
        None => text.split(" #").next().unwrap_or(text).trim().to_owned(),
    }
}

impl Card {
    /// Of a README.md; empty where it has no head.
    pub(super) fn parse(text: &str) -> Self {
        let mut card = Self::default();
        let mut lines = text.lines().take(LINES_MOST);
        if lines.next() != Some("---") {
            return card;
        }
        let mut open: Option<String> = None;
        for line in lines.take_while(|line| *line != "---") {
            let item = line.trim_start().strip_prefix("- ").or_else(|| line.trim_start().strip_prefix("-\t"));
            if let (Some(key), Some(item)) = (&open, item) {
                // Items that are maps of their own are passed over.
                let map = item.split_once(": ").is_some_and(|(k, _)| !k.contains(['"', '\'', '/']));
                if !map && !line.starts_with("  -  ") {
                    card.0.entry(key.clone()).or_default().push(plain(item));
                }
                continue;
            }
            if line.starts_with([' ', '\t', '#']) {
                continue;
            }
            open = None;
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (plain(key), value.trim());
            if value.is_empty() {
                open = Some(key);
            } else if let Some(list) = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
                let items = list.split(',').map(plain).filter(|i| !i.is_empty());
                card.0.insert(key, items.collect());
            } else if !value.starts_with(['{', '|', '>', '&', '*']) {
                card.0.insert(key, vec![plain(value)]);
            }
        }
        card
    }
    /// All that a key, or the first of these that is there, states.
    pub(super) fn all(&self, keys: &[&str]) -> &[String] {
        keys.iter().find_map(|key| self.0.get(*key)).map_or(&[], Vec::as_slice)
    }
    /// The one text of a key.
    pub(super) fn one(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| match self.0.get(*key)?.as_slice() {
            [one] => Some(one.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_card_is_read_in_both_spellings_of_lists() {
        let text = "---\nlicense: apache-2.0\nlanguage: [en, \"no\"]\ntags:\n- chat\n  - 'code'\nbase_model: a/b # as is\nmodel-index:\n- name: x\n  results: 1\npipeline_tag: text-generation\n---\nlicense: other\n";
        let card = Card::parse(text);
        assert_eq!(card.one(&["license"]), Some("apache-2.0"));
        assert_eq!(card.all(&["languages", "language"]), ["en", "no"]);
        assert_eq!(card.all(&["tags"]), ["chat", "code"]);
        assert_eq!((card.one(&["base_model"]), card.one(&["pipeline_tag"])), (Some("a/b"), Some("text-generation")));
        assert!(card.all(&["model-index"]).is_empty());
        assert_eq!(Card::parse("# Title\nlicense: mit\n"), Card::default());
    }
}
