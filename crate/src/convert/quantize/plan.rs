//! What becomes of each tensor, before a byte is read.

use super::{
    mix::{Category, Facts, Mix, fitting, ggml_dims, layer, may_change},
    types::FileType,
};
use crate::{
    convert::{
        copy::stored_bytes,
        gguf::{Header, Planned},
    },
    fault::{Fault, Result},
    model::{ModelFile, TensorEntry},
    tensor::Encoding,
};

/// A pattern of tensor names and what they become.
pub struct Override {
    /// As the user wrote it.
    pub pattern: String,
    regex: fancy_regex::Regex,
    /// The encoding.
    pub encoding: Encoding,
}

impl Override {
    /// From "PATTERN=TYPE"; the pattern is a regular expression that is looked for anywhere in the name.
    ///
    /// # Errors
    /// It has no `=`, the pattern is none, or the type cannot be written.
    pub fn parse(text: &str) -> Result<Self> {
        let (pattern, name) = text
            .rsplit_once('=')
            .ok_or_else(|| Fault::caller(format!("\"{text}\" is not of the form PATTERN=TYPE")))?;
        let regex = fancy_regex::Regex::new(pattern)
            .map_err(|e| Fault::caller(format!("\"{pattern}\" is not a regular expression: {e}")))?;
        Ok(Self { pattern: pattern.to_owned(), regex, encoding: super::types::encoding(name)? })
    }
    fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name).unwrap_or(false)
    }
}

/// What was asked for.
#[derive(Default)]
pub struct Options {
    /// The mix.
    pub kind: FileType,
    /// Patterns in the order given: the first that matches counts.
    pub overrides: Vec<Override>,
    /// What the output matrix becomes.
    pub output: Option<Encoding>,
    /// What the token embedding becomes.
    pub embedding: Option<Encoding>,
    /// All matrices become the main encoding: no mix.
    pub pure: bool,
    /// Values that were rounded once may be rounded again.
    pub requantize: bool,
    /// Threads; 0 takes one per core.
    pub threads: usize,
}

/// Why a tensor becomes what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is not a matrix, or one that is never quantized.
    Kept,
    /// By the mix.
    Mix,
    /// It was asked for.
    Asked,
    /// Its rows do not hold whole blocks of this encoding.
    Fallback(Encoding),
}

/// One tensor of a plan, in the order of writing.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index into [`ModelFile::tensors`].
    pub tensor: usize,
    /// What it is stored as.
    pub from: Encoding,
    /// What it becomes.
    pub to: Encoding,
    /// Why.
    pub why: Why,
    /// Its size before and after, in bytes.
    pub bytes: (u64, u64),
}

/// What becomes of a model.
pub struct Plan {
    /// The new file's header.
    pub header: Header,
    /// What to do, a step for each tensor of the header.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides for every tensor.
    ///
    /// # Errors
    /// The model is no whole GGUF file; a tensor would be rounded twice and that was not allowed, cannot be decoded, or its rows
    /// fit nothing.
    pub fn of(model: &ModelFile, options: &Options) -> Result<Self> {
        let mut header = Header::of(model)?;
        if model.tensors.is_empty() {
            return Err(Fault::unsupported("the file holds no tensors to quantize"));
        }
        header.remove(|key| matches!(key, "split.no" | "split.count" | "split.tensors.count"));
        header.append_u32("general.quantization_version", 2)?;
        header.append_u32("general.file_type", options.kind.number)?;
        let facts = Facts::of(&model.metadata);
        let mut order: Vec<usize> = (0..model.tensors.len()).collect();
        let name = |i: usize| model.tensors[i].name.as_str();
        order.sort_by(|a, b| (layer(name(*a)), name(*a)).cmp(&(layer(name(*b)), name(*b))));
        let mut mix = Mix::new(&facts, options.kind, options.output, order.iter().map(|i| name(*i)));
        let mut steps = Vec::with_capacity(order.len());
        for tensor in order {
            let entry = &model.tensors[tensor];
            let (to, why) = decide(entry, &facts, &mut mix, options)?;
            let shape = ggml_dims(&entry.shape);
            let before = stored_bytes(entry)?;
            let after = if to == entry.encoding {
                before
            } else {
                can_change(entry, options)?;
                shape.elements().and_then(|n| to.bytes(n, shape.row_len())).ok_or_else(|| {
                    let (name, row) = (&entry.name, shape.row_len());
                    Fault::unsupported(format!("rows of {name} have {row} elements: not whole blocks of {to}"))
                })?
            };
            steps.push(Step { tensor, from: entry.encoding, to, why, bytes: (before, after) });
            header.tensors.push(Planned { name: entry.name.clone(), shape, encoding: to, bytes: after });
        }
        Ok(Self { header, steps })
    }
}

fn decide(entry: &TensorEntry, facts: &Facts, mix: &mut Mix<'_>, options: &Options) -> Result<(Encoding, Why)> {
    let (name, main) = (entry.name.as_str(), options.kind.main);
    if !may_change(facts, name, &entry.shape) {
        return Ok((entry.encoding, Why::Kept));
    }
    let category = Category::of(name);
    let named = || options.overrides.iter().find(|o| o.matches(name));
    if let (Some(wanted), Category::TokenEmbedding) = (options.embedding, category)
        && (name == "token_embd.weight" || named().is_none())
    {
        return Ok((wanted, Why::Asked));
    }
    if let (Some(wanted), Category::Output) = (options.output, category) {
        return Ok((wanted, Why::Asked));
    }
    if main.spec().is_none_or(|s| s.block_len == 1) {
        return Ok((main, Why::Mix));
    }
    let (wanted, why) = match named() {
        Some(found) => (found.encoding, Why::Asked),
        None if options.pure => (main, Why::Mix),
        None => (mix.choose(name, &entry.shape), Why::Mix),
    };
    let row = entry.shape.row_len();
    let fit = fitting(wanted, row).ok_or_else(|| {
        Fault::unsupported(format!(
            "rows of {name} have {row} elements: not whole blocks of {wanted}, which has no fallback"
        ))
    })?;
    Ok((fit, if fit == wanted { why } else { Why::Fallback(wanted) }))
}

/// Whether a tensor's values can be read as numbers, and may be rounded.
fn can_change(entry: &TensorEntry, options: &Options) -> Result<()> {
    let (name, from) = (&entry.name, entry.encoding);
    let spec = from.spec().filter(|s| s.decode.is_some() && !from.is_integer());
    let spec = spec.ok_or_else(|| Fault::unsupported(format!("{name} is {from}, which cannot be quantized")))?;
    if spec.block_len > 1 && !options.requantize {
        return Err(Fault::caller(format!(
            "{name} is {from} already: rounding it again loses more than quantizing the original; --allow-requantize does it all the same"
        )));
    }
    Ok(())
}
