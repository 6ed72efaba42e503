"""nnscratch.gradcheck beside torch.autograd.gradcheck, on the same code with planted faults.

    python benchmarks/gradcheck_vs_torch.py

Every case is a PyTorch function or module. Each checker is called with its defaults, as a user
would call it; PyTorch's also with ``fast_mode=True``. The cases named "right" have no fault: an
alarm there is false.
Writes results/gradcheck_vs_torch.json and .md.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nnscratch

RESULTS = Path(__file__).parent / "results"
JACOBIAN = 100_000_000  # entries that PyTorch's slow mode may store


def function(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """Make an autograd function of a forward and a backward that takes dY and the inputs."""

    class Made(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, dY: Any) -> Any:
            return backward(dY, *ctx.saved_tensors)

    return Made.apply


@dataclass(frozen=True)
class Case:
    """A function with inputs; ``make`` returns both."""

    name: str
    faulty: bool
    make: Callable[[], tuple[Any, list[Any]]]


def normal(*shape: int, dtype: Any = torch.float64, grad: bool = True) -> Any:
    drawn = np.random.default_rng(shape).normal(size=shape)
    return torch.tensor(drawn, dtype=dtype, requires_grad=grad)


def squares(change: Callable[[Any, Any], Any]) -> Any:
    """The mean of squares, with its right gradient passed through ``change``."""
    return function(lambda x: (x * x).mean(), lambda d, x: change(d * 2 * x / x.numel(), x))


def at(index: tuple[int, ...], factor: float) -> Callable[[Any, Any], Any]:
    def change(g: Any, x: Any) -> Any:
        g[index] *= factor
        return g

    return change


def opposite(g: Any, x: Any) -> Any:
    g.view(-1)[5001] += 1e-5
    g.view(-1)[5002] -= 1e-5
    return g


def elementwise_sparse(d: Any, x: Any) -> Any:
    g = d * torch.cos(x)
    g.view(-1)[7777] *= 1.5
    return g


def relu_backward(slope: float) -> Callable[[Any, Any], Any]:
    return lambda d, x: d * (x > 0) * slope


def with_zeros() -> Any:
    x = np.round(np.random.default_rng(5).normal(size=(4, 5)) * 2) / 2
    return torch.tensor(x, requires_grad=True)


def softmax(d: Any, x: Any) -> Any:
    y = torch.softmax(x, -1)
    return y * d


def linear(wrong: bool) -> Any:
    def backward(d: Any, x: Any, w: Any) -> Any:
        return (d @ w) * (0.5 if wrong else 1.0), d.T @ x

    return function(lambda x, w: x @ w.T, backward)


def noisy(d: Any, x: Any) -> Any:
    return d * torch.cos(x) * (1 + 1e-2 * torch.randn(()))


def in_place(d: Any, x: Any) -> Any:
    d.mul_(torch.cos(x))
    return d


def tail(d: Any, x: Any) -> Any:
    g = d * torch.cos(x)
    g[:, 32:] = 0
    return g


class Halved(torch.nn.Module):
    """Right in evaluation, wrong in training: the graph is cut in half there."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(6, 4).double()

    def forward(self, x: Any) -> Any:
        y = self.fc(x)
        return y * 0.5 + y.detach() * 0.5 if self.training else y


def module(make: Callable[[], Any]) -> Callable[[], tuple[Any, list[Any]]]:
    def made() -> tuple[Any, list[Any]]:
        torch.manual_seed(0)
        return make(), [normal(5, 6)]

    return made


def dropped() -> Any:
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
    return net.double()


F32 = torch.float32
CASES = [
    Case("one of 20,000 elements 10% off, scalar loss", True,
         lambda: (squares(at((57, 33), 1.1)), [normal(200, 100)])),
    Case("one of 20,000 elements zero, scalar loss", True,
         lambda: (squares(at((150, 2), 0.0)), [normal(200, 100)])),
    Case("one of 20,000 elements 10% off, scalar loss, float32", True,
         lambda: (squares(at((57, 33), 1.1)), [normal(200, 100, dtype=F32)])),
    Case("one of 20,000 elements 50% off, elementwise", True,
         lambda: (function(torch.sin, elementwise_sparse), [normal(200, 100)])),
    Case("two neighbours of 20,000 off by opposite amounts", True,
         lambda: (squares(opposite), [normal(200, 100)])),
    Case("mean taken twice, 100 elements", True,
         lambda: (squares(lambda g, x: g / x.numel()), [normal(10, 10)])),
    Case("mean taken twice, 20,000 elements", True,
         lambda: (squares(lambda g, x: g / x.numel()), [normal(200, 100)])),
    Case("sign, loss scaled by 1e-6", True,
         lambda: (function(lambda x: 1e-6 * x.sin().sum(), lambda d, x: -1e-6 * d * torch.cos(x)),
                  [normal(6, 6)])),
    Case("0.05% too large everywhere", True,
         lambda: (squares(lambda g, x: g * 1.0005), [normal(10, 10)])),
    Case("0.5% too large everywhere, float32", True,
         lambda: (squares(lambda g, x: g * 1.005), [normal(10, 10, dtype=F32)])),
    Case("derivative at the output in place of the input", True,
         lambda: (function(torch.sin, lambda d, x: d * torch.cos(torch.sin(x))), [normal(6, 6)])),
    Case("softmax without its sum", True,
         lambda: (function(lambda x: torch.softmax(x, -1), softmax), [normal(6, 6)])),
    Case("wrong input gradient, right parameter gradient", True,
         lambda: (linear(True), [normal(5, 6, grad=False), normal(4, 6)])),
    Case("wrong slope beside kinks that were hit", True,
         lambda: (function(torch.relu, relu_backward(0.9)), [with_zeros()])),
    Case("tail of each row of 40 left out", True,
         lambda: (function(torch.sin, tail), [normal(6, 40)])),
    Case("backward changes dY in place", True,
         lambda: (function(torch.sin, in_place), [normal(6, 6)])),
    Case("backward at random", True,
         lambda: (function(torch.sin, noisy), [normal(6, 6)])),
    Case("wrong in training mode only, module in eval mode", True, module(lambda: Halved().eval())),
    Case("right: float64", False,
         lambda: (squares(lambda g, x: g), [normal(10, 10)])),
    Case("right: float32", False,
         lambda: (squares(lambda g, x: g), [normal(10, 10, dtype=F32)])),
    Case("right: float32, elementwise", False,
         lambda: (function(torch.sin, lambda d, x: d * torch.cos(x)), [normal(6, 6, dtype=F32)])),
    Case("right: 20,000 elements, float32", False,
         lambda: (squares(lambda g, x: g), [normal(200, 100, dtype=F32)])),
    Case("right: kinks that were hit", False,
         lambda: (function(torch.relu, relu_backward(1.0)), [with_zeros()])),
    Case("right: module with dropout in training mode", False, module(dropped)),
]  # fmt: skip


