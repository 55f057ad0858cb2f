// RopeWrite: of rows of queries, keys and values, rotates the queries in place and remembers rotated keys and values.
// batch; table: rotary angles; qkv: [rows, q + k + v]; keys, values: states, rows placed by their group's page table.
// A lane rotates one pair of a query, or makes and writes one chunk of a key's or a value's row.
#import lib/grid
#import lib/batch
#import store

struct Params {
    count_at: u32,
    max_rows: u32,
    q: u32,
    k: u32,
    v: u32,
    head_dim: u32,
    half: u32,
    halves: u32,
    offset: u32,
    stride: u32,
    group: u32,
    state_rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> values: array<u32>;
#import lib/rope

const WG: u32 = 256u;

// Value `c` of a key, rotated; the key begins at word `from`.
fn rotated(source: u32, at: u32, c: u32) -> f32 {
    let in_head = c % p.head_dim;
    let own = qkv[source + c];
    if (in_head >= 2u * p.half) {
        return own;
    }
    let is_second = select((in_head & 1u) == 1u, in_head >= p.half, p.halves != 0u);
    let first = in_head - select(0u, distance(), is_second);
    let turn = turn_of(at, select(first / 2u, first, p.halves != 0u));
    if (is_second) {
        return qkv[source + c - distance()] * turn.y + own * turn.x;
    }
    return own * turn.x - qkv[source + c + distance()] * turn.y;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pairs = p.q / p.head_dim * p.half;
    let key_chunks = (p.k + CHUNK - 1u) / CHUNK;
    let items = pairs + key_chunks + (p.v + CHUNK - 1u) / CHUNK;
    let i = flat_group(group, groups) * WG + lane;
    let t = i / items;
    let item = i % items;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let at = position(t);
    let source = p.offset + t * p.stride;
    if (item < pairs) {
        let pair = item % p.half;
        let turn = turn_of(at, pair);
        let first = source + item / p.half * p.head_dim + first_of(pair);
        let second = first + distance();
        let a = qkv[first];
        let b = qkv[second];
        qkv[first] = a * turn.x - b * turn.y;
        qkv[second] = a * turn.y + b * turn.x;
        return;
    }
    let row = min(paged_row(page_table(p.group, sequence(t)), at), p.state_rows - 1u);
    if (item < pairs + key_chunks) {
        let first = (item - pairs) * CHUNK;
        for (var j = 0u; j < CHUNK; j++) {
            chunk[j] = 0.0;
            if (first + j < p.k) {
                chunk[j] = rotated(source + p.q, at, first + j);
            }
        }
        encode_chunk();
        for (var j = 0u; j < CHUNK_WORDS; j++) {
            let to = chunk_word(p.k, first, j);
            if (to != NOWHERE) {
                keys[row * state_words(p.k) + to] = chunk_words[j];
            }
        }
    } else {
        let first = (item - pairs - key_chunks) * CHUNK;
        for (var j = 0u; j < CHUNK; j++) {
            chunk[j] = 0.0;
            if (first + j < p.v) {
                chunk[j] = qkv[source + p.q + p.k + first + j];
            }
        }
        encode_chunk();
        for (var j = 0u; j < CHUNK_WORDS; j++) {
            let to = chunk_word(p.v, first, j);
            if (to != NOWHERE) {
                values[row * state_words(p.v) + to] = chunk_words[j];
            }
        }
    }
}
