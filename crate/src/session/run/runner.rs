//! A program on its device: composes steps, reads results, opens the device again when it is lost.

use std::rc::Rc;

use crate::{
    arch,
    engine::{
        compile::{self, Options, Plan},
        device::{Device, DeviceChoice, DeviceInfo, Fetch},
        program::{
            BufferKind, CHECKPOINTS, CacheType, PAGE_ROWS, Program, RING, StepKey, TABLE_STEP, TOLD_WORDS, Want, batch,
            record_words, sampling,
        },
        sampler::Sampling,
    },
    fault::{Fault, Result},
    ir::{Angles, Graph, Input, passes},
};

use super::{
    adapter::{self, Adapter},
    loader::{self, Files, PackedWeights},
};
use crate::session::{GpuOptions, Inspection, Progress, devices::open_device};

/// The longest sequence unless more is asked for: caches are memory.
const DEFAULT_CONTEXT: u32 = 4096;
/// Rows of a step, unless fewer are asked for.
const ROWS: u32 = 256;

/// Steps in flight on a GPU before the host waits for an id.
const GPU_DEPTH: usize = 3;

/// How a model is to be run.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Changes of the weights that are computed beside them, in this order.
    pub adapters: Vec<Adapter>,
    /// The longest sequence; `None`: the model's, up to 4096.
    pub context: Option<u32>,
    /// Sequences at once.
    pub sequences: u32,
    /// Rows of a step that may want a result; at least one for each sequence.
    pub outputs: u32,
    /// The most rows of a step.
    pub rows: u32,
    /// Element type of keys and values.
    pub cache: CacheType,
    /// Count tokens on the device, so that they can be penalised there.
    pub penalties: bool,
    /// Passes that are switched off, by name.
    pub disabled_passes: Vec<String>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            adapters: Vec::new(),
            context: None,
            sequences: 1,
            outputs: 1,
            rows: ROWS,
            cache: CacheType::F32,
            penalties: false,
            disabled_passes: Vec::new(),
        }
    }
}

/// A row of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) token: u32,
    pub(super) position: u32,
    pub(super) sequence: u32,
}

/// A token that a step chose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) id: u32,
    /// Its probability, where the step was asked for it.
    pub(super) probability: Option<f32>,
    /// The likeliest tokens and their probabilities, as many as a step can tell.
    pub(super) alternatives: Vec<(u32, f32)>,
}

impl Choice {
    /// From the id and what a record tells of it.
    fn of(id: u32, told: Option<&[u32]>) -> Self {
        let n = sampling::MAX_ALTERNATIVES as usize;
        let probability = told.and_then(|t| t.first()).map(|p| f32::from_bits(*p)).filter(|p| *p >= 0.0);
        let told = told.filter(|t| probability.is_some() && t.len() > 2 * n);
        let pairs = told.map(|t| t[1 + n..].iter().zip(&t[1..=n])).into_iter().flatten();
        Self { id, probability, alternatives: pairs.map(|(id, p)| (*id, f32::from_bits(*p))).collect() }
    }
}

/// A program on its device.
pub(super) struct Runner {
    inspection: Rc<Inspection>,
    adapters: Vec<Rc<Inspection>>,
    packed: PackedWeights,
    choice: DeviceChoice,
    gpu: GpuOptions,
    graph: Rc<Graph>,
    program: Rc<Program>,
    device: Box<dyn Device>,
    factors: Vec<(usize, Rc<[f32]>)>,
    /// The angles whose tables the device holds.
    tables: Vec<Option<Angles>>,
    /// Choices submitted so far: the ring's next record.
    choices: u32,
    /// How many alternatives each sequence wants told.
    alternatives: Vec<u32>,
    carried: Carried,
    /// Sequences see pages of the first one.
    is_shared: bool,
    /// What the architecture wants told.
    pub(super) notes: Vec<String>,
}

