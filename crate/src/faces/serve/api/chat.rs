//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        answer::{Answer, Piece},
        error::{ApiError, ApiResult},
        tools::Call,
    },
    FINGERPRINT, Shared, body, find,
    generate::{Heard, Plan, Usage, Writer, finish_reason, logprob, stream},
    identifier,
    messages::Said,
    now,
    options::Options,
};
use crate::session::{Ended, Token};

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(flatten)]
    options: Options,
    #[serde(flatten)]
    said: Said,
    logprobs: Option<bool>,
    top_logprobs: Option<u32>,
}

/// Answers a conversation.
pub(super) async fn complete(State(server): Shared, request: Request) -> ApiResult<Response> {
    let (asked, turn): (Asked, _) = body(&server, request).await?;
    let model = find(&server, asked.options.model.as_deref())?;
    model.generates()?;
    let generation = asked.options.generation()?;
    let answers = asked.options.answers()?;
    let shown = match (asked.logprobs, asked.top_logprobs) {
        (Some(true), n) => Some(n.unwrap_or(0)),
        (_, Some(n)) if n > 0 => return Err(ApiError::field("top_logprobs", "top_logprobs needs logprobs: true")),
        _ => None,
    };
    if shown > Some(20) {
        return Err(ApiError::field(
            "top_logprobs",
            format!("top_logprobs is {}; 0 to 20 expected", shown.unwrap_or(0)),
        ));
    }
    let has_tools = asked.said.has_tools();
    let written = model.write(asked.said.conversation()?).await?;
    let most = model.fit(written.ids.len(), asked.options.most(), "messages")?;
    if most == 0 {
        return Err(ApiError::field("max_tokens", "max_tokens is 0; an answer has at least one token"));
    }
    let plan = Plan {
        prompts: vec![(written.ids, most)],
        answers,
        options: generation,
        alternatives: shown.map_or(0, |n| n.max(1)),
    };
    let mut running = plan.begin(model, turn)?;
    let own = |_| Own {
        answer: Some(Answer::behind(&written.text, has_tools)),
        calls: Vec::new(),
        thoughts: String::new(),
        text: String::new(),
        logprobs: Vec::new(),
        finish: None,
    };
    let mut all = Chat {
        id: identifier("chatcmpl"),
        created: now(),
        model: model.name.clone(),
        own: (0..answers).map(own).collect(),
        shown,
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
    Ok(Json(all.whole()).into_response())
}

/// One of the answers.
struct Own {
    answer: Option<Answer>,
    calls: Vec<Call>,
    thoughts: String,
    text: String,
    logprobs: Vec<Value>,
    finish: Option<&'static str>,
}

/// The answers to a conversation.
struct Chat {
    id: String,
    created: u64,
    model: String,
    own: Vec<Own>,
    /// How many of the likeliest tokens are told; `None`: no probabilities either.
    shown: Option<u32>,
    usage: Usage,
    includes_usage: bool,
}

impl Chat {
    /// Takes a token or an end; the new pieces, and what the token's probability is told as.
    fn hear(&mut self, index: usize, heard: Heard) -> (Vec<Piece>, Option<Value>) {
        let shown = self.shown;
        let is_first = index == 0;
        let Some(own) = self.own.get_mut(index) else { return (Vec::new(), None) };
        let (pieces, told) = match heard {
            Heard::Token(token) => {
                let pieces = own.answer.as_mut().map(|answer| answer.push(&token.text)).unwrap_or_default();
                (pieces, shown.map(|n| logprobs(&token, n)))
            }
            Heard::End(end) => {
                self.usage.add(&end, is_first);
                (own.end(&end), None)
            }
        };
        for piece in &pieces {
            match piece {
                Piece::Thought(text) => own.thoughts.push_str(text),
                Piece::Said(text) => own.text.push_str(text),
            }
        }
        own.logprobs.extend(told.clone());
        (pieces, told)
    }
    /// All of it at once.
    fn whole(&self) -> Value {
        let choices: Vec<Value> =
            self.own.iter().enumerate().map(|(i, own)| own.choice(i, self.shown.is_some())).collect();
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
            "usage": self.usage.json(),
        })
    }
    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        if self.includes_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
    fn delta(&self, index: usize, delta: Value, told: Option<&Value>, finish: Option<&str>) -> Value {
        let logprobs = told.map(|told| json!({ "content": [told] }));
        self.chunk(json!([{ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish }]))
    }
}

impl Own {
    fn end(&mut self, end: &Ended) -> Vec<Piece> {
        let Some(answer) = self.answer.take() else { return Vec::new() };
        let (pieces, calls) = answer.finish(&end.text);
        self.finish = Some(if calls.is_empty() { finish_reason(end.stop) } else { "tool_calls" });
        self.calls = calls;
        pieces
    }
    fn choice(&self, index: usize, has_logprobs: bool) -> Value {
        let calls: Vec<Value> = self.calls.iter().map(told_call).collect();
        let content = if calls.is_empty() || !self.text.is_empty() { json!(self.text) } else { Value::Null };
        let mut message = json!({ "role": "assistant", "content": content });
        if !self.thoughts.is_empty() {
            message["reasoning_content"] = json!(self.thoughts);
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let logprobs = has_logprobs.then(|| json!({ "content": self.logprobs }));
        json!({ "index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish })
    }
}

fn told_call(call: &Call) -> Value {
    json!({
        "id": identifier("call"),
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

/// A token with its probability and the likeliest others.
fn logprobs(token: &Token, n: u32) -> Value {
    let told = |bytes: &[u8], p| {
        let text = String::from_utf8_lossy(bytes);
        json!({ "token": text, "logprob": logprob(p), "bytes": bytes })
    };
    let top = token.alternatives.iter().take(n as usize);
    let top: Vec<Value> = top.map(|(_, bytes, p)| told(bytes, Some(*p))).collect();
    let mut own = told(&token.bytes, token.probability);
    own["top_logprobs"] = json!(top);
    own
}

impl Writer for Chat {
    fn open(&mut self, out: &mut Vec<Value>) {
        let begin = |i| self.delta(i, json!({ "role": "assistant", "content": "" }), None, None);
        out.extend((0..self.own.len()).map(begin));
    }
    fn take(&mut self, index: usize, heard: Heard, out: &mut Vec<Value>) {
        let (pieces, mut told) = self.hear(index, heard);
        for piece in pieces {
            let delta = match piece {
                Piece::Thought(text) => json!({ "reasoning_content": text }),
                Piece::Said(text) => json!({ "content": text }),
            };
            out.push(self.delta(index, delta, told.take().as_ref(), None));
        }
        // A token whose text is still held back has a probability all the same.
        if let Some(told) = told {
            out.push(self.delta(index, json!({ "content": "" }), Some(&told), None));
        }
        let Some(own) = self.own.get(index) else { return };
        let Some(finish) = own.finish else { return };
        if !own.calls.is_empty() {
            let numbered = |(i, call): (usize, &Call)| {
                let mut told = told_call(call);
                told["index"] = json!(i);
                told
            };
            let calls: Vec<Value> = own.calls.iter().enumerate().map(numbered).collect();
            out.push(self.delta(index, json!({ "tool_calls": calls }), None, None));
        }
        out.push(self.delta(index, json!({}), None, Some(finish)));
    }
    fn close(&mut self, out: &mut Vec<Value>) {
        if self.includes_usage {
            let mut chunk = self.chunk(json!([]));
            chunk["usage"] = self.usage.json();
            out.push(chunk);
        }
    }
}
