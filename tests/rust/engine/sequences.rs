//! Several sequences in one program, and turns that reuse what was read.

use glassbox::{
    fault::Blame,
    session::{CacheType, EmbedOptions, Embedder, Generated, Generation, GenerationOptions, RunSettings, Sampling},
};

use super::support::{PLACES, block_on, corpus, generate, gpu_options, load, on_device, open, options, sample, turn};

fn many(model: &mut Generation, prompts: &[Vec<u32>], how: &GenerationOptions) -> Vec<Vec<u32>> {
    let mut go_on = |_: usize, _: &Generated| -> glassbox::fault::LocalFuture<'static, bool> {
        Box::pin(std::future::ready(false))
    };
    let outcomes = block_on(model.generate_many(prompts.to_vec(), how, &mut go_on)).unwrap();
    outcomes.into_iter().map(|o| o.ids).collect()
}

/// Prompts of different lengths: one token, some, more than a step takes.
fn prompts(vocab: u32, n: usize) -> Vec<Vec<u32>> {
    let lengths = [1, 5, 21, 2, 40, 13, 3, 8];
    (0..n).map(|i| (0..lengths[i]).map(|t| (t * 7 + i as u32 * 31 + 3) % vocab).collect()).collect()
}

#[test]
fn two_to_eight_sequences_of_different_lengths_give_each_the_ids_it_gives_alone() {
    let _turn = turn();
    let sampled = Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 5, ..Sampling::greedy() };
    for place in &PLACES {
        for (n, sampling) in [(2, Sampling::greedy()), (3, sampled.clone()), (8, Sampling::greedy())] {
            let mut how = options(24, sampling);
            how.ignore_end = true;
            let path = sample().join("gguf/sample-q8_0.gguf");
            let settings = RunSettings { sequences: n as u32, rows: 16, context: Some(96), ..RunSettings::default() };
            let Some(mut together) = load(&path, place, &settings) else { continue };
            let prompts = prompts(together.program().vocab, n);
            let got = many(&mut together, &prompts, &how);
            let alone = RunSettings { sequences: 1, ..settings.clone() };
            let mut single = load(&path, place, &alone).unwrap();
            for (prompt, got) in prompts.iter().zip(&got) {
                assert_eq!(*got, generate(&mut single, prompt, &how).ids, "{n} sequences, {}", place.0);
            }
            // The same program again, with fewer sequences than it has room for.
            assert_eq!(many(&mut together, &prompts[..1], &how), got[..1], "{}", place.0);
        }
    }
}

#[test]
fn sequences_with_windowed_layers_give_the_ids_they_give_alone() {
    let Some(corpus) = corpus("a model with windows") else { return };
    let path = corpus.join("arch/gemma3/model.gguf");
    let mut how = options(40, Sampling::greedy());
    how.ignore_end = true;
    let settings = RunSettings { sequences: 4, rows: 16, context: Some(120), ..RunSettings::default() };
    let mut together = load(&path, &PLACES[0], &settings).unwrap();
    let prompts = prompts(together.program().vocab, 4);
    let got = many(&mut together, &prompts, &how);
    let mut single = load(&path, &PLACES[0], &RunSettings { sequences: 1, ..settings }).unwrap();
    for (prompt, got) in prompts.iter().zip(got) {
        assert_eq!(got, generate(&mut single, prompt, &how).ids);
    }
    // Windowed layers hold less than the context.
    let memory = single.program().memory();
    let layers = u64::from(single.program().context);
    assert!(memory.states < layers * single.program().buffers.len() as u64 * 1024, "{memory:?}");
}

#[test]
fn a_turn_reads_only_what_is_new_and_answers_as_if_it_had_read_all() {
    let _turn = turn();
    let how = options(12, Sampling::greedy());
    let mut paths = vec![sample().join("gguf/sample-q4_0.gguf")];
    if let Some(corpus) = corpus("a model with windows") {
        paths.push(corpus.join("arch/gemma3/model.gguf"));
    }
    for path in paths {
        let settings = RunSettings { context: Some(128), rows: 16, ..RunSettings::default() };
        let mut talking = load(&path, &PLACES[0], &settings).unwrap();
        let mut fresh = load(&path, &PLACES[0], &settings).unwrap();
        let mut history: Vec<u32> = (0..30).map(|i| i * 5 % 90).collect();
        for turn in 0..3u32 {
            let before = talking.counters().dispatches;
            let answer = generate(&mut talking, &history, &how).ids;
            let spent = talking.counters().dispatches - before;
            let before = fresh.counters().dispatches;
            let all = generate(&mut fresh, &history, &how).ids;
            let whole = fresh.counters().dispatches - before;
            assert_eq!(answer, all, "turn {turn} of {}", path.display());
            if turn > 0 {
                assert!(spent < whole, "turn {turn}: {spent} dispatches, {whole} for all of it");
            }
            history.extend(answer);
            history.extend([7, 8, 9 + turn]);
            // The other model forgets between turns.
            generate(&mut fresh, &[1], &options(1, Sampling::greedy()));
        }
        // A talk that goes on differently keeps what is common alone.
        history.truncate(20);
        history.extend([3, 1, 4]);
        assert_eq!(generate(&mut talking, &history, &how).ids, generate(&mut fresh, &history, &how).ids);
    }
}

#[test]
fn a_prompt_longer_than_the_context_is_refused_with_numbers() {
    let settings = RunSettings { context: Some(16), ..RunSettings::default() };
    let mut model = load(&sample().join("gguf/sample-q4_0.gguf"), &PLACES[0], &settings).unwrap();
    let how = options(4, Sampling::greedy());
    let fault = block_on(model.generate_ids(vec![1; 17], &how, &mut |_| Box::pin(async { false }))).unwrap_err();
    assert_eq!(fault.blame, Blame::Caller);
    assert!(fault.what.contains("17 tokens") && fault.what.contains("16"), "{fault}");
}

