"""``nnscratch train``."""

from __future__ import annotations

import io
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.array import as_device
from nnscratch.array.device import namespace_on
from nnscratch.array.random import default_generator
from nnscratch.cli import reporting, runs
from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.networks import (
    architecture_for,
    network_settings,
    samples_of,
    training_samples,
)
from nnscratch.cli.ranks import run_folder_of, wait_for_first
from nnscratch.cli.settings import TrainingSettings, look_beside, read_toml, task_losses
from nnscratch.cli.shown import shown
from nnscratch.cli.sources import Prepared, prepare
from nnscratch.cli.tables import shortened
from nnscratch.data import NumberTarget
from nnscratch.data.table import is_number
from nnscratch.errors import ConfigurationError, RunError
from nnscratch.nn import Module
from nnscratch.parallel.nccl import own_device
from nnscratch.parallel.world import DEADLINE, world
from nnscratch.train import plots
from nnscratch.train.architectures import Architecture
from nnscratch.train.callbacks import BestWeights, Callback, EarlyStopping
from nnscratch.train.checkpoint import save_model
from nnscratch.train.choices import balanced_weights, make_loss, make_optimizer
from nnscratch.train.evaluation import evaluate, predict
from nnscratch.train.files import write_json, write_text
from nnscratch.train.image_networks import NETWORKS
from nnscratch.train.interrupt import TrainingInterrupted
from nnscratch.train.progress import Progress
from nnscratch.train.trainer import Trainer

_SAMPLES = 10
# A table of more columns is kept as arrays.
_MOST_COLUMNS = 1024


def settings_from(
    config: str | None, options: Mapping[str, Any], run: str | None, resume: bool
) -> TrainingSettings:
    """Return the settings of a run: defaults, then a TOML file or the run to resume, then options.

    Raises:
        ConfigurationError: if they make no sense, or would change a run that is to go on.
        CheckpointError: if the run to resume is damaged.
    """
    if not resume:
        settings = TrainingSettings()
        if config is not None:
            settings = settings.changed(read_toml(config), config)
            if "data" not in options:
                look_beside(config, settings.data)
        return settings.changed(options, "the options")
    if run is None or config is not None:
        raise ConfigurationError("--resume goes with --run FOLDER, and without --config")
    found = runs.open_run(run)
    saved = found.settings
    place = (found.config.get("data") or {}).get("path")
    if isinstance(place, str) and not os.path.exists(saved.data) and os.path.exists(place):
        saved = replace(saved, data=place)  # where it was, seen from another folder
    wanted = saved.changed(options, "the options")
    for name in options:
        if name == "epochs":
            if saved.schedule not in ("constant", "plateau") and wanted.epochs != saved.epochs:
                raise ConfigurationError(
                    f"the schedule {saved.schedule!r} of this run spans {saved.epochs} epochs; "
                    "only a run with schedule 'constant' or 'plateau' can be given more"
                )
        elif getattr(wanted, name) != getattr(saved, name):
            raise ConfigurationError(
                f"--resume goes on with the settings of the run, where {name} is "
                f"{getattr(saved, name)!r}, not {getattr(wanted, name)!r}; leave the option out"
            )
    return wanted


def resolve(settings: TrainingSettings, data: Prepared) -> TrainingSettings:
    """Return the settings with a value, chosen to fit the data, for each that was None.

    Raises:
        ConfigurationError: if the loss does not fit the task.
    """
    task, samples = data.preprocessor.task, len(data.train[0])
    losses = task_losses(task)
    if settings.loss is not None and settings.loss not in losses:
        raise ConfigurationError(
            f"the loss {settings.loss!r} does not fit a {task}; choose from {', '.join(losses)}"
        )
    model = settings.model or data.usual_model
    chosen = network_settings(settings, data) if model in NETWORKS else {"model": model}
    images, many = data.kind == "images", samples >= 10_000
    few = images and not many
    decided: dict[str, Any] = {
        "loss": losses[0],
        "hidden": (256,) if few else (256, 128) if images else (64, 32),
        "dropout": 0.4 if few else 0.2 if images else 0.1,
        "label_smoothing": 0.1 if few and settings.loss in (None, "cross_entropy") else 0.0,
        "lr": {"sgd": 0.1, "adadelta": 1.0}.get(settings.optimizer, 5e-3 if few else 3e-3),
        "weight_decay": 0.05 if settings.optimizer == "adamw" else 0.0,
        "epochs": (20 if many else 40) if images else 100,
        "batch": 128 if many else 64 if images else 32,
        "patience": 0 if images else 25,
        "test": settings.held_out,
    } | chosen
    if model in NETWORKS:
        del decided["hidden"]
    return replace(settings, **{k: v for k, v in decided.items() if getattr(settings, k) is None})


