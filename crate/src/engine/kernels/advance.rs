//! The chosen ids as the next step's tokens.

use bytemuck::bytes_of;

use super::{
    Bind, Dispatch, Kernel, Lowering, Needs,
    case::{Case, Cases},
    params,
};
use crate::{
    engine::{
        program::{RING, Step, sampling},
        shader::{Variant, part},
    },
    fault::Result,
    ir::{Dim, Op},
};

pub(super) static KERNEL: Kernel =
    Kernel { name: "advance", source: part!("kernels/advance"), params: Params::FIELDS, takes, variants, cases };

params!(Params { count_at: u32, max_rows: u32, sequences: u32, vocab: u32, ids_offset: u32, records: u32 });

fn takes(step: &Step, with: &Lowering<'_>) -> Result<Option<Vec<Dispatch>>> {
    let program = with.program;
    let (Op::Advance, Some(ring)) = (&step.op, program.ring) else { return Ok(None) };
    let Some(ids) = with.view(step.inputs.first()) else { return Ok(None) };
    let sequences = program.layout.sequences;
    let params = Params {
        count_at: ids.rows.at,
        max_rows: ids.rows.most.min(sequences),
        sequences,
        vocab: program.vocab,
        ids_offset: ids.offset,
        records: RING,
    };
    let words = u64::from(RING) * u64::from(1 + sequences);
    let mut binds =
        vec![with.batch(), ids.bind("ids"), Bind { name: "ring", buffer: ring, needs: Needs::Words(words) }];
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
        let ids = case.ids(Dim::Outputs, &[17]);
        all.step_into("advance", case, Op::Advance, &[ids], &[]);
        let mut case = Case::new(format!("three sequences penalties={penalties}"), 12, 1);
        case.sequences(100, 1, &[(3, 2), (70, 4), (0, 1)]).outputs(4, &[1, 5, 6]).exact().quick(true);
        case.choosing(50, &settings, penalties);
        let ids = case.ids(Dim::Outputs, &[49, 0, 3]);
        all.step_into("advance", case, Op::Advance, &[ids], &[]);
    }
}
