//! A small server for static files, as plain as any host the page may live on: no special headers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Outcome, root};

/// Longest request line or header that is read, in bytes.
const LINE_LIMIT: u64 = 8 * 1024;
/// Most headers that are read.
const HEADER_LIMIT: usize = 100;

/// Where to serve.
pub(crate) struct Options {
    port: u16,
    /// Path that the site lies under; begins and ends with a slash.
    base: String,
}

impl Options {
    /// From `--port N` and `--base /PATH/`.
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self { port: 8080, base: "/".to_owned() };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--port" => {
                    options.port =
                        value.parse().map_err(|_| format!("--port needs a number up to 65535, not {value}"))?
                }
                "--base" => options.base = format!("/{}/", value.trim_matches('/')).replace("//", "/"),
                other => return Err(format!("unknown option {other}; there are --port and --base")),
            }
        }
        Ok(options)
    }
}

/// Serves `dist/` on this machine only, until interrupted.
pub(crate) fn serve(options: &Options) -> Outcome {
    let dist = root().join("dist");
    let dist = dist.canonicalize().map_err(|e| format!("{}: {e}; run: cargo xtask build", dist.display()))?;
    let listener = listen(options.port)?;
    let address = listener.local_addr().map_err(|e| format!("cannot tell the server's address: {e}"))?;
    println!("\nGlassbox is at http://{address}{}   (Ctrl-C ends it)", options.base);
    for stream in listener.incoming() {
        // A connection that broke before it was accepted concerns nobody else.
        let Ok(stream) = stream else { continue };
        let (dist, base) = (dist.clone(), options.base.clone());
        std::thread::spawn(move || {
            if let Err(e) = answer(stream, &dist, &base) {
                eprintln!("serve: {e}");
            }
        });
    }
    Ok(())
}

/// The port asked for, or the next free one of the following nine.
fn listen(port: u16) -> Outcome<TcpListener> {
    let last = port.saturating_add(9);
    let mut tried = (port..=last).map(|p| TcpListener::bind((Ipv4Addr::LOCALHOST, p)));
    let found = tried.find_map(Result::ok);
    found.ok_or_else(|| format!("ports {port} to {last} are all in use; name another by --port"))
}

fn answer(mut stream: TcpStream, dist: &Path, base: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some(request) = Request::read(&stream)? else { return Ok(()) };
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return say(&mut stream, "405 Method Not Allowed", "Only GET and HEAD are answered here.");
    }
    if format!("{}/", request.path) == base {
        return write!(
            stream,
            "HTTP/1.1 301 Moved Permanently\r\nLocation: {base}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let Some(path) = request.path.strip_prefix(base).and_then(|relative| locate(dist, relative)) else {
        return say(&mut stream, "404 Not Found", "There is no such file.");
    };
    send(&mut stream, &path, &request)
}

struct Request {
    method: String,
    /// Without query, as sent.
    path: String,
    /// The value of `Range`, where sent.
    range: Option<String>,
}

impl Request {
    fn read(stream: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut line = || -> std::io::Result<String> {
            let mut text = String::new();
            (&mut reader).take(LINE_LIMIT).read_line(&mut text)?;
            Ok(text.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let path = target.split(['?', '#']).next().unwrap_or(target).to_owned();
        let mut request = Self { method: method.to_owned(), path, range: None };
        for _ in 0..HEADER_LIMIT {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            if name.eq_ignore_ascii_case("range") {
                request.range = Some(value.trim().to_owned());
            }
        }
        Ok(Some(request))
    }
}

/// The file that a path below the base names, never one outside `dist`.
fn locate(dist: &Path, relative: &str) -> Option<PathBuf> {
    let relative = percent_decoded(relative)?;
    let mut path = dist.join(relative.trim_start_matches('/')).canonicalize().ok()?;
    if path.is_dir() {
        path.push("index.html");
    }
    (path.starts_with(dist) && path.is_file()).then_some(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

/// First and last byte of `bytes=a-b`, `bytes=a-` or `bytes=-n`; `None` for anything else.
fn byte_range(value: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    let range = match (first, last) {
        ("", n) => (length.saturating_sub(n.parse().ok()?), end),
        (a, "") => (a.parse().ok()?, end),
        (a, b) => (a.parse().ok()?, b.parse::<u64>().ok()?.min(end)),
    };
    (range.0 <= range.1).then_some(range)
}

fn send(stream: &mut TcpStream, path: &Path, request: &Request) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let range = request.range.as_deref().and_then(|value| byte_range(value, length));
    let (status, first, count) = match range {
        Some((first, last)) => ("206 Partial Content", first, last - first + 1),
        None => ("200 OK", 0, length),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {count}\r\n", media_type(path))?;
    if range.is_some() {
        write!(stream, "Content-Range: bytes {first}-{}/{length}\r\n", first + count - 1)?;
    }
    write!(stream, "Accept-Ranges: bytes\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n")?;
    if request.method == "GET" {
        file.seek(SeekFrom::Start(first))?;
        // A browser that left does not want the rest; that is no failure.
        let _ = std::io::copy(&mut file.take(count), stream);
    }
    stream.flush()
}

fn say(stream: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "txt" | "wgsl" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leaves_the_folder() {
        let folder = root().join("xtask/src").canonicalize().expect("this crate has sources");
        assert!(locate(&folder, "main.rs").is_some());
        assert!(locate(&folder, "%6dain.rs").is_some());
        assert!(locate(&folder, "../Cargo.toml").is_none());
        assert!(locate(&folder, "%2e%2e/Cargo.toml").is_none());
        assert!(locate(&folder, "//etc/hostname").is_none());
        assert!(locate(&folder, "%zz").is_none());
    }

    #[test]
    fn byte_ranges_are_read_as_rfc_9110_writes_them() {
        assert_eq!(byte_range("bytes=0-9", 100), Some((0, 9)));
        assert_eq!(byte_range("bytes=90-", 100), Some((90, 99)));
        assert_eq!(byte_range("bytes=-10", 100), Some((90, 99)));
        assert_eq!(byte_range("bytes=90-1000", 100), Some((90, 99)));
        assert_eq!(byte_range("bytes=100-", 100), None);
        assert_eq!(byte_range("bytes=5-4", 100), None);
        assert_eq!(byte_range("bytes=0-", 0), None);
        assert_eq!(byte_range("lines=1-2", 100), None);
    }

    #[test]
    fn a_base_path_is_given_its_slashes() {
        let options = |words: &[&str]| Options::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(options(&["--base", "a/b"]).expect("valid").base, "/a/b/");
        assert_eq!(options(&["--base", "/"]).expect("valid").base, "/");
        assert_eq!(options(&["--port", "9"]).expect("valid").port, 9);
        assert!(options(&["--port", "x"]).is_err());
        assert!(options(&["--port"]).is_err());
    }
}
