//! What a model lacks is told with names and shapes before a byte of weights is read.

use super::*;

fn fault(harm: impl Fn(&mut Gguf)) -> Fault {
    let mut file = llama();
    harm(&mut file);
    let model = files::open_bytes("x.gguf", &file.bytes()).expect("opens");
    arch::build(&model).map(|_| ()).expect_err("a fault is expected")
}

fn drop_key(file: &mut Gguf, key: &str) {
    let key = format!("llama.{key}");
    file.entries.retain(|(k, _)| k != key.as_bytes());
}

#[test]
fn what_a_model_lacks_is_told_with_names_and_shapes() {
    let whole = files::open_bytes("x.gguf", &llama().bytes()).expect("opens");
    assert_eq!(arch::build(&whole).expect("builds").graph.states.len(), 2);
    type Harm = fn(&mut Gguf);
    let harms: &[(Harm, &str)] = &[
        (|f| drop_key(f, "block_count"), "the metadata has no llama.block_count"),
        (|f| drop_key(f, "attention.layer_norm_rms_epsilon"), "no llama.attention.layer_norm_rms_epsilon"),
        (
            |f| set(f, "embedding_length", Value::u32(0)),
            "llama.embedding_length: a whole number above zero expected, 0 found",
        ),
        (|f| set(f, "embedding_length", Value::text("32")), "from 0 to 2147483647 expected, \"32\" found"),
        (|f| set(f, "block_count", Value::u32(5000)), "at most 4096 layers expected, 5000 found"),
        (|f| set(f, "attention.head_count_kv", Value::u32(3)), "2 query heads cannot share 3 KV heads evenly"),
        (|f| set(f, "attention.key_length", Value::u32(1 << 30)), "are beyond what is run"),
        (|f| set(f, "rope.dimension_count", Value::u32(5)), "5 rotated values in heads of 16"),
        (|f| set(f, "rope.scaling.type", Value::text("spiral")), "rotary scaling \"spiral\" cannot be run yet"),
        (|f| set(f, "rope.scaling.type", Value::text("linear")), "the metadata has no llama.rope.scaling.factor"),
        (|f| set(f, "expert_count", Value::u32(8)), "the metadata has no llama.expert_used_count"),
        (
            |f| set(f, "feed_forward_length", Value::u32(63)),
            "tensor blk.0.ffn_gate.weight: shape 63 x 32 expected from the metadata, 64 x 32 found",
        ),
        (|f| f.tensors.retain(|t| t.name != "blk.0.ffn_up.weight"), "tensor blk.0.ffn_up.weight is missing"),
        (
            |f| f.set("general.architecture", Value::text("made-up")),
            "architecture \"made-up\" cannot be run yet (known: llama",
        ),
        (|f| f.set("general.architecture", Value::text("mamba")), "the metadata has no mamba.embedding_length"),
    ];
    for (harm, words) in harms {
        let harm = |f: &mut Gguf| {
            harm(f);
            // A key that is set again counts by its last value.
            let mut seen = std::collections::BTreeSet::new();
            let mut entries: Vec<_> = std::mem::take(&mut f.entries);
            entries.reverse();
            entries.retain(|(k, _)| seen.insert(k.clone()));
            entries.reverse();
            f.entries = entries;
        };
        let fault = fault(harm);
        assert!(fault.what.contains(words), "\"{words}\" expected, \"{}\" found", fault.what);
    }
}

#[test]
fn every_tensor_of_a_family_that_runs_is_held_against_the_configuration() {
    let Some(corpus) = arch_corpus() else { return };
    let errors = |model: &ModelFile| -> Vec<String> {
        let notes = glassbox::check::at_hand(model);
        notes.into_iter().filter(|n| n.severity == Severity::Error).map(|n| n.what).collect()
    };
    let mut told = Vec::new();
    for name in RUN {
        for (_, opened) in forms(&corpus.join(name)) {
            let names: Vec<String> = opened.model.tensors.iter().map(|t| t.name.clone()).collect();
            for (i, tensor) in names.iter().enumerate() {
                let aside = tensor.starts_with("rope_f") || tensor.starts_with("pooler");
                let mut model = opened.model.clone();
                model.tensors[i].shape.0[0] += 1;
                let shape = format!("{tensor:?} has shape");
                if !aside && !errors(&model).iter().any(|e| e.contains(&shape)) {
                    told.push(format!("{name}: {tensor} of another shape is not found"));
                }
                let mut model = opened.model.clone();
                model.tensors.remove(i);
                let missing = format!("The tensor {tensor:?} is missing");
                // Those with a parallel residual have none; the graph of the others misses it.
                let second = name == &"stablelm" && (tensor.contains("post_attention") || tensor.contains("ffn_norm"));
                // A full layer of Gemma 4 may use its keys as values, which its GGUF file does not say.
                let full = name == &"gemma4" && tensor == "blk.5.attn_v.weight";
                let free = aside || second || full || tensor.ends_with(".bias") || tensor.contains("token_type");
                let head = ["output.weight", "lm_head.weight", "embed_out.weight"].contains(&tensor.as_str());
                if !free && !head && !errors(&model).contains(&missing) {
                    told.push(format!("{name}: {tensor} is gone and not missed: {:?}", errors(&model)));
                }
            }
        }
    }
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn damage_anywhere_in_a_header_gives_a_graph_or_a_fault_and_never_a_panic() {
    let mut state = 7u64;
    let mut next = |n: u64| {
        // Numerical Recipes' linear congruence; its high bits are even enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut models = vec![llama().bytes()];
    if let Some(corpus) = arch_corpus() {
        let read = |name: &str| std::fs::read(corpus.join(name).join("model.gguf")).expect("reads");
        models.extend(["gemma3", "phi3-longrope", "gptneox", "bert", "llama-yarn-rope"].map(read));
    }
    let (mut opened, mut built) = (0, 0);
    for bytes in models {
        // Where numbers stand: behind the keys of the architecture.
        let name = |i: &usize| bytes[*i..].starts_with(b".attention.") || bytes[*i..].starts_with(b".rope.");
        let places: Vec<usize> = (0..4000.min(bytes.len())).filter(name).collect();
        for _ in 0..200 {
            let mut harmed = bytes.clone();
            for _ in 0..1 + next(3) {
                let near = places.get(next(places.len() as u64 + 1) as usize).map(|p| p + next(60) as usize);
                let at = near.unwrap_or(next(2000) as usize).min(harmed.len() - 1);
                harmed[at] = [0, 1, 255, next(256) as u8][next(4) as usize];
            }
            let Ok(model) = files::open_bytes("x.gguf", &harmed) else { continue };
            opened += 1;
            built += usize::from(arch::build(&model).is_ok());
            arch::support(&model);
            glassbox::check::at_hand(&model);
        }
    }
    assert!(opened > 100 && built > 10, "{opened} opened, {built} built");
}
