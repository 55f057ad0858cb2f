// Dot product of eight weights, decoded one by one, with eight inputs.
fn dot8(row: u32, k: u32, oct: u32, x: Eight) -> f32 {
    let v = weights8(row, k, oct);
    return dot(v.a, x.a) + dot(v.b, x.b);
}
