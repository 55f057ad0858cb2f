//! A model's two threads, and the ways to them.

use std::{
    path::PathBuf,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    encoder::{self, Encoder, Work},
    engine::{self, Figures, Job, Out},
    error::{ApiError, ApiResult},
    scribe::{self, Ask, Written},
    settings::{ModelSpec, OpenFiles, Settings},
};
use crate::{
    fault::{Fault, Result},
    session::{
        Batch, Chat, Classifier, Conversation, EmbedOptions, Embedder, Generation, Gives, Inspection, Need, Request,
        RunSettings, gives,
    },
};

/// Prompts that wait to be written, for each model.
const ASKED: usize = 256;
/// Control tokens that begin calls of tools: their text is told.
const SHOWN: [&str; 4] = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>"];

/// Answers of several requests, each with its request's number.
type Answers = (mpsc::Sender<(usize, Out)>, mpsc::Receiver<(usize, Out)>);

/// A model that is served.
pub(super) struct Model {
    pub(super) name: String,
    /// Seconds since 1970 when it was loaded.
    pub(super) created: u64,
    pub(super) context: u32,
    pub(super) sequences: u32,
    pub(super) queue: usize,
    pub(super) figures: Arc<Figures>,
    jobs: Jobs,
    scribe: mpsc::Sender<Ask>,
    /// One for each request that may run or wait.
    places: Arc<Semaphore>,
}

/// The way to the thread that runs it.
enum Jobs {
    Tokens(mpsc::Sender<Job>),
    Encoder(mpsc::Sender<encoder::Job>),
}

/// A model on its device, and the way to it.
enum Loaded {
    Batch(Box<Batch>, mpsc::Receiver<Job>),
    Encoder(Box<Encoder>, mpsc::Receiver<encoder::Job>),
}

