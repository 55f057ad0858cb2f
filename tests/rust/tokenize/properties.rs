//! What holds for any text.

use std::{fs, sync::LazyLock};

use glassbox::tokenizer::{EncodeOptions, Preview, TextStream, Vocabulary};
use proptest::prelude::*;

use super::{PARSED, PLAIN, corpus, gguf, small_gpt2, small_llama};

thread_local! {
    static GPT2: Vocabulary = gguf(small_gpt2());
    static LLAMA: Vocabulary = gguf(small_llama());
}

/// Texts of any characters, and of those that splitters and vocabularies treat apart.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ \t\r\n\u{a0}\u{3000}]{1,5}",
        "[a-zA-Z']{1,6}",
        "[0-9]{1,5}",
        prop::sample::select(vec!["<s>", "</s>", "<|end|>", "[TOOL]", "the", "é", "👩‍👩‍👧", "'LL", "\u{0}", "İ", "ﬁ"])
            .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn check_spans(text: &str, preview: &Preview) {
    let mut start = 0;
    for piece in &preview.pieces {
        assert!(piece.span.start >= start, "{text:?}: {:?}", preview.pieces);
        assert!(piece.span.start <= piece.span.end && piece.span.end <= text.len());
        start = piece.span.start;
    }
}

fn check_stream(vocabulary: &Vocabulary, ids: &[u32]) {
    let mut stream = TextStream::default();
    let streamed: String = ids.iter().map(|id| stream.push(vocabulary, *id)).collect();
    assert_eq!(streamed + &stream.finish(), vocabulary.decode(ids));
}

/// Each piece's bytes are the bytes of its span.
fn check_bytes(text: &str, preview: &Preview) {
    let mut end = 0;
    for piece in &preview.pieces {
        assert_eq!(piece.span.start, end, "{text:?}");
        end = piece.span.end;
        let covered = &text.as_bytes()[piece.span.clone()];
        let is_prefixed = piece.bytes.first() == Some(&b' ') && piece.bytes.len() == covered.len() + 1;
        assert!(piece.bytes == covered || (is_prefixed && &piece.bytes[1..] == covered), "{text:?}: {piece:?}");
    }
    assert_eq!(end, text.len());
}

proptest! {
    #[test]
    fn byte_level_bpe_gives_any_text_back(text in text()) {
        GPT2.with(|vocabulary| {
            let preview = vocabulary.preview(&text, PLAIN).unwrap();
            let ids: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
            assert_eq!(vocabulary.decode(&ids), text);
            assert!(preview.roundtrips && preview.notes.is_empty());
            check_spans(&text, &preview);
            check_bytes(&text, &preview);
            check_stream(vocabulary, &ids);
            assert!(vocabulary.preview(&text, PARSED).unwrap().roundtrips);
        });
    }

    /// But for a written ▁, which becomes a space, and the space before text after a special token.
    #[test]
    fn sentence_piece_gives_any_text_back_but_for_its_losses(text in text()) {
        LLAMA.with(|vocabulary| {
            let text = text.replace('▁', "").replace("[TOOL]", "");
            let preview = vocabulary.preview(&text, PLAIN).unwrap();
            let ids: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
            assert_eq!(vocabulary.decode(&ids), text);
            assert!(preview.roundtrips && preview.notes.is_empty());
            check_spans(&text, &preview);
            check_bytes(&text, &preview);
            check_stream(vocabulary, &ids);
        });
    }

    #[test]
    fn spans_are_in_order_and_inside_the_text_with_special_tokens_too(text in text(), add_special: bool) {
        for vocabulary in [&GPT2, &LLAMA] {
            vocabulary.with(|vocabulary| {
                let options = EncodeOptions { add_special, parse_special: true };
                let preview = vocabulary.preview(&text, options).unwrap();
                check_spans(&text, &preview);
                let ids: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
                assert_eq!(ids, vocabulary.encode(&text, options).unwrap());
                check_stream(vocabulary, &ids);
            });
        }
    }

    #[test]
    fn any_ids_stream_to_what_they_decode_to(ids in prop::collection::vec(0..300_u32, 0..40)) {
        GPT2.with(|vocabulary| check_stream(vocabulary, &ids));
        LLAMA.with(|vocabulary| check_stream(vocabulary, &ids));
    }
}

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    ["tokenizers/phi-3-mini", "tokenizers/roberta-base", "tokenizers/t5-small", "minilm/"]
        .iter()
        .map(
            |name| if name.ends_with('/') { format!("{name}tokenizer.json") } else { format!("{name}.tokenizer.json") },
        )
        .filter_map(|name| Some(fs::read(corpus(&name)?).unwrap()))
        .collect()
});

thread_local! {
    static JSON: Vec<Vocabulary> = FILES.iter().map(|json| Vocabulary::from_json(json).unwrap()).collect();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tokenizer_json_spans_and_streams_hold_for_any_text(text in text(), parse_special: bool) {
        JSON.with(|vocabularies| {
            for vocabulary in vocabularies {
                let preview = vocabulary.preview(&text, EncodeOptions { add_special: true, parse_special }).unwrap();
                check_spans(&text, &preview);
                let ids: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
                check_stream(vocabulary, &ids);
            }
        });
    }
}
