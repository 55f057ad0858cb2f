//! Pickles by kind, written opcode by opcode: the ways by which scanners' own samples reach a function (picklescan 1.0.5,
//! modelscan 0.8.8, fickling 0.1.9: all of their malicious samples were run through the reader and found), and the ways by
//! which libraries write values. `docs/pickles.md` has the table of kinds and where the scanners' verdicts differ.

use glassbox::model::{ModelFile, Severity};

use super::open_bytes;

/// Writes opcodes.
#[derive(Clone, Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn protocol(n: u8) -> Self {
        Self(vec![0x80, n])
    }
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// SHORT_BINUNICODE.
    fn text(self, text: &str) -> Self {
        self.raw(&[0x8c, text.len() as u8]).raw(text.as_bytes())
    }
    /// GLOBAL.
    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }
    /// STACK_GLOBAL.
    fn stack_global(self, module: &str, name: &str) -> Self {
        self.text(module).text(name).raw(&[0x93])
    }
    /// One argument, called by REDUCE.
    fn call_with(self, argument: &str) -> Self {
        self.text(argument).raw(b"\x85R")
    }
    /// An object made by NEWOBJ, with an empty state.
    fn made(self) -> Self {
        self.raw(b")\x81}b")
    }
    fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

fn worst(name: &str, bytes: &[u8]) -> (Severity, ModelFile) {
    let model = open_bytes("x.pkl", bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    (model.notes.iter().map(|n| n.severity).max().unwrap_or(Severity::Info), model)
}

fn assert_each(kinds: &[(&str, Vec<u8>)], want: Severity) {
    for (name, bytes) in kinds {
        let (found, model) = worst(name, bytes);
        assert_eq!(found, want, "{name}: {:#?}", model.notes);
    }
}

/// The ways to a call that the scanners' samples take.
#[test]
fn every_way_to_a_call_is_an_error() {
    let p = Pickle::protocol;
    let zlib = |bytes: &[u8]| {
        // Stored blocks in zlib's frame; the checksum is that of RFC 1950.
        let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), x| {
            let a = (a + u32::from(*x)) % 65521;
            (a, (b + a) % 65521)
        });
        let len = (bytes.len() as u16).to_le_bytes();
        let not = (!(bytes.len() as u16)).to_le_bytes();
        [&[0x78, 0x01, 0x01][..], &len, &not, bytes, &(b << 16 | a).to_be_bytes()].concat()
    };
    let inner = p(2).global("os", "system").call_with("id").stop();
    let kinds = [
        ("REDUCE of a GLOBAL", p(2).global("os", "system").call_with("id").stop()),
        ("REDUCE of a STACK_GLOBAL", p(4).stack_global("posix", "system").call_with("id").stop()),
        ("INST", b"(S'raise'\ni__builtin__\nexec\n.".to_vec()),
        ("OBJ", p(2).raw(b"(").global("pty", "spawn").text("id").raw(b"o").stop()),
        ("OBJ, which breaks off", b"(cpty\nspawn\nS'id'o.".to_vec()),
        ("NEWOBJ", p(2).global("subprocess", "Popen").text("id").raw(b"\x85\x81").stop()),
        ("NEWOBJ_EX", p(4).stack_global("subprocess", "Popen").text("id").raw(b"\x85}\x92").stop()),
        ("names from the memo", b"Vos\np2\n0Vsystem\np3\n0g2\ng3\n\x93(Vid\ntR.".to_vec()),
        ("a result that is dropped", p(2).global("os", "system").call_with("id").raw(b"0N").stop()),
        ("behind a value that is whole", [p(2).raw(b"N").stop(), inner.clone()].concat()),
        ("behind an opcode that is wrong", p(2).raw(b"R0").global("os", "system").call_with("id").stop()),
        ("without a call", p(2).global("os", "system").stop()),
        ("a chain of attributes", p(4).stack_global("torch.nn", "Linear.__init__.__globals__").stop()),
        ("a module within a module", p(4).stack_global("torch", "os.system").call_with("id").stop()),
        ("an extension code", p(2).raw(&[0x82, 1]).stop()),
        ("a class by BUILD", p(2).global("pathlib", "Path").raw(b"}X\x01\0\0\0aK\x01sb").stop()),
        ("getattr of a result", {
            let library = p(4).stack_global("builtins", "getattr").stack_global("ctypes", "CDLL").call_with("libc.so");
            library.text("system").raw(b"\x86R").call_with("id").stop()
        }),
        ("a method of a value, called", {
            let path = p(4).stack_global("builtins", "getattr").stack_global("pathlib", "PosixPath").call_with("x");
            path.text("write_text").raw(b"\x86R").call_with("y").stop()
        }),
        ("a method of a kept object, called", {
            let made = p(4).stack_global("builtins", "getattr").stack_global("torch.optim.sgd", "SGD").made();
            made.text("step").raw(b"\x86R)R").stop()
        }),
        ("partial, called", {
            let kept = p(4).stack_global("functools", "partial").stack_global("torch", "load").text("x").raw(b"\x86R");
            kept.raw(b")R").stop()
        }),
        ("a pickle within a byte string", {
            let within = p(4).stack_global("mycompany", "restore");
            within.raw(&[b'C', inner.len() as u8]).raw(&inner).raw(b"\x85R").stop()
        }),
        ("a loader of pickles", p(4).stack_global("pickle", "loads").raw(b"C\x02N.\x85R").stop()),
        ("an import whose name is computed", {
            let name = p(4).text("os").stack_global("builtins", "str").call_with("system");
            name.raw(&[0x93]).stop()
        }),
        ("a text that a class runs when it is restored", {
            p(4).stack_global("scipy.stats._continuous_distns", "norm_gen").made().stop()
        }),
        ("what switches a scanner off", p(4).stack_global("fickling.hook", "remove_hook").raw(b")R").stop()),
        ("another interpreter", p(4).stack_global("_interpreters", "create").raw(b")R").stop()),
        (
            "an opcode across the end of its frame",
            p(4).raw(&[0x95, 2, 0, 0, 0, 0, 0, 0, 0]).raw(b"B\x05\0\0\0\0cos\n").stop(),
        ),
        ("a frame within a frame", {
            let outer = p(4).raw(&[0x95, 11, 0, 0, 0, 0, 0, 0, 0]).raw(b"N0");
            outer.raw(&[0x95, 1, 0, 0, 0, 0, 0, 0, 0]).raw(b"N").stop()
        }),
        ("a stream that zlib packed", zlib(&inner)),
    ];
    assert_each(&kinds, Severity::Error);
}

