//! A running model: load, prefill, decode, stop. The only loop of the crate (sampled id to next step) is here.

use std::rc::Rc;

use crate::{
    old_engine::{
        self,
        device::{Device, DeviceChoice, DeviceInfo},
        plan::{PlanId, Program},
        sampler::{Sampling, choose},
    },
    fault::{Blame, Fault, LocalFuture, Result},
    tokenizer::{EncodeOptions, TextStream, Vocabulary},
};

use super::{GpuOptions, Inspection, Stopwatch, Timing, devices::open_device, loader};

/// The longest sequence unless more is asked for: caches are memory.
const DEFAULT_CONTEXT: u32 = 4096;
/// Alternatives told of each token.
const ALTERNATIVES: usize = 5;
/// Decode submits in flight on a GPU before the host waits for an id.
const GPU_DEPTH: u32 = 3;

/// How far a long piece of work is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done.
    pub what: &'static str,
    /// Done so far.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

/// What to generate and how to choose.
#[derive(Debug, Clone)]
pub struct GenerationOptions {
    /// The most tokens to generate.
    pub max_tokens: u32,
    /// How to choose; temperature 0 is greedy.
    pub sampling: Sampling,
    /// Whether a prompt in text begins with what the tokenizer adds; chat templates write their own BOS.
    pub add_special: bool,
    /// Read the logits of every step to give probabilities and alternatives (costs a readback per token on a GPU).
    pub alternatives: bool,
    /// Keep the logits of the last prompt position.
    pub keep_logits: bool,
}

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
}

/// A finished generation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Ids of the prompt.
    pub prompt_ids: Vec<u32>,
    /// Generated ids, without the end token.
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

/// A model loaded on a device.
pub struct Generation {
    inspection: Rc<Inspection>,
    choice: DeviceChoice,
    gpu: GpuOptions,
    program: Rc<Program>,
    device: Box<dyn Device>,
    /// A model without tokenizer still runs on ids.
    vocabulary: Result<Rc<Vocabulary>>,
    load_s: f64,
    notes: Vec<String>,
}

/// What one generation has come to.
struct Run {
    prompt: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    stream: TextStream,
    timing: Timing,
    logits: Option<Vec<f32>>,
    clock: Stopwatch,
    first_at: Option<f64>,
}

