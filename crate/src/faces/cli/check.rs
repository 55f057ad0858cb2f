//! `glassbox check`.

use std::fmt::Write as _;

use crate::{
    fault::Result,
    report::{CheckReport, NoteReport, SalvageReport},
    session::Need,
};

use super::{
    Exit,
    args::CheckArgs,
    inspect,
    terminal::{self, BOLD, DIM, GREEN, RED, bytes, plain, short},
};

/// Missing ranges of one file that a terminal shows.
const RANGES: usize = 16;

/// Runs the command.
pub(super) fn run(args: &CheckArgs, json: bool) -> Result<Exit> {
    let inspection = terminal::inspection(&args.paths, Need::Run)?;
    let report = terminal::block_on(CheckReport::of(&inspection))?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report));
    }
    Ok(if report.errors > 0 { Exit::Findings } else { Exit::Fine })
}

fn text(report: &CheckReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}", plain(&report.summary));
    let files = if report.files == 1 { "1 file".to_owned() } else { format!("{} files", report.files) };
    let _ = writeln!(out, "{DIM}{}, {files}; read {} of it{DIM:#}\n", report.format, bytes(report.bytes_read));
    salvage(&mut out, report.salvage.as_ref());
    for (severity, heading) in [("error", "Errors"), ("warning", "Warnings"), ("info", "Good to know")] {
        let of: Vec<NoteReport> = report.findings.iter().filter(|f| f.severity == severity).cloned().collect();
        inspect::findings(&mut out, heading, &of);
    }
    if !report.refusals.is_empty() {
        let _ = writeln!(out, "{BOLD}Who would refuse it{BOLD:#}");
        for r in &report.refusals {
            let more = if r.more > 0 { format!(" (and {} more reasons above)", r.more) } else { String::new() };
            let because = short(&r.because, 140);
            let _ = writeln!(out, "  {RED}{}{RED:#} would refuse this because: {because}{more}", r.program);
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{DIM}Checked: {}.{DIM:#}", report.checks.join(", "));
    if !report.looked_at.is_empty() {
        let _ = writeln!(out, "{DIM}Read beyond the headers: {}.{DIM:#}", report.looked_at.join("; "));
    }
    let counted = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let (errors, warnings) = (counted(report.errors, "error"), counted(report.warnings, "warning"));
    let colour = if report.errors > 0 { RED } else { GREEN };
    let _ = writeln!(out, "{colour}{errors}{colour:#}, {warnings}");
    out
}

/// What is there and what is missing, with byte ranges.
pub(super) fn salvage(out: &mut String, salvage: Option<&SalvageReport>) {
    let Some(salvage) = salvage else { return };
    let _ = writeln!(out, "{BOLD}Not whole{BOLD:#}");
    let unlisted = match salvage.unlisted {
        Some(0) => String::new(),
        Some(n) => format!(", {n} not even listed"),
        None => ", an unknown number not even listed".into(),
    };
    let _ = writeln!(
        out,
        "  tensors: {} complete, {} partial, {} missing{unlisted}; {} of {} of their bytes are here",
        salvage.complete,
        salvage.partial,
        salvage.missing,
        bytes(salvage.bytes_here),
        bytes(salvage.bytes_all)
    );
    for file in &salvage.files {
        let here = file.bytes.map_or_else(|| "not given".into(), |n| format!("{n} bytes here"));
        let _ = writeln!(out, "  {} ({here})", plain(&file.name));
        for (start, end) in file.missing.iter().take(RANGES) {
            let _ = writeln!(out, "    missing bytes {start}..{end} ({})", bytes(end - start));
        }
        if file.missing.len() > RANGES {
            let _ = writeln!(out, "    and {} more ranges: --json lists them", file.missing.len() - RANGES);
        }
        match (file.more, file.bytes) {
            (true, Some(n)) if file.missing.is_empty() => {
                let _ = writeln!(
                    out,
                    "    missing from byte {n} on; how much, its list of tensors would say, which is cut"
                );
            }
            (true, None) if file.missing.is_empty() => {
                let _ = writeln!(out, "    missing wholly; its length is not stated");
            }
            (true, _) => {
                let _ = writeln!(out, "    and what follows; how much is not known");
            }
            _ => {}
        }
    }
    out.push('\n');
}
