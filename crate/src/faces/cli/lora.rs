//! `--lora`: adapters that are computed beside a model.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use clap::Args;

use super::terminal;
use crate::{
    fault::Result,
    session::{Adapter, Need},
};

/// The adapters of a command.
#[derive(Args)]
pub(super) struct LoraArgs {
    /// A LoRA adapter, computed beside the weights: a PEFT folder (adapter_config.json, adapter_model.safetensors) or a GGUF
    /// adapter, and what its change is multiplied with, such as my-adapter:0.5; may be repeated.
    #[arg(long = "lora", value_name = "PATH[:SCALE]", value_parser = asked)]
    adapters: Vec<Asked>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    path: PathBuf,
    scale: f32,
}

/// A path that ends with a colon and a number ends before the colon, unless something of the whole name is there.
fn asked(text: &str) -> Result<Asked, String> {
    let whole = || Asked { path: PathBuf::from(text), scale: 1.0 };
    let Some((path, scale)) = text.rsplit_once(':').filter(|(path, _)| !path.is_empty() && !Path::new(text).exists())
    else {
        return Ok(whole());
    };
    match scale.trim().parse::<f32>() {
        Ok(scale) if scale.is_finite() => Ok(Asked { path: PathBuf::from(path), scale }),
        Ok(scale) => Err(format!("a scale of {scale}: it must be finite")),
        // A drive's letter, or the port of an address.
        Err(_) => Ok(whole()),
    }
}

impl LoraArgs {
    /// Opens them.
    ///
    /// # Errors
    /// A file cannot be read, or is no model file at all.
    pub(super) fn open(&self) -> Result<Vec<Adapter>> {
        let open = |asked: &Asked| {
            let inspection = terminal::inspection(std::slice::from_ref(&asked.path), Need::Run)?;
            Adapter::new(Rc::new(inspection), asked.scale)
        };
        self.adapters.iter().map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_the_last_colon_is_the_scale() {
        let of = |text: &str| asked(text).map(|a| (a.path.to_string_lossy().into_owned(), a.scale));
        assert_eq!(of("no/such"), Ok(("no/such".into(), 1.0)));
        assert_eq!(of("no/such:0.5"), Ok(("no/such".into(), 0.5)));
        assert_eq!(of("no/such:-2"), Ok(("no/such".into(), -2.0)));
        assert_eq!(of("C:\\no\\such"), Ok(("C:\\no\\such".into(), 1.0)));
        assert!(of("no/such:inf").is_err());
    }
}
