//! The kernels, one file each: which steps it takes and how they become dispatches, its parameter block, its variants and
//! its test cases. The WGSL of kernel `k` is `shaders/kernels/k.wgsl`; the composer reads bindings and constants from it.
//!
//! Rows of a step beyond its count hold stale values and are never read by anything that matters. Release builds
//! have no bounds checks on the device, so each dispatch states how much of every buffer it may touch ([`Needs`]).

use crate::{
    fault::{Fault, Result},
    ir::Dim,
    tensor::Encoding,
};

use super::{
    device::Tier,
    program::{BufferId, BufferKind, CacheType, Operand, Part as WeightPart, Program, Step, StepKey, View, batch},
    shader::{self, Part, Variant, blocks},
};

mod advance;
mod attention;
pub(in crate::engine) mod case;
mod concat;
mod elementwise;
mod embed;
mod experts;
mod gather;
mod layer_norm;
mod linear;
mod mat_mul;
mod recur;
mod reduction;
mod rms_norm;
mod rope;
mod rope_write;
mod route;
mod sample;
mod state_write;

/// One kernel.
pub struct Kernel {
    /// Its name: of its files, and for people.
    pub name: &'static str,
    /// WGSL with the composer's directives.
    pub source: Part,
    /// Members of the parameter block, names and types in order; a test compares them with the WGSL.
    pub params: &'static [(&'static str, &'static str)],
    /// The dispatches of a step; `None` where the step is not this kernel's.
    pub takes: Takes,
    /// Every variant that steps can ask for in the core tier (of elementwise chains a choice).
    pub variants: fn() -> Vec<Variant>,
    /// Adds its test cases.
    pub(in crate::engine) cases: fn(&mut case::Cases),
}

/// From a step to dispatches. The fault names a limit that the step exceeds.
pub type Takes = fn(&Step, &Lowering<'_>) -> Result<Option<Vec<Dispatch>>>;

/// Every kernel. The first one that takes a step runs it.
pub static KERNELS: &[&Kernel] = &[
    &advance::KERNEL,
    &attention::KERNEL,
    &concat::KERNEL,
    &elementwise::KERNEL,
    &embed::KERNEL,
    &experts::LINEAR,
    &experts::SUM,
    &gather::KERNEL,
    &layer_norm::KERNEL,
    &linear::MATVEC,
    &linear::MATMUL,
    &mat_mul::KERNEL,
    &recur::conv::KERNEL,
    &recur::delta::KERNEL,
    &recur::scan::KERNEL,
    &recur::wkv::KERNEL,
    &recur::wkv4::KERNEL,
    &reduction::KERNEL,
    &rms_norm::KERNEL,
    &rope::KERNEL,
    &rope_write::KERNEL,
    &route::KERNEL,
    &sample::KERNEL,
    &state_write::KERNEL,
];

/// The kernel of this name.
pub fn find(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|k| k.name == name).copied()
}

/// The most workgroups along one dimension of a grid that every adapter takes.
const MAX_GROUPS: u32 = 65_535;

/// Row counts at words beyond the header are numbers known now.
const FIXED: u32 = u32::MAX;

/// One launch of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Which shader.
    pub variant: Variant,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Bytes of the parameter block.
    pub params: Vec<u8>,
    /// Buffers by the names of the shader's variables.
    pub binds: Vec<Bind>,
}

/// A buffer for a variable of a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind {
    /// The variable.
    pub name: &'static str,
    /// The buffer.
    pub buffer: BufferId,
    /// How much of it the shader touches.
    pub needs: Needs,
}

/// How much of a buffer a shader touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The first words.
    Words(u64),
    /// Rows of a packed weight, in its resident encoding.
    Rows {
        /// Encoding that the shader decodes.
        encoding: Encoding,
        /// Number of rows.
        rows: u32,
        /// Values of a row.
        row_len: u32,
    },
    /// What there is: the shader asks for the length.
    Any,
}

/// A parameter block: 32-bit words, with the names and types of its members.
macro_rules! params {
    ($name:ident { $($field:ident: $kind:ident),* $(,)? }) => {
        #[repr(C)]
        #[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct $name { $($field: $kind),* }

        impl $name {
            const FIELDS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), stringify!($kind))),*];
        }
    };
}
use params;

/// What lowering a step reads besides the step.
#[derive(Clone, Copy)]
pub struct Lowering<'a> {
    /// The program.
    pub program: &'a Program,
    /// Which plan.
    pub key: StepKey,
    /// The device's tier.
    pub tier: Tier,
}

