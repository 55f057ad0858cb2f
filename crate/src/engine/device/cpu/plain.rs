//! Any operation by its meaning: operands are copied out of their buffers, results back.

use super::{
    CpuDevice,
    batch::{Batch, StateRows},
    buffer::Rows,
    fast::Matrix,
    recur::Carried,
    run::Run,
};
use crate::{
    engine::program::{Operand, Step, View},
    fault::{Fault, Result},
    ir::{
        DType, Fused, Op, Pairing, Rope,
        eval::{self, Array, Context, Data, Remembered},
    },
};

/// A weight matrix in several buffers, as rows.
struct Parts<'a>(Vec<Matrix<'a>>);

impl eval::Rows for Parts<'_> {
    fn shape(&self) -> [usize; 2] {
        [self.0.iter().map(|m| m.rows).sum(), self.0.first().map_or(0, |m| m.row_len)]
    }
    fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let part = self.0.iter().find(|m| (m.first_row..m.first_row + m.rows).contains(&row));
        let part = part.ok_or_else(|| Fault::caller(format!("row {row} of {} asked for", self.shape()[0])))?;
        let decode = part.encoding.spec().and_then(|s| s.decode);
        let decode = decode.ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", part.encoding)))?;
        decode(&part.bytes[(row - part.first_row) * part.row_bytes..][..part.row_bytes], out);
        Ok(())
    }
}

/// A state in its buffer, as what sequences remember.
struct Memory<'a> {
    rows: StateRows,
    words: &'a [u32],
    batch: &'a Batch,
}

impl Remembered for Memory<'_> {
    fn row(&self, sequence: i32, position: u32, out: &mut [f32]) -> Result<()> {
        let sequence = u32::try_from(sequence).map_err(|_| Fault::bug("a sequence below 0"))?;
        self.rows.read(self.words, self.batch, sequence, position, out)
    }
}

