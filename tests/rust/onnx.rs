//! ONNX graphs on the CPU: ONNX's own node tests, models with ONNX Runtime's outputs, wrong inputs, hostile graphs.

#[path = "onnx/build.rs"]
mod build;
#[path = "onnx/tar.rs"]
mod tar;

use crate::common::files;
use std::{collections::BTreeMap, path::Path, rc::Rc};

use build::{Attr, Graph, Message, function, model};
use files::{block_on, corpus, in_memory, on_disk};
use glassbox::{
    fault::{Blame, Fault, Result},
    onnx::{self, CaseResult, Data, Model, RunLimits, Tensor, Value, compare, held, read_npz, run_case, set_limits},
    session::{GivenInput, GraphModel},
    source::{ByteSource, MemorySource, SourceSet},
};

/// What hostile graphs may take: small, so that the test machine notices nothing.
const SMALL: RunLimits = RunLimits { memory: 64 << 20, work: 1 << 28, steps: 200_000 };

fn set_of(files: &BTreeMap<String, Vec<u8>>) -> SourceSet {
    SourceSet::new(files.iter().map(|(n, b)| Rc::new(MemorySource::new(n.as_str(), b.clone())) as Rc<dyn ByteSource>))
}

/// The corpus's node tests: each case's files by their names within it.
fn node_tests() -> Option<BTreeMap<String, BTreeMap<String, Vec<u8>>>> {
    let folder = corpus()?;
    let packed = std::fs::read(folder.join("onnx/node-tests.tar.xz")).expect("the corpus has the node tests");
    let mut cases: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (path, bytes) in tar::unpacked(&packed) {
        // kind/case/file
        let mut parts = path.splitn(3, '/');
        let (Some(_), Some(case), Some(file)) = (parts.next(), parts.next(), parts.next()) else { continue };
        cases.entry(case.to_owned()).or_default().insert(file.to_owned(), bytes);
    }
    assert!(cases.len() > 1000, "only {} cases found", cases.len());
    Some(cases)
}

#[test]
fn no_node_test_of_onnx_fails_and_what_is_not_supported_is_refused_by_name() {
    let Some(cases) = node_tests() else { return };
    let (mut passed, mut refused, mut failed) = (0, Vec::new(), Vec::new());
    for (name, files) in &cases {
        let set = set_of(files);
        let model = set.find("model.onnx").expect("each case has a model");
        match block_on(run_case(model, &set)) {
            CaseResult::Passed | CaseResult::PassedByShape => passed += 1,
            CaseResult::Unsupported(why) => refused.push(format!("{name}: {why}")),
            CaseResult::Failed(why) => failed.push(format!("{name}: {why}")),
        }
    }
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(refused.iter().all(|why| why.contains("not supported")), "{refused:?}");
    // What the project asks for: at least 95 of 100.
    assert!(passed * 100 >= cases.len() * 95, "{passed} of {} pass; refused: {refused:?}", cases.len());
}

/// Runs a model of a folder with the inputs of a reference, and gives each output with what was expected.
fn against(folder: &Path, names: &[&str], reference: &[u8], dot: &str) -> Vec<(String, Tensor, Tensor)> {
    let files = on_disk(folder, names);
    let model = block_on(GraphModel::open(&files)).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let given = [GivenInput::File(None, "ref.npz".into(), reference.to_vec())];
    let run = model.run(&given, None).unwrap_or_else(|e| panic!("{}/{}: {e}", folder.display(), names[0]));
    let arrays: BTreeMap<String, Tensor> = read_npz(reference).expect("the reference is read").into_iter().collect();
    let mut out = Vec::new();
    for (name, value) in run.outputs {
        let Some(expected) = arrays.get(&format!("out{dot}{name}")) else { continue };
        let found = match value {
            Value::Tensor(t) => t,
            // A classifier's map of each row: its values in order.
            Value::Sequence(rows) => {
                let values: Vec<f32> = rows
                    .iter()
                    .flat_map(|row| match row {
                        Value::Map(map) => map.values.clone(),
                        other => vec![other.clone()],
                    })
                    .flat_map(|v| match v {
                        Value::Tensor(t) => t.f32s().expect("floats").to_vec(),
                        other => panic!("{name}: {}", other.told()),
                    })
                    .collect();
                Tensor::of(expected.dims(), Data::F32(values)).expect("as many as expected")
            }
            other => panic!("{name}: {}", other.told()),
        };
        out.push((name, found, expected.clone()));
    }
    assert!(!out.is_empty(), "{}: the reference holds no output", folder.display());
    out
}

