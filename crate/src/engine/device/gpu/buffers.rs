//! A program's buffers on the GPU, one each, so that wgpu's hazard tracking (per whole buffer) sees weights as read-only
//! and activations apart from each other.

use crate::{
    engine::{
        program::{BufferKind, BufferSpec, Program},
        shader::blocks::{self, Block},
    },
    fault::{Fault, LocalFuture, Result},
    tensor::Encoding,
};

/// How a weight's rows lie in its buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// Encoding as uploaded.
    from: Encoding,
    /// The encoding in the buffer.
    resident: &'static Block,
    pub(super) rows: u32,
    pub(super) row_len: u32,
    /// Words of a row in the buffer.
    pub(super) row_words: usize,
}

/// One buffer.
pub(super) struct Held {
    pub(super) buffer: wgpu::Buffer,
    /// Words that bindings cover.
    pub(super) words: u64,
    /// For weights.
    pub(super) rows: Option<Rows>,
    /// Uploaded as one row of f32.
    pub(super) is_vector: bool,
}

impl Held {
    pub(super) fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 0,
            size: std::num::NonZeroU64::new(self.words * 4),
        })
    }
}

/// Creates every buffer, each inside an out-of-memory scope.
pub(super) async fn create(device: &wgpu::Device, program: &Program) -> Result<Vec<Held>> {
    let limits = device.limits();
    let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let mut buffers = Vec::with_capacity(program.buffers.len());
    let mut outcomes: Vec<LocalFuture<'static, Option<wgpu::Error>>> = Vec::new();
    let mut total = 0;
    for spec in &program.buffers {
        let rows = rows(&spec.kind)?;
        let words = rows.map_or(spec.kind.words(), |r| u64::from(r.rows) * r.row_words as u64);
        let bytes = words.saturating_mul(4);
        if bytes > limit {
            return Err(Fault::limit(format!(
                "\"{}\" needs a GPU buffer of {bytes} bytes; this adapter binds at most {limit}",
                spec.name
            )));
        }
        let scope = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&spec.name),
            size: bytes.max(16).next_multiple_of(16),
            usage: usage(spec),
            mapped_at_creation: false,
        });
        outcomes.push(Box::pin(scope.pop()));
        total += bytes;
        let is_vector = matches!(spec.kind, BufferKind::Vector { .. });
        buffers.push(Held { buffer, words: words.max(4), rows, is_vector });
    }
    for (outcome, spec) in outcomes.into_iter().zip(&program.buffers) {
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

fn usage(spec: &BufferSpec) -> wgpu::BufferUsages {
    let copy = if spec.kind.is_written() { wgpu::BufferUsages::COPY_SRC } else { wgpu::BufferUsages::empty() };
    wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | copy
}

fn rows(kind: &BufferKind) -> Result<Option<Rows>> {
    let BufferKind::Weight { encoding, rows, row_len } = *kind else { return Ok(None) };
    let resident = blocks::resident(encoding)
        .ok_or_else(|| Fault::unsupported(format!("{encoding} weights can be looked at, but not run")))?;
    let row_words = resident.packing.row_words(resident.encoding, row_len as usize)?;
    Ok(Some(Rows { from: encoding, resident, rows, row_len, row_words }))
}

impl Rows {
    /// The encoding that kernels decode.
    pub(super) fn encoding(&self) -> Encoding {
        self.resident.encoding
    }

    /// Words for the buffer from whole rows as uploaded, and how many rows those are.
    pub(super) fn convert(&self, bytes: &[u8]) -> Result<(u32, Vec<u32>)> {
        let k = self.row_len as usize;
        let row = self
            .from
            .bytes(k as u64, k as u64)
            .and_then(|b| usize::try_from(b).ok())
            .filter(|&b| b > 0)
            .ok_or_else(|| Fault::caller(format!("rows of {k} values are not whole blocks of {}", self.from)))?;
        if bytes.len() % row != 0 {
            return Err(Fault::caller(format!("{} bytes are not whole rows of {row} bytes", bytes.len())));
        }
        let count = u32::try_from(bytes.len() / row).map_err(|_| Fault::caller("more than 32 bits of rows"))?;
        let resident = self.resident;
        if resident.encoding == self.from {
            return Ok((count, resident.packing.pack_rows(self.from, k, bytes)?));
        }
        let decode = self
            .from
            .spec()
            .and_then(|s| s.decode)
            .ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", self.from)))?;
        let mut values = vec![0.0f32; count as usize * k];
        decode(bytes, &mut values);
        Ok((count, resident.packing.pack_rows(resident.encoding, k, bytemuck::cast_slice(&values))?))
    }
}
