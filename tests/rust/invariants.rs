//! What holds for every reader and every file: the promises of the README that do not depend on a format.

#[path = "invariants/limits.rs"]
mod limits;

use crate::common::{counting, files, samples, synth_header, writers};
use std::{cell::RefCell, ops::Range, rc::Rc};

use counting::peak;
use files::{assert_well_formed, block_on};
use glassbox::{
    fault::{Blame, LocalFuture, Result},
    formats::{self, FORMATS},
    model::{ModelFile, Place, Severity},
    report::ModelReport,
    session::Inspection,
    source::{ByteSource, FileSource, Limits, SourceSet, Stop, Window},
};
use samples::Sample;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Memory that reading may take whatever a file holds: the read-ahead, twice while it grows, and the readers' own lists.
const CONSTANT: usize = 6 << 20;
/// Memory per byte of the report (as JSON): the description that it is written from.
const PER_REPORT_BYTE: usize = 6;

/// A file in memory that keeps what was read of it.
struct Kept {
    name: String,
    bytes: Vec<u8>,
    /// What it claims to be; beyond its bytes there are zeros.
    len: u64,
    read: Reads,
}

impl ByteSource for Kept {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        self.read.borrow_mut().push((self.name.clone(), at.clone()));
        let have = self.bytes.len() as u64;
        let mut bytes = self.bytes[at.start.min(have) as usize..at.end.min(have) as usize].to_vec();
        bytes.resize((at.end - at.start) as usize, 0);
        Box::pin(async move { Ok(bytes) })
    }
}

type Reads = Rc<RefCell<Vec<(String, Range<u64>)>>>;

/// The sample as sources, and what will be read of them.
fn kept(sample: &Sample) -> (SourceSet, Reads) {
    let read = Reads::default();
    let source = |(name, bytes): &(String, Vec<u8>)| {
        let (name, bytes, len) = (name.clone(), bytes.clone(), bytes.len() as u64);
        Rc::new(Kept { name, bytes, len, read: Rc::clone(&read) }) as Rc<dyn ByteSource>
    };
    (SourceSet::new(sample.files.iter().map(source)), read)
}

fn open(sample: &Sample, limits: &Limits) -> Result<ModelFile> {
    block_on(formats::open(&kept(sample).0, limits))
}

fn usual(sample: &Sample) -> Result<ModelFile> {
    open(sample, &Limits::default())
}

/// A sample that is whole opens.
fn opened(sample: &Sample) -> ModelFile {
    usual(sample).unwrap_or_else(|fault| panic!("{}: {fault}", sample.name()))
}

/// Numbers that a file might hold where a count, a length or an offset stands, in 4 and 8 bytes of either order.
fn hostile_numbers() -> Vec<Vec<u8>> {
    let wide = [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 40, 0xffff_ffff, 1 << 31];
    let narrow = [u32::MAX, 0x7fff_ffff, 0x8000_0000, 0x00ff_ffff, 0];
    let mut all: Vec<Vec<u8>> = wide.iter().map(|n| n.to_le_bytes().to_vec()).collect();
    all.extend(wide.iter().map(|n| n.to_be_bytes().to_vec()));
    all.extend(narrow.iter().map(|n| n.to_le_bytes().to_vec()));
    all.extend([vec![0xff], vec![0x80], vec![0]]);
    all
}

/// Runs checks that may panic, keeps what the first few say, and fails with all of it.
#[derive(Default)]
struct Verdicts(Vec<String>);

