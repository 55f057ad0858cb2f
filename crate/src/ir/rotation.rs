//! Rotary angles: the frequencies of a model, and what is done to them to stretch the context.
//!
//! Sources: transformers `modeling_rope_utils.py`; llama.cpp `ggml_rope_ext`, `llama-context.cpp`.

use std::{f64::consts::TAU, rc::Rc};

use crate::fault::{Blame, Fault, Result};

/// How the angles of a model grow with the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Rotated values of a head: twice the number of pairs.
    pub dims: u32,
    /// Base of the frequencies.
    pub base: f64,
    /// What is done to the frequencies.
    pub scaling: Scaling,
}

/// Changes to the frequencies that stretch the context.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// None.
    None,
    /// All frequencies divided by this.
    Linear(f64),
    /// Sequences beyond `original` get a larger base: `base * (factor * length / original - (factor - 1)) ^ (dims / (dims - 2))`.
    Dynamic {
        /// By how much the context may grow.
        factor: f64,
        /// The context before stretching.
        original: u32,
    },
    /// Llama 3's: low frequencies divided, high ones kept, a ramp between.
    Llama3 {
        /// Divides the low frequencies.
        factor: f64,
        /// Wavelengths above `original / low` are divided in full.
        low: f64,
        /// Wavelengths below `original / high` are kept.
        high: f64,
        /// The context before stretching.
        original: f64,
    },
    /// YaRN: a ramp over the dimensions, and a factor on cosine and sine.
    Yarn {
        /// Divides the low frequencies.
        factor: f64,
        /// The context before stretching.
        original: f64,
        /// Turns over the original context above which a frequency is kept.
        beta_fast: f64,
        /// Turns below which it is divided in full.
        beta_slow: f64,
        /// Round the ramp's ends to whole dimensions, outwards.
        truncate: bool,
        /// Multiplies cosine and sine.
        magnitude: f64,
    },
    /// Each frequency divided by its own factor.
    Factors(Factors),
    /// Own factors for sequences up to `original`, others beyond.
    Long {
        /// Factors up to `original` positions.
        short: Factors,
        /// Factors beyond.
        long: Factors,
        /// The context before stretching.
        original: u32,
        /// Multiplies cosine and sine, by which factors are in use: short, long.
        magnitude: [f64; 2],
    },
}

/// A factor for each pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Factors {
    /// Stated in the metadata.
    Values(Rc<[f32]>),
    /// Values of a tensor: index into the model's tensors.
    Tensor(usize),
}

/// Angles of one step of position.
#[derive(Debug, Clone, PartialEq)]
pub struct Angles {
    /// Radians per position, one for each pair.
    pub frequencies: Vec<f64>,
    /// Multiplies cosine and sine.
    pub magnitude: f64,
}

impl Rotation {
    /// Tensors whose values [`Rotation::angles`] needs.
    pub fn tensors(&self) -> Vec<usize> {
        let factors: &[&Factors] = match &self.scaling {
            Scaling::Factors(f) => &[f],
            Scaling::Long { short, long, .. } => &[short, long],
            _ => &[],
        };
        factors.iter().filter_map(|f| if let Factors::Tensor(t) = f { Some(*t) } else { None }).collect()
    }
    /// Whether the angles depend on the length of the sequence.
    pub fn depends_on_length(&self) -> bool {
        matches!(self.scaling, Scaling::Dynamic { .. } | Scaling::Long { .. })
    }
    /// The angles for sequences of `length` positions; `values` gives the values of a tensor.
    ///
    /// # Errors
    /// A tensor's values were not given; there is not one factor above zero for each pair.
    pub fn angles(&self, length: u32, values: &dyn Fn(usize) -> Option<Rc<[f32]>>) -> Result<Angles> {
        let dims = f64::from(self.dims);
        let plain = |base: f64| (0..self.dims / 2).map(move |i| base.powf(-2.0 * f64::from(i) / dims));
        let unscaled = |frequencies: Vec<f64>| Angles { frequencies, magnitude: 1.0 };
        Ok(match &self.scaling {
            Scaling::None => unscaled(plain(self.base).collect()),
            Scaling::Linear(factor) => unscaled(plain(self.base).map(|f| f / factor).collect()),
            Scaling::Dynamic { factor, original } => {
                let length = f64::from(length.max(*original));
                let stretch = factor * length / f64::from(*original) - (factor - 1.0);
                unscaled(plain(self.base * stretch.powf(dims / (dims - 2.0))).collect())
            }
            Scaling::Llama3 { factor, low, high, original } => unscaled(
                plain(self.base)
                    .map(|f| {
                        let keep = ((original * f / TAU - low) / (high - low)).clamp(0.0, 1.0);
                        (1.0 - keep) * f / factor + keep * f
                    })
                    .collect(),
            ),
            Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, magnitude } => {
                let dim_of = |turns: f64| dims * (original / (turns * TAU)).ln() / (2.0 * self.base.ln());
                let (mut low, mut high) = (dim_of(*beta_fast), dim_of(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(dims - 1.0));
                if low == high {
                    high += 0.001;
                }
                let frequencies = plain(self.base)
                    .enumerate()
                    .map(|(i, f)| {
                        let keep = 1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                        f / factor * (1.0 - keep) + f * keep
                    })
                    .collect();
                Angles { frequencies, magnitude: *magnitude }
            }
            Scaling::Factors(factors) => unscaled(divided(plain(self.base), self.dims / 2, factors, values)?),
            Scaling::Long { short, long, original, magnitude } => {
                let beyond = length > *original;
                let factors = if beyond { long } else { short };
                let frequencies = divided(plain(self.base), self.dims / 2, factors, values)?;
                Angles { frequencies, magnitude: magnitude[usize::from(beyond)] }
            }
        })
    }
}

