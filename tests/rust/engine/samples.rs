//! Texts that end a generation, biases of single tokens, several texts from one prompt.

use glassbox::{
    fault::{Blame, LocalFuture},
    session::{Generated, Generation, GenerationOptions, RunSettings, Sampling, StopReason},
};

use super::support::{PLACES, block_on, corpus, generate, load, options, sample, turn};

const PROMPT: &str = "Once upon a time";

fn model() -> Generation {
    load(&sample().join("gguf/sample-q8_0.gguf"), &PLACES[0], &RunSettings::default()).unwrap()
}

/// What is told token by token, and the outcome's text, reason and ids.
fn told(model: &mut Generation, how: &GenerationOptions) -> (String, String, StopReason, Vec<u32>) {
    let mut all = String::new();
    let mut on_token = |token: &Generated| -> LocalFuture<'static, bool> {
        all.push_str(&token.text);
        Box::pin(async { false })
    };
    let outcome = block_on(model.generate(PROMPT, how, &mut on_token)).unwrap();
    (all, outcome.text, outcome.stop, outcome.ids)
}

#[test]
fn a_text_that_ends_the_generation_is_neither_told_nor_part_of_the_text() {
    let mut model = model();
    let free = told(&mut model, &options(40, Sampling::greedy()));
    let words: Vec<&str> = free.1.split(' ').collect();
    // It begins within one word and ends within another.
    let stop = format!("{} {}", &words[4][1..], &words[5][..1]);
    let at = free.1.find(&stop).unwrap();
    let how = GenerationOptions { stop: vec!["never said".into(), stop.clone()], ..options(40, Sampling::greedy()) };
    let ended = told(&mut model, &how);
    assert_eq!((ended.0.as_str(), ended.1.as_str(), ended.2), (&free.1[..at], &free.1[..at], StopReason::StopText));
    assert_eq!(ended.3, free.3[..ended.3.len()], "the ids are those of the free run");
    assert!(ended.3.len() < free.3.len());
}

#[test]
fn what_was_held_back_for_a_text_that_never_came_is_part_of_the_text() {
    let mut model = model();
    let free = told(&mut model, &options(12, Sampling::greedy()));
    // The last character may begin it, so that it is held back to the end.
    let stop = format!("{}\u{1}", free.1.chars().last().unwrap());
    let how = GenerationOptions { stop: vec![stop], ..options(12, Sampling::greedy()) };
    let held = told(&mut model, &how);
    assert_eq!((held.1.as_str(), held.2), (free.1.as_str(), StopReason::Limit));
    assert!(held.0.len() < held.1.len() && held.1.starts_with(&held.0));
}

#[test]
fn a_bias_bans_a_token_or_makes_it_certain_and_what_is_out_of_range_is_refused() {
    let mut model = model();
    let prompt = [1, 5, 9];
    let free = generate(&mut model, &prompt, &options(8, Sampling::greedy())).ids;
    let biased = |bias: Vec<(u32, f32)>| GenerationOptions { logit_bias: bias, ..options(8, Sampling::greedy()) };
    let without = generate(&mut model, &prompt, &biased(vec![(free[0], -100.0)])).ids;
    assert!(!without.contains(&free[0]), "{without:?}");
    assert_eq!(generate(&mut model, &prompt, &biased(vec![(7, 1e6)])).ids, [7; 8]);
    assert_eq!(generate(&mut model, &prompt, &biased(vec![(7, 0.0)])).ids, free, "by all logits as on the device");
    let vocab = model.program().vocab;
    for (how, part) in [
        (biased(vec![(vocab, 1.0)]), "beyond the model's vocabulary"),
        (biased(vec![(1, f32::NAN)]), "it must be finite"),
        (GenerationOptions { stop: vec![String::new()], ..options(8, Sampling::greedy()) }, "is empty"),
    ] {
        let fault =
            block_on(model.generate_ids(prompt.to_vec(), &how, &mut |_| Box::pin(async { false }))).unwrap_err();
        assert!(fault.blame == Blame::Caller && fault.what.contains(part), "{fault}");
    }
}

#[test]
fn samples_share_the_prompts_pages_and_are_what_each_seed_gives_alone() {
    let _turn = turn();
    let drawn = Sampling { temperature: 0.9, top_k: 40, top_p: 0.95, min_p: 0.02, seed: 11, ..Sampling::greedy() };
    for place in &PLACES {
        let path = sample().join("gguf/sample-q8_0.gguf");
        let settings = RunSettings { sequences: 4, outputs: 4, rows: 16, context: Some(128), ..RunSettings::default() };
        let Some(mut together) = load(&path, place, &settings) else { continue };
        let mut alone = load(&path, place, &RunSettings { sequences: 1, outputs: 1, ..settings }).unwrap();
        let mut how = options(24, drawn.clone());
        how.ignore_end = true;
        // Two whole pages and a part; less than a page, of which nothing is shared.
        for (length, kept) in [(40, 32), (9, 0)] {
            let prompt: Vec<u32> = (0..length).map(|i| (i * 7 + 3) % together.program().vocab).collect();
            let mut go_on = |_: usize, _: &Generated| -> LocalFuture<'static, bool> { Box::pin(async { false }) };
            let all = block_on(together.generate_samples(prompt.clone(), 4, &how, &mut go_on)).unwrap();
            let counts: Vec<u32> = all.iter().map(|o| o.timing.kept_tokens).collect();
            assert_eq!(counts, [0, kept, kept, kept], "{}", place.0);
            for (seed, outcome) in (11..).zip(&all) {
                let how = GenerationOptions { sampling: Sampling { seed, ..drawn.clone() }, ..how.clone() };
                assert_eq!(outcome.ids, generate(&mut alone, &prompt, &how).ids, "seed {seed}, {}", place.0);
            }
            // Afterwards each sequence has its own pages again.
            let one = generate(&mut together, &prompt, &how).ids;
            assert_eq!(one, all[0].ids, "{}", place.0);
        }
        let mut go_on = |_: usize, _: &Generated| -> LocalFuture<'static, bool> { Box::pin(async { false }) };
        let fault = block_on(together.generate_samples(vec![1], 5, &how, &mut go_on)).unwrap_err();
        assert!(fault.what.contains("5 texts at once, the model was loaded for 4"), "{fault}");
    }
}

#[test]
fn samples_of_models_whose_states_cannot_be_shared_read_the_prompt_each() {
    let Some(corpus) = corpus("a model with windows") else { return };
    let settings = RunSettings { sequences: 2, outputs: 2, rows: 16, context: Some(120), ..RunSettings::default() };
    let path = corpus.join("arch/gemma3/model.gguf");
    let mut together = load(&path, &PLACES[0], &settings).unwrap();
    let prompt: Vec<u32> = (0..40).map(|i| (i * 7 + 3) % together.program().vocab).collect();
    let how = options(12, Sampling::greedy());
    let mut go_on = |_: usize, _: &Generated| -> LocalFuture<'static, bool> { Box::pin(async { false }) };
    let all = block_on(together.generate_samples(prompt, 2, &how, &mut go_on)).unwrap();
    assert_eq!(all[0].ids, all[1].ids, "greedy: the seed changes nothing");
    assert_eq!(all[1].timing.kept_tokens, 0);
}
