//! What a file looks like that no reader takes: named politely, so that a person knows what they hold.

use super::codec::{inflate, protobuf};

/// A content test and what it means: a name, and what a person can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookalike {
    /// What the file is.
    pub(super) name: &'static str,
    /// What to do about it.
    pub(super) advice: &'static str,
}

const fn is(name: &'static str, advice: &'static str) -> Option<Lookalike> {
    Some(Lookalike { name, advice })
}

const LATER: &str = "not opened; a GGUF, safetensors, ONNX or PyTorch file of the same model can be";
const UNPACK: &str = "unpack it first";

/// The first bytes of what a gzip file holds; none where it cannot be unpacked.
pub(super) fn gunzipped(head: &[u8]) -> Option<Vec<u8>> {
    let start = match inflate::gzip(head, 64 << 10) {
        Ok(bytes) => bytes,
        // What came before the end of the first bytes is what was asked for.
        Err(e) => e.before,
    };
    (!start.is_empty()).then_some(start)
}

/// Starts of files, in the order of testing (formats.md section 1).
const STARTS: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs.github.com/spec/v1",
        "a Git LFS pointer, not the model itself",
        "fetch the real file with `git lfs pull`, or download it from the model's page",
    ),
    (b"nsgg", "a llama.cpp session file (a saved prompt and its cache), not a model", "open the model it belongs to"),
    (b"qsgg", "a llama.cpp state file (the cache of one sequence), not a model", "open the model it belongs to"),
    (
        b"\x0d\xc0\x01\0\0",
        "a network of Leela Chess Zero (LCZero)",
        "lc0 runs it; `lc0 leela2onnx` writes an ONNX file of it, which opens here",
    ),
    (b"PYTORCH1", "a container of the PyTorch 1.0 preview", "PyTorch itself no longer reads it"),
    (b"\x1f\x8b", "gzip-compressed", UNPACK),
    (b"\xfd7zXZ\0", "xz-compressed", UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", UNPACK),
    (b"BZh", "bzip2-compressed", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"LITERTLM", "a LiteRT-LM container (model and tokenizer for phones)", LATER),
    (
        b"ptrt",
        "a TensorRT engine",
        "it runs on the very GPU type and TensorRT version it was built for; look for the model it was built from",
    ),
    (b"%PDF", "a PDF document, not a model", "look for the model file next to it"),
];

/// Flatbuffer identifiers at byte 4.
const FLAT: &[(&[u8], &str, &str)] = &[
    (b"ORTM", "an ONNX Runtime model (.ort)", "ONNX Runtime runs it; the .onnx file it was made from opens here"),
    (
        b"ODTC",
        "an ONNX Runtime training checkpoint",
        "ONNX Runtime's training reads it; the .onnx file it belongs to opens here",
    ),
    (
        b"ET12",
        "an ExecuTorch program",
        "ExecuTorch runs it on phones; the PyTorch model it was exported from opens here",
    ),
    (b"PTMF", "a PyTorch Mobile model", "PyTorch Mobile runs it; the TorchScript file it was made from opens here"),
    (b"CIR0", "a Circle model", "ONE's runtime runs it; the TensorFlow Lite file it was made from opens here"),
    (
        b"MSL",
        "a MindSpore Lite model",
        "MindSpore Lite runs it; the ONNX or TensorFlow Lite file it was converted from opens here",
    ),
];

/// What servers answer where there is no file to give.
const REFUSALS: &[&[u8]] = &[
    b"Entry not found",
    b"Repository not found",
    b"Invalid credentials",
    b"Access to model",
    b"Access denied",
    b"Not Found",
    b"Unauthorized",
];

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
    if web_page(head) {
        return is("a saved web page, not a model", "download the file itself, not the page that shows it");
    }
    if refusal(head) {
        return is("a server's error message, not a model", "download the file again; it may need a login");
    }
    if head.get(257..262) == Some(b"ustar") {
        return is("a tar archive", "unpack it first, or give the model file in it");
    }
    for (id, name, advice) in FLAT {
        if head.get(4..4 + id.len()) == Some(*id) {
            return Some(Lookalike { name, advice });
        }
    }
    if tail == TABLE_END {
        return is("a table of LevelDB, of another kind than TensorFlow's checkpoints", LATER);
    }
    if head[0] == 0x80 && matches!(head.get(1), Some(2..=5)) {
        return is("the beginning of a Python pickle", "the file was not copied whole");
    }
    if head.starts_with(b"{") || head.starts_with(b"[") {
        return is("JSON, not a model", "open it together with the model file it belongs to");
    }
    if head.starts_with(b"<?xml") {
        let net = head.windows(5).any(|w| w == b"<net ");
        return if net {
            is(
                "an OpenVINO model description (IR)",
                "OpenVINO runs it together with the .bin file next to it; the model it was converted from can be opened here",
            )
        } else {
            is("XML, not a model", "look for the model file next to it")
        };
    }
    if head.iter().all(|b| *b == 0) {
        return is(
            "nothing but zeros, as far as it was read",
            "the download did not finish, or the disk lost it; fetch it again",
        );
    }
    if core_ml(head) {
        return is(
            "a Core ML model",
            "Xcode and coremltools open it, in a .mlpackage with the weights next to it; the model it was converted from can be opened here",
        );
    }
    if bare_vocabulary(head) {
        return is(
            "probably a ggml vocabulary of spring 2023, which has no magic",
            "llama.cpp has read GGUF since August 2023; a vocabulary in that form can be opened",
        );
    }
    let text = head.iter().all(|b| (*b >= b' ' && *b != 0x7f) || matches!(b, b'\n' | b'\r' | b'\t'));
    text.then_some(Lookalike { name: "text, not a model", advice: "look for the model file next to it" })
}

