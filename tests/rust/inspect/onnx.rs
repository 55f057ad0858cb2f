//! ONNX graphs: nodes, attributes, initializers, external data.

use super::*;

#[test]
fn onnx_files_hold_the_nodes_and_initializers_that_the_manifest_counts() {
    // Name, IR version, ai.onnx opset, nodes, initializers, subgraphs.
    for (name, ir, opset, nodes, initializers, subgraphs) in [
        ("ortx-test_bert_tokenizer", 7, 14, 1, 0, 0),
        ("light_squeezenet", 3, 9, 105, 52, 0),
        ("silero_model_micro", 6, 11, 456, 88, 4),
        ("wonnx-single_relu", 3, 6, 1, 0, 0),
        ("ortx-bert_qa_decoder_base", 8, 16, 14, 0, 0),
        ("light_resnet50", 3, 9, 415, 269, 0),
        ("iris", 8, 17, 3, 0, 0),
        ("light_bvlc_alexnet", 3, 9, 40, 17, 0),
        ("wonnx-mnist-8", 3, 8, 12, 8, 0),
        ("magika_standard_v1", 7, 13, 88, 31, 0),
        ("pytorch_super_resolution", 8, 15, 8, 8, 0),
        ("silero_vad_half", 8, 16, 96, 15, 6),
        ("wonnx-opt-mnist", 3, 8, 8, 7, 0),
    ] {
        let Some((_, model)) = corpus_file(&format!("onnx/{name}.onnx")) else { return };
        let graph = model.graph.as_ref().expect("a graph");
        assert_eq!(model.version.text, format!("IR {ir}"), "{name}");
        assert!(
            graph.opsets.iter().any(|(d, v)| (d.is_empty() || d == "ai.onnx") && *v == opset),
            "{name}: {:?}",
            graph.opsets
        );
        // The manifest counts those that the top graph's own nodes hold.
        assert_eq!(graph.nodes.iter().map(|n| n.subgraphs).sum::<u32>(), subgraphs, "{name}");
        assert!(graph.subgraphs >= u64::from(subgraphs), "{name}");
        // The manifest counts nodes of all graphs where there are subgraphs.
        let all = graph.nodes.len() as u64 + graph.inner_nodes;
        assert!(graph.nodes.len() == nodes || all == nodes as u64, "{name}: {} top, {all} in all", graph.nodes.len());
        let made: std::collections::HashSet<_> = graph.nodes.iter().flat_map(|n| &n.outputs).collect();
        let constants = model.tensors.iter().filter(|t| made.contains(&t.name)).count();
        eprintln!(
            "{name}: {} tensors, {constants} constants of the top graph, {} notes",
            model.tensors.len(),
            model.notes.len()
        );
        if subgraphs == 0 {
            let named = model.tensors.iter().filter(|t| !made.contains(&t.name) && !t.name.contains(".value")).count();
            assert_eq!(named, initializers, "{name}");
        }
        assert_eq!(troubles(&model), Vec::<&str>::new(), "{name}");
        assert!(!graph.inputs.is_empty() && !graph.outputs.is_empty(), "{name}");
    }
    let Some((_, model)) = corpus_file("triple/mnist.onnx") else { return };
    assert_eq!((model.tensors.len(), encodings(&model)), (18, counts(&[("F32", 18)])));
    assert_eq!(model.graph.map(|g| (g.nodes.len(), g.inputs.len())), Some((13, 1)));
}

#[test]
fn an_onnx_graph_is_read_with_its_constants_and_subgraphs() {
    let bytes = writers::small_onnx();
    let model = open_bytes("m.onnx", &bytes).expect("opens");
    assert_well_formed(&model);
    assert_eq!(troubles(&model), Vec::<&str>::new());
    assert_eq!(model.format, FormatId::Onnx);
    let graph = model.graph.as_ref().expect("a graph");
    assert_eq!((graph.nodes.len(), graph.inner_nodes, graph.subgraphs, graph.name.as_str()), (4, 1, 1, "main"));
    assert_eq!((graph.nodes[0].op.as_str(), &graph.nodes[0].inputs[..]), ("Add", &["x".to_owned(), "w".into()][..]));
    assert_eq!(graph.nodes[3].subgraphs, 1);
    assert_eq!(graph.nodes[3].attributes, [("then_branch".to_owned(), "graph".to_owned())]);
    assert_eq!(graph.nodes[2].attributes, [("value".to_owned(), "I64 tensor of shape 1".to_owned())]);
    assert_eq!(
        graph.inputs.iter().map(|v| (v.name.as_str(), v.dims.join(","))).collect::<Vec<_>>(),
        [("x", "batch,3".into())]
    );
    let constant = model.tensor("k").expect("named after its output");
    assert_eq!((constant.encoding, &constant.shape), (Encoding::I64, &Shape(vec![1])));
    let w = model.tensor("w").expect("w");
    let Place::Here { at, .. } = &w.place else { panic!("placed") };
    assert_eq!(bytes[at.start as usize..at.end as usize], [5; 24]);
    assert!(model.sections.iter().all(|s| matches!(s.kind, SectionKind::Graph | SectionKind::Tensor(_))));
}

