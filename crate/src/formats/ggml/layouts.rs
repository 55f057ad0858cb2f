//! Layouts before GGUF: their names, numbers and order.

const LLAMA: &[&str] = &["n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype"];

const WHISPER: &[&str] = &[
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
    "n_mels",
    "ftype",
];

const PARAKEET: &[&str] = &[
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_mels",
    "ftype",
    "n_fft",
    "subsampling_factor",
    "n_subsampling_channels",
    "n_conv_kernel",
    "n_pred_dim",
    "n_pred_layers",
    "n_tdt_durations",
    "n_max_tokens",
];

const GPT2: &[&str] = &["n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "ftype"];

const RWKV: &[&str] = &["n_vocab", "n_embed", "n_layer", "data_type"];

const LORA: &[&str] = &["r", "alpha"];

/// Which program's files look so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Layout {
    #[default]
    Llama,
    Whisper,
    Parakeet,
    Vad,
    Gpt2,
    Rwkv,
    Lora,
}

impl Layout {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Llama => LLAMA,
            Self::Whisper => WHISPER,
            Self::Parakeet => PARAKEET,
            Self::Vad => &[],
            Self::Gpt2 => GPT2,
            Self::Rwkv => RWKV,
            Self::Lora => LORA,
        }
    }
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Llama => "llama.cpp",
            Self::Whisper => "whisper.cpp",
            Self::Parakeet => "parakeet (whisper.cpp)",
            Self::Vad => "whisper.cpp, voice activity detection (VAD)",
            Self::Gpt2 => "ggml's gpt-2 example",
            Self::Rwkv => "rwkv.cpp",
            Self::Lora => "llama.cpp, adapter (LoRA)",
        }
    }
}
