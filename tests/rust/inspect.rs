//! Every real file of the corpus opens as independent readers describe it.

mod onnx;

use crate::common::{files, synth_header, writers};
use std::collections::BTreeMap;

use files::{assert_well_formed, block_on, corpus, on_disk, open};
use glassbox::{
    formats::{self, ArrayItems},
    model::{MetaType, MetaValue, ModelFile, Place, Severity, TensorEntry},
    report::BlockReport,
    session::Inspection,
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
        *counts.entry(tensor.encoding.name().into_owned()).or_default() += 1;
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
    assert_eq!((model.version.text.as_str(), model.metadata.len()), ("1", 12));
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
    assert_eq!((note.severity, note.at), (Severity::Error, Some(0xcc)));
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

use files::{in_memory, open_bytes};
use glassbox::{
    model::{FormatId, SectionKind},
    source::{ByteSource, FileSource},
    tensor::Shape,
};
use synth_header::{gguf, safetensors, write_sparse};

#[test]
fn every_value_type_is_read_as_written() {
    let mut file = writers::Gguf::small();
    file.entries.clear();
    for (key, value) in writers::Value::one_of_each() {
        file.set(key, value);
    }
    let model = open_bytes("all.gguf", &file.bytes()).expect("opens");
    assert_well_formed(&model);
    let get = |key: &str| model.metadata.get(key).cloned().expect(key);
    assert_eq!(get("u8"), MetaValue::Unsigned(200, MetaType::U8));
    assert_eq!(get("i8"), MetaValue::Signed(-128, MetaType::I8));
    assert_eq!(get("u16"), MetaValue::Unsigned(60000, MetaType::U16));
    assert_eq!(get("i16"), MetaValue::Signed(-30000, MetaType::I16));
    assert_eq!(get("u32"), MetaValue::Unsigned(4_000_000_000, MetaType::U32));
    assert_eq!(get("i32"), MetaValue::Signed(-2_000_000_000, MetaType::I32));
    assert_eq!(get("f32"), MetaValue::Float(1.5, MetaType::F32));
    assert_eq!(get("bool"), MetaValue::Bool(true));
    assert_eq!(get("string"), MetaValue::String("grüße".into()));
    assert_eq!(get("u64"), MetaValue::Unsigned(u64::MAX, MetaType::U64));
    assert_eq!(get("i64"), MetaValue::Signed(i64::MIN, MetaType::I64));
    assert_eq!(get("f64"), MetaValue::Float(-2.25, MetaType::F64));
    let MetaValue::Array(nested) = get("nested") else { panic!("an array") };
    assert_eq!((nested.item, nested.len, nested.place.is_none()), (MetaType::Array, 2, true));
    let MetaValue::Array(inner) = &nested.head[0] else { panic!("an array") };
    assert_eq!(inner.head, [MetaValue::Unsigned(1, MetaType::U8), MetaValue::Unsigned(2, MetaType::U8)]);
    assert!(model.notes.iter().any(|n| n.what.contains("array of arrays")));
}

#[test]
fn all_versions_and_byte_orders_tell_the_same() {
    let reference = open_bytes("x.gguf", &writers::Plain::file(3, false)).expect("opens");
    assert_eq!(reference.tensors[0].shape, Shape(vec![2, 3]));
    for (version, big_endian) in [(1, false), (2, false), (1, true), (2, true), (3, true)] {
        let bytes = writers::Plain::file(version, big_endian);
        let model = open_bytes("x.gguf", &bytes).unwrap_or_else(|f| panic!("{version} {big_endian}: {f}"));
        assert_well_formed(&model);
        assert_eq!(model.version.text, format!("{version}{}", if big_endian { ", big endian" } else { "" }));
        assert_eq!(model.big_endian(), big_endian);
        assert_eq!(model.metadata, reference.metadata);
        assert_eq!(
            (&model.tensors[0].name, &model.tensors[0].shape),
            (&reference.tensors[0].name, &reference.tensors[0].shape)
        );
        let Place::Here { at, .. } = &model.tensors[0].place else { panic!("placed") };
        assert_eq!(bytes[at.start as usize..at.end as usize], [7; 24]);
        assert_eq!(troubles(&model).iter().filter(|n| !n.contains("version 1")).count(), 0);
    }
}

#[test]
fn a_custom_alignment_moves_the_data() {
    for alignment in [1usize, 8, 64, 4096] {
        let mut file = writers::Gguf::small();
        file.alignment = alignment;
        file.set("general.alignment", writers::Value::u32(alignment as u32));
        let bytes = file.bytes();
        let model = open_bytes("x.gguf", &bytes).expect("opens");
        assert_well_formed(&model);
        assert_eq!(troubles(&model), Vec::<&str>::new(), "{alignment}");
        for (tensor, written) in model.tensors.iter().zip(&file.tensors) {
            let Place::Here { at, .. } = &tensor.place else { panic!("placed") };
            assert_eq!(bytes[at.start as usize..at.end as usize], written.data, "{alignment}");
        }
    }
}

#[test]
fn a_sparse_2_gib_file_costs_its_header_and_at_most_1_mib() {
    let folder = tempfile::tempdir().expect("a folder");
    for (tensors, vocabulary) in [(300, 151_936), (300, 128_256), (30_000, 0), (30_000, 151_936)] {
        let (header, len) = gguf(synth_header::Shape { tensors, vocabulary, file_bytes: 2 << 30 });
        let path = folder.path().join("sparse.gguf");
        write_sparse(&path, &header, len).expect("a sparse file");
        let files = on_disk(folder.path(), &["sparse.gguf"]);
        let model = open(&files).expect("opens");
        std::fs::remove_file(&path).expect("removed");
        assert!(len >= 2 << 30);
        assert_eq!(model.tensors.len() as u64, tensors);
        assert_eq!(troubles(&model), Vec::<&str>::new());
        assert_well_formed(&model);
        let most = header.len() as u64 + (1 << 20);
        let read = files.bytes_read();
        assert!(read <= most, "{read} bytes read of {most} allowed");
        eprintln!("gguf {tensors} tensors, {vocabulary} tokens: header {} bytes, read {read}", header.len());
    }
    let (header, len) = safetensors(synth_header::Shape { tensors: 30_000, vocabulary: 0, file_bytes: 2 << 30 });
    let path = folder.path().join("sparse.safetensors");
    write_sparse(&path, &header, len).expect("a sparse file");
    let files = on_disk(folder.path(), &["sparse.safetensors"]);
    let model = open(&files).expect("opens");
    assert_eq!((model.tensors.len(), troubles(&model)), (30_000, vec![]));
    assert!(files.bytes_read() <= header.len() as u64 + (1 << 20));
}

#[test]
fn safetensors_files_hold_what_the_crate_finds() {
    let Some(corpus) = corpus() else { return };
    for name in [
        "quant/dtype-zoo.safetensors",
        "triple/mnist.safetensors",
        "safetensors/burn-multi_layer.safetensors",
        "safetensors/encodec-jfk-codes.safetensors",
        "safetensors/lora-gpt2/adapter_model.safetensors",
        "safetensors/samples/overall.safetensors",
        "hf-llama2xs/model-00001-of-00002.safetensors",
    ] {
        let bytes = std::fs::read(corpus.join(name)).expect(name);
        // Alone under a neutral name: a shard's name would make it ask for its siblings.
        let model = open_bytes("x.safetensors", &bytes).unwrap_or_else(|f| panic!("{name}: {f}"));
        assert_well_formed(&model);
        assert!(model.notes.iter().all(|n| n.severity < Severity::Warning), "{name}: {:?}", model.notes);
        same_as_the_crate(&model, &bytes);
    }
}

/// Names, dtypes, shapes and bytes are the crate's.
fn same_as_the_crate(model: &ModelFile, bytes: &[u8]) {
    let theirs = ::safetensors::SafeTensors::deserialize(bytes).expect("the crate accepts it");
    assert_eq!(model.tensors.len(), theirs.len());
    for tensor in &model.tensors {
        let view = theirs.tensor(&tensor.name).expect("the crate has it");
        assert_eq!(tensor.shape.0, view.shape().iter().map(|d| *d as u64).collect::<Vec<_>>());
        assert_eq!(format!("{:?}", tensor.encoding).to_uppercase(), format!("{:?}", view.dtype()), "{}", tensor.name);
        let Place::Here { at, .. } = &tensor.place else { panic!("placed") };
        assert_eq!(&bytes[at.start as usize..at.end as usize], view.data());
    }
}

#[test]
fn a_hugging_face_folder_is_one_model() {
    let Some(corpus) = corpus() else { return };
    let names = [
        "hf-llama2xs/config.json",
        "hf-llama2xs/generation_config.json",
        "hf-llama2xs/model-00002-of-00002.safetensors",
        "hf-llama2xs/model.safetensors.index.json",
        "hf-llama2xs/model-00001-of-00002.safetensors",
        "hf-llama2xs/tokenizer.json",
        "hf-llama2xs/tokenizer_config.json",
    ];
    let files = on_disk(&corpus, &names);
    let model = open(&files).expect("opens");
    assert_well_formed(&model);
    assert_eq!(troubles(&model), Vec::<&str>::new());
    let roles: Vec<_> = model.files.iter().map(|f| f.role.to_string()).collect();
    assert_eq!(
        roles,
        [
            "shard 1 of 2",
            "shard 2 of 2",
            "configuration",
            "generation settings",
            "index",
            "tokenizer",
            "tokenizer settings"
        ]
    );
    assert_eq!(model.metadata.string("config.model_type"), Some("llama"));
    assert_eq!(model.metadata.unsigned("config.hidden_size"), Some(64));
    assert_eq!(model.metadata.get("config.rms_norm_eps"), Some(&MetaValue::Float(1e-5, MetaType::F64)));
    assert_eq!(model.metadata.get("config.tie_word_embeddings"), Some(&MetaValue::Bool(true)));
    let architectures = model.metadata.array("config.architectures").expect("a list");
    assert_eq!(architectures.head, [MetaValue::String("LlamaForCausalLM".into())]);
    assert!(model.tensors.iter().all(|t| t.encoding == Encoding::F16 && matches!(t.place, Place::Here { .. })));

    // The same tensors without the index; and with a shard missing, its tensors by name.
    let shards = on_disk(&corpus, &[names[2], names[4]]);
    assert_eq!(open(&shards).expect("opens").tensors, model.tensors);
    let part = open(&on_disk(&corpus, &[names[0], names[2], names[3]])).expect("opens");
    assert_well_formed(&part);
    assert_eq!(part.tensors.len(), model.tensors.len());
    let absent: Vec<_> = part.tensors.iter().filter(|t| t.encoding == Encoding::Unknown).collect();
    assert!(!absent.is_empty());
    for tensor in absent {
        assert!(matches!(&tensor.place, Place::Missing { file, .. } if file == "model-00001-of-00002.safetensors"));
    }
    assert!(part.notes[0].what.contains("\"model-00001-of-00002.safetensors\" is missing: part 1 of 2"));
    let alone = open(&on_disk(&corpus, &[names[4]])).expect("opens");
    assert!(alone.notes[0].what.contains("model-00002-of-00002.safetensors\" is missing"));
}

#[test]
fn an_index_that_contradicts_its_shards_is_noted() {
    let a = writers::safetensors(r#"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, &[1, 2]);
    let b = writers::safetensors(
        r#"{"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
        &[1, 2, 3],
    );
    let index =
        br#"{"metadata":{"total_size":99},"weight_map":{"x":"b.safetensors","y":"b.safetensors","q":"a.safetensors"}}"#;
    let files =
        [("m/a.safetensors", &a[..]), ("m/b.safetensors", &b[..]), ("m/model.safetensors.index.json", &index[..])];
    let model = open(&in_memory(&files)).expect("opens");
    assert_well_formed(&model);
    let all: Vec<_> = troubles(&model);
    for expected in [
        "the index places \"x\" in \"b.safetensors\", it lies in a.safetensors",
        "the index places \"q\" in \"a.safetensors\", which does not hold it",
        "the index does not name \"z\"",
        "The index states 99 bytes of tensors, the shards hold 5",
    ] {
        assert!(all.iter().any(|n| n.contains(expected)), "{expected} in {all:?}");
    }
}

#[test]
fn gguf_splits_are_one_model_and_a_missing_part_is_named() {
    let part = |no: u16, name: &str| {
        let mut file = writers::Gguf::small();
        file.tensors.truncate(1);
        file.tensors[0].name = name.into();
        if no > 0 {
            file.entries.clear();
        }
        file.set("split.no", writers::Value(2, no.to_le_bytes().to_vec()));
        file.set("split.count", writers::Value(2, 3u16.to_le_bytes().to_vec()));
        file.set("split.tensors.count", writers::Value(5, 3i32.to_le_bytes().to_vec()));
        file.bytes()
    };
    let (a, b, c) = (part(0, "a"), part(1, "b"), part(2, "c"));
    let name = |n: u32| format!("big-{n:05}-of-00003.gguf");
    let (n1, n2, n3) = (name(1), name(2), name(3));
    let model = open(&in_memory(&[(&n3, &c), (&n1, &a), (&n2, &b)])).expect("opens");
    assert_well_formed(&model);
    assert_eq!(model.tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(model.metadata.string("general.name"), Some("small"));
    assert_eq!(troubles(&model), Vec::<&str>::new());
    let part = open(&in_memory(&[(&n1, &a), (&n3, &c)])).expect("opens");
    assert_eq!(part.notes[0].what, "\"big-00002-of-00003.gguf\" is missing: part 2 of 3");
    assert_eq!(part.tensors.len(), 2);
    let lone = open(&in_memory(&[("renamed.gguf", &b)])).expect("opens");
    assert!(lone.notes[0].what.contains("part 2 of a model split in 3 files"), "{}", lone.notes[0].what);
    let swapped = open(&in_memory(&[(&n1, &a), (&n2, &c), (&n3, &b)])).expect("opens");
    assert!(swapped.notes[0].what.contains("calls itself part 3 of 3, its name part 2 of 3"));
}

#[test]
fn of_several_models_the_one_nearest_the_root_is_opened_and_the_others_noted() {
    let gguf = writers::Gguf::small().bytes();
    let onnx = writers::small_onnx();
    let st = writers::small_safetensors();
    let files =
        in_memory(&[("repo/onnx/model.onnx", &onnx), ("repo/model.safetensors", &st), ("repo/old/x.gguf", &gguf)]);
    let model = open(&files).expect("opens");
    assert_well_formed(&model);
    assert_eq!((model.format, model.files[0].name.as_str()), (FormatId::Safetensors, "repo/model.safetensors"));
    assert_eq!(model.notes.iter().filter(|n| n.what.contains("holds another")).count(), 2);
}

#[test]
fn a_file_on_disk_reads_only_what_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f"), [1, 2, 3, 4]).expect("written");
    let file = FileSource::open(&folder.path().join("f"), "f").expect("opens");
    assert_eq!(block_on(file.read(1..3)).expect("reads"), [2, 3]);
    assert!(FileSource::open(folder.path(), "d").is_err());
}

#[test]
fn a_block_is_told_by_fields_from_which_its_weights_can_be_reckoned() {
    let sample = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sample/gguf"));
    let inspection = block_on(Inspection::open(on_disk(sample, &["sample-q4_k_m.gguf"]))).expect("opens");
    let is_q4_k = |t: &TensorEntry| t.encoding == Encoding::Q4_K;
    let tensor = inspection.model().tensors.iter().position(is_q4_k).expect("the sample has Q4_K");
    let block = BlockReport::from(&block_on(inspection.block(tensor, 3)).expect("the block is read"));
    let bytes: Vec<u8> = block.hex.split(' ').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
    let field = |name: &str| block.fields.iter().find(|f| f.name == name).expect(name);
    let (d, dmin, scales) = (field("d").numbers[0], field("dmin").numbers[0], &field("scales").numbers);
    let qs = &bytes[field("qs").at as usize..];
    for (i, value) in block.values.iter().enumerate() {
        let (group, lane) = (i / 32, i % 32);
        let q = qs[group / 2 * 32 + lane] >> (group % 2 * 4) & 15;
        let weight = d * scales[group] * f32::from(q) - dmin * scales[8 + group];
        assert_eq!(*value, weight, "weight {i}");
    }
    assert_eq!(block.values, block_on(inspection.values(tensor, 768..1024)).expect("the same values by number"));
    assert_eq!((block.index, block.values.len(), bytes.len()), (3, 256, 144));
}

#[test]
fn values_and_blocks_beyond_the_end_are_refused_in_words() {
    let sample = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sample/gguf"));
    let inspection = block_on(Inspection::open(on_disk(sample, &["sample-q8_0.gguf"]))).expect("opens");
    let elements = inspection.tensor_values(0).expect("it is here").elements();
    let refusal = |range| block_on(inspection.values(0, range)).unwrap_err().what;
    assert!(refusal(0..elements + 1).contains(&format!("the tensor has {elements}")));
    assert!(block_on(inspection.values(0, elements..elements)).unwrap().is_empty());
    assert!(block_on(inspection.block(0, u64::MAX)).unwrap_err().what.contains("was asked for; the tensor has"));
    assert_eq!(block_on(inspection.values(9999, 0..1)).unwrap_err().what, "there is no tensor number 9999");
}
