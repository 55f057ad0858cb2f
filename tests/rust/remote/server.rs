//! A host on this machine that answers as a test tells it, and keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// 1 for the first that this host got.
    pub(crate) nth: usize,
    /// Path and query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
    /// The bytes asked for.
    pub(crate) fn range(&self) -> Range<u64> {
        let text = self.header("range").and_then(|r| r.strip_prefix("bytes=")).expect("every request is for a range");
        let (first, last) = text.split_once('-').expect("first and last");
        first.parse().expect("a number")..last.parse::<u64>().expect("a number") + 1
    }
}

/// What comes after the body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    /// The next request on the same connection.
    Next,
    /// The connection is closed.
    Close,
    /// Nothing more is sent, and the connection stays open.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The length that is announced, where not the body's; none for an answer that ends with the connection.
    pub(crate) length: Option<u64>,
    pub(crate) then: Then,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: Vec::new(), length: Some(body.len() as u64), body, then: Then::Next }
    }
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
    /// Sends only the first bytes of what is announced.
    pub(crate) fn cut(mut self, at: usize, then: Then) -> Self {
        self.body.truncate(at);
        self.then = then;
        self
    }
}

/// A file: its first bytes, then zeros up to its length.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) head: Arc<Vec<u8>>,
    pub(crate) len: u64,
}

impl Remote {
    pub(crate) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let head: Vec<u8> = bytes.into();
        Self { len: head.len() as u64, head: Arc::new(head) }
    }
    pub(crate) fn bytes(&self, at: Range<u64>) -> Vec<u8> {
        let have = self.head.len() as u64;
        let mut out = self.head[at.start.min(have) as usize..at.end.min(have) as usize].to_vec();
        out.resize((at.end - at.start) as usize, 0);
        out
    }
    /// As RFC 9110 wants it.
    pub(crate) fn part(&self, asked: &Asked) -> Reply {
        let range = asked.range();
        if range.start >= self.len {
            return Reply::new(416, []).with("content-range", format!("bytes */{}", self.len));
        }
        let range = range.start..range.end.min(self.len);
        let stated = format!("bytes {}-{}/{}", range.start, range.end - 1, self.len);
        Reply::new(206, self.bytes(range)).with("content-range", stated)
    }
}

struct Shared {
    answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    sent: AtomicU64,
    ended: AtomicBool,
    /// Connections on which nothing more is sent.
    hanging: Mutex<Vec<TcpStream>>,
}

pub(crate) struct Server {
    at: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            asked: Mutex::default(),
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            hanging: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                let own = Arc::clone(&own);
                // A client that goes away ends the connection's thread, not the test.
                thread::spawn(move || converse(&own, stream).ok());
            }
        });
        Self { at, shared }
    }
    /// One file, whatever the path.
    pub(crate) fn of(file: Remote) -> Self {
        Self::new(move |asked| file.part(asked))
    }
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.at)
    }
    pub(crate) fn host(&self) -> String {
        self.at.to_string()
    }
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }
    /// Bytes of bodies that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.at));
    }
}

fn converse(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if lines.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let asked = {
            let mut all = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = all.len() + 1;
            all.push(Asked { nth, path, headers });
            all.last().cloned().expect("just pushed")
        };
        let reply = (shared.answer)(&asked);
        let mut head = format!("HTTP/1.1 {} Word\r\n", reply.status);
        if let Some(length) = reply.length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        out.write_all(format!("{head}\r\n").as_bytes())?;
        shared.sent.fetch_add(reply.body.len() as u64, Ordering::SeqCst);
        out.write_all(&reply.body)?;
        match reply.then {
            Then::Next if reply.length.is_some() => {}
            Then::Hang => {
                shared.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(out);
                return Ok(());
            }
            _ => return out.shutdown(std::net::Shutdown::Both),
        }
    }
}
