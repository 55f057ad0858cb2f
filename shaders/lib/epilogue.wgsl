// What linear kernels do with a finished sum. `bias`: one value for each weight row; `gated`: the activation of a gate.
#if gated
#import ops/elementwise

fn activation(gate: f32) -> f32 {
    var v = gate;
#links
    return v;
}
#endif

// The sum of weight row `row` (of the whole matrix) with its bias.
fn biased(row: u32, sum: f32) -> f32 {
#if bias
    return sum + bias[p.bias_offset + row];
#else
    return sum;
#endif
}

fn store(at: u32, value: f32) {
    if (p.accumulate != 0u) {
        y[at] += value;
    } else {
        y[at] = value;
    }
}
