// MXFP4: blocks of 32 4-bit floats (E2M1) with one power of two. value = d * table[q], the table doubled, d half the scale.
//
// A packed row of n = k / 32 blocks, in words:
//   [0, 4n)    q   eight to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [4n, 5n)   d   the bits of an f32 for each block
// padded to a multiple of four words.
#import lib/bits

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (5u * (k / 32u) + 3u) / 4u * 4u;
}

fn scale(row: u32, k: u32, block: u32) -> f32 {
    return bitcast<f32>(w[row + k / 8u + block]);
}

// The table, doubled: 0 1 2 3 | 4 6 8 12, then the same below zero. From code 2 on two bits of exponent and one of fraction.
fn looked_up(q: vec4<u32>) -> vec4<f32> {
    let m = q & vec4<u32>(7u);
    let high = (vec4<u32>(2u) | (m & vec4<u32>(1u))) << (max(m >> vec4<u32>(1u), vec4<u32>(1u)) - vec4<u32>(1u));
    let size = vec4<f32>(select(m, high, m >= vec4<u32>(2u)));
    // Code 8 is 0, as code 0 is.
    return select(size, -size, q > vec4<u32>(8u));
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
