//! A folder that describes a model and holds none of its weights: a clone without its large files, or a download that
//! has only begun.

use super::{
    codec::json::Json,
    findings::quoted,
    folder::{Given, Kind},
    merge::{self, ShardName},
    side::{SIDE_MOST, base, folder_of},
};
use crate::{
    fault::Result,
    model::{Awaited, FormatId, Metadata, ModelFile, Note, NoteCode, Severity, Version},
};

/// Files that say what a model is, the ones that say most first.
const DESCRIBING: &[&str] = &["config.json", "adapter_config.json", "model_index.json"];
/// Members that such files have and other JSON has not.
const MEMBERS: &[&str] = &[
    "model_type",
    "architectures",
    "_class_name",
    "num_hidden_layers",
    "n_layer",
    "hidden_size",
    "d_model",
    "peft_type",
    "base_model_name_or_path",
];
/// Ends of the names of weights, with their formats.
const WEIGHTS: &[(&str, FormatId)] = &[
    (".safetensors", FormatId::Safetensors),
    (".gguf", FormatId::Gguf),
    (".onnx", FormatId::Onnx),
    (".bin", FormatId::PyTorch),
    (".pt", FormatId::PyTorch),
    (".pth", FormatId::PyTorch),
    (".h5", FormatId::Keras),
];

/// A Git LFS pointer's statement of the file that it stands for.
pub(super) fn pointed(text: &[u8]) -> Option<Option<u64>> {
    let text = text.strip_prefix(b"version https://git-lfs.github.com/spec/")?;
    let text = std::str::from_utf8(text).ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse().ok()))
}

/// The format of weights of this name.
fn format_of(name: &str) -> Option<FormatId> {
    WEIGHTS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| *format)
}

