//! Writing to a terminal: no escape sequence from a file ever reaches it.

use std::{
    fmt::Write as _,
    future::Future,
    io::{IsTerminal, Write as _},
    path::{Component, Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    fault::{Blame, Fault, Result},
    session::{self, Inspection, Need, Progress},
    source::{ByteSource, FileSource, SourceSet},
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

/// The most files a folder may bring.
const MAX_FILES: usize = 10_000;
/// How deep folders are followed.
const MAX_DEPTH: usize = 6;

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
        if path.is_dir() {
            add_folder(&mut set, path)?;
        } else {
            set.push(Rc::new(FileSource::open(path, file_name(path))?) as Rc<dyn ByteSource>);
        }
    }
    if let Some(folder) = folder_of_one(paths) {
        block_on(session::complete_from_folder(&mut set, need, &mut |names| beside(folder, names)))?;
    }
    if set.files().is_empty() {
        let why = set.unread().first().map(|(name, why)| format!(" that can be read; {name}: {why}"));
        return Err(Fault::caller(format!("the folder holds no files{}", why.unwrap_or_default())));
    }
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
    (address(only).is_none() && !only.is_dir()).then(|| only.parent().unwrap_or(Path::new("")))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.to_string_lossy(), |n| n.to_string_lossy()).into_owned()
}

/// Opens files of a folder by their names; one that leads out of it, or is no regular file, is not there.
fn beside(folder: &Path, names: &[String]) -> Vec<Option<Rc<dyn ByteSource>>> {
    let open = |name: &String| {
        let inside = Path::new(name).components().all(|step| matches!(step, Component::Normal(_)));
        let path = folder.join(name);
        if !inside || !path.is_file() {
            return None;
        }
        match FileSource::open(&path, name.as_str()) {
            Ok(source) => Some(Rc::new(source) as Rc<dyn ByteSource>),
            Err(fault) => {
                err(&format!("{YELLOW}warning:{YELLOW:#} {}", plain(&fault.to_string())));
                None
            }
        }
    };
    names.iter().map(open).collect()
}

/// Adds the files below a folder; what cannot be listed or opened is left out, with the reason.
fn add_folder(set: &mut SourceSet, path: &Path) -> Result<()> {
    let mut listing = Listing::default();
    walk(path, MAX_DEPTH, &mut listing)?;
    listing.files.sort();
    let named = |file: &Path| file.strip_prefix(path).unwrap_or(file).to_string_lossy().replace('\\', "/");
    for file in listing.files {
        match FileSource::open(&file, named(&file)) {
            Ok(source) => set.push(Rc::new(source) as Rc<dyn ByteSource>),
            Err(fault) => set.leave_out(named(&file), fault.what),
        }
    }
    for (folder, why) in listing.unread {
        set.leave_out(named(&folder), why);
    }
    Ok(())
}

/// The text of a path that is meant as an address.
pub(super) fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| super::remote::is_address(text))
}

/// What lies below a folder.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    /// Folders that cannot be listed, and why.
    unread: Vec<(PathBuf, String)>,
}

/// Regular files below a folder, also by links to them; links to folders and hidden entries are passed over. A folder
/// within that cannot be listed is kept by its name, and the listing goes on.
fn walk(folder: &Path, depth: usize, found: &mut Listing) -> Result<()> {
    let fail =
        |e: std::io::Error| Fault::source(format!("cannot be listed: {e}")).in_file(&folder.display().to_string());
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            match walk(&entry.path(), depth - 1, found) {
                Err(fault) if fault.blame == Blame::Source => found.unread.push((entry.path(), fault.what)),
                other => other?,
            }
        } else if kind.is_file() || kind.is_symlink() && entry.path().is_file() {
            if found.files.len() >= MAX_FILES {
                return Err(Fault::limit(format!("more than {MAX_FILES} files")).in_file(&folder.display().to_string()));
            }
            found.files.push(entry.path());
        }
    }
    Ok(())
}

/// One JSON object on standard output.
pub(super) fn json(report: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|e| Fault::bug(format!("a report cannot be written as JSON: {e}")))?;
    out(&text);
    out("\n");
    Ok(())
}