def train(
    settings: TrainingSettings,
    *,
    run: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    deadline: float = DEADLINE,
) -> Path:
    """Train, test and save a model, and return its run folder.

    Raises:
        NNScratchError: whatever is to be mended.
        TrainingInterrupted: on Ctrl-C, after a checkpoint.
    """
    from rich.console import Console

    here = world()
    here.deadline = deadline
    console = Console(quiet=quiet or not here.leads, highlight=False)
    namespace_on(as_device(settings.device))
    with run_folder_of(run, settings, resume=resume, overwrite=overwrite) as folder_for:
        data = prepare(settings)
        settings = resolve(settings, data)
        try:
            architecture = architecture_for(settings, data.preprocessor)
        except ConfigurationError as error:
            raise ConfigurationError(f"{settings.data}: {error}") from None
        folder = folder_for(data.name)
        default_generator.manual_seed(settings.seed)
        model = architecture.build()
        if resume:
            _check_same_data(folder, data)

        def write() -> None:
            write_json(folder / runs.PREPROCESSING, data.preprocessor.to_dict())
            runs.write_config(folder, settings, architecture, data=_sizes(data))

        _introduce(console, data, settings, architecture, folder)
        began = time.perf_counter()
        callbacks = [runs.BeginsRun(folder, not resume, write), *_callbacks(data, settings, quiet)]
        trainer = _fit(model, architecture, data, settings, folder, resume, callbacks, deadline)
        seconds = time.perf_counter() - began
        if not here.leads:
            wait_for_first(here)
            return folder
        report = _finish(trainer, data, settings, folder, architecture)
        wait_for_first(here)
    console.quiet = quiet or not here.leads  # this may be the first rank only since another died
    for item in reporting.renderables(report):
        console.print(item)
    _say_goodbye(report, data, settings, folder, seconds)
    return folder


def _check_same_data(folder: Path, data: Prepared) -> None:
    """Check that the data to resume with is the same, so that test rows are not trained on.

    Raises:
        RunError: if they are not those that the run began with.
    """
    before = runs.open_run(folder).config.get("data")
    if not isinstance(before, dict) or before.get("fingerprint") in (None, data.fingerprint):
        return
    now = _sizes(data)
    counts = [
        f"{now[part]:,} {part} rows instead of {before.get(part):,}"
        for part in ("train", "validation", "test")
        if isinstance(before.get(part), int) and before.get(part) != now[part]
    ]
    raise RunError(
        f"{folder}: the data of this run, {data.path or data.name}, have changed since it began: "
        f"{'; '.join(counts) or 'their values are others'}. Rows that were held out could be "
        "trained on; bring the file back, or train anew in another folder"
    )


def _sizes(data: Prepared) -> dict[str, Any]:
    return {
        "name": data.name,
        "path": data.path,
        "kind": data.kind,
        "train": len(data.train[0]),
        "validation": 0 if data.validation is None else len(data.validation[0]),
        "test": len(data.test[0]),
        "fingerprint": data.fingerprint,
    }


def _introduce(
    console: Any,
    data: Prepared,
    settings: TrainingSettings,
    architecture: Architecture,
    folder: Path,
) -> None:
    from rich.markup import escape

    sizes = _sizes(data)
    console.print(
        f"[bold]{escape(shown(data.name))}[/]: {sizes['train']:,} rows to train on, "
        f"{sizes['validation']:,} to validate, {sizes['test']:,} held out for the test"
    )
    for note in shortened(data.notes):
        console.print(f"  {escape(shown(note, 300))}", style="dim")
    if data.kind == "table":
        console.print(f"[bold]target[/]: {escape(shown(_target_line(data, settings)))}")
    console.print(
        f"[bold]model[/]: {architecture.summary}, {architecture.parameters:,} parameters; "
        f"{settings.loss}, {settings.optimizer}, lr {settings.lr:g}, {settings.schedule}"
    )
    if settings.augment not in (None, ("none",)):
        console.print(f"[bold]augmentation[/]: {', '.join(settings.augment or ())}")
    console.print(f"[bold]run folder[/]: {escape(shown(folder))}\n")


