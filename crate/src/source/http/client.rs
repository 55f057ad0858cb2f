//! One connection pool for all addresses, and the count of what came through it.

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ureq::{Agent, Body, Error, http::Response};

use super::{
    Address,
    answer::{cut, header},
};
use crate::fault::Fault;

/// Answers that send on to another address, in a row; browsers follow twice as many.
pub(super) const REDIRECTS_MOST: usize = 10;
/// Bytes of an answer's head; ureq's own limit is 64 KiB.
const HEAD_MOST: usize = 32 << 10;

/// How patient a client is.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// For a connection to stand, name look-up and TLS included.
    pub connect: Duration,
    /// For an answer to begin.
    pub answer: Duration,
    /// Between two pieces of an answer.
    pub silence: Duration,
    /// Before a broken answer is gone on with; each time in a row twice as long.
    pub pause: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(20), answer: seconds(30), silence: seconds(30), pause: Duration::from_millis(250) }
    }
}

/// What was asked for and what arrived, over all files of a client.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
    hosts: Mutex<BTreeSet<String>>,
}

impl Traffic {
    /// Bytes of bodies that arrived, those of failed attempts included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
    /// Requests sent, those that were sent on included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
    /// Hosts that were asked, sorted.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Told of the traffic whenever bytes have arrived, from any thread.
type Told = dyn Fn(&Traffic) + Send + Sync;

/// Asks hosts; clones share connections and counts.
#[derive(Clone)]
pub struct HttpClient {
    agent: Agent,
    pub(super) options: HttpOptions,
    traffic: Arc<Traffic>,
    told: Arc<Told>,
}

/// Why an attempt ended.
pub(super) enum Trouble {
    /// The connection failed or broke: worth another try.
    Broken(String),
    /// There is no such file.
    Absent(String),
    /// The answer is wrong, and will be so again.
    Refused(Fault),
}

impl Trouble {
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Broken(what) | Self::Absent(what) => Fault::source(what),
            Self::Refused(fault) => fault,
        }
    }
}

pub(super) fn refuse(what: impl Into<String>) -> Trouble {
    Trouble::Refused(Fault::source(what))
}

impl HttpClient {
    /// A client without connections; `told` hears of everything that arrives.
    pub fn new(options: HttpOptions, told: impl Fn(&Traffic) + Send + Sync + 'static) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // Each step is looked at here: none leads from https to http.
            .max_redirects(0)
            .timeout_connect(Some(options.connect))
            .timeout_recv_response(Some(options.answer))
            .timeout_per_read(Some(options.silence))
            .max_response_header_size(HEAD_MOST)
            .user_agent(concat!("glassbox/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, options, traffic: Arc::default(), told: Arc::new(told) }
    }
    /// What has been asked and has arrived.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
    /// Asks for a range of what lies at an address, following where hosts send on to; also says who answered.
    pub(super) fn ask(
        &self,
        from: &Address,
        range: &str,
        same: Option<&str>,
    ) -> Result<(Address, Response<Body>), Trouble> {
        let mut at = from.clone();
        for _ in 0..=REDIRECTS_MOST {
            let response = self.one(&at, range, same)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((at, response));
            }
            at = next(&at, header(&response, "location"))?;
        }
        Err(refuse(format!("{} sends on and on: more than {REDIRECTS_MOST} times", from.host())))
    }
    fn one(&self, at: &Address, range: &str, same: Option<&str>) -> Result<Response<Body>, Trouble> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        self.traffic.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(at.host().to_owned());
        let mut request = self.agent.get(at.to_string()).header("range", range).header("accept-encoding", "identity");
        if let Some(same) = same {
            request = request.header("if-range", same);
        }
        let asked = if at.is_local() { request.config().proxy(None).build().call() } else { request.call() };
        asked.map_err(|error| trouble(&error, at))
    }
    /// Fills `into` with an answer's body, counting in `have` what arrived; one byte more is a fault of the host.
    pub(super) fn body(
        &self,
        response: Response<Body>,
        host: &str,
        into: &mut [u8],
        have: &mut usize,
    ) -> Result<(), Trouble> {
        let length = into.len();
        let mut reader = response.into_body().into_reader();
        while let Some(room) = into.get_mut(*have..).filter(|room| !room.is_empty()) {
            match reader.read(room) {
                Ok(0) => {
                    return Err(Trouble::Broken(format!("{host} sent {have} bytes where {length} were requested")));
                }
                Ok(n) => {
                    *have += n;
                    self.arrived(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let what =
                        format!("The connection to {host} broke after {have} of {length} bytes ({})", because(&e));
                    return Err(Trouble::Broken(what));
                }
            }
        }
        // Reading to the end also gives the connection back to the pool.
        match reader.read(&mut [0]) {
            Ok(1..) => Err(refuse(format!("{host} sent more than the {length} bytes that were requested"))),
            _ => Ok(()),
        }
    }
    /// A whole body of at most `most` bytes; none where it is longer.
    pub(super) fn whole(&self, response: Response<Body>, host: &str, most: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let mut reader = response.into_body().into_reader().take(most + 1);
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok((bytes.len() as u64 <= most).then_some(bytes)),
                Ok(n) => {
                    bytes.extend_from_slice(piece.get(..n).unwrap_or_default());
                    self.arrived(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let what = format!("The connection to {host} broke after {} bytes ({})", bytes.len(), because(&e));
                    return Err(Trouble::Broken(what));
                }
            }
        }
    }
    fn arrived(&self, n: usize) {
        self.traffic.bytes.fetch_add(n as u64, Ordering::Relaxed);
        (self.told)(&self.traffic);
    }
}

