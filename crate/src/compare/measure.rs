//! How far two lists of values are apart, and whether what their encodings round explains it.

use crate::{fault::Result, tensor::Encoding};

use super::stream::{Stream, piece};

/// What differs in the last bits where values are worked out from what is stored (`1 + w`, `-exp(w)`), relative to the value.
const WORKED_OUT: f64 = 1.0 / (1 << 20) as f64;

/// What the encodings of two sides may make of the same value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rounding {
    /// Nothing.
    None,
    /// Of each value this share, and so much beside it.
    Each(f64, f64),
    /// Of all values together (Frobenius) this share.
    All(f64),
}

/// Share of a value that a floating point encoding rounds away at most, and half its smallest step.
fn of_float(encoding: Encoding) -> Option<(f64, f64)> {
    // Bits of the fraction, and the exponent of the smallest step.
    let (fraction, smallest) = match encoding {
        Encoding::F64 | Encoding::F32 => return Some((0.0, 0.0)),
        Encoding::F16 => (10, -24),
        Encoding::BF16 => (7, -133),
        Encoding::F8_E4M3 => (3, -9),
        Encoding::F8_E5M2 => (2, -16),
        Encoding::F8_E4M3FNUZ => (3, -10),
        Encoding::F8_E5M2FNUZ => (2, -17),
        _ => return None,
    };
    Some((2f64.powi(-fraction - 1), 2f64.powi(smallest - 1)))
}

/// What block encodings round away of normally distributed values is 1.2 over two to the number of bits; files round up to twice
/// that where values are spread otherwise or scales are rounded too.
fn of_blocks(encoding: Encoding) -> f64 {
    let bits = encoding.spec().map_or(8.0, |s| f64::from(s.block_bytes) * 8.0 / f64::from(s.block_len)).floor();
    2f64.powf(1.5 - bits).min(0.9)
}

impl Rounding {
    fn of(a: Encoding, b: Encoding) -> Self {
        if a == b {
            return Self::None;
        }
        match (of_float(a), of_float(b)) {
            (Some((share_a, step_a)), Some((share_b, step_b))) => Self::Each(share_a + share_b, step_a + step_b),
            (float_a, float_b) => {
                let share = |float: Option<(f64, f64)>, encoding| float.map_or_else(|| of_blocks(encoding), |f| f.0);
                Self::All(share(float_a, a) + share(float_b, b))
            }
        }
    }
}

/// How two lists of values compare.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Values compared.
    pub compared: u64,
    /// All were; else the first difference settled it.
    pub complete: bool,
    /// Values that differ.
    pub differing: u64,
    /// The root of the sum of squared differences over that of the first side's squares; none where that is zero.
    pub relative_error: Option<f64>,
    /// Cosine of the angle between the two; none where one of them is zero.
    pub cosine: Option<f64>,
    /// The largest difference of two values.
    pub largest: f64,
    /// Where it is, in the order of the forward pass.
    pub largest_at: u64,
    /// Values that are no finite numbers on one side alone, or on both and other ones.
    pub not_finite: u64,
    /// Nothing differs but in the last bits of values that are worked out from what is stored.
    pub same: bool,
    /// What the two encodings round explains what differs.
    pub rounded: bool,
}

#[derive(Default)]
struct Sums {
    a: f64,
    b: f64,
    product: f64,
    difference: f64,
}

