//! The values of a weight in the order in which the forward pass reads them, piece by piece, whatever form they are stored in.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    ir::{Source, Stored, Weight},
    session::{Inspection, TensorValues},
    tensor::Encoding,
};

/// Values of a piece: what is in memory of each side at a time, unless a single row or head is larger.
const PIECE: u64 = 1 << 20;
/// A span of rows is read as a whole where it is at most this many times what is wanted of it.
const SPREAD: u64 = 4;

/// An order of rows (or of values within a row) that one side has and the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Within each head, values that rotate together lie side by side; here they come as halves.
    Halves {
        /// Rows of a head.
        head: u64,
        /// How many of them are rotated.
        dims: u64,
    },
    /// From `first` on, blocks of `block` come in turn of their groups; here all of a group come together.
    Grouped {
        /// Where the blocks begin.
        first: u64,
        /// Rows of a block.
        block: u64,
        /// Groups.
        groups: u64,
        /// Blocks of a group.
        each: u64,
    },
}

impl Order {
    /// Where the row lies that is to come at `row`.
    fn place(self, row: u64) -> u64 {
        match self {
            Self::Halves { head, dims } => {
                let (start, within) = (row / head * head, row % head);
                let half = dims / 2;
                match within {
                    n if n >= dims => row,
                    n if n < half => start + 2 * n,
                    n => start + 2 * (n - half) + 1,
                }
            }
            Self::Grouped { first, block, groups, each } => {
                let Some(behind) = row.checked_sub(first) else { return row };
                let (nth, within) = (behind / block, behind % block);
                if nth >= groups * each {
                    return row;
                }
                let (group, of_group) = (nth / each, nth % each);
                first + (of_group * groups + group) * block + within
            }
        }
    }
    /// Rows whose places lie among themselves.
    fn unit(self) -> u64 {
        match self {
            Self::Halves { head, .. } => head,
            Self::Grouped { .. } => 1,
        }
    }
}

/// What makes a side's values those of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Rows lie in this order.
    pub(super) rows: Option<Order>,
    /// Values of a row lie in this order.
    pub(super) columns: Option<Order>,
    /// What is stored is the logarithm of the value's negative.
    pub(super) log: bool,
}

/// Values one after the other.
pub(super) enum Stream<'a> {
    /// A tensor's, as it lies.
    Flat(TensorValues<'a>),
    /// A weight's.
    Rows(Rows<'a>),
}

/// A weight's rows.
pub(super) struct Rows<'a> {
    parts: Vec<Part<'a>>,
    /// Values of a row: 1 of a vector.
    row_len: u64,
    rows: u64,
    turn: Turn,
}

struct Part<'a> {
    source: Source,
    values: TensorValues<'a>,
    scales: Option<TensorValues<'a>>,
}

impl<'a> Stream<'a> {
    /// A tensor as it lies.
    pub(super) fn flat(inspection: &'a Inspection, tensor: usize) -> Result<Self> {
        Ok(Self::Flat(inspection.tensor_values(tensor)?))
    }
    /// A weight of a graph.
    pub(super) fn rows(inspection: &'a Inspection, weight: &Weight, turn: Turn) -> Result<Self> {
        let part = |source: &Source| {
            let scales = match source.stored {
                Stored::Mxfp4 { scales } => Some(inspection.tensor_values(scales)?),
                _ => None,
            };
            Ok(Part { source: source.clone(), values: inspection.tensor_values(source.tensor)?, scales })
        };
        let parts = weight.sources.iter().map(part).collect::<Result<Vec<_>>>()?;
        let rows = parts.iter().map(|p| u64::from(p.source.count())).sum();
        let row_len = if weight.encoding().is_some() { u64::from(weight.fact.width().unwrap_or(1)) } else { 1 };
        Ok(Self::Rows(Rows { parts, row_len, rows, turn }))
    }
    /// How many values.
    pub(super) fn elements(&self) -> u64 {
        match self {
            Self::Flat(values) => values.elements(),
            Self::Rows(rows) => rows.rows * rows.row_len,
        }
    }
    /// The encodings that the values are stored in, each once.
    pub(super) fn encodings(&self) -> Vec<Encoding> {
        let mut found: Vec<Encoding> = match self {
            Self::Flat(values) => vec![values.encoding()],
            Self::Rows(rows) => rows.parts.iter().map(|p| p.encoding()).collect(),
        };
        found.dedup();
        found
    }
    /// True where values are worked out from what is stored, so that the last bits may be others.
    pub(super) fn is_worked_out(&self) -> bool {
        match self {
            Self::Flat(_) => false,
            Self::Rows(rows) => rows.turn.log || rows.parts.iter().any(|p| p.source.plus != 0.0),
        }
    }
    /// The tensor, where its bytes are what is compared.
    pub(super) fn raw(&self) -> Option<&TensorValues<'a>> {
        match self {
            Self::Flat(values) => Some(values),
            Self::Rows(_) => None,
        }
    }
    /// Values that pieces must be whole multiples of.
    fn unit(&self) -> u64 {
        match self {
            Self::Flat(values) => values.block_len(),
            Self::Rows(rows) => rows.row_len * rows.turn.rows.map_or(1, Order::unit),
        }
    }
    /// Values `range`, which begins and ends at units.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Vec<f32>> {
        match self {
            Self::Flat(values) => values.read(range).await,
            Self::Rows(rows) => rows.read(range.start / rows.row_len..range.end / rows.row_len).await,
        }
    }
}

