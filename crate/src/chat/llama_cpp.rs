//! How llama.cpp's runtime hands a conversation to a template (`common/chat.cpp` and `common/jinja/caps.cpp` at commit 0c1e57098, 2026).
//!
//! It renders a few probes first, concludes from them what the template knows (text or parts as content, a system role, arguments
//! as text or as objects), and changes every conversation accordingly; then it leaves out a BOS that the tokenizer adds anyway.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use minijinja::{
    Value,
    value::{Enumerator, Object, ObjectRepr, ValueKind},
};

use serde::{Deserialize, Serialize};

use super::{Conversation, Data, Failure, Template, apart, clock, conversations::refused, json};

/// Templates that llama.cpp renders by code of its own: a name, texts that the template holds, and texts that it does not.
/// Source: `common_chat_try_specialized_template`.
const OWN: &[(&str, &[&str], &[&str])] = &[
    ("Ministral", &["[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"], &["[CALL_ID]"]),
    ("gpt-oss", &["<|channel|>"], &[]),
    ("Muse Glimmer", &["<atem:function_calls>", "<|eom|>"], &[]),
    ("Functionary v3.2", &[">>>all", ">>>${recipient}"], &[]),
    ("Kimi K2", &["<|tool_calls_section_begin|>", "<|tool_call_begin|>"], &[]),
    ("Kimi K3", &["<|open|>", "<|close|>", "<|end_of_msg|>"], &[]),
    ("Ling 3", &["<role>ASSISTANT</role>", "<arg_key>"], &[]),
    ("Cohere 2 MoE", &["<|START_TEXT|>", "<|START_ACTION|>"], &[]),
    ("LFM2", &["<|tool_list_start|>", "<|tool_list_end|>"], &[]),
    ("LFM2.5", &["List of tools: ["], &["<|tool_list_start|>"]),
    ("GigaChat 3", &["<|role_sep|>", "<|message_sep|>"], &["<|function_call|>"]),
    ("MiniMax M3", &["]<]minimax[>[", "<tool_call>", "<invoke name="], &[]),
    ("DeepSeek V3.2", &["dsml_token", "DSML", "function_calls"], &[]),
    ("DeepSeek V4", &["dsml_token", "DSML", "tool_calls"], &[]),
    ("Gemma 4", &["'<|tool_call>call:'"], &[]),
    ("MiniCPM 5", &["Tool usage guidelines:", "<function name=\"", "<param name=\""], &[]),
    (
        "Qwen 3 Coder",
        &["<tool_call>", "<function=", "<parameter="],
        &["'<tool_call><function=' ~ tool_call.name ~ '>'"],
    ),
];

/// The name under which llama.cpp renders a template by code of its own, where it does.
pub(super) fn own_handler(template: &Template) -> Option<&'static str> {
    let holds = |text: &&str| template.source.contains(*text);
    let own = OWN.iter().find(|(_, with, without)| with.iter().all(holds) && !without.iter().any(holds));
    own.map(|(name, ..)| *name)
}

/// What llama.cpp concludes of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LlamaCpp {
    takes_text: bool,
    takes_parts: bool,
    takes_system: bool,
    takes_objects: bool,
}

