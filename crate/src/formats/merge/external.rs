//! Tensors whose bytes lie in other files.

use std::collections::HashMap;

use super::TOLD;
use crate::formats::findings::quoted;
use crate::formats::sections;
use crate::model::{FileRole, FileSummary, ModelFile, Note, NoteCode, Place, Severity};
use crate::source::SourceSet;

/// Finds the external data of an ONNX model, or the shards of a TensorFlow checkpoint, among the files given;
/// returns which of them it uses.
///
/// A location is compared with names, never opened: one that leaves the model's folder matches nothing.
pub(in crate::formats) fn external(model: &mut ModelFile, onnx: &str, files: &SourceSet) -> Vec<usize> {
    let folder = |name: &str| name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    // A SavedModel's variables lie in a folder of their own, beside their index.
    let mut folders: Vec<String> = model.files.iter().map(|f| folder(&f.name)).collect();
    folders.dedup();
    let first = model.files.len();
    // By location as stated; two spellings of one path share its number.
    let mut known: HashMap<String, Option<(usize, usize)>> = HashMap::new();
    let mut used: Vec<usize> = Vec::new();
    let (mut lost, mut short): (HashMap<String, u64>, u64) = (HashMap::new(), 0);
    for tensor in &mut model.tensors {
        let Place::Missing { file, at } = &tensor.place else { continue };
        if file == onnx {
            continue; // Its own bytes, beyond the end of a cut file; noted when read.
        }
        let found = known.entry(file.clone()).or_insert_with(|| {
            let plain = plain_location(file)?;
            let (name, given) = folders.iter().find_map(|folder| {
                let name = format!("{folder}{plain}");
                let given = files.files().iter().position(|f| f.name() == name && name != onnx)?;
                Some((name, given))
            })?;
            if let Some(known) = used.iter().position(|u| *u == given) {
                return Some((first + known, given));
            }
            used.push(given);
            let bytes = files.files()[given].len();
            model.files.push(FileSummary { name, bytes, role: FileRole::ExternalData });
            Some((first + used.len() - 1, given))
        });
        let Some((number, given)) = *found else {
            *lost.entry(file.clone()).or_default() += 1;
            continue;
        };
        let len = files.files()[given].len();
        // Without a length the data goes on to the file's end.
        let end =
            if at.end == u64::MAX { tensor.bytes.and_then(|n| at.start.checked_add(n)).unwrap_or(len) } else { at.end };
        if end <= len && at.start <= end {
            tensor.place = Place::Here { file: number, at: at.start..end };
        } else {
            short += 1;
            if short <= TOLD as u64 {
                let what = format!(
                    "{} lies at bytes {}..{end} of {}, which has {len}",
                    quoted(&tensor.name),
                    at.start,
                    quoted(file)
                );
                let note = Note::new(Severity::Error, what).at(number, len).why("the file was not copied whole");
                model.notes.push(note.code(NoteCode::EndOfFile).advice("copy or download that file again"));
            }
        }
    }
    let mut lost: Vec<_> = lost.into_iter().collect();
    crate::order::sort(&mut lost);
    for (file, tensors) in lost.into_iter().take(TOLD) {
        let note = if plain_location(&file).is_some() {
            let what = format!("{} is missing: it holds the data of {tensors} tensors", quoted(&file));
            let note =
                Note::new(Severity::Error, what).why("its tensors cannot be shown, and no program can run the model");
            note.code(NoteCode::ExternalData).advice("give it together with the model")
        } else {
            let what = format!("{tensors} tensors are said to lie in {}, outside the model's folder", quoted(&file));
            Note::new(Severity::Error, what)
                .code(NoteCode::OutsideData)
                .why("a model must not name files elsewhere; the location is not followed")
                .advice("do not open the model with programs that would follow it")
        };
        model.notes.push(note);
    }
    for number in first..model.files.len() {
        let mut map = sections::map(number, model.files[number].bytes, &[], &model.tensors, 4096);
        model.sections.append(&mut map);
    }
    used
}

/// A relative location within the model's folder, with `.` steps removed; `None` for any other.
pub(in crate::formats) fn plain_location(location: &str) -> Option<String> {
    if location.contains(['\\', ':', '\0']) || location.starts_with('/') {
        return None;
    }
    let steps: Vec<&str> = location.split('/').filter(|s| !s.is_empty() && *s != ".").collect();
    (!steps.is_empty() && !steps.contains(&"..")).then(|| steps.join("/"))
}
