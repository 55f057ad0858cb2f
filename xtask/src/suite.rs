//! Everything that must hold before a change is merged.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::{Outcome, cargo, cargo_wasm, node_tool, run, run_seen};
use crate::steps::{heading, seconds};
use crate::{package, setup, wasm};

/// What one step counted.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Steps in the order of their cost; the first failure ends the run.
struct Suite {
    rows: Vec<(&'static str, Duration, Count)>,
}

impl Suite {
    /// A step that counts as one check.
    fn check(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) -> Outcome {
        self.step(name, || (work(), Count::default()))
    }

    /// A step whose program counts its tests.
    fn tests(&mut self, name: &'static str, command: &mut std::process::Command) -> Outcome {
        self.step(name, || {
            let mut count = Count::default();
            let outcome = run_seen(command, |line| count.add(line));
            let outcome = outcome.and_then(|()| match count.passed {
                0 => Err(format!("{name}: no test ran")),
                _ => Ok(()),
            });
            (outcome, count)
        })
    }

    fn step(&mut self, name: &'static str, work: impl FnOnce() -> (Outcome, Count)) -> Outcome {
        heading(name);
        let start = Instant::now();
        let (outcome, mut count) = work();
        match outcome {
            Ok(()) if count.passed == 0 => count.passed = 1,
            Err(_) if count.failed == 0 => count.failed = 1,
            _ => {}
        }
        self.rows.push((name, start.elapsed(), count));
        outcome.map_err(|why| format!("{name}: {why}"))
    }

    /// The table of steps, and one closing line.
    fn summary(&self) {
        heading("summary");
        for (name, time, count) in &self.rows {
            let word = if count.failed > 0 { "FAILED" } else { "ok" };
            println!("{name:<28} {:>12}  {:>5} passed  {word}", seconds(*time), count.passed);
        }
        let sum = |f: fn(&Count) -> u64| self.rows.iter().map(|(_, _, count)| f(count)).sum::<u64>();
        let time = self.rows.iter().map(|(_, time, _)| *time).sum();
        let (passed, failed, skipped) = (sum(|c| c.passed), sum(|c| c.failed), sum(|c| c.skipped));
        println!("\n{passed} passed, {failed} failed, {skipped} skipped in {}", seconds(time));
    }
}

impl Count {
    /// Adds what one line of a test program says.
    fn add(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let libtest = line.starts_with("test result:");
        let vitest = words.first() == Some(&"Tests");
        let playwright =
            words.len() <= 3 && words.get(1).is_some_and(|w| matches!(*w, "passed" | "failed" | "skipped"));
        if !(libtest || vitest || playwright) {
            return;
        }
        for pair in words.windows(2) {
            let Ok(n) = pair[0].parse::<u64>() else { continue };
            match pair[1].trim_end_matches([';', ',', '|']) {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" | "skipped" => self.skipped += n,
                _ => {}
            }
        }
    }
}

fn skip_asked(arguments: &[String], flag: &str, variable: &str) -> bool {
    arguments.iter().any(|a| a == flag) || std::env::var(variable).is_ok_and(|value| value == "1")
}

/// `cargo xtask test`.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    if let Some(other) = arguments.iter().find(|a| !matches!(a.as_str(), "--skip-browser" | "--skip-gpu")) {
        return Err(format!("test knows --skip-browser and --skip-gpu, not {other}"));
    }
    heading("setup");
    let machine = setup::for_the_tests()?;
    let mut suite = Suite { rows: Vec::new() };
    let mut outcome = everything(&mut suite, machine.chromium.as_deref().ok());
    suite.summary();
    for (missing, skip) in [
        (machine.chromium.err(), skip_asked(arguments, "--skip-browser", "GLASSBOX_SKIP_BROWSER")),
        (machine.vulkan.err(), skip_asked(arguments, "--skip-gpu", "GLASSBOX_SKIP_GPU")),
    ] {
        let Some(why) = missing else { continue };
        println!("NOT RUN for lack of a {}", why);
        if !skip && outcome.is_ok() {
            outcome = Err(
                "some tests could not run (see above); GLASSBOX_SKIP_BROWSER=1 or GLASSBOX_SKIP_GPU=1 accepts that"
                    .to_owned(),
            );
        }
    }
    outcome
}

