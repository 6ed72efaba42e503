"""Every block of Python in the documentation runs, every link leads somewhere, no page is stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pasting import ipython, pasted

from nnscratch.inspect.equations import all_pages
from nnscratch.inspect.stubs import all_stubs

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_the_pages_with_code_are_found() -> None:
    wanted = {"README.md", "docs/tutorial.md", "docs/migrating_from_pytorch.md"}
    assert wanted <= set(map(name, WITH_CODE))


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_blocks_can_be_pasted_into_ipython(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block is a cell, one after the other; a text block below it is what it shows.

    In that, ``...`` stands for whatever is there, such as a path or a time.
    """
    monkeypatch.chdir(tmp_path)
    with ipython(tmp_path / "settings") as shell:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            code, told = block.groups()
            shown = pasted(shell, code)
            if told is not None:
                pattern = ".*".join(map(re.escape, told.rstrip("\n").split("...")))
                assert re.fullmatch(pattern, shown, re.DOTALL), f"{code}\nshows\n{shown}"


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_no_block_has_prompts(page: Path) -> None:
    """Prompts and outputs within a block would be pasted with it."""
    blocks = "".join(block[1] for block in BLOCK.finditer(page.read_text(encoding="utf-8")))
    assert re.findall(r"^(?:>>>|\.\.\.) .*", blocks, re.MULTILINE) == []


def test_the_tutorials_say_what_to_install() -> None:
    for folder in ("docs", "docs/zh"):
        text = (ROOT / folder / "tutorial.md").read_text(encoding="utf-8")
        assert "    pip install . ipython\n" in text
    text = (ROOT / "docs" / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert "    pip install '.[cli,plots]' jupyterlab\n" in text
    first = (ROOT / "docs" / "notebooks" / "1_one_neuron.ipynb").read_text(encoding="utf-8")
    assert "[how to install them](README.md)" in first


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`(?!\])", "", text)
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert not missing


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in found}


def test_the_table_of_contents_has_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in text


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/document.md"])
def test_the_chinese_page_has_the_same_code_and_equations(name: str) -> None:
    """In all but the words: blocks, displayed equations, headings and links to other pages."""
    english = (ROOT / name).read_text(encoding="utf-8")
    chinese = (ROOT / "docs" / "zh" / Path(name).name).read_text(encoding="utf-8")
    for exact in (r"^```.*?^```$", r"^\$\$\n.*?^\$\$$"):
        same = re.compile(exact, re.DOTALL | re.MULTILINE)
        assert same.findall(chinese) == same.findall(english)
    if name != "README.md":  # which is shorter
        inline = re.compile(r"\$[^$\n]+\$|^#+ |\]\((?!\.\./[a-z]+\.md)", re.MULTILINE)
        assert sorted(inline.findall(chinese)) == sorted(inline.findall(english))


def test_the_equation_pages_are_those_of_the_formulas() -> None:
    """If this fails: python -m nnscratch.inspect.equations docs/equations."""
    folder = ROOT / "docs" / "equations"
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    wanted = all_pages()
    assert sorted(committed) == sorted(wanted)
    assert [page for page in wanted if committed[page] != wanted[page]] == []


def test_every_equation_is_balanced_latex() -> None:
    for page, text in all_pages().items():
        for equation in re.findall(r"^\$\$\n(.*?)\n\$\$$", text, re.DOTALL | re.MULTILINE):
            plain = re.sub(r"\\[{}]", "", equation)
            assert plain.count("{") == plain.count("}"), (page, equation)
            assert equation.count(r"\left") == equation.count(r"\right") + equation.count(
                r"\leftarrow"
            ), (page, equation)
            assert equation.count(r"\begin{") == equation.count(r"\end{"), (page, equation)


def test_the_stubs_are_those_of_the_formulas() -> None:
    """If this fails: python -m nnscratch.inspect.stubs."""
    for path, text in all_stubs().items():
        assert path.read_text(encoding="utf-8") == text, path.name
