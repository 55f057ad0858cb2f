//! Files at addresses, from a host that may misbehave: what is fetched is counted where it is sent.

#[path = "remote/command.rs"]
mod command;
#[path = "remote/server.rs"]
mod server;

use crate::common::{files, synth_header, writers};
use std::{
    rc::Rc,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use glassbox::{
    fault::{Blame, Fault},
    report::ModelReport,
    session::Inspection,
    source::{Address, ByteSource, HttpClient, HttpOptions, HttpSource, SourceSet},
};

use files::block_on;
use server::{Asked, Remote, Reply, Server, Then};

/// What the reader fetches first of any file.
const HEAD: u64 = 4096;

/// Impatient enough for a test that waits for the impatience.
fn options() -> HttpOptions {
    HttpOptions {
        connect: Duration::from_secs(20),
        answer: Duration::from_secs(20),
        silence: Duration::from_secs(20),
        pause: Duration::ZERO,
    }
}

fn client() -> HttpClient {
    HttpClient::new(options(), |_| {})
}

fn open_with(client: &HttpClient, url: &str) -> Result<HttpSource, Fault> {
    HttpSource::open(client, &Address::parse(url).expect(url))
}

fn open(server: &Server) -> Result<HttpSource, Fault> {
    open_with(&client(), &server.url("m.gguf"))
}

fn read(source: &HttpSource, at: std::ops::Range<u64>) -> Result<Vec<u8>, Fault> {
    block_on(source.read(at))
}

/// Nine MiB in which no two places look alike.
fn file() -> Remote {
    Remote::of((0..9u32 << 20).map(|i| (i.wrapping_mul(31) ^ (i >> 9)) as u8).collect::<Vec<_>>())
}

/// Opening, then reading bytes 5,000 to 6,000, must fail with these words and say whose file it was.
fn refused(name: &str, words: &str, host: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> usize {
    let server = Server::new(host);
    let fault = match open(&server) {
        Err(fault) => fault,
        Ok(source) => read(&source, 5000..6000).expect_err(name),
    };
    assert!(fault.what.contains(words), "{name}: \"{words}\" expected, {fault} found");
    assert_eq!((fault.blame, fault.file.as_deref()), (Blame::Source, Some("m.gguf")), "{name}");
    server.asked().len()
}

#[test]
fn the_length_is_learned_from_the_first_answer_whose_bytes_are_fetched_once() {
    let file = file();
    let server = Server::of(file.clone());
    let source = open(&server).expect("opens");
    assert_eq!((source.len(), source.name()), (file.len, "m.gguf"));
    assert_eq!(read(&source, 0..HEAD).expect("reads"), file.bytes(0..HEAD));
    assert_eq!(read(&source, 10..20).expect("reads"), file.bytes(10..20));
    assert_eq!(server.asked().len(), 1);
    assert_eq!(read(&source, 4000..5000).expect("reads"), file.bytes(4000..5000));
    let ranges: Vec<_> = server.asked().iter().map(Asked::range).collect();
    assert_eq!(ranges, [0..HEAD, HEAD..5000], "what is known is not asked for again");
    let small = Server::of(Remote::of(vec![7; 100]));
    assert_eq!(read(&open(&small).expect("opens"), 10..100).expect("reads"), [7; 90]);
}

#[test]
fn a_host_is_asked_without_cookies_referrer_or_anything_of_the_person() {
    let server = Server::of(file());
    open(&server).expect("opens");
    let names: Vec<_> = server.asked()[0].headers.iter().map(|(name, _)| name.clone()).collect();
    for name in &names {
        assert!(["host", "range", "accept-encoding", "user-agent", "accept"].contains(&name.as_str()), "{name}");
    }
    assert_eq!(server.asked()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_large_read_is_asked_for_in_parts_at_once_and_each_byte_lands_in_its_place() {
    let file = file();
    let (own, waiting) = (file.clone(), Arc::new((Mutex::new(0), Condvar::new())));
    let server = Server::new(move |asked| {
        if asked.nth > 1 {
            // Answers only once all four parts are under way.
            let (count, all) = &*waiting;
            let mut count = count.lock().expect("no test panics here");
            *count += 1;
            all.notify_all();
            let limit = Duration::from_secs(60);
            let (_count, timeout) = all.wait_timeout_while(count, limit, |n| *n < 4).expect("no test panics here");
            if timeout.timed_out() {
                return Reply::new(418, "the parts come one after the other");
            }
        }
        own.part(asked)
    });
    let source = open(&server).expect("opens");
    let at = 12_345..12_345 + (4 << 20) + 3;
    assert_eq!(read(&source, at.clone()).expect("four parts at once"), file.bytes(at.clone()));
    assert_eq!((server.asked().len(), server.sent()), (5, HEAD + at.end - at.start));
}

#[test]
fn a_cut_answer_is_gone_on_with_from_the_byte_where_it_broke() {
    let file = file();
    let own = file.clone();
    // A third of what is asked for, at least 100 kB: 900,000 bytes are whole after some requests.
    let server = Server::new(move |asked| {
        let reply = own.part(asked);
        let third = (reply.body.len() / 3).max(100_000);
        if asked.nth == 1 || reply.body.len() <= third { reply } else { reply.cut(third, Then::Close) }
    });
    let source = open(&server).expect("opens");
    let at = 5000..905_000;
    assert_eq!(read(&source, at.clone()).expect("all of it"), file.bytes(at.clone()));
    let ranges: Vec<_> = server.asked().iter().skip(1).map(Asked::range).collect();
    assert!(ranges.len() > 2 && ranges.windows(2).all(|w| w[1].start > w[0].start && w[1].end == at.end));
    assert_eq!(server.sent(), HEAD + at.end - at.start, "no byte is sent twice");
}

#[test]
fn a_host_that_always_breaks_is_given_up_after_three_requests_that_brought_nothing() {
    let file = file();
    let asked = refused("always", "broke after 7 of 986 bytes", move |asked| {
        let reply = file.part(asked);
        if asked.nth == 1 { reply } else { reply.cut(7, Then::Close) }
    });
    assert_eq!(asked, 4);
}

#[test]
fn a_host_that_falls_silent_is_given_up_or_gone_on_with() {
    let file = file();
    let impatient = HttpClient::new(
        HttpOptions { answer: Duration::from_millis(80), silence: Duration::from_millis(80), ..options() },
        |_| {},
    );
    let own = file.clone();
    let server = Server::new(move |asked| match asked.nth {
        2 => own.part(asked).cut(500, Then::Hang),
        _ => own.part(asked),
    });
    let source = open_with(&impatient, &server.url("m")).expect("opens");
    assert_eq!(read(&source, 5000..6000).expect("gone on with"), file.bytes(5000..6000));
    assert_eq!(server.asked()[2].range(), 5500..6000);

    let mute = Server::new(|_| {
        let mut reply = Reply::new(206, "");
        reply.length = Some(10);
        reply.then = Then::Hang;
        reply.with("content-range", "bytes 0-9/10")
    });
    let fault = open_with(&impatient, &mute.url("m")).err().expect("given up");
    assert!(fault.what.contains("nothing came for too long"), "{fault}");
    assert_eq!(mute.asked().len(), 3);
}

#[test]
fn a_host_that_misbehaves_is_explained() {
    let file = file();
    let with = |change: fn(&Asked, Reply) -> Reply| {
        let own = file.clone();
        move |asked: &Asked| change(asked, own.part(asked))
    };
    refused("whole files only", "only whole files", with(|_, r| Reply { status: 200, length: Some(1 << 30), ..r }));
    refused("a web page", "a web page", |_| Reply::new(200, "<html>").with("content-type", "text/html; charset=utf-8"));
    refused("no such file", "no file at this address", |_| Reply::new(404, "<html>").with("content-type", "text/html"));
    refused("no permission", "only to those it knows", |_| Reply::new(403, ""));
    assert_eq!(refused("too many requests", "limits the rate of requests", |_| Reply::new(429, "")), 1);
    assert_eq!(refused("trouble", "an error of its own: it answered 503", |_| Reply::new(503, "")), 3);
    refused("an empty file", "is empty", |_| Reply::new(416, "").with("content-range", "bytes */0"));
    refused("an odd status", "206 (a part of a file) was expected", |_| Reply::new(204, ""));
    refused(
        "another range",
        "something else: bytes 1-4096/",
        with(|_, r| r.with("content-range", "bytes 1-4096/9999")),
    );
    refused(
        "a later range",
        "something else: bytes 0-999/",
        with(|asked, r| if asked.nth == 1 { r } else { r.with("content-range", "bytes 0-999/9437184") }),
    );
    refused("no total", "how long the file is", with(|_, r| r.with("content-range", "bytes 0-4095/*")));
    refused("no range", "no Content-Range and a length of 4096", with(|_, r| Reply { headers: vec![], ..r }));
    refused(
        "too large a total",
        "other bytes",
        with(|_, r| r.with("content-range", "bytes 0-4095/18446744073709551615")),
    );
    refused("packed", "sends the file packed (gzip)", with(|_, r| r.with("content-encoding", "gzip")));
    refused(
        "more than asked",
        "more than the 4096 bytes",
        with(|_, mut r| {
            r.body.resize(1 << 20, 0);
            r.length = Some(1 << 20);
            r
        }),
    );
    refused(
        "endless",
        "more than the 4096 bytes",
        with(|_, mut r| {
            r.body.resize(1 << 20, 0);
            r.length = None;
            r
        }),
    );
    refused("not HTTP", "does not answer as HTTP wants it", |_| {
        Reply::new(206, "").with("content-range", "bytes 0-\u{7f}")
    });
    refused("a head without end", "a head of more than", |_| Reply::new(206, "").with("x", "y".repeat(1 << 20)));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port, free again");
    let fault = open_with(&client(), &format!("http://{nobody}/m")).err().expect("nobody listens there");
    assert!(fault.what.contains("cannot be reached"), "{fault}");
}

#[test]
fn fewer_bytes_than_announced_are_asked_for_again_from_where_they_ended() {
    let file = file();
    let own = file.clone();
    let server = Server::new(move |asked| match asked.nth {
        1 | 2 => own.part(asked).cut(1000, Then::Close),
        _ => own.part(asked),
    });
    let source = open(&server).expect("opens");
    assert_eq!(read(&source, 0..HEAD).expect("reads"), file.bytes(0..HEAD));
    assert_eq!(server.asked().iter().map(|a| a.range().start).collect::<Vec<_>>(), [0, 1000, 2000]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    type Later = fn(Reply) -> Reply;
    let marked = |r: Reply| r.with("etag", "\"a\"").with("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT");
    let later: [(&str, Later); 5] = [
        ("another tag", |r| r.with("etag", "\"b\"")),
        ("another date", |r| r.with("last-modified", "Tue, 02 Jan 2024 00:00:00 GMT")),
        ("another length", |r| r.with("content-range", "bytes 5000-5999/10000")),
        ("the whole, since If-Range did not hold", |r| Reply { status: 200, ..r }),
        ("too short by now", |r| Reply { status: 416, ..r }),
    ];
    for (name, change) in later {
        let file = file();
        refused(name, "was changed", move |asked| {
            let reply = marked(file.part(asked));
            if asked.nth == 1 {
                return reply;
            }
            assert_eq!(asked.header("if-range"), Some("\"a\""));
            change(reply)
        });
    }
    // A weak tag says nothing about bytes: it is neither sent nor compared.
    let file = file();
    let own = file.clone();
    let server = Server::new(move |asked| own.part(asked).with("etag", format!("W/\"{}\"", asked.nth)));
    assert_eq!(read(&open(&server).expect("opens"), 5000..6000).expect("reads"), file.bytes(5000..6000));
    assert_eq!(server.asked()[1].header("if-range"), None);
}

#[test]
fn redirects_are_followed_and_the_place_is_remembered_until_it_expires() {
    let file = file();
    let own = file.clone();
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/a/m.gguf" => Reply::new(302, "see there").with("location", "../b?x=1"),
        "/b?x=1" => Reply::new(307, "").with("location", format!("/signed/{}", asked.nth)),
        "/signed/2" if asked.nth > 4 => Reply::new(403, "expired"),
        path if path.starts_with("/signed/") => own.part(asked),
        _ => Reply::new(404, ""),
    });
    let source = open_with(&client(), &server.url("a/m.gguf")).expect("opens");
    assert_eq!((source.name(), source.hosts()), ("m.gguf", vec![server.host()]));
    assert_eq!(read(&source, 5000..6000).expect("reads"), file.bytes(5000..6000));
    assert_eq!(read(&source, 6000..7000).expect("reads by a new link"), file.bytes(6000..7000));
    let paths = ["/a/m.gguf", "/b?x=1", "/signed/2", "/signed/2", "/signed/2", "/a/m.gguf", "/b?x=1", "/signed/7"];
    assert_eq!(server.paths(), paths);
}

#[test]
fn redirects_without_end_or_to_nowhere_are_given_up() {
    let asked = refused("round and round", "sends on and on", |asked| {
        Reply::new(301, "").with("location", format!("/{}", asked.nth % 2))
    });
    assert_eq!(asked, 11);
    refused("to no web address", "no web address: ftp://x/y", |_| Reply::new(302, "").with("location", "ftp://x/y"));
    refused("to nowhere", "does not say which", |_| Reply::new(302, ""));
    refused("with a password", "not a web address", |_| {
        Reply::new(302, "").with("location", "http://me:pw@127.0.0.1/")
    });
}

#[test]
fn another_host_that_answers_is_named() {
    let file = file();
    let other = Server::of(file.clone());
    let to = other.url("deep/m.bin");
    let server = Server::new(move |_| Reply::new(302, "").with("location", &to));
    let source = open(&server).expect("opens");
    assert_eq!((source.hosts(), source.name()), (vec![server.host(), other.host()], "m.gguf"));
    read(&source, 5000..6000).expect("reads");
    assert_eq!(server.asked().len(), 1, "later parts are asked of the host that has them");
}

#[test]
fn a_small_file_of_a_host_without_ranges_is_read_whole_and_a_large_one_refused() {
    let text = r#"{"model_type":"llama"}"#;
    for length in [Some(text.len() as u64), None] {
        let server = Server::new(move |_| Reply { length, ..Reply::new(200, text) });
        let source = open(&server).expect("opens");
        assert_eq!(read(&source, 0..source.len()).expect("reads"), text.as_bytes());
        assert_eq!(server.asked().len(), 1);
    }
    refused("large, without a length", "larger than the 32 MiB", |_| Reply {
        length: None,
        ..Reply::new(200, vec![0; (32 << 20) + 1])
    });
    let page = Server::new(|_| Reply::new(200, text.repeat(2)).with("content-encoding", "br"));
    assert!(open(&page).err().expect("refused").what.contains("packed (br)"));
}

fn inspect(url: &str, client: &HttpClient) -> Inspection {
    let source = open_with(client, url).expect("opens");
    block_on(Inspection::open(SourceSet::new([Rc::new(source) as Rc<dyn ByteSource>]))).expect("a model")
}

#[test]
fn an_inspection_fetches_the_header_and_at_most_1_mib_more_each_byte_once() {
    let shape = synth_header::Shape { tensors: 30_000, vocabulary: 0, file_bytes: 3 << 30 };
    let words = synth_header::Shape { tensors: 300, vocabulary: 128_000, file_bytes: 3 << 30 };
    for (name, (head, len)) in [
        ("m.gguf", synth_header::gguf(shape)),
        ("words.gguf", synth_header::gguf(words)),
        ("m.safetensors", synth_header::safetensors(shape)),
    ] {
        let header = head.len() as u64;
        let server = Server::of(Remote { head: Arc::new(head), len });
        let client = client();
        let inspection = inspect(&server.url(name), &client);
        assert!(inspection.model().tensors.len() >= 300);
        let (sent, read) = (server.sent(), inspection.files().bytes_read());
        assert!(sent <= header + (1 << 20), "{name}: {sent} bytes sent for a header of {header}");
        assert_eq!((sent, client.traffic().bytes()), (read, read), "{name}: what is sent is what is read");
        assert!(server.asked().len() <= 12, "{name}: {} requests", server.asked().len());
    }
}

#[test]
fn a_claimed_size_beyond_all_disks_costs_no_more_than_any_other() {
    let head = writers::Gguf::small().bytes();
    let server = Server::of(Remote { head: Arc::new(head), len: i64::MAX as u64 });
    let client = client();
    let inspection = inspect(&server.url("m.gguf"), &client);
    assert_eq!(inspection.model().tensors.len(), 3);
    assert!(inspection.model().notes.iter().any(|note| note.what.contains("bytes follow the last tensor")));
    assert!(server.sent() <= 1 << 20, "{} bytes", server.sent());
}

#[test]
fn the_report_of_a_file_at_an_address_is_that_of_the_file_on_disk() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    for name in ["sample/gguf/sample-q8_0.gguf", "sample/sample.onnx", "sample/sample.pt", "containers/new.h5"] {
        let bytes = std::fs::read(sample.join(name)).expect("the sample is in the repository");
        let report = |set: SourceSet| {
            let inspection = block_on(Inspection::open(set)).expect("opens");
            (
                serde_json::to_string(&block_on(ModelReport::of(&inspection))).expect("JSON"),
                inspection.files().bytes_read(),
            )
        };
        let base = name.rsplit('/').next().expect("a name");
        let (local, _) = report(files::in_memory(&[(base, &bytes)]));
        let server = Server::of(Remote::of(bytes));
        let source = Rc::new(open_with(&client(), &server.url(base)).expect("opens")) as Rc<dyn ByteSource>;
        let (remote, read) = report(SourceSet::new([source]));
        assert_eq!(local, remote, "{name}");
        assert!(server.sent() <= read, "{name}: {} bytes sent, {read} read", server.sent());
    }
}
