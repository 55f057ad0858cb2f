//! Linear maps by packed weights: one row at a time (`matvec`), or many, tiled (`matmul`). Plain, added to a residual in
//! place, or gated. A weight in several buffers takes a dispatch for each.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs, Strided,
    case::{Case, Cases, F32, SUMS},
    elementwise, folded, matrix, params, within,
};
use crate::{
    engine::{
        device::Tier,
        program::{Operand, Part, Step},
        shader::{Call, Variant, blocks::BLOCKS, part},
    },
    fault::Result,
    ir::{Dim, Fused, Op, Unary},
    tensor::Encoding,
};

pub(super) static MATVEC: Kernel = Kernel {
    name: "matvec",
    source: part!("kernels/matvec"),
    params: Row::FIELDS,
    takes: |step, with| takes(&MATVEC, step, with),
    variants: || variants(&MATVEC),
    cases: |all| cases(all, true),
};

pub(super) static MATMUL: Kernel = Kernel {
    name: "matmul",
    source: part!("kernels/matmul"),
    params: Many::FIELDS,
    takes: |step, with| takes(&MATMUL, step, with),
    variants: || variants(&MATMUL),
    cases: |all| cases(all, false),
};

params!(Row {
    k: u32,
    rows: u32,
    first_row: u32,
    accumulate: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    bias_offset: u32,
});

params!(Many {
    count_at: u32,
    max_rows: u32,
    k: u32,
    rows: u32,
    first_row: u32,
    accumulate: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    bias_offset: u32,
});

/// A linear step in one form.
struct Map<'a> {
    x: Strided,
    y: Strided,
    bias: Option<Strided>,
    encoding: Encoding,
    k: u32,
    parts: &'a [Part],
    accumulate: bool,
    gate: Option<Call>,
}

impl<'a> Map<'a> {
    fn of(step: &'a Step, with: &Lowering<'_>) -> Option<Self> {
        let (first, accumulate, gate) = match &step.op {
            Op::Linear => (0, false, None),
            Op::Fused(Fused::LinearAdd) => (1, true, None),
            Op::Fused(Fused::GatedLinear(f)) => (0, false, Some(elementwise::function(*f)?)),
            _ => return None,
        };
        let (encoding, rows, k, parts) = matrix(step.inputs.get(first + 1))?;
        let (x, y) = (with.view(step.inputs.get(first))?, with.view(step.outputs.first())?);
        let bias = match step.inputs.get(first + 2) {
            Some(bias) => Some(with.vector(Some(bias), rows)?),
            None => None,
        };
        let width = if gate.is_some() { rows / 2 } else { rows };
        let fits = x.width == k && y.width == width && x.rows == y.rows && x.buffer != y.buffer;
        // The sum goes over the residual itself; both halves of a gate are made together.
        let residual = !accumulate || with.view(step.inputs.first())?.is_same(&y);
        let whole = gate.is_none() || (parts.len() == 1 && rows % 2 == 0);
        (fits && residual && whole).then_some(Self { x, y, bias, encoding, k, parts, accumulate, gate })
    }

    fn variant(&self, kernel: &Kernel, tier: Tier) -> Variant {
        let ragged = self.k % 8 != 0 || !self.x.is_aligned();
        Variant::of(kernel.source)
            .encoding(self.encoding)
            .tier(tier)
            .flag("ragged", ragged)
            .flag("bias", self.bias.is_some())
            .flag("gated", self.gate.is_some())
            .links(self.gate.into_iter().collect())
    }

    /// Results of a part.
    fn results(&self, part: &Part) -> u32 {
        if self.gate.is_some() { part.rows / 2 } else { part.rows }
    }

    fn params(&self, one: bool, part: &Part) -> Vec<u8> {
        let (rows, bias_offset) = (self.results(part), self.bias.map_or(0, |b| b.offset));
        let (first_row, accumulate) = (part.first_row, u32::from(self.accumulate));
        let (x, y) = (&self.x, &self.y);
        if one {
            let (x_offset, x_stride, y_offset) = (x.offset, x.stride, y.offset);
            return bytes_of(&Row {
                k: self.k,
                rows,
                first_row,
                accumulate,
                x_offset,
                x_stride,
                y_offset,
                bias_offset,
            })
            .to_vec();
        }
        bytes_of(&Many {
            count_at: y.rows.at,
            max_rows: y.rows.most,
            k: self.k,
            rows,
            first_row,
            accumulate,
            x_offset: x.offset,
            x_stride: x.stride,
            y_offset: y.offset,
            y_stride: y.stride,
            bias_offset,
        })
        .to_vec()
    }
}

