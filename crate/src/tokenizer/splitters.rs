//! How byte-level BPE models split text before merging: one row per family of
//! `tokenizer.ggml.pre` names.
//!
//! A new name is one more string in a row, a new rule one more row. Each row's rules are
//! applied in turn, each to the pieces that the one before it left; a match becomes a piece, and
//! so does what lies between matches. Source: llama.cpp at 00ad355e009e, `src/llama-vocab.cpp`
//! (`llm_tokenizer_bpe` for the regexes, `llama_vocab::impl::load` for names and flags) and
//! `src/unicode.cpp`, whose engine differs from others: it takes `\p{Lu}`, `\p{Ll}` and their kin
//! for `\p{L}`, and in patterns without such classes every space beyond ASCII for U+000B and `\d`,
//! `\b` for ASCII's. The patterns here say what it does, not what the model's own file says.

use std::ops::Range;

/// One way of splitting.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Values of `tokenizer.ggml.pre`.
    pub names: &'static [&'static str],
    /// Applied in turn.
    pub rules: &'static [Rule],
    /// A piece that is a token as a whole is not merged.
    pub ignore_merges: bool,
    /// BOS is added unless the file says otherwise.
    pub add_bos: bool,
    /// The kind's default BOS id does not hold.
    pub clear_bos: bool,
    /// Tokens are spelt in plain UTF-8 with `<0xXX>` bytes, not in the byte alphabet.
    pub raw: bool,
    /// Spaces are written `▁` (raw ones only).
    pub escape: bool,
    /// A line begins with `▁`, written or not (raw ones only).
    pub line_prefix: bool,
    /// A run of newlines that is a token as a whole is not merged.
    pub whole_newlines: bool,
    /// Where the model's own tokenizer is known to split otherwise than llama.cpp.
    pub differs: Option<&'static str>,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Matches, and what lies between them.
    Regex(&'static str),
    /// Digits in groups; a pattern would look ahead over the whole run from every digit.
    Digits(Digits),
}

/// How digits are grouped, always so that the last groups have three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// All `\p{N}`; what lies before a run stays with the run's first group.
    WithTextBefore,
    /// ASCII digits; runs before an ASCII letter or `_` stay whole, and with the text around.
    BeforeNoWord,
    /// ASCII digits; a cut before every third digit from the end, the first group's text stays with it.
    EveryThird,
}

/// Chinese characters, as `unicode_cpt_is_han` lists them.
macro_rules! han {
    () => {
        r"\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B820}-\u{2CEAF}\u{2CEB0}-\u{2EBEF}\u{F900}-\u{FAFF}\u{2F800}-\u{2FA1F}"
    };
}

