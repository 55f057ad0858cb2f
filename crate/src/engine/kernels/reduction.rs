//! Sum, mean, largest or smallest value of each row.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, F32, WIDTHS},
    params, within,
};
use crate::{
    engine::{
        program::Step,
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op, Reduction},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "reduction", source: part!("kernels/reduction"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    kind: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

/// Names of the WGSL's constants.
fn name(kind: Reduction) -> &'static str {
    match kind {
        Reduction::Sum => "SUM",
        Reduction::Mean => "MEAN",
        Reduction::Max => "MAX",
        Reduction::Min => "MIN",
    }
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::Reduce(kind) = step.op else { return Ok(None) };
    let (Some(x), Some(y)) = (with.view(step.inputs.first()), with.view(step.outputs.first())) else { return Ok(None) };
    if x.rows != y.rows || y.width != 1 || x.width == 0 || x.buffer == y.buffer {
        return Ok(None);
    }
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        width: x.width,
        kind: KERNEL.constant(name(kind))?,
        x_offset: x.offset,
        x_stride: x.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).tier(with.tier),
        grid: within([y.rows.most, 1, 1])?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), x.bind("x"), y.bind("y")],
    }]))
}

fn variants() -> Vec<Variant> {
    vec![Variant::of(KERNEL.source)]
}

fn cases(all: &mut Cases) {
    for kind in [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min] {
        for width in WIDTHS {
            for (most, count) in [(1, 1), (5, 3)] {
                let mut case = Case::new(format!("{kind:?} width={width} tokens={count}/{most}"), most, count);
                // Sums of values of both signs nearly cancel.
                case.quick(width == 172).tolerance(if width > 100 { 1e-6 } else { F32 });
                let x = case.strided(Dim::Rows, width, 3, width + 6);
                all.step("reduction", case, Op::Reduce(kind), &[x], &[(Dim::Rows, 1)]);
            }
        }
    }
}
