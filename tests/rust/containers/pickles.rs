//! The X-ray of pickles, calibrated: what checkpoints hold raises no alarm, and what loads, fetches or runs always does.

use std::path::{Path, PathBuf};

use glassbox::model::{ModelFile, Note, Severity};

use super::{files::open, on_disk, open_bytes, small_values};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/pickles")
}

fn alarms(model: &ModelFile) -> Vec<&Note> {
    model.notes.iter().filter(|n| n.severity > Severity::Info).collect()
}

/// Written by the libraries themselves, or with stand-ins of the same names: see `tests/corpus/make/pickles.py`.
#[test]
fn harmless_pickles_raise_no_alarm() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the samples are in the repository")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 25, "{names:?}");
    let mut wrong = Vec::new();
    for name in &names {
        let model = open(&on_disk(&folder(), &[name])).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        wrong.extend(alarms(&model).iter().map(|n| format!("{name}: {}", n.what)));
        let told = model.notes.iter().any(|n| n.severity == Severity::Info && n.what.contains(" holds "));
        assert!(told, "{name}: no known value types are told: {:#?}", model.notes);
        assert!(model.notes.iter().any(|n| n.what.contains("all followed to STOP")), "{name}: {:#?}", model.notes);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arrays_of_joblib_are_shown_with_their_values() {
    let bytes = std::fs::read(folder().join("arrays.joblib")).expect("the sample");
    assert_eq!(small_values("arrays.joblib", &bytes, "x"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(small_values("arrays.joblib", &bytes, "f"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "Fortran's order");
    let model = open_bytes("arrays.joblib", &bytes).expect("it opens");
    assert!(
        model.metadata.iter().any(|(key, _)| key == "last"),
        "what follows the arrays is read: {:?}",
        model.metadata
    );
}

/// `pickle.load` would run what `joblib.load` takes for the values of an array.
#[test]
fn opcodes_in_the_values_of_an_array_of_joblib_are_seen() {
    let text = |t: &str| [&b"X"[..], &(t.len() as u32).to_le_bytes(), t.as_bytes()].concat();
    let hidden = b"0cos\nsystem\n(S'ls'\ntR.";
    let kind = [&b"cnumpy\ndtype\n("[..], &text("u1"), b"\x89\x88tR"].concat();
    let state =
        [&b"}("[..], &text("shape"), b"K", &[hidden.len() as u8], b"\x85", &text("dtype"), &kind, b"u"].concat();
    let wrapper = b"\x80\x03cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81";
    let file = [&wrapper[..], &state, b"b", hidden, b"."].concat();
    let model = open_bytes("x.joblib", &file).expect("it opens");
    let told = model.notes.iter().any(|n| n.severity == Severity::Error && n.what.contains("would import os.system"));
    assert!(told, "{:#?}", model.notes);
}

/// One line each: what a pickle imports, and whether it calls it.
#[test]
fn what_loads_fetches_or_runs_by_a_librarys_own_doing_is_an_error() {
    for import in [
        "pandas.io.parsers.readers read_csv",
        "pandas read_pickle",
        "numpy load",
        "numpy fromfile",
        "numpy._core _ufunc_reconstruct",
        "mlflow.projects.backend.local _run_entry_point",
        "mlflow.pyfunc load_model",
        "torch.distributed.rpc rpc_sync",
        "torch.hub load",
        "torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression",
        "torch.fx.graph_module reduce_graph_module",
        "torch.jit load",
        "torch.utils.cpp_extension load_inline",
        "transformers.models.auto.modeling_auto AutoModel.from_pretrained",
        "transformers pipeline",
        "huggingface_hub.file_download hf_hub_download",
        "diffusers DiffusionPipeline.from_pretrained",
        "datasets.load load_dataset",
        "sklearn.datasets fetch_openml",
        "sklearn.utils._testing check_output",
        "joblib load",
        "joblib.numpy_pickle load",
        "timeit timeit",
        "runpy run_path",
        "importlib import_module",
        "ctypes CDLL",
        "pty spawn",
        "code InteractiveInterpreter.runsource",
        "builtins getattr",
        "builtins map",
        "functools reduce",
        "operator attrgetter",
        "operator methodcaller",
        "itertools starmap",
        "logging FileHandler",
        "logging.config listen",
        "pathlib Path.write_text",
        "pathlib os.execv",
        "uuid _get_command_stdout",
        "argparse FileType",
        "yaml unsafe_load",
        "dill loads",
        "cloudpickle.cloudpickle _make_function",
        "copyreg add_extension",
        "types FunctionType",
        "tensorflow load_op_library",
        "keras.src.saving.saving_lib load_model",
        "onnx load",
        "somebody.tools download_file",
        "somebody.tools _run_job",
        "six.moves.builtins compile_it",
        "torch.nn.modules.linear Linear.__init__.__globals__.get",
    ] {
        let (module, name) = import.split_once(' ').expect("module and name");
        let stack = |t: &str| [&[0x8c, t.len() as u8][..], t.as_bytes()].concat();
        let file = [&b"\x80\x04"[..], &stack(module), &stack(name), b"\x93(", &stack("x"), b"tR."].concat();
        let model = open_bytes("x.pkl", &file).unwrap_or_else(|fault| panic!("{import}: {fault}"));
        let error = model.notes.iter().find(|n| n.severity == Severity::Error && n.what.contains("would import"));
        assert!(error.and_then(|n| n.why.as_deref()).is_some_and(|w| w.contains("it")), "{import}: {:#?}", model.notes);
    }
}

/// The constructor of such a class reads a file; `__new__` and a state do not.
#[test]
fn a_known_class_is_a_value_only_as_far_as_its_row_goes() {
    let import = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n";
    let made = open_bytes("x.pkl", &[&import[..], b")\x81}b."].concat()).expect("it opens");
    assert!(alarms(&made).is_empty(), "{:#?}", made.notes);
    let called = open_bytes("x.pkl", &[&import[..], b"(X\x02\0\0\0x.tR."].concat()).expect("it opens");
    assert_eq!(alarms(&called).len(), 1, "{:#?}", called.notes);
    let given = b"ctorch._tensor\n_rebuild_from_type_v2\n(cultralytics.nn.tasks\nDetectionModel\nctorch\nTensor\n(X\x02\0\0\0x.t}tR.";
    let given = open_bytes("x.pkl", &[&b"\x80\x02"[..], given].concat()).expect("it opens");
    assert_eq!(alarms(&given).len(), 1, "what is called through another counts as called: {:#?}", given.notes);
    let set = open_bytes("x.pkl", b"\x80\x02cpathlib\nPosixPath\n}X\x01\0\0\0aK\x01sb.").expect("it opens");
    assert!(alarms(&set).iter().any(|n| n.what.contains("set attributes of")), "{:#?}", set.notes);
}

/// A member of an enum is written as `getattr(Class, "MEMBER")`; any other use of `getattr` reaches functions.
#[test]
fn getattr_is_a_value_for_members_of_enums_alone() {
    let ask = |module: &str, class: &str, name: &str| {
        let name = [&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat();
        let file = [
            &b"\x80\x02cbuiltins\ngetattr\nc"[..],
            module.as_bytes(),
            b"\n",
            class.as_bytes(),
            b"\n",
            &name,
            b"\x86R.",
        ];
        let model = open_bytes("x.pkl", &file.concat()).expect("it opens");
        alarms(&model).iter().map(|n| n.severity).max()
    };
    assert_eq!(ask("http", "HTTPStatus", "OK"), None);
    assert_eq!(ask("mycompany.types", "Color", "RED"), Some(Severity::Warning));
    assert_eq!(ask("http", "HTTPStatus", "__init__"), Some(Severity::Error));
    assert_eq!(ask("pathlib", "Path", "write_text"), Some(Severity::Error));
    assert_eq!(ask("os", "Path", "O_RDONLY"), Some(Severity::Error));
}

/// Inputs modelled on public reports, kept outside the repository.
#[test]
fn the_cases_of_public_reports_have_the_severity_they_should_have() {
    let root = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    let cases = root.join("../cases/2026-11");
    if !cases.join("pickles").exists() {
        eprintln!("skipped: the cases are not there (set GLASSBOX_CORPUS; they lie beside it)");
        return;
    }
    let text = std::fs::read(cases.join("expected.json")).expect("the list of cases");
    let expected: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
    let level = |word: &serde_json::Value| match word.as_str() {
        Some("info") => Severity::Info,
        Some("warning") => Severity::Warning,
        _ => Severity::Error,
    };
    let mut seen = 0;
    for case in &expected {
        let Some(name) = case["file"].as_str().and_then(|f| f.strip_prefix("pickles/")) else { continue };
        let model = open(&on_disk(&cases.join("pickles"), &[name])).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let worst = model.notes.iter().map(|n| n.severity).max().expect("a note");
        match (case.get("no_note_above"), case.get("note_at_least")) {
            (Some(most), _) => assert!(worst <= level(most), "{name}: {:#?}", model.notes),
            (_, Some(least)) => assert!(worst >= level(least), "{name}: {:#?}", model.notes),
            _ => panic!("{name}: nothing is expected of it"),
        }
        seen += 1;
    }
    assert!(seen >= 8, "{seen} cases");
}
