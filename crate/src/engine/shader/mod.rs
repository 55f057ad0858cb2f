//! Composes a kernel's WGSL from its parts in `shaders/`.
//!
//! Lines that begin with `#` are directives: `#import <part>` (each part once; `block` is the weight encoding's file of
//! `shaders/blocks`, `reduce` the tier's reductions, `load` and `store` the cache type's files, anything else a
//! path), `#if <flag>`, `#else`, `#endif`, and `#links`, which becomes the calls of an elementwise chain.
//! Everything else is plain WGSL. What the host must know of a shader (constants, bindings) is read from its text.

use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

use super::{device::Tier, program::CacheType};

pub mod blocks;

/// Whose WGSL dialect to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// naga, inside wgpu: knows subgroups without being asked, and rejects `enable subgroups;`.
    Native,
    /// A browser: demands `enable subgroups;`.
    Web,
}

/// A file of WGSL: its path in `shaders/` without extension, and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// "lib/grid".
    pub path: &'static str,
    /// The text.
    pub text: &'static str,
}

macro_rules! part {
    ($path:literal) => {
        $crate::engine::shader::Part {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl")),
        }
    };
}
pub(crate) use part;

/// Every part that kernels import by path.
pub static PARTS: &[Part] = &[
    part!("lib/batch"),
    part!("lib/bits"),
    part!("lib/carry"),
    part!("lib/columns"),
    part!("lib/dot"),
    part!("lib/epilogue"),
    part!("lib/grid"),
    part!("lib/inputs"),
    part!("lib/load_f16"),
    part!("lib/load_f32"),
    part!("lib/load_q8_0"),
    part!("lib/random"),
    part!("lib/reduce"),
    part!("lib/reduce_subgroup"),
    part!("lib/rope"),
    part!("lib/store_f16"),
    part!("lib/store_f32"),
    part!("lib/store_q8_0"),
    part!("ops/elementwise"),
];

/// Flags that `#if` may name.
const FLAGS: &[&str] = &[
    "atomic_batch",
    "bias",
    "biased",
    "counts",
    "gated",
    "in_place",
    "paged",
    "ragged",
    "routed",
    "sinks",
    "transposed",
    "with_a",
    "with_b",
    "with_c",
];

/// One call of an elementwise chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// A function of `shaders/ops/elementwise.wgsl`.
    pub function: &'static str,
    /// The other operand.
    pub other: Other,
}

/// The second argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Other {
    /// None.
    None,
    /// A number of the parameter block: `s_0` to `s_7`.
    Number(u8),
    /// Operand `x`, `a`, `b` or `c`, by number.
    Operand(u8),
    /// The operand comes first.
    Reversed(u8),
}

/// One composed shader.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// The kernel's file.
    pub source: Part,
    /// The resident encoding of its weights, for kernels that import `block`.
    pub encoding: Option<Encoding>,
    /// The element type of its states, for kernels that import `load` or `store`.
    pub cache: Option<CacheType>,
    /// Which reductions.
    pub tier: Tier,
    /// Flags that are set, in order.
    pub flags: Vec<&'static str>,
    /// The calls that `#links` becomes.
    pub links: Vec<Call>,
}

/// A composed shader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// WGSL.
    pub text: String,
    /// Its bindings by number.
    pub bindings: Vec<Binding>,
}

/// A binding of group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub number: u32,
    /// The variable.
    pub name: String,
    /// What the shader does with it.
    pub access: Access,
}

/// What a shader does with a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The parameter block.
    Uniform,
    /// Storage that is read.
    Read,
    /// Storage that is read and written.
    Write,
}

