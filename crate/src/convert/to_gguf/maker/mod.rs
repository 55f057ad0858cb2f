//! From stored tensors to new ones: names, rows and types.

mod finish;
mod parts;

use std::collections::BTreeMap;

use super::{
    config::Config,
    families,
    plan::{Origin, Step},
};
use crate::{
    arch::{Architecture, Form, Key, Numbers, Role, Row, Slot, Slots},
    convert::take::{Map, Order, Take},
    fault::{Blame, Fault, Result},
    model::{ModelFile, TensorEntry},
    tensor::{Encoding, Shape},
};

/// Names that llama.cpp's converter passes over: what follows from the configuration, or belongs to images and sound.
fn ignored(name: &str) -> bool {
    const ENDS: &[&str] = &[
        ".attention.masked_bias",
        ".attention.bias",
        ".rotary_emb.inv_freq",
        ".attn.bias",
        ".attn.masked_bias",
        "position_ids",
    ];
    const BEGINS: &[&str] = &["vit.", "vpm.", "siglip2.", "conformer.", "merger.", "resampler."];
    const WITHIN: &[&str] = &[
        "visual.",
        "vision.",
        "audio.",
        "talker.",
        "vision_",
        "audio_",
        "projector.",
        "image_newline",
        "patch_embed",
        "patch_merger.",
    ];
    ENDS.iter().any(|e| name.ends_with(e))
        || BEGINS.iter().any(|b| name.starts_with(b))
        || WITHIN.iter().any(|w| name.contains(w))
}

/// Kinds of tensors that stay in single precision, by what follows the layer.
const SINGLE: &[&str] = &[
    "ffn_gate_inp",
    "ffn_gate_inp_shexp",
    "position_embd",
    "token_types",
    "ssm_conv1d",
    "shortconv.conv",
    "altup_correct_coef",
    "altup_predict_coef",
];

/// Roles of experts that lie in a tensor each.
const EXPERTS: [Role; 3] = [Role::GateExperts, Role::DownExperts, Role::UpExperts];

