//! `glassbox edit`, `split` and `merge`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;

use crate::{
    fault::{Fault, Result},
    report::{EditReport, FilesReport, MetadataReport, WrittenReport},
    session::{
        Cut, Edition, Extraction, Inspection, MetadataChange as Change, Need, Splitting, merge_files, text_change,
    },
};

use super::{
    Exit,
    terminal::{self, BOLD, Bar, DIM, bytes, plain, short},
};

/// Characters of a value that a terminal shows.
const SHOWN: usize = 100;
/// The largest chat template that is read: templates in use have some kilobytes.
const TEMPLATE_MOST: u64 = 16 << 20;

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox edit model.gguf --set general.name=\"My model\" -o renamed.gguf\n  glassbox edit model.gguf --set tokenizer.ggml.eos_token_id=128009 --in-place\n  glassbox edit model.gguf --set \"my.list:[i32]=1,2,3\" --remove general.description -o edited.gguf\n  glassbox edit model.gguf --chat-template template.jinja --in-place\n  glassbox edit model.gguf --set general.name=x --dry-run\n\nA key keeps its type; a new one gets that of its spelling, unless KEY:TYPE states one: u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool\nstring, or a list of one in brackets. The new file appears only when it is complete."
)]
pub(super) struct EditArgs {
    /// A GGUF file.
    pub(super) path: PathBuf,
    /// Set a key. May be repeated; what is given later comes later.
    #[arg(long, value_name = "KEY[:TYPE]=VALUE")]
    pub(super) set: Vec<String>,
    /// Remove a key. May be repeated.
    #[arg(long, value_name = "KEY")]
    pub(super) remove: Vec<String>,
    /// Make this file's text the chat template.
    #[arg(long, value_name = "FILE")]
    pub(super) chat_template: Option<PathBuf>,
    /// The file to write.
    #[arg(short, long, conflicts_with = "in_place", required_unless_present_any = ["in_place", "dry_run"])]
    pub(super) output: Option<PathBuf>,
    /// Replace the file by the edited one, once that is complete.
    #[arg(long)]
    pub(super) in_place: bool,
    /// Show what would change; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox split model.gguf --max-size 2G\n  glassbox split model.gguf --max-tensors 128 -o parts/model\n  glassbox split model.gguf --max-size 500M --dry-run\n\nThe parts are named PREFIX-00001-of-00003.gguf and are those of llama.cpp's gguf-split."
)]
pub(super) struct SplitArgs {
    /// A GGUF file.
    pub(super) path: PathBuf,
    /// The most bytes of tensors in a part: 500M, 2G (powers of 1000). A larger tensor has a part to itself.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "max_tensors")]
    pub(super) max_size: Option<u64>,
    /// The most tensors in a part.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "max_size")]
    pub(super) max_tensors: Option<u64>,
    /// Folder and beginning of the parts' names; without it the file's own, less its ending.
    #[arg(short, long, value_name = "PREFIX")]
    pub(super) output: Option<PathBuf>,
    /// Show the parts; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox merge model-00001-of-00003.gguf -o model.gguf\n  glassbox merge part-1.gguf part-2.gguf -o model.gguf"
)]
pub(super) struct MergeArgs {
    /// One part, whose others lie beside it, or all of them.
    #[arg(required = true)]
    pub(super) parts: Vec<PathBuf>,
    /// The file to write.
    #[arg(short, long)]
    pub(super) output: PathBuf,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox extract model.gguf embeddings.gguf --tensors token_embd output\n  glassbox extract hf-folder layer.safetensors --tensors \"layers\\.0\\.\"\n  glassbox extract checkpoint.pt weights.safetensors --tensors \"weight$\" --dry-run\n\nOf a GGUF file all metadata comes with them; tensors of any other format become safetensors."
)]
pub(super) struct ExtractArgs {
    /// A model: a file, or a folder.
    pub(super) input: PathBuf,
    /// The file to write.
    pub(super) output: PathBuf,
    /// Tensors whose names hold one of these regular expressions.
    #[arg(long, value_name = "PATTERN", num_args = 1.., required = true)]
    pub(super) tensors: Vec<String>,
    /// Show what would be written; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// "500M" as bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not a size such as 500M or 2G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0).ok_or_else(wrong)
}

fn opened(paths: &[PathBuf]) -> Result<Inspection> {
    terminal::inspection(paths, Need::Description)
}

impl EditArgs {
    fn changes(&self) -> Result<Vec<Change>> {
        let mut changes = self.set.iter().map(|text| Change::set(text)).collect::<Result<Vec<_>>>()?;
        changes.extend(self.remove.iter().cloned().map(Change::Remove));
        if let Some(path) = &self.chat_template {
            changes.push(text_change("tokenizer.chat_template", template(path)?));
        }
        if changes.is_empty() {
            return Err(Fault::caller("nothing to change: give --set, --remove or --chat-template"));
        }
        Ok(changes)
    }
}

