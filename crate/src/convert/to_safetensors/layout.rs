//! How safetensors files are laid out: the order of tensors, headers, shards and their index.

use std::fmt::Write as _;

use crate::{
    convert::take::Take,
    fault::{Fault, Result},
    tensor::{Encoding, Shape},
};

/// More files than any model has.
const SHARDS_MOST: usize = 99_999;

/// A tensor of the new files.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Slowest dimension first.
    pub shape: Shape,
    /// How its values are stored.
    pub encoding: Encoding,
    /// Its size.
    pub bytes: u64,
    pub(super) take: Take,
}

impl Line {
    /// Indices into the model's tensors of those that its values come from.
    pub fn tensors(&self) -> &[usize] {
        &self.take.tensors
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// Its tensors, by their numbers in the plan.
    pub lines: Vec<usize>,
    /// Bytes of its tensors.
    pub bytes: u64,
}

/// A line, if its encoding has a name in safetensors files.
pub(super) fn line(name: String, shape: Shape, encoding: Encoding, take: Take) -> Result<Line> {
    let spec = encoding.spec().filter(|s| s.safetensors.is_some() && s.block_len == 1);
    let spec = spec
        .ok_or_else(|| Fault::unsupported(format!("{name} is {encoding}, which safetensors files have no name for")))?;
    let bytes = shape.elements().and_then(|n| n.checked_mul(u64::from(spec.block_bytes)));
    let bytes = bytes.ok_or_else(|| Fault::limit(format!("{name} is too large")))?;
    Ok(Line { name, shape, encoding, bytes, take })
}

fn width(line: &Line) -> u32 {
    line.encoding.spec().map_or(1, |s| s.block_bytes)
}

/// The order in which the safetensors library writes: wide numbers first, so that all are aligned; then by name.
pub(super) fn sort(lines: &mut [Line]) {
    lines.sort_by(|a, b| width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name)));
}

/// The files: each takes tensors while there is room; a tensor larger than that has one to itself.
pub(super) fn shards(lines: &[Line], most: Option<u64>) -> Result<Vec<Shard>> {
    let mut groups: Vec<(Vec<usize>, u64)> = vec![(Vec::new(), 0)];
    for (i, line) in lines.iter().enumerate() {
        if let Some((group, bytes)) = groups.last_mut() {
            let all = bytes.saturating_add(line.bytes);
            if most.is_none_or(|most| all <= most) || group.is_empty() {
                group.push(i);
                *bytes = all;
                continue;
            }
        }
        groups.push((vec![i], line.bytes));
    }
    let count = groups.len();
    if count > SHARDS_MOST {
        return Err(Fault::limit(format!("{count} files; a model has at most {SHARDS_MOST}")));
    }
    let name = |i: usize| match count {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
    };
    Ok(groups.into_iter().enumerate().map(|(i, (lines, bytes))| Shard { name: name(i), lines, bytes }).collect())
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// The header of a file, padded with spaces to whole words.
pub(super) fn header(lines: &[Line], shard: &Shard) -> Vec<u8> {
    let mut text = String::from(r#"{"__metadata__":{"format":"pt"}"#);
    let mut at = 0u64;
    for line in shard.lines.iter().filter_map(|i| lines.get(*i)) {
        let dims = line.shape.0.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let dtype = line.encoding.spec().and_then(|s| s.safetensors).unwrap_or_default();
        let end = at + line.bytes;
        let _ = write!(
            text,
            r#",{}:{{"dtype":"{dtype}","shape":[{dims}],"data_offsets":[{at},{end}]}}"#,
            quoted(&line.name)
        );
        at = end;
    }
    text.push('}');
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    text.into_bytes()
}

/// model.safetensors.index.json.
pub(super) fn index(lines: &[Line], shards: &[Shard]) -> Vec<u8> {
    let total: u64 = shards.iter().map(|s| s.bytes).fold(0, u64::saturating_add);
    let mut places: Vec<(&str, &str)> = shards
        .iter()
        .flat_map(|s| s.lines.iter().filter_map(|i| Some((lines.get(*i)?.name.as_str(), s.name.as_str()))))
        .collect();
    places.sort_unstable();
    let map = places.iter().map(|(name, file)| format!("    {}: {}", quoted(name), quoted(file))).collect::<Vec<_>>();
    format!(
        "{{\n  \"metadata\": {{\n    \"total_size\": {total}\n  }},\n  \"weight_map\": {{\n{}\n  }}\n}}\n",
        map.join(",\n")
    )
    .into_bytes()
}
