//! Rotary positions of heads, in place or not.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases},
    in_place, params,
};
use crate::{
    engine::{
        program::{Operand, Step},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Input, Op, Pairing, Rope},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "rope", source: part!("kernels/rope"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    heads: u32,
    head_dim: u32,
    half: u32,
    halves: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

/// How many pairs of a head turn, and whether they lie half a head apart; `None` for heads that cannot.
pub(super) fn pairs(rope: &Rope) -> Option<(u32, u32)> {
    let fits = rope.dims > 0 && rope.dims % 2 == 0 && rope.dims <= rope.head_dim;
    fits.then_some((rope.dims / 2, u32::from(rope.pairing == Pairing::Halves)))
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::Rope(rope) = &step.op else { return Ok(None) };
    let (x, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()));
    let (Some(x), Some(y), Some(table), Some((half, halves))) = (x, y, with.table(rope.rotation), pairs(rope)) else {
        return Ok(None);
    };
    let Some(over) = in_place(&x, &y, &[]) else { return Ok(None) };
    let positions = step.inputs.get(1) == Some(&Operand::Input(Input::Positions));
    if !positions || x.rows != y.rows || x.width != y.width || x.width % rope.head_dim != 0 {
        return Ok(None);
    }
    let heads = x.width / rope.head_dim;
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        heads,
        head_dim: rope.head_dim,
        half,
        halves,
        x_offset: x.offset,
        x_stride: x.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    let mut binds = vec![with.batch(), table, y.bind("y")];
    if !over {
        binds.push(x.bind("x"));
    }
    let items = heads * if over { half } else { rope.head_dim - half };
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).flag("in_place", over),
        grid: KERNEL.lanes(y.items(items))?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    [false, true].map(|over| Variant::of(KERNEL.source).flag("in_place", over)).to_vec()
}

fn cases(all: &mut Cases) {
    for (heads, head_dim, dims) in [(1, 8, 8), (9, 64, 64), (3, 20, 12), (2, 128, 32), (5, 33, 32)] {
        for pairing in [Pairing::Interleaved, Pairing::Halves] {
            for (first, over) in [(0, true), (250, false), (700, true)] {
                let text = format!("heads={heads}x{head_dim} dims={dims} {pairing:?} from {first} in place={over}");
                let mut case = Case::new(text, 9, 8);
                case.sequences(1000, 1, &[(first, 5), (first / 2, 3)]).quick(head_dim == 64);
                let width = heads * head_dim;
                let x = case.strided(Dim::Rows, width, 6, width + 11);
                let rotation = case.rotation(dims);
                let op = Op::Rope(Rope { rotation, head_dim, dims, pairing });
                let inputs = [x.clone(), case.input(Input::Positions)];
                if over {
                    all.step_into("rope", case, op, &inputs, &[x]);
                } else {
                    all.step("rope", case, op, &inputs, &[(Dim::Rows, width)]);
                }
            }
        }
    }
}