#[test]
fn an_onnx_graph_is_told_with_attributes_and_the_shapes_between_its_nodes() {
    use writers::{Message, onnx_model, onnx_node, onnx_value};
    let attribute = |name: &str| Message::new().bytes(1, name);
    let packed = (0..40).fold(Message::new(), |m, n| m.raw_varint(n)).0;
    let node = onnx_node("Conv", &["x", "w"], &["c"])
        .message(5, &attribute("group").int(3, 2))
        .message(5, &attribute("pads").int(8, 1).int(8, u64::MAX))
        .message(5, &attribute("many").bytes(8, packed))
        .message(5, &attribute("scales").bytes(7, [1.5f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat()))
        .message(5, &attribute("auto_pad").bytes(4, "SAME_UPPER"));
    let graph = Message::new()
        .message(1, &node)
        .message(1, &onnx_node("Foo9", &["c"], &["y"]))
        .message(11, &onnx_value("x", &["1", "3"]))
        .message(13, &onnx_value("c", &["1", "width"]))
        .message(12, &onnx_value("y", &["1"]));
    let model = open_bytes("m.onnx", &onnx_model(&graph).0).expect("opens");
    let graph = model.graph.as_ref().expect("a graph");
    let told: Vec<_> = graph.nodes[0].attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        told,
        [
            ("group", "2"),
            ("pads", "1, -1"),
            ("many", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, …"),
            ("scales", "1.5, 2"),
            ("auto_pad", "\"SAME_UPPER\""),
        ]
    );
    let between: Vec<_> = graph.values.iter().map(|v| (v.name.as_str(), v.encoding, v.dims.join(","))).collect();
    assert_eq!(between, [("c", Some(Encoding::F32), "1,width".into())]);
}

#[test]
fn onnx_values_in_typed_fields_lie_here_only_where_their_bytes_are_the_values() {
    use writers::{Message, onnx_model};
    let tensor = |kind: u64, n: u64| Message::new().int(1, n).int(2, kind);
    let floats: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    let graph = Message::new()
        .message(5, &tensor(1, 2).bytes(4, &floats).bytes(8, "packed"))
        .message(5, &tensor(1, 2).bytes(4, &floats[..4]).bytes(4, &floats[4..]).bytes(8, "pieces"))
        .message(5, &tensor(10, 2).bytes(5, [1, 2]).bytes(8, "halves in varints"))
        .message(5, &tensor(7, 2).int(7, 1).int(7, 2).bytes(8, "unpacked"))
        .message(5, &tensor(8, 1).bytes(6, "text").bytes(8, "strings"))
        .message(5, &tensor(1, 0).bytes(8, "empty"));
    let bytes = onnx_model(&graph).0;
    let model = open_bytes("m.onnx", &bytes).expect("opens");
    assert_well_formed(&model);
    assert_eq!(troubles(&model), Vec::<&str>::new());
    let place = |name: &str| &model.tensor(name).expect(name).place;
    let Place::Here { at, .. } = place("packed") else { panic!("here") };
    assert_eq!(bytes[at.start as usize..at.end as usize], floats);
    for name in ["pieces", "halves in varints", "unpacked", "strings"] {
        assert_eq!(place(name), &Place::Inline, "{name}");
    }
    assert_eq!(place("empty"), &Place::Absent);
}

#[test]
fn onnx_external_data_is_found_by_exact_relative_name_only() {
    use writers::{Message, onnx_model};
    let tensor = |name: &str, location: &str, offset: u64| {
        let pair = |key: &str, value: &str| Message::new().bytes(1, key).bytes(2, value);
        let t = Message::new().int(1, 4).int(2, 2).bytes(8, name);
        t.message(13, &pair("location", location))
            .message(13, &pair("offset", &offset.to_string()))
            .message(13, &pair("length", "4"))
            .int(14, 1)
    };
    let graph = Message::new()
        .message(5, &tensor("here", "weights/data.bin", 4))
        .message(5, &tensor("dotted", "./weights/./data.bin", 0))
        .message(5, &tensor("above", "../secret", 0))
        .message(5, &tensor("absolute", "/etc/passwd", 0))
        .message(5, &tensor("other system", "weights\\data.bin", 0))
        .message(5, &tensor("missing", "data.bin", 0))
        .message(5, &tensor("beyond", "weights/data.bin", 6));
    let onnx = onnx_model(&graph).0;
    let files = in_memory(&[
        ("m/model.onnx", &onnx),
        ("m/weights/data.bin", &[9; 8]),
        ("secret", &[1; 8]),
        ("etc/passwd", &[1; 8]),
    ]);
    let model = open(&files).expect("opens");
    assert_well_formed(&model);
    let place = |name: &str| model.tensor(name).expect(name).place.clone();
    assert_eq!(place("here"), Place::Here { file: 1, at: 4..8 });
    assert_eq!(place("dotted"), Place::Here { file: 1, at: 0..4 });
    for name in ["above", "absolute", "other system", "missing", "beyond"] {
        assert!(matches!(place(name), Place::Missing { .. }), "{name}");
    }
    let all = troubles(&model);
    assert_eq!(all.iter().filter(|n| n.contains("outside the model's folder")).count(), 3, "{all:?}");
    assert!(all.iter().any(|n| n.contains("\"data.bin\" is missing: it holds the data of 1 tensors")), "{all:?}");
    assert!(all.iter().any(|n| n.contains("\"beyond\" lies at bytes 6..10")), "{all:?}");
}

#[test]
fn thousands_of_inline_initializers_cost_one_pass() {
    use writers::{Message, onnx_model, onnx_tensor};
    let graph =
        (0..5000).fold(Message::new(), |g, i| g.message(5, &onnx_tensor(&format!("w{i}"), 2, &[9000], &[0; 9000])));
    let bytes = onnx_model(&graph).0;
    let files = in_memory(&[("m.onnx", &bytes)]);
    let model = open(&files).expect("opens");
    assert_eq!(model.tensors.len(), 5000);
    assert!(
        files.bytes_read() <= bytes.len() as u64,
        "no byte is read twice: {} of {}",
        files.bytes_read(),
        bytes.len()
    );
}
