//! The step's inputs as the CPU reads them, and the rows that sequences remember.

use super::{buffer::CpuBuffer, rows::Segment};
use crate::{
    engine::program::{CacheType, PAGE_ROWS, TABLE_STEP, batch},
    fault::{Fault, Result},
    tensor::float,
};

/// A copy of the batch buffer's arrays for one step.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: usize,
    pub(super) outputs: usize,
    pub(super) tokens: Vec<u32>,
    pub(super) positions: Vec<u32>,
    pub(super) sequences: Vec<u32>,
    pub(super) types: Vec<u32>,
    pub(super) wanted: Vec<u32>,
    pub(super) lengths: Vec<u32>,
    pub(super) starts: Vec<u32>,
    pages: Vec<u32>,
    pages_each: usize,
}

impl Batch {
    /// Reads the arrays.
    ///
    /// # Errors
    /// Counts beyond the arrays; a row of a sequence, or a wanted row, that does not exist.
    pub(super) fn read(words: &[u32]) -> Result<Self> {
        let header = words.get(..batch::HEADER).ok_or_else(|| Fault::bug("a batch buffer without header"))?;
        let (rows, outputs) = (header[batch::ROWS] as usize, header[batch::OUTPUTS] as usize);
        let sequences = header[batch::SEQUENCES] as usize;
        let array = |at: usize, len: usize| {
            let from = header[at] as usize;
            let values = from.checked_add(len).and_then(|end| words.get(from..end));
            values.map(<[u32]>::to_vec).ok_or_else(|| Fault::bug(format!("{len} values of a batch's array at {from}")))
        };
        let this = Self {
            rows,
            outputs,
            tokens: array(batch::TOKENS_AT, rows)?,
            positions: array(batch::POSITIONS_AT, rows)?,
            sequences: array(batch::SEQUENCES_AT, rows)?,
            types: array(batch::TYPES_AT, rows)?,
            wanted: array(batch::OUTPUTS_AT, outputs)?,
            lengths: array(batch::LENGTHS_AT, sequences)?,
            starts: array(batch::STARTS_AT, sequences)?,
            pages: words[header[batch::PAGES_AT] as usize..].to_vec(),
            pages_each: header[batch::PAGES] as usize,
        };
        if this.sequences.iter().any(|s| *s as usize >= sequences) || this.wanted.iter().any(|r| *r as usize >= rows) {
            return Err(Fault::bug("a batch with a row or a sequence that it does not have"));
        }
        Ok(this)
    }

    /// The page of a run of positions.
    fn page(&self, group: u32, sequence: u32, run: usize) -> Result<usize> {
        let at = (group as usize * self.lengths.len() + sequence as usize) * self.pages_each + run;
        match self.pages.get(at) {
            Some(page) if run < self.pages_each => Ok(*page as usize),
            _ => Err(Fault::bug(format!("position {} of a sequence has no page", run * PAGE_ROWS as usize))),
        }
    }

    /// The row of a state that holds a position.
    fn state_row(&self, group: u32, sequence: u32, position: u32) -> Result<usize> {
        let page = self.page(group, sequence, (position / PAGE_ROWS) as usize)?;
        Ok(page * PAGE_ROWS as usize + (position % PAGE_ROWS) as usize)
    }
}

/// Which positions a row at `position` sees of a sequence of `length`.
pub(super) fn seen(position: u32, length: u32, causal: bool, window: Option<u32>) -> std::ops::Range<u32> {
    let from = window.map_or(0, |w| (position + 1).saturating_sub(w));
    let to = match (causal, window) {
        (true, _) => position + 1,
        (false, None) => length,
        (false, Some(w)) => length.min(position.saturating_add(w)),
    };
    from..to.max(from)
}

/// How the rows of a state lie in its buffer.
#[derive(Clone, Copy)]
pub(super) struct StateRows {
    pub(super) cache: CacheType,
    pub(super) width: usize,
    pub(super) group: u32,
}

impl StateRows {
    fn row_words(&self) -> usize {
        self.cache.row_words(self.width as u32) as usize
    }

    fn row_range(&self, words: &[u32], row: usize) -> Result<std::ops::Range<usize>> {
        let n = self.row_words();
        let end = row.checked_add(1).and_then(|r| r.checked_mul(n)).filter(|end| *end <= words.len());
        end.map(|end| end - n..end)
            .ok_or_else(|| Fault::bug(format!("row {row} of a state of {}", words.len() / n.max(1))))
    }

