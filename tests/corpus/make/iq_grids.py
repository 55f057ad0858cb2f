"""Writes crate/src/tensor/quant/grids.rs: the lattice tables that define ggml's IQ1, IQ2 and IQ3 encodings.

The numbers are part of the file format (a file can only be read with exactly these). They are taken from the
PyPI package `gguf` (0.19.0, MIT), which carries them as text in gguf/quants.py; this script only repacks them.

    pip install gguf==0.19.0 && python tests/corpus/make/iq_grids.py
"""

from pathlib import Path

import numpy as np
from gguf import quants

HEAD = '''//! Lattice points of the IQ1, IQ2 and IQ3 encodings: constants of the file format.
//!
//! Written by `tests/corpus/make/iq_grids.py` from the PyPI package `gguf` 0.19.0; do not edit by hand.
//! Each `u16` packs one point, first coordinate in the lowest bits, as indices into that table's levels:
//! 8 coordinates of 2 bits, or 4 coordinates of 4 bits. They are unpacked at compile time.

/// Unpacks points of `DIM` coordinates, `16 / DIM` bits each, through a table of levels.
const fn unpack<const DIM: usize, const N: usize>(packed: &[u16; N], levels: &[i8]) -> [[i8; DIM]; N] {
    let bits = 16 / DIM;
    let mut points = [[0; DIM]; N];
    let mut i = 0;
    while i < N {
        let mut j = 0;
        while j < DIM {
            points[i][j] = levels[(packed[i] as usize >> (bits * j)) & ((1 << bits) - 1)];
            j += 1;
        }
        i += 1;
    }
    points
}
'''

TABLES = [
    ("IQ1", quants.IQ1_S, "IQ1_S and IQ1_M: 11-bit indices"),
    ("IQ2_XXS", quants.IQ2_XXS, "IQ2_XXS: 8-bit indices"),
    ("IQ2_XS", quants.IQ2_XS, "IQ2_XS: 9-bit indices"),
    ("IQ2_S", quants.IQ2_S, "IQ2_S: 10-bit indices"),
    ("IQ3_XXS", quants.IQ3_XXS, "IQ3_XXS: 8-bit indices"),
    ("IQ3_S", quants.IQ3_S, "IQ3_S: 9-bit indices"),
]


def table(name, cls, about):
    cls.init_grid()
    count, dim = cls.grid_shape
    levels = [int(v) for v in cls.grid_map]
    index = {v: i for i, v in enumerate(levels)}
    points = cls.grid.reshape(count, dim).astype(np.int64)
    packed = [sum(index[int(v)] << (16 // dim * j) for j, v in enumerate(p)) for p in points]
    lines = [
        "",
        f"/// {about}, {dim} coordinates.",
        f"pub(crate) static {name}: [[i8; {dim}]; {count}] = unpack(&{name}_PACKED, &{levels});",
        "",
        "#[rustfmt::skip]",
        f"const {name}_PACKED: [u16; {count}] = [",
    ]
    for at in range(0, count, 14):
        lines.append("    " + " ".join(f"{v:#06x}," for v in packed[at : at + 14]))
    return "\n".join(lines + ["];", ""])


if __name__ == "__main__":
    out = Path(__file__).parents[3] / "crate/src/tensor/quant/grids.rs"
    out.write_text(HEAD + "".join(table(*t) for t in TABLES))
    print(out, out.stat().st_size, "bytes")
