//! What each byte of a block is for: one table of every block layout's fields, for people who look at bytes.
//!
//! The codecs do not read it; the tests hold it against them. Offsets follow from the order of the fields.

use super::{k_scales, mxfp4, nvfp4, q3_k};
use crate::tensor::{Encoding, float::f16_le};

/// How a block turns into weights, and its fields in the order of their bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// A weight in terms of the fields: "w = d * (q - 8)".
    pub formula: &'static str,
    /// From byte 0 on, without gaps.
    pub fields: &'static [Field],
}

/// One field of a block.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// ggml's name for it: "d", "qs".
    pub name: &'static str,
    /// Bytes.
    pub bytes: usize,
    /// What it is to the weights.
    pub role: Role,
    /// How its numbers lie in its bytes.
    pub stored: Stored,
    /// One sentence for people.
    pub about: &'static str,
}

/// What a field is to the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of the whole block.
    Scale,
    /// Of the whole block: what is added, or taken away.
    Minimum,
    /// Of parts of the block.
    GroupScales,
    /// The weights' codes, or their lower bits.
    Weights,
    /// The upper bits of those codes.
    HighBits,
    /// The weights' signs.
    Signs,
    /// Sums kept beside the weights.
    Sums,
}

/// How a field's numbers lie in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// IEEE half.
    F16,
    /// IEEE single.
    F32,
    /// Signed bytes.
    I8,
    /// Signed numbers of 16 bits.
    I16,
    /// A power of two in a byte.
    E8M0,
    /// Floats of 8 bits without a sign.
    UE4M3,
    /// Two numbers of 4 bits in a byte, the lower first.
    Nibbles,
    /// Eight scales, then eight minima, of 6 bits.
    SixBits,
    /// Sixteen signed scales of 6 bits.
    SignedSixBits,
    /// Codes of the weights, which the decoded values show.
    Packed,
}

impl Role {
    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scale => "scale",
            Self::Minimum => "minimum",
            Self::GroupScales => "group scales",
            Self::Weights => "weights",
            Self::HighBits => "high bits",
            Self::Signs => "signs",
            Self::Sums => "sums",
        }
    }
}

impl Stored {
    /// As reports write it; `None` of packed codes.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::E8M0 => "E8M0",
            Self::UE4M3 => "UE4M3",
            Self::Nibbles => "4 bits",
            Self::SixBits => "6 bits",
            Self::SignedSixBits => "6 bits, signed",
            Self::Packed => return None,
        })
    }
    /// The numbers in a field's bytes; none of packed codes, nor of bytes of another length.
    pub fn numbers(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => bytes.as_chunks().0.iter().map(|b| f16_le(*b)).collect(),
            Self::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Self::I8 => bytes.iter().map(|b| f32::from(*b as i8)).collect(),
            Self::I16 => bytes.as_chunks().0.iter().map(|b| f32::from(i16::from_le_bytes(*b))).collect(),
            Self::E8M0 => bytes.iter().map(|e| mxfp4::half_scale(*e) * 2.0).collect(),
            Self::UE4M3 => bytes.iter().map(|b| nvfp4::half_scale(*b) * 2.0).collect(),
            Self::Nibbles => bytes.iter().flat_map(|b| [f32::from(b & 15), f32::from(b >> 4)]).collect(),
            Self::SixBits => bytes.try_into().map_or_else(
                |_| Vec::new(),
                |b| {
                    let (scales, minima) = k_scales::unpack(b);
                    scales.into_iter().chain(minima).map(f32::from).collect()
                },
            ),
            Self::SignedSixBits => bytes
                .try_into()
                .map_or_else(|_| Vec::new(), |b| q3_k::unpack_scales(b).into_iter().map(f32::from).collect()),
            Self::Packed => Vec::new(),
        }
    }
}

const fn field(name: &'static str, bytes: usize, role: Role, stored: Stored, about: &'static str) -> Field {
    Field { name, bytes, role, stored, about }
}

/// The scale of the whole block.
const D: Field = field("d", 2, Role::Scale, Stored::F16, "scale of the block");
const D_F32: Field = field("d", 4, Role::Scale, Stored::F32, "scale of the block");
/// What is added to every weight.
const M: Field = field("m", 2, Role::Minimum, Stored::F16, "minimum of the block");
const M_F32: Field = field("m", 4, Role::Minimum, Stored::F32, "minimum of the block");
const DMIN: Field = field("dmin", 2, Role::Minimum, Stored::F16, "scale of the groups' minima");
const K_SCALES: Field =
    field("scales", 12, Role::GroupScales, Stored::SixBits, "eight scales, then eight minima, of groups of 32");
const SIGNS: &str = "a sign bit for each weight";

const fn packed(bytes: usize, about: &'static str) -> Field {
    field("qs", bytes, Role::Weights, Stored::Packed, about)
}

const fn high(name: &'static str, bytes: usize, about: &'static str) -> Field {
    field(name, bytes, Role::HighBits, Stored::Packed, about)
}

