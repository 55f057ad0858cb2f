//! What standard metadata keys mean (GGUF specification; Hugging Face config.json). Those of hyper-parameters: [`arch`].

use crate::arch;

/// One sentence on a key that readers may not know.
pub(super) fn meaning(key: &str) -> Option<String> {
    let exact = EXACT.iter().find(|(k, _)| *k == key).map(|(_, m)| (*m).to_owned());
    let below = |k: &str| key.strip_suffix(k).is_some_and(|p| p.ends_with('.'));
    exact
        .or_else(|| SUFFIX.iter().find(|(k, _)| below(k)).map(|(_, m)| (*m).to_owned()))
        .or_else(|| arch::meaning(key).map(str::to_owned))
}

/// Whole keys.
const EXACT: &[(&str, &str)] = &[
    ("general.architecture", "Which network this is; every key below its name belongs to it."),
    ("general.type", "model, adapter (LoRA), imatrix or mmproj."),
    ("general.alignment", "Tensor data starts at multiples of this many bytes."),
    ("general.file_type", "The encoding of most weights, as llama.cpp numbers them; single tensors may differ."),
    ("general.quantization_version", "Version of the block layouts; 2 since May 2023."),
    ("general.size_label", "Parameters in words, e.g. 7B."),
    (
        "tokenizer.ggml.model",
        "Kind of tokenizer: llama (SentencePiece BPE), gpt2 (byte-level BPE), bert (WordPiece), t5 (Unigram), rwkv.",
    ),
    ("tokenizer.ggml.pre", "Which rules split text before merging; a wrong one gives wrong ids without any error."),
    ("tokenizer.ggml.tokens", "The text of every token, by id."),
    ("tokenizer.ggml.token_type", "1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte."),
    ("tokenizer.ggml.scores", "Merge priority of every token (SentencePiece)."),
    ("tokenizer.ggml.merges", "Pairs of tokens to join, in order of priority."),
    ("tokenizer.ggml.bos_token_id", "Beginning-of-text token."),
    ("tokenizer.ggml.eos_token_id", "End-of-text token: generation stops there."),
    ("tokenizer.ggml.eot_token_id", "End-of-turn token of a chat."),
    ("tokenizer.ggml.unknown_token_id", "Stands for text that no token covers."),
    ("tokenizer.ggml.padding_token_id", "Fills up shorter texts of a batch."),
    ("tokenizer.ggml.seperator_token_id", "Separator token (the key is misspelt in the specification)."),
    ("tokenizer.ggml.add_bos_token", "Whether text is started with the BOS token."),
    ("tokenizer.ggml.add_eos_token", "Whether text is ended with the EOS token."),
    ("tokenizer.ggml.add_space_prefix", "Whether a space is put before the text (SentencePiece)."),
    ("tokenizer.chat_template", "Jinja template that turns a conversation into the prompt."),
    ("split.no", "Number of this shard, from 0."),
    ("split.count", "Number of shards."),
    ("split.tensors.count", "Tensors in all shards together."),
    ("config.torch_dtype", "Type the weights were trained or saved in."),
    ("ir_version", "Version of the ONNX file format."),
    ("producer_name", "Program that wrote the file."),
];

/// Keys below an architecture's name that are no hyper-parameters.
const SUFFIX: &[(&str, &str)] =
    &[("pooling_type", "How token vectors become one vector: 1 mean, 2 first token, 3 last.")];
