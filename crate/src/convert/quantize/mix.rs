//! Which tensor becomes what: llama.cpp's rules (`src/llama-quant.cpp` of November 2026), as facts about names, shapes and
//! counts. Without an importance matrix, and without the mixes that need one.

use super::types::FileType;
use crate::{
    model::{MetaValue, Metadata},
    tensor::{Encoding, Shape},
};

/// What the rules ask of a model.
pub(super) struct Facts {
    pub(super) arch: String,
    /// Heads of queries over heads of keys, in the first layer; 0 without the latter.
    gqa: u64,
    experts: u64,
    layers: i64,
    /// 80 layers with fewer heads of keys: Llama 2 70B and its kin.
    seventy: bool,
}

impl Facts {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let arch = metadata.string("general.architecture").unwrap_or_default().to_owned();
        let first = |key: &str| {
            let key = format!("{arch}.{key}");
            metadata.unsigned(&key).or_else(|| match metadata.array(&key)?.head.first()? {
                MetaValue::Unsigned(n, _) => Some(*n),
                MetaValue::Signed(n, _) => u64::try_from(*n).ok(),
                _ => None,
            })
        };
        let heads = first("attention.head_count").unwrap_or(0);
        let kv_heads = first("attention.head_count_kv").unwrap_or(heads);
        let layers = first("block_count").unwrap_or(0);
        let experts = first("expert_count").unwrap_or(0);
        let seventy = match arch.as_str() {
            "llama" => layers == 80 && heads != kv_heads,
            "qwen2" | "deci" | "olmo" => layers == 80,
            "jais2" => layers == 68,
            _ => false,
        };
        let gqa = heads.checked_div(kv_heads).unwrap_or(0);
        Self { arch, gqa, experts, layers: i64::try_from(layers).unwrap_or(i64::MAX / 8), seventy }
    }
}

/// What a tensor is to the rules, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    TokenEmbedding,
    Query,
    Key,
    Value,
    FusedQkv,
    LatentKv,
    AttentionOutput,
    Up,
    Gate,
    Down,
    Output,
    Other,
}

impl Category {
    pub(super) fn of(name: &str) -> Self {
        const PARTS: &[(&str, Category)] = &[
            ("attn_qkv.weight", Category::FusedQkv),
            ("attn_kv_b.weight", Category::LatentKv),
            ("attn_v.weight", Category::Value),
            ("attn_k.weight", Category::Key),
            ("attn_q.weight", Category::Query),
            ("attn_output.weight", Category::AttentionOutput),
            ("ffn_up", Category::Up),
            ("ffn_gate", Category::Gate),
            ("ffn_down", Category::Down),
        ];
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::TokenEmbedding,
            _ => PARTS.iter().find(|(part, _)| name.contains(part)).map_or(Self::Other, |(_, category)| *category),
        }
    }
    /// Attention values, by themselves or fused: what the mixes spare most.
    fn holds_values(self) -> bool {
        matches!(self, Self::Value | Self::FusedQkv | Self::LatentKv)
    }
}

/// The number in "blk.12.", -1 without one: tensors are taken in the order of it, then of the names' bytes.
pub(super) fn layer(name: &str) -> i64 {
    let digits = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')).map(|(digits, _)| digits);
    digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok()).unwrap_or(-1)
}

/// Dimensions without those of 1 at the slow end, as ggml counts and writes them.
pub(super) fn ggml_dims(shape: &Shape) -> Shape {
    let kept = shape.0.iter().position(|d| *d != 1).unwrap_or(shape.0.len().saturating_sub(1));
    let dims = shape.0.get(kept..).unwrap_or_default().to_vec();
    Shape(if dims.is_empty() { vec![1] } else { dims })
}

/// Parts of names of matrices that are never quantized: small, or hurt by it.
const KEPT: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// As [`KEPT`], of one architecture.
const KEPT_GLM5: &[&str] = &[
    "hc_",
    "indexer.attn_q_b",
    "indexer.attn_k",
    "indexer.proj",
    "indexer_compressor_gate",
    "indexer_compressor_ape",
    "ssm_f_a.weight",
    "ssm_f_b.weight",
    "ssm_g_a.weight",
    "ssm_g_b.weight",
    "ssm_beta.weight",
    "attn_kv_a_mqa.weight",
    "attn_k_b.weight",
    "attn_v_b.weight",
];

const GLM5: &str = "glm5-next";

