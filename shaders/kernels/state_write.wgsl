// StateWrite: remembers each row at its position in its sequence.
// batch; x: [rows, width]; state: rows placed by their group's page table. A lane writes one chunk of a row.
#import lib/grid
#import lib/batch
#import store

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    x_offset: u32,
    x_stride: u32,
    group: u32,
    state_rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;

const WG: u32 = 256u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunks = (p.width + CHUNK - 1u) / CHUNK;
    let i = flat_group(group, groups) * WG + lane;
    let t = i / chunks;
    let first = i % chunks * CHUNK;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    for (var j = 0u; j < CHUNK; j++) {
        chunk[j] = 0.0;
        if (first + j < p.width) {
            chunk[j] = x[p.x_offset + t * p.x_stride + first + j];
        }
    }
    encode_chunk();
    let row = min(paged_row(page_table(p.group, sequence(t)), position(t)), p.state_rows - 1u);
    for (var j = 0u; j < CHUNK_WORDS; j++) {
        let to = chunk_word(p.width, first, j);
        if (to != NOWHERE) {
            state[row * state_words(p.width) + to] = chunk_words[j];
        }
    }
}
