// Q2_K: superblocks of 256 2-bit numbers; each 16 share a 4-bit scale s and a 4-bit offset o, all share f16 d and dmin.
// value = (d * s) * q - dmin * o.
//
// A packed row of n = k / 256 superblocks, in words:
//   [0, 16n)     q         sixteen to a word: number 4 s + b in byte b at bit 2 s
//   [16n, 20n)   s, o      one byte each 16 values: s in the low nibble, o in the high one
//   [20n, 21n)   d, dmin   one word a superblock, d in the low half
// padded to a multiple of four words.
#import lib/bits
#import lib/dot

alias Weights = array<u32>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (21u * (k / 256u) + 3u) / 4u * 4u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let sub = oct / 2u;
    let q = w[row + sub];
    let s = byte_at(w[row + k / 16u + sub / 4u], sub & 3u);
    let dm = unpack2x16float(w[row + k / 64u * 5u + oct / 32u]);
    let d = dm.x * f32(s & 15u);
    let m = dm.y * f32(s >> 4u);
    let pair = 2u * (oct & 1u);
    return Eight(d * vec4<f32>(two_bits(q, pair)) - m, d * vec4<f32>(two_bits(q, pair + 1u)) - m);
}
