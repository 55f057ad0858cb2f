//! What the checks need beyond the headers: side files, filler bytes, samples of values. All of it is bounded.

use serde_json::Value;

use crate::{
    fault::{Fault, Result},
    model::{FormatId, ModelFile, Place, SectionKind},
    source::{SourceFile, SourceSet},
    tensor::Encoding,
};

/// Files beside the weights that are read whole.
const SIDES: &[&str] = &[
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "adapter_config.json",
];
/// The longest of them that is read.
const SIDE_MOST: u64 = 16 << 20;
/// Bytes read of one filler, from its start.
const FILLER_BYTES: u64 = 4 << 10;
/// Fillers read, at most: the largest come first.
const FILLERS_MOST: usize = 256;
/// Bytes read at the end of each file of weights.
const TAIL_BYTES: u64 = 4 << 10;
/// Tensors of which values are read, at most.
const SAMPLED_MOST: usize = 512;
/// Bytes read of one tensor: small ones wholly, others in three places.
const SAMPLE_BYTES: u64 = 16 << 10;

/// A JSON file beside the weights.
pub(super) struct SideFile {
    /// Index into `ModelFile::files`.
    pub(super) file: usize,
    /// Its name without folders.
    pub(super) name: String,
    /// Null where it could not be read.
    pub(super) json: Value,
    /// Why not.
    pub(super) broken: Option<(u64, String)>,
    text: Vec<u8>,
}

impl SideFile {
    /// Where a key of the outermost object stands, as a note's place; the first of its name is taken.
    pub(super) fn place(&self, key: &str) -> Option<(usize, u64)> {
        let quoted = format!("\"{key}\"");
        self.text.windows(quoted.len()).position(|w| w == quoted.as_bytes()).map(|at| (self.file, at as u64))
    }
}

/// The beginning of bytes that no tensor names.
pub(super) struct Filler {
    /// Index into `ModelFile::files`.
    pub(super) file: usize,
    pub(super) at: u64,
    /// Length of the whole filler.
    pub(super) len: u64,
    pub(super) kind: SectionKind,
    pub(super) bytes: Vec<u8>,
}