impl Runner {
    /// Compiles the model for a device and streams its weights there.
    ///
    /// # Errors
    /// The architecture or an encoding is not supported; the weights are not all here; the device fails.
    pub(super) async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let mut built = arch::build(inspection.model())?;
        adapter::lay(&settings.adapters, &mut built, inspection.model())?;
        let mut graph = built.graph;
        let (packed, notes) = loader::survey(&inspection, &mut graph).await?;
        built.notes.extend(notes);
        let disabled: Vec<&str> = settings.disabled_passes.iter().map(String::as_str).collect();
        passes::run(&mut graph, &disabled)?;
        let most = built.hparams.context;
        let context = settings.context.unwrap_or(most.min(DEFAULT_CONTEXT));
        if context > most {
            return Err(Fault::caller(format!("a context of {context} asked of a model made for {most}")));
        }
        // A text goes through an encoder in one step.
        let rows = if graph.output("logits").is_some() { settings.rows } else { settings.rows.max(context) };
        let options = Options {
            context,
            rows,
            outputs: settings.outputs,
            sequences: settings.sequences,
            cache: settings.cache,
            max_buffer_bytes: u64::MAX,
            choice: true,
            penalties: settings.penalties,
            plan: Plan::without(&disabled),
        };
        let compile = |max_buffer_bytes| compile::compile(&graph, &Options { max_buffer_bytes, ..options.clone() });
        let (device, program) = open_device(&choice, &gpu, &compile).await?;
        let factors = loader::factors(&inspection, &graph).await?;
        let mut this = Self {
            inspection,
            adapters: settings.adapters.iter().map(Adapter::files).collect(),
            packed,
            choice,
            gpu,
            tables: vec![None; graph.rotations.len()],
            graph: Rc::new(graph),
            program: Rc::new(program),
            device,
            factors,
            choices: 0,
            alternatives: vec![0; settings.sequences as usize],
            carried: Carried::default(),
            is_shared: false,
            notes: built.notes,
        };
        this.fill(on_progress).await?;
        Ok(this)
    }

    /// Loads weights and the fixed part of the step's inputs.
    async fn fill(&mut self, on_progress: &mut dyn FnMut(Progress)) -> Result<()> {
        self.device.load(&self.program).await?;
        let files = Files { model: &self.inspection, adapters: &self.adapters, packed: &self.packed };
        loader::load_weights(files, &self.graph, &self.program, self.device.as_mut(), on_progress).await?;
        self.device.finish_load().await?;
        self.device.write(self.program.batch, 0, &self.program.layout.header())?;
        let at = self.program.layout.header()[batch::PAGES_AT];
        self.device.write(self.program.batch, at, &self.page_tables())?;
        self.is_shared = false;
        self.tables.fill(None);
        self.choices = 0;
        self.carried = Carried::of(&self.program);
        self.set_length(1)
    }

    /// A fresh device with the same program and weights; everything remembered is gone.
    pub(super) async fn reload(&mut self) -> Result<()> {
        let program = Rc::clone(&self.program);
        let same = |_| Ok(Program::clone(&program));
        let (device, _) = open_device(&self.choice, &self.gpu, &same).await?;
        self.device = device;
        self.fill(&mut |_| {}).await
    }

    /// Pages of every sequence: its own, in order; those of a window come round again.
    fn page_tables(&self) -> Vec<u32> {
        let layout = self.program.layout;
        let mut table = Vec::with_capacity((layout.groups * layout.sequences * layout.pages) as usize);
        for group in 0..layout.groups {
            let pages = self.pages_of(group);
            for sequence in 0..layout.sequences {
                table.extend((0..layout.pages).map(|run| sequence * pages + run % pages));
            }
        }
        table
    }

    /// Pages that a sequence has in the states of a group.
    fn pages_of(&self, wanted: u32) -> u32 {
        let of_group = self.program.buffers.iter().find_map(|b| match b.kind {
            BufferKind::State { rows, group, .. } if group == wanted => Some(rows),
            _ => None,
        });
        let rows = of_group.unwrap_or(self.program.layout.pages * PAGE_ROWS * self.program.layout.sequences);
        (rows / PAGE_ROWS / self.program.layout.sequences).max(1)
    }

    /// How many of `rows` rows of the first sequence others can see: whole pages of states that remember every position.
    pub(super) fn shareable(&self, rows: u32) -> u32 {
        let layout = self.program.layout;
        let comes_round = (0..layout.groups).any(|group| self.pages_of(group) < layout.pages);
        if comes_round || self.program.carries() { 0 } else { rows / PAGE_ROWS * PAGE_ROWS }
    }
    /// Has the first `sequences` sequences see the first `rows` rows of the first one, until [`Runner::own_pages`].
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn share(&mut self, sequences: u32, rows: u32) -> Result<()> {
        let layout = self.program.layout;
        let pages = (rows / PAGE_ROWS).min(layout.pages) as usize;
        let mut table = self.page_tables();
        for tables in table.chunks_mut((layout.sequences * layout.pages) as usize) {
            let (first, others) = tables.split_at_mut(layout.pages as usize);
            for own in others.chunks_mut(layout.pages as usize).take(sequences.saturating_sub(1) as usize) {
                own[..pages].copy_from_slice(&first[..pages]);
            }
        }
        self.is_shared = true;
        self.write_pages(&table)
    }
    /// Gives every sequence pages of its own again.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn own_pages(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_shared) {
            return Ok(());
        }
        self.write_pages(&self.page_tables())
    }
    fn write_pages(&mut self, table: &[u32]) -> Result<()> {
        let at = self.program.layout.header()[batch::PAGES_AT];
        self.device.write(self.program.batch, at, table)
    }

    /// Pages of a sequence, the same in every state; `None` where they come round again or sequences carry states, so that none can be shared.
    #[cfg(feature = "serve")]
    pub(super) fn shareable_pages(&self) -> Option<u32> {
        let pages = self.program.layout.pages;
        (pages > 0 && self.shareable(PAGE_ROWS) > 0).then_some(pages)
    }
    /// Has a sequence see these pages, one for each [`PAGE_ROWS`] positions.
    ///
    /// # Errors
    /// The device fails.
    #[cfg(feature = "serve")]
    pub(super) fn set_pages(&mut self, sequence: u32, pages: &[u32]) -> Result<()> {
        let layout = self.program.layout;
        for group in 0..layout.groups {
            let at = (group * layout.sequences + sequence) * layout.pages;
            self.device.write(self.program.batch, layout.header()[batch::PAGES_AT] + at, pages)?;
        }
        Ok(())
    }

    /// How many of `known` remembered positions of a sequence can be kept when it goes on differently from `common`.
    pub(super) fn reusable(&self, sequence: u32, known: u32, common: u32) -> u32 {
        // Positions that runs ahead may have written beyond those known.
        const AHEAD: u32 = 8;
        let common = self.carried.reusable(sequence, common);
        let whole = self.graph.states.iter().all(|state| {
            let Some(window) = state.window.filter(|w| *w < self.program.context) else { return true };
            let pages = ((window + self.program.layout.rows).div_ceil(PAGE_ROWS) + 1).min(self.program.layout.pages);
            // The oldest row that is still there must lie before the window of the first new position.
            (known + AHEAD).saturating_sub(pages * PAGE_ROWS) <= common.saturating_sub(window)
        });
        if whole { common } else { 0 }
    }

    /// Steps that may be in flight before the host has seen an id: as many as can be left out again.
    pub(super) fn depth(&self) -> usize {
        match self.info().tier {
            None => 1,
            Some(_) if self.program.carries() => CHECKPOINTS as usize,
            Some(_) => GPU_DEPTH,
        }
    }

    pub(super) fn info(&self) -> &DeviceInfo {
        self.device.info()
    }
    pub(super) fn program(&self) -> &Program {
        &self.program
    }
    pub(super) fn device(&mut self) -> &mut dyn Device {
        self.device.as_mut()
    }
    #[cfg(test)]
    pub(super) fn wrap_device(&mut self, wrap: impl FnOnce(Box<dyn Device>) -> Box<dyn Device>) {
        let device = std::mem::replace(&mut self.device, Box::new(crate::engine::device::cpu::CpuDevice::plain()));
        self.device = wrap(device);
    }
    pub(super) fn memory(&self) -> u64 {
        self.device.memory()
    }

    /// Writes the rotary tables for sequences of this length; true where they changed.
    pub(super) fn set_length(&mut self, length: u32) -> Result<()> {
        let known = |tensor: usize| self.factors.iter().find(|(t, _)| *t == tensor).map(|(_, v)| Rc::clone(v));
        for (i, (rotation, table)) in self.program.rotations.iter().enumerate() {
            let angles = rotation.angles(length, &known)?;
            if self.tables[i].as_ref() == Some(&angles) {
                continue;
            }
            self.device.write(*table, 0, &table_of(&angles, self.program.context))?;
            self.tables[i] = Some(angles);
        }
        Ok(())
    }

    /// Whether angles for `length` are those that the device holds.
    pub(super) fn has_length(&self, length: u32) -> bool {
        let known = |tensor: usize| self.factors.iter().find(|(t, _)| *t == tensor).map(|(_, v)| Rc::clone(v));
        let same = |(i, (rotation, _)): (usize, &(crate::ir::Rotation, _))| {
            !rotation.depends_on_length() || rotation.angles(length, &known).ok() == self.tables[i]
        };
        self.program.rotations.iter().enumerate().all(same)
    }

    /// Writes how the next tokens of a sequence are chosen, how many of the likeliest are told, and how often its tokens have occurred.
    pub(super) fn set_sampling(
        &mut self,
        sequence: u32,
        how: &Sampling,
        alternatives: u32,
        history: &[u32],
    ) -> Result<()> {
        let Some(buffer) = self.program.sampling else { return Ok(()) };
        let mut words = how.to_words();
        words[sampling::ALTERNATIVES] = alternatives;
        self.alternatives[sequence as usize] = alternatives;
        self.device.write(buffer, sequence * sampling::WORDS as u32, &words)?;
        if let Some(counts) = self.program.counts {
            let mut words = vec![0u32; self.program.vocab as usize];
            for id in history {
                words[*id as usize] += 1;
            }
            self.device.write(counts, sequence * self.program.vocab, &words)?;
        }
        Ok(())
    }

    /// Runs a step of these rows; `wanted` are those that want a result.
    ///
    /// # Errors
    /// More rows than a step has; the device fails.
    pub(super) async fn step(&mut self, rows: &[Row], wanted: &[u32], want: Want) -> Result<()> {
        self.step_of_kinds(rows, &[], wanted, want).await
    }

    /// As [`Runner::step`], with a kind for each row's token; none: all are of the first.
    ///
    /// # Errors
    /// As [`Runner::step`].
    pub(super) async fn step_of_kinds(
        &mut self,
        rows: &[Row],
        kinds: &[u32],
        wanted: &[u32],
        want: Want,
    ) -> Result<()> {
        let layout = self.program.layout;
        if rows.is_empty() || rows.len() > layout.rows as usize || wanted.len() > layout.outputs as usize {
            return Err(Fault::bug(format!("a step of {} rows that wants {} results", rows.len(), wanted.len())));
        }
        if let Some(row) = rows.iter().find(|r| r.position >= self.program.context || r.sequence >= layout.sequences) {
            return Err(Fault::bug(format!("a row beyond the context or the sequences: {row:?}")));
        }
        self.carried.step(rows, wanted)?;
        let key = self.program.key(rows.len(), wanted.len(), want);
        self.device.compile(key).await?;
        let header = layout.header();
        let id = self.program.batch;
        self.device.write(id, batch::ROWS as u32, &[rows.len() as u32, wanted.len() as u32])?;
        let column = |f: fn(&Row) -> u32| rows.iter().map(f).collect::<Vec<u32>>();
        self.device.write(id, header[batch::TOKENS_AT], &column(|r| r.token))?;
        self.device.write(id, header[batch::POSITIONS_AT], &column(|r| r.position))?;
        self.device.write(id, header[batch::SEQUENCES_AT], &column(|r| r.sequence))?;
        if self.program.reads(Input::Types) {
            let kinds: Vec<u32> = (0..rows.len()).map(|i| kinds.get(i).copied().unwrap_or(0)).collect();
            self.device.write(id, header[batch::TYPES_AT], &kinds)?;
        }
        if !wanted.is_empty() {
            self.device.write(id, header[batch::OUTPUTS_AT], wanted)?;
        }
        for (start, row) in rows.iter().enumerate() {
            if start > 0 && rows[start - 1].sequence == row.sequence {
                continue;
            }
            let last = rows[start..].iter().take_while(|r| r.sequence == row.sequence).last().unwrap_or(row);
            self.device.write(id, header[batch::LENGTHS_AT] + row.sequence, &[last.position + 1])?;
            self.device.write(id, header[batch::STARTS_AT] + row.sequence, &[start as u32])?;
        }
        self.submit(key)
    }

    /// Runs another step of the tokens that the last step chose, for `sequences` sequences.
    pub(super) async fn again(&mut self, sequences: usize) -> Result<()> {
        let key = self.program.key(sequences, sequences, Want::Choice);
        self.device.compile(key).await?;
        self.carried.again();
        self.submit(key)
    }

    fn submit(&mut self, key: StepKey) -> Result<()> {
        let sequences = self.program.layout.sequences;
        let at = self.choices % RING * record_words(sequences);
        // What is told of the choices lies behind the ids: it is read only where someone looks.
        let someone_looks = self.alternatives.iter().any(|n| *n > 0);
        let words = if someone_looks { record_words(sequences) } else { 1 + sequences };
        let fetch = match (key.want, self.program.ring) {
            (Want::Choice, Some(buffer)) => Some(Fetch { buffer, at, words }),
            (Want::Choice, None) => {
                return Err(Fault::unsupported("this model gives no logits to choose a token from"));
            }
            _ => None,
        };
        self.device.submit(key, 1, fetch)?;
        self.choices = self.choices.wrapping_add(u32::from(fetch.is_some()));
        Ok(())
    }

    /// What the oldest step chose whose choices were not given yet, one for each sequence that the program has room for.
    ///
    /// # Errors
    /// The device fails; logits were NaN or infinite.
    pub(super) async fn chosen(&mut self) -> Result<Vec<Choice>> {
        let record = self.device.fetched().await?;
        let bad = record.first().copied().unwrap_or(0);
        if bad > 0 {
            return Err(Fault::new(
                crate::fault::Blame::File,
                format!("{bad} logits are NaN or infinite: the weights overflow f32 or are damaged"),
            ));
        }
        let sequences = self.program.layout.sequences as usize;
        let (ids, told) = record.get(1..).unwrap_or_default().split_at(sequences.min(record.len().saturating_sub(1)));
        let mut told = told.chunks_exact(TOLD_WORDS as usize);
        Ok(ids.iter().map(|id| Choice::of(*id, told.next())).collect())
    }

    /// Forgets the ids of steps that ran ahead.
    pub(super) fn discard_chosen(&mut self) {
        self.device.discard_fetches();
    }

    /// Rows of a result of the last step.
    pub(super) async fn result(&mut self, name: &str, rows: std::ops::Range<u32>) -> Result<Vec<Vec<f32>>> {
        let view = self.program.results.iter().find(|(n, _)| **n == *name).map(|(_, v)| v.clone());
        let view = view.ok_or_else(|| Fault::unsupported(format!("this model gives no {name}")))?;
        let width = view.fact.width().unwrap_or(1);
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let at = view.offset + rows.start * view.stride;
        let words = (rows.len() as u32 - 1) * view.stride + width;
        let words = self.device.read(Fetch { buffer: view.buffer, at, words }).await?;
        let row = |row: &[u32]| row[..width as usize].iter().map(|w| f32::from_bits(*w)).collect();
        Ok(words.chunks(view.stride as usize).map(row).collect())
    }
}