#[test]
fn models_of_real_exporters_give_the_outputs_of_onnx_runtime_within_the_stated_tolerance() {
    let Some(root) = corpus() else { return };
    let folder = root.join("onnx-run");
    let text = std::fs::read_to_string(folder.join("models.json")).expect("the corpus lists its models");
    let models: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    assert!(models.len() >= 17);
    for model in models {
        let name = model["name"].as_str().expect("a name");
        let here = folder.join(name);
        let mut files = vec!["model.onnx"];
        if here.join("model.onnx_data").is_file() {
            files.push("model.onnx_data");
        }
        let reference = std::fs::read(here.join("ref.npz")).expect("a reference");
        for (output, found, expected) in against(&here, &files, &reference, "_") {
            let difference = compare(&found, &expected).unwrap_or_else(|e| panic!("{name}, {output}: {e}"));
            // The tolerance is the corpus's own: relative to max(1, |value|), or the mean square where activations
            // are quantized.
            match model["nmse"].as_f64() {
                Some(most) => assert!(difference.nmse <= most, "{name}, {output}: {difference:?}"),
                None => {
                    let most = model["tolerance"].as_f64().expect("a tolerance");
                    assert!(difference.largest <= most, "{name}, {output}: {difference:?}");
                }
            }
        }
    }
}

#[test]
fn models_found_in_the_wild_give_the_outputs_of_their_references() {
    let Some(root) = corpus() else { return };
    let folder = root.join("onnx");
    for name in
        ["iris", "magika_standard_v1", "silero_model_micro", "silero_vad_half", "wonnx-mnist-8", "wonnx-opt-mnist"]
    {
        let file = format!("{name}.onnx");
        let reference = std::fs::read(folder.join(format!("{name}.ref.npz"))).expect("a reference");
        for (output, found, expected) in against(&folder, &[&file], &reference, ".") {
            let difference = compare(&found, &expected).unwrap_or_else(|e| panic!("{name}, {output}: {e}"));
            // f32 sums in another order than ONNX Runtime's.
            assert!(difference.largest <= 1e-4, "{name}, {output}: {difference:?}");
        }
    }
}

#[test]
fn a_network_for_images_gives_the_sums_and_samples_of_its_reference() {
    let Some(root) = corpus() else { return };
    let folder = root.join("onnx");
    let text = std::fs::read_to_string(folder.join("pytorch_super_resolution.ref.json")).expect("a reference");
    let reference: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let files = on_disk(&folder, &["pytorch_super_resolution.onnx"]);
    let model = block_on(Model::open(&files.files()[0], &files)).expect("the model opens");
    let n = 224 * 224;
    let input = (0..n).map(|i| ((i * 37 + 11) % 251) as f32 / 250.0).collect();
    let input = Tensor::of([1, 1, 224, 224], Data::F32(input)).expect("an image");
    let outputs = model.run(vec![("input".into(), input.into())]).expect("it runs");
    let Value::Tensor(y) = &outputs[0].1 else { panic!("a tensor") };
    let v = y.f32s().expect("floats");
    let sum: f64 = v.iter().map(|x| f64::from(*x)).sum();
    let expected = reference["sum"].as_f64().expect("a sum");
    assert!((sum - expected).abs() < 1.0, "{sum} and {expected}");
    for sample in reference["samples"].as_array().expect("samples") {
        let (at, value) = (sample[0].as_u64().expect("a place") as usize, sample[1].as_f64().expect("a value"));
        assert!((f64::from(v[at]) - value).abs() < 1e-4, "at {at}: {} and {value}", v[at]);
    }
}

fn open(bytes: &[u8]) -> Result<Model> {
    let files = in_memory(&[("m.onnx", bytes)]);
    block_on(Model::open(&files.files()[0], &files))
}
fn floats(dims: &[usize], v: &[f32]) -> Value {
    Tensor::of(dims, Data::F32(v.to_vec())).expect("a tensor").into()
}
fn run(bytes: &[u8], inputs: Vec<(String, Value)>) -> Result<Vec<(String, Value)>> {
    open(bytes)?.run(inputs)
}
fn fault(bytes: &[u8], inputs: Vec<(String, Value)>) -> Fault {
    set_limits(SMALL);
    let ended = run(bytes, inputs);
    set_limits(RunLimits::default());
    ended.expect_err("a fault")
}

