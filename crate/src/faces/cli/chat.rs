//! `glassbox chat-template`.

use std::{io::Read, path::PathBuf, time::SystemTime};

use crate::{
    fault::{Fault, Result},
    report::{ChatReport, ConversationsReport, DiffReport, FailureReport, OutcomeReport, TemplateDiffReport},
    session::{Chat, Conversation, Data, Need},
};

use super::{
    Exit,
    args::ChatArgs,
    inspect,
    terminal::{self, BOLD, DIM, GREEN, RED, plain},
};

/// Runs the command.
pub(super) fn run(args: &ChatArgs, json: bool) -> Result<Exit> {
    let files = terminal::open_for(std::slice::from_ref(&args.path), Need::Chat)?;
    let messages = match (&args.messages, &args.user) {
        (Some(file), _) => parse(file)?,
        (None, Some(text)) => Data::said(text),
        (None, None) => Data::said("Hello!"),
    };
    let conversation = Conversation {
        messages,
        tools: args.tools.as_deref().map_or(Ok(Data::default()), parse)?,
        add_generation_prompt: !args.no_generation_prompt,
        variables: args.set.clone(),
        now: now(),
        ..Conversation::default()
    };
    let chat = terminal::block_on(Chat::open(files))?;
    let name = args.name.as_deref();
    if args.conversations {
        return conversations(&chat, name, args.diff.as_deref(), json);
    }
    if let Some(other) = &args.diff {
        return compare(&chat, name, other, &conversation, json);
    }
    let (report, fault) = ChatReport::of(&chat, name, conversation)?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show(&report));
    }
    Ok(Exit::Fine)
}

/// Compares with the template of a name, else with the default of another file or folder.
fn compare(chat: &Chat, name: Option<&str>, other: &str, conversation: &Conversation, json: bool) -> Result<Exit> {
    let report = match second(chat, other)? {
        None => TemplateDiffReport::of(&chat.compare(name, chat, Some(other), conversation)?),
        Some(second) => TemplateDiffReport::of(&chat.compare(name, &second, None, conversation)?),
    };
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show_diff(&report));
    }
    Ok(if report.is_empty() { Exit::Fine } else { Exit::Findings })
}

/// The file or folder that holds another template; `None` where it is the name of one here.
fn second(chat: &Chat, other: &str) -> Result<Option<Chat>> {
    if chat.templates().iter().any(|template| template.name == other) {
        return Ok(None);
    }
    let path = PathBuf::from(other);
    if !path.exists() {
        let names: Vec<&str> = chat.templates().iter().map(|template| template.name.as_str()).collect();
        let what = format!("{other:?} is neither a file nor a template here; there are {}", names.join(", "));
        return Err(Fault::caller(what));
    }
    terminal::block_on(Chat::open(terminal::open_for(&[path], Need::Chat)?)).map(Some)
}

/// The set of conversations, as two programs render it and by another template.
fn conversations(chat: &Chat, name: Option<&str>, other: Option<&str>, json: bool) -> Result<Exit> {
    let second = other.map(|other| second(chat, other)).transpose()?.flatten();
    let beside = other.map(|other| second.as_ref().map_or((chat, Some(other)), |second| (second, None)));
    let report = ConversationsReport::of(chat, name, beside, now())?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show_conversations(&report, other));
    }
    Ok(if other.is_some() && report.differs() { Exit::Findings } else { Exit::Fine })
}

fn show_conversations(report: &ConversationsReport, other: Option<&str>) -> String {
    let mut out = format!("{DIM}template {} from {}{DIM:#}\n", plain(&report.template), plain(&report.from));
    for conversation in &report.conversations {
        let read = match (&conversation.text, &conversation.failure) {
            (Some(text), _) => format!("{} bytes", text.len()),
            (None, Some(failure)) => format!("no text: {}", plain(&failure.fault.what)),
            (None, None) => String::new(),
        };
        out.push_str(&format!("\n{BOLD}{}{BOLD:#}\n  transformers  {read}\n", conversation.name));
        outcome(&mut out, "llama.cpp", &conversation.llama_cpp);
        if let (Some(found), Some(other)) = (&conversation.other, other) {
            outcome(&mut out, &plain(other), found);
        }
    }
    out
}

