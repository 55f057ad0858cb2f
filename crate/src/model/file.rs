//! A model as read from one or several files.

use std::collections::HashSet;

use super::{FileRole, Metadata, Note, OpGraph, Packed, Place, Section, TensorEntry, Version};
use crate::tensor::Encoding;

/// The container format, named by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FormatId {
    Gguf,
    Ggml,
    Llama2c,
    Imatrix,
    Safetensors,
    PyTorch,
    Pickle,
    Numpy,
    Keras,
    TensorFlow,
    TfLite,
    Onnx,
    Tokenizer,
}

impl FormatId {
    /// The name used in reports: "GGUF", "safetensors", "ONNX".
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "GGUF",
            Self::Ggml => "GGML",
            Self::Llama2c => "llama2.c",
            Self::Imatrix => "imatrix",
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch",
            Self::Pickle => "Python pickle",
            Self::Numpy => "NumPy",
            Self::Keras => "Keras",
            Self::TensorFlow => "TensorFlow",
            Self::TfLite => "TensorFlow Lite",
            Self::Onnx => "ONNX",
            Self::Tokenizer => "tokenizer",
        }
    }
}

/// One of the files a model was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSummary {
    /// Name as the user knows it.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// What it is to the model.
    pub role: FileRole,
}

/// A file that ends before its list of tensors does: cut off, or still being downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Index into [`ModelFile::files`].
    pub file: usize,
    /// Length in bytes that the file must at least have; `None` where nothing that was read says.
    pub needs: Option<u64>,
    /// Tensors that the file announces; `None` where it states no number.
    pub announced: Option<u64>,
}

/// A file of the weights that is named and not here: by an index, or by what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Its name among the model's files.
    pub name: String,
    /// Its length in bytes, where a Git LFS pointer states it.
    pub bytes: Option<u64>,
    /// What lies under its name instead: "a Git LFS pointer", "empty".
    pub instead: Option<String>,
}

/// Everything a header says.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// Container format.
    pub format: FormatId,
    /// Format version, form and byte order.
    pub version: Version,
    /// The files that were given and belong to it, in order; [`super::Place::Here`] points into them.
    pub files: Vec<FileSummary>,
    /// Key/value metadata in file order. For a Hugging Face folder: `config.json` flattened under `config.`.
    pub metadata: Metadata,
    /// All tensors in file order.
    pub tensors: Vec<TensorEntry>,
    /// The operator graph, for formats that hold one.
    pub graph: Option<OpGraph>,
    /// The byte map: header, metadata, padding, tensors, gaps, trailing bytes; sorted per file.
    pub sections: Vec<Section>,
    /// Findings, most severe first.
    pub notes: Vec<Note>,
    /// Files whose list of tensors is cut off. Tensors that are listed but lie beyond a file's end are [`super::Place::Missing`].
    pub cuts: Vec<Cut>,
    /// Files of the weights that are not here, as far as they are named, in the order of their names.
    pub awaited: Vec<Awaited>,
}

impl ModelFile {
    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.iter().find(|t| t.name == name)
    }
    /// Each run of bytes once: of tensors that are the very same bytes (tied weights) only the first.
    fn distinct(&self) -> impl Iterator<Item = &TensorEntry> {
        fn run(tensor: &TensorEntry) -> Option<(usize, u64, u64)> {
            match &tensor.place {
                Place::Here { file, at } if at.start < at.end => Some((*file, at.start, at.end)),
                _ => None,
            }
        }
        // Most files list tensors in the order of their bytes: then none lies where another does, and no set is needed.
        let in_order = self.tensors.iter().filter_map(run).is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1));
        let mut seen = HashSet::new();
        self.tensors.iter().filter(move |t| in_order || run(t).is_none_or(|run| seen.insert(run)))
    }
    /// Bytes of all tensors, tied ones once.
    pub fn tensor_bytes(&self) -> u64 {
        self.distinct().filter_map(|t| t.bytes).fold(0, u64::saturating_add)
    }
    /// Sum of all tensors' elements, quantized or not, tied ones once; tensors known by name only count nothing, and of weights that
    /// several tensors hold together the values count.
    pub fn parameters(&self) -> u64 {
        let packed = self.packed();
        let parts: HashSet<&str> = packed
            .iter()
            .flat_map(|p| p.parts.iter().map(|(_, i)| *i).chain([p.main]))
            .map(|i| self.tensors[i].name.as_str())
            .collect();
        let own = self
            .distinct()
            .filter(|t| t.encoding != Encoding::Unknown && !parts.contains(t.name.as_str()))
            .filter_map(|t| t.shape.elements());
        own.chain(packed.iter().filter_map(Packed::elements)).fold(0, u64::saturating_add)
    }
    /// True when numbers in the tensors' bytes are stored most significant byte first.
    pub fn big_endian(&self) -> bool {
        self.version.big_endian
    }
}
