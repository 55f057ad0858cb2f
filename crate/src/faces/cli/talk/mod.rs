//! `glassbox chat`: a talk with a model.

mod args;
mod commands;
mod interrupt;
mod lines;

use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::PathBuf,
    rc::Rc,
};

pub(super) use self::args::TalkArgs;
use self::{
    commands::{COMMANDS, Command},
    interrupt::Answering,
    lines::{Line, Lines},
};
use super::{
    Exit,
    terminal::{self, Bar, DIM, plain, printable, table},
};
use crate::{
    fault::{Blame, Fault, Result},
    report::{TalkReport, TurnReport},
    session::{Chat, Generation, GenerationOptions, Inspection, Need, OnPart, Part, RunSettings, Talk},
};

/// Runs the command until the input ends.
pub(super) fn run(args: &TalkArgs, json: bool) -> Result<Exit> {
    let mut face = Face {
        talk: open(args, json)?,
        lines: Lines::open()?,
        json,
        turns: Vec::new(),
        refused: Vec::new(),
        saved: Vec::new(),
        initial: String::new(),
    };
    interrupt::install()?;
    face.greet();
    face.run()?;
    if json {
        terminal::json(&TalkReport::of(&face.talk, face.turns, face.refused.clone()))?;
    }
    let fine = face.refused.is_empty() || face.lines.is_editor();
    Ok(if fine { Exit::Fine } else { Exit::Findings })
}

/// Loads the model and its template.
fn open(args: &TalkArgs, json: bool) -> Result<Talk> {
    let paths = std::slice::from_ref(&args.path);
    let options = GenerationOptions { add_special: false, ..args.sampling.options(args.tokens) };
    options.sampling.check()?;
    let settings = RunSettings {
        adapters: args.lora.open()?,
        context: args.device.context,
        cache: args.program.cache_type,
        penalties: options.sampling.has_penalties(),
        disabled_passes: args.program.disable_pass.clone(),
        ..RunSettings::default()
    };
    let files = terminal::open_for(paths, Need::Run)?;
    terminal::block_on(async {
        let inspection = Rc::new(Inspection::open(files).await?);
        // What is asked for at an address differs by need; a folder was opened whole.
        let chat = match args.path.is_dir() {
            true => Chat::of(&inspection).await,
            false => Chat::open(terminal::open_for(paths, Need::Chat)?).await,
        };
        let chat = chat.map_err(|fault| Fault {
            what: format!("{}; `glassbox run -p` continues a text without one", fault.what),
            ..fault
        })?;
        let bar = Bar::new(json);
        let (device, gpu) = (args.device.device.clone(), args.device.options());
        let generation = Generation::load(inspection, device, gpu, &settings, &mut |p| bar.show(p)).await?;
        bar.done();
        let mut talk = Talk::new(generation, chat, options)?;
        talk.system = args.system.clone();
        talk.variables = args.set.clone();
        talk.when_full = args.when_full;
        Ok(talk)
    })
}

/// A talk and the person or program at its other end.
struct Face {
    talk: Talk,
    lines: Lines,
    json: bool,
    turns: Vec<TurnReport>,
    refused: Vec<String>,
    /// Files that this talk wrote, and may write again.
    saved: Vec<PathBuf>,
    /// What the line editor begins with.
    initial: String,
}