/// Bytes after a byte-order mark and white space.
fn trimmed(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

/// HTML in whatever letters, also behind an XML line.
fn web_page(head: &[u8]) -> bool {
    let text = trimmed(head);
    let start = |text: &[u8], word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let html = |text: &[u8]| start(text, b"<!doctype html") || start(text, b"<html");
    let behind = text.windows(2).take(256).position(|w| w == b"?>").and_then(|i| text.get(i + 2..));
    html(text) || start(text, b"<?xml") && behind.is_some_and(|rest| html(rest.trim_ascii_start()))
}

/// A sentence or a small JSON object in which a server says why it gives no file.
fn refusal(head: &[u8]) -> bool {
    let text = trimmed(head);
    if REFUSALS.iter().any(|r| text.starts_with(r)) {
        return true;
    }
    let Some(inner) = text.strip_prefix(b"{") else { return false };
    let inner = inner.trim_ascii_start();
    let keys: [&[u8]; 4] = [b"\"error\"", b"\"errors\"", b"\"message\"", b"\"detail\""];
    keys.iter().any(|key| inner.starts_with(key))
}

/// A number at a place.
fn number(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..)?.first_chunk().map(|raw| u32::from_le_bytes(*raw))
}

/// `Model { 1 specificationVersion, 2 description { 1 input, 10 output, ... FeatureDescription { 1 name, ... } } }` of
/// Core ML, versions 1 to 20.
pub(super) fn core_ml(head: &[u8]) -> bool {
    let [0x08, 1..=20, 0x12, rest @ ..] = head else { return false };
    let Ok(Some((size, n))) = protobuf::varint(rest) else { return false };
    let description = rest.get(n..).unwrap_or(&[]);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut left = description.get(..size).unwrap_or(description);
    let mut features = 0;
    // Functions, inputs, states, outputs, names of predictions, training inputs, metadata.
    while let Ok(Some((tag, n))) = protobuf::varint(left) {
        let (field, 2) = (tag >> 3, tag & 7) else { return false };
        let Ok(Some((size, m))) = protobuf::varint(left.get(n..).unwrap_or(&[])) else { break };
        let message = left.get(n + m..).unwrap_or(&[]);
        match field {
            // A feature begins with its name, which is text, and has a type.
            1 | 10 | 50 if feature(message, usize::try_from(size).unwrap_or(usize::MAX)) => features += 1,
            7 | 11 | 12 | 13 | 20 | 21 | 100 => {}
            _ => return false,
        }
        left = usize::try_from(size).ok().and_then(|size| message.get(size..)).unwrap_or(&[]);
    }
    features > 0
}

/// `FeatureDescription { 1 name, 2 shortDescription, 3 type }`, of which only the first bytes may be here.
fn feature(message: &[u8], size: usize) -> bool {
    let mut left = message.get(..size).unwrap_or(message);
    let cut = size > message.len();
    let (mut named, mut typed) = (false, false);
    while let [tag @ (0x0a | 0x12 | 0x1a), rest @ ..] = left {
        let Ok(Some((n, m))) = protobuf::varint(rest) else { return cut };
        let value = rest.get(m..).unwrap_or(&[]);
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let here = value.get(..n).unwrap_or(value);
        if *tag == 0x1a {
            typed = true;
        } else {
            // What ends with the first bytes of the file may end inside a character.
            let text = match std::str::from_utf8(here) {
                Ok(text) => text,
                Err(e) if e.error_len().is_none() && here.len() < n => "",
                Err(_) => return false,
            };
            if text.chars().any(char::is_control) {
                return false;
            }
            named |= *tag == 0x0a;
        }
        left = value.get(n..).unwrap_or(&[]);
    }
    left.is_empty() && (cut || named && typed)
}

/// A count, then a token's length and text: the first vocabularies of llama.cpp.
fn bare_vocabulary(head: &[u8]) -> bool {
    let (Some(count), Some(length)) = (number(head, 0), number(head, 4)) else { return false };
    let text = head.get(8..8 + (length as usize).min(64)).unwrap_or(&[]);
    (1000..1 << 20).contains(&count)
        && (1..=32).contains(&length)
        && std::str::from_utf8(text).is_ok()
        && number(head, 8 + length as usize) < Some(256)
}

/// A byte sequence as people read it, for "starts with".
pub(super) fn first_bytes(head: &[u8]) -> String {
    head.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}
