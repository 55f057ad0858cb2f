// Keys and values as f32: rows of k_stride and v_stride words from k_offset and v_offset on.
#if ragged
alias Keys = array<f32>;

fn key_at(row: u32, column: u32) -> f32 {
    return k[p.k_offset + row * p.k_stride + column];
}
#else
alias Keys = array<vec4<f32>>;

// Four values of a key; `column` is a multiple of four.
fn key4_at(row: u32, column: u32) -> vec4<f32> {
    return k[(p.k_offset + row * p.k_stride + column) >> 2u];
}
#endif
alias Values = array<f32>;

fn value_at(row: u32, column: u32) -> f32 {
    return v[p.v_offset + row * p.v_stride + column];
}
