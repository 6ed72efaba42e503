"""Runs the contract's cases, or one planted fault, under the sanitizers; in a process of its own.

``python sanitized.py 2 6`` runs all cases of part 2 of 6, ``python sanitized.py FILE RIGHT WRONG
SIZE`` plants a fault and launches one kernel. The sanitizers end the process at the first thing
that is wrong.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from formulas.contract import NUMPY, check

from emulator.driver import Emulator
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.kernels.cuda import IMPLEMENTATIONS, source


def all_cases(part: int, parts: int) -> None:
    """Run every case of every kernel that is not large; every so many implementations."""
    emulator = Emulator("sanitized")
    count = 0
    for name, implementation in list(IMPLEMENTATIONS.items())[part::parts]:
        for number, case in enumerate(cases(name)):
            if sum(np.size(one) for one in case.build()) > 6000:
                continue
            dtype = ("float32", "float64")[number % 2]
            emulator.tiled_limit = (0, 1 << 20)[number // 2 % 2]
            check(FORMULAS[name], case, dtype, "C", NUMPY, implementation.on(emulator))
            count += 1
    print(f"{count} cases, {len(emulator.launched)} launches")


def planted(file: str, right: str, wrong: str, size: int) -> None:
    """Launch ReLU, or a product if the file is "matmul", with a fault in its text."""
    header = (source.FOLDER / "common.cuh").read_text(encoding="utf-8")
    text = source.own_text(file).replace('#include "common.cuh"\n', header)
    assert right == wrong or text.count(right) == 1, right
    emulator = Emulator("sanitized", texts={file: text.replace(right, wrong)})
    if file == "matmul":
        A, Y = np.ones((size, size), np.float32), np.empty((size, size), np.float32)
        steps: tuple[Any, ...] = (size, 1, size, 1, 0.0, 0.0)
        grid = ((-(-size // 16)) ** 2,)
        arguments = (A, A, None, None, Y, size, size, size, *steps)
        emulator.launch("matmul", "matmul_identity", "float32", grid, arguments, (16, 16))
    else:
        whole = np.ones(size + 1, np.float32)
        X, Y = whole[1:], np.empty(size, np.float32)  # not aligned to 16 bytes
        emulator.launch(file, "relu_forward", "float32", (2,), (X, Y, size))
    print("nothing found")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        all_cases(int(sys.argv[1]), int(sys.argv[2]))
    else:
        planted(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
