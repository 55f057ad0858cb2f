//! ONNX graphs: inputs from files and texts, runs, node tests.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    fault::{Blame, Fault, Result},
    onnx::{self, CaseResult, Data, Dim, Info, Kind, Model, Tensor, Type, Value},
    source::{SourceFile, SourceSet},
};

/// Sizes that dimensions without a number get when inputs are made up.
const OPEN_SIZE: usize = 4;

/// One input as the user gives it.
pub enum GivenInput {
    /// A file's name and bytes: `.npz`, `.npy` or `.json`; the name of the input where it is said.
    File(Option<String>, String, Vec<u8>),
    /// A name and a value: `2`, `[1, 2]`, `"text"`.
    Text(String, String),
}

/// A graph that is open, and what was noted of its inputs.
pub struct GraphModel {
    model: Model,
    name: String,
}

/// What a run gave.
pub struct GraphRun {
    /// Outputs by name.
    pub outputs: Vec<(String, Value)>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// How long the run took, in seconds.
    pub seconds: f64,
}

/// The ONNX model among files.
fn model_file(files: &SourceSet) -> Result<&SourceFile> {
    let named =
        files.files().iter().filter(|f| f.name().ends_with(".onnx")).min_by_key(|f| f.name().matches('/').count());
    named.or_else(|| files.files().first()).ok_or_else(|| Fault::caller("a file of an ONNX model expected"))
}

impl GraphModel {
    /// Opens the ONNX model among files; external data lies among them too.
    ///
    /// # Errors
    /// What [`Model::open`] says.
    pub async fn open(files: &SourceSet) -> Result<Self> {
        let file = model_file(files)?;
        Ok(Self { model: Model::open(file, files).await?, name: file.name().to_owned() })
    }
    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs the graph; inputs that are missing are drawn at random from a seed, where one is given.
    ///
    /// # Errors
    /// Inputs that cannot be read or do not fit; what the run says.
    pub fn run(&self, given: &[GivenInput], seed: Option<u64>) -> Result<GraphRun> {
        let mut notes = Vec::new();
        let mut inputs: Vec<(String, Value)> = Vec::new();
        for one in given {
            self.take(one, &mut inputs)?;
        }
        if let Some(seed) = seed {
            self.fill(seed, &mut inputs, &mut notes)?;
        }
        let watch = super::Stopwatch::start();
        let outputs = self.model.run(inputs)?;
        Ok(GraphRun { outputs, notes, seconds: watch.seconds() })
    }

