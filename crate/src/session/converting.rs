//! An opened folder on its way to GGUF.

use std::path::{Path, PathBuf};

use crate::{
    convert::{
        Output,
        gguf::Header,
        split::{self, Cut},
        to_gguf::{self, Options, Plan},
    },
    fault::{Fault, Result},
};

use super::{Inspection, Progress, Written, writing::of_output};

/// A model as the GGUF file, or files, that it becomes.
pub struct Conversion<'a> {
    inspection: &'a Inspection,
    plan: Plan,
    /// Each file's header, and its steps by their numbers.
    parts: Vec<split::Part>,
    path: PathBuf,
}

impl<'a> Conversion<'a> {
    /// Decides for every tensor and key; of the weights nothing but headers has been read. With a cut the files are named
    /// PATH-00001-of-00002.gguf, PATH without its ending.
    ///
    /// # Errors
    /// The model is no folder with a configuration, or of an architecture that cannot be converted; what it would become
    /// could not be run; the path is that of one of its files, which lie at `from`.
    pub async fn plan(
        inspection: &'a Inspection,
        options: &Options,
        from: &Path,
        path: &Path,
        cut: Option<Cut>,
    ) -> Result<Self> {
        let plan = Plan::of(inspection.files(), inspection.model(), options).await?;
        let parts = match cut {
            Some(cut) => split::cut(plan.header.clone(), cut)?,
            None => vec![split::Part { header: plan.header.clone(), tensors: (0..plan.steps.len()).collect() }],
        };
        let new = Self { inspection, plan, parts, path: path.to_owned() };
        inspection.keeps(from, &(0..new.parts.len()).map(|n| new.file(n)).collect::<Vec<_>>())?;
        Ok(new)
    }
    /// What becomes of each tensor.
    pub fn decided(&self) -> &Plan {
        &self.plan
    }
    /// The model that is converted.
    pub fn inspection(&self) -> &Inspection {
        self.inspection
    }
    fn file(&self, number: usize) -> PathBuf {
        if self.parts.len() == 1 {
            return self.path.clone();
        }
        let prefix = self.path.with_extension("");
        split::part_name(&prefix.display().to_string(), number, self.parts.len()).into()
    }
    fn written(&self, number: usize, header: &Header, bytes: Option<u64>) -> Written {
        Written::of(&self.file(number), header, bytes)
    }
    /// What [`Self::write`] would write.
    pub fn planned(&self) -> Vec<Written> {
        self.parts.iter().enumerate().map(|(n, part)| self.written(n, &part.header, None)).collect()
    }
    /// Writes the file or files; none takes its place before all are complete.
    ///
    /// # Errors
    /// A tensor cannot be read, or holds a value that its encoding cannot; a file cannot be written. What lay there before is whole then.
    pub async fn write(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Written>> {
        let total = self.parts.iter().map(|part| part.header.data_bytes()).fold(0, u64::saturating_add);
        let (mut outputs, mut written, mut before) = (Vec::new(), Vec::new(), 0);
        let (files, model) = (self.inspection.files(), self.inspection.model());
        for (number, part) in self.parts.iter().enumerate() {
            let path = self.file(number);
            let mut output = Output::create(&path)?;
            let mut progress = |done, _| on_progress(Progress { what: "Converting", done: before + done, total });
            let bytes =
                to_gguf::write(&self.plan, &part.header, &part.tensors, files, model, &mut output, &mut progress).await;
            let bytes = bytes.map_err(|fault| of_output(fault, &path))?;
            output.settle()?;
            before += part.header.data_bytes();
            written.push(self.written(number, &part.header, Some(bytes)));
            outputs.push(output);
        }
        for output in outputs {
            output.commit()?;
        }
        Ok(written)
    }
}

impl Inspection {
    /// That none of these paths is a file of the model, which lies at `from`: a folder, or one of its files.
    ///
    /// # Errors
    /// One is.
    pub(super) fn keeps(&self, from: &Path, paths: &[PathBuf]) -> Result<()> {
        let whole = |path: &Path| std::fs::canonicalize(path).ok();
        let folder = if from.is_dir() { from } else { from.parent().unwrap_or(Path::new("")) };
        let own: Vec<PathBuf> = self.files().files().iter().filter_map(|f| whole(&folder.join(f.name()))).collect();
        match paths.iter().find(|path| whole(path).is_some_and(|path| own.contains(&path))) {
            Some(path) => {
                let what = "this is a file of the model that is read: name another to write";
                Err(Fault::caller(what).in_file(&path.display().to_string()))
            }
            None => Ok(()),
        }
    }
}
