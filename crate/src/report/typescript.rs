//! The page's types, written from the structs: `www/src/wire/report.ts` is generated, and this test keeps it current.

use std::fs;
use std::path::Path;

use ts_rs::TS;

use super::*;

const HEADER: &str = "\
// Generated from crate/src/report/ by its test; do not edit. To renew it:
//   GLASSBOX_BLESS=1 cargo test -p glassbox --lib typescript
";

/// A struct's name and its TypeScript.
type Declaration = (String, String);

/// One entry per report struct.
fn declarations() -> Vec<Declaration> {
    macro_rules! declared {
        ($($name:ident),* $(,)?) => { vec![$((stringify!($name).to_owned(), interface(<$name as TS>::docs(), &<$name as TS>::decl()))),*] };
    }
    declared![
        ModelReport,
        Fact,
        FileReport,
        FileKind,
        PlaceReport,
        PartReport,
        HierarchyReport,
        VerdictReport,
        RunnerReport,
        FitReport,
        EncodingReport,
        MetadataReport,
        TensorReport,
        GraphReport,
        GraphValueReport,
        GraphNodeReport,
        SectionReport,
        NoteReport,
        MapReport,
        MapPartReport,
        BytesReport,
        PeekReport,
        BlockReport,
        BlockFieldReport,
        StatsReport,
        TokensReport,
        PieceReport,
        PiecesReport,
        ExplainReport,
        ExplainedPart,
        NamedToken,
        AlignedReport,
        ExplainedWord,
        MergeReport,
        ChoiceReport,
        CandidateReport,
        ExplainedToken,
        VocabularyReport,
        TypeCount,
        TokenReport,
        CompareReport,
        SideReport,
        DifferenceReport,
        StretchColumns,
        TemplatesReport,
        TemplateReport,
        FindingReport,
        ChatReport,
        FailureReport,
        TemplateDiffReport,
        ConversationsReport,
        ConversationReport,
        OutcomeReport,
        DiffReport,
        DiffLineReport,
        DeviceReport,
        DevicesReport,
        GeneratedReport,
        AlternativeReport,
        RunReport,
        TimingReport,
        ProgressReport,
        BenchReport,
        EmbedderReport,
        PromptReport,
        EmbedReport,
        ClassifyReport,
        LabelledText,
        LabelScore,
        RankReport,
        RankedText,
        OpsReport,
        OpReport,
        FaultReport,
        CheckReport,
        RefusalReport,
        SalvageReport,
        FileSalvageReport,
    ]
}

/// `type X = { /** doc */ field: T, ... };` as an interface with one field per line; an enum as a union.
fn interface(docs: Option<String>, declaration: &str) -> String {
    let Some((head, body)) = declaration.split_once('{') else {
        return format!("{}export {declaration}\n", comment(&docs.unwrap_or_default(), ""));
    };
    let name = head.trim_start_matches("type").trim_end().trim_end_matches('=').trim();
    let mut text = format!("{}export interface {name} {{\n", comment(&docs.unwrap_or_default(), ""));
    let mut rest = body.trim_end_matches(';').trim_end().trim_end_matches('}').trim();
    while !rest.is_empty() {
        let (docs, after) = match rest.strip_prefix("/**") {
            Some(comment) => comment.split_once("*/").expect("a comment that ends"),
            None => ("", rest),
        };
        let end = field_end(after);
        text.push_str(&comment(docs, "  "));
        text.push_str(&format!("  {};\n", short_arrays(after[..end].trim())));
        rest = after[end..].trim_start_matches(',').trim_start();
    }
    text + "}\n"
}

/// `Array<X>` as `X[]` where X is a plain name.
fn short_arrays(text: &str) -> String {
    let Some((before, after)) = text.split_once("Array<") else { return text.to_owned() };
    let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
    match after[end..].strip_prefix('>') {
        Some(rest) => format!("{before}{}[]{}", &after[..end], short_arrays(rest)),
        None => format!("{before}Array<{}", short_arrays(after)),
    }
}

/// Length of the field that `text` begins with: up to the comma outside all brackets.
fn field_end(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' | '(' | '<' => depth += 1,
            '}' | ']' | ')' | '>' => depth -= 1,
            ',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// A documentation comment from the lines of another.
fn comment(docs: &str, indent: &str) -> String {
    let lines: Vec<&str> =
        docs.lines().map(|l| l.trim().trim_start_matches(['/', '*']).trim()).filter(|l| !l.is_empty()).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        many => format!(
            "{indent}/**\n{}{indent} */\n",
            many.iter().map(|l| format!("{indent} * {l}\n")).collect::<String>()
        ),
    }
}

#[test]
fn the_pages_types_are_those_of_the_reports() {
    let declared: Vec<String> = declarations().into_iter().map(|(_, text)| text).collect();
    let current = format!("{HEADER}\n{}", declared.join("\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/src/wire/report.ts");
    if std::env::var_os("GLASSBOX_BLESS").is_some() {
        fs::write(&file, &current).expect("report.ts can be written");
    }
    let committed = fs::read_to_string(&file).expect("report.ts is committed").replace("\r\n", "\n");
    assert!(
        committed == current,
        "www/src/wire/report.ts is not current: GLASSBOX_BLESS=1 cargo test -p glassbox --lib typescript"
    );
}

#[test]
fn no_report_struct_is_left_out_of_the_pages_types() {
    let named: Vec<String> = declarations().into_iter().map(|(name, _)| name).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report");
    let mut found = 0;
    for entry in fs::read_dir(folder).expect("the folder of this file") {
        let path = entry.expect("a readable entry").path();
        // Folders hold code that fills the structs; those themselves lie here.
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path).expect("a source file");
        for after in text.split("derive(ts_rs::TS)").skip(1) {
            let kinds = ["pub struct ", "pub enum "].into_iter().filter_map(|k| Some(after.find(k)? + k.len()));
            let Some(rest) = kinds.min().map(|at| &after[at..]) else { continue };
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            if name.is_empty() {
                continue; // this very function
            }
            assert!(named.contains(&name), "{name} derives TS but is not in declarations()");
            found += 1;
        }
    }
    assert_eq!(found, named.len());
}

#[test]
fn a_struct_with_nested_types_and_long_docs_becomes_a_readable_interface() {
    let declaration = "type X = { \n/**\n * One, with a comma.\n * And more.\n */\na: { [key in string]?: number }, b?: Array<[string, number]>, c: Array<X> | null, };";
    let expected = "/** An X. */\nexport interface X {\n  /**\n   * One, with a comma.\n   * And more.\n   */\n  a: { [key in string]?: number };\n  b?: Array<[string, number]>;\n  c: X[] | null;\n}\n";
    assert_eq!(interface(Some("/**\n * An X.\n */\n".to_owned()), declaration), expected);
}
