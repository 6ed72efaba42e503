r"""Connectionist temporal classification: the loss of a sequence of labels without their times.

At each of T frames a network says one of C classes, of which one is the blank. A path through the
frames stands for the labels that are left when repetitions are merged and blanks dropped. The
probability of the labels is the sum over all their paths, which a recursion over time computes:
with a blank before, between and after the labels, $l = (b, l_1, b, l_2, \dots, b)$,

$$\alpha_t(s) = P_t(l_s) \left(\alpha_{t-1}(s) + \alpha_{t-1}(s - 1)
+ [l_s \ne b,\ l_s \ne l_{s-2}]\, \alpha_{t-1}(s - 2)\right)$$

is the probability of all beginnings that are at place s at time t. Likewise $\beta_t(s)$ is that of
all endings from there. Both are computed as logarithms, in float64: after many frames they are so
large that the gradient would show the exponential of their rounding errors in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.array.integers import intp
from nnscratch.array.short_axis import one_hot_along
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.saved import Saved

# The logarithm of what cannot be: finite, for the difference of two of them shall be a number.
_NEVER = -1e30


class CtcSaved(Saved):
    """What the backward of ``ctc`` needs."""

    logP: Any
    T: Any
    frames: Any
    lengths: Any
    blank: int
    zero_infinity: bool


class _Lattice(NamedTuple):
    """The places of all paths: their labels, where one may be skipped, and the frames' scores."""

    labels: Any  # (N, 2 S + 1)
    skips: Any  # (N, 2 S + 1), whether s is reached from s - 2
    scores: list[Any]  # for each frame (N, 2 S + 1)
    runs: list[Any]  # for each frame (N, 1), whether a sequence is that long
    last: Any  # (N, 2 S + 1), whether a path may end there


def _need(logP: Any, T: Any, frames: Any, lengths: Any, blank: int) -> None:
    """Check the shapes, the dtypes and the ranges.

    Raises:
        ShapeError, DTypeError, DataError: saying what was expected.
    """
    N = logP.shape[1] if logP.ndim == 3 else -1
    if logP.ndim != 3 or T.ndim != 2 or not T.shape[0] == N == frames.shape[0] == lengths.shape[0]:
        raise ShapeError(
            "ctc: expected log-probabilities (T, N, C), targets (N, S) and lengths (N,), got "
            f"{tuple(logP.shape)}, {tuple(T.shape)}, {tuple(frames.shape)}, {tuple(lengths.shape)}"
        )
    for name, one in (("targets", T), ("input_lengths", frames), ("target_lengths", lengths)):
        if not is_integer(one):
            raise DTypeError(f"ctc: expected integers as {name}, got {dtype_name(one.dtype)}")
    times, _, classes = logP.shape
    if not 0 <= blank < classes:
        raise ShapeError(f"ctc: the blank is a class from 0 to {classes - 1}, got {blank}")
    xp = array_namespace(T)
    outside = (frames < 0) | (frames > times)
    refuse_where("ctc", outside, frames, f"input_lengths from 0 to {times}, the frames there are")
    outside = (lengths < 0) | (lengths > T.shape[1])
    refuse_where("ctc", outside, lengths, f"target_lengths from 0 to {T.shape[1]}, the labels")
    counted = xp.arange(T.shape[1], dtype=T.dtype, device=T.device) < lengths[:, None]
    outside = ((T < 0) | (classes <= T)) & counted
    refuse_where("ctc", outside, T, f"labels from 0 to {classes - 1}")


def _lattice(logP: Any, T: Any, frames: Any, lengths: Any, blank: int) -> _Lattice:
    xp = array_namespace(logP, T)
    T, frames, lengths = (xp.astype(one, xp.int64, copy=False) for one in (T, frames, lengths))
    times, N, _ = logP.shape
    make: dict[str, Any] = {"dtype": T.dtype, "device": T.device}
    counted = xp.arange(T.shape[1], **make) < xp.expand_dims(lengths, axis=1)
    T = xp.where(counted, T, blank)
    blanks = xp.full((N, 1), blank, **make)
    pairs = xp.stack([xp.broadcast_to(blanks, T.shape), T], axis=2)
    labels = xp.concat([xp.reshape(pairs, (N, 2 * T.shape[1])), blanks], axis=1)
    before = xp.concat([blanks, blanks, labels], axis=1)[:, : labels.shape[1]]
    skips = (labels != blank) & (labels != before)
    places = xp.arange(labels.shape[1], **make)
    end = 2 * xp.expand_dims(lengths, axis=1)
    last = (places == end) | (places == end - 1)
    index = xp.broadcast_to(labels, (times, *labels.shape))
    scores = xp.take_along_axis(logP, intp(index), axis=2)
    scores = xp.maximum(xp.astype(scores, xp.float64, copy=False), _NEVER)
    runs = [xp.expand_dims(frames > t, axis=1) for t in range(times)]
    return _Lattice(labels, skips, [scores[t, ...] for t in range(times)], runs, last)


