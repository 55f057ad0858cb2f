// Attention: y[t, head] = softmax(scale * q[t, head] . k[0 ..= pos + t]) . v[0 ..= pos + t], for t < count.
// state; q: [batch, heads * head_dim]; k, v: caches [context, kv_heads * head_dim]; y: [batch, heads * head_dim].
// A workgroup takes one head of one token and walks the cache WG positions at a time with a running maximum and sum:
// first each lane scores one position, then teams of lanes, a lane to a dimension, add up the weighted values.
// head_dim is at most WG. `ragged`: head_dim is not a multiple of four.
#import reduce

struct Params {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    context: u32,
    scale: f32,
    pad_0: u32,
    pad_1: u32,
    pad_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
#if ragged
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
#else
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;
#endif
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const WG: u32 = 256u;
// Less than any score; finite, because WGSL leaves infinities undefined.
const LOWEST: f32 = -3.0e38;

#if ragged
var<workgroup> query: array<f32, WG>;
#else
var<workgroup> query: array<vec4<f32>, WG / 4u>;
#endif
var<workgroup> weights: array<f32, WG>;

#if ragged
fn load_query(lane: u32, base: u32) {
    if (lane < p.head_dim) {
        query[lane] = q[base + lane];
    }
}

fn score(base: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < p.head_dim; i++) {
        sum += query[i] * k[base + i];
    }
    return sum * p.scale;
}
#else
fn load_query(lane: u32, base: u32) {
    if (lane < p.head_dim / 4u) {
        query[lane] = q[base / 4u + lane];
    }
}

fn score(base: u32) -> f32 {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < p.head_dim / 4u; i++) {
        sum += query[i] * k[base / 4u + i];
    }
    return (sum.x + sum.y + sum.z + sum.w) * p.scale;
}
#endif

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    let head = group.x;
    let t = group.y;
    let width = p.heads * p.head_dim;
    if (t >= min(state[1], arrayLength(&y) / width)) {
        return;
    }
    let kv_width = p.kv_heads * p.head_dim;
    let kv_base = head / (p.heads / p.kv_heads) * p.head_dim;
    let positions = min(state[0] + t + 1u, min(p.context, arrayLength(&v) / kv_width));
    load_query(lane.index, t * width + head * p.head_dim);
    workgroupBarrier();

    // A team has as many lanes as the next power of two above head_dim.
    let team_bits = 32u - countLeadingZeros(p.head_dim - 1u);
    let dimension = lane.index & ((1u << team_bits) - 1u);
    let team = lane.index >> team_bits;
    let teams = WG >> team_bits;

    var top = LOWEST;
    var total = 0.0;
    var sum = 0.0;
    for (var first = 0u; first < positions; first += WG) {
        let n = min(WG, positions - first);
        var s = LOWEST;
        if (lane.index < n) {
            s = score((first + lane.index) * kv_width + kv_base);
        }
        let new_top = max(top, group_max(lane, s));
        var e = 0.0;
        if (lane.index < n) {
            e = exp(s - new_top);
        }
        weights[lane.index] = e;
        let keep = exp(top - new_top);
        total = total * keep + group_sum(lane, e);
        sum *= keep;
        if (dimension < p.head_dim) {
            for (var j = team; j < n; j += teams) {
                sum += weights[j] * v[(first + j) * kv_width + kv_base + dimension];
            }
        }
        top = new_top;
    }

    workgroupBarrier();
    weights[lane.index] = sum;
    workgroupBarrier();
    if (lane.index < p.head_dim) {
        var all = 0.0;
        for (var i = 0u; i < teams; i++) {
            all += weights[(i << team_bits) + lane.index];
        }
        y[t * width + head * p.head_dim + lane.index] = all / total;
    }
}
