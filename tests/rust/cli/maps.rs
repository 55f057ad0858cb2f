//! `map` and `hex`: what lies where in a file, and its bytes.

use super::*;

#[test]
fn map_names_every_part_once_and_the_parts_fill_the_file() {
    let report = json(&["map", path(&sample("gguf/sample-q8_0.gguf")), "--json"]);
    let parts = report["parts"].as_array().expect("parts");
    let mut at = 0;
    for part in parts {
        assert_eq!(part["start"].as_u64(), Some(at), "{part} begins where the one before ends");
        assert_eq!(part["shares_with"], Value::Null);
        at = part["end"].as_u64().expect("an end");
    }
    assert_eq!(Some(at), report["files"][0]["bytes"].as_u64());
    let kinds: Vec<&str> = parts.iter().filter_map(|p| p["kind"].as_str()).collect();
    assert_eq!(kinds[..4], ["header", "metadata", "tensor list", "padding"]);
    let named = parts.iter().filter(|p| p["kind"] == "tensor" && p["name"].is_string()).count();
    let listed = json(&["inspect", path(&sample("gguf/sample-q8_0.gguf")), "--json"]);
    assert_eq!(Some(named), listed["tensors"].as_array().map(Vec::len));
}

/// A safetensors file: its header as given, then `data` zero bytes.
fn safetensors(name: &str, header: &str, data: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    std::fs::write(folder.path().join(name), bytes).expect("written");
    folder
}

#[test]
fn map_shows_overlaps_and_what_a_cut_file_lost() {
    let header = r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]},"c":{"dtype":"U8","shape":[8],"data_offsets":[12,20]}}"#;
    let folder = safetensors("m.safetensors", header, 16);
    let report = json(&["map", path(&folder.path().join("m.safetensors")), "--json"]);
    let data = 8 + header.len() as u64;
    let parts: Vec<(String, u64, u64, Value, u64)> = report["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .filter(|p| p["start"].as_u64() >= Some(data))
        .map(|p| {
            let number = |key: &str| p[key].as_u64().expect("a number");
            let kind = p["kind"].as_str().expect("a kind").to_owned();
            (kind, number("start") - data, number("end") - data, p["shares_with"].clone(), number("shared_bytes"))
        })
        .collect();
    let expected = [
        ("tensor".to_owned(), 0, 8, Value::Null, 0),
        ("tensor".to_owned(), 4, 12, "a".into(), 4),
        ("missing".to_owned(), 12, 20, Value::Null, 0),
    ];
    assert_eq!(parts, expected);
    let text = String::from_utf8(glassbox(&["map", path(&folder.path().join("m.safetensors"))]).stdout).expect("UTF-8");
    assert!(text.contains("overlaps a by 4 B"), "{text}");
}

#[test]
fn hex_prints_the_very_bytes_and_no_control_character() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.bin");
    let bytes: Vec<u8> = (0..=255).collect();
    std::fs::write(&file, &bytes).expect("written");
    let report = json(&["hex", path(&file), "--at", "0xf0", "--bytes", "1,000", "--json"]);
    assert_eq!(report["hex"], "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff");
    assert_eq!((report["start"].as_u64(), report["bytes_total"].as_u64()), (Some(240), Some(256)));
    let text = String::from_utf8(glassbox(&["hex", path(&file)]).stdout).expect("UTF-8");
    assert!(text.contains("00000040  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f   @ABCDEFGHIJKLMNO"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "a control character got through");
    let beyond = glassbox(&["hex", path(&file), "--at", "257"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("ends at byte 256"));
}
