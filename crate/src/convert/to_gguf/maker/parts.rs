//! Fused tensors, which become several.

use super::Maker;
use crate::{
    arch::{Key, Role, Row, Slot},
    convert::take::{Order, Take},
    fault::{Blame, Fault, Result},
    tensor::Shape,
};

impl Maker<'_> {
    /// A tensor that becomes several, or one of another name.
    pub(super) fn parts(
        &mut self,
        row: &'static Row,
        slot: &Slot,
        tensor: usize,
        shape: &[u64],
        take: Take,
    ) -> Result<()> {
        let layer = slot.layer.unwrap_or(0);
        let wrong =
            || Fault::new(Blame::File, format!("{:?} of shape {} cannot be parted", row.role, Shape(shape.to_vec())));
        // Gates and ups in turn, or all gates first.
        let in_turn = self.gguf == "gpt-oss";
        match (row.role, shape) {
            (Role::GateUpExperts, &[experts, a, b]) => {
                let (rows, row_len) = if row.folder.by_input { (b, a) } else { (a, b) };
                let half = rows / 2;
                for (part, role) in [Role::GateExperts, Role::UpExperts].into_iter().enumerate() {
                    let first = part as u64 * if in_turn { 1 } else { half };
                    let order = Order::From { first, step: if in_turn { 2 } else { 1 } };
                    let (stored, turned) = ((a, b), row.folder.by_input);
                    let take = Take { matrices: experts, stored, turned, rows: half, order, ..take.clone() };
                    self.push(self.name(role, layer, ".weight")?, vec![experts, half, row_len], take)?;
                }
                Ok(())
            }
            (Role::GateUpExpertsBias, &[experts, rows]) => {
                let half = rows / 2;
                for (part, role) in [Role::GateExperts, Role::UpExperts].into_iter().enumerate() {
                    let first = part as u64 * if in_turn { 1 } else { half };
                    let order = Order::From { first, step: if in_turn { 2 } else { 1 } };
                    let take = Take { matrices: experts, stored: (rows, 1), rows: half, order, ..take.clone() };
                    self.push(self.name(role, layer, ".bias")?, vec![experts, half], take)?;
                }
                Ok(())
            }
            (Role::DownExpertsBias, _) => {
                self.push(self.name(Role::DownExperts, layer, ".bias")?, shape.to_vec(), take)
            }
            (Role::SsmDtBias, _) => self.push(self.name(Role::SsmDt, layer, ".bias")?, shape.to_vec(), take),
            (Role::SharedGateUp, &[rows, row_len]) => {
                self.halves([Role::SharedGate, Role::SharedUp], layer, [rows, row_len], &take)
            }
            (Role::FfnGateUp, &[rows, row_len]) if self.entry(tensor)?.name.contains("shared_mlp") => {
                self.halves([Role::FfnGate, Role::FfnUp], layer, [rows, row_len], &take)
            }
            (Role::FfnGateUp, _) => {
                let name = self.name(Role::FfnGateUp, layer, if slot.bias { ".bias" } else { ".weight" })?;
                self.push(name, shape.to_vec(), take)
            }
            (Role::KvHigh, &[rows, rank]) => {
                let heads = self.heads(Key::Heads, layer)?;
                let (still, values) = (self.config.need(&["qk_nope_head_dim"])?, self.config.need(&["v_head_dim"])?);
                if heads.checked_mul(still + values) != Some(rows) {
                    return Err(wrong());
                }
                let of = Take { matrices: heads, stored: (still + values, rank), ..take };
                // Keys are stored turned. Their columns are those of the first rows alone.
                self.push_turned_part(self.name(Role::KHigh, layer, ".weight")?, &of, still)?;
                let order = Order::From { first: still, step: 1 };
                let take = Take { rows: values, order, ..of };
                self.push(self.name(Role::VHigh, layer, ".weight")?, vec![heads, values, rank], take)
            }
            _ => Err(wrong()),
        }
    }
    /// Queries, keys, values and gates of a delta net, which lie together by key head: the first three become one tensor.
    pub(super) fn delta_net(&mut self, layer: u32, [rows, row_len]: [u64; 2], take: &Take) -> Result<()> {
        let (groups, values) = (self.heads(Key::SsmGroups, layer)?, self.heads(Key::SsmHeads, layer)?);
        let (key, value) = (self.heads(Key::SsmSize, layer)?, self.heads(Key::SsmHeadDim, layer)?);
        let wide = values / groups * value;
        let sizes = [key, key, wide, wide];
        if groups.checked_mul(sizes.iter().sum()) != Some(rows) {
            let what = format!("layer {layer}: a fused map of {rows} rows is not {groups} groups of {sizes:?}");
            return Err(Fault::new(Blame::File, what));
        }
        for (first, rows, role) in [(0, groups * (2 * key + wide), Role::AttnQkv), (3, groups * wide, Role::AttnGate)] {
            let order = Order::Sorted { groups, sizes, first };
            let take = Take { rows, order, ..take.clone() };
            self.push(self.name(role, layer, ".weight")?, vec![rows, row_len], take)?;
        }
        Ok(())
    }
    /// Value heads of a delta net come in turn of their key heads, so that a repeated key meets them.
    pub(super) fn tile(&self, role: Role, layer: u32, take: &mut Take) -> Result<()> {
        let delta = matches!(
            role,
            Role::AttnQkv
                | Role::AttnGate
                | Role::SsmConv
                | Role::SsmOut
                | Role::SsmAlpha
                | Role::SsmBeta
                | Role::SsmA
                | Role::SsmDtBias
        );
        if !delta {
            return Ok(());
        }
        let (groups, values) = (self.heads(Key::SsmGroups, layer)?, self.heads(Key::SsmHeads, layer)?);
        let (key, value) = (self.heads(Key::SsmSize, layer)?, self.heads(Key::SsmHeadDim, layer)?);
        if groups == values {
            return Ok(());
        }
        let tiled = |first, head| Order::Tiled { first, groups, heads: values / groups, head };
        match role {
            Role::AttnQkv | Role::SsmConv => take.order = tiled(2 * key * groups, value),
            Role::AttnGate => take.order = tiled(0, value),
            Role::SsmOut => take.columns = tiled(0, value),
            _ => take.order = tiled(0, 1),
        }
        Ok(())
    }
    /// The first and the second half of a fused matrix.
    fn halves(&mut self, roles: [Role; 2], layer: u32, [rows, row_len]: [u64; 2], take: &Take) -> Result<()> {
        let half = rows / 2;
        for (part, role) in roles.into_iter().enumerate() {
            let order = Order::From { first: part as u64 * half, step: 1 };
            let take = Take { rows: half, order, ..take.clone() };
            self.push(self.name(role, layer, ".weight")?, vec![half, row_len], take)?;
        }
        Ok(())
    }
    /// The first rows of each matrix, turned.
    fn push_turned_part(&mut self, name: String, of: &Take, first: u64) -> Result<()> {
        let shape = vec![of.matrices, of.stored.1, first];
        let take = Take { turned: true, rows: of.stored.1, kept: Some(first), ..of.clone() };
        self.push(name, shape, take)
    }
}
