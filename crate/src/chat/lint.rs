//! What to know about a template before trusting it.

use crate::model::{Note, Severity};

use super::Template;

/// Characters that change how text looks but not what it says, or that no one sees.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{B}'..='\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{AD}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
        | '\u{E0000}'..='\u{E007F}')
}

fn line_of(source: &str, at: usize) -> usize {
    source.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// A finding about a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub note: Note,
    /// The template's lines, from 1; none where it is about the whole.
    pub lines: Vec<usize>,
}

/// Findings about a template. `adds_bos` says whether the tokenizer puts BOS before every text.
pub fn lint(template: &Template, adds_bos: bool) -> Vec<Finding> {
    let source = template.source.as_str();
    let mut found = Vec::new();
    let mut tell = |lines: Vec<usize>, note: Note| found.push(Finding { note, lines });
    if !source.contains("add_generation_prompt") {
        tell(
            Vec::new(),
            Note::new(Severity::Warning, "The template does not know add_generation_prompt.")
                .why("The text may end before the mark after which the model speaks, or always with it."),
        );
    }
    if adds_bos && source.contains("bos_token") {
        let lines = distinct(source.match_indices("bos_token").map(|(at, _)| line_of(source, at)));
        tell(
            lines,
            Note::new(
                Severity::Info,
                "The template writes BOS, and the tokenizer adds one too: the text is encoded without adding.",
            )
            .why("A program that adds both gives the model two, which changes its output."),
        );
    }
    let hidden: Vec<(usize, char)> = source.char_indices().filter(|(_, c)| is_hidden(*c)).collect();
    if let Some((at, c)) = hidden.first() {
        tell(
            distinct(hidden.iter().map(|(at, _)| line_of(source, *at)).take(64)),
            Note::new(
                Severity::Warning,
                format!(
                    "The template holds {} control, bidi or invisible characters, the first (U+{:04X}) in line {}.",
                    hidden.len(),
                    u32::from(*c),
                    line_of(source, *at)
                ),
            )
            .why("They can hide text from who reads the template, and the model sees them."),
        );
    }
    for scheme in ["http://", "https://"] {
        for (at, _) in source.match_indices(scheme).take(8) {
            let address: String = source[at..]
                .chars()
                .take_while(|c| !c.is_whitespace() && !"'\"`){}<>\\".contains(*c))
                .take(100)
                .collect();
            let line = line_of(source, at);
            let what = format!("The template writes the address {address} in line {line}.");
            tell(vec![line], Note::new(Severity::Info, what));
        }
    }
    let mut asked = Vec::new();
    for (start, _) in source.match_indices("{%") {
        let tag = source[start..].split("%}").next().unwrap_or_default();
        let words = tag.trim_start_matches("{%").trim_start_matches(['-', '+']).trim_start();
        let is_condition = words.starts_with("if ") || words.starts_with("elif ");
        let has_literal = tag.contains(['\'', '"']);
        if is_condition
            && has_literal
            && tag.contains("content")
            && (tag.contains(" in ") || tag.contains("==") || tag.contains("with("))
        {
            asked.push(line_of(source, start));
        }
    }
    if !asked.is_empty() {
        let lines = distinct(asked);
        let words: Vec<String> = lines.iter().map(usize::to_string).collect();
        tell(
            lines,
            Note::new(Severity::Info, format!("The template decides by the text of messages, in line {}.", words.join(", ")))
                .why("Tool calls and thoughts are often found so; a template that adds text for certain words is not to be trusted."),
        );
    }
    found
}

/// Line numbers that come in order, each once.
fn distinct(lines: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut lines: Vec<usize> = lines.into_iter().collect();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str, adds_bos: bool) -> Vec<String> {
        let template = Template { name: "default".into(), source: source.into(), from: "test".into() };
        let found = lint(&template, adds_bos);
        for finding in &found {
            for line in &finding.lines {
                assert!(
                    finding.note.what.contains("adds one too") || finding.note.what.contains(&format!("line {line}"))
                );
            }
        }
        found.into_iter().map(|finding| finding.note.what).collect()
    }

    #[test]
    fn each_finding_is_told_with_its_line() {
        let clean =
            "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}";
        assert_eq!(said(clean, true), Vec::<String>::new());
        let odd = "{{ bos_token }}\n{% if 'bank' in message.content %}\u{202E}see https://evil.example/x{% endif %}";
        let said = said(odd, true);
        for part in [
            "add_generation_prompt",
            "adds one too",
            "U+202E) in line 2",
            "https://evil.example/x in line 2",
            "text of messages, in line 2",
        ] {
            assert!(said.iter().any(|what| what.contains(part)), "{part}: {said:?}");
        }
    }
}
