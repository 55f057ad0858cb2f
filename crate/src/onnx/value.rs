//! Values that flow through a graph: dense tensors of every ONNX element type, sequences, optionals and maps.
//!
//! What all tensors of a thread hold together is counted ([`held`]), and [`room`] refuses a tensor that would go beyond
//! the limit before anything of it is allocated.

use std::{cell::Cell, rc::Rc};

use crate::fault::{Fault, Result};
use crate::tensor::float::{bf16, f16, to_bf16, to_f16};

/// Bytes that the values of one run may hold together, unless the caller sets another limit.
pub const MEMORY_MOST: u64 = 16 << 30;
/// Dimensions of one tensor, at most.
const RANK_MOST: usize = 64;

thread_local! {
    static HELD: Cell<u64> = const { Cell::new(0) };
    static LIMIT: Cell<u64> = const { Cell::new(MEMORY_MOST) };
}

/// Bytes that tensors of this thread hold now.
pub fn held() -> u64 {
    HELD.with(Cell::get)
}

/// What a run on this thread may hold and cost.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// Bytes that its tensors hold together.
    pub memory: u64,
    /// Multiplications and elements.
    pub work: u64,
    /// Nodes that are executed.
    pub steps: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { memory: MEMORY_MOST, work: 1 << 46, steps: 20_000_000 }
    }
}

thread_local! {
    static RUN: Cell<(u64, u64)> = const { Cell::new((1 << 46, 20_000_000)) };
}

/// Sets the limits of this thread.
pub fn set_limits(limits: RunLimits) {
    LIMIT.with(|limit| limit.set(limits.memory));
    RUN.with(|run| run.set((limits.work, limits.steps)));
}
/// Work and steps that a run on this thread may cost.
pub(super) fn run_limits() -> (u64, u64) {
    RUN.with(Cell::get)
}

macro_rules! element_types {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// Element types of `TensorProto.DataType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are ONNX's own")]
        pub enum Type { $($name = $code),* }

        impl Type {
            /// The type of this number in a file.
            pub fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
            /// The number of the type in files.
            pub fn code(self) -> i64 {
                self as i64
            }
            /// As ONNX spells it in type strings.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// The type of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

element_types! {
    F32 = 1, "float"; U8 = 2, "uint8"; I8 = 3, "int8"; U16 = 4, "uint16"; I16 = 5, "int16"; I32 = 6, "int32";
    I64 = 7, "int64"; Str = 8, "string"; Bool = 9, "bool"; F16 = 10, "float16"; F64 = 11, "double"; U32 = 12, "uint32";
    U64 = 13, "uint64"; C64 = 14, "complex64"; C128 = 15, "complex128"; BF16 = 16, "bfloat16";
    F8E4M3FN = 17, "float8e4m3fn"; F8E4M3FNUZ = 18, "float8e4m3fnuz"; F8E5M2 = 19, "float8e5m2";
    F8E5M2FNUZ = 20, "float8e5m2fnuz"; U4 = 21, "uint4"; I4 = 22, "int4"; F4E2M1 = 23, "float4e2m1";
    F8E8M0 = 24, "float8e8m0"; U2 = 25, "uint2"; I2 = 26, "int2";
}

impl Type {
    /// Bytes of one element in memory; small types take a byte each.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => 8,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::C128 | Self::Str => 16,
            _ => 1,
        }
    }
    /// Bits of one element in `raw_data`; `None` for strings.
    pub fn bits(self) -> Option<usize> {
        Some(match self {
            Self::Str => return None,
            Self::U4 | Self::I4 | Self::F4E2M1 => 4,
            Self::U2 | Self::I2 => 2,
            other => other.size() * 8,
        })
    }
    /// Kept as bits in a byte each.
    pub fn is_small(self) -> bool {
        self.bits().is_some_and(|bits| bits < 8)
            || matches!(self, Self::F8E4M3FN | Self::F8E4M3FNUZ | Self::F8E5M2 | Self::F8E5M2FNUZ | Self::F8E8M0)
    }
    /// A binary floating-point number of any width.
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::F32
                | Self::F64
                | Self::F16
                | Self::BF16
                | Self::F8E4M3FN
                | Self::F8E4M3FNUZ
                | Self::F8E5M2
                | Self::F8E5M2FNUZ
                | Self::F8E8M0
                | Self::F4E2M1
        )
    }
}

/// An IEEE half by its bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Half(pub u16);
/// A bfloat16 by its bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Brain(pub u16);

impl Half {
    /// As f32.
    pub fn wide(self) -> f32 {
        f16(self.0)
    }
    /// The nearest half.
    pub fn of(value: f32) -> Self {
        Self(to_f16(value))
    }
}
impl Brain {
    /// As f32.
    pub fn wide(self) -> f32 {
        bf16(self.0)
    }
    /// The nearest bfloat16.
    pub fn of(value: f32) -> Self {
        Self(to_bf16(value))
    }
}

