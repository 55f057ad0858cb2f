//! `glassbox classify` and `glassbox rank`.

use std::rc::Rc;

use crate::{
    fault::Result,
    report::{ClassifyReport, RankReport},
    session::{Classifier, Inspection, Need, RunSettings},
};

use super::{
    Exit,
    args::{ClassifyArgs, DeviceArgs, RankArgs},
    terminal::{self, BOLD, Bar, DIM, plain},
    texts,
};

/// Labels of a text that a terminal lists.
const LISTED: usize = 8;

async fn load(path: &std::path::Path, args: &DeviceArgs, json: bool) -> Result<Classifier> {
    let files = terminal::open_for(&[path.to_path_buf()], Need::Run)?;
    let inspection = Rc::new(Inspection::open(files).await?);
    let bar = Bar::new(json);
    let settings = RunSettings { context: args.context, sequences: texts::TOGETHER, ..RunSettings::default() };
    let mut show = |p| bar.show(p);
    let loaded = Classifier::load(inspection, args.device.clone(), args.options(), &settings, &mut show).await?;
    bar.done();
    Ok(loaded)
}

/// Runs `classify`.
pub(super) fn classify(args: &ClassifyArgs, json: bool) -> Result<Exit> {
    let texts = texts::read(&args.texts, false)?;
    let report = terminal::block_on(async {
        let mut model = load(&args.path, &args.device, json).await?;
        let scored = model.classify(&texts).await?;
        Ok(ClassifyReport::of(&model, texts, &scored))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for result in &report.results {
        terminal::out(&format!("{BOLD}{}{BOLD:#} {DIM}{} tokens{DIM:#}\n", plain(&result.text), result.tokens));
        for label in result.labels.iter().take(LISTED) {
            terminal::out(&format!("  {:>8.4}  {}\n", label.score, plain(&label.label)));
        }
        if result.labels.len() > LISTED {
            terminal::out(&format!("  {DIM}and {} more{DIM:#}\n", result.labels.len() - LISTED));
        }
    }
    texts::notes(&report.notes);
    Ok(Exit::Fine)
}

/// Runs `rank`.
pub(super) fn rank(args: &RankArgs, json: bool) -> Result<Exit> {
    let texts = texts::read(&args.texts, false)?;
    let report = terminal::block_on(async {
        let mut model = load(&args.path, &args.device, json).await?;
        let scored = model.rank(&args.query, &texts).await?;
        Ok(RankReport::of(&model, args.query.clone(), texts, &scored))
    })?;
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for result in &report.results {
        terminal::out(&format!(
            "{:>8.4}  {BOLD}{}{BOLD:#} {DIM}text {}, {} tokens{DIM:#}\n",
            result.score,
            plain(&result.text),
            result.index + 1,
            result.tokens
        ));
    }
    texts::notes(&report.notes);
    Ok(Exit::Fine)
}
