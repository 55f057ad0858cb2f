//! Graph to program: slots, weight splits, and the five step lists.

use std::{collections::HashMap, fmt};

use bytemuck::bytes_of;

use super::{
    arch,
    config::{Config, RopeScaling},
    graph::{Graph, Node, Op},
    kernel::{
        AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, PickParams, RopeParams, WidthParams, state,
    },
    plan::{Plan, Program, Slot, SlotKind, SlotSpec, Step, WeightLoad},
    weights::{Role, WeightRef, Weights},
};
use crate::{
    fault::{Fault, Result},
    model::ModelFile,
    tensor::Encoding,
};

/// Picked ids that a device keeps before the host must have read them.
pub const RING: u32 = 256;

/// Parts of a split weight begin at multiples of this many rows, so that tiles stay whole.
const PART_ROWS: u64 = 64;

/// What the caller decides.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// Rows of the caches; `None`: the model's own context length.
    pub context: Option<u32>,
    /// The most tokens of one prefill step.
    pub chunk: u32,
    /// Values of the tensors that [`tables_needed`] names, by index into `ModelFile::tensors`.
    pub tables: Vec<(usize, Vec<f32>)>,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self { context: None, chunk: 256, tables: Vec::new() }
    }
}

/// What is known of a model that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchitectureSummary {
    /// The model's numbers.
    pub config: Config,
    /// Bytes of the weights on the device (norms and biases as F32).
    pub weights: u64,
    /// Bytes of keys and values per token of context (f32).
    pub cache_per_token: u64,
    /// Bytes of activations, logits and rotation tables at the default chunk and the model's context.
    pub scratch: u64,
}

/// Bytes a program makes a device hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights.
    pub weights: u64,
    /// Key and value caches.
    pub caches: u64,
    /// Activations, constants, logits, state.
    pub scratch: u64,
}

/// Whether the engine can run a model, found out from its header alone.
///
/// # Errors
/// Why not: an unknown architecture, metadata or tensors missing or contradictory, an encoding without kernels.
pub fn can_run(model: &ModelFile) -> Result<ArchitectureSummary> {
    let graph = arch::graph(model)?;
    let config = graph.config.clone();
    let mut options = PrepareOptions::default();
    let context = options.chunk.min(config.context);
    options.context = Some(context);
    let memory = lower(model, &graph, &config, &options, u64::MAX)?.memory();
    let table_rows = u64::from(config.context - context);
    Ok(ArchitectureSummary {
        weights: memory.weights,
        cache_per_token: memory.caches / u64::from(context),
        scratch: memory.scratch + table_rows * u64::from(config.rope.dims) * 4,
        config,
    })
}

/// Tensors whose values the plan itself needs ([`PrepareOptions::tables`]): rotary factors.
pub fn tables_needed(model: &ModelFile) -> Vec<usize> {
    Weights::new(model).find(Role::RopeFactors, 0, "weight").into_iter().collect()
}

/// The program of a model for a device whose weight slots hold at most `max_slot_bytes`.
///
/// # Errors
/// As [`can_run`]; a table of [`tables_needed`] was not given; sizes beyond what slots can hold.
pub fn prepare(model: &ModelFile, options: &PrepareOptions, max_slot_bytes: u64) -> Result<Program> {
    let graph = arch::graph(model)?;
    let mut config = graph.config.clone();
    for tensor in tables_needed(model) {
        let given = options.tables.iter().find(|(t, _)| *t == tensor);
        let (_, values) = given.ok_or_else(|| {
            Fault::caller(format!("the values of tensor {} are needed to plan", model.tensors[tensor].name))
        })?;
        if config.rope.scaling != RopeScaling::None {
            return Err(Fault::unsupported("rotary factors together with rotary scaling cannot be run yet"));
        }
        config.rope.scaling = RopeScaling::Factors(values.clone());
    }
    lower(model, &graph, &config, options, max_slot_bytes)
}

