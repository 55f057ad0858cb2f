//! The house rules that the compiler does not hold: floors, platform splits, outside crates, unsafe code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One row of the floor table: floor, room, rooms it may import.
type Row = (u32, &'static str, &'static [&'static str]);

/// The floor table, as in `crate/src/lib.rs` and `ARCHITECTURE.md`.
const FLOORS: &[Row] = &[
    (0, "fault", &[]),
    (0, "order", &[]),
    (0, "random", &[]),
    (1, "source", &["fault"]),
    (1, "tensor", &["fault"]),
    (2, "model", &["fault", "tensor"]),
    (2, "ir", &["fault", "order", "tensor"]),
    (3, "formats", &["fault", "order", "source", "tensor", "model"]),
    (3, "chat", &["fault", "model"]),
    (3, "tokenizer", &["fault", "order", "model"]),
    (4, "arch", &["fault", "tensor", "model", "ir"]),
    (4, "engine", &["fault", "order", "random", "tensor", "ir"]),
    (5, "convert", &["fault", "order", "source", "tensor", "model", "formats", "tokenizer", "arch"]),
    (5, "onnx", &["fault", "random", "source", "tensor", "ir", "formats", "engine"]),
    (5, "check", &["fault", "order", "source", "tensor", "model", "formats", "arch"]),
    (6, "verdict", &["fault", "order", "tensor", "model", "formats", "arch", "check"]),
    (
        7,
        "session",
        &[
            "fault",
            "order",
            "random",
            "source",
            "tensor",
            "model",
            "ir",
            "formats",
            "chat",
            "tokenizer",
            "arch",
            "engine",
            "convert",
            "onnx",
            "check",
            "verdict",
        ],
    ),
    (8, "compare", &["fault", "source", "tensor", "model", "ir", "formats", "chat", "tokenizer", "arch", "session"]),
    (9, "report", &["fault", "order", "tensor", "model", "tokenizer", "arch", "verdict", "session", "compare"]),
    (10, "faces", &["fault", "source", "session", "compare", "report"]),
];

/// Files that may choose by platform; each picks one of two files with equal signatures.
const PLATFORM_FILES: &[&str] = &[
    "engine/device/cpu/dispatch.rs",
    "engine/device/cpu/mod.rs",
    "engine/device/gpu/mod.rs",
    "faces/mod.rs",
    "main.rs",
    "source/mod.rs",
];

/// Where each dependency of the crate may be named: a file, or a folder with its slash.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("anstream", &["faces/cli/"]),
    ("anstyle", &["faces/cli/"]),
    ("axum", &["faces/serve/"]),
    ("base64", &["faces/serve/", "tokenizer/"]),
    ("bytemuck", &["engine/", "tensor/"]),
    ("clap", &["faces/cli/"]),
    ("console_error_panic_hook", &["faces/wasm/"]),
    ("ctrlc", &["faces/cli/talk/"]),
    ("fancy_regex", &["convert/", "onnx/ops/text.rs", "tokenizer/"]),
    ("futures_util", &["faces/serve/"]),
    ("getrandom", &[]),
    ("half", &["engine/device/cpu/", "tensor/float.rs"]),
    ("hyper", &["faces/serve/"]),
    ("hyper_util", &["faces/serve/"]),
    ("indicatif", &["faces/cli/"]),
    ("js_sys", &["source/web.rs", "faces/wasm/", "engine/device/gpu/"]),
    ("miniz_oxide", &["formats/codec/inflate.rs"]),
    ("minijinja", &["chat/"]),
    ("minijinja_contrib", &["chat/"]),
    ("rlimit", &["faces/cli/apart.rs"]),
    ("rustyline", &["faces/cli/talk/"]),
    ("safetensors", &["formats/"]),
    ("serde", &["chat/", "faces/", "report/", "tokenizer/"]),
    (
        "serde_json",
        &["chat/", "check/", "compare/", "convert/", "faces/", "formats/", "report/", "session/", "tokenizer/"],
    ),
    ("similar", &["chat/"]),
    ("subtle", &["faces/serve/"]),
    ("tokenizers", &["tokenizer/"]),
    ("tokio", &["faces/serve/"]),
    ("toml", &["faces/cli/serve.rs"]),
    ("tower_http", &["faces/serve/"]),
    ("tracing", &["faces/serve/"]),
    ("tracing_subscriber", &["faces/serve/"]),
    ("unicode_segmentation", &["tokenizer/"]),
    ("ureq", &["source/http/"]),
    ("wait_timeout", &["faces/cli/apart.rs"]),
    ("wasm_bindgen", &["source/web.rs", "faces/wasm/", "engine/device/gpu/"]),
    ("wasm_bindgen_futures", &["source/web.rs", "faces/wasm/", "engine/device/gpu/"]),
    ("web_sys", &["source/web.rs", "faces/wasm/", "engine/device/gpu/"]),
    ("web_time", &["session/"]),
    ("wgpu", &["engine/device/gpu/"]),
];

/// The only places with unsafe code: vector instructions, the threads that share slots, and what wgpu must be told to trust.
const UNSAFE: &[&str] = &["engine/device/cpu/", "engine/device/gpu/host_native.rs", "engine/device/gpu/pipelines.rs"];

/// Rooms that read foreign bytes or describe them: the compiler itself forbids unsafe code there (`lib.rs`).
const FORBIDDEN_UNSAFE: &[&str] = &[
    "fault",
    "random",
    "source",
    "tensor",
    "model",
    "ir",
    "formats",
    "chat",
    "tokenizer",
    "arch",
    "convert",
    "onnx",
    "check",
    "compare",
    "verdict",
    "session",
    "report",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A source file of the crate.
struct Source {
    /// Below `crate/src`, with slashes.
    path: String,
    /// Its text without comments and without the contents of string literals.
    code: String,
}

impl Source {
    /// "engine" of `engine/plan.rs`, "fault" of `fault.rs`; `None` for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        let first = self.path.split('/').next().unwrap_or(&self.path).trim_end_matches(".rs");
        (!matches!(first, "lib" | "main")).then_some(first)
    }

    /// The number of modules between this file's and the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("crate/src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 40, "only {} source files found: the test looks in the wrong place", files.len());
    let below = |path: &Path| path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| Source { path: below(path), code: code_only(&read(path)) }).collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable folder").map(|entry| entry.expect("readable entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Rust without comments and without what stands between quotes, so that words in prose count for nothing.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                while i < chars.len() && (at(i), at(i + 1)) != ('*', '/') {
                    i += 1;
                }
                i += 2;
            }
            ('r', '"' | '#')
                if !identifier(if i == 0 { ' ' } else { at(i - 1) }) && raw_hashes(&chars, i).is_some() =>
            {
                let hashes = raw_hashes(&chars, i).unwrap_or(0);
                i += hashes + 2;
                while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                    i += 1;
                }
                i += hashes + 1;
                code.push_str("\"\"");
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                code.push_str("\"\"");
            }
            // A quote in a character literal opens no string; a lifetime has no closing quote.
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                code.push_str("''");
            }
            ('\'', _) if at(i + 2) == '\'' => {
                i += 3;
                code.push_str("''");
            }
            (c, _) => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
}

