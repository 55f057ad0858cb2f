//! A set of conversations in which templates are known to differ, and what becomes of each under two ways of rendering.

use super::{
    Conversation, Data, Failure, Template,
    llama_cpp::{LlamaCpp, own_handler},
};
use crate::fault::{Blame, Fault, Result};

/// A conversation of the set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// What it tries.
    pub name: &'static str,
    messages: &'static str,
    tools: Option<&'static str>,
    add_generation_prompt: bool,
    enable_thinking: Option<bool>,
}

/// A call and its result, as clients write them: ids of nine letters, since some templates ask for just that.
const CALL: &str = r#"{"role":"assistant","content":"","tool_calls":[{"id":"call00001","type":"function","function":{"name":"weather","arguments":{"city":"Oslo","days":2}}}]},{"role":"tool","tool_call_id":"call00001","name":"weather","content":"{\"degrees\": -3}"}"#;
const TOOLS: &str = r#"[{"type":"function","function":{"name":"weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string","description":"Its name"},"days":{"type":"integer"}},"required":["city"]}}}]"#;

const PLAIN: Sample = Sample {
    name: "a question",
    messages: r#"[{"role":"user","content":"Who are you?"}]"#,
    tools: None,
    add_generation_prompt: true,
    enable_thinking: None,
};

/// The set: each conversation tries one habit of programs or templates.
pub(super) const SAMPLES: [Sample; 10] = [
    PLAIN,
    Sample {
        name: "a system prompt",
        messages: r#"[{"role":"system","content":"Be brief."},{"role":"user","content":" Hello "}]"#,
        ..PLAIN
    },
    Sample {
        name: "several turns",
        messages: r#"[{"role":"user","content":"One"},{"role":"assistant","content":"1"},{"role":"user","content":"Two"}]"#,
        ..PLAIN
    },
    Sample {
        name: "a finished answer",
        messages: r#"[{"role":"user","content":"One"},{"role":"assistant","content":"1"}]"#,
        add_generation_prompt: false,
        ..PLAIN
    },
    Sample { name: "tools", tools: Some(TOOLS), ..PLAIN },
    Sample {
        name: "a tool call and its result",
        messages: "[{\"role\":\"user\",\"content\":\"Weather?\"},CALL]",
        tools: Some(TOOLS),
        ..PLAIN
    },
    Sample {
        name: "no content beside a tool call",
        messages: "[{\"role\":\"user\",\"content\":\"Weather?\"},NULL_CALL]",
        tools: Some(TOOLS),
        ..PLAIN
    },
    Sample {
        name: "content in parts",
        messages: r#"[{"role":"user","content":[{"type":"text","text":"One."},{"type":"text","text":"Two."}]}]"#,
        ..PLAIN
    },
    Sample { name: "thinking on", enable_thinking: Some(true), ..PLAIN },
    Sample { name: "thinking off", enable_thinking: Some(false), ..PLAIN },
];

