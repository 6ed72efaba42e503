"""Rows of a table that indices pick: one by one, and added up or compared in bags."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.array.integers import intp
from nnscratch.errors import ConfigurationError, DTypeError, IndexRangeError, ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.placing import sum_rows_at
from nnscratch.formulas.reductions import norm_forward
from nnscratch.formulas.saved import Saved

_SOURCE = "Bengio, Ducharme, Vincent and Janvin 2003; a product with one-hot rows"
MODES = ("sum", "mean", "max")


class EmbeddingSaved(Saved):
    """What the backward of ``embedding`` needs: the indices, and how many rows W has."""

    I: Any
    rows: int
    padding_idx: int | None
    scale_grad_by_freq: bool


def flat_rows(where: str, W: Any, I: Any) -> Any:
    """Return the indices as one vector of int64, each the number of a row of W."""
    if W.ndim != 2:
        raise ShapeError(f"{where}: expected weights (rows, columns), got shape {tuple(W.shape)}")
    if not is_integer(I):
        raise DTypeError(
            f"{where}: expected integers as indices, got {dtype_name(I.dtype)}; "
            "convert them first with .long()"
        )
    xp = array_namespace(I)
    I = xp.astype(I, xp.int64, copy=False)
    expected = f"indices from 0 to {W.shape[0] - 1}"
    refuse_where(where, (I < 0) | (I >= W.shape[0]), I, expected, IndexRangeError)
    return xp.reshape(I, (-1,))


def _row_gradient(
    rows: Any, I: Any, count: int, padding_idx: int | None, scale_grad_by_freq: bool
) -> Any:
    """Return dW: the sum of the rows that came from each index.

    The row of the padding is 0; by frequency, each sum is divided by how often its index occurs.
    """
    xp = array_namespace(rows)
    if padding_idx is not None:
        rows = xp.where(xp.expand_dims(I == padding_idx, axis=1), 0.0, rows)
    if scale_grad_by_freq:
        ones = xp.ones((I.shape[0], 1), dtype=rows.dtype, device=rows.device)
        rows = rows / xp.take(sum_rows_at(ones, I, count), intp(I), axis=0)
    return sum_rows_at(rows, I, count)


def embedding_forward(
    W: Any, I: Any, *, padding_idx: int | None = None, scale_grad_by_freq: bool = False
) -> tuple[Any, EmbeddingSaved]:
    """Compute row I_k of W for each index.

    Args:
        W: the table (V, D), floating.
        I: integers of any shape from 0 to V - 1, which may repeat.
        padding_idx: the row whose gradient is 0.
        scale_grad_by_freq: divide the gradient of a row by how often it was picked.

    Returns:
        Y (..., D), and what the backward needs.

    Raises:
        DTypeError: if I holds no integers, or W does.
        IndexRangeError: if an index is negative or V or more.
        ShapeError: if W has not two dimensions.

    >>> import numpy as np
    >>> embedding_forward(np.array([[1.0], [2.0]]), np.array([1, 1, 0]))[0]
    array([[2.],
           [2.],
           [1.]])
    """
    xp = array_namespace(W, I)
    flat = flat_rows("embedding", W, I)
    Y = xp.reshape(xp.take(W, intp(flat), axis=0), (*I.shape, W.shape[1]))
    return Y, EmbeddingSaved(flat, W.shape[0], padding_idx, scale_grad_by_freq)


def embedding_backward(
    dY: Any, saved: EmbeddingSaved, needs: tuple[bool, ...]
) -> tuple[Any | None, None]:
    """Return dW, in which the rows of dY that came from one index are added up."""
    if not needs[0]:
        return None, None
    I, count, padding_idx, scale_grad_by_freq = saved
    rows = array_namespace(dY).reshape(dY, (math.prod(I.shape), dY.shape[-1]))
    return _row_gradient(rows, I, count, padding_idx, scale_grad_by_freq), None


EMBEDDING = formula(
    embedding_forward,
    embedding_backward,
    equation=r"Y_k = W_{I_k}",
    gradients={"W": r"\sum_{k: I_k = i} \frac{\partial L}{\partial Y_k}"},
    shapes="W (V, D), I (any, integers) -> Y (..., D)",
    floats=("W",),
    # A look-up computes nothing.
    narrow=embedding_forward,
    flops=lambda inputs, outputs: 0,
    source=_SOURCE,
    analytic=True,
    derivation=(
        "A row of the output is one row of the table: $Y_k = W_{I_k}$. That is a product "
        "with one-hot rows, $Y = E W$ with $E_{ki} = [I_k = i]$.",
        r"As for any product, the gradient of W is $$\frac{\partial L}{\partial W} = E^\top "
        r"\frac{\partial L}{\partial Y}$$",
        "Row i of this adds up the gradients of those k whose index is i. The code adds "
        "rows, and never makes E. Indices are whole numbers and have no gradient.",
    ),
)


class EmbeddingBagSaved(Saved):
    """What the backward of ``embedding_bag`` needs.

    W is kept for the gradient of the weights of the entries only. ``bags`` says for each index
    which bag it is in, ``sizes`` how many entries a bag has that count, and ``largest`` for each
    entry of Y the row of W that it came from.
    """

    W: Any
    I: Any
    S: Any
    bags: Any
    sizes: Any
    largest: Any
    rows: int
    padding_idx: int | None
    scale_grad_by_freq: bool


def bag_starts(xp: Any, I: Any, O: Any, last: bool) -> Any:
    """Return where each bag begins among all indices: each row is a bag where nothing says."""
    name = "embedding_bag"
    if O is None:
        if I.ndim != 2:
            raise ShapeError(
                f"{name}: indices are a matrix with a bag a row, or a vector with offsets; got "
                f"shape {tuple(I.shape)} without offsets"
            )
        return xp.arange(I.shape[0], dtype=xp.int64, device=I.device) * I.shape[1]
    if I.ndim != 1 or O.ndim != 1 or (last and O.shape[0] == 0):
        raise ShapeError(
            f"{name}: expected indices (n,) and offsets (bags,), got {tuple(I.shape)} and "
            f"{tuple(O.shape)}; offsets go with indices of one dimension"
        )
    if not is_integer(O):
        raise DTypeError(f"{name}: expected integers as offsets, got {dtype_name(O.dtype)}")
    if O.shape[0] == 0:
        return xp.astype(O, xp.int64)
    if int(O[0]) != 0 or bool(xp.any(O[1:] < O[:-1])) or int(O[-1]) > I.shape[0]:
        raise IndexRangeError(
            f"{name}: offsets start at 0, never fall and end at no more than the {I.shape[0]} "
            f"indices; got {[int(one) for one in O[:8]]}{'...' if O.shape[0] > 8 else ''}"
        )
    if last and int(O[-1]) != I.shape[0]:
        raise IndexRangeError(
            f"{name}: with include_last_offset the last offset is the number of indices, "
            f"{I.shape[0]}; got {int(O[-1])}"
        )
    return xp.astype(O[:-1] if last else O, xp.int64)


def embedding_bag_forward(
    W: Any,
    I: Any,
    O: Any = None,
    S: Any = None,
    *,
    mode: str = "mean",
    scale_grad_by_freq: bool = False,
    padding_idx: int | None = None,
    include_last_offset: bool = False,
) -> tuple[Any, EmbeddingBagSaved]:
    """Compute the sum, mean or largest entries of the rows of W in each bag; of none it is 0.

    Args:
        W: the table (V, D), floating.
        I: integers from 0 to V - 1: (B, L), a bag a row, or (n,), the indices of all bags one
            behind the other.
        O: integers (B,), where in (n,) each bag begins, the last one ending with I; else None.
        S: a weight for each index, for the sum only; None for 1.
        mode: "sum", "mean" or "max".
        scale_grad_by_freq: divide the gradient of a row by how often it was picked.
        padding_idx: an index that counts in no bag.
        include_last_offset: whether O has one entry more, n.

    Returns:
        Y (B, D), and what the backward needs.

    Raises:
        DTypeError: if indices are no integers, or the dtypes of W and S differ.
        IndexRangeError: if an index is negative or V or more, or the offsets fall.
        ShapeError, ConfigurationError: if shapes or options do not fit.

    >>> import numpy as np
    >>> W = np.array([[1.0], [2.0], [4.0]])
    >>> embedding_bag_forward(W, np.array([0, 1, 2]), np.array([0, 2]), mode="mean")[0]
    array([[1.5],
           [4. ]])
    """
    if mode not in MODES:
        raise ConfigurationError(f"embedding_bag: mode is one of {MODES}, got {mode!r}")
    if S is not None and (mode != "sum" or tuple(S.shape) != tuple(I.shape)):
        raise ShapeError(
            "embedding_bag: weights of the entries are for mode='sum', one for each of the "
            f"{tuple(I.shape)} indices; got shape {tuple(S.shape)} and mode={mode!r}"
        )
    xp = array_namespace(W, I, O, S)
    starts = bag_starts(xp, I, O, include_last_offset)
    I = flat_rows("embedding_bag", W, I)
    weights = None if S is None else xp.reshape(S, (-1, 1))
    count, columns = starts.shape[0], W.shape[1]
    if count == 0:  # what there is belongs to no bag
        I, weights = I[:0], None if weights is None else weights[:0, :]
    numbers = xp.arange(I.shape[0], dtype=xp.int64, device=I.device)
    bags = xp.astype(xp.searchsorted(starts, numbers, side="right"), xp.int64) - 1
    kept = I >= 0 if padding_idx is None else I != padding_idx
    ones = xp.expand_dims(xp.astype(kept, W.dtype), axis=1)
    sizes = xp.astype(sum_rows_at(ones, bags, count), xp.int64)
    if mode == "max":
        Y, largest = _largest(xp, W, I, starts, bags, kept)
        saved = EmbeddingBagSaved(None, I, None, bags, sizes, largest, W.shape[0], None, False)
        return xp.where(sizes == 0, 0.0, Y), saved
    rows = xp.take(W, intp(I), axis=0)
    if weights is not None:
        rows = rows * weights
    rows = xp.where(xp.expand_dims(kept, axis=1), rows, 0.0)
    Y = xp.reshape(sum_rows_at(rows, bags, count), (count, columns))
    if mode == "mean":
        Y = Y / xp.astype(xp.where(sizes == 0, 1, sizes), Y.dtype)
    table = None if S is None else W
    kept_sizes = sizes if mode == "mean" else None
    rest = (None, W.shape[0], padding_idx, scale_grad_by_freq)
    return Y, EmbeddingBagSaved(table, I, S, bags, kept_sizes, *rest)


def _largest(xp: Any, W: Any, I: Any, starts: Any, bags: Any, kept: Any) -> tuple[Any, Any]:
    """Return the largest entries of each bag (B, D), and the rows of W that they came from."""
    count, columns, n = starts.shape[0], W.shape[1], I.shape[0]
    if n == 0 or count == 0:
        nothing = xp.zeros((count, columns), dtype=xp.int64, device=I.device)
        return xp.zeros((count, columns), dtype=W.dtype, device=W.device), nothing
    ends = xp.concat([starts[1:], xp.full((1,), n, dtype=xp.int64, device=I.device)])
    places = xp.arange(int(xp.max(ends - starts)), dtype=xp.int64, device=I.device)
    places = (
        xp.expand_dims(starts, axis=1) + places
    )  # (B, the largest size), beyond the end of some
    inside = places < xp.expand_dims(ends, axis=1)
    flat = intp(xp.reshape(xp.where(inside, places, 0), (-1,)))
    inside = xp.expand_dims(xp.reshape(inside, (-1,)) & xp.take(kept, flat, axis=0), axis=1)
    picked = xp.take(I, flat, axis=0)
    rows = xp.where(inside, xp.take(W, intp(picked), axis=0), -math.inf)
    rows = xp.reshape(rows, (*places.shape, columns))
    top = xp.max(rows, axis=1)
    # Among the rows that count, for one of them may be -inf, too; NaN is the largest.
    found = (rows == xp.expand_dims(top, axis=1)) | (rows != rows)
    found = found & xp.reshape(inside, (*places.shape, 1))
    first = xp.argmax(xp.astype(found, xp.int8), axis=1)  # of equals the first one, as PyTorch
    front = xp.arange(count, dtype=xp.int64, device=I.device) * places.shape[1]
    source = xp.reshape(first + xp.expand_dims(front, axis=1), (-1,))
    return top, xp.reshape(xp.take(picked, intp(source), axis=0), (count, columns))


def embedding_bag_backward(
    dY: Any, saved: EmbeddingBagSaved, needs: tuple[bool, ...]
) -> tuple[Any | None, None, None, Any | None]:
    """Return dW and dS.

    Row i of dW is the sum of S_k dY of the bags of all k with I_k = i (divided by the size of the
    bag for the mean), and dS_k is the product of W's row I_k with dY of its bag. Of the largest
    entries each gives its gradient to the row that it came from.
    """
    xp = array_namespace(dY)
    W, I, S, bags, sizes, largest, count, padding_idx, scale_grad_by_freq = saved
    columns = dY.shape[1]
    if largest is not None:
        given = xp.reshape(xp.where(sizes == 0, 0.0, dY), (-1, 1))
        axis = xp.arange(columns, dtype=xp.int64, device=dY.device)
        places = xp.reshape(largest * columns + axis, (-1,))
        sums = sum_rows_at(given, places, count * columns)
        return xp.reshape(sums, (count, columns)), None, None, None
    if sizes is not None:
        dY = dY / xp.astype(xp.where(sizes == 0, 1, sizes), dY.dtype)
    rows = xp.take(dY, intp(bags), axis=0)
    dW = dS = None
    if needs[0]:
        weighted = rows if S is None else rows * xp.reshape(S, (-1, 1))
        dW = _row_gradient(weighted, I, count, padding_idx, scale_grad_by_freq)
    if needs[3]:
        dS = xp.sum(rows * xp.take(W, intp(I), axis=0), axis=1)
        if padding_idx is not None:
            dS = xp.where(I == padding_idx, 0.0, dS)
        dS = xp.reshape(dS, S.shape)
    return dW, None, None, dS


EMBEDDING_BAG = formula(
    embedding_bag_forward,
    embedding_bag_backward,
    equation=r"Y_b = \sum_{k \in b} S_k W_{I_k}, \quad \frac{1}{|b|} \sum_{k \in b} W_{I_k}"
    r" \quad \text{or} \quad \max_{k \in b} W_{I_k}",
    gradients={
        "W": r"\sum_{k: I_k = i} S_k \frac{\partial L}{\partial Y_{b(k)}}",
        "S": r"W_{I_k} \cdot \frac{\partial L}{\partial Y_{b(k)}}",
    },
    entries={"W": "i", "S": "k"},
    shapes="W (V, D), I (n,) and O (B,), or I (B, L), S as I or None -> Y (B, D)",
    floats=("W", "S"),
    source="Joulin, Grave, Bojanowski and Mikolov 2017; a product with rows of counts",
    kinks="where two rows of a bag have the same largest entry",
    derivation=(
        "Every index k is in one bag, b(k). One entry of a sum, in the column e, is $$Y_{be} = "
        r"\sum_{k: b(k) = b} S_k W_{I_k e}$$",
        r"Its slopes are what stands beside each factor: $$\frac{\partial Y_{be}}{\partial "
        r"W_{ie}} = \sum_{k: b(k) = b} S_k [I_k = i] \\ \frac{\partial Y_{be}}{\partial S_k} = "
        "[b(k) = b] W_{I_k e}$$",
        "A row of W acts on all bags that name it. The chain rule adds up over these, and as each "
        r"k is in one of them, that is one sum over k: $$\frac{\partial L}{\partial W_{ie}} = "
        r"\sum_{k: I_k = i} S_k \frac{\partial L}{\partial Y_{b(k) e}}$$ A weight acts on all "
        r"columns of its bag: $$\frac{\partial L}{\partial S_k} = \sum_e W_{I_k e} \frac{\partial "
        r"L}{\partial Y_{b(k) e}}$$",
        "In a mean $1 / |b|$ stands in the place of S, where $|b|$ counts the indices of the bag: "
        "each gradient of Y is divided by it first.",
        "Of the largest entries each is one entry of W, as it stands. By that one the slope is 1, "
        "by all others 0, so the gradient goes to its row. Where several are equal there is no "
        "slope, and the code takes the first of them.",
        "An index that is `padding_idx` is in no bag, and an empty bag is 0: from there nothing "
        "comes back. With `scale_grad_by_freq` the code then divides each row of a sum or a mean "
        "by how often it was named, which is no part of the derivative.",
    ),
)


def embedding_renorm_update(
    W: Any, I: Any, *, max_norm: float, norm_type: float = 2.0
) -> tuple[Any]:
    r"""Compute W, each row that I names shortened to norm c where its norm is above.

    $W_i \leftarrow W_i \, c / (\lVert W_i \rVert_p + 10^{-7})$ with c = ``max_norm`` and p =
    ``norm_type``.

    Raises:
        IndexRangeError: if an index is negative or V or more.

    >>> import numpy as np
    >>> W = np.array([[3.0, 4.0], [6.0, 8.0]])
    >>> embedding_renorm_update(W, np.array([0]), max_norm=1.0)[0].round(3)
    array([[0.6, 0.8],
           [6. , 8. ]])
    """
    xp = array_namespace(W, I)
    flat = flat_rows("embedding_renorm", W, I)
    if flat.shape[0] == 0:
        return (xp.asarray(W, copy=True),)
    ones = xp.ones((flat.shape[0], 1), dtype=W.dtype, device=I.device)
    named = sum_rows_at(ones, flat, W.shape[0]) > 0
    norms, _ = norm_forward(W, p=norm_type, axis=1, keepdims=True)
    factor = xp.where(named & (norms > max_norm), max_norm / (norms + 1e-7), 1.0)
    return (W * xp.astype(factor, W.dtype),)


EMBEDDING_RENORM = formula(
    embedding_renorm_update,
    updates=("W",),
    equation=r"W_i \leftarrow W_i \min\left(1, \frac{c}{\lVert W_i \rVert_p + 10^{-7}}\right)"
    r" \text{ for } i \in I",
    shapes="W (V, D), I (any, integers)",
    floats=("W",),
    source="PyTorch's embedding_renorm_",
    derivation=(
        "A row times a positive number s keeps its direction, and its norm is s times as large, "
        r"whatever p is: $$\lVert s W_i \rVert_p = \left( \sum_j s^p |W_{ij}|^p \right)^{1/p} = s "
        r"\lVert W_i \rVert_p$$",
        r"So $s = c / \lVert W_i \rVert_p$ gives it the norm c. Where the norm is at most c the "
        "row stays, which is s = 1; $10^{-7}$ keeps the divisor from 0.",
    ),
)
