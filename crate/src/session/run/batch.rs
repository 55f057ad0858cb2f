//! Continuous batching: requests join and leave a loaded model at every step.
//!
//! Each step holds a row of every sequence that decodes and, in the room that is left, pieces of the prompts that are still being
//! read, the oldest first. A prompt that begins as another sequence does sees that one's pages instead of reading them again, where the
//! model's states allow it; one that begins as a prompt still being read waits for that.

use std::rc::Rc;

use super::{
    generation::{Generation, StopReason, sequence},
    options::GenerationOptions,
    pages::Pages,
    runner::{Choice, Runner},
    scheduler::{self, Ahead, check_prompt},
    sequence::{Finish, Sequence},
    stop::StopSet,
    stop_text::Withheld,
};
use crate::{
    engine::program::{PAGE_ROWS, sampling},
    fault::{Blame, Fault, LocalFuture, Result},
    tokenizer::{TextStream, Vocabulary},
};

/// Names a request for as long as its batch exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What is asked of a batch.
#[derive(Debug, Clone)]
pub struct Request {
    /// Ids of the prompt.
    pub prompt: Vec<u32>,
    /// How to go on from it; `alternatives` and `keep_logits` count for nothing here.
    pub options: GenerationOptions,
    /// How many of the likeliest tokens are told at each step, up to 20; with any, the chosen token's probability is told too.
    pub alternatives: u32,
}

/// A token that was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Text that became certain with it.
    pub text: String,
    /// Its own bytes, where alternatives are told.
    pub bytes: Vec<u8>,
    /// Its probability by the model, before temperature and filters, where alternatives are told.
    pub probability: Option<f32>,
    /// The likeliest tokens with their bytes and probabilities, likeliest first.
    pub alternatives: Vec<(u32, Vec<u8>, f32)>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub stop: StopReason,
    /// Text that was held back until now.
    pub text: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// How many of them had been read before.
    pub kept_tokens: u32,
    /// Tokens generated, without an end token.
    pub tokens: u32,
}

/// What a step brings to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchEvent {
    /// A token.
    Token(Token),
    /// Its end; nothing follows.
    End(Ended),
}

/// A loaded model and the requests on it.
pub struct Batch {
    runner: Runner,
    vocabulary: Option<Rc<Vocabulary>>,
    stop: StopSet,
    /// Control tokens whose text is told all the same.
    shown: Vec<(u32, String)>,
    /// One for each of the program's sequences; those that have ended are what their states still hold.
    sequences: Vec<Sequence>,
    seats: Vec<Seat>,
    pages: Option<Pages>,
    ahead: Ahead,
    /// The next ticket.
    next: u64,
    /// Devices that were lost and opened again.
    reloads: u32,
}

/// The request of a sequence.
#[derive(Default)]
struct Seat {
    ticket: Option<Ticket>,
    options: GenerationOptions,
    stream: TextStream,
    withheld: Withheld,
    /// What the sequence's pages held before this request began.
    before: Vec<u32>,
    /// When it was last taken.
    taken: u64,
}

