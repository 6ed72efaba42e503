"""``nnscratch predict`` and ``nnscratch evaluate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnscratch.array import as_device
from nnscratch.array.device import namespace_on
from nnscratch.cli import reporting, runs
from nnscratch.cli.inputs import inputs_from
from nnscratch.cli.language import evaluate_text
from nnscratch.cli.networks import samples_of
from nnscratch.cli.shown import shown
from nnscratch.data import Tokenizer
from nnscratch.data.table_bytes import check_table_name
from nnscratch.errors import ConfigurationError
from nnscratch.train.choices import make_loss
from nnscratch.train.evaluation import evaluate, predict
from nnscratch.train.files import write_json

_MOST_ROWS = 20
_TABLES = (".csv", ".parquet", ".pq")


def _check_output(output: str | None, endings: tuple[str, ...], source: str, run: str) -> None:
    """Check the path of the output before the work begins.

    Raises:
        ConfigurationError: if it has another ending, its folder does not exist, it is the input
            or a file of the run, or what writes such a file is not installed.
    """
    if output is None:
        return
    if not output.lower().endswith(endings):
        raise ConfigurationError(f"{output}: the output must end in {' or '.join(endings)}")
    if not Path(output).absolute().parent.is_dir():
        raise ConfigurationError(f"{output}: there is no such folder to write into")
    if os.path.exists(output) and os.path.exists(source) and os.path.samefile(output, source):
        raise ConfigurationError(
            f"{output}: the output would replace the input; name another file with -o"
        )
    if Path(output).name in runs.MADE and Path(output).resolve().parent == Path(run).resolve():
        raise ConfigurationError(
            f"{output}: the output would replace a file of the run; name another"
        )
    check_table_name(output)


def predict_file(
    run: str, source: str, output: str | None, with_probabilities: bool, device: str | None
) -> None:
    """Predict the rows or images of a file, and print the predictions or write them.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    _check_output(output, _TABLES, source, run)
    namespace_on(as_device(device or "cpu"))
    found = runs.open_run(run)
    if isinstance(found.preprocessor, Tokenizer):
        raise ConfigurationError(
            f"{run}: the model of this run continues texts; use `nnscratch generate {run} --prompt "
            "TEXT`, or `nnscratch evaluate` for how well it foresees one"
        )
    inputs = inputs_from(source, found.preprocessor, found.settings, labelled=False)
    samples = samples_of((inputs.features, None), found.preprocessor, found.architecture)
    outputs = predict(found.model(device), samples)
    columns = {"file": list(inputs.files)} if inputs.files else {}
    columns |= reporting.prediction_columns(
        outputs, found.preprocessor, with_probabilities=with_probabilities
    )
    if output is not None:
        reporting.write_columns(columns, output)
        print(f"{len(outputs):,} predictions written to {output}")
        return
    _print(columns, len(outputs))


def _print(columns: dict[str, list[Any]], count: int) -> None:
    from rich.console import Console
    from rich.text import Text

    table = reporting.grid(("row", *columns))
    for row in range(min(count, _MOST_ROWS)):
        cells = [values[row] for values in columns.values()]
        table.add_row(
            str(row + 1), *[Text(f"{c:.4g}" if isinstance(c, float) else shown(c)) for c in cells]
        )
    Console(highlight=False).print(table)
    if count > _MOST_ROWS:
        print(f"and {count - _MOST_ROWS:,} more; `-o FILE.csv` writes them all")


def evaluate_file(run: str, data: str, output: str | None, device: str | None) -> None:
    """Test a saved model, and print the report.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    from rich.console import Console

    _check_output(output, (".json",), data, run)
    namespace_on(as_device(device or "cpu"))
    found = runs.open_run(run)
    if isinstance(found.preprocessor, Tokenizer):
        report = evaluate_text(found, data, device)
    else:
        report = _evaluated(found, data, device)
    console = Console(highlight=False)
    for item in reporting.renderables(report):
        console.print(item)
    if output is not None:
        write_json(output, report)
        print(f"Written to {output}")


def _evaluated(found: runs.RunFolder, data: str, device: str | None) -> dict[str, Any]:
    pre = found.preprocessor
    assert not isinstance(pre, Tokenizer)
    inputs = inputs_from(data, pre, found.settings, labelled=True)
    assert inputs.targets is not None
    model = found.model(device)
    loss = make_loss(found.settings.loss, inputs.targets.dtype)
    samples = samples_of((inputs.features, inputs.targets), pre, found.architecture)
    judged = evaluate(model, samples, loss=loss)["loss"]
    outputs = predict(model, samples)
    return reporting.report_on(outputs, inputs.targets, pre, judged)
