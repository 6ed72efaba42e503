"""In a browser: what somebody does there who reads the README. Run by ``test_browser.py``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.data import DataLoader, TensorDataset, load_digits, train_test_split_indices
from nnscratch.errors import DataError
from nnscratch.nn import functional as F
from nnscratch.train import evaluate, fit, load_model, save_model

ROOT = Path(__file__).parents[2]


def network() -> nn.Module:
    nnscratch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def digits(count: int = 300) -> tuple[Any, Any]:
    held = load_digits()
    return held.features()[:count], held.labels[:count]


def test_the_lines_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    lines = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    exec(compile(lines.replace("epochs=20", "epochs=5"), "README.md", "exec"), {})
    shown = re.search(r"accuracy\D*([0-9.]+)", capsys.readouterr().out)
    assert shown
    assert float(shown[1]) > 0.85


def test_a_loop_of_ones_own() -> None:
    x, y = digits()
    model = network()
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True, seed=0)
    adam = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        for a, b in loader:
            loss = F.cross_entropy(model(a), b)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


def test_python_integers_are_int64_as_in_pytorch() -> None:
    t = nnscratch.tensor
    assert t([[1, 2], [3, 4]]).dtype == nnscratch.arange(3).dtype == "int64"
    assert nnscratch.full((2,), 7).dtype == t(3).dtype == t(range(3)).dtype == "int64"
    assert t([1, 2]).sum().dtype == t([True]).sum().dtype == t([1.0, 2.0]).argmax().dtype == "int64"
    assert nnscratch.tensor(np.arange(3, dtype=np.int32)).dtype == "int32"
    assert t([2**40]).item() == 2**40


def test_indices_beyond_32_bits_are_no_others() -> None:
    with pytest.raises(DataError, match="indices from -4 to 3, got 4294967296"):
        nnscratch.take(nnscratch.arange(4.0), nnscratch.tensor([2**32]))
    from nnscratch.array.integers import intp

    with pytest.raises(IndexError, match="index 4294967297 is beyond"):
        intp(np.array([0, 2**32 + 1], np.int64))


def test_a_compiled_step_is_the_eager_one() -> None:
    x, y = digits(64)
    found = []
    for compiled in (False, True):
        model = network()
        sgd = optim.SGD(model.parameters(), lr=0.1)

        def step(a: Any, b: Any, model: Any = model, sgd: Any = sgd) -> Any:
            loss = F.cross_entropy(model(a), b)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        a, b = nnscratch.tensor(x), nnscratch.tensor(y)
        found.append([run(a, b).item() for _ in range(4)])
    assert np.allclose(*found, rtol=1e-6)


def test_a_run_folder_and_a_file_of_weights(tmp_path: Path) -> None:
    x, y = digits()
    history = fit(network(), (x, y), epochs=2, seed=0, run_dir=tmp_path / "run")
    again = fit(network(), (x, y), epochs=3, seed=0, run_dir=tmp_path / "run", resume=True)
    assert len(history) == 2
    assert len(again) == 3
    model = network()
    save_model(tmp_path / "model", model)
    other = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    load_model(tmp_path / "model", other)
    a = nnscratch.tensor(x)
    assert np.array_equal(np.asarray(model(a).detach()), np.asarray(other(a).detach()))
    nnscratch.save(model.state_dict(), tmp_path / "weights")
    assert list(nnscratch.load(tmp_path / "weights")) == list(model.state_dict())


def test_gradients_are_checked() -> None:
    model = network()
    a = nnscratch.tensor(digits(3)[0]).double().requires_grad_()
    assert nnscratch.gradcheck(model.double(), (a,))
    assert not nnscratch.gradcheck(lambda X: 2.0 * X.detach() + X, (a,))


def test_what_looks_inside(tmp_path: Path) -> None:
    x, y = digits(4)
    model = network()
    assert "Linear" in str(nnscratch.explain(model))
    page = nnscratch.explain(model, x, loss="cross_entropy", target=y, optimizer="adam")
    page.save(tmp_path / "step.html")
    assert "<html" in (tmp_path / "step.html").read_text("utf-8").lower()
    assert "Linear" in str(nnscratch.summary(model, (1, 64)))
    assert nnscratch.checkup(model, F.cross_entropy, *map(nnscratch.tensor, digits(40)), steps=20)


def test_homework_is_graded() -> None:
    assert nnscratch.homework("tanh", lambda dY, Y: dY * (1 - Y**2)).points == 100
    assert nnscratch.homework("linear", lambda dZ, X: dZ.T @ X, of="W").points == 100
    assert nnscratch.homework("tanh", lambda dY, Y: dY * (1 - Y)).points < 100


def test_images_and_text() -> None:
    x, y = digits(64)
    images = x.reshape(-1, 1, 8, 8)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    )
    model = nn.Sequential(net, nn.Linear(36, 10))
    fit(model, (images, y), epochs=1, seed=0)
    assert 0 <= evaluate(model, (images, y))["accuracy"] <= 1
    words = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 2))
    fit(words, (np.array([[0, 1], [2, 4]]), np.array([0, 1])), epochs=1, seed=0)


def test_workers_of_a_loader_and_stratified_parts() -> None:
    x, y = digits(100)
    train, test = train_test_split_indices(len(x), (0.8, 0.2), seed=0, stratify=y)
    assert len(train) + len(test) == 100
    loader = DataLoader(TensorDataset(x, y), batch_size=25, num_workers=2)
    assert sum(len(a) for a, _ in loader) == 100


def test_a_file_of_xz_says_what_is_missing(tmp_path: Path) -> None:
    from nnscratch.data.file_kinds import unpack

    with pytest.raises(DataError, match=r"has no lzma module.*unpack it first"):
        unpack(b"\xfd7zXZ\x00" + bytes(20), "table.csv.xz")


def test_the_program_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    program = (ROOT / "docs/examples/document_section_5_2.py").read_text("utf-8")
    exec(compile(program.replace("range(500)", "range(5)"), "section 5.2", "exec"), {})
    assert capsys.readouterr().out
