//! Models whose layers carry a state from token to token: it cannot go back, and is each sequence's own.

use std::path::{Path, PathBuf};

use glassbox::{
    fault::LocalFuture,
    session::{Generated, Generation, GenerationOptions, RunSettings, Sampling, support},
};

use super::support::{PLACES, Place, block_on, corpus, generate, load, off_by, open, options, turn};

/// Recurrent models, and hybrids of recurrent and attention layers.
const MODELS: [&str; 4] = ["mamba", "mamba2", "lfm2", "qwen35"];

fn models(why: &str) -> Vec<PathBuf> {
    let Some(corpus) = corpus(why) else { return Vec::new() };
    MODELS.iter().map(|name| corpus.join("arch").join(name).join("model.gguf")).collect()
}

/// 24 tokens, whatever they are.
fn greedy() -> GenerationOptions {
    let mut how = options(24, Sampling::greedy());
    how.ignore_end = true;
    how
}

fn many(model: &mut Generation, prompts: &[Vec<u32>], how: &GenerationOptions) -> Vec<Vec<u32>> {
    let mut go_on = |_: usize, _: &Generated| -> LocalFuture<'static, bool> { Box::pin(std::future::ready(false)) };
    let outcomes = block_on(model.generate_many(prompts.to_vec(), how, &mut go_on)).unwrap();
    outcomes.into_iter().map(|o| o.ids).collect()
}

fn prompts(vocab: u32, n: usize) -> Vec<Vec<u32>> {
    let lengths = [5, 1, 21, 2, 40, 13, 3, 8];
    (0..n).map(|i| (0..lengths[i]).map(|t| (t * 7 + i as u32 * 31 + 3) % vocab).collect()).collect()
}

#[test]
fn two_to_eight_sequences_keep_a_state_each_and_give_the_ids_they_give_alone() {
    let _turn = turn();
    for path in models("recurrent models") {
        for place in &PLACES {
            // A software GPU runs one recurrent and one hybrid model.
            if place.2.is_some() && !path.ends_with("mamba/model.gguf") && !path.ends_with("qwen35/model.gguf") {
                continue;
            }
            for n in [2, 8] {
                let settings = RunSettings { sequences: n, rows: 16, context: Some(96), ..RunSettings::default() };
                let Some(mut together) = load(&path, place, &settings) else { continue };
                let prompts = prompts(together.program().vocab, n as usize);
                let got = many(&mut together, &prompts, &greedy());
                let mut single = load(&path, place, &RunSettings { sequences: 1, ..settings }).unwrap();
                let what = format!("{n} sequences of {}, {}", path.display(), place.0);
                for (prompt, got) in prompts.iter().zip(&got) {
                    assert_eq!(*got, generate(&mut single, prompt, &greedy()).ids, "{what}");
                }
                // The same slots again, by others: each begins from nothing.
                let turned: Vec<Vec<u32>> = prompts.iter().rev().cloned().collect();
                let again: Vec<Vec<u32>> = got.into_iter().rev().collect();
                assert_eq!(many(&mut together, &turned, &greedy()), again, "{what}, turned about");
            }
        }
    }
}

/// Generates until `most` tokens were told.
fn until(model: &mut Generation, prompt: &[u32], most: usize) -> Vec<u32> {
    let mut told = 0;
    let mut stop = |_: &Generated| -> LocalFuture<'static, bool> {
        told += 1;
        Box::pin(std::future::ready(told == most))
    };
    block_on(model.generate_ids(prompt.to_vec(), &greedy(), &mut stop)).unwrap().ids
}

fn talk(path: &Path, place: &Place) {
    let settings = RunSettings { context: Some(160), rows: 16, ..RunSettings::default() };
    let (Some(mut talking), Some(mut fresh)) = (load(path, place, &settings), load(path, place, &settings)) else {
        return;
    };
    let what = format!("{}, {}", path.display(), place.0);
    let vocab = talking.program().vocab;
    let mut history: Vec<u32> = (0..30).map(|i| i * 5 % vocab).collect();
    for turn in 0..3u32 {
        let before = talking.counters().dispatches;
        // A device may have run ahead of the one who stops it.
        let answer =
            if turn == 1 { until(&mut talking, &history, 7) } else { generate(&mut talking, &history, &greedy()).ids };
        let spent = talking.counters().dispatches - before;
        let before = fresh.counters().dispatches;
        let all = generate(&mut fresh, &history, &greedy()).ids;
        let whole = fresh.counters().dispatches - before;
        assert_eq!(answer[..], all[..answer.len()], "turn {turn} of {what}");
        assert!(turn == 0 || spent < whole, "turn {turn} of {what}: {spent} dispatches, {whole} for all of it");
        history.extend(answer);
        history.extend([7, 8, 9 + turn]);
        // The other model forgets between turns.
        generate(&mut fresh, &[1], &options(1, Sampling::greedy()));
    }
    // A state cannot go back: what goes on differently is read from its beginning.
    for length in [history.len() - 1, 20] {
        let other: Vec<u32> = history[..length].iter().copied().chain([3, 1, 4]).collect();
        assert_eq!(
            generate(&mut talking, &other, &greedy()).ids,
            generate(&mut fresh, &other, &greedy()).ids,
            "{what}"
        );
    }
}

