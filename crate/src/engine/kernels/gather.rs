//! The rows that want a result.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, WIDTHS},
    params,
};
use crate::{
    engine::{
        program::{Operand, Step},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Input, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "gather", source: part!("kernels/gather"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    x_rows: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    if step.op != Op::Gather || step.inputs.get(1) != Some(&Operand::Input(Input::Outputs)) {
        return Ok(None);
    }
    let (Some(x), Some(y)) = (with.view(step.inputs.first()), with.view(step.outputs.first())) else { return Ok(None) };
    if x.width != y.width || x.buffer == y.buffer {
        return Ok(None);
    }
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        width: x.width,
        x_rows: x.rows.most,
        x_offset: x.offset,
        x_stride: x.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source),
        grid: KERNEL.lanes(y.items(y.width))?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), x.bind("x"), y.bind("y")],
    }]))
}

fn variants() -> Vec<Variant> {
    vec![Variant::of(KERNEL.source)]
}

fn cases(all: &mut Cases) {
    for width in WIDTHS {
        for (most, outputs) in [(1, &[6][..]), (4, &[0, 3, 8])] {
            let mut case = Case::new(format!("width={width} outputs={outputs:?}/{most}"), 11, 9);
            case.outputs(most, outputs).exact().quick(width == 172);
            let x = case.strided(Dim::Rows, width, 1, width + 3);
            let ids = case.input(Input::Outputs);
            all.step("gather", case, Op::Gather, &[x, ids], &[(Dim::Outputs, width)]);
        }
    }
}
