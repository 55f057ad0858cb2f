//! The names under which people ask for a quantized file, as llama.cpp has them.

use crate::{
    fault::{Fault, Result},
    tensor::{ENCODINGS, Encoding},
};

/// What a whole file is quantized to: one encoding, or a mix around one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileType {
    /// "Q4_K_M".
    pub name: &'static str,
    /// llama.cpp's number (`llama_ftype`), which `general.file_type` states.
    pub number: u32,
    /// What most matrices become.
    pub main: Encoding,
}

const fn kind(name: &'static str, number: u32, main: Encoding) -> FileType {
    FileType { name, number, main }
}

/// Those that can be written.
pub const FILE_TYPES: &[FileType] = &[
    kind("F32", 0, Encoding::F32),
    kind("F16", 1, Encoding::F16),
    kind("BF16", 32, Encoding::BF16),
    kind("Q8_0", 7, Encoding::Q8_0),
    kind("Q6_K", 18, Encoding::Q6_K),
    kind("Q5_K_M", 17, Encoding::Q5_K),
    kind("Q5_K_S", 16, Encoding::Q5_K),
    kind("Q5_1", 9, Encoding::Q5_1),
    kind("Q5_0", 8, Encoding::Q5_0),
    kind("Q4_K_M", 15, Encoding::Q4_K),
    kind("Q4_K_S", 14, Encoding::Q4_K),
    kind("Q4_1", 3, Encoding::Q4_1),
    kind("Q4_0", 2, Encoding::Q4_0),
    kind("IQ4_NL", 25, Encoding::IQ4_NL),
    kind("IQ4_XS", 30, Encoding::IQ4_XS),
    kind("MXFP4_MOE", 38, Encoding::MXFP4),
    kind("Q3_K_L", 13, Encoding::Q3_K),
    kind("Q3_K_M", 12, Encoding::Q3_K),
    kind("Q3_K_S", 11, Encoding::Q3_K),
    kind("Q2_K", 10, Encoding::Q2_K),
    kind("TQ2_0", 37, Encoding::TQ2_0),
    kind("TQ1_0", 36, Encoding::TQ1_0),
    kind("Q2_0", 41, Encoding::Q2_0),
    kind("Q1_0", 40, Encoding::Q1_0),
];

/// Names for mixes that have two.
const ALIASES: &[(&str, &str)] = &[("Q3_K", "Q3_K_M"), ("Q4_K", "Q4_K_M"), ("Q5_K", "Q5_K_M")];

/// Mixes of llama.cpp that need an importance matrix.
const IMPORTANCE: &[&str] = &["Q2_K_S", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS"];

/// Mixes of llama.cpp whose encodings have no encoder here.
const UNKNOWN: &[&str] = &["IQ3_S", "IQ3_M", "NVFP4"];

impl Default for FileType {
    /// The mix that most files in use are of.
    fn default() -> Self {
        kind("Q4_K_M", 15, Encoding::Q4_K)
    }
}

impl FileType {
    /// The mix of this name, in any case.
    ///
    /// # Errors
    /// It needs an importance matrix, or there is none of this name; the fault lists those that are.
    pub fn parse(name: &str) -> Result<Self> {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let full = ALIASES.iter().find(|(alias, _)| same(alias)).map_or(name, |(_, full)| *full);
        if let Some(found) = FILE_TYPES.iter().find(|t| t.name.eq_ignore_ascii_case(full)) {
            return Ok(*found);
        }
        if let Some(found) = IMPORTANCE.iter().find(|other| same(other)) {
            return Err(Fault::unsupported(format!(
                "{found} needs an importance matrix, which cannot be given yet: take one of {}",
                names()
            )));
        }
        if let Some(found) = UNKNOWN.iter().find(|other| same(other)) {
            return Err(Fault::unsupported(format!("{found} cannot be written yet: take one of {}", names())));
        }
        Err(Fault::caller(format!("no type is called \"{name}\"; there are {}", names())))
    }
}

fn names() -> String {
    FILE_TYPES.iter().map(|t| t.name).collect::<Vec<_>>().join(", ")
}

/// The encoding of this name, in any case, that can be written exactly.
///
/// # Errors
/// There is none; the fault lists those that are.
pub fn encoding(name: &str) -> Result<Encoding> {
    let known = ENCODINGS.iter().find(|s| s.ggml.is_some() && s.name.eq_ignore_ascii_case(name));
    if let Some(spec) = known.filter(|s| super::super::exact::exact(s.encoding).is_some()) {
        return Ok(spec.encoding);
    }
    let can = ENCODINGS.iter().filter(|s| super::super::exact::exact(s.encoding).is_some()).map(|s| s.name);
    let can = can.collect::<Vec<_>>().join(", ");
    Err(match known {
        Some(spec) if spec.name.starts_with("IQ") => Fault::unsupported(format!(
            "{} needs an importance matrix or an encoder that is not here; {can} can be written",
            spec.name
        )),
        Some(spec) => Fault::unsupported(format!("{} cannot be written; {can} can", spec.name)),
        None => Fault::caller(format!("no tensor type is called \"{name}\"; there are {can}")),
    })
}
