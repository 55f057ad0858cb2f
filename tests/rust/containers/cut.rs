//! Files that were cut: what is left of an archive, and every prefix.

use super::*;

/// Where each tensor is: "here", "missing" from a byte on, or "lost" where its place is not known.
fn places(model: &ModelFile) -> Vec<(&str, String)> {
    let told = |place: &Place| match place {
        Place::Here { .. } | Place::Strided { .. } => "here".to_owned(),
        Place::Missing { at, .. } if at.is_empty() => "lost".to_owned(),
        Place::Missing { at, .. } => format!("missing {}..{}", at.start, at.end),
        other => format!("{other:?}"),
    };
    model.tensors.iter().map(|t| (t.name.as_str(), told(&t.place))).collect()
}

#[test]
fn a_pytorch_archive_that_lost_its_end_lists_its_tensors_by_what_is_left() {
    let start =
        |whole: &[u8], name: &str| match &open_bytes("m.pt", whole).expect("opens").tensor(name).expect(name).place {
            Place::Here { at, .. } | Place::Strided { at, .. } => at.start,
            other => panic!("{other:?}"),
        };
    for whole in [torch_zip(), zip_forward(&torch_members(), 64)] {
        let (a, b) = (start(&whole, "a"), start(&whole, "b") - 2);
        let cut =
            |at: u64| open_bytes("m.pt", &whole[..at as usize]).unwrap_or_else(|fault| panic!("cut at {at}: {fault}"));
        // Without its directory alone, it is whole.
        let all = cut(b + 8 + 90);
        assert_eq!(places(&all), [("a", "here".into()), ("t", "here".into()), ("b", "here".into())]);
        assert_eq!(all.metadata.number("epoch"), Some(7.0));
        assert!(noted(&all, Severity::Error, "members were found by their own headers"), "{:#?}", all.notes);
        assert_eq!(small_values("m.pt", &whole[..(b + 98) as usize], "t"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(all.cuts.iter().map(|c| c.announced).collect::<Vec<_>>(), [Some(3)], "more must follow");
        // In the middle of the second storage: its bytes are placed beyond the end.
        let part = cut(b + 3);
        assert_eq!(
            places(&part),
            [("a", "here".into()), ("t", "here".into()), ("b", format!("missing {}..{}", b + 2, b + 6))]
        );
        assert!(noted(&part, Severity::Error, "1 of 3 tensors are missing or incomplete, the first is \"b\""));
        // Before the second storage's header: nothing says where it would lie.
        let one = cut(a + 24);
        assert_eq!(places(&one), [("a", "here".into()), ("t", "here".into()), ("b", "lost".into())]);
        // In the first storage.
        let none = cut(a + 5);
        let lies = format!("missing {}..{}", a, a + 24);
        assert_eq!(places(&none), [("a", lies.clone()), ("t", lies), ("b", "lost".into())]);
        // Only the description is there.
        assert_eq!(places(&cut(a - 70)).len(), 3);
    }
}

#[test]
fn storages_before_their_description_are_found_by_the_sizes_behind_them() {
    let mut members = torch_members();
    members.rotate_left(2);
    // A storage that holds what looks like the sizes of another.
    members[0].data = [b"PK\x07\x08\0\0\0\0\x09\0\0\0\x09\0\0\0".as_slice(), &[0; 8]].concat();
    let whole = zip_forward(&members, 64);
    let directory = whole.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    let model = open_bytes("m.pt", &whole[..directory]).expect("opens");
    assert_well_formed(&model);
    assert_eq!(places(&model), [("a", "here".into()), ("t", "here".into()), ("b", "here".into())]);
}

#[test]
fn real_pytorch_archives_without_their_end_list_what_the_whole_ones_do() {
    let Some(corpus) = corpus() else { return };
    for name in ["triple/mnist.pt", "llama/llama2xs.ckpt.pt", "pytorch/torchscript-tch-foo.pt"] {
        let bytes = std::fs::read(corpus.join(name)).expect(name);
        let directory = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").expect("an end");
        let whole = open_bytes("m.pt", &bytes).expect(name);
        let part = open_bytes("m.pt", &bytes[..directory]).expect(name);
        assert_well_formed(&part);
        assert!(part.tensors == whole.tensors, "{name}: {:#?}", part.notes);
        let half = open_bytes("m.pt", &bytes[..bytes.len() / 2]).expect(name);
        assert_well_formed(&half);
        assert!(half.notes.iter().any(|n| n.severity == Severity::Error && n.at.is_some()), "{name}");
    }
}

/// Every prefix is told to be one, and lists no tensor otherwise than the whole file does.
fn truncations(name: &str, bytes: &[u8], least: Severity) {
    truncations_of(name, bytes, bytes.len(), least);
}

/// The same for cuts before byte `last`.
fn truncations_of(name: &str, bytes: &[u8], last: usize, least: Severity) {
    let whole = open_bytes(name, bytes).expect("the whole file opens");
    for end in 0..last {
        let Ok(part) = open_bytes(name, &bytes[..end]) else { continue };
        assert_well_formed(&part);
        let told = part.notes.iter().any(|n| n.severity >= least && !whole.notes.contains(n));
        assert!(told, "{name} cut at {end} of {}: nothing noted", bytes.len());
        for tensor in &part.tensors {
            let Some(same) = whole.tensor(&tensor.name) else { panic!("{name} cut at {end}: {} appears", tensor.name) };
            assert_eq!((&tensor.shape, tensor.encoding), (&same.shape, same.encoding), "{name} cut at {end}");
            if let Place::Here { .. } | Place::Strided { .. } = tensor.place {
                assert_eq!(tensor.place, same.place, "{name} cut at {end}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_pytorch_file_is_told() {
    truncations("m.pt", &torch_zip(), Severity::Warning);
    truncations("m.pt", &zip_forward(&torch_members(), 64), Severity::Warning);
    truncations("m.pth", &torch_stream(), Severity::Warning);
    // The blocks of zeros at its end, and those that fill its last member, say nothing.
    let members = torch_tar_members();
    let said = tar(&members).len() - 1024 - (512 - members[3].1.len() % 512);
    truncations_of("m.pt", &tar(&members), said, Severity::Warning);
    truncations("x.pkl", &dict(&[("a", text("b")), ("c", b"]q\0(K\x01K\x02e".to_vec())]), Severity::Warning);
}

#[test]
fn every_truncation_of_a_numpy_file_is_told() {
    truncations("x.npy", &small_npy(), Severity::Warning);
    truncations("x.npz", &small_npz(), Severity::Warning);
}

#[test]
fn every_truncation_of_a_file_before_gguf_is_told() {
    // Cut right behind the vocabulary it is what llama.cpp's vocabulary files are: said, but no fault.
    truncations("m.bin", &ggjt(3, 2, &[1; 18]), Severity::Info);
    truncations("m.bin", &ggjt(1, 2, &[1; 20]), Severity::Info);
    truncations("m.bin", &llama2c(), Severity::Warning);
}

#[test]
fn every_truncation_of_a_tensorflow_file_is_told() {
    truncations("g.pb", &graph_def(), Severity::Warning);
    truncations("c.index", &checkpoint().0, Severity::Warning);
    truncations("c.index", &checkpoint_packed(), Severity::Warning);
    truncations("model.ckpt", &checkpoint_v1(false), Severity::Warning);
    truncations("m.tflite", &tflite(), Severity::Warning);
}

#[test]
fn every_truncation_of_a_keras_file_is_told() {
    for name in ["old.h5", "new.h5", "tiny.keras", "chunks_new.h5"] {
        truncations(name, &hdf5(name), Severity::Warning);
    }
}
