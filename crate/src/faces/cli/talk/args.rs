//! Arguments of `glassbox chat`.

use std::path::PathBuf;

use clap::Args;

use super::super::{
    args::{DeviceArgs, ProgramArgs, SamplingArgs, variable},
    lora::LoraArgs,
};
use crate::session::{Data, WhenFull};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  glassbox chat model.gguf\n  glassbox chat model.gguf --system \"Answer in one sentence.\" --temp 0.7\n  printf 'Hello!\\nAnd now in French.\\n' | glassbox chat model.gguf -n 100\n\nA line that begins with / is a command; /help lists them. Ctrl-C stops an answer, Ctrl-D ends the talk.\nFrom a pipe each line is a message: answers go to standard output, all else to standard error, and the exit code is 1\nwhere a line was refused."
)]
pub(in super::super) struct TalkArgs {
    /// File, folder, or http(s) address of a file.
    pub(super) path: PathBuf,
    /// What the model is told before the first message.
    #[arg(long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// The most tokens of an answer.
    #[arg(short = 'n', long, default_value_t = 1024)]
    pub(super) tokens: u32,
    /// What becomes of a conversation longer than the context: refuse the message, or shift: leave out the oldest messages.
    #[arg(long, default_value = "refuse", value_name = "refuse|shift", value_parser = when_full)]
    pub(super) when_full: WhenFull,
    /// A variable of the chat template, NAME=JSON, such as enable_thinking=false; may be repeated.
    #[arg(long, value_parser = variable)]
    pub(super) set: Vec<(String, Data)>,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    #[command(flatten)]
    pub(super) lora: LoraArgs,
    #[command(flatten)]
    pub(super) program: ProgramArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

fn when_full(text: &str) -> Result<WhenFull, String> {
    WhenFull::parse(text).ok_or_else(|| format!("\"{text}\" is not one of refuse, shift"))
}