#[test]
fn the_context_fills_to_its_last_position_and_says_so() {
    let settings = RunSettings { context: Some(16), ..RunSettings::default() };
    for place in &PLACES[..1] {
        let mut model = load(&sample().join("gguf/sample-q4_0.gguf"), place, &settings).unwrap();
        let mut how = options(100, Sampling::greedy());
        how.ignore_end = true;
        let outcome = generate(&mut model, &[1, 2, 3], &how);
        assert_eq!(outcome.stop, glassbox::session::StopReason::Context);
        assert_eq!(outcome.ids.len(), 14, "13 positions are left, and the last one still gives a token");
    }
}

#[test]
fn narrower_caches_tell_the_same_story_for_a_while() {
    let _turn = turn();
    let how = options(20, Sampling::greedy());
    let prompt = [1, 17, 40, 99, 23];
    for place in &PLACES {
        let path = sample().join("gguf/sample-f16.gguf");
        let mut told = Vec::new();
        for cache in [CacheType::F32, CacheType::F16, CacheType::Q8_0] {
            let settings = RunSettings { cache, context: Some(64), ..RunSettings::default() };
            let Some(mut model) = load(&path, place, &settings) else { continue };
            told.push((cache, generate(&mut model, &prompt, &how).ids, model.program().memory().states));
        }
        for pair in told.windows(2) {
            assert_eq!(pair[0].1[..4], pair[1].1[..4], "{:?} and {:?}, {}", pair[0].0, pair[1].0, place.0);
            assert!(pair[0].2 > pair[1].2);
        }
    }
}

#[test]
fn penalties_on_the_device_choose_what_the_host_would() {
    let _turn = turn();
    let sampling =
        Sampling { repetition_penalty: 1.3, presence_penalty: 0.4, frequency_penalty: 0.2, ..Sampling::greedy() };
    for place in &PLACES {
        let path = sample().join("gguf/sample-q8_0.gguf");
        let on_device = RunSettings { penalties: true, ..RunSettings::default() };
        let Some(mut model) = load(&path, place, &on_device) else { continue };
        let mut how = options(30, sampling.clone());
        how.ignore_end = true;
        let device = generate(&mut model, &[1, 5, 9], &how).ids;
        let host = generate(&mut model, &[1, 5, 9], &GenerationOptions { alternatives: true, ..how.clone() }).ids;
        assert_eq!(device, host, "{}", place.0);
        let free = generate(&mut model, &[1, 5, 9], &GenerationOptions { sampling: Sampling::greedy(), ..how }).ids;
        assert_ne!(device, free, "penalties change the text");
    }
}

#[test]
fn a_generation_ends_at_the_tokens_that_generation_config_names() {
    let Some(corpus) = corpus("a folder with generation_config.json") else { return };
    let from = corpus.join("arch/llama/hf");
    let about = super::support::json(&corpus.join("arch/llama/reference.json"));
    let (prompt, greedy) = (super::support::ids(&about["prompt_ids"]), super::support::ids(&about["greedy_ids"]));
    for stop in [serde_json::json!(greedy[5]), serde_json::json!([383, greedy[5]])] {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let settings = folder.path().join("generation_config.json");
        std::fs::remove_file(&settings).unwrap();
        std::fs::write(&settings, serde_json::json!({ "eos_token_id": stop }).to_string()).unwrap();
        let mut model = load(folder.path(), &PLACES[0], &RunSettings::default()).unwrap();
        let outcome = generate(&mut model, &prompt, &options(24, Sampling::greedy()));
        assert_eq!(outcome.stop, glassbox::session::StopReason::EndToken, "{stop}");
        let end = greedy.iter().position(|id| *id == greedy[5]).unwrap();
        assert_eq!(outcome.ids, greedy[..end], "{stop}");
    }
}

#[test]
fn texts_of_different_lengths_in_one_step_give_each_the_vector_it_gives_alone() {
    let _turn = turn();
    let Some(corpus) = corpus("an encoder") else { return };
    let path = corpus.join("arch/bert/model.gguf");
    for place in &PLACES {
        let settings = RunSettings { sequences: 4, rows: 8, ..RunSettings::default() };
        let (inspection, choice, gpu) = (open(&path), place.1.clone(), gpu_options(place));
        let loaded = block_on(Embedder::load(inspection, choice, gpu, &settings, EmbedOptions::default(), &mut |_| {}));
        let Some(mut model) = on_device(loaded, "bert", place) else { continue };
        // The longest one is beyond the rows that were asked for: an encoder takes a text in one step.
        let texts: Vec<Vec<u32>> = [1, 5, 30, 2].map(|n| (0..n).map(|i| (i * 11 + n) % 90).collect()).into();
        let together = {
            let asked: Vec<_> = texts.iter().map(|ids| model.of_ids(ids)).collect();
            block_on(model.embed(&asked)).unwrap()
        };
        for (text, got) in texts.iter().zip(&together) {
            assert_eq!((&got.ids, got.cut), (text, 0), "nothing is cut, {}", place.0);
            let alone = {
                let asked = [model.of_ids(text)];
                block_on(model.embed(&asked)).unwrap()
            }
            .remove(0);
            let off = got.vector.iter().zip(&alone.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{} tokens, {}: off by {off}", text.len(), place.0);
        }
        let fault = block_on(model.embed(&[model.of_ids(&[1, 1_000_000])])).unwrap_err();
        assert_eq!(fault.blame, Blame::Caller);
        assert!(fault.what.contains("1000000"), "{fault}");
    }
}
