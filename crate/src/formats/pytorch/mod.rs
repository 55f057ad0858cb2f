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
