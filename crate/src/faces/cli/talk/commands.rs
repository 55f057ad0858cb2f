//! Lines that begin with a slash, and the settings that `/set` knows.

use crate::session::{Data, GenerationOptions};

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    /// Without a text: shows it.
    System(Option<&'a str>),
    /// Without a name: shows all.
    Set(Option<(&'a str, &'a str)>),
    Undo,
    Retry,
    Edit(Option<&'a str>),
    Clear,
    History,
    Save(&'a str),
    Quit,
}

/// Commands as `/help` lists them.
pub(super) const COMMANDS: [(&str, &str); 10] = [
    ("/help", "this list"),
    ("/system [TEXT]", "the system message; - removes it"),
    (
        "/set [NAME VALUE]",
        "how tokens are chosen, the most tokens, or a variable of the template; alone: all that can be set",
    ),
    ("/undo", "take back the last message and its answer"),
    ("/retry", "answer the last message again, with another seed where tokens are drawn"),
    ("/edit [TEXT]", "replace the last message, and have the new one answered"),
    ("/clear", "forget the conversation; the system message stays"),
    ("/history", "all that was said"),
    ("/save FILE", "write the messages to a new file, as JSON"),
    ("/quit", "end the talk"),
];

/// A line as a command; none where it is a message. A message that begins with a slash is written with two.
pub(super) fn parse(line: &str) -> Result<Option<Command<'_>>, String> {
    if !line.starts_with('/') || line.starts_with("//") {
        return Ok(None);
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    let alone = |command| match rest {
        None => Ok(Some(command)),
        Some(_) => Err(format!("{name} takes no argument")),
    };
    match name {
        "/help" => alone(Command::Help),
        "/undo" => alone(Command::Undo),
        "/retry" => alone(Command::Retry),
        "/clear" => alone(Command::Clear),
        "/history" => alone(Command::History),
        "/quit" | "/exit" => alone(Command::Quit),
        "/system" => Ok(Some(Command::System(rest))),
        "/edit" => Ok(Some(Command::Edit(rest))),
        "/save" => rest.map(|file| Some(Command::Save(file))).ok_or_else(|| "/save needs the name of a file".into()),
        "/set" => match rest.map(|rest| rest.split_once([' ', '\t', '=']).ok_or(rest)) {
            None => Ok(Some(Command::Set(None))),
            Some(Ok((name, value))) => Ok(Some(Command::Set(Some((name, value.trim()))))),
            Some(Err(name)) => Err(format!("/set {name} needs a value")),
        },
        other => Err(format!("no command is named {other}; /help lists them, and // begins a message with a slash")),
    }
}

/// Names and values of all that can be set besides the template's variables.
pub(super) fn settings(options: &GenerationOptions) -> Vec<(&'static str, String)> {
    let how = &options.sampling;
    vec![
        ("tokens", options.max_tokens.to_string()),
        ("temp", how.temperature.to_string()),
        ("top-k", how.top_k.to_string()),
        ("top-p", how.top_p.to_string()),
        ("min-p", how.min_p.to_string()),
        ("seed", how.seed.to_string()),
        ("repetition-penalty", how.repetition_penalty.to_string()),
        ("presence-penalty", how.presence_penalty.to_string()),
        ("frequency-penalty", how.frequency_penalty.to_string()),
    ]
}

/// Sets what has this name; false where nothing has.
pub(super) fn set(options: &mut GenerationOptions, name: &str, value: &str) -> Result<bool, String> {
    fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
        value.parse().map_err(|_| format!("{name} cannot be \"{value}\""))
    }
    let mut changed = options.clone();
    let how = &mut changed.sampling;
    match name.replace('_', "-").as_str() {
        "tokens" => changed.max_tokens = number(name, value)?,
        "temp" | "temperature" => how.temperature = number(name, value)?,
        "top-k" => how.top_k = number(name, value)?,
        "top-p" => how.top_p = number(name, value)?,
        "min-p" => how.min_p = number(name, value)?,
        "seed" => how.seed = number(name, value)?,
        "repetition-penalty" => how.repetition_penalty = number(name, value)?,
        "presence-penalty" => how.presence_penalty = number(name, value)?,
        "frequency-penalty" => how.frequency_penalty = number(name, value)?,
        _ => return Ok(false),
    }
    changed.sampling.check().map_err(|fault| fault.what)?;
    *options = changed;
    Ok(true)
}

/// A template's variable from its text: JSON where it is some.
pub(super) fn variable(value: &str) -> Data {
    Data::parse(value).unwrap_or_else(|_| Data::text(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_commands_or_refused_with_a_reason() {
        assert_eq!(parse("Hello"), Ok(None));
        assert_eq!(parse("//usr/bin"), Ok(None));
        assert_eq!(parse("/system  Be brief. "), Ok(Some(Command::System(Some("Be brief.")))));
        assert_eq!(parse("/set temp 0.5"), Ok(Some(Command::Set(Some(("temp", "0.5"))))));
        assert_eq!(parse("/set top-k=3"), Ok(Some(Command::Set(Some(("top-k", "3"))))));
        for (line, part) in [
            ("/nope", "no command is named /nope"),
            ("/save", "needs the name of a file"),
            ("/set temp", "needs a value"),
            ("/quit now", "takes no argument"),
        ] {
            let refused = parse(line).unwrap_err();
            assert!(refused.contains(part), "{line}: {refused}");
        }
    }

    #[test]
    fn every_command_of_the_list_is_known_and_every_setting_takes_its_own_value() {
        for (usage, _) in COMMANDS {
            let line = usage.replace("[NAME VALUE]", "").replace(['[', ']'], "");
            assert!(matches!(parse(line.trim()), Ok(Some(_))), "{usage}");
        }
        let mut options = GenerationOptions::default();
        for (name, value) in settings(&options.clone()) {
            assert_eq!(set(&mut options, name, &value), Ok(true), "{name}");
        }
        assert_eq!(set(&mut options, "mood", "calm"), Ok(false));
        assert!(set(&mut options, "temp", "warm").is_err());
        assert!(set(&mut options, "top-p", "-1").is_err(), "out of range, and refused before an answer is asked for");
        assert_eq!(options.sampling.top_p, 1.0);
    }
}
