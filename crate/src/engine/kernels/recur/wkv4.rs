//! The recurrence of RWKV 4.

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
    Kernel { name: "recur_wkv4", source: part!("kernels/recur_wkv4"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    held: u32,
    channels: u32,
    log: u32,
    k_offset: u32,
    k_stride: u32,
    v_offset: u32,
    v_stride: u32,
    u_offset: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((Rule::Wkv4 { channels, log }, p)) = parts(step, with) else { return Ok(None) };
    if !p.has(&[channels, channels, channels.saturating_mul(2)]) {
        return Ok(None);
    }
    let [k, v, u] = [0, 1, 2].map(|i| p.inputs[i]);
    let params = Params {
        count_at: k.rows.at,
        max_rows: k.rows.most,
        sequences: p.held.sequences,
        held: p.held.width,
        channels,
        log: u32::from(log),
        k_offset: k.offset,
        k_stride: k.stride,
        v_offset: v.offset,
        v_stride: v.stride,
        u_offset: u.offset,
        y_offset: p.y.offset,
        y_stride: p.y.stride,
    };
    let binds = vec![with.batch(), k.bind("k"), v.bind("v"), u.bind("u"), p.held.bind(), p.y.bind("y")];
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source),
        grid: KERNEL.lanes(u64::from(p.held.sequences) * u64::from(channels))?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    vec![Variant::of(KERNEL.source)]
}

fn cases(all: &mut Cases) {
    for (channels, log) in [(1, false), (33, true), (128, false)] {
        for runs in RUNS {
            let text = format!("channels={channels} log={log}");
            case(all, "recur_wkv4", &text, Rule::Wkv4 { channels, log }, runs, channels == 128, |c| {
                let kv = c.strided(Dim::Rows, 2 * channels, 2, 2 * channels + 1);
                vec![c.columns(&kv, 0, channels), c.columns(&kv, channels, channels), c.falling(2 * channels)]
            });
        }
    }
}
