//! The header, and the tensors behind it.

use std::{collections::HashSet, io::Write};

use super::{
    copy::{Copier, unwritten},
    value::put_string,
};
use crate::{
    fault::{Fault, Result},
    model::{FormatId, MetaType, MetaValue, ModelFile},
    source::SourceSet,
    tensor::{Encoding, Shape},
};

/// Alignment where `general.alignment` says nothing.
pub const ALIGNMENT: u64 = 32;

/// Where an entry's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Type number and bytes, as [`super::encoded`] gives them.
    New(Vec<u8>),
    /// The entry that starts at byte `at` of a model's file number `file`.
    Copied {
        /// Index into [`ModelFile::files`].
        file: usize,
        /// Where the entry starts.
        at: u64,
    },
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where its value comes from.
    pub value: Value,
}

/// A tensor that will follow the header.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Slowest dimension first.
    pub shape: Shape,
    /// How its values are stored.
    pub encoding: Encoding,
    /// Its size.
    pub bytes: u64,
}

/// What a header says: entries and tensors in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Keys and values.
    pub entries: Vec<Entry>,
    /// The tensors.
    pub tensors: Vec<Planned>,
    /// What the tensors' starts are multiples of.
    pub alignment: u64,
}

impl Header {
    /// The entries of a GGUF model, of a key that repeats the first; no tensors yet.
    ///
    /// # Errors
    /// The model is of another format.
    pub fn of(model: &ModelFile) -> Result<Self> {
        if model.format != FormatId::Gguf {
            let what =
                format!("a GGUF file expected, {} found: other formats cannot be written yet", model.format.name());
            return Err(Fault::unsupported(what));
        }
        if let Some(awaited) = model.awaited.first() {
            return Err(Fault::source("a part of the model is not here").in_file(&awaited.name));
        }
        if let Some(file) = model.cuts.first().and_then(|cut| model.files.get(cut.file)) {
            return Err(Fault::file(file.bytes, "the file ends before its list of tensors does")
                .in_file(&file.name)
                .short());
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(model.metadata.len());
        for (key, value, place) in model.metadata.placed().filter(|(key, ..)| seen.insert(*key)) {
            let value = match place {
                Some((file, at)) => Value::Copied { file, at },
                None => Value::New(super::encoded(value)?),
            };
            entries.push(Entry { key: key.to_owned(), value });
        }
        let alignment = model.metadata.unsigned("general.alignment").filter(|a| a.is_power_of_two() && *a <= 1 << 20);
        Ok(Self { entries, tensors: Vec::new(), alignment: alignment.unwrap_or(ALIGNMENT) })
    }
    /// Leaves out entries.
    pub fn remove(&mut self, unwanted: impl Fn(&str) -> bool) {
        self.entries.retain(|entry| !unwanted(&entry.key));
    }
    /// Puts a value at the end, in place of one of the same key: where llama.cpp's writer puts it.
    ///
    /// # Errors
    /// The value does not fit its type.
    pub fn append(&mut self, key: &str, value: &MetaValue) -> Result<()> {
        self.remove(|k| k == key);
        self.entries.push(Entry { key: key.to_owned(), value: Value::New(super::encoded(value)?) });
        Ok(())
    }
    /// Puts a value where one of the same key is, else at the end.
    ///
    /// # Errors
    /// The value does not fit its type.
    pub fn set(&mut self, key: &str, value: &MetaValue) -> Result<()> {
        let new = Value::New(super::encoded(value)?);
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = new,
            None => self.entries.push(Entry { key: key.to_owned(), value: new }),
        }
        Ok(())
    }
    /// Appends a u32.
    ///
    /// # Errors
    /// None in practice.
    pub fn append_u32(&mut self, key: &str, n: u32) -> Result<()> {
        self.append(key, &MetaValue::Unsigned(n.into(), MetaType::U32))
    }
    /// Bytes of the data section: each tensor padded to the alignment.
    pub fn data_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, t| sum.saturating_add(padded(t.bytes, self.alignment)))
    }
    /// Writes the header and its padding; the tensors' bytes follow through the writer.
    ///
    /// # Errors
    /// An entry's file cannot be read; the output cannot be written; two tensors have one name.
    pub async fn write<'a>(
        &'a self,
        files: &SourceSet,
        model: &ModelFile,
        out: &'a mut dyn Write,
    ) -> Result<Writer<'a>> {
        self.check()?;
        let mut counted = Counted { out, written: 0 };
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        counted.write_all(&bytes).map_err(unwritten)?;
        for entry in &self.entries {
            bytes.clear();
            put_string(&mut bytes, entry.key.as_bytes());
            counted.write_all(&bytes).map_err(unwritten)?;
            match &entry.value {
                Value::New(value) => counted.write_all(value).map_err(unwritten)?,
                Value::Copied { file, at } => {
                    let name = model.files.get(*file).map_or("", |f| f.name.as_str());
                    let file =
                        files.find(name).ok_or_else(|| Fault::bug("a file of the model is not open").in_file(name))?;
                    Copier::new(file, *at).await?.value(&mut counted).await?;
                }
            }
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            bytes.clear();
            put_string(&mut bytes, tensor.name.as_bytes());
            bytes.extend((tensor.shape.0.len() as u32).to_le_bytes());
            tensor.shape.0.iter().rev().for_each(|d| bytes.extend(d.to_le_bytes()));
            let number = tensor.encoding.ggml().ok_or_else(|| {
                let (name, encoding) = (&tensor.name, tensor.encoding);
                Fault::unsupported(format!("{name} is {encoding}, which GGUF has no number for"))
            })?;
            bytes.extend(number.to_le_bytes());
            bytes.extend(u64::to_le_bytes(offset));
            counted.write_all(&bytes).map_err(unwritten)?;
            offset += padded(tensor.bytes, self.alignment);
        }
        pad(&mut counted, self.alignment)?;
        Ok(Writer { header: self, out: counted, tensor: 0, left: self.tensors.first().map_or(0, |t| t.bytes) })
    }
    fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        if let Some(twice) = self.tensors.iter().find(|t| !seen.insert(t.name.as_str())) {
            return Err(Fault::file(0, format!("two tensors are named {}: readers refuse such a file", twice.name)));
        }
        let all = self
            .tensors
            .iter()
            .try_fold(0u64, |sum, t| sum.checked_add(t.bytes.checked_next_multiple_of(self.alignment.max(1))?));
        if all.is_none() || self.alignment == 0 {
            return Err(Fault::limit("the tensors have more bytes than 64 bits count, or no alignment"));
        }
        Ok(())
    }
}

