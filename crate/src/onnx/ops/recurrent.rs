//! RNN, GRU and LSTM.

use super::size;
use crate::{
    engine::device::cpu::Matrix,
    fault::Result,
    onnx::{
        run::{Call, Outputs, bad},
        value::{Tensor, Value, room},
    },
};

/// An activation with its parameters.
#[derive(Clone)]
struct Activation {
    name: String,
    alpha: f32,
    beta: f32,
}

impl Activation {
    fn apply(&self, x: f32) -> f32 {
        let (a, b) = (self.alpha, self.beta);
        match self.name.as_str() {
            "sigmoid" => 1.0 / (1.0 + (-x).exp()),
            "relu" => x.max(0.0),
            "affine" => a * x + b,
            "leakyrelu" => {
                if x < 0.0 {
                    a * x
                } else {
                    x
                }
            }
            "thresholdedrelu" => {
                if x > a {
                    x
                } else {
                    0.0
                }
            }
            "scaledtanh" => a * (b * x).tanh(),
            "hardsigmoid" => (a * x + b).clamp(0.0, 1.0),
            "elu" => {
                if x < 0.0 {
                    a * x.exp_m1()
                } else {
                    x
                }
            }
            "softsign" => x / (1.0 + x.abs()),
            "softplus" => x.exp().ln_1p(),
            _ => x.tanh(),
        }
    }
}

/// What the three kinds share.
struct Cell {
    batch: usize,
    len: usize,
    hidden: usize,
    input: usize,
    directions: usize,
    backward: Vec<bool>,
    lens: Vec<usize>,
    clip: Option<f32>,
    functions: Vec<Activation>,
    batch_first: bool,
}

fn activations(call: &Call<'_, '_>, defaults: &[&str], directions: usize) -> Result<Vec<Activation>> {
    let names: Vec<String> = match call.texts("activations")? {
        Some(list) => list.iter().map(|n| n.to_ascii_lowercase()).collect(),
        None => defaults.iter().cycle().take(defaults.len() * directions).map(|n| (*n).to_owned()).collect(),
    };
    if names.len() != defaults.len() * directions {
        return Err(bad(format!("{} activations expected, {} found", defaults.len() * directions, names.len())));
    }
    const KNOWN: &[(&str, f32, f32)] = &[
        ("sigmoid", 0.0, 0.0),
        ("tanh", 0.0, 0.0),
        ("relu", 0.0, 0.0),
        ("affine", 1.0, 0.0),
        ("leakyrelu", 0.01, 0.0),
        ("thresholdedrelu", 1.0, 0.0),
        ("scaledtanh", 1.0, 1.0),
        ("hardsigmoid", 0.2, 0.5),
        ("elu", 1.0, 0.0),
        ("softsign", 0.0, 0.0),
        ("softplus", 0.0, 0.0),
    ];
    let (alphas, betas) = (call.floats("activation_alpha")?, call.floats("activation_beta")?);
    let (mut a, mut b) = (alphas.iter().flat_map(|v| v.iter()), betas.iter().flat_map(|v| v.iter()));
    names
        .into_iter()
        .map(|name| {
            let Some((_, alpha, beta)) = KNOWN.iter().find(|(n, ..)| *n == name) else {
                return Err(bad(format!("the activation {name} is not defined by ONNX")));
            };
            // Parameters are listed for the activations that have them, in order.
            let alpha = if *alpha != 0.0 { a.next().copied().unwrap_or(*alpha) } else { *alpha };
            let two = matches!(name.as_str(), "affine" | "scaledtanh" | "hardsigmoid");
            let beta = if two { b.next().copied().unwrap_or(*beta) } else { *beta };
            Ok(Activation { name, alpha, beta })
        })
        .collect()
}

