// Concat of the last of three dimensions, one input: y[t, i, column + c] = x[t, i, c].
// batch; x: [rows, parts, width]; y: [rows, parts, whole]. A lane copies one value.
#import lib/grid
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    parts: u32,
    width: u32,
    whole: u32,
    column: u32,
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

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let each = p.parts * p.width;
    let t = i / each;
    if (t < row_count(p.count_at, p.max_rows)) {
        let within = i % each;
        let to = within / p.width * p.whole + p.column + within % p.width;
        y[p.y_offset + t * p.y_stride + to] = x[p.x_offset + t * p.x_stride + within];
    }
}
