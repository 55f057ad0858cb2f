// F32. A packed row is the k values, padded with zeros to a multiple of eight.
#import lib/bits
#import lib/dot

alias Weights = array<vec4<u32>>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    return (k + 7u) / 8u * 8u;
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let at = (row >> 2u) + oct * 2u;
    return Eight(bitcast<vec4<f32>>(w[at]), bitcast<vec4<f32>>(w[at + 1u]));
}
