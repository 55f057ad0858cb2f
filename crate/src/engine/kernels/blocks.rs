//! The encodings in which weights run on a GPU: one row each. Beside it, such an encoding has its `PACKING` in
//! `tensor/quant` and the WGSL that reads it in `shaders/blocks`.

use crate::{
    engine::shader::{Part, part},
    tensor::{
        Encoding,
        quant::{iq4_nl, packing::Packing, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0},
    },
};

/// An encoding that kernels read.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Which.
    pub encoding: Encoding,
    /// The WGSL that decodes it.
    pub part: Part,
    /// How its rows are laid out.
    pub(crate) packing: Packing,
}

macro_rules! rows {
    ($($encoding:ident $path:literal $packing:expr;)*) => {
        &[$(Block { encoding: Encoding::$encoding, part: part!($path), packing: $packing }),*]
    };
}

/// Every encoding that kernels read.
pub static BLOCKS: &[Block] = rows! {
    BF16   "blocks/bf16"   Packing::Plain;
    F16    "blocks/f16"    Packing::Plain;
    F32    "blocks/f32"    Packing::Plain;
    IQ4_NL "blocks/iq4_nl" iq4_nl::PACKING;
    Q2_K   "blocks/q2_k"   q2_k::PACKING;
    Q3_K   "blocks/q3_k"   q3_k::PACKING;
    Q4_0   "blocks/q4_0"   q4_0::PACKING;
    Q4_1   "blocks/q4_1"   q4_1::PACKING;
    Q4_K   "blocks/q4_k"   q4_k::PACKING;
    Q5_0   "blocks/q5_0"   q5_0::PACKING;
    Q5_1   "blocks/q5_1"   q5_1::PACKING;
    Q5_K   "blocks/q5_k"   q5_k::PACKING;
    Q6_K   "blocks/q6_k"   q6_k::PACKING;
    Q8_0   "blocks/q8_0"   q8_0::PACKING;
};

/// The row of an encoding.
pub fn find(encoding: Encoding) -> Option<&'static Block> {
    BLOCKS.iter().find(|b| b.encoding == encoding)
}

/// The encoding in which a GPU holds rows of `encoding`: the same where kernels read it, else F32 where it can be
/// decoded, else none.
pub fn resident(encoding: Encoding) -> Option<&'static Block> {
    find(encoding).or_else(|| encoding.spec()?.decode.and_then(|_| find(Encoding::F32)))
}
