// Attention: y[t, head] = softmax(scale * q[t, head] . k) . v over the positions of the row's sequence that it sees.
// batch; q: [rows, heads * head_dim]; k, v: [positions, kv_heads * head_dim or value_dim]; y: [rows, heads * value_dim].
// `paged`: k and v are states, rows placed by their group's page table; else rows of this step, from the sequence's first on.
// A workgroup takes one head of one row and walks the positions WG at a time with a running maximum and sum: first each
// lane scores one position, then teams of lanes, a lane to a dimension, add up the weighted values.
// head_dim is at most MAX_HEAD, value_dim twice WG: two dimensions to a lane above WG. `ragged`: heads are no whole vec4s.
// `biased`: to each score is added what `bias` [(2 * reach + 1), heads] has for the distance of the two positions. `sinks`: a
// score for each head that takes part in the softmax and stands for no value.
#import reduce
#import lib/batch
#import ops/elementwise

struct Params {
    count_at: u32,
    max_rows: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    value_dim: u32,
    scale: f32,
    soft_cap: f32,
    causal: u32,
    window: u32,
    context: u32,
    group: u32,
    k_rows: u32,
    q_offset: u32,
    q_stride: u32,
    k_offset: u32,
    k_stride: u32,
    k_scales: u32,
    v_offset: u32,
    v_stride: u32,
    v_scales: u32,
    y_offset: u32,
    y_stride: u32,
    bias_offset: u32,
    reach: u32,
    alibi: f32,
    slope_heads: u32,
    sinks_offset: u32,
}

#import load

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: Keys;
@group(0) @binding(4) var<storage, read> v: Values;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
#if biased
@group(0) @binding(6) var<storage, read> bias: array<f32>;
#endif
#if sinks
@group(0) @binding(7) var<storage, read> sinks: array<f32>;
#endif

const WG: u32 = 256u;
const MAX_HEAD: u32 = 1024u;
// Less than any score; finite, because WGSL leaves infinities undefined.
const LOWEST: f32 = -3.0e38;

#if ragged
var<workgroup> query: array<f32, MAX_HEAD>;
#else
var<workgroup> query: array<vec4<f32>, MAX_HEAD / 4u>;
#endif
var<workgroup> weights: array<f32, WG>;
var<workgroup> rows: array<u32, WG>;

#if ragged
fn load_query(lane: u32, base: u32) {
    for (var i = lane; i < p.head_dim; i += WG) {
        query[i] = q[base + i];
    }
}

fn product(row: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < p.head_dim; i++) {
        sum += query[i] * key_at(row, column + i);
    }
    return sum;
}
#else
fn load_query(lane: u32, base: u32) {
    if (lane < p.head_dim / 4u) {
        let at = base + 4u * lane;
        query[lane] = vec4<f32>(q[at], q[at + 1u], q[at + 2u], q[at + 3u]);
    }
}

fn product(row: u32, column: u32) -> f32 {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < p.head_dim / 4u; i++) {
        sum += query[i] * key4_at(row, column + 4u * i);
    }
    return sum.x + sum.y + sum.z + sum.w;
}
#endif

// What a head's scores lose for each position of distance: ALiBi.
fn slope_of(head: u32) -> f32 {
    if (p.alibi <= 0.0) {
        return 0.0;
    }
    let step = select(f32(head) + 1.0, f32(head - p.slope_heads) + 0.5, head >= p.slope_heads);
    return exp2(-p.alibi * step / f32(p.slope_heads));
}

fn score(row: u32, column: u32) -> f32 {
    let s = product(row, column) * p.scale;
    if (p.soft_cap > 0.0) {
        return op_soft_cap(s, p.soft_cap);
    }
    return s;
}

#if biased
// What is added to the score of a key at `other` for a query at `own`.
fn by_distance(own: u32, other: u32, head: u32) -> f32 {
    let reach = i32(p.reach);
    let distance = clamp(i32(other) - i32(own), -reach, reach) + reach;
    return bias[p.bias_offset + u32(distance) * p.heads + head];
}
#endif

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    let head = group.x;
    let t = group.y;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let own = sequence(t);
    let at = position(t);
    // Positions from `begin` to before `end`; a window of 0 is none.
    var begin = 0u;
    var end = select(length_of(own), at + 1u, p.causal != 0u);
    if (p.window > 0u) {
        begin = at + 1u - min(at + 1u, p.window);
        end = min(end, at + p.window);
    }
    end = min(end, p.context);
#if paged
    let table = page_table(p.group, own);
#else
    let start = start_of(own);
#endif
    let kv_head = head / (p.heads / p.kv_heads);
    load_query(lane.index, p.q_offset + t * p.q_stride + head * p.head_dim);
    workgroupBarrier();

    let slope = slope_of(head);
    var top = LOWEST;
    var total = 0.0;
    // A team has as many lanes as the next power of two above value_dim, up to all.
    let team_bits = min(32u - countLeadingZeros(p.value_dim - 1u), 8u);
    let dimension = lane.index & ((1u << team_bits) - 1u);
    let team = lane.index >> team_bits;
    let teams = WG >> team_bits;
    var sum = 0.0;
    // Of the dimension WG further on.
    var sum_above = 0.0;
    for (var first = begin; first < end; first += WG) {
        let n = min(WG, end - first);
        var s = LOWEST;
        var row = 0u;
        if (lane.index < n) {
#if paged
            row = min(paged_row(table, first + lane.index), p.k_rows - 1u);
#else
            row = min(start + first + lane.index, p.k_rows - 1u);
#endif
            s = score(row, kv_head * p.head_dim) - slope * abs(f32(first + lane.index) - f32(at));
#if biased
            s += by_distance(at, first + lane.index, head);
#endif
        }
        let new_top = max(top, group_max(lane, s));
        var e = 0.0;
        if (lane.index < n) {
            e = exp(s - new_top);
        }
        weights[lane.index] = e;
        rows[lane.index] = row;
        let keep = exp(top - new_top);
        total = total * keep + group_sum(lane, e);
        sum *= keep;
        sum_above *= keep;
        if (dimension < p.value_dim) {
            for (var j = team; j < n; j += teams) {
                sum += weights[j] * value_at(rows[j], kv_head * p.value_dim + dimension);
            }
        }
        if (dimension + WG < p.value_dim) {
            for (var j = team; j < n; j += teams) {
                sum_above += weights[j] * value_at(rows[j], kv_head * p.value_dim + dimension + WG);
            }
        }
        top = new_top;
    }
#if sinks
    let sink = sinks[p.sinks_offset + head];
    let with_sink = max(top, sink);
    let kept = exp(top - with_sink);
    total = total * kept + exp(sink - with_sink);
    sum *= kept;
    sum_above *= kept;
#endif

    workgroupBarrier();
    weights[lane.index] = sum;
    workgroupBarrier();
    let to = p.y_offset + t * p.y_stride + head * p.value_dim + lane.index;
    // Then there is one team alone.
    if (lane.index + WG < p.value_dim) {
        y[to + WG] = select(0.0, sum_above / total, total > 0.0);
    }
    if (lane.index < p.value_dim) {
        var all = 0.0;
        for (var i = 0u; i < teams; i++) {
            all += weights[(i << team_bits) + lane.index];
        }
        // A row that sees no position gives zeros.
        y[to] = select(0.0, all / total, total > 0.0);
    }
}