fn template(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    let fail = |e: std::io::Error| Fault::source(format!("cannot be read: {e}")).in_file(&name);
    let length = std::fs::metadata(path).map_err(fail)?.len();
    if length > TEMPLATE_MOST {
        let what = format!("a chat template of {length} bytes; the limit is {TEMPLATE_MOST}");
        return Err(Fault::limit(what).in_file(&name));
    }
    std::fs::read_to_string(path).map_err(fail)
}

/// Runs `edit`.
pub(super) fn edit(args: &EditArgs, json: bool) -> Result<Exit> {
    let changes = args.changes()?;
    if terminal::address(&args.path).is_some() && args.in_place {
        return Err(Fault::caller("a file at an address cannot be replaced: give --output"));
    }
    let inspection = opened(std::slice::from_ref(&args.path))?;
    let edition = Edition::of(&inspection, &changes)?;
    let path = args.output.as_deref().unwrap_or(&args.path);
    let bar = Bar::new(json);
    let written = if args.dry_run {
        edition.planned(path)
    } else {
        terminal::block_on(edition.write(path, &mut |p| bar.show(p)))?
    };
    bar.done();
    let report = EditReport::of(edition.changed(), &written);
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&edit_text(&report));
    }
    Ok(Exit::Fine)
}

fn edit_text(report: &EditReport) -> String {
    let shown = |value: &Option<MetadataReport>| match value {
        Some(v) => {
            let more = v.length.map(|n| format!(" ({n} items)")).unwrap_or_default();
            format!("{}{more}  {}", short(&v.value.to_string(), SHOWN), v.kind)
        }
        None => "-".to_owned(),
    };
    let mut out = String::new();
    for change in &report.changes {
        let _ = writeln!(out, "{BOLD}{}{BOLD:#}", plain(&change.key));
        let _ = writeln!(out, "  {DIM}before{DIM:#}  {}", shown(&change.before));
        let _ = writeln!(out, "  {DIM}now{DIM:#}     {}", shown(&change.after));
    }
    out.push_str(&file_line(&report.output));
    out
}

pub(super) fn file_line(file: &WrittenReport) -> String {
    let what = match file.bytes {
        Some(n) => format!("{}, {} tensors", bytes(n), file.tensors),
        None => format!("{} tensors of {}; nothing was written", file.tensors, bytes(file.tensor_bytes)),
    };
    format!("{}: {what}\n", plain(&file.file))
}

fn files(written: &FilesReport, json: bool) -> Result<Exit> {
    if json {
        terminal::json(written)?;
    } else {
        terminal::out(&written.files.iter().map(file_line).collect::<String>());
    }
    Ok(Exit::Fine)
}

/// Runs `split`.
pub(super) fn split(args: &SplitArgs, json: bool) -> Result<Exit> {
    let cut = match (args.max_size, args.max_tensors) {
        (Some(bytes), _) => Cut::Bytes(bytes),
        (None, tensors) => Cut::Tensors(tensors.unwrap_or(1)),
    };
    let prefix = match &args.output {
        Some(prefix) => prefix.clone(),
        None if terminal::address(&args.path).is_some() => {
            return Err(Fault::caller("the parts of a file at an address need a place: give --output"));
        }
        None => args.path.with_extension(""),
    };
    let inspection = opened(std::slice::from_ref(&args.path))?;
    let splitting = Splitting::of(&inspection, cut, &prefix)?;
    let bar = Bar::new(json);
    let written =
        if args.dry_run { splitting.planned() } else { terminal::block_on(splitting.write(&mut |p| bar.show(p)))? };
    bar.done();
    files(&FilesReport::of(&written), json)
}

/// Runs `extract`.
pub(super) fn extract(args: &ExtractArgs, json: bool) -> Result<Exit> {
    let inspection = opened(std::slice::from_ref(&args.input))?;
    let bar = Bar::new(json);
    let written = terminal::block_on(async {
        let work = Extraction::plan(&inspection, &args.tensors, &args.input, &args.output).await?;
        if args.dry_run { Ok(work.planned()) } else { work.write(&mut |p| bar.show(p)).await }
    })?;
    bar.done();
    files(&FilesReport::of(&written), json)
}

/// Runs `merge`.
pub(super) fn merge(args: &MergeArgs, json: bool) -> Result<Exit> {
    let inspection = opened(&args.parts)?;
    let bar = Bar::new(json);
    let written = terminal::block_on(merge_files(&inspection, &args.output, &mut |p| bar.show(p)))?;
    bar.done();
    files(&FilesReport::of(&[written]), json)
}
