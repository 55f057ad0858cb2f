//! Unary and binary operations, alone or as a chain, and copies of views: one template, a call for each operation.

use bytemuck::{Pod, Zeroable, bytes_of};

use super::{
    Dispatch, Kernel, Lowering, Strided,
    case::{Case, Cases, F32, WIDTHS},
    in_place,
};
use crate::{
    engine::{
        program::{Operand, Step},
        shader::{Call, Other, Variant, part},
    },
    fault::Result,
    ir::{Binary, Dim, Fused, Link, Op, Unary},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "elementwise", source: part!("kernels/elementwise"), params: FIELDS, takes, variants, cases };

/// Operands besides the first, and numbers, that a chain may have.
const MAX_OTHERS: usize = 3;
const MAX_NUMBERS: usize = 8;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    y_offset: u32,
    y_stride: u32,
    /// Offset, stride and step of x, a, b, c.
    operands: [[u32; 3]; 1 + MAX_OTHERS],
    numbers: [f32; MAX_NUMBERS],
}

#[rustfmt::skip]
const FIELDS: &[(&str, &str)] = &[
    ("count_at", "u32"), ("max_rows", "u32"), ("width", "u32"), ("y_offset", "u32"), ("y_stride", "u32"),
    ("x_offset", "u32"), ("x_stride", "u32"), ("x_step", "u32"),
    ("a_offset", "u32"), ("a_stride", "u32"), ("a_step", "u32"),
    ("b_offset", "u32"), ("b_stride", "u32"), ("b_step", "u32"),
    ("c_offset", "u32"), ("c_stride", "u32"), ("c_step", "u32"),
    ("s_0", "f32"), ("s_1", "f32"), ("s_2", "f32"), ("s_3", "f32"),
    ("s_4", "f32"), ("s_5", "f32"), ("s_6", "f32"), ("s_7", "f32"),
];

const _: () = assert!(size_of::<Params>() == 4 * FIELDS.len());

/// Flags and variables of the operands behind the first.
const OTHERS: [(&str, &str); MAX_OTHERS] = [("with_a", "a"), ("with_b", "b"), ("with_c", "c")];

/// The WGSL function of an operation, and its number where it has one.
fn unary(f: Unary) -> (&'static str, Option<f32>) {
    let name = match f {
        Unary::Scale(s) => return ("op_scale", Some(s)),
        Unary::Shift(s) => return ("op_shift", Some(s)),
        Unary::SoftCap(s) => return ("op_soft_cap", Some(s)),
        Unary::AtLeast(s) => return ("op_at_least", Some(s)),
        Unary::AtMost(s) => return ("op_at_most", Some(s)),
        Unary::Neg => "op_neg",
        Unary::Abs => "op_abs",
        Unary::Exp => "op_exp",
        Unary::Log => "op_log",
        Unary::Sqrt => "op_sqrt",
        Unary::Rsqrt => "op_rsqrt",
        Unary::Reciprocal => "op_reciprocal",
        Unary::Square => "op_square",
        Unary::Tanh => "op_tanh",
        Unary::Sigmoid => "op_sigmoid",
        Unary::Relu => "op_relu",
        Unary::ReluSquared => "op_relu_squared",
        Unary::Silu => "op_silu",
        Unary::Gelu => "op_gelu",
        Unary::GeluTanh => "op_gelu_tanh",
        Unary::QuickGelu => "op_quick_gelu",
        Unary::Erf => "op_erf",
        Unary::Softplus => "op_softplus",
    };
    (name, None)
}

fn binary(f: Binary) -> &'static str {
    match f {
        Binary::Add => "op_add",
        Binary::Sub => "op_sub",
        Binary::Mul => "op_mul",
        Binary::Div => "op_div",
        Binary::Max => "op_max",
        Binary::Min => "op_min",
        Binary::Pow => "op_pow",
    }
}

/// The call of an operation that has no number, for kernels that end in one.
pub(super) fn function(f: Unary) -> Option<Call> {
    match unary(f) {
        (function, None) => Some(Call { function, other: Other::None }),
        _ => None,
    }
}

/// Calls and numbers of a chain; `None` where it has too many.
fn calls(links: &[Link]) -> Option<(Vec<Call>, [f32; MAX_NUMBERS])> {
    let (mut numbers, mut used) = ([0.0; MAX_NUMBERS], 0);
    let mut calls = Vec::with_capacity(links.len());
    for link in links {
        let (function, other) = match *link {
            Link::Unary(f) => match unary(f) {
                (function, None) => (function, Other::None),
                (function, Some(s)) => {
                    *numbers.get_mut(used)? = s;
                    used += 1;
                    (function, Other::Number(used as u8 - 1))
                }
            },
            Link::Binary(f, i) => (binary(f), Other::Operand(i)),
            Link::Reversed(f, i) => (binary(f), Other::Reversed(i)),
        };
        calls.push(Call { function, other });
    }
    Some((calls, numbers))
}

