//! A graph as text, one operation a line, as `glassbox graph` shows it and golden files hold it.
//!
//! ```text
//! %4 blk.0.attn_norm = RmsNorm(%3, blk.0.attn_norm.weight; eps 1e-5, group 64) -> f32[rows, 64]
//! ```
//! `%4.1` is the second result of node 4. Weights and constants stand in their readers by name.

use std::fmt;

use super::{
    graph::{Graph, Node, State, StateId, Value, Weight},
    op::{Attention, Fused, Gating, Link, Op, Pairing, Recur, Rope, Routing, Rule, Unary},
    rotation::{Factors, Rotation, Scaling},
};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            if !matches!(node.op, Op::Weight(_) | Op::Constant(_)) {
                write_node(f, self, i, node)?;
            }
        }
        section(f, "states", &self.states, state)?;
        section(f, "rotations", &self.rotations, rotation)?;
        section(f, "weights", &self.weights, weight)?;
        section(f, "outputs", &self.outputs, |(name, value)| {
            format!("{name} = {} : {}", name_of(self, *value), known(self, *value))
        })
    }
}

/// Nothing where there are no rows.
fn section<T>(f: &mut fmt::Formatter<'_>, title: &str, rows: &[T], line: impl Fn(&T) -> String) -> fmt::Result {
    if !rows.is_empty() {
        writeln!(f, "{title}")?;
    }
    rows.iter().try_for_each(|row| writeln!(f, "  {}", line(row)))
}

fn write_node(f: &mut fmt::Formatter<'_>, graph: &Graph, index: usize, node: &Node) -> fmt::Result {
    write!(f, "%{index} {} = {}(", node.label, name(&node.op))?;
    for (i, input) in node.inputs.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { ", " }, name_of(graph, *input))?;
    }
    let numbers = numbers(graph, node).join(", ");
    if !numbers.is_empty() {
        write!(f, "{}{numbers}", if node.inputs.is_empty() { "" } else { "; " })?;
    }
    f.write_str(")")?;
    for (i, fact) in node.facts.iter().enumerate() {
        write!(f, "{}{fact}", if i == 0 { " -> " } else { ", " })?;
    }
    writeln!(f)
}

/// How readers call a value. Faulty graphs are printed too.
fn name_of(graph: &Graph, value: Value) -> String {
    let at = value.node.0;
    match graph.nodes.get(at as usize).map(|n| &n.op) {
        Some(Op::Weight(id)) => {
            graph.weights.get(id.0 as usize).map_or_else(|| format!("weight {}", id.0), |w| w.name.to_string())
        }
        Some(Op::Constant(i)) => match graph.constants.get(*i) {
            Some(c) if c.values.len() == 1 => c.values[0].to_string(),
            Some(c) => format!("constant {i}: {}", c.fact),
            None => format!("constant {i}"),
        },
        _ if value.output == 0 => format!("%{at}"),
        _ => format!("%{at}.{}", value.output),
    }
}

