"""Mutation testing of the CPU kernels, in copies of the source; each has to be compiled anew.

    python tests/mutation/kernels.py --count 40 --seed 1
    python tests/mutation/kernels.py linear softmax

A kernel works on raw memory: each mutant runs in a process of its own, and one that crashes is
caught.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from mutation.operators import Change, applied, changes  # noqa: E402

# The tests nearest to each file; the contract of all implementations comes after them.
TESTS = {
    "activations": "test_activations.py test_functions.py",
    "elementwise": "test_arithmetic.py",
    "functions": "test_functions.py",
    "linear": "test_linear.py",
    "losses": "test_losses.py",
    "optimizers": "test_optimizers.py",
    "parts": "test_arithmetic.py test_linear.py",
    "random": "test_arithmetic.py",
    "reductions": "test_arithmetic.py",
    "scalars": "test_activations.py test_functions.py",
    "softmax": "test_softmax.py",
}


def mutants(file: str) -> list[tuple[str, ast.Module, Change]]:
    """Return (name, tree, change) for every fault in the functions of one file."""
    tree = ast.parse((ROOT / "kernels" / "cpu" / f"{file}.py").read_text(encoding="utf-8"))
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for change in changes(node):
                before, after = ast.unparse(change.node), ast.unparse(change.new)
                found.append((f"{file}.{node.name}: {before} -> {after}", tree, change))
    return found


def copied(folder: Path) -> Path:
    """Copy what the tests need, with kernels/ where the installed package has it."""
    for name in ("nnscratch", "tests"):
        shutil.copytree(ROOT / name, folder / name, symlinks=False,
                        ignore=shutil.ignore_patterns("__pycache__", "kernels_link"))  # fmt: skip
    target = folder / "nnscratch" / "kernels"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(ROOT / "kernels", target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def survives(folder: Path, file: str, tree: ast.Module, change: Change | None) -> bool:
    """Run the tests on a copy with one change."""
    path = folder / "nnscratch" / "kernels" / "cpu" / f"{file}.py"
    source = path.read_text(encoding="utf-8")
    if change is not None:
        path.write_text(ast.unparse(applied(tree, change)), encoding="utf-8")
    environment = {
        **os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    stages = [
        [str(folder / "tests" / "kernels" / name) for name in TESTS[file].split()],
        [str(folder / "tests" / "formulas" / "test_contract.py"), "-k", "implementations"],
    ]
    try:
        for stage in stages:
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *stage]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=3600
            )
            if done.returncode != 0:
                return False
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(source, encoding="utf-8")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = options.files or list(TESTS)
    chosen = [(file, *one) for file in files for one in mutants(file)]
    if options.count:
        chosen = random.Random(options.seed).sample(chosen, min(options.count, len(chosen)))
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = copied(Path(scratch))
        for file in {file for file, *_ in chosen}:
            if not survives(folder, file, ast.Module([], []), None):
                raise SystemExit(f"the tests of {file} fail without any planted fault")
        started = time.perf_counter()
        for number, (file, name, tree, change) in enumerate(chosen, 1):
            if survives(folder, file, tree, change):
                survivors.append(name)
            outcome = "survived" if name in survivors else "caught"
            seconds = time.perf_counter() - started
            print(f"[{number}/{len(chosen)}] {outcome}: {name} ({seconds:.0f} s)", flush=True)
    caught = len(chosen) - len(survivors)
    print(f"{caught} of {len(chosen)} caught, {100 * caught / max(len(chosen), 1):.1f}%")
    for name in survivors:
        print(f"survived: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
