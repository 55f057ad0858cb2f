// Embed: y[t] = table[ids[t] - first_row], for ids in this part of the table.
// batch; w: weight [rows, width], packed; y: [rows of the step, width]. The ids are an array of the batch buffer.
// A lane decodes eight values.
#import lib/grid
#import block
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    width: u32,
    first_row: u32,
    rows: u32,
    ids_at: u32,
    y_offset: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> batch: array<u32>;
@group(0) @binding(2) var<storage, read> w: Weights;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const WG: u32 = 64u;

fn put(row: u32, i: u32, value: f32) {
    if (i < p.width) {
        y[p.y_offset + row * p.y_stride + i] = value;
    }
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let octs = (p.width + 7u) / 8u;
    let i = flat_group(group, groups) * WG + lane;
    let t = i / octs;
    let oct = i % octs;
    if (t >= row_count(p.count_at, p.max_rows)) {
        return;
    }
    let id = word(word(p.ids_at) + t);
    if (id < p.first_row || id - p.first_row >= p.rows) {
        return;
    }
    let v = weights8((id - p.first_row) * row_words(p.width), p.width, oct);
    put(t, oct * 8u, v.a.x);
    put(t, oct * 8u + 1u, v.a.y);
    put(t, oct * 8u + 2u, v.a.z);
    put(t, oct * 8u + 3u, v.a.w);
    put(t, oct * 8u + 4u, v.b.x);
    put(t, oct * 8u + 5u, v.b.y);
    put(t, oct * 8u + 6u, v.b.z);
    put(t, oct * 8u + 7u, v.b.w);
}