/// How many rows a kernel works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    /// The most.
    most: u32,
    /// The word of the batch header that counts them, or [`FIXED`].
    at: u32,
}

/// Rows of f32 or u32 words in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Strided {
    buffer: BufferId,
    rows: Rows,
    width: u32,
    offset: u32,
    stride: u32,
}

/// The dispatches of a step.
///
/// # Errors
/// No kernel takes it; it exceeds a limit; it reads and writes one buffer where its kernel cannot.
pub fn lower(step: &Step, with: &Lowering<'_>) -> Result<Vec<Dispatch>> {
    for kernel in KERNELS {
        let named = |f: Fault| Fault { what: format!("{}: {}", step.label, f.what), ..f };
        if let Some(dispatches) = (kernel.takes)(step, with).map_err(named)? {
            return Ok(dispatches);
        }
    }
    Err(Fault::unsupported(format!("{}: the GPU has no kernel for {:?} of these shapes", step.label, step.op)))
}

impl<'a> Lowering<'a> {
    fn rows(&self, dim: Dim) -> Option<Rows> {
        let sizes = self.program.sizes(self.key);
        let counted = |most, at| if most == 1 { Rows { most, at: FIXED } } else { Rows { most, at } };
        Some(match dim {
            Dim::Fixed(n) => Rows { most: n, at: FIXED },
            Dim::Rows => counted(sizes.rows, batch::ROWS as u32),
            Dim::Outputs => counted(sizes.outputs, batch::OUTPUTS as u32),
            Dim::Context => return None,
        })
    }

    /// A view as rows: all dimensions but the first together, where they lie behind each other.
    fn view(&self, operand: Option<&Operand>) -> Option<Strided> {
        let Some(Operand::View(View { buffer, offset, stride, fact })) = operand else { return None };
        let one = Rows { most: 1, at: FIXED };
        let (rows, width, stride) = match *fact.shape.as_slice() {
            [] => (one, 1, 1),
            [Dim::Fixed(n)] => (one, n, n),
            [rows] => (self.rows(rows)?, 1, 1),
            [rows, Dim::Fixed(width)] => (self.rows(rows)?, width, *stride),
            [rows, ref inner @ ..] => {
                let widths: Option<Vec<u32>> = inner.iter().map(|d| d.fixed()).collect();
                let width = widths?.iter().try_fold(1u32, |p, n| p.checked_mul(*n))?;
                if fact.width() != Some(*stride) {
                    return None;
                }
                (self.rows(rows)?, width, width)
            }
        };
        Some(Strided { buffer: *buffer, rows, width, offset: *offset, stride })
    }

    /// A vector of `len` values.
    fn vector(&self, operand: Option<&Operand>, len: u32) -> Option<Strided> {
        self.view(operand).filter(|v| v.rows.most == 1 && v.width == len)
    }

    fn batch(&self) -> Bind {
        Bind { name: "batch", buffer: self.program.batch, needs: Needs::Any }
    }

    /// The buffer, element type, rows, width and page table of a state.
    fn state(&self, operand: Option<&Operand>) -> Option<StateRows> {
        let Some(Operand::State(buffer)) = operand else { return None };
        match self.program.buffers.get(buffer.0 as usize)?.kind {
            BufferKind::State { cache, rows, width, group, .. } => {
                Some(StateRows { buffer: *buffer, cache, rows, width, group })
            }
            _ => None,
        }
    }

    /// The table of a rotation.
    fn table(&self, rotation: usize) -> Option<Bind> {
        let (_, buffer) = self.program.rotations.get(rotation)?;
        Some(Bind { name: "table", buffer: *buffer, needs: Needs::Any })
    }
}

/// A state's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StateRows {
    buffer: BufferId,
    cache: CacheType,
    rows: u32,
    width: u32,
    group: u32,
}

impl StateRows {
    fn bind(&self, name: &'static str) -> Bind {
        let words = u64::from(self.rows) * u64::from(self.cache.row_words(self.width));
        Bind { name, buffer: self.buffer, needs: Needs::Words(words) }
    }
}