    fn info(&self, name: &str) -> Result<&Info> {
        self.model.all_inputs().iter().find(|i| i.name == name).ok_or_else(|| {
            let known: Vec<String> =
                self.model.inputs().iter().map(|i| format!("\"{}\" ({})", i.name, i.kind.told())).collect();
            Fault::caller(format!("the model has no input \"{name}\"; it takes: {}", known.join(", ")))
        })
    }
    /// The only input, for files that name none.
    fn only(&self) -> Result<String> {
        match self.model.inputs()[..] {
            [one] => Ok(one.name.clone()),
            _ => Err(Fault::caller(format!(
                "the model takes {} inputs: say which, as NAME=FILE.npy",
                self.model.inputs().len()
            ))),
        }
    }
    fn take(&self, given: &GivenInput, into: &mut Vec<(String, Value)>) -> Result<()> {
        match given {
            GivenInput::Text(name, text) => {
                let kind = self.element_type(name)?;
                let json = serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.clone()));
                into.push((name.clone(), from_json(&json, kind, name)?.into()));
            }
            GivenInput::File(name, file, bytes) if file.ends_with(".npz") => {
                if name.is_some() {
                    return Err(Fault::caller(format!("{file} names its arrays itself: give it without a name")));
                }
                for (name, tensor) in onnx::read_npz(bytes).map_err(|f| f.in_file(file))? {
                    // Files of references hold the outputs too, by the prefix "out".
                    if self.is_reference(&name) {
                        continue;
                    }
                    let name = self.known(&name)?;
                    let tensor = self.fitted(&name, tensor)?;
                    into.push((name, tensor.into()));
                }
            }
            GivenInput::File(name, file, bytes) if file.ends_with(".npy") => {
                let name = name.clone().map_or_else(|| self.only(), Ok)?;
                let tensor = onnx::read_npy(bytes).map_err(|f| f.in_file(file))?;
                into.push((name.clone(), self.fitted(&name, tensor)?.into()));
            }
            GivenInput::File(name, file, bytes) if file.ends_with(".json") => {
                let json: serde_json::Value = serde_json::from_slice(bytes)
                    .map_err(|e| Fault::new(Blame::Caller, format!("no JSON: {e}")).in_file(file))?;
                match (name, &json) {
                    (None, serde_json::Value::Object(map)) => {
                        for (name, value) in map {
                            into.push((name.clone(), from_json(value, self.element_type(name)?, name)?.into()));
                        }
                    }
                    (name, value) => {
                        let name = name.clone().map_or_else(|| self.only(), Ok)?;
                        into.push((name.clone(), from_json(value, self.element_type(&name)?, &name)?.into()));
                    }
                }
            }
            GivenInput::File(_, file, _) => {
                return Err(Fault::caller(format!("an .npz, .npy or .json file expected, {file} found")));
            }
        }
        Ok(())
    }
    /// The array of an archive is an output to compare with: "out_NAME" or "out.NAME".
    fn is_reference(&self, name: &str) -> bool {
        let bare = name.strip_prefix("out_").or_else(|| name.strip_prefix("out."));
        let is_input = self.model.all_inputs().iter().any(|i| i.name == name);
        !is_input && bare.is_some_and(|bare| self.model.outputs().iter().any(|o| o.name == bare))
    }
    /// The input that an array of an archive is for: of its name, or of it without "in_" or "in." before it.
    fn known(&self, name: &str) -> Result<String> {
        let bare = name.strip_prefix("in_").or_else(|| name.strip_prefix("in.")).unwrap_or(name);
        for candidate in [name, bare] {
            if self.model.all_inputs().iter().any(|i| i.name == candidate) {
                return Ok(candidate.to_owned());
            }
        }
        self.info(name).map(|i| i.name.clone())
    }
    /// NumPy has no bfloat16 and fewer integers: where the declared type differs in what NumPy lacks, values are cast.
    fn fitted(&self, name: &str, tensor: Tensor) -> Result<Tensor> {
        let wanted = self.element_type(name)?;
        let lacking = wanted == Type::BF16 || wanted.is_small();
        if lacking && wanted != tensor.kind() { tensor.as_type(wanted) } else { Ok(tensor) }
    }
    fn element_type(&self, name: &str) -> Result<Type> {
        match &self.info(name)?.kind {
            Kind::Tensor(kind, _) => Ok(kind.unwrap_or(Type::F32)),
            other => {
                Err(Fault::unsupported(format!("the input \"{name}\" is {}; only tensors can be given", other.told())))
            }
        }
    }

    /// Makes up what is missing.
    fn fill(&self, seed: u64, inputs: &mut Vec<(String, Value)>, notes: &mut Vec<String>) -> Result<()> {
        let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
        let mut numbers = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for (name, value) in inputs.iter() {
            if let (Kind::Tensor(_, Some(dims)), Value::Tensor(tensor)) = (&self.info(name)?.kind, value) {
                for (dim, n) in dims.iter().zip(tensor.dims()) {
                    if let Dim::Named(name) = dim {
                        named.insert(name.clone(), *n);
                    }
                }
            }
        }
        for info in self.model.inputs() {
            if inputs.iter().any(|(name, _)| *name == info.name) {
                continue;
            }
            let Kind::Tensor(kind, dims) = &info.kind else { continue };
            let dims: Vec<usize> = dims
                .iter()
                .flatten()
                .map(|d| match d {
                    Dim::Fixed(n) => usize::try_from(*n).unwrap_or(OPEN_SIZE),
                    Dim::Named(name) => named.get(name).copied().unwrap_or(OPEN_SIZE),
                })
                .collect();
            let tensor = onnx::random_tensor(kind.unwrap_or(Type::F32), &dims, &mut numbers)?;
            notes.push(format!(
                "the input \"{}\" was not given: {} drawn at random from seed {seed}",
                info.name,
                tensor.told()
            ));
            inputs.push((info.name.clone(), tensor.into()));
        }
        Ok(())
    }
}

/// Nested lists of JSON as a tensor of a type.
fn from_json(json: &serde_json::Value, kind: Type, name: &str) -> Result<Tensor> {
    let wrong = |what: String| Fault::caller(format!("the input \"{name}\": {what}"));
    let mut dims = Vec::new();
    let mut at = json;
    while let serde_json::Value::Array(list) = at {
        dims.push(list.len());
        let Some(first) = list.first() else { break };
        at = first;
    }
    let mut leaves = Vec::new();
    flatten(json, &dims, &mut leaves).map_err(wrong)?;
    if kind == Type::Str {
        let texts: Result<Vec<Rc<str>>> = leaves
            .iter()
            .map(|v| v.as_str().map(Rc::from).ok_or_else(|| wrong(format!("a string expected, {v} found"))))
            .collect();
        return Tensor::of(dims, Data::Str(texts?));
    }
    let whole = leaves.iter().all(|v| v.is_i64() || v.is_boolean());
    if whole && !kind.is_float() {
        let values =
            leaves.iter().map(|v| v.as_i64().unwrap_or_else(|| i64::from(v.as_bool().unwrap_or(false)))).collect();
        return Tensor::of(dims, Data::I64(values))?.as_type(kind);
    }
    let values: Result<Vec<f64>> = leaves
        .iter()
        .map(|v| match v {
            serde_json::Value::Bool(b) => Ok(f64::from(u8::from(*b))),
            serde_json::Value::String(s) => s.parse().map_err(|_| wrong(format!("a number expected, {s:?} found"))),
            other => other.as_f64().ok_or_else(|| wrong(format!("a number expected, {other} found"))),
        })
        .collect();
    Tensor::of(dims, Data::F64(values?))?.as_type(kind)
}

