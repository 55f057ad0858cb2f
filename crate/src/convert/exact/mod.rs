//! Values to blocks, bit for bit as libggml's `ggml_quantize_chunk` writes them without an importance matrix.
//!
//! The encoders of `tensor/` are simple fits, quick and small enough for the page; these are the searches that files
//! of other programs come from. Matched is a libggml compiled for x86-64 as such, whose sums are not contracted into
//! fused multiply-adds: that of every build by CMake, which asks for vector units in the CPU backend alone.

mod arith;
mod k_quants;
mod levels;
mod plain;
mod search;
mod ternary;

use crate::tensor::{Encode, Encoding};

/// What writes an encoding exactly as libggml does; `None` for those it has none for, or needs an importance matrix for.
///
/// It takes whole blocks of finite values, as [`crate::tensor::EncodingSpec::encode`] does, and no length panics.
pub fn exact(encoding: Encoding) -> Option<Encode> {
    Some(match encoding {
        Encoding::F32 | Encoding::F16 | Encoding::BF16 => return encoding.spec()?.encode,
        Encoding::Q1_0 => plain::q1_0,
        Encoding::Q2_0 => plain::q2_0,
        Encoding::Q4_0 => plain::q4_0,
        Encoding::Q4_1 => plain::q4_1,
        Encoding::Q5_0 => plain::q5_0,
        Encoding::Q5_1 => plain::q5_1,
        Encoding::Q8_0 => plain::q8_0,
        Encoding::MXFP4 => plain::mxfp4,
        Encoding::Q2_K => k_quants::q2_k,
        Encoding::Q3_K => k_quants::q3_k,
        Encoding::Q4_K => k_quants::q4_k,
        Encoding::Q5_K => k_quants::q5_k,
        Encoding::Q6_K => k_quants::q6_k,
        Encoding::IQ4_NL => levels::iq4_nl,
        Encoding::IQ4_XS => levels::iq4_xs,
        Encoding::TQ1_0 => ternary::tq1_0,
        Encoding::TQ2_0 => ternary::tq2_0,
        _ => return None,
    })
}
