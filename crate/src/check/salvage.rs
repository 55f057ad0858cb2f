//! What of a model is there, what is cut, what is missing, and which bytes would make it whole.

use std::ops::Range;

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
    let mut files: Vec<FileSalvage> = Vec::new();
    for tensor in &model.tensors {
        let bytes = tensor.bytes.unwrap_or(0);
        all.bytes_all = all.bytes_all.saturating_add(bytes);
        match presence(model, &tensor.place, &mut files) {
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
        let entry = entry(&mut files, &file.name, Some(file.bytes));
        // Where the list itself is cut, its tensors' values come after its end, wherever that is.
        entry.more = true;
        if let Some(needs) = cut.needs.filter(|n| *n > file.bytes) {
            entry.missing.push(file.bytes..needs);
        }
        let listed = model.tensors.iter().filter(|t| belongs(model, &t.place, cut.file)).count() as u64;
        let more = cut.announced.map(|n| n.saturating_sub(listed));
        all.unlisted = all.unlisted.and_then(|n| n.checked_add(more?));
    }
    for file in &mut files {
        file.missing = merged(std::mem::take(&mut file.missing));
    }
    let order = |f: &FileSalvage| model.files.iter().position(|m| m.name == f.name).unwrap_or(usize::MAX);
    crate::order::sort_by(&mut files, |a, b| order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name)));
    all.files = files;
    Some(all)
}

/// True for a tensor of file number `file`; one without a place is taken for the cut file's.
fn belongs(model: &ModelFile, place: &Place, file: usize) -> bool {
    match place {
        Place::Here { file: f, .. } | Place::Strided { file: f, .. } => *f == file,
        Place::Missing { file: name, .. } => model.files.get(file).is_some_and(|f| f.name == *name),
        Place::Inline | Place::Absent => model.files.len() == 1 || file == 0,
    }
}

fn presence(model: &ModelFile, place: &Place, files: &mut Vec<FileSalvage>) -> Presence {
    match place {
        Place::Here { .. } | Place::Strided { .. } | Place::Inline => Presence::Complete,
        // A list that is cut does not tell where the values start.
        Place::Absent if !model.cuts.is_empty() => Presence::Missing,
        Place::Absent => Presence::Complete,
        Place::Missing { file, at } => {
            let given = model.files.iter().find(|f| f.name == *file).map(|f| f.bytes);
            let entry = entry(files, file, given);
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

fn entry<'a>(files: &'a mut Vec<FileSalvage>, name: &str, bytes: Option<u64>) -> &'a mut FileSalvage {
    // Tensors of one file follow each other: the last entry is nearly always the one.
    let found = files.iter().rposition(|f| f.name == name);
    let at = found.unwrap_or_else(|| {
        files.push(FileSalvage { name: name.to_owned(), bytes, missing: Vec::new(), more: false });
        files.len() - 1
    });
    &mut files[at]
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
