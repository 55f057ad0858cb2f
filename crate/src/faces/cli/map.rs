//! `glassbox map` and `glassbox hex`: what lies where, and the bytes themselves.

use std::fmt::Write as _;

use crate::{
    fault::Result,
    report::{BytesReport, MapPartReport, MapReport},
    session::{FileBytes, Need, file_bytes},
};

use super::{
    Exit,
    args::{HexArgs, MapArgs},
    terminal::{self, BOLD, DIM, YELLOW, bytes, plain, short, table},
};

/// Bytes of a line.
const LINE: usize = 16;

/// Runs `map`.
pub(super) fn run(args: &MapArgs, json: bool) -> Result<Exit> {
    let inspection = terminal::inspection(&args.paths, Need::Description)?;
    let report = MapReport::of(&inspection);
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report));
    }
    Ok(Exit::Fine)
}

fn text(report: &MapReport<'_>) -> String {
    let mut out = String::new();
    for (number, file) in report.files.iter().enumerate() {
        let parts: Vec<&MapPartReport<'_>> = report.parts.iter().filter(|p| p.file == number).collect();
        let _ = writeln!(
            out,
            "{BOLD}{}{BOLD:#}  {DIM}{}, {} parts{DIM:#}",
            plain(&file.name),
            bytes(file.bytes),
            parts.len()
        );
        let digits = file.bytes.max(1).ilog10() as usize + 1;
        let rows: Vec<_> = parts
            .iter()
            .map(|p| {
                vec![
                    format!("{:>digits$}", p.start),
                    format!("{:>9}", bytes(p.end - p.start)),
                    p.kind.to_owned(),
                    p.encoding.as_deref().unwrap_or_default().to_owned(),
                    p.name.map(|n| short(n, 80)).unwrap_or_default(),
                    shared(p),
                ]
            })
            .collect();
        out.push_str(&table(&rows, 2));
        out.push('\n');
    }
    out
}

fn shared(part: &MapPartReport<'_>) -> String {
    let Some(with) = part.shares_with else { return String::new() };
    let with = short(with, 60);
    if part.shared_bytes == part.end - part.start {
        format!("{YELLOW}all of it lies in {with}, too{YELLOW:#}")
    } else {
        format!("{YELLOW}overlaps {with} by {}{YELLOW:#}", bytes(part.shared_bytes))
    }
}

/// Runs `hex`.
pub(super) fn hex(args: &HexArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Nothing)?;
    let at = args.at..args.at.saturating_add(args.bytes);
    let read = terminal::block_on(file_bytes(&files, args.file.as_deref(), at))?;
    if json {
        terminal::json(&BytesReport::from(&read))?;
    } else {
        terminal::out(&lines(&read));
    }
    Ok(Exit::Fine)
}

/// Offset, bytes, and the printable ones as text; a control byte never reaches the terminal.
fn lines(read: &FileBytes) -> String {
    let digits = format!("{:x}", read.len).len().max(8);
    let mut out = format!(
        "{DIM}{}: bytes {} to {} of {}{DIM:#}\n",
        plain(&read.file),
        read.start,
        read.start + read.bytes.len() as u64,
        read.len
    );
    for (i, line) in read.bytes.chunks(LINE).enumerate() {
        let mut pairs = String::new();
        for (k, byte) in line.iter().enumerate() {
            let _ = write!(pairs, "{}{byte:02x} ", if k == LINE / 2 { " " } else { "" });
        }
        let text: String = line.iter().map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '.' }).collect();
        let _ = writeln!(out, "{DIM}{:0digits$x}{DIM:#}  {pairs:50} {text}", read.start + (i * LINE) as u64);
    }
    out
}
