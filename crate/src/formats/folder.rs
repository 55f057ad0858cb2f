//! Which of the files given make one model, and what the others are to it.

use super::{
    FORMATS, Format, Match,
    findings::quoted,
    lookalike::{self, Lookalike},
    merge::{self, Part},
    read_header, recognise,
    side::{self, SIDE_MOST, base, folder_of, role},
    tokenizer_file::{self, TokenizerKind, tokenizer_kind},
    weightless, xray,
};
use crate::{
    fault::{Fault, Result},
    model::{
        Awaited, Companion, FileRole, FileSummary, FormatId, ModelFile, Note, NoteCode, Section, SectionKind, Severity,
    },
    source::{Feed, Limits, SourceFile, SourceSet},
};

/// One of the files given.
pub(super) struct Given<'a> {
    pub(super) file: &'a SourceFile,
    pub(super) kind: Kind<'a>,
}

pub(super) enum Kind<'a> {
    Model(&'static dyn Format, Feed<'a>),
    /// A shard index: tensor and file names.
    Index(merge::Index),
    /// A tokenizer, and its role beside a model.
    Tokenizer(TokenizerKind, Feed<'a>, FileRole),
    /// A Git LFS pointer: the length of the file that it stands for, and what is said of it.
    Pointer(Option<u64>, String),
    Other(FileRole),
}

/// A model, and what else was learnt of the files.
pub struct Opened {
    /// The model.
    pub model: ModelFile,
    /// Files that hold a tokenizer, by their kinds and names.
    pub tokenizers: Vec<(TokenizerKind, String)>,
}

/// A model among the files: its parts in order.
struct Group {
    format: FormatId,
    parts: Vec<Part>,
    index: Option<usize>,
}

/// See [`super::open`].
pub(super) async fn open(files: &SourceSet, limits: &Limits) -> Result<Opened> {
    if files.files().is_empty() {
        return Err(Fault::caller("no file was given"));
    }
    let mut given = Vec::with_capacity(files.files().len());
    for file in files.files() {
        given.push(Given { file, kind: classify(file, limits).await? });
    }
    let tokenizers = given.iter().filter_map(|g| match &g.kind {
        Kind::Tokenizer(kind, ..) => Some((*kind, g.file.name().to_owned())),
        _ => None,
    });
    let tokenizers: Vec<_> = tokenizers.collect();
    let mut model = read(files, given, limits).await?;
    for (name, what) in files.unread() {
        let note = Note::new(Severity::Warning, format!("{} is left out: {what}", quoted(name)));
        let note = note.why("what lies in it is not seen, and may belong to the model");
        model.notes.push(note.code(NoteCode::LeftOut).advice("make it readable, or give the other files alone"));
    }
    super::findings::sort(&mut model.notes);
    Ok(Opened { model, tokenizers })
}

/// The model among classified files.
async fn read(files: &SourceSet, mut given: Vec<Given<'_>>, limits: &Limits) -> Result<ModelFile> {
    let mut groups = group(&given);
    let depth = |g: &Group| g.place(&given).map_or(usize::MAX, |i| given[i].file.name().matches('/').count());
    let bytes = |g: &Group| g.parts.iter().filter_map(|p| p.given).map(|i| given[i].file.len()).sum::<u64>();
    crate::order::sort_by_key(&mut groups, |g| {
        let absent = g.parts.iter().all(|p| p.given.is_none());
        (absent, beside(g, &given), depth(g), preference(g.format), std::cmp::Reverse(bytes(g)))
    });
    if groups.is_empty() {
        return without_weights(given, files, limits).await;
    }
    let others = groups.split_off(1);
    let Some(chosen) = groups.pop() else { return Err(Fault::bug("no group")) };
    let mut model = read_parts(&chosen, &mut given, limits).await?;
    let place: Vec<usize> = chosen.parts.iter().filter_map(|p| p.given).collect();
    let mut used: Vec<usize> = place.clone();
    if matches!(chosen.format, FormatId::Onnx | FormatId::TensorFlow) {
        let at = model.files.first().map(|f| f.name.clone()).unwrap_or_default();
        used.extend(merge::external(&mut model, &at, files));
    }
    let home = chosen.place(&given).map_or("", |i| folder_of(given[i].file.name()));
    if !model.awaited.is_empty() {
        // What only stands in the place of a missing part is no file of the model.
        let awaited = |name: &str| model.awaited.iter().any(|a| a.name == name);
        used.extend(given.iter().enumerate().filter(|(_, g)| awaited(g.file.name())).map(|(i, _)| i));
    }
    add_side_files(&mut model, home, &given, &used).await?;
    for other in &others {
        let named: Vec<_> = other.parts.iter().filter_map(|p| p.given).collect();
        if let Some(first) = named.first().filter(|first| !side::is_module(&model, home, given[**first].file.name())) {
            let what = format!("{} holds another {} model", quoted(given[*first].file.name()), other.format.name());
            let note = Note::new(Severity::Info, what).why("one model is shown at a time");
            model.notes.push(note.code(NoteCode::AnotherModel).advice("open it on its own"));
        }
    }
    Ok(model)
}