/// The elements of a tensor, in row-major order.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "as Type")]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    F16(Vec<Half>),
    BF16(Vec<Brain>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Bool(Vec<bool>),
    Str(Vec<Rc<str>>),
    C64(Vec<[f32; 2]>),
    C128(Vec<[f64; 2]>),
    /// Types of eight and fewer bits without arithmetic of their own: the bits of each element in a byte.
    Small(Type, Vec<u8>),
}

/// Evaluates an expression for the vector of any element type.
macro_rules! each_type {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => $body,
            Data::F64($v) => $body,
            Data::F16($v) => $body,
            Data::BF16($v) => $body,
            Data::I8($v) => $body,
            Data::I16($v) => $body,
            Data::I32($v) => $body,
            Data::I64($v) => $body,
            Data::U8($v) => $body,
            Data::U16($v) => $body,
            Data::U32($v) => $body,
            Data::U64($v) => $body,
            Data::Bool($v) => $body,
            Data::Str($v) => $body,
            Data::C64($v) => $body,
            Data::C128($v) => $body,
            Data::Small(_, $v) => $body,
        }
    };
}
/// The same, making data of the same type from the resulting vector.
macro_rules! same_type {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => Data::F32($body),
            Data::F64($v) => Data::F64($body),
            Data::F16($v) => Data::F16($body),
            Data::BF16($v) => Data::BF16($body),
            Data::I8($v) => Data::I8($body),
            Data::I16($v) => Data::I16($body),
            Data::I32($v) => Data::I32($body),
            Data::I64($v) => Data::I64($body),
            Data::U8($v) => Data::U8($body),
            Data::U16($v) => Data::U16($body),
            Data::U32($v) => Data::U32($body),
            Data::U64($v) => Data::U64($body),
            Data::Bool($v) => Data::Bool($body),
            Data::Str($v) => Data::Str($body),
            Data::C64($v) => Data::C64($body),
            Data::C128($v) => Data::C128($body),
            Data::Small(kind, $v) => Data::Small(*kind, $body),
        }
    };
}
/// Two operands of one type: data of that type from the resulting vector; `$other` where the types differ.
macro_rules! same_type2 {
    ($a:expr, $b:expr, $v:ident, $w:ident => $body:expr, else $other:expr) => {
        match ($a, $b) {
            (Data::F32($v), Data::F32($w)) => Data::F32($body),
            (Data::F64($v), Data::F64($w)) => Data::F64($body),
            (Data::F16($v), Data::F16($w)) => Data::F16($body),
            (Data::BF16($v), Data::BF16($w)) => Data::BF16($body),
            (Data::I8($v), Data::I8($w)) => Data::I8($body),
            (Data::I16($v), Data::I16($w)) => Data::I16($body),
            (Data::I32($v), Data::I32($w)) => Data::I32($body),
            (Data::I64($v), Data::I64($w)) => Data::I64($body),
            (Data::U8($v), Data::U8($w)) => Data::U8($body),
            (Data::U16($v), Data::U16($w)) => Data::U16($body),
            (Data::U32($v), Data::U32($w)) => Data::U32($body),
            (Data::U64($v), Data::U64($w)) => Data::U64($body),
            (Data::Bool($v), Data::Bool($w)) => Data::Bool($body),
            (Data::Str($v), Data::Str($w)) => Data::Str($body),
            (Data::C64($v), Data::C64($w)) => Data::C64($body),
            (Data::C128($v), Data::C128($w)) => Data::C128($body),
            (Data::Small(k, $v), Data::Small(l, $w)) if k == l => Data::Small(*k, $body),
            _ => $other,
        }
    };
}
/// Data of the same type for numbers that have arithmetic; `$other` for the rest.
macro_rules! numbers {
    ($data:expr, $v:ident => $body:expr, else $other:expr) => {
        match $data {
            Data::F32($v) => Data::F32($body),
            Data::F64($v) => Data::F64($body),
            Data::I8($v) => Data::I8($body),
            Data::I16($v) => Data::I16($body),
            Data::I32($v) => Data::I32($body),
            Data::I64($v) => Data::I64($body),
            Data::U8($v) => Data::U8($body),
            Data::U16($v) => Data::U16($body),
            Data::U32($v) => Data::U32($body),
            Data::U64($v) => Data::U64($body),
            _ => $other,
        }
    };
}
/// Two operands of one type of number: data of that type.
macro_rules! numbers2 {
    ($a:expr, $b:expr, $v:ident, $w:ident => $body:expr, else $other:expr) => {
        match ($a, $b) {
            (Data::F32($v), Data::F32($w)) => Data::F32($body),
            (Data::F64($v), Data::F64($w)) => Data::F64($body),
            (Data::I8($v), Data::I8($w)) => Data::I8($body),
            (Data::I16($v), Data::I16($w)) => Data::I16($body),
            (Data::I32($v), Data::I32($w)) => Data::I32($body),
            (Data::I64($v), Data::I64($w)) => Data::I64($body),
            (Data::U8($v), Data::U8($w)) => Data::U8($body),
            (Data::U16($v), Data::U16($w)) => Data::U16($body),
            (Data::U32($v), Data::U32($w)) => Data::U32($body),
            (Data::U64($v), Data::U64($w)) => Data::U64($body),
            _ => $other,
        }
    };
}
/// Two operands of one integer type: data of that type.
macro_rules! integers2 {
    ($a:expr, $b:expr, $v:ident, $w:ident => $body:expr, else $other:expr) => {
        match ($a, $b) {
            (Data::I8($v), Data::I8($w)) => Data::I8($body),
            (Data::I16($v), Data::I16($w)) => Data::I16($body),
            (Data::I32($v), Data::I32($w)) => Data::I32($body),
            (Data::I64($v), Data::I64($w)) => Data::I64($body),
            (Data::U8($v), Data::U8($w)) => Data::U8($body),
            (Data::U16($v), Data::U16($w)) => Data::U16($body),
            (Data::U32($v), Data::U32($w)) => Data::U32($body),
            (Data::U64($v), Data::U64($w)) => Data::U64($body),
            _ => $other,
        }
    };
}
pub(super) use {integers2, numbers, numbers2, same_type, same_type2};

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_type!(self, v => v.len())
    }
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Their type.
    pub fn kind(&self) -> Type {
        match self {
            Self::F32(_) => Type::F32,
            Self::F64(_) => Type::F64,
            Self::F16(_) => Type::F16,
            Self::BF16(_) => Type::BF16,
            Self::I8(_) => Type::I8,
            Self::I16(_) => Type::I16,
            Self::I32(_) => Type::I32,
            Self::I64(_) => Type::I64,
            Self::U8(_) => Type::U8,
            Self::U16(_) => Type::U16,
            Self::U32(_) => Type::U32,
            Self::U64(_) => Type::U64,
            Self::Bool(_) => Type::Bool,
            Self::Str(_) => Type::Str,
            Self::C64(_) => Type::C64,
            Self::C128(_) => Type::C128,
            Self::Small(kind, _) => *kind,
        }
    }
    /// `n` zeros, false values or empty strings.
    pub fn zeros(kind: Type, n: usize) -> Self {
        match kind {
            Type::F32 => Self::F32(vec![0.0; n]),
            Type::F64 => Self::F64(vec![0.0; n]),
            Type::F16 => Self::F16(vec![Half(0); n]),
            Type::BF16 => Self::BF16(vec![Brain(0); n]),
            Type::I8 => Self::I8(vec![0; n]),
            Type::I16 => Self::I16(vec![0; n]),
            Type::I32 => Self::I32(vec![0; n]),
            Type::I64 => Self::I64(vec![0; n]),
            Type::U8 => Self::U8(vec![0; n]),
            Type::U16 => Self::U16(vec![0; n]),
            Type::U32 => Self::U32(vec![0; n]),
            Type::U64 => Self::U64(vec![0; n]),
            Type::Bool => Self::Bool(vec![false; n]),
            Type::Str => Self::Str(vec![Rc::from(""); n]),
            Type::C64 => Self::C64(vec![[0.0; 2]; n]),
            Type::C128 => Self::C128(vec![[0.0; 2]; n]),
            small => Self::Small(small, vec![0; n]),
        }
    }
    fn bytes(&self) -> u64 {
        match self {
            Self::Str(v) => v.iter().map(|s| s.len() as u64 + 16).sum(),
            other => (other.len() * other.kind().size()) as u64,
        }
    }
}

