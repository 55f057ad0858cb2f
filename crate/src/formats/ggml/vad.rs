//! whisper.cpp's voice activity detection (Silero's model), which shares the magic of the other layouts.
//! Source: whisper.cpp, `whisper_vad_init_with_params` in `src/whisper.cpp`.
//!
//! ```text
//! magic | n | n bytes type | major | minor | patch | window | context | layers | layers x (in, out, kernel) |
//!     lstm input | lstm width | last convolution's in, out | tensors
//! ```

use crate::{
    model::{MetaType, MetaValue},
    source::{Cursor, Stop, Window},
};

/// Bytes of the type's name, at most; "silero-16k" is the known one.
const NAME_MOST: u32 = 64;
/// Layers of the encoder, at most; the known model has 4.
const LAYERS_MOST: u32 = 64;
/// Any of the other numbers, at most.
const SIZE_MOST: u32 = 1 << 20;

/// What the header says.
pub(super) struct Vad {
    pub(super) entries: Vec<(String, MetaValue)>,
    pub(super) layers: u32,
    /// Where the tensors start.
    pub(super) end: u64,
}

/// The header behind the magic, if it is one: a short name in ASCII, then numbers that are all small.
pub(super) fn read(file: &Window, start: u64) -> Result<Option<Vad>, Stop> {
    let mut cursor = Cursor::new(file, start, false);
    if cursor.remaining() < 4 {
        return Ok(None);
    }
    let n = cursor.u32()?;
    // Behind the name lie at least twelve numbers.
    if n == 0 || n > NAME_MOST || cursor.remaining() < u64::from(n) + 48 {
        return Ok(None);
    }
    let name = cursor.take(u64::from(n))?;
    if !name.iter().all(|b| b.is_ascii_graphic()) {
        return Ok(None);
    }
    let kind = String::from_utf8_lossy(name).into_owned();
    let number = |n: u32| MetaValue::Unsigned(u64::from(n), MetaType::U32);
    let mut entries = Vec::new();
    let (major, minor, patch) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    entries.push(("ggml.vad.type".to_owned(), MetaValue::String(kind)));
    entries.push(("ggml.vad.version".to_owned(), MetaValue::String(format!("{major}.{minor}.{patch}"))));
    let (window, context, layers) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let small = |n: u32| n <= SIZE_MOST;
    let fits = u64::from(layers) * 12 + 16 <= cursor.remaining();
    if ![major, minor, patch, window, context].into_iter().all(small) || !(1..=LAYERS_MOST).contains(&layers) || !fits {
        return Ok(None);
    }
    entries.push(("ggml.vad.n_window".to_owned(), number(window)));
    entries.push(("ggml.vad.n_context".to_owned(), number(context)));
    entries.push(("ggml.vad.n_encoder_layers".to_owned(), number(layers)));
    for layer in 0..layers {
        for what in ["in_channels", "out_channels", "kernel_size"] {
            entries.push((format!("ggml.vad.encoder.{layer}.{what}"), number(cursor.u32()?)));
        }
    }
    for what in ["lstm_input_size", "lstm_hidden_size", "final_conv_in", "final_conv_out"] {
        entries.push((format!("ggml.vad.{what}"), number(cursor.u32()?)));
    }
    let sizes = entries.iter().all(|(_, v)| !matches!(v, MetaValue::Unsigned(n, _) if *n > u64::from(SIZE_MOST)));
    Ok(sizes.then(|| Vad { entries, layers, end: cursor.position() }))
}
