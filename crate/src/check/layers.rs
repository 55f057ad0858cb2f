//! Configuration against tensors: which tensors an architecture has, in which shapes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Subject;
use crate::{
    arch::{Architecture, Dim, Form, Key, Names, Need, Numbers, Role, Row, Slots},
    formats::{Findings, quoted},
    model::{Loader, Note, NoteCode, Packed, Severity},
    tensor::{Encoding, Shape},
};

/// Buffers that training programs stored and nobody loads.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "embeddings.position_ids"];

/// Lost layers that are told one by one.
const LISTED: usize = 8;

/// A model whose architecture the tables have.
struct Known<'a> {
    subject: &'a Subject<'a>,
    numbers: Numbers<'a>,
    rows: Vec<&'static Row>,
    /// Tensors that the architecture has.
    found: Vec<Found>,
    /// Weights that several tensors hold together, by the tensor of their codes.
    packed: HashMap<usize, Packed>,
}

/// A tensor that the architecture has: its number, its row (none where no forward pass reads it), its layer.
struct Found {
    tensor: usize,
    row: Option<usize>,
    layer: Option<u32>,
    bias: bool,
    /// Which, of several.
    item: Option<u32>,
}

/// Holds tensors against the stated sizes.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    buffers(subject, findings);
    let Some((known, closed)) = Known::comparable(subject) else { return };
    known.shapes(findings);
    if subject.incomplete() {
        return;
    }
    known.missing(findings);
    if closed {
        known.others(findings);
    }
}

/// Tensors that the tables ask for and the model does not have; whole layers by their number.
pub(super) fn lost(subject: &Subject<'_>) -> Vec<String> {
    let Some((known, _)) = Known::comparable(subject) else { return Vec::new() };
    if subject.incomplete() {
        return Vec::new();
    }
    let (layers, count) = known.layers();
    if layers.is_empty() || known.is_prediction_alone(&layers, count) {
        return Vec::new();
    }
    let mut lost: Vec<String> =
        (0..count).filter(|l| !layers.contains(l)).take(LISTED).map(|l| format!("layer {l}")).collect();
    lost.extend(known.lost(&within(layers, count)));
    lost
}

/// Layers below the stated number.
fn within(layers: BTreeSet<u64>, count: u64) -> Vec<u32> {
    layers.into_iter().filter(|l| *l < count).filter_map(|l| u32::try_from(l).ok()).collect()
}

