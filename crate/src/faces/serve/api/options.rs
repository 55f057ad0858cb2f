//! What requests for answers have in common: how tokens are chosen, where an answer ends.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::error::{ApiError, ApiResult},
    unforeseen,
};
use crate::session::{GenerationOptions, Sampling};

/// Texts that end an answer, as OpenAI takes them.
const STOPS: usize = 16;
/// Tokens with a bias.
const BIASES: usize = 1024;
/// The most answers to one request.
const ANSWERS: u32 = 128;

/// One of something, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(super) fn list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}

/// The fields.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Options {
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u32>,
    pub(super) max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    min_p: Option<f32>,
    seed: Option<i64>,
    n: Option<u32>,
    stop: Option<OneOrMany<String>>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    repetition_penalty: Option<f32>,
    logit_bias: Option<BTreeMap<String, f32>>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    response_format: Option<Value>,
    ignore_eos: Option<bool>,
}

impl Options {
    /// How many answers are asked for.
    pub(super) fn answers(&self) -> ApiResult<u32> {
        match self.n.unwrap_or(1) {
            n @ 1..=ANSWERS => Ok(n),
            n => Err(ApiError::field("n", format!("n is {n}; 1 to {ANSWERS} expected"))),
        }
    }
    pub(super) fn is_stream(&self) -> bool {
        self.stream == Some(true)
    }
    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }
    /// The most tokens that were asked for.
    pub(super) fn most(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }
    /// As a generation takes them, but for the number of tokens; prompts bring their own BOS or are given it before.
    ///
    /// # Errors
    /// A field is out of its range, or asks for what this server cannot do.
    pub(super) fn generation(&self) -> ApiResult<GenerationOptions> {
        self.check_format()?;
        let stop = self.stop.clone().map(OneOrMany::list).unwrap_or_default();
        if stop.len() > STOPS {
            return Err(ApiError::field("stop", format!("{} texts; at most {STOPS} are taken", stop.len())));
        }
        let range = |name: &'static str, value: Option<f32>, least: f32, most: f32| match value {
            Some(v) if !(least..=most).contains(&v) => {
                Err(ApiError::field(name, format!("{name} is {v}; {least} to {most} expected")))
            }
            other => Ok(other),
        };
        let sampling = Sampling {
            temperature: range("temperature", self.temperature, 0.0, 100.0)?.unwrap_or(1.0),
            // 0 and -1 are how clients of other servers write "all".
            top_k: usize::try_from(self.top_k.unwrap_or(0)).unwrap_or(0),
            // Nothing is left of 0: the likeliest token is meant.
            top_p: range("top_p", self.top_p, 0.0, 1.0)?.unwrap_or(1.0).max(f32::MIN_POSITIVE),
            min_p: range("min_p", self.min_p, 0.0, 1.0)?.unwrap_or(0.0),
            seed: self.seed.map_or_else(unforeseen, i64::cast_unsigned),
            repetition_penalty: range("repetition_penalty", self.repetition_penalty, 0.01, 100.0)?.unwrap_or(1.0),
            presence_penalty: range("presence_penalty", self.presence_penalty, -100.0, 100.0)?.unwrap_or(0.0),
            frequency_penalty: range("frequency_penalty", self.frequency_penalty, -100.0, 100.0)?.unwrap_or(0.0),
        };
        Ok(GenerationOptions {
            sampling,
            stop,
            logit_bias: self.biases()?,
            ignore_end: self.ignore_eos == Some(true),
            ..GenerationOptions::default()
        })
    }
    fn biases(&self) -> ApiResult<Vec<(u32, f32)>> {
        let given = self.logit_bias.iter().flatten();
        if self.logit_bias.as_ref().is_some_and(|all| all.len() > BIASES) {
            return Err(ApiError::field("logit_bias", format!("more than {BIASES} tokens")));
        }
        let read = |(id, bias): (&String, &f32)| {
            let id = id.parse().map_err(|_| {
                let id: String = id.chars().take(40).collect();
                ApiError::field("logit_bias", format!("{id:?} is no token id"))
            })?;
            Ok((id, *bias))
        };
        given.map(read).collect()
    }
    fn check_format(&self) -> ApiResult<()> {
        match self.response_format.as_ref().map(|format| &format["type"]) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(kind)) if kind == "text" => Ok(()),
            Some(kind) => {
                let kind: String = kind.to_string().chars().take(40).collect();
                let what = format!("response_format {kind}: answers cannot be held to a form yet");
                Err(ApiError { param: Some("response_format"), ..ApiError::unsupported(what) })
            }
        }
    }
}
