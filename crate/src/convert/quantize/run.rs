//! Carrying a plan out: values in pieces, each rounded by several threads, written in order.

use std::{io::Write, num::NonZero, thread};

use super::plan::{Options, Plan, Step};
use crate::{
    convert::{exact::exact, rows::Stored},
    fault::{Blame, Fault, Result},
    model::ModelFile,
    source::SourceSet,
    tensor::{Decode, Encode, Encoding, EncodingSpec},
};

/// Values that one thread takes at a time: whole blocks of every encoding.
const UNIT: u64 = 1 << 16;
/// Units in memory at a time: 8 million values, which with their blocks before and after take 80 MB at most.
const UNITS: u64 = 128;
/// Units of a tensor that a trial reads.
const TRIAL: u64 = 8;
/// Bytes of a tensor that is copied, at a time.
const PIECE: u64 = 8 << 20;
/// More threads than any machine has cores are a slip.
const MOST_THREADS: usize = 1024;

/// How far a tensor's values moved.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moved {
    /// Sum of the squared differences.
    squared: f64,
    /// Sum of the squares.
    squares: f64,
    /// Values that were compared.
    pub values: u64,
}

impl Moved {
    /// Root of the squared differences over the squares: 0 for none.
    pub fn relative(&self) -> f64 {
        if self.squared == 0.0 { 0.0 } else { (self.squared / self.squares).sqrt() }
    }
    fn add(&mut self, other: &Self) {
        self.squared += other.squared;
        self.squares += other.squares;
        self.values += other.values;
    }
}

/// Writes the planned file; returns its length, and how far each step moved its tensor.
///
/// # Errors
/// A tensor cannot be read, holds a value that is no number, or leaves the range of its encoding; the output cannot be written.
pub async fn write(
    plan: &Plan,
    files: &SourceSet,
    model: &ModelFile,
    options: &Options,
    out: &mut dyn Write,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<(u64, Vec<Moved>)> {
    let total = plan.steps.iter().map(|s| s.bytes.0).fold(0, u64::saturating_add);
    let (mut done, mut moved) = (0u64, Vec::with_capacity(plan.steps.len()));
    on_progress(done, total);
    let mut writer = plan.header.write(files, model, out).await?;
    for step in &plan.steps {
        let job = Job::of(files, model, step, options)?;
        let part = job.all(&mut |bytes| writer.write(bytes), &mut |part| on_progress(done + part, total)).await?;
        moved.push(part);
        done += step.bytes.0;
        writer.end()?;
    }
    Ok((writer.finish()?, moved))
}

/// Rounds some values of each tensor and writes nothing: how far each step would move its tensor.
///
/// # Errors
/// As [`write`], for the values that it reads.
pub async fn trial(
    plan: &Plan,
    files: &SourceSet,
    model: &ModelFile,
    options: &Options,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Moved>> {
    let total = plan.steps.len() as u64;
    let mut moved = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        on_progress(moved.len() as u64, total);
        moved.push(Job::of(files, model, step, options)?.some().await?);
    }
    Ok(moved)
}

/// One step on its tensor.
struct Job<'a> {
    stored: Stored<'a>,
    /// `None` for a tensor of an encoding that is not known: it is copied unseen.
    rounder: Option<Rounder<'a>>,
    threads: usize,
}

