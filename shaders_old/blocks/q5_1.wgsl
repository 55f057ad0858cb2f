// Q5_1: blocks of 32 5-bit numbers with an f16 scale and an f16 offset. value = d * q + m.
//
// A packed row of n = k / 32 blocks, in words:
//   [0, 4n)     low four bits: eight to a word, 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [4n, 5n)    fifth bits: one word a block, bit i belongs to value i
//   [5n, 6n)    d, m   one word a block, d in the low half
// padded to a multiple of four words.
#import lib/bits
#import lib/dot

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (6u * (k / 32u) + 3u) / 4u * 4u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[row + oct];
    let block = oct / 4u;
    let h = w[row + k / 8u + block];
    let dm = unpack2x16float(w[row + k / 32u * 5u + block]);
    let bit = 8u * (oct & 3u);
    let a = low_nibbles(q) | (one_bits(h, bit) << vec4<u32>(4u));
    let b = high_nibbles(q) | (one_bits(h, bit + 4u) << vec4<u32>(4u));
    return Eight(dm.x * vec4<f32>(a) + dm.y, dm.x * vec4<f32>(b) + dm.y);
}
