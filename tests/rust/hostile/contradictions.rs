//! Messages that state an expectation and a finding never say the same of both.

use super::*;

/// A message that states an expectation and what was found: the two must not say the same.
fn contradiction(text: &str) -> Option<String> {
    let number = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-').parse::<f64>().ok();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (i, word) in words.iter().enumerate() {
        if !word.starts_with("expected") {
            continue;
        }
        let before = &words[..i];
        // Up to the end of the clause, whose last word says what the number is.
        let after: Vec<&str> = words[i + 1..].iter().copied().take(6).collect();
        let end = after
            .iter()
            .position(|w| ["found", "announced", "given", "left", "are", "there"].contains(&w.trim_matches(',')));
        let Some(found) = end.and_then(|end| after[..end].iter().find_map(|w| number(w))) else { continue };
        let tail = |n: usize| before.iter().rev().take(n).copied().collect::<Vec<_>>();
        let says = |phrase: &[&str]| before.windows(phrase.len()).rev().take(12).any(|w| w == phrase);
        let last = tail(12).iter().find_map(|w| number(w));
        let wrong = match last {
            Some(limit) if says(&["at", "most"]) => found <= limit,
            Some(limit) if says(&["at", "least"]) => found >= limit,
            Some(limit) if says(&["below"]) => found < limit,
            Some(high) if before.windows(2).rev().take(6).any(|w| w[0] == "to" && number(w[1]) == Some(high)) => {
                let low = before.windows(3).rev().find_map(|w| (w[1] == "to").then(|| number(w[0])).flatten());
                low.is_some_and(|low| (low..=high).contains(&found))
            }
            Some(exact)
                if number(tail(1).first().unwrap_or(&"")) == Some(exact) || says(&["bytes"]) && tail(2).len() == 2 =>
            {
                !says(&["of"]) && found == exact
            }
            _ => says(&["above", "zero"]) && found > 0.0,
        };
        if wrong {
            return Some(text.to_owned());
        }
    }
    None
}

#[test]
fn the_check_for_contradictions_knows_one() {
    for wrong in [
        "llama.block_count: a whole number above zero expected, 2147483648 found",
        "a name of at most 64 bytes expected, 64 announced",
        "a number from 1 to 4 expected, 3 found",
        "8 bytes expected, 8 left in the file",
    ] {
        assert!(contradiction(wrong).is_some(), "{wrong}");
    }
    for right in [
        "a name of at most 64 bytes expected, 65 announced",
        "a number from 1 to 4 expected, 7 found",
        "8 bytes expected, 7 left in the file",
        "a string expected, ',' found",
        "a number above zero expected, -1 found",
    ] {
        assert!(contradiction(right).is_none(), "{right}");
    }
}

/// Every sentence about the corpus' hostile files, the inputs that the fuzzer found, and each of them with a byte changed.
#[test]
fn what_is_expected_and_what_is_found_never_contradict() {
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    for entry in std::fs::read_dir(root).expect("the corpus of the fuzzer is in the repository").flatten() {
        let target = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        inputs.extend(corpus::load(&target).into_iter().map(|bytes| (format!("fuzz.{target}"), bytes)));
    }
    if let Some(corpus) = corpus() {
        let mut folders = vec![corpus.join("hostile")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if entry.metadata().is_ok_and(|m| m.len() < 1 << 20) {
                    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                    inputs.push((name, std::fs::read(&path).expect("readable")));
                }
            }
        }
    }
    let (mut said, mut wrong) = (0, std::collections::BTreeSet::new());
    for (name, bytes) in &inputs {
        for changed in 0..8usize {
            let mut bytes = bytes.clone();
            if changed > 0 && !bytes.is_empty() {
                let at = (changed * 7919) % bytes.len();
                bytes[at] = bytes[at].wrapping_add(1 << (changed % 8));
            }
            let texts: Vec<String> = match open_bytes(name, &bytes) {
                Ok(model) => model.notes.into_iter().map(|n| n.what).collect(),
                Err(fault) => vec![fault.to_string()],
            };
            said += texts.len();
            wrong.extend(texts.iter().filter_map(|text| contradiction(text)));
        }
    }
    assert!(said > 1000, "only {said} sentences");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
