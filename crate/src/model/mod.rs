//! The common description of any model file: no bytes, no I/O.

mod chunks;
mod code;
mod entry;
mod file;
mod graph;
mod metadata;
mod note;
mod packed;
mod role;
mod section;

pub use chunks::{Chunk, ChunkFilter, Chunks};
pub use code::{CODES, Loader, NoteCode, Why, reason};
pub use entry::{Place, TensorEntry};
pub use file::{Awaited, Cut, FileSummary, FormatId, ModelFile};
pub use graph::{GraphNode, GraphValue, OpGraph};
pub use metadata::{ArrayPlace, MetaArray, MetaType, MetaValue, Metadata};
pub use note::{Note, Severity};
pub use packed::{Packed, PackedPart, Scaling, Zeros};
pub use role::{Companion, FileRole, Flavour, Version};
pub use section::{Section, SectionKind};
