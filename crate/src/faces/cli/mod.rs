//! The `glassbox` command line: arguments, output and exit codes; what is decided is decided below.

#[cfg(feature = "chat")]
mod apart;
mod args;
mod bench;
#[cfg(feature = "chat")]
mod chat;
mod check;
#[cfg(feature = "convert")]
mod convert;
#[cfg(feature = "compare")]
mod diff;
mod embed;
mod eval;
mod explain;
mod graph;
mod inspect;
mod lora;
mod map;
#[cfg(feature = "onnx")]
mod onnx;
mod peek;
#[cfg(feature = "convert")]
mod quantize;
#[cfg(feature = "http")]
mod remote;
#[cfg(not(feature = "http"))]
#[path = "no_remote.rs"]
mod remote;
#[cfg(feature = "convert")]
mod rewrite;
mod run;
mod scores;
#[cfg(feature = "serve")]
mod serve;
mod synth;
#[cfg(feature = "talk")]
mod talk;
mod terminal;
mod texts;
mod tokenize;
mod vocab;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    fault::{Blame, Fault, Result},
    report::FaultReport,
};

use args::{Args, Command};

/// How a command ended, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// 0: fine.
    Fine,
    /// 1: the file has errors, or a comparison failed.
    Findings,
}

/// Runs the command of this process. Exit codes: 0 fine, 1 the file has errors or a comparison failed,
/// 2 wrong usage, 3 device or I/O failure.
pub fn main() -> ExitCode {
    #[cfg(feature = "chat")]
    if let Some(ended) = apart::begin() {
        return ended;
    }
    let args = Args::parse();
    let json = args.json;
    if json {
        remote::be_quiet();
    }
    // As `diff` has it: 1 says that two models differ, so that no failure may.
    let differs = args.command.compares();
    let ended = dispatch(args);
    remote::summary();
    match ended {
        Ok(Exit::Fine) => ExitCode::SUCCESS,
        Ok(Exit::Findings) => ExitCode::from(1),
        Err(fault) => {
            let code = if differs { 2 } else { exit_code(&fault) };
            if json {
                let report = serde_json::json!({ "fault": FaultReport::from(&fault) });
                terminal::out(&format!("{report}\n"));
            }
            terminal::fault(&fault);
            ExitCode::from(code)
        }
    }
}

fn exit_code(fault: &Fault) -> u8 {
    match fault.blame {
        Blame::File | Blame::Unsupported | Blame::Limit => 1,
        Blame::Caller => 2,
        Blame::Source | Blame::Device | Blame::Bug => 3,
    }
}

fn dispatch(args: Args) -> Result<Exit> {
    let json = args.json;
    match args.command {
        Command::Inspect(a) => inspect::run(&a, json),
        Command::Check(a) => check::run(&a, json),
        #[cfg(feature = "compare")]
        Command::Diff(a) => diff::run(&a, json),
        Command::Peek(a) => peek::run(&a, json),
        Command::Map(a) => map::run(&a, json),
        Command::Hex(a) => map::hex(&a, json),
        Command::Tokenize(a) => tokenize::run(&a, json),
        Command::Vocab(a) => vocab::run(&a, json),
        #[cfg(feature = "chat")]
        Command::ChatTemplate(a) => chat::run(&a, json),
        Command::Run(a) => run::run(&a, json),
        #[cfg(feature = "talk")]
        Command::Chat(a) => talk::run(&a, json),
        #[cfg(feature = "serve")]
        Command::Serve(a) => serve::run(&a),
        Command::Eval(a) => eval::run(&a, json),
        Command::Embed(a) => embed::run(&a, json),
        Command::Classify(a) => scores::classify(&a, json),
        Command::Rank(a) => scores::rank(&a, json),
        Command::Graph(a) => graph::run(&a, json),
        Command::Devices => run::devices(json),
        Command::Bench(a) => bench::run(&a, json),
        Command::TestOps(a) => bench::test_ops(&a, json),
        #[cfg(feature = "onnx")]
        Command::TestOnnx(a) => onnx::test(&a, json),
        #[cfg(feature = "convert")]
        Command::Convert(a) => convert::run(&a, json),
        #[cfg(feature = "convert")]
        Command::Quantize(a) => quantize::run(&a, json),
        #[cfg(feature = "convert")]
        Command::Edit(a) => rewrite::edit(&a, json),
        #[cfg(feature = "convert")]
        Command::Split(a) => rewrite::split(&a, json),
        #[cfg(feature = "convert")]
        Command::Merge(a) => rewrite::merge(&a, json),
        #[cfg(feature = "convert")]
        Command::Extract(a) => rewrite::extract(&a, json),
        Command::Synth(a) => synth::run(&a, json),
        Command::Gap(a) => bench::gap(&a, json),
        Command::TimeOpen(a) => bench::time_open(&a, json),
        Command::TimeTokenize(a) => bench::time_tokenize(&a, json),
    }
}