impl Cell {
    fn of(call: &Call<'_, '_>, x: &Tensor, gates: usize, defaults: &[&str], lens_at: usize) -> Result<Self> {
        let batch_first = call.int("layout", 0)? == 1;
        let [a, b, input] = x.dims()[..] else { return Err(bad(format!("3 dimensions expected, {} found", x.told()))) };
        let (len, batch) = if batch_first { (b, a) } else { (a, b) };
        let backward = match call.text("direction", "forward")?.as_str() {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => {
                return Err(bad(format!("the direction forward, reverse or bidirectional expected, {other:?} found")));
            }
        };
        let directions = backward.len();
        let r = call.tensor(2)?;
        let hidden = match call.int_opt("hidden_size")? {
            Some(n) => size(n)?,
            None => r.dims().last().copied().unwrap_or(0),
        };
        let w = call.tensor(1)?;
        if hidden > 1 << 30 {
            return Err(bad(format!("{hidden} states; at most 2^30 are taken")));
        }
        if w.dims() != [directions, gates * hidden, input] || r.dims() != [directions, gates * hidden, hidden] {
            return Err(bad(format!("weights {} and {} for {} and {hidden} states", w.told(), r.told(), x.told())));
        }
        if let Some(b) = call.optional(3)?
            && b.dims() != [directions, 2 * gates * hidden]
        {
            return Err(bad(format!("biases [{directions}, {}] expected, {} found", 2 * gates * hidden, b.told())));
        }
        let lens = match call.optional(lens_at)? {
            Some(t) => super::sizes(&t.to_i64s()?)?,
            None => vec![len; batch],
        };
        if lens.len() != batch || lens.iter().any(|n| *n > len) {
            return Err(bad(format!("lengths {lens:?} of {batch} sequences of {len}")));
        }
        let functions = activations(call, defaults, directions)?;
        Ok(Self {
            batch,
            len,
            hidden,
            input,
            directions,
            backward,
            lens,
            clip: call.float_opt("clip")?,
            functions,
            batch_first,
        })
    }
    fn clipped(&self, x: f32) -> f32 {
        self.clip.map_or(x, |c| x.clamp(-c, c))
    }
    /// States of all directions as [direction][batch * hidden].
    fn states(&self, t: Option<Tensor>) -> Result<Vec<Vec<f32>>> {
        let each = self.batch * self.hidden;
        let Some(t) = t else { return Ok(vec![vec![0.0; each]; self.directions]) };
        if t.len() != each * self.directions {
            return Err(bad(format!(
                "states of {} directions, {} sequences, {} values expected, {} found",
                self.directions,
                self.batch,
                self.hidden,
                t.told()
            )));
        }
        let t = if self.batch_first { t.permuted(&[1, 0, 2])? } else { t };
        Ok(t.to_f32s()?
            .chunks(each.max(1))
            .map(<[f32]>::to_vec)
            .chain(std::iter::repeat_n(Vec::new(), if each == 0 { self.directions } else { 0 }))
            .collect())
    }
    /// The step that sequence `b` takes as its `t`-th in a direction.
    fn step(&self, backward: bool, t: usize, b: usize) -> usize {
        if backward { self.lens[b] - 1 - t } else { t }
    }
    /// Input times weights plus biases for every step: [len * batch][gates * hidden].
    fn projected(&self, call: &mut Call<'_, '_>, x: &[f32], d: usize, gates: usize) -> Result<Vec<f32>> {
        let (rows, wide) = (self.len * self.batch, gates * self.hidden);
        let w = call.tensor(1)?.to_f32s()?;
        let total = room(&[rows, wide], 4)?;
        call.spend(total.saturating_mul(self.input + self.hidden))?;
        let mut out = vec![0.0; total];
        if total > 0 && self.input > 0 {
            let weights = &w[d * wide * self.input..][..wide * self.input];
            call.run.product().multiply(
                Matrix::rows(x, rows, self.input),
                Matrix::columns(weights, self.input, wide),
                &mut out,
            );
        }
        if let Some(b) = call.optional(3)? {
            let b = b.to_f32s()?;
            let bias = &b[d * 2 * wide..][..wide];
            for row in out.chunks_mut(wide.max(1)) {
                row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
        }
        Ok(out)
    }
    /// The outputs Y, Y_h and more final states.
    fn outputs(&self, x: &Tensor, y: Vec<f32>, finals: &[Vec<Vec<f32>>]) -> Outputs {
        let (l, d, b, h) = (self.len, self.directions, self.batch, self.hidden);
        let y = super::norm::like(x, &[l, d, b, h], y)?;
        let y = if self.batch_first { y.permuted(&[2, 0, 1, 3])? } else { y };
        let mut out = vec![Value::Tensor(y)];
        for states in finals {
            let t = super::norm::like(x, &[d, b, h], states.concat())?;
            out.push(Value::Tensor(if self.batch_first { t.permuted(&[1, 0, 2])? } else { t }));
        }
        Ok(out)
    }
}

/// `h * R^T` for all sequences.
fn recurrent(call: &mut Call<'_, '_>, h: &[f32], r: &[f32], batch: usize, hidden: usize, wide: usize, out: &mut [f32]) {
    if hidden > 0 && batch > 0 && wide > 0 {
        call.run.product().multiply(Matrix::rows(h, batch, hidden), Matrix::columns(r, hidden, wide), out);
    }
}

fn time_major(x: &Tensor, cell: &Cell) -> Result<Vec<f32>> {
    if cell.batch_first { x.permuted(&[1, 0, 2])?.to_f32s() } else { x.to_f32s() }
}

/// Runs a cell: `step(direction, gates of the input, gates of the state, state, rest)` makes the new state of one sequence.
fn run(
    call: &mut Call<'_, '_>,
    x: &Tensor,
    cell: &Cell,
    gates: usize,
    mut states: Vec<Vec<f32>>,
    mut step: impl FnMut(&mut Call<'_, '_>, usize, usize, &[f32], &[f32], &mut [f32]) -> Result<()>,
) -> Result<(Vec<f32>, Vec<Vec<f32>>)> {
    let (hidden, batch, wide) = (cell.hidden, cell.batch, gates * cell.hidden);
    let xv = time_major(x, cell)?;
    let r = call.tensor(2)?.to_f32s()?;
    let rb = call.optional(3)?.map(|b| b.to_f32s()).transpose()?;
    let mut y = vec![0.0; room(&[cell.len, cell.directions, batch, hidden], 4)?];
    let mut of_state = vec![0.0; batch * wide];
    for d in 0..cell.directions {
        let input = cell.projected(call, &xv, d, gates)?;
        let weights = &r[d * wide * hidden..][..wide * hidden];
        for t in 0..cell.len {
            recurrent(call, &states[d], weights, batch, hidden, wide, &mut of_state);
            if let Some(b) = &rb {
                let bias = &b[d * 2 * wide + wide..][..wide];
                for row in of_state.chunks_mut(wide.max(1)) {
                    row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
                }
            }
            for b in 0..batch {
                if t >= cell.lens[b] {
                    continue;
                }
                let s = cell.step(cell.backward[d], t, b);
                let row = &input[(s * batch + b) * wide..][..wide];
                let state = &mut states[d][b * hidden..(b + 1) * hidden];
                step(call, d, b, row, &of_state[b * wide..(b + 1) * wide], state)?;
                y[((s * cell.directions + d) * batch + b) * hidden..][..hidden].copy_from_slice(state);
            }
        }
    }
    Ok((y, states))
}

pub(in crate::onnx) fn rnn(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let cell = Cell::of(call, &x, 1, &["tanh"], 4)?;
    let states = cell.states(call.optional(5)?)?;
    let (y, h) = run(call, &x, &cell, 1, states, |_, d, _, i, r, state| {
        for (k, s) in state.iter_mut().enumerate() {
            *s = cell.functions[d].apply(cell.clipped(i[k] + r[k]));
        }
        Ok(())
    })?;
    cell.outputs(&x, y, &[h])
}

pub(in crate::onnx) fn gru(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let cell = Cell::of(call, &x, 3, &["sigmoid", "tanh"], 4)?;
    let after = call.flag("linear_before_reset", false)?;
    let states = cell.states(call.optional(5)?)?;
    let r = call.tensor(2)?.to_f32s()?;
    let rb = call.optional(3)?.map(|b| b.to_f32s()).transpose()?;
    let h = cell.hidden;
    let mut candidate = vec![0.0; h];
    let mut gated = vec![0.0; h];
    let (y, last) = run(call, &x, &cell, 3, states, |call, d, _, i, s, state| {
        let (f, g) = (&cell.functions[2 * d], &cell.functions[2 * d + 1]);
        let reset: Vec<f32> = (0..h).map(|k| f.apply(cell.clipped(i[h + k] + s[h + k]))).collect();
        if after {
            (0..h).for_each(|k| candidate[k] = reset[k] * s[2 * h + k]);
        } else {
            (0..h).for_each(|k| gated[k] = reset[k] * state[k]);
            let weights = &r[(d * 3 + 2) * h * h..][..h * h];
            recurrent(call, &gated, weights, 1, h, h, &mut candidate);
            if let Some(b) = &rb {
                let bias = &b[d * 6 * h + 5 * h..][..h];
                candidate.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
        }
        for k in 0..h {
            let z = f.apply(cell.clipped(i[k] + s[k]));
            let n = g.apply(cell.clipped(i[2 * h + k] + candidate[k]));
            state[k] = (1.0 - z) * n + z * state[k];
        }
        Ok(())
    })?;
    cell.outputs(&x, y, &[last])
}

pub(in crate::onnx) fn lstm(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let cell = Cell::of(call, &x, 4, &["sigmoid", "tanh", "tanh"], 4)?;
    let couple = call.flag("input_forget", false)?;
    let states = cell.states(call.optional(5)?)?;
    let mut memory = cell.states(call.optional(6)?)?;
    let h = cell.hidden;
    let peep = call.optional(7)?.map(|p| p.to_f32s()).transpose()?;
    if peep.as_ref().is_some_and(|p| p.len() != cell.directions * 3 * h) {
        return Err(bad("peepholes of three gates for each state expected"));
    }
    let (y, last) = run(call, &x, &cell, 4, states, |_, d, b, i, s, state| {
        let [f, g, o] = [0, 1, 2].map(|k| &cell.functions[3 * d + k]);
        let memory = &mut memory[d][b * h..(b + 1) * h];
        let p = |gate: usize, k: usize| peep.as_ref().map_or(0.0, |p| p[(d * 3 + gate) * h + k]);
        for k in 0..h {
            let c = memory[k];
            let input = f.apply(cell.clipped(i[k] + s[k] + p(0, k) * c));
            let forget =
                if couple { 1.0 - input } else { f.apply(cell.clipped(i[2 * h + k] + s[2 * h + k] + p(2, k) * c)) };
            let new = g.apply(cell.clipped(i[3 * h + k] + s[3 * h + k]));
            let c = forget * c + input * new;
            let output = f.apply(cell.clipped(i[h + k] + s[h + k] + p(1, k) * c));
            memory[k] = c;
            state[k] = output * o.apply(c);
        }
        Ok(())
    })?;
    cell.outputs(&x, y, &[last, memory])
}
