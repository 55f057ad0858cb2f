// How a lane writes values of a state's row as f32: CHUNK values from `chunk`, as words. `store_f16.wgsl` and
// `store_q8_0.wgsl` have the same names.
const CHUNK: u32 = 1u;
const CHUNK_WORDS: u32 = 1u;
const NOWHERE: u32 = 0xffffffffu;

var<private> chunk: array<f32, CHUNK>;
var<private> chunk_words: array<u32, CHUNK_WORDS>;

// Words of a row.
fn state_words(width: u32) -> u32 {
    return width;
}

fn encode_chunk() {
    chunk_words[0] = bitcast<u32>(chunk[0]);
}

// Where in its row word `i` of the chunk that begins at value `first` lies; NOWHERE for one beyond the row.
fn chunk_word(width: u32, first: u32, i: u32) -> u32 {
    return first;
}
