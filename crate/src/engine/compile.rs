//! Graph to program: which buffers there are, where each value lies, and the steps in order.

use std::{collections::HashMap, rc::Rc};

use super::{
    memory::Memory,
    program::{
        BatchLayout, BufferId, BufferKind, BufferSpec, CacheType, Operand, PAGE_ROWS, Part, Program, RING, Step, View,
        Want, WeightLoad, record_words, sampling, table_words,
    },
};
use crate::{
    fault::{Fault, Result},
    ir::{Binary, DType, Dim, Fact, Fused, Graph, Link, Node, NodeId, Op, StateId, Value, WeightId, passes},
    tensor::Encoding,
};

/// Parts of a split weight begin at multiples of this many rows, so that tiles stay whole.
const PART_ROWS: u64 = 64;

/// What the caller decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The longest sequence.
    pub context: u32,
    /// The most rows of a step: tokens of a prompt that are computed together.
    pub rows: u32,
    /// The most rows of a step that want a result.
    pub outputs: u32,
    /// The most sequences at once.
    pub sequences: u32,
    /// Element type of keys and values.
    pub cache: CacheType,
    /// The largest weight buffer of the device, in bytes as uploaded.
    pub max_buffer_bytes: u64,
    /// Choose the next token from "logits".
    pub choice: bool,
    /// Count tokens, so that they can be penalised.
    pub penalties: bool,
    /// Which decisions are left to the plainest way.
    pub plan: Plan,
}

/// The passes that decide how a graph becomes a program ([`passes::PASSES`]): which of them are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Kernels that fit the number of rows.
    pub select: bool,
    /// Results over inputs.
    pub place: bool,
    /// Buffers used again.
    pub memory: bool,
}

impl Plan {
    /// All but those that these names switch off.
    pub fn without(disabled: &[&str]) -> Self {
        let is_on = |name| passes::is_on(name, disabled);
        Self { select: is_on(passes::SELECT), place: is_on(passes::PLACE), memory: is_on(passes::MEMORY) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            context: 4096,
            rows: 256,
            outputs: 1,
            sequences: 1,
            cache: CacheType::F32,
            max_buffer_bytes: u64::MAX,
            choice: true,
            penalties: false,
            plan: Plan::without(&[]),
        }
    }
}

/// The program of a graph.
///
/// # Errors
/// A weight's rows are not whole blocks or exceed the device's buffers; a size exceeds 2^32 words.
pub fn compile(graph: &Graph, options: &Options) -> Result<Program> {
    if options.context == 0 || options.rows == 0 || options.sequences == 0 {
        return Err(Fault::caller("a context, a step and a batch of at least one are needed"));
    }
    let mut graph = graph.clone();
    let logits = graph.output("logits");
    if let (Some(logits), true) = (logits, options.choice) {
        let choice = graph.add(Op::Sample { alternatives: sampling::MAX_ALTERNATIVES }, &[logits], "choice")?;
        graph.add(Op::Advance, &[choice.result(0), choice.result(1), choice.result(2)], "advance")?;
    }
    let mut c = Compiler::new(&graph, options)?;
    c.fixed_buffers(logits.filter(|_| options.choice))?;
    for i in 0..graph.nodes.len() {
        c.node(NodeId(i as u32))?;
    }
    c.finish()
}

/// The bits of the wants that need each node.
fn needed_by(graph: &Graph) -> Vec<u8> {
    let bit = |want: Want| 1u8 << want as u8;
    let mut needed = vec![0u8; graph.nodes.len()];
    for (_, value) in &graph.outputs {
        needed[value.node.0 as usize] |= bit(Want::Results);
    }
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        needed[i] |= match node.op {
            Op::Advance => bit(Want::Choice),
            _ if graph.has_effect(NodeId(i as u32)) => bit(Want::States) | bit(Want::Results) | bit(Want::Choice),
            _ => 0,
        };
        for input in &node.inputs {
            needed[input.node.0 as usize] |= needed[i];
        }
    }
    needed
}

struct Compiler<'a> {
    graph: &'a Graph,
    options: &'a Options,
    program: Program,
    memory: Memory,
    needed: Vec<u8>,
    /// What each value is, once made.
    operands: HashMap<Value, Operand>,
    /// Page tables: the window of each group; group 0 has none.
    windows: Vec<Option<u32>>,
    states: Vec<BufferId>,
}

