//! `glassbox peek`.

use std::fmt::Write as _;

use crate::{
    fault::Result,
    report::{PeekReport, StatsReport},
    session::Need,
};

use super::{
    Exit,
    args::PeekArgs,
    remote,
    terminal::{self, BOLD, Bar, DIM, bytes, plain, table},
};

/// Values of a row that a terminal shows.
const COLUMNS: usize = 8;
/// Width of the histogram's longest bar.
const BAR: f64 = 48.0;

/// Runs the command.
pub(super) fn run(args: &PeekArgs, json: bool) -> Result<Exit> {
    let (path, need) = (std::slice::from_ref(&args.path), Need::Tensor(&args.tensor));
    let inspection = match terminal::address(&args.path) {
        Some(address) => {
            let files = terminal::open_for(path, need)?;
            terminal::block_on(remote::open_with_tensor(address, files, &args.tensor))?
        }
        None => terminal::inspection(path, need)?,
    };
    let bar = Bar::new(json);
    let report = terminal::block_on(async {
        let tensor = inspection.tensor_index(&args.tensor)?;
        let before = inspection.files().bytes_read();
        let peek = inspection.peek(tensor, args.rows.clone(), args.stats, &mut |p| bar.show(p)).await?;
        Ok(PeekReport::of(&inspection, &peek, inspection.files().bytes_read() - before))
    })?;
    bar.done();
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report));
    }
    Ok(Exit::Fine)
}

fn text(report: &PeekReport) -> String {
    let mut out = String::new();
    let shape = report.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}  {} {shape}", plain(&report.name), report.encoding);
    let _ = writeln!(
        out,
        "{DIM}{}; {} at byte {} of {}{DIM:#}\n",
        report.about,
        bytes(report.bytes),
        report.offset,
        plain(&report.file)
    );
    let rows: Vec<Vec<String>> = report
        .values
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let mut cells = vec![format!("row {}", report.first_row + i as u64)];
            cells.extend(row.iter().take(COLUMNS).map(|v| format!("{v:>12.6}")));
            if row.len() > COLUMNS {
                cells.push(format!("… {} more", row.len() - COLUMNS));
            }
            cells
        })
        .collect();
    out.push_str(&table(&rows, 2));
    let _ = writeln!(out, "\n  {DIM}first block: {}{DIM:#}", report.block_hex);
    if let Some(stats) = &report.stats {
        out.push_str(&statistics(stats));
    }
    out
}

fn statistics(stats: &StatsReport) -> String {
    let mut out = format!(
        "\n{BOLD}Statistics{BOLD:#} of {} values\n  min {:.6}  max {:.6}  mean {:.6}  std {:.6}  zeros {}  NaN {}  infinite {}\n\n",
        stats.count, stats.min, stats.max, stats.mean, stats.std, stats.zeros, stats.nans, stats.infinities
    );
    let bins = stats.histogram.len().max(1);
    let step = f64::from(stats.max - stats.min) / bins as f64;
    // Two bins a line: a terminal is wider than it is high.
    let lines: Vec<u64> = stats.histogram.chunks(2).map(|c| c.iter().sum()).collect();
    let most = lines.iter().copied().max().unwrap_or(1).max(1);
    for (i, n) in lines.iter().enumerate() {
        let from = f64::from(stats.min) + step * 2.0 * i as f64;
        let _ = writeln!(out, "  {from:>12.5} {:48} {n}", "█".repeat((*n as f64 / most as f64 * BAR).round() as usize));
    }
    out
}
