//! Writing models: the GGUF writer against the reader, quantizers against libggml's bytes.

use std::path::Path;

use glassbox::{
    convert::{
        copy,
        exact::exact,
        gguf::Header,
        planned,
        quantize::{FileType, Options, Override, Plan, encoding, write},
    },
    fault::Result,
    model::{MetaType, MetaValue},
    source::SourceSet,
    tensor::ENCODINGS,
};
use proptest::prelude::*;

use crate::common::{files, writers};

#[path = "convert/folders.rs"]
mod folders;
#[path = "convert/parts.rs"]
mod parts;
#[path = "convert/rows.rs"]
mod rows;
#[path = "convert/unpacked.rs"]
mod unpacked;

/// A model written anew as it is.
fn rewritten(set: &SourceSet) -> Result<Vec<u8>> {
    let model = files::open(set)?;
    let mut header = Header::of(&model)?;
    header.remove(|key| key.starts_with("split."));
    header.tensors = model.tensors.iter().map(planned).collect::<Result<_>>()?;
    let all: Vec<usize> = (0..model.tensors.len()).collect();
    let mut out = Vec::new();
    let written = files::block_on(copy(&header, &all, set, &model, &mut out, &mut |_, _| {}))?;
    assert_eq!(written, out.len() as u64);
    Ok(out)
}