    /// The row that a sequence remembers at a position.
    pub(super) fn read(
        &self,
        words: &[u32],
        batch: &Batch,
        sequence: u32,
        position: u32,
        out: &mut [f32],
    ) -> Result<()> {
        if out.len() != self.width {
            return Err(Fault::bug(format!("{} values of a row of {}", out.len(), self.width)));
        }
        let row = batch.state_row(self.group, sequence, position)?;
        widen(self.cache, &words[self.row_range(words, row)?], out);
        Ok(())
    }

    /// Remembers a row of values at its position.
    pub(super) fn write(&self, words: &mut [u32], batch: &Batch, t: usize, values: &[f32]) -> Result<()> {
        let row = batch.state_row(self.group, batch.sequences[t], batch.positions[t])?;
        let range = self.row_range(words, row)?;
        let width = self.width;
        let words = &mut words[range];
        match self.cache {
            CacheType::F32 => bytemuck::cast_slice_mut(words).copy_from_slice(&values[..width]),
            CacheType::F16 => {
                for (word, pair) in words.iter_mut().zip(values[..width].chunks(2)) {
                    let high = pair.get(1).map_or(0, |v| u32::from(float::to_f16(*v)));
                    *word = u32::from(float::to_f16(pair[0])) | high << 16;
                }
            }
            CacheType::Q8_0 => quantize(words, &values[..width]),
        }
        Ok(())
    }

    /// Positions `range` of a sequence as rows that lie together; widened into `scratch` where they are not f32.
    pub(super) fn runs(
        &self,
        words: &[u32],
        batch: &Batch,
        sequence: u32,
        range: std::ops::Range<u32>,
        scratch: &mut Vec<f32>,
    ) -> Result<Vec<(*const f32, usize)>> {
        let mut runs: Vec<(*const f32, usize)> = Vec::new();
        if self.cache == CacheType::F32 {
            let mut next_row = usize::MAX;
            let mut position = range.start;
            while position < range.end {
                let row = batch.state_row(self.group, sequence, position)?;
                let n = (PAGE_ROWS - position % PAGE_ROWS).min(range.end - position);
                let at = self.row_range(words, row)?.start;
                self.row_range(words, row + n as usize - 1)?;
                match runs.last_mut() {
                    Some(last) if row == next_row => last.1 += n as usize,
                    _ => runs.push((words[at..].as_ptr().cast(), n as usize)),
                }
                next_row = row + n as usize;
                position += n;
            }
            return Ok(runs);
        }
        scratch.clear();
        for position in range.clone() {
            let from = scratch.len();
            scratch.resize(from + self.width, 0.0);
            self.read(words, batch, sequence, position, &mut scratch[from..])?;
        }
        if !range.is_empty() {
            runs.push((scratch.as_ptr(), range.len()));
        }
        Ok(runs)
    }
}

/// Pairs runs of keys with runs of values.
pub(super) fn segments(
    keys: &[(*const f32, usize)],
    values: &[(*const f32, usize)],
    strides: [usize; 2],
) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(keys.len());
    let (mut keys, mut values) = (keys.iter().copied(), values.iter().copied());
    let (mut k, mut v) = (keys.next(), values.next());
    while let (Some((kp, kn)), Some((vp, vn))) = (k, v) {
        let rows = kn.min(vn);
        segments.push(Segment { k: kp, v: vp, rows });
        // The remainders begin `rows` further; `wrapping_add` because a pointer behind the last row is never read.
        k = if kn > rows { Some((kp.wrapping_add(rows * strides[0]), kn - rows)) } else { keys.next() };
        v = if vn > rows { Some((vp.wrapping_add(rows * strides[1]), vn - rows)) } else { values.next() };
    }
    segments
}

/// Blocks of 32 values: `d = max |x| / 127`, `q = round(x / d)`, as ggml's Q8_0.
fn quantize(words: &mut [u32], values: &[f32]) {
    let scales_at = values.len().div_ceil(4);
    words.fill(0);
    for (i, block) in values.chunks(32).enumerate() {
        let most = block.iter().fold(0f32, |m, v| m.max(v.abs()));
        let scale = most / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        words[scales_at + i / 2] |= u32::from(float::to_f16(scale)) << (16 * (i % 2));
        for (j, value) in block.iter().enumerate() {
            let q = (value * inverse).round() as i8 as u8;
            words[(i * 32 + j) / 4] |= u32::from(q) << (8 * (j % 4));
        }
    }
}

