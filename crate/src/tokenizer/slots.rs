//! Open addressing for tables that are built once and asked often: texts, and pairs of ids.
//!
//! The items stay with their owner; a slot holds part of an item's hash and its number, so that
//! most questions about absent items end at the slot. Hashes are quick, not secret: a table whose
//! items were chosen to collide is built again with another seed, and refused in the end.

use super::limits;
use crate::fault::{Fault, Result};

/// Odd, with bits all over (the golden ratio).
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
/// Seeds that are tried; items that collide under one do not under another.
const SEEDS: u64 = 8;

/// Spreads all bits of a number over all bits.
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(FACTOR);
    let x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

/// A hash of bytes.
pub(super) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ (bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        state ^= state >> 29;
    }
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    mix(state ^ last)
}

/// What a slot holds of its item.
#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    /// The item's number and one; 0 where there is none.
    item: u32,
}

/// The slots of a table, half of them free.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// To be used for hashes of what is looked for.
    pub seed: u64,
}

impl Slots {
    /// Slots of items 0 to `count`; of equal items the last is found. Says which earlier one each later one hides.
    ///
    /// # Errors
    /// The items collide under every seed.
    pub(super) fn new(
        count: usize,
        hash: &dyn Fn(u32, u64) -> u64,
        is_same: &dyn Fn(u32, u32) -> bool,
        hidden: &mut dyn FnMut(u32),
    ) -> Result<Self> {
        for nth in 1..=SEEDS {
            let mut table = Self {
                slots: vec![Slot { tag: 0, item: 0 }; (count * 2).next_power_of_two()],
                seed: nth.wrapping_mul(FACTOR),
            };
            let mut hides = Vec::new();
            // Half full, a search takes two steps or so.
            let mut steps = limits::PROBES + limits::PROBES_PER_ITEM * count;
            let is_built = (0..count as u32).all(|item| {
                let hash = hash(item, table.seed);
                let mut at = hash as usize;
                loop {
                    let mask = table.slots.len() - 1;
                    let slot = &mut table.slots[at & mask];
                    let (tag, before) = ((hash >> 32) as u32, slot.item);
                    if before == 0 || (slot.tag == tag && is_same(before - 1, item)) {
                        *slot = Slot { tag, item: item + 1 };
                        hides.extend(before.checked_sub(1));
                        return true;
                    }
                    steps = steps.saturating_sub(1);
                    if steps == 0 {
                        return false;
                    }
                    at += 1;
                }
            });
            if is_built {
                hides.into_iter().for_each(hidden);
                return Ok(table);
            }
        }
        Err(Fault::limit("the vocabulary's entries were chosen to slow every search among them down"))
    }

    /// The item with this hash that is the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let tag = (hash >> 32) as u32;
        let mut at = hash as usize;
        loop {
            let slot = self.slots[at & mask];
            let item = slot.item.checked_sub(1)?;
            if slot.tag == tag && is_it(item) {
                return Some(item);
            }
            at += 1;
        }
    }
}

/// Texts with their ids.
#[derive(Debug)]
pub(super) struct TextIds {
    /// All texts, one after the other.
    text: Box<[u8]>,
    /// Where each ends, and its id.
    entries: Box<[(u32, u32)]>,
    /// Texts that were given twice.
    duplicates: usize,
    slots: Slots,
}

impl TextIds {
    /// Of equal texts the last is found.
    pub(super) fn new<'a>(tokens: impl Iterator<Item = (&'a [u8], u32)>) -> Result<Self> {
        let (mut text, mut entries) = (Vec::new(), Vec::new());
        for (token, id) in tokens {
            text.extend_from_slice(token);
            let end =
                u32::try_from(text.len()).map_err(|_| Fault::limit("the vocabulary has more than 4 GiB of text"))?;
            entries.push((end, id));
        }
        let of = |item: u32| part(&text, &entries, item);
        let mut duplicates = 0;
        let hash = |item: u32, seed: u64| hash(of(item), seed);
        let slots = Slots::new(entries.len(), &hash, &|a, b| of(a) == of(b), &mut |_| duplicates += 1)?;
        Ok(Self { text: text.into(), entries: entries.into(), duplicates, slots })
    }

    /// The id of a text.
    #[inline]
    pub(super) fn get(&self, text: &[u8]) -> Option<u32> {
        let found = self.slots.find(hash(text, self.slots.seed), |item| part(&self.text, &self.entries, item) == text);
        found.map(|item| self.entries[item as usize].1)
    }

    /// Texts with their ids, as given.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.entries.iter().zip(0..).map(|((_, id), item)| (part(&self.text, &self.entries, item), *id))
    }

    /// How many different texts there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.duplicates
    }
}

fn part<'a>(text: &'a [u8], entries: &[(u32, u32)], item: u32) -> &'a [u8] {
    let start = item.checked_sub(1).map_or(0, |before| entries[before as usize].0);
    &text[start as usize..entries[item as usize].0 as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_of_equal_ones_the_last() {
        let texts: Vec<String> = (0..5000).map(|n| format!("{}{n}", "▁".repeat(n % 7))).collect();
        let again = texts.iter().take(3);
        let ids = TextIds::new(texts.iter().chain(again).map(|text| text.as_bytes()).zip(0..)).unwrap();
        for (text, nth) in texts.iter().zip(0..) {
            assert_eq!(ids.get(text.as_bytes()), Some(if nth < 3 { 5000 + nth } else { nth }), "{text}");
        }
        assert_eq!((ids.get(b"absent"), ids.get(b"")), (None, None));
        assert_eq!(TextIds::new(std::iter::empty()).unwrap().get(b"a"), None);
    }

    #[test]
    fn items_that_collide_under_one_seed_are_told_apart_under_another_and_under_none_refused() {
        let count = 4000;
        let first = FACTOR;
        let bad = |item: u32, seed: u64| if seed == first { 7 } else { mix(u64::from(item) ^ seed) };
        let slots = Slots::new(count, &bad, &|a, b| a == b, &mut |_| {}).unwrap();
        assert_ne!(slots.seed, first);
        assert_eq!(slots.find(bad(3999, slots.seed), |item| item == 3999), Some(3999));
        let fault = Slots::new(count, &|_, _| 7, &|a, b| a == b, &mut |_| {}).err().unwrap();
        assert!(fault.what.contains("slow"), "{fault}");
    }
}
