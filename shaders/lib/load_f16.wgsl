// Keys and values as f16, two to a word: rows of k_stride and v_stride words.
alias Keys = array<u32>;
alias Values = array<u32>;

fn key_at(row: u32, column: u32) -> f32 {
    return unpack2x16float(k[p.k_offset + row * p.k_stride + column / 2u])[column & 1u];
}

// Four values of a key; `column` is a multiple of four.
fn key4_at(row: u32, column: u32) -> vec4<f32> {
    let at = p.k_offset + row * p.k_stride + column / 2u;
    return vec4<f32>(unpack2x16float(k[at]), unpack2x16float(k[at + 1u]));
}

fn value_at(row: u32, column: u32) -> f32 {
    return unpack2x16float(v[p.v_offset + row * p.v_stride + column / 2u])[column & 1u];
}