#[test]
fn wrong_names_types_and_shapes_of_inputs_are_told_with_what_was_expected() {
    let bytes = model(13, &Graph::new().input("x", 1, &[2, 3]).node("Relu", &["x"], &["y"], &[]).output("y"), &[]);
    let give = |name: &str, value: Value| run(&bytes, vec![(name.into(), value)]).expect_err("a fault").to_string();
    let name = give("z", floats(&[2, 3], &[0.0; 6]));
    assert!(name.contains("no input \"z\"") && name.contains('x'), "{name}");
    let shape = give("x", floats(&[3, 2], &[0.0; 6]));
    assert!(shape.contains("float[2,3]") && shape.contains("float[3,2]"), "{shape}");
    let kind = give("x", Tensor::of([2, 3], Data::I64(vec![0; 6])).expect("a tensor").into());
    assert!(kind.contains("float[2,3]") && kind.contains("int64[2,3]"), "{kind}");
    let none = run(&bytes, Vec::new()).expect_err("a fault").to_string();
    assert!(none.contains("\"x\" (float[2,3])"), "{none}");
}

#[test]
fn inputs_come_from_npz_npy_json_and_values_on_the_command_line() {
    let graph = Graph::new().input("x", 1, &[2]).input("s", 1, &[]).node("Mul", &["x", "s"], &["y"], &[]).output("y");
    let bytes = model(13, &graph, &[]);
    let files = in_memory(&[("m.onnx", &bytes)]);
    let model = block_on(GraphModel::open(&files)).expect("it opens");
    let x = Tensor::of([2], Data::F32(vec![1.5, -2.0])).expect("a tensor");
    let npz = onnx::write_npz(&[("x".into(), x.clone())]).expect("an archive");
    assert_eq!(read_npz(&npz).expect("it reads back")[0].1.f32s().expect("floats"), [1.5, -2.0]);
    let scale = || GivenInput::Text("s".into(), "2".into());
    for given in [
        vec![GivenInput::File(None, "a.npz".into(), npz), scale()],
        vec![GivenInput::File(None, "a.json".into(), br#"{"x": [1.5, -2], "s": 2}"#.to_vec())],
        vec![GivenInput::File(Some("x".into()), "a.json".into(), b"[1.5, -2]".to_vec()), scale()],
    ] {
        let run = model.run(&given, None).expect("it runs");
        let Value::Tensor(y) = &run.outputs[0].1 else { panic!("a tensor") };
        assert_eq!(y.f32s().expect("floats"), [3.0, -4.0]);
    }
    let missing = model.run(&[scale()], None).err().expect("a fault").to_string();
    assert!(missing.contains("\"x\" (float[2])"), "{missing}");
    let filled = model.run(&[scale()], Some(7)).expect("it runs");
    assert!(filled.notes[0].contains("seed 7"), "{:?}", filled.notes);
    let again = model.run(&[scale()], Some(7)).expect("it runs");
    assert_eq!(format!("{:?}", filled.outputs[0].1), format!("{:?}", again.outputs[0].1));
}

#[test]
fn the_command_runs_a_graph_prints_json_and_tells_wrong_inputs_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let case = folder.path().join("test_relu");
    std::fs::create_dir_all(case.join("test_data_set_0")).expect("a folder");
    let graph = Graph::new().input("x", 1, &[2]).node("Relu", &["x"], &["y"], &[]).output("y");
    let file = case.join("model.onnx");
    std::fs::write(&file, model(13, &graph, &[])).expect("it is written");
    let glassbox = |args: &[&str]| {
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).output().expect("it starts");
        (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
    };
    let file = file.to_str().expect("UTF-8");
    let (code, out) = glassbox(&["run", file, "--inputs", "x=[-1, 2.5]", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &report["outputs"][0]["values"]), (Some(0), &serde_json::json!([0.0, 2.5])));
    assert_eq!(glassbox(&["run", file, "--inputs", "z=[1, 2]"]).0, Some(2), "a wrong name is wrong usage");
    // A case in the form of ONNX's tests: outputs that agree, then one that does not.
    let tensor = |values: [f32; 2]| {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        [&[8, 2, 16, 1, 74, 8][..], &raw].concat()
    };
    let data = case.join("test_data_set_0");
    std::fs::write(data.join("input_0.pb"), tensor([-1.0, 2.0])).expect("it is written");
    for (expected, code, counts) in [([0.0, 2.0], 0, (1, 0)), ([1.0, 2.0], 1, (0, 1))] {
        std::fs::write(data.join("output_0.pb"), tensor(expected)).expect("it is written");
        let (ended, out) = glassbox(&["test-onnx", folder.path().to_str().expect("UTF-8"), "--json"]);
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(ended, Some(code), "{report}");
        assert_eq!((report["passed"].as_i64(), report["failed"].as_i64()), (Some(counts.0), Some(counts.1)));
        assert_eq!(report["cases"][0]["name"], "test_relu");
    }
}

#[test]
fn an_operator_that_is_not_known_is_refused_by_name_with_its_count() {
    let graph = Graph::new()
        .input("x", 1, &[2])
        .node("Frobnicate", &["x"], &["a"], &[])
        .node("Frobnicate", &["a"], &["y"], &[])
        .output("y");
    let fault = run(&model(13, &graph, &[]), vec![("x".into(), floats(&[2], &[0.0; 2]))]).expect_err("a fault");
    assert_eq!(fault.blame, Blame::Unsupported);
    assert!(fault.what.contains("Frobnicate (2 nodes)"), "{fault}");
}

#[test]
fn a_graph_that_runs_in_a_circle_is_refused() {
    let graph = Graph::new()
        .input("x", 1, &[2])
        .node("Add", &["x", "b"], &["a"], &[])
        .node("Relu", &["a"], &["b"], &[])
        .output("b");
    let fault = open(&model(13, &graph, &[])).err().expect("a fault");
    assert!(fault.what.contains("circle"), "{fault}");
}

#[test]
fn nodes_in_the_wrong_order_run_in_the_right_one() {
    let graph =
        Graph::new().input("x", 1, &[2]).node("Neg", &["a"], &["y"], &[]).node("Abs", &["x"], &["a"], &[]).output("y");
    let out = run(&model(13, &graph, &[]), vec![("x".into(), floats(&[2], &[-1.0, 2.0]))]).expect("it runs");
    let Value::Tensor(y) = &out[0].1 else { panic!("a tensor") };
    assert_eq!(y.f32s().expect("floats"), [-1.0, -2.0]);
}

#[test]
fn absurd_sizes_are_refused_before_anything_of_them_is_allocated() {
    let huge = [1i64 << 40, 1 << 20];
    let shape = |graph: Graph| graph.initializer_i64("n", &[2], &huge);
    let cases = [
        ("ConstantOfShape", shape(Graph::new()).node("ConstantOfShape", &["n"], &["y"], &[])),
        ("Expand", shape(Graph::new().input("x", 1, &[1])).node("Expand", &["x", "n"], &["y"], &[])),
        ("Tile", shape(Graph::new().input("x", 1, &[1, 1])).node("Tile", &["x", "n"], &["y"], &[])),
        (
            "Range",
            Graph::new()
                .initializer_i64("a", &[], &[0])
                .initializer_i64("b", &[], &[i64::MAX])
                .initializer_i64("c", &[], &[1])
                .node("Range", &["a", "b", "c"], &["y"], &[]),
        ),
        ("RandomNormal", Graph::new().node("RandomNormal", &[], &["y"], &[("shape", Attr::Ints(huge.to_vec()))])),
        (
            "Pad",
            Graph::new().input("x", 1, &[1, 1]).initializer_i64("n", &[4], &[1 << 40, 1 << 40, 0, 0]).node(
                "Pad",
                &["x", "n"],
                &["y"],
                &[],
            ),
        ),
    ];
    for (name, graph) in cases {
        let before = held();
        let inputs = match name {
            "Expand" => vec![("x".to_owned(), floats(&[1], &[1.0]))],
            "Tile" | "Pad" => vec![("x".to_owned(), floats(&[1, 1], &[1.0]))],
            _ => Vec::new(),
        };
        let fault = fault(&model(13, &graph.output("y"), &[]), inputs);
        assert!(matches!(fault.blame, Blame::Limit | Blame::File), "{name}: {fault}");
        assert_eq!(held(), before, "{name} leaves memory behind");
    }
}

#[test]
fn a_loop_without_an_end_stops_at_the_limit_of_nodes() {
    // The condition that comes in goes out again, for ever.
    let body = Graph::new()
        .input("i", 7, &[])
        .input("c", 9, &[])
        .node("Identity", &["c"], &["again"], &[])
        .output_typed("again", 9);
    let graph = Graph::new()
        .initializer_bool("yes", true)
        .node("Loop", &["", "yes"], &[], &[("body", Attr::Graph(body))])
        .initializer_i64("y", &[], &[1])
        .output("y");
    let fault = fault(&model(13, &graph, &[]), Vec::new());
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains("loop without an end"), "{fault}");
}

