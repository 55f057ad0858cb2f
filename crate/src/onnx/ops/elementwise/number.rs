//! Arithmetic of numbers of any type.

/// Numbers of any type, element by element.
pub(super) trait Number: Copy + PartialOrd {
    fn abs(self) -> Self;
    fn negative(self) -> Self;
    fn sign(self) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, other: Self) -> Self;
    /// The remainder with the divisor's sign.
    fn modulo(self, other: Self) -> Self;
    /// The remainder with the dividend's sign.
    fn remainder(self, other: Self) -> Self;
    fn is_nan(self) -> bool;
    fn zero() -> Self;
}

macro_rules! floats_are_numbers {
    ($($t:ty),*) => {$(impl Number for $t {
        fn abs(self) -> Self { <$t>::abs(self) }
        fn negative(self) -> Self { -self }
        fn sign(self) -> Self { if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else { self } }
        fn plus(self, other: Self) -> Self { self + other }
        fn minus(self, other: Self) -> Self { self - other }
        fn times(self, other: Self) -> Self { self * other }
        fn over(self, other: Self) -> Self { self / other }
        fn modulo(self, other: Self) -> Self {
            let r = self % other;
            if r == 0.0 { r.copysign(other) } else if (r < 0.0) != (other < 0.0) { r + other } else { r }
        }
        fn remainder(self, other: Self) -> Self { self % other }
        fn is_nan(self) -> bool { <$t>::is_nan(self) }
        fn zero() -> Self { 0.0 }
    })*};
}

macro_rules! signed_are_numbers {
    ($($t:ty),*) => {$(impl Number for $t {
        fn abs(self) -> Self { self.wrapping_abs() }
        fn negative(self) -> Self { self.wrapping_neg() }
        fn sign(self) -> Self { self.signum() }
        fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
        fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
        fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
        fn over(self, other: Self) -> Self { if other == 0 { 0 } else { self.wrapping_div(other) } }
        fn modulo(self, other: Self) -> Self {
            if other == 0 { return 0; }
            let r = self.wrapping_rem(other);
            if r != 0 && (r < 0) != (other < 0) { r.wrapping_add(other) } else { r }
        }
        fn remainder(self, other: Self) -> Self { if other == 0 { 0 } else { self.wrapping_rem(other) } }
        fn is_nan(self) -> bool { false }
        fn zero() -> Self { 0 }
    })*};
}

macro_rules! unsigned_are_numbers {
    ($($t:ty),*) => {$(impl Number for $t {
        fn abs(self) -> Self { self }
        fn negative(self) -> Self { self.wrapping_neg() }
        fn sign(self) -> Self { Self::from(self > 0) }
        fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
        fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
        fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
        fn over(self, other: Self) -> Self { self.checked_div(other).unwrap_or(0) }
        fn modulo(self, other: Self) -> Self { self.checked_rem(other).unwrap_or(0) }
        fn remainder(self, other: Self) -> Self { self.checked_rem(other).unwrap_or(0) }
        fn is_nan(self) -> bool { false }
        fn zero() -> Self { 0 }
    })*};
}

floats_are_numbers!(f32, f64);

signed_are_numbers!(i8, i16, i32, i64);

unsigned_are_numbers!(u8, u16, u32, u64);