def ours(case: Case) -> dict[str, Any]:
    target, inputs = case.make()
    started = time.perf_counter()
    report = nnscratch.gradcheck(target, inputs)
    seconds = time.perf_counter() - started
    return {
        "answer": str(report.verdict),
        "alarm": report.verdict == "wrong",
        "fault": report.faults[0] if report.faults else "",
        "seconds": round(seconds, 3),
    }


def theirs(case: Case, fast: bool) -> dict[str, Any]:
    target, inputs = case.make()
    outputs = target(*inputs).numel()
    entries = outputs * max(x.numel() for x in inputs if x.requires_grad)
    if not fast and entries > JACOBIAN:
        return {"answer": f"not run: a Jacobian of {entries:.1e} entries", "alarm": False,
                "seconds": None}  # fmt: skip
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.manual_seed(1)
            passed = torch.autograd.gradcheck(target, inputs, fast_mode=fast)
            answer = "passes" if passed else "fails"
        except Exception as error:
            answer = f"fails: {str(error).strip().splitlines()[0][:90]}"
    return {
        "answer": answer,
        "alarm": answer.startswith("fails"),
        "seconds": round(time.perf_counter() - started, 3),
    }


def cell(case: Case, result: dict[str, Any]) -> str:
    cost = "" if result["seconds"] is None else f", {result['seconds']:.2f} s"
    if result["answer"].startswith("not run"):
        return "too large to run"
    if case.faulty:
        return ("found" if result["alarm"] else "**missed**") + cost
    return ("**false alarm**" if result["alarm"] else "passes") + cost


def table(rows: list[tuple[Case, dict[str, Any]]]) -> str:
    lines = [
        "| code under test | nnscratch.gradcheck | its likely fault | torch gradcheck "
        "| torch, fast_mode |",
        "|---|---|---|---|---|",
    ]
    for case, row in rows:
        fault = row["nnscratch"]["fault"].split(":", 1)[-1].split("(")[0].strip()[:90]
        cells = [cell(case, row[key]) for key in ("nnscratch", "torch", "torch fast_mode")]
        lines.append(f"| {case.name} | {cells[0]} | {fault} | {cells[1]} | {cells[2]} |")
    return "\n".join(lines)


def totals(rows: list[tuple[Case, dict[str, Any]]]) -> dict[str, dict[str, int]]:
    found = {}
    for key in ("nnscratch", "torch", "torch fast_mode"):
        found[key] = {
            "faults": sum(case.faulty for case, _ in rows),
            "found": sum(case.faulty and row[key]["alarm"] for case, row in rows),
            "right": sum(not case.faulty for case, _ in rows),
            "false alarms": sum(not case.faulty and row[key]["alarm"] for case, row in rows),
        }
    return found


def run() -> list[tuple[Case, dict[str, Any]]]:
    torch.set_num_threads(1)
    ours(CASES[5])  # imports are not part of what is timed
    return [
        (
            case,
            {
                "nnscratch": ours(case),
                "torch": theirs(case, False),
                "torch fast_mode": theirs(case, True),
            },
        )
        for case in CASES
    ]


def main() -> None:
    rows = run()
    counts = totals(rows)
    RESULTS.mkdir(exist_ok=True)
    where = {"torch": torch.__version__, "numpy": np.__version__, "machine": platform.machine()}
    (RESULTS / "gradcheck_vs_torch.json").write_text(
        json.dumps(
            {"made on": where, "totals": counts, "cases": {c.name: r for c, r in rows}}, indent=1
        )
        + "\n"
    )
    words = "\n".join(
        f"- {key}: {c['found']} of {c['faults']} faults found, {c['false alarms']} false alarms on "
        f"{c['right']} right functions"
        for key, c in counts.items()
    )
    text = (
        "# nnscratch.gradcheck beside torch.autograd.gradcheck\n\n"
        f"Made by `benchmarks/gradcheck_vs_torch.py` with PyTorch {torch.__version__}, each "
        "checker with its defaults, on the same PyTorch code.\n\n"
        f"{words}\n\nAn alarm on a faulty function counts as found even where the same checker "
        "raises one on the right function too (float32, kinks).\n\n"
        f"{table(rows)}\n"
    )
    (RESULTS / "gradcheck_vs_torch.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