fn padded(bytes: u64, alignment: u64) -> u64 {
    bytes.checked_next_multiple_of(alignment).unwrap_or(u64::MAX)
}

/// Zeros up to a multiple of the alignment.
fn pad(out: &mut Counted<'_>, alignment: u64) -> Result<()> {
    let mut left = padded(out.written, alignment) - out.written;
    while left > 0 {
        let n = left.min(64);
        out.write_all(&[0; 64][..n as usize]).map_err(unwritten)?;
        left -= n;
    }
    Ok(())
}

/// Counts what passes.
struct Counted<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Takes the tensors' bytes in the order of the header.
pub struct Writer<'a> {
    header: &'a Header,
    out: Counted<'a>,
    tensor: usize,
    /// Bytes of the tensor at hand that are still to come.
    left: u64,
}

impl Writer<'_> {
    /// The next bytes of the tensor at hand; [`Self::end`] closes it.
    ///
    /// # Errors
    /// They are more than the header announces, or cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| Fault::bug("a tensor has more bytes than its header announces"))?;
        self.out.write_all(bytes).map_err(unwritten)
    }
    /// Ends the tensor at hand, pads, and turns to the next.
    ///
    /// # Errors
    /// Bytes are missing; the padding cannot be written.
    pub fn end(&mut self) -> Result<()> {
        let name = self.header.tensors.get(self.tensor).map_or("no tensor", |t| t.name.as_str());
        if self.left > 0 {
            return Err(Fault::bug(format!("{name} lacks {} of the bytes that its header announces", self.left)));
        }
        pad(&mut self.out, self.header.alignment)?;
        self.tensor += 1;
        self.left = self.header.tensors.get(self.tensor).map_or(0, |t| t.bytes);
        Ok(())
    }
    /// Length of the file, once all tensors are written.
    ///
    /// # Errors
    /// Tensors are missing.
    pub fn finish(self) -> Result<u64> {
        if self.tensor != self.header.tensors.len() {
            return Err(Fault::bug(format!("{} of {} tensors were written", self.tensor, self.header.tensors.len())));
        }
        Ok(self.out.written)
    }
}