impl Generation {
    /// Plans the model for a device and streams its weights there.
    ///
    /// # Errors
    /// The architecture, an encoding or the tokenizer is not supported; the weights are not all here; the device fails.
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        context: Option<u32>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let clock = Stopwatch::start();
        let known = old_engine::can_run(inspection.model())?;
        let vocabulary = inspection.vocabulary().await;
        let context = context.unwrap_or(known.config.context.min(DEFAULT_CONTEXT));
        let tables = loader::tables(&inspection).await?;
        let options = old_engine::PrepareOptions { context: Some(context), tables, ..Default::default() };
        let plan = |max_slot_bytes| old_engine::prepare(inspection.model(), &options, max_slot_bytes);
        let (mut device, program) = open_device(&choice, &gpu, &plan).await?;
        let program = Rc::new(program);
        device.load(&program).await?;
        loader::load_weights(&inspection, &program, device.as_mut(), on_progress).await?;
        device.finish_load().await?;
        let mut notes = vec![device.info().reason.clone()];
        match &vocabulary {
            Ok(v) if v.len() as u64 != u64::from(program.vocab) => {
                notes.push(format!("the tokenizer has {} tokens, the model's head {}", v.len(), program.vocab));
            }
            Ok(_) => {}
            Err(fault) => notes.push(format!("no text, only ids: {fault}")),
        }
        Ok(Self { inspection, choice, gpu, program, device, vocabulary, load_s: clock.seconds(), notes })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.device.info()
    }
    /// Bytes the device holds.
    pub fn memory(&self) -> u64 {
        self.device.memory()
    }
    /// Seconds that loading took.
    pub fn load_s(&self) -> f64 {
        self.load_s
    }
    /// The program that runs.
    pub fn program(&self) -> &Program {
        &self.program
    }
    /// The longest sequence.
    pub fn context(&self) -> u32 {
        self.program.context
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
        let encoding = EncodeOptions { add_special: options.add_special, parse_special: true };
        let ids = self.vocabulary.clone()?.encode(prompt, encoding)?;
        self.generate_ids(ids, options, on_token).await
    }

    /// Generates from token ids.
    ///
    /// # Errors
    /// As [`Self::generate`]; an id beyond the vocabulary.
    pub async fn generate_ids(
        &mut self,
        prompt: Vec<u32>,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<Outcome> {
        self.check_prompt(&prompt)?;
        let mut run = Run {
            prompt,
            ids: Vec::new(),
            text: String::new(),
            stream: TextStream::default(),
            timing: Timing { load_s: self.load_s, ..Timing::default() },
            logits: None,
            clock: Stopwatch::start(),
            first_at: None,
        };
        let mut recovered = false;
        let stop = loop {
            match self.attempt(&mut run, options, on_token).await {
                Ok(stop) => break stop,
                Err(fault) if fault.blame == Blame::Device && !recovered => {
                    recovered = true;
                    self.notes.push(format!(
                        "the device failed ({fault}); the model was loaded again and went on from its history"
                    ));
                    self.reload().await.map_err(|again| again.because(fault))?;
                }
                Err(fault) => return Err(fault),
            }
        };
        let end = run.clock.seconds();
        let first = run.first_at.unwrap_or(end);
        run.timing.prefill_tokens = run.prompt.len() as u32;
        run.timing.prefill_s = first;
        run.timing.decode_tokens = (run.ids.len() as u32).saturating_sub(1);
        run.timing.decode_s = end - first;
        run.timing.dispatches_per_token = self.program.decode.steps.len() as u32;
        run.timing.memory = self.device.memory();
        run.text.push_str(&run.stream.finish());
        Ok(Outcome {
            prompt_ids: run.prompt,
            ids: run.ids,
            text: run.text,
            stop,
            timing: run.timing,
            logits: run.logits,
            notes: self.notes.clone(),
        })
    }

    /// Starts a greedy run on the device; returns how many decode submits may be in flight.
    pub(super) fn start(&mut self, tokens: &[u32]) -> Result<u32> {
        self.check_prompt(tokens)?;
        self.device.reset();
        self.prefill(tokens, PlanId::PrefillPick)?;
        Ok(self.depth())
    }
    pub(super) fn device_mut(&mut self) -> &mut dyn Device {
        self.device.as_mut()
    }
    fn depth(&self) -> u32 {
        if self.device.info().tier.is_some() { GPU_DEPTH } else { 1 }
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        if prompt.is_empty() {
            return Err(Fault::caller("the prompt has no tokens: type at least one word"));
        }
        if prompt.len() as u64 >= u64::from(self.program.context) {
            return Err(Fault::caller(format!(
                "the prompt has {} tokens, the context loaded holds {}: shorten it or load with a longer context",
                prompt.len(),
                self.program.context
            )));
        }
        match prompt.iter().find(|id| **id >= self.program.vocab) {
            Some(id) => {
                Err(Fault::caller(format!("token {id} is beyond the model's vocabulary of {}", self.program.vocab)))
            }
            None => Ok(()),
        }
    }

    /// A fresh device with the same program and weights.
    async fn reload(&mut self) -> Result<()> {
        let same = |_| Ok(Program::clone(&self.program));
        let (mut device, _) = open_device(&self.choice, &self.gpu, &same).await?;
        device.load(&self.program).await?;
        loader::load_weights(&self.inspection, &self.program, device.as_mut(), &mut |_| {}).await?;
        device.finish_load().await?;
        self.device = device;
        Ok(())
    }

    /// Runs until a stop or a fault; what was produced before a fault stays in `run`.
    async fn attempt(
        &mut self,
        run: &mut Run,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<StopReason> {
        if run.ids.len() as u32 >= options.max_tokens {
            return Ok(StopReason::Limit);
        }
        self.device.reset();
        let history: Vec<u32> = run.prompt.iter().chain(&run.ids).copied().collect();
        options.sampling.check()?;
        let host = !options.sampling.is_greedy() || options.alternatives;
        let logits_first = host || (options.keep_logits && run.logits.is_none());
        self.prefill(&history, if logits_first { PlanId::PrefillLogits } else { PlanId::PrefillPick })?;
        if host {
            self.decode_on_host(run, history.len() as u32, options, on_token).await
        } else {
            self.decode_on_device(run, history.len() as u32, options, logits_first, on_token).await
        }
    }

    /// All tokens but the last chunk by plain prefill, the last by `last`.
    fn prefill(&mut self, tokens: &[u32], last: PlanId) -> Result<()> {
        let batch = self.program.plan(last).batch.max(1) as usize;
        let chunks = tokens.chunks(batch);
        let count = chunks.len();
        for (i, chunk) in chunks.enumerate() {
            self.device.write_tokens(chunk, (i * batch) as u32)?;
            self.device.run(if i + 1 == count { last } else { PlanId::Prefill }, 1)?;
        }
        Ok(())
    }

    /// Greedy: ids stay on the device; the host only follows, a few submits behind.
    async fn decode_on_device(
        &mut self,
        run: &mut Run,
        mut pos: u32,
        options: &GenerationOptions,
        logits_first: bool,
        on_token: &mut OnToken<'_>,
    ) -> Result<StopReason> {
        let depth = self.depth();
        let mut outstanding = 1;
        let mut planned = run.ids.len() as u32 + 1;
        if logits_first {
            let (id, logits) = self.greedy_on_host(pos).await?;
            run.logits = Some(logits);
            outstanding = 0;
            if let Some(stop) = self.emit(run, id, None, Vec::new(), options, on_token).await {
                return Ok(stop);
            }
            self.device.write_tokens(&[id], pos)?;
        }
        loop {
            while outstanding < depth && planned < options.max_tokens && pos < self.program.context {
                self.device.run(PlanId::Decode, 1)?;
                pos += 1;
                planned += 1;
                outstanding += 1;
            }
            if outstanding == 0 {
                return Ok(StopReason::Context);
            }
            for id in self.device.picked().await? {
                outstanding = outstanding.saturating_sub(1);
                if let Some(stop) = self.emit(run, id, None, Vec::new(), options, on_token).await {
                    return Ok(stop);
                }
            }
        }
    }

    fn token_text(&self, id: u32) -> String {
        self.vocabulary.as_ref().map(|v| String::from_utf8_lossy(&v.token_bytes(id)).into_owned()).unwrap_or_default()
    }

    async fn greedy_on_host(&mut self, pos: u32) -> Result<(u32, Vec<f32>)> {
        let logits = self.read_logits().await?;
        let choice = choose(&logits, &Sampling::greedy(), u64::from(pos), 0)?;
        Ok((choice.id, logits))
    }

    async fn read_logits(&mut self) -> Result<Vec<f32>> {
        let slot = self.program.logits.ok_or_else(|| Fault::bug("a program without logits"))?;
        self.device.read(slot).await
    }

    /// Sampling: logits come to the host at every step.
    async fn decode_on_host(
        &mut self,
        run: &mut Run,
        mut pos: u32,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Result<StopReason> {
        loop {
            let logits = self.read_logits().await?;
            let told = if options.alternatives { ALTERNATIVES } else { 0 };
            let choice = choose(&logits, &options.sampling, u64::from(pos), told)?;
            if options.keep_logits && run.logits.is_none() {
                run.logits = Some(logits);
            }
            let alternatives = choice
                .alternatives
                .iter()
                .map(|(id, probability)| Alternative { id: *id, text: self.token_text(*id), probability: *probability })
                .collect();
            if let Some(stop) =
                self.emit(run, choice.id, Some(choice.probability), alternatives, options, on_token).await
            {
                return Ok(stop);
            }
            if pos >= self.program.context {
                return Ok(StopReason::Context);
            }
            self.device.write_tokens(&[choice.id], pos)?;
            self.device.run(PlanId::DecodeLogits, 1)?;
            pos += 1;
        }
    }

    /// Takes one id into the run; `Some` when the generation ends with it.
    async fn emit(
        &self,
        run: &mut Run,
        id: u32,
        probability: Option<f32>,
        alternatives: Vec<Alternative>,
        options: &GenerationOptions,
        on_token: &mut OnToken<'_>,
    ) -> Option<StopReason> {
        if run.first_at.is_none() {
            run.first_at = Some(run.clock.seconds());
        }
        let mut text = String::new();
        if let Ok(vocabulary) = &self.vocabulary {
            if vocabulary.end_ids().contains(&id) {
                return Some(StopReason::EndToken);
            }
            text = run.stream.push(vocabulary, id);
        }
        run.ids.push(id);
        run.text.push_str(&text);
        if on_token(&Generated { id, text, probability, alternatives }).await {
            return Some(StopReason::Stopped);
        }
        (run.ids.len() as u32 >= options.max_tokens).then_some(StopReason::Limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        old_engine::{device::Counters, plan::Slot},
        source::{ByteSource, MemorySource, SourceSet},
    };

    /// A device that works for some runs, then is lost.
    struct Lost {
        inner: Box<dyn Device>,
        runs_left: u32,
    }

    impl Device for Lost {
        fn info(&self) -> &DeviceInfo {
            self.inner.info()
        }
        fn load<'a>(&'a mut self, program: &'a Program) -> LocalFuture<'a, Result<(), Fault>> {
            self.inner.load(program)
        }
        fn upload(&mut self, slot: Slot, first_row: u32, bytes: &[u8]) -> Result<()> {
            self.inner.upload(slot, first_row, bytes)
        }
        fn finish_load(&mut self) -> LocalFuture<'_, Result<(), Fault>> {
            self.inner.finish_load()
        }
        fn write_tokens(&mut self, tokens: &[u32], pos: u32) -> Result<()> {
            self.inner.write_tokens(tokens, pos)
        }
        fn run(&mut self, plan: PlanId, times: u32) -> Result<()> {
            self.runs_left = self.runs_left.checked_sub(1).ok_or_else(|| Fault::device("lost the GPU: a test"))?;
            self.inner.run(plan, times)
        }
        fn read(&mut self, slot: Slot) -> LocalFuture<'_, Result<Vec<f32>, Fault>> {
            self.inner.read(slot)
        }
        fn picked(&mut self) -> LocalFuture<'_, Result<Vec<u32>, Fault>> {
            self.inner.picked()
        }
        fn reset(&mut self) {
            self.inner.reset();
        }
        fn counters(&self) -> Counters {
            self.inner.counters()
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
        now(Generation::load(inspection, DeviceChoice::Cpu, GpuOptions::default(), None, &mut |_| {})).expect("loads")
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
        let drawn = Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 3 };
        for sampling in [greedy, drawn] {
            let options = GenerationOptions {
                max_tokens: 40,
                sampling,
                add_special: true,
                alternatives: false,
                keep_logits: false,
            };
            let (want, _) = write(&mut load(), &options).expect("runs");
            assert_eq!(want.ids.len(), 40);
            for runs_left in [0, 1, 2, 17] {
                let mut generation = load();
                generation.device = Box::new(Lost { inner: generation.device, runs_left });
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
