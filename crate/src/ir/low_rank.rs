//! Low-rank changes of weights (LoRA), computed beside them: `x W^T` becomes `x W^T + s (x A^T) B^T`.
//!
//! A graph says which rows of which tensor each weight is, so one rewriting serves every architecture: rows of a fused tensor take
//! the same rows of B, and stacked experts take their own.

use super::{
    fact::{DType, Dim, Fact},
    graph::{Graph, NodeId, Source, Stored, Value, Weight, WeightId},
    op::{Binary, Op, Unary},
    rewrite::{Rewriter, rewrite},
};
use crate::{
    fault::{Blame, Fault, Result},
    tensor::Encoding,
};

/// One of the two matrices of a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Half {
    /// Index among the tensors that the weights' sources count.
    pub tensor: usize,
    /// How its values are stored.
    pub encoding: Encoding,
    /// How it lies.
    pub stored: Stored,
}

/// How the rows of B lie where those of the changed matrix are the rows of heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadRows {
    /// Alike.
    Same,
    /// The matrix has the two halves of a head of this many rows one behind the other, B has their rows by turns.
    ByTurns(u32),
    /// The other way round.
    Halves(u32),
}

/// A change of a matrix: `s B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// Changes of one adapter have one number.
    pub adapter: usize,
    /// The tensor that is changed, as the weights' sources count them.
    pub tensor: usize,
    /// The one of several matrices in that tensor; `None`: A and B hold all of them, or there is one.
    pub item: Option<u32>,
    /// Rows of one matrix.
    pub outputs: u32,
    /// Columns of it.
    pub inputs: u32,
    /// Rows of A, columns of B.
    pub rank: u32,
    /// A, `[rank, inputs]`; of a table that is looked up `[inputs, rank]`, a row for each token.
    pub a: Half,
    /// B, `[outputs, rank]`.
    pub b: Half,
    /// Added behind B, `[outputs]`.
    pub bias: Option<usize>,
    /// What multiplies the change.
    pub scale: f32,
    /// The table is looked up, not multiplied with.
    pub lookup: bool,
    /// How B's rows lie.
    pub head_rows: HeadRows,
}

/// Adds the changes to a graph; the answer says of each whether a weight of the graph has it.
///
/// # Errors
/// A weight is used in a way that cannot be changed so; an adapter changes some experts of a layer and not others.
pub fn add_low_rank(graph: &mut Graph, changes: &[LowRank]) -> Result<Vec<bool>> {
    let mut read = vec![false; changes.len()];
    let adapters = changes.iter().map(|c| c.adapter + 1).max().unwrap_or(0);
    rewrite(graph, |writer, id| {
        let node = writer.old.node(id);
        let place = match node.op {
            Op::Embed => 0,
            Op::Linear | Op::ExpertLinear(_) => 1,
            _ => return unchanged(writer, id, changes),
        };
        let Some(weight) = weight_of(writer.old, node.inputs[place]) else { return Ok(None) };
        let lookup = node.op == Op::Embed;
        let mut sum = None;
        for adapter in 0..adapters {
            let own = |c: &LowRank| c.adapter == adapter && c.lookup == lookup;
            let of: Vec<usize> = (0..changes.len())
                .filter(|i| own(&changes[*i]) && weight.sources.iter().any(|s| s.tensor == changes[*i].tensor))
                .collect();
            if of.is_empty() {
                continue;
            }
            of.iter().for_each(|i| read[*i] = true);
            let of: Vec<&LowRank> = of.iter().map(|i| &changes[*i]).collect();
            let before = match sum {
                Some(value) => value,
                None => writer.copy(id)?[0],
            };
            let change = Change::of(&weight, &node.op, &of)?.write(writer, id)?;
            sum = Some(writer.new.add(Op::Binary(Binary::Add), &[before, change], node.label.clone())?.value());
        }
        Ok(sum.map(|value| vec![value]))
    })?;
    Ok(read)
}

fn weight_of(graph: &Graph, value: Value) -> Option<Weight> {
    match graph.maker(value).op {
        Op::Weight(id) => graph.weights.get(id.0 as usize).cloned(),
        _ => None,
    }
}

/// Refuses weights that are used otherwise than by a product.
fn unchanged(writer: &Rewriter<'_>, id: NodeId, changes: &[LowRank]) -> Result<Option<Vec<Value>>> {
    let node = writer.old.node(id);
    for weight in node.inputs.iter().filter_map(|v| weight_of(writer.old, *v)) {
        if weight.sources.iter().any(|s| changes.iter().any(|c| c.tensor == s.tensor && !c.lookup)) {
            return Err(refused(&weight, "is used otherwise than by multiplying with it"));
        }
    }
    Ok(None)
}

fn refused(weight: &Weight, why: &str) -> Fault {
    Fault::unsupported(format!("the adapter changes {}, which {why}: that cannot be run yet", weight.name))
}

/// What is computed beside one product.
struct Change {
    a: Weight,
    b: Weight,
    bias: Option<Weight>,
    scale: f32,
}

