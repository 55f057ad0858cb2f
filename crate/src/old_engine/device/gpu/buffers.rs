//! A program's slots as GPU buffers: one buffer a slot, so that wgpu's hazard tracking (per whole buffer) sees
//! weights as read-only and activations apart from each other.

use std::collections::BTreeSet;

use crate::{
    old_engine::{
        kernel::state,
        plan::{Program, Slot, SlotKind},
        shader,
    },
    fault::{Fault, LocalFuture, Result},
    tensor::Encoding,
};

use super::pack;

/// How a weight's rows lie in its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// Encoding in the file.
    pub(super) from: Encoding,
    /// Encoding in the buffer.
    pub(super) resident: Encoding,
    /// Packed for `#import block` kernels; else plain f32 values.
    pub(super) packed: bool,
    pub(super) rows: u32,
    pub(super) row_len: u32,
    /// Words of a row in the buffer.
    pub(super) row_words: usize,
}

/// One slot's buffer.
pub(super) struct SlotBuffer {
    pub(super) buffer: wgpu::Buffer,
    /// Words (values, ids) it holds; what bindings cover.
    pub(super) words: u64,
    /// For weights.
    pub(super) rows: Option<Rows>,
}

impl SlotBuffer {
    pub(super) fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 0,
            size: std::num::NonZeroU64::new(self.words * 4),
        })
    }
}

/// Creates a buffer for every slot, each inside an out-of-memory scope.
pub(super) async fn create(device: &wgpu::Device, program: &Program) -> Result<Vec<SlotBuffer>> {
    let packed = packed_slots(program);
    let limits = device.limits();
    let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let mut buffers = Vec::with_capacity(program.slots.len());
    let mut outcomes: Vec<LocalFuture<'static, Option<wgpu::Error>>> = Vec::new();
    let mut total = 0;
    for (i, spec) in program.slots.iter().enumerate() {
        let slot = Slot(u32::try_from(i).map_err(|_| Fault::bug("more than 32 bits of slots"))?);
        let (words, rows) = words(&spec.kind, packed.contains(&slot))?;
        let bytes = words.saturating_mul(4);
        if bytes > limit {
            return Err(Fault::limit(format!(
                "\"{}\" needs a GPU buffer of {bytes} bytes; this adapter binds at most {limit}",
                spec.name
            )));
        }
        let scope = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let read_only = matches!(spec.kind, SlotKind::Weight { .. } | SlotKind::Constant { .. });
        let copy = if read_only { wgpu::BufferUsages::empty() } else { wgpu::BufferUsages::COPY_SRC };
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&spec.name),
            size: bytes.max(16).next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | copy,
            mapped_at_creation: false,
        });
        outcomes.push(Box::pin(scope.pop()));
        total += bytes;
        buffers.push(SlotBuffer { buffer, words, rows });
    }
    for (outcome, spec) in outcomes.into_iter().zip(&program.slots) {
        if outcome.await.is_some() {
            return Err(Fault::device(format!(
                "the GPU is out of memory at \"{}\": the model needs {total} bytes in all; a shorter context or a smaller \
                 quantisation needs less",
                spec.name
            )));
        }
    }
    Ok(buffers)
}

/// The weight slots that kernels with block variants read.
fn packed_slots(program: &Program) -> BTreeSet<Slot> {
    plans(program)
        .flat_map(|plan| &plan.steps)
        .filter(|step| shader::has_block(step.kernel))
        .flat_map(|step| step.bind.iter().copied())
        .filter(|slot| {
            program.slots.get(slot.0 as usize).is_some_and(|spec| matches!(spec.kind, SlotKind::Weight { .. }))
        })
        .collect()
}

/// The five plans of a program.
pub(super) fn plans(program: &Program) -> impl Iterator<Item = &crate::old_engine::plan::Plan> {
    [&program.decode, &program.decode_logits, &program.prefill, &program.prefill_pick, &program.prefill_logits]
        .into_iter()
}

fn words(kind: &SlotKind, packed: bool) -> Result<(u64, Option<Rows>)> {
    let words = match *kind {
        SlotKind::Weight { encoding, rows, row_len } => {
            let rows = weight_rows(encoding, rows, row_len, packed)?;
            return Ok((u64::from(rows.rows) * rows.row_words as u64, Some(rows)));
        }
        SlotKind::Constant { len } | SlotKind::Activation { len } | SlotKind::Cache { len } => len,
        SlotKind::State => state::WORDS as u32,
        SlotKind::Tokens { len } | SlotKind::Ring { len } => len,
    };
    Ok((u64::from(words), None))
}

fn weight_rows(encoding: Encoding, rows: u32, row_len: u32, packed: bool) -> Result<Rows> {
    let resident = pack::resident(encoding)
        .ok_or_else(|| Fault::unsupported(format!("{encoding} weights can be looked at, but not run")))?;
    let row_words = if packed { pack::row_words(resident, row_len as usize)? } else { row_len as usize };
    Ok(Rows { from: encoding, resident, packed, rows, row_len, row_words })
}

impl Rows {
    /// Bytes of a row in the file.
    fn file_row_bytes(&self) -> Result<usize> {
        let k = u64::from(self.row_len);
        self.from
            .bytes(k, k)
            .and_then(|b| usize::try_from(b).ok())
            .filter(|&b| b > 0)
            .ok_or_else(|| Fault::caller(format!("rows of {k} values are not whole blocks of {}", self.from)))
    }

    /// Words for the buffer from whole rows in the file's bytes, and how many rows those are.
    pub(super) fn convert(&self, bytes: &[u8]) -> Result<(u32, Vec<u32>)> {
        let row = self.file_row_bytes()?;
        if bytes.len() % row != 0 {
            return Err(Fault::caller(format!("{} bytes are not whole rows of {row} bytes", bytes.len())));
        }
        let count = u32::try_from(bytes.len() / row).map_err(|_| Fault::caller("more than 32 bits of rows"))?;
        let k = self.row_len as usize;
        if self.packed && self.resident == self.from {
            return Ok((count, pack::pack_rows(self.from, k, bytes)?));
        }
        let values = self.decode(bytes, count as usize * k)?;
        let values: &[u8] = bytemuck::cast_slice(&values);
        if self.packed {
            return Ok((count, pack::pack_rows(Encoding::F32, k, values)?));
        }
        Ok((count, values.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    }

    fn decode(&self, bytes: &[u8], values: usize) -> Result<Vec<f32>> {
        let decode = self
            .from
            .spec()
            .and_then(|s| s.decode)
            .ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", self.from)))?;
        let mut out = vec![0.0; values];
        decode(bytes, &mut out);
        Ok(out)
    }
}
