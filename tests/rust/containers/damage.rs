//! What is wrong with files of the formats beside GGUF, safetensors and ONNX; pickles that flags and compression hide.

use super::*;

const DEFLATED: [u8; 25] = [
    0x6b, 0x60, 0x4a, 0xce, 0x2f, 0xe6, 0x2a, 0xae, 0x2c, 0x2e, 0x49, 0xcd, 0xe5, 0x8a, 0x60, 0x62, 0x60, 0x60, 0xc8,
    0x29, 0x6e, 0x0d, 0xd2, 0x03, 0x00,
];

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_place() {
    use Severity::{Error, Info, Warning};
    let object = |entry: Vec<u8>| dict(&[("x", entry)]);
    let torch = |object: Vec<u8>| zip(&[member("m/data.pkl", object), member("m/data/0", floats(&[1.0, 2.0]))], 64);
    let evil = b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.".to_vec();
    let mut locked = member("m/other.pkl", &evil);
    locked.flags = 1;
    let mut renamed = member("m/data.pkl", object(text("a")));
    renamed.local_name = Some("m/data.pkX".into());
    let mut stream = torch_stream();
    stream.extend(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.");
    let cases: Vec<(&str, &str, Vec<u8>, Severity, &str)> = vec![
        (
            "a view beyond its storage",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 1, &[2], &[1]))),
            Error,
            "leaves its storage of 2 elements",
        ),
        (
            "a storage longer than its member",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 9, 0, &[9], &[1]))),
            Error,
            "its storage at byte",
        ),
        (
            "a storage that is not there",
            "m.pt",
            torch(object(tensor("FloatStorage", "7", 2, 0, &[2], &[1]))),
            Error,
            "names storage \"7\"",
        ),
        (
            "a negative size",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 0, &[-2], &[1]))),
            Error,
            "a shape that is not understood",
        ),
        (
            "a huge shape",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 0, &[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]))),
            Error,
            "leaves its storage",
        ),
        (
            "a storage class of no known type",
            "m.pt",
            torch(object(tensor("OddStorage", "0", 2, 0, &[2], &[1]))),
            Error,
            "a storage that is not understood",
        ),
        (
            "a call beside the tensors",
            "m.pt",
            zip(&[member("m/data.pkl", object(b"cos\nsystem\nX\x02\0\0\0ls\x85R".to_vec()))], 64),
            Error,
            "would import os.system (GLOBAL at byte",
        ),
        (
            "a pickle under another name",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/readme.txt", &evil)], 64),
            Error,
            "would import os.system",
        ),
        (
            "a pickle that is said to be encrypted",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), locked], 64),
            Error,
            "would import os.system",
        ),
        ("a pickle after the storages", "m.pth", stream, Error, "a pickle after the storages would import os.system"),
        (
            "two members of one name",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/data.pkl", object(text("b")))], 64),
            Error,
            "is there more than once",
        ),
        ("a member with two names", "m.pt", zip(&[renamed], 64), Warning, "in its own header"),
        (
            "a path that leaves the folder",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/../../x", "a")], 64),
            Error,
            "outside its folder",
        ),
        (
            "bytes after the archive",
            "m.pt",
            [torch_zip(), vec![1; 9]].concat(),
            Warning,
            "9 bytes follow the zip archive",
        ),
        (
            "a byte order of no kind",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/byteorder", "middle")], 64),
            Error,
            "\"little\" or \"big\" expected",
        ),
        (
            "a pickle within a pickle",
            "x.pkl",
            [&b"\x80\x02B"[..], &(evil.len() as u32).to_le_bytes(), &evil, b"."].concat(),
            Error,
            "a pickle within the pickle would import os.system",
        ),
        (
            "a pickle of protocol 0 within a byte string of an array",
            "m.pt",
            {
                let inner = b"cos\nsystem\n(S'ls'\ntR.";
                let bytes = [&[b'C', inner.len() as u8][..], inner].concat();
                zip(&[member("m/data.pkl", object(bytes))], 64)
            },
            Error,
            "a pickle within data.pkl would import os.system",
        ),
        (
            "a part of a model in several files",
            "model.bin.1",
            {
                let mut file = b"fmgg\x01\0\0\0".to_vec();
                // A vocabulary of 1, 8 wide, no layers; one token with its score; half of each row.
                let numbers = [1u32, 8, 1, 1, 0, 4, 0, 1].iter().flat_map(|n| n.to_le_bytes());
                file.extend(numbers.chain(*b"a").chain([0; 4]));
                file.extend([2u32, 21, 0, 4, 1].iter().flat_map(|n| n.to_le_bytes()));
                file.extend(b"tok_embeddings.weight");
                file.extend(floats(&[1.0, 2.0, 3.0, 4.0]));
                file
            },
            Warning,
            "this is one of 2 files with a slice of each tensor",
        ),
        ("a pickle with too many POPs", "x.pkl", b"\x80\x02N00N.".to_vec(), Warning, "a value expected on the stack"),
        (
            "a pickle with a name made while loading",
            "x.pkl",
            b"\x80\x04\x8c\x02os\x8c\x03sys\x93\x8c\x01x\x93.".to_vec(),
            Error,
            "would import <os.sys>.x",
        ),
        ("an extension code", "x.pkl", b"\x80\x02\x82\x05N0.".to_vec(), Error, "extension registry"),
        (
            "attributes of a module",
            "x.pkl",
            b"\x80\x02cmod\nthing\n}X\x01\0\0\0aK\x01sb.".to_vec(),
            Error,
            "would set attributes of mod.thing",
        ),
        (
            "a call of a result",
            "x.pkl",
            b"\x80\x02coperator\nattrgetter\nX\x01\0\0\0a\x85R)R.".to_vec(),
            Error,
            "would call operator.attrgetter",
        ),
        (
            "objects in an array",
            "x.npy",
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", &evil),
            Error,
            "would import os.system",
        ),
        (
            "an array beyond the end",
            "x.npy",
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }\n", &[0; 8]),
            Error,
            "takes 36 bytes, 8 are there",
        ),
        (
            "an array of more than 64 bits",
            "x.npy",
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }\n", &[0; 8]),
            Error,
            "more elements than 64 bits count",
        ),
        (
            "a structured array",
            "x.npy",
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", &[0; 8]),
            Info,
            "listed but not decoded",
        ),
        ("a tar archive without its storages", "m.pt", tar(&torch_tar_members()[..3]), Error, "storages not found"),
        (
            "a tensor of a storage that is not there",
            "m.pt",
            {
                let mut members = torch_tar_members();
                // One storage announced less than there is.
                assert_eq!(members[3].1[2..4], [b'J', 2]);
                members[3].1[3] = 1;
                tar(&members)
            },
            Error,
            "which is not there",
        ),
        (
            "an import in a tar archive",
            "m.pt",
            {
                let mut members = torch_tar_members();
                members[1].1 = evil.clone();
                tar(&members)
            },
            Error,
            "would import os.system",
        ),
        (
            "a checkpoint that names more than it holds",
            "model.ckpt",
            {
                let mut file = checkpoint_v1(false);
                let at = file.windows(4).rposition(|w| w == b"step").expect("the value's name");
                file[at] = b'S';
                file
            },
            Error,
            "\"step\" is named, the table holds no values of it",
        ),
        (
            "no versions in a graph",
            "g.pb",
            graph_def()[..graph_def().len() - 4].to_vec(),
            Warning,
            "states no versions",
        ),
    ];
    for (what, name, bytes, severity, words) in &cases {
        let model = open_bytes(name, bytes).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_well_formed(&model);
        assert!(noted(&model, *severity, words), "{what}: {severity:?} {words:?} expected: {:#?}", model.notes);
    }
    for (what, name, bytes, words) in [
        ("a zip without a model", "m.zip", zip(&[member("a.txt", "hello")], 1), "no pickle among them"),
        ("a zip cut in its first header", "m.pt", torch_zip()[..28].to_vec(), "a zip directory expected"),
        ("ggjt of the future", "m.bin", ggjt(9, 2, &[0; 20]), "ggjt version 9"),
        (
            "a table without its end",
            "c.index",
            checkpoint().0[..90].to_vec(),
            "the end of a checkpoint's table expected",
        ),
        (
            "a packed block that breaks",
            "c.index",
            {
                let mut file = checkpoint_packed();
                file[42] = 0xff;
                file
            },
            "a block of",
        ),
        ("a root beyond the file", "m.tflite", b"\xff\xff\0\0TFL3\0\0\0\0".to_vec(), "expected"),
        (
            "a superblock of the future",
            "m.h5",
            b"\x89HDF\r\n\x1a\n\x09aaaaaaaaaaaaaaaa".to_vec(),
            "superblock version 9",
        ),
    ] {
        let fault = open_bytes(name, &bytes).err().unwrap_or_else(|| panic!("{what} opened"));
        assert!(fault.what.contains(words) && fault.at.is_some(), "{what}: {words:?} expected: {fault:?}");
    }
    // What is there of a vocabulary is shown.
    let model = open_bytes("m.bin", &[&b"tjgg\x03\0\0\0"[..], &[0xff; 28]].concat()).expect("opens");
    let note = model.notes.iter().find(|n| n.what.contains("tokens announced")).expect("noted");
    assert!(note.severity == Error && note.at.is_some(), "{note:?}");
}

