"""The commands that take a model elsewhere."""

from __future__ import annotations

import click

from nnscratch.cli.app import app, keep_help

__all__ = ["app"]


@app.command("export")
@click.argument("run")
@click.option("--to", "form", metavar="numpy|safetensors", default="numpy", show_default=True,
              help="A program for NumPy alone, or the weights for PyTorch.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="By default the run's name, in this folder.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
def export_command(run: str, form: str, output: str | None, overwrite: bool) -> None:
    """Write the model of a RUN folder to a file that programs without this package can use.

    The NumPy program is one readable file: the preprocessing of the training, the network line by
    line, the formulas with their equations, and the weights.
    """
    from nnscratch.cli.exporting import export_run

    export_run(run, form, output, overwrite)


keep_help(__file__)
