"""``nnscratch runs``: run folders beside one another."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnscratch.cli import reporting, runs
from nnscratch.cli.settings import saved_settings
from nnscratch.cli.shown import shown
from nnscratch.errors import CheckpointError, ConfigurationError, RunError
from nnscratch.train.files import read_json
from nnscratch.train.history import History
from nnscratch.train.plots import plot_histories
from nnscratch.train.trainer import CHECKPOINT_FILE

_SCORES = {"accuracy": "accuracy", "r2": "R²", "bits": "bits"}
_ORDERS = ("name", "loss", "score", "time")
_MOST_CURVES = 12
_OUTPUTS = (".png", ".csv", ".parquet", ".pq")


@dataclass(frozen=True)
class RunSummary:
    """What is shown of a run folder.

    Args:
        folder: the folder.
        data: what the data are called.
        settings: those of the training, in JSON's types.
        task: classification, regression or language; empty while it is not finished.
        score: the accuracy, R² or bits a token of the test, None while there is none.
        loss: of the test.
        epochs: how many were done.
        seconds: how long they took.
        changed: when the last file was written, in seconds since 1970.
        state: empty, or what is to be said of it.
    """

    folder: Path
    data: str
    settings: dict[str, Any]
    task: str
    score: tuple[str, float] | None
    loss: float | None
    epochs: int | None
    seconds: float | None
    changed: float
    state: str


def compare_runs(
    folders: tuple[str, ...], order: str, output: str | None, most: int | None
) -> None:
    """Print a table of run folders and what differs in their settings, and draw their curves.

    Args:
        folders: run folders, or folders of them; none for ``runs``.
        order: by which they are sorted.
        output: an image of their curves, .png, or the table, .csv or .parquet.
        most: how many are shown.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    if order not in _ORDERS:
        raise ConfigurationError(
            f"runs are sorted by {', '.join(_ORDERS)}, there is no order {order!r}"
        )
    if output is not None and not output.lower().endswith(_OUTPUTS):
        raise ConfigurationError(f"{output}: the output must end in {', '.join(_OUTPUTS)}")
    found, problems = _found(folders)
    found.sort(key=_key(order))
    found = found[:most]
    if output is not None:
        _check_output(output, found)
    for problem in problems:
        print(shown(f"left out: {problem}"))
    _print(found)
    if output is None:
        return
    if output.lower().endswith(".png"):
        _draw(found, output)
    else:
        reporting.write_columns(_columns(found), output)
    print(shown(f"Written to {output}"))


def _check_output(output: str, found: list[RunSummary]) -> None:
    place = Path(output)
    if not place.absolute().parent.is_dir():
        raise ConfigurationError(f"{output}: there is no such folder to write into")
    inside = {one.folder.resolve() for one in found}
    if place.name in runs.MADE and place.absolute().parent.resolve() in inside:
        raise ConfigurationError(f"{output}: that would replace a file of a run; name another")


def _found(folders: tuple[str, ...]) -> tuple[list[RunSummary], list[str]]:
    """Return the runs, and what is wrong with those that cannot be read."""
    given = [Path(one) for one in folders or ("runs",)]
    places: list[Path] = []
    for place in given:
        if runs.is_run(place):
            places.append(place)
            continue
        if not place.is_dir():
            hint = "" if folders else "; trainings write there, or name a folder"
            raise RunError(f"{place}: there is no such folder{hint}")
        places += sorted(one for one in place.iterdir() if runs.is_run(one))
    if not places:
        raise RunError(f"{', '.join(map(str, given))}: there are no run folders")
    made, problems = [], []
    for place in dict.fromkeys(places):
        try:
            made.append(summary_of(place))
        except CheckpointError as error:
            problems.append(str(error))
    if not made:
        raise RunError("; ".join(problems))
    return made, problems


