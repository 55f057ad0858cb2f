//! The page: the crate compiled for wasm32, its bindings, and the site around them.

use std::fs;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::command::{Outcome, cargo_wasm, node_tool, root, run, target_dir};
use crate::{sizes, steps};

/// Where the bindings go; only `www/src/worker/` imports from there.
const BINDINGS: &str = "www/src/wasm";

/// `cargo xtask build`: wasm, bindings, sample, site; then the sizes against their limit.
pub(crate) fn build_site() -> Outcome {
    build_wasm()?;
    steps::timed("sample", copy_sample)?;
    steps::timed("site", || run(&mut node_tool("vite", &["build", "--logLevel", "warn"])))?;
    sizes::report_and_check(&root().join("dist"))
}

/// `cargo xtask dev`.
pub(crate) fn dev_server(options: &[String]) -> Outcome {
    build_wasm()?;
    copy_sample()?;
    run(node_tool("vite", &[]).args(options))
}

/// The two modules of the page, each by the crate's feature and the profile of that name: what the first view needs, and the rest.
pub(crate) const MODULES: [&str; 2] = ["reader", "runner"];

/// Compiles, binds and optimises both modules, side by side: each ends in a long stretch on one core (link-time optimisation).
pub(crate) fn build_wasm() -> Outcome {
    let outcomes = std::thread::scope(|scope| {
        let running = MODULES.map(|module| (module, scope.spawn(move || build_module(module))));
        running.map(|(module, thread)| {
            thread.join().unwrap_or_else(|_| Err(format!("the build of {module} ended by a panic")))
        })
    });
    outcomes.into_iter().collect()
}

fn build_module(module: &str) -> Outcome {
    steps::timed(&format!("wasm {module}"), || {
        run(&mut cargo_wasm(&[
            "rustc",
            "--package",
            "glassbox",
            "--lib",
            // Natively nobody needs a shared library, so that the manifest does not ask for one.
            "--crate-type",
            "cdylib",
            "--no-default-features",
            "--features",
            module,
            "--target",
            "wasm32-unknown-unknown",
            "--profile",
            module,
        ]))
    })?;
    let compiled = target_dir()?.join(format!("wasm32-unknown-unknown/{module}/glassbox.wasm"));
    let folder = root().join(BINDINGS);
    if is_current(&compiled, &folder, module) {
        return Ok(());
    }
    steps::timed(&format!("bindings {module}"), || bind(&compiled, &folder, module))?;
    steps::timed(&format!("wasm-opt {module}"), || optimise(&folder.join(format!("{module}_bg.wasm"))))
}

/// Whether the bindings are newer than what they are made from: the compiled crate, this program and its tools.
fn is_current(compiled: &Path, folder: &Path, module: &str) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let made = modified(&folder.join(format!("{module}_bg.wasm")));
    let sources = [Some(compiled.to_path_buf()), std::env::current_exe().ok(), Some(root().join("package-lock.json"))];
    made.is_some()
        && folder.join(format!("{module}.js")).is_file()
        && sources.iter().flatten().all(|s| modified(s) <= made)
}

fn bind(compiled: &Path, folder: &Path, module: &str) -> Outcome {
    // A half-written module must not look current, so the old one goes first.
    let old = folder.join(format!("{module}_bg.wasm"));
    if old.exists() {
        fs::remove_file(&old).map_err(|e| format!("cannot remove {}: {e}", old.display()))?;
    }
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(compiled)
        .out_name(module)
        .typescript(true)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen.web(true).and_then(|b| b.generate(folder)).map_err(|e| format!("wasm-bindgen: {e:#}"))
}

/// Shrinks the wasm (-Os): the hot SIMD loops were unrolled and inlined by rustc already, and -O3 was not seen to be faster.
fn optimise(wasm: &Path) -> Outcome {
    const FEATURES: &[&str] = &[
        "--enable-simd",
        "--enable-bulk-memory",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-sign-ext",
        "--enable-reference-types",
        "--enable-multivalue",
    ];
    let smaller = wasm.with_extension("wasm.smaller");
    run(node_tool("wasm-opt", FEATURES).arg("-Os").arg(wasm).arg("--output").arg(&smaller))?;
    fs::rename(&smaller, wasm).map_err(|e| format!("cannot replace {}: {e}", wasm.display()))
}

/// Puts the committed sample where Vite takes it as it is, with a list of its files for the page.
fn copy_sample() -> Outcome {
    let from = root().join("tests/corpus/sample");
    let to = root().join("www/public/sample");
    if to.exists() {
        fs::remove_dir_all(&to).map_err(|e| format!("cannot remove {}: {e}", to.display()))?;
    }
    if !from.is_dir() {
        println!("build  sample         none in {}: this copy of the page will say that it holds none", from.display());
        return Ok(());
    }
    let mut files = Vec::new();
    files_below(&from, &mut files)?;
    let mut rows = Vec::new();
    for file in files {
        let name = file.strip_prefix(&from).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let Some(what) = describe(&name) else { continue };
        let target = to.join(&name);
        let copied = fs::create_dir_all(target.parent().unwrap_or(&to)).and_then(|()| fs::copy(&file, &target));
        let bytes = copied.map_err(|e| format!("cannot copy {name} to {}: {e}", to.display()))?;
        rows.push(format!("  {{ \"name\": \"{name}\", \"bytes\": {bytes}, \"what\": \"{what}\" }}"));
    }
    let index = format!("[\n{}\n]\n", rows.join(",\n"));
    fs::write(to.join("index.json"), index).map_err(|e| format!("cannot write the sample's index.json: {e}"))
}

/// What a file of the sample is, in the words of the page; `None` for what the page does not offer.
fn describe(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "gguf" => format!("GGUF, {}", stem.rsplit(['-', '.']).next()?.to_uppercase()),
        "safetensors" => "safetensors shard".to_owned(),
        "onnx" => "ONNX".to_owned(),
        "pt" => "PyTorch".to_owned(),
        "json" if name.starts_with("hf/") => "part of the Hugging Face folder".to_owned(),
        _ => return None,
    })
}

fn files_below(folder: &Path, into: &mut Vec<PathBuf>) -> Outcome {
    let unreadable = |e| format!("cannot list {}: {e}", folder.display());
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}
