//! The CPU: keeps weights in their file's bytes and runs the same plans as a GPU.
//!
//! Every kernel has a scalar twin (`scalar.rs`, the oracle). The hot ones are also written over
//! vectors (`lanes.rs`), compiled for each instruction set and chosen at run time (`dispatch.rs`).

use super::{Counters, Device, DeviceInfo};
use crate::{
    old_engine::{
        kernel::{KernelId, state},
        plan::{PlanId, Program, Slot, SlotKind, Step},
    },
    fault::{Fault, LocalFuture, Result},
};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
mod buffer;
mod dispatch;
mod fast;
mod lanes;
mod linear;
mod pool;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
mod rows;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

pub use buffer::CpuBuffer;
use dispatch::Kernels;
use fast::Fast;
pub use scalar::run_reference;

/// The CPU as a device.
pub struct CpuDevice {
    info: DeviceInfo,
    /// `None`: the scalar twins.
    fast: Option<Fast>,
    program: Program,
    slots: Vec<CpuBuffer>,
    /// Rows uploaded to each weight slot.
    uploaded: Vec<u64>,
    picked: Vec<u32>,
    counters: Counters,
}

impl CpuDevice {
    /// The fastest kernels of this processor on `threads` threads; `None`: one for each core.
    pub fn new(threads: Option<usize>) -> Self {
        Self::with(dispatch::available().first().copied(), threads)
    }

    /// The scalar twins: slow, and right by construction.
    pub fn scalar() -> Self {
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
            detail: format!("{}, {threads} thread{plural}", kernels.map_or("scalar twins", |k| k.name)),
            software: false,
            // A buffer's length is an isize, and a 32-bit heap does not find much more in one piece.
            max_slot_bytes: (isize::MAX as u64).min(1 << 40) / 2,
            reason: "the CPU was asked for".into(),
        };
        Self {
            info,
            fast,
            program: Program::default(),
            slots: Vec::new(),
            uploaded: Vec::new(),
            picked: Vec::new(),
            counters: Counters::default(),
        }
    }

    fn create_slots(&mut self, program: &Program) -> Result<()> {
        self.slots = program.slots.iter().map(|s| empty(&s.kind)).collect::<Result<_>>()?;
        for (slot, values) in &program.constants {
            *self.slot_mut(*slot)? = CpuBuffer::F32(values.clone());
        }
        self.uploaded = vec![0; program.slots.len()];
        self.program = program.clone();
        self.counters = Counters::default();
        self.reset();
        Ok(())
    }

    fn slot(&self, slot: Slot) -> Result<&CpuBuffer> {
        self.slots.get(slot.0 as usize).ok_or_else(|| Fault::bug(format!("no slot {}", slot.0)))
    }

    fn slot_mut(&mut self, slot: Slot) -> Result<&mut CpuBuffer> {
        self.slots.get_mut(slot.0 as usize).ok_or_else(|| Fault::bug(format!("no slot {}", slot.0)))
    }

    fn state_mut(&mut self) -> Result<&mut [u32]> {
        let slot = self.program.state.ok_or_else(|| Fault::caller("no program is loaded"))?;
        self.slot_mut(slot)?.u32s_mut()
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let split = step.bind.len().saturating_sub(step.kernel.outputs());
        let (inputs, outputs) = step.bind.split_at(split);
        // Outputs are taken out of the table while the kernel runs, so that nothing aliases.
        let mut taken = Vec::with_capacity(outputs.len());
        for slot in outputs {
            taken.push(std::mem::replace(self.slot_mut(*slot)?, CpuBuffer::U32(Vec::new())));
        }
        let mut fast = self.fast.take();
        let result = inputs.iter().map(|s| self.slot(*s)).collect::<Result<Vec<_>>>().and_then(|inputs| {
            let mut outputs: Vec<_> = taken.iter_mut().collect();
            match &mut fast {
                Some(fast) => fast.run(step.kernel, &step.params, &step.bind, &inputs, &mut outputs),
                None => scalar::run(step.kernel, &step.params, &inputs, &mut outputs),
            }
        });
        self.fast = fast;
        for (slot, buffer) in outputs.iter().zip(taken) {
            *self.slot_mut(*slot)? = buffer;
        }
        self.counters.dispatches += 1;
        result
    }

    /// Moves the id that the last pick wrote from the ring to the host's list.
    fn collect_pick(&mut self) -> Result<()> {
        let step = self.state_mut()?[state::STEP].wrapping_sub(1) as usize;
        let ring = self.program.ring.ok_or_else(|| Fault::bug("a pick without a ring"))?;
        let ring = self.slot(ring)?.u32s()?;
        let id = step.checked_rem(ring.len()).map(|at| ring[at]);
        self.picked.push(id.ok_or_else(|| Fault::bug("a ring of no ids"))?);
        Ok(())
    }
}

/// A slot's buffer before anything is written.
fn empty(kind: &SlotKind) -> Result<CpuBuffer> {
    Ok(match *kind {
        SlotKind::Weight { encoding, rows, row_len } => {
            let bytes = buffer::row_bytes(encoding, u64::from(row_len))?.checked_mul(rows as usize);
            let bytes = bytes.filter(|n| isize::try_from(*n).is_ok());
            let len = bytes.ok_or_else(|| Fault::limit("a weight does not fit this machine's address space"))?;
            CpuBuffer::Weight { encoding, rows, row_len, bytes: zeroed(len)? }
        }
        SlotKind::Constant { len } | SlotKind::Activation { len } | SlotKind::Cache { len } => {
            CpuBuffer::F32(zeroed(len as usize)?)
        }
        SlotKind::State => CpuBuffer::U32(vec![0; state::WORDS]),
        SlotKind::Tokens { len } | SlotKind::Ring { len } => CpuBuffer::U32(zeroed(len as usize)?),
    })
}

