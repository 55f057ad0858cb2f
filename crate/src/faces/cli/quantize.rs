//! `glassbox quantize`.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args as ClapArgs;

use crate::{
    fault::{Fault, Result},
    report::{QuantizeReport, QuantizedReport},
    session::{FileType, Need, Override, Quantization, QuantizeOptions, encoding_to_write},
};

use super::{
    Exit,
    terminal::{self, BOLD, Bar, DIM, YELLOW, bytes, plain},
};

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  glassbox quantize model-f16.gguf model-q4.gguf\n  glassbox quantize model-f16.gguf model-q5.gguf --type Q5_K_M --threads 4\n  glassbox quantize model-f16.gguf --type Q4_K_M --dry-run\n  glassbox quantize model-f16.gguf model.gguf --type IQ4_XS --tensor \"ffn_down=Q6_K\" --tensor \"blk\\.0\\.=Q8_0\"\n\nTypes: F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S\nQ2_K TQ2_0 TQ1_0 Q2_0 Q1_0.\nThe file is the very one that llama.cpp writes without an importance matrix; it appears only when it is complete."
)]
pub(super) struct QuantizeArgs {
    /// A GGUF file, the first of several parts, or the http(s) address of one.
    pub(super) input: PathBuf,
    /// The file to write; one that is there is replaced once the new one is complete.
    #[arg(required_unless_present = "dry_run")]
    pub(super) output: Option<PathBuf>,
    /// What the file becomes: an encoding, or a mix of several.
    #[arg(long = "type", value_name = "TYPE", default_value = "Q4_K_M")]
    pub(super) kind: String,
    /// Tensors whose names hold this regular expression become this type; the first that fits counts. May be repeated.
    #[arg(long, value_name = "PATTERN=TYPE")]
    pub(super) tensor: Vec<String>,
    /// What the output matrix becomes, and the embedding where it is both.
    #[arg(long, value_name = "TYPE")]
    pub(super) output_tensor_type: Option<String>,
    /// What the token embedding becomes.
    #[arg(long, value_name = "TYPE")]
    pub(super) token_embedding_type: Option<String>,
    /// One encoding for all matrices instead of a mix.
    #[arg(long)]
    pub(super) pure: bool,
    /// Round values that were rounded before: worse than quantizing the original.
    #[arg(long)]
    pub(super) allow_requantize: bool,
    /// Show what would become of each tensor, with the error of some of its values; write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Threads; 0 takes one per core.
    #[arg(long, default_value_t = 0)]
    pub(super) threads: usize,
}

impl QuantizeArgs {
    fn options(&self) -> Result<QuantizeOptions> {
        let named = |name: &Option<String>| name.as_deref().map(encoding_to_write).transpose();
        Ok(QuantizeOptions {
            kind: FileType::parse(&self.kind)?,
            overrides: self.tensor.iter().map(|text| Override::parse(text)).collect::<Result<_>>()?,
            output: named(&self.output_tensor_type)?,
            embedding: named(&self.token_embedding_type)?,
            pure: self.pure,
            requantize: self.allow_requantize,
            threads: self.threads,
        })
    }
}

/// Runs the command.
pub(super) fn run(args: &QuantizeArgs, json: bool) -> Result<Exit> {
    let options = args.options()?;
    let inspection = terminal::inspection(std::slice::from_ref(&args.input), Need::Description)?;
    let work = Quantization::plan(&inspection, options)?;
    let bar = Bar::new(json);
    let report = terminal::block_on(async {
        let output = args.output.as_deref().filter(|_| !args.dry_run);
        let Some(path) = output else {
            let moved = work.trial(&mut |p| bar.show(p)).await?;
            return Ok::<_, Fault>(QuantizeReport::of(&work, &moved, None));
        };
        let (written, moved) = work.write(path, &mut |p| bar.show(p)).await?;
        Ok(QuantizeReport::of(&work, &moved, Some((&path.display().to_string(), written))))
    })?;
    bar.done();
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&text(&report));
    }
    Ok(Exit::Fine)
}

fn text(report: &QuantizeReport) -> String {
    let mut out = String::new();
    let title = report.output.as_deref().map_or("Nothing was written".to_owned(), plain);
    let _ = writeln!(out, "{BOLD}{title}{BOLD:#}  {}\n", report.file_type);
    let rows: Vec<Vec<String>> = report.tensors.iter().map(row).collect();
    out.push_str(&terminal::table(&rows, 2));
    let fallbacks = report.tensors.iter().filter(|t| t.why == "fallback").count();
    if fallbacks > 0 {
        let _ = writeln!(
            out,
            "\n{YELLOW}{fallbacks} of {} tensors{YELLOW:#} have rows that do not hold whole blocks of what the mix wants.",
            report.tensors.len()
        );
    }
    let _ = writeln!(
        out,
        "\n{} become {}: {:.2} bits for each of {} weights",
        bytes(report.bytes_before),
        bytes(report.bytes_after),
        report.bits_per_weight,
        report.parameters
    );
    if report.output.is_none() {
        let _ = writeln!(out, "{DIM}Errors are those of some of each tensor's values.{DIM:#}");
    }
    out
}

fn row(tensor: &QuantizedReport) -> Vec<String> {
    let shape = tensor.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    let mut cells = vec![plain(&tensor.name), shape, tensor.from.clone()];
    if tensor.from == tensor.to {
        cells.extend([String::new(), bytes(tensor.bytes_after)]);
        return cells;
    }
    cells.extend([format!("-> {}", tensor.to), bytes(tensor.bytes_after)]);
    cells.push(tensor.relative_error.map_or(String::new(), |e| format!("error {:.3} %", e * 100.0)));
    cells.push(match (&tensor.instead_of, tensor.why) {
        (Some(wanted), _) => format!("rows do not fit {wanted}"),
        (None, "asked") => "as asked".into(),
        _ => String::new(),
    });
    cells
}
