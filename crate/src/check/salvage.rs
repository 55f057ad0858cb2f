//! What of a model is there, what is cut, what is missing, and which bytes would make it whole.

use std::{collections::HashMap, ops::Range};

use crate::model::{ModelFile, Place};

/// A model that is not whole: what can be used, and what is still to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// Tensors whose bytes are all there.
    pub complete: u64,
    /// Tensors of which some bytes are there.
    pub partial: u64,
    /// Tensors that are listed and of which no byte is there.
    pub missing: u64,
    /// Tensors that are announced but not listed, since the list itself is cut; `None` where it does not say how many.
    pub unlisted: Option<u64>,
    /// Bytes of tensors that are there.
    pub bytes_here: u64,
    /// Bytes of all tensors that are listed.
    pub bytes_all: u64,
    /// The files that lack something, in the model's order, then those not given.
    pub files: Vec<FileSalvage>,
}

/// What one file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSalvage {
    /// Its name, or the name by which the model calls it.
    pub name: String,
    /// Length in bytes; `None` for a file that was not given.
    pub bytes: Option<u64>,
    /// Byte ranges that are missing, sorted, merged. Empty for a whole file that was not given and whose length nobody states.
    pub missing: Vec<Range<u64>>,
    /// True where more is missing than is listed: the file must go on after the last range, nothing says how far.
    pub more: bool,
}

/// How much of one tensor is there.
enum Presence {
    Complete,
    Partial(u64),
    Missing,
}

/// `None` for a whole model.
pub fn salvage(model: &ModelFile) -> Option<Salvage> {
    let lost = |p: &Place| matches!(p, Place::Missing { .. });
    if model.cuts.is_empty() && !model.tensors.iter().any(|t| lost(&t.place)) {
        return None;
    }
    let mut all = Salvage {
        complete: 0,
        partial: 0,
        missing: 0,
        unlisted: Some(0),
        bytes_here: 0,
        bytes_all: 0,
        files: Vec::new(),
    };
    let given: HashMap<&str, usize> = model.files.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut lacking = Lacking { model, given: &given, at: HashMap::new(), files: Vec::new() };
    // How many tensors each file lists.
    let mut listed = vec![0u64; model.files.len()];
    for tensor in &model.tensors {
        let bytes = tensor.bytes.unwrap_or(0);
        all.bytes_all = all.bytes_all.saturating_add(bytes);
        if let Some(n) = lacking.file_of(&tensor.place).and_then(|file| listed.get_mut(file)) {
            *n += 1;
        }
        match lacking.presence(&tensor.place) {
            Presence::Complete => {
                all.complete += 1;
                all.bytes_here = all.bytes_here.saturating_add(bytes);
            }
            Presence::Partial(here) => {
                all.partial += 1;
                all.bytes_here = all.bytes_here.saturating_add(here);
            }
            Presence::Missing => all.missing += 1,
        }
    }
    for cut in &model.cuts {
        let Some(file) = model.files.get(cut.file) else { continue };
        let entry = lacking.entry(&file.name);
        // Where the list itself is cut, its tensors' values come after its end, wherever that is.
        entry.more = true;
        if let Some(needs) = cut.needs.filter(|n| *n > file.bytes) {
            entry.missing.push(file.bytes..needs);
        }
        let here = listed.get(cut.file).copied().unwrap_or(0);
        let more = cut.announced.map(|n| n.saturating_sub(here));
        all.unlisted = all.unlisted.and_then(|n| n.checked_add(more?));
    }
    let mut files = lacking.files;
    for file in files.iter_mut().filter(|f| f.bytes.is_none() && f.missing.is_empty()) {
        // A pointer in its place states the length of the whole file.
        let home = model.files.first().and_then(|f| f.name.rsplit_once('/')).map_or("", |(home, _)| home);
        let stated = model.awaited.iter().find(|a| a.name == file.name || a.name == format!("{home}/{}", file.name));
        if let Some(bytes) = stated.and_then(|a| a.bytes) {
            file.missing.push(0..bytes);
            file.more = false;
        }
    }
    for file in &mut files {
        file.missing = merged(std::mem::take(&mut file.missing));
    }
    let order = |f: &FileSalvage| given.get(f.name.as_str()).copied().unwrap_or(usize::MAX);
    crate::order::sort_by(&mut files, |a, b| order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name)));
    all.files = files;
    Some(all)
}

/// The files that lack something, while tensors are looked through: there may be as many files as tensors.
struct Lacking<'a> {
    model: &'a ModelFile,
    /// The model's files by name.
    given: &'a HashMap<&'a str, usize>,
    /// Places in `files` by name.
    at: HashMap<&'a str, usize>,
    files: Vec<FileSalvage>,
}

impl<'a> Lacking<'a> {
    /// The number of a tensor's file; one without a place is taken for the first file's.
    fn file_of(&self, place: &Place) -> Option<usize> {
        match place {
            Place::Here { file, .. } | Place::Strided { file, .. } | Place::Chunked { file, .. } => Some(*file),
            Place::Missing { file, .. } => self.given.get(file.as_str()).copied(),
            Place::Inline | Place::Absent => Some(0),
        }
    }
    fn presence(&mut self, place: &'a Place) -> Presence {
        match place {
            Place::Here { .. } | Place::Strided { .. } | Place::Chunked { .. } | Place::Inline => Presence::Complete,
            // A list that is cut does not tell where the values start.
            Place::Absent if !self.model.cuts.is_empty() => Presence::Missing,
            Place::Absent => Presence::Complete,
            Place::Missing { file, at } => {
                let entry = self.entry(file);
                let given = entry.bytes;
                // A range without an end goes on to the end of a file whose length nobody states.
                let from = at.start.max(given.unwrap_or(0));
                match at.end {
                    u64::MAX => entry.more = true,
                    end if from < end => entry.missing.push(from..end),
                    _ => entry.more |= given.is_none(),
                }
                match given.and_then(|len| len.checked_sub(at.start)).filter(|n| *n > 0) {
                    Some(here) if at.end > at.start => Presence::Partial(here),
                    _ => Presence::Missing,
                }
            }
        }
    }
    fn entry(&mut self, name: &'a str) -> &mut FileSalvage {
        let at = *self.at.entry(name).or_insert_with(|| {
            let bytes = self.given.get(name).and_then(|i| self.model.files.get(*i)).map(|f| f.bytes);
            self.files.push(FileSalvage { name: name.to_owned(), bytes, missing: Vec::new(), more: false });
            self.files.len() - 1
        });
        &mut self.files[at]
    }
}

/// Sorted, with neighbours joined.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    crate::order::sort_by_key(&mut ranges, |r| (r.start, r.end));
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(merged(vec![10..20, 30..40, 20..25, 5..12]), [5..25, 30..40]);
    }
}
