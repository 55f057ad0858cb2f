//! What differs in a browser: it offers one adapter, waiting is awaiting, nothing is kept on disk.

use crate::fault::Result;

use super::{GpuOptions, readback::Signal};

/// What a person can do who has no adapter at all.
pub(super) const NO_ADAPTER: &str = "this browser offers no WebGPU adapter";

/// WebGPU tells subgroup sizes to JavaScript only.
pub(super) const KNOWS_SUBGROUP_SIZES: bool = false;

/// The dialect of the browser's shader compiler.
pub(super) const TARGET: crate::engine::shader::Target = crate::engine::shader::Target::Web;

pub(super) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let want = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    instance.request_adapter(&want).await.into_iter().collect()
}

pub(super) fn backend_name(_: wgpu::Backend) -> String {
    "WebGPU".into()
}

pub(super) fn env(_: &str) -> Option<String> {
    None
}

/// Waits until a mapping is done.
pub(super) async fn wait(_: &wgpu::Device, signal: &Signal, _: Option<&wgpu::SubmissionIndex>) -> Result<()> {
    match signal.result() {
        Some(result) => result,
        None => signal.clone().await,
    }
}

/// Lets finished work release its memory: the browser does so by itself.
pub(super) fn tick(_: &wgpu::Device) -> Result<()> {
    Ok(())
}

/// Waits until the queue is empty.
pub(super) async fn idle(_: &wgpu::Device, queue: &wgpu::Queue) -> Result<()> {
    let signal = Signal::default();
    let done = signal.clone();
    queue.on_submitted_work_done(move || done.set(Ok(())));
    signal.await
}

/// Browsers keep compiled pipelines themselves.
pub(super) struct PipelineStore(std::convert::Infallible);

impl PipelineStore {
    pub(super) fn open(_: &wgpu::Device, _: &wgpu::AdapterInfo, _: &GpuOptions) -> Option<Self> {
        None
    }
    pub(super) fn cache(&self) -> &wgpu::PipelineCache {
        match self.0 {}
    }
    pub(super) fn save(&mut self) {}
}

/// A clock, in microseconds from some start.
pub(super) fn microseconds() -> f64 {
    js_sys::Date::now() * 1000.0
}