impl Verdicts {
    fn of(&mut self, what: &str, check: impl FnOnce()) {
        let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) else { return };
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
        if self.0.len() < 40 {
            self.0.push(format!("{what}: {said}"));
        }
    }
    fn end(self) {
        assert!(self.0.is_empty(), "{} broken:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// Every sample with a hostile number at every byte of every file, one after the other.
fn with_hostile_numbers(mut check: impl FnMut(&Sample, &str)) {
    let numbers = hostile_numbers();
    for sample in samples::all() {
        for file in 0..sample.files.len() {
            let bytes = &sample.files[file].1;
            // HDF5 files are mostly padding: every byte of their first part, then every seventh.
            let places = (0..bytes.len()).filter(|at| *at < 1200 || at % 7 == 0);
            for at in places {
                for number in &numbers {
                    let mut harmed = bytes.clone();
                    for (to, from) in harmed[at..].iter_mut().zip(number) {
                        *to = *from;
                    }
                    if harmed != *bytes {
                        check(
                            &sample.with(file, harmed),
                            &format!("{} with {number:02x?} at {at}", sample.files[file].0),
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn only_the_bytes_needed_are_read_and_every_one_is_counted() {
    // Without read-ahead exactly what is asked for is read: beyond the first 4 KiB, no byte of a tensor's values.
    let limits = Limits { read_ahead: 0, ..Limits::default() };
    for sample in samples::trained().into_iter().chain(samples::all()) {
        let (files, read) = kept(&sample);
        let model =
            block_on(formats::open(&files, &limits)).unwrap_or_else(|fault| panic!("{}: {fault}", sample.name()));
        let read = read.borrow();
        let sum: u64 = read.iter().map(|(_, at)| at.end - at.start).sum();
        assert_eq!(files.bytes_read(), sum, "{}: what the sources gave is what is counted", sample.name());
        for (name, at) in read.iter().filter(|(_, at)| at.start >= 4096) {
            for tensor in &model.tensors {
                let (Place::Here { file, at: values } | Place::Strided { file, at: values, .. }) = &tensor.place else {
                    continue;
                };
                // A number of unknown width is asked for in its greatest, which may reach into the values behind it; a
                // file's last bytes may tell what it is.
                let shared = at.end.min(values.end).saturating_sub(at.start.max(values.start));
                let same = model.files[*file].name == *name && shared > 16;
                assert!(!same, "{}: {at:?} of {name} holds values of {}", sample.name(), tensor.name);
            }
        }
    }
}

#[test]
fn peak_memory_is_a_constant_and_the_report_whatever_the_length_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let shape = |tensors, vocabulary| synth_header::Shape { tensors, vocabulary, file_bytes: 2 << 30 };
    for (name, (head, len)) in [
        ("m.gguf", synth_header::gguf(shape(300, 0))),
        ("words.gguf", synth_header::gguf(shape(300, 128_000))),
        ("many.gguf", synth_header::gguf(shape(30_000, 0))),
        ("many.safetensors", synth_header::safetensors(shape(30_000, 0))),
    ] {
        let path = folder.path().join(name);
        synth_header::write_sparse(&path, &head, len).expect("written");
        drop(head);
        let (report, most) = peak(|| {
            let file = Rc::new(FileSource::open(&path, name).expect("opens")) as Rc<dyn ByteSource>;
            let inspection = block_on(Inspection::open(SourceSet::new([file]))).expect("a model");
            block_on(ModelReport::of(&inspection)).tensors.len();
            inspection
        });
        let json = serde_json::to_string(&block_on(ModelReport::of(&report))).expect("JSON").len();
        eprintln!("{name}: peak {most}, report {json}");
        assert!(most <= CONSTANT + PER_REPORT_BYTE * json, "{name}: {most} bytes held for a report of {json}");
    }
}

#[test]
fn no_panic_and_bounded_memory_and_work_whatever_number_a_file_holds() {
    let (mut worst, mut opened, mut slowest) = (0, 0u32, 0.0);
    let mut verdicts = Verdicts::default();
    with_hostile_numbers(|sample, what| {
        verdicts.of(what, || {
            let (files, read) = kept(sample);
            let clock = std::time::Instant::now();
            let (model, most) = peak(|| block_on(formats::open(&files, &Limits::default())));
            opened += 1;
            let seconds = clock.elapsed().as_secs_f64();
            if seconds > slowest {
                slowest = seconds;
            }
            worst = worst.max(most);
            let report = model.as_ref().map_or(0, |model| format!("{model:?}").len());
            assert!(most <= CONSTANT + PER_REPORT_BYTE * report, "{what}: {most} bytes held");
            // Each fetch lets a reader go on from where it stopped, so fetches bound the work done twice.
            let total = files.bytes_total();
            assert!(files.bytes_read() <= 2 * total + 64, "{what}: {} bytes read of {total}", files.bytes_read());
            let fetches = read.borrow().len();
            assert!(fetches <= 8 * sample.files.len() + 64, "{what}: {fetches} fetches");
            assert!(seconds < 20.0, "{what}: {seconds} s");
            if let Ok(model) = model {
                assert_well_formed(&model);
            }
        })
    });
    verdicts.end();
    eprintln!("{opened} files, peak {worst} bytes, slowest {slowest:.3} s");
    assert!(opened > 50_000, "only {opened} files tried");
}

#[test]
fn a_claimed_length_costs_nothing() {
    for sample in samples::all() {
        let usual_peak = peak(|| usual(&sample)).1;
        let read = Reads::default();
        let sources = sample.files.iter().map(|(name, bytes)| {
            let (name, bytes) = (name.clone(), bytes.clone());
            Rc::new(Kept { name, bytes, len: i64::MAX as u64, read: Rc::clone(&read) }) as Rc<dyn ByteSource>
        });
        let files = SourceSet::new(sources);
        let (model, most) = peak(|| block_on(formats::open(&files, &Limits::default())));
        let report = model.as_ref().map_or(0, |model| format!("{model:?}").len());
        let bound = CONSTANT + PER_REPORT_BYTE * report + usual_peak;
        assert!(most <= bound, "{}: {most} bytes held for a claimed 8 EiB", sample.name());
        assert!(files.bytes_read() <= 80 << 20, "{}: {} bytes read", sample.name(), files.bytes_read());
    }
}

#[test]
fn the_same_bytes_give_the_same_report_for_any_chunk_size_and_any_order_of_files() {
    for sample in samples::all().into_iter().chain(samples::trained()) {
        let whole = format!("{:?}", usual(&sample));
        for read_ahead in [0, 1, 7, 64, 4096, 1 << 16, u64::MAX >> 1] {
            let other = open(&sample, &Limits { read_ahead, ..Limits::default() });
            assert_eq!(whole, format!("{other:?}"), "{} with a read-ahead of {read_ahead}", sample.name());
        }
        let mut turned = sample.clone();
        turned.files.reverse();
        let (a, b) = (opened(&sample), opened(&turned));
        // The files' own order is the one they were given in, weights first.
        let told = |m: &ModelFile| m.notes.iter().map(|n| n.what.clone()).collect::<Vec<_>>();
        assert_eq!((&a.tensors, &a.metadata, told(&a)), (&b.tensors, &b.metadata, told(&b)), "{}", sample.name());
    }
}

/// With all bytes there from the start.
fn read_whole(bytes: &[u8], reader: usize) -> Result<ModelFile> {
    let mut window = Window::new("f", bytes.len() as u64);
    window.insert(0, bytes.to_vec());
    let mut reader = FORMATS[reader].reader();
    match reader.advance(&window, &Limits::default()) {
        Ok(()) => Ok(reader.finish(&window)),
        Err(Stop::Bad(fault)) => Err(fault),
        Err(Stop::Need(need)) => panic!("{need:?} is needed, and all is there"),
    }
}

/// Pieces of the file in an order of chance, until what the reader needs is there.
fn read_in_chance_order(bytes: &[u8], reader: usize, mut seed: u64) -> Result<ModelFile> {
    let mut chance = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below.max(1)
    };
    let len = bytes.len() as u64;
    let mut window = Window::new("f", len);
    let mut reader = FORMATS[reader].reader();
    let limits = Limits::default();
    loop {
        match reader.advance(&window, &limits) {
            Ok(()) => return Ok(reader.finish(&window)),
            Err(Stop::Bad(fault)) => return Err(fault),
            Err(Stop::Need(need)) => {
                if chance(3) == 0 {
                    window.forget(reader.position().min(need.start));
                }
                while matches!(window.bytes(need.clone()), Err(Stop::Need(_))) {
                    // One piece of the need, from its front, its middle or its end, and now and then one from elsewhere.
                    let from = need.start + chance(need.end - need.start);
                    let to = (from + 1 + chance(40)).min(len);
                    window.insert(from, bytes[from as usize..to as usize].to_vec());
                    let far = chance(len);
                    let end = (far + chance(9)).min(len);
                    window.insert(far, bytes[far as usize..end as usize].to_vec());
                }
            }
        }
    }
}

#[test]
fn the_same_bytes_give_the_same_report_for_any_order_of_arrival() {
    let mut read = 0;
    for sample in samples::all() {
        for (name, bytes) in &sample.files {
            let head = &bytes[..bytes.len().min(4096)];
            let sure = |f: &&dyn formats::Format| f.sniff(head, name, bytes.len() as u64) == formats::Match::ByContent;
            let Some(reader) = FORMATS.iter().position(sure) else { continue };
            let whole = read_whole(bytes, reader);
            for seed in 0..12 {
                let other = read_in_chance_order(bytes, reader, seed * 7919 + 1);
                assert_eq!(format!("{whole:?}"), format!("{other:?}"), "{name}, order {seed}");
            }
            read += 1;
        }
    }
    assert!(read >= 20, "{read} files read");
}

/// A source that gives fewer bytes than it was asked for.
struct Short(Vec<u8>);

impl ByteSource for Short {
    fn name(&self) -> &str {
        "short.gguf"
    }
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        let bytes = self.0[at.start as usize..at.end as usize - 1].to_vec();
        Box::pin(async move { Ok(bytes) })
    }
}

#[test]
fn a_source_that_reads_short_is_at_fault_and_its_bytes_are_not_taken_for_the_file() {
    let files = SourceSet::new([Rc::new(Short(writers::Gguf::small().bytes())) as Rc<dyn ByteSource>]);
    let fault = block_on(formats::open(&files, &Limits::default())).expect_err("a fault");
    assert_eq!(fault.blame, Blame::Source);
    assert!(fault.what.contains("bytes expected"), "{fault}");
}

#[test]
fn any_truncation_gives_a_diagnostic_and_never_a_wrong_list() {
    let mut cut = 0;
    let mut verdicts = Verdicts::default();
    for sample in samples::all() {
        let whole = opened(&sample);
        for (file, (name, bytes)) in sample.files.iter().enumerate() {
            for end in 0..bytes.len() {
                cut += 1;
                // What cannot be opened at all is told by its fault.
                let Ok(part) = usual(&sample.with(file, bytes[..end].to_vec())) else { continue };
                let what = format!("{name} cut at {end} of {}", bytes.len());
                verdicts.of(&what, || check_part(&part, &whole, &what));
            }
        }
    }
    // Where the header ends and where each tensor does, in files with weights.
    for sample in samples::trained() {
        let whole = opened(&sample);
        let mut ends: Vec<(usize, u64)> = whole.sections.iter().map(|s| (s.file, s.at.end)).collect();
        ends.retain(|(file, end)| *file < sample.files.len() && *end < whole.files[*file].bytes);
        for (file, end) in ends {
            let name = &whole.files[file].name;
            let at = sample.files.iter().position(|(n, _)| n == name).expect("given");
            for end in [end - 1, end, end + 1] {
                cut += 1;
                let Ok(part) = usual(&sample.with(at, sample.files[at].1[..end as usize].to_vec())) else { continue };
                let what = format!("{name} cut at {end}");
                verdicts.of(&what, || check_part(&part, &whole, &what));
            }
        }
    }
    verdicts.end();
    eprintln!("{cut} truncations");
    assert!(cut > 30_000, "only {cut} truncations");
}

/// Where values lie, with the file by its name: its number among the files may be another.
fn at<'m>(model: &'m ModelFile, tensor: &'m glassbox::model::TensorEntry) -> (&'m str, &'m Range<u64>, &'m [u64]) {
    match &tensor.place {
        Place::Here { file, at } => (&model.files[*file].name, at, &[]),
        Place::Strided { file, at, strides } => (&model.files[*file].name, at, strides),
        other => panic!("{} is not here: {other:?}", tensor.name),
    }
}

fn check_part(part: &ModelFile, whole: &ModelFile, what: &str) {
    assert_well_formed(part);
    let told = part.notes.iter().any(|n| !whole.notes.iter().any(|w| w.what == n.what));
    assert!(told, "{what}: nothing noted");
    for tensor in &part.tensors {
        // A constant of ONNX is named after its node's output, which may be cut off.
        if tensor.name.is_empty() {
            continue;
        }
        let Some(same) = whole.tensor(&tensor.name) else { panic!("{what}: {} appears", tensor.name) };
        if let Place::Here { .. } | Place::Strided { .. } = tensor.place {
            assert_eq!((&tensor.shape, tensor.encoding), (&same.shape, same.encoding), "{what}: {}", tensor.name);
            assert_eq!(at(part, tensor), at(whole, same), "{what}: {}", tensor.name);
        }
    }
    let errors = part.notes.iter().any(|n| n.severity >= Severity::Warning);
    assert!(
        errors || part.tensors.len() == whole.tensors.len() || part.tensors.is_empty(),
        "{what}: fewer tensors, no warning"
    );
}
