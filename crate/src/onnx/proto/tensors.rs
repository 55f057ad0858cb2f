//! Tensors of a model: their parts, raw and typed fields, sparse ones.

use std::rc::Rc;

use super::Dim;
use crate::fault::{Blame, Fault, Result};
use crate::onnx::value::{Brain, Data, Half, Tensor, Type, room};
use crate::onnx::wire::{Field, Wire};

/// Graphs within graphs, at most.
pub(super) const NESTED_MOST: usize = 32;

/// Coordinates and values of the elements that are not zero.
#[derive(Debug, Clone)]
pub(in crate::onnx) struct Sparse {
    pub(in crate::onnx) values: Tensor,
    pub(in crate::onnx) indices: Tensor,
    pub(in crate::onnx) dims: Vec<usize>,
}

/// The declared type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Element type and shape, as far as they are declared.
    Tensor(Option<Type>, Option<Vec<Dim>>),
    /// A sequence of these.
    Sequence(Box<Kind>),
    /// One of these, or none.
    Optional(Box<Kind>),
    /// A map.
    Map,
    /// Not declared, or of a kind that is not read.
    Unknown,
}

impl Kind {
    /// "float[batch,3]".
    pub fn told(&self) -> String {
        match self {
            Self::Tensor(kind, dims) => {
                let kind = kind.map_or("a tensor of an unknown type", Type::name);
                let Some(dims) = dims else { return kind.to_owned() };
                let dims: Vec<String> = dims
                    .iter()
                    .map(|d| match d {
                        Dim::Fixed(n) => n.to_string(),
                        Dim::Named(name) if name.is_empty() => "?".into(),
                        Dim::Named(name) => name.clone(),
                    })
                    .collect();
                format!("{kind}[{}]", dims.join(","))
            }
            Self::Sequence(of) => format!("a sequence of {}", of.told()),
            Self::Optional(of) => format!("an optional {}", of.told()),
            Self::Map => "a map".into(),
            Self::Unknown => "a value of an undeclared type".into(),
        }
    }
}

/// How a tensor's bytes in another file are named.
#[derive(Debug, Clone, Default)]
pub(in crate::onnx) struct External {
    pub(in crate::onnx) location: String,
    pub(in crate::onnx) offset: u64,
    pub(in crate::onnx) length: Option<u64>,
}

/// A `TensorProto` as far as it was read.
#[derive(Default)]
pub(in crate::onnx) struct TensorParts {
    pub(in crate::onnx) name: String,
    dims: Vec<i64>,
    data_type: i64,
    floats: Vec<f32>,
    ints: Vec<i64>,
    longs: Vec<i64>,
    doubles: Vec<f64>,
    words: Vec<i64>,
    strings: Vec<Rc<str>>,
    pub(in crate::onnx) raw: Option<Vec<u8>>,
    entries: Vec<(String, String)>,
    elsewhere: bool,
    pub(in crate::onnx) at: u64,
}

