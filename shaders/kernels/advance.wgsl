// Advance: makes the chosen ids the next step's tokens, one row for each output, and keeps a record of them in the ring.
// batch: written; ids: [outputs]; ring: [records, 1 + sequences], in each the number of logits that were not finite, then
// the ids; counts: [sequences, vocab] (`counts`). One lane, outputs in rising order: output m is of a row at or behind
// m, so that no row is read after it was written.
#import lib/batch

struct Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    vocab: u32,
    ids_offset: u32,
    records: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> batch: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> ring: array<u32>;
#if counts
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;
#endif

const WG: u32 = 1u;

fn put(i: u32, value: u32) {
    batch[min(i, arrayLength(&batch) - 1u)] = value;
}

@compute @workgroup_size(WG)
fn main() {
    let n = row_count(p.count_at, p.max_rows);
    let choices = word(CHOICES);
    let record = choices % p.records * (1u + p.sequences);
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
        ring[record + 1u + min(m, p.sequences - 1u)] = id;
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
