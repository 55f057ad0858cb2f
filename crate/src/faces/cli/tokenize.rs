//! `glassbox tokenize`.

use std::{fmt::Write as _, io::Read};

use crate::{
    fault::{Fault, Result},
    report::{CompareReport, ExplainReport, TokensReport},
    session::{Comparison, EncodeOptions, Need, Tokenized, open_vocabulary},
};

use super::{
    Exit,
    args::TokenizeArgs,
    explain, inspect,
    terminal::{self, BOLD, DIM, plain, table},
};

/// Pieces that a terminal lists one by one.
const LISTED: usize = 200;

/// Runs the command.
pub(super) fn run(args: &TokenizeArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Tokenizer)?;
    let text = text(&args.text)?;
    let options = EncodeOptions { add_special: args.add_special, parse_special: args.parse_special };
    let vocabulary = terminal::block_on(open_vocabulary(files))?;
    if args.explain {
        let report = ExplainReport::of(&vocabulary, vocabulary.explain(&text, options)?);
        print(&report, json, explain::explained)?;
        return Ok(if report.agrees { Exit::Fine } else { Exit::Findings });
    }
    if let Some(path) = &args.with {
        let other =
            terminal::block_on(open_vocabulary(terminal::open_for(std::slice::from_ref(path), Need::Tokenizer)?))?;
        let comparison = Comparison::new(&vocabulary, &other, &text, options)?;
        let report = CompareReport::of(&vocabulary, &other, &comparison);
        print(&report, json, explain::compared)?;
        return Ok(if report.same { Exit::Fine } else { Exit::Findings });
    }
    let report = TokensReport::of(&vocabulary, &Tokenized::new(&vocabulary, text, options)?);
    print(&report, json, show)?;
    Ok(Exit::Fine)
}

/// A report as JSON or for people.
fn print<R: serde::Serialize>(report: &R, json: bool, show: impl Fn(&R) -> String) -> Result<()> {
    if json {
        return terminal::json(report);
    }
    terminal::out(&show(report));
    Ok(())
}

fn text(given: &str) -> Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| Fault::source(format!("standard input cannot be read: {e}")))?;
    Ok(text)
}

fn show(report: &TokensReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{DIM}{}{DIM:#}", plain(&report.tokenizer));
    let _ = writeln!(
        out,
        "{BOLD}{} tokens{BOLD:#} for {} characters, {} bytes{}\n",
        report.ids.len(),
        report.characters,
        report.bytes,
        if report.roundtrips { "" } else { "; decoding does not give the text back exactly" }
    );
    let rows: Vec<_> = report
        .pieces
        .iter()
        .take(LISTED)
        .map(|p| {
            let kind = match (p.kind, p.part_of) {
                ("normal", "") => String::new(),
                (kind, "") => kind.to_owned(),
                (_, part_of) => format!("part of a {part_of}"),
            };
            vec![format!("{:>7}", p.id), format!("\"{}\"", plain(&p.text)), format!("{}..{}", p.start, p.end), kind]
        })
        .collect();
    out.push_str(&table(&rows, 0));
    if report.pieces.len() > LISTED {
        let _ = writeln!(out, "{DIM}… {} more; --json lists all{DIM:#}", report.pieces.len() - LISTED);
    }
    out.push('\n');
    inspect::notes(&mut out, &report.notes);
    out
}
