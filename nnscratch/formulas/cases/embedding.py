"""Cases of embeddings and bags of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import NONE, Build, Case, Rng, given, integers, normal

NAN = float("nan")
PADDED = given([4, 0, 2, 2, 1, 2])


def distinct(*shape: int) -> Build:
    """Return a builder of numbers of which no two are nearer than 0.1."""

    def build(rng: Rng) -> Any:
        count = int(np.prod(shape))
        return np.reshape((rng.permutation(count) - count / 2) * 0.2, shape)

    return build


def _bag(
    name: str, I: Any, O: Any, S: Any = NONE, table: Any = None, **more: Any
) -> Case:  # fmt: skip
    smooth = more.pop("smooth", True)
    return Case(name, (table or distinct(6, 3), I, O, S), more, terms=33, smooth=smooth)


def _bags() -> list[Case]:
    made = []
    for mode in ("sum", "mean", "max"):
        made += [
            _bag(f"{mode}, empty bags", integers(0, 6, 9), given([0, 0, 4, 9]), mode=mode),
            _bag(f"{mode}, a padding", PADDED, given([0, 3]), mode=mode, padding_idx=2),
            _bag(f"{mode}, the last offset", PADDED, given([0, 4, 6]), mode=mode,
                 include_last_offset=True),
        ]  # fmt: skip
    small = {"table": normal(4, 2)}
    return [
        *made,
        _bag("many", integers(0, 257, 1025), given([0, 1, 300, 1024]), table=normal(257, 5)),
        _bag("weights", PADDED, given([0, 1, 4]), normal(6), mode="sum"),
        _bag("weights and a padding", PADDED, given([0, 3]), normal(6), mode="sum", padding_idx=2),
        _bag("few weights", given([3, 0, 3]), given([0, 1]), normal(3), mode="sum", **small),
        _bag("a bag a row", integers(0, 6, 3, 4), NONE, normal(3, 4), mode="sum"),
        _bag("a bag a row, mean", integers(0, 6, 3, 4), NONE, mode="mean"),
        _bag("a bag a row, max", integers(0, 6, 3, 4), NONE, mode="max"),
        _bag("by frequency", PADDED, given([0, 3]), mode="mean", scale_grad_by_freq=True,
             smooth=False),
        _bag("no indices", integers(0, 6, 0), given([0, 0]), mode="max"),
        _bag("equal rows", given([0, 1, 2]), given([0]), mode="max", smooth=False,
             table=given([[1.0, 2.0], [1.0, 3.0], [0.0, 3.0]])),
        _bag("-inf behind a padding", given([0, 1, 0, 2]), given([0, 2]), mode="max", padding_idx=0,
             smooth=False, table=given([[1.0, 2.0], [-np.inf, 3.0], [-np.inf, -np.inf]])),
    ]  # fmt: skip


_TABLE = normal(10, 3)
CASES: dict[str, list[Case]] = {
    "embedding": [
        *(Case(f"{n} of 10 rows", (_TABLE, integers(0, 10, n)), terms=max(n, 1), smooth=n > 0)
          for n in (0, 1, 257)),
        Case("one index", (_TABLE, integers(0, 10))),
        Case("a matrix of indices", (normal(4, 3), integers(0, 4, 5, 7)), terms=35),
        Case("a padding", (normal(5, 3), PADDED), {"padding_idx": 2}, terms=3, smooth=False),
        Case("by frequency", (normal(5, 3), PADDED), {"scale_grad_by_freq": True}, smooth=False),
        Case("NaN in the padding", (given([[NAN], [1.0]]), given([0, 1, 1])), {"padding_idx": 0},
             terms=2, smooth=False),
    ],
    "embedding_bag": _bags(),
    "embedding_renorm": [
        Case("some rows", (normal(5, 3), PADDED), {"max_norm": 1.0}, terms=3),
        Case("the sum of sizes", (normal(7, 5), integers(0, 7, 4)),
             {"max_norm": 2.0, "norm_type": 1.0}, terms=5),
        Case("no rows", (normal(5, 3), integers(0, 5, 0)), {"max_norm": 1.0}),
    ],
}  # fmt: skip
