//! How much the page downloads at first load, against the project's limit.

use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command::Outcome;
use crate::wasm::MODULES;

/// JavaScript and wasm that the first view of a file waits for, gzipped: 0.6 MiB. On a slow mobile line (10 Mbit/s) that is half a second.
const FIRST_VIEW: u64 = 1024 * 1024 * 6 / 10;
/// All JavaScript and wasm, gzipped: 2.5 MiB. What follows the first view comes behind it.
const LIMIT: u64 = 1024 * 1024 * 25 / 10;

/// What comes behind the first view, by the beginning of its name: the runner with the views that arrive with it, what lays graphs out, what
/// measures tensors, the worker that is started when an address is opened, and the service worker.
const BEHIND: [&str; 5] = ["runner", "layout", "measures", "fetcher", "sw"];

/// What a browser fetches to show the page. The sample is fetched only when the user asks for it.
const DOWNLOADED: &[&str] = &["html", "css", "js", "wasm", "svg", "webmanifest"];

/// Prints each file's size, raw and gzipped, and fails when code is over the limit.
pub(crate) fn report_and_check(dist: &Path) -> Outcome {
    let mut files = Vec::new();
    collect(dist, dist, &mut files)?;
    files.sort_by_key(|file| std::cmp::Reverse(file.gzipped));
    println!("\n{:>12} {:>12}  downloaded by the page (bytes, gzipped)", "raw", "gzip");
    for file in &files {
        println!("{:>12} {:>12}  {}", file.raw, file.gzipped, file.name);
    }
    let total = |f: fn(&Size) -> u64| files.iter().map(f).sum::<u64>();
    println!("{:>12} {:>12}  in all", total(|f| f.raw), total(|f| f.gzipped));
    for module in MODULES {
        if !files.iter().any(|file| file.is_of(module) && file.name.ends_with(".wasm")) {
            return Err(format!("{} holds no wasm of the {module}: the site is not complete", dist.display()));
        }
    }
    let code = |part: fn(&Size) -> bool| files.iter().filter(|f| f.is_code() && part(f)).map(|f| f.gzipped).sum();
    let parts: [(&str, u64, u64); 2] = [
        (
            "JavaScript and wasm before the first view",
            code(|f| !BEHIND.iter().any(|module| f.is_of(module))),
            FIRST_VIEW,
        ),
        ("JavaScript and wasm", code(|_| true), LIMIT),
    ];
    for (what, bytes, limit) in parts {
        println!("{:>12} {bytes:>12}  {what}; limit {limit}", "");
    }
    println!();
    match parts.into_iter().find(|(_, bytes, limit)| bytes > limit) {
        Some((what, bytes, limit)) => Err(format!("{what} are {bytes} bytes gzipped, the limit is {limit}")),
        None => Ok(()),
    }
}

struct Size {
    name: String,
    raw: u64,
    gzipped: u64,
}

impl Size {
    /// Whether the file belongs to a module: the build names it after it.
    fn is_of(&self, module: &str) -> bool {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        name.strip_prefix(module).is_some_and(|rest| rest.starts_with(['-', '_', '.']))
    }
    fn is_code(&self) -> bool {
        self.name.ends_with(".js") || self.name.ends_with(".wasm")
    }
}

fn collect(dist: &Path, folder: &Path, into: &mut Vec<Size>) -> Outcome {
    let unreadable = |e| format!("cannot read {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            if !path.ends_with("sample") {
                collect(dist, &path, into)?;
            }
        } else if path.extension().is_some_and(|e| DOWNLOADED.iter().any(|known| e == *known)) {
            let bytes = fs::read(&path).map_err(unreadable)?;
            let name = path.strip_prefix(dist).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            into.push(Size { name, raw: bytes.len() as u64, gzipped: gzipped(&bytes)? });
        }
    }
    Ok(())
}

/// Length after gzip at level 9, as static hosts keep it.
fn gzipped(bytes: &[u8]) -> Outcome<u64> {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.map(|p| p.len() as u64).map_err(|e| format!("cannot gzip: {e}"))
}
