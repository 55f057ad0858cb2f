//! Whether a GGUF names the right pre-tokenizer: by what its vocabulary looks like, and by what another file of the same
//! model makes of texts that rules cut differently.

use super::{
    EncodeOptions, GgufVocabulary, Method, Vocabulary,
    splits::Split,
    splitters::{self, Rule, SPLITTERS},
};
use crate::fault::{Fault, Result};

/// Texts that the rules of different models cut differently: contractions, digits, spaces, lines, scripts, marks.
pub const PROBES: &[&str] = &[
    "Hello, y'all! I'M sure we'LL see it's fine.",
    "1 12 123 1234 12345 3.14159 a1b22c333",
    "\n\n\n  \n\tx  \r\n y",
    "   leading,  double   triple    and trailing   ",
    "naïve café ÉCOLE Straße İstanbul",
    "中文字符、日本語テスト。한국어 조선말",
    "привет МИР Ελληνικά עברית العربية ไทย हिन्दी",
    "hello_world fooBar HTTPServer x = y+z; // c\n\treturn a[i];",
    "«quote» “smart” … — #tag @user $100 50%",
    "😀👩\u{200d}👩\u{200d}👧 👍🏽 e\u{301} ﬁ ²³",
    "\u{a0}\u{3000}x\u{2003}y",
];

/// How much a family is known by: a token that it has, and how many tokens there are.
struct Family {
    /// "Llama 3".
    name: &'static str,
    pre: &'static str,
    token: &'static str,
    sizes: std::ops::RangeInclusive<usize>,
}

const fn family(
    name: &'static str,
    pre: &'static str,
    token: &'static str,
    sizes: std::ops::RangeInclusive<usize>,
) -> Family {
    Family { name, pre, token, sizes }
}

/// Families whose vocabularies cannot be mistaken; sizes are those of the published tokenizers, with room for padding.
const FAMILIES: &[Family] = &[
    family("GPT-2", "gpt-2", "<|endoftext|>", 50_257..=50_304),
    family("Llama 3", "llama-bpe", "<|begin_of_text|>", 128_000..=128_512),
    family("Llama 4", "llama4", "<|begin_of_text|>", 200_000..=202_240),
    family("Qwen 2", "qwen2", "<|im_start|>", 151_640..=152_064),
    family("DeepSeek V3", "deepseek-v3", "<｜begin▁of▁sentence｜>", 128_800..=129_280),
    family("DeepSeek LLM", "deepseek-llm", "<｜begin▁of▁sentence｜>", 100_000..=102_400),
    family("DeepSeek Coder", "deepseek-coder", "<｜begin▁of▁sentence｜>", 32_000..=32_256),
    family("StarCoder", "starcoder", "<fim_prefix>", 49_152..=49_280),
    family("Mistral's Tekken", "tekken", "[INST]", 131_072..=131_072),
    family("Falcon", "falcon", ">>TITLE<<", 65_024..=65_040),
    family("Command R", "command-r", "<|START_OF_TURN_TOKEN|>", 255_000..=256_000),
    family("BLOOM", "bloom", "</s>", 250_680..=250_880),
    family("GPT-4o", "gpt-4o", "<|endofprompt|>", 200_000..=201_088),
    family("GLM 4", "glm4", "[gMASK]", 151_300..=151_552),
];

/// What a vocabulary looks like: the family's name and its `tokenizer.ggml.pre`.
#[must_use]
pub fn looks_like(keys: &GgufVocabulary) -> Option<(&'static str, &'static str)> {
    let has = |text: &str| keys.tokens.iter().any(|token| token == text.as_bytes());
    let found = FAMILIES.iter().find(|family| family.sizes.contains(&keys.tokens.len()) && has(family.token))?;
    Some((found.name, found.pre))
}

/// Whether two names of `tokenizer.ggml.pre` stand for the same rules.
#[must_use]
pub fn are_same_rules(a: &str, b: &str) -> bool {
    let (a, b) = (splitters::find(a), splitters::find(b));
    a.zip(b).is_some_and(|(a, b)| a.rules == b.rules && a.ignore_merges == b.ignore_merges)
}

