//! Every real file of the corpus opens as independent readers describe it.

#[path = "common/files.rs"]
mod files;

use std::collections::BTreeMap;

use files::{assert_well_formed, block_on, corpus, on_disk, open};
use glassbox::{
    formats::{self, ArrayItems},
    model::{MetaType, MetaValue, ModelFile, Place, Severity},
    source::SourceSet,
    tensor::Encoding,
};

fn corpus_file(name: &str) -> Option<(SourceSet, ModelFile)> {
    let files = on_disk(&corpus()?, &[name]);
    let model = open(&files).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert_well_formed(&model);
    Some((files, model))
}

fn encodings(model: &ModelFile) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for tensor in &model.tensors {
        *counts.entry(tensor.encoding.name()).or_default() += 1;
    }
    counts
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

fn troubles(model: &ModelFile) -> Vec<&str> {
    model.notes.iter().filter(|n| n.severity > Severity::Info).map(|n| n.what.as_str()).collect()
}

#[test]
fn gguf_files_hold_the_tensors_that_the_manifest_counts() {
    for (name, expected) in [
        ("gguf/superpoint.gguf", None),
        ("gguf/ratchet-test.gguf", Some(counts(&[("F16", 1)]))),
        ("gguf/ratchet-dummy.gguf", Some(counts(&[("F32", 10)]))),
        ("gguf/nanochat-q4_0.gguf", Some(counts(&[("Q4_0", 104), ("F16", 1)]))),
        ("gguf/nanochat-strokes-q4_0.gguf", Some(counts(&[("Q4_0", 56), ("F16", 2)]))),
        (
            "minilm/all-MiniLM-L6-v2-q4_k_m.gguf",
            Some(counts(&[("F32", 64), ("Q5_0", 28), ("Q4_K", 4), ("Q8_0", 3), ("Q6_K", 2)])),
        ),
    ] {
        let Some((_, model)) = corpus_file(name) else { return };
        match expected {
            Some(expected) => assert_eq!(encodings(&model), expected, "{name}"),
            None => assert_eq!(model.tensors.len(), 24, "{name}"),
        }
        assert!(model.tensors.iter().all(|t| matches!(t.place, Place::Here { .. })), "{name}");
    }
}

#[test]
fn vocabularies_open_without_a_warning_and_without_tensors() {
    for (kind, tokens) in [
        ("llama-spm", 32000),
        ("gpt-2", 50257),
        ("llama-bpe", 128256),
        ("qwen2", 151936),
        ("deepseek-coder", 32256),
        ("refact", 49216),
        ("bert-bge", 30522),
    ] {
        let name = format!("vocab/ggml-vocab-{kind}.gguf");
        let Some((files, model)) = corpus_file(&name) else { return };
        assert_eq!(troubles(&model), Vec::<&str>::new(), "{name}");
        let array = model.metadata.array("tokenizer.ggml.tokens").expect("tokens");
        assert_eq!((array.len, array.item, array.head.len()), (tokens, MetaType::String, 64), "{name}");
        let place = array.place.as_ref().expect("a long array stays in the file");
        let page = |range| block_on(formats::read_array(&files, &name, place, array.item, range)).expect("a page");
        let ArrayItems::Strings(all) = page(0..tokens) else { panic!("strings") };
        assert_eq!(all.len() as u64, tokens);
        for (head, read) in array.head.iter().zip(&all) {
            assert_eq!(*head, MetaValue::String(String::from_utf8_lossy(read).into_owned()));
        }
        // Pages that start before, at and after a mark are the same strings.
        for range in [1020..1030, 1024..1025, 2047..2050, tokens - 3..tokens, 5000..5000] {
            let ArrayItems::Strings(some) = page(range.clone()) else { panic!("strings") };
            assert_eq!(some, all[range.start as usize..range.end as usize], "{name} {range:?}");
        }
        let beyond = block_on(formats::read_array(&files, &name, place, array.item, tokens..tokens + 1));
        assert!(beyond.is_err_and(|f| f.what.contains("beyond the array's end")));
    }
}

