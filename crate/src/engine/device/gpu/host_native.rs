//! What differs natively: adapters are enumerated, waiting blocks, pipelines can be kept on disk.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::fault::{Fault, Result};

use super::{GpuOptions, readback::Signal};

/// What a person can do who has no adapter at all.
pub(super) const NO_ADAPTER: &str = "no GPU adapter was found (on Linux a Vulkan driver and loader are needed: for example libvulkan1 and mesa-vulkan-drivers)";

/// wgpu reports the adapter's subgroup sizes.
pub(super) const KNOWS_SUBGROUP_SIZES: bool = true;

/// The dialect of the shader compiler inside wgpu.
pub(super) const TARGET: crate::engine::shader::Target = crate::engine::shader::Target::Native;

/// How long to spin before sleeping: a decode step is shorter than a wake-up.
const SPIN: Duration = Duration::from_micros(500);

pub(super) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(wgpu::Backends::PRIMARY).await
}

pub(super) fn backend_name(backend: wgpu::Backend) -> String {
    match backend {
        wgpu::Backend::Vulkan => "Vulkan".into(),
        wgpu::Backend::Metal => "Metal".into(),
        wgpu::Backend::Dx12 => "Direct3D 12".into(),
        other => format!("{other:?}"),
    }
}

pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Waits until a mapping is done: polls without sleeping for a moment, then blocks.
pub(super) async fn wait(
    device: &wgpu::Device,
    signal: &Signal,
    submission: Option<&wgpu::SubmissionIndex>,
) -> Result<()> {
    let start = Instant::now();
    while signal.result().is_none() && start.elapsed() < SPIN {
        poll(device, wgpu::PollType::Poll)?;
        std::hint::spin_loop();
    }
    if signal.result().is_none() {
        poll(device, wgpu::PollType::Wait { submission_index: submission.cloned(), timeout: None })?;
    }
    signal.result().unwrap_or_else(|| Err(Fault::device("the GPU finished without delivering a buffer")))
}

fn poll(device: &wgpu::Device, how: wgpu::PollType) -> Result<()> {
    device.poll(how).map(|_| ()).map_err(|e| Fault::device(format!("waiting for the GPU failed: {e}")))
}

/// Lets finished work release its memory.
pub(super) fn tick(device: &wgpu::Device) -> Result<()> {
    poll(device, wgpu::PollType::Poll)
}

/// Waits until the queue is empty.
pub(super) async fn idle(device: &wgpu::Device, _queue: &wgpu::Queue) -> Result<()> {
    poll(device, wgpu::PollType::wait_indefinitely())
}

/// A cache of compiled pipelines and the file it lives in.
pub(super) struct PipelineStore {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    loaded: usize,
}

impl PipelineStore {
    /// Opens the store of this adapter, where the options name a folder and the driver can.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, options: &GpuOptions) -> Option<Self> {
        let path = options.cache_dir.as_ref()?.join(wgpu::util::pipeline_cache_key(info)?);
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let data = std::fs::read(&path).ok();
        // SAFETY: the data came from `get_data` (`save` below wrote the file, whole, under the adapter's own key);
        // wgpu checks its header against the adapter and falls back to an empty cache.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("glassbox"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        Some(Self { cache, path, loaded: data.map_or(0, |d| d.len()) })
    }

    pub(super) fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Writes the store if it grew. A failure costs only the next start's time, so it is not reported.
    pub(super) fn save(&mut self) {
        let Some(data) = self.cache.get_data().filter(|d| d.len() != self.loaded) else { return };
        let temporary = self.path.with_extension(format!("{}.part", std::process::id()));
        let written =
            self.path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&temporary, &data));
        if written.and_then(|()| std::fs::rename(&temporary, &self.path)).is_ok() {
            self.loaded = data.len();
        }
    }
}

/// A clock, in microseconds from some start.
pub(super) fn microseconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e6
}