fn divided(
    plain: impl Iterator<Item = f64>,
    pairs: u32,
    factors: &Factors,
    values: &dyn Fn(usize) -> Option<Rc<[f32]>>,
) -> Result<Vec<f64>> {
    let by = match factors {
        Factors::Values(by) => Rc::clone(by),
        Factors::Tensor(t) => {
            values(*t).ok_or_else(|| Fault::caller(format!("the values of tensor {t} are needed for its angles")))?
        }
    };
    if by.len() != pairs as usize || !by.iter().all(|f| f.is_finite() && *f > 0.0) {
        let start = &by[..by.len().min(8)];
        let what = format!("{pairs} rotary factors above zero expected, {} found: {start:.8?}", by.len());
        return Err(Fault::new(Blame::File, what));
    }
    Ok(plain.zip(by.iter()).map(|(f, by)| f / f64::from(*by)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(dims: u32, base: f64, scaling: Scaling) -> Result<Vec<f64>> {
        Rotation { dims, base, scaling }.angles(0, &|_| None).map(|a| a.frequencies)
    }

    #[test]
    fn frequencies_fall_from_one_by_powers_of_the_base() {
        let f = frequencies(8, 10000.0, Scaling::None).unwrap();
        for (f, want) in f.iter().zip([1.0, 0.1, 0.01, 0.001]) {
            assert!((f - want).abs() < 1e-12, "{f} {want}");
        }
    }

    #[test]
    fn llama3_scaling_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let plain = frequencies(128, 500000.0, Scaling::None).unwrap();
        let f = frequencies(128, 500000.0, scaling).unwrap();
        assert_eq!(f[0], plain[0]);
        assert_eq!(f[63], plain[63] / 8.0);
        assert!(f.windows(2).all(|w| w[0] > w[1]), "frequencies must fall");
    }

    #[test]
    fn too_few_rotary_factors_are_a_fault() {
        let fault = frequencies(8, 10000.0, Scaling::Factors(Factors::Values([1.0; 3].into()))).unwrap_err();
        assert!(fault.what.contains("4 rotary factors"), "{fault}");
    }

    #[test]
    fn dynamic_scaling_changes_nothing_up_to_the_original_context() {
        let rotation = Rotation { dims: 8, base: 10000.0, scaling: Scaling::Dynamic { factor: 2.0, original: 16 } };
        let at = |length| rotation.angles(length, &|_| None).unwrap().frequencies;
        assert_eq!(at(16), frequencies(8, 10000.0, Scaling::None).unwrap());
        assert!(at(32)[3] < at(16)[3]);
    }

    /// What transformers 5.24 gives for heads of 16 with a base of 10000 (`modeling_rope_utils.py`, in f64).
    #[test]
    #[allow(clippy::unreadable_literal, clippy::too_many_lines, reason = "a table, as another program printed it")]
    fn scaled_frequencies_are_those_of_transformers() {
        let yarn = |factor: f64, fast, slow, truncate| Scaling::Yarn {
            factor,
            original: 64.0,
            beta_fast: fast,
            beta_slow: slow,
            truncate,
            magnitude: 0.1 * factor.ln() + 1.0,
        };
        let factors = |all: [f32; 8]| Factors::Values(Rc::from(all));
        let long = Scaling::Long {
            short: factors([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]),
            long: factors([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]),
            original: 16,
            magnitude: [1.224744871391589; 2],
        };
        let dynamic = Scaling::Dynamic { factor: 2.0, original: 64 };
        let llama3 = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 64.0 };
        let cases: &[(&Scaling, u32, f64, [f64; 8])] = &[
            (
                &Scaling::Linear(4.0),
                9,
                1.0,
                [0.25, 0.0790569415, 0.025, 0.00790569415, 0.0025, 0.000790569415, 0.00025, 0.0000790569415],
            ),
            (&dynamic, 64, 1.0, [1.0, 0.316227766, 0.1, 0.0316227766, 0.01, 0.00316227766, 0.001, 0.000316227766]),
            (
                &dynamic,
                65,
                1.0,
                [
                    1.0,
                    0.31484069515891033,
                    0.09912466332814589,
                    0.031208477909626393,
                    0.00982569887991827,
                    0.003093529865775594,
                    0.0009739690934356386,
                    0.0003066451064405701,
                ],
            ),
            (
                &dynamic,
                200,
                1.0,
                [
                    1.0,
                    0.2495284675940164,
                    0.06226445613981809,
                    0.01553675432614365,
                    0.0038768624983873293,
                    0.0009673875582953002,
                    0.00024139073499094342,
                    6.0233860193683424e-05,
                ],
            ),
            (
                &llama3,
                9,
                1.0,
                [
                    1.0,
                    0.24438459943539834,
                    0.013042256043820465,
                    0.003952847075210474,
                    0.00125,
                    0.0003952847075210475,
                    0.000125,
                    3.952847075210474e-05,
                ],
            ),
            (
                &yarn(4.0, 32.0, 1.0, true),
                9,
                1.138629436111989,
                [
                    1.0,
                    0.23717082451262847,
                    0.05,
                    0.007905694150420948,
                    0.0025,
                    0.000790569415042095,
                    0.00025,
                    7.905694150420948e-05,
                ],
            ),
            (
                &yarn(4.0, 32.0, 1.0, false),
                9,
                1.138629436111989,
                [
                    1.0,
                    0.19858352015369318,
                    0.02559524589192421,
                    0.007905694150420948,
                    0.0025,
                    0.000790569415042095,
                    0.00025,
                    7.905694150420948e-05,
                ],
            ),
            (
                &yarn(40.0, 16.0, 2.0, true),
                9,
                1.3688879454113936,
                [
                    1.0,
                    0.16206673008362946,
                    0.0025,
                    0.000790569415042095,
                    0.00025,
                    7.905694150420948e-05,
                    2.5e-05,
                    7.905694150420947e-06,
                ],
            ),
            (
                &long,
                16,
                1.224744871391589,
                [
                    1.0,
                    0.2874797872880344,
                    0.08333333333333333,
                    0.024325212770525996,
                    0.007142857142857143,
                    0.0021081851067789197,
                    0.000625,
                    0.00018601633295108115,
                ],
            ),
            (
                &long,
                17,
                1.224744871391589,
                [
                    1.0,
                    0.21081851067789195,
                    0.05,
                    0.01264911064067352,
                    0.0033333333333333335,
                    0.0009035079029052513,
                    0.00025,
                    7.027283689263064e-05,
                ],
            ),
        ];
        for (scaling, length, magnitude, want) in cases {
            let rotation = Rotation { dims: 16, base: 10000.0, scaling: (*scaling).clone() };
            let angles = rotation.angles(*length, &|_| None).unwrap();
            assert!((angles.magnitude - magnitude).abs() < 1e-9, "{scaling:?}: {}", angles.magnitude);
            for (f, want) in angles.frequencies.iter().zip(want) {
                // Factors are given as f32.
                assert!((f / want - 1.0).abs() < 1e-7, "{scaling:?} at {length}: {f} {want}");
            }
        }
    }
}
