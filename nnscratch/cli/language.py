"""Language models of a person's own text: trained, judged, and continuing a prompt."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnscratch.array import as_device
from nnscratch.array.device import namespace_on
from nnscratch.array.random import Generator, default_generator
from nnscratch.cli import reporting, runs
from nnscratch.cli.ranks import run_folder_of, wait_for_first
from nnscratch.cli.settings import TrainingSettings
from nnscratch.cli.shown import shown
from nnscratch.cli.texts import (
    PreparedText,
    architecture_of,
    default_prompt,
    prepare_text,
    resolve_text,
)
from nnscratch.data import (
    DataLoader,
    TextWindows,
    Tokenizer,
    read_text,
)
from nnscratch.errors import DataError, RunError
from nnscratch.models.generation import generate
from nnscratch.parallel.nccl import own_device
from nnscratch.parallel.world import DEADLINE, world
from nnscratch.train import plots
from nnscratch.train.architectures import Architecture
from nnscratch.train.callbacks import BestWeights, Callback, EarlyStopping
from nnscratch.train.checkpoint import save_model
from nnscratch.train.choices import make_optimizer
from nnscratch.train.cost import worth_compiling
from nnscratch.train.evaluation import evaluating
from nnscratch.train.files import write_json, write_text
from nnscratch.train.interrupt import TrainingInterrupted
from nnscratch.train.language import (
    LanguageFigures,
    foresee,
    next_token_loss,
)
from nnscratch.train.progress import Progress
from nnscratch.train.trainer import Trainer

SAMPLES = "samples.txt"
# How long a sample is, and how many a run has at most.
_SAMPLE, _MOST_SAMPLES = 240, 12


def train_text(
    settings: TrainingSettings,
    *,
    run: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    deadline: float = DEADLINE,
) -> Path:
    """Train, test and save a language model, and return its run folder.

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
        saved = runs.open_run(run).tokenizer if resume and run is not None else None
        data = prepare_text(settings, saved)
        settings = resolve_text(settings, data)
        folder = folder_for(data.name)
        default_generator.manual_seed(settings.seed)
        architecture = architecture_of(settings, data.tokenizer.size)
        if resume:
            _check_same_text(folder, data)

        def write() -> None:
            write_json(folder / runs.PREPROCESSING, data.tokenizer.to_dict())
            runs.write_config(folder, settings, architecture, data=data.sizes())

        _introduce(console, data, settings, architecture, folder)
        began = time.perf_counter()
        begins = runs.BeginsRun(folder, not resume, write)
        trainer = _fit(architecture, data, settings, folder, resume, begins, quiet, deadline)
        seconds = time.perf_counter() - began
        if not here.leads:
            wait_for_first(here)
            return folder
        report = _finish(trainer, data, settings, folder, architecture)
        wait_for_first(here)
    _say_goodbye(report, folder, seconds, data)
    return folder


def _check_same_text(folder: Path, data: PreparedText) -> None:
    before = runs.open_run(folder).config.get("data")
    if isinstance(before, dict) and before.get("fingerprint") != data.fingerprint:
        raise RunError(
            f"{folder}: the text of this run, {data.path}, has changed since it began, and what "
            "was held out could be trained on; bring the file back, or train anew in another folder"
        )


def _introduce(
    console: Any,
    data: PreparedText,
    settings: TrainingSettings,
    architecture: Architecture,
    folder: Path,
) -> None:
    from rich.markup import escape

    sizes, unit = data.sizes(), data.tokenizer.unit
    console.print(
        f"[bold]{escape(shown(data.name))}[/]: {sizes['train']:,} {unit}s to train on, "
        f"{sizes['validation']:,} to validate, {sizes['test']:,} held out for the test"
    )
    for note in data.notes:
        console.print(f"  {escape(shown(note, 300))}", style="dim")
    console.print(f"[bold]vocabulary[/]: {data.tokenizer.size:,} {unit}s")
    console.print(
        f"[bold]model[/]: {architecture.summary}, {architecture.parameters:,} parameters; "
        f"{settings.optimizer}, lr {settings.lr:g}, {settings.schedule}, {settings.epochs} epochs"
    )
    console.print(f"[bold]run folder[/]: {escape(shown(folder))}\n")


