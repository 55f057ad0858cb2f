// y[i] += 1: the dispatch of the experiment that measures what a dispatch costs.
@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    y[at.x] += 1u;
}
