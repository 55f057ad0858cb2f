//! Shapes, encodings, block decoding and statistics: pure arithmetic on bytes.

mod encoding;
mod exact;
pub mod float;
mod order;
pub mod packed;
mod plain;
pub mod quant;
mod shape;
mod stats;
mod table;
mod view;

pub use encoding::{Decode, ENCODINGS, Encode, Encoding, EncodingSpec};
pub use exact::{decode_f64, texts};
pub use order::swap_to_little;
pub use shape::Shape;
pub use stats::{Histogram, Stats};
pub use view::TensorView;