/// Of files without any model in them: the description of the model that they belong to, the file that describes it, and
/// which files only stand in the place of weights. `None` where none of them describes a model.
pub(super) async fn describe(given: &[Given<'_>]) -> Result<Option<(ModelFile, usize, Vec<usize>)>> {
    let Some(config) = describing(given).await? else { return Ok(None) };
    let home = given.get(config).map_or("", |g| folder_of(g.file.name()));
    let stands = stand_ins(given, home);
    let format =
        stands.first().and_then(|(i, _)| format_of(given.get(*i)?.file.name())).unwrap_or(FormatId::Safetensors);
    let mut awaited: Vec<Awaited> = Vec::new();
    let mut used = Vec::new();
    for (i, stand) in stands {
        let Some(name) = given.get(i).map(|g| g.file.name()) else { continue };
        if format_of(name) == Some(format) {
            awaited.push(stand);
            used.push(i);
        }
    }
    for shard in awaited.iter().filter_map(|a| ShardName::parse(&a.name)).collect::<Vec<_>>() {
        for number in 1..=shard.total.min(merge::SHARDS_MOST) {
            let name = shard.with_number(number);
            if !awaited.iter().any(|a| a.name == name) {
                awaited.push(Awaited { name, bytes: None, instead: None });
            }
        }
    }
    crate::order::sort_by(&mut awaited, |a, b| a.name.cmp(&b.name));
    let mut model = ModelFile {
        format,
        version: Version::without_weights(),
        files: Vec::new(),
        metadata: Metadata::default(),
        tensors: Vec::new(),
        graph: None,
        sections: Vec::new(),
        notes: Vec::new(),
        cuts: Vec::new(),
        awaited,
    };
    model.notes.extend(missing(&model, given.get(config).map_or("", |g| g.file.name())));
    Ok(Some((model, config, used)))
}

/// The file nearest the folder's root that describes a model.
async fn describing(given: &[Given<'_>]) -> Result<Option<usize>> {
    let rank = |name: &str| DESCRIBING.iter().position(|known| *known == base(name));
    let mut candidates: Vec<(usize, usize, usize)> = given
        .iter()
        .enumerate()
        .filter(|(_, g)| matches!(g.kind, Kind::Other(_)) && g.file.len() <= SIDE_MOST)
        .filter_map(|(i, g)| Some((g.file.name().matches('/').count(), rank(g.file.name())?, i)))
        .collect();
    crate::order::sort(&mut candidates);
    for (_, _, i) in candidates {
        let Some(file) = given.get(i).map(|g| g.file) else { continue };
        let Ok(json) = Json::parse(&file.read(0..file.len()).await?) else { continue };
        if MEMBERS.iter().any(|member| json.get(member).is_some()) {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// What lies under names of weights without being any, in the model's folder and below; safetensors first.
fn stand_ins(given: &[Given<'_>], home: &str) -> Vec<(usize, Awaited)> {
    let mut found: Vec<(usize, usize, Awaited)> = Vec::new();
    for (i, g) in given.iter().enumerate() {
        let name = g.file.name();
        let Some(rank) = WEIGHTS.iter().position(|(end, _)| name.ends_with(end)) else { continue };
        if !home.is_empty() && !name.starts_with(&format!("{home}/")) {
            continue;
        }
        let (bytes, instead) = match &g.kind {
            Kind::Pointer(bytes, _) => (*bytes, "a Git LFS pointer".to_owned()),
            Kind::Other(_) if g.file.is_empty() => (None, "an empty file".to_owned()),
            Kind::Other(what) => (None, what.to_string()),
            _ => continue,
        };
        found.push((rank, i, Awaited { name: name.to_owned(), bytes, instead: Some(instead) }));
    }
    crate::order::sort_by(&mut found, |a, b| (a.0, &a.2.name).cmp(&(b.0, &b.2.name)));
    found.into_iter().map(|(_, i, awaited)| (i, awaited)).collect()
}

/// What is said of the weights that are not here.
fn missing(model: &ModelFile, config: &str) -> Vec<Note> {
    const TOLD: usize = 8;
    let why = "the model is described by its configuration alone: no tensor can be shown or run";
    let fetch = "fetch the real files with `git lfs pull`, or download them from the model's page";
    if model.awaited.is_empty() {
        let what = format!("The weights are missing: {} describes a model whose weights are elsewhere", quoted(config));
        let advice = "get its weights (model.safetensors, or the shards and their index) and open the folder again";
        return vec![Note::new(Severity::Error, what).code(NoteCode::MissingWeights).why(why).advice(advice)];
    }
    let mut notes: Vec<Note> = Vec::new();
    for file in model.awaited.iter().take(TOLD) {
        notes.push(Note::new(Severity::Error, awaiting(file)).code(NoteCode::MissingPart).why(why).advice(fetch));
    }
    if model.awaited.len() > TOLD {
        let what = format!("{} more files of the weights are missing", model.awaited.len() - TOLD);
        notes.push(Note::new(Severity::Error, what).code(NoteCode::MissingPart).why(why).advice(fetch));
    }
    if let (Some(total), true) = (total(&model.awaited), model.awaited.len() > 1) {
        let what = format!("The {} missing files have {total} bytes together", model.awaited.len());
        notes.push(
            Note::new(Severity::Info, what)
                .code(NoteCode::MissingBytes)
                .why("so much is left to download")
                .advice(fetch),
        );
    }
    notes
}

/// One missing file in a sentence.
pub(super) fn awaiting(file: &Awaited) -> String {
    let size = file.bytes.map(|n| format!("; the file has {n} bytes")).unwrap_or_default();
    match &file.instead {
        Some(instead) => format!("{} is missing: {instead} lies in its place{size}", quoted(&file.name)),
        None => format!("{} is missing{size}", quoted(&file.name)),
    }
}

/// Bytes of all of them, where all are stated.
fn total(awaited: &[Awaited]) -> Option<u64> {
    awaited.iter().map(|a| a.bytes).try_fold(0u64, |sum, n| sum.checked_add(n?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_states_the_length_of_what_it_stands_for() {
        let text = b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 4965799096\n";
        assert_eq!(pointed(text), Some(Some(4_965_799_096)));
        assert_eq!(pointed(b"version https://git-lfs.github.com/spec/v1\noid"), Some(None));
        assert_eq!(pointed(b"version 2"), None);
    }
}
