//! Shapes, encodings, block decoding and statistics: pure arithmetic on bytes.

mod encoding;
pub mod float;
pub mod quant;
mod shape;
mod stats;
mod view;

pub use encoding::{ENCODINGS, Encoding, EncodingSpec};
pub use shape::Shape;
pub use stats::{Histogram, Stats};
pub use view::TensorView;
