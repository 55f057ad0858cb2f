//! The native part of the Python package: reports as JSON texts, values as bytes. What people call is `python/glassbox/`.

mod fault;
mod generate;
mod model;
mod worker;

use std::path::PathBuf;

use glassbox::{
    compare,
    report::{DeviceReport, DevicesReport, ModelDiffReport, QuantizeReport},
    session::{self, FileType, GpuOptions, Need, Override, Quantization, QuantizeOptions, local},
};
use pyo3::prelude::*;

use fault::json;

/// Two models compared: a `ModelDiffReport` in JSON.
#[pyfunction]
fn diff(py: Python<'_>, a: PathBuf, b: PathBuf, values: bool, allow_rounding: bool) -> PyResult<String> {
    apart(py, move || {
        pollster::block_on(async {
            let (a, b) = (local::open_paths(&[a], Need::Run).await?, local::open_paths(&[b], Need::Run).await?);
            let options = compare::Options { values, headers: false, allow_rounding };
            json(&ModelDiffReport::of(&a, &b, options, &mut |_| {}).await?)
        })
    })
}

/// A GGUF model written anew: a `QuantizeReport` in JSON. Without `output` a trial.
#[pyfunction]
fn quantize(
    py: Python<'_>,
    input: PathBuf,
    output: Option<PathBuf>,
    kind: String,
    tensors: Vec<String>,
    requantize: bool,
    threads: usize,
) -> PyResult<String> {
    apart(py, move || {
        let overrides = tensors.iter().map(|text| Override::parse(text)).collect::<Result<_, _>>()?;
        let options = QuantizeOptions {
            kind: FileType::parse(&kind)?,
            overrides,
            output: None,
            embedding: None,
            pure: false,
            requantize,
            threads,
        };
        pollster::block_on(async {
            let inspection = local::open_paths(&[input], Need::Description).await?;
            let work = Quantization::plan(&inspection, options)?;
            let Some(path) = output else {
                let moved = work.trial(&mut |_| {}).await?;
                return json(&QuantizeReport::of(&work, &moved, None));
            };
            let (written, moved) = work.write(&path, &mut |_| {}).await?;
            json(&QuantizeReport::of(&work, &moved, Some((&path.display().to_string(), written))))
        })
    })
}

/// The devices of this machine: a `DevicesReport` in JSON.
#[pyfunction]
fn devices(py: Python<'_>) -> PyResult<String> {
    apart(py, || {
        let devices = pollster::block_on(session::list_devices(&GpuOptions::default()))?;
        json(&DevicesReport { devices: devices.iter().map(DeviceReport::listed).collect() })
    })
}

/// Work on a thread of its own, while Python goes on elsewhere.
fn apart<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, glassbox::fault::Fault> + Send + 'static,
) -> PyResult<T> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("glassbox".into()).spawn(move || drop(tell.send(work())))?;
    worker::wait(py, told)
}

#[pymodule]
fn _glassbox(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_class::<generate::Stream>()?;
    module.add_function(wrap_pyfunction!(diff, module)?)?;
    module.add_function(wrap_pyfunction!(quantize, module)?)?;
    module.add_function(wrap_pyfunction!(devices, module)?)?;
    Ok(())
}
