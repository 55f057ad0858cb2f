// Route: the experts of each row, best first, and their weights.
// batch; x: scores [rows, experts]; bias: [experts], for the choice alone; ids: [rows, used]; y: [rows, used].
// A workgroup takes one row: weights of all experts in workgroup memory, then the groups that count, then one expert after
// the other. Of equal ones the lower index comes first. At most MOST experts, GROUPS groups and USED experts of a row.
#import reduce
#import lib/batch
#import ops/elementwise

struct Params {
    count_at: u32,
    max_rows: u32,
    experts: u32,
    used: u32,
    gating: u32,
    groups: u32,
    groups_used: u32,
    two_of_group: u32,
    normalise: u32,
    scale: f32,
    x_offset: u32,
    x_stride: u32,
    bias_offset: u32,
    ids_offset: u32,
    ids_stride: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
#if bias
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const WG: u32 = 128u;
const MOST: u32 = 1024u;
const GROUPS: u32 = 64u;
const USED: u32 = 64u;
// Gating, as `ir::Gating`.
const SOFTMAX: u32 = 0u;
const SIGMOID: u32 = 1u;
const SOFTMAX_OF_CHOSEN: u32 = 2u;
// Less than any score, and less than that; finite, because WGSL leaves infinities undefined.
const LOWEST: f32 = -3.0e38;
const TAKEN: f32 = -3.3e38;

var<workgroup> weights: array<f32, MOST>;
var<workgroup> choice: array<f32, MOST>;
var<workgroup> group_scores: array<f32, GROUPS>;
var<workgroup> group_counts: array<u32, GROUPS>;
var<workgroup> picked: array<f32, USED>;

fn group_score(group: u32, size: u32) -> f32 {
    var first = LOWEST;
    var second = LOWEST;
    for (var i = group * size; i < (group + 1u) * size; i++) {
        let v = choice[i];
        second = max(second, min(first, v));
        first = max(first, v);
    }
    if (p.two_of_group != 0u && size > 1u) {
        return first + second;
    }
    return first;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    let t = group.x;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let first_value = p.x_offset + t * p.x_stride;
    var top = LOWEST;
    for (var i = lane.index; i < p.experts; i += WG) {
        let v = x[first_value + i];
        weights[i] = v;
        top = max(top, v);
    }
    if (p.gating == SOFTMAX) {
        top = group_max(lane, top);
        var sum = 0.0;
        for (var i = lane.index; i < p.experts; i += WG) {
            let e = exp(weights[i] - top);
            weights[i] = e;
            sum += e;
        }
        sum = group_sum(lane, sum);
        for (var i = lane.index; i < p.experts; i += WG) {
            weights[i] = weights[i] / sum;
        }
    } else if (p.gating == SIGMOID) {
        for (var i = lane.index; i < p.experts; i += WG) {
            weights[i] = op_sigmoid(weights[i]);
        }
    }
    for (var i = lane.index; i < p.experts; i += WG) {
#if bias
        choice[i] = weights[i] + bias[p.bias_offset + i];
#else
        choice[i] = weights[i];
#endif
    }
    workgroupBarrier();

    if (p.groups > 1u) {
        let size = p.experts / p.groups;
        if (lane.index < p.groups) {
            group_scores[lane.index] = group_score(lane.index, size);
        }
        workgroupBarrier();
        if (lane.index < p.groups) {
            let own = group_scores[lane.index];
            var before = 0u;
            for (var g = 0u; g < p.groups; g++) {
                let other = group_scores[g];
                before += select(0u, 1u, other > own || (other == own && g < lane.index));
            }
            group_counts[lane.index] = select(0u, 1u, before < p.groups_used);
        }
        workgroupBarrier();
        for (var i = lane.index; i < p.experts; i += WG) {
            if (group_counts[i / size] == 0u) {
                choice[i] = LOWEST;
            }
        }
        workgroupBarrier();
    }

    for (var n = 0u; n < p.used; n++) {
        var best = TAKEN;
        var at = 0u;
        for (var i = lane.index; i < p.experts; i += WG) {
            if (choice[i] > best) {
                best = choice[i];
                at = i;
            }
        }
        let all = group_max(lane, best);
        // The lowest index among the lanes that have the best.
        let mine = select(LOWEST, -f32(at), best == all);
        let chosen = min(u32(max(-group_max(lane, mine), 0.0)), p.experts - 1u);
        if (lane.index == 0u) {
            ids[p.ids_offset + t * p.ids_stride + n] = chosen;
            picked[n] = weights[chosen];
            choice[chosen] = TAKEN;
        }
        workgroupBarrier();
    }

    if (lane.index < p.used) {
        var most = LOWEST;
        for (var n = 0u; n < p.used; n++) {
            most = max(most, picked[n]);
        }
        var own = picked[lane.index];
        var sum = 0.0;
        for (var n = 0u; n < p.used; n++) {
            sum += select(picked[n], exp(picked[n] - most), p.gating == SOFTMAX_OF_CHOSEN);
        }
        if (p.gating == SOFTMAX_OF_CHOSEN) {
            own = exp(own - most) / sum;
        } else if (p.normalise != 0u) {
            own = own / (sum + 1.0e-20);
        }
        y[p.y_offset + t * p.y_stride + lane.index] = own * p.scale;
    }
}
