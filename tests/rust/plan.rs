//! Plans as text, splits, and what the planner refuses.

mod engine_support;

use engine_support::{TINY, prepare, random_llama};
use glassbox::{
    old_engine::{self, PrepareOptions, kernel::KernelId, plan::SlotKind},
    fault::Blame,
    model::{MetaType, MetaValue, Place},
    tensor::{Encoding, Shape},
};

#[test]
fn the_decode_plan_of_a_layer_reads_like_the_architecture() {
    let model = random_llama(engine_support::Shaped { layers: 1, ..TINY }, Encoding::Q4_0);
    let text = prepare(&model, 64, 16, u64::MAX).to_string();
    let decode: Vec<&str> = text.split("\n\n").nth(1).unwrap().lines().collect();
    let want = "\
decode: batch 1, 18 steps
  embed: state, tokens, token_embd.weight -> x
  rms_norm: state, x, blk.0.attn_norm.weight -> normed
  matvec 256 x 256: state, blk.0.attn_q.weight, normed -> q
  matvec 128 x 256: state, blk.0.attn_k.weight, normed -> k
  matvec 128 x 256: state, blk.0.attn_v.weight, normed -> v
  rope: state, rope -> q
  rope: state, rope -> k
  kv_write: state, k -> blk.0.k_cache
  kv_write: state, v -> blk.0.v_cache
  attention: state, q, blk.0.k_cache, blk.0.v_cache -> normed
  matvec 256 x 256 +=: state, blk.0.attn_output.weight, normed -> x
  rms_norm: state, x, blk.0.ffn_norm.weight -> normed
  matvec 512 x 256: state, blk.0.ffn_gate.weight, normed -> gate
  matvec 512 x 256: state, blk.0.ffn_up.weight, normed -> up
  silu_mul: state, gate, up -> hidden
  matvec 256 x 512 +=: state, blk.0.ffn_down.weight, hidden -> x
  rms_norm: state, x, output_norm.weight -> normed
  matvec 96 x 256: state, token_embd.weight, normed -> logits
  pick: logits -> state, tokens, ring";
    assert_eq!(decode[1..], want.lines().collect::<Vec<_>>()[1..], "\n{text}");
}

#[test]
fn a_prefill_without_head_stops_at_the_last_cache_write() {
    let program = prepare(&random_llama(TINY, Encoding::F32), 64, 16, u64::MAX);
    let kernels: Vec<_> = program.prefill.steps.iter().map(|s| s.kernel).collect();
    assert_eq!(kernels[kernels.len() - 3..], [KernelId::KvWrite, KernelId::KvWrite, KernelId::Advance]);
    assert_eq!(
        kernels.iter().filter(|k| **k == KernelId::Attention).count(),
        1,
        "only the first of two layers attends"
    );
}

#[test]
fn no_step_reads_and_writes_one_slot_twice() {
    for shape in [TINY, engine_support::Shaped { biases: true, neox: true, tied: false, ..TINY }] {
        let p = prepare(&random_llama(shape, Encoding::F16), 64, 16, 9000);
        for plan in [&p.decode, &p.decode_logits, &p.prefill, &p.prefill_pick, &p.prefill_logits] {
            for step in &plan.steps {
                let mut slots = step.bind.clone();
                slots.sort_unstable();
                slots.dedup();
                assert_eq!(slots.len(), step.bind.len(), "{} binds a slot twice", step.kernel.name());
            }
        }
    }
}

#[test]
fn a_large_tensor_is_split_into_slots_that_fit_and_cover_it_once() {
    let model = random_llama(TINY, Encoding::Q8_0);
    let limit = 272 * 70;
    let program = prepare(&model, 64, 16, limit);
    let mut covered = vec![0u64; model.tensors.len()];
    for load in &program.weights {
        let SlotKind::Weight { encoding, rows, row_len } = program.slot(load.slot).kind else { panic!("no weight") };
        assert!(encoding.bytes(u64::from(rows) * u64::from(row_len), row_len.into()).unwrap() <= limit);
        assert_eq!(load.first_row, covered[load.tensor], "parts are in order");
        assert_eq!(load.rows, u64::from(rows));
        covered[load.tensor] += load.rows;
    }
    for (tensor, rows) in model.tensors.iter().zip(covered) {
        assert_eq!(rows, tensor.shape.rows().unwrap(), "{}", tensor.name);
    }
}

