//! What programs know, as `known.txt` lists it: architectures, tensor types, classes, operators. The list is written by
//! `tests/corpus/make/runner_facts.py` from the programs' own files, and names its sources.

use std::collections::HashSet;

static TEXT: &str = include_str!("known.txt");

/// Layers that llama.cpp takes, at most (LLAMA_MAX_LAYERS).
pub(super) const MAX_LAYERS: u64 = 512;

/// The rows of a kind with this first field.
fn row(kind: &str, name: &str) -> Option<std::str::Split<'static, char>> {
    TEXT.lines().find_map(|line| {
        let mut fields = line.split('\t');
        (fields.next() == Some(kind) && fields.next() == Some(name)).then_some(fields)
    })
}

/// A fact about the list itself: "newest gguf".
pub(super) fn about(what: &str) -> &'static str {
    let found = TEXT.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(what)?.strip_prefix('\t'));
    found.unwrap_or_default()
}

/// Where a list comes from: "transformers 5.24.0".
pub(super) fn source(list: &str) -> &'static str {
    row("list", list).or_else(|| row("source", list)).and_then(|mut fields| fields.next()).unwrap_or_default()
}

fn items(list: &str) -> std::str::Split<'static, char> {
    row("list", list).and_then(|mut fields| fields.nth(1)).unwrap_or_default().split(' ')
}

/// Whether a list has an item.
pub(super) fn lists(list: &str, item: &str) -> bool {
    items(list).any(|i| i == item)
}

/// The number that is a list's only item.
pub(super) fn number(list: &str) -> i64 {
    items(list).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The first operator set of ai.onnx that has an operator.
pub(super) fn operator_since(name: &str) -> Option<i64> {
    items("onnx").find_map(|i| i.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
}

/// Names of all architectures that llama.cpp loads.
pub(super) fn architectures() -> impl Iterator<Item = Loaded> {
    TEXT.lines().filter_map(|line| line.strip_prefix("arch\t")).filter_map(|line| Loaded::parse(line.split('\t')))
}

/// Names of tensor types, and what is known of each.
pub(super) fn types() -> impl Iterator<Item = Type> {
    TEXT.lines().filter_map(|line| line.strip_prefix("type\t")).filter_map(|line| Type::parse(line.split('\t')))
}

/// A tensor type of ggml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) number: u32,
    /// Version and date of the package gguf that named it first; none for the newest.
    pub(super) since: Option<&'static str>,
    /// The last that did.
    pub(super) until: Option<&'static str>,
    /// llama.cpp has it no more.
    pub(super) removed: bool,
}

impl Type {
    fn parse(mut fields: std::str::Split<'static, char>) -> Option<Self> {
        let (name, number) = (fields.next()?, fields.next()?.parse().ok()?);
        let (since, until) = (stated(fields.next()?), stated(fields.next()?));
        Some(Self { name, number, since, until, removed: fields.next()? == "removed" })
    }
    /// The type of this number.
    pub(super) fn of(number: u32) -> Option<Self> {
        types().find(|t| t.number == number)
    }
}

fn stated(field: &'static str) -> Option<&'static str> {
    (field != "-").then_some(field)
}

/// An architecture that llama.cpp loads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    pub(super) name: &'static str,
    /// Version and date of the package gguf that named it first; none for the newest.
    pub(super) since: Option<&'static str>,
    keys: &'static str,
    tensors: &'static str,
}

impl Loaded {
    fn parse(mut fields: std::str::Split<'static, char>) -> Option<Self> {
        let (name, since, _recurrent) = (fields.next()?, stated(fields.next()?), fields.next()?);
        Some(Self { name, since, keys: fields.next()?, tensors: fields.next()? })
    }
    /// The architecture of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        architectures().find(|a| a.name == name)
    }
    /// False for names that are listed without a loader behind them.
    pub(super) fn loads(&self) -> bool {
        !self.tensors.is_empty()
    }
    /// Keys below its name that must be there, beside those of every architecture.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.split(' ').filter(|k| !k.is_empty())
    }
    /// Tensors that must be there in a model with or without experts.
    fn tensors(&self, experts: bool) -> impl Iterator<Item = Wanted> + use<> {
        let tags = if experts { ("moe:", "dense:") } else { ("dense:", "moe:") };
        let stated = self.tensors.split(' ').filter(move |t| !t.is_empty() && !t.starts_with(tags.1));
        stated.map(move |t| t.strip_prefix(tags.0).unwrap_or(t)).flat_map(Wanted::parse)
    }
    /// True where it asks for any tensor of a layer that starts so: "attn_output".
    pub(super) fn wants(&self, experts: bool, start: &str) -> bool {
        self.tensors(experts).any(|t| t.names.iter().any(|n| n.contains(&format!("blk.{{}}.{start}"))))
    }
    /// True where tensors of layers are asked for.
    pub(super) fn layered(&self) -> bool {
        self.tensors.contains('#') || self.tensors.contains('@')
    }
    /// Names that must be there and are not, in the order in which llama.cpp asks for them: the first, and how many.
    pub(super) fn missing(&self, there: &HashSet<&str>, layers: u64, experts: bool) -> Option<(String, usize)> {
        let mut lost: Option<(String, usize)> = None;
        for wanted in self.tensors(experts) {
            let numbers = if wanted.names.iter().any(|n| n.contains("{}")) { layers.min(MAX_LAYERS) } else { 1 };
            for layer in 0..numbers {
                let named = |name: &String| name.replace("{}", &layer.to_string());
                if wanted.names.iter().any(|n| there.contains(named(n).as_str())) {
                    continue;
                }
                match (&mut lost, wanted.names.first()) {
                    (Some((_, count)), _) => *count += 1,
                    (None, Some(name)) => lost = Some((named(name), 1)),
                    _ => {}
                }
            }
        }
        lost
    }
}

