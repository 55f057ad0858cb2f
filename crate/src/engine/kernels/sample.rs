//! The next token of each output.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases},
    params, within,
};
use crate::{
    engine::{
        program::{Step, sampling},
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
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let program = with.program;
    let (Op::Sample, Some(settings)) = (&step.op, program.sampling) else { return Ok(None) };
    let (Some(logits), Some(ids)) = (with.view(step.inputs.first()), with.view(step.outputs.first())) else {
        return Ok(None);
    };
    if logits.rows != ids.rows || ids.width != 1 || logits.width == 0 || logits.buffer == ids.buffer {
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
    };
    let mut binds = vec![
        with.batch(),
        Bind { name: "sampling", buffer: settings, needs: Needs::Any },
        logits.bind("logits"),
        ids.bind("ids"),
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
}

impl How {
    const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0, penalties: [1.0, 0.0, 0.0] };

    fn words(self) -> [u32; sampling::WORDS] {
        let mut words = [0; sampling::WORDS];
        words[sampling::TEMPERATURE] = self.temperature.to_bits();
        words[sampling::TOP_K] = self.top_k;
        words[sampling::TOP_P] = self.top_p.to_bits();
        words[sampling::MIN_P] = self.min_p.to_bits();
        words[sampling::SEED_LOW] = self.seed as u32;
        words[sampling::SEED_HIGH] = (self.seed >> 32) as u32;
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
                let ids = case.ids(Dim::Outputs, &[]);
                all.step_into("sample", case, Op::Sample, &[logits], &[ids]);
            }
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
            let ids = case.ids(Dim::Outputs, &[]);
            all.step_into("sample", case, Op::Sample, &[logits], &[ids]);
        }
    }
}
