//! LoRA adapters that are laid over a model.

use std::{fmt, rc::Rc};

use crate::{
    arch::{self, Built},
    fault::{Fault, Result},
    model::ModelFile,
    session::Inspection,
};

/// Lays adapters over a model's graph.
type Lay = fn(&mut Built, &ModelFile, &[(&ModelFile, f32)]) -> Result<()>;

/// An opened adapter, and what its change is multiplied with.
#[derive(Clone)]
pub struct Adapter {
    files: Rc<Inspection>,
    scale: f32,
    /// Named here and nowhere else, so that a build that opens no adapter holds none of it: the page's.
    lay: Lay,
}

impl Adapter {
    /// A PEFT folder or a GGUF adapter; at a scale of 1 it changes as much as it was trained to, at 0 nothing.
    ///
    /// # Errors
    /// The scale is not finite.
    pub fn new(files: Rc<Inspection>, scale: f32) -> Result<Self> {
        match scale.is_finite() {
            true => Ok(Self { files, scale, lay: arch::adapt }),
            false => Err(Fault::caller(format!("an adapter times {scale}: the scale must be finite"))),
        }
    }
    pub(super) fn files(&self) -> Rc<Inspection> {
        Rc::clone(&self.files)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.files.model().files.first().map_or("", |file| file.name.as_str());
        f.debug_struct("Adapter").field("name", &name).field("scale", &self.scale).finish()
    }
}

/// Has a model's graph compute adapters beside its weights.
///
/// # Errors
/// One does not fit the model.
pub(super) fn lay(adapters: &[Adapter], built: &mut Built, model: &ModelFile) -> Result<()> {
    let Some(first) = adapters.first() else { return Ok(()) };
    let described: Vec<(&ModelFile, f32)> = adapters.iter().map(|a| (a.files.model(), a.scale)).collect();
    (first.lay)(built, model, &described)
}
