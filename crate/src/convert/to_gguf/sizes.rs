//! "8B" and "8x7B": how large a model is, for people.

use super::plan::Step;

/// Parameters of a model's tensors: all, those outside experts, those of one expert, and the number of experts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// All.
    pub(super) all: u64,
    shared: u64,
    expert: u64,
    experts: u64,
}

impl Sizes {
    /// Those of planned tensors.
    pub(super) fn of(steps: &[Step]) -> Self {
        let (mut sizes, mut sum, mut stacks) = (Self::default(), 0u64, 0u64);
        for step in steps {
            let count = step.shape.elements().unwrap_or(0);
            sizes.all = sizes.all.saturating_add(count);
            let dims = &step.shape.0;
            let at = if step.name.contains(".bias") { 2 } else { 3 };
            let experts = dims.len().checked_sub(at).and_then(|i| dims.get(i)).copied().filter(|n| *n > 0);
            match experts.filter(|_| step.name.contains("_exps.") && dims.len() >= 3) {
                Some(experts) => {
                    sizes.expert = sizes.expert.saturating_add(count / experts);
                    (sum, stacks) = (sum.saturating_add(experts), stacks + 1);
                }
                None => sizes.shared = sizes.shared.saturating_add(count),
            }
        }
        sizes.experts = sum.checked_div(stacks).unwrap_or(0);
        sizes
    }
    /// "160K", "8x7B": as gguf-py's `size_label` says it.
    pub(super) fn label(&self) -> String {
        match self.experts {
            0 => rounded(self.all),
            n => format!("{n}x{}", rounded(self.shared.saturating_add(self.expert))),
        }
    }
}

/// A number with two digits at least, in thousands, millions, billions or trillions.
fn rounded(count: u64) -> String {
    let (scale, letter) = match count {
        n if n > 1_000_000_000_000 => (1e-12, 'T'),
        n if n > 1_000_000_000 => (1e-9, 'B'),
        n if n > 1_000_000 => (1e-6, 'M'),
        _ => (1e-3, 'K'),
    };
    let scaled = count as f64 * scale;
    let whole = scaled.round_ties_even();
    let digits = if whole == 0.0 { 0 } else { format!("{whole}").len() };
    format!("{scaled:.0$}{letter}", 2usize.saturating_sub(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_file_names_have_them() {
        for (count, label) in [
            (160_448, "160K"),
            (1_100_000, "1.1M"),
            (8_030_261_248, "8.0B"),
            (494_032_768, "494M"),
            (1_543_714_304, "1.5B"),
            (70_553_706_496, "71B"),
            (900, "0.90K"),
        ] {
            assert_eq!(rounded(count), label);
        }
        assert_eq!(Sizes { all: 1, shared: 1_000_000_000, expert: 6_000_000_000, experts: 8 }.label(), "8x7.0B");
    }
}
