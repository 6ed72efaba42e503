"""How many of a folder of CSV files train and predict as they are, and why the others do not.

    python -m benchmarks.tables FOLDER [--processes 2] [--epochs 1] [--json FILE]

Each file is trained on with its last column as the target, and then predicted, in the words of the
command line (`nnscratch train FILE --target LAST`, `nnscratch predict RUN FILE`), but in processes
that each do many files, which gives the same results and spares the start of Python. A file passes
if both commands exit with 0. One that is refused is listed with the line that the command printed;
a traceback counts as a fault of the program and is listed by itself.
"""

import argparse
import contextlib
import csv
import io
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def last_column(path: Path) -> str | None:
    """The name of the last column, as the program reads it; None where it reads none."""
    from nnscratch.data import TableFile
    from nnscratch.errors import NNScratchError

    try:
        return TableFile(path).names[-1]
    except NNScratchError:
        # The command itself shall say why; any name will do.
        with open(path, encoding="latin-1", newline="") as stream:
            return next(csv.reader(stream), [""])[-1] or "target"


def command(*arguments: str) -> tuple[int, str, str]:
    """Run a command of nnscratch in this process: its exit code, output and errors."""
    from nnscratch.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except BaseException:
            traceback.print_exc()
            code = 1
    return code, out.getvalue(), err.getvalue()


def try_file(path: Path, epochs: int) -> dict[str, Any]:
    """Train on a file and predict it: what came of it."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run, predictions = f"{folder}/run", f"{folder}/predictions.csv"
        target = last_column(path) or ""
        options = ["--target", target, "--run", run, "--epochs", str(epochs), "--hidden", "8"]
        step = "train"
        code, out, err = command("train", str(path), *options, "--batch", "256")
        if code == 0:
            step = "predict"
            code, _, more = command("predict", run, str(path), "-o", predictions)
            err += more
    headline = next((line for line in out.splitlines() if line.startswith("Test")), "")
    return {
        "file": path.name,
        "target": target,
        "passed": code == 0,
        "step": step,
        "fault": "Traceback" in err,
        "message": err.strip(),
        "headline": headline,
        "seconds": round(time.perf_counter() - began, 3),
    }


def _reason(message: str) -> str:
    """The refusal without the file's name, so that equal ones can be counted."""
    lines = [line for line in message.splitlines() if "warning:" not in line] or [""]
    return lines[-1].partition(".csv: ")[2] or lines[-1]


def main() -> None:
    """Run all files, and print the score."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write what came of each file")
    given = parser.parse_args()
    files = sorted(path for path in given.folder.rglob("*.csv") if not path.name.startswith("."))
    if not files:
        sys.exit(f"{given.folder}: there are no CSV files in it")
    with ProcessPoolExecutor(given.processes) as pool:
        found = list(pool.map(try_file, files, [given.epochs] * len(files), chunksize=4))
    passed = [one for one in found if one["passed"]]
    faults = [one for one in found if one["fault"]]
    print(f"{len(passed)} of {len(found)} files ({len(passed) / len(found):.1%}) train and predict")
    print(f"{len(faults)} tracebacks; {sum(one['seconds'] for one in found):.0f} s of work")
    for one in found:
        if not one["passed"]:
            print(f"  {one['file']} ({one['step']}): {_reason(one['message'])}")
    warned = Counter(
        word
        for one in found
        for word in ("not, the first", "no target", "teach nothing", "never showed", "gaps where")
        if word in one["message"]
    )
    print(f"warnings: {dict(warned)}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
