//! `glassbox inspect`.

use std::fmt::Write as _;

use crate::{
    fault::Result,
    report::{ModelReport, NoteReport, VerdictReport},
    session::Need,
};

use super::{
    Exit,
    args::InspectArgs,
    terminal::{self, BOLD, DIM, GREEN, RED, YELLOW, bytes, plain, short, table},
};

/// Runs the command.
pub(super) fn run(args: &InspectArgs, json: bool) -> Result<Exit> {
    let inspection = terminal::inspection(&args.paths, Need::Description)?;
    let report = terminal::block_on(async { Ok(ModelReport::of(&inspection).await) })?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report, args));
    }
    Ok(if report.notes.iter().any(|n| n.severity == "error") { Exit::Findings } else { Exit::Fine })
}

fn text(report: &ModelReport, args: &InspectArgs) -> String {
    let mut out = String::new();
    let name = report.files.first().map(|f| f.name.as_str()).unwrap_or_default();
    let more =
        if report.files.len() > 1 { format!(" and {} more files", report.files.len() - 1) } else { String::new() };
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}{more}", plain(name));
    let _ = writeln!(out, "{}", plain(&report.summary));
    let _ = writeln!(
        out,
        "{DIM}{}, {}; read {} of it{DIM:#}\n",
        format!("{} {}", report.format, report.version).trim_end(),
        bytes(report.bytes_total),
        bytes(report.bytes_read)
    );
    facts(&mut out, "Identity", &report.identity);
    facts(&mut out, "Shape", &report.shape);
    encodings(&mut out, report);
    place(&mut out, report);
    if let Some(graph) = &report.graph {
        let _ = writeln!(
            out,
            "{BOLD}Graph{BOLD:#}  {} nodes, {} subgraphs, {}",
            graph.nodes.len(),
            graph.subgraphs,
            graph.opsets.join(", ")
        );
        let row = |kind: &str, v: &crate::report::GraphValueReport| {
            vec![
                kind.into(),
                short(&v.name, 40),
                v.encoding.clone().unwrap_or_default(),
                v.dims.iter().map(|d| short(d, 20)).collect::<Vec<_>>().join(" x "),
            ]
        };
        let rows: Vec<_> = graph
            .inputs
            .iter()
            .map(|v| row("input", v))
            .chain(graph.outputs.iter().map(|v| row("output", v)))
            .collect();
        out.push_str(&table(&rows, 2));
        let operators: Vec<String> =
            graph.operators.iter().take(12).map(|(op, n)| format!("{} {n}", plain(op))).collect();
        let _ = writeln!(out, "  operators: {}\n", operators.join(", "));
    }
    if args.metadata {
        let rows: Vec<_> = report
            .metadata
            .iter()
            .map(|m| {
                let value = match (&m.value, m.length) {
                    (v, Some(n)) => format!("{n} items: {}", short(&v.to_string(), 60)),
                    (serde_json::Value::String(s), None) => short(s, 80),
                    (v, None) => v.to_string(),
                };
                vec![short(&m.key, 60), m.kind.clone(), value]
            })
            .collect();
        let _ = writeln!(out, "{BOLD}Metadata{BOLD:#}  {} entries", rows.len());
        out.push_str(&table(&rows, 2));
        out.push('\n');
    }
    if args.tensors {
        let rows: Vec<_> = report
            .tensors
            .iter()
            .map(|t| {
                let shape = t.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
                let size = t.bytes.map_or_else(|| "?".into(), bytes);
                let at = t.offset.map_or_else(|| t.place.to_owned(), |o| format!("at {o}"));
                vec![plain(t.name), t.encoding.to_string(), shape, format!("{size:>9}"), at]
            })
            .collect();
        let _ = writeln!(out, "{BOLD}Tensors{BOLD:#}  {}", rows.len());
        out.push_str(&table(&rows, 2));
        out.push('\n');
    }
    super::check::salvage(&mut out, report.salvage.as_ref());
    notes(&mut out, &report.notes);
    if !args.tensors && !args.metadata {
        let _ = writeln!(
            out,
            "{DIM}{} metadata entries and {} tensors: --metadata and --tensors list them{DIM:#}",
            report.metadata.len(),
            report.tensors.len()
        );
    }
    out
}

fn facts(out: &mut String, heading: &str, facts: &[crate::report::Fact]) {
    if facts.is_empty() {
        return;
    }
    let rows: Vec<_> = facts.iter().map(|f| vec![f.label.clone(), short(&f.value, 90)]).collect();
    let _ = writeln!(out, "{BOLD}{heading}{BOLD:#}");
    out.push_str(&table(&rows, 2));
    out.push('\n');
}

