//! The table of element and block encodings.

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
    /// A ggml type id that no table knows (listed, never refused).
    UnknownGgml(u32),
    /// An ONNX data type number that no table knows.
    UnknownOnnx(u32),
    /// The files given do not say (a tensor known by name only, its shard missing).
    Unknown,
}

/// What is known of an encoding: one row of [`ENCODINGS`].
pub struct EncodingSpec {
    /// Which.
    pub encoding: Encoding,
    /// The field's name for it, as files and tools print it: "Q4_K", "BF16".
    pub name: &'static str,
    /// ggml's type number.
    pub ggml: Option<u32>,
    /// Elements of one block (1 for plain elements; 2 or 4 for sub-byte elements packed in one byte).
    pub block_len: u32,
    /// Bytes of one block.
    pub block_bytes: u32,
    /// Decodes whole blocks to f32, bit-exact to the format's reference; `out.len()` is blocks times `block_len`.
    pub decode: Option<fn(blocks: &[u8], out: &mut [f32])>,
    /// One sentence for people: how a block is laid out.
    pub about: &'static str,
}

/// Every encoding with a fixed block size.
pub static ENCODINGS: &[EncodingSpec] = &[];

impl Encoding {
    /// The encoding's row, where it has one.
    pub fn spec(self) -> Option<&'static EncodingSpec> {
        ENCODINGS.iter().find(|s| s.encoding == self)
    }
    /// The encoding of a ggml type number.
    pub fn from_ggml(id: u32) -> Self {
        ENCODINGS.iter().find(|s| s.ggml == Some(id)).map_or(Self::UnknownGgml(id), |s| s.encoding)
    }
    /// The name, also for unknown numbers ("ggml type 99").
    pub fn name(self) -> String {
        match self {
            Self::UnknownGgml(id) => format!("ggml type {id}"),
            Self::UnknownOnnx(id) => format!("ONNX type {id}"),
            Self::String => "STRING".into(),
            Self::Unknown => "unknown".into(),
            other => other.spec().map_or_else(|| format!("{other:?}"), |s| s.name.into()),
        }
    }
    /// Bytes of `elements` values whose rows hold `row_len`; `None` when unknown, not whole blocks, or beyond 64 bits.
    pub fn bytes(self, elements: u64, row_len: u64) -> Option<u64> {
        let spec = self.spec()?;
        let block = u64::from(spec.block_len);
        if elements == 0 {
            return Some(0);
        }
        if block > 1 && spec.ggml.is_some() && row_len % block != 0 {
            return None;
        }
        elements.div_ceil(block).checked_mul(u64::from(spec.block_bytes))
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
