// Rope: rotates pairs of each head of x[t] by the angles of position pos + t, in place, for t < count.
// state; table: [context, half, 2] (cos, sin); x: [batch, heads * head_dim].
// neox = 0 pairs (2i, 2i + 1), neox = 1 pairs (i, i + half). A lane rotates one pair.
#import lib/grid

struct Params {
    heads: u32,
    head_dim: u32,
    half: u32,
    neox: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let pairs = p.heads * p.half;
    let t = i / pairs;
    let head = (i % pairs) / p.half;
    let pair = i % p.half;
    let angle = (state[0] + t) * p.half + pair;
    if (t >= min(state[1], arrayLength(&x) / (p.heads * p.head_dim)) || angle >= arrayLength(&table)) {
        return;
    }
    let base = (t * p.heads + head) * p.head_dim;
    let first = base + select(2u * pair, pair, p.neox != 0u);
    let second = first + select(1u, p.half, p.neox != 0u);
    let turn = table[angle];
    let a = x[first];
    let b = x[second];
    x[first] = a * turn.x - b * turn.y;
    x[second] = a * turn.y + b * turn.x;
}
