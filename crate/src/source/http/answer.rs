//! What an answer's status and headers say, in the page's words (`www/src/fetcher/ranges.ts`).

use ureq::{Body, http::Response};

/// `bytes 0-4095/123456` (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Length of the whole file; none where the host does not say.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// None for what contradicts itself, and for lengths beyond 63 bits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number =
            |t: &str| t.parse::<u64>().ok().filter(|n| *n <= i64::MAX as u64 && t.bytes().all(|b| b.is_ascii_digit()));
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }
}

/// By what a file is known to be the same at each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Strong entity tag; a weak one says nothing about bytes.
    etag: Option<String>,
    modified: Option<String>,
}

impl Mark {
    pub(super) fn of(response: &Response<Body>) -> Self {
        let etag = header(response, "etag").filter(|tag| !tag.starts_with("W/"));
        Self { etag: etag.map(str::to_owned), modified: header(response, "last-modified").map(str::to_owned) }
    }
    /// For `If-Range`: a host whose file is another by now sends the whole instead of a wrong part.
    pub(super) fn condition(&self) -> Option<&str> {
        self.etag.as_deref()
    }
    /// True where both answers state one of the marks, and differ in it.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        differ(&self.etag, &other.etag) || differ(&self.modified, &other.modified)
    }
}

/// A header's text; none where it is absent or not ASCII.
pub(super) fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The length that an answer states for its body.
pub(super) fn content_length(response: &Response<Body>) -> Option<u64> {
    header(response, "content-length")?.parse().ok()
}

/// True for a page for people.
pub(super) fn is_page(response: &Response<Body>) -> bool {
    header(response, "content-type").is_some_and(|t| t.to_ascii_lowercase().starts_with("text/html"))
}

/// Why an answer cannot be used, where its bytes are packed: parts of packed bytes are no parts of the file.
pub(super) fn packed(response: &Response<Body>, host: &str) -> Option<String> {
    let coding =
        header(response, "content-encoding").filter(|c| !c.is_empty() && !c.eq_ignore_ascii_case("identity"))?;
    Some(format!("{host} sends the file packed ({}), though it was asked not to", cut(coding)))
}

/// The sentence for a status that is neither 206 nor 200.
pub(super) fn refusal(status: u16, host: &str) -> String {
    match status {
        404 | 410 => format!("There is no file at this address: {host} answered {status}"),
        401 | 403 => format!("{host} gives this file only to those it knows: it answered {status}"),
        429 => format!("{host} limits the rate of requests: it answered 429. Wait a little and try again"),
        500.. => format!("{host} reports an error of its own: it answered {status}. Try again later"),
        _ => format!("{host} answered {status}, and 206 (a part of a file) was expected"),
    }
}

/// A stranger's text in a sentence of ours.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::ContentRange;

    #[test]
    fn content_range_is_read_as_rfc_9110_writes_it() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::parse("bytes 0-4095/123456"), range(0, 4095, Some(123_456)));
        assert_eq!(ContentRange::parse("bytes 5-5/*"), range(5, 5, None));
    }
    #[test]
    fn content_range_that_contradicts_itself_is_none() {
        for text in [
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes */10",
            "lines 0-1/2",
            "bytes 0-1/99999999999999999999",
            "bytes 0-1/18446744073709551615",
            "bytes +0-1/2",
            "bytes 0-4095",
            "",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
