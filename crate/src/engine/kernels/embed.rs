//! Rows of a table by ids: one dispatch for each part of the table.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases},
    matrix, params,
};
use crate::{
    engine::{
        program::{Operand, Step, batch},
        shader::{Variant, blocks::BLOCKS, part},
    },
    fault::Result,
    ir::{Dim, Input, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "embed", source: part!("kernels/embed"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    first_row: u32,
    rows: u32,
    ids_at: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    if step.op != Op::Embed {
        return Ok(None);
    }
    let ids_at = match step.inputs.get(1) {
        Some(Operand::Input(Input::Tokens)) => batch::TOKENS_AT,
        Some(Operand::Input(Input::Positions)) => batch::POSITIONS_AT,
        Some(Operand::Input(Input::Types)) => batch::TYPES_AT,
        _ => return Ok(None),
    };
    let (Some((encoding, _, row_len, parts)), Some(y)) = (matrix(step.inputs.first()), with.view(step.outputs.first()))
    else {
        return Ok(None);
    };
    let dispatches = parts.iter().map(|part| {
        let params = Params {
            count_at: y.rows.at,
            max_rows: y.rows.most,
            width: row_len,
            first_row: part.first_row,
            rows: part.rows,
            ids_at: ids_at as u32,
            y_offset: y.offset,
            y_stride: y.stride,
        };
        let weight = Bind { name: "w", buffer: part.buffer, needs: Needs::Rows { encoding, rows: part.rows, row_len } };
        Ok(Dispatch {
            variant: Variant::of(KERNEL.source).encoding(encoding),
            grid: KERNEL.lanes(y.items(row_len.div_ceil(8)))?,
            params: bytes_of(&params).to_vec(),
            binds: vec![with.batch(), weight, y.bind("y")],
        })
    });
    dispatches.collect::<Result<Vec<_>>>().map(Some)
}

fn variants() -> Vec<Variant> {
    BLOCKS.iter().map(|b| Variant::of(KERNEL.source).encoding(b.encoding)).collect()
}

fn cases(all: &mut Cases) {
    for block in BLOCKS {
        for width in all.row_lengths(block.encoding) {
            for parts in [1, 3] {
                let mut case = Case::new(format!("width={width} rows=31 parts={parts}"), 6, 5);
                case.tokens(&[20, 30, 0, 19, 13, 7]);
                let table = case.matrix(block.encoding, 31, width, parts);
                let ids = case.input(Input::Tokens);
                case.exact().quick(width >= 32 && parts == 1);
                all.step("embed", case, Op::Embed, &[table, ids], &[(Dim::Rows, width)]);
            }
        }
    }
    for (what, input) in [("positions", Input::Positions), ("types", Input::Types)] {
        let mut case = Case::new(format!("{what} as ids"), 4, 3);
        let table = case.matrix(crate::tensor::Encoding::F16, 40, 24, 1);
        let ids = case.input(input);
        case.exact();
        all.step("embed", case, Op::Embed, &[table, ids], &[(Dim::Rows, 24)]);
    }
}
