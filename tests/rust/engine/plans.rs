//! Programs as text, splits, memory, and what compiling refuses.

use std::collections::HashSet;

use glassbox::{
    arch,
    engine::{
        compile::{self, Options, Plan},
        program::{Bucket, BufferKind, Operand, Program, Want},
    },
    fault::Blame,
    ir::Op,
    model::{MetaType, MetaValue, Place},
    session::support,
    tensor::{Encoding, Shape},
};

use super::random::{Shaped, TINY, graph, program, random_llama};

#[test]
fn the_decode_plan_of_a_layer_reads_like_the_architecture() {
    let model = random_llama(Shaped { layers: 1, ..TINY }, Encoding::Q4_0);
    let text = program(&model, 64, 16, u64::MAX).1.to_string();
    let choice: Vec<&str> = text.split("\n\n").find(|p| p.starts_with("choice")).unwrap().lines().collect();
    let want = "\
choice: 13 steps
  embed: token_embd.weight Q4_0 96 x 256, tokens -> embedding
  rms norm of 256: embedding, blk.0.attn_norm.weight -> blk.0.norm
  linear: blk.0.norm, blk.0.attn_q.weight+attn_k.weight+attn_v.weight Q4_0 512 x 256 -> blk.0.q+k+v
  rope and write: blk.0.q+k+v, positions -> blk.0.q+k+v[0..256], blk.0.k, blk.0.v
  attention (4 heads on 2): blk.0.q+k+v[0..256], blk.0.k, blk.0.v -> blk.0.norm
  linear +=: embedding, blk.0.norm, blk.0.attn_output.weight Q4_0 256 x 256 -> embedding
  rms norm of 256: embedding, blk.0.ffn_norm.weight -> blk.0.norm
  gated linear (Silu): blk.0.norm, blk.0.ffn_gate.weight+ffn_up.weight Q4_0 1024 x 256 -> blk.0.q+k+v
  linear +=: embedding, blk.0.q+k+v, blk.0.ffn_down.weight Q4_0 256 x 512 -> embedding
  gather: embedding, outputs -> wanted
  rms norm of 256: wanted, output_norm.weight -> norm
  linear: norm, token_embd.weight Q4_0 96 x 256 -> logits
  sample: logits -> choice, choice, choice
  advance: choice, choice, choice -> ";
    assert_eq!(choice[1..].join("\n"), want.lines().skip(1).collect::<Vec<_>>().join("\n"), "\n{text}");
}

#[test]
fn a_layer_of_a_llama_is_at_most_eight_steps_of_a_decode() {
    let steps = |layers| {
        let model = random_llama(Shaped { layers, ..TINY }, Encoding::Q4_0);
        program(&model, 64, 16, u64::MAX).1.plan(Want::Choice).count()
    };
    assert!(steps(3) - steps(2) <= 8, "{}", steps(3) - steps(2));
}

#[test]
fn a_prefill_without_results_stops_at_the_last_state() {
    let (_, program) = program(&random_llama(TINY, Encoding::F32), 64, 16, u64::MAX);
    let attending = program.plan(Want::States).filter(|s| matches!(s.op, Op::Attention(_))).count();
    assert_eq!(attending, 1, "only the first of two layers attends");
    let last = program.plan(Want::States).last().unwrap();
    assert!(last.outputs.iter().any(|o| matches!(o, Operand::State(_))), "{last:?}");
}

#[test]
fn no_step_reads_a_buffer_beside_the_one_that_it_writes_over() {
    for shape in [TINY, Shaped { biases: true, neox: true, tied: false, ..TINY }] {
        let (_, program) = program(&random_llama(shape, Encoding::F16), 64, 16, 9000);
        for step in &program.steps {
            let Some(Operand::View(out)) = step.outputs.first() else { continue };
            let views: Vec<_> =
                step.inputs.iter().filter_map(|o| if let Operand::View(v) = o { Some(v) } else { None }).collect();
            let same = views.iter().filter(|v| v.buffer == out.buffer).count();
            assert!(same <= 1, "{:?} reads what it writes from {same} inputs", step.op);
        }
    }
}

#[test]
fn without_its_passes_every_value_has_a_buffer_of_its_own_and_one_row_takes_the_kernels_for_many() {
    let model = random_llama(TINY, Encoding::F32);
    let (graph, with) = program(&model, 64, 16, u64::MAX);
    let options = Options { context: 64, rows: 16, plan: Plan::without(&["all"]), ..Options::default() };
    let without = compile::compile(&graph, &options).unwrap();
    let mut made = HashSet::new();
    for step in &without.steps {
        for output in &step.outputs {
            let Operand::View(out) = output else { continue };
            let over = step.inputs.iter().any(|o| matches!(o, Operand::View(v) if v.buffer == out.buffer));
            assert!(made.insert(out.buffer) || over, "{:?} writes a buffer that was used before", step.op);
        }
    }
    let activations =
        |p: &Program| p.buffers.iter().filter(|b| matches!(b.kind, BufferKind::Activation { .. })).count();
    assert!(activations(&without) > activations(&with), "{} of {}", activations(&with), activations(&without));
    assert_eq!((with.key(1, 1, Want::Choice).rows, without.key(1, 1, Want::Choice).rows), (Bucket::One, Bucket::Many));
}

