//! Project tasks: set up, build, serve and test, from a machine that has only Rust and Node.
//!
//! Every `npm` script of the project is one call of this program, so `npm` and `cargo xtask`
//! can never disagree, and neither needs an earlier `npm install`.

mod bench;
mod chromium;
mod command;
mod package;
mod python;
mod serve;
mod setup;
mod sizes;
mod steps;
mod suite;
mod vulkan;
mod wasm;

use std::process::ExitCode;

use command::Outcome;

const HELP: &str = "\
Usage: cargo xtask <task>        (or: npm start | npm test | npm run <task>)

  setup                add what is missing: wasm target, npm packages, Chromium, a Vulkan driver
  build                compile the wasm and build the static site into dist/
  start [--port N] [--base /PATH/]
                       set up, build, serve dist/ on 127.0.0.1 and print the address
  serve [--port N] [--base /PATH/]
                       serve dist/ as it is
  wasm                 compile the wasm and its bindings only, into www/src/wasm/
  package              build the npm package @glassbox/web into target/package/
  python               build the Python wheel and test it in a fresh virtual environment
  dev [VITE OPTIONS]   compile the wasm, then Vite's development server
  test [--skip-browser]
                       set up, then everything: format, lints, Rust tests, site, unit tests, browser tests
  check                the fast part of test: format, lints, types, unit tests of the page
  bench [GLASSBOX BENCH OPTIONS]
                       speed of the release build on synthetic models of real shape, or on the files given

Environment:
  GLASSBOX_CHROMIUM        the Chromium (or Chrome) that the browser tests use
  GLASSBOX_SKIP_BROWSER=1  test: leave the browser tests out without failing
  GLASSBOX_SKIP_GPU=1      test: accept that no Vulkan driver is there
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", arguments.as_slice()),
    };
    let outcome = match task {
        "setup" => setup::everything(),
        "build" => setup::for_the_site().and_then(|()| wasm::build_site()),
        "start" => serve::Options::parse(rest).and_then(|options| {
            setup::for_the_site()?;
            wasm::build_site()?;
            serve::serve(&options)
        }),
        "serve" => serve::Options::parse(rest).and_then(|options| serve::serve(&options)),
        "wasm" => setup::for_the_site().and_then(|()| wasm::build_wasm()),
        "package" => setup::for_the_site().and_then(|()| package::package()),
        "python" => python::python(),
        "dev" => setup::for_the_site().and_then(|()| wasm::dev_server(rest)),
        "test" => suite::test(rest),
        "check" => suite::check(),
        "bench" => bench::bench(rest),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown task \"{other}\"\n\n{HELP}")),
    };
    report(outcome)
}

fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}
