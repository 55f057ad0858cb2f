// Sample: the next token of each output, by the settings of its sequence.
// batch: its count of logits that are NaN or infinite grows; sampling: WORDS words a sequence; counts: [sequences, vocab]
// (`counts`); logits: [outputs, vocab]; ids: [outputs]; likely_ids: [outputs, MAX_ALTERNATIVES];
// likely: [outputs, 1 + MAX_ALTERNATIVES], the probability of the token chosen (-1 where none is asked for), then those of likely_ids.
// Penalties first; then the likeliest token where the temperature is 0 or top-k 1; else the top_k largest logits
// (of equal ones the lowest ids; all of them where top_k is 0), of these top-p, min-p, temperature and one draw, as `engine/sampler.rs` has them.
// A workgroup takes one output. Logits are compared as numbers of 64 bits, ranks: the logit's bits so that they sort, then the id falling.
// Up to MAX_TOP_K candidates are put in order. More are never sorted: a rank is found eight bits at a time from the number,
// or the sum of weights, of the tokens above it. Those sums are whole numbers of 64 bits, so that their order does not matter.
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
    likely_ids_offset: u32,
    likely_ids_stride: u32,
    likely_offset: u32,
    likely_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> batch: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> sampling: array<u32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> likely_ids: array<u32>;
@group(0) @binding(6) var<storage, read_write> likely: array<f32>;
#if counts
@group(0) @binding(7) var<storage, read> counts: array<u32>;
#endif

const WG: u32 = 256u;
// The most candidates that are put in order; one lane orders one of them.
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
const ALTERNATIVES: u32 = 9u;
const MAX_ALTERNATIVES: u32 = 20u;
const NOTHING: f32 = -3.0e38;

// What is asked of this workgroup.
const NOTHING_ASKED: u32 = 0u;
const LIKELIEST: u32 = 1u;
const DRAW_OF_FEW: u32 = 2u;
const DRAW_OF_MANY: u32 = 3u;

var<workgroup> task: u32;
var<workgroup> nonfinite: atomic<u32>;
var<workgroup> best: array<vec2<u32>, WG>;
var<workgroup> sums: array<f32, WG>;
// Of the tokens whose rank begins with the bits found so far: how many have each next digit, and their weights' sum (low and high word).
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> low: array<atomic<u32>, 256>;
var<workgroup> high: array<atomic<u32>, 256>;
// The search for a rank: the bits found so far, what is still wanted below them, and whether that is all.
var<workgroup> found: vec2<u32>;
var<workgroup> wanted: u32;
var<workgroup> weight_left: vec2<u32>;
var<workgroup> finished: u32;
// Candidates rank at or above this.
var<workgroup> lowest: vec2<u32>;
var<workgroup> taken: atomic<u32>;
var<workgroup> kept: array<vec2<u32>, MAX_TOP_K>;
var<workgroup> ordered: array<vec2<u32>, MAX_TOP_K>;
var<workgroup> weights: array<f32, MAX_TOP_K>;
var<workgroup> tempered: array<f32, MAX_TOP_K>;
var<workgroup> has_top_k: u32;
var<workgroup> has_top_p: u32;
var<workgroup> chosen: u32;
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

