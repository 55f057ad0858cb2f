//! `glassbox diff`.

use std::fmt::Write as _;

use crate::{
    compare::Options,
    fault::Result,
    report::{DiffCell, DiffGrid, DiffModel, DiffSetting, DiffTemplate, DiffTokenizer, DiffWeight, ModelDiffReport},
    session::Need,
};

use super::{
    Exit,
    args::DiffArgs,
    terminal::{self, BOLD, Bar, DIM, GREEN, RED, YELLOW, plain, short, table},
};

/// Characters of a value in a table.
const VALUE: usize = 60;
/// Columns of the table of layers that fit beside each other.
const COLUMNS: usize = 14;

/// Runs the command.
pub(super) fn run(args: &DiffArgs, json: bool) -> Result<Exit> {
    let open = |path: &std::path::PathBuf| terminal::inspection(std::slice::from_ref(path), Need::Run);
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let options = Options { values: args.values, headers: args.headers, allow_rounding: args.allow_rounding };
    let bar = Bar::new(json);
    let report = terminal::block_on(ModelDiffReport::of(&a, &b, options, &mut |p| bar.show(p)))?;
    bar.done();
    match json {
        true => terminal::json(&report)?,
        false => terminal::out(&text(&report, args)),
    }
    Ok(if report.differs { Exit::Findings } else { Exit::Fine })
}

fn text(report: &ModelDiffReport, args: &DiffArgs) -> String {
    let mut out = String::new();
    let model = |name: &str, path: &std::path::Path, m: &DiffModel| {
        let files = if m.files.len() == 1 { String::new() } else { format!(" in {} files", m.files.len()) };
        vec![
            name.to_owned(),
            plain(&path.to_string_lossy()),
            format!("{}{files}", m.format),
            format!("{} tensors", m.tensors),
            format!("{} parameters", m.parameters),
        ]
    };
    out.push_str(&table(&[model("A", &args.a, &report.a), model("B", &args.b, &report.b)], 0));
    let colour = if report.differs { RED } else { GREEN };
    let _ = writeln!(out, "\n{colour}{}{colour:#}\n", plain(&report.summary));
    for (heading, list) in [
        ("Hyper-parameters", &report.hyper_parameters),
        ("Metadata", &report.metadata),
        ("Settings next to the weights", &report.files),
    ] {
        settings(&mut out, heading, list, args.limit);
    }
    if let Some(t) = &report.tokenizer {
        tokenizer(&mut out, t, args.limit);
    }
    for t in &report.templates {
        template(&mut out, t);
    }
    weights(&mut out, report, args);
    grid(&mut out, &report.grid, args.values);
    for note in &report.notes {
        let _ = writeln!(out, "{YELLOW}{}{YELLOW:#}", plain(note));
    }
    out
}

fn value(value: Option<&String>) -> String {
    value.map_or_else(|| "(not stated)".to_owned(), |v| short(v, VALUE))
}

fn more(out: &mut String, all: usize, shown: usize) {
    if all > shown {
        let _ = writeln!(out, "  {DIM}and {} more: --limit shows them, --json lists all{DIM:#}", all - shown);
    }
}

fn settings(out: &mut String, heading: &str, list: &[DiffSetting], limit: usize) {
    if list.is_empty() {
        return;
    }
    let _ = writeln!(out, "{BOLD}{heading}{BOLD:#}");
    let row = |s: &DiffSetting| {
        let how = if s.differs { "" } else { "one form alone states it" };
        vec![short(&s.name, VALUE), value(s.a.as_ref()), value(s.b.as_ref()), how.to_owned()]
    };
    out.push_str(&table(&list.iter().take(limit).map(row).collect::<Vec<_>>(), 2));
    more(out, list.len(), limit);
    out.push('\n');
}

fn tokenizer(out: &mut String, t: &DiffTokenizer, limit: usize) {
    if !t.differs && t.notes.is_empty() && t.tokens.is_empty() {
        return;
    }
    let _ = writeln!(out, "{BOLD}Tokenizer{BOLD:#}");
    let side = |name: &str, of: Option<&String>| {
        vec![name.to_owned(), of.map_or_else(|| "none".to_owned(), |words| plain(words))]
    };
    out.push_str(&table(&[side("A", t.a.as_ref()), side("B", t.b.as_ref())], 2));
    for note in &t.notes {
        let _ = writeln!(out, "  {YELLOW}{}{YELLOW:#}", plain(note));
    }
    if t.changed + t.only_a + t.only_b > 0 {
        let _ = writeln!(
            out,
            "  {} ids stand for other tokens; {} tokens are in A alone, {} in B alone",
            t.changed, t.only_a, t.only_b
        );
        let token = |of: Option<&String>| of.map_or_else(|| "(no such id)".to_owned(), |text| short(text, 30));
        let rows = t.tokens.iter().take(limit);
        let rows: Vec<_> = rows.map(|x| vec![x.id.to_string(), token(x.a.as_ref()), token(x.b.as_ref())]).collect();
        out.push_str(&table(&rows, 4));
    }
    if let Some(m) = t.merges.as_ref().filter(|m| m.differing > 0) {
        let _ = writeln!(out, "  merges: {} in A, {} in B, {} places differ", m.a, m.b, m.differing);
        if let Some(at) = m.first {
            let _ = writeln!(out, "    first at {at}: {} | {}", value(m.first_a.as_ref()), value(m.first_b.as_ref()));
        }
    }
    let rows = t.settings.iter().map(|s| vec![plain(&s.name), value(s.a.as_ref()), value(s.b.as_ref())]);
    out.push_str(&table(&rows.take(limit).collect::<Vec<_>>(), 2));
    out.push('\n');
}