impl LlamaCpp {
    /// Renders the probes, where templates are rendered.
    ///
    /// # Errors
    /// The rendering exceeds a limit of its process.
    pub(super) fn of(template: &Template) -> Result<Self, Failure> {
        apart::probe(template).unwrap_or_else(|| Ok(Self::probed(template)))
    }
    /// Renders the probes in this process.
    pub(super) fn probed(template: &Template) -> Self {
        let write = |messages: Vec<Value>, with_tools: bool| {
            let tools = if with_tools { vec![probe_tool()] } else { Vec::new() };
            template.write_here(&Conversation {
                messages: Data(Value::from(messages)),
                tools: Data(Value::from(tools)),
                add_generation_prompt: true,
                bos: Some(String::new()),
                eos: Some(String::new()),
                now: Some(0),
                ..Conversation::default()
            })
        };
        let text = write(vec![message("user", Value::from("STRING_MARKER"))], false);
        let parts = Watched::list();
        let listed = write(vec![message("user", Value::from_dyn_object(parts.clone()))], false);
        let takes_parts = parts.was_read() && (listed.is_ok() || text.is_err());
        let shows = |text: &Result<String, Failure>, mark: &str| text.as_ref().is_ok_and(|t| t.contains(mark));
        let takes_text = text.is_ok() && (!takes_parts || shows(&text, "STRING_MARKER"));
        let user = message("user", Value::from("User message"));
        let system = write(vec![message("system", Value::from("System message")), user.clone()], false);
        let arguments = Watched::map("arg", Value::from("value"));
        let with_objects = write(called(Value::from_dyn_object(arguments.clone())), true);
        let takes_objects = with_objects.is_ok() && arguments.was_read();
        Self { takes_text, takes_parts, takes_system: shows(&system, "System message"), takes_objects }
    }
    /// The text that the model reads: BOS once, where the tokenizer adds it.
    ///
    /// # Errors
    /// The template fails, or llama.cpp refuses the conversation.
    pub(super) fn write(
        self,
        template: &Template,
        conversation: &Conversation,
        adds_bos: bool,
    ) -> Result<String, Failure> {
        let given = self.given(conversation)?;
        let text = template.write(&given)?;
        let bos = conversation.bos.as_deref().filter(|bos| adds_bos && !bos.is_empty());
        let Some(bos) = bos else { return Ok(text) };
        Ok(format!("{bos}{}", text.strip_prefix(bos).unwrap_or(&text)))
    }

    /// The conversation as the template sees it.
    fn given(self, conversation: &Conversation) -> Result<Conversation, Failure> {
        let list = items(&conversation.messages.0);
        let mut messages = list.iter().map(|m| self.message(m)).collect::<Result<Vec<_>, _>>()?;
        let is_system = |m: &Fields| m.text("role") == Some("system");
        if !self.takes_system && messages.first().is_some_and(is_system) {
            let system = messages.remove(0);
            if let (Some(first), Some(next)) = (system.text("content"), messages.first_mut()) {
                let joined = format!("{first}\n{}", next.text("content").unwrap_or_default());
                next.set("content", Value::from(joined));
            }
        }
        // Without tools, and without a prompt for the model, these names are not there at all.
        let mut given = conversation.clone();
        given.messages = Data(Value::from(messages.into_iter().map(Fields::value).collect::<Vec<_>>()));
        for text in [&mut given.bos, &mut given.eos] {
            text.get_or_insert_default();
        }
        given.absent = [
            (items(&conversation.tools.0).is_empty(), "tools"),
            (!conversation.add_generation_prompt, "add_generation_prompt"),
            (true, "documents"),
        ]
        .into_iter()
        .filter_map(|(is_absent, name)| is_absent.then_some(name))
        .collect();
        let dates =
            conversation.now.map(|now| [("datetime", "%b %d %Y"), ("date_string", "%d %b %Y")].map(|d| (d, now)));
        let mut variables = vec![("enable_thinking".to_owned(), Data(Value::from(true)))];
        for ((name, format), now) in dates.into_iter().flatten() {
            variables.push((name.to_owned(), Data::text(&clock::strftime(now, format).unwrap_or_default())));
        }
        variables.retain(|(name, _)| conversation.variables.iter().all(|(given, _)| given != name));
        given.variables.extend(variables);
        Ok(given)
    }

    /// A message, made anew from what llama.cpp keeps of it.
    fn message(self, message: &Value) -> Result<Fields, Failure> {
        let field = |name: &str| message.get_attr(name).ok().filter(|v| !v.is_undefined() && !v.is_none());
        let mut kept = Fields::default();
        kept.set("role", field("role").unwrap_or_default());
        kept.set("content", self.content(field("content"))?);
        for name in ["reasoning_content", "name", "tool_call_id"] {
            if let Some(value) = field(name) {
                kept.set(name, value);
            }
        }
        if let Some(calls) = field("tool_calls") {
            let calls = items(&calls).iter().map(|call| self.call(call)).collect::<Result<Vec<_>, _>>()?;
            kept.set("tool_calls", Value::from(calls));
        }
        Ok(kept)
    }