/// Compares two streams of as many values. With `whole`, all of them; else until it is settled whether they are the same.
pub(super) async fn measure(
    a: &Stream<'_>,
    b: &Stream<'_>,
    whole: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Measured> {
    let (encodings_a, encodings_b) = (a.encodings(), b.encodings());
    let rounding = match (encodings_a.as_slice(), encodings_b.as_slice()) {
        ([a], [b]) => Rounding::of(*a, *b),
        _ => Rounding::None,
    };
    let worked_out = if a.is_worked_out() != b.is_worked_out() { WORKED_OUT } else { 0.0 };
    let same_encoding = encodings_a == encodings_b;
    let (mut m, mut sums) =
        (Measured { same: true, rounded: true, complete: true, ..Measured::default() }, Sums::default());
    let (total, step) = (a.elements(), piece(a, b));
    let mut at = 0;
    while at < total {
        let range = at..(at + step).min(total);
        let n = range.end - range.start;
        let raw = a.raw().zip(b.raw()).filter(|_| same_encoding);
        let mut bytes_differ = false;
        if let Some((raw_a, raw_b)) = raw {
            let (bytes_a, bytes_b) = (raw_a.bytes(range.clone()).await?, raw_b.bytes(range.clone()).await?);
            bytes_differ = bytes_a != bytes_b;
        }
        if raw.is_none() || bytes_differ || whole {
            let (values_a, before) = (a.read(range.clone()).await?, m.differing);
            match raw.is_some() && !bytes_differ {
                // The bytes are the same: only the length counts.
                true => add_same(&values_a, &mut sums),
                false => add(&values_a, &b.read(range.clone()).await?, at, (rounding, worked_out), &mut m, &mut sums),
            }
            // What 32 bits do not tell apart.
            let wide = encodings_a.iter().any(|e| e.spec().is_some_and(|s| s.block_len == 1 && s.block_bytes > 4));
            if bytes_differ && m.differing == before && wide {
                (m.differing, m.same, m.rounded) = (m.differing + 1, false, false);
            }
        }
        m.compared += n;
        at = range.end;
        progress(n);
        let settled = !m.same && (rounding == Rounding::None || matches!(rounding, Rounding::Each(..)) && !m.rounded);
        if settled && !whole && at < total {
            m.complete = false;
            progress(total - at);
            break;
        }
    }
    let error = (sums.a > 0.0).then(|| (sums.difference / sums.a).sqrt());
    m.relative_error = error.or((m.differing == 0).then_some(0.0));
    m.cosine = match sums.a > 0.0 && sums.b > 0.0 {
        true => Some((sums.product / (sums.a.sqrt() * sums.b.sqrt())).clamp(-1.0, 1.0)),
        false => None,
    };
    if let Rounding::All(share) = rounding {
        m.rounded = m.not_finite == 0 && m.relative_error.is_some_and(|e| e <= share);
    }
    m.rounded &= rounding != Rounding::None || m.same;
    Ok(m)
}

fn add_same(values: &[f32], sums: &mut Sums) {
    let square: f64 = values.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v).powi(2)).sum();
    sums.a += square;
    sums.b += square;
    sums.product += square;
}

fn add(a: &[f32], b: &[f32], at: u64, (rounding, worked_out): (Rounding, f64), m: &mut Measured, sums: &mut Sums) {
    for (nth, (x, y)) in a.iter().zip(b).enumerate() {
        if !x.is_finite() || !y.is_finite() {
            if x != y && !(x.is_nan() && y.is_nan()) {
                m.not_finite += 1;
                m.differing += 1;
                (m.same, m.rounded) = (false, false);
            }
            continue;
        }
        let (x, y) = (f64::from(*x), f64::from(*y));
        sums.a += x * x;
        sums.b += y * y;
        sums.product += x * y;
        if x == y {
            continue;
        }
        let difference = (x - y).abs();
        let size = x.abs().max(y.abs());
        m.differing += 1;
        sums.difference += difference * difference;
        if difference > m.largest {
            (m.largest, m.largest_at) = (difference, at + nth as u64);
        }
        m.same &= difference <= worked_out * size;
        if let Rounding::Each(share, step) = rounding {
            // A value that is rounded up is larger than what it was.
            m.rounded &= difference <= (share * (1.0 + share) + worked_out) * size + step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &[f32], b: &[f32], encodings: (Encoding, Encoding)) -> Measured {
        let (mut m, mut sums) = (Measured { same: true, rounded: true, ..Measured::default() }, Sums::default());
        add(a, b, 0, (Rounding::of(encodings.0, encodings.1), 0.0), &mut m, &mut sums);
        m
    }

    #[test]
    fn what_a_narrow_float_rounds_is_told_from_a_change() {
        let half = (Encoding::F32, Encoding::F16);
        // 1/3 in half precision.
        let m = of(&[1.0 / 3.0], &[0.333_251_95], half);
        assert!(m.rounded && !m.same);
        assert!(!of(&[1.0 / 3.0], &[0.334], half).rounded);
        assert!(!of(&[f32::NAN], &[1.0], half).rounded);
        assert!(of(&[f32::NAN], &[f32::NAN], half).same);
    }

    #[test]
    fn the_largest_difference_is_told_with_its_place() {
        let m = of(&[1.0, 2.0, 3.0], &[1.0, 2.5, 2.0], (Encoding::F32, Encoding::F32));
        assert_eq!((m.differing, m.largest, m.largest_at), (2, 1.0, 2));
    }

    #[test]
    fn fewer_bits_may_round_more() {
        let share = |e| of_blocks(e);
        assert!(share(Encoding::Q8_0) < share(Encoding::Q6_K));
        assert!(share(Encoding::Q6_K) < share(Encoding::Q4_0));
        assert!(share(Encoding::Q4_0) < share(Encoding::Q2_K));
        assert!((0.1..0.25).contains(&share(Encoding::Q4_K)));
    }
}
