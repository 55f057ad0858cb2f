//! Maps behind a model's hidden states: dense modules and task heads, on the host. Sums are in f64: they are small.

use super::loader;
use crate::{
    fault::{Blame, Fault, Result},
    ir::{DType, Dim, Fact, Source, Weight},
    session::Inspection,
};

/// The most values of a map: those of models have up to ten million.
const VALUES_MOST: u64 = 1 << 26;

/// A function of one value behind a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    Tanh,
    Relu,
    Gelu,
    GeluTanh,
    Silu,
    Sigmoid,
}

impl Activation {
    /// By the class in torch, or the name in transformers.
    pub(super) fn parse(name: &str) -> Result<Self> {
        Ok(match name.rsplit('.').next().unwrap_or(name) {
            "Identity" | "linear" => Self::Identity,
            "Tanh" | "tanh" => Self::Tanh,
            "ReLU" | "relu" => Self::Relu,
            "GELU" | "gelu" => Self::Gelu,
            "gelu_pytorch_tanh" | "gelu_new" => Self::GeluTanh,
            "SiLU" | "silu" | "swish" => Self::Silu,
            "Sigmoid" | "sigmoid" => Self::Sigmoid,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Fault::unsupported(format!("activation {other:?} cannot be run yet")));
            }
        })
    }
    fn of(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match self {
            Self::Identity => x,
            Self::Tanh => x.tanh(),
            Self::Relu => x.max(0.0),
            Self::Gelu => 0.5 * x * (1.0 + crate::ir::eval::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::Silu => x * sigmoid(x),
            Self::Sigmoid => sigmoid(x),
        }
    }
    /// Of each value.
    pub(super) fn map(self, values: Vec<f64>) -> Vec<f64> {
        values.into_iter().map(|x| self.of(x)).collect()
    }
}

/// `f(W x + b)`.
pub(super) struct Dense {
    inputs: usize,
    outputs: usize,
    /// `[outputs, inputs]`.
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    activation: Activation,
}

impl Dense {
    /// The weight named `stem.weight` of a model's own tensors, with `stem.bias` where there is one; `None` where there is none.
    ///
    /// # Errors
    /// They have no shape of a map, or cannot be read.
    pub(super) async fn of_tensors(
        inspection: &Inspection,
        stem: &str,
        activation: Activation,
    ) -> Result<Option<Self>> {
        let model = inspection.model();
        let Some(weight) = model.tensors.iter().position(|t| t.name == format!("{stem}.weight")) else {
            return Ok(None);
        };
        let entry = &model.tensors[weight];
        let wrong = || {
            let what = format!(
                "tensor {}: a matrix of up to {VALUES_MOST} values expected, {} found",
                entry.name, entry.shape
            );
            Fault::new(Blame::File, what)
        };
        let (outputs, inputs) = match *entry.shape.0.as_slice() {
            // Of one output converters leave the dimension away.
            [inputs] => (1, inputs),
            [outputs, inputs] => (outputs, inputs),
            _ => return Err(wrong()),
        };
        let count = outputs.checked_mul(inputs).filter(|n| *n > 0 && *n <= VALUES_MOST).ok_or_else(wrong)?;
        let weight = values(inspection, weight, count).await?;
        let bias = match model.tensors.iter().position(|t| t.name == format!("{stem}.bias")) {
            None => None,
            Some(at) if model.tensors[at].shape.0 == [outputs] => Some(values(inspection, at, outputs).await?),
            Some(at) => {
                let (name, shape) = (&model.tensors[at].name, &model.tensors[at].shape);
                return Err(Fault::new(
                    Blame::File,
                    format!("tensor {name}: {outputs} values expected, {shape} found"),
                ));
            }
        };
        Ok(Some(Self { inputs: inputs as usize, outputs: outputs as usize, weight, bias, activation }))
    }
    /// A folder's dense module.
    ///
    /// # Errors
    /// Its weights are not here, or not in safetensors; they are of another shape than its configuration says.
    pub(super) async fn of_folder(inspection: &Inspection, path: &str) -> Result<Self> {
        let metadata = &inspection.model().metadata;
        let key = |name: &str| format!("module.{path}.{name}");
        let activation = Activation::parse(metadata.string(&key("activation_function")).unwrap_or("Tanh"))?;
        let end = format!("{path}/model.safetensors");
        let files = inspection.files();
        let found = files.files().iter().find(|f| f.name() == end || f.name().ends_with(&format!("/{end}")));
        let Some(file) = found else {
            return Err(Fault::caller(format!("the weights of the dense module are in {end}, which was not given")));
        };
        let module = Inspection::open(files.only(file.name())).await?;
        let dense = Self::of_tensors(&module, "linear", activation).await?;
        let dense = dense.ok_or_else(|| Fault::new(Blame::File, format!("{end} has no tensor linear.weight")))?;
        let stated = |name: &str| metadata.unsigned(&key(name));
        for (name, found) in [("in_features", dense.inputs), ("out_features", dense.outputs)] {
            if let Some(stated) = stated(name).filter(|n| *n != found as u64) {
                let what = format!("{path}/config.json: {name} is {stated}, the weights have {found}");
                return Err(Fault::new(Blame::File, what));
            }
        }
        Ok(dense)
    }
    /// A GGUF file's map of this name.
    ///
    /// # Errors
    /// As [`Self::of_tensors`].
    pub(super) async fn of_gguf(inspection: &Inspection, name: &str) -> Result<Option<Self>> {
        if inspection.model().metadata.string("general.architecture").is_none() {
            return Ok(None);
        }
        Self::of_tensors(inspection, name, Activation::Identity).await
    }
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }
    /// # Errors
    /// The vector is of another width.
    pub(super) fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        if x.len() != self.inputs {
            return Err(Fault::bug(format!("a vector of {} values for a map of {}", x.len(), self.inputs)));
        }
        let row = |(i, row): (usize, &[f32])| {
            let sum: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
            self.activation.of(sum + self.bias.as_ref().map_or(0.0, |b| f64::from(b[i])))
        };
        Ok(self.weight.chunks_exact(self.inputs).enumerate().map(row).collect())
    }
}

/// The values of a tensor, whatever its shape.
pub(super) async fn values(inspection: &Inspection, tensor: usize, count: u64) -> Result<Vec<f32>> {
    let name = &inspection.model().tensors[tensor].name;
    let count = u32::try_from(count).map_err(|_| Fault::limit(format!("tensor {name}: {count} values")))?;
    let weight = Weight {
        name: name.as_str().into(),
        fact: Fact::new(DType::F32, [Dim::Fixed(count)]),
        sources: vec![Source::rows(tensor, 0, count)],
    };
    let files = loader::Files { model: inspection, adapters: &[], packed: &loader::PackedWeights::new() };
    loader::vector(files, &weight).await
}