/// Offset, stride and step of an operand whose rows and columns may be repeated.
fn repeated(x: &Strided, y: &Strided) -> Option<[u32; 3]> {
    let step = match x.width {
        n if n == y.width => 1,
        1 => 0,
        _ => return None,
    };
    let stride = if x.rows == y.rows {
        x.stride
    } else if x.rows.most == 1 {
        0
    } else {
        return None;
    };
    Some([x.offset, stride, step])
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let links = match &step.op {
        Op::Unary(f) => vec![Link::Unary(*f)],
        Op::Binary(f) => vec![Link::Binary(*f, 1)],
        Op::Fused(Fused::Chain(links)) => links.clone(),
        Op::Slice { .. } | Op::Reshape(_) | Op::Concat { .. } => return copies(step, with),
        _ => return Ok(None),
    };
    let Some(y) = with.view(step.outputs.first()) else { return Ok(None) };
    let inputs: Option<Vec<Strided>> = step.inputs.iter().map(|i| with.view(Some(i))).collect();
    inputs.map_or(Ok(None), |inputs| chain(&links, &inputs, y, with))
}

fn chain(links: &[Link], inputs: &[Strided], y: Strided, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((x, others)) = inputs.split_first().filter(|(_, others)| others.len() <= MAX_OTHERS) else {
        return Ok(None);
    };
    let operands: Option<Vec<[u32; 3]>> = inputs.iter().map(|i| repeated(i, &y)).collect();
    let over = in_place(x, &y, &others.iter().collect::<Vec<_>>());
    let (Some(places), Some((links, numbers)), Some(over)) = (operands, calls(links), over) else { return Ok(None) };
    if over && (x.width != y.width || x.rows != y.rows) {
        return Ok(None);
    }
    let mut operands = [[0; 3]; 1 + MAX_OTHERS];
    operands[..places.len()].copy_from_slice(&places);
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        width: y.width,
        y_offset: y.offset,
        y_stride: y.stride,
        operands,
        numbers,
    };
    let mut variant = Variant::of(KERNEL.source).flag("in_place", over).links(links);
    let mut binds = vec![with.batch(), y.bind("y")];
    if !over {
        binds.push(x.bind("x"));
    }
    for (other, (flag, name)) in others.iter().zip(OTHERS) {
        variant = variant.flag(flag, true);
        binds.push(other.bind(name));
    }
    let grid = KERNEL.lanes(y.items(y.width))?;
    Ok(Some(vec![Dispatch { variant, grid, params: bytes_of(&params).to_vec(), binds }]))
}

/// Columns or rows of a view, the same values in another shape, or several views side by side.
fn copies(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some(y) = with.view(step.outputs.first()) else { return Ok(None) };
    let mut dispatches = Vec::new();
    let mut column = 0;
    for input in &step.inputs {
        let (Some(mut x), Operand::View(view)) = (with.view(Some(input)), input) else { return Ok(None) };
        let mut to = y;
        match &step.op {
            Op::Slice { axis, start, len } if axis + 1 == view.fact.shape.len() => {
                (x.offset, x.width) = (x.offset + start, *len);
            }
            Op::Slice { axis: 0, start, len } => {
                (x.offset, x.rows.most) = (x.offset + start * x.stride, *len);
            }
            // Only rows that stay rows.
            Op::Reshape(_) if x.width == y.width => {}
            Op::Concat { axis } if axis + 1 == view.fact.shape.len() && view.fact.shape.len() == 2 => {
                (to.offset, to.width) = (y.offset + column, x.width);
                column += x.width;
            }
            _ => return Ok(None),
        }
        if x.rows != to.rows || x.width != to.width || x.buffer == to.buffer {
            return Ok(None);
        }
        match chain(&[], &[x], to, with)? {
            Some(copy) => dispatches.extend(copy),
            None => return Ok(None),
        }
    }
    Ok(Some(dispatches))
}

