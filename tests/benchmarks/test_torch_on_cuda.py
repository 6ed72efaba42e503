"""PyTorch as a competitor on a GPU, as far as that can be seen without one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nnscratch.inspect.bench.measuring import TOLERANCE, disagreement
from nnscratch.inspect.bench.numpy_peer import PlainNumpy
from nnscratch.inspect.bench.registry import TORCH_GRAPH, competitors
from nnscratch.inspect.bench.torch_peers import TorchCompiled, TorchEager, TorchGraph
from nnscratch.inspect.bench.workload import Workload

TRAIN = Workload((6, 9, 3), 20)
INFER = Workload((6, 9, 3), 4, task="infer")


class OnPaper(TorchCompiled):
    """Its data stays where it is."""

    def give(self, array: Any) -> Any:
        return torch.from_numpy(array)


class Compiler:
    """Stands in for ``torch.compile``: notes how it was called, and in what order things happen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.modes: list[Any] = []
        self.happened: list[str] = []
        monkeypatch.setattr(torch, "compile", self.compile)
        mark = lambda: self.happened.append("mark")  # noqa: E731
        monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", mark)
        monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: module)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

    def compile(self, function: Any, *, dynamic: bool, mode: str | None) -> Any:
        assert dynamic is False
        self.modes.append(mode)

        def compiled(*given: Any) -> Any:
            self.happened.append("run")
            return function(*given)

        return compiled


@pytest.mark.parametrize("work", [TRAIN, INFER], ids=["train", "infer"])
def test_on_a_gpu_compiled_steps_are_captured(
    work: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Compiler(monkeypatch)
    peer = OnPaper(work, "cuda")
    off = disagreement(peer.evidence(6), PlainNumpy(work).evidence(6), work.task)
    assert off <= TOLERANCE
    assert compiler.modes == ["reduce-overhead", "reduce-overhead"]
    runs = compiler.happened.count("run")
    assert runs >= 5
    # The end of the last step is said before each one.
    assert compiler.happened == ["mark", "run"] * runs


def test_on_a_cpu_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(monkeypatch)
    peer = TorchCompiled(TRAIN, "cpu")
    peer.evidence(3)
    assert compiler.modes == [None, None]
    assert compiler.happened == ["run"] * 3
    # No call in between.
    assert "step" not in vars(peer)


class Cuda:
    """Stands in for ``torch.cuda``: a capture computes nothing, a replay computes it all.

    What the peer would have computed while it is captured is undone, as nothing happens then; a
    replay does the eager step on the arrays that the capture has seen.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.peer: TorchGraph | None = None
        self.streams: list[Any] = []
        self.captured = self.replayed = 0
        for name in ("Stream", "CUDAGraph", "current_stream", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def Stream(self) -> Cuda:
        return self

    current_stream = CUDAGraph = Stream

    def wait_stream(self, other: Any) -> None:
        pass

    @contextlib.contextmanager
    def stream(self, other: Any) -> Iterator[None]:
        self.streams.append(other)
        yield

    def _state(self) -> list[Any]:
        assert self.peer is not None
        made = list(self.peer.model.parameters())
        if self.peer.workload.task == "train":
            for values in self.peer.optimizer.state.values():
                made += values.values()
        return made

    @contextlib.contextmanager
    def graph(self, graph: Any, stream: Any) -> Iterator[None]:
        assert graph is stream is self
        if self.peer is not None and self.peer.workload.task == "train":
            assert all(p.grad is None for p in self.peer.model.parameters())
        state = self._state()
        before = [one.detach().clone() for one in state]
        yield
        with torch.no_grad():
            for one, old in zip(state, before, strict=True):
                one.copy_(old)
        self.captured += 1

    def replay(self) -> None:
        peer = self.peer
        assert peer is not None
        work = TorchEager.step if peer.workload.task == "train" else TorchEager.predict
        with torch.inference_mode(peer.workload.task == "infer"):
            peer.made.copy_(work(peer, *peer.held).detach())
        self.replayed += 1


@pytest.mark.parametrize("work", [TRAIN, INFER], ids=["train", "infer"])
def test_a_captured_step_is_the_same_step(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    peer = cuda.peer = TorchGraph(work)
    given = peer.evidence(12)
    off = disagreement(given, PlainNumpy(work).evidence(12), work.task)
    assert off <= TOLERANCE
    steps = 12 if work.task == "train" else work.pools[0]
    assert (cuda.captured, cuda.replayed) == (1, steps - peer.warm_ups)
    assert len(cuda.streams) == peer.warm_ups


def test_it_takes_part_on_a_gpu_only() -> None:
    for task in ("train", "infer"):
        assert TORCH_GRAPH in {entry.name for entry in competitors(task, device="cuda")}
        assert TORCH_GRAPH not in {entry.name for entry in competitors(task)}
    assert TORCH_GRAPH in {e.name for e in competitors("train", compilers=False, device="cuda")}