def _target_line(data: Prepared, settings: TrainingSettings) -> str:
    """Return the line that says what is predicted, and which option would change it."""
    target = data.preprocessor.target
    if isinstance(target, NumberTarget):
        return f"{settings.target!r}, a number (regression)"
    numbers = all(is_number(name) for name in target.class_names)
    hint = "; --task regression predicts a number" if numbers and settings.task is None else ""
    return f"{settings.target!r}, one of {target.outputs} classes{hint}"


def _callbacks(data: Prepared, settings: TrainingSettings, quiet: bool) -> list[Callback]:
    made: list[Callback] = []
    if data.validation is not None:
        made.append(EarlyStopping(settings.patience) if settings.patience else BestWeights())
    return made if quiet else [*made, Progress()]


def _fit(
    model: Module,
    architecture: Architecture,
    data: Prepared,
    settings: TrainingSettings,
    folder: Path,
    resume: bool,
    callbacks: list[Callback],
    deadline: float,
) -> Trainer:
    device = own_device(world(), settings.device)
    model.to(device=device)
    weights = None
    if settings.class_weight is not None:
        if data.preprocessor.task != "classification":
            raise ConfigurationError("class_weight is for classifications, this is a regression")
        weights = balanced_weights(data.train[1], data.preprocessor.target.outputs)
    loss = make_loss(settings.loss, data.train[1].dtype, weights, settings.label_smoothing or 0.0)
    options = {"weight_decay": settings.weight_decay} if settings.weight_decay else {}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
    regression = data.preprocessor.task == "regression"
    trainer = Trainer(
        model,
        loss=loss.to(device=device) if isinstance(loss, Module) else loss,
        optimizer=make_optimizer(settings.optimizer, model, settings.lr, **options),
        scheduler=settings.schedule,
        metrics=["r2", "mae"] if regression else [],
        callbacks=callbacks,
        accumulate=settings.accumulate,
        clip_norm=settings.clip_norm,
        run_dir=folder,
        lock=False,
        compile=settings.compile,
        config=settings.to_dict(),
        shards=settings.shards,
        shard_optimizer=settings.shard_optimizer,
        wire=settings.wire,
        deadline=deadline,
    )
    trainer.seed = settings.seed
    assert settings.epochs is not None
    assert settings.batch is not None
    checked = None
    if data.validation is not None:
        checked = samples_of(data.validation, data.preprocessor, architecture)
    try:
        trainer.fit(
            training_samples(data, settings, architecture),
            settings.epochs,
            validation=checked,
            batch_size=settings.batch,
            resume=resume,
        )
    except TrainingInterrupted as error:
        where = str(error).partition(";")[0]
        again = f"nnscratch train --resume --run {shlex.quote(str(folder))}"
        raise TrainingInterrupted(
            f"{where}; go on with: {again}", error.signal, error.checkpoint
        ) from None
    return trainer


def _finish(
    trainer: Trainer,
    data: Prepared,
    settings: TrainingSettings,
    folder: Path,
    architecture: Architecture,
) -> dict[str, Any]:
    """Test the model, and write the files of the run folder."""
    model, pre = trainer.model, data.preprocessor
    save_model(folder / runs.MODEL, model, runs.config_of(settings, architecture))
    test = samples_of(data.test, pre, architecture)
    outputs = predict(model, test)
    # Without class weights and label smoothing, which are of the training alone: what `nnscratch
    # evaluate` gives for these rows.
    plain = make_loss(settings.loss, data.test[1].dtype)
    loss = evaluate(model, test, loss=plain)["loss"]
    report = reporting.report_on(outputs, data.test[1], pre, loss)
    best = next((c for c in trainer.callbacks if isinstance(c, BestWeights)), None)
    report |= {
        "epochs": trainer.epoch,
        "best_epoch": None if best is None else best.best_epoch,
        "training_seconds": round(sum(row["seconds"] for row in trainer.history), 3),
        "stopped": trainer.stop,
    }
    write_json(folder / runs.REPORT, report)
    write_text(folder / runs.REPORT_TEXT, reporting.as_text(report))
    trainer.history.write_json(folder / runs.HISTORY)
    if plots.can_draw():
        best_epoch = report["best_epoch"]
        plots.plot_curves(trainer.history, folder / "curves.png", best_epoch=best_epoch)
    _draw(outputs, data, report, folder)
    parts = {"train": data.learned, "validation": data.judged, "test": data.rows}
    split = {"part": [name for name, rows in parts.items() for _ in range(len(rows))]}
    split["row"] = [row for rows in parts.values() for row in rows.tolist()]
    if data.files:
        split = {
            "part": [part for part, files in data.files.items() for _ in files],
            "file": [file for files in data.files.values() for file in files],
        }
    reporting.write_columns(split, folder / runs.SPLIT)
    return report


