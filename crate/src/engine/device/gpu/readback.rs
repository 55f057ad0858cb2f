//! Bytes back from the GPU: a signal that a mapping is done, and the buffers that are mapped.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::fault::{Fault, Result};

use super::host;

/// Set once by a callback, awaited or polled by the host.
#[derive(Clone, Default)]
pub(super) struct Signal(Arc<Mutex<SignalState>>);

#[derive(Default)]
struct SignalState {
    result: Option<Result<()>>,
    waker: Option<Waker>,
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, SignalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn set(&self, result: Result<()>) {
        let mut state = self.state();
        state.result = Some(result);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
    pub(super) fn result(&self) -> Option<Result<()>> {
        self.state().result.clone()
    }
}

impl Future for Signal {
    type Output = Result<()>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state();
        match &state.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A buffer the GPU copies into and the host maps.
pub(super) struct Staging {
    buffer: wgpu::Buffer,
    signal: Signal,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Staging {
    pub(super) fn new(device: &wgpu::Device, bytes: u64) -> Self {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size: bytes.max(4).next_multiple_of(4),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        Self { buffer, signal: Signal::default(), submission: None }
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Asks for the mapping; call after the submit that fills the buffer.
    pub(super) fn map(&mut self, submission: wgpu::SubmissionIndex) {
        let signal = Signal::default();
        self.signal = signal.clone();
        self.submission = Some(submission);
        self.buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            signal.set(result.map_err(|e| Fault::device(format!("a GPU buffer could not be read: {e}"))));
        });
    }

    /// The first `words` words, after waiting for the mapping; unmaps.
    pub(super) async fn words(&self, device: &wgpu::Device, words: usize) -> Result<Vec<u32>> {
        host::wait(device, &self.signal, self.submission.as_ref()).await?;
        let view = self
            .buffer
            .get_mapped_range(..words as u64 * 4)
            .map_err(|e| Fault::device(format!("a GPU buffer could not be read: {e}")))?;
        let mut out = vec![0_u32; words];
        bytemuck::cast_slice_mut(&mut out).copy_from_slice(&view);
        drop(view);
        self.buffer.unmap();
        Ok(out)
    }
}