/// The end of a file of weights.
pub(super) struct Tail {
    pub(super) file: usize,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// Values of one tensor at some places.
pub(super) struct Sample {
    pub(super) tensor: usize,
    /// Byte offset in its file, and the bytes there: whole blocks.
    pub(super) pieces: Vec<(u64, Vec<u8>)>,
    /// The pieces are all of it.
    pub(super) whole: bool,
}

/// What was read for the checks; the default holds nothing, and checks that need it find nothing.
#[derive(Default)]
pub struct Evidence {
    pub(super) tokens: Option<u64>,
    pub(super) sides: Vec<SideFile>,
    pub(super) fillers: Vec<Filler>,
    pub(super) tails: Vec<Tail>,
    pub(super) samples: Vec<Sample>,
    /// Bytes read for it.
    pub bytes: u64,
    /// What was looked at, in sentences.
    pub looked_at: Vec<String>,
}

impl Evidence {
    /// The side file of this name.
    pub(super) fn side(&self, name: &str) -> Option<&SideFile> {
        self.sides.iter().find(|s| s.name == name && s.broken.is_none())
    }
    pub(super) async fn gather(files: &SourceSet, model: &ModelFile, tokens: Option<u64>) -> Result<Self> {
        let before = files.bytes_read();
        let mut evidence = Self { tokens, ..Self::default() };
        evidence.read_sides(files, model).await?;
        evidence.read_fillers(files, model).await?;
        evidence.read_samples(files, model).await?;
        evidence.bytes = files.bytes_read() - before;
        Ok(evidence)
    }
    async fn read_sides(&mut self, files: &SourceSet, model: &ModelFile) -> Result<()> {
        let home = model.files.first().map_or("", |f| folder(&f.name));
        for (number, file) in model.files.iter().enumerate() {
            let name = file.name.rsplit('/').next().unwrap_or_default();
            if !SIDES.contains(&name) || folder(&file.name) != home {
                continue;
            }
            let mut side =
                SideFile { file: number, name: name.into(), json: Value::Null, broken: None, text: Vec::new() };
            if file.bytes > SIDE_MOST {
                side.broken = Some((0, format!("{} bytes; at most {SIDE_MOST} are read", file.bytes)));
            } else {
                side.text = source(files, model, number)?.read(0..file.bytes).await?;
                match serde_json::from_slice(&side.text) {
                    Ok(json) => side.json = json,
                    Err(e) => side.broken = Some((byte_of(&side.text, e.line(), e.column()), e.to_string())),
                }
            }
            self.sides.push(side);
        }
        if !self.sides.is_empty() {
            let names: Vec<&str> = self.sides.iter().map(|s| s.name.as_str()).collect();
            self.looked_at.push(format!("{}, whole", names.join(", ")));
        }
        Ok(())
    }
    /// Padding, gaps and trailing bytes, and the ends of the files.
    async fn read_fillers(&mut self, files: &SourceSet, model: &ModelFile) -> Result<()> {
        let mut wanted: Vec<(usize, u64, u64, SectionKind)> = model
            .sections
            .iter()
            .filter(|s| matches!(s.kind, SectionKind::Padding | SectionKind::Gap | SectionKind::Trailing))
            // A file that is nothing but a gap is another file of the folder, not part of the model.
            .filter(|s| model.files.get(s.file).is_some_and(|f| s.at != (0..f.bytes)))
            .map(|s| (s.file, s.at.start, s.at.end - s.at.start, s.kind))
            .collect();
        crate::order::sort_by_key(&mut wanted, |(_, _, len, _)| std::cmp::Reverse(*len));
        let (all, most) = (wanted.len(), FILLERS_MOST.min(wanted.len()));
        for (file, at, len, kind) in wanted.into_iter().take(most) {
            let bytes = source(files, model, file)?.read(at..at + len.min(FILLER_BYTES)).await?;
            self.fillers.push(Filler { file, at, len, kind, bytes });
        }
        if all > 0 {
            self.looked_at
                .push(format!("{most} of {all} runs of padding and unnamed bytes, up to {FILLER_BYTES} bytes of each"));
        }
        // Containers that are zip archives end as zip archives do.
        let zip = matches!(model.format, FormatId::PyTorch | FormatId::Numpy | FormatId::Keras | FormatId::Pickle);
        let mut weights = vec![false; model.files.len()];
        for tensor in &model.tensors {
            if let Place::Here { file, .. } = &tensor.place
                && let Some(holds) = weights.get_mut(*file)
            {
                *holds = true;
            }
        }
        for (number, file) in model.files.iter().enumerate() {
            if zip || number > 0 && !weights[number] {
                continue;
            }
            let at = file.bytes.saturating_sub(TAIL_BYTES);
            let bytes = source(files, model, number)?.read(at..file.bytes).await?;
            self.tails.push(Tail { file: number, at, bytes });
        }
        Ok(())
    }
    async fn read_samples(&mut self, files: &SourceSet, model: &ModelFile) -> Result<()> {
        let candidates: Vec<usize> = (0..model.tensors.len()).filter(|i| sampled(model, *i).is_some()).collect();
        // Of many, every k-th, so that all depths of the model are seen.
        let step = candidates.len().div_ceil(SAMPLED_MOST).max(1);
        let (mut values, mut whole) = (0u64, 0u64);
        for tensor in candidates.iter().copied().step_by(step) {
            let Some((file, places, block, all)) = sampled(model, tensor) else { continue };
            let mut pieces = Vec::new();
            for at in places {
                values += (at.end - at.start) / u64::from(block.1) * u64::from(block.0);
                let mut bytes = source(files, model, file)?.read(at.clone()).await?;
                if model.big_endian() {
                    crate::tensor::swap_to_little(model.tensors[tensor].encoding, &mut bytes);
                }
                pieces.push((at.start, bytes));
            }
            whole += u64::from(all);
            self.samples.push(Sample { tensor, pieces, whole: all });
        }
        if !candidates.is_empty() {
            let (n, all) = (self.samples.len(), model.tensors.len());
            self.looked_at.push(format!("{values} values of {n} of {all} tensors, {whole} of them wholly"));
        }
        Ok(())
    }
}

/// Where to read of a tensor of real numbers: its file, the byte ranges, elements and bytes of a block, and whether that is all.
type Places = (usize, Vec<std::ops::Range<u64>>, (u32, u32), bool);

fn sampled(model: &ModelFile, tensor: usize) -> Option<Places> {
    let entry = model.tensors.get(tensor)?;
    let Place::Here { file, at } = &entry.place else { return None };
    let integers = entry.encoding.is_integer() || matches!(entry.encoding, Encoding::Bool | Encoding::String);
    let spec = entry.encoding.spec().filter(|s| s.decode.is_some() && !integers)?;
    let (len, block) = (at.end.checked_sub(at.start)?, u64::from(spec.block_bytes));
    let size = (spec.block_len, spec.block_bytes);
    if len == 0 || len % block != 0 {
        return None;
    }
    if len <= SAMPLE_BYTES {
        return Some((*file, vec![at.clone()], size, true));
    }
    let piece = (SAMPLE_BYTES / 3 / block).max(1) * block;
    let middle = at.start + len / 2 / block * block;
    let places = [at.start, middle.min(at.end - piece), at.end - piece];
    Some((*file, places.iter().map(|from| *from..from + piece).collect(), size, false))
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn source<'a>(files: &'a SourceSet, model: &ModelFile, number: usize) -> Result<&'a SourceFile> {
    let name = model.files.get(number).map_or("", |f| f.name.as_str());
    files.find(name).ok_or_else(|| Fault::bug("a file of the model is not open").in_file(name))
}

/// The byte of a line and column, both counted from 1.
fn byte_of(text: &[u8], line: usize, column: usize) -> u64 {
    let start: usize = text.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(text.len()) as u64
}
