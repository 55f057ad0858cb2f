//! What standard metadata keys mean (GGUF specification; Hugging Face config.json).

/// One sentence on a key that readers may not know.
pub(super) fn meaning(key: &str) -> Option<String> {
    let exact = EXACT.iter().find(|(k, _)| *k == key).map(|(_, m)| (*m).to_owned());
    exact.or_else(|| {
        SUFFIX.iter().find(|(k, _)| key.strip_suffix(k).is_some_and(|p| p.ends_with('.'))).map(|(_, m)| (*m).to_owned())
    })
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
    ("config.hidden_size", "Width of the residual stream."),
    ("config.intermediate_size", "Width of the feed-forward layer."),
    ("config.num_hidden_layers", "Number of transformer blocks."),
    ("config.num_attention_heads", "Query heads per layer."),
    (
        "config.num_key_value_heads",
        "Key and value heads per layer; fewer than query heads means grouped-query attention.",
    ),
    ("config.max_position_embeddings", "The longest sequence the model was made for."),
    ("config.rope_theta", "Base of the rotary position frequencies."),
    ("config.tie_word_embeddings", "Whether the output head shares the embedding's weights."),
    ("config.torch_dtype", "Type the weights were trained or saved in."),
    ("ir_version", "Version of the ONNX file format."),
    ("producer_name", "Program that wrote the file."),
];

/// Keys below an architecture's name.
const SUFFIX: &[(&str, &str)] = &[
    ("context_length", "The longest sequence the model was made for, in tokens."),
    ("embedding_length", "Width of the residual stream."),
    ("block_count", "Number of transformer blocks."),
    ("feed_forward_length", "Width of the feed-forward layer."),
    ("attention.head_count", "Query heads per layer."),
    ("attention.head_count_kv", "Key and value heads per layer; fewer than query heads means grouped-query attention."),
    ("attention.layer_norm_rms_epsilon", "Added under the root of RMSNorm to avoid division by zero."),
    ("attention.layer_norm_epsilon", "Added under the root of LayerNorm to avoid division by zero."),
    ("attention.key_length", "Width of a key head."),
    ("attention.value_length", "Width of a value head."),
    ("attention.sliding_window", "How many past tokens a layer sees; full layers see all."),
    ("attention.causal", "Whether a token sees only what came before it."),
    ("rope.dimension_count", "How many dimensions of a head are rotated by position."),
    ("rope.freq_base", "Base of the rotary position frequencies; larger reaches further."),
    ("rope.scaling.type", "How positions are stretched beyond the trained context."),
    ("rope.scaling.factor", "By how much positions are stretched."),
    ("vocab_size", "Number of token ids."),
    ("expert_count", "Experts per mixture layer."),
    ("expert_used_count", "Experts used for each token."),
    ("pooling_type", "How token vectors become one vector: 1 mean, 2 first token, 3 last."),
];
