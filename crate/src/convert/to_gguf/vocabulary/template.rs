//! Chat templates: in tokenizer_config.json, or in files of their own.

use serde_json::Value;

use super::Files;
use crate::{
    convert::to_gguf::settings::Settings,
    fault::{Blame, Fault, Result},
    model::{MetaType, MetaValue},
};

/// Writes the default template under its key, others under their names.
pub(super) async fn write(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let stated = found.settings.get("chat_template").filter(|t| t.is_string() || t.is_array()).cloned();
    let template = match stated {
        Some(template) => template,
        None => match beside(found).await? {
            Some(template) => template,
            None => return Ok(()),
        },
    };
    let list = match &template {
        Value::String(text) => return s.text("tokenizer.chat_template", text),
        Value::Array(list) => list,
        _ => return Ok(()),
    };
    let named =
        |entry: &Value| Some((entry.get("name")?.as_str()?.to_owned(), entry.get("template")?.as_str()?.to_owned()));
    let mut names = Vec::new();
    let mut default = None;
    for (name, text) in list.iter().filter_map(named) {
        if name == "default" {
            default = Some(text);
            continue;
        }
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        s.text(&format!("tokenizer.chat_template.{plain}"), &text)?;
        names.push(MetaValue::String(plain));
    }
    if !names.is_empty() {
        s.list("tokenizer.chat_templates", MetaType::String, names)?;
    }
    default.map_or(Ok(()), |text| s.text("tokenizer.chat_template", &text))
}

async fn beside(found: &Files<'_>) -> Result<Option<Value>> {
    if let Some(bytes) = found.read("chat_template.jinja").await? {
        let text =
            String::from_utf8(bytes).map_err(|_| Fault::new(Blame::File, "no UTF-8").in_file("chat_template.jinja"))?;
        return Ok(Some(Value::String(text)));
    }
    match found.read("chat_template.json").await? {
        Some(bytes) => Ok(super::parsed("chat_template.json", &bytes)?.get("chat_template").cloned()),
        None => Ok(None),
    }
}
