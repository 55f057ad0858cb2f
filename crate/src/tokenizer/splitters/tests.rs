use super::*;

#[test]
fn every_regex_compiles_and_no_name_has_two_rows() {
    let mut names: Vec<&str> = Vec::new();
    for row in SPLITTERS {
        assert!(row.names.is_sorted(), "{:?}", row.names);
        names.extend(row.names);
        for rule in row.rules {
            if let Rule::Regex(regex) = rule {
                assert!(fancy_regex::Regex::new(regex).is_ok(), "{regex}");
            }
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    // llama.cpp at 00ad355e009e knows these but glm5 and mmbert, which are of later ones.
    assert_eq!(count, NAMES.len());
    assert_eq!(names, NAMES);
}

#[test]
fn digits_are_grouped_as_llama_cpp_groups_them() {
    let pieces = |text: &str, how| group(text, how).into_iter().map(|r| text[r].to_owned()).collect::<Vec<_>>();
    // `\d{1,3}(?=(?:\d{3})*\b)`: not at all where a letter follows.
    assert_eq!(pieces("a1234 12345b 123", Digits::BeforeNoWord), ["a", "1", "234", " 12345b ", "123"]);
    // `(?=(\d{3})+(?!\d))`, which is empty where it matches.
    assert_eq!(pieces("1234567a123", Digits::EveryThird), ["1", "234", "567a", "123"]);
    // The text before a run stays with its first group.
    assert_eq!(pieces("ab1234 c123x", Digits::WithTextBefore), ["ab1", "234", " c123", "x"]);
    assert_eq!(pieces("", Digits::EveryThird), Vec::<String>::new());
}

const NAMES: &[&str] = &[
    "a.x-4.0",
    "afmoe",
    "bailingmoe",
    "bailingmoe2",
    "bloom",
    "chameleon",
    "chatglm-bpe",
    "codeshell",
    "cohere2moe",
    "command-r",
    "dbrx",
    "deepseek-coder",
    "deepseek-llm",
    "deepseek-r1-qwen",
    "deepseek-v3",
    "default",
    "exaone",
    "exaone-moe",
    "exaone4",
    "f2llmv2",
    "falcon",
    "falcon-h1",
    "falcon3",
    "gemma4",
    "gigachat",
    "glm4",
    "glm5",
    "gpt-2",
    "gpt-4o",
    "gpt3-finnish",
    "granite-docling",
    "granite-embed-multi-311m",
    "granite-embed-multi-97m",
    "grok-2",
    "hunyuan",
    "hunyuan-dense",
    "hy_v4",
    "jais",
    "jais-2",
    "jina-de",
    "jina-es",
    "jina-v1-en",
    "jina-v2-code",
    "jina-v2-de",
    "jina-v2-es",
    "jina-v5-nano",
    "joyai-llm",
    "kanana2",
    "kimi-k2",
    "kormo",
    "laguna",
    "lfm2",
    "llada-moe",
    "llama-bpe",
    "llama-v3",
    "llama3",
    "llama4",
    "megrez",
    "mellum",
    "mellum2",
    "midm-2.0",
    "minerva-7b",
    "minicpm5",
    "minimax-m2",
    "mmbert",
    "modern-bert",
    "mpt",
    "olmo",
    "phi-2",
    "pixtral",
    "poro-chat",
    "qwen2",
    "qwen35",
    "refact",
    "roberta-bpe",
    "sarvam-moe",
    "seed-coder",
    "smaug-bpe",
    "smollm",
    "solar-open",
    "spark2_5",
    "stablelm2",
    "starcoder",
    "superbpe",
    "talkie",
    "tekken",
    "tiny_aya",
    "trillion",
    "ufakzeka",
    "viking",
    "whitespace",
    "youtu",
];
