//! Statistics of decoded values.

/// Counts in equal bins between two ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Left end of the first bin.
    pub from: f32,
    /// Right end of the last bin.
    pub to: f32,
    /// Values per bin.
    pub counts: Vec<u64>,
}

/// Running statistics of a stream of values; feed with [`Stats::add`].
///
/// Counts, `min` and `max` do not depend on how the stream is cut into calls; `mean` and `std` do in their
/// last digits only.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Values seen.
    pub count: u64,
    /// Smallest finite value; 0 while there is none.
    pub min: f32,
    /// Largest finite value; 0 while there is none.
    pub max: f32,
    /// Mean of the finite values; 0 while there is none.
    pub mean: f64,
    /// Standard deviation (population) of the finite values; 0 while there is none.
    pub std: f64,
    /// Exact zeros, of either sign.
    pub zeros: u64,
    /// NaNs.
    pub nans: u64,
    /// Infinities.
    pub infinities: u64,
    /// Sum of squared distances from the mean.
    m2: f64,
}

/// Accumulators side by side, so that the compiler can use vector registers.
const LANES: usize = 8;

impl Stats {
    /// Takes in more values: exact within a run of some thousands, runs merged as in Chan, Golub and LeVeque (1979).
    pub fn add(&mut self, values: &[f32]) {
        for run in values.chunks(4096) {
            self.merge(&Self::of_run(run));
        }
    }
    /// Finite values seen.
    pub fn finite(&self) -> u64 {
        self.count - self.nans - self.infinities
    }
    /// Takes in what another pass over other values found.
    pub fn merge(&mut self, other: &Self) {
        let (a, b) = (self.finite(), other.finite());
        self.count += other.count;
        self.zeros += other.zeros;
        self.nans += other.nans;
        self.infinities += other.infinities;
        if b == 0 {
            return;
        }
        if a == 0 {
            (self.min, self.max, self.mean, self.m2) = (other.min, other.max, other.mean, other.m2);
        } else {
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
            let (a, b) = (a as f64, b as f64);
            let apart = other.mean - self.mean;
            self.mean += apart * (b / (a + b));
            self.m2 += other.m2 + apart * apart * (a * b / (a + b));
        }
        self.std = (self.m2 / self.finite() as f64).sqrt();
    }
    /// Two passes over one run: mean first, then distances from it, with nothing to cancel.
    fn of_run(values: &[f32]) -> Self {
        let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let (mut sum, mut zeros, mut nans, mut infinities) =
            ([0f64; LANES], [0u32; LANES], [0u32; LANES], [0u32; LANES]);
        lanes(values, |l, v| {
            let finite = v.is_finite();
            zeros[l] += u32::from(v == 0.0);
            nans[l] += u32::from(v.is_nan());
            infinities[l] += u32::from(v.is_infinite());
            // No NaN comes here: a plain comparison is what a vector register does.
            let (low, high) = if finite { (v, v) } else { (f32::INFINITY, f32::NEG_INFINITY) };
            min[l] = if low < min[l] { low } else { min[l] };
            max[l] = if high > max[l] { high } else { max[l] };
            sum[l] += f64::from(if finite { v } else { 0.0 });
        });
        let total = |counts: [u32; LANES]| counts.iter().map(|c| u64::from(*c)).sum();
        let (zeros, nans, infinities) = (total(zeros), total(nans), total(infinities));
        let mut run = Self { count: values.len() as u64, zeros, nans, infinities, ..Self::default() };
        if run.finite() == 0 {
            return run;
        }
        // Adding zero turns -0 into +0, so that the sign of a zero extreme cannot depend on the order.
        run.min = min.into_iter().fold(f32::INFINITY, f32::min) + 0.0;
        run.max = max.into_iter().fold(f32::NEG_INFINITY, f32::max) + 0.0;
        run.mean = sum.iter().sum::<f64>() / run.finite() as f64;
        run.m2 = squares(values, run.mean);
        run
    }
}

