//! Where programs run: a GPU, or the CPU with the kernels' twins.

use crate::fault::{Fault, LocalFuture, Result};

use super::plan::{PlanId, Program, Slot};

pub mod cpu;
pub mod gpu;

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU when there is one, else the CPU, saying why.
    #[default]
    Auto,
    /// Any GPU adapter, also a software one.
    Gpu,
    /// The CPU.
    Cpu,
    /// The adapter of this number in `glassbox devices`.
    Adapter(usize),
}

impl DeviceChoice {
    /// "auto", "gpu", "cpu" or an adapter's number.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "gpu" => Some(Self::Gpu),
            "cpu" => Some(Self::Cpu),
            number => number.parse().ok().map(Self::Adapter),
        }
    }
}

impl Tier {
    /// "core" or "subgroup".
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Subgroup => "subgroup",
        }
    }
    /// The tier of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Core, Self::Subgroup].into_iter().find(|t| t.name() == text)
    }
}

/// Which GPU features the kernels may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Core WGSL: f32, no subgroups, 8 storage bindings, 128 MiB bindings. Works everywhere.
    Core,
    /// With subgroup operations.
    Subgroup,
}

/// What a device is, for people and for the planner.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInfo {
    /// "NVIDIA H200", "CPU".
    pub name: String,
    /// "Vulkan", "WebGPU", "CPU".
    pub backend: String,
    /// Driver name and version, where known.
    pub driver: String,
    /// GPU tier; `None` on the CPU.
    pub tier: Option<Tier>,
    /// "AVX2 + FMA, 2 threads", "subgroups of 32".
    pub detail: String,
    /// Runs on the CPU although it is a GPU adapter (llvmpipe, SwiftShader).
    pub software: bool,
    /// The largest weight slot in bytes (as uploaded); larger tensors are split by rows.
    pub max_slot_bytes: u64,
    /// Why this device and tier were chosen, in one sentence.
    pub reason: String,
}

/// A place that holds a program's slots and runs its plans.
///
/// Calls are in order: `load` once, `upload` for every weight, `finish_load` once, then any
/// number of `write_tokens`, `run`, `read`, `picked`, `reset`.
pub trait Device {
    /// What it is.
    fn info(&self) -> &DeviceInfo;
    /// Creates every slot.
    fn load<'a>(&'a mut self, program: &'a Program) -> LocalFuture<'a, Result<(), Fault>>;
    /// Whole rows of a weight slot, in the file's bytes (little-endian), starting at row `first_row` of the slot.
    ///
    /// # Errors
    /// The bytes are not whole rows of the slot; the device is out of memory.
    fn upload(&mut self, slot: Slot, first_row: u32, bytes: &[u8]) -> Result<()>;
    /// After the last upload: creates pipelines and bind groups; waits until the device has it all.
    fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>>;
    /// Sets the tokens, position and count of the next run.
    ///
    /// # Errors
    /// More tokens than the batch, or beyond the context.
    fn write_tokens(&mut self, tokens: &[u32], pos: u32) -> Result<()>;
    /// Runs a plan `times` times (more than once only for [`PlanId::Decode`]): on a GPU one pass and one submit; returns without waiting.
    ///
    /// # Errors
    /// The device was lost.
    fn run(&mut self, plan: PlanId, times: u32) -> Result<()>;
    /// f32 values of a slot.
    fn read(&mut self, slot: Slot) -> LocalFuture<'_, Result<Vec<f32>, Fault>>;
    /// Ids picked by runs so far that are ready, in order, each given once. Waits for at least one if any is outstanding.
    /// Fails when the GPU counted non-finite logits.
    fn picked(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>>;
    /// Forgets state and picked ids (caches need no clearing: they are masked by position).
    fn reset(&mut self);
    /// Dispatches and submits since the program was loaded.
    fn counters(&self) -> Counters;
    /// Bytes held by the device for slots.
    fn memory(&self) -> u64;
}

/// What a device has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernel launches.
    pub dispatches: u64,
    /// Queue submissions.
    pub submits: u64,
}
