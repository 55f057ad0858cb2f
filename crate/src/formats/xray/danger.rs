//! How bad an import is: what tensors need, known value types, and what is known to do harm.

use std::collections::{HashMap, HashSet};

use super::{
    families,
    values::{self, How, Values},
};
use crate::formats::codec::pickle::{Id, Machine, Node, torch_names};

/// How bad an import is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Danger {
    /// Builds tensors and plain values.
    Needed,
    /// A known value type: making it keeps values and does nothing else.
    Value(&'static Values),
    /// Code of some package would be imported.
    Foreign,
    /// Known to run code, or to reach files, processes or networks; why.
    Known(&'static str),
}

impl Danger {
    /// 0 to 3, the worst last.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::Needed => 0,
            Self::Value(_) => 1,
            Self::Foreign => 2,
            Self::Known(_) => 3,
        }
    }
    /// Beyond tensors and known values.
    pub(super) fn alarms(self) -> bool {
        self.level() > 1
    }
    fn worse(self, other: Self) -> Self {
        if other.level() > self.level() { other } else { self }
    }
}

/// Plain types of Python.
const PLAIN: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "long",
    "object",
    "set",
    "slice",
    "str",
    "tuple",
    "unicode",
];

/// Callables that call what they are given: what they name counts as called.
const INDIRECT: &[(&str, &str)] = &[
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch._utils", "_rebuild_wrapper_subclass"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("functools", "partial"),
];

/// Methods of plain types that take a value and give another.
const METHODS: &[(&str, &str)] = &[
    ("str", "lower"),
    ("str", "upper"),
    ("str", "strip"),
    ("str", "lstrip"),
    ("str", "rstrip"),
    ("str", "split"),
    ("str", "splitlines"),
    ("str", "title"),
    ("str", "capitalize"),
    ("str", "casefold"),
    ("unicode", "lower"),
    ("unicode", "upper"),
    ("unicode", "strip"),
    ("unicode", "split"),
    ("dict", "get"),
    ("dict", "fromkeys"),
];

/// Packages whose objects keep methods of their own.
const METHOD_OWNERS: &[&str] = &["torch.optim.", "torch.nn.", "torchmetrics.", "sklearn."];

/// How bad an import is by itself, where a pickle goes so far with it.
pub(super) fn danger(module: &str, name: &str, how: How) -> Danger {
    if needed(module, name) {
        return Danger::Needed;
    }
    if let Some(row) = values::find(module, name, how, true) {
        return Danger::Value(row);
    }
    if let Some(why) = families::why(module, name, how == How::Called) {
        return Danger::Known(why);
    }
    values::find(module, name, how, false).map_or(Danger::Foreign, Danger::Value)
}

/// The imports of one pickle, judged by what the pickle does with them.
pub(super) struct Judge<'m> {
    machine: &'m Machine,
    how: HashMap<Id, How>,
    /// Values that are handed to calls that are errors by themselves.
    misused: HashSet<Id>,
}