fn lower(
    model: &ModelFile,
    graph: &Graph,
    c: &Config,
    options: &PrepareOptions,
    max_slot_bytes: u64,
) -> Result<Program> {
    let context = options.context.unwrap_or(c.context);
    if context == 0 || options.chunk == 0 {
        return Err(Fault::caller("a context and a chunk of at least one token are needed"));
    }
    if context > c.context {
        return Err(Fault::caller(format!("a context of {context} asked of a model made for {}", c.context)));
    }
    let mut l = Lowering {
        model,
        graph,
        max_slot_bytes,
        context,
        chunk: options.chunk.min(context),
        program: Program { context, vocab: c.vocab, ..Program::default() },
        weights: HashMap::new(),
        scratch: Vec::new(),
        caches: Vec::new(),
        state: Slot(0),
        tokens: Slot(0),
        rope: Slot(0),
        logits: Slot(0),
        ring: Slot(0),
    };
    l.fixed_slots(c)?;
    let chunk = l.chunk;
    l.program.decode = l.plan(1, Ending::Pick)?;
    l.program.decode_logits = l.plan(1, Ending::Logits)?;
    l.program.prefill = l.plan(chunk, Ending::Caches)?;
    l.program.prefill_pick = l.plan(chunk, Ending::Pick)?;
    l.program.prefill_logits = l.plan(chunk, Ending::Logits)?;
    Ok(l.program)
}

/// How a plan ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Caches,
    Logits,
    Pick,
}

/// One part of a weight: its slot and rows.
#[derive(Clone, Copy)]
struct Part {
    slot: Slot,
    first_row: u32,
    rows: u32,
}

struct Lowering<'a> {
    model: &'a ModelFile,
    graph: &'a Graph,
    max_slot_bytes: u64,
    context: u32,
    chunk: u32,
    program: Program,
    weights: HashMap<(usize, Encoding), Vec<Part>>,
    /// All activation slots with their length: shared by the plans, reused within one once their value is dead.
    scratch: Vec<(u32, Slot)>,
    /// Keys and values of each layer.
    caches: Vec<[Slot; 2]>,
    state: Slot,
    tokens: Slot,
    rope: Slot,
    logits: Slot,
    ring: Slot,
}

/// State of one plan's lowering.
struct Scope {
    batch: u32,
    steps: Vec<Step>,
    free: Vec<(u32, Slot)>,
    /// The slot of each computed node.
    at: Vec<Option<Slot>>,
    /// The last needed node that reads each node.
    last_use: Vec<usize>,
}

