//! The Python package: a wheel, and its tests in a fresh virtual environment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Outcome, command, on_path, root, run};
use crate::steps;

const FOLDER: &str = "bindings/python";

/// `cargo xtask python`: builds the wheel, installs it as a user would and runs its tests.
pub(crate) fn python() -> Outcome {
    let python = ["python3", "python"].into_iter().find_map(on_path).ok_or("no python was found on PATH")?;
    let work = root().join("target/python");
    let (tools, fresh) = (work.join("tools"), work.join("fresh"));
    for old in [&fresh, &work.join("wheels")] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(|e| format!("cannot remove {}: {e}", old.display()))?;
        }
    }
    environment(&python, &tools)?;
    steps::timed("maturin", || run(&mut pip(&tools, &["install", "--quiet", "maturin>=1.9,<2"])))?;
    let wheels = work.join("wheels");
    let manifest = root().join(FOLDER).join("Cargo.toml");
    steps::timed("wheel", || {
        let mut build = command(program(&tools, "maturin"), &["build", "--release", "--manifest-path"]);
        run(build.arg(&manifest).arg("--out").arg(&wheels).env("CARGO_TARGET_DIR", work.join("cargo")))
    })?;
    let wheel = only_wheel(&wheels)?;
    environment(&python, &fresh)?;
    steps::timed("install", || {
        run(pip(&fresh, &["install", "--quiet", "pytest>=8", "safetensors>=0.5", "gguf>=0.10", "mypy"]).arg(&wheel))
    })?;
    steps::timed("types", || {
        run(&mut command(program(&fresh, "mypy"), &["--strict", "--no-warn-return-any", "-p", "glassbox"]))
    })?;
    steps::timed("tests", || {
        let mut tests = command(program(&fresh, "python"), &["-m", "pytest", "-q", "-rs"]);
        run(tests.current_dir(root().join(FOLDER)))
    })
}

fn environment(python: &Path, folder: &Path) -> Outcome {
    if folder.exists() {
        return Ok(());
    }
    run(command(python, &["-m", "venv"]).arg(folder))
}

fn program(environment: &Path, name: &str) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    environment.join(folder).join(if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() })
}

fn pip(environment: &Path, arguments: &[&str]) -> std::process::Command {
    let mut pip = command(program(environment, "python"), &["-m", "pip", "--disable-pip-version-check"]);
    pip.args(arguments);
    pip
}

fn only_wheel(folder: &Path) -> Outcome<PathBuf> {
    let unreadable = |e| format!("cannot read {}: {e}", folder.display());
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        wheels.extend(path.extension().is_some_and(|e| e == "whl").then_some(path));
    }
    match wheels.as_slice() {
        [wheel] => Ok(wheel.clone()),
        _ => Err(format!("one wheel expected in {}, {} found", folder.display(), wheels.len())),
    }
}