impl Batch {
    /// Over a loaded model; requests run at once are the sequences that it was loaded for.
    ///
    /// # Errors
    /// It counts tokens on the device ([`super::RunSettings::penalties`]): here the host does; the device fails.
    pub fn new(generation: Generation) -> Result<Self> {
        let (mut runner, vocabulary, stop) = generation.into_parts();
        if runner.program().counts.is_some() {
            return Err(Fault::caller("a batch counts tokens by itself: load the model without counts on the device"));
        }
        runner.own_pages()?;
        runner.discard_chosen();
        let layout = runner.program().layout;
        let vacant = |slot| Sequence {
            finish: Some(Finish::Stopped),
            ..sequence(slot, Vec::new(), &GenerationOptions::default())
        };
        let pages = runner.shareable_pages().map(|pages| Pages::new(layout.sequences, pages));
        Ok(Self {
            runner,
            vocabulary,
            stop,
            shown: Vec::new(),
            sequences: (0..layout.sequences).map(vacant).collect(),
            seats: (0..layout.sequences).map(|_| Seat::default()).collect(),
            pages,
            ahead: Ahead::default(),
            next: 0,
            reloads: 0,
        })
    }
    /// Control tokens of these texts are told as text, where the tokenizer has them: they begin calls of tools.
    pub fn show(&mut self, texts: &[&str]) {
        let Some(vocabulary) = &self.vocabulary else { return };
        let known = texts.iter().filter_map(|text| Some((vocabulary.id_of(text)?, (*text).to_owned())));
        // Other tokens are text already.
        self.shown = known.filter(|(id, _)| TextStream::default().push(vocabulary, *id).is_empty()).collect();
    }
    /// The longest sequence, prompt and answer together.
    pub fn context(&self) -> u32 {
        self.runner.program().context
    }
    /// How many requests can run at once.
    pub fn sequences(&self) -> u32 {
        self.runner.program().layout.sequences
    }
    /// Requests that run.
    pub fn running(&self) -> usize {
        self.seats.iter().filter(|seat| seat.ticket.is_some()).count()
    }
    /// How often the device was lost and opened again.
    pub fn reloads(&self) -> u32 {
        self.reloads
    }
    /// Refuses what could never join.
    ///
    /// # Errors
    /// An option is out of range; the prompt is empty, too long, or has an unknown token.
    pub fn check(&self, request: &Request) -> Result<()> {
        request.options.check(self.runner.program().vocab)?;
        if request.alternatives > sampling::MAX_ALTERNATIVES {
            let what =
                format!("{} alternatives; at most {} are told", request.alternatives, sampling::MAX_ALTERNATIVES);
            return Err(Fault::caller(what));
        }
        check_prompt(&self.runner, &request.prompt)
    }

    /// Takes a request in; `None` where it must wait: all sequences are taken, or they turn by other rotary angles than its length asks
    /// for.
    ///
    /// # Errors
    /// As [`Self::check`]; the device fails.
    pub fn join(&mut self, request: &Request) -> Result<Option<Ticket>> {
        self.check(request)?;
        let length = request.prompt.len() as u32;
        let same_angles = self.runner.has_length(length);
        if !same_angles && self.running() > 0 {
            return Ok(None);
        }
        let Some(slot) = self.vacant(&request.prompt) else { return Ok(None) };
        if !same_angles {
            self.forget();
        }
        self.runner.set_length(length)?;
        let before = self.known(slot).to_vec();
        let ticket = Ticket(self.next);
        self.next += 1;
        self.sequences[slot] = Sequence {
            arrival: ticket.0,
            waits: true,
            alternatives: request.alternatives,
            keep_logits: false,
            ..sequence(slot as u32, request.prompt.clone(), &request.options)
        };
        let s = &self.sequences[slot];
        self.runner.set_sampling(s.slot, &s.sampling, s.told(), &s.history)?;
        let options = request.options.clone();
        self.seats[slot] = Seat { ticket: Some(ticket), options, before, taken: ticket.0, ..Seat::default() };
        Ok(Some(ticket))
    }

    /// Ends a request that no one waits for any more; nothing is told of it from now on.
    pub fn leave(&mut self, ticket: Ticket) {
        if let Some(slot) = self.seats.iter().position(|seat| seat.ticket == Some(ticket)) {
            self.seats[slot].ticket = None;
            self.end(slot);
            self.ahead.compose_anew();
        }
    }

    fn end(&mut self, slot: usize) {
        let before = std::mem::take(&mut self.seats[slot].before);
        let s = &mut self.sequences[slot];
        if s.waits {
            // Nothing of it was read: its pages hold what they held.
            (s.read, s.prompt_len, s.history, s.waits) = (before.len(), 0, before, false);
        }
        s.finish.get_or_insert(Finish::Stopped);
    }

