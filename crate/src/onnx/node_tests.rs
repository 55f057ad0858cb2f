//! Cases in the form of ONNX's backend tests: a model, and folders with inputs and outputs as protobuf messages.

use super::{
    Kind, Model, cast, proto,
    value::{Data, Tensor, Type, Value},
    wire::Wire,
};
use crate::{
    fault::{Blame, Fault, Result},
    source::{SourceFile, SourceSet},
};

/// Relative tolerance of ONNX's own test runner, for float and double.
const RELATIVE: f64 = 1e-3;
/// Its absolute tolerance.
const ABSOLUTE: f64 = 1e-7;
/// Rounding of f32 sums, relative to the largest value of an output: transforms leave it where zero is expected.
const NOISE: f64 = 5e-7;

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseResult {
    /// All outputs agree.
    Passed,
    /// Types and shapes agree; values are drawn at random by an operator whose generator ONNX does not fix.
    PassedByShape,
    /// An output differs, or the model did not run.
    Failed(String),
    /// An operator that is not supported.
    Unsupported(String),
}

/// Two values compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    /// The largest difference relative to `max(1, |expected|)`.
    pub largest: f64,
    /// Normalised mean square error.
    pub nmse: f64,
}

/// The trouble of a run as a result: what is not supported is refused, all else is a failure.
fn fate(fault: &Fault) -> CaseResult {
    let mut at = Some(fault);
    while let Some(fault) = at {
        if fault.blame == Blame::Unsupported {
            return CaseResult::Unsupported(fault.what.clone());
        }
        at = fault.because.as_deref();
    }
    CaseResult::Failed(fault.to_string())
}

/// Runs a case: its model and its folders `test_data_set_N`, among `files` by their names.
pub async fn run_case(model: &SourceFile, files: &SourceSet) -> CaseResult {
    match case(model, files).await {
        Ok(result) => result,
        Err(fault) => fate(&fault),
    }
}

async fn case(model: &SourceFile, files: &SourceSet) -> Result<CaseResult> {
    let model = Model::open(model, files).await?;
    let random = model.is_random();
    let mut sets = 0;
    loop {
        // By the whole name: another set's file is not this one's.
        let find = |what: &str, i: usize| {
            let name = format!("test_data_set_{sets}/{what}_{i}.pb");
            files.files().iter().find(|file| file.name() == name)
        };
        if find("output", 0).is_none() {
            break;
        }
        let mut inputs = Vec::new();
        for (i, info) in model.all_inputs().iter().enumerate() {
            if let Some(file) = find("input", i) {
                inputs.push((info.name.clone(), read(file, &info.kind).await?));
            }
        }
        let mut expected = Vec::new();
        for (i, info) in model.outputs().iter().enumerate() {
            if let Some(file) = find("output", i) {
                expected.push(read(file, &info.kind).await?);
            }
        }
        let found = model.run(inputs)?;
        for ((name, found), expected) in found.iter().zip(&expected) {
            if let Err(why) = agree(found, expected, random) {
                if model.has("QLinearMatMul") && wrapped(found, expected) {
                    return Ok(CaseResult::Unsupported(WRAPPED.into()));
                }
                return Ok(CaseResult::Failed(format!("the output \"{name}\" of data set {sets}: {why}")));
            }
        }
        sets += 1;
    }
    if sets == 0 {
        return Err(Fault::caller("a case without test_data_set_0/output_0.pb"));
    }
    Ok(if random { CaseResult::PassedByShape } else { CaseResult::Passed })
}

/// Why a case is set aside whose expected values are not the operator's.
const WRAPPED: &str = "not supported: QLinearMatMul's expected values wrap around where the operator saturates \
                       (ONNX's reference before it was corrected)";

/// All that differs was saturated here, to the limit of eight bits.
fn wrapped(found: &Value, expected: &Value) -> bool {
    let (Value::Tensor(f), Value::Tensor(e)) = (found, expected) else { return false };
    match (f.data(), e.data()) {
        (Data::I8(f), Data::I8(e)) if f.len() == e.len() => {
            f.iter().zip(e).all(|(f, e)| f == e || *f == i8::MIN || *f == i8::MAX)
        }
        _ => false,
    }
}

/// The value in a file.
async fn read(file: &SourceFile, kind: &Kind) -> Result<Value> {
    let bytes = file.read(0..file.len()).await?;
    proto::value(Wire::new(&bytes, 0), kind, 0).map_err(|fault| fault.in_file(file.name()))
}

