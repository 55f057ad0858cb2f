//! The GPU through wgpu: WebGPU in a browser; Vulkan, Metal or Direct3D natively.
//!
//! Buffers are made at load ([`buffers`]), pipelines, bind groups and parameter blocks when a plan is compiled
//! ([`recorded`]). A run is one encoder, one compute pass and one submit of a constant list of dispatches; tokens,
//! positions and sequences live in the batch buffer on the GPU, so nothing in a run depends on the host. What the host asked
//! for is copied out by the same encoder into staging buffers that are mapped while later runs are under way.

mod adapter;
mod buffers;
mod gap;
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
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use bytemuck::cast_slice;

use crate::{
    engine::{
        kernels::Lowering,
        program::{BufferId, Program, StepKey, Want},
    },
    fault::{Fault, LocalFuture, Result},
};

use super::{Counters, Device, DeviceChoice, DeviceInfo, Fetch, Tier};
use buffers::Held;
use pipelines::Pipelines;
use readback::Staging;
use recorded::{Recorded, Recorder};

pub use adapter::{AdapterSummary, GpuOptions, list};
pub use gap::{GapReport, dispatch_gap};

/// Bytes of uploads after which the queue is made to start, so that staging memory is given back.
const UPLOAD_FLUSH: u64 = 32 << 20;

/// Staging buffers that are kept for later ranges.
const MAX_SPARE: usize = 8;

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
    program: Rc<Program>,
    buffers: Vec<Held>,
    plans: BTreeMap<StepKey, Recorded>,
    /// Bytes uploaded since the queue was last made to start.
    uploaded: u64,
    bytes: u64,
    outstanding: VecDeque<Outstanding>,
    /// Staging buffers by their bytes, the oldest first.
    spare: VecDeque<(u64, Staging)>,
}

/// Words on their way back.
struct Outstanding {
    staging: Staging,
    words: u32,
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

    /// Copies a range out by this encoder.
    fn copy_out(&mut self, encoder: &mut wgpu::CommandEncoder, range: Fetch) -> Result<Staging> {
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let from = loaded.held(range.buffer)?;
        let name = || &loaded.program.buffer(range.buffer).name;
        if !from.buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
            return Err(Fault::caller(format!("{} is never written by steps and cannot be read back", name())));
        }
        if u64::from(range.at) + u64::from(range.words) > from.words || range.words == 0 {
            return Err(Fault::caller(format!(
                "{} words at {} of {} in {}",
                range.words,
                range.at,
                from.words,
                name()
            )));
        }
        let (at, bytes) = (u64::from(range.at) * 4, u64::from(range.words) * 4);
        let buffer = from.buffer.clone();
        let staging = loaded.staging(&self.device, bytes);
        encoder.copy_buffer_to_buffer(&buffer, at, staging.buffer(), 0, Some(bytes));
        Ok(staging)
    }

    /// Waits for words that were copied out.
    async fn arrive(&mut self, out: Outstanding) -> Result<Vec<u32>> {
        let words = out.staging.words(&self.device, out.words as usize).await;
        self.trouble.check()?;
        let words = words?;
        if let Some(loaded) = &mut self.loaded {
            if loaded.spare.len() == MAX_SPARE {
                loaded.spare.pop_front();
            }
            loaded.spare.push_back((u64::from(out.words) * 4, out.staging));
        }
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
        max_buffer_bytes: options.max_buffer_bytes.map_or(binding, |bytes| bytes.min(binding)),
        reason: format!("{} was chosen because {}; {tier:?} tier because {tier_reason}", summary.name, chosen.reason),
    }
}

impl Loaded {
    fn held(&self, id: BufferId) -> Result<&Held> {
        self.buffers.get(id.0 as usize).ok_or_else(|| Fault::bug(format!("there is no buffer {}", id.0)))
    }

    /// A spare staging buffer of this size, or a new one.
    fn staging(&mut self, device: &wgpu::Device, bytes: u64) -> Staging {
        let spare = self.spare.iter().position(|s| s.0 == bytes).and_then(|at| self.spare.remove(at));
        spare.map_or_else(|| Staging::new(device, bytes), |(_, staging)| staging)
    }
}

