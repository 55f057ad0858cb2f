// Q8_0: blocks of 32 signed bytes with one f16 scale. value = d * q.
//
// A packed row of n = k / 32 blocks, in words:
//   [0, 8n)          q   four to a word, in order
//   [8n, 8n + n/2)   d   two to a word, in order (n/2 rounded up)
// padded to a multiple of four words.
#import lib/bits

alias Weights = array<vec2<u32>>;

// Words in a packed row of k values; a multiple of four.
fn row_words(k: u32) -> u32 {
    let n = k / 32u;
    return (8u * n + (n + 1u) / 2u + 3u) / 4u * 4u;
}

fn scale(row: u32, k: u32, block: u32) -> f32 {
    let at = row + k / 4u + block / 2u;
    return half_at(w[at >> 1u][at & 1u], block & 1u);
}

fn quants(row: u32, oct: u32) -> Eight {
    let q = w[(row >> 1u) + oct];
    return Eight(vec4<f32>(unpack4xI8(q.x)), vec4<f32>(unpack4xI8(q.y)));
}

// Values 8 * oct .. 8 * oct + 8 of the row that starts at word `row`.
fn weights8(row: u32, k: u32, oct: u32) -> Eight {
    let d = scale(row, k, oct / 4u);
    let q = quants(row, oct);
    return Eight(d * q.a, d * q.b);
}

// Their dot product with eight inputs; the scale is applied once.
fn dot8(row: u32, k: u32, oct: u32, x: Eight) -> f32 {
    let q = quants(row, oct);
    return scale(row, k, oct / 4u) * (dot(q.a, x.a) + dot(q.b, x.b));
}
