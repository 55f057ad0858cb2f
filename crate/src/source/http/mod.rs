//! One file at an address, read by HTTP ranges: nothing is asked for but the bytes that are wanted.
//!
//! The rules are those of the page's fetcher (`www/src/fetcher/ranges.ts`), with three more that a browser does not
//! leave to a page: where hosts send on to is looked at, a broken answer is gone on with from the byte where it broke,
//! and a small file of a host without ranges is read whole.

mod address;
mod answer;
mod client;

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    thread,
};

pub use address::Address;
pub use client::{HttpClient, HttpOptions, Traffic};

use answer::{ContentRange, Mark, content_length, cut, header, is_page, packed, refusal};
use client::{Trouble, refuse};
use ureq::{Body, http::Response};

use super::{ByteSource, LocalFuture};
use crate::fault::{Fault, Result};

/// The first request's size in bytes: what is read first of any file, to recognise it.
const HEAD: u64 = 4 << 10;
/// A larger read is fetched as several parts of at least this size at once, in bytes.
const PART: u64 = 1 << 20;
/// Parts, or files, under way at once.
const AT_ONCE: u64 = 4;
/// Attempts in a row that bring next to nothing, before a read is given up.
const TRIES: u32 = 3;
/// Bytes that make an attempt worth having been made.
const WORTH: usize = 64 << 10;
/// The largest file that is read whole where the host gives no parts: side files, not weights.
const WHOLE_MOST: u64 = 32 << 20;

/// One file at one address.
pub struct HttpSource {
    client: HttpClient,
    name: String,
    asked: Address,
    /// Where the last answer came from; links that hosts send on to may expire, the address asked does not.
    at: Mutex<Address>,
    len: u64,
    /// The first bytes; all of them where the host gives no parts.
    start: Vec<u8>,
    mark: Mark,
}

