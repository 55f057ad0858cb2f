// Rope: rotates pairs of each head of each row by the angles of the row's position.
// batch; table: rotary angles; x: [rows, heads * head_dim]; y: as x. `in_place`: y is x.
// halves = 0 pairs (2i, 2i + 1), halves = 1 pairs (i, i + half). A lane rotates one pair; where y is not x, further lanes
// copy the values of a head that are not rotated.
#import lib/grid
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    heads: u32,
    head_dim: u32,
    half: u32,
    halves: u32,
    x_offset: u32,
    x_stride: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
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
#import lib/rope

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
#if in_place
    let items = p.half;
#else
    let items = p.head_dim - p.half;
#endif
    let t = i / (p.heads * items);
    let head = i / items % p.heads;
    let item = i % items;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let source = p.x_offset + t * p.x_stride + head * p.head_dim;
    let to = p.y_offset + t * p.y_stride + head * p.head_dim;
    if (item >= p.half) {
        y[to + p.half + item] = input(source + p.half + item);
        return;
    }
    let turn = turn_of(position(t), item);
    let first = first_of(item);
    let second = first + distance();
    let a = input(source + first);
    let b = input(source + second);
    y[to + first] = a * turn.x - b * turn.y;
    y[to + second] = a * turn.y + b * turn.x;
}