/// Zeros; running out of memory is a fault, not an abort.
fn zeroed<T: Default + Clone>(len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(len)
        .map_err(|_| Fault::device(format!("out of memory for {len} values of {} bytes", size_of::<T>())))?;
    values.resize(len, T::default());
    Ok(values)
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn load<'a>(&'a mut self, program: &'a Program) -> LocalFuture<'a, Result<(), Fault>> {
        let result = self.create_slots(program);
        Box::pin(async move { result })
    }

    fn upload(&mut self, slot: Slot, first_row: u32, new: &[u8]) -> Result<()> {
        let name = self.program.slots.get(slot.0 as usize).map_or("?", |s| s.name.as_str()).to_owned();
        let CpuBuffer::Weight { encoding, rows, row_len, bytes } = self.slot_mut(slot)? else {
            return Err(Fault::caller(format!("rows uploaded to {name}, which is no weight")));
        };
        let row = buffer::row_bytes(*encoding, u64::from(*row_len))?;
        let at = (first_row as usize).checked_mul(row);
        let to = at.and_then(|at| bytes.get_mut(at..at.checked_add(new.len())?));
        match to {
            Some(to) if row > 0 && new.len() % row == 0 => to.copy_from_slice(new),
            _ => {
                return Err(Fault::caller(format!(
                    "{} bytes at row {first_row} of {name}: whole rows of {row} bytes expected, {rows} in all",
                    new.len()
                )));
            }
        }
        self.uploaded[slot.0 as usize] += (new.len() / row) as u64;
        Ok(())
    }

    fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>> {
        let short = self.program.weights.iter().find(|w| self.uploaded[w.slot.0 as usize] < w.rows);
        let result = match short {
            Some(w) => Err(Fault::caller(format!(
                "{} of {} rows of {} were uploaded",
                self.uploaded[w.slot.0 as usize],
                w.rows,
                self.program.slot(w.slot).name
            ))),
            None => Ok(()),
        };
        Box::pin(async move { result })
    }

    fn write_tokens(&mut self, tokens: &[u32], pos: u32) -> Result<()> {
        let (batch, context, vocab) = (self.program.prefill.batch, self.program.context, self.program.vocab);
        if tokens.is_empty() || tokens.len() > batch as usize {
            return Err(Fault::caller(format!("{} tokens in a step of 1 to {batch}", tokens.len())));
        }
        if u64::from(pos) + tokens.len() as u64 > u64::from(context) {
            return Err(Fault::caller(format!("{} tokens at position {pos} of a context of {context}", tokens.len())));
        }
        if let Some(id) = tokens.iter().find(|id| **id >= vocab) {
            return Err(Fault::caller(format!("token {id} of a vocabulary of {vocab}")));
        }
        let slot = self.program.tokens.ok_or_else(|| Fault::caller("no program is loaded"))?;
        self.slot_mut(slot)?.u32s_mut()?[..tokens.len()].copy_from_slice(tokens);
        let words = self.state_mut()?;
        words[state::POS] = pos;
        words[state::COUNT] = tokens.len() as u32;
        Ok(())
    }

    fn run(&mut self, plan: PlanId, times: u32) -> Result<()> {
        if times > 1 && plan != PlanId::Decode {
            return Err(Fault::caller("only the decode plan repeats by itself"));
        }
        // Taken out while it runs: the steps borrow it, the slots change.
        let program = std::mem::take(&mut self.program);
        let (state, ring) = (program.state, program.ring);
        let steps = &program.plan(plan).steps;
        let (batch, context) = (program.plan(plan).batch, program.context);
        self.program = Program { state, ring, ..Program::default() };
        let result = (0..times).try_for_each(|_| {
            let words = self.state_mut()?;
            let (pos, count) = (words[state::POS], words[state::COUNT]);
            if count == 0 || count > batch || u64::from(pos) + u64::from(count) > u64::from(context) {
                return Err(Fault::caller(format!(
                    "{count} tokens at position {pos} in a plan for {batch} and a context of {context}"
                )));
            }
            steps.iter().try_for_each(|step| self.step(step))?;
            if steps.last().is_some_and(|s| s.kernel == KernelId::Pick) { self.collect_pick() } else { Ok(()) }
        });
        self.program = program;
        self.counters.submits += 1;
        result
    }

    fn read(&mut self, slot: Slot) -> LocalFuture<'_, Result<Vec<f32>, Fault>> {
        let values = self.slot(slot).and_then(|s| s.f32s()).map(<[f32]>::to_vec);
        Box::pin(async move { values })
    }

    fn picked(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        let bad = self.state_mut().map(|words| std::mem::take(&mut words[state::NONFINITE]));
        let ids = std::mem::take(&mut self.picked);
        let result = match bad {
            Ok(0) => Ok(ids),
            Ok(n) => {
                Err(Fault::device(format!("{n} logits were NaN or infinite: the weights overflow f32 or are damaged")))
            }
            Err(fault) => Err(fault),
        };
        Box::pin(async move { result })
    }

    fn reset(&mut self) {
        self.picked.clear();
        if let Ok(words) = self.state_mut() {
            words.fill(0);
        }
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn memory(&self) -> u64 {
        self.slots.iter().map(CpuBuffer::bytes).sum()
    }
}
