// How a lane writes values of a state's row as f16: two to a word. Values beyond the largest f16 are cut to it.
const CHUNK: u32 = 2u;
const CHUNK_WORDS: u32 = 1u;
const NOWHERE: u32 = 0xffffffffu;

var<private> chunk: array<f32, CHUNK>;
var<private> chunk_words: array<u32, CHUNK_WORDS>;

// Words of a row.
fn state_words(width: u32) -> u32 {
    return (width + 1u) / 2u;
}

fn encode_chunk() {
    chunk_words[0] = pack2x16float(clamp(vec2<f32>(chunk[0], chunk[1]), vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}

// Where in its row word `i` of the chunk that begins at value `first` lies; NOWHERE for one beyond the row.
fn chunk_word(width: u32, first: u32, i: u32) -> u32 {
    return first / 2u;
}
