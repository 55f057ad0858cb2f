// Advance: pos += count; count = 1. Ends a step whose next token comes from the host.
// state: written. No parameter is used. One lane.

struct Params {
    width: u32,
    pad_0: u32,
    pad_1: u32,
    pad_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;

const WG: u32 = 1u;

@compute @workgroup_size(WG)
fn main() {
    state[0] += state[1];
    state[1] = 1u;
}
