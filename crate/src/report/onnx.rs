//! Runs of ONNX graphs, and node tests.

use serde::Serialize;
use serde_json::Value as Json;

use crate::session::{CaseResult, GraphModel, GraphRun, GraphValue, NodeCase, json_values, operators};

/// Values of one output that JSON holds at most; the rest are in the file that `--outputs` writes.
const VALUES_MOST: usize = 1 << 20;

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct GraphRunReport {
    /// The file.
    pub model: String,
    /// Nodes of the main graph.
    pub nodes: u64,
    /// Domains and versions that it imports.
    pub opsets: Vec<(String, i64)>,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// What it gave.
    pub outputs: Vec<OutputReport>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// One output.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReport {
    /// Name.
    pub name: String,
    /// "float[1,3]".
    pub kind: String,
    /// Element type; `None` where it is no tensor.
    pub element: Option<String>,
    /// Shape; `None` where it is no tensor.
    pub shape: Option<Vec<u64>>,
    /// Elements in order, or the values of a sequence; NaN and infinities are strings.
    pub values: Json,
    /// Elements that are left out.
    pub left_out: u64,
}

impl GraphRunReport {
    /// A run of a model.
    pub fn of(model: &GraphModel, run: &GraphRun) -> Self {
        let outputs = run
            .outputs
            .iter()
            .map(|(name, value)| {
                let (values, left_out) = json_values(value, VALUES_MOST);
                let (element, shape) = match value {
                    GraphValue::Tensor(t) => {
                        (Some(t.kind().name().to_owned()), Some(t.dims().iter().map(|d| *d as u64).collect()))
                    }
                    _ => (None, None),
                };
                OutputReport { name: name.clone(), kind: value.told(), element, shape, values, left_out }
            })
            .collect();
        let domain = |d: &String| if d.is_empty() { "ai.onnx".to_owned() } else { d.clone() };
        Self {
            model: model.name().to_owned(),
            nodes: model.model().nodes() as u64,
            opsets: model.model().opsets().iter().map(|(d, v)| (domain(d), *v)).collect(),
            seconds: run.seconds,
            outputs,
            notes: run.notes.clone(),
        }
    }
}

/// All cases of a folder.
#[derive(Debug, Clone, Serialize, Default)]
pub struct NodeTestsReport {
    /// Cases whose outputs all agree.
    pub passed: u64,
    /// Of those, cases with random values, of which types and shapes were compared.
    pub passed_by_shape: u64,
    /// Cases that differ or did not run.
    pub failed: u64,
    /// Cases with an operator that is not supported.
    pub unsupported: u64,
    /// Each case.
    pub cases: Vec<NodeCaseReport>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct NodeCaseReport {
    /// The folder's name.
    pub name: String,
    /// passed, failed or unsupported.
    pub result: String,
    /// Why, where it did not pass; what was compared, where that is not all.
    pub detail: Option<String>,
}

impl NodeTestsReport {
    /// Adds a case.
    pub fn add(&mut self, case: &NodeCase) {
        let (result, detail) = match &case.result {
            CaseResult::Passed => ("passed", None),
            CaseResult::PassedByShape => {
                self.passed_by_shape += 1;
                ("passed", Some("types and shapes: the values are random".to_owned()))
            }
            CaseResult::Failed(why) => ("failed", Some(why.clone())),
            CaseResult::Unsupported(why) => ("unsupported", Some(why.clone())),
        };
        match result {
            "passed" => self.passed += 1,
            "failed" => self.failed += 1,
            _ => self.unsupported += 1,
        }
        self.cases.push(NodeCaseReport { name: case.name.clone(), result: result.to_owned(), detail });
    }
}

/// The operators that run.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorsReport {
    /// Each, by domain and name.
    pub operators: Vec<OperatorReport>,
}

/// One operator.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorReport {
    /// Domain.
    pub domain: String,
    /// Name.
    pub name: String,
    /// Versions of the domain at which it appeared or changed.
    pub since: Vec<i64>,
}

impl OperatorsReport {
    /// The table of operators.
    pub fn of_all() -> Self {
        let operators = operators()
            .iter()
            .map(|row| OperatorReport {
                domain: if row.domain.is_empty() { "ai.onnx" } else { row.domain }.to_owned(),
                name: row.name.to_owned(),
                since: row.since.to_vec(),
            })
            .collect();
        Self { operators }
    }
}
