//! From one element type to another.

use std::rc::Rc;

use super::value::{Brain, Data, Half, Tensor, Type, wrong_type};
use crate::{
    fault::{Blame, Fault, Result},
    tensor::float::{E2M1, E4M3, E4M3FNUZ, E5M2, E5M2FNUZ, E8M0},
};

/// How values beyond the range of an 8-bit float, and ties of powers of two, are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    /// To the largest number instead of infinity or NaN.
    pub(super) saturate: bool,
    /// For float8e8m0.
    pub(super) power: Power,
}

/// Which power of two is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    Down,
    Nearest,
}

impl Default for Rounding {
    fn default() -> Self {
        Self { saturate: true, power: Power::Up }
    }
}

/// The value of the bits of a small type.
pub(super) fn small_value(kind: Type, bits: u8) -> f32 {
    let i = usize::from(bits);
    match kind {
        Type::F8E4M3FN => E4M3[i],
        Type::F8E4M3FNUZ => E4M3FNUZ[i],
        Type::F8E5M2 => E5M2[i],
        Type::F8E5M2FNUZ => E5M2FNUZ[i],
        Type::F8E8M0 => E8M0[i],
        Type::F4E2M1 => E2M1[i & 15],
        Type::I4 => f32::from(((bits << 4) as i8) >> 4),
        Type::I2 => f32::from(((bits << 6) as i8) >> 6),
        Type::U4 => f32::from(bits & 15),
        _ => f32::from(bits & 3),
    }
}

/// The bits of the small float nearest to a value, ties to even.
fn small_float(table: &[f32], largest: usize, value: f32) -> u8 {
    let magnitude = value.abs();
    let sign = if value.is_sign_negative() { table.len() / 2 } else { 0 };
    let above = table[..=largest].partition_point(|v| *v < magnitude);
    let bits = if above == 0 {
        0
    } else if above > largest {
        largest
    } else {
        let (low, high) = (f64::from(table[above - 1]), f64::from(table[above]));
        let middle = f64::midpoint(low, high);
        let m = f64::from(magnitude);
        if m > middle || (m == middle && above % 2 == 0) { above } else { above - 1 }
    };
    (bits + sign) as u8
}

/// Half a step beyond the largest number: what is at least that far rounds to the next power.
fn beyond(table: &[f32], largest: usize, value: f32) -> bool {
    let step = f64::from(table[largest]) - f64::from(table[largest - 1]);
    let edge = f64::from(table[largest]) + step / 2.0;
    let m = f64::from(value.abs());
    // A tie goes to the even pattern; the largest one's last bit decides.
    if largest % 2 == 0 { m > edge } else { m >= edge }
}

/// The bits of a small type for a value.
pub(super) fn small_bits(kind: Type, value: f32, how: Rounding) -> u8 {
    match kind {
        Type::F8E4M3FN => {
            if value.is_nan() || (!how.saturate && (value.is_infinite() || beyond(&E4M3, 0x7e, value))) {
                return 0x7f | if value.is_sign_negative() { 0x80 } else { 0 };
            }
            small_float(&E4M3, 0x7e, value)
        }
        Type::F8E5M2 => {
            let sign = if value.is_sign_negative() { 0x80 } else { 0 };
            if value.is_nan() {
                return 0x7f | sign;
            }
            if !how.saturate && (value.is_infinite() || beyond(&E5M2, 0x7b, value)) {
                return 0x7c | sign;
            }
            small_float(&E5M2, 0x7b, value)
        }
        Type::F8E4M3FNUZ | Type::F8E5M2FNUZ => {
            let table = if kind == Type::F8E4M3FNUZ { &E4M3FNUZ } else { &E5M2FNUZ };
            if value.is_nan() || (!how.saturate && (value.is_infinite() || beyond(table, 0x7f, value))) {
                return 0x80;
            }
            match small_float(table, 0x7f, value) {
                // There is no minus zero: its pattern is NaN.
                0x80 => 0,
                bits => bits,
            }
        }
        Type::F8E8M0 => power_bits(value, how),
        Type::F4E2M1 => {
            // There is no NaN: ONNX's reference gives minus zero.
            if value.is_nan() { 0x8 } else { small_float(&E2M1, 7, value) }
        }
        Type::I4 | Type::U4 => (value as i64 as u8) & 15,
        _ => (value as i64 as u8) & 3,
    }
}

