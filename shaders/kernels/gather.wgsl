// Gather: y[m] = x[outputs[m]]: the rows that want a result.
// batch; x: [rows, width]; y: [outputs, width]. A lane copies one value.
#import lib/grid
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    x_rows: u32,
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
    let m = i / p.width;
    let column = i % p.width;
    if (m < row_count(p.count_at, p.max_rows)) {
        let row = min(output_row(m), p.x_rows - 1u);
        y[p.y_offset + m * p.y_stride + column] = x[p.x_offset + row * p.x_stride + column];
    }
}