impl<'a> Compiler<'a> {
    fn new(graph: &'a Graph, options: &'a Options) -> Result<Self> {
        let mut windows = vec![None];
        for state in graph.states.iter().filter(|s| !s.carried) {
            // A window that holds the whole context is none.
            let window = state.window.filter(|w| *w < options.context);
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
        let rows = options.rows.min(options.context).max(options.sequences);
        let layout = BatchLayout {
            rows,
            outputs: options.outputs.max(options.sequences),
            sequences: options.sequences,
            pages: options.context.div_ceil(PAGE_ROWS),
            groups: windows.len() as u32,
        };
        u64::from(layout.groups)
            .checked_mul(u64::from(layout.sequences) * u64::from(layout.pages))
            .filter(|n| *n < 1 << 28)
            .ok_or_else(|| Fault::limit(format!("{} sequences of {} tokens", options.sequences, options.context)))?;
        let general = !options.plan.select;
        let program = Program { layout, context: options.context, general, ..Program::default() };
        Ok(Self {
            graph,
            options,
            program,
            memory: Memory::new(graph),
            needed: needed_by(graph),
            operands: HashMap::new(),
            windows,
            states: Vec::new(),
        })
    }

    fn buffer(&mut self, name: impl Into<Rc<str>>, kind: BufferKind) -> Result<BufferId> {
        let name = name.into();
        if kind.words() > u64::from(u32::MAX) && !matches!(kind, BufferKind::Weight { .. }) {
            return Err(Fault::limit(format!(
                "{name} would have {} words, a buffer holds {}: ask for a shorter context",
                kind.words(),
                u32::MAX
            )));
        }
        self.program.buffers.push(BufferSpec { name, kind });
        Ok(BufferId(self.program.buffers.len() as u32 - 1))
    }

    fn fixed_buffers(&mut self, logits: Option<Value>) -> Result<()> {
        let layout = self.program.layout;
        self.program.batch = self.buffer("batch", BufferKind::Batch { len: layout.words() })?;
        if let Some(logits) = logits {
            let vocab = self.graph.fact(logits).width().ok_or_else(|| Fault::bug("logits of no known number"))?;
            self.program.vocab = vocab;
            let len = layout.sequences * sampling::WORDS as u32;
            self.program.sampling = Some(self.buffer("sampling", BufferKind::Sampling { len })?);
            let len = product(&[RING, record_words(layout.sequences)])?;
            self.program.ring = Some(self.buffer("ring", BufferKind::Ring { len })?);
            if self.options.penalties {
                let len = product(&[layout.sequences, vocab])?;
                self.program.counts = Some(self.buffer("counts", BufferKind::Counts { len })?);
            }
        }
        for (i, rotation) in self.graph.rotations.iter().enumerate() {
            let len = table_words(self.options.context, rotation.dims / 2);
            let table = self.buffer(format!("angles {i}"), BufferKind::RotaryTable { rotation: i, len })?;
            self.program.rotations.push((rotation.clone(), table));
        }
        for (i, state) in self.graph.states.iter().enumerate() {
            if state.carried {
                let (sequences, width) = (layout.sequences, state.width);
                let kind = BufferKind::Carried { state: StateId(i as u32), sequences, width };
                let id = self.buffer(Rc::clone(&state.name), kind)?;
                self.states.push(id);
                continue;
            }
            let window = state.window.filter(|w| *w < self.options.context);
            let group = self.windows.iter().position(|w| *w == window).unwrap_or(0) as u32;
            let rows = self.state_pages(window) * PAGE_ROWS * layout.sequences;
            let kind = BufferKind::State {
                state: StateId(i as u32),
                cache: self.options.cache,
                rows,
                width: state.width,
                group,
            };
            let id = self.buffer(Rc::clone(&state.name), kind)?;
            self.states.push(id);
        }
        Ok(())
    }

    /// Pages that one sequence needs: those of the context, or of a window and the rows of a step.
    fn state_pages(&self, window: Option<u32>) -> u32 {
        let all = self.program.layout.pages;
        window.map_or(all, |w| ((w + self.program.layout.rows).div_ceil(PAGE_ROWS) + 1).min(all))
    }

    fn node(&mut self, id: NodeId) -> Result<()> {
        let node = self.graph.node(id);
        if self.needed[id.0 as usize] == 0 {
            return Ok(());
        }
        match &node.op {
            Op::Input(input) => {
                self.operands.insert(id.value(), Operand::Input(*input));
            }
            Op::Weight(weight) => {
                let operand = self.weight(*weight)?;
                self.operands.insert(id.value(), operand);
            }
            Op::Constant(at) => self.constant(id, *at)?,
            Op::Slice { .. } | Op::Reshape(_) if self.view(id)? => {}
            Op::Fused(Fused::GatedLinear(f)) if self.is_split(node.inputs[1]) => self.gate_apart(id, *f)?,
            _ => self.step(id)?,
        }
        self.memory.release(id);
        Ok(())
    }

    /// A weight's buffers: one, or several where it exceeds the device's largest.
    fn weight(&mut self, id: WeightId) -> Result<Operand> {
        let weight = &self.graph.weights[id.0 as usize];
        let Some(encoding) = weight.encoding() else {
            let len = weight.fact.width().ok_or_else(|| Fault::bug("a vector of no known length"))?;
            let buffer = self.buffer(Rc::clone(&weight.name), BufferKind::Vector { len })?;
            self.program.loads.push(WeightLoad { buffer, to_row: 0, weight: id, first_row: 0, rows: 1 });
            return Ok(Operand::View(View { buffer, offset: 0, stride: len, fact: weight.fact.clone() }));
        };
        let (rows, row_len) = matrix_shape(&weight.fact)?;
        let row_bytes = row_bytes(&weight.name, encoding, row_len)?;
        let fit = self.options.max_buffer_bytes / row_bytes.max(1);
        let per_part = match fit {
            0 => {
                return Err(Fault::limit(format!(
                    "tensor {}: a row of {row_bytes} bytes exceeds the device's buffers",
                    weight.name
                )));
            }
            n if n >= u64::from(rows) => u64::from(rows.max(1)),
            n if n > PART_ROWS => n / PART_ROWS * PART_ROWS,
            n => n,
        };
        let mut parts = Vec::new();
        for first in (0..u64::from(rows)).step_by(per_part as usize) {
            let (first_row, part_rows) = (first as u32, per_part.min(u64::from(rows) - first) as u32);
            let whole = part_rows == rows;
            let name = if whole { Rc::clone(&weight.name) } else { format!("{}[{first}..]", weight.name).into() };
            let buffer = self.buffer(name, BufferKind::Weight { encoding, rows: part_rows, row_len })?;
            self.program.loads.push(WeightLoad { buffer, to_row: 0, weight: id, first_row, rows: part_rows });
            parts.push(Part { buffer, first_row, rows: part_rows });
        }
        Ok(Operand::Matrix { encoding, rows, row_len, parts: parts.into() })
    }

    fn is_split(&self, weight: Value) -> bool {
        matches!(self.operands.get(&weight), Some(Operand::Matrix { parts, .. }) if parts.len() > 1)
    }

    fn constant(&mut self, id: NodeId, at: usize) -> Result<()> {
        let constant = &self.graph.constants[at];
        let len = u32::try_from(constant.values.len()).map_err(|_| Fault::limit("a constant beyond 2^32 values"))?;
        let buffer = self.buffer(Rc::clone(&self.graph.node(id).label), BufferKind::Constant { len })?;
        self.program.constants.push((buffer, Rc::clone(&constant.values)));
        let fact = constant.fact.clone();
        let stride = fact.width().unwrap_or(1);
        self.operands.insert(id.value(), Operand::View(View { buffer, offset: 0, stride, fact }));
        Ok(())
    }

    /// A slice of columns, or the same values in another shape, needs no step where its input lies so that it can be looked at.
    fn view(&mut self, id: NodeId) -> Result<bool> {
        let node = self.graph.node(id);
        let Operand::View(from) = self.operand(node.inputs[0])? else { return Ok(false) };
        let fact = node.facts[0].clone();
        let whole = |v: &View| v.fact.width() == Some(v.stride);
        let view = match &node.op {
            Op::Slice { axis, start, .. } if axis + 1 == from.fact.shape.len() => {
                View { offset: from.offset + start, fact, ..from }
            }
            Op::Slice { axis: 0, start, .. } => View { offset: from.offset + start * from.stride, fact, ..from },
            Op::Reshape(_) if whole(&from) => {
                let stride = fact.width().unwrap_or(1);
                View { stride, fact, ..from }
            }
            _ => return Ok(false),
        };
        self.operands.insert(id.value(), Operand::View(view));
        Ok(true)
    }

    fn operand(&self, value: Value) -> Result<Operand> {
        self.operands.get(&value).cloned().ok_or_else(|| {
            let label = &self.graph.maker(value).label;
            Fault::bug(format!("{label} is read before it is made"))
        })
    }

    /// A new place for values of this fact.
    fn allocate(&mut self, label: &Rc<str>, fact: &Fact) -> Result<View> {
        let layout = self.program.layout;
        let dims = fact.shape.iter().map(|d| match d {
            Dim::Fixed(n) => *n,
            Dim::Rows => layout.rows,
            Dim::Outputs => layout.outputs,
            Dim::Context => self.options.context,
        });
        let len = product(&dims.collect::<Vec<_>>())?;
        let buffer = match self.memory.take(len).filter(|_| self.options.plan.memory) {
            Some(buffer) => buffer,
            None => {
                let buffer = self.buffer(Rc::clone(label), BufferKind::Activation { len })?;
                self.memory.made(buffer, len);
                buffer
            }
        };
        Ok(View { buffer, offset: 0, stride: fact.width().unwrap_or(1), fact: fact.clone() })
    }

    /// One step for one node; a copy first where it must write over a value that is read later.
    fn step(&mut self, id: NodeId) -> Result<()> {
        let node = self.graph.node(id);
        let mut inputs = node.inputs.iter().map(|v| self.operand(*v)).collect::<Result<Vec<_>>>()?;
        let mut outputs = Vec::new();
        for (output, fact) in node.facts.iter().enumerate() {
            let value = id.result(output as u8);
            let operand = match self.state_of(node, output) {
                Some(state) => Operand::State(self.states[state.0 as usize]),
                None => Operand::View(self.place(id, output, fact, &mut inputs)?),
            };
            self.operands.insert(value, operand.clone());
            outputs.push(operand);
        }
        if let Op::Recur(recur) = &node.op {
            inputs.push(Operand::State(self.states[recur.state.0 as usize]));
        }
        self.push(node.op.clone(), inputs, outputs, &node.label, self.needed[id.0 as usize]);
        Ok(())
    }

    fn push(&mut self, op: Op, inputs: Vec<Operand>, outputs: Vec<Operand>, label: &Rc<str>, needed_by: u8) {
        self.program.steps.push(Step { op, inputs, outputs, label: Rc::clone(label), needed_by });
    }

    /// The state that a result of a node is.
    fn state_of(&self, node: &Node, output: usize) -> Option<StateId> {
        match (&node.op, output) {
            (Op::StateWrite(id), 0) => Some(*id),
            (Op::Recur(recur), 1) => Some(recur.state),
            (Op::Fused(Fused::RopeWrite { keys, .. }), 1) => Some(*keys),
            (Op::Fused(Fused::RopeWrite { values, .. }), 2) => Some(*values),
            _ => None,
        }
    }

    /// Where a result goes: over an input where the operation works in place, else into a free or new buffer.
    fn place(&mut self, id: NodeId, output: usize, fact: &Fact, inputs: &mut [Operand]) -> Result<View> {
        let node = self.graph.node(id);
        let target = in_place(&node.op).filter(|_| output == 0);
        if let Some(target) = target {
            let from = node.inputs[target.input];
            let Operand::View(view) = &inputs[target.input] else { return Err(Fault::bug("a weight written over")) };
            let view = View { fact: fact.clone(), ..view.clone() };
            let whole = view.offset == 0 && view.fact.width() == Some(view.stride);
            let fits = self.graph.fact(from) == fact || matches!(node.op, Op::Fused(Fused::RopeWrite { .. }));
            let alone = self.memory.is_last_read(from, id) && self.is_activation(&view);
            let may = target.must || (self.options.plan.place && whole && !self.shares(inputs, target.input));
            if fits && alone && may {
                self.memory.alias(id.result(0), from);
                return Ok(view);
            }
            if target.must {
                let copy = self.copy(id, from, view)?;
                inputs[target.input] = Operand::View(copy.clone());
                return Ok(View { fact: fact.clone(), ..copy });
            }
        }
        let view = self.allocate(&node.label, fact)?;
        self.memory.own(id.result(output as u8), view.buffer);
        Ok(view)
    }

    fn is_activation(&self, view: &View) -> bool {
        matches!(self.program.buffer(view.buffer).kind, BufferKind::Activation { .. })
    }

    /// Whether another input lies in the same buffer: a device cannot bind one for reading and for writing.
    fn shares(&self, inputs: &[Operand], which: usize) -> bool {
        let buffer = |o: &Operand| if let Operand::View(v) = o { Some(v.buffer) } else { None };
        inputs.iter().enumerate().any(|(i, o)| i != which && buffer(o) == buffer(&inputs[which]))
    }

    /// Copies a value, for an operation that writes over its input.
    fn copy(&mut self, id: NodeId, value: Value, view: View) -> Result<View> {
        let fact = self.graph.fact(value).clone();
        let to = self.allocate(&self.graph.maker(value).label, &fact)?;
        self.memory.own(id.result(0), to.buffer);
        let axis = fact.shape.len().saturating_sub(1);
        let op = Op::Slice { axis, start: 0, len: fact.width().unwrap_or(1) };
        let from = View { fact, ..view };
        let label = &self.graph.node(id).label;
        let (inputs, outputs) = (vec![Operand::View(from)], vec![Operand::View(to.clone())]);
        self.push(op, inputs, outputs, label, self.needed[id.0 as usize]);
        Ok(to)
    }

    /// A gated map whose weight lies in several buffers: the map into a buffer of its own, then the gate.
    fn gate_apart(&mut self, id: NodeId, f: crate::ir::Unary) -> Result<()> {
        let node = self.graph.node(id);
        let needed = self.needed[id.0 as usize];
        let inputs = node.inputs.iter().map(|v| self.operand(*v)).collect::<Result<Vec<_>>>()?;
        let mut both = node.facts[0].clone();
        let (last, n) = (both.shape.len() - 1, both.width().unwrap_or(0));
        both.shape[last] = Dim::Fixed(2 * n);
        let scratch = self.allocate(&node.label, &both)?;
        let out = self.allocate(&node.label, &node.facts[0])?;
        self.memory.own(id.value(), out.buffer);
        self.memory.give_back(scratch.buffer);
        self.push(Op::Linear, inputs, vec![Operand::View(scratch.clone())], &node.label, needed);
        let half = |offset| Operand::View(View { offset, fact: node.facts[0].clone(), ..scratch.clone() });
        let chain = Op::Fused(Fused::Chain(vec![Link::Unary(f), Link::Binary(Binary::Mul, 1)]));
        self.push(chain, vec![half(0), half(n)], vec![Operand::View(out.clone())], &node.label, needed);
        self.operands.insert(id.value(), Operand::View(out));
        Ok(())
    }

    fn finish(mut self) -> Result<Program> {
        for (name, value) in &self.graph.outputs {
            let Operand::View(view) = self.operand(*value)? else {
                return Err(Fault::bug(format!("the result {name} is no value")));
            };
            self.program.results.push((Rc::clone(name), view));
        }
        Ok(self.program)
    }
}

/// An input that an operation writes over.
struct InPlace {
    input: usize,
    /// The operation knows no other way.
    must: bool,
}

fn in_place(op: &Op) -> Option<InPlace> {
    match op {
        Op::Rope(_) | Op::Fused(Fused::LinearAdd | Fused::RopeWrite { .. }) => Some(InPlace { input: 0, must: true }),
        Op::Unary(_) | Op::Binary(_) | Op::Fused(Fused::Chain(_)) => Some(InPlace { input: 0, must: false }),
        _ => None,
    }
}

fn product(dims: &[u32]) -> Result<u32> {
    dims.iter().try_fold(1u32, |p, n| p.checked_mul(*n)).ok_or_else(|| {
        Fault::limit(format!("{dims:?} values are more than a buffer can hold: ask for a shorter context or step"))
    })
}

/// `[rows, row_len]` of a weight matrix.
pub(super) fn matrix_shape(fact: &Fact) -> Result<(u32, u32)> {
    match (fact.dtype, fact.shape.as_slice()) {
        (DType::Block(_), [Dim::Fixed(rows), Dim::Fixed(row_len)]) => Ok((*rows, *row_len)),
        _ => Err(Fault::bug(format!("a weight matrix expected, {fact} found"))),
    }
}

/// Bytes of a row of a weight as it is uploaded.
pub(super) fn row_bytes(name: &str, encoding: Encoding, row_len: u32) -> Result<u64> {
    encoding.bytes(u64::from(row_len), u64::from(row_len)).ok_or_else(|| {
        Fault::unsupported(format!("tensor {name}: rows of {row_len} values are not whole blocks of {encoding}"))
    })
}
