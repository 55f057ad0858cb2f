//! Ensembles of decision trees.

use std::collections::HashMap;

use super::ml::{Labels, Second, classified, features, largest, scores, transform};
use crate::{
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor},
    },
};

/// What a node asks of its feature.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
    Member,
    Leaf,
}

struct Node {
    mode: Mode,
    feature: usize,
    value: f64,
    /// Places of the next nodes.
    yes: usize,
    no: usize,
    missing_is_yes: bool,
    /// Values of a membership test.
    members: Vec<f64>,
    /// Class or target and weight of a leaf.
    leaves: Vec<(usize, f64)>,
}

/// How the leaves of trees meet.
#[derive(Clone, Copy, PartialEq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

fn floats(call: &Call<'_, '_>, name: &str) -> Result<Option<Vec<f64>>> {
    if let Some(t) = call.attr_tensor(&format!("{name}_as_tensor"))? {
        return t.to_f64s().map(Some);
    }
    Ok(call.floats(name)?.map(|v| v.iter().map(|x| f64::from(*x)).collect()))
}
fn ints(call: &Call<'_, '_>, name: &str) -> Result<Vec<i64>> {
    Ok(call.ints(name)?.map(|v| v.to_vec()).unwrap_or_default())
}

impl Forest {
    /// From the attributes of versions 1 and 3; `of` is "class" or "target".
    fn listed(call: &Call<'_, '_>, of: &str) -> Result<Self> {
        let (trees, ids) = (ints(call, "nodes_treeids")?, ints(call, "nodes_nodeids")?);
        let (feature_ids, yes, no) =
            (ints(call, "nodes_featureids")?, ints(call, "nodes_truenodeids")?, ints(call, "nodes_falsenodeids")?);
        let missing = ints(call, "nodes_missing_value_tracks_true")?;
        let values = floats(call, "nodes_values")?.unwrap_or_default();
        let modes = call.texts("nodes_modes")?.unwrap_or_else(|| std::rc::Rc::from([]));
        let n = ids.len();
        if [trees.len(), feature_ids.len(), yes.len(), no.len(), values.len(), modes.len()].iter().any(|l| *l != n) {
            return Err(bad("lists of nodes of one length expected"));
        }
        let places: HashMap<(i64, i64), usize> = trees.iter().copied().zip(ids.iter().copied()).zip(0..).collect();
        let next = |i: usize, id: i64| {
            places
                .get(&(trees[i], id))
                .copied()
                .ok_or_else(|| bad(format!("node {id} of tree {} does not exist", trees[i])))
        };
        let mut nodes = Vec::with_capacity(n);
        let mut below = vec![false; n];
        for i in 0..n {
            let mode = match &*modes[i] {
                "BRANCH_LEQ" => Mode::LessOrEqual,
                "BRANCH_LT" => Mode::Less,
                "BRANCH_GTE" => Mode::GreaterOrEqual,
                "BRANCH_GT" => Mode::Greater,
                "BRANCH_EQ" => Mode::Equal,
                "BRANCH_NEQ" => Mode::NotEqual,
                "LEAF" => Mode::Leaf,
                other => return Err(bad(format!("a node of mode {other:?}"))),
            };
            let (y, f) = if mode == Mode::Leaf { (i, i) } else { (next(i, yes[i])?, next(i, no[i])?) };
            if mode != Mode::Leaf {
                (below[y], below[f]) = (true, true);
            }
            nodes.push(Node {
                mode,
                feature: super::size(feature_ids[i])?,
                value: values[i],
                yes: y,
                no: f,
                missing_is_yes: missing.get(i) == Some(&1),
                members: Vec::new(),
                leaves: Vec::new(),
            });
        }
        let (of_trees, of_nodes) = (ints(call, &format!("{of}_treeids"))?, ints(call, &format!("{of}_nodeids"))?);
        let of_ids = ints(call, &format!("{of}_ids"))?;
        let weights = floats(call, &format!("{of}_weights"))?.unwrap_or_default();
        for (i, id) in of_ids.iter().enumerate() {
            let (Some(t), Some(node), Some(w)) = (of_trees.get(i), of_nodes.get(i), weights.get(i)) else {
                return Err(bad("lists of leaves of one length expected"));
            };
            let at = places.get(&(*t, *node)).ok_or_else(|| bad(format!("node {node} of tree {t} does not exist")))?;
            nodes[*at].leaves.push((super::size(*id)?, *w));
        }
        // A tree begins at the node that no other leads to; where every one is led to, at its first.
        let mut roots: Vec<(i64, usize)> = Vec::new();
        for i in 0..n {
            match roots.iter_mut().find(|(t, _)| *t == trees[i]) {
                Some((_, root)) if below[*root] && !below[i] => *root = i,
                Some(_) => {}
                None => roots.push((trees[i], i)),
            }
        }
        Ok(Self { nodes, roots: roots.into_iter().map(|(_, i)| i).collect() })
    }
    /// The leaf that a row of features ends in.
    fn leaf(&self, root: usize, row: &[f64]) -> Result<&Node> {
        let mut at = root;
        for _ in 0..=self.nodes.len() {
            let node = &self.nodes[at];
            if node.mode == Mode::Leaf {
                return Ok(node);
            }
            let x = *row.get(node.feature).ok_or_else(|| bad(format!("feature {} of {}", node.feature, row.len())))?;
            let yes = match node.mode {
                Mode::LessOrEqual => x <= node.value,
                Mode::Less => x < node.value,
                Mode::GreaterOrEqual => x >= node.value,
                Mode::Greater => x > node.value,
                Mode::Equal => x == node.value,
                Mode::NotEqual => x != node.value,
                Mode::Member => node.members.contains(&x),
                Mode::Leaf => false,
            };
            at = if yes || (node.missing_is_yes && x.is_nan()) { node.yes } else { node.no };
        }
        Err(bad("a tree that runs in a circle"))
    }
    /// Scores of `n` classes or targets of a row, and which got any.
    fn scores(&self, row: &[f64], n: usize, how: Aggregate) -> Result<(Vec<f64>, Vec<bool>)> {
        let (mut sums, mut seen) = (vec![0.0; n], vec![false; n]);
        for root in &self.roots {
            for (id, w) in &self.leaf(*root, row)?.leaves {
                let s = sums.get_mut(*id).ok_or_else(|| bad(format!("target {id} of {n}")))?;
                *s = match how {
                    Aggregate::Min if seen[*id] => f64::min(*s, *w),
                    Aggregate::Max if seen[*id] => f64::max(*s, *w),
                    Aggregate::Min | Aggregate::Max => *w,
                    _ => *s + w,
                };
                seen[*id] = true;
            }
        }
        if how == Aggregate::Average {
            let trees = self.roots.len().max(1) as f64;
            sums.iter_mut().for_each(|s| *s /= trees);
        }
        Ok((sums, seen))
    }
}

