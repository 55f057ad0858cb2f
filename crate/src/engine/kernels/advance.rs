//! The chosen ids as the next step's tokens.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases},
    params,
};
use crate::{
    engine::{
        program::{Operand, RING, Step, record_words, sampling},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "advance", source: part!("kernels/advance"), params: Params::FIELDS, takes, variants, cases };

params!(Params {
    count_at: u32,
    max_rows: u32,
    sequences: u32,
    vocab: u32,
    ids_offset: u32,
    likely_ids_offset: u32,
    likely_ids_stride: u32,
    likely_offset: u32,
    likely_stride: u32,
    alternatives: u32,
    records: u32,
});

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let program = with.program;
    let (Op::Advance, Some(ring)) = (&step.op, program.ring) else { return Ok(None) };
    let Some(ids) = with.view(step.inputs.first()) else { return Ok(None) };
    let (Some(likely_ids), Some(likely)) = (with.view(step.inputs.get(1)), with.view(step.inputs.get(2))) else {
        return Ok(None);
    };
    if (likely_ids.width, likely.width) != (sampling::MAX_ALTERNATIVES, 1 + sampling::MAX_ALTERNATIVES) {
        return Ok(None);
    }
    let sequences = program.layout.sequences;
    let params = Params {
        count_at: ids.rows.at,
        max_rows: ids.rows.most.min(sequences),
        sequences,
        vocab: program.vocab,
        ids_offset: ids.offset,
        likely_ids_offset: likely_ids.offset,
        likely_ids_stride: likely_ids.stride,
        likely_offset: likely.offset,
        likely_stride: likely.stride,
        alternatives: sampling::MAX_ALTERNATIVES,
        records: RING,
    };
    let words = u64::from(RING) * u64::from(record_words(sequences));
    let mut binds = vec![
        with.batch(),
        ids.bind("ids"),
        likely_ids.bind("likely_ids"),
        likely.bind("likely"),
        Bind { name: "ring", buffer: ring, needs: Needs::Words(words) },
    ];
    if let Some(counts) = program.counts {
        binds.push(Bind { name: "counts", buffer: counts, needs: Needs::Any });
    }
    Ok(Some(vec![Dispatch {
        variant: Variant::of(KERNEL.source).flag("counts", program.counts.is_some()),
        grid: [1, 1, 1],
        params: bytes_of(&params).to_vec(),
        binds,
    }]))
}

fn variants() -> Vec<Variant> {
    [false, true].map(|c| Variant::of(KERNEL.source).flag("counts", c)).to_vec()
}

fn cases(all: &mut Cases) {
    let settings = [[0; sampling::WORDS]; 3];
    for penalties in [false, true] {
        let mut case = Case::new(format!("one row penalties={penalties}"), 1, 1);
        case.exact().quick(true);
        case.choosing(50, &settings[..1], penalties);
        let choice = chosen(&mut case, &[17], |_| 0.25);
        all.step_into("advance", case, Op::Advance, &choice, &[]);
        let mut case = Case::new(format!("three sequences penalties={penalties}"), 12, 1);
        case.sequences(100, 1, &[(3, 2), (70, 4), (0, 1)]).outputs(4, &[1, 5, 6]).exact().quick(true);
        case.choosing(50, &settings, penalties);
        // The second tells no probabilities.
        let choice = chosen(&mut case, &[49, 0, 3], |m| if m == 1 { -1.0 } else { 0.5 });
        all.step_into("advance", case, Op::Advance, &choice, &[]);
    }
}

/// Ids, and what is told of them: the first probability of each is `probability`.
fn chosen(case: &mut Case, ids: &[u32], probability: impl Fn(usize) -> f32) -> [Operand; 3] {
    let n = sampling::MAX_ALTERNATIVES;
    let width = 1 + n;
    let first = |i: usize, v: f32| if i % width as usize == 0 { probability(i / width as usize) } else { v };
    [case.ids(Dim::Outputs, ids), case.id_rows(Dim::Outputs, n), case.mapped(Dim::Outputs, width, 0, width, first)]
}
