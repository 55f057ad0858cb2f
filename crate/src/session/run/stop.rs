//! When a generation ends by what the model says.

use std::collections::BTreeSet;

use crate::{
    model::{MetaValue, Metadata},
    session::Inspection,
    tokenizer::Vocabulary,
};

/// Tokens that end a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StopSet(BTreeSet<u32>);

impl StopSet {
    /// What the model's files say: the tokenizer's end tokens, and `eos_token_id` of generation_config.json and
    /// config.json, each a number or a list.
    pub(super) fn of(inspection: &Inspection, vocabulary: Option<&Vocabulary>) -> Self {
        let mut ids: BTreeSet<u32> = vocabulary.into_iter().flat_map(|v| v.end_ids().iter().copied()).collect();
        for key in ["generation_config.eos_token_id", "config.eos_token_id", "config.text_config.eos_token_id"] {
            ids.extend(numbers(&inspection.model().metadata, key));
        }
        Self(ids)
    }
    /// Whether a token ends the generation.
    pub(super) fn contains(&self, id: u32) -> bool {
        self.0.contains(&id)
    }
}

/// A number, or the numbers of a list, which may be kept as one value or as one key for each item.
fn numbers(metadata: &Metadata, key: &str) -> Vec<u32> {
    let number = |v: &MetaValue| match v {
        MetaValue::Unsigned(n, _) => u32::try_from(*n).ok(),
        MetaValue::Signed(n, _) => u32::try_from(*n).ok(),
        _ => None,
    };
    match metadata.get(key) {
        Some(MetaValue::Array(array)) => array.head.iter().filter_map(number).collect(),
        Some(value) => number(value).into_iter().collect(),
        None => (0..).map_while(|i| metadata.get(&format!("{key}.{i}"))).filter_map(number).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetaType;

    #[test]
    fn a_number_and_a_list_of_numbers_both_stop() {
        let mut metadata = Metadata::default();
        metadata.push("one", MetaValue::Unsigned(7, MetaType::U32));
        metadata.push("each.0", MetaValue::Unsigned(1, MetaType::U32));
        metadata.push("each.1", MetaValue::Signed(2, MetaType::I64));
        assert_eq!(numbers(&metadata, "one"), [7]);
        assert_eq!(numbers(&metadata, "each"), [1, 2]);
        assert_eq!(numbers(&metadata, "none"), [0u32; 0]);
    }
}
