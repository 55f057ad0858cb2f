//! What llama.cpp's rules say about special tokens, spaces and bytes, on small vocabularies.

use glassbox::{
    fault::Blame,
    model::Severity,
    tokenizer::{EncodeOptions, PieceKind, TextStream, Vocabulary},
};

use super::{FULL, PARSED, PLAIN, gguf, small_gpt2, small_llama};

fn texts(vocabulary: &Vocabulary, text: &str, options: EncodeOptions) -> Vec<String> {
    let ids = vocabulary.encode(text, options).unwrap();
    ids.iter().map(|id| vocabulary.token_text(*id).unwrap().to_owned()).collect()
}

#[test]
fn special_text_is_a_token_only_when_it_is_to_be_parsed() {
    let vocabulary = gguf(small_llama());
    assert_eq!(texts(&vocabulary, "<s>", PARSED), ["<s>"]);
    assert_eq!(texts(&vocabulary, "<s>", PLAIN), ["▁", "<0x3C>", "<0x73>", "<0x3E>"]);
    let vocabulary = gguf(small_gpt2());
    assert_eq!(texts(&vocabulary, "<|end|>", PARSED), ["<|end|>"]);
    assert_eq!(texts(&vocabulary, "<|end|>", PLAIN).len(), 7);
}

#[test]
fn user_defined_tokens_are_found_in_either_case() {
    for vocabulary in [gguf(small_llama()), gguf(small_gpt2())] {
        for options in [PLAIN, PARSED] {
            let preview = vocabulary.preview("the [TOOL]", options).unwrap();
            let last = preview.pieces.last().unwrap();
            assert_eq!((last.kind, last.span.clone(), last.text.as_str()), (PieceKind::UserDefined, 4..10, "[TOOL]"));
        }
    }
}

#[test]
fn text_after_a_special_token_gets_a_space_again_as_in_llama_cpp() {
    let vocabulary = gguf(small_llama());
    assert_eq!(texts(&vocabulary, "the</s>the", PARSED), ["▁the", "</s>", "▁the"]);
    let preview = vocabulary.preview("the</s>the", PARSED).unwrap();
    let spans: Vec<_> = preview.pieces.iter().map(|piece| piece.span.clone()).collect();
    assert_eq!(spans, [0..3, 3..7, 7..10]);
    assert!(!preview.roundtrips);
}

#[test]
fn bos_and_eos_come_as_the_keys_or_the_kind_say() {
    let with = |add_bos, add_eos| {
        let mut keys = small_llama();
        (keys.add_bos, keys.add_eos) = (add_bos, add_eos);
        texts(&gguf(keys), "the", FULL)
    };
    assert_eq!(with(None, None), ["<s>", "▁the"]);
    assert_eq!(with(Some(false), Some(true)), ["▁the", "</s>"]);
    assert_eq!(texts(&gguf(small_gpt2()), "he", FULL), ["he"]);
    let mut keys = small_gpt2();
    keys.pre = Some("llama-bpe".into());
    assert_eq!(texts(&gguf(keys), "he", FULL), ["<|end|>", "he"]);
}

#[test]
fn among_pairs_of_equal_score_the_leftmost_merges_first() {
    let mut keys = small_llama();
    let space = keys.tokens.iter().position(|token| token == "▁▁".as_bytes()).unwrap();
    keys.tokens.push("▁▁▁".as_bytes().to_vec());
    keys.token_types.push(1);
    keys.scores.push(keys.scores[space]);
    assert_eq!(texts(&gguf(keys), "    ", PLAIN), ["▁▁▁", "▁▁"]);
}

#[test]
fn unused_tokens_are_never_produced() {
    assert!(!texts(&gguf(small_llama()), "unused", PLAIN).contains(&"unused".to_owned()));
}

#[test]
fn pieces_of_a_split_character_have_their_own_bytes_and_spans() {
    let vocabulary = gguf(small_llama());
    let preview = vocabulary.preview("a€", PLAIN).unwrap();
    let pieces: Vec<_> = preview.pieces.iter().map(|p| (p.span.clone(), p.bytes.clone(), p.kind)).collect();
    let byte = |span, byte| (span, vec![byte], PieceKind::Byte);
    assert_eq!(
        pieces,
        [(0..0, vec![b' '], PieceKind::Normal), byte(0..1, b'a'), byte(1..2, 0xE2), byte(2..3, 0x82), byte(3..4, 0xAC)]
    );
    assert!(preview.roundtrips);
}

