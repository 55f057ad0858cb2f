// ExpertSum: y[t, c] = sum over s of weights[t, s] * x[t, s, c].
// batch; x: [rows, used, width]; weights: [rows, used]; y: [rows, width]. A lane makes one value.
#import lib/grid
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    used: u32,
    x_offset: u32,
    x_stride: u32,
    weights_offset: u32,
    weights_stride: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let t = i / p.width;
    let column = i % p.width;
    if (t < row_count(p.count_at, p.max_rows)) {
        var sum = 0.0;
        for (var s = 0u; s < p.used; s++) {
            sum += weights[p.weights_offset + t * p.weights_stride + s] * x[p.x_offset + t * p.x_stride + s * p.width + column];
        }
        y[p.y_offset + t * p.y_stride + column] = sum;
    }
}
