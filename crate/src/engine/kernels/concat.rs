//! Views side by side within each of several parts of a row. (Whole rows side by side are copies: `elementwise`.)

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases},
    params,
};
use crate::{
    engine::{
        program::{Operand, Step},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "concat", source: part!("kernels/concat"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    parts: u32,
    width: u32,
    whole: u32,
    column: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

/// The two inner dimensions of a view of three.
fn inner(operand: Option<&Operand>) -> Option<[u32; 2]> {
    match operand {
        Some(Operand::View(view)) => match view.fact.shape.as_slice() {
            [_, Dim::Fixed(parts), Dim::Fixed(width)] => Some([*parts, *width]),
            _ => None,
        },
        _ => None,
    }
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let (Op::Concat { axis: 2 }, Some([parts, whole])) = (&step.op, inner(step.outputs.first())) else {
        return Ok(None);
    };
    let Some(y) = with.view(step.outputs.first()) else { return Ok(None) };
    let (mut dispatches, mut column) = (Vec::with_capacity(step.inputs.len()), 0);
    for input in &step.inputs {
        let (Some(x), Some([also, width])) = (with.view(Some(input)), inner(Some(input))) else { return Ok(None) };
        if x.rows != y.rows || also != parts || x.buffer == y.buffer || column + width > whole {
            return Ok(None);
        }
        let params = Params {
            count_at: y.rows.at,
            max_rows: y.rows.most,
            parts,
            width,
            whole,
            column,
            x_offset: x.offset,
            x_stride: x.stride,
            y_offset: y.offset,
            y_stride: y.stride,
        };
        column += width;
        dispatches.push(Dispatch {
            variant: Variant::of(KERNEL.source),
            grid: KERNEL.lanes(x.items(x.width))?,
            params: bytes_of(&params).to_vec(),
            binds: vec![with.batch(), x.bind("x"), y.bind("y")],
        });
    }
    Ok(Some(dispatches))
}

fn variants() -> Vec<Variant> {
    vec![Variant::of(KERNEL.source)]
}

fn cases(all: &mut Cases) {
    for (parts, widths) in [(1, [5, 3]), (3, [33, 2]), (16, [64, 8])] {
        for (most, count) in [(1, 1), (5, 3)] {
            let mut case = Case::new(format!("parts={parts} widths={widths:?} tokens={count}/{most}"), most, count);
            case.exact().quick(parts == 3);
            let inputs = widths.map(|n| {
                let x = case.values(Dim::Rows, parts * n);
                case.inner(&x, &[parts, n])
            });
            let whole = widths.iter().sum::<u32>();
            let y = case.blank(Dim::Rows, parts * whole);
            let y = case.inner(&y, &[parts, whole]);
            all.step_into("concat", case, Op::Concat { axis: 2 }, &inputs, &[y]);
        }
    }
}
