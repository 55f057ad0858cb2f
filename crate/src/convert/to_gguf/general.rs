//! `general.*`: what a model is called, whose it is, how it is best sampled.

use super::{
    card::Card,
    identity::{Identity, title},
    plan::Options,
    settings::Settings,
    sizes::Sizes,
};
use crate::{
    fault::{Fault, Result},
    model::{MetaType, MetaValue},
    source::SourceSet,
};

/// The longest model card that is read.
const CARD_MOST: u64 = 4 << 20;

/// Sampling settings by their keys, and by those of generation_config.json.
const SAMPLING: &[(&str, &[&str], bool)] = &[
    ("top_k", &["top_k"], true),
    ("top_p", &["top_p"], false),
    ("min_p", &["min_p"], false),
    ("xtc_probability", &["xtc_probability"], false),
    ("xtc_threshold", &["xtc_threshold"], false),
    ("temp", &["temperature"], false),
    ("penalty_last_n", &["penalty_last_n"], true),
    ("penalty_repeat", &["penalty_repeat", "repetition_penalty"], false),
    ("mirostat", &["mirostat"], true),
    ("mirostat_tau", &["mirostat_tau"], false),
    ("mirostat_eta", &["mirostat_eta"], false),
];

/// Writes them.
///
/// # Errors
/// The model card cannot be read.
pub(super) async fn write(s: &mut Settings<'_>, files: &SourceSet, options: &Options, sizes: &Sizes) -> Result<()> {
    let card = card(s, files).await?;
    s.text("general.type", "model")?;
    sampling(s)?;
    let identity = identity(s, &card, sizes, options.folder.as_deref());
    let name = options.name.clone().or_else(|| card.one(&["name", "model_name"]).map(str::to_owned));
    s.text("general.name", &name.or_else(|| identity.name.clone()).unwrap_or_else(|| "Model".into()))?;
    let or = |spelt: &[&str], own: &Option<String>| card.one(spelt).map(str::to_owned).or_else(|| own.clone());
    let size = or(&["size_label", "model_size_label"], &identity.size_label)
        .or_else(|| (sizes.all > 0).then(|| sizes.label()));
    for (key, value) in [
        ("author", or(&["author", "model_author", "model_creator"], &None)),
        ("version", or(&["version", "model_version"], &identity.version)),
        ("organization", or(&["organization", "model_organization"], &identity.organization)),
        ("finetune", or(&["finetune", "model_finetune"], &identity.finetune)),
        ("basename", or(&["basename", "model_basename"], &identity.basename)),
        ("description", or(&["description", "model_description"], &None)),
        ("size_label", size),
        ("license", Some(card.all(&["license"]).join(",")).filter(|l| !l.is_empty())),
        ("license.name", or(&["license_name"], &None)),
        ("license.link", or(&["license_link"], &None)),
    ] {
        if let Some(value) = value {
            s.text(&format!("general.{key}"), &value)?;
        }
    }
    sources(s, "base_model", card.all(&["base_model", "base_models"]), sizes)?;
    sources(s, "dataset", card.all(&["datasets", "dataset"]), sizes)?;
    let tags: Vec<&String> = card.all(&["tags"]).iter().chain(card.all(&["pipeline_tag"])).collect();
    texts(s, "general.tags", &tags)?;
    let languages: Vec<&String> = card.all(&["languages", "language"]).iter().collect();
    texts(s, "general.languages", &languages)
}

fn texts(s: &mut Settings<'_>, key: &str, all: &[&String]) -> Result<()> {
    let items = all.iter().map(|text| MetaValue::String((*text).clone())).collect::<Vec<_>>();
    if items.is_empty() { Ok(()) } else { s.list(key, MetaType::String, items) }
}

/// Models or data sets that this one was made from.
fn sources(s: &mut Settings<'_>, kind: &str, ids: &[String], sizes: &Sizes) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    s.u32(&format!("general.{kind}.count"), ids.len() as u64)?;
    for (i, id) in ids.iter().enumerate() {
        let address = ["http://", "https://", "ssh://"].iter().any(|p| id.starts_with(p));
        let known = ["https://huggingface.co/", "http://huggingface.co/"].iter().find_map(|p| id.strip_prefix(p));
        let named = if address { known.filter(|id| id.matches('/').count() == 1) } else { Some(id.as_str()) };
        let parts = named.map(|id| Identity::of(id, sizes.all)).unwrap_or_default();
        let repository = match (&parts.organization, &parts.name) {
            _ if address => Some(id.clone()),
            (Some(organization), Some(name)) => Some(format!("https://huggingface.co/{organization}/{name}")),
            _ => None,
        };
        for (key, value) in [
            ("name", parts.name.as_deref().map(title)),
            ("version", parts.version.clone()),
            ("organization", parts.organization.as_deref().map(title)),
            ("repo_url", repository),
        ] {
            if let Some(value) = value {
                s.text(&format!("general.{kind}.{i}.{key}"), &value)?;
            }
        }
    }
    Ok(())
}

fn sampling(s: &mut Settings<'_>) -> Result<()> {
    let meta = &s.numbers.model().metadata;
    for (key, spelt, whole) in SAMPLING {
        let stated = spelt.iter().find_map(|name| meta.number(&format!("generation_config.{name}")));
        let Some(n) = stated.filter(|n| n.is_finite()) else { continue };
        let key = format!("general.sampling.{key}");
        match whole {
            true => s.put(&key, MetaValue::Signed(n as i64, MetaType::I32))?,
            false => s.f32(&key, n)?,
        }
    }
    Ok(())
}

/// What names say, the configuration's first, then the folder's.
fn identity(s: &Settings<'_>, card: &Card, sizes: &Sizes, folder: Option<&str>) -> Identity {
    let mut all = Identity::default();
    let stated = s.config.text(&["_name_or_path"]).filter(|n| !n.is_empty() && n.matches('/').count() <= 1);
    for id in stated.into_iter().chain(folder) {
        let parts = Identity::of(id, sizes.all);
        let take = |to: &mut Option<String>, from: Option<String>| *to = to.take().or(from);
        take(&mut all.name, parts.name.as_deref().map(title));
        take(&mut all.organization, parts.organization.as_deref().map(title));
        take(&mut all.basename, parts.basename);
        take(&mut all.finetune, parts.finetune);
        take(&mut all.version, parts.version);
        take(&mut all.size_label, parts.size_label);
    }
    all.basename = card.one(&["model_type"]).map(str::to_owned).or(all.basename);
    all
}

async fn card(s: &Settings<'_>, files: &SourceSet) -> Result<Card> {
    let base = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or_default() == "README.md";
    let home = s.numbers.model().files.first().and_then(|f| f.name.rsplit_once('/')).map_or("", |(home, _)| home);
    let beside = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == home;
    let Some(file) = files.files().iter().find(|f| base(f.name()) && beside(f.name())) else {
        return Ok(Card::default());
    };
    if file.len() > CARD_MOST {
        let what = format!("a model card of {} bytes; up to {CARD_MOST} are read", file.len());
        return Err(Fault::limit(what).in_file(file.name()));
    }
    let bytes = file.read(0..file.len()).await?;
    Ok(Card::parse(&String::from_utf8_lossy(&bytes)))
}
