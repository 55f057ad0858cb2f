// Linear for one row: y[first_row + r] = sum over i of w[r, i] * x[i] (+ bias), for rows r of this part of the weight.
// w: weight [rows, k], packed; x: [k]; y: [whole rows].
// `gated`: y[r] = activation(gate) * up of weight rows r and rows + r, both made by one workgroup.
// A workgroup of WG lanes makes ROWS sums: the lanes share out the row's eights, then sum.
#import lib/grid
#import reduce
#import block
#import lib/inputs

struct Params {
    k: u32,
    rows: u32,
    first_row: u32,
    accumulate: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    bias_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: Weights;
#if ragged
@group(0) @binding(2) var<storage, read> x: array<f32>;
#else
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
#endif
#if bias
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#import lib/epilogue

const WG: u32 = 64u;
const ROWS: u32 = 4u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
#if gated
    let first = flat_group(group, groups) * (ROWS / 2u);
#else
    let first = flat_group(group, groups) * ROWS;
#endif
    if (first >= p.rows) {
        return;
    }
    let stride = row_words(p.k);
    let last = p.rows - 1u;
    let row_0 = first * stride;
    let row_1 = min(first + 1u, last) * stride;
#if gated
    let row_2 = row_0 + p.rows * stride;
    let row_3 = row_1 + p.rows * stride;
#else
    let row_2 = min(first + 2u, last) * stride;
    let row_3 = min(first + 3u, last) * stride;
#endif
    let octs = (p.k + 7u) / 8u;
    var sum = vec4<f32>(0.0);
    for (var oct = lane.index; oct < octs; oct += WG) {
        let v = inputs8(0u, oct);
        sum += vec4<f32>(
            dot8(row_0, p.k, oct, v),
            dot8(row_1, p.k, oct, v),
            dot8(row_2, p.k, oct, v),
            dot8(row_3, p.k, oct, v),
        );
    }
    let total = group_sum4(lane, sum);
    let r = first + lane.index;
#if gated
    if (lane.index < ROWS / 2u && r < p.rows) {
        let gate = biased(r, total[lane.index]);
        let up = biased(p.rows + r, total[lane.index + 2u]);
        store(p.y_offset + r, activation(gate) * up);
    }
#else
    if (lane.index < ROWS && r < p.rows) {
        let i = p.first_row + r;
        store(p.y_offset + i, biased(i, total[lane.index]));
    }
#endif
}
