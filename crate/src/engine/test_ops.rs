//! Kernels on a GPU against the meaning of their operations: every kernel, encoding and awkward shape.
//!
//! A case is a program of one step with filled buffers. It runs on the device and, by [`crate::ir::eval`], on the CPU;
//! then every buffer that steps may write is compared. Words that the meaning leaves alone (rows beyond the count,
//! other parts of a split output, a tail behind a buffer's last row) must come back bit for bit.

use std::rc::Rc;

use super::{
    device::{Device, Fetch, Tier, cpu::CpuDevice, gpu::GpuDevice},
    kernels::{
        self, KERNELS, Lowering,
        case::{Case, Cases},
    },
    program::{Bucket, BufferId, BufferKind, CacheType, Program, StepKey, Want},
    shader::Variant,
};
use crate::{
    fault::{Fault, Result},
    tensor::{Encoding, float},
};

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct OpResult {
    /// Kernel.
    pub kernel: &'static str,
    /// Encoding of its weights, where it has any.
    pub encoding: Option<Encoding>,
    /// The shape, in words.
    pub shape: String,
    /// Normalised mean squared error: sum of squared differences over sum of squares.
    pub nmse: f64,
    /// The most it may be; 0 asks for equal bits.
    pub tolerance: f64,
    /// Within tolerance, and no write outside the output.
    pub ok: bool,
    /// What went wrong, where something did.
    pub detail: Option<String>,
}

/// Every case of every kernel.
fn cases() -> Vec<Case> {
    let mut all = Cases::default();
    for kernel in KERNELS {
        (kernel.cases)(&mut all);
    }
    all.list
}

/// Runs every case whose name ("matvec q4_0 k=576 rows=31 ...") contains all words of `filter`; the word "quick" stands
/// for the cases of the self-test, which cover every kernel and encoding in small shapes.
///
/// The program loaded on the device is replaced.
pub async fn run_all(device: &mut GpuDevice, filter: &str) -> Vec<OpResult> {
    let filter = filter.to_lowercase();
    let mut results = Vec::new();
    for case in cases() {
        let name = case.name().to_lowercase();
        if filter.split_whitespace().all(|word| name.contains(word) || (word == "quick" && case.quick)) {
            results.push(run_case(device, &case).await);
        }
    }
    results
}

