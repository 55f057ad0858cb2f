//! Files of every format in the corpus: recognised by content, with the tensors that its manifest counts.

use crate::common::files;
use std::collections::BTreeMap;

use files::{assert_well_formed, corpus, on_disk, open};
use glassbox::model::{ModelFile, Severity};

/// What must come of files opened together: format, tensors, encodings with their counts.
type Row = (&'static [&'static str], &'static str, usize, &'static [(&'static str, usize)]);

/// PyTorch, NumPy and pickles, as the manifest describes them (read there with PyTorch and numpy).
const PYTHON: &[Row] = &[
    (&["llama/llama2xs.ckpt.pt"], "PyTorch", 190, &[("F32", 190)]),
    (&["triple/mnist.pt"], "PyTorch", 20, &[("F32", 18), ("I64", 2)]),
    (&["pytorch/lightning-molkgnn-last.ckpt"], "PyTorch", 115, &[("F32", 115)]),
    (&["pytorch/candle-test.pt"], "PyTorch", 1, &[("I64", 1)]),
    (&["pytorch/candle-test_with_key.pt"], "PyTorch", 1, &[("I64", 1)]),
    (&["pytorch/candle-fortran_tensor_3d.pth"], "PyTorch", 1, &[("I64", 1)]),
    (&["pytorch/lpips-v0.0-alex.pth"], "PyTorch", 5, &[("F32", 5)]),
    (&["pytorch/lpips-v0.0-squeeze.pth"], "PyTorch", 7, &[("F32", 7)]),
    (&["pytorch/lpips-v0.0-vgg.pth"], "PyTorch", 5, &[("F32", 5)]),
    // The manifest's 56 are PyTorch's state dict; the quantized layers pack 16 weights and biases more beside it.
    (&["pytorch/torchscript-silero_micro_8k.jit"], "PyTorch", 88, &[("F32", 69), ("I64", 3), ("I8", 16)]),
    (&["pytorch/torchscript-tch-foo-2019.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/torchscript-tch-foo.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/torchscript-tch-foo2.pt"], "PyTorch", 0, &[]),
    (&["pytorch/torchscript-tch-foo7.pt"], "PyTorch", 0, &[]),
    (&["pytorch/burn/bfloat16.pt"], "PyTorch", 1, &[("BF16", 1)]),
    (&["pytorch/burn/bool.pt"], "PyTorch", 1, &[("BOOL", 1)]),
    (&["pytorch/burn/boolean.pt"], "PyTorch", 1, &[("BOOL", 1)]),
    (&["pytorch/burn/buffer.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/complex_nested.pt"], "PyTorch", 23, &[("F32", 20), ("I64", 3)]),
    (&["pytorch/burn/complex_structure.pt"], "PyTorch", 6, &[("F32", 6)]),
    (&["pytorch/burn/conv2d.pt"], "PyTorch", 3, &[("F32", 3)]),
    (&["pytorch/burn/conv_transpose1d.pt"], "PyTorch", 3, &[("F32", 3)]),
    (&["pytorch/burn/debug_test.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/embedding.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/enum_depthwise_true.pt"], "PyTorch", 4, &[("F32", 4)]),
    (&["pytorch/burn/extreme_values.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/float16.pt"], "PyTorch", 1, &[("F16", 1)]),
    (&["pytorch/burn/group_norm.pt"], "PyTorch", 2, &[("F32", 2)]),
    (&["pytorch/burn/int16.pt"], "PyTorch", 1, &[("I16", 1)]),
    (&["pytorch/burn/int64.pt"], "PyTorch", 1, &[("I64", 1)]),
    (&["pytorch/burn/int8.pt"], "PyTorch", 1, &[("I8", 1)]),
    (&["pytorch/burn/integer.pt"], "PyTorch", 1, &[("I64", 1)]),
    (&["pytorch/burn/key_remap.pt"], "PyTorch", 18, &[("F32", 15), ("I64", 3)]),
    (&["pytorch/burn/large_shape.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/legacy_shared_storage.pt"], "PyTorch", 3, &[("F32", 3)]),
    (&["pytorch/burn/legacy_uncloned_views.pt"], "PyTorch", 2, &[("F32", 2)]),
    (&["pytorch/burn/legacy_with_offsets.pt"], "PyTorch", 3, &[("F32", 3)]),
    (&["pytorch/burn/linear_with_bias.pt"], "PyTorch", 2, &[("F32", 2)]),
    (&["pytorch/burn/missing_module_field.pt"], "PyTorch", 2, &[("F32", 2)]),
    (&["pytorch/burn/mixed_types.pt"], "PyTorch", 4, &[("BOOL", 1), ("F32", 1), ("F64", 1), ("I64", 1)]),
    (&["pytorch/burn/parameter.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/scalar.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/simple_legacy.pt"], "PyTorch", 3, &[("F32", 3)]),
    (&["pytorch/burn/special_values.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/state_dict.pt"], "PyTorch", 4, &[("F32", 4)]),
    (&["pytorch/burn/tensor_3d.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/burn/tensor_4d.pt"], "PyTorch", 1, &[("F32", 1)]),
    (&["hostile/picklescan/data/pytorch_model.bin"], "PyTorch", 38, &[("F32", 38)]),
    (&["hostile/picklescan/data/new_pytorch_model.bin"], "PyTorch", 1, &[("F32", 1)]),
    (&["pytorch/candle-test.npy"], "NumPy", 1, &[("I64", 1)]),
    (&["pytorch/candle-test.npz"], "NumPy", 2, &[("I64", 2)]),
    (&["pickle/sklearn-scaler.pkl"], "Python pickle", 3, &[("F64", 3)]),
    (&["pickle/sklearn-onehot_encoder.pkl"], "Python pickle", 0, &[]),
];

/// GGML before GGUF, and llama2.c.
const GGML: &[Row] = &[
    (&["ggml/ggjt-v1.ggml-vocab.bin"], "GGML", 0, &[]),
    (&["ggml/ggmf-v1.ggml-vocab.bin"], "GGML", 0, &[]),
    (&["ggml/whisper.for-tests-ggml-tiny.bin"], "GGML", 0, &[]),
    (&["ggml/whisper.for-tests-ggml-tiny.en.bin"], "GGML", 0, &[]),
    (&["ggml/whisper.for-tests-ggml-parakeet-tdt.bin"], "GGML", 51, &[("F32", 51)]),
    (&["rwkv/tiny-rwkv-4v0-660K-FP32.bin"], "GGML", 78, &[("F32", 78)]),
    (&["rwkv/tiny-rwkv-4v0-660K-FP16.bin"], "GGML", 78, &[]),
    (&["rwkv/tiny-rwkv-4v0-660K-Q5_0.bin"], "GGML", 78, &[]),
    (&["rwkv/tiny-rwkv-4v0-660K-Q5_1.bin"], "GGML", 78, &[]),
    (&["llama/stories260K.bin"], "llama2.c", 49, &[("F32", 49)]),
    (&["llama/llama2xs.bin"], "llama2.c", 49, &[("F32", 49)]),
    (&["llama/llama2c-v2-int8.shifted260k.bin"], "llama2.c", 67, &[("F32", 38), ("I8", 29)]),
];

#[test]
fn files_before_gguf_hold_what_the_manifest_says() {
    hold(GGML);
}

/// TensorFlow (constants counted by a walk of the protobuf in Python): graphs, checkpoints with their shards, TensorFlow Lite.
const TENSORFLOW: &[Row] = &[
    (&["tensorflow/frozen-regression.pb"], "TensorFlow", 2, &[("F32", 2)]),
    (&["tensorflow/frozen-lstm.pb"], "TensorFlow", 106, &[("F32", 36), ("I32", 70)]),
    (&["tensorflow/savedmodel-redundant-inputs.pb"], "TensorFlow", 1, &[("F32", 1)]),
    (
        &["tensorflow/savedmodel-regression/saved_model.pb"],
        "TensorFlow",
        33,
        &[("F32", 8), ("I32", 14), ("STRING", 11)],
    ),
    (&["tensorflow/ckptv2-regression/model.meta"], "TensorFlow", 25, &[("F32", 8), ("I32", 12), ("STRING", 5)]),
    (
        &["tensorflow/ckptv2-mnist-cnn-missing-data/model2.ckpt.meta"],
        "TensorFlow",
        116,
        &[("F32", 39), ("I32", 18), ("STRING", 59)],
    ),
    (
        &["tensorflow/ckptv2-regression/model.index", "tensorflow/ckptv2-regression/model.data-00000-of-00001"],
        "TensorFlow",
        2,
        &[("F32", 2)],
    ),
    (
        &[
            "tensorflow/savedmodel-regression/variables/variables.index",
            "tensorflow/savedmodel-regression/variables/variables.data-00000-of-00001",
        ],
        "TensorFlow",
        2,
        &[("F32", 2)],
    ),
    (
        &[
            "tensorflow/savedmodel-regression/saved_model.pb",
            "tensorflow/savedmodel-regression/variables/variables.index",
            "tensorflow/savedmodel-regression/variables/variables.data-00000-of-00001",
        ],
        "TensorFlow",
        35,
        &[("F32", 10), ("I32", 14), ("STRING", 11)],
    ),
    (&["tensorflow/fully_connected.tflite"], "TensorFlow Lite", 2, &[]),
    (&["tensorflow/dummy_embedding_cpu_model.tflite"], "TensorFlow Lite", 1, &[]),
    (&["tensorflow/regression.tflite"], "TensorFlow Lite", 2, &[]),
];

/// Keras, counted with h5py 3 (the manifest calls the one I64, the optimizer's step, F32 too).
const KERAS: &[Row] = &[
    (&["tensorflow/churn-ann.h5"], "Keras", 20, &[("F32", 19), ("I64", 1)]),
    (&["hostile/hdf5-tiny.h5"], "Keras", 0, &[]),
];

#[test]
fn keras_files_hold_what_the_manifest_says() {
    hold(KERAS);
}

#[test]
fn tensorflow_files_hold_what_the_manifest_says() {
    hold(TENSORFLOW);
}

fn encodings(model: &ModelFile) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for tensor in &model.tensors {
        *counts.entry(tensor.encoding.name().into_owned()).or_insert(0) += 1;
    }
    counts
}

fn hold(rows: &[Row]) {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for (names, format, tensors, counts) in rows {
        let set = on_disk(&corpus, names);
        let model = match open(&set) {
            Ok(model) => model,
            Err(fault) => {
                wrong.push(format!("{names:?}: {fault}"));
                continue;
            }
        };
        assert_well_formed(&model);
        let expected: BTreeMap<String, usize> = counts.iter().map(|(e, n)| ((*e).to_owned(), *n)).collect();
        let errors: Vec<&str> =
            model.notes.iter().filter(|n| n.severity == Severity::Error).map(|n| n.what.as_str()).collect();
        let fits = counts.is_empty() && *tensors > 0 || encodings(&model) == expected;
        if model.format.name() != *format || model.tensors.len() != *tensors || !fits || !errors.is_empty() {
            let names_found: Vec<&str> = model.tensors.iter().map(|t| t.name.as_str()).take(12).collect();
            let (found, n) = (model.format.name(), model.tensors.len());
            wrong.push(format!("{names:?}: {found} {n} {:?} {names_found:?} {errors:?}", encodings(&model)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pytorch_numpy_and_pickle_files_hold_what_the_manifest_says() {
    hold(PYTHON);
}

/// Files of picklescan's own tests, and what picklescan 0.0.x reported for each (run on them): the imports that it
/// calls dangerous. Every one of them must be named here in a note of severity error.
const DANGEROUS: &[(&str, &[&str])] = &[
    ("broken_model.pkl", &["builtins.exec"]),
    ("malicious-invalid-bytes.pkl", &["os.system"]),
    ("malicious0.pkl", &["__builtin__.apply", "__builtin__.eval", "__builtin__.compile", "__builtin__.getattr"]),
    ("malicious1.zip", &["builtins.eval"]),
    ("malicious10.pkl", &["__builtin__.exec"]),
    ("malicious11.pkl", &["os.system"]),
    ("malicious12.pkl", &["operator.attrgetter", "builtins.__import__"]),
    ("malicious13a.pkl", &["pickle.loads"]),
    ("malicious13b.pkl", &["_pickle.loads"]),
    ("malicious14.pkl", &["runpy._run_code"]),
    ("malicious15a.pkl", &["__builtin__.getattr", "bdb.Bdb"]),
    ("malicious15b.pkl", &["bdb.Bdb", "bdb.Bdb.run"]),
    ("malicious16.pkl", &["pip.main"]),
    ("malicious17.pkl", &["torch._inductor.codecache.compile_file"]),
    ("malicious18.pkl", &["pydoc.pipepager"]),
    ("malicious19.pkl", &["torch.serialization.load", "functools.partial"]),
    ("malicious1_0x1.zip", &["builtins.eval"]),
    ("malicious1_0x20.zip", &["builtins.eval"]),
    ("malicious1_0x40.zip", &["builtins.eval"]),
    ("malicious1_central_directory.zip", &["builtins.eval"]),
    ("malicious1_v0.pkl", &["__builtin__.eval"]),
    ("malicious1_v3.pkl", &["builtins.eval"]),
    ("malicious1_v4.pkl", &["builtins.eval"]),
    ("malicious1_wrong_ext.zip", &["builtins.eval"]),
    ("malicious20.pkl", &["venv.create"]),
    ("malicious2_v0.pkl", &["posix.system"]),
    ("malicious2_v3.pkl", &["posix.system"]),
    ("malicious2_v4.pkl", &["posix.system"]),
    ("malicious3.pkl", &["httplib.HTTPSConnection"]),
    ("malicious4.pickle", &["requests.api.get"]),
    ("malicious5.pickle", &["aiohttp.client.ClientSession"]),
    ("malicious6.pkl", &["requests.api.get"]),
    ("malicious7.pkl", &["socket.create_connection"]),
    ("malicious8.pkl", &["subprocess.run"]),
    ("malicious9.pkl", &["sys.exit"]),
    ("pytorch_magic_bypass.pt", &["__builtin__.eval", "posix.system"]),
    ("sys_module_override_sploit.pkl", &["torch._utils"]),
];

#[test]
fn every_import_that_picklescan_calls_dangerous_is_an_error_here() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("hostile/picklescan/data");
    let mut wrong = Vec::new();
    for (name, imports) in DANGEROUS {
        match open(&on_disk(&folder, &[name])) {
            Err(fault) => wrong.push(format!("{name}: {fault}")),
            Ok(model) => {
                assert_well_formed(&model);
                let told = |import: &&&str| {
                    let mut notes = model.notes.iter().filter(|n| n.severity == Severity::Error && n.at.is_some());
                    notes.any(|n| n.what.contains(&format!(" {import} ")))
                };
                for import in imports.iter().filter(|i| !told(i)) {
                    let notes: Vec<&str> = model.notes.iter().map(|n| n.what.as_str()).collect();
                    wrong.push(format!("{name}: {import} is not told: {notes:#?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What picklescan finds nothing dangerous in, and what it cannot read: the test below says what is told of each.
const OTHERS: &[&str] = &[
    "bad_pytorch.pt",
    "benign0_v0.pkl",
    "benign0_v3.pkl",
    "benign0_v4.pkl",
    "benign_password_protected.zip",
    "malicious1.7z",
    "new_pytorch_model.bin",
    "not_a_pickle.bin",
    "pytorch_model.bin",
];

#[test]
fn every_hostile_file_of_picklescan_has_a_verdict_here() {
    let Some(corpus) = corpus() else { return };
    let mut names: Vec<String> = std::fs::read_dir(corpus.join("hostile/picklescan/data"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut judged: Vec<String> =
        DANGEROUS.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()).map(str::to_owned).collect();
    judged.sort();
    assert_eq!(names, judged);
    // picklescan calls sklearn's classes suspicious; they are known values here.
    for name in ["sklearn-onehot_encoder.pkl", "sklearn-scaler.pkl"] {
        let model = open(&on_disk(&corpus.join("pickle"), &[name])).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let told = model.notes.iter().any(|n| n.what.contains("holds scikit-learn's estimators: sklearn."));
        assert!(told && model.notes.iter().all(|n| n.severity == Severity::Info), "{name}: {:#?}", model.notes);
    }
}

#[test]
fn what_picklescan_calls_innocuous_opens_without_a_warning_and_is_never_called_safe() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("hostile/picklescan/data");
    for name in ["benign0_v0.pkl", "benign0_v3.pkl", "benign0_v4.pkl", "pytorch_model.bin", "new_pytorch_model.bin"] {
        let model = open(&on_disk(&folder, &[name])).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(model.notes.iter().all(|n| n.severity == Severity::Info), "{name}: {:#?}", model.notes);
        assert!(model.notes.iter().any(|n| n.what.contains("all followed to STOP")), "{name}: {:#?}", model.notes);
        assert!(model.notes.iter().all(|n| !n.what.to_lowercase().contains("safe")), "{name}");
    }
    for (name, words) in [
        ("benign_password_protected.zip", "no pickle among them; some are encrypted"),
        ("bad_pytorch.pt", "a pickle or a PyTorch archive expected"),
        ("not_a_pickle.bin", "not a model Glassbox opens"),
        ("malicious1.7z", "a 7z archive (unpack it first; a pickle at byte 35 of it would import \"builtins.eval\")"),
    ] {
        let fault = open(&on_disk(&folder, &[name])).err().unwrap_or_else(|| panic!("{name} opened"));
        assert!(fault.what.contains(words), "{name}: {fault}");
    }
}

/// Files of the manifest that are no model by themselves, by how their names end or begin, and what is said of them.
fn no_model(file: &str) -> Option<&'static str> {
    Some(match file {
        _ if file.ends_with(".json") || file.ends_with(".inp") || file.ends_with(".out") || file.ends_with(".txt") => {
            ""
        }
        _ if file.starts_with("tokenizers/") || file.ends_with(".tar.xz") || file.ends_with(".tok512.bin") => "",
        _ if file.starts_with("hostile/") => "",
        _ if file.ends_with(".pb") && file.starts_with("onnx/") => "",
        _ if file.contains(".data-0") => "values of a TensorFlow checkpoint",
        "ggml/ggml-unversioned.ggml-vocab.bin" => "probably a ggml vocabulary",
        "tensorflow/test_hf_tokenizer.litertlm" => "a LiteRT-LM container",
        "pytorch/burn/broken.pt" => "text, not a model",
        "gguf/v1-example.gguf" => "GGUF of a draft before version 1",
        "rwkv/expected-logits-4v0-660K.bin" => "",
        _ => return None,
    })
}

/// "190 tensors" of a description.
fn stated_tensors(what: &str) -> Option<usize> {
    let (front, _) = what.split_once(" tensors")?;
    front.rsplit([' ', '(', ';', ',']).next()?.parse().ok()
}

/// Differences that are ours to explain: file, what we count, why.
const COUNTED_OTHERWISE: &[(&str, usize, &str)] = &[
    (
        "pytorch/torchscript-silero_micro_8k.jit",
        88,
        "the manifest counts the state dict; packed weights and biases are listed too",
    ),
    ("gguf/v3-test_writer.gguf", 0, "a value of a type that GGUF does not define ends the reading before the tensors"),
    ("tensorflow/fully_connected.tflite", 2, "the manifest counts tensors without values too; tflite.tensors has them"),
    ("tensorflow/regression.tflite", 2, "the same"),
    ("tensorflow/dummy_embedding_cpu_model.tflite", 1, "the same"),
];

#[test]
fn every_file_of_the_manifest_opens_or_is_named_and_holds_as_many_tensors_as_it_says() {
    let Some(corpus) = corpus() else { return };
    let text = std::fs::read_to_string(corpus.join("MANIFEST.json")).expect("the corpus has a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let (mut wrong, mut opened, mut counted) = (Vec::new(), 0, 0);
    for entry in manifest.as_array().expect("a list") {
        let (file, what) = (entry["file"].as_str().expect("a name"), entry["what"].as_str().unwrap_or_default());
        let result = open(&on_disk(&corpus, &[file]));
        match (no_model(file), result) {
            (Some(words), Err(fault)) if fault.what.contains(words) => {}
            (Some(_), Err(fault)) => wrong.push(format!("{file}: {fault}")),
            (None, Err(fault)) => wrong.push(format!("{file} ({what}): {fault}")),
            (_, Ok(model)) => {
                assert_well_formed(&model);
                opened += 1;
                let Some(stated) = stated_tensors(what) else { continue };
                let expected = COUNTED_OTHERWISE.iter().find(|(f, ..)| *f == file).map_or(stated, |(_, n, _)| *n);
                counted += 1;
                if model.tensors.len() != expected {
                    wrong.push(format!("{file}: {} tensors, the manifest says: {what}", model.tensors.len()));
                }
            }
        }
    }
    eprintln!("{opened} files opened by themselves, {counted} counts of tensors compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(opened > 150 && counted > 60, "{opened} opened, {counted} compared: the manifest is not what it was");
}