const HALVES: Field = packed(16, "4 bits each: weight j in the low half of byte j, weight j + 16 in the high half");
const PAIRS: Field = packed(16, "4 bits each: weights 2j and 2j + 1 in byte j, the low half first");
const FIFTH: Field = high("qh", 4, "bit j is the fifth bit of weight j");
const CROSSED: Field =
    packed(128, "4 bits each: 32 bytes hold two groups of 32, one in the low halves and one in the high");
const TWO_BITS: Field =
    packed(64, "2 bits each: weight l + 32 k of a half of the block in bits 2k and 2k + 1 of byte l");
const BYTES: Field = field("qs", 32, Role::Weights, Stored::I8, "a signed byte for each weight");

/// A row of the table.
macro_rules! layout {
    ($formula:literal, &[$($field:expr),* $(,)?] $(,)?) => {
        Some(Layout { formula: $formula, fields: const { &[$($field),*] } })
    };
}

/// The fields of an encoding's blocks; `None` of plain elements, and where Glassbox does not decode the encoding.
pub fn of(encoding: Encoding) -> Option<Layout> {
    use Encoding as E;
    match encoding {
        E::Q4_0 => layout!("w = d * (q - 8)", &[D, HALVES]),
        E::Q4_1 => layout!("w = d * q + m", &[D, M, HALVES]),
        E::Q5_0 => layout!("w = d * (q - 16)", &[D, FIFTH, HALVES]),
        E::Q5_1 => layout!("w = d * q + m", &[D, M, FIFTH, HALVES]),
        E::Q8_0 => layout!("w = d * q", &[D, BYTES]),
        E::Q8_1 => {
            layout!(
                "w = d * q",
                &[D, field("s", 2, Role::Sums, Stored::F16, "the scale times the sum of all q"), BYTES]
            )
        }
        E::MXFP4 => layout!(
            "w = e * E2M1[q]",
            &[field("e", 1, Role::Scale, Stored::E8M0, "scale of the block, a power of two"), HALVES],
        ),
        E::NVFP4 => layout!(
            "w = d[g] * E2M1[q]",
            &[
                field("d", 4, Role::GroupScales, Stored::UE4M3, "a scale for each group of 16"),
                packed(32, "4 bits each: 8 bytes hold a group of 16, weight j low and weight j + 8 high"),
            ],
        ),
        E::Q1_0 => {
            layout!("w = d where the bit is set, else -d", &[D, packed(16, "a bit for each weight, lowest first")])
        }
        E::Q2_0 => layout!("w = d * (q - 1)", &[D, packed(16, "2 bits each: four weights in a byte, lowest first")]),
        E::TQ1_0 => layout!(
            "w = d * (digit - 1)",
            &[
                packed(48, "five digits of base 3 in a byte"),
                field("qh", 4, Role::Weights, Stored::Packed, "the last 16 weights: four digits of base 3 in a byte"),
                D,
            ],
        ),
        E::TQ2_0 => layout!("w = d * (q - 1)", &[TWO_BITS, D]),
        _ => k_quant(encoding).or_else(|| i_quant(encoding)).or_else(|| before_gguf(encoding)),
    }
}

fn k_quant(encoding: Encoding) -> Option<Layout> {
    use Encoding as E;
    match encoding {
        E::Q2_K => layout!(
            "w = d * scale[g] * q - dmin * min[g]",
            &[
                field(
                    "scales",
                    16,
                    Role::GroupScales,
                    Stored::Nibbles,
                    "scale (low half) and minimum (high half) of each group of 16, in turn",
                ),
                TWO_BITS,
                D,
                DMIN,
            ],
        ),
        E::Q3_K => layout!(
            "w = d * scale[g] * (q - 4)",
            &[
                high("hmask", 32, "bit k of byte l is the third bit of weight l + 32 k"),
                TWO_BITS,
                field("scales", 12, Role::GroupScales, Stored::SignedSixBits, "scales of 16 groups of 16"),
                D,
            ],
        ),
        E::Q4_K => layout!("w = d * scale[g] * q - dmin * min[g]", &[D, DMIN, K_SCALES, CROSSED]),
        E::Q5_K => layout!(
            "w = d * scale[g] * q - dmin * min[g]",
            &[D, DMIN, K_SCALES, high("qh", 32, "bit g of byte l is the fifth bit of weight l of group g"), CROSSED],
        ),
        E::Q6_K => layout!(
            "w = d * scale[g] * (q - 32)",
            &[
                field("ql", 128, Role::Weights, Stored::Packed, "the low 4 bits: 64 bytes for each half of the block"),
                high("qh", 64, "the top 2 bits: 32 bytes for each half of the block"),
                field("scales", 16, Role::GroupScales, Stored::I8, "scales of 16 groups of 16"),
                D,
            ],
        ),
        E::Q8_K => layout!(
            "w = d * q",
            &[
                D_F32,
                field("qs", 256, Role::Weights, Stored::I8, "a signed byte for each weight"),
                field("bsums", 32, Role::Sums, Stored::I16, "sums of 16 q each"),
            ],
        ),
        _ => None,
    }
}