/// Readers stop at an encrypted member or one whose headers disagree; Python's pickle module gets to it all the same.
#[test]
fn a_pickle_is_seen_whatever_the_flags_of_its_member_say() {
    let evil = b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.";
    for flags in [0x1, 0x20, 0x40, 0x61, 0x800] {
        for name in ["m/other.pkl", "m/notes.txt", "m/data/0"] {
            let mut hidden = member(name, evil);
            hidden.flags = flags;
            let bytes = zip(&[member("m/data.pkl", dict(&[("x", text("a"))])), hidden], 64);
            let model = open_bytes("m.pt", &bytes).expect("opens");
            assert!(noted(&model, Severity::Error, "would import os.system"), "{flags:#x} {name}: {:#?}", model.notes);
        }
    }
}

#[test]
fn a_pickle_in_a_deflated_member_is_seen() {
    // Python's zlib over the pickle of protocol 2 that calls os.system('ls').
    let mut hidden = member("m/notes.txt", DEFLATED);
    (hidden.method, hidden.unpacked) = (8, Some(23));
    let bytes = zip(&[member("m/data.pkl", dict(&[("x", text("a"))])), hidden], 64);
    let model = open_bytes("m.pt", &bytes).expect("opens");
    assert!(
        noted(&model, Severity::Error, "would import os.system (GLOBAL at byte 2 of it, unpacked)"),
        "{:#?}",
        model.notes
    );
}
