//! Looking through vocabularies, comparing two, and what a preview says of characters cut apart.

use std::time::Instant;

use glassbox::tokenizer::{
    Catalog, Comparison, GgufVocabulary, Search, Sort, TokenQuery, TokenType, Tokenized, Vocabulary, Wholeness,
};
use proptest::prelude::*;

use super::{FULL, PLAIN, every_kind, gguf, small_gpt2, small_llama};

fn query(search: &str) -> TokenQuery {
    TokenQuery { search: Search::parse(search), kind: None, sort: Sort::Id, reverse: false }
}

fn ids(vocabulary: &Vocabulary, query: &TokenQuery) -> Vec<u32> {
    Catalog::new(vocabulary).find(vocabulary, query, 0, 1000).tokens.iter().map(|token| token.id).collect()
}

#[test]
fn tokens_are_found_by_text_bytes_id_and_type() {
    let vocabulary = gguf(small_gpt2());
    let id = |text: &str| vocabulary.id_of(text).unwrap();
    assert_eq!(ids(&vocabulary, &query("HE")), [id("he"), id("Ġthe")], "ASCII letters in either case");
    assert_eq!(ids(&vocabulary, &query(" t")), [id("Ġt"), id("Ġthe")]);
    assert_eq!(ids(&vocabulary, &query("Ġt")), [id("Ġt"), id("Ġthe")], "as the vocabulary writes it");
    assert_eq!(ids(&vocabulary, &query("0xC3A9")), [id("Ã©")]);
    assert_eq!(ids(&vocabulary, &query("#261")), [261]);
    assert_eq!(ids(&vocabulary, &query("#999")), Vec::<u32>::new());
    let control = TokenQuery { kind: Some(TokenType::Control), ..query("") };
    assert_eq!(ids(&vocabulary, &control), [261]);
    let longest = TokenQuery { sort: Sort::Length, ..query("") };
    assert_eq!(ids(&vocabulary, &longest)[..3], [261, 262, id("Ġthe")]);
    let ranked = TokenQuery { sort: Sort::Score, ..query("") };
    assert_eq!(ids(&vocabulary, &ranked)[..3], [id("he"), id("Ġt"), id("Ġthe")], "the lowest rank first");
    let found = Catalog::new(&vocabulary).find(&vocabulary, &query("Ã©"), 0, 10);
    assert_eq!((found.matching, found.tokens[0].rank, found.tokens[0].bytes.as_slice()), (1, Some(4), "é".as_bytes()));
}

#[test]
fn scores_types_unused_ids_and_holes_are_counted() {
    let mut keys = small_llama();
    keys.tokens[262] = Vec::new();
    let vocabulary = gguf(keys);
    let catalog = Catalog::new(&vocabulary);
    let counts: Vec<(&str, usize)> = catalog.counts().iter().map(|(kind, count)| (kind.name(), *count)).collect();
    let expected = [
        ("normal", 14),
        ("control", 2),
        ("user-defined", 1),
        ("unknown", 1),
        ("byte", 256),
        ("unused", 1),
        ("hole", 1),
    ];
    assert_eq!(counts, expected);
    assert_eq!(catalog.stretches(TokenType::Hole, 10), std::slice::from_ref(&(262..263)));
    assert_eq!(catalog.stretches(TokenType::Byte, 10), std::slice::from_ref(&(3..259)));
    assert_eq!(catalog.measure(), Some("score"));
    let best = TokenQuery { sort: Sort::Score, kind: Some(TokenType::Normal), ..query("") };
    assert_eq!(ids(&vocabulary, &best)[..2], [vocabulary.id_of("▁t").unwrap(), vocabulary.id_of("he").unwrap()]);
    assert_eq!(catalog.find(&vocabulary, &query(""), 2, 3).tokens.len(), 3);
}

/// The largest vocabularies have about 262,000 tokens. The bound is ten times what was seen here.
#[test]
fn a_vocabulary_of_a_quarter_of_a_million_tokens_answers_at_once() {
    let mut keys = small_gpt2();
    for nth in 0..248_000 {
        keys.tokens.push(format!("Ġtoken{nth:x}").into_bytes());
        keys.token_types.push(1);
    }
    let vocabulary = gguf(keys);
    let catalog = Catalog::new(&vocabulary);
    for (what, query) in [
        ("text", query("token3ab")),
        ("bytes", query("0x746F6B")),
        ("longest", TokenQuery { sort: Sort::Length, ..query("") }),
        ("by score", TokenQuery { sort: Sort::Score, reverse: true, ..query("e") }),
    ] {
        let start = Instant::now();
        let found = catalog.find(&vocabulary, &query, 0, 100);
        let took = start.elapsed();
        println!("{what}: {} of 248,263 tokens in {took:?}", found.matching);
        assert!(found.matching > 100 && took.as_millis() < 2000, "{what}: {took:?}");
    }
}

proptest! {
    /// Against a plain search, for every kind.
    #[test]
    fn a_search_finds_what_a_plain_look_at_every_token_finds(text in "[a-zé▁Ġ<0 ]{1,3}") {
        thread_local! { static ALL: Vec<every_kind::Kind> = every_kind::all(); }
        ALL.with(|all| {
            for kind in all.iter().filter(|kind| kind.vocabulary.len() < 1000) {
                let vocabulary = &kind.vocabulary;
                let holds = |all: &str| all.to_ascii_lowercase().contains(&text.to_ascii_lowercase());
                let expected: Vec<u32> = (0..vocabulary.len() as u32)
                    .filter(|id| {
                        let piece = vocabulary.token_text(*id).unwrap();
                        let shown = vocabulary.token_bytes(*id);
                        !piece.is_empty() && (holds(piece) || holds(&String::from_utf8_lossy(&shown)))
                    })
                    .collect();
                assert_eq!(ids(vocabulary, &TokenQuery { search: Search::Text(text.clone()), ..query("") }), expected, "{}", kind.name);
            }
        });
    }
}

