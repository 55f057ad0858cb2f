//! The chat templates that a model's files hold, and a conversation written by one of them.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    chat::{self, Agreement, Around, Conversation, Failure, Finding, Template, Tried},
    fault::{Blame, Fault, Result},
    model::{ModelFile, Note, Severity},
    order,
    source::{SourceFile, SourceSet},
    tokenizer::{EncodeOptions, Piece, Vocabulary},
};

use super::{Inspection, vocabulary};

/// The metadata key of a GGUF's default template; others go on after a dot.
const KEY: &str = "tokenizer.chat_template";
/// Bytes of a text up to which its tokens are told one by one.
const PIECES: usize = 1 << 20;

/// Everything needed to write conversations.
pub struct Chat {
    /// Default first.
    templates: Vec<Template>,
    vocabulary: Option<Rc<Vocabulary>>,
    /// Files that should hold templates and could not be read.
    notes: Vec<Note>,
}

/// A conversation as text and as ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Its tokens, special ones parsed and none added; none without a tokenizer.
    pub ids: Option<Vec<u32>>,
    /// The same with their places in the text; none of a very long text.
    pub pieces: Option<Vec<Piece>>,
    /// Findings about the template.
    pub findings: Vec<Finding>,
    /// Findings about the text.
    pub notes: Vec<Note>,
}

/// Two templates, and what each of them makes of one conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared<'a> {
    /// The first template.
    pub left: &'a Template,
    /// The second.
    pub right: &'a Template,
    /// What each of them writes.
    pub texts: [Result<String, Failure>; 2],
}

impl Chat {
    /// Of a model, a folder, or a `tokenizer_config.json` or `.jinja` file alone.
    ///
    /// # Errors
    /// A file cannot be read, or none holds a template.
    pub async fn open(files: SourceSet) -> Result<Self> {
        let inspection = Inspection::open(files.clone()).await.ok();
        let found = find(&files, inspection.as_ref().map(Inspection::model)).await;
        let vocabulary = super::open_vocabulary(files).await.ok().map(Rc::new);
        Self::with(found, vocabulary)
    }
    /// Of an opened model and the files beside it.
    ///
    /// # Errors
    /// As [`Chat::open`].
    pub async fn of(inspection: &Inspection) -> Result<Self> {
        let found = find(inspection.files(), Some(inspection.model())).await;
        Self::with(found, inspection.vocabulary().await.ok())
    }
    fn with((templates, mut faults): (Vec<Template>, Vec<Fault>), vocabulary: Option<Rc<Vocabulary>>) -> Result<Self> {
        if templates.is_empty() {
            return Err(if faults.is_empty() {
                Fault::unsupported(
                    "no chat template here: looked for tokenizer.chat_template in GGUF metadata, tokenizer_config.json, chat_template.json and .jinja files",
                )
            } else {
                faults.swap_remove(0)
            });
        }
        let note = |fault: Fault| {
            Note::new(Severity::Warning, format!("A file of chat templates could not be read: {fault}"))
                .why("Templates may be missing from the list.")
        };
        Ok(Self { templates, vocabulary, notes: faults.into_iter().map(note).collect() })
    }
    /// The templates, the default first.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }
    /// Files that should hold templates and could not be read.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
    /// Whether there is a tokenizer beside the templates.
    pub fn can_encode(&self) -> bool {
        self.vocabulary.is_some()
    }
    /// The template of a name, or the default.
    ///
    /// # Errors
    /// There is none of that name; the fault lists those that there are.
    pub fn template(&self, name: Option<&str>) -> Result<&Template> {
        let found = match name {
            Some(name) => self.templates.iter().find(|template| template.name == name),
            None => self.templates.first(),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.templates.iter().map(|template| template.name.as_str()).collect();
            Fault::caller(format!(
                "no chat template is named {:?}; there are {}",
                name.unwrap_or_default(),
                names.join(", ")
            ))
        })
    }
    /// Findings about a template.
    pub fn lint(&self, template: &Template) -> Vec<Finding> {
        chat::lint(template, self.vocabulary.as_ref().is_some_and(|vocabulary| vocabulary.adds_bos()))
    }
    /// The text that a template makes of a conversation; BOS and EOS are the tokenizer's.
    ///
    /// # Errors
    /// As [`Template::render`], with the line.
    pub fn write(&self, template: &Template, mut conversation: Conversation) -> Result<String, Failure> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        if let Some(vocabulary) = &self.vocabulary {
            conversation.bos = conversation.bos.or_else(|| own(vocabulary.bos_text()));
            conversation.eos = conversation.eos.or_else(|| own(vocabulary.eos_text()));
        }
        template.write(&conversation)
    }
    /// Writes a conversation and encodes it. A text that the tokenizer cannot encode has no ids, and a note.
    ///
    /// # Errors
    /// As [`Chat::write`]; there is no template of that name.
    pub fn render(&self, name: Option<&str>, conversation: Conversation) -> Result<Rendered, Failure> {
        let template = self.template(name).map_err(|fault| Failure { line: None, fault })?;
        let text = self.write(template, conversation)?;
        let options = EncodeOptions { add_special: false, parse_special: true };
        let (mut ids, mut pieces, mut notes) = (None, None, Vec::new());
        if let Some(vocabulary) = &self.vocabulary {
            let encoded = if text.len() <= PIECES {
                vocabulary.preview(&text, options).map(|preview| {
                    ids = Some(preview.pieces.iter().map(|piece| piece.id).collect());
                    pieces = Some(preview.pieces);
                })
            } else {
                vocabulary.encode(&text, options).map(|all| ids = Some(all))
            };
            if let Err(fault) = encoded {
                notes.push(Note::new(Severity::Warning, format!("The text cannot be encoded: {fault}")));
            }
        }
        Ok(Rendered { text, ids, pieces, findings: self.lint(template), notes })
    }
    /// What the tokenizer adds to conversations; `now` in seconds since 1970, UTC.
    fn around(&self, now: Option<i64>) -> Around {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let vocabulary = self.vocabulary.as_deref();
        Around {
            bos: own(vocabulary.and_then(Vocabulary::bos_text)),
            eos: own(vocabulary.and_then(Vocabulary::eos_text)),
            adds_bos: vocabulary.is_some_and(Vocabulary::adds_bos),
            now,
        }
    }
    /// A set of conversations by a template, as transformers and as llama.cpp hand them to it.
    ///
    /// # Errors
    /// There is no template of that name.
    pub fn try_all(&self, name: Option<&str>, now: Option<i64>) -> Result<Vec<Tried>> {
        chat::try_all(self.template(name)?, &self.around(now))
    }
    /// The same set by two templates: of each conversation its name and whether they write the same.
    ///
    /// # Errors
    /// There is no template of a name.
    pub fn compare_all(
        &self,
        name: Option<&str>,
        other: &Chat,
        other_name: Option<&str>,
        now: Option<i64>,
    ) -> Result<Vec<(&'static str, Agreement)>> {
        let (left, right) = (self.template(name)?, other.template(other_name)?);
        chat::compare_all((left, &self.around(now)), (right, &other.around(now)))
    }
    /// Two templates side by side, the second one of another model where one is given.
    ///
    /// # Errors
    /// There is no template of a name.
    pub fn compare<'a>(
        &'a self,
        name: Option<&str>,
        other: &'a Chat,
        other_name: Option<&str>,
        conversation: &Conversation,
    ) -> Result<Compared<'a>> {
        let (left, right) = (self.template(name)?, other.template(other_name)?);
        let texts = [self.write(left, conversation.clone()), other.write(right, conversation.clone())];
        Ok(Compared { left, right, texts })
    }
}

