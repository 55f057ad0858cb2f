//! A model's tensors in their roles: found by name, held against the shape that the metadata asks for.

use super::{Architecture, Form, Names, Numbers, Role, Row, tensors::Dim};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{DType, Dim as Size, Fact, Source, Stored, Weight},
    model::Place,
    tensor::Shape,
};

/// Rows of a fused tensor that are one weight of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// First row.
    pub first: u32,
    /// Rows in a run.
    pub run: u32,
    /// From the start of a run to the next one's.
    pub step: u32,
    /// Number of runs.
    pub runs: u32,
}

impl Part {
    /// Rows `first .. first + rows`.
    pub(super) fn rows(first: u32, rows: u32) -> Self {
        Self { first, run: rows, step: rows, runs: 1 }
    }
    fn count(self) -> u32 {
        self.run * self.runs
    }
}

/// Values of a layer that are part of a vector: a tensor's, or those of the bias beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    role: Role,
    bias: bool,
    len: u32,
}

impl Values {
    /// So many values of a tensor.
    pub(super) fn weight(role: Role, len: u32) -> Self {
        Self { role, bias: false, len }
    }
    /// Of the bias beside it.
    pub(super) fn bias(role: Role, len: u32) -> Self {
        Self { role, bias: true, len }
    }
}

