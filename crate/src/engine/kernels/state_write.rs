//! Rows to be remembered.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases},
    params,
};
use crate::{
    engine::{
        program::{CacheType, Step},
        shader::{self, Variant, part},
    },
    fault::Result,
    ir::{Dim, Op, StateId},
};

pub(super) static KERNEL: Kernel = Kernel {
    name: "state_write",
    source: part!("kernels/state_write"),
    params: Params::FIELDS,
    takes,
    variants,
    cases,
};

params!(Params { count_at: u32, max_rows: u32, width: u32, x_offset: u32, x_stride: u32, group: u32, state_rows: u32 });

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::StateWrite(_) = step.op else { return Ok(None) };
    let (Some(x), Some(state)) = (with.view(step.inputs.first()), with.state(step.outputs.first())) else {
        return Ok(None);
    };
    if x.width != state.width {
        return Ok(None);
    }
    let params = Params {
        count_at: x.rows.at,
        max_rows: x.rows.most,
        width: x.width,
        x_offset: x.offset,
        x_stride: x.stride,
        group: state.group,
        state_rows: state.rows,
    };
    let chunk = shader::chunk(state.cache)?;
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).cache(state.cache),
        grid: KERNEL.lanes(x.items(x.width.div_ceil(chunk)))?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), x.bind("x"), state.bind("state")],
    }]))
}

fn variants() -> Vec<Variant> {
    CacheType::ALL.iter().map(|c| Variant::of(KERNEL.source).cache(*c)).collect()
}

fn cases(all: &mut Cases) {
    for cache in CacheType::ALL {
        for width in [1, 31, 33, 96, 172, 257, 576] {
            let mut case = Case::new(format!("{} width={width}", cache.name()), 12, 9);
            case.sequences(200, 2, &[(3, 4), (0, 1), (150, 4)]).quick(width == 96);
            let x = case.strided(Dim::Rows, width, 3, width + 2);
            let state = case.state(*cache, width, 1, 1.0);
            match cache {
                CacheType::F32 => case.exact(),
                _ => case.tolerance(2e-5),
            };
            all.step_into("state_write", case, Op::StateWrite(StateId(0)), &[x], &[state]);
        }
    }
}