impl Face {
    /// A line on standard error.
    fn say(&self, text: &str) {
        if !self.json {
            terminal::err(&format!("{DIM}{text}{DIM:#}"));
        }
    }
    fn greet(&self) {
        let generation = self.talk.generation();
        self.say(&plain(&generation.device().reason));
        if self.lines.is_editor() {
            let context = generation.context();
            self.say(&format!(
                "a context of {context} tokens; /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends"
            ));
        }
    }
    /// Takes lines until they end. What a person can do otherwise is told, and the talk goes on.
    fn run(&mut self) -> Result<()> {
        loop {
            let initial = std::mem::take(&mut self.initial);
            let went = match self.lines.next(&initial) {
                Ok(Line::End) => return Ok(()),
                Ok(Line::Interrupted) => {
                    self.say("/quit or Ctrl-D ends the talk");
                    continue;
                }
                Ok(Line::Text(line)) => self.take(&line),
                Err(fault) => return Err(fault),
            };
            match went {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(fault) if matches!(fault.blame, Blame::Source | Blame::Device | Blame::Bug) => return Err(fault),
                Err(fault) => {
                    terminal::fault(&fault);
                    self.refused.push(fault.what);
                }
            }
        }
    }
    /// False where the line ends the talk.
    fn take(&mut self, line: &str) -> Result<bool> {
        if line.trim().is_empty() {
            return Ok(true);
        }
        let Some(command) = commands::parse(line).map_err(Fault::caller)? else {
            let text = if line.starts_with("//") { &line[1..] } else { line };
            self.answer(&mut |talk, on_part| terminal::block_on(talk.say(text, on_part)))?;
            return Ok(true);
        };
        match command {
            Command::Help => self.help(),
            Command::System(text) => self.system(text),
            Command::Set(pair) => self.set(pair)?,
            Command::Undo => {
                let text = self.talk.undo().ok_or_else(|| Fault::caller("there is no message yet"))?;
                self.say(&format!("taken back: {}", terminal::short(&text, 70)));
            }
            Command::Retry => self.answer(&mut |talk, on_part| terminal::block_on(talk.retry(on_part)))?,
            Command::Edit(text) => self.edit(text)?,
            Command::Clear => {
                self.talk.clear();
                self.say("all is forgotten");
            }
            Command::History => self.history(),
            Command::Save(file) => self.save(file)?,
            Command::Quit => return Ok(false),
        }
        Ok(true)
    }

    fn help(&self) {
        let rows: Vec<Vec<String>> =
            COMMANDS.iter().map(|(usage, what)| vec![(*usage).into(), (*what).into()]).collect();
        let last =
            "A line that ends with \\ continues in the next one, at a terminal; // begins a message with a slash.";
        self.say(&format!("{}{last}", table(&rows, 0)));
    }
    fn system(&mut self, text: Option<&str>) {
        match text {
            None => {}
            Some("-") => self.talk.system = None,
            Some(text) => self.talk.system = Some(text.to_owned()),
        }
        let told = self
            .talk
            .system
            .as_deref()
            .map_or_else(|| "no text of the system".into(), |t| format!("system: {}", plain(t)));
        self.say(&told);
    }
    fn set(&mut self, pair: Option<(&str, &str)>) -> Result<()> {
        let names = self.talk.variable_names();
        let Some((name, value)) = pair else {
            let mut rows: Vec<Vec<String>> =
                commands::settings(&self.talk.options).into_iter().map(|(n, v)| vec![n.into(), v]).collect();
            rows.extend(names.into_iter().map(|name| vec![plain(&name), "a variable of the template".into()]));
            self.say(table(&rows, 0).trim_end());
            return Ok(());
        };
        if commands::set(&mut self.talk.options, name, value).map_err(Fault::caller)? {
            return Ok(());
        }
        if !names.iter().any(|known| known == name) {
            let known =
                commands::settings(&self.talk.options).into_iter().map(|(name, _)| name.to_owned()).chain(names);
            let known: Vec<String> = known.collect();
            return Err(Fault::caller(format!(
                "nothing that can be set is named \"{name}\"; there are {}",
                known.join(", ")
            )));
        }
        self.talk.variables.retain(|(known, _)| known != name);
        self.talk.variables.push((name.to_owned(), commands::variable(value)));
        Ok(())
    }
    fn edit(&mut self, text: Option<&str>) -> Result<()> {
        let last =
            self.talk.last_said().ok_or_else(|| Fault::caller("there is no message yet that could be edited"))?;
        match text {
            None if self.lines.is_editor() => {
                self.initial = format!("/edit {last}");
                Ok(())
            }
            None => Err(Fault::caller("/edit needs the new text")),
            Some(text) => {
                self.talk.undo();
                self.answer(&mut |talk, on_part| terminal::block_on(talk.say(text, on_part)))
            }
        }
    }
    fn history(&self) {
        if let Some(system) = &self.talk.system {
            self.say(&format!("system: {}", printable(system)));
        }
        for (i, message) in self.talk.messages().iter().enumerate() {
            let gone = if i < self.talk.left_out() { " (left out)" } else { "" };
            self.say(&format!("{}{gone}: {}", message.role.name(), printable(message.text.trim())));
        }
        if self.talk.messages().is_empty() {
            self.say("there is no message yet");
        }
    }
    fn save(&mut self, file: &str) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| Fault::caller(format!("cannot be written: {e}")).in_file(file);
        let path = PathBuf::from(file);
        let text = serde_json::to_string_pretty(&self.talk.json())
            .map_err(|e| Fault::bug(format!("messages cannot be written as JSON: {e}")))?;
        let opened = if self.saved.contains(&path) { File::create(&path) } else { File::create_new(&path) };
        let mut to = opened.map_err(|e| failed(&e))?;
        writeln!(to, "{text}").map_err(|e| failed(&e))?;
        self.say(&format!("{} messages written to {}", self.talk.messages().len(), plain(file)));
        if !self.saved.contains(&path) {
            self.saved.push(path);
        }
        Ok(())
    }

    /// Has the model answer, and shows the answer as it comes.
    fn answer(&mut self, ask: &mut Ask<'_>) -> Result<()> {
        let answering = Answering::begin();
        let mut shown = Shown { json: self.json, apart: !std::io::stdout().is_terminal(), ..Shown::default() };
        let left_out = self.talk.left_out();
        self.talk.now = super::chat::now();
        let outcome = ask(&mut self.talk, &mut |part, text| {
            shown.show(part, text);
            answering.is_stopped()
        });
        drop(answering);
        shown.end(outcome.is_ok());
        let turn = TurnReport::of(&outcome?);
        if self.talk.left_out() > left_out {
            let (n, context) = (self.talk.left_out(), self.talk.generation().context());
            self.say(&format!(
                "the context of {context} tokens was full: the first {n} messages are left out from now on"
            ));
        }
        self.say(&status(&turn));
        self.turns.push(turn);
        Ok(())
    }
}