/// What files without weights are: a model's folder that lacks them, else a tokenizer.
async fn without_weights(mut given: Vec<Given<'_>>, files: &SourceSet, limits: &Limits) -> Result<ModelFile> {
    if let Some((mut model, config, used)) = weightless::describe(&given).await? {
        let home = given.get(config).map_or("", |g| folder_of(g.file.name()));
        // The file that describes the model comes first: its folder is the model's.
        let file = given.remove(config);
        let used: Vec<usize> = used.into_iter().map(|i| if i < config { i + 1 } else { i }).collect();
        given.insert(0, file);
        add_side_files(&mut model, home, &given, &used).await?;
        return Ok(model);
    }
    let depth = |g: &Given<'_>| g.file.name().matches('/').count();
    let best = given.iter().enumerate().filter_map(|(i, g)| match &g.kind {
        Kind::Tokenizer(kind, ..) => Some((depth(g), *kind, i)),
        _ => None,
    });
    let Some((_, _, i)) = best.min() else { return Err(no_model(&given, files)) };
    let file = given[i].file;
    let Kind::Tokenizer(_, feed, role) = std::mem::replace(&mut given[i].kind, Kind::Other(FileRole::Tokenizer)) else {
        return Err(Fault::bug("a tokenizer is none").in_file(file.name()));
    };
    let mut model = read_header(file, &tokenizer_file::TokenizerFile, feed, limits).await?;
    model.files.push(FileSummary { name: file.name().into(), bytes: file.len(), role });
    add_side_files(&mut model, folder_of(file.name()), &given, &[i]).await?;
    Ok(model)
}

/// Of the same model in several formats in one folder, the one that says most and runs nothing.
fn preference(format: FormatId) -> u8 {
    match format {
        FormatId::Safetensors | FormatId::Gguf | FormatId::Onnx => 0,
        FormatId::Pickle | FormatId::Numpy => 2,
        _ => 1,
    }
}

/// What a GGUF file beside a model is, by the names that llama.cpp's tools give.
fn companion(name: &str) -> Option<Companion> {
    let name = name.to_ascii_lowercase();
    let is = |word: &str| name.contains(word);
    Some(match () {
        () if is("mmproj") => Companion::Projector,
        () if is("imatrix") => Companion::ImportanceMatrix,
        () if is("lora") || is("adapter") => Companion::Adapter,
        () => return None,
    })
}

/// Does a file of this name serve another model?
fn serves(format: FormatId, name: &str) -> bool {
    match format {
        FormatId::Gguf => companion(name).is_some(),
        FormatId::Safetensors | FormatId::PyTorch => name.starts_with("adapter_model."),
        _ => false,
    }
}

