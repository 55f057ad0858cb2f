//! Composes a kernel's WGSL from its parts in `shaders/`.
//!
//! Three kinds of lines are taken out of the sources: `#import <part>` (each part once; `block` is the
//! weight encoding's file of `shaders/blocks`, `reduce` the tier's file of reductions, anything else a file
//! of `shaders/lib`), and `#if <flag>`, `#else`, `#endif`. Everything else is plain WGSL.

use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

use super::{device::Tier, kernel::KernelId};

/// Whose WGSL dialect to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// naga, inside wgpu: knows subgroups without being asked, and rejects `enable subgroups;`.
    Native,
    /// A browser: demands `enable subgroups;`.
    Web,
}

/// One composed shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// Which kernel.
    pub kernel: KernelId,
    /// The resident encoding of its weights; `None` for kernels without packed weights.
    pub encoding: Option<Encoding>,
    /// Which reductions.
    pub tier: Tier,
    /// Rows are not multiples of the vector width (8 for linear kernels, 4 for attention).
    pub ragged: bool,
}

/// Constants of a kernel that the host must know to size a grid; `tests/rust/shaders.rs` compares them with the WGSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Lanes of a workgroup: `WG`.
    pub lanes: u32,
    /// Weight rows a workgroup makes: `ROWS` (1 where there is none).
    pub rows: u32,
    /// Tokens a workgroup makes: `TOKENS` (1 where there is none).
    pub tokens: u32,
}

macro_rules! part {
    ($path:literal) => {
        ($path, include_str!(concat!("../../shaders_old/", $path, ".wgsl")))
    };
}

/// Path without extension, and text, of every library part.
pub static LIBS: &[(&str, &str)] = &[
    part!("lib/bits"),
    part!("lib/dot"),
    part!("lib/grid"),
    part!("lib/inputs"),
    part!("lib/reduce"),
    part!("lib/reduce_subgroup"),
];

/// Path without extension, and text, of every block layout, with its encoding. An encoding in this table runs packed.
pub static BLOCKS: &[(Encoding, (&str, &str))] = &[
    (Encoding::BF16, part!("blocks/bf16")),
    (Encoding::F16, part!("blocks/f16")),
    (Encoding::F32, part!("blocks/f32")),
    (Encoding::IQ4_NL, part!("blocks/iq4_nl")),
    (Encoding::Q2_K, part!("blocks/q2_k")),
    (Encoding::Q3_K, part!("blocks/q3_k")),
    (Encoding::Q4_0, part!("blocks/q4_0")),
    (Encoding::Q4_1, part!("blocks/q4_1")),
    (Encoding::Q4_K, part!("blocks/q4_k")),
    (Encoding::Q5_0, part!("blocks/q5_0")),
    (Encoding::Q5_1, part!("blocks/q5_1")),
    (Encoding::Q5_K, part!("blocks/q5_k")),
    (Encoding::Q6_K, part!("blocks/q6_k")),
    (Encoding::Q8_0, part!("blocks/q8_0")),
];

/// Path without extension, and text, of every kernel.
pub static KERNELS: &[(KernelId, (&str, &str))] = &[
    (KernelId::Add, part!("kernels/add")),
    (KernelId::AddBias, part!("kernels/add_bias")),
    (KernelId::Advance, part!("kernels/advance")),
    (KernelId::Attention, part!("kernels/attention")),
    (KernelId::Embed, part!("kernels/embed")),
    (KernelId::KvWrite, part!("kernels/kv_write")),
    (KernelId::LastRow, part!("kernels/last_row")),
    (KernelId::MatMul, part!("kernels/matmul")),
    (KernelId::MatVec, part!("kernels/matvec")),
    (KernelId::Pick, part!("kernels/pick")),
    (KernelId::RmsNorm, part!("kernels/rms_norm")),
    (KernelId::Rope, part!("kernels/rope")),
    (KernelId::SiluMul, part!("kernels/silu_mul")),
];