fn template(out: &mut String, t: &DiffTemplate) {
    let _ = writeln!(out, "{BOLD}Chat template \"{}\"{BOLD:#}", plain(&t.name));
    for (name, from) in [("A", &t.from_a), ("B", &t.from_b)] {
        if let Some(from) = from {
            let _ = writeln!(out, "  {DIM}{name}: {}{DIM:#}", plain(from));
        }
    }
    for line in &t.lines {
        let colour = match line.sign {
            "-" => RED,
            "+" => GREEN,
            _ => DIM,
        };
        let number = line.a.or(line.b).unwrap_or(0);
        let _ = writeln!(out, "  {number:>4} {colour}{} {}{colour:#}", line.sign, plain(&line.text));
    }
    if t.more > 0 {
        let _ = writeln!(out, "  {DIM}and {} more lines{DIM:#}", t.more);
    }
    if let Some(note) = &t.note {
        let _ = writeln!(out, "  {YELLOW}{}{YELLOW:#}", plain(note));
    }
    out.push('\n');
}

fn weights(out: &mut String, report: &ModelDiffReport, args: &DiffArgs) {
    let counts: Vec<String> = report.counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let _ = writeln!(out, "{BOLD}Weights{BOLD:#} {DIM}{}{DIM:#}", counts.join(", "));
    let told = |w: &&DiffWeight| {
        w.differs || w.note.is_some() || args.values && w.values.as_ref().is_some_and(|v| v.differing > 0)
    };
    let all: Vec<&DiffWeight> = report.weights.iter().filter(told).collect();
    let mut rows = Vec::new();
    if args.values && !all.is_empty() {
        rows.push(["weight", "state", "relative error", "cosine", "largest change", ""].map(str::to_owned).to_vec());
    }
    rows.extend(all.iter().take(args.limit).map(|w| row(w, args.values)));
    out.push_str(&table(&rows, 2));
    more(out, all.len(), args.limit);
    out.push('\n');
}

fn row(w: &DiffWeight, values: bool) -> Vec<String> {
    let names = |t: &crate::report::DiffTensor| match t.names.as_slice() {
        [] => String::new(),
        [one] => plain(one),
        [first, rest @ ..] => format!("{} and {} more", plain(first), rest.len()),
    };
    let (a, b) = (w.a.as_ref().map(names), w.b.as_ref().map(names));
    let name = match (a, b) {
        (Some(a), Some(b)) if a == b => a,
        (Some(a), Some(b)) => format!("{a} | {b}"),
        (a, b) => a.or(b).unwrap_or_default(),
    };
    let encodings = |t: Option<&crate::report::DiffTensor>| t.map(|t| t.encodings.join(", ")).unwrap_or_default();
    let (x, y) = (encodings(w.a.as_ref()), encodings(w.b.as_ref()));
    let mut state = w.state.to_owned();
    if w.renamed {
        state.push_str(", renamed");
    }
    if w.reshaped {
        state.push_str(", reshaped");
    }
    if w.transposed {
        state.push_str(", transposed");
    }
    if x != y && !x.is_empty() && !y.is_empty() {
        let _ = write!(state, " ({x} | {y})");
    }
    let mut cells = vec![name, state];
    if values {
        let v = w.values.as_ref();
        cells.push(v.and_then(|v| v.relative_error).map_or_else(String::new, percent));
        cells.push(v.and_then(|v| v.cosine).map_or_else(String::new, |c| format!("{c:.6}")));
        cells.push(v.map_or_else(String::new, |v| format!("{:.4e} at {}", v.largest, v.largest_at)));
    }
    cells.push(w.note.as_ref().map_or_else(String::new, |n| short(n, 120)));
    cells
}

fn percent(share: f64) -> String {
    if share == 0.0 { "0".to_owned() } else { format!("{:.3} %", share * 100.0) }
}

fn grid(out: &mut String, grid: &DiffGrid, values: bool) {
    let same = |cell: &DiffCell| matches!(cell.state, "equal" | "alike" | "converted" | "of one form");
    if grid.rows.iter().all(|row| row.cells.iter().flatten().all(same)) {
        return;
    }
    let _ = writeln!(out, "{BOLD}Layers by parts{BOLD:#}");
    if values {
        let _ = writeln!(
            out,
            "{DIM}  the relative error in percent; = equal, A and B on one side alone, ? unmatched{DIM:#}"
        );
    } else {
        let _ = writeln!(
            out,
            "{DIM}  = equal, ~ the same in another encoding, r rounded, # changed, A and B on one side alone, ? unmatched{DIM:#}"
        );
    }
    let columns: Vec<usize> = (0..grid.parts.len()).collect();
    for columns in columns.chunks(COLUMNS) {
        let mut rows = vec![vec!["layer".to_owned()]];
        rows[0].extend(columns.iter().filter_map(|c| grid.parts.get(*c)).map(|part| plain(part)));
        for layer in &grid.rows {
            let mut row = vec![layer.layer.to_string()];
            row.extend(columns.iter().map(|c| cell(layer.cells.get(*c).and_then(Option::as_ref), values)));
            rows.push(row);
        }
        out.push_str(&table(&rows, 2));
        out.push('\n');
    }
}

fn cell(cell: Option<&DiffCell>, values: bool) -> String {
    let Some(cell) = cell else { return String::new() };
    let error = cell.relative_error.filter(|e| values && *e > 0.0);
    let sign = match cell.state {
        "equal" | "alike" => "=",
        "converted" => "~",
        "rounded" => "r",
        "changed" => "#",
        "only in a" => "A",
        "only in b" => "B",
        "of one form" => "",
        _ => "?",
    };
    error.map_or_else(|| sign.to_owned(), |e| format!("{:.3}", e * 100.0))
}
