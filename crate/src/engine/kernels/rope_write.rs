//! Queries, keys and values in one: queries rotated in place, rotated keys and values remembered.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, F32},
    params,
    rope::pairs,
};
use crate::{
    engine::{
        program::{CacheType, Operand, Step},
        shader::{self, Variant, part},
    },
    fault::Result,
    ir::{Dim, Fused, Input, Op, Pairing, Rope, StateId},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "rope_write", source: part!("kernels/rope_write"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    q: u32,
    k: u32,
    v: u32,
    head_dim: u32,
    half: u32,
    halves: u32,
    offset: u32,
    stride: u32,
    group: u32,
    state_rows: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::Fused(Fused::RopeWrite { rope, q, k, v, .. }) = &step.op else { return Ok(None) };
    let (x, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()));
    let (keys, values) = (with.state(step.outputs.get(1)), with.state(step.outputs.get(2)));
    let (Some(x), Some(y), Some(keys), Some(values)) = (x, y, keys, values) else { return Ok(None) };
    let (Some(table), Some((half, halves))) = (with.table(rope.rotation), pairs(rope)) else { return Ok(None) };
    let (q, k, v) = (*q, *k, *v);
    let alike = keys.cache == values.cache && keys.group == values.group && keys.rows == values.rows;
    let fits = y.is_same(&x) && y.width == q && x.width == q + k + v && keys.width == k && values.width == v;
    let heads = q % rope.head_dim == 0 && k % rope.head_dim == 0;
    let positions = step.inputs.get(1) == Some(&Operand::Input(Input::Positions));
    if !(alike && fits && heads && positions && keys.buffer != values.buffer) {
        return Ok(None);
    }
    let params = Params {
        count_at: x.rows.at,
        max_rows: x.rows.most,
        q,
        k,
        v,
        head_dim: rope.head_dim,
        half,
        halves,
        offset: x.offset,
        stride: x.stride,
        group: keys.group,
        state_rows: keys.rows,
    };
    let chunk = shader::chunk(keys.cache)?;
    let items = q / rope.head_dim * half + k.div_ceil(chunk) + v.div_ceil(chunk);
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).cache(keys.cache),
        grid: KERNEL.lanes(x.items(items))?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), table, x.bind("qkv"), keys.bind("keys"), values.bind("values")],
    }]))
}

fn variants() -> Vec<Variant> {
    CacheType::ALL.iter().map(|c| Variant::of(KERNEL.source).cache(*c)).collect()
}

fn cases(all: &mut Cases) {
    for cache in CacheType::ALL {
        for (heads, kv_heads, head_dim, dims) in [(1, 1, 8, 8), (9, 3, 64, 64), (4, 1, 20, 12), (2, 2, 33, 32)] {
            for pairing in [Pairing::Interleaved, Pairing::Halves] {
                let text = format!("{} heads={heads}/{kv_heads}x{head_dim} dims={dims} {pairing:?}", cache.name());
                let mut case = Case::new(text, 9, 8);
                case.sequences(300, 2, &[(260, 5), (13, 3)]).quick(head_dim == 64);
                case.tolerance(if *cache == CacheType::F32 { F32 } else { 2e-5 });
                let (q, k) = (heads * head_dim, kv_heads * head_dim);
                let rotation = case.rotation(dims);
                let (keys, values) = (case.state(*cache, k, 1, 1.0), case.state(*cache, k, 1, 1.0));
                let x = case.strided(Dim::Rows, q + 2 * k, 2, q + 2 * k + 5);
                let op = Op::Fused(Fused::RopeWrite {
                    rope: Rope { rotation, head_dim, dims, pairing },
                    q,
                    k,
                    v: k,
                    keys: StateId(0),
                    values: StateId(1),
                });
                let y = case.columns(&x, 0, q);
                let inputs = [x, case.input(Input::Positions)];
                all.step_into("rope_write", case, op, &inputs, &[y, keys, values]);
            }
        }
    }
}
