"""Put a JupyterLite into the site: ``python docs/lite.py PYODIDE build/site/lite``.

``python docs/lite.py PYODIDE FOLDER --alone`` lays out the distribution only, in
FOLDER/static/pyodide, as ``tests/browser/notebooks.mjs`` wants it.

PYODIDE is the folder of a Pyodide distribution: ``pyodide.mjs``, ``pyodide-lock.json`` and the
wheels that the lock names. nnscratch and array-api-compat are added to the lock of the copy, with
everything that nnscratch can use of what the distribution has. So ``import nnscratch`` in a
notebook is all that it takes, and nothing is fetched from anywhere but the site.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"
LOCK = "pyodide-lock.json"
NEEDED = ("numpy", "ipython", "micropip")
"""What a distribution has to have: for nnscratch, and for the kernel of notebooks."""
KERNEL = ("comm", "jedi", "parso")
"""What the kernel would fetch from PyPI; the tools of the site's pages have it, too."""
OLDEST_MICROPIP = (0, 10)
"""The kernel imports what micropip 0.9 of Pyodide 0.27 has not; with 0.11 of 0.29 it runs."""
USED = ("numpy", "matplotlib", "lzma")
"""What nnscratch uses of a distribution, where it is there."""
SETTINGS = {
    "jupyter-lite-schema-version": 0,
    "jupyter-config-data": {
        "litePluginSettings": {
            "@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True}
        }
    },
}


def own_wheel(folder: Path) -> Path:
    """Build the wheel of nnscratch in a folder, from a copy of the source and what is installed."""
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    with tempfile.TemporaryDirectory() as copy:
        for name in ("nnscratch", "kernels"):
            unread = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, Path(copy, name), ignore=unread)
        for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        command = [sys.executable, "-m", "pip", "wheel", *options, "-w", str(folder), copy]
        subprocess.run(command, check=True)
    return next(folder.glob("nnscratch-*.whl"))


def wheel_of(name: str, folder: Path) -> Path:
    """Make a wheel of a package of plain Python that is installed here."""
    found = importlib.metadata.distribution(name)
    path = folder / f"{name.replace('-', '_')}-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for one in found.files or ():
            if ".." not in one.parts and "__pycache__" not in one.parts:
                wheel.writestr(one.as_posix(), one.read_binary())
    return path


def entry(name: str, wheel: Path, depends: list[str]) -> dict[str, Any]:
    """Return what a lock says of a package."""
    return {
        "name": name,
        "version": wheel.name.split("-")[1],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": [name.replace("-", "_")],
        "depends": depends,
        "unvendored_tests": False,
    }


def _as_in_lock(name: str) -> str:
    """Return the name of a package as it is a key of the lock; what needs it may spell another."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lay_out(pyodide: Path, folder: Path) -> None:
    """Lay out what JupyterLite is built of: settings, and the distribution with nnscratch in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter-lite.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    target = folder / "static" / "pyodide"
    lock = json.loads((pyodide / LOCK).read_text(encoding="utf-8"))
    packages = lock["packages"]
    # A lock names every package that there is; a folder may have some of them only.
    there = {name for name, one in packages.items() if (pyodide / one["file_name"]).is_file()}
    lacking = [name for name in NEEDED if name not in there]
    if lacking:
        raise SystemExit(f"{pyodide} has not the wheels that its {LOCK} names: {lacking}")
    lock["packages"] = {name: packages[name] for name in sorted(there)}
    for one in lock["packages"].values():
        one["depends"] = [name for name in one["depends"] if _as_in_lock(name) in there]
    shutil.copytree(pyodide, target, ignore=shutil.ignore_patterns("*.map", "*.tar", "*.d.ts"))
    used = [name for name in USED if name in there]
    for name, wheel, depends in (
        ("array-api-compat", wheel_of("array-api-compat", target), []),
        ("nnscratch", own_wheel(target), [*used, "array-api-compat"]),
    ):
        lock["packages"][name] = entry(name, wheel, depends)
    (target / LOCK).write_text(json.dumps(lock), encoding="utf-8")
    (folder / "pypi").mkdir()
    for name in KERNEL:
        if name not in there:
            wheel_of(name, folder / "pypi")


def build(pyodide: Path, site: Path) -> None:
    """Build the JupyterLite with the notebooks into a folder of the site."""
    for needed in (LOCK, "pyodide.mjs"):
        if not (pyodide / needed).is_file():
            raise SystemExit(f"{pyodide} is no folder of a Pyodide distribution: no {needed} in it")
    lock = json.loads((pyodide / LOCK).read_text(encoding="utf-8"))
    micropip = lock["packages"].get("micropip", {}).get("version", "")
    if micropip and tuple(map(int, re.findall(r"\d+", micropip)[:2])) < OLDEST_MICROPIP:
        raise SystemExit(
            f"{pyodide} has micropip {micropip}, with which JupyterLite's kernel does not start: "
            "take Pyodide 0.29 or newer"
        )
    with tempfile.TemporaryDirectory() as made:
        folder, notebooks = Path(made, "lite"), Path(made, "notebooks")
        lay_out(pyodide.resolve(), folder)
        for path in sorted(NOTEBOOKS.rglob("*.ipynb")):
            place = notebooks / path.relative_to(NOTEBOOKS)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        shutil.rmtree(site, ignore_errors=True)
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--apps", "lab"]
        command += ["--no-unused-shared-packages", "--no-sourcemaps"]
        command += ["--lite-dir", str(folder), "--contents", str(notebooks)]
        subprocess.run([*command, "--output-dir", str(site.resolve())], cwd=made, check=True)


if __name__ == "__main__":
    what = lay_out if "--alone" in sys.argv else build
    what(Path(sys.argv[1]), Path(sys.argv[2]))
