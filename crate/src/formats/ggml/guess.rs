//! What has no version or no size of its own is recognised by its numbers.

use super::layouts::Layout;
use super::vad;
use crate::fault::Fault;
use crate::source::{Cursor, Stop, Window};

pub(super) fn whisper_size(values: &[u32]) -> &'static str {
    match values.get(4) {
        Some(4) => "tiny",
        Some(6) => "base",
        Some(12) => "small",
        Some(24) => "medium",
        Some(32) => "large",
        _ => "a size of its own",
    }
}

/// The layout behind the magic that six programs share: numbers that must repeat tell them apart.
pub(super) fn unversioned(file: &Window, start: u64) -> Result<Layout, Stop> {
    if vad::read(file, start)?.is_some() {
        return Ok(Layout::Vad);
    }
    let have = (file.len() - start).min(76) / 4;
    let mut cursor = Cursor::new(file, start, false);
    let mut n = Vec::new();
    for _ in 0..have {
        n.push(cursor.u32()?);
    }
    let at = |i: usize| n.get(i).copied();
    let bins = |i: usize| at(i).is_some_and(|bins| (1..=8192).contains(&bins));
    if at(9).is_some() && at(9) == at(11) && bins(12) && at(9) > Some(0) {
        return Ok(Layout::Whisper);
    }
    if at(5).is_some() && at(5) == at(15) && bins(16) && at(5) > Some(0) {
        return Ok(Layout::Parakeet);
    }
    if at(6).is_some() && at(0) == at(6) {
        return Ok(Layout::Gpt2);
    }
    // Filters without bins, which no program writes on purpose: the other numbers must be those of such a model.
    let sized = |i: usize, most: u32| at(i).is_some_and(|v| v > 0 && v <= most);
    if at(9) == at(11) && at(12) == Some(0) && [1, 2, 3, 4, 5, 6, 7, 8, 9].into_iter().all(|i| sized(i, 1 << 16)) {
        return Ok(Layout::Whisper);
    }
    let shaped = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12].into_iter().all(|i| sized(i, 1 << 16));
    if at(5) == at(15) && at(16) == Some(0) && shaped && at(13).is_some_and(|n| n <= 1 << 10) {
        return Ok(Layout::Parakeet);
    }
    // Seven numbers, then the first token's length.
    let plausible = |i: usize, most: u32| at(i).is_some_and(|v| v > 0 && v <= most);
    if plausible(0, 1 << 20)
        && plausible(1, 1 << 16)
        && plausible(3, 1 << 10)
        && plausible(4, 1 << 10)
        && at(7) <= Some(256)
    {
        return Ok(Layout::Llama);
    }
    let what = "the layouts of llama.cpp, whisper.cpp (speech, voice activity), parakeet and gpt-2 were tried; the numbers fit none of them";
    Err(Fault::unsupported(what).at(start).in_file(file.name()).into())
}
