//! The GPU through wgpu: WebGPU in a browser; Vulkan, Metal or Direct3D natively.
//!
//! Everything is made at load: buffers ([`buffers`]), pipelines ([`pipelines`]), bind groups and parameter blocks.
//! A run is one encoder, one compute pass and one submit of a constant list of dispatches; token, position and
//! count live in the state buffer on the GPU, so nothing in a run depends on the host. Picked ids are copied out
//! by the same encoder into staging buffers that are mapped while later runs are under way.

mod adapter;
mod buffers;
mod gap;
mod launch;
pub mod pack;
mod pipelines;
mod readback;
mod recorded;

#[cfg(not(target_arch = "wasm32"))]
#[path = "host_native.rs"]
mod host;
#[cfg(target_arch = "wasm32")]
#[path = "host_web.rs"]
mod host;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytemuck::{bytes_of, cast_slice};

use crate::{
    old_engine::{
        kernel::state,
        plan::{PlanId, Program, Slot, SlotKind},
    },
    fault::{Fault, LocalFuture, Result},
};

use super::{Counters, Device, DeviceChoice, DeviceInfo, Tier};
use buffers::SlotBuffer;
use pipelines::Pipelines;
use readback::Staging;
use recorded::Recorded;

pub use adapter::{AdapterSummary, GpuOptions, list};
pub use gap::{GapReport, dispatch_gap};

/// Bytes of uploads after which the queue is made to start, so that staging memory is given back.
const UPLOAD_FLUSH: u64 = 32 << 20;

/// Staging buffers made at load for picked ids; runs further ahead of `picked` than this make more.
const READBACKS: usize = 4;

/// A GPU that holds one program at a time.
pub struct GpuDevice {
    info: DeviceInfo,
    tier: Tier,
    device: wgpu::Device,
    queue: wgpu::Queue,
    trouble: Trouble,
    pipelines: Pipelines,
    loaded: Option<Loaded>,
    counters: Counters,
}

/// What the device said outside of any error scope: the reason it was lost, or an error nobody expected.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn note(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }
    fn check(&self) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(what) => Err(Fault::device(what.clone())),
            None => Ok(()),
        }
    }
}

/// A program on the device.
struct Loaded {
    program: ProgramShape,
    buffers: Vec<SlotBuffer>,
    plans: Option<Vec<Recorded>>,
    uploaded: u64,
    bytes: u64,
    /// What the state's position and step will be when everything submitted has run.
    pos: u32,
    count: u32,
    step: u32,
    outstanding: VecDeque<Picks>,
    spare: Vec<Staging>,
    reading: Option<(u64, Staging)>,
}

/// What is kept of the program besides its buffers and plans.
struct ProgramShape {
    program: Program,
    state: usize,
    tokens: Option<usize>,
    ring: Option<usize>,
    context: u32,
}

/// Ids on their way back.
struct Picks {
    staging: Staging,
    first_step: u32,
    count: u32,
}