/// The kernel decodes packed weights: it has one variant per row of [`BLOCKS`].
pub fn has_block(kernel: KernelId) -> bool {
    matches!(kernel, KernelId::Embed | KernelId::MatVec | KernelId::MatMul)
}

/// The kernel reduces over a workgroup: it has one variant per tier.
pub fn has_tiers(kernel: KernelId) -> bool {
    matches!(kernel, KernelId::MatVec | KernelId::RmsNorm | KernelId::Attention)
}

/// The kernel reads rows as vectors where their length allows, and has a variant where it does not.
pub fn has_ragged(kernel: KernelId) -> bool {
    matches!(kernel, KernelId::MatVec | KernelId::MatMul | KernelId::Attention)
}

/// Storage bindings after the parameter block.
pub fn bindings(kernel: KernelId) -> usize {
    match kernel {
        KernelId::Advance => 1,
        KernelId::AddBias | KernelId::Rope | KernelId::KvWrite | KernelId::Add | KernelId::LastRow => 3,
        KernelId::Embed | KernelId::RmsNorm | KernelId::MatVec | KernelId::MatMul => 4,
        KernelId::SiluMul | KernelId::Pick => 4,
        KernelId::Attention => 5,
    }
}

/// The constants the host needs.
pub fn geometry(kernel: KernelId) -> Geometry {
    let (lanes, rows, tokens) = match kernel {
        KernelId::MatVec => (64, 4, 1),
        KernelId::MatMul => (128, 64, 32),
        KernelId::Embed => (64, 1, 1),
        KernelId::Advance => (1, 1, 1),
        _ => (256, 1, 1),
    };
    Geometry { lanes, rows, tokens }
}

impl Variant {
    /// The variant with everything the kernel does not distinguish set to its plain value, so that equal texts have equal keys.
    #[must_use]
    pub fn normalised(self) -> Self {
        Self {
            kernel: self.kernel,
            encoding: self.encoding.filter(|_| has_block(self.kernel)),
            tier: if has_tiers(self.kernel) { self.tier } else { Tier::Core },
            ragged: self.ragged && has_ragged(self.kernel),
        }
    }

    /// Every variant a plan can ask for (ragged rows exist only in encodings without blocks).
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for &kernel in KernelId::ALL {
            let encodings: Vec<Option<Encoding>> =
                if has_block(kernel) { BLOCKS.iter().map(|b| Some(b.0)).collect() } else { vec![None] };
            for encoding in encodings {
                for tier in [Tier::Core, Tier::Subgroup] {
                    for ragged in [false, true] {
                        let variant = Self { kernel, encoding, tier, ragged };
                        let plain = matches!(encoding, None | Some(Encoding::F32 | Encoding::F16 | Encoding::BF16));
                        if variant == variant.normalised() && (plain || !ragged) {
                            all.push(variant);
                        }
                    }
                }
            }
        }
        all
    }

    /// A short name for pipelines and messages: "matvec q4_0 subgroup ragged".
    pub fn label(&self) -> String {
        let mut label = self.kernel.name().to_owned();
        if let Some(encoding) = self.encoding {
            label.push(' ');
            label.push_str(&format!("{encoding:?}").to_lowercase());
        }
        if self.tier == Tier::Subgroup {
            label.push_str(" subgroup");
        }
        if self.ragged {
            label.push_str(" ragged");
        }
        label
    }
}

/// The WGSL of a variant.
///
/// # Errors
/// The encoding has no block file; a source has a broken directive (a mistake in the crate, which the tests would show).
pub fn compose(variant: &Variant, target: Target) -> Result<String> {
    let (path, text) = KERNELS
        .iter()
        .find(|k| k.0 == variant.kernel)
        .map(|k| k.1)
        .ok_or_else(|| Fault::bug(format!("kernel {} has no shader", variant.kernel.name())))?;
    let mut composer = Composer { variant, done: Vec::new(), out: String::with_capacity(8192) };
    if target == Target::Web && variant.tier == Tier::Subgroup && has_tiers(variant.kernel) {
        composer.out.push_str("enable subgroups;\n");
    }
    composer.add(path, text)?;
    Ok(composer.out)
}

