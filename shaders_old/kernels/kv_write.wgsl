// KvWrite: cache[pos + t] = x[t], for t < count.
// state; x: [batch, width]; cache: [context, width]. Rows beyond the context are dropped.
#import lib/grid

struct Params {
    width: u32,
    pad_0: u32,
    pad_1: u32,
    pad_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> cache: array<f32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WG + lane;
    let to = state[0] * p.width + i;
    if (i < min(state[1] * p.width, arrayLength(&x)) && to < arrayLength(&cache)) {
        cache[to] = x[i];
    }
}
