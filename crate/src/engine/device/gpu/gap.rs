//! A micro-experiment: what a dispatch costs on this GPU, and what waiting for the one before adds.

use crate::{
    engine::device::DeviceChoice,
    fault::{Fault, Result},
};

use super::{
    GpuOptions,
    adapter::{self, AdapterSummary},
    host,
    readback::Staging,
};

/// Microseconds a dispatch in chains of tiny dispatches inside one pass.
#[derive(Debug, Clone, PartialEq)]
pub struct GapReport {
    /// The adapter.
    pub adapter: AdapterSummary,
    /// Dispatches in each chain.
    pub dispatches: u32,
    /// Each dispatch adds to what the one before wrote: submit to idle, divided by the number.
    pub dependent_wall_us: f64,
    /// The same by the GPU's own timestamps, where it has them.
    pub dependent_gpu_us: Option<f64>,
    /// Dispatches write 8 buffers in turn and read none of them: submit to idle, divided by the number.
    pub independent_wall_us: f64,
    /// The same by the GPU's own timestamps, where it has them.
    pub independent_gpu_us: Option<f64>,
    /// Host time to encode and submit the chain, divided by the number.
    pub encode_us: f64,
    /// An empty submit, its copy and its mapping: the cost of one round trip.
    pub round_trip_us: f64,
}

/// The kernel: one addition to a word a lane.
const ADD_ONE: &str = include_str!("../../../../shaders/bench/add_one.wgsl");

const BUFFERS: usize = 8;
const WORDS: u64 = 64;

/// Runs the experiment with chains of `dispatches` (1000 is plenty); the best of five runs each.
///
/// # Errors
/// There is no such adapter; the chain's result is wrong.
pub async fn dispatch_gap(choice: &DeviceChoice, options: &GpuOptions, dispatches: u32) -> Result<GapReport> {
    let dispatches = dispatches.max(1);
    let chosen = adapter::choose(choice, options).await?;
    let bench = Bench::new(&chosen.adapter).await?;
    let dependent = bench.best(dispatches, 1).await?;
    let independent = bench.best(dispatches, BUFFERS).await?;
    let mut round_trip_us = f64::INFINITY;
    for _ in 0..5 {
        let start = now();
        bench.read().await?;
        round_trip_us = round_trip_us.min(now() - start);
    }
    let n = f64::from(dispatches);
    Ok(GapReport {
        adapter: chosen.summary,
        dispatches,
        dependent_wall_us: dependent.wall / n,
        dependent_gpu_us: dependent.gpu.map(|us| us / n),
        independent_wall_us: independent.wall / n,
        independent_gpu_us: independent.gpu.map(|us| us / n),
        encode_us: dependent.encode / n,
        round_trip_us,
    })
}

/// Microseconds of a chain.
struct Times {
    wall: f64,
    gpu: Option<f64>,
    encode: f64,
}

struct Bench {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    buffers: Vec<(wgpu::Buffer, wgpu::BindGroup)>,
    stamps: Option<(wgpu::QuerySet, wgpu::Buffer)>,
}

fn now() -> f64 {
    host::microseconds()
}

impl Bench {
    async fn new(adapter: &wgpu::Adapter) -> Result<Self> {
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("dispatch gap"),
                required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
                ..wgpu::DeviceDescriptor::default()
            })
            .await
            .map_err(|e| Fault::device(format!("the adapter gave no device: {e}")))?;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("add one"),
            source: wgpu::ShaderSource::Wgsl(ADD_ONE.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("add one"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffers = (0..BUFFERS)
            .map(|_| {
                let buffer = buffer(&device, WORDS * 4, usage);
                let entry = wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() };
                let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &layout,
                    entries: &[entry],
                });
                (buffer, group)
            })
            .collect();
        let stamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            let set = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            (set, buffer(&device, 16, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC))
        });
        Ok(Self { device, queue, pipeline, buffers, stamps })
    }

    async fn best(&self, dispatches: u32, buffers: usize) -> Result<Times> {
        let mut best = Times { wall: f64::INFINITY, gpu: None, encode: f64::INFINITY };
        for _ in 0..5 {
            let times = self.chain(dispatches, buffers).await?;
            best.wall = best.wall.min(times.wall);
            best.encode = best.encode.min(times.encode);
            best.gpu = match (best.gpu, times.gpu) {
                (Some(a), Some(b)) => Some(f64::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        Ok(best)
    }

    async fn chain(&self, dispatches: u32, buffers: usize) -> Result<Times> {
        for (buffer, _) in &self.buffers {
            self.queue.write_buffer(buffer, 0, &[0; WORDS as usize * 4]);
        }
        self.queue.submit([]);
        host::idle(&self.device, &self.queue).await?;
        let start = now();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: self.stamps.as_ref().map(|(set, _)| wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            pass.set_pipeline(&self.pipeline);
            for i in 0..dispatches as usize {
                pass.set_bind_group(0, &self.buffers[i % buffers].1, &[]);
                pass.dispatch_workgroups(1, 1, 1);
            }
        }
        if let Some((set, to)) = &self.stamps {
            encoder.resolve_query_set(set, 0..2, to, 0);
        }
        self.queue.submit([encoder.finish()]);
        let encode = now() - start;
        host::idle(&self.device, &self.queue).await?;
        let wall = now() - start;
        let expected = dispatches / buffers as u32 + u32::from(dispatches as usize % buffers != 0);
        match self.read().await?.first() {
            Some(&found) if found == expected => {}
            found => return Err(Fault::device(format!("a chain of additions gave {found:?}, {expected} expected"))),
        }
        Ok(Times { wall, gpu: self.gpu_time().await?, encode })
    }

    async fn read(&self) -> Result<Vec<u32>> {
        self.copy_out(&self.buffers[0].0, WORDS).await
    }

    async fn gpu_time(&self) -> Result<Option<f64>> {
        let Some((_, from)) = &self.stamps else { return Ok(None) };
        let words = self.copy_out(from, 4).await?;
        let at = |i: usize| u64::from(words[i]) | u64::from(words[i + 1]) << 32;
        let ticks = at(2).saturating_sub(at(0));
        Ok(Some(ticks as f64 * f64::from(self.queue.get_timestamp_period()) / 1000.0))
    }

    async fn copy_out(&self, from: &wgpu::Buffer, words: u64) -> Result<Vec<u32>> {
        let mut staging = Staging::new(&self.device, words * 4);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(from, 0, staging.buffer(), 0, Some(words * 4));
        staging.map(self.queue.submit([encoder.finish()]));
        staging.words(&self.device, words as usize).await
    }
}

fn buffer(device: &wgpu::Device, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}
