"""Mutation testing of the kernels, in a copy of the source; each mutant has to be compiled anew.

    python tests/mutation/kernels.py --count 40 --seed 1
    python tests/mutation/kernels.py cpu/linear cuda/softmax
    python tests/mutation/kernels.py --survivors --page  # those again that the record has

A kernel works on raw memory: each mutant runs in a process of its own, and one that crashes is
caught. The text of CUDA kernels runs on the CPU, by the emulator of tests/kernels/cuda.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from mutation.cuda_text import edits  # noqa: E402
from mutation.operators import Change, applied, changes, sample  # noqa: E402
from mutation.page import Outcome, enter, enter_again, explained, recorded  # noqa: E402

KERNELS = ROOT / "kernels"
# The tests nearest to each file; the contract of all implementations comes after them.
CPU = {
    "cross_entropy": "test_softmax.py",
    "elementwise": "test_arithmetic.py",
    "functions": "test_functions.py",
    "linear": "test_linear.py",
    "loops": "test_loops.py",
    "operands": "test_loops.py",
    "losses": "test_losses.py",
    "optimizers": "test_optimizers.py",
    "panels": "test_linear.py",
    "products": "test_linear.py",
    "random": "test_arithmetic.py",
    "reductions": "test_arithmetic.py",
    "runtime/language": "test_arithmetic.py test_linear.py",
    "scalars": "test_loops.py",
    "softmax": "test_softmax.py",
    "tiles": "test_linear.py",
    "updates": "test_arithmetic.py",
    "words": "test_loops.py",
}
# Seconds of processor time: a mutant that never ends is ended and counts as caught.
LIMIT = 900
CAUGHT, SURVIVED, INVALID = "caught", "survived", "does not compile"


@dataclass(frozen=True)
class Mutant:
    """One planted fault.

    Attributes:
        file: "cpu/linear", "cuda/common.cuh".
        name: of the fault.
        path: of the file inside kernels/.
        text: returns the whole file with the one change.
    """

    file: str
    name: str
    path: Path
    text: Callable[[], str]


def files() -> list[str]:
    """Return the files of kernels that are mutated: "cpu/linear", "cuda/common.cuh"."""
    cuda = sorted(path for path in (KERNELS / "cuda").iterdir() if path.suffix in (".cu", ".cuh"))
    return [f"cpu/{name}" for name in CPU] + [f"cuda/{path.name}" for path in cuda]


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every fault in one file."""
    path = KERNELS / (file if file.startswith("cuda/") else f"{file}.py")
    text = path.read_text(encoding="utf-8")
    inside = path.relative_to(KERNELS)
    if file.startswith("cuda/"):
        for edit in edits(text):
            yield Mutant(file, f"{file}: {edit.name}", inside, partial(edit.applied, text))
        return
    tree = ast.parse(text)
    counted: Counter[str] = Counter()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for change in changes(node):
                before, after = ast.unparse(change.node), ast.unparse(change.new)
                name = f"{file}.{node.name}: {' '.join(before.split())} -> "
                name += " ".join(after.split())
                counted[name] += 1
                again = f" #{counted[name]}" if counted[name] > 1 else ""
                yield Mutant(file, name + again, inside, partial(_unparsed, tree, change))


def _unparsed(tree: ast.Module, change: Change) -> str:
    return ast.unparse(applied(tree, change))


