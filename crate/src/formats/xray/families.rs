//! Families of imports that run code, start programs, or reach files and networks, each with its reason.

/// One family.
pub(super) struct Family {
    /// What loading the file would do.
    pub(super) why: &'static str,
    /// Modules, with all below them.
    modules: &'static [&'static str],
}

/// Modules of which every name is dangerous, unless the list of known values excepts it.
#[rustfmt::skip]
pub(super) const FAMILIES: &[Family] = &[
    Family { why: "it starts programs", modules: &[
        "os", "posix", "nt", "subprocess", "_posixsubprocess", "_winapi", "commands", "popen2", "pty", "multiprocessing", "concurrent", "asyncio", "distutils", "setuptools", "pip", "ensurepip", "venv", "virtualenv", "platform", "sysconfig", "webbrowser", "antigravity", "mailcap", "uuid", "_osx_support", "_aix_support", "_bootsubprocess", "sh", "pexpect", "plumbum", "fabric", "invoke", "psutil", "msilib", "crypt", "git", "torch.utils.collect_env", "torch.utils.cpp_extension", "torch.distributed", "torch.multiprocessing", "numpy.distutils", "mlflow", "dask", "distributed", "celery", "luigi", "airflow", "prefect", "pyspark", "bentoml", "clearml", "ray.cloudpickle", "ray.util", "deepspeed.launcher", "deepspeed.ops", "wandb.sdk.launch", "accelerate.commands", "joblib.externals", "joblib._parallel_backends", "joblib.parallel",
    ] },
    Family { why: "it runs code that is given as text or as bytes", modules: &[
        "builtins", "__builtin__", "code", "codeop", "_pyrepl", "rlcompleter", "bdb", "pdb", "pydoc", "doctest", "profile", "cProfile", "trace", "timeit", "test", "unittest", "idlelib", "lib2to3", "py_compile", "compileall", "symtable", "ast", "dis", "types", "opcode", "tkinter", "turtle", "turtledemo", "IPython", "ipykernel", "numexpr", "sympy", "asteval", "RestrictedPython", "jinja2", "mako", "numpy.testing", "numpy.f2py", "numpy.core._internal", "pandas.core.computation", "pandas.eval", "pandas.testing", "torch.fx", "torch._dynamo", "torch._inductor", "torch._export", "torch.export", "torch._functorch", "torch.compile", "torch.compiler", "torch.package", "torch.testing", "torch.onnx", "torch.jit", "torch.utils.bottleneck", "torch.utils._config_module", "sklearn.utils._testing", "sklearn.conftest", "numba", "cffi", "cloudpickle", "dill", "pytest", "_pytest", "nose", "hypothesis", "_interpreters", "_xxsubinterpreters", "_interpchannels", "_xxinterpchannels", "_interpqueues", "concurrent.interpreters",  "execnet", "pyximport", "Cython",
    ] },
    // rv_generic.__setstate__ executes `_parse_arg_template` of the state (scipy/stats/_distn_infrastructure.py).
    Family { why: "it runs a text of its own state as code when it is restored", modules: &["scipy.stats._distn_infrastructure", "scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats.distributions"] },
    Family { why: "it changes or switches off a program that examines pickles", modules: &["fickling", "picklescan", "modelscan", "modelaudit", "model_unpickler", "saferpickle"] },
    Family { why: "it imports modules by their names", modules: &["importlib", "imp", "pkgutil", "runpy", "zipimport", "zipapp", "modulefinder", "pkg_resources", "entrypoints", "stevedore", "hydra", "fire", "_frozen_importlib", "_frozen_importlib_external", "pyclbr", "site", "usercustomize", "sitecustomize", "lazy_loader"] },
    Family { why: "it reaches memory and libraries outside Python", modules: &["ctypes", "_ctypes", "numpy.ctypeslib", "torch._C", "torch.ops", "torch.classes", "torch._ops", "torch.library", "torch._classes", "mmap", "gc", "faulthandler", "resource", "winreg", "_winreg", "win32api", "triton", "cupy", "pycuda"] },
    Family { why: "it reaches other objects through their attributes, and so any function there is", modules: &["operator", "_operator", "functools", "_functools", "itertools", "inspect", "sys", "weakref", "_thread", "threading", "signal", "atexit", "sched", "contextlib", "selectors", "select", "dataclasses", "copy", "copyreg", "copy_reg", "numpy.core._ufunc_reconstruct", "toolz", "cytoolz"] },
    Family { why: "it unpickles further bytes or files", modules: &["pickle", "_pickle", "cPickle", "pickletools", "marshal", "shelve", "joblib", "sklearn.externals", "pandas.compat.pickle_compat", "pandas.io.pickle", "jsonpickle", "hickle", "klepto", "skops", "torch.serialization", "torch.storage", "yaml", "_yaml", "ruamel", "plistlib", "xmlrpc", "dbm"] },
    Family { why: "it reads or writes files", modules: &["io", "_io", "shutil", "pathlib", "glob", "tempfile", "fileinput", "linecache", "zipfile", "tarfile", "gzip", "bz2", "lzma", "sqlite3", "_sqlite3", "filecmp", "codecs", "posixpath", "ntpath", "netrc", "configparser", "ConfigParser", "logging", "stat", "fcntl", "numpy.lib.npyio", "numpy.lib._npyio_impl", "numpy.lib.format", "numpy.lib._format_impl", "numpy.lib._datasource", "numpy.DataSource", "numpy.memmap", "numpy.core.memmap", "numpy._core.memmap", "pandas.io", "scipy.io", "h5py", "tables", "zarr", "netCDF4", "cv2", "imageio", "skimage.io", "soundfile", "librosa", "torchaudio", "torchvision.io", "keras.saving", "keras.src.saving", "keras.models", "keras.src.models", "tensorflow.io", "tensorflow.python.lib", "tensorflow.python.platform", "tensorflow.python.saved_model", "tensorflow.python.keras.saving", "tensorflow.saved_model", "tensorflow.raw_ops", "tensorflow.python.ops.io_ops", "tensorflow.python.ops.gen_io_ops", "tensorflow.keras", "onnx", "onnxruntime", "safetensors", "fsspec", "torch.utils"] },
    Family { why: "it reaches the network", modules: &["socket", "_socket", "ssl", "_ssl", "socketserver", "SocketServer", "http", "httplib", "urllib", "urllib2", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "poplib", "imaplib", "nntplib", "paramiko", "websocket", "websockets", "pycurl", "grpc", "zmq", "tornado", "twisted", "flask", "fastapi", "uvicorn", "gradio", "boto3", "botocore", "s3fs", "gcsfs", "google.cloud", "azure", "redis", "pymongo", "psycopg2", "sqlalchemy", "wget", "gdown", "kagglehub", "kaggle", "pooch", "nltk.downloader", "nltk.data", "datasets.load", "datasets.builder", "datasets.utils", "huggingface_hub", "modelscope", "sklearn.datasets", "torch.hub", "tensorflow_hub", "tensorflow_datasets", "dns", "scapy", "smbclient", "ldap3", "openai", "anthropic"] },
];

