//! From the name of a tensor to its role and back.

use std::collections::HashMap;

use super::{Architecture, Form, Role, Row, tensors::EXTRAS};
use crate::model::ModelFile;

/// What names in Hugging Face files may start with, as often as it occurs: the class that the model was saved by decides.
const PREFIXES: &[&str] = &[
    "model.",
    "language_model.",
    "transformer.",
    "bert.",
    "roberta.",
    "distilbert.",
    "gpt_neox.",
    "backbone.",
    "rwkv.",
    "encoder.",
];

/// What ends the name of a weight, and what ended that of a norm's once.
const WEIGHT: &[&str] = &[".weight", ".gamma"];
/// The same for biases.
const BIAS: &[&str] = &[".bias", ".beta"];

/// How names of layers begin.
const LAYERS: &[&str] = &["layers", "layer", "h", "blocks", "block"];
/// How names begin of what lies beside the model that a prefix names: heads, and the embedding that T5's two halves share.
const BESIDE: &[&str] = &["lm_head", "embed_out", "score", "classifier", "cls", "pooler", "shared"];

/// A tensor's name without what the class that saved it put before: "layers.3.mlp.up_proj.weight".
pub fn canonical(form: Form, name: &str) -> &str {
    if form == Form::Gguf {
        return name;
    }
    let mut rest = name;
    while let Some(next) = PREFIXES.iter().find_map(|p| rest.strip_prefix(p)) {
        rest = next;
    }
    rest
}

/// Which tensor of an architecture a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Index into the architecture's rows, as [`Architecture::rows`] counts them; `None` for tensors that no forward pass reads.
    pub row: Option<usize>,
    /// The layer, where it is one's.
    pub layer: Option<u32>,
    /// It is the bias beside the weight.
    pub bias: bool,
    /// Which, of several that others keep in one tensor: an expert's.
    pub item: Option<u32>,
}

