//! Speed of the release build.

use std::path::PathBuf;

use crate::command::{Outcome, cargo, root, run, target_dir};
use crate::steps::heading;

/// Encodings of the synthetic models that are measured when no file is given.
const ENCODINGS: &[&str] = &["q8_0", "q4_0"];

/// `cargo xtask bench [OPTIONS]`: `glassbox bench` on the files given, else on a 135M-shape llama in each of [`ENCODINGS`].
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    run(&mut cargo(&["build", "--release", "--package", "glassbox", "--bin", "glassbox"]))?;
    let gives_a_file = arguments.iter().any(|a| !a.starts_with('-') && root().join(a).exists());
    if gives_a_file {
        return run(glassbox()?.arg("bench").args(arguments));
    }
    for encoding in ENCODINGS {
        let model = synthetic(encoding)?;
        heading(&format!("135M shape, {encoding}"));
        run(glassbox()?.arg("bench").arg(model).args(arguments))?;
    }
    Ok(())
}

fn glassbox() -> Outcome<std::process::Command> {
    let file = format!("glassbox{}", std::env::consts::EXE_SUFFIX);
    Ok(crate::command::command(target_dir()?.join("release").join(file), &[]))
}

/// A model of the 135M shape with random weights, made once and kept in the target folder.
fn synthetic(encoding: &str) -> Outcome<PathBuf> {
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    let file = folder.join(format!("llama-135m-{encoding}.gguf"));
    if !file.is_file() {
        run(glassbox()?.args(["synth", "--arch", "llama", "--size", "135m", "--quant", encoding, "-o"]).arg(&file))?;
    }
    Ok(file)
}