impl GpuDevice {
    /// Opens an adapter.
    ///
    /// # Errors
    /// There is no adapter for the choice ([`DeviceChoice::Auto`] takes no software one), or it refuses a device.
    pub async fn open(choice: &DeviceChoice, options: &GpuOptions) -> Result<Self> {
        let chosen = adapter::choose(choice, options).await?;
        let (tier, tier_reason) = adapter::tier(&chosen.summary, options)?;
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::PIPELINE_CACHE | wgpu::Features::TIMESTAMP_QUERY;
        let mut limits = chosen.adapter.limits();
        // Never exceed what the kernels were written for; ask for the rest, which decides how large a tensor may be.
        limits.max_immediate_size = 0;
        let (device, queue) = chosen
            .adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("glassbox"),
                required_features: wanted & chosen.adapter.features(),
                required_limits: limits,
                experimental_features: wgpu::ExperimentalFeatures::disabled(),
                memory_hints: wgpu::MemoryHints::Performance,
                trace: wgpu::Trace::Off,
            })
            .await
            .map_err(|e| Fault::device(format!("{} gave no device: {e}", chosen.summary.name)))?;
        let trouble = Trouble::default();
        let (errors, losses) = (trouble.clone(), trouble.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| errors.note(format!("the GPU failed: {error}"))));
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                losses.note(format!("lost the GPU: {message}"));
            }
        });
        let checked = options.checked.unwrap_or(cfg!(debug_assertions));
        let store = host::PipelineStore::open(&device, &chosen.adapter.get_info(), options);
        let info = info(&chosen, tier, &tier_reason, &device.limits(), options);
        Ok(Self {
            info,
            tier,
            device,
            queue,
            trouble,
            pipelines: Pipelines::new(checked, store),
            loaded: None,
            counters: Counters::default(),
        })
    }

    /// The tier in use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Uses another tier for programs loaded from now on, and says why in [`Device::info`].
    pub fn set_tier(&mut self, tier: Tier, reason: &str) {
        self.tier = tier;
        self.info.tier = Some(tier);
        self.info.reason = reason.to_owned();
    }

    /// Destroys the device as a driver's reset would, so that tests see what becomes of a run.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Overwrites the words of a slot that steps may write (for tests of single kernels).
    ///
    /// # Errors
    /// Nothing is loaded; the slot has another length.
    pub fn write_words(&mut self, slot: Slot, words: &[u32]) -> Result<()> {
        let loaded = self.loaded.as_ref().ok_or_else(nothing_loaded)?;
        let to = loaded.slot(slot)?;
        if to.words != words.len() as u64 {
            return Err(Fault::caller(format!("{} words for a slot of {}", words.len(), to.words)));
        }
        self.queue.write_buffer(&to.buffer, 0, cast_slice(words));
        Ok(())
    }

    /// The words of a slot that steps may write.
    ///
    /// # Errors
    /// Nothing is loaded; the device was lost; the slot is a weight or a constant.
    pub async fn read_words(&mut self, slot: Slot) -> Result<Vec<u32>> {
        self.trouble.check()?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let from = loaded.slot(slot)?;
        if !from.buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
            return Err(Fault::caller("weights and constants cannot be read back"));
        }
        let (buffer, words) = (from.buffer.clone(), from.words);
        let bytes = words * 4;
        let (_, mut staging) = match loaded.reading.take() {
            Some(reading) if reading.0 == bytes => reading,
            _ => (bytes, Staging::new(&self.device, bytes)),
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        encoder.copy_buffer_to_buffer(&buffer, 0, staging.buffer(), 0, Some(bytes));
        let submission = self.queue.submit([encoder.finish()]);
        self.counters.submits += 1;
        staging.map(submission);
        let words = staging.words(&self.device, words as usize).await;
        self.trouble.check()?;
        let words = words?;
        loaded.reading = Some((bytes, staging));
        Ok(words)
    }
}

fn nothing_loaded() -> Fault {
    Fault::bug("no program is loaded on the GPU")
}

fn info(
    chosen: &adapter::Chosen,
    tier: Tier,
    tier_reason: &str,
    limits: &wgpu::Limits,
    options: &GpuOptions,
) -> DeviceInfo {
    let summary = &chosen.summary;
    let detail = match (tier, summary.subgroups) {
        (Tier::Core, _) => "no subgroups".to_owned(),
        (Tier::Subgroup, Some((least, most))) if least == most => format!("subgroups of {least}"),
        (Tier::Subgroup, Some((least, most))) => format!("subgroups of {least} to {most}"),
        (Tier::Subgroup, None) => "subgroups".to_owned(),
    };
    // Packed rows are padded to 16 bytes and some scales are widened, so a buffer may be up to a third larger than the file's bytes.
    let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) / 4 * 3;
    DeviceInfo {
        name: summary.name.clone(),
        backend: summary.backend.clone(),
        driver: summary.driver.clone(),
        tier: Some(tier),
        detail,
        software: summary.software,
        max_slot_bytes: options.max_slot_bytes.map_or(binding, |bytes| bytes.min(binding)),
        reason: format!("{} was chosen because {}; {tier:?} tier because {tier_reason}", summary.name, chosen.reason),
    }
}

impl Loaded {
    fn slot(&self, slot: Slot) -> Result<&SlotBuffer> {
        self.buffers.get(slot.0 as usize).ok_or_else(|| Fault::bug(format!("there is no slot {}", slot.0)))
    }
}

