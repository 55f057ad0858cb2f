// How a lane writes values of a state's row as Q8_0: two blocks of 32 signed bytes, whose f16 scales share a word.
// A scale is the largest magnitude / 127; numbers are rounded half away from zero, as in ggml.
const CHUNK: u32 = 64u;
const CHUNK_WORDS: u32 = 17u;
const NOWHERE: u32 = 0xffffffffu;

var<private> chunk: array<f32, CHUNK>;
var<private> chunk_words: array<u32, CHUNK_WORDS>;

fn byte_words(width: u32) -> u32 {
    return (width + 3u) / 4u;
}

// Words of a row.
fn state_words(width: u32) -> u32 {
    return byte_words(width) + ((width + 31u) / 32u + 1u) / 2u;
}

fn encode_block(block: u32) -> f32 {
    var most = 0.0;
    for (var i = 0u; i < 32u; i++) {
        most = max(most, abs(chunk[32u * block + i]));
    }
    let scale = most / 127.0;
    let inverse = select(0.0, 1.0 / scale, scale > 0.0);
    for (var i = 0u; i < 8u; i++) {
        let at = 32u * block + 4u * i;
        let v = vec4<f32>(chunk[at], chunk[at + 1u], chunk[at + 2u], chunk[at + 3u]) * inverse;
        chunk_words[8u * block + i] = pack4xI8(vec4<i32>(sign(v) * floor(abs(v) + 0.5)));
    }
    return scale;
}

fn encode_chunk() {
    let first = encode_block(0u);
    let second = encode_block(1u);
    chunk_words[16] = pack2x16float(min(vec2<f32>(first, second), vec2<f32>(65504.0)));
}

// Where in its row word `i` of the chunk that begins at value `first` lies; NOWHERE for one beyond the row.
fn chunk_word(width: u32, first: u32, i: u32) -> u32 {
    if (i == 16u) {
        return byte_words(width) + first / 64u;
    }
    let at = first / 4u + i;
    return select(NOWHERE, at, at < byte_words(width));
}
