//! From a step to a variant and a grid: the shapes decide, nothing else does.

use bytemuck::Pod;

use crate::{
    old_engine::{
        device::Tier,
        kernel::{AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, RopeParams, WidthParams},
        plan::Step,
        shader::{self, Variant},
    },
    fault::{Fault, Result},
    tensor::Encoding,
};

/// The most workgroups along one dimension of a grid that every adapter takes.
pub(super) const MAX_GROUPS: u32 = 65_535;

/// The most heads' width a workgroup of the attention kernel can hold.
const MAX_HEAD_DIM: u32 = 256;

/// What a step needs besides its buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) variant: Variant,
    pub(super) grid: [u32; 3],
}

fn params<P: Pod>(step: &Step) -> Result<P> {
    bytemuck::try_pod_read_unaligned(&step.params).map_err(|_| {
        Fault::bug(format!(
            "{} has {} parameter bytes, {} expected",
            step.kernel.name(),
            step.params.len(),
            size_of::<P>()
        ))
    })
}

/// Folds a number of workgroups into two dimensions where one is not enough.
fn folded(groups: u64) -> Result<[u32; 3]> {
    let y = groups.div_ceil(u64::from(MAX_GROUPS)).max(1);
    let x = groups.div_ceil(y).max(1);
    match (u32::try_from(x), u32::try_from(y)) {
        (Ok(x), Ok(y)) if y <= MAX_GROUPS => Ok([x, y, 1]),
        _ => Err(Fault::limit(format!("{groups} workgroups are more than a grid of {MAX_GROUPS} x {MAX_GROUPS}"))),
    }
}

/// Variant and grid of a step of a plan of up to `batch` tokens; `encoding` is the resident one of its weights.
pub(super) fn launch(step: &Step, batch: u32, encoding: Option<Encoding>, tier: Tier) -> Result<Launch> {
    let kernel = step.kernel;
    let geometry = shader::geometry(kernel);
    let lanes = |items: u64| folded(items.div_ceil(u64::from(geometry.lanes)));
    let tokens = u64::from(batch);
    let mut ragged = false;
    let grid = match kernel {
        KernelId::Embed => {
            let p: EmbedParams = params(step)?;
            lanes(tokens * u64::from(p.width).div_ceil(8))?
        }
        KernelId::RmsNorm => {
            let _: NormParams = params(step)?;
            within([batch, 1, 1])?
        }
        KernelId::MatVec => {
            let p: LinearParams = params(step)?;
            ragged = p.k % 8 != 0;
            folded(u64::from(p.rows).div_ceil(u64::from(geometry.rows)))?
        }
        KernelId::MatMul => {
            let p: LinearParams = params(step)?;
            ragged = p.k % 8 != 0;
            within([p.rows.div_ceil(geometry.rows), batch.div_ceil(geometry.tokens), 1])?
        }
        KernelId::Rope => {
            let p: RopeParams = params(step)?;
            lanes(tokens * u64::from(p.heads) * u64::from(p.half))?
        }
        KernelId::Attention => {
            let p: AttentionParams = params(step)?;
            if p.head_dim == 0 || p.head_dim > MAX_HEAD_DIM || p.kv_heads == 0 || p.heads % p.kv_heads != 0 {
                return Err(Fault::unsupported(format!(
                    "attention of {} heads over {} key heads of width {}: the GPU kernel takes widths of 1 to \
                     {MAX_HEAD_DIM} and whole groups of heads",
                    p.heads, p.kv_heads, p.head_dim
                )));
            }
            ragged = p.head_dim % 4 != 0;
            within([p.heads, batch, 1])?
        }
        KernelId::AddBias | KernelId::KvWrite | KernelId::SiluMul | KernelId::Add => {
            let p: WidthParams = params(step)?;
            lanes(tokens * u64::from(p.width))?
        }
        KernelId::LastRow => {
            let p: WidthParams = params(step)?;
            lanes(u64::from(p.width))?
        }
        KernelId::Pick | KernelId::Advance => [1, 1, 1],
    };
    Ok(Launch { variant: Variant { kernel, encoding, tier, ragged }.normalised(), grid })
}

