//! The experts of each row, and their weights.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, SUMS},
    params, within,
};
use crate::{
    engine::{
        device::Tier,
        program::Step,
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Gating, Op, Routing},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "route", source: part!("kernels/route"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    experts: u32,
    used: u32,
    gating: u32,
    groups: u32,
    groups_used: u32,
    two_of_group: u32,
    normalise: u32,
    scale: f32,
    x_offset: u32,
    x_stride: u32,
    bias_offset: u32,
    ids_offset: u32,
    ids_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::Route(r) = &step.op else { return Ok(None) };
    let (x, ids, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()), with.view(step.outputs.get(1)));
    let (Some(x), Some(ids), Some(y)) = (x, ids, y) else { return Ok(None) };
    let bias = match step.inputs.get(1) {
        Some(bias) => match with.vector(Some(bias), x.width) {
            Some(bias) => Some(bias),
            None => return Ok(None),
        },
        None => None,
    };
    let limit = |name| KERNEL.constant(name);
    let small = x.width <= limit("MOST")? && r.groups <= limit("GROUPS")? && r.used <= limit("USED")?;
    let apart = x.buffer != ids.buffer && x.buffer != y.buffer && ids.buffer != y.buffer;
    let fits = x.rows == ids.rows && x.rows == y.rows && ids.width == r.used && y.width == r.used;
    if !(small && apart && fits) {
        return Ok(None);
    }
    let params = Params {
        count_at: x.rows.at,
        max_rows: x.rows.most,
        experts: x.width,
        used: r.used,
        gating: match r.gating {
            Gating::Softmax => limit("SOFTMAX")?,
            Gating::Sigmoid => limit("SIGMOID")?,
            Gating::SoftmaxOfChosen => limit("SOFTMAX_OF_CHOSEN")?,
        },
        groups: r.groups,
        groups_used: r.groups_used,
        two_of_group: u32::from(r.two_of_group),
        normalise: u32::from(r.normalise),
        scale: r.scale,
        x_offset: x.offset,
        x_stride: x.stride,
        bias_offset: bias.map_or(0, |b| b.offset),
        ids_offset: ids.offset,
        ids_stride: ids.stride,
        y_offset: y.offset,
        y_stride: y.stride,
    };
    let mut binds = vec![with.batch(), x.bind("x"), ids.bind("ids"), y.bind("y")];
    binds.extend(bias.map(|b| b.bind("bias")));
    Ok(Some(vec![Dispatch {
        variant: variant(bias.is_some(), with.tier),
        grid: within([x.rows.most, 1, 1])?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variant(bias: bool, tier: Tier) -> Variant {
    Variant::of(KERNEL.source).tier(tier).flag("bias", bias)
}

fn variants() -> Vec<Variant> {
    [false, true].map(|bias| variant(bias, Tier::Core)).to_vec()
}

fn cases(all: &mut Cases) {
    // Experts, used, groups, groups used.
    for (experts, used, groups, groups_used) in
        [(4, 2, 1, 1), (8, 8, 1, 1), (129, 8, 1, 1), (512, 10, 1, 1), (64, 6, 8, 3), (256, 8, 8, 4), (1, 1, 1, 1)]
    {
        for gating in [Gating::Softmax, Gating::Sigmoid, Gating::SoftmaxOfChosen] {
            for (bias, normalise) in [(false, false), (true, true)] {
                for (most, count) in [(1, 1), (5, 3)] {
                    let text = format!(
                        "{used} of {experts} in {groups_used}/{groups} {gating:?} bias={bias} rows={count}/{most}"
                    );
                    let mut case = Case::new(text, most, count);
                    case.tolerance(SUMS).quick(experts == 64 || experts == 129);
                    let x = case.mapped(Dim::Rows, experts, 3, experts + 5, |_, v| 3.0 * v);
                    let mut inputs = vec![x];
                    if bias {
                        inputs.push(case.vector(experts));
                    }
                    let op = Op::Route(Routing {
                        used,
                        gating,
                        groups,
                        groups_used,
                        two_of_group: bias,
                        normalise,
                        scale: if bias { 2.5 } else { 1.0 },
                    });
                    let outputs = [case.choices(used, None), case.blank(Dim::Rows, used)];
                    all.step_into("route", case, op, &inputs, &outputs);
                }
            }
        }
    }
}
