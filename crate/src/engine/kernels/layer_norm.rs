//! Layer norm of rows, with or without a bias.

use bytemuck::bytes_of;

use super::{
    Dispatch, Kernel, Lowering,
    case::{Case, Cases, WIDTHS},
    in_place, params, within,
};
use crate::{
    engine::{
        program::Step,
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "layer_norm", source: part!("kernels/layer_norm"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    eps: f32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    weight_offset: u32,
    bias_offset: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::LayerNorm { eps } = step.op else { return Ok(None) };
    let (Some(x), Some(y)) = (with.view(step.inputs.first()), with.view(step.outputs.first())) else { return Ok(None) };
    let Some(weight) = with.vector(step.inputs.get(1), x.width) else { return Ok(None) };
    let bias = with.vector(step.inputs.get(2), x.width);
    let Some(over) = in_place(&x, &y, &[&weight, bias.as_ref().unwrap_or(&weight)]) else { return Ok(None) };
    if x.rows != y.rows || x.width != y.width || bias.is_some() != (step.inputs.len() == 3) {
        return Ok(None);
    }
    let params = Params {
        count_at: y.rows.at,
        max_rows: y.rows.most,
        width: x.width,
        eps,
        x_offset: x.offset,
        x_stride: x.stride,
        y_offset: y.offset,
        y_stride: y.stride,
        weight_offset: weight.offset,
        bias_offset: bias.map_or(0, |b| b.offset),
    };
    let mut binds = vec![with.batch(), weight.bind("weight"), y.bind("y")];
    binds.extend(bias.map(|b| b.bind("bias")));
    if !over {
        binds.push(x.bind("x"));
    }
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).tier(with.tier).flag("bias", bias.is_some()).flag("in_place", over),
        grid: within([x.rows.most, 1, 1])?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    flags.map(|(bias, over)| Variant::of(KERNEL.source).flag("bias", bias).flag("in_place", over)).to_vec()
}

fn cases(all: &mut Cases) {
    for width in WIDTHS {
        for (most, count, bias, over) in [(1, 1, true, false), (5, 3, false, false), (17, 17, true, true)] {
            let text = format!("width={width} tokens={count}/{most} bias={bias} in place={over}");
            let mut case = Case::new(text, most, count);
            case.quick(width == 172);
            let x = case.mapped(Dim::Rows, width, 3, width + 2, |_, v| 3.0 + v);
            let mut inputs = vec![x.clone(), case.vector(width)];
            if bias {
                inputs.push(case.vector(width));
            }
            let op = Op::LayerNorm { eps: 1e-5 };
            if over {
                all.step_into("layer_norm", case, op, &inputs, &[x]);
            } else {
                all.step("layer_norm", case, op, &inputs, &[(Dim::Rows, width)]);
            }
        }
    }
}
