//! An opened folder on its way to GGUF.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    convert::{
        Output, copy, extract,
        gguf::Header,
        split::{self, Cut},
        to_gguf::{self, Options, Plan},
        to_safetensors,
    },
    fault::{Fault, Result},
    model::FormatId,
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

/// A model as the safetensors files that it becomes.
pub struct Unpacking<'a> {
    inspection: &'a Inspection,
    plan: to_safetensors::Plan,
    path: PathBuf,
}

impl<'a> Unpacking<'a> {
    /// Decides for every tensor. A path that ends in ".safetensors" is one file; any other is a folder, which also holds the
    /// index of several files and the configuration of a GGUF file's model.
    ///
    /// # Errors
    /// A tensor has no place in a safetensors file; several files, or the path of one of the model's, were asked for in one.
    pub async fn plan(
        inspection: &'a Inspection,
        options: &to_safetensors::Options,
        from: &Path,
        path: &Path,
    ) -> Result<Self> {
        let plan = to_safetensors::Plan::of(inspection.files(), inspection.model(), options).await?;
        let new = Self { inspection, plan, path: path.to_owned() };
        if new.is_file() && new.plan.shards.len() > 1 {
            return Err(Fault::caller("several files need a folder: name one that does not end in .safetensors"));
        }
        let all =
            new.plan.shards.iter().map(|s| s.name.as_str()).chain(new.plan.beside.iter().map(|(n, _)| n.as_str()));
        inspection.keeps(from, &all.map(|name| new.file(name)).collect::<Vec<_>>())?;
        Ok(new)
    }
    /// What becomes of each tensor.
    pub fn decided(&self) -> &to_safetensors::Plan {
        &self.plan
    }
    /// The model that is converted.
    pub fn inspection(&self) -> &Inspection {
        self.inspection
    }
    fn is_file(&self) -> bool {
        self.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
    }
    fn file(&self, name: &str) -> PathBuf {
        if self.is_file() { self.path.clone() } else { self.path.join(name) }
    }
    fn written(&self, shard: &to_safetensors::Shard, bytes: Option<u64>) -> Written {
        Written { path: self.file(&shard.name), bytes, tensors: shard.lines.len() as u64, tensor_bytes: shard.bytes }
    }
    /// What [`Self::write`] would write.
    pub fn planned(&self) -> Vec<Written> {
        self.plan.shards.iter().map(|shard| self.written(shard, None)).collect()
    }
    /// Writes the files; none takes its place before all are complete.
    ///
    /// # Errors
    /// A tensor cannot be read, or holds a value that its encoding cannot; a file cannot be written.
    pub async fn write(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Written>> {
        if !self.is_file() {
            let fail = |e: std::io::Error| {
                Fault::source(format!("cannot be made: {e}")).in_file(&self.path.display().to_string())
            };
            std::fs::create_dir_all(&self.path).map_err(fail)?;
        }
        let total = self.plan.shards.iter().map(|s| s.bytes).fold(0, u64::saturating_add);
        let (mut outputs, mut written, mut before) = (Vec::new(), Vec::new(), 0);
        let (files, model) = (self.inspection.files(), self.inspection.model());
        for shard in &self.plan.shards {
            let path = self.file(&shard.name);
            let mut output = Output::create(&path)?;
            let mut progress = |done, _| on_progress(Progress { what: "Converting", done: before + done, total });
            let bytes = to_safetensors::write(&self.plan, shard, files, model, &mut output, &mut progress).await;
            let bytes = bytes.map_err(|fault| of_output(fault, &path))?;
            output.settle()?;
            before += shard.bytes;
            written.push(self.written(shard, Some(bytes)));
            outputs.push(output);
        }
        // One file has no place for what lies beside others.
        for (name, bytes) in self.plan.beside.iter().filter(|_| !self.is_file()) {
            let path = self.file(name);
            let mut output = Output::create(&path)?;
            output
                .write_all(bytes)
                .map_err(|e| Fault::source(format!("cannot be written: {e}")).in_file(&path.display().to_string()))?;
            output.settle()?;
            written.push(Written { path, bytes: Some(bytes.len() as u64), tensors: 0, tensor_bytes: 0 });
            outputs.push(output);
        }
        for output in outputs {
            output.commit()?;
        }
        Ok(written)
    }
}

/// Some of a model's tensors on their way into a file of their own: GGUF from GGUF, safetensors from anything else.
pub enum Extraction<'a> {
    /// With all metadata.
    Gguf(Box<GgufPart<'a>>),
    /// Under their own names.
    Safetensors(Unpacking<'a>),
}

/// Some tensors of a GGUF file.
pub struct GgufPart<'a> {
    inspection: &'a Inspection,
    header: Header,
    tensors: Vec<usize>,
    path: PathBuf,
}

impl<'a> Extraction<'a> {
    /// Chooses the tensors whose names hold one of these regular expressions.
    ///
    /// # Errors
    /// A pattern is none or fits no tensor; the model is not whole; the path is that of one of its files, which lie at `from`.
    pub async fn plan(inspection: &'a Inspection, patterns: &[String], from: &Path, path: &Path) -> Result<Self> {
        let tensors = extract::chosen(inspection.model(), patterns)?;
        if inspection.model().format != FormatId::Gguf {
            let options = to_safetensors::Options { only: Some(tensors), ..to_safetensors::Options::default() };
            return Unpacking::plan(inspection, &options, from, path).await.map(Self::Safetensors);
        }
        inspection.keeps(from, &[path.to_owned()])?;
        let header = extract::header(inspection.model(), &tensors)?;
        Ok(Self::Gguf(Box::new(GgufPart { inspection, header, tensors, path: path.to_owned() })))
    }
    /// What [`Self::write`] would write.
    pub fn planned(&self) -> Vec<Written> {
        match self {
            Self::Gguf(part) => vec![Written::of(&part.path, &part.header, None)],
            Self::Safetensors(work) => work.planned(),
        }
    }
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// A tensor cannot be read; the file cannot be written.
    pub async fn write(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Written>> {
        let part = match self {
            Self::Gguf(part) => part,
            Self::Safetensors(work) => return work.write(on_progress).await,
        };
        let mut output = Output::create(&part.path)?;
        let mut progress = |done, total| on_progress(Progress { what: "Writing", done, total });
        let (files, model) = (part.inspection.files(), part.inspection.model());
        let bytes = copy(&part.header, &part.tensors, files, model, &mut output, &mut progress).await;
        let bytes = bytes.map_err(|fault| of_output(fault, &part.path))?;
        output.commit()?;
        Ok(vec![Written::of(&part.path, &part.header, Some(bytes))])
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
