//! Products of small matrices, one for each row of the step.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases},
    params,
};
use crate::{
    engine::{
        program::{Operand, Step, View},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Fact, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "mat_mul", source: part!("kernels/mat_mul"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    m: u32,
    k: u32,
    n: u32,
    a_offset: u32,
    a_stride: u32,
    b_offset: u32,
    b_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

/// The last two dimensions of a view, and whether it is one matrix, the same for all rows.
fn sizes(operand: Option<&Operand>) -> Option<([u32; 2], bool)> {
    let Some(Operand::View(View { fact, .. })) = operand else { return None };
    match *fact.shape.as_slice() {
        [Dim::Fixed(m), Dim::Fixed(k)] => Some(([m, k], true)),
        [_, Dim::Fixed(m), Dim::Fixed(k)] => Some(([m, k], false)),
        _ => None,
    }
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::MatMul { transposed } = step.op else { return Ok(None) };
    let (Some(([m, k], shared)), Some(([b0, b1], false))) = (sizes(step.inputs.first()), sizes(step.inputs.get(1)))
    else {
        return Ok(None);
    };
    let (a, b) = (with.view(step.inputs.first()), with.view(step.inputs.get(1)));
    let (Some(a), Some(b), Some(y)) = (a, b, with.view(step.outputs.first())) else { return Ok(None) };
    let (n, k_b) = if transposed { (b0, b1) } else { (b1, b0) };
    let fits = k == k_b && Some(y.width) == m.checked_mul(n) && b.rows == y.rows && (shared || a.rows == y.rows);
    // Rows of one matrix for all follow each other too.
    let whole = !shared || a.stride == k;
    if !fits || !whole || m == 0 || n == 0 || a.buffer == y.buffer || b.buffer == y.buffer {
        return Ok(None);
    }
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        m,
        k,
        n,
        a_offset: a.offset,
        a_stride: if shared { 0 } else { a.stride },
        b_offset: b.offset,
        b_stride: b.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    Ok(Some(vec![Dispatch {
        variant: variant(transposed),
        grid: KERNEL.lanes(y.items(y.width))?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), a.bind("a"), b.bind("b"), y.bind("y")],
    }]))
}

fn variant(transposed: bool) -> Variant {
    Variant::of(KERNEL.source).flag("transposed", transposed)
}

fn variants() -> Vec<Variant> {
    vec![variant(false), variant(true)]
}

/// A value of rows in another shape.
fn shaped(operand: &Operand, m: u32, n: u32) -> Operand {
    let Operand::View(view) = operand else { return operand.clone() };
    let fact = Fact { shape: vec![view.fact.shape[0], Dim::Fixed(m), Dim::Fixed(n)], ..view.fact.clone() };
    Operand::View(View { stride: n, fact, ..view.clone() })
}

fn cases(all: &mut Cases) {
    for (m, k, n) in [(4, 4, 64), (4, 1, 33), (1, 5, 257), (3, 31, 1), (7, 16, 20)] {
        for (most, count) in [(1, 1), (5, 3)] {
            for (transposed, shared) in [(false, false), (true, false), (false, true)] {
                let text = format!("{m}x{k}x{n} transposed={transposed} shared={shared} tokens={count}/{most}");
                let mut case = Case::new(text, most, count);
                case.quick(n == 64 || n == 33);
                let a = match shared {
                    true => case.values(Dim::Fixed(m), k),
                    false => shaped(&case.values(Dim::Rows, m * k), m, k),
                };
                let b = case.values(Dim::Rows, k * n);
                let b = if transposed { shaped(&b, n, k) } else { shaped(&b, k, n) };
                let y = shaped(&case.blank(Dim::Rows, m * n), m, n);
                all.step_into("mat_mul", case, Op::MatMul { transposed }, &[a, b], &[y]);
            }
        }
    }
}