#[test]
fn a_turn_goes_on_from_the_state_and_one_that_differs_is_read_anew() {
    let _turn = turn();
    for path in models("recurrent models") {
        talk(&path, &PLACES[0]);
        if path.ends_with("mamba2/model.gguf") || path.ends_with("lfm2/model.gguf") {
            talk(&path, &PLACES[1]);
        }
    }
}

#[test]
fn a_prompt_in_steps_of_any_length_gives_the_same_ids() {
    for path in models("recurrent models") {
        let told: Vec<Vec<u32>> = [1, 3, 8, 64]
            .into_iter()
            .map(|rows| {
                let settings = RunSettings { context: Some(96), rows, ..RunSettings::default() };
                let mut model = load(&path, &PLACES[0], &settings).unwrap();
                generate(&mut model, &(0..37).map(|i| i * 11 % 300).collect::<Vec<u32>>(), &greedy()).ids
            })
            .collect();
        assert!(told.iter().all(|ids| *ids == told[0]), "{}: {told:?}", path.display());
    }
}

#[test]
fn memory_counts_what_is_carried_once_a_sequence_and_not_by_token() {
    let Some(corpus) = corpus("recurrent models") else { return };
    // Of each layer: 128 channels that remember 16 numbers and 3 rows before; twice, since the last step can be left out.
    let known = support(open(&corpus.join("arch/mamba/model.gguf")).model()).unwrap();
    assert_eq!((known.cache_per_token, known.carried), (0, 3 * (128 * 16 + 3 * 128) * 4 * 2));
    // One layer of attention with 2 key heads of 16; three of short convolutions over 2 rows of 64 before the own.
    let known = support(open(&corpus.join("arch/lfm2/model.gguf")).model()).unwrap();
    assert_eq!((known.cache_per_token, known.carried), (2 * 2 * 16 * 4, 3 * 2 * 64 * 4 * 2));
    for (name, sequences) in [("mamba", 1), ("lfm2", 3)] {
        let path = corpus.join("arch").join(name).join("model.gguf");
        let known = support(open(&path).model()).unwrap();
        let settings = RunSettings { context: Some(64), rows: 16, sequences, ..RunSettings::default() };
        let model = load(&path, &PLACES[0], &settings).unwrap();
        let expected = u64::from(sequences) * (known.carried + 64 * known.cache_per_token);
        assert_eq!(model.program().memory().states, expected, "{name}");
    }
}

#[test]
fn rwkv_4_gives_the_logits_that_rwkv_cpp_gives() {
    let _turn = turn();
    let Some(corpus) = corpus("files of rwkv.cpp") else { return };
    let bytes = std::fs::read(corpus.join("rwkv/expected-logits-4v0-660K.bin")).unwrap();
    let want: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    // rwkv.cpp's own test allows rounded weights a difference; in other encodings it is that of the weights.
    for (kind, tolerance) in [("FP32", 2e-3), ("FP16", 2e-2), ("Q5_1", 1.0), ("Q5_0", 1.0)] {
        let path = corpus.join(format!("rwkv/tiny-rwkv-4v0-660K-{kind}.bin"));
        for place in &PLACES {
            let settings = RunSettings { context: Some(64), outputs: 8, ..RunSettings::default() };
            let Some(mut model) = load(&path, place, &settings) else { continue };
            let prompt: Vec<u32> = b"\"in".iter().map(|b| u32::from(*b)).collect();
            let logits = block_on(model.prompt_logits(&prompt)).unwrap();
            let off = off_by(&logits[2..], std::slice::from_ref(&want));
            assert!(off < tolerance, "{kind}, {}: off by {off:.1e}", place.0);
            // The state goes on token by token.
            let ids = generate(&mut model, &prompt, &greedy()).ids;
            let longer: Vec<u32> = prompt.iter().chain(&ids[..10]).copied().collect();
            let mut fresh = load(&path, place, &settings).unwrap();
            assert_eq!(generate(&mut fresh, &longer, &greedy()).ids[..14], ids[10..], "{kind}, {}", place.0);
        }
    }
}
