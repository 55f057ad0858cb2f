//! Chat templates, a conversation as one of them writes it, and what differs between two.

use serde::Serialize;

use super::{FaultReport, NoteReport, PieceReport};

/// The chat templates of a model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TemplatesReport {
    /// The default first.
    pub templates: Vec<TemplateReport>,
    /// Whether a tokenizer is here, so that what they write can be encoded.
    pub can_encode: bool,
    /// Files that should hold templates and could not be read.
    pub notes: Vec<NoteReport>,
}

/// One chat template.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TemplateReport {
    /// "default", "tool_use", ...
    pub name: String,
    /// The metadata key or file that holds it.
    pub from: String,
    /// Its text.
    pub source: String,
    /// Names of variables that it asks for besides the conversation, such as `enable_thinking`.
    pub variables: Vec<String>,
    /// Findings.
    pub findings: Vec<FindingReport>,
}

/// A finding about a template.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FindingReport {
    /// Lines of the template, from 1; none where it is about the whole.
    pub lines: Vec<usize>,
    /// What was found.
    pub note: NoteReport,
}

/// What `glassbox chat-template` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChatReport {
    /// The template's name.
    pub template: String,
    /// The metadata key or file that holds it.
    pub from: String,
    /// Names of all templates, the default first.
    pub templates: Vec<String>,
    /// The conversation as text; empty after a failure.
    pub text: String,
    /// Its token ids, special ones parsed and none added; null without a tokenizer.
    pub ids: Option<Vec<u32>>,
    /// The same with their places in the text; null without a tokenizer and of a text beyond a megabyte.
    pub pieces: Option<Vec<PieceReport>>,
    /// Why there is no text.
    pub failure: Option<FailureReport>,
    /// Findings.
    pub notes: Vec<NoteReport>,
}

/// Why a template wrote nothing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FailureReport {
    /// The template's line, from 1, where it is known.
    pub line: Option<usize>,
    /// What happened.
    pub fault: FaultReport,
}

/// What `glassbox chat-template --diff` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TemplateDiffReport {
    /// The first template's name.
    pub left: String,
    /// Where it is written.
    pub left_from: String,
    /// The second template's name.
    pub right: String,
    /// Where it is written.
    pub right_from: String,
    /// The templates compared.
    pub source: DiffReport,
    /// What they write of one conversation, compared; null where one of them fails.
    pub rendered: Option<DiffReport>,
    /// Why the first wrote nothing.
    pub left_failure: Option<FailureReport>,
    /// Why the second wrote nothing.
    pub right_failure: Option<FailureReport>,
}

/// What `glassbox chat-template --conversations` prints: a set of conversations by one template.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ConversationsReport {
    /// The template's name.
    pub template: String,
    /// Where it is written.
    pub from: String,
    /// Each conversation of the set.
    pub conversations: Vec<ConversationReport>,
}

/// A conversation of the set.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ConversationReport {
    /// What it tries: "a system prompt".
    pub name: &'static str,
    /// What the template writes as transformers gives it the conversation; null where it fails.
    pub text: Option<String>,
    /// Why it fails.
    pub failure: Option<FailureReport>,
    /// Beside it, what llama.cpp's runtime makes of the same.
    pub llama_cpp: OutcomeReport,
    /// Beside it, what the template given with --diff makes of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub other: Option<OutcomeReport>,
}

/// Two renderings of one conversation, compared.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OutcomeReport {
    /// Whether the texts are equal, differ, only one is there, none is there, or it is not known.
    #[cfg_attr(test, ts(type = "\"same\" | \"differs\" | \"left only\" | \"right only\" | \"neither\" | \"unknown\""))]
    pub outcome: &'static str,
    /// Bytes that both begin with, where they differ.
    pub at: Option<usize>,
    /// The first one's line there.
    pub left: Option<String>,
    /// The second one's line there.
    pub right: Option<String>,
    /// Why a text is missing, or why it is not known.
    pub why: Option<String>,
}

/// Two texts, line by line.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DiffReport {
    /// Lines that only the first has.
    pub removed: usize,
    /// Lines that only the second has.
    pub added: usize,
    /// All lines.
    pub lines: Vec<DiffLineReport>,
    /// Why they were not compared.
    pub fault: Option<FaultReport>,
}

/// A line, or the part of a long line up to the end of a tag.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DiffLineReport {
    /// "same", "removed" or "added".
    pub change: &'static str,
    /// Its number in the first text, from 1.
    pub left: Option<usize>,
    /// Its number in the second text, from 1.
    pub right: Option<usize>,
    /// The text, with its line feed where it has one.
    pub text: String,
}

#[cfg(feature = "chat")]
mod of {
    use super::*;
    use crate::{
        fault::{Fault, Result},
        session::{Agreement, Change, Chat, Compared, Conversation, Failure, Finding, diff},
    };

    impl TemplatesReport {
        /// Everything about a model's templates.
        pub fn of(chat: &Chat) -> Self {
            let template = |template: &crate::session::Template| TemplateReport {
                name: template.name.clone(),
                from: template.from.clone(),
                source: template.source.clone(),
                variables: template.variables(),
                findings: chat.lint(template).iter().map(FindingReport::of).collect(),
            };
            Self {
                templates: chat.templates().iter().map(template).collect(),
                can_encode: chat.can_encode(),
                notes: chat.notes().iter().map(NoteReport::from).collect(),
            }
        }
        /// Of a model without templates.
        pub fn none() -> Self {
            Self { templates: Vec::new(), can_encode: false, notes: Vec::new() }
        }
    }

    impl FindingReport {
        fn of(finding: &Finding) -> Self {
            Self { lines: finding.lines.clone(), note: NoteReport::from(&finding.note) }
        }
    }

