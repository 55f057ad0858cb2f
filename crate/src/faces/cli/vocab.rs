//! `glassbox vocab`.

use std::fmt::Write as _;

use crate::{
    fault::Result,
    report::VocabularyReport,
    session::{Catalog, Need, Search, TokenQuery, open_vocabulary},
};

use super::{
    Exit,
    args::VocabArgs,
    inspect,
    terminal::{self, BOLD, DIM, plain, short, table},
};

/// Runs the command.
pub(super) fn run(args: &VocabArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Tokenizer)?;
    let vocabulary = terminal::block_on(open_vocabulary(files))?;
    let query =
        TokenQuery { search: Search::parse(&args.search), kind: args.kind, sort: args.sort, reverse: args.reverse };
    let catalog = Catalog::new(&vocabulary);
    let report = VocabularyReport::of(&vocabulary, &catalog, &query, args.first, args.limit);
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show(&report));
    }
    Ok(Exit::Fine)
}

fn show(report: &VocabularyReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{DIM}{}{DIM:#}", plain(&report.tokenizer));
    let counts: Vec<String> = report.counts.iter().map(|count| format!("{} {}", count.tokens, count.kind)).collect();
    let _ = writeln!(out, "{}", counts.join(", "));
    for (what, stretches) in [("unused", &report.unused), ("holes", &report.holes)] {
        if !stretches.is_empty() {
            let all: Vec<String> = stretches.iter().map(|[start, end]| format!("{start}..{end}")).collect();
            let _ = writeln!(out, "{what}: {}", short(&all.join(" "), 100));
        }
    }
    let _ = writeln!(out, "\n{BOLD}{} tokens{BOLD:#} match", report.matching);
    let rows: Vec<Vec<String>> = report
        .tokens
        .iter()
        .map(|token| {
            let measure = match (token.score, token.rank) {
                (Some(score), _) => format!("{score}"),
                (None, Some(rank)) => format!("rank {rank}"),
                (None, None) => String::new(),
            };
            let kind = if token.kind == "normal" { String::new() } else { token.kind.to_owned() };
            vec![
                format!("{:>7}", token.id),
                format!("\"{}\"", short(&token.text, 40)),
                short(&token.piece, 40),
                short(&token.hex, 48),
                measure,
                kind,
            ]
        })
        .collect();
    out.push_str(&table(&rows, 0));
    let shown = report.first + report.tokens.len() as u64;
    if shown < report.matching {
        let _ = writeln!(out, "{DIM}… {} more: --first {shown}, or a higher --limit{DIM:#}", report.matching - shown);
    }
    out.push('\n');
    inspect::notes(&mut out, &report.notes);
    out
}
