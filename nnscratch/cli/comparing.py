"""``nnscratch runs``: run folders beside one another."""

from __future__ import annotations

import datetime
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnscratch.cli import reporting, runs
from nnscratch.cli.settings import saved_settings
from nnscratch.cli.shown import shown
from nnscratch.data.table_bytes import check_table_name
from nnscratch.errors import CheckpointError, ConfigurationError, RunError
from nnscratch.train.files import read_json
from nnscratch.train.history import History
from nnscratch.train.plots import NEED, can_draw, plot_histories
from nnscratch.train.trainer import CHECKPOINT_FILE

_SCORES = {"accuracy": "accuracy", "r2": "R²", "bits": "bits"}
_ORDERS = ("name", "loss", "score", "time")
_MOST_CURVES = 12
_MOST_SHOWN, _MOST_SETTINGS = 100, 6
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
    check_table_name(output)
    if output.lower().endswith(".png") and not can_draw():
        raise ConfigurationError(f"{output}: {NEED}")


def _found(folders: tuple[str, ...]) -> tuple[list[RunSummary], list[str]]:
    """Return the runs, and what is wrong with those that cannot be read."""
    given = [Path(one) for one in folders or ("runs",)]
    places: list[Path] = []
    problems: list[str] = []
    for place in given:
        if runs.is_run(place):
            places.append(place)
            continue
        if (problem := _damage(place)) is not None:
            problems.append(problem)
            continue
        if not place.is_dir():
            hint = "" if folders else "; trainings write there, or name a folder"
            raise RunError(f"{place}: there is no such folder{hint}")
        try:
            inside = sorted(place.iterdir())
        except OSError as error:
            raise RunError(f"{place}: cannot be read ({error.strerror})") from None
        for one in inside:
            if runs.is_run(one):
                places.append(one)
            elif (problem := _damage(one)) is not None:
                problems.append(problem)
    if not places and not problems:
        raise RunError(f"{', '.join(map(str, given))}: there are no run folders")
    made = []
    for place in dict.fromkeys(places):
        try:
            made.append(summary_of(place))
        except CheckpointError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{place}: cannot be read ({error.strerror})")
    if not made:
        raise RunError("; ".join(problems))
    return made, problems


def _damage(folder: Path) -> str | None:
    """Return what is wrong with the configuration in a folder; None if it has none, or another's.

    Folders of other programs may have a config.json too; one that is no JSON was cut off.
    """
    if not os.path.isfile(folder / runs.CONFIG):
        return None
    try:
        read_json(folder / runs.CONFIG)
    except CheckpointError as error:
        return str(error)
    return None


def summary_of(folder: Path) -> RunSummary:
    """Return what is shown of a run folder.

    Raises:
        CheckpointError: if it is damaged.
    """
    where = str(folder / runs.CONFIG)
    config = read_json(folder / runs.CONFIG)
    if config.get("version") != runs.VERSION:
        raise CheckpointError(f"{where}: it was written by another version of nnscratch")
    changed = max(one.lstat().st_mtime for one in folder.iterdir())
    settings = {}
    if isinstance(config.get("settings"), dict):
        settings = saved_settings(config["settings"], where).to_dict()
    data = config.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str):
        name = settings.get("data", "")
    if not (folder / runs.REPORT).is_file():
        going = (folder / CHECKPOINT_FILE).exists()
        state = "not finished" if going else "begun"
        return RunSummary(folder, name, settings, "", None, None, None, None, changed, state)
    report = read_json(folder / runs.REPORT)
    if not isinstance(report, dict):
        raise CheckpointError(f"{folder / runs.REPORT}: this is no report")
    score = next(
        ((key, found) for key in _SCORES if (found := _number(report.get(key))) is not None), None
    )
    loss, epochs, seconds = (
        _number(report.get(key)) for key in ("loss", "epochs", "training_seconds")
    )
    epochs = None if epochs is None else int(epochs)
    task = str(report.get("task", ""))
    return RunSummary(folder, name, settings, task, score, loss, epochs, seconds, changed, "")


def _number(value: Any) -> float | None:
    """Return a finite number of a report; None for all else that may stand in a file."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _when(seconds: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "-"  # no year that a calendar has


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
    known = [one.settings for one in found if one.settings]
    names = dict.fromkeys(name for one in known for name in one)
    return [
        name for name in names if name != "data" and len({repr(one.get(name)) for one in known}) > 1
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
    for column in table.columns[:2]:
        column.overflow = "fold"  # a name is shown in full, in several lines where it is long
    for one in found:
        score = one.state or "-"
        if one.score is not None:
            score = f"{_SCORES[one.score[0]]} {one.score[1]:.4f}"
        figures = (one.loss, one.epochs, one.seconds)
        cells = ["-" if value is None else f"{value:.5g}" for value in figures]
        table.add_row(
            Text(_short(one.folder)), Text(_short(one.data)), Text(score), *cells,
            Text(_when(one.changed)),
        )  # fmt: skip
    console.print(table)
    names = different(found)
    if len(found) < 2 or not names:
        return
    console.print(Text("\nWhat differs in their settings", style="bold"))
    if len(names) > _MOST_SETTINGS:
        # So many columns fit into no terminal.
        for one in found:
            known = {n: v for n in names if (v := one.settings.get(n)) is not None}
            told = [f"{name} {_value(value)}" for name, value in known.items()]
            console.print(Text(f"{_short(one.folder.name)}: {shown(', '.join(told)) or '-'}"))
        return
    table = reporting.grid(("run", *names), left=1)
    table.columns[0].overflow = "fold"
    for one in found:
        values = [one.settings.get(name) for name in names]
        cells = ["-" if value is None else shown(_value(value)) for value in values]
        table.add_row(Text(_short(one.folder.name)), *map(Text, cells))
    console.print(table)


def _short(value: object) -> str:
    """Return a name as it fits into a cell: in one line, and not for ever."""
    text = shown(value, 300).replace("\n", "\\n")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _draw(found: list[RunSummary], output: str) -> None:
    histories: dict[str, History] = {}
    for one in found:
        place = one.folder / runs.HISTORY
        try:
            history = History.read(place) if place.is_file() else History()
        except CheckpointError as error:
            print(shown(f"left out: {error}"))
            continue
        if len(history):
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