def summary_of(folder: Path) -> RunSummary:
    """Return what is shown of a run folder.

    Raises:
        CheckpointError: if it is damaged.
    """
    where = str(folder / runs.CONFIG)
    config = read_json(folder / runs.CONFIG)
    changed = max(one.stat().st_mtime for one in folder.iterdir())
    settings = {}
    if isinstance(config.get("settings"), dict):
        settings = saved_settings(config["settings"], where).to_dict()
    data = config.get("data")
    name = str(data.get("name")) if isinstance(data, dict) else settings.get("data", "")
    if not (folder / runs.REPORT).is_file():
        going = (folder / CHECKPOINT_FILE).exists()
        state = "not finished" if going else "begun"
        return RunSummary(folder, name, settings, "", None, None, None, None, changed, state)
    report = read_json(folder / runs.REPORT)
    if not isinstance(report, dict):
        raise CheckpointError(f"{folder / runs.REPORT}: this is no report")
    score = next(
        ((key, float(report[key])) for key in _SCORES if isinstance(report.get(key), (int, float))),
        None,
    )
    loss, epochs, seconds = (
        report.get(key) if isinstance(report.get(key), (int, float)) else None
        for key in ("loss", "epochs", "training_seconds")
    )
    task = str(report.get("task", ""))
    return RunSummary(folder, name, settings, task, score, loss, epochs, seconds, changed, "")


def _key(order: str) -> Any:
    def key(one: RunSummary) -> Any:
        if order == "name":
            return str(one.folder)
        if order == "time":
            return -one.changed
        if order == "loss":
            return (one.loss is None, one.loss or 0.0)
        # Of bits fewer are better.
        better = None if one.score is None else one.score[1] * (1 if one.score[0] == "bits" else -1)
        return (better is None, better or 0.0)

    return key


def _columns(found: list[RunSummary]) -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = {
        "run": [str(one.folder) for one in found],
        "data": [one.data for one in found],
        "task": [one.task for one in found],
        "score": [None if one.score is None else one.score[1] for one in found],
        "loss": [one.loss for one in found],
        "epochs": [one.epochs for one in found],
        "seconds": [one.seconds for one in found],
        "state": [one.state for one in found],
    }
    for name in different(found):
        values = [one.settings.get(name) for one in found]
        key = name if name not in made else f"{name} (setting)"
        made[key] = ["" if value is None else _value(value) for value in values]
    return made


def different(found: list[RunSummary]) -> list[str]:
    """Return the settings that are not the same in all runs, but for the data's path."""
    names = dict.fromkeys(name for one in found for name in one.settings)
    return [
        name
        for name in names
        if name != "data" and len({repr(one.settings.get(name)) for one in found}) > 1
    ]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print(found: list[RunSummary]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    table = reporting.grid(("run", "data", "score", "loss", "epochs", "seconds", "changed"), left=2)
    for one in found:
        score = one.state or "-"
        if one.score is not None:
            score = f"{_SCORES[one.score[0]]} {one.score[1]:.4f}"
        when = datetime.datetime.fromtimestamp(one.changed).strftime("%Y-%m-%d %H:%M")
        figures = (one.loss, one.epochs, one.seconds)
        cells = ["-" if value is None else f"{value:.5g}" for value in figures]
        table.add_row(
            Text(shown(str(one.folder))), Text(shown(one.data)), Text(score), *cells, Text(when)
        )
    console.print(table)
    names = different(found)
    if len(found) < 2 or not names:
        return
    console.print(Text("\nWhat differs in their settings", style="bold"))
    table = reporting.grid(("run", *names), left=1)
    for one in found:
        values = [one.settings.get(name) for name in names]
        cells = ["-" if value is None else shown(_value(value)) for value in values]
        table.add_row(Text(shown(one.folder.name)), *map(Text, cells))
    console.print(table)


def _draw(found: list[RunSummary], output: str) -> None:
    histories: dict[str, History] = {}
    for one in found:
        place = one.folder / runs.HISTORY
        if place.is_file() and len(history := History.read(place)):
            name = one.folder.name if one.folder.name not in histories else os.fspath(one.folder)
            histories[name] = history
    if not histories:
        raise RunError("none of these runs has a history to draw: no epoch was finished")
    if len(histories) > _MOST_CURVES:
        raise ConfigurationError(
            f"{len(histories)} curves cannot be told apart; name {_MOST_CURVES} runs at most, or "
            f"--most {_MOST_CURVES}"
        )
    plot_histories(histories, output)
