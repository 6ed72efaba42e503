"""Cases of scaled dot-product attention."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import NONE, Case, booleans, given, normal, spread

INF = float("inf")


def _case(
    name: str, n: int, s: int, e: int, *batch: int, values: int = 0, mask: Any = NONE, **more: Any
) -> Case:
    smooth = more.pop("smooth", True)
    inputs = (normal(*batch, n, e), normal(*batch, s, e), normal(*batch, s, values or e), mask)
    return Case(name, inputs, more, terms=max(s, e, 1), magnitude=2.0, smooth=smooth)


_FULL = given([[0.0, -INF, 1.0], [-INF, -INF, -INF]])
_NONE_SEEN = given([[True, False, True], [False, False, False]])
_SOME_SEEN = given([[True, True, True], [True, True, False], [True, False, True]])

CASES: dict[str, list[Case]] = {
    "scaled_dot_product_attention": [
        _case("a matrix", 3, 4, 2),
        _case("few", 2, 3, 2, 1, 1, values=3),
        _case("causal", 3, 3, 2, 1, 1, is_causal=True),
        _case("causal, more keys", 2, 4, 2, 1, is_causal=True),
        _case("causal, more queries", 4, 2, 2, 1, is_causal=True),
        _case("heads", 33, 31, 8, 2, 3),
        _case("heads, causal", 65, 65, 16, 2, 3, is_causal=True),
        _case("one query", 1, 257, 16, 1, 2),
        _case("many, causal", 257, 257, 33, 1, 1, is_causal=True, smooth=False),
        _case("a mask of numbers", 2, 3, 2, 2, mask=normal(2, 3)),
        _case("a mask for each head", 2, 3, 2, 1, 2, mask=normal(1, 2, 1, 3)),
        _case("a mask of keys", 5, 7, 4, 2, 3, mask=booleans(2, 1, 1, 7)),
        _case("a mask and causal", 3, 3, 2, mask=_SOME_SEEN, is_causal=True),
        _case("a query that sees nothing", 2, 3, 2, 2, mask=_NONE_SEEN),
        _case("-inf added", 2, 3, 2, 2, mask=_FULL, smooth=False),
        _case("another scale", 3, 4, 2, 2, scale=0.25),
        _case("no keys", 3, 0, 2, 2, smooth=False),
        _case("no queries", 0, 3, 2, 2, smooth=False),
        _case("no batch", 2, 3, 2, 0, 2, smooth=False),
        Case("large scores", (spread(4, 2, scale=100.0), spread(5, 2, scale=100.0),
                              normal(5, 2), NONE), {}, 5, 1e4, smooth=False),
    ],
}  # fmt: skip
