//! The rules as text: `docs/verdicts.md`.

use std::fmt::Write;

use super::{PROGRAMS, Rule, Verdict, known};

impl Verdict {
    /// The word for people and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// What `docs/verdicts.md` says: each program with its rules and their sources.
pub fn document() -> String {
    let mut out = String::from(
        "# Who can run a model\n\nMade from the tables in `crate/src/verdict/` by `GLASSBOX_BLESS=1 cargo test -p glassbox --lib verdict`; not written by hand.\n\n\
         `glassbox inspect` and the page list programs for a model with a verdict: **yes**, **partly** (what is named is needed beside the files), **no** (with the\n\
         reason, in the program's own words where it has some) or **unknown**. Of each program the first rule that holds decides. Rules look at headers alone.\n\n",
    );
    let _ = writeln!(
        out,
        "What programs know is listed in `crate/src/verdict/known.txt`, made on {} by `tests/corpus/make/runner_facts.py` from:\n",
        known::about("made")
    );
    for (what, list) in [
        (
            "architectures, their keys and tensors, tensor types, projectors, tokenizers, classes that are converted",
            "arch",
        ),
        ("model types and quantization methods", "transformers"),
        ("model types of MLX", "mlx-lm"),
        ("classes of vLLM", "vllm"),
        ("operators", "onnx"),
        ("the newest operator set and IR version", "onnxruntime-opset"),
    ] {
        let _ = writeln!(out, "- {what}: {}", known::source(list));
    }
    let _ = writeln!(
        out,
        "\nThe releases that added an architecture or a type, or removed it, are those of the package gguf (newest: {}); a type's last release before it was removed is named.\n",
        known::about("newest gguf")
    );
    let mut told: Vec<(&[Rule], &str)> = Vec::new();
    for program in PROGRAMS {
        let same = told.iter().find(|(rules, _)| std::ptr::eq(*rules, program.rules));
        let _ = writeln!(out, "## {} ({})\n", program.name, program.listed);
        if let Some((_, name)) = same {
            let _ = writeln!(out, "The rules of {name}.\n");
            continue;
        }
        told.push((program.rules, program.name));
        out.push_str("| if | then | source |\n|---|---|---|\n");
        for rule in program.rules {
            let _ = writeln!(out, "| {} | {} | {} |", rule.when, rule.verdict.word(), rule.source);
        }
        out.push('\n');
    }
    out.push_str("## Tensor types of llama.cpp\n\n| type | number | since gguf | until |\n|---|---|---|---|\n");
    for kind in known::types() {
        let until = match (kind.removed, kind.until) {
            (true, Some(v)) => format!("removed after {v}"),
            (true, None) => "removed".into(),
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {until} |",
            kind.name,
            kind.number,
            kind.since.unwrap_or(if kind.removed { "" } else { "newer" })
        );
    }
    out.push_str("\n## Architectures of llama.cpp\n\n| architecture | since gguf |\n|---|---|\n");
    for arch in known::architectures() {
        let _ = writeln!(out, "| {} | {} |", arch.name, arch.since.unwrap_or("newer"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_the_tables_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verdicts.md");
        if std::env::var_os("GLASSBOX_BLESS").is_some() {
            std::fs::write(&path, document()).expect("can be written");
        }
        let found = std::fs::read_to_string(&path).expect("docs/verdicts.md is there");
        assert!(found == document(), "docs/verdicts.md is not what the tables say: GLASSBOX_BLESS=1 writes it");
    }

    #[test]
    fn every_rule_has_a_condition_and_a_source() {
        for program in PROGRAMS {
            assert!(!program.rules.is_empty(), "{}", program.name);
            for rule in program.rules {
                assert!(!rule.when.is_empty() && !rule.source.is_empty(), "{}: {}", program.name, rule.when);
            }
        }
    }
}