#[derive(Debug)]
struct Held {
    data: Data,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A thread that ends may have dropped its counter before its last value.
        let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(self.bytes)));
    }
}

/// A dense tensor; cloning shares the elements.
#[derive(Debug, Clone)]
pub struct Tensor {
    dims: Vec<usize>,
    held: Rc<Held>,
}

/// The number of elements of a shape, after asking whether `size` bytes for each may be taken.
///
/// # Errors
/// The product leaves the machine's numbers, or the limit of memory.
pub(super) fn room(dims: &[usize], size: usize) -> Result<usize> {
    if dims.len() > RANK_MOST {
        return Err(Fault::limit(format!("a tensor of {} dimensions; at most {RANK_MOST} are taken", dims.len())));
    }
    let n = if dims.contains(&0) { Some(0) } else { dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) };
    let bytes = n.and_then(|n| (n as u64).checked_mul(size as u64));
    let limit = LIMIT.with(Cell::get);
    match (n, bytes) {
        (Some(n), Some(bytes)) if held().saturating_add(bytes) <= limit && isize::try_from(bytes).is_ok() => Ok(n),
        _ => Err(Fault::limit(format!(
            "a tensor of shape {dims:?} with {size} bytes each, while {} bytes are held: the limit is {limit} bytes",
            held()
        ))),
    }
}

