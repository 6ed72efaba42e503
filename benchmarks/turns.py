"""Competitors that take turns, each in a process of its own, once their losses are the same."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

import numpy as np

from benchmarks.arbiter import BY_CHANCE, answer, judged

OURS = ("compiled", "frozen", "eager")
COMPETITORS = (*OURS, "torch", "torch, channels last", "torch.compile", "JAX", "onnxruntime")
CHECKED = 4
"""Steps whose losses are compared,"""
DIFFER = 2e-4
"""and by how much of them they may differ."""
PARTED = 0.05
"""By how much those behind the first may, where gradients beside float64's say who is right."""


def _serve(pipe: Any, who: str, make: Callable[[], Any], threads: int) -> None:
    """Be a competitor's process: answer with losses and seconds."""
    os.environ |= {"OMP_NUM_THREADS": str(threads), "NNSCRATCH_THREADS": str(threads)}
    try:
        work = make()
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)
        pipe.send([work.run(1) for _ in range(CHECKED)])
        while True:
            count = pipe.recv()
            if count is None:
                pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
                return
            start = time.perf_counter()
            work.run(count)
            pipe.send((time.perf_counter() - start) / count)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}"[:300])


def measure(
    what: str,
    goal: float,
    makers: Mapping[str, Callable[[], Any]],
    threads: int,
    seconds: float,
    exact: Callable[[], Any] | None = None,
) -> dict[str, Any]:
    """Return what was measured of a case: seconds, losses and memory for each competitor.

    Args:
        what: what it is called in the table.
        goal: by how many times ours should be quicker.
        makers: for each competitor what makes its work in a process of its own: an object whose
            ``run(count)`` takes steps and returns the last one's loss.
        threads: of each.
        seconds: how long all turns may take together.
        exact: makes PyTorch's work in float64, whose gradients decide where losses part.
    """
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Any] = {}
    processes = []
    found: dict[str, Any] = {"what": what, "goal": goal, "absent": {}, "losses": {}, "judged": {}}
    for who, make in makers.items():
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, who, make, threads), daemon=True)
        process.start()
        there.close()  # so that the end of the process is seen
        processes.append(process)
        losses = answer(here)  # one after another, so that nobody is disturbed
        if isinstance(losses, str):
            found["absent"][who] = losses
            continue
        found["losses"][who] = losses
        pipes[who] = here
    truth = next((found["losses"][w] for w in ("torch", *pipes) if w in found["losses"]), None)
    parted = [who for who in pipes if not _agree(found["losses"][who], truth, DIFFER)]
    near = [who for who in parted if _begins_alike(found["losses"][who], truth)]
    if near and exact is not None and "torch" in pipes:
        wanted = {who: makers[who] for who in ("torch", *near)}
        found["judged"] = judged(exact, wanted, threads)
    far = found["judged"]
    for who in parted:
        if who in far and far[who] <= BY_CHANCE * far["torch"] < math.inf:
            continue
        said = ""
        if who in far:
            said = f", gradients {far[who]:.1e} from float64, PyTorch {far['torch']:.1e}"
        found["absent"][who] = f"other losses: {found['losses'][who]}, PyTorch has {truth}{said}"
        pipes.pop(who).send(None)
    once = {who: _turn(pipe, 1) for who, pipe in pipes.items()}
    # A step by itself takes several times as long as one of many where threads have to be woken and
    # a loss is added up behind it: counted by it, a turn would be over before it is under way.
    once = {who: _turn(pipes[who], max(1, int(0.05 / one))) for who, one in once.items()}
    a_round = sum(max(0.15, one) + 0.05 for one in once.values())
    counts = {who: max(1, int(0.15 / one)) for who, one in once.items()}
    rounds = max(5, int(seconds / a_round)) if once else 0
    took: dict[str, list[float]] = {who: [] for who in pipes}
    order = list(pipes)
    for _ in range(min(rounds, 25)):
        random.shuffle(order)
        for who in order:
            time.sleep(0.03)
            took[who].append(_turn(pipes[who], counts[who]))
    found["seconds"] = took
    found["memory"] = {}
    for who, pipe in pipes.items():
        pipe.send(None)
        found["memory"][who] = pipe.recv()
    for process in processes:
        process.join(10)
        if process.is_alive():
            process.kill()
    return found


def _begins_alike(losses: Sequence[float], truth: Any) -> bool:
    """Say whether losses part as they do behind a ReLU at 0: later, and not far."""
    return _agree(losses[:1], truth[:1], DIFFER) and _agree(losses, truth, PARTED)


def _agree(losses: Sequence[float], truth: Any, most: float) -> bool:
    off = [abs(a - b) / max(abs(b), 1e-6) for a, b in zip(losses, truth, strict=True)]
    return bool(np.max(off) <= most)  # NaN is other than anything


def _turn(pipe: Any, count: int) -> float:
    pipe.send(count)
    took = answer(pipe)
    if isinstance(took, str):
        raise RuntimeError(f"a competitor failed while it was timed: {took}")
    return float(took)


def table(
    rows: list[dict[str, Any]], memory: bool, competitors: Sequence[str] = COMPETITORS
) -> str:
    """Return the rows as a table in Markdown; ours stand first among the competitors.

    Who took part in no row has no column. The ratio is that to the best of the others; onnxruntime,
    which only infers and takes weights for constants, has a ratio and a goal of its own, for ours
    that does so too.
    """
    timed = {"compiled", "eager"}.union(*(row["seconds"] for row in rows))
    competitors = [who for who in competitors if who in timed]
    lines = [
        "| case | " + " | ".join(f"{who}, ms" for who in competitors) + " | ratio | goal |",
        "|---|" + "---|" * (len(competitors) + 2),
    ]
    notes = []
    for row in rows:
        cells = []
        for who in competitors:
            if who not in row["seconds"]:
                cells.append("")
                continue
            some = sorted(1e3 * one for one in row["seconds"][who])
            tenths = quantiles(some, n=10, method="inclusive")
            text = f"{median(some):.3g} ({tenths[0]:.3g} to {tenths[-1]:.3g})"
            cells.append(text + (f", {row['memory'][who]:.0f} MB" if memory else ""))
        middle = {who: median(some) for who, some in row["seconds"].items()}
        peers = [one for who, one in middle.items() if who not in (*OURS, "onnxruntime")]
        said = verdict = "not compared"
        if peers and competitors[0] in middle:
            ratio = min(peers) / middle[competitors[0]]
            said = f"{ratio:.2f}x" + ("" if ratio >= 1 else " LOST")
            verdict = "met" if ratio >= row["goal"] else "missed"
        if "onnxruntime" in middle and "frozen" in middle:
            ratio = middle["onnxruntime"] / middle["frozen"]
            beside = row["goal_beside_onnxruntime"]
            said += f"; {ratio:.2f}x" + ("" if ratio >= 1 else " LOST")
            verdict += f"; {beside}x, " + ("met" if ratio >= beside else "missed")
        what, goal = row["what"], row["goal"]
        lines.append(f"| {what} | {' | '.join(cells)} | {said} | {goal}x, {verdict} |")
        notes += [f"- {what}: {who} not timed: {why}" for who, why in row["absent"].items()]
        far = row["judged"]
        notes += [
            f"- {what}: {who} timed though its losses part from PyTorch's: its gradients of the "
            f"first step are {far[who]:.1e} from those in float64, PyTorch's {far['torch']:.1e}"
            for who in far
            if who != "torch" and who not in row["absent"]
        ]
    return "\n".join([*lines, "", *notes])
