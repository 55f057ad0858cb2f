//! The zip archive: `<root>/data.pkl` describes, `<root>/data/<key>` hold one storage each; TorchScript adds code.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::objects::{Tree, entries, storages};
use crate::{
    fault::Fault,
    formats::{
        codec::{
            json::Json,
            pickle::{self, Status, torch_names::dtype},
            zip::{self, Directory, Member},
            zip_salvage::{Found, Salvage, Walk},
        },
        findings::{Findings, quoted},
        sections,
        xray::{Place, Seen, Stream, named},
        zipped,
    },
    model::{Cut, Flavour, FormatId, MetaType, MetaValue, ModelFile, NoteCode, SectionKind, Version},
    source::{Limits, Stop, Window},
};

/// A member this small is unpacked to see whether it is a pickle, whatever its name.
const LOOKED_INTO: u64 = 1 << 20;
/// Small texts (version, byte order) are read up to this.
const TEXT_MOST: u64 = 256;
/// The graph of the preview format is read up to this.
const JSON_MOST: u64 = 16 << 20;

#[derive(Default)]
pub(super) struct Archive {
    directory: Option<Directory>,
    /// Where there is no directory: how far the members are, and the main pickle, which says how long storages are.
    walk: Option<Walk>,
    sizes: Sizes,
    root: String,
    /// Members whose own header has been read.
    located: usize,
    /// Members looked into, in order.
    looked: usize,
    /// The main pickle has been read, or cannot be: asked once, so that no note is told twice after a fetch.
    main_read: bool,
    /// The member being read as pickles: its unpacked bytes, where it is packed.
    now: Option<(Stream, Option<Window>)>,
    /// Pickles read: member and machines.
    read: Vec<(usize, Stream, bool)>,
    /// Keys of the storages that the main pickle names; set when it has been read.
    keys: HashSet<String>,
    version: Option<String>,
    big_endian: bool,
    json: Option<Vec<u8>>,
    findings: Findings,
}

/// The folder that all of an archive lies in, by its first member.
fn root(name: &str) -> &str {
    name.split_once('/').map_or("", |(root, _)| root)
}

/// How long members are whose headers do not say: PyTorch writes its own so. The main pickle ends at its `STOP`, and
/// names each storage with its elements.
#[derive(Default)]
struct Sizes {
    main: Option<Stream>,
    /// Bytes of each storage, by key; set when the main pickle has been read.
    storages: Option<HashMap<String, u64>>,
}

impl Sizes {
    fn of(&mut self, file: &Window, found: &Found) -> Result<Option<u64>, Stop> {
        let inner = found.member.name.split_once('/').map_or(found.member.name.as_str(), |(_, inner)| inner);
        if inner == "data.pkl" && found.member.method == 0 && self.storages.is_none() {
            let main = self.main.get_or_insert_with(|| Stream::limited(found.start..file.len(), 1));
            main.run(file)?;
            let machine = main.read.first();
            let named = machine.map(storages).unwrap_or_default();
            self.storages =
                Some(named.into_iter().filter_map(|(key, n, width)| Some((key, n.checked_mul(width)?))).collect());
            let whole = machine.filter(|m| m.status == Status::Stopped && !found.sized);
            return Ok(whole.map(|m| m.at - found.start));
        }
        if found.sized {
            return Ok(None);
        }
        let key = inner.strip_prefix("data/");
        Ok(key.and_then(|key| self.storages.as_ref()?.get(key).copied()))
    }
}