fn i_quant(encoding: Encoding) -> Option<Layout> {
    use Encoding as E;
    const NIBBLE_SCALES: Field =
        field("scales", 8, Role::GroupScales, Stored::Nibbles, "scales of 16 groups of 16, the low half first");
    match encoding {
        E::IQ1_S => layout!(
            "w = d * (2 * scale[g] + 1) * (point +- 1/8)",
            &[
                D,
                packed(32, "the low 8 bits of the number of a point: one for 8 weights"),
                field(
                    "qh",
                    16,
                    Role::GroupScales,
                    Stored::Packed,
                    "16 bits for each group of 32: the top 3 bits of four numbers, the scale (3 bits), the direction of the shift",
                ),
            ],
        ),
        E::IQ1_M => layout!(
            "w = d * (2 * scale[g] + 1) * (point +- 1/8)",
            &[
                packed(32, "the low 8 bits of the number of a point: one for 8 weights"),
                high("qh", 16, "4 bits for each point: the top 3 of its number, and the direction of the shift"),
                field(
                    "scales",
                    8,
                    Role::GroupScales,
                    Stored::Packed,
                    "four times 16 bits: scales (3 bits) of four groups of 16, and a quarter of the f16 scale d",
                ),
            ],
        ),
        E::IQ2_XXS => layout!(
            "w = d * (scale[g] + 1/2) / 4 * point * sign",
            &[
                D,
                packed(
                    64,
                    "8 bytes for each group of 32: the numbers of four points, then 4 x 7 sign bits and the scale (4 bits)",
                ),
            ],
        ),
        E::IQ2_XS => layout!(
            "w = d * (scale[g] + 1/2) / 4 * point * sign",
            &[D, packed(64, "16 bits for 8 weights: the number of a point (9 bits) and seven signs"), NIBBLE_SCALES],
        ),
        E::IQ2_S => layout!(
            "w = d * (scale[g] + 1/2) / 4 * point * sign",
            &[
                D,
                packed(32, "the low 8 bits of the number of a point: one for 8 weights"),
                field("signs", 32, Role::Signs, Stored::Packed, SIGNS),
                high("qh", 8, "the top 2 bits of those numbers"),
                NIBBLE_SCALES,
            ],
        ),
        E::IQ3_XXS => layout!(
            "w = d * (scale[g] + 1/2) / 2 * point * sign",
            &[
                D,
                packed(64, "the number of a point: one for 4 weights"),
                field(
                    "gas",
                    32,
                    Role::GroupScales,
                    Stored::Packed,
                    "32 bits for each group of 32: 4 x 7 sign bits and the scale (4 bits)",
                ),
            ],
        ),
        E::IQ3_S => layout!(
            "w = d * (2 * scale[g] + 1) * point * sign",
            &[
                D,
                packed(64, "the low 8 bits of the number of a point: one for 4 weights"),
                high("qh", 8, "the top bit of those numbers"),
                field("signs", 32, Role::Signs, Stored::Packed, SIGNS),
                field("scales", 4, Role::GroupScales, Stored::Nibbles, "scales of 8 groups of 32, the low half first"),
            ],
        ),
        E::IQ4_NL => layout!("w = d * level[q], of 16 unequal levels", &[D, HALVES]),
        E::IQ4_XS => layout!(
            "w = d * (scale[g] - 32) * level[q], of 16 unequal levels",
            &[
                D,
                field(
                    "scales_h",
                    2,
                    Role::GroupScales,
                    Stored::Packed,
                    "the top 2 bits of the scales of 8 groups of 32",
                ),
                field("scales_l", 4, Role::GroupScales, Stored::Nibbles, "the low 4 bits of those scales"),
                packed(128, "4 bits each: 16 bytes hold a group of 32, weight j low and weight j + 16 high"),
            ],
        ),
        _ => None,
    }
}

/// ggml's layouts before May 2023.
fn before_gguf(encoding: Encoding) -> Option<Layout> {
    use Encoding as E;
    const EIGHT: Field = packed(8, "4 bits each: weights 2j and 2j + 1 in byte j, the low half first");
    match encoding {
        E::Q4_0_V1 => layout!("w = d * (q - 8)", &[D_F32, PAIRS]),
        E::Q4_1_V1 => layout!("w = d * q + m", &[D_F32, M_F32, PAIRS]),
        E::Q4_2 => layout!("w = d * (q - 8)", &[D, EIGHT]),
        E::Q4_3 => layout!("w = d * q + m", &[D, M, EIGHT]),
        E::Q5_0_V1 => layout!("w = d * (q - 16)", &[D, FIFTH, PAIRS]),
        E::Q5_1_V1 => layout!("w = d * q + m", &[D, M, FIFTH, PAIRS]),
        E::Q4_0_V2 => layout!("w = d * (q - 8)", &[D_F32, HALVES]),
        E::Q4_1_V2 => layout!("w = d * q + m", &[D_F32, M_F32, HALVES]),
        E::Q8_0_V2 => layout!("w = d * q", &[D_F32, BYTES]),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