/// The least number of values (tokens for the token slot, words for the state) each binding of a step must hold,
/// in the kernel's order; weights are checked by rows, so they say 0 here. Kernels rely on it: release builds
/// drop bounds checks.
pub(super) fn needs(step: &Step, batch: u32) -> Result<Vec<u64>> {
    use crate::old_engine::kernel::{PickParams, state};
    let (n, state) = (u64::from(batch), state::WORDS as u64);
    let width = || params::<WidthParams>(step).map(|p| u64::from(p.width));
    Ok(match step.kernel {
        KernelId::Embed => {
            let p: EmbedParams = params(step)?;
            vec![state, n, 0, n * u64::from(p.width)]
        }
        KernelId::RmsNorm => {
            let p: NormParams = params(step)?;
            let width = u64::from(p.width);
            vec![state, n * width, width, n * width]
        }
        KernelId::MatVec | KernelId::MatMul => {
            let p: LinearParams = params(step)?;
            let (end, stride) = (u64::from(p.first_row) + u64::from(p.rows), u64::from(p.y_stride));
            let n = if step.kernel == KernelId::MatVec { 1 } else { n };
            if end > stride {
                return Err(Fault::bug(format!("a part that ends at {end} in output rows of {stride}")));
            }
            vec![state, 0, n * u64::from(p.k), n * stride]
        }
        KernelId::AddBias => vec![state, width()?, n * width()?],
        KernelId::Rope => {
            let p: RopeParams = params(step)?;
            if u64::from(p.half) * 2 > u64::from(p.head_dim) {
                return Err(Fault::bug(format!("{} rotated pairs in a head of {}", p.half, p.head_dim)));
            }
            vec![state, 2 * u64::from(p.half), n * u64::from(p.heads) * u64::from(p.head_dim)]
        }
        KernelId::KvWrite => vec![state, n * width()?, width()?],
        KernelId::Attention => {
            let p: AttentionParams = params(step)?;
            let width = n * u64::from(p.heads) * u64::from(p.head_dim);
            let cache = u64::from(p.context) * u64::from(p.kv_heads) * u64::from(p.head_dim);
            vec![state, width, cache, cache, width]
        }
        KernelId::SiluMul => vec![state, n * width()?, n * width()?, n * width()?],
        KernelId::Add => vec![state, n * width()?, n * width()?],
        KernelId::LastRow => vec![state, n * width()?, width()?],
        KernelId::Pick => {
            let p: PickParams = params(step)?;
            if p.ring_len == 0 {
                return Err(Fault::bug("a ring of no ids"));
            }
            vec![u64::from(p.vocab), state, 1, u64::from(p.ring_len)]
        }
        KernelId::Advance => vec![state],
    })
}

/// Rows and values a row that a step needs of the weight it binds, where it binds one.
pub(super) fn weight_shape(step: &Step) -> Result<Option<(u32, u32)>> {
    Ok(match step.kernel {
        KernelId::Embed => params::<EmbedParams>(step).map(|p| Some((p.rows, p.width)))?,
        KernelId::MatVec | KernelId::MatMul => params::<LinearParams>(step).map(|p| Some((p.rows, p.k)))?,
        _ => None,
    })
}

fn within(grid: [u32; 3]) -> Result<[u32; 3]> {
    if grid.iter().all(|&n| n <= MAX_GROUPS) {
        Ok(grid.map(|n| n.max(1)))
    } else {
        Err(Fault::limit(format!("a grid of {grid:?} workgroups is beyond {MAX_GROUPS} along a dimension")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::old_engine::plan::Slot;

    #[test]
    fn grids_beyond_the_limit_are_folded_and_cover_everything() {
        for groups in [1, 65_535, 65_536, 100_000, 4_000_000] {
            let [x, y, _] = folded(groups).unwrap();
            assert!(x <= MAX_GROUPS && y <= MAX_GROUPS && u64::from(x) * u64::from(y) >= groups, "{groups}: {x} x {y}");
        }
        assert!(folded(u64::MAX).is_err());
    }

    #[test]
    fn a_parameter_block_of_the_wrong_size_is_refused() {
        let step = Step { kernel: KernelId::Rope, bind: vec![Slot(0); 3], params: vec![0; 3] };
        assert!(launch(&step, 1, None, Tier::Core).is_err());
    }
}