impl TensorParts {
    /// Of a message that starts at a place.
    pub(in crate::onnx) fn at(at: u64) -> Self {
        Self { at, ..Self::default() }
    }
    /// Takes one field in.
    pub(in crate::onnx) fn take(&mut self, number: u32, field: Field<'_>) -> Result<()> {
        match number {
            1 => field.ints(&mut self.dims)?,
            2 => self.data_type = field.int(),
            4 => field.floats(&mut self.floats)?,
            5 => field.ints(&mut self.ints)?,
            6 => self.strings.push(Rc::from(field.text())),
            7 => field.ints(&mut self.longs)?,
            8 => self.name = field.text(),
            9 => self.raw = Some(field.bytes().to_vec()),
            10 => field.doubles(&mut self.doubles)?,
            11 => field.ints(&mut self.words)?,
            13 => {
                let (mut key, mut value) = (String::new(), String::new());
                let mut wire = field.message();
                while let Some((number, field)) = wire.next()? {
                    match number {
                        1 => key = field.text(),
                        2 => value = field.text(),
                        _ => {}
                    }
                }
                self.entries.push((key, value));
            }
            14 => self.elsewhere = field.int() == 1,
            _ => {}
        }
        Ok(())
    }
    fn bad(&self, what: impl std::fmt::Display) -> Fault {
        Fault::file(self.at, format!("the tensor \"{}\": {what}", self.name))
    }
    /// Where its bytes lie when they lie in another file.
    pub(in crate::onnx) fn external(&self) -> Result<Option<External>> {
        if !self.elsewhere {
            return Ok(None);
        }
        let mut found = External::default();
        for (key, value) in &self.entries {
            let number =
                || value.parse::<u64>().map_err(|_| self.bad(format!("{key} is {value:?}, a number expected")));
            match key.as_str() {
                "location" => found.location.clone_from(value),
                "offset" => found.offset = number()?,
                "length" => found.length = Some(number()?),
                _ => {}
            }
        }
        Ok(Some(found))
    }
    /// Element type and shape.
    fn stated(&self) -> Result<(Type, Vec<usize>)> {
        let kind = Type::from_code(self.data_type)
            .ok_or_else(|| self.bad(format!("data type {} is not defined by ONNX", self.data_type)))?;
        let dims: Result<Vec<usize>> = self
            .dims
            .iter()
            .map(|d| usize::try_from(*d).map_err(|_| self.bad(format!("a dimension of {d}, at least 0 expected"))))
            .collect();
        Ok((kind, dims?))
    }
    /// Bytes that the values take in `raw_data`.
    pub(in crate::onnx) fn raw_bytes(&self) -> Result<u64> {
        let (kind, dims) = self.stated()?;
        let n = room(&dims, kind.size())?;
        let bits = kind.bits().ok_or_else(|| self.bad("strings cannot lie in raw bytes"))?;
        Ok((n as u64).saturating_mul(bits as u64).div_ceil(8))
    }
    /// The tensor.
    pub(in crate::onnx) fn finish(self) -> Result<(String, Tensor)> {
        let (kind, dims) = self.stated()?;
        let n = room(&dims, kind.size())?;
        if self.elsewhere && self.raw.is_none() {
            return Err(self.bad("its values lie in another file, which is not read here"));
        }
        let data = match &self.raw {
            Some(raw) => {
                let bits = kind.bits().ok_or_else(|| self.bad("strings cannot lie in raw bytes"))?;
                let need = n.saturating_mul(bits).div_ceil(8);
                if raw.len() != need {
                    return Err(self.bad(format!("{} bytes found, its shape and type need {need}", raw.len())));
                }
                from_raw(kind, raw, n)
            }
            None => self.typed(kind, n)?,
        };
        if data.len() != n {
            return Err(self.bad(format!("{} values found, its shape {dims:?} needs {n}", data.len())));
        }
        let name = self.name.clone();
        Ok((name, Tensor::of(dims, data)?))
    }
    fn typed(&self, kind: Type, n: usize) -> Result<Data> {
        let ints = &self.ints;
        Ok(match kind {
            Type::F32 => Data::F32(self.floats.clone()),
            Type::C64 => Data::C64(self.floats.as_chunks::<2>().0.to_vec()),
            Type::F64 => Data::F64(self.doubles.clone()),
            Type::C128 => Data::C128(self.doubles.as_chunks::<2>().0.to_vec()),
            Type::I64 => Data::I64(self.longs.clone()),
            Type::U32 => Data::U32(self.words.iter().map(|x| *x as u32).collect()),
            Type::U64 => Data::U64(self.words.iter().map(|x| *x as u64).collect()),
            Type::Str => Data::Str(self.strings.clone()),
            Type::I32 => Data::I32(ints.iter().map(|x| *x as i32).collect()),
            Type::I16 => Data::I16(ints.iter().map(|x| *x as i16).collect()),
            Type::I8 => Data::I8(ints.iter().map(|x| *x as i8).collect()),
            Type::U16 => Data::U16(ints.iter().map(|x| *x as u16).collect()),
            Type::U8 => Data::U8(ints.iter().map(|x| *x as u8).collect()),
            Type::Bool => Data::Bool(ints.iter().map(|x| *x != 0).collect()),
            Type::F16 => Data::F16(ints.iter().map(|x| Half(*x as u16)).collect()),
            Type::BF16 => Data::BF16(ints.iter().map(|x| Brain(*x as u16)).collect()),
            small => {
                let bytes: Vec<u8> = ints.iter().map(|x| *x as u8).collect();
                let packed = small.bits().is_some_and(|bits| bits < 8);
                if packed && bytes.len() == n.div_ceil(8 / small.bits().unwrap_or(8)) {
                    from_raw(small, &bytes, n)
                } else {
                    Data::Small(small, bytes)
                }
            }
        })
    }
}

