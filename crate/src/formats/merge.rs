//! Joining shards, splits and external data to one model.

mod external;
mod flatten;

pub(super) use external::{external, plain_location};
pub(super) use flatten::{flatten, flatten_at};

use std::collections::{HashMap, HashSet};

use super::{codec::json::Json, findings::quoted};
use crate::fault::Fault;
use crate::model::{
    Awaited, Cut, FileRole, FileSummary, FormatId, Loader, Metadata, ModelFile, Note, NoteCode, Place, SectionKind,
    Severity, TensorEntry, Version,
};
use crate::source::SourceFile;
use crate::tensor::{Encoding, Shape};

/// Shards of one model, at most (huggingface.js has the same limit).
pub(super) const SHARDS_MOST: usize = 10_000;
/// What to do about an index that does not fit its shards.
const DISAGREE: &str = "get index and shards from one place; transformers' save_pretrained writes both anew";
/// Tensors named one by one where shards and index disagree.
const TOLD: usize = 8;

/// One expected file of a model.
pub(super) struct Part {
    /// Name as the index or its siblings state it.
    pub(super) name: String,
    /// Which of the files given it is.
    pub(super) given: Option<usize>,
    /// 1 for the first.
    pub(super) number: usize,
    pub(super) total: usize,
    /// What is known of it where it is not given.
    pub(super) missing: Option<Awaited>,
}

/// `name-00001-of-00002.gguf`.
pub(super) struct ShardName {
    prefix: String,
    digits: usize,
    of: String,
    pub(super) total: usize,
}

impl ShardName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let dot = name.rfind('.')?;
        let (stem, end) = name.split_at(dot);
        let (front, total) = stem.rsplit_once("-of-")?;
        let cut = front.rfind(['-', '_'])? + 1;
        let (prefix, number) = front.split_at(cut);
        let plain = |t: &str| (5..=6).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
        (plain(number) && plain(total)).then_some(())?;
        let total_number: usize = total.parse().ok()?;
        let number_value: usize = number.parse().ok()?;
        (1..=total_number).contains(&number_value).then(|| Self {
            prefix: prefix.to_owned(),
            digits: number.len(),
            of: format!("-of-{total}{end}"),
            total: total_number,
        })
    }
    /// The index of such shards: "model.safetensors.index.json" of "model-00001-of-00002.safetensors".
    pub(super) fn index(&self, format: FormatId) -> Option<String> {
        matches!(format, FormatId::Safetensors | FormatId::PyTorch).then_some(())?;
        let end = self.of.rsplit_once('.')?.1;
        Some(format!("{}.{end}.index.json", self.prefix.trim_end_matches(['-', '_'])))
    }
    pub(super) fn with_number(&self, number: usize) -> String {
        format!("{}{number:0width$}{}", self.prefix, self.of, width = self.digits)
    }
}

/// `model.safetensors.index.json`, or `pytorch_model.bin.index.json`.
pub(super) struct Index {
    /// Of its shards, by their names.
    pub(super) format: FormatId,
    /// Tensor name and file name, in the index's order.
    weight_map: Vec<(String, String)>,
    total_size: Option<u64>,
}

impl Index {
    /// The index, if these bytes are one for safetensors or PyTorch.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let json = Json::parse(text).ok()?;
        let Json::Object(members) = json.get("weight_map")? else { return None };
        let mut weight_map = Vec::with_capacity(members.len());
        for (tensor, file) in members {
            let Json::String(file) = file else { return None };
            weight_map.push((tensor.clone(), file.clone()));
        }
        let total_size = match json.get("metadata").and_then(|m| m.get("total_size")) {
            Some(Json::Number(n)) => n.as_u64().or_else(|| n.as_f64().map(|f| f as u64)),
            _ => None,
        };
        let all = |end: &str| weight_map.iter().all(|(_, f)| f.ends_with(end));
        let format = match (all(".safetensors"), all(".bin") || all(".pt")) {
            (true, _) => FormatId::Safetensors,
            (_, true) => FormatId::PyTorch,
            _ => return None,
        };
        Some(Self { format, weight_map, total_size })
    }
    /// The files it names, sorted, each once.
    pub(super) fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = self.weight_map.iter().map(|(_, f)| f.clone()).collect();
        crate::order::sort(&mut files);
        files.dedup();
        files.truncate(SHARDS_MOST);
        files
    }
    /// Which file holds which tensor, in the index's order.
    pub(super) fn into_tensors(self) -> Vec<(String, String)> {
        self.weight_map
    }
}