#[test]
fn a_row_larger_than_a_slot_is_a_limit() {
    let model = random_llama(TINY, Encoding::F32);
    let fault = old_engine::prepare(&model, &PrepareOptions::default(), 1000).unwrap_err();
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
}

#[test]
fn memory_is_weights_caches_and_scratch() {
    let model = random_llama(TINY, Encoding::F16);
    let summary = old_engine::can_run(&model).unwrap();
    let matrices: u64 =
        model.tensors.iter().map(|t| t.shape.elements().unwrap() * if t.shape.0.len() == 1 { 4 } else { 2 }).sum();
    assert_eq!(summary.weights, matrices);
    assert_eq!(summary.cache_per_token, 2 * 2 * 128 * 4);
    let program = prepare(&model, 32, 16, u64::MAX);
    assert_eq!(program.memory().caches, 32 * summary.cache_per_token);
    let embedding = 96 * 256 * 2;
    let norms = 5 * 256 * 4;
    assert_eq!(summary.weights, matrices);
    assert_eq!(
        program.bytes_per_token(0),
        matrices + summary.cache_per_token,
        "tied: the table is read once, as the head"
    );
    assert!(embedding + norms < matrices);
}

#[test]
fn a_shape_that_contradicts_the_metadata_names_tensor_and_both_shapes() {
    let mut model = random_llama(TINY, Encoding::F32);
    let k = model.tensors.iter().position(|t| t.name == "blk.1.attn_k.weight").unwrap();
    model.tensors[k].shape = Shape(vec![64, 256]);
    let fault = old_engine::can_run(&model).unwrap_err();
    assert_eq!(fault.blame, Blame::File);
    for part in ["blk.1.attn_k.weight", "128 x 256", "64 x 256"] {
        assert!(fault.what.contains(part), "{fault}");
    }
}

#[test]
fn what_cannot_be_run_says_why() {
    let why = |change: &dyn Fn(&mut glassbox::model::ModelFile)| {
        let mut model = random_llama(TINY, Encoding::F32);
        change(&mut model);
        old_engine::can_run(&model).unwrap_err().what
    };
    let set = |m: &mut glassbox::model::ModelFile, key: &str, value: MetaValue| {
        let mut first = glassbox::model::Metadata::default();
        first.push(key, value);
        for (k, v) in m.metadata.iter() {
            first.push(k, v.clone());
        }
        m.metadata = first;
    };
    assert!(why(&|m| set(m, "general.architecture", MetaValue::String("mamba".into()))).contains("\"mamba\""));
    assert!(why(&|m| m.tensors.retain(|t| t.name != "blk.0.ffn_up.weight")).contains("blk.0.ffn_up.weight is missing"));
    assert!(why(&|m| m.tensors[0].encoding = Encoding::IQ2_XXS).contains("IQ2_XXS"));
    assert!(why(&|m| set(m, "llama.rope.scaling.type", MetaValue::String("yarn".into()))).contains("\"yarn\""));
    assert!(why(&|m| set(m, "llama.expert_count", MetaValue::Unsigned(8, MetaType::U32))).contains("experts"));
    assert!(why(&|m| set(m, "llama.attention.head_count_kv", MetaValue::Unsigned(3, MetaType::U32))).contains('3'));
    assert!(why(&|m| set(m, "llama.block_count", MetaValue::String("two".into()))).contains("\"two\""));
    assert!(why(&|m| m.tensors[3].place = Place::Missing { file: "b.gguf".into(), at: 0..1 }).contains("b.gguf"));
}

#[test]
fn rotary_factors_must_be_given_before_planning() {
    let mut model = random_llama(TINY, Encoding::F32);
    model.tensors.push(glassbox::model::TensorEntry {
        name: "rope_freqs.weight".into(),
        shape: Shape(vec![32]),
        ..model.tensors[1].clone()
    });
    let needed = old_engine::tables_needed(&model);
    assert_eq!(needed, [model.tensors.len() - 1]);
    assert_eq!(old_engine::prepare(&model, &PrepareOptions::default(), u64::MAX).unwrap_err().blame, Blame::Caller);
    let options = PrepareOptions { tables: vec![(needed[0], vec![2.0; 32])], ..PrepareOptions::default() };
    let program = old_engine::prepare(&model, &options, u64::MAX).unwrap();
    // Position 1, first pair: half of one radian.
    let table = &program.constants[0].1;
    assert_eq!(table[64..66], [0.5f64.cos() as f32, 0.5f64.sin() as f32]);
}
