"""Writes pickles as checkpoints hold them, for tests/rust/containers/pickles.rs: harmless all.

    python pickles.py                       # writes ../pickles/*.pkl

Needs numpy, pandas, scipy, scikit-learn, joblib, xgboost and omegaconf (numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1, joblib 1.6.0,
xgboost 3.2.0, omegaconf 2.4.0 made the committed files). Classes of PyTorch, Lightning, transformers, accelerate and ultralytics are
stand-ins of the same module and name: a pickle holds no more of a class than its name.
"""

import argparse
import array
import collections
import datetime
import decimal
import enum
import fractions
import http
import ipaddress
import pathlib
import pickle
import random
import re
import sys
import types
import uuid
import zoneinfo
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import scipy.sparse as sp
import xgboost
from omegaconf import OmegaConf
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

OUT = Path(__file__).resolve().parent.parent / "pickles"
rng = np.random.RandomState(0)
X = rng.rand(24, 3)
y = (X[:, 0] > 0.5).astype(int)


def standard():
    return {
        "datetime": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), "date": datetime.date(2026, 1, 2),
        "time": datetime.time(1), "delta": datetime.timedelta(1), "zone": datetime.timezone(datetime.timedelta(hours=1)),
        "decimal": decimal.Decimal("1.5"), "fraction": fractions.Fraction(1, 2), "uuid": uuid.UUID(int=5),
        "path": pathlib.PurePosixPath("a/b"), "real": pathlib.Path("a/b"), "windows": pathlib.PureWindowsPath("c:/x"),
        "counter": collections.Counter("aab"), "ordered": collections.OrderedDict(a=1), "deque": collections.deque([1], 3),
        "lists": collections.defaultdict(list, a=[1]), "ints": collections.defaultdict(int), "chain": collections.ChainMap({"a": 1}),
        "user": collections.UserDict(a=1), "namespace": argparse.Namespace(a=1), "simple": types.SimpleNamespace(a=1),
        "range": range(3), "slice": slice(1, 2), "complex": 1 + 2j, "frozen": frozenset([1]), "bytes": bytearray(b"x"),
        "ellipsis": Ellipsis, "zoneinfo": zoneinfo.ZoneInfo("UTC"), "address": ipaddress.ip_address("1.2.3.4"),
        "array": array.array("f", [1]), "pattern": re.compile("a"), "error": ValueError("x"), "status": http.HTTPStatus.OK,
        "random": random.Random(1),
    }


def numbers():
    return {
        "f": np.float64(1), "i": np.int32(1), "a": X, "bools": np.array([True]), "texts": np.array(["x"]),
        "objects": np.array([None, 1], dtype=object), "dtype": np.dtype("f4"), "fields": np.dtype([("a", "f4")]),
        "state": np.random.RandomState(1), "generator": np.random.default_rng(1), "tuple": np.random.RandomState(1).get_state(),
        "masked": np.ma.array([1, 2], mask=[0, 1]), "record": np.rec.array([(1, 2.0)]), "log": np.log1p, "type": np.float32,
        "date": np.datetime64("2020"), "fortran": np.asfortranarray(X),
    }


def stand_in(name, module, base=object, **more):
    """A class of that name in that module."""
    parts = module.split(".")
    for i in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    made = base(name, more.pop("members")) if base in (enum.Enum,) else type(name, (base,), dict(more))
    made.__module__, made.__qualname__ = module, name
    setattr(sys.modules[module], name, made)
    return made


def filled(cls, **state):
    made = cls.__new__(cls)
    made.__dict__.update(state)
    return made


def lightning():
    attributes = stand_in("AttributeDict", "lightning_fabric.utilities.data", dict)
    trainer = stand_in("TrainerFn", "pytorch_lightning.trainer.states", enum.Enum, members={"FITTING": "fit"})
    return {
        "epoch": 1, "pytorch-lightning_version": "2.5.0", "hyper_parameters": attributes(lr=0.1, path=pathlib.Path("runs")),
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"dirpath": pathlib.Path("x"), "best": decimal.Decimal("0.5")}},
        "loops": {"state": trainer.FITTING, "seen": collections.Counter(a=1), "made": datetime.datetime(2026, 1, 1)},
        "args": argparse.Namespace(seed=1), "losses": collections.defaultdict(float, a=1.0), "run": uuid.UUID(int=1),
    }


