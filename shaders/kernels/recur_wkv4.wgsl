// Wkv4: a mean of values with weights exp(k) that decay by exp(w) a row, and exp(u + k) for the own row; see `ir/eval/recur.rs`.
// batch; k, v: [rows, channels]; u: w (or log(-w)), then u; state: [sequences, CHECKPOINTS, 3, channels]: numerator and denominator over
// exp(largest), largest; y: [rows, channels]. A lane takes one channel of one sequence, row by row.
#import lib/grid
#import lib/batch

struct Params {
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> u: array<f32>;
@group(0) @binding(5) var<storage, read_write> state: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
#import lib/carry

const WG: u32 = 64u;
// Below any exponent; finite, because WGSL leaves infinities undefined.
const LOWEST: f32 = -1.0e30;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let channel = i % p.channels;
    let own = i / p.channels;
    if (own >= p.sequences) {
        return;
    }
    let run = run_of(own);
    if (run.rows == 0u) {
        return;
    }
    var above = 0.0;
    var below = 0.0;
    var largest = LOWEST;
    if (run.goes_on) {
        above = state[run.before + channel];
        below = state[run.before + p.channels + channel];
        largest = state[run.before + 2u * p.channels + channel];
    }
    let stored = u[p.u_offset + channel];
    let w = select(stored, -exp(stored), p.log != 0u);
    let bonus = u[p.u_offset + p.channels + channel];
    for (var r = 0u; r < run.rows; r++) {
        let t = run.first + r;
        let key = k[p.k_offset + t * p.k_stride + channel];
        let value = v[p.v_offset + t * p.v_stride + channel];
        var top = max(largest, bonus + key);
        var old = exp(largest - top);
        var fresh = exp(bonus + key - top);
        y[p.y_offset + t * p.y_stride + channel] = (old * above + fresh * value) / (old * below + fresh);
        top = max(largest + w, key);
        old = exp(largest + w - top);
        fresh = exp(key - top);
        above = old * above + fresh * value;
        below = old * below + fresh;
        largest = top;
    }
    state[run.after + channel] = above;
    state[run.after + p.channels + channel] = below;
    state[run.after + 2u * p.channels + channel] = largest;
}