/// After which positions the device keeps what sequences carry. Empty where they carry nothing.
#[derive(Debug, Default)]
struct Carried {
    /// Of each sequence, by position modulo [`CHECKPOINTS`].
    kept: Vec<[Option<u32>; CHECKPOINTS as usize]>,
    /// Sequences of the last step that want a result, and their last positions.
    last: Vec<(u32, u32)>,
}

impl Carried {
    fn of(program: &Program) -> Self {
        let sequences = if program.carries() { program.layout.sequences } else { 0 };
        Self { kept: vec![[None; CHECKPOINTS as usize]; sequences as usize], last: Vec::new() }
    }
    fn keep(&mut self, sequence: u32, position: u32) {
        if let Some(kept) = self.kept.get_mut(sequence as usize) {
            kept[(position % CHECKPOINTS) as usize] = Some(position);
        }
    }
    /// A step of these rows.
    ///
    /// # Errors
    /// A sequence goes on from a position after which nothing is kept: the result would be wrong.
    fn step(&mut self, rows: &[Row], wanted: &[u32]) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        for run in rows.chunk_by(|a, b| a.sequence == b.sequence && a.position + 1 == b.position) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let kept = self.kept.get(first.sequence as usize);
            let goes_on =
                kept.is_some_and(|kept| first.position.checked_sub(1).is_none_or(|p| kept.contains(&Some(p))));
            if !goes_on {
                return Err(Fault::bug(format!("nothing is kept to go on from: {first:?}, {kept:?}")));
            }
            // What was kept of another way that the sequence went is no longer its own.
            if let Some(kept) = self.kept.get_mut(first.sequence as usize) {
                kept.iter_mut().filter(|k| k.is_some_and(|p| p >= first.position)).for_each(|k| *k = None);
            }
            self.keep(last.sequence, last.position);
        }
        let row = |w: &u32| rows.get(*w as usize).map(|r| (r.sequence, r.position));
        self.last = wanted.iter().filter_map(row).collect();
        Ok(())
    }
    /// A step of the tokens that the last one chose.
    fn again(&mut self) {
        for (sequence, position) in std::mem::take(&mut self.last) {
            self.keep(sequence, position + 1);
            self.last.push((sequence, position + 1));
        }
    }
    /// How many tokens, at most `most`, a sequence can keep.
    fn reusable(&self, sequence: u32, most: u32) -> u32 {
        match self.kept.get(sequence as usize) {
            None => most,
            Some(kept) => kept.iter().flatten().map(|p| p + 1).filter(|n| *n <= most).max().unwrap_or(0),
        }
    }
}

