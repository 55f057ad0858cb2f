// ExpertLinear: y[t, s, r] = sum over i of w[expert * n + r, i] * x[t (, s), i] (+ bias), where row t's choice s is an expert.
// batch; w: weight [experts * n, k], packed, or a part of its rows; x: [rows, k] or [rows, used, k]; ids: [rows, used]
// (`routed`; else choice s is expert s); bias: [experts * n]; y: [rows, used, n].
// A workgroup of WG lanes makes ROWS sums of one choice: the lanes share out the row's eights, then sum.
#import reduce
#import block
#import lib/inputs
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    k: u32,
    n: u32,
    used: u32,
    experts: u32,
    shared_x: u32,
    first_row: u32,
    rows: u32,
    x_offset: u32,
    x_stride: u32,
    ids_offset: u32,
    ids_stride: u32,
    bias_offset: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> w: Weights;
#if ragged
@group(0) @binding(3) var<storage, read> x: array<f32>;
#else
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
#endif
#if routed
@group(0) @binding(4) var<storage, read> ids: array<u32>;
#endif
#if bias
@group(0) @binding(5) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

const WG: u32 = 64u;
const ROWS: u32 = 4u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    let t = group.y;
    let slot = group.z;
    let first = group.x * ROWS;
    if (t >= row_count(p.count_at, p.max_rows) || first >= p.n) {
        return;
    }
#if routed
    let expert = min(ids[p.ids_offset + t * p.ids_stride + slot], p.experts - 1u);
#else
    let expert = slot;
#endif
    // Rows of this part that the expert's rows are; those of other parts wrap around to beyond its rows.
    let row = expert * p.n + first - p.first_row;
    let stride = row_words(p.k);
    let last = p.rows - 1u;
    let row_0 = min(row, last) * stride;
    let row_1 = min(row + 1u, last) * stride;
    let row_2 = min(row + 2u, last) * stride;
    let row_3 = min(row + 3u, last) * stride;
    let x_row = select(t * p.used + slot, t, p.shared_x != 0u);
    let octs = (p.k + 7u) / 8u;
    var sum = vec4<f32>(0.0);
    for (var oct = lane.index; oct < octs; oct += WG) {
        let v = inputs8(x_row, oct);
        sum += vec4<f32>(
            dot8(row_0, p.k, oct, v),
            dot8(row_1, p.k, oct, v),
            dot8(row_2, p.k, oct, v),
            dot8(row_3, p.k, oct, v),
        );
    }
    let total = group_sum4(lane, sum);
    let r = first + lane.index;
    if (lane.index < ROWS && r < p.n && row + lane.index < p.rows) {
        var value = total[lane.index];
#if bias
        value += bias[p.bias_offset + expert * p.n + r];
#endif
        y[p.y_offset + t * p.y_stride + slot * p.n + r] = value;
    }
}