/// Whether a tensor may be quantized at all.
pub(super) fn may_change(facts: &Facts, name: &str, shape: &Shape) -> bool {
    let has = |list: &[&str]| list.iter().any(|part| name.contains(part));
    ggml_dims(shape).0.len() >= 2
        && name.ends_with("weight")
        && !matches!(name, "position_embd.weight" | "token_types.weight")
        && !has(KEPT)
        && !(facts.arch == GLM5 && has(KEPT_GLM5))
}

/// What a row length that is no multiple of the block makes of an encoding; `None` where there is nothing to fall back to.
pub(super) fn fitting(encoding: Encoding, row_len: u64) -> Option<Encoding> {
    let fits = |e: Encoding| e.spec().is_some_and(|s| row_len.is_multiple_of(u64::from(s.block_len)));
    if fits(encoding) {
        return Some(encoding);
    }
    let smaller = match encoding {
        Encoding::IQ4_XS => Encoding::IQ4_NL,
        Encoding::Q2_0 | Encoding::Q2_K | Encoding::Q3_K | Encoding::TQ1_0 | Encoding::TQ2_0 => Encoding::Q4_0,
        Encoding::Q4_K => Encoding::Q5_0,
        Encoding::Q5_K => Encoding::Q5_1,
        Encoding::Q6_K => Encoding::Q8_0,
        other if other.spec().is_some_and(|s| s.block_len <= 32) => other,
        _ => return None,
    };
    Some(if fits(smaller) { smaller } else { Encoding::F16 })
}

/// The first and the last eighth of the layers, and each third between.
fn more_bits(layer: i64, layers: i64) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}

/// The rules with their counters, asked for one tensor after the other.
pub(super) struct Mix<'a> {
    pub(super) facts: &'a Facts,
    pub(super) kind: FileType,
    /// `--output-tensor-type`.
    pub(super) output: Option<Encoding>,
    /// The embedding is the output matrix too.
    pub(super) tied: bool,
    /// Tensors that hold attention values, all of them and those passed.
    pub(super) values: (i64, i64),
    pub(super) down: i64,
}

