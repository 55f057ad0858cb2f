//! Tensors of a GGUF file under the names that transformers knows, where it is one of the architectures whose names are sure.

use super::{Options, config, layout, layout::Line};
use crate::{
    arch::{Architecture, Form, Key, Numbers, Role, Row, Slots},
    convert::{
        take::{Map, Order, Take},
        values::Stream,
    },
    fault::{Blame, Fault, Result},
    model::{ModelFile, TensorEntry},
    source::SourceSet,
    tensor::{Encoding, Shape},
};

/// Values of a vector that are tried for whether a narrower encoding keeps them.
const TRIED_MOST: u64 = 16 << 20;

/// The lines of a GGUF file, and its configuration.
pub(super) async fn lines(
    files: &SourceSet,
    model: &ModelFile,
    options: &Options,
    beside: &mut Vec<(String, Vec<u8>)>,
    notes: &mut Vec<String>,
) -> Result<Vec<Line>> {
    let numbers = Numbers::of(model).filter(|n| n.architecture().is_some());
    let family = numbers.as_ref().and_then(config::find);
    let main = options.kind.unwrap_or_else(|| main(model));
    let (Some(numbers), Some(family)) = (numbers, family) else {
        let named = model.metadata.string("general.architecture").unwrap_or("no name");
        notes.push(format!("the names of {named} in folders are not sure: tensors keep the names of the file, and no config.json is written"));
        return model.tensors.iter().enumerate().map(|(i, t)| super::plain(i, t, options)).collect();
    };
    let architecture = numbers.architecture().ok_or_else(|| Fault::bug("an architecture that is gone"))?;
    let back = Back { numbers: &numbers, architecture, rows: architecture.rows().collect(), stacked: family.stacked };
    let slots = Slots::new(architecture, Form::Gguf);
    let mut all = Vec::new();
    for (i, entry) in model.tensors.iter().enumerate() {
        let slot = slots.find(&entry.name);
        let row = slot.and_then(|slot| back.rows.get(slot.row?).copied());
        let (Some(slot), Some(row)) = (slot, row) else {
            return Err(Fault::unsupported(format!("{} has no name in folders of {}", entry.name, architecture.name)));
        };
        if row.role == Role::RopeFactors {
            continue;
        }
        for (name, shape, take) in back.pieces(row, slot.layer.unwrap_or(0), slot.bias, i, entry)? {
            // A vector that was single precision in the folder stays so.
            let narrow = options.kind.is_some() || shape.0.len() > 1 || kept(files, model, &take, main, &name).await?;
            all.push(layout::line(name, shape, if narrow { main } else { Encoding::F32 }, take)?);
        }
    }
    let config = config::write(files, &numbers, &family, main).await?;
    beside.push(("config.json".to_owned(), config));
    notes.push("the tokenizer stays in the GGUF file: a folder needs the original's tokenizer files".to_owned());
    Ok(all)
}

/// What the first matrix is, if folders have such weights.
fn main(model: &ModelFile) -> Encoding {
    let first = model.tensors.iter().find(|t| t.shape.0.len() > 1).map(|t| t.encoding);
    first.filter(|e| matches!(e, Encoding::BF16 | Encoding::F16)).unwrap_or(Encoding::F32)
}

/// Whether a narrower encoding keeps every value.
async fn kept(files: &SourceSet, model: &ModelFile, take: &Take, to: Encoding, name: &str) -> Result<bool> {
    if to == Encoding::F32 {
        return Ok(true);
    }
    if take.all_rows().saturating_mul(take.row_len()) > TRIED_MOST {
        return Ok(false);
    }
    let mut wide = Vec::new();
    Stream::of(files, model, take, Encoding::F32, name)?
        .write(&mut |bytes| {
            wide.extend_from_slice(bytes);
            Ok(())
        })
        .await?;
    let values: Vec<f32> = wide.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let codec = to.spec().and_then(|s| Some((s.encode?, s.decode?, s.block_bytes as usize)));
    let Some((encode, decode, width)) = codec else { return Ok(false) };
    let (mut narrow, mut again) = (vec![0; values.len() * width], vec![0f32; values.len()]);
    encode(&values, &mut narrow);
    decode(&narrow, &mut again);
    Ok(values.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()))
}

/// The way back from a GGUF file.
struct Back<'a> {
    numbers: &'a Numbers<'a>,
    architecture: &'static Architecture,
    rows: Vec<&'static Row>,
    /// What experts' names hold: "block_sparse_moe" for Mixtral.
    stacked: Option<&'static str>,
}

impl Back<'_> {
    /// The name of a role in folders.
    fn name(&self, row: &Row, layer: u32, end: &str) -> Result<String> {
        let names = row.names(Form::Folder);
        let of_family = self.stacked.and_then(|word| names.iter().find(|n| n.contains(word)));
        let pattern = of_family.or(names.first());
        let pattern = pattern.ok_or_else(|| Fault::unsupported(format!("{:?} has no name in folders", row.role)))?;
        let prefix = if row.role == Role::Output { "" } else { "model." };
        Ok(format!("{prefix}{}{end}", pattern.replace("{l}", &layer.to_string())))
    }
    /// What becomes of a tensor: itself, or one for each expert.
    fn pieces(
        &self,
        row: &Row,
        layer: u32,
        bias: bool,
        tensor: usize,
        entry: &TensorEntry,
    ) -> Result<Vec<(String, Shape, Take)>> {
        let name = self.name(row, layer, if bias { ".bias" } else { ".weight" })?;
        let dims = &entry.shape.0;
        let row_len = if dims.len() > 1 { entry.shape.row_len().max(1) } else { 1 };
        let all = entry.shape.elements().map(|n| n / row_len);
        let rows = all.ok_or_else(|| Fault::limit(format!("{} is too large", entry.name)))?;
        let mut take = Take::all(tensor, rows, row_len);
        if !bias && row.folder.plus != 0.0 {
            take.map = Map::Plus(-row.folder.plus);
        }
        if row.folder.by_input || row.folder.by_head {
            return Err(Fault::unsupported(format!("{} lies otherwise in folders: not yet", entry.name)));
        }
        if matches!(row.role, Role::AttnQ | Role::AttnK) && self.architecture.rearranges_heads() {
            let key = if row.role == Role::AttnQ { Key::Heads } else { Key::KvHeads };
            let heads = self.numbers.at(key, layer).filter(|n| *n > 0).ok_or_else(|| self.numbers.missing(key))?;
            take.order = Order::Halved { head: rows / heads };
        }
        if !take.fits() {
            let what = format!("{} of shape {} is not what the metadata says", entry.name, entry.shape);
            return Err(Fault::new(Blame::File, what));
        }
        match (name.contains("{e}"), dims.as_slice()) {
            (false, _) => Ok(vec![(name, entry.shape.clone(), take)]),
            (true, &[experts, rows, row_len]) => {
                let one = |e: u64| {
                    let order = Order::From { first: e * rows, step: 1 };
                    let take = Take { rows, order, ..take.clone() };
                    (name.replace("{e}", &e.to_string()), Shape(vec![rows, row_len]), take)
                };
                Ok((0..experts).map(one).collect())
            }
            _ => Err(Fault::new(Blame::File, format!("{}: a stack of experts expected", entry.name))),
        }
    }
}
