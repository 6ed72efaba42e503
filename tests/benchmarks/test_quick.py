"""``nnscratch bench``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnscratch.cli import main
from nnscratch.inspect.bench import quick
from nnscratch.inspect.bench.client import environment
from nnscratch.inspect.bench.machine import best_rates, describe
from nnscratch.inspect.bench.measuring import Effort, Row
from nnscratch.inspect.bench.registry import COMPILED, competitors, installed

TINY = Effort(rounds=2, turn=1e-4, warm=1e-4, budget=1.0, check_steps=3, rest=0.0)


@pytest.mark.slow
def test_a_quick_row(tmp_path: Path) -> None:
    said: list[str] = []
    output = tmp_path / "deep" / "bench.json"
    (row,) = quick.bench(["predict"], threads=1, output=str(output), effort=TINY, say=said.append)
    assert COMPILED in row.timings
    record = json.loads(output.read_text(encoding="utf-8"))
    assert [Row.from_dict(r).name for r in record["rows"]] == ["predict-64-128-10"]
    text = "\n".join(said)
    assert "processors usable" in text
    assert "2.5x against" in text
    assert str(output) in text


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_TEST_DIR", "somewhere")
    machine = describe(environment(1, "cpu"))
    assert set(machine["rates"]["sgemm"]) == {"256", "512", "1024", "2048", "4096"}
    assert 0 < best_rates(machine)["memory"]
    assert machine["environment"]["OMP_NUM_THREADS"] == "1"
    assert "OMP_TEST_DIR" not in machine["environment"]
    assert (machine["usable"], machine["threads"]) == (1, 1)
    assert machine["versions"]["numpy"]
    assert best_rates({}) == {}


def test_the_command_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def bench(only: tuple[str, ...], **options: object) -> None:
        given.update(only=only, **options)

    monkeypatch.setattr(quick, "bench", bench)
    assert main(["bench", "10-10-2", "--threads", "2", "--compilers", "-o", "x.json"]) == 0
    assert given == {
        "only": ("10-10-2",), "device": "cpu", "threads": 2, "compilers": True, "output": "x.json"
    }  # fmt: skip


def test_who_takes_part() -> None:
    training = {entry.name for entry in competitors("train")}
    assert {"torch.compile", "PyTorch fused Adam"} <= training
    assert "torch.compile" not in {entry.name for entry in competitors("train", compilers=False)}
    assert "PyTorch fused Adam" not in {entry.name for entry in competitors("infer")}
    assert installed()[COMPILED] is None
