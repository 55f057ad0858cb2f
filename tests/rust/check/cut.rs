//! What is missing of a cut file is told to the byte.

use super::*;

/// The salvage of a prefix, held against the whole file.
fn salvage(name: &str, whole: &ModelFile, bytes: &[u8], end: usize) -> Option<Salvage> {
    let part = bytes.get(..end)?;
    let model = files::open_bytes(name, part).ok()?;
    // A cut in the padding behind the last tensor loses nothing.
    let last =
        whole.tensors.iter().filter_map(|t| if let Place::Here { at, .. } = &t.place { Some(at.end) } else { None });
    let needed = last.max().unwrap_or(bytes.len() as u64);
    let Some(found) = check::salvage(&model) else {
        // A file before GGUF that ends with its vocabulary is a whole one.
        let vocabulary = model.notes.iter().any(|n| n.what.contains("a vocabulary alone"));
        assert!(end as u64 >= needed || vocabulary, "{name} cut at {end}: nothing is said to be missing");
        return None;
    };
    let here = model
        .tensors
        .iter()
        .filter(|t| matches!(t.place, Place::Here { .. } | Place::Strided { .. } | Place::Inline))
        .count();
    assert_eq!(found.complete, here as u64, "{name} cut at {end}");
    assert_eq!(found.complete + found.partial + found.missing, model.tensors.len() as u64, "{name} cut at {end}");
    assert!(found.files.iter().all(|f| f.missing.windows(2).all(|w| w[0].end < w[1].start)), "merged");
    if model.cuts.is_empty() {
        // The header is whole: everything is known to the byte.
        let partial = whole
            .tensors
            .iter()
            .filter(|t| matches!(&t.place, Place::Here { at, .. } if at.start < end as u64 && at.end > end as u64));
        assert_eq!(found.partial, partial.count() as u64, "{name} cut at {end}");
        let [file] = found.files.as_slice() else { panic!("one file") };
        assert!(!file.more);
        assert_eq!(file.missing.last().map(|r| r.end), Some(needed), "{name} cut at {end}");
        let lost: u64 = file.missing.iter().map(|r| r.end - r.start).sum();
        let bytes_of = |t: &glassbox::model::TensorEntry| t.bytes.unwrap_or(0);
        let all: u64 = model.tensors.iter().map(bytes_of).sum();
        assert_eq!((found.bytes_all, found.bytes_here + lost), (all, all), "{name} cut at {end}");
    }
    Some(found)
}

#[test]
fn what_any_prefix_lacks_is_told_to_the_byte() {
    for (name, bytes) in [
        ("x.gguf", llama().bytes()),
        ("x.safetensors", writers::small_safetensors()),
        ("x.onnx", writers::small_onnx()),
        ("x.bin", containers::ggjt(3, 0, &[1; 128])),
    ] {
        let whole = files::open_bytes(name, &bytes).expect("opens");
        let mut told = 0;
        for end in 0..bytes.len() {
            told += usize::from(salvage(name, &whole, &bytes, end).is_some());
        }
        assert!(told * 2 > bytes.len(), "{name}: {told} of {} prefixes", bytes.len());
    }
}

#[test]
fn the_missing_ranges_of_a_cut_sample_are_exact() {
    let bytes = std::fs::read(sample("gguf/sample-q8_0.gguf")).expect("reads");
    let whole = files::open_bytes("x.gguf", &bytes).expect("opens");
    let found = salvage("x.gguf", &whole, &bytes, 600_000).expect("not whole");
    let Some(Place::Here { at, .. }) =
        whole.tensors.iter().map(|t| &t.place).max_by_key(|p| if let Place::Here { at, .. } = p { at.end } else { 0 })
    else {
        panic!("placed")
    };
    assert_eq!(found.files[0].missing, std::slice::from_ref(&(600_000..at.end)));
    assert_eq!((found.partial, found.unlisted), (1, Some(0)));
}

#[test]
fn a_file_cut_within_its_list_counts_what_is_not_listed_and_runs_nowhere() {
    let file = llama();
    let header = file.header();
    // Within the metadata, and within the list of tensors.
    for end in [200, header.len() - 70] {
        let files = one("x.gguf", file.bytes()[..end].to_vec());
        let inspection = inspection(&files);
        let found = check::salvage(inspection.model()).expect("not whole");
        let listed = inspection.model().tensors.len() as u64;
        assert_eq!((found.missing, found.unlisted), (listed, Some(file.tensors.len() as u64 - listed)), "cut at {end}");
        assert!(found.files[0].more, "nothing says how far the file goes");
        let report = block_on(async {
            Ok::<_, glassbox::fault::Fault>(serde_json::to_value(ModelReport::of(&inspection).await))
        });
        let report = report.expect("reports").expect("JSON");
        let runners = report["runners"].as_array().expect("a list");
        let verdict = runners.iter().find(|r| r["name"] == "llama.cpp").expect("named");
        assert_eq!(verdict["verdict"], "no", "cut at {end}: {verdict}");
        assert!(report["salvage"]["unlisted"].as_u64() > Some(0));
    }
}

#[test]
fn lists_of_missing_shards_name_the_files_and_what_is_known_of_them() {
    let mut files = folder(&sample("hf"));
    files.remove("model-00002-of-00002.safetensors");
    let inspection = inspection(&files);
    let found = check::salvage(inspection.model()).expect("not whole");
    let [file] = found.files.as_slice() else { panic!("{found:?}") };
    assert_eq!((file.name.as_str(), file.bytes, file.more), ("model-00002-of-00002.safetensors", None, true));
    assert!(found.complete > 0 && found.missing > 0 && found.partial == 0);
}