fn takes(kernel: &'static Kernel, step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let one = std::ptr::eq(kernel, &MATVEC);
    let Some(map) = Map::of(step, with).filter(|m| (m.y.rows.most == 1) == one) else { return Ok(None) };
    let made = kernel.constant("ROWS")? / if map.gate.is_some() { 2 } else { 1 };
    let mut dispatches = Vec::with_capacity(map.parts.len());
    for part in map.parts {
        let groups = map.results(part).div_ceil(made);
        let grid = if one {
            folded(u64::from(groups))?
        } else {
            within([groups, map.y.rows.most.div_ceil(kernel.constant("TOKENS")?), 1])?
        };
        let needs = Needs::Rows { encoding: map.encoding, rows: part.rows, row_len: map.k };
        let mut binds = vec![Bind { name: "w", buffer: part.buffer, needs }, map.x.bind("x"), map.y.bind("y")];
        binds.extend(map.bias.map(|b| b.bind("bias")));
        if !one {
            binds.push(with.batch());
        }
        dispatches.push(Dispatch {
            variant: map.variant(kernel, with.tier),
            grid,
            params: map.params(one, part),
            binds,
        });
    }
    Ok(Some(dispatches))
}

fn variants(kernel: &Kernel) -> Vec<Variant> {
    let mut all = Vec::new();
    for block in BLOCKS {
        let plain = block.encoding.spec().is_some_and(|s| s.block_len == 1);
        for flags in 0..8 {
            let (ragged, bias, gated) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            // Activations of packed widths may lie ragged; blocks alone never do in models.
            if ragged && !plain && (bias || gated) {
                continue;
            }
            let gate = elementwise::function(Unary::Silu).filter(|_| gated);
            all.push(
                Variant::of(kernel.source)
                    .encoding(block.encoding)
                    .flag("ragged", ragged)
                    .flag("bias", bias)
                    .flag("gated", gated)
                    .links(gate.into_iter().collect()),
            );
        }
    }
    all
}

/// Rows of the weight, buffers, most rows of the step, rows; what is done with the sum.
type Shape = (u32, u32, u32, u32, How);

#[derive(Clone, Copy, PartialEq, Debug)]
enum How {
    Plain,
    Bias,
    Add,
    AddBias,
    Gate(Unary),
    GateBias(Unary),
}

fn cases(all: &mut Cases, one: bool) {
    use How::{Add, AddBias, Bias, Gate, GateBias, Plain};
    let vectors: [Shape; 6] = [
        (31, 1, 1, 1, Plain),
        (20, 3, 1, 1, Add),
        (1, 1, 1, 1, Bias),
        (9, 2, 1, 1, AddBias),
        (22, 1, 1, 1, Gate(Unary::Silu)),
        (6, 1, 1, 1, GateBias(Unary::GeluTanh)),
    ];
    let matrices: [Shape; 6] = [
        (65, 1, 17, 17, Plain),
        (40, 3, 5, 3, Add),
        (1, 1, 64, 37, Bias),
        (70, 2, 3, 3, AddBias),
        (134, 1, 5, 4, Gate(Unary::Silu)),
        (2, 1, 3, 3, GateBias(Unary::Gelu)),
    ];
    for block in BLOCKS {
        for k in all.row_lengths(block.encoding) {
            for shape in if one { vectors } else { matrices } {
                case(all, block.encoding, k, shape, 0);
            }
        }
    }
    for (shape, padding) in
        [((12, 1, if one { 1 } else { 5 }, 1, Plain), 3), ((12, 1, if one { 1 } else { 5 }, 1, Plain), 4)]
    {
        case(all, Encoding::Q8_0, 64, shape, padding);
    }
    if one {
        // More workgroups than one dimension of a grid takes.
        case(all, Encoding::F32, 8, (4 * 65_535 + 5, 1, 1, 1, Plain), 0);
    }
}

/// One case; inputs are columns `padding ..` of wider rows.
fn case(all: &mut Cases, encoding: Encoding, k: u32, (rows, parts, most, count, how): Shape, padding: u32) {
    let strided = if padding > 0 { format!(" from column {padding}") } else { String::new() };
    let mut case = Case::new(format!("k={k} rows={rows}/{parts} tokens={count}/{most} {how:?}{strided}"), most, count);
    let block = encoding.spec().map_or(1, |s| s.block_len);
    case.tolerance(if block == 1 { F32 } else { SUMS }).quick(rows > 1 && rows < 1000 && k >= 32);
    let weight = case.matrix(encoding, rows, k, parts);
    let x = case.strided(Dim::Rows, k, padding, k + 2 * padding);
    let bias = match how {
        How::Bias | How::AddBias | How::GateBias(_) => Some(case.vector(rows)),
        _ => None,
    };
    let inputs =
        |residual: Option<Operand>| residual.into_iter().chain([x.clone(), weight.clone()]).chain(bias.clone());
    let kernel = if most == 1 { "matvec" } else { "matmul" };
    match how {
        How::Plain | How::Bias => {
            all.step(kernel, case, Op::Linear, &inputs(None).collect::<Vec<_>>(), &[(Dim::Rows, rows)]);
        }
        How::Add | How::AddBias => {
            let y = case.values(Dim::Rows, rows);
            let op = Op::Fused(Fused::LinearAdd);
            all.step_into(kernel, case, op, &inputs(Some(y.clone())).collect::<Vec<_>>(), &[y]);
        }
        How::Gate(f) | How::GateBias(f) => {
            let op = Op::Fused(Fused::GatedLinear(f));
            all.step(kernel, case, op, &inputs(None).collect::<Vec<_>>(), &[(Dim::Rows, rows / 2)]);
        }
    }
}
