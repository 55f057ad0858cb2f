//! The searches of the K-quants: scales (and minima) of small groups by weighted least squares over several tries.
//! The order of every sum is libggml's, since f32 sums depend on it.

use super::arith::{LEAST, extreme, nearest_in};

/// How [`affine`] searches.
pub(super) struct Tries {
    /// The highest level.
    pub(super) top: u8,
    /// By how much the number of steps of the first try differs from `top`.
    pub(super) from: f32,
    /// Tries after the first.
    pub(super) count: i32,
    /// Errors count by magnitude instead of square.
    pub(super) absolute: bool,
}

impl Tries {
    fn error(&self, x: &[f32], weights: &[f32], levels: &[u8], scale: f32, min: f32) -> f32 {
        let mut sum = 0.0;
        for ((x, w), l) in x.iter().zip(weights).zip(levels) {
            let diff = scale * f32::from(*l) + min - x;
            sum += w * if self.absolute { diff.abs() } else { diff * diff };
        }
        sum
    }
}

/// Scale and offset (minus the minimum, at least 0 but for rounding) of a group, and its levels 0 to `top`.
pub(super) fn affine<const N: usize>(x: &[f32; N], weights: &[f32; N], tries: &Tries, levels: &mut [u8]) -> (f32, f32) {
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (x, w) in x.iter().zip(weights).skip(1) {
        if *x < min {
            min = *x;
        }
        if *x > max {
            max = *x;
        }
        sum_w += w;
        sum_x += w * x;
    }
    if min > 0.0 {
        min = 0.0;
    }
    if max == min {
        levels.fill(0);
        return (0.0, -min);
    }
    let top = f32::from(tries.top);
    let (low, span) = (min, max - min);
    let level = |inverse: f32, x: f32| nearest_in(inverse * (x - low), 0, i32::from(tries.top)) as u8;
    let inverse = top / span;
    let mut scale = 1.0 / inverse;
    for (l, x) in levels.iter_mut().zip(x) {
        *l = level(inverse, *x);
    }
    let mut best = tries.error(x, weights, levels, scale, min);
    let mut tried = [0u8; N];
    for i in 0..=tries.count {
        // The offset moves with the best try so far, as in libggml.
        let low = min;
        let inverse = (tries.from + 0.1 * i as f32 + top) / (max - low);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for ((t, x), w) in tried.iter_mut().zip(x).zip(weights) {
            *t = nearest_in(inverse * (x - low), 0, i32::from(tries.top)) as u8;
            let l = f32::from(*t);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let error = tries.error(x, weights, &tried, this_scale, this_min);
            if error < best {
                levels.copy_from_slice(&tried);
                (best, scale, min) = (error, this_scale, this_min);
            }
        }
    }
    (scale, -min)
}

/// The scale of a group of signed levels (Q3_K), improved level by level, and its levels raised by `top`.
pub(super) fn by_turns(x: &[f32; 16], top: i32, levels: &mut [i8]) -> f32 {
    let max = extreme(x);
    if max.abs() < LEAST {
        levels.fill(0);
        return 0.0;
    }
    let inverse = -top as f32 / max;
    let (mut along, mut square) = (0.0f32, 0.0f32);
    for (l, x) in levels.iter_mut().zip(x) {
        let (n, w) = (nearest_in(inverse * x, -top, top - 1), x * x);
        *l = n as i8;
        along += w * x * n as f32;
        square += w * n as f32 * n as f32;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (l, x) in levels.iter_mut().zip(x) {
            let (w, old) = (x * x, f32::from(*l));
            let mut without = along - w * x * old;
            if without > 0.0 {
                let mut square_without = square - w * old * old;
                let n = nearest_in(x * square_without / without, -top, top - 1);
                if n != i32::from(*l) {
                    without += w * x * n as f32;
                    square_without += w * n as f32 * n as f32;
                    if square_without > 0.0 && without * without * square > along * along * square_without {
                        *l = n as i8;
                        (along, square, changed) = (without, square_without, true);
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    for l in levels.iter_mut() {
        *l += top as i8;
    }
    if square > 0.0 { along / square } else { 0.0 }
}

/// The scale of a group of signed levels (Q6_K), of 19 that were tried, and its levels raised by `top`.
pub(super) fn symmetric(x: &[f32; 16], top: i32, levels: &mut [i8]) -> f32 {
    let max = extreme(x);
    if max.abs() < LEAST {
        levels.fill(0);
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut along, mut square) = (0.0f32, 0.0f32);
        for x in x {
            let (l, w) = (nearest_in(inverse * x, -top, top - 1) as f32, x * x);
            along += w * x * l;
            square += w * l * l;
        }
        (along, square)
    };
    let mut put = |inverse: f32| {
        for (l, x) in levels.iter_mut().zip(x) {
            *l = (top + nearest_in(inverse * x, -top, top - 1)) as i8;
        }
    };
    let inverse = -top as f32 / max;
    let (along, square) = sums(inverse);
    put(inverse);
    let mut scale = if square == 0.0 { 0.0 } else { along / square };
    let mut best = scale * along;
    for i in (-9..=9).filter(|i| *i != 0) {
        let inverse = -(top as f32 + 0.1 * i as f32) / max;
        let (along, square) = sums(inverse);
        if square > 0.0 && along * along > best * square {
            put(inverse);
            scale = along / square;
            best = scale * along;
        }
    }
    scale
}