/// Rows of features as f64: trees compare in the precision of the input.
fn rows_of(call: &mut Call<'_, '_>, forest: &Forest) -> Result<(Vec<f64>, usize, usize)> {
    let x = call.tensor(0)?;
    let (_, rows, n) = features(&x)?;
    call.spend(rows.saturating_mul(forest.roots.len()).saturating_mul(16))?;
    Ok((x.to_f64s()?, rows, n))
}

pub(in crate::onnx) fn tree_classifier(call: &mut Call<'_, '_>) -> Outputs {
    let forest = Forest::listed(call, "class")?;
    let labels = Labels::of(call, "classlabels_int64s", "classlabels_strings")?;
    let base = floats(call, "base_values")?.unwrap_or_default();
    let post = call.text("post_transform", "NONE")?;
    let classes = labels.len();
    let leaves = || forest.nodes.iter().flat_map(|n| &n.leaves);
    let mut used: Vec<usize> = leaves().map(|(id, _)| *id).collect();
    used.sort_unstable();
    used.dedup();
    let binary = classes == 2 && used.len() == 1;
    let positive = leaves().all(|(_, w)| *w >= 0.0);
    let (v, rows, n) = rows_of(call, &forest)?;
    let (mut chosen, mut out) = (Vec::new(), Vec::new());
    for r in 0..rows {
        let (mut sums, _) = forest.scores(&v[r * n..(r + 1) * n], classes.max(1), Aggregate::Sum)?;
        if !binary {
            for (s, b) in sums.iter_mut().zip(&base) {
                *s += b;
            }
            let row: Vec<f32> = sums.iter().map(|s| *s as f32).collect();
            // Of two classes ONNX Runtime takes the second where its score is above 0.
            chosen.push(if classes == 2 { usize::from(row[1] > 0.0) } else { largest(&row) });
            out.push(scores(row, &post, Second::None)?);
            continue;
        }
        let mut s = sums.get(used[0]).copied().ok_or_else(|| bad(format!("class {} of {classes}", used[0])))?;
        s += match base[..] {
            [b] => b,
            [_, b] => b,
            _ => 0.0,
        };
        let yes = s as f32 > if positive { 0.5 } else { 0.0 };
        chosen.push(usize::from(yes));
        out.push(scores(vec![s as f32], &post, if positive { Second::Complement } else { Second::Negative })?);
    }
    classified(&labels, &chosen, out)
}

pub(in crate::onnx) fn tree_regressor(call: &mut Call<'_, '_>) -> Outputs {
    let forest = Forest::listed(call, "target")?;
    let targets = super::size(call.int("n_targets", 1)?)?;
    let how = match call.text("aggregate_function", "SUM")?.as_str() {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(bad(format!("the aggregate_function SUM, AVERAGE, MIN or MAX expected, {other:?} found"))),
    };
    let base = floats(call, "base_values")?.unwrap_or_default();
    let post = call.text("post_transform", "NONE")?;
    regress(call, &forest, targets, how, &base, &post, false)
}

