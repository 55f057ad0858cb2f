//! What a model's forward pass reads, weight by weight, named so that the same weight of another form has the same name.

use std::collections::HashMap;

use crate::{
    arch::{self, Architecture, Hparams, Numbers, Role, Slots},
    fault::{Fault, Result},
    ir::{DType, Dim, Fact, Pairing, Weight},
    model::ModelFile,
};

use super::{
    parts::{Family, family, part},
    stream::{Order, Turn},
};

/// A model whose forward pass is known.
pub(super) struct Known {
    pub(super) architecture: &'static Architecture,
    pub(super) hparams: Hparams,
    pub(super) units: Vec<Unit>,
    /// Tensors that angles are worked out from.
    pub(super) factors: Vec<usize>,
}

/// A weight of the forward pass.
pub(super) struct Unit {
    pub(super) weight: Weight,
    pub(super) role: Role,
    pub(super) place: Place,
}

/// Which weight it is: the nth of a family in its layer, as the forward pass reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) layer: Option<u32>,
    pub(super) family: Family,
    pub(super) bias: bool,
    pub(super) nth: u32,
    /// How many of the family there are in the layer.
    pub(super) of: u32,
}

impl Unit {
    /// The tensors that it is read from, each once.
    pub(super) fn tensors(&self) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        for tensor in self.weight.sources.iter().flat_map(|s| s.tensors()) {
            if !all.contains(&tensor) {
                all.push(tensor);
            }
        }
        all
    }
    /// What it is called in tables: "attn q".
    pub(super) fn part(&self) -> String {
        part(self.role, self.place.nth, self.place.of, self.place.bias)
    }
    /// Its shape as the forward pass sees it.
    pub(super) fn shape(&self) -> Vec<u64> {
        self.weight.fact.shape.iter().map(|d| if let Dim::Fixed(n) = d { u64::from(*n) } else { 0 }).collect()
    }
}

impl Known {
    /// The weights of a model.
    ///
    /// # Errors
    /// Its forward pass cannot be built.
    pub(super) fn of(model: &ModelFile) -> Result<Self> {
        let numbers = Numbers::of(model).ok_or_else(|| Fault::unsupported("nothing states its architecture"))?;
        let built = arch::build(model)?;
        let architecture = numbers.architecture().ok_or_else(|| Fault::bug("a built model has an architecture"))?;
        let slots = Slots::new(architecture, numbers.form());
        let rows: Vec<_> = architecture.rows().collect();
        let mut units: Vec<Unit> = Vec::new();
        let mut counts: HashMap<(Option<u32>, Family, bool), u32> = HashMap::new();
        for weight in built.graph.weights.iter().flat_map(by_role(model, &slots)) {
            let Some(name) = weight.sources.first().and_then(|s| model.tensors.get(s.tensor)).map(|t| &t.name) else {
                continue;
            };
            let Some(slot) = slots.find(name) else { continue };
            let Some(role) = slot.row.and_then(|row| rows.get(row)).map(|row| row.role) else { continue };
            let (family, bias) = family(role, slot.bias);
            let count = counts.entry((slot.layer, family, bias)).or_default();
            units.push(Unit { weight, role, place: Place { layer: slot.layer, family, bias, nth: *count, of: 0 } });
            *count += 1;
        }
        for Unit { place, .. } in &mut units {
            place.of = counts.get(&(place.layer, place.family, place.bias)).copied().unwrap_or(1);
        }
        let factors = built.graph.rotations.iter().flat_map(|r| r.tensors()).collect();
        Ok(Self { architecture, hparams: built.hparams, units, factors })
    }
    /// What turns this model's weight into that of another one.
    pub(super) fn turn(&self, unit: &Unit, other: &Self) -> Turn {
        let mut turn = Turn::default();
        let (h, o) = (&self.hparams, &other.hparams);
        let layer = unit.place.layer.unwrap_or(0);
        if h.pairing == Pairing::Interleaved && o.pairing == Pairing::Halves && unit.is_rotated(self) {
            let local = h.local_rope.as_ref().filter(|_| h.windowed.at(layer));
            let head = u64::from(h.head_dim.at(layer));
            // Layers that do not rotate have the rows of those that do.
            let dims = local.or(h.rope.as_ref()).map_or(head, |r| u64::from(r.dims)).min(head);
            if head > 0 {
                turn.rows = Some(Order::Halves { head, dims });
            }
        }
        let (Some(ssm), Some(others)) = (&h.ssm, &o.ssm) else { return turn };
        turn.log = unit.role == Role::SsmA && ssm.log && !others.log;
        if !ssm.tiled || others.tiled || ssm.groups == 0 || ssm.heads % ssm.groups != 0 {
            return turn;
        }
        let [groups, each] = [ssm.groups, ssm.heads / ssm.groups].map(u64::from);
        let width = u64::from(ssm.head_dim());
        let keys = 2 * groups * u64::from(ssm.size);
        let order = |first, block| Some(Order::Grouped { first, block, groups, each });
        match (unit.place.family, unit.role) {
            // Queries and keys stand before the values; gates are by value head too.
            (Family::Inputs, _) if unit.place.of == 2 && unit.place.nth == 0 => turn.rows = order(keys, width),
            (Family::Inputs, _) if unit.place.of == 2 => turn.rows = order(0, width),
            (_, Role::SsmConv) if !unit.place.bias => {
                let taps = u64::from(ssm.taps);
                turn.rows = order(keys * taps, width * taps);
            }
            (Family::Gates | Family::Steps, _) | (_, Role::SsmA) => turn.rows = order(0, 1),
            (_, Role::SsmOut) => turn.columns = order(0, width),
            _ => {}
        }
        turn
    }
}

impl Unit {
    /// Rows of queries or keys that are rotated.
    fn is_rotated(&self, of: &Known) -> bool {
        match self.role {
            Role::AttnQ | Role::AttnK => true,
            Role::AttnQkv => of.architecture.rotary && self.place.of == 3 && self.place.nth < 2,
            _ => false,
        }
    }
}

/// A vector that is joined from tensors of several roles comes apart again.
fn by_role<'a>(model: &'a ModelFile, slots: &'a Slots) -> impl Fn(&'a Weight) -> Vec<Weight> + 'a {
    move |weight| {
        let slot = |tensor: usize| model.tensors.get(tensor).and_then(|t| slots.find(&t.name)).map(|s| (s.row, s.bias));
        let Some(first) = weight.sources.first() else { return Vec::new() };
        let alike = weight.sources.iter().all(|s| s.tensor == first.tensor || slot(s.tensor) == slot(first.tensor));
        if alike || weight.encoding().is_some() {
            return vec![weight.clone()];
        }
        let one = |source: &crate::ir::Source| Weight {
            fact: Fact::new(DType::F32, [Dim::Fixed(source.count())]),
            sources: vec![source.clone()],
            name: weight.name.clone(),
        };
        weight.sources.iter().map(one).collect()
    }
}
