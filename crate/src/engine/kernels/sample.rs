//! The next token of each output.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases, F32},
    params, within,
};
use crate::{
    engine::{
        program::{Operand, Step, sampling},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "sample", source: part!("kernels/sample"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    vocab: u32,
    sequences: u32,
    logits_offset: u32,
    logits_stride: u32,
    ids_offset: u32,
    likely_ids_offset: u32,
    likely_ids_stride: u32,
    likely_offset: u32,
    likely_stride: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let program = with.program;
    let (Op::Sample { alternatives }, Some(settings)) = (&step.op, program.sampling) else { return Ok(None) };
    let (Some(logits), Some(ids)) = (with.view(step.inputs.first()), with.view(step.outputs.first())) else {
        return Ok(None);
    };
    let (Some(likely_ids), Some(likely)) = (with.view(step.outputs.get(1)), with.view(step.outputs.get(2))) else {
        return Ok(None);
    };
    let rows_agree = [ids.rows, likely_ids.rows, likely.rows].iter().all(|rows| *rows == logits.rows);
    let widths = [ids.width, likely_ids.width, likely.width];
    if !rows_agree || logits.width == 0 || widths != [1, *alternatives, 1 + alternatives] {
        return Ok(None);
    }
    if *alternatives != sampling::MAX_ALTERNATIVES {
        return Ok(None);
    }
    let (vocab, sequences) = (logits.width, program.layout.sequences);
    let params = Params {
        count_at: ids.rows.at,
        max_rows: ids.rows.most,
        vocab,
        sequences,
        logits_offset: logits.offset,
        logits_stride: logits.stride,
        ids_offset: ids.offset,
        likely_ids_offset: likely_ids.offset,
        likely_ids_stride: likely_ids.stride,
        likely_offset: likely.offset,
        likely_stride: likely.stride,
    };
    let mut binds = vec![
        with.batch(),
        Bind { name: "sampling", buffer: settings, needs: Needs::Any },
        logits.bind("logits"),
        ids.bind("ids"),
        likely_ids.bind("likely_ids"),
        likely.bind("likely"),
    ];
    if let Some(counts) = program.counts {
        let words = u64::from(sequences) * u64::from(vocab);
        binds.push(Bind { name: "counts", buffer: counts, needs: Needs::Words(words) });
    }
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).flag("atomic_batch", true).flag("counts", program.counts.is_some()),
        grid: within([ids.rows.most, 1, 1])?,
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    [false, true].map(|c| Variant::of(KERNEL.source).flag("atomic_batch", true).flag("counts", c)).to_vec()
}

/// Settings of one sequence.
#[derive(Clone, Copy, Debug)]
struct How {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    seed: u64,
    penalties: [f32; 3],
    alternatives: u32,
}

impl How {
    const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed: 0,
        penalties: [1.0, 0.0, 0.0],
        alternatives: 0,
    };

    fn words(self) -> [u32; sampling::WORDS] {
        let mut words = [0; sampling::WORDS];
        words[sampling::TEMPERATURE] = self.temperature.to_bits();
        words[sampling::TOP_K] = self.top_k;
        words[sampling::TOP_P] = self.top_p.to_bits();
        words[sampling::MIN_P] = self.min_p.to_bits();
        words[sampling::SEED_LOW] = self.seed as u32;
        words[sampling::SEED_HIGH] = (self.seed >> 32) as u32;
        words[sampling::ALTERNATIVES] = self.alternatives;
        for (at, value) in
            [sampling::REPETITION, sampling::PRESENCE, sampling::FREQUENCY].into_iter().zip(self.penalties)
        {
            words[at] = value.to_bits();
        }
        words
    }
}

