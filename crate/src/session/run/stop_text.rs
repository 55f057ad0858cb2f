//! Texts that end a generation: what may be the beginning of one is held back until that is decided.

/// The end of a text that was not told yet.
#[derive(Debug, Default)]
pub(super) struct Withheld(String);

impl Withheld {
    /// What is certain with the next piece of the text, and whether one of `stops` came; it and what follows are dropped.
    pub(super) fn push(&mut self, stops: &[String], text: String) -> (String, bool) {
        if stops.is_empty() {
            return (text, false);
        }
        self.0.push_str(&text);
        if let Some(at) = stops.iter().filter_map(|stop| self.0.find(stop.as_str())).min() {
            self.0.truncate(at);
            return (std::mem::take(&mut self.0), true);
        }
        let kept = stops.iter().map(|stop| begun(&self.0, stop)).max().unwrap_or(0);
        let rest = self.0.split_off(self.0.len() - kept);
        (std::mem::replace(&mut self.0, rest), false)
    }
    /// What was held back at the end of the text, and what came behind it; nothing where a text ended it.
    pub(super) fn finish(self, has_stopped: bool, behind: String) -> String {
        if has_stopped { String::new() } else { self.0 + &behind }
    }
}

/// Bytes at the end of a text with which `mark` may begin; never the whole mark.
pub fn begun(text: &str, mark: &str) -> usize {
    let is_begun = |n: &usize| mark.is_char_boundary(*n) && text.ends_with(&mark[..*n]);
    (1..mark.len().min(text.len() + 1)).rev().find(is_begun).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a text in pieces of `n` characters, and whether it was ended.
    fn told(stops: &[&str], text: &str, n: usize) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let (mut withheld, mut all) = (Withheld::default(), String::new());
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(n) {
            let (new, has_stopped) = withheld.push(&stops, piece.iter().collect());
            all.push_str(&new);
            assert!(stops.iter().all(|stop| !all.contains(stop.as_str())), "{all:?}");
            if has_stopped {
                return (all, true);
            }
        }
        all.push_str(&withheld.finish(false, String::new()));
        (all, false)
    }

    #[test]
    fn no_part_of_a_text_that_ends_it_is_told_however_the_text_is_cut() {
        for (stops, text, want) in [
            (&["\n\n"][..], "a\nb\n\nc", ("a\nb", true)),
            (&["abc", "b"][..], "xabc", ("xa", true)),
            (&["aab"][..], "aaaab", ("aa", true)),
            (&["né"][..], "ein née", ("ein ", true)),
            (&["END"][..], "the EN", ("the EN", false)),
            (&[][..], "all", ("all", false)),
            (&["a"][..], "a", ("", true)),
        ] {
            for n in 1..5 {
                let got = told(stops, text, n);
                // Of two texts that end at different places the one that is complete first counts.
                if stops.len() == 1 || n == 1 {
                    assert_eq!((got.0.as_str(), got.1), (want.0, want.1), "{text:?} in pieces of {n}");
                }
            }
        }
    }
}
