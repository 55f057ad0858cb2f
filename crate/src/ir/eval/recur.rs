//! Recurrences: rows of a sequence one after the other, with what the one before left. Sums are in f64; what is carried to
//! the next step is rounded to f32.

use super::{
    array::{Array, Operand},
    run::Step,
};
use crate::{
    fault::{Fault, Result},
    ir::op::{Delta, Rule, Scan},
};

/// Rows of one sequence in a step, which lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The sequence.
    pub sequence: i32,
    /// The first row.
    pub first: usize,
    /// Number of rows.
    pub rows: usize,
    /// Position of the first row.
    pub position: u32,
}

impl Run {
    /// Position of the last row.
    pub fn last(&self) -> u32 {
        self.position + self.rows as u32 - 1
    }
}

/// The sequences of a step in the order of their rows.
///
/// # Errors
/// Rows of a sequence do not follow each other.
pub fn runs(step: &Step<'_>) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for (row, (sequence, position)) in step.sequences.iter().zip(step.positions).enumerate() {
        let at = u32::try_from(*position);
        let position = at.map_err(|_| Fault::caller(format!("position {position}: a number from 0 on expected")))?;
        match runs.iter_mut().find(|r| r.sequence == *sequence) {
            None => runs.push(Run { sequence: *sequence, first: row, rows: 1, position }),
            Some(run) if run.first + run.rows == row && position == run.last() + 1 => run.rows += 1,
            Some(_) => return Err(Fault::caller(format!("row {row}: rows of a sequence do not follow each other"))),
        }
    }
    Ok(runs)
}

/// The values of an operand, a row each.
#[derive(Clone, Copy)]
struct Table<'a> {
    values: &'a [f32],
    width: usize,
    /// The same values for each row.
    same: bool,
}

impl Table<'_> {
    fn at(&self, row: usize, i: usize) -> f64 {
        f64::from(self.values[if self.same { i } else { row * self.width + i }])
    }
}

