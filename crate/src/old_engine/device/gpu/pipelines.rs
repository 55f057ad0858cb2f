//! Compiled variants, made once and kept for the life of the device.

use std::collections::BTreeMap;

use crate::{
    old_engine::{
        kernel::KernelId,
        shader::{self, Variant},
    },
    fault::{Fault, Result},
};

use super::host;

/// Every pipeline made so far, and the layouts they share.
pub(super) struct Pipelines {
    checked: bool,
    made: BTreeMap<Variant, wgpu::ComputePipeline>,
    layouts: BTreeMap<KernelId, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    store: Option<host::PipelineStore>,
}

impl Pipelines {
    /// `checked`: keep bounds checks, loop bounds and zeroed workgroup memory.
    pub(super) fn new(checked: bool, store: Option<host::PipelineStore>) -> Self {
        Self { checked, made: BTreeMap::new(), layouts: BTreeMap::new(), store }
    }

    /// Compiles a variant unless it is there.
    pub(super) async fn prepare(&mut self, device: &wgpu::Device, variant: Variant) -> Result<()> {
        if self.made.contains_key(&variant) {
            return Ok(());
        }
        let source = shader::compose(&variant, host::TARGET)?;
        let label = variant.label();
        self.layouts.entry(variant.kernel).or_insert_with(|| layouts(device, variant.kernel));
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(source.into()) };
        let module = if self.checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: the sources are the crate's own; every index is bounded by `arrayLength`, by a parameter the host
            // checked against the bound buffers, or by a constant; every loop has a bound; no divisor is zero.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: self.layouts.get(&variant.kernel).map(|l| &l.1),
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
        self.made.insert(variant, pipeline);
        Ok(())
    }

    /// A prepared variant and its bind group layout.
    pub(super) fn get(&self, variant: &Variant) -> Result<(&wgpu::ComputePipeline, &wgpu::BindGroupLayout)> {
        match (self.made.get(variant), self.layouts.get(&variant.kernel)) {
            (Some(pipeline), Some(layout)) => Ok((pipeline, &layout.0)),
            _ => Err(Fault::bug(format!("the shader \"{}\" was not prepared", variant.label()))),
        }
    }

    /// Keeps what was compiled for the next start.
    pub(super) fn save(&mut self) {
        if let Some(store) = &mut self.store {
            store.save();
        }
    }
}

/// Binding 0 is the parameter block, then the kernel's inputs (read-only) and outputs.
fn layouts(device: &wgpu::Device, kernel: KernelId) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let (bindings, outputs) = (shader::bindings(kernel), kernel.outputs());
    let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..=bindings)
        .map(|i| wgpu::BindGroupLayoutEntry {
            binding: i as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match i {
                    0 => wgpu::BufferBindingType::Uniform,
                    _ => wgpu::BufferBindingType::Storage { read_only: i <= bindings - outputs },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let group = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name()), entries: &entries });
    let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name()),
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    (group, pipeline)
}
