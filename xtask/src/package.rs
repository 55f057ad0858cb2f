//! The npm package: the page's reader, runner and viewer as modules for other pages and for Node.js.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Outcome, node_tool, npm, root, run};
use crate::{steps, wasm};

/// Where the package is put together; the vite configuration and `tsconfig.package.json` name it too.
const FOLDER: &str = "target/package/web";
const CONFIG: [&str; 4] = ["--config", "vite.package.config.ts", "--logLevel", "warn"];
/// What lies beside the modules: from the repository, and as what.
const TEXTS: [(&str, &str); 4] = [
    ("docs/web.md", "README.md"),
    ("www/src/package/example.html", "example.html"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];

/// `cargo xtask package`: builds the wasm where it is not current, then the package and its archive.
pub(crate) fn package() -> Outcome {
    wasm::build_wasm()?;
    assemble()
}

/// The package from wasm that is built already.
pub(crate) fn assemble() -> Outcome {
    steps::timed("package", || {
        run(node_tool("vite", &["build"]).args(CONFIG))?;
        run(node_tool("vite", &["build", "--ssr"]).args(CONFIG))?;
        run(&mut node_tool("tsc", &["--project", "tsconfig.package.json"]))?;
        let folder = root().join(FOLDER);
        declared(&folder.join("types"))?;
        for (from, to) in TEXTS {
            fs::copy(root().join(from), folder.join(to)).map_err(|e| format!("cannot copy {from}: {e}"))?;
        }
        let manifest = folder.join("package.json");
        fs::write(&manifest, MANIFEST.replace("VERSION", env!("CARGO_PKG_VERSION")))
            .map_err(|e| format!("cannot write {}: {e}", manifest.display()))?;
        remove_archives(folder.parent().unwrap_or(&folder))?;
        run(npm(&["pack", "--silent", "--pack-destination", ".."]).current_dir(&folder))
    })
}

/// Declarations name the files they belong to by their source's ending; what is shipped is JavaScript.
fn declared(folder: &Path) -> Outcome {
    let unreadable = |e| format!("cannot read {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path: PathBuf = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            declared(&path)?;
        } else if path.extension().is_some_and(|e| e == "ts") {
            let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let text = text.replace(".tsx\"", ".js\"").replace(".ts\"", ".js\"");
            fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// Archives of earlier versions would be taken for this one.
fn remove_archives(folder: &Path) -> Outcome {
    let unreadable = |e| format!("cannot read {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "tgz") {
            fs::remove_file(&path).map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
        }
    }
    Ok(())
}

const MANIFEST: &str = r#"{
  "name": "@glassbox/web",
  "version": "VERSION",
  "description": "Look inside model files, preview their tokenization, and run them on your own GPU: in a page or in Node.js.",
  "license": "MIT OR Apache-2.0",
  "type": "module",
  "engines": { "node": ">=20.19" },
  "sideEffects": ["./viewer.js"],
  "exports": {
    ".": {
      "node": { "types": "./types/package/node.d.ts", "default": "./node.js" },
      "default": { "types": "./types/package/browser.d.ts", "default": "./browser.js" }
    },
    "./viewer": { "types": "./types/package/viewer.d.ts", "default": "./viewer.js" },
    "./package.json": "./package.json"
  }
}
"#;