fn regress(
    call: &mut Call<'_, '_>,
    forest: &Forest,
    targets: usize,
    how: Aggregate,
    base: &[f64],
    post: &str,
    typed: bool,
) -> Outputs {
    let x = call.tensor(0)?;
    let (v, rows, n) = rows_of(call, forest)?;
    crate::onnx::value::room(&[rows, targets], 8)?;
    let mut out = Vec::new();
    for r in 0..rows {
        let (mut sums, _) = forest.scores(&v[r * n..(r + 1) * n], targets, how)?;
        for (s, b) in sums.iter_mut().zip(base) {
            *s += b;
        }
        let mut row: Vec<f32> = sums.iter().map(|s| *s as f32).collect();
        transform(post, &mut row)?;
        if post == "NONE" || post.is_empty() { out.extend(sums) } else { out.extend(row.into_iter().map(f64::from)) }
    }
    if typed {
        let data = crate::onnx::cast::from_f64s(x.kind(), &out, crate::onnx::cast::Rounding::default())?;
        return one(Tensor::of([rows, targets], data)?);
    }
    one(Tensor::of([rows, targets], Data::F32(out.into_iter().map(|v| v as f32).collect()))?)
}

pub(in crate::onnx) fn tree_ensemble(call: &mut Call<'_, '_>) -> Outputs {
    let tensor = |name: &str| {
        call.attr_tensor(name).and_then(|t| t.map(|t| t.to_f64s()).transpose()).map(Option::unwrap_or_default)
    };
    let (feature_ids, yes, no) =
        (ints(call, "nodes_featureids")?, ints(call, "nodes_truenodeids")?, ints(call, "nodes_falsenodeids")?);
    let (yes_leaf, no_leaf) = (ints(call, "nodes_trueleafs")?, ints(call, "nodes_falseleafs")?);
    let missing = ints(call, "nodes_missing_value_tracks_true")?;
    let (modes, splits) = (tensor("nodes_modes")?, tensor("nodes_splits")?);
    let members = tensor("membership_values")?;
    let (leaf_ids, leaf_weights) = (ints(call, "leaf_targetids")?, tensor("leaf_weights")?);
    let roots = super::sizes(&ints(call, "tree_roots")?)?;
    let n = feature_ids.len();
    if [yes.len(), no.len(), yes_leaf.len(), no_leaf.len(), modes.len(), splits.len()].iter().any(|l| *l != n)
        || leaf_ids.len() != leaf_weights.len()
        || roots.iter().any(|r| *r >= n)
    {
        return Err(bad("lists of nodes and of leaves of one length expected"));
    }
    // Sets of values follow each other, each closed by NaN.
    let mut sets = members.split(|x| x.is_nan());
    let mut nodes = Vec::with_capacity(n + leaf_ids.len());
    for i in 0..n {
        let mode = match modes[i] as i64 {
            0 => Mode::LessOrEqual,
            1 => Mode::Less,
            2 => Mode::GreaterOrEqual,
            3 => Mode::Greater,
            4 => Mode::Equal,
            5 => Mode::NotEqual,
            6 => Mode::Member,
            other => return Err(bad(format!("a node of mode {other}"))),
        };
        let next = |id: i64, leaf: i64| -> Result<usize> {
            let id = super::size(id)?;
            let (at, most) = if leaf == 1 { (n.saturating_add(id), n + leaf_ids.len()) } else { (id, n) };
            if at < most { Ok(at) } else { Err(bad(format!("node {id} does not exist"))) }
        };
        nodes.push(Node {
            mode,
            feature: super::size(feature_ids[i])?,
            value: splits[i],
            yes: next(yes[i], yes_leaf[i])?,
            no: next(no[i], no_leaf[i])?,
            missing_is_yes: missing.get(i) == Some(&1),
            members: if mode == Mode::Member { sets.next().unwrap_or_default().to_vec() } else { Vec::new() },
            leaves: Vec::new(),
        });
    }
    for (id, w) in leaf_ids.iter().zip(&leaf_weights) {
        nodes.push(Node {
            mode: Mode::Leaf,
            feature: 0,
            value: 0.0,
            yes: 0,
            no: 0,
            missing_is_yes: false,
            members: Vec::new(),
            leaves: vec![(super::size(*id)?, *w)],
        });
    }
    let how = [Aggregate::Average, Aggregate::Sum, Aggregate::Min, Aggregate::Max];
    let how = usize::try_from(call.int("aggregate_function", 1)?).ok().and_then(|i| how.get(i).copied());
    let how = how.ok_or_else(|| bad("an aggregate_function from 0 to 3 expected"))?;
    let posts = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
    let post = usize::try_from(call.int("post_transform", 0)?).ok().and_then(|i| posts.get(i).copied());
    let post = post.ok_or_else(|| bad("a post_transform from 0 to 4 expected"))?;
    let targets = super::size(call.int("n_targets", 1)?)?;
    regress(call, &Forest { nodes, roots }, targets, how, &[], post, true)
}
