use std::collections::BTreeMap;

use super::*;
use crate::{
    engine::{device::DeviceChoice, sampler::Sampling},
    random,
    session::{GpuOptions, Inspection, RunSettings},
    source::{ByteSource, MemorySource, SourceSet},
};

/// The CPU and memory sources are ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("a future of the CPU was not ready at once"),
    }
}

fn load(bytes: &[u8], sequences: u32) -> Generation {
    let source = Rc::new(MemorySource::new("model.gguf", bytes.to_vec())) as Rc<dyn ByteSource>;
    let inspection = Rc::new(now(Inspection::open(SourceSet::new([source]))).expect("the model opens"));
    // Alone, a token meets quantized weights in whole numbers; with others it does not.
    let gpu = GpuOptions { exact: true, ..GpuOptions::default() };
    let settings =
        RunSettings { sequences, outputs: sequences, rows: 16, context: Some(128), ..RunSettings::default() };
    now(Generation::load(inspection, DeviceChoice::Cpu, gpu, &settings, &mut |_| {})).expect("loads")
}

fn sample() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sample/gguf/sample-q8_0.gguf");
    std::fs::read(path).expect("the sample is in the repository")
}

/// A model of the corpus, where this machine has it.
fn of_corpus(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus").into(), std::path::PathBuf::from);
    let model = std::fs::read(folder.join("arch").join(name).join("model.gguf"));
    if model.is_err() {
        eprintln!("skipped: {name} in a batch, because the corpus is not at {}", folder.display());
    }
    model.ok()
}

fn request(prompt: Vec<u32>, max_tokens: u32, sampling: Sampling) -> Request {
    let options = GenerationOptions { max_tokens, sampling, ignore_end: true, ..GenerationOptions::default() };
    Request { prompt, options, alternatives: 0 }
}

fn drawn(seed: u64) -> Sampling {
    Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed, ..Sampling::greedy() }
}

/// What a request gave so far.
#[derive(Default, Debug)]
struct Told {
    ids: Vec<u32>,
    text: String,
    end: Option<Ended>,
}

#[derive(Default)]
struct Heard(BTreeMap<Ticket, Told>);

impl Heard {
    fn step(&mut self, batch: &mut Batch) -> Result<()> {
        now(batch.step(&mut |ticket, event| {
            let told = self.0.entry(ticket).or_default();
            assert_eq!(told.end, None, "nothing follows an end");
            match event {
                BatchEvent::Token(token) => {
                    told.ids.push(token.id);
                    told.text.push_str(&token.text);
                }
                BatchEvent::End(ended) => {
                    told.text.push_str(&ended.text);
                    told.end = Some(ended);
                }
            }
        }))
    }
    fn until_idle(&mut self, batch: &mut Batch) {
        while batch.running() > 0 {
            self.step(batch).expect("steps");
        }
    }
}

fn alone(model: &mut Generation, request: &Request) -> (Vec<u32>, String, StopReason) {
    let mut go_on =
        |_: &super::super::generation::Generated| -> LocalFuture<'static, bool> { Box::pin(async { false }) };
    let outcome = now(model.generate_ids(request.prompt.clone(), &request.options, &mut go_on)).expect("runs");
    (outcome.ids, outcome.text, outcome.stop)
}

/// Requests of several kinds, some of which begin alike.
fn requests(vocab: u32, n: u64) -> Vec<Request> {
    let lengths = [1u32, 5, 21, 2, 40, 37, 3, 18, 64];
    let kinds = |i: u64| {
        let length = lengths[i as usize % lengths.len()];
        // Every third one begins as the others of its kind.
        let begin = if i.is_multiple_of(3) { 3 } else { i as u32 * 31 };
        let prompt = (0..length).map(|t| (t * 7 + begin + if t > 34 { i as u32 } else { 0 }) % vocab).collect();
        let sampling = if i.is_multiple_of(2) { Sampling::greedy() } else { drawn(i) };
        let mut request = request(prompt, 3 + (i as u32 * 5) % 20, sampling);
        match i % 5 {
            1 => request.options.sampling.frequency_penalty = 0.7,
            2 => request.options.logit_bias = vec![(i as u32 % vocab, 4.0)],
            3 => request.alternatives = 2,
            _ => {}
        }
        request
    };
    (0..n).map(kinds).collect()
}

