//! Graphs run where their operators are known.

use super::*;

/// A graph of one node over floats.
fn graph(node: &Message) -> Message {
    Message::new()
        .message(1, node)
        .bytes(2, "g")
        .message(11, &onnx_value("x", &["2"]))
        .message(12, &onnx_value("y", &["2"]))
}

/// A model with these operator sets.
fn onnx(ir: u64, opsets: &[(&str, u64)], graph: &Message) -> Message {
    let model = Message::new().int(1, ir).message(7, graph);
    opsets.iter().fold(model, |m, (domain, n)| m.message(8, &Message::new().bytes(1, domain).int(2, *n)))
}

#[test]
fn graphs_run_where_their_operators_are_known() {
    let relu = graph(&onnx_node("Relu", &["x"], &["y"]));
    let custom = graph(&onnx_node("Fancy", &["x"], &["y"]).bytes(7, "com.example"));
    let function =
        Message::new().bytes(1, "Fancy").bytes(10, "com.example").message(7, &onnx_node("Relu", &["x"], &["y"]));
    let external = {
        let place = Message::new().bytes(1, "location").bytes(2, "w.bin");
        let tensor = onnx_tensor("w", 1, &[2], &[]).message(13, &place).int(14, 1);
        graph(&onnx_node("Add", &["x", "w"], &["y"])).message(5, &tensor)
    };
    let kinds: Vec<(&str, Message, &str, &str, &str)> = vec![
        ("one node", onnx(8, &[("", 17)], &relu), "yes", "yes", ""),
        ("a newer operator set", onnx(8, &[("", 99)], &relu), "no", "no", "99"),
        ("an old operator set", onnx(3, &[("", 6)], &relu), "unknown", "unknown", "6"),
        ("a newer IR", onnx(99, &[("", 17)], &relu), "no", "no", "99"),
        (
            "an operator that nobody has",
            onnx(8, &[("", 17)], &graph(&onnx_node("Foo9", &["x"], &["y"]))),
            "no",
            "no",
            "Foo9",
        ),
        (
            "an operator of a newer set",
            onnx(8, &[("", 17)], &graph(&onnx_node("Gelu", &["x"], &["y"]))),
            "no",
            "no",
            "Gelu(20)",
        ),
        (
            "an operator of another domain",
            onnx(8, &[("", 17), ("com.example", 1)], &custom),
            "partly",
            "no",
            "com.example",
        ),
        (
            "an operator that the file defines",
            onnx(8, &[("", 17), ("com.example", 1)], &custom).message(25, &function),
            "yes",
            "yes",
            "",
        ),
        ("a domain that no node is of", onnx(8, &[("", 17), ("com.example", 1)], &relu), "yes", "yes", ""),
        ("weights in a file that is not here", onnx(8, &[("", 17)], &external), "no", "no", "w.bin"),
    ];
    for (what, model, native, web, words) in kinds {
        let report = report(in_memory(&[("x.onnx", &model.0)]));
        assert_ruling(&report, "ONNX Runtime", native, words, what);
        assert_ruling(&report, "onnxruntime-web", web, "", what);
    }
}

#[test]
fn a_graph_that_takes_no_ids_is_not_told_that_its_tokenizer_is_missing() {
    let tokenizer = |input: Message| {
        let graph = Message::new()
            .message(1, &onnx_node("Relu", &["x"], &["y"]))
            .message(11, &input)
            .message(12, &onnx_value("y", &["1"]));
        let report = report(in_memory(&[("x.onnx", &onnx(8, &[("", 17)], &graph).0)]));
        let parts = report["place"]["parts"].as_array().expect("a list").clone();
        parts.iter().find(|p| p["name"] == "Tokenizer").map(|p| p["state"].as_str().expect("text").to_owned())
    };
    let whole = |name: &str| {
        let shape = Message::new()
            .message(1, &Message::new().bytes(2, "batch"))
            .message(1, &Message::new().bytes(2, "sequence"));
        let tensor = Message::new().int(1, 7).message(2, &shape);
        Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor))
    };
    assert_eq!(tokenizer(onnx_value("pixel_values", &["batch", "3", "224", "224"])).as_deref(), Some("not needed"));
    assert_eq!(tokenizer(whole("input_ids")).as_deref(), Some("missing"));
}