/// Values of a piece of two streams: whole units of both.
pub(super) fn piece(a: &Stream<'_>, b: &Stream<'_>) -> u64 {
    let (a, b) = (a.unit().max(1), b.unit().max(1));
    let common = a / gcd(a, b) * b;
    common * (PIECE / common).max(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Places that follow each other as ranges.
fn ranges(places: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for place in places {
        match ranges.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => ranges.push(place..place + 1),
        }
    }
    ranges
}

/// The range from the smallest to the largest, where it is hardly more than what is wanted of it.
fn span(places: &[u64]) -> Option<Range<u64>> {
    let (low, high) = (*places.iter().min()?, *places.iter().max()?);
    (high - low < SPREAD * places.len() as u64).then_some(low..high + 1)
}

impl Rows<'_> {
    async fn read(&self, rows: Range<u64>) -> Result<Vec<f32>> {
        let mut values = match self.turn.rows {
            None => self.stored(rows).await?,
            Some(order) => {
                let places: Vec<u64> = rows.map(|row| order.place(row)).collect();
                self.gathered(&places).await?
            }
        };
        if let Some(order) = self.turn.columns {
            for row in values.chunks_exact_mut(self.row_len.max(1) as usize) {
                let from = row.to_vec();
                for (nth, value) in row.iter_mut().enumerate() {
                    *value = from.get(order.place(nth as u64) as usize).copied().unwrap_or(f32::NAN);
                }
            }
        }
        if self.turn.log {
            values.iter_mut().for_each(|v| *v = -(f64::from(*v).exp()) as f32);
        }
        Ok(values)
    }
    /// Rows at these places, in this order.
    async fn gathered(&self, places: &[u64]) -> Result<Vec<f32>> {
        let len = self.row_len as usize;
        let mut out = Vec::with_capacity(places.len() * len);
        if let Some(span) = span(places) {
            let all = self.stored(span.clone()).await?;
            for place in places {
                let at = (place - span.start) as usize * len;
                out.extend_from_slice(all.get(at..at + len).unwrap_or_default());
            }
            return Ok(out);
        }
        for range in ranges(places.iter().copied()) {
            out.extend(self.stored(range).await?);
        }
        Ok(out)
    }
    /// Rows of the weight as its sources give them.
    async fn stored(&self, rows: Range<u64>) -> Result<Vec<f32>> {
        let mut out = Vec::with_capacity(((rows.end - rows.start) * self.row_len) as usize);
        let mut before = 0;
        for part in &self.parts {
            let count = u64::from(part.source.count());
            let from = rows.start.max(before) - before;
            let to = rows.end.min(before + count).saturating_sub(before);
            if from < to {
                part.read(from..to, self.row_len, &mut out).await?;
            }
            before += count;
        }
        Ok(out)
    }
}

