//! Hyper-parameters by the table's words, metadata, and the files of settings beside the weights.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::{
    arch::{Default, Form, Hparams, KEYS, Key, KeyRow, Numbers},
    fault::Result,
    ir::Rotation,
    model::{MetaValue, ModelFile},
    session::Inspection,
    source::SourceFile,
};

use super::matching::Sides;

/// Characters of a value that are kept.
const SHOWN: usize = 200;
/// The largest file of settings that is read.
const FILE: u64 = 16 << 20;
/// Layers whose numbers are compared at most.
const LAYERS: u32 = 4096;
/// Files of settings in a Hugging Face folder, beside config.json.
const FILES: &[&str] =
    &["generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json"];
/// Keys whose forms say the same in numbers that cannot be held against each other.
const BY_FORM: &[Key] =
    &[Key::Sparsity, Key::WindowPattern, Key::Gating, Key::RopeFinetuned, Key::SsmRank, Key::LatentValueDim];

/// A setting that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is called: by the table of hyper-parameters, else its key.
    pub name: String,
    /// What it means; empty where the table does not say.
    pub about: &'static str,
    /// In the first model, shortened; none where it is not stated.
    pub a: Option<String>,
    /// In the second model.
    pub b: Option<String>,
    /// It makes the models differ; else only one form states it.
    pub differs: bool,
}

/// Hyper-parameters that differ, or that one side alone states.
pub(super) fn hyper_parameters(sides: &Sides<'_>) -> Vec<Setting> {
    let (Some(a), Some(b)) = (Numbers::of(sides.a.model()), Numbers::of(sides.b.model())) else { return Vec::new() };
    let across = a.form() != b.form();
    let known = sides.a.known.as_ref().ok().zip(sides.b.known.as_ref().ok()).filter(|_| across);
    let mut found = Vec::new();
    let name = |n: &Numbers<'_>| n.architecture().map_or(n.name(), |a| a.name).to_owned();
    if name(&a) != name(&b) {
        found.push(Setting {
            name: "architecture".into(),
            about: "",
            a: Some(name(&a)),
            b: Some(name(&b)),
            differs: true,
        });
    }
    for row in KEYS {
        let stated = [&a, &b].map(|n| n.find(row.key).is_some());
        if stated == [false, false] || across && BY_FORM.contains(&row.key) {
            continue;
        }
        let (x, y) = (value(&a, row.key), value(&b, row.key));
        let resolved = known.and_then(|(a, b)| is_resolved_alike(&a.hparams, &b.hparams, row.key));
        let differs = match (&x, &y) {
            _ if resolved == Some(true) => continue,
            (None, None) => continue,
            // A form without a key for it says by other means, or not at all, what then does not count.
            _ if resolved == Some(false) => stated == [true, true] || row.key != Key::Context,
            (Some(x), Some(y)) if x.is_same(y) || across && x.is_same_where_both(y) => continue,
            // A word of one form against a number of the other.
            (Some(x), Some(y)) if across && !x.is_like(y) => continue,
            (Some(_), Some(_)) => !across || stated == [true, true] || matches!(row.default, Default::Number(_)),
            _ => !across,
        };
        // What the other form has no key for says nothing.
        let spelled = |form: Form| !(if form == Form::Gguf { row.gguf } else { row.config }).is_empty();
        if across && !differs && !(spelled(a.form()) && spelled(b.form())) {
            continue;
        }
        found.push(Setting {
            name: label(row, [&a, &b]),
            about: row.about,
            a: x.map(|x| x.say()),
            b: y.map(|y| y.say()),
            differs,
        });
    }
    found
}

/// Whether what runs is the same, of numbers that the two forms state by different keys or conventions; none of others.
fn is_resolved_alike(a: &Hparams, b: &Hparams, key: Key) -> Option<bool> {
    Some(match key {
        Key::Activation | Key::FeedForward => a.activation == b.activation,
        Key::RopeDims | Key::RotatedDim | Key::RotaryPart => {
            let dims = |r: &Option<Rotation>| r.as_ref().map(|r| r.dims);
            dims(&a.rope) == dims(&b.rope)
        }
        Key::Window => (0..a.layers).all(|l| a.window.at(l) == b.window.at(l)),
        Key::Context => a.context == b.context,
        Key::RmsEps | Key::LayerNormEps => a.norm_eps == b.norm_eps,
        Key::ScoreScale | Key::QueryScalar => {
            let scale = |h: &Hparams, l: u32| h.score_scale.unwrap_or_else(|| (h.head_dim.at(l) as f32).powf(-0.5));
            (0..a.layers).all(|l| (scale(a, l) - scale(b, l)).abs() <= 1e-6 * scale(a, l).abs())
        }
        Key::Heads | Key::KvHeads | Key::HeadDim | Key::ValueDim if a.latent.is_some() => a.latent == b.latent,
        // 0 where no layer has such a map.
        Key::IntermediateSize => (0..a.layers).all(|l| {
            let (x, y) = (a.intermediate_size.at(l), b.intermediate_size.at(l));
            x == y || x == 0 || y == 0
        }),
        _ => return None,
    })
}

