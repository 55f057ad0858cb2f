//! Control flow: If, Loop, Scan, SequenceMap.

use super::{
    axis,
    shape::{concatenated, part},
    single_i64,
};
use crate::{
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad},
        value::{Tensor, Value},
    },
};
use std::rc::Rc;

/// The one truth value of a tensor.
fn truth(value: &Value) -> Result<bool> {
    match value {
        Value::Tensor(t) if t.len() == 1 => Ok(t.bools()?[0]),
        other => Err(bad(format!("one truth value expected, {} found", other.told()))),
    }
}

pub(in crate::onnx) fn if_op(call: &mut Call<'_, '_>) -> Outputs {
    let condition = call.value(0).cloned().ok_or_else(|| bad("a condition expected"))?;
    let (graph, captured) = call.body(if truth(&condition)? { "then_branch" } else { "else_branch" })?;
    call.run_body(&graph, Vec::new(), &captured)
}

/// Tensors of equal shape along a new first axis.
fn stacked(all: &[Tensor], declared: Option<&crate::onnx::proto::Kind>) -> Result<Tensor> {
    let Some(first) = all.first() else {
        // Nothing ran: the shape is what the graph declares, as far as it does.
        let (kind, dims) = match declared {
            Some(crate::onnx::proto::Kind::Tensor(Some(kind), dims)) => (*kind, dims.clone().unwrap_or_default()),
            _ => (crate::onnx::value::Type::F32, Vec::new()),
        };
        let dims = std::iter::once(0).chain(dims.iter().map(|d| match d {
            crate::onnx::proto::Dim::Fixed(n) => usize::try_from(*n).unwrap_or(0),
            crate::onnx::proto::Dim::Named(_) => 0,
        }));
        return Tensor::of(dims.collect::<Vec<_>>(), crate::onnx::value::Data::zeros(kind, 0));
    };
    let rows: Result<Vec<Tensor>> = all.iter().map(|t| t.reshaped([&[1], t.dims()].concat())).collect();
    if all.iter().any(|t| t.dims() != first.dims()) {
        return Err(bad("the values of each round should have one shape"));
    }
    concatenated(&rows?, 0)
}

fn tensor(value: Value) -> Result<Tensor> {
    match value {
        Value::Tensor(t) => Ok(t),
        other => Err(bad(format!("a tensor expected, {} found", other.told()))),
    }
}

pub(in crate::onnx) fn loop_op(call: &mut Call<'_, '_>) -> Outputs {
    let most = call.optional(0)?.map(|t| single_i64(&t)).transpose()?;
    let mut go = call.value(1).map(truth).transpose()?.unwrap_or(true);
    let (graph, captured) = call.body("body")?;
    let carried = call.inputs.len().saturating_sub(2);
    let mut state: Vec<Value> = Vec::new();
    for i in 2..call.inputs.len() {
        let value = call.inputs[i].take();
        state.push(value.ok_or_else(|| bad(format!("input {i} expected, none found")))?);
    }
    if graph.outputs.len() < carried + 1 {
        return Err(bad(format!(
            "a body with at least {} outputs expected, {} found",
            carried + 1,
            graph.outputs.len()
        )));
    }
    let mut collected: Vec<Vec<Tensor>> = vec![Vec::new(); graph.outputs.len() - carried - 1];
    let mut i = 0i64;
    while go && most.is_none_or(|m| i < m) {
        let mut args = vec![Value::Tensor(Tensor::scalar_i64(i)?)];
        args.push(Value::Tensor(Tensor::of([], crate::onnx::value::Data::Bool(vec![true]))?));
        args.append(&mut state);
        let mut outputs = call.run_body(&graph, args, &captured)?.into_iter();
        go = truth(&outputs.next().ok_or_else(|| bad("a body without a condition"))?)?;
        state = outputs.by_ref().take(carried).collect();
        for (list, value) in collected.iter_mut().zip(outputs) {
            list.push(tensor(value)?);
        }
        i += 1;
    }
    for (list, info) in collected.iter().zip(&graph.outputs[carried + 1..]) {
        state.push(Value::Tensor(stacked(list, Some(&info.kind))?));
    }
    Ok(state)
}

pub(in crate::onnx) fn scan(call: &mut Call<'_, '_>) -> Outputs {
    let (graph, captured) = call.body("body")?;
    let scans = super::size(call.int("num_scan_inputs", 0)?)?;
    if call.version < 9 {
        return scan8(call, &graph, &captured, scans);
    }
    let states = call.inputs.len().checked_sub(scans).ok_or_else(|| bad(format!("{scans} scanned inputs expected")))?;
    let list = |name: &str| call.ints(name).map(|v| v.map(|v| v.to_vec()).unwrap_or_default());
    let (in_axes, in_back) = (list("scan_input_axes")?, list("scan_input_directions")?);
    let (out_axes, out_back) = (list("scan_output_axes")?, list("scan_output_directions")?);
    let mut state: Vec<Value> = Vec::new();
    for i in 0..states {
        state.push(call.value(i).cloned().ok_or_else(|| bad(format!("input {i} expected, none found")))?);
    }
    let mut sources = Vec::new();
    for i in 0..scans {
        let t = call.tensor(states + i)?;
        let at = axis(in_axes.get(i).copied().unwrap_or(0), t.rank())?;
        sources.push((t, at, in_back.get(i) == Some(&1)));
    }
    let (state, collected) = rounds(call, &graph, &captured, state, &sources)?;
    let mut out = state;
    for (i, mut list) in collected.into_iter().enumerate() {
        if out_back.get(i) == Some(&1) {
            list.reverse();
        }
        let t = stacked(&list, graph.outputs.get(states + i).map(|o| &o.kind))?;
        let at = axis(out_axes.get(i).copied().unwrap_or(0), t.rank())?;
        let mut order: Vec<usize> = (1..t.rank()).collect();
        order.insert(at, 0);
        out.push(Value::Tensor(t.permuted(&order)?));
    }
    Ok(out)
}

