// Rotary angles and pairs. `table` must be bound; p.half and p.halves are the number of pairs of a head and how they lie.
// The table is split (`engine/program.rs`, `table_words`): entry i < TABLE_STEP turns by i positions and carries the
// magnitude, entry TABLE_STEP + j turns by j * TABLE_STEP positions.
const TABLE_STEP: u32 = 256u;

// Cosine and sine of a position for a pair.
fn turn_of(position: u32, pair: u32) -> vec2<f32> {
    let last = arrayLength(&table) - 1u;
    let fine = table[min((position % TABLE_STEP) * p.half + pair, last)];
    let coarse = table[min((TABLE_STEP + position / TABLE_STEP) * p.half + pair, last)];
    return vec2<f32>(fine.x * coarse.x - fine.y * coarse.y, fine.x * coarse.y + fine.y * coarse.x);
}

// Where the first value of a pair lies in its head, and how far behind it the second.
fn first_of(pair: u32) -> u32 {
    return select(2u * pair, pair, p.halves != 0u);
}

fn distance() -> u32 {
    return select(1u, p.half, p.halves != 0u);
}
