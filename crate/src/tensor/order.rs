//! Byte order: big-endian payloads turned little.

use super::{Encoding, quant::Words};

/// Reverses every multi-byte number inside each whole block, so that a big-endian payload becomes little endian.
///
/// Byte fields, quants for the most part, stay where they are, as ggml's layout has it. Doing it twice
/// changes nothing. An encoding without a table row is left alone: nothing could decode it anyway.
pub fn swap_to_little(encoding: Encoding, bytes: &mut [u8]) {
    let Some(spec) = encoding.spec() else { return };
    for block in bytes.chunks_exact_mut(spec.block_bytes as usize) {
        for words in spec.words {
            swap(*words, block);
        }
    }
}

fn swap(words: Words, block: &mut [u8]) {
    let run = block.get_mut(words.at..words.at + words.width * words.count).unwrap_or_default();
    run.chunks_exact_mut(words.width).for_each(<[u8]>::reverse);
}
