"""The driver, its barrier, and the pool of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from nnscratch.array.addresses import numpy_address
from nnscratch.kernels import cpu
from nnscratch.kernels.bodies import parsed
from nnscratch.kernels.cpu.operands import Operands
from nnscratch.kernels.cpu.runtime import objects
from nnscratch.kernels.cpu.runtime import pool as pool_module
from nnscratch.kernels.cpu.runtime import threads as policy
from nnscratch.kernels.cpu.runtime.table import stops_at


def less_half(x, row):
    return x - 0.5 * row


class Adding:
    """A builder that adds instructions to a table."""

    def __init__(self, table: cpu.Table) -> None:
        self.table = table

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        self.table.add(kernel, a, s, flags)


def chain(x: np.ndarray, steps: int) -> cpu.Program:
    """Return a program whose every instruction needs all of the one before: y[i] = x[n - 1 - i].

    Sums of columns of a matrix that is rewritten from its sums: wrong at once without barriers.
    """
    rows, columns = x.shape
    sums = np.zeros(columns, dtype=x.dtype)
    table = cpu.Table()
    for _ in range(steps):
        table.add(cpu.kernel("column_sum", "float64"), (x, sums, rows, columns), (1.0 / rows,))
        loop = Operands(x.shape, "float64")
        loop.store(loop.apply(parsed(less_half), [loop.add(x), loop.add(sums)]), x)
        loop.emit_now(Adding(table))
    return table.build()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_barrier_orders_instructions(threads: int, rng: np.random.Generator) -> None:
    start = rng.standard_normal((64, 640))
    x = start.copy()
    expected = start.copy()
    for _ in range(50):
        expected -= 0.5 * expected.mean(axis=0)
    program = chain(x, 50)
    for _ in range(20):
        x[...] = start
        program.run(threads)
        np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-12)


def test_live_values_are_read_at_every_run() -> None:
    y = np.zeros(10, dtype=np.float32)
    table = cpu.Table()
    fill = table.add(cpu.kernel("fill", "float32"), (y, 10), (1.0,))
    program = table.build()
    program.run()
    assert (y == 1).all()
    program.s(fill)[0] = 3.0
    program.a(fill)[1] = 4
    program.run()
    np.testing.assert_array_equal(y, [3] * 4 + [1] * 6)


def test_empty_table_runs() -> None:
    program = cpu.Table().build()
    program.run(1)
    program.run(2)


def test_alone_and_no_barrier() -> None:
    x = np.zeros(100_000, dtype=np.float32)
    table = cpu.Table()
    table.add(cpu.kernel("fill", "float32"), (x, x.size), (1.0,), cpu.NO_BARRIER)
    table.add(cpu.kernel("scale", "float32"), (x, x, None, x.size), (2.0,))
    table.add(cpu.kernel("scale", "float32"), (x, x, None, x.size), (2.0,), cpu.ALONE)
    table.build().run(2)
    assert (x == 4).all()


def test_one_thread_does_short_instructions_in_a_row() -> None:
    x, y, status = np.ones(100_000), np.ones(8), np.zeros(1, np.int64)
    table = cpu.Table()

    def scale(what: np.ndarray, flags: int = 0) -> None:
        table.add(cpu.kernel("scale", "float64"), (what, what, None, what.size), (2.0,), flags)

    scale(x)
    for _ in range(2):
        scale(y)
    # The status is where the sum goes: of no numbers it is 0, which ends nothing.
    table.add(cpu.kernel("finish_sum", "float64"), (y, 0, status), (1.0,), stops_at(2))
    for _ in range(2):
        scale(y)
    scale(x)
    scale(y)
    table.leave_short_ones_to_one_thread()
    alone, passing = cpu.ALONE, cpu.ALONE | cpu.NO_BARRIER
    assert [one.flags for one in table.instructions] == [
        *(0, passing, passing, alone | stops_at(2), passing, alone, 0, 0)
    ]
    table.build().run(3)
    assert (x == 4).all()
    assert (y == 32).all()


def test_workers_sleep_and_wake() -> None:
    x = np.zeros(10_000)
    table = cpu.Table()
    table.add(cpu.kernel("fill", "float64"), (x, x.size), (1.0,))
    program = table.build()
    for pause in (0.0, 0.01, 0.0, 0.05, 0.001):
        x[:] = 0
        program.run(3)
        assert (x == 1).all()
        time.sleep(pause)


def test_several_python_threads_at_once() -> None:
    errors = []

    def work(value: float) -> None:
        x = np.zeros(50_000)
        table = cpu.Table()
        table.add(cpu.kernel("fill", "float64"), (x, x.size), (value,))
        table.add(cpu.kernel("scale", "float64"), (x, x, None, x.size), (2.0,))
        program = table.build()
        for _ in range(200):
            x[:] = 0
            program.run(2)
            if not (x == 2 * value).all():
                errors.append(value)

    workers = [threading.Thread(target=work, args=(float(i),)) for i in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors


def test_blas_gets_its_threads_back(request: pytest.FixtureRequest) -> None:
    library = cpu.blas()
    if library is None:
        built: Any = np.show_config(mode="dicts")
        name = built["Build Dependencies"]["blas"]["name"]
        hidden = request.config.getoption("--without-blas")
        assert hidden or "openblas" not in name, "NumPy's OpenBLAS was not found"
        return
    pool_module.pool().close()  # tests before this one may have left BLAS at one thread
    before = library.threads()
    x = np.zeros(10_000)
    table = cpu.Table()
    table.add(cpu.kernel("fill", "float64"), (x, x.size), (1.0,))
    program = table.build()
    for threads in (1, 2, 3):
        program.run(threads)
        assert library.threads() == (before if threads == 1 else 1)  # the next run may be near
        pool_module.pool().close()
        assert library.threads() == before


def test_pool_can_be_closed_and_used_again() -> None:
    x = np.zeros(10_000)
    table = cpu.Table()
    table.add(cpu.kernel("fill", "float64"), (x, x.size), (1.0,))
    program = table.build()
    program.run(2)
    pool_module.pool().close()
    x[:] = 0
    program.run(2)
    assert (x == 1).all()


def test_call_runs_one_kernel() -> None:
    x = np.arange(5, dtype=np.float32)
    y = np.empty_like(x)
    cpu.call(cpu.kernel("scale", "float32"), (numpy_address(x), numpy_address(y), 0, 5), (3.0,))
    np.testing.assert_array_equal(y, 3 * x)


def test_wrong_lengths_are_refused() -> None:
    table = cpu.Table()
    with pytest.raises(ValueError, match="kernel fill: a has the 2 entries"):
        table.add(cpu.kernel("fill", "float32"), (1, 2, 3), (1.0,))


def test_a_kernel_refuses_unknown_dtypes_and_options() -> None:
    with pytest.raises(ValueError, match="float32 or float64"):
        cpu.kernel("fill", "float16")
    with pytest.raises(ValueError, match="options"):
        cpu.kernel("fill", "float32", 1)


def test_many_short_instructions_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A barrier behind each takes as long as the instruction, and far longer on a busy machine."""
    monkeypatch.setattr(policy, "_most", 8)

    def fills(size: int, count: int) -> cpu.Program:
        table, y = cpu.Table(), np.zeros(size, np.float32)
        for _ in range(count):
            table.add(cpu.kernel("fill", "float32"), (y, size), (1.0,))
        return table.build()

    short, long = fills(1000, 5000), fills(1 << 22, 2)
    assert short.nanoseconds > 2 * policy.NANOSECONDS_A_THREAD
    assert short.threads() == 1
    assert long.threads() > 1