impl Variant {
    /// The plain variant of a kernel.
    pub fn of(source: Part) -> Self {
        Self { source, encoding: None, cache: None, tier: Tier::Core, flags: Vec::new(), links: Vec::new() }
    }
    /// The kernel's name: of its file.
    pub fn kernel(&self) -> &'static str {
        self.source.path.rsplit('/').next().unwrap_or_default()
    }
    /// With a flag, if it is wanted.
    #[must_use]
    pub fn flag(mut self, flag: &'static str, wanted: bool) -> Self {
        if wanted && !self.flags.contains(&flag) {
            self.flags.push(flag);
            self.flags.sort_unstable();
        }
        self
    }
    /// For weights in this encoding.
    #[must_use]
    pub fn encoding(self, encoding: Encoding) -> Self {
        Self { encoding: Some(encoding), ..self }
    }
    /// For states of this type.
    #[must_use]
    pub fn cache(self, cache: CacheType) -> Self {
        Self { cache: Some(cache), ..self }
    }
    /// With the reductions of a tier, where the kernel reduces.
    #[must_use]
    pub fn tier(self, tier: Tier) -> Self {
        let reduces = self.source.text.contains("\n#import reduce\n");
        Self { tier: if reduces { tier } else { Tier::Core }, ..self }
    }
    /// With these calls for `#links`.
    #[must_use]
    pub fn links(self, links: Vec<Call>) -> Self {
        Self { links, ..self }
    }
    /// A short name for pipelines and messages: "matvec q4_0 subgroup ragged".
    pub fn label(&self) -> String {
        let mut label = self.kernel().to_owned();
        let mut add = |word: &str| {
            label.push(' ');
            label.push_str(word);
        };
        if let Some(encoding) = self.encoding {
            add(&encoding.name().to_lowercase());
        }
        if let Some(cache) = self.cache {
            add(cache.name());
        }
        if self.tier == Tier::Subgroup {
            add("subgroup");
        }
        self.flags.iter().for_each(|f| add(f));
        self.links.iter().for_each(|l| add(l.function.trim_start_matches("op_")));
        label
    }
}

/// The WGSL of a variant, and its bindings.
///
/// # Errors
/// The encoding has no block file; a source has a broken directive (a mistake in the crate, which the tests would show).
pub fn compose(variant: &Variant, target: Target) -> Result<Composed> {
    let mut composer = Composer { variant, done: Vec::new(), out: String::with_capacity(8192) };
    if target == Target::Web && variant.tier == Tier::Subgroup {
        composer.out.push_str("enable subgroups;\n");
    }
    composer.add(&variant.source)?;
    let bindings = bindings(&composer.out)?;
    Ok(Composed { text: composer.out, bindings })
}

/// The value of `const NAME: u32 = 64u;` in a part.
///
/// # Errors
/// The part has no such line.
pub fn constant(part: &Part, name: &str) -> Result<u32> {
    part.text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("const ")?.strip_prefix(name)?.strip_prefix(": u32 = ")?.strip_suffix("u;")
        })
        .find_map(|number| match number.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        })
        .ok_or_else(|| Fault::bug(format!("shaders/{}.wgsl has no constant {name}", part.path)))
}

/// The part of this path.
///
/// # Errors
/// There is none.
pub fn library(path: &str) -> Result<&'static Part> {
    PARTS.iter().find(|p| p.path == path).ok_or_else(|| Fault::bug(format!("there is no shaders/{path}.wgsl")))
}

/// The part that reads states of this type.
fn load_part(cache: CacheType) -> &'static str {
    match cache {
        CacheType::F32 => "lib/load_f32",
        CacheType::F16 => "lib/load_f16",
        CacheType::Q8_0 => "lib/load_q8_0",
    }
}

/// The part that writes states of this type.
fn store_part(cache: CacheType) -> &'static str {
    match cache {
        CacheType::F32 => "lib/store_f32",
        CacheType::F16 => "lib/store_f16",
        CacheType::Q8_0 => "lib/store_q8_0",
    }
}

/// Values of a state's row that one lane writes.
///
/// # Errors
/// The part does not say.
pub fn chunk(cache: CacheType) -> Result<u32> {
    constant(library(store_part(cache))?, "CHUNK")
}