fn label(row: &KeyRow, sides: [&Numbers<'_>; 2]) -> String {
    if !row.label.is_empty() {
        return row.label.to_owned();
    }
    let key = sides.iter().find_map(|n| n.find(row.key)).map(|(key, _)| key);
    key.unwrap_or_else(|| row.gguf.iter().chain(row.config).next().copied().unwrap_or_default().to_owned())
}

/// A value that can be held against another form's.
#[derive(Debug, Clone, PartialEq)]
enum Held {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Held {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => {
                // GGUF files keep 32 bits.
                let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
                let len = a.len().max(b.len());
                let at =
                    |all: &[f64], i: usize| if all.len() == 1 { all.first().copied() } else { all.get(i).copied() };
                (0..len).all(|i| at(a, i).zip(at(b, i)).is_some_and(|(a, b)| near(a, b)))
            }
            (a, b) => a == b,
        }
    }
    /// The same in layers where neither says 0: layers without attention have no heads, and one form says so.
    fn is_same_where_both(&self, other: &Self) -> bool {
        let (Self::Numbers(a), Self::Numbers(b)) = (self, other) else { return false };
        let len = a.len().max(b.len());
        let at = |all: &[f64], i: usize| if all.len() == 1 { all.first().copied() } else { all.get(i).copied() };
        let alike = |(a, b): (f64, f64)| a == b || a == 0.0 || b == 0.0;
        (0..len).all(|i| at(a, i).zip(at(b, i)).is_some_and(alike))
    }
    fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Numbers(_), Self::Numbers(_)) | (Self::Texts(_), Self::Texts(_)))
    }
    fn say(&self) -> String {
        let all: Vec<String> = match self {
            Self::Numbers(all) => all.iter().map(ToString::to_string).collect(),
            Self::Texts(all) => all.clone(),
        };
        let text = match all.as_slice() {
            [one] => one.clone(),
            all => all.join(", "),
        };
        shortened(&text)
    }
}

/// What a model says of a hyper-parameter, or what follows where it says nothing.
fn value(numbers: &Numbers<'_>, key: Key) -> Option<Held> {
    match numbers.find(key).map(|(_, v)| v) {
        Some(MetaValue::Float(n, _)) => Some(Held::Numbers(vec![*n])),
        Some(MetaValue::Bool(b)) => Some(Held::Numbers(vec![f64::from(u8::from(*b))])),
        Some(MetaValue::String(text)) => match (key, text.as_str()) {
            // Nothing is stretched.
            (Key::ScalingType, "none" | "default") => None,
            _ => Some(Held::Texts(vec![text.clone()])),
        },
        Some(MetaValue::Array(array)) if !array.head.iter().all(|v| whole(v).is_some()) => {
            let number = |v: &MetaValue| match v {
                MetaValue::Float(n, _) => Some(*n),
                MetaValue::Bool(b) => Some(f64::from(u8::from(*b))),
                other => whole(other).map(|n| n as f64),
            };
            let numbers: Option<Vec<f64>> = array.head.iter().map(number).collect();
            Some(numbers.map_or_else(|| Held::Texts(array.head.iter().map(in_words).collect()), Held::Numbers))
        }
        _ => {
            let layers = numbers.get(Key::Layers).and_then(|n| u32::try_from(n).ok()).unwrap_or(1).clamp(1, LAYERS);
            let all: Option<Vec<f64>> = (0..layers).map(|l| numbers.at(key, l).map(|n| n as f64)).collect();
            match all {
                Some(mut all) => {
                    if all.windows(2).all(|w| w[0] == w[1]) {
                        all.truncate(1);
                    }
                    Some(Held::Numbers(all))
                }
                None => numbers.positive(key).ok().flatten().map(|n| Held::Numbers(vec![n])),
            }
        }
    }
}

fn whole(value: &MetaValue) -> Option<i128> {
    match value {
        MetaValue::Unsigned(n, _) => Some(i128::from(*n)),
        MetaValue::Signed(n, _) => Some(i128::from(*n)),
        _ => None,
    }
}