def training_args():
    arguments = stand_in("TrainingArguments", "transformers.training_args")
    strategy = stand_in("IntervalStrategy", "transformers.trainer_utils", enum.Enum, members={"NO": "no", "STEPS": "steps"})
    optimizer = stand_in("OptimizerNames", "transformers.training_args", enum.Enum, members={"ADAMW_TORCH": "adamw_torch"})
    state = stand_in("PartialState", "accelerate.state")
    kind = stand_in("DistributedType", "accelerate.utils.dataclasses", enum.Enum, members={"NO": "NO"})
    return filled(arguments, output_dir="x", optim=optimizer.ADAMW_TORCH, save_strategy=strategy.STEPS, distributed_state=filled(state, distributed_type=kind.NO))


def yolo():
    model = stand_in("DetectionModel", "ultralytics.nn.tasks")
    conv = stand_in("Conv", "ultralytics.nn.modules.conv")
    inner = stand_in("Conv2d", "torch.nn.modules.conv")
    act = stand_in("SiLU", "torch.nn.modules.activation")
    spaces = stand_in("IterableSimpleNamespace", "ultralytics.utils", types.SimpleNamespace)
    layer = filled(conv, _parameters={}, _modules={"conv": filled(inner, _parameters={}, _modules={}), "act": filled(act)})
    return {"model": filled(model, _parameters={}, _modules={"0": layer}, args=filled(spaces, imgsz=640)), "date": "2026", "train_args": {"path": pathlib.Path("a")}}


def main():
    OUT.mkdir(exist_ok=True)
    for protocol in range(6):
        for name, value in (("standard", standard()), ("numpy", numbers())):
            (OUT / f"{name}-{protocol}.pkl").write_bytes(pickle.dumps(value, protocol))
    estimators = {
        "forest": RandomForestClassifier(2, max_depth=2, random_state=0), "boosting": GradientBoostingClassifier(n_estimators=2, max_depth=1),
        "logistic": LogisticRegression(), "neighbours": KNeighborsClassifier(algorithm="kd_tree"), "svc": SVC(), "kmeans": KMeans(2, n_init=1),
        "columns": ColumnTransformer([("a", StandardScaler(), [0]), ("b", OneHotEncoder(handle_unknown="ignore"), [1])]),
    }
    pickle_of = lambda name, value: (OUT / f"{name}.pkl").write_bytes(pickle.dumps(value))
    for name, estimator in estimators.items():
        pickle_of(f"sklearn-{name}", estimator.fit(X, y))
    pickle_of("sklearn-text", TfidfVectorizer().fit(["a cat sat", "a dog sat"]))
    joblib.dump(make_pipeline(StandardScaler(), FunctionTransformer(np.log1p), RandomForestClassifier(2, max_depth=2, random_state=0)).fit(X, y), OUT / "pipeline.joblib")
    fields = np.zeros(3, dtype=[("a", "f4"), ("b", "i8")])
    joblib.dump({"x": np.arange(6.0).reshape(2, 3), "objects": np.array(["a", None], dtype=object), "f": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)), "fields": fields, "texts": np.array(["ab", "c"]), "last": 7}, OUT / "arrays.joblib")
    booster = xgboost.XGBClassifier(n_estimators=2, max_depth=1).fit(X, y)
    pickle_of("xgboost-sklearn", booster)
    pickle_of("xgboost-booster", booster.get_booster())
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.Categorical(["u", "v"]), "d": pd.to_datetime(["2020", "2021"])})
    pickle_of("pandas-frame", frame)
    pickle_of("pandas-series", frame["a"])
    pickle_of("scipy-sparse", {"csr": sp.csr_matrix(np.eye(2)), "csc": sp.csc_array(np.eye(2))})
    pickle_of("omegaconf", OmegaConf.create({"a": 1, "b": [1, 2.0, "x", None, True], "c": {"d": "${a}"}}))
    pickle_of("lightning", lightning())
    pickle_of("training-args", training_args())
    pickle_of("ultralytics", yolo())


main()
