//! Failures as Python exceptions.

use glassbox::{fault::Fault, report::FaultReport};
use pyo3::{exceptions::PyException, prelude::*, types::PyModule};

/// `glassbox.Fault` with what the library's fault says: whose doing, what, file, byte offset, reasons.
pub(crate) fn raised(fault: &Fault) -> PyErr {
    Python::attach(|py| {
        let report = FaultReport::from(fault);
        let made = serde_json::to_string(&report).map_err(|e| PyException::new_err(e.to_string())).and_then(|json| {
            let class = PyModule::import(py, "glassbox._fault")?.getattr("Fault")?;
            class.call_method1("_of", (fault.to_string(), json))
        });
        match made {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    })
}

/// A report as JSON text.
pub(crate) fn json(report: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(report).map_err(|e| Fault::bug(format!("a report cannot be written as JSON: {e}")))
}