def _log_sum(xp: Any, A: Any, B: Any, C: Any) -> Any:
    top = xp.maximum(xp.maximum(A, B), C)
    return top + xp.log(xp.exp(A - top) + xp.exp(B - top) + xp.exp(C - top))


def _later(xp: Any, A: Any, by: int) -> Any:
    """Return what is ``by`` places before, what cannot be where there is nothing."""
    never = xp.full((A.shape[0], by), _NEVER, dtype=A.dtype, device=A.device)
    return xp.concat([never, A], axis=1)[:, : A.shape[1]]


def _sooner(xp: Any, A: Any, by: int) -> Any:
    """Return what is ``by`` places behind, what cannot be where there is nothing."""
    never = xp.full((A.shape[0], by), _NEVER, dtype=A.dtype, device=A.device)
    return xp.concat([A, never], axis=1)[:, by:]


def _beginnings(xp: Any, over: _Lattice) -> list[Any]:
    """Return log α before the first frame and after each; it stays as it is behind the end."""
    form: dict[str, Any] = {"dtype": xp.float64, "device": over.labels.device}
    N, places = over.labels.shape
    first = xp.zeros((N, 1), **form)
    found = [xp.concat([first, xp.full((N, places - 1), _NEVER, **form)], axis=1)]
    for score, runs in zip(over.scores, over.runs, strict=True):
        before = found[-1]
        skipped = xp.where(over.skips, _later(xp, before, 2), _NEVER)
        now = score + _log_sum(xp, before, _later(xp, before, 1), skipped)
        found.append(xp.where(runs, xp.maximum(now, _NEVER), before))
    return found


def _endings(xp: Any, over: _Lattice) -> list[Any]:
    """Return log β at each frame: of what comes after it."""
    none = xp.full(over.labels.shape, _NEVER, dtype=xp.float64, device=over.labels.device)
    now = xp.where(over.last, 0.0, none)
    found = []
    for score, runs in zip(reversed(over.scores), reversed(over.runs), strict=True):
        found.append(now)
        ahead = now + score
        skipped = _sooner(xp, xp.where(over.skips, ahead, _NEVER), 2)
        earlier = _log_sum(xp, ahead, _sooner(xp, ahead, 1), skipped)
        now = xp.where(runs, xp.maximum(earlier, _NEVER), now)
    return found[::-1]


def _total(xp: Any, alpha: Any, last: Any) -> Any:
    """Return minus the logarithm of the sum over the places where a path may end, as (N, 1)."""
    ends = xp.where(last, alpha, _NEVER)
    top = xp.max(ends, axis=1, keepdims=True)
    return -(top + xp.log(xp.sum(xp.exp(ends - top), axis=1, keepdims=True)))