/// The number of `#` of a raw string that begins at `r`; `None` where it is no raw string.
fn raw_hashes(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(start + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Positions of `word` in `code` where it is a whole word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !code[..at].ends_with(identifier) && !code[at + word.len()..].starts_with(identifier))
}

/// The first names of the paths that follow `::`: one name, or each name of a `{...}` list.
fn names_after(rest: &str) -> Vec<&str> {
    let name = |text: &str| text.find(|c| !identifier(c)).map_or(text.len(), |end| end);
    let rest = rest.trim_start();
    let Some(list) = rest.strip_prefix('{') else { return vec![&rest[..name(rest)]] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = list[start..at].trim_start();
                names.push(&item[..name(item)]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// Names at the crate's root that a file reaches by `crate::` or by enough `super::`.
fn reached(source: &Source) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let code = source.code.as_str();
    for at in words(code, "crate") {
        if let Some(rest) = code[at + "crate".len()..].strip_prefix("::") {
            found.extend(names_after(rest));
        }
    }
    for at in words(code, "super") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let (mut rest, mut climbed) = (&code[at..], 0);
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, climbed) = (next, climbed + 1);
        }
        if climbed >= source.depth() {
            found.extend(names_after(rest));
        }
    }
    found
}

fn under(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn complain(broken: &[String]) {
    assert!(broken.is_empty(), "{} broken:\n  {}", broken.len(), broken.join("\n  "));
}

/// Rows of a Markdown floor table: floor, room, rooms it may import as text.
fn table_rows(text: &str) -> Vec<(u32, String, String)> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches("//!").trim();
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (Ok(floor), true) = (cells[0].parse(), cells.len() >= 4) else { continue };
        rows.push((floor, cells[1].replace(['[', ']', '`'], ""), cells[3].replace('`', "")));
    }
    rows
}

