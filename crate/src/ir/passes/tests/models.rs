//! Models of a few values, written as architectures are, with weights that look random.

use std::rc::Rc;

use crate::{
    ir::{
        Attention, Binary, Builder, Constant, DType, Dim, Fact, Graph, Input, Op, Pairing, Reduction, Rope, Rotation,
        Scaling, Source, State, Tensor, Unary, Weight, WeightId,
        eval::{Environment, States, Step, evaluate},
    },
    tensor::Encoding,
};

pub(super) const WIDTH: u32 = 8;
const VOCAB: u32 = 11;
const INNER: u32 = 12;

/// A graph and the values of its tensors.
pub(super) struct Model {
    pub(super) graph: Graph,
    tensors: Vec<(u32, Rc<[f32]>)>,
}

/// Adds weights while a graph is written.
#[derive(Default)]
struct Tensors(Vec<(u32, Rc<[f32]>)>);

impl Tensors {
    fn tensor(&mut self, rows: u32, row_len: u32) -> usize {
        // The fraction of multiples of the golden ratio: spread evenly, never twice the same.
        let seed = self.0.len() as f64 * 0.37;
        let value = |i: u32| ((f64::from(i) + seed) * 0.618_033_988_749_895).fract() as f32 - 0.5;
        self.0.push((row_len, (0..rows * row_len).map(value).collect()));
        self.0.len() - 1
    }
    fn rows<'g>(&self, g: &'g Builder, name: &str, source: Source) -> Tensor<'g> {
        let row_len = self.0[source.tensor].0;
        let fact = Fact::new(DType::Block(Encoding::F32), [Dim::Fixed(source.count()), Dim::Fixed(row_len)]);
        g.weight(Weight { name: name.into(), fact, sources: vec![source] })
    }
    fn matrix<'g>(&mut self, g: &'g Builder, name: &str, rows: u32, row_len: u32) -> Tensor<'g> {
        let tensor = self.tensor(rows, row_len);
        self.rows(g, name, Source::rows(tensor, 0, rows))
    }
    fn vector<'g>(&mut self, g: &'g Builder, name: &str, len: u32, plus: f32) -> Tensor<'g> {
        let source = Source { plus, ..Source::rows(self.tensor(len, 1), 0, len) };
        g.weight(Weight { name: name.into(), fact: Fact::new(DType::F32, [Dim::Fixed(len)]), sources: vec![source] })
    }
    fn linear<'g>(&mut self, g: &'g Builder, name: &str, x: Tensor<'g>, out: u32, bias: bool) -> Tensor<'g> {
        let weight = self.matrix(g, &format!("{name}.weight"), out, x.width());
        let bias = bias.then(|| self.vector(g, &format!("{name}.bias"), out, 0.0));
        // "blk.0.attn_q" makes "q".
        x.linear(name.rsplit(['.', '_']).next().unwrap_or(name), weight, bias)
    }
    fn done(self, g: Builder) -> Model {
        let graph = g.finish().unwrap();
        crate::ir::verify(&graph).unwrap();
        Model { graph, tensors: self.0 }
    }
}

