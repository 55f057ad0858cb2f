//! Linear maps by chosen experts: the rows of a step are grouped by expert, so that each expert's weights are read once.

use super::{
    CpuDevice,
    buffer::Rows,
    fast::{Fast, Matrix},
    run::Run,
};
use crate::{
    engine::program::Operand,
    fault::{Fault, Result},
    ir::ExpertLinear,
};

impl CpuDevice {
    /// `y[slot] = rows of the slot's expert times its x (+ bias)`; a slot is one choice of one row.
    pub(super) fn expert_linear(
        &mut self,
        fast: &mut Fast,
        run: &Run,
        spec: &ExpertLinear,
        inputs: &[Operand],
        y: &Rows,
    ) -> Result<()> {
        let x = self.activation(&inputs[0], &run.sizes)?;
        let (experts, n) = (spec.experts as usize, y.width);
        let ids = match spec.routed {
            true => self.ids(run, &inputs[2])?,
            false => (0..y.rows).map(|slot| (slot % experts) as u32).collect(),
        };
        if x.rows == 0 || y.rows % x.rows != 0 || ids.len() < y.rows {
            return Err(Fault::bug(format!("{} choices of {} rows in {}", ids.len(), x.rows, y.rows)));
        }
        // One row of x may serve several choices.
        let shared = y.rows / x.rows;
        let mut slots: Vec<Vec<usize>> = vec![Vec::new(); experts];
        for (slot, id) in ids.iter().enumerate().take(y.rows) {
            let own = slots.get_mut(*id as usize);
            own.ok_or_else(|| Fault::bug(format!("expert {id} of {experts}")))?.push(slot);
        }
        let parts = self.matrices(&inputs[1])?;
        let mut scratch = [Vec::new(), Vec::new()];
        for (expert, slots) in slots.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
            // The slots' rows of x and y, where they lie or gathered.
            let (from, to) = match slots.as_slice() {
                [slot] => (x.only(slot / shared)?, y.only(*slot)?),
                slots => {
                    let [xs, ys] = &mut scratch;
                    xs.clear();
                    // SAFETY: the rows are x's, and nothing writes them.
                    slots.iter().for_each(|s| xs.extend_from_slice(unsafe { x.values(s / shared) }));
                    ys.resize((slots.len() * n).max(ys.len()), 0.0);
                    (Rows::new(xs, slots.len(), x.width)?, Rows::new(ys, slots.len(), n)?)
                }
            };
            for part in rows_of(&parts, expert * n..(expert + 1) * n) {
                fast.linear(&part, &from, &to, false)?;
            }
            if slots.len() > 1 {
                for (i, slot) in slots.iter().enumerate() {
                    // SAFETY: both rows hold `n` values, in different buffers.
                    unsafe { std::ptr::copy_nonoverlapping(to.row(i), y.row(*slot), n) };
                }
            }
        }
        if let Some(bias) = inputs.get(2 + usize::from(spec.routed)) {
            let bias = self.vector(bias)?;
            for (slot, id) in ids.iter().enumerate().take(y.rows) {
                let bias = bias.get(*id as usize * n..).and_then(|b| b.get(..n));
                let bias = bias.ok_or_else(|| Fault::bug("a bias without all experts"))?;
                // SAFETY: the row holds `n` values.
                unsafe { bias.iter().enumerate().for_each(|(i, b)| *y.row(slot).add(i) += b) };
            }
        }
        Ok(())
    }
}

/// Rows `wanted` of a matrix in several buffers, numbered from the first wanted one.
fn rows_of<'a>(parts: &'a [Matrix<'a>], wanted: std::ops::Range<usize>) -> impl Iterator<Item = Matrix<'a>> {
    parts.iter().filter_map(move |part| {
        let from = wanted.start.max(part.first_row);
        let to = wanted.end.min(part.first_row + part.rows);
        let bytes = part.bytes.get(from.checked_sub(part.first_row)? * part.row_bytes..)?;
        let rows = to.checked_sub(from).filter(|n| *n > 0)?;
        Some(Matrix { rows, bytes: bytes.get(..rows * part.row_bytes)?, first_row: from - wanted.start, ..*part })
    })
}

/// `y[t] = sum over s of weights[t, s] * x[t * used + s]`.
pub(super) fn sum(x: &Rows, weights: &Rows, y: &Rows) -> Result<()> {
    let used = weights.width;
    if weights.rows != y.rows || x.rows != y.rows * used || x.width != y.width {
        return Err(Fault::bug(format!("{} rows of {} weighted by {} of {used}", x.rows, x.width, weights.rows)));
    }
    for t in 0..y.rows {
        // SAFETY: row `t` of the weights, its rows of x and row `t` of y hold as many values; y lies in a buffer of its own.
        unsafe {
            let out = std::slice::from_raw_parts_mut(y.row(t), y.width);
            out.fill(0.0);
            for (s, weight) in weights.values(t).iter().enumerate() {
                out.iter_mut().zip(x.values(t * used + s)).for_each(|(y, x)| *y += weight * x);
            }
        }
    }
    Ok(())
}