struct Composer<'a> {
    variant: &'a Variant,
    done: Vec<&'static str>,
    out: String,
}

impl Composer<'_> {
    fn add(&mut self, path: &'static str, text: &'static str) -> Result<()> {
        self.done.push(path);
        // One entry per open #if: whether its lines count, and whether #else was seen.
        let mut open: Vec<(bool, bool)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |what: &str| Fault::bug(format!("shaders/{path}.wgsl line {}: {what}: {line}", number + 1));
            let live = open.iter().all(|o| o.0);
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("#if"), Some(flag), None) => {
                    open.push((self.flag(flag).ok_or_else(|| wrong("unknown flag"))?, false))
                }
                (Some("#else"), None, None) => match open.last_mut() {
                    Some(o) if !o.1 => *o = (!o.0, true),
                    _ => return Err(wrong("#else without #if")),
                },
                (Some("#endif"), None, None) => {
                    open.pop().ok_or_else(|| wrong("#endif without #if"))?;
                }
                (Some("#import"), Some(_), None) if !live => {}
                (Some("#import"), Some(name), None) => {
                    let part = self.part(name).ok_or_else(|| wrong("unknown part"))?;
                    if !self.done.contains(&part.0) {
                        self.add(part.0, part.1)?;
                    }
                }
                (Some(word), ..) if word.starts_with('#') => return Err(wrong("unknown directive")),
                _ if live => {
                    self.out.push_str(line);
                    self.out.push('\n');
                }
                _ => {}
            }
        }
        if open.is_empty() { Ok(()) } else { Err(Fault::bug(format!("shaders/{path}.wgsl: #if without #endif"))) }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        (name == "ragged").then_some(self.variant.ragged)
    }

    fn part(&self, name: &str) -> Option<(&'static str, &'static str)> {
        let path = match name {
            "block" => {
                let encoding = self.variant.encoding?;
                return BLOCKS.iter().find(|b| b.0 == encoding).map(|b| b.1);
            }
            "reduce" if self.variant.tier == Tier::Subgroup => "lib/reduce_subgroup",
            "reduce" => "lib/reduce",
            other => other,
        };
        LIBS.iter().find(|l| l.0 == path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Variant = Variant { kernel: KernelId::Add, encoding: None, tier: Tier::Core, ragged: false };

    fn composed(text: &'static str) -> Result<String> {
        let mut composer = Composer { variant: &PLAIN, done: Vec::new(), out: String::new() };
        composer.add("test", text)?;
        Ok(composer.out)
    }

    #[test]
    fn a_part_is_imported_once() {
        let text = composed("#import lib/grid\n#import lib/grid\nend\n").unwrap();
        assert_eq!(text.matches("fn flat_group").count(), 1);
        assert!(text.ends_with("end\n"));
    }

    #[test]
    fn an_unknown_part_is_named_with_its_line() {
        let fault = composed("\n#import lib/nothing").unwrap_err();
        assert!(fault.what.contains("line 2: unknown part"), "{fault}");
    }

    #[test]
    fn flags_choose_between_lines_and_may_nest() {
        let text = composed("#if ragged\nyes\n#if ragged\ninner\n#endif\n#else\nno\n#endif\nend").unwrap();
        assert_eq!(text, "no\nend\n");
    }

    #[test]
    fn broken_directives_are_refused() {
        for text in
            ["#if ragged", "#endif", "#else", "#if nothing\n#endif", "#define X", "#if ragged\n#else\n#else\n#endif"]
        {
            assert!(composed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_encoding_without_a_block_file_is_refused() {
        let variant = Variant { kernel: KernelId::MatVec, encoding: Some(Encoding::IQ1_S), ..PLAIN };
        assert!(compose(&variant, Target::Native).is_err());
    }
}
