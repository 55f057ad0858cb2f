//! Linear maps by the rows of chosen experts, one choice at a time, and the weighted sum of what they give.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases, F32, SUMS},
    matrix, params, within,
};
use crate::{
    engine::{
        device::Tier,
        program::{Operand, Step},
        shader::{Variant, blocks::BLOCKS, part},
    },
    fault::Result,
    ir::{Dim, ExpertLinear, Op},
    tensor::Encoding,
};

pub(super) static LINEAR: Kernel = Kernel {
    name: "experts",
    source: part!("kernels/experts"),
    params: Params::FIELDS,
    takes,
    variants,
    cases: linear_cases,
};

pub(super) static SUM: Kernel = Kernel {
    name: "expert_sum",
    source: part!("kernels/expert_sum"),
    params: SumParams::FIELDS,
    takes: takes_sum,
    variants: || vec![Variant::of(SUM.source)],
    cases: sum_cases,
};

params!(Params {
    count_at: u32,
    max_rows: u32,
    k: u32,
    n: u32,
    used: u32,
    experts: u32,
    shared_x: u32,
    first_row: u32,
    rows: u32,
    x_offset: u32,
    x_stride: u32,
    ids_offset: u32,
    ids_stride: u32,
    bias_offset: u32,
    y_offset: u32,
    y_stride: u32,
});

params!(SumParams {
    count_at: u32,
    max_rows: u32,
    width: u32,
    used: u32,
    x_offset: u32,
    x_stride: u32,
    weights_offset: u32,
    weights_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::ExpertLinear(spec) = &step.op else { return Ok(None) };
    let (x, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()));
    let (Some(x), Some(y), Some((encoding, all, k, parts))) = (x, y, matrix(step.inputs.get(1))) else {
        return Ok(None);
    };
    let n = all / spec.experts.max(1);
    let used = y.width / n.max(1);
    let ids = if spec.routed { with.view(step.inputs.get(2)) } else { None };
    let bias = match step.inputs.get(2 + usize::from(spec.routed)) {
        Some(bias) => match with.vector(Some(bias), all) {
            Some(bias) => Some(bias),
            None => return Ok(None),
        },
        None => None,
    };
    // A row for all choices, or one for each.
    let shared = match step.inputs.first() {
        Some(Operand::View(view)) => view.fact.shape.len() == 2,
        _ => return Ok(None),
    };
    let chosen =
        if spec.routed { ids.is_some_and(|i| i.width == used && i.rows == y.rows) } else { used == spec.experts };
    let widths = n * used == y.width && x.width == if shared { k } else { k * used };
    let apart = x.buffer != y.buffer && ids.is_none_or(|i| i.buffer != y.buffer);
    if !(chosen && widths && apart && x.rows == y.rows) {
        return Ok(None);
    }
    let (ragged, x_stride) = match shared {
        true => (k % 8 != 0 || !x.is_aligned(), x.stride),
        false => (k % 8 != 0 || !x.is_aligned() || x.stride != x.width, k),
    };
    if !shared && x.stride != x.width && x.rows.most > 1 {
        return Ok(None);
    }
    let mut dispatches = Vec::with_capacity(parts.len());
    for part in parts {
        let params = Params {
            count_at: y.rows.at,
            max_rows: y.rows.most,
            k,
            n,
            used,
            experts: spec.experts,
            shared_x: u32::from(shared),
            first_row: part.first_row,
            rows: part.rows,
            x_offset: x.offset,
            x_stride,
            ids_offset: ids.map_or(0, |i| i.offset),
            ids_stride: ids.map_or(0, |i| i.stride),
            bias_offset: bias.map_or(0, |b| b.offset),
            y_offset: y.offset,
            y_stride: y.stride,
        };
        let needs = Needs::Rows { encoding, rows: part.rows, row_len: k };
        let mut binds = vec![with.batch(), Bind { name: "w", buffer: part.buffer, needs }, x.bind("x"), y.bind("y")];
        binds.extend(ids.map(|i| i.bind("ids")));
        binds.extend(bias.map(|b| b.bind("bias")));
        dispatches.push(Dispatch {
            variant: variant(encoding, [ragged, spec.routed, bias.is_some()], with.tier),
            grid: within([n.div_ceil(LINEAR.constant("ROWS")?), y.rows.most, used])?,
            params: bytes_of(&params).to_vec(),
            binds,
        });
    }
    Ok(Some(dispatches))
}

