//! An opened model: its description, its arrays, its tensors' values and its tokenizer.

use std::{
    cell::{OnceCell, RefCell},
    ops::Range,
    rc::Rc,
};

use crate::{
    fault::{Fault, Result},
    formats::{self, ArrayItems, Opened, TokenizerKind},
    model::{FormatId, ModelFile, Note, Place, TensorEntry},
    source::{Limits, SourceFile, SourceSet},
    tensor::{EncodingSpec, Histogram, Stats},
    tokenizer::Vocabulary,
    verdict,
};

use super::{FileBytes, Progress, Support, chunked::ChunkedValues, vocabulary};

/// Bytes of tensor data fetched at a time.
const CHUNK: u64 = 4 << 20;
/// The most values that one answer holds.
const MAX_VALUES: u64 = 1 << 20;
/// Bytes of a strided view that are read at once.
const GATHERED: u64 = 256 << 20;
/// Bins of the histogram.
const BINS: usize = 64;

/// An opened model; nothing but its headers has been read.
pub struct Inspection {
    files: SourceSet,
    model: ModelFile,
    tokenizers: Vec<(TokenizerKind, String)>,
    vocabulary: RefCell<Option<Result<Rc<Vocabulary>>>>,
    pub(super) findings: OnceCell<Vec<Note>>,
}

/// Decoded rows of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Peek {
    /// Index into `ModelFile::tensors`.
    pub tensor: usize,
    /// The rows decoded.
    pub rows: Range<u64>,
    /// Their values, one after the other.
    pub values: Vec<f32>,
    /// Bytes of the first block shown.
    pub block: Vec<u8>,
    /// Over the whole tensor, where asked for.
    pub stats: Option<(Stats, Histogram)>,
}

