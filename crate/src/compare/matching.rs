//! Which tensor of one model is which of the other.

use std::collections::HashMap;

use crate::{
    arch::{Form, Numbers, Slots, canonical},
    fault::Result,
    model::{FormatId, ModelFile},
    session::Inspection,
};

use super::{
    parts::{of_role, part},
    units::{Known, Place},
};

/// Values by which tensors of other names are recognised.
const SAMPLE: u64 = 1024;
/// Tensors without a counterpart that are sampled at most, on each side.
const SAMPLED: usize = 4096;

/// One thing on both sides, or on one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pair {
    /// A tensor each, value by value in their order.
    Tensors { a: usize, b: usize, renamed: bool },
    /// A weight of the forward pass each: indexes into the units.
    Units { a: usize, b: usize },
    /// A tensor of one side.
    Single { tensor: usize, first: bool, why: Why },
}

/// Why a tensor stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The other side has none like it.
    Missing,
    /// The other side keeps it in another way, or not at all, by its form.
    OtherForm(&'static str),
    /// It cannot be said what it would be there.
    Unmatched(String),
}

/// Two models and what is known of each.
pub(super) struct Sides<'a> {
    pub(super) a: Side<'a>,
    pub(super) b: Side<'a>,
}

/// One of them.
pub(super) struct Side<'a> {
    pub(super) inspection: &'a Inspection,
    pub(super) form: Option<Form>,
    pub(super) known: Result<Known>,
    slots: Option<(Slots, Vec<crate::arch::Role>)>,
    /// What the units of the forward pass call each tensor.
    named: HashMap<usize, (Option<u32>, String)>,
}

impl<'a> Side<'a> {
    pub(super) fn of(inspection: &'a Inspection) -> Self {
        let model = inspection.model();
        let form = Form::of(model);
        let known = Known::of(model);
        let architecture = Numbers::of(model).and_then(|n| n.architecture()).zip(form);
        let slots = architecture.map(|(a, form)| (Slots::new(a, form), a.rows().map(|row| row.role).collect()));
        let mut named: HashMap<usize, (Option<u32>, String)> = HashMap::new();
        for unit in known.iter().flat_map(|k| &k.units) {
            for tensor in unit.tensors() {
                let of =
                    if unit.weight.sources.len() > 1 { unit.part() } else { part(unit.role, 0, 0, unit.place.bias) };
                named.entry(tensor).or_insert((unit.place.layer, of));
            }
        }
        Self { inspection, form, known, slots, named }
    }
    pub(super) fn model(&self) -> &'a ModelFile {
        self.inspection.model()
    }
    fn name(&self, tensor: usize) -> &'a str {
        self.model().tensors.get(tensor).map_or("", |t| t.name.as_str())
    }
    /// The layer of a tensor and what it is called there.
    pub(super) fn place(&self, tensor: usize) -> (Option<u32>, String) {
        if let Some((layer, part)) = self.named.get(&tensor) {
            return (*layer, part.clone());
        }
        let name = self.name(tensor);
        let slot = self.slots.as_ref().and_then(|(slots, roles)| {
            let slot = slots.find(name)?;
            Some((slot.layer, slot.row.and_then(|row| roles.get(row)).copied()?, slot.bias))
        });
        match slot {
            Some((layer, role, bias)) => (layer, of_role(role) + if bias { " bias" } else { "" }),
            None => by_name(name),
        }
    }
    /// True for tensors that no forward pass of the architecture reads.
    fn is_extra(&self, tensor: usize) -> bool {
        let slot = self.slots.as_ref().and_then(|(slots, _)| slots.find(self.name(tensor)));
        slot.is_some_and(|s| s.row.is_none())
    }
}

/// The layer that a name tells by its first number, and what follows it.
fn by_name(name: &str) -> (Option<u32>, String) {
    let mut rest = name;
    while let Some((word, after)) = rest.split_once('.') {
        if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
            let part = after.strip_suffix(".weight").unwrap_or(after);
            return (word.parse().ok(), part.to_owned());
        }
        rest = after;
    }
    (None, name.strip_suffix(".weight").unwrap_or(name).to_owned())
}

