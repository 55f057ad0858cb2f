//! Messages as clients send them, as templates take them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::{ApiError, ApiResult};
use crate::session::{Conversation, Data};

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    role: String,
    content: Option<Content>,
    name: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    /// JSON as a text, as OpenAI writes it.
    #[serde(default)]
    arguments: String,
}

/// What a conversation is made of.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    messages: Vec<Message>,
    tools: Option<Vec<Data>>,
    tool_choice: Option<Value>,
    chat_template_kwargs: Option<BTreeMap<String, Data>>,
    reasoning_effort: Option<String>,
    add_generation_prompt: Option<bool>,
}

impl Said {
    /// Whether the model may call tools.
    pub(super) fn has_tools(&self) -> bool {
        self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) && self.tool_choice != Some("none".into())
    }
    /// As templates take it.
    ///
    /// # Errors
    /// There is no message, or one has a form that is not known; a tool is to be called by force.
    pub(super) fn conversation(self) -> ApiResult<Conversation> {
        if self.messages.is_empty() {
            return Err(ApiError::field("messages", "there are no messages"));
        }
        match &self.tool_choice {
            None | Some(Value::Null) => {}
            Some(Value::String(choice)) if choice == "auto" || choice == "none" => {}
            Some(_) => {
                let what = "tool_choice: auto or none expected; a call cannot be forced yet";
                return Err(ApiError { param: Some("tool_choice"), ..ApiError::unsupported(what) });
            }
        }
        let has_tools = self.has_tools();
        let messages: Vec<String> = self.messages.iter().map(Message::json).collect::<ApiResult<_>>()?;
        let mut variables: Vec<(String, Data)> = self.chat_template_kwargs.unwrap_or_default().into_iter().collect();
        if let Some(effort) = self.reasoning_effort {
            variables.push(("reasoning_effort".into(), Data::text(&effort)));
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(Conversation {
            messages: Data::parse(&format!("[{}]", messages.join(",")))?,
            tools: if has_tools { Data::list(self.tools.unwrap_or_default()) } else { Data::default() },
            add_generation_prompt: self.add_generation_prompt.unwrap_or(true),
            variables,
            now: since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()),
            ..Conversation::default()
        })
    }
}

impl Message {
    /// As JSON; its keys in the order that templates write them out.
    fn json(&self) -> ApiResult<String> {
        // The newer name of the same role is known to few templates.
        let role = if self.role == "developer" { "system" } else { self.role.as_str() };
        let mut out = format!("{{\"role\":{},\"content\":{}", json!(role), json!(self.text()?));
        for (key, value) in
            [("name", &self.name), ("reasoning_content", &self.reasoning_content), ("tool_call_id", &self.tool_call_id)]
        {
            if let Some(value) = value {
                out.push_str(&format!(",\"{key}\":{}", json!(value)));
            }
        }
        let calls: Vec<String> = self.tool_calls.iter().flatten().map(ToolCall::json).collect();
        if !calls.is_empty() {
            out.push_str(&format!(",\"tool_calls\":[{}]", calls.join(",")));
        }
        out.push('}');
        Ok(out)
    }
    fn text(&self) -> ApiResult<String> {
        match &self.content {
            None => Ok(String::new()),
            Some(Content::Text(text)) => Ok(text.clone()),
            Some(Content::Parts(parts)) => {
                let text = |part: &Part| match (&part.text, part.kind.as_str()) {
                    (Some(text), "text" | "input_text" | "output_text") => Ok(text.clone()),
                    (_, kind) => {
                        let kind: String = kind.chars().take(40).collect();
                        Err(ApiError::field("messages", format!("a part of type {kind:?}: text alone is taken")))
                    }
                };
                Ok(parts.iter().map(text).collect::<ApiResult<Vec<_>>>()?.join("\n"))
            }
        }
    }
}

impl ToolCall {
    fn json(&self) -> String {
        let id = self.id.as_ref().map(|id| format!("\"id\":{},", json!(id))).unwrap_or_default();
        // Templates write arguments out as JSON by themselves: what is an object is given as one, its keys in their order.
        let object = self.function.arguments.trim().starts_with('{')
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.function.arguments).is_ok();
        let arguments =
            if object { self.function.arguments.clone() } else { json!(self.function.arguments).to_string() };
        let name = json!(self.function.name);
        format!("{{{id}\"type\":\"function\",\"function\":{{\"name\":{name},\"arguments\":{arguments}}}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_form_become_what_templates_take() {
        let given = r#"{"messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"z\": 1, \"a\": 2}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"4"}]}"#;
        let said: Said = serde_json::from_str(given).expect("a conversation");
        let texts: Vec<String> = said.messages.iter().map(|m| m.json().expect("JSON")).collect();
        assert_eq!(texts[0], r#"{"role":"system","content":"a\nb"}"#);
        assert_eq!(
            texts[1],
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"z": 1, "a": 2}}}]}"#
        );
        assert_eq!(texts[2], r#"{"role":"tool","content":"4","tool_call_id":"c1"}"#);
        let picture = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}"#;
        let said: Said = serde_json::from_str(picture).expect("a conversation");
        assert!(said.conversation().expect_err("refused").message.contains("image_url"));
    }
}
