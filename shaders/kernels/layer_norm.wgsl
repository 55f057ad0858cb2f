// LayerNorm: y = (x - mean(x)) / sqrt(variance(x) + eps) * weight (+ bias), for each row.
// batch; x: [rows, width]; weight, bias: [width]; y: as x; `in_place`: y is x.
// A workgroup takes one row.
#import reduce
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    eps: f32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    weight_offset: u32,
    bias_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#if bias
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#endif
#if in_place
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn input(i: u32) -> f32 {
    return y[i];
}
#else
@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn input(i: u32) -> f32 {
    return x[i];
}
#endif

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    if (group.x >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let source = p.x_offset + group.x * p.x_stride;
    let to = p.y_offset + group.x * p.y_stride;
    var sum = 0.0;
    for (var i = lane.index; i < p.width; i += WG) {
        sum += input(source + i);
    }
    let mean = group_sum(lane, sum) / f32(p.width);
    var squares = 0.0;
    for (var i = lane.index; i < p.width; i += WG) {
        let v = input(source + i) - mean;
        squares += v * v;
    }
    let scale = inverseSqrt(group_sum(lane, squares) / f32(p.width) + p.eps);
    for (var i = lane.index; i < p.width; i += WG) {
        let v = (input(source + i) - mean) * scale * weight[p.weight_offset + i];
#if bias
        y[to + i] = v + bias[p.bias_offset + i];
#else
        y[to + i] = v;
#endif
    }
}
