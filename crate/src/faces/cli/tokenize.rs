//! `glassbox tokenize`.

use std::{fmt::Write as _, io::Read};

use crate::{
    fault::{Fault, Result},
    report::TokensReport,
    session::{EncodeOptions, Need, Tokenized, open_vocabulary},
};

use super::{
    Exit,
    args::TokenizeArgs,
    inspect,
    terminal::{self, BOLD, DIM, plain, table},
};

/// Pieces that a terminal lists one by one.
const LISTED: usize = 200;

/// Runs the command.
pub(super) fn run(args: &TokenizeArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Tokenizer)?;
    let text = text(&args.text)?;
    let options = EncodeOptions { add_special: args.add_special, parse_special: args.parse_special };
    let report = terminal::block_on(async {
        let vocabulary = open_vocabulary(files).await?;
        let tokenized = Tokenized::new(&vocabulary, text, options)?;
        Ok(TokensReport::of(&vocabulary, &tokenized))
    })?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show(&report));
    }
    Ok(Exit::Fine)
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
            let kind = if p.kind == "normal" { String::new() } else { p.kind.to_owned() };
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
