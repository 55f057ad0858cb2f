//! Attention of each row to remembered rows of its sequence, or to rows of this step.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering,
    case::{Case, Cases, SUMS},
    params, within,
};
use crate::{
    engine::{
        device::Tier,
        program::{CacheType, Operand, Step},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Attention, Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "attention", source: part!("kernels/attention"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    value_dim: u32,
    scale: f32,
    soft_cap: f32,
    causal: u32,
    window: u32,
    context: u32,
    group: u32,
    k_rows: u32,
    q_offset: u32,
    q_stride: u32,
    k_offset: u32,
    k_stride: u32,
    k_scales: u32,
    v_offset: u32,
    v_stride: u32,
    v_scales: u32,
    y_offset: u32,
    y_stride: u32,
    bias_offset: u32,
    reach: u32,
    alibi: f32,
    slope_heads: u32,
    sinks_offset: u32,
});

/// Keys or values: where their rows lie.
struct Source {
    bind: Bind,
    cache: CacheType,
    paged: bool,
    rows: u32,
    width: u32,
    group: u32,
    offset: u32,
    stride: u32,
}

impl Source {
    fn of(name: &'static str, operand: Option<&Operand>, with: &Lowering<'_>) -> Option<Self> {
        if let Some(state) = with.state(operand) {
            return Some(Self {
                bind: state.bind(name),
                cache: state.cache,
                paged: true,
                rows: state.rows,
                width: state.width,
                group: state.group,
                offset: 0,
                stride: state.cache.row_words(state.width),
            });
        }
        let view = with.view(operand)?;
        Some(Self {
            bind: view.bind(name),
            cache: CacheType::F32,
            paged: false,
            rows: view.rows.most,
            width: view.width,
            group: 0,
            offset: view.offset,
            stride: view.stride,
        })
    }
    /// Words of bytes before a row's scales.
    fn scales(&self) -> u32 {
        self.width.div_ceil(4)
    }
}

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let Op::Attention(a) = &step.op else { return Ok(None) };
    let (q, y) = (with.view(step.inputs.first()), with.view(step.outputs.first()));
    let (k, v) = (Source::of("k", step.inputs.get(1), with), Source::of("v", step.inputs.get(2), with));
    let (Some(q), Some(k), Some(v), Some(y)) = (q, k, v, y) else { return Ok(None) };
    let alike = k.cache == v.cache && k.paged == v.paged && k.group == v.group && k.rows == v.rows;
    let (key_most, value_most) = (KERNEL.constant("MAX_HEAD")?, 2 * KERNEL.constant("WG")?);
    let heads = a.kv_heads > 0 && a.heads % a.kv_heads == 0;
    let sized = (1..=key_most).contains(&a.head_dim) && (1..=value_most).contains(&a.value_dim);
    let fits = q.width == a.heads * a.head_dim
        && y.width == a.heads * a.value_dim
        && k.width == a.kv_heads * a.head_dim
        && v.width == a.kv_heads * a.value_dim
        && q.rows == y.rows;
    let apart = [q.buffer, k.bind.buffer, v.bind.buffer].iter().all(|b| *b != y.buffer);
    // What is named is there, as a vector of its own.
    let bias = match a.reach {
        Some(reach) => with.vector(step.inputs.get(3), (2 * reach + 1) * a.heads).map(Some),
        None => Some(None),
    };
    let sinks = match a.sinks_at() {
        Some(at) => with.vector(step.inputs.get(at), a.heads).map(Some),
        None => Some(None),
    };
    let (true, Some(bias), Some(sinks)) = (alike && heads && sized && fits && apart, bias, sinks) else {
        return Ok(None);
    };
    if bias.iter().chain(&sinks).any(|v| v.buffer == y.buffer) {
        return Ok(None);
    }
    // A whole vec4 of a key begins at a whole word of its type.
    let aligned = k.cache != CacheType::F32 || (k.offset % 4 == 0 && k.stride % 4 == 0);
    let params = Params {
        count_at: q.rows.at,
        max_rows: q.rows.most,
        heads: a.heads,
        kv_heads: a.kv_heads,
        head_dim: a.head_dim,
        value_dim: a.value_dim,
        scale: a.scale,
        soft_cap: a.soft_cap.unwrap_or(0.0),
        causal: u32::from(a.causal),
        window: a.window.unwrap_or(0),
        context: with.program.context,
        group: k.group,
        k_rows: k.rows,
        q_offset: q.offset,
        q_stride: q.stride,
        k_offset: k.offset,
        k_stride: k.stride,
        k_scales: k.scales(),
        v_offset: v.offset,
        v_stride: v.stride,
        v_scales: v.scales(),
        y_offset: y.offset,
        y_stride: y.stride,
        bias_offset: bias.map_or(0, |b| b.offset),
        reach: a.reach.unwrap_or(0),
        alibi: a.alibi.unwrap_or(0.0),
        slope_heads: a.slope_heads(),
        sinks_offset: sinks.map_or(0, |s| s.offset),
    };
    let mut binds = vec![with.batch(), q.bind("q"), k.bind, v.bind, y.bind("y")];
    binds.extend(bias.map(|b| b.bind("bias")));
    binds.extend(sinks.map(|s| s.bind("sinks")));
    let kind = Kind { ragged: a.head_dim % 4 != 0 || !aligned, sinks: sinks.is_some(), biased: bias.is_some() };
    Ok(Some(vec![Dispatch {
        variant: variant(k.cache, k.paged, kind, with.tier),
        grid: within([a.heads, q.rows.most, 1])?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

/// What tells variants apart, beside the states' type.
#[derive(Clone, Copy, Default)]
struct Kind {
    ragged: bool,
    sinks: bool,
    biased: bool,
}

fn variant(cache: CacheType, paged: bool, kind: Kind, tier: Tier) -> Variant {
    let plain = Variant::of(KERNEL.source).cache(cache).tier(tier).flag("paged", paged);
    plain.flag("ragged", kind.ragged).flag("sinks", kind.sinks).flag("biased", kind.biased)
}

fn variants() -> Vec<Variant> {
    let kinds = CacheType::ALL.iter().map(|c| (*c, true)).chain([(CacheType::F32, false)]);
    let flags = (0..8).map(|f| Kind { ragged: f & 1 != 0, sinks: f & 2 != 0, biased: f & 4 != 0 });
    kinds.flat_map(|(c, paged)| flags.clone().map(move |kind| variant(c, paged, kind, Tier::Core))).collect()
}

/// Query heads, key heads, values of a head.
type Heads = (u32, u32, u32);

fn cases(all: &mut Cases) {
    // Most rows, sequences as (first position, rows), context.
    type Rows = (u32, &'static [(u32, u32)], u32);
    const SHAPES: [(Heads, Rows); 11] = [
        ((1, 1, 8), (1, &[(0, 1)], 16)),
        ((4, 2, 16), (5, &[(5, 3)], 64)),
        ((8, 1, 20), (9, &[(30, 3), (0, 2), (63, 1)], 64)),
        ((9, 3, 64), (8, &[(254, 4), (40, 1)], 300)),
        ((2, 1, 128), (1, &[(599, 1)], 600)),
        ((3, 3, 33), (5, &[(7, 5)], 40)),
        ((2, 2, 2), (4, &[(9, 2), (17, 2)], 20)),
        ((2, 1, 256), (3, &[(280, 2)], 300)),
        ((6, 3, 48), (17, &[(0, 17)], 64)),
        ((4, 2, 512), (3, &[(30, 2)], 40)),
        ((2, 1, 300), (2, &[(280, 2)], 300)),
    ];
    for cache in CacheType::ALL {
        for ((heads, kv_heads, head_dim), (most, runs, context)) in SHAPES {
            for (window, soft_cap) in [(None, None), (Some(3), Some(2.0)), (Some(270), None)] {
                if window.is_some() && *cache != CacheType::F32 && head_dim != 64 {
                    continue;
                }
                let text = format!(
                    "{} heads={heads}/{kv_heads}x{head_dim} rows={runs:?}/{most} context={context} window={window:?}",
                    cache.name()
                );
                let mut case = Case::new(text, most, 1);
                case.sequences(context, 2, runs).tolerance(SUMS).quick(head_dim == 64 || head_dim == 16);
                let scale = 1.0 / (head_dim as f32).sqrt();
                let causal = true;
                // A bias by distance in every other shape.
                let reach = (head_dim == 64 || head_dim == 33).then_some(7);
                let spec = Attention {
                    heads,
                    kv_heads,
                    head_dim,
                    value_dim: head_dim,
                    scale,
                    causal,
                    window,
                    soft_cap,
                    reach,
                    alibi: None,
                    sinks: false,
                };
                let q = case.strided(Dim::Rows, heads * head_dim, 4, heads * head_dim + 8);
                let keys = case.state(*cache, kv_heads * head_dim, 1, 4.0);
                let values = case.state(*cache, kv_heads * head_dim, 1, 1.0);
                let mut inputs = vec![q, keys, values];
                inputs.extend(reach.map(|reach| case.vector((2 * reach + 1) * heads)));
                all.step("attention", case, Op::Attention(spec), &inputs, &[(Dim::Rows, heads * head_dim)]);
            }
        }
    }
    // Rows of this step: encoders, where every row sees its whole sequence.
    for (heads, kv_heads, head_dim, value_dim) in [(4, 4, 16, 16), (3, 1, 33, 33), (2, 2, 20, 12), (12, 12, 64, 64)] {
        for (causal, window) in [(false, None), (false, Some(3)), (true, None)] {
            let text =
                format!("step heads={heads}/{kv_heads}x{head_dim}/{value_dim} causal={causal} window={window:?}");
            let mut case = Case::new(text, 24, 1);
            case.sequences(32, 1, &[(0, 7), (0, 1), (0, 12)]).tolerance(SUMS).quick(head_dim == 64);
            let scale = 1.0 / (head_dim as f32).sqrt();
            let reach = (head_dim == 16 || head_dim == 33).then_some(5);
            let (soft_cap, alibi, sinks) = (None, None, false);
            let spec = Attention {
                heads,
                kv_heads,
                head_dim,
                value_dim,
                scale,
                causal,
                window,
                soft_cap,
                reach,
                alibi,
                sinks,
            };
            let widths = [heads * head_dim, kv_heads * head_dim, kv_heads * value_dim];
            let stride = widths.iter().sum();
            let qkv = case.strided(Dim::Rows, stride, 0, stride);
            let mut start = 0;
            let mut inputs = widths
                .map(|w| {
                    start += w;
                    case.columns(&qkv, start - w, w)
                })
                .to_vec();
            inputs.extend(reach.map(|reach| case.vector((2 * reach + 1) * heads)));
            all.step("attention", case, Op::Attention(spec), &inputs, &[(Dim::Rows, heads * value_dim)]);
        }
    }
    more_cases(all);
}

/// Slopes, sinks, and keys wider than values, as latent attention has them.
fn more_cases(all: &mut Cases) {
    // Heads, values of a value head; slopes, sinks.
    let shapes: [(Heads, u32, Option<f32>, bool); 7] = [
        ((4, 2, 16), 16, Some(8.0), false),
        ((6, 3, 20), 12, Some(8.0), true),
        ((4, 2, 64), 64, None, true),
        ((3, 1, 33), 33, Some(4.0), true),
        ((4, 1, 576), 512, None, false),
        ((2, 1, 300), 260, None, true),
        ((3, 1, 48), 32, None, false),
    ];
    for cache in CacheType::ALL {
        for ((heads, kv_heads, head_dim), value_dim, alibi, sinks) in shapes {
            // Blocks of 32 lie within heads.
            if *cache == CacheType::Q8_0 && (head_dim % 32 != 0 || value_dim % 32 != 0) {
                continue;
            }
            for window in [None, Some(5)] {
                let text = format!(
                    "{} heads={heads}/{kv_heads}x{head_dim}/{value_dim} window={window:?} slopes={alibi:?} sinks={sinks}",
                    cache.name()
                );
                let mut case = Case::new(text, 5, 1);
                case.sequences(300, 2, &[(280, 3), (0, 2)]).tolerance(SUMS).quick(window.is_none());
                let scale = 1.0 / (head_dim as f32).sqrt();
                let (causal, soft_cap) = (true, None);
                let reach = None;
                let spec = Attention {
                    heads,
                    kv_heads,
                    head_dim,
                    value_dim,
                    scale,
                    causal,
                    window,
                    soft_cap,
                    reach,
                    alibi,
                    sinks,
                };
                let q = case.values(Dim::Rows, heads * head_dim);
                let keys = case.state(*cache, kv_heads * head_dim, 1, 4.0);
                let values = case.state(*cache, kv_heads * value_dim, 1, 1.0);
                let mut inputs = vec![q, keys, values];
                if sinks {
                    inputs.push(case.vector(heads));
                }
                all.step("attention", case, Op::Attention(spec), &inputs, &[(Dim::Rows, heads * value_dim)]);
            }
        }
    }
}
