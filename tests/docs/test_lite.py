"""What a JupyterLite of the notebooks is built of, from a folder like a Pyodide distribution."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def package(name: str, depends: list[str]) -> dict[str, Any]:
    return {"name": name, "file_name": f"{name}.whl", "depends": depends, "imports": [name]}


@pytest.fixture
def pyodide(tmp_path: Path) -> Path:
    folder = tmp_path / "pyodide"
    folder.mkdir()
    packages = {
        "numpy": package("numpy", []),
        "matplotlib": package("matplotlib", ["numpy", "pillow"]),
        "pillow": package("pillow", []),
        "ipython": package("ipython", ["prompt_toolkit"]),
        "prompt-toolkit": package("prompt_toolkit", []),
        "micropip": package("micropip", []),
        "jedi": package("jedi", []),
    }
    for name, one in packages.items():
        if name != "pillow":
            (folder / one["file_name"]).write_bytes(b"a wheel")
    (folder / "pyodide.mjs").write_text("")
    (folder / "pyodide-lock.json").write_text(json.dumps({"packages": packages}))
    return folder


def test_the_distribution_gets_nnscratch(pyodide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lite"
    lite = loaded("lite")
    lite.KERNEL = ("jedi", "parso")  # the third comes with the tools of the site
    lite.lay_out(pyodide, folder)
    target = folder / "static" / "pyodide"
    packages = json.loads((target / "pyodide-lock.json").read_text())["packages"]
    assert packages["nnscratch"]["depends"] == ["numpy", "matplotlib", "array-api-compat"]
    assert packages["matplotlib"]["depends"] == ["numpy"]  # there is no wheel of pillow
    assert packages["ipython"]["depends"] == ["prompt_toolkit"]
    assert "pillow" not in packages
    for name in ("nnscratch", "array-api-compat"):
        wheel = target / packages[name]["file_name"]
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() == packages[name]["sha256"]
        names = zipfile.ZipFile(wheel).namelist()
        assert f"{packages[name]['imports'][0]}/__init__.py" in names
    assert (
        "nnscratch/kernels/cpu/__init__.py"
        in zipfile.ZipFile(target / packages["nnscratch"]["file_name"]).namelist()
    )
    assert {path.name.split("-")[0] for path in (folder / "pypi").iterdir()} == {"parso"}
    settings = (folder / "jupyter-lite.json").read_text()
    assert '"disablePyPIFallback": true' in settings


def test_what_is_no_distribution_is_refused(pyodide: Path, tmp_path: Path) -> None:
    lite = loaded("lite")
    (pyodide / "numpy.whl").unlink()
    with pytest.raises(SystemExit, match=r"has not the wheels .*numpy"):
        lite.build(pyodide, tmp_path / "site")
    with pytest.raises(SystemExit, match=r"no pyodide-lock\.json in it"):
        lite.build(tmp_path, tmp_path / "site")
    lock = json.loads((pyodide / "pyodide-lock.json").read_text())
    lock["packages"]["micropip"]["version"] = "0.9.0"
    (pyodide / "pyodide-lock.json").write_text(json.dumps(lock))
    with pytest.raises(SystemExit, match=r"micropip 0\.9\.0, with which .* does not start"):
        lite.build(pyodide, tmp_path / "site")


def test_what_jupyterlite_asks_for_is_installed() -> None:
    """JupyterLite takes notebooks with jupyter-server alone, and does not depend on it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    needed = {re.split("[>=<]", one)[0] for one in extras["lite"]}
    assert {"jupyter-server", "jupyterlite-core", "jupyterlite-pyodide-kernel"} <= needed


def test_notebooks_have_a_link_to_where_they_run(pyodide: Path) -> None:
    pages = loaded("pages")
    text = (ROOT / "docs/notebooks/1_one_neuron.ipynb").read_text(encoding="utf-8")
    given = {"docs/notebooks/1_one_neuron.ipynb": text, "docs/index.md": "# Contents"}
    given["docs/notebooks/solutions/1_one_neuron.ipynb"] = text
    made = pages.with_lite(given)
    assert made["docs/index.md"] == "# Contents"
    for place, link in (
        ("1_one_neuron.ipynb", "../../lite/lab/index.html?path=1_one_neuron.ipynb"),
        (
            "solutions/1_one_neuron.ipynb",
            "../../../lite/lab/index.html?path=solutions/1_one_neuron.ipynb",
        ),
    ):
        notebook = json.loads(str(made[f"docs/notebooks/{place}"]))
        assert f'href="{link}"' in "".join(notebook["cells"][0]["source"])
        assert notebook["cells"][1:] == json.loads(text)["cells"][1:]
