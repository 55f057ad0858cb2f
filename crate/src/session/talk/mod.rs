//! A talk: messages of a user and the answers of a model, each of which reads only what is new.

mod thinking;

use serde_json::{Value, json};

pub use self::thinking::{Part, Thinking};
use super::{Chat, Conversation, Data, Generated, Generation, GenerationOptions, Outcome};
use crate::fault::{Fault, LocalFuture, Result};

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As templates name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// By whom.
    pub role: Role,
    /// Its text; of an answer without the thoughts.
    pub text: String,
    /// What the model thought before it answered.
    pub thoughts: Option<String>,
}

/// What becomes of a conversation that does not fit the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The message is refused.
    Refuse,
    /// The oldest messages are left out, until half of the context is free.
    Shift,
}

impl WhenFull {
    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "refuse" => Some(Self::Refuse),
            "shift" => Some(Self::Shift),
            _ => None,
        }
    }
}

/// Called with each part of an answer as it comes; true stops the answer.
pub type OnPart<'a> = dyn FnMut(Part, &str) -> bool + 'a;

/// A conversation with a loaded model.
pub struct Talk {
    generation: Generation,
    chat: Chat,
    messages: Vec<Message>,
    /// How many of the first messages the model is no longer given.
    left_out: usize,
    /// What the model is told before the first message.
    pub system: Option<String>,
    /// How answers are generated.
    pub options: GenerationOptions,
    /// Further variables of the template.
    pub variables: Vec<(String, Data)>,
    /// What becomes of a conversation that does not fit the context.
    pub when_full: WhenFull,
    /// The clock that templates may read: seconds since 1970, UTC.
    pub now: Option<i64>,
}

/// What the model is given.
struct Written {
    text: String,
    ids: Vec<u32>,
}

impl Talk {
    /// A conversation that has not begun.
    ///
    /// # Errors
    /// There is no tokenizer.
    pub fn new(generation: Generation, chat: Chat, options: GenerationOptions) -> Result<Self> {
        if !chat.can_encode() {
            return Err(Fault::unsupported("no tokenizer here, so messages cannot become tokens"));
        }
        Ok(Self {
            generation,
            chat,
            messages: Vec::new(),
            left_out: 0,
            system: None,
            options,
            variables: Vec::new(),
            when_full: WhenFull::Refuse,
            now: None,
        })
    }
    /// The model.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }
    /// What was said so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
    /// How many of the first messages the model is no longer given.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
    /// Names of the variables that the template knows besides the conversation.
    pub fn variable_names(&self) -> Vec<String> {
        self.chat.templates().first().map(|template| template.variables()).unwrap_or_default()
    }

