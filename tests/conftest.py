"""What every test shares: the hypothesis profile; the rule that only GPU tests may skip."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# SciPy reads it when it is first loaded; without it scikit-learn skips its checks of array types.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# PyTorch's threads wait for one another by turning round and round, which takes the core from the
# other worker of pytest-xdist; told before PyTorch is loaded, they sleep. No number changes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The tests start hundreds of processes, and pytest rewrites every file of theirs. Without files of
# bytecode, each process would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# `ci` draws the same examples every time; HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-gpu",
        action="store_true",
        help="without a GPU, GPU tests fail instead of being skipped",
    )
    parser.addoption(
        "--emulated-gpu",
        action="store_true",
        help="run GPU tests on CuPy and a GPU that the CPU plays (see gpu/emulated/load.py)",
    )
    parser.addoption(
        "--without-blas",
        action="store_true",
        help="test the kernels as where NumPy's BLAS cannot be called: all products in tiles",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what it runs in the background with Ctrl-C ignored, and nnscratch leaves that
    # alone; the tests send it to themselves and to their children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--emulated-gpu"):
        from gpu.emulated.load import NotHere, load

        try:
            load()
        except NotHere as error:
            raise pytest.UsageError(f"--emulated-gpu: {error}") from None
    if config.getoption("--without-blas"):
        from nnscratch.kernels.cpu import blas as found

        sys.modules[found.__module__]._candidates = lambda: iter(())
        found.cache_clear()
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist reports to the main process
        config.pluginmanager.register(OnlyGpuTestsMaySkip(), "only-gpu-tests-may-skip")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    # A million objects are made here that stay to the end: the tests, PyTorch, Keras. No search for
    # garbage looks at them again, neither now nor when a test asks for one.
    gc.disable()
    try:
        collected = yield
    finally:
        gc.enable()
    gc.collect()
    gc.freeze()
    return collected


@functools.cache
def missing_gpu() -> str | None:
    """Why there is no GPU to test on; None if there is one."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    return None if cupy.cuda.is_available() else "CuPy finds no GPU"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and (why := missing_gpu()):
        if item.config.getoption("--require-gpu"):
            pytest.fail(f"needs a GPU: {why}", pytrace=False)
        pytest.skip(f"needs a GPU: {why}")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    if item.config.getoption("--emulated-gpu"):
        import cupy

        # The emulated GPU opens and closes all memory that was ever in use at once, at every wait.
        cupy.get_default_memory_pool().free_all_blocks()


class OnlyGpuTestsMaySkip:
    """Counts what was skipped, and fails the run over anything but a test marked `gpu`."""

    def __init__(self) -> None:
        self.gpu: set[str] = set()
        self.refused: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.refused[report.nodeid] = f"skipped as a whole: {reason(report)}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "wasxfail"):
            self.refused[report.nodeid] = f"expected to fail: {report.wasxfail}"
        elif report.skipped and "gpu" in report.keywords:
            self.gpu.add(report.nodeid)
        elif report.skipped:
            self.refused[report.nodeid] = f"skipped: {reason(report)}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("only tests marked gpu may be skipped", red=True)
            for nodeid, why in self.refused.items():
                terminalreporter.write_line(f"REFUSED {nodeid} {why}", red=True)
        n = len(self.gpu)
        counted = "1 test needs a GPU and was" if n == 1 else f"{n} tests need a GPU and were"
        terminalreporter.write_line(f"{counted} skipped")


def reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