impl<'a> Known<'a> {
    /// A model whose tensors can be held against the tables, and whether it has no tensors but theirs.
    fn comparable(subject: &'a Subject<'a>) -> Option<(Self, bool)> {
        let numbers = Numbers::of(subject.model)?;
        let architecture = numbers.architecture()?;
        let meta = &subject.model.metadata;
        let special = matches!(meta.string("general.type"), Some("adapter" | "mmproj" | "imatrix"));
        // Weights packed by a quantizer that is not known have other names and shapes.
        let packed =
            meta.iter().any(|(k, _)| k.starts_with("config.quantization")) && subject.model.packed().is_empty();
        if subject.model.tensors.is_empty() || special || packed {
            return None;
        }
        // Models of text and images have tensors of both.
        let closed = architecture.closed && !numbers.nested();
        Some((Self::of(subject, numbers, architecture), closed))
    }
    /// Layers behind the others that predict further tokens (MTP): GGUF counts them among its blocks and may leave them
    /// out, folders keep them beyond the stated number.
    fn predicting(&self) -> u64 {
        let meta = &self.subject.model.metadata;
        let keys = match self.numbers.form() {
            Form::Gguf => vec![format!("{}.nextn_predict_layers", self.numbers.name())],
            Form::Folder => ["config.", "config.text_config."].map(|p| format!("{p}num_nextn_predict_layers")).to_vec(),
        };
        keys.iter().find_map(|key| meta.unsigned(key)).unwrap_or(0)
    }
    /// Whether the layers before those that predict further tokens lie in another file: nothing is asked of this one.
    fn is_prediction_alone(&self, layers: &BTreeSet<u64>, count: u64) -> bool {
        self.gguf() && self.predicting() > 0 && layers.iter().all(|l| *l >= count)
    }
    /// The layers that hold tensors, and the number of layers that the model should have.
    fn layers(&self) -> (BTreeSet<u64>, u64) {
        // Not collected: that would sort first, by a sort of its own.
        let mut layers = BTreeSet::new();
        layers.extend(self.found.iter().filter_map(|f| f.layer.map(u64::from)));
        let most = (self.subject.model.tensors.len() as u64).saturating_add(1);
        let stated = self.numbers.stated(Key::Layers);
        let stated = stated.map(|n| if self.gguf() { n.saturating_sub(self.predicting()) } else { n });
        let count = stated.unwrap_or_else(|| layers.last().map_or(0, |l| l.saturating_add(1))).min(most);
        (layers, count)
    }
    fn of(subject: &'a Subject<'a>, numbers: Numbers<'a>, architecture: &'static Architecture) -> Self {
        let slots = Slots::new(architecture, numbers.form());
        let packed: HashMap<usize, Packed> = match numbers.form() {
            Form::Folder => subject.model.packed().into_iter().map(|p| (p.main, p)).collect(),
            Form::Gguf => HashMap::new(),
        };
        let all = subject.model.tensors.iter().enumerate();
        let found = all.filter_map(|(tensor, t)| {
            let s = slots.find(packed.get(&tensor).map_or(&t.name, |p| &p.stem))?;
            Some(Found { tensor, row: s.row, layer: s.layer, bias: s.bias, item: s.item })
        });
        let found = found.collect();
        Self { subject, numbers, rows: architecture.rows().collect(), found, packed }
    }
    fn gguf(&self) -> bool {
        self.numbers.form() == Form::Gguf
    }
    /// The dimensions that a tensor of a row has, the slowest first; empty where nothing is asked.
    fn dims(&self, row: &Row, found: &Found) -> Vec<Dim> {
        // Several in one tensor have the dimension that counts them.
        let one =
            |dims: &'static [Dim]| if found.item.is_some() { dims.get(1..).unwrap_or(dims) } else { dims }.to_vec();
        if found.bias {
            return one(row.bias_dims());
        }
        let mut dims = one(row.dims());
        if let (false, true, [.., outputs, inputs]) = (self.gguf(), row.folder.by_input, dims.as_mut_slice()) {
            std::mem::swap(outputs, inputs);
        }
        dims
    }
    /// The sizes that a tensor of a row has, the slowest first; `None` where nothing is asked.
    fn sizes(&self, row: &Row, found: &Found) -> Option<Vec<u64>> {
        let dims = self.dims(row, found);
        let varies = || found.layer.is_none() && dims.iter().any(|d| self.numbers.dim_varies(d));
        if dims.is_empty() || varies() {
            return None;
        }
        dims.iter().map(|d| self.numbers.dim(d, found.layer.unwrap_or(0))).collect()
    }
    /// Compares shapes.
    fn shapes(&self, findings: &mut Findings) {
        // Experts are many and alike.
        let mut asked = HashMap::new();
        for found in &self.found {
            let tensor = &self.subject.model.tensors[found.tensor];
            let Some(r) = found.row.filter(|_| tensor.encoding != Encoding::Unknown) else { continue };
            let row = self.rows[r];
            let key = (r, found.layer, found.bias, found.item.is_some());
            let sizes: &Option<Vec<u64>> = asked.entry(key).or_insert_with(|| self.sizes(row, found));
            // Converters leave a first dimension of one away, or add one.
            let one = |sizes: &[u64], other: &[u64]| matches!(sizes, [1, n] if other == [*n]);
            // Where files arrange values in different shapes, their number counts.
            // Of several tensors that hold a weight together, what they unpack to.
            let packed = self.packed.get(&found.tensor);
            let unpacked = match packed.map(|p| &p.shape) {
                Some(None) => continue,
                Some(Some(shape)) if row.folder.by_input => Shape(shape.0.iter().rev().copied().collect()),
                Some(Some(shape)) => shape.clone(),
                None => tensor.shape.clone(),
            };
            let as_many = |s: &[u64]| row.flat && Shape(s.to_vec()).elements() == unpacked.elements();
            let shape = &unpacked.0;
            let same = |s: &[u64]| s == shape || one(s, shape) || one(shape, s) || as_many(s);
            let Some(sizes) = sizes.clone().filter(|s| !same(s)) else { continue };
            let dims = self.dims(row, found);
            let told: Vec<String> = dims.iter().zip(&sizes).map(|(d, n)| format!("{n} ({})", self.say(d))).collect();
            let what =
                format!("{} has shape {}; the configuration asks for {}", quoted(&tensor.name), unpacked, Shape(sizes));
            let why = if self.gguf() {
                Loader::LlamaCpp.refuses("llama.cpp refuses the file: it checks the shape of every tensor")
            } else {
                Loader::Transformers.refuses("transformers refuses the weights: size mismatch")
            };
            let note = Note::new(Severity::Error, what).place(self.subject.place(found.tensor)).why(why);
            let advice = format!(
                "Asked for are {}: correct the configuration, or get the weights that belong to it",
                told.join(" x ")
            );
            findings.note(NoteCode::Shapes, note.advice(advice));
        }
    }
    /// The keys behind a dimension.
    fn say(&self, dim: &Dim) -> String {
        let one = |key: Key| match self.numbers.find(key) {
            Some((stated, _)) => stated,
            None => key.row().label.to_lowercase(),
        };
        match *dim {
            Dim::Of(key) => one(key),
            Dim::By(a, b) => format!("{} by {}", one(a), one(b)),
            Dim::Beyond(a, b) => format!("{} less {}", one(a), one(b)),
            Dim::Times(n, key) => format!("{n} times {}", one(key)),
            Dim::Less(key) => format!("one less than {}", one(key)),
            Dim::Sum(dims) => dims.iter().map(|d| self.say(d)).collect::<Vec<_>>().join(" + "),
            Dim::Exactly(n) => format!("always {n}"),
        }
    }
    /// Tensors that must be there, and whole layers that are not.
    fn missing(&self, findings: &mut Findings) {
        let stated = self.numbers.stated(Key::Layers);
        let (layers, count) = self.layers();
        let refused = if self.gguf() {
            Loader::LlamaCpp.refuses("llama.cpp refuses the file: a tensor is not found")
        } else {
            "transformers fills it with random values".into()
        };
        let advice = "get the whole model again; a shard or a conversion may have lost them";
        let place = self.numbers.find(Key::Layers).and_then(|(k, _)| self.subject.model.metadata.place(&k));
        // Where no layer is known by these names, the model has others: nothing is asked of it.
        if layers.is_empty() || self.is_prediction_alone(&layers, count) {
            return;
        }
        let lost: Vec<u64> = (0..count).filter(|l| !layers.contains(l)).collect();
        if let (Some(first), Some(stated)) = (lost.first(), stated) {
            let what = format!(
                "{} of {stated} layers hold no tensors; the first is layer {first}",
                stated.saturating_sub(layers.len() as u64)
            );
            findings.note(
                NoteCode::MissingLayers,
                Note::new(Severity::Error, what).place(place).why(refused.clone()).advice(advice),
            );
        }
        if let (Some(stated), Some(last)) = (stated, layers.last())
            && *last >= stated.saturating_add(if self.gguf() { 0 } else { self.predicting() })
        {
            let what = format!("Tensors of layer {last} are there; the configuration has {stated} layers");
            let why = if self.gguf() {
                Loader::LlamaCpp.refuses("llama.cpp refuses the file: wrong number of tensors")
            } else {
                "they are not used".into()
            };
            let note = Note::new(Severity::Warning, what).place(place).why(why);
            let advice = "compare the configuration with the one the weights were saved with";
            findings.note(NoteCode::MoreLayers, note.advice(advice));
        }
        for name in self.lost(&within(layers, count)) {
            let note = Note::new(Severity::Error, format!("The tensor {} is missing", quoted(&name)));
            findings.note(NoteCode::MissingTensors, note.place(place).why(refused.clone()).advice(advice));
        }
    }
    /// Names of the tensors that must be there and are not.
    fn lost(&self, layers: &[u32]) -> Vec<String> {
        let weights = self.found.iter().filter(|f| !f.bias);
        let have: BTreeSet<(Role, Option<u32>)> =
            weights.filter_map(|f| Some((self.rows[f.row?].role, f.layer))).collect();
        let form = self.numbers.form();
        let names = Names::new(self.subject.model, form);
        let mut lost = Vec::new();
        let mixed = self.numbers.varies(Key::Experts) || self.numbers.get(Key::Experts).is_some_and(|n| n > 0);
        let of_experts = |row: &Row| matches!(row.dims(), [Dim::Of(Key::Experts), ..]);
        for row in self.rows.iter().filter(|row| !row.names(form).is_empty() && (mixed || !of_experts(row))) {
            let slots: Vec<Option<u32>> = match row.layered(form) {
                true => layers.iter().copied().map(Some).collect(),
                false => vec![None],
            };
            let asked = |layer: &Option<u32>| match row.need {
                Need::Always => true,
                Need::Optional => false,
                Need::First => *layer == Some(0),
                Need::BehindFirst => layer.is_some_and(|l| l > 0),
                Need::Unless(other) => !have.contains(&(other, *layer)),
                Need::UnlessAny(others) => !others.iter().any(|o| have.contains(&(*o, *layer))),
                Need::OwnKeys => layer.is_some_and(|l| self.numbers.has_own_keys(l)),
                Need::OwnValues => layer.is_some_and(|l| self.numbers.has_own_values(l)),
                Need::LayerInputs => self.numbers.get(Key::PerLayerInput).is_some_and(|n| n > 0),
            };
            let gone = slots.into_iter().filter(|layer| asked(layer) && !have.contains(&(row.role, *layer)));
            lost.extend(gone.map(|layer| names.expected(row, layer.unwrap_or(0))));
        }
        lost.extend(self.lost_items(layers, &names));
        lost
    }
    /// Names of single ones that are not there beside others of their list: experts of a layer, matrices of the whole model.
    fn lost_items(&self, layers: &[u32], names: &Names<'_>) -> Vec<String> {
        let mut items: BTreeMap<(usize, Option<u32>), BTreeSet<u32>> = BTreeMap::new();
        for found in self.found.iter().filter(|f| !f.bias) {
            if let (Some(row), Some(item)) = (found.row, found.item) {
                items.entry((row, found.layer)).or_default().insert(item);
            }
        }
        let mut lost = Vec::new();
        for ((row, layer), have) in items.iter().filter(|((_, layer), _)| layer.is_none_or(|l| layers.contains(&l))) {
            let (row, layer) = (self.rows[*row], layer.unwrap_or(0));
            let count = row.dims().first().and_then(|d| self.numbers.dim(d, layer)).unwrap_or(0);
            // No more than there are tensors: the number is the file's.
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(self.subject.model.tensors.len() as u32);
            let gone = (0..count).filter(|item| !have.contains(item));
            lost.extend(gone.map(|item| names.expected_item(row, layer, item)));
        }
        lost
    }
    /// Tensors that a known architecture does not have.
    fn others(&self, findings: &mut Findings) {
        let mut listed = vec![false; self.subject.model.tensors.len()];
        for found in &self.found {
            listed[found.tensor] = true;
        }
        for (_, part) in self.packed.values().flat_map(|p| &p.parts) {
            listed[*part] = true;
        }
        for (i, tensor) in self.subject.model.tensors.iter().enumerate() {
            // Quantizers keep factors beside weights; programs load them where they know them.
            let factor = tensor.name.ends_with("scale") || tensor.name.ends_with("scale_inv");
            if listed[i] || factor || BUFFERS.iter().any(|b| tensor.name.ends_with(b)) {
                continue;
            }
            let what = format!("{} is no tensor of the {} architecture", quoted(&tensor.name), self.numbers.name());
            let (severity, why) = if self.gguf() {
                let why = Loader::LlamaCpp
                    .refuses("llama.cpp refuses files with tensors that it does not use: wrong number of tensors");
                (Severity::Warning, why)
            } else {
                (Severity::Info, "transformers does not load it".into())
            };
            let note = Note::new(severity, what).place(self.subject.place(i)).why(why);
            findings.note(NoteCode::UnknownTensors, note.advice("a newer program may use it; else it only takes room"));
        }
    }
}

fn buffers(subject: &Subject<'_>, findings: &mut Findings) {
    let all = &subject.model.tensors;
    let mut found = all.iter().enumerate().filter(|(_, t)| BUFFERS.iter().any(|b| t.name.ends_with(b)));
    let Some((first, tensor)) = found.next() else { return };
    let more = found.count();
    let and = if more > 0 { format!(" and {more} more like it") } else { String::new() };
    let note =
        Note::new(Severity::Info, format!("{}{and} only holds what programs compute themselves", quoted(&tensor.name)));
    let note = note.place(subject.place(first)).why("no program loads it; it takes a little room");
    findings.note(NoteCode::Buffers, note.advice("nothing needs to be done"));
}
