"""The commands and their options."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import click

from nnscratch.cli.completing import files, one_of, run_folders
from nnscratch.cli.settings import AUGMENTATIONS, MODELS
from nnscratch.errors import ConfigurationError
from nnscratch.train.choices import LOSSES, OPTIMIZERS, SCHEDULES
from nnscratch.train.image_networks import NETWORKS
from nnscratch.train.mlp import ACTIVATIONS

_SETTINGS: dict[str, Any] = {
    "max_content_width": 100,
    "help_option_names": ["-h", "--help"],
}


def _sizes(context: Any, parameter: Any, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    text = value.replace(" ", "").strip(",")
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigurationError(f"--hidden takes sizes such as 128,64, got {value!r}") from None


def _size(context: Any, parameter: Any, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    sides = value.lower().replace(" ", "").replace(",", "x").split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ConfigurationError(f"--size takes 32, or 48x64 (height x width), got {value!r}")
    return int(sides[0]), int(sides[-1])


def _words(context: Any, parameter: Any, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(word.strip() for word in value.lower().split(",") if word.strip())


def _names(context: Any, parameter: Any, value: tuple[str, ...]) -> tuple[str, ...] | None:
    # Not split at commas yet, because a column's name may contain them; the table's names decide.
    return tuple(name for name in value if name.strip(" ,")) or None


@click.group(context_settings=_SETTINGS)
@click.version_option(package_name="nnscratch", message="%(prog)s %(version)s")
def app() -> None:
    """Train neural networks on tables, images and texts, and use them.

    With --debug, errors come with their traceback.
    """


@app.command("train")
@click.argument("data", required=False, shell_complete=files)
@click.option("--target", metavar="COLUMN", help="The column of a table to predict.")
@click.option("--task", help="classification or regression; by default the target column decides.")
@click.option(
    "--exclude", multiple=True, callback=_names, metavar="COLUMN,…", help="Columns to leave out."
)
@click.option(
    "--separator",
    metavar="CHARACTER",
    help="Between the values of a CSV file; by default recognised (, ; | or tab).",
)
@click.option(
    "--missing",
    metavar="fill|refuse",
    help="Missing values: fill them (numbers: the median; a feature shows them), or stop.",
)
@click.option(
    "--model",
    shell_complete=one_of(MODELS),
    help=f"One of {', '.join(MODELS)}; by default the data decide.",
)
@click.option(
    "--size",
    callback=_size,
    metavar="N|HxW",
    help="Bring every image to this height and width: scaled, and its middle cut out.",
)
@click.option(
    "--augment",
    callback=_words,
    metavar="WORD,…",
    help="Change images at random in training: "
    f"{', '.join(AUGMENTATIONS[1:])} (a part), or {AUGMENTATIONS[0]}.",
)
@click.option("--layers", type=int, help="Of a model of texts: how many layers.")
@click.option(
    "--width", type=int, help="Of a model of texts: the size of a token's vector or state."
)
@click.option("--heads", type=int, help="Of gpt: the heads of attention in each layer.")
@click.option("--block", type=int, help="Of a model of texts: how many tokens it sees at once.")
@click.option(
    "--tokenizer",
    metavar="characters|bpe|FILE",
    help="Of texts: what a token is; bpe is learned from the text, FILE is a tokenizer.json.",
)
@click.option("--vocabulary", type=int, help="Of bpe: how many tokens are learned.")
@click.option(
    "--hidden", callback=_sizes, metavar="N,N…", help="Units of the hidden layers: 128,64."
)
@click.option(
    "--activation", shell_complete=one_of(ACTIVATIONS), help=f"One of {', '.join(ACTIVATIONS)}."
)
@click.option("--dropout", type=float, help="The share of units that is dropped in training.")
@click.option(
    "--loss", shell_complete=one_of(LOSSES), help=f"One of {', '.join(LOSSES)}, as the task allows."
)
@click.option("--label-smoothing", type=float, help="For cross_entropy, such as 0.1.")
@click.option(
    "--class-weight", metavar="balanced", help="Let rare classes weigh as much as others."
)
@click.option(
    "--optimizer", shell_complete=one_of(OPTIMIZERS), help=f"One of {', '.join(OPTIMIZERS)}."
)
@click.option("--lr", type=float, help="The (largest) learning rate.")
@click.option("--weight-decay", type=float, help="The optimizer's weight decay.")
@click.option(
    "--schedule",
    shell_complete=one_of(SCHEDULES),
    help=f"Of the learning rate: one of {', '.join(SCHEDULES)}.",
)
@click.option("--epochs", type=int, help="How often to go through the data.")
@click.option("--batch", type=int, help="Samples a step.")
@click.option("--accumulate", type=int, help="Batches to add up for one step.")
@click.option("--clip-norm", type=float, help="The largest norm of all gradients together.")
@click.option(
    "--patience", type=int, help="Epochs without progress before stopping; 0: never stop."
)
@click.option("--validation", type=float, help="The share of rows for validation.")
@click.option("--test", type=float, help="The share of rows held out for the test.")
@click.option("--seed", type=int, help="Of weights, dropout and shuffles.")
@click.option("--split-seed", type=int, help="Of the split into training, validation and test.")
@click.option("--device", help="cpu, cuda or cuda:N.")
@click.option("--compile/--no-compile", default=None, help="Replay the step as a compiled plan.")
@click.option(
    "--config", metavar="FILE.toml", shell_complete=files, help="Settings; options override them."
)
@click.option("--run", metavar="FOLDER", help="Where the results go; by default runs/NAME.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option("--overwrite", is_flag=True, help="Replace the run in that folder.")
@click.option("--quiet", is_flag=True, help="Print the result only.")
@click.option("--ranks", metavar="N|M:N", help="Train with so many processes, by MPI.")
@click.option("--restarts", type=click.IntRange(0), default=0,
              help="How often to start the processes again if they die.")  # fmt: skip
@click.option("--go-on", is_flag=True,
              help="Let the others go on if one dies (Open MPI).")  # fmt: skip
@click.option("--shards", type=int, metavar="V",
              help="Parts of a batch, 1, 2, 4, ...: the same bits on so many ranks.")  # fmt: skip
@click.option("--shard-optimizer/--no-shard-optimizer", default=None,
              help="Divide the optimizer's state among the processes.")  # fmt: skip
@click.option("--wire", metavar="bfloat16",
              help="Send the gradients of several processes as bfloat16.")  # fmt: skip
@click.option("--deadline", type=float, metavar="SECONDS", default=300.0,
              help="How long a process waits for another.")  # fmt: skip
def train_command(
    config: str | None,
    run: str | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    ranks: str | None,
    restarts: int,
    go_on: bool,
    deadline: float,
    **options: Any,
) -> None:
    r"""Train a network on DATA, test it and save it.

    DATA is "digits" (1797 handwritten digits that come along), a CSV or Parquet file with
    --target COLUMN, or images: a folder with a folder of image files for each class, perhaps in
    train, test and val; a folder of IDX files such as MNIST or Fashion-MNIST, or of CIFAR's binary
    files; an .npz file with x_train, y_train and so on. With --model gpt or char-lstm it is a
    text, and the network learns to continue it.

    \b
    nnscratch train houses.csv --target price
    nnscratch train digits --model cnn
    nnscratch train fashion-mnist --model cnn --augment shift,flip
    nnscratch train photos --model resnet18 --size 64
    nnscratch train digits --ranks 2:4 --restarts 3 --shards 8

    Of a CSV file the separator, the encoding, decimal commas, dates and how missing values are
    written are recognised, and what was recognised is said; it may be packed (gzip, zip).
    """
    from nnscratch.cli.language import train_text
    from nnscratch.cli.ranks import start_ranks
    from nnscratch.cli.training import settings_from, train

    given = {name: value for name, value in options.items() if value is not None}
    if resume and overwrite:
        raise ConfigurationError("--resume and --overwrite exclude each other")
    if restarts and ranks is None:
        raise ConfigurationError("--restarts starts processes again: it goes with --ranks")
    if go_on and ranks is None:
        raise ConfigurationError(
            "--go-on is for processes that --ranks starts; by hand, mpiexec --with-ft ulfm of Open "
            "MPI does the same"
        )
    settings = settings_from(config, given, run, resume)
    if ranks is not None:
        arguments = click.get_current_context().find_root().obj
        code = start_ranks(ranks, restarts, settings, arguments, run, resume, go_on)
        if code is not None:
            raise click.exceptions.Exit(code)
    start = train_text if settings.of_text else train
    start(settings, run=run, resume=resume, overwrite=overwrite, quiet=quiet, deadline=deadline)


@app.command("generate")
@click.argument("run", shell_complete=run_folders)
@click.option("--prompt", default="", help="What the text begins with; by default a new line.")
@click.option("--length", type=click.IntRange(1), default=500, show_default=True,
              help="How many tokens to write.")  # fmt: skip
@click.option("--temperature", type=float, default=0.8, show_default=True,
              help="Above 1 bolder, below 1 surer; 0 takes the likeliest always.")  # fmt: skip
@click.option("--top-k", type=int, help="Choose among so many of the likeliest tokens.")
@click.option("--top-p", type=float, help="Among the likeliest that have this share together.")
@click.option("--seed", type=int, help="The same seed writes the same text; by default another.")
@click.option("--device", help="cpu, cuda or cuda:N.")
def generate_command(
    run: str, prompt: str, length: int, temperature: float, top_k: int | None,
    top_p: float | None, seed: int | None, device: str | None,
) -> None:  # fmt: skip
    """Let the language model of a RUN folder continue a text, as it writes it."""
    from nnscratch.cli.language import generate_text

    generate_text(
        run, prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed,
        device=device,
    )  # fmt: skip


@app.command("predict")
@click.argument("run", shell_complete=run_folders)
@click.argument("source", metavar="INPUT", shell_complete=files)
@click.option("-o", "--output", metavar="FILE", help="Write them to a .csv or .parquet file.")
@click.option("--probabilities", is_flag=True, help="Give the probability of every class.")
@click.option("--device", help="cpu, cuda or cuda:N.")
def predict_command(
    run: str, source: str, output: str | None, probabilities: bool, device: str | None
) -> None:
    """Predict with the model of a RUN folder, after the preprocessing of its training.

    INPUT is a table with the columns of the training, or images: an image file or a folder of
    them, an IDX or .npz file, a folder of IDX or CIFAR files (their test set), or a table with a
    column for each pixel.
    """
    from nnscratch.cli.using import predict_file

    predict_file(run, source, output, probabilities, device)


@app.command("evaluate")
@click.argument("run", shell_complete=run_folders)
@click.argument("data", shell_complete=files)
@click.option("-o", "--output", metavar="FILE", help="Write the report to a .json file.")
@click.option("--device", help="cpu, cuda or cuda:N.")
def evaluate_command(run: str, data: str, output: str | None, device: str | None) -> None:
    """Test the model of a RUN folder on DATA that it has labels for."""
    from nnscratch.cli.using import evaluate_file

    evaluate_file(run, data, output, device)


@app.command("info")
@click.argument("path", required=False, metavar="[RUN|FILE]", shell_complete=run_folders)
def info_command(path: str | None) -> None:
    """Describe a RUN folder, a safetensors FILE, or the package itself."""
    from nnscratch.cli.info import info

    info(path)


@app.command("explain")
@click.argument("run", shell_complete=run_folders)
@click.option("--data", help="Take the samples from there; by default a few of the run's own test.")
@click.option("--samples", type=click.IntRange(1), default=4, show_default=True,
              help="How many samples the step is taken with.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write a page, .html, or a .json or .txt.")
@click.option("--device", help="cpu, cuda or cuda:N.")
def explain_command(
    run: str, data: str | None, samples: int, output: str | None, device: str | None
) -> None:
    """Show one training step of the model of a RUN folder, call by call, with its numbers.

    The page goes through them forward and backward, with buttons or keys. Nothing is trained.
    """
    from nnscratch.cli.explaining import explain_run

    explain_run(run, data, output, samples, device)


@app.command("doctor")
def doctor_command() -> None:
    """Report what was found on this machine: versions, BLAS, threads, kernels, GPU."""
    from nnscratch.cli.doctor import doctor

    doctor()


@app.command("warmup")
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(["float32", "float64"]),
    multiple=True,
    default=("float32",),
    show_default=True,
    help="Of the kernels; may be repeated.",
)
def warmup_command(dtypes: tuple[str, ...]) -> None:
    """Compile the usual CPU kernels now, so that no training has to wait for it.

    They are kept on disk, in the folder that NUMBA_CACHE_DIR names or beside the package.
    """
    from nnscratch.cli.warming import warmup

    warmup(dtypes)


@app.command("bench")
@click.argument("rows", nargs=-1)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option("--threads", type=click.IntRange(1), help="By default all cores.")
@click.option("-o", "--output", metavar="FILE.json", help="Write the timings to a new file.")
def bench_command(
    rows: tuple[str, ...], device: str, threads: int | None, output: str | None
) -> None:
    """Time a training step and a prediction of a few networks on this machine.

    ROWS are parts of names such as 64-128-10. Beside PyTorch, JAX and NumPy they are timed by
    `python -m benchmarks` in a checkout of the source.
    """
    from nnscratch.cli.timing import bench

    bench(rows, device, threads, output)


@app.command("gradcheck")
@click.argument("formula", required=False)
@click.option("--all", "everything", is_flag=True, help="Check every formula.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64")
@click.option("--method", type=click.Choice(["auto", "complex", "five-point", "central"]),
              default="auto", help="Of the numeric derivative.")  # fmt: skip
@click.option("--html", metavar="FILE.html", help="Write the reports to a page.")
@click.option("--json", metavar="FILE.json", help="Write the reports to a file.")
def gradcheck_command(
    formula: str | None, everything: bool, dtype: str, method: str, html: str | None,
    json: str | None,
) -> None:  # fmt: skip
    """Compare the derivative of a FORMULA, or of all, with numeric ones."""
    from nnscratch.cli.checking import check_formulas

    check_formulas(formula, everything, dtype, method, html, json)


@app.command("checkup")
@click.argument("data", required=False, shell_complete=files)
@click.option("--target", metavar="COLUMN", help="The column of a table to predict.")
@click.option("--task", help="classification or regression; by default the target column decides.")
@click.option("--exclude", multiple=True, callback=_names, metavar="COLUMN,…",
              help="Columns to leave out.")  # fmt: skip
@click.option("--model", help=f"One of {', '.join(('mlp', *NETWORKS))}.")
@click.option("--size", callback=_size, metavar="N|HxW", help="Bring every image to this size.")
@click.option("--hidden", callback=_sizes, metavar="N,N…", help="Units of the hidden layers.")
@click.option(
    "--activation", shell_complete=one_of(ACTIVATIONS), help=f"One of {', '.join(ACTIVATIONS)}."
)
@click.option(
    "--loss", shell_complete=one_of(LOSSES), help=f"One of {', '.join(LOSSES)}, as the task allows."
)
@click.option(
    "--optimizer", shell_complete=one_of(OPTIMIZERS), help=f"One of {', '.join(OPTIMIZERS)}."
)
@click.option("--lr", type=float, help="The (largest) learning rate.")
@click.option(
    "--config", metavar="FILE.toml", shell_complete=files, help="Settings; options override them."
)
@click.option("--json", metavar="FILE.json", help="Write the report to a file.")
def checkup_command(config: str | None, json: str | None, **options: Any) -> None:
    """Examine what `nnscratch train` would train with these options, before it trains."""
    from nnscratch.cli.checking import check_training

    check_training(config, {k: v for k, v in options.items() if v is not None}, json)


def keep_help(file: str) -> None:
    """Set the help of a file's commands, which ``python -OO`` removes with the docstrings."""
    if sys.flags.optimize < 2:
        return
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    texts = {
        node.name: ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    for command in (app, *app.commands.values()):
        if command.help is None and command.callback is not None:
            command.help = texts.get(command.callback.__name__)


keep_help(__file__)
