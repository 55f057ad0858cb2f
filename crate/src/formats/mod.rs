//! Bytes to [`ModelFile`]: one file per format, one row each in [`FORMATS`].

mod codec;
mod companions;
mod findings;
mod folder;
mod ggml;
mod gguf;
mod imatrix;
mod items;
mod keras;
mod llama2c;
mod lookalike;
mod merge;
mod numpy;
mod onnx;
mod parts;
mod pytorch;
mod safetensors;
mod sections;
mod side;
mod tensorflow;
mod tflite;
mod tokenizer_file;
mod weightless;
mod xray;
mod zipped;

pub(crate) use codec::hdf5::unfiltered as unfiltered_chunk;
#[cfg(feature = "onnx")]
pub(crate) use codec::inflate::exactly as inflated;
pub use companions::missing_files;
pub(crate) use findings::{Findings, quoted, sort as sort_notes};
pub use folder::Opened;
pub use items::{ArrayItems, read_array};
pub use parts::{Parts, parts};
pub use tokenizer_file::{TokenizerKind, tokenizer_kind};

use crate::{
    fault::Result,
    model::{FormatId, ModelFile},
    source::{Feed, Limits, SourceFile, SourceSet, Stop, Window},
};

/// How sure a format is that a file is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It is not.
    No,
    /// The name says so; the content does not contradict.
    ByName,
    /// The content says so.
    ByContent,
}

/// One container format: recognises its files and makes readers for them.
pub trait Format: Sync {
    /// Which.
    fn id(&self) -> FormatId;
    /// Is this file of this format? `head` holds its first bytes (at most 4 KiB).
    fn sniff(&self, head: &[u8], name: &str, len: u64) -> Match;
    /// A reader at the start of a file.
    fn reader(&self) -> Box<dyn Reader>;
}

/// Reads one header: synchronous, pure, fuzzable. It keeps what it has understood, so that being called again
/// after each fetch costs no second pass over what came before.
pub trait Reader {
    /// Reads on.
    ///
    /// # Errors
    /// `Need` while bytes are missing; `Bad` when nothing of the header can be shown. What cannot be read after
    /// a beginning that could is a note, not an error.
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop>;
    /// Everything before this byte will not be asked for again.
    fn position(&self) -> u64;
    /// The description, with this file as number 0; called after `advance` has returned `Ok`.
    fn finish(self: Box<Self>, file: &Window) -> ModelFile;
}

/// All readers.
///
/// In the order of asking: those whose first bytes are sure before those that are recognised by their structure.
pub static FORMATS: &[&dyn Format] = &[
    &gguf::Gguf,
    &ggml::Ggml,
    &numpy::Numpy,
    &keras::Keras,
    &pytorch::PyTorch,
    &tflite::TfLite,
    &onnx::Onnx,
    &tensorflow::TensorFlow,
    &safetensors::Safetensors,
    &llama2c::Llama2c,
    &imatrix::Imatrix,
    &pytorch::Pickle,
    &tokenizer_file::TokenizerFile,
];

/// Reads the model that the files hold together: recognises each by its content, reads headers, merges shards.
///
/// Of several unrelated models the one nearest the folder's root is opened, the largest of equals; the others are
/// noted. File names that a file states are compared with the names of the files given, never used as paths.
///
/// # Errors
/// No file is a model (the fault names what the files look like), or the model's header cannot be read.
pub async fn open(files: &SourceSet, limits: &Limits) -> Result<ModelFile> {
    Ok(folder::open(files, limits).await?.model)
}

/// As [`open`], with what else was learnt of the files.
///
/// # Errors
/// As [`open`].
pub async fn open_all(files: &SourceSet, limits: &Limits) -> Result<Opened> {
    folder::open(files, limits).await
}

/// The tokenizer's files among those given, by their first bytes and names; nothing else of them is read.
///
/// # Errors
/// The source fails.
pub async fn tokenizers(files: &SourceSet, limits: &Limits) -> Result<Vec<(TokenizerKind, String)>> {
    let mut found = Vec::new();
    for file in files.files() {
        let feed = Feed::open(file, limits).await?;
        if let Some(kind) = tokenizer_kind(feed.window().rest(0), file.name(), file.len()) {
            found.push((kind, file.name().to_owned()));
        }
    }
    Ok(found)
}

/// The format whose content test a file passes.
fn recognise(head: &[u8], name: &str, len: u64) -> Option<&'static dyn Format> {
    let sure = |format: &&&dyn Format| format.sniff(head, name, len) == Match::ByContent;
    FORMATS.iter().find(sure).copied()
}

/// Reads one file's header with its format's reader, fetching as it goes.
async fn read_header(file: &SourceFile, format: &dyn Format, mut feed: Feed<'_>, limits: &Limits) -> Result<ModelFile> {
    let mut reader = format.reader();
    loop {
        match reader.advance(feed.window(), limits) {
            Ok(()) => return Ok(reader.finish(feed.window())),
            Err(Stop::Bad(fault)) => return Err(fault.in_file(file.name())),
            Err(Stop::Need(range)) => feed.fill(range, reader.position()).await?,
        }
    }
}
