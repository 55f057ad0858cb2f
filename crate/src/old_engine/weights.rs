//! What each weight is for, and its name in each kind of file: one table.

use std::collections::HashMap;

use crate::{
    fault::{Fault, Result},
    model::{FormatId, ModelFile, Place},
    tensor::Encoding,
};

/// What a weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Role {
    TokenEmbedding,
    OutputNorm,
    Output,
    RopeFactors,
    AttnNorm,
    AttnQ,
    AttnK,
    AttnV,
    AttnOutput,
    FfnNorm,
    FfnGate,
    FfnUp,
    FfnDown,
}

/// Role, name in GGUF, name in Hugging Face files; `{i}` is the layer, `.weight` or `.bias` follows.
/// Sources: llama.cpp `gguf-py/gguf/tensor_mapping.py`, transformers `modeling_llama.py`.
static NAMES: &[(Role, &str, &str)] = &[
    (Role::TokenEmbedding, "token_embd", "model.embed_tokens"),
    (Role::OutputNorm, "output_norm", "model.norm"),
    (Role::Output, "output", "lm_head"),
    (Role::RopeFactors, "rope_freqs", ""),
    (Role::AttnNorm, "blk.{i}.attn_norm", "model.layers.{i}.input_layernorm"),
    (Role::AttnQ, "blk.{i}.attn_q", "model.layers.{i}.self_attn.q_proj"),
    (Role::AttnK, "blk.{i}.attn_k", "model.layers.{i}.self_attn.k_proj"),
    (Role::AttnV, "blk.{i}.attn_v", "model.layers.{i}.self_attn.v_proj"),
    (Role::AttnOutput, "blk.{i}.attn_output", "model.layers.{i}.self_attn.o_proj"),
    (Role::FfnNorm, "blk.{i}.ffn_norm", "model.layers.{i}.post_attention_layernorm"),
    (Role::FfnGate, "blk.{i}.ffn_gate", "model.layers.{i}.mlp.gate_proj"),
    (Role::FfnUp, "blk.{i}.ffn_up", "model.layers.{i}.mlp.up_proj"),
    (Role::FfnDown, "blk.{i}.ffn_down", "model.layers.{i}.mlp.down_proj"),
];

/// Encodings that the mat-vec, mat-mul and embedding kernels read as they are.
pub static RUNNABLE: &[Encoding] = &[
    Encoding::F32,
    Encoding::F16,
    Encoding::BF16,
    Encoding::Q8_0,
    Encoding::Q4_0,
    Encoding::Q4_1,
    Encoding::Q5_0,
    Encoding::Q5_1,
    Encoding::Q2_K,
    Encoding::Q3_K,
    Encoding::Q4_K,
    Encoding::Q5_K,
    Encoding::Q6_K,
    Encoding::IQ4_NL,
];

/// A tensor of the model in its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightRef {
    /// Index into `ModelFile::tensors`.
    pub tensor: usize,
    /// Number of rows; 1 for a vector.
    pub rows: u32,
    /// Values per row.
    pub row_len: u32,
    /// Encoding of the rows on the device: the file's, or F32 for vectors (norms, biases).
    pub encoding: Encoding,
}