/// Requests that come and go at steps drawn from a seed, each against itself alone.
fn come_and_go(bytes: &[u8], seed: u64) {
    let (mut single, mut batch) = (load(bytes, 1), Batch::new(load(bytes, 3)).expect("a batch"));
    let all = requests(batch.runner().program().vocab, 14);
    let (mut heard, mut joined, mut random) = (Heard::default(), Vec::new(), seed);
    let mut given_up = None;
    while joined.len() < all.len() || batch.running() > 0 {
        random = random::mix(random.wrapping_add(random::STEP));
        if joined.len() < all.len() && random % 3 > 0 {
            joined.extend(batch.join(&all[joined.len()]).expect("it can join"));
        }
        heard.step(&mut batch).expect("steps");
        // One of them is given up while it runs.
        let running = joined.get(4).copied().filter(|t| heard.0.get(t).is_some_and(|told| told.end.is_none()));
        if let (None, Some(ticket)) = (given_up, running) {
            batch.leave(ticket);
            given_up = Some(ticket);
        }
    }
    for (request, ticket) in all.iter().zip(joined) {
        let told = &heard.0[&ticket];
        let (ids, text, _) = alone(&mut single, request);
        if given_up == Some(ticket) {
            assert_eq!((&told.ids[..], told.end.as_ref()), (&ids[..told.ids.len()], None));
            continue;
        }
        assert_eq!((&told.ids, &told.text), (&ids, &text), "{request:?}");
        let end = told.end.as_ref().expect("it ended");
        assert_eq!((end.tokens, end.prompt_tokens), (ids.len() as u32, request.prompt.len() as u32));
    }
    assert!(given_up.is_some(), "one left");
}

#[test]
fn requests_that_join_and_leave_at_any_step_get_what_they_get_alone() {
    let bytes = sample();
    for seed in 0..4 {
        come_and_go(&bytes, seed);
    }
}

#[test]
fn so_do_those_of_models_with_windows_and_with_states_that_are_carried() {
    for name in ["gemma3", "mamba", "lfm2"] {
        if let Some(bytes) = of_corpus(name) {
            come_and_go(&bytes, 1);
        }
    }
}

#[test]
fn a_prompt_that_begins_as_another_does_reads_the_rest_alone_while_that_one_runs_and_afterwards() {
    let bytes = sample();
    let (mut single, mut batch) = (load(&bytes, 1), Batch::new(load(&bytes, 4)).expect("a batch"));
    let vocab = batch.runner().program().vocab;
    let prompt = |n: u32, behind: u32| -> Vec<u32> {
        (0..n).map(|t| if t < 40 { t * 7 % vocab } else { (t * 5 + behind) % vocab }).collect()
    };
    let all: Vec<Request> = (0..6).map(|i| request(prompt(44 + i, i), 12, drawn(u64::from(i)))).collect();
    let mut heard = Heard::default();
    // The first four at once: three wait until the first has read what they have in common.
    let mut tickets: Vec<Ticket> = all[..4].iter().filter_map(|r| batch.join(r).expect("joins")).collect();
    assert_eq!(tickets.len(), 4);
    assert_eq!(batch.join(&all[4]).expect("could join"), None, "all sequences are taken");
    heard.until_idle(&mut batch);
    for request in &all[4..] {
        tickets.extend(batch.join(request).expect("joins"));
        heard.until_idle(&mut batch);
    }
    let kept: Vec<u32> = tickets.iter().map(|t| heard.0[t].end.as_ref().expect("ended").kept_tokens).collect();
    assert_eq!(kept[..4], [0, 32, 32, 32], "whole pages");
    assert!(kept[4..].iter().all(|n| *n >= 32), "{kept:?}");
    for (request, ticket) in all.iter().zip(&tickets) {
        assert_eq!(heard.0[ticket].ids, alone(&mut single, request).0);
    }
}

#[test]
fn a_request_that_leaves_before_it_began_takes_nothing_with_it() {
    let bytes = sample();
    let (mut single, mut batch) = (load(&bytes, 1), Batch::new(load(&bytes, 2)).expect("a batch"));
    let mut heard = Heard::default();
    let [first, other] = [0, 300].map(|add| request((add..add + 40).collect(), 6, Sampling::greedy()));
    let ticket = batch.join(&first).expect("joins").expect("there is room");
    heard.until_idle(&mut batch);
    let gone = batch.join(&first).expect("joins").expect("there is room");
    batch.leave(gone);
    assert_eq!(batch.running(), 0);
    let again = batch.join(&first).expect("joins").expect("there is room");
    let beside = batch.join(&other).expect("joins").expect("there is room");
    heard.until_idle(&mut batch);
    assert!(!heard.0.contains_key(&gone));
    assert_eq!(heard.0[&again].ids, heard.0[&ticket].ids);
    assert_eq!(heard.0[&again].end.as_ref().map(|e| e.kept_tokens), Some(39), "what it remembered is still there");
    assert_eq!(heard.0[&beside].ids, alone(&mut single, &other).0);
}

