//! Rules of ONNX Runtime, native and in browsers.

use super::{
    Rule, Verdict,
    facts::{Facts, shown},
    known,
};
use crate::model::{Loader, OpGraph};

/// Domains whose operators every build of ONNX Runtime has.
const BUILT_IN: &[&str] =
    &["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"];
/// Domains of training operators, which the builds for training have.
const TRAINING: &[&str] = &["ai.onnx.training", "ai.onnx.preview.training"];
/// The oldest operator set that ONNX Runtime promises to run (docs/Versioning.md).
const OLDEST_OPSET: i64 = 7;
/// What a wasm module can address: 4 GiB.
const WASM_MEMORY: u64 = 4 << 30;

/// Rules of ONNX Runtime.
pub(super) static RUNTIME: &[Rule] = &[
    Rule {
        when: "External data is missing, or the file is cut",
        verdict: Verdict::No,
        source: "onnxruntime core/framework/tensorprotoutils.cc",
        holds: |f| f.missing(),
    },
    Rule {
        when: "There is no graph",
        verdict: Verdict::No,
        source: "onnxruntime core/graph/model.cc",
        holds: |f| {
            f.model
                .graph
                .as_ref()
                .is_none_or(|g| g.nodes.is_empty() && g.outputs.is_empty())
                .then(|| "the file holds no graph".into())
        },
    },
    Rule {
        when: "A finding says that ONNX Runtime refuses the file",
        verdict: Verdict::No,
        source: "the checks and readers of this project, each with its source",
        holds: |f| f.refused_by(Loader::OnnxRuntime),
    },
    Rule {
        when: "The version of its form (IR) is newer than the newest release reads",
        verdict: Verdict::No,
        source: "onnxruntime core/graph/model.cc; known.txt (onnxruntime-ir)",
        holds: |f| {
            let most = known::number("onnxruntime-ir");
            let stated = i64::try_from(f.model.version.number?).ok()?;
            (stated > most)
                .then(|| format!("\"Unsupported model IR version: {stated}, max supported IR version: {most}\""))
        },
    },
    Rule {
        when: "It imports no operator set of ai.onnx, and has nodes of it",
        verdict: Verdict::No,
        source: "onnx docs/IR.md (opset_import)",
        holds: |f| {
            let graph = f.model.graph.as_ref()?;
            let used = graph.nodes.iter().any(|n| standard(&n.domain));
            (used && opset(graph).is_none())
                .then(|| "the model imports no operator set of ai.onnx (opset_import)".into())
        },
    },
    Rule {
        when: "Its operator set is newer than the newest release has",
        verdict: Verdict::No,
        source: "onnxruntime core/graph/model_load_utils.h; known.txt (onnxruntime-opset)",
        holds: |f| {
            let (stated, most) = (opset(f.model.graph.as_ref()?)?, known::number("onnxruntime-opset"));
            (stated > most).then(|| {
                format!("\"Opset {stated} is under development and support for this is limited\": {most} is the newest ({})", known::source("onnxruntime-opset"))
            })
        },
    },
    Rule {
        when: "A node's operator is in no operator set, or only in newer ones",
        verdict: Verdict::No,
        source: "onnx defs; known.txt (onnx)",
        holds: unknown_operator,
    },
    Rule {
        when: "A node's operator is of a domain that no build has and the model does not define",
        verdict: Verdict::Partly,
        source: "onnxruntime docs (custom operators, onnxruntime-extensions)",
        holds: custom_operators,
    },
    Rule {
        when: "Its operator set is older than those that are promised to run",
        verdict: Verdict::Unknown,
        source: "onnxruntime docs/Versioning.md",
        holds: |f| {
            let stated = opset(f.model.graph.as_ref()?).filter(|n| *n < OLDEST_OPSET)?;
            Some(format!(
                "operator set {stated}: from {OLDEST_OPSET} on they are promised to run; older ones do where their operators have not changed"
            ))
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "all of these",
        holds: |_| Some("any language binding".into()),
    },
];

/// Rules of ONNX Runtime in browsers.
pub(super) static WEB: &[Rule] = &[
    Rule {
        when: "ONNX Runtime does not load it",
        verdict: Verdict::No,
        source: "the rules of ONNX Runtime",
        holds: |f| of_runtime(f, Verdict::No),
    },
    Rule {
        when: "It has operators of other domains",
        verdict: Verdict::No,
        source: "onnxruntime-web has no custom operators",
        holds: |f| {
            custom_operators(f)
                .map(|_| "it has operators of other domains, and no library can be added in browsers".into())
        },
    },
    Rule {
        when: "Its weights take more than wasm can address",
        verdict: Verdict::No,
        source: "onnxruntime docs (web: large models)",
        holds: |f| {
            (f.model.tensor_bytes() >= WASM_MEMORY)
                .then(|| "its weights take more than the 4 GiB that wasm can address".into())
        },
    },
    Rule {
        when: "ONNX Runtime is not known to run it",
        verdict: Verdict::Unknown,
        source: "the rules of ONNX Runtime",
        holds: |f| of_runtime(f, Verdict::Unknown),
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "onnxruntime docs (web)",
        holds: |_| Some("in browsers, by wasm or WebGPU".into()),
    },
];

fn of_runtime(f: &Facts<'_>, verdict: Verdict) -> Option<String> {
    let (found, why) = super::first(RUNTIME, f)?;
    (found == verdict).then_some(why)
}

fn standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The operator set of ai.onnx.
fn opset(graph: &OpGraph) -> Option<i64> {
    graph.opsets.iter().find(|(domain, _)| standard(domain)).map(|(_, version)| *version)
}

fn unknown_operator(f: &Facts<'_>) -> Option<String> {
    let graph = f.model.graph.as_ref()?;
    let stated = opset(graph)?;
    let mut asked: Vec<&str> = Vec::new();
    for node in graph.nodes.iter().filter(|n| standard(&n.domain)) {
        if asked.contains(&node.op.as_str()) {
            continue;
        }
        asked.push(&node.op);
        let why = unregistered(graph, stated, &node.domain, &node.op);
        if why.is_some() {
            return why;
        }
    }
    None
}

/// Why an operator of ai.onnx is in no operator set, or not in the one the model asks for.
fn unregistered(graph: &OpGraph, stated: i64, domain: &str, op: &str) -> Option<String> {
    let told = shown(op);
    match known::operator_since(op) {
        _ if defined(graph, domain, op) => None,
        None => Some(format!("\"{told}(-1) is not a registered function/op\": ai.onnx has no such operator")),
        Some(since) if since > stated => Some(format!(
            "\"{told}({since}) is not a registered function/op\": the model asks for operator set {stated}"
        )),
        Some(_) => None,
    }
}

/// Operators of the top graph that ONNX Runtime lacks: domain, name, and why; each once.
pub(crate) fn lacking(graph: &OpGraph) -> Vec<(&str, &str, String)> {
    let mut asked = std::collections::HashSet::new();
    let mut out = Vec::new();
    for node in &graph.nodes {
        let (domain, op) = (node.domain.as_str(), node.op.as_str());
        if !asked.insert((domain, op)) {
            continue;
        }
        let why = match opset(graph) {
            Some(stated) if standard(domain) => unregistered(graph, stated, domain, op),
            _ if standard(domain) || BUILT_IN.contains(&domain) || defined(graph, domain, op) => None,
            _ => Some(format!("an operator of {}, which needs a library of its own", shown(domain))),
        };
        out.extend(why.map(|why| (domain, op, why)));
    }
    out
}

/// The model brings the operator's definition.
fn defined(graph: &OpGraph, domain: &str, op: &str) -> bool {
    graph.functions.iter().any(|(d, name)| d == domain && name == op)
}

fn custom_operators(f: &Facts<'_>) -> Option<String> {
    let graph = f.model.graph.as_ref()?;
    let foreign = |(domain, op): &(&str, &str)| !BUILT_IN.contains(domain) && !defined(graph, domain, op);
    let nodes = graph.nodes.iter().map(|n| (n.domain.as_str(), n.op.as_str()));
    let inner = graph.inner_operators.iter().map(|(domain, op)| (domain.as_str(), op.as_str()));
    let (domain, op) = nodes.chain(inner).find(foreign)?;
    let (told, op) = (shown(domain), shown(op));
    Some(match domain {
        "ai.onnx.contrib" => format!("the library onnxruntime-extensions, which has the operator {op} ({told})"),
        other if TRAINING.contains(&other) => format!("a build for training, which has the operator {op} ({told})"),
        _ => format!("a library with the custom operators of {told}, such as {op}"),
    })
}
