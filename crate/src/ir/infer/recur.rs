//! Facts of recurrences.

use super::{floats, matrix, vector, wrong};
use crate::{
    fault::Result,
    ir::{
        fact::{DType, Dim, Fact},
        graph::Graph,
        op::{Delta, Recur, Rule, Scan},
    },
};

/// How many inputs a rule takes.
pub(super) fn arity(rule: &Rule) -> std::ops::RangeInclusive<usize> {
    match rule {
        Rule::Conv { .. } => 2..=3,
        Rule::Scan(_) | Rule::Delta(_) | Rule::Wkv { .. } => 5..=5,
        Rule::Wkv4 { .. } => 3..=3,
    }
}

/// Facts of the results of a recurrence: its rows, and its state.
pub(super) fn recur(graph: &Graph, recur: &Recur, inputs: &[&Fact]) -> Result<Vec<Fact>> {
    let state = graph.states.get(recur.state.0 as usize).ok_or_else(|| wrong("no such state"))?;
    let (Some(width), Some(outputs)) = (recur.rule.width(), recur.rule.outputs()) else {
        return Err(wrong(format!("{:?}: more values than 32 bits count", recur.rule)));
    };
    if !state.carried || state.width != width || width == 0 || outputs == 0 {
        let what = format!("a state of one row of {width} values a sequence expected");
        return Err(wrong(format!("{what}, {} of {} found", state.name, state.width)));
    }
    let [rows, _] = matrix(floats(inputs[0])?)?;
    let row = |i: usize, width: Option<u32>| match (floats(inputs[i])?.shape.as_slice(), width) {
        ([r, Dim::Fixed(n)], Some(width)) if *r == rows && *n == width => Ok(()),
        (_, Some(width)) => Err(wrong(format!("rows of {width} values expected, {} found", inputs[i]))),
        (_, None) => Err(wrong("rows of more values than 32 bits count")),
    };
    let by = |a: u32, b: u32| a.checked_mul(b);
    match &recur.rule {
        Rule::Conv { channels, taps } => {
            row(0, Some(*channels))?;
            vector(inputs[1], by(*channels, *taps).ok_or_else(|| wrong("a filter beyond 2^32 values"))?)?;
            inputs[2..].iter().try_for_each(|bias| vector(bias, *channels))?;
        }
        Rule::Scan(s) => {
            check_scan(s)?;
            row(0, Some(outputs))?;
            row(1, Some(s.heads))?;
            row(2, by(s.groups, s.size))?;
            row(3, by(s.groups, s.size))?;
            let a = by(s.heads, if s.full { s.size } else { 1 }).and_then(|n| n.checked_add(s.heads));
            vector(inputs[4], a.ok_or_else(|| wrong("a decay beyond 2^32 values"))?)?;
        }
        Rule::Delta(d) => {
            check_delta(d)?;
            row(0, by(d.key_heads, d.key_dim))?;
            row(1, by(d.key_heads, d.key_dim))?;
            row(2, Some(outputs))?;
            row(3, Some(d.heads))?;
            row(4, Some(d.heads))?;
        }
        Rule::Wkv4 { channels, .. } => {
            row(0, Some(*channels))?;
            row(1, Some(*channels))?;
            vector(inputs[2], by(2, *channels).ok_or_else(|| wrong("rows beyond 2^32 values"))?)?;
        }
        Rule::Wkv { .. } => {
            (0..3).try_for_each(|i| row(i, Some(outputs)))?;
            if vector(inputs[3], outputs).is_err() {
                row(3, Some(outputs))?;
            }
            vector(inputs[4], outputs)?;
        }
    }
    Ok(vec![Fact::rows(rows, outputs), Fact::new(DType::F32, [Dim::Fixed(width)])])
}

fn check_scan(s: &Scan) -> Result<()> {
    if s.groups == 0 || s.heads % s.groups != 0 {
        return Err(wrong(format!("{} heads cannot share {} groups evenly", s.heads, s.groups)));
    }
    Ok(())
}

fn check_delta(d: &Delta) -> Result<()> {
    if d.key_heads == 0 || d.heads % d.key_heads != 0 {
        return Err(wrong(format!("{} value heads cannot share {} key heads evenly", d.heads, d.key_heads)));
    }
    Ok(())
}
