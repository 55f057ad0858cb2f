//! Conversations to text, by a model's own chat template; built on `minijinja`.
//!
//! Templates are foreign programs. They are run with a bounded number of steps (which also bounds
//! the memory, since bytes are paid for), a bounded recursion, no loaders and no includes, and see
//! nothing but the conversation and a clock reading given by the caller. What comes out is what
//! Python's jinja2 gives with the settings of transformers (`utils/chat_template_utils.py`).
//!
//! Lists that are copied or dropped pay nothing; where there are processes, `render_apart` bounds those too.

mod apart;
mod clock;
mod conversations;
mod data;
mod diff;
mod json;
mod language;
mod lint;
mod llama_cpp;

use minijinja::{Environment, Error, ErrorKind, State, Value, syntax::SyntaxConfig, value::Kwargs};

pub use self::{
    apart::{Carrier, answer, render_apart},
    conversations::{Agreement, Around, Tried, compare_all, try_all},
    data::Data,
    diff::{Change, Line, Side, diff},
    lint::{Finding, lint},
};
use crate::fault::{Blame, Fault, Result};

/// Bytes of a template; the longest known ones have about 30,000.
const TEMPLATE_BYTES: usize = 1 << 20;
/// Steps of a template, and 64-byte pieces of what it makes.
const FUEL: u64 = 5_000_000;
/// Calls and blocks inside each other.
const RECURSION: usize = 120;
/// Bytes of a rendered conversation.
const OUTPUT_BYTES: usize = 16 << 20;

/// A template and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// "default", "tool_use", ...
    pub name: String,
    /// The text.
    pub source: String,
    /// The metadata key or the file that holds it.
    pub from: String,
}

/// What a template is given.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// Objects with `role` and `content`.
    pub messages: Data,
    /// JSON schemas of functions, or null.
    pub tools: Data,
    /// Whether the text ends where the model is to speak.
    pub add_generation_prompt: bool,
    /// Text of BOS.
    pub bos: Option<String>,
    /// Text of EOS.
    pub eos: Option<String>,
    /// Other variables that templates know, such as `enable_thinking`.
    pub variables: Vec<(String, Data)>,
    /// Seconds since 1970, UTC, for `strftime_now`; none where a template may not know the time.
    pub now: Option<i64>,
    /// Names that are left undefined, where transformers passes null or false.
    pub absent: Vec<&'static str>,
}

/// Why a template wrote nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The template's line, from 1, where it is known.
    pub line: Option<usize>,
    /// What happened.
    pub fault: Fault,
}

/// Names that every template is given, or that the language brings along.
const GIVEN: [&str; 8] = [
    "messages",
    "tools",
    "documents",
    "add_generation_prompt",
    "bos_token",
    "eos_token",
    "raise_exception",
    "strftime_now",
];

