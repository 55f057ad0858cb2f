//! The gated delta rule.

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
    ir::{Delta, Dim, Rule},
};

pub(in super::super) static KERNEL: Kernel = Kernel {
    name: "recur_delta",
    source: part!("kernels/recur_delta"),
    params: Params::FIELDS,
    takes,
    variants,
    cases,
};

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    held: u32,
    outputs: u32,
    size: u32,
    team_bits: u32,
    value_dim: u32,
    key_heads: u32,
    shared_by: u32,
    tiled: u32,
    q_offset: u32,
    q_stride: u32,
    k_offset: u32,
    k_stride: u32,
    v_offset: u32,
    v_stride: u32,
    decay_offset: u32,
    decay_stride: u32,
    beta_offset: u32,
    beta_stride: u32,
    y_offset: u32,
    y_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((Rule::Delta(d), p)) = parts(step, with) else { return Ok(None) };
    let (keys, lanes) = (d.key_heads.saturating_mul(d.key_dim), KERNEL.constant("WG")?);
    let fits = p.has(&[keys, keys, p.y.width, d.heads, d.heads]);
    let Some(team_bits) = team_bits(d.key_dim, lanes).filter(|_| fits) else { return Ok(None) };
    let [q, k, v, decay, beta] = [0, 1, 2, 3, 4].map(|i| p.inputs[i]);
    let params = Params {
        count_at: q.rows.at,
        max_rows: q.rows.most,
        sequences: p.held.sequences,
        held: p.held.width,
        outputs: p.y.width,
        size: d.key_dim,
        team_bits,
        value_dim: d.value_dim,
        key_heads: d.key_heads,
        shared_by: d.heads / d.key_heads,
        tiled: u32::from(d.tiled),
        q_offset: q.offset,
        q_stride: q.stride,
        k_offset: k.offset,
        k_stride: k.stride,
        v_offset: v.offset,
        v_stride: v.stride,
        decay_offset: decay.offset,
        decay_stride: decay.stride,
        beta_offset: beta.offset,
        beta_stride: beta.stride,
        y_offset: p.y.offset,
        y_stride: p.y.stride,
    };
    let mut binds = vec![with.batch(), p.held.bind(), p.y.bind("y")];
    binds.extend([q.bind("q"), k.bind("k"), v.bind("v"), decay.bind("decay"), beta.bind("beta")]);
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
    for (key_heads, heads, key_dim, value_dim) in [(1, 1, 8, 3), (2, 4, 16, 16), (3, 6, 33, 20), (2, 2, 128, 128)] {
        for tiled in [false, true] {
            let text = format!("heads={key_heads}x{key_dim}/{heads}x{value_dim} tiled={tiled}");
            let rule = Rule::Delta(Delta { key_heads, heads, key_dim, value_dim, tiled });
            for runs in RUNS {
                case(all, "recur_delta", &text, rule, runs, key_dim == 16, |c| {
                    // Keys of about a length of one, as their norm leaves them: others would make the state explode.
                    let scale = (2.0 / key_dim as f32).sqrt();
                    let keys = key_heads * key_dim;
                    let qk = c.mapped(Dim::Rows, 2 * keys, 4, 2 * keys + 1, |_, v| v * scale);
                    vec![
                        c.columns(&qk, 0, keys),
                        c.columns(&qk, keys, keys),
                        c.strided(Dim::Rows, heads * value_dim, 1, heads * value_dim + 5),
                        c.mapped(Dim::Rows, heads, 0, heads, |_, v| -0.5 - 0.5 * v),
                        c.mapped(Dim::Rows, heads, 0, heads, |_, v| 0.5 + 0.5 * v),
                    ]
                });
            }
        }
    }
}