/// The words of a rotary table: see [`crate::engine::program::table_words`].
fn table_of(angles: &Angles, context: u32) -> Vec<u32> {
    let half = angles.frequencies.len();
    let entries = (TABLE_STEP + context.div_ceil(TABLE_STEP)) as usize;
    let mut words = Vec::with_capacity(entries * half * 2);
    for entry in 0..entries as u32 {
        let (position, magnitude) = match entry.checked_sub(TABLE_STEP) {
            None => (entry, angles.magnitude),
            Some(coarse) => (coarse * TABLE_STEP, 1.0),
        };
        for frequency in &angles.frequencies {
            let (sin, cos) = (f64::from(position) * frequency).sin_cos();
            words.extend([((cos * magnitude) as f32).to_bits(), ((sin * magnitude) as f32).to_bits()]);
        }
    }
    words
}

impl Runner {
    /// A result for every position of one sequence's prompt.
    ///
    /// # Errors
    /// The program gives fewer results a step than it has rows; the device fails.
    pub(super) async fn prompt_results(&mut self, prompt: &[u32], name: &str) -> Result<Vec<Vec<f32>>> {
        let layout = self.program.layout;
        self.set_length(prompt.len() as u32)?;
        let step = layout.rows.min(layout.outputs) as usize;
        let mut results = Vec::with_capacity(prompt.len());
        for (chunk, tokens) in prompt.chunks(step).enumerate() {
            let row =
                |(i, token): (usize, &u32)| Row { token: *token, position: (chunk * step + i) as u32, sequence: 0 };
            let rows: Vec<Row> = tokens.iter().enumerate().map(row).collect();
            let wanted: Vec<u32> = (0..rows.len() as u32).collect();
            self.step(&rows, &wanted, Want::Results).await?;
            results.extend(self.result(name, 0..rows.len() as u32).await?);
        }
        Ok(results)
    }