#[test]
fn a_stream_holds_back_a_character_until_it_is_complete() {
    let vocabulary = gguf(small_llama());
    let ids = vocabulary.encode("€", FULL).unwrap();
    let mut stream = TextStream::default();
    let parts: Vec<String> = ids.iter().map(|id| stream.push(&vocabulary, *id)).collect();
    assert_eq!(parts, ["", "", "", "", "€"]);
    let mut stream = TextStream::default();
    let cut: String = ids[..4].iter().map(|id| stream.push(&vocabulary, *id)).collect();
    assert_eq!((cut.as_str(), stream.finish().as_str()), ("", "\u{FFFD}"));
}

#[test]
fn only_the_first_space_is_dropped_from_a_stream() {
    let vocabulary = gguf(small_llama());
    let the = vocabulary.id_of("▁the").unwrap();
    let mut stream = TextStream::default();
    let parts: Vec<String> = [1, the, the].iter().map(|id| stream.push(&vocabulary, *id)).collect();
    assert_eq!(parts, ["", "the", " the"]);
}

#[test]
fn a_byte_without_a_token_is_missed_aloud() {
    let mut keys = small_gpt2();
    let at = keys.tokens.iter().position(|token| token == b"z").unwrap();
    keys.tokens[at] = b"no longer z".to_vec();
    let preview = gguf(keys).preview("hezhe", PLAIN).unwrap();
    let spans: Vec<_> = preview.pieces.iter().map(|piece| piece.span.clone()).collect();
    assert_eq!(spans, [0..2, 3..5]);
    assert!(!preview.roundtrips);
    assert!(preview.notes.iter().any(|note| note.what.starts_with("1 bytes")), "{:?}", preview.notes);
}

#[test]
fn end_ids_hold_the_keys_and_the_names_known_to_end_a_turn() {
    let mut keys = small_llama();
    keys.tokens.push(b"<|im_end|>".to_vec());
    keys.token_types.push(3);
    keys.scores.push(0.0);
    let last = keys.tokens.len() as u32 - 1;
    keys.special = vec![("eot".into(), 5)];
    assert_eq!(gguf(keys).end_ids(), [2, 5, last]);
}

#[test]
fn unknown_kinds_and_splitters_are_refused_by_name() {
    let mut keys = small_gpt2();
    keys.pre = Some("tomorrow".into());
    let fault = Vocabulary::from_gguf(keys).err().unwrap();
    assert_eq!(fault.blame, Blame::Unsupported);
    assert!(fault.what.contains("\"tomorrow\""), "{fault}");
    for kind in ["hybriddna", "none", "nonsense", ""] {
        let mut keys = small_gpt2();
        keys.model = kind.into();
        let fault = Vocabulary::from_gguf(keys).err().unwrap();
        assert_eq!(fault.blame, Blame::Unsupported);
        assert!(fault.what.contains(&format!("{kind:?}")), "{fault}");
    }
}

#[test]
fn a_missing_splitter_means_the_default_with_a_warning() {
    let mut keys = small_gpt2();
    keys.pre = None;
    let vocabulary = gguf(keys);
    assert!(vocabulary.notes().iter().any(|note| note.severity == Severity::Warning && note.what.contains("default")));
    assert_eq!(vocabulary.describe(), "Byte-level BPE (gpt2, pre default), 263 tokens");
}

#[test]
fn ids_outside_the_vocabulary_add_nothing() {
    for vocabulary in [gguf(small_llama()), gguf(small_gpt2())] {
        assert_eq!(vocabulary.decode(&[u32::MAX, vocabulary.len() as u32]), "");
        assert_eq!(vocabulary.token_bytes(u32::MAX), b"");
        assert_eq!(vocabulary.token_text(u32::MAX), None);
        assert_eq!(TextStream::default().push(&vocabulary, u32::MAX), "");
    }
}
