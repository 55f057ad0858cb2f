//! What a model's name says: "Qwen/Qwen2.5-7B-Instruct" is a base name, a size and a finetune, by gguf-py's rules (`metadata.py`).

use fancy_regex::Regex;

/// The parts of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) basename: Option<String>,
    pub(super) finetune: Option<String>,
    pub(super) version: Option<String>,
    pub(super) size_label: Option<String>,
}

/// What a word of a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Basename,
    Size,
    Finetune,
    Version,
    Type,
}

fn is(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?i:{pattern})$")).is_ok_and(|r| r.is_match(text).unwrap_or(false))
}

/// "qwen2.5-7b" as a title: words of small letters begin with a capital one.
pub(super) fn title(name: &str) -> String {
    let word = |w: &str| {
        let small = w.chars().any(char::is_lowercase) && !w.chars().any(char::is_uppercase);
        let numbered = w.starts_with(|c: char| c.is_ascii_digit()) || is(r"v\d+(?:\.\d+)*", w);
        if !small || numbered {
            return w.to_owned();
        }
        // As Python's `title`: every run of letters begins anew.
        let mut out = String::with_capacity(w.len());
        let mut within = false;
        for c in w.chars() {
            match c.is_alphabetic() {
                true if !within => out.extend(c.to_uppercase()),
                _ => out.push(c),
            }
            within = c.is_alphabetic();
        }
        out
    };
    name.trim().replace('-', " ").split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

impl Identity {
    /// Of a name such as "meta-llama/Llama-3.1-8B"; `parameters` tells sizes from lengths of contexts.
    pub(super) fn of(id: &str, parameters: u64) -> Self {
        if id.contains(' ') {
            return Self { name: Some(id.to_owned()), ..Self::default() };
        }
        let (organization, full) = id.split_once('/').map_or((None, id), |(o, n)| (Some(o), n));
        let organization = organization.filter(|o| !o.is_empty() && !o.starts_with('.')).map(str::to_owned);
        let mut words: Vec<(String, Vec<Kind>)> =
            full.split('-').filter(|w| !w.is_empty()).map(|w| (w.to_owned(), Vec::new())).collect();
        for (i, (word, kinds)) in words.iter_mut().enumerate() {
            describe(word, kinds, i, parameters);
        }
        let digits = |(w, k): &(String, Vec<Kind>)| k.contains(&Kind::Size) && w.chars().any(|c| c.is_ascii_digit());
        if words.iter().any(digits) {
            for (word, kinds) in &mut words {
                if word.chars().all(char::is_alphabetic) {
                    kinds.retain(|k| *k != Kind::Size);
                }
            }
        }
        let mut at_start = true;
        for (word, kinds) in &mut words {
            let letter = word.starts_with(char::is_alphabetic);
            if at_start && (kinds.is_empty() && letter || kinds.contains(&Kind::Version)) {
                kinds.push(Kind::Basename);
            } else {
                at_start = false;
                if kinds.is_empty() {
                    kinds.push(Kind::Finetune);
                }
            }
        }
        for (_, kinds) in words.iter_mut().rev() {
            if !kinds.contains(&Kind::Basename) || kinds.len() < 2 {
                break;
            }
            kinds.retain(|k| *k != Kind::Basename);
        }
        let joined = |wanted: &dyn Fn(&[Kind]) -> bool| {
            let all: Vec<&str> = words.iter().filter(|(_, k)| wanted(k)).map(|(w, _)| w.as_str()).collect();
            (!all.is_empty()).then(|| all.join("-"))
        };
        let mut sizes: Vec<&str> = Vec::new();
        for (word, kinds) in &words {
            if kinds.contains(&Kind::Size) && !sizes.contains(&word.as_str()) {
                sizes.push(word);
            }
        }
        let size_label = (!sizes.is_empty()).then(|| sizes.join("-"));
        let finetune = joined(&|k| k.contains(&Kind::Finetune));
        let version = joined(&|k| k.contains(&Kind::Version) && !k.contains(&Kind::Basename));
        let told = size_label.is_some() || finetune.is_some() || version.is_some();
        let basename = joined(&|k| k.contains(&Kind::Basename)).filter(|_| told);
        Self { name: Some(full.to_owned()), organization, basename, finetune, version, size_label }
    }
}

/// What one word is.
fn describe(word: &mut String, kinds: &mut Vec<Kind>, at: usize, parameters: u64) {
    if is(r"(v|iter)?\d+([.]\d+)*", word) {
        kinds.push(Kind::Version);
    } else if is(r"i?q\d(_\w)*|b?fp?(16|32)", word) {
        kinds.push(Kind::Type);
        *word = word.to_uppercase();
    } else if at > 0 && is(r"(([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl)", word) {
        let mut chars: Vec<char> = word.replace('_', ".").chars().collect();
        // BLOOM's "7b1" is 7.1b.
        if let [.., unit, digit] = chars.as_mut_slice()
            && digit.is_ascii_digit()
        {
            let (u, d) = (*unit, *digit);
            chars.truncate(chars.len() - 2);
            chars.extend(['.', d, u]);
        }
        if let [.., before, unit] = chars.as_mut_slice()
            && before.is_ascii_digit()
            && "kmbt".contains(*unit)
        {
            *unit = unit.to_ascii_uppercase();
        }
        let unit = chars.last().copied().unwrap_or(' ');
        let number = chars[..chars.len().saturating_sub(1)].iter().collect::<String>().parse::<f64>().ok();
        let power = " KMBT".find(unit).map(|p| 1000f64.powi(p as i32));
        if let (Some(number), Some(power), true) = (number, power, parameters > 0) {
            // A size far from the model's is the length of a context.
            if (number * power - parameters as f64).abs() > (7 * parameters / 8) as f64 {
                kinds.push(Kind::Finetune);
                if let Some(last) = chars.last_mut() {
                    *last = last.to_ascii_lowercase();
                }
            }
        }
        if kinds.is_empty() {
            kinds.push(Kind::Size);
        }
        *word = chars.into_iter().collect();
    } else if at > 0 && is("chat|instruct|vision|lora", word) {
        kinds.push(Kind::Finetune);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (id, size, [name, organization, basename, finetune, version, label]) in [
            ("Mistral-7B-Instruct-v0.2", 0, ["Mistral-7B-Instruct-v0.2", "", "Mistral", "Instruct", "v0.2", "7B"]),
            (
                "Qwen/Qwen2.5-7B-Instruct",
                7_615_616_512,
                ["Qwen2.5-7B-Instruct", "Qwen", "Qwen2.5", "Instruct", "", "7B"],
            ),
            (
                "Phi-3-mini-4k-instruct",
                3_800_000_000,
                ["Phi-3-mini-4k-instruct", "", "Phi-3", "4k-instruct", "", "mini"],
            ),
            ("bloom-7b1", 0, ["bloom-7b1", "", "bloom", "", "", "7.1B"]),
            ("hf", 160_000, ["hf", "", "", "", "", ""]),
            ("a model", 0, ["a model", "", "", "", "", ""]),
        ] {
            let wanted = Identity {
                name: some(name),
                organization: some(organization),
                basename: some(basename),
                finetune: some(finetune),
                version: some(version),
                size_label: some(label),
            };
            assert_eq!(Identity::of(id, size), wanted, "{id}");
        }
    }

    #[test]
    fn titles_keep_acronyms_and_versions() {
        assert_eq!(title("tiny-LLM-v1.5-chat"), "Tiny LLM v1.5 Chat");
        assert_eq!((title("hf"), title("7b-x2y")), ("Hf".into(), "7b X2Y".into()));
    }
}
