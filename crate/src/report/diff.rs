//! Two models side by side.

use serde::Serialize;

use crate::{
    compare::{self, Compared, Options, Placed, State},
    fault::Result,
    session::{Change, Inspection, Progress},
};

/// What differs between two models.
#[derive(Debug, Clone, Serialize)]
pub struct ModelDiffReport {
    /// Whether anything does.
    pub differs: bool,
    /// The sentence that says it all.
    pub summary: String,
    /// One is a GGUF file and the other a folder.
    pub across_forms: bool,
    /// How values were compared: "measured", "until they differ", "not at all".
    pub values: &'static str,
    /// The first model's files and format.
    pub a: DiffModel,
    /// The second model's.
    pub b: DiffModel,
    /// Hyper-parameters that differ, or that one side alone states.
    pub hyper_parameters: Vec<DiffSetting>,
    /// Other metadata that differs.
    pub metadata: Vec<DiffSetting>,
    /// Settings in the files beside the weights that differ.
    pub files: Vec<DiffSetting>,
    /// The tokenizers; none where neither model has one.
    pub tokenizer: Option<DiffTokenizer>,
    /// Chat templates that differ.
    pub templates: Vec<DiffTemplate>,
    /// How many weights are in which state.
    pub counts: Vec<(&'static str, u64)>,
    /// Every weight; of measured ones those that are furthest apart first.
    pub weights: Vec<DiffWeight>,
    /// Weights by layer and part.
    pub grid: DiffGrid,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

/// One of the two models.
#[derive(Debug, Clone, Serialize)]
pub struct DiffModel {
    /// Its format.
    pub format: &'static str,
    /// Names of its files.
    pub files: Vec<String>,
    /// Its tensors.
    pub tensors: u64,
    /// Their elements.
    pub parameters: u64,
}

/// A setting.
#[derive(Debug, Clone, Serialize)]
pub struct DiffSetting {
    /// What it is called.
    pub name: String,
    /// What it means; empty where that is not known.
    pub about: &'static str,
    /// In the first model; none where it is not stated.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
    /// It makes the models differ.
    pub differs: bool,
}

/// The tokenizers.
#[derive(Debug, Clone, Serialize)]
pub struct DiffTokenizer {
    /// They make the models differ.
    pub differs: bool,
    /// Kind and size of the first.
    pub a: Option<String>,
    /// Kind and size of the second.
    pub b: Option<String>,
    /// Ids of the first.
    pub tokens_a: u64,
    /// Ids of the second.
    pub tokens_b: u64,
    /// Ids that stand for other tokens.
    pub changed: u64,
    /// Tokens of the first alone.
    pub only_a: u64,
    /// Tokens of the second alone.
    pub only_b: u64,
    /// The first ids that differ.
    pub tokens: Vec<DiffToken>,
    /// Special tokens, steps and keys that differ.
    pub settings: Vec<DiffSetting>,
    /// The merges, where both say them.
    pub merges: Option<DiffMerges>,
    /// What was not compared.
    pub notes: Vec<String>,
}

/// An id.
#[derive(Debug, Clone, Serialize)]
pub struct DiffToken {
    /// The id.
    pub id: u32,
    /// Its token in the first.
    pub a: Option<String>,
    /// Its token in the second.
    pub b: Option<String>,
}

/// Merges.
#[derive(Debug, Clone, Serialize)]
pub struct DiffMerges {
    /// How many the first has.
    pub a: u64,
    /// How many the second has.
    pub b: u64,
    /// At how many places they differ.
    pub differing: u64,
    /// The first such place.
    pub first: Option<u64>,
    /// What the first has there.
    pub first_a: Option<String>,
    /// What the second has there.
    pub first_b: Option<String>,
}

/// A chat template.
#[derive(Debug, Clone, Serialize)]
pub struct DiffTemplate {
    /// Its name.
    pub name: String,
    /// It makes the models differ.
    pub differs: bool,
    /// Where the first has it.
    pub from_a: Option<String>,
    /// Where the second has it.
    pub from_b: Option<String>,
    /// What differs, with the lines around it.
    pub lines: Vec<DiffLine>,
    /// Lines left out.
    pub more: u64,
    /// Why there are no lines.
    pub note: Option<String>,
}

/// A line of a template.
#[derive(Debug, Clone, Serialize)]
pub struct DiffLine {
    /// " ", "-" or "+".
    pub sign: &'static str,
    /// Its number in the first.
    pub a: Option<u64>,
    /// Its number in the second.
    pub b: Option<u64>,
    /// The line.
    pub text: String,
}

/// A weight: a tensor, or what the forward pass reads as one.
#[derive(Debug, Clone, Serialize)]
pub struct DiffWeight {
    /// The layer.
    pub layer: Option<u32>,
    /// What it is called in tables.
    pub part: String,
    /// What became of it.
    pub state: &'static str,
    /// It makes the models differ.
    pub differs: bool,
    /// Another name in the same form.
    pub renamed: bool,
    /// Another shape of as many values.
    pub reshaped: bool,
    /// Stored transposed to each other, by formats that do so.
    pub transposed: bool,
    /// In the first model.
    pub a: Option<DiffTensor>,
    /// In the second.
    pub b: Option<DiffTensor>,
    /// How far apart the values are.
    pub values: Option<DiffValues>,
    /// Why, where the state does not say it.
    pub note: Option<String>,
}

/// Where a weight lies in one model.
#[derive(Debug, Clone, Serialize)]
pub struct DiffTensor {
    /// Names of the tensors.
    pub names: Vec<String>,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its encodings.
    pub encodings: Vec<String>,
}

/// How far apart two lists of values are.
#[derive(Debug, Clone, Serialize)]
pub struct DiffValues {
    /// Values compared.
    pub compared: u64,
    /// All were; what follows is of those that were.
    pub complete: bool,
    /// Values that differ.
    pub differing: u64,
    /// Frobenius norm of the difference over that of the first.
    pub relative_error: Option<f64>,
    /// Cosine.
    pub cosine: Option<f64>,
    /// The largest difference.
    pub largest: f64,
    /// Where it is.
    pub largest_at: u64,
    /// Values that are infinite or no number on one side alone.
    pub not_finite: u64,
}

/// Layers by parts.
#[derive(Debug, Clone, Serialize)]
pub struct DiffGrid {
    /// Columns.
    pub parts: Vec<String>,
    /// Rows.
    pub rows: Vec<DiffGridRow>,
}

/// A layer.
#[derive(Debug, Clone, Serialize)]
pub struct DiffGridRow {
    /// Which.
    pub layer: u32,
    /// A cell for each part; none where the layer has no such.
    pub cells: Vec<Option<DiffCell>>,
}

/// A part of a layer.
#[derive(Debug, Clone, Serialize)]
pub struct DiffCell {
    /// The worst state of its weights.
    pub state: &'static str,
    /// The largest relative error.
    pub relative_error: Option<f64>,
}

impl ModelDiffReport {
    /// Compares two models.
    ///
    /// # Errors
    /// As [`compare::compare`].
    pub async fn of(
        a: &Inspection,
        b: &Inspection,
        options: Options,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let found = compare::compare(a, b, options, on_progress).await?;
        let allow = options.allow_rounding;
        let mut weights: Vec<DiffWeight> = found.tensors.iter().map(|row| weight(row, allow)).collect();
        // The order of the files stays among those that are as far apart.
        let error = |w: &DiffWeight| match (&w.values, w.differs) {
            (Some(v), _) => v.relative_error.unwrap_or(f64::INFINITY),
            (None, true) => f64::INFINITY,
            (None, false) => 0.0,
        };
        if options.values {
            weights.sort_by(|x, y| error(y).total_cmp(&error(x)));
        }
        let settings = |all: &[compare::Setting]| -> Vec<DiffSetting> { all.iter().map(setting).collect() };
        let counts = State::ALL.iter().map(|state| (state.name(), found.count(*state) as u64)).filter(|(_, n)| *n > 0);
        Ok(Self {
            differs: found.differs(),
            summary: found.summary(),
            across_forms: found.across_forms,
            values: match (options.headers, options.values) {
                (true, _) => "not at all",
                (false, true) => "measured",
                (false, false) => "until they differ",
            },
            a: DiffModel::of(a),
            b: DiffModel::of(b),
            hyper_parameters: settings(&found.hyper_parameters),
            metadata: settings(&found.metadata),
            files: settings(&found.files),
            tokenizer: found.tokenizers.as_ref().map(tokenizer),
            templates: found.templates.iter().map(template).collect(),
            counts: counts.collect(),
            weights,
            grid: grid(&found),
            notes: found.notes,
        })
    }
}

impl DiffModel {
    fn of(inspection: &Inspection) -> Self {
        let model = inspection.model();
        Self {
            format: model.format.name(),
            files: model.files.iter().map(|f| f.name.clone()).collect(),
            tensors: model.tensors.len() as u64,
            parameters: model.parameters(),
        }
    }
}

fn setting(s: &compare::Setting) -> DiffSetting {
    DiffSetting { name: s.name.clone(), about: s.about, a: s.a.clone(), b: s.b.clone(), differs: s.differs }
}

fn tokenizer(t: &compare::Tokenizers) -> DiffTokenizer {
    let setting = |(name, a, b): &(String, Option<String>, Option<String>)| DiffSetting {
        name: name.clone(),
        about: "",
        a: a.clone(),
        b: b.clone(),
        differs: true,
    };
    let token = |c: &compare::Change| DiffToken { id: c.id, a: c.a.clone(), b: c.b.clone() };
    let merges = |m: &compare::Merges| {
        let (first, first_a, first_b) = match &m.first {
            Some((at, a, b)) => (Some(*at), a.clone(), b.clone()),
            None => (None, None, None),
        };
        DiffMerges { a: m.a, b: m.b, differing: m.differing, first, first_a, first_b }
    };
    DiffTokenizer {
        differs: t.differs,
        a: t.a.clone(),
        b: t.b.clone(),
        tokens_a: t.tokens_a,
        tokens_b: t.tokens_b,
        changed: t.changed,
        only_a: t.only_a,
        only_b: t.only_b,
        tokens: t.changes.iter().map(token).collect(),
        settings: t.settings.iter().map(setting).collect(),
        merges: t.merges.as_ref().map(merges),
        notes: t.notes.clone(),
    }
}

fn template(t: &compare::TemplateChange) -> DiffTemplate {
    let line = |l: &compare::TemplateLine| DiffLine {
        sign: match l.change {
            Change::Same => " ",
            Change::Removed => "-",
            Change::Added => "+",
        },
        a: l.a.map(|n| n as u64),
        b: l.b.map(|n| n as u64),
        text: l.text.clone(),
    };
    DiffTemplate {
        name: t.name.clone(),
        differs: t.differs,
        from_a: t.from_a.clone(),
        from_b: t.from_b.clone(),
        lines: t.lines.iter().map(line).collect(),
        more: t.more,
        note: t.note.clone(),
    }
}

fn weight(row: &compare::Row, allow_rounding: bool) -> DiffWeight {
    let tensor = |t: &Placed| DiffTensor {
        names: t.names.clone(),
        shape: t.shape.0.clone(),
        encodings: t.encodings.iter().map(ToString::to_string).collect(),
    };
    let values = |m: &compare::Measured| DiffValues {
        compared: m.compared,
        complete: m.complete,
        differing: m.differing,
        relative_error: m.relative_error,
        cosine: m.cosine,
        largest: m.largest,
        largest_at: m.largest_at,
        not_finite: m.not_finite,
    };
    DiffWeight {
        layer: row.layer,
        part: row.part.clone(),
        state: row.state.name(),
        differs: row.differs(allow_rounding),
        renamed: row.renamed,
        reshaped: row.reshaped,
        transposed: row.transposed,
        a: row.a.as_ref().map(tensor),
        b: row.b.as_ref().map(tensor),
        values: row.measured.as_ref().map(values),
        note: row.note.clone(),
    }
}

fn grid(found: &Compared) -> DiffGrid {
    let cell = |c: &compare::Cell| DiffCell { state: c.state.name(), relative_error: c.relative_error };
    let rows = found
        .grid
        .rows
        .iter()
        .map(|row| DiffGridRow { layer: row.layer, cells: row.cells.iter().map(|c| c.as_ref().map(cell)).collect() });
    DiffGrid { parts: found.grid.parts.clone(), rows: rows.collect() }
}
