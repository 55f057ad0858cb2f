//! What becomes of each tensor of a folder, before a value is read.

use super::{extra, families, general, maker::Maker, settings::Settings, sizes::Sizes, vocabulary};
use crate::{
    arch::{self, Architecture, Form, Numbers},
    convert::{
        gguf::{Header, Planned},
        take::Take,
    },
    fault::{Fault, Result},
    model::{FileRole, FileSummary, FormatId, ModelFile, Place, TensorEntry, Version},
    source::SourceSet,
    tensor::{Encoding, Shape},
};

/// What matrices become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// What the first matrix is: BF16 or F16; F16 where it is neither.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// bfloat16.
    BF16,
    /// Blocks of eight bits; F16 for rows that do not hold whole blocks.
    Q8_0,
}

impl Type {
    /// By its name, in any case.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "AUTO" => Self::Auto,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "Q8_0" => Self::Q8_0,
            _ => {
                let what = format!(
                    "models are converted to auto, F32, F16, BF16 or Q8_0, not to \"{name}\": `glassbox quantize` makes smaller ones of the result"
                );
                return Err(Fault::caller(what));
            }
        })
    }
    /// The encoding, and llama.cpp's number of such a file.
    fn of(self, model: &ModelFile, order: &[usize]) -> (Encoding, u32) {
        match self {
            Self::F32 => (Encoding::F32, 0),
            Self::F16 => (Encoding::F16, 1),
            Self::BF16 => (Encoding::BF16, 32),
            Self::Q8_0 => (Encoding::Q8_0, 7),
            Self::Auto => {
                let matrices = order.iter().map(|i| &model.tensors[*i]).filter(|t| t.shape.0.len() > 1);
                let known = |t: &TensorEntry| matches!(t.encoding, Encoding::BF16 | Encoding::F16);
                match matrices.into_iter().find(|t| known(t)).map(|t| t.encoding) {
                    Some(Encoding::BF16) => (Encoding::BF16, 32),
                    _ => (Encoding::F16, 1),
                }
            }
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What matrices become.
    pub kind: Type,
    /// `general.name`; without it the model card's, or the folder's.
    pub name: Option<String>,
    /// The name of the folder that the model lies in, where it is known.
    pub folder: Option<String>,
    /// `tokenizer.ggml.pre`; without it what the vocabulary shows.
    pub pre: Option<String>,
}

/// Where a new tensor's values come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// From stored tensors.
    Taken(Take),
    /// From the configuration, in single precision.
    Made(Vec<f32>),
}

/// A new tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Slowest dimension first.
    pub shape: Shape,
    /// What it is stored as.
    pub encoding: Encoding,
    /// Its size in bytes.
    pub bytes: u64,
    pub(super) origin: Origin,
}

impl Step {
    /// Indices into [`ModelFile::tensors`] of those that its values come from; none for what follows from the configuration.
    pub fn tensors(&self) -> &[usize] {
        match &self.origin {
            Origin::Taken(take) => &take.tensors,
            Origin::Made(_) => &[],
        }
    }
}

