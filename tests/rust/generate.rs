//! Whole models on the CPU: references, instruction sets against each other, chunks, speed.

mod engine_support;

use std::{path::Path, rc::Rc};

use engine_support::{M135, Shaped, TINY, corpus, load_files, load_random, now, prepare, random_llama};
use glassbox::{
    old_engine::{
        device::{Device, cpu::CpuDevice},
        kernel::{KernelId, LinearParams, WidthParams},
        plan::{PlanId, Program},
        sampler::{self, Sampling},
        weights::RUNNABLE,
    },
    source::{FileSource, Limits, SourceSet},
    tensor::Encoding,
};
use proptest::prelude::*;

/// Logits after `tokens`, taken in steps of at most `chunk`.
fn logits(device: &mut CpuDevice, program: &Program, tokens: &[u32], chunk: usize) -> Vec<f32> {
    device.reset();
    let mut pos = 0;
    for step in tokens.chunks(chunk) {
        device.write_tokens(step, pos).unwrap();
        let plan = if step.len() == 1 { PlanId::DecodeLogits } else { PlanId::PrefillLogits };
        device.run(plan, 1).unwrap();
        pos += step.len() as u32;
    }
    now(device.read(program.logits.unwrap())).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Normalised mean squared error of `got`.
fn nmse(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |v: f64| v * v;
    let error: f64 = got.iter().zip(want).map(|(g, w)| square(f64::from(*g) - f64::from(*w))).sum();
    error / want.iter().map(|w| square(f64::from(*w))).sum::<f64>().max(f64::MIN_POSITIVE)
}

/// A `.npy` file of f32 `[rows, columns]`.
fn npy(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(text.contains("'<f4'") && text.contains("'fortran_order': False"), "{text}");
    let shape = text.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let columns: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let values: Vec<f32> =
        bytes[10 + header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    values.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

fn open(paths: &[std::path::PathBuf]) -> (SourceSet, glassbox::model::ModelFile) {
    let mut files = SourceSet::default();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy();
        files.push(Rc::new(FileSource::open(path, name).unwrap()));
    }
    let model = now(glassbox::formats::open(&files, &Limits::default())).unwrap();
    (files, model)
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

/// Checks a model of the corpus: logits at every position of the prompt, then the greedy text.
fn check_model(paths: &[std::path::PathBuf], prompt: &[u32], reference: &[Vec<f32>], sequence: Option<(&[u32], f64)>) {
    let name = paths[0].display().to_string();
    let (files, model) = open(paths);
    let program = prepare(&model, 256, 64, u64::MAX);
    let mut device = CpuDevice::new(Some(2));
    load_files(&mut device, &program, &model, &files).unwrap();
    for (i, want) in reference.iter().enumerate() {
        let got = logits(&mut device, &program, &prompt[..=i], 64);
        let off = largest_difference(&got, want);
        assert!(off < 1e-3, "{name}: a logit at position {i} is off by {off}");
    }
    let Some((sequence, gap)) = sequence else { return };
    if gap < 1e-3 {
        return eprintln!("{name}: greedy text not compared, because its closest choice is {gap} apart");
    }
    device.reset();
    device.write_tokens(prompt, 0).unwrap();
    device.run(PlanId::PrefillPick, 1).unwrap();
    device.run(PlanId::Decode, (sequence.len() - prompt.len() - 1) as u32).unwrap();
    let picked = now(device.picked()).unwrap();
    assert_eq!(picked, sequence[prompt.len()..], "{name}: greedy ids");
}

#[test]
fn float_models_give_the_reference_logits_and_text() {
    let Some(dir) = corpus("reference logits of f32 models") else { return };
    for model in ["stories260K", "llama2xs"] {
        let text = std::fs::read_to_string(dir.join(format!("llama/{model}.reference.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let prompt = &json["prompts"][1];
        let sequence = ids(&prompt["sequence"]);
        let gap = prompt["min_top2_gap"].as_f64().unwrap();
        let logits = npy(&dir.join(format!("llama/{model}.logits_prompt1.npy")));
        let path = dir.join(format!("llama/{model}-f32.gguf"));
        check_model(&[path], &ids(&prompt["prompt_ids"]), &logits, Some((&sequence, gap)));
    }
}

#[test]
fn quantized_models_give_the_logits_of_their_decoded_weights() {
    let Some(dir) = corpus("reference logits of quantized models") else { return };
    let text = std::fs::read_to_string(dir.join("llama/quantised.reference.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let files = json["files"].as_object().unwrap();
    assert!(files.len() >= 8, "{} reference files", files.len());
    for (file, about) in files {
        let sequence = ids(&about["sequence"]);
        let gap = about["min_top2_gap"].as_f64().unwrap();
        let logits = npy(&dir.join("llama").join(file.replace(".gguf", ".logits_prompt1.npy")));
        check_model(&[dir.join("llama").join(file)], &ids(&about["prompt_ids"]), &logits, Some((&sequence, gap)));
    }
}

#[test]
fn a_hugging_face_folder_gives_the_same_model() {
    let Some(dir) = corpus("a sharded Hugging Face folder") else { return };
    let dir = dir.join("hf-llama2xs");
    let text = std::fs::read_to_string(dir.join("reference.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "json" || e == "safetensors"));
    paths.sort();
    check_model(&paths, &ids(&json["ids"]), &npy(&dir.join("logits_prompt1.npy")), None);
}

/// A llama whose odd sizes leave tails everywhere: rows, lanes, tiles and panels.
const ODD: Shaped = Shaped {
    layers: 2,
    width: 36,
    heads: 6,
    kv_heads: 3,
    ffn: 43,
    vocab: 77,
    context: 64,
    tied: false,
    biases: true,
    neox: true,
};

#[test]
fn whole_models_agree_with_the_scalar_twins_on_every_instruction_set() {
    for encoding in RUNNABLE {
        let shape = match encoding {
            Encoding::F32 | Encoding::F16 | Encoding::BF16 => ODD,
            _ => TINY,
        };
        let model = random_llama(shape, *encoding);
        let program = prepare(&model, 48, 40, 20_000);
        let tokens: Vec<u32> = (0..37).map(|i| (i * i + 5) % shape.vocab as u32).collect();
        let mut scalar = CpuDevice::scalar();
        load_random(&mut scalar, &program, 7);
        let want = logits(&mut scalar, &program, &tokens, 40);
        assert!(want.iter().all(|l| l.is_finite()) && want.iter().any(|l| l.abs() > 0.01), "{encoding}: {want:?}");
        for set in CpuDevice::instruction_sets() {
            let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap();
            load_random(&mut device, &program, 7);
            for chunk in [1, 9, 40] {
                let error = nmse(&logits(&mut device, &program, &tokens, chunk), &want);
                assert!(error < 1e-9, "{encoding} with {set} in chunks of {chunk}: {error:e}");
            }
        }
    }
}

#[test]
fn splitting_weights_changes_nothing() {
    let model = random_llama(TINY, Encoding::Q5_K);
    let tokens = [1, 2, 3, 4, 5];
    let [whole, split] = [u64::MAX, 3000].map(|limit| {
        let program = prepare(&model, 16, 8, limit);
        let mut device = CpuDevice::new(Some(1));
        load_random(&mut device, &program, 3);
        logits(&mut device, &program, &tokens, 8)
    });
    assert_eq!(largest_difference(&whole, &split), 0.0);
}

#[test]
fn picking_on_the_device_is_the_samplers_greedy_choice() {
    let model = random_llama(TINY, Encoding::Q4_0);
    let program = prepare(&model, 64, 16, u64::MAX);
    let mut device = CpuDevice::new(None);
    load_random(&mut device, &program, 11);
    device.write_tokens(&[5, 6, 7], 0).unwrap();
    device.run(PlanId::PrefillPick, 1).unwrap();
    device.run(PlanId::Decode, 20).unwrap();
    let picked = now(device.picked()).unwrap();
    assert_eq!(picked.len(), 21);
    let mut tokens = vec![5, 6, 7];
    for id in picked {
        let logits = logits(&mut device, &program, &tokens, 1);
        assert_eq!(sampler::choose(&logits, &Sampling::greedy(), tokens.len() as u64, 0).unwrap().id, id);
        tokens.push(id);
    }
}

#[test]
fn the_same_seed_gives_the_same_ids_on_every_instruction_set() {
    let model = random_llama(TINY, Encoding::Q6_K);
    let program = prepare(&model, 64, 16, u64::MAX);
    let how = Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 42 };
    let texts: Vec<Vec<u32>> = CpuDevice::instruction_sets()
        .into_iter()
        .map(|set| {
            let mut device = CpuDevice::with_instructions(set, Some(1)).unwrap();
            load_random(&mut device, &program, 1);
            let mut tokens = vec![1u32];
            for pos in 0..40 {
                device.write_tokens(&tokens[pos..], pos as u32).unwrap();
                device.run(PlanId::DecodeLogits, 1).unwrap();
                let logits = now(device.read(program.logits.unwrap())).unwrap();
                tokens.push(sampler::choose(&logits, &how, tokens.len() as u64, 0).unwrap().id);
            }
            tokens
        })
        .collect();
    assert!(texts.windows(2).all(|w| w[0] == w[1]), "{texts:?}");
}

#[test]
fn a_device_refuses_what_makes_no_sense() {
    let model = random_llama(TINY, Encoding::F32);
    let program = prepare(&model, 16, 8, u64::MAX);
    let mut device = CpuDevice::new(Some(1));
    assert!(device.write_tokens(&[1], 0).is_err(), "nothing is loaded");
    now(device.load(&program)).unwrap();
    assert!(now(device.finish_load()).unwrap_err().what.contains("0 of 96 rows of token_embd.weight"));
    load_random(&mut device, &program, 1);
    let slot = program.weights[0].slot;
    for (tokens, pos) in [(vec![], 0), (vec![0; 9], 0), (vec![96], 0), (vec![0; 4], 13)] {
        assert!(device.write_tokens(&tokens, pos).is_err(), "{tokens:?} at {pos}");
    }
    assert!(device.upload(slot, 0, &[0; 3]).is_err());
    assert!(device.upload(slot, 96, &[0; 1024]).is_err());
    assert!(device.upload(program.state.unwrap(), 0, &[0; 4]).is_err());
    device.write_tokens(&[1], 15).unwrap();
    assert!(device.run(PlanId::Decode, 2).unwrap_err().what.contains("context of 16"));
    assert_eq!(now(device.picked()).unwrap().len(), 1, "the step that fitted was run");
}

#[test]
fn logits_that_overflow_are_reported_not_sampled() {
    let model = random_llama(TINY, Encoding::F32);
    let program = prepare(&model, 16, 8, u64::MAX);
    let mut device = CpuDevice::new(Some(1));
    load_random(&mut device, &program, 1);
    device.upload(program.weights[0].slot, 0, &f32::NAN.to_le_bytes().repeat(256)).unwrap();
    device.write_tokens(&[0], 0).unwrap();
    device.run(PlanId::Decode, 1).unwrap();
    assert!(now(device.picked()).unwrap_err().what.contains("NaN or infinite"));
}

/// One linear step on one device.
fn linear(device: &mut CpuDevice, kernel: KernelId, p: LinearParams, count: u32, io: &Io) -> Vec<f32> {
    use glassbox::old_engine::plan::{Plan, Slot, SlotKind, SlotSpec, Step, WeightLoad};
    let spec = |name: &str, kind| SlotSpec { name: name.into(), kind };
    let (x_len, y_len) = (io.x.len() as u32, io.y.len() as u32);
    let slots = vec![
        spec("state", SlotKind::State),
        spec("tokens", SlotKind::Tokens { len: count }),
        spec("w", SlotKind::Weight { encoding: io.encoding, rows: p.rows, row_len: p.k }),
        spec("x", SlotKind::Constant { len: x_len }),
        spec("start", SlotKind::Constant { len: y_len }),
        spec("y", SlotKind::Activation { len: y_len }),
    ];
    let width = WidthParams { width: p.y_stride, pad: [0; 3] };
    let step = |kernel, bind: &[u32], params: &[u8]| Step {
        kernel,
        bind: bind.iter().map(|s| Slot(*s)).collect(),
        params: params.to_vec(),
    };
    let steps = vec![
        step(KernelId::Add, &[0, 4, 5], bytemuck::bytes_of(&width)),
        step(kernel, &[0, 2, 3, 5], bytemuck::bytes_of(&p)),
    ];
    let program = Program {
        slots,
        weights: vec![WeightLoad { slot: Slot(2), tensor: 0, first_row: 0, rows: p.rows.into() }],
        constants: vec![(Slot(3), io.x.clone()), (Slot(4), io.y.clone())],
        prefill: Plan { batch: count, steps },
        state: Some(Slot(0)),
        tokens: Some(Slot(1)),
        context: count,
        vocab: 1,
        ..Program::default()
    };
    now(device.load(&program)).unwrap();
    device.upload(Slot(2), 0, &io.w).unwrap();
    now(device.finish_load()).unwrap();
    device.write_tokens(&vec![0; count as usize], 0).unwrap();
    device.run(PlanId::Prefill, 1).unwrap();
    now(device.read(Slot(5))).unwrap()
}

/// Operands of a linear step; `y` is what the output holds before.
struct Io {
    encoding: Encoding,
    w: Vec<u8>,
    x: Vec<f32>,
    y: Vec<f32>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn linear_steps_of_any_shape_agree_with_the_scalar_twin(
        which in 0..RUNNABLE.len(), rows in 1u32..30, blocks in 1u32..5, tail in 0u32..9, count in 1u32..40,
        first_row in 0u32..3, more in 0u32..3, accumulate in 0u32..2, seed: u64
    ) {
        let encoding = RUNNABLE[which];
        let block = encoding.spec().unwrap().block_len;
        // Plain floats have any length; two large blocks cross the boundary of a mat-mul tile.
        let k = if block == 1 { blocks * 160 + tail } else { block * blocks };
        let p = LinearParams { k, rows, first_row, y_stride: first_row + rows + more, accumulate, pad: [0; 3] };
        for (kernel, count) in [(KernelId::MatVec, 1), (KernelId::MatMul, count)] {
            let mut random = engine_support::Random(seed);
            let mut floats = |n: u32| (0..n).map(|_| random.float()).collect::<Vec<_>>();
            let (x, y) = (floats(count * k), floats(count * p.y_stride));
            let w = engine_support::random_rows(encoding, (rows * k) as usize, 1.0, &mut random);
            let io = Io { encoding, w, x, y };
            let want = linear(&mut CpuDevice::scalar(), kernel, p, count, &io);
            for set in CpuDevice::instruction_sets() {
                let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap();
                let error = nmse(&linear(&mut device, kernel, p, count, &io), &want);
                prop_assert!(error < 1e-11, "{} {} {}: {:e}", encoding, kernel.name(), set, error);
            }
        }
    }
}

/// Prints speeds: `cargo test --release --test generate -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_a_135m_shape() {
    let wanted = std::env::var("GLASSBOX_SPEED").unwrap_or_else(|_| "Q8_0 Q4_0".into());
    for encoding in RUNNABLE.iter().filter(|e| wanted.split_whitespace().any(|w| w == e.name())) {
        let shape = if encoding.spec().unwrap().block_len == 256 {
            Shaped { width: 512, heads: 8, kv_heads: 2, ..M135 }
        } else {
            M135
        };
        let program = prepare(&random_llama(shape, *encoding), 512, 128, u64::MAX);
        for set in CpuDevice::instruction_sets() {
            for threads in [1, 2] {
                let mut device = CpuDevice::with_instructions(set, Some(threads)).unwrap();
                load_random(&mut device, &program, 1);
                let prompt: Vec<u32> = (0..128).collect();
                let (mut prefill, mut decode) = (0f64, 0f64);
                for _ in 0..3 {
                    device.reset();
                    device.write_tokens(&prompt, 0).unwrap();
                    let start = std::time::Instant::now();
                    device.run(PlanId::PrefillPick, 1).unwrap();
                    prefill = prefill.max(128.0 / start.elapsed().as_secs_f64());
                    let start = std::time::Instant::now();
                    device.run(PlanId::Decode, 32).unwrap();
                    decode = decode.max(32.0 / start.elapsed().as_secs_f64());
                }
                let read = program.bytes_per_token(144) as f64 * decode / 1e9;
                println!(
                    "{encoding} {}: prefill {prefill:.1}, decode {decode:.1} tokens/s ({read:.1} GB/s)",
                    device.info().detail
                );
            }
        }
    }
}