fn everything(suite: &mut Suite, chromium: Option<&Path>) -> Outcome {
    rust_lints(suite)?;
    // Unit tests are small: compiling them without optimisation takes a quarter of the time and costs seconds when they run.
    let mut unit = cargo(&["test", "--workspace", "--lib", "--no-fail-fast"]);
    suite.tests("Rust unit tests", unit.env("CARGO_PROFILE_TEST_OPT_LEVEL", "0"))?;
    suite.tests(
        "Rust integration tests",
        &mut cargo(&["test", "--workspace", "--bins", "--test", "*", "--no-fail-fast"]),
    )?;
    suite.check("site", wasm::build_site)?;
    suite.check("npm package", package::assemble)?;
    page_lints(suite)?;
    suite.tests("unit tests of the page", node_tool("vitest", &["run"]).env("NO_COLOR", "1"))?;
    let Some(chromium) = chromium else { return Ok(()) };
    let mut playwright = node_tool("playwright", &["test", "--reporter=list"]);
    suite.tests("browser tests", playwright.env("GLASSBOX_CHROMIUM", chromium).env("NO_COLOR", "1"))
}

/// `cargo xtask check`: what needs no site and no browser. The bindings are built, since the page's types come from them.
pub(crate) fn check() -> Outcome {
    setup::for_the_site()?;
    let mut suite = Suite { rows: Vec::new() };
    let outcome = rust_lints(&mut suite)
        .and_then(|()| suite.check("wasm bindings", wasm::build_wasm))
        .and_then(|()| page_lints(&mut suite))
        .and_then(|()| suite.tests("unit tests of the page", node_tool("vitest", &["run"]).env("NO_COLOR", "1")));
    suite.summary();
    outcome
}

fn rust_lints(suite: &mut Suite) -> Outcome {
    suite.check("format", || run(&mut cargo(&["fmt", "--all", "--check"])))?;
    suite.check("lints, native", || {
        run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    suite.check("lints, wasm", || {
        let target = ["--lib", "--target", "wasm32-unknown-unknown"];
        let arguments = [&["clippy", "--quiet", "--package", "glassbox"], target.as_slice(), &["--", "-D", "warnings"]];
        run(cargo_wasm(&arguments.concat()).env("CLIPPY_CONF_DIR", crate::command::root().join("clippy-wasm")))
    })
}

fn page_lints(suite: &mut Suite) -> Outcome {
    suite.check("types of the page", || run(&mut node_tool("tsc", &["--noEmit"])))?;
    suite.check("lints of the page", || run(&mut node_tool("eslint", &["--max-warnings", "0", "."])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(lines: &[&str]) -> (u64, u64, u64) {
        let mut count = Count::default();
        lines.iter().for_each(|line| count.add(line));
        (count.passed, count.failed, count.skipped)
    }

    #[test]
    fn the_three_test_programs_are_counted_by_their_closing_lines() {
        let libtest = "test result: ok. 12 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(counted(&[libtest, libtest]), (24, 2, 6));
        assert_eq!(
            counted(&["      Tests  1 failed | 5 passed | 2 skipped (8)", " Test Files  1 passed (1)"]),
            (5, 1, 2)
        );
        assert_eq!(counted(&["  1 failed", "  2 skipped", "  7 passed (12.3s)"]), (7, 1, 2));
    }

    #[test]
    fn a_line_of_a_test_that_speaks_of_passing_is_not_counted() {
        assert_eq!(
            counted(&["test a_test_with_3_passed_in_its_name ... ok", "we saw 4 passed tests today"]),
            (0, 0, 0)
        );
    }
}
