// A state of columns, one for each value of a result: a team of lanes takes a column, each lane PART values of it in
// registers. WG, `p.outputs` (columns), `p.size` (values of a column) and `p.team_bits` must be there.
const PART: u32 = 16u;

var<workgroup> parts: array<f32, WG>;

// Which column a lane works on, and the first of its values.
fn column_of(group: u32, lane: u32) -> u32 {
    return group * (WG >> p.team_bits) + (lane >> p.team_bits);
}

fn first_of(lane: u32) -> u32 {
    return (lane & ((1u << p.team_bits) - 1u)) * PART;
}

// The sum of what the lanes of a team give. Every lane must call; every lane gets its team's.
fn team_sum(lane: u32, value: f32) -> f32 {
    if (p.team_bits == 0u) {
        return value;
    }
    parts[lane] = value;
    workgroupBarrier();
    let start = (lane >> p.team_bits) << p.team_bits;
    var sum = 0.0;
    for (var i = 0u; i < (1u << p.team_bits); i++) {
        sum += parts[start + i];
    }
    workgroupBarrier();
    return sum;
}
