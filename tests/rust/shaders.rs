//! Every shader that can be asked for is composed, parsed and validated; Rust and WGSL agree on layouts and bindings.

use std::{collections::BTreeSet, path::Path};

use glassbox::engine::{
    device::Tier,
    kernels::{KERNELS, Kernel},
    shader::{Access, PARTS, Target, Variant, blocks::BLOCKS, compose, constant},
};
use naga::{
    AddressSpace, Module, Scalar, ScalarKind, TypeInner,
    valid::{Capabilities, ValidationFlags, Validator},
};

/// Every variant in every tier that it distinguishes.
fn all() -> Vec<(&'static Kernel, Variant)> {
    let mut all = Vec::new();
    for kernel in KERNELS {
        for variant in (kernel.variants)() {
            let subgroup = variant.clone().tier(Tier::Subgroup);
            if subgroup != variant {
                all.push((*kernel, subgroup));
            }
            all.push((*kernel, variant));
        }
    }
    all
}

/// naga knows subgroups without being asked and rejects `enable subgroups;`, so the web dialect is checked without that line.
fn parsed(variant: &Variant, target: Target) -> Module {
    let text = compose(variant, target).unwrap().text;
    let text = text.strip_prefix("enable subgroups;\n").unwrap_or(&text);
    let module = naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|e| panic!("{} for {target:?}:\n{}", variant.label(), e.emit_to_string(text)));
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if variant.tier == Tier::Subgroup {
        capabilities |= Capabilities::SUBGROUP;
    }
    Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{} for {target:?}:\n{}", variant.label(), e.emit_to_string(text)));
    module
}

#[test]
fn every_variant_is_valid_in_both_dialects() {
    let all = all();
    // Of each encoding: embed; matmul in four forms; matvec in four forms and two tiers; ragged rows.
    assert!(all.len() > 20 * BLOCKS.len(), "{}", all.len());
    let labels: BTreeSet<String> = all.iter().map(|(_, v)| v.label()).collect();
    assert_eq!(labels.len(), all.len(), "labels tell variants apart");
    for (_, variant) in &all {
        parsed(variant, Target::Native);
        parsed(variant, Target::Web);
    }
}

#[test]
fn only_web_shaders_with_subgroup_operations_ask_for_them() {
    for (_, variant) in all() {
        let native = compose(&variant, Target::Native).unwrap().text;
        let web = compose(&variant, Target::Web).unwrap().text;
        assert!(!native.contains("enable "), "{}", variant.label());
        assert_eq!(web.starts_with("enable subgroups;"), native.contains("subgroupAdd("), "{}", variant.label());
    }
}

/// Name, offset and type of each member of the parameter block.
fn members(module: &Module) -> Vec<(String, u32, &'static str)> {
    let (_, params) = module
        .global_variables
        .iter()
        .find(|(_, g)| g.space == AddressSpace::Uniform)
        .expect("a uniform parameter block");
    let TypeInner::Struct { members, .. } = &module.types[params.ty].inner else { panic!("Params is no struct") };
    let name = |m: &naga::StructMember| match module.types[m.ty].inner {
        TypeInner::Scalar(Scalar { kind: ScalarKind::Float, width: 4 }) => "f32",
        TypeInner::Scalar(Scalar { kind: ScalarKind::Uint, width: 4 }) => "u32",
        _ => "another type",
    };
    members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset, name(m))).collect()
}

#[test]
fn parameter_blocks_have_the_same_layout_in_rust_and_wgsl() {
    for kernel in KERNELS {
        let variant = (kernel.variants)().remove(0);
        let found = members(&parsed(&variant, Target::Native));
        let in_rust: Vec<(String, u32, &str)> =
            (0..).zip(kernel.params).map(|(i, (name, kind))| ((*name).to_owned(), 4 * i, *kind)).collect();
        assert_eq!(found, in_rust, "{}", kernel.name);
        assert!(4 * found.len() <= 256, "{}: the device lays parameter blocks 256 bytes apart", kernel.name);
    }
}

#[test]
fn bindings_are_as_the_composer_reads_them() {
    for (_, variant) in all() {
        let label = variant.label();
        let module = parsed(&variant, Target::Native);
        let mut found: Vec<(u32, String, Access)> = module
            .global_variables
            .iter()
            .filter_map(|(_, g)| {
                let access = match g.space {
                    AddressSpace::Uniform => Access::Uniform,
                    AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => Access::Write,
                    _ => Access::Read,
                };
                Some((g.binding.as_ref()?.binding, g.name.clone()?, access))
            })
            .collect();
        found.sort_by_key(|b| b.0);
        let mut read: Vec<(u32, String, Access)> = compose(&variant, Target::Native)
            .unwrap()
            .bindings
            .into_iter()
            .map(|b| (b.number, b.name, b.access))
            .collect();
        read.sort_by_key(|b| b.0);
        assert_eq!(found, read, "{label}");
        let storage = read.iter().filter(|b| b.2 != Access::Uniform).count();
        assert!(storage <= 8, "{label}: {storage} storage bindings");
        assert_eq!(read.iter().filter(|b| b.2 == Access::Uniform).count(), 1, "{label}");
    }
}

#[test]
fn a_workgroup_has_as_many_lanes_as_its_constant_says() {
    for (kernel, variant) in all() {
        let module = parsed(&variant, Target::Native);
        let entry = &module.entry_points[0];
        assert_eq!(entry.name, "main", "{}", variant.label());
        assert_eq!(entry.workgroup_size, [constant(&kernel.source, "WG").unwrap(), 1, 1], "{}", variant.label());
    }
}

#[test]
fn workgroups_stay_within_what_every_adapter_has() {
    for (_, variant) in all() {
        let module = parsed(&variant, Target::Native);
        let memory: u32 = module
            .global_variables
            .iter()
            .filter(|(_, g)| g.space == AddressSpace::WorkGroup)
            .map(|(_, g)| module.types[g.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(memory <= 16 << 10, "{}: {memory} bytes of workgroup memory", variant.label());
        let lanes: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(lanes <= 256, "{}: {lanes} lanes", variant.label());
    }
}

#[test]
fn every_shader_file_is_in_a_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut on_disk = BTreeSet::new();
    for folder in ["lib", "ops", "blocks", "kernels"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            on_disk.insert(format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap()));
        }
    }
    let paths = PARTS.iter().chain(BLOCKS.iter().map(|b| &b.part)).chain(KERNELS.iter().map(|k| &k.source));
    let in_tables: BTreeSet<String> = paths.map(|p| p.path.to_owned()).collect();
    assert_eq!(on_disk, in_tables);
    for kernel in KERNELS {
        assert_eq!(kernel.source.path, format!("kernels/{}", kernel.name));
    }
    for block in BLOCKS {
        assert_eq!(block.part.path, format!("blocks/{:?}", block.encoding).to_lowercase());
    }
}

#[test]
fn every_elementwise_operation_has_a_function_and_every_function_an_operation() {
    let text = PARTS.iter().find(|p| p.path == "ops/elementwise").unwrap().text;
    let functions: BTreeSet<&str> =
        text.lines().filter_map(|l| l.strip_prefix("fn ")?.split_once('(')).map(|f| f.0).collect();
    let kernel = KERNELS.iter().find(|k| k.name == "elementwise").unwrap();
    let called: BTreeSet<&str> = (kernel.variants)().iter().flat_map(|v| v.links.iter().map(|l| l.function)).collect();
    assert_eq!(functions, called);
}
