//! Chat templates are rendered by a process of their own: this command again, with a word before its arguments that no one types.

use std::{
    io::{Read, Write},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use wait_timeout::ChildExt;

use crate::{
    fault::{Fault, Result},
    session::templates,
};

/// The first argument of the process that renders.
const WORD: &str = "__render-template";
/// Time for a template; real ones take milliseconds.
const SECONDS: u64 = 3;
/// Memory for a template, in bytes, where the system can bound it.
const MEMORY: u64 = 512 << 20;

/// Renders one template where this process was started for that; else has templates rendered so from now on.
pub(super) fn begin() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|word| word == WORD) {
        return Some(serve());
    }
    templates::render_apart(carry);
    None
}

/// The process that renders: a job on standard input, its answer on standard output.
fn serve() -> ExitCode {
    bound();
    let mut job = String::new();
    let answer = std::io::stdin().read_to_string(&mut job).ok().and_then(|_| templates::answer(&job).ok());
    match answer.map(|answer| std::io::stdout().write_all(answer.as_bytes())) {
        Some(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(unix)]
fn bound() {
    // Where a bound is refused, the time still counts.
    let _ = rlimit::setrlimit(rlimit::Resource::AS, MEMORY, MEMORY);
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
    let _ = rlimit::setrlimit(rlimit::Resource::CPU, SECONDS + 1, SECONDS + 1);
}

#[cfg(not(unix))]
fn bound() {}

/// Takes a job to such a process and brings its answer.
fn carry(job: &str) -> Result<String> {
    let failed =
        |what: &str, e: std::io::Error| Fault::source(format!("the process that renders templates {what}: {e}"));
    let program = std::env::current_exe().map_err(|e| failed("is not found", e))?;
    let mut child = Command::new(program)
        .arg(WORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed("does not start", e))?;
    // It reads all before it writes; where it dies before that, its end says why.
    if let Some(mut to) = child.stdin.take() {
        let _ = to.write_all(job.as_bytes());
    }
    let from = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut answer = String::new();
        from.and_then(|mut from| from.read_to_string(&mut answer).ok()).map(|_| answer)
    });
    let ended = child.wait_timeout(Duration::from_secs(SECONDS)).map_err(|e| failed("is lost", e))?;
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(Fault::limit(format!("it takes more than {SECONDS} seconds")));
    };
    match reader.join() {
        Ok(Some(answer)) if status.success() => Ok(answer),
        _ => Err(Fault::limit(format!(
            "it takes more than {} MiB of memory, or puts values too deep inside each other",
            MEMORY >> 20
        ))),
    }
}
