//! Where test files are, and how tests open models.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use glassbox::{
    fault::Result,
    formats,
    model::ModelFile,
    source::{ByteSource, FileSource, Limits, MemorySource, SourceSet},
};

/// The corpus folder, or `None` after saying aloud that the test is skipped.
pub fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("GLASSBOX_CORPUS").map_or_else(|| root.join("../shared/corpus"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: needs the corpus because it reads real files; GLASSBOX_CORPUS or ../shared/corpus names none");
    None
}

/// Runs a future whose sources never wait.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Files on disk, named relative to `folder`.
pub fn on_disk(folder: &Path, names: &[&str]) -> SourceSet {
    SourceSet::new(names.iter().map(|name| {
        Rc::new(FileSource::open(&folder.join(name), *name).expect("the file opens")) as Rc<dyn ByteSource>
    }))
}

/// Files in memory.
pub fn in_memory(files: &[(&str, &[u8])]) -> SourceSet {
    SourceSet::new(files.iter().map(|(name, bytes)| Rc::new(MemorySource::new(*name, *bytes)) as Rc<dyn ByteSource>))
}

/// Opens a set with the usual limits.
pub fn open(files: &SourceSet) -> Result<ModelFile> {
    block_on(formats::open(files, &Limits::default()))
}

/// Opens one file in memory.
pub fn open_bytes(name: &str, bytes: &[u8]) -> Result<ModelFile> {
    open(&in_memory(&[(name, bytes)]))
}

/// What must hold for every description of files of these lengths: places inside, the byte map complete, notes sorted.
pub fn assert_well_formed(model: &ModelFile) {
    use glassbox::model::{Place, SectionKind};
    for (number, file) in model.files.iter().enumerate() {
        let mut at = 0;
        for section in model.sections.iter().filter(|s| s.file == number) {
            assert_eq!(section.at.start, at, "section of {} starts where the one before ends", file.name);
            assert!(section.at.end > section.at.start, "no section is empty");
            if let SectionKind::Tensor(i) = section.kind {
                let (Place::Here { file, at } | Place::Strided { file, at, .. } | Place::Chunked { file, at, .. }) =
                    &model.tensors[i].place
                else {
                    panic!("a section of a tensor elsewhere")
                };
                assert_eq!(*file, number);
                assert!(at.start <= section.at.start && section.at.end <= at.end);
            }
            at = section.at.end;
        }
        assert_eq!(at, file.bytes, "the byte map of {} ends with the file", file.name);
    }
    for tensor in &model.tensors {
        if let Place::Here { file, at } | Place::Strided { file, at, .. } | Place::Chunked { file, at, .. } =
            &tensor.place
        {
            assert!(at.start <= at.end && at.end <= model.files[*file].bytes, "{} lies in its file", tensor.name);
        }
    }
    assert!(model.notes.windows(2).all(|n| n[0].severity >= n[1].severity), "notes are sorted");
    for note in &model.notes {
        if let (Some(file), Some(at)) = (note.file, note.at) {
            assert!(at <= model.files[file].bytes, "a note's place lies in its file: {note:?}");
        }
    }
}
