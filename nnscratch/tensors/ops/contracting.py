"""Sums of products over letters, each of which is a dimension: all through ``matmul``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnscratch.array import promote
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.tensors.ops.moving import diagonal
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "einsum",
]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Return the sum of products that an equation says, such as "bij,bjk->bik".

    Each letter is a dimension: what has one letter has one size, and letters that are not behind
    the arrow are summed over. "..." stands for any further dimensions, which broadcast. Without an
    arrow the result has the letters that occur once, in alphabetical order. Instead of letters
    lists of numbers may follow each operand, and one for the result at the end.

    Raises:
        ConfigurationError: if the equation is none.
        ShapeError: if it does not fit the operands.

    >>> einsum("ij,j->i", as_tensor([[1.0, 2.0], [3.0, 4.0]]), as_tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not isinstance(equation, str):
        equation, operands = _with_letters((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    items = [as_tensor(one) for one in operands]
    terms, wanted = _parsed(equation, items)
    sizes: dict[str, int] = {}
    for item, term in zip(items, terms, strict=True):
        for letter, size in zip(term, item.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                if 1 not in (sizes[letter], size):
                    raise ShapeError(
                        f"einsum: {equation!r}: {letter!r} is {sizes[letter]} and {size} long"
                    )
                sizes[letter] = max(sizes[letter], size) if size else 0
    common = promote(*(item.array for item in items))
    parts = [
        _without_repeats(item.to(common), term) for item, term in zip(items, terms, strict=True)
    ]
    made, letters = parts[0]
    for place, (other, others) in enumerate(parts[1:], start=1):
        later = {letter for _, term in parts[place + 1 :] for letter in term}
        made, letters = _contracted(made, letters, other, others, {*wanted, *later})
    spare = [axis for axis, letter in enumerate(letters) if letter not in wanted]
    if spare:
        made = made.sum(spare)
        letters = [letter for letter in letters if letter in wanted]
    return made.permute(*(letters.index(letter) for letter in wanted))


def _with_letters(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return lists of numbers for each operand as an equation, and the operands."""
    names = {Ellipsis: "..."}

    def term(numbers: Sequence[Any]) -> str:
        return "".join(names.get(one) or LETTERS[int(one)] for one in numbers)

    count = len(given) // 2
    equation = ",".join(term(given[2 * k + 1]) for k in range(count))
    if len(given) % 2:
        equation += "->" + term(given[-1])
    return equation, tuple(given[0 : 2 * count : 2])


def _parsed(equation: str, items: list[Tensor]) -> tuple[list[list[str]], list[str]]:
    """Return the letters of each operand and of the result; dots become further letters."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(items):
        raise ConfigurationError(
            f"einsum: {equation!r} is for {len(terms)} operands, got {len(items)}"
        )
    plain = {one for one in left + right if one not in ",."}
    if not all(one in LETTERS for one in plain):
        raise ConfigurationError(f"einsum: {equation!r} has something else than letters")
    extra = max(
        (item.ndim - len(term.replace("...", "")) for item, term in zip(items, terms, strict=True)
         if "..." in term), default=0,
    )  # fmt: skip
    dots = [f".{k}" for k in range(max(extra, 0))]
    found = []
    for item, term in zip(items, terms, strict=True):
        front, has, back = term.partition("...")
        count = item.ndim - len(front) - len(back)
        if count < 0 or (count and not has):
            raise ShapeError(
                f"einsum: {equation!r}: {term!r} does not fit an operand of shape {item.shape}"
            )
        found.append([*front, *dots[len(dots) - count :], *back])
    if not arrow:
        once = sorted(one for one in plain if left.count(one) == 1)
        return found, [*dots, *once]
    front, has, back = right.partition("...")
    wanted = [*front, *(dots if has else ()), *back]
    known = {letter for term in found for letter in term}
    if len(set(wanted)) != len(wanted) or not {*wanted} - {*dots} <= known:
        raise ConfigurationError(f"einsum: {equation!r}: the result repeats or invents a letter")
    return found, [one for one in wanted if one in known]


def _without_repeats(item: Tensor, term: list[str]) -> tuple[Tensor, list[str]]:
    """Return an operand with the diagonal of the dimensions that have one letter."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            if item.shape[first] != item.shape[second]:
                raise ShapeError(
                    f"einsum: {letter!r} is {item.shape[first]} and {item.shape[second]} long"
                )
            item = diagonal(item, 0, first, second)
            term = [one for axis, one in enumerate(term) if axis not in (first, second)]
            term.append(letter)
    return item, term


def _contracted(
    A: Tensor, a: list[str], B: Tensor, b: list[str], kept: set[str]
) -> tuple[Tensor, list[str]]:
    """Return the product of two operands, summed over what nobody needs later, by one matmul."""
    for letter in [one for one in a if one not in kept and one not in b]:
        A, a = A.sum(a.index(letter)), [one for one in a if one != letter]
    for letter in [one for one in b if one not in kept and one not in a]:
        B, b = B.sum(b.index(letter)), [one for one in b if one != letter]
    # A size of 1 broadcasts against the other's: it is no part of the product.
    for letter in [one for one in a if one in b]:
        n, m = A.shape[a.index(letter)], B.shape[b.index(letter)]
        if n != m and n == 1:
            A, a = A.squeeze(a.index(letter)), [one for one in a if one != letter]
        elif n != m:
            B, b = B.squeeze(b.index(letter)), [one for one in b if one != letter]
    for letter in [one for one in a if one not in kept and one not in b]:
        A, a = A.sum(a.index(letter)), [one for one in a if one != letter]
    for letter in [one for one in b if one not in kept and one not in a]:
        B, b = B.sum(b.index(letter)), [one for one in b if one != letter]
    batch = [one for one in a if one in b and one in kept]
    summed = [one for one in a if one in b and one not in kept]
    rows = [one for one in a if one not in b]
    columns = [one for one in b if one not in a]

    def arranged(X: Tensor, letters: list[str], order: list[list[str]]) -> Tensor:
        moved = X.permute(*(letters.index(one) for group in order for one in group))
        sizes = [[X.shape[letters.index(one)] for one in group] for group in order]
        return moved.reshape(*map(math.prod, sizes))

    size = {**dict(zip(b, B.shape, strict=True)), **dict(zip(a, A.shape, strict=True))}
    left = arranged(A, a, [batch, rows, summed])
    right = arranged(B, b, [batch, summed, columns])
    if not summed:
        made = left * right if left.shape[-1] == 1 else left @ right
    else:
        made = left @ right
    letters = [*batch, *rows, *columns]
    return made.reshape(*(size[one] for one in letters)), letters
