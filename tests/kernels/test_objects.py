"""Kernels are kept as object files, which a later process loads without Numba."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.runtime import cache, entries, objects
from nnscratch.kernels.cpu.runtime.eager import call
from nnscratch.kernels.cpu.runtime.kernel import _compile
from nnscratch.kernels.cpu.runtime.table import word

TRAINING = """
import sys
import numpy as np
import nnscratch as ns
from nnscratch import nn, optim

ns.manual_seed(0)
model = nn.Sequential(nn.Linear(9, 20), nn.ReLU(), nn.Linear(20, 3))
optimizer = optim.Adam(model.parameters())


@ns.compile
def step(x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


x, y = ns.randn(32, 9), ns.randint(0, 3, (32,))
losses = [step(x, y).item() for _ in range(9)]
print(step.plans[0].native > 9, step.plans[0].python, losses)
print("numba" in sys.modules)
"""

FILL = cpu.kernel("fill", "float32")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of one kernel."""
    monkeypatch.setattr(objects, "folder", lambda: tmp_path)
    assert _compile(FILL).address
    return tmp_path / f"{FILL.symbol}{objects.SUFFIX}"


def kept_here() -> bool:
    return objects.key() is not None


def test_a_second_process_computes_the_same_without_numba() -> None:
    shown = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", TRAINING], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout.splitlines())
    assert shown[0][0] == shown[1][0]
    assert shown[0][0].startswith("True 0 ")
    assert shown[1][1] == str(not kept_here())


def test_what_was_kept_computes(place: Path) -> None:
    if not kept_here():
        assert not place.exists()
        return
    kept = objects.load(FILL.symbol)
    assert kept is not None
    Y = np.zeros(5, np.float32)
    loaded = entries._callable(kept.address, 4)
    a, s = np.array([word(Y), 5]), np.array([2.5])
    loaded(word(a), word(s), 0, 1)
    assert Y.tolist() == [2.5] * 5
    call(FILL, [word(Y), 5], [1.5])
    assert Y.tolist() == [1.5] * 5
    assert _compile(FILL).cache_hits


def _cut(data: bytes) -> bytes:
    return data[:-100]


def _flipped(data: bytes) -> bytes:
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _flipped,
        lambda data: b"",
        lambda data: b"[]\n" + data,
        lambda data: data.replace(b'"key": "', b'"key": "0', 1),
        lambda data: data.replace(b'"needs": [', b'"needs": ["nobody_has_this", ', 1),
    ],
)
def test_a_file_that_is_damaged_or_old_is_made_anew(
    place: Path, damage: Callable[[bytes], bytes]
) -> None:
    if not kept_here():
        return
    data = place.read_bytes()
    place.write_bytes(damage(data))
    assert objects.load(FILL.symbol) is None
    assert _compile(FILL).address
    assert objects.load(FILL.symbol) is not None
    assert {one.name for one in place.parent.iterdir()} == {place.name, objects.LOCKED}


