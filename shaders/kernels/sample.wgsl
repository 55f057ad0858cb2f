// Sample: the next token of each output, by the settings of its sequence.
// batch: its count of logits that are NaN or infinite grows; sampling: WORDS words a sequence; counts: [sequences, vocab]
// (`counts`); logits: [outputs, vocab]; ids: [outputs].
// Penalties first; then the likeliest token where the temperature is 0 or top-k 1; else the top_k largest logits
// (of equal ones the lowest ids), of these top-p, min-p, temperature and one draw, as `engine/sampler.rs` has them.
// A workgroup takes one output. Logits are compared as numbers of 64 bits: the logit's bits so that they sort, then the id falling.
#import lib/batch
#import lib/random

struct Params {
    count_at: u32,
    max_rows: u32,
    vocab: u32,
    sequences: u32,
    logits_offset: u32,
    logits_stride: u32,
    ids_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> batch: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> sampling: array<u32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
#if counts
@group(0) @binding(4) var<storage, read> counts: array<u32>;
#endif
@group(0) @binding(5) var<storage, read_write> ids: array<u32>;

const WG: u32 = 256u;
// The largest top-k; one lane orders one of them.
const MAX_TOP_K: u32 = 256u;
// Settings of a sequence: `engine/program.rs`, `sampling`.
const WORDS: u32 = 16u;
const TEMPERATURE: u32 = 0u;
const TOP_K: u32 = 1u;
const TOP_P: u32 = 2u;
const MIN_P: u32 = 3u;
const SEED_LOW: u32 = 4u;
const SEED_HIGH: u32 = 5u;
const REPETITION: u32 = 6u;
const PRESENCE: u32 = 7u;
const FREQUENCY: u32 = 8u;
const NOTHING: f32 = -3.0e38;

// What is asked of this workgroup: 0 nothing, 1 the likeliest, 2 a draw.
var<workgroup> task: u32;
var<workgroup> nonfinite: atomic<u32>;
var<workgroup> best: array<vec2<u32>, WG>;
var<workgroup> bins: array<atomic<u32>, 256>;
// The search for the top_k: the bits found so far, how many are still wanted below them, and whether that is all.
var<workgroup> found: vec2<u32>;
var<workgroup> wanted: u32;
var<workgroup> finished: u32;
var<workgroup> taken: atomic<u32>;
var<workgroup> kept: array<vec2<u32>, MAX_TOP_K>;
var<workgroup> ordered: array<vec2<u32>, MAX_TOP_K>;
var<workgroup> weights: array<f32, MAX_TOP_K>;
var<workgroup> tempered: array<f32, MAX_TOP_K>;

fn setting(sequence: u32, which: u32) -> u32 {
    return sampling[min(sequence * WORDS + which, arrayLength(&sampling) - 1u)];
}

fn number(sequence: u32, which: u32) -> f32 {
    return bitcast<f32>(setting(sequence, which));
}

fn sorted_bits(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

fn from_sorted(bits: u32) -> f32 {
    return bitcast<f32>(bits ^ select(0xffffffffu, 0x80000000u, bits >= 0x80000000u));
}

// By its bits: WGSL lets a compiler assume there are no NaNs.
fn is_finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

fn is_before(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y > b.y);
}

// What orders token `i`; the lowest where its logit is not finite.
fn rank_of(m: u32, sequence: u32, i: u32) -> vec2<u32> {
    var value = logits[p.logits_offset + m * p.logits_stride + i];
    if (!is_finite(value)) {
        return vec2<u32>(0u, ~i);
    }
#if counts
    let times = counts[min(sequence * p.vocab + i, arrayLength(&counts) - 1u)];
    if (times > 0u) {
        let repetition = number(sequence, REPETITION);
        if (repetition > 0.0) {
            value = select(value * repetition, value / repetition, value > 0.0);
        }
        value -= number(sequence, PRESENCE) + f32(times) * number(sequence, FREQUENCY);
    }
#endif
    return vec2<u32>(sorted_bits(value), ~i);
}

// Bits `8 * digit ..` of a rank, the highest first, and those above them.
fn digit_of(rank: vec2<u32>, digit: u32) -> u32 {
    return (select(rank.y, rank.x, digit < 4u) >> (24u - 8u * (digit & 3u))) & 0xffu;
}

fn matches(rank: vec2<u32>, digit: u32) -> bool {
    let above = vec2<u32>(mask_above(min(digit, 4u)), mask_above(max(digit, 4u) - 4u));
    return all((rank & above) == (found & above));
}

// The highest `digits` bytes of a word.
fn mask_above(digits: u32) -> u32 {
    return select(0u, 0xffffffffu << (8u * (4u - max(digits, 1u))), digits > 0u);
}

// One lane: walks the bins from the highest until those wanted are reached.
fn choose_bin(digit: u32) {
    var left = wanted;
    for (var i = 0u; i < 256u; i++) {
        let bin = 255u - i;
        let n = atomicLoad(&bins[bin]);
        if (n >= left) {
            let shifted = bin << (24u - 8u * (digit & 3u));
            found |= select(vec2<u32>(0u, shifted), vec2<u32>(shifted, 0u), digit < 4u);
            wanted = left;
            finished = select(0u, 1u, n == left);
            return;
        }
        left -= n;
    }
    finished = 1u;
}

// One lane: of `n` tokens in falling order, the one that is drawn.
fn draw(sequence: u32, at: u32, n: u32) -> u32 {
    var keep = n;
    let top_p = number(sequence, TOP_P);
    if (top_p < 1.0) {
        var all = 0.0;
        for (var i = 0u; i < n; i++) {
            all += weights[i];
        }
        var sum = 0.0;
        keep = n;
        for (var i = 0u; i < n; i++) {
            sum += weights[i];
            if (sum >= top_p * all) {
                keep = i + 1u;
                break;
            }
        }
    }
    let min_p = number(sequence, MIN_P);
    if (min_p > 0.0) {
        let top = from_sorted(ordered[0].x);
        let least = log(min_p);
        var likely = 0u;
        while (likely < keep && from_sorted(ordered[likely].x) - top >= least) {
            likely++;
        }
        keep = max(likely, 1u);
    }
    var all = 0.0;
    for (var i = 0u; i < keep; i++) {
        all += tempered[i];
    }
    var left = uniform_number(vec2<u32>(setting(sequence, SEED_LOW), setting(sequence, SEED_HIGH)), at) * all;
    for (var i = 0u; i < keep; i++) {
        left -= tempered[i];
        if (left < 0.0) {
            return ~ordered[i].y;
        }
    }
    return ~ordered[keep - 1u].y;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let m = group.x;
    let row = output_row(m);
    let own = min(sequence(row), p.sequences - 1u);
    if (lane == 0u) {
        let greedy = number(own, TEMPERATURE) <= 0.0 || setting(own, TOP_K) == 1u;
        task = select(select(2u, 1u, greedy), 0u, m >= row_count(p.count_at, p.max_rows));
        atomicStore(&nonfinite, 0u);
        atomicStore(&taken, 0u);
        found = vec2<u32>(0u, 0u);
        finished = 0u;
    }
    let asked = workgroupUniformLoad(&task);
    if (asked == 0u) {
        return;
    }

    var first = vec2<u32>(0u, 0u);
    var bad = 0u;
    for (var i = lane; i < p.vocab; i += WG) {
        let rank = rank_of(m, own, i);
        bad += select(0u, 1u, rank.x == 0u);
        if (is_before(rank, first)) {
            first = rank;
        }
    }
    best[lane] = first;
    atomicAdd(&nonfinite, bad);
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane < half && is_before(best[lane + half], best[lane])) {
            best[lane] = best[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        let n = atomicLoad(&nonfinite);
        atomicAdd(&batch[NONFINITE], n);
        // Where the logits are no good, the likeliest of those that are: the host learns the number and stops.
        if (asked == 1u || n > 0u) {
            ids[p.ids_offset + m] = ~best[0].y;
            task = 1u;
        }
        let top_k = setting(own, TOP_K);
        wanted = min(select(min(top_k, MAX_TOP_K), MAX_TOP_K, top_k == 0u), p.vocab);
    }
    if (workgroupUniformLoad(&task) == 1u) {
        return;
    }

    // The rank of the last of the top_k, eight bits at a time.
    for (var digit = 0u; digit < 8u; digit++) {
        atomicStore(&bins[lane], 0u);
        workgroupBarrier();
        if (finished == 0u) {
            for (var i = lane; i < p.vocab; i += WG) {
                let rank = rank_of(m, own, i);
                if (matches(rank, digit)) {
                    atomicAdd(&bins[digit_of(rank, digit)], 1u);
                }
            }
        }
        workgroupBarrier();
        if (lane == 0u && finished == 0u) {
            choose_bin(digit);
        }
        workgroupBarrier();
    }
    for (var i = lane; i < p.vocab; i += WG) {
        let rank = rank_of(m, own, i);
        if (!is_before(found, rank)) {
            let at = atomicAdd(&taken, 1u);
            if (at < MAX_TOP_K) {
                kept[at] = rank;
            }
        }
    }
    workgroupBarrier();
    let n = min(atomicLoad(&taken), MAX_TOP_K);
    if (lane < n) {
        let mine = kept[lane];
        var before = 0u;
        for (var i = 0u; i < n; i++) {
            before += select(0u, 1u, is_before(kept[i], mine));
        }
        ordered[before] = mine;
    }
    workgroupBarrier();
    if (lane < n) {
        let below = select(NOTHING, from_sorted(ordered[lane].x) - from_sorted(ordered[0].x), ordered[lane].x != 0u);
        weights[lane] = exp(max(below, -80.0)) * select(0.0, 1.0, below >= -80.0);
        let cooled = below / number(own, TEMPERATURE);
        tempered[lane] = exp(max(cooled, -80.0)) * select(0.0, 1.0, cooled >= -80.0);
    }
    workgroupBarrier();
    if (lane == 0u) {
        ids[p.ids_offset + m] = draw(own, position(row) + 1u, n);
    }
}
