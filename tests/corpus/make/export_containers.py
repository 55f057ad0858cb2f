"""Writes the small HDF5 and Keras files of `tests/corpus/containers`, and holds the reference reader of PyTorch files.

    python export_containers.py                 writes the files
    python export_containers.py FILE.pt ...     prints each tensor's shape, first values and sum

The reference reader needs numpy alone: an unpickler whose globals are stubs, over the storages' bytes.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "containers"
TYPES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "u2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}


def write_hdf5(target, **options) -> None:
    import h5py

    with h5py.File(target, "w", **options) as file:
        file.attrs["keras_version"] = "3.0.0"
        file.attrs["layer_names"] = np.array([b"layer"])
        group = file.create_group("layer")
        group.create_dataset("kernel", data=np.arange(6, dtype="<f4").reshape(2, 3))
        group.create_dataset("bias", data=np.array([0.5, -0.25]))


def write_stored() -> None:
    """Links in a fractal heap (a group of more than eight), also in two levels of it; chunks and their filters; a user block."""
    import h5py

    with h5py.File(OUT / "dense.h5", "w", libver="latest", userblock_size=512) as file:
        few = file.create_group("few")
        for i in range(20):
            few.create_dataset(f"v{i:02}", data=np.array([i], dtype="<f4"))
        many = file.create_group("many")
        for i in range(120):
            many.create_dataset(f"of_a_rather_long_name_{i:03}", data=np.array([i], dtype="<f4"))
    with h5py.File(OUT / "chunks.h5", "w") as file:
        data = np.arange(24, dtype="<f4").reshape(4, 6)
        file.create_dataset("plain", data=data, chunks=(2, 4))
        file.create_dataset("packed", data=data, chunks=(2, 4), compression="gzip", shuffle=True, fletcher32=True)
    with h5py.File(OUT / "chunks_new.h5", "w", libver="latest") as file:
        file.create_dataset("packed", data=data, chunks=(2, 4), compression="gzip", shuffle=True)


def write_chunked() -> None:
    """Chunks of every index that is followed, with every filter; all values count up, so that the tests know them."""
    import h5py

    def count(shape, dtype):
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    with h5py.File(OUT / "chunked.h5", "w") as file:
        file.create_dataset("uneven", data=count((5, 7, 3), ">i2"), chunks=(2, 3, 2), compression=4, shuffle=True)
        file.create_dataset("checked", data=count((9,), "<f8"), chunks=(4,), fletcher32=True)
        file.create_dataset("many", data=count((300, 2), "<i4"), chunks=(2, 1), compression=1)
        part = file.create_dataset("part", shape=(6, 4), dtype="<f4", chunks=(2, 2), fillvalue=7.5)
        part[0:2, 0:2] = 1.0
        grown = file.create_dataset("grown", data=count((4,), "<u1"), chunks=(3,), maxshape=(None,))
        grown.resize((8,))
        file.create_dataset("lzf", data=count((8,), "<f4"), chunks=(4,), compression="lzf")
    with h5py.File(OUT / "chunked_new.h5", "w", libver="latest") as file:
        file.create_dataset("single", data=count((3, 2), "<f4"), chunks=(3, 2), compression=4)
        file.create_dataset("single_plain", data=count((3, 2), "<f4"), chunks=(3, 2))
        file.create_dataset("array", data=count((5, 5), "<i8"), chunks=(2, 2), shuffle=True, fletcher32=True)
        file.create_dataset("array_plain", data=count((5, 5), "<i2"), chunks=(2, 2))
        file.create_dataset("pages", data=count((1100,), "<u2"), chunks=(1,))
        grown = file.create_dataset("extensible", data=count((8,), "<f4"), chunks=(3,), maxshape=(None,))
        file.create_dataset("tree", data=count((4, 4), "<f4"), chunks=(2, 2), maxshape=(None, None))
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_chunk((2, 2))
        dcpl.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((4, 5))
        made = h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F32LE, space, dcpl)
        h5py.Dataset(made)[...] = count((4, 5), "<f4")


def write_all() -> None:
    OUT.mkdir(exist_ok=True)
    write_stored()
    write_chunked()
    write_hdf5(OUT / "old.h5")
    write_hdf5(OUT / "new.h5", libver="latest")
    weights = io.BytesIO()
    write_hdf5(weights)
    with zipfile.ZipFile(OUT / "tiny.keras", "w") as archive:
        stamp = (1980, 1, 1, 0, 0, 0)
        archive.writestr(zipfile.ZipInfo("metadata.json", stamp), '{"keras_version": "3.0.0"}')
        archive.writestr(zipfile.ZipInfo("config.json", stamp), '{"class_name": "Dense", "config": {"units": 3}}')
        archive.writestr(zipfile.ZipInfo("model.weights.h5", stamp), weights.getvalue())


class Anything:
    """Stands for every class that is not needed."""

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        self.state = state


def unpickler(load):
    def view(storage, offset, size, stride, *_):
        step = [s * storage.itemsize for s in stride]
        return np.lib.stride_tricks.as_strided(storage[offset:], size, step).copy()

    class Stubs(pickle.Unpickler):
        def find_class(self, module, name):
            if name in TYPES:
                return name
            if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
                return view
            if name == "_rebuild_parameter":
                return lambda data, *_: data
            return OrderedDict if name == "OrderedDict" else Anything

        def persistent_load(self, pid):
            return load(pid)

    return Stubs


def read_torch(path: str):
    if Path(path).read_bytes()[:2] == b"PK":
        archive = zipfile.ZipFile(path)
        main = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        root = main.removesuffix("data.pkl")
        load = lambda pid: np.frombuffer(archive.read(f"{root}data/{pid[2]}"), TYPES[pid[1]])  # noqa: E731
        return unpickler(load)(io.BytesIO(archive.read(main))).load()
    with open(path, "rb") as file:
        for _ in range(3):
            pickle.load(file)
        start, kinds, data = file.tell(), {}, {}
        unpickler(lambda pid: (kinds.setdefault(pid[2], pid[1]), np.zeros(pid[4], TYPES[pid[1]]))[1])(file).load()
        for key in pickle.load(file):
            (count,) = struct.unpack("<q", file.read(8))
            kind = np.dtype(TYPES[kinds[key]])
            data[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
        file.seek(start)
        return unpickler(lambda pid: data[pid[2]])(file).load()


def tensors(value, name=""):
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, (dict, list, tuple)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from tensors(inner, f"{name}.{key}" if name else str(key))


if __name__ == "__main__":
    for path in sys.argv[1:]:
        for name, array in tensors(read_torch(path)):
            flat = array.ravel()
            print(path, name, array.dtype, array.shape, flat[:6], flat.astype("f8").sum())
    if len(sys.argv) == 1:
        write_all()
