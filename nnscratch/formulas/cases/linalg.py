"""Cases of factorisations and systems of equations: matrices that are far from singular."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.cases.case import Build, Case, Rng, normal


def _regular(*shape: int) -> Build:
    """Return a builder of square matrices with 3 on the diagonal and small numbers elsewhere."""

    def build(rng: Rng) -> Any:
        return rng.uniform(-0.5, 0.5, shape) + 3.0 * np.eye(shape[-1])

    return build


def _definite(*shape: int) -> Build:
    """Return a builder of symmetric matrices whose eigenvalues are positive and apart."""

    def build(rng: Rng) -> Any:
        X = rng.uniform(-0.2, 0.2, shape)
        return X + np.swapaxes(X, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))

    return build


def _apart(rows: int, columns: int, *batch: int) -> Build:
    """Return a builder of matrices whose singular values are apart."""

    def build(rng: Rng) -> Any:
        X = rng.uniform(-0.2, 0.2, (*batch, rows, columns))
        k = min(rows, columns)
        X[..., range(k), range(k)] += np.arange(k, 0.0, -1.0)
        return X

    return build


_WIDE_AND_TALL = {"square": (3, 3), "tall": (4, 2), "wide": (2, 4)}


def _square(build: Any, **more: Any) -> list[Case]:
    return [
        Case("a matrix", (build(3, 3),), more, terms=40, magnitude=4.0),
        Case("a batch", (build(2, 2, 2),), more, terms=40, magnitude=4.0),
        Case("one number", (build(1, 1),), more, terms=4, magnitude=4.0),
        Case("no matrices", (build(0, 2, 2),), more),
    ]


CASES: dict[str, list[Case]] = {
    "solve": [
        Case("one right side", (_regular(3, 3), normal(3, 1)), terms=40, magnitude=4.0),
        Case("a batch", (_regular(2, 3, 3), normal(2, 3, 2)), terms=40, magnitude=4.0),
        Case("no matrices", (_regular(0, 2, 2), normal(0, 2, 3))),
    ],
    "det": _square(_regular),
    "slogdet": _square(_regular),
    "cholesky": _square(_definite),
    "qr": [
        *(
            Case(name, (_apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in _WIDE_AND_TALL.items()
        ),
        Case("a batch", (_apart(3, 2, 2),), terms=40, magnitude=4.0),
        Case("complete", (_apart(2, 3),), {"mode": "complete"}, terms=40, magnitude=4.0),
    ],
    "eigh": _square(_definite),
    "svd": [
        *(
            Case(name, (_apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in _WIDE_AND_TALL.items()
        ),
        Case("a batch", (_apart(3, 2, 2),), terms=40, magnitude=4.0),
    ],
    "pinv": [
        *(
            Case(name, (_apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in _WIDE_AND_TALL.items()
        ),
        Case("a batch", (_apart(3, 2, 2),), terms=40, magnitude=4.0),
        Case("a bound", (_apart(3, 2, 2),), {"atol": 1e-3}, terms=40, magnitude=4.0),
    ],
}  # fmt: skip
