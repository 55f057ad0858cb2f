// Q4_1: blocks of 32 4-bit numbers with an f16 scale and an f16 offset. value = d * q + m.
//
// A packed row of n = k / 32 blocks, in words:
//   [0, 4n)     q      eight to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [4n, 5n)    d, m   one word a block, d in the low half
// padded to a multiple of four words.
#import lib/bits
#import lib/dot

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (5u * (k / 32u) + 3u) / 4u * 4u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[row + oct];
    let dm = unpack2x16float(w[row + k / 8u + oct / 4u]);
    return Eight(dm.x * vec4<f32>(low_nibbles(q)) + dm.y, dm.x * vec4<f32>(high_nibbles(q)) + dm.y);
}
