// Keys and values in blocks of 32 signed bytes with an f16 scale: rows of k_stride and v_stride words, the bytes first
// (k_scales and v_scales words of them), then the scales, two to a word.
alias Keys = array<u32>;
alias Values = array<u32>;

fn key_scale(at: u32, column: u32) -> f32 {
    return unpack2x16float(k[at + p.k_scales + column / 64u])[(column / 32u) & 1u];
}

fn key_at(row: u32, column: u32) -> f32 {
    let at = p.k_offset + row * p.k_stride;
    return key_scale(at, column) * f32(unpack4xI8(k[at + column / 4u])[column & 3u]);
}

// Four values of a key; `column` is a multiple of four.
fn key4_at(row: u32, column: u32) -> vec4<f32> {
    let at = p.k_offset + row * p.k_stride;
    return key_scale(at, column) * vec4<f32>(unpack4xI8(k[at + column / 4u]));
}

fn value_at(row: u32, column: u32) -> f32 {
    let at = p.v_offset + row * p.v_stride;
    let scale = unpack2x16float(v[at + p.v_scales + column / 64u])[(column / 32u) & 1u];
    return scale * f32(unpack4xI8(v[at + column / 4u])[column & 3u]);
}
