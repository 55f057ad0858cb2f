// Q4_K: superblocks of 256 4-bit numbers; each 32 share a 6-bit scale s and a 6-bit offset o, all share f16 d and dmin.
// value = (d * s) * q - dmin * o.
//
// A packed row of n = k / 256 superblocks, in words:
//   [0, 32n)     q         eight to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones
//   [32n, 36n)   s, o      two bytes each 32 values, widened to 8 bits
//   [36n, 37n)   d, dmin   one word a superblock, d in the low half
// padded to a multiple of four words.
#import lib/bits
#import lib/dot

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (37u * (k / 256u) + 3u) / 4u * 4u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[row + oct];
    let sub = oct / 4u;
    let so = w[row + k / 8u + sub / 2u] >> (16u * (sub & 1u));
    let dm = unpack2x16float(w[row + k / 64u * 9u + oct / 32u]);
    let d = dm.x * f32(so & 0xffu);
    let m = dm.y * f32((so >> 8u) & 0xffu);
    return Eight(d * vec4<f32>(low_nibbles(q)) - m, d * vec4<f32>(high_nibbles(q)) - m);
}
