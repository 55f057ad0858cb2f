//! Names by which PyTorch's pickles call its types (`torch/storage.py`, `torch/_utils.py`). They stand here because the
//! readers and the X-ray both need them.

use crate::tensor::Encoding;

/// The encoding of a storage class.
pub(in crate::formats) fn storage_type(class: &str) -> Option<Encoding> {
    Some(match class.strip_suffix("Storage")? {
        "Float" => Encoding::F32,
        "Double" => Encoding::F64,
        "Half" => Encoding::F16,
        "BFloat16" => Encoding::BF16,
        "Long" => Encoding::I64,
        "Int" | "QInt32" => Encoding::I32,
        "Short" => Encoding::I16,
        "Char" | "QInt8" => Encoding::I8,
        "Byte" | "QUInt8" => Encoding::U8,
        "Bool" => Encoding::Bool,
        "ComplexFloat" => Encoding::C64,
        "ComplexDouble" => Encoding::C128,
        "UInt16" => Encoding::U16,
        "UInt32" => Encoding::U32,
        "UInt64" => Encoding::U64,
        _ => return None,
    })
}

/// The encoding of `torch.<name>`.
pub(in crate::formats) fn dtype(name: &str) -> Option<Encoding> {
    Some(match name {
        "float32" | "float" => Encoding::F32,
        "float64" | "double" => Encoding::F64,
        "float16" | "half" => Encoding::F16,
        "bfloat16" => Encoding::BF16,
        "float8_e4m3fn" => Encoding::F8_E4M3,
        "float8_e5m2" => Encoding::F8_E5M2,
        "float8_e4m3fnuz" => Encoding::F8_E4M3FNUZ,
        "float8_e5m2fnuz" => Encoding::F8_E5M2FNUZ,
        "float8_e8m0fnu" => Encoding::F8_E8M0,
        "int64" | "long" => Encoding::I64,
        "int32" | "int" | "qint32" => Encoding::I32,
        "int16" | "short" => Encoding::I16,
        "int8" | "qint8" => Encoding::I8,
        "uint64" => Encoding::U64,
        "uint32" => Encoding::U32,
        "uint16" => Encoding::U16,
        "uint8" | "quint8" => Encoding::U8,
        "bool" => Encoding::Bool,
        "complex64" | "cfloat" => Encoding::C64,
        "complex128" | "cdouble" => Encoding::C128,
        _ => return None,
    })
}

/// The functions of `torch._utils` that only build tensors.
pub(in crate::formats) fn rebuilds(name: &str) -> bool {
    matches!(
        name,
        "_rebuild_tensor"
            | "_rebuild_tensor_v2"
            | "_rebuild_tensor_v3"
            | "_rebuild_parameter"
            | "_rebuild_parameter_with_state"
            | "_rebuild_qtensor"
            | "_rebuild_sparse_tensor"
            | "_rebuild_nested_tensor"
            | "_rebuild_meta_tensor_no_storage"
            | "_rebuild_wrapper_subclass"
            | "_rebuild_device_tensor_from_numpy"
            | "_rebuild_device_tensor_from_cpu_tensor"
    )
}