fn widen(cache: CacheType, words: &[u32], out: &mut [f32]) {
    let scales_at = out.len().div_ceil(4);
    for (i, value) in out.iter_mut().enumerate() {
        *value = match cache {
            CacheType::F32 => f32::from_bits(words[i]),
            CacheType::F16 => float::f16((words[i / 2] >> (16 * (i % 2))) as u16),
            CacheType::Q8_0 => {
                let scale = float::f16((words[scales_at + i / 64] >> (16 * (i / 32 % 2))) as u16);
                f32::from((words[i / 4] >> (8 * (i % 4))) as u8 as i8) * scale
            }
        };
    }
}

/// Cosine and sine of each pair for each row's position, from a rotary table.
pub(super) fn turns(table: &[f32], half: usize, positions: &[u32]) -> Result<Vec<f32>> {
    let entry = |i: usize| {
        let at = i * half * 2;
        table
            .get(at..at + half * 2)
            .ok_or_else(|| Fault::bug(format!("entry {i} of a rotary table of {} values", table.len())))
    };
    let mut turns = Vec::with_capacity(positions.len() * half * 2);
    for position in positions {
        let fine = entry((position % TABLE_STEP) as usize)?;
        let coarse = entry((TABLE_STEP + position / TABLE_STEP) as usize)?;
        for (a, b) in fine.chunks_exact(2).zip(coarse.chunks_exact(2)) {
            turns.extend([a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]);
        }
    }
    Ok(turns)
}

/// The words of a buffer as f32.
pub(super) fn floats(buffer: &CpuBuffer) -> Result<&[f32]> {
    Ok(bytemuck::cast_slice(buffer.words()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_each_cache_type_to_its_precision() {
        let values: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        for (cache, tolerance) in [(CacheType::F32, 0.0), (CacheType::F16, 2e-3), (CacheType::Q8_0, 3.0 / 254.0 + 2e-3)]
        {
            let mut words = vec![0u32; cache.row_words(50) as usize * PAGE_ROWS as usize];
            let batch = Batch {
                positions: vec![3],
                sequences: vec![0],
                lengths: vec![4],
                pages: vec![0],
                pages_each: 1,
                ..Batch::default()
            };
            let state = StateRows { cache, width: 50, group: 0 };
            state.write(&mut words, &batch, 0, &values).unwrap();
            let mut scratch = Vec::new();
            let runs = state.runs(&words, &batch, 0, 3..4, &mut scratch).unwrap();
            assert_eq!(runs.len(), 1);
            // SAFETY: the run is one row of 50 values.
            let back = unsafe { std::slice::from_raw_parts(runs[0].0, 50) };
            for (a, b) in values.iter().zip(back) {
                assert!((a - b).abs() <= tolerance, "{cache:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn turns_are_as_exact_as_a_table_of_every_position() {
        let half = 4;
        let frequency = |i: usize| 10000f64.powf(-(i as f64) / 4.0);
        let mut table = Vec::new();
        let coarse = (0..600).map(|j| j * TABLE_STEP);
        for position in (0..TABLE_STEP).chain(coarse) {
            for i in 0..half {
                let (sin, cos) = (f64::from(position) * frequency(i)).sin_cos();
                table.extend([cos as f32, sin as f32]);
            }
        }
        for position in [0u32, 1, 255, 256, 70_001, 131_071] {
            let got = turns(&table, half, &[position]).unwrap();
            for i in 0..half {
                let (sin, cos) = (f64::from(position) * frequency(i)).sin_cos();
                assert!((f64::from(got[2 * i]) - cos).abs() < 3e-7, "{position} {i}");
                assert!((f64::from(got[2 * i + 1]) - sin).abs() < 3e-7, "{position} {i}");
            }
        }
    }

    #[test]
    fn a_window_counts_the_position_itself() {
        assert_eq!(seen(10, 11, true, Some(4)), 7..11);
        assert_eq!(seen(2, 3, true, Some(4)), 0..3);
        assert_eq!(seen(10, 20, false, Some(4)), 7..14);
        assert_eq!(seen(10, 20, false, None), 0..20);
    }
}