def test_thread_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy.choose(1_000, 8) == 1
    assert policy.choose(1e9, 8) == 8
    assert 1 < policy.choose(100_000, 8) < 8
    monkeypatch.setattr(policy, "_most", None)
    monkeypatch.setenv("NNSCRATCH_THREADS", "3")
    assert policy.limit() == 3
    monkeypatch.setattr(policy, "_most", None)
    monkeypatch.setenv("NNSCRATCH_THREADS", "none")
    with pytest.raises(ValueError, match="whole number"):
        policy.limit()
    monkeypatch.setenv("NNSCRATCH_THREADS", "0")
    with pytest.raises(ValueError, match="at least 1"):
        policy.limit()


PROGRAM = """
import numpy as np
from nnscratch.array.addresses import numpy_address
from nnscratch.kernels import cpu
x = np.zeros(100_000)
table = cpu.Table()
table.add(cpu.kernel("fill", "float64"), (x, x.size), (1.0,))
program = table.build()
program.run(2)
"""


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_interpreter_ends_while_workers_spin() -> None:
    python(PROGRAM)


def test_interpreter_ends_while_workers_sleep() -> None:
    python(PROGRAM + "import time; time.sleep(0.1)\n")


def test_forked_child_runs() -> None:
    code = (
        PROGRAM
        + """
import os, sys
child = os.fork()
x[:] = 0
program.run(2)
assert (x == 1).all()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("both")
"""
    )
    assert python(code) == "both\n"