fn known(graph: &Graph, value: Value) -> String {
    let fact = graph.nodes.get(value.node.0 as usize).and_then(|n| n.facts.get(usize::from(value.output)));
    fact.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The operation's name: of functions of one or two values, the function's.
fn name(op: &Op) -> String {
    match op {
        Op::Input(input) => format!("{input:?}"),
        Op::Unary(f) => function(*f).0,
        Op::Binary(f) => format!("{f:?}"),
        Op::Cast(dtype) => format!("Cast {dtype}"),
        Op::Reduce(kind) => format!("Reduce {kind:?}"),
        Op::Fused(Fused::GatedLinear(f)) => format!("GatedLinear {}", function(*f).0),
        Op::Recur(Recur { rule, .. }) => first_word(&format!("{rule:?}")),
        Op::Fused(fused) => first_word(&format!("{fused:?}")),
        other => first_word(&format!("{other:?}")),
    }
}

/// A Rust name without what follows it.
fn first_word(debug: &str) -> String {
    debug.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Name and number of a function of one value.
fn function(f: Unary) -> (String, Option<f32>) {
    let number = match f {
        Unary::Scale(s) | Unary::Shift(s) | Unary::SoftCap(s) | Unary::AtLeast(s) | Unary::AtMost(s) => Some(s),
        _ => None,
    };
    (first_word(&format!("{f:?}")), number)
}

/// The operation's own numbers, as they stand behind its inputs.
fn numbers(graph: &Graph, node: &Node) -> Vec<String> {
    let state = |id: StateId| graph.states.get(id.0 as usize).map_or_else(|| id.0.to_string(), |s| s.name.to_string());
    match &node.op {
        Op::Unary(f) => function(*f).1.iter().map(f32::to_string).collect(),
        Op::MatMul { transposed } if *transposed => vec!["second transposed".into()],
        Op::RmsNorm { eps, group } => vec![format!("eps {eps:e}"), format!("group {group}")],
        Op::LayerNorm { eps } => vec![format!("eps {eps:e}")],
        Op::Rope(r) => rope(r),
        Op::Attention(a) => attention(a),
        Op::Route(r) => routing(r),
        Op::ExpertLinear(e) if e.routed => vec![format!("of {} experts", e.experts)],
        Op::ExpertLinear(e) => vec![format!("all of {} experts", e.experts)],
        Op::StateWrite(id) => vec![state(*id)],
        Op::Recur(r) => {
            let mut all = rule(&r.rule);
            all.push(format!("carries {}", state(r.state)));
            all
        }
        Op::Transpose(order) => vec![format!("{order:?}")],
        Op::Slice { axis, start, len } => vec![format!("{start}..{} of dimension {axis}", start.saturating_add(*len))],
        Op::Concat { axis } => vec![format!("dimension {axis}")],
        Op::Fused(Fused::Chain(links)) => links.iter().map(|l| link(graph, node, l)).collect(),
        Op::Fused(Fused::RopeWrite { rope: r, q, k, v, keys, values }) => {
            let mut all =
                vec![format!("{q} + {k} + {v} values"), format!("to {} and {}", state(*keys), state(*values))];
            all.extend(rope(r));
            all
        }
        _ => Vec::new(),
    }
}

fn link(graph: &Graph, node: &Node, link: &Link) -> String {
    let other = |i: u8| node.inputs.get(usize::from(i)).map_or_else(|| format!("input {i}"), |v| name_of(graph, *v));
    match *link {
        Link::Unary(f) => match function(f) {
            (name, Some(number)) => format!("{name} {number}"),
            (name, None) => name,
        },
        Link::Binary(f, i) => format!("{f:?}(_, {})", other(i)),
        Link::Reversed(f, i) => format!("{f:?}({}, _)", other(i)),
    }
}

fn rope(rope: &Rope) -> Vec<String> {
    let pairs = match rope.pairing {
        Pairing::Interleaved => "interleaved pairs",
        Pairing::Halves => "paired halves",
    };
    let heads = match rope.dims {
        dims if dims == rope.head_dim => format!("heads of {dims}"),
        dims => format!("first {dims} of heads of {}", rope.head_dim),
    };
    vec![heads, pairs.into(), format!("rotation {}", rope.rotation)]
}

fn attention(a: &Attention) -> Vec<String> {
    let mut all = vec![match a.kv_heads {
        n if n == a.heads => format!("{n} heads of {}", a.head_dim),
        n => format!("{} heads of {}, {n} of keys and values", a.heads, a.head_dim),
    }];
    if a.value_dim != a.head_dim {
        all.push(format!("values of {}", a.value_dim));
    }
    all.push(format!("scale {}", a.scale));
    all.push(if a.causal { "causal" } else { "both ways" }.into());
    all.extend(a.window.map(|w| format!("window {w}")));
    all.extend(a.soft_cap.map(|c| format!("soft cap {c}")));
    all.extend(a.reach.map(|r| format!("bias by distance up to {r}")));
    all.extend(a.alibi.map(|most| format!("slopes up to 2^-{most}")));
    all
}

fn routing(r: &Routing) -> Vec<String> {
    let gating = match r.gating {
        Gating::Softmax => "softmax",
        Gating::Sigmoid => "sigmoid",
        Gating::SoftmaxOfChosen => "softmax of the chosen",
    };
    let mut all = vec![format!("best {}", r.used), gating.into()];
    if r.groups > 1 {
        let by = if r.two_of_group { "their two best" } else { "their best" };
        all.push(format!("of the best {} of {} groups by {by}", r.groups_used, r.groups));
    }
    if r.normalise {
        all.push("normalised".into());
    }
    if r.scale.to_bits() != 1f32.to_bits() {
        all.push(format!("times {}", r.scale));
    }
    all
}

fn rule(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::Conv { channels, taps } => vec![format!("{taps} taps of {channels}")],
        Rule::Scan(s) => {
            let mut all = vec![format!("{} heads of {} by {}", s.heads, s.head_dim, s.size)];
            all.extend((s.groups > 1).then(|| format!("{} groups", s.groups)));
            all.extend(s.log.then(|| "logarithms of A".to_owned()));
            all
        }
        Rule::Delta(d) => {
            let keys = format!("{} heads of {} on {} of {}", d.heads, d.value_dim, d.key_heads, d.key_dim);
            vec![keys, if d.tiled { "keys in turn" } else { "keys in runs" }.into()]
        }
        Rule::Wkv4 { channels, log } => {
            let mut all = vec![format!("{channels} channels")];
            all.extend(log.then(|| "logarithms of w".to_owned()));
            all
        }
        Rule::Wkv { heads, dim } => vec![format!("{heads} heads of {dim}")],
    }
}

fn state(state: &State) -> String {
    if state.carried {
        return format!("{}: {} a sequence", state.name, state.width);
    }
    let window = state.window.map_or_else(String::new, |w| format!(", window {w}"));
    format!("{}: rows of {}{window}", state.name, state.width)
}

fn weight(weight: &Weight) -> String {
    let sources = match weight.sources.len() {
        0 | 1 => String::new(),
        n => format!(", {n} sources"),
    };
    format!("{}: {}{sources}", weight.name, weight.fact)
}

fn rotation(rotation: &Rotation) -> String {
    let factors = |f: &Factors| match f {
        Factors::Values(values) => format!("{} factors", values.len()),
        Factors::Tensor(tensor) => format!("the factors of tensor {tensor}"),
    };
    let scaling = match &rotation.scaling {
        Scaling::None => String::new(),
        Scaling::Linear(factor) => format!(", stretched {factor} times"),
        Scaling::Dynamic { factor, original } => format!(", stretched up to {factor} times beyond {original}"),
        Scaling::Llama3 { factor, original, .. } => format!(", Llama 3's stretch of {original} by {factor}"),
        Scaling::Yarn { factor, original, .. } => format!(", YaRN's stretch of {original} by {factor}"),
        Scaling::Factors(f) => format!(", divided by {}", factors(f)),
        Scaling::Long { short, long, original, .. } => {
            format!(", divided by {} up to {original}, by {} beyond", factors(short), factors(long))
        }
    };
    format!("{} values, base {}{scaling}", rotation.dims, rotation.base)
}
