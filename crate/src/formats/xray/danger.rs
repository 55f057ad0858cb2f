//! How bad an import is: the list of what tensors need, and the lists of what is known to do harm.

/// How bad an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Danger {
    /// Builds tensors and plain values.
    Needed,
    /// Code of some package would be imported.
    Foreign,
    /// Known to run code, or to reach files, processes or networks.
    Known,
}

/// Names that run or reach something wherever they come from.
const NAMES: &[&str] = &[
    "__import__",
    "apply",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "execfile",
    "getattr",
    "globals",
    "import_module",
    "load_library",
    "locals",
    "open",
    "popen",
    "run",
    "setattr",
    "system",
    "vars",
];

/// Top modules that run code, start programs, or reach files and networks.
const MODULES: &[&str] = &[
    "__builtin__",
    "__main__",
    "_io",
    "_operator",
    "_osx_support",
    "_pickle",
    "_posixsubprocess",
    "_pyrepl",
    "_thread",
    "aiohttp",
    "asyncio",
    "atexit",
    "bdb",
    "builtins",
    "cProfile",
    "cffi",
    "code",
    "codeop",
    "commands",
    "cPickle",
    "ctypes",
    "dill",
    "cloudpickle",
    "distutils",
    "doctest",
    "ensurepip",
    "fileinput",
    "ftplib",
    "functools",
    "gc",
    "glob",
    "http",
    "httplib",
    "httpx",
    "idlelib",
    "imaplib",
    "imp",
    "importlib",
    "inspect",
    "io",
    "joblib",
    "lib2to3",
    "linecache",
    "logging",
    "mailcap",
    "marshal",
    "multiprocessing",
    "nntplib",
    "nt",
    "ntpath",
    "numba",
    "operator",
    "os",
    "paramiko",
    "pathlib",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "poplib",
    "popen2",
    "posix",
    "posixpath",
    "profile",
    "pty",
    "py_compile",
    "pydoc",
    "requests",
    "resource",
    "rlcompleter",
    "runpy",
    "select",
    "setuptools",
    "shelve",
    "shutil",
    "signal",
    "site",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "sysconfig",
    "telnetlib",
    "tempfile",
    "test",
    "threading",
    "timeit",
    "tkinter",
    "trace",
    "types",
    "unittest",
    "urllib",
    "urllib2",
    "urllib3",
    "uuid",
    "venv",
    "webbrowser",
    "xmlrpc",
    "zipfile",
    "zipimport",
];

/// Modules within otherwise harmless packages.
const INNER: &[&str] = &[
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.testing",
    "torch._C",
    "torch._dynamo",
    "torch._inductor",
    "torch.hub",
    "torch.jit",
    "torch.library",
    "torch.ops",
    "torch.package",
    "torch.serialization",
    "torch.storage",
    "torch.utils",
];

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

pub(super) fn danger(module: &str, name: &str) -> Danger {
    if needed(module, name) {
        return Danger::Needed;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let top = module.split('.').next().unwrap_or(module);
    let inside = |of: &str| module == of || module.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
    let computed = module.starts_with('<') || name.starts_with('<');
    if computed || NAMES.contains(&last) || MODULES.contains(&top) || INNER.iter().any(|m| inside(m)) {
        return Danger::Known;
    }
    if module == "torch" && matches!(last, "load" | "save" | "compile" | "classes" | "ops") {
        return Danger::Known;
    }
    Danger::Foreign
}

/// What tensors and plain values need: PyTorch's own list for `weights_only`, numpy's arrays, plain types.
fn needed(module: &str, name: &str) -> bool {
    match module {
        "builtins" | "__builtin__" => PLAIN.contains(&name),
        "collections" => matches!(name, "OrderedDict" | "Counter"),
        "_codecs" => name == "encode",
        "torch" => {
            name.ends_with("Storage") && name.len() < 40
                || crate::formats::pytorch::dtype(name).is_some()
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
        "torch.cuda" => name.ends_with("Storage") || name.ends_with("Tensor"),
        "torch.storage" => matches!(name, "TypedStorage" | "UntypedStorage" | "_UntypedStorage" | "_TypedStorage"),
        "torch.nn.parameter" => matches!(name, "Parameter" | "Buffer"),
        "torch.nn" => name == "Parameter",
        "torch.serialization" => name == "_get_layout",
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch._utils" => name.starts_with("_rebuild_") && crate::formats::pytorch::rebuilds(name),
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
    fn imports_are_needed_foreign_or_known_to_do_harm() {
        for (module, name, verdict) in [
            ("torch._utils", "_rebuild_tensor_v2", Danger::Needed),
            ("torch", "BFloat16Storage", Danger::Needed),
            ("torch", "float8_e4m3fn", Danger::Needed),
            ("collections", "OrderedDict", Danger::Needed),
            ("builtins", "set", Danger::Needed),
            ("__torch__.models.vad", "Net", Danger::Needed),
            ("sklearn.preprocessing._data", "StandardScaler", Danger::Foreign),
            ("torch.nn.modules.linear", "Linear", Danger::Foreign),
            ("builtins", "eval", Danger::Known),
            ("torch", "load", Danger::Known),
            ("torch.storage", "_load_from_bytes", Danger::Known),
            ("os.path", "join", Danger::Known),
            ("harmless", "a.b.system", Danger::Known),
            ("<?>", "x", Danger::Known),
        ] {
            assert_eq!(danger(module, name), verdict, "{module}.{name}");
        }
    }
}