/// A model's GGUF file, before it is written.
#[derive(Debug)]
pub struct Plan {
    /// Its header.
    pub header: Header,
    /// Where the tensors of the header come from, in the same order.
    pub steps: Vec<Step>,
    /// `general.architecture`.
    pub architecture: String,
    /// What matrices become.
    pub main: Encoding,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Decides for every tensor and every key.
    ///
    /// # Errors
    /// The model is no folder with a configuration, or of an architecture that cannot be converted; a tensor is not one of
    /// its architecture's, is missing, or of another shape than the configuration says.
    pub async fn of(files: &SourceSet, model: &ModelFile, options: &Options) -> Result<Self> {
        let (numbers, architecture) = source(model)?;
        let gguf = architecture.gguf.first().copied().unwrap_or(architecture.name);
        let write = families::find(gguf).ok_or_else(|| {
            let what = format!("{} cannot be converted to GGUF yet; {} can", architecture.name, families::names());
            Fault::unsupported(what)
        })?;
        let order = in_order(model);
        let (main, file_type) = options.kind.of(model, &order);
        let mut settings = Settings::new(&numbers, gguf, file_type)?;
        let mut maker = Maker::new(&numbers, architecture, gguf, main)?;
        for (name, values) in extra::tensors(&mut settings)? {
            maker.made(name, values);
        }
        for tensor in order {
            maker.tensor(tensor)?;
        }
        let (steps, mut notes) = maker.finish(files).await?;
        general::write(&mut settings, files, options, &Sizes::of(&steps)).await?;
        write(&mut settings)?;
        settings.u32("general.quantization_version", 2)?;
        vocabulary::write(&mut settings, files, options, &mut notes).await?;
        let mut plan = Self { header: Header::default(), steps, architecture: gguf.to_owned(), main, notes };
        if architecture.forward.is_some() {
            plan.hold(&settings)?;
        }
        plan.header = settings.header;
        plan.header.tensors = plan.steps.iter().map(planned).collect();
        Ok(plan)
    }
    /// Holds the planned file against what its architecture needs: a file that could not be run is not written.
    fn hold(&self, settings: &Settings<'_>) -> Result<()> {
        let tensors = self.steps.iter().map(|step| TensorEntry {
            name: step.name.clone(),
            shape: step.shape.clone(),
            encoding: step.encoding,
            place: Place::Here { file: 0, at: 0..step.bytes },
            bytes: Some(step.bytes),
        });
        let planned = ModelFile {
            format: FormatId::Gguf,
            version: Version::default(),
            files: vec![FileSummary { name: "the converted file".into(), bytes: 0, role: FileRole::Weights }],
            metadata: settings.metadata(),
            tensors: tensors.collect(),
            graph: None,
            sections: Vec::new(),
            notes: Vec::new(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        };
        arch::build(&planned)
            .map(|_| ())
            .map_err(|fault| Fault::new(fault.blame, format!("the file would not run: {}", fault.what)))
    }
}

/// A step as a line of a header.
fn planned(step: &Step) -> Planned {
    Planned { name: step.name.clone(), shape: step.shape.clone(), encoding: step.encoding, bytes: step.bytes }
}

/// A folder's numbers and architecture.
fn source(model: &ModelFile) -> Result<(Numbers<'_>, &'static Architecture)> {
    if let Some(awaited) = model.awaited.first() {
        return Err(Fault::source("a part of the model is not here").in_file(&awaited.name));
    }
    let numbers = Numbers::of(model).filter(|n| n.form() == Form::Folder && model.format != FormatId::Ggml);
    let numbers = numbers.ok_or_else(|| match model.format {
        FormatId::Safetensors | FormatId::PyTorch => Fault::unsupported(
            "no config.json with a model_type lies beside the weights, so nothing says what they are",
        ),
        other => {
            Fault::unsupported(format!("a folder of safetensors or PyTorch weights expected, {} found", other.name()))
        }
    })?;
    match numbers.architecture() {
        Some(architecture) => Ok((numbers, architecture)),
        None => {
            let name: String = numbers.name().chars().take(60).collect();
            Err(Fault::unsupported(format!(
                "architecture {name:?} cannot be converted to GGUF yet; {} can",
                families::names()
            )))
        }
    }
}

/// The model's tensors file by file, by name within each: the order in which the safetensors library lists them.
fn in_order(model: &ModelFile) -> Vec<usize> {
    let file = |t: &TensorEntry| match &t.place {
        Place::Here { file, .. } | Place::Strided { file, .. } | Place::Chunked { file, .. } => {
            model.files.get(*file).map(|f| f.name.clone()).unwrap_or_default()
        }
        Place::Missing { file, .. } => file.clone(),
        Place::Inline | Place::Absent => String::new(),
    };
    let sorted = model.format == FormatId::Safetensors;
    let mut keyed: Vec<(String, String, usize)> = model
        .tensors
        .iter()
        .enumerate()
        .map(|(i, t)| (file(t), if sorted { t.name.clone() } else { String::new() }, i))
        .collect();
    keyed.sort();
    keyed.into_iter().map(|(.., i)| i).collect()
}
