//! What characters are to the rules that split text: letters, numbers, white space, ...
//!
//! ASCII is a table; all else is asked of the regex engine that runs the other rules, a page of
//! 256 characters at a time, so that both always agree.

use std::sync::{LazyLock, OnceLock};

use fancy_regex::Regex;

/// `\p{L}`.
pub(super) const LETTER: u8 = 1;
/// `\p{N}`.
pub(super) const NUMBER: u8 = 2;
/// `\s`.
pub(super) const SPACE: u8 = 4;
/// `\p{M}`.
pub(super) const MARK: u8 = 8;
/// `\p{P}`.
pub(super) const PUNCTUATION: u8 = 16;
/// Of categories Cc, Cf or Co.
pub(super) const CONTROL: u8 = 32;
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`.
pub(super) const CAPITAL: u8 = 64;
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`.
pub(super) const SMALL: u8 = 128;

const PATTERNS: [(u8, &str); 8] = [
    (LETTER, r"\p{L}+"),
    (NUMBER, r"\p{N}+"),
    (SPACE, r"\s+"),
    (MARK, r"\p{M}+"),
    (PUNCTUATION, r"\p{P}+"),
    (CONTROL, r"[\p{Cc}\p{Cf}\p{Co}]+"),
    (CAPITAL, r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"),
    (SMALL, r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"),
];

const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' => LETTER | CAPITAL,
            b'a'..=b'z' => LETTER | SMALL,
            b'0'..=b'9' => NUMBER,
            b' ' => SPACE,
            b'\t'..=b'\r' => SPACE | CONTROL,
            0..=0x1F | 0x7F => CONTROL,
            b'$' | b'+' | b'<'..=b'>' | b'^' | b'`' | b'|' | b'~' => 0,
            _ => PUNCTUATION,
        };
        byte += 1;
    }
    table
};

type Page = [u8; 256];

static REGEXES: LazyLock<Vec<(u8, Regex)>> = LazyLock::new(|| {
    PATTERNS.iter().filter_map(|(class, pattern)| Some((*class, Regex::new(pattern).ok()?))).collect()
});
static PAGES: LazyLock<Vec<OnceLock<Box<Page>>>> =
    LazyLock::new(|| std::iter::repeat_with(OnceLock::new).take(0x11_0000 / 256).collect());

/// The classes that a character is in.
#[inline]
pub(super) fn of(c: char) -> u8 {
    let code = c as usize;
    match ASCII.get(code) {
        Some(classes) => *classes,
        None => PAGES[code / 256].get_or_init(|| page(code as u32 & !0xFF))[code % 256],
    }
}

/// The character at a byte of a text, and where it ends; a space at and beyond the text's end is none.
#[inline]
pub(super) fn at(text: &str, at: usize) -> Option<(char, usize)> {
    let byte = *text.as_bytes().get(at)?;
    if byte < 128 {
        return Some((char::from(byte), at + 1));
    }
    let c = text.get(at..)?.chars().next()?;
    Some((c, at + c.len_utf8()))
}

fn page(first: u32) -> Box<Page> {
    let mut page = Box::new([0; 256]);
    let (mut text, mut places) = (String::new(), Vec::new());
    for c in (first..first + 256).filter_map(char::from_u32) {
        text.push(c);
        places.resize(text.len(), c as usize % 256);
    }
    for (class, regex) in REGEXES.iter() {
        for found in regex.find_iter(&text).map_while(Result::ok) {
            for place in &places[found.start()..found.end()] {
                page[*place] |= class;
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_what_the_regex_engine_says() {
        for (class, pattern) in PATTERNS {
            let regex = Regex::new(pattern).unwrap();
            for c in (0..=0x10_FFFF).step_by(7).chain(0..0x500).filter_map(char::from_u32) {
                let says = regex.is_match(c.encode_utf8(&mut [0; 4])).unwrap();
                assert_eq!(of(c) & class != 0, says, "{c:?} {pattern}");
            }
        }
    }
}
