//! Writing to a terminal: no escape sequence from a file ever reaches it.

use std::{
    fmt::Write as _,
    future::Future,
    io::{IsTerminal, Write as _},
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    fault::{Fault, Result},
    session::{self, Inspection, Need, Progress, local},
    source::{ByteSource, SourceSet},
};

/// Headings and names.
pub(super) const BOLD: Style = Style::new().bold();
/// Secondary text.
pub(super) const DIM: Style = Style::new().dimmed();
/// Errors.
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Good news.
pub(super) const GREEN: Style = AnsiColor::Green.on_default();

/// Writes to standard output; colours only on a terminal, none with `NO_COLOR`; a closed pipe ends quietly.
pub(super) fn out(text: &str) {
    super::remote::hide();
    let mut stdout = anstream::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error.
pub(super) fn err(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A failure in people's words.
pub(super) fn fault(fault: &Fault) {
    err(&format!("{RED}error:{RED:#} {}", plain(&fault.to_string())));
}

/// Text from a file with control and bidirectional-formatting characters made visible.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push('⇥'),
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}') =>
            {
                let _ = write!(out, "<U+{:04X}>", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Model text for a terminal: line breaks and tabs stay, other control characters are made visible.
pub(super) fn printable(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(head) => format!("{}{}", plain(head), &part[head.len()..]),
            None => plain(part),
        })
        .collect()
}

/// `plain` cut to `max` characters.
pub(super) fn short(text: &str, max: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= max {
        return text;
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// 1234567 as "1.2 MB" (powers of 1000, as disk and network sizes are given).
pub(super) fn bytes(n: u64) -> String {
    let mut x = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if x < 1000.0 || unit == "TB" {
            return if unit == "B" { format!("{n} B") } else { format!("{x:.1} {unit}") };
        }
        x /= 1000.0;
    }
    unreachable!("the loop returns at its last unit")
}

/// A table with left-aligned columns, two spaces between them; numbers can be right-aligned by the caller.
pub(super) fn table(rows: &[Vec<String>], indent: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A bar on standard error while something long goes on; silent where that is no terminal.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// Hidden until there is progress.
    pub(super) fn new(json: bool) -> Self {
        if json || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(Some(bar))
    }
    /// Shows how far it is.
    pub(super) fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            super::remote::hide();
            bar.set_message(progress.what);
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
    }
    /// Takes the bar away.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Drives one future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Opens files, the files of folders, and files at addresses, as one set to be described. Names are relative to a
/// single folder given.
pub(super) fn open(paths: &[PathBuf]) -> Result<SourceSet> {
    open_for(paths, Need::Description)
}

/// As [`open`]; of what lies beside a file at an address, what is needed is fetched.
pub(super) fn open_for(paths: &[PathBuf], need: Need<'_>) -> Result<SourceSet> {
    if let [only] = paths
        && let Some(text) = address(only)
    {
        return super::remote::open(text, need);
    }
    let mut set = SourceSet::default();
    for path in paths {
        if let Some(text) = address(path) {
            set.extend(&super::remote::open(text, Need::Nothing)?);
            continue;
        }
        local::add_path(&mut set, path)?;
    }
    if let Some(folder) = folder_of_one(paths) {
        block_on(session::complete_from_folder(&mut set, need, &mut |names| beside(folder, names)))?;
    }
    local::not_empty(&set)?;
    Ok(set)
}

/// Opens a model; of one file on disk also what its headers name in its folder: external data, further shards.
pub(super) fn inspection(paths: &[PathBuf], need: Need<'_>) -> Result<Inspection> {
    let files = open_for(paths, need)?;
    match folder_of_one(paths) {
        Some(folder) => block_on(session::open_with_missing(files, &mut |names| beside(folder, names))),
        None => block_on(Inspection::open(files)),
    }
}

/// The folder of the only path, where that is a file on disk.
fn folder_of_one(paths: &[PathBuf]) -> Option<&Path> {
    let [only] = paths else { return None };
    if address(only).is_some() { None } else { local::folder_of_one(paths) }
}

/// Files of a folder by their names; one that is there and cannot be opened is told.
fn beside(folder: &Path, names: &[String]) -> Vec<Option<Rc<dyn ByteSource>>> {
    local::beside(folder, names, &mut |fault| {
        err(&format!("{YELLOW}warning:{YELLOW:#} {}", plain(&fault.to_string())));
    })
}

/// The text of a path that is meant as an address.
pub(super) fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| super::remote::is_address(text))
}

/// One JSON object on standard output.
pub(super) fn json(report: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|e| Fault::bug(format!("a report cannot be written as JSON: {e}")))?;
    out(&text);
    out("\n");
    Ok(())
}
