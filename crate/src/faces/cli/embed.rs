//! `glassbox embed`.

use std::rc::Rc;

use crate::{
    fault::Result,
    report::EmbedReport,
    session::{Embedder, Inspection, Need, RunSettings},
};

use super::{
    Exit,
    args::EmbedArgs,
    terminal::{self, BOLD, Bar, DIM, plain},
};

/// Texts that may share a step.
const TOGETHER: u32 = 16;
/// Values of a vector shown on a terminal.
const SHOWN: usize = 8;

/// Runs the command.
pub(super) fn run(args: &EmbedArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Run)?;
    let report = terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        let bar = Bar::new(json);
        let settings = RunSettings { context: args.device.context, sequences: TOGETHER, ..RunSettings::default() };
        let (device, options) = (args.device.device.clone(), args.device.options());
        let mut show = |p| bar.show(p);
        let mut embedder = Embedder::load(inspection, device, options, &settings, args.pooling, &mut show).await?;
        bar.done();
        let mut texts = args.texts.iter().map(|t| embedder.encode(t)).collect::<Result<Vec<_>>>()?;
        texts.extend(args.prompt_ids.iter().map(|ids| ids.0.clone()));
        let embeddings = embedder.embed(&texts).await?;
        Ok(EmbedReport::of(&embedder, embeddings))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    let names = args.texts.iter().map(String::clone).chain(args.prompt_ids.iter().map(|ids| format!("{:?}", ids.0)));
    for ((name, vector), tokens) in names.zip(&report.embeddings).zip(&report.tokens) {
        let start: Vec<String> = vector.iter().take(SHOWN).map(|v| format!("{v:.4}")).collect();
        let more = if vector.len() > SHOWN { ", ..." } else { "" };
        terminal::out(&format!(
            "{BOLD}{}{BOLD:#} {DIM}{tokens} tokens, {} values{DIM:#}\n  {}{more}\n",
            plain(&name),
            vector.len(),
            start.join(", ")
        ));
    }
    for note in &report.notes {
        terminal::err(&format!("{DIM}{}{DIM:#}", plain(note)));
    }
    Ok(Exit::Fine)
}
