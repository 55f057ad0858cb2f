//! `glassbox synth`.

use std::{fs::File, io::BufWriter};

use crate::{
    fault::{Fault, Result},
    session::{Progress, synth},
};

use super::{
    Exit,
    args::SynthArgs,
    terminal::{self, Bar, bytes},
};

/// Runs the command.
pub(super) fn run(args: &SynthArgs, json: bool) -> Result<Exit> {
    let recipe = synth::Recipe::new(&args.arch, &args.size, &args.quant)?;
    let path = args.output.display().to_string();
    let file =
        File::create(&args.output).map_err(|e| Fault::source(format!("cannot be written: {e}")).in_file(&path))?;
    let bar = Bar::new(json);
    let written = synth::write(&recipe, &mut BufWriter::with_capacity(1 << 20, file), &mut |done, total| {
        bar.show(Progress { what: "Writing", done, total });
    })
    .map_err(|f| f.in_file(&path))?;
    bar.done();
    if json {
        terminal::json(&serde_json::json!({ "file": path, "bytes": written, "parameters": recipe.parameters() }))?;
    } else {
        terminal::out(&format!("{path}: {} parameters, {}\n", recipe.parameters(), bytes(written)));
    }
    Ok(Exit::Fine)
}
