"""The rule in conftest.py that only GPU tests may be skipped, itself tested."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
NO_GPU = "\ndef missing_gpu():\n    return 'none in this test'\n"
GPU_TEST = "import pytest\n@pytest.mark.gpu\ndef test_gpu(): pass\n"


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST + NO_GPU)
    pytester.makeini("[pytest]\nmarkers = gpu\nxfail_strict = true\n")
    return pytester


def run(inner: pytest.Pytester, *args: str) -> pytest.RunResult:
    return inner.runpytest("-p", "no:cacheprovider", *args)


def test_gpu_tests_may_skip_and_are_counted(inner: pytest.Pytester) -> None:
    inner.makepyfile(GPU_TEST + "@pytest.mark.gpu\ndef test_other(): pass\ndef test_cpu(): pass\n")
    result = run(inner)
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["2 tests need a GPU and were skipped"])
    assert result.ret == pytest.ExitCode.OK


def test_require_gpu_makes_them_fail(inner: pytest.Pytester) -> None:
    inner.makepyfile(GPU_TEST)
    result = run(inner, "--require-gpu")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*needs a GPU: none in this test*"])


LAZY = {
    "mark": "import pytest\n@pytest.mark.skip(reason='lazy')\ndef test_a(): pass\n",
    "call": "import pytest\ndef test_a(): pytest.skip('lazy')\n",
    "xfail": "import pytest\n@pytest.mark.xfail(reason='lazy')\ndef test_a(): assert False\n",
    "xpass": "import pytest\n@pytest.mark.xfail(reason='lazy', strict=False)\ndef test_a(): pass\n",
    "fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('lazy')\ndef test(f): pass\n",
    "module": "import pytest\npytest.skip('lazy', allow_module_level=True)\n",
    "importorskip": "import pytest\npytest.importorskip('no_such_module_lazy')\n",
}


def assert_refused(result: pytest.RunResult) -> None:
    result.stdout.fnmatch_lines(["REFUSED test_lazy.py*lazy*", "0 tests need a GPU*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("kind", LAZY)
def test_any_other_skip_fails_the_run(inner: pytest.Pytester, kind: str) -> None:
    inner.makepyfile(test_lazy=LAZY[kind], test_fine="def test_fine(): pass")
    assert_refused(run(inner))


@pytest.mark.parametrize("kind", ["mark", "xfail", "module"])
def test_a_skip_in_a_worker_fails_the_run(inner: pytest.Pytester, kind: str) -> None:
    inner.makepyfile(test_lazy=LAZY[kind], test_fine="def test_fine(): pass")
    assert_refused(run(inner, "-n", "1"))