class _ShiftedWindows(Callback):
    """Lets the windows of every epoch begin elsewhere; the epoch's number says where."""

    def __init__(self, windows: TextWindows, seed: int) -> None:
        self.windows, self.seed = windows, seed

    def on_epoch_start(self, trainer: Trainer) -> None:
        generator = Generator(self.seed + trainer.epoch)
        self.windows.shift(int(generator.randint(0, self.windows.spare + 1, (1,))[0]))


class _Units(Callback):
    """Adds bits a character, or the perplexity, to each line of the history."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        loss = row.get("val_loss", row["train_loss"])
        figures = LanguageFigures(loss, 0.0, 0)
        if self.unit == "character":
            row["bits"] = figures.bits
        else:
            row["perplexity"] = figures.perplexity


class _Samples(Callback):
    """Lets the model continue a text now and then, and keeps what it wrote."""

    def __init__(
        self, tokenizer: Tokenizer, path: Path, seed: int, epochs: int, progress: Progress | None
    ) -> None:
        self.tokenizer, self.path, self.seed, self.progress = tokenizer, path, seed, progress
        self.every = -(-epochs // _MOST_SAMPLES)
        self.samples: list[str] = []

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        if trainer.epoch % self.every and trainer.epoch != trainer.epochs:
            return
        model: Any = trainer.model
        prompt = default_prompt(self.tokenizer)
        with evaluating(model):
            tokens = generate(
                model, prompt, _SAMPLE, temperature=0.8, generator=Generator(self.seed)
            )
            text = self.tokenizer.decode(list(tokens)).strip("\n")
        self.samples.append(f"epoch {trainer.epoch}, loss {row['train_loss']:.4f}\n\n{text}\n")
        if not trainer.leads:
            return
        write_text(self.path, "\n".join(self.samples))
        if self.progress is not None:
            lines = shown(text).split("\n")
            self.progress.say("\n".join(["", *(f"    {line}" for line in lines), ""]))

    def state_dict(self) -> dict[str, Any]:
        return {"samples": self.samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.samples = [str(one) for one in state["samples"]]


def _callbacks(
    windows: TextWindows, data: PreparedText, settings: TrainingSettings, folder: Path, quiet: bool
) -> list[Callback]:
    assert settings.epochs is not None
    made: list[Callback] = [
        _ShiftedWindows(windows, settings.seed),
        _Units(data.tokenizer.unit),
    ]
    if data.validation is not None:
        made.append(EarlyStopping(settings.patience) if settings.patience else BestWeights())
    progress = None if quiet else Progress()
    made += [] if progress is None else [progress]
    path = folder / SAMPLES
    return [*made, _Samples(data.tokenizer, path, settings.seed, settings.epochs, progress)]


def _batch(batch: Any) -> tuple[Any, Any]:
    inputs, targets = batch
    return inputs.long(), targets.long()


def _fit(
    architecture: Architecture,
    data: PreparedText,
    settings: TrainingSettings,
    folder: Path,
    resume: bool,
    begins: Callback,
    quiet: bool,
    deadline: float,
) -> Trainer:
    assert settings.epochs is not None
    assert settings.batch is not None
    model = architecture.build().to(device=own_device(world(), settings.device))
    spare = min(settings.block - 1, len(data.train) - settings.block - 1)
    windows = TextWindows(data.train, settings.block, spare)
    options = {"weight_decay": settings.weight_decay} if settings.weight_decay else {}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
    loader = DataLoader(windows, settings.batch, shuffle=True, seed=settings.seed)
    # Every token of a window takes part in every product.
    samples = len(windows) * settings.block
    worth = worth_compiling(model, len(loader), samples, settings.epochs)
    trainer = Trainer(
        model,
        step=next_token_loss,
        batch=_batch,
        optimizer=make_optimizer(settings.optimizer, model, settings.lr, **options),
        scheduler=settings.schedule,
        callbacks=[begins, *_callbacks(windows, data, settings, folder, quiet)],
        accumulate=settings.accumulate,
        clip_norm=settings.clip_norm,
        run_dir=folder,
        lock=False,
        compile=worth if settings.compile is None else settings.compile,
        config=settings.to_dict(),
        shards=settings.shards,
        shard_optimizer=settings.shard_optimizer,
        wire=settings.wire,
        deadline=deadline,
    )
    trainer.seed = settings.seed
    judged = None
    if data.validation is not None:
        judged = DataLoader(TextWindows(data.validation, settings.block), 2 * settings.batch)
    try:
        trainer.fit(loader, settings.epochs, validation=judged, resume=resume)
    except TrainingInterrupted as error:
        where = str(error).partition(";")[0]
        again = f"nnscratch train --resume --run {shlex.quote(str(folder))}"
        raise TrainingInterrupted(
            f"{where}; go on with: {again}", error.signal, error.checkpoint
        ) from None
    return trainer


def _finish(
    trainer: Trainer,
    data: PreparedText,
    settings: TrainingSettings,
    folder: Path,
    architecture: Architecture,
) -> dict[str, Any]:
    """Test the model, and write the files of the run folder."""
    model = trainer.model
    save_model(folder / runs.MODEL, model, runs.config_of(settings, architecture))
    report = report_on(foresee(model, data.test, settings.block), data.tokenizer)
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
    return report


def report_on(figures: LanguageFigures, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the figures of a language model on a text, in JSON's types."""
    return {
        "task": "language",
        "unit": tokenizer.unit,
        "samples": figures.tokens,
        "loss": figures.loss,
        "bits": figures.bits,
        "perplexity": figures.perplexity,
        "accuracy": figures.accuracy,
    }


