//! A text changed before it is cut, which still knows where each of its bytes came from.

use std::ops::Range;

/// The changed text.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    pub text: String,
    /// For each byte of `text` the bytes of the source that it stands for: where they start and end.
    from: Vec<(u32, u32)>,
}

impl Mapped {
    /// Appends `part`, which stands for `span` of the source.
    pub(super) fn push(&mut self, part: &str, span: Range<usize>) {
        self.text.push_str(part);
        // A text has at most `limits::TEXT_BYTES` bytes. A part of the same length maps byte by byte.
        if part.len() == span.len() {
            self.from.extend(span.map(|at| (at as u32, at as u32 + 1)));
        } else {
            self.from.extend(std::iter::repeat_n((span.start as u32, span.end as u32), part.len()));
        }
    }

    /// Drops everything from byte `length` of the changed text on.
    pub(super) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.from.truncate(length);
    }

    /// The bytes of the source that a stretch of the changed text stands for.
    pub(super) fn source(&self, part: Range<usize>) -> Range<usize> {
        let ends = self.from.get(part).unwrap_or_default();
        match (ends.first(), ends.last()) {
            (Some(first), Some(last)) => first.0 as usize..(last.1 as usize).max(first.0 as usize),
            _ => 0..0,
        }
    }

    /// Where in the source the text ends.
    pub(super) fn end(&self) -> usize {
        self.from.last().map_or(0, |last| last.1 as usize)
    }
}
