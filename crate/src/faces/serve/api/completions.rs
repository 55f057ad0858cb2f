//! `/v1/completions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::error::{ApiError, ApiResult},
    FINGERPRINT, Shared, body, find,
    generate::{Heard, Plan, Usage, Writer, finish_reason, logprob, stream},
    identifier, now,
    options::Options,
};
use crate::session::Token;

/// Tokens of an answer where nothing is said, as OpenAI has it.
const TOKENS: u32 = 16;
/// Prompts of one request.
const PROMPTS: usize = 1024;

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(flatten)]
    options: Options,
    prompt: Prompts,
    logprobs: Option<u32>,
    echo: Option<bool>,
    suffix: Option<String>,
    best_of: Option<u32>,
}

/// A text, texts, ids, or lists of ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Prompts {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
    Lists(Vec<Vec<u32>>),
}

pub(in super::super) enum Prompt {
    Text(String),
    Ids(Vec<u32>),
}

impl Prompts {
    pub(super) fn list(self) -> Vec<Prompt> {
        match self {
            Self::Text(text) => vec![Prompt::Text(text)],
            Self::Ids(ids) => vec![Prompt::Ids(ids)],
            Self::Texts(texts) => texts.into_iter().map(Prompt::Text).collect(),
            Self::Lists(lists) => lists.into_iter().map(Prompt::Ids).collect(),
        }
    }
}

/// Continues texts.
pub(super) async fn complete(State(server): Shared, request: Request) -> ApiResult<Response> {
    let (asked, turn): (Asked, _) = body(&server, request).await?;
    let model = find(&server, asked.options.model.as_deref())?;
    model.generates()?;
    let answers = asked.options.answers()?;
    let refused = [
        ("echo", asked.echo == Some(true)),
        ("suffix", asked.suffix.is_some_and(|suffix| !suffix.is_empty())),
        ("best_of", asked.best_of.is_some_and(|n| n != answers)),
    ];
    if let Some((param, _)) = refused.into_iter().find(|(_, is_asked)| *is_asked) {
        let error = ApiError::unsupported(format!("{param} is not supported"));
        return Err(ApiError { param: Some(param), ..error });
    }
    if asked.logprobs > Some(20) {
        return Err(ApiError::field("logprobs", "logprobs: 0 to 20 expected"));
    }
    let options = asked.options.generation()?;
    let given = asked.prompt.list();
    if given.is_empty() || given.len() > PROMPTS {
        return Err(ApiError::field("prompt", format!("{} prompts; 1 to {PROMPTS} expected", given.len())));
    }
    let wanted = asked.options.most().unwrap_or(TOKENS);
    let mut prompts = Vec::with_capacity(given.len());
    for prompt in given {
        let ids = match prompt {
            Prompt::Text(text) => model.encode(text, true, true).await?,
            Prompt::Ids(ids) => ids,
        };
        let most = model.fit(ids.len(), Some(wanted), "prompt")?;
        prompts.push((ids, most));
    }
    let count = prompts.len() * answers as usize;
    let alternatives = asked.logprobs.map_or(0, |n| n.max(1));
    let mut running = Plan { prompts, answers, options, alternatives }.begin(model, turn)?;
    let mut all = Completion {
        id: identifier("cmpl"),
        created: now(),
        model: model.name.clone(),
        own: (0..count).map(|_| Own::default()).collect(),
        answers: answers as usize,
        shown: asked.logprobs,
        usage: Usage::default(),
        includes_usage: asked.options.includes_usage(),
    };
    if asked.options.is_stream() {
        return Ok(stream(Arc::clone(&server), running, all));
    }
    while let Some(heard) = running.next(&server).await {
        let (index, heard) = heard?;
        all.hear(index, heard);
    }
    let choices: Vec<Value> =
        all.own.iter().enumerate().map(|(i, own)| own.choice(i, &own.text, &own.tokens, all.shown)).collect();
    let mut whole = all.head(json!(choices));
    whole["usage"] = all.usage.json();
    Ok(Json(whole).into_response())
}

/// One of the answers.
#[derive(Default)]
struct Own {
    text: String,
    /// With the place in the text where each begins.
    tokens: Vec<(Token, usize)>,
    finish: Option<&'static str>,
}

struct Completion {
    id: String,
    created: u64,
    model: String,
    own: Vec<Own>,
    /// To each prompt.
    answers: usize,
    shown: Option<u32>,
    usage: Usage,
    includes_usage: bool,
}

impl Completion {
    fn hear(&mut self, index: usize, heard: Heard) {
        let is_first = index % self.answers.max(1) == 0;
        let Some(own) = self.own.get_mut(index) else { return };
        match heard {
            Heard::Token(token) => {
                let at = own.text.chars().count();
                own.text.push_str(&token.text);
                if self.shown.is_some() {
                    own.tokens.push((token, at));
                }
            }
            Heard::End(end) => {
                own.text.push_str(&end.text);
                own.finish = Some(finish_reason(end.stop));
                self.usage.add(&end, is_first);
            }
        }
    }
    fn head(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        })
    }
}

impl Own {
    fn choice(&self, index: usize, text: &str, tokens: &[(Token, usize)], shown: Option<u32>) -> Value {
        let logprobs = shown.map(|n| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let top = |token: &Token| {
                let pairs = token.alternatives.iter().take(n as usize);
                pairs.map(|(_, bytes, p)| (text(bytes), json!(logprob(Some(*p))))).collect::<Map<String, Value>>()
            };
            json!({
                "tokens": tokens.iter().map(|(t, _)| text(&t.bytes)).collect::<Vec<_>>(),
                "token_logprobs": tokens.iter().map(|(t, _)| logprob(t.probability)).collect::<Vec<_>>(),
                "top_logprobs": tokens.iter().map(|(t, _)| top(t)).collect::<Vec<_>>(),
                "text_offset": tokens.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
            })
        });
        json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": self.finish })
    }
}

impl Writer for Completion {
    fn open(&mut self, _: &mut Vec<Value>) {}
    fn take(&mut self, index: usize, heard: Heard, out: &mut Vec<Value>) {
        let before = self.own.get(index).map_or((0, 0), |own| (own.text.len(), own.tokens.len()));
        self.hear(index, heard);
        let Some(own) = self.own.get(index) else { return };
        let (text, tokens) = (&own.text[before.0..], &own.tokens[before.1..]);
        if text.is_empty() && tokens.is_empty() && own.finish.is_none() {
            return;
        }
        let mut chunk = self.head(json!([own.choice(index, text, tokens, self.shown)]));
        if self.includes_usage {
            chunk["usage"] = Value::Null;
        }
        out.push(chunk);
    }
    fn close(&mut self, out: &mut Vec<Value>) {
        if self.includes_usage {
            let mut chunk = self.head(json!([]));
            chunk["usage"] = self.usage.json();
            out.push(chunk);
        }
    }
}
