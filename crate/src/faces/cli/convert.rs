//! `glassbox convert`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;

use crate::{
    fault::{Fault, Result},
    report::{ConvertReport, ConvertedReport},
    session::{Conversion, ConvertOptions, ConvertType, Cut, Inspection, Need, UnpackOptions, Unpacking},
};

use super::{
    Exit, rewrite,
    terminal::{self, BOLD, Bar, DIM, bytes, plain},
};

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox convert hf-folder model.gguf\n  glassbox convert hf-folder model-f16.gguf --type F16\n  glassbox convert hf-folder model.gguf --split-max-size 4G\n  glassbox convert hf-folder --dry-run\n\nTypes: auto (what the weights are: BF16 or F16), F32, F16, BF16, Q8_0. `glassbox quantize` makes smaller ones of the result.\nThe file is the one that llama.cpp's convert_hf_to_gguf.py writes; it appears only when it is complete."
)]
pub(super) struct ConvertArgs {
    /// The folder of a model (safetensors or PyTorch weights with their config.json and tokenizer), or any file with tensors.
    pub(super) input: PathBuf,
    /// The GGUF file, the safetensors file or the folder to write; what is there is replaced once the new one is complete.
    #[arg(required_unless_present = "dry_run")]
    pub(super) output: Option<PathBuf>,
    /// The format to write; without it what the output's name says, GGUF where it says nothing.
    #[arg(long, value_name = "FORMAT", value_parser = ["gguf", "safetensors"])]
    pub(super) to: Option<String>,
    /// What matrices become; vectors and norms stay in single precision.
    #[arg(long = "type", value_name = "TYPE", default_value = "auto")]
    pub(super) kind: String,
    /// The model's name (general.name), instead of the model card's or the folder's.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The rules that split text (tokenizer.ggml.pre), instead of those that the tokenizer shows.
    #[arg(long, value_name = "NAME")]
    pub(super) pre: Option<String>,
    /// Write several files of at most so many bytes of tensors: 500M, 2G (powers of 1000).
    #[arg(long, value_name = "SIZE", value_parser = rewrite::size)]
    pub(super) split_max_size: Option<u64>,
    /// Show what would be written; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// The name of the folder that a model lies in.
fn folder(input: &Path) -> Option<String> {
    let whole = std::fs::canonicalize(input).ok()?;
    let folder = if whole.is_dir() { whole.as_path() } else { whole.parent()? };
    folder.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// Runs the command.
pub(super) fn run(args: &ConvertArgs, json: bool) -> Result<Exit> {
    let inspection = terminal::inspection(std::slice::from_ref(&args.input), Need::Run)?;
    let bar = Bar::new(json);
    let report = match args.wants_safetensors() {
        true => unpacked(args, &inspection, &bar)?,
        false => converted(args, &inspection, &bar)?,
    };
    bar.done();
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report, args.dry_run));
    }
    Ok(Exit::Fine)
}

impl ConvertArgs {
    fn wants_safetensors(&self) -> bool {
        let named = || self.output.as_ref()?.extension()?.to_str().map(|e| e.eq_ignore_ascii_case("safetensors"));
        self.to.as_deref().map_or_else(|| named().unwrap_or(false), |to| to == "safetensors")
    }
}

fn unpacked(args: &ConvertArgs, inspection: &Inspection, bar: &Bar) -> Result<ConvertReport> {
    let options = UnpackOptions { kind: UnpackOptions::kind(&args.kind)?, most: args.split_max_size, only: None };
    let path = args.output.clone().unwrap_or_else(|| "model".into());
    terminal::block_on(async {
        let work = Unpacking::plan(inspection, &options, &args.input, &path).await?;
        let written = if args.dry_run { work.planned() } else { work.write(&mut |p| bar.show(p)).await? };
        Ok::<_, Fault>(ConvertReport::unpacked(&work, &written))
    })
}

fn converted(args: &ConvertArgs, inspection: &Inspection, bar: &Bar) -> Result<ConvertReport> {
    let kind = ConvertType::parse(&args.kind)?;
    let options = ConvertOptions { kind, name: args.name.clone(), folder: folder(&args.input), pre: args.pre.clone() };
    let path = args.output.clone().unwrap_or_else(|| "model.gguf".into());
    terminal::block_on(async {
        let work =
            Conversion::plan(inspection, &options, &args.input, &path, args.split_max_size.map(Cut::Bytes)).await?;
        let written = if args.dry_run { work.planned() } else { work.write(&mut |p| bar.show(p)).await? };
        Ok::<_, Fault>(ConvertReport::of(&work, &written))
    })
}

fn text(report: &ConvertReport, dry: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{BOLD}{}{BOLD:#}  {}\n",
        report.architecture.as_deref().map_or_else(|| report.format.to_owned(), plain),
        report.file_type.as_deref().unwrap_or_default()
    );
    if dry {
        let rows: Vec<Vec<String>> = report.tensors.iter().map(row).collect();
        out.push_str(&terminal::table(&rows, 2));
        out.push('\n');
    }
    for file in &report.files {
        out.push_str(&rewrite::file_line(file));
    }
    for note in &report.notes {
        let _ = writeln!(out, "{DIM}{}{DIM:#}", plain(note));
    }
    out
}

fn row(tensor: &ConvertedReport) -> Vec<String> {
    let shape = tensor.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    let from = match tensor.from.as_slice() {
        [] => "from the configuration".to_owned(),
        [one] => plain(one),
        [first, rest @ ..] => format!("{} and {} more", plain(first), rest.len()),
    };
    vec![plain(&tensor.name), shape, tensor.encoding.clone(), bytes(tensor.bytes), from]
}