impl Device for GpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn load<'a>(&'a mut self, program: &'a Program) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.trouble.check()?;
            self.loaded = None;
            self.counters = Counters::default();
            let shape = ProgramShape::new(program)?;
            let buffers = buffers::create(&self.device, program).await?;
            for (slot, values) in &program.constants {
                let to = buffers.get(slot.0 as usize).ok_or_else(|| Fault::bug("a constant without a slot"))?;
                if to.words != values.len() as u64 {
                    return Err(Fault::bug(format!("{} values for a constant of {}", values.len(), to.words)));
                }
                self.queue.write_buffer(&to.buffer, 0, cast_slice(values));
            }
            let bytes = buffers.iter().map(|b| b.buffer.size()).sum();
            self.loaded = Some(Loaded {
                program: shape,
                buffers,
                plans: None,
                uploaded: 0,
                bytes,
                pos: 0,
                count: 0,
                step: 0,
                outstanding: VecDeque::new(),
                spare: Vec::new(),
                reading: None,
            });
            self.trouble.check()
        })
    }

    fn upload(&mut self, slot: Slot, first_row: u32, bytes: &[u8]) -> Result<()> {
        self.trouble.check()?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let to = loaded.slot(slot)?;
        let rows = to.rows.ok_or_else(|| Fault::caller(format!("slot {} is not a weight", slot.0)))?;
        let (count, words) = rows.convert(bytes)?;
        if u64::from(first_row) + u64::from(count) > u64::from(rows.rows) {
            return Err(Fault::caller(format!("rows {first_row} + {count} of a weight of {}", rows.rows)));
        }
        let at = u64::from(first_row) * rows.row_words as u64 * 4;
        self.queue.write_buffer(&to.buffer, at, cast_slice(&words));
        loaded.uploaded += words.len() as u64 * 4;
        if loaded.uploaded >= UPLOAD_FLUSH {
            loaded.uploaded = 0;
            self.queue.submit([]);
            host::tick(&self.device)?;
        }
        Ok(())
    }

    fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
            let recorder = recorded::Recorder {
                device: &self.device,
                queue: &self.queue,
                buffers: &loaded.buffers,
                tier: self.tier,
            };
            let mut plans = Vec::new();
            for plan in buffers::plans(&loaded.program.program) {
                plans.push(recorder.record(plan, &mut self.pipelines).await?);
            }
            loaded.plans = Some(plans);
            let bytes = loaded.program.readback_words(&loaded.buffers) * 4;
            loaded.spare = (0..READBACKS).map(|_| Staging::new(&self.device, bytes)).collect();
            self.queue.submit([]);
            host::idle(&self.device, &self.queue).await?;
            self.pipelines.save();
            self.trouble.check()
        })
    }

    fn write_tokens(&mut self, tokens: &[u32], pos: u32) -> Result<()> {
        self.trouble.check()?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let slot = loaded.program.tokens.and_then(|t| loaded.buffers.get(t));
        let slot = slot.ok_or_else(|| Fault::bug("the program has no token slot"))?;
        if tokens.is_empty() || tokens.len() as u64 > slot.words {
            return Err(Fault::caller(format!("{} tokens for a batch of 1 to {}", tokens.len(), slot.words)));
        }
        let count = tokens.len() as u32;
        if u64::from(pos) + u64::from(count) > u64::from(loaded.program.context) {
            return Err(Fault::limit(format!(
                "tokens {pos} to {} are beyond the context of {}",
                u64::from(pos) + u64::from(count),
                loaded.program.context
            )));
        }
        self.queue.write_buffer(&slot.buffer, 0, cast_slice(tokens));
        self.queue.write_buffer(&loaded.buffers[loaded.program.state].buffer, 0, bytes_of(&[pos, count]));
        (loaded.pos, loaded.count) = (pos, count);
        Ok(())
    }

    fn run(&mut self, plan: PlanId, times: u32) -> Result<()> {
        self.trouble.check()?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let plans = loaded.plans.as_ref().ok_or_else(|| Fault::bug("run before finish_load"))?;
        let recorded = &plans[plan_index(plan)];
        let end = u64::from(loaded.pos) + u64::from(loaded.count) + u64::from(times.max(1)) - 1;
        if times == 0 || (times > 1 && plan != PlanId::Decode) || loaded.count > recorded.batch || loaded.count == 0 {
            return Err(Fault::bug(format!("{plan:?} for {} tokens, {times} times", loaded.count)));
        }
        if end > u64::from(loaded.program.context) {
            return Err(Fault::limit(format!("token {end} is beyond the context of {}", loaded.program.context)));
        }
        let picks = matches!(plan, PlanId::Decode | PlanId::PrefillPick);
        let ring = loaded.program.ring.and_then(|r| loaded.buffers.get(r)).filter(|_| picks);
        if ring.is_some_and(|ring| u64::from(times) > ring.words) {
            return Err(Fault::caller(format!("{times} picks for a ring of {} ids", ring.map_or(0, |r| r.words))));
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
        recorded.encode(&mut encoder, times);
        let mut staging = None;
        if let Some(ring) = ring {
            let state = &loaded.buffers[loaded.program.state];
            let bytes = loaded.program.readback_words(&loaded.buffers) * 4;
            let to = loaded.spare.pop().unwrap_or_else(|| Staging::new(&self.device, bytes));
            let state_bytes = state.words * 4;
            encoder.copy_buffer_to_buffer(&state.buffer, 0, to.buffer(), 0, Some(state_bytes));
            encoder.copy_buffer_to_buffer(&ring.buffer, 0, to.buffer(), state_bytes, Some(ring.words * 4));
            staging = Some(to);
        }
        let submission = self.queue.submit([encoder.finish()]);
        self.counters.submits += 1;
        self.counters.dispatches += recorded.len() as u64 * u64::from(times);
        loaded.pos = loaded.pos + loaded.count + times - 1;
        loaded.count = 1;
        if let Some(mut staging) = staging {
            staging.map(submission);
            loaded.outstanding.push_back(Picks { staging, first_step: loaded.step, count: times });
            loaded.step = loaded.step.wrapping_add(times);
        }
        Ok(())
    }

    fn read(&mut self, slot: Slot) -> LocalFuture<'_, Result<Vec<f32>, Fault>> {
        Box::pin(async move { Ok(self.read_words(slot).await?.into_iter().map(f32::from_bits).collect()) })
    }

    fn picked(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        Box::pin(async move {
            let mut ids = Vec::new();
            loop {
                self.trouble.check()?;
                let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
                // Wait for the first only; take later ones as far as they are there.
                match loaded.outstanding.front() {
                    None => return Ok(ids),
                    Some(next) if !ids.is_empty() && !next.staging.is_ready() => return Ok(ids),
                    Some(_) => {}
                }
                let Some(picks) = loaded.outstanding.pop_front() else { return Ok(ids) };
                let words = loaded.program.readback_words(&loaded.buffers) as usize;
                let words = picks.staging.words(&self.device, words).await;
                self.trouble.check()?;
                let words = words?;
                loaded.spare.push(picks.staging);
                let (state, ring) = words.split_at(state::WORDS);
                if state[state::NONFINITE] != 0 {
                    return Err(Fault::device(format!(
                        "the GPU computed {} logits that are not finite numbers; another device or tier may do better",
                        state[state::NONFINITE]
                    )));
                }
                let len = ring.len().max(1) as u32;
                ids.extend((0..picks.count).map(|i| ring[(picks.first_step.wrapping_add(i) % len) as usize]));
            }
        })
    }

    fn reset(&mut self) {
        let Some(loaded) = self.loaded.as_mut() else { return };
        loaded.outstanding.clear();
        (loaded.pos, loaded.count, loaded.step) = (0, 0, 0);
        let state = &loaded.buffers[loaded.program.state];
        self.queue.write_buffer(&state.buffer, 0, cast_slice(&[0_u32; state::WORDS]));
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn memory(&self) -> u64 {
        self.loaded.as_ref().map_or(0, |l| l.bytes)
    }
}

