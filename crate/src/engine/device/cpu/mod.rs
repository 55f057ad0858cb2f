//! The CPU: keeps weights in their file's bytes and runs a program's steps one after the other.
//!
//! Hot operations are written over vectors (`lanes.rs`), compiled for each instruction set and chosen at run time
//! (`dispatch.rs`); every other operation runs by its meaning ([`crate::ir::eval`]).

use std::{collections::VecDeque, rc::Rc};

use super::{Counters, Device, DeviceInfo, Fetch};
use crate::{
    engine::program::{BufferId, Program, StepKey, Want},
    fault::{Fault, LocalFuture, Result},
};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
mod blocks;
mod buffer;
mod bytes;
mod choose;
mod columns;
mod dispatch;
mod experts;
mod fast;
mod integer;
mod lanes;
mod lattice;
mod linear;
mod plain;
mod pool;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
mod product;
mod recur;
mod rows;
mod run;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
mod whole;

use buffer::CpuBuffer;
use dispatch::Kernels;
use fast::Fast;
pub use product::{Matrix, Product};

/// The CPU as a device.
pub struct CpuDevice {
    info: DeviceInfo,
    /// `None`: every operation by its meaning.
    fast: Option<Fast>,
    program: Rc<Program>,
    buffers: Vec<CpuBuffer>,
    /// Rows uploaded to each buffer.
    uploaded: Vec<u64>,
    fetched: VecDeque<Vec<u32>>,
    counters: Counters,
}

impl CpuDevice {
    /// The fastest kernels of this processor on `threads` threads; `None`: one for each core.
    pub fn new(threads: Option<usize>) -> Self {
        Self::with(dispatch::available().first().copied(), threads)
    }

    /// Every operation by its meaning: slow, and right by construction.
    pub fn plain() -> Self {
        Self::with(None, Some(1))
    }

    /// The kernels of one of [`CpuDevice::instruction_sets`], for comparisons.
    ///
    /// # Errors
    /// This processor has no such instructions.
    pub fn with_instructions(name: &str, threads: Option<usize>) -> Result<Self> {
        let table = dispatch::available().into_iter().find(|k| k.name == name);
        let table = table.ok_or_else(|| Fault::caller(format!("this processor has no {name}")))?;
        Ok(Self::with(Some(table), threads))
    }

