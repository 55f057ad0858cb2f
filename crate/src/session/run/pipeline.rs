//! What a folder of sentence-transformers does around its model: prompts and lengths before, pooling, dense maps and
//! normalisation behind.
//!
//! Sources: sentence-transformers `modules.json` and its modules' `config.json`; llama.cpp for GGUF files.

use super::{
    dense::Dense,
    pooling::{Pooling, scaled},
};
use crate::{
    fault::{Blame, Fault, Result},
    model::MetaValue,
    session::Inspection,
};

/// Modules that a pipeline has at most: the reader of folders takes as many.
const MODULES_MOST: usize = 32;

/// A text put before every text of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its name: "query".
    pub name: String,
    /// The text.
    pub text: String,
}

/// A step behind the pooling.
enum Behind {
    Dense(Dense),
    Normalize,
}

/// A model's pipeline.
pub(super) struct Pipeline {
    /// How hidden states become one vector; of several the vectors side by side.
    pub pooling: Vec<Pooling>,
    /// Whether a prompt's tokens count in the pooling.
    pub include_prompt: bool,
    /// Prompts by name.
    pub prompts: Vec<Prompt>,
    /// The prompt that is used where none is asked for.
    pub default_prompt: Option<String>,
    /// The most tokens of a text, where the files say.
    pub most: Option<u32>,
    /// Texts are put in lower case first.
    pub lower_case: bool,
    behind: Vec<Behind>,
}

