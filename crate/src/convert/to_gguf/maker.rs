//! From stored tensors to new ones: names, rows and types.

use std::collections::BTreeMap;

use super::{
    config::Config,
    families,
    plan::{Origin, Step},
};
use crate::{
    arch::{Architecture, Form, Key, Numbers, Role, Row, Slot, Slots},
    convert::{
        rows::Stored,
        take::{Map, Order, Take},
    },
    fault::{Blame, Fault, Result},
    model::{ModelFile, TensorEntry},
    source::SourceSet,
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
    /// A tensor that becomes several, or one of another name.
    fn parts(&mut self, row: &'static Row, slot: &Slot, tensor: usize, shape: &[u64], take: Take) -> Result<()> {
        let layer = slot.layer.unwrap_or(0);
        let wrong =
            || Fault::new(Blame::File, format!("{:?} of shape {} cannot be parted", row.role, Shape(shape.to_vec())));
        // Gates and ups in turn, or all gates first.
        let in_turn = self.gguf == "gpt-oss";
        match (row.role, shape) {
            (Role::GateUpExperts, &[experts, a, b]) => {
                let (rows, row_len) = if row.folder.by_input { (b, a) } else { (a, b) };
                let half = rows / 2;
                for (part, role) in [Role::GateExperts, Role::UpExperts].into_iter().enumerate() {
                    let first = part as u64 * if in_turn { 1 } else { half };
                    let order = Order::From { first, step: if in_turn { 2 } else { 1 } };
                    let (stored, turned) = ((a, b), row.folder.by_input);
                    let take = Take { matrices: experts, stored, turned, rows: half, order, ..take.clone() };
                    self.push(self.name(role, layer, ".weight")?, vec![experts, half, row_len], take)?;
                }
                Ok(())
            }
            (Role::GateUpExpertsBias, &[experts, rows]) => {
                let half = rows / 2;
                for (part, role) in [Role::GateExperts, Role::UpExperts].into_iter().enumerate() {
                    let first = part as u64 * if in_turn { 1 } else { half };
                    let order = Order::From { first, step: if in_turn { 2 } else { 1 } };
                    let take = Take { matrices: experts, stored: (rows, 1), rows: half, order, ..take.clone() };
                    self.push(self.name(role, layer, ".bias")?, vec![experts, half], take)?;
                }
                Ok(())
            }
            (Role::DownExpertsBias, _) => {
                self.push(self.name(Role::DownExperts, layer, ".bias")?, shape.to_vec(), take)
            }
            (Role::SsmDtBias, _) => self.push(self.name(Role::SsmDt, layer, ".bias")?, shape.to_vec(), take),
            (Role::SharedGateUp, &[rows, row_len]) => {
                self.halves([Role::SharedGate, Role::SharedUp], layer, [rows, row_len], &take)
            }
            (Role::FfnGateUp, &[rows, row_len]) if self.entry(tensor)?.name.contains("shared_mlp") => {
                self.halves([Role::FfnGate, Role::FfnUp], layer, [rows, row_len], &take)
            }
            (Role::FfnGateUp, _) => {
                let name = self.name(Role::FfnGateUp, layer, if slot.bias { ".bias" } else { ".weight" })?;
                self.push(name, shape.to_vec(), take)
            }
            (Role::KvHigh, &[rows, rank]) => {
                let heads = self.heads(Key::Heads, layer)?;
                let (still, values) = (self.config.need(&["qk_nope_head_dim"])?, self.config.need(&["v_head_dim"])?);
                if heads.checked_mul(still + values) != Some(rows) {
                    return Err(wrong());
                }
                let of = Take { matrices: heads, stored: (still + values, rank), ..take };
                // Keys are stored turned. Their columns are those of the first rows alone.
                self.push_turned_part(self.name(Role::KHigh, layer, ".weight")?, &of, still)?;
                let order = Order::From { first: still, step: 1 };
                let take = Take { rows: values, order, ..of };
                self.push(self.name(Role::VHigh, layer, ".weight")?, vec![heads, values, rank], take)
            }
            _ => Err(wrong()),
        }
    }
    /// Queries, keys, values and gates of a delta net, which lie together by key head: the first three become one tensor.
    fn delta_net(&mut self, layer: u32, [rows, row_len]: [u64; 2], take: &Take) -> Result<()> {
        let (groups, values) = (self.heads(Key::SsmGroups, layer)?, self.heads(Key::SsmHeads, layer)?);
        let (key, value) = (self.heads(Key::SsmSize, layer)?, self.heads(Key::SsmHeadDim, layer)?);
        let wide = values / groups * value;
        let sizes = [key, key, wide, wide];
        if groups.checked_mul(sizes.iter().sum()) != Some(rows) {
            let what = format!("layer {layer}: a fused map of {rows} rows is not {groups} groups of {sizes:?}");
            return Err(Fault::new(Blame::File, what));
        }
        for (first, rows, role) in [(0, groups * (2 * key + wide), Role::AttnQkv), (3, groups * wide, Role::AttnGate)] {
            let order = Order::Sorted { groups, sizes, first };
            let take = Take { rows, order, ..take.clone() };
            self.push(self.name(role, layer, ".weight")?, vec![rows, row_len], take)?;
        }
        Ok(())
    }
    /// The first and the second half of a fused matrix.
    fn halves(&mut self, roles: [Role; 2], layer: u32, [rows, row_len]: [u64; 2], take: &Take) -> Result<()> {
        let half = rows / 2;
        for (part, role) in roles.into_iter().enumerate() {
            let order = Order::From { first: part as u64 * half, step: 1 };
            let take = Take { rows: half, order, ..take.clone() };
            self.push(self.name(role, layer, ".weight")?, vec![half, row_len], take)?;
        }
        Ok(())
    }
    /// The first rows of each matrix, turned.
    fn push_turned_part(&mut self, name: String, of: &Take, first: u64) -> Result<()> {
        let shape = vec![of.matrices, of.stored.1, first];
        let take = Take { turned: true, rows: of.stored.1, kept: Some(first), ..of.clone() };
        self.push(name, shape, take)
    }
    /// The steps, and what a person may want to know.
    ///
    /// # Errors
    /// Experts are missing; a tensor that GGUF has no place for is not zero.
    pub(super) async fn finish(mut self, files: &SourceSet) -> Result<(Vec<Step>, Vec<String>)> {
        if let Some(((layer, role), items)) = self.items.iter().next() {
            let what =
                format!("layer {layer} has {} of its {role:?}: not all that the configuration says", items.len());
            return Err(Fault::new(Blame::File, what));
        }
        for tensor in &self.zeros {
            let entry = self.entry(*tensor)?;
            let stored = Stored::of(files, self.model(), entry)?;
            let bytes = stored.read(0..stored.bytes()).await?;
            // Of minus zero the sign is set.
            let width = entry.encoding.spec().map_or(1, |s| s.block_bytes as usize);
            if bytes
                .chunks(width.max(1))
                .any(|v| v.iter().enumerate().any(|(i, b)| *b != 0 && !(i + 1 == width && *b == 0x80)))
            {
                let what = format!("{} is not zero, and GGUF has no place for it in {}", entry.name, self.gguf);
                return Err(Fault::unsupported(what));
            }
            self.left_out.push(entry.name.clone());
        }
        // Mamba's head, where it is saved beside the embedding that it is.
        if let (Some((step, head)), Some(embedding), "mamba") = (self.tied, self.embedding, self.gguf)
            && same(files, self.model(), self.entry(head)?, self.entry(embedding)?).await?
        {
            self.left_out.push(self.entry(head)?.name.clone());
            self.steps.remove(step);
        }
        let mut notes = Vec::new();
        if let Some(first) = self.left_out.first() {
            let more = self.left_out.len() - 1;
            let more = if more > 0 { format!(" and {more} more tensors") } else { String::new() };
            notes.push(format!("{first}{more}: left out, GGUF files of this architecture have no place for it"));
        }
        Ok((self.steps, notes))
    }
}

/// Bytes that are compared at a time.
const PIECE: u64 = 8 << 20;

/// Whether two tensors hold the same values.
async fn same(files: &SourceSet, model: &ModelFile, a: &TensorEntry, b: &TensorEntry) -> Result<bool> {
    let (a, b, alike) = (Stored::of(files, model, a)?, Stored::of(files, model, b)?, a.encoding == b.encoding);
    if !alike || a.bytes() != b.bytes() {
        return Ok(false);
    }
    let mut at = 0;
    while at < a.bytes() {
        let end = a.bytes().min(at + PIECE);
        if a.read(at..end).await? != b.read(at..end).await? {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}
