//! What jinja2 has and `minijinja` has not, and templates that are not Jinja at all.

use minijinja::{Environment, Error, ErrorKind, Value};

/// The largest width of a formatted value: what a table needs, and no more than is quickly written.
const WIDTH: usize = 10_000;

/// Filters and tests of jinja2; those that make HTML (`urlize`, `xmlattr`) or chance (`random`) stay unknown, and are named by the error.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    use minijinja_contrib::filters;
    environment.add_filter("center", center);
    environment.add_filter("filesizeformat", filters::filesizeformat);
    environment.add_filter("forceescape", minijinja::filters::escape);
    environment.add_filter("striptags", filters::striptags);
    environment.add_filter("truncate", filters::truncate);
    environment.add_filter("wordcount", filters::wordcount);
    environment.add_filter("wordwrap", filters::wordwrap);
    // Python's None is none, and templates ask `tools is iterable` to find out whether there are any.
    environment
        .add_test("iterable", |value: &Value| !value.is_none() && (value.is_undefined() || value.try_iter().is_ok()));
    environment.add_test("callable", |value: &Value| {
        // Functions and macros are objects without items; nothing else that a template holds is.
        value.kind() == minijinja::value::ValueKind::Plain && value.as_object().is_some()
    });
}

/// jinja2's `center`: spaces on both sides up to a width of 80; of an odd number one more where Python's `str.center` puts it.
fn center(text: String, width: Option<usize>) -> Result<String, Error> {
    let (width, n) = (width.unwrap_or(80), text.chars().count());
    if width > WIDTH {
        return Err(too_wide(width));
    }
    let Some(pad) = width.checked_sub(n).filter(|pad| *pad > 0) else { return Ok(text) };
    let left = pad / 2 + (pad & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(pad - left)))
}

fn too_wide(width: usize) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a width of {width}; values are formatted to at most {WIDTH}"))
}

/// Refuses widths in a format string, of `format` or of `%`, that are only there to fill memory.
pub(super) fn check_widths(format: &str) -> Result<(), Error> {
    for digits in format.split(|c: char| !c.is_ascii_digit()).filter(|d| d.len() > 4) {
        let width = digits.parse().unwrap_or(usize::MAX);
        if width > WIDTH {
            return Err(too_wide(width));
        }
    }
    Ok(())
}

/// The line, from 1, of what only Go's templates write: `{{ .Field }}`, `{{ range ... }}`, `{{ if ... }}`, `{{ end }}`, `{{ $name }}`.
pub(super) fn go_template(source: &str) -> Option<usize> {
    // `end` alone may be a variable of Jinja, whose blocks Go does not have.
    let has_blocks = source.contains("{%");
    let mut from = 0;
    while let Some(at) = source[from..].find("{{").map(|at| from + at) {
        let inner = source[at + 2..].trim_start_matches('-').trim_start();
        let word: &str = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let after = inner[word.len()..].trim_start();
        let names_a_field = inner.starts_with('.') && inner[1..].starts_with(|c: char| c.is_ascii_uppercase());
        // In Jinja a name is followed by an operator, a filter or the end, never by another name, a field or a text.
        let is_spaced = inner[word.len()..].starts_with(' ');
        let is_keyword = matches!(word, "range" | "if" | "with" | "template" | "block" | "define")
            && is_spaced
            && after.starts_with(|c: char| matches!(c, '.' | '$' | '"') || c.is_ascii_alphabetic())
            && !["is ", "in ", "not ", "and ", "or ", "if "].iter().any(|operator| after.starts_with(operator));
        let is_closed = after.starts_with("}}") || after.starts_with("-}}");
        let is_end = !has_blocks && matches!(word, "end" | "else") && is_closed;
        let is_variable = inner.starts_with('$');
        if names_a_field || is_keyword || is_end || is_variable {
            return Some(source[..at].matches('\n').count() + 1);
        }
        from = at + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_templates_are_told_from_jinja_by_what_only_they_write() {
        for (source, line) in [
            ("{{- if .System }}{{ .System }}{{ end }}", Some(1)),
            ("a\n{{ .Prompt }}", Some(2)),
            ("{{ range $i, $_ := .Messages }}", Some(1)),
            ("x\n\n{{- $last := eq 1 2 }}", Some(3)),
            ("{{ template \"chat\" . }}", Some(1)),
            ("{{ if eq .Role \"user\" }}", Some(1)),
            ("{{- else }}", Some(1)),
            ("{{ messages }}{% if x %}{{ x.end }}{% endif %}", None),
            ("{{ end_of_turn }}{{ range(3) }}{{ '.x' }}", None),
            ("{{ end }}", Some(1)),
            ("{% if end %}{{ end }}{% endif %}", None),
            ("{{ ending }}{{ ' $x' }}{{ with_x }}{{ (1.5) }}{{ .5 }}", None),
            ("{{ range(10) | list }}{{ if_x }}{{ block }}", None),
        ] {
            assert_eq!(go_template(source), line, "{source}");
        }
    }

    #[test]
    fn center_puts_the_odd_space_where_python_does() {
        for (text, width, want) in [("ab", 5, "  ab "), ("a", 4, " a  "), ("abc", 6, " abc  "), ("abcd", 3, "abcd")] {
            assert_eq!(center(text.into(), Some(width)).unwrap(), want);
        }
        assert!(center("a".into(), Some(1_000_000_000)).is_err());
    }

    #[test]
    fn widths_that_fill_memory_are_refused() {
        assert!(check_widths("{:>80} and {0:1000} %5d").is_ok());
        for hostile in ["{:1000000000}", "%99999d", "{:>99999999999999999999999}"] {
            assert!(check_widths(hostile).unwrap_err().to_string().contains("10000"), "{hostile}");
        }
    }
}