fn rewritten_bytes(bytes: &[u8]) -> Vec<u8> {
    rewritten(&files::in_memory(&[("model.gguf", bytes)])).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn a_gguf_file_with_values_of_every_type_is_written_byte_for_byte() {
    let mut file = writers::Gguf::small();
    for (key, value) in writers::Value::one_of_each() {
        file.set(&format!("test.{key}"), value);
    }
    file.set("test.not utf-8", writers::Value(8, writers::string([0xff, 0xfe, b'a'])));
    let many: Vec<Vec<u8>> = (0..5000u32)
        .map(|i| writers::string([vec![0xf0, (i % 256) as u8], vec![b'x'; i as usize % 70]].concat()))
        .collect();
    file.set("test.many", writers::Value::array(8, &many));
    let numbers: Vec<Vec<u8>> = (0..100_000u32).map(|i| (i as f32).to_le_bytes().to_vec()).collect();
    file.set("test.numbers", writers::Value::array(6, &numbers));
    assert!(rewritten_bytes(&file.bytes()) == file.bytes());
    file.alignment = 256;
    file.set("general.alignment", writers::Value::u32(256));
    assert!(rewritten_bytes(&file.bytes()) == file.bytes());
}

#[test]
fn every_version_and_byte_order_comes_out_as_the_newest() {
    let newest = rewritten_bytes(&writers::Plain::file(3, false));
    assert_eq!(newest, writers::Plain::file(3, false));
    for (version, big_endian) in [(1, false), (1, true), (2, false), (2, true), (3, true)] {
        let other = rewritten_bytes(&writers::Plain::file(version, big_endian));
        assert_eq!(other, newest, "version {version}, big endian: {big_endian}");
    }
}

#[test]
fn the_sample_is_written_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/gguf");
    for name in ["sample-q4_k_m.gguf", "sample-f16.gguf", "sample-q8_0.gguf"] {
        let ours = rewritten(&files::on_disk(&folder, &[name])).unwrap();
        assert!(ours == std::fs::read(folder.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn values_that_do_not_fit_their_type_are_refused() {
    let mut header = Header::default();
    let fault = header.set("a", &MetaValue::Unsigned(256, MetaType::U8)).unwrap_err();
    assert_eq!(fault.what, "256 does not fit the type u8: it holds 0 to 255");
    assert!(header.set("a", &MetaValue::Signed(-129, MetaType::I8)).is_err());
    assert!(header.entries.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_header_is_written_as_it_was_read(
        entries in prop::collection::vec(("[a-z]{1,9}\\.[a-z_]{1,20}", 0usize..15, any::<u64>()), 0..12),
        tensors in prop::collection::vec(("[a-z.]{1,40}", 1u64..5, 1u64..40), 1..9),
    ) {
        let mut file = writers::Gguf::small();
        let kinds = writers::Value::one_of_each();
        for (i, (key, kind, bits)) in entries.into_iter().enumerate() {
            let mut value = kinds[kind].1.clone();
            if value.0 < 7 || value.0 > 9 {
                let width = value.1.len();
                value.1.copy_from_slice(&bits.to_le_bytes()[..width]);
            }
            // A signalling NaN may come back quiet only where floats were decoded; entries are copied as bytes.
            file.set(&format!("{key}.{i}"), value);
        }
        for (i, (name, rows, row)) in tensors.into_iter().enumerate() {
            let data = (0..rows * row * 4).map(|n| (n * 7 + i as u64) as u8).collect();
            file.tensors.push(writers::Tensor { name: format!("{name}{i}"), dims: vec![row, rows], kind: 0, offset: None, data });
        }
        let bytes = file.bytes();
        prop_assert!(rewritten_bytes(&bytes) == bytes);
    }
}

/// The digests that tests/corpus/make/quantized_blocks.py wrote.
fn reference() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/quantized/blocks.json");
    serde_json::from_slice(&std::fs::read(path).expect("the digests are in the repository")).expect("JSON")
}

#[test]
fn quantizers_write_the_very_bytes_of_libggml() {
    let reference = reference();
    let count = reference["rows"].as_u64().unwrap() * reference["row"].as_u64().unwrap();
    let text = |digest: u64| format!("{digest:016x}");
    let mut compared = 0;
    for (kind, input) in reference["inputs"].as_object().unwrap() {
        let values = rows::values(kind, count);
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(&text(rows::digest(&bytes)), input, "the rows of {kind:?} are not those of the script");
        for (name, digests) in reference["blocks"].as_object().unwrap() {
            let spec = ENCODINGS.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name} has no row"));
            let encode = exact(spec.encoding).unwrap_or_else(|| panic!("{name} has no encoder"));
            let mut blocks = vec![0xa5; values.len() / spec.block_len as usize * spec.block_bytes as usize];
            encode(&values, &mut blocks);
            assert_eq!(text(rows::digest(&blocks)), digests[kind].as_str().unwrap(), "{name} of {kind:?}");
            compared += 1;
        }
    }
    assert!(compared > 400, "only {compared} comparisons");
}

#[test]
fn no_length_makes_a_quantizer_panic() {
    for spec in ENCODINGS {
        let Some(encode) = exact(spec.encoding) else { continue };
        let (len, size) = (spec.block_len as usize, spec.block_bytes as usize);
        for (values, bytes) in [(0, 0), (len - 1, size), (len, size - 1), (3 * len + 1, 2 * size), (len, 5 * size)] {
            encode(&vec![0.5; values], &mut vec![0; bytes]);
        }
        encode(&vec![f32::NAN; 2 * len], &mut vec![0; 2 * size]);
        encode(&vec![f32::INFINITY; 2 * len], &mut vec![0; 2 * size]);
    }
}

/// CRC-32 as zip files have it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}

/// Options in the words of the command.
fn options(kind: &str, words: &serde_json::Value) -> Options {
    let kind = FileType::parse(kind).unwrap();
    let mut options = Options { kind, threads: 2, ..Options::default() };
    for word in words.as_array().unwrap() {
        let word = word.as_str().unwrap();
        let (name, value) = word.split_once(' ').unwrap_or((word, ""));
        match name {
            "--pure" => options.pure = true,
            "--allow-requantize" => options.requantize = true,
            "--output-tensor-type" => options.output = Some(encoding(value).unwrap()),
            "--token-embedding-type" => options.embedding = Some(encoding(value).unwrap()),
            "--tensor" => options.overrides.push(Override::parse(value).unwrap()),
            other => panic!("no option is called {other}"),
        }
    }
    options
}

fn quantized(set: &SourceSet, options: &Options) -> Result<Vec<u8>> {
    let model = files::open(set)?;
    let plan = Plan::of(&model, options)?;
    let mut out = Vec::new();
    let (written, moved) = files::block_on(write(&plan, set, &model, options, &mut out, &mut |_, _| {}))?;
    assert_eq!((written, moved.len()), (out.len() as u64, model.tensors.len()));
    Ok(out)
}

/// The sample alone needs no corpus; the small models of all architectures do.
fn compare_with_llama_cpp(root: &Path, prefix: &str, least: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/quantized/models.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases.as_array().unwrap() {
        let name = case[0].as_str().unwrap();
        let Some(below) = name.strip_prefix(prefix) else { continue };
        let (kind, words) = (case[1].as_str().unwrap(), &case[2]);
        let ours = quantized(&files::on_disk(root, &[below]), &options(kind, words));
        let ours = ours.unwrap_or_else(|fault| panic!("{name} as {kind} {words}: {fault}"));
        let found = (ours.len() as u64, format!("{:08x}", crc32(&ours)));
        assert_eq!(
            found,
            (case[3].as_u64().unwrap(), case[4].as_str().unwrap().to_owned()),
            "{name} as {kind} {words}"
        );
        compared += 1;
    }
    assert!(compared >= least, "only {compared} cases of {prefix}");
}

#[test]
fn the_sample_is_quantized_byte_for_byte_as_by_llama_cpp() {
    compare_with_llama_cpp(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample"), "sample/", 29);
}

#[test]
fn models_of_every_architecture_are_quantized_byte_for_byte_as_by_llama_cpp() {
    if let Some(corpus) = files::corpus() {
        compare_with_llama_cpp(&corpus, "corpus/", 330);
    }
}

#[test]
fn threads_and_pieces_change_no_byte() {
    // More values than are in memory at a time would take seconds here; several units are enough to mix them up.
    let data = rows::values("bell", 512 * 640).iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut file = writers::Gguf::small();
    file.tensors.push(writers::Tensor { name: "x.weight".into(), dims: vec![512, 640], kind: 0, offset: None, data });
    let set = files::in_memory(&[("model.gguf", &file.bytes())]);
    let with = |threads| {
        quantized(
            &set,
            &Options { kind: FileType::parse("Q5_K_S").unwrap(), threads, requantize: true, ..Options::default() },
        )
        .unwrap()
    };
    let one = with(1);
    assert!([2, 3, 7, 0].into_iter().all(|threads| with(threads) == one));
}

#[test]
fn values_that_are_no_numbers_are_named_with_tensor_and_row() {
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let fault = |values: &[f32], kind: &str| {
        let mut file = writers::Gguf::small();
        let dims = vec![32, values.len() as u64 / 32];
        file.tensors =
            vec![writers::Tensor { name: "x.weight".into(), dims, kind: 0, offset: None, data: floats(values) }];
        let set = files::in_memory(&[("model.gguf", &file.bytes())]);
        quantized(&set, &options(kind, &serde_json::json!(["--pure"]))).unwrap_err().to_string()
    };
    let mut values = vec![0.5; 96];
    values[70] = f32::NAN;
    assert_eq!(
        fault(&values, "Q8_0"),
        "model.gguf: x.weight: row 2, column 6 holds the value NaN, which no encoding rounds"
    );
    values[70] = 1e20;
    assert_eq!(
        fault(&values, "Q4_0"),
        "model.gguf: x.weight: row 2, column 0 holds the value 0.5, too large for Q4_0: its block spreads beyond what a half holds"
    );
}

#[test]
fn what_cannot_be_quantized_is_refused_with_its_reason() {
    let refused = |kind: &str| FileType::parse(kind).unwrap_err().what;
    assert!(refused("IQ2_XXS").starts_with("IQ2_XXS needs an importance matrix"));
    assert!(refused("q2_k_s").contains("importance matrix"));
    assert!(refused("Q9").starts_with("no type is called \"Q9\"; there are F32, F16"));
    assert_eq!(FileType::parse("q4_k").unwrap().name, "Q4_K_M");
    assert!(encoding("IQ3_XXS").unwrap_err().what.contains("importance matrix"));
    assert!(Override::parse("attn_v").err().unwrap().what.contains("PATTERN=TYPE"));
    assert!(Override::parse("(=Q8_0").err().unwrap().what.contains("not a regular expression"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/gguf");
    let again = quantized(&files::on_disk(&folder, &["sample-q8_0.gguf"]), &options("Q4_0", &serde_json::json!([])));
    assert!(again.unwrap_err().what.contains("is Q8_0 already"));
    let other = files::in_memory(&[("model.safetensors", &writers::small_safetensors())]);
    let other = quantized(&other, &options("Q4_0", &serde_json::json!([]))).unwrap_err();
    assert!(other.what.starts_with("a GGUF file expected, safetensors found"), "{other}");
}