/// A model growing from its parts.
pub(super) struct Whole {
    model: ModelFile,
    parts: usize,
    missing: Vec<String>,
}

impl Whole {
    pub(super) fn new(format: FormatId) -> Self {
        let model = ModelFile {
            format,
            version: Version::default(),
            files: Vec::new(),
            metadata: Metadata::default(),
            tensors: Vec::new(),
            graph: None,
            sections: Vec::new(),
            notes: Vec::new(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        };
        Self { model, parts: 0, missing: Vec::new() }
    }
    /// A part that was not given.
    pub(super) fn missing(&mut self, part: &Part) {
        self.missing.push(part.name.clone());
        let known = part.missing.clone();
        let known = known.unwrap_or_else(|| Awaited { name: part.name.clone(), bytes: None, instead: None });
        let instead = known.instead.clone();
        let size = known.bytes.map(|n| format!("; the file has {n} bytes")).unwrap_or_default();
        let what = match &instead {
            // Its words after "missing" are those of any part that is not here.
            Some(what) => format!(
                "{} is missing: part {} of {}; what lies in its place is {what}{size}",
                quoted(&part.name),
                part.number,
                part.total
            ),
            None => format!("{} is missing: part {} of {}", quoted(&part.name), part.number, part.total),
        };
        self.model.awaited.push(known);
        let note =
            Note::new(Severity::Error, what).code(NoteCode::MissingPart).why("its tensors cannot be shown or run");
        self.model.notes.push(note.advice(match instead.as_deref() {
            Some("a Git LFS pointer") => {
                "fetch the real file with `git lfs pull`, or download it from the model's page"
            }
            _ => "give it together with the others",
        }));
    }
    /// A part whose header cannot be read.
    pub(super) fn unreadable(&mut self, part: &Part, fault: &Fault) {
        self.missing.push(part.name.clone());
        let what = format!("{} cannot be read: {fault}", quoted(&part.name));
        let note = Note::new(Severity::Error, what).code(NoteCode::UnreadablePart);
        let note = note.why("its tensors cannot be shown or run");
        self.model.notes.push(note.advice("copy or download that file again"));
    }
    /// Takes in a part that was read as file number 0.
    pub(super) fn add(&mut self, part: &Part, file: &SourceFile, read: ModelFile) {
        let number = self.model.files.len();
        let first_tensor = self.model.tensors.len();
        let role = match self.model.format {
            FormatId::TensorFlow if part.number == 1 => FileRole::GraphOrCheckpoint,
            FormatId::TensorFlow => FileRole::Variables,
            _ if part.total > 1 => FileRole::Shard { number: part.number, total: part.total },
            _ => FileRole::Weights,
        };
        self.model.files.push(FileSummary { name: file.name().into(), bytes: file.len(), role });
        self.parts += 1;
        self.check_split(part, &read, number);
        if number == 0 {
            // It was read as file number 0, and that is what it is: nothing needs to be renumbered.
            self.model.version = read.version;
            self.model.graph = read.graph;
            self.model.metadata = read.metadata;
            self.model.tensors = read.tensors;
            self.model.sections = read.sections;
            self.model.notes.extend(read.notes);
            self.model.cuts = read.cuts;
            return;
        }
        self.model.metadata.adopt(read.metadata, number, |key| !key.starts_with("split."));
        self.model.tensors.extend(read.tensors.into_iter().map(|mut tensor| {
            if let Place::Here { file, .. } | Place::Strided { file, .. } | Place::Chunked { file, .. } =
                &mut tensor.place
            {
                *file = number;
            }
            tensor
        }));
        self.model.sections.extend(read.sections.into_iter().map(|mut section| {
            section.file = number;
            if let SectionKind::Tensor(i) = &mut section.kind {
                *i += first_tensor;
            }
            section
        }));
        self.model.notes.extend(read.notes.into_iter().map(|mut note| {
            note.file = note.file.map(|_| number);
            note
        }));
        self.model.cuts.extend(read.cuts.into_iter().map(|cut| Cut { file: number, ..cut }));
    }
    /// A GGUF split says which part it is.
    fn check_split(&mut self, part: &Part, read: &ModelFile, number: usize) {
        if read.format != FormatId::Gguf {
            return;
        }
        let (no, count) = (read.metadata.unsigned("split.no"), read.metadata.unsigned("split.count"));
        let place = read.metadata.place("split.no").or_else(|| read.metadata.place("split.count"));
        let mut note = |what: String| {
            let note = Note::new(Severity::Error, what).code(NoteCode::Split).at(number, place.map_or(0, |(_, at)| at));
            let note = note.why(
                Loader::LlamaCpp.refuses("the tensors of the other parts are not here; llama.cpp refuses the file"),
            );
            self.model.notes.push(note.advice("give all parts of one split together, under their own names"));
        };
        let named = part.total as u64;
        let part_told = no.map_or("a part".into(), |no| format!("part {}", no.saturating_add(1)));
        let fits = no.and_then(|no| no.checked_add(1)) == Some(part.number as u64);
        match count {
            Some(count) if named > 1 && !(fits && count == named) => {
                let name = quoted(&part.name);
                note(format!("{name} calls itself {part_told} of {count}, its name part {} of {named}", part.number));
            }
            Some(count) if named == 1 && count > 1 => {
                note(format!("This is {part_told} of a model split in {count} files; the others were not given"));
            }
            None if named > 1 => {
                note(format!("{} is named as one of {named} parts but holds no split.count", quoted(&part.name)));
            }
            _ => {}
        }
    }
    /// The joined model, held against the index where there is one.
    pub(super) fn finish(mut self, index: Option<&Index>) -> ModelFile {
        if self.parts == 0 {
            self.model.version = Version::without_weights();
        }
        if let Some(index) = index {
            self.check_index(index);
        } else if self.parts > 1 {
            self.check_repeats();
        }
        if let (FormatId::Gguf, Some(stated)) = (self.model.format, self.model.metadata.unsigned("split.tensors.count"))
        {
            let found = self.model.tensors.len() as u64;
            if found != stated && self.parts > 0 {
                let what = format!("split.tensors.count is {stated}; the parts given hold {found} tensors");
                let note = Note::new(Severity::Warning, what).place(self.model.metadata.place("split.tensors.count"));
                let note = note.code(NoteCode::Split).why("a part is missing, or belongs to another split");
                self.model.notes.push(note.advice("give all parts of one split together"));
            }
        }
        self.model
    }
    fn check_repeats(&mut self) {
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        let mut notes = Vec::new();
        for tensor in &self.model.tensors {
            if let (Some(Place::Here { file: a, .. }), Place::Here { file: b, at }) =
                (seen.insert(&tensor.name, &tensor.place), &tensor.place)
                && a != b
                && notes.len() < TOLD
            {
                let what = format!("{} lies in more than one shard", quoted(&tensor.name));
                let note = Note::new(Severity::Error, what).at(*b, at.start).why("readers differ in which they take");
                notes.push(
                    note.code(NoteCode::RepeatedTensors)
                        .advice("the shards are of different models: get all of them from one place"),
                );
            }
        }
        self.model.notes.append(&mut notes);
    }
    /// Shards and index must tell the same; what only the index names is listed by name.
    fn check_index(&mut self, index: &Index) {
        let base = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        let mut found: HashMap<&str, Vec<String>> = HashMap::new();
        for tensor in &self.model.tensors {
            let file = match &tensor.place {
                Place::Here { file, .. } | Place::Strided { file, .. } => {
                    self.model.files.get(*file).map(|f| base(&f.name))
                }
                Place::Missing { file, .. } => Some(base(file)),
                _ => None,
            };
            found.entry(&tensor.name).or_default().extend(file);
        }
        let missing: HashSet<&str> = self.missing.iter().map(String::as_str).collect();
        let (mut absent, mut wrong) = (Vec::new(), Vec::new());
        for (tensor, file) in &index.weight_map {
            let here = found.remove(tensor.as_str());
            if here.as_ref().is_some_and(|files| files.iter().any(|f| *f == base(file))) {
                continue;
            }
            if let Some(files) = here {
                wrong.push(format!(
                    "the index places {} in {}, it lies in {}",
                    quoted(tensor),
                    quoted(file),
                    files.join(", ")
                ));
            } else if missing.contains(file.as_str()) {
                absent.push(TensorEntry {
                    name: tensor.clone(),
                    shape: Shape::default(),
                    encoding: Encoding::Unknown,
                    place: Place::Missing { file: file.clone(), at: 0..0 },
                    bytes: None,
                });
            } else {
                wrong.push(format!("the index places {} in {}, which does not hold it", quoted(tensor), quoted(file)));
            }
        }
        let mut unlisted: Vec<_> = found.into_keys().collect();
        crate::order::sort(&mut unlisted);
        wrong.extend(unlisted.into_iter().map(|name| format!("the index does not name {}", quoted(name))));
        let more = wrong.len().saturating_sub(TOLD);
        for what in wrong.into_iter().take(TOLD) {
            let note = Note::new(Severity::Error, format!("Index and shards disagree: {what}"));
            let note = note.why("readers that trust the index see another model");
            self.model.notes.push(note.code(NoteCode::IndexDisagrees).advice(DISAGREE));
        }
        if more > 0 {
            let note = Note::new(Severity::Error, format!("Index and shards disagree on {more} more tensors"));
            self.model.notes.push(note.code(NoteCode::IndexDisagrees).why("as above").advice(DISAGREE));
        }
        let sum = self.model.tensors.iter().filter_map(|t| t.bytes).fold(0, u64::saturating_add);
        if let (Some(left), false) = (index.total_size.and_then(|total| total.checked_sub(sum)), absent.is_empty()) {
            let (n, total) = (self.missing.len(), index.total_size.unwrap_or(0));
            let what = if n == 1 {
                format!("The missing shard holds {left} of {total} bytes of tensors")
            } else {
                format!("The {n} missing shards hold {left} of {total} bytes of tensors together")
            };
            let note = Note::new(Severity::Info, what).why("so much is left to download, by the index");
            self.model.notes.push(note.code(NoteCode::MissingBytes).advice("give them together with the index"));
        }
        if let Some(total) = index.total_size
            && absent.is_empty()
            && total != sum
        {
            let what = format!("The index states {total} bytes of tensors, the shards hold {sum}");
            let note =
                Note::new(Severity::Warning, what).why("index and shards may be of different versions of the model");
            self.model.notes.push(note.code(NoteCode::IndexDisagrees).advice(DISAGREE));
        }
        self.model.tensors.append(&mut absent);
    }
}

/// Where JSON text that becomes metadata stands: the keys are looked for in it, one behind the other.
pub(super) struct Text<'a> {
    /// Index into `ModelFile::files`.
    pub(super) file: usize,
    text: &'a [u8],
    at: usize,
    /// False once a key was spelt with escapes: its place, and those after it, are not known.
    plain: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(file: usize, text: &'a [u8]) -> Self {
        Self { file, text, at: 0, plain: true }
    }
    /// Text that lies in no file as it is.
    fn nowhere() -> Self {
        Self { file: 0, text: &[], at: 0, plain: false }
    }
    /// The place of the next key of this name.
    fn find(&mut self, name: &str) -> Option<u64> {
        let rest = self.text.get(self.at..).filter(|_| self.plain && !name.is_empty())?;
        let quoted = |at: usize| at > 0 && rest[at - 1] == b'"' && rest.get(at + name.len()) == Some(&b'"');
        let mut found = rest.windows(name.len()).enumerate().filter(|(_, w)| *w == name.as_bytes()).map(|(i, _)| i);
        let Some(at) = found.find(|i| quoted(*i)) else {
            self.plain = false;
            return None;
        };
        self.at += at;
        Some((self.at - 1) as u64)
    }
}
