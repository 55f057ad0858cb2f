//! Every shader that can be asked for is composed, parsed and validated; Rust and WGSL agree on layouts and constants.

use std::{collections::BTreeSet, path::Path};

use glassbox::old_engine::{
    device::Tier,
    kernel::{AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, PickParams, RopeParams, WidthParams},
    shader::{self, BLOCKS, KERNELS, LIBS, Target, Variant, compose},
};
use naga::{
    AddressSpace, Module, TypeInner,
    valid::{Capabilities, ValidationFlags, Validator},
};

/// naga knows subgroups without being asked and rejects `enable subgroups;`, so the web dialect is checked without that line.
fn parsed(variant: &Variant, target: Target) -> Module {
    let text = compose(variant, target).unwrap();
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

fn one_variant(kernel: KernelId) -> Variant {
    let variant = Variant::all().into_iter().find(|v| v.kernel == kernel);
    variant.unwrap_or_else(|| panic!("{kernel:?} has no variant"))
}

#[test]
fn every_variant_is_valid_in_both_dialects() {
    let all = Variant::all();
    // Per encoding: embed, matmul, and matvec in two tiers; ragged rows of three encodings for the last two kernels.
    let plain = KernelId::ALL.len() - 5;
    assert_eq!(all.len(), 4 * BLOCKS.len() + 3 * 3 + 2 + 4 + plain);
    for variant in &all {
        parsed(variant, Target::Native);
        parsed(variant, Target::Web);
    }
}

#[test]
fn only_web_shaders_with_subgroup_operations_ask_for_them() {
    for variant in Variant::all() {
        let native = compose(&variant, Target::Native).unwrap();
        let web = compose(&variant, Target::Web).unwrap();
        assert!(!native.contains("enable "), "{}", variant.label());
        assert_eq!(web.starts_with("enable subgroups;"), native.contains("subgroupAdd("), "{}", variant.label());
    }
}

/// Name, offset and size of each member.
fn members(module: &Module) -> Vec<(String, u32, u32)> {
    let (_, params) = module
        .global_variables
        .iter()
        .find(|(_, g)| g.space == AddressSpace::Uniform)
        .expect("a uniform parameter block");
    let TypeInner::Struct { members, .. } = &module.types[params.ty].inner else { panic!("Params is no struct") };
    let size = |m: &naga::StructMember| module.types[m.ty].inner.size(module.to_ctx());
    members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset, size(m))).collect()
}

macro_rules! layout {
    ($params:ty { $($field:ident),* } pad $pad:literal) => {
        (
            stringify!($params),
            size_of::<$params>() as u32,
            vec![$((stringify!($field), std::mem::offset_of!($params, $field) as u32)),*],
            $pad as usize,
        )
    };
}

#[test]
fn parameter_blocks_have_the_same_layout_in_rust_and_wgsl() {
    for &kernel in KernelId::ALL {
        let (name, size, fields, pads) = match kernel {
            KernelId::Embed => layout!(EmbedParams { width, first_row, rows, scale } pad 0),
            KernelId::RmsNorm => layout!(NormParams { width, eps } pad 2),
            KernelId::MatVec | KernelId::MatMul => {
                layout!(LinearParams { k, rows, first_row, y_stride, accumulate } pad 3)
            }
            KernelId::Rope => layout!(RopeParams { heads, head_dim, half, neox } pad 0),
            KernelId::Attention => layout!(AttentionParams { heads, kv_heads, head_dim, context, scale } pad 3),
            KernelId::Pick => layout!(PickParams { vocab, ring_len } pad 2),
            KernelId::AddBias
            | KernelId::KvWrite
            | KernelId::SiluMul
            | KernelId::Add
            | KernelId::LastRow
            | KernelId::Advance => layout!(WidthParams { width } pad 3),
        };
        let found = members(&parsed(&one_variant(kernel), Target::Native));
        let named: Vec<(&str, u32)> = found.iter().map(|m| (m.0.as_str(), m.1)).take(fields.len()).collect();
        assert_eq!(named, fields, "{kernel:?} against {name}");
        assert_eq!(found.len(), fields.len() + pads, "{kernel:?} against {name}");
        assert_eq!(found.last().map(|m| m.1 + m.2), Some(size), "{kernel:?} against {name}");
        assert!(found.iter().all(|m| m.2 == 4), "{kernel:?} against {name}");
    }
}

#[test]
fn bindings_are_as_the_host_lays_them_out() {
    for variant in Variant::all() {
        let module = parsed(&variant, Target::Native);
        let mut bindings: Vec<(u32, AddressSpace)> = module
            .global_variables
            .iter()
            .filter_map(|(_, g)| g.binding.as_ref().map(|b| (b.binding, g.space)))
            .collect();
        bindings.sort_by_key(|b| b.0);
        let total = shader::bindings(variant.kernel);
        assert!(total <= 8, "{}: {total} storage bindings", variant.label());
        assert_eq!(bindings.len(), total + 1, "{}", variant.label());
        for (i, (binding, space)) in bindings.into_iter().enumerate() {
            assert_eq!(binding as usize, i, "{}", variant.label());
            let writes = i > total - variant.kernel.outputs();
            match space {
                AddressSpace::Uniform => assert_eq!(i, 0, "{}", variant.label()),
                AddressSpace::Storage { access } => {
                    assert_eq!(access.contains(naga::StorageAccess::STORE), writes, "{} binding {i}", variant.label());
                }
                other => panic!("{} binding {i} is in {other:?}", variant.label()),
            }
        }
    }
}

#[test]
fn the_host_knows_each_kernels_tile() {
    for variant in Variant::all() {
        let module = parsed(&variant, Target::Native);
        let constant = |name: &str| -> Option<u32> {
            let (_, c) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
            match module.global_expressions[c.init] {
                naga::Expression::Literal(naga::Literal::U32(v)) => Some(v),
                _ => None,
            }
        };
        let geometry = shader::geometry(variant.kernel);
        let entry = &module.entry_points[0];
        assert_eq!(entry.name, "main", "{}", variant.label());
        assert_eq!(entry.workgroup_size, [geometry.lanes, 1, 1], "{}", variant.label());
        if matches!(variant.kernel, KernelId::MatVec | KernelId::MatMul) {
            assert_eq!(constant("ROWS"), Some(geometry.rows), "{}", variant.label());
        }
        if variant.kernel == KernelId::MatMul {
            assert_eq!(constant("TOKENS"), Some(geometry.tokens), "{}", variant.label());
        }
    }
}

#[test]
fn workgroups_stay_within_what_every_adapter_has() {
    for variant in Variant::all() {
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
fn every_shader_file_is_in_a_table_and_every_kernel_has_a_shader() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut on_disk = BTreeSet::new();
    for folder in ["lib", "blocks", "kernels"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            on_disk.insert(format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap()));
        }
    }
    let paths = LIBS.iter().map(|l| l.0).chain(BLOCKS.iter().map(|b| b.1.0)).chain(KERNELS.iter().map(|k| k.1.0));
    let in_tables: BTreeSet<String> = paths.map(str::to_owned).collect();
    assert_eq!(on_disk, in_tables);
    for kernel in KernelId::ALL {
        assert!(in_tables.contains(&format!("kernels/{}", kernel.name())), "{kernel:?}");
    }
    assert_eq!(KERNELS.len(), KernelId::ALL.len());
    for (encoding, (path, _)) in BLOCKS {
        assert_eq!(*path, format!("blocks/{encoding:?}").to_lowercase());
    }
}