def _draw(outputs: Any, data: Prepared, report: dict[str, Any], folder: Path) -> None:
    """Draw what was predicted, and list the worst mistakes and a sample of the data."""
    pre, targets = data.preprocessor, data.test[1]
    chosen = reporting.worst_mistakes(outputs, targets, pre.task)
    names = [row["class"] for row in report.get("classes", ())]
    if not plots.can_draw():
        pass
    elif pre.task == "regression":
        true, predicted = (pre.target.inverse_transform(v).ravel() for v in (targets, outputs))
        plots.plot_regression(true, predicted, report["target"], folder / "predictions.png")
    else:
        confusion = np.asarray(report["confusion"])
        plots.plot_confusion(confusion, names, folder / "confusion.png")
    if isinstance(pre, ImagePreprocessor):
        _draw_images(outputs, data, pre, names, folder)
    elif data.table is not None:
        columns = {"row": data.rows[chosen].tolist()}
        rows = data.table.take(chosen)
        columns |= reporting.prediction_columns(outputs[chosen], pre, with_probabilities=False)
        # A column of the data may have the name of one of these.
        columns |= {
            f"{name} (data)" if name in columns else name: rows.column(name).tolist()
            for name in rows.names
        }
        reporting.write_columns(columns, folder / "mistakes.csv")
        sample_rows = data.table.take(range(min(_SAMPLES, len(data.table))))
        listed = {name: sample_rows.column(name).tolist() for name in sample_rows.names}
        reporting.write_columns(listed, folder / runs.SAMPLE)


def _draw_images(
    outputs: Any, data: Prepared, pre: ImagePreprocessor, names: list[str], folder: Path
) -> None:
    """Draw the worst mistakes, list those of image files, and keep a few images as a sample."""
    images, targets = data.test
    chosen = reporting.worst_mistakes(outputs, targets, pre.task)
    captions = reporting.mistake_captions(outputs, targets, chosen, names)
    if plots.can_draw():
        visible = [pre.visible(images[i]) for i in chosen]
        # Figures on black are drawn as ink on paper, photographs as they are.
        plots.plot_mistakes(visible, captions, folder / "mistakes.png", ink=not data.files)
    if data.files:
        columns = {
            "file": [data.files["test"][i] for i in chosen],
            "class": [names[int(targets[i])] for i in chosen],
        }
        columns |= reporting.prediction_columns(outputs[chosen], pre, with_probabilities=False)
        reporting.write_columns(columns, folder / "mistakes.csv")
        return
    sample = images[:_SAMPLES], targets[:_SAMPLES]
    if pre.channels == 1 and pre.features_count <= _MOST_COLUMNS:
        reporting.write_columns(reporting.sample_columns(pre, *sample), folder / runs.SAMPLE)
        return
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=sample[0], labels=pre.target.inverse_transform(sample[1]))
    reporting.write_buffer(buffer, folder / runs.SAMPLE_IMAGES)


def _say_goodbye(
    report: dict[str, Any], data: Prepared, settings: TrainingSettings, folder: Path, seconds: float
) -> None:
    stopped = f" ({report['stopped']})" if report["stopped"] else ""
    print(shown(f"Test {reporting.headline(report)}, trained in {seconds:.1f} s{stopped}"))
    written = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    print(shown(f"Written to {folder}: {', '.join(written)}"))
    if not plots.can_draw():
        print(f"Without pictures: {plots.NEED}")
    print("Use the model on data like these:")
    where = shlex.quote(str(folder))
    print(shown(f"  nnscratch predict {where} {shlex.quote(_example(data, folder))}"))


def _example(data: Prepared, folder: Path) -> str:
    """Return the path of something to predict."""
    if data.files:
        return data.files["test"][0]
    made = folder / runs.SAMPLE
    return str(made if made.exists() else folder / runs.SAMPLE_IMAGES)