impl Part<'_> {
    fn encoding(&self) -> Encoding {
        if self.scales.is_some() { Encoding::MXFP4 } else { self.values.encoding() }
    }
    /// Appends rows `wanted` of the source.
    async fn read(&self, wanted: Range<u64>, row_len: u64, out: &mut Vec<f32>) -> Result<()> {
        let source = &self.source;
        let [first, run, step] = [source.first, source.run, source.step].map(u64::from);
        let places: Vec<u64> = wanted.map(|row| first + row / run.max(1) * step + row % run.max(1)).collect();
        let start = out.len();
        match source.stored {
            Stored::ByOutput => {
                for range in ranges(places.into_iter()) {
                    out.extend(self.values.read(range.start * row_len..range.end * row_len).await?);
                }
            }
            Stored::ByInput => {
                let outputs = self.values.entry().shape.row_len();
                self.turned(&places, [0, outputs, row_len], out).await?;
            }
            Stored::Stacked(stack) => {
                let outputs = u64::from(stack.outputs).max(1);
                let mut rest = places.as_slice();
                while let Some(matrix) = rest.first().map(|place| place / outputs) {
                    let n = rest.iter().take_while(|place| **place / outputs == matrix).count();
                    let (these, after) = rest.split_at(n);
                    let columns: Vec<u64> = these.iter().map(|place| place % outputs).collect();
                    let first = matrix * u64::from(stack.pitch) + u64::from(stack.first);
                    self.turned(&columns, [first, outputs, row_len], out).await?;
                    rest = after;
                }
            }
            // What is compared are tensors, none of which holds these values.
            Stored::Packed => return Err(Fault::unsupported("weights in several tensors cannot be compared yet")),
            Stored::Mxfp4 { .. } => {
                for range in ranges(places.into_iter()) {
                    self.packed(range, row_len, out).await?;
                }
            }
        }
        if source.plus != 0.0 {
            out.iter_mut().skip(start).for_each(|v| *v += source.plus);
        }
        Ok(())
    }
    /// Appends columns of the matrix whose rows begin at `first`, each as a row of `inputs` values.
    async fn turned(&self, columns: &[u64], [first, outputs, inputs]: [u64; 3], out: &mut Vec<f32>) -> Result<()> {
        let groups: Vec<(Range<u64>, &[u64])> = match span(columns) {
            Some(span) => vec![(span, columns)],
            None => columns.chunks(1).map(|one| (one[0]..one[0] + 1, one)).collect(),
        };
        for (span, columns) in groups {
            let width = (span.end - span.start) as usize;
            let whole = span.start == 0 && span.end == outputs;
            let block = match whole {
                true => self.values.read(first * outputs..(first + inputs) * outputs).await?,
                false => {
                    let mut block = Vec::with_capacity(width * inputs as usize);
                    for input in first..first + inputs {
                        let at = input * outputs;
                        block.extend(self.values.read(at + span.start..at + span.end).await?);
                    }
                    block
                }
            };
            for column in columns {
                let at = (column - span.start) as usize;
                out.extend(block.chunks_exact(width).map(|row| row[at]));
            }
        }
        Ok(())
    }
    /// Appends rows of MXFP4 whose scales lie apart: blocks of ggml's are put together and decoded.
    async fn packed(&self, rows: Range<u64>, row_len: u64, out: &mut Vec<f32>) -> Result<()> {
        let scales = self.scales.as_ref().ok_or_else(|| Fault::bug("MXFP4 without scales"))?;
        let decode = Encoding::MXFP4.spec().and_then(|s| s.decode).ok_or_else(|| Fault::bug("MXFP4 has a decoder"))?;
        let per_row = row_len / BLOCK;
        let scales = scales.bytes(rows.start * per_row..rows.end * per_row).await?;
        let pairs = per_row * BLOCK / 2;
        let pairs = self.values.bytes(rows.start * pairs..rows.end * pairs).await?;
        let mut blocks = Vec::with_capacity(scales.len() + pairs.len());
        for (scale, pairs) in scales.iter().zip(pairs.chunks_exact(BLOCK as usize / 2)) {
            let value = |i: usize| if i % 2 == 0 { pairs[i / 2] & 15 } else { pairs[i / 2] >> 4 };
            blocks.push(*scale);
            blocks.extend((0..BLOCK as usize / 2).map(|i| value(i) | value(i + BLOCK as usize / 2) << 4));
        }
        let start = out.len();
        out.resize(start + scales.len() * BLOCK as usize, 0.0);
        decode(&blocks, &mut out[start..]);
        Ok(())
    }
}

/// Values of a block of MXFP4.
const BLOCK: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_side_by_side_come_as_halves() {
        let order = Order::Halves { head: 6, dims: 4 };
        let places: Vec<u64> = (0..12).map(|row| order.place(row)).collect();
        assert_eq!(places, [0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11]);
    }

    #[test]
    fn heads_in_turn_come_by_their_groups() {
        let order = Order::Grouped { first: 2, block: 2, groups: 2, each: 2 };
        let places: Vec<u64> = (0..12).map(|row| order.place(row)).collect();
        assert_eq!(places, [0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 11]);
    }

    #[test]
    fn places_are_read_as_ranges_or_as_one_span() {
        assert_eq!(ranges([3, 4, 5, 9, 1].into_iter()), [3..6, 9..10, 1..2]);
        assert_eq!(span(&[4, 2, 6]), Some(2..7));
        assert_eq!(span(&[0, 100]), None);
    }
}
