"""Cases of systems of equations, determinants and pseudo-inverses."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import Build, Case, Rng, normal
from nnscratch.formulas.cases.factoring import WIDE_AND_TALL, apart, square


def regular(*shape: int) -> Build:
    """Return a builder of square matrices with 3 on the diagonal and small numbers elsewhere."""

    def build(rng: Rng) -> Any:
        return rng.uniform(-0.5, 0.5, shape) + 3.0 * np.eye(shape[-1])

    return build


CASES: dict[str, list[Case]] = {
    "solve": [
        Case("one right side", (regular(3, 3), normal(3, 1)), terms=40, magnitude=4.0),
        Case("a batch", (regular(2, 3, 3), normal(2, 3, 2)), terms=40, magnitude=4.0),
        Case("no matrices", (regular(0, 2, 2), normal(0, 2, 3))),
    ],
    "det": square(regular),
    "slogdet": square(regular),
    "pinv": [
        *(
            Case(name, (apart(*shape),), terms=40, magnitude=4.0)
            for name, shape in WIDE_AND_TALL.items()
        ),
        Case("a batch", (apart(3, 2, 2),), terms=40, magnitude=4.0),
        Case("a bound", (apart(3, 2, 2),), {"atol": 1e-3}, terms=40, magnitude=4.0),
    ],
}