/// Little-endian elements; small types are unpacked to a byte each, low bits first.
pub(in crate::onnx) fn from_raw(kind: Type, raw: &[u8], n: usize) -> Data {
    macro_rules! le {
        ($t:ty) => {
            raw.as_chunks::<{ size_of::<$t>() }>().0.iter().map(|b| <$t>::from_le_bytes(*b)).collect()
        };
    }
    match kind {
        Type::F32 => Data::F32(le!(f32)),
        Type::F64 => Data::F64(le!(f64)),
        Type::I8 => Data::I8(raw.iter().map(|b| *b as i8).collect()),
        Type::I16 => Data::I16(le!(i16)),
        Type::I32 => Data::I32(le!(i32)),
        Type::I64 => Data::I64(le!(i64)),
        Type::U8 => Data::U8(raw.to_vec()),
        Type::U16 => Data::U16(le!(u16)),
        Type::U32 => Data::U32(le!(u32)),
        Type::U64 => Data::U64(le!(u64)),
        Type::Bool => Data::Bool(raw.iter().map(|b| *b != 0).collect()),
        Type::F16 => Data::F16(raw.as_chunks::<2>().0.iter().map(|b| Half(u16::from_le_bytes(*b))).collect()),
        Type::BF16 => Data::BF16(raw.as_chunks::<2>().0.iter().map(|b| Brain(u16::from_le_bytes(*b))).collect()),
        Type::C64 => {
            let parts: Vec<f32> = le!(f32);
            Data::C64(parts.as_chunks::<2>().0.to_vec())
        }
        Type::C128 => {
            let parts: Vec<f64> = le!(f64);
            Data::C128(parts.as_chunks::<2>().0.to_vec())
        }
        Type::Str => Data::Str(Vec::new()),
        small => {
            let bits = small.bits().unwrap_or(8).min(8);
            let (per, mask) = (8 / bits, ((1u16 << bits) - 1) as u8);
            Data::Small(small, (0..n).map(|i| raw[i / per] >> (bits * (i % per)) & mask).collect())
        }
    }
}

/// A `TensorProto` in memory.
pub(in crate::onnx) fn tensor(mut wire: Wire<'_>) -> Result<(String, Tensor)> {
    let mut parts = TensorParts { at: wire.place(), ..TensorParts::default() };
    while let Some((number, field)) = wire.next()? {
        parts.take(number, field)?;
    }
    parts.finish()
}

pub(super) fn sparse(mut wire: Wire<'_>) -> Result<(String, Sparse)> {
    let at = wire.place();
    let (mut values, mut indices, mut dims) = (None, None, Vec::new());
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => values = Some(tensor(field.message())?),
            2 => indices = Some(tensor(field.message())?.1),
            3 => field.ints(&mut dims)?,
            _ => {}
        }
    }
    let (Some((name, values)), Some(indices)) = (values, indices) else {
        return Err(Fault::file(at, "a sparse tensor without values or indices"));
    };
    let dims: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let dims = dims.ok_or_else(|| Fault::file(at, "a sparse tensor with a negative dimension"))?;
    Ok((name, Sparse { values, indices, dims }))
}

impl Sparse {
    /// All elements.
    pub(in crate::onnx) fn dense(&self) -> Result<Tensor> {
        let n = room(&self.dims, self.values.kind().size())?;
        let indices = self.indices.i64s()?;
        let rank = self.dims.len();
        let mut places = Vec::with_capacity(self.values.len());
        let flat = self.indices.rank() == 1;
        for i in 0..self.values.len() {
            let place = if flat {
                indices.get(i).and_then(|x| usize::try_from(*x).ok())
            } else {
                (0..rank).try_fold(0usize, |at, d| {
                    let x = usize::try_from(*indices.get(i * rank + d)?).ok()?;
                    (x < self.dims[d]).then_some(at * self.dims[d] + x)
                })
            };
            let place = place.filter(|p| *p < n);
            places.push(place.ok_or_else(|| Fault::new(Blame::File, "an index of a sparse tensor beyond its shape"))?);
        }
        let mut data = Data::zeros(self.values.kind(), n);
        scatter(&mut data, self.values.data(), &places);
        Tensor::of(self.dims.clone(), data)
    }
}

fn scatter(into: &mut Data, from: &Data, places: &[usize]) {
    macro_rules! put {
        ($($variant:ident),*) => {
            match (into, from) {
                $((Data::$variant(into), Data::$variant(from)) => {
                    for (place, value) in places.iter().zip(from) {
                        into[*place] = value.clone();
                    }
                })*
                (Data::Small(_, into), Data::Small(_, from)) => {
                    for (place, value) in places.iter().zip(from) {
                        into[*place] = *value;
                    }
                }
                _ => {}
            }
        };
    }
    put!(F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Str, C64, C128);
}
