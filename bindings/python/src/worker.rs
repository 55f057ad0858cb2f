//! A model and the thread that owns it: the library's objects stay on one thread, Python's callers come from any.

use std::{
    path::PathBuf,
    rc::Rc,
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use glassbox::{
    fault::Fault,
    session::{Chat, Embedder, Generation, Inspection, Need, local},
};
use pyo3::prelude::*;

use crate::fault::raised;

/// How often a waiting call looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(100);

/// What the thread owns.
pub(crate) struct State {
    pub(crate) inspection: Rc<Inspection>,
    pub(crate) generation: Option<Generation>,
    pub(crate) embedder: Option<Embedder>,
    chat: Option<Rc<Chat>>,
}

impl State {
    /// The chat templates, opened when they are first needed.
    pub(crate) fn chat(&mut self) -> Result<Rc<Chat>, Fault> {
        if let Some(chat) = &self.chat {
            return Ok(Rc::clone(chat));
        }
        let chat = Rc::new(pollster::block_on(Chat::of(&self.inspection))?);
        self.chat = Some(Rc::clone(&chat));
        Ok(chat)
    }
}

type Job = Box<dyn FnOnce(&mut State) + Send>;

/// The way to the thread; dropping it ends the thread once its work is done.
pub(crate) struct Worker {
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Worker {
    /// Opens a model on a thread of its own.
    pub(crate) fn open(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<Self> {
        let (jobs, work) = mpsc::channel::<Job>();
        let (tell, opened) = mpsc::channel();
        std::thread::Builder::new().name("glassbox".into()).spawn(move || {
            let inspection = match pollster::block_on(local::open_paths(&paths, Need::Run)) {
                Ok(inspection) => Rc::new(inspection),
                Err(fault) => return drop(tell.send(Err(fault))),
            };
            if tell.send(Ok(())).is_err() {
                return;
            }
            let mut state = State { inspection, generation: None, embedder: None, chat: None };
            while let Ok(job) = work.recv() {
                job(&mut state);
            }
        })?;
        wait(py, opened)?;
        Ok(Self { jobs: Mutex::new(Some(jobs)) })
    }
    /// Does work on the thread and waits for its end, without holding the interpreter.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State) -> Result<T, Fault> + Send + 'static,
    ) -> PyResult<T> {
        let (tell, told) = mpsc::channel();
        // Nobody may wait any more: an interrupted call.
        self.send(Box::new(move |state| drop(tell.send(work(state)))))?;
        wait(py, told)
    }
    /// Hands work to the thread and waits for nothing.
    pub(crate) fn send(&self, job: Job) -> PyResult<()> {
        let jobs = self.jobs.lock().map_err(|_| ended())?;
        let jobs = jobs.as_ref().ok_or_else(|| raised(&Fault::caller("the model is closed")))?;
        jobs.send(job).map_err(|_| ended())
    }
    /// Ends the thread once its work is done; what it held is freed there.
    pub(crate) fn close(&self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            jobs.take();
        }
    }
}

/// Waits for an answer; Ctrl-C ends the waiting.
pub(crate) fn wait<T: Send>(py: Python<'_>, mut from: Receiver<Result<T, Fault>>) -> PyResult<T> {
    loop {
        let (back, answer) = py.detach(move || {
            let answer = from.recv_timeout(SIGNALS);
            (from, answer)
        });
        from = back;
        match answer {
            Ok(answer) => return answer.map_err(|fault| raised(&fault)),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => return Err(ended()),
        }
    }
}

pub(crate) fn ended() -> PyErr {
    raised(&Fault::bug("the model's thread has ended by a panic; open the model again"))
}
