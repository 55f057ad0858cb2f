// RmsNorm: y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * weight, for t < count.
// state; x: [batch, width]; weight: [width]; y: [batch, width].
// A workgroup takes one token.
#import reduce

struct Params {
    width: u32,
    eps: f32,
    pad_0: u32,
    pad_1: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane) {
    if (group.x >= min(state[1], arrayLength(&y) / p.width)) {
        return;
    }
    let base = group.x * p.width;
    var sum = 0.0;
    for (var i = lane.index; i < p.width; i += WG) {
        let v = x[base + i];
        sum += v * v;
    }
    let scale = inverseSqrt(group_sum(lane, sum) / f32(p.width) + p.eps);
    for (var i = lane.index; i < p.width; i += WG) {
        y[base + i] = x[base + i] * scale * weight[i];
    }
}
