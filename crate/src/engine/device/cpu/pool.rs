//! Threads that share the rows of one kernel after the other.
//!
//! Between kernels a worker watches for work for some microseconds, then sleeps, so an idle
//! device costs nothing. The caller works too and never waits for a worker that has not begun.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

/// Looks at the counter before a worker sleeps: about 50 microseconds on current processors.
const LOOKS: u32 = 1500;

/// A piece of work: gets the task's number and the worker's.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

struct Job {
    /// Valid while the job is open or somebody is inside.
    work: *const Work<'static>,
    tasks: usize,
}

// SAFETY: the pointer is used only between `Shared::enter` and the matching leave, for which `Pool::run` waits.
unsafe impl Send for Job {}

#[derive(Default)]
struct Shared {
    job: Mutex<Option<Job>>,
    wake: Condvar,
    /// Counts jobs; watched without the lock.
    epoch: AtomicU64,
    next: AtomicUsize,
    inside: AtomicUsize,
    stop: AtomicBool,
}

/// Worker threads, parked while there is nothing to do.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

fn lock(job: &Mutex<Option<Job>>) -> MutexGuard<'_, Option<Job>> {
    job.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads` in all, the caller's included; fewer where the system gives fewer.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let spawn = |id| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("glassbox-{id}")).spawn(move || shared.serve(id)).ok()
        };
        let workers = (1..threads).map_while(spawn).collect();
        Self { shared, workers }
    }

    /// Threads, the caller's included.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(task, worker)` for every task, each once, on any thread; returns when all are done.
    pub(super) fn run(&self, tasks: usize, work: &Work<'_>) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(|task| work(task, 0));
            return;
        }
        let s = &self.shared;
        // SAFETY: only the lifetime is widened; the job is closed and left by all before this function returns.
        let work_ptr = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        s.next.store(0, Ordering::Relaxed);
        *lock(&s.job) = Some(Job { work: work_ptr, tasks });
        s.epoch.fetch_add(1, Ordering::Release);
        s.wake.notify_all();
        // Closed also when a task panics here, so that no worker keeps a dangling job.
        let close = Close(s);
        s.take_tasks(work, tasks, 0);
        drop(close);
    }
}

/// Closes the open job and waits until every worker has left it.
struct Close<'a>(&'a Shared);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        *lock(&self.0.job) = None;
        let mut looks = 0u32;
        while self.0.inside.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < LOOKS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Leaves the job, also by a panic.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Shared {
    fn take_tasks(&self, work: &Work<'_>, tasks: usize, worker: usize) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(task, worker);
        }
    }

    fn serve(&self, worker: usize) {
        let mut seen = 0;
        while !self.stop.load(Ordering::Acquire) {
            let mut looks = 0;
            while looks < LOOKS && self.epoch.load(Ordering::Acquire) == seen {
                std::hint::spin_loop();
                looks += 1;
            }
            let mut job = lock(&self.job);
            while self.epoch.load(Ordering::Acquire) == seen && !self.stop.load(Ordering::Acquire) {
                job = self.wake.wait(job).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.epoch.load(Ordering::Acquire);
            let Some(Job { work, tasks }) = &*job else { continue };
            let (work, tasks) = (*work, *tasks);
            // Entered under the lock: a job is closed under it, then waits for those inside.
            self.inside.fetch_add(1, Ordering::Acquire);
            drop(job);
            let leave = Leave(&self.inside);
            // SAFETY: `run` waits until this worker has left.
            self.take_tasks(unsafe { &*work }, tasks, worker);
            drop(leave);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let job = lock(&self.shared.job);
        self.shared.stop.store(true, Ordering::Release);
        drop(job);
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has already said so.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_however_many_threads_there_are() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for tasks in [0, 1, 2, 3, 100] {
                let done: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|task, worker| {
                    assert!(worker < threads);
                    done[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1), "{threads} threads, {tasks} tasks");
            }
        }
    }

    #[test]
    fn thousands_of_jobs_in_a_row_lose_none() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        for _ in 0..5000 {
            pool.run(7, &|task, _| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 5000 * 21);
    }
}
