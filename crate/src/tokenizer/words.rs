//! The splitting patterns of most models, written out: GPT-2's, and cl100k's with its descendants.
//!
//! The regex engine takes longer to find a piece than the model to encode it. A pattern that is
//! not written out here is run by the engine; a test compares the two over any text.

use super::classes::{self, CAPITAL, LETTER, MARK, NUMBER, SMALL, SPACE};

/// A pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    contractions: Contractions,
    shape: Shape,
}

/// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contractions {
    None,
    /// In small letters.
    Small,
    /// In either case.
    Either,
    /// ... and with U+017F, the long s, which `(?i:s)` matches.
    Folded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A space before letters, numbers or others.
    Gpt2,
    /// Any character but a line's end before letters; so many numbers; lines' ends after others and spaces.
    Cl100k { word: u8, numbers: usize },
    /// ... with words cut where small letters meet capital ones, contractions after words, and slashes after others.
    O200k { numbers: usize },
    /// Numbers alone, so many in a piece.
    Numbers { numbers: usize },
}

const CONTRACTIONS: &[(&str, Contractions)] = &[
    (r"'s|'t|'re|'ve|'m|'ll|'d|", Contractions::Small),
    (r"'(?:[sdmt]|ll|ve|re)|", Contractions::Small),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|", Contractions::Folded),
    (r"'(?i:[sdmt]|ll|ve|re)|", Contractions::Folded),
    (r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|", Contractions::Either),
];

const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|";

impl Words {
    /// The pattern as written here, if it is.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        if let Some(numbers) = numbers(pattern) {
            return Some(Self { contractions: Contractions::None, shape: Shape::Numbers { numbers } });
        }
        if let Some((count, tail)) = pattern.strip_prefix(O200K).and_then(|rest| rest.split_once('|')) {
            let numbers = numbers(count).filter(|_| tail == r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")?;
            return Some(Self { contractions: Contractions::Folded, shape: Shape::O200k { numbers } });
        }
        let (rest, contractions) = CONTRACTIONS
            .iter()
            .find_map(|(written, kind)| Some((pattern.strip_prefix(written)?, *kind)))
            .unwrap_or((pattern, Contractions::None));
        let shape = match rest {
            // What is left out at the end would match a space before a word, and only that is left over.
            r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
            | r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)" => Shape::Gpt2,
            _ => cl100k(rest)?,
        };
        Some(Self { contractions, shape })
    }

    /// Calls back with the end of every piece; together they are the whole text.
    pub(super) fn split<E>(self, text: &str, mut piece: impl FnMut(usize, usize) -> Result<(), E>) -> Result<(), E> {
        let mut at = 0;
        while at < text.len() {
            // Every rule matches something; the maximum is for the compiler's eyes.
            let end = self.next(text, at).max(at + 1);
            piece(at, end)?;
            at = end;
        }
        Ok(())
    }

    /// Where the piece that begins here ends.
    #[inline]
    fn next(self, text: &str, at: usize) -> usize {
        let Some((c, second)) = classes::at(text, at) else { return text.len() };
        let class = classes::of(c);
        match self.shape {
            Shape::Numbers { numbers } => {
                return if class & NUMBER != 0 { few(text, at, numbers) } else { until(text, at, NUMBER) };
            }
            Shape::Gpt2 => {
                if let Some(end) = self.contraction(text, at) {
                    return end;
                }
                let (start, class) = match classes::at(text, second) {
                    Some((next, _)) if c == ' ' => (second, classes::of(next)),
                    _ => (at, class),
                };
                match class & (LETTER | NUMBER | SPACE) {
                    SPACE => {}
                    0 => return until(text, start, LETTER | NUMBER | SPACE),
                    one => return run(text, start, one),
                }
                return spaces(text, at);
            }
            Shape::Cl100k { word, numbers } => {
                if let Some(end) = self.contraction(text, at) {
                    return end;
                }
                if class & word != 0 {
                    return run(text, at, word);
                }
                if let Some((next, _)) = classes::at(text, second)
                    && class & NUMBER == 0
                    && !matches!(c, '\r' | '\n')
                    && classes::of(next) & word != 0
                {
                    return run(text, second, word);
                }
                if class & NUMBER != 0 {
                    return few(text, at, numbers);
                }
                others(text, (at, c, second), word | NUMBER | SPACE, b"\r\n")
            }
            Shape::O200k { numbers } => {
                if let Some(end) = word_by_case(text, at, (c, class), second) {
                    return self.contraction(text, end).unwrap_or(end);
                }
                if class & NUMBER != 0 {
                    return few(text, at, numbers);
                }
                others(text, (at, c, second), LETTER | NUMBER | SPACE, b"\r\n/")
            }
        }
    }

    fn contraction(self, text: &str, at: usize) -> Option<usize> {
        let rest = text.as_bytes().get(at..)?.strip_prefix(b"'")?;
        let any_case = self.contractions != Contractions::Small;
        let letter = |nth: usize| rest.get(nth).map(|byte| if any_case { byte.to_ascii_lowercase() } else { *byte });
        let length = match (self.contractions, letter(0)?) {
            (Contractions::None, _) => return None,
            (_, b's' | b't' | b'm' | b'd') => 1,
            (_, b'r' | b'v') if letter(1) == Some(b'e') => 2,
            (_, b'l') if letter(1) == Some(b'l') => 2,
            (Contractions::Folded, _) if rest.starts_with("ſ".as_bytes()) => 'ſ'.len_utf8(),
            _ => return None,
        };
        Some(at + 1 + length)
    }
}