impl Change {
    /// The change of a weight by one adapter.
    fn of(weight: &Weight, op: &Op, changes: &[&LowRank]) -> Result<Self> {
        match op {
            Op::ExpertLinear(e) if e.routed => Self::of_experts(weight, e.experts, changes),
            Op::ExpertLinear(_) => Err(refused(weight, "is taken apart by heads")),
            _ => match changes {
                [one] if one.item.is_none() && weight.sources.iter().all(|s| s.tensor == one.tensor) => {
                    let half = |half: Half, s: &Source| Source {
                        tensor: half.tensor,
                        stored: half.stored,
                        plus: 0.0,
                        ..s.clone()
                    };
                    let (a, b) = match one.lookup {
                        // Each row of a table has its own of A, and all of B.
                        true => (
                            weight.sources.iter().map(|s| half(one.a, s)).collect(),
                            vec![half(one.b, &Source::rows(0, 0, one.outputs))],
                        ),
                        false => (
                            vec![half(one.a, &Source::rows(0, 0, one.rank))],
                            weight.sources.iter().flat_map(|s| one.rows(s)).collect(),
                        ),
                    };
                    Self::made(weight, one, a, b)
                }
                _ => Err(refused(weight, "is made of several tensors, or changed twice")),
            },
        }
    }
    /// The same where experts lie one behind the other: in one tensor, or one in each.
    fn of_experts(weight: &Weight, experts: u32, changes: &[&LowRank]) -> Result<Self> {
        let rows: Vec<(usize, u32)> = weight.sources.iter().flat_map(each_row).collect();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let mut missing = 0;
        for (expert, rows) in rows.chunks((rows.len() / experts.max(1) as usize).max(1)).enumerate() {
            let expert = expert as u32;
            let fits = |c: &&&LowRank| c.tensor == rows[0].0 && c.item.is_none_or(|item| item == expert);
            let Some(change) = changes.iter().find(fits) else {
                missing += 1;
                continue;
            };
            // Of a tensor with all experts, A and B are such tensors too, unless they are this expert's alone.
            let stacked = weight.sources.iter().all(|s| s.tensor == rows[0].0) && experts > 1;
            let own = stacked && change.item.is_some();
            let first_a = if stacked && !own { expert * change.rank } else { 0 };
            a.push(Source::rows(change.a.tensor, first_a, change.rank));
            let row = |at: u32| if own { at % change.outputs } else { at };
            b.extend(runs_of(change.b.tensor, rows.iter().map(|(_, at)| row(*at))));
        }
        if missing > 0 {
            return Err(refused(weight, &format!("has {experts} experts of which it leaves out {missing}")));
        }
        let alike = |c: &&LowRank| (c.rank, c.scale, c.a.encoding, c.b.encoding, c.bias.is_some());
        if changes.iter().any(|c| alike(c) != alike(&changes[0]) || c.bias.is_some()) {
            return Err(refused(
                weight,
                "has experts that it changes by other ranks, scales or encodings than their neighbours",
            ));
        }
        Self::made(weight, changes[0], a, b)
    }
    fn made(weight: &Weight, of: &LowRank, a: Vec<Source>, b: Vec<Source>) -> Result<Self> {
        let width = if of.lookup { of.rank } else { of.inputs };
        let bias = of.bias.map(|tensor| Weight {
            name: format!("{} bias of B", weight.name).into(),
            fact: Fact::new(DType::F32, [Dim::Fixed(b.iter().map(Source::count).sum())]),
            sources: b.iter().map(|s| Source { tensor, ..s.clone() }).collect(),
        });
        let matrix = |half: Half, sources: Vec<Source>, width: u32, name: &str| {
            let block = half.encoding.spec().map_or(1, |s| s.block_len);
            if width % block.max(1) != 0 {
                let what = format!("{} {name}: rows of {width} values are no whole blocks of {block}", weight.name);
                return Err(Fault::new(Blame::File, what));
            }
            let rows = sources.iter().map(Source::count).sum();
            let fact = Fact::new(DType::Block(half.encoding), [Dim::Fixed(rows), Dim::Fixed(width)]);
            Ok(Weight { name: format!("{} {name}", weight.name).into(), fact, sources })
        };
        Ok(Self { a: matrix(of.a, a, width, "A")?, b: matrix(of.b, b, of.rank, "B")?, bias, scale: of.scale })
    }
    /// Writes it: the values to be added to the result of a node.
    fn write(self, writer: &mut Rewriter<'_>, id: NodeId) -> Result<Value> {
        let (op, label) = (writer.old.node(id).op.clone(), writer.old.node(id).label.clone());
        let inputs = writer.inputs(id)?;
        let label = |what: &str| format!("{label}.{what}");
        let (a, b) = (weight_node(writer, self.a)?, weight_node(writer, self.b)?);
        let bias = self.bias.map(|bias| weight_node(writer, bias)).transpose()?;
        let through = |x: Value, w: Value, last: Option<Value>| -> Vec<Value> {
            let ids = inputs.get(2).filter(|_| matches!(op, Op::ExpertLinear(_))).copied();
            [Some(x), Some(w), ids, last].into_iter().flatten().collect()
        };
        let low = match op {
            Op::Embed => writer.new.add(Op::Embed, &[a, inputs[1]], label("lora_a"))?,
            _ => writer.new.add(op.clone(), &through(inputs[0], a, None), label("lora_a"))?,
        };
        let linear = if op == Op::Embed { Op::Linear } else { op.clone() };
        let scaled = |writer: &mut Rewriter<'_>, x: Value| -> Result<Value> {
            let op = Op::Unary(Unary::Scale(self.scale));
            Ok(if self.scale == 1.0 { x } else { writer.new.add(op, &[x], label("lora_scaled"))?.value() })
        };
        // The narrow value is scaled, unless a bias behind B is to be scaled with it.
        let low = if bias.is_none() { scaled(writer, low.value())? } else { low.value() };
        let high = writer.new.add(linear, &through(low, b, bias), label("lora_b"))?.value();
        if bias.is_some() { scaled(writer, high) } else { Ok(high) }
    }
}

