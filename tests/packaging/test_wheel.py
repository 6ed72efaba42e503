"""Build a source distribution and from it a wheel, install it, and test it away from the source."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What runs against the wheel: files that read nothing of the source tree.
AWAY_FROM_THE_SOURCE = ["packaging/test_installed.py", "packaging/test_lazy_import.py"]
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")


def sh(*args: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, args)),
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a clean copy: nothing left over from another build can get into it."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("nnscratch", "kernels"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=NOT_SOURCE)
    for file in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    dist = tmp_path_factory.mktemp("dist")
    sh(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, cwd=copy)
    (built,) = dist.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_and_no_other(wheel: Path) -> None:
    wanted = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in [("nnscratch", "nnscratch"), ("nnscratch/kernels", "kernels")]
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == wanted


@pytest.mark.slow
def test_the_wheel_works_away_from_the_source(wheel: Path, tmp_path: Path) -> None:
    """A new environment with nothing but the wheel; its dependencies come from this one."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    sh(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=tmp_path)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(sh(python, "-c", ask, cwd=tmp_path).strip())
    # Only a path: the .pth files in there, an editable nnscratch among them, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    where = sh(python, "-c", "import nnscratch.kernels as k; print(k.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(site)

    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=NOT_SOURCE)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tests = [tmp_path / "tests" / name for name in AWAY_FROM_THE_SOURCE]
    sh(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=tmp_path)