impl<'a> Mix<'a> {
    /// For a model of these tensors.
    pub(super) fn new<'n>(
        facts: &'a Facts,
        kind: FileType,
        output: Option<Encoding>,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Self {
        let tied = !names.clone().any(|name| Category::of(name) == Category::Output);
        let values = names.filter(|name| Category::of(name).holds_values()).count();
        Self { facts, kind, output, tied, values: (values as i64, 0), down: 0 }
    }
    /// What the mix makes of a tensor that may change; rows may still not fit.
    pub(super) fn choose(&mut self, name: &str, shape: &Shape) -> Encoding {
        let (facts, kind, category) = (self.facts, self.kind.name, Category::of(name));
        let main = self.kind.main;
        if facts.arch == GLM5 && ["attn_q_a", "attn_q_b", "nextn.eh_proj"].iter().any(|part| name.contains(part)) {
            return Encoding::Q8_0;
        }
        if category == Category::Output || self.tied && category == Category::TokenEmbedding {
            return self.output.unwrap_or_else(|| self.output_matrix(shape));
        }
        if kind == "MXFP4_MOE" {
            let expert = matches!(category, Category::Up | Category::Gate | Category::Down);
            let stacked = ggml_dims(shape).0.len() >= 3 && (facts.arch != "bailingmoe3" || expert);
            return if stacked { Encoding::MXFP4 } else { Encoding::Q8_0 };
        }
        match category {
            Category::TokenEmbedding if matches!(kind, "TQ1_0" | "TQ2_0" | "Q2_0") => Encoding::Q4_K,
            category if category.holds_values() => self.attention_value(),
            Category::Key if facts.experts == 8 => Encoding::Q8_0,
            Category::Down => self.down(name),
            Category::AttentionOutput => self.attention_output(),
            _ => main,
        }
    }
    fn output_matrix(&self, shape: &Shape) -> Encoding {
        let main = self.kind.main;
        let fits = main.spec().is_some_and(|s| shape.row_len().is_multiple_of(u64::from(s.block_len)));
        if self.kind.name == "MXFP4_MOE" || self.facts.arch == "falcon" || !fits || main == Encoding::Q8_0 {
            Encoding::Q8_0
        } else {
            Encoding::Q6_K
        }
    }
    fn attention_value(&mut self) -> Encoding {
        let (all, number) = self.values;
        self.values.1 += 1;
        let few_kv = self.facts.gqa >= 4;
        let mut chosen = match self.kind.name {
            "Q2_K" if few_kv => Encoding::Q4_K,
            "Q2_K" => Encoding::Q3_K,
            "Q3_K_M" if number < 2 => Encoding::Q5_K,
            "Q3_K_M" => Encoding::Q4_K,
            "Q3_K_L" => Encoding::Q5_K,
            "IQ4_NL" | "IQ4_XS" if few_kv => Encoding::Q5_K,
            "Q4_K_M" | "Q5_K_M" if more_bits(number, all) => Encoding::Q6_K,
            "Q4_K_S" if number < 4 => Encoding::Q5_K,
            _ => self.kind.main,
        };
        if self.facts.seventy && matches!(chosen, Encoding::Q3_K | Encoding::Q4_K) {
            chosen = Encoding::Q5_K;
        }
        if self.facts.experts == 8 { Encoding::Q8_0 } else { chosen }
    }
    fn down(&mut self, name: &str) -> Encoding {
        let number = self.down;
        self.down += 1;
        // Experts may lie in any order, so their layer is the one that the name states.
        let (at, all) = (if self.facts.experts > 1 { layer(name) } else { number }, self.facts.layers);
        let falcon = self.facts.arch == "falcon";
        match self.kind.name {
            "Q2_K" => Encoding::Q3_K,
            "Q3_K_M" if at < all / 16 => Encoding::Q5_K,
            "Q3_K_M" if !falcon || more_bits(at, all) => Encoding::Q4_K,
            "Q3_K_L" if falcon => Encoding::Q4_K,
            "Q3_K_L" => Encoding::Q5_K,
            "Q4_K_M" if falcon && at < all / 16 => Encoding::Q6_K,
            "Q4_K_M" if falcon && more_bits(at, all) => Encoding::Q5_K,
            "Q4_K_M" if !falcon && more_bits(at, all) => Encoding::Q6_K,
            "IQ4_NL" | "IQ4_XS" if at < all / 8 => Encoding::Q5_K,
            "Q5_K_M" if more_bits(at, all) => Encoding::Q6_K,
            "Q4_K_S" if !falcon && at < all / 8 => Encoding::Q5_K,
            _ => self.kind.main,
        }
    }
    fn attention_output(&self) -> Encoding {
        let (main, kind) = (self.kind.main, self.kind.name);
        if self.facts.arch == "falcon" {
            return if kind == "Q3_K_L" { Encoding::Q4_K } else { main };
        }
        if self.facts.experts == 8 {
            let raised = matches!(kind, "Q2_K" | "Q3_K_S" | "Q3_K_M" | "IQ4_NL" | "Q4_K_S" | "Q4_K_M" | "IQ4_XS");
            return if raised { Encoding::Q5_K } else { main };
        }
        match kind {
            "Q2_K" => Encoding::Q3_K,
            "Q3_K_M" => Encoding::Q4_K,
            "Q3_K_L" => Encoding::Q5_K,
            _ => main,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_out_of_names_and_dimensions_of_one_are_dropped() {
        assert_eq!(["blk.12.attn_v.weight", "blk.x.a", "output.weight", "blk.3"].map(layer), [12, -1, -1, -1]);
        let dims = |d: &[u64]| ggml_dims(&Shape(d.to_vec())).0;
        assert_eq!((dims(&[1, 1, 5]), dims(&[2, 1]), dims(&[1]), dims(&[])), (vec![5], vec![2, 1], vec![1], vec![1]));
    }

    #[test]
    fn rows_that_do_not_fit_fall_back_to_the_next_larger_small_block_then_to_f16() {
        let fit = |e, n| fitting(e, n).unwrap();
        assert_eq!(fit(Encoding::Q4_K, 512), Encoding::Q4_K);
        assert_eq!(fit(Encoding::Q4_K, 288), Encoding::Q5_0);
        assert_eq!(fit(Encoding::Q6_K, 96), Encoding::Q8_0);
        assert_eq!(fit(Encoding::IQ4_XS, 32), Encoding::IQ4_NL);
        assert_eq!((fit(Encoding::Q2_K, 48), fit(Encoding::Q8_0, 48)), (Encoding::F16, Encoding::F16));
        assert_eq!(fitting(Encoding::Q1_0, 64), None);
    }
}
