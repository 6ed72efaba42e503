"""``nnscratch bench``: the time of a training step of some networks on this machine."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from pathlib import Path

from nnscratch.errors import ConfigurationError


def bench(only: Sequence[str], device: str, threads: int | None, output: str | None) -> None:
    """Time networks, compiled and eager, and print a table.

    Args:
        only: substrings of the names of the networks to time; an empty sequence for all.
        device: "cpu" or "cuda".
        threads: the number of threads of kernels and of NumPy's BLAS; None for one per core.
        output: a file to write the timings to, as JSON.

    Raises:
        ConfigurationError: if no network has such a name, or the file cannot be made.
        DeviceError: if there is no usable GPU and one is asked for.
    """
    from nnscratch import __version__, set_num_threads
    from nnscratch.inspect.table import show_table
    from nnscratch.inspect.timing import NETWORKS, time_network
    from nnscratch.kernels.cpu import blas, limit
    from nnscratch.train.files import write_json

    names = [n for n in NETWORKS if not only or any(part in n for part in only)]
    if not names:
        raise ConfigurationError(
            f"no network's name contains {', '.join(map(repr, only))}; "
            f"there are {', '.join(NETWORKS)}"
        )
    if output is not None and Path(output).exists():
        raise ConfigurationError(f"{output}: the file exists already; choose another name")
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise ConfigurationError(f"{output}: there is no such folder to write into")
    library = blas()
    if threads is not None:
        set_num_threads(threads)
        if library is not None:
            library.limit_threads(threads)
    timings = {name: time_network(NETWORKS[name], device) for name in names}
    lines = []
    for name, timing in timings.items():
        compiled, eager = timing["compiled"], timing["eager"]
        lines.append(
            (
                name,
                duration(compiled.median),
                f"{duration(compiled.p10)} - {duration(compiled.p90)}",
                duration(eager.median),
                f"{eager.median / compiled.median:.1f}x",
            )
        )
    where = f"{limit()} threads" if device == "cpu" else device
    show_table(
        ("network", "compiled", "10 to 90%", "eager", "quicker"),
        lines,
        (1, 2, 3, 4),
        f"One step, in float32 with {where}",
    )
    if output is not None:
        record = {
            "nnscratch": __version__,
            "machine": platform.machine(),
            "device": device,
            "threads": limit(),
            "seconds": {
                name: {who: dataclasses.asdict(t) for who, t in timing.items()}
                for name, timing in timings.items()
            },
        }
        write_json(output, record)
        print(f"written to {output}")


def duration(seconds: float) -> str:
    """Return seconds with three digits and the unit that fits.

    >>> duration(0.00001234), duration(0.15), duration(1.5)
    ('12.3 µs', '150 ms', '1.5 s')
    """
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if factor <= seconds:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
