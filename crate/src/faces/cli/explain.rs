//! `glassbox tokenize --explain` and `--with`, for people.

use std::fmt::Write as _;

use crate::report::{
    CompareReport, DifferenceReport, ExplainReport, ExplainedPart, ExplainedWord, PieceReport, SideReport,
};

use super::{
    inspect,
    terminal::{BOLD, DIM, GREEN, RED, plain, short, table},
};

/// Steps of one word that a terminal lists.
const STEPS: usize = 60;

/// The steps in the order of the text.
pub(super) fn explained(report: &ExplainReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{DIM}{}\n{}{DIM:#}\n", plain(&report.tokenizer), report.method);
    for part in &report.parts {
        part_of(&mut out, part);
    }
    let ids: Vec<String> = report.ids.iter().map(u32::to_string).collect();
    let _ = writeln!(out, "{BOLD}{} tokens{BOLD:#}  {}\n", ids.len(), ids.join(" "));
    inspect::notes(&mut out, &report.notes);
    out
}

fn part_of(out: &mut String, part: &ExplainedPart) {
    let place = format!("{}..{}", part.start, part.end);
    if let Some(token) = &part.token {
        let _ =
            writeln!(out, "{BOLD}{}{BOLD:#} {place}  {} {DIM}{}{DIM:#}\n", part.kind, plain(&token.piece), token.id);
        return;
    }
    let _ = writeln!(out, "{BOLD}text{BOLD:#} {place}");
    if part.normalized.iter().any(|run| run.from != run.to) {
        let runs = part.normalized.iter().map(|run| {
            if run.from == run.to { plain(&run.from) } else { format!("[{} → {}]", plain(&run.from), plain(&run.to)) }
        });
        let _ = writeln!(out, "  normalized  {}", runs.collect::<String>());
    }
    for word in &part.words {
        word_of(out, word);
    }
    out.push('\n');
}

fn word_of(out: &mut String, word: &ExplainedWord) {
    let _ = writeln!(out, "  {BOLD}\"{}\"{BOLD:#} {DIM}{}..{}{DIM:#}", short(&word.text, 60), word.start, word.end);
    if !word.symbols.is_empty() && word.symbols.len() > 1 {
        let _ = writeln!(out, "    {}", symbols(&word.symbols));
    }
    let merges = word.merges.iter().map(|merge| {
        let by = match (merge.rank, merge.score) {
            (Some(rank), _) => format!("rank {rank}"),
            (None, Some(score)) => format!("score {score}"),
            (None, None) => String::new(),
        };
        vec![format!("{} + {}", plain(&merge.left), plain(&merge.right)), by, symbols(&merge.symbols)]
    });
    let choices = word.choices.iter().flat_map(|choice| {
        choice.candidates.iter().enumerate().map(|(nth, candidate)| {
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
            vec![
                if nth == 0 { format!("at {}", choice.at) } else { String::new() },
                if candidate.taken { "→" } else { "" }.to_owned(),
                plain(&candidate.text),
                candidate.id.map_or_else(|| "unknown".to_owned(), |id| id.to_string()),
                number(candidate.score),
                number(candidate.total),
            ]
        })
    });
    let rows: Vec<Vec<String>> = merges.chain(choices).collect();
    out.push_str(&table(rows.get(..STEPS.min(rows.len())).unwrap_or_default(), 4));
    if rows.len() > STEPS {
        let _ = writeln!(out, "    {DIM}… {} more steps; --json lists them{DIM:#}", rows.len() - STEPS);
    }
    let tokens = word.tokens.iter().map(|token| {
        let how = if token.how.is_empty() { String::new() } else { format!(" ({})", token.how) };
        format!("{} {}{how}", plain(&token.piece), token.id)
    });
    let _ = writeln!(out, "    {GREEN}= {}{GREEN:#}", tokens.collect::<Vec<_>>().join("  "));
}

fn symbols(symbols: &[String]) -> String {
    short(&symbols.join(" "), 100)
}

/// Two tokenizers on one text.
pub(super) fn compared(report: &CompareReport) -> String {
    let mut out = String::new();
    let row = |name: &str, side: &SideReport| {
        let ratio = side.characters_per_token.map_or_else(String::new, |ratio| format!("{ratio:.2} characters each"));
        let cut = match side.parts_of_characters {
            0 => String::new(),
            parts => format!("{parts} are parts of characters"),
        };
        vec![name.to_owned(), format!("{} tokens", side.ids.len()), ratio, plain(&side.tokenizer), cut]
    };
    out.push_str(&table(&[row("A", &report.a), row("B", &report.b)], 0));
    let _ = writeln!(out, "{DIM}{} characters, {} bytes{DIM:#}\n", report.characters, report.bytes);
    if report.same {
        let _ = writeln!(out, "{GREEN}The ids are the same.{GREEN:#}");
        return out;
    }
    match &report.first_cut {
        Some(found) => difference(&mut out, "The text is first cut differently", found),
        None => {
            let _ = writeln!(out, "The text is cut at the same places.");
        }
    }
    if let Some(found) = report.first_id.as_ref().filter(|found| {
        report.first_cut.as_ref().is_none_or(|cut| (cut.nth_a, cut.nth_b) != (found.nth_a, found.nth_b))
    }) {
        difference(&mut out, "The ids first differ", found);
    }
    let count = |wanted: u8| report.stretches.differs.iter().filter(|differs| **differs == wanted).count();
    let _ = writeln!(
        out,
        "\n{} stretches: {} the same, {} cut alike with other ids, {} cut differently",
        report.stretches.ends.len(),
        count(0),
        count(1),
        count(2)
    );
    for (name, side) in [("A", &report.a), ("B", &report.b)] {
        if !side.notes.is_empty() {
            let _ = writeln!(out, "\n{name}:");
            inspect::notes(&mut out, &side.notes);
        }
    }
    out
}

fn difference(out: &mut String, what: &str, found: &DifferenceReport) {
    let _ = writeln!(out, "{RED}{what}{RED:#} at character {}, byte {}:", found.character, found.at);
    for (name, nth, pieces) in [("A", found.nth_a, &found.a), ("B", found.nth_b, &found.b)] {
        let piece = |piece: &PieceReport| format!("\"{}\" {DIM}{}{DIM:#}", plain(&piece.text), piece.id);
        let pieces = if pieces.is_empty() {
            "(no tokens left)".to_owned()
        } else {
            pieces.iter().map(piece).collect::<Vec<_>>().join("  ")
        };
        let _ = writeln!(out, "  {name}, token {nth}:  {pieces}");
    }
}
