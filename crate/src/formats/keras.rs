//! Keras: HDF5 files (`.h5`, `.weights.h5`) of Keras 1 to 3, and `.keras` archives (a zip of metadata.json, config.json
//! and model.weights.h5). Other HDF5 files are listed the same way.

use std::sync::Arc;

use super::{
    Format, Match, Reader,
    codec::{
        hdf5::{self, Attribute, Dataset, Found, Hdf5, Kind, Layout},
        json::Json,
        zip::{self, Directory},
        zip_salvage::Walk,
    },
    findings::{Findings, quoted},
    merge, sections, zipped,
};
use crate::{
    fault::Fault,
    model::{FormatId, MetaArray, MetaType, MetaValue, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry},
    source::{Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Configurations are parsed up to this.
const CONFIG_MOST: u64 = 16 << 20;

pub(super) struct Keras;

impl Format for Keras {
    fn id(&self) -> FormatId {
        FormatId::Keras
    }
    fn sniff(&self, head: &[u8], name: &str, _len: u64) -> Match {
        let first = zip::first_name(head).unwrap_or_default();
        let archive = matches!(first, "metadata.json" | "config.json" | "model.weights.h5" | "model.weights.npz");
        if user_block(head).is_some() || archive {
            Match::ByContent
        } else if [".h5", ".hdf5", ".keras"].iter().any(|end| name.ends_with(end)) {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<KerasReader>::default()
    }
}

/// A user block is looked for up to this byte: what recognises a file sees no more.
const USER_BLOCK_MOST: u64 = 2048;

/// Where HDF5 starts in these first bytes: at 0, or behind a block of 512, 1024 or 2048 bytes.
fn user_block(head: &[u8]) -> Option<u64> {
    let starts = [0, 512, 1024, USER_BLOCK_MOST];
    starts.into_iter().find(|at| head.get(*at as usize..).is_some_and(|rest| rest.starts_with(hdf5::SIGNATURE)))
}

#[derive(Default)]
struct KerasReader {
    directory: Option<Directory>,
    walk: Option<Walk>,
    located: usize,
    looked: usize,
    /// The HDF5 part, its own bytes where it was packed, and where it lies.
    weights: Option<(Hdf5, Option<Window>)>,
    configs: Vec<(String, Vec<u8>)>,
    findings: Findings,
    done: bool,
}

impl Reader for KerasReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        let head = file.bytes(0..file.len().min(8))?;
        if zip::starts(head) {
            let mut directory = match self.directory.take() {
                Some(directory) => directory,
                None => zipped::open(file, limits, &mut self.walk, &mut self.findings)?,
            };
            let result = self.members(file, &mut directory);
            self.directory = Some(directory);
            result?;
        } else if self.weights.is_none() {
            let head = file.bytes(0..file.len().min(USER_BLOCK_MOST + 8))?;
            let start = user_block(head).unwrap_or(0);
            if start > 0 {
                let what = format!("{start} bytes lie before the HDF5 part: a user block");
                self.findings.info(
                    NoteCode::UserBlock,
                    0,
                    what,
                    "programs keep text of their own there; it was not read",
                );
            }
            self.weights = Some((Hdf5::new(start..file.len()), None));
        }
        if let Some((hdf5, window)) = &mut self.weights {
            hdf5.run(window.as_ref().unwrap_or(file)).map_err(|stop| match stop {
                Stop::Bad(fault) => Stop::Bad(fault.in_file(file.name())),
                need => need,
            })?;
        } else if self.configs.is_empty() {
            return Err(Fault::unsupported("a zip archive without a Keras model in it")
                .at(0)
                .in_file(file.name())
                .into());
        }
        self.done = true;
        Ok(())
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

impl KerasReader {
    fn members(&mut self, file: &Window, directory: &mut Directory) -> Result<(), Stop> {
        zipped::locate(file, directory, &mut self.located, &mut self.findings)?;
        while let Some(member) = directory.members.get(self.looked) {
            let json = matches!(member.name.as_str(), "metadata.json" | "config.json") && member.size <= CONFIG_MOST;
            let weights = member.name == "model.weights.h5" && self.weights.is_none();
            if weights && member.stored() {
                self.weights = Some((Hdf5::new(member.at.clone()), None));
            } else if json || weights {
                match zip::unpacked(file, member)? {
                    Ok(bytes) if weights => {
                        let len = bytes.len() as u64;
                        let mut window = Window::new(member.name.clone(), len);
                        window.insert(0, bytes);
                        self.weights = Some((Hdf5::new(0..len), Some(window)));
                    }
                    Ok(bytes) => self.configs.push((member.name.clone(), bytes)),
                    Err(what) => {
                        let what = format!("{} was not read: {what}", quoted(&member.name));
                        self.findings.warn(NoteCode::Members, member.header.min(file.len()), what, "");
                    }
                }
            }
            self.looked += 1;
        }
        Ok(())
    }
    fn model(self, file: &Window) -> ModelFile {
        let Self { directory, weights, configs, mut findings, .. } = self;
        let len = file.len();
        let packed = weights.as_ref().is_some_and(|(_, window)| window.is_some());
        let mut metadata = Metadata::default();
        for (name, bytes) in &configs {
            let key = if name == "config.json" { "keras.config" } else { "keras.metadata" };
            match Json::parse(bytes) {
                Ok(json) => {
                    odd_layers(&json, 0, &mut findings);
                    merge::flatten(key, &json, &mut metadata);
                }
                Err(fault) => {
                    findings.error(NoteCode::Configuration, 0, format!("{name} cannot be read: {}", fault.what), "")
                }
            }
        }
        let (mut parts, mut tensors, mut version) = (Vec::new(), Vec::new(), String::from("archive"));
        if let Some((hdf5, _)) = weights {
            if directory.is_none() {
                version = format!("HDF5, superblock {}", hdf5.version);
            }
            for (bad, at, what) in &hdf5.findings {
                let at = if packed { 0 } else { (*at).min(len) };
                if *bad {
                    findings.error(NoteCode::HDF5, at, what.clone(), "part of the file is not shown");
                } else {
                    findings.info(NoteCode::HDF5, at, what.clone(), "");
                }
            }
            if !packed {
                parts.extend(hdf5.headers.iter().map(|h| (h.start..h.end.min(len), SectionKind::TensorList)));
            }
            for attribute in hdf5.attributes {
                take_attribute(attribute, &mut metadata, &mut findings);
            }
            tensors = hdf5.datasets.into_iter().map(|d| entry(d, packed, file, &mut findings)).collect();
        }
        if let Some(directory) = &directory {
            for member in &directory.members {
                let end = member.at.start.max(member.header).min(len);
                if member.at.end > 0 && member.header < end {
                    parts.push((member.header..end, SectionKind::Header));
                }
                if !member.at.is_empty() && (packed || member.name != "model.weights.h5") {
                    parts.push((member.at.clone(), SectionKind::Metadata));
                }
            }
            parts.push((directory.at.start..directory.end.max(directory.at.end), SectionKind::Header));
        }
        let known = metadata
            .iter()
            .any(|(key, _)| key.contains("keras_version") || key.starts_with("keras.") || key.contains("layer_names"));
        if !known {
            findings.info(NoteCode::HDF5, 0, "Nothing in the file names Keras: it is HDF5 with data of some kind", "");
        }
        let sections = sections::map(0, len, &parts, &tensors, 8);
        ModelFile {
            format: FormatId::Keras,
            version: version.into(),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

fn take_attribute(attribute: Attribute, metadata: &mut Metadata, findings: &mut Findings) {
    let Attribute { path, name, mut values, scalar } = attribute;
    let key = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
    if name == "model_config"
        && let Some(Ok(json)) = values.first().map(|text| Json::parse(text.as_bytes()))
    {
        odd_layers(&json, 0, findings);
        merge::flatten(&key, &json, metadata);
        return;
    }
    let value = if scalar && values.len() == 1 {
        MetaValue::String(values.pop().unwrap_or_default())
    } else {
        let head: Vec<MetaValue> = values.into_iter().map(MetaValue::String).collect();
        MetaValue::Array(MetaArray { item: MetaType::String, len: head.len() as u64, head, place: None })
    };
    metadata.push(key, value);
}

/// Layers whose configuration carries or names Python code.
fn odd_layers(json: &Json, depth: u32, findings: &mut Findings) {
    if depth > 60 {
        return;
    }
    match json {
        Json::Object(members) => {
            let text = |key: &str| match json.get(key) {
                Some(Json::String(s)) => Some(s.as_str()),
                _ => None,
            };
            if text("class_name") == Some("Lambda") {
                let what = "a Lambda layer carries Python code in the configuration";
                findings.error(
                    NoteCode::CodeInLayers,
                    0,
                    what,
                    "Keras would run it unless safe_mode refuses; .h5 files are loaded without that check",
                );
            }
            if let Some(module) =
                text("module").filter(|m| !m.is_empty() && !m.starts_with("keras") && !m.starts_with("builtins"))
            {
                let what = format!("the configuration names code of the module {}", quoted(module));
                findings.warn(NoteCode::ForeignModules, 0, what, "Keras would import it");
            }
            for (_, value) in members {
                odd_layers(value, depth + 1, findings);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| odd_layers(item, depth + 1, findings)),
        _ => {}
    }
}

fn entry(dataset: Dataset, packed: bool, file: &Window, findings: &mut Findings) -> TensorEntry {
    let Dataset { path, dims, kind, layout, header } = dataset;
    let at = if packed { 0 } else { header.min(file.len()) };
    let shape = Shape(dims);
    let told = quoted(&path);
    let (encoding, big) = match kind {
        Kind::Float { bytes: 2, big_endian } => (Encoding::F16, big_endian),
        Kind::Float { bytes: 4, big_endian } => (Encoding::F32, big_endian),
        Kind::Float { bytes: 8, big_endian } => (Encoding::F64, big_endian),
        Kind::Integer { bytes, signed, big_endian } => (
            match (bytes, signed) {
                (1, true) => Encoding::I8,
                (1, false) => Encoding::U8,
                (2, true) => Encoding::I16,
                (2, false) => Encoding::U16,
                (4, true) => Encoding::I32,
                (4, false) => Encoding::U32,
                (8, true) => Encoding::I64,
                (8, false) => Encoding::U64,
                _ => Encoding::Unknown,
            },
            big_endian && bytes > 1,
        ),
        Kind::Bool => (Encoding::Bool, false),
        Kind::Text(_) | Kind::LongText => (Encoding::String, false),
        _ => (Encoding::Unknown, false),
    };
    let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
    if shape.elements().is_none() {
        findings.error(
            NoteCode::Sizes,
            at,
            format!("{told} of shape {shape} has more elements than 64 bits count"),
            "",
        );
    }
    let place = match layout {
        Layout::Plain(range) => {
            let found = range.end - range.start;
            if let Some(bytes) = bytes.filter(|n| *n > found && found > 0) {
                let what = format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, {found} are stored");
                findings.error(NoteCode::Sizes, at, what, "its shape is not to be believed");
            }
            if packed || big {
                Place::Inline
            } else if bytes.is_none_or(|n| n <= found) && range.end <= file.len() {
                Place::Here { file: 0, at: range }
            } else {
                if range.end > file.len() {
                    let what = format!(
                        "{told} lies at bytes {}..{}, the file ends at byte {}",
                        range.start,
                        range.end,
                        file.len()
                    );
                    findings.error(NoteCode::EndOfFile, file.len(), what, "the file was not copied whole");
                }
                Place::Missing { file: file.name().to_owned(), at: range }
            }
        }
        Layout::Stated(_) => Place::Absent,
        Layout::Chunked(sizes, filters, found) => {
            let of = if sizes.is_empty() { String::new() } else { format!(" of {}", Shape(sizes)) };
            let by = if filters.is_empty() { String::new() } else { format!(", packed by {}", filters.join(", ")) };
            let what = format!("{told} is stored in chunks{of}{by}");
            match chunked(found, encoding, packed, big, file) {
                Ok(place) => {
                    if let Place::Missing { at, .. } = &place {
                        let what =
                            format!("{told} has chunks up to byte {}, the file ends at byte {}", at.end, file.len());
                        findings.error(NoteCode::EndOfFile, file.len(), what, "the file was not copied whole");
                    }
                    findings.info(NoteCode::Chunks, at, what, "its values are unpacked when they are looked at");
                    place
                }
                Err(why) => {
                    findings.info(NoteCode::Chunks, at, what, format!("its values are listed, not shown: it is {why}"));
                    Place::Inline
                }
            }
        }
        Layout::Nowhere => Place::Absent,
    };
    TensorEntry { name: path, shape, encoding, place, bytes }
}

/// The place of values in chunks; or why they are only listed.
fn chunked(found: Found, encoding: Encoding, packed: bool, big: bool, file: &Window) -> Result<Place, String> {
    let mut chunks = found?;
    let width = encoding.spec().map(|spec| (spec.block_len, spec.block_bytes));
    if packed {
        return Err("inside a packed member".into());
    }
    if width != Some((1, chunks.width)) {
        return Err(format!("of elements of {} bytes, which are not decoded", chunks.width));
    }
    chunks.big_endian = big;
    let start = chunks.list.iter().map(|c| c.at.start).min().unwrap_or(0);
    let end = chunks.list.iter().map(|c| c.at.end).max().unwrap_or(0);
    if end > file.len() {
        return Ok(Place::Missing { file: file.name().to_owned(), at: start..end });
    }
    Ok(Place::Chunked { file: 0, at: start..end, chunks: Arc::new(chunks) })
}