    fn content(self, content: Option<Value>) -> Result<Value, Failure> {
        let Some(content) = content else { return Ok(Value::from("")) };
        let (only_text, only_parts) = (self.takes_text && !self.takes_parts, !self.takes_text && self.takes_parts);
        match content.kind() {
            ValueKind::String if only_parts => Ok(Value::from(vec![part(content)])),
            ValueKind::String => Ok(content),
            ValueKind::Seq => {
                let mut texts = Vec::new();
                for item in items(&content) {
                    let kind = item.get_attr("type").unwrap_or_default();
                    if kind.as_str() != Some("text") {
                        return Err(refused(format!("llama.cpp takes only parts of type text here, not {kind}")));
                    }
                    texts.push(item.get_attr("text").unwrap_or_default().to_string());
                }
                Ok(if only_text {
                    Value::from(texts.join("\n"))
                } else {
                    Value::from(texts.into_iter().map(|text| part(Value::from(text))).collect::<Vec<_>>())
                })
            }
            other => Err(refused(format!("llama.cpp takes a text or parts as content, not {other}"))),
        }
    }

    fn call(self, call: &Value) -> Result<Value, Failure> {
        let function = call.get_attr("function").unwrap_or_default();
        let arguments = function.get_attr("arguments").unwrap_or_default();
        let parsed = arguments.as_str().map(Data::parse);
        let arguments = match (self.takes_objects, parsed) {
            (true, Some(Ok(data))) => data.0,
            (true, Some(Err(fault))) => return Err(refused(format!("tool call arguments: {fault}"))),
            (true, None) | (false, Some(_)) => arguments,
            (false, None) => {
                let style = json::Style { separators: Some(vec![",".into(), ":".into()]), ..json::Style::default() };
                let text = json::dump(&arguments, &style, &|_| Ok(()));
                Value::from(text.map_err(|e| refused(format!("tool call arguments: {e}")))?)
            }
        };
        let mut kept = Fields::default();
        kept.set("type", Value::from("function"));
        let named = [("name", function.get_attr("name").unwrap_or_default()), ("arguments", arguments)];
        kept.set("function", Value::from_pairs(named));
        if let Some(id) = call.get_attr("id").ok().filter(|id| !id.is_undefined()) {
            kept.set("id", id);
        }
        Ok(kept.value())
    }
}

/// Fields of an object in their order.
#[derive(Debug, Clone, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| *n == name)?.1.as_str()
    }
    fn value(self) -> Value {
        Value::from_pairs(self.0)
    }
}

fn items(list: &Value) -> Vec<Value> {
    if list.kind() == ValueKind::Seq { list.try_iter().map(Iterator::collect).unwrap_or_default() } else { Vec::new() }
}

fn part(text: Value) -> Value {
    Value::from_pairs([("type", Value::from("text")), ("text", text)])
}

fn message(role: &str, content: Value) -> Value {
    Value::from_pairs([("role", Value::from(role)), ("content", content)])
}

/// A conversation with a call, its result and an answer.
fn called(arguments: Value) -> Vec<Value> {
    let function = Value::from_pairs([("name", Value::from("probed_call")), ("arguments", arguments)]);
    let call = Value::from_pairs([
        ("id", Value::from("call00001")),
        ("type", Value::from("function")),
        ("function", function),
    ]);
    let user = message("user", Value::from("User message"));
    let caller = Value::from_pairs([
        ("role", Value::from("assistant")),
        ("content", Value::from("")),
        ("tool_calls", Value::from(vec![call])),
    ]);
    let result = Value::from_pairs([
        ("role", Value::from("tool")),
        ("content", Value::from("Tool response")),
        ("tool_call_id", Value::from("call00001")),
    ]);
    vec![user.clone(), caller, result, message("assistant", Value::from("The tool response was 'tool response'")), user]
}