def ctc_forward(
    logP: Any,
    T: Any,
    frames: Any,
    lengths: Any,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> tuple[Any, CtcSaved]:
    """Compute minus the logarithm of the probability of each sequence of labels.

    Args:
        logP: logarithms of the class probabilities of each frame (T, N, C), floating.
        T: the labels, integers (N, S); those behind the length of a sequence are not looked at.
        frames: how many frames each sequence has, integers (N,).
        lengths: how many labels each has, integers (N,).
        blank: the class that stands for no label.
        zero_infinity: whether the loss is 0, and not infinite, of a sequence that has too few
            frames for its labels.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if logP holds integers, or another input does not.
        DataError: if a label or a length is out of range.
    """
    _need(logP, T, frames, lengths, blank)
    xp = array_namespace(logP, T)
    over = _lattice(logP, T, frames, lengths, blank)
    L = xp.squeeze(_total(xp, _beginnings(xp, over)[-1], over.last), axis=1)
    L = xp.where(L > -0.5 * _NEVER, 0.0 if zero_infinity else float("inf"), L)
    return xp.astype(L, logP.dtype, copy=False), CtcSaved(
        logP, T, frames, lengths, blank, zero_infinity
    )


def ctc_backward(dY: Any, saved: CtcSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    r"""Return dlogP = -dY times the share of the paths that are at a label c at time t.

    That is $\sum_{s: l_s = c} \alpha_t(s) \beta_t(s) / \sum_s \alpha_t(s) \beta_t(s)$; NaN where
    the loss is infinite.
    """
    logP, T, frames, lengths, blank, zero_infinity = saved
    xp = array_namespace(dY, logP)
    over = _lattice(logP, T, frames, lengths, blank)
    alphas, betas = _beginnings(xp, over), _endings(xp, over)
    total = _total(xp, alphas[-1], over.last)
    never = total > -0.5 * _NEVER
    hot = xp.astype(one_hot_along(over.labels, logP.shape[2], 2), logP.dtype)  # (N, place, class)
    found = []
    for alpha, beta, runs in zip(alphas[1:], betas, over.runs, strict=True):
        share = xp.exp(xp.minimum(alpha + beta + total, 0.0))
        share = xp.where(never, 0.0 if zero_infinity else float("nan"), share)
        share = xp.astype(xp.where(runs, share, 0.0), logP.dtype, copy=False)
        by_class = xp.squeeze(xp.matmul(xp.expand_dims(share, axis=1), hot), axis=1)
        found.append(-xp.expand_dims(dY, axis=1) * by_class)
    dlogP = xp.stack(found, axis=0) if found else xp.zeros_like(logP)
    return dlogP, None, None, None


CTC = formula(
    ctc_forward,
    ctc_backward,
    equation=r"L_n = -\log \sum_{s \in \{2 S_n, 2 S_n - 1\}} \alpha_{T_n}(s), \quad"
    r" \alpha_t(s) = P_t(l_s) \left(\alpha_{t-1}(s) + \alpha_{t-1}(s - 1)"
    r" + [l_s \notin \{b, l_{s-2}\}] \alpha_{t-1}(s - 2)\right)",
    gradients={
        "logP": r"-\frac{\partial L}{\partial L_n} \sum_{s: l_s = c} \alpha_t(s) \beta_t(s) e^{L_n}"
    },
    entries={"logP": "tnc"},
    shapes="logP (T, N, C), T (N, S), frames and lengths (N,) -> L (N,)",
    floats={"logP": "the log-probabilities"},
    source="Graves, Fernández, Gomez and Schmidhuber 2006",
    kinks="nowhere, but the loss may be infinite",
    public=Public(
        kind="loss",
        function="ctc_loss",
        module="CTCLoss",
        by_hand=("ctc_loss", "CTCLoss"),
        torch="nn.functional.ctc_loss",
    ),
    derivation=(
        "A path is at one place s of the labels l at every frame, and its probability is the "
        "product of the $P_t(l_s)$ on its way. Take one sequence, and let p be the sum over all "
        r"paths that fit its labels: $$L = -\log p \\ e^L = \frac{1}{p}$$",
        "Split p by the place at which a path is at the frame t. Every beginning up to there, "
        r"the frame t included, goes with every ending after it: $$p = \sum_s \alpha_t(s) "
        r"\beta_t(s)$$",
        "β is found like α, but from the last frame, where it is 1 at the two places where a "
        r"path may end: $$\beta_t(s) = P_{t+1}(l_s) \beta_{t+1}(s) + P_{t+1}(l_{s+1}) "
        r"\beta_{t+1}(s + 1) \\ + [l_{s+2} \notin \{b, l_s\}] P_{t+1}(l_{s+2}) \beta_{t+1}(s + "
        "2)$$",
        r"Of the frame t each path has one factor, $P_t(l_s)$, which is in $\alpha_t(s)$ once. As "
        r"$P = e^{\mathrm{logP}}$, the slope of a product that has the factor $P_t(c)$ is the "
        r"product itself; of one that has not it is 0: $$\frac{\partial p}{\partial "
        r"\mathrm{logP}_t(c)} = \sum_{s: l_s = c} \alpha_t(s) \beta_t(s)$$",
        r"The logarithm has the slope $\frac{1}{p} = e^L$: $$\frac{\partial L}{\partial "
        r"\mathrm{logP}_t(c)} = -e^L \sum_{s: l_s = c} \alpha_t(s) \beta_t(s)$$ It is minus the "
        "share of c among the paths at the frame t, and adds up to -1 over all classes. The "
        "chain rule multiplies by the gradient of the sequence's loss.",
        "The frames after the end of a sequence are in no path and get 0. Where no path fits, L "
        "is infinite and its gradient NaN; `zero_infinity` makes both 0.",
    ),
)
