//! How byte-level BPE models split text before merging: one row per family of
//! `tokenizer.ggml.pre` names.
//!
//! A new name is one more string in a row, a new rule one more row. Each row's regexes are
//! applied in turn, each to the pieces that the one before it left; a match becomes a piece, and
//! so does what lies between matches. Source: llama.cpp, `src/llama-vocab.cpp`
//! (`llm_tokenizer_bpe` for the regexes, `llama_vocab::impl::load` for names and flags).

/// One way of splitting.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Values of `tokenizer.ggml.pre`.
    pub names: &'static [&'static str],
    /// Applied in turn.
    pub regexes: &'static [&'static str],
    /// A piece that is a token as a whole is not merged.
    pub ignore_merges: bool,
    /// BOS is added unless the file says otherwise.
    pub add_bos: bool,
    /// The kind's default BOS id does not hold.
    pub clear_bos: bool,
}

/// Contractions in any case.
macro_rules! contractions {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// The rule of cl100k and its descendants, by how many digits form a piece.
macro_rules! cl100k {
    ($digits:literal) => {
        concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";

/// For rows that only name their regexes.
const BARE: Splitter = Splitter { names: &[], regexes: &[], ignore_merges: false, add_bos: false, clear_bos: false };

/// The table.
pub(super) static SPLITTERS: &[Splitter] = &[
    Splitter { names: &["default"], regexes: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"], ..BARE },
    Splitter {
        names: &[
            "a.x-4.0",
            "exaone4",
            "gigachat",
            "gpt-2",
            "granite-docling",
            "jais",
            "jina-de",
            "jina-es",
            "jina-v2-de",
            "jina-v2-es",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "phi-2",
            "trillion",
        ],
        regexes: &[GPT2],
        ..BARE
    },
    Splitter {
        names: &["codeshell", "command-r", "exaone", "mellum2", "minerva-7b", "refact", "smollm", "starcoder"],
        regexes: &[r"\p{N}", GPT2],
        ..BARE
    },
    Splitter { names: &["falcon"], regexes: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"], ..BARE },
    Splitter {
        names: &[
            "falcon-h1",
            "falcon3",
            "jina-v5-nano",
            "lfm2",
            "llama-bpe",
            "llama-v3",
            "llama3",
            "midm-2.0",
            "pixtral",
        ],
        regexes: &[cl100k!("{1,3}")],
        ignore_merges: true,
        add_bos: true,
        ..BARE
    },
    Splitter { names: &["dbrx", "smaug-bpe"], regexes: &[cl100k!("{1,3}")], ..BARE },
    Splitter { names: &["chatglm-bpe"], regexes: &[cl100k!("{1,3}")], clear_bos: true, ..BARE },
    Splitter { names: &["glm4", "glm5"], regexes: &[cl100k!("{1,3}")], ignore_merges: true, clear_bos: true, ..BARE },
    Splitter { names: &["minicpm5"], regexes: &[r"\p{N}{1,3}", cl100k!("+")], ignore_merges: true, ..BARE },
    Splitter {
        names: &[
            "deepseek-r1-qwen",
            "f2llmv2",
            "grok-2",
            "hunyuan",
            "kormo",
            "megrez",
            "qwen2",
            "solar-open",
            "stablelm2",
        ],
        regexes: &[cl100k!("")],
        ..BARE
    },
    Splitter {
        names: &["deepseek-coder"],
        regexes: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            r"[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+",
            r"\p{N}",
        ],
        ..BARE
    },
    Splitter {
        names: &["bloom", "gpt3-finnish", "poro-chat"], regexes: &[r" ?[^(\s|.,!?…。，、।۔،)]+"], ..BARE
    },
    Splitter { names: &["viking"], regexes: &[r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"], ..BARE },
];

/// The row of a `tokenizer.ggml.pre` name.
pub(super) fn find(name: &str) -> Option<&'static Splitter> {
    SPLITTERS.iter().find(|row| row.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_regex_compiles_and_no_name_has_two_rows() {
        let mut names: Vec<&str> = Vec::new();
        for row in SPLITTERS {
            assert!(row.names.is_sorted(), "{:?}", row.names);
            names.extend(row.names);
            for regex in row.regexes {
                assert!(fancy_regex::Regex::new(regex).is_ok(), "{regex}");
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