fn flatten<'j>(
    json: &'j serde_json::Value,
    dims: &[usize],
    out: &mut Vec<&'j serde_json::Value>,
) -> std::result::Result<(), String> {
    match (json, dims.split_first()) {
        (serde_json::Value::Array(list), Some((n, rest))) if list.len() == *n => {
            list.iter().try_for_each(|v| flatten(v, rest, out))
        }
        (serde_json::Value::Array(_), _) => Err("lists of one length at each depth expected".into()),
        (leaf, None) => {
            out.push(leaf);
            Ok(())
        }
        (leaf, Some(_)) => Err(format!("a list expected, {leaf} found")),
    }
}

/// A case of node tests and what became of it.
pub struct NodeCase {
    /// The folder's name.
    pub name: String,
    /// What became of it.
    pub result: CaseResult,
}

/// Runs the case whose files are given: `model.onnx` and `test_data_set_N/...`.
pub async fn node_case(name: &str, files: &SourceSet) -> NodeCase {
    let result = match files.find("model.onnx") {
        Some(model) => onnx::run_case(model, files).await,
        None => CaseResult::Failed("a case without model.onnx".into()),
    };
    NodeCase { name: name.to_owned(), result }
}

/// A value as JSON: elements in order (at most `most` of them, and how many are left out); NaN and infinities are strings.
pub fn json_values(value: &Value, most: usize) -> (serde_json::Value, u64) {
    use serde_json::Value as Json;
    match value {
        Value::Tensor(tensor) => {
            let left = tensor.len().saturating_sub(most);
            let values: Vec<Json> = match tensor.data() {
                Data::Str(v) => v.iter().take(most).map(|s| Json::String(s.to_string())).collect(),
                Data::Bool(v) => v.iter().take(most).map(|b| Json::Bool(*b)).collect(),
                Data::U64(v) => v.iter().take(most).map(|n| Json::from(*n)).collect(),
                Data::F32(v) => v.iter().take(most).map(|x| float(f64::from(*x), Some(*x))).collect(),
                Data::C64(v) => v.iter().take(most).map(|x| Json::from(x.to_vec())).collect(),
                Data::C128(v) => v.iter().take(most).map(|x| Json::from(x.to_vec())).collect(),
                _ if !tensor.kind().is_float() => {
                    let whole = tensor.as_type(Type::I64);
                    match whole.as_ref().map(Tensor::data) {
                        Ok(Data::I64(v)) => v.iter().take(most).map(|n| Json::from(*n)).collect(),
                        _ => Vec::new(),
                    }
                }
                _ => match tensor.as_type(Type::F64).as_ref().map(Tensor::data) {
                    Ok(Data::F64(v)) => v.iter().take(most).map(|x| float(*x, None)).collect(),
                    _ => Vec::new(),
                },
            };
            (Json::Array(values), left as u64)
        }
        Value::Sequence(list) => (Json::Array(list.iter().map(|v| json_values(v, most).0).collect()), 0),
        Value::Optional(None) => (Json::Null, 0),
        Value::Optional(Some(inner)) => json_values(inner, most),
        Value::Map(map) => {
            let keys = json_values(&Value::Tensor(map.keys.clone()), most).0;
            let values: Vec<Json> = map.values.iter().map(|v| json_values(v, most).0).collect();
            (serde_json::json!({ "keys": keys, "values": values }), 0)
        }
    }
}

fn float(wide: f64, narrow: Option<f32>) -> serde_json::Value {
    if wide.is_nan() {
        return "NaN".into();
    }
    if wide.is_infinite() {
        return if wide > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    // The shortest digits that give the f32 back.
    narrow.map_or_else(|| wide.into(), |x| x.to_string().parse::<f64>().unwrap_or(wide).into())
}

/// The tensors among outputs as an `.npz` archive; sequences give an array for each element, maps their keys and values.
///
/// # Errors
/// The archive would be too large.
pub fn outputs_npz(outputs: &[(String, Value)]) -> Result<Vec<u8>> {
    fn add(name: &str, value: &Value, into: &mut Vec<(String, Tensor)>) {
        match value {
            Value::Tensor(tensor) => into.push((name.to_owned(), tensor.clone())),
            Value::Sequence(list) => list.iter().enumerate().for_each(|(i, v)| add(&format!("{name}.{i}"), v, into)),
            Value::Optional(inner) => inner.iter().for_each(|v| add(name, v, into)),
            Value::Map(map) => {
                into.push((format!("{name}.keys"), map.keys.clone()));
                map.values.iter().enumerate().for_each(|(i, v)| add(&format!("{name}.values.{i}"), v, into));
            }
        }
    }
    let mut arrays = Vec::new();
    outputs.iter().for_each(|(name, value)| add(name, value, &mut arrays));
    onnx::write_npz(&arrays)
}
