//! `glassbox run` for ONNX graphs, and `glassbox test-onnx`.

use std::{
    fmt::Write as _,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use crate::{
    fault::{Fault, Result},
    report::{GraphRunReport, NodeTestsReport, OperatorsReport, OutputReport},
    session::{CaseResult, GivenInput, GraphModel, Need, NodeCase, node_case, outputs_npz},
    source::{ByteSource, FileSource},
};

use super::{
    Exit,
    args::{RunArgs, TestOnnxArgs},
    terminal::{self, BOLD, DIM, GREEN, RED, YELLOW, plain, short},
};

/// Values of an output that a terminal shows.
const SHOWN: usize = 8;
/// How deep folders of cases are followed.
const DEPTH: usize = 3;

/// Runs a graph once.
pub(super) fn run(args: &RunArgs, json: bool) -> Result<Exit> {
    // Described first: the headers name the files that hold external data.
    let inspection = terminal::inspection(std::slice::from_ref(&args.path), Need::Run)?;
    let given = args.inputs.iter().map(|text| input(text)).collect::<Result<Vec<_>>>()?;
    let model = terminal::block_on(GraphModel::open(inspection.files()))?;
    let run = model.run(&given, args.random)?;
    if let Some(path) = &args.outputs {
        let bytes = outputs_npz(&run.outputs)?;
        std::fs::write(path, bytes)
            .map_err(|e| Fault::source(format!("cannot be written: {e}")).in_file(&path.display().to_string()))?;
    }
    let report = GraphRunReport::of(&model, &run);
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for output in &report.outputs {
        terminal::out(&told(output));
    }
    for note in &report.notes {
        terminal::err(&format!("{DIM}{}{DIM:#}", plain(note)));
    }
    terminal::err(&format!("{DIM}{} nodes in {:.1} ms{DIM:#}", report.nodes, report.seconds * 1e3));
    Ok(Exit::Fine)
}

/// One argument of `--inputs`.
fn input(text: &str) -> Result<GivenInput> {
    let is_file = |t: &str| [".npz", ".npy", ".json"].iter().any(|end| t.ends_with(end));
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) if !Path::new(text).is_file() => (Some(name.to_owned()), rest),
        _ => (None, text),
    };
    if is_file(rest) {
        let file = FileSource::open(Path::new(rest), rest)?;
        let bytes = terminal::block_on(file.read(0..file.len()))?;
        return Ok(GivenInput::File(name, rest.to_owned(), bytes));
    }
    match name {
        Some(name) => Ok(GivenInput::Text(name, rest.to_owned())),
        None => Err(Fault::caller(format!("\"{text}\" is neither an .npz, .npy or .json file nor NAME=VALUE"))),
    }
}

fn told(output: &OutputReport) -> String {
    let mut out = format!("{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}\n  ", plain(&output.name), plain(&output.kind));
    match output.values.as_array() {
        Some(list) => {
            let shown: Vec<String> = list.iter().take(SHOWN).map(|v| short(&plain(&v.to_string()), 60)).collect();
            out.push_str(&shown.join(", "));
            if list.len() > SHOWN {
                let _ = write!(out, ", … {} more", list.len() as u64 + output.left_out - SHOWN as u64);
            }
        }
        None => out.push_str(&short(&plain(&output.values.to_string()), 200)),
    }
    out.push('\n');
    out
}

/// Runs node tests.
pub(super) fn test(args: &TestOnnxArgs, json: bool) -> Result<Exit> {
    let Some(path) = args.path.as_ref().filter(|_| !args.operators) else { return operators(json) };
    let mut folders = Vec::new();
    find_cases(path, DEPTH, &mut folders)?;
    folders.sort();
    let mut report = NodeTestsReport::default();
    for folder in &folders {
        let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if !name.contains(&args.only) {
            continue;
        }
        let case = case(&name, folder);
        if !json {
            line(&case);
        }
        report.add(&case);
    }
    if report.cases.is_empty() {
        return Err(Fault::caller("no case: a folder with model.onnx expected, or a folder of such folders")
            .in_file(&path.display().to_string()));
    }
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&format!(
            "{BOLD}{} passed, {} failed, {} not supported{BOLD:#}\n",
            report.passed, report.failed, report.unsupported
        ));
    }
    Ok(if report.failed > 0 { Exit::Findings } else { Exit::Fine })
}

/// Lists the operators, a row for each, as a Markdown table has it.
fn operators(json: bool) -> Result<Exit> {
    let report = OperatorsReport::of_all();
    if json {
        terminal::json(&report)?;
        return Ok(Exit::Fine);
    }
    for op in &report.operators {
        let since: Vec<String> = op.since.iter().map(i64::to_string).collect();
        terminal::out(&format!("| {} | {} | {} |\n", op.domain, op.name, since.join(", ")));
    }
    Ok(Exit::Fine)
}

/// Runs one case; should Glassbox itself break, that is the case's failure and the others still run.
fn case(name: &str, folder: &Path) -> NodeCase {
    let run = || -> Result<NodeCase> {
        let files = terminal::open(std::slice::from_ref(&folder.to_path_buf()))?;
        Ok(terminal::block_on(node_case(name, &files)))
    };
    let failed = |why: String| NodeCase { name: name.to_owned(), result: CaseResult::Failed(why) };
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(case)) => case,
        Ok(Err(fault)) => failed(fault.to_string()),
        Err(_) => failed("a mistake in Glassbox itself: it panicked".into()),
    }
}

fn line(case: &NodeCase) {
    let (colour, word, why) = match &case.result {
        CaseResult::Passed => (GREEN, "passed", ""),
        CaseResult::PassedByShape => (GREEN, "passed", "types and shapes: the values are random"),
        CaseResult::Failed(why) => (RED, "FAILED", why.as_str()),
        CaseResult::Unsupported(why) => (YELLOW, "refused", why.as_str()),
    };
    let why = if why.is_empty() { String::new() } else { format!(": {}", short(&plain(why), 300)) };
    terminal::out(&format!("{colour}{word}{colour:#} {}{DIM}{why}{DIM:#}\n", plain(&case.name)));
}

/// Folders with a model.onnx.
fn find_cases(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if folder.join("model.onnx").is_file() {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let fail =
        |e: std::io::Error| Fault::source(format!("cannot be listed: {e}")).in_file(&folder.display().to_string());
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            find_cases(&path, depth - 1, found)?;
        }
    }
    Ok(())
}
