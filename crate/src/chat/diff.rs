//! What differs between two texts, line by line; by `similar`.

use similar::{Algorithm, DiffTag, capture_diff_slices};

use crate::fault::{Fault, Result};

/// Lines of one text. The search for the shortest difference takes lines times differences.
const LINES: usize = 20_000;
/// Bytes from which on a line is cut behind its tags: many templates are one line.
const LONG_LINE: usize = 160;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In both.
    Same,
    /// Only in the first.
    Removed,
    /// Only in the second.
    Added,
}

/// A line, or the part of a long line up to a tag's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// What became of it.
    pub change: Change,
    /// Its number in the first text, from 1.
    pub left: Option<usize>,
    /// Its number in the second text, from 1.
    pub right: Option<usize>,
    /// The text, with its line feed where it has one.
    pub text: &'a str,
}

/// Which text a line is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

/// The shortest way from one text to the other.
///
/// # Errors
/// A text has too many lines.
pub fn diff<'a>(left: &'a str, right: &'a str) -> Result<Vec<Line<'a>>> {
    let (a, b) = (parts(left), parts(right));
    for (parts, which) in [(&a, "first"), (&b, "second")] {
        if parts.len() > LINES {
            let what = format!("the {which} text has {} lines; at most {LINES} are compared", parts.len());
            return Err(Fault::limit(what));
        }
    }
    let texts = |parts: &[(usize, &'a str)]| -> Vec<&'a str> { parts.iter().map(|(_, text)| *text).collect() };
    let mut lines = Vec::with_capacity(a.len().max(b.len()));
    for op in capture_diff_slices(Algorithm::Myers, &texts(&a), &texts(&b)) {
        let (tag, from, to) = op.as_tag_tuple();
        let (from, to) = (a.get(from).unwrap_or_default(), b.get(to).unwrap_or_default());
        if tag == DiffTag::Equal {
            lines.extend(from.iter().zip(to).map(|((left, text), (right, _))| Line {
                change: Change::Same,
                left: Some(*left),
                right: Some(*right),
                text,
            }));
            continue;
        }
        let one = |(number, text): &(usize, &'a str), side: Side| match side {
            Side::Left => Line { change: Change::Removed, left: Some(*number), right: None, text },
            Side::Right => Line { change: Change::Added, left: None, right: Some(*number), text },
        };
        lines.extend(from.iter().map(|part| one(part, Side::Left)));
        lines.extend(to.iter().map(|part| one(part, Side::Right)));
    }
    Ok(lines)
}

/// Lines with their numbers; long ones in pieces that end behind a tag.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    for (nth, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        while rest.len() > LONG_LINE {
            let ends = ["%}", "}}"].iter().filter_map(|tag| rest.find(tag));
            let Some(end) = ends.min().map(|at| at + 2).filter(|end| *end < rest.len()) else { break };
            let (part, after) = rest.split_at(end);
            parts.push((nth + 1, part));
            rest = after;
        }
        parts.push((nth + 1, rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(left: &str, right: &str) -> Vec<String> {
        let lines = diff(left, right).unwrap();
        for (side, whole) in [(Side::Left, left), (Side::Right, right)] {
            let has = |line: &&Line<'_>| (if side == Side::Left { line.left } else { line.right }).is_some();
            assert_eq!(
                lines.iter().filter(has).map(|line| line.text).collect::<String>(),
                whole,
                "both texts are whole"
            );
        }
        let sign = |change| match change {
            Change::Same => ' ',
            Change::Removed => '-',
            Change::Added => '+',
        };
        lines.iter().map(|line| format!("{}{}", sign(line.change), line.text.trim_end())).collect()
    }

    #[test]
    fn lines_are_kept_removed_and_added_with_their_numbers() {
        assert_eq!(told("a\nb\nc\n", "a\nx\nc\nd"), [" a", "-b", "+x", " c", "+d"]);
        let lines = diff("a\nb\n", "b\n").unwrap();
        assert_eq!((lines[1].left, lines[1].right), (Some(2), Some(1)));
        assert_eq!(told("", ""), Vec::<String>::new());
        assert_eq!(told("a", "a\n"), ["-a", "+a"], "a missing line end is a difference");
    }

    #[test]
    fn a_template_of_one_long_line_is_compared_tag_by_tag() {
        let long = |word: &str| {
            format!(
                "{{% for m in messages %}}{{{{ m.role }}}}{}{{% if m.{word} %}}x{{% endif %}}{{% endfor %}}",
                "-".repeat(200)
            )
        };
        let told = told(&long("content"), &long("thoughts"));
        assert_eq!(told.iter().filter(|line| line.starts_with(['+', '-'])).count(), 2, "{told:?}");
    }

    #[test]
    fn texts_of_too_many_lines_are_refused() {
        assert!(diff(&"a\n".repeat(LINES + 1), "").unwrap_err().what.contains("at most 20000"));
        let odd: String = (0..LINES).map(|n| format!("{n}\n")).collect();
        assert_eq!(diff(&odd, "").unwrap().len(), LINES);
    }
}
