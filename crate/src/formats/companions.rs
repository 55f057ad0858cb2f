//! Files that belong to a model and were not given.

use super::merge::{self, ShardName};
use crate::model::{FileRole, FormatId, ModelFile, Place};

/// Names of the files that the model states and that are not among its own: external data and shards, by the paths that
/// they would have beside it. A shard that was given but could not be read counts as one.
///
/// Names that lead out of the model's folder are left out: such a file is not asked for.
pub fn missing_files(model: &ModelFile) -> Vec<String> {
    let given = |name: &str| model.files.iter().any(|f| f.name == name);
    // The shards of a TensorFlow checkpoint lie beside its index, wherever its graph is.
    let index = model.files.iter().find(|f| model.format == FormatId::TensorFlow && f.name.ends_with(".index"));
    let home = index.or(model.files.first()).and_then(|f| f.name.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let mut names = Vec::new();
    let mut last = "";
    for tensor in &model.tensors {
        let Place::Missing { file, .. } = &tensor.place else { continue };
        // Thousands of tensors in a row name the same file.
        if file == last || given(file) {
            continue;
        }
        last = file;
        if let Some(plain) = merge::plain_location(file) {
            names.push(if home.is_empty() { plain } else { format!("{home}/{plain}") });
        }
    }
    for file in model.files.iter().filter(|f| matches!(f.role, FileRole::Shard { .. })) {
        let Some(shard) = ShardName::parse(&file.name) else { continue };
        names.extend((1..=shard.total.min(merge::SHARDS_MOST)).map(|number| shard.with_number(number)));
        break;
    }
    names.extend(model.awaited.iter().map(|file| file.name.clone()));
    crate::order::sort(&mut names);
    names.dedup();
    names.retain(|name| !given(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{FileSummary, Metadata, TensorEntry, Version},
        tensor::{Encoding, Shape},
    };

    fn model(format: FormatId, files: &[(&str, FileRole)], missing: &[&str]) -> ModelFile {
        let tensor = |file: &&str| TensorEntry {
            name: "t".into(),
            shape: Shape::default(),
            encoding: Encoding::Unknown,
            place: Place::Missing { file: (*file).into(), at: 0..0 },
            bytes: None,
        };
        ModelFile {
            format,
            version: Version::default(),
            files: files.iter().map(|(n, r)| FileSummary { name: (*n).into(), bytes: 1, role: r.clone() }).collect(),
            metadata: Metadata::default(),
            tensors: missing.iter().map(tensor).collect(),
            graph: None,
            sections: Vec::new(),
            notes: Vec::new(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }

    #[test]
    fn shards_are_named_by_the_one_that_is_here() {
        let split = model(
            FormatId::Gguf,
            &[
                ("m/a-00002-of-00003.gguf", FileRole::Shard { number: 2, total: 3 }),
                ("m/config.json", FileRole::Configuration),
            ],
            &[],
        );
        assert_eq!(missing_files(&split), ["m/a-00001-of-00003.gguf", "m/a-00003-of-00003.gguf"]);
    }

    #[test]
    fn external_data_lies_beside_the_model_and_never_outside() {
        let onnx = model(
            FormatId::Onnx,
            &[("m/x.onnx", FileRole::Weights)],
            &["w.bin", "w.bin", "../out.bin", "/etc/passwd", "./d/v.bin"],
        );
        assert_eq!(missing_files(&onnx), ["m/d/v.bin", "m/w.bin"]);
    }

    #[test]
    fn a_file_cut_short_does_not_miss_itself() {
        assert!(missing_files(&model(FormatId::Gguf, &[("a.gguf", FileRole::Weights)], &["a.gguf"])).is_empty());
    }
}
