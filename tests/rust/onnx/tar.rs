//! The files of an archive packed by xz.
#![allow(unreachable_pub, reason = "a module of one test")]

/// Path and bytes of each file of a `.tar.xz`.
pub fn unpacked(packed: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    lzma_rs::xz_decompress(&mut &*packed, &mut bytes).expect("the archive unpacks");
    let mut out = Vec::new();
    let mut at = 0;
    let mut long = None;
    while let Some(head) = bytes.get(at..at + 512).filter(|h| h[0] != 0) {
        let text = |from: usize, to: usize| {
            let cell = &head[from..to];
            let end = cell.iter().position(|b| *b == 0).unwrap_or(cell.len());
            String::from_utf8_lossy(&cell[..end]).into_owned()
        };
        let size = usize::from_str_radix(text(124, 136).trim(), 8).expect("a size in octal digits");
        let body = bytes.get(at + 512..at + 512 + size).expect("the archive is whole").to_vec();
        at += 512 + size.div_ceil(512) * 512;
        match head[156] {
            // GNU's long name of the next file.
            b'L' => long = Some(String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned()),
            // POSIX: records of a length, a space, a key and its value.
            b'x' => {
                let text = String::from_utf8_lossy(&body).into_owned();
                long =
                    text.lines().find_map(|line| line.split_once(" path=")).map(|(_, path)| path.to_owned()).or(long);
            }
            b'0' | 0 => {
                let prefix = text(345, 500);
                let plain = if prefix.is_empty() { text(0, 100) } else { format!("{prefix}/{}", text(0, 100)) };
                let path = long.take().unwrap_or(plain);
                out.push((path.trim_start_matches("./").to_owned(), body));
            }
            _ => {}
        }
    }
    out
}
