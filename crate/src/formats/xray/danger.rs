//! How bad an import is: what tensors need, known value types, and what is known to do harm.

use std::collections::HashMap;

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
                "NEWOBJ" | "NEWOBJ_EX" => raise(call.callable, How::Made),
                _ => raise(call.callable, How::Called),
            }
        }
        for node in &machine.nodes {
            if let Node::Call(call) = node
                && machine.global(call.callable).is_some_and(|g| INDIRECT.contains(&g))
            {
                for arg in machine.tuple(call.args).unwrap_or(&[]) {
                    raise(*arg, How::Called);
                }
            }
        }
        Self { machine, how }
    }
    /// How bad an import is in this pickle.
    pub(super) fn import(&self, id: Id) -> Danger {
        let Some((module, name)) = self.machine.global(id) else { return Danger::Foreign };
        match (module, name) {
            ("functools", "partial") => self.partial(id),
            ("builtins" | "__builtin__", "getattr") if self.members_only(id) => MEMBER,
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
    /// `getattr` is how Python writes the member of an enum: every call has a class and a name in capitals, or is the
    /// one by which a time zone is written.
    fn members_only(&self, id: Id) -> bool {
        let mut calls = self.calls_of(id).peekable();
        calls.peek().is_some() && calls.all(|args| self.is_member(args))
    }
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
            Node::Call(call) => self.roots(call.callable, depth + 1),
            _ => Danger::Foreign,
        }
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