/// The slots of an architecture, by name.
pub struct Slots {
    form: Form,
    /// Patterns and their rows, by the pattern with all numbers alike.
    patterns: HashMap<String, Vec<(&'static str, Option<usize>)>>,
}

impl Slots {
    /// Those of an architecture in one kind of file.
    pub fn new(architecture: &'static Architecture, form: Form) -> Self {
        let mut patterns: HashMap<String, Vec<_>> = HashMap::new();
        let rows =
            architecture.rows().enumerate().flat_map(|(i, row)| row.names(form).iter().map(move |n| (*n, Some(i))));
        let extras = EXTRAS.iter().chain(architecture.extras).map(|n| (*n, None));
        for (pattern, row) in rows.chain(extras) {
            patterns.entry(alike(pattern)).or_default().push((pattern, row));
        }
        Self { form, patterns }
    }
    /// The slot of a tensor's name; `None` where the architecture has no such tensor.
    pub fn find(&self, name: &str) -> Option<Slot> {
        let name = canonical(self.form, name);
        let cut = |ends: &[&str]| ends.iter().find_map(|end| name.strip_suffix(end));
        let (stem, bias) = match cut(WEIGHT) {
            Some(stem) => (stem, false),
            None => cut(BIAS).map_or((name, false), |stem| (stem, true)),
        };
        self.patterns.get(&alike(stem))?.iter().find_map(|(pattern, row)| {
            let (layer, item) = matches(pattern, stem)?;
            Some(Slot { row: *row, layer, bias, item })
        })
    }
}

/// A name or pattern with all its numbers alike: "layers.#.mlp.experts.#.up_proj".
fn alike(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (i, part) in name.split('.').enumerate() {
        if i > 0 {
            out.push('.');
        }
        let any = part.starts_with('{') || number(part).is_some();
        out.push_str(if any { "#" } else { part });
    }
    out
}

/// The layer and the item, where a name is of a pattern.
fn matches(pattern: &str, name: &str) -> Option<(Option<u32>, Option<u32>)> {
    let (mut layer, mut item) = (None, None);
    let (mut wanted, mut found) = (pattern.split('.'), name.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some((layer, item)),
            (Some("{l}"), Some(n)) => layer = Some(number(n)?),
            (Some("{e}"), Some(n)) => item = Some(number(n)?),
            (Some(a), Some(b)) if a == b => {}
            _ => return None,
        }
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A model's tensors by name.
pub struct Names<'a> {
    form: Form,
    by_name: HashMap<&'a str, usize>,
    /// What stood before the first name that starts with a word, by that word.
    prefixes: Vec<(&'a str, &'a str)>,
}

impl<'a> Names<'a> {
    /// Indexes the tensors; the first of a repeated name counts.
    pub fn new(model: &'a ModelFile, form: Form) -> Self {
        let mut by_name = HashMap::with_capacity(model.tensors.len());
        let mut prefixes: Vec<(&str, &str)> = Vec::new();
        for (i, tensor) in model.tensors.iter().enumerate() {
            let name = canonical(form, &tensor.name);
            by_name.entry(name).or_insert(i);
            let prefix = &tensor.name[..tensor.name.len() - name.len()];
            let word = first_word(name);
            // Few words begin names: layers, embeddings, norm.
            if prefixes.len() < 64 && !prefixes.iter().any(|(w, _)| *w == word) {
                prefixes.push((word, prefix));
            }
        }
        // Weights in several tensors: the codes have a name of their own.
        if form == Form::Folder {
            for (stem, main) in model.packed().iter().map(|p| (p.stem.len(), p.main)) {
                by_name.entry(canonical(form, &model.tensors[main].name[..stem])).or_insert(main);
            }
        }
        Self { form, by_name, prefixes }
    }
    /// The tensor of a row: its `.weight`, or the one of the bare name.
    pub fn weight(&self, row: &Row, layer: u32, item: u32) -> Option<usize> {
        self.find(row, layer, item, WEIGHT).or_else(|| self.find(row, layer, item, &[""]))
    }
    /// The bias beside it.
    pub fn bias(&self, row: &Row, layer: u32, item: u32) -> Option<usize> {
        self.find(row, layer, item, BIAS)
    }
    fn find(&self, row: &Row, layer: u32, item: u32, ends: &[&str]) -> Option<usize> {
        row.names(self.form).iter().find_map(|pattern| {
            let stem = fill(pattern, layer, item);
            ends.iter().find_map(|end| self.by_name.get(format!("{stem}{end}").as_str()).copied())
        })
    }
    /// The name that a missing weight would have, in the spelling of the model's other layers.
    pub fn expected(&self, row: &Row, layer: u32) -> String {
        self.expected_item(row, layer, 0)
    }
    /// The same of one of several.
    pub fn expected_item(&self, row: &Row, layer: u32, item: u32) -> String {
        let names = row.names(self.form);
        let elsewhere = |pattern: &str, end: &str| {
            (0..8).any(|l| self.by_name.contains_key(format!("{}{end}", fill(pattern, l, 0)).as_str()))
        };
        let usual = names.iter().find(|pattern| elsewhere(pattern, ".weight") || elsewhere(pattern, ""));
        // Parameters that are no module's weight have names without an end.
        let end = if usual.is_some_and(|p| !elsewhere(p, ".weight")) { "" } else { ".weight" };
        // Else one that begins as the model's names do.
        let like = || {
            names.iter().find(|pattern| {
                let word = first_word(pattern);
                self.by_name.keys().any(|name| first_word(name) == word)
            })
        };
        let stem = usual.or_else(like).or(names.first()).map_or_else(String::new, |p| fill(p, layer, item));
        let known = |fits: &dyn Fn(&str) -> bool| self.prefixes.iter().find(|(word, _)| fits(word));
        let word = first_word(&stem);
        let of_the_model = || {
            let ends = known(&|w| !LAYERS.contains(&w) && !BESIDE.contains(&w));
            ends.or_else(|| known(&|w| LAYERS.contains(&w)))
        };
        let prefix = match row.role {
            Role::Output => None,
            _ if BESIDE.contains(&word) => known(&|w| w == word),
            _ => known(&|w| w == word).or_else(of_the_model),
        };
        let prefix = prefix.map_or("", |(_, prefix)| prefix);
        format!("{prefix}{stem}{end}")
    }
}

fn first_word(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn fill(pattern: &str, layer: u32, item: u32) -> String {
    pattern.replace("{l}", &layer.to_string()).replace("{e}", &item.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_the_saving_class_put_before() {
        for (name, bare) in [
            ("model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
            ("model.language_model.norm.weight", "norm.weight"),
            ("distilbert.transformer.layer.1.ffn.lin1.bias", "layer.1.ffn.lin1.bias"),
            ("bert.encoder.layer.0.output.dense.weight", "layer.0.output.dense.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("vision_tower.encoder.layers.0.norm1.weight", "vision_tower.encoder.layers.0.norm1.weight"),
        ] {
            assert_eq!(canonical(Form::Folder, name), bare, "{name}");
        }
        assert_eq!(canonical(Form::Gguf, "encoder.x"), "encoder.x");
    }

    #[test]
    fn patterns_tell_the_layer_and_the_expert() {
        let p = "layers.{l}.mlp.experts.{e}.up_proj";
        assert_eq!(matches(p, "layers.3.mlp.experts.7.up_proj"), Some((Some(3), Some(7))));
        assert_eq!(matches(p, "layers.3.mlp.experts.up_proj"), None);
        assert_eq!(matches("block.{l}.layer.0.x", "block.2.layer.0.x"), Some((Some(2), None)));
        assert_eq!(matches("block.{l}.layer.0.x", "block.2.layer.1.x"), None);
        assert_eq!(matches("h.{l}.ln_1", "h.99999999999.ln_1"), None);
    }
}
