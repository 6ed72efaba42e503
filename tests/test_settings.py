"""Settings under PyTorch's names: those that have a meaning here, and those that change nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
import nnscratch.backends.cudnn as cudnn
from nnscratch import nn, optim
from nnscratch.array import cuda_problem
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.kernels.cpu.runtime import threads


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    precision, limit = nnscratch.get_float32_matmul_precision(), threads.limit()
    yield
    nnscratch.set_float32_matmul_precision(precision)
    nnscratch.set_default_dtype("float32")
    torch.set_default_dtype(torch.float32)
    threads.set_limit(limit)


def test_the_default_dtype() -> None:
    for lib in (nnscratch, torch):
        before = lib.get_default_dtype()
        assert before == lib.float32
        assert isinstance(before, lib.dtype)
        lib.set_default_dtype(lib.float64)
        assert lib.get_default_dtype() == lib.tensor(1.0).dtype == lib.float64
        lib.set_default_dtype(before)
    nnscratch.set_default_tensor_type("torch.DoubleTensor")
    assert nnscratch.get_default_dtype() == nnscratch.float64
    nnscratch.set_default_tensor_type(nnscratch.FloatTensor)
    assert nnscratch.tensor(1.0).dtype == nnscratch.float32
    with pytest.raises(DTypeError, match="set_default_dtype"):
        nnscratch.set_default_tensor_type("torch.cuda.FloatTensor")


def test_threads() -> None:
    expected = nnscratch.ones(300, 300).exp().sum().item()
    nnscratch.set_num_threads(3)
    assert nnscratch.get_num_threads() == threads.limit() == 3
    assert nnscratch.ones(300, 300).exp().sum().item() == expected
    nnscratch.set_num_threads(1)
    assert threads.choose(1e12) == 1
    nnscratch.set_num_interop_threads(4)
    assert nnscratch.get_num_interop_threads() == 1
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ConfigurationError, match="whole number"):
            nnscratch.set_num_threads(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="whole number"):
            nnscratch.set_num_interop_threads(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128"])
def test_limits_of_floats(name: str) -> None:
    ours = nnscratch.finfo(getattr(nnscratch, name))
    theirs = torch.finfo(getattr(torch, name))
    for part in ("bits", "dtype", "eps", "max", "min", "tiny", "smallest_normal", "resolution"):
        assert getattr(ours, part) == pytest.approx(getattr(theirs, part)), part
    assert type(ours.max) is float
    x = nnscratch.zeros(2, dtype=name)
    filled = x.masked_fill(x == 0, ours.min)
    assert (filled.dtype, filled.tolist()) == (name, [ours.min, ours.min])


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_limits_of_integers(name: str) -> None:
    ours = nnscratch.iinfo(getattr(nnscratch, name))
    theirs = torch.iinfo(getattr(torch, name))
    for part in ("bits", "dtype", "max", "min"):
        assert getattr(ours, part) == getattr(theirs, part)


def test_limits_of_the_wrong_kind() -> None:
    assert nnscratch.finfo().dtype == "float32"
    for lib in (nnscratch, torch):
        assert lib.finfo(lib.float32) == lib.finfo(lib.float32) == lib.finfo(lib.complex64)
        assert lib.iinfo(lib.int8) == lib.iinfo(lib.int8) != lib.iinfo(lib.int16)
        assert lib.finfo(lib.float32) not in (lib.finfo(lib.float64), "float32")
    with pytest.raises(DTypeError, match="see iinfo"):
        nnscratch.finfo(nnscratch.int64)
    with pytest.raises(DTypeError, match="see finfo"):
        nnscratch.iinfo(nnscratch.float32)
    known = ("int64", "float32"), ("uint8", "int8"), ("bool", "float16"), ("float64", "complex64")
    for pair in known:
        said = str(torch.promote_types(*(getattr(torch, one) for one in pair)))
        assert f"torch.{nnscratch.promote_types(*pair)}" == said


def test_masks_of_complex_numbers() -> None:
    for lib in (nnscratch, torch):
        x: Any = lib.ones(2, dtype=lib.complex64)
        mask = lib.tensor([True, False])
        for value in (2.5, 1j, lib.tensor(1.5, dtype=lib.float64)):
            assert x.masked_fill(mask, value).tolist() == [complex(value), 1.0]
    with pytest.raises(DTypeError, match=r"complex64 .* float32; use x\.to\('complex64'\)"):
        nnscratch.ones(2).masked_fill(nnscratch.tensor([True, False]), nnscratch.tensor(1j))


def test_random_numbers() -> None:
    nnscratch.random.manual_seed(7)
    assert nnscratch.initial_seed() == nnscratch.random.initial_seed() == 7
    state = nnscratch.get_rng_state()
    assert state.dtype == nnscratch.uint8
    first = nnscratch.rand(3).tolist()
    nnscratch.set_rng_state(state)
    assert nnscratch.rand(3).tolist() == first
    with nnscratch.random.fork_rng():
        nnscratch.set_rng_state(np.asarray(state))
        assert nnscratch.rand(3).tolist() == first
        forked = nnscratch.rand(3).tolist()
    assert nnscratch.rand(3).tolist() == forked
    assert nnscratch.seed() == nnscratch.initial_seed()
    with pytest.raises(ConfigurationError, match="16 bytes"):
        nnscratch.set_rng_state(torch.get_rng_state())
    nnscratch.manual_seed(0)


def test_generators() -> None:
    for lib in (nnscratch, torch):
        made = lib.Generator(device="cpu").manual_seed(3)
        assert made.initial_seed() == 3
        state = made.get_state()
        first = lib.rand(2, generator=made).tolist()
        made.set_state(state)
        assert lib.rand(2, generator=made).tolist() == first
        assert lib.Generator("cpu").manual_seed(3).initial_seed() == 3


def test_backends() -> None:
    settings: Any = nnscratch.backends.cudnn  # PyTorch's are locked once its own tests are loaded
    settings.benchmark = settings.deterministic = True
    settings.enabled = False
    for name, value in (("enabled", True), ("benchmark", True), ("benchmark_limit", 3)):
        setattr(settings, name, value)
    with settings.flags(enabled=False, benchmark_limit=7):
        assert (settings.enabled, settings.benchmark, settings.benchmark_limit) == (False, False, 7)
        with settings.flags(enabled=True, deterministic=True, allow_tf32=False):
            assert (settings.enabled, settings.deterministic) == (True, True)
            assert settings.allow_tf32 is False
        assert (settings.enabled, settings.deterministic, settings.allow_tf32) == (
            False,
            False,
            True,
        )
    with pytest.raises(ZeroDivisionError), settings.flags(enabled=False):
        _ = 1 / 0
    assert (settings.enabled, settings.benchmark, settings.benchmark_limit) == (True, True, 3)
    settings.benchmark_limit = 10
    for place in ("mkl", "mkldnn", "mps", "openmp", "cudnn", "cuda"):
        with pytest.raises(AttributeError, match=r"'is_avaliable'.*(near names|docs/)"):
            getattr(nnscratch.backends, place).is_avaliable
    for lib in (nnscratch, torch):
        backends: Any = lib.backends
        assert backends.mps.is_available() is False
        backends.cuda.matmul.allow_tf32 = True
        assert lib.get_float32_matmul_precision() == "high"
        backends.cuda.matmul.allow_tf32 = False
        assert lib.get_float32_matmul_precision() == "highest"
        backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        backends.cuda.enable_flash_sdp(True)
    cudnn.benchmark = True
    assert (cudnn.is_available(), cudnn.version()) == (False, None)
    with pytest.raises(AttributeError):
        nnscratch.backends.cuda.matmul.allow_tf23 = True  # type: ignore[attr-defined]
    nnscratch.use_deterministic_algorithms(True)
    assert nnscratch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("place", ["amp", "cuda.amp"])
def test_mixed_precision_that_is_off(place: str) -> None:
    def losses(lib: Any) -> list[float]:
        amp = lib.amp if place == "amp" else lib.cuda.amp
        device = ("cuda",) if place == "amp" else ()
        model = lib.nn.Linear(2, 1)
        with lib.no_grad():
            model.weight.fill_(0.5)
            model.bias.fill_(0.0)
        optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
        scaler = amp.GradScaler(enabled=False)
        found = []
        for _ in range(3):
            with amp.autocast(*device, enabled=False):
                loss = model(lib.ones(4, 2)).pow(2).mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            found.append(loss.item())
        scaler.load_state_dict(scaler.state_dict())
        assert (scaler.is_enabled(), scaler.get_scale()) == (False, 1.0)
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of names that it would rather have forgotten
        theirs = losses(torch)
    assert losses(nnscratch) == pytest.approx(theirs)


def test_mixed_precision_that_is_on_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"autocast\(enabled=False\).*model\.half\(\)"):
        nnscratch.autocast("cpu", dtype=nnscratch.float16)
    with pytest.raises(ConfigurationError, match=r"GradScaler\(enabled=False\)"):
        nnscratch.GradScaler("cpu")
    assert not nnscratch.amp.is_autocast_available("cuda")


@pytest.mark.parametrize("make", [nnscratch.cuda.amp.autocast, nnscratch.cuda.amp.GradScaler])
def test_mixed_precision_of_a_gpu(make: Any) -> None:
    if cuda_problem() is None:
        with pytest.raises(ConfigurationError, match="no mixed precision"):
            make()
    else:
        with pytest.warns(UserWarning, match="it is switched off") as caught:
            make()
        assert caught[0].filename == __file__


def test_decorators_of_mixed_precision() -> None:
    for lib in (nnscratch, torch):
        off: Any = lib.autocast("cpu", enabled=False)
        assert off(lambda: 3)() == 3

        class Twice(lib.autograd.Function):  # type: ignore[name-defined, misc]
            @staticmethod
            @lib.amp.custom_fwd(device_type="cpu")
            def forward(ctx: Any, x: Any) -> Any:
                return x * 2

            @staticmethod
            @lib.amp.custom_bwd(device_type="cpu")
            def backward(ctx: Any, dY: Any) -> Any:
                return dY * 2

        x = lib.ones(2, requires_grad=True)
        Twice.apply(x).sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]


SCHEDULES = {
    "StepLR": (2,),
    "MultiStepLR": ([1, 2],),
    "ExponentialLR": (0.5,),
    "ConstantLR": (),
    "LinearLR": (),
    "PolynomialLR": (),
    "CosineAnnealingLR": (3,),
    "CosineAnnealingWarmRestarts": (3,),
    "LambdaLR": (lambda epoch: 0.5**epoch,),
    "MultiplicativeLR": (lambda epoch: 0.5,),
    "CyclicLR": (0.1, 0.2),
    "OneCycleLR": (0.1, 5),
    "ReduceLROnPlateau": (),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_that_say_what_they_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def scheduled(verbose: bool) -> Any:
        optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0, momentum=0.9)
        kind = getattr(optim.lr_scheduler, name)
        return kind(optimizer, *SCHEDULES[name], verbose=verbose), optimizer

    steps = ((1.0,),) * 12 if name == "ReduceLROnPlateau" else ((),) * 3
    quiet, optimizer = scheduled(False)
    for given in steps:
        quiet.step(*given)
    assert capsys.readouterr().out == ""
    loud, other = scheduled(True)
    for given in steps:
        loud.step(*given)
    said = capsys.readouterr().out
    rate = other.param_groups[0]["lr"]
    assert f"learning rate of group 0 to {rate:.4e}." in said
    assert rate == optimizer.param_groups[0]["lr"]
    assert set(loud.state_dict()) == set(quiet.state_dict())
