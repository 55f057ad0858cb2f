//! A plan with everything a run needs made: pipelines, bind groups, parameter blocks, grids.

use crate::{
    old_engine::{
        device::Tier,
        plan::{Plan, Step},
        shader,
    },
    fault::{Fault, Result},
    tensor::Encoding,
};

use super::{
    buffers::SlotBuffer,
    launch::{self, Launch},
    pipelines::Pipelines,
};

/// Parameter blocks lie in one buffer at this distance: the largest alignment an adapter may ask for.
const PARAMS_STRIDE: usize = 256;

/// A recorded plan.
pub(super) struct Recorded {
    pub(super) batch: u32,
    dispatches: Vec<Dispatch>,
}

struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: [u32; 3],
}

impl Recorded {
    /// Dispatches of one run.
    pub(super) fn len(&self) -> usize {
        self.dispatches.len()
    }

    /// Adds one pass with the plan's dispatches, `times` over.
    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder, times: u32) {
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("run"), timestamp_writes: None });
        for _ in 0..times {
            for dispatch in &self.dispatches {
                pass.set_pipeline(&dispatch.pipeline);
                pass.set_bind_group(0, &dispatch.group, &[]);
                let [x, y, z] = dispatch.grid;
                pass.dispatch_workgroups(x, y, z);
            }
        }
    }
}

/// What recording reads.
pub(super) struct Recorder<'a> {
    pub(super) device: &'a wgpu::Device,
    pub(super) queue: &'a wgpu::Queue,
    pub(super) buffers: &'a [SlotBuffer],
    pub(super) tier: Tier,
}

impl Recorder<'_> {
    /// Makes everything a run of the plan needs.
    ///
    /// # Errors
    /// A step that does not fit its buffers (a mistake of the planner); a shader the driver refuses.
    pub(super) async fn record(&self, plan: &Plan, pipelines: &mut Pipelines) -> Result<Recorded> {
        let mut blocks = vec![0_u8; plan.steps.len().max(1) * PARAMS_STRIDE];
        let mut launches = Vec::with_capacity(plan.steps.len());
        for (step, block) in plan.steps.iter().zip(blocks.chunks_exact_mut(PARAMS_STRIDE)) {
            let launch = self.check(step, plan.batch)?;
            pipelines.prepare(self.device, launch.variant).await?;
            block[..step.params.len()].copy_from_slice(&step.params);
            launches.push(launch);
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let params = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: blocks.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&params, 0, &blocks);
        let mut dispatches = Vec::with_capacity(launches.len());
        for (i, (step, launch)) in plan.steps.iter().zip(launches).enumerate() {
            dispatches.push(self.dispatch(step, launch, &params, i * PARAMS_STRIDE, pipelines)?);
        }
        match scope.pop().await {
            Some(error) => Err(Fault::bug(format!("the GPU refused a plan's bindings: {error}"))),
            None => Ok(Recorded { batch: plan.batch, dispatches }),
        }
    }

    fn dispatch(
        &self,
        step: &Step,
        launch: Launch,
        params: &wgpu::Buffer,
        offset: usize,
        pipelines: &Pipelines,
    ) -> Result<Dispatch> {
        let (pipeline, layout) = pipelines.get(&launch.variant)?;
        let block = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: params,
            offset: offset as u64,
            size: std::num::NonZeroU64::new(step.params.len() as u64),
        });
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: block }];
        for (i, slot) in step.bind.iter().enumerate() {
            entries
                .push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource: self.buffer(step, slot.0)?.binding() });
        }
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(step.kernel.name()),
            layout,
            entries: &entries,
        });
        Ok(Dispatch { pipeline: pipeline.clone(), group, grid: launch.grid })
    }

    fn buffer(&self, step: &Step, slot: u32) -> Result<&SlotBuffer> {
        self.buffers
            .get(slot as usize)
            .ok_or_else(|| Fault::bug(format!("{} binds slot {slot} of {}", step.kernel.name(), self.buffers.len())))
    }

    /// Compares a step with its buffers: kernels rely on these sizes.
    fn check(&self, step: &Step, batch: u32) -> Result<Launch> {
        let name = step.kernel.name();
        let needs = launch::needs(step, batch)?;
        if step.bind.len() != needs.len() || needs.len() != shader::bindings(step.kernel) {
            return Err(Fault::bug(format!("{name} binds {} slots, {} expected", step.bind.len(), needs.len())));
        }
        if step.params.len() > PARAMS_STRIDE {
            return Err(Fault::bug(format!("{name} has {} parameter bytes", step.params.len())));
        }
        let mut encoding: Option<Encoding> = None;
        for (i, (slot, need)) in step.bind.iter().zip(needs).enumerate() {
            let buffer = self.buffer(step, slot.0)?;
            if buffer.words < need {
                return Err(Fault::bug(format!(
                    "{name} needs {need} values of binding {i}, which has {}",
                    buffer.words
                )));
            }
            match buffer.rows {
                Some(rows) if rows.packed && shader::has_block(step.kernel) => {
                    if launch::weight_shape(step)?.is_none_or(|(n, k)| n > rows.rows || k != rows.row_len) {
                        return Err(Fault::bug(format!(
                            "{name} and its weight [{}, {}] differ",
                            rows.rows, rows.row_len
                        )));
                    }
                    encoding = Some(rows.resident);
                }
                Some(rows) if rows.packed => {
                    return Err(Fault::bug(format!("{name} reads a weight that is packed for another kernel")));
                }
                _ => {}
            }
        }
        if shader::has_block(step.kernel) && encoding.is_none() {
            return Err(Fault::bug(format!("{name} has no weight")));
        }
        launch::launch(step, batch, encoding, self.tier)
    }
}