fn own_rows() -> Vec<(u32, String, String)> {
    FLOORS
        .iter()
        .map(|(floor, room, may)| {
            let below: Vec<&str> = FLOORS.iter().filter(|(f, ..)| f < floor).map(|(_, r, _)| *r).collect();
            let may = if may.is_empty() {
                "-".to_owned()
            } else if *may == below {
                "all above".to_owned()
            } else {
                may.join(", ")
            };
            (*floor, (*room).to_owned(), may)
        })
        .collect()
}

/// Tables may write "all above" or the list; both mean the same.
fn normal(rows: Vec<(u32, String, String)>) -> Vec<(u32, String, String)> {
    let spelled = |floor: u32| -> String {
        FLOORS.iter().filter(|(f, ..)| *f < floor).map(|(_, r, _)| *r).collect::<Vec<_>>().join(", ")
    };
    let expand = |(floor, room, may): (u32, String, String)| {
        let may = if may == "all above" { spelled(floor) } else { may };
        (floor, room, may)
    };
    rows.into_iter().map(expand).collect()
}

#[test]
fn the_floor_table_is_the_same_in_the_crate_docs_in_architecture_md_and_here() {
    let own = normal(own_rows());
    for file in ["crate/src/lib.rs", "ARCHITECTURE.md"] {
        assert_eq!(normal(table_rows(&read(&root().join(file)))), own, "the floor table of {file}");
    }
}

#[test]
fn every_room_may_import_only_rooms_on_lower_floors() {
    let floor = |room: &str| FLOORS.iter().find(|(_, r, _)| *r == room).map(|(floor, ..)| *floor);
    for (own, room, may) in FLOORS {
        for other in *may {
            let other_floor = floor(other).unwrap_or_else(|| panic!("{room} may import {other}, which is no room"));
            assert!(other_floor < *own, "{room} on floor {own} may import {other} on floor {other_floor}");
        }
    }
}

#[test]
fn every_folder_of_the_crate_is_a_room_of_the_table() {
    let rooms: BTreeSet<&str> = FLOORS.iter().map(|(_, room, _)| *room).collect();
    let sources = sources();
    let found: BTreeSet<&str> = sources.iter().filter_map(Source::room).collect();
    assert_eq!(found, rooms);
}

#[test]
fn a_room_imports_only_the_rooms_its_row_names() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        let (_, _, may) = FLOORS.iter().find(|(_, r, _)| *r == room).expect("every folder is a room");
        for name in reached(&source) {
            let is_room = FLOORS.iter().any(|(_, r, _)| *r == name);
            if is_room && name != room && !may.contains(&name) {
                broken.push(format!("{}: {room} may not import {name}", source.path));
            }
        }
    }
    complain(&broken);
}

#[test]
fn a_platform_is_chosen_only_in_the_files_that_are_for_it() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|source| !under(&source.path, PLATFORM_FILES))
        .filter(|source| words(&source.code, "target_arch").next().is_some())
        .map(|source| format!("{}: cfg(target_arch) belongs in one of {}", source.path, PLATFORM_FILES.join(", ")))
        .collect();
    complain(&broken);
}

