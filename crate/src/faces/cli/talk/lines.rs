//! Where messages come from: a line editor at a terminal, else the lines of standard input.

use std::io::{BufRead, IsTerminal, Read};

use rustyline::{DefaultEditor, error::ReadlineError};

use crate::fault::{Fault, Result};

/// Bytes of a line; a context holds less.
const LINE_BYTES: u64 = 1 << 20;

const PROMPT: &str = "> ";
/// Behind a line that ends with a backslash.
const MORE: &str = "… ";

/// What came.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C at the editor.
    Interrupted,
    End,
}

/// Lines of a person or of a program.
pub(super) enum Lines {
    Editor(Box<DefaultEditor>),
    Pipe,
}

impl Lines {
    /// An editor where both ends are terminals.
    pub(super) fn open() -> Result<Self> {
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            return Ok(Self::Pipe);
        }
        DefaultEditor::new().map(|editor| Self::Editor(Box::new(editor))).map_err(|e| failed(&e))
    }
    /// Whether a person types here.
    pub(super) fn is_editor(&self) -> bool {
        matches!(self, Self::Editor(_))
    }
    /// The next line; an editor begins with `initial`.
    ///
    /// # Errors
    /// Standard input cannot be read; a line is too long or not UTF-8.
    pub(super) fn next(&mut self, initial: &str) -> Result<Line> {
        match self {
            Self::Editor(editor) => edited(editor, initial),
            Self::Pipe => piped(&mut std::io::stdin().lock()),
        }
    }
}

fn edited(editor: &mut DefaultEditor, initial: &str) -> Result<Line> {
    let (mut whole, mut prompt, mut initial) = (String::new(), PROMPT, initial);
    loop {
        match editor.readline_with_initial(prompt, (initial, "")) {
            Ok(line) => match line.strip_suffix('\\') {
                Some(head) => {
                    whole.push_str(head);
                    whole.push('\n');
                }
                None => {
                    whole.push_str(&line);
                    // A history that is full or refuses repeats loses nothing that matters.
                    let _ = editor.add_history_entry(&whole);
                    return Ok(Line::Text(whole));
                }
            },
            Err(ReadlineError::Interrupted) => return Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => return Ok(Line::End),
            Err(e) => return Err(failed(&e)),
        }
        (prompt, initial) = (MORE, "");
    }
}

fn piped(from: &mut impl BufRead) -> Result<Line> {
    let mut line = Vec::new();
    let n = from
        .take(LINE_BYTES + 1)
        .read_until(b'\n', &mut line)
        .map_err(|e| Fault::source(format!("standard input cannot be read: {e}")))?;
    if n == 0 {
        return Ok(Line::End);
    }
    if n as u64 > LINE_BYTES {
        return Err(Fault::limit(format!("a line of standard input has more than {LINE_BYTES} bytes")));
    }
    let text = String::from_utf8(line).map_err(|e| {
        Fault::caller(format!("a line of standard input is not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
    })?;
    Ok(Line::Text(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn failed(e: &ReadlineError) -> Fault {
    Fault::source(format!("the terminal cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_the_input_and_long_or_broken_ones_are_refused() {
        let mut input = &b"one\r\n\ntwo"[..];
        for want in ["one", "", "two"] {
            assert!(matches!(piped(&mut input), Ok(Line::Text(text)) if text == want), "{want}");
        }
        assert!(matches!(piped(&mut input), Ok(Line::End)));
        let long = vec![b'x'; LINE_BYTES as usize + 2];
        assert!(piped(&mut long.as_slice()).is_err_and(|fault| fault.what.contains("more than 1048576 bytes")));
        assert!(piped(&mut &b"ab\xff\n"[..]).is_err_and(|fault| fault.what.contains("byte 2")));
    }
}
