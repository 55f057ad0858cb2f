//! The end of a step: the next token of each wanted row, and the next step's inputs.

use super::batch::Batch;
use crate::{
    engine::{
        program::{RING, TOLD_WORDS, batch, record_words, sampling},
        sampler::{Sampling, choose, penalised},
    },
    fault::{Fault, Result},
};

/// The probability of the token chosen; ids and probabilities of the likeliest.
pub(super) type Told = (f32, Vec<(u32, f32)>);

/// What was chosen for all wanted rows.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The ids, `[outputs]`.
    pub(super) ids: Vec<u32>,
    /// Of each output that asks for it.
    pub(super) told: Vec<Option<Told>>,
    /// How many logits are NaN or infinite.
    pub(super) bad: u32,
}

/// The next token of each wanted row.
///
/// Where some logits are no numbers, the likeliest of the others is taken: the host learns how many there are and stops.
pub(super) fn sample(batch: &Batch, settings: &[u32], counts: Option<&[u32]>, logits: &[&[f32]]) -> Result<Chosen> {
    let mut chosen = Chosen::default();
    for (row, logits) in batch.wanted.iter().zip(logits) {
        let sequence = batch.sequences[*row as usize] as usize;
        let words = settings.get(sequence * sampling::WORDS..).unwrap_or_default();
        let how = Sampling::from_words(words)?;
        let nonfinite = logits.iter().filter(|l| !l.is_finite()).count() as u32;
        let counts = counts.map(|c| &c[sequence * logits.len()..][..logits.len()]);
        let logits = penalised(logits, counts, &how);
        let alternatives = words[sampling::ALTERNATIVES].min(sampling::MAX_ALTERNATIVES) as usize;
        // A greedy choice needs no probabilities.
        let (id, told) = if nonfinite > 0 || (how.temperature == 0.0 && alternatives == 0) {
            (likeliest(&logits), None)
        } else {
            let position = u64::from(batch.positions[*row as usize]) + 1;
            let choice = choose(&logits, &how, position, alternatives)?;
            (choice.id, (alternatives > 0).then_some((choice.probability, choice.alternatives)))
        };
        chosen.bad += nonfinite;
        chosen.ids.push(id);
        chosen.told.push(told);
    }
    Ok(chosen)
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

/// Makes the chosen ids the next step's tokens, and keeps a record of them and of what is told of each: probabilities, then ids.
pub(super) fn advance(
    words: &mut [u32],
    ids: &[u32],
    told: [&[u32]; 2],
    ring: &mut [u32],
    mut counts: Option<&mut [u32]>,
) -> Result<()> {
    let header: [u32; batch::HEADER] = words
        .get(..batch::HEADER)
        .and_then(|h| h.try_into().ok())
        .ok_or_else(|| Fault::bug("a batch buffer without header"))?;
    let outputs = header[batch::OUTPUTS] as usize;
    let sequences = header[batch::SEQUENCES] as usize;
    let record_words = record_words(header[batch::SEQUENCES]) as usize;
    let at = (header[batch::CHOICES] % RING) as usize * record_words;
    let record = ring.get_mut(at..at + record_words).ok_or_else(|| Fault::bug("a ring that is too short"))?;
    if ids.len() < outputs || outputs > sequences {
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
        let record = &mut record[1 + sequences + m * TOLD_WORDS as usize..][..TOLD_WORDS as usize];
        let n = sampling::MAX_ALTERNATIVES as usize;
        let row = |words: &[u32], width: usize| words.get(m * width..(m + 1) * width).map(<[u32]>::to_vec);
        let (Some(probabilities), Some(likely)) = (row(told[0], 1 + n), row(told[1], n)) else {
            return Err(Fault::bug("a choice of which nothing is told"));
        };
        record[0] = probabilities[0];
        if f32::from_bits(probabilities[0]) >= 0.0 {
            record[1..=n].copy_from_slice(&probabilities[1..]);
            record[1 + n..].copy_from_slice(&likely);
        }
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
        let mut ring = vec![0; (RING * record_words(2)) as usize];
        let n = sampling::MAX_ALTERNATIVES as usize;
        let (mut probabilities, likely) = (vec![0.5f32.to_bits(); 2 * (1 + n)], vec![7; 2 * n]);
        probabilities[1 + n] = (-1f32).to_bits();
        advance(&mut words, &[30, 40], [&probabilities, &likely], &mut ring, None).unwrap();
        let next = Batch::read(&words).unwrap();
        assert_eq!((next.rows, next.outputs), (2, 2));
        assert_eq!((next.tokens, next.positions, next.sequences), (vec![30, 40], vec![2, 10], vec![1, 0]));
        assert_eq!((next.wanted, next.lengths, next.starts), (vec![0, 1], vec![11, 3], vec![1, 0]));
        assert_eq!(ring[..3], [0, 30, 40]);
        assert_eq!((ring[3], ring[3 + n], ring[4 + n]), (0.5f32.to_bits(), 0.5f32.to_bits(), 7));
        // The second sequence asked for nothing.
        assert_eq!(ring[4 + 2 * n..][..2], [(-1f32).to_bits(), 0]);
    }
}
