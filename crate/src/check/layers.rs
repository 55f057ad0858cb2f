//! Configuration against tensors: which tensors an architecture has, in which shapes.

use std::collections::BTreeSet;

use super::{
    Subject,
    numbers::{Numbers, Size},
};
use crate::{
    formats::{Findings, quoted},
    model::{Note, Severity},
    tensor::{Encoding, Shape},
};

/// A dimension of a tensor, by sizes.
#[derive(Clone, Copy)]
enum Dim {
    /// As stated.
    Of(Size),
    /// The product of two.
    By(Size, Size),
    /// A multiple.
    Times(u64, Size),
}
use Dim::{By, Of, Times};

const WIDTH: Dim = Of(Size::Width);
const FFN: Dim = Of(Size::Ffn);
const VOCABULARY: Dim = Of(Size::Vocabulary);
const QUERIES: Dim = By(Size::Heads, Size::Head);
const KEYS: Dim = By(Size::KvHeads, Size::Head);
const VALUES: Dim = By(Size::KvHeads, Size::ValueHead);
const MIXED: Dim = By(Size::Heads, Size::ValueHead);

/// A tensor of a family: its name (`{i}` is the layer), its shape, slowest dimension first, and whether it must be there.
struct Row(&'static str, &'static [Dim], bool);

/// Architectures that share names and shapes.
struct Family {
    gguf: bool,
    names: &'static [&'static str],
    /// What names may start with beside the bare ones.
    prefixes: &'static [&'static str],
    /// True where no other tensors are usual.
    closed: bool,
    rows: &'static [Row],
}

