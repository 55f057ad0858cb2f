//! Element and block encodings: their names and numbers in each format. The rows are in `table.rs`.

use std::borrow::Cow;

use super::{quant::Words, table::ROWS};

/// How a tensor's values lie in bytes. ggml's names for block encodings, safetensors' for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, non_camel_case_types, clippy::upper_case_acronyms)]
pub enum Encoding {
    F64,
    F32,
    F16,
    BF16,
    F8_E4M3,
    F8_E5M2,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    F6_E2M3,
    F6_E3M2,
    F4,
    I64,
    I32,
    I16,
    I8,
    I4,
    I2,
    U64,
    U32,
    U16,
    U8,
    U4,
    U2,
    Bool,
    C64,
    C128,
    String,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ1_S,
    IQ1_M,
    IQ2_XXS,
    IQ2_XS,
    IQ2_S,
    IQ3_XXS,
    IQ3_S,
    IQ4_NL,
    IQ4_XS,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
    // Inspect only: removed from ggml (rows of Q4_0 and IQ4_NL woven together for one CPU or another) ...
    Q4_0_4_4,
    Q4_0_4_8,
    Q4_0_8_8,
    IQ4_NL_4_8,
    IQ4_NL_8_8,
    // ... or known to the fork ik_llama.cpp alone.
    Q6_0,
    IQ2_K,
    IQ3_K,
    IQ4_K,
    IQ5_K,
    IQ6_K,
    // Only in files before GGUF: ggml's layouts before May 2023.
    Q4_0_V1,
    Q4_1_V1,
    Q4_2,
    Q4_3,
    Q5_0_V1,
    Q5_1_V1,
    Q4_0_V2,
    Q4_1_V2,
    Q8_0_V2,
    /// A ggml type id that no table knows (listed, never refused).
    UnknownGgml(u32),
    /// An ONNX data type number that no table knows.
    UnknownOnnx(u32),
    /// The files given do not say (a tensor known by name only, its shard missing).
    Unknown,
}

/// From blocks to values.
pub type Decode = fn(blocks: &[u8], out: &mut [f32]);
/// From values to blocks.
pub type Encode = fn(values: &[f32], blocks: &mut [u8]);