/// True for what training leaves beside a model, and for what only serves one: it is opened only where there is
/// nothing else.
fn beside(group: &Group, given: &[Given<'_>]) -> bool {
    let name = group.place(given).map_or("", |i| base(given[i].file.name()));
    if serves(group.format, name) {
        return true;
    }
    let state = ["optimizer", "scheduler", "rng_state", "training_args", "scaler"];
    matches!(group.format, FormatId::PyTorch | FormatId::Pickle) && state.iter().any(|s| name.starts_with(s))
}

impl Group {
    /// The given file that says where the model lies.
    fn place(&self, _given: &[Given<'_>]) -> Option<usize> {
        self.index.or_else(|| self.parts.iter().find_map(|p| p.given))
    }
}

/// What one file is, by its content.
async fn classify<'a>(file: &'a SourceFile, limits: &Limits) -> Result<Kind<'a>> {
    let feed = Feed::open(file, limits).await?;
    let head = feed.window().rest(0);
    if let Some(format) = recognise(head, file.name(), file.len())
        && format.id() != FormatId::Tokenizer
    {
        return Ok(Kind::Model(format, feed));
    }
    let role_by_name = role(base(file.name()));
    // Settings and lists of added tokens look like small vocabularies; their names tell.
    let may_be_tokenizer = matches!(role_by_name, None | Some(FileRole::Tokenizer | FileRole::Vocabulary));
    if may_be_tokenizer && let Some(kind) = tokenizer_kind(head, file.name(), file.len()) {
        return Ok(Kind::Tokenizer(kind, feed, role_by_name.unwrap_or(FileRole::Tokenizer)));
    }
    if let Some(bytes) = weightless::pointed(head) {
        let size = bytes.map(|n| format!(", which has {n} bytes")).unwrap_or_default();
        let what = format!(
            "a Git LFS pointer, not the model itself{size} (fetch the real file with `git lfs pull`, or download it from the model's page)"
        );
        return Ok(Kind::Pointer(bytes, what));
    }
    let looks_json = head.trim_ascii_start().starts_with(b"{");
    let names_shards = head.windows(12).any(|w| w == b"\"weight_map\"") || file.name().ends_with(".index.json");
    if looks_json
        && names_shards
        && file.len() <= SIDE_MOST
        && let Some(index) = merge::Index::parse(&file.read(0..file.len()).await?)
    {
        return Ok(Kind::Index(index));
    }
    if let Some(role) = role_by_name {
        return Ok(Kind::Other(role));
    }
    let tail = file.read(file.len().saturating_sub(8)..file.len()).await?;
    if base(file.name()).contains(".data-") && base(file.name()).contains("-of-") {
        let what = "values of a TensorFlow checkpoint (open them together with the .index file)";
        return Ok(Kind::Other(FileRole::Other(what.into())));
    }
    if let Some(Lookalike { name, advice }) = lookalike::name(feed.window().rest(0), &tail) {
        // What an archive hides is not unpacked, but a pickle that lies in it as it is can be seen.
        let hidden = xray::glimpse(feed.window().rest(0)).map(|what| format!("; {what}")).unwrap_or_default();
        let inside = inside(feed.window().rest(0)).map(|what| format!("; in it: {what}")).unwrap_or_default();
        return Ok(Kind::Other(FileRole::Other(format!("{name} ({advice}{hidden}{inside})"))));
    }
    // No content test speaks for or against: the name decides which reader explains what is wrong.
    let named = FORMATS.iter().find(|f| f.sniff(feed.window().rest(0), file.name(), file.len()) == Match::ByName);
    Ok(match named {
        Some(format) => Kind::Model(*format, feed),
        None => Kind::Other(FileRole::Other(format!(
            "of no known format (it starts with {})",
            lookalike::first_bytes(feed.window().rest(0))
        ))),
    })
}

/// What a packed file holds, by the first bytes of it unpacked.
fn inside(head: &[u8]) -> Option<String> {
    let unpacked = lookalike::gunzipped(head)?;
    // Of what is packed no more than this is known, not even its length.
    if let Some(format) = recognise(&unpacked, "", u64::MAX) {
        return Some(format!("a {} file", format.id().name()));
    }
    let known = lookalike::name(&unpacked, &[])?;
    Some(format!("{} ({})", known.name, known.advice))
}

