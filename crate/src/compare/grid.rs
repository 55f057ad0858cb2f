//! Layers by parts: where in a model the differences are.

use std::collections::BTreeMap;

use super::{
    parts::rank,
    tensors::{Row, State},
};

/// Columns at most; parts beyond are left out.
const COLUMNS: usize = 64;

/// Rows of layers, columns of parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// What the columns are: "attn q", "ffn down".
    pub parts: Vec<String>,
    /// The layers.
    pub rows: Vec<GridRow>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq)]
pub struct GridRow {
    /// Which.
    pub layer: u32,
    /// A cell for each part; none where the layer has no such.
    pub cells: Vec<Option<Cell>>,
}

/// A part of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The worst of what became of its tensors.
    pub state: State,
    /// The largest of their relative errors.
    pub relative_error: Option<f64>,
}

/// How bad a state is.
fn severity(state: State) -> u8 {
    match state {
        State::OtherForm => 0,
        State::Equal => 1,
        State::Alike => 2,
        State::Converted => 3,
        State::Rounded => 4,
        State::Unread => 5,
        State::Unmatched => 6,
        State::OnlyA => 7,
        State::OnlyB => 8,
        State::Changed => 9,
    }
}

impl Grid {
    /// Of the tensors of layers.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for row in rows.iter().filter(|r| r.layer.is_some()) {
            if !parts.contains(&row.part) && parts.len() < COLUMNS {
                parts.push(row.part.clone());
            }
        }
        parts.sort_by_key(|part| rank(part));
        let mut layers: BTreeMap<u32, Vec<Option<Cell>>> = BTreeMap::new();
        for row in rows {
            let (Some(layer), Some(column)) = (row.layer, parts.iter().position(|part| *part == row.part)) else {
                continue;
            };
            let cells = layers.entry(layer).or_insert_with(|| vec![None; parts.len()]);
            let new = Cell { state: row.state, relative_error: row.measured.and_then(|m| m.relative_error) };
            if let Some(cell) = cells.get_mut(column) {
                *cell = Some(match *cell {
                    None => new,
                    Some(old) => Cell {
                        state: if severity(new.state) > severity(old.state) { new.state } else { old.state },
                        relative_error: match (old.relative_error, new.relative_error) {
                            (Some(a), Some(b)) => Some(a.max(b)),
                            (a, b) => a.or(b),
                        },
                    },
                });
            }
        }
        let rows = layers.into_iter().map(|(layer, cells)| GridRow { layer, cells }).collect();
        Self { parts, rows }
    }
}
