//! Recurrences: each value of a result has a part of the state to itself, and threads share them out.

use super::{
    CpuDevice,
    batch::Batch,
    buffer::Rows,
    columns::{Along, Column, DeltaColumn, ScanColumn, WkvColumn},
    fast::{Fast, Shared},
    run::Run,
};
use crate::{
    engine::program::{BufferId, BufferKind, CHECKPOINTS, Operand, Step},
    fault::{Fault, Result},
    ir::{
        Delta, Rule, Scan,
        eval::{self, Remembered},
    },
};

/// Channels of a convolution that are worked on together.
const BLOCK: usize = 16;

/// How what sequences carry lies in its buffer.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) sequences: usize,
    /// Values of one state.
    pub(super) width: usize,
}

impl Held {
    /// Where the state of a sequence lies after a position.
    fn at(&self, sequence: u32, position: u32) -> Result<usize> {
        let sequence = sequence as usize;
        if sequence >= self.sequences {
            return Err(Fault::bug(format!("sequence {sequence} of {}", self.sequences)));
        }
        Ok((sequence * CHECKPOINTS as usize + (position % CHECKPOINTS) as usize) * self.width)
    }
}

/// A buffer of carried states, as what sequences remember.
pub(super) struct Carried<'a> {
    pub(super) held: Held,
    pub(super) words: &'a [u32],
}

impl Remembered for Carried<'_> {
    fn row(&self, sequence: i32, position: u32, out: &mut [f32]) -> Result<()> {
        let sequence = u32::try_from(sequence).map_err(|_| Fault::bug("a sequence below 0"))?;
        let at = self.held.at(sequence, position)?;
        let words = self.words.get(at..at + self.held.width).filter(|w| w.len() == out.len());
        let words = words.ok_or_else(|| Fault::bug("a carried state beyond its buffer"))?;
        out.iter_mut().zip(words).for_each(|(v, word)| *v = f32::from_bits(*word));
        Ok(())
    }
}

impl Batch {
    /// The sequences of the step and their rows.
    pub(super) fn runs(&self) -> Result<Vec<eval::Run>> {
        let ints = |values: &[u32]| values.iter().map(|v| *v as i32).collect::<Vec<_>>();
        let (positions, sequences) = (ints(&self.positions), ints(&self.sequences));
        eval::runs(&eval::Step { positions: &positions, sequences: &sequences, ..eval::Step::default() })
    }
}

impl CpuDevice {
    /// The buffer of a carried state; `None` where the operand is another.
    pub(super) fn held(&self, operand: &Operand) -> Option<(BufferId, Held)> {
        let Operand::State(id) = operand else { return None };
        match self.program.buffer(*id).kind {
            BufferKind::Carried { sequences, width, .. } => {
                Some((*id, Held { sequences: sequences as usize, width: width as usize }))
            }
            _ => None,
        }
    }

    /// Writes what each sequence of the step carries on.
    pub(super) fn carry(&mut self, run: &Run, operand: &Operand, values: &[f32]) -> Result<()> {
        let (id, held) = self.held(operand).ok_or_else(|| Fault::bug("a carried state expected"))?;
        let words = self.buffer_mut(id)?.words_mut()?;
        for (values, run) in values.chunks_exact(held.width.max(1)).zip(run.batch.runs()?) {
            let at = held.at(run.sequence as u32, run.last())?;
            let to = words.get_mut(at..at + held.width).ok_or_else(|| Fault::bug("a state beyond its buffer"))?;
            to.iter_mut().zip(values).for_each(|(word, v)| *word = v.to_bits());
        }
        Ok(())
    }

    /// Runs a recurrence.
    pub(super) fn recur(&mut self, fast: &Fast, run: &Run, rule: &Rule, step: &Step, y: &Rows) -> Result<()> {
        let Some((state, inputs)) = step.inputs.split_last() else { return Err(Fault::bug("no state")) };
        let (id, held) = self.held(state).ok_or_else(|| Fault::bug("a carried state expected"))?;
        let inputs = inputs.iter().map(|i| self.activation(i, &run.sizes)).collect::<Result<Vec<_>>>()?;
        let words = self.buffer_mut(id)?.words_mut()?;
        check(rule, &inputs, y, held, words.len())?;
        let runs = run.batch.runs()?;
        let mut parts = Vec::with_capacity(runs.len());
        for run in &runs {
            if run.first + run.rows > y.rows {
                return Err(Fault::bug("a sequence with more rows than the step"));
            }
            let after = held.at(run.sequence as u32, run.last())?;
            let before = run.position.checked_sub(1).map(|p| held.at(run.sequence as u32, p)).transpose()?;
            // What is carried on is made where it will lie.
            match before {
                Some(before) => words.copy_within(before..before + held.width, after),
                None => words[after..after + held.width].fill(0),
            }
            // SAFETY: the state lies in its buffer.
            let state = Shared(unsafe { words.as_mut_ptr().cast::<f32>().add(after) });
            parts.push(Part { first: run.first, rows: run.rows, state });
        }
        fast.recur(rule, &inputs, &parts, y);
        Ok(())
    }
}