fn power_bits(value: f32, how: Rounding) -> u8 {
    if value.is_nan() || value < 0.0 {
        return 255;
    }
    if value.is_infinite() {
        return if how.saturate { 254 } else { 255 };
    }
    let bits = value.to_bits();
    let (exponent, mantissa) = ((bits >> 23) & 255, bits & 0x7f_ffff);
    let up = match how.power {
        Power::Down => false,
        Power::Up => {
            if exponent == 0 {
                mantissa > 0x40_0000
            } else {
                mantissa > 0
            }
        }
        Power::Nearest => {
            if exponent == 0 {
                mantissa > 0x60_0000
            } else {
                mantissa >= 0x40_0000
            }
        }
    };
    let exponent = exponent + u32::from(up);
    if exponent >= 255 {
        return if how.saturate { 254 } else { 255 };
    }
    exponent as u8
}

/// Values as f64; strings are refused.
pub(super) fn f64s(data: &Data) -> Result<Vec<f64>> {
    Ok(match data {
        Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::F64(v) => v.clone(),
        Data::F16(v) => v.iter().map(|x| f64::from(x.wide())).collect(),
        Data::BF16(v) => v.iter().map(|x| f64::from(x.wide())).collect(),
        Data::I8(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::I16(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::I64(v) => v.iter().map(|x| *x as f64).collect(),
        Data::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::U16(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::U64(v) => v.iter().map(|x| *x as f64).collect(),
        Data::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        Data::C64(v) => v.iter().map(|x| f64::from(x[0])).collect(),
        Data::C128(v) => v.iter().map(|x| x[0]).collect(),
        Data::Small(kind, v) => v.iter().map(|x| f64::from(small_value(*kind, *x))).collect(),
        Data::Str(_) => return Err(wrong_type("a number", Type::Str)),
    })
}

/// Values as f32; strings are refused.
pub(super) fn f32s(data: &Data) -> Result<Vec<f32>> {
    Ok(match data {
        Data::F32(v) => v.clone(),
        Data::F16(v) => v.iter().map(|x| x.wide()).collect(),
        Data::BF16(v) => v.iter().map(|x| x.wide()).collect(),
        Data::I8(v) => v.iter().map(|x| f32::from(*x)).collect(),
        Data::U8(v) => v.iter().map(|x| f32::from(*x)).collect(),
        Data::I32(v) => v.iter().map(|x| *x as f32).collect(),
        Data::I64(v) => v.iter().map(|x| *x as f32).collect(),
        Data::U64(v) => v.iter().map(|x| *x as f32).collect(),
        Data::Small(kind, v) => v.iter().map(|x| small_value(*kind, *x)).collect(),
        other => f64s(other)?.into_iter().map(|x| x as f32).collect(),
    })
}

/// Values as i64: floats are truncated, strings and complex numbers refused.
pub(super) fn i64s(data: &Data) -> Result<Vec<i64>> {
    Ok(match data {
        Data::I8(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::I16(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::I32(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::I64(v) => v.clone(),
        Data::U8(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::U16(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::U32(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::U64(v) => v.iter().map(|x| *x as i64).collect(),
        Data::Bool(v) => v.iter().map(|x| i64::from(*x)).collect(),
        Data::F32(v) => v.iter().map(|x| *x as i64).collect(),
        other => f64s(other)?.into_iter().map(|x| x as i64).collect(),
    })
}

/// From f64 to the type; integers are truncated and wrap.
pub(super) fn from_f64s(kind: Type, v: &[f64], how: Rounding) -> Result<Data> {
    Ok(match kind {
        Type::F32 => Data::F32(v.iter().map(|x| *x as f32).collect()),
        Type::F64 => Data::F64(v.to_vec()),
        Type::F16 => Data::F16(v.iter().map(|x| Half::of(*x as f32)).collect()),
        Type::BF16 => Data::BF16(v.iter().map(|x| Brain::of(*x as f32)).collect()),
        Type::Bool => Data::Bool(v.iter().map(|x| *x != 0.0).collect()),
        Type::C64 => Data::C64(v.iter().map(|x| [*x as f32, 0.0]).collect()),
        Type::C128 => Data::C128(v.iter().map(|x| [*x, 0.0]).collect()),
        Type::U64 => Data::U64(v.iter().map(|x| if *x < 0.0 { *x as i64 as u64 } else { *x as u64 }).collect()),
        Type::Str => return Err(wrong_type("a number", Type::Str)),
        small if small.is_small() => Data::Small(small, v.iter().map(|x| small_bits(small, *x as f32, how)).collect()),
        integer => {
            let whole: Vec<i64> = v.iter().map(|x| *x as i64).collect();
            return from_i64s(integer, &whole);
        }
    })
}

/// From f32 to a floating type, or by way of f64 to any.
pub(super) fn from_f32s(kind: Type, v: Vec<f32>) -> Result<Data> {
    Ok(match kind {
        Type::F32 => Data::F32(v),
        Type::F16 => Data::F16(v.into_iter().map(Half::of).collect()),
        Type::BF16 => Data::BF16(v.into_iter().map(Brain::of).collect()),
        Type::F64 => Data::F64(v.into_iter().map(f64::from).collect()),
        other => {
            let wide: Vec<f64> = v.into_iter().map(f64::from).collect();
            return from_f64s(other, &wide, Rounding::default());
        }
    })
}

/// From i64 to the type; smaller integers wrap.
pub(super) fn from_i64s(kind: Type, v: &[i64]) -> Result<Data> {
    Ok(match kind {
        Type::I8 => Data::I8(v.iter().map(|x| *x as i8).collect()),
        Type::I16 => Data::I16(v.iter().map(|x| *x as i16).collect()),
        Type::I32 => Data::I32(v.iter().map(|x| *x as i32).collect()),
        Type::I64 => Data::I64(v.to_vec()),
        Type::U8 => Data::U8(v.iter().map(|x| *x as u8).collect()),
        Type::U16 => Data::U16(v.iter().map(|x| *x as u16).collect()),
        Type::U32 => Data::U32(v.iter().map(|x| *x as u32).collect()),
        Type::U64 => Data::U64(v.iter().map(|x| *x as u64).collect()),
        Type::Bool => Data::Bool(v.iter().map(|x| *x != 0).collect()),
        Type::F32 => Data::F32(v.iter().map(|x| *x as f32).collect()),
        Type::I4 | Type::U4 => Data::Small(kind, v.iter().map(|x| (*x as u8) & 15).collect()),
        Type::I2 | Type::U2 => Data::Small(kind, v.iter().map(|x| (*x as u8) & 3).collect()),
        Type::Str => return Err(wrong_type("a number", Type::Str)),
        float => {
            let wide: Vec<f64> = v.iter().map(|x| *x as f64).collect();
            return from_f64s(float, &wide, Rounding::default());
        }
    })
}

/// A number as ONNX Runtime writes it into a string.
fn spelled(x: f64, narrow: bool) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "INF" } else { "-INF" }.into();
    }
    if x == 0.0 {
        return if x.is_sign_negative() { "-0" } else { "0" }.into();
    }
    // "%.8g" for f32, "%.17g" for f64.
    let digits = if narrow { 8 } else { 17 };
    let e = format!("{x:.*e}", digits - 1);
    let (mantissa, exponent) = e.split_once('e').unwrap_or((&e, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    trim(&format!("{x:.*}", usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0)))
}

fn parsed(text: &str) -> Result<f64> {
    let plain = text.trim();
    match plain.to_ascii_lowercase().as_str() {
        "inf" | "+inf" | "infinity" | "+infinity" => Ok(f64::INFINITY),
        "-inf" | "-infinity" => Ok(f64::NEG_INFINITY),
        "nan" => Ok(f64::NAN),
        other => other
            .parse()
            .map_err(|_| Fault::new(Blame::File, format!("the string {text:?} cannot be cast to a number"))),
    }
}

/// Elements as another type.
pub(super) fn cast(data: &Data, to: Type, how: Rounding) -> Result<Data> {
    if data.kind() == to {
        return Ok(data.clone());
    }
    let integer = |kind: Type| !kind.is_float() && !matches!(kind, Type::Str | Type::C64 | Type::C128);
    match (data, to) {
        (Data::Str(v), _) => {
            if integer(to) && to != Type::Bool {
                let whole: Result<Vec<i64>> =
                    v.iter().map(|s| s.trim().parse::<i64>().or_else(|_| parsed(s).map(|x| x as i64))).collect();
                return from_i64s(to, &whole?);
            }
            let values: Result<Vec<f64>> = v.iter().map(|s| parsed(s)).collect();
            from_f64s(to, &values?, how)
        }
        (_, Type::Str) => {
            let narrow = data.kind() != Type::F64;
            if integer(data.kind()) {
                if let Data::U64(v) = data {
                    return Ok(Data::Str(v.iter().map(|x| Rc::from(x.to_string())).collect()));
                }
                return Ok(Data::Str(i64s(data)?.iter().map(|x| Rc::from(x.to_string())).collect()));
            }
            Ok(Data::Str(f64s(data)?.iter().map(|x| Rc::from(spelled(*x, narrow))).collect()))
        }
        (Data::C64(v), Type::C128) => Ok(Data::C128(v.iter().map(|x| [f64::from(x[0]), f64::from(x[1])]).collect())),
        (Data::C128(v), Type::C64) => Ok(Data::C64(v.iter().map(|x| [x[0] as f32, x[1] as f32]).collect())),
        (Data::U64(v), Type::F32) => Ok(Data::F32(v.iter().map(|x| *x as f32).collect())),
        (Data::U64(_), Type::F16 | Type::BF16 | Type::F64) => from_f64s(to, &f64s(data)?, how),
        _ if integer(data.kind()) && (integer(to) || to == Type::F32) => from_i64s(to, &i64s(data)?),
        (Data::F32(v), Type::F16) => Ok(Data::F16(v.iter().map(|x| Half::of(*x)).collect())),
        (Data::F16(v), Type::F32) => Ok(Data::F32(v.iter().map(|x| x.wide()).collect())),
        (_, Type::F32) => Ok(Data::F32(f32s(data)?)),
        _ => from_f64s(to, &f64s(data)?, how),
    }
}

impl Tensor {
    /// Elements cast to another type by the rules of `Cast`.
    pub(super) fn cast(&self, to: Type) -> Result<Self> {
        if self.kind() == to {
            return Ok(self.clone());
        }
        Self::of(self.dims(), cast(self.data(), to, Rounding::default())?)
    }
    /// As [`Tensor::cast`], for callers outside.
    ///
    /// # Errors
    /// Strings that are no numbers.
    pub fn as_type(&self, to: Type) -> Result<Self> {
        self.cast(to)
    }
    /// Halves and bfloat16 as f32, all else as it is; and the type to return to.
    pub(super) fn widened(&self) -> Result<(Self, Type)> {
        let kind = self.kind();
        match kind {
            Type::F16 | Type::BF16 => Ok((Self::of(self.dims(), Data::F32(f32s(self.data())?))?, kind)),
            _ => Ok((self.clone(), kind)),
        }
    }
    /// Values as f32.
    pub(super) fn to_f32s(&self) -> Result<Vec<f32>> {
        f32s(self.data())
    }
    /// Values as f64.
    pub(super) fn to_f64s(&self) -> Result<Vec<f64>> {
        f64s(self.data())
    }
    /// Values as i64.
    pub(super) fn to_i64s(&self) -> Result<Vec<i64>> {
        i64s(self.data())
    }
}