/// How many numbers a rule such as `\p{N}{1,3}` takes.
fn numbers(rule: &str) -> Option<usize> {
    match rule.strip_prefix(r"\p{N}")? {
        "" => Some(1),
        "{1,2}" => Some(2),
        "{1,3}" => Some(3),
        "+" => Some(usize::MAX),
        _ => None,
    }
}

fn cl100k(rest: &str) -> Option<Shape> {
    let head = |head: &str, word: u8| rest.strip_prefix(head).map(|rest| (rest, word));
    let (rest, word) = head(r"[^\r\n\p{L}\p{N}]?\p{L}+|", LETTER)
        .or_else(|| head(r"[^\r\n\p{L}\p{N}]?+\p{L}+|", LETTER))
        .or_else(|| head(r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|", LETTER | MARK))?;
    let (count, tail) = rest.split_once('|')?;
    let numbers = numbers(count)?;
    let fits = if word & MARK == 0 {
        // A last line's end is all that `[\r\n]+` gets after a greedy `\s*`.
        matches!(
            tail,
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                | r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
                | r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
                | r" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]|\s+(?!\S)|\s+"
        )
    } else {
        tail == r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    };
    fits.then_some(Shape::Cl100k { word, numbers })
}

/// Where a run of characters of some class ends.
#[inline]
fn run(text: &str, mut at: usize, class: u8) -> usize {
    while let Some((c, next)) = classes::at(text, at) {
        if classes::of(c) & class == 0 {
            break;
        }
        at = next;
    }
    at
}

/// Where a run of characters of no such class ends.
#[inline]
fn until(text: &str, mut at: usize, classes: u8) -> usize {
    while let Some((c, next)) = classes::at(text, at) {
        if classes::of(c) & classes != 0 {
            break;
        }
        at = next;
    }
    at
}

/// Where at most so many numbers end.
fn few(text: &str, mut at: usize, most: usize) -> usize {
    let mut count = 0;
    while let Some((c, next)) = classes::at(text, at) {
        if count == most || classes::of(c) & NUMBER == 0 {
            break;
        }
        (at, count) = (next, count + 1);
    }
    at
}

/// White space: all of it at the text's end, else all but the last, which belongs to what follows.
fn spaces(text: &str, at: usize) -> usize {
    let (mut end, mut last) = (at, at);
    while let Some((c, next)) = classes::at(text, end) {
        if classes::of(c) & SPACE == 0 {
            return if last > at { last } else { end };
        }
        (last, end) = (end, next);
    }
    end
}

/// Other characters with a space before them and lines' ends after them, or white space up to its last line's end.
fn others(text: &str, (at, c, second): (usize, char, usize), not: u8, after: &[u8]) -> usize {
    let is_other = |place: usize| classes::at(text, place).is_some_and(|(c, _)| classes::of(c) & not == 0);
    let start = if c == ' ' && is_other(second) { second } else { at };
    if is_other(start) {
        let end = until(text, start, not);
        return end + text.as_bytes()[end..].iter().take_while(|byte| after.contains(byte)).count();
    }
    let end = run(text, at, SPACE);
    match text.as_bytes()[at..end].iter().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(line_end) => at + line_end + 1,
        None => spaces(text, at),
    }
}

/// A word of o200k's: capital letters then small ones, or else capital ones alone.
fn word_by_case(text: &str, at: usize, (c, class): (char, u8), second: usize) -> Option<usize> {
    // A character that is no letter may begin a word; marks are such, and also part of words.
    let may_begin = class & (LETTER | NUMBER) == 0 && !matches!(c, '\r' | '\n');
    let starts = [may_begin.then_some(second), Some(at)];
    let small_end = |start: usize| {
        let (mut end, mut last_both) = (start, None);
        while let Some((c, next)) = classes::at(text, end) {
            let class = classes::of(c);
            if class & CAPITAL == 0 {
                if class & SMALL != 0 {
                    return Some(run(text, end, SMALL));
                }
                break;
            }
            if class & SMALL != 0 {
                last_both = Some(next);
            }
            end = next;
        }
        last_both
    };
    let capital_end = |start: usize| Some(run(text, start, CAPITAL)).filter(|end| *end > start);
    starts
        .iter()
        .flatten()
        .find_map(|start| small_end(*start))
        .or_else(|| starts.iter().flatten().find_map(|start| capital_end(*start)))
}

#[cfg(test)]
mod tests {
    use fancy_regex::Regex;
    use proptest::prelude::*;

    use super::*;

    const CONTRACTED: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|";
    const FOLDED: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|";
    const CL100K: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    fn patterns() -> Vec<String> {
        let gpt2 = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
        let mut all = vec![
            format!("'s|'t|'re|'ve|'m|'ll|'d|{gpt2}"),
            format!("'s|'t|'re|'ve|'m|'ll|'d|{}", gpt2.trim_end_matches(r"|\s+")),
            format!("'(?:[sdmt]|ll|ve|re)|{gpt2}"),
            r"\p{N}".into(),
            r"\p{N}{1,3}".into(),
            format!(
                "'(?i:[sdmt]|ll|ve|re)|{}",
                CL100K.replace("]?", "]?+").replace("]+[", "]++[").replace("n]+|", "n]|")
            ),
            format!(
                "{CONTRACTED}{}",
                r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            format!(r"{O200K}\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
        ];
        for contractions in ["", CONTRACTED, FOLDED] {
            for numbers in ["", "{1,3}", "+"] {
                all.push(format!("{contractions}{}", CL100K.replace("{1,3}", numbers)));
            }
        }
        all
    }

    /// Matches, and what lies between them.
    fn by_engine(regex: &Regex, text: &str) -> Vec<String> {
        let (mut pieces, mut done) = (Vec::new(), 0);
        for found in regex.find_iter(text) {
            let found = found.unwrap();
            pieces.extend([&text[done..found.start()], found.as_str()].map(str::to_owned));
            done = found.end();
        }
        pieces.push(text[done..].to_owned());
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn by_hand(words: Words, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        let done: Result<(), ()> = words.split(text, |start, end| {
            pieces.push(text[start..end].to_owned());
            Ok(())
        });
        done.unwrap();
        pieces
    }

    thread_local! {
        static ALL: Vec<(Words, Regex, String)> = patterns()
            .into_iter()
            .map(|pattern| (Words::of(&pattern).unwrap_or_else(|| panic!("{pattern}")), Regex::new(&pattern).unwrap(), pattern))
            .collect();
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<char>().prop_map(String::from),
            "[ \t\r\n\u{a0}\u{3000}\u{85}\u{2028}]{1,4}",
            "[a-zA-Z']{1,5}",
            "[0-9٣Ⅷ²]{1,5}",
            "[éÉǅʰªあ中अ\u{301}\u{903}ſK!-/]{1,4}",
            prop::sample::select(vec!["'s", "'LL", "'Re", "'ſ", "'tis", "//\n", "\r\n\r\n", "  x", "İ", "ﬁ", "👩‍👩‍👧"])
                .prop_map(String::from),
        ];
        prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_pattern_splits_any_text_as_the_regex_engine_does(text in text()) {
            ALL.with(|all| {
                for (words, regex, pattern) in all {
                    assert_eq!(by_hand(*words, &text), by_engine(regex, &text), "{pattern}: {text:?}");
                }
            });
        }
    }

    #[test]
    fn a_pattern_that_is_another_is_left_to_the_engine() {
        for other in
            ["", "a", r"\p{N}{2}", r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{4}| ?x", r" ?\p{L}+| ?\p{N}+", &format!("{O200K}x")]
        {
            assert_eq!(Words::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_long_run_takes_no_longer_by_the_character_than_a_short_one() {
        for part in [" ", "a", "1", "!", "\n ", "A"] {
            let text = part.repeat(1 << 20);
            ALL.with(|all| {
                for (words, _, _) in all {
                    let count = by_hand(*words, &text).len();
                    assert!(count >= 1);
                }
            });
        }
    }
}
