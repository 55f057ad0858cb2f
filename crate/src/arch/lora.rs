//! LoRA adapters: from the names of their tensors to the weights that they change.
//!
//! Sources: peft `tuners/lora/{config,layer}.py`, `utils/save_and_load.py`; llama.cpp `src/llama-adapter.cpp`, `convert_lora_to_gguf.py`.

use std::collections::BTreeMap;

use super::{Architecture, Built, Form, Names, Numbers, Role, Slots, canonical};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{DType, Half, HeadRows, LowRank, Source, Stored, add_low_rank},
    model::{FormatId, ModelFile, Packed, Place, TensorEntry},
    tensor::Shape,
};

/// What a whole model puts before its parts' names in PEFT's files.
const WRAPPED: &str = "base_model.model.";
/// Alpha where an adapter_config.json states none.
const PEFT_ALPHA: f64 = 8.0;
/// Ways to begin an adapter that change the base model's own weights.
const CHANGES_BASE: &[&str] = &["pissa", "olora", "corda", "loftq", "lora_ga"];
/// Weights that lie alike in folders and in GGUF files, beside queries and keys, whose rows may take turns.
const ALIKE: &[Role] = &[
    Role::TokenEmbedding,
    Role::Output,
    Role::AttnQ,
    Role::AttnK,
    Role::AttnV,
    Role::AttnOutput,
    Role::FfnGate,
    Role::FfnUp,
    Role::FfnGateUp,
    Role::FfnDown,
    Role::Router,
    Role::GateExperts,
    Role::UpExperts,
    Role::DownExperts,
    Role::SharedGate,
    Role::SharedUp,
    Role::SharedDown,
];

/// What the tensors of an adapter are to one module.
#[derive(Default)]
struct Found {
    a: Option<usize>,
    b: Option<usize>,
    bias: Option<usize>,
    lookup: bool,
}