    /// Reads tokens `range` of one sequence, whose tokens before them were read last; with `wanted`, gives their logits.
    ///
    /// # Errors
    /// As [`Runner::step`].
    pub(super) async fn read_on(
        &mut self,
        tokens: &[u32],
        range: std::ops::Range<usize>,
        wanted: bool,
    ) -> Result<Vec<Vec<f32>>> {
        let layout = self.program.layout;
        self.set_length(tokens.len() as u32)?;
        let step = if wanted { layout.rows.min(layout.outputs) } else { layout.rows } as usize;
        let mut results = Vec::new();
        for start in range.clone().step_by(step) {
            let end = (start + step).min(range.end);
            let row = |at: usize| {
                let token = tokens.get(at).copied().unwrap_or(0);
                Row { token, position: at as u32, sequence: 0 }
            };
            let rows: Vec<Row> = (start..end).map(row).collect();
            if !wanted {
                self.step(&rows, &[], Want::States).await?;
                continue;
            }
            let outputs: Vec<u32> = (0..rows.len() as u32).collect();
            self.step(&rows, &outputs, Want::Results).await?;
            results.extend(self.result("logits", 0..rows.len() as u32).await?);
        }
        Ok(results)
    }

    /// Dispatches of a plan.
    pub(super) fn dispatches(&self, key: StepKey) -> u32 {
        self.device.dispatches(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(sequence: u32, positions: std::ops::Range<u32>) -> Vec<Row> {
        positions.map(|position| Row { token: 0, position, sequence }).collect()
    }

    #[test]
    fn a_state_goes_on_from_positions_that_are_kept_and_from_nothing() {
        let mut carried = Carried { kept: vec![[None; CHECKPOINTS as usize]; 2], last: Vec::new() };
        assert_eq!(carried.reusable(0, 9), 0);
        carried.step(&[rows(0, 0..5), rows(1, 0..3)].concat(), &[4, 7]).unwrap();
        assert_eq!((carried.reusable(0, 9), carried.reusable(0, 4), carried.reusable(1, 9)), (5, 0, 3));
        // Two steps of chosen tokens: the last two positions are kept, those before are not.
        carried.again();
        carried.again();
        assert_eq!((carried.reusable(0, 9), carried.reusable(0, 6), carried.reusable(0, 5)), (7, 6, 0));
        assert!(carried.step(&rows(0, 5..6), &[]).is_err(), "what position 4 left is gone");
        carried.step(&rows(0, 6..8), &[]).unwrap();
        // From its beginning a sequence always can.
        carried.step(&rows(1, 0..1), &[0]).unwrap();
        assert_eq!(carried.reusable(1, 4), 1, "what was kept of its first way is forgotten");
    }

    #[test]
    fn programs_that_carry_nothing_keep_all_that_is_common() {
        let mut carried = Carried::default();
        carried.step(&rows(0, 7..9), &[1]).unwrap();
        carried.again();
        assert_eq!(carried.reusable(0, 6), 6);
    }
}