#[test]
fn the_first_difference_of_two_tokenizers_is_told_with_its_place_and_its_tokens() {
    let a = gguf(small_gpt2());
    // Without the merge of "Ġt" and "he", and with other ids for what comes after.
    let mut keys = small_gpt2();
    keys.merges.remove(2);
    let b = gguf(keys);
    let comparison = Comparison::new(&a, &b, "é the he", PLAIN).unwrap();
    let cut = comparison.first_cut().unwrap();
    assert_eq!((cut.at, cut.character, cut.a.clone(), cut.b.clone()), (2, 1, 1..2, 1..3));
    let stretches: Vec<_> = comparison.stretches.iter().map(|s| (s.span.clone(), s.same_cuts, s.same_ids)).collect();
    assert_eq!(stretches, [(0..2, true, true), (2..6, false, false), (6..7, true, true), (7..9, true, true)]);
    assert!(!comparison.is_same());
    let same = Comparison::new(&a, &a, "é the he", FULL).unwrap();
    assert!(same.is_same() && same.first_cut().is_none() && same.first_id().is_none());
}

#[test]
fn the_same_cuts_with_other_ids_are_a_difference_of_ids_only() {
    let a = gguf(small_gpt2());
    let mut keys = small_gpt2();
    keys.tokens.swap(usize::from(b'!'), usize::from(b'#'));
    let b = gguf(GgufVocabulary { ..keys });
    let comparison = Comparison::new(&a, &b, "he!", PLAIN).unwrap();
    assert!(comparison.first_cut().is_none());
    let found = comparison.first_id();
    assert_eq!(found.map(|found| (found.at, found.a, found.b)), Some((2, 1..2, 1..2)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stretches_tile_both_token_lists_and_the_text(text in every_kind::text(), add_special: bool) {
        thread_local! { static ALL: Vec<every_kind::Kind> = every_kind::all(); }
        ALL.with(|all| {
            let options = glassbox::tokenizer::EncodeOptions { add_special, parse_special: true };
            let some = ["llama", "gpt2, pre gpt-2", "bert", "rwkv", "tokenizer.json, WordPiece", ".model, Unigram"];
            let chosen = || all.iter().filter(|kind| some.contains(&kind.name.as_str()));
            for a in chosen() {
                for b in chosen() {
                    let comparison = Comparison::new(&a.vocabulary, &b.vocabulary, &text, options).unwrap();
                    let (mut at, mut nth_a, mut nth_b) = (0, 0, 0);
                    for stretch in &comparison.stretches {
                        assert_eq!((stretch.span.start, stretch.a.start, stretch.b.start), (at, nth_a, nth_b), "{text:?}");
                        (at, nth_a, nth_b) = (stretch.span.end, stretch.a.end, stretch.b.end);
                    }
                    assert_eq!((nth_a, nth_b), (comparison.a.len(), comparison.b.len()), "{} {} {text:?}", a.name, b.name);
                    let is_same_kind = a.name == b.name;
                    assert!(!is_same_kind || (comparison.is_same() && comparison.first_id().is_none()));
                    assert_eq!(comparison.is_same(), comparison.first_id().is_none(), "{} {} {text:?}", a.name, b.name);
                }
            }
        });
    }
}

#[test]
fn a_token_that_is_only_a_part_of_a_character_is_told_apart() {
    let vocabulary = gguf(small_gpt2());
    let wholeness = |text: &str| {
        let tokenized = Tokenized::new(&vocabulary, text.to_owned(), PLAIN).unwrap();
        let all: Vec<Wholeness> = (0..tokenized.len()).map(|nth| tokenized.wholeness(nth)).collect();
        (all, tokenized.graphemes())
    };
    use Wholeness::{OfCharacter, OfGrapheme, Whole};
    assert_eq!(wholeness("aé"), (vec![Whole, Whole], 2), "é is a token");
    assert_eq!(wholeness("a€"), (vec![Whole, OfCharacter, OfCharacter, OfCharacter], 2));
    // A letter with a combining accent: two bytes of the accent are no token together.
    assert_eq!(wholeness("e\u{301}"), (vec![OfGrapheme, OfCharacter, OfCharacter], 1));
    assert_eq!(wholeness("\r\n"), (vec![OfGrapheme, OfGrapheme], 1));
    assert_eq!(wholeness(""), (vec![], 0));
}

proptest! {
    /// A range of pieces is the same as that part of all pieces.
    #[test]
    fn any_range_of_pieces_is_that_part_of_all(text in every_kind::text(), start in 0_usize..40, count in 0_usize..40) {
        thread_local! { static LLAMA: Vocabulary = gguf(small_llama()); }
        LLAMA.with(|vocabulary| {
            let tokenized = Tokenized::new(vocabulary, text.clone(), FULL).unwrap();
            let all = vocabulary.preview(&text, FULL).unwrap().pieces;
            let expected = &all[start.min(all.len())..(start + count).min(all.len())];
            assert_eq!(tokenized.pieces(vocabulary, start..start + count), expected);
        });
    }
}
