// BF16: the upper half of an f32. A packed row is the k values, two to a word (the first in the low half),
// padded with zeros to a multiple of eight.
#import lib/bits
#import lib/dot

alias Weights = array<vec4<u32>>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (k + 7u) / 8u * 4u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let q = w[(row >> 2u) + oct];
    let low = bitcast<vec4<f32>>(q << vec4<u32>(16u));
    let high = bitcast<vec4<f32>>(q & vec4<u32>(0xffff0000u));
    return Eight(vec4<f32>(low.x, high.x, low.y, high.y), vec4<f32>(low.z, high.z, low.w, high.w));
}