#[test]
fn what_takes_the_place_of_a_request_that_left_while_it_ran_does_not_go_on_with_it() {
    let bytes = sample();
    let (mut single, mut batch) = (load(&bytes, 1), Batch::new(load(&bytes, 1)).expect("a batch"));
    let mut heard = Heard::default();
    let gone = batch.join(&request((0..20).collect(), 60, Sampling::greedy())).expect("joins").expect("there is room");
    for _ in 0..8 {
        heard.step(&mut batch).expect("steps");
    }
    batch.leave(gone);
    let next = request((0..20).collect(), 6, drawn(3));
    let ticket = batch.join(&next).expect("joins").expect("there is room");
    heard.until_idle(&mut batch);
    assert_eq!(heard.0[&ticket].ids, alone(&mut single, &next).0);
}

#[test]
fn texts_that_end_an_answer_and_limits_end_one_request_and_no_other() {
    let bytes = sample();
    let (mut single, mut batch) = (load(&bytes, 1), Batch::new(load(&bytes, 3)).expect("a batch"));
    let vocabulary = batch.vocabulary.clone().expect("a tokenizer");
    let prompt = vocabulary.encode("Once upon a time", crate::tokenizer::EncodeOptions::default()).expect("ids");
    let free = request(prompt.clone(), 30, Sampling::greedy());
    let (_, text, _) = alone(&mut single, &free);
    let stop = text[5..9].to_owned();
    let mut stopped = free.clone();
    stopped.options.stop = vec!["nowhere".into(), stop.clone()];
    let none = request(prompt.clone(), 0, Sampling::greedy());
    let tickets: Vec<Ticket> = [&free, &stopped, &none].iter().filter_map(|r| batch.join(r).expect("joins")).collect();
    let mut heard = Heard::default();
    heard.until_idle(&mut batch);
    let told = |i: usize| &heard.0[&tickets[i]];
    assert_eq!(told(0).text, text);
    assert_eq!(Some(told(1).text.as_str()), text.find(&stop).map(|at| &text[..at]));
    let stops: Vec<StopReason> = (0..3).map(|i| told(i).end.as_ref().expect("ended").stop).collect();
    assert_eq!(stops, [StopReason::Limit, StopReason::StopText, StopReason::Limit]);
    assert!(told(2).ids.is_empty());
    // The context's end.
    let long = batch.join(&request((0..120).collect(), 100, Sampling::greedy())).expect("joins").expect("room");
    heard.until_idle(&mut batch);
    let end = heard.0[&long].end.as_ref().expect("ended");
    assert_eq!((end.stop, end.prompt_tokens + end.tokens), (StopReason::Context, 129));
    for (wrong, part) in [
        (request(vec![], 1, Sampling::greedy()), "no tokens"),
        (request(vec![1; 128], 1, Sampling::greedy()), "the prompt has 128 tokens, the context loaded holds 128"),
        (Request { alternatives: 21, ..free.clone() }, "at most 20"),
    ] {
        let fault = batch.join(&wrong).expect_err("it is refused");
        assert!(fault.what.contains(part), "{fault}");
    }
}

#[test]
fn a_device_lost_at_any_step_is_opened_again_for_all_requests() {
    let bytes = sample();
    let mut single = load(&bytes, 1);
    let all: Vec<Request> = (0..2).map(|i| request((i * 9..i * 9 + 20).collect(), 10, drawn(7))).collect();
    let want: Vec<Vec<u32>> = all.iter().map(|r| alone(&mut single, r).0).collect();
    for runs_left in [0, 1, 3, 6] {
        let mut batch = Batch::new(load(&bytes, 2)).expect("a batch");
        batch.runner().wrap_device(|inner| Box::new(super::super::generation::tests::Lost { inner, runs_left }));
        let tickets: Vec<Ticket> = all.iter().filter_map(|r| batch.join(r).expect("joins")).collect();
        let mut heard = Heard::default();
        heard.until_idle(&mut batch);
        let got: Vec<&Vec<u32>> = tickets.iter().map(|t| &heard.0[t].ids).collect();
        assert_eq!((got, batch.reloads()), (want.iter().collect(), 1), "lost after {runs_left} runs");
    }
}
