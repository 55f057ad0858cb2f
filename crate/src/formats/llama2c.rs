//! llama2.c's model files (`export.py` of karpathy/llama2.c): version 0 has no magic, so its seven numbers must
//! account for every byte of the file; versions 1 (f32) and 2 (int8 groups) start with "ak42".

use super::{Format, Match, Reader, findings::Findings, sections};
use crate::{
    fault::Fault,
    model::{FormatId, MetaType, MetaValue, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry, Version},
    source::{Cursor, Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

const MAGIC: u32 = 0x616b_3432;
const NAMES: [&str; 7] = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"];
/// Bytes of the header of versions 1 and 2; version 0 has seven numbers.
const HEADER: u64 = 256;
const HEADER_V0: u64 = 28;
const LAYERS_MOST: u64 = 4096;

pub(super) struct Llama2c;

impl Format for Llama2c {
    fn id(&self) -> FormatId {
        FormatId::Llama2c
    }
    fn sniff(&self, head: &[u8], _name: &str, len: u64) -> Match {
        let mut window = Window::new("", head.len() as u64);
        window.insert(0, head.to_vec());
        let Ok(stated) = Stated::read(&window) else { return Match::No };
        let told = stated.version > 0 || stated.tensors().is_some_and(|(_, end)| end == len);
        if told { Match::ByContent } else { Match::No }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Llama2cReader(None))
    }
}

struct Llama2cReader(Option<Stated>);

impl Reader for Llama2cReader {
    fn advance(&mut self, file: &Window, _limits: &Limits) -> Result<(), Stop> {
        self.0 = Some(Stated::read(file)?);
        Ok(())
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        let stated = self.0.unwrap_or_default();
        let mut findings = Findings::default();
        let mut metadata = Metadata::default();
        for (name, value) in NAMES.iter().zip(stated.numbers()) {
            metadata.push(format!("llama2c.{name}"), MetaValue::Unsigned(value, MetaType::U32));
        }
        metadata.push("llama2c.shared_classifier", MetaValue::Bool(stated.shared));
        if stated.version == 2 {
            metadata.push("llama2c.group_size", MetaValue::Unsigned(stated.group, MetaType::U32));
        }
        let len = file.len();
        let mut tensors = Vec::new();
        match stated.tensors() {
            None => findings.error(
                NoteCode::Sizes,
                0,
                "the header's numbers give no model that can exist",
                "nothing is listed",
            ),
            Some((list, end)) => {
                for (name, shape, encoding, at, bytes) in list {
                    let place = if at + bytes <= len {
                        Place::Here { file: 0, at: at..at + bytes }
                    } else {
                        Place::Missing { file: file.name().to_owned(), at: at..at + bytes }
                    };
                    tensors.push(TensorEntry { name, shape: Shape(shape), encoding, place, bytes: Some(bytes) });
                }
                if end > len {
                    let what = format!("The model ends at byte {end}, the file at byte {len}");
                    findings.error(NoteCode::EndOfFile, len, what, "the file was not copied whole");
                } else if end < len {
                    findings.warn(
                        NoteCode::TrailingBytes,
                        end,
                        format!("{} bytes follow the last tensor", len - end),
                        "",
                    );
                }
            }
        }
        findings.info(
            NoteCode::Unnamed,
            0,
            "The file names no tensors: they are known by their order",
            "names are PyTorch's of the same model",
        );
        let header = if stated.version == 0 { HEADER_V0 } else { HEADER }.min(len);
        let sections = sections::map(0, len, &[(0..header, SectionKind::Header)], &tensors, 0);
        ModelFile {
            format: FormatId::Llama2c,
            version: Version::counted(u64::from(stated.version)),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

#[derive(Default, Clone, Copy)]
struct Stated {
    version: u32,
    dim: u64,
    hidden: u64,
    layers: u64,
    heads: u64,
    kv_heads: u64,
    vocab: u64,
    context: u64,
    shared: bool,
    group: u64,
}

type Listed = (String, Vec<u64>, Encoding, u64, u64);

impl Stated {
    fn read(file: &Window) -> Result<Self, Stop> {
        let mut cursor = Cursor::new(file, 0, false);
        let mut version = 0;
        if cursor.u32()? == MAGIC {
            version = cursor.u32()?;
            if !(1..=2).contains(&version) {
                return Err(Fault::unsupported(format!("llama2.c version {version}; 0 to 2 are known"))
                    .at(4)
                    .in_file(file.name())
                    .into());
            }
        } else {
            cursor.seek(0);
        }
        let mut n = [0i32; 7];
        for value in &mut n {
            *value = cursor.i32()?;
        }
        // In version 0 a negative vocabulary says that the classifier has weights of its own.
        let mut shared = n[5] > 0;
        let mut group = 0;
        if version > 0 {
            shared = cursor.u8()? != 0;
            group = if version == 2 { u64::from(cursor.u32()?) } else { 0 };
        }
        let size = |i: usize| u64::from(n[i].unsigned_abs());
        let found = Self {
            version,
            dim: size(0),
            hidden: size(1),
            layers: size(2),
            heads: size(3),
            kv_heads: size(4),
            vocab: size(5),
            context: size(6),
            shared,
            group,
        };
        let signs = n.iter().enumerate().all(|(i, v)| *v > 0 || i == 5 && version == 0 && *v < 0);
        let sane = signs && found.layers <= LAYERS_MOST && found.heads > 0 && found.dim.is_multiple_of(found.heads);
        if !sane || found.kv_heads > found.heads {
            return Err(Fault::file(0, "seven positive numbers of a llama model expected").in_file(file.name()).into());
        }
        Ok(found)
    }
    fn numbers(&self) -> [u64; 7] {
        [self.dim, self.hidden, self.layers, self.heads, self.kv_heads, self.vocab, self.context]
    }
    /// All tensors in the file's order, and where the last one ends; `None` beyond 64 bits.
    fn tensors(&self) -> Option<(Vec<Listed>, u64)> {
        let (dim, hidden, vocab) = (self.dim, self.hidden, self.vocab);
        let head = dim.checked_div(self.heads)?;
        let kv = head * self.kv_heads;
        let mut list = List { out: Vec::new(), at: if self.version == 0 { HEADER_V0 } else { HEADER } };
        let each = |name: &'static str| (0..self.layers).map(move |i| format!("layers.{i}.{name}.weight"));
        let matrices: [(&'static str, [u64; 2]); 7] = [
            ("attention.wq", [dim, dim]),
            ("attention.wk", [kv, dim]),
            ("attention.wv", [kv, dim]),
            ("attention.wo", [dim, dim]),
            ("feed_forward.w1", [hidden, dim]),
            ("feed_forward.w2", [dim, hidden]),
            ("feed_forward.w3", [hidden, dim]),
        ];
        if self.version == 0 {
            list.plain("tok_embeddings.weight".into(), &[vocab, dim])?;
        }
        if self.version > 0 {
            for name in each("attention_norm").chain(each("ffn_norm")) {
                list.plain(name, &[dim])?;
            }
            list.plain("norm.weight".into(), &[dim])?;
            list.weight(self.group, "tok_embeddings.weight".into(), [vocab, dim])?;
        }
        for (i, (name, shape)) in matrices.into_iter().enumerate() {
            if self.version == 0 && matches!(i, 0 | 4) {
                for norm in each(if i == 0 { "attention_norm" } else { "ffn_norm" }) {
                    list.plain(norm, &[dim])?;
                }
            }
            for name in each(name) {
                list.weight(self.group, name, shape)?;
            }
        }
        if self.version == 0 {
            list.plain("norm.weight".into(), &[dim])?;
            list.plain("freqs_cos".into(), &[self.context, head / 2])?;
            list.plain("freqs_sin".into(), &[self.context, head / 2])?;
        }
        if !self.shared {
            list.weight(self.group, "output.weight".into(), [vocab, dim])?;
        }
        Some((list.out, list.at))
    }
}

struct List {
    out: Vec<Listed>,
    at: u64,
}

impl List {
    fn push(&mut self, name: String, shape: &[u64], encoding: Encoding, width: u64) -> Option<()> {
        let bytes = Shape(shape.to_vec()).elements()?.checked_mul(width)?;
        let next = self.at.checked_add(bytes)?;
        self.out.push((name, shape.to_vec(), encoding, self.at, bytes));
        self.at = next;
        Some(())
    }
    fn plain(&mut self, name: String, shape: &[u64]) -> Option<()> {
        self.push(name, shape, Encoding::F32, 4)
    }
    /// A matrix: f32, or int8 with a scale for each group.
    fn weight(&mut self, group: u64, name: String, shape: [u64; 2]) -> Option<()> {
        if group == 0 {
            return self.plain(name, &shape);
        }
        let scales = shape[0].checked_mul(shape[1])?.checked_div(group)?;
        self.push(name.clone(), &shape, Encoding::I8, 1)?;
        self.push(format!("{name}.scales"), &[scales], Encoding::F32, 4)
    }
}
