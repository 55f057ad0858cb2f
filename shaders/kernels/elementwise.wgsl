// Elementwise operations one after the other: y[t, c] = f(x[t, c], a[t, c], ..); without any, a copy.
// batch; x, a, b, c: values whose rows and columns may be repeated (a stride or a step of 0); y: [rows, width].
// `in_place`: y is x. `with_a` and so on: the operand is there. A lane makes one value.
#import lib/grid
#import lib/batch
#import ops/elementwise

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    y_offset: u32,
    y_stride: u32,
    x_offset: u32,
    x_stride: u32,
    x_step: u32,
    a_offset: u32,
    a_stride: u32,
    a_step: u32,
    b_offset: u32,
    b_stride: u32,
    b_step: u32,
    c_offset: u32,
    c_stride: u32,
    c_step: u32,
    s_0: f32,
    s_1: f32,
    s_2: f32,
    s_3: f32,
    s_4: f32,
    s_5: f32,
    s_6: f32,
    s_7: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
#if in_place
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn operand_x(row: u32, column: u32) -> f32 {
    return y[p.y_offset + row * p.y_stride + column];
}
#else
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn operand_x(row: u32, column: u32) -> f32 {
    return x[p.x_offset + row * p.x_stride + column * p.x_step];
}
#endif
#if with_a
@group(0) @binding(3) var<storage, read> a: array<f32>;

fn operand_a(row: u32, column: u32) -> f32 {
    return a[p.a_offset + row * p.a_stride + column * p.a_step];
}
#endif
#if with_b
@group(0) @binding(4) var<storage, read> b: array<f32>;

fn operand_b(row: u32, column: u32) -> f32 {
    return b[p.b_offset + row * p.b_stride + column * p.b_step];
}
#endif
#if with_c
@group(0) @binding(5) var<storage, read> c: array<f32>;

fn operand_c(row: u32, column: u32) -> f32 {
    return c[p.c_offset + row * p.c_stride + column * p.c_step];
}
#endif

const WG: u32 = 256u;

fn value(row: u32, column: u32) -> f32 {
    var v = operand_x(row, column);
#links
    return v;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let row = i / p.width;
    let column = i % p.width;
    if (row < row_count(p.count_at, p.max_rows)) {
        y[p.y_offset + row * p.y_stride + column] = value(row, column);
    }
}