impl Template {
    /// Names of further variables that the template asks for, such as `enable_thinking`; none of a template that is not valid.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        if self.source.len() > TEMPLATE_BYTES {
            return Vec::new();
        }
        let source = without_generation_tags(&self.source);
        let names = environment(None).and_then(|environment| {
            let template = environment.template_from_str(&source)?;
            Ok(template.undeclared_variables(false))
        });
        let is_own = |name: &String| !GIVEN.contains(&name.as_str()) && !is_global(name);
        let mut names: Vec<String> = names.unwrap_or_default().into_iter().filter(is_own).collect();
        names.sort_unstable();
        names
    }
    /// The conversation as this template writes it.
    ///
    /// # Errors
    /// The template is not valid, raises an error of its own, or exceeds a limit; the fault names its line.
    pub fn render(&self, conversation: &Conversation) -> Result<String> {
        self.write(conversation).map_err(|failure| failure.fault)
    }
    /// As [`Template::render`], with the line of a failure as a number.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn write(&self, conversation: &Conversation) -> Result<String, Failure> {
        if let Some(answer) = apart::write(self, conversation) {
            return answer;
        }
        self.write_here(conversation)
    }

    /// As [`Template::write`], in this process.
    fn write_here(&self, conversation: &Conversation) -> Result<String, Failure> {
        let failure = |line, fault| Failure { line, fault: self.told(fault) };
        if self.source.len() > TEMPLATE_BYTES {
            let what = format!("{} bytes; templates of at most {TEMPLATE_BYTES} bytes are run", self.source.len());
            return Err(failure(None, Fault::limit(what)));
        }
        if let Some(line) = language::go_template(&self.source) {
            let what =
                format!("line {line}: this is a Go template, as Ollama writes them; only Jinja templates are run");
            return Err(failure(Some(line), Fault::unsupported(what)));
        }
        let source = without_generation_tags(&self.source);
        let environment = environment(conversation.now)
            .map_err(|e| failure(None, Fault::bug(format!("the template engine: {e}"))))?;
        let text = environment
            .template_from_named_str("chat_template", &source)
            .and_then(|template| template.render(variables(conversation)))
            .map_err(|e| failure(e.line(), fault(&e)))?;
        if text.len() > OUTPUT_BYTES {
            let what = format!("the template writes {} bytes; at most {OUTPUT_BYTES} are taken", text.len());
            return Err(failure(None, Fault::limit(what)));
        }
        Ok(text)
    }

    fn told(&self, mut fault: Fault) -> Fault {
        fault.what = format!("chat template {:?} ({}): {}", self.name, self.from, fault.what);
        fault
    }
}

/// Functions that jinja2 itself brings along.
fn is_global(name: &str) -> bool {
    matches!(
        name,
        "range" | "dict" | "namespace" | "lipsum" | "cycler" | "joiner" | "debug" | "caller" | "varargs" | "kwargs"
    )
}

fn variables(conversation: &Conversation) -> Value {
    let mut all: Vec<(String, Value)> = vec![
        ("messages".into(), conversation.messages.0.clone()),
        ("add_generation_prompt".into(), Value::from(conversation.add_generation_prompt)),
        // transformers always passes these, as None where there are none.
        ("tools".into(), conversation.tools.0.clone()),
        ("documents".into(), Value::from(())),
    ];
    for (name, text) in [("bos_token", &conversation.bos), ("eos_token", &conversation.eos)] {
        all.extend(text.as_ref().map(|text| (name.to_owned(), Value::from(text.as_str()))));
    }
    all.retain(|(name, _)| !conversation.absent.contains(&name.as_str()));
    all.extend(conversation.variables.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    Value::from_pairs(all)
}

fn environment(now: Option<i64>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", tojson);
    language::add_to(&mut environment);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("the template says: {message}")))
    });
    environment.add_function("strftime_now", move |format: String| -> Result<String, Error> {
        let now = now.ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, "the template asks for the time, which it is not given")
        })?;
        clock::strftime(now, &format).map_err(|directive| {
            Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {directive} is not known"))
        })
    });
    Ok(environment)
}

/// Python's methods, as `minijinja-contrib` has them, but for `title`, which there makes letters large after white space only.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match (name, value.as_str()) {
        ("title", Some(text)) if args.is_empty() => Ok(Value::from(title(text))),
        ("format", Some(text)) => {
            language::check_widths(text)?;
            minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// Large letters after what is no letter, small ones after letters.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        in_word = c.is_alphabetic();
    }
    out
}

/// `json.dumps` with the defaults of transformers' own `tojson`.
fn tojson(state: &State, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let style = json::Style {
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent: options.get::<Option<usize>>("indent")?,
        sort: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        separators: options.get::<Option<Vec<String>>>("separators")?,
    };
    options.assert_all_used()?;
    let pay = |bytes: usize| state.consume_fuel((bytes / 64) as u64);
    let text = json::dump(value, &style, &pay)?;
    Ok(Value::from(text))
}