/// Where an answer of `at` sends on to: never from https to http.
fn next(at: &Address, location: Option<&str>) -> Result<Address, Trouble> {
    let host = at.host();
    let location =
        location.ok_or_else(|| refuse(format!("{host} sends on to another address, but does not say which")))?;
    let next = at
        .join(location)
        .map_err(|_| refuse(format!("{host} redirects to what is not a web address: {}", cut(location))))?;
    if at.is_secure() && !next.is_secure() {
        return Err(refuse(format!("{host} sends on from https to http ({}): not followed", next.host())));
    }
    Ok(next)
}

/// A read's failure in few words.
fn because(error: &io::Error) -> String {
    match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        Some(Error::Timeout(_)) => "nothing came for too long".into(),
        _ if error.kind() == io::ErrorKind::TimedOut => "nothing came for too long".into(),
        _ => cut(&error.to_string()),
    }
}

/// What a request that got no answer says.
fn trouble(error: &Error, at: &Address) -> Trouble {
    let host = at.host();
    let unreachable = |why: &str| {
        refuse(format!(
            "{host} cannot be reached: the name may be misspelt, the host down, or the connection blocked ({why})"
        ))
    };
    match error {
        Error::HostNotFound => unreachable("no such name"),
        Error::ConnectionFailed | Error::ConnectProxyFailed(_) => unreachable("no connection"),
        Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => unreachable("connection refused"),
        Error::Tls(_) | Error::Rustls(_) => {
            refuse(format!("{host} cannot be trusted: its certificate or its encryption is not accepted ({error})"))
        }
        Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            unreachable("no connection within the time allowed")
        }
        Error::Timeout(_) => Trouble::Broken(format!("{host} does not answer: nothing came for too long")),
        Error::LargeResponseHeader(..) => refuse(format!("{host} answered with a head of more than {HEAD_MOST} bytes")),
        Error::Protocol(_) | Error::Http(_) => {
            refuse(format!("{host} does not answer as HTTP wants it: {}", cut(&error.to_string())))
        }
        _ => Trouble::Broken(format!("{host} does not answer ({})", cut(&error.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, next};

    #[test]
    fn a_host_that_sends_on_from_https_to_http_is_not_followed() {
        let to = |from: &str, location: Option<&str>| {
            next(&Address::parse(from).expect(from), location).map(|a| a.to_string()).map_err(|t| t.fault().what)
        };
        let what = to("https://a.example/x", Some("http://b.example/y")).expect_err("refused");
        assert!(what.contains("from https to http (b.example)"), "{what}");
        assert_eq!(to("http://a.example/x", Some("https://b.example/y")).as_deref(), Ok("https://b.example/y"));
        assert_eq!(to("https://a.example/x", Some("y")).as_deref(), Ok("https://a.example/y"));
        assert!(to("https://a.example/x", None).expect_err("refused").contains("does not say which"));
        assert!(
            to("https://a.example/x", Some("file:///etc/passwd")).expect_err("refused").contains("not a web address")
        );
    }
}
