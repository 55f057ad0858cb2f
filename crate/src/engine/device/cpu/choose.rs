//! The end of a step: the next token of each wanted row, and the next step's inputs.

use super::batch::Batch;
use crate::{
    engine::{
        program::{RING, batch, sampling},
        sampler::{Sampling, choose, penalised},
    },
    fault::{Fault, Result},
};

/// The chosen ids of all wanted rows, and how many logits are NaN or infinite.
///
/// Where some are, the likeliest of the others is taken: the host learns the number and stops.
pub(super) fn sample(
    batch: &Batch,
    settings: &[u32],
    counts: Option<&[u32]>,
    logits: &[&[f32]],
) -> Result<(Vec<u32>, u32)> {
    let (mut ids, mut bad) = (Vec::with_capacity(logits.len()), 0);
    for (row, logits) in batch.wanted.iter().zip(logits) {
        let sequence = batch.sequences[*row as usize] as usize;
        let words = settings.get(sequence * sampling::WORDS..).unwrap_or_default();
        let how = Sampling::from_words(words)?;
        let nonfinite = logits.iter().filter(|l| !l.is_finite()).count() as u32;
        let counts = counts.map(|c| &c[sequence * logits.len()..][..logits.len()]);
        let logits = penalised(logits, counts, &how);
        // A greedy choice needs no probabilities.
        let id = if nonfinite > 0 || how.temperature == 0.0 {
            likeliest(&logits)
        } else {
            let position = u64::from(batch.positions[*row as usize]) + 1;
            choose(&logits, &how, position, 0)?.id
        };
        bad += nonfinite;
        ids.push(id);
    }
    Ok((ids, bad))
}

/// The highest finite logit, the lowest id among equals; 0 where none is finite.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0u32);
    for (id, logit) in (0u32..).zip(logits) {
        if logit.is_finite() && *logit > best.0 {
            best = (*logit, id);
        }
    }
    best.1
}

/// Makes the chosen ids the next step's tokens, and keeps a record of them.
pub(super) fn advance(words: &mut [u32], ids: &[u32], ring: &mut [u32], mut counts: Option<&mut [u32]>) -> Result<()> {
    let header: [u32; batch::HEADER] = words
        .get(..batch::HEADER)
        .and_then(|h| h.try_into().ok())
        .ok_or_else(|| Fault::bug("a batch buffer without header"))?;
    let outputs = header[batch::OUTPUTS] as usize;
    let record_words = 1 + header[batch::SEQUENCES] as usize;
    let at = (header[batch::CHOICES] % RING) as usize * record_words;
    let record = ring.get_mut(at..at + record_words).ok_or_else(|| Fault::bug("a ring that is too short"))?;
    if ids.len() < outputs || outputs >= record_words {
        return Err(Fault::bug(format!("{} choices for {outputs} wanted rows", ids.len())));
    }
    record[0] = header[batch::NONFINITE];
    let vocab = counts.as_ref().map_or(0, |c| c.len() / header[batch::SEQUENCES].max(1) as usize);
    for (m, id) in ids.iter().enumerate().take(outputs) {
        let array = |which: usize, i: usize| header[which] as usize + i;
        let row = words[array(batch::OUTPUTS_AT, m)] as usize;
        let position = words[array(batch::POSITIONS_AT, row)] + 1;
        let sequence = words[array(batch::SEQUENCES_AT, row)];
        record[1 + m] = *id;
        words[array(batch::TOKENS_AT, m)] = *id;
        words[array(batch::POSITIONS_AT, m)] = position;
        words[array(batch::SEQUENCES_AT, m)] = sequence;
        words[array(batch::OUTPUTS_AT, m)] = m as u32;
        words[array(batch::LENGTHS_AT, sequence as usize)] = position + 1;
        words[array(batch::STARTS_AT, sequence as usize)] = m as u32;
        if let Some(count) = counts.as_mut().and_then(|c| c.get_mut(sequence as usize * vocab + *id as usize)) {
            *count += 1;
        }
    }
    words[batch::ROWS] = outputs as u32;
    words[batch::NONFINITE] = 0;
    words[batch::CHOICES] = header[batch::CHOICES].wrapping_add(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::program::BatchLayout;

    #[test]
    fn the_next_step_of_two_sequences_follows_their_last_rows() {
        let layout = BatchLayout { rows: 8, outputs: 2, sequences: 2, pages: 1, groups: 1 };
        let mut words = vec![0; layout.words() as usize];
        let mut header = layout.header();
        (header[batch::ROWS], header[batch::OUTPUTS]) = (5, 2);
        words[..batch::HEADER].copy_from_slice(&header);
        let mut put = |which: usize, values: &[u32]| {
            words[header[which] as usize..][..values.len()].copy_from_slice(values);
        };
        put(batch::POSITIONS_AT, &[0, 1, 7, 8, 9]);
        put(batch::SEQUENCES_AT, &[1, 1, 0, 0, 0]);
        put(batch::OUTPUTS_AT, &[1, 4]);
        let mut ring = vec![0; RING as usize * 3];
        advance(&mut words, &[30, 40], &mut ring, None).unwrap();
        let next = Batch::read(&words).unwrap();
        assert_eq!((next.rows, next.outputs), (2, 2));
        assert_eq!((next.tokens, next.positions, next.sequences), (vec![30, 40], vec![2, 10], vec![1, 0]));
        assert_eq!((next.wanted, next.lengths, next.starts), (vec![0, 1], vec![11, 3], vec![1, 0]));
        assert_eq!(ring[..3], [0, 30, 40]);
    }
}
