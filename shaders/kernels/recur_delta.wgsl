// Delta: S = exp(decay) S; S[i, j] += k[i] beta (v[j] - sum over i of S[i, j] k[i]); y[j] = sum over i of S[i, j] q[i], for each head.
// batch; q, k: [rows, key_heads * size]; v: [rows, outputs]; decay, beta: [rows, heads]; state: [sequences, CHECKPOINTS,
// outputs, size]; y: [rows, outputs]. A team of lanes takes one column of one sequence, row by row.
#import lib/batch

struct Params {
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;
@group(0) @binding(6) var<storage, read> beta: array<f32>;
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
    let head = column / p.value_dim;
    let key_at = select(head / p.shared_by, head % p.key_heads, p.tiled != 0u) * p.size + first;
    var s: array<f32, PART>;
    for (var i = 0u; i < PART; i++) {
        s[i] = 0.0;
        if (run.goes_on && first + i < p.size) {
            s[i] = state[run.before + column * p.size + first + i];
        }
    }
    for (var r = 0u; r < run.rows; r++) {
        let t = run.first + r;
        let keep = exp(decay[p.decay_offset + t * p.decay_stride + head]);
        let k_at = p.k_offset + t * p.k_stride + key_at;
        let q_at = p.q_offset + t * p.q_stride + key_at;
        var known = 0.0;
        for (var i = 0u; i < PART; i++) {
            if (first + i < p.size) {
                s[i] *= keep;
                known += s[i] * k[k_at + i];
            }
        }
        let value = v[p.v_offset + t * p.v_stride + column];
        let fresh = beta[p.beta_offset + t * p.beta_stride + head] * (value - team_sum(lane, known));
        var sum = 0.0;
        for (var i = 0u; i < PART; i++) {
            if (first + i < p.size) {
                s[i] += k[k_at + i] * fresh;
                sum += s[i] * q[q_at + i];
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