    impl FailureReport {
        fn of(failure: &Failure) -> Self {
            Self { line: failure.line, fault: FaultReport::from(&failure.fault) }
        }
    }

    impl ChatReport {
        /// A conversation by the template of a name, or the default; a template that fails gives a report that says so, and the fault.
        ///
        /// # Errors
        /// There is no template of that name.
        pub fn of(chat: &Chat, name: Option<&str>, conversation: Conversation) -> Result<(Self, Option<Fault>)> {
            let template = chat.template(name)?;
            let mut report = Self {
                template: template.name.clone(),
                from: template.from.clone(),
                templates: chat.templates().iter().map(|template| template.name.clone()).collect(),
                text: String::new(),
                ids: None,
                pieces: None,
                failure: None,
                notes: chat.notes().iter().map(NoteReport::from).collect(),
            };
            match chat.render(name, conversation) {
                Ok(rendered) => {
                    let notes = rendered.findings.iter().map(|finding| &finding.note).chain(&rendered.notes);
                    report.notes.extend(notes.map(NoteReport::from));
                    report.text = rendered.text;
                    report.ids = rendered.ids;
                    report.pieces = rendered.pieces.map(|pieces| pieces.iter().map(PieceReport::of).collect());
                    Ok((report, None))
                }
                Err(failure) => {
                    report.notes.extend(chat.lint(template).iter().map(|finding| NoteReport::from(&finding.note)));
                    report.failure = Some(FailureReport::of(&failure));
                    Ok((report, Some(failure.fault)))
                }
            }
        }
    }

    impl ConversationsReport {
        /// The set by the template of a name, or the default; beside that of `other`, where one is given.
        ///
        /// # Errors
        /// There is no template of a name.
        pub fn of(
            chat: &Chat,
            name: Option<&str>,
            other: Option<(&Chat, Option<&str>)>,
            now: Option<i64>,
        ) -> Result<Self> {
            let template = chat.template(name)?;
            let tried = chat.try_all(name, now)?;
            let others = other.map(|(other, its)| chat.compare_all(name, other, its, now)).transpose()?;
            let mut conversations = Vec::with_capacity(tried.len());
            for (i, tried) in tried.into_iter().enumerate() {
                conversations.push(ConversationReport {
                    name: tried.name,
                    failure: tried.text.as_ref().err().map(FailureReport::of),
                    text: tried.text.ok(),
                    llama_cpp: OutcomeReport::of(&tried.llama_cpp),
                    other: others.as_ref().and_then(|all| all.get(i)).map(|(_, outcome)| OutcomeReport::of(outcome)),
                });
            }
            Ok(Self { template: template.name.clone(), from: template.from.clone(), conversations })
        }
        /// Whether the other template, or else llama.cpp, writes something else in any conversation.
        pub fn differs(&self) -> bool {
            let differs = |o: &OutcomeReport| matches!(o.outcome, "differs" | "left only" | "right only");
            self.conversations.iter().any(|c| differs(c.other.as_ref().unwrap_or(&c.llama_cpp)))
        }
    }

    impl OutcomeReport {
        fn of(outcome: &Agreement) -> Self {
            let none = Self { outcome: "same", at: None, left: None, right: None, why: None };
            let why =
                |outcome, failure: &Failure| Self { outcome, why: Some(failure.fault.to_string()), ..none.clone() };
            match outcome {
                Agreement::Same => none,
                Agreement::Differs { at, left, right } => Self {
                    outcome: "differs",
                    at: Some(*at),
                    left: Some(left.clone()),
                    right: Some(right.clone()),
                    why: None,
                },
                Agreement::LeftOnly(failure) => why("left only", failure),
                Agreement::RightOnly(failure) => why("right only", failure),
                Agreement::Neither(failure) => why("neither", failure),
                Agreement::Unknown(reason) => Self { outcome: "unknown", why: Some(reason.clone()), ..none },
            }
        }
    }

    impl TemplateDiffReport {
        /// Two templates and what they write.
        pub fn of(compared: &Compared<'_>) -> Self {
            let [left, right] = &compared.texts;
            let failure = |text: &Result<String, Failure>| text.as_ref().err().map(FailureReport::of);
            Self {
                left: compared.left.name.clone(),
                left_from: compared.left.from.clone(),
                right: compared.right.name.clone(),
                right_from: compared.right.from.clone(),
                source: DiffReport::of(&compared.left.source, &compared.right.source),
                rendered: left.as_ref().ok().zip(right.as_ref().ok()).map(|(left, right)| DiffReport::of(left, right)),
                left_failure: failure(left),
                right_failure: failure(right),
            }
        }
        /// Whether nothing differs: neither the templates nor what they write.
        pub fn is_empty(&self) -> bool {
            let same = |diff: &DiffReport| diff.fault.is_none() && diff.removed + diff.added == 0;
            same(&self.source) && self.rendered.as_ref().is_none_or(same)
        }
    }

    impl DiffReport {
        fn of(left: &str, right: &str) -> Self {
            let (lines, fault) = match diff(left, right) {
                Ok(lines) => (lines, None),
                Err(fault) => (Vec::new(), Some(FaultReport::from(&fault))),
            };
            let count = |change: Change| lines.iter().filter(|line| line.change == change).count();
            let (removed, added) = (count(Change::Removed), count(Change::Added));
            let lines = lines.iter().map(|line| DiffLineReport {
                change: match line.change {
                    Change::Same => "same",
                    Change::Removed => "removed",
                    Change::Added => "added",
                },
                left: line.left,
                right: line.right,
                text: line.text.to_owned(),
            });
            Self { removed, added, lines: lines.collect(), fault }
        }
    }
}