/// `@group(0) @binding(2) var<storage, read> x: array<f32>;`, one to a line.
fn bindings(text: &str) -> Result<Vec<Binding>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("@group(0) @binding(") else { continue };
        let binding = (|| {
            let (number, rest) = rest.split_once(") var<")?;
            let (space, rest) = rest.split_once("> ")?;
            let access = match space {
                "uniform" => Access::Uniform,
                "storage, read" => Access::Read,
                "storage, read_write" => Access::Write,
                _ => return None,
            };
            let name = rest.split_once(':')?.0.to_owned();
            Some(Binding { number: number.parse().ok()?, name, access })
        })();
        found.push(binding.ok_or_else(|| Fault::bug(format!("a binding that cannot be read: {line}")))?);
    }
    Ok(found)
}

struct Composer<'a> {
    variant: &'a Variant,
    done: Vec<&'static str>,
    out: String,
}

impl Composer<'_> {
    fn add(&mut self, part: &Part) -> Result<()> {
        self.done.push(part.path);
        // One entry per open #if: whether its lines count, and whether #else was seen.
        let mut open: Vec<(bool, bool)> = Vec::new();
        for (number, line) in part.text.lines().enumerate() {
            let wrong =
                |what: &str| Fault::bug(format!("shaders/{}.wgsl line {}: {what}: {line}", part.path, number + 1));
            let live = open.iter().all(|o| o.0);
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("#if"), Some(flag), None) => {
                    open.push((self.flag(flag).ok_or_else(|| wrong("unknown flag"))?, false));
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
                    let imported = self.part(name).ok_or_else(|| wrong("unknown part"))?;
                    if !self.done.contains(&imported.path) {
                        self.add(&imported)?;
                    }
                }
                (Some("#links"), None, None) if !live => {}
                (Some("#links"), None, None) => self.links(),
                (Some(word), ..) if word.starts_with('#') => return Err(wrong("unknown directive")),
                _ if live => {
                    self.out.push_str(line);
                    self.out.push('\n');
                }
                _ => {}
            }
        }
        if open.is_empty() {
            Ok(())
        } else {
            Err(Fault::bug(format!("shaders/{}.wgsl: #if without #endif", part.path)))
        }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        FLAGS.contains(&name).then(|| self.variant.flags.contains(&name))
    }

    fn part(&self, name: &str) -> Option<Part> {
        let path = match name {
            "block" => return blocks::find(self.variant.encoding?).map(|b| b.part),
            "reduce" if self.variant.tier == Tier::Subgroup => "lib/reduce_subgroup",
            "reduce" => "lib/reduce",
            "load" => load_part(self.variant.cache?),
            "store" => store_part(self.variant.cache?),
            other => other,
        };
        PARTS.iter().find(|p| p.path == path).copied()
    }

    /// The calls of the chain, one to a line.
    fn links(&mut self) {
        let operand = |i: u8| {
            ["operand_x(row, column)", "operand_a(row, column)", "operand_b(row, column)"]
                .get(usize::from(i))
                .copied()
                .unwrap_or("operand_c(row, column)")
        };
        for Call { function, other } in &self.variant.links {
            let arguments = match *other {
                Other::None => "v".to_owned(),
                Other::Number(i) => format!("v, p.s_{i}"),
                Other::Operand(i) => format!("v, {}", operand(i)),
                Other::Reversed(i) => format!("{}, v", operand(i)),
            };
            self.out.push_str(&format!("    v = {function}({arguments});\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATMUL: Part = part!("kernels/matmul");

    fn composed(text: &'static str) -> Result<String> {
        let variant = Variant::of(MATMUL);
        let mut composer = Composer { variant: &variant, done: Vec::new(), out: String::new() };
        composer.add(&Part { path: "test", text })?;
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
        let variant = Variant::of(MATMUL).encoding(Encoding::IQ1_S);
        assert!(compose(&variant, Target::Native).is_err());
    }

    #[test]
    fn constants_are_read_from_the_text() {
        assert_eq!(constant(&MATMUL, "TOKENS").unwrap(), 32);
        assert!(constant(&MATMUL, "NOTHING").is_err());
    }
}
