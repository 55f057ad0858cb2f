//! Ctrl-C: it stops an answer; where there is none, or it is pressed again before the answer could stop, it ends the program.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::fault::{Fault, Result};

const IDLE: u8 = 0;
const ANSWERING: u8 = 1;
const STOPPING: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(IDLE);

/// The exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C is ours.
///
/// # Errors
/// The system refuses.
pub(super) fn install() -> Result<()> {
    let pressed = || {
        if STATE.compare_exchange(ANSWERING, STOPPING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(pressed).map_err(|e| Fault::source(format!("Ctrl-C cannot be listened for: {e}")))
}

/// While it lives, Ctrl-C stops an answer.
pub(super) struct Answering(());

impl Answering {
    pub(super) fn begin() -> Self {
        STATE.store(ANSWERING, Ordering::SeqCst);
        Self(())
    }
    /// Whether Ctrl-C was pressed.
    pub(super) fn is_stopped(&self) -> bool {
        STATE.load(Ordering::SeqCst) == STOPPING
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        STATE.store(IDLE, Ordering::SeqCst);
    }
}
