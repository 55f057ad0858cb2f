// Reduction: y[t] = the sum, mean, largest or smallest of row t.
// batch; x: [rows, width]; y: [rows, 1]. A workgroup takes one row.
#import reduce
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    kind: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const WG: u32 = 256u;
const SUM: u32 = 0u;
const MEAN: u32 = 1u;
const MAX: u32 = 2u;
const MIN: u32 = 3u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    if (group.x >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let first_value = p.x_offset + group.x * p.x_stride;
    // The smallest value is the largest of the others' opposites.
    let sign = select(1.0, -1.0, p.kind == MIN);
    var sum = 0.0;
    var top = -3.4e38;
    for (var i = lane.index; i < p.width; i += WG) {
        let v = x[first_value + i];
        sum += v;
        top = max(top, sign * v);
    }
    sum = group_sum(lane, sum);
    top = sign * group_max(lane, top);
    if (lane.index == 0u) {
        if (p.kind == MEAN) {
            sum /= f32(p.width);
        }
        y[p.y_offset + group.x * p.y_stride] = select(top, sum, p.kind <= MEAN);
    }
}