def _say_goodbye(report: dict[str, Any], folder: Path, seconds: float, data: PreparedText) -> None:
    stopped = f" ({report['stopped']})" if report["stopped"] else ""
    print(shown(f"Test {reporting.headline(report)}, trained in {seconds:.1f} s{stopped}"))
    written = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    print(shown(f"Written to {folder}: {', '.join(written)}"))
    if not plots.can_draw():
        print(f"Without pictures: {plots.NEED}")
    print("Let the model continue a text:")
    prompt = shlex.quote(_beginning(data))
    print(shown(f"  nnscratch generate {shlex.quote(str(folder))} --prompt {prompt}"))


def _beginning(data: PreparedText) -> str:
    """Return the first word of the text, or a few characters: what its vocabulary surely has."""
    text = data.tokenizer.decode([int(one) for one in data.train[:50]])
    return (text.split() or [text])[0][:12]


def evaluate_text(found: runs.RunFolder, data: str, device: str | None) -> dict[str, Any]:
    """Return the report of a run's language model on a text.

    Raises:
        DataError: if the text cannot be read, or has characters that the model does not know.
    """
    tokenizer = found.tokenizer
    file = read_text(data)
    tokens = tokenizer.encode(file.text, file.source)
    if len(tokens) < 2:
        raise DataError(
            f"{file.source}: expected two {tokenizer.unit}s at least, of which the second is "
            f"foreseen, got {len(tokens)}; name a longer text"
        )
    return report_on(foresee(found.model(device), tokens, found.settings.block), tokenizer)


def generate_text(
    run: str,
    prompt: str,
    length: int,
    *,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    device: str | None,
) -> None:
    """Print a prompt and how the model of a run continues it, each token as soon as it is known.

    Raises:
        NNScratchError: whatever is to be mended.
    """
    namespace_on(as_device(device or "cpu"))
    found = runs.open_run(run)
    tokenizer = found.tokenizer
    tokens = tokenizer.encode(prompt, "--prompt") if prompt else default_prompt(tokenizer)
    model: Any = found.model(device)
    generator = default_generator if seed is None else Generator(seed)
    made = generate(
        model,
        tokens,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        longest=found.settings.block if found.settings.model == "gpt" else None,
        generator=generator,
    )
    print(shown(prompt), end="", flush=True)
    for piece in tokenizer.stream(made):
        print(shown(piece), end="", flush=True)
    print()