/// Runs the smaller cases of the kernels, encodings and cache types that a program uses; call before loading it.
///
/// A subgroup tier that computes wrongly is left for the core tier, and [`super::device::DeviceInfo::reason`] says so.
///
/// # Errors
/// The core tier computes wrongly too; the device was lost.
pub async fn self_test(device: &mut GpuDevice, program: &Program) -> Result<Vec<OpResult>> {
    let used = in_use(program)?;
    let mut taken: Vec<Variant> = Vec::new();
    let mut chosen = Vec::new();
    for case in cases().into_iter().filter(|c| c.quick) {
        let variants = variants(&case.program, case.key())?;
        let is_new = |v: &Variant| used.contains(v) && taken.iter().filter(|t| *t == v).count() < 2;
        if variants.iter().any(is_new) {
            taken.extend(variants);
            chosen.push(case);
        }
    }
    loop {
        let mut results = Vec::with_capacity(chosen.len());
        for case in &chosen {
            results.push(run_case(device, case).await);
        }
        let Some(wrong) = results.iter().find(|r| !r.ok) else { return Ok(results) };
        let what = format!(
            "\"{} {}\" {}",
            wrong.kernel,
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

/// The variants that a program uses, for one row and for many; chains of all kinds as one, in the core tier.
fn in_use(program: &Program) -> Result<Vec<Variant>> {
    let mut used = Vec::new();
    for rows in [Bucket::One, Bucket::Many] {
        used.extend(variants(program, StepKey { rows, outputs: rows, want: Want::Choice })?);
    }
    crate::order::sort(&mut used);
    used.dedup();
    Ok(used)
}

fn variants(program: &Program, key: StepKey) -> Result<Vec<Variant>> {
    let with = Lowering { program, key, tier: Tier::Core };
    let mut variants = Vec::new();
    for step in &program.steps {
        variants.extend(kernels::lower(step, &with)?.into_iter().map(|d| d.variant.links(Vec::new())));
    }
    variants.dedup();
    Ok(variants)
}

/// Runs one case on the device and by its meaning.
async fn run_case(device: &mut GpuDevice, case: &Case) -> OpResult {
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
    let program = Rc::new(case.program.clone());
    let with = Lowering { program: &program, key: case.key(), tier: device.tier() };
    for step in &program.steps {
        if let Some(other) = kernels::lower(step, &with)?.iter().find(|d| d.variant.kernel() != case.kernel) {
            return Err(Fault::bug(format!("was taken by {}", other.variant.kernel())));
        }
    }
    let mut cpu = CpuDevice::plain();
    let expected = run(&mut cpu, case, &program).await?;
    let found = run(device, case, &program).await?;
    let mut sums = Sums::default();
    for ((found, expected), (buffer, before)) in found.iter().zip(&expected).zip(&case.written()) {
        sums.add(case, &program, *buffer, [found, before, expected])?;
    }
    Ok(if sums.error == 0.0 { 0.0 } else { sums.error / sums.power.max(f64::MIN_POSITIVE) })
}

/// The words of every buffer that steps may write, after one run.
async fn run(device: &mut dyn Device, case: &Case, program: &Rc<Program>) -> Result<Vec<Vec<u32>>> {
    device.load(program).await?;
    for (buffer, bytes) in &case.uploads {
        device.upload(*buffer, 0, bytes)?;
    }
    device.finish_load().await?;
    for (buffer, words) in &case.writes {
        device.write(*buffer, 0, words)?;
    }
    device.compile(case.key()).await?;
    device.submit(case.key(), 1, None)?;
    let mut outputs = Vec::new();
    for (buffer, words) in case.written() {
        outputs.push(device.read(Fetch { buffer, at: 0, words: words.len() as u32 }).await?);
    }
    Ok(outputs)
}

/// Squares of differences and of values.
#[derive(Default)]
struct Sums {
    error: f64,
    power: f64,
}

impl Sums {
    /// Compares a buffer: found, before and expected words.
    fn add(&mut self, case: &Case, program: &Program, buffer: BufferId, words: [&[u32]; 3]) -> Result<()> {
        let spec = program.buffer(buffer);
        let decoded;
        let words = match spec.kind {
            BufferKind::State { cache, width, .. } if cache != CacheType::F32 => {
                decoded = words.map(|w| decode(cache, width as usize, w));
                [&decoded[0][..], &decoded[1][..], &decoded[2][..]]
            }
            _ => words,
        };
        let is_values =
            matches!(spec.kind, BufferKind::Activation { .. } | BufferKind::State { .. } | BufferKind::Carried { .. });
        let exact = case.tolerance == 0.0 || !is_values || case.holds_ids(buffer);
        let name = &spec.name;
        for (at, ((&found, &before), &after)) in words[0].iter().zip(words[1]).zip(words[2]).enumerate() {
            if found == after {
                self.power += f64::from(f32::from_bits(after)).powi(2) * f64::from(u8::from(!exact));
            } else if before == after {
                return Err(Fault::device(format!("wrote outside its output, at value {at} of {name}")));
            } else if exact {
                return Err(Fault::device(format!(
                    "gave {found:#010x} at value {at} of {name}, {after:#010x} expected"
                )));
            } else {
                let (found, after) = (f64::from(f32::from_bits(found)), f64::from(f32::from_bits(after)));
                if !found.is_finite() {
                    return Err(Fault::device(format!("gave {found} at value {at} of {name}, {after} expected")));
                }
                self.error += (found - after).powi(2);
                self.power += after.powi(2);
            }
        }
        Ok(())
    }
}

/// Rows of a state as bits of f32.
fn decode(cache: CacheType, width: usize, words: &[u32]) -> Vec<u32> {
    let half = |word: u32, high: bool| float::f16(if high { (word >> 16) as u16 } else { word as u16 });
    let value = |row: &[u32], i: usize| match cache {
        CacheType::F32 => f32::from_bits(row[i]),
        CacheType::F16 => half(row[i / 2], i % 2 == 1),
        CacheType::Q8_0 => {
            let scale = half(row[width.div_ceil(4) + i / 64], i / 32 % 2 == 1);
            f32::from(row[i / 4].to_le_bytes()[i % 4] as i8) * scale
        }
    };
    let rows = words.chunks_exact((cache.row_words(width as u32) as usize).max(1));
    rows.flat_map(|row| (0..width).map(move |i| value(row, i).to_bits())).collect()
}
