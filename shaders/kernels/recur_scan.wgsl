// Scan: S[j, s] = exp(dt * A[s]) S[j, s] + dt x[j] b[s]; y[j] = sum over s of S[j, s] c[s] + D x[j], for channel j of a head.
// batch; x: [rows, outputs]; dt: [rows, heads]; b, c: [rows, groups * size]; a: A, then D of each head; state: [sequences,
// CHECKPOINTS, outputs, size]; y: [rows, outputs]. A team of lanes takes one channel of one sequence, row by row.
#import lib/batch

struct Params {
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> dt: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read> c: array<f32>;
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;
#import lib/carry

const WG: u32 = 256u;
#import lib/columns

fn decay(head: u32, i: u32) -> f32 {
    let v = a[p.a_offset + select(head, head * p.size + i, p.full != 0u)];
    return select(v, -exp(v), p.log != 0u);
}

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
    let head = column / p.head_dim;
    let shared_at = head / p.group_heads * p.size;
    let skip = a[p.a_offset + select(p.heads, p.heads * p.size, p.full != 0u) + head];
    var s: array<f32, PART>;
    var rate: array<f32, PART>;
    for (var i = 0u; i < PART; i++) {
        s[i] = 0.0;
        rate[i] = 0.0;
        if (first + i < p.size) {
            rate[i] = decay(head, first + i);
            if (run.goes_on) {
                s[i] = state[run.before + column * p.size + first + i];
            }
        }
    }
    for (var r = 0u; r < run.rows; r++) {
        let t = run.first + r;
        let step = dt[p.dt_offset + t * p.dt_stride + head];
        let input = x[p.x_offset + t * p.x_stride + column];
        let b_at = p.b_offset + t * p.b_stride + shared_at + first;
        let c_at = p.c_offset + t * p.c_stride + shared_at + first;
        var sum = 0.0;
        for (var i = 0u; i < PART; i++) {
            if (first + i < p.size) {
                s[i] = s[i] * exp(step * rate[i]) + step * input * b[b_at + i];
                sum += s[i] * c[c_at + i];
            }
        }
        let total = team_sum(lane, sum);
        if (first == 0u && wanted < p.outputs) {
            y[p.y_offset + t * p.y_stride + column] = total + skip * input;
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