/// `{% generation %}` marks what the model itself said; it writes nothing, so a block that does nothing takes its place.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find("%}") else { break };
        let (tag, after) = rest.split_at(end + 2);
        let inner = tag[2..tag.len() - 2].trim_matches(['-', '+']).trim();
        match inner {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn fault(error: &Error) -> Fault {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let what = match error.kind() {
        ErrorKind::OutOfFuel => {
            return Fault::limit(format!("{line}it takes more than {FUEL} steps or 64-byte pieces of memory"));
        }
        ErrorKind::InvalidOperation if error.detail().is_some_and(|d| d.contains("use % operator")) => {
            "a text is formatted with %, which is not supported here; the filter `format` does the same".to_owned()
        }
        kind => match error.detail() {
            Some(detail) if kind == ErrorKind::InvalidOperation => detail.to_owned(),
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    Fault::new(Blame::File, format!("{line}{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> Template {
        Template { name: "default".into(), source: source.into(), from: "test".into() }
    }

    fn hello() -> Conversation {
        Conversation { messages: Data::said("Hello"), ..Conversation::default() }
    }

    #[test]
    fn every_error_names_its_line() {
        for (source, part) in [
            ("a\n{% if %}", "line 2"),
            ("a\nb\n{{ raise_exception('no tools') }}", "line 3: the template says: no tools"),
            ("{% for m in messages %}\n{{ m.content.nothing.here }}\n{% endfor %}", "line 2"),
            ("{{ messages | nosuchfilter }}", "line 1"),
            ("\n{% include 'other' %}", "line 2"),
            ("\n{{ strftime_now('%Y') }}", "the time, which it is not given"),
        ] {
            let Failure { line, fault } = template(source).write(&hello()).unwrap_err();
            assert!(fault.what.contains(part), "{source}: {fault}");
            assert_eq!(fault.blame, Blame::File, "{fault}");
            assert!(fault.what.contains(&format!("line {}: ", line.unwrap())), "{source}: {fault}");
        }
    }

    #[test]
    fn variables_are_those_that_no_one_gives_unasked() {
        let source = "{%- if enable_thinking is defined and enable_thinking %}{% set x = range(3) %}{{ x }}{% endif %}\
            {% for m in messages %}{{ m.content ~ date_string ~ bos_token }}{% endfor %}{% generation %}{% endgeneration %}";
        assert_eq!(template(source).variables(), ["date_string", "enable_thinking"]);
        assert_eq!(template("{% if %}").variables(), Vec::<String>::new());
    }

    #[test]
    fn hostile_templates_end_in_a_limit() {
        for source in [
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}",
            "{% set n = namespace(x='aaaaaaaa') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "{% set x = 'a' * 10000000 %}{% for a in range(1000) %}{{ x }}{% endfor %}",
            "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
            "{% set n = namespace(x=[1]) %}{% for a in range(25) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | tojson }}",
        ] {
            assert!(template(source).render(&hello()).is_err(), "{source}");
        }
        let deep = "(".repeat(20_000);
        assert!(template(&format!("{{{{ {deep} }}}}")).render(&hello()).is_err());
        assert!(template(&"x".repeat(TEMPLATE_BYTES + 1)).render(&hello()).is_err());
    }

    #[test]
    fn no_tools_are_not_iterable_and_loops_know_their_neighbours() {
        let source = "{% if tools is iterable and tools | length > 0 %}tools{% endif %}\
            {% for m in [1, 2] %}{{ loop.nextitem is defined }},{{ loop.previtem is defined }};{% endfor %}";
        assert_eq!(template(source).render(&hello()).unwrap(), "True,False;False,True;");
        let kinds = "{{ 'a' is iterable }} {{ [] is iterable }} {{ {} is iterable }} {{ none is iterable }} {{ 1 is iterable }}";
        assert_eq!(template(kinds).render(&hello()).unwrap(), "True True True False False");
    }

    #[test]
    fn generation_tags_write_nothing_and_keep_their_white_space_control() {
        let source = "a\n{%- generation -%}\n b {% endgeneration %}\nc";
        assert_eq!(template(source).render(&hello()).unwrap(), "ab c");
    }
}
