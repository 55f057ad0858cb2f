//! Rules of the programs that own a format: PyTorch, NumPy, Keras, TensorFlow, LiteRT, whisper.cpp, llama2.c; and Glassbox.

use super::{
    Kind, Rule, Verdict,
    facts::{Facts, shown},
};
use crate::model::{FileRole, Flavour, FormatId, Loader};

const MISSING: Rule = Rule {
    when: "Weights are missing, or a file is cut",
    verdict: Verdict::No,
    source: "the readers of this project",
    holds: |f| f.missing(),
};

/// Glassbox itself.
pub(super) static GLASSBOX: &[Rule] = &[
    MISSING,
    Rule {
        when: "It is a tokenizer, or a vocabulary without layers",
        verdict: Verdict::No,
        source: "session/support.rs",
        holds: |f| match f.kind {
            Kind::Tokenizer => Some("a tokenizer alone: it splits text, and has no weights to run".into()),
            Kind::Vocabulary => Some("a vocabulary without weights: it splits text, and cannot be run".into()),
            _ => None,
        },
    },
    Rule {
        when: "It is not a model on its own",
        verdict: Verdict::No,
        source: "session/support.rs",
        holds: |f| {
            let part = matches!(
                f.kind,
                Kind::Adapter
                    | Kind::Projector
                    | Kind::ImportanceMatrix
                    | Kind::ControlVector
                    | Kind::DraftHead
                    | Kind::ImageModel
                    | Kind::Pipeline
                    | Kind::Empty
            );
            (part && f.ours.is_err()).then(|| format!("it is {}; it is shown, not run", f.kind.words()))
        },
    },
    Rule {
        when: "The engine refuses it",
        verdict: Verdict::No,
        source: "session/support.rs",
        holds: |f| f.ours.as_ref().err().map(ToString::to_string),
    },
    Rule {
        when: "It takes text, and no tokenizer is here",
        verdict: Verdict::Partly,
        source: "session/support.rs",
        holds: |f| {
            (f.takes_text() && !f.tokenizer)
                .then(|| "the weights run, but there is no tokenizer: add tokenizer.json".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "session/support.rs",
        holds: |f| {
            let ours = f.ours.as_ref().ok()?;
            Some(format!(
                "in this browser or terminal, on a GPU or the CPU: {} layers of {}",
                ours.layers, ours.architecture
            ))
        },
    },
];

/// PyTorch, on files of its own.
pub(super) static PYTORCH: &[Rule] = &[
    MISSING,
    Rule {
        when: "The file holds its program (TorchScript)",
        verdict: Verdict::Yes,
        source: "PyTorch docs (torch.jit.load)",
        holds: |f| torchscript(f).then(|| "torch.jit.load: the code is in the file".into()),
    },
    Rule {
        when: "A finding says that torch.load refuses it",
        verdict: Verdict::Partly,
        source: "torch/_weights_only_unpickler.py",
        holds: |f| {
            f.refused_by(Loader::PyTorch)
                .map(|why| format!("torch.load(weights_only=False), which runs what the file says: {why}"))
        },
    },
    Rule {
        when: "It holds no tensors",
        verdict: Verdict::No,
        source: "the readers of this project",
        holds: |f| f.model.tensors.is_empty().then(|| "the file holds no tensors".into()),
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Partly,
        source: "PyTorch docs (torch.load)",
        holds: |_| Some("torch.load(weights_only=True), into a program that builds the same modules".into()),
    },
];

/// ONNX Runtime, LiteRT, on files that must be converted first.
pub(super) static CONVERTED: &[Rule] = &[Rule {
    when: "Always: the format must be converted first",
    verdict: Verdict::No,
    source: "the programs' own documentation",
    holds: |f| {
        Some(match f.model.format {
            FormatId::PyTorch => "needs an export by torch.onnx or optimum".into(),
            FormatId::Keras => "needs a conversion by tf.lite.TFLiteConverter, or by tf2onnx".into(),
            FormatId::TensorFlow => "needs a conversion by tf2onnx".into(),
            _ => "needs an export by optimum".into(),
        })
    },
}];

/// Python, on pickles.
pub(super) static PICKLE: &[Rule] = &[
    MISSING,
    Rule {
        when: "Otherwise",
        verdict: Verdict::Partly,
        source: "Python docs (pickle)",
        holds: |_| Some("pickle.load runs what the pickle says: see the notes first".into()),
    },
];

/// NumPy.
pub(super) static NUMPY: &[Rule] = &[
    MISSING,
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "NumPy docs (numpy.load)",
        holds: |_| Some("numpy.load reads the arrays; running a model needs its program".into()),
    },
];

/// Keras.
pub(super) static KERAS: &[Rule] = &[
    MISSING,
    Rule {
        when: "It holds weights alone",
        verdict: Verdict::Partly,
        source: "Keras docs (load_weights)",
        holds: |f| {
            let described = ["model_config", "keras.class_name", "config.class_name", "class_name"]
                .iter()
                .any(|k| f.model.metadata.get(k).is_some())
                || f.has_key("model_config")
                || f.has_key("keras.")
                || f.has_key("config.");
            (!described)
                .then(|| "the program that builds the layers: the file holds weights alone (load_weights)".into())
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "Keras docs (load_model)",
        holds: |_| Some("keras.models.load_model; keep safe_mode on".into()),
    },
];

/// TensorFlow.
pub(super) static TENSORFLOW: &[Rule] = &[
    MISSING,
    Rule {
        when: "The variables of a SavedModel are not here",
        verdict: Verdict::No,
        source: "TensorFlow docs (saved_model.load)",
        holds: |f| {
            let saved = f.model.version.flavour == Flavour::SavedModel;
            let variables = f.model.metadata.unsigned("tensorflow.variables").unwrap_or(0);
            let here = f.model.files.iter().any(|file| file.role == FileRole::Variables);
            (saved && variables > 0 && !here)
                .then(|| format!("the values of {variables} variables are not here (the folder variables/)"))
        },
    },
    Rule {
        when: "It is a SavedModel or a frozen graph",
        verdict: Verdict::Yes,
        source: "TensorFlow docs (saved_model.load, import_graph_def)",
        holds: |f| match f.model.version.flavour {
            Flavour::SavedModel => Some("tf.saved_model.load".into()),
            Flavour::GraphDef => Some("tf.graph_util.import_graph_def: the graph with its constants".into()),
            _ => None,
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Partly,
        source: "TensorFlow docs (checkpoints)",
        holds: |_| Some("the program that made it: a checkpoint holds values alone".into()),
    },
];

/// LiteRT, once TensorFlow Lite.
pub(super) static LITERT: &[Rule] = &[
    MISSING,
    Rule {
        when: "It has operators of TensorFlow",
        verdict: Verdict::Partly,
        source: "LiteRT docs (select TensorFlow operators)",
        holds: |f| {
            let mut nodes = f.model.graph.iter().flat_map(|g| g.nodes.iter());
            let op = nodes.find(|n| n.op.starts_with("Flex"))?;
            Some(format!("a build with TensorFlow's own operators (Flex), such as {}", shown(&op.op)))
        },
    },
    Rule {
        when: "It has operators of its own",
        verdict: Verdict::Partly,
        source: "LiteRT docs (custom operators)",
        holds: |f| {
            let mut nodes = f.model.graph.iter().flat_map(|g| g.nodes.iter());
            // Built-in operators are spelt in capitals.
            let op = nodes.find(|n| n.op.chars().any(char::is_lowercase) && !n.op.starts_with("operator code"))?;
            Some(format!("the library with its custom operator {}", shown(&op.op)))
        },
    },
    Rule {
        when: "An operator has a number that is not known",
        verdict: Verdict::Unknown,
        source: "TensorFlow Lite schema.fbs",
        holds: |f| {
            let mut nodes = f.model.graph.iter().flat_map(|g| g.nodes.iter());
            nodes
                .find(|n| n.op.starts_with("operator code"))
                .map(|n| format!("{} is newer than what is known here", n.op))
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "LiteRT docs",
        holds: |_| Some("on phones, microcontrollers and PCs".into()),
    },
];

/// whisper.cpp.
pub(super) static WHISPER: &[Rule] = &[
    MISSING,
    Rule {
        when: "The file is of its layout",
        verdict: Verdict::Yes,
        source: "whisper.cpp src/whisper.cpp",
        holds: |f| {
            let whisper = f.text("ggml.program").contains("whisper.cpp") && !f.model.tensors.is_empty();
            whisper.then(|| {
                if f.has_key("ggml.vad") {
                    "with --vad-model, beside a model of speech".into()
                } else {
                    "whisper-cli -m FILE".into()
                }
            })
        },
    },
    Rule {
        when: "Otherwise",
        verdict: Verdict::No,
        source: "whisper.cpp src/whisper.cpp",
        holds: |f| {
            Some(match f.text("ggml.program") {
                "" => "it reads its own layout of this container".into(),
                program if program.contains("whisper.cpp") => "the file holds no tensors".into(),
                program => format!("the file is of another layout, as {program} writes it"),
            })
        },
    },
];

/// rwkv.cpp.
pub(super) static RWKV: &[Rule] = &[
    MISSING,
    Rule {
        when: "The file is of its layout",
        verdict: Verdict::Yes,
        source: "rwkv.cpp rwkv_file_format.inc",
        holds: |_| Some("its own layout of this container".into()),
    },
];

/// llama2.c.
pub(super) static LLAMA2C: &[Rule] = &[
    MISSING,
    Rule {
        when: "Otherwise",
        verdict: Verdict::Yes,
        source: "llama2.c run.c",
        holds: |_| Some("run model.bin, with its tokenizer.bin next to it".into()),
    },
];

/// True for a PyTorch file with its program.
pub(super) fn torchscript(f: &Facts<'_>) -> bool {
    f.model.format == FormatId::PyTorch && f.model.version.flavour == Flavour::TorchScript
}
