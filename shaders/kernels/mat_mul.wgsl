// Small matrix products, one for each row: y[t] = a[t] b[t], with a [m, k] (the same for all rows where its stride is 0),
// b [k, n], or [n, k] where `transposed`, y [m, n]; each matrix lies whole within its row.
// batch; a; b; y. A lane makes one value.
#import lib/grid
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    m: u32,
    k: u32,
    n: u32,
    a_offset: u32,
    a_stride: u32,
    b_offset: u32,
    b_stride: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_group(group, groups) * WG + lane;
    let row = at / (p.m * p.n);
    if (row >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let i = at / p.n % p.m;
    let j = at % p.n;
    let from_a = p.a_offset + row * p.a_stride + i * p.k;
    let from_b = p.b_offset + row * p.b_stride;
    var sum = 0.0;
    for (var l = 0u; l < p.k; l++) {
#if transposed
        sum += a[from_a + l] * b[from_b + j * p.k + l];
#else
        sum += a[from_a + l] * b[from_b + l * p.n + j];
#endif
    }
    y[p.y_offset + row * p.y_stride + i * p.n + j] = sum;
}
