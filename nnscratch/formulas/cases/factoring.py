"""Cases of factorisations: matrices that are far from singular."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import Build, Case, Rng


def definite(*shape: int) -> Build:
    """Return a builder of symmetric matrices whose eigenvalues are positive and apart."""

    def build(rng: Rng) -> Any:
        X = rng.uniform(-0.2, 0.2, shape)
        return X + np.swapaxes(X, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))

    return build


def apart(rows: int, columns: int, *batch: int) -> Build:
    """Return a builder of matrices whose singular values are apart."""

    def build(rng: Rng) -> Any:
        X = rng.uniform(-0.2, 0.2, (*batch, rows, columns))
        k = min(rows, columns)
        X[..., range(k), range(k)] += np.arange(k, 0.0, -1.0)
        return X

    return build


WIDE_AND_TALL = {"square": (3, 3), "tall": (4, 2), "wide": (2, 4)}


def square(build: Any, **more: Any) -> list[Case]:
    """Return cases of square matrices of a builder."""
    return [
        Case("a matrix", (build(3, 3),), more, terms=40, magnitude=4.0),
        Case("a batch", (build(2, 2, 2),), more, terms=40, magnitude=4.0),
        Case("one number", (build(1, 1),), more, terms=4, magnitude=4.0),
        Case("no matrices", (build(0, 2, 2),), more),
    ]


CASES: dict[str, list[Case]] = {
    "cholesky": square(definite),
    "qr": [
        *(
            Case(name, (apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in WIDE_AND_TALL.items()
        ),
        Case("a batch", (apart(3, 2, 2),), terms=40, magnitude=4.0),
        Case("complete", (apart(2, 3),), {"mode": "complete"}, terms=40, magnitude=4.0),
    ],
    "eigh": square(definite),
    "svd": [
        *(
            Case(name, (apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in WIDE_AND_TALL.items()
        ),
        Case("a batch", (apart(3, 2, 2),), terms=40, magnitude=4.0),
    ],
}