/// Calls `one` with each value and its lane.
#[inline(always)]
fn lanes(values: &[f32], mut one: impl FnMut(usize, f32)) {
    let (full, rest) = values.as_chunks::<LANES>();
    for part in full {
        for (l, v) in part.iter().enumerate() {
            one(l, *v);
        }
    }
    for (l, v) in rest.iter().enumerate() {
        one(l, *v);
    }
}

/// Sum of squared distances of the finite values from `mean`.
fn squares(values: &[f32], mean: f64) -> f64 {
    let mut sum = [0f64; LANES];
    lanes(values, |l, v| {
        let apart = if v.is_finite() { f64::from(v) - mean } else { 0.0 };
        sum[l] += apart * apart;
    });
    sum.iter().sum()
}

impl Histogram {
    /// Empty bins between `from` and `to`.
    pub fn new(from: f32, to: f32, bins: usize) -> Self {
        Self { from, to, counts: vec![0; bins] }
    }
    /// Counts more values; values outside go to the end bins, NaNs nowhere.
    ///
    /// A bin holds its left end; the last holds its right end too.
    pub fn add(&mut self, values: &[f32]) {
        let Some(last) = self.counts.len().checked_sub(1) else { return };
        let from = f64::from(self.from);
        let width = f64::from(self.to) - from;
        let per_unit = if width > 0.0 { self.counts.len() as f64 / width } else { 0.0 };
        for v in values.iter().filter(|v| !v.is_nan()) {
            // The cast takes what lies left of the first bin, and infinity times zero, to bin 0.
            let bin = ((f64::from(*v) - from) * per_unit) as usize;
            self.counts[if *v >= self.to && *v > self.from { last } else { bin.min(last) }] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_are_counted_and_kept_out_of_the_moments() {
        let mut stats = Stats::default();
        stats.add(&[f32::NAN, 1.0, f32::INFINITY, -0.0, 0.0, f32::NEG_INFINITY, 3.0]);
        assert_eq!((stats.count, stats.zeros, stats.nans, stats.infinities), (7, 2, 1, 2));
        assert_eq!((stats.min, stats.max, stats.mean, stats.std), (0.0, 3.0, 1.0, 1.5f64.sqrt()));
        assert!(stats.min.is_sign_positive());
    }

    #[test]
    fn a_stream_without_finite_values_has_zero_moments() {
        let mut stats = Stats::default();
        stats.add(&[]);
        stats.add(&[f32::NAN, f32::INFINITY]);
        assert_eq!((stats.min, stats.max, stats.mean, stats.std, stats.finite()), (0.0, 0.0, 0.0, 0.0, 0));
    }

    #[test]
    fn a_large_offset_does_not_swallow_the_deviation() {
        let mut stats = Stats::default();
        for _ in 0..1000 {
            stats.add(&[1e7, 1e7 + 1.0, 1e7 + 2.0]);
        }
        assert!((stats.mean - (1e7 + 1.0)).abs() < 1e-6 && (stats.std - (2f64 / 3.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn bins_hold_their_left_end_and_the_last_its_right_end_too() {
        let mut histogram = Histogram::new(0.0, 4.0, 4);
        histogram.add(&[0.0, 0.5, 1.0, 3.0, 4.0, -9.0, 9.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
        assert_eq!(histogram.counts, [4, 1, 0, 4]);
    }

    #[test]
    fn bins_of_no_width_and_no_bins_at_all_do_not_lose_their_head() {
        let mut flat = Histogram::new(1.0, 1.0, 3);
        flat.add(&[1.0, 1.0, 0.0, 2.0]);
        assert_eq!(flat.counts, [3, 0, 1]);
        let mut none = Histogram::new(0.0, 1.0, 0);
        none.add(&[0.5]);
        assert!(none.counts.is_empty());
        let mut wide = Histogram::new(f32::MIN, f32::MAX, 2);
        wide.add(&[-1e38, 1e38, f32::MIN, f32::MAX]);
        assert_eq!(wide.counts, [2, 2]);
    }
}
