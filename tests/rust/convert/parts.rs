//! Metadata edited; models split and joined again.

use glassbox::{
    convert::{
        copy,
        edit::{Change, Changed, edited},
        split::{Cut, joined, part_name, parts},
    },
    fault::Result,
    model::{MetaType, MetaValue},
    source::SourceSet,
};

use crate::common::{files, writers};

fn set(bytes: &[u8]) -> SourceSet {
    files::in_memory(&[("model.gguf", bytes)])
}

/// The file after the changes, and what they did.
fn after(bytes: &[u8], changes: &[Change]) -> Result<(Vec<u8>, Vec<Changed>)> {
    let set = set(bytes);
    let model = files::open(&set)?;
    let (header, changed) = edited(&model, changes)?;
    let all: Vec<usize> = (0..model.tensors.len()).collect();
    let mut out = Vec::new();
    files::block_on(copy(&header, &all, &set, &model, &mut out, &mut |_, _| {}))?;
    Ok((out, changed))
}

fn wish(text: &str) -> Change {
    Change::set(text).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn keys_are_set_in_their_places_with_their_types_and_removed() {
    let file = writers::Gguf::small();
    let changes = [
        wish("general.name=a=b"),
        wish("llama.block_count=7"),
        wish("new.count=3"),
        wish("new.minus=-3"),
        wish("new.share=0.25"),
        wish("new.on=true"),
        wish("new.id:u16=9"),
        wish("new.list:[i32]=1, -2,3"),
        wish("new.words:[string]=[\"a, b\", \"c\"]"),
        wish("url=http://host/x"),
        Change::Remove("tokenizer.ggml.scores".into()),
    ];
    let (bytes, changed) = after(&file.bytes(), &changes).unwrap();
    let mut expected = writers::Gguf::small();
    let one = |n: i32| n.to_le_bytes().to_vec();
    expected.entries[1].1 = writers::Value::text("a=b");
    expected.entries[4].1 = writers::Value::u32(7);
    expected.entries.remove(3);
    expected.set("new.count", writers::Value::u32(3));
    expected.set("new.minus", writers::Value(5, one(-3)));
    expected.set("new.share", writers::Value(6, 0.25f32.to_le_bytes().to_vec()));
    expected.set("new.on", writers::Value(7, vec![1]));
    expected.set("new.id", writers::Value(2, vec![9, 0]));
    expected.set("new.list", writers::Value::array(5, &[one(1), one(-2), one(3)]));
    expected.set("new.words", writers::Value::array(8, &[writers::string("a, b"), writers::string("c")]));
    expected.set("url", writers::Value::text("http://host/x"));
    assert!(bytes == expected.bytes());
    assert_eq!(changed[1].before, Some(MetaValue::Unsigned(1, MetaType::U32)));
    assert_eq!((changed[2].before.clone(), changed[10].after.clone()), (None, None));
}

#[test]
fn another_alignment_moves_the_tensors() {
    let (bytes, _) = after(&writers::Gguf::small().bytes(), &[wish("general.alignment:u32=128")]).unwrap();
    let mut expected = writers::Gguf { alignment: 128, ..writers::Gguf::small() };
    expected.set("general.alignment", writers::Value::u32(128));
    assert!(bytes == expected.bytes());
    let (back, _) = after(&bytes, &[Change::Remove("general.alignment".into())]).unwrap();
    assert!(back == writers::Gguf::small().bytes());
}

#[test]
fn changes_that_make_no_sense_are_refused_with_the_key() {
    let refused = |change: Change| after(&writers::Gguf::small().bytes(), &[change]).unwrap_err().what;
    assert_eq!(refused(wish("llama.block_count=many")), "llama.block_count: \"many\" is no u32");
    assert_eq!(refused(wish("a:u8=300")), "a: 300 does not fit the type u8: it holds 0 to 255");
    assert!(refused(wish("a:[f32]=[1,")).starts_with("a: \"[1,\" is not a JSON array"));
    assert!(refused(wish("general.alignment:u32=48")).contains("power of two"));
    assert!(refused(wish("general.alignment:u64=64")).contains("must be a u32"));
    assert!(refused(wish("split.count=2")).contains("glassbox split"));
    assert!(refused(Change::Remove("nothing".into())).contains("there is no key nothing"));
    assert!(Change::set("general.name").is_err() && Change::set("=x").is_err());
}

/// Each part's bytes under its name.
fn split(bytes: &[u8], cut: Cut) -> Vec<(String, Vec<u8>)> {
    let set = set(bytes);
    let model = files::open(&set).unwrap();
    let parts = parts(&model, cut).unwrap_or_else(|fault| panic!("{fault}"));
    let count = parts.len();
    let write = |(number, part): (usize, &glassbox::convert::split::Part)| {
        let mut out = Vec::new();
        files::block_on(copy(&part.header, &part.tensors, &set, &model, &mut out, &mut |_, _| {})).unwrap();
        (part_name("model", number, count), out)
    };
    parts.iter().enumerate().map(write).collect()
}

#[test]
fn a_model_that_is_split_is_joined_to_the_same_bytes() {
    let mut file = writers::Gguf::small();
    for i in 0..9 {
        let data = (0..96u8).map(|b| b ^ i).collect();
        file.tensors.push(writers::Tensor { name: format!("t{i}"), dims: vec![24], kind: 0, offset: None, data });
    }
    for (cut, count) in [(Cut::Tensors(5), 3), (Cut::Tensors(100), 1), (Cut::Bytes(1), 12), (Cut::Bytes(200), 6)] {
        for alignment in [32, 64] {
            let mut file = file.clone();
            if alignment != 32 {
                file.alignment = alignment;
                file.set("general.alignment", writers::Value::u32(alignment as u32));
            }
            let parts = split(&file.bytes(), cut);
            assert!(alignment != 32 || parts.len() == count, "{cut:?}: {} parts", parts.len());
            let named: Vec<(&str, &[u8])> =
                parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
            let set = files::in_memory(&named);
            let model = files::open(&set).unwrap();
            assert!(model.notes.iter().all(|n| n.severity == glassbox::model::Severity::Info), "{:?}", model.notes);
            let header = joined(&model).unwrap();
            let all: Vec<usize> = (0..model.tensors.len()).collect();
            let mut out = Vec::new();
            files::block_on(copy(&header, &all, &set, &model, &mut out, &mut |_, _| {})).unwrap();
            assert!(out == file.bytes(), "{cut:?}, alignment {alignment}");
        }
    }
}

#[test]
fn a_part_alone_is_neither_joined_nor_edited() {
    let parts = split(&writers::Gguf::small().bytes(), Cut::Tensors(1));
    let alone = files::in_memory(&[(parts[0].0.as_str(), parts[0].1.as_slice())]);
    let model = files::open(&alone).unwrap();
    assert!(joined(&model).unwrap_err().what.contains("a part of the model is not here"));
    assert!(edited(&model, &[wish("a=b")]).unwrap_err().what.contains("glassbox merge"));
}
