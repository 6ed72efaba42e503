"""The tests that a mutant has to face, the quick ones first.

What tests do for one formula is called as a function here: the gradients against numeric ones, the
contract, PyTorch's results. Only a mutant that passes all of it goes through whole test files.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import formulas.test_contract as contract
import formulas.test_kinks as kinks
import formulas.test_parity as parity
import numpy as np
import pytest
import torch
from formulas.contract import BACKENDS, NUMPY, check, check_gradients, needs_of
from mutation.mutants import Mutant, order, plant

from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.cases import cases

TESTS = Path(__file__).parents[1]
SHORT = [f"formulas/test_{name}.py" for name in ("errors", "gelu", "optimizers", "random")]
LONG = ["formulas", "tensors", "optim"]
SURVIVED, KILLED = 0, 1
# Seconds of processor time: a mutant that never ends is ended and counts as caught.
LIMIT = 600


def quick(names: list[str]) -> Iterator[Callable[[], Any]]:
    """Yield checks of single cases, the most telling of all formulas first."""
    for name in names:
        formula = FORMULAS[name]
        for case in small(name):
            if (
                formula.backward is not None
                and case.smooth
                and any(needs_of(formula, case.build()))
            ):
                yield lambda formula=formula, case=case: check_gradients(formula, case)
    for name in names:
        for case in small(name):
            if name in parity.TORCH and (name, case.name) not in parity.REFUSED:
                yield lambda name=name, case=case: parity.test_formula(name, case)
    for row in kinks.ROWS:
        if row[0] in names:
            yield lambda row=row: kinks.test_at_the_kinks(row)
    for name in names:
        for case in small(name):
            for dtype in ("float64", "float32"):
                yield lambda name=name, case=case, dtype=dtype: check(FORMULAS[name], case, dtype)


def thorough(names: list[str]) -> Iterator[Callable[[], Any]]:
    """Yield the other checks of single cases: other libraries, layouts, quietness."""
    for name in names:
        for case in cases(name):
            for backend in BACKENDS:
                if backend is NUMPY or name not in ("random_uniform", "random_normal"):
                    yield lambda name=name, case=case, backend=backend: check(
                        FORMULAS[name], case, "float32", "C", backend
                    )
            yield lambda name=name, case=case: check(
                FORMULAS[name], case, "float64", "negative stride"
            )


def small(name: str) -> list[Any]:
    """Return the cases of a formula, the smallest arrays first and the largest left out."""
    sized = [(sum(np.size(v) for v in case.build()), i) for i, case in enumerate(cases(name))]
    return [cases(name)[i] for size, i in sorted(sized) if size <= 20_000]


def face(mutant: Mutant | None, whole_files: bool) -> int:
    """Plant a mutant into this process and say whether a test kills it.

    Without one the tests run on the formulas as they are, and must pass.
    """
    names = list(FORMULAS)
    if mutant is not None:
        plant(mutant)
        names = order(mutant)[:12]
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)  # NumPy's; PyTorch has words of its own
    try:
        with registry.use_kernels("off"):
            for test in (*quick(names), *(thorough(names) if whole_files else ())):
                test()
    except BaseException:
        return KILLED
    if not passes(SHORT):
        return KILLED
    return SURVIVED if not whole_files or passes(LONG) else KILLED


def passes(files: list[str]) -> bool:
    """Run whole test files in this process, without what was tried case by case before."""
    skip = ("planted", "implementations", "test_reference", "gradients[")
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    arguments += ["-k", " and ".join(f"not {name}" for name in skip), f"--rootdir={TESTS.parent}"]
    arguments += [str(TESTS / name) for name in files if (TESTS / name).exists()]
    os.environ["NNSCRATCH_KERNELS"] = "off"
    with registry.use_kernels("off"):
        return pytest.main(arguments) == pytest.ExitCode.OK


def fork(mutant: Mutant | None, whole_files: bool) -> int:
    """Start a copy of this process that faces a mutant; its exit code is the outcome."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    outcome = KILLED
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        outcome = face(mutant, whole_files)
    except BaseException:
        outcome = KILLED
    finally:
        os._exit(outcome)


def hunt(
    chosen: list[Mutant],
    workers: int,
    whole_files: bool,
    tell: Callable[[Mutant, bool, float], None],
) -> list[Mutant]:
    """Let every mutant face the tests, some at a time, and return the survivors."""
    torch.set_num_threads(1)
    contract.uncovered()
    _, status = os.waitpid(fork(None, whole_files), 0)
    if os.waitstatus_to_exitcode(status) != SURVIVED:
        raise SystemExit("the tests fail without any planted fault: there is nothing to measure")
    waiting, running, survivors = list(reversed(chosen)), {}, []
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            running[fork(mutant, whole_files)] = mutant, time.perf_counter()
        child, status = os.wait()
        mutant, started = running.pop(child)
        alive = os.WIFEXITED(status) and os.WEXITSTATUS(status) == SURVIVED
        if alive:
            survivors.append(mutant)
        tell(mutant, alive, time.perf_counter() - started)
    return survivors
