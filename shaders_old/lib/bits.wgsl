// Bit picking shared by the block layouts. Pure functions, no bindings.

// Eight consecutive values of a packed row: `a` holds the first four, `b` the next four.
struct Eight { a: vec4<f32>, b: vec4<f32> }

// The `index`th (0 or 1) of two f16 numbers packed in a word.
fn half_at(word: u32, index: u32) -> f32 {
    return unpack2x16float(word >> (16u * index)).x;
}

// Byte `index` (0..4) of a word.
fn byte_at(word: u32, index: u32) -> u32 {
    return (word >> (8u * index)) & 0xffu;
}

// Byte `index` (0..4) of a word as a signed number.
fn signed_byte_at(word: u32, index: u32) -> f32 {
    return f32(bitcast<i32>(word << (24u - 8u * index)) >> 24u);
}

// The low nibbles of a word's bytes: values 0..4 of the eight it holds.
fn low_nibbles(word: u32) -> vec4<u32> {
    return unpack4xU8(word & 0x0f0f0f0fu);
}

// The high nibbles of a word's bytes: values 4..8 of the eight it holds.
fn high_nibbles(word: u32) -> vec4<u32> {
    return unpack4xU8((word >> 4u) & 0x0f0f0f0fu);
}

// Values 4 * pair .. 4 * pair + 4 of the sixteen 2-bit numbers in a word (number 4 s + b lies in byte b at bit 2 s).
fn two_bits(word: u32, pair: u32) -> vec4<u32> {
    return unpack4xU8((word >> (2u * pair)) & 0x03030303u);
}

// Bits `first` .. `first + 4` of a word, each as 0 or 1.
fn one_bits(word: u32, first: u32) -> vec4<u32> {
    return (vec4<u32>(word >> first) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u);
}