/// What a tensor's name says.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    A(&'a str),
    B(&'a str),
    Bias(&'a str),
    LookupA(&'a str),
    LookupB(&'a str),
    Magnitude(&'a str),
    /// A tensor of the model itself, trained along.
    Whole(&'a str),
}

/// An adapter that is laid over a model.
struct Adapter<'a> {
    model: &'a ModelFile,
    form: Form,
    number: usize,
    /// Number of its first tensor behind the model's.
    first: usize,
    /// What the user multiplies it with.
    scale: f32,
}

/// The model that is changed.
struct Base<'a> {
    model: &'a ModelFile,
    architecture: &'static Architecture,
    numbers: Numbers<'a>,
    names: Names<'a>,
    by_name: BTreeMap<&'a str, usize>,
    packed: Vec<Packed>,
}

/// A weight that an adapter names.
struct Target {
    tensor: usize,
    role: Option<Role>,
    layer: u32,
    item: Option<u32>,
}

/// Has a graph compute LoRA adapters beside its weights, each multiplied by a number. Their tensors are counted behind the model's, in
/// the order of the adapters.
///
/// # Errors
/// An adapter is of another kind, states no scale, was made for another architecture, or names weights that the model has not; shapes
/// do not fit; its tensors are not all here.
pub fn adapt(built: &mut Built, model: &ModelFile, adapters: &[(&ModelFile, f32)]) -> Result<()> {
    if adapters.is_empty() {
        return Ok(());
    }
    let (architecture, numbers) = super::of(model)?;
    let form = numbers.form();
    let by_name = model.tensors.iter().enumerate().rev().map(|(i, t)| (canonical(form, &t.name), i)).collect();
    let packed = model.packed();
    let base = Base { model, architecture, names: Names::new(model, form), numbers, by_name, packed };
    let (mut changes, mut first) = (Vec::new(), model.tensors.len());
    for (number, (adapter, scale)) in adapters.iter().enumerate() {
        let name = adapter.files.first().map_or("the adapter", |f| f.name.as_str());
        let one = Adapter { form: kind(adapter, &base)?, model: adapter, number, first, scale: *scale };
        let (own, notes) = one.changes(&base, built).map_err(|f| Fault { what: format!("{name}: {}", f.what), ..f })?;
        built.notes.push(format!("{name} changes {} weights, times {scale}", own.len()));
        built.notes.extend(notes);
        changes.extend(own);
        first += adapter.tensors.len();
    }
    let read = add_low_rank(&mut built.graph, &changes)?;
    for (change, _) in changes.iter().zip(read).filter(|(_, read)| !read) {
        let name = &model.tensors[change.tensor].name;
        built.notes.push(format!("an adapter changes {name}, which the forward pass does not read"));
    }
    Ok(())
}

/// The form of an adapter, which must be one of LoRA for this architecture.
fn kind(adapter: &ModelFile, base: &Base<'_>) -> Result<Form> {
    let meta = &adapter.metadata;
    if adapter.format == FormatId::Gguf {
        for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
            let found = meta.string(key).unwrap_or("nothing");
            if found != wanted {
                return Err(Fault::caller(format!("no LoRA adapter: {key} is {found:?}, {wanted:?} expected")));
            }
        }
        if meta.get("adapter.alora.invocation_tokens").is_some() {
            return Err(Fault::unsupported("an adapter that begins at certain tokens (aLoRA) cannot be run yet"));
        }
        let made_for = meta.string("general.architecture").unwrap_or("unknown");
        if !base.architecture.gguf.contains(&made_for) {
            let what = format!("the adapter was made for {made_for}, the model is {}", base.numbers.name());
            return Err(Fault::caller(what));
        }
        return Ok(Form::Gguf);
    }
    let prefix = "adapter_config.";
    if !meta.iter().any(|(key, _)| key.starts_with(prefix)) {
        let what = "no LoRA adapter: neither a GGUF file nor weights with adapter_config.json beside them, which states the scale";
        return Err(Fault::caller(what));
    }
    let kind = meta.string("adapter_config.peft_type").unwrap_or("LORA");
    if kind != "LORA" {
        return Err(Fault::unsupported(format!("an adapter of the type {kind:?} cannot be run yet, LORA can")));
    }
    if meta.boolean("adapter_config.use_dora") == Some(true) {
        return Err(dora());
    }
    let begun = meta.string("adapter_config.init_lora_weights").unwrap_or_default().to_lowercase();
    if CHANGES_BASE.iter().any(|way| begun.starts_with(way)) {
        let what = format!(
            "the adapter began as {begun:?}, which changes the base model's weights: PEFT can save it converted"
        );
        return Err(Fault::unsupported(what));
    }
    Ok(Form::Folder)
}

fn dora() -> Fault {
    Fault::unsupported("an adapter with magnitudes of columns (DoRA) cannot be run yet")
}

/// What a tensor of an adapter is, by its name.
fn part(form: Form, name: &str) -> Part<'_> {
    if form == Form::Gguf {
        let bare = |stem: &'_ str| stem.len() - stem.strip_suffix(".weight").map_or(0, |_| ".weight".len());
        return match (name.strip_suffix(".lora_a"), name.strip_suffix(".lora_b")) {
            (Some(stem), _) if stem == "token_embd.weight" => Part::LookupA(&stem[..bare(stem)]),
            (_, Some(stem)) if stem == "token_embd.weight" => Part::LookupB(&stem[..bare(stem)]),
            (Some(stem), _) => Part::A(&stem[..bare(stem)]),
            (_, Some(stem)) => Part::B(&stem[..bare(stem)]),
            _ => Part::Whole(name),
        };
    }
    let name = name.strip_prefix(WRAPPED).unwrap_or(name);
    // Older files have the adapter's name between: "lora_A.default.weight".
    let split = |mark: &str| name.split_once(mark).filter(|(_, rest)| rest.matches('.').count() <= 2);
    for (mark, of) in [
        (".lora_A", Part::A as fn(_) -> _),
        (".lora_B", Part::B),
        (".lora_embedding_A", Part::LookupA),
        (".lora_embedding_B", Part::LookupB),
        (".lora_magnitude_vector", Part::Magnitude),
    ] {
        if let Some((stem, rest)) = split(mark).filter(|(_, rest)| rest.is_empty() || rest.starts_with('.')) {
            return if rest.ends_with(".bias") { Part::Bias(stem) } else { of(stem) };
        }
    }
    Part::Whole(name)
}

impl Adapter<'_> {
    /// Low-rank changes, and what is to be told; tensors of the model that were trained along take the place of the model's.
    fn changes(&self, base: &Base<'_>, built: &mut Built) -> Result<(Vec<LowRank>, Vec<String>)> {
        let mut modules: BTreeMap<&str, Found> = BTreeMap::new();
        let mut notes = Vec::new();
        for (i, tensor) in self.model.tensors.iter().enumerate() {
            readable(self.model, tensor)?;
            let mut add = |stem, lookup, set: fn(&mut Found) -> &mut Option<usize>| {
                let found: &mut Found = modules.entry(stem).or_default();
                found.lookup |= lookup;
                *set(found) = Some(i);
            };
            match part(self.form, &tensor.name) {
                Part::A(stem) => add(stem, false, |f| &mut f.a),
                Part::B(stem) => add(stem, false, |f| &mut f.b),
                Part::LookupA(stem) => add(stem, true, |f| &mut f.a),
                Part::LookupB(stem) => add(stem, true, |f| &mut f.b),
                Part::Bias(stem) => add(stem, false, |f| &mut f.bias),
                Part::Magnitude(_) => return Err(dora()),
                Part::Whole(name) => notes.extend(self.replace(base, built, i, name)?),
            }
        }
        if modules.is_empty() {
            return Err(Fault::new(Blame::File, "no tensor of the adapter is named as one of a LoRA pair"));
        }
        let changes =
            modules.iter().map(|(stem, found)| self.change(base, built, stem, found)).collect::<Result<_>>()?;
        Ok((changes, notes))
    }
    fn change(&self, base: &Base<'_>, built: &Built, stem: &str, found: &Found) -> Result<LowRank> {
        let half_missing = |which| Fault::new(Blame::File, format!("{stem} has no {which}: the adapter is not whole"));
        let a = found.a.ok_or_else(|| half_missing("A"))?;
        let b = found.b.ok_or_else(|| half_missing("B"))?;
        let target = base.target(self.form, stem)?;
        let tensor = match target.role {
            // A head that is the embedding has no tensor of its own to be changed, or one that is not read.
            Some(Role::Output) if !reads(built, target.tensor) => base.embedding().unwrap_or(target.tensor),
            _ => target.tensor,
        };
        let (name, shape) = base.shape(tensor, &target).ok_or_else(|| {
            Fault::unsupported(format!("{stem} is packed without its shape: an adapter over it cannot be run yet"))
        })?;
        let [a_shape, b_shape] = [a, b].map(|i| self.model.tensors[i].shape.clone());
        let wrong = || {
            let what = format!("{stem}: A {a_shape} and B {b_shape} do not fit {name}, {shape}");
            Fault::new(Blame::File, what)
        };
        let by_input = base.numbers.form() == Form::Folder
            && base.packed.iter().all(|p| p.main != tensor)
            && target
                .role
                .and_then(|r| base.architecture.rows().find(|row| row.role == r))
                .is_some_and(|r| r.folder.by_input);
        let stacked = shape.0.len() == 3;
        let (experts, rows, columns) = match *shape.0.as_slice() {
            [rows, columns] => (None, rows, columns),
            [experts, rows, columns] => (Some(experts), rows, columns),
            _ => return Err(wrong()),
        };
        let (rows, columns) = if by_input { (columns, rows) } else { (rows, columns) };
        // PEFT keeps A of a table as [rank, tokens], GGUF as [tokens, rank].
        let turned = found.lookup && self.form == Form::Folder;
        let (inputs, outputs) = if found.lookup { (rows, columns) } else { (columns, rows) };
        let rank = b_shape.row_len();
        let a_wanted = if found.lookup && !turned { vec![inputs, rank] } else { vec![rank, inputs] };
        let all = |matrix: Vec<u64>| match experts.filter(|_| target.item.is_none()) {
            Some(n) => [vec![n], matrix].concat(),
            None => matrix,
        };
        if a_shape.0 != all(a_wanted)
            || b_shape.0 != all(vec![outputs, rank])
            || rank == 0
            || stacked && found.bias.is_some()
        {
            return Err(wrong());
        }
        let bias = found.bias.map(|i| match self.model.tensors[i].shape.0 == [outputs] {
            true => Ok(self.first + i),
            false => Err(wrong()),
        });
        let small = |n: u64| u32::try_from(n).map_err(|_| Fault::limit(format!("{stem}: a dimension of {n}")));
        let half = |i: usize, stored| Half { tensor: self.first + i, encoding: self.model.tensors[i].encoding, stored };
        Ok(LowRank {
            adapter: self.number,
            tensor,
            item: target.item.filter(|_| stacked),
            outputs: small(outputs)?,
            inputs: small(inputs)?,
            rank: small(rank)?,
            a: half(a, if turned { Stored::ByInput } else { Stored::ByOutput }),
            b: half(b, Stored::ByOutput),
            bias: bias.transpose()?,
            scale: self.scale * self.own_scale(stem, rank)?,
            lookup: found.lookup,
            head_rows: self.head_rows(base, built, &target, stem)?,
        })
    }
    /// Alpha over the rank, or over its root.
    fn own_scale(&self, stem: &str, rank: u64) -> Result<f32> {
        let (meta, rank) = (&self.model.metadata, rank as f64);
        if self.form == Form::Gguf {
            // llama.cpp: without an alpha, what the user says counts alone.
            let alpha = meta.number("adapter.lora.alpha").filter(|alpha| *alpha != 0.0);
            return Ok(alpha.map_or(1.0, |alpha| alpha / rank) as f32);
        }
        let mut alpha = meta.number("adapter_config.lora_alpha").unwrap_or(PEFT_ALPHA);
        const PATTERNS: &str = "adapter_config.alpha_pattern.";
        for (full, key) in meta.iter().filter_map(|(full, _)| Some((full, full.strip_prefix(PATTERNS)?))) {
            if key.contains(['*', '\\', '[', '(', '^', '$', '|', '+', '?']) {
                let what = format!("alpha_pattern has the pattern {key:?}: only names of modules can be run yet");
                return Err(Fault::unsupported(what));
            }
            let fits = stem == key || stem.strip_suffix(key).is_some_and(|rest| rest.ends_with('.'));
            if let Some(value) = meta.number(full).filter(|_| fits) {
                alpha = value;
                break;
            }
        }
        let by = if meta.boolean("adapter_config.use_rslora") == Some(true) { rank.sqrt() } else { rank };
        let scale = (alpha / by) as f32;
        if scale.is_finite() { Ok(scale) } else { Err(Fault::new(Blame::File, format!("{stem}: a scale of {scale}"))) }
    }
    /// How B's rows lie where the adapter and the model are of two forms.
    fn head_rows(&self, base: &Base<'_>, built: &Built, target: &Target, stem: &str) -> Result<HeadRows> {
        if self.form == base.numbers.form() {
            return Ok(HeadRows::Same);
        }
        let architecture = base.architecture;
        let otherwise = || {
            let what = format!(
                "{stem}: a folder and a GGUF file keep this weight of {} in different orders",
                architecture.name
            );
            Fault::unsupported(format!("{what}; an adapter of the model's own form can be run"))
        };
        let role = target.role.filter(|role| ALIKE.contains(role)).ok_or_else(otherwise)?;
        if architecture.gguf_pairing == architecture.folder_pairing || !matches!(role, Role::AttnQ | Role::AttnK) {
            return Ok(HeadRows::Same);
        }
        let dim = built.hparams.head_dim.at(target.layer);
        if built.hparams.rope.as_ref().is_none_or(|rope| rope.dims != dim) || dim % 2 != 0 {
            return Err(otherwise());
        }
        Ok(if self.form == Form::Folder { HeadRows::Halves(dim) } else { HeadRows::ByTurns(dim) })
    }
    /// Puts a whole tensor in the place of the model's; a note where the model has none of its name.
    fn replace(&self, base: &Base<'_>, built: &mut Built, i: usize, name: &str) -> Result<Option<String>> {
        let entry = &self.model.tensors[i];
        let tensor = base.by_name.get(canonical(base.numbers.form(), name)).copied();
        let Some(tensor) = tensor.filter(|_| self.form == base.numbers.form()) else {
            return Ok(Some(format!(
                "tensor {} of the adapter has no place in the model, and is left out",
                entry.name
            )));
        };
        let own = &base.model.tensors[tensor];
        if own.shape != entry.shape {
            let what = format!(
                "{} takes the place of {}: shape {} expected, {} found",
                entry.name, own.name, own.shape, entry.shape
            );
            return Err(Fault::new(Blame::File, what));
        }
        for weight in &mut built.graph.weights {
            if weight.sources.iter().all(|s| s.tensor != tensor) {
                continue;
            }
            let plain = |s: &Source| s.tensor == tensor && matches!(s.stored, Stored::ByOutput | Stored::ByInput);
            if !weight.sources.iter().all(plain) {
                return Err(Fault::unsupported(format!(
                    "{}: one of several tensors of a weight cannot be replaced yet",
                    entry.name
                )));
            }
            if let DType::Block(encoding) = &mut weight.fact.dtype {
                *encoding = entry.encoding;
            }
            weight.sources.iter_mut().for_each(|s| s.tensor = self.first + i);
            weight.name = entry.name.as_str().into();
        }
        Ok(None)
    }
}