/// Rows of the result, and what each sequence carries on.
pub(super) fn recur(rule: &Rule, inputs: &[Operand<'_>], step: &Step<'_>) -> Result<Vec<Array>> {
    let (Some(width), Some(outputs)) = (rule.width(), rule.outputs()) else {
        return Err(Fault::bug("a state beyond 2^32 values"));
    };
    let (width, outputs) = (width as usize, outputs as usize);
    let Some((Operand::State(state), inputs)) = inputs.split_last() else {
        return Err(Fault::bug("a recurrence without its state"));
    };
    let tables = inputs.iter().map(|o| table(*o)).collect::<Result<Vec<_>>>()?;
    let runs = runs(step)?;
    let rows = step.positions.len();
    check(rule, &tables, rows)?;
    let (mut y, mut after) = (vec![0.0; rows * outputs], Vec::with_capacity(runs.len() * width));
    for run in &runs {
        let mut held = vec![0f32; width];
        if let Some(before) = run.position.checked_sub(1) {
            state.row(run.sequence, before, &mut held)?;
        }
        let mut held: Vec<f64> = held.into_iter().map(f64::from).collect();
        for row in run.first..run.first + run.rows {
            let y = &mut y[row * outputs..(row + 1) * outputs];
            match rule {
                Rule::Conv { channels, taps } => conv(*channels as usize, *taps as usize, &tables, row, &mut held, y),
                Rule::Scan(s) => scan(s, &tables, row, &mut held, y),
                Rule::Delta(d) => delta(d, &tables, row, &mut held, y),
                Rule::Wkv4 { channels, log } => wkv4(*channels as usize, *log, &tables, row, &mut held, y),
                Rule::Wkv { heads, dim } => wkv(*heads as usize, *dim as usize, &tables, row, &mut held, y),
            }
        }
        after.extend(held.into_iter().map(|v| v as f32));
    }
    Ok(vec![Array::floats([rows, outputs], y)?, Array::floats([runs.len(), width], after)?])
}

fn table(operand: Operand<'_>) -> Result<Table<'_>> {
    let view = operand.values()?;
    Ok(Table { values: view.floats()?, width: view.width(), same: view.shape().len() == 1 })
}

/// Whether there are as many values as the rule reads.
fn check(rule: &Rule, tables: &[Table<'_>], rows: usize) -> Result<()> {
    let by = |a: u32, b: u32| a as usize * b as usize;
    let widths: Vec<usize> = match rule {
        Rule::Conv { channels, taps } => vec![*channels as usize, by(*channels, *taps), *channels as usize],
        Rule::Scan(s) => {
            let (row, shared) = (by(s.heads, s.head_dim), by(s.groups, s.size));
            let a = by(s.heads, if s.full { s.size } else { 1 }) + s.heads as usize;
            vec![row, s.heads as usize, shared, shared, a]
        }
        Rule::Delta(d) => {
            let keys = by(d.key_heads, d.key_dim);
            vec![keys, keys, by(d.heads, d.value_dim), d.heads as usize, d.heads as usize]
        }
        Rule::Wkv4 { channels, .. } => vec![*channels as usize, *channels as usize, by(2, *channels)],
        Rule::Wkv { heads, dim } => vec![by(*heads, *dim); 5],
    };
    let fits =
        |(t, width): (&Table<'_>, &usize)| t.width == *width && t.values.len() >= width * if t.same { 1 } else { rows };
    match tables.iter().zip(&widths).all(fits) {
        true => Ok(()),
        false => Err(Fault::bug(format!("{rule:?}: operands of {widths:?} values expected"))),
    }
}

fn conv(channels: usize, taps: usize, tables: &[Table<'_>], row: usize, held: &mut [f64], y: &mut [f32]) {
    let (x, weight) = (&tables[0], &tables[1]);
    for (c, y) in y.iter_mut().enumerate() {
        let before: f64 = (0..taps - 1).map(|j| weight.at(0, c * taps + j) * held[j * channels + c]).sum();
        let bias = tables.get(2).map_or(0.0, |b| b.at(0, c));
        *y = (before + weight.at(0, c * taps + taps - 1) * x.at(row, c) + bias) as f32;
    }
    if taps > 1 {
        held.copy_within(channels.., 0);
        let last = (taps - 2) * channels;
        (0..channels).for_each(|c| held[last + c] = x.at(row, c));
    }
}

fn scan(s: &Scan, tables: &[Table<'_>], row: usize, held: &mut [f64], y: &mut [f32]) {
    let [x, dt, b, c, a] = [&tables[0], &tables[1], &tables[2], &tables[3], &tables[4]];
    let (heads, dim, size) = (s.heads as usize, s.head_dim as usize, s.size as usize);
    let skip = if s.full { heads * size } else { heads };
    for (j, y) in y.iter_mut().enumerate() {
        let head = j / dim;
        let shared = head / (heads / s.groups as usize) * size;
        let (x, step) = (x.at(row, j), dt.at(row, head));
        let mut sum = 0.0;
        for (i, h) in held[j * size..(j + 1) * size].iter_mut().enumerate() {
            let a = a.at(0, if s.full { head * size + i } else { head });
            let a = if s.log { -a.exp() } else { a };
            *h = *h * (step * a).exp() + step * x * b.at(row, shared + i);
            sum += *h * c.at(row, shared + i);
        }
        *y = (sum + a.at(0, skip + head) * x) as f32;
    }
}

fn delta(d: &Delta, tables: &[Table<'_>], row: usize, held: &mut [f64], y: &mut [f32]) {
    let [q, k, v, decay, beta] = [&tables[0], &tables[1], &tables[2], &tables[3], &tables[4]];
    let (keys, values) = (d.key_dim as usize, d.value_dim as usize);
    for (j, y) in y.iter_mut().enumerate() {
        let head = j / values;
        let key = d.key_head(head as u32) as usize * keys;
        let column = &mut held[j * keys..(j + 1) * keys];
        let keep = decay.at(row, head).exp();
        column.iter_mut().for_each(|s| *s *= keep);
        let known: f64 = column.iter().enumerate().map(|(i, s)| s * k.at(row, key + i)).sum();
        let new = beta.at(row, head) * (v.at(row, j) - known);
        column.iter_mut().enumerate().for_each(|(i, s)| *s += k.at(row, key + i) * new);
        *y = column.iter().enumerate().map(|(i, s)| s * q.at(row, key + i)).sum::<f64>() as f32;
    }
}

fn wkv4(channels: usize, log: bool, tables: &[Table<'_>], row: usize, held: &mut [f64], y: &mut [f32]) {
    let [k, v, u] = [&tables[0], &tables[1], &tables[2]];
    let (above, rest) = held.split_at_mut(channels);
    let (below, largest) = rest.split_at_mut(channels);
    for (c, y) in y.iter_mut().enumerate() {
        let (k, v) = (k.at(row, c), v.at(row, c));
        // Nothing came before where the denominator is zero: the exponent of zero is then below all others.
        let e = if below[c] == 0.0 { f64::NEG_INFINITY } else { largest[c] };
        let bonus = u.at(0, channels + c) + k;
        let top = e.max(bonus);
        let (old, new) = ((e - top).exp(), (bonus - top).exp());
        *y = ((old * above[c] + new * v) / (old * below[c] + new)) as f32;
        let w = u.at(0, c);
        let decayed = e + if log { -w.exp() } else { w };
        let top = decayed.max(k);
        let (old, new) = ((decayed - top).exp(), (k - top).exp());
        above[c] = old * above[c] + new * v;
        below[c] = old * below[c] + new;
        largest[c] = top;
    }
}

fn wkv(heads: usize, dim: usize, tables: &[Table<'_>], row: usize, held: &mut [f64], y: &mut [f32]) {
    let [r, k, v, w, u] = [&tables[0], &tables[1], &tables[2], &tables[3], &tables[4]];
    for (j, y) in y.iter_mut().enumerate().take(heads * dim) {
        let head = j / dim * dim;
        let v = v.at(row, j);
        let mut sum = 0.0;
        for (i, s) in held[j * dim..(j + 1) * dim].iter_mut().enumerate() {
            let i = head + i;
            let new = k.at(row, i) * v;
            sum += r.at(row, i) * (*s + u.at(0, i) * new);
            *s = *s * w.at(row, i) + new;
        }
        *y = sum as f32;
    }
}

#[cfg(test)]
mod tests;