impl Archive {
    pub(super) fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let mut directory = match self.directory.take() {
            Some(directory) => directory,
            None => self.open(file, limits)?,
        };
        let result = self.members(file, &mut directory);
        self.directory = Some(directory);
        result
    }
    fn open(&mut self, file: &Window, limits: &Limits) -> Result<Directory, Stop> {
        let sizes = &mut self.sizes;
        let mut known = |found: &Found| sizes.of(file, found);
        let mut directory = zipped::directory(file, limits, &mut self.walk, &mut self.findings, &mut known)?;
        zipped::check(&directory, file, &mut self.findings);
        self.root = directory.members.first().map_or("", |m| root(&m.name)).to_owned();
        // In the order of their bytes, so that reading goes forward; the main pickle is looked into first.
        crate::order::sort_by_key(&mut directory.members, |m| m.header);
        Ok(directory)
    }
    fn members(&mut self, file: &Window, directory: &mut Directory) -> Result<(), Stop> {
        zipped::locate(file, directory, &mut self.located, &mut self.findings)?;
        if !self.main_read {
            // The main pickle says which members are storages: it is read before the others are looked into.
            if self.read.is_empty()
                && let Some(i) = directory.members.iter().position(|m| self.inner(m) == Some("data.pkl"))
                && let Some(member) = directory.members.get(i)
            {
                self.pickle(file, i, member)?;
            }
            if let Some((_, main, _)) = self.read.first() {
                self.keys = main.read.iter().flat_map(storages).map(|(key, ..)| key).collect();
            }
            self.main_read = true;
        }
        while let Some(member) = directory.members.get(self.looked) {
            self.look(file, self.looked, member)?;
            self.looked += 1;
        }
        if self.read.is_empty() && self.json.is_none() {
            let names: Vec<String> = directory.members.iter().take(5).map(|m| quoted(&m.name)).collect();
            let locked = directory.members.iter().any(|m| m.flags & 1 != 0);
            let what = format!(
                "a zip archive without a model: {} members ({}{}), no pickle among them{}",
                directory.members.len(),
                names.join(", "),
                if directory.members.len() > 5 { ", ..." } else { "" },
                if locked { "; some are encrypted and could not be looked into" } else { "" }
            );
            return Err(Fault::unsupported(what).at(directory.at.start).in_file(file.name()).into());
        }
        Ok(())
    }
    /// What says that the archive goes on: its directory is not there. The main pickle lists all tensors, where it is whole.
    fn cuts(&self, directory: &Directory, listed: u64) -> Vec<Cut> {
        let main = self.sizes.main.iter().flat_map(|s| &s.read).any(|m| m.status == Status::Stopped);
        let cut =
            |s: &Salvage| Cut { file: 0, needs: s.cut.as_ref().map(|at| at.end), announced: main.then_some(listed) };
        directory.salvaged.iter().map(cut).collect()
    }
    /// A member's name within the root folder.
    fn inner<'m>(&self, member: &'m Member) -> Option<&'m str> {
        if self.root.is_empty() {
            Some(&member.name)
        } else {
            member.name.strip_prefix(self.root.as_str())?.strip_prefix('/')
        }
    }
    /// The storage that a member holds, by its name.
    fn key<'m>(&self, member: &'m Member) -> Option<&'m str> {
        self.inner(member)?.strip_prefix("data/")
    }
    /// Reads what a member may say: small texts, pickles under any name.
    fn look(&mut self, file: &Window, i: usize, member: &Member) -> Result<(), Stop> {
        let inner = self.inner(member).unwrap_or(&member.name).to_owned();
        let small = member.stored() && member.size <= TEXT_MOST;
        let text = |file: &Window| -> Result<String, Stop> {
            Ok(String::from_utf8_lossy(file.bytes(member.at.clone())?).trim().to_owned())
        };
        match inner.as_str() {
            "data.pkl" if self.read.iter().any(|(of, ..)| *of == i) => return Ok(()),
            "version" | ".data/version" if small => {
                self.version = Some(text(file)?);
                return Ok(());
            }
            "byteorder" if small => {
                let order = text(file)?;
                self.big_endian = order == "big";
                if order != "big" && order != "little" {
                    let what =
                        format!("the byte order is stated as {}; \"little\" or \"big\" expected", quoted(&order));
                    self.findings.error(NoteCode::ByteOrder, member.at.start, what, "values may be shown wrong");
                }
                return Ok(());
            }
            "model.json" if member.size <= JSON_MOST && self.json.is_none() => {
                match zip::unpacked(file, member)? {
                    Ok(bytes) => self.json = Some(bytes),
                    Err(what) => self.untold(file, member, &what),
                }
                return Ok(());
            }
            _ => {}
        }
        if self.key(member).is_some_and(|key| self.keys.contains(key)) || member.size == 0 || member.at.is_empty() {
            return Ok(());
        }
        let named = [".pkl", ".pickle", ".debug_pkl"].iter().any(|end| member.name.ends_with(end));
        if member.method == 0 {
            // What a member is shows in its bytes, whatever the directory says of it.
            let head = file.bytes(member.at.start..member.at.end.min(member.at.start + 2))?;
            let marked = matches!(head, [0x80, 0..=5]);
            let head =
                file.bytes(member.at.start..member.at.end.min(member.at.start + if marked || named { 2 } else { 64 }))?;
            let likely =
                marked || named || pickle::plausible(head, head.len() as u64 == member.at.end - member.at.start);
            if likely {
                self.pickle(file, i, member)?;
            }
        } else if named || member.size <= LOOKED_INTO {
            match zip::unpacked(file, member)? {
                Ok(bytes) if named || pickle::plausible(bytes.get(..4096).unwrap_or(&bytes), bytes.len() <= 4096) => {
                    self.pickle(file, i, member)?;
                }
                Ok(_) => {}
                Err(what) => self.untold(file, member, &what),
            }
        }
        Ok(())
    }
    fn untold(&mut self, file: &Window, member: &Member, what: &str) {
        let locked = if member.flags & 1 != 0 { "; it is encrypted" } else { "" };
        let what = format!("{} was not looked into: {what}{locked}", quoted(&member.name));
        self.findings.warn(
            NoteCode::MembersNotLookedInto,
            member.header.min(file.len()),
            what,
            "a pickle may hide in it",
        );
    }
    /// Reads a member as pickles.
    fn pickle(&mut self, file: &Window, i: usize, member: &Member) -> Result<(), Stop> {
        if self.now.is_none() {
            self.now = if member.method == 0 {
                Some((Stream::new(member.at.clone()), None))
            } else {
                match zip::unpacked(file, member)? {
                    Ok(bytes) => {
                        let mut window = Window::new(member.name.clone(), bytes.len() as u64);
                        let stream = Stream::new(0..bytes.len() as u64);
                        window.insert(0, bytes);
                        Some((stream, Some(window)))
                    }
                    Err(what) => {
                        self.untold(file, member, &what);
                        None
                    }
                }
            };
        }
        let Some((stream, window)) = &mut self.now else { return Ok(()) };
        stream.run(window.as_ref().unwrap_or(file))?;
        if let Some((stream, window)) = self.now.take() {
            self.read.push((i, stream, window.is_some()));
        }
        Ok(())
    }
    pub(super) fn finish(mut self, file: &Window) -> ModelFile {
        let len = file.len();
        let mut findings = std::mem::take(&mut self.findings);
        let directory = self.directory.take().unwrap_or_default();
        let mut seen = Seen::default();
        let (mut tree, mut parts) = (Tree::default(), Vec::new());
        let mut start = 0;
        for (i, stream, packed) in &self.read {
            let Some(member) = directory.members.get(*i) else { continue };
            let main = self.inner(member) == Some("data.pkl");
            let name = if main { "data.pkl".to_owned() } else { named(&member.name) };
            for machine in &stream.read {
                let place = Place { name: &name, unpacked: packed.then_some(member.at.start) };
                seen.add(machine, &place, len, &mut findings);
            }
            if stream.read.iter().all(|m| m.status == Status::Broken && m.opcodes == 0) && !main {
                continue;
            }
            if !stream.rest.is_empty() {
                let at = if *packed { member.at.start } else { stream.rest.start };
                let what = format!("{} bytes after {name} are not a pickle", stream.rest.end - stream.rest.start);
                findings.warn(NoteCode::TrailingBytes, at.min(len), what, "they were not understood");
            }
            let first = if main { stream.read.first() } else { None };
            if let Some(machine) = first {
                start = member.at.start.min(len);
                tree.add(machine, "", u64::from(u32::MAX));
                if *packed {
                    findings.info(NoteCode::Packed, start, "data.pkl is deflated", "PyTorch stores it as it is");
                }
            }
        }
        tree.tell(start, &mut findings);
        let mut metadata = std::mem::take(&mut tree.metadata);
        let script = directory.members.iter().filter(|m| self.inner(m).is_some_and(|n| n.starts_with("code/"))).count();
        if script > 0 {
            let what = format!("The archive holds {script} files of TorchScript code");
            findings.info(NoteCode::Code, start, what, "PyTorch's own interpreter would run it; Glassbox does not");
            metadata.push("torchscript.code_files", MetaValue::Unsigned(script as u64, MetaType::U64));
        }
        seen.tell(&mut metadata);
        seen.finish(start, &mut findings);
        let mut places: HashMap<&str, Range<u64>> = directory
            .members
            .iter()
            .filter(|m| m.stored() && !m.at.is_empty() || m.size == 0)
            .filter_map(|m| Some((self.inner(m)?, m.at.clone())))
            .collect();
        // The last storage of a file that was not copied whole goes on beyond the file's end.
        if let (Some(last), Some(cut)) =
            (directory.members.last(), directory.salvaged.as_ref().and_then(|s| s.cut.clone()))
            && let (true, Some(name)) = (last.stored(), self.inner(last))
        {
            places.insert(name, cut);
        }
        let mut stated = tree.tensors;
        if let Some(text) = &self.json {
            preview(text, &mut stated, start, &mut findings);
        }
        let cut = directory.salvaged.is_some();
        let tensors = entries(stated, file.name(), len, start, cut, &mut findings, |key| {
            places.get(format!("data/{key}").as_str()).or_else(|| places.get(key)).cloned()
        });
        for member in &directory.members {
            let header_end = member.at.start.max(member.header).min(len);
            if member.at.end > 0 && member.header < header_end {
                parts.push((member.header..header_end, SectionKind::Header));
            }
            let storage = self.key(member).is_some_and(|key| self.keys.contains(key));
            if !storage && !member.at.is_empty() {
                let pickled = self.inner(member) == Some("data.pkl");
                parts.push((member.at.clone(), if pickled { SectionKind::TensorList } else { SectionKind::Metadata }));
            }
        }
        parts.push((directory.at.start..directory.end.max(directory.at.end), SectionKind::Header));
        let sections = sections::map(0, len, &parts, &tensors, 64);
        let cuts = self.cuts(&directory, tensors.len() as u64);
        let (kind, flavour) = match script > 0 || self.json.is_some() {
            true => ("TorchScript", Flavour::TorchScript),
            false => ("zip", Flavour::Usual),
        };
        let version = self.version.map(|v| format!(" {v}")).unwrap_or_default();
        ModelFile {
            format: FormatId::PyTorch,
            version: Version::from(format!("{kind}{version}")).of(flavour).big_endian(self.big_endian),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts,
            awaited: Vec::new(),
        }
    }
}

