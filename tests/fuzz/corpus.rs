//! Inputs that are interesting: the shortest for each sentence that a reader was seen to say. They are run first and mutated further.

#![allow(dead_code, reason = "each user takes its part")]

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use glassbox::{fault::Fault, model::ModelFile};

/// The most bytes that are kept of all inputs of one target: the corpus is committed.
const KEPT: usize = 40 << 10;
/// Sentences that are told apart; a reader that says more is repeating names.
const SENTENCES: usize = 4096;
/// Longer inputs are not kept.
const LONGEST: usize = 8 << 10;

/// The sentences that a reader said, with numbers and names left out.
pub(crate) fn outcome(result: &Result<ModelFile, Fault>) -> Vec<String> {
    match result {
        Err(fault) => vec![plain(&fault.to_string())],
        Ok(model) => {
            let tensors = format!("{} tensors", model.tensors.len().min(3));
            model.notes.iter().map(|n| plain(&n.what)).chain([tensors]).collect()
        }
    }
}

fn plain(text: &str) -> String {
    let unquoted: String = text.split(['"', '\'', '`']).step_by(2).collect();
    let mut words = Vec::new();
    for word in unquoted.split_whitespace() {
        let number = word.contains(|c: char| c.is_ascii_digit())
            || word.trim_matches(|c: char| !c.is_alphanumeric()).len() == 2
                && word.chars().all(|c| c.is_ascii_hexdigit());
        let word = if number { "#" } else { word };
        if words.last() != Some(&"#") || word != "#" {
            words.push(word);
        }
    }
    words.truncate(16);
    words.join(" ")
}

/// The shortest input for each sentence.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<String, Vec<u8>>);

impl Found {
    /// Keeps an input that is the first, or the shortest, about which a sentence was said.
    pub(crate) fn see(&mut self, outcome: Vec<String>, input: &[u8]) {
        for sentence in outcome {
            if input.len() > LONGEST || (self.0.len() >= SENTENCES && !self.0.contains_key(&sentence)) {
                continue;
            }
            let kept = self.0.entry(sentence).or_insert_with(|| input.to_vec());
            if input.len() < kept.len() {
                *kept = input.to_vec();
            }
        }
    }
    /// The inputs, the shortest first, as many as are kept.
    pub(crate) fn inputs(&self) -> Vec<Vec<u8>> {
        let mut inputs: Vec<Vec<u8>> = self.0.values().cloned().collect();
        inputs.sort_by_key(|i| (i.len(), i.clone()));
        inputs.dedup();
        let mut left = KEPT;
        inputs.retain(|i| {
            let fits = i.len() <= left;
            left = left.saturating_sub(i.len());
            fits
        });
        inputs
    }
    /// Different sentences so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn file(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/fuzz/corpus/{target}.txt"))
}

/// The committed inputs of a target: one per line, in hexadecimal.
pub(crate) fn load(target: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file(target)).unwrap_or_default();
    text.lines().filter(|l| !l.is_empty()).map(bytes).collect()
}

fn bytes(line: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("the corpus is written in hexadecimal") as u8;
    line.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(*pair.get(1).expect("two digits a byte")))
        .collect()
}

/// Replaces the committed inputs of a target by what was found.
pub(crate) fn save(target: &str, found: &Found) {
    let text = found.inputs().iter().fold(String::new(), |mut text, input| {
        input.iter().for_each(|b| write!(text, "{b:02x}").expect("a string takes all"));
        text + "\n"
    });
    let file = file(target);
    std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("the folder can be made");
    std::fs::write(&file, text).expect("the corpus can be written");
}