fn probe_tool() -> Value {
    let tool = r#"{"name":"tool","type":"function","function":{"name":"tool1","description":"Tool description","parameters":{"type":"object","properties":{"arg":{"type":"string","description":"Arg description"}},"required":["arg"]}}}"#;
    Data::parse(tool).unwrap_or_default().0
}

/// A list without items or an object of one field that remembers whether its inside was looked at.
#[derive(Debug)]
struct Watched {
    field: Option<(&'static str, Value)>,
    read: AtomicBool,
}

impl Watched {
    fn list() -> Arc<Self> {
        Arc::new(Self { field: None, read: AtomicBool::new(false) })
    }
    fn map(name: &'static str, value: Value) -> Arc<Self> {
        Arc::new(Self { field: Some((name, value)), read: AtomicBool::new(false) })
    }
    fn was_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }
}

impl Object for Watched {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.field.is_some() { ObjectRepr::Map } else { ObjectRepr::Seq }
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read.store(true, Ordering::Relaxed);
        let (name, value) = self.field.as_ref()?;
        (key.as_str() == Some(name)).then(|| value.clone())
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.read.store(true, Ordering::Relaxed);
        match &self.field {
            Some((name, _)) => Enumerator::Values(vec![Value::from(*name)]),
            None => Enumerator::Seq(0),
        }
    }
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(usize::from(self.field.is_some()))
    }
    /// Printing it as it is does not look inside.
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("watched")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// Names as in llama.cpp's `caps::to_map`.
    fn concluded(source: &str) -> BTreeMap<&'static str, bool> {
        let template = Template { name: "default".into(), source: source.into(), from: "test".into() };
        let found = LlamaCpp::probed(&template);
        // It follows from the same conversation, and changes nothing of what the template is given.
        let with_text = template.write_here(&Conversation {
            messages: Data(Value::from(called(Value::from("{\"arg\": \"value\"}")))),
            tools: Data(Value::from(vec![probe_tool()])),
            add_generation_prompt: true,
            ..Conversation::default()
        });
        let shows_calls = with_text.is_ok_and(|text| text.contains("probed_call"));
        BTreeMap::from([
            ("supports_string_content", found.takes_text),
            ("supports_typed_content", found.takes_parts),
            ("supports_system_role", found.takes_system),
            ("supports_object_arguments", found.takes_objects),
            ("supports_tool_calls", found.takes_objects || shows_calls),
        ])
    }

    /// Reference: `caps_get` of llama.cpp itself (its `common/jinja`, commit 0c1e57098), run over these templates.
    /// Left out: strings and whitespace, which its parser refuses, and filters and namespace, where its engine fails on the first probe.
    #[test]
    fn probes_conclude_what_llama_cpp_concludes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/chat");
        let text = fs::read_to_string(folder.join("llama_cpp.json")).unwrap();
        let expected: BTreeMap<String, BTreeMap<String, bool>> = serde_json::from_str(&text).unwrap();
        let mut wrong = Vec::new();
        for (file, expected) in &expected {
            let source = fs::read_to_string(folder.join("templates").join(file)).unwrap();
            for (name, found) in concluded(&source) {
                if expected[name] != found {
                    wrong.push(format!("{file}: {name} is {}, {found} found", expected[name]));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn templates_with_a_handler_of_their_own_are_named_and_not_compared() {
        let template = |source: &str| Template { name: "default".into(), source: source.into(), from: "test".into() };
        assert_eq!(own_handler(&template("{{ '<|channel|>' }}")), Some("gpt-oss"));
        assert_eq!(own_handler(&template("[SYSTEM_PROMPT][TOOL_CALLS][ARGS]")), Some("Ministral"));
        assert_eq!(own_handler(&template("[SYSTEM_PROMPT][TOOL_CALLS][ARGS][CALL_ID]")), None);
    }
}
