//! HDF5: links in heaps, chunks and their filters.

use super::*;

/// Written by h5py 3 with the newest layout: groups of more than eight links keep them in a heap, 120 of them in several
/// blocks of it; a user block of 512 bytes lies before.
#[test]
fn links_in_a_heap_and_a_user_block_are_followed() {
    let model = open_bytes("dense.h5", &hdf5("dense.h5")).expect("opens");
    assert_well_formed(&model);
    let names: Vec<&str> = model.tensors.iter().map(|t| t.name.as_str()).collect();
    let expected: Vec<String> = (0..20)
        .map(|i| format!("few/v{i:02}"))
        .chain((0..120).map(|i| format!("many/of_a_rather_long_name_{i:03}")))
        .collect();
    assert_eq!(names, expected);
    assert!(noted(&model, Severity::Info, "512 bytes lie before the HDF5 part"), "{:#?}", model.notes);
    assert_eq!(small_values("dense.h5", &hdf5("dense.h5"), "few/v17"), [17.0]);
    assert_eq!(small_values("dense.h5", &hdf5("dense.h5"), "many/of_a_rather_long_name_119"), [119.0]);
    assert!(model.notes.iter().all(|n| n.severity == Severity::Info), "{:#?}", model.notes);
}

#[test]
fn chunks_and_their_filters_are_named() {
    for (name, tensor, words) in [
        ("chunks.h5", "plain", "\"plain\" is stored in chunks of 2 x 4"),
        ("chunks.h5", "packed", "chunks of 2 x 4, packed by shuffle, deflate, fletcher32"),
        ("chunks_new.h5", "packed", "chunks of 2 x 4, packed by shuffle, deflate"),
    ] {
        let model = open_bytes(name, &hdf5(name)).expect("opens");
        assert_well_formed(&model);
        assert_eq!(model.tensor(tensor).map(|t| t.shape.0.clone()), Some(vec![4, 6]));
        assert!(noted(&model, Severity::Info, words), "{name}: {:#?}", model.notes);
    }
}

/// Reference: h5py 3.16 wrote numbers that count up (tests/corpus/make/export_containers.py); compared exactly.
#[test]
fn values_in_chunks_are_those_that_h5py_wrote() {
    let count = |n: u16| (0..n).map(f32::from).collect::<Vec<f32>>();
    for (name, tensor, expected) in [
        ("chunks.h5", "plain", count(24)),
        ("chunks.h5", "packed", count(24)),
        ("chunks_new.h5", "packed", count(24)),
        ("chunked.h5", "uneven", count(5 * 7 * 3)),
        ("chunked.h5", "checked", count(9)),
        ("chunked.h5", "many", count(600)),
        ("chunked.h5", "grown", [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0].to_vec()),
        ("chunked_new.h5", "single", count(6)),
        ("chunked_new.h5", "single_plain", count(6)),
        ("chunked_new.h5", "array", count(25)),
        ("chunked_new.h5", "array_plain", count(25)),
        ("chunked_new.h5", "pages", count(1100)),
        ("chunked_new.h5", "implicit", count(20)),
    ] {
        let bytes = hdf5(name);
        assert_well_formed(&open_bytes(name, &bytes).expect("opens"));
        assert_eq!(small_values(name, &bytes, tensor), expected, "{name}: {tensor}");
    }
    let part = small_values("chunked.h5", &hdf5("chunked.h5"), "part");
    let filled: Vec<f32> = (0..24).map(|i| if i / 4 < 2 && i % 4 < 2 { 1.0 } else { 7.5 }).collect();
    assert_eq!(part, filled, "what was never written has the fill value");
}

#[test]
fn rows_of_chunks_are_read_one_by_one_and_all_together_alike() {
    let inspection = block_on(Inspection::open(in_memory(&[("c.h5", &hdf5("chunked.h5"))]))).expect("opens");
    let index = inspection.tensor_index("uneven").expect("it is there");
    let peek = |rows| block_on(inspection.peek(index, rows, false, &mut |_| {})).expect("rows");
    let all = peek(0..u64::MAX).values;
    let single: Vec<f32> = (0..35).flat_map(|row| peek(row..row + 1).values).collect();
    assert_eq!(single, all);
}

#[test]
fn chunks_that_are_not_followed_are_listed_with_the_reason() {
    for (name, tensor, words) in [
        ("chunked.h5", "lzf", "packed by lzf, which is not unpacked"),
        ("chunked_new.h5", "extensible", "behind an extensible array, which is not followed"),
        ("chunked_new.h5", "tree", "behind a B-tree of version 2, which is not followed"),
    ] {
        let model = open_bytes(name, &hdf5(name)).expect("opens");
        assert_eq!(model.tensor(tensor).map(|t| t.place.clone()), Some(Place::Inline), "{tensor}");
        let said = model.notes.iter().any(|n| n.why.as_deref().is_some_and(|why| why.contains(words)));
        assert!(said, "{tensor}: {:#?}", model.notes);
    }
}

/// Whatever byte is another, values come out or a fault with a place; and memory is bounded by what the header states.
#[test]
fn damaged_chunks_are_faults_and_nothing_else() {
    let whole = hdf5("chunked.h5");
    let mut faults = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        let Ok(inspection) = block_on(Inspection::open(in_memory(&[("c.h5", &bytes)]))) else { continue };
        assert_well_formed(inspection.model());
        for tensor in 0..inspection.model().tensors.len() {
            let peeked = block_on(inspection.peek(tensor, 0..4, false, &mut |_| {}));
            faults += usize::from(peeked.is_err());
        }
    }
    assert!(faults > 0, "some damage was met");
}
