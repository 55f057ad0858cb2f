//! Texts from arguments, from a file and from standard input.

use std::{fs::File, io::Read};

use crate::fault::{Fault, Result};

use super::{
    args::TextArgs,
    terminal::{self, DIM, plain},
};

/// Texts that may share a step.
pub(super) const TOGETHER: u32 = 16;
/// The largest file of texts: about a million lines.
const BYTES_MOST: u64 = 256 << 20;

/// The texts: those of the arguments ("-": the lines of standard input), then the lines of the file.
///
/// # Errors
/// A file cannot be read, is too large or is not UTF-8; there is no text at all.
pub(super) fn read(args: &TextArgs, may_be_none: bool) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for text in &args.texts {
        match text.as_str() {
            "-" => texts.extend(lines(&mut std::io::stdin(), "standard input")?),
            text => texts.push(text.to_owned()),
        }
    }
    if let Some(path) = &args.file {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|e| Fault::source(format!("cannot be opened: {e}")).in_file(&name))?;
        texts.extend(lines(&mut file, &name)?);
    }
    if texts.is_empty() && !may_be_none {
        return Err(Fault::caller(
            "no text was given: write texts after the model, --file FILE, or - for standard input",
        ));
    }
    Ok(texts)
}

/// The lines of a source that are not empty.
fn lines(from: &mut dyn Read, name: &str) -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    let read = from.take(BYTES_MOST + 1).read_to_end(&mut bytes);
    read.map_err(|e| Fault::source(format!("cannot be read: {e}")).in_file(name))?;
    if bytes.len() as u64 > BYTES_MOST {
        return Err(
            Fault::limit(format!("more than {BYTES_MOST} bytes of texts: give them in several files")).in_file(name)
        );
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Fault::caller(format!("UTF-8 text expected, byte {at} begins none")).in_file(name)
    })?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// Notes of a report.
pub(super) fn notes(notes: &[String]) {
    for note in notes {
        terminal::err(&format!("{DIM}{}{DIM:#}", plain(note)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_text_and_empty_ones_are_none() {
        let mut bytes: &[u8] = b"one\r\n\n  \ntwo words\nthree";
        assert_eq!(lines(&mut bytes, "x").unwrap(), ["one", "two words", "three"]);
        let mut bytes: &[u8] = b"ab\xff";
        let fault = lines(&mut bytes, "x").unwrap_err();
        assert!(fault.what.contains("byte 2"), "{fault}");
    }
}
