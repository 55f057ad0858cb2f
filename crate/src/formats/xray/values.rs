//! Known value types: what files of models hold beside tensors, and why making one does nothing else.
//!
//! What the constructors, `__new__`, `__setstate__` and `__reduce__` of these types do is known from the libraries' documents and from what their files import.
//! A row says how far a name may go. A class that is only made (`__new__`, without its constructor) may stand here though
//! its constructor would read files.

/// What a pickle does with a name, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// It is only named: a type of a field, a function that is kept.
    Named,
    /// An object is made by `__new__`; no constructor runs.
    Made,
    /// It is called with arguments.
    Called,
}

/// Which names of a module.
#[derive(Debug)]
pub(super) enum Names {
    /// These.
    These(&'static [&'static str]),
    /// All classes, by the letter that a class begins with.
    Classes,
    /// Everything without a dot.
    All,
}

/// One kind of value.
#[derive(Debug)]
pub(super) struct Values {
    /// "file paths", as a sentence names them.
    pub(super) kind: &'static str,
    /// Modules; one that ends in a dot stands for all below it.
    modules: &'static [&'static str],
    names: Names,
    /// How far they may go.
    pub(super) most: How,
    /// Why that is harmless.
    pub(super) why: &'static str,
}

use How::{Called, Made, Named};
use Names::{All, Classes, These};

const fn row(
    kind: &'static str,
    modules: &'static [&'static str],
    names: Names,
    most: How,
    why: &'static str,
) -> Values {
    Values { kind, modules, names, most, why }
}

