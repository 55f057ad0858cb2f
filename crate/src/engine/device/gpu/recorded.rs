//! A plan with everything a run needs made: pipelines, bind groups, parameter blocks, grids.

use crate::{
    engine::{
        kernels::{self, Dispatch, Lowering, Needs},
        shader::Access,
    },
    fault::{Fault, Result},
};

use super::{
    buffers::Held,
    pipelines::{Pipeline, Pipelines},
};

/// Parameter blocks lie in one buffer at this distance: the largest alignment an adapter may ask for.
const PARAMS_STRIDE: usize = 256;

/// A recorded plan.
pub(super) struct Recorded {
    dispatches: Vec<Ready>,
}

struct Ready {
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
            for ready in &self.dispatches {
                pass.set_pipeline(&ready.pipeline);
                pass.set_bind_group(0, &ready.group, &[]);
                let [x, y, z] = ready.grid;
                pass.dispatch_workgroups(x, y, z);
            }
        }
    }
}

/// What recording reads.
pub(super) struct Recorder<'a> {
    pub(super) device: &'a wgpu::Device,
    pub(super) queue: &'a wgpu::Queue,
    pub(super) buffers: &'a [Held],
}

impl Recorder<'_> {
    /// Makes everything a run of the plan needs.
    ///
    /// # Errors
    /// A step that no kernel takes or that does not fit its buffers; a shader the driver refuses.
    pub(super) async fn record(&self, with: &Lowering<'_>, pipelines: &mut Pipelines) -> Result<Recorded> {
        let mut dispatches = Vec::new();
        for step in with.program.plan(with.key.want) {
            for dispatch in kernels::lower(step, with)? {
                self.check(&dispatch).map_err(|f| Fault { what: format!("{}: {}", step.label, f.what), ..f })?;
                pipelines.prepare(self.device, &dispatch.variant).await?;
                dispatches.push(dispatch);
            }
        }
        let mut blocks = vec![0_u8; dispatches.len().max(1) * PARAMS_STRIDE];
        for (dispatch, block) in dispatches.iter().zip(blocks.chunks_exact_mut(PARAMS_STRIDE)) {
            block[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let params = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: blocks.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&params, 0, &blocks);
        let ready = dispatches
            .iter()
            .enumerate()
            .map(|(i, dispatch)| self.ready(dispatch, pipelines.get(&dispatch.variant)?, &params, i * PARAMS_STRIDE))
            .collect::<Result<Vec<_>>>();
        match scope.pop().await {
            Some(error) => Err(Fault::bug(format!("the GPU refused a plan's bindings: {error}"))),
            None => Ok(Recorded { dispatches: ready? }),
        }
    }

    fn ready(&self, dispatch: &Dispatch, made: &Pipeline, params: &wgpu::Buffer, offset: usize) -> Result<Ready> {
        let mut entries = Vec::with_capacity(made.bindings.len());
        for binding in &made.bindings {
            let resource = if binding.access == Access::Uniform {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: params,
                    offset: offset as u64,
                    size: std::num::NonZeroU64::new(dispatch.params.len().next_multiple_of(16) as u64),
                })
            } else {
                let bind = dispatch.binds.iter().find(|b| b.name == binding.name).ok_or_else(|| {
                    Fault::bug(format!("{} has nothing for {}", dispatch.variant.label(), binding.name))
                })?;
                self.buffer(dispatch, bind.buffer.0)?.binding()
            };
            entries.push(wgpu::BindGroupEntry { binding: binding.number, resource });
        }
        let label = dispatch.variant.label();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&label),
            layout: &made.layout,
            entries: &entries,
        });
        Ok(Ready { pipeline: made.pipeline.clone(), group, grid: dispatch.grid })
    }

    fn buffer(&self, dispatch: &Dispatch, id: u32) -> Result<&Held> {
        let count = self.buffers.len();
        let label = || dispatch.variant.label();
        self.buffers.get(id as usize).ok_or_else(|| Fault::bug(format!("{} binds buffer {id} of {count}", label())))
    }

    /// Compares a dispatch with its buffers: kernels rely on these sizes.
    fn check(&self, dispatch: &Dispatch) -> Result<()> {
        let label = dispatch.variant.label();
        if dispatch.params.len() > PARAMS_STRIDE {
            return Err(Fault::bug(format!("{label} has {} parameter bytes", dispatch.params.len())));
        }
        for bind in &dispatch.binds {
            let held = self.buffer(dispatch, bind.buffer.0)?;
            let name = bind.name;
            match (bind.needs, held.rows) {
                (Needs::Words(words), None) if words <= held.words => {}
                (Needs::Any, None) => {}
                (Needs::Rows { encoding, rows, row_len }, Some(held))
                    if encoding == held.encoding() && rows <= held.rows && row_len == held.row_len => {}
                (Needs::Words(words), None) => {
                    let what = format!("{label} needs {words} words of {name}, which has {}", held.words);
                    return Err(Fault::bug(what));
                }
                (needs, _) => {
                    return Err(Fault::bug(format!("{label} needs {needs:?} of {name}, another buffer found")));
                }
            }
        }
        Ok(())
    }
}