impl Lowering<'_> {
    fn slot(&mut self, name: impl Into<String>, kind: SlotKind) -> Result<Slot> {
        let n =
            u32::try_from(self.program.slots.len()).map_err(|_| Fault::limit("more slots than 32 bits can count"))?;
        self.program.slots.push(SlotSpec { name: name.into(), kind });
        Ok(Slot(n))
    }

    fn fixed_slots(&mut self, c: &Config) -> Result<()> {
        self.state = self.slot("state", SlotKind::State)?;
        self.tokens = self.slot("tokens", SlotKind::Tokens { len: self.chunk })?;
        self.ring = self.slot("ring", SlotKind::Ring { len: RING })?;
        self.logits = self.slot("logits", SlotKind::Activation { len: c.vocab })?;
        let table = c.rope.table(self.context)?;
        self.rope = self.slot("rope", SlotKind::Constant { len: size(self.context, c.rope.dims)? })?;
        self.program.constants.push((self.rope, table));
        let len = size(self.context, c.kv_width())?;
        for layer in 0..c.layers {
            let k = self.slot(format!("blk.{layer}.k_cache"), SlotKind::Cache { len })?;
            let v = self.slot(format!("blk.{layer}.v_cache"), SlotKind::Cache { len })?;
            self.caches.push([k, v]);
        }
        self.program.state = Some(self.state);
        self.program.tokens = Some(self.tokens);
        self.program.ring = Some(self.ring);
        self.program.logits = Some(self.logits);
        Ok(())
    }

    /// The slots of a weight, made on first use: one, or several where it exceeds the device's largest.
    fn parts(&mut self, w: WeightRef) -> Result<Vec<Part>> {
        if let Some(parts) = self.weights.get(&(w.tensor, w.encoding)) {
            return Ok(parts.clone());
        }
        let name = self.model.tensors[w.tensor].name.clone();
        let row_bytes = w.encoding.bytes(u64::from(w.row_len), u64::from(w.row_len)).ok_or_else(|| {
            Fault::unsupported(format!(
                "tensor {name}: rows of {} values are not whole blocks of {}",
                w.row_len, w.encoding
            ))
        })?;
        let fit = self.max_slot_bytes / row_bytes.max(1);
        let per_part = match fit {
            0 => {
                return Err(Fault::limit(format!(
                    "tensor {name}: a row of {row_bytes} bytes exceeds the device's slots"
                )));
            }
            n if n >= u64::from(w.rows) => u64::from(w.rows),
            n if n > PART_ROWS => n / PART_ROWS * PART_ROWS,
            n => n,
        };
        let mut parts = Vec::new();
        for first in (0..u64::from(w.rows)).step_by(per_part as usize) {
            let rows = per_part.min(u64::from(w.rows) - first) as u32;
            let part_name = if per_part < u64::from(w.rows) { format!("{name}[{first}..]") } else { name.clone() };
            let slot = self.slot(part_name, SlotKind::Weight { encoding: w.encoding, rows, row_len: w.row_len })?;
            let load = WeightLoad { slot, tensor: w.tensor, first_row: first, rows: u64::from(rows) };
            self.program.weights.push(load);
            parts.push(Part { slot, first_row: first as u32, rows });
        }
        self.weights.insert((w.tensor, w.encoding), parts.clone());
        Ok(parts)
    }

    fn plan(&mut self, batch: u32, ending: Ending) -> Result<Plan> {
        let needed = self.needed(ending);
        let nodes = &self.graph.nodes;
        let mut last_use = vec![usize::MAX; nodes.len()];
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| needed[*i]) {
            for input in node.op.inputs() {
                last_use[input.0] = i;
            }
        }
        // Taken from the end, so the first slots made are the first reused.
        let free = self.scratch.iter().rev().copied().collect();
        let mut s = Scope { batch, steps: Vec::new(), free, at: vec![None; nodes.len()], last_use };
        for i in (0..nodes.len()).filter(|i| needed[*i]) {
            self.node(&mut s, i)?;
            self.release(&mut s, i);
        }
        let (state, tokens, ring) = (self.state, self.tokens, self.ring);
        if ending == Ending::Pick {
            let p = PickParams { vocab: self.program.vocab, ring_len: RING, pad: [0; 2] };
            s.push(KernelId::Pick, &[self.logits, state, tokens, ring], bytes_of(&p));
        } else {
            s.push(KernelId::Advance, &[state], bytes_of(&width_params(0)));
        }
        Ok(Plan { batch, steps: s.steps })
    }

    /// Which nodes a plan must compute: those that the cache writes, and the logits where wanted, depend on.
    fn needed(&self, ending: Ending) -> Vec<bool> {
        let nodes = &self.graph.nodes;
        let mut needed = vec![false; nodes.len()];
        for i in (0..nodes.len()).rev() {
            let root = matches!(nodes[i].op, Op::KvWrite { .. }) || (ending != Ending::Caches && i + 1 == nodes.len());
            if root || needed[i] {
                needed[i] = true;
                for input in nodes[i].op.inputs() {
                    needed[input.0] = true;
                }
            }
        }
        needed
    }

    /// Frees the slots whose value was read for the last time by node `i`.
    fn release(&self, s: &mut Scope, i: usize) {
        let kept = s.at[i];
        for input in self.graph.nodes[i].op.inputs() {
            if s.last_use[input.0] == i
                && let Some(slot) = s.at[input.0].take()
                && Some(slot) != kept
                && let Some((len, _)) = self.scratch.iter().find(|(_, known)| *known == slot)
            {
                s.free.push((*len, slot));
            }
        }
    }

    /// A slot for node `i`'s result: a free one of its length, else a new one.
    fn result(&mut self, s: &mut Scope, i: usize, rows: u32) -> Result<Slot> {
        let node = &self.graph.nodes[i];
        let len = size(rows, node.width)?;
        let slot = match s.free.iter().rposition(|(l, _)| *l == len) {
            Some(at) => s.free.remove(at).1,
            None => {
                let slot = self.slot(node.name, SlotKind::Activation { len })?;
                self.scratch.push((len, slot));
                slot
            }
        };
        s.at[i] = Some(slot);
        Ok(slot)
    }

    /// Lowers one node.
    fn node(&mut self, s: &mut Scope, i: usize) -> Result<()> {
        let (graph, state) = (self.graph, self.state);
        let node = &graph.nodes[i];
        let width = width_params(node.width);
        match node.op {
            Op::Embed { table } => {
                let x = self.result(s, i, self.chunk)?;
                for part in self.parts(table)? {
                    let p = EmbedParams { width: node.width, first_row: part.first_row, rows: part.rows, scale: 1.0 };
                    s.push(KernelId::Embed, &[state, self.tokens, part.slot, x], bytes_of(&p));
                }
            }
            Op::RmsNorm { x, weight } => {
                let y = self.result(s, i, self.chunk)?;
                let p = NormParams { width: node.width, eps: graph.config.norm_eps, pad: [0; 2] };
                let weight = self.vector(weight)?;
                s.push(KernelId::RmsNorm, &[state, s.of(x)?, weight, y], bytes_of(&p));
            }
            Op::Linear { x, weight, bias } => self.linear(s, i, x, weight, bias)?,
            Op::Rope { x, heads } => {
                let slot = s.take_over(x, i)?;
                let rope = &graph.config.rope;
                let head_dim = graph.config.head_dim;
                let p = RopeParams { heads, head_dim, half: rope.dims / 2, neox: u32::from(rope.neox) };
                s.push(KernelId::Rope, &[state, self.rope, slot], bytes_of(&p));
            }
            Op::KvWrite { x, layer, value } => {
                let cache = self.caches[layer as usize][usize::from(value)];
                s.push(KernelId::KvWrite, &[state, s.of(x)?, cache], bytes_of(&width));
            }
            Op::Attention { q, layer } => {
                let y = self.result(s, i, self.chunk)?;
                let [k, v] = self.caches[layer as usize];
                s.push(KernelId::Attention, &[state, s.of(q)?, k, v, y], bytes_of(&self.attention_params()));
            }
            Op::SiluMul { gate, up } => {
                let y = self.result(s, i, self.chunk)?;
                s.push(KernelId::SiluMul, &[state, s.of(gate)?, s.of(up)?, y], bytes_of(&width));
            }
            Op::Add { x, y } => {
                let fused = s.at[y.0].is_some() && s.at[y.0] == s.at[x.0];
                let slot = s.take_over(x, i)?;
                if !fused {
                    s.push(KernelId::Add, &[state, s.of(y)?, slot], bytes_of(&width));
                }
            }
            Op::LastRow { x } if s.batch == 1 => s.at[i] = Some(s.take_over(x, i)?),
            Op::LastRow { x } => {
                let y = self.result(s, i, 1)?;
                s.push(KernelId::LastRow, &[state, s.of(x)?, y], bytes_of(&width));
            }
        }
        Ok(())
    }

    fn linear(&mut self, s: &mut Scope, i: usize, x: Node, weight: WeightRef, bias: Option<WeightRef>) -> Result<()> {
        let (graph, state) = (self.graph, self.state);
        let width = graph.nodes[i].width;
        let last = i + 1 == graph.nodes.len();
        let after_last_row = matches!(graph.nodes[x.0].op, Op::LastRow { .. });
        let sum = self.sum_into(s, i);
        let y = match sum {
            _ if last => self.logits,
            Some(x) => s.of(x)?,
            None => self.result(s, i, self.chunk)?,
        };
        s.at[i] = Some(y);
        let kernel = if s.batch == 1 || after_last_row { KernelId::MatVec } else { KernelId::MatMul };
        for part in self.parts(weight)? {
            let p = LinearParams {
                k: weight.row_len,
                rows: part.rows,
                first_row: part.first_row,
                y_stride: width,
                accumulate: u32::from(sum.is_some()),
                pad: [0; 3],
            };
            s.push(kernel, &[state, part.slot, s.of(x)?, y], bytes_of(&p));
        }
        if let Some(bias) = bias {
            if after_last_row && s.batch > 1 {
                return Err(Fault::unsupported("a bias on the output matrix cannot be run yet"));
            }
            let bias = self.vector(bias)?;
            s.push(KernelId::AddBias, &[state, bias, y], bytes_of(&width_params(width)));
        }
        Ok(())
    }

    /// The residual that linear node `i` may add into in place: its only reader is an addition, and that is the residual's last reader too.
    fn sum_into(&self, s: &Scope, i: usize) -> Option<Node> {
        let reader = s.last_use[i];
        let nodes = &self.graph.nodes;
        let Op::Add { x, y } = nodes.get(reader)?.op else { return None };
        let readers = |n: Node| nodes.iter().enumerate().filter(move |(_, node)| node.op.inputs().contains(&n));
        let alone = readers(Node(i)).count() == 1;
        let residual_is_idle = readers(x).all(|(at, _)| at < i || at == reader);
        (y == Node(i) && x.0 < i && alone && residual_is_idle).then_some(x)
    }

    fn vector(&mut self, w: WeightRef) -> Result<Slot> {
        match self.parts(w)?.as_slice() {
            [part] => Ok(part.slot),
            _ => Err(Fault::bug("a vector in several slots")),
        }
    }

    fn attention_params(&self) -> AttentionParams {
        let c = &self.graph.config;
        AttentionParams {
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
            context: self.context,
            scale: (1.0 / f64::from(c.head_dim).sqrt()) as f32,
            pad: [0; 3],
        }
    }
}

