//! Compiled variants, made once and kept for the life of the device.

use std::collections::BTreeMap;

use crate::{
    engine::shader::{self, Access, Binding, Variant},
    fault::{Fault, Result},
};

use super::host;

/// A compiled variant.
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    /// Its bindings by number; the parameter block is the one of [`Access::Uniform`].
    pub(super) bindings: Vec<Binding>,
}

/// Every pipeline made so far.
pub(super) struct Pipelines {
    checked: bool,
    made: BTreeMap<Variant, Pipeline>,
    store: Option<host::PipelineStore>,
}

impl Pipelines {
    /// `checked`: keep bounds checks, loop bounds and zeroed workgroup memory.
    pub(super) fn new(checked: bool, store: Option<host::PipelineStore>) -> Self {
        Self { checked, made: BTreeMap::new(), store }
    }

    /// Compiles a variant unless it is there.
    pub(super) async fn prepare(&mut self, device: &wgpu::Device, variant: &Variant) -> Result<()> {
        if self.made.contains_key(variant) {
            return Ok(());
        }
        let composed = shader::compose(variant, host::TARGET)?;
        let label = variant.label();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let (layout, pipeline_layout) = layouts(device, &label, &composed.bindings);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(composed.text.into()),
        };
        let module = if self.checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: the sources are the crate's own; every index is bounded by `arrayLength`, by a parameter the host
            // checked against the bound buffers, or by a constant; every loop has a bound; no divisor is zero.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: self.checked,
            },
            cache: self.store.as_ref().map(|s| s.cache()),
        });
        if let Some(error) = scope.pop().await {
            return Err(Fault::device(format!("the shader \"{label}\" was refused: {error}")));
        }
        self.made.insert(variant.clone(), Pipeline { pipeline, layout, bindings: composed.bindings });
        Ok(())
    }

    /// A prepared variant.
    pub(super) fn get(&self, variant: &Variant) -> Result<&Pipeline> {
        self.made.get(variant).ok_or_else(|| Fault::bug(format!("the shader \"{}\" was not prepared", variant.label())))
    }

    /// Keeps what was compiled for the next start.
    pub(super) fn save(&mut self) {
        if let Some(store) = &mut self.store {
            store.save();
        }
    }
}

fn layouts(device: &wgpu::Device, label: &str, bindings: &[Binding]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = bindings
        .iter()
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding: binding.number,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding.access {
                    Access::Uniform => wgpu::BufferBindingType::Uniform,
                    access => wgpu::BufferBindingType::Storage { read_only: access == Access::Read },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let group =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries });
    let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(label),
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    (group, pipeline)
}
