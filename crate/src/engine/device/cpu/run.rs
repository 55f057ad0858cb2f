//! One step of a program on the CPU: operands to places, places to the code that runs.

use std::rc::Rc;

use super::{
    CpuDevice,
    batch::{self, Batch, StateRows},
    buffer::{CpuBuffer, Rows},
    choose,
    fast::{Fast, Matrix, Seen},
    plain,
};
use crate::{
    engine::program::{BufferId, BufferKind, Operand, Step, View, Want},
    fault::{Fault, Result},
    ir::{Attention, Fused, Input, Link, Op, Rope, Sizes},
};

/// What a run of a plan reads besides the buffers.
pub(super) struct Run {
    pub(super) batch: Batch,
    pub(super) sizes: Sizes,
    /// Cosine and sine of each row's position, by rotation; made when first asked for.
    turns: Vec<Option<Rc<[f32]>>>,
}

impl CpuDevice {
    /// Runs the plan once.
    pub(super) fn run(&mut self, want: Want) -> Result<()> {
        let program = Rc::clone(&self.program);
        let batch = Batch::read(self.buffer(program.batch)?.words()?)?;
        let layout = program.layout;
        if batch.rows == 0 || batch.rows > layout.rows as usize || batch.outputs > layout.outputs as usize {
            return Err(Fault::bug(format!("a step of {} rows and {} results", batch.rows, batch.outputs)));
        }
        let sizes = Sizes { rows: batch.rows as u32, outputs: batch.outputs as u32, context: program.context };
        let mut run = Run { batch, sizes, turns: vec![None; program.rotations.len()] };
        for step in program.plan(want) {
            self.step(&mut run, step).map_err(|f| Fault { what: format!("{}: {}", step.label, f.what), ..f })?;
            self.counters.dispatches += 1;
        }
        Ok(())
    }

    fn step(&mut self, run: &mut Run, step: &Step) -> Result<()> {
        match step.op {
            Op::Sample { .. } => return self.sample(run, step),
            Op::Advance => return self.advance(run, step),
            Op::StateWrite(_) => return self.state_write(run, &step.inputs[0], &step.outputs[0]),
            _ => {}
        }
        // Taken out while it runs: it borrows no buffer, and the buffers no kernel.
        match self.fast.take() {
            Some(mut fast) => {
                let result = self.fast_step(&mut fast, run, step);
                self.fast = Some(fast);
                if result? { Ok(()) } else { plain::step(self, run, step) }
            }
            None => plain::step(self, run, step),
        }
    }