/// The allow-list. Rows of single names come first: what a family of dangerous calls holds in general may be excepted there.
#[rustfmt::skip]
pub(super) const VALUES: &[Values] = &[
    row("file paths", &["pathlib", "pathlib._local", "pathlib._abc"], These(&["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"]), Called,
        "a path object keeps text; no file is opened until a program asks for it"),
    row("UUIDs", &["uuid"], These(&["UUID", "SafeUUID"]), Called, "a number of 128 bits and how it was made"),
    row("argument lists", &["argparse"], These(&["Namespace"]), Called, "attributes set from a dict, as Lightning and many training scripts save their options"),
    row("attribute bags", &["types"], These(&["SimpleNamespace", "MappingProxyType"]), Called, "attributes or a read-only view of a dict; methods are not involved"),
    row("dates and times", &["datetime"], These(&["datetime", "date", "time", "timedelta", "timezone"]), Called, "numbers of a calendar"),
    row("time zones", &["zoneinfo", "zoneinfo._zoneinfo"], These(&["ZoneInfo", "ZoneInfo._unpickle"]), Called, "a zone by its name, looked up in the system's own table"),
    row("time zones", &["pytz"], These(&["_UTC", "_p", "UTC"]), Called, "a zone by its name, looked up in the package's own table"),
    row("exact numbers", &["decimal", "_decimal"], These(&["Decimal", "Context"]), Called, "a decimal number from its digits"),
    row("exact numbers", &["fractions"], These(&["Fraction"]), Called, "a fraction from its text"),
    row("containers of the standard library", &["collections", "UserDict", "UserList", "UserString"],
        These(&["OrderedDict", "Counter", "deque", "defaultdict", "ChainMap", "UserDict", "UserList", "UserString", "IterableUserDict"]), Called,
        "they hold the values that the pickle names; the factory of a defaultdict is an import of its own and is judged as one"),
    row("arrays of numbers", &["array"], These(&["array", "_array_reconstructor"]), Called, "numbers in a row"),
    row("bytes in memory", &["io", "_io"], These(&["BytesIO", "StringIO"]), Called, "a buffer in memory; no file"),
    row("plain types", &["builtins", "__builtin__"], These(&["range", "xrange", "Ellipsis", "NotImplemented", "NoneType"]), Called, "values that are their own arguments"),
    row("exceptions", &["builtins", "__builtin__", "exceptions"],
        These(&["BaseException", "Exception", "BaseExceptionGroup", "ExceptionGroup", "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError", "BrokenPipeError", "BufferError", "ChildProcessError", "ConnectionAbortedError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "EOFError", "EnvironmentError", "FileExistsError", "FileNotFoundError", "FloatingPointError", "GeneratorExit", "ImportError", "IndentationError", "IndexError", "InterruptedError", "IOError", "IsADirectoryError", "KeyError", "KeyboardInterrupt", "LookupError", "MemoryError", "ModuleNotFoundError", "NameError", "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError", "PermissionError", "ProcessLookupError", "RecursionError", "ReferenceError", "RuntimeError", "StopAsyncIteration", "StopIteration", "SyntaxError", "SystemError", "SystemExit", "TabError", "TimeoutError", "TypeError", "UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnicodeTranslateError", "ValueError", "ZeroDivisionError", "BytesWarning", "DeprecationWarning", "EncodingWarning", "FutureWarning", "ImportWarning", "PendingDeprecationWarning", "ResourceWarning", "RuntimeWarning", "SyntaxWarning", "UnicodeWarning", "UserWarning", "Warning"]), Called,
        "an error that was kept is a value; it is not raised"),
    row("functions of plain values", &["builtins", "__builtin__"], These(&["len", "abs", "round", "ord", "chr", "hex", "oct", "bin", "divmod", "sum", "min", "max", "sorted", "any", "all"]), Called,
        "numbers, order and lengths of values that the pickle names"),
    row("functions of plain values", &["math"], All, Named, "functions of numbers that an object keeps"),
    row("names of types", &["collections.abc", "_collections_abc", "_abcoll"], Classes, Named, "kinds of containers, as type hints name them"),
    row("names of types", &["types"], These(&["GenericAlias"]), Called, "a type with the types of its items"),
    row("flags of Python's compiler", &["__future__"], All, Named, "a number; nothing is compiled"),
    row("dates and times", &["time"], These(&["struct_time"]), Called, "numbers of a calendar"),
    row("dates and times", &["dateutil.relativedelta"], These(&["relativedelta"]), Called, "numbers of a calendar"),
    row("time zones", &["dateutil.tz", "dateutil.tz.tz"], These(&["tzutc", "tzoffset", "tzlocal"]), Called, "a difference from UTC; no file of zones is read"),
    row("exact numbers", &["statistics"], These(&["NormalDist"]), Called, "a mean and a deviation"),
    row("exact numbers", &["decimal", "_decimal"], These(&["Clamped", "DecimalException", "DivisionByZero", "FloatOperation", "Inexact", "InvalidOperation", "Overflow", "Rounded", "Subnormal", "Underflow"]), Named, "signals that the context of a decimal number lists"),
    row("names of types", &["typing"], These(&["Any", "Union", "Optional", "List", "Dict", "Tuple", "Set", "Type", "Callable", "Sequence", "Mapping", "Iterable", "Literal", "NamedTuple", "TypedDict"]), Named,
        "omegaconf and dataclasses name the types of their fields"),
    row("how Python restores objects", &["copyreg", "copy_reg"], These(&["_reconstructor", "__newobj__", "__newobj_ex__"]), Called,
        "they call the __new__ of a class, which is an import of its own and is judged as one"),
    row("addresses", &["ipaddress"], These(&["IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"]), Called, "a number; nothing is connected to"),
    row("states of Python's random numbers", &["random"], These(&["Random"]), Called, "a list of numbers"),
    row("search patterns", &["re"], These(&["_compile", "Pattern", "RegexFlag"]), Called, "a pattern is compiled by Python's own matcher; it runs nothing until it is used"),
    row("members of enums", &["http"], These(&["HTTPStatus", "HTTPMethod"]), Called, "a member by its value"),
    row("members of enums", &["enum"], These(&["Enum", "IntEnum", "Flag", "IntFlag", "StrEnum"]), Named, "base classes of enums"),
    row("loggers", &["logging"], These(&["getLogger", "Logger"]), Called, "a logger by its name; it opens no file"),
    row("encodings of text", &["codecs"], These(&["encode"]), Called, "Python 2's way to write bytes"),

    row("numpy's scalars and types", &["numpy"],
        These(&["bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intc", "uintc", "longlong", "ulonglong", "float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble", "str_", "bytes_", "void", "object_", "datetime64", "timedelta64", "number", "integer", "floating", "generic", "record", "matrix", "recarray", "finfo", "iinfo", "newaxis", "ndarray", "dtype"]), Called,
        "scalars, arrays and names of types"),
    row("numpy's scalars and types", &["numpy.dtypes"], Classes, Called, "descriptions of element types"),
    row("numpy's arrays", &["numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"], These(&["_reconstruct", "scalar", "_frombuffer", "array"]), Called,
        "an array or scalar from bytes of the pickle"),
    row("numpy's arrays", &["numpy.ma", "numpy.ma.core", "numpy.rec", "numpy.core.records", "numpy.matrixlib.defmatrix", "numpy._core.records"], These(&["MaskedArray", "_mareconstruct", "MaskedConstant", "recarray", "record", "matrix", "mvoid"]), Called,
        "arrays with a mask or named fields"),
    row("numpy's arrays", &["numpy"], These(&["memmap"]), Named, "joblib names the class that an array had; its values are read as those of an ordinary one"),
    row("numpy's arrays", &["numpy.char", "numpy.core.defchararray", "numpy._core.defchararray"], These(&["chararray"]), Called, "an array of texts from bytes of the pickle"),
    row("numpy's scalars and types", &["numpy._core._internal"], These(&["_convert_to_stringdtype_kwargs"]), Called, "the options of a text type"),
    row("numpy's polynomials", &["numpy", "numpy.lib.polynomial", "numpy.lib._polynomial_impl"], These(&["poly1d"]), Made, "coefficients"),
    row("numpy's polynomials", &["numpy.polynomial."], Classes, Made, "coefficients"),
    row("exceptions", &["json.decoder"], These(&["JSONDecodeError"]), Called, "an error that was kept is a value; it is not raised"),
    row("exceptions", &["numpy.exceptions"], Classes, Called, "an error that was kept is a value; it is not raised"),
    row("numpy's random states", &["numpy.random", "numpy.random.mtrand", "numpy.random._pickle", "numpy.random._mt19937", "numpy.random._pcg64", "numpy.random._philox", "numpy.random._sfc64", "numpy.random._generator", "numpy.random.bit_generator"],
        These(&["RandomState", "Generator", "__randomstate_ctor", "__bit_generator_ctor", "__generator_ctor", "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64", "SeedSequence", "BitGenerator", "__pyx_unpickle_SeedSequence"]), Called,
        "states of random number generators, as training code keeps them"),
    row("numpy's arithmetic", &["numpy", "numpy.core._multiarray_umath", "numpy._core._multiarray_umath", "numpy.core.umath", "numpy.core.fromnumeric", "numpy._core.fromnumeric"],
        These(&["log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "abs", "absolute", "sin", "cos", "tanh", "mean", "sum", "min", "max", "amin", "amax", "median", "prod", "std", "var", "sign", "floor", "ceil", "maximum", "minimum", "add", "subtract", "multiply", "divide", "isnan", "nan_to_num", "clip", "where", "ravel", "asarray"]), Named,
        "functions over arrays that an object keeps, as scikit-learn's FunctionTransformer does"),

    row("PyTorch's types", &["torch"], These(&["Size", "device", "dtype", "layout", "memory_format", "preserve_format", "contiguous_format", "channels_last", "strided", "sparse_coo", "Generator", "finfo", "iinfo", "FloatTensor", "LongTensor"]), Called,
        "shapes, devices and element types"),
    row("PyTorch's layers", &["torch.nn.modules."], Classes, Made, "layers of PyTorch's own: their state is set as attributes; nothing is computed until the layer is called"),
    row("PyTorch's functions of layers", &["torch.nn.functional", "torch._C._nn", "torch"], These(&["relu", "gelu", "silu", "elu", "mish", "hardtanh", "sigmoid", "tanh", "softmax", "log_softmax", "leaky_relu", "selu", "softplus", "dropout", "layer_norm", "linear", "cross_entropy", "mse_loss", "binary_cross_entropy_with_logits"]), Named,
        "activation functions that a layer keeps"),
    row("PyTorch's optimizers and schedules", &["torch.optim."], Classes, Made, "their state is set as attributes; they step when training code asks"),
    row("PyTorch's attention masks", &["torch.nn.attention"], These(&["SDPBackend"]), Called, "a member of an enum"),
    row("PyTorch's distributed layouts", &["torch.distributed._tensor.placement_types", "torch.distributed.tensor.placement_types", "torch.distributed._tensor", "torch.distributed.tensor", "torch.distributed.tensor._dtensor_spec"],
        These(&["Shard", "Replicate", "Partial", "_Partial", "DTensorSpec", "TensorMeta"]), Made, "how a tensor was divided over machines; nothing is connected to"),
    row("PyTorch's layers", &["torch.nn.utils."], Classes, Made, "what changes a layer's weight: their state is set as attributes"),
    row("PyTorch's layers", &["torch.nn.parallel.data_parallel"], These(&["DataParallel"]), Made, "a layer around another; it copies to devices when it is called"),
    row("PyTorch's layers", &["torch.nn.parameter"], These(&["UninitializedParameter", "UninitializedBuffer"]), Called, "a weight whose shape is not known yet"),
    row("PyTorch's layers", &["torch.utils.hooks"], These(&["RemovableHandle"]), Made, "the number of a hook"),
    row("PyTorch's distributions", &["torch.distributions."], Classes, Made, "the tensors of a distribution"),
    row("PyTorch's nested tensors", &["torch.nested._internal.nested_tensor"], These(&["_rebuild_njt", "NestedTensor"]), Called, "rows of several lengths, put together from tensors of the pickle"),
    row("PyTorch's optimizers and schedules", &["torch.amp.grad_scaler", "torch.cuda.amp.grad_scaler"], These(&["GradScaler", "OptState", "_refresh_per_optimizer_state"]), Made, "the scale of gradients and what it was reached by"),
    row("indices of distributed checkpoints", &["torch.distributed.checkpoint.metadata"],
        These(&["Metadata", "TensorStorageMetadata", "TensorProperties", "ChunkStorageMetadata", "BytesStorageMetadata", "MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING"]), Called,
        "names, shapes and places of tensors"),
    row("indices of distributed checkpoints", &["torch.distributed.checkpoint.filesystem"], These(&["_StorageInfo", "_StoragePrefix"]), Called, "a file's name, an offset and a length; nothing is opened"),
    row("metrics of torchmetrics", &["torchmetrics."], Classes, Made, "sums and counts, set as attributes"),
    row("metrics of torchmetrics", &["torchmetrics."], All, Named, "functions that a metric keeps, called when it is computed"),
    row("data sets in memory", &["torch.utils.data.sampler"], These(&["Sampler", "SequentialSampler", "RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "BatchSampler"]), Made, "an order of indices"),
    row("data sets in memory", &["torch.utils.data.dataloader"], These(&["DataLoader", "_InfiniteConstantSampler"]), Made, "options and a data set of the pickle; nothing is read or started until it is iterated"),
    row("data sets in memory", &["torch.utils.data._utils.collate"], These(&["default_collate", "default_convert"]), Named, "functions over tensors that a loader keeps"),
    row("data sets in memory", &["torch.utils.data.dataset"], These(&["TensorDataset", "Subset", "ConcatDataset", "StackDataset"]), Made, "tensors and indices that the pickle holds"),
    row("states of PyTorch's quantizer", &["torch.ao.quantization.qconfig", "torch.ao.quantization.observer", "torch.ao.quantization.fake_quantize", "torch.quantization.observer"], Classes, Made, "numbers that a quantizer noted"),
    row("names of PyTorch's modules", &["torch.torch_version"], These(&["TorchVersion"]), Called, "a version as text"),

    row("Lightning's options", &["pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing", "lightning_fabric.utilities.data", "lightning.fabric.utilities.data"], These(&["AttributeDict", "_AttributeDict"]), Called,
        "a dict whose keys are attributes: the hyper-parameters of a Lightning checkpoint"),
    row("Lightning's states", &["pytorch_lightning.trainer.states", "lightning.pytorch.trainer.states", "pytorch_lightning.utilities.enums", "lightning.pytorch.utilities.enums", "lightning_fabric.utilities.enums", "lightning.fabric.utilities.enums"], Classes, Called,
        "members of enums"),
    row("Lightning's callbacks", &["pytorch_lightning.callbacks.", "lightning.pytorch.callbacks."], Classes, Named, "old checkpoints name a callback's class as the key of its state"),
    row("omegaconf's containers", &["omegaconf.dictconfig", "omegaconf.listconfig", "omegaconf.nodes", "omegaconf.base", "omegaconf"], Classes, Made,
        "a configuration as a tree of values; interpolations are followed when a value is read, not by loading"),
    row("training options of transformers", &["transformers.training_args", "transformers.training_args_seq2seq", "transformers.trainer_utils", "transformers.trainer_pt_utils", "transformers.generation.configuration_utils", "transformers.configuration_utils", "transformers.utils.quantization_config", "transformers.debug_utils", "transformers.deepspeed", "transformers.integrations.deepspeed"], Classes, Made,
        "options in a training_args.bin: set as attributes, the constructor does not run"),
    row("members of transformers' enums", &["transformers.training_args", "transformers.trainer_utils", "transformers.utils.generic", "transformers.debug_utils", "transformers.utils.quantization_config"],
        These(&["OptimizerNames", "ParallelMode", "IntervalStrategy", "SaveStrategy", "EvaluationStrategy", "SchedulerType", "HubStrategy", "FSDPOption", "DebugOption", "ExplicitEnum", "PaddingStrategy", "TensorType", "QuantizationMethod"]), Called,
        "a member by its value"),
    row("training options of accelerate", &["accelerate.state", "accelerate.utils.dataclasses"], Classes, Made, "options in a training_args.bin: set as attributes, the constructor does not run"),
    row("members of accelerate's enums", &["accelerate.utils.dataclasses"], These(&["DistributedType", "PrecisionType", "RNGType", "SageMakerDistributedType", "DynamoBackend", "ComputeEnvironment", "LoggerType"]), Called, "a member by its value"),
    row("training options of trl", &["trl.trainer.", "trl.commands."], Classes, Made, "options: set as attributes, the constructor does not run"),
    row("states of DeepSpeed's training", &["deepspeed.runtime.fp16.loss_scaler", "deepspeed.runtime.zero.config", "deepspeed.utils.tensor_fragment"], Classes, Made, "numbers of a loss scaler and places of parameters"),
    row("states of DeepSpeed's training", &["deepspeed.runtime.zero.config", "deepspeed.utils.tensor_fragment"], These(&["ZeroStageEnum", "fragment_address"]), Called, "a member of an enum; a place of a parameter"),
    row("options of adapters", &["peft.tuners.", "peft.config"], Classes, Made, "options of an adapter: set as attributes, the constructor does not run"),
    row("members of peft's enums", &["peft.utils.peft_types"], These(&["PeftType", "TaskType"]), Called, "a member by its value"),
    row("layers and options of ultralytics", &["ultralytics.nn.modules.", "ultralytics.nn.tasks", "ultralytics.utils", "ultralytics.utils.loss", "ultralytics.utils.tal", "ultralytics.yolo.utils", "ultralytics.nn.modules"], Classes, Made,
        "layers of YOLO: their state is set as attributes, the constructor (which reads a file) does not run"),

    row("layers and options of ultralytics", &["ultralytics.utils", "ultralytics.yolo.utils"], These(&["IterableSimpleNamespace"]), Called, "attributes from keywords"),

    row("scikit-learn's estimators", &["sklearn."], Classes, Called, "an estimator keeps its options; what it learned is set as attributes; nothing is computed until it is called"),
    row("scikit-learn's inner objects", &["sklearn."], These(&["newObj", "_get_random_state"]), Called, "an empty tree or distance is made, then filled from the pickle's numbers"),
    row("scikit-learn's estimators", &["sklearn.compose._column_transformer"], These(&["make_column_selector"]), Made, "which columns are taken, by a pattern or a type"),
    row("scikit-learn's functions", &["sklearn."], All, Named, "functions over arrays that an estimator keeps"),
    row("XGBoost's models", &["xgboost.core"], These(&["Booster"]), Made, "trees are read from the bytes in the pickle by XGBoost's own parser"),
    row("XGBoost's models", &["xgboost.sklearn"], Classes, Made, "an estimator: its state is set as attributes"),
    row("XGBoost's models", &["xgboost.callback"], Classes, Made, "rules of stopping that training used"),
    row("LightGBM's models", &["lightgbm.basic"], These(&["Booster"]), Made, "trees are read from the text in the pickle by LightGBM's own parser"),
    row("LightGBM's models", &["lightgbm.sklearn"], Classes, Made, "an estimator: its state is set as attributes"),
    row("joblib's arrays", &["joblib.numpy_pickle"], These(&["NumpyArrayWrapper"]), Made, "the description of an array whose values follow in the same file"),
    row("pandas' tables", &["pandas", "pandas.arrays", "pandas.core.frame", "pandas.core.series", "pandas.core.dtypes.dtypes", "pandas.core.arrays.", "pandas.core.internals.managers", "pandas.core.internals.blocks", "pandas.core.indexes.", "pandas._libs.tslibs.timestamps", "pandas._libs.tslibs.timedeltas", "pandas._libs.tslibs.period", "pandas._libs.tslibs.offsets"],
        These(&["DataFrame", "Series", "Index", "RangeIndex", "MultiIndex", "DatetimeIndex", "CategoricalIndex", "IntervalIndex", "Int64Index", "Float64Index", "TimedeltaIndex", "PeriodIndex", "Categorical", "CategoricalDtype", "StringDtype", "Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype", "UInt8Dtype", "UInt16Dtype", "UInt32Dtype", "UInt64Dtype", "SparseDtype", "Float32Dtype", "Float64Dtype", "BooleanDtype", "DatetimeTZDtype", "PeriodDtype", "IntervalDtype", "StringArray", "DatetimeArray", "TimedeltaArray", "IntegerArray", "FloatingArray", "BooleanArray", "PandasArray", "NumpyExtensionArray", "ArrowStringArray", "IntervalArray", "PeriodArray", "SparseArray", "NA", "NaT", "Period", "Interval", "DateOffset", "BlockManager", "SingleBlockManager", "new_block", "_new_Index", "_new_DatetimeIndex", "_new_PeriodIndex", "Timestamp", "Timedelta", "_unpickle_timestamp", "_timedelta_unpickle", "Day", "Hour"]), Called,
        "tables, their indices and element types, from arrays of the pickle"),
    row("pandas' tables", &["pandas._libs.internals", "pandas._libs.arrays", "pandas._libs.tslibs.timestamps", "pandas._libs.tslibs.timedeltas", "pandas._libs.tslibs.nattype", "pandas._libs.interval", "pandas._libs.sparse"], These(&["_unpickle_block", "__pyx_unpickle_NDArrayBacked", "__pyx_unpickle_IntervalMixin", "_nat_unpickle", "IntIndex", "BlockIndex", "_unpickle_timestamp", "_timedelta_unpickle"]), Called,
        "tables, their indices and element types, from arrays of the pickle"),
    row("pandas' tables", &["pandas._libs.tslibs.offsets"], Classes, Called, "distances in a calendar"),
    row("pandas' tables", &["pandas.api.typing", "pandas.core.window."], Classes, Made, "a table and how its rows are taken together; nothing is computed until it is asked"),
    row("scipy's sparse matrices", &["scipy.sparse", "scipy.sparse._csr", "scipy.sparse._csc", "scipy.sparse._coo", "scipy.sparse._lil", "scipy.sparse._dok", "scipy.sparse._dia", "scipy.sparse._bsr", "scipy.sparse.csr", "scipy.sparse.csc", "scipy.sparse.coo"],
        These(&["csr_matrix", "csc_matrix", "coo_matrix", "lil_matrix", "dok_matrix", "dia_matrix", "bsr_matrix", "csr_array", "csc_array", "coo_array", "lil_array", "dok_array", "dia_array", "bsr_array"]), Made, "rows, columns and values, from arrays of the pickle"),
    row("scipy's curves", &["scipy.interpolate."], Classes, Made, "numbers of a curve"),
    row("scipy's curves", &["scipy.interpolate._interpolate", "scipy.interpolate.interpolate"],
        These(&["interp1d", "interp2d", "interp1d._call_linear", "interp1d._call_linear_np", "interp1d._call_nearest", "interp1d._call_previousnext", "interp1d._call_spline", "interp1d._call_nan_spline"]), Made, "numbers of a curve, and which of its own functions it is read by"),
    row("scipy's curves", &["scipy.stats._kde", "scipy.stats.kde"], These(&["gaussian_kde"]), Made, "the points of a density"),
    row("scipy's search trees", &["scipy.spatial._ckdtree", "scipy.spatial.ckdtree", "scipy.spatial._kdtree", "scipy.spatial.kdtree"], These(&["cKDTree", "KDTree"]), Made, "points and the nodes of a tree over them"),
    row("scipy's results", &["scipy.optimize._optimize", "scipy.optimize.optimize"], These(&["OptimizeResult"]), Called, "a dict whose keys are attributes"),
    row("scipy's results", &["scipy.spatial.transform._rotation"], These(&["Rotation"]), Called, "numbers of a rotation"),
    row("scipy's names of array functions", &["scipy._lib.array_api_compat.numpy._aliases"], These(&["asarray"]), Named, "a function over arrays that an object keeps"),
];

/// `getattr(Class, "MEMBER")`, as Python writes some members of enums.
pub(super) const MEMBER: Values =
    row("members of enums", &[], These(&[]), Called, "a constant of a class, whose own import is judged as one");
/// `getattr(object, "method")`, as Python 2's protocols and methods of plain types are written.
pub(super) const METHOD: Values = row(
    "methods that an object keeps",
    &[],
    These(&[]),
    Called,
    "a method of a plain type or of an object of known values; calling it would be told on its own",
);
/// `type(None)`, as Python writes the type of nothing.
pub(super) const TYPE_OF_NOTHING: Values = row("names of types", &[], These(&[]), Called, "the type of None");
/// `functools.partial` over known values.
pub(super) const KEPT: Values = row(
    "calls kept for later",
    &[],
    These(&[]),
    Called,
    "what it would call is an import of its own and is judged as one",
);

/// The row of single names that holds this one, else the first of whole modules; each only as far as it may go.
pub(super) fn find(module: &str, name: &str, how: How, single: bool) -> Option<&'static Values> {
    VALUES.iter().find(|row| {
        matches!(row.names, These(_)) == single
            && how <= row.most
            && row.modules.iter().any(|m| inside(m, module))
            && row.names.hold(name)
    })
}

fn inside(of: &str, module: &str) -> bool {
    match of.strip_suffix('.') {
        Some(stem) => module == stem || module.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.')),
        None => module == of,
    }
}

impl Names {
    fn hold(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(&name),
            Self::Classes => {
                let first = name.trim_start_matches('_').chars().next();
                !name.contains('.') && first.is_some_and(|c| c.is_ascii_uppercase()) || is_restorer(name)
            }
            Self::All => !name.contains('.') && !name.starts_with("__"),
        }
    }
}

/// What Cython writes to restore its classes: the class's `__new__` and a dict.
fn is_restorer(name: &str) -> bool {
    name.strip_prefix("__pyx_unpickle_")
        .is_some_and(|class| class.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}
