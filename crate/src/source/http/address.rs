//! Addresses that people give: whom to ask, for what, and what lies beside it.

use std::fmt;

use crate::fault::{Fault, Result};

/// An http or https address: no fragment, no user name, no password.
///
/// The same texts are taken and refused as on the page (`www/src/lib/address.ts`); a scheme is always asked for,
/// since a name without one is a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    /// Host, and port where it is not the usual one; in lower case.
    host: String,
    /// Begins with a slash; percent-encoded.
    path: String,
    /// With its question mark; empty for none.
    query: String,
}

impl Address {
    /// Whether a text is meant as an address, not as a path.
    pub fn is_meant(text: &str) -> bool {
        let text = text.trim_start();
        ["http://", "https://"].iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
    }
    /// Reads an address. Nothing is asked of the network here.
    ///
    /// # Errors
    /// A caller's fault: another scheme, no host, a user name or a password.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(Fault::caller(format!("\"{text}\": only http and https addresses can be read by parts"))),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            let what = "The address carries a user name or a password. Glassbox sends neither: download the file first";
            return Err(Fault::caller(what));
        }
        let host = host(authority, secure).ok_or_else(|| {
            Fault::caller(format!(
                "\"{text}\" is not an address. One looks like https://host.example/folder/model.gguf"
            ))
        })?;
        let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
        let mut address = Self { secure, host, path: without_dots(&encoded(path)), query: encoded(query) };
        address.leave_file_page();
        Ok(address)
    }
    /// Hugging Face shows a file at `.../blob/...` and gives it at `.../resolve/...`.
    fn leave_file_page(&mut self) {
        if !matches!(self.host.as_str(), "huggingface.co" | "hf.co") {
            return;
        }
        let mut steps: Vec<&str> = self.path.split('/').collect();
        let at = if matches!(steps.get(1), Some(&("datasets" | "spaces"))) { 4 } else { 3 };
        if let Some(step) = steps.get_mut(at).filter(|step| **step == "blob") {
            *step = "resolve";
            self.path = steps.join("/");
        }
    }
    /// Host, and port where it is not the usual one.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// Whether the connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
    /// Whether the host is this machine itself.
    pub fn is_local(&self) -> bool {
        let name = self.host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(&*self.host, |(h, _)| h);
        name == "localhost" || name == "[::1]" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    }
    /// The file's name: the last part of the path, decoded; the host where there is none.
    pub fn file_name(&self) -> String {
        let last = self.path.rsplit('/').find(|step| !step.is_empty()).unwrap_or(&self.host);
        let name = decoded(last).unwrap_or_else(|| last.to_owned());
        name.rsplit(['/', '\\']).find(|step| !step.is_empty()).unwrap_or(last).to_owned()
    }
    /// The address of a file in the same folder, by a relative name; none for a name that leads elsewhere.
    pub fn beside(&self, name: &str) -> Option<Self> {
        let plain = |step: &str| !matches!(step, "" | "." | "..") && !step.contains(['\\', ':', '\0']);
        if !name.split('/').all(plain) {
            return None;
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(Self { path: format!("{folder}/{}", escaped(name)), ..self.clone() })
    }
    /// Where an answer's `Location` leads (RFC 3986, 5.2).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn join(&self, location: &str) -> Result<Self> {
        let location = location.trim().split('#').next().unwrap_or_default();
        let scheme = if self.secure { "https" } else { "http" };
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let named = location.split(['/', '?']).next().unwrap_or_default().contains(':');
        if named {
            return Self::parse(location);
        }
        let (path, query) = location.find('?').map_or((location, ""), |at| location.split_at(at));
        let path = if path.starts_with('/') {
            path.to_owned()
        } else if path.is_empty() {
            self.path.clone()
        } else {
            format!("{}/{path}", self.path.rsplit_once('/').map_or("", |(folder, _)| folder))
        };
        Ok(Self { path: without_dots(&encoded(&path)), query: encoded(query), ..self.clone() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}{}", if self.secure { "https" } else { "http" }, self.host, self.path, self.query)
    }
}

/// A host with its port, in lower case and without the usual port; none where it is no host.
fn host(authority: &str, secure: bool) -> Option<String> {
    let (name, port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], &authority[at + 1..]),
        None => (authority, ""),
    };
    let fits = if let Some(inner) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        inner.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let port: Option<u16> = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    let usual = if secure { 443 } else { 80 };
    fits.then(|| match port.filter(|port| *port != usual) {
        Some(port) => format!("{}:{port}", name.to_ascii_lowercase()),
        None => name.to_ascii_lowercase(),
    })
}

/// Bytes that an address cannot hold as they are, percent-encoded; what is encoded stays.
fn encoded(text: &str) -> String {
    percent(text, |b| {
        b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^')
    })
}

/// A file's name as parts of a path: also what has a meaning in addresses is encoded.
fn escaped(name: &str) -> String {
    percent(name, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b',' | b'@'))
}

