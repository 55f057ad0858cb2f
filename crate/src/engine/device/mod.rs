//! Where programs run: a GPU by its kernels, or the CPU.

use std::rc::Rc;

use crate::fault::{Fault, LocalFuture, Result};

use super::program::{BufferId, Program, StepKey};

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

/// What a device is, for people and for the compiler.
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
    /// The largest weight buffer in bytes (as uploaded); larger tensors are split by rows.
    pub max_buffer_bytes: u64,
    /// Why this device and tier were chosen, in one sentence.
    pub reason: String,
}

/// A range of a buffer to be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// The buffer; not a weight.
    pub buffer: BufferId,
    /// First word.
    pub at: u32,
    /// Number of words.
    pub words: u32,
}

/// A place that holds a program's buffers and runs its plans.
///
/// Calls are in order: `load` once, `upload` for every weight, `finish_load` once, then any number of the others.
pub trait Device {
    /// What it is.
    fn info(&self) -> &DeviceInfo;
    /// Creates every buffer, and writes the constants.
    fn load<'a>(&'a mut self, program: &'a Rc<Program>) -> LocalFuture<'a, Result<(), Fault>>;
    /// Whole rows of a weight buffer, in the encoding it was declared with (little-endian), starting at row `first_row`.
    ///
    /// # Errors
    /// The bytes are not whole rows of the buffer; the device is out of memory.
    fn upload(&mut self, buffer: BufferId, first_row: u32, bytes: &[u8]) -> Result<()>;
    /// After the last upload: waits until the device has it all.
    fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>>;
    /// Makes ready what a plan needs; nothing where it is ready.
    fn compile(&mut self, key: StepKey) -> LocalFuture<'_, Result<(), Fault>>;
    /// Writes words of a buffer that is no weight, before the next submit.
    ///
    /// # Errors
    /// The words do not lie in the buffer; the device was lost.
    fn write(&mut self, buffer: BufferId, at: u32, words: &[u32]) -> Result<()>;
    /// Runs a compiled plan `times` times and then copies a range out, without waiting: on a GPU one pass and one submit.
    ///
    /// # Errors
    /// The plan was not compiled; the device was lost.
    fn submit(&mut self, key: StepKey, times: u32, fetch: Option<Fetch>) -> Result<()>;
    /// The oldest range that submits copied out and that was not given yet; waits for it.
    ///
    /// # Errors
    /// Nothing is outstanding; the device was lost.
    fn fetched(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>>;
    /// Words of a buffer after everything submitted.
    fn read(&mut self, range: Fetch) -> LocalFuture<'_, Result<Vec<u32>, Fault>>;
    /// Forgets the ranges that are outstanding.
    fn discard_fetches(&mut self);
    /// Dispatches and submits since the program was loaded.
    fn counters(&self) -> Counters;
    /// Dispatches of a compiled plan.
    fn dispatches(&self, key: StepKey) -> u32;
    /// Bytes held by the device for buffers.
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
