//! Texts, ids and templates; vectors and ranks.

use axum::{
    Json,
    extract::{Request, State},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        encoder::{Input, Work},
        error::{ApiError, ApiResult},
    },
    Shared, body,
    completions::{Prompt, Prompts},
    find,
    messages::Said,
};
use crate::session::{Embedding, Scored};

#[derive(Debug, Deserialize)]
struct Tokenize {
    model: Option<String>,
    #[serde(alias = "prompt")]
    content: String,
    #[serde(default)]
    add_special: bool,
    #[serde(default = "yes")]
    parse_special: bool,
}

fn yes() -> bool {
    true
}

/// The ids of a text.
pub(super) async fn tokenize(State(server): Shared, request: Request) -> ApiResult<Json<Value>> {
    let (asked, _): (Tokenize, _) = body(&server, request).await?;
    let model = find(&server, asked.model.as_deref())?;
    let ids = model.encode(asked.content, asked.add_special, asked.parse_special).await?;
    Ok(Json(json!({ "count": ids.len(), "tokens": ids })))
}

#[derive(Debug, Deserialize)]
struct Detokenize {
    model: Option<String>,
    tokens: Vec<u32>,
}

/// The text of ids.
pub(super) async fn detokenize(State(server): Shared, request: Request) -> ApiResult<Json<Value>> {
    let (asked, _): (Detokenize, _) = body(&server, request).await?;
    let text = find(&server, asked.model.as_deref())?.decode(asked.tokens).await?;
    Ok(Json(json!({ "content": text })))
}

#[derive(Debug, Deserialize)]
struct Conversed {
    model: Option<String>,
    #[serde(flatten)]
    said: Said,
}

/// A conversation as the model's template writes it.
pub(super) async fn apply_template(State(server): Shared, request: Request) -> ApiResult<Json<Value>> {
    let (asked, _): (Conversed, _) = body(&server, request).await?;
    let written = find(&server, asked.model.as_deref())?.write(asked.said.conversation()?).await?;
    Ok(Json(json!({ "prompt": written.text, "tokens": written.ids })))
}

/// Texts of one request.
const TEXTS: usize = 2048;

#[derive(Debug, Deserialize)]
struct Embed {
    model: Option<String>,
    input: Prompts,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
    /// Which of the model's prompts is put before each text; none: the one that its files use.
    prompt_name: Option<String>,
}

/// Vectors of texts.
pub(super) async fn embeddings(State(server): Shared, request: Request) -> ApiResult<Json<Value>> {
    let (asked, turn): (Embed, _) = body(&server, request).await?;
    let model = find(&server, asked.model.as_deref())?;
    let in_base64 = match asked.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(ApiError::field("encoding_format", "encoding_format: float or base64 expected")),
    };
    let given = asked.input.list();
    if given.is_empty() || given.len() > TEXTS {
        return Err(ApiError::field("input", format!("{} texts; 1 to {TEXTS} expected", given.len())));
    }
    let input = |prompt| match prompt {
        Prompt::Text(text) => Input::Text(text),
        Prompt::Ids(ids) => Input::Ids(ids),
    };
    let (inputs, prompt) = (given.into_iter().map(input).collect(), asked.prompt_name);
    let made = model.encoded(&turn, |to| Work::Vectors { inputs, prompt, to }).await?;
    let width = made.first().map_or(0, |e| e.vector.len());
    if let Some(wanted) = asked.dimensions.filter(|n| *n != width) {
        return Err(ApiError::field("dimensions", format!("dimensions is {wanted}; the model gives {width}")));
    }
    let tokens: usize = made.iter().map(|e| e.ids.len()).sum();
    let told = |(i, e): (usize, &Embedding)| {
        let vector = if in_base64 {
            let bytes: Vec<u8> = e.vector.iter().flat_map(|v| v.to_le_bytes()).collect();
            json!(BASE64_STANDARD.encode(bytes))
        } else {
            json!(e.vector)
        };
        json!({ "object": "embedding", "index": i, "embedding": vector })
    };
    Ok(Json(json!({
        "object": "list",
        "model": model.name,
        "data": made.iter().enumerate().map(told).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })))
}

#[derive(Debug, Deserialize)]
struct Rerank {
    model: Option<String>,
    query: String,
    #[serde(alias = "texts")]
    documents: Vec<Document>,
    top_n: Option<usize>,
    #[serde(default)]
    return_documents: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: String },
}

/// Texts in the order of how well they answer a query, as Jina's and Cohere's clients ask.
pub(super) async fn rerank(State(server): Shared, request: Request) -> ApiResult<Json<Value>> {
    let (asked, turn): (Rerank, _) = body(&server, request).await?;
    let model = find(&server, asked.model.as_deref())?;
    if asked.documents.is_empty() || asked.documents.len() > TEXTS {
        let what = format!("{} documents; 1 to {TEXTS} expected", asked.documents.len());
        return Err(ApiError::field("documents", what));
    }
    let text = |document| match document {
        Document::Text(text) | Document::Object { text } => text,
    };
    let texts: Vec<String> = asked.documents.into_iter().map(text).collect();
    let (query, given) = (asked.query, texts.clone());
    let scored = model.encoded(&turn, |to| Work::Ranks { query, texts: given, to }).await?;
    let tokens: u64 = scored.iter().map(|s| u64::from(s.tokens)).sum();
    let score = |s: &Scored| s.scores.first().copied().unwrap_or(0.0);
    let mut order: Vec<(usize, f64)> = scored.iter().map(score).enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.truncate(asked.top_n.unwrap_or(usize::MAX));
    let told = |(i, score): (usize, f64)| {
        let mut one = json!({ "index": i, "relevance_score": score });
        if asked.return_documents {
            one["document"] = json!({ "text": texts.get(i) });
        }
        one
    };
    Ok(Json(json!({
        "object": "list",
        "model": model.name,
        "results": order.into_iter().map(told).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })))
}