impl<'a> Job<'a> {
    fn of(files: &'a SourceSet, model: &'a ModelFile, step: &Step, options: &Options) -> Result<Self> {
        let entry = model.tensors.get(step.tensor).ok_or_else(|| Fault::bug("a step for no tensor"))?;
        let known = |e: Encoding| e.spec().and_then(|s| Some((s, s.decode?)));
        let change = if step.to == step.from {
            None
        } else {
            let (to, back) = known(step.to).ok_or_else(|| Fault::bug(format!("{} has no decoder", step.to)))?;
            let encode = exact(step.to).ok_or_else(|| Fault::bug(format!("{} has no encoder", step.to)))?;
            Some((to, encode, back))
        };
        let elements = entry.shape.elements().unwrap_or(0);
        let (name, row_len) = (entry.name.as_str(), entry.shape.row_len().max(1));
        let rounder = known(step.from).map(|(from, decode)| Rounder { name, row_len, elements, from, decode, change });
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = if options.threads == 0 { cores } else { options.threads };
        Ok(Self { stored: Stored::of(files, model, entry)?, rounder, threads: threads.clamp(1, MOST_THREADS) })
    }
    /// All of the tensor, its new bytes handed on in order.
    async fn all(&self, write: &mut dyn FnMut(&[u8]) -> Result<()>, on_bytes: &mut dyn FnMut(u64)) -> Result<Moved> {
        let (mut moved, mut at, total) = (Moved::default(), 0, self.stored.bytes());
        while at < total {
            let end = total.min(at + self.rounder.as_ref().map_or(PIECE, |r| r.source_bytes(UNITS * UNIT)));
            let bytes = self.stored.read(at..end).await?;
            match &self.rounder {
                Some(rounder) => {
                    let (blocks, part) = self.rounded(rounder, at, &bytes)?;
                    write(if rounder.change.is_some() { &blocks } else { &bytes })?;
                    moved.add(&part);
                }
                None => write(&bytes)?,
            }
            at = end;
            on_bytes(at);
        }
        Ok(moved)
    }
    /// Some units of a tensor that changes, evenly spread.
    async fn some(&self) -> Result<Moved> {
        let mut moved = Moved::default();
        let Some(rounder) = self.rounder.as_ref().filter(|r| r.change.is_some()) else { return Ok(moved) };
        let unit = rounder.source_bytes(UNIT);
        let units = self.stored.bytes().div_ceil(unit);
        let count = units.min(TRIAL);
        for n in 0..count {
            let at = units * n / count * unit;
            let bytes = self.stored.read(at..self.stored.bytes().min(at + unit)).await?;
            moved.add(&self.rounded(rounder, at, &bytes)?.1);
        }
        Ok(moved)
    }
    /// The new blocks of the bytes from `at` on, and how far the values moved. The sums go by units, whatever the threads.
    fn rounded(&self, rounder: &Rounder<'_>, at: u64, bytes: &[u8]) -> Result<(Vec<u8>, Moved)> {
        let unit = rounder.source_bytes(UNIT);
        let first = at / unit * UNIT;
        let elements = (rounder.elements - first.min(rounder.elements)).min(UNIT * (bytes.len() as u64).div_ceil(unit));
        let mut blocks = vec![0; rounder.target_bytes(elements) as usize];
        let mut targets = blocks.chunks_mut(rounder.target_bytes(UNIT).max(1) as usize);
        let mut units: Vec<Unit<'_>> = bytes
            .chunks(unit as usize)
            .zip((first..).step_by(UNIT as usize))
            .map(|(bytes, first)| Unit {
                first,
                bytes,
                blocks: targets.next().unwrap_or_default(),
                moved: Ok(Moved::default()),
            })
            .collect();
        let share = units.len().div_ceil(self.threads).max(1);
        thread::scope(|scope| {
            for share in units.chunks_mut(share) {
                scope.spawn(|| rounder.units(share));
            }
        });
        let mut moved = Moved::default();
        for unit in units {
            moved.add(&unit.moved.map_err(|fault| fault.in_file(self.stored.file_name()))?);
        }
        Ok((blocks, moved))
    }
}

/// Some of a tensor's values, as they are and as they become.
struct Unit<'a> {
    /// The first element.
    first: u64,
    bytes: &'a [u8],
    blocks: &'a mut [u8],
    moved: Result<Moved>,
}

/// What threads need to know of a tensor.
struct Rounder<'a> {
    name: &'a str,
    row_len: u64,
    elements: u64,
    from: &'static EncodingSpec,
    decode: Decode,
    /// What writes the new blocks, and reads them again; `None` for a tensor that stays as it is.
    change: Option<(&'static EncodingSpec, Encode, Decode)>,
}

impl Rounder<'_> {
    /// Bytes of so many elements as they are stored.
    fn source_bytes(&self, elements: u64) -> u64 {
        elements.div_ceil(u64::from(self.from.block_len)) * u64::from(self.from.block_bytes)
    }
    /// Bytes of so many elements as they become.
    fn target_bytes(&self, elements: u64) -> u64 {
        self.change.map_or(0, |(to, ..)| elements / u64::from(to.block_len) * u64::from(to.block_bytes))
    }
    fn units(&self, units: &mut [Unit<'_>]) {
        let (mut values, mut again) = (vec![0f32; UNIT as usize], vec![0f32; UNIT as usize]);
        for unit in units {
            let n = UNIT.min(self.elements.saturating_sub(unit.first)) as usize;
            unit.moved = self.unit(unit.first, unit.bytes, unit.blocks, &mut values[..n], &mut again[..n]);
        }
    }
    /// One unit: decoded, held to be numbers, rounded, read again.
    fn unit(
        &self,
        first: u64,
        bytes: &[u8],
        blocks: &mut [u8],
        values: &mut [f32],
        again: &mut [f32],
    ) -> Result<Moved> {
        (self.decode)(bytes, values);
        if let Some(odd) = values.iter().position(|v| !v.is_finite()) {
            return Err(self.odd(first, odd, &format!("the value {}, which no encoding rounds", values[odd])));
        }
        let Some((to, encode, back)) = self.change else { return Ok(Moved::default()) };
        encode(values, blocks);
        back(blocks, again);
        if let Some(odd) = again.iter().position(|v| !v.is_finite()) {
            return Err(self.odd(
                first,
                odd,
                &format!(
                    "the value {}, too large for {}: its block spreads beyond what a half holds",
                    values[odd], to.name
                ),
            ));
        }
        let mut moved = Moved { values: values.len() as u64, ..Moved::default() };
        for (before, after) in values.iter().zip(again) {
            let (before, after) = (f64::from(*before), f64::from(*after));
            moved.squared += (before - after) * (before - after);
            moved.squares += before * before;
        }
        Ok(moved)
    }
    /// A value that cannot be kept, by its row.
    fn odd(&self, first: u64, index: usize, what: &str) -> Fault {
        let element = first + index as u64;
        let (row, column) = (element / self.row_len, element % self.row_len);
        Fault::new(Blame::File, format!("{}: row {row}, column {column} holds {what}", self.name))
    }
}