#[test]
fn a_loop_that_collects_for_ever_stops_at_the_limit_of_memory() {
    let body = Graph::new()
        .input("i", 7, &[])
        .input("c", 9, &[])
        .node("Identity", &["c"], &["again"], &[])
        .initializer_i64("n", &[1], &[100_000])
        .node("ConstantOfShape", &["n"], &["row"], &[])
        .output_typed("again", 9)
        .output("row");
    let graph = Graph::new()
        .initializer_bool("yes", true)
        .node("Loop", &["", "yes"], &["y"], &[("body", Attr::Graph(body))])
        .output("y");
    let fault = fault(&model(13, &graph, &[]), Vec::new());
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains("bytes are held"), "{fault}");
}

#[test]
fn a_function_that_calls_itself_is_stopped() {
    let inner = function("Again", &["x"], &["y"], |f| f.node_in("f", "Again", &["x"], &["y"]));
    let graph = Graph::new().input("x", 1, &[1]).node_in("f", "Again", &["x"], &["y"]).output("y");
    let fault = fault(&model(13, &graph, &[inner]), vec![("x".into(), floats(&[1], &[1.0]))]);
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains("deep"), "{fault}");
}

#[test]
fn work_beyond_the_limit_is_refused_before_it_is_done() {
    let n = 1024;
    let graph = Graph::new()
        .initializer_i64("n", &[2], &[n, n])
        .node("ConstantOfShape", &["n"], &["a"], &[])
        .node("MatMul", &["a", "a"], &["y"], &[])
        .output("y");
    let fault = fault(&model(13, &graph, &[]), Vec::new());
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains("operations"), "{fault}");
}