#[test]
fn number_arrays_are_paged_as_they_were_written() {
    let Some((files, model)) = corpus_file("vocab/ggml-vocab-llama-spm.gguf") else { return };
    let name = "vocab/ggml-vocab-llama-spm.gguf";
    let types = model.metadata.array("tokenizer.ggml.token_type").expect("types");
    let place = types.place.as_ref().expect("long");
    let read = block_on(formats::read_array(&files, name, place, types.item, 0..5)).expect("a page");
    // <unk> unknown, <s> and </s> control, then byte tokens (llama.cpp's numbers).
    assert_eq!(read, ArrayItems::Integers(vec![2, 3, 3, 6, 6]));
    let scores = model.metadata.array("tokenizer.ggml.scores").expect("scores");
    let place = scores.place.as_ref().expect("long");
    let read = block_on(formats::read_array(&files, name, place, scores.item, 258..262)).expect("a page");
    // The last byte token, the double blank that SentencePiece never merges to, and the first merges.
    assert_eq!(read, ArrayItems::Floats(vec![0.0, -1e9, -1.0, -2.0]));
}

#[test]
fn version_1_is_read_and_said_to_be_old() {
    let Some((_, model)) = corpus_file("gguf/v1-ggml-vocab-llama.gguf") else { return };
    assert_eq!((model.version.as_str(), model.metadata.len()), ("1", 12));
    assert_eq!(model.metadata.array("tokenizer.ggml.tokens").map(|a| a.len), Some(32000));
    assert_eq!(troubles(&model), ["GGUF version 1, of August 2023"]);
    let Some((_, swapped)) = corpus_file("gguf/v1-FUGG-magic.ggml-vocab-llama.gguf") else { return };
    assert_eq!(swapped.metadata.len(), 12);
    assert_eq!(swapped.notes[0].at, Some(0));
}

#[test]
fn a_value_of_unknown_type_ends_the_list_and_says_where() {
    let Some((_, model)) = corpus_file("gguf/v3-test_writer.gguf") else { return };
    assert_eq!(
        model.metadata.iter().map(|(k, _)| k).collect::<Vec<_>>()[..3],
        ["general.architecture", "llama.block_count", "answer"]
    );
    assert_eq!(model.metadata.len(), 6);
    let note = &model.notes[0];
    assert_eq!((note.severity, note.at), (Severity::Error, Some(0xcb)));
    assert!(note.what.contains("value type 13 of \"dict1\""), "{}", note.what);
}

#[test]
fn llama_files_in_every_encoding_hold_the_same_tensors() {
    let Some((_, f32)) = corpus_file("llama/llama2xs-f32.gguf") else { return };
    for kind in ["bf16", "f16", "q4_0", "q5_0", "q8_0"] {
        let Some((_, model)) = corpus_file(&format!("llama/llama2xs-{kind}.gguf")) else { return };
        let plain =
            |m: &ModelFile| m.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect::<BTreeMap<_, _>>();
        assert_eq!(plain(&model), plain(&f32), "{kind}");
        assert_eq!(model.parameters(), f32.parameters());
        assert_eq!(troubles(&model), Vec::<&str>::new(), "{kind}");
        assert!(encodings(&model).contains_key(&kind.to_uppercase()), "{kind}");
    }
    for kind in ["f32", "f16", "q4_0", "q8_0"] {
        let Some((_, model)) = corpus_file(&format!("llama/stories260K-{kind}.gguf")) else { return };
        assert_eq!(troubles(&model), Vec::<&str>::new(), "{kind}");
    }
}

#[test]
fn every_encoding_of_the_quant_zoo_is_named_and_sized() {
    let Some((_, model)) = corpus_file("quant/quant-zoo.gguf") else { return };
    assert_eq!(model.tensors.len(), 27);
    assert_eq!(troubles(&model), Vec::<&str>::new());
    for tensor in &model.tensors {
        let Place::Here { at, .. } = &tensor.place else { panic!("{}", tensor.name) };
        assert_eq!(Some(at.end - at.start), tensor.bytes, "{}", tensor.name);
        assert!(!matches!(tensor.encoding, Encoding::UnknownGgml(_)), "{}", tensor.name);
    }
}
