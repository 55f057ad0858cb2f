// The step's inputs: a header, then arrays at the offsets that the header states (`engine/program.rs`, `batch`).
// `batch` must be bound. `atomic_batch`: as atomic words.

const ROW_COUNT: u32 = 0u;
const OUTPUT_COUNT: u32 = 1u;
const CHOICES: u32 = 2u;
const TOKENS_AT: u32 = 3u;
const POSITIONS_AT: u32 = 4u;
const SEQUENCES_AT: u32 = 5u;
const OUTPUTS_AT: u32 = 6u;
const LENGTHS_AT: u32 = 7u;
const STARTS_AT: u32 = 8u;
const PAGES_AT: u32 = 9u;
const PAGES: u32 = 10u;
const SEQUENCES: u32 = 11u;
const NONFINITE: u32 = 12u;
const TYPES_AT: u32 = 13u;
const HEADER: u32 = 16u;
// Rows of a state that lie together.
const PAGE_ROWS: u32 = 16u;

fn word(i: u32) -> u32 {
    let at = min(i, arrayLength(&batch) - 1u);
#if atomic_batch
    return atomicLoad(&batch[at]);
#else
    return batch[at];
#endif
}

// Rows that count: a word of the header, at most `most`; `most` itself where `at` is no word of the header.
fn row_count(at: u32, most: u32) -> u32 {
    if (at >= HEADER) {
        return most;
    }
    return min(word(at), most);
}

fn token(row: u32) -> u32 {
    return word(word(TOKENS_AT) + row);
}

fn position(row: u32) -> u32 {
    return word(word(POSITIONS_AT) + row);
}

fn sequence(row: u32) -> u32 {
    return word(word(SEQUENCES_AT) + row);
}

// The row that output `i` is of.
fn output_row(i: u32) -> u32 {
    return word(word(OUTPUTS_AT) + i);
}

// Positions that a sequence has after this step.
fn length_of(sequence: u32) -> u32 {
    return word(word(LENGTHS_AT) + sequence);
}

// The first row of a sequence in this step.
fn start_of(sequence: u32) -> u32 {
    return word(word(STARTS_AT) + sequence);
}

// Where the page table of a sequence begins.
fn page_table(group: u32, sequence: u32) -> u32 {
    return word(PAGES_AT) + (group * word(SEQUENCES) + sequence) * word(PAGES);
}

// The row of a state that holds a position of the sequence whose page table this is.
fn paged_row(table: u32, position: u32) -> u32 {
    let page = min(position / PAGE_ROWS, word(PAGES) - 1u);
    return word(table + page) * PAGE_ROWS + position % PAGE_ROWS;
}