#[test]
fn softmax_has_the_meaning_of_the_version_that_a_model_imports() {
    let x = [1.0f32, 2.0, 3.0, 4.0];
    let graph = || Graph::new().input("x", 1, &[1, 2, 2]).node("Softmax", &["x"], &["y"], &[]).output("y");
    let out = |version: i64| {
        let out = run(&model(version, &graph(), &[]), vec![("x".into(), floats(&[1, 2, 2], &x))]).expect("it runs");
        let Value::Tensor(y) = &out[0].1 else { panic!("a tensor") };
        y.f32s().expect("floats").to_vec()
    };
    // Up to version 12 all axes from the first on are one; then the last alone.
    let (old, new) = (out(12), out(13));
    assert!((old.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{old:?}");
    assert!((new[0] + new[1] - 1.0).abs() < 1e-6 && (new[2] + new[3] - 1.0).abs() < 1e-6, "{new:?}");
}

/// Numbers that attributes and shapes stumble over.
const ODD: &[i64] = &[0, 1, -1, 2, 3, 7, 255, 65_536, 1 << 31, 1 << 40, i64::MAX, i64::MIN, -2, 64];

#[test]
fn graphs_with_mutated_attributes_end_without_panics_in_bounded_time_and_memory() {
    let Some(cases) = node_tests() else { return };
    let wanted: usize = std::env::var("GLASSBOX_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let names: Vec<&String> = cases.keys().collect();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n.max(1) as u64) as usize
    };
    set_limits(SMALL);
    let mut ran = 0;
    for _ in 0..wanted {
        let mut files = cases[names[next(names.len())]].clone();
        let model = files.get_mut("model.onnx").expect("each case has a model");
        let changed = Message::mutate(model, &mut next, ODD);
        if changed {
            // An input of another shape now and then.
            if next(4) == 0
                && let Some(input) = files.get_mut("test_data_set_0/input_0.pb")
            {
                Message::mutate(input, &mut next, ODD);
            }
        }
        let set = set_of(&files);
        let model = set.find("model.onnx").expect("each case has a model");
        // Any result will do: what counts is that there is one.
        let result = block_on(run_case(model, &set));
        ran += usize::from(!matches!(result, CaseResult::Unsupported(_)));
    }
    set_limits(RunLimits::default());
    assert!(ran > wanted / 2, "only {ran} of {wanted} mutated graphs were run");
}
