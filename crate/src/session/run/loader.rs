//! Weights from the files to the device, in pieces of whole rows.

use std::{ops::Range, rc::Rc};

use crate::{
    engine::{
        device::Device,
        program::{Program, WeightLoad},
    },
    fault::{Fault, Result},
    ir::{Graph, Source, Stored, Weight},
    model::{Place, TensorEntry},
    source::SourceFile,
    tensor::{Encoding, swap_to_little},
};

use crate::session::{Inspection, Progress};

mod packed;
mod turned;

use turned::Target;

pub use packed::unpacked_rows;
pub(super) use packed::{PackedWeights, survey};

/// Bytes in memory at a time, beyond what the device holds.
const PIECE: u64 = 4 << 20;
/// Values of a vector that are read at a time where not all between them are wanted.
const VECTOR_MOST: u32 = 1 << 20;
/// The largest matrix that is transposed at load: it is in memory as a whole meanwhile. GPT-2's largest has 41 MB.
const TRANSPOSED_MOST: u64 = 512 << 20;

/// The model, and behind it the adapters that are computed beside it: their tensors are counted one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) model: &'a Inspection,
    pub(super) adapters: &'a [Rc<Inspection>],
    pub(super) packed: &'a PackedWeights,
}

impl<'a> Files<'a> {
    /// The file that has a tensor, and its number there.
    fn find(self, tensor: usize) -> Result<(&'a Inspection, usize)> {
        let mut at = tensor;
        for inspection in std::iter::once(self.model).chain(self.adapters.iter().map(Rc::as_ref)) {
            let own = inspection.model().tensors.len();
            if at < own {
                return Ok((inspection, at));
            }
            at -= own;
        }
        Err(Fault::bug(format!("no tensor {tensor}")))
    }
}

/// Streams every weight of `program` into `device`.
///
/// # Errors
/// A tensor is not here or cannot be read; the device refuses.
pub(super) async fn load_weights(
    files: Files<'_>,
    graph: &Graph,
    program: &Program,
    device: &mut dyn Device,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let total = program.loads.iter().map(|l| bytes_of(graph, l)).sum();
    let mut progress = |done| on_progress(Progress { what: "Loading weights", done, total });
    let mut done = 0;
    progress(done);
    for load in &program.loads {
        let weight = &graph.weights[load.weight.0 as usize];
        if weight.encoding().is_some() {
            matrix(files, weight, load, device, &mut |bytes| {
                done += bytes;
                progress(done);
            })
            .await?;
        } else {
            let values = vector(files, weight).await?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            device.upload(load.buffer, 0, &bytes)?;
            done += bytes_of(graph, load);
            progress(done);
        }
    }
    Ok(())
}

/// Bytes of a load on the device, as uploaded.
fn bytes_of(graph: &Graph, load: &WeightLoad) -> u64 {
    let weight = &graph.weights[load.weight.0 as usize];
    let row_len = u64::from(weight.fact.width().unwrap_or(0));
    let encoding = weight.encoding().unwrap_or(Encoding::F32);
    u64::from(load.rows) * encoding.bytes(row_len, row_len).unwrap_or(0)
}

/// A tensor in an open file.
struct Tensor<'a> {
    entry: &'a TensorEntry,
    file: &'a SourceFile,
    at: Range<u64>,
    big_endian: bool,
}

impl<'a> Tensor<'a> {
    fn of(files: Files<'a>, tensor: usize) -> Result<Self> {
        let (inspection, tensor) = files.find(tensor)?;
        let model = inspection.model();
        let entry = model.tensors.get(tensor).ok_or_else(|| Fault::bug(format!("no tensor {tensor}")))?;
        let Place::Here { file, at } = &entry.place else {
            return Err(Fault::source(format!("the values of {} are not in the files given", entry.name)));
        };
        let file = inspection.files().find(&model.files[*file].name);
        let file = file.ok_or_else(|| Fault::bug("a file of the model is not open"))?;
        Ok(Self { entry, file, at: at.clone(), big_endian: model.big_endian() })
    }
    /// Bytes of a row as the file holds it.
    fn row_bytes(&self) -> Result<u64> {
        let row_len = self.entry.shape.row_len();
        self.entry.encoding.bytes(row_len, row_len).filter(|n| *n > 0).ok_or_else(|| {
            let (name, encoding) = (&self.entry.name, self.entry.encoding);
            Fault::unsupported(format!("rows of {name} are not whole blocks of {encoding}"))
        })
    }
    /// Bytes `range` of the tensor, little-endian.
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let (from, to) = (self.at.start + range.start, self.at.start + range.end);
        if to > self.at.end {
            let (name, end) = (&self.entry.name, self.at.end - self.at.start);
            return Err(Fault::bug(format!("bytes {range:?} of {name}, which has {end}")));
        }
        let mut bytes = self.file.read(from..to).await?;
        if self.big_endian {
            swap_to_little(self.entry.encoding, &mut bytes);
        }
        Ok(bytes)
    }
}