/// The rows of one sequence, and its state.
#[derive(Clone, Copy)]
pub(super) struct Part {
    first: usize,
    rows: usize,
    state: Shared,
}

/// Whether operands hold what the rule reads.
fn check(rule: &Rule, inputs: &[Rows], y: &Rows, held: Held, words: usize) -> Result<()> {
    let by = |a: u32, b: u32| a as usize * b as usize;
    let row = y.width;
    // Widths of rows; of vectors, which are one row, all values.
    let (rows, vectors) = match rule {
        Rule::Conv { taps, .. } => (vec![row], vec![row * *taps as usize, row]),
        Rule::Scan(s) => {
            let shared = by(s.groups, s.size);
            let a = by(s.heads, if s.full { s.size } else { 1 }) + s.heads as usize;
            (vec![row, s.heads as usize, shared, shared], vec![a])
        }
        Rule::Delta(d) => {
            let keys = by(d.key_heads, d.key_dim);
            (vec![keys, keys, row, d.heads as usize, d.heads as usize], vec![])
        }
        Rule::Wkv4 { .. } => (vec![row, row], vec![2 * row]),
        Rule::Wkv { .. } => (vec![row; 3], vec![row; 2]),
    };
    let enough = inputs.len() >= rows.len() && inputs.len() <= rows.len() + vectors.len();
    let fits = inputs.iter().zip(rows.iter().chain(&vectors)).all(|(i, width)| i.width == *width);
    let whole = inputs.iter().take(rows.len()).all(|i| i.rows >= y.rows) && inputs.iter().all(|i| i.rows > 0);
    let state = rule.width().map(|w| w as usize) == Some(held.width)
        && held.width * held.sequences * CHECKPOINTS as usize <= words;
    match enough && fits && whole && state && rule.outputs().map(|n| n as usize) == Some(row) {
        true => Ok(()),
        false => Err(Fault::bug(format!("operands that do not fit {rule:?}"))),
    }
}

/// A value of each row of a part, the first one's column given.
///
/// # Safety
/// The part's rows and the column exist.
unsafe fn along(rows: &Rows, part: &Part, column: usize) -> Along {
    // SAFETY: as the caller's.
    Along { at: unsafe { rows.row(part.first).add(column) }, stride: rows.stride }
}

impl Fast {
    fn recur(&self, rule: &Rule, inputs: &[Rows], parts: &[Part], y: &Rows) {
        let rows = parts.iter().map(|p| p.rows).max().unwrap_or(0);
        match rule {
            Rule::Conv { taps, .. } => {
                let blocks = y.width.div_ceil(BLOCK);
                self.split(parts.len() * blocks, rows * BLOCK * *taps as usize, &|items, _| {
                    for item in items {
                        // SAFETY: `check` has held the operands against the rule; a block is this task's alone.
                        unsafe { conv(*taps as usize, inputs, &parts[item / blocks], item % blocks * BLOCK, y) };
                    }
                });
            }
            Rule::Wkv4 { log, .. } => self.split(parts.len() * y.width, rows * 64, &|items, _| {
                for item in items {
                    // SAFETY: as above, of one channel.
                    unsafe { wkv4(*log, inputs, &parts[item / y.width], item % y.width, y) };
                }
            }),
            Rule::Scan(s) => self.split(parts.len() * y.width, rows * 4 * s.size as usize, &|items, own| {
                for item in items {
                    // SAFETY: as above, of one column.
                    unsafe { self.scan(s, inputs, &parts[item / y.width], item % y.width, y, &mut own.row) };
                }
            }),
            Rule::Delta(d) => self.split(parts.len() * y.width, rows * 4 * d.key_dim as usize, &|items, _| {
                for item in items {
                    // SAFETY: as above.
                    unsafe { self.delta(d, inputs, &parts[item / y.width], item % y.width, y) };
                }
            }),
            Rule::Wkv { dim, .. } => self.split(parts.len() * y.width, rows * 4 * *dim as usize, &|items, _| {
                for item in items {
                    // SAFETY: as above.
                    unsafe { self.wkv(*dim as usize, inputs, &parts[item / y.width], item % y.width, y) };
                }
            }),
        }
    }

    /// # Safety
    /// Operands fit the rule; nothing else uses the column.
    unsafe fn scan(&self, s: &Scan, inputs: &[Rows], part: &Part, j: usize, y: &Rows, rates: &mut Vec<f32>) {
        let (size, head) = (s.size as usize, j / s.head_dim as usize);
        let shared = head / (s.heads / s.groups) as usize * size;
        // SAFETY: as the caller's; the vector's one row exists.
        unsafe {
            let a = inputs[4].values(0);
            let (first, n) = if s.full { (head * size, size) } else { (head, 1) };
            rates.clear();
            rates.extend(a[first..first + n].iter().map(|a| if s.log { -a.exp() } else { *a }));
            (self.kernels.scan)(&ScanColumn {
                column: column(part, j, size, y),
                x: along(&inputs[0], part, j),
                dt: along(&inputs[1], part, head),
                b: along(&inputs[2], part, shared),
                c: along(&inputs[3], part, shared),
                rate: rates.as_ptr(),
                full: s.full,
                skip: a[s.heads as usize * if s.full { size } else { 1 } + head],
            });
        }
    }

