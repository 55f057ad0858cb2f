//! Rendering in a process of its own: a template is a foreign program, and only a process can be held to a time, a memory and a stack.
//!
//! Steps are bounded here too, but a list added to itself is copied, and a list inside a list is dropped, without a step that could be counted.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{Conversation, Data, Failure, Template, json, llama_cpp::LlamaCpp};
use crate::fault::{Blame, Fault, Result};

/// Takes a job to another process and brings its answer: both are JSON.
pub type Carrier = fn(&str) -> Result<String>;

static CARRIER: OnceLock<Carrier> = OnceLock::new();

/// From now on templates are rendered where `carrier` takes them, which there calls [`answer`]. Only the first call counts.
pub fn render_apart(carrier: Carrier) {
    let _ = CARRIER.set(carrier);
}

#[derive(Serialize, Deserialize)]
struct Job {
    name: String,
    source: String,
    from: String,
    /// As JSON, like `tools` and the values of `variables`.
    messages: String,
    tools: String,
    add_generation_prompt: bool,
    bos: Option<String>,
    eos: Option<String>,
    variables: Vec<(String, String)>,
    now: Option<i64>,
    absent: Vec<String>,
    /// What llama.cpp concludes of the template is asked for, not a text.
    probe: bool,
}

/// Names that a conversation may leave undefined.
const ABSENT: [&str; 3] = ["tools", "documents", "add_generation_prompt"];

#[derive(Serialize, Deserialize)]
enum Answer {
    Text(String),
    Probed(LlamaCpp),
    Failure { line: Option<usize>, is_limit: bool, is_unsupported: bool, what: String },
}

/// What the carrier's process answers; `None` where templates are rendered in this one.
pub(super) fn write(template: &Template, conversation: &Conversation) -> Option<Result<String, Failure>> {
    let carrier = CARRIER.get()?;
    Some(carried(*carrier, template, conversation))
}

/// As [`write`], what llama.cpp concludes of a template.
pub(super) fn probe(template: &Template) -> Option<Result<LlamaCpp, Failure>> {
    let carrier = CARRIER.get()?;
    let answered = carry(*carrier, template, &Conversation::default(), true);
    Some(answered.and_then(|answer| match answer {
        Answer::Probed(found) => Ok(found),
        _ => Err(Failure {
            line: None,
            fault: Fault::bug("a text was found where the conclusion of llama.cpp was requested"),
        }),
    }))
}

fn carried(carrier: Carrier, template: &Template, conversation: &Conversation) -> Result<String, Failure> {
    match carry(carrier, template, conversation, false)? {
        Answer::Text(text) => Ok(text),
        _ => Err(Failure { line: None, fault: Fault::bug("no text where one was asked for") }),
    }
}

fn carry(carrier: Carrier, template: &Template, conversation: &Conversation, probe: bool) -> Result<Answer, Failure> {
    let failure = |line, fault| Failure { line, fault };
    let text = |data: &Data| {
        json::dump(&data.0, &json::Style::default(), &|_| Ok(()))
            .map_err(|e| failure(None, Fault::bug(format!("a conversation cannot be written as JSON: {e}"))))
    };
    let mut variables = Vec::new();
    for (name, value) in &conversation.variables {
        variables.push((name.clone(), text(value)?));
    }
    let job = Job {
        name: template.name.clone(),
        source: template.source.clone(),
        from: template.from.clone(),
        messages: text(&conversation.messages)?,
        tools: text(&conversation.tools)?,
        add_generation_prompt: conversation.add_generation_prompt,
        bos: conversation.bos.clone(),
        eos: conversation.eos.clone(),
        variables,
        now: conversation.now,
        absent: conversation.absent.iter().map(|name| (*name).to_owned()).collect(),
        probe,
    };
    let job = serde_json::to_string(&job)
        .map_err(|e| failure(None, Fault::bug(format!("a job cannot be written as JSON: {e}"))))?;
    let answer = carrier(&job).map_err(|fault| failure(None, template.told(fault)))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Failure { line, is_limit, is_unsupported, what }) => {
            let blame = match (is_limit, is_unsupported) {
                (true, _) => Blame::Limit,
                (_, true) => Blame::Unsupported,
                _ => Blame::File,
            };
            Err(failure(line, Fault::new(blame, what)))
        }
        Ok(answer) => Ok(answer),
        Err(e) => Err(failure(None, template.told(Fault::bug(format!("an answer that is not one: {e}"))))),
    }
}

/// Renders a job in this process, and says as JSON what came of it.
///
/// # Errors
/// The job is not one.
pub fn answer(job: &str) -> Result<String> {
    let job: Job = serde_json::from_str(job).map_err(|e| Fault::caller(format!("no job: {e}")))?;
    let template = Template { name: job.name, source: job.source, from: job.from };
    let conversation = Conversation {
        messages: Data::parse(&job.messages)?,
        tools: Data::parse(&job.tools)?,
        add_generation_prompt: job.add_generation_prompt,
        bos: job.bos,
        eos: job.eos,
        variables: job
            .variables
            .into_iter()
            .map(|(name, value)| Ok((name, Data::parse(&value)?)))
            .collect::<Result<_>>()?,
        now: job.now,
        absent: ABSENT.into_iter().filter(|name| job.absent.iter().any(|absent| absent == name)).collect(),
    };
    if job.probe {
        return told(&Answer::Probed(LlamaCpp::probed(&template)));
    }
    let answer = match template.write_here(&conversation) {
        Ok(text) => Answer::Text(text),
        Err(Failure { line, fault }) => Answer::Failure {
            line,
            is_limit: fault.blame == Blame::Limit,
            is_unsupported: fault.blame == Blame::Unsupported,
            what: fault.what,
        },
    };
    told(&answer)
}

fn told(answer: &Answer) -> Result<String> {
    serde_json::to_string(answer).map_err(|e| Fault::bug(format!("an answer cannot be written as JSON: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_gives_what_rendering_here_gives() {
        let conversation = Conversation {
            messages: Data::parse(r#"[{"role":"user","content":"h\u00e9 <&>","b":1.5,"a":[null,true]}]"#).unwrap(),
            tools: Data::parse(r#"[{"z":1,"a":2}]"#).unwrap(),
            add_generation_prompt: true,
            bos: Some("<s>".into()),
            variables: vec![("mood".into(), Data::text("calm"))],
            now: Some(0),
            ..Conversation::default()
        };
        for (source, is_text) in [
            ("{{ bos_token }}{{ messages | tojson }}{{ tools | tojson }}{{ mood }}{{ strftime_now('%Y') }}", true),
            ("a\n{{ raise_exception('no') }}", false),
            ("{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}", false),
            ("{{ .System }}", false),
        ] {
            let template = Template { name: "default".into(), source: source.into(), from: "test".into() };
            let here = template.write_here(&conversation);
            assert_eq!(here.is_ok(), is_text, "{here:?}");
            assert_eq!(carried(answer, &template, &conversation), here);
        }
    }
}
