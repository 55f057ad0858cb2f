// Q6_K: superblocks of 256 6-bit numbers; each 16 share a signed 8-bit scale s, all share f16 d.
// value = (d * s) * (q - 32).
//
// A packed row of n = k / 256 superblocks, in words:
//   [0, 32n)     low four bits: eight to a word, 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [32n, 48n)   high two bits: sixteen to a word, number 4 s + b in byte b at bit 2 s
//   [48n, 52n)   s   one signed byte each 16 values
//   [52n, 52n + n/2)   d   two to a word, in order (n/2 rounded up)
// padded to a multiple of four words.
#import lib/bits

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    let n = k / 256u;
    return (52u * n + (n + 1u) / 2u + 3u) / 4u * 4u;
}

fn scale(row: u32, k: u32, oct: u32) -> f32 {
    let block = oct / 32u;
    let sub = oct / 2u;
    let d = half_at(w[row + k / 64u * 13u + block / 2u], block & 1u);
    return d * signed_byte_at(w[row + k / 16u * 3u + sub / 4u], sub & 3u);
}

fn quants(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[row + oct];
    let h = w[row + k / 8u + oct / 2u];
    let pair = 2u * (oct & 1u);
    let a = low_nibbles(q) | (two_bits(h, pair) << vec4<u32>(4u));
    let b = high_nibbles(q) | (two_bits(h, pair + 1u) << vec4<u32>(4u));
    return Eight(vec4<f32>(a) - 32.0, vec4<f32>(b) - 32.0);
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let d = scale(row, k, oct);
    let q = quants(row, k, oct);
    return Eight(d * q.a, d * q.b);
}

// Their dot product with eight inputs; the scale is applied once.
fn dot8(row: u32, k: u32, oct: u32, x: Eight) -> f32 {
    let q = quants(row, k, oct);
    return scale(row, k, oct) * (dot(q.a, x.a) + dot(q.b, x.b));
}
