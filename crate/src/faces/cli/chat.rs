//! `glassbox chat-template`.

use std::{io::Read, time::SystemTime};

use crate::{
    fault::{Fault, Result},
    report::{ChatReport, NoteReport},
    session::{Chat, Conversation, Data, Need},
};

use super::{
    Exit,
    args::ChatArgs,
    inspect,
    terminal::{self, BOLD, DIM, plain},
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
    let report = terminal::block_on(async {
        let chat = Chat::open(files).await?;
        let template = chat.template(args.name.as_deref())?.clone();
        let rendered = chat.render(args.name.as_deref(), conversation)?;
        Ok(ChatReport {
            template: template.name,
            from: template.from,
            templates: chat.templates().iter().map(|template| template.name.clone()).collect(),
            text: rendered.text,
            ids: rendered.ids,
            notes: rendered.notes.iter().map(NoteReport::from).collect(),
        })
    })?;
    if json {
        terminal::json(&report)?;
    } else {
        terminal::out(&show(&report));
    }
    Ok(Exit::Fine)
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