def test_two_processes_compile_a_kernel_once(tmp_path: Path) -> None:
    if not kept_here():
        return
    code = (
        "from nnscratch.kernels import cpu\n"
        "from nnscratch.kernels.cpu.runtime.kernel import compiled\n"
        "print(compiled(cpu.kernel('fill', 'float32')).cache_hits)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert sorted(one.communicate(timeout=300)[0].strip() for one in both) == ["0", "1"]


USES_A_SHARED_ONE = """
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu import winograd_weights
from nnscratch.kernels.cpu.runtime import objects
from nnscratch.kernels.cpu.runtime.kernel import compiled
sums = cpu.kernel("winograd_gradient", "float32")
print(compiled(sums).cache_hits, *objects._read(sums.symbol)[0]["needs"])
"""


def test_a_function_that_kernels_share_has_a_file_of_its_own(tmp_path: Path) -> None:
    if not kept_here():
        return
    shown = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", USES_A_SHARED_ONE], capture_output=True, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        hits, *needs = done.stdout.split()
        shown.append(hits)
        (shared,) = [one for one in needs if one.startswith(objects.SHARED)]
        (file,) = tmp_path.glob(f"*/{shared}{objects.SUFFIX}")
        if len(shown) == 2:
            file.unlink()
    assert shown == ["0", "1", "0"]


def test_where_nothing_is_kept_a_kernel_has_in_itself_what_it_shares(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_is_shared", lambda symbol, write: False)
    product = cpu.kernel("gemm_tiles", "float64")
    made = _compile(product)
    if kept_here():
        found = objects._read(product.symbol)
        assert found is not None
        assert not [name for name in found[0]["needs"] if name.startswith(objects.SHARED)]
    A, B, C = np.arange(35.0).reshape(5, 7), np.arange(21.0).reshape(7, 3), np.empty((5, 3))
    a = np.array([0, 0, 0, 5, 3, 7, word(A), 7, word(B), 3, word(C), 3])
    entries._callable(made.address, 4)(word(a), 0, 0, 1)
    assert np.array_equal(C, A @ B)


def test_a_process_that_stopped_holds_others_up_for_a_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept_here():
        return
    monkeypatch.setattr(objects, "_MOST_SECONDS", 0.05)
    code = (
        "from nnscratch.kernels.cpu.runtime import objects\n"
        "with objects.alone('one'): print(objects.folder(), flush=True); input()"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        held = Path(other.stdout.readline().strip())
        monkeypatch.setattr(objects, "folder", lambda: held)
        waited = {}
        for name in ("one", "another"):
            start = time.monotonic()
            with objects.alone(name):
                waited[name] = time.monotonic() - start
        other.communicate("\n")
    assert waited["another"] < 0.05 <= waited["one"]


def test_numbas_threads_make_no_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = objects.key()
    for name, value, same in (("NUM_THREADS", "3", True), ("CPU_NAME", "nocona", not before)):
        monkeypatch.setenv(f"NUMBA_{name}", value)
        assert (objects.key.__wrapped__() == before) is same


def test_code_that_needs_numba_comes_from_its_own_cache(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept_here():
        return
    place.unlink()
    monkeypatch.setattr(objects, "undefined", lambda code: ["numba_unpickle"])
    assert not objects.refused(FILL.symbol)
    assert _compile(FILL).address
    assert objects.refused(FILL.symbol)
    assert objects.load(FILL.symbol) is None
    assert _compile(FILL).address


def test_without_a_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "folder", lambda: None)
    assert objects.load(FILL.symbol) is None
    assert _compile(FILL).address
    assert objects.load(FILL.symbol) is None


def test_the_folder_is_that_of_numba() -> None:
    own = cache._folder(Path(cpu.__file__))
    assert objects.folder() == (None if own is None else Path(own))
    code = (
        "from pathlib import Path\n"
        "from nnscratch.kernels import cpu\n"
        "from nnscratch.kernels.cpu.runtime import cache, objects\n"
        "print(str(objects.folder()) == cache._folder(Path(cpu.__file__)), objects.folder())"
    )
    elsewhere = str(Path(own or ".").parent / "elsewhere")
    environment = {**os.environ, "NUMBA_CACHE_DIR": elsewhere}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    same, where = done.stdout.split(maxsplit=1)
    assert same == "True"
    assert where.startswith(elsewhere)
    Path(where.strip()).rmdir()
    Path(elsewhere).rmdir()


def test_names_from_elsewhere_are_read_from_elf_files_only(place: Path) -> None:
    for data in (b"", b"\x7fELF\x01\x01" + bytes(80), b"MZ" + bytes(80)):
        with pytest.raises(ValueError, match="ELF file of 64 bits"):
            objects.undefined(data)
    if kept_here():
        names = objects.undefined(place.read_bytes().partition(b"\n")[2])
        assert all(name.isidentifier() for name in names)


def test_numba_that_is_hidden_was_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: Any = None
    monkeypatch.setitem(sys.modules, "numba", hidden)
    assert not objects.numba_was_imported()