impl Vocabulary {
    /// The probes that another tokenizer of the same vocabulary encodes otherwise; none where either refuses.
    #[must_use]
    pub fn disagreements(&self, other: &Self) -> Vec<&'static str> {
        let ids = |vocabulary: &Self, text: &str| vocabulary.encode(text, EncodeOptions::default()).ok();
        PROBES.iter().copied().filter(|text| ids(self, text) != ids(other, text)).collect()
    }
    /// Whether this is the same vocabulary as another: of the ids that both have, nearly all are the same token.
    #[must_use]
    pub fn is_same_vocabulary(&self, other: &Self) -> bool {
        let count = self.len().min(other.len());
        let step = (count / 1000).max(1);
        let looked_at = (0..count).step_by(step);
        let same = looked_at.clone().filter(|id| self.token_bytes(*id as u32) == other.token_bytes(*id as u32)).count();
        same * 10 >= looked_at.count() * 9
    }
    /// Names of `tokenizer.ggml.pre` under which a BPE vocabulary of GGUF would encode the
    /// probes as another tokenizer does. Empty for other kinds.
    #[must_use]
    pub fn rules_that_agree_with(mut self, other: &Self) -> Vec<&'static str> {
        let mut agree = Vec::new();
        for row in SPLITTERS.iter().filter(|row| !row.raw) {
            let Method::ByteBpe(bpe) = &mut self.method else { return agree };
            let Some(splits) = row.rules.iter().map(compile).collect() else { continue };
            bpe.splits = splits;
            if self.disagreements(other).is_empty() {
                agree.extend(row.names);
            }
        }
        agree
    }
}

/// Names under which rules are usually told, of several that stand for the same; those of larger families first.
const USUAL: &[&str] = &[
    "gpt-2",
    "llama-bpe",
    "qwen2",
    "starcoder",
    "command-r",
    "gpt-4o",
    "tekken",
    "deepseek-v3",
    "deepseek-llm",
    "deepseek-coder",
    "falcon",
    "bloom",
    "glm4",
    "qwen35",
    "smaug-bpe",
];

/// The `tokenizer.ggml.pre` of a byte-level BPE vocabulary, by what its own tokenizer makes of probing texts: the first of
/// `hints` whose rules agree, else what the vocabulary looks like, else the usual name of rules that agree. `ignore_merges` is
/// what the tokenizer's file says of it. Where no rules agree, as with those that llama.cpp only comes near to, it is what the
/// vocabulary looks like.
///
/// # Errors
/// The keys are no such vocabulary; nothing tells the rules.
pub fn rules_of(keys: GgufVocabulary, own: &Vocabulary, ignore_merges: bool, hints: &[&str]) -> Result<&'static str> {
    let looks = looks_like(&keys).map(|(_, pre)| pre);
    // Rules are tried in turn on a vocabulary of their kind.
    let pre = Some(if ignore_merges { "llama-bpe" } else { "gpt-2" }.to_owned());
    let mut tried = Vocabulary::from_gguf(GgufVocabulary { pre, ..keys })?;
    let mut agree: Vec<&'static str> = Vec::new();
    for row in SPLITTERS.iter().filter(|row| !row.raw && row.ignore_merges == ignore_merges) {
        let Method::ByteBpe(bpe) = &mut tried.method else { break };
        let Some(splits) = row.rules.iter().map(compile).collect() else { continue };
        bpe.splits = splits;
        if tried.disagreements(own).is_empty() {
            agree.extend(row.names);
        }
    }
    let known = |name: &&&str| agree.iter().find(|a| **a == **name).copied();
    let hinted = hints.iter().chain(looks.as_ref()).chain(USUAL).find_map(|name| known(&name));
    hinted.or(agree.first().copied()).or(looks).ok_or_else(|| {
        Fault::unsupported(
            "no rules that llama.cpp knows split the probing texts as the model's tokenizer does: name some with --pre",
        )
    })
}

fn compile(rule: &Rule) -> Option<Split> {
    match rule {
        Rule::Regex(regex) => Split::of(regex).ok(),
        Rule::Digits(how) => Some(Split::Digits(*how)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_names_rules_that_are_known() {
        for Family { name, pre, .. } in FAMILIES {
            assert!(splitters::find(pre).is_some(), "{name}: {pre}");
        }
    }

    #[test]
    fn names_of_one_row_are_the_same_rules_and_others_are_not() {
        assert!(are_same_rules("llama-bpe", "llama-v3") && are_same_rules("gpt-2", "gpt-2"));
        assert!(!are_same_rules("llama-bpe", "qwen2") && !are_same_rules("gpt-2", "no such name"));
    }
}