impl Scope {
    fn push(&mut self, kernel: KernelId, bind: &[Slot], params: &[u8]) {
        self.steps.push(Step { kernel, bind: bind.to_vec(), params: params.to_vec() });
    }
    fn of(&self, node: Node) -> Result<Slot> {
        self.at[node.0].ok_or_else(|| Fault::bug(format!("node {} is read after its slot was freed", node.0)))
    }
    /// Node `i` is computed in place of its input `x`, which nothing reads later.
    fn take_over(&mut self, x: Node, i: usize) -> Result<Slot> {
        let slot = self.of(x)?;
        if self.last_use[x.0] != i {
            return Err(Fault::bug(format!("node {} is overwritten before its last use", x.0)));
        }
        self.at[i] = Some(slot);
        Ok(slot)
    }
}

fn width_params(width: u32) -> WidthParams {
    WidthParams { width, pad: [0; 3] }
}

fn size(rows: u32, width: u32) -> Result<u32> {
    rows.checked_mul(width).ok_or_else(|| {
        Fault::limit(format!("{rows} rows of {width} values are more than a slot can hold: ask for a shorter context"))
    })
}

impl Program {
    /// Bytes of the slots by use; weights as in the file's encoding.
    pub fn memory(&self) -> Memory {
        let mut m = Memory::default();
        for slot in &self.slots {
            match slot.kind {
                SlotKind::Weight { encoding, rows, row_len } => {
                    let row = encoding.bytes(u64::from(row_len), u64::from(row_len)).unwrap_or(0);
                    m.weights += u64::from(rows) * row;
                }
                SlotKind::Cache { len } => m.caches += u64::from(len) * 4,
                SlotKind::Constant { len }
                | SlotKind::Activation { len }
                | SlotKind::Tokens { len }
                | SlotKind::Ring { len } => m.scratch += u64::from(len) * 4,
                SlotKind::State => m.scratch += state::WORDS as u64 * 4,
            }
        }
        m
    }
    /// Weight and cache bytes that one decoded token reads when `pos` tokens came before; an embedding row, not its table.
    pub fn bytes_per_token(&self, pos: u32) -> u64 {
        let bytes = |slot: &Slot| match self.slot(*slot).kind {
            SlotKind::Weight { encoding, rows, row_len } => {
                u64::from(rows) * encoding.bytes(u64::from(row_len), u64::from(row_len)).unwrap_or(0)
            }
            SlotKind::Cache { len } => u64::from(len) * 4 / u64::from(self.context.max(1)) * (u64::from(pos) + 1),
            _ => 0,
        };
        let reads = self.decode.steps.iter().filter(|s| !matches!(s.kernel, KernelId::Embed | KernelId::KvWrite));
        reads.flat_map(|s| &s.bind).map(bytes).sum()
    }
}

