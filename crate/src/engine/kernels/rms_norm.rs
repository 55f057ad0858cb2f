//! Root mean square norm of rows, or of each head of a row.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, WIDTHS},
    in_place, params, within,
};
use crate::{
    engine::{
        program::Step,
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "rms_norm", source: part!("kernels/rms_norm"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    group: u32,
    eps: f32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    weight_offset: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::RmsNorm { eps, group } = step.op else { return Ok(None) };
    let (x, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()));
    let (Some(x), Some(weight), Some(y)) = (x, with.vector(step.inputs.get(1), group), y) else { return Ok(None) };
    let Some(over) = in_place(&x, &y, &[&weight]) else { return Ok(None) };
    if x.rows != y.rows || x.width != y.width || group == 0 || x.width % group != 0 {
        return Ok(None);
    }
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        group,
        eps,
        x_offset: x.offset,
        x_stride: x.stride,
        y_offset: y.offset,
        y_stride: y.stride,
        weight_offset: weight.offset,
    };
    let mut binds = vec![with.batch(), weight.bind("weight"), y.bind("y")];
    if !over {
        binds.push(x.bind("x"));
    }
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).tier(with.tier).flag("in_place", over),
        grid: within([x.width / group, x.rows.most, 1])?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    [false, true].map(|over| Variant::of(KERNEL.source).flag("in_place", over)).to_vec()
}

fn cases(all: &mut Cases) {
    for width in WIDTHS {
        for (most, count, groups, over) in [(1, 1, 1, false), (5, 3, 3, false), (17, 17, 1, true), (3, 2, 5, true)] {
            let text = format!("width={groups}x{width} tokens={count}/{most}{}", if over { " in place" } else { "" });
            let mut case = Case::new(text, most, count);
            case.quick(width == 172);
            let (eps, group) = (1e-5, width);
            let all_columns = case.strided(Dim::Rows, groups * width + 7, 0, groups * width + 7);
            let x = case.columns(&all_columns, 5, groups * width);
            let weight = case.vector(width);
            let op = Op::RmsNorm { eps, group };
            if over {
                all.step_into("rms_norm", case, op, &[x.clone(), weight], &[x]);
            } else {
                all.step("rms_norm", case, op, &[x, weight], &[(Dim::Rows, groups * width)]);
            }
        }
    }
}