/// The part of a source that lies in rows `wanted` of the weight, as runs of tensor rows that lie together.
fn runs(source: &Source, wanted: Range<u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    let mut at = wanted.start;
    while at < wanted.end {
        let (run, within) = (at / source.run, at % source.run);
        let from = source.first + run * source.step + within;
        let n = (source.run - within).min(wanted.end - at);
        match runs.last_mut() {
            Some(last) if last.end == from => last.end += n,
            _ => runs.push(from..from + n),
        }
        at += n;
    }
    runs
}

/// Streams rows of a matrix into its buffer.
async fn matrix(
    files: Files<'_>,
    weight: &Weight,
    load: &WeightLoad,
    device: &mut dyn Device,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    // Rows of the weight that come before the source at hand.
    let mut before = 0;
    let wanted = load.first_row..load.first_row + load.rows;
    for source in &weight.sources {
        let count = source.count();
        let from = wanted.start.max(before) - before;
        let to = wanted.end.min(before + count).saturating_sub(before);
        if from < to {
            let to_row = load.to_row + before + from - load.first_row;
            match source.stored {
                Stored::ByOutput => by_output(files, source, from..to, load, to_row, device, on_bytes).await?,
                Stored::ByInput => by_input(files, source, from..to, load, to_row, device, on_bytes).await?,
                Stored::Stacked(stack) => {
                    let target = Target { load, to_row, device: &mut *device, on_bytes: &mut *on_bytes };
                    turned::stacked(files, source, &stack, from..to, target).await?;
                }
                Stored::Packed => {
                    let target = Target { load, to_row, device: &mut *device, on_bytes: &mut *on_bytes };
                    packed::rows(files, weight, source, from..to, target).await?;
                }
                Stored::Mxfp4 { scales } => {
                    turned::mxfp4(
                        files,
                        source,
                        scales,
                        from..to,
                        Target { load, to_row, device: &mut *device, on_bytes: &mut *on_bytes },
                    )
                    .await?;
                }
            }
        }
        before += count;
    }
    Ok(())
}

async fn by_output(
    files: Files<'_>,
    source: &Source,
    wanted: Range<u32>,
    load: &WeightLoad,
    mut to_row: u32,
    device: &mut dyn Device,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let tensor = Tensor::of(files, source.tensor)?;
    let row = tensor.row_bytes()?;
    let rows_per_piece = u32::try_from((PIECE / row).max(1)).unwrap_or(u32::MAX);
    for group in together(&runs(source, wanted), rows_per_piece) {
        for first in group.span.clone().step_by(rows_per_piece as usize) {
            let end = group.span.end.min(first.saturating_add(rows_per_piece));
            let bytes = tensor.read(u64::from(first) * row..u64::from(end) * row).await?;
            let bytes = group.picked(first..end, row as usize, bytes);
            device.upload(load.buffer, to_row, &bytes)?;
            to_row += (bytes.len() as u64 / row) as u32;
            on_bytes(bytes.len() as u64);
        }
    }
    Ok(())
}

/// Runs of rows that are read together, though rows between them are not wanted.
#[derive(Debug, PartialEq)]
struct Group {
    /// From the first to the last.
    span: Range<u32>,
    /// What is wanted of it.
    runs: Vec<Range<u32>>,
}

impl Group {
    /// The wanted rows among those of a range that was read, of `row` bytes each.
    fn picked(&self, read: Range<u32>, row: usize, bytes: Vec<u8>) -> Vec<u8> {
        if self.runs.len() == 1 {
            return bytes;
        }
        let mut picked = Vec::with_capacity(bytes.len() / 2);
        for run in &self.runs {
            let (from, to) = (run.start.max(read.start), run.end.min(read.end));
            if from < to {
                let at = |r: u32| (r - read.start) as usize * row;
                picked.extend_from_slice(&bytes[at(from)..at(to)]);
            }
        }
        picked
    }
}

/// Gathers short runs that lie close to each other, up to `most` rows from first to last.
fn together(runs: &[Range<u32>], most: u32) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        match groups.last_mut() {
            Some(last)
                if run.start >= last.span.end
                    && run.end - last.span.start <= most
                    && run.start - last.span.end <= 2 * run.len() as u32 =>
            {
                last.span.end = run.end;
                last.runs.push(run.clone());
            }
            _ => groups.push(Group { span: run.clone(), runs: vec![run.clone()] }),
        }
    }
    groups
}