impl<'m> Judge<'m> {
    pub(super) fn new(machine: &'m Machine) -> Self {
        let mut how: HashMap<Id, How> = HashMap::new();
        let mut raise = |id: Id, to: How| {
            let old = how.entry(id).or_insert(How::Named);
            *old = (*old).max(to);
        };
        for call in &machine.calls {
            match call.op {
                "BUILD" | "BUILD of a result" => {}
                "NEWOBJ" | "NEWOBJ_EX" => raise(stands_for(machine, call.callable), How::Made),
                _ => raise(stands_for(machine, call.callable), How::Called),
            }
        }
        let given = handed_on(machine);
        for (id, node) in machine.nodes.iter().enumerate() {
            let Node::Call(call) = node else { continue };
            let Some(global) = machine.global(call.callable).filter(|g| INDIRECT.contains(g)) else { continue };
            // What is kept for later and only lies in a value is named; what is called or handed to a call may be called.
            if global == ("functools", "partial") && !given.contains(&(id as Id)) {
                continue;
            }
            for arg in machine.tuple(call.args).unwrap_or(&[]) {
                raise(*arg, How::Called);
            }
        }
        let misused = machine.nodes.iter().filter_map(|node| match node {
            Node::Call(call) => Some((machine.global(call.callable)?, call.args)),
            _ => None,
        });
        let misused = misused
            .filter(|((module, name), _)| families::why(module, name, true).is_some())
            .flat_map(|(_, args)| machine.tuple(args).unwrap_or(&[]).iter().copied())
            .collect();
        Self { machine, how, misused }
    }
    /// How bad an import is in this pickle.
    pub(super) fn import(&self, id: Id) -> Danger {
        let Some((module, name)) = self.machine.global(id) else { return Danger::Foreign };
        match (module, name) {
            ("functools", "partial") => self.partial(id),
            ("builtins" | "__builtin__", "getattr") if self.all_calls(id, |args| self.is_member(args)) => MEMBER,
            ("builtins" | "__builtin__", "getattr")
                if !self.results_are_called(id)
                    && self.all_calls(id, |args| self.is_member(args) || self.is_method(args)) =>
            {
                Danger::Value(&values::METHOD)
            }
            ("builtins" | "__builtin__", "type")
                if self.all_calls(id, |args| matches!(args, [of] if matches!(self.machine.node(*of), Node::None))) =>
            {
                Danger::Value(&values::TYPE_OF_NOTHING)
            }
            _ => danger(module, name, self.how.get(&id).copied().unwrap_or(How::Named)),
        }
    }
    /// A call with some arguments kept for later is as bad as what it would call.
    fn partial(&self, id: Id) -> Danger {
        let unclear = Danger::Known("it would call something that cannot be named from the file");
        let (mut worst, mut seen) = (KEPT, false);
        for args in self.calls_of(id) {
            seen = true;
            worst = match args.first().map(|first| (*first, self.machine.node(*first))) {
                Some((first, Node::Global(..))) if first != id => worst.worse(self.import(first)),
                _ => worst.worse(unclear),
            };
        }
        if seen { worst } else { Danger::Known("it calls what it is given") }
    }
    /// Whether what a call of this import gives is called, or handed to a call that is an error: `apply(getattr(..), ..)`.
    fn results_are_called(&self, id: Id) -> bool {
        let nodes = self.machine.nodes.iter().enumerate();
        let mut results = nodes.filter(|(_, node)| matches!(node, Node::Call(call) if call.callable == id));
        results.any(|(result, _)| {
            let result = result as Id;
            self.how.get(&result) == Some(&How::Called) || self.misused.contains(&result)
        })
    }
    fn all_calls(&self, id: Id, fits: impl Fn(&[Id]) -> bool) -> bool {
        let mut calls = self.calls_of(id).peekable();
        calls.peek().is_some() && calls.all(fits)
    }
    /// `getattr` is also how Python 2's protocols write a method of an object, and all protocols one of a plain type:
    /// `str.lower` as a tokenizer, a schedule's own function.
    fn is_method(&self, args: &[Id]) -> bool {
        let [of, name] = args else { return false };
        let Some(name) = self.machine.text(*name) else { return false };
        let class = match self.machine.node(*of) {
            Node::Call(call) => self.machine.global(call.callable),
            _ => self.machine.global(*of),
        };
        class.is_some_and(|(module, class)| {
            METHODS.contains(&(class, name)) && matches!(module, "builtins" | "__builtin__")
                || METHOD_OWNERS.iter().any(|owner| module.starts_with(owner))
                    && danger(module, class, How::Made).level() <= 1
                    && !name.starts_with("__")
                    && families::why(module, name, true).is_none()
        })
    }
    /// `getattr` is how Python writes the member of an enum: every call has a class and a name in capitals, or is the
    /// one by which a time zone is written.
    fn is_member(&self, args: &[Id]) -> bool {
        let [of, name] = args else { return false };
        let (Some((module, class)), Some(name)) = (self.machine.global(*of), self.machine.text(*name)) else {
            return false;
        };
        let capitals = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let class_like = class.rsplit('.').next().is_some_and(|c| c.starts_with(|c: char| c.is_ascii_uppercase()));
        let harmless = danger(module, class, How::Named).level() < 3;
        harmless && class_like && (capitals || (module, class, name) == ("zoneinfo", "ZoneInfo", "_unpickle"))
    }
    fn calls_of(&self, id: Id) -> impl Iterator<Item = &'m [Id]> {
        let machine = self.machine;
        machine.nodes.iter().filter_map(move |node| match node {
            Node::Call(call) if call.callable == id => Some(machine.tuple(call.args).unwrap_or(&[])),
            _ => None,
        })
    }
    /// The worst of what a computed callable comes from.
    pub(super) fn roots(&self, id: Id, depth: u32) -> Danger {
        if depth > 32 {
            return Danger::Known("calls of calls are nested too deep to be followed");
        }
        match self.machine.node(id) {
            Node::Global(..) => self.import(id),
            Node::Call(call) => match self.machine.global(call.callable) {
                Some(("builtins" | "__builtin__", "getattr")) => Danger::Known("a method would be called"),
                _ => self.roots(call.callable, depth + 1),
            },
            _ => Danger::Foreign,
        }
    }
    /// A class that PyTorch's old stream keeps with its source: making an object of it is told by the class's own import.
    pub(super) fn is_class_with_source(&self, callable: Id) -> bool {
        stands_for(self.machine, callable) != callable
    }
    /// The one computed call that is a value: a time zone by its name.
    pub(super) fn is_value(&self, callable: Id) -> bool {
        let Node::Call(call) = self.machine.node(callable) else { return false };
        let zone = || {
            let [of, _] = self.machine.tuple(call.args)? else { return None };
            self.machine.global(*of)
        };
        matches!(self.machine.global(call.callable), Some(("builtins" | "__builtin__", "getattr")))
            && self.import(call.callable).level() == 1
            && zone() == Some(("zoneinfo", "ZoneInfo"))
    }
}

