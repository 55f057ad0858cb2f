//! Kernels on a GPU against their scalar twins: every kernel, encoding and awkward shape.
//!
//! A case fills a kernel's bindings, runs the step on the device and on
//! [`run_reference`](super::device::cpu::run_reference), and compares. Values the twin leaves alone
//! (rows beyond `count`, other parts of a split output, a tail behind the buffer's last row) must come back bit for bit.

mod cases;

use super::{
    device::{
        Device, Tier,
        cpu::{CpuBuffer, run_reference},
        gpu::{GpuDevice, pack},
    },
    kernel::KernelId,
    plan::{Plan, PlanId, Program, Slot, SlotKind, SlotSpec, Step, WeightLoad},
};
use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

pub use cases::{Case, cases};

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct OpResult {
    /// Kernel.
    pub kernel: KernelId,
    /// Encoding of its weights, where it has any.
    pub encoding: Option<Encoding>,
    /// The shape, in words.
    pub shape: String,
    /// Normalised mean squared error against the twin: sum of squared differences over sum of squares.
    pub nmse: f64,
    /// The most it may be; 0 asks for equal bits.
    pub tolerance: f64,
    /// Within tolerance, and no write outside the output.
    pub ok: bool,
    /// What went wrong, where something did.
    pub detail: Option<String>,
}

/// Runs every case whose name ("matvec q4_0 k=576 rows=31 ...") contains all words of `filter`.
///
/// The program loaded on the device is replaced.
pub async fn run_all(device: &mut GpuDevice, filter: &str) -> Vec<OpResult> {
    let mut results = Vec::new();
    for case in cases() {
        let name = case.name().to_lowercase();
        if filter.to_lowercase().split_whitespace().all(|word| name.contains(word)) {
            results.push(run_case(device, &case).await);
        }
    }
    results
}

/// Runs the smaller cases of the kernels and encodings that a program uses; call before loading it.
///
/// A subgroup tier that computes wrongly is left for the core tier, and [`super::device::DeviceInfo::reason`] says so.
///
/// # Errors
/// The core tier computes wrongly too; the device was lost.
pub async fn self_test(device: &mut GpuDevice, program: &Program) -> Result<Vec<OpResult>> {
    let used = in_use(program);
    let chosen = || {
        let mut taken = Vec::new();
        cases().into_iter().filter(move |case| {
            let key = (case.kernel, case.encoding);
            let wanted = case.quick && used.contains(&key) && taken.iter().filter(|k| **k == key).count() < 2;
            if wanted {
                taken.push(key);
            }
            wanted
        })
    };
    let chosen: Vec<Case> = chosen().collect();
    loop {
        let mut results = Vec::with_capacity(chosen.len());
        for case in &chosen {
            results.push(run_case(device, case).await);
        }
        let Some(wrong) = results.iter().find(|r| !r.ok) else { return Ok(results) };
        let what = format!(
            "\"{} {}\" {}",
            wrong.kernel.name(),
            wrong.shape,
            wrong.detail.as_deref().unwrap_or("differs from the CPU")
        );
        if device.tier() == Tier::Core {
            return Err(Fault::device(format!("this GPU computes wrongly: {what}")));
        }
        let name = device.info().name.clone();
        device.set_tier(
            Tier::Core,
            &format!("{name} runs in the core tier because its subgroup tier failed the self-test: {what}"),
        );
    }
}

/// The kernels of a program's plans with the encodings their weights are held in.
fn in_use(program: &Program) -> Vec<(KernelId, Option<Encoding>)> {
    let plans =
        [&program.decode, &program.decode_logits, &program.prefill, &program.prefill_pick, &program.prefill_logits];
    let mut used: Vec<(KernelId, Option<Encoding>)> = plans
        .iter()
        .flat_map(|plan| &plan.steps)
        .map(|step| {
            let encoding = step.bind.iter().find_map(|slot| match program.slots.get(slot.0 as usize)?.kind {
                SlotKind::Weight { encoding, .. } if super::shader::has_block(step.kernel) => pack::resident(encoding),
                _ => None,
            });
            (step.kernel, encoding)
        })
        .collect();
    crate::order::sort(&mut used);
    used.dedup();
    used
}

/// Runs one case on the device and on the twin.
pub async fn run_case(device: &mut GpuDevice, case: &Case) -> OpResult {
    let mut result = OpResult {
        kernel: case.kernel,
        encoding: case.encoding,
        shape: case.shape.clone(),
        nmse: f64::NAN,
        tolerance: case.tolerance,
        ok: false,
        detail: None,
    };
    match compare(device, case).await {
        Ok(nmse) => {
            result.nmse = nmse;
            result.ok = nmse <= case.tolerance;
            if !result.ok {
                result.detail = Some(format!("has an error of {nmse:.1e}, at most {:.0e} expected", case.tolerance));
            }
        }
        Err(fault) => result.detail = Some(fault.to_string()),
    }
    result
}