/// One line for what is equal, the two lines of a difference else.
fn outcome(out: &mut String, who: &str, found: &OutcomeReport) {
    let why = found.why.as_deref().map(plain).unwrap_or_default();
    let told = match found.outcome {
        "same" => format!("{GREEN}the same{GREEN:#}"),
        "differs" => format!("{RED}differs{RED:#} from byte {}", found.at.unwrap_or_default()),
        "left only" => format!("{RED}no text{RED:#}: {why}"),
        "right only" => format!("{RED}writes a text{RED:#}, where the first fails"),
        "neither" => "no text either".to_owned(),
        _ => format!("unknown: {why}"),
    };
    out.push_str(&format!("  {who:<12}  {told}\n"));
    for (sign, line, color) in [('-', &found.left, RED), ('+', &found.right, GREEN)] {
        if let Some(line) = line {
            out.push_str(&format!("    {color}{sign} {}{color:#}\n", plain(&format!("{line:?}"))));
        }
    }
}

/// Seconds since 1970, for templates that write the date.
pub(super) fn now() -> Option<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

fn parse(file: &str) -> Result<Data> {
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|e| Fault::source(format!("cannot be read: {e}")).in_file(file))?;
    Data::parse(&text).map_err(|fault| fault.in_file(file))
}

fn show(report: &ChatReport) -> String {
    let others =
        if report.templates.len() > 1 { format!("; all: {}", report.templates.join(", ")) } else { String::new() };
    let mut out =
        format!("{DIM}template {} from {}{}{DIM:#}\n\n", plain(&report.template), plain(&report.from), plain(&others));
    for line in report.text.split('\n') {
        out.push_str(&plain(line));
        out.push('\n');
    }
    match &report.ids {
        Some(ids) => {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            out.push_str(&format!("\n{BOLD}{} tokens{BOLD:#}: {}\n", ids.len(), ids.join(" ")));
        }
        None => out.push_str(&format!("\n{DIM}no tokenizer here, so no token ids{DIM:#}\n")),
    }
    out.push('\n');
    inspect::notes(&mut out, &report.notes);
    out
}

/// Lines kept around each change.
const CONTEXT: usize = 3;

fn show_diff(report: &TemplateDiffReport) -> String {
    let mut out = format!(
        "{DIM}- {} from {}\n+ {} from {}{DIM:#}\n\n",
        plain(&report.left),
        plain(&report.left_from),
        plain(&report.right),
        plain(&report.right_from)
    );
    hunks(&mut out, "templates", &report.source);
    if let Some(rendered) = &report.rendered {
        out.push('\n');
        hunks(&mut out, "what they write", rendered);
    }
    let failure = |out: &mut String, name: &str, failure: &Option<FailureReport>| {
        if let Some(failure) = failure {
            out.push_str(&format!("\n{} writes nothing: {}\n", plain(name), plain(&failure.fault.what)));
        }
    };
    failure(&mut out, &report.left, &report.left_failure);
    failure(&mut out, &report.right, &report.right_failure);
    out
}

/// Changed lines with some around them.
fn hunks(out: &mut String, what: &str, diff: &DiffReport) {
    if let Some(fault) = &diff.fault {
        out.push_str(&format!("{BOLD}{what}{BOLD:#}: not compared: {}\n", plain(&fault.what)));
        return;
    }
    if diff.removed + diff.added == 0 {
        out.push_str(&format!("{BOLD}{what}{BOLD:#}: equal\n"));
        return;
    }
    out.push_str(&format!("{BOLD}{what}{BOLD:#}: {} lines removed, {} added\n", diff.removed, diff.added));
    let changed: Vec<usize> = (0..diff.lines.len()).filter(|i| diff.lines[*i].change != "same").collect();
    let is_near = |i: usize| {
        let next = changed.partition_point(|at| *at + CONTEXT < i);
        changed.get(next).is_some_and(|at| *at <= i + CONTEXT)
    };
    let mut is_gap = false;
    for (i, line) in diff.lines.iter().enumerate() {
        if !is_near(i) {
            is_gap = true;
            continue;
        }
        if std::mem::take(&mut is_gap) {
            out.push_str(&format!("{DIM}  ...{DIM:#}\n"));
        }
        let number = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        let text = plain(line.text.strip_suffix('\n').unwrap_or(&line.text));
        let numbers = format!("{DIM}{:>4} {:>4}{DIM:#}", number(line.left), number(line.right));
        match line.change {
            "removed" => out.push_str(&format!("{numbers} {RED}- {text}{RED:#}\n")),
            "added" => out.push_str(&format!("{numbers} {GREEN}+ {text}{GREEN:#}\n")),
            _ => out.push_str(&format!("{numbers}   {text}\n")),
        }
    }
}
