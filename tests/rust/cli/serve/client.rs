//! A server of the command, and a client that speaks HTTP by hand.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use serde_json::Value;

/// A running `glassbox serve`; it is ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Option<JoinHandle<String>>,
}

/// An answer: status, head, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
    /// The error's words, of an answer of this status.
    pub(crate) fn refusal(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        let error = self.json()["error"].clone();
        assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
        error
    }
    /// The events of a stream, without the last one, which ends it.
    pub(crate) fn events(&self) -> Vec<Value> {
        assert!(self.head.contains("text/event-stream"), "{}", self.head);
        let lines: Vec<&str> = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(lines.last(), Some(&"[DONE]"), "{}", self.body);
        lines[..lines.len() - 1].iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Server {
    /// Of these models, on a port that the system chooses.
    pub(crate) fn start(models: &[&str], args: &[&str]) -> Self {
        Self::start_with(models, args, &[])
    }
    pub(crate) fn start_with(models: &[&str], args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_glassbox"))
            .arg("serve")
            .args(models)
            .args(["--port", "0", "--device", "cpu", "--exact"])
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut errors = child.stderr.take().expect("a pipe");
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let _ = child.wait();
            panic!("{line:?}: {}", log.join().expect("a log"));
        };
        Self { address: address.to_owned(), child, log: Some(log) }
    }
    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("it listens")
    }
    /// A request as it is, and its answer until the connection ends.
    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // What is refused early is not read to its end.
        let _ = stream.write_all(request.as_bytes());
        read(stream)
    }
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.raw(&self.request(path, &body.to_string(), ""))
    }
    /// The text of a request whose connection ends with it.
    pub(crate) fn request(&self, path: &str, body: &str, more: &str) -> String {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n{body}",
            self.address
        )
    }
    /// A number of the metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
    }
    /// Asks until a number of the metrics is as it should be.
    pub(crate) fn until(&self, name: &str, is: impl Fn(u64) -> bool) {
        while !is(self.metric(name)) {
            std::thread::yield_now();
        }
    }
    /// Tells the process to end, as `kill` does.
    #[cfg(unix)]
    pub(crate) fn tell_to_end(&self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is there");
        assert!(status.success());
    }
    /// Waits for the process's end: its exit code and its log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        (code, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer until its connection ends; a chunked body is put together.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses early may cut what it has not read.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    let body =
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { dechunked(rest) } else { rest.into() };
    Answer { status, head: head.into(), body }
}

fn dechunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length, 16) else { break };
        let Some(chunk) = after.get(..length) else { break };
        body.push_str(chunk);
        rest = after.get(length + 2..).unwrap_or_default();
    }
    body
}

/// Reads lines of a stream until one is as asked for.
pub(crate) fn until_line(stream: &TcpStream, is: impl Fn(&str) -> bool) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    while lines.read_line(&mut line).expect("a line") > 0 {
        if is(&line) {
            return;
        }
        line.clear();
    }
    panic!("the stream ended");
}

/// The sample's Hugging Face folder with a chat template beside it.
pub(crate) fn with_template(from: &Path, template: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(from).expect("the sample is in the repository") {
        let file = entry.expect("a readable entry").path();
        std::fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    std::fs::write(folder.path().join("chat_template.jinja"), template).expect("a written file");
    folder
}
