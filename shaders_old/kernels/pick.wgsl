// Pick: the greedy choice, and the end of a token's step.
// logits: [vocab]; state, tokens [batch], ring [ring_len]: written.
// The highest finite logit wins, the lowest id among equals (0 where none is finite); it becomes tokens[0] and
// ring[step % ring_len]. Logits that are NaN or infinite are counted. Then pos += count; count = 1; step += 1.
// One workgroup.

struct Params {
    vocab: u32,
    ring_len: u32,
    pad_0: u32,
    pad_1: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> ring: array<u32>;

const WG: u32 = 256u;
const LOWEST: f32 = -3.4028234e38;
const NOBODY: u32 = 0xffffffffu;

var<workgroup> best_value: array<f32, WG>;
var<workgroup> best_id: array<u32, WG>;
var<workgroup> bad: array<u32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    let vocab = min(p.vocab, arrayLength(&logits));
    var value = LOWEST;
    var id = NOBODY;
    var nonfinite = 0u;
    for (var i = lane; i < vocab; i += WG) {
        let v = logits[i];
        // By its bits: WGSL lets a compiler assume there are no NaNs.
        if ((bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u) {
            nonfinite += 1u;
        } else if (id == NOBODY || v > value) {
            value = v;
            id = i;
        }
    }
    best_value[lane] = value;
    best_id[lane] = id;
    bad[lane] = nonfinite;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane < half) {
            let other = best_value[lane + half];
            let other_id = best_id[lane + half];
            if (other > best_value[lane] || (other == best_value[lane] && other_id < best_id[lane])) {
                best_value[lane] = other;
                best_id[lane] = other_id;
            }
            bad[lane] += bad[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        let chosen = select(best_id[0], 0u, best_id[0] == NOBODY);
        tokens[0] = chosen;
        ring[state[2] % p.ring_len] = chosen;
        state[3] += bad[0];
        state[0] += state[1];
        state[1] = 1u;
        state[2] += 1u;
    }
}