    /// Takes one step with all requests, and tells what it brought. Does nothing without requests.
    ///
    /// # Errors
    /// The device fails again after it was opened anew, or logits are not finite: all requests have ended, and none was told so.
    pub async fn step(&mut self, on_event: &mut dyn FnMut(Ticket, BatchEvent)) -> Result<()> {
        let mut stepped = self.attempt(on_event).await;
        if let Err(fault) = &stepped
            && fault.blame == Blame::Device
        {
            self.reloads += 1;
            stepped = match self.reload().await {
                Ok(()) => self.attempt(on_event).await,
                Err(again) => Err(again),
            };
        }
        if stepped.is_err() {
            for slot in 0..self.seats.len() {
                self.seats[slot].ticket = None;
                self.end(slot);
            }
            self.forget();
            self.runner.discard_chosen();
            self.ahead = Ahead::default();
        }
        stepped
    }

    async fn attempt(&mut self, on_event: &mut dyn FnMut(Ticket, BatchEvent)) -> Result<()> {
        self.begin()?;
        let Self { runner, vocabulary, stop, shown, sequences, seats, ahead, .. } = self;
        let (vocabulary, stop, shown) = (vocabulary.as_deref(), &*stop, shown.as_slice());
        let mut on_chosen = |i: usize, s: &mut Sequence, choice: Choice| -> LocalFuture<'static, Option<Finish>> {
            let finish = seats[i].take(s, choice, (vocabulary, stop, shown), on_event);
            Box::pin(async move { finish })
        };
        scheduler::step(runner, sequences, ahead, &mut on_chosen).await?;
        for (s, seat) in self.sequences.iter().zip(&mut self.seats) {
            if s.finish.is_some()
                && let Some(ticket) = seat.ticket.take()
            {
                let (withheld, stream) = (std::mem::take(&mut seat.withheld), std::mem::take(&mut seat.stream));
                let ended = Ended {
                    stop: StopReason::of(s.finish),
                    text: withheld.finish(s.finish == Some(Finish::StopText), stream.finish()),
                    prompt_tokens: s.prompt_len as u32,
                    kept_tokens: s.kept as u32,
                    tokens: s.produced() as u32,
                };
                on_event(ticket, BatchEvent::End(ended));
            }
        }
        Ok(())
    }

    /// A fresh device; what was read is read again.
    async fn reload(&mut self) -> Result<()> {
        self.runner.reload().await?;
        self.ahead = Ahead::default();
        let layout = self.runner.program().layout;
        self.pages = self.pages.as_ref().map(|_| Pages::new(layout.sequences, layout.pages));
        self.forget();
        let longest = self.sequences.iter().map(|s| s.history.len() as u32).max().unwrap_or(1).max(1);
        self.runner.set_length(longest)?;
        for (s, seat) in self.sequences.iter_mut().zip(&mut self.seats) {
            if seat.ticket.is_some() {
                (s.read, s.kept, s.waits) = (0, 0, true);
                seat.before.clear();
                self.runner.set_sampling(s.slot, &s.sampling, s.told(), &s.history)?;
            }
        }
        Ok(())
    }

    /// From now on nothing that was read counts; only for times when no sequence runs, or all begin anew.
    fn forget(&mut self) {
        for (s, seat) in self.sequences.iter_mut().zip(&mut self.seats) {
            if seat.ticket.is_none() {
                (s.read, s.history, s.prompt_len) = (0, Vec::new(), 0);
            }
            seat.before.clear();
        }
    }

    /// The tokens whose states a sequence's pages hold.
    fn known(&self, slot: usize) -> &[u32] {
        let (s, seat) = (&self.sequences[slot], &self.seats[slot]);
        if s.waits { &seat.before } else { &s.history[..s.read.min(s.history.len())] }
    }

    /// The sequence that a prompt takes: one that remembers most of what it begins with, else the one taken longest ago.
    fn vacant(&self, prompt: &[u32]) -> Option<usize> {
        let free = |slot: &usize| self.sequences[*slot].finish.is_some() && !self.ahead.holds(*slot);
        let free: Vec<usize> = (0..self.sequences.len()).filter(free).collect();
        let goes_on = |slot: &&usize| {
            let known = self.known(**slot);
            let common = common(known, prompt);
            common > 0 && common * 2 >= known.len()
        };
        let best = free.iter().filter(goes_on).max_by_key(|slot| common(self.known(**slot), prompt));
        best.or_else(|| free.iter().min_by_key(|slot| self.seats[**slot].taken)).copied()
    }

    /// Requests that have not begun do so, unless what they begin with is being read.
    fn begin(&mut self) -> Result<()> {
        let mut waiting: Vec<usize> = (0..self.sequences.len()).filter(|i| self.sequences[*i].waits).collect();
        waiting.sort_by_key(|i| self.sequences[*i].arrival);
        for slot in waiting {
            let prompt = &self.sequences[slot].history;
            // The last token is read for its logits.
            let most = prompt.len() - 1;
            let own = common(&self.seats[slot].before, prompt).min(most) as u32;
            let own = self.runner.reusable(slot as u32, self.seats[slot].before.len() as u32, own) as usize;
            let shared = |other: usize, tokens: &[u32]| {
                let rows = common(tokens, prompt).min(most) / PAGE_ROWS as usize * PAGE_ROWS as usize;
                if other == slot || self.pages.is_none() { 0 } else { rows }
            };
            let others = 0..self.sequences.len();
            let now = others.clone().map(|i| (shared(i, self.known(i)), i)).max().unwrap_or((0, slot));
            let is_before = |i: &usize| {
                let other = &self.sequences[*i];
                other.finish.is_none()
                    && other.arrival < self.sequences[slot].arrival
                    && other.read < other.history.len()
            };
            let soon = others.filter(is_before).map(|i| shared(i, &self.sequences[i].history)).max().unwrap_or(0);
            if soon > own.max(now.0) {
                continue;
            }
            let kept = match &mut self.pages {
                Some(pages) if now.0 > own => {
                    pages.share(slot, now.1, now.0);
                    now.0
                }
                Some(pages) => pages.keep(slot, own),
                None => own,
            };
            if let Some(pages) = &self.pages {
                self.runner.set_pages(slot as u32, pages.of(slot))?;
            }
            let s = &mut self.sequences[slot];
            (s.read, s.kept, s.waits) = (kept, kept, false);
            self.seats[slot].before = Vec::new();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }
}