fn percent(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Percent-decoded text; none where it is broken.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let hex = std::str::from_utf8(after.get(..2)?).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(hex, 16).ok()?);
        rest = after.get(2..)?;
    }
    String::from_utf8(out).ok()
}

/// A path with its `.` and `..` steps taken (RFC 3986, 5.2.4); it begins with a slash.
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (i, step) in steps.iter().enumerate() {
        match *step {
            ".." => {
                out.pop();
            }
            "." => {}
            step => out.push(step),
        }
        // A dot at the end leaves a folder.
        if i + 1 == steps.len() && matches!(*step, "." | "..") {
            out.push("");
        }
    }
    format!("/{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn url(text: &str) -> String {
        Address::parse(text).expect(text).to_string()
    }
    fn why(text: &str) -> String {
        Address::parse(text).expect_err(text).what
    }

    #[test]
    fn an_address_names_whom_it_asks_and_the_file_and_leaves_the_fragment_out() {
        let address =
            Address::parse(" https://Host.example:8443/a/b%20c.gguf?download=true#part ").expect("an address");
        assert_eq!(address.to_string(), "https://host.example:8443/a/b%20c.gguf?download=true");
        assert_eq!((address.host(), address.file_name().as_str()), ("host.example:8443", "b c.gguf"));
        assert_eq!(url("HTTP://h.example:80/a b"), "http://h.example/a%20b");
        assert_eq!(url("https://h.example"), "https://h.example/");
    }
    #[test]
    fn other_schemes_passwords_and_what_is_no_address_are_refused_by_name() {
        assert!(why("ftp://host.example/m").contains("http and https"));
        assert!(why("https://me:secret@host.example/m").contains("password"));
        assert!(why("https://me@host.example/m").contains("password"));
        for text in ["https://", "http://[::", "https://a b/c", "http://h:99999/x"] {
            assert!(why(text).contains("not an address"), "{text}");
        }
        for path in ["C:\\m.gguf", "/home/me/m.gguf", "http", "https:/x", "m.gguf"] {
            assert!(!Address::is_meant(path), "{path}");
        }
        assert!(Address::is_meant("HTTPS://h/x"));
    }
    #[test]
    fn the_page_about_a_file_on_hugging_face_becomes_the_file() {
        assert_eq!(
            url("https://huggingface.co/org/repo/blob/main/sub/m.gguf"),
            "https://huggingface.co/org/repo/resolve/main/sub/m.gguf"
        );
        let set = "https://huggingface.co/datasets/org/repo/blob/main/m.gguf";
        assert_eq!(url(set), set.replace("blob", "resolve"));
        assert_eq!(url("https://elsewhere.example/o/r/blob/m"), "https://elsewhere.example/o/r/blob/m");
    }
    #[test]
    fn a_name_holds_no_folder_and_survives_a_broken_escape() {
        let name = |text: &str| Address::parse(text).expect(text).file_name();
        assert_eq!(name("https://h.example/a%2F..%2Fb.gguf"), "b.gguf");
        assert_eq!(name("https://h.example/a%ZZ"), "a%ZZ");
        assert_eq!(name("https://h.example/a%+1"), "a%+1");
        assert_eq!(name("https://h.example/"), "h.example");
    }
    #[test]
    fn what_lies_beside_stays_in_the_folder_and_keeps_the_query() {
        let at = Address::parse("https://h.example/a/b/model.index.json?token=1").expect("an address");
        let beside = |name: &str| at.beside(name).map(|a| a.to_string());
        assert_eq!(beside("x y.bin").as_deref(), Some("https://h.example/a/b/x%20y.bin?token=1"));
        assert_eq!(beside("sub/m?#.bin").as_deref(), Some("https://h.example/a/b/sub/m%3F%23.bin?token=1"));
        for name in ["../x", "/x", "a//b", "", "https://evil.example/x", "a\\b", "./x"] {
            assert_eq!(beside(name), None, "{name}");
        }
    }
    #[test]
    fn a_redirect_leads_where_rfc_3986_says() {
        let at = Address::parse("https://h.example/a/b/c?q").expect("an address");
        let to = |location: &str| at.join(location).expect(location).to_string();
        assert_eq!(to("d"), "https://h.example/a/b/d");
        assert_eq!(to("../d?x"), "https://h.example/a/d?x");
        assert_eq!(to("/e/./f"), "https://h.example/e/f");
        assert_eq!(to("//o.example/g"), "https://o.example/g");
        assert_eq!(to("http://o.example:8080/g#f"), "http://o.example:8080/g");
        assert_eq!(to("?z"), "https://h.example/a/b/c?z");
        assert!(at.join("file:///etc/passwd").is_err());
    }
    #[test]
    fn this_machine_is_told_from_others() {
        for (text, local) in [
            ("http://localhost:1/x", true),
            ("http://127.0.0.1/x", true),
            ("http://[::1]:80/x", true),
            ("http://127.evil.example.org/x", false),
            ("http://localhost.example/x", false),
        ] {
            assert_eq!(Address::parse(text).expect(text).is_local(), local, "{text}");
        }
    }
}