#[test]
fn an_outside_crate_is_named_only_where_it_belongs() {
    let mut broken = Vec::new();
    for source in sources() {
        for (name, places) in OUTSIDE {
            let used = words(&source.code, name).any(|at| {
                let before = source.code[..at].trim_end();
                let after = &source.code[at + name.len()..];
                // `crate::formats::safetensors::` and `mod safetensors` are our own modules.
                (after.starts_with("::") && !before.ends_with("::") && !before.ends_with('{'))
                    || (before.ends_with("use") && after.starts_with([';', ' ']))
            });
            if used && !under(&source.path, places) {
                broken.push(format!("{}: {name} belongs in {}", source.path, places.join(", ")));
            }
        }
    }
    complain(&broken);
}

#[test]
fn every_dependency_of_the_crate_has_its_place() {
    let manifest = read(&root().join("crate/Cargo.toml"));
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            found.insert(name.trim().replace('-', "_"));
        }
    }
    assert_eq!(found, OUTSIDE.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn unsafe_code_stays_where_it_is_needed() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|source| !under(&source.path, UNSAFE) && words(&source.code, "unsafe").next().is_some())
        .map(|source| format!("{}: unsafe code belongs in {}", source.path, UNSAFE.join(", ")))
        .collect();
    complain(&broken);
}

#[test]
fn the_compiler_forbids_unsafe_code_in_every_room_that_touches_foreign_bytes() {
    let lib = read(&root().join("crate/src/lib.rs"));
    for room in FORBIDDEN_UNSAFE {
        let declaration = format!("#[forbid(unsafe_code)]\npub mod {room};");
        assert!(lib.contains(&declaration), "lib.rs declares {room} without #[forbid(unsafe_code)]");
    }
}

#[test]
fn every_path_in_the_tree_of_architecture_md_exists() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let tree = text.split("```tree").nth(1).and_then(|rest| rest.split("```").next()).expect("a ```tree block");
    let paths: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let broken: Vec<String> = paths
        .iter()
        .filter(|path| !root().join(path).exists() && !MADE_BY_THE_BUILD.contains(path))
        .map(|path| format!("ARCHITECTURE.md names {path}, which does not exist"))
        .collect();
    complain(&broken);
    let mut unnamed = Vec::new();
    for folder in ["crate/src", "tests", "www/src", "shaders"] {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten().flatten() {
            let path = format!("{folder}/{}/", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && !paths.contains(&path.as_str()) {
                unnamed.push(format!("ARCHITECTURE.md does not name {path}"));
            }
        }
    }
    complain(&unnamed);
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let mut files = Vec::new();
    for folder in ["crate/src", "tests", "xtask/tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let code: String = files.iter().map(|path| read(path)).collect();
    let readme = read(&root().join("README.md"));
    let named: Vec<&str> = readme.split('`').skip(1).step_by(2).filter(|word| is_a_sentence(word)).collect();
    assert!(named.len() >= 8, "only {} tests found in the README", named.len());
    let missing = named.iter().filter(|name| !code.contains(&format!("fn {name}(")));
    complain(&missing.map(|name| format!("README.md names the test {name}, which does not exist")).collect::<Vec<_>>());
}

/// Test names are sentences of at least four words.
fn is_a_sentence(word: &str) -> bool {
    word.matches('_').count() >= 3 && word.chars().all(identifier)
}

/// Folders that the tree names and that a fresh clone does not hold yet.
const MADE_BY_THE_BUILD: &[&str] = &["www/src/wasm/"];

#[test]
fn imports_are_found_in_all_their_spellings() {
    let source = |path: &str, code: &str| Source { path: path.to_owned(), code: code_only(code) };
    let found = |s: &Source| reached(s).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let listed = source("engine/plan.rs", "use crate::{fault::{Fault, Stop}, tensor, model::x}; // crate::prose\n");
    assert_eq!(found(&listed), ["fault", "model", "tensor"]);
    let climbing = source("engine/device/gpu/mod.rs", "use super::super::super::session::X; use super::super::plan;");
    assert_eq!(found(&climbing), ["session"]);
    let quoted = source(
        "engine/plan.rs",
        r##"let a = "crate::faces"; let b = r#"crate::report"#; let c = '"'; crate::fault::f()"##,
    );
    assert_eq!(found(&quoted), ["fault"]);
    let inline = source("engine/mod.rs", "fn f<'a>(x: &'a str) { pub(crate) fn g() {} crate::tensor::g(x) }");
    assert_eq!(found(&inline), ["tensor"]);
}
