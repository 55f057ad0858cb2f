//! Ordered key/value metadata. Long arrays stay in the file: only their place and first items are kept.

use std::{collections::BTreeMap, ops::Range};

/// Types of metadata values (GGUF's, which cover the others).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum MetaType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

/// Where an array's items lie in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayPlace {
    /// Index into `ModelFile::files`.
    pub file: usize,
    /// Bytes of all items (after the count).
    pub at: Range<u64>,
    /// Byte order of the items.
    pub big_endian: bool,
    /// Width of string lengths in bytes: 4 in GGUF v1, 8 later.
    pub length_bytes: u8,
    /// For strings: where item `MARK`, `2 * MARK`, ... starts (absolute), so that a page needs no walk from the first.
    pub marks: Vec<u64>,
}

impl ArrayPlace {
    /// Items between two marks.
    pub const MARK: u64 = 1024;
}

/// An array: its type, length, first items, and where the rest is.
#[derive(Debug, Clone, PartialEq)]
pub struct MetaArray {
    /// Type of the items.
    pub item: MetaType,
    /// Number of items.
    pub len: u64,
    /// The first items where `place` is given ([`MetaArray::HEAD`] of them at most); all of them where it is `None`.
    pub head: Vec<MetaValue>,
    /// Where all items are; `None` when `head` holds them all.
    pub place: Option<ArrayPlace>,
}

impl MetaArray {
    /// How many items of a long array are kept in memory.
    pub const HEAD: usize = 64;
    /// Arrays of up to so many numbers are kept whole: those with a number for each layer.
    pub const WHOLE: u64 = 512;
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum MetaValue {
    /// Any unsigned integer; the width it had.
    Unsigned(u64, MetaType),
    /// Any signed integer; the width it had.
    Signed(i64, MetaType),
    /// Any float; the width it had.
    Float(f64, MetaType),
    /// A boolean.
    Bool(bool),
    /// A string; bytes that are not UTF-8 are replaced and noted.
    String(String),
    /// An array.
    Array(MetaArray),
}

impl MetaValue {
    /// The value with the places of its arrays moved to file `number`.
    fn in_file(mut self, number: usize) -> Self {
        if let Self::Array(array) = &mut self {
            if let Some(place) = &mut array.place {
                place.file = number;
            }
            array.head = std::mem::take(&mut array.head).into_iter().map(|item| item.in_file(number)).collect();
        }
        self
    }
    /// A non-negative integer of any width.
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n, _) => Some(*n),
            Self::Signed(n, _) => u64::try_from(*n).ok(),
            _ => None,
        }
    }
    /// A number of any type as f64.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Unsigned(n, _) => Some(*n as f64),
            Self::Signed(n, _) => Some(*n as f64),
            Self::Float(n, _) => Some(*n),
            _ => None,
        }
    }
    /// The value's type.
    pub fn kind(&self) -> MetaType {
        match self {
            Self::Unsigned(_, t) | Self::Signed(_, t) | Self::Float(_, t) => *t,
            Self::Bool(_) => MetaType::Bool,
            Self::String(_) => MetaType::String,
            Self::Array(_) => MetaType::Array,
        }
    }
}

impl MetaType {
    /// All, each at the place of its number in GGUF files (`enum gguf_type`).
    pub const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];
    /// Its number in GGUF files: its place in [`MetaType::ALL`], in whose order the types are declared.
    pub fn gguf_number(self) -> u32 {
        self as u32
    }
    /// The name used in reports: "u32", "string", ...
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// One key and its value; equal to another that says the same elsewhere.
#[derive(Debug, Clone)]
struct Entry {
    key: String,
    value: MetaValue,
    /// File (index into `ModelFile::files`) and byte where the entry starts, where that is known.
    place: Option<(usize, u64)>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

/// Keys and values in file order; a key may repeat (noted), the first one counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    entries: Vec<Entry>,
    /// The first entry of each key.
    by_key: BTreeMap<String, usize>,
}

impl Metadata {
    /// Appends an entry.
    pub fn push(&mut self, key: impl Into<String>, value: MetaValue) {
        self.add(Entry { key: key.into(), value, place: None });
    }
    /// Appends an entry that starts at byte `at` of file `file`.
    pub fn push_at(&mut self, key: String, value: MetaValue, file: usize, at: u64) {
        self.add(Entry { key, value, place: Some((file, at)) });
    }
    fn add(&mut self, entry: Entry) {
        self.by_key.entry(entry.key.clone()).or_insert(self.entries.len());
        self.entries.push(entry);
    }
    /// Appends another file's entries whose keys are wanted and new, as of file `file`.
    pub fn adopt(&mut self, other: Metadata, file: usize, wanted: impl Fn(&str) -> bool) {
        for mut entry in other.entries {
            if wanted(&entry.key) && self.get(&entry.key).is_none() {
                entry.value = entry.value.in_file(file);
                entry.place = entry.place.map(|(_, at)| (file, at));
                self.add(entry);
            }
        }
    }
    /// All entries in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetaValue)> {
        self.entries.iter().map(|e| (e.key.as_str(), &e.value))
    }
    /// All entries in file order, with the file (index into `ModelFile::files`) and byte where each starts, where that is known.
    pub fn placed(&self) -> impl Iterator<Item = (&str, &MetaValue, Option<(usize, u64)>)> {
        self.entries.iter().map(|e| (e.key.as_str(), &e.value, e.place))
    }
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }
    /// The first value of this key.
    pub fn get(&self, key: &str) -> Option<&MetaValue> {
        self.entry(key).map(|e| &e.value)
    }
    /// Where the first entry of this key starts: file (index into `ModelFile::files`) and byte.
    pub fn place(&self, key: &str) -> Option<(usize, u64)> {
        self.entry(key)?.place
    }
    /// A string value.
    pub fn string(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            MetaValue::String(s) => Some(s),
            _ => None,
        }
    }
    /// A non-negative integer value of any width.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        self.get(key)?.unsigned()
    }
    /// A number as f64.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.number()
    }
    /// A boolean value.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            MetaValue::Bool(b) => Some(*b),
            _ => None,
        }
    }
    /// An array value.
    pub fn array(&self, key: &str) -> Option<&MetaArray> {
        match self.get(key)? {
            MetaValue::Array(a) => Some(a),
            _ => None,
        }
    }
}
