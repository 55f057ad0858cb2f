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

fn told(result: Result<Vec<u8>, miniz_oxide::inflate::DecompressError>) -> Result<Vec<u8>, Broken> {
    result.map_err(|e| Broken { before: e.output, what: format!("{:?}", e.status) })
}

/// A bare deflate stream of exactly `size` unpacked bytes; `None` where it is not that.
#[cfg(feature = "onnx")]
pub(crate) fn exactly(raw: &[u8], size: usize) -> Option<Vec<u8>> {
    deflated(raw, size).ok().filter(|bytes| bytes.len() == size)
}
