//! PyTorch (`torch/serialization.py`, `torch/_utils.py`, `caffe2/serialize/inline_container.cc`): zip archives since
//! 1.6, TorchScript among them; the stream of pickles before, the tar archive before that; and Python pickles by themselves.
//!
//! A pickle is read as data ([`super::codec::pickle`]): tensors are what the calls of a short list say, everything
//! else is shown as a tree of values, and what would import or call is named ([`super::xray`]).

mod archive;
mod objects;
mod plain;
mod stream;
mod tar;

pub(super) use plain::Pickle;

use super::{Format, Match, Reader, codec::zip};
use crate::{
    model::{FormatId, ModelFile},
    source::{Limits, Stop, Window},
    tensor::Encoding,
};

/// The number that starts the stream of 0.1.10 to 1.5, as Python 2 to 3.x pickle it.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

pub(super) struct PyTorch;

impl Format for PyTorch {
    fn id(&self) -> FormatId {
        FormatId::PyTorch
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        let named = [".pt", ".pth", ".ckpt"].iter().any(|end| name.ends_with(end));
        if legacy(head) || zip::starts(head) || tar::starts(head) {
            Match::ByContent
        } else if named {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::new(TorchReader(None))
    }
}

fn legacy(head: &[u8]) -> bool {
    head.first() == Some(&0x80) && head.get(2..2 + MAGIC.len()) == Some(MAGIC)
}

/// Which container it is shows in the first bytes.
struct TorchReader(Option<Kind>);

enum Kind {
    Archive(Box<archive::Archive>),
    Stream(Box<stream::Legacy>),
    Tar(Box<tar::Tar>),
    Plain(Box<plain::Plain>),
}

impl Reader for TorchReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let kind = match &mut self.0 {
            Some(kind) => kind,
            None => {
                let head = file.bytes(0..file.len().min(512))?;
                self.0.insert(if zip::starts(head) {
                    Kind::Archive(Box::default())
                } else if legacy(head) {
                    Kind::Stream(Box::new(stream::Legacy::new(file.len())))
                } else if tar::starts(head) {
                    Kind::Tar(Box::default())
                } else {
                    Kind::Plain(Box::new(plain::Plain::new(FormatId::PyTorch, file.len())))
                })
            }
        };
        match kind {
            Kind::Archive(archive) => archive.advance(file, limits),
            Kind::Stream(stream) => stream.advance(file),
            Kind::Tar(tar) => tar.advance(file, limits),
            Kind::Plain(plain) => plain.advance(file),
        }
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        match self.0 {
            Some(Kind::Archive(archive)) => archive.finish(file),
            Some(Kind::Stream(stream)) => stream.finish(file),
            Some(Kind::Tar(tar)) => tar.finish(file),
            Some(Kind::Plain(plain)) => plain.finish(file),
            None => plain::Plain::new(FormatId::PyTorch, file.len()).finish(file),
        }
    }
}

/// The encoding of a storage class.
fn storage_type(class: &str) -> Option<Encoding> {
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
pub(super) fn dtype(name: &str) -> Option<Encoding> {
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
pub(super) fn rebuilds(name: &str) -> bool {
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
