//! Repeatable numbers: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).

/// What the state grows by: 2^64 over the golden ratio, odd.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator of repeatable numbers; the state is public, since it is the seed.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }
    /// A number from 0 up to 1, of 53 bits.
    pub fn unit(&mut self) -> f64 {
        unit(self.word())
    }
    /// A number from -1 up to 1, of 24 bits.
    pub fn value(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// SplitMix64's output function: every bit of `z` reaches every bit of the result.
pub fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 up to 1 from the upper 53 of 64 bits.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference: `java.util.SplittableRandom` and the public-domain C version give these for seed 1234567.
    #[test]
    fn the_words_are_those_of_the_reference() {
        let mut random = Random(1_234_567);
        let words = [(); 3].map(|()| random.word());
        assert_eq!(words, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