def test_kernels_are_declared_without_numba() -> None:
    code = """
import sys
from nnscratch.array.addresses import numpy_address
from nnscratch.kernels import cpu
cpu.kernel("softmax", "float32", 0).cost([0, 0, 10, 10])
cpu.product_kernel("float32", 8, 8, 8)
assert "numba" not in sys.modules
"""
    python(code)


def test_kernels_come_from_the_disk_in_the_next_process(tmp_path: object) -> None:
    code = (
        PROGRAM
        + """
from nnscratch.kernels.cpu.runtime.pool import pool
print([hit for _, hit in cpu.compiled_kernels()], cpu.cache_status().entries)
print(type(pool()._driver.lead).__name__)
"""
    )
    first = python(code, NUMBA_CACHE_DIR=str(tmp_path))
    second = python(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert first.startswith("[False]")
    assert second.startswith("[True]")
    if objects.key() is not None:  # the first process has made the functions that the next has
        assert first.splitlines()[-1] == second.splitlines()[-1] == "CFunctionType"


def test_without_a_cache_folder(tmp_path: object) -> None:
    code = """
import tempfile
def refuse(**where): raise OSError("read-only")
tempfile.TemporaryFile = refuse  # by which Numba and this package try a folder
""" + PROGRAM.replace("program.run(2)", "program.run(2)\nprint(cpu.cache_status())")
    assert "path=None, writable=False" in python(code)


def test_no_kernel_encloses_compiled_functions() -> None:
    """Numba's cache would take such a kernel for a new one in every process."""
    code = """
usual = {"activation": "relu", "bits": 64}
assert len(list(cpu.IMPLEMENTATIONS.values())) > 80  # which loads all files
for name, kernel in cpu.DECLARED.items():
    made = kernel.make("float32", *[usual.get(one, 1) for one in kernel.layout.options])
    assert made.__closure__ is None, name
print(len(cpu.DECLARED))
"""
    assert int(python("from nnscratch.kernels import cpu\n" + code)) > 20


def test_blas_has_its_threads_back_when_the_pool_rests() -> None:
    code = """
import time
import numpy as np
from nnscratch.array.addresses import numpy_address
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.runtime.pool import pool
blas = cpu.blas()
if blas is None or not blas.get_threads:  # a library without that switch
    print("1 1 2 1 2")
    raise SystemExit
blas.limit_threads(2)
y = np.zeros(100000, np.float32)
table = cpu.Table()
table.add(cpu.kernel("fill", "float32"), (y, y.size), (1.0,))
program = table.build()
program.run(2)
print(blas.threads())
time.sleep(0.3)  # whoever goes on soon does not want them in the way
print(blas.threads())
for _ in range(100):
    time.sleep(0.05)
    if blas.threads() == 2:
        break
print(blas.threads())
program.run(2)
print(blas.threads())
pool().close()
print(blas.threads())
"""
    assert python(code).split() == ["1", "1", "2", "1", "2"]


def test_blas_is_alone_for_a_product_between_two_sizes_and_gets_its_threads_back() -> None:
    code = """
import time
import numpy as np
import nnscratch
from nnscratch.array.addresses import numpy_address
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.runtime.blas import blas_threads
blas = cpu.blas()
if blas is None or not (blas.get_threads and blas.set_threads):
    print("1 1 2")
    raise SystemExit
blas.limit_threads(2)
x = nnscratch.tensor(np.ones((64, 64), np.float32))
w = nnscratch.tensor(np.ones((64, 128), np.float32))
x @ w
print(blas.threads())
blas.limit_threads(2)  # somebody else's doing
x @ w
print(blas.threads())
for _ in range(100):
    time.sleep(0.05)
    if blas.threads() == 2:
        break
print(blas.threads())
"""
    assert python(code).split() == ["1", "1", "2"]
