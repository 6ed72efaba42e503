"""``nnscratch warmup``: compile the kernels ahead of time."""

from __future__ import annotations

from collections.abc import Sequence


def warmup(dtypes: Sequence[str]) -> None:
    """Compile the usual kernels into the cache on disk, showing progress, and print its folder.

    Args:
        dtypes: the dtypes to compile for, of "float32" and "float64".
    """
    from rich.console import Console
    from rich.progress import Progress

    from nnscratch.cli.info import pairs
    from nnscratch.kernels.cpu import warmup

    console = Console(highlight=False)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("compiling", total=None)

        def show(done: int, count: int, name: str) -> None:
            bar.update(task, completed=done, total=count, description=name or "done")

        status = warmup(dtypes, show)
    if status.path is None:
        console.print(
            "The kernels compile, but there is no folder to keep them in, so every process will "
            "compile them anew. Set NUMBA_CACHE_DIR to a folder that can be written to."
        )
        return
    pairs(
        console,
        "Compiled kernels",
        {
            "folder": status.path,
            "functions": status.entries,
            "size": f"{status.bytes / 1e6:.1f} MB",
        },
    )
