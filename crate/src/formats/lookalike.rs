//! What a file looks like that no reader takes: named politely, so that a person knows what they hold.

/// A content test and what it means: a name, and what a person can do.
pub(super) struct Lookalike {
    /// What the file is.
    pub(super) name: &'static str,
    /// What to do about it.
    pub(super) advice: &'static str,
}

const fn is(name: &'static str, advice: &'static str) -> Option<Lookalike> {
    Some(Lookalike { name, advice })
}

const LATER: &str = "not opened yet; a GGUF, safetensors or ONNX conversion can be";

/// Starts of files, in the order of testing (formats.md section 1).
const STARTS: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs.github.com/spec/v1",
        "a Git LFS pointer, not the model itself",
        "fetch the real file with `git lfs pull`, or download it from the model's page",
    ),
    (b"<!DOCTYPE", "a saved web page, not a model", "download the file itself, not the page that shows it"),
    (b"<!doctype", "a saved web page, not a model", "download the file itself, not the page that shows it"),
    (b"<html", "a saved web page, not a model", "download the file itself, not the page that shows it"),
    (b"{\"error\":", "a server's error message, not a model", "download the file again; it may need a login"),
    (b"lmgg", "a legacy ggml file without version", LATER),
    (b"fmgg", "a legacy ggmf file", LATER),
    (b"tjgg", "a legacy ggjt file", LATER),
    (b"algg", "a legacy ggla adapter (LoRA)", LATER),
    (b"nsgg", "a llama.cpp session file, not a model", "open the model it belongs to"),
    (b"qsgg", "a llama.cpp state file, not a model", "open the model it belongs to"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5 or other data)", LATER),
    (b"PYTORCH1", "a container of the PyTorch 1.0 preview", "PyTorch itself no longer reads it"),
    (b"\x1f\x8b", "gzip-compressed", "unpack it first"),
    (b"\xfd7zXZ\0", "xz-compressed", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it first"),
    (b"BZh", "bzip2-compressed", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"\x93NUMPY", "a NumPy array (.npy)", LATER),
    (b"%PDF", "a PDF document, not a model", "look for the model file beside it"),
    (b"24ka", "a llama2.c model (version 1 or 2)", LATER),
];

/// Flatbuffer identifiers at byte 4.
const FLAT: &[(&[u8], &str)] = &[
    (b"TFL3", "a TensorFlow Lite model"),
    (b"ORTM", "an ONNX Runtime model (.ort)"),
    (b"ODTC", "an ONNX Runtime training checkpoint"),
    (b"ET12", "an ExecuTorch program"),
    (b"PTMF", "a PyTorch Mobile model"),
    (b"CIR0", "a Circle model"),
    (b"MSL", "a MindSpore Lite model"),
];

/// The magic number that starts PyTorch's legacy stream, as a pickle.
const TORCH_LEGACY: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// The end of a TensorFlow table.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// What a file looks like by its first (at most 4 KiB) and last (at most 8) bytes.
pub(super) fn name(head: &[u8], tail: &[u8]) -> Option<Lookalike> {
    if head.is_empty() {
        return is("empty", "download or copy it again");
    }
    for (start, name, advice) in STARTS {
        if head.starts_with(start) {
            return Some(Lookalike { name, advice });
        }
    }
    if head.starts_with(b"PK\x03\x04") {
        return zip(head);
    }
    if head.get(2..2 + TORCH_LEGACY.len()) == Some(TORCH_LEGACY) {
        return is("a PyTorch checkpoint of the format before 1.6", LATER);
    }
    if head.get(257..262) == Some(b"ustar") {
        return is("a tar archive", "unpack it first");
    }
    for (id, name) in FLAT {
        if head.get(4..4 + id.len()) == Some(*id) {
            return Some(Lookalike { name, advice: LATER });
        }
    }
    if tail == TABLE_END {
        return is("a TensorFlow checkpoint index", LATER);
    }
    if head[0] == 0x80 && matches!(head.get(1), Some(2..=5)) {
        return is("a Python pickle", "a pickle can run code; Glassbox never executes one and does not open it yet");
    }
    if head.starts_with(b"{") || head.starts_with(b"[") {
        return is("JSON, not a model", "open it together with the model file it belongs to");
    }
    if saved_model(head) {
        return is("a TensorFlow SavedModel", LATER);
    }
    let text = head.iter().all(|b| (*b >= b' ' && *b != 0x7f) || matches!(b, b'\n' | b'\r' | b'\t'));
    text.then_some(Lookalike { name: "text, not a model", advice: "look for the model file beside it" })
}

fn zip(head: &[u8]) -> Option<Lookalike> {
    let has = |needle: &[u8]| head.windows(needle.len()).any(|w| w == needle);
    if has(b"data.pkl") || has(b".format_version") || has(b"/version") {
        return is("a PyTorch checkpoint (zip)", LATER);
    }
    if has(b"metadata.json") && has(b"config.json") {
        return is("a Keras model (zip)", LATER);
    }
    if has(b".npy") {
        return is("NumPy arrays (.npz)", LATER);
    }
    is("a zip archive (PyTorch .pt, Keras .keras or another)", LATER)
}

/// `saved_model.pb` starts with schema version 1 and a long message; an ONNX file of IR version 1 with a short producer.
fn saved_model(head: &[u8]) -> bool {
    head.starts_with(&[0x08, 0x01, 0x12])
}

/// A byte sequence as people read it, for "starts with".
pub(super) fn first_bytes(head: &[u8]) -> String {
    head.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}