fn encodings(out: &mut String, report: &ModelReport) {
    if report.encodings.is_empty() {
        return;
    }
    let total: u64 = report.encodings.iter().map(|e| e.bytes).sum();
    let rows: Vec<_> = report
        .encodings
        .iter()
        .map(|e| {
            let share = e.bytes as f64 * 100.0 / total.max(1) as f64;
            vec![
                e.encoding.clone(),
                format!("{:>5} tensors", e.tensors),
                format!("{:>9}", bytes(e.bytes)),
                format!("{share:5.1} %"),
                e.about.clone(),
            ]
        })
        .collect();
    let _ = writeln!(out, "{BOLD}Encodings{BOLD:#}");
    out.push_str(&table(&rows, 2));
    out.push('\n');
}

fn place(out: &mut String, report: &ModelReport) {
    let _ = writeln!(out, "{BOLD}Provenance{BOLD:#}\n  {}", report.place.sentence);
    let rows: Vec<_> = report
        .place
        .parts
        .iter()
        .map(|p| {
            let mark = match p.state.as_str() {
                "here" | "inside" => "✓",
                "missing" => "✗",
                _ => "·",
            };
            vec![mark.into(), p.stage.clone(), p.name.clone(), p.state.clone(), short(&p.detail, 90)]
        })
        .collect();
    out.push_str(&table(&rows, 2));
    hierarchy(out, report);
    let _ = writeln!(out, "\n{BOLD}What can run it{BOLD:#}");
    for r in &report.runners {
        let (colour, word) = match r.verdict {
            VerdictReport::Yes => (GREEN, "yes"),
            VerdictReport::Partly => (YELLOW, "partly"),
            VerdictReport::No => (RED, "no"),
            VerdictReport::Unknown => (DIM, "unknown"),
        };
        let _ = writeln!(out, "  {colour}{word:7}{colour:#} {}: {}", r.name, short(&r.detail, 200));
    }
    if let Some(fit) = &report.fit {
        let context = fit.context.min(4096);
        let cache = fit.cache_per_token.saturating_mul(context).saturating_add(fit.states);
        let _ = writeln!(
            out,
            "  {DIM}memory at context {context}: {} weights + {} cache + {} scratch = {}{DIM:#}",
            bytes(fit.weights),
            bytes(cache),
            bytes(fit.scratch),
            bytes(fit.weights.saturating_add(cache).saturating_add(fit.scratch))
        );
    }
    out.push('\n');
}

/// The parts of the model, each with its mark.
fn hierarchy(out: &mut String, report: &ModelReport) {
    if report.place.hierarchy.is_empty() {
        return;
    }
    let rows: Vec<_> = report
        .place
        .hierarchy
        .iter()
        .map(|p| {
            let mark = match p.state {
                "present" => "✓",
                "missing" => "✗",
                _ => "!",
            };
            let role = short(&p.role, 40);
            // The name says the file where both are one.
            let file = p.file.as_deref().filter(|f| f.rsplit('/').next() != Some(&p.role)).map(|f| short(f, 40));
            let told = file.into_iter().chain([short(&p.detail, 100)]).collect::<Vec<_>>().join(": ");
            vec![mark.into(), p.group.to_owned(), role, p.state.to_owned(), told]
        })
        .collect();
    let _ = writeln!(out, "\n{BOLD}Parts{BOLD:#}");
    out.push_str(&table(&rows, 2));
}

/// All findings.
pub(super) fn notes(out: &mut String, notes: &[NoteReport]) {
    findings(out, "Notes", notes);
}

/// Findings under a heading, one paragraph each.
pub(super) fn findings(out: &mut String, heading: &str, notes: &[NoteReport]) {
    if notes.is_empty() {
        return;
    }
    let _ = writeln!(out, "{BOLD}{heading}{BOLD:#}");
    for note in notes {
        let colour = match note.severity {
            "error" => RED,
            "warning" => YELLOW,
            _ => DIM,
        };
        let place = match (&note.file, note.at) {
            (Some(file), Some(at)) => format!(" {DIM}({}, byte {at}){DIM:#}", plain(file)),
            (None, Some(at)) => format!(" {DIM}(byte {at}){DIM:#}"),
            _ => String::new(),
        };
        let _ = writeln!(out, "  {colour}{}{colour:#} {}{place}", note.severity, plain(&note.what));
        for (label, extra) in [("why", &note.why), ("do", &note.advice)] {
            if let Some(extra) = extra {
                let _ = writeln!(out, "    {DIM}{label}: {}{DIM:#}", plain(extra));
            }
        }
    }
    out.push('\n');
}
