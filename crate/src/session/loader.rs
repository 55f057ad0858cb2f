//! Weights from the files to the device, in pieces of whole rows.

use crate::{
    old_engine::{
        self,
        device::Device,
        plan::{Program, SlotKind, WeightLoad},
        weights::to_slot,
    },
    fault::{Fault, Result},
    model::Place,
};

use super::{Inspection, Progress};

/// Bytes in memory at a time, beyond what the device holds.
const PIECE: u64 = 4 << 20;

/// Streams every weight of `program` into `device`.
///
/// # Errors
/// A tensor is not here or cannot be read; the device refuses.
pub(super) async fn load_weights(
    inspection: &Inspection,
    program: &Program,
    device: &mut dyn Device,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let mut total = 0u64;
    for load in &program.weights {
        total += load.rows * row_bytes(inspection, load)?;
    }
    let mut done = 0;
    on_progress(Progress { what: "Loading weights", done, total });
    for load in &program.weights {
        let model = inspection.model();
        let entry = &model.tensors[load.tensor];
        let Place::Here { file, at } = &entry.place else {
            return Err(Fault::source(format!("the values of {} are not in the files given", entry.name)));
        };
        let name = &model.files[*file].name;
        let source = inspection.files().find(name).ok_or_else(|| Fault::bug("a file of the model is not open"))?;
        let row = row_bytes(inspection, load)?;
        let SlotKind::Weight { encoding: slot_encoding, .. } = program.slot(load.slot).kind else {
            return Err(Fault::bug("a weight is loaded into a slot that holds none"));
        };
        let rows_per_piece = (PIECE / row.max(1)).max(1);
        let mut first = 0;
        while first < load.rows {
            let rows = rows_per_piece.min(load.rows - first);
            let from = at.start + (load.first_row + first) * row;
            let mut bytes = source.read(from..from + rows * row).await?;
            if model.big_endian() {
                crate::tensor::swap_to_little(entry.encoding, &mut bytes);
            }
            let rows_in_slot = to_slot(entry.encoding, slot_encoding, entry.shape.row_len(), &bytes)?;
            device.upload(load.slot, first as u32, &rows_in_slot)?;
            first += rows;
            done += rows * row;
            on_progress(Progress { what: "Loading weights", done, total });
        }
    }
    Ok(())
}

/// Bytes of one row of a weight in its file.
fn row_bytes(inspection: &Inspection, load: &WeightLoad) -> Result<u64> {
    let entry = &inspection.model().tensors[load.tensor];
    let row_len = entry.shape.row_len();
    entry
        .encoding
        .bytes(row_len, row_len)
        .ok_or_else(|| Fault::unsupported(format!("rows of {} are not whole blocks of {}", entry.name, entry.encoding)))
}

/// Values of the small tensors that planning itself needs.
pub(super) async fn tables(inspection: &Inspection) -> Result<Vec<(usize, Vec<f32>)>> {
    let mut tables = Vec::new();
    for tensor in old_engine::tables_needed(inspection.model()) {
        tables.push((tensor, inspection.peek(tensor, 0..u64::MAX, false, &mut |_| {}).await?.values));
    }
    Ok(tables)
}