/// Whether a value is the expected one, within the tolerance of ONNX's runner.
fn agree(found: &Value, expected: &Value, by_shape: bool) -> std::result::Result<(), String> {
    match (found, expected) {
        (Value::Tensor(f), Value::Tensor(e)) => tensors_agree(f, e, by_shape),
        (Value::Sequence(f), Value::Sequence(e)) if f.len() == e.len() => {
            f.iter().zip(e.iter()).try_for_each(|(f, e)| agree(f, e, by_shape))
        }
        (Value::Optional(None), Value::Optional(None)) => Ok(()),
        (Value::Optional(Some(f)), Value::Optional(Some(e))) => agree(f, e, by_shape),
        (f, Value::Optional(Some(e))) => agree(f, e, by_shape),
        (Value::Optional(Some(f)), e) => agree(f, e, by_shape),
        _ => Err(format!("{} expected, {} found", expected.told(), found.told())),
    }
}

fn tensors_agree(f: &Tensor, e: &Tensor, by_shape: bool) -> std::result::Result<(), String> {
    if f.kind() != e.kind() || f.dims() != e.dims() {
        return Err(format!("{} expected, {} found", e.told(), f.told()));
    }
    if by_shape {
        return Ok(());
    }
    let first = match (f.data(), e.data()) {
        (Data::Str(f), Data::Str(e)) => {
            f.iter().zip(e).position(|(a, b)| a != b).map(|i| format!("{:?} expected, {:?} found at {i}", e[i], f[i]))
        }
        (Data::C64(_) | Data::C128(_), _) => {
            let parts = |t: &Tensor| -> Vec<f64> {
                match t.data() {
                    Data::C64(v) => v.iter().flatten().map(|x| f64::from(*x)).collect(),
                    Data::C128(v) => v.iter().flatten().copied().collect(),
                    _ => Vec::new(),
                }
            };
            differing(&parts(f), &parts(e), RELATIVE, ABSOLUTE)
        }
        (a, b) => {
            let exact = !f.kind().is_float();
            let (a, b) = (cast::f64s(a).map_err(|e| e.to_string())?, cast::f64s(b).map_err(|e| e.to_string())?);
            // Whole numbers must be the same, as NumPy's comparison with these tolerances leaves them in small ranges.
            let largest = b.iter().filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
            let (relative, absolute) = match f.kind() {
                _ if exact => (0.0, 0.0),
                // The references round after every step, we after each node: two units in the last place.
                Type::F16 => (2f64.powi(-9), ABSOLUTE),
                Type::BF16 => (2f64.powi(-6), ABSOLUTE),
                _ => (RELATIVE, ABSOLUTE.max(NOISE * largest)),
            };
            differing(&a, &b, relative, absolute)
        }
    };
    first.map_or(Ok(()), Err)
}

fn differing(f: &[f64], e: &[f64], relative: f64, absolute: f64) -> Option<String> {
    let same = |f: f64, e: f64| {
        f == e || (f.is_nan() && e.is_nan()) || (e.is_finite() && (f - e).abs() <= absolute + relative * e.abs())
    };
    let wrong: Vec<usize> = (0..e.len()).filter(|i| !same(f[*i], e[*i])).collect();
    let first = *wrong.first()?;
    Some(format!("{} expected, {} found at {first}; {} of {} differ", e[first], f[first], wrong.len(), e.len()))
}

/// How far a tensor is from what was expected.
///
/// # Errors
/// They are of different types or shapes, or strings that differ.
pub fn compare(found: &Tensor, expected: &Tensor) -> Result<Compared> {
    if found.dims() != expected.dims() {
        return Err(Fault::caller(format!("{} expected, {} found", expected.told(), found.told())));
    }
    if let (Data::Str(f), Data::Str(e)) = (found.data(), expected.data()) {
        return match f == e {
            true => Ok(Compared::default()),
            false => Err(Fault::caller("other strings than expected")),
        };
    }
    let (f, e) = (cast::f64s(found.data())?, cast::f64s(expected.data())?);
    let (mut largest, mut error, mut power) = (0.0f64, 0.0, 0.0);
    for (f, e) in f.iter().zip(&e) {
        if f == e || (f.is_nan() && e.is_nan()) {
            power += if e.is_finite() { e * e } else { 0.0 };
            continue;
        }
        let d = (f - e).abs();
        largest = largest.max(if d.is_nan() { f64::INFINITY } else { d / e.abs().max(1.0) });
        error += d * d;
        power += e * e;
    }
    Ok(Compared { largest, nmse: if error == 0.0 { 0.0 } else { error / power.max(f64::MIN_POSITIVE) } })
}
