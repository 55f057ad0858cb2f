// Conv: y[t, c] = sum over j of weight[c, j] * x[t - taps + 1 + j, c], plus the bias; rows before the step's first from the state.
// batch; x: [rows, channels]; weight: [channels * taps]; bias: [channels] (`bias`); state: [sequences, CHECKPOINTS, taps - 1,
// channels]; y: [rows, channels]. A lane takes one channel of one sequence, row by row.
#import lib/grid
#import lib/batch

struct Params {
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
#if bias
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(5) var<storage, read_write> state: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
#import lib/carry

const WG: u32 = 64u;
const MAX_TAPS: u32 = 8u;

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
    // The last of them is the row at hand.
    var seen: array<f32, MAX_TAPS>;
    var factors: array<f32, MAX_TAPS>;
    for (var j = 0u; j < p.taps; j++) {
        factors[j] = weight[p.weight_offset + channel * p.taps + j];
        seen[j] = 0.0;
        if (run.goes_on && j + 1u < p.taps) {
            seen[j] = state[run.before + j * p.channels + channel];
        }
    }
#if bias
    let base = bias[p.bias_offset + channel];
#else
    let base = 0.0;
#endif
    for (var r = 0u; r < run.rows; r++) {
        let t = run.first + r;
        seen[p.taps - 1u] = x[p.x_offset + t * p.x_stride + channel];
        var sum = base;
        for (var j = 0u; j < p.taps; j++) {
            sum += factors[j] * seen[j];
        }
        y[p.y_offset + t * p.y_stride + channel] = sum;
        for (var j = 0u; j + 1u < p.taps; j++) {
            seen[j] = seen[j + 1u];
        }
    }
    for (var j = 0u; j + 1u < p.taps; j++) {
        state[run.after + j * p.channels + channel] = seen[j];
    }
}