    /// Runs a step by vectorised code; false where there is none for it.
    fn fast_step(&mut self, fast: &mut Fast, run: &mut Run, step: &Step) -> Result<bool> {
        let (inputs, sizes) = (&step.inputs, run.sizes);
        let y = match &step.outputs[0] {
            Operand::View(view) => self.rows(view, &sizes)?,
            _ => return Ok(false),
        };
        if y.rows == 0 {
            return Ok(true);
        }
        match &step.op {
            Op::Embed => {
                let ids = self.ids(run, &inputs[1])?;
                for matrix in self.matrices(&inputs[0])? {
                    fast.embed(&matrix, &ids, &y)?;
                }
            }
            Op::Linear => {
                let x = self.activation(&inputs[0], &sizes)?;
                self.linear(fast, &x, &inputs[1], inputs.get(2), &y, false)?;
            }
            Op::Fused(Fused::LinearAdd) => {
                let x = self.activation(&inputs[1], &sizes)?;
                self.linear(fast, &x, &inputs[2], inputs.get(3), &y, true)?;
            }
            Op::Fused(Fused::GatedLinear(f)) => {
                let x = self.activation(&inputs[0], &sizes)?;
                let links = [Link::Unary(*f), Link::Binary(crate::ir::Binary::Mul, 1)];
                let this: &Self = self;
                fast.gated(&links, &y, |fast, both| this.linear(fast, &x, &inputs[1], inputs.get(2), both, false))?;
            }
            Op::RmsNorm { eps, group } => {
                let x = self.activation(&inputs[0], &sizes)?;
                fast.rms_norm(*eps, *group as usize, &x, self.vector(&inputs[1])?, &y)?;
            }
            Op::LayerNorm { eps } => {
                let x = self.activation(&inputs[0], &sizes)?;
                let bias = inputs.get(2).map(|b| self.vector(b)).transpose()?;
                fast.layer_norm(*eps, &x, self.vector(&inputs[1])?, bias, &y)?;
            }
            Op::Unary(f) => self.chain(fast, &[Link::Unary(*f)], inputs, &y, &sizes)?,
            Op::Binary(f) if self.is_shaped_as(&inputs[0], &y, &sizes)? => {
                self.chain(fast, &[Link::Binary(*f, 1)], inputs, &y, &sizes)?;
            }
            Op::Fused(Fused::Chain(links)) if self.is_shaped_as(&inputs[0], &y, &sizes)? => {
                self.chain(fast, links, inputs, &y, &sizes)?;
            }
            Op::Rope(rope) => {
                let turns = self.turns(run, rope)?;
                fast.rope(rope, &turns, &y)?;
            }
            Op::Fused(Fused::RopeWrite { rope, q, k, v, .. }) => {
                let turns = self.turns(run, rope)?;
                let all = self.activation(&inputs[0], &sizes)?;
                let [q, k, v] = [*q as usize, *k as usize, *v as usize];
                let (keys, values) = (all.columns(q, k)?, all.columns(q + k, v)?);
                fast.rope(rope, &turns, &all.columns(0, q)?)?;
                fast.rope(rope, &turns, &keys)?;
                self.remember(run, &keys, &step.outputs[1])?;
                self.remember(run, &values, &step.outputs[2])?;
            }
            Op::Attention(a) => self.attention(fast, run, a, step, &y)?,
            Op::ExpertLinear(spec) => self.expert_linear(fast, run, spec, inputs, &y)?,
            Op::ExpertSum => {
                let (x, weights) = (self.activation(&inputs[0], &sizes)?, self.activation(&inputs[1], &sizes)?);
                super::experts::sum(&x, &weights, &y)?;
            }
            // Side by side in rows; others by their meaning.
            Op::Concat { axis } if Some(*axis + 1) == rank(&step.outputs[0]) => {
                let mut at = 0;
                for input in inputs {
                    let x = self.activation(input, &sizes)?;
                    copy_rows(&x, Some, &y.columns(at, x.width)?)?;
                    at += x.width;
                }
            }
            Op::Recur(recur) => self.recur(fast, run, &recur.rule, step, &y)?,
            Op::Gather => {
                let x = self.activation(&inputs[0], &sizes)?;
                let ids = self.ids(run, &inputs[1])?;
                copy_rows(&x, |t| ids.get(t).map(|id| *id as usize), &y)?;
            }
            Op::Slice { axis, start: 0, len } if self.is_whole(&inputs[0], *axis, *len) => {
                let x = self.activation(&inputs[0], &sizes)?;
                copy_rows(&x, Some, &y)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The rows of a view.
    pub(super) fn rows(&mut self, view: &View, sizes: &Sizes) -> Result<Rows> {
        self.buffer_mut(view.buffer)?.rows(view, sizes)
    }

    /// The rows of an operand that is an activation, a vector or a constant.
    pub(super) fn activation(&mut self, operand: &Operand, sizes: &Sizes) -> Result<Rows> {
        match operand {
            Operand::View(view) => self.rows(view, sizes),
            other => Err(Fault::bug(format!("values expected, {other:?} found"))),
        }
    }

    /// The values of a vector.
    pub(super) fn vector(&self, operand: &Operand) -> Result<&[f32]> {
        let Operand::View(view) = operand else { return Err(Fault::bug("a vector expected")) };
        let values = batch::floats(self.buffer(view.buffer)?)?;
        values.get(view.offset as usize..).ok_or_else(|| Fault::bug("a vector behind its buffer"))
    }

    fn is_whole(&self, operand: &Operand, axis: usize, len: u32) -> bool {
        matches!(operand, Operand::View(v) if axis + 1 == v.fact.shape.len() && v.fact.width() == Some(len))
    }

    /// Whether an operand has as many rows and columns as `y`: a chain begins with such a value.
    fn is_shaped_as(&mut self, operand: &Operand, y: &Rows, sizes: &Sizes) -> Result<bool> {
        let x = self.activation(operand, sizes)?;
        Ok((x.rows, x.width) == (y.rows, y.width))
    }

    /// The matrix's buffers.
    pub(super) fn matrices(&self, operand: &Operand) -> Result<Vec<Matrix<'_>>> {
        let Operand::Matrix { parts, .. } = operand else {
            return Err(Fault::bug(format!("a weight matrix expected, {operand:?} found")));
        };
        let matrix = |part: &crate::engine::program::Part| match self.buffer(part.buffer)? {
            CpuBuffer::Weight { encoding, rows, row_len, row_bytes, bytes } => Ok(Matrix {
                encoding: *encoding,
                rows: *rows,
                row_len: *row_len,
                row_bytes: *row_bytes,
                bytes,
                first_row: part.first_row as usize,
            }),
            CpuBuffer::Words(_) => Err(Fault::bug("a weight in a buffer of words")),
        };
        parts.iter().map(matrix).collect()
    }

    /// Ids: an array of the batch, or computed ones.
    pub(super) fn ids(&self, run: &Run, operand: &Operand) -> Result<Vec<u32>> {
        match operand {
            Operand::Input(Input::Tokens) => Ok(run.batch.tokens.clone()),
            Operand::Input(Input::Positions) => Ok(run.batch.positions.clone()),
            Operand::Input(Input::Outputs) => Ok(run.batch.wanted.clone()),
            Operand::Input(Input::Types) => Ok(run.batch.types.clone()),
            Operand::View(view) => {
                let words = self.buffer(view.buffer)?.words()?;
                let len = view.fact.resolve(&run.sizes).iter().product::<usize>();
                let ids = words.get(view.offset as usize..view.offset as usize + len);
                ids.map(<[u32]>::to_vec).ok_or_else(|| Fault::bug("ids behind their buffer"))
            }
            other => Err(Fault::bug(format!("ids expected, {other:?} found"))),
        }
    }

    fn linear(
        &self,
        fast: &mut Fast,
        x: &Rows,
        weight: &Operand,
        bias: Option<&Operand>,
        y: &Rows,
        accumulate: bool,
    ) -> Result<()> {
        for matrix in self.matrices(weight)? {
            fast.linear(&matrix, x, y, accumulate)?;
        }
        match bias {
            Some(bias) => fast.add_bias(self.vector(bias)?, y),
            None => Ok(()),
        }
    }

    fn chain(&mut self, fast: &Fast, links: &[Link], inputs: &[Operand], y: &Rows, sizes: &Sizes) -> Result<()> {
        let inputs = inputs.iter().map(|o| self.activation(o, sizes)).collect::<Result<Vec<_>>>()?;
        fast.chain(links, &inputs, y)
    }

    /// Cosine and sine of each row's position.
    pub(super) fn turns(&self, run: &mut Run, rope: &Rope) -> Result<Rc<[f32]>> {
        if let Some(Some(turns)) = run.turns.get(rope.rotation) {
            return Ok(Rc::clone(turns));
        }
        let (rotation, table) = self
            .program
            .rotations
            .get(rope.rotation)
            .ok_or_else(|| Fault::bug(format!("no rotation {}", rope.rotation)))?;
        let table = batch::floats(self.buffer(*table)?)?;
        let turns: Rc<[f32]> = batch::turns(table, rotation.dims as usize / 2, &run.batch.positions)?.into();
        run.turns[rope.rotation] = Some(Rc::clone(&turns));
        Ok(turns)
    }

    fn state_write(&mut self, run: &Run, x: &Operand, state: &Operand) -> Result<()> {
        let x = self.activation(x, &run.sizes)?;
        self.remember(run, &x, state)
    }

    /// Writes each row to its position of a state.
    pub(super) fn remember(&mut self, run: &Run, x: &Rows, state: &Operand) -> Result<()> {
        let (id, state) = self.state(state)?;
        if x.width != state.width || x.rows > run.batch.rows {
            return Err(Fault::bug(format!("rows of {} for a state of rows of {}", x.width, state.width)));
        }
        let words = self.buffer_mut(id)?.words_mut()?;
        for t in 0..x.rows {
            // SAFETY: `t` is one of the rows; states and activations lie in different buffers.
            state.write(words, &run.batch, t, unsafe { x.values(t) })?;
        }
        Ok(())
    }

    /// A state's buffer, and how its rows lie there.
    pub(super) fn state(&self, operand: &Operand) -> Result<(BufferId, StateRows)> {
        let Operand::State(id) = operand else {
            return Err(Fault::bug(format!("a state expected, {operand:?} found")));
        };
        match self.program.buffer(*id).kind {
            BufferKind::State { cache, width, group, .. } => {
                Ok((*id, StateRows { cache, width: width as usize, group }))
            }
            ref other => Err(Fault::bug(format!("a state expected, {other:?} found"))),
        }
    }

    fn attention(&mut self, fast: &Fast, run: &Run, a: &Attention, step: &Step, y: &Rows) -> Result<()> {
        let q = self.activation(&step.inputs[0], &run.sizes)?;
        let (k, v) = (&step.inputs[1], &step.inputs[2]);
        let bias = a.reach.and_then(|_| step.inputs.get(3)).map(|b| self.vector(b)).transpose()?.map(<[f32]>::to_vec);
        let batch = &run.batch;
        let visible = |t: usize| {
            let length = batch.lengths[batch.sequences[t] as usize];
            batch::seen(batch.positions[t], length, a.causal, a.window)
        };
        if let (Operand::View(k), Operand::View(v)) = (k, v) {
            let (k, v) = (self.rows(k, &run.sizes)?, self.rows(v, &run.sizes)?);
            let sinks = a.sinks_at().and_then(|at| step.inputs.get(at)).map(|s| self.vector(s)).transpose()?;
            let seen = (0..q.rows).map(|t| direct(batch, t, visible(t), &k, &v)).collect::<Result<Vec<_>>>()?;
            return fast.attention(a, [k.stride, v.stride], &q, &seen, bias.as_deref(), sinks, y);
        }
        let strides = [(a.kv_heads * a.head_dim) as usize, (a.kv_heads * a.value_dim) as usize];
        // What is widened for one sequence serves all its rows, which lie together.
        let mut scratch: Vec<[Vec<f32>; 2]> = Vec::new();
        let mut seen = Vec::with_capacity(q.rows);
        let mut t = 0;
        while t < q.rows {
            let sequence = batch.sequences[t];
            let end = (t..q.rows).find(|u| batch.sequences[*u] != sequence).unwrap_or(q.rows);
            let first = visible(t);
            let all = (t + 1..end).map(visible).fold(first, |a, b| a.start.min(b.start)..a.end.max(b.end));
            scratch.push([Vec::new(), Vec::new()]);
            let [ks, vs] = scratch.last_mut().ok_or_else(|| Fault::bug("no scratch"))?;
            let ((k, key_rows), (v, value_rows)) = (self.state(k)?, self.state(v)?);
            let keys = key_rows.runs(self.buffer(k)?.words()?, batch, sequence, all.clone(), ks)?;
            let values = value_rows.runs(self.buffer(v)?.words()?, batch, sequence, all.clone(), vs)?;
            for row in t..end {
                seen.push(cut(&keys, &values, all.start, visible(row), strides, batch.positions[row]));
            }
            t = end;
        }
        let sinks = a.sinks_at().and_then(|at| step.inputs.get(at)).map(|s| self.vector(s)).transpose()?;
        fast.attention(a, strides, &q, &seen, bias.as_deref(), sinks, y)
    }

    fn sample(&mut self, run: &Run, step: &Step) -> Result<()> {
        let program = Rc::clone(&self.program);
        let logits = self.activation(&step.inputs[0], &run.sizes)?;
        // SAFETY: nothing writes the logits here.
        let rows: Vec<&[f32]> = (0..logits.rows).map(|t| unsafe { logits.values(t) }).collect();
        let settings = program.sampling.ok_or_else(|| Fault::bug("a choice without settings"))?;
        let counts = program.counts.map(|c| self.buffer(c)?.words()).transpose()?;
        let chosen = choose::sample(&run.batch, self.buffer(settings)?.words()?, counts, &rows)?;
        let bad = &mut self.buffer_mut(program.batch)?.words_mut()?[crate::engine::program::batch::NONFINITE];
        *bad = bad.wrapping_add(chosen.bad);
        self.put_row(&step.outputs[0], 0, &chosen.ids)?;
        for (m, told) in chosen.told.iter().enumerate() {
            let Some((probability, alternatives)) = told else {
                self.put_row(&step.outputs[2], m, &[(-1f32).to_bits()])?;
                continue;
            };
            let ids: Vec<u32> = alternatives.iter().map(|(id, _)| *id).collect();
            let probabilities = std::iter::once(*probability).chain(alternatives.iter().map(|(_, p)| *p));
            self.put_row(&step.outputs[1], m, &ids)?;
            self.put_row(&step.outputs[2], m, &probabilities.map(f32::to_bits).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Writes the first words of a row of a view.
    fn put_row(&mut self, to: &Operand, row: usize, words: &[u32]) -> Result<()> {
        let Operand::View(to) = to else { return Err(Fault::bug("a choice that goes nowhere")) };
        let at = to.offset as usize + row * to.stride as usize;
        let place = self.buffer_mut(to.buffer)?.words_mut()?.get_mut(at..at + words.len());
        place.ok_or_else(|| Fault::bug("a choice behind its buffer"))?.copy_from_slice(words);
        Ok(())
    }

    fn advance(&mut self, run: &Run, step: &Step) -> Result<()> {
        let program = Rc::clone(&self.program);
        let ids = self.ids(run, &step.inputs[0])?;
        let (likely, probabilities) = (self.ids(run, &step.inputs[1])?, self.ids(run, &step.inputs[2])?);
        let ring_id = program.ring.ok_or_else(|| Fault::bug("a choice without a ring"))?;
        let take = |this: &mut Self, id: BufferId| -> Result<Vec<u32>> {
            Ok(std::mem::take(this.buffer_mut(id)?.words_mut()?))
        };
        let mut ring = take(self, ring_id)?;
        let mut counts = program.counts.map(|c| take(self, c)).transpose()?;
        let words = self.buffer_mut(program.batch)?.words_mut()?;
        let result = choose::advance(words, &ids, [&probabilities, &likely], &mut ring, counts.as_deref_mut());
        *self.buffer_mut(ring_id)?.words_mut()? = ring;
        if let (Some(id), Some(counts)) = (program.counts, counts) {
            *self.buffer_mut(id)?.words_mut()? = counts;
        }
        result
    }
}

/// Number of dimensions of a view.
fn rank(operand: &Operand) -> Option<usize> {
    if let Operand::View(view) = operand { Some(view.fact.shape.len()) } else { None }
}

/// The rows that one row sees of this step's own keys and values.
fn direct(batch: &Batch, t: usize, range: std::ops::Range<u32>, k: &Rows, v: &Rows) -> Result<Seen> {
    let start = batch.starts[batch.sequences[t] as usize] as usize;
    let (first, rows) = (start + range.start as usize, range.len());
    if first + rows > k.rows || first + rows > v.rows {
        return Err(Fault::bug(format!("rows {first} to {} of a step of {}", first + rows, k.rows)));
    }
    let segments = if rows == 0 {
        Vec::new()
    } else {
        // SAFETY: the rows exist.
        unsafe { vec![super::rows::Segment { k: k.row(first), v: v.row(first), rows }] }
    };
    Ok(Seen { segments, rows, distance: distance(&range, batch.positions[t]) })
}

/// From a row's own position to the first that it sees.
fn distance(range: &std::ops::Range<u32>, own: u32) -> i64 {
    i64::from(range.start) - i64::from(own)
}

/// Positions `range` of runs that begin at position `start`.
fn cut(
    keys: &[(*const f32, usize)],
    values: &[(*const f32, usize)],
    start: u32,
    range: std::ops::Range<u32>,
    strides: [usize; 2],
    own: u32,
) -> Seen {
    // Most sequences lie in one piece.
    if let ([(k, _)], [(v, _)]) = (keys, values) {
        let (from, rows) = ((range.start - start) as usize, range.len());
        let (k, v) = (k.wrapping_add(from * strides[0]), v.wrapping_add(from * strides[1]));
        return Seen { segments: vec![super::rows::Segment { k, v, rows }], rows, distance: distance(&range, own) };
    }
    let clip = |runs: &[(*const f32, usize)], stride: usize| {
        let (mut skip, mut left) = ((range.start - start) as usize, range.len());
        let mut out = Vec::with_capacity(runs.len());
        for (at, rows) in runs {
            let from = skip.min(*rows);
            let n = (*rows - from).min(left);
            if n > 0 {
                out.push((at.wrapping_add(from * stride), n));
            }
            (skip, left) = (skip - from, left - n);
        }
        out
    };
    let (keys, values) = (clip(keys, strides[0]), clip(values, strides[1]));
    let distance = distance(&range, own);
    Seen { segments: batch::segments(&keys, &values, strides), rows: range.len(), distance }
}

/// `y[t] = x[from(t)]`.
fn copy_rows(x: &Rows, from: impl Fn(usize) -> Option<usize>, y: &Rows) -> Result<()> {
    if x.width != y.width {
        return Err(Fault::bug(format!("rows of {} into rows of {}", x.width, y.width)));
    }
    for t in 0..y.rows {
        let row = from(t).filter(|r| *r < x.rows).ok_or_else(|| Fault::bug(format!("row {t} of {} rows", x.rows)))?;
        if x.is(y) && row == t {
            continue;
        }
        // SAFETY: both rows exist; a copy goes to a buffer of its own, or to the same place, which was left out.
        unsafe { std::ptr::copy(x.row(row), y.row(t), x.width) };
    }
    Ok(())
}