impl Pipeline {
    /// What the model's files say; without a word of them the mean, scaled to length 1.
    ///
    /// # Errors
    /// A module is of a kind that is not known; a dense map's weights are not here or of another shape than it says.
    pub(super) async fn of(inspection: &Inspection) -> Result<Self> {
        let metadata = &inspection.model().metadata;
        let (most, lower_case) = Self::limits(inspection);
        let mut this = Self {
            pooling: Vec::new(),
            include_prompt: true,
            prompts: prompts(inspection),
            default_prompt: metadata.string("sentence_transformers.default_prompt_name").map(str::to_owned),
            most,
            lower_case,
            behind: Vec::new(),
        };
        let modules: Vec<(&str, &str)> = (0..MODULES_MOST)
            .filter_map(|i| {
                let kind = metadata.string(&format!("modules.{i}.type"))?;
                Some((kind, metadata.string(&format!("modules.{i}.path")).unwrap_or_default()))
            })
            .collect();
        for (kind, path) in &modules {
            this.module(inspection, kind, path).await?;
        }
        if modules.is_empty() {
            this.without_modules(inspection).await?;
        }
        if this.pooling.is_empty() {
            this.pooling.push(Pooling::Mean);
        }
        Ok(this)
    }
    /// The most tokens of a text, where the files say, and whether texts are put in lower case.
    pub(super) fn limits(inspection: &Inspection) -> (Option<u32>, bool) {
        let metadata = &inspection.model().metadata;
        (length(inspection), metadata.boolean("sentence_bert.do_lower_case") == Some(true))
    }
    async fn module(&mut self, inspection: &Inspection, kind: &str, path: &str) -> Result<()> {
        match kind.rsplit('.').next().unwrap_or(kind) {
            "Transformer" | "Dropout" => {}
            "Pooling" => {
                self.pooling = Pooling::of_module(inspection, path)?;
                let include = inspection.model().metadata.boolean(&format!("module.{path}.include_prompt"));
                self.include_prompt = include.unwrap_or(true);
            }
            "Normalize" => self.behind.push(Behind::Normalize),
            "Dense" => self.behind.push(Behind::Dense(Dense::of_folder(inspection, path).await?)),
            other => {
                let other: String = other.chars().take(40).collect();
                let what = format!(
                    "modules.json: modules of kind {other:?} cannot be run yet (known: Transformer, Pooling, Dense, Normalize, Dropout)"
                );
                return Err(Fault::unsupported(what));
            }
        }
        Ok(())
    }
    /// A GGUF file, or a folder without modules.json.
    async fn without_modules(&mut self, inspection: &Inspection) -> Result<()> {
        self.pooling.extend(Pooling::of_gguf(inspection));
        // EmbeddingGemma's maps behind the pooling.
        for name in ["dense_2", "dense_3"] {
            if let Some(dense) = Dense::of_gguf(inspection, name).await? {
                self.behind.push(Behind::Dense(dense));
            }
        }
        self.behind.push(Behind::Normalize);
        Ok(())
    }
    /// Whether vectors are scaled to length 1.
    pub(super) fn normalizes(&self) -> bool {
        matches!(self.behind.last(), Some(Behind::Normalize))
    }
    /// Scales vectors to length 1 at the end, or does not, whatever the files say.
    pub(super) fn set_normalize(&mut self, normalize: bool) {
        self.behind.retain(|b| !matches!(b, Behind::Normalize));
        if normalize {
            self.behind.push(Behind::Normalize);
        }
    }
    /// The text of a prompt.
    ///
    /// # Errors
    /// There is none of this name; the fault lists those that there are.
    pub(super) fn prompt(&self, name: &str) -> Result<&str> {
        let found = self.prompts.iter().find(|p| p.name == name).map(|p| p.text.as_str());
        found.ok_or_else(|| {
            let names: Vec<&str> = self.prompts.iter().map(|p| p.name.as_str()).collect();
            let known =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            Fault::caller(format!("the model has no prompt named {name:?}: {known}"))
        })
    }
    /// The vector of a text's hidden states, of which the first `prompt` are its prompt's.
    ///
    /// # Errors
    /// Hidden states are NaN or infinite; they do not fit a dense map.
    pub(super) fn vector(&self, hidden: &[Vec<f32>], prompt: usize) -> Result<Vec<f32>> {
        let skip = if self.include_prompt { 0 } else { prompt };
        let mut vector = Vec::new();
        for pooling in &self.pooling {
            vector.extend(pooling.apply(hidden, skip)?);
        }
        for step in &self.behind {
            vector = match step {
                Behind::Dense(dense) => dense.apply(&vector)?,
                Behind::Normalize => scaled(vector),
            };
        }
        if vector.iter().any(|v| !v.is_finite()) {
            return Err(Fault::device("hidden states are NaN or infinite: the weights overflow f32 or are damaged"));
        }
        Ok(vector.into_iter().map(|v| v as f32).collect())
    }
    /// Refuses widths that do not follow each other, before anything is run.
    ///
    /// # Errors
    /// A dense map reads vectors of another width than it gets.
    pub(super) fn check(&self, hidden: u32) -> Result<()> {
        let mut width = hidden as usize * self.pooling.len();
        for step in &self.behind {
            if let Behind::Dense(dense) = step {
                if dense.inputs() != width {
                    let what = format!("a dense map of {} values behind vectors of {width}", dense.inputs());
                    return Err(Fault::new(Blame::File, what));
                }
                width = dense.outputs();
            }
        }
        Ok(())
    }
}

fn prompts(inspection: &Inspection) -> Vec<Prompt> {
    let prefix = "sentence_transformers.prompts.";
    let all = inspection.model().metadata.iter().filter_map(|(key, value)| {
        let (name, MetaValue::String(text)) = (key.strip_prefix(prefix)?, value) else { return None };
        Some(Prompt { name: name.to_owned(), text: text.clone() })
    });
    all.collect()
}

/// The most tokens of a text: the pipeline's own word, else the tokenizer's.
fn length(inspection: &Inspection) -> Option<u32> {
    let metadata = &inspection.model().metadata;
    let stated = metadata.unsigned("sentence_bert.max_seq_length");
    let stated = stated.or_else(|| metadata.unsigned("tokenizer_config.model_max_length"));
    stated.filter(|n| *n > 0).and_then(|n| u32::try_from(n).ok())
}
