// Sums and maxima over a workgroup of WG lanes: first within each subgroup, then over the subgroups' results.
// No subgroup size is assumed, only that it is at least 4 (the least any adapter reports).
// Every lane must call; every lane gets the result. `reduce.wgsl` has the same names.

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

var<workgroup> partial: array<f32, WG / 4u>;
var<workgroup> partial4: array<vec4<f32>, WG / 4u>;

fn group_sum4(lane: Lane, value: vec4<f32>) -> vec4<f32> {
    let part = subgroupAdd(value);
    if (lane.in_subgroup == 0u) {
        partial4[lane.subgroup] = part;
    }
    workgroupBarrier();
    var total = partial4[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        total += partial4[i];
    }
    workgroupBarrier();
    return total;
}

fn group_sum(lane: Lane, value: f32) -> f32 {
    let part = subgroupAdd(value);
    if (lane.in_subgroup == 0u) {
        partial[lane.subgroup] = part;
    }
    workgroupBarrier();
    var total = partial[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        total += partial[i];
    }
    workgroupBarrier();
    return total;
}

fn group_max(lane: Lane, value: f32) -> f32 {
    let part = subgroupMax(value);
    if (lane.in_subgroup == 0u) {
        partial[lane.subgroup] = part;
    }
    workgroupBarrier();
    var top = partial[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        top = max(top, partial[i]);
    }
    workgroupBarrier();
    return top;
}