impl Model {
    /// Loads a model, and starts its threads.
    ///
    /// # Errors
    /// As [`Generation::load`].
    pub(super) fn load(spec: &ModelSpec, settings: &Settings) -> Result<Self> {
        let queue = settings.queue;
        let most = queue + settings.sequences as usize;
        let figures = Arc::new(Figures::default());
        let (scribe, scribe_to) = mpsc::channel(ASKED);
        let (told, tells) = std::sync::mpsc::channel();
        let begun = Instant::now();
        let (own, path, shared) = (settings.clone(), spec.path.clone(), Arc::clone(&figures));
        let name = |what: &str| format!("{what} of {}", spec.name);
        start(name("engine"), move || {
            within(async {
                match load(&own, path, most).await {
                    Ok((context, jobs, Loaded::Batch(batch, from))) => {
                        let _ = told.send(Ok((context, jobs)));
                        engine::run(*batch, from, shared).await;
                    }
                    Ok((context, jobs, Loaded::Encoder(encoder, from))) => {
                        let _ = told.send(Ok((context, jobs)));
                        encoder.run(from, shared).await;
                    }
                    Err(fault) => drop(told.send(Err(fault))),
                }
            });
        })?;
        let (context, jobs) = tells.recv().unwrap_or_else(|_| Err(Fault::bug("the thread of a model ended")))?;
        let (open, path) = (settings.open, spec.path.clone());
        start(name("scribe"), move || {
            let (vocabulary, chat) = match texts(open, &path) {
                Ok(both) => both,
                Err(fault) => (Err(fault.clone()), Err(fault)),
            };
            scribe::run(vocabulary, chat, scribe_to);
        })?;
        tracing::info!(model = spec.name, context, seconds = begun.elapsed().as_secs_f32(), "loaded");
        Ok(Self {
            name: spec.name.clone(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            context,
            sequences: settings.sequences,
            queue,
            figures,
            jobs,
            scribe,
            places: Arc::new(Semaphore::new(most)),
        })
    }
    /// Whether both threads live.
    pub(super) fn is_alive(&self) -> bool {
        let is_closed = match &self.jobs {
            Jobs::Tokens(jobs) => jobs.is_closed(),
            Jobs::Encoder(jobs) => jobs.is_closed(),
        };
        !is_closed && !self.scribe.is_closed()
    }
    /// A conversation's text and ids.
    pub(super) async fn write(&self, conversation: Conversation) -> ApiResult<Written> {
        self.ask(|to| Ask::Write(Box::new(conversation), to)).await
    }
    /// A text's ids.
    pub(super) async fn encode(&self, text: String, add_special: bool, parse_special: bool) -> ApiResult<Vec<u32>> {
        self.ask(|to| Ask::Encode { text, add_special, parse_special, to }).await
    }
    /// The text of ids.
    pub(super) async fn decode(&self, ids: Vec<u32>) -> ApiResult<String> {
        self.ask(|to| Ask::Decode(ids, to)).await
    }
    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<Result<T>>) -> Ask) -> ApiResult<T> {
        let (to, from) = oneshot::channel();
        self.scribe.try_send(ask(to)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => ApiError::busy(format!("{ASKED} prompts wait to be written"), 1),
            mpsc::error::TrySendError::Closed(_) => ApiError::lost(),
        })?;
        Ok(from.await.map_err(|_| ApiError::lost())??)
    }

    /// Room for so many requests at once: they run or wait, or are refused here.
    pub(super) fn room(&self, requests: usize) -> ApiResult<Vec<OwnedSemaphorePermit>> {
        let most = self.queue + self.sequences as usize;
        if requests > most {
            let what = format!(
                "{requests} answers are asked for at once; this server runs {} and lets {} wait",
                self.sequences, self.queue
            );
            return Err(ApiError::field("n", what));
        }
        (0..requests)
            .map(|_| {
                Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
                    let waiting = self.figures.waiting.load(Relaxed);
                    let what = format!("{} requests run and {waiting} wait, at most {}", self.sequences, self.queue);
                    ApiError::busy(what, 1 + (waiting / u64::from(self.sequences.max(1))).min(60) as u32)
                })
            })
            .collect()
    }
    /// Hands a request over; its answer goes to `to`.
    pub(super) fn send(&self, job: Job) -> ApiResult<()> {
        let Jobs::Tokens(jobs) = &self.jobs else { return Err(self.is_encoder()) };
        // There are as many places in the channel as permits.
        jobs.try_send(job).map_err(|_| ApiError::lost())
    }
    /// Refuses an encoder where text is asked for.
    pub(super) fn generates(&self) -> ApiResult<()> {
        if matches!(self.jobs, Jobs::Tokens(_)) { Ok(()) } else { Err(self.is_encoder()) }
    }
    fn is_encoder(&self) -> ApiError {
        ApiError::unsupported(format!("{} is an encoder: it generates no text", self.name))
    }
    /// What an encoder makes of its work.
    ///
    /// # Errors
    /// The model is none; there is no room; the time of the request is over.
    pub(super) async fn encoded<T>(
        &self,
        turn: &Turn,
        work: impl FnOnce(oneshot::Sender<ApiResult<T>>) -> Work,
    ) -> ApiResult<T> {
        let Jobs::Encoder(jobs) = &self.jobs else {
            let what = format!("{} generates text: an encoder is needed for vectors and ranks", self.name);
            return Err(ApiError::unsupported(what));
        };
        let permit = self.room(1)?.pop().ok_or_else(ApiError::lost)?;
        let (to, from) = oneshot::channel();
        jobs.try_send((work(to), permit)).map_err(|_| ApiError::lost())?;
        match tokio::time::timeout_at(turn.deadline.into(), from).await {
            Err(_) => Err(ApiError::late("the request took too long")),
            Ok(answer) => answer.map_err(|_| ApiError::lost())?,
        }
    }
    /// A channel that holds answers of so many tokens in all, so that the model never waits for a client.
    pub(super) fn answers(&self, requests: usize, tokens: u32) -> Answers {
        let each = tokens.min(self.context) as usize + 2;
        mpsc::channel(each * requests.max(1))
    }
    /// Refuses a prompt that does not fit, and says how many tokens an answer may have.
    pub(super) fn fit(&self, prompt: usize, wanted: Option<u32>, param: &'static str) -> ApiResult<u32> {
        let context = self.context as usize;
        if prompt == 0 {
            return Err(ApiError::field(param, "the prompt has no tokens"));
        }
        if prompt >= context {
            let what = format!(
                "the prompt has {prompt} tokens, and the context of {} holds {context}, the answer among them",
                self.name
            );
            return Err(ApiError::field(param, what).code("context_length_exceeded"));
        }
        let room = (context - prompt) as u32;
        Ok(wanted.map_or(room, |n| n.min(room)))
    }
    /// A job of this model's.
    pub(super) fn job(
        request: Request,
        index: usize,
        permit: OwnedSemaphorePermit,
        turn: &Turn,
        to: &mpsc::Sender<(usize, Out)>,
    ) -> Job {
        Job { request, index, client: turn.client, to: to.clone(), deadline: turn.deadline, asked: turn.asked, permit }
    }
}