/// All templates, the one that transformers would take first: a file of its own before tokenizer_config.json;
/// and the files that should hold some but cannot be read.
pub(super) async fn find(files: &SourceSet, model: Option<&ModelFile>) -> (Vec<Template>, Vec<Fault>) {
    let mut found: Vec<Template> = Vec::new();
    let mut add = |name: &str, source: &str, from: &str| {
        let template = Template { name: name.to_owned(), source: source.to_owned(), from: from.to_owned() };
        // The same name from two places: the later one is told apart by its place.
        let taken = found.iter().any(|other| other.name == template.name);
        let name = if taken { format!("{name} ({from})") } else { template.name.clone() };
        found.push(Template { name, ..template });
    };
    let mut faults = Vec::new();
    for (key, _) in model.iter().flat_map(|model| model.metadata.iter()) {
        let name = match key.strip_prefix(KEY) {
            Some("") => "default",
            Some(rest) => rest.strip_prefix('.').unwrap_or_default(),
            None => "",
        };
        if let (false, Some(source)) = (name.is_empty(), model.and_then(|model| model.metadata.string(key))) {
            add(name, source, key);
        }
    }
    for file in files.files() {
        let base = file.name().rsplit('/').next().unwrap_or_default();
        let Some(name) = base.strip_suffix(".jinja") else { continue };
        match text_of(file).await {
            Ok(source) => add(if name == "chat_template" { "default" } else { name }, &source, file.name()),
            Err(fault) => faults.push(fault),
        }
    }
    for wanted in ["chat_template.json", "tokenizer_config.json"] {
        for file in files.files().iter().filter(|file| vocabulary::is_named(file, wanted)) {
            match json_of(file).await {
                Ok(json) => named(&json, &mut |name, source| add(name, source, file.name())),
                Err(fault) => faults.push(fault),
            }
        }
    }
    // A folder's file wins over what is packed into the model beside it only by name; the plain default comes first.
    order::sort_by_key(&mut found, |template: &Template| template.name != "default");
    (found, faults)
}

/// The templates of a `tokenizer_config.json`: one, or a list of named ones.
fn named(json: &Value, add: &mut dyn FnMut(&str, &str)) {
    match json.get("chat_template") {
        Some(Value::String(source)) => add("default", source),
        Some(Value::Array(named)) => {
            for entry in named {
                let text = |key: &str| entry.get(key).and_then(Value::as_str);
                if let (Some(name), Some(source)) = (text("name"), text("template")) {
                    add(name, source);
                }
            }
        }
        _ => {}
    }
}

async fn text_of(file: &SourceFile) -> Result<String> {
    String::from_utf8(vocabulary::whole(file).await?)
        .map_err(|e| Fault::file(e.utf8_error().valid_up_to() as u64, "a template is not UTF-8").in_file(file.name()))
}

async fn json_of(file: &SourceFile) -> Result<Value> {
    serde_json::from_slice(&vocabulary::whole(file).await?)
        .map_err(|e| Fault::new(Blame::File, format!("not JSON: {e}")).in_file(file.name()))
}