/// The class that `('module', class, file, source)` of PyTorch's old stream stands for, else the value itself.
fn stands_for(machine: &Machine, id: Id) -> Id {
    let Node::Persistent(key) = machine.node(id) else { return id };
    match machine.tuple(*key) {
        Some([kind, class, ..]) if machine.text(*kind) == Some("module") && machine.global(*class).is_some() => *class,
        _ => id,
    }
}

/// Values that are called, or handed to a call as they are.
fn handed_on(machine: &Machine) -> HashSet<Id> {
    let calls = machine.nodes.iter().filter_map(|node| if let Node::Call(call) = node { Some(call) } else { None });
    let args = calls.flat_map(|call| machine.tuple(call.args).unwrap_or(&[]).iter().copied().chain([call.callable]));
    args.chain(machine.calls.iter().map(|call| call.callable)).collect()
}

const MEMBER: Danger = Danger::Value(&values::MEMBER);
const KEPT: Danger = Danger::Value(&values::KEPT);

/// What tensors and plain values need: PyTorch's own list for `weights_only`, numpy's arrays, plain types.
fn needed(module: &str, name: &str) -> bool {
    match module {
        "builtins" | "__builtin__" => PLAIN.contains(&name),
        "collections" => matches!(name, "OrderedDict" | "Counter"),
        "_codecs" => name == "encode",
        "torch" => {
            name.ends_with("Storage") && !name.contains('.') && name.len() < 40
                || torch_names::dtype(name).is_some()
                || matches!(
                    name,
                    "Size"
                        | "device"
                        | "Tensor"
                        | "strided"
                        | "sparse_coo"
                        | "per_tensor_affine"
                        | "per_channel_affine"
                )
        }
        "torch.cuda" => !name.contains('.') && (name.ends_with("Storage") || name.ends_with("Tensor")),
        "torch.storage" => matches!(name, "TypedStorage" | "UntypedStorage" | "_UntypedStorage" | "_TypedStorage"),
        "torch.nn.parameter" => matches!(name, "Parameter" | "Buffer"),
        "torch.nn" => name == "Parameter",
        "torch.serialization" => name == "_get_layout",
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch._utils" => name.starts_with("_rebuild_") && torch_names::rebuilds(name),
        "torch.jit._pickle" => {
            matches!(
                name,
                "build_intlist"
                    | "build_tensorlist"
                    | "build_doublelist"
                    | "build_boollist"
                    | "build_tensor_from_id"
                    | "restore_type_tag"
            )
        }
        "numpy" => matches!(name, "ndarray" | "dtype"),
        "numpy.core.multiarray" | "numpy._core.multiarray" => matches!(name, "_reconstruct" | "scalar"),
        // Classes that the archive itself holds as TorchScript, which is no Python.
        _ => module == "__torch__" || module.starts_with("__torch__."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_needed_values_foreign_or_known_to_do_harm() {
        use How::{Called, Made, Named};
        // 0 needed, 1 a known value, 2 foreign, 3 known to do harm.
        for (module, name, how, level) in [
            ("torch._utils", "_rebuild_tensor_v2", Called, 0),
            ("torch", "BFloat16Storage", Named, 0),
            ("torch", "float8_e4m3fn", Named, 0),
            ("collections", "OrderedDict", Called, 0),
            ("builtins", "set", Called, 0),
            ("__torch__.models.vad", "Net", Made, 0),
            ("pathlib", "PosixPath", Called, 1),
            ("uuid", "UUID", Made, 1),
            ("argparse", "Namespace", Made, 1),
            ("datetime", "datetime", Called, 1),
            ("collections", "defaultdict", Called, 1),
            ("sklearn.preprocessing._data", "StandardScaler", Made, 1),
            ("sklearn.tree._tree", "Tree", Called, 1),
            ("torch.nn.modules.linear", "Linear", Made, 1),
            ("pytorch_lightning.utilities.parsing", "AttributeDict", Called, 1),
            ("transformers.training_args", "TrainingArguments", Made, 1),
            // A constructor that would run, where only an object may be made.
            ("ultralytics.nn.tasks", "DetectionModel", Made, 1),
            ("ultralytics.nn.tasks", "DetectionModel", Called, 2),
            ("transformers.training_args", "TrainingArguments", Called, 2),
            ("mycompany.models", "Net", Made, 2),
            // A class of the script that saved the file: of the program that loads it, a class of the same name.
            ("__main__", "Net", Made, 2),
            ("__main__", "os.system", Named, 3),
            ("__main__", "exec", Named, 3),
            ("scipy.stats._continuous_distns", "norm_gen", Made, 3),
            ("picklescan.scanner", "scan", Called, 3),
            ("_interpreters", "create", Called, 3),
            ("__future__", "_ssl.RAND_bytes", Named, 3),
            ("numpy", "memmap", Named, 1),
            ("numpy", "memmap", Called, 3),
            ("torch.utils.data.dataloader", "DataLoader", Called, 3),
            ("pandas._libs.tslibs.offsets", "YearEnd", Called, 1),
            ("builtins", "len", Called, 1),
            ("mycompany.datasets", "load_all", Named, 2),
            ("mycompany.datasets", "load_all", Called, 3),
            ("builtins", "eval", Called, 3),
            ("torch", "load", Called, 3),
            ("torch.storage", "_load_from_bytes", Called, 3),
            ("os.path", "join", Called, 3),
            ("harmless", "a.b.system", Called, 3),
            ("harmless", "Net.__init__.__globals__", Named, 3),
            ("six.moves.builtins", "Net", Named, 3),
            ("<?>", "x", Named, 3),
            ("uuid", "_get_command_stdout", Called, 3),
            ("pathlib", "Path.write_text", Called, 3),
            ("pathlib", "os.execv", Called, 3),
            ("pandas.io.parsers.readers", "read_csv", Called, 3),
            ("pandas", "read_pickle", Called, 3),
            ("numpy", "load", Called, 3),
            ("numpy._core", "_ufunc_reconstruct", Called, 3),
            ("mlflow.projects.backend.local", "_run_entry_point", Called, 3),
            ("torch.distributed.rpc", "rpc_sync", Called, 3),
            ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", Called, 3),
            ("torch._inductor.codecache", "compile_file", Called, 3),
            ("transformers", "AutoModel.from_pretrained", Called, 3),
            ("sklearn.datasets", "fetch_openml", Called, 3),
            ("timeit", "timeit", Called, 3),
            ("code", "InteractiveInterpreter.runcode", Called, 3),
            ("operator", "attrgetter", Called, 3),
            ("functools", "reduce", Called, 3),
            ("argparse", "FileType", Called, 3),
            ("logging", "FileHandler", Called, 3),
            ("joblib", "load", Called, 3),
        ] {
            assert_eq!(danger(module, name, how).level(), level, "{module}.{name} {how:?}");
        }
    }

    #[test]
    fn every_row_says_why() {
        for row in values::VALUES {
            assert!(row.why.len() > 10 && !row.kind.is_empty(), "{}", row.kind);
        }
        for family in families::FAMILIES {
            assert!(family.why.starts_with("it "), "{}", family.why);
        }
    }
}