impl HttpSource {
    /// Fetches the first bytes and learns how long the file is.
    ///
    /// # Errors
    /// A source's fault that says what the host did: it cannot be reached, it has no such file, it sends no parts of a
    /// file too large to be read whole, it contradicts itself.
    pub fn open(client: &HttpClient, address: &Address) -> Result<Self> {
        Self::learn(client, address).map_err(|trouble| trouble.fault().in_file(&address.file_name()))
    }
    /// Opens several files, a few at once, in the order asked; none for a file that is not there.
    pub fn find_all(client: &HttpClient, addresses: &[Address]) -> Vec<Result<Option<Self>>> {
        let find = |address: &Address| match Self::learn(client, address) {
            Ok(source) => Ok(Some(source)),
            Err(Trouble::Absent(_)) => Ok(None),
            Err(trouble) => Err(trouble.fault().in_file(&address.file_name())),
        };
        let mut found = Vec::with_capacity(addresses.len());
        for few in addresses.chunks(AT_ONCE as usize) {
            thread::scope(|scope| {
                let asked: Vec<_> = few.iter().map(|address| scope.spawn(|| find(address))).collect();
                found.extend(asked.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(died()))));
            });
        }
        found
    }
    /// Gives the name that a model has for the file: a path below its own folder.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
    /// Where the bytes come from: the host asked, and the one it sent on to where that is another.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.asked.host().to_owned(), self.place().host().to_owned()];
        hosts.dedup();
        hosts
    }
    fn place(&self) -> Address {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(client: &HttpClient, address: &Address) -> Result<Self, Trouble> {
        let mut tries = 0;
        loop {
            match Self::first(client, address) {
                Ok(source) => return Ok(source),
                Err(Trouble::Broken(_)) if tries + 1 < TRIES => tries += 1,
                Err(trouble) => return Err(trouble),
            }
            pause(client, tries);
        }
    }
    fn first(client: &HttpClient, address: &Address) -> Result<Self, Trouble> {
        let (at, response) = client.ask(address, &format!("bytes=0-{}", HEAD - 1), None)?;
        let host = at.host().to_owned();
        let mut source = Self {
            client: client.clone(),
            name: address.file_name(),
            asked: address.clone(),
            mark: Mark::of(&response),
            at: Mutex::new(at),
            len: 0,
            start: Vec::new(),
        };
        if let Some(what) = packed(&response, &host) {
            return Err(refuse(what));
        }
        match response.status().as_u16() {
            206 => {}
            200 => {
                source.start = whole(client, response, &host)?;
                source.len = source.start.len() as u64;
                return Ok(source);
            }
            416 => return Err(refuse(format!("The file at {host} is empty"))),
            status => return Err(status_trouble(status, &host)),
        }
        let text = header(&response, "content-range").unwrap_or_default();
        let range = ContentRange::parse(text);
        if range.is_some_and(|range| range.total.is_none()) {
            let what = "does not say how long the file is (its Content-Range ends in a star)";
            return Err(refuse(format!("{host} {what}")));
        }
        let total = range.and_then(|range| range.total).unwrap_or_default();
        let head = HEAD.min(total);
        if range.is_none_or(|range| range.first != 0 || range.last + 1 != head) {
            return Err(wrong(&response, &host, &(0..HEAD)));
        }
        source.len = total;
        source.start = vec![0; head as usize];
        let mut have = 0;
        match client.body(response, &host, &mut source.start, &mut have) {
            Ok(()) => Ok(source),
            // What came is kept; the rest is asked for as any other bytes.
            Err(Trouble::Broken(_)) if have > 0 => {
                let mut start = std::mem::take(&mut source.start);
                let rest = start.get_mut(have..).unwrap_or_default();
                source.fill(have as u64..head, rest).map_err(Trouble::Refused)?;
                source.start = start;
                Ok(source)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Exactly the bytes `at` of the file.
    fn bytes(&self, at: Range<u64>) -> Result<Vec<u8>> {
        let have = self.start.len() as u64;
        let too_long = |_| Fault::limit(format!("{} bytes requested at once", at.end - at.start));
        let length = usize::try_from(at.end - at.start).map_err(too_long)?;
        let known = at.start.min(have) as usize..at.end.min(have) as usize;
        let mut out = self.start.get(known).unwrap_or_default().to_vec();
        let known = out.len();
        out.resize(length, 0);
        let from = at.start + known as u64;
        let rest = out.get_mut(known..).unwrap_or_default();
        let parts = ((at.end - from) / PART).clamp(1, AT_ONCE);
        let step = (at.end - from).div_ceil(parts).max(1);
        if parts == 1 {
            self.fill(from..at.end, rest)?;
            return Ok(out);
        }
        let step_len = usize::try_from(step).map_err(too_long)?;
        thread::scope(|scope| {
            let asked: Vec<_> = (from..at.end)
                .step_by(step_len)
                .zip(rest.chunks_mut(step_len))
                .map(|(start, part)| scope.spawn(move || self.fill(start..start + part.len() as u64, part)))
                .collect();
            asked.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(died()))).collect::<Result<Vec<()>>>()
        })?;
        Ok(out)
    }
    /// Fills `into` with the bytes `at`, going on from where an answer broke.
    fn fill(&self, at: Range<u64>, into: &mut [u8]) -> Result<()> {
        let (mut have, mut tries) = (0, 0);
        while have < into.len() {
            let before = have;
            let rest = into.get_mut(have..).unwrap_or_default();
            let mut came = 0;
            let ended = self.once(at.start + before as u64..at.end, rest, &mut came);
            have += came;
            match ended {
                Ok(()) => {}
                Err(Trouble::Broken(what)) => {
                    tries = if came >= WORTH { 1 } else { tries + 1 };
                    if tries >= TRIES {
                        return Err(Fault::source(what).in_file(&self.name).at(at.start + have as u64));
                    }
                    pause(&self.client, tries);
                }
                Err(trouble) => return Err(trouble.fault().in_file(&self.name).at(at.start + have as u64)),
            }
        }
        Ok(())
    }
    /// One request for the bytes `at`; `came` counts those that arrived, also where the answer broke.
    fn once(&self, at: Range<u64>, into: &mut [u8], came: &mut usize) -> Result<(), Trouble> {
        let range = format!("bytes={}-{}", at.start, at.end - 1);
        let known = self.place();
        let (mut place, mut response) = self.client.ask(&known, &range, self.mark.condition())?;
        // A link that the host sent on to has expired: the address asked gives a new one.
        if known != self.asked && matches!(response.status().as_u16(), 401 | 403 | 404 | 410) {
            (place, response) = self.client.ask(&self.asked, &range, self.mark.condition())?;
        }
        let host = place.host().to_owned();
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = place;
        let mark = Mark::of(&response);
        let changed = format!("The file was changed at {host} while it was being read: open it again");
        match response.status().as_u16() {
            206 => {}
            // Asked with If-Range, a host that has given parts before gives the whole only where it is another.
            200 if self.mark.condition().is_some() && !is_page(&response) => return Err(refuse(changed)),
            200 if self.mark.contradicts(&mark) => return Err(refuse(changed)),
            200 => return Err(whole_only(&response, &host)),
            416 => return Err(refuse(changed)),
            status => return Err(status_trouble(status, &host)),
        }
        if let Some(what) = packed(&response, &host) {
            return Err(refuse(what));
        }
        let range = header(&response, "content-range").and_then(ContentRange::parse);
        let Some(range) = range.filter(|r| r.first == at.start && r.last + 1 == at.end) else {
            return Err(wrong(&response, &host, &at));
        };
        if range.total.is_some_and(|total| total != self.len) || self.mark.contradicts(&mark) {
            return Err(refuse(changed));
        }
        self.client.body(response, &host, into, came)
    }
}

impl ByteSource for HttpSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        let got = self.bytes(at);
        Box::pin(async move { got })
    }
}