type Rounds = (Vec<Value>, Vec<Vec<Tensor>>);

/// Runs the body for each slice of the sources.
fn rounds(
    call: &mut Call<'_, '_>,
    graph: &crate::onnx::graph::Graph,
    captured: &[Value],
    mut state: Vec<Value>,
    sources: &[(Tensor, usize, bool)],
) -> Result<Rounds> {
    let states = state.len();
    let n = sources.first().map_or(0, |(t, at, _)| t.dims()[*at]);
    if sources.iter().any(|(t, at, _)| t.dims()[*at] != n) {
        return Err(bad("scanned inputs of one length expected"));
    }
    let outs =
        graph.outputs.len().checked_sub(states).ok_or_else(|| bad("a body with an output for each state expected"))?;
    let mut collected: Vec<Vec<Tensor>> = vec![Vec::new(); outs];
    for i in 0..n {
        let mut args = std::mem::take(&mut state);
        for (t, at, back) in sources {
            let slice = part(t, *at, if *back { n - 1 - i } else { i }, 1)?;
            let mut dims = slice.dims().to_vec();
            dims.remove(*at);
            args.push(Value::Tensor(slice.reshaped(dims)?));
        }
        let mut outputs = call.run_body(graph, args, captured)?.into_iter();
        state = outputs.by_ref().take(states).collect();
        for (list, value) in collected.iter_mut().zip(outputs) {
            list.push(tensor(value)?);
        }
    }
    Ok((state, collected))
}

/// Scan of opset 8: a batch first, lengths of its own for each of it.
fn scan8(call: &mut Call<'_, '_>, graph: &Rc<crate::onnx::graph::Graph>, captured: &[Value], scans: usize) -> Outputs {
    let lens = call.optional(0)?.map(|t| t.to_i64s()).transpose()?;
    let states =
        call.inputs.len().checked_sub(scans + 1).ok_or_else(|| bad(format!("{scans} scanned inputs expected")))?;
    let back = call.ints("directions")?.map(|v| v.to_vec()).unwrap_or_default();
    let inputs: Result<Vec<Tensor>> = (1..call.inputs.len()).map(|i| call.tensor(i)).collect();
    let inputs = inputs?;
    let batch = inputs.first().and_then(|t| t.dims().first().copied()).unwrap_or(0);
    let mut out: Vec<Vec<Tensor>> = vec![Vec::new(); graph.outputs.len()];
    for b in 0..batch {
        let of = |t: &Tensor| -> Result<Tensor> {
            let dims = t.dims().get(1..).unwrap_or_default().to_vec();
            part(t, 0, b, 1)?.reshaped(dims)
        };
        let state: Result<Vec<Value>> = inputs[..states].iter().map(|t| of(t).map(Value::Tensor)).collect();
        let mut sources = Vec::new();
        for (i, t) in inputs[states..].iter().enumerate() {
            let mut t = of(t)?;
            if let Some(n) = lens.as_ref().and_then(|l| l.get(b)).and_then(|n| usize::try_from(*n).ok()) {
                t = part(&t, 0, 0, n)?;
            }
            sources.push((t, 0, back.get(i) == Some(&1)));
        }
        let (state, collected) = rounds(call, graph, captured, state?, &sources)?;
        for (list, value) in out.iter_mut().zip(state) {
            list.push(tensor(value)?);
        }
        for (list, values) in out[states..].iter_mut().zip(collected) {
            list.push(stacked(&values, None)?);
        }
    }
    out.iter().map(|list| stacked(list, None).map(Value::Tensor)).collect()
}

pub(in crate::onnx) fn sequence_map(call: &mut Call<'_, '_>) -> Outputs {
    let (graph, captured) = call.body("body")?;
    let first = call.sequence(0)?;
    let mut out: Vec<Vec<Value>> = vec![Vec::new(); graph.outputs.len()];
    for i in 0..first.len() {
        let mut args = vec![first[i].clone()];
        for j in 1..call.inputs.len() {
            args.push(match call.value(j) {
                Some(Value::Sequence(list)) => {
                    list.get(i).cloned().ok_or_else(|| bad("sequences of one length expected"))?
                }
                Some(value) => value.clone(),
                None => return Err(bad(format!("input {j} expected, none found"))),
            });
        }
        for (list, value) in out.iter_mut().zip(call.run_body(&graph, args, &captured)?) {
            list.push(value);
        }
    }
    Ok(out.into_iter().map(|list| Value::Sequence(Rc::new(list))).collect())
}