    /// # Safety
    /// As [`Fast::scan`].
    unsafe fn delta(&self, d: &Delta, inputs: &[Rows], part: &Part, j: usize, y: &Rows) {
        let (size, head) = (d.key_dim as usize, j / d.value_dim as usize);
        let key = d.key_head(head as u32) as usize * size;
        // SAFETY: as the caller's.
        unsafe {
            (self.kernels.delta)(&DeltaColumn {
                column: column(part, j, size, y),
                q: along(&inputs[0], part, key),
                k: along(&inputs[1], part, key),
                v: along(&inputs[2], part, j),
                decay: along(&inputs[3], part, head),
                beta: along(&inputs[4], part, head),
            });
        }
    }

    /// # Safety
    /// As [`Fast::scan`].
    unsafe fn wkv(&self, dim: usize, inputs: &[Rows], part: &Part, j: usize, y: &Rows) {
        let head = j / dim * dim;
        // SAFETY: as the caller's; a vector's one row serves all rows.
        unsafe {
            let w = match inputs[3].rows < y.rows || inputs[3].rows == 1 {
                true => Along { at: inputs[3].row(0).add(head), stride: 0 },
                false => along(&inputs[3], part, head),
            };
            (self.kernels.wkv)(&WkvColumn {
                column: column(part, j, dim, y),
                r: along(&inputs[0], part, head),
                k: along(&inputs[1], part, head),
                v: along(&inputs[2], part, j),
                w,
                u: inputs[4].row(0).add(head),
            });
        }
    }
}

/// # Safety
/// The part's rows and the column exist.
unsafe fn column(part: &Part, j: usize, size: usize, y: &Rows) -> Column {
    // SAFETY: as the caller's.
    unsafe {
        Column {
            state: part.state.0.add(j * size),
            size,
            rows: part.rows,
            y: y.row(part.first).add(j),
            y_stride: y.stride,
        }
    }
}

/// A block of channels from `first` on.
///
/// # Safety
/// Operands fit the rule; nothing else uses the channels.
unsafe fn conv(taps: usize, inputs: &[Rows], part: &Part, first: usize, y: &Rows) {
    let channels = y.width;
    let n = BLOCK.min(channels - first);
    // SAFETY: as the caller's; all channels are below `channels`.
    unsafe {
        let weight = inputs[1].values(0);
        let bias = inputs.get(2).map(|b| b.values(0));
        let state = |j: usize| part.state.0.add(j * channels + first);
        for t in part.first..part.first + part.rows {
            let x = inputs[0].row(t).add(first);
            let mut sums = [0f32; BLOCK];
            for (c, sum) in sums.iter_mut().enumerate().take(n) {
                let weight = &weight[(first + c) * taps..][..taps];
                *sum = bias.map_or(0.0, |b| b[first + c]) + weight[taps - 1] * *x.add(c);
                for (j, w) in weight[..taps - 1].iter().enumerate() {
                    *sum += w * *state(j).add(c);
                }
            }
            for j in 1..taps - 1 {
                std::ptr::copy_nonoverlapping(state(j), state(j - 1), n);
            }
            if taps > 1 {
                std::ptr::copy_nonoverlapping(x, state(taps - 2), n);
            }
            std::ptr::copy_nonoverlapping(sums.as_ptr(), y.row(t).add(first), n);
        }
    }
}

/// One channel.
///
/// # Safety
/// Operands fit the rule; nothing else uses the channel.
unsafe fn wkv4(log: bool, inputs: &[Rows], part: &Part, c: usize, y: &Rows) {
    let channels = y.width;
    // SAFETY: as the caller's.
    unsafe {
        let u = inputs[2].values(0);
        let (w, bonus) = (if log { -u[c].exp() } else { u[c] }, u[channels + c]);
        let [above, below, largest] = [0, 1, 2].map(|i| part.state.0.add(i * channels + c));
        for t in part.first..part.first + part.rows {
            let (k, v) = (*inputs[0].row(t).add(c), *inputs[1].row(t).add(c));
            // Nothing came before where the denominator is zero.
            let e = if *below == 0.0 { f32::NEG_INFINITY } else { *largest };
            let top = e.max(bonus + k);
            let (old, new) = ((e - top).exp(), (bonus + k - top).exp());
            *y.row(t).add(c) = (old * *above + new * v) / (old * *below + new);
            let top = (e + w).max(k);
            let (old, new) = ((e + w - top).exp(), (k - top).exp());
            *above = old * *above + new * v;
            *below = old * *below + new;
            *largest = top;
        }
    }
}
