//! Weights that lie otherwise in their files: matrices one behind the other to be transposed, and MXFP4 in two tensors.

use std::ops::Range;

use super::{Files, PIECE, TRANSPOSED_MOST, Tensor, WeightLoad, runs, together};
use crate::{
    engine::device::Device,
    fault::{Fault, Result},
    ir::{Source, Stack},
    tensor::Encoding,
};

/// Where rows go.
pub(super) struct Target<'a> {
    pub(super) load: &'a WeightLoad,
    pub(super) to_row: u32,
    pub(super) device: &'a mut dyn Device,
    pub(super) on_bytes: &'a mut dyn FnMut(u64),
}

impl Target<'_> {
    /// Sends whole rows of `row` bytes.
    pub(super) fn send(&mut self, rows: &[u8], row: usize) -> Result<()> {
        self.device.upload(self.load.buffer, self.to_row, rows)?;
        self.to_row += (rows.len() / row.max(1)) as u32;
        (self.on_bytes)(rows.len() as u64);
        Ok(())
    }
}

/// Outputs `wanted` of matrices `[inputs, outputs]`: columns become rows. Values in blocks become f32.
pub(super) async fn stacked(
    files: Files<'_>,
    source: &Source,
    stack: &Stack,
    wanted: Range<u32>,
    mut to: Target<'_>,
) -> Result<()> {
    let tensor = Tensor::of(files, source.tensor)?;
    let (name, encoding) = (&tensor.entry.name, tensor.entry.encoding);
    let row = tensor.row_bytes()?;
    let size = row.checked_mul(u64::from(stack.inputs)).filter(|n| *n <= TRANSPOSED_MOST).ok_or_else(|| {
        Fault::limit(format!("matrices of {name} are stored transposed and have more than {TRANSPOSED_MOST} bytes"))
    })?;
    let mut loaded: Option<(u32, Vec<u8>, usize)> = None;
    let (mut piece, mut row_len) = (Vec::new(), 0);
    for run in runs(source, wanted) {
        for output in run {
            let (matrix, column) = (output / stack.outputs, (output % stack.outputs) as usize);
            if loaded.as_ref().is_none_or(|(at, ..)| *at != matrix) {
                let first = u64::from(matrix) * u64::from(stack.pitch) + u64::from(stack.first);
                let bytes = tensor.read(first * row..first * row + size).await?;
                let (bytes, element) = elements(name, encoding, bytes, stack)?;
                row_len = element * stack.inputs as usize;
                loaded = Some((matrix, bytes, element));
            }
            let Some((_, bytes, element)) = &loaded else { return Err(Fault::bug("no matrix to turn")) };
            for input in bytes.chunks_exact(stack.outputs as usize * element) {
                piece.extend_from_slice(&input[column * element..(column + 1) * element]);
            }
            if piece.len() as u64 >= PIECE {
                to.send(&piece, row_len)?;
                piece.clear();
            }
        }
    }
    to.send(&piece, row_len)
}

/// The values of a matrix, and the bytes of each.
fn elements(name: &str, encoding: Encoding, bytes: Vec<u8>, stack: &Stack) -> Result<(Vec<u8>, usize)> {
    let spec = encoding
        .spec()
        .ok_or_else(|| Fault::unsupported(format!("{name} is in {encoding}, which cannot be decoded")))?;
    if spec.block_len == 1 {
        return Ok((bytes, spec.block_bytes as usize));
    }
    let decode =
        spec.decode.ok_or_else(|| Fault::unsupported(format!("{name} is in {encoding}, which cannot be decoded")))?;
    let mut values = vec![0f32; stack.inputs as usize * stack.outputs as usize];
    decode(&bytes, &mut values);
    Ok((values.iter().flat_map(|v| v.to_le_bytes()).collect(), 4))
}

/// Bytes of a block of 32 values in a folder: two to a byte, in order.
const PAIRS: usize = 16;

/// Rows `wanted` of MXFP4 whose scales lie apart, as ggml's blocks: a scale, then values j and j + 16 in a byte.
pub(super) async fn mxfp4(
    files: Files<'_>,
    source: &Source,
    scales: usize,
    wanted: Range<u32>,
    mut to: Target<'_>,
) -> Result<()> {
    let (blocks, scales) = (Tensor::of(files, source.tensor)?, Tensor::of(files, scales)?);
    let per_row = scales.entry.shape.row_len();
    let row =
        usize::try_from(per_row).map_err(|_| Fault::limit(format!("rows of {} are too long", scales.entry.name)))?;
    let rows_per_piece = u32::try_from((PIECE / (per_row * PAIRS as u64).max(1)).max(1)).unwrap_or(u32::MAX);
    for group in together(&runs(source, wanted), rows_per_piece) {
        for first in group.span.clone().step_by(rows_per_piece as usize) {
            let end = group.span.end.min(first.saturating_add(rows_per_piece));
            let range = |each: u64| u64::from(first) * each..u64::from(end) * each;
            let pairs = blocks.read(range(per_row * PAIRS as u64)).await?;
            let pairs = group.picked(first..end, row * PAIRS, pairs);
            let scales = group.picked(first..end, row, scales.read(range(per_row)).await?);
            to.send(&joined(&scales, &pairs), row * (1 + PAIRS))?;
        }
    }
    Ok(())
}

/// Blocks of ggml's from scales and pairs of values.
fn joined(scales: &[u8], pairs: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(scales.len() * (1 + PAIRS));
    for (scale, pairs) in scales.iter().zip(pairs.chunks_exact(PAIRS)) {
        out.push(*scale);
        let value = |i: usize| if i % 2 == 0 { pairs[i / 2] & 15 } else { pairs[i / 2] >> 4 };
        out.extend((0..PAIRS).map(|j| value(j) | value(j + PAIRS) << 4));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_order_become_halves_of_a_block() {
        // Values 0 to 15, twice: transformers (`integrations/mxfp4.py`) takes the low half of a byte first.
        let pairs: Vec<u8> = (0..32u8).step_by(2).map(|i| (i % 16) | (((i + 1) % 16) << 4)).collect();
        let block = joined(&[127], &pairs);
        let mut values = [0f32; 32];
        Encoding::MXFP4.spec().and_then(|s| s.decode).unwrap()(&block, &mut values);
        let e2m1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];
        assert_eq!(values[..16], e2m1);
        assert_eq!(values[16..], e2m1);
    }
}