fn cases(all: &mut Cases) {
    greedy(all);
    let base = How { temperature: 0.8, top_k: 40, seed: 0x1234_5678_9abc_def0, ..How::GREEDY };
    let penalties = [1.3, 0.2, 0.1];
    for vocab in [2, 31, 257, 5000] {
        for (i, how) in [
            base,
            How { top_k: 1, ..base },
            How { top_k: 256, temperature: 1.7, ..base },
            How { top_k: 257, temperature: 1.7, ..base },
            How { top_k: 0, ..base },
            How { top_k: 0, top_p: 0.9, min_p: 0.02, temperature: 1.3, ..base },
            How { top_k: 1000, top_p: 0.73, penalties, ..base },
            How { top_p: 0.59, ..base },
            How { min_p: 0.2, ..base },
            How { top_p: 0.9, min_p: 0.05, seed: 7, top_k: 100, ..base },
            How { penalties, ..base },
            How { penalties, ..How::GREEDY },
        ]
        .into_iter()
        .enumerate()
        {
            for ties in [false, true] {
                // Three sequences draw at different positions.
                let mut case = Case::new(format!("vocab={vocab} settings {i} ties={ties}"), 9, 1);
                case.sequences(100, 1, &[(3, 2), (70, 4), (0, 1)]).outputs(4, &[1, 5, 6]).exact();
                case.quick(vocab == 257 && !ties);
                let settings = [how.words(), How { seed: how.seed + 1, ..how }.words(), how.words()];
                case.choosing(vocab, &settings, how.penalties[0] != 1.0);
                let logits = case
                    .mapped(Dim::Outputs, vocab, 0, vocab, |_, v| if ties { (v * 2.0).round() * 2.0 } else { v * 6.0 });
                choice(all, case, logits);
            }
        }
    }
    alternatives(all, base);
}

/// Adds a case: what is chosen and told goes to new buffers.
fn choice(all: &mut Cases, mut case: Case, logits: Operand) {
    let n = sampling::MAX_ALTERNATIVES;
    let outputs = [case.ids(Dim::Outputs, &[]), case.id_rows(Dim::Outputs, n), case.blank(Dim::Outputs, 1 + n)];
    all.step_into("sample", case, Op::Sample { alternatives: n }, &[logits], &outputs);
}

/// Probabilities are sums in f32; the ids stay exact.
fn alternatives(all: &mut Cases, base: How) {
    for vocab in [7, 257, 5000] {
        for (i, how) in [
            How { alternatives: 5, ..How::GREEDY },
            How { alternatives: 20, ..base },
            How { alternatives: 1, top_k: 0, ..base },
            How { alternatives: 20, penalties: [1.3, 0.2, 0.1], ..base },
        ]
        .into_iter()
        .enumerate()
        {
            let mut case = Case::new(format!("alternatives vocab={vocab} settings {i}"), 9, 1);
            case.sequences(100, 1, &[(3, 2), (70, 4), (0, 1)]).outputs(4, &[1, 5, 6]).tolerance(F32);
            case.quick(vocab == 257);
            // The second sequence asks for none.
            let settings = [how.words(), How { alternatives: 0, ..how }.words(), how.words()];
            case.choosing(vocab, &settings, how.penalties[0] != 1.0);
            let logits = case.mapped(Dim::Outputs, vocab, 0, vocab, |_, v| v * 6.0);
            choice(all, case, logits);
        }
    }
}

fn greedy(all: &mut Cases) {
    type Change = fn(usize, usize, f32) -> f32;
    let changes: [(&str, Change); 4] = [
        ("plain", |_, _, v| v),
        ("ties", |_, _, v| (v * 2.0).round()),
        ("with infinities and NaNs", |i, n, v| match i {
            0 => f32::INFINITY,
            _ if i == n / 2 => f32::NAN,
            _ if i + 1 == n => f32::NEG_INFINITY,
            _ => v,
        }),
        ("all alike", |_, _, _| -3.0),
    ];
    for vocab in [1, 31, 257, 5000] {
        for (what, change) in changes {
            let mut case = Case::new(format!("greedy vocab={vocab} {what}"), 1, 1);
            case.exact().quick(vocab == 257);
            case.choosing(vocab, &[How::GREEDY.words()], false);
            let logits = case.mapped(Dim::Outputs, vocab, 0, vocab, |i, v| change(i, vocab as usize, v));
            choice(all, case, logits);
        }
    }
}