impl Sample {
    /// The conversation; BOS, EOS and the time are the caller's to add.
    ///
    /// # Errors
    /// The set itself is wrong.
    pub(super) fn conversation(&self) -> Result<Conversation> {
        let call = self.messages.replace("NULL_CALL", &CALL.replacen(r#""content":"""#, r#""content":null"#, 1));
        let thinking = |on: bool| Ok(("enable_thinking".to_owned(), Data::parse(if on { "true" } else { "false" })?));
        Ok(Conversation {
            messages: Data::parse(&call.replace("CALL", CALL))?,
            tools: self.tools.map_or(Ok(Data::default()), Data::parse)?,
            add_generation_prompt: self.add_generation_prompt,
            variables: self.enable_thinking.map(thinking).into_iter().collect::<Result<_>>()?,
            ..Conversation::default()
        })
    }
}

/// What two ways of rendering make of one conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Agreement {
    /// The same text.
    Same,
    /// Two texts; the first byte at which they differ, and the texts from the start of that line on.
    Differs {
        /// Bytes that both begin with.
        at: usize,
        /// The first one's line with the difference.
        left: String,
        /// The second one's.
        right: String,
    },
    /// Only the first writes a text; why the second does not.
    LeftOnly(Failure),
    /// Only the second writes a text; why the first does not.
    RightOnly(Failure),
    /// Neither writes a text; why the first does not.
    Neither(Failure),
    /// Not known, and why.
    Unknown(String),
}

/// Bytes of a line that a difference shows.
const SHOWN: usize = 160;

impl Agreement {
    /// Compares two renderings.
    pub fn of(left: Result<String, Failure>, right: Result<String, Failure>) -> Self {
        match (left, right) {
            (Ok(left), Ok(right)) if left == right => Self::Same,
            (Ok(left), Ok(right)) => {
                let common = left.bytes().zip(right.bytes()).take_while(|(a, b)| a == b).count();
                let at =
                    (0..=common).rev().find(|i| left.is_char_boundary(*i) && right.is_char_boundary(*i)).unwrap_or(0);
                Self::Differs { at, left: line_around(&left, at), right: line_around(&right, at) }
            }
            (Ok(_), Err(why)) => Self::LeftOnly(why),
            (Err(why), Ok(_)) => Self::RightOnly(why),
            (Err(why), Err(_)) => Self::Neither(why),
        }
    }
    /// Whether a model would read something else, as far as is known.
    pub fn differs(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::LeftOnly(_) | Self::RightOnly(_))
    }
}

/// The line that holds byte `at`, cut to what is readable.
fn line_around(text: &str, at: usize) -> String {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let end = text[at..].find('\n').map_or(text.len(), |i| at + i + 1);
    let near = (start..=at).find(|i| text.is_char_boundary(*i) && at - i <= SHOWN / 2).unwrap_or(at);
    text[near..end].chars().take(SHOWN).collect()
}

/// One conversation of the set, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What it tries.
    pub name: &'static str,
    /// What the template writes as transformers gives it the conversation.
    pub text: Result<String, Failure>,
    /// The same beside what it writes as llama.cpp's runtime does.
    pub llama_cpp: Agreement,
}

/// What a tokenizer adds, and the time: what a conversation of the set lacks.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Text of BOS.
    pub bos: Option<String>,
    /// Text of EOS.
    pub eos: Option<String>,
    /// Whether the tokenizer puts BOS before every text.
    pub adds_bos: bool,
    /// Seconds since 1970, UTC.
    pub now: Option<i64>,
}

impl Around {
    fn give(&self, mut conversation: Conversation) -> Conversation {
        conversation.bos.clone_from(&self.bos);
        conversation.eos.clone_from(&self.eos);
        conversation.now = self.now;
        conversation
    }
}

/// Renders the whole set. A template that exceeds a limit is not tried again: the rest of the set is left out.
///
/// # Errors
/// The set itself is wrong.
pub fn try_all(template: &Template, around: &Around) -> Result<Vec<Tried>> {
    let own = own_handler(template);
    let llama_cpp = LlamaCpp::of(template);
    let mut all = Vec::with_capacity(SAMPLES.len());
    for sample in &SAMPLES {
        let conversation = around.give(sample.conversation()?);
        let text = template.write(&conversation);
        let exceeds = |f: &Failure| f.fault.blame == Blame::Limit;
        let is_over = text.as_ref().err().is_some_and(exceeds);
        let llama_cpp = match (own, &llama_cpp) {
            (Some(name), _) => Agreement::Unknown(format!("llama.cpp renders {name} by code of its own")),
            (None, Err(over)) => Agreement::Unknown(over.fault.to_string()),
            (None, _) if is_over => Agreement::Unknown("the template exceeds a limit".into()),
            (None, Ok(habits)) => Agreement::of(text.clone(), habits.write(template, &conversation, around.adds_bos)),
        };
        all.push(Tried { name: sample.name, text, llama_cpp });
        if is_over {
            break;
        }
    }
    Ok(all)
}