/// Tensors of the preview format (PyTorch 1.0): `model.json` lists them and where the modules use them.
fn preview(text: &[u8], stated: &mut Vec<super::objects::Stated>, at: u64, findings: &mut Findings) {
    let json = match Json::parse(text) {
        Ok(json) => json,
        Err(fault) => {
            findings.error(NoteCode::ModelJson, at, format!("model.json cannot be read: {}", fault.what), "");
            return;
        }
    };
    let mut names = HashMap::new();
    if let Some(module) = json.get("mainModule") {
        tensor_names(module, "", &mut names, 0);
    }
    let Some(Json::Array(tensors)) = json.get("tensors") else { return };
    let string = |j: &Json, key: &str| match j.get(key) {
        Some(Json::String(s)) => Some(s.clone()),
        _ => None,
    };
    let sizes = |j: &Json, key: &str| -> Option<Vec<u64>> {
        let Some(Json::Array(items)) = j.get(key) else { return None };
        items.iter().map(|i| if let Json::String(s) = i { s.parse().ok() } else { None }).collect()
    };
    for (i, tensor) in tensors.iter().enumerate() {
        let name = names.get(&i.to_string()).cloned().unwrap_or_else(|| format!("tensors.{i}"));
        let key = tensor.get("data").and_then(|d| string(d, "key"));
        let kind = string(tensor, "dataType").unwrap_or_default();
        let (Some(shape), Some(strides), Some(key)) = (sizes(tensor, "dims"), sizes(tensor, "strides"), key) else {
            findings.error(NoteCode::ModelJson, at, format!("tensor {i} of model.json is not understood"), "");
            continue;
        };
        let encoding = match kind.as_str() {
            "FLOAT" => "float32",
            "DOUBLE" => "float64",
            "FLOAT16" => "float16",
            other => &other.to_lowercase(),
        };
        let encoding = dtype(encoding).unwrap_or(crate::tensor::Encoding::Unknown);
        stated.push(super::objects::Stated::of_json(name, shape, strides, encoding, key, string(tensor, "offset")));
    }
}

/// Names of tensors by id, through the tree of modules.
fn tensor_names(module: &Json, path: &str, names: &mut HashMap<String, String>, depth: u32) {
    let text = |j: &Json, key: &str| match j.get(key) {
        Some(Json::String(s)) => s.clone(),
        _ => String::new(),
    };
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (list, id) in [("attributes", "id"), ("parameters", "tensorId")] {
        if let Some(Json::Array(items)) = module.get(list) {
            for item in items {
                names.insert(text(item, id), join(&text(item, "name")));
            }
        }
    }
    if let Some(Json::Array(inner)) = module.get("submodules").filter(|_| depth < 64) {
        for child in inner {
            tensor_names(child, &join(&text(child, "name")), names, depth + 1);
        }
    }
}
