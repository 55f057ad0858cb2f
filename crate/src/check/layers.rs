//! Configuration against tensors: which tensors an architecture has, in which shapes.

use std::collections::{BTreeSet, HashMap};

use super::Subject;
use crate::{
    arch::{Architecture, Dim, Form, Key, Names, Need, Numbers, Role, Row, Slots},
    formats::{Findings, quoted},
    model::{Note, Severity},
    tensor::{Encoding, Shape},
};

/// Buffers that training programs stored and nobody loads.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "embeddings.position_ids"];

/// A model whose architecture the tables have.
struct Known<'a> {
    subject: &'a Subject<'a>,
    numbers: Numbers<'a>,
    rows: Vec<&'static Row>,
    /// Tensors that the architecture has.
    found: Vec<Found>,
}

/// A tensor that the architecture has: its number, its row (none where no forward pass reads it), its layer.
struct Found {
    tensor: usize,
    row: Option<usize>,
    layer: Option<u32>,
    bias: bool,
    single: bool,
}

/// Holds tensors against the stated sizes.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    buffers(subject, findings);
    let Some(numbers) = Numbers::of(subject.model) else { return };
    let Some(architecture) = numbers.architecture() else { return };
    let meta = &subject.model.metadata;
    let special = matches!(meta.string("general.type"), Some("adapter" | "mmproj" | "imatrix"));
    // Weights packed by a quantizer of their own have other names and shapes.
    let packed = meta.iter().any(|(k, _)| k.starts_with("config.quantization"));
    if subject.model.tensors.is_empty() || special || packed {
        return;
    }
    // Models of text and images have tensors of both.
    let closed = architecture.closed && !numbers.nested();
    let known = Known::of(subject, numbers, architecture);
    known.shapes(findings);
    if subject.incomplete() {
        return;
    }
    known.missing(findings);
    if closed {
        known.others(findings);
    }
}

