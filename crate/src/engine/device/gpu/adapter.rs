//! Which adapter, which tier, which limits.

use crate::{
    engine::device::{DeviceChoice, Tier},
    fault::{Fault, Result},
};

use super::host;

/// One adapter, for listings.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSummary {
    /// Its number in [`list`], accepted by [`DeviceChoice::Adapter`].
    pub index: usize,
    /// "NVIDIA H200".
    pub name: String,
    /// "Vulkan", "WebGPU".
    pub backend: String,
    /// Driver name and version, where known.
    pub driver: String,
    /// "discrete GPU", "integrated GPU", "software".
    pub kind: &'static str,
    /// Runs on the CPU (llvmpipe, SwiftShader).
    pub software: bool,
    /// Tiers it can run, lowest first.
    pub tiers: Vec<Tier>,
    /// Subgroup sizes, least and most, where known.
    pub subgroups: Option<(u32, u32)>,
    /// The largest storage binding, in bytes.
    pub max_binding_bytes: u64,
    /// The largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// Workgroup memory, in bytes.
    pub workgroup_memory: u32,
    /// Storage bindings a kernel may have.
    pub max_storage_bindings: u32,
    /// Names of the optional features that matter to Glassbox.
    pub features: Vec<&'static str>,
}

/// What the opener of a device may ask for beyond the choice of adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Use this tier, whatever the adapter could do; natively also `GLASSBOX_TIER=core|subgroup`.
    pub tier: Option<Tier>,
    /// In a browser: the subgroup shim is installed and the adapter has the feature (wgpu cannot tell).
    pub web_subgroups: bool,
    /// Split weights beyond this many bytes, although the device could take more.
    pub max_buffer_bytes: Option<u64>,
    /// Keep the shaders' bounds checks and zeroed workgroup memory; `None`: in debug builds only.
    pub checked: Option<bool>,
    /// Natively: a folder where compiled pipelines are kept between runs, where the driver supports it.
    pub cache_dir: Option<std::path::PathBuf>,
}

/// A chosen adapter and why.
pub(super) struct Chosen {
    pub(super) adapter: wgpu::Adapter,
    pub(super) summary: AdapterSummary,
    pub(super) reason: String,
}

pub(super) fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    // Validation layers are for wgpu's own debugging; indirect calls are never made.
    descriptor.flags = wgpu::InstanceFlags::empty();
    wgpu::Instance::new(descriptor)
}

/// Every adapter of this machine; in a browser the one it offers.
pub async fn list(options: &GpuOptions) -> Vec<AdapterSummary> {
    let adapters = host::adapters(&instance()).await;
    adapters.iter().enumerate().map(|(index, adapter)| summary(index, adapter, options)).collect()
}

/// The adapter for a choice. [`DeviceChoice::Auto`] takes no software adapter.
///
/// # Errors
/// There is no such adapter; the sentence says what was found instead.
pub(super) async fn choose(choice: &DeviceChoice, options: &GpuOptions) -> Result<Chosen> {
    let mut found: Vec<(wgpu::Adapter, AdapterSummary)> = Vec::new();
    for (index, adapter) in host::adapters(&instance()).await.into_iter().enumerate() {
        let summary = summary(index, &adapter, options);
        found.push((adapter, summary));
    }
    let listed = found.iter().map(|f| f.1.name.as_str()).collect::<Vec<_>>().join(", ");
    let best = |found: &[(wgpu::Adapter, AdapterSummary)], software: bool| {
        (0..found.len()).filter(|&i| software || !found[i].1.software).min_by_key(|&i| rank(&found[i].0.get_info()))
    };
    let (position, reason) = match choice {
        DeviceChoice::Cpu => return Err(Fault::bug("the CPU was asked of the GPU room")),
        DeviceChoice::Adapter(n) => (Some(*n).filter(|&n| n < found.len()), format!("adapter {n} was asked for")),
        DeviceChoice::Gpu => (best(&found, true), "a GPU was asked for".to_owned()),
        DeviceChoice::Auto => (best(&found, false), "it is a real GPU".to_owned()),
    };
    let Some(position) = position else {
        return Err(Fault::device(match (choice, found.is_empty()) {
            (_, true) => host::NO_ADAPTER.to_owned(),
            (DeviceChoice::Adapter(n), _) => format!("there is no adapter {n}; found: {listed}"),
            _ => format!("the only GPU adapter is software ({listed}), which is slower than the CPU path"),
        }));
    };
    let (adapter, summary) = found.swap_remove(position);
    Ok(Chosen { adapter, summary, reason })
}