/// A model's tensors by role.
pub struct Weights<'a> {
    model: &'a ModelFile,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Weights<'a> {
    /// Indexes the model's tensors by name; the first of a repeated name counts.
    pub fn new(model: &'a ModelFile) -> Self {
        let mut by_name = HashMap::with_capacity(model.tensors.len());
        for (i, tensor) in model.tensors.iter().enumerate() {
            by_name.entry(tensor.name.as_str()).or_insert(i);
        }
        Self { model, by_name }
    }
    /// The name that a weight has in this kind of file; empty where that kind has none.
    pub fn name(&self, role: Role, layer: u32, part: &str) -> String {
        let row = NAMES.iter().find(|(r, ..)| *r == role);
        let stem = row.map_or("", |(_, gguf, hf)| if self.model.format == FormatId::Gguf { gguf } else { hf });
        if stem.is_empty() { String::new() } else { format!("{}.{part}", stem.replace("{i}", &layer.to_string())) }
    }
    /// The number of the role's `.weight` (or `.bias`), where the model has it.
    pub fn find(&self, role: Role, layer: u32, part: &str) -> Option<usize> {
        self.by_name.get(self.name(role, layer, part).as_str()).copied()
    }
    /// A matrix `[rows, row_len]` in an encoding that kernels read.
    ///
    /// # Errors
    /// It is missing, of another shape, in an encoding without kernels, or its bytes were not given.
    pub fn matrix(&self, role: Role, layer: u32, rows: u32, row_len: u32) -> Result<WeightRef> {
        let tensor = self.need(role, layer)?;
        self.shaped(tensor, &[rows, row_len])?;
        let encoding = self.model.tensors[tensor].encoding;
        if !RUNNABLE.contains(&encoding) {
            return Err(Fault::unsupported(format!(
                "tensor {} is in {encoding}, which no kernel computes with yet",
                self.model.tensors[tensor].name
            )));
        }
        Ok(WeightRef { tensor, rows, row_len, encoding })
    }
    /// A vector `[len]`, brought to F32 at load.
    ///
    /// # Errors
    /// It is missing, of another shape, cannot be decoded, or its bytes were not given.
    pub fn vector(&self, role: Role, layer: u32, len: u32) -> Result<WeightRef> {
        let tensor = self.need(role, layer)?;
        self.vector_at(tensor, len)
    }
    /// The bias beside a matrix, where the model has one.
    ///
    /// # Errors
    /// As [`Weights::vector`].
    pub fn bias(&self, role: Role, layer: u32, len: u32) -> Result<Option<WeightRef>> {
        self.find(role, layer, "bias").map(|tensor| self.vector_at(tensor, len)).transpose()
    }
    fn vector_at(&self, tensor: usize, len: u32) -> Result<WeightRef> {
        self.shaped(tensor, &[len])?;
        let entry = &self.model.tensors[tensor];
        if entry.encoding.spec().and_then(|s| s.decode).is_none() {
            return Err(Fault::unsupported(format!(
                "tensor {} is in {}, which cannot be decoded",
                entry.name, entry.encoding
            )));
        }
        Ok(WeightRef { tensor, rows: 1, row_len: len, encoding: Encoding::F32 })
    }
    fn need(&self, role: Role, layer: u32) -> Result<usize> {
        self.find(role, layer, "weight")
            .ok_or_else(|| Fault::unsupported(format!("tensor {} is missing", self.name(role, layer, "weight"))))
    }
    fn shaped(&self, tensor: usize, wanted: &[u32]) -> Result<()> {
        let entry = &self.model.tensors[tensor];
        if !entry.shape.0.iter().copied().eq(wanted.iter().map(|n| u64::from(*n))) {
            let wanted = crate::tensor::Shape(wanted.iter().map(|n| u64::from(*n)).collect());
            let fault = Fault::new(
                crate::fault::Blame::File,
                format!("tensor {}: shape {wanted} expected from the metadata, {} found", entry.name, entry.shape),
            );
            return Err(fault);
        }
        match &entry.place {
            Place::Here { .. } => Ok(()),
            Place::Missing { file, .. } if self.model.files.iter().any(|f| f.name == *file) => Err(Fault::new(
                crate::fault::Blame::File,
                format!("tensor {} lies beyond the end of {file}, which is not whole", entry.name),
            )),
            Place::Missing { file, .. } => {
                Err(Fault::caller(format!("tensor {} is in {file}, which was not given", entry.name)))
            }
            Place::Inline | Place::Absent | Place::Strided { .. } | Place::Chunked { .. } => {
                Err(Fault::unsupported(format!("tensor {} has no bytes of its own in the file", entry.name)))
            }
        }
    }
}

/// Rows as a weight slot wants them: as they are, or decoded where the slot holds F32 and the file does not.
///
/// # Errors
/// The two encodings differ and the slot's is not F32; the bytes are not whole rows.
pub fn to_slot<'a>(from: Encoding, to: Encoding, row_len: u64, bytes: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>> {
    if from == to {
        return Ok(bytes.into());
    }
    let decode = from.spec().and_then(|s| Some((s.decode?, u64::from(s.block_len), u64::from(s.block_bytes))));
    let (Some((decode, block_len, block_bytes)), Encoding::F32) = (decode, to) else {
        return Err(Fault::bug(format!("rows in {from} cannot become {to}")));
    };
    if row_len % block_len != 0 || bytes.len() as u64 % (row_len / block_len * block_bytes).max(1) != 0 {
        return Err(Fault::caller(format!("{} bytes are not whole rows of {row_len} values in {from}", bytes.len())));
    }
    let mut values = vec![0f32; bytes.len() / block_bytes as usize * block_len as usize];
    decode(bytes, &mut values);
    Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>().into())
}
