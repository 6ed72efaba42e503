"""The source tree: its package list, and what no file in it may mention."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {".git", ".hypothesis", ".venv", "build", "dist", "runs", "site"}


def test_every_package_folder_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = setup["options"]["packages"].split()
    folders = [
        ".".join((package, *init.parent.relative_to(folder).parts))
        for package, folder in [
            ("nnscratch", ROOT / "nnscratch"),
            ("nnscratch.kernels", ROOT / "kernels"),
        ]
        for init in folder.rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(folders)


def test_every_folder_with_python_in_it_is_a_package() -> None:
    for top in ("nnscratch", "kernels"):
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} lacks an __init__.py"


@pytest.mark.parametrize(
    "parts",
    [("..", "shared"), ("", "work", ""), ("", "root", ""), ("", "opt", "")],
    ids=["shared", "work", "root", "opt"],
)
def test_no_file_names_a_path_outside_the_project(parts: tuple[str, ...]) -> None:
    needle = "/".join(parts).encode()
    hits = []
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [
            s
            for s in subfolders
            if s not in NOT_OURS and not s.endswith((".egg-info", "_cache", "__pycache__"))
        ]
        hits += [p for f in files if needle in (p := Path(folder, f)).read_bytes()]
    assert not hits
