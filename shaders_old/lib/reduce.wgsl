// Sums and maxima over a workgroup of WG lanes by a tree in workgroup memory. Core WGSL: works everywhere.
// Every lane must call; every lane gets the result. `reduce_subgroup.wgsl` has the same names.

struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> partial: array<f32, WG>;
var<workgroup> partial4: array<vec4<f32>, WG>;

fn group_sum4(lane: Lane, value: vec4<f32>) -> vec4<f32> {
    partial4[lane.index] = value;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane.index < half) {
            partial4[lane.index] += partial4[lane.index + half];
        }
        workgroupBarrier();
    }
    let total = partial4[0];
    workgroupBarrier();
    return total;
}

fn group_sum(lane: Lane, value: f32) -> f32 {
    partial[lane.index] = value;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane.index < half) {
            partial[lane.index] += partial[lane.index + half];
        }
        workgroupBarrier();
    }
    let total = partial[0];
    workgroupBarrier();
    return total;
}

fn group_max(lane: Lane, value: f32) -> f32 {
    partial[lane.index] = value;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane.index < half) {
            partial[lane.index] = max(partial[lane.index], partial[lane.index + half]);
        }
        workgroupBarrier();
    }
    let top = partial[0];
    workgroupBarrier();
    return top;
}
