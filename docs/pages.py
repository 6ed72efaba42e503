"""Lay out the pages of the site for Sphinx: ``python docs/pages.py build/pages``.

Laid out is the README and all that can be reached from it by links: pages and notebooks as they
are, any other file of the project as a page of its lines. Pages that nobody wrote are added: one
for each formula and one for each module of the interface, both from what the code says of itself.
With ``--lite`` behind the folder, each notebook has a link to where it runs in the browser.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnscratch.inspect.equations import families
from nnscratch.inspect.formula_page import fenced, formula_page, kernel_files
from nnscratch.inspect.locate import summary_of

ROOT = Path(__file__).resolve().parents[1]
# What is imported from, beside `nnscratch` itself.
API = """
amp array autograd autograd.functional data errors fft graph interop.comparing interop.keras
interop.onnx interop.sklearn interop.standalone interop.torch linalg models nn nn.functional nn.init
nn.utils nn.utils.parametrize nn.utils.rnn optim optim.lr_scheduler optim.swa_utils parallel random
special train
"""
COPIED = {".md", ".ipynb", ".svg", ".png"}
LANGUAGES = {".py": "python", ".toml": "toml", ".cu": "cuda", ".cuh": "cuda", ".json": "json"}
# Pages that links lead to: with hundreds more, a table of contents would be of no use.
ORPHAN = "---\norphan: true\n---\n"
FIRST = "index.md"
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
Pages = dict[str, str | Path]


def address(path: Path) -> str:
    """Return where in the site a file of the project is."""
    place = path.relative_to(ROOT)
    if place.suffix not in COPIED:
        return f"source/{place.as_posix()}.md"
    return place.with_name(place.name.replace("README.md", "index.md")).as_posix()


def written() -> Pages:
    """Return the text of each page that is reached from the README, or the file to be copied."""
    pages: Pages = {}
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        here = address(path)
        if here in pages:
            continue
        if path.suffix not in COPIED:
            pages[here] = lines_of(path)
        elif path.suffix not in {".md", ".ipynb"}:
            pages[here] = path
        else:
            text = path.read_text(encoding="utf-8")
            named = {link: (path.parent / link).resolve() for link in LINK.findall(text)}
            targets = {link: target for link, target in named.items() if target.is_file()}
            waiting += targets.values()
            pages[here] = LINK.sub(lambda link: moved(link[1], targets, here), text)  # noqa: B023
    return pages


def moved(link: str, targets: dict[str, Path], here: str) -> str:
    """Return a link of a page as it is from the page's place in the site."""
    if link not in targets:
        return link
    return Path(os.path.relpath(address(targets[link]), Path(here).parent)).as_posix()


def lines_of(path: Path) -> str:
    """Return a page that shows the lines of a file."""
    name, language = path.relative_to(ROOT).as_posix(), LANGUAGES.get(path.suffix, "text")
    block = ["```````{code-block} " + language, ":linenos:", "", path.read_text(encoding="utf-8")]
    return "\n".join([f"{ORPHAN}# {name}", "", *block, "```````", ""])