def copied(folder: Path) -> Path:
    """Copy what the tests need, with kernels/ where the installed package has it."""
    for name in ("nnscratch", "tests"):
        shutil.copytree(ROOT / name, folder / name, symlinks=False,
                        ignore=shutil.ignore_patterns("__pycache__", "kernels_link"))  # fmt: skip
    target = folder / "nnscratch" / "kernels"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(KERNELS, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def stages(file: str) -> list[list[str]]:
    """Return the commands that have to fail for a mutant of this file, the nearest tests first."""
    test = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    if file.startswith("cuda/"):
        # Not the tests that look for a piece of text: they would see the change itself.
        names = ("contract", "copies", "driver", "embedding", "random")
        return [[*test, *(f"tests/kernels/cuda/test_cuda_{name}.py" for name in names)]]
    near = CPU[file.removeprefix("cpu/")].split()
    return [
        [*test, *(f"tests/kernels/{name}" for name in near), "tests/kernels/test_bounds.py"],
        [*test, "tests/formulas/test_contract.py", "-k", "implementations"],
    ]


def face(folder: Path, mutant: Mutant | None, file: str) -> str:
    """Run the tests of a file on a copy with one change, or with none."""
    path = folder / "nnscratch" / "kernels" / (mutant.path if mutant else "__init__.py")
    source = path.read_text(encoding="utf-8")
    if mutant is not None:
        path.write_text(mutant.text(), encoding="utf-8")
    try:
        if file.startswith("cuda/") and run(folder, COMPILES) != 0:
            return INVALID
        caught = any(run(folder, stage) != 0 for stage in stages(file))
        return CAUGHT if caught else SURVIVED
    finally:
        path.write_text(source, encoding="utf-8")


COMPILES = [
    "-c",
    "import sys; sys.path.insert(0, 'tests/kernels/cuda'); from emulator.build import library; "
    "from nnscratch.kernels.cuda.source import files; "
    "[library(file, 'float32') for file in files()]",
]


def run(folder: Path, arguments: list[str]) -> int:
    """Run Python in the copy and return its exit code."""
    environment = {
        **os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache"),
        "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True,
        check=False, preexec_fn=limit,
    ).returncode  # fmt: skip


def limit() -> None:
    """Let a process end by itself if it computes for too long."""
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--survivors", action="store_true", help="those that the record has")
    parser.add_argument("--page", action="store_true", help="enter the outcome in docs/mutation.md")
    options = parser.parse_args()
    unknown = set(options.files) - set(files())
    if unknown:
        raise SystemExit(f"no such file: {', '.join(unknown)}; there are {', '.join(files())}")
    chosen = [one for file in options.files or files() for one in mutants(file)]
    there = Counter(one.file for one in chosen)
    if options.survivors:
        known = recorded("cpu") | recorded("cuda")
        chosen = [one for one in chosen if one.name in known]
    if options.count:
        chosen = sample(chosen, options.count, options.seed, lambda one: one.file)
    outcomes = tried(chosen)
    if options.page:
        for part in ("cpu", "cuda"):
            found = [one for one in outcomes if one.file.startswith(f"{part}/")]
            if options.survivors:
                enter_again(part, found)
            elif found:
                enter(part, found, there, options.seed)
    report(outcomes)


def tried(chosen: list[Mutant]) -> list[Outcome]:
    """Let every mutant face the tests; what does not compile is left out."""
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = copied(Path(scratch))
        for file in sorted({one.file for one in chosen}):
            if face(folder, None, file) != SURVIVED:
                raise SystemExit(f"the tests of {file} fail without any planted fault")
        started = time.perf_counter()
        for number, one in enumerate(chosen, 1):
            outcome = face(folder, one, one.file)
            seconds = time.perf_counter() - started
            print(f"[{number}/{len(chosen)}] {outcome}: {one.name} ({seconds:.0f} s)", flush=True)
            if outcome != INVALID:
                outcomes.append(Outcome(one.file, one.name, outcome == SURVIVED))
    return outcomes


def report(outcomes: list[Outcome]) -> None:
    """Print the scores by file and the survivors."""
    reasons = explained()
    for file in [*dict.fromkeys(one.file for one in outcomes), "all"]:
        found = [one for one in outcomes if file in (one.file, "all")]
        caught = sum(not one.survived for one in found)
        print(f"{file:<24} {caught}/{len(found)} {100 * caught / max(len(found), 1):.1f}%")
    for one in outcomes:
        if one.survived:
            print(f"survived: {one.name}\n  {reasons.get(one.name, 'NOT EXPLAINED')}")


if __name__ == "__main__":
    main()