/// A tensor that must be there under one of several names; `{}` stands for the layer.
struct Wanted {
    names: Vec<String>,
}

impl Wanted {
    fn parse(text: &str) -> Vec<Self> {
        let either = |list: &[(&str, &str)]| {
            let layer = |n: &str| format!("blk.{{}}.{n}.weight");
            list.iter().map(|(a, b)| Self { names: vec![layer(a), layer(b)] }).collect()
        };
        match text {
            "@qkv" => either(&[("attn_q", "attn_qkv"), ("attn_k", "attn_qkv"), ("attn_v", "attn_qkv")]),
            "@gate_up_exps" => either(&[("ffn_gate_exps", "ffn_gate_up_exps"), ("ffn_up_exps", "ffn_gate_up_exps")]),
            _ => {
                let (stem, ending) = match (text.strip_suffix('!'), text.strip_suffix(".b")) {
                    (Some(whole), _) => (whole, ""),
                    (None, Some(stem)) => (stem, ".bias"),
                    (None, None) => (text, ".weight"),
                };
                vec![Self { names: vec![format!("{}{ending}", stem.replace('#', "blk.{}."))] }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_read_and_names_its_sources() {
        assert!(architectures().count() > 100, "{} architectures", architectures().count());
        let without: Vec<&str> = architectures().filter(|a| !a.loads()).map(|a| a.name).collect();
        assert_eq!(without, ["clip", "gptj"], "names without a loader");
        for arch in architectures().filter(Loaded::loads) {
            assert!(arch.tensors(false).count() + arch.tensors(true).count() > 0, "{} asks for no tensor", arch.name);
        }
        for list in ["types", "projectors", "tokenizers", "pre-tokenizers", "converter", "transformers", "quantizers"] {
            assert!(!source(list).is_empty() && items(list).all(|i| !i.is_empty()), "{list}");
        }
        assert!(lists("mlx-lm", "llama") && lists("vllm", "LlamaForCausalLM") && lists("transformers", "bert"));
        assert_eq!((operator_since("Attention"), operator_since("NoSuchOperator")), (Some(23), None));
        assert!(number("onnxruntime-opset") > 20 && number("onnxruntime-ir") > 10);
        assert!(!about("made").is_empty() && !about("newest gguf").is_empty());
    }

    #[test]
    fn removed_types_are_known_by_their_numbers() {
        let removed: Vec<_> = types().filter(|t| t.removed).map(|t| (t.number, t.name)).collect();
        assert_eq!(
            removed,
            [
                (4, "Q4_2"),
                (5, "Q4_3"),
                (31, "Q4_0_4_4"),
                (32, "Q4_0_4_8"),
                (33, "Q4_0_8_8"),
                (36, "IQ4_NL_4_4"),
                (37, "IQ4_NL_4_8"),
                (38, "IQ4_NL_8_8")
            ]
        );
    }

    #[test]
    fn what_is_missing_is_named_in_the_order_in_which_it_is_asked_for() {
        let llama = Loaded::of("llama").expect("known");
        let layer = |l: u32, names: &[&str]| names.iter().map(|n| format!("blk.{l}.{n}.weight")).collect::<Vec<_>>();
        let mut all = vec!["token_embd.weight".to_owned(), "output_norm.weight".to_owned()];
        let parts = ["attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_gate", "ffn_down", "ffn_up"];
        all.extend(layer(0, &parts));
        let there: HashSet<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(llama.missing(&there, 1, false), None);
        assert_eq!(llama.missing(&there, 2, false).expect("a layer lacks").0, "blk.1.attn_norm.weight");
        assert_eq!(llama.missing(&there, 1, true).expect("experts lack").0, "blk.0.ffn_gate_inp.weight");
    }
}
