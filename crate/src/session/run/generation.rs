//! Generations: text or ids in, tokens and text out.

use std::rc::Rc;

use super::{
    options::GenerationOptions,
    runner::{Choice, Row, RunSettings, Runner},
    scheduler::{self, check_prompt},
    sequence::{ALTERNATIVES, Finish, Sequence},
    stop::StopSet,
    stop_text::Withheld,
};
use crate::{
    engine::{
        device::{Counters, DeviceChoice, DeviceInfo},
        program::{Program, Want},
    },
    fault::{Blame, Fault, LocalFuture, Result},
    session::{GpuOptions, Inspection, Progress, Stopwatch, Timing},
    tokenizer::{EncodeOptions, TextStream, Vocabulary},
};

/// One generated token.
#[derive(Debug, Clone)]
pub struct Generated {
    /// Token id.
    pub id: u32,
    /// Text that became complete with it.
    pub text: String,
    /// Its probability, where logits were read.
    pub probability: Option<f32>,
    /// The likeliest tokens, where logits were read.
    pub alternatives: Vec<Alternative>,
}

/// A token that was likely.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// Token id.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Its probability.
    pub probability: f32,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model produced an end token.
    EndToken,
    /// `max_tokens` were produced.
    Limit,
    /// The context is full.
    Context,
    /// The caller asked for it.
    Stopped,
    /// One of [`GenerationOptions::stop`] came.
    StopText,
}

impl StopReason {
    pub(super) fn of(finish: Option<Finish>) -> Self {
        match finish {
            Some(Finish::EndToken) => Self::EndToken,
            Some(Finish::Context) => Self::Context,
            Some(Finish::Stopped) => Self::Stopped,
            Some(Finish::StopText) => Self::StopText,
            Some(Finish::Limit) | None => Self::Limit,
        }
    }
}

/// A finished generation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Ids of the prompt.
    pub prompt_ids: Vec<u32>,
    /// Generated ids, without the end token; with the tokens of a text that ended it.
    pub ids: Vec<u32>,
    /// Generated text.
    pub text: String,
    /// Why it ended.
    pub stop: StopReason,
    /// Times.
    pub timing: Timing,
    /// Logits of the last prompt position, where asked for.
    pub logits: Option<Vec<f32>>,
    /// What a person should know of this run.
    pub notes: Vec<String>,
}

/// Called with each token; resolves to true to stop.
pub type OnToken<'a> = dyn FnMut(&Generated) -> LocalFuture<'static, bool> + 'a;

/// Called with the number of the prompt and each of its tokens; resolves to true to stop that one.
pub type OnTokenOf<'a> = dyn FnMut(usize, &Generated) -> LocalFuture<'static, bool> + 'a;

/// A model loaded on a device.
pub struct Generation {
    runner: Runner,
    /// A model without tokenizer still runs on ids.
    vocabulary: Result<Rc<Vocabulary>>,
    stop: StopSet,
    load_s: f64,
    notes: Vec<String>,
    /// What the first sequence's state remembers.
    remembered: Vec<u32>,
}

/// The text of one sequence.
#[derive(Default)]
struct Text {
    stream: TextStream,
    withheld: Withheld,
    text: String,
    first_at: Option<f64>,
    last_at: f64,
}

