//! TensorProto.DataType: numbers 1 to 26, with the bits of one value.

use crate::tensor::Encoding;

/// Row `n - 1` is data type `n`.
pub(super) const KINDS: [(Encoding, u64); 26] = [
    (Encoding::F32, 32),
    (Encoding::U8, 8),
    (Encoding::I8, 8),
    (Encoding::U16, 16),
    (Encoding::I16, 16),
    (Encoding::I32, 32),
    (Encoding::I64, 64),
    (Encoding::String, 0),
    (Encoding::Bool, 8),
    (Encoding::F16, 16),
    (Encoding::F64, 64),
    (Encoding::U32, 32),
    (Encoding::U64, 64),
    (Encoding::C64, 64),
    (Encoding::C128, 128),
    (Encoding::BF16, 16),
    (Encoding::F8_E4M3, 8),
    (Encoding::F8_E4M3FNUZ, 8),
    (Encoding::F8_E5M2, 8),
    (Encoding::F8_E5M2FNUZ, 8),
    (Encoding::U4, 4),
    (Encoding::I4, 4),
    (Encoding::F4, 4),
    (Encoding::F8_E8M0, 8),
    (Encoding::U2, 2),
    (Encoding::I2, 2),
];
