//! Walking over a metadata array: items are passed, only the first are kept.

use crate::{
    fault::Fault,
    model::{ArrayPlace, MetaArray, MetaType, MetaValue},
    source::{Cursor, Limits, Stop, Window},
};

use super::value::{self, Layout};

/// Arrays within arrays, at most (gguf.js allows 4).
pub(super) const DEEPEST: usize = 8;
/// Items kept of arrays that lie more than one level deep.
const INNER_HEAD: usize = 8;

/// An array being walked: resumes at the item where bytes were missing.
pub(super) struct Walk {
    at: u64,
    frames: Vec<Frame>,
    /// Strings among the kept items that are not UTF-8.
    pub(super) broken_text: u64,
}

struct Frame {
    item: MetaType,
    len: u64,
    left: u64,
    start: u64,
    head: Vec<MetaValue>,
    marks: Vec<u64>,
}

impl Walk {
    /// Starts at the item type, the first field of an array value.
    pub(super) fn start(at: u64) -> Self {
        Self { at, frames: Vec::new(), broken_text: 0 }
    }
    /// Deepest nesting met so far is more than a plain array.
    pub(super) fn position(&self) -> u64 {
        self.at
    }
    /// Walks on; the finished array, or why it stopped.
    pub(super) fn advance(&mut self, file: &Window, layout: Layout, limits: &Limits) -> Result<MetaArray, Stop> {
        if self.frames.is_empty() {
            self.open(file, layout)?;
        }
        loop {
            let depth = self.frames.len();
            let Some(top) = self.frames.last_mut() else {
                return Err(Fault::bug("an array walk without an array").into());
            };
            if top.left == 0 {
                let array = top.close(self.at, layout);
                self.frames.pop();
                match self.frames.last_mut() {
                    None => return Ok(array),
                    Some(parent) => parent.keep(MetaValue::Array(array), depth - 1),
                }
                continue;
            }
            match top.item {
                MetaType::Array => self.open(file, layout)?,
                MetaType::String => {
                    self.at = top.pass_strings(self.at, depth, file, layout, limits, &mut self.broken_text)?;
                }
                _ => self.at = top.pass_numbers(self.at, depth, file, layout)?,
            }
        }
    }
    /// Reads an array's type and count.
    fn open(&mut self, file: &Window, layout: Layout) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, self.at, layout.big_endian);
        let id = cursor.u32()?;
        let item = value::kind(id).ok_or_else(|| {
            Fault::file(self.at, format!("array item type {id}; GGUF defines 0 to 12")).in_file(file.name())
        })?;
        let count_at = cursor.position();
        let len = layout.count(&mut cursor)?;
        let least = layout.least_bytes(item);
        if len > cursor.remaining() / least {
            return Err(Fault::file(
                count_at,
                format!("array of {len} items announced; the {} bytes left hold fewer", cursor.remaining()),
            )
            .in_file(file.name())
            .short()
            .into());
        }
        if self.frames.len() >= DEEPEST {
            return Err(Fault::limit(format!("arrays nested more than {DEEPEST} deep")).at(self.at).into());
        }
        self.at = cursor.position();
        self.frames.push(Frame { item, len, left: len, start: self.at, head: Vec::new(), marks: Vec::new() });
        Ok(())
    }
}

impl Frame {
    fn room(&self, depth: usize) -> usize {
        (if depth <= 2 { MetaArray::HEAD } else { INNER_HEAD }).saturating_sub(self.head.len())
    }
    fn keep(&mut self, value: MetaValue, depth: usize) {
        if self.room(depth) > 0 {
            self.head.push(value);
        }
        self.left = self.left.saturating_sub(1);
    }
    fn close(&mut self, end: u64, layout: Layout) -> MetaArray {
        let place = (self.head.len() as u64 != self.len).then(|| ArrayPlace {
            file: 0,
            at: self.start..end,
            big_endian: layout.big_endian,
            length_bytes: layout.width(),
            marks: std::mem::take(&mut self.marks),
        });
        MetaArray { item: self.item, len: self.len, head: std::mem::take(&mut self.head), place }
    }
    /// Keeps the first numbers and passes the others without reading them. The count was checked against the file.
    fn pass_numbers(&mut self, at: u64, depth: usize, file: &Window, layout: Layout) -> Result<u64, Stop> {
        let size = layout.least_bytes(self.item);
        let mut cursor = Cursor::new(file, at, layout.big_endian);
        let whole = depth == 1 && self.len <= MetaArray::WHOLE;
        let keep = if whole { self.left } else { (self.room(depth) as u64).min(self.left) };
        let mut kept = Vec::with_capacity(keep as usize);
        for _ in 0..keep {
            kept.push(value::number(&mut cursor, self.item)?);
        }
        cursor.skip((self.left - keep).saturating_mul(size))?;
        self.head.append(&mut kept);
        self.left = 0;
        Ok(cursor.position())
    }
    /// Passes as many strings as are fetched; at least one, or says what it needs.
    fn pass_strings(
        &mut self,
        at: u64,
        depth: usize,
        file: &Window,
        layout: Layout,
        limits: &Limits,
        broken: &mut u64,
    ) -> Result<u64, Stop> {
        if self.room(depth) > 0 {
            let mut cursor = Cursor::new(file, at, layout.big_endian);
            let (text, valid) = value::string(&mut cursor, layout, limits, "an array's string")?;
            *broken += u64::from(!valid);
            self.passed(at);
            self.keep(MetaValue::String(text), depth);
            return Ok(cursor.position());
        }
        let bytes = file.rest(at);
        let mut from = 0;
        while self.left > 0
            && let Some(end) = layout.string_end(bytes, from)
        {
            self.passed(at + from as u64);
            self.left -= 1;
            from = end;
        }
        if from > 0 {
            return Ok(at + from as u64);
        }
        // Not even one string is wholly here: the careful way names the fault or the bytes needed.
        let mut cursor = Cursor::new(file, at, layout.big_endian);
        value::string_bytes(&mut cursor, layout, limits, "an array's string")?;
        self.passed(at);
        self.left -= 1;
        Ok(cursor.position())
    }
    fn passed(&mut self, at: u64) {
        let done = self.len - self.left;
        if done > 0 && done.is_multiple_of(ArrayPlace::MARK) {
            self.marks.push(at);
        }
    }
}