impl<'a> Known<'a> {
    fn of(subject: &'a Subject<'a>, numbers: Numbers<'a>, architecture: &'static Architecture) -> Self {
        let slots = Slots::new(architecture, numbers.form());
        let all = subject.model.tensors.iter().enumerate();
        let found = all.filter_map(|(tensor, t)| {
            let s = slots.find(&t.name)?;
            Some(Found { tensor, row: s.row, layer: s.layer, bias: s.bias, single: s.single })
        });
        let found = found.collect();
        Self { subject, numbers, rows: architecture.rows().collect(), found }
    }
    fn gguf(&self) -> bool {
        self.numbers.form() == Form::Gguf
    }
    /// The dimensions that a tensor of a row has, the slowest first; empty where nothing is asked.
    fn dims(&self, row: &Row, found: &Found) -> Vec<Dim> {
        // Several in one tensor have the dimension that counts them.
        let one = |dims: &'static [Dim]| if found.single { dims.get(1..).unwrap_or(dims) } else { dims }.to_vec();
        if found.bias {
            return one(row.bias_dims());
        }
        let mut dims = one(row.dims());
        if !self.gguf() && row.folder.by_input {
            dims.reverse();
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
            let key = (r, found.layer, found.bias, found.single);
            let sizes: &Option<Vec<u64>> = asked.entry(key).or_insert_with(|| self.sizes(row, found));
            let Some(sizes) = sizes.clone().filter(|sizes| *sizes != tensor.shape.0) else { continue };
            let dims = self.dims(row, found);
            let told: Vec<String> = dims.iter().zip(&sizes).map(|(d, n)| format!("{n} ({})", self.say(d))).collect();
            let what = format!(
                "{} has shape {}; the configuration asks for {}",
                quoted(&tensor.name),
                tensor.shape,
                Shape(sizes)
            );
            let why = if self.gguf() {
                "llama.cpp refuses the file: it checks the shape of every tensor"
            } else {
                "transformers refuses the weights: size mismatch"
            };
            let note = Note::new(Severity::Error, what).place(self.subject.place(found.tensor)).why(why);
            let advice = format!(
                "Asked for are {}: correct the configuration, or get the weights that belong to it",
                told.join(" x ")
            );
            findings.note("shapes", note.advice(advice));
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
            Dim::Times(n, key) => format!("{n} times {}", one(key)),
            Dim::Less(key) => format!("one less than {}", one(key)),
            Dim::Sum(dims) => dims.iter().map(|d| self.say(d)).collect::<Vec<_>>().join(" + "),
            Dim::Exactly(n) => format!("always {n}"),
        }
    }
    /// Tensors that must be there, and whole layers that are not.
    fn missing(&self, findings: &mut Findings) {
        let stated = self.numbers.stated(Key::Layers);
        let layers: BTreeSet<u64> = self.found.iter().filter_map(|f| f.layer.map(u64::from)).collect();
        let most = (self.subject.model.tensors.len() as u64).saturating_add(1);
        let count = stated.unwrap_or_else(|| layers.last().map_or(0, |l| l.saturating_add(1))).min(most);
        let refused = if self.gguf() {
            "llama.cpp refuses the file: a tensor is not found"
        } else {
            "transformers fills it with random values"
        };
        let advice = "get the whole model again; a shard or a conversion may have lost them";
        let place = self.numbers.find(Key::Layers).and_then(|(k, _)| self.subject.model.metadata.place(&k));
        // Where no layer is known by these names, the model has others: nothing is asked of it.
        if layers.is_empty() {
            return;
        }
        let lost: Vec<u64> = (0..count).filter(|l| !layers.contains(l)).collect();
        if let (Some(first), Some(stated)) = (lost.first(), stated) {
            let what = format!(
                "{} of {stated} layers hold no tensors; the first is layer {first}",
                stated.saturating_sub(layers.len() as u64)
            );
            findings.note("missing layers", Note::new(Severity::Error, what).place(place).why(refused).advice(advice));
        }
        if let (Some(stated), Some(last)) = (stated, layers.last())
            && *last >= stated
        {
            let what = format!("Tensors of layer {last} are there; the configuration has {stated} layers");
            let why =
                if self.gguf() { "llama.cpp refuses the file: wrong number of tensors" } else { "they are not used" };
            let note = Note::new(Severity::Warning, what).place(place).why(why);
            let advice = "compare the configuration with the one the weights were saved with";
            findings.note("more layers", note.advice(advice));
        }
        for name in self.lost(
            &layers.into_iter().filter(|l| *l < count).filter_map(|l| u32::try_from(l).ok()).collect::<Vec<u32>>(),
        ) {
            let note = Note::new(Severity::Error, format!("The tensor {} is missing", quoted(&name)));
            findings.note("missing tensors", note.place(place).why(refused).advice(advice));
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
        for row in self.rows.iter().filter(|row| !row.names(form).is_empty()) {
            let slots: Vec<Option<u32>> = match row.layered(form) {
                true => layers.iter().copied().map(Some).collect(),
                false => vec![None],
            };
            let asked = |layer: &Option<u32>| match row.need {
                Need::Always => true,
                Need::Optional => false,
                Need::BehindFirst => layer.is_some_and(|l| l > 0),
                Need::Unless(other) => !have.contains(&(other, *layer)),
                Need::OwnKeys => layer.is_some_and(|l| self.numbers.has_own_keys(l)),
                Need::OwnValues => layer.is_some_and(|l| self.numbers.has_own_values(l)),
                Need::LayerInputs => self.numbers.get(Key::PerLayerInput).is_some_and(|n| n > 0),
            };
            let gone = slots.into_iter().filter(|layer| asked(layer) && !have.contains(&(row.role, *layer)));
            lost.extend(gone.map(|layer| names.expected(row, layer.unwrap_or(0))));
        }
        lost
    }
    /// Tensors that a known architecture does not have.
    fn others(&self, findings: &mut Findings) {
        let mut listed = vec![false; self.subject.model.tensors.len()];
        for found in &self.found {
            listed[found.tensor] = true;
        }
        for (i, tensor) in self.subject.model.tensors.iter().enumerate() {
            // Quantizers keep factors beside weights; programs load them where they know them.
            let factor = tensor.name.ends_with("scale") || tensor.name.ends_with("scale_inv");
            if listed[i] || factor || BUFFERS.iter().any(|b| tensor.name.ends_with(b)) {
                continue;
            }
            let what = format!("{} is no tensor of the {} architecture", quoted(&tensor.name), self.numbers.name());
            let (severity, why) = if self.gguf() {
                let why = "llama.cpp refuses files with tensors that it does not use: wrong number of tensors";
                (Severity::Warning, why)
            } else {
                (Severity::Info, "transformers does not load it")
            };
            let note = Note::new(severity, what).place(self.subject.place(i)).why(why);
            findings.note("unknown tensors", note.advice("a newer program may use it; else it only takes room"));
        }
    }
}

fn buffers(subject: &Subject<'_>, findings: &mut Findings) {
    let all = &subject.model.tensors;
    let mut found = all.iter().enumerate().filter(|(_, t)| BUFFERS.iter().any(|b| t.name.ends_with(b)));
    let Some((first, tensor)) = found.next() else { return };
    let more = found.count();
    let and = if more > 0 { format!(" and {more} more like it") } else { String::new() };
    let note = Note::new(
        Severity::Info,
        format!("{}{and} only holds what programs work out by themselves", quoted(&tensor.name)),
    );
    let note = note.place(subject.place(first)).why("no program loads it; it takes a little room");
    findings.note("buffers", note.advice("nothing needs to be done"));
}