/// What is known of an encoding: one row of [`ENCODINGS`].
pub struct EncodingSpec {
    /// Which.
    pub encoding: Encoding,
    /// The field's name for it, as files and tools print it: "Q4_K", "BF16".
    pub name: &'static str,
    /// ggml's type number.
    pub ggml: Option<u32>,
    /// safetensors' dtype name.
    pub safetensors: Option<&'static str>,
    /// ONNX's data type: number and name.
    pub onnx: Option<(i32, &'static str)>,
    /// Elements of one block (1 for plain elements; 2 or 4 for sub-byte elements packed in few bytes).
    pub block_len: u32,
    /// Bytes of one block; never 0.
    pub block_bytes: u32,
    /// Numbers of more than one byte inside a block: what [`super::swap_to_little`] turns.
    pub words: &'static [Words],
    /// Decodes whole blocks to f32, bit-exact to the format's reference.
    ///
    /// Works on as many whole blocks as both slices hold and leaves the rest of `out` alone: no length panics. Rounds
    /// where f32 is too narrow: `F64`, and integers beyond 2^24 (see [`super::decode_f64`], [`super::texts`]). Of
    /// complex numbers it gives the real part.
    pub decode: Option<Decode>,
    /// Rounds values to whole blocks, for models made to measure with and for tests; same treatment of lengths.
    pub encode: Option<Encode>,
    /// One sentence for people: how a block is laid out.
    pub about: &'static str,
}

/// The name: a row's codecs have nothing to print.
impl std::fmt::Debug for EncodingSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every encoding with a fixed block size, in the order of [`Encoding`].
pub static ENCODINGS: &[EncodingSpec] = &ROWS;

/// Row numbers by ggml type number; `NONE` where no row has it.
static BY_GGML: [u8; 160] = {
    let mut rows = [NONE; 160];
    let mut row = 0;
    while row < ROWS.len() {
        if let Some(id) = ROWS[row].ggml {
            rows[id as usize] = row as u8;
        }
        row += 1;
    }
    rows
};

/// Row numbers by ONNX data type number.
static BY_ONNX: [u8; 32] = {
    let mut rows = [NONE; 32];
    let mut row = 0;
    while row < ROWS.len() {
        if let Some((id, _)) = ROWS[row].onnx {
            rows[id as usize] = row as u8;
        }
        row += 1;
    }
    rows
};

const NONE: u8 = u8::MAX;

fn row(table: &[u8], id: usize) -> Option<Encoding> {
    table.get(id).and_then(|row| ENCODINGS.get(usize::from(*row))).map(|s| s.encoding)
}

/// The ONNX data type of strings, which have no block size and so no row.
const ONNX_STRING: i32 = 8;

impl Encoding {
    /// The encoding's row, where it has one.
    pub fn spec(self) -> Option<&'static EncodingSpec> {
        let row = ENCODINGS.binary_search_by(|s| s.encoding.cmp(&self)).ok()?;
        ENCODINGS.get(row)
    }
    /// The encoding of a ggml type number.
    pub fn from_ggml(id: u32) -> Self {
        row(&BY_GGML, id as usize).unwrap_or(Self::UnknownGgml(id))
    }
    /// True for whole numbers, signed or not.
    pub fn is_integer(self) -> bool {
        use Encoding::{I2, I4, I8, I16, I32, I64, U2, U4, U8, U16, U32, U64};
        matches!(self, I64 | I32 | I16 | I8 | I4 | I2 | U64 | U32 | U16 | U8 | U4 | U2)
    }
    /// The ggml type number, also of an unknown one.
    pub fn ggml(self) -> Option<u32> {
        match self {
            Self::UnknownGgml(id) => Some(id),
            other => other.spec()?.ggml,
        }
    }
    /// The encoding of a safetensors dtype name, as spelt in the header; `None` when unknown.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "F8_E4M3" => Self::F8_E4M3,
            "F8_E5M2" => Self::F8_E5M2,
            "F8_E8M0" => Self::F8_E8M0,
            "F8_E4M3FNUZ" => Self::F8_E4M3FNUZ,
            "F8_E5M2FNUZ" => Self::F8_E5M2FNUZ,
            "F6_E2M3" => Self::F6_E2M3,
            "F6_E3M2" => Self::F6_E3M2,
            "F4" => Self::F4,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U64" => Self::U64,
            "U32" => Self::U32,
            "U16" => Self::U16,
            "U8" => Self::U8,
            "BOOL" => Self::Bool,
            "C64" => Self::C64,
            _ => return None,
        })
    }
    /// The safetensors dtype name, where the format has this encoding.
    pub fn safetensors(self) -> Option<&'static str> {
        self.spec()?.safetensors
    }
    /// The encoding of an ONNX `TensorProto.DataType` number.
    pub fn from_onnx(id: i32) -> Self {
        if id == ONNX_STRING {
            return Self::String;
        }
        usize::try_from(id).ok().and_then(|id| row(&BY_ONNX, id)).unwrap_or(Self::UnknownOnnx(id as u32))
    }
    /// The ONNX data type number, also of an unknown one.
    pub fn onnx(self) -> Option<i32> {
        match self {
            Self::UnknownOnnx(id) => Some(id as i32),
            Self::String => Some(ONNX_STRING),
            other => other.spec()?.onnx.map(|(id, _)| id),
        }
    }
    /// ONNX's name of the data type ("FLOAT16").
    pub fn onnx_name(self) -> Option<&'static str> {
        match self {
            Self::String => Some("STRING"),
            other => other.spec()?.onnx.map(|(_, name)| name),
        }
    }
    /// The name, also for unknown numbers ("ggml type 99", "ggml type 4 (Q4_2, removed)").
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::UnknownGgml(id) => unsized_ggml(id)
                .map_or_else(|| format!("ggml type {id}"), |known| format!("ggml type {id} ({known})"))
                .into(),
            Self::UnknownOnnx(id) => format!("ONNX type {}", id as i32).into(),
            Self::String => "STRING".into(),
            Self::Unknown => "unknown".into(),
            other => other.spec().map_or_else(|| format!("{other:?}").into(), |s| s.name.into()),
        }
    }
    /// Bytes of `elements` values whose rows hold `row_len`; `None` when unknown, not whole blocks, or beyond 64 bits.
    ///
    /// Elements of less than a byte are packed across rows, the last byte padded (ONNX); ggml's blocks end with the row.
    pub fn bytes(self, elements: u64, row_len: u64) -> Option<u64> {
        let spec = self.spec()?;
        let block = u64::from(spec.block_len);
        if elements == 0 {
            return Some(0);
        }
        if block > 1 && spec.ggml.is_some() && (!row_len.is_multiple_of(block) || !elements.is_multiple_of(block)) {
            return None;
        }
        elements.div_ceil(block).checked_mul(u64::from(spec.block_bytes))
    }
}

/// What is known of ggml type numbers without a fixed block size: removed ones, and the fork ik_llama.cpp's with a
/// prefix per row.
fn unsized_ggml(id: u32) -> Option<&'static str> {
    Some(match id {
        4 => "Q4_2, removed",
        5 => "Q4_3, removed",
        36 => "BitNet's I2_S, or IQ4_NL_4_4, removed",
        134 => "IQ1_BN, ik_llama.cpp only",
        135 => "IQ2_BN, ik_llama.cpp only",
        144 => "IQ4_KS, ik_llama.cpp only",
        145 => "IQ2_KS, ik_llama.cpp only",
        146 => "IQ4_KSS, ik_llama.cpp only",
        152 => "IQ5_KS, ik_llama.cpp only",
        153 => "IQ2_KT, ik_llama.cpp only",
        154 => "IQ3_KT, ik_llama.cpp only",
        155 => "IQ4_KT, ik_llama.cpp only",
        156 => "IQ3_KS, ik_llama.cpp only",
        157 => "IQ2_KL, ik_llama.cpp only",
        158 => "IQ1_KT, ik_llama.cpp only",
        _ => return None,
    })
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
