// Linear for many rows: y[t, first_row + r] = sum over i of w[r, i] * x[t, i] (+ bias), for rows r of this part of the weight.
// batch; w: weight [rows, k], packed; x: [rows of the step, k]; y: [rows of the step, whole rows].
// `gated`: y[t, r] = activation(gate) * up of weight rows r and rows + r: half a tile's rows are gates, half are ups.
// A workgroup makes a tile of ROWS x TOKENS sums. It walks k in steps of DEPTH: weights are decoded and inputs copied
// into workgroup memory, then each lane multiplies 4 rows by 4 tokens. Tiles beyond the step's rows stop at once.
#import block
#import lib/inputs
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    k: u32,
    rows: u32,
    first_row: u32,
    accumulate: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    bias_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> w: Weights;
#if ragged
@group(0) @binding(3) var<storage, read> x: array<f32>;
#else
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
#endif
#if bias
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
#import lib/epilogue

const WG: u32 = 128u;
const ROWS: u32 = 64u;
const TOKENS: u32 = 32u;
// Eights in a step of k, and vec4s between rows in workgroup memory (one more than needed, against bank conflicts).
const DEPTH: u32 = 4u;
const PITCH: u32 = 9u;

var<workgroup> weights: array<vec4<f32>, ROWS * PITCH>;
var<workgroup> inputs: array<vec4<f32>, TOKENS * PITCH>;

// The weight row that row `r` of a tile is, and whether there is one.
struct Row { at: u32, live: bool }

fn row_of(first: u32, r: u32) -> Row {
#if gated
    let output = first + (r & (ROWS / 2u - 1u));
    return Row(output + select(0u, p.rows, r >= ROWS / 2u), output < p.rows);
#else
    return Row(first + r, first + r < p.rows);
#endif
}

// The lane's sums for one token: of tile rows row, row + 16, row + 32 and row + 48.
fn finish(token: u32, tokens: u32, first: u32, row: u32, sums: vec4<f32>) {
    if (token >= tokens) {
        return;
    }
    let to = p.y_offset + token * p.y_stride;
#if gated
    for (var i = 0u; i < 2u; i++) {
        let r = first + row + 16u * i;
        if (r < p.rows) {
            store(to + r, activation(biased(r, sums[i])) * biased(p.rows + r, sums[i + 2u]));
        }
    }
#else
    for (var i = 0u; i < 4u; i++) {
        let r = first + row + 16u * i;
        if (r < p.rows) {
            store(to + p.first_row + r, biased(p.first_row + r, sums[i]));
        }
    }
#endif
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tokens = row_count(p.count_at, p.max_rows);
#if gated
    let first_row = group.x * (ROWS / 2u);
#else
    let first_row = group.x * ROWS;
#endif
    let first_token = group.y * TOKENS;
    if (first_token >= tokens || first_row >= p.rows) {
        return;
    }
    let stride = row_words(p.k);
    let octs = (p.k + 7u) / 8u;
    let row = lane & 15u;
    let token = lane >> 4u;
    var sum_0 = vec4<f32>(0.0);
    var sum_1 = vec4<f32>(0.0);
    var sum_2 = vec4<f32>(0.0);
    var sum_3 = vec4<f32>(0.0);
    for (var base = 0u; base < octs; base += DEPTH) {
        let oct = base + (lane & 3u);
        for (var i = 0u; i < 2u; i++) {
            let r = (lane >> 2u) + 32u * i;
            let source = row_of(first_row, r);
            var v = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
            if (oct < octs && source.live) {
                v = weights8(source.at * stride, p.k, oct);
            }
            weights[r * PITCH + 2u * (lane & 3u)] = v.a;
            weights[r * PITCH + 2u * (lane & 3u) + 1u] = v.b;
        }
        let t = lane >> 2u;
        var v = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
        if (oct < octs && first_token + t < tokens) {
            v = inputs8(first_token + t, oct);
        }
        inputs[t * PITCH + 2u * (lane & 3u)] = v.a;
        inputs[t * PITCH + 2u * (lane & 3u) + 1u] = v.b;
        workgroupBarrier();
        for (var i = 0u; i < 2u * DEPTH; i++) {
            let w_0 = weights[row * PITCH + i];
            let w_1 = weights[(row + 16u) * PITCH + i];
            let w_2 = weights[(row + 32u) * PITCH + i];
            let w_3 = weights[(row + 48u) * PITCH + i];
            let x_0 = inputs[token * PITCH + i];
            let x_1 = inputs[(token + 8u) * PITCH + i];
            let x_2 = inputs[(token + 16u) * PITCH + i];
            let x_3 = inputs[(token + 24u) * PITCH + i];
            sum_0 += vec4<f32>(dot(w_0, x_0), dot(w_1, x_0), dot(w_2, x_0), dot(w_3, x_0));
            sum_1 += vec4<f32>(dot(w_0, x_1), dot(w_1, x_1), dot(w_2, x_1), dot(w_3, x_1));
            sum_2 += vec4<f32>(dot(w_0, x_2), dot(w_1, x_2), dot(w_2, x_2), dot(w_3, x_2));
            sum_3 += vec4<f32>(dot(w_0, x_3), dot(w_1, x_3), dot(w_2, x_3), dot(w_3, x_3));
        }
        workgroupBarrier();
    }
    finish(first_token + token, tokens, first_row, row, sum_0);
    finish(first_token + token + 8u, tokens, first_row, row, sum_1);
    finish(first_token + token + 16u, tokens, first_row, row, sum_2);
    finish(first_token + token + 24u, tokens, first_row, row, sum_3);
}
