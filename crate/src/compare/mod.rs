//! Two models side by side: settings, tokenizers, chat templates, tensors and their values.
//!
//! Of two models of one form, tensors are paired by name. Between a GGUF file and a folder they are paired by what their forward
//! passes read ([`crate::arch::build`]): rows of fused tensors, matrices stored transposed, experts stacked or apart, norms
//! stored as `w - 1`, and rows that lie in the order of the other form's rotation are brought together.

mod grid;
mod matching;
mod measure;
mod parts;
mod settings;
mod stream;
mod templates;
mod tensors;
mod units;
mod vocabulary;

pub use grid::{Cell, Grid, GridRow};
pub use measure::Measured;
pub use settings::Setting;
pub use templates::{TemplateChange, TemplateLine};
pub use tensors::{Placed, Row, State};
pub use vocabulary::{Change, Merges, Tokenizers};

use crate::{
    fault::Result,
    session::{Inspection, Progress},
};

use matching::{Side, Sides};

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Measure how far apart all values are; else reading a tensor ends where it is settled that it differs.
    pub values: bool,
    /// Read no values at all.
    pub headers: bool,
    /// What other encodings round is no difference.
    pub allow_rounding: bool,
}

/// Two models, compared.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Hyper-parameters by the table's words.
    pub hyper_parameters: Vec<Setting>,
    /// Other metadata, of models of one form.
    pub metadata: Vec<Setting>,
    /// Files of settings beside the weights, of two folders.
    pub files: Vec<Setting>,
    /// The tokenizers; none where neither model has one.
    pub tokenizers: Option<Tokenizers>,
    /// Chat templates that differ.
    pub templates: Vec<TemplateChange>,
    /// Every tensor, or weight that is a part of one.
    pub tensors: Vec<Row>,
    /// The tensors by layer and part.
    pub grid: Grid,
    /// One is a GGUF file and the other a folder.
    pub across_forms: bool,
    /// What was asked for.
    pub options: Options,
    /// Why weights could not be paired by their forward pass, where that was needed.
    pub notes: Vec<String>,
}

/// Compares two models.
///
/// # Errors
/// A source fails. What cannot be compared is told in the rows.
pub async fn compare(
    a: &Inspection,
    b: &Inspection,
    options: Options,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Compared> {
    let sides = Sides { a: Side::of(a), b: Side::of(b) };
    let tensors = tensors::compare(&sides, &options, on_progress).await?;
    let across_forms = sides.differ_in_form();
    let mut notes = Vec::new();
    for (which, side) in [("first", &sides.a), ("second", &sides.b)] {
        if let (true, Err(fault)) = (across_forms, &side.known) {
            notes.push(format!("The {which} model's tensors cannot be paired by their roles: {}.", fault.what));
        }
    }
    Ok(Compared {
        hyper_parameters: settings::hyper_parameters(&sides),
        metadata: settings::metadata(&sides),
        files: if sides.are_of_one_kind() { settings::files(a, b).await? } else { Vec::new() },
        tokenizers: vocabulary::compare(&sides).await?,
        templates: templates::compare(&sides).await,
        grid: Grid::of(&tensors),
        tensors,
        across_forms,
        options,
        notes,
    })
}

impl Compared {
    /// Settings that make the models differ.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        let all = self.hyper_parameters.iter().chain(&self.metadata).chain(&self.files);
        all.filter(|setting| setting.differs)
    }
    /// True where anything makes the models differ.
    pub fn differs(&self) -> bool {
        self.settings().next().is_some()
            || self.tokenizers.as_ref().is_some_and(|t| t.differs)
            || self.templates.iter().any(|t| t.differs)
            || self.tensors.iter().any(|row| row.differs(self.options.allow_rounding))
    }
    /// How many tensors are of a state.
    pub fn count(&self, state: State) -> usize {
        self.tensors.iter().filter(|row| row.state == state).count()
    }
    /// The sentence that says it all.
    pub fn summary(&self) -> String {
        let rows = self.tensors.len();
        let [equal, converted, rounded, changed, unmatched, unread, alike] = [
            State::Equal,
            State::Converted,
            State::Rounded,
            State::Changed,
            State::Unmatched,
            State::Unread,
            State::Alike,
        ]
        .map(|state| self.count(state));
        let alone = self.count(State::OnlyA) + self.count(State::OnlyB);
        let renamed = self.tensors.iter().filter(|row| row.renamed).count();
        let reshaped = self.tensors.iter().filter(|row| row.reshaped).count();
        let mut said = Vec::new();
        let mut say = |n: usize, what: &str| {
            if n > 0 {
                said.push(format!("{n} {what}"));
            }
        };
        say(equal, "equal");
        say(alike, "alike by their headers (values were not read)");
        say(converted, "the same in another encoding");
        say(rounded, "the same but for what an encoding rounds");
        say(changed, "changed");
        say(alone, "on one side only");
        say(unmatched, "unmatched");
        say(unread, "not readable");
        say(renamed, "renamed");
        say(reshaped, "reshaped");
        let worst = self.tensors.iter().filter_map(|row| Some((row, row.measured?.relative_error?)));
        let worst = worst.filter(|_| self.options.values).max_by(|a, b| a.1.total_cmp(&b.1)).filter(|w| w.1 > 0.0);
        let worst = worst.map_or_else(String::new, |(row, error)| {
            let name = row.a.iter().chain(&row.b).find_map(|s| s.names.first());
            format!(" The largest relative error is {:.3} % ({}).", error * 100.0, name.map_or("", String::as_str))
        });
        let mut beside = Vec::new();
        match self.settings().count() {
            0 => {}
            1 => beside.push("1 setting".to_owned()),
            n => beside.push(format!("{n} settings")),
        }
        if self.tokenizers.as_ref().is_some_and(|t| t.differs) {
            beside.push("the tokenizer".into());
        }
        if self.templates.iter().any(|t| t.differs) {
            beside.push("the chat template".into());
        }
        let beside = match beside.is_empty() {
            true => "Nothing else differs.".to_owned(),
            false => format!("Also different: {}.", beside.join(", ")),
        };
        let verdict = match (self.differs(), self.tensors.iter().any(|row| row.differs(true))) {
            (false, _) => "No difference",
            (true, true) => "The models differ",
            (true, false) if self.tensors.iter().any(|row| row.differs(false)) => "The same weights, rounded",
            (true, false) => "The same weights, with other settings around them",
        };
        format!(
            "{verdict}: of {rows} weights {}.{worst} {beside}",
            if said.is_empty() { "none compared".into() } else { said.join(", ") }
        )
    }
}
