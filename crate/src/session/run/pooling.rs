//! From hidden states to one vector.

use crate::{
    fault::{Fault, Result},
    session::Inspection,
};

/// How the hidden states of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's.
    Cls,
    /// The largest of each value.
    Max,
    /// Their mean.
    Mean,
    /// Their sum over the root of their number.
    MeanSqrtLen,
    /// Their mean by weights that grow with the position: 1, 2, 3.
    WeightedMean,
    /// The last token's.
    Last,
}

impl Pooling {
    /// All, in the order in which sentence-transformers puts several side by side.
    const ALL: [Self; 6] = [Self::Cls, Self::Max, Self::Mean, Self::MeanSqrtLen, Self::WeightedMean, Self::Last];

    /// "mean", "cls", "last", "max", "mean-sqrt-len", "weighted-mean".
    pub fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::MeanSqrtLen => "mean-sqrt-len",
            Self::WeightedMean => "weighted-mean",
            Self::Last => "last",
        }
    }
    /// The pooling of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == text)
    }
    /// What sentence-transformers calls it, in `pooling_mode_*` and in `pooling_mode`.
    fn spellings(self) -> [&'static str; 2] {
        match self {
            Self::Cls => ["cls_token", "cls"],
            Self::Max => ["max_tokens", "max"],
            Self::Mean => ["mean_tokens", "mean"],
            Self::MeanSqrtLen => ["mean_sqrt_len_tokens", "mean_sqrt_len_tokens"],
            Self::WeightedMean => ["weightedmean_tokens", "weightedmean"],
            Self::Last => ["lasttoken", "lasttoken"],
        }
    }
    /// What a folder's pooling module says: one or several, side by side.
    pub(super) fn of_module(inspection: &Inspection, path: &str) -> Result<Vec<Self>> {
        let metadata = &inspection.model().metadata;
        // Since 2025 the module names them in one text, joined by "+".
        if let Some(text) = metadata.string(&format!("module.{path}.pooling_mode")) {
            let one = |name: &str| {
                Self::ALL.into_iter().find(|p| p.spellings().contains(&name)).ok_or_else(|| {
                    let name: String = name.chars().take(40).collect();
                    Fault::unsupported(format!("{path}/config.json: pooling {name:?} is not known"))
                })
            };
            return text.split('+').map(|name| one(name.trim())).collect();
        }
        let set =
            |p: &Self| metadata.boolean(&format!("module.{path}.pooling_mode_{}", p.spellings()[0])) == Some(true);
        Ok(Self::ALL.into_iter().filter(set).collect())
    }
    /// What a GGUF file says: llama.cpp's numbers, 1 mean, 2 cls, 3 last.
    pub(super) fn of_gguf(inspection: &Inspection) -> Option<Self> {
        let metadata = &inspection.model().metadata;
        let architecture = metadata.string("general.architecture")?;
        match metadata.unsigned(&format!("{architecture}.pooling_type")) {
            Some(1) => Some(Self::Mean),
            Some(2) => Some(Self::Cls),
            Some(3) => Some(Self::Last),
            _ => None,
        }
    }
    /// The vector of some hidden states, of which the first `skip` do not count (but for the first one by itself); sums in f64.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn apply(self, hidden: &[Vec<f32>], skip: usize) -> Result<Vec<f64>> {
        let (first, last) = hidden.first().zip(hidden.last()).ok_or_else(|| Fault::bug("no hidden states"))?;
        let counted = &hidden[skip.min(hidden.len() - 1)..];
        let wide = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let sum = |weight: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; first.len()];
            for (i, row) in counted.iter().enumerate() {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += weight(i) * f64::from(*v));
            }
            sums
        };
        let n = counted.len() as f64;
        // Weights count positions of the whole text.
        let place = |i: usize| (hidden.len() - counted.len() + i + 1) as f64;
        let places: f64 = (0..counted.len()).map(place).sum();
        Ok(match self {
            Self::Cls => wide(first),
            Self::Last => wide(last),
            Self::Max => {
                let larger =
                    |a: Vec<f64>, row: &Vec<f32>| a.into_iter().zip(wide(row)).map(|(a, b)| a.max(b)).collect();
                counted.iter().skip(1).fold(wide(&counted[0]), larger)
            }
            Self::Mean => sum(&|_| 1.0 / n),
            Self::MeanSqrtLen => sum(&|_| 1.0 / n.sqrt()),
            Self::WeightedMean => sum(&|i| place(i) / places),
        })
    }
}

/// A vector scaled to length 1; zeros stay zeros.
pub(super) fn scaled(vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.into_iter().map(|v| v * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_makes_its_vector() {
        let hidden = vec![vec![3.0, 0.0], vec![0.0, 4.0]];
        let root = std::f64::consts::SQRT_2;
        for (pooling, want) in [
            (Pooling::Cls, [3.0, 0.0]),
            (Pooling::Last, [0.0, 4.0]),
            (Pooling::Max, [3.0, 4.0]),
            (Pooling::Mean, [1.5, 2.0]),
            (Pooling::MeanSqrtLen, [3.0 / root, 4.0 / root]),
            (Pooling::WeightedMean, [1.0, 8.0 / 3.0]),
        ] {
            let got = pooling.apply(&hidden, 0).unwrap();
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{pooling:?}: {got:?}");
            assert_eq!(Pooling::parse(pooling.name()), Some(pooling));
        }
        assert_eq!(Pooling::Mean.apply(&hidden, 1).unwrap(), [0.0, 4.0]);
        assert_eq!(Pooling::Cls.apply(&hidden, 1).unwrap(), [3.0, 0.0]);
        assert!(scaled(vec![3.0, 4.0]).iter().zip([0.6, 0.8]).all(|(g, w)| (g - w).abs() < 1e-12));
        assert_eq!(scaled(vec![0.0]), [0.0]);
    }
}
