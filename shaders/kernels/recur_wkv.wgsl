// Wkv: y[j] = sum over i of r[i] (S[i, j] + u[i] k[i] v[j]), then S[i, j] = w[i] S[i, j] + k[i] v[j], for each head.
// batch; r, k, v: [rows, outputs]; w: the same, or the same values for all rows (a stride of 0); u: [outputs]; state:
// [sequences, CHECKPOINTS, outputs, size]; y: [rows, outputs]. A team of lanes takes one column of one sequence, row by row.
#import lib/batch

struct Params {
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> w: array<f32>;
@group(0) @binding(6) var<storage, read> u: array<f32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;
#import lib/carry

const WG: u32 = 256u;
#import lib/columns

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = run_of(group.y);
    if (run.rows == 0u) {
        return;
    }
    let wanted = column_of(group.x, lane);
    // Lanes behind the last column do the last one's work and keep nothing.
    let column = min(wanted, p.outputs - 1u);
    let first = first_of(lane);
    let key_at = column / p.size * p.size + first;
    var s: array<f32, PART>;
    for (var i = 0u; i < PART; i++) {
        s[i] = 0.0;
        if (run.goes_on && first + i < p.size) {
            s[i] = state[run.before + column * p.size + first + i];
        }
    }
    for (var n = 0u; n < run.rows; n++) {
        let t = run.first + n;
        let value = v[p.v_offset + t * p.v_stride + column];
        var sum = 0.0;
        for (var i = 0u; i < PART; i++) {
            if (first + i < p.size) {
                let at = key_at + i;
                let fresh = k[p.k_offset + t * p.k_stride + at] * value;
                sum += r[p.r_offset + t * p.r_stride + at] * (s[i] + u[p.u_offset + at] * fresh);
                s[i] = s[i] * w[p.w_offset + t * p.w_stride + at] + fresh;
            }
        }
        let total = team_sum(lane, sum);
        if (first == 0u && wanted < p.outputs) {
            y[p.y_offset + t * p.y_stride + column] = total;
        }
    }
    if (wanted < p.outputs) {
        for (var i = 0u; i < PART; i++) {
            if (first + i < p.size) {
                state[run.after + column * p.size + first + i] = s[i];
            }
        }
    }
}
