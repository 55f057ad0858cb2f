//! Short causal convolutions, a filter for each channel.

use bytemuck::bytes_of;

use super::{
    super::{Dispatch, Kernel, Lowering, case::Cases, params},
    RUNS, case, parts,
};
use crate::{
    engine::{
        program::Step,
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Rule},
};

pub(in super::super) static KERNEL: Kernel =
    Kernel { name: "recur_conv", source: part!("kernels/recur_conv"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    held: u32,
    channels: u32,
    taps: u32,
    x_offset: u32,
    x_stride: u32,
    weight_offset: u32,
    bias_offset: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((Rule::Conv { channels, taps }, p)) = parts(step, with) else { return Ok(None) };
    let bias = p.inputs.get(2).copied();
    let widths = [channels, channels.saturating_mul(taps), channels];
    if !p.has(&widths[..p.inputs.len().min(3)]) || !(2..=KERNEL.constant("MAX_TAPS")?).contains(&taps) {
        return Ok(None);
    }
    let (x, weight) = (p.inputs[0], p.inputs[1]);
    let params = Params {
        count_at: x.rows.at,
        max_rows: x.rows.most,
        sequences: p.held.sequences,
        held: p.held.width,
        channels,
        taps,
        x_offset: x.offset,
        x_stride: x.stride,
        weight_offset: weight.offset,
        bias_offset: bias.map_or(0, |b| b.offset),
        y_offset: p.y.offset,
        y_stride: p.y.stride,
    };
    let mut binds = vec![with.batch(), x.bind("x"), weight.bind("weight"), p.held.bind(), p.y.bind("y")];
    binds.extend(bias.map(|b| b.bind("bias")));
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).flag("bias", bias.is_some()),
        grid: KERNEL.lanes(u64::from(p.held.sequences) * u64::from(channels))?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    [false, true].map(|bias| Variant::of(KERNEL.source).flag("bias", bias)).to_vec()
}

fn cases(all: &mut Cases) {
    for (channels, taps) in [(1, 2), (33, 3), (96, 4), (257, 8)] {
        for bias in [false, true] {
            for runs in RUNS {
                let text = format!("channels={channels} taps={taps} bias={bias}");
                let rule = Rule::Conv { channels, taps };
                case(all, "recur_conv", &text, rule, runs, channels == 96, |c| {
                    let mut inputs = vec![c.strided(Dim::Rows, channels, 3, channels + 2), c.vector(channels * taps)];
                    inputs.extend(bias.then(|| c.vector(channels)));
                    inputs
                });
            }
        }
    }
}