/// Linear layers with a bias beside their weight are listed once: `.bias` has the weight's first dimension.
const FAMILIES: &[Family] = &[
    Family {
        gguf: true,
        names: &["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "smollm3"],
        prefixes: &[],
        closed: true,
        rows: &[
            Row("token_embd.weight", &[VOCABULARY, WIDTH], true),
            Row("output_norm.weight", &[WIDTH], true),
            Row("output.weight", &[VOCABULARY, WIDTH], false),
            Row("rope_freqs.weight", &[], false),
            Row("rope_factors_long.weight", &[], false),
            Row("rope_factors_short.weight", &[], false),
            Row("cls.output.weight", &[], false),
            Row("blk.{i}.rope_freqs.weight", &[], false),
            Row("blk.{i}.attn_rot_embd.weight", &[], false),
            Row("blk.{i}.attn_norm.weight", &[WIDTH], true),
            Row("blk.{i}.attn_q.weight", &[QUERIES, WIDTH], true),
            Row("blk.{i}.attn_k.weight", &[KEYS, WIDTH], true),
            Row("blk.{i}.attn_v.weight", &[VALUES, WIDTH], true),
            Row("blk.{i}.attn_output.weight", &[WIDTH, MIXED], true),
            Row("blk.{i}.attn_q_norm.weight", &[Of(Size::Head)], false),
            Row("blk.{i}.attn_k_norm.weight", &[Of(Size::Head)], false),
            Row("blk.{i}.post_attention_norm.weight", &[WIDTH], false),
            Row("blk.{i}.post_ffw_norm.weight", &[WIDTH], false),
            Row("blk.{i}.ffn_norm.weight", &[WIDTH], true),
            Row("blk.{i}.ffn_gate.weight", &[FFN, WIDTH], true),
            Row("blk.{i}.ffn_up.weight", &[FFN, WIDTH], true),
            Row("blk.{i}.ffn_down.weight", &[WIDTH, FFN], true),
        ],
    },
    Family {
        gguf: true,
        names: &["bert"],
        prefixes: &[],
        closed: true,
        rows: &[
            Row("token_embd.weight", &[VOCABULARY, WIDTH], true),
            Row("token_types.weight", &[], false),
            Row("position_embd.weight", &[Of(Size::Positions), WIDTH], true),
            Row("token_embd_norm.weight", &[WIDTH], true),
            Row("cls.weight", &[], false),
            Row("cls.output.weight", &[], false),
            Row("cls.norm.weight", &[], false),
            Row("blk.{i}.attn_qkv.weight", &[], false),
            Row("blk.{i}.attn_q.weight", &[WIDTH, WIDTH], false),
            Row("blk.{i}.attn_k.weight", &[WIDTH, WIDTH], false),
            Row("blk.{i}.attn_v.weight", &[WIDTH, WIDTH], false),
            Row("blk.{i}.attn_output.weight", &[WIDTH, WIDTH], true),
            Row("blk.{i}.attn_output_norm.weight", &[WIDTH], true),
            Row("blk.{i}.ffn_up.weight", &[FFN, WIDTH], true),
            Row("blk.{i}.ffn_down.weight", &[WIDTH, FFN], true),
            Row("blk.{i}.layer_output_norm.weight", &[WIDTH], true),
        ],
    },
    Family {
        gguf: false,
        names: &["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "granite", "olmo"],
        // Models saved without a head have bare names.
        prefixes: &["model."],
        closed: true,
        rows: &[
            Row("embed_tokens.weight", &[VOCABULARY, WIDTH], true),
            Row("norm.weight", &[WIDTH], false),
            Row("lm_head.weight", &[VOCABULARY, WIDTH], false),
            Row("score.weight", &[], false),
            Row("layers.{i}.input_layernorm.weight", &[WIDTH], false),
            Row("layers.{i}.self_attn.q_proj.weight", &[QUERIES, WIDTH], true),
            Row("layers.{i}.self_attn.k_proj.weight", &[KEYS, WIDTH], true),
            Row("layers.{i}.self_attn.v_proj.weight", &[KEYS, WIDTH], true),
            Row("layers.{i}.self_attn.o_proj.weight", &[WIDTH, QUERIES], true),
            Row("layers.{i}.self_attn.q_norm.weight", &[Of(Size::Head)], false),
            Row("layers.{i}.self_attn.k_norm.weight", &[Of(Size::Head)], false),
            Row("layers.{i}.post_attention_layernorm.weight", &[WIDTH], false),
            Row("layers.{i}.pre_feedforward_layernorm.weight", &[WIDTH], false),
            Row("layers.{i}.post_feedforward_layernorm.weight", &[WIDTH], false),
            Row("layers.{i}.mlp.gate_proj.weight", &[FFN, WIDTH], true),
            Row("layers.{i}.mlp.up_proj.weight", &[FFN, WIDTH], true),
            Row("layers.{i}.mlp.down_proj.weight", &[WIDTH, FFN], true),
        ],
    },
    Family {
        gguf: false,
        names: &["bert", "roberta", "xlm-roberta"],
        prefixes: &["bert.", "roberta."],
        closed: false,
        rows: &[
            Row("embeddings.word_embeddings.weight", &[VOCABULARY, WIDTH], true),
            Row("embeddings.position_embeddings.weight", &[Of(Size::Positions), WIDTH], true),
            Row("embeddings.token_type_embeddings.weight", &[Of(Size::Kinds), WIDTH], false),
            Row("encoder.layer.{i}.attention.self.query.weight", &[WIDTH, WIDTH], true),
            Row("encoder.layer.{i}.attention.self.key.weight", &[WIDTH, WIDTH], true),
            Row("encoder.layer.{i}.attention.self.value.weight", &[WIDTH, WIDTH], true),
            Row("encoder.layer.{i}.attention.output.dense.weight", &[WIDTH, WIDTH], true),
            Row("encoder.layer.{i}.intermediate.dense.weight", &[FFN, WIDTH], true),
            Row("encoder.layer.{i}.output.dense.weight", &[WIDTH, FFN], true),
        ],
    },
    Family {
        gguf: false,
        names: &["gpt2"],
        prefixes: &["transformer."],
        closed: false,
        rows: &[
            Row("wte.weight", &[VOCABULARY, WIDTH], true),
            Row("wpe.weight", &[Of(Size::Positions), WIDTH], true),
            // Conv1D keeps its weight as [in, out].
            Row("h.{i}.attn.c_attn.weight", &[WIDTH, Times(3, Size::Width)], true),
            Row("h.{i}.attn.c_proj.weight", &[WIDTH, WIDTH], true),
        ],
    },
];

/// Buffers that training programs stored and nobody loads.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "embeddings.position_ids"];

/// Holds tensors against the stated sizes.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    buffers(subject, findings);
    let Some((name, numbers)) = Numbers::of(subject.model) else { return };
    let meta = &subject.model.metadata;
    let special = matches!(meta.string("general.type"), Some("adapter" | "mmproj" | "imatrix"));
    // Weights packed by a quantizer of their own have other names and shapes.
    let packed = meta.iter().any(|(k, _)| k.starts_with("config.quantization"));
    if subject.model.tensors.is_empty() || special || packed {
        return;
    }
    let gguf = subject.model.format == crate::model::FormatId::Gguf;
    let Some(family) = FAMILIES.iter().find(|f| f.gguf == gguf && f.names.contains(&name)) else { return };
    let mixture = meta.iter().any(|(k, v)| {
        let experts = k.ends_with(".expert_count") || k.ends_with("num_local_experts") || k.ends_with("num_experts");
        experts && !matches!(v, crate::model::MetaValue::Unsigned(0, _))
    });
    let known = shapes(subject, family, &numbers, findings);
    if subject.incomplete() {
        return;
    }
    missing(subject, family, &numbers, mixture, &known, findings);
    if family.closed && !mixture {
        others(subject, name, gguf, &known, findings);
    }
}

/// A tensor that a row speaks of: its number, the row, the layer.
struct Known {
    tensor: usize,
    row: usize,
    layer: Option<u64>,
}

/// Finds the rows' tensors and compares their shapes.
fn shapes(subject: &Subject<'_>, family: &Family, numbers: &Numbers<'_>, findings: &mut Findings) -> Vec<Known> {
    let mut known = Vec::new();
    let asked: Vec<Option<Vec<u64>>> =
        family.rows.iter().map(|row| row.1.iter().map(|d| value(*d, numbers)).collect()).collect();
    for (i, tensor) in subject.model.tensors.iter().enumerate() {
        let name = family.prefixes.iter().find_map(|p| tensor.name.strip_prefix(p)).unwrap_or(&tensor.name);
        let (pattern, layer) = pattern(name);
        let bias = pattern.strip_suffix(".bias").map(|stem| format!("{stem}.weight"));
        let wanted = bias.as_deref().unwrap_or(&pattern);
        let Some(row) = family.rows.iter().position(|r| r.0 == wanted) else { continue };
        known.push(Known { tensor: i, row, layer });
        let dims = family.rows[row].1;
        let dims = if bias.is_some() { dims.get(..1).unwrap_or(dims) } else { dims };
        if dims.is_empty() || tensor.encoding == Encoding::Unknown {
            continue;
        }
        let sizes = asked[row].as_deref().and_then(|sizes| sizes.get(..dims.len()));
        if let Some(sizes) = sizes
            && sizes != tensor.shape.0.as_slice()
        {
            let told: Vec<String> =
                dims.iter().zip(sizes).map(|(d, n)| format!("{n} ({})", say(*d, numbers))).collect();
            let what = format!(
                "{} has shape {}; the configuration asks for {}",
                quoted(&tensor.name),
                tensor.shape,
                Shape(sizes.to_vec())
            );
            let why = if family.gguf {
                "llama.cpp refuses the file: it checks the shape of every tensor"
            } else {
                "transformers refuses the weights: size mismatch"
            };
            let note = Note::new(Severity::Error, what).place(subject.place(i)).why(why);
            let advice = format!(
                "Asked for are {}: correct the configuration, or get the weights that belong to it",
                told.join(" x ")
            );
            findings.note("shapes", note.advice(advice));
        }
    }
    known
}

fn value(dim: Dim, numbers: &Numbers<'_>) -> Option<u64> {
    match dim {
        Of(size) => numbers.get(size),
        By(a, b) => numbers.get(a)?.checked_mul(numbers.get(b)?),
        Times(n, size) => numbers.get(size)?.checked_mul(n),
    }
}

/// The keys behind a dimension.
fn say(dim: Dim, numbers: &Numbers<'_>) -> String {
    let one = |size: Size| numbers.key(size).unwrap_or_else(|| format!("{size:?}").to_lowercase());
    match dim {
        Of(size) => one(size),
        By(a, b) => format!("{} by {}", one(a), one(b)),
        Times(n, size) => format!("{n} times {}", one(size)),
    }
}

/// "blk.{i}.attn_q.weight" and 3 of "blk.3.attn_q.weight".
fn pattern(name: &str) -> (String, Option<u64>) {
    let mut layer = None;
    let parts: Vec<&str> = name
        .split('.')
        .map(|part| match part.parse() {
            Ok(n) if layer.is_none() => {
                layer = Some(n);
                "{i}"
            }
            _ => part,
        })
        .collect();
    (parts.join("."), layer)
}

/// Tensors that must be there, and whole layers that are not.
fn missing(
    subject: &Subject<'_>,
    family: &Family,
    numbers: &Numbers<'_>,
    mixture: bool,
    known: &[Known],
    findings: &mut Findings,
) {
    let stated = numbers.stated(Size::Layers);
    let layers: BTreeSet<u64> = known.iter().filter_map(|k| k.layer).collect();
    let most = (subject.model.tensors.len() as u64).saturating_add(1);
    let count = stated.unwrap_or_else(|| layers.last().map_or(0, |l| l.saturating_add(1))).min(most);
    let refused = if family.gguf {
        "llama.cpp refuses the file: a tensor is not found"
    } else {
        "transformers fills it with random values"
    };
    let advice = "get the whole model again; a shard or a conversion may have lost them";
    let place = numbers.key(Size::Layers).and_then(|k| subject.model.metadata.place(&k));
    // Where no layer is known by these names, the model has others: nothing is asked of it.
    if layers.is_empty() {
        return;
    }
    let lost: Vec<u64> = (0..count).filter(|l| !layers.contains(l)).collect();
    let first = known.first().map_or("", |k| subject.model.tensors[k.tensor].name.as_str());
    let prefix = family.prefixes.iter().find(|p| first.starts_with(**p)).unwrap_or(&"");
    if let (Some(first), Some(stated)) = (lost.first(), stated) {
        let what = format!(
            "{} of {stated} layers hold no tensors; the first is layer {first}",
            stated.saturating_sub(layers.len() as u64)
        );
        findings.note("missing layers", Note::new(Severity::Error, what).place(place).why(refused).advice(advice));
    }
    if let (Some(stated), Some(last)) = (stated, layers.last())
        && *last >= stated
    {
        let what = format!("Tensors of layer {last} are there; the configuration has {stated} layers");
        let why = if family.gguf { "llama.cpp refuses the file: wrong number of tensors" } else { "they are not used" };
        let note = Note::new(Severity::Warning, what).place(place).why(why);
        findings.note("more layers", note.advice("compare the configuration with the one the weights were saved with"));
    }
    let have: BTreeSet<(usize, Option<u64>)> = known
        .iter()
        .filter(|k| !subject.model.tensors[k.tensor].name.ends_with(".bias"))
        .map(|k| (k.row, k.layer))
        .collect();
    for (r, Row(name, _, need)) in family.rows.iter().enumerate() {
        let expert = mixture && (name.contains("ffn_") && !name.contains("norm") || name.contains(".mlp."));
        if !need || expert {
            continue;
        }
        let slots: Vec<Option<u64>> =
            if name.contains("{i}") { layers.iter().map(|l| Some(*l)).collect() } else { vec![None] };
        for slot in slots.into_iter().filter(|s| s.is_none_or(|l| l < count) && !have.contains(&(r, *s))) {
            let name = format!("{prefix}{}", name.replace("{i}", &slot.unwrap_or(0).to_string()));
            let note = Note::new(Severity::Error, format!("The tensor {} is missing", quoted(&name)));
            findings.note("missing tensors", note.place(place).why(refused).advice(advice));
        }
    }
}

/// Tensors that a known architecture does not have.
fn others(subject: &Subject<'_>, name: &str, gguf: bool, known: &[Known], findings: &mut Findings) {
    let mut listed = vec![false; subject.model.tensors.len()];
    for k in known {
        listed[k.tensor] = true;
    }
    for (i, tensor) in subject.model.tensors.iter().enumerate() {
        // Quantizers keep factors beside weights; programs load them where they know them.
        let factor = tensor.name.ends_with("scale") || tensor.name.ends_with("scale_inv");
        if listed[i] || factor || BUFFERS.iter().any(|b| tensor.name.ends_with(b)) {
            continue;
        }
        let what = format!("{} is no tensor of the {name} architecture", quoted(&tensor.name));
        let (severity, why) = if gguf {
            (Severity::Warning, "llama.cpp refuses files with tensors that it does not use: wrong number of tensors")
        } else {
            (Severity::Info, "transformers does not load it")
        };
        let note = Note::new(severity, what).place(subject.place(i)).why(why);
        findings.note("unknown tensors", note.advice("a newer program may use it; else it only takes room"));
    }
}

fn buffers(subject: &Subject<'_>, findings: &mut Findings) {
    let all = &subject.model.tensors;
    let mut found = all.iter().enumerate().filter(|(_, t)| BUFFERS.iter().any(|b| t.name.ends_with(b)));
    let Some((first, tensor)) = found.next() else { return };
    let more = found.count();
    let and = if more > 0 { format!(" and {more} more like it") } else { String::new() };
    let note = Note::new(
        Severity::Info,
        format!("{}{and} only holds what programs work out by themselves", quoted(&tensor.name)),
    );
    let note = note.place(subject.place(first)).why("no program loads it; it takes a little room");
    findings.note("buffers", note.advice("nothing needs to be done"));
}