/// A node that reads a new weight.
fn weight_node(writer: &mut Rewriter<'_>, weight: Weight) -> Result<Value> {
    let name = weight.name.clone();
    writer.new.weights.push(weight);
    let id = WeightId(writer.new.weights.len() as u32 - 1);
    Ok(writer.new.add(Op::Weight(id), &[], name)?.value())
}

impl LowRank {
    /// The rows of B for those of a source of the changed tensor.
    fn rows(&self, source: &Source) -> Vec<Source> {
        let (dim, of): (u32, fn(u32, u32) -> u32) = match self.head_rows {
            HeadRows::Same => {
                let same = Source { tensor: self.b.tensor, stored: self.b.stored, plus: 0.0, ..source.clone() };
                return vec![same];
            }
            HeadRows::ByTurns(dim) => (dim, |at, dim| 2 * (at % (dim / 2)) + at / (dim / 2)),
            HeadRows::Halves(dim) => (dim, |at, dim| at % 2 * (dim / 2) + at / 2),
        };
        let dim = dim.max(2);
        runs_of(self.b.tensor, each_row(source).map(|(_, at)| at / dim * dim + of(at % dim, dim)))
    }
}

/// Each row of a source: its tensor and the row's number.
fn each_row(source: &Source) -> impl Iterator<Item = (usize, u32)> + use<> {
    let (tensor, first, step, run, runs) = (source.tensor, source.first, source.step, source.run, source.runs);
    (0..runs).flat_map(move |i| (0..run).map(move |j| (tensor, first + i * step + j)))
}

/// Rows one by one as few sources: of rows that follow each other at one distance.
fn runs_of(tensor: usize, rows: impl Iterator<Item = u32>) -> Vec<Source> {
    let mut all: Vec<Source> = Vec::new();
    for at in rows {
        match all.last_mut() {
            Some(last) if last.runs == 1 && at == last.first + last.run => {
                last.run += 1;
                last.step = last.run;
            }
            Some(last) if last.run == 1 && last.runs == 1 && at > last.first => {
                last.step = at - last.first;
                last.runs = 2;
            }
            Some(last) if last.run == 1 && last.runs > 1 && at == last.first + last.runs * last.step => last.runs += 1,
            _ => all.push(Source::rows(tensor, at, 1)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_as_few_sources_as_they_are_runs() {
        let rows = |all: &[u32]| runs_of(7, all.iter().copied());
        assert_eq!(rows(&[4, 5, 6]), [Source::rows(7, 4, 3)]);
        assert_eq!(rows(&[1, 3, 5]), [Source { run: 1, step: 2, runs: 3, ..Source::rows(7, 1, 1) }]);
        assert_eq!(rows(&[0, 1, 8, 9]), [Source::rows(7, 0, 2), Source::rows(7, 8, 2)]);
        for all in [&[5, 4, 3][..], &[0, 2, 4, 5, 6], &[9], &[0, 4, 1, 5, 2, 6, 3, 7]] {
            let back: Vec<u32> = rows(all).iter().flat_map(each_row).map(|(_, at)| at).collect();
            assert_eq!(back, all);
        }
    }

    #[test]
    fn rows_of_heads_by_turns_are_those_of_halves_and_back() {
        let half = |tensor| Half { tensor, encoding: Encoding::F32, stored: Stored::ByOutput };
        let change = |head_rows| LowRank {
            adapter: 0,
            tensor: 0,
            item: None,
            outputs: 8,
            inputs: 8,
            rank: 1,
            a: half(1),
            b: half(2),
            bias: None,
            scale: 1.0,
            lookup: false,
            head_rows,
        };
        let rows = |head_rows| -> Vec<u32> {
            change(head_rows).rows(&Source::rows(0, 0, 8)).iter().flat_map(each_row).map(|(_, at)| at).collect()
        };
        // llama.cpp's converter: rows of a head as [2, dim / 2] turned into [dim / 2, 2].
        assert_eq!(rows(HeadRows::Halves(4)), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(rows(HeadRows::ByTurns(8)), [0, 2, 4, 6, 1, 3, 5, 7]);
        assert_eq!(rows(HeadRows::Same), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