/// Makes steps of tensors as they come.
pub(super) struct Maker<'a> {
    config: Config<'a>,
    numbers: &'a Numbers<'a>,
    architecture: &'static Architecture,
    gguf: &'a str,
    main: Encoding,
    rows: Vec<&'static Row>,
    slots: Slots,
    layers: u64,
    steps: Vec<Step>,
    /// Tensors of a role of which there are several in a layer, by layer, role and number.
    items: BTreeMap<(u32, Role), BTreeMap<u32, usize>>,
    /// Tensors that must be zero, because GGUF has no place for them.
    zeros: Vec<usize>,
    /// The step of the output matrix, which is left out where the embedding holds the same.
    tied: Option<(usize, usize)>,
    embedding: Option<usize>,
    left_out: Vec<String>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        numbers: &'a Numbers<'a>,
        architecture: &'static Architecture,
        gguf: &'a str,
        main: Encoding,
    ) -> Result<Self> {
        let layers = numbers.get(Key::Layers).ok_or_else(|| numbers.missing(Key::Layers))?;
        Ok(Self {
            config: Config::of(numbers),
            numbers,
            architecture,
            gguf,
            main,
            rows: architecture.rows().collect(),
            slots: Slots::new(architecture, Form::Folder),
            layers,
            steps: Vec::new(),
            items: BTreeMap::new(),
            zeros: Vec::new(),
            tied: None,
            embedding: None,
            left_out: Vec::new(),
        })
    }
    fn model(&self) -> &'a ModelFile {
        self.numbers.model()
    }
    fn entry(&self, tensor: usize) -> Result<&'a TensorEntry> {
        self.model().tensors.get(tensor).ok_or_else(|| Fault::bug("a tensor beyond the model's"))
    }
    /// A tensor that follows from the configuration.
    pub(super) fn made(&mut self, name: String, values: Vec<f32>) {
        let (shape, bytes) = (Shape(vec![values.len() as u64]), values.len() as u64 * 4);
        self.steps.push(Step { name, shape, encoding: Encoding::F32, bytes, origin: Origin::Made(values) });
    }
    /// The next stored tensor.
    ///
    /// # Errors
    /// It is none of the architecture's, or of a shape that its role cannot have.
    pub(super) fn tensor(&mut self, tensor: usize) -> Result<()> {
        let name = &self.entry(tensor)?.name;
        if ignored(name) {
            self.left_out.push(name.clone());
            return Ok(());
        }
        let slot = self.slots.find(name).ok_or_else(|| {
            let what = format!(
                "tensor {name} is none that the architecture {} has a place for in GGUF",
                self.architecture.name
            );
            Fault::unsupported(what)
        })?;
        let row = slot.row.and_then(|row| self.rows.get(row).copied());
        let Some(row) = row.filter(|row| !self.surplus(row.role, &slot)) else {
            self.left_out.push(name.clone());
            return Ok(());
        };
        match row.role {
            // T5 may save what its two halves share once for each.
            Role::TokenEmbedding if self.embedding.is_some() => {
                self.left_out.push(name.clone());
                return Ok(());
            }
            Role::TokenEmbedding => self.embedding = Some(tensor),
            Role::Output => self.tied = Some((self.steps.len(), tensor)),
            _ => {}
        }
        // llama.cpp's runner of these has no biases.
        if self.gguf == "cohere2" && slot.bias {
            self.zeros.push(tensor);
            return Ok(());
        }
        match slot.item {
            Some(item) => self.item(row, &slot, item, tensor),
            None => self.whole(row, &slot, tensor),
        }
    }
    /// What GGUF files of the architecture do not have: heads that are the embedding, layers that predict further tokens.
    fn surplus(&self, role: Role, slot: &Slot) -> bool {
        let tied = || self.config.flag(&["tie_word_embeddings"]) == Some(true);
        let head = match self.gguf {
            "gemma" | "gemma2" => role == Role::Output,
            "deepseek2" => role == Role::Output && tied(),
            _ => false,
        };
        head || slot.layer.is_some_and(|l| u64::from(l) >= self.layers) && self.gguf == "deepseek2"
    }
    /// One of several that become one: all of a layer's experts come when the last is there.
    fn item(&mut self, row: &Row, slot: &Slot, item: u32, tensor: usize) -> Result<()> {
        let layer = slot.layer.unwrap_or(0);
        let key = if EXPERTS.contains(&row.role) { Key::Experts } else { Key::AltupInputs };
        let count = self.numbers.at(key, layer).ok_or_else(|| self.numbers.missing(key))?;
        let count = if key == Key::AltupInputs { count.saturating_sub(1) } else { count };
        let name = self.entry(tensor)?.name.clone();
        if u64::from(item) >= count {
            return Err(Fault::new(
                Blame::File,
                format!("{name}: {count} of its kind expected from the configuration"),
            ));
        }
        self.items.entry((layer, row.role)).or_default().insert(item, tensor);
        let w1 = name.contains(".w1.") || name.contains(".w2.") || name.contains(".w3.");
        let roles: &[Role] = match (EXPERTS.contains(&row.role), w1) {
            (true, true) => &EXPERTS,
            (true, false) => &[Role::DownExperts, Role::GateExperts, Role::UpExperts],
            (false, _) => &[row.role],
        };
        let full = |role: &Role| self.items.get(&(layer, *role)).is_some_and(|all| all.len() as u64 == count);
        if !roles.iter().all(full) {
            return Ok(());
        }
        for role in roles {
            let tensors: Vec<usize> = self.items.remove(&(layer, *role)).unwrap_or_default().into_values().collect();
            let shape = &self.entry(tensors.first().copied().unwrap_or(tensor))?.shape.0;
            let &[rows, row_len] = shape.as_slice() else {
                return Err(Fault::new(
                    Blame::File,
                    format!("{name}: a matrix expected, a shape of {} found", Shape(shape.clone())),
                ));
            };
            for other in &tensors {
                let other = self.entry(*other)?;
                if other.shape.0 != [rows, row_len] {
                    let what = format!(
                        "{}: shape {rows} x {row_len} expected as of {name}, {} found",
                        other.name, other.shape
                    );
                    return Err(Fault::new(Blame::File, what));
                }
            }
            let take = Take { tensors, ..Take::all(tensor, rows, row_len) };
            let name = self.name(*role, layer, ".weight")?;
            self.push(name, vec![count, rows, row_len], take)?;
        }
        Ok(())
    }
    /// A name of GGUF files.
    fn name(&self, role: Role, layer: u32, end: &str) -> Result<String> {
        let own = self.rows.iter().find(|row| row.role == role).map(|row| row.names(Form::Gguf));
        let names = own.unwrap_or(role.row().gguf);
        let encoder = self.gguf == "t5encoder";
        let pattern = names.iter().find(|n| !encoder || n.starts_with("enc.")).or(names.first());
        let pattern = pattern.ok_or_else(|| Fault::unsupported(format!("GGUF has no name for {role:?}")))?;
        Ok(format!("{}{end}", pattern.replace("{l}", &layer.to_string())))
    }
    fn push(&mut self, name: String, shape: Vec<u64>, take: Take) -> Result<()> {
        if !take.fits() {
            let of = take.tensors.first().map(|t| self.entry(*t)).transpose()?;
            let of = of.map_or_else(String::new, |t| format!("{} of shape {}", t.name, t.shape));
            return Err(Fault::new(
                Blame::File,
                format!("{name} cannot be taken from {of}: the configuration says otherwise"),
            ));
        }
        let encoding = self.encoding(&name, &shape);
        let shape = Shape(shape);
        let count = shape.elements().filter(|n| Some(*n) == take.all_rows().checked_mul(take.row_len()));
        let count = count.ok_or_else(|| Fault::bug(format!("{name} of shape {shape} is taken from as many values")))?;
        let bytes =
            encoding.bytes(count, shape.row_len()).ok_or_else(|| Fault::limit(format!("{name} is too large")))?;
        self.steps.push(Step { name, shape, encoding, bytes, origin: Origin::Taken(take) });
        Ok(())
    }
    /// What a new tensor is stored as: vectors, norms and some small matrices in single precision.
    fn encoding(&self, name: &str, shape: &[u64]) -> Encoding {
        let stem = name.strip_suffix(".weight");
        let kind = stem.map(|s| s.strip_prefix("blk.").and_then(|s| s.split_once('.')).map_or(s, |(_, kind)| kind));
        let single = shape.len() <= 1 || kind.is_none_or(|kind| SINGLE.contains(&kind) || kind.ends_with("_norm"));
        let block = self.main.spec().map_or(1, |s| u64::from(s.block_len));
        match shape.last() {
            _ if single => Encoding::F32,
            Some(row) if row % block != 0 => Encoding::F16,
            _ => self.main,
        }
    }
    /// A number of heads in a layer.
    fn heads(&self, key: Key, layer: u32) -> Result<u64> {
        self.numbers.at(key, layer).filter(|n| *n > 0).ok_or_else(|| self.numbers.missing(key))
    }
    /// One tensor, which becomes one or several.
    fn whole(&mut self, row: &'static Row, slot: &Slot, tensor: usize) -> Result<()> {
        let entry = self.entry(tensor)?;
        let (layer, mut shape) = (slot.layer.unwrap_or(0), entry.shape.0.clone());
        if matches!(row.role, Role::SsmConv | Role::ShortConv) && !slot.bias {
            // A filter for each channel has a dimension of one between.
            if let &[channels, 1, taps] = shape.as_slice() {
                shape = vec![channels, taps];
            }
        }
        let row_len = if shape.len() > 1 { shape.last().copied().unwrap_or(1) } else { 1 };
        let rows = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).and_then(|all| all.checked_div(row_len));
        let rows = rows.ok_or_else(|| Fault::new(Blame::File, format!("{} has no values", entry.name)))?;
        let mut take = Take::all(tensor, rows, row_len);
        if !slot.bias && row.folder.plus != 0.0 {
            take.map = Map::Plus(row.folder.plus);
        }
        if self.gguf == "qwen35" {
            self.tile(row.role, layer, &mut take)?;
        }
        let bare = ![".weight", ".gamma", ".bias", ".beta"].iter().any(|end| entry.name.ends_with(end));
        let end = match row.role {
            _ if slot.bias => ".bias",
            Role::RouterBias => ".bias",
            Role::SsmA | Role::SsmD if bare => "",
            _ => ".weight",
        };
        match (row.role, shape.as_slice()) {
            (Role::AttnQ | Role::AttnK, _) if self.architecture.rearranges_heads() => {
                let heads = self.heads(if row.role == Role::AttnQ { Key::Heads } else { Key::KvHeads }, layer)?;
                take.order = Order::Paired { head: rows / heads };
            }
            (Role::AttnQkv, _) if row.folder.by_head => {
                let (heads, groups) = (self.heads(Key::Heads, layer)?, self.heads(Key::KvHeads, layer)?);
                let queries = heads / groups;
                take.order = Order::Apart { groups, queries, head: rows / (groups * (queries + 2)) };
            }
            (
                Role::GateUpExperts
                | Role::GateUpExpertsBias
                | Role::DownExpertsBias
                | Role::SharedGateUp
                | Role::FfnGateUp,
                _,
            )
            | (Role::KvHigh | Role::SsmDtBias, _) => return self.parts(row, slot, tensor, &shape, take),
            (Role::SsmIn, &[rows, row_len]) if self.gguf == "qwen3next" => {
                return self.delta_net(layer, [rows, row_len], &take);
            }
            (Role::PositionEmbedding, &[rows, row_len]) => {
                let first = families::first_position(self.numbers, &self.config).min(rows);
                (take.order, take.rows) = (Order::From { first, step: 1 }, rows - first);
                shape = vec![take.rows, row_len];
            }
            (Role::SsmA, &[n]) if !self.gguf.starts_with("qwen") => shape = vec![n, 1],
            (Role::SsmD, &[n]) if self.gguf != "mamba" => shape = vec![n, 1],
            (Role::SsmNorm, &[n]) if !self.gguf.starts_with("qwen") => {
                let groups = self.heads(Key::SsmGroups, layer)?;
                shape = vec![groups, n / groups];
            }
            _ => {}
        }
        if row.role == Role::SsmA {
            take.map = Map::NegativeExponential;
        }
        if row.folder.by_input && !slot.bias {
            self.turn(&mut take, &mut shape);
        }
        let name = self.name(row.role, layer, end)?;
        self.push(name, shape, take)
    }
    /// Columns of each matrix become rows.
    fn turn(&self, take: &mut Take, shape: &mut [u64]) {
        if let [.., rows, columns] = shape {
            std::mem::swap(rows, columns);
            let (inputs, outputs) = (*columns, *rows);
            take.matrices = take.stored.0 / inputs.max(1);
            take.stored = (inputs, outputs);
            (take.turned, take.rows) = (true, outputs);
        }
    }
}
