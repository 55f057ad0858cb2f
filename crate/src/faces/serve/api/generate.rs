//! Answers under way: jobs handed to a model, and what comes back.

use std::collections::VecDeque;

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time};

use super::super::{
    Server,
    engine::Out,
    error::{ApiError, ApiResult},
    model::{Model, Turn},
};
use crate::session::{Ended, GenerationOptions, Request, StopReason, Token};

/// A comment is sent to a client that waits, so that nothing between it and the server takes the connection for dead.
const STILL_HERE: time::Duration = time::Duration::from_secs(15);
/// What is written for a probability of 0, as OpenAI does.
const LEAST: f64 = -9999.0;

/// What a model is asked.
pub(super) struct Plan {
    /// Each with the most tokens of its answers.
    pub(super) prompts: Vec<(Vec<u32>, u32)>,
    /// Answers to each prompt, each with the next seed.
    pub(super) answers: u32,
    pub(super) options: GenerationOptions,
    pub(super) alternatives: u32,
}

/// Answers under way; they end where this is dropped.
pub(super) struct Answers {
    from: mpsc::Receiver<(usize, Out)>,
    left: usize,
    turn: Turn,
    has_begun: bool,
}

impl Plan {
    /// Hands the jobs to the model.
    ///
    /// # Errors
    /// There is no room for them.
    pub(super) fn begin(self, model: &Model, turn: Turn) -> ApiResult<Answers> {
        let count = self.prompts.len() * self.answers as usize;
        let mut room = model.room(count)?.into_iter();
        let longest = self.prompts.iter().map(|(_, most)| *most).max().unwrap_or(0);
        let (to, from) = model.answers(count, longest);
        let mut index = 0;
        for (prompt, max_tokens) in self.prompts {
            for answer in 0..self.answers {
                let Some(permit) = room.next() else { break };
                let mut options = GenerationOptions { max_tokens, ..self.options.clone() };
                options.sampling.seed = options.sampling.seed.wrapping_add(u64::from(answer));
                let request = Request { prompt: prompt.clone(), options, alternatives: self.alternatives };
                model.send(Model::job(request, index, permit, &turn, &to))?;
                index += 1;
            }
        }
        Ok(Answers { from, left: count, turn, has_begun: false })
    }
}

impl Answers {
    /// The next token or end of one of the answers; `None` after the last end.
    pub(super) async fn next(&mut self, server: &Server) -> Option<ApiResult<(usize, Heard)>> {
        if self.left == 0 {
            return None;
        }
        match self.from.recv().await {
            Some((i, Out::Token(token))) => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    server.metrics.first_token(self.turn.asked.elapsed().as_secs_f64());
                }
                Some(Ok((i, Heard::Token(token))))
            }
            Some((i, Out::End(end))) => {
                self.left -= 1;
                Some(Ok((i, Heard::End(end))))
            }
            Some((_, Out::Fail(error))) => {
                self.left = 0;
                Some(Err(error))
            }
            None => {
                self.left = 0;
                Some(Err(ApiError::lost()))
            }
        }
    }
}

/// A token, or the end of an answer.
pub(super) enum Heard {
    Token(Token),
    End(Ended),
}

/// Tokens of a request's prompts and answers.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Usage {
    prompt: u64,
    kept: u64,
    answers: u64,
}

impl Usage {
    /// Counts an answer; of several answers to one prompt the prompt counts with the first.
    pub(super) fn add(&mut self, end: &Ended, is_first: bool) {
        if is_first {
            self.prompt += u64::from(end.prompt_tokens);
            self.kept += u64::from(end.kept_tokens);
        }
        self.answers += u64::from(end.tokens);
    }
    pub(super) fn json(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.answers,
            "total_tokens": self.prompt + self.answers,
            "prompt_tokens_details": { "cached_tokens": self.kept },
        })
    }
}

/// Why an answer ended, in OpenAI's words.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::EndToken | StopReason::StopText | StopReason::Stopped => "stop",
        StopReason::Limit | StopReason::Context => "length",
    }
}

/// The logarithm of a probability.
pub(super) fn logprob(probability: Option<f32>) -> f64 {
    let p = f64::from(probability.unwrap_or(0.0));
    if p > 0.0 { p.ln() } else { LEAST }
}

/// How the pieces of an answer are written as they come.
pub(super) trait Writer: Send + 'static {
    /// Before the first token.
    fn open(&mut self, out: &mut Vec<Value>);
    /// What a token or an end brings.
    fn take(&mut self, index: usize, heard: Heard, out: &mut Vec<Value>);
    /// After the last end.
    fn close(&mut self, out: &mut Vec<Value>);
}

struct Streaming<W> {
    server: std::sync::Arc<Server>,
    answers: Answers,
    writer: W,
    lines: VecDeque<String>,
    is_done: bool,
}

/// Answers as events, sent as they come. Where the client leaves, the stream is dropped and the answers with it.
pub(super) fn stream<W: Writer>(server: std::sync::Arc<Server>, answers: Answers, mut writer: W) -> Response {
    let mut first = Vec::new();
    writer.open(&mut first);
    let lines = first.iter().map(event).collect();
    let state = Streaming { server, answers, writer, lines, is_done: false };
    let stream = futures_util::stream::unfold(state, |mut state| async move {
        while state.lines.is_empty() && !state.is_done {
            state.advance().await;
        }
        let text: String = state.lines.drain(..).collect();
        (!text.is_empty()).then_some((Ok::<_, std::convert::Infallible>(text), state))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(stream)).into_response()
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

impl<W: Writer> Streaming<W> {
    async fn advance(&mut self) {
        let mut out = Vec::new();
        match time::timeout(STILL_HERE, self.answers.next(&self.server)).await {
            Err(_) => self.lines.push_back(": the answer is still to come\n\n".into()),
            Ok(Some(Ok((index, heard)))) => self.writer.take(index, heard, &mut out),
            Ok(Some(Err(error))) => {
                out.push(error.json());
                self.is_done = true;
            }
            Ok(None) => {
                self.writer.close(&mut out);
                self.is_done = true;
            }
        }
        self.lines.extend(out.iter().map(event));
        if self.is_done {
            self.lines.push_back("data: [DONE]\n\n".into());
        }
    }
}
