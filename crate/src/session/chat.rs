//! The chat templates that a model's files hold, and a conversation written by one of them.

use serde_json::Value;

use crate::{
    chat::{self, Conversation, Template},
    fault::{Blame, Fault, Result},
    model::{ModelFile, Note},
    source::SourceSet,
    tokenizer::{EncodeOptions, Vocabulary},
};

use super::{Inspection, vocabulary};

/// The metadata key of a GGUF's default template; others go on after a dot.
const KEY: &str = "tokenizer.chat_template";

/// Everything needed to write conversations.
pub struct Chat {
    /// Default first.
    templates: Vec<Template>,
    vocabulary: Option<Vocabulary>,
}

/// A conversation as text and as ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Its tokens, special ones parsed and none added; none without a tokenizer.
    pub ids: Option<Vec<u32>>,
    /// Findings about the template.
    pub notes: Vec<Note>,
}

impl Chat {
    /// Of a model, a folder, or a `tokenizer_config.json` or `.jinja` file alone.
    ///
    /// # Errors
    /// A file cannot be read, or none holds a template.
    pub async fn open(files: SourceSet) -> Result<Self> {
        let inspection = Inspection::open(files.clone()).await.ok();
        let templates = find(&files, inspection.as_ref().map(Inspection::model)).await?;
        if templates.is_empty() {
            return Err(Fault::unsupported(
                "no chat template here: looked for tokenizer.chat_template in GGUF metadata, tokenizer_config.json, chat_template.json and .jinja files",
            ));
        }
        let vocabulary = super::open_vocabulary(files).await.ok();
        Ok(Self { templates, vocabulary })
    }
    /// The templates, the default first.
    pub fn templates(&self) -> &[Template] {
        &self.templates
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
    /// Writes a conversation; BOS and EOS are the tokenizer's.
    ///
    /// # Errors
    /// As [`Template::render`]; the text cannot be encoded.
    pub fn render(&self, name: Option<&str>, mut conversation: Conversation) -> Result<Rendered> {
        let template = self.template(name)?;
        let own = |text: Option<&str>| text.map(str::to_owned);
        if let Some(vocabulary) = &self.vocabulary {
            conversation.bos = conversation.bos.or_else(|| own(vocabulary.bos_text()));
            conversation.eos = conversation.eos.or_else(|| own(vocabulary.eos_text()));
        }
        let text = template.render(&conversation)?;
        let options = EncodeOptions { add_special: false, parse_special: true };
        let ids = self.vocabulary.as_ref().map(|vocabulary| vocabulary.encode(&text, options)).transpose()?;
        let adds_bos = self.vocabulary.as_ref().is_some_and(Vocabulary::adds_bos);
        Ok(Rendered { text, ids, notes: chat::lint(template, adds_bos) })
    }
}

/// All templates, the one that transformers would take first: a file of its own before tokenizer_config.json.
async fn find(files: &SourceSet, model: Option<&ModelFile>) -> Result<Vec<Template>> {
    let mut found: Vec<Template> = Vec::new();
    let mut add = |name: &str, source: &str, from: &str| {
        let template = Template { name: name.to_owned(), source: source.to_owned(), from: from.to_owned() };
        // The same name from two places: the later one is told apart by its place.
        let taken = found.iter().any(|other| other.name == template.name);
        let name = if taken { format!("{name} ({from})") } else { template.name.clone() };
        found.push(Template { name, ..template });
    };
    if let Some(model) = model {
        for (key, _) in model.metadata.iter() {
            let name = match key.strip_prefix(KEY) {
                Some("") => "default",
                Some(rest) => rest.strip_prefix('.').unwrap_or_default(),
                None => "",
            };
            if let (false, Some(source)) = (name.is_empty(), model.metadata.string(key)) {
                add(name, source, key);
            }
        }
    }
    for file in files.files() {
        let base = file.name().rsplit('/').next().unwrap_or_default();
        if let Some(name) = base.strip_suffix(".jinja") {
            let bytes = vocabulary::whole(file).await?;
            let source = String::from_utf8(bytes).map_err(|e| {
                Fault::file(e.utf8_error().valid_up_to() as u64, "a template is not UTF-8").in_file(file.name())
            })?;
            add(if name == "chat_template" { "default" } else { name }, &source, file.name());
        }
    }
    for wanted in ["chat_template.json", "tokenizer_config.json"] {
        for file in files.files().iter().filter(|file| vocabulary::is_named(file, wanted)) {
            let json: Value = serde_json::from_slice(&vocabulary::whole(file).await?)
                .map_err(|e| Fault::new(Blame::File, format!("not JSON: {e}")).in_file(file.name()))?;
            match json.get("chat_template") {
                Some(Value::String(source)) => add("default", source, file.name()),
                Some(Value::Array(named)) => {
                    for entry in named {
                        let text = |key: &str| entry.get(key).and_then(Value::as_str);
                        if let (Some(name), Some(source)) = (text("name"), text("template")) {
                            add(name, source, file.name());
                        }
                    }
                }
                _ => {}
            }
        }
    }
    // A folder's file wins over what is packed into the model beside it only by name; the plain default comes first.
    found.sort_by_key(|template| template.name != "default");
    Ok(found)
}