/// A value in words, shortened.
pub(super) fn in_words(value: &MetaValue) -> String {
    let text = match value {
        MetaValue::Unsigned(n, _) => n.to_string(),
        MetaValue::Signed(n, _) => n.to_string(),
        MetaValue::Float(n, _) => n.to_string(),
        MetaValue::Bool(b) => b.to_string(),
        MetaValue::String(text) => text.clone(),
        MetaValue::Array(array) => {
            let more = array.len.saturating_sub(array.head.len() as u64);
            let items: Vec<String> = array.head.iter().map(in_words).collect();
            format!("{}{}", items.join(", "), if more > 0 { format!(" and {more} more") } else { String::new() })
        }
    };
    shortened(&text)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

/// Equal but for the width of numbers and the place in the file.
pub(super) fn is_same(a: &MetaValue, b: &MetaValue) -> bool {
    match (a, b) {
        (MetaValue::Float(a, _), MetaValue::Float(b, _)) => a == b || a.is_nan() && b.is_nan(),
        (MetaValue::Array(a), MetaValue::Array(b)) => {
            a.len == b.len && a.head.iter().zip(&b.head).all(|(a, b)| is_same(a, b))
        }
        (a, b) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

/// Metadata of one form that differs and is no hyper-parameter, no part of a tokenizer and no chat template.
pub(super) fn metadata(sides: &Sides<'_>) -> Vec<Setting> {
    if !sides.are_of_one_kind() {
        return Vec::new();
    }
    let known = |model: &ModelFile| -> HashSet<String> {
        let numbers = Numbers::of(model);
        let keys = KEYS.iter().filter_map(|row| numbers.as_ref().and_then(|n| n.find(row.key)));
        keys.map(|(key, _)| key).collect()
    };
    let (a, b) = (sides.a.model(), sides.b.model());
    let (known_a, known_b) = (known(a), known(b));
    let both_known = Numbers::of(a).is_some() && Numbers::of(b).is_some();
    let left_out =
        |key: &str| key.starts_with("tokenizer.") || both_known && (known_a.contains(key) || known_b.contains(key));
    let mut found = Vec::new();
    let setting = |key: &str, a: Option<&MetaValue>, b: Option<&MetaValue>| Setting {
        name: key.to_owned(),
        about: "",
        a: a.map(in_words),
        b: b.map(in_words),
        differs: true,
    };
    for (key, value) in a.metadata.iter().filter(|(key, _)| !left_out(key)) {
        let other = b.metadata.get(key);
        if !other.is_some_and(|other| is_same(value, other)) {
            found.push(setting(key, Some(value), other));
        }
    }
    for (key, value) in b.metadata.iter().filter(|(key, _)| !left_out(key)) {
        if a.metadata.get(key).is_none() {
            found.push(setting(key, None, Some(value)));
        }
    }
    found
}

/// What the files of settings beside two folders' weights say otherwise.
///
/// # Errors
/// A source fails.
pub(super) async fn files(a: &Inspection, b: &Inspection) -> Result<Vec<Setting>> {
    let mut found = Vec::new();
    for name in FILES {
        let (one, other) = (flat(a, name).await?, flat(b, name).await?);
        if let (Some(one), Some(other)) = (&one, &other) {
            let keys: BTreeMap<&String, ()> = one.keys().chain(other.keys()).map(|k| (k, ())).collect();
            for key in keys.keys().filter(|k| one.get(**k) != other.get(**k)) {
                let name = format!("{name}: {key}");
                let of = |side: &BTreeMap<String, String>| side.get(*key).map(|v| shortened(v));
                found.push(Setting { name, about: "", a: of(one), b: of(other), differs: true });
            }
        } else if one.is_some() != other.is_some() {
            let here = |side: bool| Some(if side { "there" } else { "not there" }.to_owned());
            let (a, b) = (here(one.is_some()), here(other.is_some()));
            found.push(Setting { name: (*name).to_owned(), about: "", a, b, differs: true });
        }
    }
    Ok(found)
}

/// A file of settings, its keys with dots; none where it is not there, or is no JSON.
async fn flat(inspection: &Inspection, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let Some(json) = json(inspection, name, FILE).await? else { return Ok(None) };
    let mut found = BTreeMap::new();
    flatten("", &json, 0, &mut found);
    Ok(Some(found))
}

/// A JSON file beside the weights.
pub(super) async fn json(inspection: &Inspection, name: &str, most: u64) -> Result<Option<Value>> {
    let is = |file: &&SourceFile| file.name() == name && file.len() <= most;
    let Some(file) = inspection.files().files().iter().find(is) else { return Ok(None) };
    Ok(serde_json::from_slice(&file.read(0..file.len()).await?).ok())
}

fn flatten(key: &str, value: &Value, depth: usize, into: &mut BTreeMap<String, String>) {
    // The template has a comparison of its own, line by line.
    if key == "chat_template" {
        return;
    }
    match value {
        Value::Object(fields) if depth < 8 && !fields.is_empty() => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, depth + 1, into);
            }
        }
        other => {
            into.insert(key.to_owned(), other.as_str().map_or_else(|| other.to_string(), str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetaType;

    #[test]
    fn numbers_are_the_same_within_32_bits_and_once_for_all_layers() {
        let n = |all: &[f64]| Held::Numbers(all.to_vec());
        assert!(n(&[1e-5]).is_same(&n(&[f64::from(1e-5f32)])));
        assert!(n(&[8.0]).is_same(&n(&[8.0, 8.0])));
        assert!(!n(&[8.0]).is_same(&n(&[8.0, 4.0])));
        assert!(!n(&[8.0, 8.0, 8.0]).is_same(&n(&[8.0, 8.0])));
        assert!(!Held::Texts(vec!["silu".into()]).is_same(&n(&[1.0])));
    }

    #[test]
    fn widths_of_integers_are_no_difference() {
        assert!(is_same(&MetaValue::Unsigned(3, MetaType::U32), &MetaValue::Signed(3, MetaType::I64)));
        assert!(!is_same(&MetaValue::Unsigned(3, MetaType::U32), &MetaValue::String("3".into())));
    }
}
