// Values 8 * oct .. 8 * oct + 8 of input row `row`, zeros beyond k. `ragged`: k is not a multiple of eight, or rows
// do not begin at a multiple of four words, so nothing can be read as vec4.
#if ragged
fn input(row: u32, i: u32) -> f32 {
    if (i < p.k) {
        return x[p.x_offset + row * p.x_stride + i];
    }
    return 0.0;
}

fn inputs8(row: u32, oct: u32) -> Eight {
    let i = oct * 8u;
    return Eight(
        vec4<f32>(input(row, i), input(row, i + 1u), input(row, i + 2u), input(row, i + 3u)),
        vec4<f32>(input(row, i + 4u), input(row, i + 5u), input(row, i + 6u), input(row, i + 7u)),
    );
}
#else
fn inputs8(row: u32, oct: u32) -> Eight {
    let at = ((p.x_offset + row * p.x_stride) >> 2u) + oct * 2u;
    return Eight(x[at], x[at + 1u]);
}
#endif