impl Generation {
    /// Compiles the model for a device and streams its weights there.
    ///
    /// # Errors
    /// The architecture, an encoding or the tokenizer is not supported; the weights are not all here; the device fails.
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let clock = Stopwatch::start();
        let vocabulary = inspection.vocabulary().await;
        let runner = Runner::load(Rc::clone(&inspection), choice, gpu, settings, on_progress).await?;
        if runner.program().vocab == 0 {
            return Err(Fault::unsupported(
                "the model is an encoder: it gives hidden states and no next token (`glassbox embed` runs it)",
            ));
        }
        let mut notes = vec![runner.info().reason.clone()];
        notes.extend(runner.notes.iter().cloned());
        match &vocabulary {
            Ok(v) if v.len() as u64 != u64::from(runner.program().vocab) => {
                notes.push(format!(
                    "the tokenizer has {} tokens, the model's head {}",
                    v.len(),
                    runner.program().vocab
                ));
            }
            Ok(_) => {}
            Err(fault) => notes.push(format!("no text, only ids: {fault}")),
        }
        let stop = StopSet::of(&inspection, vocabulary.as_ref().ok().map(Rc::as_ref));
        Ok(Self { runner, vocabulary, stop, load_s: clock.seconds(), notes, remembered: Vec::new() })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.runner.info()
    }
    /// Bytes the device holds.
    pub fn memory(&self) -> u64 {
        self.runner.memory()
    }
    /// Seconds that loading took.
    pub fn load_s(&self) -> f64 {
        self.load_s
    }
    /// Its parts, for sequences that come and go.
    #[cfg(feature = "serve")]
    pub(super) fn into_parts(self) -> (Runner, Option<Rc<Vocabulary>>, StopSet) {
        (self.runner, self.vocabulary.ok(), self.stop)
    }
    /// The program that runs.
    pub fn program(&self) -> &Program {
        self.runner.program()
    }
    /// The longest sequence.
    pub fn context(&self) -> u32 {
        self.runner.program().context
    }
    /// What the device has done since the model was loaded.
    pub fn counters(&mut self) -> Counters {
        self.runner.device().counters()
    }

    /// Generates from a text prompt.
    ///
    /// # Errors
    /// The prompt does not fit the context; the device fails twice; logits are not finite.
    pub async fn generate(
        &mut self,
        prompt: &str,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<Outcome> {
        let ids = self.encode(prompt, options)?;
        self.generate_ids(ids, options, on_token).await
    }

    /// The ids of a text prompt.
    ///
    /// # Errors
    /// There is no tokenizer, or it cannot encode the text.
    pub fn encode(&self, prompt: &str, options: &GenerationOptions) -> Result<Vec<u32>> {
        let encoding = EncodeOptions { add_special: options.add_special, parse_special: true };
        self.vocabulary.clone()?.encode(prompt, encoding)
    }

    /// Generates from token ids. What the last generation read and this prompt begins with is not read again.
    ///
    /// # Errors
    /// As [`Self::generate`]; an id beyond the vocabulary.
    pub async fn generate_ids(
        &mut self,
        prompt: Vec<u32>,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<Outcome> {
        let mut one = |_: usize, token: &Generated| on_token(token);
        let mut outcomes = self.generate_many(vec![prompt], options, &mut one).await?;
        outcomes.pop().ok_or_else(|| Fault::bug("a prompt without an outcome"))
    }

    /// Generates from several prompts at once, each as if it were alone.
    ///
    /// # Errors
    /// As [`Self::generate_ids`]; more prompts than the program was loaded for.
    pub async fn generate_many(
        &mut self,
        prompts: Vec<Vec<u32>>,
        options: &GenerationOptions,
        on_token: &mut OnTokenOf<'_>,
    ) -> Result<Vec<Outcome>> {
        options.check(self.runner.program().vocab)?;
        let most = self.runner.program().layout.sequences as usize;
        if prompts.len() > most {
            return Err(Fault::caller(format!("{} prompts at once, the model was loaded for {most}", prompts.len())));
        }
        prompts.iter().try_for_each(|p| check_prompt(&self.runner, p))?;
        let sequences: Vec<Sequence> =
            prompts.into_iter().enumerate().map(|(slot, prompt)| sequence(slot as u32, prompt, options)).collect();
        self.generate_sequences(sequences, options, on_token).await
    }

    /// Generates several texts from one prompt at once, which is read once where the model's states allow it. Each has a seed of its own:
    /// the given one and those that follow it.
    ///
    /// # Errors
    /// As [`Self::generate_many`].
    pub async fn generate_samples(
        &mut self,
        prompt: Vec<u32>,
        samples: u32,
        options: &GenerationOptions,
        on_token: &mut OnTokenOf<'_>,
    ) -> Result<Vec<Outcome>> {
        options.check(self.runner.program().vocab)?;
        let most = self.runner.program().layout.sequences;
        if samples > most {
            return Err(Fault::caller(format!("{samples} texts at once, the model was loaded for {most}")));
        }
        check_prompt(&self.runner, &prompt)?;
        let mut sequences: Vec<Sequence> = (0..samples).map(|slot| sequence(slot, prompt.clone(), options)).collect();
        for s in &mut sequences {
            s.sampling.seed = s.sampling.seed.wrapping_add(u64::from(s.slot));
        }
        self.generate_sequences(sequences, options, on_token).await
    }

    async fn generate_sequences(
        &mut self,
        mut sequences: Vec<Sequence>,
        options: &GenerationOptions,
        on_token: &mut OnTokenOf<'_>,
    ) -> Result<Vec<Outcome>> {
        let clock = Stopwatch::start();
        self.runner.own_pages()?;
        let mut texts: Vec<Text> = sequences.iter().map(|_| Text::default()).collect();
        if let [only] = sequences.as_mut_slice() {
            only.kept = self.reusable(&only.history);
            only.read = only.kept;
        }
        self.remembered.clear();
        let mut recovered = false;
        while let Err(fault) = self.attempt(&mut sequences, &mut texts, &clock, options, on_token).await {
            if fault.blame != Blame::Device || recovered {
                return Err(fault);
            }
            recovered = true;
            self.notes
                .push(format!("the device failed ({fault}); the model was loaded again and went on from its history"));
            self.runner.reload().await.map_err(|again| again.because(fault))?;
            sequences.iter_mut().for_each(|s| (s.read, s.kept) = (0, 0));
        }
        if let [only] = sequences.as_slice() {
            self.remembered = only.history[..only.read.min(only.history.len())].to_vec();
        }
        Ok(sequences.into_iter().zip(texts).map(|(s, text)| self.outcome(s, text)).collect())
    }

    /// How many tokens of a prompt the first sequence's state remembers and can keep; the last one is always read.
    fn reusable(&self, prompt: &[u32]) -> usize {
        let common = self.remembered.iter().zip(prompt).take_while(|(a, b)| a == b).count().min(prompt.len() - 1);
        let same_angles = self.runner.has_length(prompt.len() as u32);
        if same_angles { self.runner.reusable(0, self.remembered.len() as u32, common as u32) as usize } else { 0 }
    }

    /// Reads what several sequences begin with once for all of them, where none of it has been read and the model's states can be shared.
    async fn share(&mut self, sequences: &mut [Sequence]) -> Result<()> {
        let Some((first, others)) = sequences.split_first().filter(|(_, others)| !others.is_empty()) else {
            return Ok(());
        };
        let same = |s: &Sequence| first.history.iter().zip(&s.history).take_while(|(a, b)| a == b).count();
        let common = others.iter().map(same).min().unwrap_or(0);
        // The last token of each is read for its logits.
        let shortest = sequences.iter().map(|s| s.history.len()).min().unwrap_or(0);
        let rows = self.runner.shareable(common.min(shortest.saturating_sub(1)) as u32);
        if rows == 0 || sequences.iter().any(|s| s.read > 0) {
            return Ok(());
        }
        let longest = sequences.iter().map(|s| s.history.len() as u32).max().unwrap_or(1);
        self.runner.set_length(longest)?;
        let row = |(i, token): (usize, &u32)| Row { token: *token, position: i as u32, sequence: sequences[0].slot };
        let all: Vec<Row> = sequences[0].history[..rows as usize].iter().enumerate().map(row).collect();
        for chunk in all.chunks(self.runner.program().layout.rows as usize) {
            self.runner.step(chunk, &[], Want::States).await?;
        }
        self.runner.share(sequences.len() as u32, rows)?;
        for s in sequences {
            s.read = rows as usize;
            s.kept = if s.slot == 0 { 0 } else { rows as usize };
        }
        Ok(())
    }

    /// Runs until all sequences have ended, or a fault; what was produced before a fault stays in `sequences`.
    async fn attempt(
        &mut self,
        sequences: &mut [Sequence],
        texts: &mut [Text],
        clock: &Stopwatch,
        options: &GenerationOptions,
        on_token: &mut OnTokenOf<'_>,
    ) -> Result<()> {
        self.share(sequences).await?;
        let vocabulary = self.vocabulary.as_ref().ok().map(Rc::as_ref);
        let stop = &self.stop;
        let mut on_chosen = |i: usize, _: &mut Sequence, token: Choice| -> LocalFuture<'static, Option<Finish>> {
            let text = &mut texts[i];
            text.last_at = clock.seconds();
            text.first_at.get_or_insert(text.last_at);
            if !options.ignore_end && stop.contains(token.id) {
                return Box::pin(async { Some(Finish::EndToken) });
            }
            let new = vocabulary.map(|v| text.stream.push(v, token.id)).unwrap_or_default();
            let (new, has_stopped) = text.withheld.push(&options.stop, new);
            text.text.push_str(&new);
            let alternative = |(id, probability): &(u32, f32)| Alternative {
                id: *id,
                text: vocabulary.map(|v| String::from_utf8_lossy(&v.token_bytes(*id)).into_owned()).unwrap_or_default(),
                probability: *probability,
            };
            let generated = Generated {
                id: token.id,
                text: new,
                probability: token.probability,
                alternatives: token.alternatives.iter().map(alternative).collect(),
            };
            let asked = on_token(i, &generated);
            Box::pin(async move {
                let is_stopped = asked.await;
                if has_stopped { Some(Finish::StopText) } else { is_stopped.then_some(Finish::Stopped) }
            })
        };
        scheduler::run(&mut self.runner, sequences, &mut on_chosen).await
    }

    fn outcome(&self, s: Sequence, mut text: Text) -> Outcome {
        let first = text.first_at.unwrap_or(text.last_at);
        let (prompt, ids) = s.history.split_at(s.prompt_len);
        let key = self.runner.program().key(1, 1, Want::Choice);
        let timing = Timing {
            load_s: self.load_s,
            prefill_tokens: s.prompt_len as u32,
            kept_tokens: s.kept as u32,
            prefill_s: first,
            decode_tokens: (ids.len() as u32).saturating_sub(1),
            decode_s: text.last_at - first,
            dispatches_per_token: self.runner.dispatches(key),
            decode_submits: 0,
            memory: self.runner.memory(),
        };
        text.text.push_str(&text.withheld.finish(s.finish == Some(Finish::StopText), text.stream.finish()));
        let stop = StopReason::of(s.finish);
        Outcome {
            prompt_ids: prompt.to_vec(),
            ids: ids.to_vec(),
            text: text.text,
            stop,
            timing,
            logits: s.logits,
            notes: self.notes.clone(),
        }
    }

    /// Logits of every position of a prompt, `[tokens, vocabulary]`: for comparisons.
    ///
    /// # Errors
    /// As [`Self::generate_ids`]; the model was loaded for fewer results than tokens of a step ([`RunSettings::outputs`]).
    pub async fn prompt_logits(&mut self, prompt: &[u32]) -> Result<Vec<Vec<f32>>> {
        check_prompt(&self.runner, prompt)?;
        self.remembered.clear();
        self.runner.prompt_results(prompt, "logits").await
    }
}