/// What libraries write, and nothing else does.
#[test]
fn every_way_to_a_value_is_silent_or_information() {
    let p = Pickle::protocol;
    let legacy_class = p(2).raw(b"(").raw(b"X\x06\0\0\0module").global("torch.nn.modules.linear", "Linear");
    let kinds = [
        ("a path", p(4).stack_global("pathlib", "PosixPath").call_with("runs").stop()),
        (
            "a default dict",
            p(4).stack_global("collections", "defaultdict").stack_global("builtins", "int").raw(b"\x85R").stop(),
        ),
        ("a class of PyTorch's old stream", legacy_class.raw(b"NNtQ)\x81}b").stop()),
        ("a partial in a dict", {
            let kept = p(4).raw(b"}").text("optimizer").stack_global("functools", "partial");
            kept.stack_global("torch.optim.adamw", "AdamW").raw(b"\x85Rs").stop()
        }),
        ("a method that an object keeps", {
            let made = p(2).global("__builtin__", "getattr").global("torch.optim.lr_scheduler", "CyclicLR").made();
            made.text("_triangular_scale_fn").raw(b"\x86R").stop()
        }),
        (
            "a method of text",
            p(4).stack_global("builtins", "getattr").stack_global("builtins", "str").text("split").raw(b"\x86R").stop(),
        ),
        ("the type of None", p(4).stack_global("builtins", "type").raw(b"N\x85R").stop()),
        (
            "a type hint",
            p(4).stack_global("types", "GenericAlias")
                .stack_global("builtins", "list")
                .stack_global("builtins", "int")
                .raw(b"\x85\x86R")
                .stop(),
        ),
        ("an error that was kept", p(4).stack_global("builtins", "FileNotFoundError").call_with("x").stop()),
        (
            "an interval of a table",
            p(4).stack_global("pandas._libs.tslibs.offsets", "YearEnd").raw(b"K\x01\x85R").stop(),
        ),
        ("a metric", p(4).stack_global("torchmetrics.aggregation", "MeanMetric").made().stop()),
        (
            "an index of a distributed checkpoint",
            p(4).stack_global("torch.distributed.checkpoint.metadata", "Metadata").made().stop(),
        ),
        ("a loader of data", p(4).stack_global("torch.utils.data.dataloader", "DataLoader").made().stop()),
        ("arithmetic", p(4).stack_global("builtins", "len").raw(b"]\x85R").stop()),
        ("frames", p(4).raw(&[0x95, 1, 0, 0, 0, 0, 0, 0, 0]).raw(b"N").stop()),
    ];
    assert_each(&kinds, Severity::Info);
}

/// Neither known values nor known to do harm.
#[test]
fn what_is_not_known_is_a_warning() {
    let p = Pickle::protocol;
    let kinds = [
        ("a class of some package", p(4).stack_global("mycompany.models", "Net").made().stop()),
        ("a class of the script that saved the file", p(4).stack_global("__main__", "Net").made().stop()),
        ("values left on the stack", p(2).raw(b"NN").stop()),
        ("a mark that is missing", p(2).raw(b"t").stop()),
    ];
    assert_each(&kinds, Severity::Warning);
}

/// joblib's wrapper is made by a function in protocols 0 and 1, by NEWOBJ since.
#[test]
fn arrays_of_joblib_are_found_in_every_protocol() {
    let wrappers = [
        (
            "0",
            b"ccopy_reg\n_reconstructor\n(cjoblib.numpy_pickle\nNumpyArrayWrapper\nc__builtin__\nobject\nNtR".to_vec(),
        ),
        ("2", b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81".to_vec()),
    ];
    for (protocol, wrapper) in wrappers {
        let text = |t: &str| [&b"X"[..], &(t.len() as u32).to_le_bytes(), t.as_bytes()].concat();
        let kind = [&b"cnumpy\ndtype\n("[..], &text("u1"), b"I00\nI01\ntR"].concat();
        let state = [&b"(d"[..], &text("shape"), b"(I4\nts", &text("dtype"), &kind, b"s"].concat();
        let file = [&wrapper[..], &state, b"b", &[0xff, 0x0d, 0x08, 0xfe], b"."].concat();
        let (severity, model) = worst(protocol, &file);
        assert_eq!(severity, Severity::Info, "protocol {protocol}: {:#?}", model.notes);
        assert!(model.notes.iter().any(|n| n.what.contains("all followed to STOP")), "{:#?}", model.notes);
    }
}