/// Functions that do so in packages that are harmless otherwise. A name that ends in `*` is a beginning.
#[rustfmt::skip]
const MEMBERS: &[(&str, &[&str], &str)] = &[
    ("torch", &["load", "save", "compile", "classes", "ops", "hub", "jit", "package", "library", "from_file", "os", "sys", "importlib", "inspect", "builtins", "functools", "threading", "ctypes", "platform", "textwrap"], "it loads files or compiles code"),
    ("numpy", &["load", "loadtxt", "genfromtxt", "fromfile", "fromregex", "memmap", "save", "savez", "savez_compressed", "savetxt", "DataSource", "lookfor", "source", "frompyfunc", "vectorize", "apply_along_axis", "apply_over_axes", "piecewise", "fromfunction", "fromiter", "os", "sys", "ctypeslib", "f2py", "testing"], "it reads or writes files, or calls what it is given"),
    ("numpy.core", &["_ufunc_reconstruct"], "it imports any module by its name"),
    ("numpy._core", &["_ufunc_reconstruct"], "it imports any module by its name"),
    ("pandas", &["read_*", "eval", "ExcelFile", "ExcelWriter", "HDFStore", "to_pickle", "io"], "it reads files and addresses, or evaluates text"),
    ("pandas.core.generic", &["*"], "its methods write files"),
    ("argparse", &["FileType*", "ArgumentParser*"], "it opens files"),
    ("random", &["_urandom", "_os"], "it reaches the operating system"),
    ("codecs", &["open", "lookup", "register", "EncodedFile", "StreamReaderWriter"], "it reads or writes files"),
    ("re", &["sub", "subn", "Scanner", "template"], "it calls what it is given"),
    ("typing", &["get_type_hints", "ForwardRef*", "_eval_type", "evaluate_forward_ref"], "it evaluates text"),
    ("collections", &["namedtuple", "_sys", "_iskeyword"], "it builds classes from text"),
    ("transformers", &["pipeline", "Auto*", "pipelines*", "Trainer", "Tool", "load_tool"], "it fetches models and may run their code"),
    ("transformers.pipelines", &["*"], "it fetches models and may run their code"),
    ("transformers.dynamic_module_utils", &["*"], "it fetches and runs code of a model"),
    ("transformers.utils.hub", &["*"], "it fetches files"),
    ("omegaconf", &["OmegaConf.*", "OmegaConf"], "it reads files and registers resolvers"),
    ("omegaconf.omegaconf", &["*"], "it reads files and registers resolvers"),
    ("ultralytics.utils", &["checks*", "downloads*", "SETTINGS*"], "it fetches files or starts programs"),
    ("ultralytics.utils.checks", &["*"], "it starts programs"),
    ("ultralytics.utils.downloads", &["*"], "it fetches files"),
    ("ultralytics.engine", &["*"], "it reads and fetches models"),
    ("ultralytics", &["YOLO", "RTDETR", "SAM", "NAS", "FastSAM"], "it reads and fetches models"),
    ("xgboost.core", &["_load_lib", "DMatrix", "QuantileDMatrix"], "it reads files"),
    ("lightgbm.basic", &["Dataset", "_load_lib"], "it reads files"),
    ("tensorflow", &["load*", "py_function", "numpy_function", "io*", "raw_ops*", "saved_model*"], "it reads and writes files or calls what it is given"),
    ("keras", &["Lambda", "get_file"], "it holds code, or fetches files"),
    ("datasets", &["load_*", "Dataset.*"], "it reads and fetches data sets"),
    ("ray", &["init", "remote", "get", "put"], "it runs code on other machines"),
    ("nltk", &["download*", "data*"], "it fetches files"),
    ("attr", &["make_class", "_make*"], "it builds classes from text"),
    ("lightning_fabric.utilities.cloud_io", &["*"], "it reads files"),
    ("diffusers", &["*Pipeline", "*.from_pretrained"], "it fetches models and may run their code"),
];