impl Device for GpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn load<'a>(&'a mut self, program: &'a Rc<Program>) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.trouble.check()?;
            self.loaded = None;
            self.counters = Counters::default();
            let buffers = buffers::create(&self.device, program).await?;
            for (id, values) in &program.constants {
                let to = buffers.get(id.0 as usize).ok_or_else(|| Fault::bug("a constant without a buffer"))?;
                if (values.len() as u64) > to.words {
                    return Err(Fault::bug(format!("{} values for a constant of {}", values.len(), to.words)));
                }
                self.queue.write_buffer(&to.buffer, 0, cast_slice(values));
            }
            let bytes = buffers.iter().map(|b| b.buffer.size()).sum();
            self.loaded = Some(Loaded {
                program: Rc::clone(program),
                buffers,
                plans: BTreeMap::new(),
                uploaded: 0,
                bytes,
                outstanding: VecDeque::new(),
                spare: VecDeque::new(),
            });
            self.trouble.check()
        })
    }

    fn upload(&mut self, buffer: BufferId, first_row: u32, bytes: &[u8]) -> Result<()> {
        self.trouble.check()?;
        let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
        let to = loaded.held(buffer)?;
        let name = || &loaded.program.buffer(buffer).name;
        let (at, words) = match to.rows {
            Some(rows) => {
                let (count, words) = rows.convert(bytes)?;
                if u64::from(first_row) + u64::from(count) > u64::from(rows.rows) {
                    let what = format!("rows {first_row} + {count} of \"{}\", which has {}", name(), rows.rows);
                    return Err(Fault::caller(what));
                }
                (u64::from(first_row) * rows.row_words as u64 * 4, words)
            }
            None if to.is_vector && first_row == 0 && bytes.len() % 4 == 0 && bytes.len() as u64 / 4 <= to.words => {
                let words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                (0, words.collect::<Vec<_>>())
            }
            None => {
                return Err(Fault::caller(format!("{} bytes at row {first_row} of \"{}\"", bytes.len(), name())));
            }
        };
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
            self.loaded.as_ref().ok_or_else(nothing_loaded)?;
            self.queue.submit([]);
            host::idle(&self.device, &self.queue).await?;
            self.trouble.check()
        })
    }

    fn compile(&mut self, key: StepKey) -> LocalFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            self.trouble.check()?;
            let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
            if loaded.plans.contains_key(&key) {
                return Ok(());
            }
            let recorder = Recorder { device: &self.device, queue: &self.queue, buffers: &loaded.buffers };
            let with = Lowering { program: &loaded.program, key, tier: self.tier };
            let recorded = recorder.record(&with, &mut self.pipelines).await?;
            loaded.plans.insert(key, recorded);
            self.pipelines.save();
            self.trouble.check()
        })
    }

    fn write(&mut self, buffer: BufferId, at: u32, words: &[u32]) -> Result<()> {
        self.trouble.check()?;
        let loaded = self.loaded.as_ref().ok_or_else(nothing_loaded)?;
        let to = loaded.held(buffer)?;
        if to.rows.is_some() || u64::from(at) + words.len() as u64 > to.words {
            let name = &loaded.program.buffer(buffer).name;
            return Err(Fault::caller(format!("{} words at {at} of {} in \"{name}\"", words.len(), to.words)));
        }
        self.queue.write_buffer(&to.buffer, u64::from(at) * 4, cast_slice(words));
        Ok(())
    }

    fn submit(&mut self, key: StepKey, times: u32, fetch: Option<Fetch>) -> Result<()> {
        self.trouble.check()?;
        if times > 1 && key.want != Want::Choice {
            return Err(Fault::caller("only a plan that chooses the next token repeats without the host"));
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
        let loaded = self.loaded.as_ref().ok_or_else(nothing_loaded)?;
        let recorded = loaded.plans.get(&key).ok_or_else(|| Fault::bug(format!("{key:?} was not compiled")))?;
        recorded.encode(&mut encoder, times);
        let dispatches = recorded.len() as u64 * u64::from(times);
        let staging = fetch.map(|range| self.copy_out(&mut encoder, range).map(|s| (s, range.words))).transpose()?;
        let submission = self.queue.submit([encoder.finish()]);
        self.counters.submits += 1;
        self.counters.dispatches += dispatches;
        if let (Some((mut staging, words)), Some(loaded)) = (staging, &mut self.loaded) {
            staging.map(submission);
            loaded.outstanding.push_back(Outstanding { staging, words });
        }
        Ok(())
    }

    fn fetched(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        Box::pin(async move {
            self.trouble.check()?;
            let loaded = self.loaded.as_mut().ok_or_else(nothing_loaded)?;
            let out = loaded.outstanding.pop_front();
            self.arrive(out.ok_or_else(|| Fault::bug("nothing was asked to be read back"))?).await
        })
    }

    fn read(&mut self, range: Fetch) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
        Box::pin(async move {
            self.trouble.check()?;
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
            let mut staging = self.copy_out(&mut encoder, range)?;
            let submission = self.queue.submit([encoder.finish()]);
            self.counters.submits += 1;
            staging.map(submission);
            self.arrive(Outstanding { staging, words: range.words }).await
        })
    }

    fn discard_fetches(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.outstanding.clear();
        }
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn dispatches(&self, key: StepKey) -> u32 {
        self.loaded.as_ref().and_then(|l| l.plans.get(&key)).map_or(0, |r| r.len() as u32)
    }

    fn memory(&self) -> u64 {
        self.loaded.as_ref().map_or(0, |l| l.bytes)
    }
}
