//! The byte map, part by part: what lies where in each file.

use std::{borrow::Cow, collections::HashMap};

use serde::Serialize;

use super::{FileReport, describe::section_kind};
use crate::{
    model::{ModelFile, Place, SectionKind},
    session::Inspection,
};

/// What `glassbox map` prints: every part of every file in the order of its bytes, overlapping ones too.
///
/// The page makes the same list from the `sections` and `tensors` of a [`super::ModelReport`], which hold it without
/// naming 30,000 tensors twice; a browser test compares the two.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MapReport<'a> {
    /// The files of the model.
    pub files: Vec<FileReport>,
    /// Sorted by file, first byte, end.
    #[cfg_attr(test, ts(type = "MapPartReport[]"))]
    pub parts: Vec<MapPartReport<'a>>,
}

/// One part of a file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MapPartReport<'a> {
    /// Index into `files`.
    pub file: usize,
    /// First byte.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last byte; beyond the file's length for a tensor that a cut file lost.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// "header", "metadata", "tensor list", "padding", "tensor", "graph", "gap", "trailing" or "missing": a tensor
    /// whose bytes lie beyond the end of the file, in part or whole.
    pub kind: &'static str,
    /// The tensor's name.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub name: Option<&'a str>,
    /// The tensor's encoding.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub encoding: Option<Cow<'static, str>>,
    /// An earlier part that holds some of the same bytes: a tensor's name, else the kind.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub shares_with: Option<&'a str>,
    /// How many of its bytes that part holds too.
    #[cfg_attr(test, ts(type = "number"))]
    pub shared_bytes: u64,
}

impl<'a> MapReport<'a> {
    /// The map of an opened model.
    pub fn of(inspection: &'a Inspection) -> Self {
        let model = inspection.model();
        let files = model.files.iter().map(FileReport::of).collect();
        let mut parts = tensors(model);
        // A tensor that the file's end cuts begins where the rest of the file seemed to belong to nothing.
        let cut: HashMap<usize, u64> =
            parts.iter().filter(|p| p.kind == "missing").fold(HashMap::new(), |mut cut, p| {
                cut.entry(p.file).and_modify(|at| *at = p.start.min(*at)).or_insert(p.start);
                cut
            });
        let mut others: Vec<MapPartReport<'_>> = Vec::new();
        for section in model.sections.iter().filter(|s| !matches!(s.kind, SectionKind::Tensor(_))) {
            let (kind, mut end) = (section_kind(section.kind), section.at.end);
            if matches!(section.kind, SectionKind::Gap | SectionKind::Trailing | SectionKind::Padding)
                && let Some(at) = cut.get(&section.file)
            {
                end = end.min(*at);
            }
            if section.at.start >= end {
                continue;
            }
            // Neighbours of one kind are one part: the members of an archive have a header each.
            match others.last_mut() {
                Some(last) if last.file == section.file && last.kind == kind && last.end == section.at.start => {
                    last.end = end;
                }
                _ => others.push(MapPartReport::plain(section.file, section.at.start, end, kind)),
            }
        }
        parts.append(&mut others);
        crate::order::sort_by_key(&mut parts, |p| (p.file, p.start, p.end));
        mark_shared(&mut parts);
        Self { files, parts }
    }
}

impl MapPartReport<'_> {
    fn plain(file: usize, start: u64, end: u64, kind: &'static str) -> Self {
        Self { file, start, end, kind, name: None, encoding: None, shares_with: None, shared_bytes: 0 }
    }
}

/// Every tensor that has a place in one of the files, also beyond the end of a cut one.
fn tensors(model: &ModelFile) -> Vec<MapPartReport<'_>> {
    let number: HashMap<&str, usize> = model.files.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let placed = model.tensors.iter().filter_map(|tensor| {
        let (file, at, kind) = match &tensor.place {
            Place::Here { file, at } | Place::Strided { file, at, .. } => (*file, at, "tensor"),
            Place::Missing { file, at } => (*number.get(file.as_str())?, at, "missing"),
            // Its chunks lie apart: the sections name them.
            Place::Inline | Place::Absent | Place::Chunked { .. } => return None,
        };
        (at.start < at.end && at.end != u64::MAX).then(|| MapPartReport {
            name: Some(&tensor.name),
            encoding: Some(tensor.encoding.name()),
            ..MapPartReport::plain(file, at.start, at.end, kind)
        })
    });
    placed.collect()
}

/// Tells each part of the earlier one that holds the most of its bytes: of those before it, the one that ends last.
fn mark_shared<'a>(parts: &mut [MapPartReport<'a>]) {
    // File, end and name of the part that reaches furthest so far.
    let mut furthest: Option<(usize, u64, Option<&'a str>)> = None;
    for part in parts.iter_mut().filter(|p| p.kind != "missing") {
        let before = furthest.filter(|(file, ..)| *file == part.file);
        if let Some((_, reach, name)) = before.filter(|(_, reach, _)| part.start < *reach) {
            (part.shares_with, part.shared_bytes) = (name, part.end.min(reach) - part.start);
        }
        if before.is_none_or(|(_, reach, _)| part.end > reach) {
            furthest = Some((part.file, part.end, part.name.or(Some(part.kind))));
        }
    }
}
