//! What a model thinks before it answers, told apart from the answer while the text still comes.

use super::super::run::begun;

/// Marks that thoughts begin and end with.
static MARKS: [(&str, &str); 3] = [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")];

/// Which part of a text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Between the marks of thinking.
    Thought,
    /// The answer.
    Answer,
}

/// Where in the text the next characters lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Nothing but white space so far: a mark may still begin thoughts.
    Start,
    /// In thoughts that end with this mark.
    Thought(&'static str),
    /// Behind thoughts, in the white space before the answer.
    Gap,
    Answer,
}

/// Splits a text that comes in pieces. A text that does not begin with thoughts comes out as it went in.
#[derive(Debug, Clone)]
pub struct Thinking {
    at: At,
    /// May be the beginning of a mark, or the white space before one.
    held: String,
}

impl Thinking {
    /// A text behind `prompt`: where that ends with an opening mark, the text begins in thoughts.
    pub fn behind(prompt: &str) -> Self {
        let open = MARKS.iter().find(|(open, _)| prompt.trim_end().ends_with(open));
        Self { at: open.map_or(At::Start, |(_, close)| At::Thought(close)), held: String::new() }
    }
    /// What is certain with the next piece of the text, in order.
    pub fn push(&mut self, text: &str) -> Vec<(Part, String)> {
        self.held.push_str(text);
        let mut out = Vec::new();
        while self.step(&mut out) {}
        out
    }
    /// What was held back, at the end of the text.
    pub fn finish(mut self) -> Option<(Part, String)> {
        let part = if matches!(self.at, At::Thought(_)) { Part::Thought } else { Part::Answer };
        if self.at == At::Gap {
            self.held.clear();
        }
        (!self.held.is_empty()).then_some((part, self.held))
    }

    /// Takes what is certain off what is held; true where there may be more.
    fn step(&mut self, out: &mut Vec<(Part, String)>) -> bool {
        let mut give = |part, text: String| {
            if !text.is_empty() {
                out.push((part, text));
            }
        };
        match self.at {
            At::Start => {
                let text = self.held.trim_start();
                if let Some((open, close)) = MARKS.iter().find(|(open, _)| text.starts_with(open)) {
                    self.held = text[open.len()..].to_owned();
                    self.at = At::Thought(close);
                    return true;
                }
                if MARKS.iter().any(|(open, _)| open.starts_with(text)) {
                    return false;
                }
                self.at = At::Answer;
                true
            }
            At::Thought(close) => {
                if let Some(end) = self.held.find(close) {
                    let rest = self.held.split_off(end + close.len());
                    self.held.truncate(end);
                    give(Part::Thought, std::mem::replace(&mut self.held, rest));
                    self.at = At::Gap;
                    return true;
                }
                let rest = self.held.split_off(self.held.len() - begun(&self.held, close));
                give(Part::Thought, std::mem::replace(&mut self.held, rest));
                false
            }
            At::Gap => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.at = At::Answer;
                true
            }
            At::Answer => {
                give(Part::Answer, std::mem::take(&mut self.held));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thoughts and answer of a text that comes in pieces of `n` characters.
    fn split(prompt: &str, text: &str, n: usize) -> (String, String) {
        let mut thinking = Thinking::behind(prompt);
        let chars: Vec<char> = text.chars().collect();
        let mut parts: Vec<(Part, String)> =
            chars.chunks(n).flat_map(|piece| thinking.push(&piece.iter().collect::<String>())).collect();
        parts.extend(thinking.finish());
        let all = |wanted| parts.iter().filter(|(part, _)| *part == wanted).map(|(_, text)| text.as_str()).collect();
        (all(Part::Thought), all(Part::Answer))
    }

    #[test]
    fn thoughts_at_the_beginning_are_told_apart_however_the_text_is_cut() {
        for (prompt, text, thought, answer) in [
            ("", "<think>\na < b\n</think>\n\nYes.", "\na < b\n", "Yes."),
            ("<|assistant|><think>\n", "So it is.</think>Yes </think>.", "So it is.", "Yes </think>."),
            ("", "  [THINK]é</think>[/THINK] No", "é</think>", "No"),
            ("", "<thinking>x</thinking>", "x", ""),
            ("", "<think>cut sho</thi", "cut sho</thi", ""),
            ("", " plain, then <think>x</think>", "", " plain, then <think>x</think>"),
            ("", "<thi", "", "<thi"),
            ("", "", "", ""),
        ] {
            for n in 1..9 {
                assert_eq!(split(prompt, text, n), (thought.into(), answer.into()), "{text:?} in pieces of {n}");
            }
        }
    }
}
