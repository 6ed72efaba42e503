"""Cases of pairs and complex numbers, and of Fourier transforms."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import Build, Case, Rng, normal


def _complex(*shape: int) -> Build:
    def build(rng: Rng) -> Any:
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    return build


CASES: dict[str, list[Case]] = {
    "view_as_complex": [
        Case("a row", (normal(7, 2),)),
        Case("a number", (normal(2),)),
        Case("a matrix", (normal(3, 5, 2),)),
    ],
    "view_as_real": [
        Case("a row", (_complex(7),)),
        Case("nothing", (_complex(0),)),
        Case("a matrix", (_complex(3, 5),)),
    ],
    "conjugate": [
        Case("real numbers", (normal(3, 5),)),
        Case("nothing", (normal(0),)),
        Case("complex numbers", (_complex(3, 5),)),
    ],
    "fourier": [
        Case("a row", (normal(6, 2),), {"axes": (0,)}, terms=12),
        Case("an odd row, inverse", (normal(2, 5, 2),), {"axes": (-1,), "inverse": True}, terms=10),
        Case("two axes", (normal(3, 4, 2),), {"axes": (0, 1), "norm": "ortho"}, terms=24),
        Case("forward", (normal(3, 2, 2),), {"axes": (0,), "norm": "forward"}, terms=6),
    ],
}
