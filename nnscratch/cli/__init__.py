"""The command line. What it needs beyond the package itself is imported when a command runs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

from nnscratch.cli.shown import readable_streams, shown
from nnscratch.errors import NNScratchError

_USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    0: done. 2: something to mend, said in one line on standard error. 130: stopped by Ctrl-C.
    With ``--debug`` anywhere among the arguments, errors come with their traceback.
    """
    readable_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [item for item in given if item != "--debug"] or ["--help"]
    try:
        import click
        import rich  # noqa: F401
    except ImportError as error:
        return _fail(
            f"the command line needs {error.name}, which is not installed: "
            'pip install "nnscratch[cli]"'
        )
    from nnscratch.cli.completing import VARIABLE, complete
    from nnscratch.cli.deploying import app
    from nnscratch.data import (
        FilledGapsWarning,
        RareClassWarning,
        TableWarning,
        UnknownCategoryWarning,
    )

    if VARIABLE in os.environ:
        return complete(app, os.environ[VARIABLE])
    kinds = (UnknownCategoryWarning, FilledGapsWarning, TableWarning, RareClassWarning)
    with warnings.catch_warnings():
        for category in kinds:
            warnings.filterwarnings("always", category=category)
        if not debug:
            warnings.showwarning = _show_warning
        try:
            # Not by app.main(), which would turn Ctrl-C into an exception of its own.
            with app.make_context("nnscratch", given) as context:
                app.invoke(context)
        except click.ClickException as error:
            return _fail(error.format_message())
        except click.exceptions.Exit as error:
            return error.exit_code
        except KeyboardInterrupt as error:
            if debug:
                raise
            print(f"nnscratch: {str(error) or 'interrupted'}", file=sys.stderr)
            return 128 + int(getattr(error, "signal", 2))
        except BrokenPipeError:
            # Whoever read the output has enough of it, as in `nnscratch info | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (NNScratchError, MemoryError) as error:
            if debug:
                raise
            return _fail(str(error) or "out of memory; try a smaller --batch or --hidden")
        except OSError as error:
            # A path that no system call takes, say: too long, or with a zero in it.
            if debug:
                raise
            name = f"{str(error.filename)[:200]}: " if error.filename is not None else ""
            return _fail(f"{name}{error.strerror or error}")
    return 0


def _fail(message: str) -> int:
    print(f"nnscratch: {shown(' '.join(message.split()), 2000)}", file=sys.stderr)
    return _USER_ERROR


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: Any = None,
) -> None:
    print(f"nnscratch: warning: {shown(' '.join(str(message).split()))}", file=sys.stderr)
