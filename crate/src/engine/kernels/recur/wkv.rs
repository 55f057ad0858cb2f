//! The recurrence of RWKV 5 and 6.

use bytemuck::bytes_of;

use super::{
    super::{Dispatch, Kernel, Lowering, case::Cases, params},
    RUNS, case, grid, parts, team_bits,
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
    Kernel { name: "recur_wkv", source: part!("kernels/recur_wkv"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    held: u32,
    outputs: u32,
    size: u32,
    team_bits: u32,
    r_offset: u32,
    r_stride: u32,
    k_offset: u32,
    k_stride: u32,
    v_offset: u32,
    v_stride: u32,
    w_offset: u32,
    w_stride: u32,
    u_offset: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((Rule::Wkv { dim, .. }, p)) = parts(step, with) else { return Ok(None) };
    let lanes = KERNEL.constant("WG")?;
    let fits = p.has(&[p.y.width; 5]);
    let Some(team_bits) = team_bits(dim, lanes).filter(|_| fits) else { return Ok(None) };
    let [r, k, v, w, u] = [0, 1, 2, 3, 4].map(|i| p.inputs[i]);
    let params = Params {
        count_at: r.rows.at,
        max_rows: r.rows.most,
        sequences: p.held.sequences,
        held: p.held.width,
        outputs: p.y.width,
        size: dim,
        team_bits,
        r_offset: r.offset,
        r_stride: r.stride,
        k_offset: k.offset,
        k_stride: k.stride,
        v_offset: v.offset,
        v_stride: v.stride,
        w_offset: w.offset,
        w_stride: if w.rows == r.rows { w.stride } else { 0 },
        u_offset: u.offset,
        y_offset: p.y.offset,
        y_stride: p.y.stride,
    };
    let mut binds = vec![with.batch(), p.held.bind(), p.y.bind("y")];
    binds.extend([r.bind("r"), k.bind("k"), v.bind("v"), w.bind("w"), u.bind("u")]);
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source),
        grid: grid(p.y.width, p.held.sequences, team_bits, lanes)?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    vec![Variant::of(KERNEL.source)]
}

fn cases(all: &mut Cases) {
    for (heads, dim) in [(1, 3), (4, 16), (3, 33), (2, 64)] {
        for same in [false, true] {
            let text = format!("heads={heads}x{dim} same={same}");
            for runs in RUNS {
                case(all, "recur_wkv", &text, Rule::Wkv { heads, dim }, runs, dim == 16, |c| {
                    let width = heads * dim;
                    let rkv = c.strided(Dim::Rows, 3 * width, 2, 3 * width + 1);
                    let w = match same {
                        true => c.vector(width),
                        false => c.mapped(Dim::Rows, width, 0, width + 4, |_, v| 0.5 + 0.5 * v),
                    };
                    let [r, k, v] = [0, 1, 2].map(|i| c.columns(&rkv, i * width, width));
                    vec![r, k, v, w, c.vector(width)]
                });
            }
        }
    }
}