/// Whose request it is, and until when it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) client: u64,
    pub(super) asked: Instant,
    pub(super) deadline: Instant,
}

fn start(name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(name.chars().take(15).collect()).spawn(run);
    started.map(drop).map_err(|e| Fault::source(format!("the {name} does not start: {e}")))
}

/// Drives futures that stay on this thread.
fn within<T>(future: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map_err(|e| tracing::error!("a thread's runtime does not start: {e}")).ok().map(|r| r.block_on(future))
}

/// Loads a model for what it gives.
async fn load(settings: &Settings, path: PathBuf, most: usize) -> Result<(u32, Jobs, Loaded)> {
    let inspection = Rc::new(Inspection::open((settings.open)(&path, Need::Run)?).await?);
    let run = RunSettings {
        context: settings.context,
        sequences: settings.sequences,
        outputs: settings.sequences,
        rows: settings.chunk.max(settings.sequences),
        cache: settings.cache,
        disabled_passes: settings.disabled_passes.clone(),
        ..RunSettings::default()
    };
    let (device, gpu) = (settings.device.clone(), settings.gpu.clone());
    let kind = gives(&inspection).await?;
    if kind == Gives::Tokens {
        let generation = Generation::load(inspection, device, gpu, &run, &mut |_| {}).await?;
        tracing::info!(device = generation.device().reason, bytes = generation.memory(), "on its device");
        let mut batch = Batch::new(generation)?;
        batch.show(&SHOWN);
        let (jobs, from) = mpsc::channel(most);
        return Ok((batch.context(), Jobs::Tokens(jobs), Loaded::Batch(Box::new(batch), from)));
    }
    // Texts share steps of an encoder, and none carries a result of its own.
    let run = RunSettings { context: run.context, sequences: run.sequences, ..RunSettings::default() };
    let encoder = match kind {
        Gives::Ranks => Encoder::Ranks(Classifier::load(inspection, device, gpu, &run, &mut |_| {}).await?),
        _ => {
            let options = EmbedOptions::default();
            Encoder::Vectors(Embedder::load(inspection, device, gpu, &run, options, &mut |_| {}).await?)
        }
    };
    let (jobs, from) = mpsc::channel(most);
    Ok((encoder.most(), Jobs::Encoder(jobs), Loaded::Encoder(Box::new(encoder), from)))
}

type Texts = (Result<Rc<crate::session::Vocabulary>>, Result<Chat>);

fn texts(open: OpenFiles, path: &std::path::Path) -> Result<Texts> {
    let files = open(path, Need::Run)?;
    let is_folder = path.is_dir();
    within(async {
        let inspection = Inspection::open(files).await?;
        // What is asked for at an address differs by need; a folder was opened whole.
        let chat = match is_folder {
            true => Chat::of(&inspection).await,
            false => match open(path, Need::Chat) {
                Ok(files) => Chat::open(files).await,
                Err(fault) => Err(fault),
            },
        };
        Ok((inspection.vocabulary().await, chat))
    })
    .unwrap_or_else(|| Err(Fault::bug("the thread that writes prompts did not start")))
}