def contents(pages: Iterable[str], caption: str = "") -> str:
    """Return a part of the site's table of contents."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    listed = [f"/{page.rpartition('.')[0]}" for page in pages]
    return f"\n{fenced('{toctree}', chr(10).join([*options, *listed]))}\n"


def site() -> Pages:
    """Return every page of the site, by its place."""
    pages = written()
    known = [formula for group in families().values() for formula in group]
    names = ["", *(formula.name for formula in known), ""]
    for formula, before, after in zip(known, names, names[2:], strict=False):
        pages[f"formulas/{formula.name}.md"] = ORPHAN + formula_page(formula, before, after)
        for file in kernel_files(formula):
            pages.setdefault(f"source/{file}.md", lines_of(ROOT / file))
        family = f"docs/equations/{formula.family}.md"
        more = f"[Code, check and exercise](../../formulas/{formula.name}.md)."
        head = f"\n## `{formula.name}`\n"
        pages[family] = str(pages[family]).replace(head, f"{head}\n{more}\n")
    return with_contents(pages | interface())


def interface() -> Pages:
    """Return a page for each public module: what it exports, where that is not exported before."""
    told, pages, seen = ["# Interface", ""], {}, set()
    for name in ["nnscratch", *(f"nnscratch.{name}" for name in API.split())]:
        module = importlib.import_module(name)
        own = [one for one in sorted(public(module)) if is_own(getattr(module, one))]
        new = [one for one in own if id(getattr(module, one)) not in seen]
        seen |= {id(getattr(module, one)) for one in own}
        links = [f'<a href="#{name}.{one}"><code>{one}</code></a>' for one in new]
        listing = fenced("{eval-rst}", f".. automodule:: {name}\n   :members: {', '.join(new)}")
        pages[f"api/{name}.md"] = f"# `{name}`\n\n{' '.join(links)}\n\n{listing}\n"
        told.append(f"- [`{name}`]({name}.md): {summary_of(module)}")
    return {**pages, "api/index.md": "\n".join([*told, ""])}


def public(module: Any) -> Iterable[str]:
    """Return the names that a module exports, or all that are its own if it does not say."""
    own = (name for name, one in vars(module).items() if is_own(one) and not name.startswith("_"))
    return getattr(module, "__all__", own)


def is_own(thing: Any) -> bool:
    """Say whether something is a function or a class of the project's own."""
    return callable(thing) and str(getattr(thing, "__module__", "")).startswith("nnscratch")


def with_lite(pages: Pages) -> Pages:
    """Return the pages with a link in each notebook to the JupyterLite of ``docs/lite.py``."""
    made: Pages = {}
    for place, page in pages.items():
        made[place] = page
        if place.startswith("docs/notebooks/") and place.endswith(".ipynb"):
            notebook = json.loads(str(page))
            name = place.removeprefix("docs/notebooks/")
            up = "../" * place.count("/")
            link = f'<a href="{up}lite/lab/index.html?path={name}">Run it in the browser</a>\n'
            first = notebook["cells"][0]
            first["source"] = [*first["source"], "\n", "\n", link]
            made[place] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    return made


def with_contents(pages: Pages) -> Pages:
    """Return the pages with the table of contents: docs/index has the chapters, folders theirs."""
    below: dict[str, list[str]] = {}
    for place in sorted(pages, key=by_number):
        folder = place.removeprefix("docs/").partition("/")[0]
        above = f"docs/{folder}/index.md" if place.startswith("docs/") else f"{folder}/index.md"
        if above in pages and above != place:
            below.setdefault(above, []).append(place)
    made = {place: contents(ones) for place, ones in below.items()}
    parts = re.split(r"^## (.*)$", str(pages["docs/index.md"]), flags=re.MULTILINE)[1:]
    chapters = {
        title: [os.path.normpath(f"docs/{link}") for link in LINK.findall(text)]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    chapters = {title: [one for one in ones if one != FIRST] for title, ones in chapters.items()}
    chapters["Interface"] = ["api/index.md"]
    chapters["Measured"] = [one for one in sorted(pages) if re.match(r"benchmarks/.*md$", one)]
    chapters["Learn"].insert(0, "docs/index.md")
    made[FIRST] = "".join(contents(ones, title) for title, ones in chapters.items())
    return pages | {place: f"{pages[place]}\n{text}" for place, text in made.items()}


def by_number(place: str) -> tuple[str, int, str]:
    """Order the pages of a folder by the numbers that their names begin with."""
    folder, _, name = place.rpartition("/")
    digits = name.partition("_")[0]
    return folder, int(digits) if digits.isdecimal() else 0, name


def write(pages: Pages, folder: Path) -> None:
    """Write the pages that changed into a folder, and remove those that are gone."""
    for path in [one for one in folder.rglob("*") if one.is_file()]:
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for place, page in pages.items():
        path = folder / place
        new = page.read_bytes() if isinstance(page, Path) else page.encode()
        if not path.exists() or path.read_bytes() != new:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)


if __name__ == "__main__":
    pages = site()
    write(with_lite(pages) if "--lite" in sys.argv else pages, Path(sys.argv[1]))