/// Contractions in any case.
macro_rules! contractions {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// The rule of cl100k and its descendants without contractions, by how many digits form a piece.
macro_rules! words {
    ($digits:literal) => {
        concat!(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}", $digits, r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    };
}

macro_rules! cl100k {
    ($digits:literal) => {
        concat!(contractions!(), "|", words!($digits))
    };
}

/// The rule of o200k as llama.cpp approximates it: letters of class `$letter`, first those but a-z, then those but A-Z.
macro_rules! o200k {
    ($letter:literal, $contraction:expr, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[",
            $letter,
            r"--[a-z]]*[",
            $letter,
            r"--[A-Z]]+",
            $contraction,
            r"|[^\r\n\p{L}\p{N}]?[",
            $letter,
            r"--[a-z]]+[",
            $letter,
            r"--[A-Z]]*",
            $contraction,
            r"|\p{N}",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// The rule of o200k with letter cases taken for one.
macro_rules! caseless_o200k {
    ($digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
            contractions!(),
            "?",
            r"|\p{N}",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// DeepSeek's words, by what follows punctuation.
macro_rules! deepseek {
    ($newlines:literal) => {
        concat!(
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"##,
            $newlines,
            r"|\s+(?!\S)|\s+"
        )
    };
}

const GPT2: Rule = Rule::Regex(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)");
const DIGIT: Rule = Rule::Regex(r"\p{N}");
const THREE_DIGITS: Rule = Rule::Regex(r"\p{N}{1,3}");
const KANA: Rule = Rule::Regex(r"[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+");
const CJK: Rule = Rule::Regex(r"[[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]--\s]+");
const LINES: Rule = Rule::Regex(r"[^\n]+|\n+");
const NO_SENTENCE_MARKS: Rule = Rule::Regex(r" ?[^(\s|.,!?…。，、।۔،)]+");

/// Why two rows differ from their models' own files.
const ONE_CASE: &str = "llama.cpp takes letters of either case for one class here, so words are not cut where small letters meet capital ones.";
const ASCII_CASE: &str = "llama.cpp tells only ASCII's small letters from its capital ones here, so words of other alphabets may be cut elsewhere.";

/// For rows that only name their rules.
const BARE: Splitter = Splitter {
    names: &[],
    rules: &[],
    ignore_merges: false,
    add_bos: false,
    clear_bos: false,
    raw: false,
    escape: false,
    line_prefix: false,
    whole_newlines: false,
    differs: None,
};

/// The table.
pub(super) static SPLITTERS: &[Splitter] = &[
    Splitter {
        names: &["default"],
        rules: &[Rule::Regex(r"[\p{P}\$\+<=>\^~\|]+"), GPT2, Rule::Regex(r"\p{N}+"), Rule::Regex(r"[0-9][0-9][0-9]")],
        ..BARE
    },
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
            "jina-v1-en",
            "jina-v2-code",
            "jina-v2-de",
            "jina-v2-es",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "phi-2",
            "roberta-bpe",
            "trillion",
        ],
        rules: &[GPT2],
        ..BARE
    },
    Splitter {
        names: &["codeshell", "command-r", "exaone", "mellum2", "minerva-7b", "refact", "smollm", "starcoder"],
        rules: &[DIGIT, GPT2],
        ..BARE
    },
    Splitter {
        names: &["falcon"],
        rules: &[Rule::Regex(r"[\p{P}\$\+<=>\^~\|`]+"), GPT2, Rule::Regex(r"[0-9][0-9][0-9]")],
        ..BARE
    },
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
        rules: &[Rule::Regex(cl100k!("{1,3}"))],
        ignore_merges: true,
        add_bos: true,
        ..BARE
    },
    Splitter { names: &["dbrx", "smaug-bpe"], rules: &[Rule::Regex(cl100k!("{1,3}"))], ..BARE },
    Splitter {
        names: &["chatglm-bpe", "glm4", "glm5"],
        rules: &[Rule::Regex(cl100k!("{1,3}"))],
        clear_bos: true,
        ..BARE
    },
    Splitter {
        names: &["jais-2"],
        rules: &[Rule::Regex(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+",
            r"|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"
        ))],
        ..BARE
    },
    Splitter { names: &["minicpm5"], rules: &[THREE_DIGITS, Rule::Regex(cl100k!("+"))], ignore_merges: true, ..BARE },
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
        rules: &[Rule::Regex(cl100k!(""))],
        ..BARE
    },
    Splitter { names: &["laguna"], rules: &[LINES, Rule::Regex(cl100k!(""))], ..BARE },
    Splitter {
        names: &["qwen35"],
        rules: &[Rule::Regex(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))],
        ..BARE
    },
    Splitter { names: &["ufakzeka"], rules: &[Rule::Regex(words!(""))], ..BARE },
    Splitter {
        names: &["seed-coder"],
        rules: &[Rule::Regex(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))],
        ..BARE
    },
    Splitter {
        names: &["bailingmoe", "bailingmoe2", "llada-moe"],
        rules: &[Rule::Regex(
            r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        )],
        ..BARE
    },
    Splitter {
        names: &["exaone-moe"],
        rules: &[Rule::Regex(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
        ))],
        ..BARE
    },
    Splitter {
        names: &["deepseek-llm"],
        rules: &[
            Rule::Regex(r"[\r\n]"),
            Rule::Regex(concat!(
                r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼ",
                r"ℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
            )),
            Rule::Regex(r"\s?[!-/:-~！-／：-～‘-‟\u{3001}-。]+"),
            Rule::Regex(r"\s+$"),
            CJK,
            Rule::Regex(r"\p{N}+"),
        ],
        ..BARE
    },
    Splitter {
        names: &["deepseek-coder"],
        rules: &[Rule::Regex(r"[\r\n]"), Rule::Regex(r"\s?\p{L}+"), Rule::Regex(r"\s?\p{P}+"), CJK, DIGIT],
        ..BARE
    },
    Splitter {
        names: &["deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"],
        rules: &[THREE_DIGITS, KANA, Rule::Regex(deepseek!(r"[\r\n]*|\s*[\r\n]+"))],
        ..BARE
    },
    Splitter { names: &["spark2_5"], rules: &[THREE_DIGITS, KANA, Rule::Regex(deepseek!(r"|[\r\n]")), DIGIT], ..BARE },
    Splitter {
        names: &["youtu"],
        rules: &[
            Rule::Regex(
                r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+",
            ),
            Rule::Regex(caseless_o200k!("")),
        ],
        ignore_merges: true,
        differs: Some(ONE_CASE),
        ..BARE
    },
    Splitter { names: &["bloom", "gpt3-finnish", "poro-chat"], rules: &[NO_SENTENCE_MARKS], ..BARE },
    Splitter { names: &["viking"], rules: &[NO_SENTENCE_MARKS, DIGIT], ..BARE },
    Splitter {
        names: &["tekken"],
        rules: &[Rule::Regex(o200k!(r"\p{L}", "", ""))],
        ignore_merges: true,
        add_bos: true,
        differs: Some(ASCII_CASE),
        ..BARE
    },
    Splitter {
        names: &["gpt-4o", "kanana2", "llama4", "minimax-m2", "talkie"],
        rules: &[Rule::Regex(o200k!(r"\p{L}", concat!(contractions!(), "?"), "{1,3}"))],
        differs: Some(ASCII_CASE),
        ..BARE
    },
    Splitter {
        names: &["granite-embed-multi-97m"],
        rules: &[Rule::Regex(o200k!(r"[\p{L}\p{M}]", concat!(contractions!(), "?"), "{1,3}"))],
        ignore_merges: true,
        differs: Some(ASCII_CASE),
        ..BARE
    },
    Splitter {
        names: &["cohere2moe", "tiny_aya"],
        rules: &[Rule::Digits(Digits::BeforeNoWord), Rule::Regex(caseless_o200k!("{1,3}"))],
        differs: Some(ONE_CASE),
        ..BARE
    },
    Splitter { names: &["superbpe"], rules: &[Rule::Regex(r"\p{N}+"), Rule::Digits(Digits::EveryThird)], ..BARE },
    Splitter {
        names: &["chameleon"],
        rules: &[
            Rule::Regex("<sentinel:[0-9]+>"),
            Rule::Regex("IMGIMG[A-I]{1,4}Z"),
            Rule::Regex(r"[\t\n]|    |  "),
            DIGIT,
            Rule::Regex(r"[\p{P}!-/:-@\[-`{-~]"),
            GPT2,
        ],
        add_bos: true,
        ..BARE
    },
    Splitter {
        names: &["kimi-k2"],
        rules: &[Rule::Regex(concat!(
            "[",
            han!(),
            r"]+",
            r"|(?:[^\r\n\p{L}\p{N}]?[\p{L}--[",
            han!(),
            r"]]+)",
            contractions!(),
            "?",
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))],
        differs: Some(ONE_CASE),
        ..BARE
    },
    Splitter {
        names: &["afmoe"],
        rules: &[
            Rule::Digits(Digits::WithTextBefore),
            Rule::Regex(r"[一-鿿㐀-䶿\u{F900}-\u{FAFF}぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿\u{0E80}-\u{0EFF}ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"),
            Rule::Regex(deepseek!(r"[\r\n]*|\s*[\r\n]+")),
        ],
        ..BARE
    },
    Splitter {
        names: &["gemma4", "granite-embed-multi-311m"],
        rules: &[LINES],
        add_bos: true,
        clear_bos: true,
        raw: true,
        escape: true,
        whole_newlines: true,
        ..BARE
    },
    Splitter {
        names: &["mmbert"],
        rules: &[LINES, Rule::Regex("▁[^▁]*")],
        raw: true,
        escape: true,
        line_prefix: true,
        ..BARE
    },
    Splitter { names: &["sarvam-moe"], rules: &[LINES], raw: true, escape: true, ..BARE },
    Splitter { names: &["whitespace"], rules: &[Rule::Regex(r"\S+")], raw: true, ..BARE },
];

