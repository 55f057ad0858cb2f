//! What a file is to its model, and how its format's version is known.

use std::fmt;

use super::FormatId;

/// What a file is to the model that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRole {
    /// All its weights.
    Weights,
    /// A part of them.
    Shard {
        /// 1 for the first.
        number: usize,
        /// How many there are.
        total: usize,
    },
    /// The graph or the index of a TensorFlow model.
    GraphOrCheckpoint,
    /// The variables of a TensorFlow model.
    Variables,
    /// Bytes that the model's file names.
    ExternalData,
    /// It says which shard holds a tensor.
    Index,
    /// `config.json`.
    Configuration,
    /// `config.json` of a part: a pooling layer, a model of a pipeline.
    PartConfiguration,
    /// `generation_config.json`.
    GenerationSettings,
    /// `adapter_config.json`.
    AdapterConfiguration,
    /// A tokenizer.
    Tokenizer,
    /// `tokenizer_config.json`.
    TokenizerSettings,
    /// Lists of special and added tokens.
    SpecialTokens,
    /// A vocabulary or merges.
    Vocabulary,
    /// How a conversation is written.
    ChatTemplate,
    /// Lists of the parts of a pipeline.
    Pipeline,
    /// How pictures or sounds are prepared.
    Preprocessor,
    /// `README.md`.
    ModelCard,
    /// What serves the model, by its name.
    Beside(Companion),
    /// A model of its own.
    Another(FormatId),
    /// What else it is, in words.
    Other(String),
}

/// What lies beside models and serves one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// The part that sees or hears.
    Projector,
    /// Statistics for quantization.
    ImportanceMatrix,
    /// A change of the model.
    Adapter,
}

impl Companion {
    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Projector => "vision or audio projector (mmproj)",
            Self::ImportanceMatrix => "importance matrix (imatrix)",
            Self::Adapter => "adapter",
        }
    }
}

impl FileRole {
    /// True for weights and shards of them.
    pub fn is_weights(&self) -> bool {
        matches!(self, Self::Weights | Self::Shard { .. })
    }
    /// True for files that hold a model, or a part of one.
    pub fn is_model(&self) -> bool {
        self.is_weights() || matches!(self, Self::GraphOrCheckpoint | Self::Another(_) | Self::Beside(_))
    }
}

/// A few words for people: "shard 1 of 2".
impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Shard { number, total } => return write!(f, "shard {number} of {total}"),
            Self::Beside(what) => return write!(f, "{}, by its name", what.words()),
            Self::Another(format) => return write!(f, "another {} model", format.name()),
            Self::Other(what) => what.as_str(),
            Self::Weights => "weights",
            Self::GraphOrCheckpoint => "graph or checkpoint",
            Self::Variables => "variables",
            Self::ExternalData => "external data",
            Self::Index => "index",
            Self::Configuration => "configuration",
            Self::PartConfiguration => "a part's configuration",
            Self::GenerationSettings => "generation settings",
            Self::AdapterConfiguration => "adapter configuration",
            Self::Tokenizer => "tokenizer",
            Self::TokenizerSettings => "tokenizer settings",
            Self::SpecialTokens => "special tokens",
            Self::Vocabulary => "vocabulary",
            Self::ChatTemplate => "chat template",
            Self::Pipeline => "pipeline",
            Self::Preprocessor => "preprocessor",
            Self::ModelCard => "model card",
        };
        f.write_str(text)
    }
}

/// Which version of its format a file is of, and in which form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Version {
    /// As people write it: "3, big endian", "IR 8", "TorchScript 6".
    pub text: String,
    /// Its number, for formats that count.
    pub number: Option<u64>,
    /// Numbers in the tensors' bytes are stored most significant byte first.
    pub big_endian: bool,
    /// Which of several forms of the format it is.
    pub flavour: Flavour,
}

/// Forms of one format that programs treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// The usual one.
    #[default]
    Usual,
    /// PyTorch with its program.
    TorchScript,
    /// TensorFlow: a graph with its variables in a folder.
    SavedModel,
    /// TensorFlow: the graph of a checkpoint.
    MetaGraph,
    /// TensorFlow: a graph that may hold its constants.
    GraphDef,
    /// TensorFlow: values alone.
    Checkpoint,
    /// A description whose weights are not here.
    WithoutWeights,
}

impl Version {
    /// A number and no more.
    pub fn counted(number: u64) -> Self {
        Self { text: number.to_string(), number: Some(number), ..Self::default() }
    }
    /// A description whose weights are not here.
    pub fn without_weights() -> Self {
        Self::from("without weights").of(Flavour::WithoutWeights)
    }
    /// The same in one of several forms.
    #[must_use]
    pub fn of(self, flavour: Flavour) -> Self {
        Self { flavour, ..self }
    }
    /// The same with its byte order, which is told where it is the rarer one.
    #[must_use]
    pub fn big_endian(mut self, big: bool) -> Self {
        if big {
            self.text.push_str(", big endian");
        }
        self.big_endian = big;
        self
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Version {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
