// What a sequence carries from row to row: `p.count_at`, `p.max_rows`, `p.sequences` and `p.held` (values of one state)
// must be there. What it has after position q lies at `q % CHECKPOINTS` of its own (`engine/program.rs`, `Carried`).
const CHECKPOINTS: u32 = 2u;

// Rows of a sequence in this step: none where `rows` is 0.
struct Run {
    first: u32,
    rows: u32,
    // Whether something came before; else the state is zeros.
    goes_on: bool,
    // Where the state lies before and after the step, in words.
    before: u32,
    after: u32,
}

fn checkpoint(own: u32, position: u32) -> u32 {
    return (min(own, p.sequences - 1u) * CHECKPOINTS + position % CHECKPOINTS) * p.held;
}

fn run_of(own: u32) -> Run {
    let rows = row_count(p.count_at, p.max_rows);
    let first = start_of(own);
    // Of a sequence that has no rows in this step the batch holds what it had before.
    if (first >= rows || sequence(first) != own) {
        return Run(0u, 0u, false, 0u, 0u);
    }
    let at = position(first);
    let n = max(min(length_of(own) - at, rows - first), 1u);
    return Run(first, n, at > 0u, checkpoint(own, at + CHECKPOINTS - 1u), checkpoint(own, at + n - 1u));
}
