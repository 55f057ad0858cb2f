//! The thread that runs a model: takes requests in their turn, steps all that run, drops those whose clients are gone.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{error::ApiError, queue::Queue};
use crate::{
    fault::Result,
    session::{Batch, BatchEvent, Ended, Request, Ticket, Token},
};

/// A request for one answer.
pub(super) struct Job {
    pub(super) request: Request,
    /// Which of the answers to its client's request it is.
    pub(super) index: usize,
    /// Whose turn it is.
    pub(super) client: u64,
    pub(super) to: mpsc::Sender<(usize, Out)>,
    pub(super) deadline: Instant,
    pub(super) asked: Instant,
    /// Its place among those that run or wait.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What comes of a job.
#[derive(Debug)]
pub(super) enum Out {
    Token(Token),
    End(Ended),
    Fail(ApiError),
}

/// What a model's thread tells of itself.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) running: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) prompt_tokens: AtomicU64,
    pub(super) kept_tokens: AtomicU64,
    pub(super) tokens: AtomicU64,
    pub(super) abandoned: AtomicU64,
    pub(super) reloads: AtomicU64,
    /// All that runs ends now.
    pub(super) abort: AtomicBool,
    /// Nothing that waits begins any more.
    pub(super) drain: AtomicBool,
}

/// Runs until no one can send requests any more.
pub(super) async fn run(mut batch: Batch, mut jobs: mpsc::Receiver<Job>, figures: Arc<Figures>) {
    let mut queue: Queue<Job> = Queue::default();
    let mut running: HashMap<Ticket, Job> = HashMap::new();
    let mut waiting = 0;
    let push = |queue: &mut Queue<Job>, job: Job| queue.push(job.client, job);
    loop {
        if running.is_empty() && queue.is_empty() {
            figures.running.store(0, Relaxed);
            figures.waiting.store(0, Relaxed);
            match jobs.recv().await {
                Some(job) => {
                    push(&mut queue, job);
                    waiting = 1;
                }
                None => return,
            }
        }
        while let Ok(job) = jobs.try_recv() {
            push(&mut queue, job);
            waiting += 1;
        }
        leave(&mut batch, &mut running, &figures);
        waiting -= join(&mut batch, &mut queue, &mut running, &figures);
        figures.running.store(running.len() as u64, Relaxed);
        figures.waiting.store(waiting, Relaxed);
        if let Err(fault) = step(&mut batch, &mut running, &figures).await {
            let error = ApiError::from(fault);
            for (_, job) in running.drain() {
                let _ = job.to.try_send((job.index, Out::Fail(error.clone())));
            }
        }
    }
}

/// Why a job goes no further, if so; `None` as an error: its client is gone.
fn ended(job: &Job, figures: &Figures, has_begun: bool) -> Option<Option<ApiError>> {
    if job.to.is_closed() {
        figures.abandoned.fetch_add(1, Relaxed);
        return Some(None);
    }
    if figures.abort.load(Relaxed) || !has_begun && figures.drain.load(Relaxed) {
        return Some(Some(ApiError::stopping()));
    }
    let is_late = Instant::now() >= job.deadline;
    let seconds = job.deadline.duration_since(job.asked).as_secs();
    is_late.then(|| Some(ApiError::late(format!("the request took more than {seconds} seconds"))))
}

fn leave(batch: &mut Batch, running: &mut HashMap<Ticket, Job>, figures: &Figures) {
    running.retain(|ticket, job| match ended(job, figures, true) {
        None => true,
        Some(error) => {
            batch.leave(*ticket);
            if let Some(error) = error {
                let _ = job.to.try_send((job.index, Out::Fail(error)));
            }
            false
        }
    });
}

/// Takes in what there is room for; how many no longer wait.
fn join(batch: &mut Batch, queue: &mut Queue<Job>, running: &mut HashMap<Ticket, Job>, figures: &Figures) -> u64 {
    let mut taken = 0;
    while let Some(job) = queue.peek() {
        let joined = match ended(job, figures, false) {
            Some(error) => Err(error),
            None => batch.join(&job.request).map_err(|fault| Some(ApiError::from(fault))),
        };
        if matches!(joined, Ok(None)) {
            break;
        }
        let Some(job) = queue.pop() else { break };
        taken += 1;
        match joined {
            Ok(Some(ticket)) => {
                running.insert(ticket, job);
            }
            Ok(None) | Err(None) => {}
            Err(Some(error)) => {
                let _ = job.to.try_send((job.index, Out::Fail(error)));
            }
        }
    }
    taken
}

async fn step(batch: &mut Batch, running: &mut HashMap<Ticket, Job>, figures: &Figures) -> Result<()> {
    let stepped = batch
        .step(&mut |ticket, event| match event {
            BatchEvent::Token(token) => {
                figures.tokens.fetch_add(1, Relaxed);
                // The channel has room for the longest answer; a client that is gone is found out in the next round.
                if let Some(job) = running.get(&ticket) {
                    let _ = job.to.try_send((job.index, Out::Token(token)));
                }
            }
            BatchEvent::End(end) => {
                figures.prompt_tokens.fetch_add(u64::from(end.prompt_tokens - end.kept_tokens), Relaxed);
                figures.kept_tokens.fetch_add(u64::from(end.kept_tokens), Relaxed);
                if let Some(job) = running.remove(&ticket) {
                    let _ = job.to.try_send((job.index, Out::End(end)));
                    drop(job.permit);
                }
            }
        })
        .await;
    figures.steps.fetch_add(1, Relaxed);
    figures.reloads.store(u64::from(batch.reloads()), Relaxed);
    stepped
}
