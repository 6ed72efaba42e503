"""Run the cells of a notebook, each as Jupyter would, and keep what they show.

    python tests/notebooks.py docs/notebooks/*.ipynb

stores the outputs in the notebooks. IPython is the part of Jupyter that runs a cell; the rest,
which talks to a browser, is not needed here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# A number that stands by itself; a digit within a word, such as in `relu6`, is part of the word.
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?![\w.]*\w)")

MEASURED = "Times of your machine: run this cell to see them.\n"
"""What is stored of a cell with the tag ``measured``, whose outputs differ from run to run."""


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, notebook: dict[str, Any]) -> None:
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def is_measured(cell: dict[str, Any]) -> bool:
    return "measured" in cell["metadata"].get("tags", [])


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def run(path: Path, to: Path) -> None:
    """Run a notebook in this process, which should be one of its own, and write it with outputs."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    notebook = read(path)
    shell = InteractiveShell.instance()
    values: list[Any] = []
    shell.display_trap.hook = values.append
    for count, cell in enumerate(code_cells(notebook), 1):
        values.clear()
        with capture_output() as shown:
            result = shell.run_cell(source(cell), store_history=True)
        if not result.success:
            sys.exit(f"{path.name}, cell {count}:\n{source(cell)}\n{shown.stdout}{shown.stderr}")
        cell["execution_count"] = count
        if is_measured(cell):
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [MEASURED]}]
            continue
        cell["outputs"] = [
            {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}
            for name, text in (("stdout", shown.stdout), ("stderr", shown.stderr))
            if text
        ]
        pictures = [output.data for output in in_place(shown.outputs)]
        formatted = [shell.display_formatter.format(v)[0] for v in values if v is not None]
        cell["outputs"] += map(_display, pictures + formatted)
    write(to, notebook)


def in_place(outputs: list[Any]) -> list[Any]:
    """Let each update stand in the place of the display that it updates, as Jupyter does."""
    kept: dict[Any, Any] = {}
    for number, output in enumerate(outputs):
        name = (output.transient or {}).get("display_id", number)
        if not output.update or name in kept:
            kept[name] = output
    return list(kept.values())


def _display(data: dict[str, str]) -> dict[str, Any]:
    lines = {
        kind: text.splitlines(keepends=True) if kind.startswith("text/") else text
        for kind, text in sorted(data.items())
    }
    return {"output_type": "display_data", "data": lines, "metadata": {}}


def run_apart(path: Path, to: Path) -> None:
    """Run a notebook in a process of its own.

    Raises:
        AssertionError: if a cell fails, with its source and the traceback.
    """
    command = [sys.executable, __file__, "--to", str(to), str(path)]
    with tempfile.TemporaryDirectory() as folder:
        # Figures as in Jupyter; no colours in tracebacks; none of the user's own settings.
        settings = {
            **os.environ,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "NO_COLOR": "1",
            "IPYTHONDIR": folder,
        }
        done = subprocess.run(
            command, cwd=folder, env=settings, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr


def text_of(cell: dict[str, Any]) -> str:
    """What a cell shows, as text: streams, and of the rest HTML or plain text, with `[image]`."""
    parts = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            parts.append("".join(output["text"]))
            continue
        data = output["data"]
        image = any(kind.startswith("image/") for kind in data)
        parts.append("[image]" if image else "".join(data.get("text/html", data["text/plain"])))
    return "\n".join(parts)


def same(found: str, stored: str) -> bool:
    """Whether two outputs have the same words, and numbers up to one in the last printed place."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", stored):
        return False
    for one, other in zip(NUMBER.findall(found), NUMBER.findall(stored), strict=True):
        places = len(other.partition(".")[2])
        room = 1.001 * 10.0**-places if places else 0.0
        if abs(float(one) - float(other)) > room:
            return False
    return True


def main(arguments: list[str]) -> None:
    if arguments[0] == "--to":
        run(Path(arguments[2]), Path(arguments[1]))
        return
    for path in map(Path, arguments):
        run_apart(path.resolve(), path.resolve())


if __name__ == "__main__":
    main(sys.argv[1:])
