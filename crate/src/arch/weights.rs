//! A model's tensors in their roles: found by name, held against the shape that the metadata asks for.

use super::{Architecture, Form, Names, Numbers, Relative, Role, Row, tensors::Dim};
use std::collections::BTreeMap;

use crate::{
    fault::{Blame, Fault, Result},
    ir::{DType, Dim as Size, Fact, Source, Stack, Stored, Weight},
    model::{ModelFile, Packed, PackedPart, Place, TensorEntry},
    tensor::{Encoding, Shape},
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

/// Which rows of each expert, or of each head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All of them.
    All,
    /// The first or the second half.
    Half(u32),
    /// Every other row, from the first or the second on.
    Other(u32),
    /// A range: first row and number.
    Rows(u32, u32),
}

impl Share {
    /// The same rows of each of `count` runs of `rows` rows.
    fn of(self, count: u32, rows: u32) -> Part {
        match self {
            Self::All => Part::rows(0, count * rows),
            Self::Half(which) => Part { first: which * (rows / 2), run: rows / 2, step: rows, runs: count },
            Self::Other(which) => Part { first: which, run: 1, step: 2, runs: count * (rows / 2) },
            Self::Rows(first, run) => Part { first, run, step: rows, runs: count },
        }
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
    /// Weights that several tensors hold together, by the tensor of their codes: as they are unpacked.
    packed: BTreeMap<usize, (Packed, TensorEntry)>,
}

/// A packed weight as a tensor.
fn unpacked(model: &ModelFile, packed: Packed) -> (usize, (Packed, TensorEntry)) {
    let entry = TensorEntry {
        name: format!("{}.weight", packed.stem),
        shape: packed.shape.clone().unwrap_or_default(),
        encoding: packed.blocks.unwrap_or(Encoding::F16),
        place: model.tensors[packed.main].place.clone(),
        bytes: None,
    };
    (packed.main, (packed, entry))
}

impl<'a> Weights<'a> {
    pub(super) fn new(numbers: &'a Numbers<'a>, architecture: &'static Architecture) -> Self {
        let model = numbers.model();
        let packed = if numbers.form() == Form::Folder { model.packed() } else { Vec::new() };
        let packed = packed.into_iter().map(|p| unpacked(model, p)).collect();
        Self { numbers, architecture, names: Names::new(model, numbers.form()), packed }
    }
    /// A tensor, unpacked where several hold it together.
    fn entry(&self, tensor: usize) -> &TensorEntry {
        self.packed.get(&tensor).map_or_else(|| &self.numbers.model().tensors[tensor], |(_, entry)| entry)
    }
    /// Refuses a packed weight where values are needed one by one.
    fn plainly(&self, tensor: usize) -> Result<()> {
        match self.packed.get(&tensor) {
            Some((packed, entry)) => Err(Fault::unsupported(format!(
                "tensor {} is packed as {}, which is read for matrices alone",
                entry.name, packed.packing
            ))),
            None => Ok(()),
        }
    }
    /// The architecture's row of a role.
    pub(super) fn row(&self, role: Role) -> Option<&'static Row> {
        self.architecture.rows().find(|r| r.role == role)
    }
    /// True where the model has the role's tensor.
    pub(super) fn has(&self, role: Role, layer: u32) -> bool {
        self.row(role).is_some_and(|row| self.names.weight(row, layer, 0).is_some())
    }
    /// Rows of a role's tensor, as the metadata has them.
    pub(super) fn rows(&self, role: Role) -> Option<u64> {
        self.row(role).and_then(|row| self.numbers.dim(row.dims().first()?, 0))
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
        self.plainly(tensor)?;
        self.readable(tensor)?;
        Ok(Some(tensor))
    }
    /// A matrix `[rows, row_len]`, or rows of one.
    pub(super) fn matrix(&self, role: Role, layer: u32, part: Option<Part>) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a matrix")));
        };
        let whole = self.whole(row, tensor, [rows, row_len])?;
        let part = part.unwrap_or(Part::rows(0, rows));
        let fact = Fact::new(whole.fact.dtype, [Size::Fixed(part.count()), Size::Fixed(row_len)]);
        let stored = whole.sources[0].stored;
        self.weight(tensor, fact, Source { stored, ..source(tensor, part) }, u64::from(rows))
    }
    /// All rows of a matrix, checked to be of this shape.
    fn whole(&self, row: &Row, tensor: usize, [rows, row_len]: [u32; 2]) -> Result<Weight> {
        // Quantizers turn what is kept by inputs.
        let by_input = self.numbers.form() == Form::Folder && row.folder.by_input && !self.packed.contains_key(&tensor);
        let lies = if by_input { [row_len, rows] } else { [rows, row_len] };
        self.shaped(tensor, &lies)?;
        self.readable(tensor)?;
        let entry = self.entry(tensor);
        let block = entry.encoding.spec().map_or(1, |s| s.block_len);
        if by_input && block > 1 {
            let what =
                format!("tensor {} is in {}, and stored by inputs: it cannot be turned", entry.name, entry.encoding);
            return Err(Fault::unsupported(what));
        }
        if row_len % block != 0 {
            let what = format!("tensor {}: rows of {row_len} values are not whole blocks of {block}", entry.name);
            return Err(Fault::new(Blame::File, what));
        }
        let stored = if by_input { Stored::ByInput } else { Stored::ByOutput };
        let fact = Fact::new(DType::Block(entry.encoding), [Size::Fixed(rows), Size::Fixed(row_len)]);
        self.weight(tensor, fact, Source { stored, ..Source::rows(tensor, 0, rows) }, u64::from(rows))
    }
    /// One of several matrices `[rows, row_len]` of a role whose shape counts them first: a tensor of its own, or rows of one
    /// that holds all.
    pub(super) fn item(&self, role: Role, layer: u32, item: u32) -> Result<Weight> {
        let row = self.row(role).ok_or_else(|| Fault::bug(format!("{} has no {role:?}", self.architecture.name)))?;
        let &[items, rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a list of matrices")));
        };
        let single = row.names(self.numbers.form()).iter().any(|n| n.contains("{e}"));
        let tensor = self
            .names
            .weight(row, layer, item)
            .ok_or_else(|| Fault::unsupported(format!("tensor {} is missing", self.names.expected(row, layer))))?;
        let (lies, first) = match single {
            true => (vec![rows, row_len], Some(0)),
            false => (vec![items, rows, row_len], item.checked_mul(rows)),
        };
        self.shaped(tensor, &lies)?;
        self.readable(tensor)?;
        let entry = self.entry(tensor);
        let block = entry.encoding.spec().map_or(1, |s| s.block_len);
        if row_len % block != 0 {
            let what = format!("tensor {}: rows of {row_len} values are not whole blocks of {block}", entry.name);
            return Err(Fault::new(Blame::File, what));
        }
        let first = first.ok_or_else(|| Fault::limit(format!("{items} matrices of {rows} rows")))?;
        let fact = Fact::new(DType::Block(entry.encoding), [Size::Fixed(rows), Size::Fixed(row_len)]);
        let all = lies[..lies.len() - 1].iter().map(|n| u64::from(*n)).product();
        self.weight(tensor, fact, source(tensor, Part::rows(first, rows)), all)
    }
    /// A bias for each distance and head, `[(2 * reach + 1) * heads]`, from a table of `[buckets, heads]`.
    pub(super) fn by_distance(&self, role: Role, layer: u32, relative: Relative) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[buckets, heads] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a matrix")));
        };
        self.shaped(tensor, &[buckets, heads])?;
        self.plainly(tensor)?;
        self.readable(tensor)?;
        let reach = i64::from(relative.most);
        let row_of = |d: i64| Source::rows(tensor, relative.bucket(d) * heads, heads);
        let sources: Vec<Source> = (-reach..=reach).map(row_of).collect();
        let fact = Fact::new(DType::F32, [Size::Fixed(sources.len() as u32 * heads)]);
        let name = self.entry(tensor).name.clone();
        Ok(Weight { name: format!("{name} by distance").into(), fact, sources })
    }
    /// A vector `[len]`, brought to f32 at load.
    pub(super) fn vector(&self, role: Role, layer: u32) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a vector")));
        };
        let plus = if self.numbers.form() == Form::Folder { row.folder.plus } else { 0.0 };
        self.values(tensor, &[len], Part::rows(0, len), plus)
    }
    /// Rows of all experts of a layer: `[experts * rows of each, row_len]`, from one tensor or one for each expert.
    pub(super) fn experts(&self, role: Role, layer: u32, share: Share) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[experts, rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} are not experts")));
        };
        let all = self.count_of(row, layer, experts, rows)?;
        // Quantizers turn what is kept by inputs.
        let by_input = self.numbers.form() == Form::Folder && row.folder.by_input && !self.packed.contains_key(&tensor);
        if self.rank(tensor) == 3 {
            let shape = if by_input { [experts, row_len, rows] } else { [experts, rows, row_len] };
            self.shaped(tensor, &shape)?;
            if by_input {
                let stack = Stack { pitch: row_len, first: 0, inputs: row_len, outputs: rows };
                return self.stacked(tensor, stack, share.of(experts, rows), all);
            }
            let (fact, part) = (self.rows_fact(tensor, row_len)?, share.of(experts, rows));
            return self.weight(tensor, fact(part.count()), source(tensor, part), all);
        }
        let part = share.of(1, rows);
        let count = self.count_of(row, layer, experts, part.count())?;
        let mut weight: Option<Weight> = None;
        for expert in 0..experts {
            let tensor = self.names.weight(row, layer, expert).ok_or_else(|| {
                Fault::unsupported(format!("tensor {} is missing", self.names.expected_item(row, layer, expert)))
            })?;
            self.shaped(tensor, &[rows, row_len])?;
            let one = self.weight(
                tensor,
                self.rows_fact(tensor, row_len)?(part.count()),
                source(tensor, part),
                u64::from(rows),
            )?;
            match &mut weight {
                None => weight = Some(one),
                Some(all) if all.fact == one.fact => all.sources.extend(one.sources),
                Some(all) => {
                    let what = format!("experts in several encodings cannot be run yet: {} and {}", all.name, one.name);
                    return Err(Fault::unsupported(what));
                }
            }
        }
        let mut weight = weight.ok_or_else(|| Fault::bug("no experts"))?;
        if experts > 1 {
            weight.name = format!("{} and {} more", weight.name, experts - 1).into();
        }
        weight.fact.shape[0] = Size::Fixed(count as u32);
        Ok(weight)
    }
    /// Rows of all experts in MXFP4 as folders have it: their bytes in one tensor, their scales in another.
    pub(super) fn packed_experts(
        &self,
        [blocks, scales]: [Role; 2],
        layer: u32,
        dims: &[Dim],
        share: Share,
    ) -> Result<Weight> {
        let ((row, blocks), (_, scales)) = (self.named(blocks, layer)?, self.named(scales, layer)?);
        let &[experts, rows, row_len] = self.sizes(row, dims, layer)?.as_slice() else {
            return Err(Fault::bug("packed experts of three dimensions expected"));
        };
        if row_len % 32 != 0 {
            let what = format!("rows of {row_len} values are not whole blocks of 32");
            return Err(Fault::new(Blame::File, what));
        }
        self.shaped(blocks, &[experts, rows, row_len / 32, 16])?;
        self.shaped(scales, &[experts, rows, row_len / 32])?;
        for tensor in [blocks, scales] {
            self.readable(tensor)?;
            let entry = self.entry(tensor);
            if entry.encoding != Encoding::U8 {
                let what = format!("tensor {}: bytes expected, {} found", entry.name, entry.encoding);
                return Err(Fault::new(Blame::File, what));
            }
        }
        let part = share.of(experts, rows);
        let fact = Fact::new(DType::Block(Encoding::MXFP4), [Size::Fixed(part.count()), Size::Fixed(row_len)]);
        let source = Source { stored: Stored::Mxfp4 { scales }, ..source(blocks, part) };
        self.weight(blocks, fact, source, self.count_of(row, layer, experts, rows)?)
    }
    /// The biases of all experts, `[experts * rows of each]`, where the model has them: beside the weights, or in a tensor of a role.
    pub(super) fn expert_biases(&self, role: Role, layer: u32, share: Share) -> Result<Option<Weight>> {
        let Some(row) = self.row(role) else { return Ok(None) };
        let own = row.dims().len() == 2;
        let tensor = if own { self.names.weight(row, layer, 0) } else { self.names.bias(row, layer, 0) };
        let Some(tensor) = tensor else { return Ok(None) };
        let dims = if own { row.dims() } else { row.bias_dims() };
        let &[experts, rows] = self.sizes(row, dims, layer)?.as_slice() else {
            return Err(Fault::bug(format!("the biases of {role:?} are not a matrix")));
        };
        self.count_of(row, layer, experts, rows)?;
        self.values(tensor, &[experts, rows], share.of(experts, rows), 0.0).map(Some)
    }
    /// What is added to scores for the choice of experts alone, where the model has it.
    pub(super) fn router_bias(&self, layer: u32) -> Result<Option<Weight>> {
        match self.bias(Role::RouterBias, layer, None)? {
            Some(bias) => Ok(Some(bias)),
            None if self.has(Role::RouterBias, layer) => self.vector(Role::RouterBias, layer).map(Some),
            None => Ok(None),
        }
    }
    /// Some rows of each head of a matrix `[heads * rows of each, row_len]`.
    pub(super) fn of_heads(&self, role: Role, layer: u32, heads: u32, share: Share) -> Result<Weight> {
        let (row, _) = self.named(role, layer)?;
        let rows = self.sizes(row, row.dims(), layer)?.first().copied().unwrap_or(0);
        self.matrix(role, layer, Some(share.of(heads, rows / heads.max(1))))
    }
    /// Some rows of each head of a matrix, turned: `[heads * row_len, rows taken of each]`.
    pub(super) fn heads_turned(&self, role: Role, layer: u32, heads: u32, [first, inputs]: [u32; 2]) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a matrix")));
        };
        self.shaped(tensor, &[rows, row_len])?;
        let stack = Stack { pitch: rows / heads.max(1), first, inputs, outputs: row_len };
        let all = self.count_of(row, layer, heads, row_len)?;
        self.stacked(tensor, stack, Part::rows(0, all as u32), all)
    }
    /// A tensor `[heads, rows, row_len]` as a matrix `[heads * rows, row_len]`.
    pub(super) fn by_heads(&self, role: Role, layer: u32) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[heads, rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} has no matrix for each head")));
        };
        self.shaped(tensor, &[heads, rows, row_len])?;
        let all = self.count_of(row, layer, heads, rows)?;
        self.weight(
            tensor,
            self.rows_fact(tensor, row_len)?(all as u32),
            source(tensor, Part::rows(0, all as u32)),
            all,
        )
    }
    /// Matrices to be turned at load; values in blocks become f32.
    fn stacked(&self, tensor: usize, stack: Stack, part: Part, all: u64) -> Result<Weight> {
        self.readable(tensor)?;
        let entry = self.entry(tensor);
        let plain = entry.encoding.spec().is_some_and(|s| s.block_len == 1);
        let encoding = if plain { entry.encoding } else { Encoding::F32 };
        let fact = Fact::new(DType::Block(encoding), [Size::Fixed(part.count()), Size::Fixed(stack.inputs)]);
        let source = Source { stored: Stored::Stacked(stack), ..source(tensor, part) };
        self.weight(tensor, fact, source, all)
    }
    /// Facts of rows of a tensor that can be decoded, whole blocks in each.
    fn rows_fact(&self, tensor: usize, row_len: u32) -> Result<impl Fn(u32) -> Fact> {
        self.readable(tensor)?;
        let entry = self.entry(tensor);
        let (encoding, block) = (entry.encoding, entry.encoding.spec().map_or(1, |s| s.block_len));
        if row_len % block != 0 {
            let what = format!("tensor {}: rows of {row_len} values are not whole blocks of {block}", entry.name);
            return Err(Fault::new(Blame::File, what));
        }
        Ok(move |rows| Fact::new(DType::Block(encoding), [Size::Fixed(rows), Size::Fixed(row_len)]))
    }
    /// All rows of some parts, which must be countable in 32 bits.
    fn count_of(&self, row: &Row, layer: u32, parts: u32, rows: u32) -> Result<u64> {
        let all = parts.checked_mul(rows).ok_or_else(|| {
            Fault::limit(format!(
                "{}: {parts} times {rows} rows; up to {} can be run",
                self.names.expected(row, layer),
                u32::MAX
            ))
        })?;
        Ok(u64::from(all))
    }
    fn rank(&self, tensor: usize) -> usize {
        self.entry(tensor).shape.0.len()
    }
    /// Row `at` of a matrix as a vector.
    pub(super) fn row_of(&self, role: Role, layer: u32, at: u32) -> Result<Weight> {
        let (row, tensor) = self.named(role, layer)?;
        let &[rows, row_len] = self.sizes(row, row.dims(), layer)?.as_slice() else {
            return Err(Fault::bug(format!("{role:?} is not a matrix")));
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
            return Err(Fault::bug(format!("the bias of {role:?} is not a vector")));
        };
        self.values(tensor, &[len], part.unwrap_or(Part::rows(0, len)), 0.0).map(Some)
    }
    /// Rows of a matrix as it is stored.
    pub(super) fn stored_rows(&self, role: Role, layer: u32) -> Option<u32> {
        let tensor = self.names.weight(self.row(role)?, layer, 0)?;
        let rows = self.entry(tensor).shape.rows()?;
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
            self.plainly(tensor)?;
            let entry = self.entry(tensor);
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
        self.of_sources(whole.fact.dtype, u64::from(shape[0]), shape[1], sources)
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
    fn of_sources(&self, dtype: DType, all: u64, row_len: u32, sources: Vec<Source>) -> Result<Weight> {
        self.within(&sources, all)?;
        let rows: u32 = sources.iter().map(Source::count).sum();
        let name = &self.entry(sources[0].tensor).name;
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
        self.plainly(tensor)?;
        self.readable(tensor)?;
        let fact = Fact::new(DType::F32, [Size::Fixed(part.count())]);
        let all = shape.iter().map(|n| u64::from(*n)).product();
        self.weight(tensor, fact, Source { plus, ..source(tensor, part) }, all)
    }
    fn weight(&self, tensor: usize, fact: Fact, source: Source, all: u64) -> Result<Weight> {
        let name = &self.entry(tensor).name;
        let last = u64::from(source.first) + u64::from(source.step) * u64::from(source.runs.saturating_sub(1));
        if source.count() == 0 || last + u64::from(source.run) > all {
            return Err(Fault::bug(format!("rows from {} of the {all} of {name}", source.first)));
        }
        let name = if u64::from(source.count()) == all { name.clone() } else { format!("{name}[{}..]", source.first) };
        Ok(Weight { name: name.into(), fact, sources: vec![self.stored(source)?] })
    }
    /// A source that says where its rows are unpacked from several tensors.
    fn stored(&self, source: Source) -> Result<Source> {
        match self.packed.get(&source.tensor) {
            Some(_) if matches!(source.stored, Stored::ByOutput | Stored::Packed) => {
                Ok(Source { stored: Stored::Packed, ..source })
            }
            Some(_) => self.plainly(source.tensor).map(|()| source),
            None => Ok(source),
        }
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
        let entry = self.entry(tensor);
        if let Some((packed, _)) = self.packed.get(&tensor).filter(|(p, _)| p.shape.is_none()) {
            // Its shape is what it must be, where it has as many values.
            let values = wanted.iter().try_fold(1u64, |n, d| n.checked_mul(u64::from(*d)));
            return match values == packed.elements() {
                true => Ok(()),
                false => {
                    let (found, wanted) =
                        (packed.layout.row_len, Shape(wanted.iter().map(|n| u64::from(*n)).collect()));
                    let what = format!(
                        "tensor {}: shape {wanted} expected from the metadata, {found} packed values found",
                        entry.name
                    );
                    Err(Fault::new(Blame::File, what))
                }
            };
        }
        let found = &entry.shape.0;
        let is = |found: &[u64]| found.iter().copied().eq(wanted.iter().map(|n| u64::from(*n)));
        // Converters leave a first dimension of one away, or add one.
        let without = matches!(wanted, [1, rest] if found.as_slice() == [u64::from(*rest)]);
        if is(found) || without || matches!(found.as_slice(), [1, rest @ ..] if wanted.len() == 1 && is(rest)) {
            return Ok(());
        }
        let wanted = Shape(wanted.iter().map(|n| u64::from(*n)).collect());
        let what = format!("tensor {}: shape {wanted} expected from the metadata, {} found", entry.name, entry.shape);
        Err(Fault::new(Blame::File, what))
    }
    /// Whether a tensor, and those that belong to it, can be decoded and are here.
    fn readable(&self, tensor: usize) -> Result<()> {
        let model = self.numbers.model();
        match self.packed.get(&tensor) {
            Some((packed, _)) => {
                let parts = packed.parts.iter().filter(|(part, _)| *part != PackedPart::Other).map(|(_, i)| *i);
                parts.chain([tensor]).try_for_each(|i| readable(model, &model.tensors[i]))
            }
            None => readable(model, &model.tensors[tensor]),
        }
    }
}

fn readable(model: &ModelFile, entry: &TensorEntry) -> Result<()> {
    if entry.encoding.spec().and_then(|s| s.decode).is_none() {
        let what = format!("tensor {} is in {}, which cannot be decoded", entry.name, entry.encoding);
        return Err(Fault::unsupported(what));
    }
    match &entry.place {
        Place::Here { .. } => Ok(()),
        Place::Missing { file, .. } if model.files.iter().any(|f| f.name == *file) => {
            let what = format!("tensor {} lies beyond the end of {file}, which is incomplete", entry.name);
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

fn source(tensor: usize, part: Part) -> Source {
    Source { step: part.step, runs: part.runs, run: part.run, ..Source::rows(tensor, part.first, part.run) }
}