async fn compare(device: &mut GpuDevice, case: &Case) -> Result<f64> {
    let mut expected = case.bindings.clone();
    run_reference(case.kernel, &case.params, &mut expected)?;
    let found = run_on_gpu(device, case).await?;
    let first_output = case.bindings.len() - case.kernel.outputs();
    let (mut error, mut power) = (0.0, 0.0);
    for (i, words) in found.iter().enumerate() {
        let before = case.bindings.get(first_output + i).map_or_else(Vec::new, words_of);
        let after = expected.get(first_output + i).map_or_else(Vec::new, words_of);
        let exact = case.tolerance == 0.0 || matches!(expected.get(first_output + i), Some(CpuBuffer::U32(_)));
        for (at, ((&found, before), after)) in words.iter().zip(before).zip(after).enumerate() {
            if found == after {
                power += f64::from(f32::from_bits(after)).powi(2) * f64::from(u8::from(!exact));
            } else if before == after {
                return Err(Fault::device(format!("wrote outside its output, at value {at} of output {i}")));
            } else if exact {
                return Err(Fault::device(format!(
                    "gave {found:#010x} at value {at} of output {i}, {after:#010x} expected"
                )));
            } else {
                let (found, after) = (f64::from(f32::from_bits(found)), f64::from(f32::from_bits(after)));
                if !found.is_finite() {
                    return Err(Fault::device(format!("gave {found} at value {at} of output {i}, {after} expected")));
                }
                error += (found - after).powi(2);
                power += after.powi(2);
            }
        }
    }
    Ok(if error == 0.0 { 0.0 } else { error / power.max(f64::MIN_POSITIVE) })
}

fn words_of(buffer: &CpuBuffer) -> Vec<u32> {
    match buffer {
        CpuBuffer::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
        CpuBuffer::U32(words) => words.clone(),
        CpuBuffer::Weight { .. } => Vec::new(),
    }
}

/// The words of the outputs after one run of the step on the device.
async fn run_on_gpu(device: &mut GpuDevice, case: &Case) -> Result<Vec<Vec<u32>>> {
    let program = program(case);
    device.load(&program).await?;
    for load in &program.weights {
        if let Some(CpuBuffer::Weight { bytes, .. }) = case.bindings.get(load.slot.0 as usize) {
            device.upload(load.slot, 0, bytes)?;
        }
    }
    device.finish_load().await?;
    device.write_tokens(&vec![0; case.count as usize], case.pos)?;
    let first_output = case.bindings.len() - case.kernel.outputs();
    for (slot, buffer) in (0_u32..).map(Slot).zip(&case.bindings) {
        let word_slot = matches!(buffer, CpuBuffer::U32(_));
        if word_slot || slot.0 as usize >= first_output {
            device.write_words(slot, &words_of(buffer))?;
        }
    }
    device.run(PlanId::Prefill, 1)?;
    let mut outputs = Vec::new();
    for slot in first_output..case.bindings.len() {
        outputs.push(device.read_words(Slot(slot as u32)).await?);
    }
    Ok(outputs)
}

/// A program of the one step, with a slot for each binding and, where the step has none, a token slot.
fn program(case: &Case) -> Program {
    let first_output = case.bindings.len() - case.kernel.outputs();
    let mut program = Program { context: u32::MAX, ..Program::default() };
    for (i, buffer) in case.bindings.iter().enumerate() {
        let slot = Slot(i as u32);
        let kind = match buffer {
            CpuBuffer::Weight { encoding, rows, row_len, .. } => {
                program.weights.push(WeightLoad { slot, tensor: 0, first_row: 0, rows: u64::from(*rows) });
                SlotKind::Weight { encoding: *encoding, rows: *rows, row_len: *row_len }
            }
            CpuBuffer::F32(values) if i < first_output => {
                program.constants.push((slot, values.clone()));
                SlotKind::Constant { len: values.len() as u32 }
            }
            CpuBuffer::F32(values) => SlotKind::Activation { len: values.len() as u32 },
            CpuBuffer::U32(words) => word_slot(case, &mut program, slot, words.len() as u32),
        };
        program.slots.push(SlotSpec { name: format!("binding {}", i + 1), kind });
    }
    for (kind, missing) in
        [(SlotKind::State, program.state.is_none()), (SlotKind::Tokens { len: case.batch }, program.tokens.is_none())]
    {
        if missing {
            let slot = Slot(program.slots.len() as u32);
            *(if kind == SlotKind::State { &mut program.state } else { &mut program.tokens }) = Some(slot);
            program.slots.push(SlotSpec { name: "unbound".into(), kind });
        }
    }
    let bind = (0..case.bindings.len() as u32).map(Slot).collect();
    program.prefill =
        Plan { batch: case.batch, steps: vec![Step { kernel: case.kernel, bind, params: case.params.clone() }] };
    program
}

/// Which of the u32 slots a binding is: the state comes first (after the logits of a pick), then tokens, then the ring.
fn word_slot(case: &Case, program: &mut Program, slot: Slot, len: u32) -> SlotKind {
    if program.state.is_none() {
        program.state = Some(slot);
        SlotKind::State
    } else if program.tokens.is_none() {
        program.tokens = Some(slot);
        SlotKind::Tokens { len }
    } else {
        debug_assert_eq!(case.kernel, KernelId::Pick);
        program.ring = Some(slot);
        SlotKind::Ring { len }
    }
}