impl Strided {
    fn bind(&self, name: &'static str) -> Bind {
        let rows = u64::from(self.rows.most.saturating_sub(1)) * u64::from(self.stride);
        Bind { name, buffer: self.buffer, needs: Needs::Words(u64::from(self.offset) + rows + u64::from(self.width)) }
    }
    /// Whether every row begins at a multiple of four words.
    fn is_aligned(&self) -> bool {
        self.offset % 4 == 0 && (self.stride % 4 == 0 || self.rows.most == 1)
    }
    /// Whether the same words are meant.
    fn is_same(&self, other: &Self) -> bool {
        self.buffer == other.buffer
            && self.offset == other.offset
            && (self.stride == other.stride || self.rows.most == 1)
    }
    fn items(&self, each: u32) -> u64 {
        u64::from(self.rows.most) * u64::from(each)
    }
}

/// Whether a result written over an input can be told apart from one that only shares its buffer.
///
/// `Some(true)`: in place; `Some(false)`: apart; `None`: the buffer is shared in another way, which no device can bind.
fn in_place(x: &Strided, y: &Strided, others: &[&Strided]) -> Option<bool> {
    if others.iter().any(|o| o.buffer == y.buffer) {
        return None;
    }
    match (x.buffer == y.buffer, x.is_same(y)) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        (true, false) => None,
    }
}

/// A weight matrix: its resident encoding and its buffers.
fn matrix(operand: Option<&Operand>) -> Option<(Encoding, u32, u32, &[WeightPart])> {
    match operand {
        Some(Operand::Matrix { encoding, rows, row_len, parts }) => {
            Some((blocks::resident(*encoding)?.encoding, *rows, *row_len, parts))
        }
        _ => None,
    }
}

/// Folds a number of workgroups into two dimensions where one is not enough.
fn folded(groups: u64) -> Result<[u32; 3]> {
    let y = groups.div_ceil(u64::from(MAX_GROUPS)).max(1);
    let x = groups.div_ceil(y).max(1);
    match (u32::try_from(x), u32::try_from(y)) {
        (Ok(x), Ok(y)) if y <= MAX_GROUPS => Ok([x, y, 1]),
        _ => Err(Fault::limit(format!("{groups} workgroups are more than a grid of {MAX_GROUPS} x {MAX_GROUPS}"))),
    }
}

/// A grid as it is.
fn within(grid: [u32; 3]) -> Result<[u32; 3]> {
    if grid.iter().all(|&n| n <= MAX_GROUPS) {
        Ok(grid.map(|n| n.max(1)))
    } else {
        Err(Fault::limit(format!("a grid of {grid:?} workgroups is beyond {MAX_GROUPS} along a dimension")))
    }
}

impl Kernel {
    /// A constant of the WGSL.
    fn constant(&self, name: &str) -> Result<u32> {
        shader::constant(&self.source, name)
    }
    /// The grid for `items` things, one to a lane.
    fn lanes(&self, items: u64) -> Result<[u32; 3]> {
        folded(items.div_ceil(u64::from(self.constant("WG")?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_beyond_the_limit_are_folded_and_cover_everything() {
        for groups in [1, 65_535, 65_536, 100_000, 4_000_000] {
            let [x, y, _] = folded(groups).unwrap();
            assert!(x <= MAX_GROUPS && y <= MAX_GROUPS && u64::from(x) * u64::from(y) >= groups, "{groups}: {x} x {y}");
        }
        assert!(folded(u64::MAX).is_err());
    }

    #[test]
    fn the_header_of_the_batch_lies_in_wgsl_as_in_rust() {
        let part = shader::library("lib/batch").unwrap();
        for (name, value) in [
            ("ROW_COUNT", batch::ROWS),
            ("OUTPUT_COUNT", batch::OUTPUTS),
            ("CHOICES", batch::CHOICES),
            ("TOKENS_AT", batch::TOKENS_AT),
            ("POSITIONS_AT", batch::POSITIONS_AT),
            ("SEQUENCES_AT", batch::SEQUENCES_AT),
            ("OUTPUTS_AT", batch::OUTPUTS_AT),
            ("LENGTHS_AT", batch::LENGTHS_AT),
            ("STARTS_AT", batch::STARTS_AT),
            ("PAGES_AT", batch::PAGES_AT),
            ("PAGES", batch::PAGES),
            ("SEQUENCES", batch::SEQUENCES),
            ("NONFINITE", batch::NONFINITE),
            ("TYPES_AT", batch::TYPES_AT),
            ("HEADER", batch::HEADER),
            ("PAGE_ROWS", crate::engine::program::PAGE_ROWS as usize),
        ] {
            assert_eq!(shader::constant(part, name).unwrap() as usize, value, "{name}");
        }
    }
}