// exp, and 0 where that is next to nothing.
fn weight_of(x: f32) -> f32 {
    return select(0.0, exp(max(x, -80.0)), x >= -80.0);
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

// The rank of the last of the `wanted` likeliest.
fn find_last_wanted(m: u32, sequence: u32, lane: u32) {
    if (lane == 0u) {
        found = vec2<u32>(0u, 0u);
        finished = 0u;
    }
    workgroupBarrier();
    for (var digit = 0u; digit < 8u; digit++) {
        atomicStore(&bins[lane], 0u);
        workgroupBarrier();
        if (finished == 0u) {
            for (var i = lane; i < p.vocab; i += WG) {
                let rank = rank_of(m, sequence, i);
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
}

// The wanted likeliest in falling order, and one of them drawn.
fn draw_of_few(m: u32, sequence: u32, row: u32, lane: u32) {
    find_last_wanted(m, sequence, lane);
    for (var i = lane; i < p.vocab; i += WG) {
        let rank = rank_of(m, sequence, i);
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
        weights[lane] = weight_of(below);
        tempered[lane] = weight_of(below / number(sequence, TEMPERATURE));
    }
    workgroupBarrier();
    if (lane == 0u) {
        chosen = draw(sequence, position(row) + 1u, n);
    }
}

// A weight from 0 to 1 as a whole number of 2^-44: low word, high word.
fn fixed_weight(weight: f32) -> vec2<u32> {
    let shifted = weight * 4194304.0;
    let whole = u32(shifted);
    return vec2<u32>((whole << 22u) | u32(fract(shifted) * 4194304.0), whole >> 10u);
}

fn fixed_sum(sum: f32) -> vec2<u32> {
    let shifted = sum * 4096.0;
    return vec2<u32>(u32(min(fract(shifted) * 4294967296.0, 4294967040.0)), u32(shifted));
}

fn float_sum(sum: vec2<u32>) -> f32 {
    return f32(sum.y) / 4096.0 + f32(sum.x) / 17592186044416.0;
}

fn is_less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn less64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn bin_weight(bin: u32) -> vec2<u32> {
    return vec2<u32>(atomicLoad(&low[bin]), atomicLoad(&high[bin]));
}

// One lane: walks the bins from the highest until the weight wanted is reached, or passed.
fn choose_weight(digit: u32, fraction: f32, reached: bool) {
    if (digit == 0u) {
        var total = vec2<u32>(0u, 0u);
        for (var bin = 0u; bin < 256u; bin++) {
            total = add64(total, bin_weight(bin));
        }
        weight_left = fixed_sum(fraction * float_sum(total));
    }
    var left = weight_left;
    var last = 0u;
    for (var i = 0u; i < 256u; i++) {
        let bin = 255u - i;
        if (atomicLoad(&bins[bin]) == 0u) {
            continue;
        }
        last = bin;
        let weight = bin_weight(bin);
        if (is_less(left, weight) || (reached && all(left == weight))) {
            weight_left = left;
            break;
        }
        left = less64(left, weight);
        // Behind all of them, by rounding: the last one.
        weight_left = vec2<u32>(0xffffffffu, 0xffffffffu);
    }
    let shifted = last << (24u - 8u * (digit & 3u));
    found |= select(vec2<u32>(0u, shifted), vec2<u32>(shifted, 0u), digit < 4u);
}

// The rank at which the weights of the candidates, likeliest first, reach (or pass) a fraction of their sum.
// Candidates rank at or above `lowest`, and their logits lie at most `reach` below the highest.
fn find_weight(m: u32, sequence: u32, lane: u32, temperature: f32, reach: f32, fraction: f32, reached: bool) {
    if (lane == 0u) {
        found = vec2<u32>(0u, 0u);
    }
    workgroupBarrier();
    let first = best[0];
    let top = from_sorted(first.x);
    for (var digit = 0u; digit < 8u; digit++) {
        atomicStore(&bins[lane], 0u);
        atomicStore(&low[lane], 0u);
        atomicStore(&high[lane], 0u);
        workgroupBarrier();
        for (var i = lane; i < p.vocab; i += WG) {
            let rank = rank_of(m, sequence, i);
            let below = from_sorted(rank.x) - top;
            if (rank.x == 0u || is_before(lowest, rank) || (below < reach && any(rank != first)) || !matches(rank, digit)) {
                continue;
            }
            let bin = digit_of(rank, digit);
            let weight = fixed_weight(weight_of(below / temperature));
            atomicAdd(&bins[bin], 1u);
            let before = atomicAdd(&low[bin], weight.x);
            atomicAdd(&high[bin], weight.y + select(0u, 1u, before > ~weight.x));
        }
        workgroupBarrier();
        if (lane == 0u) {
            choose_weight(digit, fraction, reached);
        }
        workgroupBarrier();
    }
}

// One of any number of tokens drawn, without an order of them.
fn draw_of_many(m: u32, sequence: u32, row: u32, lane: u32) {
    let top_p = number(sequence, TOP_P);
    if (lane == 0u) {
        // A barrier may stand in no branch that a compiler cannot see to be the same for all lanes.
        has_top_k = select(0u, 1u, wanted != 0u && wanted < p.vocab);
        has_top_p = select(0u, 1u, top_p < 1.0);
    }
    if (workgroupUniformLoad(&has_top_k) == 1u) {
        find_last_wanted(m, sequence, lane);
        if (lane == 0u) {
            lowest = found;
        }
        workgroupBarrier();
    }
    if (workgroupUniformLoad(&has_top_p) == 1u) {
        find_weight(m, sequence, lane, 1.0, NOTHING, top_p, true);
        if (lane == 0u) {
            lowest = found;
        }
        workgroupBarrier();
    }
    let min_p = number(sequence, MIN_P);
    let reach = select(NOTHING, log(min_p), min_p > 0.0);
    let seed = vec2<u32>(setting(sequence, SEED_LOW), setting(sequence, SEED_HIGH));
    let drawn = uniform_number(seed, position(row) + 1u);
    find_weight(m, sequence, lane, number(sequence, TEMPERATURE), reach, drawn, false);
    if (lane == 0u) {
        chosen = ~found.y;
    }
}

// Workgroup-wide sum of a value of each lane.
fn sum_of_lanes(value: f32, lane: u32) -> f32 {
    sums[lane] = value;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    return sums[0];
}

// The highest rank of all lanes, into best[0].
fn best_of_lanes(rank: vec2<u32>, lane: u32) {
    best[lane] = rank;
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half >>= 1u) {
        if (lane < half && is_before(best[lane + half], best[lane])) {
            best[lane] = best[lane + half];
        }
        workgroupBarrier();
    }
}

// The probabilities of the token chosen and of the likeliest, over all tokens and before any filter.
fn tell(m: u32, sequence: u32, lane: u32, asked: u32) {
    let top = from_sorted(best[0].x);
    var sum = 0.0;
    for (var i = lane; i < p.vocab; i += WG) {
        let rank = rank_of(m, sequence, i);
        sum += select(0.0, weight_of(from_sorted(rank.x) - top), rank.x != 0u);
    }
    let total = sum_of_lanes(sum, lane);
    let n = min(min(asked, MAX_ALTERNATIVES), p.vocab);
    if (lane == 0u) {
        let rank = rank_of(m, sequence, min(chosen, p.vocab - 1u));
        likely[p.likely_offset + m * p.likely_stride] = weight_of(from_sorted(rank.x) - top) / total;
    }
    var last = vec2<u32>(0xffffffffu, 0xffffffffu);
    for (var which = 0u; which < n; which++) {
        var next = vec2<u32>(0u, 0u);
        for (var i = lane; i < p.vocab; i += WG) {
            let rank = rank_of(m, sequence, i);
            if (is_before(last, rank) && is_before(rank, next)) {
                next = rank;
            }
        }
        best_of_lanes(next, lane);
        last = best[0];
        if (lane == 0u) {
            likely_ids[p.likely_ids_offset + m * p.likely_ids_stride + which] = ~last.y;
            likely[p.likely_offset + m * p.likely_stride + 1u + which] = weight_of(from_sorted(last.x) - top) / total;
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let m = group.x;
    let row = output_row(m);
    let own = min(sequence(row), p.sequences - 1u);
    if (lane == 0u) {
        let top_k = setting(own, TOP_K);
        task = select(DRAW_OF_FEW, DRAW_OF_MANY, top_k == 0u || top_k > MAX_TOP_K);
        if (number(own, TEMPERATURE) <= 0.0 || top_k == 1u) {
            task = LIKELIEST;
        }
        if (m >= row_count(p.count_at, p.max_rows)) {
            task = NOTHING_ASKED;
        }
        wanted = min(top_k, p.vocab);
        lowest = vec2<u32>(0u, 0u);
        atomicStore(&nonfinite, 0u);
        atomicStore(&taken, 0u);
    }
    if (workgroupUniformLoad(&task) == NOTHING_ASKED) {
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
    atomicAdd(&nonfinite, bad);
    best_of_lanes(first, lane);
    if (lane == 0u) {
        let n = atomicLoad(&nonfinite);
        atomicAdd(&batch[NONFINITE], n);
        chosen = ~best[0].y;
        // Where the logits are no good, the likeliest of those that are: the host learns the number and stops.
        if (n > 0u) {
            task = LIKELIEST;
        }
    }
    let asked = workgroupUniformLoad(&task);
    if (asked == DRAW_OF_FEW) {
        draw_of_few(m, own, row, lane);
    }
    if (asked == DRAW_OF_MANY) {
        draw_of_many(m, own, row, lane);
    }
    if (lane == 0u) {
        ids[p.ids_offset + m] = chosen;
        likely[p.likely_offset + m * p.likely_stride] = -1.0;
        wanted = select(setting(own, ALTERNATIVES), 0u, atomicLoad(&nonfinite) > 0u);
    }
    let alternatives = workgroupUniformLoad(&wanted);
    if (alternatives > 0u) {
        tell(m, own, lane, alternatives);
    }
}
