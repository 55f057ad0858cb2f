//! Mamba's selective scan.

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
    ir::{Dim, Rule, Scan},
};

pub(in super::super) static KERNEL: Kernel =
    Kernel { name: "recur_scan", source: part!("kernels/recur_scan"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    held: u32,
    outputs: u32,
    size: u32,
    team_bits: u32,
    heads: u32,
    head_dim: u32,
    group_heads: u32,
    full: u32,
    log: u32,
    x_offset: u32,
    x_stride: u32,
    dt_offset: u32,
    dt_stride: u32,
    b_offset: u32,
    b_stride: u32,
    c_offset: u32,
    c_stride: u32,
    a_offset: u32,
    y_offset: u32,
    y_stride: u32,
});

/// Values of the vector that holds A and D.
fn decays(s: &Scan) -> u32 {
    s.heads.saturating_mul(if s.full { s.size.saturating_add(1) } else { 2 })
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Some((Rule::Scan(s), p)) = parts(step, with) else { return Ok(None) };
    let (shared, lanes) = (s.groups.saturating_mul(s.size), KERNEL.constant("WG")?);
    let fits = p.has(&[p.y.width, s.heads, shared, shared, decays(&s)]);
    let Some(team_bits) = team_bits(s.size, lanes).filter(|_| fits) else { return Ok(None) };
    let [x, dt, b, c, a] = [0, 1, 2, 3, 4].map(|i| p.inputs[i]);
    let params = Params {
        count_at: x.rows.at,
        max_rows: x.rows.most,
        sequences: p.held.sequences,
        held: p.held.width,
        outputs: p.y.width,
        size: s.size,
        team_bits,
        heads: s.heads,
        head_dim: s.head_dim,
        group_heads: s.heads / s.groups,
        full: u32::from(s.full),
        log: u32::from(s.log),
        x_offset: x.offset,
        x_stride: x.stride,
        dt_offset: dt.offset,
        dt_stride: dt.stride,
        b_offset: b.offset,
        b_stride: b.stride,
        c_offset: c.offset,
        c_stride: c.stride,
        a_offset: a.offset,
        y_offset: p.y.offset,
        y_stride: p.y.stride,
    };
    let mut binds = vec![with.batch(), p.held.bind(), p.y.bind("y")];
    binds.extend([x.bind("x"), dt.bind("dt"), b.bind("b"), c.bind("c"), a.bind("a")]);
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
    let scan = |heads, head_dim, size, groups| Scan { heads, head_dim, size, groups, full: false, log: false };
    for s in [
        Scan { full: true, ..scan(37, 1, 16, 1) },
        Scan { full: true, log: true, ..scan(260, 1, 5, 1) },
        Scan { log: true, ..scan(8, 16, 16, 2) },
        scan(3, 20, 33, 3),
        scan(6, 64, 128, 2),
        scan(2, 5, 300, 1),
    ] {
        let text = format!(
            "heads={}x{} size={} groups={} full={} log={}",
            s.heads, s.head_dim, s.size, s.groups, s.full, s.log
        );
        let rule = Rule::Scan(s);
        for runs in RUNS {
            case(all, "recur_scan", &text, rule, runs, s.size == 16, |c| {
                let (width, shared) = (s.heads * s.head_dim, s.groups * s.size);
                // x, b and c are columns of one buffer, as a convolution leaves them.
                let stride = width + 2 * shared + 3;
                let all = c.strided(Dim::Rows, stride, 2, stride);
                let dt = c.mapped(Dim::Rows, s.heads, 1, s.heads + 1, |_, v| 0.3 + 0.2 * v);
                let a = match s.log {
                    true => c.vector(decays(&s)),
                    false => c.falling(decays(&s)),
                };
                vec![
                    c.columns(&all, 0, width),
                    dt,
                    c.columns(&all, width, shared),
                    c.columns(&all, width + shared, shared),
                    a,
                ]
            });
        }
    }
}
