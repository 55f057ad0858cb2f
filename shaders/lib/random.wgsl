// A number for each seed and position: SplitMix64's output function applied to both, as `engine/sampler.rs` has it.
// A whole number of 64 bits is a vec2: x holds the low word, y the high one.

fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// The whole product of two words.
fn product64(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let cross = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);
    return vec2<u32>(a * b, (a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u));
}

fn multiply64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = product64(a.x, b.x);
    return vec2<u32>(low.x, low.y + a.x * b.y + a.y * b.x);
}

// a ^ (a >> n), for n below 32.
fn fold64(a: vec2<u32>, n: u32) -> vec2<u32> {
    return a ^ vec2<u32>((a.x >> n) | (a.y << (32u - n)), a.y >> n);
}

fn mix64(value: vec2<u32>) -> vec2<u32> {
    var z = multiply64(fold64(value, 30u), vec2<u32>(0x1ce4e5b9u, 0xbf58476du));
    z = multiply64(fold64(z, 27u), vec2<u32>(0x133111ebu, 0x94d049bbu));
    return fold64(z, 31u);
}

// From 0 up to 1: the highest 32 of the 53 bits that the host's generator gives, rounded to f32.
fn uniform_number(seed: vec2<u32>, position: u32) -> f32 {
    let golden = vec2<u32>(0x7f4a7c15u, 0x9e3779b9u);
    let key = mix64(add64(seed, golden));
    let bits = mix64(add64(key, multiply64(add64(vec2<u32>(position, 0u), vec2<u32>(1u, 0u)), golden)));
    return f32(bits.y) / 4294967296.0;
}