impl fmt::Display for Program {
    /// The plans as text, one step a line: `kernel params: inputs -> outputs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.memory();
        writeln!(f, "context {}, vocabulary {}", self.context, self.vocab)?;
        writeln!(f, "bytes: weights {}, caches {}, scratch {}", m.weights, m.caches, m.scratch)?;
        let plans = [
            ("decode", &self.decode),
            ("decode_logits", &self.decode_logits),
            ("prefill", &self.prefill),
            ("prefill_pick", &self.prefill_pick),
            ("prefill_logits", &self.prefill_logits),
        ];
        for (name, plan) in plans {
            writeln!(f, "\n{name}: batch {}, {} steps", plan.batch, plan.steps.len())?;
            for step in &plan.steps {
                let names: Vec<_> = step.bind.iter().map(|s| self.slot(*s).name.as_str()).collect();
                let (inputs, outputs) = names.split_at(names.len().saturating_sub(step.kernel.outputs()));
                write!(f, "  {}", step.kernel.name())?;
                if let Some(rows) = rows_of(step) {
                    write!(f, " {rows}")?;
                }
                writeln!(f, ": {} -> {}", inputs.join(", "), outputs.join(", "))?;
            }
        }
        Ok(())
    }
}

/// The shape of a linear step: "192 x 576", "+=" where it adds, "at row 64" in a split weight.
fn rows_of(step: &Step) -> Option<String> {
    if !matches!(step.kernel, KernelId::MatVec | KernelId::MatMul) || step.params.len() != size_of::<LinearParams>() {
        return None;
    }
    let p: LinearParams = bytemuck::pod_read_unaligned(&step.params);
    let at = if p.first_row > 0 { format!(" at row {}", p.first_row) } else { String::new() };
    Some(format!("{} x {}{}{at}", p.rows, p.k, if p.accumulate == 1 { " +=" } else { "" }))
}
