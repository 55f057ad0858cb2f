//! Named steps with their times.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::command::Outcome;

/// A heading that is found again in a long log.
pub(crate) fn heading(text: &str) {
    let (bold, plain) = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    println!("\n{bold}== {text}{plain}");
}

/// Runs one step and says how long it took.
pub(crate) fn timed(name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    let start = Instant::now();
    work()?;
    println!("build  {name:<16} {}", seconds(start.elapsed()));
    Ok(())
}

/// "3.4 s", "2 min 05 s".
pub(crate) fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 60.0 { format!("{s:.1} s") } else { format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60) }
}