/// A status that is no success; a host's own trouble may pass.
fn status_trouble(status: u16, host: &str) -> Trouble {
    let what = refusal(status, host);
    match status {
        404 | 410 => Trouble::Absent(what),
        500..600 => Trouble::Broken(what),
        _ => refuse(what),
    }
}

/// The whole file of a host that gives no parts, where it is small.
fn whole(client: &HttpClient, response: Response<Body>, host: &str) -> Result<Vec<u8>, Trouble> {
    let length = content_length(&response);
    if is_page(&response) || length.is_some_and(|length| length > WHOLE_MOST) {
        return Err(whole_only(&response, host));
    }
    let why = || {
        let most = WHOLE_MOST >> 20;
        refuse(format!(
            "{host} sends only whole files, not ranges of bytes, and this one is larger than the {most} MiB that are read whole"
        ))
    };
    let bytes = client.whole(response, host, WHOLE_MOST)?.ok_or_else(why)?;
    if bytes.is_empty() {
        return Err(refuse(format!("The file at {host} is empty")));
    }
    match length.filter(|length| *length != bytes.len() as u64) {
        Some(length) => Err(Trouble::Broken(format!("{host} sent {} bytes where it announced {length}", bytes.len()))),
        None => Ok(bytes),
    }
}

fn whole_only(response: &Response<Body>, host: &str) -> Trouble {
    refuse(if is_page(response) {
        format!("{host} answered with a web page, not with a file: copy the address of the download itself")
    } else {
        format!("{host} sends only whole files, not ranges of bytes (it answered 200 to a range request)")
    })
}

fn wrong(response: &Response<Body>, host: &str, asked: &Range<u64>) -> Trouble {
    let got = header(response, "content-range").map(cut).unwrap_or_else(|| {
        let length = content_length(response).map_or("nothing".to_owned(), |n| n.to_string());
        format!("no Content-Range and a length of {length}")
    });
    refuse(format!(
        "{host} was asked for bytes {} to {} and answered with other bytes: {got}",
        asked.start,
        asked.end - 1
    ))
}

fn died() -> Fault {
    Fault::bug("a thread that was reading from a host ended unexpectedly")
}

/// Lets a broken host breathe: twice as long each time in a row.
fn pause(client: &HttpClient, tries: u32) {
    let pause = client.options.pause.saturating_mul(1 << tries.saturating_sub(1).min(8));
    if !pause.is_zero() {
        thread::sleep(pause);
    }
}