impl Tensor {
    /// A tensor of these elements.
    ///
    /// # Errors
    /// The shape and the number of elements disagree.
    pub fn of(dims: impl Into<Vec<usize>>, data: Data) -> Result<Self> {
        let dims = dims.into();
        let n = if dims.contains(&0) { Some(0) } else { dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) };
        if n != Some(data.len()) {
            return Err(Fault::new(
                crate::fault::Blame::File,
                format!("{} elements where the shape {dims:?} needs {n:?}", data.len()),
            ));
        }
        let bytes = data.bytes();
        HELD.with(|held| held.set(held.get() + bytes));
        Ok(Self { dims, held: Rc::new(Held { data, bytes }) })
    }
    /// Shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }
    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }
    /// Elements.
    pub fn data(&self) -> &Data {
        &self.held.data
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.held.data.len()
    }
    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Element type.
    pub fn kind(&self) -> Type {
        self.held.data.kind()
    }
    /// The same elements under another shape.
    ///
    /// # Errors
    /// As [`Tensor::of`].
    pub fn reshaped(&self, dims: impl Into<Vec<usize>>) -> Result<Self> {
        let dims = dims.into();
        let n = if dims.contains(&0) { Some(0) } else { dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) };
        if n != Some(self.len()) {
            return Err(Fault::new(
                crate::fault::Blame::File,
                format!("{} elements of shape {:?} cannot have the shape {dims:?}", self.len(), self.dims),
            ));
        }
        Ok(Self { dims, held: Rc::clone(&self.held) })
    }
    /// The elements, taken where nobody else holds them.
    pub fn into_data(self) -> Data {
        match Rc::try_unwrap(self.held) {
            Ok(mut held) => std::mem::replace(&mut held.data, Data::Bool(Vec::new())),
            Err(shared) => shared.data.clone(),
        }
    }
    /// One element of an i64 tensor.
    pub fn scalar_i64(value: i64) -> Result<Self> {
        Self::of([], Data::I64(vec![value]))
    }
    /// A list of i64.
    pub fn list_i64(values: Vec<i64>) -> Result<Self> {
        Self::of([values.len()], Data::I64(values))
    }
    /// f32 elements, when they are f32.
    pub fn f32s(&self) -> Result<&[f32]> {
        match self.data() {
            Data::F32(v) => Ok(v),
            other => Err(wrong_type("float", other.kind())),
        }
    }
    /// i64 elements.
    pub fn i64s(&self) -> Result<&[i64]> {
        match self.data() {
            Data::I64(v) => Ok(v),
            other => Err(wrong_type("int64", other.kind())),
        }
    }
    /// Boolean elements.
    pub fn bools(&self) -> Result<&[bool]> {
        match self.data() {
            Data::Bool(v) => Ok(v),
            other => Err(wrong_type("bool", other.kind())),
        }
    }
    /// String elements.
    pub fn strs(&self) -> Result<&[Rc<str>]> {
        match self.data() {
            Data::Str(v) => Ok(v),
            other => Err(wrong_type("string", other.kind())),
        }
    }
    /// "float[2,3]".
    pub fn told(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(usize::to_string).collect();
        format!("{}[{}]", self.kind().name(), dims.join(","))
    }
}

/// A type that an operator does not take.
pub(super) fn wrong_type(expected: &str, found: Type) -> Fault {
    Fault::new(crate::fault::Blame::File, format!("a tensor of type {expected} expected, {} found", found.name()))
}

/// Keys and values of equal number, as ai.onnx.ml has them.
#[derive(Debug, Clone)]
pub struct Map {
    /// i64 or string keys.
    pub keys: Tensor,
    /// A value for each key.
    pub values: Vec<Value>,
}

/// What an edge of a graph carries.
#[derive(Debug, Clone)]
pub enum Value {
    /// A dense tensor.
    Tensor(Tensor),
    /// Values of one type.
    Sequence(Rc<Vec<Value>>),
    /// A value, or none.
    Optional(Option<Rc<Value>>),
    /// A map.
    Map(Rc<Map>),
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl Value {
    /// The kind of value and its type, for messages.
    pub fn told(&self) -> String {
        match self {
            Self::Tensor(t) => t.told(),
            Self::Sequence(list) => format!("a sequence of {} values", list.len()),
            Self::Optional(Some(value)) => format!("an optional with {}", value.told()),
            Self::Optional(None) => "an empty optional".into(),
            Self::Map(map) => format!("a map of {} keys", map.values.len()),
        }
    }
}
