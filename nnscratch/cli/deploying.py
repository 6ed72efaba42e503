"""The commands that take a model elsewhere."""

from __future__ import annotations

from typing import Any

import click

from nnscratch.cli.app import app, keep_help
from nnscratch.cli.completing import SHELLS, one_of, run_folders

__all__ = ["app"]


class FiniteRange(click.FloatRange):
    """Numbers in a range, of which NaN is none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number."""
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail(f"{value} is no number.", param, ctx)
        return found


@app.command("export")
@click.argument("run", shell_complete=run_folders)
@click.option("--to", "form", metavar="numpy|onnx|safetensors", default="numpy", show_default=True,
              shell_complete=one_of(("numpy", "onnx", "safetensors")),
              help="A program for NumPy alone, a model for ONNX, or the weights.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="By default the run's name, in this folder.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
def export_command(run: str, form: str, output: str | None, overwrite: bool) -> None:
    """Write the model of a RUN folder to a file that programs without this package can use.

    The NumPy program is one readable file: the preprocessing of the training, the network line by
    line, the formulas with their equations, and the weights.
    """
    from nnscratch.cli.exporting import export_run

    export_run(run, form, output, overwrite)


@app.command("serve")
@click.argument("run", shell_complete=run_folders)
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Where to listen: by default only this machine reaches it.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="0 takes a free one.")  # fmt: skip
@click.option("--name", help="What the model is called; by default as the folder.")
@click.option("--token-file", metavar="FILE", help="Ask every request for one of its lines.")
@click.option("--most-bytes", "body", type=click.IntRange(1), help="Of a body; by default 16 MiB.")
@click.option("--most-rows", "rows", type=click.IntRange(1), help="Of a request; 10,000.")
@click.option("--timeout", "seconds", type=FiniteRange(0.1, 86400), metavar="SECONDS",
              help="For a body to arrive, and for a request to wait; 30.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True,
              help="That compute one request; several pay for large networks.")  # fmt: skip
@click.option("--queue", "waiting", type=click.IntRange(1), help="Requests that may wait; 256.")
def serve_command(run: str, host: str, port: int, threads: int, **options: Any) -> None:
    """Answer requests over HTTP with the predictions of a RUN folder.

    POST /predict takes {"rows": [{"column": value}]} or {"images": [...]}, or an .npy file. Beside
    it are the Open Inference Protocol under /v2, /openapi.json, /healthz, /metrics for Prometheus,
    and a page to try the model. Ctrl-C ends it when the requests that are there are answered.
    """
    from nnscratch.cli.serving.starting import serve_run

    serve_run(run, host, port, threads, **options)


@app.command("runs")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", shell_complete=run_folders)
@click.option("--sort", "order", default="name", show_default=True, metavar="name|loss|score|time",
              shell_complete=one_of(("name", "loss", "score", "time")))  # fmt: skip
@click.option("--most", type=click.IntRange(1), help="Show so many, the first ones.")
@click.option("-o", "--output", metavar="FILE", help="Draw their curves, .png, or write a .csv.")
def runs_command(
    folders: tuple[str, ...], order: str, most: int | None, output: str | None
) -> None:
    """List run folders, compare them, and draw their curves over one another.

    Each FOLDER is a run or a folder of runs; without one it is "runs". What differs in their
    settings is shown beside them.
    """
    from nnscratch.cli.comparing import compare_runs

    compare_runs(folders, order, output, most)


@app.command("completion")
@click.argument("shell", metavar="|".join(SHELLS), shell_complete=one_of(SHELLS))
def completion_command(shell: str) -> None:
    """Print what a SHELL has to run so that Tab completes commands, options and run folders."""
    from nnscratch.cli.completing import print_script

    print_script(app, shell)


keep_help(__file__)
