// Advance: makes the chosen ids the next step's tokens, one row for each output, and keeps a record of them in the ring.
// batch: written; ids: [outputs]; likely_ids: [outputs, alternatives]; likely: [outputs, 1 + alternatives]; ring:
// [records, record], in each the number of logits that were not finite, the ids [sequences], then for each sequence likely
// and likely_ids, all but the first word of which are left alone where that is below 0; counts: [sequences, vocab] (`counts`). One lane, outputs in rising order: output m is of a row at or behind
// m, so that no row is read after it was written.
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    vocab: u32,
    ids_offset: u32,
    likely_ids_offset: u32,
    likely_ids_stride: u32,
    likely_offset: u32,
    likely_stride: u32,
    alternatives: u32,
    records: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> batch: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> likely_ids: array<u32>;
@group(0) @binding(4) var<storage, read> likely: array<u32>;
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;
#if counts
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;
#endif

const WG: u32 = 1u;

fn put(i: u32, value: u32) {
    batch[min(i, arrayLength(&batch) - 1u)] = value;
}

@compute @workgroup_size(WG)
fn main() {
    let n = row_count(p.count_at, p.max_rows);
    let choices = word(CHOICES);
    let told = 1u + 2u * p.alternatives;
    let record = choices % p.records * (1u + p.sequences * (1u + told));
    ring[record] = word(NONFINITE);
    for (var m = 0u; m < n; m++) {
        let id = ids[p.ids_offset + m];
        let row = output_row(m);
        let at = position(row) + 1u;
        let own = min(sequence(row), p.sequences - 1u);
        put(word(TOKENS_AT) + m, id);
        put(word(POSITIONS_AT) + m, at);
        put(word(SEQUENCES_AT) + m, own);
        put(word(OUTPUTS_AT) + m, m);
        put(word(LENGTHS_AT) + own, at + 1u);
        put(word(STARTS_AT) + own, m);
        let place = min(m, p.sequences - 1u);
        ring[record + 1u + place] = id;
        let to = record + 1u + p.sequences + place * told;
        let from_likely = p.likely_offset + m * p.likely_stride;
        let from_ids = p.likely_ids_offset + m * p.likely_ids_stride;
        ring[to] = likely[from_likely];
        // A sign bit: below 0.
        if (likely[from_likely] < 0x80000000u) {
            for (var i = 0u; i < p.alternatives; i++) {
                ring[to + 1u + i] = likely[from_likely + 1u + i];
                ring[to + 1u + p.alternatives + i] = likely_ids[from_ids + i];
            }
        }
#if counts
        let counted = own * p.vocab + id;
        if (id < p.vocab && counted < arrayLength(&counts)) {
            counts[counted] += 1u;
        }
#endif
    }
    put(ROW_COUNT, n);
    put(OUTPUT_COUNT, n);
    put(NONFINITE, 0u);
    put(CHOICES, choices + 1u);
}