impl Inspection {
    /// Opens the model that the files hold together, reading headers only.
    ///
    /// # Errors
    /// None of the files is a model that Glassbox reads, or a header cannot be read at all.
    pub async fn open(files: SourceSet) -> Result<Self> {
        let Opened { model, tokenizers } = formats::open_all(&files, &Limits::default()).await?;
        Ok(Self { files, model, tokenizers, vocabulary: RefCell::new(None), findings: OnceCell::new() })
    }
    /// The description.
    pub fn model(&self) -> &ModelFile {
        &self.model
    }
    /// Whether the engine runs the model.
    ///
    /// # Errors
    /// Why not: a tokenizer alone, weights that are not here, or what [`super::support`] says.
    pub fn support(&self) -> Result<Support> {
        let model = &self.model;
        if model.format == FormatId::Tokenizer {
            return Err(Fault::unsupported("a tokenizer alone: it splits text, and has no weights to run"));
        }
        if !model.awaited.is_empty() || verdict::description(model) {
            let what = verdict::missing(model).unwrap_or_else(|| "files of the weights are missing".into());
            return Err(Fault::unsupported(what));
        }
        super::support(model)
    }
    /// The files given.
    pub fn files(&self) -> &SourceSet {
        &self.files
    }
    /// Bytes of one of the files as they are; at most 1 MiB.
    ///
    /// # Errors
    /// No such file, or it cannot be read there.
    pub async fn bytes(&self, file: &str, at: Range<u64>) -> Result<FileBytes> {
        super::file_bytes(&self.files, Some(file), at).await
    }
    /// Files that the model names and that were not given, or could not be read.
    pub fn missing_files(&self) -> Vec<String> {
        formats::missing_files(&self.model)
    }
    /// Items of a metadata array.
    ///
    /// # Errors
    /// No such array, or its file cannot be read.
    pub async fn array(&self, key: &str, range: Range<u64>) -> Result<ArrayItems> {
        vocabulary::array_items(&self.files, &self.model, key, range).await
    }
    /// The model's tokenizer, made once: from its own metadata, else from a `tokenizer.json` beside it.
    ///
    /// # Errors
    /// There is none, or it is of a kind that is not known.
    pub async fn vocabulary(&self) -> Result<Rc<Vocabulary>> {
        if let Some(known) = &*self.vocabulary.borrow() {
            return known.clone();
        }
        let made = vocabulary::of_model(&self.files, &self.model, &self.tokenizers).await.map(Rc::new);
        *self.vocabulary.borrow_mut() = Some(made.clone());
        made
    }
    /// The file beside the model's weights that its tokenizer would be read from.
    pub fn tokenizer_file(&self) -> Option<&str> {
        vocabulary::file_beside(&self.tokenizers)
    }
    /// Files that hold a tokenizer, by their kinds and names.
    pub(super) fn tokenizers(&self) -> &[(TokenizerKind, String)] {
        &self.tokenizers
    }
    /// Length of the tokenizer next to the model; `None` where there is none that can be loaded, or where the model's own
    /// header states it (GGUF). It loads the tokenizer, which the page's reader module does not hold.
    pub async fn tokens(&self) -> Option<u64> {
        let listed = self.model.metadata.get("tokenizer.ggml.tokens").is_some();
        let beside = !listed && self.tokenizer_file().is_some();
        if beside { self.vocabulary().await.ok().map(|v| v.len() as u64) } else { None }
    }
    /// The index of a tensor by name.
    ///
    /// # Errors
    /// There is none; the fault names the most similar ones.
    pub fn tensor_index(&self, name: &str) -> Result<usize> {
        self.model.tensors.iter().position(|t| t.name == name).ok_or_else(|| {
            let near: Vec<&str> =
                self.model.tensors.iter().map(|t| t.name.as_str()).filter(|n| n.contains(name)).take(5).collect();
            let hint = if near.is_empty() {
                "`glassbox inspect --tensors` lists them".into()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            Fault::caller(format!("no tensor is named \"{name}\"; {hint}"))
        })
    }
    /// Decodes rows of a tensor; with `stats`, reads the whole tensor in pieces.
    ///
    /// # Errors
    /// The tensor's bytes are not here, its encoding has no decoder, or the rows do not exist.
    pub async fn peek(
        &self,
        tensor: usize,
        rows: Range<u64>,
        stats: bool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Peek> {
        let data = TensorData::of(self, tensor)?;
        let rows = rows.start.min(data.rows)..rows.end.min(data.rows);
        let wanted = rows.end.saturating_sub(rows.start).saturating_mul(data.row_len);
        if wanted > MAX_VALUES {
            return Err(Fault::limit(format!(
                "{wanted} values requested; at most {MAX_VALUES} are shown at a time: ask for fewer rows"
            )));
        }
        let first = rows.start * data.row_len;
        let block_len = u64::from(data.spec.block_len);
        let values = data.values(first..first + wanted).await?;
        let block = data.blocks(first / block_len..(first / block_len + 1).min(data.block_count())).await?;
        let stats = if stats { Some(data.stats(on_progress).await?) } else { None };
        Ok(Peek { tensor, rows, values, block, stats })
    }
}

/// A tensor's bytes in an open file, with everything checked that decoding needs.
pub(super) struct TensorData<'a> {
    pub(super) entry: &'a TensorEntry,
    file: &'a SourceFile,
    at: Range<u64>,
    pub(super) spec: &'static EncodingSpec,
    pub(super) elements: u64,
    rows: u64,
    row_len: u64,
    /// Elements from one index to the next, where the values do not lie one behind the other.
    strides: Option<Vec<u64>>,
    /// Where the values lie in chunks.
    chunked: Option<ChunkedValues<'a>>,
    big_endian: bool,
}

impl<'a> TensorData<'a> {
    pub(super) fn of(inspection: &'a Inspection, tensor: usize) -> Result<Self> {
        let model = &inspection.model;
        let entry =
            model.tensors.get(tensor).ok_or_else(|| Fault::caller(format!("there is no tensor number {tensor}")))?;
        let name = &entry.name;
        let (mut strides, mut packed) = (None, None);
        let (file, at) = match &entry.place {
            Place::Here { file, at } => (*file, at.clone()),
            Place::Strided { file, at, strides: steps } => {
                strides = Some(steps.clone());
                (*file, at.clone())
            }
            Place::Chunked { file, at, chunks } => {
                packed = Some(chunks);
                (*file, at.clone())
            }
            Place::Missing { file, at } if model.files.iter().any(|f| f.name == *file) => {
                let what = format!("the values of {name} lie beyond the end of the file, which is incomplete");
                return Err(Fault::file(at.start, what).in_file(file));
            }
            Place::Missing { file, .. } => {
                return Err(Fault::source(format!("the values of {name} are in {file}, which was not given")));
            }
            Place::Inline => {
                return Err(Fault::unsupported(format!(
                    "the values of {name} are not stored as plain bytes (spelt as numbers, packed or escaped); they are listed but not decoded"
                )));
            }
            Place::Absent => return Err(Fault::file(0, format!("{name} names no bytes")).in_file(&model.files[0].name)),
        };
        let summary = model.files.get(file).ok_or_else(|| Fault::bug("a tensor's place names no file"))?;
        let source =
            inspection.files.find(&summary.name).ok_or_else(|| Fault::bug("a file of the model is not open"))?;
        let spec = entry.encoding.spec().filter(|s| s.decode.is_some()).ok_or_else(|| {
            Fault::unsupported(format!("{name} is {}, which Glassbox lists but cannot decode", entry.encoding))
        })?;
        let elements = entry
            .shape
            .elements()
            .ok_or_else(|| Fault::limit(format!("{name} has more elements than 64 bits count")))?;
        let need = match (&strides, packed) {
            // The description placed first and last element; here they must only lie in the file.
            (Some(_), _) | (_, Some(_)) => Some(at.end - at.start),
            (None, None) => elements.div_ceil(u64::from(spec.block_len)).checked_mul(u64::from(spec.block_bytes)),
        };
        if need.is_none_or(|need| at.end > source.len() || at.end - at.start < need) {
            return Err(Fault::file(
                at.start,
                format!(
                    "{name} needs {} bytes, the file holds {}",
                    need.unwrap_or(u64::MAX),
                    source.len().saturating_sub(at.start).min(at.end - at.start)
                ),
            )
            .in_file(&summary.name));
        }
        let row_len = entry.shape.row_len().max(1);
        Ok(Self {
            entry,
            file: source,
            at,
            spec,
            elements,
            rows: elements / row_len,
            row_len,
            strides,
            chunked: packed.map(|chunks| ChunkedValues::new(source, chunks, &entry.shape.0)),
            big_endian: model.big_endian(),
        })
    }
    pub(super) fn block_count(&self) -> u64 {
        self.elements.div_ceil(u64::from(self.spec.block_len))
    }
    /// The bytes of whole blocks, in little-endian order.
    pub(super) async fn blocks(&self, blocks: Range<u64>) -> Result<Vec<u8>> {
        let size = u64::from(self.spec.block_bytes);
        let mut bytes = match (&self.strides, &self.chunked) {
            // They come out in little-endian order.
            (_, Some(chunked)) => return chunked.elements(blocks).await,
            (Some(strides), None) => self.gathered(strides, blocks, size).await?,
            (None, None) => {
                let from = self.at.start + blocks.start * size;
                self.file.read(from..self.at.start + blocks.end * size).await?
            }
        };
        if self.big_endian {
            crate::tensor::swap_to_little(self.entry.encoding, &mut bytes);
        }
        Ok(bytes)
    }
    /// The bytes of elements of a strided view, in row-major order.
    async fn gathered(&self, strides: &[u64], elements: Range<u64>, size: u64) -> Result<Vec<u8>> {
        let dims = &self.entry.shape.0;
        let place = |index: u64| {
            let mut rest = index;
            dims.iter().zip(strides).rev().fold(0u64, |at, (d, stride)| {
                let i = rest % d.max(&1);
                rest /= d.max(&1);
                at.saturating_add(i.saturating_mul(*stride))
            })
        };
        let (Some(low), Some(high)) = (elements.clone().map(place).min(), elements.clone().map(place).max()) else {
            return Ok(Vec::new());
        };
        let (from, to) = (low.saturating_mul(size), high.saturating_add(1).saturating_mul(size));
        if to > self.at.end - self.at.start || to - from > GATHERED {
            let what = format!(
                "the requested values are spread over {} bytes; at most {GATHERED} are read at once",
                to - from
            );
            return Err(Fault::limit(what).at(self.at.start));
        }
        let run = self.file.read(self.at.start + from..self.at.start + to).await?;
        let one = size as usize;
        Ok(elements
            .flat_map(|i| run.get((place(i) - low) as usize * one..).and_then(|r| r.get(..one)).unwrap_or(&[]).to_vec())
            .collect())
    }
    async fn decoded(&self, blocks: Range<u64>) -> Result<Vec<f32>> {
        let decode = self.spec.decode.ok_or_else(|| Fault::bug("decoder checked before"))?;
        let bytes = self.blocks(blocks.clone()).await?;
        let mut out = vec![0.0; ((blocks.end - blocks.start) * u64::from(self.spec.block_len)) as usize];
        decode(&bytes, &mut out);
        Ok(out)
    }
    pub(super) async fn values(&self, elements: Range<u64>) -> Result<Vec<f32>> {
        let len = u64::from(self.spec.block_len);
        let blocks = elements.start / len..elements.end.div_ceil(len);
        let mut values = self.decoded(blocks.clone()).await?;
        values.truncate((elements.end - blocks.start * len) as usize);
        values.drain(..(elements.start - blocks.start * len) as usize);
        Ok(values)
    }
    /// Two passes over the bytes: extremes first, then bins between them.
    async fn stats(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<(Stats, Histogram)> {
        let step = (CHUNK / u64::from(self.spec.block_bytes)).max(1) * u64::from(self.spec.block_len);
        let total = self.elements.saturating_mul(2);
        let mut progress = |done| on_progress(Progress { what: "Reading values", done, total });
        let mut stats = Stats::default();
        for start in (0..self.elements).step_by(step as usize) {
            stats.add(&self.values(start..(start + step).min(self.elements)).await?);
            progress((start + step).min(self.elements));
        }
        let mut histogram = Histogram::new(stats.min, stats.max, BINS);
        for start in (0..self.elements).step_by(step as usize) {
            histogram.add(&self.values(start..(start + step).min(self.elements)).await?);
            progress(self.elements + (start + step).min(self.elements));
        }
        Ok((stats, histogram))
    }
}
