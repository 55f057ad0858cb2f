//! Two models' chat templates, line by line.

use crate::{
    chat::{self, Change, Template},
    session::Chat,
};

use super::matching::Sides;

/// Lines that are told of one template.
const LINES: usize = 400;

/// A template that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateChange {
    /// Its name: "default".
    pub name: String,
    /// Where the first has it; none where it has not.
    pub from_a: Option<String>,
    /// Where the second has it.
    pub from_b: Option<String>,
    /// Lines removed and added, with some around them.
    pub lines: Vec<TemplateLine>,
    /// Lines that are not told.
    pub more: u64,
    /// It makes the models differ.
    pub differs: bool,
    /// Why there are no lines.
    pub note: Option<String>,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateLine {
    /// What became of it.
    pub change: Change,
    /// Its number in the first template.
    pub a: Option<usize>,
    /// Its number in the second.
    pub b: Option<usize>,
    /// The line.
    pub text: String,
}

/// Templates that differ.
pub(super) async fn compare(sides: &Sides<'_>) -> Vec<TemplateChange> {
    // A model without a template is no failure.
    let (a, b) = (Chat::of(sides.a.inspection).await.ok(), Chat::of(sides.b.inspection).await.ok());
    let of =
        |chat: &Option<Chat>| -> Vec<Template> { chat.as_ref().map(|c| c.templates().to_vec()).unwrap_or_default() };
    let (a, b) = (of(&a), of(&b));
    let mut found = Vec::new();
    for template in &a {
        match b.iter().find(|other| other.name == template.name) {
            Some(other) if other.source == template.source => {}
            Some(other) => found.push(changed(template, other)),
            None => found.push(alone(template, true, sides.are_of_one_kind())),
        }
    }
    let new = b.iter().filter(|template| !a.iter().any(|other| other.name == template.name));
    found.extend(new.map(|template| alone(template, false, sides.are_of_one_kind())));
    found
}

fn alone(template: &Template, first: bool, differs: bool) -> TemplateChange {
    let from = Some(template.from.clone());
    let (from_a, from_b) = if first { (from, None) } else { (None, from) };
    let which = if first { "first" } else { "second" };
    let note = Some(format!("only the {which} model has it"));
    TemplateChange { name: template.name.clone(), from_a, from_b, lines: Vec::new(), more: 0, differs, note }
}

fn changed(a: &Template, b: &Template) -> TemplateChange {
    let (mut lines, mut more, mut note) = (Vec::new(), 0, None);
    match chat::diff(&a.source, &b.source) {
        Ok(all) => {
            let near = |at: usize| {
                let around = all.get(at.saturating_sub(1)..(at + 2).min(all.len())).unwrap_or_default();
                around.iter().any(|line| line.change != Change::Same)
            };
            for (_, line) in all.iter().enumerate().filter(|(at, _)| near(*at)) {
                if lines.len() == LINES {
                    more += 1;
                    continue;
                }
                lines.push(TemplateLine {
                    change: line.change,
                    a: line.left,
                    b: line.right,
                    text: line.text.trim_end_matches(['\n', '\r']).to_owned(),
                });
            }
        }
        Err(fault) => note = Some(fault.what),
    }
    let (from_a, from_b) = (Some(a.from.clone()), Some(b.from.clone()));
    TemplateChange { name: a.name.clone(), from_a, from_b, lines, more, differs: true, note }
}
