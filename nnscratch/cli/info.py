"""``nnscratch info``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnscratch.cli import reporting, runs
from nnscratch.cli.shown import shown
from nnscratch.data import Tokenizer
from nnscratch.errors import CheckpointError
from nnscratch.train.checkpoint import CHECKPOINT, record_of
from nnscratch.train.files import read_json
from nnscratch.train.tensor_file import TensorFile

_MOST_TENSORS = 200


def info(path: str | None) -> None:
    """Describe a run folder, a safetensors file, or the package.

    Raises:
        CheckpointError: if it is neither, or damaged.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if path is None:
        _package(console)
    elif Path(path).is_dir():
        _run(console, path)
    else:
        _file(console, path)


def pairs(console: Any, title: str, rows: Mapping[str, Any]) -> None:
    """Print a title, then one line with a name and a value for each entry."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", min_width=16)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in (None, "", [], ()):
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            # As Text, because rich would read words in brackets as markup.
            table.add_row(Text(shown(name)), Text(shown(text)))
    console.print(Text(shown(title), style="bold underline"))
    console.print(table)
    console.print()


def _package(console: Any) -> None:
    from nnscratch import __version__
    from nnscratch.formulas import FORMULAS, registry
    from nnscratch.train.choices import LOSSES, OPTIMIZERS, SCHEDULES
    from nnscratch.train.mlp import ACTIVATIONS

    kernels = [name for name in FORMULAS if registry.implementations(name)]
    pairs(
        console,
        f"nnscratch {__version__}",
        {
            "formulas": f"{len(FORMULAS)}, of which {len(kernels)} have faster kernels",
            "activations": list(ACTIVATIONS),
            "losses": list(LOSSES),
            "optimizers": list(OPTIMIZERS),
            "schedules": list(SCHEDULES),
        },
    )


def _tensors(console: Any, file: TensorFile) -> None:
    from rich.text import Text

    table = reporting.grid(("array", "shape", "dtype", "values"), left=3)
    for name, entry in list(file.entries.items())[:_MOST_TENSORS]:
        shape = " x ".join(map(str, entry.shape)) or "one number"
        table.add_row(Text(shown(name, 200)), shape, entry.dtype, f"{math.prod(entry.shape):,}")
    table.add_section()
    total = sum(math.prod(entry.shape) for entry in file.entries.values())
    size = sum(entry.stop - entry.start for entry in file.entries.values())
    table.add_row("in all", "", f"{size:,} bytes", f"{total:,}")
    console.print(table)
    console.print()


def _file(console: Any, path: str) -> None:
    with TensorFile(path) as file:
        _tensors(console, file)
        if "nnscratch" not in file.metadata:
            pairs(console, "metadata", {k: v[:200] for k, v in file.metadata.items()})
            return
        record = record_of(file)
        rows = {"form": record["form"]}
        if record["form"] == CHECKPOINT:
            loader = record.get("loader")
            batch = loader.get("batch") if isinstance(loader, dict) else None
            rows |= {"epochs done": record.get("epoch"), "batches of the next": batch}
        pairs(console, "record", rows)
        print(shown(record.get("model", "")))


def _run(console: Any, path: str) -> None:
    run = runs.open_run(path)
    config, architecture = run.config, run.architecture
    data = config.get("data")
    sizes = data if isinstance(data, dict) else {}
    pre = run.preprocessor
    task, unit = ("language", f"{pre.unit}s") if isinstance(pre, Tokenizer) else (pre.task, "rows")
    finished = (run.folder / runs.MODEL).exists()
    pairs(
        console,
        f"{run.folder}: {'trained' if finished else 'training is not finished'}",
        {
            "made by": f"nnscratch {config.get('nnscratch')}",
            "data": f"{sizes.get('name')}: {sizes.get('train')} training, "
            f"{sizes.get('validation')} validation, {sizes.get('test')} test {unit}",
            "task": task,
            "model": architecture.summary,
            "parameters": f"{architecture.parameters:,}",
        },
    )
    settings = {k: v for k, v in run.settings.to_dict().items() if k not in ("data", "hidden")}
    pairs(console, "settings", settings)
    if not finished:
        return
    with TensorFile(run.folder / runs.MODEL) as file:
        _tensors(console, file)
    if (run.folder / runs.REPORT).exists():
        report = read_json(run.folder / runs.REPORT)
        try:
            for item in reporting.renderables(report)[:2]:
                console.print(item)
            took = f"{report['epochs']} epochs in {report['training_seconds']} s"
            print(shown(f"{took}, best epoch {report['best_epoch']}"))
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise CheckpointError(f"{run.folder / runs.REPORT}: damaged ({error!r})") from None