/// Lower is better.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    if is_software(info) {
        return 4;
    }
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// wgpu reports a browser's fallback adapter as a CPU; names catch the rest.
fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = format!("{} {} {}", info.name, info.driver, info.driver_info).to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu
        || ["llvmpipe", "lavapipe", "swiftshader", "basic render driver", "software"].iter().any(|s| name.contains(s))
}

fn has_subgroups(adapter: &wgpu::Adapter, options: &GpuOptions) -> bool {
    options.web_subgroups || adapter.features().contains(wgpu::Features::SUBGROUP)
}

fn summary(index: usize, adapter: &wgpu::Adapter, options: &GpuOptions) -> AdapterSummary {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let software = is_software(&info);
    let mut tiers = vec![Tier::Core];
    if has_subgroups(adapter, options) {
        tiers.push(Tier::Subgroup);
    }
    let named = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
        (wgpu::Features::IMMEDIATES, "immediates"),
        (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative matrix"),
    ];
    let kind = match (software, info.device_type) {
        (true, _) => "software",
        (_, wgpu::DeviceType::DiscreteGpu) => "discrete GPU",
        (_, wgpu::DeviceType::IntegratedGpu) => "integrated GPU",
        (_, wgpu::DeviceType::VirtualGpu) => "virtual GPU",
        _ => "GPU",
    };
    AdapterSummary {
        index,
        name: if info.name.is_empty() { "GPU".into() } else { info.name.clone() },
        backend: host::backend_name(info.backend),
        driver: [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_owned(),
        kind,
        software,
        tiers,
        subgroups: (host::KNOWS_SUBGROUP_SIZES && features.contains(wgpu::Features::SUBGROUP))
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_storage_bindings: limits.max_storage_buffers_per_shader_stage,
        features: named.iter().filter(|n| features.contains(n.0)).map(|n| n.1).collect(),
    }
}

/// The tier to run: what is asked for if the adapter can, else the highest it can.
///
/// # Errors
/// The asked tier is beyond the adapter, or the environment names no tier.
pub(super) fn tier(summary: &AdapterSummary, options: &GpuOptions) -> Result<(Tier, String)> {
    let asked = match options.tier {
        Some(tier) => Some((tier, "it was asked for".to_owned())),
        None => match host::env("GLASSBOX_TIER").as_deref() {
            None | Some("") => None,
            Some("core") => Some((Tier::Core, "GLASSBOX_TIER asks for it".to_owned())),
            Some("subgroup") => Some((Tier::Subgroup, "GLASSBOX_TIER asks for it".to_owned())),
            Some(other) => {
                return Err(Fault::caller(format!("GLASSBOX_TIER is \"{other}\"; \"core\" or \"subgroup\" expected")));
            }
        },
    };
    match asked {
        Some((tier, _)) if !summary.tiers.contains(&tier) => {
            Err(Fault::device(format!("{} has no subgroup operations, which the subgroup tier needs", summary.name)))
        }
        Some(asked) => Ok(asked),
        None if summary.tiers.contains(&Tier::Subgroup) => Ok((Tier::Subgroup, "the adapter has subgroups".to_owned())),
        None => Ok((Tier::Core, "the adapter offers no subgroups".to_owned())),
    }
}