/// The tensors of a model that is built.
pub(super) struct Weights<'a> {
    numbers: &'a Numbers<'a>,
    architecture: &'static Architecture,
    names: Names<'a>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(numbers: &'a Numbers<'a>, architecture: &'static Architecture) -> Self {
        Self { numbers, architecture, names: Names::new(numbers.model(), numbers.form()) }
    }
    /// The architecture's row of a role.
    pub(super) fn row(&self, role: Role) -> Option<&'static Row> {
        self.architecture.rows().find(|r| r.role == role)
    }
    /// True where the model has the role's tensor.
    pub(super) fn has(&self, role: Role, layer: u32) -> bool {
        self.row(role).is_some_and(|row| self.names.weight(row, layer, 0).is_some())
    }
    /// True where a fused tensor's rows follow each other head by head.
    pub(super) fn by_head(&self, role: Role) -> bool {
        self.numbers.form() == Form::Folder && self.row(role).is_some_and(|row| row.folder.by_head)
    }
    fn named(&self, role: Role, layer: u32) -> Result<(&'static Row, usize)> {
        let row = self.row(role).ok_or_else(|| Fault::bug(format!("{} has no {role:?}", self.architecture.name)))?;
        let tensor = self.names.weight(row, layer, 0);
        let missing = || Fault::unsupported(format!("tensor {} is missing", self.names.expected(row, layer)));
        Ok((row, tensor.ok_or_else(missing)?))
    }
    /// A tensor of a known shape whose values are needed to work out others, where it is there.
    pub(super) fn plain(&self, role: Role, shape: &[u32]) -> Result<Option<usize>> {
        let Some(tensor) = self.row(role).and_then(|row| self.names.weight(row, 0, 0)) else { return Ok(None) };
        self.shaped(tensor, shape)?;
        self.readable(tensor)?;
        Ok(Some(tensor))
    }
    /// A matrix `[rows, row_len]`, or rows of one.
    pub(super) fn matrix(&self, role: Role, layer: u32, part: Option<Part>) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is no matrix")));
        };
        let whole = self.whole(row, tensor, [rows, row_len])?;
        let part = part.unwrap_or(Part::rows(0, rows));
        let fact = Fact::new(whole.fact.dtype, [Size::Fixed(part.count()), Size::Fixed(row_len)]);
        let stored = whole.sources[0].stored;
        self.weight(tensor, fact, Source { stored, ..source(tensor, part) }, u64::from(rows))
    }
    /// All rows of a matrix, checked to be of this shape.
    fn whole(&self, row: &Row, tensor: usize, [rows, row_len]: [u32; 2]) -> Result<Weight> {
        let by_input = self.numbers.form() == Form::Folder && row.folder.by_input;
        let lies = if by_input { [row_len, rows] } else { [rows, row_len] };
        self.shaped(tensor, &lies)?;
        self.readable(tensor)?;
        let entry = &self.numbers.model().tensors[tensor];
        let block = entry.encoding.spec().map_or(1, |s| s.block_len);
        if by_input && block > 1 {
            let what =
                format!("tensor {} is in {}, and stored by inputs: it cannot be turned", entry.name, entry.encoding);
            return Err(Fault::unsupported(what));
        }
        if row_len % block != 0 {
            let what = format!("tensor {}: rows of {row_len} values are no whole blocks of {block}", entry.name);
            return Err(Fault::new(Blame::File, what));
        }
        let stored = if by_input { Stored::ByInput } else { Stored::ByOutput };
        let fact = Fact::new(DType::Block(entry.encoding), [Size::Fixed(rows), Size::Fixed(row_len)]);
        self.weight(tensor, fact, Source { stored, ..Source::rows(tensor, 0, rows) }, u64::from(rows))
    }
    /// A vector `[len]`, brought to f32 at load.
    pub(super) fn vector(&self, role: Role, layer: u32) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is no vector")));
        };
        let plus = if self.numbers.form() == Form::Folder { row.folder.plus } else { 0.0 };
        self.values(tensor, &[len], Part::rows(0, len), plus)
    }
    /// Row `at` of a matrix as a vector.
    pub(super) fn row_of(&self, role: Role, layer: u32, at: u32) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is no matrix")));
        };
        let first = at.checked_mul(row_len).filter(|_| at < rows);
        let first = first.ok_or_else(|| Fault::new(Blame::File, format!("row {at} of {rows} rows of {role:?}")))?;
        self.values(tensor, &[rows, row_len], Part::rows(first, row_len), 0.0)
    }
    /// The bias beside a matrix or a norm, or values of one, where the model has it.
    pub(super) fn bias(&self, role: Role, layer: u32, part: Option<Part>) -> Result<Option<Weight>> {
        let Some(row) = self.row(role) else { return Ok(None) };
        let Some(tensor) = self.names.bias(row, layer, 0) else { return Ok(None) };
        let &[len] = self.sizes(row, row.bias_dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("the bias of {role:?} is no vector")));
        };
        self.values(tensor, &[len], part.unwrap_or(Part::rows(0, len)), 0.0).map(Some)
    }
    /// Rows of a matrix as it is stored.
    pub(super) fn stored_rows(&self, role: Role, layer: u32) -> Option<u32> {
        let tensor = self.names.weight(self.row(role)?, layer, 0)?;
        let rows = self.numbers.model().tensors[tensor].shape.rows()?;
        u32::try_from(rows).ok().filter(|n| (1..1 << 24).contains(n))
    }
    /// True where the model has a bias beside the role's tensor.
    pub(super) fn has_bias(&self, role: Role, layer: u32) -> bool {
        self.row(role).is_some_and(|row| self.names.bias(row, layer, 0).is_some())
    }
    /// Values of tensors of any shape one behind the other, as one vector.
    pub(super) fn joined(&self, layer: u32, all: &[Values]) -> Result<Weight> {
        let (mut sources, mut names, mut len) = (Vec::new(), Vec::new(), 0u32);
        for values in all {
            let (tensor, plus) = self.tensor_of(values, layer)?;
            let entry = &self.numbers.model().tensors[tensor];
            if entry.shape.elements() != Some(u64::from(values.len)) {
                let what = format!("{} values expected from the metadata, {} found", values.len, entry.shape);
                return Err(Fault::new(Blame::File, format!("tensor {}: {what}", entry.name)));
            }
            self.readable(tensor)?;
            sources.push(Source { plus, ..Source::rows(tensor, 0, values.len) });
            names.push(entry.name.as_str());
            len = len.checked_add(values.len).ok_or_else(|| Fault::limit("a vector beyond 2^32 values"))?;
        }
        Ok(Weight { name: names.join("+").into(), fact: Fact::new(DType::F32, [Size::Fixed(len)]), sources })
    }
    fn tensor_of(&self, values: &Values, layer: u32) -> Result<(usize, f32)> {
        if !values.bias {
            let (row, tensor) = self.named(values.role, layer)?;
            return Ok((tensor, if self.numbers.form() == Form::Folder { row.folder.plus } else { 0.0 }));
        }
        let missing = || Fault::unsupported(format!("the bias of {:?} is missing in layer {layer}", values.role));
        let row = self.row(values.role).ok_or_else(missing)?;
        Ok((self.names.bias(row, layer, 0).ok_or_else(missing)?, 0.0))
    }
    /// Parts of the rows of a matrix of this shape, in order.
    pub(super) fn parts(&self, role: Role, layer: u32, shape: [u32; 2], parts: &[Part]) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let whole = self.whole(row, tensor, shape)?;
        let sources: Vec<Source> =
            parts.iter().map(|part| Source { stored: whole.sources[0].stored, ..source(tensor, *part) }).collect();
        self.from_sources(whole.fact.dtype, u64::from(shape[0]), shape[1], sources)
    }
    /// The same values of the bias beside it.
    pub(super) fn bias_parts(&self, role: Role, layer: u32, rows: u32, parts: &[Part]) -> Result<Weight> {
        let whole = self.joined(layer, &[Values::bias(role, rows)])?;
        let tensor = whole.sources[0].tensor;
        let sources: Vec<Source> = parts.iter().map(|part| source(tensor, *part)).collect();
        let len = sources.iter().map(Source::count).sum();
        self.within(&sources, u64::from(rows))?;
        Ok(Weight { fact: Fact::new(DType::F32, [Size::Fixed(len)]), sources, ..whole })
    }
    fn from_sources(&self, dtype: DType, all: u64, row_len: u32, sources: Vec<Source>) -> Result<Weight> {
        self.within(&sources, all)?;
        let rows: u32 = sources.iter().map(Source::count).sum();
        let name = &self.numbers.model().tensors[sources[0].tensor].name;
        let name = if u64::from(rows) == all { name.clone() } else { format!("{name}[{}..]", sources[0].first) };
        Ok(Weight { name: name.into(), fact: Fact::new(dtype, [Size::Fixed(rows), Size::Fixed(row_len)]), sources })
    }
    /// Whether sources lie within a tensor of `all` rows.
    fn within(&self, sources: &[Source], all: u64) -> Result<()> {
        let last = |s: &Source| {
            u64::from(s.first) + u64::from(s.step) * u64::from(s.runs.saturating_sub(1)) + u64::from(s.run)
        };
        match sources.iter().all(|s| s.count() > 0 && last(s) <= all) && !sources.is_empty() {
            true => Ok(()),
            false => Err(Fault::bug(format!("parts beyond the {all} rows of a tensor"))),
        }
    }
    fn values(&self, tensor: usize, shape: &[u32], part: Part, plus: f32) -> Result<Weight> {
        self.shaped(tensor, shape)?;
        self.readable(tensor)?;
        let fact = Fact::new(DType::F32, [Size::Fixed(part.count())]);
        let all = shape.iter().map(|n| u64::from(*n)).product();
        self.weight(tensor, fact, Source { plus, ..source(tensor, part) }, all)
    }
    fn weight(&self, tensor: usize, fact: Fact, source: Source, all: u64) -> Result<Weight> {
        let name = &self.numbers.model().tensors[tensor].name;
        let last = u64::from(source.first) + u64::from(source.step) * u64::from(source.runs.saturating_sub(1));
        if source.count() == 0 || last + u64::from(source.run) > all {
            return Err(Fault::bug(format!("rows from {} of the {all} of {name}", source.first)));
        }
        let name = if u64::from(source.count()) == all { name.clone() } else { format!("{name}[{}..]", source.first) };
        Ok(Weight { name: name.into(), fact, sources: vec![source] })
    }
    fn sizes(&self, row: &Row, dims: &[Dim], layer: u32) -> Result<Vec<u32>> {
        dims.iter()
            .map(|dim| {
                let n = self.numbers.dim(dim, layer).ok_or_else(|| {
                    Fault::unsupported(format!("nothing states the shape of {}", self.names.expected(row, layer)))
                })?;
                u32::try_from(n).map_err(|_| Fault::limit(format!("a dimension of {n}; up to {} can be run", u32::MAX)))
            })
            .collect()
    }
    fn shaped(&self, tensor: usize, wanted: &[u32]) -> Result<()> {
        let entry = &self.numbers.model().tensors[tensor];
        if entry.shape.0.iter().copied().eq(wanted.iter().map(|n| u64::from(*n))) {
            return Ok(());
        }
        let wanted = Shape(wanted.iter().map(|n| u64::from(*n)).collect());
        let what = format!("tensor {}: shape {wanted} expected from the metadata, {} found", entry.name, entry.shape);
        Err(Fault::new(Blame::File, what))
    }
    fn readable(&self, tensor: usize) -> Result<()> {
        let model = self.numbers.model();
        let entry = &model.tensors[tensor];
        if entry.encoding.spec().and_then(|s| s.decode).is_none() {
            let what = format!("tensor {} is in {}, which cannot be decoded", entry.name, entry.encoding);
            return Err(Fault::unsupported(what));
        }
        match &entry.place {
            Place::Here { .. } => Ok(()),
            Place::Missing { file, .. } if model.files.iter().any(|f| f.name == *file) => {
                let what = format!("tensor {} lies beyond the end of {file}, which is not whole", entry.name);
                Err(Fault::new(Blame::File, what))
            }
            Place::Missing { file, .. } => {
                Err(Fault::caller(format!("tensor {} is in {file}, which was not given", entry.name)))
            }
            Place::Inline | Place::Absent | Place::Strided { .. } | Place::Chunked { .. } => {
                Err(Fault::unsupported(format!("tensor {} has no bytes of its own in the file", entry.name)))
            }
        }
    }
}

fn source(tensor: usize, part: Part) -> Source {
    Source { step: part.step, runs: part.runs, run: part.run, ..Source::rows(tensor, part.first, part.run) }
}