    /// Instruction sets of this processor that kernels were compiled for, the best first.
    pub fn instruction_sets() -> Vec<&'static str> {
        dispatch::available().iter().map(|k| k.name).collect()
    }

    /// Keeps activations in f32. Otherwise those of a single token are rounded to 8 bits by block before they meet
    /// quantized weights, as llama.cpp does it: faster by two to five times, with a relative error below that of the weights.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        if let Some(fast) = self.fast.as_mut().filter(|_| exact) {
            fast.keep_activations();
            self.info.detail.push_str(", f32 activations");
        }
        self
    }

    /// Says why the CPU was taken.
    #[must_use]
    pub fn because(mut self, reason: String) -> Self {
        self.info.reason = reason;
        self
    }

    fn with(kernels: Option<&'static Kernels>, threads: Option<usize>) -> Self {
        let fast = kernels.map(|k| Fast::new(k, threads.unwrap_or_else(dispatch::default_threads)));
        let threads = fast.as_ref().map_or(1, Fast::threads);
        let plural = if threads == 1 { "" } else { "s" };
        let info = DeviceInfo {
            name: "CPU".into(),
            backend: "CPU".into(),
            driver: String::new(),
            tier: None,
            detail: format!("{}, {threads} thread{plural}", kernels.map_or("reference operations", |k| k.name)),
            software: false,
            // A buffer's length is an isize, and a 32-bit heap does not find much more in one piece.
            max_buffer_bytes: (isize::MAX as u64).min(1 << 40) / 2,
            reason: "the CPU was asked for".into(),
        };
        Self {
            info,
            fast,
            program: Rc::default(),
            buffers: Vec::new(),
            uploaded: Vec::new(),
            fetched: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    fn create(&mut self, program: &Rc<Program>) -> Result<()> {
        self.buffers = program.buffers.iter().map(|b| CpuBuffer::new(&b.kind)).collect::<Result<_>>()?;
        for (buffer, values) in &program.constants {
            let words = self.buffer_mut(*buffer)?.words_mut()?;
            for (word, value) in words.iter_mut().zip(values.iter()) {
                *word = value.to_bits();
            }
        }
        self.uploaded = vec![0; program.buffers.len()];
        self.program = Rc::clone(program);
        self.counters = Counters::default();
        self.fetched.clear();
        Ok(())
    }

    fn buffer(&self, id: BufferId) -> Result<&CpuBuffer> {
        self.buffers.get(id.0 as usize).ok_or_else(|| Fault::bug(format!("no buffer {}", id.0)))
    }

    fn buffer_mut(&mut self, id: BufferId) -> Result<&mut CpuBuffer> {
        self.buffers.get_mut(id.0 as usize).ok_or_else(|| Fault::bug(format!("no buffer {}", id.0)))
    }

    fn range(&self, fetch: Fetch) -> Result<Vec<u32>> {
        let words = self.buffer(fetch.buffer)?.words()?;
        let (at, len) = (fetch.at as usize, fetch.words as usize);
        let range = at.checked_add(len).and_then(|end| words.get(at..end));
        range.map(<[u32]>::to_vec).ok_or_else(|| Fault::bug(format!("{len} words at {at} of {}", words.len())))
    }
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn load<'a>(&'a mut self, program: &'a Rc<Program>) -> LocalFuture<'a, Result<(), Fault>> {
        let result = self.create(program);
        Box::pin(async move { result })
    }

    fn upload(&mut self, buffer: BufferId, first_row: u32, new: &[u8]) -> Result<()> {
        let program = Rc::clone(&self.program);
        let name = program.buffers.get(buffer.0 as usize).map_or("?", |b| &b.name);
        let done = match self.buffer_mut(buffer)? {
            CpuBuffer::Weight { rows, row_bytes, bytes, .. } => {
                let at = (first_row as usize).checked_mul(*row_bytes);
                let to = at.and_then(|at| bytes.get_mut(at..at.checked_add(new.len())?));
                match to {
                    Some(to) if *row_bytes > 0 && new.len() % *row_bytes == 0 => {
                        to.copy_from_slice(new);
                        new.len() / *row_bytes
                    }
                    _ => {
                        return Err(Fault::caller(format!(
                            "{} bytes at row {first_row} of {name}: whole rows of {row_bytes} bytes expected, {rows} in all",
                            new.len()
                        )));
                    }
                }
            }
            // A vector is one row of f32.
            CpuBuffer::Words(words) => {
                if first_row != 0 || new.len() != words.len() * 4 {
                    return Err(Fault::caller(format!("{} bytes for the {} values of {name}", new.len(), words.len())));
                }
                for (word, bytes) in words.iter_mut().zip(new.chunks_exact(4)) {
                    *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
                1
            }
        };
        self.uploaded[buffer.0 as usize] += done as u64;
        Ok(())
    }

    fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>> {
        let mut wanted = vec![0u64; self.program.buffers.len()];
        for load in &self.program.loads {
            wanted[load.buffer.0 as usize] += u64::from(load.rows);
        }
        let short = wanted.iter().zip(&self.uploaded).position(|(wanted, have)| have < wanted);
        let result = match short {
            Some(at) => Err(Fault::caller(format!(
                "{} of {} rows of {} were uploaded",
                self.uploaded[at], wanted[at], self.program.buffers[at].name
            ))),
            None => Ok(()),
        };
        Box::pin(async move { result })
    }

    fn compile(&mut self, _key: StepKey) -> LocalFuture<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn write(&mut self, buffer: BufferId, at: u32, words: &[u32]) -> Result<()> {
        let to = self.buffer_mut(buffer)?.words_mut()?;
        let (at, have) = (at as usize, to.len());
        match at.checked_add(words.len()).and_then(|end| to.get_mut(at..end)) {
            Some(to) => to.copy_from_slice(words),
            None => return Err(Fault::bug(format!("{} words at {at} of a buffer of {have}", words.len()))),
        }
        Ok(())
    }

    fn submit(&mut self, key: StepKey, times: u32, fetch: Option<Fetch>) -> Result<()> {
        if times > 1 && key.want != Want::Choice {
            return Err(Fault::caller("only a plan that chooses the next token repeats without the host"));
        }
        for _ in 0..times {
            self.run(key.want)?;
        }
        self.counters.submits += 1;
        if let Some(fetch) = fetch {
            let words = self.range(fetch)?;
            self.fetched.push_back(words);
        }
        Ok(())
    }

    fn fetched(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        let words = self.fetched.pop_front().ok_or_else(|| Fault::bug("nothing was asked to be read back"));
        Box::pin(async move { words })
    }

    fn read(&mut self, range: Fetch) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        let words = self.range(range);
        Box::pin(async move { words })
    }

    fn discard_fetches(&mut self) {
        self.fetched.clear();
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn dispatches(&self, key: StepKey) -> u32 {
        self.program.plan(key.want).count() as u32
    }

    fn memory(&self) -> u64 {
        self.buffers.iter().map(CpuBuffer::bytes).sum()
    }
}
