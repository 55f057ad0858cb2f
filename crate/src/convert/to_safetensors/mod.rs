//! From any model whose tensors can be read to safetensors; from GGUF under the names that transformers knows.

mod config;
mod gguf;
mod layout;

use std::io::Write;

pub use layout::{Line, Shard};

use super::{take::Take, values::Stream};
use crate::{
    fault::{Blame, Fault, Result},
    model::{FormatId, ModelFile, TensorEntry},
    source::SourceSet,
    tensor::Encoding,
};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What weights become; without it they stay what they are, and blocks become the single-precision numbers that they hold.
    pub kind: Option<Encoding>,
    /// The most bytes of tensors in a file; without it there is one file.
    pub most: Option<u64>,
    /// These tensors alone, by their numbers in the model, under their own names.
    pub only: Option<Vec<usize>>,
}

impl Options {
    /// A type of weights by its name, in any case; `None` for "auto".
    ///
    /// # Errors
    /// There is none of this name.
    pub fn kind(name: &str) -> Result<Option<Encoding>> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "AUTO" => None,
            "F32" => Some(Encoding::F32),
            "F16" => Some(Encoding::F16),
            "BF16" => Some(Encoding::BF16),
            _ => {
                let what = format!("weights in safetensors files become auto, F32, F16 or BF16, not \"{name}\"");
                return Err(Fault::caller(what));
            }
        })
    }
}

/// A model's safetensors files, before they are written.
#[derive(Debug)]
pub struct Plan {
    /// The tensors.
    pub lines: Vec<Line>,
    /// The files with tensors.
    pub shards: Vec<Shard>,
    /// Files beside them, by name: the index of several, the configuration.
    pub beside: Vec<(String, Vec<u8>)>,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Decides for every tensor.
    ///
    /// # Errors
    /// The model has no tensors or is not whole; a tensor cannot be read, or has no place in a safetensors file.
    pub async fn of(files: &SourceSet, model: &ModelFile, options: &Options) -> Result<Self> {
        if let Some(awaited) = model.awaited.first() {
            return Err(Fault::source("a part of the model is not here").in_file(&awaited.name));
        }
        if let Some(file) = model.cuts.first().and_then(|cut| model.files.get(cut.file)) {
            let what = "the file ends before its list of tensors does";
            return Err(Fault::file(file.bytes, what).in_file(&file.name).short());
        }
        let (mut notes, mut beside) = (Vec::new(), Vec::new());
        let mut lines = match (&options.only, model.format) {
            (Some(only), _) => {
                let entry = |i: &usize| model.tensors.get(*i).ok_or_else(|| Fault::bug("a tensor beyond the model's"));
                only.iter().map(|i| plain(*i, entry(i)?, options)).collect::<Result<_>>()?
            }
            (None, FormatId::Gguf) => gguf::lines(files, model, options, &mut beside, &mut notes).await?,
            (None, _) => model.tensors.iter().enumerate().map(|(i, t)| plain(i, t, options)).collect::<Result<_>>()?,
        };
        if lines.is_empty() {
            return Err(Fault::unsupported("the model holds no tensors"));
        }
        layout::sort(&mut lines);
        if let Some(twice) = lines.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let what = format!("two tensors are named {}", twice[0].name);
            return Err(Fault::new(Blame::File, what));
        }
        let shards = layout::shards(&lines, options.most)?;
        if shards.len() > 1 {
            beside.push(("model.safetensors.index.json".to_owned(), layout::index(&lines, &shards)));
        }
        Ok(Self { lines, shards, beside, notes })
    }
}

/// A tensor under its own name.
fn plain(tensor: usize, entry: &TensorEntry, options: &Options) -> Result<Line> {
    let from = entry.encoding;
    let spec =
        from.spec().ok_or_else(|| Fault::unsupported(format!("{} is {from}, which cannot be read", entry.name)))?;
    let weight = spec.decode.is_some() && !from.is_integer() && from != Encoding::Bool;
    let to = match options.kind {
        Some(kind) if weight => kind,
        _ if spec.block_len > 1 => Encoding::F32,
        _ => from,
    };
    let row_len = entry.shape.row_len().max(1);
    let rows = entry.shape.elements().map(|n| n / row_len);
    let rows = rows.ok_or_else(|| Fault::limit(format!("{} has more elements than 64 bits count", entry.name)))?;
    layout::line(entry.name.clone(), entry.shape.clone(), to, Take::all(tensor, rows, row_len))
}

/// Writes one of the files; returns its length.
///
/// # Errors
/// A tensor cannot be read, or holds a value that its encoding cannot; the output cannot be written.
pub async fn write(
    plan: &Plan,
    shard: &Shard,
    files: &SourceSet,
    model: &ModelFile,
    out: &mut dyn Write,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let unwritten = |e: std::io::Error| Fault::source(format!("cannot be written: {e}"));
    let header = layout::header(&plan.lines, shard);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(unwritten)?;
    out.write_all(&header).map_err(unwritten)?;
    let mut done = 0u64;
    for number in &shard.lines {
        let line = plan.lines.get(*number).ok_or_else(|| Fault::bug("a line that was not planned"))?;
        let stream = Stream::of(files, model, &line.take, line.encoding, &line.name)?;
        let before = done;
        let mut write = |bytes: &[u8]| {
            done += bytes.len() as u64;
            on_progress(done, shard.bytes);
            out.write_all(bytes).map_err(unwritten)
        };
        stream.write(&mut write).await?;
        if done - before != line.bytes {
            return Err(Fault::bug(format!("{} has {} bytes, {} were written", line.name, line.bytes, done - before)));
        }
    }
    Ok(8 + header.len() as u64 + done)
}