/// The row of a `tokenizer.ggml.pre` name.
pub(super) fn find(name: &str) -> Option<&'static Splitter> {
    SPLITTERS.iter().find(|row| row.names.contains(&name))
}

/// Pieces of a text by its digits; together they are the whole text.
pub(super) fn group(text: &str, how: Digits) -> Vec<Range<usize>> {
    let is_digit = |c: char| if how == Digits::WithTextBefore { c.is_numeric() } else { c.is_ascii_digit() };
    let mut cuts = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut run = Vec::new();
    while let Some((at, c)) = chars.next() {
        if !is_digit(c) {
            continue;
        }
        run.push(at);
        let next = chars.peek().copied();
        if next.is_some_and(|(_, c)| is_digit(c)) {
            continue;
        }
        let end = next.map_or(text.len(), |(at, _)| at);
        let is_word = next.is_some_and(|(_, c)| c.is_ascii_alphabetic() || c == '_');
        if how != Digits::BeforeNoWord || !is_word {
            let from_end = |nth: usize| run.len() - nth;
            let inner = (0..run.len()).filter(|nth| from_end(*nth) % 3 == 0);
            match how {
                Digits::EveryThird => cuts.extend(inner.map(|nth| run[nth])),
                Digits::WithTextBefore => cuts.extend(inner.filter(|nth| *nth > 0).map(|nth| run[nth]).chain([end])),
                Digits::BeforeNoWord => {
                    cuts.extend([run[0]].into_iter().chain(inner.map(|nth| run[nth])).chain([end]));
                }
            }
        }
        run.clear();
    }
    cuts.push(text.len());
    let mut start = 0;
    let mut pieces = Vec::with_capacity(cuts.len());
    for cut in cuts {
        if cut > start {
            pieces.push(start..cut);
            start = cut;
        }
    }
    pieces
}
#[cfg(test)]
mod tests;