#[test]
fn a_large_tensor_is_split_into_buffers_that_fit_and_cover_it_once() {
    let model = random_llama(TINY, Encoding::Q8_0);
    let limit = 272 * 70;
    let (graph, program) = program(&model, 64, 16, limit);
    let mut covered = vec![0; graph.weights.len()];
    for load in &program.loads {
        if let BufferKind::Weight { encoding, rows, row_len } = program.buffer(load.buffer).kind {
            assert!(encoding.bytes(u64::from(rows) * u64::from(row_len), row_len.into()).unwrap() <= limit);
            assert_eq!(load.first_row, covered[load.weight.0 as usize], "parts are in order");
            assert_eq!(load.rows, rows);
            covered[load.weight.0 as usize] += load.rows;
        }
    }
    for (weight, rows) in graph.weights.iter().zip(covered).filter(|(w, _)| w.encoding().is_some()) {
        assert_eq!(Some(rows), weight.fact.shape[0].fixed(), "{}", weight.name);
    }
}

#[test]
fn a_row_larger_than_a_buffer_is_a_limit() {
    let graph = graph(&random_llama(TINY, Encoding::F32));
    let fault = compile::compile(&graph, &Options { max_buffer_bytes: 1000, ..Options::default() }).unwrap_err();
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
}

#[test]
fn memory_is_weights_states_and_scratch() {
    let model = random_llama(TINY, Encoding::F16);
    let known = support(&model).unwrap();
    let matrices: u64 =
        model.tensors.iter().map(|t| t.shape.elements().unwrap() * if t.shape.0.len() == 1 { 4 } else { 2 }).sum();
    assert_eq!(known.weights, matrices);
    assert_eq!(known.cache_per_token, 2 * 2 * 128 * 4);
    let (_, program) = program(&model, 32, 16, u64::MAX);
    assert_eq!(program.memory().states, 32 * known.cache_per_token);
    assert_eq!(
        program.bytes_per_token(0),
        matrices + known.cache_per_token,
        "tied: the table is read once, as the head"
    );
}

#[test]
fn a_rotary_table_does_not_grow_with_every_position() {
    let mut model = random_llama(TINY, Encoding::F16);
    set(&mut model, "llama.context_length", MetaValue::Unsigned(131_072, MetaType::U32));
    let (_, program) = program(&model, 131_072, 16, u64::MAX);
    let words: u64 = program.rotations.iter().map(|(_, b)| program.buffer(*b).kind.words()).sum();
    assert!(words * 4 < 1 << 20, "{words} words");
}

#[test]
fn a_shape_that_contradicts_the_metadata_names_tensor_and_both_shapes() {
    let mut model = random_llama(TINY, Encoding::F32);
    let k = model.tensors.iter().position(|t| t.name == "blk.1.attn_k.weight").unwrap();
    model.tensors[k].shape = Shape(vec![64, 256]);
    let fault = arch::build(&model).unwrap_err();
    assert_eq!(fault.blame, Blame::File);
    for part in ["blk.1.attn_k.weight", "128 x 256", "64 x 256"] {
        assert!(fault.what.contains(part), "{fault}");
    }
}

/// Puts a key before all others.
fn set(m: &mut glassbox::model::ModelFile, key: &str, value: MetaValue) {
    let mut first = glassbox::model::Metadata::default();
    first.push(key, value);
    for (k, v) in m.metadata.iter().filter(|(k, _)| *k != key) {
        first.push(k, v.clone());
    }
    m.metadata = first;
}

#[test]
fn what_cannot_be_run_says_why() {
    let why = |change: &dyn Fn(&mut glassbox::model::ModelFile)| {
        let mut model = random_llama(TINY, Encoding::F32);
        change(&mut model);
        arch::build(&model).unwrap_err().what
    };
    assert!(why(&|m| set(m, "general.architecture", MetaValue::String("mambo".into()))).contains("\"mambo\""));
    assert!(why(&|m| m.tensors.retain(|t| t.name != "blk.0.ffn_up.weight")).contains("blk.0.ffn_up.weight is missing"));
    assert!(why(&|m| m.tensors[0].encoding = Encoding::Q4_0_4_4).contains("Q4_0_4_4"));
    assert!(why(&|m| set(m, "llama.rope.scaling.type", MetaValue::String("spiral".into()))).contains("spiral"));
    assert!(why(&|m| set(m, "llama.attention.head_count_kv", MetaValue::Unsigned(3, MetaType::U32))).contains('3'));
    assert!(why(&|m| set(m, "llama.block_count", MetaValue::String("two".into()))).contains("two"));
    assert!(why(&|m| m.tensors[3].place = Place::Missing { file: "b.gguf".into(), at: 0..1 }).contains("b.gguf"));
}