/// Whether a weight of the graph has rows of a tensor.
fn reads(built: &Built, tensor: usize) -> bool {
    built.graph.weights.iter().any(|w| w.sources.iter().any(|s| s.tensor == tensor))
}

fn readable(model: &ModelFile, entry: &TensorEntry) -> Result<()> {
    if entry.encoding.spec().and_then(|s| s.decode).is_none() {
        return Err(Fault::unsupported(format!(
            "tensor {} is in {}, which cannot be decoded",
            entry.name, entry.encoding
        )));
    }
    if model.big_endian() {
        return Err(Fault::unsupported("an adapter in big-endian bytes cannot be run yet"));
    }
    match &entry.place {
        Place::Here { .. } => Ok(()),
        _ => Err(Fault::new(Blame::File, format!("tensor {} has no bytes of its own in the files given", entry.name))),
    }
}

impl Base<'_> {
    /// Name and shape of a weight, unpacked where several tensors hold it together; where its file says no shape, as the metadata has it.
    fn shape(&self, tensor: usize, target: &Target) -> Option<(&str, Shape)> {
        let entry = &self.model.tensors[tensor];
        let Some(packed) = self.packed.iter().find(|p| p.main == tensor) else {
            return Some((&entry.name, entry.shape.clone()));
        };
        let stated = || {
            let row = self.architecture.rows().find(|r| Some(r.role) == target.role)?;
            row.dims().iter().map(|d| self.numbers.dim(d, target.layer)).collect::<Option<Vec<_>>>().map(Shape)
        };
        Some((&packed.stem, packed.shape.clone().or_else(stated)?))
    }
    fn embedding(&self) -> Option<usize> {
        let row = self.architecture.rows().find(|r| r.role == Role::TokenEmbedding)?;
        self.names.weight(row, 0, 0)
    }
    /// The weight that an adapter's name means: the tensor of that name, or the one of its role.
    fn target(&self, form: Form, stem: &str) -> Result<Target> {
        let own = self.numbers.form();
        let slots = Slots::new(self.architecture, form);
        let slot = slots.find(stem);
        let row = slot.and_then(|s| self.architecture.rows().nth(s.row?));
        let layer = slot.and_then(|s| s.layer).unwrap_or(0);
        let role = row.map(|r| r.role);
        if form == own {
            let name = canonical(own, stem);
            let same =
                [format!("{name}.weight"), name.to_owned()].iter().find_map(|n| self.by_name.get(n.as_str()).copied());
            if let Some(tensor) = same {
                return Ok(Target { tensor, role, layer, item: None });
            }
        }
        let found = row.and_then(|row| self.names.weight(row, layer, slot.and_then(|s| s.item).unwrap_or(0)));
        if let Some(tensor) = found {
            return Ok(Target { tensor, role, layer, item: slot.and_then(|s| s.item) });
        }
        if role == Some(Role::Output)
            && let Some(tensor) = self.embedding()
        {
            return Ok(Target { tensor, role, layer, item: None });
        }
        let layers =
            self.numbers.at(super::Key::Layers, 0).map_or_else(String::new, |n| format!(" and has {n} layers"));
        let what = format!("{stem} is no weight of the model, which is {}{layers}", self.numbers.name());
        Err(Fault::new(Blame::File, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_adapters_say_what_their_tensors_are() {
        let of = |name| part(Form::Folder, name);
        for (name, want) in [
            ("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", Part::A("model.layers.0.mlp.up_proj")),
            ("base_model.model.h.1.attn.c_attn.lora_B.default.weight", Part::B("h.1.attn.c_attn")),
            ("base_model.model.x.lora_B.bias", Part::Bias("x")),
            ("base_model.model.wte.lora_embedding_A", Part::LookupA("wte")),
            ("base_model.model.wte.lora_embedding_B.default", Part::LookupB("wte")),
            ("base_model.model.x.lora_magnitude_vector", Part::Magnitude("x")),
            ("base_model.model.score.weight", Part::Whole("score.weight")),
        ] {
            assert_eq!(of(name), want, "{name}");
        }
        assert_eq!(part(Form::Gguf, "blk.0.attn_q.weight.lora_a"), Part::A("blk.0.attn_q"));
        assert_eq!(part(Form::Gguf, "token_embd.weight.lora_b"), Part::LookupB("token_embd"));
    }
}