/// Has the model answer something.
type Ask<'a> = dyn FnMut(&mut Talk, &mut OnPart<'_>) -> Result<crate::session::Outcome> + 'a;

/// What one answer took, in a line.
fn status(turn: &TurnReport) -> String {
    let speed = turn.tokens_per_s.map(|rate| format!(" at {rate:.1} tokens/s")).unwrap_or_default();
    let why = match turn.stop {
        "limit" => "; cut off at the requested number of tokens",
        "context" => "; cut off: the context is full",
        "stopped" => "; stopped",
        _ => "",
    };
    format!(
        "{} tokens{speed}; {} of {} tokens of the conversation read in {:.2} s{why}",
        turn.tokens, turn.read_tokens, turn.prompt_tokens, turn.prefill_s
    )
}

/// An answer on its way to the screen.
#[derive(Default)]
struct Shown {
    json: bool,
    /// Thoughts go to standard error, because the answer goes to a pipe.
    apart: bool,
    thoughts: String,
    has_answer: bool,
}

impl Shown {
    fn show(&mut self, part: Part, text: &str) {
        if self.json || text.is_empty() {
            return;
        }
        match part {
            Part::Thought if self.apart => self.thoughts.push_str(text),
            Part::Thought => {
                let begins = self.thoughts.is_empty();
                let text = if begins { text.trim_start() } else { text };
                self.thoughts.push_str(text);
                terminal::out(&format!("{DIM}{}{DIM:#}", printable(text)));
            }
            Part::Answer => {
                if !std::mem::replace(&mut self.has_answer, true) {
                    self.leave_thoughts();
                }
                terminal::out(&printable(text));
            }
        }
    }
    fn leave_thoughts(&self) {
        let thoughts = self.thoughts.trim();
        if self.apart && !thoughts.is_empty() {
            terminal::err(&format!("{DIM}thoughts: {}{DIM:#}", printable(thoughts)));
        } else if !thoughts.is_empty() {
            terminal::out(if self.thoughts.ends_with('\n') { "\n" } else { "\n\n" });
        }
    }
    fn end(&self, is_whole: bool) {
        if self.json {
            return;
        }
        if !self.has_answer {
            self.leave_thoughts();
        }
        if is_whole || self.has_answer {
            terminal::out("\n");
        }
    }
}