/// The set by two templates, each with its own tokenizer's texts: name and outcome of each conversation.
///
/// # Errors
/// The set itself is wrong.
pub fn compare_all(left: (&Template, &Around), right: (&Template, &Around)) -> Result<Vec<(&'static str, Agreement)>> {
    let mut all = Vec::with_capacity(SAMPLES.len());
    for sample in &SAMPLES {
        let conversation = sample.conversation()?;
        let write = |(template, around): (&Template, &Around)| template.write(&around.give(conversation.clone()));
        all.push((sample.name, Agreement::of(write(left), write(right))));
    }
    Ok(all)
}

/// A fault that a rendering other than transformers' would raise.
pub(super) fn refused(what: impl Into<String>) -> Failure {
    Failure { line: None, fault: Fault::new(Blame::File, what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> Template {
        Template { name: "default".into(), source: source.into(), from: "test".into() }
    }

    fn outcome(source: &str, name: &str, around: &Around) -> Agreement {
        let all = try_all(&template(source), around).unwrap();
        all.into_iter().find(|tried| tried.name == name).expect("the set has it").llama_cpp
    }

    #[test]
    fn parts_are_joined_for_a_template_that_knows_only_texts() {
        let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
        let around = Around::default();
        assert_eq!(outcome(source, "a question", &around), Agreement::Same);
        let Agreement::Differs { left, right, .. } = outcome(source, "content in parts", &around) else {
            panic!("texts that differ expected")
        };
        assert!(left.contains("'type': 'text'"), "{left}");
        assert_eq!(right, "user: One.\n");
    }

    #[test]
    fn what_differs_is_what_programs_give_and_leave_out() {
        let around = Around { now: Some(0), ..Around::default() };
        let dated = "{{ date_string if date_string is defined else '26 Jul 2024' }}";
        assert!(
            matches!(outcome(dated, "a question", &around), Agreement::Differs { at: 0, right, .. } if right == "01 Jan 1970")
        );
        let thinks = "{{ enable_thinking is defined }}";
        assert!(outcome(thinks, "a question", &around).differs());
        assert_eq!(outcome(thinks, "thinking off", &around), Agreement::Same);
        assert!(outcome("{{ tools is defined }}", "a question", &around).differs());
        assert_eq!(outcome("{{ tools | length }}", "tools", &around), Agreement::Same);
        let system = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}";
        assert!(matches!(outcome(system, "a system prompt", &around), Agreement::RightOnly(_)));
    }

    #[test]
    fn a_bos_that_the_tokenizer_adds_counts_once() {
        let around = Around { bos: Some("<s>".into()), adds_bos: true, ..Around::default() };
        assert_eq!(outcome("{{ bos_token }}{{ messages[0].content }}", "a question", &around), Agreement::Same);
        let Agreement::Differs { at: 0, right, .. } = outcome("{{ messages[0].content }}", "a question", &around)
        else {
            panic!("llama.cpp puts BOS before it")
        };
        assert_eq!(right, "<s>Who are you?");
    }

    #[test]
    fn a_template_beyond_a_limit_ends_the_set() {
        let hostile = "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}";
        let all = try_all(&template(hostile), &Around::default()).unwrap();
        assert_eq!(all.len(), 1);
        assert!(matches!(all[0].llama_cpp, Agreement::Unknown(_)));
    }

    #[test]
    fn two_templates_are_compared_conversation_by_conversation() {
        let left = template("{% for m in messages %}{{ m.content }}{% endfor %}");
        let right =
            template("{% for m in messages %}{{ m.content }}{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}");
        let around = Around::default();
        let all = compare_all((&left, &around), (&right, &around)).unwrap();
        let differing: Vec<&str> = all.iter().filter(|(_, found)| found.differs()).map(|(name, _)| *name).collect();
        assert_eq!(differing, ["tools", "a tool call and its result", "no content beside a tool call"]);
    }
}