pub(super) fn sequence(slot: u32, prompt: Vec<u32>, options: &GenerationOptions) -> Sequence {
    Sequence {
        slot,
        arrival: u64::from(slot),
        waits: false,
        prompt_len: prompt.len(),
        history: prompt,
        read: 0,
        kept: 0,
        max_tokens: options.max_tokens,
        sampling: options.sampling.clone(),
        logit_bias: options.logit_bias.clone(),
        alternatives: if options.alternatives { ALTERNATIVES } else { 0 },
        keep_logits: options.keep_logits,
        logits: None,
        finish: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        engine::{
            device::{Device, Fetch},
            program::{BufferId, StepKey},
            sampler::Sampling,
        },
        source::{ByteSource, MemorySource, SourceSet},
    };

    /// A CPU that is lost at a certain run.
    pub(in super::super) struct Lost {
        pub(in super::super) inner: Box<dyn Device>,
        pub(in super::super) runs_left: u32,
    }

    impl Device for Lost {
        fn info(&self) -> &DeviceInfo {
            self.inner.info()
        }
        fn load<'a>(&'a mut self, program: &'a Rc<Program>) -> LocalFuture<'a, Result<(), Fault>> {
            self.inner.load(program)
        }
        fn upload(&mut self, buffer: BufferId, first_row: u32, bytes: &[u8]) -> Result<()> {
            self.inner.upload(buffer, first_row, bytes)
        }
        fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>> {
            self.inner.finish_load()
        }
        fn compile(&mut self, key: StepKey) -> LocalFuture<'_, Result<(), Fault>> {
            self.inner.compile(key)
        }
        fn write(&mut self, buffer: BufferId, at: u32, words: &[u32]) -> Result<()> {
            self.inner.write(buffer, at, words)
        }
        fn submit(&mut self, key: StepKey, times: u32, fetch: Option<Fetch>) -> Result<()> {
            self.runs_left = self.runs_left.checked_sub(1).ok_or_else(|| Fault::device("lost the GPU: a test"))?;
            self.inner.submit(key, times, fetch)
        }
        fn fetched(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
            self.inner.fetched()
        }
        fn read(&mut self, range: Fetch) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
            self.inner.read(range)
        }
        fn discard_fetches(&mut self) {
            self.inner.discard_fetches();
        }
        fn counters(&self) -> Counters {
            self.inner.counters()
        }
        fn dispatches(&self, key: StepKey) -> u32 {
            self.inner.dispatches(key)
        }
        fn memory(&self) -> u64 {
            self.inner.memory()
        }
    }

    /// The CPU and memory sources are ready at once.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("a future of the CPU was not ready at once"),
        }
    }

    fn load() -> Generation {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sample/gguf/sample-q4_0.gguf");
        let bytes = std::fs::read(path).expect("the sample is in the repository");
        let source = Rc::new(MemorySource::new("sample-q4_0.gguf", bytes)) as Rc<dyn ByteSource>;
        let inspection = Rc::new(now(Inspection::open(SourceSet::new([source]))).expect("the sample opens"));
        // What is read again comes by prefill, whose activations stay f32.
        let gpu = GpuOptions { exact: true, ..GpuOptions::default() };
        let settings = RunSettings::default();
        now(Generation::load(inspection, DeviceChoice::Cpu, gpu, &settings, &mut |_| {})).expect("loads")
    }

    fn write(generation: &mut Generation, options: &GenerationOptions) -> Result<(Outcome, Vec<u32>)> {
        let mut told = Vec::new();
        let mut on_token = |token: &Generated| -> LocalFuture<'static, bool> {
            told.push(token.id);
            Box::pin(async { false })
        };
        let outcome = now(generation.generate("Once upon a time", options, &mut on_token))?;
        Ok((outcome, told))
    }

    #[test]
    fn a_device_lost_at_any_step_is_opened_again_and_the_text_goes_on_as_if_nothing_had_happened() {
        let greedy = Sampling::greedy();
        let drawn = Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 3, ..Sampling::greedy() };
        for (sampling, alternatives) in [(greedy, false), (drawn.clone(), false), (drawn, true)] {
            let options = GenerationOptions {
                max_tokens: 40,
                sampling,
                add_special: true,
                alternatives,
                ..GenerationOptions::default()
            };
            let (want, _) = write(&mut load(), &options).expect("runs");
            assert_eq!(want.ids.len(), 40);
            for runs_left in [0, 1, 2, 17] {
                let mut generation = load();
                generation.runner.wrap_device(|inner| Box::new(Lost { inner, runs_left }));
                let (got, told) = write(&mut generation, &options).expect("recovers");
                assert_eq!((&got.ids, &got.text), (&want.ids, &want.text), "lost after {runs_left} runs");
                assert_eq!(told, want.ids, "every token is told once");
                assert!(
                    got.notes.iter().any(|n| n.contains("lost the GPU") && n.contains("loaded again")),
                    "{:?}",
                    got.notes
                );
            }
        }
    }
}
