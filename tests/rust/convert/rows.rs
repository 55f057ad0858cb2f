//! The rows of tests/corpus/make/quantized_blocks.py, made again by the same whole-number arithmetic.

use glassbox::random::{STEP, mix};

/// SplitMix64, as the script has it.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 40) as f64 / 2f64.powi(24)
    }
    fn bell(&mut self) -> f64 {
        let sum: i64 = (0..4).map(|_| (self.next() >> 40) as i64).sum();
        (sum - (1 << 25)) as f64 / 2f64.powi(24)
    }
    fn sign(&mut self) -> f64 {
        if self.next() >> 63 == 0 { 1.0 } else { -1.0 }
    }
}

/// FNV-1a of 64 bits.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

/// A value by its kind and number.
fn value(kind: &str, r: &mut Random, i: u64) -> f64 {
    match kind {
        "bell" => r.bell() * 2f64.powi(-5),
        "bell of ones" => r.bell(),
        "above zero" => r.unit(),
        "below zero" => -r.unit() - 0.125,
        "far from zero" => 5.0 + r.bell() * 2f64.powi(-6),
        "zeros" => 0.0,
        "minus zeros" => -0.0,
        "one value" => 0.37,
        "one value below zero" => -1.75,
        "three values" => 0.625 * ((r.next() % 3) as f64 - 1.0),
        "outliers" => r.bell() * if i % 97 == 0 { 8.0 } else { 2f64.powi(-6) },
        "few values" => {
            if r.next() % 64 == 0 {
                r.bell()
            } else {
                0.0
            }
        }
        "ramp" => ((i % 300) as f64 - 150.0) / 64.0,
        "powers of two" => r.sign() * 2f64.powi((r.next() % 17) as i32 - 8),
        "just below powers of two" => {
            let sign = r.sign();
            sign * f64::from(f32::from_bits((120 + (i / 32 % 16) as u32) << 23 | (0x7f_ffff - (r.next() % 12) as u32)))
        }
        "small" => r.bell() * 2f64.powi(-20),
        "very small" => r.bell() * 2f64.powi(-60),
        "below the least" => r.bell() * 2f64.powi(-128),
        "beyond halves" => r.bell() * 2f64.powi(19),
        "very large" => r.bell() * 2f64.powi(60),
        "all exponents of a block apart" => r.bell() * 2f64.powi((i / 32 % 24) as i32 * 4 - 64),
        "any bits" => {
            let mantissa = (r.next() >> 32) as u32 & 0x807f_ffff;
            f64::from(f32::from_bits(mantissa | ((r.next() % 255) as u32) << 23))
        }
        other => panic!("no kind of rows is called {other:?}"),
    }
}

/// All values of a kind.
pub(super) fn values(kind: &str, count: u64) -> Vec<f32> {
    let mut random = Random(digest(kind.as_bytes()));
    (0..count).map(|i| value(kind, &mut random, i) as f32).collect()
}
