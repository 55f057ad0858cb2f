//! The thread that writes prompts: a model's chat template and its tokenizer.

use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};

use crate::{
    fault::{Fault, Result},
    session::{Chat, Conversation, EncodeOptions, Vocabulary},
};

/// A conversation as the template wrote it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) ids: Vec<u32>,
}

/// What is asked of the thread.
pub(super) enum Ask {
    /// A conversation's text and ids.
    Write(Box<Conversation>, oneshot::Sender<Result<Written>>),
    /// A text's ids; special tokens of the text are parsed, those of the tokenizer added where wanted.
    Encode { text: String, add_special: bool, parse_special: bool, to: oneshot::Sender<Result<Vec<u32>>> },
    /// The text of ids.
    Decode(Vec<u32>, oneshot::Sender<Result<String>>),
}

/// Answers until no one can ask any more.
pub(super) fn run(vocabulary: Result<Rc<Vocabulary>>, chat: Result<Chat>, mut asked: mpsc::Receiver<Ask>) {
    while let Some(ask) = asked.blocking_recv() {
        // Whoever asked may be gone.
        match ask {
            Ask::Write(conversation, to) => drop(to.send(write(&vocabulary, &chat, *conversation))),
            Ask::Encode { text, add_special, parse_special, to } => {
                let options = EncodeOptions { add_special, parse_special };
                drop(to.send(known(&vocabulary).and_then(|v| v.encode(&text, options))));
            }
            Ask::Decode(ids, to) => drop(to.send(decode(&vocabulary, &ids))),
        }
    }
}

fn known(vocabulary: &Result<Rc<Vocabulary>>) -> Result<&Vocabulary> {
    match vocabulary {
        Ok(vocabulary) => Ok(vocabulary),
        Err(fault) => Err(Fault::unsupported(format!("the model has no tokenizer here: {}", fault.what))),
    }
}

fn write(vocabulary: &Result<Rc<Vocabulary>>, chat: &Result<Chat>, conversation: Conversation) -> Result<Written> {
    let chat = chat
        .as_ref()
        .map_err(|fault| Fault::unsupported(format!("{}; /v1/completions continues a text without one", fault.what)))?;
    let vocabulary = known(vocabulary)?;
    // A template that refuses a conversation is the client's to know of, and no fault of the server.
    let text = chat.write(chat.template(None)?, conversation).map_err(|failure| Fault::caller(failure.fault.what))?;
    let ids = vocabulary.encode(&text, EncodeOptions { add_special: false, parse_special: true })?;
    Ok(Written { text, ids })
}

fn decode(vocabulary: &Result<Rc<Vocabulary>>, ids: &[u32]) -> Result<String> {
    let vocabulary = known(vocabulary)?;
    match ids.iter().find(|id| **id as usize >= vocabulary.len()) {
        Some(id) => Err(Fault::caller(format!("token {id} is beyond the vocabulary of {}", vocabulary.len()))),
        None => Ok(vocabulary.decode(ids)),
    }
}