/// A matrix stored `[inputs, outputs]`: its columns become rows.
async fn by_input(
    files: Files<'_>,
    source: &Source,
    wanted: Range<u32>,
    load: &WeightLoad,
    mut to_row: u32,
    device: &mut dyn Device,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let tensor = Tensor::of(files, source.tensor)?;
    let (name, encoding) = (&tensor.entry.name, tensor.entry.encoding);
    let element = encoding.spec().filter(|s| s.block_len == 1).map(|s| s.block_bytes as usize);
    let element = element.ok_or_else(|| {
        Fault::unsupported(format!("{name} is stored transposed and in {encoding}, whose blocks cannot be transposed"))
    })?;
    let row = tensor.row_bytes()?;
    let inputs = tensor.entry.shape.rows().unwrap_or(0);
    let size = row.checked_mul(inputs).filter(|n| *n <= TRANSPOSED_MOST).ok_or_else(|| {
        Fault::limit(format!("{name} is stored transposed and has more than {TRANSPOSED_MOST} bytes"))
    })?;
    let bytes = tensor.read(0..size).await?;
    for run in runs(source, wanted) {
        let rows_per_piece = ((PIECE as usize / element) / (inputs as usize).max(1)).max(1);
        for first in run.clone().step_by(rows_per_piece) {
            let end = run.end.min(first + rows_per_piece as u32);
            let mut piece = Vec::with_capacity((end - first) as usize * inputs as usize * element);
            for column in first as usize..end as usize {
                for stored in bytes.chunks_exact(row as usize) {
                    piece.extend_from_slice(&stored[column * element..(column + 1) * element]);
                }
            }
            device.upload(load.buffer, to_row, &piece)?;
            to_row += end - first;
            on_bytes(piece.len() as u64);
        }
    }
    Ok(())
}

/// The values of a vector weight; its sources count values instead of rows.
pub(super) async fn vector(files: Files<'_>, weight: &Weight) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for source in &weight.sources {
        let tensor = Tensor::of(files, source.tensor)?;
        let (name, encoding) = (&tensor.entry.name, tensor.entry.encoding);
        let spec = encoding.spec().and_then(|s| Some((s.decode?, u64::from(s.block_len), u64::from(s.block_bytes))));
        let (decode, block_len, block_bytes) =
            spec.ok_or_else(|| Fault::unsupported(format!("{name} is in {encoding}, which cannot be decoded")))?;
        for group in together(&runs(source, 0..source.count()), VECTOR_MOST) {
            let span = &group.span;
            let (from, to) = (u64::from(span.start) / block_len, u64::from(span.end).div_ceil(block_len));
            let bytes = tensor.read(from * block_bytes..to * block_bytes).await?;
            let mut decoded = vec![0f32; ((to - from) * block_len) as usize];
            decode(&bytes, &mut decoded);
            for run in &group.runs {
                let skip = (u64::from(run.start) - from * block_len) as usize;
                values.extend(decoded[skip..][..run.len()].iter().map(|v| v + source.plus));
            }
        }
    }
    Ok(values)
}

/// Values of the small tensors that angles need.
pub(super) async fn factors(inspection: &Inspection, graph: &Graph) -> Result<Vec<(usize, Rc<[f32]>)>> {
    let mut factors: Vec<(usize, Rc<[f32]>)> = Vec::new();
    for tensor in graph.rotations.iter().flat_map(|r| r.tensors()) {
        if factors.iter().all(|(known, _)| *known != tensor) {
            let values = inspection.peek(tensor, 0..u64::MAX, false, &mut |_| {}).await?.values;
            factors.push((tensor, values.into()));
        }
    }
    Ok(factors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_take_turns_are_read_together_and_picked() {
        let woven = Source { run: 1, step: 2, runs: 5, ..Source::rows(0, 1, 0) };
        let groups = together(&runs(&woven, 0..5), 6);
        assert_eq!(groups.iter().map(|g| g.span.clone()).collect::<Vec<_>>(), [1..6, 7..10]);
        // Rows of two bytes: those of 1, 3 and 5 of 1 to 5.
        let bytes = (1..6u8).flat_map(|r| [r, r]).collect();
        assert_eq!(groups[0].picked(1..6, 2, bytes), [1, 1, 3, 3, 5, 5]);
        // Long runs, and runs far apart, are read one by one.
        assert_eq!(together(&[0..4, 4..8, 100..104], 6).len(), 3);
    }

    #[test]
    fn rows_woven_by_head_come_as_the_runs_that_they_are() {
        let woven = Source { run: 2, step: 6, runs: 3, ..Source::rows(0, 2, 0) };
        assert_eq!(runs(&woven, 0..6), [2..4, 8..10, 14..16]);
        assert_eq!(runs(&woven, 1..3), [3..4, 8..9]);
        assert_eq!(runs(&Source::rows(0, 5, 10), 2..7), std::iter::once(7..12).collect::<Vec<_>>());
    }
}