fn variant(encoding: Encoding, [ragged, routed, bias]: [bool; 3], tier: Tier) -> Variant {
    let plain = Variant::of(LINEAR.source).encoding(encoding).tier(tier);
    plain.flag("ragged", ragged).flag("routed", routed).flag("bias", bias)
}

fn variants() -> Vec<Variant> {
    let flags = (0..8).map(|f| [f & 1 != 0, f & 2 != 0, f & 4 != 0]);
    let all = BLOCKS.iter().flat_map(|b| flags.clone().map(move |f| (b.encoding, f)));
    // Activations of packed widths are whole eights in models.
    let plain = |e: Encoding| e.spec().is_some_and(|s| s.block_len == 1);
    all.filter(|(e, [ragged, ..])| plain(*e) || !ragged).map(|(e, f)| variant(e, f, Tier::Core)).collect()
}

fn takes_sum(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    if step.op != Op::ExpertSum {
        return Ok(None);
    }
    let (x, weights) = (with.view(step.inputs.first()), with.view(step.inputs.get(1)));
    let (Some(x), Some(weights), Some(y)) = (x, weights, with.view(step.outputs.first())) else { return Ok(None) };
    let apart = x.buffer != y.buffer && weights.buffer != y.buffer;
    if !apart || x.rows != y.rows || weights.rows != y.rows || x.width != y.width * weights.width {
        return Ok(None);
    }
    let params = SumParams {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        width: y.width,
        used: weights.width,
        x_offset: x.offset,
        x_stride: x.stride,
        weights_offset: weights.offset,
        weights_stride: weights.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    Ok(Some(vec![Dispatch {
        variant: Variant::of(SUM.source),
        grid: SUM.lanes(y.items(y.width))?,
        params: bytes_of(&params).to_vec(),
        binds: vec![with.batch(), x.bind("x"), weights.bind("weights"), y.bind("y")],
    }]))
}

/// Experts, rows of each, used, buffers.
type Shape = (u32, u32, u32, u32);

fn linear_cases(all: &mut Cases) {
    const SHAPES: [Shape; 4] = [(4, 31, 2, 1), (8, 6, 3, 3), (3, 64, 3, 1), (2, 1, 1, 2)];
    for block in BLOCKS {
        for k in all.row_lengths(block.encoding) {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                for (most, count) in [(1, 1), (4, 3)] {
                    let flags = [i % 2 == 0, i != 2, i == 1];
                    linear_case(all, block.encoding, k, shape, (most, count), flags);
                }
            }
        }
    }
}

fn linear_case(
    all: &mut Cases,
    encoding: Encoding,
    k: u32,
    (experts, n, used, parts): Shape,
    (most, count): (u32, u32),
    [shared, routed, biased]: [bool; 3],
) {
    let used = if routed { used } else { experts };
    let text = format!(
        "k={k} rows={n} of {experts}/{parts} used={used} routed={routed} shared={shared} bias={biased} tokens={count}/{most}"
    );
    let mut case = Case::new(text, most, count);
    let block = encoding.spec().map_or(1, |s| s.block_len);
    case.tolerance(if block == 1 { F32 } else { SUMS }).quick(k >= 32 && n < 64);
    let weight = case.matrix(encoding, experts * n, k, parts);
    let x = match shared {
        true => case.strided(Dim::Rows, k, 4, k + 8),
        false => {
            let x = case.values(Dim::Rows, used * k);
            case.inner(&x, &[used, k])
        }
    };
    let mut inputs = vec![x, weight];
    if routed {
        inputs.push(case.choices(used, Some(experts)));
    }
    if biased {
        inputs.push(case.vector(experts * n));
    }
    let y = case.blank(Dim::Rows, used * n);
    let y = case.inner(&y, &[used, n]);
    all.step_into("experts", case, Op::ExpertLinear(ExpertLinear { experts, routed }), &inputs, &[y]);
}

fn sum_cases(all: &mut Cases) {
    for (used, width) in [(1, 33), (2, 172), (8, 257)] {
        for (most, count) in [(1, 1), (5, 3)] {
            let mut case = Case::new(format!("used={used} width={width} tokens={count}/{most}"), most, count);
            case.tolerance(F32).quick(used == 2);
            let x = case.values(Dim::Rows, used * width);
            let x = case.inner(&x, &[used, width]);
            let weights = case.strided(Dim::Rows, used, 1, used + 2);
            all.step("expert_sum", case, Op::ExpertSum, &[x, weights], &[(Dim::Rows, width)]);
        }
    }
}