    /// Says something, and has the model answer. Where that fails, nothing was said.
    ///
    /// # Errors
    /// The conversation does not fit the context; the template refuses it; the device fails.
    pub async fn say(&mut self, text: &str, on_part: &mut OnPart<'_>) -> Result<Outcome> {
        self.messages.push(Message { role: Role::User, text: text.to_owned(), thoughts: None });
        let answered = self.answer(on_part).await;
        if answered.is_err() {
            self.messages.pop();
        }
        answered
    }
    /// Has the model answer the last message again, with the next seed where tokens are drawn.
    ///
    /// # Errors
    /// Nothing was said; as [`Talk::say`], and then the last answer stays.
    pub async fn retry(&mut self, on_part: &mut OnPart<'_>) -> Result<Outcome> {
        let last = self.messages.pop_if(|message| message.role == Role::Assistant);
        if self.messages.is_empty() {
            return Err(Fault::caller("there is no message yet that could be answered again"));
        }
        let sampling = &mut self.options.sampling;
        sampling.seed = sampling.seed.wrapping_add(u64::from(last.is_some() && sampling.temperature > 0.0));
        let answered = self.answer(on_part).await;
        if answered.is_err() {
            self.messages.extend(last);
        }
        answered
    }
    /// Takes back the last message of the user and its answer; the message.
    pub fn undo(&mut self) -> Option<String> {
        self.messages.pop_if(|message| message.role == Role::Assistant);
        let message = self.messages.pop()?;
        if self.left_out >= self.messages.len() {
            self.left_out = 0;
        }
        Some(message.text)
    }
    /// The last message of the user.
    pub fn last_said(&self) -> Option<&str> {
        self.messages.iter().rev().find(|message| message.role == Role::User).map(|message| message.text.as_str())
    }
    /// Forgets all that was said.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.left_out = 0;
    }
    /// The conversation as a list of messages, the system's first.
    pub fn json(&self) -> Value {
        let system = self.system.iter().map(|text| json!({ "role": "system", "content": text }));
        system.chain(self.messages.iter().map(message_json)).collect()
    }

    async fn answer(&mut self, on_part: &mut OnPart<'_>) -> Result<Outcome> {
        let written = self.fit()?;
        let mut thinking = Thinking::behind(&written.text);
        let (mut told, mut thoughts, mut answer) = (0, String::new(), String::new());
        let mut take = |part: Part, text: &str| {
            match part {
                Part::Thought => thoughts.push_str(text),
                Part::Answer => answer.push_str(text),
            }
            on_part(part, text)
        };
        let mut on_token = |token: &Generated| -> LocalFuture<'static, bool> {
            told += token.text.len();
            let mut stop = false;
            for (part, text) in thinking.push(&token.text) {
                stop |= take(part, &text);
            }
            // Also where nothing could be told yet, someone may want to stop.
            stop |= take(Part::Answer, "");
            Box::pin(std::future::ready(stop))
        };
        let outcome = self.generation.generate_ids(written.ids, &self.options, &mut on_token).await?;
        let rest = thinking.push(outcome.text.get(told..).unwrap_or_default());
        for (part, text) in rest.into_iter().chain(thinking.finish()) {
            take(part, &text);
        }
        let thoughts = (!thoughts.trim().is_empty()).then(|| thoughts.trim().to_owned());
        self.messages.push(Message { role: Role::Assistant, text: answer, thoughts });
        Ok(outcome)
    }

    /// The conversation as the template writes it, with the oldest messages left out where it must be and may be.
    fn fit(&mut self) -> Result<Written> {
        let context = self.generation.context() as usize;
        let written = self.write(self.left_out)?;
        let n = written.ids.len();
        // Room for an answer of some length, where it costs only old messages.
        let room = match self.when_full {
            WhenFull::Refuse => 1,
            WhenFull::Shift => (context / 4).min(self.options.max_tokens as usize).max(1),
        };
        if n + room <= context {
            return Ok(written);
        }
        if self.when_full == WhenFull::Refuse {
            return Err(full(n, context, "the conversation has"));
        }
        // Half is left free, so that the next turns go on from what has been read instead of shifting again.
        let mut fits = None;
        for first in self.left_out + 1..self.messages.len() {
            if self.messages[first].role != Role::User {
                continue;
            }
            let shorter = self.write(first)?;
            let n = shorter.ids.len();
            if n < context {
                fits = Some((first, shorter));
            }
            if n <= context / 2 {
                break;
            }
        }
        let Some((first, shorter)) = fits else {
            if n < context {
                return Ok(written);
            }
            let alone = self.write(self.messages.len() - 1)?;
            return Err(full(alone.ids.len(), context, "the last message alone has, as the template writes it,"));
        };
        self.left_out = first;
        Ok(shorter)
    }

    fn write(&self, first: usize) -> Result<Written> {
        let system = self.system.iter().map(|text| said("system", text, None));
        let messages = self.messages.iter().skip(first);
        let messages = messages.map(|m| said(m.role.name(), &m.text, m.thoughts.as_deref()));
        let messages: Vec<String> = system.chain(messages).collect();
        let conversation = Conversation {
            messages: Data::parse(&format!("[{}]", messages.join(",")))?,
            add_generation_prompt: true,
            variables: self.variables.clone(),
            now: self.now,
            ..Conversation::default()
        };
        let rendered = self.chat.render(None, conversation).map_err(|failure| failure.fault)?;
        match rendered.ids {
            Some(ids) => Ok(Written { text: rendered.text, ids }),
            None => {
                let why = rendered.notes.first().map(|note| note.what.clone());
                Err(Fault::unsupported(why.unwrap_or_else(|| "the conversation cannot be encoded".into())))
            }
        }
    }
}

fn full(tokens: usize, context: usize, what: &str) -> Fault {
    Fault::caller(format!("{what} {tokens} tokens, and the context loaded holds {context}, the answer among them"))
}

/// A message as JSON; its keys in the order that templates write them out.
fn said(role: &str, text: &str, thoughts: Option<&str>) -> String {
    let mut out = format!("{{\"role\":{},\"content\":{}", json!(role), json!(text));
    if let Some(thoughts) = thoughts {
        out.push_str(&format!(",\"reasoning_content\":{}", json!(thoughts)));
    }
    out.push('}');
    out
}

fn message_json(message: &Message) -> Value {
    let mut value = json!({ "role": message.role.name(), "content": message.text });
    if let (Some(thoughts), Some(fields)) = (&message.thoughts, value.as_object_mut()) {
        fields.insert("reasoning_content".into(), json!(thoughts));
    }
    value
}
