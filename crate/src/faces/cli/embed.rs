//! `glassbox embed`.

use std::rc::Rc;

use crate::{
    fault::Result,
    report::EmbedReport,
    session::{EmbedOptions, Embedder, Inspection, Need, RunSettings},
};

use super::{
    Exit,
    args::EmbedArgs,
    terminal::{self, BOLD, Bar, DIM, plain},
    texts,
};

/// Values of a vector shown on a terminal.
const SHOWN: usize = 8;

/// Runs the command.
pub(super) fn run(args: &EmbedArgs, json: bool) -> Result<Exit> {
    let texts = texts::read(&args.texts, !args.prompt_ids.is_empty())?;
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Run)?;
    let adapters = args.lora.open()?;
    let report = terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        let bar = Bar::new(json);
        let settings = RunSettings {
            adapters,
            context: args.device.context,
            sequences: texts::TOGETHER,
            ..RunSettings::default()
        };
        let (device, gpu) = (args.device.device.clone(), args.device.options());
        let options = EmbedOptions { pooling: args.pooling, normalize: args.normalize };
        let mut show = |p| bar.show(p);
        let mut embedder = Embedder::load(inspection, device, gpu, &settings, options, &mut show).await?;
        bar.done();
        let prompt = match &args.prompt {
            Some(prompt) => prompt.clone(),
            None => embedder.prompt(args.prompt_name.as_deref())?,
        };
        let mut asked = texts.iter().map(|t| embedder.encode(&prompt, t)).collect::<Result<Vec<_>>>()?;
        asked.extend(args.prompt_ids.iter().map(|ids| embedder.of_ids(&ids.0)));
        let embeddings = embedder.embed(&asked).await?;
        Ok(EmbedReport::of(&embedder, prompt, embeddings))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    let names = texts.iter().cloned().chain(args.prompt_ids.iter().map(|ids| format!("{:?}", ids.0)));
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
    let length = if report.normalized { "length 1" } else { "their own length" };
    terminal::out(&format!("{DIM}pooling {}, vectors of {length}{DIM:#}\n", report.pooling));
    texts::notes(&report.notes);
    Ok(Exit::Fine)
}
