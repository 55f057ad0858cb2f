//! `glassbox graph`.

use crate::{
    fault::{Fault, Result},
    session::{self, Inspection, Need},
};

use super::{
    Exit,
    args::GraphArgs,
    terminal::{self, plain, table},
};

/// Runs the command.
pub(super) fn run(args: &GraphArgs, json: bool) -> Result<Exit> {
    let passes = session::passes();
    let Some(path) = args.path.as_ref().filter(|_| !args.passes) else {
        if json {
            let list: Vec<_> =
                passes.iter().map(|(name, about)| serde_json::json!({ "name": name, "about": about })).collect();
            terminal::json(&list)?;
        } else {
            let rows: Vec<_> = passes.iter().map(|(name, about)| vec![(*name).into(), (*about).into()]).collect();
            terminal::out(&table(&rows, 0));
        }
        return Ok(Exit::Fine);
    };
    let files = terminal::open_for(std::slice::from_ref(path), Need::Run)?;
    let text = terminal::block_on(async {
        let inspection = Inspection::open(files).await?;
        let disabled: Vec<&str> = if args.plain {
            passes.iter().map(|(name, _)| *name).collect()
        } else {
            args.disable_pass.iter().map(String::as_str).collect()
        };
        if args.program {
            session::program_text(&inspection, &disabled)
        } else {
            session::graph_text(&inspection, &disabled)
        }
    })?;
    if json {
        terminal::json(&serde_json::json!({ "text": text }))?;
        return Ok(Exit::Fine);
    }
    if text.is_empty() {
        return Err(Fault::bug("a graph without operations"));
    }
    text.lines().for_each(|line| terminal::out(&format!("{}\n", plain(line))));
    Ok(Exit::Fine)
}
