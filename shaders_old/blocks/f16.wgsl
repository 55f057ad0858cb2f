// F16. A packed row is the k values, two to a word (the first in the low half), padded with zeros to a multiple of eight.
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
    return Eight(
        vec4<f32>(unpack2x16float(q.x), unpack2x16float(q.y)),
        vec4<f32>(unpack2x16float(q.z), unpack2x16float(q.w)),
    );
}