fn plan_index(plan: PlanId) -> usize {
    match plan {
        PlanId::Decode => 0,
        PlanId::DecodeLogits => 1,
        PlanId::Prefill => 2,
        PlanId::PrefillPick => 3,
        PlanId::PrefillLogits => 4,
    }
}

impl ProgramShape {
    fn new(program: &Program) -> Result<Self> {
        let of = |slot: Slot, wanted: &str, right: fn(&SlotKind) -> bool| match program.slots.get(slot.0 as usize) {
            Some(spec) if right(&spec.kind) => Ok(slot.0 as usize),
            _ => Err(Fault::bug(format!("slot {} is not {wanted}", slot.0))),
        };
        let state = program.state.ok_or_else(|| Fault::bug("a program without a state slot"))?;
        Ok(Self {
            state: of(state, "the state", |k| matches!(k, SlotKind::State))?,
            tokens: program.tokens.map(|s| of(s, "tokens", |k| matches!(k, SlotKind::Tokens { .. }))).transpose()?,
            ring: program.ring.map(|s| of(s, "a ring", |k| matches!(k, SlotKind::Ring { .. }))).transpose()?,
            context: program.context,
            // Slots, plans: what recording needs. Constants are on the device already.
            program: Program { constants: Vec::new(), weights: Vec::new(), ..program.clone() },
        })
    }

    /// Words a readback copies: the state, then the ring.
    fn readback_words(&self, buffers: &[SlotBuffer]) -> u64 {
        state::WORDS as u64 + self.ring.and_then(|r| buffers.get(r)).map_or(0, |r| r.words)
    }
}