/// Names that run or reach something wherever they come from.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "__import__", "__subclasses__", "__globals__", "__getattribute__", "__reduce__", "__reduce_ex__", "__builtins__", "__loader__", "apply", "breakpoint", "compile", "delattr", "eval", "exec", "execfile", "execWrapper", "getattr", "globals", "import_module", "input", "load_library", "locals", "open", "popen", "Popen", "run", "runctx", "runcode", "runsource", "runstring", "setattr", "spawn", "system", "vars", "from_pretrained", "load_from_checkpoint", "load_model", "save_model", "evaluate_guards_expression", "urlopen", "urlretrieve", "check_output", "check_call", "getoutput", "getstatusoutput", "rpc_sync", "rpc_async", "remote", "unpickle", "loads",
];

/// Modules by whose name, inside another's, everything can be reached: `something.os.system`.
const REACHED: &[&str] = &[
    "os",
    "sys",
    "subprocess",
    "builtins",
    "__builtin__",
    "__builtins__",
    "posix",
    "nt",
    "shutil",
    "socket",
    "importlib",
    "ctypes",
    "pickle",
    "marshal",
    "runpy",
    "pty",
    "codeop",
    "_os",
    "_sys",
    "_io",
    "_ssl",
    "_socket",
    "_ctypes",
    "_thread",
    "_pickle",
    "_winapi",
    "_posixsubprocess",
];
/// The same where the name goes on: packages of others have modules of these names too.
const PASSED: &[&str] = &["code", "functools", "inspect", "io", "operator", "types", "warnings"];

/// What functions do whose names begin so, where a pickle calls them.
#[rustfmt::skip]
const VERBS: &[(&[&str], &str)] = &[
    (&["run", "exec", "execute", "eval", "evaluate", "spawn", "launch", "call", "invoke", "system", "shell", "command", "compile", "import", "start", "popen", "apply"], "its name says that it runs something"),
    (&["load", "read", "open", "write", "save", "dump", "unpack", "extract", "parse", "delete", "remove", "unlink"], "its name says that it reads or writes files"),
    (&["fetch", "download", "get_file", "urlopen", "urlretrieve", "request", "connect", "send", "upload", "push", "pull", "clone"], "its name says that it reaches the network"),
];

/// Why this import is known to run code or to reach files, processes or networks; `None` where it is not.
pub(super) fn why(module: &str, name: &str, called: bool) -> Option<&'static str> {
    if module.starts_with('<') || name.starts_with('<') {
        return Some("its name is computed while loading, so it can be anything");
    }
    let family = FAMILIES.iter().find(|f| f.modules.iter().any(|m| inside(m, module)));
    let member = || {
        MEMBERS.iter().find(|(m, names, _)| inside(m, module) && names.iter().any(|n| matches(n, name))).map(|m| m.2)
    };
    family.map(|f| f.why).or_else(member).or_else(|| by_name(module, name, called))
}

/// `module` is `of`, or lies below it.
fn inside(of: &str, module: &str) -> bool {
    module == of || module.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'))
}

/// `*` at an end stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => name.starts_with(start),
        (None, Some(end)) => name.ends_with(end),
        (None, None) => name == pattern,
    }
}

fn by_name(module: &str, name: &str, called: bool) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('.').collect();
    let last = parts.last().copied().unwrap_or(name);
    if NAMES.contains(&last) {
        return Some("functions of this name run code or reach files, processes or networks");
    }
    // An attribute of an attribute: pickle follows the chain, to modules that the class's own module imported.
    let chained = parts.len() > 1 && parts.iter().any(|p| p.starts_with("__") || PASSED.contains(p));
    if chained || parts.iter().any(|p| REACHED.contains(p)) || module.split('.').skip(1).any(|p| REACHED.contains(&p)) {
        return Some("it reaches another module through attributes");
    }
    let word = last.trim_start_matches('_').split('_').next().unwrap_or_default();
    let verb = VERBS.iter().find(|(verbs, _)| verbs.contains(&word) || verbs.contains(&last));
    if called { verb.map(|(_, why)| *why) } else { None }
}