/// An operand as an operation reads it.
enum Read<'a> {
    Values(Array),
    Rows(Parts<'a>),
    State(Memory<'a>),
    Carried(Carried<'a>),
}

/// Runs one step by the meaning of its operation.
pub(super) fn step(device: &mut CpuDevice, run: &mut Run, step: &Step) -> Result<()> {
    let results = match &step.op {
        // The device knows angles as a table of turns, not as frequencies.
        Op::Rope(rope) => {
            let x = values(device, run, &step.inputs[0])?;
            vec![rotated(device, run, rope, x)?]
        }
        Op::Fused(Fused::RopeWrite { rope, q, k, v, .. }) => {
            let all = values(device, run, &step.inputs[0])?;
            let columns = |start: u32, len: u32| {
                let op = Op::Slice { axis: 1, start, len };
                eval::apply(&op, &[(&all).into()], &Context::default())?.pop().ok_or_else(|| Fault::bug("no columns"))
            };
            let (queries, keys, values) = (columns(0, *q)?, columns(*q, *k)?, columns(q + k, *v)?);
            vec![rotated(device, run, rope, queries)?, rotated(device, run, rope, keys)?, values]
        }
        op => computed(device, run, op, &step.inputs)?,
    };
    for (operand, array) in step.outputs.iter().zip(results) {
        match operand {
            Operand::View(view) => put(device, run, view, &array)?,
            Operand::State(_) if device.held(operand).is_some() => {
                let Data::F32(values) = array.data else { return Err(Fault::bug("a state of no f32 values")) };
                device.carry(run, operand, &values)?;
            }
            Operand::State(_) => {
                let Data::F32(mut values) = array.data else { return Err(Fault::bug("a state of no f32 values")) };
                let width = array.shape.last().copied().unwrap_or(1).max(1);
                let rows = Rows::new(&mut values, array.shape[0], width)?;
                device.remember(run, &rows, operand)?;
            }
            other => return Err(Fault::bug(format!("a result for {other:?}"))),
        }
    }
    Ok(())
}

fn computed(device: &mut CpuDevice, run: &Run, op: &Op, inputs: &[Operand]) -> Result<Vec<Array>> {
    // Copies first, since taking rows borrows the device for a moment; then what is borrowed for the whole call.
    let mut copies = inputs
        .iter()
        .map(|o| match o {
            Operand::View(_) | Operand::Input(_) => values(device, run, o).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    let device: &CpuDevice = device;
    let mut reads = Vec::with_capacity(inputs.len());
    for (operand, copy) in inputs.iter().zip(&mut copies) {
        reads.push(match (operand, copy.take()) {
            (_, Some(array)) => Read::Values(array),
            (Operand::State(_), _) => match device.held(operand) {
                Some((id, held)) => Read::Carried(Carried { held, words: device.buffer(id)?.words()? }),
                None => {
                    let (id, rows) = device.state(operand)?;
                    Read::State(Memory { rows, words: device.buffer(id)?.words()?, batch: &run.batch })
                }
            },
            _ => Read::Rows(Parts(device.matrices(operand)?)),
        });
    }
    let operands: Vec<eval::Operand<'_>> = reads
        .iter()
        .map(|r| match r {
            Read::Values(array) => array.into(),
            Read::Rows(parts) => eval::Operand::Rows(parts),
            Read::State(memory) => eval::Operand::State(memory),
            Read::Carried(carried) => eval::Operand::State(carried),
        })
        .collect();
    let ints = |values: &[u32]| values.iter().map(|v| *v as i32).collect::<Vec<_>>();
    let batch = &run.batch;
    let (tokens, positions) = (ints(&batch.tokens), ints(&batch.positions));
    let (sequences, outputs, types) = (ints(&batch.sequences), ints(&batch.wanted), ints(&batch.types));
    let context = Context {
        step: eval::Step {
            tokens: &tokens,
            positions: &positions,
            sequences: &sequences,
            outputs: &outputs,
            types: &types,
        },
        angles: &[],
    };
    eval::apply(op, &operands, &context)
}

/// A copy of an operand's values.
fn values(device: &mut CpuDevice, run: &Run, operand: &Operand) -> Result<Array> {
    let Operand::View(view) = operand else {
        return Ok(Array::ints(device.ids(run, operand)?.into_iter().map(|v| v as i32).collect()));
    };
    let rows = device.rows(view, &run.sizes)?;
    let shape = view.fact.resolve(&run.sizes);
    let mut out = Vec::with_capacity(rows.rows * rows.width);
    for t in 0..rows.rows {
        // SAFETY: `t` is one of the rows; nothing writes them.
        out.extend_from_slice(unsafe { rows.values(t) });
    }
    match view.fact.dtype {
        DType::F32 | DType::F16 => Array::new(shape, Data::F32(out)),
        _ => Array::new(shape, Data::I32(out.iter().map(|v| v.to_bits() as i32).collect())),
    }
}

/// Writes a result to its place.
fn put(device: &mut CpuDevice, run: &Run, view: &View, array: &Array) -> Result<()> {
    let rows = device.rows(view, &run.sizes)?;
    let words: Vec<f32> = match &array.data {
        Data::F32(values) => values.clone(),
        Data::I32(values) => values.iter().map(|v| f32::from_bits(*v as u32)).collect(),
        Data::I64(values) => values.iter().map(|v| f32::from_bits(*v as i32 as u32)).collect(),
        Data::Bool(values) => values.iter().map(|v| f32::from_bits(u32::from(*v))).collect(),
    };
    if words.len() != rows.rows * rows.width {
        return Err(Fault::bug(format!("{} values for {} rows of {}", words.len(), rows.rows, rows.width)));
    }
    for (t, row) in words.chunks_exact(rows.width.max(1)).enumerate() {
        // SAFETY: row `t` holds `width` values; the copy was made before.
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), rows.row(t), rows.width) };
    }
    Ok(())
}

/// Rotates heads by the table's turns, in f64.
fn rotated(device: &CpuDevice, run: &mut Run, rope: &Rope, mut x: Array) -> Result<Array> {
    let turns = device.turns(run, rope)?;
    let (half, head) = (rope.dims as usize / 2, rope.head_dim as usize);
    let width = x.shape.last().copied().unwrap_or(1);
    let Data::F32(values) = &mut x.data else { return Err(Fault::bug("rotated values that are not f32")) };
    for (row, turns) in values.chunks_exact_mut(width.max(1)).zip(turns.chunks_exact(half * 2)) {
        for head in row.chunks_exact_mut(head) {
            for (i, turn) in turns.chunks_exact(2).enumerate() {
                let (a, b) = match rope.pairing {
                    Pairing::Interleaved => (2 * i, 2 * i + 1),
                    Pairing::Halves => (i, i + half),
                };
                let (x, y) = (f64::from(head[a]), f64::from(head[b]));
                let (cos, sin) = (f64::from(turn[0]), f64::from(turn[1]));
                head[a] = (x * cos - y * sin) as f32;
                head[b] = (x * sin + y * cos) as f32;
            }
        }
    }
    Ok(x)
}
