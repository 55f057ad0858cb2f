//! ONNX graphs: what ONNX Runtime would refuse.

use std::collections::HashSet;

use super::Subject;
use crate::{
    formats::{Findings, quoted},
    model::{FormatId, Loader, Note, NoteCode, Severity},
};

/// The newest IR version that a release of ONNX Runtime takes (1.30 refuses 14).
const IR_MOST: u64 = 13;
/// The oldest operator set that ONNX Runtime promises to run (docs/Versioning.md).
const OPSET_LEAST: i64 = 7;

/// Checks versions and the order of nodes.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.model.format != FormatId::Onnx {
        return;
    }
    let Some(graph) = &subject.model.graph else { return };
    let ir = subject.model.version.number.unwrap_or(0);
    if ir > IR_MOST {
        let what = format!("IR version {ir}; ONNX Runtime knows up to {IR_MOST}");
        let note = Note::new(Severity::Warning, what)
            .at(0, 0)
            .why(Loader::OnnxRuntime.refuses("ONNX Runtime refuses the file: unsupported model IR version"));
        findings.note(
            NoteCode::Versions,
            note.advice("export the model again with an older IR version, or update ONNX Runtime"),
        );
    }
    for (domain, version) in graph.opsets.iter().filter(|(d, _)| d.is_empty() || d == "ai.onnx") {
        if *version < OPSET_LEAST {
            let what = format!("Operator set {version}{}", if domain.is_empty() { "" } else { " of ai.onnx" });
            let note = Note::new(Severity::Info, what).at(0, 0).why(
                "ONNX Runtime promises operator sets from 7 on; older ones run where their operators have not changed",
            );
            findings.note(NoteCode::Versions, note.advice("onnx.version_converter can raise it"));
        }
    }
    if subject.model.cuts.is_empty() {
        order(subject, graph, findings);
    }
}

/// Every value read was made before, and made once.
fn order(subject: &Subject<'_>, graph: &crate::model::OpGraph, findings: &mut Findings) {
    let mut made: HashSet<&str> = subject.model.tensors.iter().map(|t| t.name.as_str()).collect();
    let stored = made.clone();
    made.extend(graph.inputs.iter().map(|v| v.name.as_str()));
    let why = Loader::OnnxRuntime.refuses("ONNX Runtime refuses the graph: it is not in order");
    let advice = "have the program that wrote the file export it again";
    for node in &graph.nodes {
        let told =
            || if node.name.is_empty() { node.op.clone() } else { format!("{} ({})", quoted(&node.name), node.op) };
        for input in node.inputs.iter().filter(|i| !i.is_empty() && !made.contains(i.as_str())) {
            let what = format!("The node {} reads {}, which nothing before it makes", told(), quoted(input));
            findings.note(NoteCode::Order, Note::new(Severity::Error, what).why(why.clone()).advice(advice));
        }
        for output in node.outputs.iter().filter(|o| !o.is_empty()) {
            // A Constant's tensor bears its output's name here.
            let constant = node.op == "Constant" && stored.contains(output.as_str());
            if !made.insert(output.as_str()) && !constant {
                let what = format!("The node {} writes {}, which exists already", told(), quoted(output));
                findings.note(
                    NoteCode::Order,
                    Note::new(Severity::Error, what)
                        .why(Loader::OnnxRuntime.refuses("ONNX Runtime refuses the graph: a name is defined twice"))
                        .advice(advice),
                );
            }
        }
    }
    for output in graph.outputs.iter().filter(|o| !made.contains(o.name.as_str())) {
        let what = format!("The output {} is made by no node", quoted(&output.name));
        findings.note(
            NoteCode::Order,
            Note::new(Severity::Error, what)
                .why(Loader::OnnxRuntime.refuses("ONNX Runtime refuses the graph"))
                .advice(advice),
        );
    }
}