/// Every operation once, and every set of operands.
fn variants() -> Vec<Variant> {
    let of = |links: &[Link], over: bool| {
        let others = links
            .iter()
            .filter_map(|l| if let Link::Binary(_, i) | Link::Reversed(_, i) = l { Some(*i) } else { None });
        let most = usize::from(others.max().unwrap_or(0));
        let calls = calls(links).map(|c| c.0).unwrap_or_default();
        let mut variant = Variant::of(KERNEL.source).flag("in_place", over).links(calls);
        for (flag, _) in OTHERS.iter().take(most) {
            variant = variant.flag(flag, true);
        }
        variant
    };
    let mut all = vec![of(&[], false)];
    all.extend(UNARY.iter().map(|f| of(&[Link::Unary(*f)], false)));
    all.extend(BINARY.iter().flat_map(|f| [of(&[Link::Binary(*f, 1)], true), of(&[Link::Reversed(*f, 2)], false)]));
    all.push(of(&long_chain(), true));
    all.push(of(&long_chain(), false));
    all
}

const UNARY: [Unary; 23] = [
    Unary::Scale(0.7),
    Unary::Shift(-0.3),
    Unary::SoftCap(1.5),
    Unary::AtLeast(-0.4),
    Unary::AtMost(0.3),
    Unary::Neg,
    Unary::Abs,
    Unary::Exp,
    Unary::Log,
    Unary::Sqrt,
    Unary::Rsqrt,
    Unary::Reciprocal,
    Unary::Square,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Relu,
    Unary::ReluSquared,
    Unary::Silu,
    Unary::Gelu,
    Unary::GeluTanh,
    Unary::QuickGelu,
    Unary::Erf,
    Unary::Softplus,
];

const BINARY: [Binary; 7] = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min, Binary::Pow];

fn long_chain() -> [Link; 6] {
    [
        Link::Unary(Unary::Silu),
        Link::Binary(Binary::Mul, 1),
        Link::Unary(Unary::Scale(0.5)),
        Link::Reversed(Binary::Sub, 2),
        Link::Unary(Unary::Shift(0.25)),
        Link::Binary(Binary::Add, 3),
    ]
}

fn cases(all: &mut Cases) {
    for f in UNARY {
        let mut case = Case::new(format!("{f:?}"), 5, 4);
        case.quick(true).tolerance(F32);
        let positive = matches!(f, Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Reciprocal);
        let wide = matches!(f, Unary::Silu | Unary::Sigmoid | Unary::Tanh | Unary::SoftCap(_) | Unary::Softplus);
        let x = case.mapped(Dim::Rows, 172, 0, 172, |i, v| match i % 3 {
            _ if positive => v.abs() + 0.01,
            0 if wide => 200.0 * v,
            1 => 6.0 * v,
            _ => v,
        });
        all.step("elementwise", case, Op::Unary(f), &[x], &[(Dim::Rows, 172)]);
    }
    for f in BINARY {
        let mut case = Case::new(format!("{f:?}"), 5, 4);
        let power = f == Binary::Pow;
        let x = case.mapped(Dim::Rows, 33, 0, 33, |_, v| if power { v.abs() * 3.0 } else { v });
        let y = case.mapped(Dim::Rows, 33, 0, 33, |_, v| if power { 2.0 * v } else { v + 1.5 });
        all.step("elementwise", case, Op::Binary(f), &[x, y], &[(Dim::Rows, 33)]);
    }
    for width in WIDTHS {
        for (most, count) in [(1, 1), (5, 3)] {
            for over in [false, true] {
                let mut case =
                    Case::new(format!("chain width={width} tokens={count}/{most} in place={over}"), most, count);
                case.quick(width == 172);
                let x = case.mapped(Dim::Rows, width, 2, width + 5, |i, v| [1.0, 8.0, 200.0][i % 3] * v);
                let inputs =
                    [x.clone(), case.strided(Dim::Rows, width, 1, width + 1), case.vector(width), case.vector(1)];
                let op = Op::Fused(Fused::Chain(long_chain().to_vec()));
                if over {
                    all.step_into("elementwise", case, op, &inputs, &[x]);
                } else {
                    all.step("elementwise", case, op, &inputs, &[(Dim::Rows, width)]);
                }
            }
            let mut case = Case::new(format!("columns width={width} tokens={count}/{most}"), most, count);
            case.exact();
            let x = case.values(Dim::Rows, width + 9);
            let axis = 1;
            all.step("elementwise", case, Op::Slice { axis, start: 4, len: width }, &[x], &[(Dim::Rows, width)]);
            let mut case = Case::new(format!("side by side width={width} tokens={count}/{most}"), most, count);
            case.exact();
            let inputs = [case.values(Dim::Rows, width), case.values(Dim::Rows, 3)];
            all.step("elementwise", case, Op::Concat { axis: 1 }, &inputs, &[(Dim::Rows, width + 3)]);
        }
    }
}