/// Groups shards by their index, else by their names; every other model file stands for itself.
fn group(given: &[Given<'_>]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut taken = vec![false; given.len()];
    for (i, file) in given.iter().enumerate() {
        let Kind::Index(index) = &file.kind else { continue };
        let folder = folder_of(file.file.name());
        let names = index.files();
        let total = names.len();
        let mut parts = Vec::with_capacity(total);
        for (k, name) in names.into_iter().enumerate() {
            let full = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let found = given.iter().position(|g| g.file.name() == full);
            let usable = found.filter(|j| matches!(&given[*j].kind, Kind::Model(f, _) if f.id() == index.format));
            if let Some(j) = usable {
                taken[j] = true;
            }
            let instead = found.filter(|_| usable.is_none()).map(|j| match &given[j].kind {
                Kind::Other(what) => what.to_string(),
                Kind::Pointer(..) => "a Git LFS pointer".into(),
                _ => "another kind of file".into(),
            });
            let bytes = found.and_then(|j| if let Kind::Pointer(bytes, _) = given[j].kind { bytes } else { None });
            let missing = usable.is_none().then_some(Awaited { name: full, bytes, instead });
            parts.push(Part { name, given: usable, number: k + 1, total, missing });
        }
        groups.push(Group { format: index.format, parts, index: Some(i) });
    }
    for i in 0..given.len() {
        if let Some(parts) = saved_model(given, i, &mut taken) {
            taken[i] = true;
            groups.push(Group { format: FormatId::TensorFlow, parts, index: None });
        }
    }
    for (i, file) in given.iter().enumerate() {
        let Kind::Model(format, _) = &file.kind else { continue };
        if taken[i] {
            continue;
        }
        let id = format.id();
        let name = file.file.name();
        let shard = merge::ShardName::parse(name).filter(|s| s.total > 1 && id != FormatId::Onnx);
        let Some(shard) = shard else {
            let part = Part { name: name.into(), given: Some(i), number: 1, total: 1, missing: None };
            groups.push(Group { format: id, parts: vec![part], index: None });
            continue;
        };
        let total = shard.total.min(merge::SHARDS_MOST);
        let mut parts = Vec::with_capacity(total);
        for number in 1..=total {
            let name = shard.with_number(number);
            let found = given.iter().position(|g| g.file.name() == name);
            let usable = found.filter(|j| !taken[*j] && matches!(&given[*j].kind, Kind::Model(f, _) if f.id() == id));
            if let Some(j) = usable {
                taken[j] = true;
            }
            let missing = usable.is_none().then(|| {
                let (bytes, instead) = match found.map(|j| &given[j].kind) {
                    Some(Kind::Pointer(bytes, _)) => (*bytes, Some("a Git LFS pointer".to_owned())),
                    Some(Kind::Other(what)) => (None, Some(what.to_string())),
                    _ => (None, None),
                };
                Awaited { name: name.clone(), bytes, instead }
            });
            parts.push(Part { name, given: usable, number, total, missing });
        }
        groups.push(Group { format: id, parts, index: None });
    }
    groups
}

/// `saved_model.pb` with the checkpoint of its variables, where both were given.
fn saved_model(given: &[Given<'_>], i: usize, taken: &mut [bool]) -> Option<Vec<Part>> {
    let this = given.get(i)?;
    let name = this.file.name();
    matches!(&this.kind, Kind::Model(f, _) if f.id() == FormatId::TensorFlow).then_some(())?;
    let index = format!("{}variables/variables.index", name.strip_suffix("saved_model.pb")?);
    let j = given.iter().position(|g| g.file.name() == index)?;
    let usable =
        matches!(&given.get(j)?.kind, Kind::Model(f, _) if f.id() == FormatId::TensorFlow) && !*taken.get(j)?;
    usable.then(|| {
        taken[j] = true;
        let part =
            |name: &str, at, number| Part { name: name.into(), given: Some(at), number, total: 2, missing: None };
        vec![part(name, i, 1), part(&index, j, 2)]
    })
}

fn no_model(given: &[Given<'_>], files: &SourceSet) -> Fault {
    let say = |g: &Given<'_>| match &g.kind {
        Kind::Other(what) => what.to_string(),
        Kind::Pointer(_, what) => what.clone(),
        _ => "not a model on its own".to_owned(),
    };
    if let [only] = given {
        return Fault::unsupported(format!("not a model Glassbox opens: it is {}", say(only)))
            .at(0)
            .in_file(only.file.name());
    }
    let told: Vec<_> = given.iter().take(5).map(|g| format!("{} is {}", quoted(g.file.name()), say(g))).collect();
    let more = if given.len() > 5 { format!("; and {} more", given.len() - 5) } else { String::new() };
    let unread = match files.unread() {
        [] => String::new(),
        [(name, what), ..] => format!("; {} was left out: {what}", quoted(name)),
    };
    Fault::unsupported(format!("none of the {} files is a model: {}{more}{unread}", given.len(), told.join("; ")))
}

/// Reads the parts' headers and joins them.
async fn read_parts(chosen: &Group, given: &mut [Given<'_>], limits: &Limits) -> Result<ModelFile> {
    let mut whole = merge::Whole::new(chosen.format);
    for part in &chosen.parts {
        let Some(i) = part.given else {
            whole.missing(part);
            continue;
        };
        let file = given[i].file;
        let Kind::Model(format, feed) = std::mem::replace(&mut given[i].kind, Kind::Other(FileRole::Weights)) else {
            return Err(Fault::bug("a part is not a model").in_file(file.name()));
        };
        match read_header(file, format, feed, limits).await {
            Ok(model) => whole.add(part, file, model),
            // One unreadable shard must not hide the others.
            Err(fault) if chosen.parts.len() > 1 => whole.unreadable(part, &fault),
            Err(fault) => return Err(fault),
        }
    }
    let index = chosen.index.and_then(|i| match &given[i].kind {
        Kind::Index(index) => Some(index),
        _ => None,
    });
    Ok(whole.finish(index))
}

/// Lists the files that are not weights, and takes in the configuration beside the weights.
async fn add_side_files(model: &mut ModelFile, home: &str, given: &[Given<'_>], used: &[usize]) -> Result<()> {
    let mut read = Vec::new();
    for (i, side) in given.iter().enumerate() {
        let name = side.file.name();
        let role = match &side.kind {
            _ if used.contains(&i) => continue,
            Kind::Model(format, _) => match companion(base(name)) {
                Some(what) if serves(format.id(), base(name)) => FileRole::Beside(what),
                _ => FileRole::Another(format.id()),
            },
            Kind::Index(_) => FileRole::Index,
            Kind::Pointer(_, what) => FileRole::Other(what.clone()),
            Kind::Tokenizer(_, _, role) | Kind::Other(role) => role.clone(),
        };
        let number = model.files.len();
        let len = side.file.len();
        let known = self::role(base(name)).is_some() || matches!(side.kind, Kind::Index(_) | Kind::Tokenizer(..));
        // The configuration of a part (a pooling layer, a model of a pipeline) is not the model's.
        let elsewhere = role == FileRole::Configuration && folder_of(name) != home;
        let role = if elsewhere { FileRole::PartConfiguration } else { role };
        if known {
            read.push((number, side.file));
        }
        if len > 0 {
            let kind = if known { SectionKind::Metadata } else { SectionKind::Gap };
            model.sections.push(Section { file: number, at: 0..len, kind });
        }
        if let (Kind::Other(what), true) = (&side.kind, name.ends_with(".index.json")) {
            let what = format!("{} is not a readable index: it is {what}", quoted(name));
            let note = Note::new(Severity::Warning, what).at(number, 0);
            model.notes.push(
                note.code(NoteCode::IndexDisagrees)
                    .why("which shards belong to the model is known by their names alone"),
            );
        }
        model.files.push(FileSummary { name: name.into(), bytes: len, role });
    }
    side::read_all(model, home, &read).await
}