impl Model {
    fn weight(&self, graph: &Graph, id: WeightId) -> Rc<[f32]> {
        let mut values = Vec::new();
        for source in &graph.weights[id.0 as usize].sources {
            let (row_len, tensor) = &self.tensors[source.tensor];
            for run in 0..source.runs {
                let (from, len) = ((source.first + run * source.step) * row_len, source.run * row_len);
                values.extend(tensor[from as usize..(from + len) as usize].iter().map(|v| v + source.plus));
            }
        }
        values.into()
    }
    /// All results of two steps: two sequences of different lengths at once, then a further token of one and a new one.
    pub(super) fn results(&self, graph: &Graph) -> Vec<f32> {
        self.results_of(
            graph,
            &[
                Step {
                    tokens: &[1, 5, 9, 2, 3],
                    positions: &[0, 1, 2, 0, 1],
                    sequences: &[4, 4, 4, 1, 1],
                    outputs: &[2, 4],
                    ..Step::default()
                },
                Step { tokens: &[7, 4], positions: &[3, 0], sequences: &[4, 2], outputs: &[1, 0], ..Step::default() },
            ],
        )
    }
    /// All results of some steps, one behind the other.
    pub(super) fn results_of(&self, graph: &Graph, steps: &[Step<'_>]) -> Vec<f32> {
        let weight = |id| Ok(self.weight(graph, id));
        let environment = Environment { weight: &weight, tensor: &|_| None };
        let mut states = States::default();
        let mut all = Vec::new();
        for step in steps {
            for (_, array) in evaluate(graph, &environment, &mut states, step).unwrap() {
                all.extend_from_slice(array.view().floats().unwrap());
            }
        }
        all
    }
}

/// How a decoder is built.
#[derive(Clone, Copy, Default)]
struct Decoder {
    head_norm: bool,
    qkv_bias: bool,
    post_norm: bool,
    gelu: bool,
    plus_one: bool,
    window: Option<u32>,
    soft_cap: Option<f32>,
    embed_scale: bool,
    tied: bool,
    fused: bool,
    interleaved: bool,
}

pub(super) fn llama() -> Model {
    decoder(Decoder::default())
}

pub(super) fn gemma() -> Model {
    decoder(Decoder {
        head_norm: true,
        post_norm: true,
        gelu: true,
        plus_one: true,
        window: Some(2),
        soft_cap: Some(5.0),
        embed_scale: true,
        tied: true,
        ..Decoder::default()
    })
}

pub(super) fn phi3() -> Model {
    decoder(Decoder { fused: true, ..Decoder::default() })
}

pub(super) fn all() -> Vec<(&'static str, Model)> {
    vec![
        ("llama", llama()),
        ("qwen2", decoder(Decoder { qkv_bias: true, tied: true, interleaved: true, ..Decoder::default() })),
        ("qwen3", decoder(Decoder { head_norm: true, ..Decoder::default() })),
        ("gemma", gemma()),
        ("phi3", phi3()),
        ("gpt2", gpt2()),
        ("bert", bert()),
    ]
}

const SPEC: Attention = Attention {
    heads: 2,
    kv_heads: 1,
    head_dim: 4,
    value_dim: 4,
    scale: 0.5,
    causal: true,
    window: None,
    soft_cap: None,
    alibi: None,
    sinks: false,
    reach: None,
};

fn decoder(d: Decoder) -> Model {
    let (g, mut t) = (Builder::new(), Tensors::default());
    let plus = if d.plus_one { 1.0 } else { 0.0 };
    let embedding = t.matrix(&g, "token_embd.weight", VOCAB, WIDTH);
    let mut x = g.op("embed", Op::Embed, &[embedding, g.input(Input::Tokens)]);
    if d.embed_scale {
        x = x.map(Unary::Scale((WIDTH as f32).sqrt()));
    }
    let pairing = if d.interleaved { Pairing::Interleaved } else { Pairing::Halves };
    let rotation = g.rotation(Rotation { dims: 4, base: 10000.0, scaling: Scaling::None });
    let rope = Rope { rotation, head_dim: 4, dims: 4, pairing };
    macro_rules! norm {
        ($name:expr, $short:expr, $x:expr, $group:expr) => {{
            let weight = t.vector(&g, &format!("{}.weight", $name), $group, plus);
            $x.op($short, Op::RmsNorm { eps: 1e-5, group: $group }, &[weight])
        }};
    }
    for l in 0..2 {
        g.set_label(format!("blk.{l}"));
        let name = |part: &str| format!("blk.{l}.{part}");
        let h = norm!(name("attn_norm"), "attn_norm", x, WIDTH);
        let [q, k, v] = if d.fused {
            let qkv = t.tensor(16, WIDTH);
            [("attn_q", 0, 8), ("attn_k", 8, 4), ("attn_v", 12, 4)].map(|(part, first, rows)| {
                let weight = t.rows(&g, &format!("{}.weight", name(part)), Source::rows(qkv, first, rows));
                h.linear(part, weight, None)
            })
        } else {
            [("attn_q", 8), ("attn_k", 4), ("attn_v", 4)].map(|(part, n)| t.linear(&g, &name(part), h, n, d.qkv_bias))
        };
        let [q, k] = match d.head_norm {
            true => [norm!(name("attn_q_norm"), "q_norm", q, 4), norm!(name("attn_k_norm"), "k_norm", k, 4)],
            false => [q, k],
        };
        let state = |part: &str| g.state(State { name: name(part).into(), width: 4, window: d.window, carried: false });
        let (q, k, keys, values) = (q.rope(rope), k.rope(rope), state("k"), state("v"));
        let spec = Attention { window: d.window, soft_cap: d.soft_cap, ..SPEC };
        let y = q.attention(spec, k.remember(keys), v.remember(values), None, None);
        let mut y = t.linear(&g, &name("attn_output"), y, WIDTH, false);
        if d.post_norm {
            y = norm!(name("post_attention_norm"), "post_attn_norm", y, WIDTH);
        }
        x += y;
        let h = norm!(name("ffn_norm"), "ffn_norm", x, WIDTH);
        let [gate, up] = if d.fused {
            let both = t.linear(&g, &name("ffn_up"), h, 2 * INNER, false);
            [both.columns(0, INNER), both.columns(INNER, INNER)]
        } else {
            ["ffn_gate", "ffn_up"].map(|part| t.linear(&g, &name(part), h, INNER, false))
        };
        let act = if d.gelu { Unary::GeluTanh } else { Unary::Silu };
        let mut y = t.linear(&g, &name("ffn_down"), gate.map(act) * up, WIDTH, false);
        if d.post_norm {
            y = norm!(name("post_ffw_norm"), "post_ffn_norm", y, WIDTH);
        }
        x += y;
    }
    g.set_label("");
    let x = norm!("output_norm", "output_norm", x.wanted_rows(), WIDTH);
    let mut logits = match d.tied {
        true => x.linear("logits", embedding, None),
        false => t.linear(&g, "output", x, VOCAB, false),
    };
    if let Some(cap) = d.soft_cap {
        logits = logits.map(Unary::SoftCap(cap));
    }
    g.output("logits", logits);
    t.done(g)
}

/// Learned positions, layer norms with biases, biases everywhere, no rotation.
fn gpt2() -> Model {
    let (g, mut t) = (Builder::new(), Tensors::default());
    let embedding = t.matrix(&g, "token_embd.weight", VOCAB, WIDTH);
    let places = t.matrix(&g, "position_embd.weight", 6, WIDTH);
    let mut x = g.op("embed", Op::Embed, &[embedding, g.input(Input::Tokens)])
        + g.op("places", Op::Embed, &[places, g.input(Input::Positions)]);
    let norm = |t: &mut Tensors, name: &str| [t.vector(&g, name, WIDTH, 1.0), t.vector(&g, name, WIDTH, 0.0)];
    for l in 0..2 {
        g.set_label(format!("h.{l}"));
        let h = x.op("ln_1", Op::LayerNorm { eps: 1e-5 }, &norm(&mut t, "ln_1"));
        let [q, k, v] = ["q", "k", "v"].map(|part| t.linear(&g, part, h, WIDTH, true));
        let state = |part: &str| {
            g.state(State { name: format!("h.{l}.{part}").into(), width: WIDTH, window: None, carried: false })
        };
        let (keys, values) = (state("k"), state("v"));
        let y = q.attention(Attention { kv_heads: 2, ..SPEC }, k.remember(keys), v.remember(values), None, None);
        x += t.linear(&g, "c_proj", y, WIDTH, true);
        let h = x.op("ln_2", Op::LayerNorm { eps: 1e-5 }, &norm(&mut t, "ln_2"));
        let h = t.linear(&g, "c_fc", h, INNER, true).map(Unary::GeluTanh);
        x += t.linear(&g, "c_proj", h, WIDTH, true);
    }
    g.output("logits", x.wanted_rows().linear("logits", embedding, None));
    t.done(g)
}

/// An encoder: both ways, over rows of the step, norms after the sums.
fn bert() -> Model {
    let (g, mut t) = (Builder::new(), Tensors::default());
    let embedding = t.matrix(&g, "token_embd.weight", VOCAB, WIDTH);
    let kind = t.vector(&g, "token_types", WIDTH, 0.0);
    let mut x = g.op("embed", Op::Embed, &[embedding, g.input(Input::Tokens)]) + kind;
    let norm = |t: &mut Tensors, name: &str| [t.vector(&g, name, WIDTH, 1.0), t.vector(&g, name, WIDTH, 0.0)];
    for l in 0..2 {
        g.set_label(format!("layer.{l}"));
        let [q, k, v] = ["q", "k", "v"].map(|part| t.linear(&g, part, x, WIDTH, true));
        let spec = Attention { kv_heads: 2, causal: false, window: (l == 1).then_some(2), ..SPEC };
        let y = t.linear(&g, "o", q.attention(spec, k, v, None, None), WIDTH, true);
        x = (y + x).op("norm_1", Op::LayerNorm { eps: 1e-12 }, &norm(&mut t, "norm_1"));
        let h = t.linear(&g, "up", x, INNER, true).map(Unary::Gelu);
        let y = t.linear(&g, "down", h, WIDTH, true);
        x = (y + x).op("norm_2", Op::LayerNorm { eps: 1e-12 }, &norm(&mut t, "norm_2"));
    }
    g.output("hidden", x);
    t.done(g)
}

/// Norms and activations as PyTorch's exporter spells them, on rows of the embedding.
pub(super) fn exported() -> Model {
    let (g, mut t) = (Builder::new(), Tensors::default());
    let embedding = t.matrix(&g, "embedding", VOCAB, WIDTH);
    let mut x = g.op("embed", Op::Embed, &[embedding, g.input(Input::Tokens)]);
    let number = |n: f32| g.constant(Constant { fact: Fact::new(DType::F32, []), values: [n].into() });
    let (two, eps) = (number(2.0), number(1e-5));
    // LayerNorm: x / sqrt(..), powers instead of products.
    let centred = x.with(Binary::Sub, x.op("mean", Op::Reduce(Reduction::Mean), &[]));
    let variance = centred.with(Binary::Pow, two).op("mean", Op::Reduce(Reduction::Mean), &[]);
    let normed = centred.with(Binary::Div, (variance + eps).map(Unary::Sqrt));
    x = t.vector(&g, "weight", WIDTH, 1.0) * normed + t.vector(&g, "bias", WIDTH, 0.0);
    // Linear: a product with a turned weight, the bias first in the sum.
    let weight = t.matrix(&g, "w", INNER, WIDTH).op("cast", Op::Cast(DType::F32), &[]);
    let weight = weight.op("turned", Op::Transpose(vec![1, 0]), &[]);
    x = t.vector(&g, "bias", INNER, 0.0) + x.op("product", Op::MatMul { transposed: false }, &[weight]);
    // GELU: a division, the half first.
    let part = x.with(Binary::Div, number(std::f32::consts::SQRT_2)).map(Unary::Erf) + number(1.0);
    x = (x * number(0.5)) * part;
    x = t.linear(&g, "linear", x, WIDTH, false);
    // GELU by tanh: a cube as a power.
    let inner = x + number(0.044715) * x.with(Binary::Pow, number(3.0));
    let part = (inner * number(0.797_884_6)).map(Unary::Tanh) + number(1.0);
    x = (number(0.5) * x) * part;
    // RmsNorm: one divided by the root.
    let square = x.with(Binary::Pow, two).op("mean", Op::Reduce(Reduction::Mean), &[]);
    let scale = number(1.0).with(Binary::Div, (square + eps).map(Unary::Sqrt));
    x = t.vector(&g, "weight", WIDTH, 1.0) * (x * scale);
    x = x.map(Unary::Sigmoid) * x;
    g.output("y", x);
    t.done(g)
}

impl Model {
    /// A graph over an embedding `[VOCAB, width]`, three matrices `[width, width]` and a vector of `width`, in this order.
    pub(super) fn of(width: u32, write: impl for<'g> FnOnce(&'g Builder, &[Tensor<'g>])) -> Self {
        let (g, mut t) = (Builder::new(), Tensors::default());
        let mut weights = vec![t.matrix(&g, "embedding", VOCAB, width)];
        weights.extend((0..3).map(|i| t.matrix(&g, &format!("w{i}"), width, width)));
        weights.push(t.vector(&g, "v", width, 0.0));
        write(&g, &weights);
        t.done(g)
    }
}