impl Seat {
    /// Tells of a token that was chosen; why its sequence ends with it, if it does.
    fn take(
        &mut self,
        s: &Sequence,
        choice: Choice,
        (vocabulary, stop, shown): (Option<&Vocabulary>, &StopSet, &[(u32, String)]),
        on_event: &mut dyn FnMut(Ticket, BatchEvent),
    ) -> Option<Finish> {
        let Some(ticket) = self.ticket else { return Some(Finish::Stopped) };
        if !self.options.ignore_end && stop.contains(choice.id) {
            return Some(Finish::EndToken);
        }
        let mut new = vocabulary.map(|v| self.stream.push(v, choice.id)).unwrap_or_default();
        if let Some((_, text)) = shown.iter().find(|(id, _)| *id == choice.id) {
            new.push_str(text);
        }
        let (text, has_stopped) = self.withheld.push(&self.options.stop, new);
        let told = s.told() > 0;
        let bytes = |id: u32| vocabulary.filter(|_| told).map(|v| v.token_bytes(id)).unwrap_or_default();
        let token = Token {
            id: choice.id,
            text,
            bytes: bytes(choice.id),
            probability: choice.probability.filter(|_| told),
            alternatives: choice.alternatives.into_iter().map(|(id, p)| (id, bytes(id), p)).collect(),
        };
        on_event(ticket, BatchEvent::Token(token));
        has_stopped.then_some(Finish::StopText)
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
