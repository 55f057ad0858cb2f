// RmsNorm: y = x / sqrt(mean(x^2) + eps) * weight, for each group of values of each row.
// batch; x: [rows, groups * group]; weight: [group]; y: as x; `in_place`: y is x.
// A workgroup takes one group of one row.
#import reduce
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    group: u32,
    eps: f32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
    weight_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#if in_place
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn input(i: u32) -> f32 {
    return y[i];
}
#else
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn input(i: u32) -> f32 {
    return x[i];
}
#endif

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    if (group.y >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let source = p.x_offset + group.y * p.x_stride + group.x * p.group;
    let to = p.y_offset + group.y * p.y_stride + group.x * p.group;
    var sum = 0.0;
    for (var i = lane.index; i < p.group; i += WG) {
        let v = input(source + i);
        sum += v * v;
    }
    let scale = inverseSqrt(group_sum(lane, sum) / f32(p.group) + p.eps);
    for (var i = lane.index; i < p.group; i += WG) {
        y[to + i] = input(source + i) * scale * weight[p.weight_offset + i];
    }
}