impl<'a> Sides<'a> {
    /// True where one is a GGUF file and the other a folder: names and arrangements differ by convention.
    pub(super) fn differ_in_form(&self) -> bool {
        matches!((self.a.form, self.b.form), (Some(a), Some(b)) if a != b)
            || (self.a.model().format == FormatId::Gguf) != (self.b.model().format == FormatId::Gguf)
    }
    /// True where both are GGUF files, both folders, or both files of one format: what one has and the other lacks is a difference.
    pub(super) fn are_of_one_kind(&self) -> bool {
        let kind = |format| if format == FormatId::PyTorch { FormatId::Safetensors } else { format };
        self.a.form == self.b.form && kind(self.a.model().format) == kind(self.b.model().format)
    }
    /// All pairs, in the order of the first side; then what the second has beyond.
    pub(super) async fn pairs(&self, read: bool) -> Result<Vec<Pair>> {
        let mut used = [vec![false; self.a.model().tensors.len()], vec![false; self.b.model().tensors.len()]];
        let mut pairs = Vec::new();
        if !self.differ_in_form() {
            self.by_names(&mut used, &mut pairs);
        }
        let left = |used: &[Vec<bool>; 2]| used.iter().all(|side| side.contains(&false));
        if left(&used) {
            self.by_units(&mut used, &mut pairs);
        }
        if !self.differ_in_form() && read && left(&used) {
            self.by_values(&mut used, &mut pairs).await?;
        }
        for (first, side) in [(true, &self.a), (false, &self.b)] {
            for (tensor, _) in used[usize::from(!first)].iter().enumerate().filter(|(_, used)| !**used) {
                pairs.push(Pair::Single { tensor, first, why: self.why(side, first, tensor) });
            }
        }
        Ok(pairs)
    }
    fn by_names(&self, used: &mut [Vec<bool>; 2], pairs: &mut Vec<Pair>) {
        let plain = |side: &Side<'a>, name: &'a str| -> &'a str {
            // Names of graphs and other formats have none of the prefixes.
            let folder = matches!(side.model().format, FormatId::Safetensors | FormatId::PyTorch | FormatId::Ggml);
            canonical(if folder { Form::Folder } else { Form::Gguf }, name)
        };
        for exact in [true, false] {
            let key = |side: &Side<'a>, tensor: usize| match exact {
                true => side.name(tensor),
                false => plain(side, side.name(tensor)),
            };
            let mut of_b: HashMap<&str, usize> = HashMap::new();
            for tensor in (0..used[1].len()).filter(|t| !used[1][*t]) {
                of_b.entry(key(&self.b, tensor)).or_insert(tensor);
            }
            for a in 0..used[0].len() {
                let found = if used[0][a] { None } else { of_b.remove(key(&self.a, a)) };
                if let Some(b) = found {
                    (used[0][a], used[1][b]) = (true, true);
                    pairs.push(Pair::Tensors { a, b, renamed: !exact });
                }
            }
        }
    }
    /// Weights of the two forward passes that have the same place.
    fn by_units(&self, used: &mut [Vec<bool>; 2], pairs: &mut Vec<Pair>) {
        let (Ok(a), Ok(b)) = (&self.a.known, &self.b.known) else { return };
        let free = |known: &Known, used: &[bool]| -> Vec<usize> {
            let is = |tensor: &usize| !used.get(*tensor).copied().unwrap_or(true);
            (0..known.units.len()).filter(|u| known.units[*u].tensors().iter().all(is)).collect()
        };
        let (free_a, free_b) = (free(a, &used[0]), free(b, &used[1]));
        let of_b: HashMap<Place, usize> = free_b.iter().map(|u| (b.units[*u].place, *u)).collect();
        for unit in free_a {
            let one = &a.units[unit];
            let found = of_b.get(&one.place).copied().or_else(|| {
                // Of another number of parts: the one of the same role, where there is one alone.
                let same = |u: &&usize| {
                    let other = &b.units[**u];
                    let (p, o) = (one.place, other.place);
                    other.role == one.role && (p.layer, p.bias) == (o.layer, o.bias) && p.of != o.of
                };
                let mut all = free_b.iter().filter(same);
                all.next().copied().filter(|_| all.next().is_none())
            });
            let Some(found) = found else { continue };
            one.tensors().iter().for_each(|t| used[0][*t] = true);
            b.units[found].tensors().iter().for_each(|t| used[1][*t] = true);
            pairs.push(Pair::Units { a: unit, b: found });
        }
    }
    /// Tensors of other names and the same shape whose first values are the same.
    async fn by_values(&self, used: &mut [Vec<bool>; 2], pairs: &mut Vec<Pair>) -> Result<()> {
        let free = |used: &[bool]| -> Vec<usize> { (0..used.len()).filter(|t| !used[*t]).take(SAMPLED).collect() };
        let mut samples: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
        for tensor in free(&used[1]) {
            if let Some(sample) = sample(self.b.inspection, tensor).await? {
                samples.entry(sample).or_default().push(tensor);
            }
        }
        for a in free(&used[0]) {
            let Some(sample) = sample(self.a.inspection, a).await? else { continue };
            let Some(found) = samples.get_mut(&sample) else { continue };
            let shape = &self.a.model().tensors[a].shape;
            let alike = |b: &usize| {
                let (own, other) = (self.a.name(a).rsplit('.'), self.b.name(*b).rsplit('.'));
                own.zip(other).take_while(|(x, y)| x == y).count()
            };
            let fits = |b: &&usize| self.b.model().tensors[**b].shape == *shape;
            let Some(b) = found.iter().filter(fits).max_by_key(|b| alike(b)).copied() else { continue };
            found.retain(|other| *other != b);
            (used[0][a], used[1][b]) = (true, true);
            pairs.push(Pair::Tensors { a, b, renamed: true });
        }
        Ok(())
    }
    fn why(&self, side: &Side<'a>, first: bool, tensor: usize) -> Why {
        if !self.differ_in_form() {
            return Why::Missing;
        }
        let other = if first { &self.b } else { &self.a };
        if side.is_extra(tensor) {
            return Why::OtherForm("no forward pass reads it, and the other form leaves such tensors out");
        }
        let (known, others) = match (&side.known, &other.known) {
            (Ok(known), Ok(others)) => (known, others),
            (Err(fault), _) | (_, Err(fault)) => return Why::Unmatched(fault.what.clone()),
        };
        if known.factors.contains(&tensor) {
            return Why::OtherForm("rotary factors: a folder states them in its configuration");
        }
        let mut own = known.units.iter().filter(|u| u.tensors().contains(&tensor)).peekable();
        if own.peek().is_none() {
            let (_, part) = side.place(tensor);
            return match part.as_str() {
                "output" if known.hparams.tied != Some(false) => {
                    Why::OtherForm("the output head is the embedding: it is not read")
                }
                _ => Why::Unmatched("its forward pass does not read it".into()),
            };
        }
        let there = |p: Place| {
            let same = |o: &Place| (o.layer, o.family, o.bias) == (p.layer, p.family, p.bias);
            others.units.iter().any(|u| same(&u.place))
        };
        match own.any(|unit| there(unit.place)) {
            true => Why::Unmatched("the other side has another number of such weights".into()),
            false => Why::Missing,
        }
    }
}

/// Bits of the first values of a tensor; none where it cannot be read, or has too few to be recognised by.
async fn sample(inspection: &Inspection, tensor: usize) -> Result<Option<Vec<u32>>> {
    let Ok(values) = inspection.tensor_values(tensor) else { return Ok(None) };
    if values.elements() < 2 {
        return Ok(None);
    }
    let read = values.read(0..values.elements().min(SAMPLE)).await?;
    Ok(Some(read.iter().map(|v| v.to_bits()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_layer_by_its_first_number() {
        assert_eq!(by_name("encoder.layers.3.fc1.weight"), (Some(3), "fc1".into()));
        assert_eq!(by_name("head.bias"), (None, "head.bias".into()));
        assert_eq!(by_name("a.99999999999.b").0, None);
    }
}
