//! Deflate, with and without zlib's frame; never more bytes than were asked for.

/// What could be unpacked before something was wrong, and what that was.
pub(in crate::formats) struct Broken {
    pub(in crate::formats) before: Vec<u8>,
    pub(in crate::formats) what: String,
}

/// A bare deflate stream of at most `most` unpacked bytes.
pub(in crate::formats) fn deflated(raw: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    told(miniz_oxide::inflate::decompress_to_vec_with_limit(raw, most))
}

/// A deflate stream in zlib's frame.
pub(in crate::formats) fn zlib(raw: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    told(miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(raw, most))
}

/// A deflate stream in gzip's frame (RFC 1952); its checksum is not compared.
pub(in crate::formats) fn gzip(raw: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    let start = gzip_start(raw).and_then(|at| raw.get(at..));
    start.map_or_else(|| Err(Broken { before: Vec::new(), what: "no gzip header".into() }), |raw| deflated(raw, most))
}

/// Where the deflate stream of a gzip file begins.
fn gzip_start(head: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = head else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        let [low, high] = *head.get(at..at + 2)? else { return None };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    // The file's name and a comment, each ended by a zero byte; then a checksum.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += head.get(at..)?.iter().position(|b| *b == 0)? + 1;
        }
    }
    Some(at + if flags & 2 != 0 { 2 } else { 0 })
}

fn told(result: Result<Vec<u8>, miniz_oxide::inflate::DecompressError>) -> Result<Vec<u8>, Broken> {
    result.map_err(|e| Broken { before: e.output, what: format!("{:?}", e.status) })
}

/// A bare deflate stream of exactly `size` unpacked bytes; `None` where it is not that.
#[cfg(feature = "onnx")]
pub(crate) fn exactly(raw: &[u8], size: usize) -> Option<Vec<u8>> {
    deflated(raw, size).ok().filter(|bytes| bytes.len() == size)
}
