// IQ4_NL: blocks of 32 4-bit indices into a table of signed bytes, with one f16 scale. value = d * table[q].
//
// A packed row of n = k / 32 blocks, in words:
//   [0, 4n)          q   eight to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [4n, 4n + n/2)   d   two to a word, in order (n/2 rounded up)
// padded to a multiple of four words.
#import lib/bits

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    let n = k / 32u;
    return (4u * n + (n + 1u) / 2u + 3u) / 4u * 4u;
}

fn scale(row: u32, k: u32, block: u32) -> f32 {
    return half_at(w[row + k / 8u + block / 2u], block & 1u);
}

// The table: -127 -104 -83 -65 | -49 -35 -22 -10 | 1 13 25 38 | 53 69 89 113, four to a word. Kept in words and
// picked by selects, because an array indexed at run time would be copied to memory.
fn looked_up(q: vec4<u32>) -> vec4<f32> {
    let low = select(vec4<u32>(0xbfad9881u), vec4<u32>(0xf6eaddcfu), (q & vec4<u32>(4u)) != vec4<u32>(0u));
    let high = select(vec4<u32>(0x26190d01u), vec4<u32>(0x71594535u), (q & vec4<u32>(4u)) != vec4<u32>(0u));
    let word = select(low, high, (q & vec4<u32>(8u)) != vec4<u32>(0u));
    let up = vec4<u32>(24u) - (q & vec4<u32>(3u)) * 8u;
    return vec4<f32>(bitcast<vec4<i32>>(word << up) >> vec4<u32>(24u));
}

fn quants(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[row + oct];
    return Eight(looked_up(low_nibbles(q)), looked_up(high_nibbles(q)));
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let d = scale(row, k, oct / 4u);
    let q = quants(row, k, oct);
    return Eight(d * q.a, d * q.b);
}

// Their dot product with eight inputs; the scale is applied once.
fn dot8(row: u32, k: u32, oct: u32, x: Eight) -> f32 {
    let q = quants(row, k, oct);
    return scale(row, k, oct / 4u) * (dot(q.a, x.a) + dot(q.b, x.b));
}
